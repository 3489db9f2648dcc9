import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.errors import StatisticsError
from sreval.opinions.pairs.simulation import balanced_sides, plan_pairs, round_robin


@pytest.mark.parametrize("n", range(2, 10))
def test_a_round_robin_has_each_pair_once_and_each_method_once_a_round(n: int) -> None:
    rounds = round_robin(n)
    pairs = Counter(frozenset(pair) for one in rounds for pair in one)
    assert pairs == Counter(map(frozenset, itertools.combinations(range(n), 2)))
    assert all(len({*itertools.chain(*one)}) == 2 * (n // 2) for one in rounds)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40), st.integers(0, 9))
def test_sides_are_balanced_for_any_pairs(pairs: list[tuple[int, int]], seed: int) -> None:
    pairs = [(a, b) for a, b in pairs if a != b]
    sides = balanced_sides(pairs, np.random.default_rng(seed))
    assert [set(side) for side in sides] == [set(pair) for pair in pairs]
    for method in range(7):
        left = sum(side[0] == method for side in sides)
        right = sum(side[1] == method for side in sides)
        assert abs(left - right) <= (left + right) % 2


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 7), st.sampled_from([1.0, 0.5, 1 / 3]))
def test_a_plan_is_balanced(raters: int, images: int, methods: int, share: float) -> None:
    if share * images * len(round_robin(methods)) < 1:
        with pytest.raises(StatisticsError, match="share"):
            plan_pairs(raters, images, methods, share)
        return
    plan = plan_pairs(raters, images, methods, share)
    trials = list(zip(plan.rater, plan.image, plan.left, plan.right, strict=True))
    shown = Counter((r, i, *sorted((a, b))) for r, i, a, b in trials)
    assert set(shown.values()) == {1}
    if share == 1:
        assert len(trials) == raters * images * methods * (methods - 1) / 2
    by_side = Counter((i, a, b) for _, i, a, b in trials)
    assert all(abs(n - by_side[i, b, a]) <= 1 for (i, a, b), n in by_side.items())
    for rater, method in itertools.product(range(raters), range(methods)):
        left = int(((plan.rater == rater) & (plan.left == method)).sum())
        right = int(((plan.rater == rater) & (plan.right == method)).sum())
        assert abs(left - right) <= (left + right) % 2
    judged = Counter((i, *sorted((a, b))) for _, i, a, b in trials)
    for image in range(images):
        n = [judged[image, a, b] for a, b in itertools.combinations(range(methods), 2)]
        assert max(n) - min(n) <= 2


def test_what_cannot_be_planned_is_refused() -> None:
    for arguments in ((0, 1, 2), (1, 0, 2), (1, 1, 1), (1, 1, 2, 0.0), (1, 1, 2, 1.5)):
        with pytest.raises(StatisticsError, match="can't judge"):
            plan_pairs(*arguments)
