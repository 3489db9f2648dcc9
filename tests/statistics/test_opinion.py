import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from sreval.errors import UsageError
from sreval.statistics.arrays import Floats
from sreval.statistics.opinion import (
    INTERVALS,
    bootstrap_two_way,
    crowdmos,
    mos_table,
    over_images,
    over_raters,
    pooled,
)
from sreval.statistics.ratings import Ratings
from sreval.statistics.votes import check_votes
from tests.statistics.builders import random_votes, votes_table


def test_crowdmos_reaches_the_published_figures(blizzard: Floats, expected: Any) -> None:
    published = expected["blizzard_paid_participants"]
    systems = [crowdmos(Ratings.from_matrix(votes.T)) for votes in blizzard]
    assert [s.estimate for s in systems] == pytest.approx(published["mos"], rel=1e-6)
    assert [s.half_width for s in systems] == pytest.approx(published["ci95_crowdmos"], rel=1e-6)


def two_way(seed: int, images: int, raters: int) -> Floats:
    generator = np.random.default_rng(seed)
    image = generator.normal(0, 0.7, images)[:, None]
    return 3 + image + generator.normal(0, 0.4, raters) + generator.normal(0, 0.5, (images, raters))


def test_crowdmos_variance_is_that_of_the_balanced_analysis_of_variance() -> None:
    matrix = two_way(0, 400, 300)
    interval = crowdmos(Ratings.from_matrix(matrix))
    row, column = matrix.mean(axis=1), matrix.mean(axis=0)
    residual = matrix - row[:, None] - column + matrix.mean()
    mean_square = (residual**2).sum() / (399 * 299)
    variance = row.var(ddof=1) / 400 + column.var(ddof=1) / 300 - mean_square / (400 * 300)
    expected = stats.t.ppf(0.975, 299) * math.sqrt(variance)
    assert interval.half_width == pytest.approx(expected, rel=0.01)


def test_intervals_of_one_and_the_same_unit_agree_with_scipy() -> None:
    matrix = two_way(1, 30, 9)
    ratings = Ratings.from_matrix(matrix)
    for interval, values in [
        (over_raters(ratings), matrix.mean(axis=0)),
        (over_images(ratings), matrix.mean(axis=1)),
        (pooled(ratings), matrix.ravel()),
    ]:
        low, high = stats.t.interval(
            0.95, values.size - 1, loc=values.mean(), scale=stats.sem(values)
        )
        assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)
        assert interval.n == values.size


def test_two_way_bootstrap_is_as_wide_as_its_exact_variance() -> None:
    matrix = two_way(2, 60, 50)
    interval = bootstrap_two_way(Ratings.from_matrix(matrix), resamples=4000)
    row, column = matrix.mean(axis=1), matrix.mean(axis=0)
    variance = row.var() / 60 + column.var() / 50
    residual = matrix - row[:, None] - column + matrix.mean()
    variance += residual.var() / 3000
    factor = math.sqrt(50 / 49) * stats.t.ppf(0.975, 49)
    assert interval.half_width == pytest.approx(factor * math.sqrt(variance), rel=0.05)


@pytest.mark.parametrize("name", INTERVALS)
def test_degenerate_votes(name: str) -> None:
    equal = INTERVALS[name](Ratings.from_matrix(np.full((4, 3), 2.0)), 0.95)
    assert (equal.estimate, equal.low, equal.high) == (2.0, 2.0, 2.0)
    single = INTERVALS[name](Ratings.from_matrix([[4.0]]), 0.95)
    assert single.estimate == 4.0
    assert math.isnan(single.low)
    assert math.isnan(single.high)


def test_missing_votes() -> None:
    matrix = two_way(3, 20, 10)
    matrix[np.random.default_rng(0).random(matrix.shape) < 0.3] = np.nan
    ratings = Ratings.from_matrix(matrix)
    for interval in INTERVALS.values():
        found = interval(ratings, 0.95)
        assert found.low < found.estimate < found.high
    assert over_raters(ratings).estimate == pytest.approx(np.nanmean(matrix, axis=0).mean())


def by_hand(votes: list[tuple[str, str, int]], interval: str) -> float:
    """The MOS written out in loops; ``votes`` are (rater, image, score)."""
    place = {"raters": 0, "images": 1}.get(interval)
    if place is None:
        return sum(vote[2] for vote in votes) / len(votes)
    groups: dict[str, list[int]] = {}
    for vote in votes:
        groups.setdefault(str(vote[place]), []).append(vote[2])
    return sum(sum(g) / len(g) for g in groups.values()) / len(groups)


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.9))
def test_a_mos_is_what_its_interval_is_around_however_many_votes_a_unit_has(
    seed: int, seen: float
) -> None:
    made = random_votes(seed, seen=seen)
    assume(len(made) > 0)
    votes = check_votes(made)
    for name in INTERVALS:
        if name == "bootstrap":
            continue  # its estimate is crowdmos'; it takes long
        for row in mos_table(votes, interval=name).to_dict("records"):
            own = votes[votes["method"] == row["method"]]
            cells = own[["rater", "image", "score"]].itertuples(index=False, name=None)
            assert row["mos"] == pytest.approx(by_hand(list(cells), name), rel=1e-12)
            if not math.isnan(row["low"]):
                assert (row["low"] + row["high"]) / 2 == pytest.approx(row["mos"], rel=1e-9)


def test_two_raters_of_unequal_diligence_count_alike() -> None:
    scores = np.array([[[1.0, 5.0], [1.0, np.nan], [1.0, np.nan], [1.0, np.nan]]])
    votes = check_votes(votes_table(scores))
    found = {name: mos_table(votes, interval=name)["mos"].iloc[0] for name in INTERVALS}
    assert found == {
        "raters": 3.0, "images": 1.5, "pooled": 1.8, "crowdmos": 1.8, "bootstrap": 1.8,
    }  # fmt: skip


def test_a_rater_with_one_vote_counts_as_a_rater() -> None:
    votes = check_votes(random_votes()).query("rater != 'r00' or image == 'img_000'")
    assert set(mos_table(votes)["n_raters"]) == {8}


def test_the_table_says_what_each_row_is_about() -> None:
    votes = check_votes(random_votes())
    table = mos_table(votes, interval="images")
    assert table["method"].to_list() == ["a", "b", "c"]
    assert set(table["estimand"]) == {"these raters, images in general"}
    assert set(table["warning"]) == {""}
    assert "not independent" in mos_table(votes, interval="pooled")["warning"].iloc[0]
    assert table["n"].to_list() == [6, 6, 6]
    assert table["n_votes"].to_list() == [48, 48, 48]
    assert table["mos"].to_list() == votes.groupby("method")["score"].mean().to_list()
    assert table["sd"].to_list() == pytest.approx(votes.groupby("method")["score"].std().to_list())


def test_an_unknown_interval_is_named() -> None:
    with pytest.raises(UsageError, match=r"Unknown interval 'rater'.*'raters'"):
        mos_table(check_votes(random_votes()), interval="rater")
