"""Figures: drawn from what was scored, sized for print, fonts embedded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sreval.errors import DataError, UsageError
from sreval.report.collect import collect, select
from sreval.report.figures import Region, comparison_figure, parse_region, scores_figure
from sreval.report.render import results_page
from sreval.report.scores import score_table
from sreval.report.style import figure_bytes, save_figure


def test_panels_show_the_region_by_pixel_repetition(demo_run: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    region = Region(100, 40, 24, 20)
    figure = comparison_figure(frame, "demo", "chelsea", None, "100,40,24,20")
    panels = [axes for axes in figure.axes if axes.images]
    whole, nearest, bicubic, hr = (np.asarray(axes.images[0].get_array()) for axes in panels)
    kept = demo_run / "images" / "demo_x4" / "bicubic" / "chelsea.png"
    cut = region.cut(np.asarray(Image.open(kept)))
    assert np.array_equal(bicubic, cut.repeat(8, 0).repeat(8, 1))
    assert np.array_equal(hr[::8, ::8], region.cut(whole))
    assert np.array_equal(nearest[0, 0], nearest[31, 31])
    captions = [axes.texts[0].get_text() for axes in panels[1:]]
    assert captions[0].startswith("nearest\n")
    assert " dB / 0." in captions[1]


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_panels_and_captions_keep_apart(demo_run: Path, tmp_path: Path, count: int) -> None:
    """Any number of methods: no panel or caption lies over another, none is cut off."""
    frame = select(collect([demo_run]), None, None)
    bicubic = frame[frame["method"] == "bicubic"]
    names = ["bicubic", *(f"srresnet-vgg22-{n}" for n in range(count - 1))]
    wide = pd.concat([bicubic.assign(method=name, folder=str(tmp_path)) for name in names])
    for name in names:
        images = tmp_path / "images" / "demo_x4" / name
        images.parent.mkdir(parents=True, exist_ok=True)
        images.symlink_to(demo_run / "images" / "demo_x4" / "bicubic")
    for name in ("manifest.json", "inputs"):
        (tmp_path / name).symlink_to(demo_run / name)
    figure = comparison_figure(wide, "demo", "rocket")
    figure.draw_without_rendering()
    panels = [axes.get_window_extent() for axes in figure.axes]
    boxes = [*panels, *(axes.texts[0].get_window_extent() for axes in figure.axes[1:])]
    assert len(panels) == count + 2
    assert min(panel.width for panel in panels) / figure.dpi * 25.4 > 20
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    width, height = figure.bbox.size
    assert all(b.x0 > -1 and b.y0 > -1 and b.x1 < width + 1 and b.y1 < height + 1 for b in boxes)


def test_without_a_region_the_first_methods_worst_is_taken(demo_run: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    figure = comparison_figure(frame, "demo", "camera")
    whole = figure.axes[0]
    frame_patch: Any = whole.patches[0]
    x, y = (int(v) for v in frame_patch.get_xy())
    side = int(frame_patch.get_width())
    hr = np.asarray(whole.images[0].get_array()).astype(int)
    near = demo_run / "images" / "demo_x4" / "nearest" / "camera.png"
    error = np.abs(hr - np.asarray(Image.open(near)))
    chosen = error[y : y + side, x : x + side].sum()
    places = [(j, i) for j in range(0, 400, 37) for i in range(0, 400, 37)]
    assert all(chosen >= error[j : j + side, i : i + side].sum() for j, i in places)


def test_scores_of_every_image_are_drawn(demo_run: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    axes = scores_figure(frame, "demo", "ssim").axes[0]
    rows = frame[(frame["metric"] == "ssim") & (frame["method"] == "bicubic")]
    drawn = [np.sort(np.asarray(line.get_ydata(), dtype=float)) for line in axes.lines]
    assert any(np.allclose(ys, np.sort(rows["value"])) for ys in drawn)
    assert axes.get_ylabel() == "SSIM"
    assert "ledig2017" in axes.get_title(loc="left")


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_are_whole_and_the_same_each_time(demo_run: Path, tmp_path: Path, form: str) -> None:
    frame = select(collect([demo_run]), None, None)
    path = tmp_path / f"figure.{form}"
    save_figure(scores_figure(frame, "demo", "psnr"), path)
    assert path.read_bytes() == figure_bytes(scores_figure(frame, "demo", "psnr"), form)
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[form])
    if form == "png":
        with Image.open(path) as image:
            assert abs(image.width / 300 * 25.4 - 175) < 1


def test_a_file_of_another_kind_is_refused(demo_run: Path, tmp_path: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    with pytest.raises(UsageError, match="jpeg is not a kind of figure"):
        save_figure(scores_figure(frame, "demo", "psnr"), tmp_path / "figure.jpeg")


@pytest.mark.parametrize(
    ("text", "message"),
    [("1,2,3", "Write X,Y,WIDTH,HEIGHT"), ("a,b,c,d", "Write X"), ("-1,0,9,9", "outside")],
)
def test_a_region_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_region(text)


def test_what_is_not_there_is_named(demo_run: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    with pytest.raises(UsageError, match="Did you mean 'coffee'"):
        comparison_figure(frame, "demo", "cofee")
    with pytest.raises(UsageError, match="reaches beyond demo/coffee, 600x400 pixels"):
        comparison_figure(frame, "demo", "coffee", None, "590,0,20,20")
    with pytest.raises(UsageError, match="Did you mean 'bicubic'"):
        comparison_figure(frame, "demo", "coffee", ["bicubc"])


def test_an_image_changed_since_is_not_shown(demo_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(demo_run, copy)
    path = copy / "images" / "demo_x4" / "bicubic" / "coffee.png"
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)
    frame = select(collect([copy]), None, None)
    with pytest.raises(DataError, match="no longer the image that was scored"):
        comparison_figure(frame, "demo", "coffee")


def test_the_page_stands_alone(demo_run: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    figure = comparison_figure(frame, "demo", "camera")
    ways = [("Print it:", "sreval table <results>")]
    page = results_page("Results", ["One & all."], figure, "A region.", score_table(frame), ways)
    assert page.count("<svg") == 1
    assert "Protocol ledig2017" in page
    assert "One &amp; all." in page
    assert "<code>sreval table &lt;results&gt;</code>" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace(
        "http://creativecommons", ""
    ).replace("http://purl.org", "")


def test_compare_protocols_shows_what_public_tools_give(
    demo_run: Path, sreval: Callable[..., Any]
) -> None:
    ran = sreval("compare-protocols", demo_run, "--method", "bicubic")
    assert ran.code == 0, ran.err
    for tool in ("BasicSR", "scikit-image", "torchmetrics", "piq", "OpenCV", "daala"):
        assert tool in ran.out
