"""Our scores against the paper's, Huang's and an independent implementation's, on the real sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.run import run
from sreval.report import paper

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def frame(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Nearest and bicubic on all three sets, the authors' images on Set5."""
    out = tmp_path_factory.mktemp("conformance")
    plan = BenchmarkPlan(
        methods=["nearest", "bicubic"],
        datasets=["Set5", "Set14", "BSD100"],
        protocols=["ledig2017", "matlab"],
    )
    outcome = run(Resolved.of(plan), out)
    assert not outcome.failures
    published = shared_data / "published" / "Set5"
    theirs = BenchmarkPlan(
        methods=[f"published:{published / name}" for name in ("srresnet-mse", "srgan-vgg54")],
        datasets=["Set5"],
    )
    return run(Resolved.of(theirs), out).frame


def per_image(frame: pd.DataFrame, dataset: str, method: str, protocol: str, metric: str) -> Any:
    rows = frame[
        (frame["dataset"] == dataset)
        & (frame["method"] == method)
        & (frame["protocol"] == protocol)
        & (frame["metric"] == metric)
    ]
    return rows.sort_values("image")["value"].to_numpy()


@pytest.mark.parametrize("dataset", ["Set5", "Set14", "BSD100"])
@pytest.mark.parametrize("method", ["nearest", "bicubic"])
@pytest.mark.parametrize(("metric", "digits"), [("psnr", 2), ("ssim", 4)])
def test_the_papers_twelve_figures(
    frame: pd.DataFrame, dataset: str, method: str, metric: str, digits: int
) -> None:
    ours = np.mean(per_image(frame, dataset, method, "ledig2017", metric))
    assert round(float(ours), digits) == paper.figures()[dataset, method, metric]


@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
@pytest.mark.parametrize("method", ["nearest", "bicubic"])
@pytest.mark.parametrize("protocol", ["ledig2017", "matlab"])
@pytest.mark.parametrize(("metric", "tolerance"), [("psnr", 1e-7), ("ssim", 1e-8)])
def test_every_image_equals_the_independent_implementation(
    frame: pd.DataFrame,
    shared_data: Path,
    dataset: str,
    method: str,
    protocol: str,
    metric: str,
    tolerance: float,
) -> None:
    golden = json.loads((shared_data / "golden_scores.json").read_text())
    expected = np.array(golden[f"{dataset}/{method}"][f"{protocol}_{metric}"])
    ours = per_image(frame, dataset, method, protocol, metric)
    assert np.abs(ours - expected).max() < tolerance


@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
@pytest.mark.parametrize(("metric", "tolerance"), [("psnr", 1e-7), ("ssim", 1e-8)])
def test_bicubic_equals_huangs_own_table(
    frame: pd.DataFrame, shared_data: Path, dataset: str, metric: str, tolerance: float
) -> None:
    golden = json.loads((shared_data / "golden_scores.json").read_text())
    expected = np.array(golden[f"{dataset}/huang_bicubic"][metric])
    ours = per_image(frame, dataset, "bicubic", "matlab", metric)
    assert np.abs(ours - expected).max() < tolerance


@pytest.mark.parametrize("method", ["srresnet-mse", "srgan-vgg54"])
@pytest.mark.parametrize(("metric", "digits"), [("psnr", 2), ("ssim", 4)])
def test_the_authors_published_images(
    frame: pd.DataFrame, method: str, metric: str, digits: int
) -> None:
    ours = np.mean(per_image(frame, "Set5", method, "ledig2017", metric))
    assert round(float(ours), digits) == paper.figures()["Set5", method, metric]


def test_bsd100_under_matlab(frame: pd.DataFrame) -> None:
    # Measured by the independent implementation that golden_scores.json comes from.
    psnr, ssim = (
        np.mean(per_image(frame, "BSD100", "bicubic", "matlab", m)) for m in ("psnr", "ssim")
    )
    assert (round(float(psnr), 3), round(float(ssim), 4)) == (25.957, 0.6672)
