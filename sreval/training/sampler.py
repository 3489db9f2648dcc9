"""Batches cut from photographs on the device that trains, without waiting for it.

Images are drawn without repeats within a batch, as in the paper, each as often as it has places for
a crop; a photograph at a smaller size is an image of its own. The place is drawn evenly, on the
grid of low-resolution pixels. All draws come from one generator whose state a checkpoint stores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sreval.devices import free_memory
from sreval.errors import DataError, counted
from sreval.networks.architecture import Architecture
from sreval.networks.layers import luma
from sreval.training.packs import Photographs
from sreval.training.ranks import count, rank
from sreval.training.recipe import Data, change
from sreval.training.sources import threads
from sreval.training.versions import Version, Versions
from sreval.training.window import Schedule, Window, how_many_ahead, least_room

UInt8 = npt.NDArray[np.uint8]
Made = TypeVar("Made")

_SPARE = 0.5
"""The share of a device's free memory that a window may take; the updates need some, too."""


class Sampler:
    """Draws batches for one recipe. `too_small` names the images that no crop fits into.

    Images are cut from the pack where it lies, on a CUDA device from a copy of it there, or from a
    window that moves over the pack: `advance` then says before an update how far the run is.
    """

    def __init__(
        self,
        pack: Photographs,
        data: Data,
        architecture: Architecture,
        device: torch.device,
        seed: int,
        without: Collection[int] = (),
    ) -> None:
        """Draws from all of a pack's images but those at the places `without`.

        Raises DataError when fewer images are large enough than a batch asks for, or none at one
        of `data.smaller`, when `data.window` is too small, and when the device has too little
        memory.
        """
        self.data, self.architecture, self.device = data, architecture, device
        self.scale, self.size = pack.scale, data.crop // pack.scale
        self.random = torch.Generator(device).manual_seed(seed)
        sides = np.array([(p.height, p.width) for p in pack.photographs]) // self.scale
        fits: npt.NDArray[np.bool_] = np.all(sides >= self.size, axis=1)
        self.too_small = [
            p.file for p, fit in zip(pack.photographs, fits.tolist(), strict=True) if not fit
        ]
        fits[list(without)] = False
        if int(fits.sum()) < data.batch:
            raise DataError(
                f"{_how_many(int(fits.sum()))} a crop of {data.crop} pixels"
                f"{' without being kept aside' if without else ''}, but a batch takes {data.batch} "
                "different ones.",
                "Add photographs, or make data.crop or data.batch smaller.",
            )
        self._image: Callable[[int, int], UInt8]
        versions = Versions(pack, data, fits.nonzero()[0].tolist(), seed)
        self.window = self._window_over(versions, seed)
        if self.window is not None:
            self.starts, self.shapes = self.window.starts, self.window.shapes
            self.weights = self.window.weights
            self.high, self.low = self.window.high, self.window.low
            self._image = self.window.image
        else:
            self._take_all(versions)

    def advance(self, step: int) -> None:
        """Have the photographs there that the update after `step` updates is cut from.

        Raises DataError naming a photograph that can't be brought in.
        """
        if self.window is not None:
            self.window.advance(step)

    @property
    def waited(self) -> float:
        """Seconds that updates have waited for photographs."""
        return self.window.waited if self.window is not None else 0.0

    def quiet(self) -> AbstractContextManager[object]:
        """Keep the window's threads from the device, as long as an update is captured."""
        return self.window.quiet if self.window is not None else nullcontext()

    def close(self) -> None:
        """End the threads that bring photographs in."""
        if self.window is not None:
            self.window.close()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Network input (N, C, h, w) and target (N, C, H, W), in the network's own ranges.

        Of several processes that draw the same, each cuts its own share.
        """
        n = self.data.batch
        if self.window is not None and not self.window.filled:
            self.window.advance(0)
        # the n least of exponential variables over their weights: a weighted draw without repeats
        draws = torch.empty_like(self.weights).exponential_(generator=self.random)
        images = (draws / self.weights).topk(n, largest=False).indices
        corners = (self._uniform(n, 2) * (self.shapes[images] - self.size + 1)).long()
        # rows backwards, columns backwards, rows for columns: the eight positions of a square
        turns = (self._uniform(n, 3) < 0.5) & (self.data.views == 8)
        # not a piece of it: so a share of every part in which updates take the batch
        images, corners, turns = (x[rank() :: count()] for x in (images, corners, turns))
        cut = self._cut if self.device.type == "cpu" else self._gathered
        low, high = cut(images, corners, turns, 1), cut(images, corners, turns, self.scale)
        return self._prepared(low, self.architecture.input_range), self._prepared(
            high, self.architecture.output_range
        )

    def _window_over(self, versions: Versions, seed: int) -> Window | None:
        """The window that the recipe asks for, None where all photographs are there for good."""
        sizes = [versions.pixels(member) for member in range(len(versions.members))]
        total = sum(sizes)
        # no window holds more than all of them; where they are renewed, there's room to do it
        all_ahead = how_many_ahead(sizes, total)
        most = total + (sum(sorted(sizes)[-all_ahead:]) if versions.renewed else 0)
        asked = int(1e6 * min(self.data.window, total * self.scale**2)) // self.scale**2
        room = min(asked, most) if self.data.window else most
        if room == total and not versions.renewed:
            return None
        self._refuse_small(room, sizes, versions)
        schedule = Schedule(
            sizes,
            room,
            how_many_ahead(sizes, min(room, total)),
            self.data.batch,
            self.data.crops_per_photograph,
            seed,
        )
        return self._in_memory(
            room + max(sizes), lambda: Window(schedule, versions, self.size, self.device)
        )

    def _refuse_small(self, room: int, sizes: list[int], versions: Versions) -> None:
        """Raises DataError for a window that may hold fewer photographs than a batch takes."""
        least = least_room(sizes, self.data.batch)
        if room >= least:
            return
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        megapixels = math.ceil(least * self.scale**2 / 1e4) / 100
        if room < sizes[largest]:
            lacks = f"hold {versions.name(largest)}, which has {self._megapixels(sizes[largest])}"
        else:
            lacks = (
                f"always hold {self.data.batch} photographs for a batch, and those that are on "
                "their way in"
            )
        raise DataError(
            f"data.window = {self.data.window:g} can't {lacks}.",
            f"Give {change('data.window', megapixels)} or more"
            f"{', make data.batch smaller' if self.data.batch > 1 else ''}, or leave data.window "
            f"out: all photographs, {self._megapixels(sum(sizes))}, are then there at once.",
        )

    def _megapixels(self, pixels: int) -> str:
        return f"{pixels * self.scale**2 / 1e6:.3g} megapixels"

    def _take_all(self, versions: Versions) -> None:
        """Make what the pack doesn't hold; on a CUDA device, copy all pixels there."""
        members = range(len(versions.members))
        shapes = [shape for member in members if (shape := versions.shape(member, 1))]
        smaller = [
            (member, fraction)
            for fraction in self.data.smaller
            for member in members
            if versions.shape(member, fraction)
        ]
        with threads() as pool:
            lows: list[UInt8] = []
            decoded: list[Version] = []
            if not versions.pack.mapped and self.device.type == "cpu":
                # decoded once and for all, as a crop asks for its whole photograph
                decoded = self._in_memory(
                    sum(height * width for height, width in shapes),
                    lambda: list(pool.map(lambda member: versions.made(member, 1), members)),
                )
            elif self.data.degrade is not None:
                lows = list(pool.map(lambda member: versions.made(member, 1)[1], members))
            extra = list(pool.map(lambda one: versions.made(*one), smaller))
        shapes += [(low.shape[0], low.shape[1]) for _, low in extra]

        def image(place: int, factor: int) -> UInt8:
            if place >= len(members):
                return extra[place - len(members)][factor == 1]
            if decoded:
                return decoded[place][factor == 1]
            if factor == 1 and lows:
                return lows[place]
            packed = versions.members[place]
            return versions.pack.small(packed) if factor == 1 else versions.pack.image(packed)

        self.shapes = torch.tensor(shapes, device=self.device)
        self.weights = (self.shapes - self.size + 1).prod(1).float()
        self._image = image
        if self.device.type != "cpu":
            self._copy_all()

    def _copy_all(self) -> None:
        """Copy all pixels to the device, image after image."""
        pixels = self.shapes.prod(1)
        self.starts = pixels.cumsum(0) - pixels
        total = int(pixels.sum())

        def room(factor: int) -> Tensor:
            return torch.empty((total * factor**2, 3), dtype=torch.uint8, device=self.device)

        self.low, self.high = self._in_memory(total, lambda: (room(1), room(self.scale)))
        for place, start in enumerate(self.starts.tolist()):
            for to, factor in ((self.high, self.scale), (self.low, 1)):
                image = self._image(place, factor).reshape(-1, 3)
                begin = start * factor**2
                writable = torch.from_numpy(np.require(image, requirements=("C", "W")))
                to[begin : begin + len(image)].copy_(writable)

    def _in_memory(self, pixels: int, make: Callable[[], Made]) -> Made:
        """What takes the memory of so many low-resolution pixels and their high resolution.

        Raises DataError naming the window that fits where there is too little.
        """
        each = 3 * (1 + self.scale**2)
        free = free_memory(str(self.device))
        if free is None or pixels * each < free:
            with suppress(torch.OutOfMemoryError):
                return make()
        fitting = _SPARE * (free or 0) / each * self.scale**2 / 1e6
        raise DataError(
            f"{self._megapixels(pixels)} of photographs don't fit into the free memory of "
            f"{self.device}.",
            "Train through a window that moves over them: "
            f"{change('data.window', float(f'{fitting:.3g}'))}.",
        )

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.random, device=self.device)

    def _cut(self, images: Tensor, corners: Tensor, turns: Tensor, factor: int) -> Tensor:
        """Crops (N, size, size, 3) in uint8, at `factor` times the low resolution, on the host."""
        size = self.size * factor
        crops = np.empty((len(images), size, size, 3), np.uint8)
        drawn = zip(images.tolist(), corners.tolist(), turns.tolist(), strict=True)
        for crop, (image, corner, turn) in zip(crops, drawn, strict=True):
            top, left = factor * corner[0], factor * corner[1]
            piece = self._image(image, factor)[top : top + size, left : left + size]
            piece = piece[:: -1 if turn[0] else 1, :: -1 if turn[1] else 1]
            np.copyto(crop, piece.swapaxes(0, 1) if turn[2] else piece)
        return torch.from_numpy(crops)

    def _gathered(self, images: Tensor, corners: Tensor, turns: Tensor, factor: int) -> Tensor:
        """The same from one tensor of all pixels, in as few operations as a device likes."""
        pixels = self.low if factor == 1 else self.high
        size = self.size * factor
        steps = torch.arange(size, device=self.device)
        # (N, 2, size): rows and columns of each crop
        lines = torch.where(turns[:, :2, None], size - 1 - steps, steps)
        lines = lines + factor * corners[:, :, None]
        width = factor * self.shapes[images, 1]
        index = factor**2 * self.starts[images, None] + lines[:, 0] * width[:, None]
        index = index[:, :, None] + lines[:, 1, None, :]
        return pixels[torch.where(turns[:, 2, None, None], index.mT, index)]

    def _prepared(self, crops: Tensor, span: tuple[float, float]) -> Tensor:
        # the permuted view of (N, H, W, 3) is channels_last as it stands
        x = crops.permute(0, 3, 1, 2).float() / 255
        if self.architecture.colour == "luma":
            x = luma(x)
        return x * (span[1] - span[0]) + span[0]


def _how_many(images: int) -> str:
    if not images:
        return "No image holds"
    return f"Only {counted(images, 'image')} {'holds' if images == 1 else 'hold'}"
