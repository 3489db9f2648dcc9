"""What is measured of a network in training: scores under a named protocol, and artefacts.

Artefacts are what a network adds of its own: a grid of its upscaling steps, a texture and a tint.
Neither PSNR nor SSIM nor LPIPS tells them from honest error, and all three can be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sreval.errors import UsageError, option
from sreval.files import sha256_bytes
from sreval.images.arrays import as_colour
from sreval.images.datasets import Dataset, open_dataset
from sreval.images.degrade import degrade
from sreval.images.resize import downscale, upscale
from sreval.metrics.lpips import TRUNKS
from sreval.metrics.metric import METRICS, check_metrics
from sreval.metrics.protocol import Protocol, get_protocol
from sreval.metrics.scorer import Reference
from sreval.networks.inference import Inference
from sreval.training.packs import Photographs
from sreval.training.recipe import KEPT_ASIDE, Recipe, change

UInt8 = npt.NDArray[np.uint8]

_CROPS, _SIDE = 5, 160
_MIDDLE = 240


class OutOfTime(Exception):  # noqa: N818
    """A validation stopped before its end; it has no scores."""


class Validator:
    """The images of a recipe's validation set, read once, and the scores of any network on them.

    `pack` holds the photographs of which some are kept aside, for a recipe that validates on
    those.
    """

    def __init__(
        self, recipe: Recipe, device: torch.device, pack: Photographs | None = None
    ) -> None:
        """Raises UsageError or DataError when data set, protocol or metrics can't be had."""
        check_validation(recipe)
        self.recipe, self.device = recipe, device
        self.protocol = get_protocol(recipe.run.protocol)
        scale = recipe.network.scale
        self.high: list[UInt8]
        self.low: list[UInt8]
        self.name = recipe.run.dataset
        """The set's name, which tells how its LR images are made where the recipe says it."""
        if recipe.run.dataset == KEPT_ASIDE:
            if pack is None:
                raise ValueError("photographs kept aside need their pack")
            self.high = list(_middles(pack, kept_aside(pack, recipe.data.kept_aside)))
            self.low = [_low(high, recipe) for high in self.high]
            if not self.high:
                raise UsageError(
                    "A single photograph leaves none to keep aside for the validation.",
                    f"Give more with {option('--data')}, or a validation set: "
                    f"{change('run.dataset', 'demo')}.",
                )
        else:
            dataset = _dataset(recipe)
            self.name = dataset.name
            pairs = [dataset.pair(item) for item in dataset.items]
            self.high = [pair.hr for pair in pairs if pair.hr is not None]
            self.low = [pair.lr for pair in pairs]
        self.references = [Reference(high, scale, str(device)) for high in self.high]

    def scores(
        self, network: nn.Module, out_of_time: Callable[[], bool] = lambda: False
    ) -> tuple[dict[str, float], UInt8]:
        """The scores of a network under the recipe's protocol; see `scores_under`."""
        found, grid = self.scores_under([self.protocol], network, out_of_time)
        return found[self.protocol.name], grid

    def scores_under(
        self,
        protocols: Sequence[Protocol],
        network: nn.Module,
        out_of_time: Callable[[], bool] = lambda: False,
    ) -> tuple[dict[str, dict[str, float]], UInt8]:
        """The scores by protocol, and the grid of crops: bicubic, network, original.

        The scores are the mean of each of the recipe's metrics, `grid_peak`, the median over the
        images large enough, and of flat colours `flat_pattern` and `flat_offset`, see
        `Flat`. Raises OutOfTime where `out_of_time()`, asked before each image, says so.
        """
        # one image after the other, so that a set of large ones needs no more memory
        inference = Inference.of(network, self.recipe.network, device=self.device, batch=1)
        metrics, scale = self.recipe.run.metrics, self.recipe.network.scale
        found: dict[str, dict[str, list[float]]] = {
            protocol.name: {metric: [] for metric in metrics} for protocol in protocols
        }
        peaks: list[float] = []
        rows: list[UInt8] = []
        for low, high, reference in zip(self.low, self.high, self.references, strict=True):
            if out_of_time():
                raise OutOfTime
            image = inference.upscale([low])[0]
            for score in reference.score(image, protocols, metrics):
                found[score.protocol][score.metric].append(score.value)
            peaks.append(grid_peak(grey_of(image), scale))
            if len(rows) < _CROPS:
                large = upscale(low, scale)
                rows.append(np.hstack([_middle(x) for x in (large, image, high)]))
        flat = flat_colours(inference)
        known = [peak for peak in peaks if not np.isnan(peak)]
        artefacts = {
            "grid_peak": float(np.median(known)) if known else float("nan"),
            "flat_pattern": flat.pattern,
            "flat_offset": flat.offset,
        }
        return {
            name: {metric: float(np.mean(values)) for metric, values in own.items()} | artefacts
            for name, own in found.items()
        }, np.vstack(rows)


def check_validation(recipe: Recipe) -> None:
    """Raises UsageError or DataError for what a Validator would lack, whatever the photographs."""
    run = recipe.run
    protocol = get_protocol(run.protocol)
    check_metrics(run.metrics)
    for metric in run.metrics:
        if (net := METRICS[metric].trunk_under(protocol)) is not None:
            TRUNKS[net].file()
    if run.dataset != KEPT_ASIDE:
        _dataset(recipe).require_originals(
            "validation", f"Name another set: {change('run.dataset', 'demo')}."
        )
    elif not recipe.data.kept_aside:
        raise UsageError(
            f"run.dataset is {KEPT_ASIDE!r}, but data.kept_aside is 0.",
            "Keep some photographs aside, or name a validation set: "
            f"{change('run.dataset', 'demo')}.",
        )


def _dataset(recipe: Recipe) -> Dataset:
    """The named validation set, its LR images made as the recipe's are."""
    try:
        return open_dataset(recipe.run.dataset, recipe.network.scale, recipe.data.degrade)
    except UsageError as error:
        if recipe.data.degrade is None:
            raise
        # the same set without a degradation may be what is wrong, and then says so itself
        open_dataset(recipe.run.dataset, recipe.network.scale)
        raise UsageError(
            error.message,
            "Name a set of HR images alone in run.dataset, or leave data.degrade out.",
        ) from None


def _low(high: UInt8, recipe: Recipe) -> UInt8:
    """The LR image that a photograph kept aside always has, whatever is drawn in training."""
    given, scale = recipe.data.degrade, recipe.network.scale
    return downscale(high, scale) if given is None else degrade(high, given, scale)[0]


def kept_aside(pack: Photographs, count: int) -> tuple[int, ...]:
    """The places in `pack.photographs` of those that are never trained on, ascending.

    They are those whose file names, without the ending, have the least SHA-256: one photograph
    more changes little, and a copy in another format keeps the same ones aside.
    """
    names = [Path(photograph.file).stem for photograph in pack.photographs]
    order = sorted(range(len(names)), key=lambda place: sha256_bytes(names[place].encode()))
    return tuple(sorted(order[: how_many_aside(len(names), count)]))


def how_many_aside(photographs: int, count: int) -> int:
    """`count`, but a tenth of the photographs at most, and one at least where there are two."""
    return max(1, min(count, photographs // 10)) if count and photographs > 1 else 0


def _middles(pack: Photographs, places: tuple[int, ...]) -> Iterator[UInt8]:
    """The middles of some photographs at high resolution, at most _MIDDLE square."""
    side = _MIDDLE // pack.scale * pack.scale
    for place in places:
        image = pack.image(place)
        height, width = image.shape[:2]
        top, left = max(0, (height - side) // 2), max(0, (width - side) // 2)
        yield image[top : top + side, left : left + side].copy()  # a map can't be written to


def _middle(image: UInt8) -> UInt8:
    """The middle of an image, _SIDE square, RGB; what a small image lacks is grey."""
    colour = as_colour(image)
    top, left = (max(0, (side - _SIDE) // 2) for side in colour.shape[:2])
    cut = colour[top : top + _SIDE, left : left + _SIDE]
    canvas = np.full((_SIDE, _SIDE, 3), 119, np.uint8)
    canvas[: cut.shape[0], : cut.shape[1]] = cut
    return canvas


FLAT_COLOURS = (
    (128, 128, 128),
    (48, 48, 48),
    (208, 208, 208),
    (168, 88, 80),
    (88, 144, 96),
    (80, 104, 176),
)
"""Mid, dark and light grey; red, green and blue of moderate saturation."""

_FLAT_SIDE, _FLAT_BORDER = 40, 14
_ROUNDING = 1e-24


@dataclass(frozen=True)
class Flat:
    """What became of flat colours, in levels of 255.

    `pattern` is the largest standard deviation of a channel, `offset` the largest difference of
    a channel's mean from the colour; 0 is right for both.
    """

    pattern: float
    offset: float


def flat_colours(inference: Inference) -> Flat:
    """Six flat colours through a network, unrounded, away from the border."""
    colours = torch.tensor(FLAT_COLOURS, dtype=torch.float32, device=inference.device)
    low = (colours / 255).view(-1, 3, 1, 1).expand(-1, -1, _FLAT_SIDE, _FLAT_SIDE)
    cut = _FLAT_BORDER * inference.interface.scale
    inner = 255 * inference.tensor(low)[:, :, cut:-cut, cut:-cut].double()
    pattern = inner.std((2, 3), correction=0)
    offset = (inner.mean((2, 3)) - colours).abs()
    return Flat(float(pattern.max()), float(offset.max()))


def grid_periods(scale: int) -> list[int]:
    """The periods, in pixels, of the grids that a network of that scale may leave: its divisors."""
    return [period for period in range(scale, 1, -1) if scale % period == 0]


def grid_peak(grey: npt.NDArray[np.generic], scale: int = 4) -> float:
    """How much an image repeats every `scale` pixels, or every so many as one step may enlarge.

    grey: (h, w), any range; see `grey_of`. The mean, over the frequencies of the periods that
    divide the scale (both axes, and the diagonal of the scale; five at x4, of 4 and 2), of the
    energy in the 3x3 places there over that of the places 3 to 6 away. Without a grid it is near
    1, for the originals of Set5 at x4 2.3 in the median; for a flat image 0; NaN where a side is
    under 8 times the scale, as the places would then overlap, and at scale 1.
    """
    height, width = (side // (2 * scale) * 2 * scale for side in grey.shape)
    if min(height, width) < 8 * scale or scale == 1:
        return float("nan")
    cut = grey[:height, :width].astype(np.float64)
    power = np.abs(np.fft.fft2(cut - cut.mean())) ** 2
    power[power < _ROUNDING * (cut**2).sum() * cut.size] = 0
    y, x = np.ogrid[-6:7, -6:7]
    away = np.maximum(abs(y), abs(x))
    ratios = []
    sides = [place for n in grid_periods(scale) for place in ((height // n, 0), (0, width // n))]
    for row, column in (*sides, (height // scale, width // scale)):
        around = power[(row + y) % height, (column + x) % width]
        peak, background = around[away <= 1].mean(), around[away >= 3].mean()
        ratios.append(peak / background if background else np.inf if peak else 0.0)
    return float(np.mean(ratios))


def grey_of(image: UInt8) -> UInt8:
    """Luma of ITU-R 601 as JPEG has it, rounded: (H, W, 3) or (H, W) to (H, W).

    In whole numbers, as Pillow's mode L has it.
    """
    if image.ndim == 2:
        return image
    weighted = image.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)
