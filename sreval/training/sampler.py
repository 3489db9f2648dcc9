"""Batches cut from a pack on the device that trains, without waiting for it.

Images are drawn without repeats within a batch, as in the paper, each as often as it has places for
a crop; a photograph at a smaller size is an image of its own. The place is drawn evenly, on the
grid of low-resolution pixels. All draws come from one generator whose state a checkpoint stores.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sreval.errors import DataError, counted
from sreval.networks.architecture import Architecture
from sreval.networks.layers import luma
from sreval.training.packs import Pack
from sreval.training.ranks import count, rank
from sreval.training.recipe import Data

UInt8 = npt.NDArray[np.uint8]


class Sampler:
    """Draws batches for one recipe. `too_small` names the images that no crop fits into."""

    def __init__(
        self,
        pack: Pack,
        data: Data,
        architecture: Architecture,
        device: torch.device,
        seed: int,
        without: Collection[int] = (),
    ) -> None:
        """Draws from all of a pack's images but those at the places `without`.

        Raises DataError when fewer images are large enough than a batch asks for, or none at one
        of `data.smaller`.
        """
        self.data, self.architecture, self.device = data, architecture, device
        self.size = data.crop // pack.scale
        self.random = torch.Generator(device).manual_seed(seed)
        shapes = torch.tensor([[p.height, p.width] for p in pack.photographs]) // pack.scale
        fits = (shapes >= self.size).all(1)
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
        self.scale = pack.scale
        high, low, more = self._with_smaller(pack, fits.nonzero()[:, 0].tolist())
        shapes = torch.cat([shapes, torch.tensor(more, dtype=shapes.dtype).reshape(-1, 2)])
        drawn = torch.cat([fits, torch.ones(len(more), dtype=torch.bool)])
        ends = shapes.prod(1).cumsum(0)
        self.starts = (ends - shapes.prod(1))[drawn].to(device)
        self.shapes = shapes[drawn].to(device)
        self.places = self.shapes - self.size + 1
        self.weights = self.places.prod(1).float()
        self.high = torch.from_numpy(high).to(device)
        self.low = torch.from_numpy(low).to(device)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Network input (N, C, h, w) and target (N, C, H, W), in the network's own ranges.

        Of several processes that draw the same, each cuts its own share.
        """
        n = self.data.batch
        # the n least of exponential variables over their weights: a weighted draw without repeats
        draws = torch.empty_like(self.weights).exponential_(generator=self.random)
        images = (draws / self.weights).topk(n, largest=False).indices
        corners = (self._uniform(n, 2) * self.places[images]).long()
        # rows backwards, columns backwards, rows for columns: the eight positions of a square
        turns = (self._uniform(n, 3) < 0.5) & (self.data.views == 8)
        # not a piece of it: so a share of every part in which updates take the batch
        images, corners, turns = (x[rank() :: count()] for x in (images, corners, turns))
        low = self._cut(self.low, images, corners, turns, 1)
        high = self._cut(self.high, images, corners, turns, self.scale)
        return self._prepared(low, self.architecture.input_range), self._prepared(
            high, self.architecture.output_range
        )

    def _with_smaller(
        self, pack: Pack, places: list[int]
    ) -> tuple[UInt8, UInt8, list[tuple[int, int]]]:
        """The pack's pixels, then those of smaller sizes of the images at some places, where a
        crop fits; and the latter's shapes at low resolution.
        """
        more: list[tuple[UInt8, UInt8]] = []
        for fraction in self.data.smaller:
            held = [place for place in places if self._holds_a_crop(pack, place, fraction)]
            if not held:
                raise DataError(
                    f"No image at {fraction:g} of its size holds a crop of {self.data.crop} "
                    "pixels.",
                    "Leave that size out of data.smaller, or make data.crop smaller.",
                )
            more += pack.smaller(held, fraction)
        if not more:
            return pack.high, pack.low, []
        high = np.concatenate([pack.high, *(image.reshape(-1, 3) for image, _ in more)])
        low = np.concatenate([pack.low, *(small.reshape(-1, 3) for _, small in more)])
        return high, low, [(small.shape[0], small.shape[1]) for _, small in more]

    def _holds_a_crop(self, pack: Pack, place: int, fraction: float) -> bool:
        photograph = pack.photographs[place]
        side = math.ceil(fraction * min(photograph.height, photograph.width))
        return side // self.scale >= self.size

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.random, device=self.device)

    def _cut(
        self, pixels: Tensor, images: Tensor, corners: Tensor, turns: Tensor, factor: int
    ) -> Tensor:
        """Crops (N, size, size, 3) in uint8, at `factor` times the low resolution."""
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
