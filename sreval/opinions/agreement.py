"""Which metric follows the raters: correlation of metric values with MOS, image by image.

First the monotone maps from a metric's values to the opinion scale, fitted by least squares, then
the agreement after them. Versions of one scene are alike in content, so that the jackknife leaves
out scenes, with all their versions. Correlations are signed so that 1 is best for every metric: a
metric that is better when lower is turned round first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping as Names
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Floats, check_level
from sreval.opinions.correlation import (
    kendall,
    pearson,
    root_mean_square,
    spearman,
    without_each,
)
from sreval.opinions.intervals import LEAST_UNITS, Interval, student_quantile
from sreval.opinions.significance import holm

Mapping = Literal["linear", "logistic", "third-order"]

MAPPINGS: dict[Mapping, int] = {"linear": 2, "logistic": 4, "third-order": 4}
"""The monotone maps, with the number of their parameters."""

_ITERATIONS = 30
_FLATTEST, _STEEPEST = math.log(0.05), math.log(8.0)
_DIFFERENCE = 1e-5
_REGULAR = 1e-12
_ENOUGH = 1e-6
_PATIENCE = 3
_GRID = 201


def fit_mapped(
    mapping: Mapping, metric: Floats, mos: Floats, weights: Floats, at: Floats | None = None
) -> Floats:
    """The metric's values on the scale of ``mos``, fitted anew for each row of ``weights``.

    ``metric`` and ``mos`` are of shape (n,), ``weights`` (B, n), non-negative; the result is
    (B, n), or (B, m) where the fitted functions are wanted ``at`` other values, shape (m,), within
    the metric's. 'linear' is b0 + b1 x. 'logistic' is the four-parameter b0 + b1 / (1 + exp(-(x -
    b2) / b3)) with b3 > 0 (VQEG FR-TV Phase I, 2000), monotone for every parameter; b3 is at
    least an eighth of the metric's standard deviation, so that the curve is never a mere step.
    'third-order' is the cubic polynomial of ITU-T P.1401 (01/2020) 7.3.2, monotone between the
    least and the largest of all values; the clause is known by its title alone, the map from
    memory.
    """
    deviation = metric.std()
    x = (metric - metric.mean()) / deviation if deviation else np.zeros_like(metric)
    start = np.repeat(_start(x, mos), weights.shape[0], axis=1) if mapping == "logistic" else None
    if at is not None:  # what has no weight doesn't move the fit
        x = np.append(x, (at - metric.mean()) / deviation if deviation else np.zeros_like(at))
        mos = np.append(mos, np.zeros_like(at))
        weights = np.pad(weights, ((0, 0), (0, at.size)))
    if start is not None:
        fitted = _logistic(x, mos, weights, start)
    elif mapping == "linear":
        fitted = _linear(np.broadcast_to(x, weights.shape), mos, weights)
    else:
        fitted = np.stack([_third_order(x, mos, row) for row in weights])
    return fitted if at is None else fitted[:, metric.size :]


def _third_order(x: Floats, mos: Floats, weights: Floats) -> Floats:
    """Least squares over all cubics that rise, or fall, from the least x to the largest, (n,).

    The slope of one that rises is a quadratic that is nowhere negative on 0..1. Such quadratics are
    the sums, with weights of at least zero, of t (1 - t) and of (t - r)^2 with r on 0..1 (Lukács;
    Szegő 1939, Orthogonal Polynomials, theorem 1.21.1): non-negative least squares over their
    integrals, r on a grid.
    """
    reach = np.ptp(x)
    t = (x - x.min()) / reach if reach else np.zeros_like(x)
    powers = np.stack([t, t**2, t**3], axis=1)
    total = weights.sum()
    powers -= weights @ powers / total
    mean = weights @ mos / total
    root = np.sqrt(weights)
    q, r = np.linalg.qr(powers * root[:, None])
    target = q.T @ (root * (mos - mean))
    found = [scipy.optimize.nnls(r @ (sign * _RISING), target) for sign in (1, -1)]
    rising = found[0][1] <= found[1][1]
    fitted: Floats = mean + powers @ (_RISING @ (found[0][0] if rising else -found[1][0]))
    return fitted


def _rising() -> Floats:
    """Coefficients of t, t^2, t^3 of the cubics of ``_third_order``, shape (3, n)."""
    r = np.linspace(0, 1, _GRID)
    return np.stack([[*r**2, 0], [*-r, 1 / 2], [*np.full(_GRID, 1 / 3), -1 / 3]])


_RISING = _rising()


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


STATISTICS = ("plcc", "srocc", "krocc", "rmse")
FEW_SCENES = 6
"""Scenes below which a jackknife rests on little: said beside its intervals."""

_LEAST_STIMULI = 5
_METHOD = "jackknife over scenes"
_PERFECT = 1e-9
_SCALES: dict[str, tuple[np.ufunc, np.ufunc]] = {
    "plcc": (np.arctanh, np.tanh),
    "srocc": (np.arctanh, np.tanh),
    "krocc": (np.arctanh, np.tanh),
    "rmse": (np.log, np.exp),
}
"""To the scale on which a statistic's error is nearly symmetrical, and back."""


@dataclass(frozen=True)
class MetricDifference:
    """The statistic of the first metric minus that of the second on the same stimuli.

    The interval and the two-sided ``p`` of no difference come from one jackknife over scenes, so
    that ``p`` is below 1 - level exactly where the interval leaves zero out.
    """

    first: str
    second: str
    statistic: str
    difference: Interval
    p: float
    p_adjusted: float


@dataclass(frozen=True)
class Agreement:
    """Every metric's agreement with MOS on ``n`` stimuli of ``n_scenes`` scenes.

    ``statistics[metric][name]`` for the names in STATISTICS: Pearson after ``mapping``,
    Spearman, Kendall's tau-b, and the root mean square error in points of the scale after the
    mapping, each with its interval. ``differences``: all pairs of metrics, p
    adjusted by Holm's method. ``excluded``: stimuli left out, by reason.
    """

    n: int
    n_scenes: int
    mapping: Mapping
    statistics: Names[str, Names[str, Interval]]
    differences: tuple[MetricDifference, ...]
    excluded: Names[str, int]

    @property
    def few_scenes(self) -> bool:
        """Whether the intervals rest on little."""
        return self.n_scenes < FEW_SCENES

    def frame(self) -> pd.DataFrame:
        """One row per metric and statistic: estimate, low, high, n, scenes."""
        return pd.DataFrame(
            [
                {"metric": metric, "statistic": name, "estimate": found.estimate}
                | {"low": found.low, "high": found.high, "n": self.n, "scenes": self.n_scenes}
                for metric, row in self.statistics.items()
                for name, found in row.items()
            ]
        )


def metric_agreement(
    stimuli: pd.DataFrame,
    metrics: Names[str, bool],
    *,
    mapping: Mapping = "logistic",
    statistic: str = "srocc",
    level: float = 0.95,
) -> Agreement:
    """Agreement of each metric with MOS, and the test of every pair by ``statistic``.

    ``stimuli``: one row per stimulus with the columns ``scene``, ``mos`` and one per metric;
    ``metrics`` says of each whether higher is better. A stimulus with a missing or infinite
    value (the PSNR of the original against itself) is left out for all metrics, so that all are
    judged on the same stimuli.

    Intervals: a jackknife over scenes with all their versions, the mapping fitted anew each time,
    of Fisher's z of a correlation and the logarithm of the root mean square error: the mean of the
    pseudo-values (Tukey 1958), which takes out the bias of a fit to few scenes, plus and minus
    Student's t of scenes - 1 degrees of freedom times their standard deviation over
    sqrt(scenes - 1). There is none with fewer than LEAST_UNITS scenes, or where the statistic of
    all scenes or of all but one is perfect or undefined.

    Raises UsageError for an unknown column, mapping or statistic; StatisticsError when fewer
    than five stimuli are left, or MOS or a metric doesn't vary.
    """
    check_level(level)
    if statistic not in STATISTICS:
        raise unknown_name("statistic", statistic, STATISTICS)
    kept, finite = check_stimuli(stimuli, metrics, mapping)
    scenes = np.asarray(pd.factorize(stimuli.loc[finite, "scene"])[0], dtype=np.intp)
    n_scenes = int(scenes.max()) + 1
    weights = without_each(scenes)
    if n_scenes < LEAST_UNITS:
        weights = weights[:1]
    samples = {
        name: _statistics(kept[:, i + 1] * (1 if higher else -1), kept[:, 0], weights, mapping)
        for i, (name, higher) in enumerate(metrics.items())
    }
    return Agreement(
        n=kept.shape[0],
        n_scenes=n_scenes,
        mapping=mapping,
        statistics={
            name: {key: _interval(key, row, n_scenes, level) for key, row in found.items()}
            for name, found in samples.items()
        },
        differences=_differences(samples, statistic, n_scenes, level),
        excluded={"a missing or infinite value": int((~finite).sum())},
    )


def _statistics(
    metric: Floats, mos: Floats, weights: Floats, mapping: Mapping
) -> dict[str, Floats]:
    """Each statistic of all scenes, first, and of all scenes but one."""
    mapped = fit_mapped(mapping, metric, mos, weights)
    direction = np.sign(pearson(metric, mapped, weights))
    return {
        "plcc": direction * pearson(mapped, mos, weights),
        "srocc": spearman(metric, mos, weights),
        "krocc": kendall(metric, mos, weights),
        "rmse": root_mean_square(mapped - mos, weights),
    }


def _jackknife(values: Floats, scenes: int) -> tuple[float, float]:
    """Mean of the pseudo-values and its standard error.

    ``values``: of all scenes, then of all but each one. The error divides the pseudo-values'
    standard deviation by sqrt(scenes - 1); NaN with few scenes or a value that isn't finite.
    """
    if scenes < LEAST_UNITS or not np.isfinite(values).all():
        return math.nan, math.nan
    pseudo = scenes * values[0] - (scenes - 1) * values[1:]
    return float(pseudo.mean()), float(pseudo.std(ddof=1)) / math.sqrt(scenes - 1)


def _interval(statistic: str, values: Floats, scenes: int, level: float) -> Interval:
    forth, back = _SCALES[statistic]
    estimate = float(values[0])
    distance = values if statistic == "rmse" else 1 - np.abs(values)
    perfect = distance < _PERFECT
    middle, error = _jackknife(forth(np.where(perfect, np.nan, values)), scenes)
    half = float(student_quantile(scenes - 1, level)) * error
    low, high = float(back(middle - half)), float(back(middle + half))
    return Interval(
        estimate, min(low, estimate), max(high, estimate), level, scenes, "scene",
        f"{statistic}, new scenes", _METHOD,
    )  # fmt: skip


def _differences(
    samples: dict[str, dict[str, Floats]], statistic: str, scenes: int, level: float
) -> tuple[MetricDifference, ...]:
    pairs = list(itertools.combinations(samples, 2))
    found = [
        jackknifed(
            samples[a][statistic] - samples[b][statistic],
            scenes,
            f"difference of {statistic}",
            level,
        )
        for a, b in pairs
    ]
    adjusted = holm([p for _, p in found])
    return tuple(
        MetricDifference(a, b, statistic, interval, p, float(holm_p))
        for (a, b), (interval, p), holm_p in zip(pairs, found, adjusted, strict=True)
    )


def jackknifed(values: Floats, scenes: int, estimand: str, level: float) -> tuple[Interval, float]:
    """The interval of ``values[0]``, and the two-sided p of no difference from zero.

    ``values`` are of all ``scenes``, then of all but each one; both come from one jackknife, and
    are NaN with fewer than LEAST_UNITS scenes, a value that isn't finite, or no spread.
    """
    middle, error = _jackknife(values, scenes)
    if error < _PERFECT:
        middle = error = math.nan
    half = float(student_quantile(scenes - 1, level)) * error
    p = float(2 * scipy.special.stdtr(scenes - 1, -abs(middle) / error))
    interval = Interval(
        float(values[0]), middle - half, middle + half, level, scenes, "scene",
        f"{estimand}, new scenes", _METHOD,
    )  # fmt: skip
    return interval, p


def check_stimuli(
    stimuli: pd.DataFrame, metrics: Names[str, bool], mapping: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """MOS and metrics of the stimuli on which all are finite, shape (n, 1 + metrics), and which.

    Raises what ``metric_agreement`` raises.
    """
    for column in ("scene", "mos", *metrics):
        if column not in stimuli:
            raise unknown_name("column", column, map(str, stimuli.columns))
    if mapping not in MAPPINGS:
        raise unknown_name("mapping", mapping, MAPPINGS)
    columns = ["mos", *metrics]
    finite = finite_rows(stimuli, columns)
    values = stimuli[columns].to_numpy(dtype=np.float64)
    _check_variation(values[finite], columns)
    return values[finite], finite


def finite_rows(stimuli: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Which stimuli have finite values in all ``columns``."""
    values = stimuli[list(columns)].to_numpy(dtype=np.float64)
    found: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    return found


def _check_variation(values: Floats, columns: list[str]) -> None:
    if values.shape[0] < _LEAST_STIMULI:
        raise StatisticsError(
            f"{values.shape[0]} stimuli have finite values of {', '.join(columns)}.",
            f"A correlation needs {_LEAST_STIMULI}.",
        )
    flat: NDArray[np.bool_] = np.ptp(values, axis=0) == 0
    if flat.any():
        name = columns[int(np.flatnonzero(flat)[0])]
        raise StatisticsError(
            f"{name!r} has the same value on all stimuli.", "A correlation needs values that vary."
        )
