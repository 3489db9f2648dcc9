"""Printing a table: text for a terminal, Markdown, LaTeX (booktabs), HTML, CSV, JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from sreval.files import json_text
from sreval.opinions.cells import guarded
from sreval.report import paper
from sreval.report.latex import latex_escape, longtable, to_latex
from sreval.report.table import Cell, Column, Row, Table, parts_of, spans
from sreval.report.text import cells_wide, language_name, one_line, padded

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(table: Table, form: str, *, colour: bool = False, width: int | None = None) -> str:
    """The table in one of ``choices.FORMATS``; ``colour`` and ``width`` as for ``to_text``."""
    if form == "text":
        return to_text(table, colour=colour, width=width)
    writers: dict[str, Callable[[Table], str]] = {
        "markdown": to_markdown,
        "latex": to_latex,
        "html": to_html,
        "csv": to_csv,
        "json": to_json,
    }
    return writers[form](table)


def to_text(table: Table, *, colour: bool = False, width: int | None = None) -> str:
    """Aligned columns; with ``colour`` the best is bold and the second underlined.

    Columns of figures that don't fit ``width`` cells of a terminal stand below each other.
    """
    notes = table.all_notes if colour else table.notes
    columns = [_text_column(table, place, colour) for place in range(len(table.columns))]
    lines = [one_line(table.title)]
    for places in parts_of(
        table.columns, lambda own: not width or _wide(table, own, columns) <= width
    ):
        own = [columns[place] for place in places]
        groups = _text_groups([table.columns[place] for place in places], own)
        rows = ["  ".join(cells).rstrip() for cells in zip(*own, strict=True)]
        lines += ["", *groups, *rows]
    text = "\n".join([*lines, "", *map(one_line, notes)]) + "\n"
    return f"{text}\n{to_text(table.second, colour=colour, width=width)}" if table.second else text


def _wide(table: Table, places: Sequence[int], texts: Sequence[Sequence[str]]) -> int:
    """How many cells of a terminal these columns take, at most."""
    columns = [table.columns[place] for place in places]
    return (
        sum(
            2 + max(cells_wide(group), sum(cells_wide(texts[places[n]][0]) + 2 for n in own) - 2)
            for group, own in spans(columns)
        )
        - 2
    )


def _text_column(table: Table, place: int, colour: bool) -> list[str]:
    """The cells of one column, its heading first, all as wide as the widest."""
    column, codes = table.columns[place], {1: "\x1b[1m", 2: "\x1b[4m"} if colour else {}
    cells = [(row, row.cells[place]) for row in table.rows]
    mark, beside = (
        max((cells_wide(text) for text in texts), default=0)
        for texts in ([cell.mark for _, cell in cells], [cell.beside for _, cell in cells])
    )
    texts = [one_line(column.heading)]
    for row, cell in cells:
        figure = one_line(cell.text)
        if column.decimals and row.kind != "interval":
            figure += padded(cell.mark, mark) + pad_right(cell, row, column, " ")
            figure += " " + padded(cell.beside, beside) if beside else ""
        texts.append(figure)
    width = max(map(cells_wide, texts))
    filled = [padded(text, width, right=column.align == "right") for text in texts]
    for n, (_, cell) in enumerate(cells, 1):
        if code := codes.get(cell.rank):
            filled[n] = filled[n].replace(cell.text, f"{code}{cell.text}\x1b[0m", 1)
    return filled


def _text_groups(columns: Sequence[Column], texts: list[list[str]]) -> list[str]:
    """The line of what stands above several headings; it widens ``texts`` where it must."""
    if not any(column.group for column in columns):
        return []
    line = []
    for group, places in spans(columns):
        name = one_line(group)
        width = sum(cells_wide(texts[place][0]) + 2 for place in places) - 2
        more = " " * (cells_wide(name) - width)
        texts[places[0]] = [more + cell for cell in texts[places[0]]]
        room = width + len(more) - cells_wide(name)
        line.append(" " * (room // 2) + name + " " * (room - room // 2))
    return ["  ".join(line).rstrip()]


def pad_right(cell: Cell, row: Row, column: Column, pad: str) -> str:
    """The padding after a right-aligned figure that aligns all figures of a column at the point."""
    if not column.decimals or row.kind == "interval" or not cell.text:
        return ""
    _, point, decimals = cell.text.partition(".")
    return pad * (column.decimals - len(decimals) + (not point))


def to_markdown(table: Table) -> str:
    """A Markdown table as GitHub and Pandoc show it."""
    rows = [
        [_markdown(column.full) for column in table.columns],
        ["---:" if column.align == "right" else "---" for column in table.columns],
        *([_markdown_cell(cell, row) for cell in row.cells] for row in table.rows),
    ]
    lines = [
        f"**{_markdown(table.title)}**",
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- {_markdown_note(note)}" for note in table.all_notes),
    ]
    text = "\n".join(lines) + "\n"
    return f"{text}\n{to_markdown(table.second)}" if table.second else text


def _markdown(text: str) -> str:
    """Text in one line of which nothing is taken for Markdown, a cell's end or HTML."""
    return re.sub(r"([\\`*_<>\[\]|~#$&])", r"\\\1", one_line(text))


def _markdown_note(note: str) -> str:
    """A sentence with what stands in backticks as code."""
    parts = re.split(r"(`[^`]+`)", one_line(note))
    return "".join(part if n % 2 else _markdown(part) for n, part in enumerate(parts))


def _markdown_cell(cell: Cell, row: Row) -> str:
    text = _markdown(cell.text)
    if row.kind == "interval":
        return f"<sub>{text}</sub>" if text else ""
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    mark = f"<sup>{_markdown(cell.mark)}</sup>" if cell.mark else ""
    return text + mark + (f" {_markdown(cell.beside)}" if cell.beside else "")


def to_html(table: Table) -> str:
    """A self-contained page with the table."""
    return render_page("table.html", title=table.title, lead=[], table=table)


def to_html_part(table: Table) -> str:
    """The table to stand inside another page, with a style that touches nothing else there."""
    return render_page("table_part.html", table=table)


def results_page(
    title: str,
    lead: Sequence[str],
    figure: Figure,
    caption: str,
    table: Table,
    commands: Sequence[tuple[str, str]] = (),
) -> str:
    """A self-contained HTML page of results: ``lead`` in paragraphs, the figure, the table.

    ``commands`` are pairs of what a command does and the command itself.
    """
    from sreval.report.style import figure_svg

    return render_page(
        "table.html",
        title=title,
        lead=lead,
        figure=figure_svg(figure),
        caption=caption,
        table=table,
        commands=commands,
    )


def render_page(template: str, **content: Any) -> str:
    """A page from one of the templates beside this file: HTML, or LaTeX where it ends in .tex."""
    return _environment().get_template(template).render(**content) + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sreval.report"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    environment.filters["code"] = _code
    environment.filters["label"] = paper.label
    environment.filters["language"] = language_name
    environment.filters["latex"] = latex_escape
    environment.filters["spans"] = spans
    environment.globals["pad_right"] = pad_right
    environment.globals["longtable"] = longtable
    return environment


def _code(text: str) -> Markup:
    """A sentence with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def to_csv(table: Table) -> str:
    """All figures of the table as tidy CSV."""
    return csv_text(table.frame)


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV whose text no spreadsheet takes for a formula."""

    def safe(value: object) -> object:
        return guarded(value) if isinstance(value, str) else value

    plain = frame.rename(columns=lambda name: guarded(str(name)))
    for place, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            plain = plain.assign(**{plain.columns[place]: frame.iloc[:, place].map(safe)})
        elif frame.columns[place] == "scale":
            plain = plain.assign(scale=frame["scale"].map("{:g}".format))
    return str(plain.to_csv(index=False, lineterminator="\n"))


def to_json(table: Table) -> str:
    """Everything the table says; infinite values as strings, missing ones as null."""
    return json_text(table.records()) + "\n"
