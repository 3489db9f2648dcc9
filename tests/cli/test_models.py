"""``sreval models``, ``sreval train`` and ``sreval figure training`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import DataError
from sreval.report.training_figures import training_figure
from sreval.training.recipe import load_recipe

Run = Callable[..., Any]
PAPERS_MODELS = {
    "srresnet-mse", "srresnet-vgg22", "srgan-mse", "srgan-vgg22", "srgan-vgg54",
    "srcnn", "espcn", "drcn",
}  # fmt: skip


def test_the_papers_eight_models_are_listed_with_their_size(sreval: Run) -> None:
    found = {row["name"]: row for row in json.loads(sreval("models", "list", "--json").out)}
    assert set(found) >= PAPERS_MODELS
    assert found["srgan-vgg54"]["parameters"] == 1_549_462
    assert found["srgan-vgg54"]["starts_from"] == "srresnet-mse"
    assert all({"paper", "smoke"} <= set(row["profiles"]) for row in found.values())


def test_a_misspelt_model_suggests_the_nearest(sreval: Run) -> None:
    ran = sreval("models", "show", "srgan-vgg45")
    assert ran.code == 2
    assert "Did you mean 'srgan-vgg54'" in ran.err


def test_a_model_without_weights_says_how_to_get_them(sreval: Run, planned: str) -> None:
    ran = sreval("models", "verify", planned)
    assert ran.code == 1
    assert "planned has no weights" in ran.err
    assert "sreval train planned" in ran.err


def test_a_card_without_weights_is_what_the_recipe_says(sreval: Run, planned: str) -> None:
    ran = sreval("models", "card", planned)
    assert ran.code == 0
    card = ran.out
    assert "sreval train planned" in card
    assert "mse 0.5, recursion 0.5" in card
    assert "`paper`: 500,000 updates, batch 64, crops of 40, fp32" in card
    assert "smoke" not in card


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    import skimage.data
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for index, image in enumerate((skimage.data.chelsea(), skimage.data.coffee())):
        for part in range(3):
            piece = image[:200, 90 * part : 90 * part + 200]
            Image.fromarray(np.ascontiguousarray(piece)).save(folder / f"{index}{part}.png")
    return folder


def test_train_verify_and_draw(
    sreval: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "none"))
    run = tmp_path / "run"
    command = ["train", "espcn", "--data", photos, "--profile", "smoke", "--device", "cpu"]
    ran = sreval(*command, "--out", run, "--set", "run.dataset=demo")
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(run / "weights.safetensors")
    again = sreval(*command, "--out", run)
    assert (again.code, "already holds a run" in again.err) == (2, True)
    drawn = sreval("figure", "training", run, "--out", tmp_path / "curve.svg")
    assert drawn.code == 0, drawn.err
    refused = sreval("models", "publish", run, "--to", tmp_path / "models")
    assert (refused.code, "smoke run" in refused.err) == (2, True)


def test_train_says_what_it_lacks(sreval: Run, tmp_path: Path) -> None:
    ran = sreval("train", "espcn", "--out", tmp_path / "run")
    assert (ran.code, "--data" in ran.err) == (2, True)
    ran = sreval("train", "espcm", "--data", tmp_path)
    assert (ran.code, "Did you mean 'espcn'" in ran.err) == (2, True)
    ran = sreval("train", "espcn", "--data", tmp_path, "--set", "data.bach=3")
    assert (ran.code, "bach" in ran.err) == (2, True)


def write_run(folder: Path, losses: list[float]) -> Path:
    folder.mkdir()
    steps = [10 * (index + 1) for index in range(len(losses))]
    frame = pd.DataFrame({"step": steps, "mse": losses, "learning_rate": 1e-4, "rate": 3.0})
    frame.to_csv(folder / "losses.csv", index=False)
    scores = pd.DataFrame({"step": [0, 10], "psnr": [20.0, 21.0]})
    scores.to_csv(folder / "validation.csv", index=False)
    recipe = load_recipe("srresnet-mse").model_dump(mode="json")
    (folder / "run.json").write_text(json.dumps({"recipe": recipe, "data_sha256": "0"}))
    return folder


def test_seeds_are_drawn_with_their_mean_and_its_interval(tmp_path: Path) -> None:
    losses = ([1.0, 0.5, 0.4], [3.0, 1.5], [2.0, 1.6, 0.3])
    folders = [write_run(tmp_path / str(seed), one) for seed, one in enumerate(losses)]
    figure = training_figure(folders)
    assert "3 runs, faint, their mean, and its 95% interval" in figure.get_suptitle()
    mse = next(one for one in figure.axes if one.get_ylabel().startswith("MSE"))
    drawn = mse.lines[0]
    assert np.allclose(np.asarray(drawn.get_xdata(), dtype=float), [10, 20])
    assert np.allclose(np.asarray(drawn.get_ydata(), dtype=float), [2.0, 1.2])
    assert len(mse.lines) == 4
    band = mse.collections[0].get_paths()[0].vertices
    found = stats.ttest_1samp([1.0, 3.0, 2.0], 0).confidence_interval(0.95)
    assert np.isclose(np.asarray(band)[:, 1].max(), found.high)
    assert found.high < mse.get_ylim()[1] < 6, "the band fits and leaves the lines their room"
    two = training_figure(folders[:2])
    assert not [one for axes in two.axes for one in axes.collections]


def test_the_scores_of_seeds_have_a_mean_and_its_interval(sreval: Run, tmp_path: Path) -> None:
    scores = {"a": [30.0, 21.0, 20.5], "b": [30.0, 22.0, 22.5], "c": [30.0, 24.5, 23.0]}
    for name, values in scores.items():
        folder = write_run(tmp_path / name, [1.0])
        frame = pd.DataFrame({"step": [0, 10, 20], "psnr": values, "grid_peak": 2.0})
        frame.to_csv(folder / "validation.csv", index=False)
    folders = [tmp_path / name for name in scores]
    ran = sreval("models", "seeds", *folders, "--json")
    rows = {(one["metric"], one["of"], Path(one["run"]).name): one for one in json.loads(ran.out)}
    assert [rows["psnr", "best", name]["value"] for name in scores] == [21.0, 22.5, 24.5]
    assert [rows["psnr", "last", name]["step"] for name in scores] == [20, 20, 20]
    mean = rows["psnr", "last", "mean"]
    found = stats.ttest_1samp([20.5, 22.5, 23.0], 0).confidence_interval(0.95)
    assert (mean["n"], mean["value"]) == (3, 22.0)
    assert mean["low"] == pytest.approx(found.low)
    assert mean["high"] == pytest.approx(found.high)
    assert ("grid_peak", "best", "mean") not in rows
    assert rows["psnr", "best", "a"]["seed"] == 0
    two = sreval("models", "seeds", *folders[:2])
    assert two.code == 0, two.err
    assert two.err.startswith("grid_peak: checks of artefacts")
    assert two.out.splitlines()[0].split()[:3] == ["metric", "of", "run"]
    alone = json.loads(sreval("models", "seeds", *folders[:2], "--json").out)
    assert {one["low"] for one in alone} == {None}


def test_runs_that_share_no_update_are_refused(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / "a", [1.0]), write_run(tmp_path / "b", [1.0])]
    frame = pd.read_csv(folders[1] / "losses.csv").assign(step=[7])
    frame.to_csv(folders[1] / "losses.csv", index=False)
    with pytest.raises(DataError, match=r"share no update in losses\.csv"):
        training_figure(folders)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no losses\.csv"):
        training_figure([tmp_path])
