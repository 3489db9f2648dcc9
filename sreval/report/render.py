"""Printing a table: text for a terminal, Markdown, LaTeX (booktabs), HTML, CSV, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from sreval.report import paper
from sreval.report.pages import render_page
from sreval.report.tables import DIGITS, NAMES, Cell, Line, Table

FORMATS = ("text", "markdown", "latex", "html", "csv", "json")


@dataclass(frozen=True)
class Printed:
    """One figure as printed: its text, its rank (1 best, 2 second) and its mark."""

    text: str
    rank: int = 0
    mark: str = ""


@dataclass(frozen=True)
class PrintedRow:
    """One row: the data set (only on its first row), what it shows, a figure a method."""

    dataset: str
    label: str
    kind: Literal["value", "interval", "paper"]
    cells: list[Printed]


def render(table: Table, form: str, *, colour: bool = False) -> str:
    """The table in one of FORMATS; ``colour`` lets text use bold and underline."""
    if form == "text":
        return to_text(table, colour)
    return {
        "markdown": to_markdown,
        "latex": to_latex,
        "html": to_html,
        "csv": to_csv,
        "json": to_json,
    }[form](table)


def number(value: float, metric: str) -> str:
    """A value with the digits its metric warrants; ∞ for identical images, – for none."""
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:.{DIGITS[metric]}f}"


def printed_rows(table: Table) -> Iterator[PrintedRow]:
    """The table's rows from top to bottom: value, interval, and the paper's if asked for."""
    previous = ""
    for line in table.lines:
        head = line.dataset if line.dataset != previous else ""
        previous = line.dataset
        cells = [line.cells.get(method) for method in table.methods]
        if all(cell is None or cell.n == 0 for cell in cells):
            yield PrintedRow(
                head, f"{NAMES[line.metric]}, paper", "paper", _paper_figures(cells, line)
            )
            continue
        values = [
            Printed(number(c.mean, line.metric), c.rank, c.mark) if c else Printed("–")
            for c in cells
        ]
        label = NAMES[line.metric] + (", simulated" if line.simulated else "")
        yield PrintedRow(head, label, "value", values)
        yield PrintedRow("", "", "interval", [Printed(_interval(c, line.metric)) for c in cells])
        theirs = _paper_figures(cells, line)
        if any(figure.text for figure in theirs):
            yield PrintedRow("", "paper", "paper", theirs)


def _paper_figures(cells: list[Cell | None], line: Line) -> list[Printed]:
    return [
        Printed("" if cell is None or cell.paper is None else number(cell.paper, line.metric))
        for cell in cells
    ]


def _interval(cell: Cell | None, metric: str) -> str:
    if cell is None or not math.isfinite(cell.low) or not math.isfinite(cell.high):
        return ""
    return f"{number(cell.low, metric)}–{number(cell.high, metric)}"


def _pad_right(cell: Printed, row: PrintedRow, pad: str) -> str:
    """What stands behind a right-aligned figure so that all are aligned at the point."""
    if row.kind == "interval" or not cell.text:
        return ""
    most = max(DIGITS.values())
    _, point, decimals = cell.text.partition(".")
    return pad * (most - len(decimals) + (not point))


def to_text(table: Table, colour: bool = False) -> str:
    """Aligned columns; with ``colour`` the best is bold and the second underlined."""
    codes = {1: "\x1b[1m", 2: "\x1b[4m"} if colour else {}
    marks = max((len(c.mark) for li in table.lines for c in li.cells.values() if c), default=0)
    grid = [(["", "", *map(paper.label, table.methods)], [""] * (len(table.methods) + 2))]
    for row in printed_rows(table):
        texts = [row.dataset, row.label]
        wraps = ["", ""]
        for cell in row.cells:
            behind = "" if row.kind == "interval" else cell.mark.ljust(marks)
            texts.append(cell.text + behind + _pad_right(cell, row, " "))
            wraps.append(codes.get(cell.rank, ""))
        grid.append((texts, wraps))
    widths = [max(len(texts[i]) for texts, _ in grid) for i in range(len(grid[0][0]))]
    lines = [table.title, ""]
    for texts, wraps in grid:
        cells = []
        for index, (text, wrap) in enumerate(zip(texts, wraps, strict=True)):
            full = text.ljust(widths[index]) if index < 2 else text.rjust(widths[index])
            figure = text.split(" ")[0].rstrip("*‡")
            cells.append(full.replace(figure, f"{wrap}{figure}\x1b[0m", 1) if wrap else full)
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, "", *table.notes]) + "\n"


def to_markdown(table: Table) -> str:
    """A Markdown table as GitHub and Pandoc show it."""
    head = ["", "", *map(paper.label, table.methods)]
    rule = ["---", "---", *("---:" for _ in table.methods)]
    rows = [head, rule]
    for row in printed_rows(table):
        rows.append([row.dataset, row.label, *(_markdown_cell(cell, row) for cell in row.cells)])
    lines = [f"**{table.title}**", "", *("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in table.notes)]) + "\n"


def _markdown_cell(cell: Printed, row: PrintedRow) -> str:
    if row.kind == "interval":
        return f"<sub>{cell.text}</sub>" if cell.text else ""
    text = {1: f"**{cell.text}**", 2: f"<u>{cell.text}</u>"}.get(cell.rank, cell.text)
    mark = cell.mark.replace("*", "\\*")
    return text + (f"<sup>{mark}</sup>" if mark else "")


_LATEX = r"""% needs \usepackage{{booktabs}}
\begin{{table}}
\centering\footnotesize\setlength{{\tabcolsep}}{{3pt}}
\caption{{{title}.}}
\begin{{tabular}}{{{columns}}}
\toprule
{head} \\
\midrule
{body}
\bottomrule
\end{{tabular}}\par\smallskip
\begin{{minipage}}{{\linewidth}}\scriptsize
{notes}
\end{{minipage}}
\end{{table}}
"""

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "∞": r"$\infty$",
    "–": "--",
    "‡": r"\ddag{}",
    "*": r"\textasteriskcentered{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "<": "$<$",
    ">": "$>$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex_escape(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(_LATEX_SPECIAL.get(char, char) for char in text)


def to_latex(table: Table) -> str:
    """A booktabs table, figures aligned at the point by a column either side of it."""
    heads = [f"\\multicolumn{{2}}{{c}}{{\\scriptsize {_latex_head(m)}}}" for m in table.methods]
    body: list[str] = []
    for row in printed_rows(table):
        if row.dataset and body:
            body.append(r"\addlinespace")
        cells = " & ".join(_latex_cell(cell, row) for cell in row.cells)
        body.append(f"{latex_escape(row.dataset)} & {latex_escape(row.label)} & {cells} \\\\")
    return _LATEX.format(
        title=latex_escape(table.title),
        columns="ll" + "r@{}l" * len(table.methods),
        head=" & ".join(["", "", *heads]),
        body="\n".join(body),
        notes="\n".join(latex_escape(note) + r"\par" for note in table.notes),
    )


def _latex_head(method: str) -> str:
    """A method's name, broken after its hyphen: the column stays as narrow as its figures."""
    family, hyphen, loss = latex_escape(paper.label(method)).partition("-")
    return f"\\shortstack{{{family}-\\\\{loss}}}" if hyphen else family


def _latex_cell(cell: Printed, row: PrintedRow) -> str:
    if row.kind == "interval":
        return f"\\multicolumn{{2}}{{c}}{{\\scriptsize {latex_escape(cell.text)}}}"
    whole, point, decimals = cell.text.partition(".")
    wrap = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
    left, right = latex_escape(whole), point + decimals
    mark = f"\\textsuperscript{{{latex_escape(cell.mark)}}}" if cell.mark else ""
    return f"{wrap % left if left else ''} & {wrap % right if right else ''}{mark}"


def to_html(table: Table) -> str:
    """A self-contained page with the table."""
    return render_page("table.html", title=table.title, tables=[html_table(table)], figures=[])


def html_table(table: Table) -> dict[str, Any]:
    """The table as the page templates take it."""
    rows = [
        {
            "dataset": row.dataset,
            "label": row.label,
            "kind": row.kind,
            "cells": [
                {
                    "text": cell.text,
                    "rank": cell.rank,
                    "mark": cell.mark,
                    "pad": _pad_right(cell, row, "\u2007"),
                }
                for cell in row.cells
            ],
        }
        for row in printed_rows(table)
    ]
    return {
        "title": table.title,
        "methods": [paper.label(method) for method in table.methods],
        "rows": rows,
        "notes": table.notes,
    }


def records(table: Table) -> list[dict[str, Any]]:
    """Every figure with its interval, one record a (data set, metric, method)."""
    return [
        {
            "dataset": line.dataset,
            "metric": line.metric,
            "method": method,
            "n": cell.n,
            "unit": line.unit,
            "mean": cell.mean,
            "low": cell.low,
            "high": cell.high,
            "rank": cell.rank,
            "mark": cell.mark,
            "paper": cell.paper,
            "simulated": line.simulated,
        }
        for line in table.lines
        for method, cell in line.cells.items()
        if cell is not None
    ]


def comparison_records(table: Table) -> list[dict[str, Any]]:
    """Every paired test, one record each."""
    return [
        {
            "dataset": c.dataset,
            "metric": c.metric,
            "first": c.first,
            "second": c.second,
            "n": c.test.n,
            "mean_difference": c.difference,
            "w_plus": c.test.w_plus,
            "w_minus": c.test.w_minus,
            "p": c.test.p,
            "p_holm": c.p_holm,
            "method": c.test.method,
            "rank_biserial": c.test.rank_biserial,
            "least_p": c.test.least_p,
        }
        for c in table.comparisons
    ]


def to_csv(table: Table) -> str:
    """The figures as tidy CSV, one row a (data set, metric, method)."""
    frame = pd.DataFrame(records(table)).assign(protocol=table.protocol, scale=table.scale)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def to_json(table: Table) -> str:
    """Everything the table says; infinite and missing values as strings and null."""
    content = {
        "title": table.title,
        "protocol": table.protocol,
        "scale": table.scale,
        "figures": [_plain(record) for record in records(table)],
        "comparisons": [_plain(record) for record in comparison_records(table)],
        "notes": table.notes,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, float) and math.isnan(value):
            return None
        return str(value) if isinstance(value, float) and math.isinf(value) else value

    return {key: plain(value) for key, value in record.items()}
