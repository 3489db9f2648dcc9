"""Which metric follows the raters: correlation of metric values with MOS, image by image.

Versions of one scene are alike in content, so that the bootstrap draws scenes, with all their
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
from numpy.typing import NDArray
from scipy import stats

from sreval.errors import StatisticsError, unknown_name
from sreval.statistics.arrays import Floats
from sreval.statistics.correlation import (
    cluster_weights,
    kendall,
    pearson,
    root_mean_square,
    spearman,
)
from sreval.statistics.intervals import Interval, expanded_tail
from sreval.statistics.mapping import MAPPINGS, Mapping, fit_mapped
from sreval.statistics.multiplicity import holm

STATISTICS = ("plcc", "srocc", "krocc", "rmse")
RESAMPLES = 1000

_LEAST_STIMULI = 5


@dataclass(frozen=True)
class MetricDifference:
    """The statistic of the first metric minus that of the second on the same stimuli.

    The interval and the two-sided ``p`` of no difference take the bootstrap's standard error
    over scenes and Student's t with scenes - 1 degrees of freedom.
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
    mapping, each with its bootstrap interval. ``differences``: all pairs of metrics, p
    adjusted by Holm's method. ``excluded``: stimuli left out, by reason.
    """

    n: int
    n_scenes: int
    mapping: Mapping
    statistics: Names[str, Names[str, Interval]]
    differences: tuple[MetricDifference, ...]
    excluded: Names[str, int]

    def frame(self) -> pd.DataFrame:
        """One row a metric and statistic: estimate, low, high, n, scenes."""
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
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Agreement of each metric with MOS, and the test of every pair by ``statistic``.

    ``stimuli``: one row a stimulus with the columns ``scene``, ``mos`` and one per metric;
    ``metrics`` says of each whether higher is better. A stimulus with a missing or infinite
    value (the PSNR of the original against itself) is left out for all metrics, so that all
    are judged on the same stimuli. Intervals: scenes drawn anew, the mapping fitted anew in
    every resample, percentiles expanded for the number of scenes (Hesterberg 2015).

    Raises UsageError for an unknown column, mapping or statistic; StatisticsError when fewer
    than five stimuli are left, or MOS or a metric doesn't vary.
    """
    _check_names(stimuli, metrics, mapping, statistic)
    columns = ["mos", *metrics]
    values = stimuli[columns].to_numpy(dtype=np.float64)
    finite = np.isfinite(values).all(axis=1)
    kept = values[finite]
    _check_variation(kept, columns)
    scenes = np.asarray(pd.factorize(stimuli.loc[finite, "scene"])[0], dtype=np.intp)
    generator = np.random.default_rng(seed)
    weights = np.concatenate(
        [np.ones((1, kept.shape[0])), cluster_weights(scenes, resamples, generator)]
    )
    n_scenes = int(scenes.max()) + 1
    draws = {
        name: _statistics(kept[:, i + 1] * (1 if higher else -1), kept[:, 0], weights, mapping)
        for i, (name, higher) in enumerate(metrics.items())
    }
    return Agreement(
        n=kept.shape[0],
        n_scenes=n_scenes,
        mapping=mapping,
        statistics={
            name: {key: _interval(key, row, n_scenes, level) for key, row in found.items()}
            for name, found in draws.items()
        },
        differences=_differences(draws, statistic, n_scenes, level),
        excluded={"a missing or infinite value": int((~finite).sum())},
    )


def _statistics(
    metric: Floats, mos: Floats, weights: Floats, mapping: Mapping
) -> dict[str, Floats]:
    """Each statistic of the sample, first, and of the resamples."""
    mapped = fit_mapped(mapping, metric, mos, weights)
    direction = np.sign(pearson(metric, mapped, weights))
    return {
        "plcc": direction * pearson(mapped, mos, weights),
        "srocc": spearman(metric, mos, weights),
        "krocc": kendall(metric, mos, weights),
        "rmse": root_mean_square(mapped - mos, weights),
    }


def _interval(statistic: str, draws: Floats, n_scenes: int, level: float) -> Interval:
    low = high = math.nan
    resampled = draws[1:][~np.isnan(draws[1:])]
    if n_scenes > 1 and resampled.size:
        tail = expanded_tail(n_scenes, level)
        low, high = (float(q) for q in np.quantile(resampled, [tail, 1 - tail]))
    method = f"expanded percentile bootstrap over scenes, {draws.size - 1} resamples"
    return Interval(
        float(draws[0]), low, high, level, n_scenes, "scene", f"{statistic}, new scenes", method
    )


def _differences(
    draws: dict[str, dict[str, Floats]], statistic: str, n_scenes: int, level: float
) -> tuple[MetricDifference, ...]:
    pairs = list(itertools.combinations(draws, 2))
    found = [
        _difference(draws[a][statistic] - draws[b][statistic], statistic, n_scenes, level)
        for a, b in pairs
    ]
    adjusted = holm([p for _, p in found])
    return tuple(
        MetricDifference(a, b, statistic, interval, p, float(holm_p))
        for (a, b), (interval, p), holm_p in zip(pairs, found, adjusted, strict=True)
    )


def _difference(
    draws: Floats, statistic: str, n_scenes: int, level: float
) -> tuple[Interval, float]:
    estimate = float(draws[0])
    half, p = math.nan, math.nan
    resampled = draws[1:][~np.isnan(draws[1:])]
    if n_scenes > 1 and resampled.size > 1:
        error = float(resampled.std(ddof=1)) * math.sqrt(n_scenes / (n_scenes - 1))
        half = float(stats.t.ppf((1 + level) / 2, n_scenes - 1)) * error
        p = float(2 * stats.t.sf(abs(estimate) / error, n_scenes - 1)) if error else 1.0
    interval = Interval(
        estimate,
        estimate - half,
        estimate + half,
        level,
        n_scenes,
        "scene",
        f"difference of {statistic}, new scenes",
        "Student t with the bootstrap's standard error",
    )
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
        raise StatisticsError(f"{name!r} has one value on all stimuli.", "Nothing can follow it.")
