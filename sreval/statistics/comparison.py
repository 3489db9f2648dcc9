"""Which methods differ: paired tests within one data set, and what each claims.

Every vote of a pair comes from one rater on one image, so that neither a severe rater nor a
hard image counts as a difference. The unit decides the claim: over raters, that raters in
general see the difference on these images; over images, that these raters would see it on
images in general. Single votes of one rater are not independent: with no true difference,
but raters with tastes of their own, a test over pooled votes rejected in half of 2000 simulated
studies (benchmarks/results/coverage.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, unknown_name
from sreval.statistics.arrays import Floats
from sreval.statistics.intervals import Interval, student_mean
from sreval.statistics.multiplicity import Adjustment, benjamini_hochberg, holm, letter_display
from sreval.statistics.votes import opinions
from sreval.statistics.wilcoxon import SignedRank, Zeros, signed_rank

Unit = Literal["rater", "image", "pooled"]

CLAIMS: dict[Unit, str] = {
    "rater": "these images, raters in general",
    "image": "these raters, images in general",
    "pooled": "these raters again on these images",
}
POOLED_WARNING = (
    "Pooled votes are not independent: with no true difference this test rejected in half of "
    "2000 simulated studies at alpha 0.05. Use the unit 'rater' or 'image'."
)
ADJUSTMENTS: dict[str, Adjustment] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": lambda p: np.asarray(p, dtype=np.float64),
}


@dataclass(frozen=True)
class Pair:
    """Method ``first`` against ``second`` on the units that rated both on a common image.

    ``difference`` is first minus second with Student's t interval over the units; ``test`` is
    None, and the p NaN, when no unit rated both. ``excluded`` counts units that rated at
    least one of the two but have no common image.
    """

    first: str
    second: str
    n: int
    excluded: int
    difference: Interval | None
    test: SignedRank | None
    p: float
    p_adjusted: float
    too_small: bool


@dataclass(frozen=True)
class Friedman:
    """Friedman's test that all methods are alike, on the ``n`` units that rated every method."""

    n: int
    n_methods: int
    chi_square: float
    freedom: int
    p: float
    excluded: int


@dataclass(frozen=True)
class Comparison:
    """All pairs of methods of one data set, methods in falling order of their mean."""

    dataset: str
    unit: Unit
    claim: str
    alpha: float
    adjustment: str
    zeros: Zeros
    methods: tuple[str, ...]
    pairs: tuple[Pair, ...]
    letters: dict[str, str]
    friedman: Friedman | None
    warning: str

    def frame(self) -> pd.DataFrame:
        """One row a pair: the names, n, difference with interval, p values, effect, verdict."""
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
            "difference": difference.estimate if difference else math.nan,
            "low": difference.low if difference else math.nan,
            "high": difference.high if difference else math.nan,
            "p": pair.p,
            "p_adjusted": pair.p_adjusted,
            "adjustment": self.adjustment,
            "rank_biserial": test.rank_biserial if test else math.nan,
            "p_method": test.method if test else "",
            "significant": pair.p_adjusted < self.alpha,
            "too_small": pair.too_small,
        }


def compare_methods(
    votes: pd.DataFrame,
    *,
    unit: Unit = "rater",
    methods: Sequence[str] | None = None,
    zeros: Zeros = "wilcox",
    adjustment: str = "holm",
    alpha: float = 0.05,
) -> list[Comparison]:
    """Compare all pairs of methods by the signed-rank test, data set by data set.

    ``votes`` are checked votes; of a unit's votes on one method the mean counts. p values are
    adjusted within one data set. A pair is ``too_small`` when no outcome could give p below
    ``alpha`` before adjustment. Raises UsageError for an unknown unit, adjustment or method,
    StatisticsError when a data set has fewer than two methods.
    """
    if unit not in CLAIMS:
        raise unknown_name("unit", unit, CLAIMS)
    if adjustment not in ADJUSTMENTS:
        raise unknown_name("adjustment", adjustment, ADJUSTMENTS)
    counted = opinions(votes)
    for method in methods or ():
        if method not in set(counted["method"]):
            raise unknown_name("method", method, set(counted["method"]), "It has no votes.")
    if methods:
        counted = counted[counted["method"].isin(methods)]
    return [
        _compare(str(dataset), group, unit, zeros, adjustment, alpha)
        for dataset, group in counted.groupby("dataset", sort=True)
    ]


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
    ranks = scipy.stats.rankdata(np.round(complete, 10), axis=1)
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())
    between = float(((ranks.sum(axis=0) - n * (k + 1) / 2) ** 2).sum())
    chi_square = (k - 1) * between / spread if spread else 0.0
    p = float(scipy.stats.chi2.sf(chi_square, k - 1))
    return Friedman(n, k, chi_square, k - 1, p, table.shape[0] - n)


def _compare(
    dataset: str, votes: pd.DataFrame, unit: Unit, zeros: Zeros, adjustment: str, alpha: float
) -> Comparison:
    means = votes.groupby("method")["score"].mean().sort_values(ascending=False, kind="stable")
    names = [str(name) for name in means.index]
    if len(names) < 2:
        raise StatisticsError(
            f"{dataset or 'The table'} has votes on one method only: {names[0]}.",
            "A comparison needs two.",
        )
    wide = votes.pivot(index=["rater", "image"], columns="method", values="score")[names]
    codes = _unit_codes(wide, unit)
    scores = wide.to_numpy(dtype=np.float64)
    pairs = [
        _pair(names[i], names[j], scores[:, [i, j]], codes, unit, zeros, alpha)
        for i, j in itertools.combinations(range(len(names)), 2)
    ]
    adjusted = ADJUSTMENTS[adjustment]([pair.p for pair in pairs])
    done = tuple(
        Pair(**(vars(pair) | {"p_adjusted": float(p)}))
        for pair, p in zip(pairs, adjusted, strict=True)
    )
    return Comparison(
        dataset=dataset,
        unit=unit,
        claim=CLAIMS[unit],
        alpha=alpha,
        adjustment=adjustment,
        zeros=zeros,
        methods=tuple(names),
        pairs=done,
        letters=letter_display(names, [(p.first, p.second) for p in done if p.p_adjusted < alpha]),
        friedman=friedman(_unit_means(scores, codes)),
        warning=POOLED_WARNING if unit == "pooled" else "",
    )


def _unit_codes(wide: pd.DataFrame, unit: Unit) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """For each row of (rater, image) the number of the unit it belongs to."""
    if unit == "pooled":
        return np.arange(len(wide), dtype=np.intp)
    return np.asarray(pd.factorize(wide.index.get_level_values(unit))[0], dtype=np.intp)


def _unit_means(scores: Floats, codes: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    """Unit by method means of the rows in which every method was rated, NaN without such rows."""
    units = int(codes.max()) + 1
    rows = ~np.isnan(scores).any(axis=1)
    counts = np.bincount(codes[rows], minlength=units).astype(np.float64)
    counts[counts == 0] = np.nan
    columns = [np.bincount(codes[rows], column[rows], units) / counts for column in scores.T]
    return np.stack(columns, axis=1)


def _pair(
    first: str,
    second: str,
    scores: Floats,
    codes: np.ndarray[tuple[int], np.dtype[np.intp]],
    unit: Unit,
    zeros: Zeros,
    alpha: float,
) -> Pair:
    rated_either = np.unique(codes[~np.isnan(scores).all(axis=1)]).size
    means = _unit_means(scores, codes)
    means = means[~np.isnan(means).any(axis=1)]
    excluded = rated_either - means.shape[0]
    if means.shape[0] == 0:
        return Pair(first, second, 0, excluded, None, None, math.nan, math.nan, True)
    test = signed_rank(means[:, 0], means[:, 1], zeros=zeros)
    difference = student_mean(
        means[:, 0] - means[:, 1],
        unit="vote" if unit == "pooled" else unit,
        estimand=f"difference of means: {CLAIMS[unit]}",
    )
    return Pair(
        first,
        second,
        means.shape[0],
        excluded,
        difference,
        test,
        test.p,
        math.nan,
        test.too_small_for(alpha),
    )
