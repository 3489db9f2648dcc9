import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from scipy import optimize, stats

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.reliability import (
    Reliability,
    retest,
    weighted_kappa,
)
from sreval.opinions.votes import STIMULUS, check_votes
from tests.opinions.builders import random_votes

GOLDEN = json.loads((Path(__file__).parent / "golden" / "reliability.json").read_text())


def of(matrix: ArrayLike, level: float = 0.95) -> Reliability:
    return Reliability(Ratings.from_matrix(matrix), level=level)


def test_nflx_reaches_the_expected_figures(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["reliability_and_strict_bt500"]
    icc = of(nflx).intraclass_correlation()
    ratings = Ratings.from_matrix(nflx)
    assert icc.single.estimate == pytest.approx(published["icc"]["ICC(A,1)"], abs=1e-4)
    assert icc.average.estimate == pytest.approx(published["icc"]["ICC(A,k)"], abs=1e-4)
    alpha = Reliability(ratings).krippendorff_alpha()
    assert alpha == pytest.approx(published["krippendorff_ordinal"], abs=1e-4)
    assert Reliability(ratings).sos_coefficient() == pytest.approx(published["sos_a"], abs=1e-4)


def test_icc_and_limits_of_shrout_and_fleiss() -> None:
    judges = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
    )
    icc = of(judges).intraclass_correlation()
    single, average = icc.single, icc.average
    assert (single.estimate, average.estimate) == pytest.approx((0.29, 0.62), abs=0.005)
    assert (single.low, single.high) == pytest.approx((0.019, 0.761), abs=0.0005)
    assert (average.low, average.high) == pytest.approx((0.071, 0.927), abs=0.0005)


def test_limits_of_icc_are_those_of_the_formula() -> None:
    """McGraw and Wong 1996, table 7, ICC(A,1), with scipy's quantiles of F."""
    n, k, level = 12, 5, 0.9
    random = np.random.default_rng(0)
    votes = random.normal(size=(n, 1)) + random.normal(size=k) / 2 + random.normal(size=(n, k)) / 2
    rows = k * votes.mean(axis=1).var(ddof=1)
    columns = n * votes.mean(axis=0).var(ddof=1)
    error = ((n * k - 1) * votes.var(ddof=1) - (n - 1) * rows - (k - 1) * columns) / (
        (n - 1) * (k - 1)
    )
    icc = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    v = (a * columns + b * error) ** 2 / (
        (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    f, g = stats.f.ppf((1 + level) / 2, n - 1, v), stats.f.ppf((1 + level) / 2, v, n - 1)
    rest = k * columns + (k * n - k - n) * error
    low = n * (rows - f * error) / (f * rest + n * rows)
    high = n * (g * rows - error) / (rest + n * g * rows)
    single = of(votes, level).intraclass_correlation().single
    assert (single.estimate, single.low, single.high) == pytest.approx((icc, low, high), rel=1e-12)


def test_icc_agrees_with_pingouin() -> None:
    icc = of(np.array(GOLDEN["complete"], float)).intraclass_correlation()
    for interval, name in [(icc.single, "icc_single"), (icc.average, "icc_average")]:
        estimate, low, high = GOLDEN[name]
        assert interval.estimate == pytest.approx(estimate, abs=1e-6)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.0051)


def test_alpha_agrees_with_the_krippendorff_package_when_votes_are_missing() -> None:
    votes = np.array(GOLDEN["missing"], float)
    alpha = of(np.where(votes == 0, np.nan, votes)).krippendorff_alpha()
    assert alpha == pytest.approx(GOLDEN["alpha_ordinal"], abs=1e-12)


def test_alpha_is_one_less_observed_over_expected_disagreement_by_enumeration() -> None:
    generator = np.random.default_rng(4)
    votes = generator.integers(1, 6, (9, 5)).astype(float)
    votes[generator.random(votes.shape) < 0.4] = np.nan
    units = [row[~np.isnan(row)] for row in votes]
    units = [unit for unit in units if unit.size > 1]
    pool = np.concatenate(units)

    def distance(one: float, other: float) -> float:
        low, high = min(one, other), max(one, other)
        between = ((pool >= low) & (pool <= high)).sum()
        return float(between - ((pool == low).sum() + (pool == high).sum()) / 2) ** 2

    def disagreement(group: Floats) -> float:
        return sum(distance(a, b) for a in group for b in group)

    observed = sum(disagreement(unit) / (unit.size - 1) for unit in units) / pool.size
    by_chance = disagreement(pool) / (pool.size * (pool.size - 1))
    alpha = of(votes).krippendorff_alpha()
    assert alpha == pytest.approx(1 - observed / by_chance, abs=1e-12)


def test_alpha_of_perfect_agreement_and_of_votes_all_equal() -> None:
    rows = np.repeat([[1.0], [3.0], [5.0]], 4, axis=1)
    assert of(rows).krippendorff_alpha() == 1
    assert math.isnan(of(np.full((3, 3), 2.0)).krippendorff_alpha())
    with pytest.raises(StatisticsError, match="No stimulus has two votes"):
        of([[1.0], [2.0]]).krippendorff_alpha()


def test_sos_is_the_least_squares_fit() -> None:
    votes = np.random.default_rng(1).integers(1, 6, (30, 10)).astype(float)
    mos, variance = votes.mean(axis=1), votes.var(axis=1, ddof=1)
    fit, _ = optimize.curve_fit(lambda x, a: a * (-(x**2) + 6 * x - 5), mos, variance)
    assert of(votes).sos_coefficient() == pytest.approx(fit[0], rel=1e-8)


def test_sos_of_the_ends_alone_is_near_one() -> None:
    votes = np.where(np.random.default_rng(0).random((200, 400)) < 0.4, 1.0, 5.0)
    assert of(votes).sos_coefficient() == pytest.approx(1, abs=0.01)
    assert math.isnan(of(np.full((3, 3), 5.0)).sos_coefficient())


def test_split_half_of_a_known_model() -> None:
    generator = np.random.default_rng(2)
    votes = generator.normal(size=(400, 1)) + 2 * generator.normal(size=(400, 20))
    result = of(votes).split_half()
    assert result.correlation == pytest.approx(1 / (1 + 4 / 10), abs=0.06)
    assert result.spearman_brown == pytest.approx(1 / (1 + 4 / 20), abs=0.05)
    assert result.low < result.correlation < result.high
    assert result == of(votes).split_half()


def test_split_half_bears_missing_votes_and_refuses_one_rater() -> None:
    votes = np.random.default_rng(3).normal(size=(50, 1)) + np.zeros(6)
    votes[::7, 2:] = np.nan
    assert of(votes).split_half().correlation == pytest.approx(1)
    with pytest.raises(StatisticsError, match="One rater"):
        of([[1.0], [2.0]]).split_half()
    with pytest.raises(StatisticsError, match="No split"):
        of(np.full((5, 4), 3.0)).split_half()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.array([[1.0, 2.0], [3.0, np.nan]]), r"got \(1, 2\)"),
        (np.ones((1, 4)), r"got \(1, 4\)"),
        (np.full((3, 3), 4.0), "All votes are 4"),
    ],
)
def test_icc_refuses(matrix: Floats, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        of(matrix).intraclass_correlation()


def test_icc_of_perfect_agreement_has_no_limits() -> None:
    icc = of(np.repeat([[1.0], [3.0], [5.0]], 4, axis=1)).intraclass_correlation()
    assert icc.single.estimate == 1
    assert math.isnan(icc.single.low)


def test_quotients_of_variances_that_cancel_are_missing() -> None:
    """The means of the stimuli are 3, 2.5, 3.5, those of the raters are both 3."""
    cancels = np.array([[4.0, 2], [2, 3], [3, 4]])
    rows, error = 0.5, 1.5  # sums of squares 1 and 3 over 2 degrees of freedom each
    columns = 0.0
    assert rows + (columns - error) / 3 == 0
    icc = of(cancels).intraclass_correlation()
    assert icc.single.estimate == pytest.approx((rows - error) / (rows + error - 2 * error / 3))
    assert math.isnan(icc.average.estimate)
    assert math.isnan(icc.average.low)
    assert math.isnan(icc.average.high)


def test_halves_that_are_opposites_have_no_prediction_for_all() -> None:
    """r = -1, and 2 r / (1 + r) is -2 / 0."""
    opposite = of(np.array([[1.0, 5], [2, 4], [5, 1], [4, 2]])).split_half()
    assert opposite.correlation == pytest.approx(-1)
    assert math.isnan(opposite.spearman_brown)


def test_flat_halves_are_said_to_be_flat() -> None:
    flat = Ratings.from_matrix(np.array([[3.0, 1], [3, 2], [3, 5]]))
    with pytest.raises(StatisticsError, match="No split of the raters"):
        Reliability(flat).split_half()


def test_retest_counts_agreement_and_change() -> None:
    first = random_votes(methods=1, images=4, raters=10)
    second = first.assign(kind="repeat", score=first["score"].clip(upper=4) + 1)
    votes = check_votes(pd.concat([first.assign(kind="vote"), second]))
    result = retest(votes)
    change = second["score"] - first["score"]
    assert (result.n_pairs, result.n_raters, result.unpaired) == (40, 10, 0)
    assert result.exact == (change == 0).mean()
    assert result.within_one == 1
    assert result.change.estimate == pytest.approx(change.mean())
    assert result.test.p < 0.05
    assert result.test.n == 10


def test_identical_votes_show_no_change() -> None:
    first = random_votes(methods=1)
    votes = check_votes(pd.concat([first.assign(kind="vote"), first.assign(kind="repeat")]))
    result = retest(votes)
    assert (result.exact, result.kappa.estimate, result.test.p) == (1, 1, 1)
    assert result.change.low < 0 < result.change.high


def test_the_change_obeys_the_level_and_is_students() -> None:
    first = random_votes(methods=2, images=6, raters=12)
    moved = np.random.default_rng(1).integers(-1, 2, len(first))
    second = first.assign(kind="repeat", score=(first["score"] + moved).clip(1, 5))
    votes = check_votes(pd.concat([first.assign(kind="vote"), second]))
    by_rater = (second["score"] - first["score"]).groupby(first["rater"]).mean()
    for level in (0.9, 0.99):
        change = retest(votes, level=level).change
        expected = stats.t.interval(level, 11, loc=by_rater.mean(), scale=stats.sem(by_rater))
        assert (change.low, change.high) == pytest.approx(expected, abs=1e-12)
        assert change.level == level


def test_repeats_without_a_first_vote_are_counted() -> None:
    first = random_votes(methods=1)
    repeats = first.assign(kind="repeat")
    votes = check_votes(pd.concat([first.iloc[5:].assign(kind="vote"), repeats]))
    assert retest(votes).unpaired == 5
    with pytest.raises(StatisticsError, match="no repeat"):
        retest(check_votes(first))


def test_kappa_with_quadratic_weights_is_the_concordance_of_moments() -> None:
    # with quadratic weights kappa = 2 cov / (var + var + (difference of means)^2)
    generator = np.random.default_rng(0)
    one = generator.integers(1, 6, 60).astype(float)
    other = np.clip(one + generator.integers(-1, 3, 60), 1.0, 5.0).astype(float)
    covariance = float(((one - one.mean()) * (other - other.mean())).mean())
    expected = 2 * covariance / (one.var() + other.var() + (one.mean() - other.mean()) ** 2)
    assert weighted_kappa(one, other) == pytest.approx(expected, abs=1e-12)


def test_kappa_of_one_score_alone_is_undefined() -> None:
    assert math.isnan(weighted_kappa(np.full(4, 3.0), np.full(4, 3.0)))


def jackknifed(statistic: Callable[[Ratings], float], ratings: Ratings) -> tuple[float, float]:
    """Student's 95 % limits of ``statistic`` from leaving out each rater and each stimulus."""
    variance = 0.0
    sizes = []
    for codes in (ratings.rater, ratings.stimulus):
        n = int(codes.max()) + 1
        without = np.array([statistic(ratings.keep(codes != unit)) for unit in range(n)])
        variance += (n - 1) / n * float(((without - without.mean()) ** 2).sum())
        sizes.append(n)
    half = float(stats.t.ppf(0.975, min(sizes) - 1)) * math.sqrt(variance)
    return statistic(ratings) - half, statistic(ratings) + half


def test_the_limits_of_alpha_are_a_jackknife_on_fishers_scale() -> None:
    votes = random_votes(1, methods=2, images=7, raters=6, seen=0.8)
    ratings = Ratings.from_votes(check_votes(votes), STIMULUS)
    k = ratings.score.size / ratings.n_stimuli

    def on_fishers_scale(part: Ratings) -> float:
        alpha = Reliability(part).krippendorff_alpha()
        return math.log((1 + (k - 1) * alpha) / (1 - alpha))

    low, high = jackknifed(on_fishers_scale, ratings)
    found = Reliability(ratings).alpha_interval()
    assert found.low == pytest.approx((math.exp(low) - 1) / (math.exp(low) + k - 1))
    assert found.high == pytest.approx((math.exp(high) - 1) / (math.exp(high) + k - 1))
    assert found.low < found.estimate < found.high


def test_the_limits_of_sos_are_a_jackknife_of_its_logarithm() -> None:
    ratings = Ratings.from_votes(check_votes(random_votes(2, raters=5)), STIMULUS)
    limits = jackknifed(lambda part: math.log(Reliability(part).sos_coefficient()), ratings)
    found = Reliability(ratings).sos_interval()
    assert (found.low, found.high) == pytest.approx(tuple(map(math.exp, limits)))
    wider = Reliability(ratings, level=0.99).sos_interval()
    assert wider.low < found.low < found.high < wider.high


def test_kappa_has_limits_that_a_larger_panel_narrows() -> None:
    def width(raters: int) -> float:
        first = random_votes(methods=2, images=6, raters=raters)
        moved = np.random.default_rng(1).integers(-1, 2, len(first))
        second = first.assign(kind="repeat", score=(first["score"] + moved).clip(1, 5))
        kappa = retest(check_votes(pd.concat([first.assign(kind="vote"), second]))).kappa
        assert -1 < kappa.low < kappa.estimate < kappa.high < 1
        return kappa.high - kappa.low

    assert width(24) < width(6)


@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[1.0, 2], [4, 5], [2, 2], [3, 4]]),
        np.array([[1.0, 2, 4], [4, 5, 5]]),
        np.repeat([[1.0], [3], [5]], 4, axis=1),
    ],
)
def test_two_units_and_perfect_agreement_give_no_limits(matrix: Floats) -> None:
    found = of(matrix)
    for interval in (found.alpha_interval(), found.sos_interval()):
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)


def test_groups_of_many_units_give_nearly_the_limits_of_single_ones() -> None:
    generator = np.random.default_rng(4)
    latent = generator.normal(3, 1, (120, 1)) + generator.normal(size=(120, 8))
    votes = np.clip(np.rint(latent), 1, 5)
    ratings = Ratings.from_matrix(votes)
    limits = jackknifed(lambda part: math.log(Reliability(part).sos_coefficient()), ratings)
    found = Reliability(ratings).sos_interval()
    assert (found.low, found.high) == pytest.approx(tuple(map(math.exp, limits)), rel=0.03)
