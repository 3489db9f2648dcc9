"""What a benchmark was asked for and could not do stands in its tables and figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sreval.errors import DataError
from sreval.images.io import write_png
from sreval.report.collect import collect, scored, select
from sreval.report.comparison import comparison_figure
from sreval.report.score_figures import scores_figure
from sreval.report.scores import score_table

NET = """
def bad(lr):
    raise RuntimeError("boom")

def dark(lr):
    if lr.mean() > 120:
        raise RuntimeError("too bright")
    return lr.repeat(4, 0).repeat(4, 1)
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two bright photographs, a dark and a black one, and functions that fail."""
    random = np.random.default_rng(0)
    for name, low, high in (("dark", 0, 99), ("light", 160, 255), ("white", 170, 255)):
        write_png(tmp_path / f"hr/{name}.png", random.integers(low, high, (64, 64, 3), np.uint8))
    # one name a test, as Python keeps a module that it has loaded
    name = f"net_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("NET", name)
    return tmp_path


def run(sreval: Callable[..., Any], out: str, *methods: str, metric: str = "psnr") -> Any:
    words = [word for method in methods for word in ("--method", method)]
    return sreval("benchmark", *words, "--dataset", "hr", "--metric", metric, "--out", out)


def function(work: Path, name: str) -> str:
    (module,) = (path.stem for path in work.glob("net_*.py"))
    return f"{name}=python:{module}:{name}"


def test_a_method_that_failed_throughout_has_a_column_of_dashes_and_a_note(
    work: Path, sreval: Callable[..., Any]
) -> None:
    ran = run(sreval, "r", "nearest", function(work, "bad"))
    shown = sreval("table", "r")
    for text in (ran.out, shown.out):
        head, psnr = text.splitlines()[2:4]
        assert head.split() == ["nearest", "bad"]
        assert psnr.split()[-1] == "–"
        assert "bad: no result on 3 of 3 images of hr. The first: " in text
        assert "boom" in text
    for form in ("markdown", "latex", "html", "csv", "json"):
        assert "bad" in sreval("table", "r", "--format", form).out.split("no result")[0]
    figures = {f["method"]: f for f in json.loads(sreval("table", "r", "--json").out)["figures"]}
    assert (figures["bad"]["n"], figures["bad"]["mean"]) == (0, None)
    assert figures["nearest"]["n"] == 3


def test_images_that_one_method_failed_on_are_named(work: Path, sreval: Callable[..., Any]) -> None:
    run(sreval, "r", "nearest", function(work, "dark"))
    table = score_table(select(collect([work / "r"]), None, None))
    (note,) = [note for note in table.notes if "left out" in note]
    assert "2 of 3 images" in note
    assert "light, white (none by dark)" in note
    assert "too bright" in note
    assert set(table.frame["n"]) == {1}


def test_what_was_mended_since_is_no_failure(work: Path, sreval: Callable[..., Any]) -> None:
    bad = function(work, "bad")
    run(sreval, "r", "nearest", bad)
    run(sreval, "r", "bicubic", bad, metric="ssim")
    frame = collect([work / "r"])
    failed = frame[frame["value"].isna()]
    # what either run asked of it
    assert set(failed["metric"]) == {"psnr", "ssim"}
    assert len(failed) == 6
    assert set(scored(frame)["method"]) == {"nearest", "bicubic"}
    run(sreval, "r", "bad=nearest")
    assert collect([work / "r"])["value"].notna().all()


def test_a_folder_where_everything_failed_is_refused_by_name(
    work: Path, sreval: Callable[..., Any]
) -> None:
    run(sreval, "good", "nearest")
    run(sreval, "r", function(work, "bad"))
    for folders in (["r"], ["good", "r"]):
        refused = sreval("table", *folders)
        assert refused.code == 1
        assert "r holds no scores: " in refused.err
        assert "boom" in refused.err
    assert sreval("table", "good").code == 0
    with pytest.raises(DataError, match="holds no scores"):
        collect([work / "r"])


def test_figures_name_what_they_cannot_draw(work: Path, sreval: Callable[..., Any]) -> None:
    run(sreval, "r", "nearest", "hr", function(work, "bad"), function(work, "dark"))
    frame = select(collect([work / "r"]), None, None)
    figure = scores_figure(frame, "hr", "psnr")
    note = " ".join(figure.get_supxlabel().split())
    for said in (
        "bad: no result on 3 of 3 images of hr.",
        "2 of 3 images are left out",
        "(none by dark)",
        "HR isn't drawn: its PSNR is infinite.",
    ):
        assert said in note
    drawn = comparison_figure(frame, "hr", ["light"])
    captions = [axes.texts[0].get_text() for axes in drawn.axes[1:] if axes.texts]
    assert [caption.split("\n")[0] for caption in captions] == ["nearest", "bad", "dark", "HR"]
    assert [caption.split("\n")[1] for caption in captions[1:3]] == ["no result"] * 2


def test_a_figure_of_infinite_values_alone_is_refused(
    work: Path, sreval: Callable[..., Any]
) -> None:
    run(sreval, "r", "hr", "copy=hr")
    refused = sreval("figure", "scores", "r", "--dataset", "hr", "--out", "s.png")
    assert refused.code == 2
    assert "No PSNR of hr can be drawn" in refused.err
    assert not (work / "s.png").exists()
    assert "∞" in sreval("table", "r").out


def test_json_is_read_by_a_strict_parser(work: Path, sreval: Callable[..., Any]) -> None:
    write_png(work / "hr/black.png", np.zeros((64, 64, 3), np.uint8))
    run(sreval, "r", "nearest", function(work, "bad"))

    def refuse(text: str) -> None:
        raise ValueError(text)

    rows = json.loads(sreval("compare-protocols", "r", "--json").out, parse_constant=refuse)
    black = {row["psnr"] for row in rows if row["image"] == "black" and row["lpips"] is None}
    assert black == {"inf"}
    assert {row["method"] for row in rows} == {"nearest"}
    text = sreval("compare-protocols", "r").out
    assert "hr, nearest, mean of 3 images" in text
    assert "left out: black (PSNR is infinite)" in text
    assert "inf" not in text.replace("is infinite", "")
    finite = [row for row in rows if row["image"] != "black" and row["convention"] == "matlab"]
    assert f"{sum(row['psnr'] for row in finite) / 3:8.3f}" in text


def test_a_black_image_has_its_name_in_the_table_and_the_tests(
    work: Path, sreval: Callable[..., Any]
) -> None:
    run(sreval, "r", "nearest", "bicubic")
    whole = json.loads(sreval("table", "r", "--json").out)
    write_png(work / "hr/black.png", np.zeros((64, 64, 3), np.uint8))
    run(sreval, "r4", "nearest", "bicubic")
    with_black = json.loads(
        sreval("table", "r4", "--json", "--baseline", "bicubic", "--tests", "t.csv").out
    )
    # an image on which both are perfect takes nothing from the mean of the others
    assert [f["mean"] for f in with_black["figures"]] == [f["mean"] for f in whole["figures"]]
    assert [f["n"] for f in with_black["figures"]] == [3, 3]
    assert any("infinite (∞) on black (nearest, bicubic)" in note for note in with_black["notes"])
    assert list(pd.read_csv("t.csv")["n"]) == [3]


def test_a_file_of_no_tests_has_its_columns(work: Path, sreval: Callable[..., Any]) -> None:
    run(sreval, "r", "nearest")
    assert sreval("table", "r", "--tests", "t.csv").code == 0
    assert {"first", "second", "n", "p_holm"} <= set(pd.read_csv("t.csv").columns)


def test_compare_protocols_keeps_scales_apart(work: Path, sreval: Callable[..., Any]) -> None:
    for scale in ("2", "4"):
        words = ("--method", "nearest", "--dataset", "hr", "--metric", "psnr")
        sreval("benchmark", *words, "--scale", scale, "--out", "r")
    text = sreval("compare-protocols", "r").out
    assert "hr x2, nearest, mean of 3 images" in text
    assert "hr x4, nearest, mean of 3 images" in text
