"""A page of results: the tables of every protocol, and figures for every data set."""

from __future__ import annotations

import pandas as pd

from sreval.report import paper
from sreval.report.cells import NAMES
from sreval.report.collect import select
from sreval.report.figures import comparison_figure, scores_figure
from sreval.report.pages import render_page
from sreval.report.render import html_table
from sreval.report.style import figure_svg
from sreval.report.tables import build_table


def results_page(frame: pd.DataFrame, title: str) -> str:
    """A self-contained HTML page of the rows that ``collect`` returned.

    Raises DataError when an image of the results is no longer there.
    """
    names = list(dict.fromkeys(frame["protocol"]))
    tables = [html_table(build_table(select(frame, name, None))) for name in names]
    shown = select(frame, None, None)
    figures = []
    for dataset in paper.sort_datasets(list(shown["dataset"].unique())):
        rows = shown[shown["dataset"] == dataset]
        for image in _telling_images(rows):
            figures.append(
                {
                    "image": figure_svg(comparison_figure(shown, dataset, image)),
                    "caption": f"{dataset}/{image}: the framed region under every method, pixels "
                    f"enlarged by repetition; PSNR / SSIM of the whole image, protocol "
                    f"{rows['protocol'].iloc[0]}.",
                }
            )
        for metric in dict.fromkeys(rows["metric"]):
            figures.append(
                {
                    "image": figure_svg(scores_figure(shown, dataset, metric)),
                    "caption": f"{NAMES[metric]} of every image of {dataset}, one mark per method; "
                    "single values, no interval.",
                }
            )
    return render_page("table.html", title=title, tables=tables, figures=figures)


def _telling_images(rows: pd.DataFrame) -> list[str]:
    """Two images: those on which the methods' PSNR lies furthest apart."""
    wide = rows[rows["metric"] == "psnr"].pivot(index="image", columns="method", values="value")
    wide = wide.drop(columns="hr", errors="ignore")
    spread = (wide.max(axis=1) - wide.min(axis=1)).sort_values(ascending=False, kind="stable")
    return [str(image) for image in spread.index[:2]]
