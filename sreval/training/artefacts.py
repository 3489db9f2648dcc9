"""What a network adds of its own: a grid of its upscaling steps, a texture and a tint.

Neither PSNR nor SSIM nor LPIPS tells them from honest error, and all three can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sreval.networks.inference import Inference

UInt8 = npt.NDArray[np.uint8]

FLAT_COLOURS = (
    (128, 128, 128),
    (48, 48, 48),
    (208, 208, 208),
    (168, 88, 80),
    (88, 144, 96),
    (80, 104, 176),
)
"""Mid, dark and light grey; red, green and blue of moderate saturation."""

_LEAST_SIDE = 32
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
    cut = _FLAT_BORDER * inference.architecture.scale
    inner = 255 * inference.tensor(low)[:, :, cut:-cut, cut:-cut].double()
    pattern = inner.std((2, 3), correction=0)
    offset = (inner.mean((2, 3)) - colours).abs()
    return Flat(float(pattern.max()), float(offset.max()))


def grid_peak(grey: npt.NDArray[np.generic]) -> float:
    """How much an image repeats every 4 and every 2 pixels, as a x4 network in two steps may.

    grey: (h, w), any range; see `grey_of`. The mean, over the five frequencies of period 4 and 2
    (both axes, and the diagonal of period 4), of the energy in the 3x3 places there over that of
    the places 3 to 6 away. Without a grid it is near 1, for the originals of Set5 2.3 in the
    median; for a flat image 0; NaN where a side is under 32, as the places would then overlap.
    """
    height, width = (side // 8 * 8 for side in grey.shape)
    if min(height, width) < _LEAST_SIDE:
        return float("nan")
    cut = grey[:height, :width].astype(np.float64)
    power = np.abs(np.fft.fft2(cut - cut.mean())) ** 2
    power[power < _ROUNDING * (cut**2).sum() * cut.size] = 0
    y, x = np.ogrid[-6:7, -6:7]
    away = np.maximum(abs(y), abs(x))
    ratios = []
    for row, column in (
        (height // 4, 0),
        (0, width // 4),
        (height // 2, 0),
        (0, width // 2),
        (height // 4, width // 4),
    ):
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
