"""Bicubic resize exactly as MATLAB's ``imresize`` computes it.

Keys' cubic with a = -0.5 (Keys 1981, IEEE TASSP 29(6)), antialiased when shrinking. MATLAB's
two border rules differ only in the pixels whose taps reach over the edge: ``replicate``
(older releases; the published low-resolution images of Huang et al. 2015 and of the SRGAN
paper) clamps the index, ``symmetric`` (newer releases) mirrors it.

`cubic`, `taps` and `resize_by_taps` are the definition. For scales that are powers of two the
weights are binary fractions, and a sum of 8-bit samples times such weights is exact in whatever
order it is taken; so those images, the benchmark's own, go through matrix products.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from sreval.devices import one_thread
from sreval.errors import ImageError
from sreval.images.scales import checked_scale, hr_size, lr_size

if TYPE_CHECKING:
    import torch

Border = Literal["replicate", "symmetric"]
BORDERS: tuple[Border, ...] = get_args(Border)
UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]


def imresize(
    image: npt.NDArray[np.generic],
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    border: Border = "replicate",
) -> npt.NDArray[np.generic]:
    """Resize an image (H, W) or (H, W, C) by ``scale``, or to ``size`` = (height, width).

    Integer images come back in their own type, rounded half away from zero and saturated
    after each of the two one-dimensional passes, as MATLAB does; float images come back as
    float64, unrounded. With a scale the output measures ceil(scale * input).

    Raises ValueError when not exactly one of scale and size is given, or when it isn't positive.
    """
    if (scale is None) == (size is None):
        raise ValueError("give either scale or size")
    height, width = image.shape[:2]
    if scale is not None:
        shape, factors = (math.ceil(scale * height), math.ceil(scale * width)), (scale, scale)
    else:
        assert size is not None
        shape, factors = size, (size[0] / height, size[1] / width)
    if min(*shape, *factors) <= 0:
        raise ValueError(f"the output must have at least one pixel: {shape}")
    if image.dtype == np.uint8 and factors[0] <= factors[1]:
        exact = _resize_by_products(image.astype(np.uint8, copy=False), shape, factors, border)
        if exact is not None:
            return exact
    return resize_by_taps(image, shape, factors, border)


def resize_by_taps(
    image: npt.NDArray[np.generic],
    shape: tuple[int, int],
    factors: tuple[float, float],
    border: Border,
) -> npt.NDArray[np.generic]:
    """An image (H, W[, C]) in the new ``shape``: along the axis of the smaller factor first."""
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):
        indices, weights = taps(image.shape[axis], shape[axis], factors[axis], border)
        total = weighted(image, axis, indices, weights)
        if np.issubdtype(image.dtype, np.integer):
            limits = np.iinfo(str(image.dtype))
            image = np.clip(round_half_away(total), limits.min, limits.max).astype(image.dtype)
        else:
            image = total
    return np.ascontiguousarray(image)


def weighted(
    image: npt.NDArray[np.generic],
    axis: int,
    indices: npt.NDArray[np.intp],
    weights: Float64,
) -> Float64:
    """Weighted sums of the samples along one axis: ``indices`` and weights (out_length, taps)."""
    source = np.moveaxis(image.astype(np.float64), axis, -1)
    total = np.zeros((*source.shape[:-1], len(indices)))
    # one tap after the other: an exact tie would else round as the local BLAS happens to sum
    for index, weight in zip(indices.T, weights.T, strict=True):
        total += source[..., index] * weight
    return np.moveaxis(total, -1, axis)


def taps(
    in_length: int, out_length: int, scale: float, border: Border
) -> tuple[npt.NDArray[np.intp], Float64]:
    """Source indices and weights (out_length, taps) of each sample of a resized line."""
    width = 4 / scale if scale < 1 else 4.0
    centre = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centre - width / 2)
    positions = left[:, None] + np.arange(math.ceil(width) + 2)
    distance = centre[:, None] - positions
    weights = scale * cubic(scale * distance) if scale < 1 else cubic(distance)
    weights /= weights.sum(axis=1, keepdims=True)
    indices = positions.astype(np.intp) - 1
    if border == "replicate":
        indices = np.clip(indices, 0, in_length - 1)
    else:
        period = np.concatenate([np.arange(in_length), np.arange(in_length)[::-1]])
        indices = period[indices % (2 * in_length)]
    used = np.any(weights != 0, axis=0)
    return indices[:, used], weights[:, used]


def cubic(x: Float64) -> Float64:
    """Keys' kernel of a = -0.5 and support [-2, 2]: Keys 1981."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def round_half_away(values: Float64) -> Float64:
    """Round half away from zero, as MATLAB and C do (NumPy rounds half to even)."""
    return np.trunc(values + np.copysign(0.5, values))


def downscale(image: UInt8, factor: float, border: Border = "replicate") -> UInt8:
    """The low-resolution image of the benchmark: (H, W[, 3]) to (H/factor, W/factor[, 3]).

    Raises as ``require_lr_size`` does.
    """
    size = require_lr_size(image, factor)
    return imresize(image, size=size, border=border).astype(np.uint8, copy=False)


def upscale(image: UInt8, factor: float, border: Border = "replicate") -> UInt8:
    """Bicubic upscaling to ``hr_size``: the reference method ``bicubic``."""
    size = hr_size(image.shape, factor)
    return imresize(image, size=size, border=border).astype(np.uint8, copy=False)


def require_lr_size(image: UInt8, scale: float) -> tuple[int, int]:
    """``lr_size`` of an HR image of which ``crop_to_multiple`` leaves all.

    Raises UsageError for an invalid scale, ImageError for an image that is smaller than one LR
    pixel or must be cropped first.
    """
    scale = checked_scale(scale)
    height, width = crop_to_multiple(image, scale).shape[:2]
    if (height, width) != image.shape[:2]:
        raise ImageError(
            f"{image.shape[1]}x{image.shape[0]} pixels can't be divided by {scale:g}.",
            f"Crop to multiples of {scale:g} first."
            if isinstance(scale, int)
            else f"Crop to {width}x{height} first.",
        )
    return lr_size(image.shape, scale)


def crop_to_multiple(image: UInt8, factor: float) -> UInt8:
    """The image without the last rows and columns that the LR image doesn't cover.

    What is left is ``hr_size`` of ``lr_size``. Raises ImageError where that is nothing.
    """
    low = lr_size(image.shape, factor)
    if min(low) < 1:
        height, width = hr_size((1, 1), factor)
        raise ImageError(
            f"{image.shape[1]}x{image.shape[0]} pixels are smaller than one LR pixel.",
            f"Use images of at least {width}x{height} pixels.",
        )
    height, width = hr_size(low, factor)
    return image[:height, :width]


class _Band(NamedTuple):
    """Outputs start..stop are ``weights`` (outputs, inputs) times the inputs first..last."""

    start: int
    stop: int
    first: int
    last: int
    weights: torch.Tensor


_ROWS = 128
"""Output rows made at once, few enough for the processor's cache."""


def _resize_by_products(
    image: UInt8, shape: tuple[int, int], factors: tuple[float, float], border: Border
) -> UInt8 | None:
    """Both passes, the vertical one first, as products; None where they would not be exact."""
    import torch

    height, width = image.shape[:2]
    channels = image[0, 0].size
    down = _bands(height, shape[0], factors[0], border, 8 if factors[0] < 1 else 32, 1)
    across = _bands(width, shape[1], factors[1], border, 16 if factors[1] < 1 else 32, channels)
    if down is None or across is None:
        return None
    source = torch.from_numpy(np.require(image.reshape(height, -1), requirements=["C", "W"]))
    out = torch.empty((shape[0], shape[1] * channels), dtype=torch.uint8)
    # Memory is taken once: fresh pages cost as much as the arithmetic.
    deepest = max(band.last - band.first for band in down)
    taken = torch.empty((deepest, source.shape[1]), dtype=down[0].weights.dtype)
    middle = torch.empty((_ROWS, source.shape[1]), dtype=down[0].weights.dtype)
    filtered = torch.empty((_ROWS, out.shape[1]), dtype=across[0].weights.dtype)
    group = _ROWS // (down[0].stop - down[0].start)
    with one_thread():
        for bands in (down[first : first + group] for first in range(0, len(down), group)):
            top, bottom = bands[0].start, bands[-1].stop
            for start, stop, first, last, weights in bands:
                inputs = taken[: last - first].copy_(source[first:last])
                rows = torch.mm(weights, inputs, out=middle[start - top : stop - top])
                rows.add_(0.5).clamp_(0, 255).floor_()
            lines, part = middle[: bottom - top].to(filtered.dtype), filtered[: bottom - top]
            for start, stop, first, last, weights in across:
                torch.mm(lines[:, first:last], weights.t(), out=part[:, start:stop])
            out[top:bottom] = part.add_(0.5).clamp_(0, 255)
    return out.numpy().reshape(*shape, *image.shape[2:])


@lru_cache(maxsize=16)
def _bands(
    in_length: int, out_length: int, scale: float, border: Border, block: int, channels: int
) -> list[_Band] | None:
    """The pass along one axis, ``channels`` interleaved, cut into bands of ``block`` outputs.

    None where products would not be exact.
    """
    import torch

    indices, weights = taps(in_length, out_length, scale, border)
    dtype = _exact_type(weights)
    if dtype is None:
        return None
    bands = []
    for start in range(0, out_length, block):
        stop = min(start + block, out_length)
        sources = indices[start:stop]
        first, last = int(sources.min()), int(sources.max()) + 1
        band = np.zeros((stop - start, last - first))
        np.add.at(band, (np.arange(stop - start)[:, None], sources - first), weights[start:stop])
        matrix = torch.from_numpy(np.kron(band, np.eye(channels)).astype(dtype))
        place = [channels * edge for edge in (start, stop, first, last)]
        bands.append(_Band(place[0], place[1], place[2], place[3], matrix))
    return bands


def _exact_type(weights: Float64) -> type[np.float32 | np.float64] | None:
    """The float type in which any sum of 8-bit samples times ``weights`` is exact, if any.

    With weights that are multiples of 2^-n, so are all partial sums; they are exact while
    2^n times the largest of them fits the type's 24 or 53 bits.
    """
    largest = 255 * np.abs(weights).sum(axis=1).max() + 1
    types: dict[type[np.float32 | np.float64], int] = {np.float32: 24, np.float64: 53}
    for dtype, digits in types.items():
        step = 2.0 ** (digits - 1 - math.ceil(math.log2(largest)))
        if np.array_equal(weights * step, np.round(weights * step)):
            return dtype
    return None
