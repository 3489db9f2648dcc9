"""The lumas of the field: BT.601 as MATLAB computes it, its variants, and daala's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError
from sreval.images import _daala
from sreval.images.arrays import require_image
from sreval.images.resize import round_half_away

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_BT601 = np.array([65.481, 128.553, 24.966])
_BT601_FLOAT32 = (_BT601 / 255).astype(np.float32)


def bt601_float(image: UInt8) -> Float64:
    """Studio-range BT.601 luma, unrounded: (H, W, 3) uint8 to (H, W) float64 in 16..235.

    A grey image is taken as it is. The sum runs in MATLAB's order, which decides exact ties.
    Raises ArrayError for anything but a uint8 image; so do the two below.
    """
    require_image(image, "image")
    return image.astype(np.float64) if image.ndim == 2 else _bt601(image)


def bt601(image: UInt8) -> UInt8:
    """MATLAB's ``rgb2ycbcr`` luma of a uint8 image: (H, W, 3) to (H, W) uint8 in 16..235."""
    require_image(image, "image")
    if image.ndim == 2:
        return image
    # In float32 first, which errs by at most 5 roundings of 252 / 2^24 = 1.5e-5. What lies so near
    # a half that this could matter, about a pixel in 5,000, is computed anew.
    shifted: Float32 = image.astype(np.float32) @ _BT601_FLOAT32
    shifted += 16.5
    low = np.floor(shifted)
    luma = low.astype(np.uint8)
    shifted -= low
    shifted -= 0.5
    unsure = np.abs(shifted, out=shifted) > 0.5 - 1e-4
    luma[unsure] = round_half_away(_bt601(image[unsure]))
    return luma


def _bt601(colours: UInt8) -> Float64:
    weights = _BT601 * (1 / 255)
    red, green, blue = (colours[..., channel].astype(np.float64) for channel in range(3))
    luma: Float64 = weights[0] * red
    luma += weights[1] * green
    luma += weights[2] * blue
    luma += 16
    return luma


def bt601_full_range(image: UInt8) -> Float64:
    """Full-range BT.601 luma (JPEG, OpenCV, Pillow), unrounded, 0..255: costs 1.3 dB."""
    require_image(image, "image")
    if image.ndim == 2:
        return image.astype(np.float64)
    luma: Float64 = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return luma


def png2y4m_luma(image: UInt8) -> UInt8:
    """Luma of daala's png2y4m, BT.709 and dithered: (H, W[, 3]) to (H, W) uint8 in 16..235.

    It is that of `daala.png2y4m_pixel_by_pixel`. Raises ImageError for an image of more pixels
    than the dither table has, ArrayError for anything but a uint8 image.
    """
    require_image(image, "image")
    height, width = image.shape[:2]
    # The table goes by 2x2 blocks: an odd side takes as much of it as the next even one.
    if -(-height // 2) * -(-width // 2) > _daala.MAX_BLOCKS:
        raise ImageError(
            f"{width}x{height} pixels are too many: the dither table of daala's luma ends at "
            f"{4 * _daala.MAX_BLOCKS}, with odd sides counted as even.",
            "Score it under another protocol.",
        )
    return _daala.luma(image)
