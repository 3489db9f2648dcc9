"""A page of results: what it shows, one comparison of images, one table, and where to go on."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from sreval.report.cells import Table
from sreval.report.pages import render_page
from sreval.report.render import html_table
from sreval.report.style import figure_svg


def results_page(
    title: str,
    lead: Sequence[str],
    figure: Figure,
    caption: str,
    table: Table,
    commands: Sequence[tuple[str, str]] = (),
) -> str:
    """A self-contained HTML page: ``lead`` in paragraphs, the figure, the table.

    ``commands`` are pairs of what a command does and the command itself.
    """
    return render_page(
        "table.html",
        title=title,
        lead=lead,
        figures=[{"image": figure_svg(figure), "caption": caption}],
        tables=[html_table(table)],
        commands=commands,
    )
