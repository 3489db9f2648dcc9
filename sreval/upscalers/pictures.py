"""A user's own pictures: transparency, 16 bits and colour profile kept on the way through."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import scipy
from PIL import Image, UnidentifiedImageError

from sreval.files import write_atomic
from sreval.images.deep import deep_codecs
from sreval.images.io import Pixels, encode_png, read_pixels
from sreval.images.resize import imresize
from sreval.upscalers.base import Upscaler


@dataclass(frozen=True)
class Picture:
    """Grey (H, W) or colour (H, W, 3) pixels, uint8 or uint16; alpha (H, W) and ICC profile."""

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None


def read_picture(path: Path) -> Picture:
    """All of a picture that is kept; CMYK becomes sRGB, two levels become grey.

    Raises ImageError as ``images.io.read_pixels`` does.
    """
    pixels = read_pixels(path, convert=True)
    profile = _profile(path)
    if profile and profile[16:20] == b"CMYK":  # the header's colour space; the pixels are sRGB now
        profile = None
    if pixels.ndim == 2:
        return Picture(pixels, None, profile)
    channels = pixels.shape[2]
    alpha = pixels[..., -1] if channels in (2, 4) else None
    colour = pixels[..., 0] if channels <= 2 else pixels[..., :3]
    return Picture(cast(Pixels, np.ascontiguousarray(colour)), alpha, profile)


def enlarge(picture: Picture, upscaler: Upscaler, scale: int) -> Picture:
    """The picture ``scale`` times as large; its alpha by bicubic, whatever the method.

    Colours under alpha 0, often black, are first replaced by the nearest visible colour, as they
    would darken the edges.
    """
    alpha = picture.alpha
    large_alpha = None if alpha is None else cast(Pixels, imresize(alpha, scale))
    large = upscaler.enlarge(_without_hidden(picture), scale)
    return Picture(large, large_alpha, picture.profile)


def write_picture(path: Path, picture: Picture) -> None:
    """Write it as PNG, whole or not at all.

    Raises DataError, and ImageError where 16 bits need a package that is missing.
    """
    pixels = picture.pixels
    if picture.alpha is not None:
        colour = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = np.concatenate([colour, picture.alpha[..., None]], axis=2)
    deep = pixels.dtype == np.uint16
    data = deep_codecs(path).png_encode(pixels) if deep else encode_png(pixels)
    write_atomic(path, _with_profile(bytes(data), picture.profile))


def _without_hidden(picture: Picture) -> Pixels:
    """The pixels, each under alpha 0 in the colour of the nearest that isn't, if there is one."""
    alpha = picture.alpha
    if alpha is None or alpha.all() or not alpha.any():
        return picture.pixels
    rows, columns = scipy.ndimage.distance_transform_edt(
        alpha == 0, return_distances=False, return_indices=True
    )
    return cast(Pixels, picture.pixels[rows, columns])


def _profile(path: Path) -> bytes | None:
    try:
        with Image.open(path) as image:
            return image.info.get("icc_profile")
    except UnidentifiedImageError:  # a TIFF that read_pixels knows and Pillow doesn't
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            tag = tiff.pages.first.tags.get("InterColorProfile")
            return None if tag is None else bytes(tag.value)


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    """The file with an iCCP chunk after its header (PNG, third edition, 11.3.2.3)."""
    if not profile:
        return png
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]
