"""What a family of tests could have shown, held against trying the outcomes out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import UsageError
from sreval.opinions.comparison import best_outcome, compare_methods, friedman, least_units
from sreval.opinions.significance import ADJUSTMENTS, judge, letters, signed_rank
from sreval.opinions.votes import check_votes
from tests.opinions.builders import random_votes, votes_table


def adjusted(p: list[float], adjustment: str) -> list[float]:
    """Holm 1979 and, by scipy, Benjamini and Hochberg 1995, as they are defined."""
    if adjustment == "none":
        return p
    if adjustment == "benjamini-hochberg":
        return list(stats.false_discovery_control(p))
    order = sorted(range(len(p)), key=p.__getitem__)
    found, running = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        running = max(running, (len(p) - rank) * p[place])
        found[place] = min(1.0, running)
    return found


def attainable_p(n: int) -> set[float]:
    """Every exact p of scipy's test on n pairs, by all signs of the differences 1, 2, ..., n."""
    size = np.arange(1.0, n + 1)
    return {
        float(stats.wilcoxon(size * signs, method="exact").pvalue)
        for signs in itertools.product([-1, 1], repeat=n)
    }


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_nothing_can_be_found_exactly_where_all_units_in_one_order_find_nothing(
    adjustment: str,
) -> None:
    """All n and m up to 12: every unit puts the methods in one order, tested by scipy."""
    for n, m in itertools.product(range(1, 13), range(1, 13)):
        p = float(stats.wilcoxon(np.arange(1.0, n + 1), method="exact").pvalue)
        expected = not adjusted([p] * m, adjustment)[0] < 0.05
        found = best_outcome([n] * m, adjustment, 0.05)
        assert [verdict.too_small for verdict in found] == [expected] * m, (n, m)
        assert found[0].least_p_adjusted == pytest.approx(adjusted([p] * m, adjustment)[0])


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_pair_is_judged_by_its_own_units_as_every_outcome_shows(adjustment: str) -> None:
    """Pairs of unequal n, all combinations of the p values that scipy's test can give them."""
    possible = {n: attainable_p(n) for n in range(1, 6)}
    for counts in itertools.combinations_with_replacement(range(1, 6), 3):
        outcomes = [
            adjusted(list(p), adjustment) for p in itertools.product(*(possible[n] for n in counts))
        ]
        for alpha in (0.05, 0.1, 0.13, 0.25, 0.4):
            could = [any(outcome[i] < alpha for outcome in outcomes) for i in range(3)]
            found = best_outcome(counts, adjustment, alpha)
            assert [not verdict.too_small for verdict in found] == could, (counts, alpha)


@pytest.mark.parametrize(
    ("methods", "adjustment", "needed"),
    # 36 x 2^-9 = 0.07 and 36 x 2^-10 = 0.035; 2 x 2^-6 = 0.03; one comparison as any other
    [(9, "holm", 11), (9, "benjamini-hochberg", 6), (9, "none", 6), (2, "holm", 6)],
)
def test_the_fewest_units_on_which_anything_can_be_found(
    methods: int, adjustment: str, needed: int
) -> None:
    assert least_units(math.comb(methods, 2), adjustment) == needed
    assert least_units(math.comb(methods, 2), adjustment, unit="both") == 5


def ordered_votes(raters: int, methods: int) -> pd.DataFrame:
    """Every rater puts the methods in one order: the most favourable outcome there is."""
    images = 2 * methods
    scores = np.ones((methods, images, raters))
    for method, rater in itertools.product(range(methods), range(raters)):
        scores[method, : 1 + method, rater] += 1 + rater % 3
    return check_votes(votes_table(scores, tuple("abcdefghi"[:methods])))


def test_ten_raters_and_nine_methods_are_too_few() -> None:
    (ten,) = compare_methods(ordered_votes(10, 9), unit="rater")
    assert all(pair.p == 2**-9 and not pair.verdict.significant for pair in ten.pairs)
    assert ten.frame()["too_small"].all()
    assert ten.letters == {}
    (eleven,) = compare_methods(ordered_votes(11, 9), unit="rater")
    assert not eleven.frame()["too_small"].any()
    assert eleven.frame()["significant"].all()
    assert len(set(eleven.letters.values())) == 9
    (found,) = compare_methods(ordered_votes(10, 9), unit="rater", adjustment="benjamini-hochberg")
    assert not found.frame()["too_small"].any()


def test_a_pair_with_fewer_units_than_others_is_told_apart_from_them() -> None:
    votes = ordered_votes(12, 3)
    few = votes[(votes["method"] != "a") | (votes["rater"] < "r04")]
    (made,) = compare_methods(few, unit="rater")
    small = {frozenset((pair.first, pair.second)): pair.too_small for pair in made.pairs}
    assert small == {frozenset("ab"): True, frozenset("ac"): True, frozenset("bc"): False}
    assert made.letters


def test_zeros_that_are_dropped_count_no_more() -> None:
    """Twelve pairs of which seven are equal: the other five allow no p below 0.0625."""
    outcome = signed_rank(np.r_[np.arange(5.0) + 2, np.ones(7)], np.ones(12))
    (verdict,) = judge([outcome.p], [outcome.least_p], "none", 0.05)
    assert (outcome.least_p, verdict.too_small) == (0.0625, True)


def test_the_least_p_is_that_of_the_test_as_it_is_made() -> None:
    """Beyond 200 ranked pairs p is normal, and no outcome is below that of one sign alone."""
    x = np.r_[np.arange(3.0) + 1, np.zeros(201)]
    outcome = signed_rank(x, np.zeros(204), zeros="pratt")
    assert outcome.method == "normal"
    assert outcome.p == outcome.least_p


def test_a_test_that_was_not_made_could_show_nothing_and_takes_nothing_from_others() -> None:
    nothing, made = judge([math.nan, 0.04], [math.nan, 0.03125], "holm", 0.05)
    assert (nothing.too_small, nothing.significant) == (True, False)
    assert (made.too_small, made.p_adjusted) == (False, 0.04)


def test_letters_are_withheld_only_where_no_pair_could_have_been_found() -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    none = dict(zip(pairs, judge([0.0625] * 3, [0.0625] * 3, "holm", 0.05), strict=True))
    assert letters("abc", none) == {}
    some = judge([0.0625, 0.001, 0.4], [0.0625, 0.001, 0.001], "holm", 0.05)
    assert letters("abc", dict(zip(pairs, some, strict=True))) == {"a": "a", "b": "ab", "c": "b"}


def test_an_unknown_adjustment_is_refused() -> None:
    with pytest.raises(UsageError, match="Unknown adjustment 'bonferroni'"):
        judge([0.1], [0.1], "bonferroni", 0.05)


def test_friedman_tells_the_least_p_that_units_in_one_order_give() -> None:
    two = friedman(np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    alike = stats.friedmanchisquare([1, 1], [2, 2], [3, 3]).pvalue
    assert two is not None
    assert two.least_p == pytest.approx(alike)


def test_intervals_have_the_level_that_was_asked_for() -> None:
    votes = check_votes(random_votes(seed=3, raters=9))
    (made,) = compare_methods(votes, unit="rater", level=0.9)
    wide = votes.groupby(["rater", "method"])["score"].mean().unstack()
    for row in made.frame().to_dict("records"):
        gaps = wide[row["first"]] - wide[row["second"]]
        low, high = stats.t.interval(0.9, 8, gaps.mean(), stats.sem(gaps))
        inside = abs(gaps.mean()) < 1.5  # far from the largest differences, -4 and 4
        assert (row["low"], row["high"]) == pytest.approx((low, high), rel=1e-6 if inside else 0.01)
        assert row["level"] == 0.9


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
@pytest.mark.parametrize("most_true", [None, 1, 3])
def test_no_adjusted_p_is_below_its_own(adjustment: str, most_true: int | None) -> None:
    for seed in range(20):
        p = np.random.default_rng(seed).random(6) ** 2
        assert (ADJUSTMENTS[adjustment](p, most_true) >= p).all()
