"""What figures of opinions share: shades of scores, text in cells, the caption line."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sreval.opinions.reading import is_means
from sreval.opinions.votes import opinions, stand_ins
from sreval.report import paper
from sreval.report.sections import SIMULATED, marks_of, stand_in_note

Shade = tuple[float, float, float, float]

_MOST_LETTERS = 24


def shades(count: int) -> list[Shade]:
    """Cividis from dark to light in ``count`` steps."""
    colours = mpl.colormaps["cividis"](np.linspace(0, 1, count))
    return [(float(r), float(g), float(b), float(a)) for r, g, b, a in colours]


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    ground: Shade,
    *,
    bold: bool = False,
) -> None:
    """Text in the middle of a cell, white on dark and black on light."""
    light = 0.2126 * ground[0] + 0.7152 * ground[1] + 0.0722 * ground[2]
    axes.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=7,
        color="white" if light < 0.45 else "black",
        fontweight="bold" if bold else "normal",
    )


def short_label(method: str) -> str:
    """A method's name as a figure has room for it."""
    return textwrap.shorten(paper.label(method)[:_MOST_LETTERS], _MOST_LETTERS, placeholder="…")


def captioned(figure: Figure, votes: pd.DataFrame, text: str) -> Figure:
    """Add the line that says n and what intervals mean, and the marks of the votes."""
    counted = votes if is_means(votes) else opinions(votes)
    datasets = ", ".join(paper.sort_datasets(list(map(str, counted["dataset"].unique()))))
    images = len(counted[["dataset", "image"]].drop_duplicates())
    head = f"{datasets}: " if datasets else ""
    counts = f"n = {len(counted)} mean opinion scores, {images} images."
    if not is_means(votes):
        counts = f"n = {len(counted)} votes, {counted['rater'].nunique()} raters, {images} images."
    words = marks_of(counted)
    caption = f"{head}{counts} {text}.{' ' + SIMULATED if 'simulated' in words else ''}"
    if methods := stand_ins(counted):
        caption += f" {stand_in_note(methods)}"
    width = int(figure.get_figwidth() * 25.4 / 1.33)
    figure.supxlabel(
        textwrap.fill(caption, width), x=0.01, ha="left", fontsize=7, multialignment="left"
    )
    if words:
        figure.suptitle(
            " · ".join(words).upper(), x=0.99, ha="right", fontsize=8, fontweight="bold"
        )
    return figure
