import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy

from sreval.errors import StatisticsError, UsageError
from sreval.opinions.intervals import exact_share
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import (
    SOURCES,
    compare,
    equality_test,
    goodness,
    images_test,
    order_test,
    shares,
)
from sreval.opinions.pairs.likelihood import Likelihood
from sreval.opinions.pairs.models import Model, Source, fit
from sreval.opinions.significance import holm
from tests.opinions.pairs.builders import counted, judgements, study

DATA = Comparisons.of(study(raters=9, images=7, spread=1.2))


def test_over_raters_it_is_the_sandwich_with_students_t() -> None:
    found = fit(DATA)
    result = compare(found, "rater")
    raw = found.covariance("rater")
    p = []
    for pair in result.pairs:
        a, b = (DATA.methods.index(name) for name in (pair.first, pair.second))
        error = math.sqrt((raw[a, a] + raw[b, b] - 2 * raw[a, b]) * 9 / 8)
        assert pair.error == pytest.approx(error)
        difference = found.theta[a] - found.theta[b]
        half = scipy.stats.t.ppf(0.975, 8) * error
        ends = (pair.difference.low, pair.difference.high)
        assert ends == pytest.approx((difference - half, difference + half))
        p.append(2 * scipy.stats.t.sf(abs(difference) / error, 8))
        assert pair.p == pytest.approx(p[-1])
        win = (pair.win.low, pair.win.estimate, pair.win.high)
        logits = [difference - half, difference, difference + half]
        assert win == pytest.approx(scipy.special.expit(logits).tolist())
    assert [pair.verdict.p_adjusted for pair in result.pairs] == pytest.approx(holm(p).tolist())
    adjusted = [(pair.adjusted.low > 0) or (pair.adjusted.high < 0) for pair in result.pairs]
    assert adjusted == [pair.verdict.significant for pair in result.pairs]


def test_equality_over_raters_is_hotellings() -> None:
    found = fit(DATA)
    contrasts = found.likelihood.basis
    own = contrasts.T @ found.covariance("rater") @ contrasts * 9 / 8
    values = contrasts.T @ found.theta
    square = values @ np.linalg.solve(own, values)
    equality = compare(found, "rater").equality
    assert equality.freedom == pytest.approx((2, 7))
    assert equality.statistic == pytest.approx(square * 7 / (8 * 2))
    assert equality.p == pytest.approx(scipy.stats.f.sf(square * 7 / 16, 2, 7))


def test_two_methods_are_alike_exactly_as_their_pair_says() -> None:
    found = fit(DATA.among(["a", "c"]))
    for unit in SOURCES:
        result = compare(found, unit)
        assert result.equality.p == pytest.approx(result.pairs[0].p)


def test_over_both_no_direction_has_less_than_over_either() -> None:
    for seed in range(5):
        found = fit(Comparisons.of(study(seed, raters=6, images=12, theta=(0.5, 0, 0, -0.5))))
        both, rater, image = (compare(found, unit) for unit in ("both", "rater", "image"))
        for one, two, three in zip(both.pairs, rater.pairs, image.pairs, strict=True):
            assert one.error >= max(two.error, three.error) - 1e-12
            assert 5 <= one.difference.freedom <= 11


def test_over_both_it_is_the_two_way_sandwich_where_that_is_larger() -> None:
    # one pair, so that directions are one number
    data = Comparisons.of(study(3, raters=12, images=9, spread=1.5)).among(["a", "b"])
    found = fit(data)
    raw = {source: found.covariance(source)[0, 0] for source in ("rater", "image")}
    cell = raw["rater"] + raw["image"] - found.covariance("both")[0, 0]
    plain = raw["rater"] * 12 / 11 + raw["image"] * 9 / 8 - cell
    assert min(raw.values()) > cell
    assert compare(found, "both").values[0].error == pytest.approx(math.sqrt(plain))


def test_the_unit_is_both_where_there_are_enough() -> None:
    assert compare(fit(DATA)).unit == "both"
    few = compare(fit(Comparisons.of(study(raters=4, images=7))))
    assert (few.unit, few.warning) == (
        "rater",
        "4 raters tell little of others: read intervals and tests over them with care.",
    )
    assert "4 raters and 7 images" in few.why


@pytest.mark.parametrize("unit", [None, "both", "rater"])
def test_one_rater_has_values_alone(unit: Source | None) -> None:
    result = compare(fit(Comparisons.of(study(raters=1, images=9))), unit)
    assert "1 rater: the values hold for this rater only" in result.warning
    assert all(math.isnan(pair.p) and math.isnan(pair.difference.low) for pair in result.pairs)
    assert math.isnan(result.equality.p)
    assert not result.letters
    assert np.isfinite([value.theta for value in result.values]).all()


def test_counts_without_raters_can_be_taken_as_independent_by_name_alone() -> None:
    data = counted([("a", "b", 30, 0, 10), ("b", "c", 22, 0, 18), ("a", "c", 25, 0, 15)])
    result = compare(fit(data))
    assert "name no raters" in result.warning
    assert math.isnan(result.pairs[0].p)
    named = compare(fit(data), "information")
    assert named.claim == "these judgements, as if all were independent"
    assert "too narrow" in named.warning
    assert named.equality.freedom == (2, math.inf)
    root = math.sqrt(named.fit.covariance("information")[0, 0])
    assert named.values[0].error == pytest.approx(root)


def test_raters_of_one_mind_leave_open_how_others_would_judge() -> None:
    frame = study(raters=1, images=7, theta=(0.2, -0.2))
    frames = [frame.assign(rater=f"r{k}") for k in range(6)]
    data = Comparisons.of(pd.concat(frames))
    found = fit(data)
    result = compare(found, "rater")
    independent = compare(found, "information")
    least = independent.pairs[0].error / math.sqrt(2)
    assert result.pairs[0].error == pytest.approx(least)
    assert result.equality.p > 0


def test_more_methods_than_units_have_no_common_test() -> None:
    result = compare(fit(Comparisons.of(study(raters=4, images=9, theta=(0, 0, 0, 0, 0)))), "rater")
    assert math.isnan(result.equality.p)
    assert np.isfinite([pair.p for pair in result.pairs]).all()


def test_bad_arguments_are_named() -> None:
    found = fit(DATA)
    with pytest.raises(UsageError, match="Unknown unit 'raters'"):
        compare(found, "raters")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Unknown adjustment 'bonferroni'"):
        compare(found, adjust="bonferroni")
    with pytest.raises(StatisticsError, match="level"):
        compare(found, level=95)
    halves = fit(Comparisons.of(study(ties=0.5)), ties="half")
    for test in (goodness, equality_test, images_test):
        with pytest.raises(StatisticsError, match="Ties as half wins have no likelihood"):
            test(halves)


def test_a_saturated_model_leaves_nothing_to_test() -> None:
    close = goodness(fit(counted([("a", "b", 9, 0, 5)])))
    assert close.freedom == 0
    assert close.deviance == pytest.approx(0)
    assert math.isnan(close.p)


def test_few_judgements_have_no_p_of_fit() -> None:
    circle = [("a", "b"), ("b", "c"), ("c", "a")]
    few = goodness(fit(counted([(*pair, 1, 0, 0) for pair in circle])))
    assert (few.sparse, math.isnan(few.p)) == (True, True)
    enough = goodness(fit(counted([(*pair, 7, 0, 3) for pair in circle])))
    assert (enough.sparse, math.isnan(enough.p)) == (False, False)


def test_a_pure_circle_does_not_fit() -> None:
    close = goodness(fit(counted([("a", "b", 9, 0, 1), ("b", "c", 9, 0, 1), ("c", "a", 9, 0, 1)])))
    assert close.deviance == pytest.approx(2 * 3 * (9 * math.log(1.8) + math.log(0.2)))
    assert (close.freedom, close.p < 1e-4) == (1, True)
    worst = close.worst.iloc[0]
    assert (worst["observed"], worst["expected"]) in ((9, pytest.approx(5)), (1, pytest.approx(5)))


def test_images_that_are_copies_do_not_differ() -> None:
    frame = study(images=1, raters=12)
    copies = [frame.assign(image=name) for name in ("i", "j")]
    found = images_test(fit(Comparisons.of(pd.concat(copies))))
    assert found.statistic == pytest.approx(0, abs=1e-9)
    assert found.freedom == 2
    assert found.p == pytest.approx(1)


@pytest.mark.parametrize("model", ["bradley-terry", "thurstone"])
def test_images_share_one_advantage_of_the_left(model: Model) -> None:
    data = Comparisons.of(study(raters=20, images=4, delta=0.8))
    found = fit(data, model, order=True)
    test = images_test(found)
    # each image's methods as methods of their own, and one advantage
    n = len(data.methods)
    counts = np.eye(3)[1 - data.outcome] * data.count[:, None]
    left, right = data.image * n + data.left, data.image * n + data.right
    joint = Likelihood.on(left, right, counts, n * data.n_images, model, True).maximum()[1]
    assert test.statistic == pytest.approx(2 * (joint - found.log_likelihood), abs=1e-4)
    assert test.freedom == 3 * 2 == images_test(fit(data, model)).freedom


def test_an_image_of_one_mind_has_the_bound_of_its_likelihood() -> None:
    one = study(images=1, raters=12, theta=(0.3, -0.3))
    clear = one.assign(image="clear", left="a", right="b", choice="left")
    data = Comparisons.of(pd.concat([one, clear]))
    found = fit(data)
    own = fit(Comparisons.of(one)).log_likelihood
    # all that agree have the likelihood 1
    assert images_test(found).statistic == pytest.approx(2 * (own - found.log_likelihood), abs=1e-6)


def test_the_advantage_of_the_left_is_tested() -> None:
    data = Comparisons.of(study(raters=20, delta=0.8))
    test = order_test(data, "bradley-terry")
    plain, own = fit(data), fit(data, order=True)
    assert test.statistic == pytest.approx(2 * (own.log_likelihood - plain.log_likelihood))
    assert test.p < 1e-6
    effect = compare(own, "rater").order_effect
    assert effect is not None
    assert effect.low < own.order_effect < effect.high
    assert compare(plain).order_effect is None


def test_shares_count_ties_half_and_stay_within_one() -> None:
    frame = study(raters=9, images=7, ties=0.6)
    data = Comparisons.of(frame)
    wins, ties = data.wins(), data.tied()
    for one in shares(data):
        a, b = (data.methods.index(name) for name in (one.first, one.second))
        assert one.n == wins[a, b] + wins[b, a] + ties[a, b]
        assert one.share.estimate == pytest.approx((wins[a, b] + ties[a, b] / 2) / one.n)
        assert 0 <= one.share.low < one.share.estimate < one.share.high <= 1
    sure = replace(data, outcome=np.where(data.left < data.right, 1, -1))
    for one in shares(sure, "rater"):
        assert (one.share.estimate, one.share.high) == (1, 1)
        assert 0.8 < one.share.low < 1


def test_a_share_over_raters_is_students_of_their_means() -> None:
    data = Comparisons.of(study(raters=9, images=7)).among(["a", "b"])
    own = np.where(data.left == 0, data.outcome, -data.outcome) > 0
    means = np.bincount(data.rater, own) / np.bincount(data.rater)
    half = scipy.stats.t.ppf(0.975, 8) * means.std(ddof=1) / 3
    found = shares(data, "rater")[0].share
    assert found.estimate == pytest.approx(means.mean())
    least = exact_share(found.estimate, data.n_judgements)
    assert found.low == pytest.approx(min(means.mean() - half, least[0]))
    assert found.high == pytest.approx(max(means.mean() + half, least[1]))


def test_a_share_of_fifteen_raters_covers_every_true_share() -> None:
    raters = 15
    true = np.linspace(0.001, 0.999, 999)
    covered = np.zeros(true.size)
    for chosen in range(raters + 1):
        won = pd.DataFrame({"rater": [f"r{k}" for k in range(raters)]}).assign(
            dataset="", image="i", left="a", right="b", count=1,
            choice=["left"] * chosen + ["right"] * (raters - chosen),
        )  # fmt: skip
        own = shares(Comparisons.of(won), "rater")[0].share
        reference = scipy.stats.binomtest(chosen, raters).proportion_ci(method="exact")
        assert own.low <= reference.low + 1e-12
        assert own.high >= reference.high - 1e-12
        within = (own.low <= true) & (true <= own.high)
        covered += scipy.stats.binom.pmf(chosen, raters, true) * within
    assert covered.min() >= 0.95


def test_what_is_not_named_is_not_counted() -> None:
    frame = study(raters=6, images=6)
    no_raters = compare(fit(Comparisons.of(frame.assign(rater=""))))
    assert (no_raters.unit, no_raters.why) == (
        "rater",
        "Over images there are intervals by unit='image'",
    )
    assert "name no raters" in no_raters.warning
    no_images = compare(fit(Comparisons.of(frame.assign(image=""))))
    assert "name no images, so that the unit is rater" in no_images.why
    neither = compare(fit(Comparisons.of(frame.assign(rater="", image=""))))
    assert (neither.unit, neither.why) == ("rater", "")
    for found in (no_raters, no_images, neither):
        assert not re.search(r"1 (rater|image)", f"{found.why} {found.warning}")


def test_too_few_for_both_are_told_which_unit_has_intervals() -> None:
    four = compare(fit(Comparisons.of(study(raters=4, images=9))), "both")
    assert four.warning == (
        "Both needs 5 raters for intervals; here are 4. There are intervals by unit='rater' or "
        "unit='image'."
    )
    assert not math.isnan(compare(four.fit, "rater").values[0].interval.low)
    own = [judgements([("a", "b", 2, 0, 1)], rater=name, image="i") for name in ("r", "s")]
    two = compare(fit(Comparisons.of(pd.concat(own))), "rater")
    assert two.warning == "2 raters: the values hold for these raters only."
