import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.opinions.arrays import Floats
from sreval.opinions.metric_study import (
    Answer,
    accuracy,
    across_scenes,
    answer,
    class_effects,
    combined,
    combined_effects,
    heterogeneity,
    pairs_of,
    rank_correlations,
    within_scene,
)

CLASSES = ["interpolation", "mse", "gan"]
METRICS = {"psnr": True, "lpips": False}
QUALITY = {"interpolation": 1.8, "mse": 2.8, "gan": 3.7}


def study(
    seed: int = 0, scenes: int = 14, raters: int = 20, bias: float = 0.0, gan: float = 3.7
) -> tuple[pd.DataFrame, Floats]:
    """Two methods a class; PSNR gives GANs ``bias`` dB less than their quality deserves."""
    generator = np.random.default_rng(seed)
    groups = [group for group in CLASSES for _ in range(2)]
    base = np.array([{**QUALITY, "gan": gan}[group] for group in groups])
    shape = (scenes, base.size)
    quality = base + generator.normal(0, 0.3, (scenes, 1)) + generator.normal(0, 0.35, shape)
    scene = generator.normal(28, 4, (scenes, 1))
    votes = quality.reshape(-1, 1) + generator.normal(0, 0.6, (quality.size, raters))
    votes = np.clip(np.rint(votes), 1, 5)
    psnr = scene + 2 * quality + generator.normal(0, 2, shape) - bias * (base == gan)
    names = [f"s{i}" for i in range(scenes) for _ in groups]
    table = pd.DataFrame(
        {
            "scene": names,
            "image": names,
            "group": groups * scenes,
            "mos": votes.mean(axis=1),
            "psnr": psnr.ravel(),
            "lpips": (0.8 - 0.1 * quality + generator.normal(0, 0.05, shape)).ravel(),
        }
    )
    return table, votes


def brute_force(table: pd.DataFrame, metric: str, sign: int) -> dict[str, float]:
    """The share of pairs in order by scene, one pair after the other."""
    found = {}
    for scene, rows in table.groupby("scene"):
        scores = []
        for (_, a), (_, b) in itertools.combinations(rows.iterrows(), 2):
            if a["mos"] != b["mos"]:
                ahead = np.sign(a["mos"] - b["mos"]) * np.sign(sign * (a[metric] - b[metric]))
                scores.append((ahead + 1) / 2)
        found[str(scene)] = float(np.mean(scores))
    return found


def test_accuracy_is_the_share_of_pairs_in_order() -> None:
    table, _ = study(scenes=4)
    psnr = table["psnr"].to_numpy().copy()
    psnr[3] = psnr[2]
    table = table.assign(psnr=psnr)
    shares = accuracy(table, pairs_of(table), METRICS)
    for metric, sign in (("psnr", 1), ("lpips", -1)):
        assert shares[metric].to_dict() == pytest.approx(brute_force(table, metric, sign))


def test_a_pair_counts_where_its_raters_differ() -> None:
    table, votes = study(scenes=5, raters=9)
    votes[::4, 0] = np.nan
    found = {(row.first, row.second) for row in pairs_of(table, votes).itertuples()}
    expected = set()
    for _, rows in table.groupby("scene"):
        for a, b in itertools.combinations(rows.index, 2):
            test = stats.ttest_rel(votes[a], votes[b], nan_policy="omit")
            if test.pvalue < 0.05:
                mos = table["mos"]
                expected.add((a, b) if mos[a] > mos[b] else (b, a))
    assert 0 < len(found) < 75
    assert found == expected


def test_rank_correlation_of_a_scene_is_scipys() -> None:
    table, _ = study(scenes=6)
    found = rank_correlations(table, METRICS)
    for metric, sign in (("psnr", 1), ("lpips", -1)):
        rho = {
            scene: stats.spearmanr(sign * rows[metric], rows["mos"]).statistic
            for scene, rows in table.groupby("scene")
        }
        assert found[metric].to_dict() == pytest.approx(rho)


def test_a_metric_that_does_not_vary_in_a_scene_has_no_order_there() -> None:
    table, _ = study(scenes=4)
    found = rank_correlations(table.assign(psnr=30.0), METRICS)
    assert (found["psnr"] == 0).all()
    shares = accuracy(table.assign(psnr=30.0), pairs_of(table), METRICS)
    assert (shares["psnr"] == 0.5).all()


def test_differences_are_paired_t_tests_of_scenes() -> None:
    table, votes = study(scenes=12)
    shares = accuracy(table, pairs_of(table, votes), METRICS)
    made = answer(shares, "within a scene", (), "accuracy", 0.9, 99, "pairs")
    expected = stats.ttest_rel(shares["psnr"], shares["lpips"])
    (found,) = made.differences
    assert found.p == pytest.approx(expected.pvalue)
    limits = expected.confidence_interval(0.9)
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(limits))
    assert made.order == ["lpips", "psnr"]
    assert made.p_from_best("psnr") == found.p_adjusted


def test_scenes_that_all_agree_bound_the_share_from_one_side() -> None:
    shares = pd.DataFrame({"good": [1.0] * 8, "bad": [0.0] * 8, "flat": [0.5] * 8})
    made = answer(shares, "within a scene", (), "accuracy", 0.95, 8, "pairs")
    exact = stats.binomtest(8, 8).proportion_ci(0.95, "exact")
    good, bad, flat = (made.intervals[name] for name in ("good", "bad", "flat"))
    assert (good.low, good.high) == pytest.approx((exact.low, 1))
    assert (bad.low, bad.high) == pytest.approx((0, 1 - exact.low))
    assert math.isnan(flat.low)
    assert made.p_from_best("bad") == pytest.approx(3 * 2**-7)


def test_two_scenes_give_neither_interval_nor_test() -> None:
    table, votes = study(scenes=2)
    for made in (*within_scene(table, METRICS, CLASSES, votes), *across_scenes(table, METRICS, [])):
        assert all(math.isnan(found.low) for found in made.intervals.values())
        assert all(math.isnan(found.p) for found in made.differences)
    assert all(math.isnan(one.p) for one in class_effects(table, METRICS, CLASSES))


def test_every_respect_is_answered_once() -> None:
    table, votes = study(scenes=5)
    within = within_scene(table, METRICS, CLASSES, votes)
    across = across_scenes(table, METRICS, CLASSES)
    pairs = list(itertools.combinations(CLASSES, 2))
    each: list[tuple[str, ...]] = [(), ("interpolation",), ("mse",), ("gan",)]
    assert [one.groups for one in within if one.statistic == "accuracy"] == [*each, *pairs]
    assert [one.groups for one in across] == each
    alone = table.assign(group="mse")
    assert [one.groups for one in within_scene(alone, METRICS, ["mse"])] == [(), ()]


def test_a_class_effect_is_that_of_a_regression_on_image_dummies() -> None:
    table, _ = study(3, scenes=6, bias=2.0)
    (found,) = class_effects(table, {"psnr": True}, ["mse", "gan"])
    own = table[table["group"].isin(["mse", "gan"])]

    def effect(rows: pd.DataFrame) -> float:
        dummies = pd.get_dummies(rows["image"]).to_numpy(float)
        design = np.column_stack([rows["group"] == "gan", rows["mos"], dummies]).astype(float)
        return float(np.linalg.lstsq(design, rows["psnr"].to_numpy(), rcond=None)[0][0])

    assert found.effect.estimate == pytest.approx(effect(own))
    scenes = own["scene"].unique()
    pseudo = [6 * effect(own) - 5 * effect(own[own["scene"] != scene]) for scene in scenes]
    half = stats.t.ppf(0.975, 5) * np.std(pseudo, ddof=1) / np.sqrt(5)
    limits = np.mean(pseudo) - half, np.mean(pseudo) + half
    assert (found.effect.low, found.effect.high) == pytest.approx(limits)


def errors_of(votes: Floats) -> Floats:
    error: Floats = votes.std(axis=1, ddof=1) / np.sqrt(votes.shape[1])
    return error


def test_psnr_underrates_gans_where_it_does_and_is_cleared_where_it_does_not() -> None:
    """Two classes a point apart and a noisy metric, as in benchmarks/metrics_study.py."""
    told = {0.0: 0, 3.0: 0}
    for bias, seed in itertools.product(told, range(25)):
        table, votes = study(seed, scenes=14, bias=bias)
        (found,) = class_effects(table, {"psnr": True}, ["mse", "gan"], errors_of(votes))
        told[bias] += found.p < 0.05
        if bias and found.p < 0.05:
            assert found.effect.estimate < 0
    assert told[0.0] <= 4
    assert told[3.0] >= 17


def test_errors_of_mos_are_taken_out() -> None:
    """Few raters and qualities that differ little: the slope is flattened by a third."""
    estimates = []
    for seed in range(12):
        table, votes = study(seed, scenes=60, raters=6)
        own = [
            class_effects(table, {"psnr": True}, ["mse", "gan"], errors)[0].effect.estimate
            for errors in (None, errors_of(votes))
        ]
        estimates.append(own)
    without, corrected = np.mean(estimates, axis=0)
    assert abs(corrected) < 0.3
    assert without > abs(corrected) + 0.2


def test_mos_that_differ_by_no_more_than_their_errors_give_no_effect() -> None:
    table, votes = study(scenes=8)
    (found,) = class_effects(table, {"psnr": True}, ["mse", "gan"], 20 * errors_of(votes))
    assert math.isnan(found.effect.estimate)
    assert math.isnan(found.p)


def test_equal_studies_combine_to_their_value_with_a_smaller_error() -> None:
    table, votes = study(scenes=10)
    one = within_scene(table, METRICS, CLASSES, votes)
    for own, both in zip(one, combined([one, one]), strict=True):
        assert (both.n, both.of, both.groups) == (2, "studies", own.groups)
        for metric, found in own.intervals.items():
            assert both.intervals[metric].estimate == pytest.approx(found.estimate)
            assert both.errors[metric] == pytest.approx(
                own.errors[metric] / math.sqrt(2), nan_ok=True
            )
            assert both.intervals[metric].n == 2 * found.n


def test_the_combined_interval_is_welchs() -> None:
    """The mean of two means is half of their difference but for a sign: scipy's Welch test."""
    first, second = (np.random.default_rng(seed).uniform(0, 1, n) for seed, n in ((1, 7), (2, 12)))
    made = [
        [
            answer(
                pd.DataFrame({"a": own, "b": 0.3}),
                "within a scene",
                (),
                "accuracy",
                0.95,
                9,
                "pairs",
            )
        ]
        for own in (first, second)
    ]
    (found,) = combined(made)
    test = stats.ttest_ind(first - 0.3, -(second - 0.3), equal_var=False)
    limits = test.confidence_interval(0.95)
    (difference,) = found.differences
    assert difference.p == pytest.approx(test.pvalue)
    got = difference.difference.low, difference.difference.high
    assert got == pytest.approx((limits.low / 2, limits.high / 2))


def test_a_metric_of_one_study_is_combined_over_the_studies_that_have_it() -> None:
    table, votes = study(scenes=6)
    one = within_scene(table, METRICS, [], votes)
    other = within_scene(table, {"psnr": True}, [], votes)
    found = combined([one, other])[0]
    assert found.intervals["lpips"].n == 6
    assert found.intervals["psnr"].n == 12


def test_combined_effects_are_means_of_studies() -> None:
    effects = []
    for seed in range(3):
        table, votes = study(seed, bias=3.0)
        effects.append(class_effects(table, METRICS, CLASSES, errors_of(votes)))
    (found,) = [
        one
        for one in combined_effects(effects)
        if (one.metric, one.first, one.second) == ("psnr", "mse", "gan")
    ]
    own = [
        one.effect.estimate
        for study_effects in effects
        for one in study_effects
        if (one.metric, one.first, one.second) == ("psnr", "mse", "gan")
    ]
    assert found.effect.estimate == pytest.approx(np.mean(own))
    assert found.p_adjusted < 0.001


def answers_of(values: list[float], errors: list[float]) -> list[Answer]:
    shares = pd.DataFrame({"a": [0.2, 0.5, 0.9]})
    made = answer(shares, "within a scene", (), "accuracy", 0.95, 3, "pairs")
    interval = made.intervals["a"]
    return [
        replace(made, intervals={"a": replace(interval, estimate=value)}, errors={"a": error})
        for value, error in zip(values, errors, strict=True)
    ]


def test_heterogeneity_is_cochrans_q() -> None:
    """By hand: weights 100, 25, 25 and the mean 0.55."""
    found = heterogeneity(answers_of([0.5, 0.5, 0.8], [0.1, 0.2, 0.2]), "a")
    assert found.q == pytest.approx(100 * 0.05**2 + 25 * 0.05**2 + 25 * 0.25**2)
    assert found.p == pytest.approx(stats.chi2.sf(found.q, 2))
    assert found.i_squared == pytest.approx(max(0, 1 - 2 / found.q))
    assert math.isnan(heterogeneity(answers_of([0.5], [0.1]), "a").p)


def test_a_stimulus_without_a_mos_or_a_metric_is_in_no_pair_and_no_count() -> None:
    """Every answer is that of the table without it."""
    table, votes = study()
    table = table.assign(mos=table["mos"].where(table.index != 3))
    table.loc[10, "lpips"] = math.inf
    errors = votes.std(axis=1) / math.sqrt(votes.shape[1])
    kept = np.array([i not in (3, 10) for i in table.index])
    less = table[kept].reset_index(drop=True)
    pairs = pairs_of(table)
    assert 3 not in {*pairs["first"], *pairs["second"]}
    for ratings in (None, votes):
        of_kept = None if ratings is None else ratings[kept]
        found = within_scene(table, METRICS, CLASSES, ratings)
        assert found == within_scene(less, METRICS, CLASSES, of_kept)
    assert across_scenes(table, METRICS, CLASSES) == across_scenes(less, METRICS, CLASSES)
    found_effects = class_effects(table, METRICS, CLASSES, errors)
    assert repr(found_effects) == repr(class_effects(less, METRICS, CLASSES, errors[kept]))
    assert any(math.isfinite(one.p) for one in found_effects)
