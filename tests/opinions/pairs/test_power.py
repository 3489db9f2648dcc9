import math

import numpy as np
import pytest
import scipy

from sreval.errors import SrevalError
from sreval.opinions.pairs.models import fit
from sreval.opinions.pairs.power import (
    error_parts,
    jod_of,
    judgements_needed,
    pair_needed,
    pair_power,
    win_probability_of,
)
from sreval.opinions.pairs.simulation import PairModel, plan_pairs
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
    made = judgements_needed((4,), (0.3, 0.15), n_raters=15, n_images=10, model=ALIKE)
    # SE = 2.63 / sqrt(m n) JOD, so that +-0.3 at 95 % needs m = 74 of n = 4
    assert made["independent"].tolist() == [74, 295]
    assert made["design_factor"].tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("size", "model"),
    [
        ((4, 12, 10, 1.0), PairModel()),
        ((2, 10, 14, 1.0), PairModel(rater_sd=0.2, image_sd=0.7)),
        ((5, 16, 12, 0.3), PairModel(rater_sd=0.8, image_sd=0.3)),
        ((6, 10, 10, 0.5), PairModel(rater_sd=0.6)),
    ],
)
def test_the_error_is_that_of_simulated_studies(
    size: tuple[int, int, int, float], model: PairModel
) -> None:
    methods, raters, images, share = size
    plan = plan_pairs(raters, images, methods, share)
    squares = []
    for study in range(120):
        generator = np.random.default_rng(study)
        drawn = model.draw(np.zeros(methods), raters, images, generator)
        # the mean over pairs of squared differences of values that sum to zero
        squares.append(2 * (fit(drawn.answers(plan)).theta ** 2).sum() / (methods - 1))
    parts = error_parts(methods, raters, images, share=share, model=model)
    error = np.std(squares) / math.sqrt(len(squares))
    expected = parts.variance(raters, images)
    assert np.mean(squares) == pytest.approx(expected, abs=3 * error + 0.04 * expected)


@pytest.mark.parametrize("half_width", [0.2, 0.5, 1.0])
def test_the_fewest_reach_the_half_width_and_one_less_does_not(half_width: float) -> None:
    parts = error_parts(4, 15, 30)

    def of_raters(n: float) -> float:
        return parts.half_width(n, 30)

    def of_images(n: float) -> float:
        return parts.half_width(15, n)

    for found, reached in (
        (parts.raters(half_width, 30), of_raters),
        (parts.images(half_width, 15), of_images),
    ):
        if found == math.inf:
            assert reached(1e9) > half_width
        else:
            assert reached(found) <= half_width
            assert found == 2 or reached(found - 1) > half_width


def test_what_images_differ_in_no_number_of_raters_makes_good() -> None:
    made = judgements_needed((4,), (0.3,), n_raters=15, n_images=10)
    assert made["n_raters_needed"].tolist() == [math.inf]
    assert judgements_needed((300,), (0.001,))["reached"][0] > 0.001


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(SrevalError, match="Can't simulate"):
        pair_power(0.6, 0, 5)
    for half_width in (0, 1e-9, math.nan):
        with pytest.raises(SrevalError, match=r"JOD to each side.*0\.001 or more"):
            judgements_needed((2,), (half_width,))
    for size in ((1, 10), (10, 1)):
        with pytest.raises(SrevalError, match="at least 2"):
            error_parts(4, *size)


@pytest.mark.parametrize("size", [(4, 10), (3, 7), (5, 9), (2, 3), (9, 100)])
def test_the_share_that_a_remedy_names_is_large_enough(size: tuple[int, int]) -> None:
    methods, images = size
    with pytest.raises(SrevalError) as caught:
        plan_pairs(2, images, methods, 1e-6)
    share = float(str(caught.value).split(" to 1.")[0].split()[-1])
    assert plan_pairs(2, images, methods, share).left.size
