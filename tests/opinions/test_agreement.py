import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.agreement import metric_agreement


def stimuli(seed: int = 0, scenes: int = 20, versions: int = 6, worse: float = 6.0) -> pd.DataFrame:
    """MOS with a metric that follows it, one that follows it less, and one upside down."""
    generator = np.random.default_rng(seed)
    quality = generator.uniform(1, 5, (scenes, versions))
    scene = generator.normal(0, 1, (scenes, 1))
    noise = generator.normal(size=(3, scenes, versions))
    return pd.DataFrame(
        {
            "scene": np.repeat([f"s{i}" for i in range(scenes)], versions),
            "mos": quality.ravel(),
            "good": (20 + 3 * quality + scene + noise[0]).ravel(),
            "poor": (20 + 3 * quality + scene + worse * noise[1]).ravel(),
            "down": (1 - 0.2 * quality + 0.05 * noise[2]).ravel(),
        }
    )


METRICS = {"good": True, "poor": True, "down": False}


def test_estimates_agree_with_scipy() -> None:
    table = stimuli()
    result = metric_agreement(table, METRICS, mapping="linear")
    for name, higher in METRICS.items():
        turned = table[name] * (1 if higher else -1)
        found = result.statistics[name]
        assert found["plcc"].estimate == pytest.approx(stats.pearsonr(turned, table["mos"])[0])
        assert found["srocc"].estimate == pytest.approx(stats.spearmanr(turned, table["mos"])[0])
        assert found["krocc"].estimate == pytest.approx(stats.kendalltau(turned, table["mos"])[0])
        residual = stats.linregress(turned, table["mos"])
        error = table["mos"] - residual.intercept - residual.slope * turned
        assert found["rmse"].estimate == pytest.approx(np.sqrt((error**2).mean()))
        for interval in found.values():
            assert interval.low < interval.estimate < interval.high


def test_the_metric_that_follows_better_is_told_apart() -> None:
    result = metric_agreement(stimuli(), METRICS)
    first = result.differences[0]
    assert (first.first, first.second) == ("good", "poor")
    assert first.difference.low > 0
    assert first.p_adjusted < 0.001
    assert len(result.frame()) == 12


def test_a_metric_turned_the_wrong_way_has_negative_correlations() -> None:
    result = metric_agreement(stimuli(), {"good": False})
    found = result.statistics["good"]
    assert found["plcc"].estimate < -0.9
    assert found["srocc"].estimate < -0.9
    assert found["rmse"].estimate < 1


def test_versions_of_one_scene_are_not_counted_as_independent() -> None:
    generator = np.random.default_rng(1)
    scene = generator.normal(size=(12, 1))
    table = stimuli(scenes=12).assign(
        mos=(scene + 0.1 * generator.normal(size=(12, 6))).ravel(),
        good=(scene * 0.3 + generator.normal(size=(12, 1)) + np.zeros(6)).ravel(),
    )
    together = metric_agreement(table, {"good": True})
    apart = metric_agreement(table.assign(scene=range(72)), {"good": True})
    widths = [r.statistics["good"]["srocc"].half_width for r in (together, apart)]
    assert widths[0] > 1.8 * widths[1]


def test_equal_metrics_are_rarely_told_apart() -> None:
    alarms = sum(
        metric_agreement(
            stimuli(seed, scenes=15, worse=1.0),
            {"good": True, "poor": True},
            mapping="linear",
        )
        .differences[0]
        .p
        < 0.05
        for seed in range(100)
    )
    assert alarms <= 11


def test_infinite_values_are_left_out_for_all_metrics() -> None:
    table = stimuli()
    table.loc[[3, 40], "good"] = [math.inf, math.nan]
    result = metric_agreement(table, METRICS)
    assert result.n == 118
    assert result.excluded == {"a missing or infinite value": 2}


def brute_force(table: pd.DataFrame, level: float) -> tuple[float, float]:
    """Fisher's z of Spearman's rho, scene by scene left out, by scipy and loops."""

    def z(rows: pd.DataFrame) -> float:
        return float(np.arctanh(stats.spearmanr(rows["good"], rows["mos"]).statistic))

    scenes = table["scene"].unique()
    n = len(scenes)
    pseudo = [n * z(table) - (n - 1) * z(table[table["scene"] != scene]) for scene in scenes]
    half = stats.t.ppf((1 + level) / 2, n - 1) * np.std(pseudo, ddof=1) / np.sqrt(n - 1)
    return float(np.tanh(np.mean(pseudo) - half)), float(np.tanh(np.mean(pseudo) + half))


@pytest.mark.parametrize("level", [0.9, 0.99])
def test_the_interval_is_the_jackknife_of_fishers_z_over_scenes(level: float) -> None:
    table = stimuli(scenes=7)
    found = metric_agreement(table, {"good": True}, mapping="linear", level=level)
    rho = found.statistics["good"]["srocc"]
    assert (rho.low, rho.high) == pytest.approx(brute_force(table, level), abs=1e-9)
    assert (rho.level, rho.n, rho.unit) == (level, 7, "scene")


@pytest.mark.parametrize("scenes", [5, 14])
def test_few_scenes_are_covered(scenes: int) -> None:
    """Scenes drawn from 1500, of which the agreement is known; the bootstrap covered 54 to 85 %."""
    everything = stimuli(3, scenes=1500, versions=4, worse=2.0)
    everything["scene"] = np.repeat(np.arange(1500), 4)
    whole = everything.assign(scene=0)
    truth = metric_agreement(whole, {"poor": True}, mapping="linear").statistics["poor"]
    generator = np.random.default_rng(1)
    hits = []
    for _ in range(150):
        own = everything[everything["scene"].isin(generator.choice(1500, scenes, replace=False))]
        found = metric_agreement(own, {"poor": True}, mapping="linear").statistics["poor"]
        hits.append([found[k].low <= truth[k].estimate <= found[k].high for k in truth])
    assert np.min(np.mean(hits, axis=0)) > 0.88


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_and_test_of_two_metrics_never_contradict_each_other(level: float) -> None:
    for seed in range(25):
        table = stimuli(seed, scenes=6, versions=4, worse=1.5)
        for found in metric_agreement(table, METRICS, mapping="linear", level=level).differences:
            excludes_zero = not found.difference.low <= 0 <= found.difference.high
            assert excludes_zero == (found.p < 1 - level)


def test_a_perfect_metric_gives_no_interval() -> None:
    table = stimuli(scenes=6).assign(good=lambda t: 3 * t["mos"], poor=lambda t: t["mos"] ** 3)
    found = metric_agreement(table, {"good": True, "poor": True}, mapping="linear")
    for name in ("plcc", "srocc", "krocc"):
        assert found.statistics["good"][name].estimate == pytest.approx(1)
        assert math.isnan(found.statistics["good"][name].low)
    assert found.statistics["good"]["rmse"].estimate == pytest.approx(0, abs=1e-9)
    assert math.isnan(found.statistics["good"]["rmse"].high)
    assert math.isnan(found.differences[0].p)


def test_two_scenes_give_estimates_without_intervals() -> None:
    result = metric_agreement(stimuli(scenes=2, versions=9), {"good": True})
    for found in result.statistics["good"].values():
        assert math.isfinite(found.estimate)
        assert math.isnan(found.low)


def test_one_scene_gives_no_interval() -> None:
    result = metric_agreement(stimuli(scenes=1, versions=9), {"good": True, "poor": True})
    assert result.statistics["good"]["plcc"].estimate > 0
    assert math.isnan(result.statistics["good"]["srocc"].low)
    assert math.isnan(result.differences[0].p)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (stimuli().drop(columns="scene"), {}, "Unknown column 'scene'"),
        (stimuli(), {"mapping": "cubic"}, "Unknown mapping 'cubic'"),
        (stimuli(), {"statistic": "srcc"}, "Unknown statistic 'srcc'"),
        (stimuli(scenes=1, versions=4), {}, "4 stimuli have finite"),
        (stimuli().assign(mos=3.0), {}, "'mos' has the same value"),
        (stimuli().assign(good=3.0), {}, "'good' has the same value"),
    ],
)
def test_refuses(table: pd.DataFrame, options: dict[str, str], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        metric_agreement(table, {"good": True}, **options)  # type: ignore[arg-type]
