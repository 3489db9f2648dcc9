"""Confidence intervals of a mean over independent units.

An interval is only as good as its unit is independent: values of one rater, or of one image,
are averaged first, and the interval then speaks about raters, or images, in general.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError
from sreval.statistics.arrays import Floats, check_level, vector

_CHUNK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and what the two are about.

    ``low`` and ``high`` are NaN where the data give no interval: a single unit, or an infinite
    value (the PSNR of identical images). ``n`` counts units; ``unit`` names them; ``estimand``
    is the quantity of which ``level`` is the coverage claimed.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int
    unit: str
    estimand: str
    method: str

    @property
    def half_width(self) -> float:
        """Half of the distance from ``low`` to ``high``, NaN where there is no interval."""
        return (self.high - self.low) / 2


def student_mean(
    values: ArrayLike, level: float = 0.95, *, unit: str = "value", estimand: str = "mean"
) -> Interval:
    """The mean of ``values``, shape (n,), with Student's t interval on n - 1 degrees of freedom.

    Identical values give an interval of width zero; one value or an infinite one gives none.
    Raises StatisticsError for no values, a NaN, or infinities of both signs.
    """
    array = vector(values, unit)
    check_level(level)
    mean = _mean(array)
    half = math.nan
    if array.size > 1 and math.isfinite(mean):
        scale = float(array.std(ddof=1)) if np.ptp(array) > 0 else 0.0
        half = (
            float(scipy.stats.t.ppf((1 + level) / 2, array.size - 1))
            * scale
            / math.sqrt(array.size)
        )
    return Interval(mean, mean - half, mean + half, level, array.size, unit, estimand, "Student t")


def bootstrap_mean(
    values: ArrayLike,
    level: float = 0.95,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    unit: str = "value",
    estimand: str = "mean",
) -> Interval:
    """The mean of ``values``, shape (n,), with the expanded percentile bootstrap interval.

    The plain percentile interval, and BCa with it, is too short by the factor
    sqrt((n - 1) / n) z / t: on five normal values both cover about 84 % where 95 % are claimed.
    The expanded percentiles mend that (Hesterberg 2015, The American Statistician 69(4)):
    Phi(-sqrt(n / (n - 1)) t) in place of (1 - level) / 2.

    Identical values give an interval of width zero; one value or an infinite one gives none.
    Raises StatisticsError for no values, a NaN, infinities of both signs, or no resamples.
    """
    array = vector(values, unit)
    check_level(level)
    if resamples < 1:
        raise StatisticsError(
            f"The bootstrap needs resamples, got {resamples}.", "10,000 are usual."
        )
    mean = _mean(array)
    low = high = math.nan
    if array.size > 1 and math.isfinite(mean):
        means = _resampled_means(array, resamples, seed)
        tail = expanded_tail(array.size, level)
        low, high = (float(q) for q in np.quantile(means, [tail, 1 - tail]))
    method = f"expanded percentile bootstrap, {resamples} resamples, seed {seed}"
    return Interval(mean, low, high, level, array.size, unit, estimand, method)


def expanded_tail(n: int, level: float) -> float:
    """The tail probability of Hesterberg's expanded percentile interval for n >= 2 units."""
    t = float(scipy.stats.t.ppf((1 + level) / 2, n - 1))
    return float(scipy.stats.norm.cdf(-math.sqrt(n / (n - 1)) * t))


def _mean(array: Floats) -> float:
    if np.isposinf(array).any() and np.isneginf(array).any():
        raise StatisticsError(
            "The values hold both +inf and -inf, which have no mean.",
            "Leave out the units with infinite values and report them.",
        )
    return float(array.mean())


def _resampled_means(array: Floats, resamples: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // array.size)
    parts = [
        array[generator.integers(0, array.size, (min(rows, resamples - start), array.size))].mean(
            axis=1
        )
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(parts)
