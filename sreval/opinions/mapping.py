"""From a metric's values to the opinion scale: monotone maps, fitted by least squares."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy

from sreval.opinions.arrays import Floats

Mapping = Literal["linear", "logistic"]

MAPPINGS: tuple[Mapping, ...] = ("linear", "logistic")

_ITERATIONS = 30
_FLATTEST, _STEEPEST = math.log(0.05), math.log(8.0)
_DIFFERENCE = 1e-5
_REGULAR = 1e-12
_ENOUGH = 1e-6
_PATIENCE = 3


def fit_mapped(mapping: Mapping, metric: Floats, mos: Floats, weights: Floats) -> Floats:
    """The metric's values on the scale of ``mos``, fitted anew for each row of ``weights``.

    ``metric`` and ``mos`` are of shape (n,), ``weights`` (B, n), non-negative; the result is
    (B, n). 'linear' is b0 + b1 x. 'logistic' is the four-parameter b0 + b1 / (1 + exp(-(x -
    b2) / b3)) with b3 > 0 (VQEG FR-TV Phase I, 2000), monotone for every parameter; b3 is at
    least an eighth of the metric's standard deviation, so that the curve is never a mere step.
    """
    deviation = metric.std()
    x = (metric - metric.mean()) / deviation if deviation else np.zeros_like(metric)
    if mapping == "linear":
        return _linear(np.broadcast_to(x, weights.shape), mos, weights)
    start = np.repeat(_start(x, mos), weights.shape[0], axis=1)
    return _logistic(x, mos, weights, start)


def _start(x: Floats, mos: Floats) -> Floats:
    """Centre and log steepness, shape (2, 1), of a grid's best curve on all points alike."""
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 17), np.linspace(-2, 2, 13)))
    at = _bounded(grid.reshape(2, -1))
    loss = ((_curve(x, mos, np.ones((at.shape[1], x.size)), at) - mos) ** 2).sum(axis=1)
    return at[:, [int(loss.argmin())]]


def _logistic(x: Floats, mos: Floats, weights: Floats, at: Floats) -> Floats:
    """Levenberg-Marquardt on (centre, log steepness), each step solving the linear part.

    ``at``, shape (2, B), is moved to where the fit ends.
    """
    rows = weights.shape[0]
    damping = np.full(rows, 1e-2)
    best = _curve(x, mos, weights, at)
    loss = (weights * (best - mos) ** 2).sum(axis=1)
    idle = np.zeros(rows, dtype=np.intp)
    going = np.arange(rows)
    for _ in range(_ITERATIONS):
        w, here = weights[going], at[:, going]
        trial = _bounded(here + _step(x, mos, w, here, best[going], damping[going]))
        mapped = _curve(x, mos, w, trial)
        trial_loss = (w * (mapped - mos) ** 2).sum(axis=1)
        better = trial_loss < loss[going]
        gained = trial_loss < loss[going] * (1 - _ENOUGH)
        taken = going[better]
        at[:, taken], best[taken], loss[taken] = (
            trial[:, better],
            mapped[better],
            trial_loss[better],
        )
        damping[going] = np.where(better, damping[going] / 4, damping[going] * 8)
        idle[going] = np.where(gained, 0, idle[going] + 1)
        going = going[idle[going] < _PATIENCE]
        if not going.size:
            break
    return best


def _step(
    x: Floats, mos: Floats, weights: Floats, at: Floats, mapped: Floats, damping: Floats
) -> Floats:
    """The damped normal equations of the two shape parameters, solved for every row at once."""
    moved = at + np.array([[[_DIFFERENCE], [0]], [[0], [_DIFFERENCE]]])
    by_centre, by_steepness = (
        (_curve(x, mos, weights, parameters) - mapped) / _DIFFERENCE for parameters in moved
    )
    error = weights * (mos - mapped)
    target = ((by_centre * error).sum(axis=1), (by_steepness * error).sum(axis=1))
    across = (weights * by_centre * by_steepness).sum(axis=1)
    damped = 1 + damping
    one = (weights * by_centre**2).sum(axis=1) * damped + _REGULAR
    two = (weights * by_steepness**2).sum(axis=1) * damped + _REGULAR
    determinant = one * two - across**2
    return np.stack(
        [
            (two * target[0] - across * target[1]) / determinant,
            (one * target[1] - across * target[0]) / determinant,
        ]
    )


def _curve(x: Floats, mos: Floats, weights: Floats, at: Floats) -> Floats:
    """The fitted logistic curve at centre ``at[0]`` and log steepness ``at[1]``, shape (B, n)."""
    bounded = _bounded(at)
    shape = scipy.special.expit(np.exp(bounded[1])[:, None] * (x[None, :] - bounded[0][:, None]))
    return _linear(shape, mos, weights)


def _linear(shape: Floats, mos: Floats, weights: Floats) -> Floats:
    """Weighted least squares b0 + b1 * shape, row by row; b1 is 0 where the shape is constant."""
    total = weights.sum(axis=1, keepdims=True)
    shape_mean = (weights * shape).sum(axis=1, keepdims=True) / total
    mos_mean = (weights * mos).sum(axis=1, keepdims=True) / total
    centred = shape - shape_mean
    variance = (weights * centred**2).sum(axis=1, keepdims=True)
    covariance = (weights * centred * (mos - mos_mean)).sum(axis=1, keepdims=True)
    slope = np.divide(covariance, variance, out=np.zeros_like(variance), where=variance > 1e-20)
    fitted: Floats = mos_mean + slope * centred
    return fitted


def _bounded(at: Floats) -> Floats:
    """Centre within the data's reach and steepness within its limits."""
    return np.stack([np.clip(at[0], -10, 10), np.clip(at[1], _FLATTEST, _STEEPEST)])
