"""Which methods differ: paired tests within one data set, and what each claims.

Every vote of a pair comes from one rater on one image, so that neither a severe rater nor a
hard image counts as a difference. The unit decides the claim: over raters, that raters in
general see the difference on these images; over images, that these raters would see it on
images in general. Frames of one sequence are averaged over it first, and what the unit image
counts is then sequences. Single votes of one rater are not independent: with no true difference,
but raters with tastes of their own, a test over pooled votes rejected in half of 2000 simulated
studies (benchmarks/results/coverage.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, unknown_name
from sreval.frames import unit_name, unit_of
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.intervals import Interval, on_scale, student_mean
from sreval.opinions.significance import (
    SignedRank,
    Verdict,
    Zeros,
    judge,
    least_exact_p,
    letters,
    signed_rank,
)
from sreval.opinions.units import CLAIMS, DEFAULT_UNIT, Unit, claim
from sreval.opinions.votes import ACR, Scale, opinions

POOLED_WARNING = (
    "Pooled votes are not independent: with no true difference this test rejected in half of "
    "2000 simulated studies at alpha 0.05. Use the unit 'rater' or 'image'."
)


@dataclass(frozen=True)
class Pair:
    """Method ``first`` against ``second`` on the units that rated both on a common image.

    ``difference`` is first minus second with Student's t interval over the units, of this pair
    alone: it isn't adjusted for the others. ``test`` is None, and every p NaN, when no unit
    rated both. ``verdict`` is the test's among all pairs of the data set. ``excluded`` counts
    units that rated at least one of the two but have no common image. ``uneven`` says that the
    units don't rest on the same images, or raters, so that these don't weigh alike.
    """

    first: str
    second: str
    n: int
    excluded: int
    uneven: bool
    difference: Interval | None
    test: SignedRank | None
    verdict: Verdict

    @property
    def p(self) -> float:
        """The p of this test alone."""
        return self.test.p if self.test else math.nan

    @property
    def p_adjusted(self) -> float:
        """The p adjusted for all pairs of the data set."""
        return self.verdict.p_adjusted

    @property
    def too_small(self) -> bool:
        """Whether no outcome could have been significant after adjustment."""
        return self.verdict.too_small


@dataclass(frozen=True)
class Friedman:
    """Friedman's test that all methods are alike, on the ``n`` units that rated every method.

    ``least_p``: that of ``n`` units which all put the methods in the same order.
    """

    n: int
    n_methods: int
    chi_square: float
    freedom: int
    p: float
    least_p: float
    excluded: int


@dataclass(frozen=True)
class Comparison:
    """All pairs of methods of one data set, methods in falling order of their mean.

    ``unit`` is that of the tests: sequence where images are frames. ``level`` is that of the
    differences' intervals. ``letters`` is empty where no pair could have been significant, and
    ``friedman`` None where fewer than three methods or two units that rated all are there.
    """

    dataset: str
    unit: str
    claim: str
    level: float
    alpha: float
    adjustment: str
    zeros: Zeros
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    letters: dict[str, str]
    friedman: Friedman | None
    warning: str

    def frame(self) -> pd.DataFrame:
        """One row per pair: the names, n, difference with interval, p values, effect, verdict."""
        return pd.DataFrame([self._row(pair) for pair in self.pairs])

    def _row(self, pair: Pair) -> dict[str, object]:
        difference, test = pair.difference, pair.test
        return {
            "dataset": self.dataset,
            "first": pair.first,
            "second": pair.second,
            "unit": self.unit,
            "n": pair.n,
            "excluded": pair.excluded,
            "zeros": test.n_zero if test else 0,
            "estimand": difference.estimand if difference else "",
            "uneven": pair.uneven,
            "difference": difference.estimate if difference else math.nan,
            "low": difference.low if difference else math.nan,
            "high": difference.high if difference else math.nan,
            "level": self.level,
            "interval_adjusted": False,
            "p": pair.p,
            "p_adjusted": pair.p_adjusted,
            "adjustment": self.adjustment,
            "alpha": self.alpha,
            "least_p": test.least_p if test else math.nan,
            "least_p_adjusted": pair.verdict.least_p_adjusted,
            "rank_biserial": test.rank_biserial if test else math.nan,
            "p_method": test.method if test else "",
            "significant": pair.verdict.significant,
            "too_small": pair.too_small,
        }


def compare_methods(
    votes: pd.DataFrame,
    *,
    unit: Unit = DEFAULT_UNIT,
    methods: Sequence[str] | None = None,
    zeros: Zeros = "wilcox",
    adjustment: str = "holm",
    alpha: float = 0.05,
    level: float = 0.95,
    scale: Scale = ACR,
) -> list[Comparison]:
    """Compare all pairs of methods by the signed-rank test, data set by data set.

    ``votes`` are checked votes; of a unit's votes on one method the mean counts. p values are
    adjusted within one data set. A pair is ``too_small`` when no outcome could give an adjusted
    p below ``alpha``, see ``significance.judge``. ``level`` is that of the intervals, which are
    kept within the differences that ``scale`` allows. Raises UsageError for an unknown unit,
    adjustment or method, StatisticsError for a level outside 0..1 and when a data set has fewer
    than two methods.
    """
    if unit not in CLAIMS:
        raise unknown_name("unit", unit, CLAIMS)
    counted = opinions(votes)
    for method in methods or ():
        if method not in set(counted["method"]):
            raise unknown_name("method", method, set(counted["method"]), "It has no votes.")
    if methods:
        counted = counted[counted["method"].isin(methods)]
    return [
        _compare(str(dataset), group, unit, zeros, adjustment, alpha, level, scale)
        for dataset, group in counted.groupby("dataset", sort=True)
    ]


def best_outcome(units: Sequence[int], adjustment: str, alpha: float) -> list[Verdict]:
    """The results of tests on so many ``units`` when every unit puts all methods in the same order.

    No outcome is more favourable to any of them, and no unit is lost to a tie. 0 units: that
    test isn't made. Raises UsageError for an unknown adjustment.
    """
    least = [least_exact_p(n) if n else math.nan for n in units]
    return judge(least, least, adjustment, alpha)


def least_units(comparisons: int, adjustment: str = "holm", alpha: float = 0.05) -> int:
    """The fewest units, raters or images, on which one of so many comparisons can be significant.

    Raises UsageError for an unknown adjustment.
    """
    return next(
        n
        for n in itertools.count(1)
        if not best_outcome([n] * comparisons, adjustment, alpha)[0].too_small
    )


def friedman(table: Floats) -> Friedman | None:
    """Friedman's rank test on a unit by method table; rows with a NaN are left out and counted.

    Chi-square with tie correction (Friedman 1937; Hollander, Wolfe and Chicken 2014, section
    7.1). None with fewer than three methods or two complete units.
    """
    complete = table[~np.isnan(table).any(axis=1)]
    n, k = complete.shape
    if k < 3 or n < 2:
        return None
    # means of equal votes may differ in the last bit, which must not decide a rank
    ranks = pd.DataFrame(np.round(complete, 10)).rank(axis=1).to_numpy()
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    between = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    chi_square = (k - 1) * between / spread if spread else 0.0
    p, least = (float(scipy.special.chdtrc(k - 1, x)) for x in (chi_square, n * (k - 1)))
    return Friedman(n, k, chi_square, k - 1, p, least, table.shape[0] - n)


def _compare(
    dataset: str,
    votes: pd.DataFrame,
    unit: Unit,
    zeros: Zeros,
    adjustment: str,
    alpha: float,
    level: float,
    scale: Scale,
) -> Comparison:
    means = votes.groupby(["method", "image"])["score"].mean()
    parts = means.groupby(["method", means.index.get_level_values("image").map(unit_of)]).mean()
    # means of equal votes may differ in the last bit, which must not decide the order
    means = parts.groupby("method").mean().round(10).sort_values(ascending=False, kind="stable")
    names = [str(name) for name in means.index]
    if len(names) < 2:
        raise StatisticsError(
            f"{dataset or 'The table'} has votes on one method only: {names[0]}.",
            "A comparison needs two.",
        )
    wide = votes.pivot(index=["rater", "image"], columns="method", values="score")[names]
    of = unit_name(map(str, wide.index.unique("image")))
    levels = _levels(wide.index, unit, of)
    codes = levels[0] if len(levels) == 1 else levels[1][levels[0]]
    scores = wide.to_numpy(dtype=np.float64)
    raters, images = (wide.index.get_level_values(name) for name in ("rater", "image"))
    couples = list(itertools.combinations(range(len(names)), 2))
    both = [~np.isnan(scores[:, [i, j]]).any(axis=1) for i, j in couples]
    shared = [int(rows.sum()) for rows in both]
    uneven = [
        unit != "pooled" and raters[rows].nunique() * images[rows].nunique() != rows.sum()
        for rows in both
    ]
    common = [_common_means(scores[:, [i, j]], levels) for i, j in couples]
    tests = [signed_rank(*m.T, zeros=zeros) if len(m) else None for m in common]
    verdicts = judge(
        [test.p if test else math.nan for test in tests],
        [test.least_p if test else math.nan for test in tests],
        adjustment,
        alpha,
    )
    pairs = tuple(
        Pair(
            first=names[i],
            second=names[j],
            n=len(m),
            excluded=np.unique(codes[~np.isnan(scores[:, [i, j]]).all(axis=1)]).size - len(m),
            uneven=bool(uneven[place]),
            difference=_difference(m, unit, of, level, scale, shared[place], uneven[place])
            if len(m)
            else None,
            test=tests[place],
            verdict=verdicts[place],
        )
        for place, ((i, j), m) in enumerate(zip(couples, common, strict=True))
    )
    return Comparison(
        dataset=dataset,
        unit=of if unit == "image" else unit,
        claim=claim(unit, of),
        level=level,
        alpha=alpha,
        adjustment=adjustment,
        zeros=zeros,
        methods=tuple(names),
        pairs=pairs,
        letters=letters(names, {(p.first, p.second): p.verdict for p in pairs}),
        friedman=friedman(_unit_means(scores, levels)),
        warning=POOLED_WARNING if unit == "pooled" else "",
    )


def _levels(rows: pd.Index[Any], unit: Unit, of: str) -> list[Codes]:
    """What the rows of (rater, image) are averaged to, step by step: codes of each step's means.

    Stills at once to the unit. Frames first, each to its mean for the image or of each rater in
    its sequence, and these to the unit: the sequence or the rater.
    """
    if unit == "pooled":
        return [np.arange(len(rows), dtype=np.intp)]
    if of == "image":
        return [np.asarray(pd.factorize(rows.get_level_values(unit))[0], dtype=np.intp)]
    keys = [(image,) if unit == "image" else (rater, unit_of(image)) for rater, image in rows]
    parts, kept = pd.factorize(pd.Index(keys, tupleize_cols=False))
    whole = [unit_of(key[0]) if unit == "image" else key[0] for key in kept]
    return [np.asarray(codes, dtype=np.intp) for codes in (parts, pd.factorize(pd.Index(whole))[0])]


def _unit_means(scores: Floats, levels: Sequence[Codes]) -> Floats:
    """Unit by method means of the rows in which every method was rated, NaN without such rows."""
    for codes in levels:
        units = int(codes.max()) + 1
        rows = ~np.isnan(scores).any(axis=1)
        counts = np.bincount(codes[rows], minlength=units).astype(np.float64)
        counts[counts == 0] = np.nan
        columns = [np.bincount(codes[rows], column[rows], units) / counts for column in scores.T]
        scores = np.stack(columns, axis=1)
    return scores


def _common_means(scores: Floats, levels: Sequence[Codes]) -> Floats:
    """``_unit_means`` of the units that have any."""
    means = _unit_means(scores, levels)
    return means[~np.isnan(means).any(axis=1)]


def _difference(
    means: Floats,
    unit: Unit,
    of: str,
    level: float,
    scale: Scale,
    shared: int,
    uneven: bool,
) -> Interval:
    """The mean difference of the units' ``means``, (n, 2), of ``shared`` pairs of votes."""
    name = of if unit == "image" else "vote" if unit == "pooled" else unit
    what = f"mean of the {name}s' mean differences" if uneven else "difference of means"
    found = student_mean(
        means[:, 0] - means[:, 1],
        level,
        unit=name,
        estimand=f"{what}: {claim(unit, of)}",
    )
    width = scale.high - scale.low
    return on_scale(found, scale, shared, Scale(-width, width))
