import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import StatisticsError
from sreval.opinions.repeats import retest, weighted_kappa
from sreval.opinions.votes import check_votes
from tests.opinions.builders import random_votes


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
    assert (result.exact, result.kappa, result.test.p) == (1, 1, 1)
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
