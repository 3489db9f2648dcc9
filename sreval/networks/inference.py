"""Images through a network: in batches of one size, in tiles where asked, padded where needed.

A network says by its `Interface` what it takes and returns. A tile is computed with an overlap, so
that its core is what the whole image would give wherever the network sees no farther. fp32 is never
TF32 here. A network of ours is made faster first: batch norm's factor and offset are folded into
the convolution before it, and SRResNet's output layer is computed in packed form.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sreval.devices import Precision, exact_fp32
from sreval.errors import ImageError
from sreval.networks.architecture import Architecture, OwnArchitecture
from sreval.networks.layers import in_channels_last, luma, per_channel, upscale_bicubic, with_luma
from sreval.networks.srresnet import packed

Pixels = TypeVar("Pixels", npt.NDArray[np.uint8], npt.NDArray[np.uint16])
Range = tuple[float, float]

Check = Literal["nothing", "finite", "shift", "range"]
"""Each asks for more: an output may be anything; NaN and infinite values are an ImageError; how far
an output is from its image is measured; one that can't be meant in the range is an ImageError."""

OVERLAP = 32
"""Of the tiles of a network that declares none, in low-resolution pixels. A multiple of the windows
of 4, 8, 16 and 32 pixels that attention is computed in."""

FARTHEST = 64
"""As far as `Inference.reach` looks, in low-resolution pixels."""

_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Interface:
    """What a network takes and returns.

    `colour`: `rgb` or `bgr`, three channels in that order; `luma`, MATLAB's BT.601 luma, a colour
    image keeping its chroma by bicubic; `grey`, one channel, each of a colour image's by itself.
    `input_range` and `output_range` are the values that black and white have. Sizes are
    low-resolution pixels: tiles overlap by `overlap` and begin on multiples of `grid`; an image is
    padded by reflection to multiples of `multiple` and to `least` at least. `fixed` is the only
    height and width that the network takes, where it takes one.
    """

    scale: int
    colour: Literal["rgb", "bgr", "luma", "grey"] = "rgb"
    input_range: Range = (0.0, 1.0)
    output_range: Range = (0.0, 1.0)
    overlap: int = OVERLAP
    grid: int = OVERLAP
    multiple: int = 1
    least: int = 1
    fixed: tuple[int, int] | None = None

    @property
    def channels(self) -> int:
        """As many as it takes and returns."""
        return 3 if self.colour in ("rgb", "bgr") else 1


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


class _ChannelsLast(nn.Module):
    """A network run on images whose channels lie together in memory, as convolutions like it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = in_channels_last(network)

    def forward(self, low: Tensor) -> Tensor:
        result: Tensor = self.network(low.contiguous(memory_format=torch.channels_last))
        return result


class Inference:
    """A network made ready to upscale images.

    `tile` bounds the memory: the side, in low-resolution pixels, of what is computed at once
    (without its overlap); None takes whole images. `batch` is how many equal images, or tiles, go
    together at most. `check` is what an output must be, see `Check`; `declarable` says whether its
    user can declare another range. `tiled` says whether any image was computed in several tiles,
    `padded` whether any was smaller than the fixed size. `shift` is how far an output was from its
    image at most, where that is measured: the root mean square, in 0..1, over the means of squares
    of 8 low-resolution pixels. `measured` is False once `reach` failed.
    `defined` is the network before it was made faster. `own` says whether a recipe names its code.
    """

    def __init__(
        self,
        network: nn.Module,
        interface: Interface,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
        tile: int | None = None,
        batch: int = 8,
        check: Check = "finite",
        declarable: bool = False,
    ) -> None:
        if tile is not None and tile < 1:
            raise ValueError("tile must be positive")
        self.interface = interface
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.tile, self.batch = tile, batch
        self.network = self.defined = network.to(self.device, self.dtype)
        self.tiled = self.padded = False
        self.shift = 0.0
        self.measured = True
        self.declarable = declarable
        self.own = False
        self._check: Check = check

    @classmethod
    def of(cls, network: nn.Module, architecture: Architecture, **settings: Any) -> Self:
        """Of a copy of a network that sreval trained; `settings` are those of the constructor."""
        if isinstance(architecture, OwnArchitecture):
            interface = Interface(
                architecture.scale,
                architecture.colour,
                architecture.input_range,
                architecture.output_range,
                multiple=architecture.multiple,
            )
            own = cls(copy.deepcopy(network).eval(), interface, **settings)
            own.own = True
            return own
        faster = _ChannelsLast(packed(_in_place(fold_batch_norm(network))))
        radius = cast(int, network.radius)
        interface = Interface(
            architecture.scale,
            architecture.colour,
            architecture.input_range,
            architecture.output_range,
            overlap=radius,
            grid=1,
        )
        made = cls(faster, interface, **settings)
        made.reach, made.defined = radius, network
        return made

    @property
    def size_remedy(self) -> str:
        """What to do where the network doesn't take a size that it was given."""
        if self.own:
            return "Fix it, or the keys of [network] in its recipe, such as multiple."
        if not self.declarable:
            return "Check the weights."
        return (
            "Declare the sizes that it takes, as in multiple=8, or fixed=48 where it takes that "
            "size alone."
        )

    @cached_property
    def reach(self) -> int | None:
        """How far, in low-resolution pixels, the network sees beyond the place it computes.

        Measured: two random images that agree between two cuts on the grid, how far from the cuts
        do the outputs differ at all, across and down. None where that is
        everywhere up to FARTHEST, as where it sees the whole image, for a fixed size, and where
        the network fails on these images.
        """
        if self.interface.fixed:
            return None
        try:
            return self._reach()
        except Exception:  # a network of others may raise anything
            self.measured = False
            return None

    @torch.inference_mode()
    @exact_fp32()
    def _reach(self) -> int | None:
        shown = self.interface
        grid = math.lcm(shown.grid, shown.multiple)
        least = grid * math.ceil(shown.least / grid)
        middle = max(grid * math.ceil(2 * FARTHEST / grid), least)
        generator = torch.Generator().manual_seed(0)
        shape = (1, shown.channels, max(grid, least), middle + 2 * grid)
        one, other = (torch.rand(shape, generator=generator) for _ in range(2))
        other *= 0.25  # darker and flatter: averages over the whole image differ, too
        other[..., grid : grid + middle] = one[..., grid : grid + middle]
        found = 0
        for turned in (False, True):
            pair = [(x.mT if turned else x).contiguous().to(self.device) for x in (one, other)]
            change = (self._forward(pair[0]) - self._forward(pair[1])).abs().amax((0, 1))
            changed = change.amax(1 if turned else 0).view(-1, shown.scale).amax(1) > 0
            inside = changed[grid : grid + middle].nonzero().flatten()
            ways = torch.minimum(inside + 1, middle - inside)
            found = max(found, int(ways.max()) if len(ways) else 0)
        return found if found < FARTHEST else None

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
        scale = self.interface.scale
        n, channels, height, width = low.shape
        result = low.new_empty(n, channels, scale * height, scale * width)
        for rows, columns in self._tiles(height, width):
            result[:, :, rows.large, columns.large] = self._part(low, rows, columns)
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
        scale = self.interface.scale
        n, channels, height, width = low.shape
        # rounded part by part: the whole in floats would be what fills the memory
        array = np.empty((n, scale * height, scale * width, channels), stack.dtype)
        tiles = self._tiles(height, width)
        ends: list[float] = []
        shifts: list[Tensor] = []
        told(0, len(tiles))
        for done, (rows, columns) in enumerate(tiles, 1):
            part = self._part(low, rows, columns)
            if self._check != "nothing":
                ends += map(float, torch.aminmax(part))
                _require_finite(ends)
            if self._check in ("shift", "range"):
                shifts.append(_shifts(part, low[:, :, rows.kept, columns.kept], scale))
            large = (part * peak).add_(0.5).floor_().clamp_(0, peak)
            with np.errstate(invalid="ignore"):  # where anything is allowed, so is NaN
                array[:, rows.large, columns.large] = large.permute(0, 2, 3, 1).cpu().numpy()
            told(done, len(tiles))
        if self._check == "range":
            self._require_range(min(ends), max(ends), low)
        if shifts:
            self.shift = max(self.shift, float(torch.cat(shifts).mean().sqrt()))
        fixed = self.interface.fixed
        self.tiled |= len(tiles) > 1
        self.padded |= fixed is not None and (height < fixed[0] or width < fixed[1])
        return array[..., 0] if stack.ndim == 3 else array

    def _tiles(self, height: int, width: int) -> list[tuple[_Span, _Span]]:
        """The rows and the columns of every tile."""
        shown, tile = self.interface, self.tile or max(height, width)
        if shown.fixed:
            sides = zip((height, width), shown.fixed, strict=True)
            spans = [list(_fixed_spans(length, side, shown)) for length, side in sides]
        else:
            spans = [list(_spans(length, tile, shown)) for length in (height, width)]
        rows, columns = spans
        return list(product(rows, columns))

    def _part(self, low: Tensor, rows: _Span, columns: _Span) -> Tensor:
        """The output of one tile, in [0, 1]."""
        around = low[:, :, rows.seen, columns.seen].contiguous()
        return self._in_colour(around)[:, :, rows.core, columns.core]

    def _in_colour(self, low: Tensor) -> Tensor:
        """One part in the channels it has, whatever the network reads and makes."""
        grey = low.shape[1] == 1
        if self.interface.channels == 3:
            rgb = low.expand(-1, 3, -1, -1)
            if self.interface.colour == "bgr":
                rgb = self._forward(rgb.flip(1)).flip(1)
            else:
                rgb = self._forward(rgb)
            return (rgb * per_channel(_GREY, rgb)).sum(1, keepdim=True) if grey else rgb
        if grey:
            return self._forward(low)
        if self.interface.colour == "grey":
            return torch.cat([self._forward(plane) for plane in torch.split(low, 1, 1)], 1)
        return with_luma(upscale_bicubic(low, self.interface.scale), self._forward(luma(low)))

    def _forward(self, low: Tensor) -> Tensor:
        """The network's output for what it takes, (N, C, H, W) in [0, 1], without the padding."""
        shown = self.interface
        before, after = shown.input_range, shown.output_range
        x = low * (before[1] - before[0]) + before[0]
        y = self.network(_padded(x, shown).to(self.dtype))
        if not isinstance(y, Tensor):
            raise ImageError(
                f"The network returned a {type(y).__name__}, not a tensor.",
                "Give a module that returns its image alone.",
            )
        height, width = low.shape[2:]
        fits = y.ndim == 4 and y.shape[:2] == low.shape[:2]
        if not fits or y.shape[2:] != torch.Size(
            shown.scale * n for n in padded_size(low.shape[2:], shown)
        ):
            raise ImageError(
                f"The network returned the shape {tuple(y.shape)} for {tuple(low.shape)}, which "
                f"isn't {shown.scale} times as large.",
                self.size_remedy,
            )
        y = y[..., : shown.scale * height, : shown.scale * width].float()
        return (y - after[0]).div_(after[1] - after[0])

    def _require_range(self, low: float, high: float, image: Tensor) -> None:
        """Raises ImageError unless an output, 0..1 by its declaration, can be meant as that.

        Overshoot counts as meant. In -1..1 the darkest value would be twice the LR image's, less 1:
        half way down to it is too low. In 0..255 the brightest would be 255 times as high, and
        where 0..255 is declared and it returns 0..1, a 255th.
        """
        darkest, brightest = float(image.min()), float(image.max())
        lowest, highest = min(1.5 * darkest - 0.5, -0.1), min(2.0, 0.5 + 16 * brightest)
        dim = brightest / 16 if brightest > 0.1 else lowest  # what is nearly black may become so
        if lowest <= low and dim <= high <= highest:
            return
        black, white = self.interface.output_range
        low, high, darkest, brightest = (
            black + end * (white - black) for end in (low, high, darkest, brightest)
        )
        remedy = "Check the weights."
        if self.declarable:
            remedy = _range_remedy(low, high)
        raise ImageError(
            f"The network returned values of {low:.3g}..{high:.3g} for an image of {darkest:.3g}.."
            f"{brightest:.3g}, which can't be meant as {black:g}..{white:g}.",
            remedy,
        )


@dataclass(frozen=True)
class _Span:
    """One side of a tile: where its core lies in the image, what is seen, all within [0, length).

    `seen` and `kept` are slices of the low-resolution image, with and without the overlap, `large`
    of the output, and `core` is the same place in the tile's own output.
    """

    seen: slice
    kept: slice
    core: slice
    large: slice


def _require_finite(values: Sequence[float]) -> None:
    if not all(map(math.isfinite, values)):
        raise ImageError(
            "The network returned NaN or infinite values.",
            "Check its weights; in training, try a smaller learning rate.",
        )


def _range_remedy(low: float, high: float) -> str:
    """What to declare of a network that returned `low` to `high`, and of which nothing says so."""
    right = "If 0..1 is right, declare range=0..1: a declared range isn't doubted."
    for black, white in ((-1, 1), (0, 255)):
        beyond = (white - black) / 4
        if black - beyond <= low and high <= white + beyond:
            likely = f"range={black}..{white}"
            return (
                f"Declare the range that it was trained on, perhaps {likely}, or output_{likely} "
                f"for its output alone. {right}"
            )
    return (
        "Declare the range that it was trained on, as in range=MIN..MAX, or check its weights. "
        f"{right}"
    )


def _shifts(large: Tensor, low: Tensor, scale: int) -> Tensor:
    """Squared differences of the means of squares of 8 low-resolution pixels, flat."""
    made, given = (
        functional.avg_pool2d(image.float(), side, ceil_mode=True, count_include_pad=False)
        for image, side in ((large, 8 * scale), (low, 8))
    )
    return (made - given).square().flatten()


def _span(start: int, stop: int, first: int, last: int, scale: int) -> _Span:
    """Of a core from `start` to `stop`, seen from `first` to `last`."""
    core = slice(scale * (start - first), scale * (stop - first))
    large = slice(scale * start, scale * stop)
    return _Span(slice(first, last), slice(start, stop), core, large)


def _spans(length: int, tile: int, shown: Interface) -> Iterator[_Span]:
    """The tiles of one side; what they see begins and ends on the grid."""
    grid = math.lcm(shown.grid, shown.multiple)
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        first = max(start - shown.overlap, 0) // grid * grid
        last = min(grid * math.ceil((stop + shown.overlap) / grid), length)
        yield _span(start, stop, first, last, shown.scale)


def _fixed_spans(length: int, side: int, shown: Interface) -> Iterator[_Span]:
    """The tiles of one side where the network takes `side` pixels, no more and no fewer."""
    overlap = min(shown.overlap, side // 4)
    start = 0
    while start < length:
        first = min(max(start - overlap, 0), max(length - side, 0))
        last = min(first + side, length)
        stop = length if last == length else last - overlap
        yield _span(start, stop, first, last, shown.scale)
        start = stop


def padded_size(sides: Sequence[int], shown: Interface) -> tuple[int, int]:
    """The height and width to which an image of two `sides` is padded."""
    height, width = (
        shown.multiple * math.ceil(max(side, shown.least) / shown.multiple) for side in sides
    )
    return shown.fixed or (height, width)


def _padded(low: Tensor, shown: Interface) -> Tensor:
    """Reflected at the right and at the bottom, and from where that ends, the last pixel."""
    height, width = low.shape[2:]
    down, right = (
        wanted - side
        for wanted, side in zip(padded_size((height, width), shown), (height, width), strict=True)
    )
    if not down and not right:
        return low
    reflected = min(right, width - 1), min(down, height - 1)
    low = functional.pad(low, (0, reflected[0], 0, reflected[1]), "reflect")
    return functional.pad(low, (0, right - reflected[0], 0, down - reflected[1]), "replicate")
