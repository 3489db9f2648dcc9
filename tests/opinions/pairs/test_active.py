"""The next pairs: gains against Monte Carlo, beliefs against a grid, trees against all trees."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import special

from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.active import PRIOR_VARIANCE, Beliefs, best_tree, choose

COLUMNS = ["dataset", "image", "left", "right", "choice"]
METHODS = ("a", "b", "c", "d", "e")
IMAGES = ("i1", "i2", "i3")
TRIALS = [("S", image, *pair) for image in IMAGES for pair in itertools.combinations(METHODS, 2)]


def pairs_of(n: int) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.triu_indices(n, 1)
    return one, other


def some_wins(n: int, seed: int, most: int = 6) -> Floats:
    wins = np.random.default_rng(seed).integers(0, most, (n, n)).astype(float)
    np.fill_diagonal(wins, 0)
    return wins


@pytest.mark.parametrize("seed", range(3))
def test_the_most_likely_values_are_those_of_a_grid(seed: int) -> None:
    """Brute force over two differences; the mean of the values keeps its prior, at zero."""
    wins = some_wins(3, seed)
    axis = np.linspace(-2, 2, 401)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    values = np.stack([x, y, -x - y])
    density = -(values**2).sum(axis=0) / (2 * PRIOR_VARIANCE)
    for i, j in itertools.permutations(range(3), 2):
        density += wins[i, j] * special.log_ndtr(values[i] - values[j])
    best = np.unravel_index(density.argmax(), density.shape)
    assert Beliefs.after(wins).mean == pytest.approx(values[:, *best], abs=0.011)


def test_the_precision_is_the_curvature_of_the_log_posterior() -> None:
    wins, step = some_wins(3, 7), 1e-4
    beliefs = Beliefs.after(wins)

    def log_posterior(values: Floats) -> float:
        apart = values[:, None] - values
        fits = (wins * special.log_ndtr(apart)).sum()
        return float(fits - (values**2).sum() / (2 * PRIOR_VARIANCE))

    at, unit = beliefs.mean, np.eye(3) * step
    for i, j in itertools.product(range(3), repeat=2):
        corners = [
            sign * log_posterior(at + a * unit[i] + b * unit[j])
            for a, b, sign in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))
        ]
        assert -sum(corners) / (4 * step**2) == pytest.approx(beliefs.precision[i, j], abs=1e-4)


def test_many_judgements_that_all_agree_have_most_likely_values() -> None:
    wins = np.zeros((4, 4))
    wins[np.triu_indices(4, 1)] = 1e4
    beliefs = Beliefs.after(wins)
    assert (np.diff(beliefs.mean) < 0).all()
    assert np.isfinite(beliefs.precision).all()


def test_gains_are_the_mean_divergence_of_a_simulation() -> None:
    """Draws of the values, weighted by an outcome, are draws of the beliefs after it."""
    beliefs = Beliefs.after(some_wins(4, 1))
    generator = np.random.default_rng(0)
    drawn = generator.multivariate_normal(beliefs.mean, np.linalg.inv(beliefs.precision), 100_000)
    one, other = pairs_of(4)
    chance = special.ndtr(drawn[:, one] - drawn[:, other])
    expected = 0
    for of_outcome in (chance, 1 - chance):
        total = of_outcome.mean(axis=0)
        expected += (of_outcome * np.log(of_outcome / total)).mean(axis=0)
    assert beliefs.gains(one, other) == pytest.approx(expected, abs=1e-3)


def test_what_is_expected_of_a_judgement_is_the_mean_information_of_its_outcome() -> None:
    beliefs = Beliefs.after(some_wins(3, 2))
    one, other = np.array([0, 0]), np.array([1, 2])
    after = beliefs.expecting(one, other)
    assert (after.mean == beliefs.mean).all()
    generator = np.random.default_rng(0)
    drawn = generator.multivariate_normal(beliefs.mean, np.linalg.inv(beliefs.precision), 200_000)
    expected = np.zeros((3, 3))
    for i, j in zip(one, other, strict=True):
        apart = drawn[:, i] - drawn[:, j]
        density = np.exp(-(apart**2) / 2) / np.sqrt(2 * np.pi)
        side = np.eye(3)[i] - np.eye(3)[j]
        mean = (density**2 / (special.ndtr(apart) * special.ndtr(-apart))).mean()
        expected += mean * np.outer(side, side)
    assert after.precision - beliefs.precision == pytest.approx(expected, abs=2e-3)
    assert (after.gains(one, other) < beliefs.gains(one, other)).all()


def test_without_judgements_all_pairs_tell_alike() -> None:
    gains = Beliefs.after(np.zeros((5, 5))).gains(*pairs_of(5))
    assert gains == pytest.approx(gains[0], rel=1e-12)
    assert 0 < gains[0] < np.log(2)


def connects(edges: tuple[tuple[int, int], ...], n: int) -> bool:
    reached = {0}
    for _ in range(n):
        reached |= {v for edge in edges if reached & set(edge) for v in edge}
    return len(reached) == n


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_no_tree_has_a_smaller_sum_of_inverse_gains(n: int, seed: int) -> None:
    one, other = pairs_of(n)
    gains = np.random.default_rng(seed).uniform(0.01, 0.5, one.size)
    edges = list(zip(one.tolist(), other.tolist(), strict=True))
    costs = {
        places: sum(1 / gains[place] for place in places)
        for places in itertools.combinations(range(len(edges)), n - 1)
        if connects(tuple(edges[place] for place in places), n)
    }
    assert tuple(best_tree(gains, one, other, n)) == min(costs, key=lambda tree: costs[tree])


def test_of_equal_gains_the_first_pairs_count_whatever_the_last_digits_are() -> None:
    one, other = np.array([2, 0, 0]), np.array([1, 2, 1])
    assert best_tree(np.array([0.3, 0.3, 0.3 + 1e-14]), one, other, 3) == [0, 1]


def rows_of(*rows: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def test_a_plan_is_a_tree_an_image_from_those_judged_least() -> None:
    judged = rows_of(("S", "i1", "a", "b", "left"), ("S", "i1", "b", "c", "tie"))
    chosen = choose(TRIALS, judged, 8)
    assert Counter(trial[1] for trial in chosen) == {"i2": 4, "i3": 4}
    for image in ("i2", "i3"):
        edges = [trial[2:] for trial in chosen if trial[1] == image]
        numbered = tuple((METHODS.index(one), METHODS.index(other)) for one, other in edges)
        assert connects(numbered, 5)
    second = choose(TRIALS, judged, 20)
    assert len(second) == 20
    assert set(chosen) < set(second)
    assert set(choose(TRIALS, judged, 999)) == set(TRIALS)


def test_the_trees_of_one_rater_differ_and_reasons_tell_gains_and_counts() -> None:
    judged = rows_of(("S", "i1", "b", "a", "left"), ("other", "i1", "b", "a", "left"))
    chosen = choose(TRIALS, judged, 12)
    by_image = {image: {t[2:] for t in chosen if t[1] == image} for image in IMAGES}
    assert by_image["i2"] != by_image["i3"]
    reasons = {frozenset(t[2:]): reason for t, reason in choose(TRIALS, judged, 30).items()}
    assert reasons.pop(frozenset("ab")).endswith("the two were judged 1 time so far")
    assert all(reason.endswith("judged 0 times so far") for reason in reasons.values())
    assert all("expected to tell 0." in reason for reason in reasons.values())


def test_close_methods_are_compared_more_often_than_those_far_apart() -> None:
    far = [("S", "i1", "a", other, "left") for other in "bcde" for _ in range(20)]
    near = [("S", "i1", "b", other, side) for other in "cde" for side in ("left", "right") * 5]
    chosen = choose(TRIALS, rows_of(*far, *near), 12)
    with_a = sum("a" in trial[2:] for trial in chosen)
    assert with_a <= 4  # of 12; a tree on three images needs it three times


def test_data_sets_are_believed_apart_and_ties_are_half_a_choice_each() -> None:
    trials = [("S", "i", "a", "b"), ("T", "i", "a", "b")]
    judged = rows_of(*[("S", "i", "a", "b", "left")] * 30)
    of = {trial[0]: reason for trial, reason in choose(trials, judged, 2).items()}
    assert "judged 30 times" in of["S"]
    assert of["T"] == choose(trials[1:], None, 1)[trials[1]]
    tie, both = (
        choose(trials[:1], rows_of(*made), 1)[trials[0]].split(";")[0]
        for made in (
            [("S", "i", "a", "b", "tie")] * 2,
            [("S", "i", "a", "b", "left"), ("S", "i", "b", "a", "left")],
        )
    )
    assert tie == both
