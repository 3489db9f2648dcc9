import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.comparison import compare_methods
from sreval.opinions.power import (
    ImageModel,
    Plan,
    _p,
    _Simulated,
    difference_found,
    needed,
    power,
)
from sreval.opinions.significance import benjamini_hochberg, holm
from sreval.opinions.simulation import RaterModel, draw_votes
from sreval.opinions.units import Unit
from sreval.opinions.votes import ACR, Scale, check_votes

RATER, IMAGE = Plan("rater"), Plan("image")
UNITS: tuple[Unit, ...] = ("rater", "image", "both")


def test_no_difference_is_found_no_oftener_than_alpha() -> None:
    for unit in UNITS:
        found = power(0.0, 12, 12, Plan(unit), studies=200)
        assert found.power <= 0.05 + 3 * 0.0154, unit


def test_pooled_votes_raise_false_alarms() -> None:
    assert power(0.0, 26, 40, Plan("pooled"), studies=100).power > 0.2


def test_power_grows_with_the_difference_and_the_raters() -> None:
    (few_small, many_small), (few_large, many_large) = (
        [power(d, n, 12, RATER, studies=100).power for n in (8, 24)] for d in (0.1, 0.4)
    )
    assert few_small < many_small < many_large
    assert few_small < few_large


def test_power_is_that_of_the_normal_shift_it_should_be() -> None:
    # without images' or tastes' effects a rater's mean difference is normal, variance 2 v^2 / n
    model = RaterModel(taste_sd=0, lapse_rate=0, inconsistency=0.7, inconsistency_spread=0)
    # Wilcoxon at 3 / pi efficiency: noncentrality 0.2 / sqrt(2 (0.49 + 1 / 12) / 600) = 4.5
    assert power(0.2, 20, 30, RATER, model=model, studies=50).power > 0.97
    found = power(0.07, 20, 30, RATER, model=model, studies=300).power
    assert found == pytest.approx(0.33, abs=0.1)


@cache
def paired_p(difference: float, raters: int, images: int, seed: int) -> float:
    """One simulated study of two methods and its p, by numpy and scipy from the model's figures.

    Images have a difficulty, raters a bias, an inconsistency and tastes; votes are rounded.
    """
    model, images_like = RaterModel(lapse_rate=0, inconsistency_spread=0), ImageModel()
    draw = np.random.default_rng(seed)
    level = 3 + np.array([difference, -difference])[:, None, None] / 2
    latent = (
        level
        + draw.normal(0, images_like.image_sd, (1, images, 1))
        + draw.normal(0, model.bias_sd, (1, 1, raters))
        + draw.normal(0, model.taste_sd, (2, 1, raters))
        + draw.normal(0, model.inconsistency, (2, images, raters))
    )
    first, second = np.clip(np.rint(latent), 1, 5).mean(axis=1).round(9)
    return float(stats.wilcoxon(first - second).pvalue)


@pytest.mark.parametrize(
    ("adjustment", "correct"),
    [("holm", holm), ("benjamini-hochberg", benjamini_hochberg), ("none", np.asarray)],
)
def test_power_is_that_of_the_test_among_all_that_are_made(
    adjustment: str, correct: Callable[[list[float]], Any]
) -> None:
    """Against an independent simulation whose p goes through the correction with 35 p of 1."""
    studies = 200
    others = [1.0] * 35
    found = sum(
        correct([paired_p(0.2, 26, 20, seed), *others])[0] < 0.05 for seed in range(studies)
    )
    made = power(
        0.2,
        26,
        20,
        Plan("rater", methods=9, adjustment=adjustment),
        model=RaterModel(lapse_rate=0, inconsistency_spread=0),
        images_like=ImageModel(interaction_sd=0),
        studies=studies,
    )
    # two shares of 200, each with a standard error of 0.035 at most
    assert made.power == pytest.approx(found / studies, abs=3 * 0.035 * 2**0.5)
    assert (made.power > 0.6) == (adjustment == "none")


def test_nine_methods_need_eleven_raters_whatever_the_difference() -> None:
    plan = Plan("rater", methods=9)
    ten, eleven = (power(2.0, raters, 30, plan, studies=20).power for raters in (10, 11))
    assert (ten, eleven) == (0, 1)


@pytest.mark.parametrize("unit", [*UNITS, "pooled"])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_the_test_is_that_of_compare_methods(unit: Unit, missing: float) -> None:
    generator = np.random.default_rng(2)
    scores = generator.integers(1, 6, (2, 7, 9)).astype(np.float64)
    scores[generator.random(scores.shape) < missing] = np.nan
    rows = [
        (f"r{r}", f"i{i}", f"m{m}", int(scores[m, i, r]))
        for m, i, r in itertools.product(range(2), range(7), range(9))
        if not np.isnan(scores[m, i, r])
    ]
    votes = check_votes(pd.DataFrame(rows, columns=["rater", "image", "method", "score"]))
    (made,) = compare_methods(votes, unit=unit)
    assert _p(scores, unit) == pytest.approx(made.pairs[0].p, rel=1e-9)


def test_unanimous_votes_are_tested_with_the_error_that_they_leave_open() -> None:
    """As Student's t of 1 point with the error 1 / sqrt(2 n) and 4 degrees of freedom."""
    scores = np.array([np.full((5, 5), 3.0), np.full((5, 5), 2.0)])
    t = 1 / math.sqrt(1 / (2 * 25))
    assert _p(scores, "both") == pytest.approx(2 * stats.t.sf(t, 4))


def test_a_test_on_nothing_finds_nothing() -> None:
    assert math.isnan(_p(np.full((2, 3, 3), np.nan), "rater"))


def test_who_leaves_and_who_sees_less_costs_power() -> None:
    whole = power(0.3, 20, 12, replace(RATER, methods=3), studies=100)
    less = power(0.3, 20, 12, replace(RATER, methods=3, subset=0.5, repeats=4), studies=100)
    leave = power(
        0.3, 20, 12, replace(RATER, methods=3), model=RaterModel(dropout_rate=0.5), studies=100
    )
    assert max(less.power, leave.power) + 0.1 < whole.power
    assert (whole.items, less.items) == (36, 22)


@pytest.mark.parametrize("rule", ["too-fast", "straight-lining"])
def test_screening_gives_back_what_careless_raters_cost(rule: Any) -> None:
    """Of 18 raters a third are careless: without them it is nearly a study of 12."""
    careless = (
        RaterModel(speeder_rate=1 / 3)
        if rule == "too-fast"
        else RaterModel(straight_liner_rate=1 / 3)
    )
    plan = Plan("rater", methods=3, adjustment="none")
    screened = power(
        0.4, 18, 8, replace(plan, screening=(rule,)), model=careless, studies=40, seed=1
    )
    twelve = power(0.4, 12, 8, plan, studies=300)
    # the number left varies; 0.079 is the standard error of 40 studies
    assert screened.power == pytest.approx(twelve.power, abs=3 * 0.079)
    if rule == "too-fast":
        assert power(0.4, 18, 8, plan, model=careless, studies=60).power < screened.power - 0.1


def test_screening_takes_out_whom_the_rule_rejects() -> None:
    """All raters are careless: nobody is left, and nothing can be found."""
    hasty = RaterModel(speeder_rate=1)
    plan = Plan("rater", methods=3, screening=("too-fast",))
    assert power(1.0, 8, 8, plan, model=hasty, studies=3).power == 0


def test_only_pairs_that_a_rater_sees_count() -> None:
    seen = np.zeros((10, 12), dtype=bool)
    assert power(2.0, 12, 10, RATER, studies=5, seen=seen).power == 0
    seen[:, :5] = True
    assert power(2.0, 12, 10, RATER, studies=20, seen=seen).power == 0  # five raters: p >= 0.0625
    seen[:, :6] = True
    assert power(2.0, 12, 10, RATER, studies=20, seen=seen).power == 1


def test_looks_keep_most_of_the_power_and_spare_raters() -> None:
    one, three = (power(0.4, 24, 14, replace(RATER, looks=n), studies=100) for n in (1, 3))
    assert one.mean_raters == one.n_raters == 24
    assert [n for n, _ in three.looks] == [8, 16, 24]
    assert three.mean_raters < 20
    assert one.power - 0.04 < three.power <= one.power + 0.01
    named = power(0.4, 24, 14, replace(RATER, looks=(8, 16, 24)), studies=100)
    assert named == three


def test_raters_of_a_look_are_those_who_finish() -> None:
    """As `study report` takes them: nobody who leaves counts, others take their places."""
    plan, leaving = replace(RATER, looks=2), RaterModel(dropout_rate=0.5)
    assert power(0.3, 16, 8, plan, model=leaving, studies=20) == power(0.3, 16, 8, plan, studies=20)


def test_votes_on_others_take_places_in_the_order_and_are_not_drawn() -> None:
    """Of 6 methods, a rater who is shown a share s sees about that share of the two."""
    quality, method = np.full(20, 3.0), np.repeat([0, 1], 10)
    drawn = draw_votes(RaterModel(), quality, method, 200, np.random.default_rng(0), others=40)
    assert drawn.scores.shape == (20, 200)
    assert (np.sort(drawn.position, axis=0) == np.arange(60)[:, None]).all()
    # hypergeometric, 200 raters: a standard deviation of 0.005
    assert drawn.cast(15).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("looks", [1, 2])
def test_the_floor_is_that_of_the_looks(looks: int) -> None:
    """Of six comparisons by Holm: alone 6 x 2^-7 < 0.05; of two looks by Pocock nine raters."""
    plan = Plan("rater", methods=4, looks=looks, spending="pocock")
    assert plan.least_units == (8, 9)[looks - 1]
    assert power(3.0, 8, 30, plan, studies=5).power == (looks == 1)
    assert power(3.0, 9, 30, plan, studies=5).power == 1
    assert plan.idle_looks(9, 30) == ((), (4,))[looks - 1]
    assert needed("raters", 3.0, 20, plan, studies=20).n == (8, 9)[looks - 1]


@pytest.mark.parametrize("find", ["raters", "images"])
def test_the_fewest_are_found_as_trying_every_number_finds_them(find: Any) -> None:
    """Against other studies of the numbers around what was found."""
    plan = RATER if find == "raters" else IMAGE
    made = needed(find, 0.6, 8, plan, studies=100)
    assert made.n is not None
    assert made.power is not None
    assert made.power.power >= 0.8
    assert made.low is not None
    assert made.high is not None
    assert made.low <= made.n <= made.high

    def at(n: int) -> float:
        sizes = (n, 8) if find == "raters" else (8, n)
        return power(0.6, *sizes, plan, studies=200, seed=1).power

    # 0.028 is the standard error of 200 studies
    assert at(made.high) > 0.8 - 3 * 0.028
    assert at(made.low - 1) < 0.8 + 3 * 0.028


def test_the_search_is_decided_by_its_seed() -> None:
    first, again = (needed("raters", 0.6, 8, RATER, studies=30) for _ in range(2))
    assert first == again


def test_what_no_number_can_reach() -> None:
    few = needed("raters", 0.5, 5, IMAGE)
    assert (few.n, few.hopeless) == (None, True)
    row = few.row(0.5, 5)
    assert math.isnan(row["n_raters"])
    assert row["n_images"] == 5


@pytest.mark.parametrize("plan", [replace(RATER, methods=4), Plan("both")])
def test_the_difference_found_has_about_the_power(plan: Plan) -> None:
    """0.04 is the standard error of 100 studies; the power it begins from has 0.05."""
    found = difference_found(power(0.3, 14, 12, plan, studies=100))
    assert found is not None
    assert power(found, 14, 12, plan, studies=100, seed=1).power == pytest.approx(0.8, abs=0.15)


def test_a_power_of_nothing_tells_no_difference() -> None:
    assert difference_found(power(1.0, 5, 10, RATER, studies=5)) is None


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Plan("vote"), "Unknown unit"),  # type: ignore[arg-type]
        (lambda: Plan(adjustment="scheffe"), "Unknown adjustment"),
        (lambda: Plan(screening=("gold",)), "Unknown screening rule"),  # type: ignore[arg-type]
        (lambda: Plan(subset=0.0), "a share of 0"),
        (lambda: Plan(comparisons=0), "no 0 comparisons"),
        (lambda: Plan(methods=3, comparisons=4), "no 4 comparisons"),
        (lambda: power(0.1, 5, 5, studies=0), "0 studies of 5 raters"),
        (lambda: power(0.1, 5, 5, Plan(looks=6)), "5 raters can't have 6 looks"),
        (lambda: power(0.1, 1, 5, Plan(looks=0)), "1 rater can't have 0 looks"),
        (lambda: power(0.1, 5, 5, Plan(looks=(2, 4))), "don't rise to the 5 raters"),
        (lambda: power(0.1, 5, 5, Plan(looks=())), "no raters don't rise"),
    ],
)
def test_refuses(made: Callable[[], object], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        made()


def test_a_scale_that_begins_elsewhere_has_the_same_power() -> None:
    first, second = (
        power(
            0.4, 10, 8, RATER, model=RaterModel().on(scale), images_like=ImageModel().on(scale),
            studies=40,
        ).power
        for scale in (ACR, Scale(11, 15))
    )  # fmt: skip
    assert first == second


def test_spreads_take_as_much_of_another_scale() -> None:
    assert RaterModel().on(ACR) == RaterModel()
    assert ImageModel().on(ACR) == ImageModel()
    slider = Scale(0, 100, 0)
    wide, images = RaterModel().on(slider), ImageModel().on(slider)
    assert (wide.bias_sd, wide.taste_sd, wide.inconsistency) == (7.5, 5, 15)
    assert (wide.low, wide.high, wide.lapse_rate) == (0, 100, 0.02)
    assert (images.quality, images.image_sd, images.interaction_sd) == (50, 12.5, 7.5)
    # finer steps round less away
    made = power(10, 8, 8, RATER, model=wide, images_like=images, studies=60)
    assert made.power == pytest.approx(power(0.4, 8, 8, RATER, studies=60).power, abs=0.2)


def test_with_a_hidden_reference_votes_count_where_it_was_seen() -> None:
    """A difference of two differences from the original is that of the votes."""
    plan, hidden = Plan("rater"), Plan("rater", task="acr-hr")
    assert (plan.items(12), hidden.items(12)) == (24, 36)
    every = [power(0.25, 12, 12, one, studies=150).power for one in (plan, hidden)]
    assert every[0] == pytest.approx(every[1], abs=0.16)
    rated = power(
        0.6, 12, 12, replace(hidden, methods=3, screening=("straight-lining",)), studies=8
    )
    assert rated.items == 48
    with pytest.raises(SrevalError, match="Unknown task"):
        Plan(task="cmr")  # type: ignore[arg-type]


@pytest.mark.parametrize("rest", [{}, {"methods": 3}, {"screening": ("straight-lining",)}])
def test_a_part_with_a_hidden_reference_is_of_whole_images(rest: dict[str, Any]) -> None:
    """Over raters who see half of 12 images the test is that of 6 images that all see."""
    half = Plan("rater", task="acr-hr", subset=0.5, adjustment="none", **rest)
    raters, studies = 10, 12 if rest else 120
    part = power(0.35, raters, 12, half, studies=studies)
    assert part.items == 6 * half.of_an_image
    whole = power(0.35, raters, 6, replace(half, subset=1.0), studies=studies)
    assert whole.items == part.items
    assert part.power == pytest.approx(whole.power, abs=3 * math.sqrt(0.5 / studies))


def test_of_a_part_of_whole_images_every_vote_counts() -> None:
    """Whoever sees an image sees both methods on it, whatever number of images was drawn."""
    plan = Plan("rater", methods=3, task="acr-hr", subset=0.5)
    made = _Simulated(0.3, 5, 9, plan, RaterModel(), ImageModel(), 0, None)
    drawn = made._draw(np.random.default_rng(0))
    seen: list[Any] = []

    def no_test(pair: Any, *_: object) -> float:
        seen.append(pair)
        return 1.0

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sreval.opinions.power._p", no_test)
        for images in (9, 4):
            made._p(drawn, 5, images)
    for pair, images in zip(seen, (9, 4), strict=True):
        assert (np.isnan(pair[0]) == np.isnan(pair[1])).all()
        assert (~np.isnan(pair[0])).sum(axis=0).tolist() == [round(images / 2)] * 5
