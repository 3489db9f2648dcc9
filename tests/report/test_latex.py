"""LaTeX: what is escaped, how wide it is, and that pdflatex sets it without an overfull box."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.report.choices import INTERVALS
from sreval.report.latex import (
    COLUMN,
    PAGE,
    _parts_of,
    _settings,
    _width,
    latex_escape,
    text_width,
)
from sreval.report.scores import ScoreTable, score_table
from sreval.report.table import Table, text_table

Maker = Callable[..., pd.DataFrame]
NAMES = (
    "nearest", "bicubic", "srcnn", "srresnet-vgg22", "srgan-vgg54", "SwinIR_classical", "ours-α",
    "a|b & 50% #1", "naïve_{x}^2~\\$", "方法", "x" * 70, "hr",
)  # fmt: skip
METRICS = {"psnr": 28.0, "ssim": 0.8, "lpips": 0.3, "lpips-vgg": 0.4}


def frame(make: Maker, methods: Sequence[str], images: int = 9) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = {
        (dataset, method, metric): list(mean * (1 + rng.normal(0, 0.02, images)))
        for dataset, method, (metric, mean) in itertools.product(
            ("Set5", "Set14", "BSD100"), methods, METRICS.items()
        )
    }
    return make(values)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50% of a_b & c", r"50\% of a\_b \& c"),
        ("#$^~{}\\", r"\#\$\textasciicircum{}\textasciitilde{}\{\}\textbackslash{}"),
        ("the \"best\" ('ours') isn't", "the ``best'' (`ours'{}) isn'{}t"),
        ("a|b", r"a\textbar{}b"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("ours-α", r"ours-$\alpha$"),
        ("λΩ", r"$\lambda$$\Omega$"),
        ("Ångström é ñ ß", r"\AA{}ngstr\"{o}m \'{e} \~{n} \ss{}"),
        ("e\u0301", r"\'{e}"),
        ("中", r"{[}U+4E2D{]}\allowbreak{}"),
        ("🙂", r"{[}U+1F642{]}\allowbreak{}"),
        ("two\nlines\t\x1b[1m", "two lines {[}1m"),
        ("a\u202eb\u200bc", "abc"),
    ],
)
def test_escaped(text: str, escaped: str) -> None:
    assert latex_escape(text) == escaped


@given(st.text())
@settings(deadline=None)
def test_any_text_is_ascii_with_balanced_braces_and_no_bare_special(text: str) -> None:
    escaped = latex_escape(text)
    assert escaped.isascii()
    assert "\n" not in escaped
    bare = re.sub(r"\\[\\&%$#_{}]", "", escaped)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[&%#_]", bare)
    assert bare.count("$") % 2 == 0


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-/", max_size=30))
@settings(deadline=None)
def test_no_text_is_wider_than_was_measured(text: str) -> None:
    """By the advance widths of cmr10 that matplotlib brings, without kerning."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(str(findfont(FontProperties(family="cmr10"))))
    font.set_size(100, 72)
    em = sum(font.load_char(ord(c), LoadFlags.NO_HINTING).linearHoriAdvance for c in text)
    assert text_width(text) >= em / 65536 / 100 * 8 - 1e-6


@pytest.mark.parametrize("count", [2, 5, len(NAMES)])
def test_every_part_of_a_table_fits(make_frame: Maker, count: int) -> None:
    rows = frame(make_frame, NAMES[-count:])
    for intervals, transposed in itertools.product(INTERVALS, (False, True)):
        table = score_table(rows, pairs=True, intervals=intervals, transposed=transposed)
        for limit in (COLUMN, PAGE):
            columns = _settings(table, limit)
            parts = _parts_of(columns, limit)
            assert all(_width([columns[p] for p in places]) <= limit for places in parts)
            names = [p for p, column in enumerate(table.columns) if column.align == "left"]
            figures = [p for part in parts for p in part if p not in names]
            assert [*names, *figures] == list(range(len(table.columns)))


def test_what_is_too_wide_is_several_floats_of_one_number(make_frame: Maker) -> None:
    table = score_table(frame(make_frame, NAMES))
    text = replace(table, width="column", label="tab:all").to_latex()
    floats = text.split(r"\begin{table}")[1:]
    assert len(floats) > 2
    assert [r"\label{tab:all}" in one for one in floats] == [True] + [False] * (len(floats) - 1)
    assert all(r"\addtocounter{table}{-1}" in one for one in floats[1:])
    assert all("(continued)" in one for one in floats[1:])
    assert ["Protocol" in one for one in floats].index(True) == len(floats) - 1  # notes once


def test_a_small_table_is_a_column_and_a_large_one_the_page(make_frame: Maker) -> None:
    small = score_table(frame(make_frame, NAMES[:2]))
    large = score_table(frame(make_frame, NAMES[:5]))
    assert r"\begin{table}" in small.to_latex()
    assert r"\begin{table*}" in large.to_latex()
    assert r"\begin{table*}" in replace(small, width="page").to_latex()
    assert r"\label{tab:scores}" in small.to_latex()


def test_intervals_apart_have_a_label_of_their_own_and_name_their_table(make_frame: Maker) -> None:
    text = score_table(frame(make_frame, ["a", "b"]), intervals="apart").to_latex()
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:scores", "tab:scores-intervals"]
    assert r"\caption{95\% intervals of the means of Table~\ref{tab:scores}.}" in text


def test_a_table_longer_than_a_page_is_split_where_a_data_set_begins(make_frame: Maker) -> None:
    rows = make_frame({(f"set{n:02}", "a", "psnr"): [1.0, 2, 3] for n in range(60)})
    text = score_table(rows).to_latex()
    assert text.count("\\caption{") == 3
    assert text.count("(continued)") == 2
    assert all(f"set{n:02} & PSNR & " in text for n in range(60))


@given(st.lists(st.text(min_size=1), min_size=2, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_row_has_as_many_cells_as_the_table_columns(names: list[str]) -> None:
    made = text_table("x", names[0], pd.DataFrame(), names, [names, names])
    assert r"\\}" not in made.to_latex()  # pdflatex stops at a stack that ends with a new line
    for part in made.to_latex().split(r"\begin{tabular}")[1:]:
        body = part[part.index(r"\midrule") : part.index(r"\bottomrule")]
        rows = [row for row in body.splitlines() if row.endswith(r"\\")]
        columns = re.sub(r"p\{.*?linewidth\}", "p", part[1 : part.index("}\n")])
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) + 1 == len(columns)


HASH = "00ffff4313ffb3b6" * 4


def test_a_hash_breaks_without_a_hyphen_or_a_ligature() -> None:
    text = latex_escape(f"votes {HASH}.")
    assert text.count(r"}\allowbreak{}\mbox{") == 3
    assert "ff" not in text
    assert (
        text.replace(r"\mbox{", "").replace(r"}\allowbreak{", "").replace("{}", "").replace("}", "")
        == f"votes {HASH}."
    )
    assert latex_escape("ab12" * 15) == "ab12" * 15


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_pdflatex_sets_them_without_an_overfull_box(make_frame: Maker, tmp_path: Path) -> None:
    rows = frame(make_frame, NAMES)
    ways: list[dict[str, Any]] = [
        {"pairs": True},
        {"intervals": "beside", "transposed": True, "baseline": "bicubic"},
        {"intervals": "none", "metrics": ["psnr"], "transposed": True},
    ]
    made: list[ScoreTable] = [score_table(rows, **way) for way in ways]
    hashes = [["SHA-256 of a file that has a long name of " + "words " * 9, HASH]] * 2
    plain = text_table("x", "Hashes", pd.DataFrame(), ["file", "hash"], hashes)
    tables: list[Table] = [*made, plain]
    texts = [replace(table, width=w).to_latex() for table in tables for w in ("column", "page")]
    head = (
        "\\documentclass[10pt,twocolumn]{article}\n\\usepackage[paperheight=297mm,paperwidth=210mm,"
        "textwidth=174mm,textheight=235mm,columnsep=10mm]{geometry}\n"
        "\\usepackage{booktabs,siunitx}\\begin{document}\n"
    )
    (tmp_path / "t.tex").write_text(head + "\\clearpage\n".join(texts) + "\\end{document}\n")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-2000:]
    assert "Overfull" not in said
    assert "Float too large" not in said
