"""Luma as daala's png2y4m makes it with its defaults: BT.709, 16..235, 4:2:0, dithered.

This is the luma of the SRGAN paper's scores (Ledig et al. 2017, section 3.1; the tool at
commit 8d03668). It works in integers throughout: 8-bit values widened to 16 bits, dithered
before conversion, chroma averaged over 2x2 blocks, and each pixel's luma chosen so that,
together with its block's rounded chroma, it reproduces the dithered RGB best.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sreval.images.arrays import require_image
from sreval.images.dither import MAX_BLOCKS, dither_offsets

UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]

MAX_PIXELS = 4 * MAX_BLOCKS
"""The largest image that the dither table serves."""

_D = 9745792000

_STRIP = 4096
"""2x2 blocks converted at once, few enough for the processor's cache."""


def png2y4m_luma(image: UInt8) -> UInt8:
    """Luma of a uint8 image: (H, W, 3) or grey (H, W) to (H, W) uint8.

    Raises ValueError for images of more than MAX_PIXELS pixels, ArrayError for anything but a
    uint8 image.
    """
    require_image(image, "image")
    height, width = image.shape[:2]
    rows, columns = -(-height // 2), -(-width // 2)
    offsets = dither_offsets(rows * columns).reshape(3, 4, rows, columns)
    luma = np.empty((height, width), np.uint8)
    step = max(1, _STRIP // columns)
    for top in range(0, rows, step):
        part = slice(2 * top, 2 * (top + step))
        luma[part] = _strip_luma(image[part], offsets[:, :, top : top + step])
    return luma


def _strip_luma(image: UInt8, dither: npt.NDArray[np.int16]) -> UInt8:
    rows, columns = dither.shape[2:]
    red, green, blue = _dithered_blocks(image, dither)
    cb, cr = _chroma(red.sum(axis=0), green.sum(axis=0), blue.sum(axis=0))
    blocks = _luma(red, green, blue, cb, cr)
    # (pixel of the block, block row, block column) back to (row, column)
    plane = blocks.reshape(2, 2, rows, columns).transpose(2, 0, 3, 1).astype(np.uint8)
    return plane.reshape(2 * rows, 2 * columns)[: image.shape[0], : image.shape[1]]


def _dithered_blocks(image: UInt8, dither: npt.NDArray[np.int16]) -> list[Int64]:
    """Each channel as (4, rows, columns): the block's pixels, dithered, in raster order."""
    height, width = image.shape[:2]
    colour = np.broadcast_to(image[..., None], (*image.shape, 3)) if image.ndim == 2 else image
    rows, columns = dither.shape[2:]
    channels = []
    for channel in range(3):
        wide = colour[..., channel].astype(np.int64) * 257
        padded = np.pad(wide, ((0, 2 * rows - height), (0, 2 * columns - width)))
        blocks = padded.reshape(rows, 2, columns, 2).transpose(1, 3, 0, 2).reshape(4, rows, columns)
        out = blocks + dither[channel]
        # An odd edge repeats the last dithered pixel.
        if width % 2:
            out[1::2, :, -1] = out[0::2, :, -1]
        if height % 2:
            out[2:, -1] = out[:2, -1]
        channels.append(out)
    return channels


def _chroma(red: Int64, green: Int64, blue: Int64) -> tuple[Int64, Int64]:
    cb = 128 + _round_div(-29764 * red - 100128 * green + 129892 * blue, 304016865)
    cr = 128 + _round_div(110236 * red - 100128 * green - 10108 * blue, 258011295)
    return np.clip(cb, 0, 255), np.clip(cr, 0, 255)


def _luma(red: Int64, green: Int64, blue: Int64, cb: Int64, cr: Int64) -> Int64:
    for_red = 4490222169144 * (cr - 128)
    for_green = -534117096223 * (cb - 128) - 1334761232047 * (cr - 128)
    for_blue = 5290866304968 * (cb - 128)
    weighted = 1063 * ((red * _D - for_red + 4096) >> 13)
    weighted += 3576 * ((green * _D - for_green + 4096) >> 13)
    weighted += 361 * ((blue * _D - for_blue + 4096) >> 13)
    low = np.clip(np.floor(weighted / 1780026171875), -16, 238).astype(np.int64)
    high = low + 1
    error_low = _squared_error(low, red, green, blue, for_red, for_green, for_blue)
    error_high = _squared_error(high, red, green, blue, for_red, for_green, for_blue)
    take_high = (error_high < error_low) | ((error_high == error_low) & (high % 2 == 0))
    return np.where(take_high, high, low) + 16


def _squared_error(
    y: Int64,
    red: Int64,
    green: Int64,
    blue: Int64,
    for_red: Int64,
    for_green: Int64,
    for_blue: Int64,
) -> npt.NDArray[np.int32]:
    total = np.zeros(y.shape, np.int32)
    scaled = 2916394880000 * y
    for seen, offset in ((red, for_red), (green, for_green), (blue, for_blue)):
        shown = np.clip(_round_div(scaled + offset, _D), 0, 65535)
        difference = (shown - seen).astype(np.int32)
        # The tool sums squares in a signed 32-bit integer; so does this, wrapping included.
        total += difference * difference
    return total


def _round_div(numerator: Int64, denominator: int) -> Int64:
    """numerator / denominator, rounded half away from zero.

    Exact although it divides in float64: the numerators stay below 2^53, and a quotient below
    2^17 is further from a wrong side (1/denominator > 1e-10) than float64 can err (2e-11).
    """
    quotient = numerator / denominator
    quotient += np.copysign(0.5, quotient)
    return quotient.astype(np.int64)  # which drops the fraction
