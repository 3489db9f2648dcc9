"""Confidence intervals of a mean over independent units.

An interval is only as good as its unit is independent: values of one rater, or of one image,
are averaged first, and the interval then speaks about raters, or images, in general.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats, check_level, vector
from sreval.opinions.votes import Scale

LEAST_UNITS = 3
"""Units from which there is an interval: two say next to nothing about their spread."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and what the two are about.

    ``low`` and ``high`` are NaN where the data give no interval: fewer than LEAST_UNITS units, or
    an infinite value (the PSNR of identical images). ``n`` counts units; ``unit`` names them;
    ``estimand`` is the quantity that the interval covers at ``level``; ``freedom`` is that of
    Student's t where the interval is one, else NaN.
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int
    unit: str
    estimand: str
    method: str
    freedom: float = math.nan

    @property
    def half_width(self) -> float:
        """Half of the distance from ``low`` to ``high``, NaN where there is no interval."""
        return (self.high - self.low) / 2


def student_mean(
    values: ArrayLike, level: float = 0.95, *, unit: str = "value", estimand: str = "mean"
) -> Interval:
    """The mean of ``values``, shape (n,), with Student's t interval on n - 1 degrees of freedom.

    Identical values give an interval of width zero; fewer than LEAST_UNITS values or an infinite
    one give none. Raises StatisticsError for no values, a NaN, or infinities of both signs.
    """
    array = vector(values, unit)
    check_level(level)
    mean = _mean(array)
    half = math.nan
    if array.size >= LEAST_UNITS and math.isfinite(mean):
        half = float(student_quantile(array.size - 1, level)) * standard_error(array)
    return Interval(
        mean, mean - half, mean + half, level, array.size, unit, estimand, "Student t",
        float(array.size - 1),
    )  # fmt: skip


def standard_error(values: Floats) -> float:
    """Standard error of the mean of ``values``, shape (n,); exactly 0 where they are identical."""
    if np.ptp(values) == 0:
        return 0.0
    return float(values.std(ddof=1)) / math.sqrt(values.size)


def student_quantile(freedom: float | Floats, level: float) -> Floats:
    """The two-sided quantile of Student's t at ``level``, shape as ``freedom``."""
    return np.asarray(special.stdtrit(freedom, (1 + level) / 2), dtype=np.float64)


def exact_share(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """The limits of a ``share`` of n independent votes: Clopper and Pearson 1934, Biometrika 26.

    They cover a true share at ``level`` or more, whatever it is. Half a vote counts as half.
    """
    tail, hits = (1 - level) / 2, share * n
    low = special.betaincinv(hits, n - hits + 1, tail) if hits > 0 else 0.0
    high = special.betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


_TINY = np.finfo(np.float64).tiny


def category(scale: Scale) -> float:
    """How far neighbouring scores are apart; on a slider a hundredth of its length."""
    return scale.spacing or (scale.high - scale.low) / 100


def least_error(scale: Scale, votes: int) -> float:
    """The standard error that unanimous votes leave open in the middle of the scale.

    That of the mean of as many votes with half the variance of votes a category apart.
    """
    return category(scale) / math.sqrt(2 * votes)


def on_scale(found: Interval, scale: Scale, votes: int, ends: Scale | None = None) -> Interval:
    """``found``, a mean of ``votes`` scores, with ``limits_on_scale`` in place of its limits.

    ``scale`` is that of the votes, whose ``category`` is taken; ``ends`` that of the scores, where
    it is another one, as for differences of votes.
    """
    enough = found.n >= LEAST_UNITS
    t = float(student_quantile(found.freedom, found.level)) if enough else math.nan
    least = t * least_error(scale, votes)
    low, high = limits_on_scale(found.estimate, found.half_width, least, ends or scale)
    method = f"{found.method}, kept on the scale"
    return replace(found, low=float(low), high=float(high), method=method)


def limits_on_scale(
    mean: ArrayLike, half: ArrayLike, least: ArrayLike, scale: Scale
) -> tuple[Floats, Floats]:
    """Limits of mean scores that stay on the scale and never have width zero.

    ``half``: Student's half width; ``least``: t times ``least_error``; all of one
    shape. The limits are those m with
    (mean - m)^2 <= k g(m): g(m), the distance of m from the nearer end but a quarter of the scale
    at most, says how the variance of scores shrinks towards an end, as Wilson's score interval
    does it for a share; k = max(half^2 / g(mean), least^2 / quarter). More than a quarter of the
    scale from its ends they are Student's, mean - half and mean + half.

    Raises StatisticsError for a mean that isn't on the scale.
    """
    mean, half, least = (np.asarray(values, dtype=np.float64) for values in (mean, half, least))
    slack = 1e-9 * (scale.high - scale.low)
    off = (mean < scale.low - slack) | (mean > scale.high + slack)
    if off.any():
        raise StatisticsError(
            f"A mean score of {mean[off].flat[0]:g} lies outside {scale}.",
            "Name the scale that was used.",
        )
    mean = np.clip(mean, scale.low, scale.high)
    quarter = (scale.high - scale.low) / 4
    room = np.minimum(np.minimum(mean - scale.low, scale.high - mean), quarter)
    own = half**2 / np.where(room > 0, room, np.inf)
    k = np.maximum(own, least**2 / quarter)
    below = _reach(mean - scale.low, scale.high - mean, k, quarter)
    above = _reach(scale.high - mean, mean - scale.low, k, quarter)
    return np.maximum(mean - below, scale.low), np.minimum(mean + above, scale.high)


def _reach(ahead: Floats, behind: Floats, k: Floats, quarter: float) -> Floats:
    """The largest d with d^2 <= k min(ahead - d, behind + d, quarter)."""
    # not as a difference of roots, which loses all digits where k is large
    nearing: Floats = k * ahead / np.maximum(np.sqrt(k**2 / 4 + k * ahead) + k / 2, _TINY)
    leaving: Floats = np.sqrt(k**2 / 4 + k * behind) + k / 2
    return np.minimum(np.minimum(nearing, leaving), np.sqrt(k * quarter))


def _mean(array: Floats) -> float:
    if np.isposinf(array).any() and np.isneginf(array).any():
        raise StatisticsError(
            "The values hold both +inf and -inf, which have no mean.",
            "Leave out the units with infinite values and report them.",
        )
    return float(array.mean())
