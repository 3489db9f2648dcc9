"""How a table sets its columns, and that every format has the same cells."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pandas as pd
import pytest

from sreval.errors import NONE
from sreval.report.latex import longtable
from sreval.report.table import Table, column, interval_column, table_of, text_table, whole

FRAME = pd.DataFrame(
    {
        "name": ["=a|b", "c"],
        "mean": [1.25, float("nan")],
        "low": [-0.5, float("nan")],
        "high": [3.0, float("nan")],
        "n": [7.0, 0.0],
        "why": ["", "No person rated it, so nothing can be shown."],
    }
)
COLUMNS = {
    "method": column("name"),
    "mean": column("mean", 2),
    "interval": interval_column(1),
    "n": whole("n"),
    "why": column("why"),
}


@pytest.fixture
def table() -> Table:
    return table_of("mos", "A title", FRAME, COLUMNS, ["A note."], {"level": 0.9})


@pytest.mark.parametrize(
    ("cells", "align"),
    [
        (["PSNR", "SSIM"], "left"),
        (["1.5", "-2", "<0.0001", "+3", NONE, ""], "right"),
        ([NONE, NONE], "left"),  # nothing but dashes: no figure says how it is set
        (["3 images", "12 images"], "right"),
        (["word " * 9], "words"),
        ([], "left"),
    ],
)
def test_figures_are_set_right_names_left_and_sentences_wrap(cells: list[str], align: str) -> None:
    made = text_table("x", "", pd.DataFrame(), ["head"], [[cell] for cell in cells])
    assert [column.align for column in made.columns] == [align]


def test_text_is_flush_left_and_right(table: Table) -> None:
    assert table.to_text().splitlines() == [
        "A title",
        "",
        "method  mean     interval  n  why",
        "=a|b    1.25  -0.5 to 3.0  7",
        "c          –            –  0  No person rated it, so nothing can be shown.",
        "",
        "A note.",
    ]


def test_every_format_has_every_cell(table: Table) -> None:
    markdown = [row for row in table.to_markdown().splitlines() if row.startswith("|")]
    assert markdown[2] == "| =a\\|b | 1.25 | -0.5 to 3.0 | 7 |  |"
    assert {row.replace("\\|", "").count("|") for row in markdown} == {6}
    assert r"=a\textbar{}b & 1.25 & -0.5 to 3.0 & 7 &  \\" in table.to_latex()
    assert "<td>1.25</td><td>-0.5 to 3.0</td><td>7</td>" in table.to_html()
    rows = list(csv.DictReader(StringIO(table.to_csv())))
    assert [row["name"] for row in rows] == ["'=a|b", "c"]
    said = json.loads(table.to_json())
    assert (said["analysis"], said["level"], said["notes"]) == ("mos", 0.9, ["A note."])
    assert [row["mean"] for row in said["rows"]] == [1.25, None]


def test_a_long_table_in_latex_repeats_its_head_and_has_its_notes(table: Table) -> None:
    latex = longtable(table, "Table 1")
    assert r"\begin{longtable}{lrrrp{.47\linewidth}}" in latex
    assert r"\caption{Table 1}\\" in latex
    head, body = latex.split(r"\midrule\endhead")
    assert "method & mean & interval & n & why" in head
    assert body.count("\\\\\n") == 2
    assert r"A note.\par" in body


def test_rows_that_are_not_printed_stay_in_the_frame() -> None:
    made = table_of("mos", "A title", FRAME, COLUMNS, printed=FRAME.head(1))
    assert (len(made.rows), len(made.frame), made.to_csv().count("\n")) == (1, 2, 3)


def test_a_notebook_shows_the_table_and_escapes_it() -> None:
    made = text_table("x", "<b>", pd.DataFrame(), ["<i>"], [["<u>"]], ["<s>"])
    shown = made._repr_html_()
    for tag in ("<b>&lt;b&gt;</b>", "&lt;i&gt;</th>", "&lt;u&gt;</td>", "<p>&lt;s&gt;</p>"):
        assert tag in shown
