"""A straight line through points whose two coordinates both have errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats

_STEPS = 200
_CLOSE = 1e-13
_UNRELATED = 1e-9


def york(
    x: ArrayLike, y: ArrayLike, x_error: ArrayLike, y_error: ArrayLike
) -> tuple[Floats, Floats]:
    """Slope and intercept of y on x by least squares with errors in both, each of shape (K,).

    ``x`` and ``y`` are of shape (J,) or (K, J), a line a row; ``x_error`` and ``y_error`` are their
    standard errors, of a shape that broadcasts to it. With the same errors at all points this is
    Deming's regression, which has a closed form; with others York's iteration starts there.

    York 1966, Canadian Journal of Physics 44(5), in the form of York, Evensen, Lopez Martinez and
    Delgado 2004, American Journal of Physics 72(3), equation 13 without correlated errors; both
    from memory. Raises StatisticsError where x and y aren't related, so that no line is the best.
    """
    x, y, vx, vy = np.broadcast_arrays(
        *(np.atleast_2d(np.asarray(values, dtype=np.float64)) for values in (x, y)),
        *(np.asarray(error, dtype=np.float64) ** 2 for error in (x_error, y_error)),
    )
    if not ((vx + vy) > 0).all():
        raise StatisticsError("A point has no error in x nor in y.", "Give at least one of them.")
    slope = _deming(x, y, vx.mean(axis=1), vy.mean(axis=1))
    for _ in range(_STEPS):
        weight = 1 / (vy + slope[:, None] ** 2 * vx)
        u, v = (values - _mean(values, weight)[:, None] for values in (x, y))
        beta = weight * (u * vy + slope[:, None] * v * vx)
        found = (weight * beta * v).sum(axis=1) / (weight * beta * u).sum(axis=1)
        close = np.abs(found - slope) <= _CLOSE * np.abs(found)
        slope = found
        if close.all():
            break
    weight = 1 / (vy + slope[:, None] ** 2 * vx)
    return slope, _mean(y, weight) - slope * _mean(x, weight)


def _mean(values: Floats, weight: Floats) -> Floats:
    mean: Floats = (weight * values).sum(axis=1) / weight.sum(axis=1)
    return mean


def _deming(x: Floats, y: Floats, x_variance: Floats, y_variance: Floats) -> Floats:
    """The slope with errors alike at all points, (K,): the root of a quadratic equation."""
    u, v = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    sxx, syy, sxy = (u * u).sum(axis=1), (v * v).sum(axis=1), (u * v).sum(axis=1)
    if not (np.abs(sxy) > _UNRELATED * np.sqrt(sxx * syy)).all():
        raise StatisticsError(
            "The two panels' means aren't related, so no line maps one to the other.",
            "Look at whether both rated the same methods, and on scales of the same direction.",
        )
    excess = x_variance * syy - y_variance * sxx
    root = np.sqrt(excess**2 + 4 * x_variance * y_variance * sxy**2)
    # of two forms of the root, the one that isn't a difference of nearly equal numbers
    slope: Floats = np.where(
        excess > 0,
        (excess + root) / np.where(excess > 0, 2 * x_variance * sxy, 1),
        2 * y_variance * sxy / np.where(excess > 0, 1, root - excess),
    )
    return slope
