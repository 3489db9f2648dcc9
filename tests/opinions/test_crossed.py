"""Crossed random effects, held against the analysis of variance and a plain REML search."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.crossed import (
    crossed_difference,
    crossed_mean,
    crossed_pair,
    rated_together,
)

GOLDEN = json.loads((Path(__file__).parent / "golden" / "crossed.json").read_text())


def _table(seed: int, raters: int, images: int, sds: tuple[float, float], whole: bool) -> Floats:
    generator = np.random.default_rng(seed)
    values: Floats = (
        sds[0] * generator.normal(size=(raters, 1))
        + sds[1] * generator.normal(size=(1, images))
        + 0.9 * generator.normal(size=(raters, images))
        + 0.3
    )
    return np.rint(values) if whole else values


def _cells(table: Floats, seen: NDArray[np.bool_] | None = None) -> tuple[Floats, Codes, Codes]:
    rater, image = np.nonzero(np.ones(table.shape) if seen is None else seen)
    return table[rater, image], rater, image


def _by_mean_squares(table: Floats) -> tuple[float, float]:
    """Standard error and degrees of freedom of a complete table (Searle et al. 1992, chapter 4).

    A variance whose mean square isn't larger than the rest's is zero, and the two are pooled.
    """
    raters, images = table.shape
    free = np.array([raters - 1, images - 1, (raters - 1) * (images - 1)])
    by_rater = table.mean(axis=1) - table.mean()
    by_image = table.mean(axis=0) - table.mean()
    rest = table - table.mean() - by_rater[:, None] - by_image
    squares = np.array(
        [images * by_rater @ by_rater, raters * by_image @ by_image, (rest**2).sum()]
    )
    of_rater, of_image, error = squares / free
    if of_rater > error and of_image > error:
        parts, signs = [0, 1, 2], [1, 1, -1]
    elif of_image > (squares[0] + squares[2]) / (free[0] + free[2]):
        parts, signs = [1], [1]
    elif of_rater > (squares[1] + squares[2]) / (free[1] + free[2]):
        parts, signs = [0], [1]
    else:
        return math.sqrt(squares.sum() / free.sum() / table.size), float(free.sum())
    means = squares[parts] / free[parts]
    variance = float(means @ signs)
    return math.sqrt(variance / table.size), variance**2 / float((means**2 / free[parts]).sum())


@pytest.mark.parametrize("sds", [(0.0, 0.0), (0.3, 0.0), (0.0, 0.4), (0.3, 0.4)])
@pytest.mark.parametrize("shape", [(8, 5), (5, 14), (26, 14)])
def test_a_complete_table_is_the_analysis_of_variance(
    shape: tuple[int, int], sds: tuple[float, float]
) -> None:
    for seed in range(20):
        table = _table(seed, *shape, sds, whole=seed % 2 == 0)
        found = crossed_mean(*_cells(table))
        error, freedom = _by_mean_squares(table)
        assert found.estimate == pytest.approx(table.mean(), abs=1e-12)
        assert found.error == pytest.approx(error, rel=1e-5)
        assert found.freedom == pytest.approx(freedom, rel=1e-3)


def _plain_reml(values: Floats, rater: Codes, image: Codes) -> tuple[Floats, float, float]:
    """Variances, mean and standard error, from the dense likelihood and a general search."""
    parts = [np.eye(values.size)]
    parts += [(codes[:, None] == codes).astype(float) for codes in (rater, image)]
    ones = np.ones(values.size)

    def fit(variances: Floats) -> tuple[float, float, float]:
        covariance = sum(v * part for v, part in zip(variances, parts, strict=True))
        weights = np.linalg.solve(covariance, ones)
        information = float(weights.sum())
        mean = float(weights @ values) / information
        distance = values - mean
        squares = float(distance @ np.linalg.solve(covariance, distance))
        minus_two = np.linalg.slogdet(covariance)[1] + math.log(information) + squares
        return float(minus_two), mean, information**-0.5

    starts = [[0.5, 0.1, 0.1], [0.8, 0.0, 0.0], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]
    bounds = optimize.Bounds(np.array([1e-6, 0.0, 0.0]), np.full(3, np.inf))

    def loss(at: Floats) -> float:
        return fit(at)[0]

    tried = [optimize.minimize(loss, np.array(start), bounds=bounds, tol=1e-13) for start in starts]
    best = min(tried, key=lambda one: float(one.fun)).x
    return best, *fit(best)[1:]


@pytest.mark.parametrize("name", GOLDEN)
def test_other_mixed_models_find_the_same(name: str) -> None:
    golden = GOLDEN[name]
    codes = (np.array(golden[side]) for side in ("rater", "image"))
    found = crossed_mean(np.array(golden["values"], dtype=float), *codes)
    for field in ("estimate", "error", "sd_rater", "sd_image", "sd_rest"):
        assert getattr(found, field) == pytest.approx(golden[field], abs=1e-4), field


@pytest.mark.parametrize("seed", range(12))
def test_missing_cells_reach_the_largest_restricted_likelihood(seed: int) -> None:
    sds = [(0.0, 0.0), (0.5, 0.0), (0.0, 0.6), (0.5, 0.6)][seed % 4]
    table = _table(seed, 8, 9, sds, whole=seed > 5)
    seen = np.random.default_rng(seed + 100).random(table.shape) < 0.5
    cells = _cells(table, seen)
    found = crossed_mean(*cells)
    variances, mean, error = _plain_reml(*cells)
    assert found.estimate == pytest.approx(mean, abs=1e-4)
    assert found.error == pytest.approx(error, rel=1e-3)
    mine = [found.sd_rest**2, found.sd_rater**2, found.sd_image**2]
    assert mine == pytest.approx(variances, abs=1e-3)


def test_raters_and_images_are_alike_to_it() -> None:
    table = _table(3, 8, 14, (0.3, 0.4), whole=False)
    seen = np.random.default_rng(3).random(table.shape) < 0.4
    values, rater, image = _cells(table, seen)
    one, other = crossed_mean(values, rater, image), crossed_mean(values, image, rater)
    assert (one.estimate, one.error, one.freedom) == pytest.approx(
        (other.estimate, other.error, other.freedom), rel=1e-6
    )
    assert (one.sd_rater, one.sd_image) == pytest.approx((other.sd_image, other.sd_rater), abs=1e-5)
    moved = crossed_mean(7 * values + 3, rater, image)
    assert (moved.estimate, moved.error) == pytest.approx(
        (7 * one.estimate + 3, 7 * one.error), rel=1e-6
    )


def test_one_value_a_rater_leaves_the_images_to_tell_the_error() -> None:
    generator = np.random.default_rng(0)
    image = np.repeat(np.arange(6), 5)
    values = generator.normal(size=30) + generator.normal(size=6)[image]
    found = crossed_mean(values, np.arange(30), image)
    by_image = values.reshape(6, 5).mean(axis=1)
    assert found.error == pytest.approx(by_image.std(ddof=1) / math.sqrt(6), rel=1e-5)
    assert found.freedom == pytest.approx(5, rel=1e-3)
    assert found.sd_rater == 0


def test_effects_that_explain_everything_still_give_an_error() -> None:
    taste = np.array([0.0, 1.0, 1.0, 2.0, 0.0])
    found = crossed_mean(np.repeat(taste, 6), np.repeat(np.arange(5), 6), np.tile(np.arange(6), 5))
    assert found.error == pytest.approx(taste.std(ddof=1) / math.sqrt(5), rel=1e-3)
    assert found.freedom == pytest.approx(4, rel=1e-2)


def test_equal_values_have_no_error_and_few_units_have_none_either() -> None:
    rater, image = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    equal = crossed_mean(np.full(12, 2.0), rater, image)
    assert (equal.estimate, equal.error, equal.freedom) == (2.0, 0.0, 2)
    assert (equal.p, equal.p_of(2.0)) == (0.0, 1.0)
    few = crossed_mean(np.arange(4.0), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    assert np.isnan([few.error, few.p, *few.limits()]).all()


def test_limits_and_p_agree() -> None:
    table = _table(5, 8, 5, (0.3, 0.4), whole=False)
    found = crossed_mean(*_cells(table))
    low, high = found.limits(0.9)
    assert [found.p_of(low), found.p_of(high)] == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, math.inf]])
def test_values_that_have_no_mean_are_refused(values: list[float]) -> None:
    codes = np.arange(len(values))
    with pytest.raises(StatisticsError, match="finite values"):
        crossed_mean(np.array(values), codes, codes)


def _two_methods(seed: int, raters: int, images: int, kind: str) -> tuple[Floats, Codes, Codes]:
    """Scores (cells, 2) of all cells, NaN where no vote was cast, with raters and images."""
    generator = np.random.default_rng(seed)
    shape = (raters, images)
    votes: Floats = np.stack(
        [
            3
            + side
            + 0.3 * generator.normal(size=(raters, 1))
            + 0.5 * generator.normal(size=(1, images))
            + generator.normal(size=shape)
            for side in (0.2, -0.2)
        ],
        axis=-1,
    )
    if kind == "one method a cell":
        first = generator.random(shape) < 0.5
        seen = np.stack([first, ~first], axis=-1)
    elif kind == "Latin square":
        turn = (np.arange(raters)[:, None] + np.arange(images)) % images
        seen = np.stack([turn == 0, turn == 2], axis=-1)
    else:
        seen = generator.random(votes.shape) < 0.4
    scores = np.where(seen, np.rint(votes), np.nan).reshape(-1, 2)
    rater, image = (codes.ravel() for codes in np.indices(shape))
    return scores, rater, image


def _plain_difference(votes: Floats, x: Floats, rater: Codes, image: Codes) -> tuple[float, float]:
    """The difference and its standard error, from the dense likelihood and a general search."""
    alike = [(codes[:, None] == codes).astype(float) for codes in (rater, image)]
    parts = [np.eye(votes.size)]
    parts += [part for one in alike for part in (one, one * np.outer(x, x))]
    fixed = np.column_stack([np.ones(votes.size), x])

    def fit(variances: Floats) -> tuple[float, float, float]:
        covariance = sum(v * part for v, part in zip(variances, parts, strict=True))
        weighted = np.linalg.solve(covariance, fixed)
        information = fixed.T @ weighted
        found = np.linalg.solve(information, weighted.T @ votes)
        distance = votes - fixed @ found
        squares = float(distance @ np.linalg.solve(covariance, distance))
        minus_two = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(information)[1] + squares
        return float(minus_two), float(found[1]), float(np.linalg.inv(information)[1, 1] ** 0.5)

    def loss(at: Floats) -> float:
        return fit(at)[0]

    starts = [[0.5, 0.1, 0.1, 0.1, 0.1], [0.5, 0.0, 0.3, 0.0, 0.3], [0.5, 0.3, 0.0, 0.3, 0.0]]
    bounds = optimize.Bounds(np.array([1e-5, 0.0, 0.0, 0.0, 0.0]), np.full(5, np.inf))
    tried = [optimize.minimize(loss, np.array(start), bounds=bounds, tol=1e-12) for start in starts]
    return fit(min(tried, key=lambda one: float(one.fun)).x)[1:]


@pytest.mark.parametrize(
    ("kind", "raters", "images"),
    [("one method a cell", 7, 8), ("Latin square", 12, 12), ("at random", 9, 6)],
)
def test_all_votes_on_two_methods_reach_the_largest_restricted_likelihood(
    kind: str, raters: int, images: int
) -> None:
    for seed in range(3):
        scores, rater, image = _two_methods(seed, raters, images, kind)
        assert not rated_together(scores)
        found = crossed_pair(scores, rater, image)
        cell, method = np.nonzero(~np.isnan(scores))
        difference, error = _plain_difference(
            scores[cell, method], np.array(0.5 - method), rater[cell], image[cell]
        )
        assert found.estimate == pytest.approx(difference, abs=2e-3)
        assert found.error == pytest.approx(error, rel=5e-3)
        turned = crossed_pair(scores[:, ::-1], rater, image)
        assert (turned.estimate, turned.error) == pytest.approx((-found.estimate, found.error))


def test_of_a_table_rated_together_all_votes_say_what_differences_say() -> None:
    """The effects of raters and images alone cancel in differences (lme4's x || rater)."""
    generator = np.random.default_rng(2)
    shape = (9, 7)
    taste, own = 0.6 * generator.normal(size=(9, 1)), 0.6 * generator.normal(size=(1, 7))
    half = 0.2 + (taste + own) / 2
    noise = 0.5 * generator.normal(size=(2, *shape))
    scores = np.stack([3 + half + noise[0], 3 - half + noise[1]], axis=-1).reshape(-1, 2)
    rater, image = (codes.ravel() for codes in np.indices(shape))
    assert rated_together(scores)
    of_differences = crossed_pair(scores, rater, image)
    of_votes = crossed_difference(
        scores.T.ravel(),
        np.arange(2 * rater.size) < rater.size,
        np.tile(rater, 2),
        np.tile(image, 2),
    )
    assert of_votes.estimate == pytest.approx(of_differences.estimate, abs=1e-9)
    # the rest is pooled over sums and differences of the two votes of a cell
    assert of_votes.error == pytest.approx(of_differences.error, rel=0.03)
    assert of_votes.sd_rater == pytest.approx(of_differences.sd_rater, rel=0.1)


def test_a_difference_of_one_method_is_refused() -> None:
    with pytest.raises(StatisticsError, match="both"):
        crossed_difference(np.arange(3.0), np.ones(3, bool), np.arange(3), np.arange(3))
