"""The figure of ``sreval metrics-study``: every metric in every respect, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sreval.errors import UsageError, counted
from sreval.report.style import (
    LINE_MM,
    MOST_MM,
    PAGE_MM,
    describe,
    house_style,
    look,
    new_figure,
    shortened,
    wrapped,
    write_caption,
)
from sreval.report.text import percent
from sreval.report.values import metric_name

_COLUMNS = 3
_PANEL_MM = PAGE_MM / _COLUMNS
_NAME_MM = 20
_MOST_STUDIES = 13


@house_style()
def metrics_study_figure(frame: pd.DataFrame, level: float, marks: Sequence[str] = ()) -> Figure:
    """A panel for each question and class of methods, a row for each metric.

    ``frame`` is that of ``report.metrics_study``'s first table. Where a page has no room for
    every study, only the rows over all studies are drawn. Raises UsageError where these don't fit
    either.
    """
    rows = frame[(frame["statistic"] == "accuracy") | (frame["question"] == "across scenes")]
    if _size(rows) > MOST_MM or rows["study"].nunique() > _MOST_STUDIES:
        rows = rows[rows["combined"]]
    studies = list(dict.fromkeys(rows["study"]))
    metrics = list(dict.fromkeys(rows["metric"]))
    panels = [own for _, own in rows.groupby(["question", "methods"], sort=False)]
    lines = math.ceil(len(panels) / _COLUMNS)
    size = _size(rows)
    if rows.empty or size > MOST_MM:
        raise UsageError(
            f"{counted(len(panels), 'panel')} of {counted(len(metrics), 'metric')} don't fit on a "
            "page.",
            "Compare fewer metrics, classes or studies at a time.",
        )
    figure = new_figure(PAGE_MM, size)
    grid = figure.subplots(lines, _COLUMNS, squeeze=False, sharey=True)
    for axes, own in zip(grid.flat, panels, strict=False):
        _panel(axes, own, studies, metrics)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    if len(studies) > 1:
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", frameon=False, ncols=_COLUMNS)
    write_caption(
        figure,
        "Within a scene: the share of pairs of versions in the order of the raters. Across scenes: "
        f"SROCC. Bars: {percent(level)} intervals about new scenes; none where there are too few. "
        "Dashed: chance." + (f" {' · '.join(marks).upper()}." if marks else ""),
    )
    return describe(figure, "Metrics study: which metric to trust where")


def _size(rows: pd.DataFrame) -> float:
    """The height of the figure, in mm."""
    studies, metrics = rows["study"].nunique(), rows["metric"].nunique()
    lines = math.ceil(len(rows[["question", "methods"]].drop_duplicates()) / _COLUMNS)
    return lines * (15 + max(5.0, 2.4 * studies) * metrics) + 14 + LINE_MM * (studies // 3 + 2)


def _panel(axes: Axes, own: pd.DataFrame, studies: Sequence[str], metrics: Sequence[str]) -> None:
    first = own.iloc[0]
    across = first["statistic"] == "srocc"
    for index, study in enumerate(studies):
        rows = own[own["study"] == study].set_index("metric").reindex(list(metrics))
        shift = (index - (len(studies) - 1) / 2) * 0.7 / len(studies)
        value = rows["estimate"].to_numpy(dtype=np.float64)
        low, high = (rows[side].to_numpy(dtype=np.float64) for side in ("low", "high"))
        reach = np.nan_to_num(np.stack([value - low, high - value])).clip(min=0)
        axes.errorbar(
            value, np.arange(len(metrics)) + shift, xerr=reach, linestyle="", markersize=3.5,
            elinewidth=0.8, label=shortened(study, _PANEL_MM), **look(index),
        )  # fmt: skip
    axes.axvline(first["chance"], color="#888888", linewidth=0.6, linestyle="--")
    axes.set_xlim((-1.05, 1.05) if across else (-0.03, 1.03))
    axes.set_xlabel("SROCC" if across else "share of pairs in order")
    names = [shortened(metric_name(metric), _NAME_MM) for metric in metrics]
    axes.set_yticks(np.arange(len(metrics)), names)
    axes.set_ylim(len(metrics) - 0.5, -0.5)
    title = f"{first['question'].capitalize()}: {first['methods']}"
    axes.set_title("\n".join(wrapped(title, _PANEL_MM - _NAME_MM)), loc="left", fontsize=8)
