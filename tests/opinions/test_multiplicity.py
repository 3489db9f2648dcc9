import itertools
import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sreval.errors import StatisticsError
from sreval.opinions.significance import (
    ADJUSTMENTS,
    benjamini_hochberg,
    compatible_levels,
    holm,
    letter_display,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(P_VALUES)
def test_holm_rejects_what_the_step_down_rule_rejects(p: list[float]) -> None:
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for step, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
            if p[index] * (len(p) - step) > alpha:
                break
            rejected.add(index)
        assert {i for i, value in enumerate(adjusted) if value <= alpha} == rejected


@given(P_VALUES)
def test_benjamini_hochberg_agrees_with_scipy(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-14)


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_tests_not_made_pass_through_and_do_not_count(adjust: object) -> None:
    assert callable(adjust)
    adjusted = adjust([0.01, math.nan, 0.04, 0.03])
    assert math.isnan(adjusted[1])
    assert adjusted[[0, 2, 3]] == pytest.approx(adjust([0.01, 0.04, 0.03]))
    assert adjust([]).size == 0


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@pytest.mark.parametrize("p", [[1.2], [-0.1, 0.5], [[0.1]]])
def test_refuses_what_is_no_p(adjust: object, p: list[float]) -> None:
    assert callable(adjust)
    with pytest.raises(StatisticsError, match=r"1\.2|-0\.1|\(1, 1\)"):
        adjust(p)


def test_letters_of_a_chain() -> None:
    letters = letter_display(["HR", "GAN", "MSE"], [("HR", "MSE")])
    assert letters == {"HR": "a", "GAN": "ab", "MSE": "b"}


def test_letters_when_nothing_or_everything_differs() -> None:
    names = ["x", "y", "z"]
    assert letter_display(names, []) == dict.fromkeys(names, "a")
    assert letter_display(names, itertools.combinations(names, 2)) == {"x": "a", "y": "b", "z": "c"}
    assert letter_display([], []) == {}


def test_two_names_share_a_letter_exactly_when_they_do_not_differ() -> None:
    generator = np.random.default_rng(0)
    names = [f"m{i}" for i in range(8)]
    for density in np.linspace(0, 1, 60):
        pairs = [p for p in itertools.combinations(names, 2) if generator.random() < density]
        letters = letter_display(names, pairs)
        for first, second in itertools.combinations(names, 2):
            share = bool(set(letters[first]) & set(letters[second]))
            assert share == ((first, second) not in pairs)
        assert all(letters.values())


def test_letters_refuse_names_that_cannot_be_meant() -> None:
    with pytest.raises(StatisticsError, match="twice"):
        letter_display(["a", "a"], [])
    with pytest.raises(StatisticsError, match="'b' differs"):
        letter_display(["a"], [("a", "b")])


@given(P_VALUES, st.sampled_from(sorted(ADJUSTMENTS)), st.sampled_from([0.01, 0.05, 0.2]))
def test_compatible_intervals_exclude_zero_where_the_adjusted_test_finds(
    p: list[float], adjustment: str, alpha: float
) -> None:
    """An interval of level L excludes 0 where p < 1 - L; ties at the limit are left aside."""
    levels = compatible_levels(p, adjustment, alpha)
    adjusted = ADJUSTMENTS[adjustment](p)
    for one, level, judged in zip(p, levels, adjusted, strict=True):
        if abs(judged - alpha) > 1e-9:
            assert (one < 1 - level) == (judged < alpha)


@given(
    st.lists(st.sampled_from([0.001, 0.004, 0.021, 0.3, math.nan]), min_size=2, max_size=7),
    st.randoms(use_true_random=False),
    st.sampled_from(sorted(ADJUSTMENTS)),
)
def test_equal_p_have_equal_levels_in_whatever_order(
    p: list[float], random: Random, adjustment: str
) -> None:
    """The widest that their steps would give them; the last bit of a p decides nothing."""
    levels = compatible_levels(p, adjustment, 0.05)
    order = random.sample(range(len(p)), len(p))
    noise = [p[place] * (1 + random.choice([-1, 0, 1]) * 1e-15) for place in order]
    assert compatible_levels(noise, adjustment, 0.05) == pytest.approx(levels[order], nan_ok=True)
    for one in {value for value in p if value == value}:
        own = {level for value, level in zip(p, levels, strict=True) if value == one}
        assert len(own) == 1
        if adjustment == "holm":
            ranked = sorted(value for value in p if value == value)
            step = min(ranked.index(one), int((holm(p) < 0.05).sum()))
            assert own.pop() == pytest.approx(1 - 0.05 / max(len(ranked) - step, 1))


def test_compatible_levels_by_hand() -> None:
    p = [0.2, 0.001, math.nan, 0.03, 0.02]
    # four tests: the second step of Holm stops at 0.02 >= 0.05 / 3
    holms = compatible_levels(p, "holm", 0.05)
    assert holms[[1, 4, 3, 0]] == pytest.approx([1 - 0.05 / 4, *[1 - 0.05 / 3] * 3])
    assert math.isnan(holms[2])
    # three found
    rates = compatible_levels(p, "benjamini-hochberg", 0.05)
    assert rates[[1, 4, 3, 0]] == pytest.approx([1 - 0.0375] * 3 + [0.95])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3))
def test_holm_knows_that_one_of_two_opposite_hypotheses_is_false(
    pairs: list[tuple[float, float]],
) -> None:
    """Against Bonferroni in all sets that can be true together, one of each pair at most."""
    flat = [p for both in pairs for p in both]
    sets = [
        {place for place in chosen if place is not None}
        for chosen in itertools.product(*((None, 2 * k, 2 * k + 1) for k in range(len(pairs))))
    ]
    adjusted = holm(flat, len(pairs))
    for place, found in enumerate(adjusted):
        closed = max(len(s) * min(flat[k] for k in s) for s in sets if place in s)
        assert found >= min(1, closed) - 1e-12
        assert found <= holm(flat)[place]
    if len(pairs) == 1:
        assert adjusted == pytest.approx(
            np.maximum.accumulate(np.sort(flat))[np.argsort(np.argsort(flat))]
        )


def test_fdr_of_opposite_hypotheses_counts_half_of_them() -> None:
    p = [0.001, 0.9, 0.02, 0.6]
    half = stats.false_discovery_control(p) / 2
    assert benjamini_hochberg(p, 2) == pytest.approx(np.maximum(p, half))
