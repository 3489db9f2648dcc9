import numpy as np
import pytest
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError, numbered
from sreval.opinions.arrays import Ratings, group_mean
from tests.opinions.builders import random_votes


def test_a_matrix_comes_back_as_it_went_in() -> None:
    matrix = np.array([[1.0, np.nan, 3.0], [np.nan, 4.0, 5.0]])
    assert np.array_equal(Ratings.from_matrix(matrix).matrix(), matrix, equal_nan=True)


def test_rows_and_columns_without_votes_are_left_out() -> None:
    matrix = np.full((3, 3), np.nan)
    matrix[::2, ::2] = [[1, 2], [3, 4]]
    ratings = Ratings.from_matrix(matrix)
    assert ratings.stimuli == (0, 2)
    assert ratings.raters == (0, 2)
    assert ratings.matrix().tolist() == [[1, 2], [3, 4]]


def test_a_table_gives_the_matrix_of_its_pivot() -> None:
    votes = random_votes(seed=2, seen=0.7)
    ratings = Ratings.from_votes(votes, ["image", "method"])
    pivot = votes.pivot(index=["image", "method"], columns="rater", values="score")
    assert list(ratings.stimuli) == list(pivot.index)
    assert list(ratings.raters) == list(pivot.columns)
    assert np.array_equal(ratings.matrix(), pivot.to_numpy(), equal_nan=True)


def test_keep_drops_the_labels_that_lose_their_votes() -> None:
    ratings = Ratings.from_matrix([[1.0, 2.0], [3.0, np.nan]])
    kept = ratings.keep(ratings.rater == 1)
    assert (kept.raters, kept.stimuli, kept.score.tolist()) == ((1,), (0,), [2.0])


def test_weighted_group_mean() -> None:
    values, codes = np.array([1.0, 3.0, 7.0]), np.array([0, 0, 1])
    assert group_mean(values, codes, 2).tolist() == [2.0, 7.0]
    assert group_mean(values, codes, 2, np.array([3.0, 1.0, 2.0])).tolist() == [1.5, 7.0]


@pytest.mark.parametrize("matrix", [np.ones(2), np.full((1, 1), np.nan), np.zeros((0, 3))])
def test_refuses_what_is_no_matrix_of_votes(matrix: ArrayLike) -> None:
    with pytest.raises(StatisticsError, match="stimulus by rater"):
        Ratings.from_matrix(matrix)


def test_refuses_a_table_without_votes_and_exclusions_that_leave_nobody() -> None:
    votes = random_votes()
    with pytest.raises(StatisticsError, match="no votes"):
        Ratings.from_votes(votes.iloc[:0], ["image"])
    ratings = Ratings.from_matrix([[1.0]])
    with pytest.raises(StatisticsError, match="leave no vote"):
        ratings.keep(np.array([False]))


def test_raters_stand_in_the_order_of_their_numbers() -> None:
    votes = random_votes(raters=12)
    votes["rater"] = "r" + (votes["rater"].str[1:].astype(int) + 1).astype(str)
    ratings = Ratings.from_votes(votes.sample(frac=1, random_state=0), ["image", "method"])
    assert ratings.raters == tuple(f"r{n}" for n in range(1, 13))
    pivot = votes.pivot(index=["image", "method"], columns="rater", values="score")
    assert (ratings.matrix() == pivot[list(ratings.raters)].to_numpy()).all()


@pytest.mark.parametrize(
    "names",
    [["r1", "r2", "r10"], ["2", "10", "a"], ["b2c3", "b2c10", "b10c1"], ["7", "0" * 5000 + "8"]],
)
def test_numbers_in_names_count_as_numbers(names: list[str]) -> None:
    assert sorted([*names[1:], names[0]], key=numbered) == names
