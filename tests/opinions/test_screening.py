from typing import Any

import numpy as np
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.arrays import Floats
from sreval.opinions.ratings import Ratings
from sreval.opinions.screening import bt500, correlation_with_rest, with_and_without
from sreval.opinions.votes import check_votes
from tests.opinions.builders import random_votes


def test_bt500_reaches_the_expected_counts_and_rejects_nobody(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["reliability_and_strict_bt500"]["screening"]
    result = bt500(Ratings.from_matrix(nflx))
    assert result.table["P"].to_list() == published["standard_ddof1_votes"]["P"]
    assert result.table["Q"].to_list() == published["standard_ddof1_votes"]["Q"]
    assert result.rejected == ()


def test_bt500_rejects_nobody_where_many_stimuli_are_rated_alike(unanimous: Floats) -> None:
    result = bt500(Ratings.from_matrix(unanimous))
    assert result.rejected == ()
    assert result.skipped["stimuli rated alike or once"] == (np.ptp(unanimous, axis=1) == 0).sum()


def literal_bt500(votes: Floats) -> list[tuple[int, int, bool]]:
    """The recommendation's steps vote by vote, numpy and scipy for the moments."""
    p, q = np.zeros(votes.shape[1], int), np.zeros(votes.shape[1], int)
    for row in votes:
        cast = row[~np.isnan(row)]
        if cast.size < 2 or np.ptp(cast) == 0:
            continue
        normal = 2 <= stats.kurtosis(cast, fisher=False) <= 4
        limit = (2 if normal else np.sqrt(20)) * cast.std(ddof=1)
        for i, vote in enumerate(row):
            p[i] += vote >= cast.mean() + limit
            q[i] += vote <= cast.mean() - limit
    result = []
    for i in range(votes.shape[1]):
        strays = p[i] + q[i]
        cast_by = (~np.isnan(votes[:, i])).sum()
        bad = strays / cast_by > 0.05 and strays > 0 and abs(p[i] - q[i]) / strays < 0.3
        result.append((int(p[i]), int(q[i]), bool(bad)))
    return result


def test_bt500_agrees_with_the_recommendation_taken_literally() -> None:
    rejected = 0
    for seed in range(6):
        generator = np.random.default_rng(seed)
        quality = generator.uniform(1.5, 4.5, (40, 1))
        votes = np.clip(np.rint(quality + generator.normal(0, 0.5, (40, 15))), 1, 5)
        votes[:, 0] = generator.integers(1, 6, 40)
        votes[generator.random(votes.shape) < 0.2] = np.nan
        table = bt500(Ratings.from_matrix(votes)).table
        found = list(zip(table["P"], table["Q"], table["rejected"], strict=True))
        assert found == literal_bt500(votes)
        rejected += int(table["rejected"].iloc[0])
    assert rejected > 0


def test_correlation_leaves_the_raters_own_vote_out() -> None:
    generator = np.random.default_rng(0)
    votes = generator.normal(size=(30, 1)) + generator.normal(0, 0.5, (30, 5))
    votes[:, 4] = generator.normal(size=30)
    result = correlation_with_rest(Ratings.from_matrix(votes), least=0.6)
    for i in range(5):
        rest = np.delete(votes, i, axis=1).mean(axis=1)
        assert result.table["pearson"][i] == pytest.approx(stats.pearsonr(votes[:, i], rest)[0])
        assert result.table["spearman"][i] == pytest.approx(stats.spearmanr(votes[:, i], rest)[0])
    assert result.rejected == (4,)


def test_raters_without_a_correlation_are_not_judged() -> None:
    votes = np.random.default_rng(0).normal(size=(9, 4))
    votes[:, 1] = 3
    votes[2:, 2] = np.nan
    result = correlation_with_rest(Ratings.from_matrix(votes), least=-1)
    assert result.skipped == {"raters without a correlation": 2}
    assert result.rejected == ()


def test_results_with_and_without_stand_side_by_side() -> None:
    votes = check_votes(random_votes())
    table = with_and_without(votes, ["r03"])
    kept = votes[votes["rater"] != "r03"].groupby("method")["score"].mean()
    assert table["mos_kept"].to_list() == pytest.approx(kept.to_list())
    assert table["n_all"].to_list() == [48] * 3
    assert table["n_kept"].to_list() == [42] * 3
    assert (table["change"] == table["mos_kept"] - table["mos_all"]).all()
    with pytest.raises(SrevalError, match="leaves no vote"):
        with_and_without(votes, set(votes["rater"]))
