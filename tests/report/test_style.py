"""The look of figures is the house's, whoever draws and saves them; files say what they show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.figure
import pandas as pd
import pytest
from PIL import Image

from sreval.errors import UsageError
from sreval.report.collect import collect, select
from sreval.report.score_figures import scores_figure
from sreval.report.style import (
    HouseFigure,
    figure_bytes,
    house_style,
    letters_without_font,
    names_within,
    save_figure,
    width_of,
    with_minus,
    wrapped,
)

SVG = "{http://www.w3.org/2000/svg}"

NAMES = ("nearest", "a $x$ b", "αβ", "<&>", "SwinIR")


@pytest.fixture
def frame(make_frame: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_frame({("set", name, "psnr"): [20.0 + i, 25, 28] for i, name in enumerate(NAMES)})


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_files_are_whole_and_the_same_each_time(
    frame: pd.DataFrame, tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"figure.{form}"
    save_figure(scores_figure(frame), path)
    assert path.read_bytes() == figure_bytes(scores_figure(frame), form)
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[form])


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_a_figure_that_is_drawn_once_is_as_matplotlib_saves_it(
    frame: pd.DataFrame, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = [figure_bytes(scores_figure(frame), form) for _ in range(2)]

    def twice(self: HouseFigure, renderer: Any) -> None:
        with house_style():
            mpl.figure.Figure.draw(self, renderer)

    monkeypatch.setattr(HouseFigure, "draw", twice)
    assert once == [figure_bytes(scores_figure(frame), form)] * 2


def test_a_file_of_another_kind_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="jpeg is not a kind of figure"):
        save_figure(scores_figure(frame), tmp_path / "figure.jpeg")


def test_a_png_says_what_it_shows(frame: pd.DataFrame, tmp_path: Path) -> None:
    save_figure(scores_figure(frame), tmp_path / "f.png")
    with Image.open(tmp_path / "f.png") as image:
        assert image.info["Title"] == "PSNR of 5 methods on set, protocol ledig2017"
        assert "set, protocol ledig2017: 3 images" in image.info["Description"]
        assert abs(image.width / 300 * 25.4 - 175) < 1


def test_an_svg_has_its_text_as_text_and_a_name_for_screen_readers(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    scores_figure(frame).savefig(tmp_path / "f.svg")
    root = ET.parse(tmp_path / "f.svg").getroot()
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title")
    assert root.get("aria-label") == "PSNR of 5 methods on set, protocol ledig2017"
    assert "3 images" in (root.findtext(f"{SVG}desc") or "")
    texts = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert texts >= set(NAMES)
    styles = {text.get("style") or "" for text in root.iter(f"{SVG}text")}
    assert all("DejaVu Sans" in style and "sans-serif" in style for style in styles)


def test_names_in_full_keep_their_spaces() -> None:
    name = "a very long method name that goes on and on"
    with house_style():
        _, note = names_within([name], 20, 2)
    short, full = note.removeprefix("Names in full: ").removesuffix(".").split(" = ")
    head, tail = short.split("…")
    assert full == name
    assert full.startswith(head)
    assert full.endswith(tail)


def test_figures_have_a_true_minus() -> None:
    assert with_minus("ρ = -0.06 (-1.1 to 2), m-2") == "ρ = −0.06 (−1.1 to 2), m-2"


def test_a_pdf_can_be_searched(frame: pd.DataFrame, tmp_path: Path) -> None:
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext, which reads a PDF, is not here")
    scores_figure(frame).savefig(tmp_path / "f.pdf")
    read = ["pdftotext", "-layout", "f.pdf", "-"]
    text = subprocess.run(read, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    assert all(name in text for name in NAMES)
    info = subprocess.run(["pdfinfo", "f.pdf"], cwd=tmp_path, capture_output=True, check=True)
    assert b"PSNR of 5 methods on set" in info.stdout
    assert b"/CIDFontType2" in (tmp_path / "f.pdf").read_bytes()  # TrueType, as type 42


OWN: Any = {
    "text.usetex": True,
    "font.family": "serif",
    "axes.facecolor": "yellow",
    "lines.linewidth": 9,
    "svg.fonttype": "path",
    "pdf.fonttype": 3,
    "savefig.bbox": "tight",
    "savefig.dpi": 17,
    "figure.facecolor": "red",
}


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_a_users_settings_reach_neither_drawing_nor_saving(
    frame: pd.DataFrame, tmp_path: Path, form: str
) -> None:
    expected = figure_bytes(scores_figure(frame), form)
    with mpl.rc_context(OWN):
        before = dict(mpl.rcParams)
        drawn = scores_figure(frame)
        drawn.savefig(tmp_path / f"f.{form}", dpi=300)
        assert dict(mpl.rcParams) == before
    assert (tmp_path / f"f.{form}").read_bytes() == expected


def test_the_command_heeds_no_backend_and_no_matplotlibrc(demo_run: Path, tmp_path: Path) -> None:
    """As in a notebook's shell, where the backend that it names isn't installed."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.family: serif\n")
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MPLBACKEND": "module://backend_that_is_not_here",
    }
    ran = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "sreval", "figure", "scores", str(demo_run)),
            *("--metric", "ssim", "--out", "s.svg"),
        ],
        cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    here = select(collect([demo_run]), None, None)
    assert (tmp_path / "s.svg").read_bytes() == figure_bytes(
        scores_figure(here, metric="ssim"), "svg"
    )


def test_letters_that_no_font_has_are_boxes_and_named(
    make_frame: Callable[..., pd.DataFrame],
) -> None:
    """U+10FFFD is for private use: no font has it."""
    figure = scores_figure(make_frame({("s", "a\U0010fffdα", "psnr"): [1.0, 2, 4]}))
    assert letters_without_font(figure) == "\U0010fffd"
    assert figure_bytes(figure, "png")
    assert figure_bytes(figure, "pdf")
    assert "\U0010fffd" in figure_bytes(figure, "svg").decode()


@pytest.mark.parametrize("width", [9.0, 20.0, 60.0])
@pytest.mark.parametrize(
    "text", ["", "a", "SwinIR-large_x4 two", "x" * 99, "αβ γ/δ $5$ ∞", "-" * 40]
)
def test_wrapped_text_keeps_its_letters_and_its_width(text: str, width: float) -> None:
    lines = wrapped(text, width)
    assert all(width_of(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_line_holds_all_words_that_have_room() -> None:
    text = "Every vote, dark is bad: WWW iii lll fff ... (AVAT) 10 – 12 ∞ mm and so on. " * 3
    for width in range(12, 90, 7):
        lines = [""]
        for word in text.split():
            joined = f"{lines[-1]} {word}".strip()
            lines = [*lines[:-1], joined] if width_of(joined) <= width else [*lines, word]
        assert wrapped(text, width, " ") == lines


def test_a_width_is_what_matplotlib_draws() -> None:
    for text in ("SRGAN-VGG54", "αβ $x$", "28.43 dB / 0.8211"):
        with house_style():
            figure = mpl.figure.Figure(dpi=300)
            drawn = figure.text(0, 0, text, fontsize=7)
            width = drawn.get_window_extent().width / 300 * 25.4
        assert width_of(text) == pytest.approx(width, abs=0.15)


def test_shortened_names_stay_apart() -> None:
    methods = [f"{'x' * 30}{middle}{'y' * 30}" for middle in "abcd"]
    names, note = names_within(methods, 30)
    assert len(set(names.values())) == 4
    assert all(width_of(line) <= 30 for name in names.values() for line in name.split("\n"))
    assert all(method in note for method in methods)
    assert names_within(["nearest", "hr"], 30) == ({"nearest": "nearest", "hr": "HR"}, "")
