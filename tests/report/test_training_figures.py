"""Figures of training runs: axes that can be read, and seeds of one recipe only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text
from numpy.typing import ArrayLike
from scipy import stats

from sreval.report.style import figure_bytes
from sreval.report.training_figures import training_figure, training_scores

Write = Callable[..., Path]

RECIPE: dict[str, Any] = {
    "name": "mine",
    "about": "",
    "choices": [],
    "network": {"name": "espcn", "scale": 4},
    "loss": {"mse": 1.0},
    "data": {"crop": 96, "batch": 16},
    "optimisation": {"updates": 90, "seed": 0},
    "run": {"log_every": 10},
}


@pytest.fixture
def write_run(tmp_path: Path) -> Write:
    """A run of nine logged updates; what is given replaces fields of its recipe."""

    def write(
        name: str,
        top: float = 0.2,
        decades: float = 1.0,
        data_sha256: str = "aa",
        **recipe: object,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        losses = top * 10 ** -np.linspace(0, decades, 9)
        frame = pd.DataFrame({"step": 10 * np.arange(1, 10), "mse": losses, "vgg22": losses / 3})
        frame.to_csv(folder / "losses.csv", index=False)
        scores = pd.DataFrame({"step": [0, 90], "psnr": [20.0, 21.0]})
        scores.to_csv(folder / "validation.csv", index=False)
        facts = {"recipe": RECIPE | recipe, "data_sha256": data_sha256}
        (folder / "run.json").write_text(json.dumps(facts))
        return folder

    return write


@pytest.mark.parametrize("decades", [0.02, 0.2, 0.5, 0.6, 0.7, 0.9, 1.0, 1.5, 1.9, 2.0, 3.0, 5.0])
@pytest.mark.parametrize("top", [0.09, 0.21, 0.9])
def test_log_axes_have_plain_labels_whatever_they_span(
    write_run: Write, top: float, decades: float
) -> None:
    figure = training_figure([write_run("run", top, decades)])
    figure.draw_without_rendering()
    texts = [one for one in figure.findobj(Text) if isinstance(one, Text) and one.get_visible()]
    assert not [one.get_text() for one in texts if "$" in one.get_text()]
    panels = [axes for axes in figure.axes if axes.get_yscale() == "log"]
    assert len(panels) == 2
    for axes in panels:
        low, high = axes.get_ylim()
        ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
        labelled = {
            tick.label1.get_text(): tick.get_loc()
            for tick in ticks
            if tick.label1.get_text() and low <= tick.get_loc() <= high
        }
        assert 2 <= len(labelled) <= 9
        for label, place in labelled.items():
            assert float(label) == pytest.approx(place, rel=1e-5)


def test_five_decades_are_labelled_at_powers_of_ten_alone(write_run: Write) -> None:
    figure = training_figure([write_run("run", 0.2, 5)])
    svg = figure_bytes(figure, "svg").decode()
    labels = re.findall(r">(0\.\d+|\de-\d+)</text>", svg)
    assert {"0.1", "0.01", "0.001", "0.0001", "1e-05"} <= set(labels)
    assert all(re.fullmatch(r"0\.0*1|1e-\d+", label) for label in labels)


def test_runs_of_one_recipe_may_differ_in_seed_and_in_how_they_were_watched(
    write_run: Write, sreval: Callable[..., Any], tmp_path: Path
) -> None:
    seed = {"updates": 90, "seed": 7}
    watched = {"run": {"log_every": 5}, "about": "x", "choices": ["y"]}
    folders = [write_run("a"), write_run("b", optimisation=seed, **watched)]
    ran = sreval("figure", "training", *folders, "--out", tmp_path / "seeds.svg")
    assert ran.code == 0, ran.err
    assert (
        "2 runs, faint, and their mean; of two there is no interval"
        in (tmp_path / "seeds.svg").read_text()
    )


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"data": {"crop": 96, "batch": 8}}, "data.batch = 16 and 8"),
        ({"network": {"name": "espcn", "scale": 2}}, "network.scale = 4 and 2"),
        ({"run": {"dataset": "Set14"}}, "run.dataset = 'kept_aside' and 'Set14'"),
        ({"run": {"metrics": ["psnr"]}}, "run.metrics = ['psnr', 'ssim'] and ['psnr']"),
        ({"optimisation": {"updates": 70, "seed": 0}}, "optimisation.updates = 90 and 70"),
        ({"data_sha256": "bb"}, "data_sha256 = 'aa' and 'bb'"),
    ],
)
def test_runs_of_two_recipes_or_of_other_data_are_not_averaged(
    write_run: Write,
    sreval: Callable[..., Any],
    tmp_path: Path,
    change: dict[str, Any],
    difference: str,
) -> None:
    folders = [write_run("a"), write_run("b"), write_run("c", **change)]
    ran = sreval("figure", "training", *folders, "--out", tmp_path / "curve.svg")
    assert ran.code == 1
    assert f"{folders[0]} and {folders[2]} " in ran.err
    assert difference in ran.err
    assert not (tmp_path / "curve.svg").exists()


@pytest.mark.parametrize("facts", [None, "", "[]", "{}", '{"recipe": {}}', '{"recipe": 3}', "\xff"])
def test_of_several_runs_each_must_say_what_it_was(
    write_run: Write, sreval: Callable[..., Any], tmp_path: Path, facts: str | None
) -> None:
    folders = [write_run("a"), write_run("b")]
    path = folders[1] / "run.json"
    path.unlink()
    if facts is not None:
        path.write_bytes(facts.encode("latin-1"))
    out = tmp_path / "curve.svg"
    ran = sreval("figure", "training", *folders, "--out", out)
    assert ran.code == 1
    assert "should not" not in ran.err
    assert str(folders[1]) in ran.err
    alone = sreval("figure", "training", folders[1], "--out", out)
    assert alone.code == 0, alone.err


def panel(folders: list[Path], label: str) -> Axes:
    return next(one for one in training_figure(folders).axes if one.get_ylabel().startswith(label))


def write_scores(folder: Path, steps: ArrayLike, **columns: ArrayLike) -> Path:
    pd.DataFrame({"step": steps, **columns}).to_csv(folder / "validation.csv", index=False)
    return folder


def test_a_first_outlying_score_does_not_press_the_others_together(write_run: Write) -> None:
    steps = range(0, 101, 10)
    folder = write_scores(write_run("run"), steps, psnr=[5.0, *np.linspace(30, 31, 10)])
    psnr = panel([folder], "PSNR")
    low, high = psnr.get_ylim()
    assert 29 < low < 30
    assert 31 < high < 32
    assert psnr.get_title(loc="right") == "first values outside"


@pytest.mark.parametrize("points", [2, 3, 4, 11, 101])
@pytest.mark.parametrize("spread", [0.001, 1.0, 30.0])
def test_after_the_first_tenth_every_line_is_inside_and_what_is_cut_is_told(
    write_run: Write, points: int, spread: float
) -> None:
    chance, steps = np.random.default_rng(points), np.linspace(0, 1000, points)
    folders = []
    for seed in range(3):
        psnr = 30 - 20 * np.exp(-steps / 30) + spread * chance.normal(size=points)
        folders.append(write_scores(write_run(str(seed)), steps, psnr=psnr))
    axes = panel(folders, "PSNR")
    low, high = axes.get_ylim()
    lines = [np.asarray(line.get_xydata()) for line in axes.lines]
    assert len(lines) == 4  # three runs and their mean
    late = np.linspace(100, 1000, 500)
    assert all(((low < (y := np.interp(late, *line.T))) & (y < high)).all() for line in lines)
    (band,) = axes.collections
    (path,) = band.get_paths()
    told = axes.get_title(loc="right")
    first_outside = any(not low < line[0, 1] < high for line in lines)
    assert ("first values outside" in told) == first_outside
    corners = np.asarray(path.vertices)
    if ((corners[:, 0] >= 100) & (corners[:, 1] > high)).any():
        assert "interval cut" in told


def test_an_interval_that_reaches_0_is_cut_on_a_log_axis_with_a_word(write_run: Write) -> None:
    folders = [write_run(str(top), top) for top in (0.1, 0.2, 0.9)]
    losses = panel(folders, "MSE")
    assert losses.get_yscale() == "log"
    assert losses.get_title(loc="right") == "interval cut"
    alike = [write_run(f"alike {top}", top) for top in (0.2, 0.201, 0.202)]
    assert panel(alike, "MSE").get_title(loc="right") == ""


def test_of_a_single_update_each_run_and_the_interval_are_shown(write_run: Write) -> None:
    values = (24.0, 25.0, 27.0)
    folders = [write_scores(write_run(str(one)), [0], psnr=[one]) for one in values]
    axes = panel(folders, "PSNR")
    drawn = {float(np.asarray(line.get_ydata())[0]): line.get_marker() for line in axes.lines}
    assert set(drawn) == {*values, float(np.mean(values))}
    assert not {"", "None", None} & set(drawn.values())
    ends = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    known = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert ends == pytest.approx(known)
    low, high = axes.get_ylim()
    assert low < min(ends) < max(ends) < high


def test_an_interval_keeps_to_what_a_metric_can_be_and_checks_have_none(write_run: Write) -> None:
    ssim, peaks = (0.7, 0.99, 0.999), (100.6, 591.0, 155.6)
    folders = [
        write_scores(write_run(str(place)), [0], ssim=[one], grid_peak=[peak])
        for place, (one, peak) in enumerate(zip(ssim, peaks, strict=True))
    ]
    table = training_scores(folders)
    means = table[(table["run"] == "mean") & (table["of"] == "last")].set_index("metric")
    low, high = stats.t.interval(0.95, 2, np.mean(ssim), stats.sem(ssim))
    assert high > 1
    assert tuple(means.loc["ssim", ["low", "high"]]) == pytest.approx((low, 1))
    assert means.loc["grid_peak", "value"] == pytest.approx(np.mean(peaks))
    assert means.loc["grid_peak", ["low", "high"]].isna().all()
    assert not panel(folders, "grid peak").collections


def test_seconds_that_updates_waited_are_no_loss(write_run: Write) -> None:
    folder = write_run("run")
    losses = pd.read_csv(folder / "losses.csv").assign(waited=0.5)
    losses.to_csv(folder / "losses.csv", index=False)
    labels = [axes.get_ylabel() for axes in training_figure([folder]).axes]
    assert "waited" not in labels
