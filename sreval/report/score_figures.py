"""Scores of methods as figures: each metric image by image, and one metric against another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from sreval.errors import UsageError, counted, listed, not_in_results, option, unknown_name
from sreval.frames import unit_name, unit_of
from sreval.metrics.metric import metric_of
from sreval.opinions.intervals import LEAST_UNITS, student_mean
from sreval.report import paper
from sreval.report.choices import WIDTHS, Size
from sreval.report.collect import narrowed
from sreval.report.costs import Sizes
from sreval.report.style import (
    LINE_MM,
    MARKERS,
    SMALL,
    WIDTHS_MM,
    caption_lines,
    describe,
    house_style,
    look,
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
    sequences_of,
    values_of,
)

MOST_METHODS = 40
"""In one figure: a row each fills a page, and their names keep apart."""

MOST_LINES = len(MARKERS)
"""Methods over the frames of one sequence: each has a marker of its own."""

MOST_RATIO = 50.0
"""Between the areas of two markers that both can be seen."""

_POINT_MM = 25.4 / 72
_LEAST_MM = 4 * _POINT_MM
"""The diameter of a marker without a size."""

_MOST_MM = {"page": 7.0, "column": 5.0}
"""The diameter of the largest marker."""

_POINT: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 4, "color": "#0072B2"}
_BUBBLE: dict[str, Any] = {"facecolor": "#0072B2A0", "edgecolor": "white", "linewidth": 0.7}

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
    intervals (95%) for new images. Of frames, the scores are the means of their sequences; of one
    sequence, named as a table names it, they are a line a method over its frames. What isn't drawn,
    and why, stands in the caption.

    Args:
        frame: from ``collect.select``.
        dataset: may be None where there is only one; or a sequence of frames.
        metric: the scores; by default PSNR, or the first of single images that there is.
        methods: by default all.
        width: ``page``, 175 mm, or ``column``, 85 mm.
        notes: what else the caption says.

    Raises:
        UsageError: for a name that the frame doesn't hold, where no mean can be drawn, and for more
            than MOST_METHODS methods, of a sequence MOST_LINES.
    """
    sequence = sequences_of(frame).get(dataset or "")
    if sequence and dataset not in set(frame["dataset"]):
        return _frames_figure(frame, *sequence, metric, methods, width, notes)
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


def _frames_figure(
    frame: pd.DataFrame,
    dataset: str,
    sequence: str,
    metric: str | None,
    methods: Sequence[str],
    width: str,
    notes: Sequence[str],
) -> Figure:
    """The scores of one sequence over its frames, a line a method, the best mean first."""
    own = frame[(frame["dataset"] == dataset) & (frame["image"].map(unit_of) == sequence)]
    metric = metric or first_metric(own)
    rows, known = _chosen(own, dataset, [metric], methods, width)
    if len(known) > MOST_LINES:
        raise UsageError(
            f"{len(known)} lines can't be told apart in one figure.",
            f"Name at most {MOST_LINES} methods with {option('--method', 'methods=')}.",
        )
    rows = rows.assign(dataset=f"{dataset}/{sequence}")
    used, gaps = _finite(rows, [metric], known)
    values = used[metric]
    means = values.mean().sort_values(
        ascending=metric_of(metric).higher_is_better is False, kind="stable"
    )
    drawn, width_mm = [str(method) for method in means.index], WIDTHS_MM[width]
    across = min(len(drawn), width_mm // 42)
    names, shortened = names_within(drawn, width_mm / across - 20)
    head = f"{_about(rows)}: {counted(len(values), 'frame')} in their order, mean beside the name."
    caption = " ".join(filter(None, (head, *gaps, shortened, *notes)))
    foot_mm = LINE_MM * len(caption_lines(caption, width_mm))
    legend_mm = 1.6 * LINE_MM * -(-len(drawn) // across)
    figure = new_figure(width_mm, 0.45 * width_mm + 12 + legend_mm + foot_mm)
    axes = figure.subplots()
    labels = [str(image).removeprefix(f"{sequence}/") for image in values.index]
    by_number = all(map(str.isdecimal, labels))
    places = list(map(int, labels)) if by_number else list(range(1, len(labels) + 1))
    for index, method in enumerate(drawn):
        axes.plot(
            places, values[method].to_numpy(float), **look(index), markersize=3, linewidth=0.8,
            markevery=max(1, len(places) // 20),
            label=f"{names[method]} {with_minus(number(means[method], metric))}",
        )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(width_mm // 25, integer=True))
    axes.set_xlabel("frame" if by_number else "frame, counted in their order")
    axes.set_ylabel(_directed(metric))
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=across, frameon=False, fontsize=SMALL,
        borderaxespad=0.2, columnspacing=1.5,
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
    sizes: Sizes | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """One metric against another, a point a method: the perception-distortion tradeoff.

    Blau and Michaeli 2018 (arXiv 1711.06077), section 5: methods in the plane of a distortion and a
    perceptual quality measure. Each point is a mean over the images for which every method has a
    finite value of both metrics; of a metric of whole data sets, such as FID, it is the value. A
    name stands beside its point or, where others leave no room there, has a line to it. What isn't
    drawn, and why, stands in the caption.

    With ``sizes`` the area of a marker shows what its method costs: proportional to the cost or,
    where the highest is more than MOST_RATIO times the lowest, growing by the same step with each
    power of ten, which the caption says. A method without a known cost is a hollow marker.

    Args:
        frame: from ``collect.select``.
        dataset: may be None where there is only one.
        x: the metric of the horizontal axis.
        y: that of the vertical one.
        methods: by default all.
        width: ``page``, 175 mm, or ``column``, 85 mm.
        sizes: what each method costs.
        notes: what else the caption says.

    Raises:
        UsageError: for a name that the frame doesn't hold, one metric twice, where no mean can be
            drawn, for sizes of none of the methods, and for more than MOST_METHODS methods.
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
    areas = None if sizes is None else _areas(sizes, drawn, width)
    of_areas = (
        [sizes.about, sizes.left_out_note(drawn), *areas.notes(drawn)] if sizes and areas else []
    )
    caption = " ".join(filter(None, (head, *of_areas, *gaps, shortened, *notes)))
    foot_mm = LINE_MM * len(caption_lines(caption, width_mm))
    legend_mm = areas.largest + 2 * LINE_MM if areas else 0.0
    height_mm = max(0.65 * width_mm, 30 + 3.5 * len(drawn)) + legend_mm + foot_mm
    figure = new_figure(width_mm, height_mm)
    axes = figure.subplots()
    points = np.stack([used[metric][drawn].mean().to_numpy(float) for metric in (x, y)], axis=1)
    if areas is None:
        axes.plot(*points.T, **_POINT)
        radii = np.full(len(drawn), _LEAST_MM / 2)
    else:
        radii = areas.draw(axes, points, drawn, width_mm)
    axes.xaxis.set_major_locator(_ticks(width_mm))
    axes.set_xlabel(_directed(x))
    axes.set_ylabel(_directed(y))
    describe(
        figure,
        f"{metric_name(y)} against {metric_name(x)} of {counted(len(drawn), 'method')} on "
        f"{_about(rows)}",
        caption,
    )
    _name_points(axes, points, [names[method] for method in drawn], radii)
    return figure


@dataclass(frozen=True)
class _Areas:
    """The areas of markers: ``largest`` is the diameter of the highest cost's, in mm."""

    size: Size
    costs: Mapping[str, float]
    largest: float

    @property
    def least(self) -> float:
        return min(self.costs.values())

    @property
    def most(self) -> float:
        return max(self.costs.values())

    @property
    def by_powers(self) -> bool:
        """Whether the area grows with each power of ten, for costs that lie far apart."""
        return self.most > MOST_RATIO * self.least

    def diameter(self, cost: float) -> float:
        """The diameter of a marker in mm."""
        share = cost / self.most
        if self.by_powers:
            least = (_LEAST_MM / self.largest) ** 2
            share = least + (1 - least) * math.log(cost / self.least, self.most / self.least)
        return self.largest * math.sqrt(share)

    def notes(self, methods: Sequence[str]) -> list[str]:
        """What the caption says of the areas, and of methods without any."""
        said = ["It grows by the same step with each power of ten."] if self.by_powers else []
        hollow = [paper.label(method) for method in methods if method not in self.costs]
        return said + (
            [f"Hollow markers: no cost, or none known ({listed(hollow)})."] if hollow else []
        )

    def draw(self, axes: Axes, points: Points, methods: Sequence[str], width_mm: float) -> Radii:
        """Draw the markers and what their areas mean; their radii in mm."""
        axes.margins(0.05 + self.largest / width_mm)  # none is cut off
        known = np.array([method in self.costs for method in methods])
        mm = np.array([self.diameter(self.costs.get(method, self.least)) for method in methods])
        mm[~known] = _LEAST_MM
        axes.plot(*points[~known].T, markerfacecolor="white", **_POINT)
        down = [index for index in np.argsort(-mm, kind="stable") if known[index]]
        axes.scatter(points[down, 0], points[down, 1], s=(mm[down] / _POINT_MM) ** 2, **_BUBBLE)
        shown = _round_costs(self.least, self.most)
        widest = max(map(self.diameter, shown)) / _POINT_MM / SMALL
        axes.legend(
            [axes.scatter([], [], s=(self.diameter(c) / _POINT_MM) ** 2, **_BUBBLE) for c in shown],
            [_amount(cost, self.size) for cost in shown],
            title=self.size, title_fontsize=SMALL, alignment="left", loc="lower left",
            bbox_to_anchor=(0, 1), ncols=len(shown), frameon=False, borderaxespad=0.2,
            handlelength=widest, handletextpad=0.4, columnspacing=1.5, labelspacing=widest / 2,
            borderpad=widest / 2, scatterpoints=1, scatteryoffsets=[0.5],
        )  # fmt: skip
        return mm / 2


def _areas(sizes: Sizes, methods: Sequence[str], width: str) -> _Areas:
    """The areas of these methods' markers. Raises UsageError where none has a known cost."""
    costs = {method: sizes.values[method] for method in methods if method in sizes.values}
    if not costs:
        more = [paper.label(method) for method in methods if method in sizes.unmeasured]
        measured = f", or measure {listed(more)} with `sreval cost` as scored here" if more else ""
        verb = "isn't" if sizes.size == "memory" else "aren't"
        named = listed(list(map(paper.label, methods)))
        raise UsageError(
            f"The {sizes.size} of {named} {verb} known. {sizes.left_out_note(methods)}",
            f"Leave {option('--size')} out{measured}.",
        )
    return _Areas(sizes.size, costs, _MOST_MM[width])


def _round_costs(least: float, most: float) -> list[float]:
    """Up to three round numbers from ``least`` to ``most``; without two these, to two digits."""
    powers = range(math.floor(math.log10(least)), math.floor(math.log10(most)) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    found = [cost for cost in found if least <= cost <= most]
    if len(found) < 2:
        return sorted({float(f"{cost:.2g}") for cost in (least, most)})
    return sorted({found[0], found[len(found) // 2], found[-1]})


def _amount(cost: float, size: Size) -> str:
    """A cost in its unit, with a prefix but for seconds."""
    if size == "seconds":
        return f"{float(f'{cost:.3g}'):,g} s"
    power = max(0, min(4, math.floor(math.log10(cost)) // 3))
    return f"{cost / 1000**power:.3g} {' kMGT'[power].strip()}{'B' * (size == 'memory')}".strip()


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
    if not (isinstance(width, str) and width in WIDTHS):
        raise unknown_name("width", width, WIDTHS)
    datasets = list(map(str, frame["dataset"].unique()))
    if dataset is None and len(datasets) > 1:
        raise UsageError(
            f"The results are on {' and '.join(datasets)}.",
            f"Name one data set, too: {option('--dataset')}.",
        )
    chosen = datasets[0] if dataset is None else dataset
    if chosen not in datasets:
        raise not_in_results("data set", chosen, datasets)
    rows = narrowed(frame, "dataset", [chosen])
    for metric in metrics:
        if metric not in set(rows["metric"]):
            raise not_in_results("metric", metric, rows["metric"].unique())
    known = paper.sort_methods(list(rows["method"].unique()))
    for method in methods:
        if method not in known:
            raise not_in_results("method", method, known)
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

    The units are those of ``values.by_unit``; see ``_finite``.
    """
    drawn, notes = _finite(rows, metrics, methods)
    asked = {metric: values_of(rows, metric, methods) for metric in metrics}
    notes += sequence_notes(str(rows["dataset"].iloc[0]), drawn, asked)
    return {metric: by_unit(values) for metric, values in drawn.items()}, notes


def _finite(
    rows: pd.DataFrame, metrics: Sequence[str], methods: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Of each metric the finite values, images by methods, and notes on others.

    Methods and images are the same for all metrics; one of whole data sets has one row. Raises
    UsageError where none is left.
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
    return drawn, notes


def _ticks(width_mm: int) -> MaxNLocator:
    """As few ticks as keep labels of six digits apart."""
    return MaxNLocator(width_mm // 25, steps=[1, 2, 2.5, 5, 10])


def _directed(metric: str) -> str:
    """A metric beside an axis, with its unit and, where it is known, which way is better."""
    name = name_and_unit(metric)
    better = {True: f"{name}, better →", False: f"← better, {name}", None: name}
    return better[metric_of(metric).higher_is_better]


_LEADER, _ABOVE = "0.35", 4
"""The colour of a line from a name to its marker, and its place above the markers."""

_PAD_PX = 2.0
_CLEAR_MM = 0.8
"""By how much a name without a line is nearer to its own marker than to any other."""

_RINGS_MM = (1.0, *range(2, 20, 2), *range(20, 45, 4))
_DIRECTIONS = [
    np.array([math.cos(angle), math.sin(angle)]) for angle in np.arange(32) * math.pi / 16
]

Points = npt.NDArray[np.float64]
Radii = npt.NDArray[np.float64]


def _name_points(axes: Axes, points: Points, names: Sequence[str], radii: Radii) -> None:
    """Write each name where it lies over no other name, point or line; (N, 2) data points.

    ``radii`` are the points' in mm, (N,).
    Names take the free place that is nearest, from the topmost point down; one that would stand
    nearer to another's marker than to its own has a line. Where one finds no place,
    all stand at the right in the order of their points' heights, a line to each. A line lies above
    all markers and ends in the middle of its own, with a dot where that is large, at the edge of
    a small one.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only now is known where the axes are
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    mm = figure.dpi / 25.4
    sizes = [np.array([width_of(name), LINE_MM]) * mm for name in names]
    places = axes.transData.transform(points)
    large = radii > 0.55 * _LEAST_MM
    found = _free_places(places, sizes, radii, mm, axes.get_window_extent().padded(-_PAD_PX))
    for index, (corner, line) in enumerate(found or ()):
        offset = (corner - places[index]) * 72 / figure.dpi
        axes.annotate(
            names[index], points[index], xytext=tuple(offset), textcoords="offset points",
            va="center", ha="left", fontsize=SMALL,
        ).set_in_layout(False)  # fmt: skip
        if len(line):
            ends = axes.transData.inverted().transform(line[[0, -1]])
            axes.plot(*ends.T, color=_LEADER, linewidth=0.5, zorder=_ABOVE)
    if found is None:
        down = sorted(range(len(names)), key=lambda i: (-places[i][1], places[i][0], i))
        for rank, index in enumerate(down):
            axes.annotate(
                names[index], points[index], xytext=(1.03, 1 - (rank + 0.5) / len(names)),
                textcoords="axes fraction", va="center", ha="left", fontsize=SMALL,
                arrowprops={"arrowstyle": "-", "color": _LEADER, "linewidth": 0.4, "shrinkA": 1,
                            "shrinkB": 0 if large[index] else radii[index] / _POINT_MM,
                            "relpos": (0, 0.5), "zorder": _ABOVE},
            )  # fmt: skip
    led = [i for i in np.flatnonzero(large) if found is None or len(found[i][1])]
    axes.plot(*points[led].T, linestyle="", marker=".", markersize=2, color="black", zorder=_ABOVE)


def _free_places(
    places: Points, sizes: Sequence[Points], radii: Radii, mm: float, frame: Bbox
) -> list[tuple[Points, Points]] | None:
    """Of each name the middle of its left side, and points on a line to it; all in pixels.

    None where a name finds no place.
    """
    halves = (radii + 0.4) * mm
    dots = [
        Bbox.from_extents(*(place - half), *(place + half))
        for place, half in zip(places, halves, strict=True)
    ]
    taken: list[Bbox] = []
    lines = np.empty((0, 2))
    found: dict[int, tuple[Points, Points]] = {}
    for index in sorted(range(len(places)), key=lambda i: (-places[i][1], places[i][0], i)):
        place, size = places[index], sizes[index]
        others = [dot for dot in dots if not dot.contains(*place)]
        for ring, direction in itertools.product(_RINGS_MM, _DIRECTIONS):
            edge = place + direction * (radii[index] + 0.3 + ring) * mm
            centre = edge + direction * size / 2
            box = Bbox.from_extents(*(centre - size / 2), *(centre + size / 2)).padded(_PAD_PX)
            inside = np.all(box.min >= frame.min) and np.all(box.max <= frame.max)
            if not inside or box.count_overlaps([*taken, *dots]) or _any_within(lines, box):
                continue
            start = place if radii[index] > 0.55 * _LEAST_MM else place + direction * halves[index]
            line = np.linspace(start, edge, 2 + int(ring * 3)) if ring > 1 else np.empty((0, 2))
            if not len(line):
                gaps = _distances(places, box) - radii * mm
                if gaps[index] + _CLEAR_MM * mm > np.delete(gaps, index).min(initial=np.inf):
                    continue  # without a line it would be read as the name of another
            if any(_any_within(line, other) for other in [*taken, *others]):
                continue
            found[index] = centre - size * (0.5, 0), line
            taken.append(box)
            lines = np.concatenate([lines, line])
            break
        else:
            return None
    return [found[index] for index in range(len(places))]


def _distances(points: Points, box: Bbox) -> Points:
    """How far each of the (N, 2) points is from the box, (N,)."""
    beyond = np.maximum(0, np.maximum(box.min - points, points - box.max))
    gaps: Points = np.sqrt((beyond**2).sum(axis=1))
    return gaps


def _any_within(points: Points, box: Bbox) -> bool:
    """Whether any of the (N, 2) points is in the box."""
    inside = (points >= box.min) & (points <= box.max)
    return bool(inside.all(axis=1).any())
