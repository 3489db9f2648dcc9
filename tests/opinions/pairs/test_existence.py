from itertools import permutations

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from sreval.opinions.pairs.existence import existence
from sreval.opinions.pairs.likelihood import TIE_MODELS, Model
from tests.opinions.pairs.builders import Counts, counted


@pytest.mark.parametrize("seed", range(12))
def test_without_ties_and_sides_it_is_fords_condition(seed: int) -> None:
    random = np.random.default_rng(seed)
    wins = random.integers(0, 2, (4, 4)) * random.integers(1, 5, (4, 4))
    rows = [
        ("abcd"[a], "abcd"[b], float(wins[a, b]), 0.0, float(wins[b, a]))
        for a, b in permutations(range(4), 2)
        if a < b and wins[a, b] + wins[b, a]
    ]
    comparisons = counted(rows)
    found = existence(comparisons)
    number, label = connected_components(comparisons.wins() > 0, connection="strong")
    classes = {frozenset(np.array(comparisons.methods)[label == c]) for c in range(number)}
    assert set(map(frozenset, found.classes)) == classes
    assert found.exists is (number == 1)
    weak = connected_components(comparisons.wins() > 0, connection="weak")[0]
    assert len(found.parts) == weak


def test_orders_without_end_are_named_from_the_best() -> None:
    found = existence(counted([("c", "a", 8, 0, 0), ("b", "a", 5, 0, 0), ("c", "b", 2, 0, 3)]))
    assert found.classes == (("b", "c"), ("a",))
    assert found.orders == ("b, c > a",)
    assert "b, c > a" in found.reason
    assert "firth" in found.remedy
    chain = existence(counted([("a", "b", 8, 0, 0), ("b", "c", 8, 0, 0), ("a", "c", 8, 0, 0)]))
    assert chain.orders == ("a > b", "b > c")


ALWAYS_LEFT: Counts = [("a", "b", 5, 0, 0), ("b", "a", 5, 0, 0)]


def test_an_advantage_of_the_left_may_have_no_end() -> None:
    comparisons = counted(ALWAYS_LEFT)
    assert existence(comparisons).exists
    found = existence(comparisons, order=True)
    assert not found.exists
    assert (found.order_finite, found.order_apart) == (False, True)
    assert "the advantage of one place has no finite estimate" in found.reason
    assert found.remedy == "Leave out order=True."


def test_sides_never_exchanged_do_not_tell_the_left_from_a_method() -> None:
    found = existence(counted([("a", "b", 6, 0, 4)]), order=True)
    assert (found.exists, found.order_finite) == (False, False)
    assert found.classes == (("a", "b"),)
    assert "don't tell the advantage of the left place" in found.reason
    assert found.remedy == "Leave out order=True."


@pytest.mark.parametrize("model", TIE_MODELS)
def test_ties_link_methods_as_soon_as_their_share_is_finite(model: Model) -> None:
    # a is never beaten, but tied with b while b and c say how often ties come
    tied: Counts = [("a", "b", 5, 3, 0), ("b", "c", 4, 2, 4)]
    assert existence(counted(tied), model).exists
    # of a and b alone there is only how many of a's wins a tie is worth
    assert not existence(counted([("a", "b", 5, 3, 0)]), model).exists
    without: Counts = [("a", "b", 5, 0, 3), ("b", "c", 4, 0, 4)]
    found = existence(counted(without), model)
    assert (found.exists, found.no_ties, found.tie_finite) == (False, True, False)
    assert found.classes == (("a", "b", "c"),)
    assert "bradley-terry" in found.remedy


def test_what_is_only_ties_prefers_nothing() -> None:
    found = existence(counted([("a", "b", 0, 9, 0), ("b", "c", 0, 9, 0)]), "davidson")
    assert (found.exists, found.ties_only) == (False, True)
    assert found.reason == "All judgements are ties: none prefers a method."


def test_one_rater_and_one_image_are_told() -> None:
    found = existence(counted([("a", "b", 3, 0, 3)]))
    assert (found.one_rater, found.one_image, found.exists, found.reason) == (True, True, True, "")
