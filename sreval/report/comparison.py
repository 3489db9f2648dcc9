"""Regions of images under every method, side by side, as papers on super-resolution show them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from sreval.errors import NONE, DataError, UsageError, counted, not_in_results, option, unknown_name
from sreval.frames import first_frame
from sreval.images.arrays import as_colour
from sreval.images.folders import find_image, names_of
from sreval.images.luma import bt601_full_range
from sreval.metrics.metric import in_order, metric_of
from sreval.report import paper
from sreval.report.choices import SHOWN
from sreval.report.collect import input_image, narrowed, scored, sr_image, without_originals
from sreval.report.style import (
    COLOURS,
    LINE_MM,
    MOST_MM,
    SMALL,
    WIDTHS_MM,
    caption_lines,
    describe,
    house_style,
    names_within,
    new_figure,
    shortened,
    wrapped,
)
from sreval.report.values import common_names, metric_name, number

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """A rectangle in HR pixels, from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"

    def cut(self, image: UInt8) -> UInt8:
        """That part of an image."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def parse_region(text: str) -> Region:
    """``X,Y,WIDTH,HEIGHT`` in HR pixels. Raises UsageError."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"Can't read the region {text!r}.", "Write X,Y,WIDTH,HEIGHT.") from None
    if min(x, y) < 0:
        raise UsageError(
            f"The region {text} begins outside the image.",
            "Count X and Y from 0, its upper left corner.",
        )
    if min(width, height) < 4:
        raise UsageError(f"The region {text} is too small.", "Give at least 4 pixels per side.")
    return Region(x, y, width, height)


@dataclass(frozen=True)
class _Shown:
    """One image of a figure: what is drawn of it."""

    dataset: str
    image: str
    name: str
    given: UInt8
    """HR, or where there is none the LR image at HR's size, enlarged by pixel repetition."""
    sr: Mapping[str, UInt8]
    """By method, of those that made it."""
    values: Mapping[str, list[str]]
    """The values of the whole image by method, as they are printed."""
    regions: list[Region]
    why: str
    """Why these regions, where they weren't asked for."""
    missing: str
    """Why a value isn't there, where one isn't."""
    beside: Literal["hr", "lr"]
    """Which of the two is ``given``."""


@house_style()
def comparison_figure(
    frame: pd.DataFrame,
    dataset: str | None,
    images: Sequence[str],
    methods: Sequence[str] = (),
    regions: Sequence[str] = (),
    metrics: Sequence[str] = (),
    show: str = "crops",
    width: str = "page",
    notes: Sequence[str] = (),
) -> Figure:
    """Regions of images under every method; of each image, the HR with the regions framed, too.

    Where there is no original, the LR image takes the place of HR, enlarged by pixel repetition.
    Crops are of one printed size for all methods. They wrap, those of each region begin a row, and
    HR comes last. Below each stand its method and values of the whole image. All images of a figure
    are laid out alike.

    Args:
        frame: from ``collect.select``.
        dataset: may be None where one data set alone has such images.
        images: by their names in the results or, in a public set, their common names: butterfly.
        methods: in that order; by default all in the paper's order.
        regions: ``X,Y,WIDTH,HEIGHT`` in HR pixels: any number of one image, or one for each of
            several. By default the square in which the methods' lumas differ most from each other,
            by their variance; a single method's, or that of methods that don't differ, is where
            they differ most from HR.
        metrics: below the crops; by default PSNR and SSIM, or the first two that there are.
        show: ``crops`` as they are, their pixels enlarged by repetition; ``difference``, SR - HR
            on mid-grey; ``error``, |SR - HR| of the BT.601 luma (full range). One scale for all.
            The last two need originals.
        width: ``page``, 175 mm, or ``column``, 85 mm.
        notes: what else the caption says.

    Raises:
        UsageError: an image, method, metric or region that isn't there, more than a page holds, or
            a difference from an original that there isn't.
        DataError: an HR or LR image is no longer there, or every method failed on one.
    """
    for kind, name, known in (("kind of crops", show, SHOWN), ("width", width, WIDTHS_MM)):
        if name not in known:
            raise unknown_name(kind, name, known)
    if not images:
        raise UsageError("A comparison is of images.", f"Name one: {option('--image')}.")
    found = list(dict.fromkeys(_found(frame, dataset, image) for image in images))
    datasets = list(dict.fromkeys(one for one, _ in found))
    for lacking in without_originals(frame) if show != "crops" else ():
        if lacking in datasets:
            raise UsageError(
                f"{lacking} has LR images alone; there is no HR that they could differ from.",
                f"Leave {option('--show', 'show=')} out, or choose images of another data set.",
            )
    chosen = _methods(frame, methods, datasets)
    printed = _metrics(frame, datasets, metrics)
    given = _regions(regions, len(found))
    shown = [
        _shown(frame, place, chosen, printed, own) for place, own in zip(found, given, strict=True)
    ]
    protocol = str(frame["protocol"].iloc[0])
    return _Drawing(shown, chosen, printed, show, WIDTHS_MM[width], protocol, notes).draw()


def _methods(frame: pd.DataFrame, asked: Sequence[str], datasets: Sequence[str]) -> list[str]:
    names = paper.sort_methods(list(narrowed(frame, "dataset", datasets)["method"].unique()))
    for method in asked:
        if method not in names:
            raise not_in_results("method", method, names)
    chosen = [name for name in dict.fromkeys(asked or names) if name != "hr"]
    if not chosen:
        raise UsageError(
            "There is no method to compare with HR.",
            f"Name one with {option('--method', 'methods=')}.",
        )
    return chosen


def _metrics(frame: pd.DataFrame, datasets: Sequence[str], asked: Sequence[str]) -> list[str]:
    there = in_order(frame.loc[frame["dataset"].isin(datasets), "metric"])
    single = [key for key in there if metric_of(key).per == "image"]
    for metric in asked:
        if metric not in there:
            raise not_in_results("metric", metric, there)
    return list(dict.fromkeys(asked)) or single[:2]


def _regions(texts: Sequence[str], images: int) -> list[list[Region]]:
    """The regions asked for of each image."""
    regions = [parse_region(text) for text in texts]
    if not regions:
        return [[] for _ in range(images)]
    if len(regions) >= len(COLOURS):
        raise UsageError(
            f"{len(regions)} regions can't be told apart by their colours.",
            f"Give {len(COLOURS) - 1} at most.",
        )
    if images == 1:
        return [regions]
    if len(regions) != images:
        raise UsageError(
            f"{counted(len(regions), 'region')} for {images} images can't be shared out.",
            "Give one for each image in their order, or draw one image at a time.",
        )
    return [[region] for region in regions]


def _shown(
    frame: pd.DataFrame,
    place: tuple[str, str],
    methods: Sequence[str],
    metrics: Sequence[str],
    regions: list[Region],
) -> _Shown:
    dataset, image = place
    own = _of_dataset(frame, dataset)
    rows = own[own["image"] == image]
    made = scored(narrowed(rows, "method", methods))
    if made.empty:
        reasons = [note for note in rows["note"] if note] or ["they have no such row"]
        raise DataError(
            f"{dataset}/{image} failed under every method: {reasons[0]}",
            f"Choose another image with {option('--image')}.",
        )
    there = set(made["method"])
    sr = {m: sr_image(made[made["method"] == m].iloc[0]) for m in methods if m in there}
    beside: Literal["hr", "lr"] = "hr" if made["hr_sha256"].iloc[0] else "lr"
    height, width = next(iter(sr.values())).shape[:2]
    given = input_image(made.iloc[0], beside)
    if beside == "lr":
        enlarged = Image.fromarray(given).resize((width, height), Image.Resampling.NEAREST)
        given = np.asarray(enlarged)
    for region in regions:
        if region.x + region.width > width or region.y + region.height > height:
            raise UsageError(
                f"The region {region} reaches beyond {dataset}/{image}, {width}x{height} pixels.",
                "Choose one inside it.",
            )
    why = ""
    if not regions:
        region, why = region_of_difference(given, sr, beside)
        regions = [region]
    common = common_names(own).get(image)
    values = {method: _values(rows, method, metrics, method in sr) for method in methods}
    name = f"{image} ({common})" if common else image
    lacking = rows[rows["method"].isin(methods) & rows["metric"].isin(metrics)]
    why_not = lacking.loc[lacking["value"].isna() & (lacking["note"] != ""), "note"]
    missing = f"No score: {why_not.iloc[0]}" if len(why_not) else ""
    return _Shown(dataset, image, name, given, sr, values, regions, why, missing, beside)


def _values(rows: pd.DataFrame, method: str, metrics: Sequence[str], made: bool) -> list[str]:
    values = rows[rows["method"] == method].set_index("metric")["value"].dropna()
    if not any(metric in values for metric in metrics):
        return ["no score" if made else "no result"]
    return [
        f"{number(values[metric], metric)} {metric_of(metric).unit}".rstrip()
        if metric in values
        else NONE
        for metric in metrics
    ]


def region_of_difference(
    given: UInt8, images: Mapping[str, UInt8], beside: Literal["hr", "lr"] = "hr"
) -> tuple[Region, str]:
    """The square in which the methods' images (H, W[, 3]) differ most from each other, and why.

    It has the largest sum of the variance between their lumas, pixel by pixel. A single image, or
    images whose lumas are equal, are compared with what is ``given``, the one of HR and LR that
    ``beside`` says; where they are equal, too, it is the
    middle. Variance, as a reader is to see how the methods differ, which is not where all of them
    err alike. Its side is a fifth of the image's shorter one, 24 to 128 pixels.
    """
    methods, one = list(images.values()), paper.label(next(iter(images)))
    variance, why = _variance(methods), "where the methods differ most"
    if not variance.any():
        variance = _variance([given, methods[0]])
        who = f"{one} differs" if len(images) == 1 else "the methods, which are alike, differ"
        why = f"where {who} most from {beside.upper()}"
    shorter = min(given.shape[:2])
    side = min(shorter, max(24, min(128, shorter // 5)))
    sums = np.pad(variance.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    boxes = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    if not variance.any():
        y, x = (size // 2 for size in boxes.shape)
        return Region(x, y, side, side), f"the middle, as nothing differs from {beside.upper()}"
    y, x = map(int, np.unravel_index(int(boxes.argmax()), boxes.shape))
    return Region(x, y, side, side), why


def _variance(images: Sequence[UInt8]) -> npt.NDArray[np.float64]:
    """The variance (H, W) of the images' lumas in whole thousandths, whose sums are exact."""
    mean, square = np.zeros(images[0].shape[:2]), np.zeros(images[0].shape[:2])
    for image in images:
        luma = bt601_full_range(image)
        mean += luma / len(images)
        square += luma**2 / len(images)
    return np.rint(np.maximum(square - mean**2, 0) * 1e3)


def _found(frame: pd.DataFrame, dataset: str | None, image: str) -> tuple[str, str]:
    """The data set and the name in the results of an image that a user named."""
    datasets = [dataset] if dataset is not None else list(dict.fromkeys(frame["dataset"]))
    names = {one: _names_of(_of_dataset(frame, one)) for one in datasets}
    matches = [(one, find_image(image, known)) for one, known in names.items()]
    found = [(one, match) for one, match in matches if match is not None]
    if len(found) > 1:
        raise UsageError(
            f"{image} is in {' and '.join(one for one, _ in found)}.",
            f"Name one data set, too: {option('--dataset')}.",
        )
    if not found:
        known = {*frame["image"]} if dataset is None else {*_of_dataset(frame, dataset)["image"]}
        common = {name for one in names for name in common_names(_of_dataset(frame, one)).values()}
        called = image.replace("\\", "/")
        if frame_named := first_frame(called, known):
            raise UsageError(
                f"{called} is a sequence, and one frame of it is wanted.",
                f"Name one, such as {frame_named}.",
            )
        raise not_in_results("image", called, (known | common) - {""}, of=dataset or "")
    return found[0]


def _names_of(rows: pd.DataFrame) -> dict[str, str]:
    """The images of one data set by every name they go by."""
    return names_of(rows["image"].unique(), {n: i for i, n in common_names(rows).items()})


def _of_dataset(frame: pd.DataFrame, dataset: str) -> pd.DataFrame:
    if dataset not in set(frame["dataset"]):
        raise not_in_results("data set", dataset, frame["dataset"].unique())
    return narrowed(frame, "dataset", [dataset])


_GAP_MM = 1.6
_EDGE_MM = 0.6
"""Text keeps so far from its column's edges: its width depends on the resolution a little."""

_CAPTION_LINES = 3
"""The most that a method's name takes below its crop."""

_COLUMNS = {85: range(2, 6), 175: range(3, 8)}
"""Crops a line, by the figure's width: 16 to 57 mm each."""

_LABEL_LINES = 2
"""Room for an image's name below its whole, however long it is: the caption has it in full."""

_LEAST_WHOLE, _LEAST_OF_SEVERAL = 0.2, 0.13
"""The longer side of a whole image, as a share of the figure's width; that of several images."""


@dataclass(frozen=True)
class _Block:
    """Where one image's whole and crops are, in mm from the upper left corner of its block."""

    left: float
    """Of the whole, in the middle of its columns."""
    whole: tuple[float, float]
    """Width and height."""
    label: str
    crops: list[tuple[int, int, float, float]]
    """Index of the region, index of the crop, left, top; regions and crops in order."""
    height: float
    white: float
    """The share of the block that nothing covers."""


@dataclass(frozen=True)
class _Grid:
    """A layout of the whole figure."""

    crop_mm: float
    captions: list[list[str]]
    """By image, one for each crop of a region."""
    blocks: list[_Block]
    note: str

    @property
    def height(self) -> float:
        return sum(block.height for block in self.blocks) + _GAP_MM * (len(self.blocks) - 1)

    @property
    def white(self) -> float:
        """The share of all blocks that nothing covers."""
        return sum(block.white * block.height for block in self.blocks) / self.height


@dataclass(frozen=True)
class _Drawing:
    shown: list[_Shown]
    methods: list[str]
    metrics: list[str]
    show: str
    width_mm: int
    protocol: str
    notes: Sequence[str]

    def draw(self) -> Figure:
        scale = self.scale()
        grid = self.grid(self.methods, scale)
        if grid is None:
            raise self.too_large(scale)
        caption = self.caption(scale, grid.note)
        figure = new_figure(self.width_mm, grid.height + self.foot_mm(caption))
        # Matplotlib's layouts would change the crops' size to make room for captions.
        figure.set_layout_engine("none")
        top = 0.0
        for one, block, captions in zip(self.shown, grid.blocks, grid.captions, strict=True):
            self.draw_block(figure, one, block, captions, grid.crop_mm, top, scale)
            top += block.height + _GAP_MM
        if self.show == "error":
            _draw_bar(figure, grid.height, self.width_mm, scale)
        names = ", ".join(one.name for one in self.shown)
        what = f"{names} under {counted(len(self.methods), 'method')}"
        describe(figure, what, caption)
        figure.supxlabel(
            figure.get_supxlabel(), x=0, y=0, va="bottom", ha="left", fontsize=SMALL,
            multialignment="left",
        )  # fmt: skip
        return figure

    def too_large(self, scale: int) -> UsageError:
        """The error that a page has no room, with how much it has room for."""
        few = range(len(self.methods) - 1, 0, -1)
        methods = next((n for n in few if self.grid(self.methods[:n], scale)), 0)
        fewer = (replace(self, shown=self.shown[:n]) for n in range(len(self.shown) - 1, 0, -1))
        images = next((len(one.shown) for one in fewer if one.grid(self.methods, scale)), 0)
        ways = [
            f"at most {counted(most, what)} with {how}"
            for most, what, how in (
                (images, "image", option("--image", "image=")),
                (methods, "method", option("--method", "methods=")),
            )
            if most
        ]
        regions = sum(len(one.regions) for one in self.shown)
        return UsageError(
            f"{counted(regions, 'region')} under {counted(len(self.methods), 'method')} can't "
            f"be shown on one page, {self.width_mm} x {MOST_MM} mm.",
            f"Name {', or '.join(ways)}." if ways else "Draw fewer images or regions.",
        )

    def foot_mm(self, caption: str) -> float:
        """The height of what is below the crops."""
        bar_mm = _BAR_MM if self.show == "error" else 0
        return len(caption_lines(caption, self.width_mm)) * LINE_MM + _GAP_MM + bar_mm

    def grid(self, methods: Sequence[str], scale: int) -> _Grid | None:
        """The best layout of those methods that a page has room for, None without any.

        Lower ones are looked for where the one with the least white is too high.
        """
        for thrift in (0.25, 1.0, 4.0):
            fit = []
            for columns in _COLUMNS[self.width_mm]:
                grid = self._grid_of(methods, columns, thrift)
                if grid and grid.height + self.foot_mm(self.caption(scale, grid.note)) <= MOST_MM:
                    fit.append(grid)
            if fit:
                return min(fit, key=lambda grid: _cost(grid.white, grid.height, thrift))
        return None

    def _grid_of(self, methods: Sequence[str], columns: int, thrift: float) -> _Grid | None:
        crop_mm = (self.width_mm - (columns - 1) * _GAP_MM) / columns
        room = crop_mm - _EDGE_MM
        try:
            names, note = names_within([*methods, "hr"], room, _CAPTION_LINES)
        except UsageError:
            return None
        captions = [
            [
                "\n".join([names[method], *wrapped(" / ".join(one.values[method]), room, " ")])
                for method in methods
            ]
            + [one.beside.upper()]
            for one in self.shown
        ]
        grids = [
            _Grid(crop_mm, captions, blocks, note)
            for blocks in _layouts(self.shown, captions, columns, crop_mm, self.width_mm)
        ]
        return min(grids, key=lambda grid: _cost(grid.white, grid.height, thrift), default=None)

    def scale(self) -> int:
        """For errors the level of the brightest colour, for differences the factor on them."""
        if self.show == "crops":
            return 0
        differences = [
            np.abs(self.difference(one, method, region)).ravel()
            for one in self.shown
            for method in one.sr
            for region in one.regions
        ]
        most = float(np.percentile(np.concatenate(differences), 99))
        if self.show == "error":
            return next(level for level in (4, 8, 16, 32, 64, 128, 255) if level >= most)
        return next(
            factor for factor in (32, 16, 8, 4, 2, 1) if factor * most <= 127 or factor == 1
        )

    def difference(self, one: _Shown, method: str, region: Region) -> npt.NDArray[np.float64]:
        """SR - HR of a region: of the luma for errors, else of the colours."""
        form = bt601_full_range if self.show == "error" else as_colour
        sr, hr = form(region.cut(one.sr[method])), form(region.cut(one.given))
        return sr.astype(np.float64) - hr

    def caption(self, scale: int, note: str) -> str:
        """What is to be known of the figure, so that it can be made again."""
        said = []
        for one in self.shown:
            kind = "region" if len(one.regions) == 1 else "regions"
            where = f"{kind} {' and '.join(map(str, one.regions))}"
            said.append(f"{one.dataset}/{one.image}: {where}{f', {one.why}' if one.why else ''}.")
        said += dict.fromkeys(one.missing for one in self.shown if one.missing)
        without = dict.fromkeys(one.dataset for one in self.shown if one.beside == "lr")
        if without:
            of = f" of {' and '.join(without)}" * any(one.beside == "hr" for one in self.shown)
            said.append(f"LR{of}: enlarged by pixel repetition, as there is no HR.")
        if self.show == "difference":
            said.append(f"Crops: 128 + {scale} × (SR − HR) of each colour.")
        if self.show == "error":
            said.append("Crops: |SR − HR| of the luma, in levels of 255.")
        names = " / ".join(map(metric_name, self.metrics))
        said.append(f"Values: {names} of the whole image, protocol {self.protocol}.")
        return " ".join([*said, note, *self.notes]).strip()

    def draw_block(
        self,
        figure: Figure,
        one: _Shown,
        block: _Block,
        captions: Sequence[str],
        crop_mm: float,
        top: float,
        scale: int,
    ) -> None:
        whole = _axes_at(figure, block.left, top, *block.whole)
        _show_whole(whole, one.given, block.whole[0])
        _write_below(whole, block.label)
        several = len(one.regions) > 1
        for index, region in enumerate(one.regions):
            # White around a colour stands out on any picture.
            for colour, thickness in (("white", 2.4), (COLOURS[index], 1.0)):
                whole.add_patch(
                    Rectangle(
                        (region.x - 0.5, region.y - 0.5), region.width, region.height,
                        fill=False, edgecolor=colour, linewidth=thickness,
                    )
                )  # fmt: skip
        panels = [*self.methods, None]
        for group, index, left, above in block.crops:
            region, method = one.regions[group], panels[index]
            size = _crop_size(region, crop_mm)
            axes = _axes_at(figure, left + (crop_mm - size[0]) / 2, top + above, *size)
            _write_below(axes, captions[index])
            axes.set(xticks=[], yticks=[])
            edge = COLOURS[group] if several else "0.8"
            drawn = method is None or method in one.sr
            axes.spines[:].set(visible=several or not drawn, color=edge, linewidth=1.2)
            if drawn:
                self.draw_crop(axes, one, method, region, size[0], scale)

    def draw_crop(
        self,
        axes: Axes,
        one: _Shown,
        method: str | None,
        region: Region,
        width_mm: float,
        scale: int,
    ) -> None:
        """The crop of a method, or with None that of what is given."""
        # As many copies of each pixel as keep its edges sharp in print, where viewers smooth.
        copies = math.ceil(600 * width_mm / 25.4 / region.width)
        if method is None or self.show == "crops":
            part = region.cut(one.given if method is None else one.sr[method])
        elif self.show == "difference":
            signed = 128 + scale * self.difference(one, method, region)
            part = np.clip(signed, 0, 255).astype(np.uint8)
        else:
            error = np.abs(self.difference(one, method, region))
            axes.imshow(
                error.repeat(copies, 0).repeat(copies, 1), cmap="cividis", vmin=0, vmax=scale,
                interpolation="none", aspect="auto",
            )  # fmt: skip
            return
        _show(axes, part.repeat(copies, 0).repeat(copies, 1))


def _layouts(
    shown: Sequence[_Shown],
    captions: Sequence[Sequence[str]],
    columns: int,
    crop_mm: float,
    width_mm: float,
) -> Iterator[list[_Block]]:
    """The ways to lay out all images alike, the whole ones as large as can be in one room.

    They stand in some columns beside some rows of crops, or above them all.
    """
    groups, crops = len(shown[0].regions), len(captions[0])
    for across in range(1, columns + 1):
        for beside in range(1, crops * groups + 1) if across < columns else [0]:
            lines = _lines(groups, crops, columns, columns - across, beside)
            if len(lines) < beside:
                break
            heights = [
                _heights(one, own, lines, crop_mm) for one, own in zip(shown, captions, strict=True)
            ]
            above = min(sum(own[:beside]) for own in heights) - _GAP_MM - _LABEL_MM
            room = (
                across * crop_mm + (across - 1) * _GAP_MM,
                above if beside else 0.4 * width_mm,
            )
            least = width_mm * (_LEAST_WHOLE if len(shown) == 1 else _LEAST_OF_SEVERAL)
            if all(max(size) >= least and size[0] >= 4 * _GAP_MM for size in _wholes(shown, room)):
                yield [
                    _block(one, whole, own, lines, (across, beside), room[0], crop_mm, width_mm)
                    for one, whole, own in zip(shown, _wholes(shown, room), heights, strict=True)
                ]


def _heights(
    one: _Shown, captions: Sequence[str], lines: Sequence[tuple[int, list[int]]], crop_mm: float
) -> list[float]:
    """Of each row of crops with its captions and the gap below."""
    return [
        _crop_size(one.regions[group], crop_mm)[1]
        + max(_lines_mm(captions[index]) for index in line)
        + _GAP_MM
        for group, line in lines
    ]


def _wholes(shown: Sequence[_Shown], room: tuple[float, float]) -> list[tuple[float, float]]:
    """Width and height of each whole image, in mm, as large as the room for each is."""
    shapes = [one.given.shape[:2] for one in shown]
    ratios = [min(room[0] / width, room[1] / height) for height, width in shapes]
    return [(r * width, r * height) for r, (height, width) in zip(ratios, shapes, strict=True)]


def _block(
    one: _Shown,
    whole: tuple[float, float],
    heights: Sequence[float],
    lines: Sequence[tuple[int, list[int]]],
    place: tuple[int, int],
    across_mm: float,
    crop_mm: float,
    width_mm: float,
) -> _Block:
    """One image's whole and crops; ``place`` is in how many columns and beside how many rows."""
    across, beside = place
    label = "\n".join(wrapped(shortened(one.name, across_mm - _EDGE_MM, _LABEL_LINES), across_mm))
    top = 0.0 if beside else whole[1] + _LABEL_MM + _GAP_MM
    crops, drawn = [], whole[0] * (whole[1] + _LABEL_MM)
    for row, (group, indices) in enumerate(lines):
        first = across if row < beside else 0
        size = _crop_size(one.regions[group], crop_mm)
        for column, index in enumerate(indices):
            crops.append((group, index, (first + column) * (crop_mm + _GAP_MM), top))
        caption_mm = heights[row] - _GAP_MM - size[1]
        drawn += len(indices) * (size[0] * size[1] + crop_mm * caption_mm)
        top += heights[row]
    height = top - _GAP_MM
    white = 1 - drawn / (height * width_mm)
    return _Block((across_mm - whole[0]) / 2, whole, label, crops, height, white)


def _cost(white: float, height_mm: float, thrift: float) -> float:
    """What a layout should have little of: white, and height as a share of a page's."""
    return white + thrift * height_mm / MOST_MM


def _lines(
    groups: int, crops: int, columns: int, right: int, beside: int
) -> list[tuple[int, list[int]]]:
    """The rows of a grid, (group, its crops); each group begins one, the first are shorter."""
    lines: list[tuple[int, list[int]]] = []
    for group in range(groups):
        left = list(range(crops))
        while left:
            room = right if len(lines) < beside else columns
            lines.append((group, left[:room]))
            left = left[room:]
    return lines


def _crop_size(region: Region, crop_mm: float) -> tuple[float, float]:
    """Width and height in mm: as wide as a column, or 1.5 times as high."""
    width = min(crop_mm, 1.5 * crop_mm * region.width / region.height)
    return width, width * region.height / region.width


def _lines_mm(text: str) -> float:
    return (text.count("\n") + 1) * LINE_MM + 0.8


_LABEL_MM = _LABEL_LINES * LINE_MM + 0.8

_BAR_MM = 9.0


def _draw_bar(figure: Figure, top: float, width_mm: float, most: int) -> None:
    """The scale of the errors below all crops."""
    axes = _axes_at(figure, 0.25 * width_mm, top + 2, 0.5 * width_mm, 2)
    ramp = np.linspace(0, most, 256)[None]
    axes.imshow(ramp, cmap="cividis", aspect="auto", extent=(0, most, 0, 1), interpolation="none")
    ticks = [0, most / 4, most / 2, 3 * most / 4, most]
    labels = [f"{tick:g}" for tick in ticks[:-1]] + [f"{most} or more" if most < 255 else "255"]
    axes.set_xticks(ticks, labels)
    axes.set_yticks([])
    axes.tick_params(length=2, pad=1)


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


def _write_below(axes: Axes, text: str) -> None:
    axes.annotate(
        text, (0.5, 0), xycoords="axes fraction", xytext=(0, -1.5), textcoords="offset points",
        ha="center", va="top", fontsize=SMALL,
    )  # fmt: skip


def _show_whole(axes: Axes, image: UInt8, width_mm: float) -> None:
    """The whole image, no finer than print shows it, its axes in HR pixels."""
    height, width = image.shape[:2]
    finer = max(1, int(width / (600 * width_mm / 25.4)))
    shown = np.asarray(Image.fromarray(image).reduce(finer)) if finer > 1 else image
    _show(axes, shown)
    axes.images[0].set_extent((-0.5, width - 0.5, height - 0.5, -0.5))
    axes.axis("off")


def _show(axes: Axes, image: UInt8) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="none", aspect="auto")
