"""How far raters agree with each other, and with themselves when they see a stimulus again.

Intraclass correlation, Krippendorff's alpha, split halves, SOS; test and retest.

Alpha, SOS and kappa have intervals about new raters and new stimuli: both are left out in turn,
group by group, and what the coefficient then is says how far it depends on either (the jackknife,
Efron and Stein 1981, Annals of Statistics 9(3), of both factors; the two variances are added, which
counts the votes' own noise twice and errs on the wide side).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats, Ratings, check_level, quotient
from sreval.opinions.correlation import pearson, spearman
from sreval.opinions.intervals import (
    LEAST_UNITS,
    Interval,
    category,
    on_scale,
    student_mean,
    student_quantile,
)
from sreval.opinions.significance import SignedRank, signed_rank
from sreval.opinions.votes import ACR, STIMULUS, Scale


@dataclass(frozen=True)
class IntraclassCorrelation:
    """Absolute agreement under a two-way random model: of one rater, and of the mean of all."""

    single: Interval
    average: Interval


@dataclass(frozen=True)
class SplitHalf:
    """Correlation of the MOS of two random halves of the raters, over random splits.

    ``correlation`` is the mean Pearson correlation; ``spearman_brown`` what it predicts for the
    MOS of all raters, 2 r / (1 + r); ``low`` and ``high`` the percentiles that hold ``level`` of
    the splits' correlations, which isn't a confidence interval.
    """

    correlation: float
    spearman_brown: float
    low: float
    high: float
    splits: int
    n_raters: int


@dataclass(frozen=True)
class Reliability:
    """How far the raters of ``ratings`` agree, by several coefficients, intervals at ``level``."""

    ratings: Ratings
    scale: Scale = ACR
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)

    def intraclass_correlation(self) -> IntraclassCorrelation:
        """ICC(A,1) and ICC(A,k) on the stimuli that every rater rated.

        McGraw and Wong 1996, Psychological Methods 1(1), tables 4 and 7, case 2A, with the limits
        of their correction, 1(4), page 390; ICC(2,1) and ICC(2,k) in the names of Shrout and
        Fleiss 1979. Both from memory, held against another library's figures.

        Raises StatisticsError when there are fewer than two such stimuli or two raters, or all
        their votes are equal. A quotient whose denominator is zero, as on small tables where the
        variances cancel, is NaN.
        """
        level, matrix = self.level, self.ratings.matrix()
        matrix = matrix[~np.isnan(matrix).any(axis=1)]
        n, k = matrix.shape
        if min(n, k) < 2:
            raise StatisticsError(
                f"An intraclass correlation needs two stimuli and two raters, got {matrix.shape}.",
                "Use Krippendorff's alpha, which bears missing votes.",
            )
        if np.ptp(matrix) == 0:
            raise StatisticsError(f"All votes are {matrix.flat[0]:g}: agreement is undefined.")
        grand = matrix.mean()
        rows = k * float(((matrix.mean(axis=1) - grand) ** 2).sum()) / (n - 1)
        columns = n * float(((matrix.mean(axis=0) - grand) ** 2).sum()) / (k - 1)
        total = float(((matrix - grand) ** 2).sum())
        error = (total - (n - 1) * rows - (k - 1) * columns) / ((n - 1) * (k - 1))
        size = rows + columns + abs(error)
        single = quotient(
            rows - error, rows + (k - 1) * error + k * (columns - error) / n, k * size
        )
        low, high = _single_limits(single, rows, columns, error, (n, k), level)
        average = quotient(rows - error, rows + (columns - error) / n, size)
        method = "McGraw and Wong 1996, case 2A"
        # below -1 / (k - 1), which no correlation of k raters is, the formula turns round
        defined = low > -1 / (k - 1) and not math.isnan(average)
        many = (
            (_spearman_brown(low, k), _spearman_brown(high, k)) if defined else (math.nan, math.nan)
        )
        return IntraclassCorrelation(
            Interval(single, low, high, level, n, "stimulus", "ICC(A,1)", method),
            Interval(average, *many, level, n, "stimulus", f"ICC(A,{k})", method),
        )

    def krippendorff_alpha(self) -> float:
        """Krippendorff's alpha of ordinal scores, with missing votes, at most 1.

        Krippendorff 2019, Content Analysis, 4th ed.; the ordinal metric squares the
        number of votes that lie between two scores. Stimuli with one vote can't disagree and are
        left out. NaN when all remaining votes are equal. Raises StatisticsError when no stimulus
        has two votes.
        """
        codes, stimulus, _ = self._paired()
        return _alpha(codes, stimulus, np.ones(codes.size))

    def alpha_interval(self) -> Interval:
        """Krippendorff's alpha with limits from the jackknife over raters and over stimuli.

        On the scale of log((1 + (k - 1) alpha) / (1 - alpha)), k the mean number of votes on a
        stimulus: Fisher's transformation of an intraclass correlation (Statistical Methods for
        Research Workers, 1925), which alpha of ranks is. Raises as ``krippendorff_alpha``.
        """
        codes, stimulus, rater = self._paired()
        k = stimulus.size / np.unique(stimulus).size

        cell, own_codes, own_stimulus = _cells(codes, stimulus)

        def of(votes: Floats) -> float:
            return _fisher(_alpha(own_codes, own_stimulus, votes), k)

        limits = _jackknife_limits(of, cell, (rater, stimulus), self.level)
        low, high = (_fisher_inverse(z, k) for z in limits)
        return self._interval(self.krippendorff_alpha(), low, high, (rater, stimulus), "alpha")

    def _paired(self) -> tuple[Codes, Codes, Codes]:
        """The scores' ranks, from 0, the stimuli and raters of the votes that can disagree."""
        ratings = self.ratings
        paired = np.bincount(ratings.stimulus)[ratings.stimulus] > 1
        if not paired.any():
            raise StatisticsError(
                "No stimulus has two votes.", "Agreement needs raters who rated the same."
            )
        kept = ratings.keep(paired)
        return np.unique(kept.score, return_inverse=True)[1], kept.stimulus, kept.rater

    def _interval(
        self, estimate: float, low: float, high: float, factors: tuple[Codes, ...], what: str
    ) -> Interval:
        n = min(int(np.unique(codes).size) for codes in factors)
        return Interval(estimate, low, high, self.level, n, "rater and stimulus", what, _JACKKNIFE)

    def sos_coefficient(self) -> float:
        """The SOS parameter a: vote variance = a (high - MOS)(MOS - low), least squares.

        Hossfeld, Schatz and Egger 2011, "SOS: the MOS is not enough!", QoMEX, with the
        sample variance (n - 1) of every stimulus with two votes or more. Between 0 (all alike)
        and about 1 (only the ends are used); NaN when every MOS lies at an end of the scale.
        """
        ratings = self.ratings
        return _sos(ratings.score, ratings.stimulus, np.ones(ratings.score.size), self.scale)

    def sos_interval(self) -> Interval:
        """The SOS parameter with limits from the jackknife over raters and over stimuli, of log a.

        Where a is 0 there are none.
        """
        ratings, scale = self.ratings, self.scale

        scores, ranks = np.unique(ratings.score, return_inverse=True)
        cell, codes, stimulus = _cells(ranks, ratings.stimulus)

        def of(votes: Floats) -> float:
            a = _sos(scores[codes], stimulus, votes, scale)
            return math.log(a) if a > 0 else math.nan

        factors = (ratings.rater, ratings.stimulus)
        limits = _jackknife_limits(of, cell, factors, self.level)
        low, high = (_exp(z) for z in limits)
        return self._interval(self.sos_coefficient(), low, high, factors, "SOS coefficient a")

    def split_half(self, splits: int = 200, seed: int = 0) -> SplitHalf:
        """Pearson correlation between the MOS of two halves of the raters, drawn ``splits`` times.

        An odd rater goes to a random half; stimuli without a vote in one of the halves are
        left out of that split. Raises StatisticsError with fewer than two raters, or when no
        split gives three stimuli whose MOS varies in both halves.
        """
        ratings, level = self.ratings, self.level
        if ratings.n_raters < 2:
            raise StatisticsError("One rater can't be split into halves.", "Two are needed.")
        generator = np.random.default_rng(seed)
        order = generator.permuted(np.tile(np.arange(ratings.n_raters), (splits, 1)), axis=1)
        half = (order * 2 < ratings.n_raters).T.astype(np.float64)
        cells = (ratings.stimulus, ratings.rater)
        shape = (ratings.n_stimuli, ratings.n_raters)
        sums = scipy.sparse.csr_array((ratings.score, cells), shape=shape)
        counts = scipy.sparse.csr_array((np.ones(ratings.score.size), cells), shape=shape)
        sides = []
        for side in (half, 1 - half):
            n: Floats = np.asarray(counts @ side)
            total: Floats = np.asarray(sums @ side)
            sides.append(np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0))
        both = ~np.isnan(sides[0]) & ~np.isnan(sides[1])
        enough = both.sum(axis=0) > 2
        one, other = (np.where(both, side, 0).T[enough] for side in sides)
        found = (
            pearson(one, other, both.T[enough].astype(np.float64)) if enough.any() else np.empty(0)
        )
        found = found[~np.isnan(found)]
        if not found.size:
            raise StatisticsError(
                "No split of the raters gives halves that can be correlated.",
                "Each half needs votes of more than one score on three common stimuli.",
            )
        mean = float(np.mean(found))
        low, high = (float(q) for q in np.quantile(found, [(1 - level) / 2, (1 + level) / 2]))
        return SplitHalf(mean, _spearman_brown(mean, 2), low, high, found.size, ratings.n_raters)

    def against_rest(self) -> pd.DataFrame:
        """How the votes of each rater follow the mean of the other raters' votes.

        By rater: ``n``, the stimuli that the rater and anyone else rated; Pearson and Spearman
        correlation over them, -1..1. The rater's own vote is left out of the mean. A rater with
        fewer than three such stimuli, or with all votes equal, has no correlation.
        """
        ratings = self.ratings
        n = np.bincount(ratings.stimulus)
        total = np.bincount(ratings.stimulus, ratings.score)
        others = n[ratings.stimulus] - 1
        shared = others > 0
        rest = np.full(ratings.score.size, np.nan)
        rest[shared] = (total[ratings.stimulus] - ratings.score)[shared] / others[shared]
        rows = []
        order = np.argsort(ratings.rater, kind="stable")
        ends = np.cumsum(np.bincount(ratings.rater))[:-1]
        for votes in np.split(order, ends):
            mine = votes[shared[votes]]
            own, once = ratings.score[mine], np.ones((1, mine.size))
            follows = [
                float(correlation(own, rest[mine], once)[0]) if own.size > 2 else math.nan
                for correlation in (pearson, spearman)
            ]
            rows.append((own.size, *follows))
        index = pd.Index(ratings.raters, name="rater")
        return pd.DataFrame(rows, columns=["n", "pearson", "spearman"], index=index)


def _alpha(codes: Codes, stimulus: Codes, votes: Floats) -> float:
    """Krippendorff's ordinal alpha of score codes from 0, in the scores' order, shapes (V,).

    ``votes`` says how often each stimulus has each score. The distance of two scores is that of
    their mid-ranks among all paired votes, so that alpha is one less the ratio of two sums of
    squares: none but sums over votes are needed.
    """
    votes = votes * (np.bincount(stimulus, votes)[stimulus] > 1)
    count = float(votes.sum())
    if not count:
        return math.nan
    margin = np.bincount(codes, votes)
    rank = (np.cumsum(margin) - margin / 2)[codes]
    rank -= float(votes @ rank) / count
    n, total = np.bincount(stimulus, votes), np.bincount(stimulus, votes * rank)
    squares = np.bincount(stimulus, votes * rank**2)
    several = n > 1
    within = (n * squares - total**2)[several] / (n[several] - 1)
    expected = count * float(votes @ rank**2) / (count - 1)
    return 1 - float(within.sum()) / expected if expected else math.nan


def _sos(score: Floats, stimulus: Codes, votes: Floats, scale: Scale) -> float:
    """The SOS parameter of scores that stimuli have so many ``votes`` of, shapes (V,)."""
    n = np.bincount(stimulus, votes)
    mos = np.bincount(stimulus, votes * score) / np.maximum(n, 1)
    squares = np.bincount(stimulus, votes * (score - mos[stimulus]) ** 2)
    several = n > 1
    variance = squares[several] / (n[several] - 1)
    largest = ((scale.high - mos) * (mos - scale.low))[several]
    norm = float((largest**2).sum())
    return float((largest * variance).sum()) / norm if norm else math.nan


_GROUPS = 50
"""At most so many groups of raters, and of stimuli, are left out in turn (Kott 2001, Journal of
Official Statistics 17(4)), so that large studies take seconds."""

_JACKKNIFE = "jackknife over raters and stimuli"


def _cells(codes: Codes, stimulus: Codes) -> tuple[Codes, Codes, Codes]:
    """The cell of each vote, (V,), votes of one score on one stimulus being in one.

    And of each cell the score's code and the stimulus.
    """
    scores = int(codes.max()) + 1
    cells, cell = np.unique(stimulus * scores + codes, return_inverse=True)
    return cell, cells % scores, cells // scores


def _jackknife_limits(
    statistic: Callable[[Floats], float], cell: Codes, factors: tuple[Codes, ...], level: float
) -> tuple[float, float]:
    """Limits of ``statistic`` of the votes kept, from leaving out groups of each factor's units.

    It is told how many votes of each cell are kept, (C,). ``cell`` of every vote, and the codes of
    its ``factors``, from 0, are of shape (V,). Student's t on the smallest number of groups less
    one. NaN with fewer than LEAST_UNITS units of a factor, or where the statistic of all votes or
    of a part of them is undefined.
    """
    votes = np.bincount(cell)
    estimate = statistic(votes.astype(np.float64))
    variance, fewest = 0.0, _GROUPS
    generator = np.random.default_rng(0)
    for codes in factors:
        units = int(codes.max()) + 1
        groups = min(units, _GROUPS)
        if groups < LEAST_UNITS:
            return math.nan, math.nan
        group = generator.permutation(np.arange(units) % groups)[codes]
        ends = np.cumsum(np.bincount(group))[:-1]
        parts = np.split(cell[np.argsort(group, kind="stable")], ends)
        kept = (votes - np.bincount(part, minlength=votes.size) for part in parts)
        without = np.array([statistic(one.astype(np.float64)) for one in kept])
        variance += (groups - 1) * float(without.var())
        fewest = min(fewest, groups)
    half = float(student_quantile(fewest - 1, level)) * math.sqrt(variance)
    return estimate - half, estimate + half


def _fisher(correlation: float, k: float) -> float:
    """Fisher's transformation of an intraclass correlation of groups of ``k``, else NaN."""
    inside = -1 / (k - 1) < correlation < 1
    return math.log((1 + (k - 1) * correlation) / (1 - correlation)) if inside else math.nan


def _fisher_inverse(z: float, k: float) -> float:
    return 1 - k / (_exp(z) + k - 1)


def _exp(z: float) -> float:
    return math.exp(min(z, _LARGEST_EXPONENT))


_LARGEST_EXPONENT = 700.0


def _single_limits(
    icc: float, rows: float, columns: float, error: float, shape: tuple[int, int], level: float
) -> tuple[float, float]:
    """Limits of ICC(A,1) from the mean squares, NaN where a perfect fit leaves no error."""
    n, k = shape
    if error <= 0 or math.isnan(icc) or icc >= 1:
        return math.nan, math.nan
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    spread = (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    freedom = quotient((a * columns + b * error) ** 2, spread, 1)
    if not freedom > 0:
        return math.nan, math.nan
    lower = float(scipy.special.fdtri(n - 1, freedom, (1 + level) / 2))
    upper = float(scipy.special.fdtri(freedom, n - 1, (1 + level) / 2))
    rest = k * columns + (k * n - k - n) * error
    low = quotient(n * (rows - lower * error), lower * rest + n * rows, lower * k * n * error)
    high = quotient(n * (upper * rows - error), rest + n * upper * rows, k * n * error)
    return (low, high) if -1 <= low <= high <= 1 else (math.nan, math.nan)


def _spearman_brown(correlation: float, times: int) -> float:
    """NaN where the formula has no value, or one below -1, which no correlation is."""
    found = quotient(times * correlation, 1 + (times - 1) * correlation, times)
    return found if found >= -1 else math.nan


@dataclass(frozen=True)
class Retest:
    """Agreement of first and second votes.

    ``exact`` and ``within_one``, at most a category apart, are shares of ``n_pairs``; ``change``
    is the mean over raters of their mean second minus first vote, each on stimuli of their own;
    ``kappa`` Cohen's with quadratic weights over all pairs, NaN when all votes are one score, its
    limits from the
    jackknife over raters and over stimuli of Fisher's z; ``test`` the signed-rank
    test of the raters' mean second against first votes; ``unpaired`` the repeats without a first
    vote.
    """

    n_pairs: int
    n_raters: int
    exact: float
    within_one: float
    change: Interval
    kappa: Interval
    test: SignedRank
    unpaired: int


def repeat_pairs(votes: pd.DataFrame) -> pd.DataFrame:
    """One row per repeat whose first vote is known: rater, stimulus, ``first`` and ``second``.

    Raises StatisticsError when the accepted votes hold no such repeat.
    """
    accepted = votes[votes["accepted"]]
    key = ["rater", *STIMULUS]
    first = accepted.loc[accepted["kind"] == "vote", [*key, "score"]]
    second = accepted.loc[accepted["kind"] == "repeat", [*key, "score"]]
    pairs = first.merge(second, on=key, suffixes=("_first", "_second"))
    if pairs.empty:
        raise StatisticsError(
            "The votes hold no repeat with its first vote.", "Mark second votes kind=repeat."
        )
    return pairs.rename(columns={"score_first": "first", "score_second": "second"})


def retest(votes: pd.DataFrame, scale: Scale = ACR, level: float = 0.95) -> Retest:
    """How well raters agree with themselves (Ledig et al. 2017, supplement: the pilot study).

    Raises StatisticsError when there is no repeat.
    """
    pairs = repeat_pairs(votes)
    repeats = int((votes["accepted"] & (votes["kind"] == "repeat")).sum())
    change = pairs["second"] - pairs["first"]
    by_rater = pairs.groupby("rater")[["first", "second"]].mean()
    return Retest(
        n_pairs=len(pairs),
        n_raters=len(by_rater),
        exact=float((change == 0).mean()),
        within_one=float((change.abs() <= category(scale) * (1 + 1e-9)).mean()),
        change=_change(by_rater["second"] - by_rater["first"], len(pairs), scale, level),
        kappa=_kappa(pairs, level),
        test=signed_rank(by_rater["second"], by_rater["first"]),
        unpaired=repeats - len(pairs),
    )


def _change(by_rater: pd.Series, pairs: int, scale: Scale, level: float) -> Interval:
    """Student's t over raters, kept on the scale that differences of two votes have."""
    width = scale.high - scale.low
    estimand = "second minus first vote, raters in general"
    found = student_mean(by_rater, level, unit="rater", estimand=estimand)
    return on_scale(found, scale, pairs, Scale(-width, width))


def _kappa(pairs: pd.DataFrame, level: float) -> Interval:
    first, second = (pairs[name].to_numpy(dtype=np.float64) for name in ("first", "second"))
    rater = pd.factorize(pairs["rater"])[0]
    stimulus = np.asarray(pairs.groupby(list(STIMULUS)).ngroup(), dtype=np.intp)

    def of(votes: Floats) -> float:
        kept = votes > 0
        return _fisher(weighted_kappa(first[kept], second[kept]), 2)

    limits = _jackknife_limits(of, np.arange(first.size), (rater, stimulus), level)
    low, high = (_fisher_inverse(z, 2) for z in limits)
    n = min(int(codes.max()) + 1 for codes in (rater, stimulus))
    kappa = weighted_kappa(first, second)
    return Interval(kappa, low, high, level, n, "rater and stimulus", "kappa", _JACKKNIFE)


def weighted_kappa(first: Floats, second: Floats) -> float:
    """Cohen's kappa with quadratic weights of two vectors of scores, NaN if all are one score.

    Cohen 1968, Psychological Bulletin 70(4), weights (i - j)^2. Written in moments, it is Lin's
    concordance correlation coefficient (1989, Biometrics 45(1)), which any numbers have.
    """
    chance = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    return 1 - float(((first - second) ** 2).mean()) / chance if chance else math.nan
