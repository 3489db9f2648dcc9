"""The luma of the SRGAN paper's scores: what daala's png2y4m makes of an image by default.

Ledig et al. 2017, section 3.1; the tool at commit 8d03668. It is BT.709 luma in 16..235, 4:2:0 and
dithered, in whole numbers throughout: samples widened to 16 bits are dithered, chroma is that of
2x2 blocks, and a pixel's luma is the one that, with its block's chroma, shows its colour best.

This is the definition, pixel by pixel. `images.luma.png2y4m_luma` gives the same luma fast.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

KISS99 = 362436069, 521288629, 123456789, 380116160
"""The seeds z, w, jsr and jcong of Marsaglia's generator, the same for every image."""

WEIGHTS = 1063, 3576, 361
"""BT.709's luma, 0.2126 R + 0.7152 G + 0.0722 B, in parts of 5000 (ITU-R BT.709-6, item 3.2)."""

ONE = 9745792000
"""The tool's unit of a 16-bit sample, in which the four steps below are whole."""

STEP = ONE * 65535 // 219
CR_TO_RED = ONE * 65535 * 15748 // (10000 * 224)
CB_TO_BLUE = ONE * 65535 * 18556 // (10000 * 224)
CR_TO_GREEN = -CR_TO_RED * 1063 // 3576
CB_TO_GREEN = -CB_TO_BLUE * 361 // 3576
"""What a step of luma adds to each colour, and a step of chroma to one: luma has 219 of them,
chroma 224, and Cr is (R - Y) / 1.5748, Cb (B - Y) / 1.8556 (items 3.3 and 3.4)."""

MODULI = 1223320001, 1479548744, 1255654970
"""The ranges of the dither of Y, Cb and Cr: the numbers from 0 to one step of luma, of Cb in blue
and of Cr in red, in units of 2/8176000, 3/8176000 and 3/8176000 of a 16-bit sample."""


def png2y4m_pixel_by_pixel(image: UInt8) -> UInt8:
    """Luma of a uint8 image: (H, W, 3) or grey (H, W) to (H, W) uint8 in 16..235."""
    height, width = image.shape[:2]
    colour = np.broadcast_to(image.reshape(height, width, -1), (height, width, 3)).tolist()
    luma = np.empty((height, width), np.uint8)
    triples = dither()
    for top in range(0, height, 2):
        for left in range(0, width, 2):
            drawn = [next(triples) for _ in range(4)]
            pixels: list[Colour] = []
            for place, (yd, _, _) in enumerate(drawn):
                row, column = top + place // 2, left + place % 2
                # an odd edge repeats the last dithered pixel
                if row >= height:
                    pixels.append(pixels[place - 2])
                elif column >= width:
                    pixels.append(pixels[place - 1])
                else:
                    pixels.append(_dithered(colour[row][column], yd, *drawn[0][1:]))
            chroma = _chroma(pixels)
            for place, pixel in enumerate(pixels):
                row, column = top + place // 2, left + place % 2
                if row < height and column < width:
                    luma[row, column] = 16 + _luma(pixel, *chroma)
    return luma


def kiss99() -> Iterator[int]:
    """Numbers of 0 .. 2^32 - 1: Marsaglia's KISS99 ("Random numbers for C", sci.math 1999)."""
    z, w, jsr, jcong = KISS99
    mask = 0xFFFFFFFF
    while True:
        z = 36969 * (z & 65535) + (z >> 16)
        w = 18000 * (w & 65535) + (w >> 16)
        jsr ^= (jsr << 17) & mask
        jsr ^= jsr >> 13
        jsr ^= (jsr << 5) & mask
        jcong = (69069 * jcong + 1234567) & mask
        yield (((((z << 16) + w) & mask) ^ jcong) + jsr) & mask


def dither() -> Iterator[tuple[int, int, int]]:
    """The dither (yd, cbd, crd) of pixel after pixel, block after block, in raster order.

    Each is the difference of two even draws, for which a number that would favour some is drawn
    again.
    """
    numbers = kiss99()

    def draw(modulus: int) -> int:
        bound = 0xFFFFFFFF // modulus * modulus
        return next(number for number in numbers if number < bound) % modulus

    while True:
        yd, cbd, crd = (draw(modulus) - draw(modulus) for modulus in MODULI)
        yield yd, cbd, crd


def _dithered(pixel: Colour, yd: int, cbd: int, crd: int) -> Colour:
    """A pixel in 16 bits with its own dither of luma and its block's of chroma."""
    red, green, blue = (257 * value for value in pixel)
    return (
        red + _divide(2 * yd + 3 * crd, 8176000),
        green + _divide(2384 * yd + 361 * cbd + 1063 * crd, ONE),
        blue + _divide(2 * yd + 3 * cbd, 8176000),
    )


def _chroma(pixels: list[Colour]) -> tuple[int, int]:
    """Cb and Cr of four pixels, without their 128, which 0..255 bound.

    The means of B - Y and R - Y over 1.8556 and 1.5748, in steps of 65535/224; the tool has both
    sides 4 * 28 * 5000 times as large.
    """
    red, green, blue = (sum(pixel[channel] for pixel in pixels) for channel in range(3))
    cb = _divide(-29764 * red - 100128 * green + 129892 * blue, 304016865)
    cr = _divide(110236 * red - 100128 * green - 10108 * blue, 258011295)
    return min(max(cb, -128), 127), min(max(cr, -128), 127)


def _luma(pixel: Colour, cb: int, cr: int) -> int:
    """The luma less 16 with which a block's chroma shows a pixel best; of two alike, the even."""
    of_chroma = CR_TO_RED * cr, CB_TO_GREEN * cb + CR_TO_GREEN * cr, CB_TO_BLUE * cb
    # 2^13 keeps the tool's sum within 64 bits
    left = [(ONE * v - c + 4096) >> 13 for v, c in zip(pixel, of_chroma, strict=True)]
    weighted = sum(weight * v for weight, v in zip(WEIGHTS, left, strict=True))
    low = min(max(weighted // (5000 * STEP >> 13), -16), 238)

    def error(luma: int) -> int:
        shown = (min(max(_divide(STEP * luma + c, ONE), 0), 65535) for c in of_chroma)
        total = sum((s - v) ** 2 for s, v in zip(shown, pixel, strict=True))
        # the tool's sum is a signed integer of 32 bits, which it may leave
        return (total + 2**31) % 2**32 - 2**31

    return min((low, low + 1), key=lambda luma: (error(luma), luma % 2))


def _divide(numerator: int, denominator: int) -> int:
    """numerator / denominator, rounded half away from zero."""
    sign = -1 if numerator < 0 else 1
    return sign * ((abs(numerator) + denominator // 2) // denominator)
