"""How many preferences a metric foretells, and how many another rater does."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from sreval.errors import StatisticsError
from sreval.opinions.pairs.consistency import agreement
from sreval.opinions.pairs.foretold import by_metrics, by_others


def _study(seed: int, raters: int = 6, images: int = 5, ties: bool = False) -> pd.DataFrame:
    """Everybody judges every pair of three methods on every image."""
    draw = np.random.default_rng(seed)
    rows = [
        {
            "dataset": "", "image": f"i{i}", "rater": f"r{r}", "left": a, "right": b,
            "choice": draw.choice(["left", "right", *["tie"] * ties], p=None), "count": 1,
        }
        for r in range(raters)
        for i in range(images)
        for a, b in itertools.combinations("xyz", 2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _values(images: int = 5, seed: int = 0) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    rows = [
        {"dataset": "", "image": f"i{i}", "method": m, "psnr": draw.normal()}
        for i in range(images)
        for m in "xyz"
    ]
    return pd.DataFrame(rows)


def test_the_share_is_what_counting_gives() -> None:
    study, values = _study(1, ties=True), _values()
    of = values.set_index(["image", "method"])["psnr"].to_dict()
    decided = study[study["choice"] != "tie"]
    hits = [
        (of[row.image, row.left] > of[row.image, row.right]) == (row.choice == "left")
        for row in decided.itertuples()
    ]
    found = by_metrics(study, values, {"psnr": True})["psnr"]
    assert found.share == pytest.approx(np.mean(hits))
    assert found.n == len(decided)
    assert found.low < found.share < found.high
    worse = by_metrics(study, values, {"psnr": False})["psnr"]
    assert worse.share == pytest.approx(1 - found.share)


def test_a_metric_that_is_equal_foretells_a_half_and_infinity_counts() -> None:
    study, values = _study(2), _values()
    assert by_metrics(study, values.assign(psnr=1.0), {"psnr": True})["psnr"].share == 0.5
    perfect = values.assign(psnr=np.where(values["method"] == "x", np.inf, 1.0))
    found = by_metrics(study, perfect, {"psnr": True})["psnr"]
    with_x = study[study["left"] == "x"]
    expected = ((with_x["choice"] == "left").sum() + 0.5 * (len(study) - len(with_x))) / len(study)
    assert found.share == pytest.approx(expected)


def test_counts_are_as_many_judgements() -> None:
    study = _study(3)
    twice = by_metrics(pd.concat([study, study]), _values(), {"psnr": True})["psnr"]
    counted = by_metrics(study.assign(count=2), _values(), {"psnr": True})["psnr"]
    assert counted == pytest.approx(twice)


def test_without_names_there_is_no_interval() -> None:
    found = by_metrics(_study(4).assign(rater=""), _values(), {"psnr": True})["psnr"]
    assert np.isnan([found.low, found.high]).all()
    assert found.n_raters == 0


def test_judgements_without_values_are_left_out_or_refused() -> None:
    found = by_metrics(_study(5), _values(images=2), {"psnr": True})["psnr"]
    assert found.n == 6 * 2 * 3
    with pytest.raises(StatisticsError, match="Name images and methods as the metrics do: i0/x"):
        by_metrics(_study(5).assign(image="other"), _values(), {"psnr": True})


def test_another_rater_agrees_as_kendalls_u_says() -> None:
    study = _study(6)
    u = agreement(study)["u"].mean()
    assert by_others(study).share == pytest.approx((u + 1) / 2)
    assert by_others(study[study["rater"] == "r0"]).n == 0


def test_raters_without_names_are_each_another() -> None:
    study = _study(7)
    counts = study.groupby(["dataset", "image", "left", "right", "choice"], as_index=False)["count"]
    pooled = counts.sum().assign(rater="")
    assert by_others(pooled).share == pytest.approx(by_others(study).share)
