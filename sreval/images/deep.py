"""Samples of other than 8 bits, and how much of any file is decoded."""

from __future__ import annotations

import io
import math
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from sreval.errors import ImageError, install

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

MAX_BYTES = 2**29
"""The most that a file, and the samples decoded from it, may take: 512 MiB."""


def deep_codecs(path: Path, doing: Literal["Reading", "Writing"]) -> ModuleType:
    """The package imagecodecs, for samples of more than 8 bits that Pillow would narrow.

    Nothing else needs it: a machine without it can do everything else. Raises ImageError, naming
    the package and the file, where it is missing.
    """
    try:
        import imagecodecs
    except ImportError:
        raise ImageError(
            f"{doing} {path} needs the package imagecodecs: its samples have more than 8 bits, or "
            "an odd number of bits.",
            install("16bit"),
        ) from None
    return imagecodecs


def bound_tiff(path: Path, sizes: tuple[int, ...], pixel_bytes: int) -> None:
    """Refuse a TIFF whose width, height, depth or tiles are too large, and any with a depth."""
    width, height, depth, tile_width, tile_height = sizes
    size = max(width * height * depth, tile_width * tile_height) * pixel_bytes
    if size > MAX_BYTES:
        raise too_much(path, size)
    if depth > 1:
        raise frames(path, depth)


def decode_tiff(path: Path, data: bytes) -> Pixels:
    """A TIFF whose samples Pillow narrows, leaves unstretched or doesn't identify, turned.

    uint8 for at most 8 bits a sample, else uint16: (H, W) or (H, W, 2 to 4). Raises ImageError.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        if len(tiff.pages) > 1:
            raise frames(path, len(tiff.pages))
        if page.imagewidth * page.imagelength > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise bomb(path)
        white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
        grey = white_is_zero or page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        bits = page.bitspersample
        if (
            page.dtype not in (np.uint8, np.uint16)
            or not (grey or page.photometric == tifffile.PHOTOMETRIC.RGB)
            or page.samplesperpixel > (1 if white_is_zero else 4)
        ):
            raise ImageError(
                f"{path} holds {page.dtype or 'mixed'} samples of {bits} bits, "
                f"{page.samplesperpixel} a pixel.",
                "Convert it to 8 or 16 bit grey or RGB first.",
            )
        sizes = (page.imagewidth, page.imagelength, page.imagedepth, page.tilewidth)
        pixel_bytes = page.samplesperpixel * page.dtype.itemsize
        bound_tiff(path, (*sizes, page.tilelength), pixel_bytes)
        if tifffile.EXTRASAMPLE.ASSOCALPHA in page.extrasamples:
            raise ImageError(
                f"{path} has colours that are multiplied by its alpha.", "Save it without alpha."
            )
        if page.compression != tifffile.COMPRESSION.NONE or bits not in (8, 16):
            deep_codecs(path, "Reading")
        orientation = page.tags.valueof(274, 1)
        samples = np.asarray(page.asarray(), dtype=page.dtype)
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            samples = np.moveaxis(samples, 0, -1)
        if samples.shape[:2] != (page.imagelength, page.imagewidth):
            raise ValueError("its tags contradict each other")
    full = 255 if bits <= 8 else 65535
    pixels = rescaled(samples, 2**bits - 1, full)
    return turn(full - pixels if white_is_zero else pixels, orientation)


def rescaled(samples: Pixels, white: int, full: int) -> Pixels:
    """Samples of 0..white as 0..full, rounded half up; uint8 for 255, uint16 for 65535."""
    if white == full:
        return samples
    values = (np.arange(white + 1) * (2 * full) + white) // (2 * white)
    table: Pixels = values.astype(np.uint8) if full == 255 else values.astype(np.uint16)
    scaled: Pixels = np.empty(samples.shape, table.dtype)
    for row, line in enumerate(samples):  # line by line: indices take eight bytes a sample
        scaled[row] = table[line]
    return scaled


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """What ImageOps.exif_transpose does, on an array."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def frames(path: Path, count: int) -> ImageError:
    """The error for a file of several images."""
    return ImageError(f"{path} holds {count} frames.", "Save the one that you want.")


def bomb(path: Path) -> ImageError:
    """The error for an image of too many pixels."""
    return ImageError(
        f"{path} holds more than {Image.MAX_IMAGE_PIXELS} pixels.",
        "Cut it into smaller images first.",
    )


def too_much(path: Path, size: int) -> ImageError:
    """The error for a file that takes, or decodes to, ``size`` bytes."""
    return ImageError(
        f"{path} takes {size:,} bytes, more than the limit of {MAX_BYTES:,}.",
        "Cut it into smaller images first.",
    )
