"""Which methods differ: paired tests within one data set, and what each claims.

Every vote of a pair comes from one rater on one image, so that neither a severe rater nor a
hard image counts as a difference. The unit decides the claim: over raters, that raters in
general see the difference on these images; over images, that these raters would see it on
images in general; over both, that raters in general see it on images in general. The first two are
signed-rank tests of the units' means, the last is Student's t of the crossed differences, or of all
votes on two methods where raters saw most images under one of them only (``crossed_pair``). Frames
of one sequence are averaged over it first, and what the unit image counts is then sequences. Single
votes of one rater are not independent: with no true difference, but raters with tastes of their
own, a test over pooled votes rejected in half of 2000 simulated studies
(benchmarks/results/coverage.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, UsageError, unknown_name
from sreval.frames import unit_name, unit_of
from sreval.opinions.arrays import Codes, Floats, cell_means, compact, quotient
from sreval.opinions.crossed import CrossedMean, crossed_mean, crossed_pair, rated_together
from sreval.opinions.intervals import (
    LEAST_UNITS,
    Interval,
    least_error,
    on_scale,
    standard_error,
    student_mean,
    student_quantile,
)
from sreval.opinions.sequential import p_of_look
from sreval.opinions.significance import (
    ADJUSTMENTS,
    SignedRank,
    Verdict,
    Zeros,
    compatible_levels,
    judge,
    least_exact_p,
    letters,
    signed_rank,
)
from sreval.opinions.units import (
    CLAIMS,
    ENOUGH_FOR_BOTH,
    Chosen,
    Spending,
    Unit,
    claim,
    unit_names,
)
from sreval.opinions.votes import ACR, Scale, opinions, units_of

POOLED_WARNING = (
    "Pooled votes are not independent: with no true difference this test rejected in half of "
    "2000 simulated studies at alpha 0.05. Use the unit 'both', 'rater' or 'image'."
)


BESIDE: tuple[Unit, ...] = ("rater", "image")
"""The units of the signed-rank tests that are made beside that of "both"."""


@dataclass(frozen=True)
class MeanTest:
    """Student's t of a mean difference: its ``estimate``, standard ``error`` and ``freedom``.

    ``error`` is at least what unanimous votes leave open (``intervals.least_error``). ``n`` units,
    of raters and images the smaller number.
    """

    estimate: float
    error: float
    freedom: float
    n: int
    least_p: ClassVar[float] = 0.0
    method: ClassVar[str] = "Student t"

    @property
    def p(self) -> float:
        """The two-sided p of a mean of zero."""
        return min(1.0, 2 * self.p_below(-abs(self.estimate)))

    def p_below(self, distance: float) -> float:
        """The chance of a t as low as that of a mean ``distance`` points from what is tested."""
        return float(scipy.special.stdtr(self.freedom, distance / self.error))

    def limits(self, level: float) -> tuple[float, float]:
        """Student's t limits at ``level``."""
        half = float(student_quantile(self.freedom, level)) * self.error
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of a pair against a margin (Schuirmann 1987, J. Pharmacokinetics 15(6)).

    ``first`` is the verdict that the first method is no worse by ``margin`` points or more,
    ``second`` the same of the second; ``p_first`` and ``p_second`` are these tests alone. With
    both, the two are equivalent within the margin. ``low`` and ``high`` are the 1 - 2 alpha
    interval of the difference: without adjustment it lies within the margin on either side
    exactly where both tests are significant. All but ``margin`` and ``level`` are NaN where the
    tests can't be made.
    """

    margin: float
    low: float
    high: float
    level: float
    p_first: float
    p_second: float
    first: Verdict
    second: Verdict

    @property
    def verdict(self) -> str:
        """What was shown, in words."""
        if math.isnan(self.p_first):
            return "n too small"
        if self.first.significant and self.second.significant:
            return f"equivalent within {self.margin:g}"
        for name, one in (("first", self.first), ("second", self.second)):
            if one.significant:
                return f"{name} no worse by {self.margin:g} or more"
        return "not shown"

    def row(self) -> dict[str, object]:
        """The columns of ``Comparison.frame`` that a margin adds."""
        adjusted = self.first.p_adjusted, self.second.p_adjusted
        return {
            "margin": self.margin,
            "margin_low": self.low,
            "margin_high": self.high,
            "margin_level": self.level,
            "p_first_no_worse": self.p_first,
            "p_second_no_worse": self.p_second,
            "p_equivalent": max(self.p_first, self.p_second),
            "p_first_no_worse_adjusted": adjusted[0],
            "p_second_no_worse_adjusted": adjusted[1],
            "p_equivalent_adjusted": max(adjusted),
            "shown": self.verdict,
        }


@dataclass(frozen=True)
class Pair:
    """Method ``first`` against ``second`` on the units that rated both on a common image.

    ``n`` counts units, of raters and images the smaller number; ``n_raters``, ``n_images`` (or
    sequences) and ``n_pairs``, of votes, are those that the pair has in common. ``difference`` is
    first minus second with Student's t interval of this pair alone, ``adjusted`` the same at the
    level that matches the adjusted test (``significance.compatible_levels``), for the unit "both"
    alone. ``all_votes`` says that it is of all votes on the two methods, not of differences on
    common images (``crossed.rated_together``); ``n_raters`` and ``n_images`` are then those
    with votes on both methods. ``test`` is None, and every p NaN, when it can't be made.
    ``verdict`` is the test's among all pairs of the data set; ``beside`` are those of the
    signed-rank tests over raters and over images for the unit "both".

    ``superiority`` is the chance that a rater's vote on the first is above that on the second on
    one image, or frame, ties half, for raters and images in general: the crossed mean of the
    shares of each rater's votes on each image or sequence. ``d_z`` is the difference over the
    standard deviation of the units' differences; for "both" of single differences of two votes
    (Westfall, Kenny and Judd 2014, J. Experimental Psychology: General 143(5)). ``rank_biserial``
    says how consistent the signs are, not how large the difference is; for "both" over raters.

    ``excluded`` counts units, for "both" raters, that rated at least one of the two but have no
    common image. ``uneven`` says that the units don't rest on the same images, or raters, so that
    these don't weigh alike. ``equivalence`` is None without a margin.

    ``mean`` is Student's t of the mean difference, from which intervals and ``equivalence`` are:
    None on fewer than LEAST_UNITS units, of "both" on fewer than ENOUGH_FOR_BOTH. ``crossed`` is
    the mean of "both" with what varies in it, the rest of two votes' difference, or of single votes
    where it is of ``all_votes``.
    """

    first: str
    second: str
    n: int
    n_raters: int
    n_images: int
    n_pairs: int
    zeros: int
    excluded: int
    uneven: bool
    all_votes: bool
    difference: Interval | None
    adjusted: Interval | None
    superiority: Interval | None
    d_z: float
    rank_biserial: float
    test: SignedRank | MeanTest | None
    verdict: Verdict
    beside: Mapping[Unit, Verdict]
    equivalence: Equivalence | None
    mean: MeanTest | None
    crossed: CrossedMean | None

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


_NOT_MADE = Interval(math.nan, math.nan, math.nan, math.nan, 0, "", "", "")


@dataclass(frozen=True)
class Comparison:
    """All pairs of methods of one data set, methods in falling order of their mean.

    ``unit`` is that of the tests, ``of`` what the images are samples of: image, or sequence where
    they are frames. ``why`` says why the unit isn't "both" where none was named. ``level`` is that
    of the differences' intervals. ``letters`` is empty where no pair could have been significant or
    not all were compared, and ``friedman``, over raters where the unit is "both", None where fewer
    than three methods or two units that rated all are there.
    """

    dataset: str
    unit: Unit
    of: str
    why: str
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
        """One row per pair: names, n, difference with intervals, p values, effects, verdicts."""
        return pd.DataFrame([self._row(pair) for pair in self.pairs])

    def _row(self, pair: Pair) -> dict[str, object]:
        difference, test = pair.difference or _NOT_MADE, pair.test
        adjusted, superiority = pair.adjusted or _NOT_MADE, pair.superiority or _NOT_MADE
        mean, crossed = pair.mean, pair.crossed
        beside = {
            f"p_{unit}_adjusted": pair.beside[unit].p_adjusted if pair.beside else math.nan
            for unit in BESIDE
        }
        few = {
            f"too_small_{unit}": pair.beside[unit].too_small if pair.beside else None
            for unit in BESIDE
        }
        return {
            "dataset": self.dataset,
            "first": pair.first,
            "second": pair.second,
            "unit": self.of if self.unit == "image" else self.unit,
            "n": pair.n,
            "n_raters": pair.n_raters,
            "n_images": pair.n_images,
            "n_pairs": pair.n_pairs,
            "excluded": pair.excluded,
            "zeros": pair.zeros,
            "estimand": difference.estimand,
            "uneven": pair.uneven,
            "all_votes": pair.all_votes,
            "difference": difference.estimate,
            "low": difference.low,
            "high": difference.high,
            "level": self.level,
            "error": mean.error if mean else math.nan,
            "freedom": mean.freedom if mean else math.nan,
            "sd_rater": crossed.sd_rater if crossed else math.nan,
            "sd_image": crossed.sd_image if crossed else math.nan,
            "sd_rest": crossed.sd_rest if crossed else math.nan,
            "low_adjusted": adjusted.low,
            "high_adjusted": adjusted.high,
            "level_adjusted": adjusted.level,
            "p": pair.p,
            "p_adjusted": pair.p_adjusted,
            **beside,
            "adjustment": self.adjustment,
            "alpha": self.alpha,
            "least_p": test.least_p if test else math.nan,
            "least_p_adjusted": pair.verdict.least_p_adjusted,
            "superiority": superiority.estimate,
            "superiority_low": superiority.low,
            "superiority_high": superiority.high,
            "d_z": pair.d_z,
            "rank_biserial": pair.rank_biserial,
            "p_method": test.method if test else "",
            "significant": pair.verdict.significant,
            "too_small": pair.too_small,
            **few,
            **(pair.equivalence.row() if pair.equivalence else {}),
        }


def compare_methods(
    votes: pd.DataFrame,
    *,
    unit: Unit | None = None,
    methods: Sequence[str] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    zeros: Zeros = "wilcox",
    adjustment: str = "holm",
    alpha: float = 0.05,
    level: float = 0.95,
    scale: Scale = ACR,
    margin: float | None = None,
) -> list[Comparison]:
    """Compare pairs of methods, data set by data set: those named, or else all.

    ``votes`` are checked votes; of a unit's votes on one method the mean counts. ``unit`` None:
    ``default_unit`` of each data set. Of ``pairs`` those whose methods have votes on the data set
    are compared, as they stand. p values are adjusted within one data set. A pair is
    ``too_small`` when no outcome could give an adjusted p below ``alpha``, see
    ``significance.judge``; for the unit "both" where fewer than ENOUGH_FOR_BOTH raters or images
    are common to it. ``level`` is that of the intervals, which are kept within the differences that
    ``scale`` allows. With a ``margin`` in points each pair is tested for equivalence.

    Raises UsageError for an unknown unit, adjustment or method and a margin that isn't between
    nothing and the scale's length, StatisticsError for a level outside 0..1 and when a data set
    has fewer than two methods.
    """
    if unit is not None and unit not in CLAIMS:
        raise unknown_name("unit", unit, CLAIMS)
    if margin is not None:
        check_margin(margin, alpha, scale)
    chosen = units_of(votes, unit)
    counted = opinions(votes)
    for method in methods or ():
        if method not in set(counted["method"]):
            raise unknown_name("method", method, set(counted["method"]), "It has no votes.")
    if methods:
        counted = counted[counted["method"].isin(methods)]
    asked = _Asked(tuple(pairs), zeros, adjustment, alpha, level, scale, margin)
    return [
        _compare(str(dataset), group, chosen[str(dataset)], asked)
        for dataset, group in counted.groupby("dataset", sort=True)
    ]


def check_margin(margin: float, alpha: float = 0.05, scale: Scale = ACR) -> None:
    """Raise UsageError for a margin of equivalence that can't be meant on ``scale``."""
    width = scale.high - scale.low
    if not 0 < margin < width:
        raise UsageError(
            f"A margin of {margin:g} points isn't one on the scale {scale}.",
            f"Give points above 0 and below {width:g}, such as {width / 20:g}.",
        )
    if not alpha < 0.5:
        raise UsageError(
            f"There is no test of equivalence at alpha {alpha:g}: its interval is 1 - 2 alpha.",
            "Give an alpha below 0.5.",
        )


def least_p(unit: Unit, n: int) -> float:
    """The smallest p that a test on ``n`` units allows, NaN where it can't be made.

    Of "both", ``n`` the smaller number of raters and images, any is small enough for Student's t.
    """
    if unit == "both":
        return 0.0 if n >= ENOUGH_FOR_BOTH else math.nan
    return least_exact_p(n) if n else math.nan


def best_outcome(
    units: Sequence[int],
    adjustment: str,
    alpha: float,
    unit: Unit = "rater",
    *,
    shares: Sequence[float] = (1.0,),
    spending: Spending = "obrien-fleming",
) -> list[Verdict]:
    """The results of tests on so many ``units`` when every unit puts all methods in the same order.

    No outcome is more favourable to any of them, and no unit is lost to a tie. They are those of
    the look at the last of ``shares``, as ``sequential.p_of_look`` takes them. Raises UsageError
    for an unknown adjustment.
    """
    least = [least_p(unit, n) for n in units]
    if tuple(shares) != (1.0,):
        least = p_of_look(least, shares, spending).tolist()
    return judge(least, least, adjustment, alpha)


def least_units(
    comparisons: int, adjustment: str = "holm", alpha: float = 0.05, unit: Unit = "rater"
) -> int:
    """The fewest units on which one of so many comparisons can be significant.

    Raises UsageError for an unknown adjustment.
    """
    return next(
        n
        for n in itertools.count(1)
        if not best_outcome([n] * comparisons, adjustment, alpha, unit)[0].too_small
    )


def crossed_test(
    scores: Floats, rater: Codes, image: Codes, scale: Scale = ACR
) -> tuple[CrossedMean, MeanTest | None]:
    """``crossed_pair`` of two methods' ``scores`` (C, 2), and the test over "both" from it.

    The test is None on fewer than ENOUGH_FOR_BOTH raters or images in common.
    """
    found = crossed_pair(scores, rater, image)
    n = min(found.n_raters, found.n_images)
    if n < ENOUGH_FOR_BOTH:
        return found, None
    together = rated_together(scores)
    pairs = int((~np.isnan(scores)).all(axis=1).sum()) if together else found.n_values // 2
    error = max(found.error, least_error(scale, pairs))
    return found, MeanTest(found.estimate, error, found.freedom, n)


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


@dataclass(frozen=True)
class _Asked:
    """What ``compare_methods`` was asked."""

    pairs: tuple[tuple[str, str], ...]
    zeros: Zeros
    adjustment: str
    alpha: float
    level: float
    scale: Scale
    margin: float | None

    @property
    def ends(self) -> Scale:
        """The scale of the difference of two votes."""
        width = self.scale.high - self.scale.low
        return Scale(-width, width)


def _compare(dataset: str, votes: pd.DataFrame, chosen: Chosen, asked: _Asked) -> Comparison:
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
    (rater, _), (image, images), (method, methods) = (
        pd.factorize(votes[name], sort=True) for name in ("rater", "image", "method")
    )
    cell, cells = compact(rater * len(images) + image)
    scores = np.full((cells.size, len(names)), np.nan)
    columns = np.array([names.index(name) for name in map(str, methods)])
    scores[cell, columns[method]] = votes["score"].to_numpy(dtype=np.float64)
    unit, of = chosen.unit, unit_name(map(str, images))
    units = BESIDE if unit == "both" else (unit,)
    rater, image = np.divmod(cells, len(images))
    sequence = np.asarray(pd.factorize(pd.Index([unit_of(str(name)) for name in images]))[0])[image]
    table = _Table(
        scores,
        rater,
        image,
        sequence,
        unit,
        of,
        {one: _levels(rater, image, sequence, one, of) for one in units},
    )
    place = {name: number for number, name in enumerate(names)}
    couples = (
        [(place[a], place[b]) for a, b in asked.pairs if place.keys() >= {a, b}]
        if asked.pairs
        else list(itertools.combinations(range(len(names)), 2))
    )
    tested = [_pair(table, names, i, j, asked) for i, j in couples]
    pairs = _judged(tested, table, asked)
    tests = {(pair.first, pair.second): pair.verdict for pair in pairs}
    return Comparison(
        dataset=dataset,
        unit=unit,
        of=of,
        why=chosen.why,
        claim=claim(unit, of),
        level=asked.level,
        alpha=asked.alpha,
        adjustment=asked.adjustment,
        zeros=asked.zeros,
        methods=tuple(names),
        pairs=pairs,
        letters={} if asked.pairs else letters(names, tests),
        friedman=friedman(_unit_means(table.scores, table.levels[units[0]])),
        warning=POOLED_WARNING if unit == "pooled" else "",
    )


@dataclass(frozen=True)
class _Table:
    """The votes of one data set: ``scores`` (rows, methods), a row for each rater and image.

    ``rater``, ``image`` and ``sequence``: the codes of each row; a still is its own sequence.
    ``levels``: ``_levels`` of the units over which signed-rank tests are made, that of ``unit``
    or for "both" those BESIDE it.
    """

    scores: Floats
    rater: Codes
    image: Codes
    sequence: Codes
    unit: Unit
    of: str
    levels: Mapping[Unit, Sequence[Codes]]

    @cached_property
    def codes(self) -> tuple[Codes, Codes]:
        """The rater, and the image or sequence, of each row."""
        return _as_they_come(self.rater), _as_they_come(self.sequence)


@dataclass(frozen=True)
class _Tested:
    """A pair before it is judged among the others, and the signed-rank test over each unit."""

    pair: Pair
    ranks: Mapping[Unit, SignedRank | None]


def _pair(table: _Table, names: Sequence[str], i: int, j: int, asked: _Asked) -> _Tested:
    scores, both = table.scores[:, [i, j]], table.unit == "both"
    rows = ~np.isnan(scores).any(axis=1)
    shared = int(rows.sum())
    common = {unit: _common_means(scores, levels) for unit, levels in table.levels.items()}
    ranks = {
        unit: signed_rank(*means.T, zeros=asked.zeros) if len(means) else None
        for unit, means in common.items()
    }
    unit, levels = next(iter(table.levels.items()))
    codes = levels[0] if len(levels) == 1 else levels[1][levels[0]]
    own, rank = common[unit], ranks[unit]
    full = math.prod(np.unique(own[rows]).size for own in (table.rater, table.image))
    uneven = table.unit != "pooled" and full != shared
    all_votes = both and not rated_together(scores)
    raters, images = (codes[rows] for codes in table.codes)
    differences = np.round(scores[rows, 0] - scores[rows, 1], 10)
    zeros = int((cell_means(differences, raters, images)[0] == 0).sum()) if both else None
    sides = [~np.isnan(scores[:, side]) for side in (0, 1)] if all_votes else [rows, rows]
    n_raters, n_images = (
        np.intersect1d(codes[sides[0]], codes[sides[1]]).size for codes in table.codes
    )
    pair = Pair(
        first=names[i],
        second=names[j],
        n=min(n_raters, n_images) if both else len(own),
        n_raters=n_raters,
        n_images=n_images,
        n_pairs=shared,
        zeros=zeros if zeros is not None else rank.n_zero if rank else 0,
        excluded=0
        if all_votes
        else np.unique(codes[~np.isnan(scores).all(axis=1)]).size - len(own),
        uneven=uneven and not all_votes,
        all_votes=all_votes,
        difference=None,
        adjusted=None,
        superiority=None,
        d_z=math.nan,
        rank_biserial=rank.rank_biserial if rank else math.nan,
        test=None if both else rank,
        verdict=Verdict(math.nan, math.nan, asked.alpha),
        beside={},
        equivalence=None,
        mean=None,
        crossed=None,
    )
    if not (shared or all_votes):
        return _Tested(pair, ranks)
    wins = cell_means((1 + np.sign(differences)) / 2, raters, images)
    superiority = _superiority(wins, shared, table.of, asked.level) if shared else None
    found = None
    if not both:
        means = own[:, 0] - own[:, 1]
        error, n = standard_error(means), len(own)
        least = least_error(asked.scale, shared)
        mean = (
            MeanTest(float(means.mean()), max(error, least), n - 1, n) if n >= LEAST_UNITS else None
        )
        difference = _difference(means, table.unit, table.of, asked, shared, uneven)
        d_z = quotient(difference.estimate, error * math.sqrt(n), 1)
    else:
        found, mean = crossed_test(scores, *table.codes, asked.scale)
        # a difference of two votes has the rest of both
        rest = found.sd_rest * (math.sqrt(2) if all_votes else 1)
        spread = math.hypot(found.sd_rater, found.sd_image, rest)
        difference = _crossed_interval(found.estimate, mean, asked.level, pair.n, table.of, asked)
        d_z = quotient(found.estimate, spread, 1)
    pair = replace(
        pair,
        difference=difference,
        superiority=superiority,
        d_z=d_z,
        test=mean if both else rank,
        mean=mean,
        crossed=found,
    )
    return _Tested(pair, ranks)


def _judged(tested: Sequence[_Tested], table: _Table, asked: _Asked) -> tuple[Pair, ...]:
    """The pairs with their verdicts among all of them, and with ``adjusted`` for "both"."""

    def verdicts(tests: Sequence[SignedRank | MeanTest | None]) -> list[Verdict]:
        p, least = (
            [getattr(test, name) if test else math.nan for test in tests]
            for name in ("p", "least_p")
        )
        return judge(p, least, asked.adjustment, asked.alpha)

    own = verdicts([one.pair.test for one in tested])
    equivalence = _equivalence([one.pair.mean for one in tested], asked)
    pairs = [
        replace(one.pair, verdict=verdict, equivalence=found)
        for one, verdict, found in zip(tested, own, equivalence, strict=True)
    ]
    if table.unit != "both":
        return tuple(pairs)
    beside = {unit: verdicts([one.ranks[unit] for one in tested]) for unit in BESIDE}
    levels = compatible_levels([pair.p for pair in pairs], asked.adjustment, asked.alpha)
    return tuple(
        replace(
            pair,
            beside={unit: found[number] for unit, found in beside.items()},
            adjusted=_crossed_interval(
                pair.mean.estimate, pair.mean, float(levels[number]), pair.n, table.of, asked
            )
            if pair.mean
            else None,
        )
        for number, pair in enumerate(pairs)
    )


def _equivalence(tests: Sequence[MeanTest | None], asked: _Asked) -> Sequence[Equivalence | None]:
    """Two one-sided tests of each pair against the margin, all of them adjusted together.

    Of the two of a pair one null hypothesis at most is true, which the adjustment takes into
    account: with one pair nothing is adjusted.
    """
    margin = asked.margin
    if margin is None:
        return [None] * len(tests)
    made = [test for test in tests if test is not None]
    p = [
        (test.p_below(-test.estimate - margin), test.p_below(test.estimate - margin))
        for test in made
    ]
    flat = [one for both in p for one in both]
    adjusted = ADJUSTMENTS[asked.adjustment](flat, len(made)).reshape(-1, 2)
    found = iter(zip(made, p, adjusted.tolist(), strict=True))
    level = 1 - 2 * asked.alpha

    def of(test: MeanTest, alone: tuple[float, float], judged: list[float]) -> Equivalence:
        low, high = _clipped(test, level, asked)
        first, second = (Verdict(one, 0.0, asked.alpha) for one in judged)
        return Equivalence(margin, low, high, level, *alone, first, second)

    no = Verdict(math.nan, math.nan, asked.alpha)
    not_made = Equivalence(margin, math.nan, math.nan, level, math.nan, math.nan, no, no)
    return [not_made if test is None else of(*next(found)) for test in tests]


def _clipped(test: MeanTest, level: float, asked: _Asked) -> tuple[float, float]:
    """The limits of a mean difference, kept within those that the scale allows."""
    low, high = test.limits(level)
    return max(low, asked.ends.low), min(high, asked.ends.high)


def _crossed_interval(
    estimate: float, test: MeanTest | None, level: float, n: int, of: str, asked: _Asked
) -> Interval:
    low, high = _clipped(test, level, asked) if test else (math.nan, math.nan)
    return Interval(
        estimate, low, high, level, n, " and ".join(unit_names("both", of)),
        f"mean difference: {claim('both', of)}",
        "Student t, raters and images random, kept on the scale",
        test.freedom if test else math.nan,
    )  # fmt: skip


_SHARE = Scale(0, 1, 0.5)


def _superiority(
    cells: tuple[Floats, Codes, Codes], shared: int, of: str, level: float
) -> Interval:
    """The chance that a rater puts the first above the second on one image, ties half.

    ``cells``: the share of each rater's votes on each image, or on the frames of each sequence.
    """
    found = crossed_mean(*cells)
    n = min(found.n_raters, found.n_images)
    half = math.nan
    if math.isfinite(found.error):
        half = float(student_quantile(found.freedom, level)) * found.error
    estimate = min(max(found.estimate, 0.0), 1.0)
    interval = Interval(
        estimate, estimate - half, estimate + half, level, n, " and ".join(unit_names("both", of)),
        f"probability of superiority: {claim('both', of)}",
        "Student t, raters and images random", found.freedom,
    )  # fmt: skip
    return on_scale(interval, _SHARE, shared)


def _as_they_come(codes: Codes) -> Codes:
    """Codes renumbered from 0 in the order in which they come."""
    return np.asarray(pd.factorize(codes)[0], dtype=np.intp)


def _levels(rater: Codes, image: Codes, sequence: Codes, unit: Unit, of: str) -> list[Codes]:
    """What the rows of (rater, image) are averaged to, step by step: codes of each step's means.

    Stills at once to the unit. Frames first, each to its mean for the image or of each rater in
    its sequence, and these to the unit: the sequence or the rater.
    """
    if unit == "pooled":
        return [np.arange(rater.size, dtype=np.intp)]
    if of == "image":
        return [_as_they_come(rater if unit == "rater" else image)]
    if unit == "image":
        parts, whole = image, sequence
    else:
        parts, whole = rater * (int(sequence.max()) + 1) + sequence, rater
    parts = _as_they_come(parts)
    first = np.unique(parts, return_index=True)[1]
    return [parts, _as_they_come(whole[first])]


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
    differences: Floats, unit: Unit, of: str, asked: _Asked, shared: int, uneven: bool
) -> Interval:
    """The mean of the units' ``differences``, (n,), of ``shared`` pairs of votes."""
    (name,) = unit_names(unit, of)
    what = f"mean of the {name}s' mean differences" if uneven else "difference of means"
    found = student_mean(differences, asked.level, unit=name, estimand=f"{what}: {claim(unit, of)}")
    return on_scale(found, asked.scale, shared, asked.ends)
