"""Printing: the same figures in every format, whole and well formed."""

from __future__ import annotations

import html.parser
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.report.collect import collect, select
from sreval.report.scores import ScoreTable, score_table
from sreval.report.table import text_table
from sreval.report.text import cells_wide


@pytest.fixture(scope="module")
def table(demo_run: Path) -> ScoreTable:
    return score_table(select(collect([demo_run]), None, None), baseline="bicubic", with_paper=True)


@pytest.fixture(scope="module")
def means(demo_run: Path) -> dict[str, str]:
    """The PSNR means, computed from the CSV with pandas alone."""
    frame = pd.read_csv(demo_run / "results.csv")
    frame = frame[(frame["protocol"] == "ledig2017") & (frame["metric"] == "psnr")]
    return {str(m): f"{v:.2f}" for m, v in frame.groupby("method")["value"].mean().items()}


def test_text_is_aligned_at_the_point(table: ScoreTable, means: dict[str, str]) -> None:
    lines = table.render("text").splitlines()
    (psnr,) = [line for line in lines if line.startswith("demo  PSNR ")]
    (ssim,) = [line for line in lines if line.startswith("      SSIM ")]
    assert means["nearest"] in psnr
    assert means["bicubic"] in psnr
    assert "∞" in psnr
    assert [m.start() for m in re.finditer(r"(?<=\d)\.", psnr)] == [
        m.start() for m in re.finditer(r"(?<=\d)\.", ssim)
    ][:2]
    assert "\x1b" not in table.render("text")
    assert f"\x1b[1m{means['bicubic']}\x1b[0m" in table.render("text", colour=True)


def test_markdown_has_as_many_cells_in_every_row(table: ScoreTable, means: dict[str, str]) -> None:
    rows = [line for line in table.render("markdown").splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert f"**{means['bicubic']}**" in rows[2]
    assert "<u>" in rows[2]


def test_csv_and_json_hold_the_full_figures(table: ScoreTable, demo_run: Path) -> None:
    frame = pd.read_csv(StringIO(table.render("csv")))
    raw = pd.read_csv(demo_run / "results.csv")
    raw = raw[(raw["protocol"] == "ledig2017") & (raw["metric"] == "ssim")]
    ours = frame[frame["metric"] == "ssim"].dropna(subset=["mean"]).set_index("method")["mean"]
    expected = raw.groupby("method")["value"].mean()
    assert ours.to_dict() == pytest.approx(expected.to_dict(), abs=1e-12)
    content = json.loads(table.render("json"))
    by_key = {(f["method"], f["metric"]): f for f in content["figures"]}
    assert by_key["hr", "psnr"]["mean"] == "inf"
    assert by_key["hr", "psnr"]["low"] is None or by_key["hr", "psnr"]["low"] == "inf"
    assert content["comparisons"][0]["second"] == "bicubic"
    assert content["protocol"] == "ledig2017"


class Checker(html.parser.HTMLParser):
    """Counts what stands in a page, and that every element is closed."""

    VOID = frozenset({"meta", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[int] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_well_formed_and_fetches_nothing(table: ScoreTable, means: dict[str, str]) -> None:
    page = table.render("html")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(set(checker.rows)) == 1
    assert checker.links == []
    assert f"<b>{means['bicubic']}</b>" in page


def test_html_escapes_a_methods_name(table: ScoreTable) -> None:
    hostile = ScoreTable.of("<b>&", "ledig2017", [4], ["<script>alert()"])
    page = hostile.render("html")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert()" in page


class Cells(html.parser.HTMLParser):
    """The text of every cell of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th"):
            self.inside = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cells[-1] += data


NAMES = st.lists(
    st.text(st.characters(exclude_categories=["C"]), min_size=1), min_size=2, max_size=4
)


@given(NAMES)
@settings(deadline=None)
def test_any_name_stays_one_cell_and_is_read_back_from_html(names: list[str]) -> None:
    made = text_table("x", "", pd.DataFrame(), names, [names])
    reader = Cells()
    reader.feed(made.to_html())
    assert reader.cells == [*names, *names]
    for row in [line for line in made.to_markdown().splitlines() if line.startswith("|")]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == len(names) + 1


@given(NAMES)
@settings(deadline=None)
def test_text_has_a_line_a_row_and_no_control_characters(names: list[str]) -> None:
    made = text_table("x", "T", pd.DataFrame(), ["h"] * len(names), [names, names[::-1]], ["N."])
    lines = made.to_text().split("\n")
    assert (lines[0], len(lines)) == ("T", 8)
    assert not any(unicodedata.category(c) == "Cc" for line in lines for c in line)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_text_of_many_methods_is_split_at_the_width_of_a_terminal(
    make_frame: Callable[..., pd.DataFrame], width: int, transposed: bool
) -> None:
    random = np.random.default_rng(0)
    frame = make_frame(
        {
            (dataset, f"方法-{n}", metric): list(random.normal(25, 3, 5))
            for dataset in ("Set5", "a data set of a long name")
            for n in range(25)
            for metric in ("psnr", "ssim")
        }
    )
    table = replace(score_table(frame, transposed=transposed), notes=[])
    whole = table.to_text().splitlines()[2:-1]
    parts = "\n".join(table.render("text", width=width).splitlines()[2:-1]).split("\n\n")
    assert all(cells_wide(line) <= width for part in parts for line in part.splitlines())
    assert len({len(part.splitlines()) for part in parts}) == 1
    assert len(parts) > 1 or width > max(map(cells_wide, whole))
    figures = re.compile(r"\d+\.\d+(?:–\d+\.\d+)?|方法-\d+")
    lines = [" ".join(line) for line in zip(*(p.splitlines() for p in parts), strict=True)]
    for line, joined in zip(whole, lines, strict=True):
        found = list(dict.fromkeys(figures.findall(joined)))
        assert found == list(dict.fromkeys(figures.findall(line)))
    assert table.render("text", width=10**4) == table.to_text()


def test_markdown_takes_no_name_for_markup() -> None:
    made = text_table("x", "", pd.DataFrame(), ["a|b"], [["*c*_d_`e`<f>"], ["two\nlines"]])
    rows = [line for line in made.to_markdown().splitlines() if line.startswith("|")]
    assert rows == [r"| a\|b |", "| --- |", r"| \*c\*\_d\_\`e\`\<f\> |", "| two lines |"]


def test_wide_letters_are_aligned_in_text() -> None:
    made = text_table("x", "", pd.DataFrame(), ["name", "n"], [["方法", "1"], ["abcd", "2"]])
    assert made.to_text().splitlines()[2:] == ["name  n", "方法  1", "abcd  2", ""]


def test_a_page_of_methods_down_sorts_rows_and_one_of_methods_across_columns(
    demo_run: Path,
) -> None:
    frame = select(collect([demo_run]), None, None)
    down = score_table(frame, transposed=True).to_html()
    assert 'class="result sortable"' in down
    assert '<th colspan="2" scope="colgroup">demo</th>' in down
    assert "aria-sort" in down
    assert 'class="result sortable across"' in score_table(frame).to_html()


def test_what_stands_in_backticks_is_code_on_a_page_and_nothing_else_is_markup() -> None:
    page = ScoreTable.of("Scores", "matlab", [4], [], notes=["Run `a <b>` & c."]).to_html()
    assert "<p>Run <code>a &lt;b&gt;</code> &amp; c.</p>" in page
