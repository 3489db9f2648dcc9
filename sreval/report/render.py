"""Printing a table: text for a terminal, Markdown, LaTeX (booktabs), HTML, CSV, JSON."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from sreval.files import json_text
from sreval.opinions.cells import guarded
from sreval.report import paper
from sreval.report.table import Cell, Column, Row, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(table: Table, form: str, *, colour: bool = False) -> str:
    """The table in one of ``choices.FORMATS``; ``colour`` lets text use bold and underline."""
    if form == "text":
        return to_text(table, colour=colour)
    writers: dict[str, Callable[[Table], str]] = {
        "markdown": to_markdown,
        "latex": to_latex,
        "html": to_html,
        "csv": to_csv,
        "json": to_json,
    }
    return writers[form](table)


def to_text(table: Table, *, colour: bool = False) -> str:
    """Aligned columns; with ``colour`` the best is bold and the second underlined."""
    codes = {1: "\x1b[1m", 2: "\x1b[4m"} if colour else {}
    marks = max((len(cell.mark) for row in table.rows for cell in row.cells), default=0)
    texts = [[column.heading for column in table.columns]]
    for row in table.rows:
        texts.append(
            [
                cell.text
                + (cell.mark.ljust(marks) if column.decimals and row.kind != "interval" else "")
                + pad_right(cell, row, column, " ")
                for cell, column in zip(row.cells, table.columns, strict=True)
            ]
        )
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [table.title, ""]
    for row, line in zip([Row([]), *table.rows], texts, strict=True):
        cells = []
        for place, (text, width) in enumerate(zip(line, widths, strict=True)):
            right = table.columns[place].align == "right"
            full = text.rjust(width) if right else text.ljust(width)
            if row.cells and (code := codes.get(row.cells[place].rank)):
                figure = row.cells[place].text
                full = full.replace(figure, f"{code}{figure}\x1b[0m", 1)
            cells.append(full)
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, "", *table.notes]) + "\n"


def pad_right(cell: Cell, row: Row, column: Column, pad: str) -> str:
    """The padding after a right-aligned figure that aligns all figures of a column at the point."""
    if not column.decimals or row.kind == "interval" or not cell.text:
        return ""
    _, point, decimals = cell.text.partition(".")
    return pad * (column.decimals - len(decimals) + (not point))


def to_markdown(table: Table) -> str:
    """A Markdown table as GitHub and Pandoc show it."""
    rows = [
        [column.heading.replace("|", "\\|") for column in table.columns],
        ["---:" if column.align == "right" else "---" for column in table.columns],
        *([_markdown_cell(cell, row) for cell in row.cells] for row in table.rows),
    ]
    lines = [f"**{table.title}**", "", *("| " + " | ".join(row) + " |" for row in rows), ""]
    return "\n".join([*lines, *(f"- {note}" for note in table.notes)]) + "\n"


def _markdown_cell(cell: Cell, row: Row) -> str:
    text = cell.text.replace("|", "\\|")
    if row.kind == "interval":
        return f"<sub>{text}</sub>" if text else ""
    text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text)
    mark = cell.mark.replace("*", "\\*")
    return text + (f"<sup>{mark}</sup>" if mark else "")


_TABULAR = r"""% needs \usepackage{{booktabs}}
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

_LONGTABLE = r"""\begin{{longtable}}{{{columns}}}
\caption{{{title}}}\\
\toprule
{head} \\
\midrule\endhead
{body}
\bottomrule
\end{{longtable}}
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
    "[": "{[}",
    "]": "{]}",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≥": r"$\ge$",
    "ρ": r"$\rho$",
    "²": r"\textsuperscript{2}",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}


def latex_escape(text: str) -> str:
    """Text with LaTeX's special characters escaped, in one line and without control characters.

    Brackets are set in braces: behind ``\\\\`` they would be taken for its argument.
    """
    line = " ".join(text.split())
    plain = (char for char in line if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    return "".join(_LATEX_SPECIAL.get(char, char) for char in plain)


def to_latex(table: Table) -> str:
    """A booktabs table that floats, as a paper's tables do."""
    return _latex(table, _TABULAR, table.title)


def longtable(table: Table, title: str) -> str:
    """The table in LaTeX under another title, in its place; it may break over pages."""
    made = _latex(table, _LONGTABLE, title)
    return f"{made}{{\\scriptsize {_latex_notes(table)}}}\n" if table.notes else made


def _latex(table: Table, form: str, title: str) -> str:
    """Figures with decimals are aligned at the point by a column either side of it."""
    body: list[str] = []
    for row in table.rows:
        if row.starts and body:
            body.append(r"\addlinespace")
        cells = zip(row.cells, table.columns, strict=True)
        body.append(" & ".join(_latex_cell(cell, row, column) for cell, column in cells) + r" \\")
    return form.format(
        title=latex_escape(title),
        columns="".join(map(_latex_column, table.columns)),
        head=" & ".join(map(_latex_head, table.columns)),
        body="\n".join(body),
        notes=_latex_notes(table),
    )


def _latex_notes(table: Table) -> str:
    return "\n".join(latex_escape(note) + r"\par" for note in table.notes)


def _latex_column(column: Column) -> str:
    if column.decimals:
        return "r@{}l"
    return {"words": r"p{.5\linewidth}", "left": "l", "right": "r"}[column.align]


def _latex_head(column: Column) -> str:
    """A heading; over aligned figures broken after its hyphen, so that they stay narrow."""
    heading = latex_escape(column.heading)
    if not column.decimals:
        return heading
    family, hyphen, loss = heading.partition("-")
    name = f"\\shortstack{{{family}-\\\\{loss}}}" if hyphen else family
    return f"\\multicolumn{{2}}{{c}}{{\\scriptsize {name}}}"


def _latex_cell(cell: Cell, row: Row, column: Column) -> str:
    if not column.decimals:
        return latex_escape(cell.text)
    if row.kind == "interval":
        return f"\\multicolumn{{2}}{{c}}{{\\scriptsize {latex_escape(cell.text)}}}"
    whole, point, decimals = cell.text.partition(".")
    wrap = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
    left, right = latex_escape(whole), point + decimals
    mark = f"\\textsuperscript{{{latex_escape(cell.mark)}}}" if cell.mark else ""
    return f"{wrap % left if left else ''} & {wrap % right if right else ''}{mark}"


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
    environment.filters["latex"] = latex_escape
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
    return str(plain.to_csv(index=False, lineterminator="\n"))


def to_json(table: Table) -> str:
    """Everything the table says; infinite values as strings, missing ones as null."""
    return json_text(table.records()) + "\n"
