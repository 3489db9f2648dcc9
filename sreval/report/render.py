"""Printing a table: text for a terminal, Markdown, LaTeX (booktabs), HTML, CSV, JSON."""

from __future__ import annotations

from typing import Any

from sreval.report import paper
from sreval.report.cells import Table
from sreval.report.latex import to_latex
from sreval.report.pages import render_page
from sreval.report.printing import Printed, PrintedRow, pad_right, printed_rows
from sreval.report.records import to_csv, to_json


def render(table: Table, form: str, *, colour: bool = False) -> str:
    """The table in one of ``choices.FORMATS``; ``colour`` lets text use bold and underline."""
    if form == "text":
        return to_text(table, colour)
    return {
        "markdown": to_markdown,
        "latex": to_latex,
        "html": to_html,
        "csv": to_csv,
        "json": to_json,
    }[form](table)


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
            texts.append(cell.text + behind + pad_right(cell, row, " "))
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


def to_html(table: Table) -> str:
    """A self-contained page with the table."""
    return render_page(
        "table.html",
        title=table.title,
        lead=[],
        figures=[],
        tables=[html_table(table)],
        commands=[],
    )


def to_html_part(table: Table) -> str:
    """The table to stand inside another page, with a style that touches nothing else there."""
    return render_page("table_part.html", table=html_table(table))


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
                    "pad": pad_right(cell, row, "\u2007"),
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
