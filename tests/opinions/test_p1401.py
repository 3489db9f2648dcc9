import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.agreement import fit_mapped
from sreval.opinions.p1401 import p1401


def stimuli(n: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(4)
    mos = generator.uniform(1, 5, n)
    return pd.DataFrame(
        {
            "scene": np.arange(n) // 4,
            "mos": mos,
            "good": 20 + 3 * mos + generator.normal(0, 1, n),
            "poor": 1 - 0.1 * mos + generator.normal(0, 0.2, n),
        }
    )


METRICS = {"good": True, "poor": False}


def test_figures_and_tests_are_those_of_the_formulas() -> None:
    table = stimuli()
    half = np.random.default_rng(5).uniform(0.1, 0.5, 40)
    found = p1401(table, METRICS, half)
    mos = table["mos"].to_numpy()
    expected = {}
    for name, sign in (("good", 1), ("poor", -1)):
        mapped = fit_mapped("third-order", sign * table[name].to_numpy(), mos, np.ones((1, 40)))[0]
        error = abs(mos - mapped)
        expected[name] = (
            stats.pearsonr(mapped, mos).statistic,
            math.sqrt((error**2).sum() / 36),
            math.sqrt((np.clip(error - half, 0, None) ** 2).sum() / 36),
            (error > half).mean(),
        )
    names = ["r", "rmse", "rmse_star", "outlier_ratio"]
    rows = found.figures[names].to_numpy()
    assert rows == pytest.approx(np.array(list(expected.values())))
    tests = found.tests.set_index("statistic")
    (r1, e1, s1, o1), (r2, e2, s2, o2) = expected.values()
    z = (np.arctanh(r1) - np.arctanh(r2)) / math.sqrt(2 / 37)
    assert tests.loc["r", "p"] == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert tests.loc["rmse", "p"] == pytest.approx(stats.f.sf((e2 / e1) ** 2, 36, 36))
    assert tests.loc["rmse_star", "value"] == pytest.approx((s2 / s1) ** 2)
    pooled = (o1 + o2) / 2
    z = (o1 - o2) / math.sqrt(pooled * (1 - pooled) / 20)
    assert tests.loc["outlier_ratio", "p"] == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_without_intervals_of_the_mos_two_figures_are_missing() -> None:
    row = p1401(stimuli(), {"good": True}).figures.iloc[0]
    assert math.isfinite(row["rmse"])
    assert math.isnan(row["rmse_star"])
    assert math.isnan(row["outlier_ratio"])


def test_rmse_star_is_rmse_for_mos_that_are_certain_and_none_for_vague_ones() -> None:
    certain = p1401(stimuli(), {"good": True}, np.zeros(40)).figures.iloc[0]
    assert certain["rmse_star"] == certain["rmse"]
    assert certain["outlier_ratio"] == 1
    vague = p1401(stimuli(), METRICS, np.full(40, 9.0))
    assert vague.figures["rmse_star"].tolist() == [0, 0]
    assert vague.tests.set_index("statistic").loc[["rmse_star", "outlier_ratio"], "p"].isna().all()


def test_each_pair_of_metrics_is_adjusted_within_its_statistic() -> None:
    table = stimuli().assign(third=lambda t: t["good"] + np.sin(t["good"]))
    found = p1401(table, {**METRICS, "third": True}, np.full(40, 0.2)).tests
    assert found.groupby("statistic").size().tolist() == [3, 3, 3, 3]
    assert (found["p_adjusted"] >= found["p"]).all()


def test_refuses_what_agreement_refuses() -> None:
    with pytest.raises(SrevalError, match="4 stimuli have finite"):
        p1401(stimuli(4), METRICS)
    with pytest.raises(SrevalError, match="Unknown mapping 'cubic'"):
        p1401(stimuli(), METRICS, mapping="cubic")  # type: ignore[arg-type]
