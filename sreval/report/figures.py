"""Figures from results: a region under every method, scores by image, the course of training."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from sreval.errors import DataError, UsageError, option, unknown_name
from sreval.images.arrays import as_colour
from sreval.images.folders import one_name
from sreval.metrics.metric import METRICS, metric_of
from sreval.reading import read_json
from sreval.report import paper
from sreval.report.collect import hr_image, narrowed, scored, sr_image
from sreval.report.style import PAGE_MM, look, new_figure
from sreval.report.values import common_names, metric_name, name_and_unit, number, values_of
from sreval.training.recipe import Recipe, first_difference

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A rectangle in HR pixels, from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: UInt8) -> UInt8:
        """That part of an image."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def parse_region(text: str) -> Region:
    """``X,Y,WIDTH,HEIGHT`` in HR pixels. Raises UsageError."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"Can't read the region {text!r}.", "Write X,Y,WIDTH,HEIGHT.") from None
    if min(x, y) < 0 or min(width, height) < 4:
        raise UsageError(
            f"The region {text} is empty or outside.", "Give at least 4 pixels per side."
        )
    return Region(x, y, width, height)


def comparison_figure(
    frame: pd.DataFrame,
    dataset: str | None,
    image: str,
    methods: Sequence[str] | None = None,
    region: str = "",
) -> Figure:
    """One region of one image under every method, like the paper's figure 2.

    At the left the HR image with the region framed; then the region under each method, its
    pixels enlarged by repetition, PSNR and SSIM of the whole image below. ``region`` is
    ``X,Y,WIDTH,HEIGHT``; without one it is where the first method errs most. ``frame`` comes from
    ``collect.select``.
    ``image`` is its name in the results or, in a public set, its common name, such as butterfly;
    ``dataset`` may be None where one data set alone has such an image.
    Raises UsageError for an image, method or region that isn't there, DataError where the HR
    image is no longer there or every method failed on it.
    """
    asked = parse_region(region) if region else None
    dataset, image = _found(frame, dataset, image)
    rows = narrowed(_of_dataset(frame, dataset), "image", [image])
    names = paper.sort_methods(list(rows["method"].unique()))
    for method in methods or ():
        if method not in names:
            raise unknown_name("method of these results", method, names)
    rows = narrowed(rows, "method", methods or names)
    chosen = [name for name in names if name != "hr" and (not methods or name in methods)]
    made = scored(rows)
    if made.empty:
        raise DataError(
            f"{dataset}/{image} failed under every method: {rows['note'].iloc[0]}",
            f"Choose another image with {option('--image')}.",
        )
    hr = hr_image(made.iloc[0])
    images = {
        method: sr_image(made[made["method"] == method].iloc[0])
        for method in chosen
        if method in set(made["method"])
    }
    shown = asked or _worst_region(hr, next(iter(images.values()), hr))
    if shown.x + shown.width > hr.shape[1] or shown.y + shown.height > hr.shape[0]:
        raise UsageError(
            f"The region {region} reaches beyond {dataset}/{image}, "
            f"{hr.shape[1]}x{hr.shape[0]} pixels.",
            "Choose one inside it.",
        )
    panels = [
        (_caption(rows, method), shown.cut(images[method]) if method in images else None)
        for method in chosen
    ]
    return _draw_comparison(hr, shown, [*panels, ("HR\n", shown.cut(hr))])


def _draw_comparison(hr: UInt8, region: Region, panels: list[tuple[str, UInt8 | None]]) -> Figure:
    lines = math.ceil(len(panels) / _MOST_A_LINE)
    columns = math.ceil(len(panels) / lines)
    whole_mm = 0.36 * PAGE_MM
    side_mm = (PAGE_MM - whole_mm) / columns - _GAP_MM
    line_mm = side_mm * region.height / region.width + _CAPTION_MM
    whole_height_mm = whole_mm * hr.shape[0] / hr.shape[1]
    figure = new_figure(PAGE_MM, max(lines * line_mm, whole_height_mm))
    # Captions are wider than small panels: a layout that makes room for them would shrink these.
    figure.set_layout_engine("none")
    axes = _axes_at(figure, 0, 0, whole_mm, whole_height_mm)
    _show(axes, hr)
    # White around black stands out on any picture.
    for colour, thickness in (("white", 2.4), ("black", 1.0)):
        axes.add_patch(
            Rectangle(
                (region.x, region.y),
                region.width,
                region.height,
                fill=False,
                edgecolor=colour,
                linewidth=thickness,
            )
        )
    for index, (caption, part) in enumerate(panels):
        line, place = divmod(index, columns)
        left_mm = whole_mm + _GAP_MM + place * (side_mm + _GAP_MM)
        axes = _axes_at(figure, left_mm, line * line_mm, side_mm, line_mm - _CAPTION_MM)
        axes.axis("off")
        if part is not None:
            _show(axes, part.repeat(_ENLARGE, 0).repeat(_ENLARGE, 1))
        axes.text(0.5, -0.03, caption, transform=axes.transAxes, ha="center", va="top")
    return figure


def _axes_at(
    figure: Figure, left_mm: float, top_mm: float, width_mm: float, height_mm: float
) -> Axes:
    """Axes of that size, so far from the left and upper edge of the figure."""
    whole_width, whole_height = figure.get_size_inches() * 25.4
    bottom_mm = whole_height - top_mm - height_mm
    return figure.add_axes(
        (
            left_mm / whole_width,
            bottom_mm / whole_height,
            width_mm / whole_width,
            height_mm / whole_height,
        )
    )


_MOST_A_LINE = 4
_GAP_MM, _CAPTION_MM = 2.0, 9.0
_ENLARGE = 8


def _show(axes: Axes, image: UInt8) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.axis("off")


def _caption(rows: pd.DataFrame, method: str) -> str:
    values = rows[rows["method"] == method].set_index("metric")["value"].dropna()
    shown = [
        f"{number(values[metric], metric)} {metric_of(metric).unit}".rstrip()
        for metric in ("psnr", "ssim")
        if metric in values
    ]
    return f"{paper.label(method)}\n{' / '.join(shown) or 'no result'}"


def _found(frame: pd.DataFrame, dataset: str | None, image: str) -> tuple[str, str]:
    """The data set and the name in the results of an image that a user named."""
    datasets = [dataset] if dataset is not None else list(dict.fromkeys(frame["dataset"]))
    names = {one: _names_of(_of_dataset(frame, one)) for one in datasets}
    wanted = one_name(image)
    found = [(one, known[wanted]) for one, known in names.items() if wanted in known]
    if len(found) > 1:
        raise UsageError(
            f"{image} is in {' and '.join(one for one, _ in found)}.", "Name one data set, too."
        )
    if not found:
        where = f"image of {dataset} in these results" if dataset else "image of these results"
        raise unknown_name(where, image, {name for known in names.values() for name in known})
    return found[0]


def _names_of(rows: pd.DataFrame) -> dict[str, str]:
    """The images of one data set by every name they go by, in the form of ``one_name``."""
    common = {one_name(name): image for image, name in common_names(rows).items()}
    return common | {one_name(image): image for image in rows["image"].unique()}


def _only_dataset(frame: pd.DataFrame) -> str:
    datasets = list(map(str, frame["dataset"].unique()))
    if len(datasets) > 1:
        raise UsageError(f"The results are on {' and '.join(datasets)}.", "Name one data set, too.")
    return datasets[0]


def _of_dataset(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    if dataset not in set(frame["dataset"]):
        raise unknown_name("data set of these results", dataset, frame["dataset"].unique())
    return narrowed(frame, "dataset", [dataset])


def _worst_region(hr: UInt8, sr: UInt8) -> Region:
    """The square, a fifth of the shorter side, in which two images differ most."""
    side = max(8, min(hr.shape[:2]) // 5)
    error = np.abs(as_colour(hr).astype(np.int64) - as_colour(sr)).sum(axis=2)
    sums = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    y, x = np.unravel_index(int(boxes.argmax()), boxes.shape)
    return Region(int(x), int(y), side, side)


_NAMED_IMAGES = 20


def scores_figure(frame: pd.DataFrame, dataset: str | None, metric: str) -> Figure:
    """Every image's score under every method, images sorted by the first method's score.

    ``dataset`` may be None where there is only one. What can't be drawn, infinite values and
    methods without a result, is named below. ``frame`` comes from ``collect.select``. Raises
    UsageError for what it doesn't hold, and where no value can be drawn.
    """
    if metric not in set(frame["metric"]):
        raise unknown_name("metric of these results", metric, frame["metric"].unique())
    if dataset is None:
        dataset = _only_dataset(frame)
    rows = narrowed(_of_dataset(frame, dataset), "metric", [metric])
    asked = values_of(rows, metric, paper.sort_methods(list(rows["method"].unique())))
    wide = asked.replace(np.inf, np.nan)
    methods = [method for method in wide.columns if wide[method].notna().any()]
    if not methods:
        raise UsageError(
            f"No {metric_name(metric)} of {dataset} can be drawn: it is infinite or missing for "
            "every image.",
            f"Draw another metric with {option('--metric')}; a table prints this one.",
        )
    wide = wide.sort_values(methods[0])
    figure = new_figure(PAGE_MM, 75)
    axes = figure.subplots()
    places = np.arange(len(wide))
    for index, method in enumerate(methods):
        axes.plot(places, wide[method], linestyle="", markersize=3.5, **look(index))
    _label_ends(axes, {m: float(wide[m].dropna().iloc[-1]) for m in methods}, len(wide))
    axes.set_ylabel(name_and_unit(metric))
    if len(wide) <= _NAMED_IMAGES:
        axes.set_xticks(places, list(wide.index), rotation=40, ha="right")
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"images in the order of {paper.label(methods[0])}'s score")
    axes.set_title(
        f"{dataset}, {len(wide)} images, protocol {rows['protocol'].iloc[0]}", loc="left"
    )
    if note := _not_drawn(asked):
        figure.supxlabel(textwrap.fill(note, 120), x=0.01, ha="left", fontsize="small")
    return figure


def _not_drawn(asked: pd.DataFrame) -> str:
    """Methods and the values of theirs that have no place on an axis, in words."""
    said = []
    for method in asked.columns:
        infinite, missing = int(np.isinf(asked[method]).sum()), int(asked[method].isna().sum())
        what = [f"infinite on {infinite}"] * bool(infinite)
        what += [f"no result on {missing}"] * bool(missing)
        if what:
            said.append(f"{paper.label(str(method))} ({', '.join(what)})")
    return f"Not drawn, of {len(asked)} images: {'; '.join(said)}." if said else ""


def _label_ends(axes: Axes, ends: dict[str, float], count: int) -> None:
    """Names beside the last points, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) / 18
    axes.set_xlim(-0.7, count - 0.3)
    previous = -math.inf
    for method, end in sorted(ends.items(), key=lambda pair: pair[1]):
        place = max(end, previous + gap)
        previous = place
        axes.annotate(
            paper.label(method),
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )


LOSSES, VALIDATION, FACTS = "losses.csv", "validation.csv", "run.json"
NOT_DRAWN = ("step", "rate", "learning_rate")
LABELS = {
    **{metric: name_and_unit(metric) for metric in METRICS},
    "mse": "MSE on [-1, 1]",
    "grid_peak": "grid peak",
    "flat_pattern": "pattern on flat colours (levels)",
    "flat_offset": "offset of flat colours (levels)",
}


def _require_one_recipe(folders: Sequence[Path]) -> None:
    """Raises DataError unless the runs are of one recipe, but for its seed, and of the same data.

    One run alone is never refused.
    """
    if len(folders) < 2:
        return
    first = _identity(folders[0])
    for folder in folders[1:]:
        difference = first_difference(first, _identity(folder))
        if difference:
            raise DataError(
                f"{folders[0]} and {folder} are not runs of one recipe on the same data: "
                f"{difference}.",
                "Draw each by itself.",
            )


def training_figure(folders: Sequence[Path]) -> Figure:
    """Every loss term and validation score over the updates, a panel each.

    One folder is drawn as a line. Several, runs of one recipe from different seeds, are drawn as
    their mean with one standard deviation (n - 1) either side, at the updates they share.
    Raises DataError for a folder that holds no training run, for runs of several recipes, and
    when they share no update.
    """
    _require_one_recipe(folders)
    losses = _together(folders, LOSSES)
    scores = _together(folders, VALIDATION)
    panels = [(name, losses) for name in _terms(losses)]
    panels += [(name, scores) for name in _terms(scores)]
    lines = -(-len(panels) // 2)
    figure = new_figure(PAGE_MM, 45 * lines + 8)
    grid = figure.subplots(lines, 2, squeeze=False, sharex=True)
    for place in grid.flat[len(panels) :]:
        place.axis("off")
    for index, (place, (name, runs)) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw(place, runs, name)
        if index >= len(panels) - 2:
            place.set_xlabel("updates")
            place.tick_params(labelbottom=True)
    count = len(folders)
    figure.suptitle(
        folders[0].name if count == 1 else f"{count} runs, mean and one standard deviation",
        fontsize=8,
        x=0.01,
        ha="left",
    )
    return figure


def _identity(folder: Path) -> dict[str, Any]:
    """What seeds of one recipe have in common."""
    path = folder / FACTS
    try:
        facts = read_json(path)
        recipe = Recipe.model_validate(facts["recipe"])
        identity = recipe.identity()
        identity["optimisation"].pop("seed", None)
        scored = recipe.run.model_dump(mode="json", include={"dataset", "protocol", "metrics"})
        return identity | {"run": scored, "data_sha256": facts["data_sha256"]}
    except OSError as error:
        why = error.strerror
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "it is damaged"
    raise DataError(
        f"Can't tell the recipe of {folder} from {path}: {why}.",
        "Draw it by itself, or name the folder of another training run.",
    )


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / name
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no {name}.", "Name the folder of a training run."
        ) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}).", "Name another run.") from None
    if "step" not in frame or frame.empty:
        raise DataError(f"{path} has no updates yet.", "Let the run go on for a while.")
    return frame


def _together(folders: Sequence[Path], name: str) -> pd.DataFrame:
    frames = [_read(folder, name) for folder in folders]
    if not set.intersection(*(set(frame["step"]) for frame in frames)):
        raise DataError(
            f"The runs {', '.join(map(str, folders))} share no update in {name}.",
            "Draw runs that were logged at the same updates, or each by itself.",
        )
    return pd.concat([frame.assign(run=run) for run, frame in enumerate(frames)])


def _terms(runs: pd.DataFrame) -> list[str]:
    return [str(name) for name in runs.columns if name not in (*NOT_DRAWN, "run")]


def _draw(axes: Axes, runs: pd.DataFrame, name: str) -> None:
    table = runs.pivot(index="step", columns="run", values=name).dropna()
    mean = table.mean(axis=1)
    few = len(table) <= 30
    style = {**look(0), "markersize": 3, "linewidth": 0.9}
    axes.plot(table.index, mean, **(style if few else {**style, "marker": ""}))
    if table.shape[1] > 1:
        spread = table.std(axis=1)
        axes.fill_between(table.index, mean - spread, mean + spread, color="0.75", linewidth=0)
    if name not in LABELS or name == "mse":
        positive = bool((table > 0).all(axis=None))
        if positive and not name.startswith("d_"):
            axes.set_yscale("log")
            _label_plainly(axes.yaxis, *axes.get_ylim())
    axes.set_ylabel(LABELS.get(name, name))


def _label_plainly(axis: Axis, low: float, high: float) -> None:
    """Labels like 0.05 on a log axis, as many as it takes to read it from low to high."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    if high < 5 * low:  # perhaps without a power of ten
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())
    elif high < 100 * low:  # perhaps with one alone
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
