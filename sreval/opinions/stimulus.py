"""The MOS of single stimuli, and intervals that hold at the ends of the scale as well.

26 votes on a nearest neighbour image may all be 1 although one rater in twenty says 2: the spread
of these votes then says nothing, and Student's interval has no width.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sreval.errors import unknown_name
from sreval.opinions.arrays import Floats, check_level
from sreval.opinions.intervals import LEAST_UNITS, student_quantile
from sreval.opinions.votes import ACR, STIMULUS, Scale, opinions

ESTIMAND = "this stimulus, raters in general"
BINOMIAL_SOS = 0.25
"""The SOS coefficient of binomial votes on five categories (Hossfeld et al. 2018)."""

_ENOUGH_STIMULI = 20
"""Stimuli from which the SOS coefficient is taken as known."""


def stimulus_mos(
    votes: pd.DataFrame, level: float = 0.95, interval: str = "score", scale: Scale = ACR
) -> pd.DataFrame:
    """MOS of every stimulus, indexed by (dataset, image, method).

    Columns: mos, sd (n - 1), n, low, high, interval (the method in words). The interval is of
    the name ``score`` or ``student``; fewer than LEAST_UNITS votes give none. Raises UsageError
    for another name.

    ``score``: all expected scores that the votes don't contradict, |mos - m| <= t sqrt(a (high
    - m)(m - low) / n): Wilson's interval for the variance a (high - m)(m - low) of the SOS
    hypothesis, as Hossfeld et al. 2018 ("Confidence interval estimators for MOS values",
    arXiv 1806.01126) build theirs on it. a is the stimulus' own or that of all stimuli
    together, whichever is larger; with fewer than 20 stimuli, or none whose votes differ, that of
    binomial votes, 0.25, replaces the latter. It stays on the scale and covers 95 % or
    more of the time (benchmarks/coverage.py).

    ``student``: Student's t (ITU-R BT.500-15 A1-2.2 with the normal quantile). It is
    known to under-cover at the ends of the scale: 91 % at a mean quality of 1.3 from 26 raters.
    """
    check_level(level)
    if interval not in STIMULUS_INTERVALS:
        raise unknown_name("interval of a stimulus", interval, STIMULUS_INTERVALS)
    scores = opinions(votes).groupby(list(STIMULUS), sort=True)["score"]
    table = scores.agg(["mean", "std", "count"])
    table.columns = pd.Index(["mos", "sd", "n"])
    limits, method = STIMULUS_INTERVALS[interval]
    mos, sd, n = (table[name].to_numpy(dtype=np.float64) for name in table)
    low, high = limits(mos, sd, n, level, scale)
    return table.assign(low=low, high=high, interval=method)


def student_limits(
    mos: Floats, sd: Floats, n: Floats, level: float = 0.95, scale: Scale = ACR
) -> tuple[Floats, Floats]:
    """Student's t limits of stimuli with ``n`` votes each, of shape (J,); NaN for too few."""
    half = _quantile(n, level) * sd / np.sqrt(n)
    return mos - half, mos + half


def score_limits(
    mos: Floats, sd: Floats, n: Floats, level: float = 0.95, scale: Scale = ACR
) -> tuple[Floats, Floats]:
    """The ``score`` limits of ``stimulus_mos`` for all stimuli of a study, of shape (J,)."""
    largest = (scale.high - mos) * (mos - scale.low)
    own = np.divide(sd**2, largest, out=np.zeros(n.size), where=largest > 0)
    several = n > 1
    norm = float((largest[several] ** 2).sum())
    common = float((largest * sd**2)[several].sum()) / norm if norm else 0.0
    if several.sum() < _ENOUGH_STIMULI or common == 0:
        common = BINOMIAL_SOS
    # on 0..1: (p - P)^2 <= c P (1 - P), solved for P
    width = scale.high - scale.low
    p = (mos - scale.low) / width
    c = _quantile(n, level) ** 2 * np.maximum(common, own) / n
    half = np.sqrt(c * p * (1 - p) + c**2 / 4) / (1 + c)
    middle = (p + c / 2) / (1 + c)
    return scale.low + width * (middle - half), scale.low + width * (middle + half)


Limits = Callable[[Floats, Floats, Floats, float, Scale], tuple[Floats, Floats]]

STIMULUS_INTERVALS: dict[str, tuple[Limits, str]] = {
    "score": (score_limits, "Wilson's score interval, SOS variance (Hossfeld et al. 2018)"),
    "student": (student_limits, "Student t, known to under-cover at the ends of the scale"),
}
"""The intervals of a single stimulus' MOS, and their methods in words, by name."""


def _quantile(n: Floats, level: float) -> Floats:
    quantile = np.full(n.size, np.nan)
    enough = n >= LEAST_UNITS
    quantile[enough] = student_quantile(n[enough] - 1, level)
    return quantile
