import math

import numpy as np
import pytest
import scipy

from sreval.errors import SrevalError
from sreval.opinions.pairs.power import (
    design_factor,
    jod_of,
    judgements_needed,
    pair_needed,
    pair_power,
    win_probability_of,
)
from sreval.opinions.pairs.simulation import PairModel
from sreval.opinions.power import Plan

ALIKE = PairModel(rater_sd=0.0, image_sd=0.0)


def test_jod_is_one_where_three_of_four_prefer() -> None:
    assert jod_of(0.75) == pytest.approx(1)
    assert win_probability_of(jod_of(0.6)) == pytest.approx(0.6)


def test_no_difference_is_found_no_oftener_than_alpha() -> None:
    assert pair_power(0.5, 10, 8, studies=100).power <= 0.05 + 3 * 0.022


def test_power_of_alike_raters_is_that_of_a_share() -> None:
    """Over raters who don't differ: n normal shares, each of as many answers, by Student's t."""
    raters, images, share = 12, 10, 0.6
    made = pair_power(share, raters, images, Plan("rater", task="pair"), model=ALIKE, studies=150)
    shift = (share - 0.5) / math.sqrt(share * (1 - share) / (raters * images))
    limit = scipy.stats.t.ppf(0.975, raters - 1)
    expected = scipy.stats.nct.sf(limit, raters - 1, shift)
    assert made.power == pytest.approx(expected, abs=3 * math.sqrt(0.25 / 150))
    assert made.items == images
    assert made.difference == pytest.approx(jod_of(share))


def test_what_a_unit_claims_decides_which_effects_are_chance() -> None:
    strong = PairModel(rater_sd=0.0, image_sd=2.0)
    rater, image = (
        pair_power(0.7, 10, 8, Plan(unit, task="pair"), model=strong, studies=40).power
        for unit in ("rater", "image")
    )
    assert image < rater


def test_more_ties_find_less_and_a_plan_tells_its_items() -> None:
    plan = Plan("rater", methods=4, task="pair", subset=0.5, repeats=3)
    few, many = (
        pair_power(0.7, 8, 6, plan, model=PairModel("davidson", 0, 0).with_ties(ties), studies=60)
        for ties in (0.05, 0.8)
    )
    assert many.power < few.power
    assert few.items == 0.5 * 6 * 6 + 3
    assert few.comparisons == 6
    assert few.looks == ((8, 0.05 / 6),)


def test_the_search_finds_what_the_power_of_a_number_says() -> None:
    plan = Plan("rater", task="pair")
    made = pair_needed("raters", 0.75, 6, plan, model=ALIKE, studies=40)
    assert made.n is not None
    assert made.low is not None
    assert made.high is not None
    assert made.low <= made.n <= made.high
    assert made.power is not None
    assert made.power.power >= 0.8
    again = pair_power(0.75, made.n, 6, plan, model=ALIKE, studies=40)
    assert again.power == made.power.power


def test_no_number_of_raters_is_enough_for_too_few_images() -> None:
    assert pair_needed("raters", 0.7, 4, Plan(task="pair")).hopeless
    assert Plan(task="pair", looks=2).idle_looks(8, 9) == (4,)


@pytest.mark.parametrize("chance", [0.4, 1.0, math.nan])
def test_a_win_probability_lies_between_a_half_and_one(chance: float) -> None:
    with pytest.raises(SrevalError, match="can't be preferred with probability"):
        pair_power(chance, 5, 5)


def test_judgements_are_those_of_the_formula_where_nothing_goes_together() -> None:
    made = judgements_needed((4,), (0.3, 0.15), n_raters=15, n_images=10, model=ALIKE, studies=200)
    # SE = 2.63 / sqrt(m n) JOD, so that +-0.3 at 95 % needs m = 74 of n = 4
    assert made["independent"].tolist() == [74, 295]
    factor, error = made[["design_factor", "standard_error"]].iloc[0]
    assert factor == pytest.approx(1, abs=3 * error + 0.02)
    assert 0 < error < 0.05
    assert (made["judgements"] / made["independent"]).to_numpy() == pytest.approx(
        factor**2, abs=0.03
    )


def test_the_design_factor_is_that_of_the_effects() -> None:
    """Two methods, one image: the variance of a mean of R raters, each of one answer, and J = 1."""
    model = PairModel(rater_sd=0.0, image_sd=0.7)
    factor, error = design_factor(2, 60, 6, model=model, studies=150)
    share = scipy.special.expit(np.random.default_rng(0).normal(size=200_000) * 0.7 * math.sqrt(2))
    # within the raters' answers, and between images
    variance = (share * (1 - share)).mean() / 360 + share.var() / 6
    assert factor == pytest.approx(math.sqrt(variance * 4 * 360), abs=4 * error + 0.1)


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(SrevalError, match="Can't simulate"):
        pair_power(0.6, 0, 5)
    with pytest.raises(SrevalError, match="JOD to each side"):
        judgements_needed((2,), (0,), studies=20)
    with pytest.raises(SrevalError, match="No estimate exists"):
        design_factor(4, 1, 1, share=1 / 3, studies=3)
