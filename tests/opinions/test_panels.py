"""Two panels, against scipy, covariances, symmetries, and halves of one real panel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.comparison import compare_methods
from sreval.opinions.panels import (
    Panel,
    by_method,
    compare_orders,
    compare_panels,
    panel_of_means,
    panel_of_scores,
    panel_of_votes,
    same_order_again,
)
from sreval.opinions.votes import check_votes
from tests.opinions.builders import random_votes, votes_table
from tests.opinions.conftest import expected, nflx, ratings_folder
from tests.opinions.test_regression import X_WEIGHT, Y_WEIGHT, X, Y

__all__ = ["expected", "nflx", "ratings_folder"]


def panel(votes: pd.DataFrame, methods: bool = False, images: bool = False) -> Panel:
    made = panel_of_votes(votes)
    return by_method(made, images=images) if methods else made


def table(means: list[float], errors: list[float] | None = None) -> Panel:
    index = pd.MultiIndex.from_tuples([("", f"m{i}") for i in range(len(means))])
    index.names = ["dataset", "method"]
    own = None if errors is None else pd.Series(errors, index)
    return panel_of_means(pd.Series(means, index), own)


def covariance(one: Panel, source: int = 0) -> Floats:
    influence = one.sources[source].influence
    return influence.T @ influence


@pytest.mark.parametrize("raters", [5, 30])
def test_influences_make_the_covariance_of_the_means(raters: int) -> None:
    """Also with more raters than means, where their rows are reduced."""
    votes = random_votes(1, methods=2, images=4, raters=raters)
    wide = votes.pivot(index="rater", columns=["image", "method"], values="score")
    found = panel(votes)
    order = [tuple(key[1:]) for key in found.index]
    assert covariance(found) == pytest.approx(np.cov(wide[order].to_numpy().T) / raters)
    assert len(found.sources[0].influence) <= 8


def test_few_votes_a_stimulus_hide_no_common_error() -> None:
    """By hand: the mean's variance is that of severity and noise, by who rated what."""
    generator = np.random.default_rng(11)
    seen = generator.random((8, 12)) < 0.3
    seen[0], seen[1, ::2], seen[2, 1::2] = False, True, True
    seen[3:5, seen.sum(axis=0) < 2] = True
    seen = seen[1:]
    index = pd.MultiIndex.from_product(
        [["x"], list(range(6)), ["a", "b"]], names=["dataset", "image", "method"]
    )
    weight = seen / seen.sum(axis=0) / 12
    true = (weight.sum(axis=1) ** 2).sum() + 0.25 * (weight**2).sum()
    found = []
    for _ in range(200):
        scores = generator.normal(size=(7, 1)) + 0.5 * generator.normal(size=(7, 12))
        made = panel_of_scores(np.where(seen, scores, np.nan), index)
        found.append(((made.sources[0].influence.mean(axis=1)) ** 2).sum())
    assert np.mean(found) == pytest.approx(true, rel=0.15)


def test_methods_have_the_errors_of_raters_and_of_images() -> None:
    votes = random_votes(2, methods=3, images=6, raters=9)
    found = panel(votes, methods=True, images=True)
    for place, (_, method) in enumerate(found.index):
        own = votes[votes["method"] == method]
        for source, unit in enumerate(("rater", "image")):
            means = own.groupby(unit)["score"].mean()
            error = math.sqrt(covariance(found, source)[place, place])
            assert error == pytest.approx(scipy.stats.sem(means))


def test_with_known_errors_the_line_is_tested_by_chi_square() -> None:
    """The sum of squared residuals over their variances, as in York 1966, on J - 2 degrees."""
    a, b = [1.0, 2, 3, 4, 4.5], [1.2, 1.9, 3.5, 3.9, 4.6]
    found = compare_panels(table(a, [0.2] * 5), table(b, [0.1] * 5))
    residual = np.array(b) - found.intercept.estimate - found.slope.estimate * np.array(a)
    s = float((residual**2 / (0.1**2 + found.slope.estimate**2 * 0.2**2)).sum())
    assert found.linear is not None
    assert found.linear.above == pytest.approx(3)
    assert found.linear.below == math.inf
    assert found.linear.p == pytest.approx(scipy.stats.chi2.sf(s, 3), abs=1e-9)


def test_differences_of_methods_are_welchs_test_of_the_raters() -> None:
    generator = np.random.default_rng(3)
    votes = []
    for raters in (7, 12):
        scores = np.clip(np.rint(generator.normal([1.5, 3, 4], [0.1, 2, 0.2], (raters, 3))), 1, 5)
        votes.append(votes_table(scores.T[:, None, :]))
    found = compare_panels(*(panel(one, methods=True) for one in votes), margin=0.5).methods
    (row,) = found[found["method"] == "b"].to_dict("records")  # that of the largest error
    own = [one.loc[one["method"] == "b", "score"] for one in votes]
    welch = scipy.stats.ttest_ind(own[1], own[0], equal_var=False)
    assert row["difference_p"] == pytest.approx(welch.pvalue)
    assert row["difference_df"] == pytest.approx(welch.df)
    sides = [
        scipy.stats.ttest_ind(own[1] + 0.5, own[0], equal_var=False, alternative="greater").pvalue,
        scipy.stats.ttest_ind(own[1] - 0.5, own[0], equal_var=False, alternative="less").pvalue,
    ]
    assert row["difference_equivalence_p"] == pytest.approx(max(sides))
    ends = welch.confidence_interval()
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(ends))


def test_swapped_panels_and_other_units_change_nothing_that_matters() -> None:
    a, b = (panel(random_votes(seed, images=5, raters=9)) for seed in (4, 5))
    found, swapped = compare_panels(a, b), compare_panels(b, a)
    assert swapped.slope.estimate == pytest.approx(1 / found.slope.estimate)
    assert found.linear is not None
    assert swapped.linear is not None
    assert swapped.linear.f == pytest.approx(found.linear.f)
    assert swapped.linear.p == pytest.approx(found.linear.p, rel=0.02)
    wide = random_votes(5, images=5, raters=9).assign(score=lambda f: 7 + 20 * f["score"])
    scaled = compare_panels(a, panel(wide))
    assert scaled.slope.estimate == pytest.approx(20 * found.slope.estimate)
    assert scaled.linear is not None
    assert scaled.linear.p == pytest.approx(found.linear.p)
    assert scaled.plcc.low == pytest.approx(found.plcc.low)


def test_degrees_of_freedom_hold_for_more_means_than_raters() -> None:
    """Independent votes: Box' degrees of freedom are those of all means beside the line."""
    generator = np.random.default_rng(6)
    found = []
    for _ in range(12):
        quality = np.linspace(1, 5, 80)[:, None]
        panels = [
            panel(votes_of_floats(quality + generator.normal(size=(80, 8)))) for _ in range(2)
        ]
        made = compare_panels(*panels).linear
        assert made is not None
        found.append(made.above)
    assert np.mean(found) == pytest.approx(78, rel=0.15)


def votes_of_floats(scores: Floats) -> pd.DataFrame:
    stimulus, rater = np.indices(scores.shape)
    return pd.DataFrame(
        {"rater": rater.ravel(), "dataset": "", "image": stimulus.ravel(), "method": "m"}
        | {"score": scores.ravel()}
    ).astype({"rater": str, "image": str})


def test_halves_of_one_real_panel_agree(nflx: Floats) -> None:
    """Netflix' public 26 raters, halved at random: F is 1 on average, and rarely significant."""
    found = []
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(26)
        halves = [panel(votes_of_floats(nflx[:, own])) for own in (order[:13], order[13:])]
        made = compare_panels(*halves)
        assert made.linear is not None
        assert made.true_plcc.low <= 1 == pytest.approx(made.true_plcc.high)
        found.append((made.linear.f, made.linear.p < 0.05))
    f, rejected = np.mean(found, axis=0)
    assert f == pytest.approx(1, abs=0.2)
    assert rejected <= 0.1


def test_a_method_that_one_panel_sees_otherwise_is_found() -> None:
    votes = [random_votes(seed, methods=6, images=8, raters=20) for seed in (7, 8)]
    other = votes[1]["method"] == "c"
    votes[1].loc[other, "score"] = (votes[1]["score"][other] + 1).clip(1, 5)
    made = compare_panels(*map(panel, votes))
    departs = made.methods.set_index("method")["departure_p_adjusted"]
    assert departs.idxmin() == "c"
    assert departs.min() < 0.001
    assert made.linear is not None
    assert made.linear.p < 0.001
    assert made.true_plcc.high < 1


# Pearson's data with York's weights; errors of the line as York et al. 2004 print them
PEARSON = table(list(X), list(X_WEIGHT**-0.5))


@pytest.mark.parametrize("sign", [1, -1])
def test_known_errors_give_yorks_published_errors_of_the_line(sign: int) -> None:
    """Also where B's scale is turned round, 10 - b for b."""
    b = Y if sign > 0 else 10 - Y
    found = compare_panels(PEARSON, table(list(b), list(Y_WEIGHT**-0.5)))
    z = scipy.stats.norm.ppf(0.975)
    assert found.slope.estimate == pytest.approx(-0.48053 * sign, abs=5e-6)
    assert found.slope.half_width / z == pytest.approx(0.05798, abs=1e-5)
    assert found.intercept.half_width / z == pytest.approx(0.29497, abs=1e-5)


def test_votes_on_a_scale_turned_round_give_the_same_line_and_departures() -> None:
    votes = [random_votes(seed, methods=4, images=5, raters=9) for seed in (3, 4)]
    a, b = map(panel, votes)
    turned = panel(votes[1].assign(score=6 - votes[1]["score"]))
    found, again = compare_panels(a, b), compare_panels(a, turned)
    assert again.slope.half_width == pytest.approx(found.slope.half_width)
    assert again.intercept.half_width == pytest.approx(found.intercept.half_width)
    assert again.points["departure_error"].to_numpy() == pytest.approx(
        found.points["departure_error"].to_numpy()
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_of_the_true_correlation_is_the_f_test_turned_round(seed: int) -> None:
    """At its ends, what is beside the line is as rare as it may be: errors and more have that F."""
    generator = np.random.default_rng(seed)
    x = np.linspace(1, 5, 9)
    means = [x + generator.normal(0, 0.2, 9), x + generator.normal(0, 0.2 + 0.3 * seed, 9)]
    a, b = (table(list(one), [0.2] * 9) for one in means)
    found = compare_panels(a, b)
    assert found.linear is not None
    spread = b.mean.var() * 9 - 8 * 0.2**2
    errors = found.rmse_of_errors**2 * 7
    for end, tail in ((found.true_plcc.low, 0.025), (found.true_plcc.high, 0.975)):
        if 0 < end < 1 - 1e-12:
            ratio = 1 + (1 - end**2) * spread / errors
            p = scipy.stats.chi2.cdf(
                found.linear.f / ratio * found.linear.above, found.linear.above
            )
            assert p == pytest.approx(tail)
    assert (found.true_plcc.high < 1) == (found.linear.p < 0.025)
    assert (found.true_plcc.low < 1) == (found.linear.p < 0.975)


def test_without_errors_there_is_a_line_and_no_test() -> None:
    made = compare_panels(table([1, 2, 4]), table([2, 3, 4.5]))
    assert made.linear is made.identical is None
    assert math.isnan(made.slope.low)
    assert made.methods["departure_p"].isna().all()
    assert made.slope.estimate == pytest.approx(0.81, abs=0.05)


def test_an_error_of_zero_counts_as_the_others() -> None:
    assert table([1, 2, 3], [0.0, 0.1, 0.1]).error == pytest.approx([0.1, 0.1, 0.1])
    assert not table([1, 2, 3], [0.0, 0.0, 0.0]).sources


@pytest.mark.parametrize(
    ("means", "said"),
    [
        (([1, 2], [1, 2]), "2 means in common"),
        (([2, 2, 2], [1, 2, 3]), "All 3 common means"),
        (([1, 2, 1, 2], [1, 1, 2, 2]), "aren't related"),
    ],
)
def test_what_cannot_be_compared_is_refused(means: tuple[list[float], ...], said: str) -> None:
    with pytest.raises(StatisticsError, match=said):
        compare_panels(*map(table, means))


@pytest.mark.parametrize(
    ("means", "errors"), [([1, math.nan, 3], None), ([1, 2, 3], [1, 1, math.inf])]
)
def test_a_mean_or_error_that_is_no_number_is_refused(means: list[float], errors: Any) -> None:
    with pytest.raises(StatisticsError, match="isn't a finite number"):
        table(means, errors)


def test_a_panel_needs_raters_and_a_margin_points() -> None:
    with pytest.raises(StatisticsError, match="needs 3 raters"):
        panel(random_votes(raters=2))
    with pytest.raises(StatisticsError, match="margin can't be -1"):
        compare_panels(table([1, 2, 3]), table([1, 2, 3]), margin=-1)


def test_orders_are_judged_by_the_tests_of_both() -> None:
    votes = [random_votes(seed, methods=4, images=6, raters=14) for seed in (9, 10)]
    votes[1]["method"] = votes[1]["method"].map(dict(zip("abcd", "bacd", strict=True)))
    means = [one.groupby("method")["score"].mean() for one in votes]
    tests = [compare_methods(check_votes(one))[0].frame() for one in votes]
    made = compare_orders("x", means, tests)
    verdicts = made.pairs.set_index(["first", "second"])["verdict"]
    assert verdicts["d", "c"] == "replicated"
    assert verdicts["b", "a"] == "contradicted"
    assert made.tau == pytest.approx(scipy.stats.kendalltau(means[0], means[1]).statistic)
    assert made.same == 5
    # every pair is settled, so nothing of the true tau is left open
    assert (made.tau_low, made.tau_high) == pytest.approx((made.tau, made.tau))
    alone = compare_orders("x", means, [tests[0], None])
    assert set(alone.pairs["verdict"]) == {"same direction", "opposite direction"}
    # the tests of A show them all, and B's means of b and d, its best, are as good as each other
    even = [means[0], means[1].where(means[1].index != "b", means[1]["d"])]
    tied = compare_orders("x", even, [tests[0], None])
    assert tied.pairs["verdict"].value_counts()["equal means"] == 1
    assert list(tied.pairs["verdict"] == "equal means") == list(tied.signs == 0)
    unknown = compare_orders("x", means, [None, None])
    assert math.isnan(unknown.tau_low)


def test_redrawn_orders_agree_as_often_as_chance_has_it() -> None:
    alike = table([3, 3, 3], [0.1] * 3)
    assert same_order_again(alike, alike, same_images=False) == pytest.approx(1 / 6, abs=0.05)
    apart = table([1, 3, 5], [0.1] * 3)
    assert same_order_again(apart, apart, same_images=False) == 1
    assert math.isnan(same_order_again(apart, table([1, 3, 5]), same_images=False))
