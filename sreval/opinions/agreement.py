"""Which metric follows the raters: correlation of metric values with MOS, image by image.

Versions of one scene are alike in content, so that the jackknife leaves out scenes, with all their
versions. Correlations are signed so that 1 is best for every metric: a metric that is better
when lower is turned round first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping as Names
from dataclasses import dataclass

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
from sreval.opinions.mapping import MAPPINGS, Mapping, fit_mapped
from sreval.opinions.multiplicity import holm

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
    _check_names(stimuli, metrics, mapping, statistic)
    columns = ["mos", *metrics]
    values = stimuli[columns].to_numpy(dtype=np.float64)
    finite = np.isfinite(values).all(axis=1)
    kept = values[finite]
    _check_variation(kept, columns)
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
        _difference(samples[a][statistic] - samples[b][statistic], statistic, scenes, level)
        for a, b in pairs
    ]
    adjusted = holm([p for _, p in found])
    return tuple(
        MetricDifference(a, b, statistic, interval, p, float(holm_p))
        for (a, b), (interval, p), holm_p in zip(pairs, found, adjusted, strict=True)
    )


def _difference(
    values: Floats, statistic: str, scenes: int, level: float
) -> tuple[Interval, float]:
    middle, error = _jackknife(values, scenes)
    if error < _PERFECT:
        middle = error = math.nan
    half = float(student_quantile(scenes - 1, level)) * error
    p = float(2 * scipy.special.stdtr(scenes - 1, -abs(middle) / error))
    interval = Interval(
        float(values[0]), middle - half, middle + half, level, scenes, "scene",
        f"difference of {statistic}, new scenes", _METHOD,
    )  # fmt: skip
    return interval, p


def _check_names(
    stimuli: pd.DataFrame, metrics: Names[str, bool], mapping: str, statistic: str
) -> None:
    for column in ("scene", "mos", *metrics):
        if column not in stimuli:
            raise unknown_name("column", column, map(str, stimuli.columns))
    if mapping not in MAPPINGS:
        raise unknown_name("mapping", mapping, MAPPINGS)
    if statistic not in STATISTICS:
        raise unknown_name("statistic", statistic, STATISTICS)


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
