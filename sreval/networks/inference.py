"""Images through a trained network: folded, in batches of one size, in tiles where asked.

Folding puts batch norm's factor and offset into the convolution before it; SRResNet's output
layer is computed in packed form. A tile is computed with a halo as wide as the network sees, so
that its core is what the whole image would give. fp32 is never TF32 here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sreval.devices import Precision, exact_fp32
from sreval.networks.architecture import Architecture
from sreval.networks.layers import luma, per_channel, upscale_bicubic, with_luma
from sreval.networks.srresnet import packed

Pixels = TypeVar("Pixels", npt.NDArray[np.uint8], npt.NDArray[np.uint16])

_GREY = (0.299, 0.587, 0.114)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy in test mode in which no convolution is followed by a batch norm of its own."""
    network = copy.deepcopy(network).eval()
    for sequence in network.modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        for place in range(len(sequence) - 1, 0, -1):
            conv, norm = sequence[place - 1], sequence[place]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[place - 1] = fuse_conv_bn_eval(conv, norm)
                del sequence[place]
    return network


def _in_place(network: nn.Module) -> nn.Module:
    """The network with every one-slope PReLU written over its input, which nothing else reads."""
    for sequence in network.modules():
        if isinstance(sequence, nn.Sequential):
            for place, layer in enumerate(sequence):
                if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
                    sequence[place] = nn.LeakyReLU(layer.weight.item(), inplace=True)
    return network


class Inference:
    """A network made ready to upscale images.

    `tile` bounds the memory: the side, in low-resolution pixels, of what is computed at once
    (without its halo); None takes whole images. `batch` is how many equal images, or tiles, go
    together at most.
    """

    def __init__(
        self,
        network: nn.Module,
        architecture: Architecture,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
        tile: int | None = None,
        batch: int = 8,
    ) -> None:
        if tile is not None and tile < 1:
            raise ValueError("tile must be positive")
        self.architecture = architecture
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.tile, self.batch = tile, batch
        self.halo = cast(int, network.radius)
        self.network = (
            packed(_in_place(fold_batch_norm(network)))
            .to(self.device, self.dtype)
            .to(memory_format=torch.channels_last)
        )

    def upscale(
        self, images: Sequence[Pixels], told: Callable[[int, int], object] = lambda *_: None
    ) -> list[Pixels]:
        """Each image (H, W) or (H, W, 3) `scale` times as large, in its own dtype and colour.

        uint8 or uint16; results are rounded half up and clamped. A grey image stays grey. Of each
        batch `told` gets how many tiles are done and how many there are, from 0 on.
        """
        results: dict[int, Pixels] = {}
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, image in enumerate(images):
            groups.setdefault((image.shape, image.dtype.str), []).append(place)
        for places in groups.values():
            for first in range(0, len(places), self.batch):
                chosen = places[first : first + self.batch]
                stack = np.stack([images[place] for place in chosen])
                results.update(zip(chosen, self._stack(stack, told), strict=True))
        return [results[place] for place in range(len(images))]

    @torch.inference_mode()
    @exact_fp32()
    def tensor(self, low: Tensor) -> Tensor:
        """low: (N, 3 or 1, H, W) in [0, 1]; returns (N, as many, scale H, scale W) in [0, 1].

        Not clamped. Three channels through a luma network keep bicubic chroma; one channel
        through a colour network is repeated, and comes back as the luma of what was made.
        """
        scale = self.architecture.scale
        n, channels, height, width = low.shape
        result = low.new_empty(n, channels, scale * height, scale * width)
        for rows, columns, part in self._parts(low):
            result[:, :, rows, columns] = part
        return result

    @torch.inference_mode()
    @exact_fp32()
    def _stack(
        self, stack: npt.NDArray[np.generic], told: Callable[[int, int], object]
    ) -> npt.NDArray[np.generic]:
        peak = np.iinfo(str(stack.dtype)).max
        planes = stack[:, None] if stack.ndim == 3 else stack.transpose(0, 3, 1, 2)
        # torch's support of uint16 is narrow: widen first
        low = torch.from_numpy(planes.astype(np.float32) / peak).to(self.device)
        scale = self.architecture.scale
        n, channels, height, width = low.shape
        # rounded part by part: the whole in floats would be what fills the memory
        array = np.empty((n, scale * height, scale * width, channels), stack.dtype)
        tile = self.tile or max(height, width)
        tiles = math.ceil(height / tile) * math.ceil(width / tile)
        told(0, tiles)
        for done, (rows, columns, part) in enumerate(self._parts(low), 1):
            large = (part * peak).add_(0.5).floor_().clamp_(0, peak)
            array[:, rows, columns] = large.permute(0, 2, 3, 1).cpu().numpy()
            told(done, tiles)
        return array[..., 0] if stack.ndim == 3 else array

    def _parts(self, low: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
        """The output whole or tile by tile: its rows, its columns, its values in [0, 1]."""
        scale = self.architecture.scale
        height, width = low.shape[2:]
        tile = self.tile or max(height, width)
        for top, bottom in _cores(height, tile):
            for left, right in _cores(width, tile):
                y, x = max(top - self.halo, 0), max(left - self.halo, 0)
                around = low[:, :, y : bottom + self.halo, x : right + self.halo].contiguous()
                rows = slice(scale * (top - y), scale * (bottom - y))
                columns = slice(scale * (left - x), scale * (right - x))
                part = self._in_colour(around)[:, :, rows, columns]
                yield (
                    slice(scale * top, scale * bottom),
                    slice(scale * left, scale * right),
                    part,
                )

    def _in_colour(self, low: Tensor) -> Tensor:
        """One part in the channels it has, whatever the network reads and makes."""
        grey = low.shape[1] == 1
        if self.architecture.colour == "luma":
            if grey:
                return self._forward(low)
            large = upscale_bicubic(low, self.architecture.scale)
            return with_luma(large, self._forward(luma(low)))
        rgb = self._forward(low.expand(-1, 3, -1, -1))
        if not grey:
            return rgb
        return (rgb * per_channel(_GREY, rgb)).sum(1, keepdim=True)

    def _forward(self, low: Tensor) -> Tensor:
        before, after = self.architecture.input_range, self.architecture.output_range
        x = low * (before[1] - before[0]) + before[0]
        x = x.to(self.dtype, memory_format=torch.channels_last)
        y: Tensor = self.network(x).float()
        return y.sub_(after[0]).div_(after[1] - after[0])


def _cores(length: int, tile: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, tile):
        yield start, min(start + tile, length)
