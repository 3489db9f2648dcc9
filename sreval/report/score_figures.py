"""Scores of methods as figures: each metric image by image, and one metric against another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from sreval.errors import UsageError, counted, option, unknown_name
from sreval.metrics.metric import metric_of
from sreval.opinions.intervals import LEAST_UNITS, student_mean
from sreval.report import paper
from sreval.report.choices import WIDTHS
from sreval.report.collect import narrowed
from sreval.report.style import (
    LINE_MM,
    SMALL,
    WIDTHS_MM,
    caption_lines,
    describe,
    house_style,
    names_within,
    new_figure,
    width_of,
    with_minus,
)
from sreval.report.text import percent
from sreval.report.values import (
    by_unit,
    comparable,
    first_metric,
    gap_notes,
    infinite_notes,
    metric_name,
    name_and_unit,
    number,
    sequence_notes,
    unit_name,
    values_of,
)

MOST_METHODS = 40
"""In one figure: a row each fills a page, and their names keep apart."""

_ROW_MM = 5.0
_LEVEL = 0.95


@house_style()
def scores_figure(
    frame: pd.DataFrame,
    dataset: str | None = None,
    metric: str | None = None,
    methods: Sequence[str] = (),
    width: str = "page",
    notes: Sequence[str] = (),
) -> Figure:
    """A row a method, the best mean first: its score on every image, their mean and interval.

    The means are those of a table, over the images of ``values.comparable``, with Student's t
    intervals (95%) for new images. Of frames, the scores are the means of their sequences. What
    isn't drawn, and why, stands in the caption.

    Args:
        frame: from ``collect.select``.
        dataset: may be None where there is only one.
        metric: the scores; by default PSNR, or the first of single images that there is.
        methods: by default all.
        width: ``page``, 175 mm, or ``column``, 85 mm.
        notes: what else the caption says.

    Raises:
        UsageError: for a name that the frame doesn't hold, where no mean can be drawn, and for more
            than MOST_METHODS methods.
    """
    of_set = frame if dataset is None else frame[frame["dataset"] == dataset]
    metric = metric or first_metric(of_set)
    rows, known = _chosen(frame, dataset, [metric], methods, width)
    used, gaps = _means_over(rows, [metric], known)
    values = used[metric]
    order = values.mean().sort_values(
        ascending=metric_of(metric).higher_is_better is False, kind="stable"
    )
    drawn = [str(method) for method in order.index]
    width_mm = WIDTHS_MM[width]
    names, shortened = names_within(drawn, width_mm / 3)
    unit = unit_name(rows["image"])
    kept = counted(len(values), unit)
    interval = f" with {percent(_LEVEL)} interval (Student's t)" * (len(values) >= LEAST_UNITS)
    caption = " ".join(
        filter(None, (f"{_about(rows)}: {kept}, mean{interval}.", *gaps, shortened, *notes))
    )
    foot_mm = 16 + LINE_MM * len(caption_lines(caption, width_mm))
    figure = new_figure(width_mm, foot_mm + _ROW_MM * len(drawn))
    axes = figure.subplots()
    places = np.arange(len(drawn))
    for place, method in zip(places, drawn, strict=True):
        own = values[method].to_numpy(float)
        found = student_mean(own, _LEVEL)
        if math.isfinite(found.low):
            axes.plot([found.low, found.high], [place, place], color="black", linewidth=0.8)
        axes.plot(
            own, np.full(len(own), place), linestyle="", marker="o", markersize=4,
            color="#56B4E9", markeredgecolor="black", markeredgewidth=0.3, alpha=0.7,
            label=f"one {unit}" if place == 0 else None,
        )  # fmt: skip
        axes.plot(
            found.estimate, place, linestyle="", marker="D", markersize=4, color="black",
            label="mean" if place == 0 else None,
        )  # fmt: skip
        axes.annotate(
            with_minus(number(found.estimate, metric)), (1, place), xytext=(4, 0),
            xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=SMALL,
        )  # fmt: skip
    axes.set_yticks(places, [names[method] for method in drawn])
    axes.set_ylim(len(drawn) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(_ticks(width_mm))
    axes.set_xlabel(_directed(metric))
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, handletextpad=0.2,
        borderaxespad=0.2,
    )  # fmt: skip
    return describe(
        figure,
        f"{metric_name(metric)} of {counted(len(drawn), 'method')} on {_about(rows)}",
        caption,
    )


@house_style()
def tradeoff_figure(
    frame: pd.DataFrame,
    dataset: str | None = None,
    x: str = "psnr",
    y: str = "lpips",
    methods: Sequence[str] = (),
    width: str = "page",
    notes: Sequence[str] = (),
) -> Figure:
    """One metric against another, a point a method: the perception-distortion tradeoff.

    Blau and Michaeli 2018 (arXiv 1711.06077), section 5: methods in the plane of a distortion and a
    perceptual quality measure. Each point is a mean over the images for which every method has a
    finite value of both metrics; of a metric of whole data sets, such as FID, it is the value. A
    name stands beside its point or, where others leave no room
    there, has a line to it. What isn't drawn, and why, stands in the caption.

    Args:
        frame: from ``collect.select``.
        dataset: may be None where there is only one.
        x: the metric of the horizontal axis.
        y: that of the vertical one.
        methods: by default all.
        width: ``page``, 175 mm, or ``column``, 85 mm.
        notes: what else the caption says.

    Raises:
        UsageError: for a name that the frame doesn't hold, one metric twice, where no mean can be
            drawn, and for more than MOST_METHODS methods.
    """
    if x == y:
        raise UsageError(
            f"Both axes would be {metric_name(x)}.",
            f"Choose two metrics with {option('--x')} and {option('--y')}.",
        )
    rows, known = _chosen(frame, dataset, [x, y], methods, width)
    used, gaps = _means_over(rows, [x, y], known)
    drawn = list(map(str, used[x].columns))
    width_mm = WIDTHS_MM[width]
    names, shortened = names_within(drawn, width_mm / 3)
    single = [metric for metric in (x, y) if metric_of(metric).per == "image"]
    of_sets = [metric_name(metric) for metric in (x, y) if metric not in single]
    units = counted(len(used[single[0]]), unit_name(rows["image"])) if single else ""
    parts = [f"means over {units}"] if single else []
    parts += [f"{' and '.join(of_sets)} of all images together"] if of_sets else []
    head = f"{_about(rows)}: {'; '.join(parts)}."
    caption = " ".join(filter(None, (head, *gaps, shortened, *notes)))
    foot_mm = LINE_MM * len(caption_lines(caption, width_mm))
    figure = new_figure(width_mm, max(0.65 * width_mm, 30 + 3.5 * len(drawn)) + foot_mm)
    axes = figure.subplots()
    points = np.stack([used[metric][drawn].mean().to_numpy(float) for metric in (x, y)], axis=1)
    axes.plot(*points.T, linestyle="", marker="o", markersize=4, color="#0072B2")
    axes.xaxis.set_major_locator(_ticks(width_mm))
    axes.set_xlabel(_directed(x))
    axes.set_ylabel(_directed(y))
    describe(
        figure,
        f"{metric_name(y)} against {metric_name(x)} of {counted(len(drawn), 'method')} on "
        f"{_about(rows)}",
        caption,
    )
    _name_points(axes, points, [names[method] for method in drawn])
    return figure


def _about(rows: pd.DataFrame) -> str:
    return f"{rows['dataset'].iloc[0]}, protocol {rows['protocol'].iloc[0]}"


def _chosen(
    frame: pd.DataFrame,
    dataset: str | None,
    metrics: Sequence[str],
    methods: Sequence[str],
    width: str,
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one data set and those metrics and methods, and the methods in order."""
    if width not in WIDTHS:
        raise unknown_name("width", width, WIDTHS)
    datasets = list(map(str, frame["dataset"].unique()))
    if dataset is None and len(datasets) > 1:
        raise UsageError(
            f"The results are on {' and '.join(datasets)}.",
            f"Name one data set, too: {option('--dataset')}.",
        )
    chosen = datasets[0] if dataset is None else dataset
    if chosen not in datasets:
        raise unknown_name("data set of these results", chosen, datasets)
    rows = narrowed(frame, "dataset", [chosen])
    for metric in metrics:
        if metric not in set(rows["metric"]):
            raise unknown_name("metric of these results", metric, rows["metric"].unique())
    known = paper.sort_methods(list(rows["method"].unique()))
    for method in methods:
        if method not in known:
            raise unknown_name("method of these results", method, known)
    if methods:
        known = [method for method in known if method in methods]
        rows = narrowed(rows, "method", known)
    if len(known) > MOST_METHODS:
        raise UsageError(
            f"{len(known)} methods can't be read in one figure.",
            f"Name at most {MOST_METHODS} with {option('--method', 'methods=')}.",
        )
    return rows[rows["metric"].isin(metrics)], known


def _means_over(
    rows: pd.DataFrame, metrics: Sequence[str], methods: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Of each metric the finite values that means are over, units by methods, and notes on others.

    The units are those of ``values.by_unit``. Methods and images are the same for all metrics; one
    of whole data sets has one row. Raises UsageError where none is left.
    """
    dataset = str(rows["dataset"].iloc[0])
    asked = {metric: values_of(rows, metric, methods) for metric in metrics}
    used = {metric: comparable(values) for metric, values in asked.items()}
    notes = gap_notes(rows, methods)
    left, finite = list(methods), None
    for metric, values in used.items():
        of_set = metric_of(metric).per == "set"
        endless = [m for m in values.columns if not np.isfinite(values[m].to_numpy(float)).all()]
        if not of_set:
            notes += infinite_notes(dataset, metric, asked[metric], values)
        for method in endless if of_set else [m for m in endless if m == "hr"]:
            notes.append(
                f"{paper.label(method)} isn't drawn: its {metric_name(metric)} is infinite."
            )
        left = [m for m in left if m in values.columns and m not in endless]
        if not of_set:
            finite = (
                values.index if finite is None else finite.intersection(values.index, sort=False)
            )
    if not left or (finite is not None and finite.empty):
        names = " and ".join(map(metric_name, metrics))
        raise UsageError(
            f"No {names} of {dataset} can be drawn: {'it is' if len(metrics) == 1 else 'they are'} "
            "infinite or missing.",
            f"Draw another metric with {option('--metric' if len(metrics) == 1 else '--x')}; a "
            "table prints this one.",
        )
    drawn = {}
    for metric, values in used.items():
        of_set = metric_of(metric).per == "set"
        drawn[metric] = (values if finite is None or of_set else values.loc[finite])[left]
    notes += sequence_notes(dataset, drawn)
    return {metric: by_unit(values) for metric, values in drawn.items()}, notes


def _ticks(width_mm: int) -> MaxNLocator:
    """As few ticks as keep labels of six digits apart."""
    return MaxNLocator(width_mm // 25, steps=[1, 2, 2.5, 5, 10])


def _directed(metric: str) -> str:
    """A metric beside an axis, with its unit and, where it is known, which way is better."""
    name = name_and_unit(metric)
    better = {True: f"{name}, better →", False: f"← better, {name}", None: name}
    return better[metric_of(metric).higher_is_better]


_PAD_PX = 2.0
_RINGS_MM = (1.0, *range(2, 20, 2))
_DIRECTIONS = [
    np.array([math.cos(angle), math.sin(angle)]) for angle in np.arange(32) * math.pi / 16
]

Points = npt.NDArray[np.float64]


def _name_points(axes: Axes, points: Points, names: Sequence[str]) -> None:
    """Write each name where it lies over no other name, point or line; (N, 2) data points.

    Names take the free place that is nearest, from the topmost point down. Where one finds none,
    all stand at the right in the order of their points' heights, a line to each.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only now is known where the axes are
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    mm = figure.dpi / 25.4
    sizes = [np.array([width_of(name), LINE_MM]) * mm for name in names]
    places = axes.transData.transform(points)
    found = _free_places(places, sizes, mm, axes.get_window_extent().padded(-_PAD_PX))
    for index, (corner, line) in enumerate(found or ()):
        offset = (corner - places[index]) * 72 / figure.dpi
        axes.annotate(
            names[index], points[index], xytext=tuple(offset), textcoords="offset points",
            va="center", ha="left", fontsize=SMALL,
        ).set_in_layout(False)  # fmt: skip
        if len(line):
            ends = axes.transData.inverted().transform(line[[0, -1]])
            axes.plot(*ends.T, color="0.6", linewidth=0.5, zorder=1)
    if found is None:
        down = sorted(range(len(names)), key=lambda i: (-places[i][1], places[i][0], i))
        for rank, index in enumerate(down):
            axes.annotate(
                names[index], points[index], xytext=(1.03, 1 - (rank + 0.5) / len(names)),
                textcoords="axes fraction", va="center", ha="left", fontsize=SMALL,
                arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.4, "shrinkA": 1,
                            "shrinkB": 0, "relpos": (0, 0.5), "zorder": 1},
            )  # fmt: skip


def _free_places(
    places: Points, sizes: Sequence[Points], mm: float, frame: Bbox
) -> list[tuple[Points, Points]] | None:
    """Of each name the middle of its left side, and points on a line to it; all in pixels.

    None where a name finds no place.
    """
    dots = [Bbox.from_extents(*(place - 1.1 * mm), *(place + 1.1 * mm)) for place in places]
    taken: list[Bbox] = []
    lines = np.empty((0, 2))
    found: dict[int, tuple[Points, Points]] = {}
    for index in sorted(range(len(places)), key=lambda i: (-places[i][1], places[i][0], i)):
        place, size = places[index], sizes[index]
        others = [dot for dot in dots if not dot.contains(*place)]
        for ring, direction in itertools.product(_RINGS_MM, _DIRECTIONS):
            edge = place + direction * (1.0 + ring) * mm
            centre = edge + direction * size / 2
            box = Bbox.from_extents(*(centre - size / 2), *(centre + size / 2)).padded(_PAD_PX)
            inside = np.all(box.min >= frame.min) and np.all(box.max <= frame.max)
            if not inside or box.count_overlaps([*taken, *dots]) or _any_within(lines, box):
                continue
            line = np.linspace(place, edge, 2 + int(ring * 3)) if ring > 1 else np.empty((0, 2))
            if any(_any_within(line, other) for other in [*taken, *others]):
                continue
            found[index] = centre - size * (0.5, 0), line
            taken.append(box)
            lines = np.concatenate([lines, line])
            break
        else:
            return None
    return [found[index] for index in range(len(places))]


def _any_within(points: Points, box: Bbox) -> bool:
    """Whether any of the (N, 2) points is in the box."""
    inside = (points >= box.min) & (points <= box.max)
    return bool(inside.all(axis=1).any())
