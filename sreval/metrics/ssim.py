"""Structural similarity, in the two forms that the field's tables are made of.

Both are the index of Wang et al. 2004 ("Image quality assessment: from error visibility to
structural similarity", IEEE TIP 13(4)), equation 13. They differ in the window, and in what becomes
of places near the border. `ssim_map` is the definition; `ssim_wang` and `ssim_daala` compute its
means fast.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from sreval.errors import ArrayError, ImageError
from sreval.images.arrays import require_image, require_pair
from sreval.metrics import _ssim

if TYPE_CHECKING:
    import torch

Plane = npt.NDArray[np.generic]
Float64 = npt.NDArray[np.float64]

WANG_WINDOW = 11
K1, K2 = 0.01, 0.03
"""The paper's, section III.B."""


def ssim_map(
    reference: Plane,
    image: Plane,
    kernel: Float64,
    places: Literal["valid", "same"],
    data_range: float = 255,
) -> tuple[Float64, Float64]:
    """SSIM at every place of two planes (H, W), and the weight of the window there.

    The window is the product of `kernel` down and across, of which a place sees what lies inside
    the planes. `places` are those that see the whole window ("valid"), or all ("same").
    """
    window = np.outer(kernel, kernel)

    def summed(plane: Float64) -> Float64:
        padded = np.pad(plane, len(kernel) // 2 if places == "same" else 0)
        sums: Float64 = np.einsum("yxji,ji->yx", sliding_window_view(padded, window.shape), window)
        return sums

    x: Float64 = reference.astype(np.float64)
    y: Float64 = image.astype(np.float64)
    weight = summed(np.ones(x.shape))
    mean_x, mean_y = summed(x) / weight, summed(y) / weight  # equation 14
    variance_x = summed(x * x) / weight - mean_x**2  # equation 15
    variance_y = summed(y * y) / weight - mean_y**2
    covariance = summed(x * y) / weight - mean_x * mean_y  # equation 16
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)  # equation 13
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return similarity, weight


def ssim_wang(
    reference: Plane,
    image: Plane,
    device: str | torch.device = "cpu",
    data_range: float | None = None,
) -> float:
    """Mean SSIM of two planes (H, W), uint8 or floats of 0..255: Wang et al. 2004, equation 17.

    That is the mean of `ssim_map` with `wang_kernel` over the valid places; L = 255, or
    ``data_range`` for planes of another range. Raises ImageError when a side is smaller than the
    window, ArrayError, a ValueError, for another shape, type or range.
    """
    peak = require_pair(reference, image, data_range)
    _require_plane(reference)
    if min(reference.shape) < WANG_WINDOW:
        raise ImageError(
            f"{reference.shape[1]}x{reference.shape[0]} pixels are smaller than SSIM's window of "
            f"{WANG_WINDOW}x{WANG_WINDOW}.",
            "Score larger images.",
        )
    constants = (K1 * peak) ** 2, (K2 * peak) ** 2
    return _ssim.inside(reference, image, wang_kernel(), constants, device)


def ssim_daala(reference: Plane, image: Plane, device: str | torch.device = "cpu") -> float:
    """Mean SSIM of two uint8 planes (H, W) as daala's dump_ssim computes it.

    That is the mean of `ssim_map` with `daala_kernel` over all places, each with its weight.
    Exact in float64. Raises ArrayError, a ValueError, for another shape or type.
    """
    require_pair(reference, image)
    require_image(reference, "reference")
    require_image(image, "image")
    _require_plane(reference)
    constants = 255**2 * K1**2, 255**2 * K2**2
    return _ssim.everywhere(reference, image, daala_kernel(*reference.shape), constants, device)


def wang_kernel() -> Float64:
    """The 11 taps of the Gaussian of sigma 1.5, summing to 1: Wang et al. 2004, section III.C."""
    offsets = np.arange(WANG_WINDOW) - WANG_WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * 1.5**2))
    return np.asarray(taps / taps.sum(), dtype=np.float64)


def daala_kernel(height: int, width: int) -> Float64:
    """The whole taps of dump_ssim for a picture of that size, summing to 256.

    A Gaussian whose sigma grows with the picture, cut where a tap would round to nothing.
    """
    sigma = 1.5 * height / 256
    scale = math.sqrt(math.pi / 2) * sigma / 256
    length = 0 if scale >= 1 else math.floor(sigma * math.sqrt(-2 * math.log(scale)))
    length = min(length, min(width, height) - 1)
    peak = 256 / (math.sqrt(2 * math.pi) * sigma)
    side = [
        math.floor(peak * math.exp(-(i**2) / (2 * sigma**2)) + 0.5) for i in range(1, length + 1)
    ]
    return np.array([*side[::-1], 256 - 2 * sum(side), *side], dtype=np.float64)


def _require_plane(reference: Plane) -> None:
    if reference.ndim != 2:
        raise ArrayError(
            f"SSIM takes planes (H, W); these have the shape {reference.shape}.",
            "Convert them to luma, or score the channels one by one.",
        )
