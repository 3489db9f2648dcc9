"""Reading images as uint8 arrays, and writing PNG files that are whole or absent."""

from __future__ import annotations

import io
import math
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from sreval.errors import ImageError
from sreval.files import sha256_bytes, sha256_file, write_atomic
from sreval.images.deep import (
    MAX_BYTES,
    Pixels,
    bomb,
    bound_tiff,
    decode_tiff,
    deep_codecs,
    frames,
    rescaled,
    too_much,
    turn,
)

__all__ = [
    "SUFFIXES",
    "Pixels",
    "encode_png",
    "hash_image",
    "read_hashed",
    "read_image",
    "read_pixels",
    "write_png",
]

UInt8 = npt.NDArray[np.uint8]

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
"""The file names that count as images, and what each must hold."""

# Pillow only warns between its limit and twice that; both are refused here.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_REFUSED_MODES = {
    "CMYK": ("is a CMYK image", "Convert it to RGB with its colour profile first."),
    "YCbCr": ("is a YCbCr image", "Convert it to RGB first."),
    "LAB": ("is a CIELAB image", "Convert it to RGB first."),
    "1": ("is a two-level (1-bit) image", "Convert it to 8-bit grey first."),
    "F": ("is a 32-bit float image", "Convert it to 8 or 16 bit, saying what is white, first."),
    "I": ("is a 32-bit integer image", "Convert it to 8 or 16 bit first."),
}


def read_image(path: Path | str) -> UInt8:
    """An image file as a uint8 array: (H, W, 3), or (H, W) when the file is grey.

    PNG, JPEG, TIFF, WebP and BMP, turned as their EXIF says. A palette becomes RGB, alpha is
    dropped, 16 bits become 8 by round(v / 257).
    Raises ImageError, one sentence naming the file, for what can't be read or scored: missing,
    empty, truncated, mislabelled and non-image files, CMYK, 1-bit, float and animated images,
    and, before they are decoded, images of more pixels than Pillow's decompression-bomb limit
    or of more than MAX_BYTES.
    """
    return read_hashed(path)[0]


def read_hashed(path: Path | str) -> tuple[UInt8, str]:
    """What ``read_image`` gives, and the SHA-256 of the very bytes that it was read from.

    Raises ImageError as ``read_image`` does.
    """
    path = Path(path)
    data = _read_bytes(path)
    return _as_uint8(_pixels(path, data)), sha256_bytes(data)


def _as_uint8(pixels: Pixels) -> UInt8:
    if pixels.dtype == np.uint16:
        pixels = rescaled(pixels, 65535, 255)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def hash_image(path: Path) -> str:
    """SHA-256 of an image file. Raises ImageError when it can't be read."""
    try:
        return sha256_file(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_pixels(path: Path | str, convert: bool = False) -> Pixels:
    """All an image file holds: uint8 or uint16, (H, W) or (H, W, 2 to 4), alpha last.

    Samples of fewer bits than their type (TIFF's 12, say) are stretched to it: white stays white.
    With ``convert``, CMYK and YCbCr become sRGB, by the file's profile where it has one, and two
    levels become grey; such images are refused otherwise.
    Raises ImageError as ``read_image`` does.
    """
    path = Path(path)
    return _pixels(path, _read_bytes(path), convert)


def _pixels(path: Path, data: bytes, convert: bool = False) -> Pixels:
    try:
        return _decode(path, data, convert)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise bomb(path) from None
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image.", "Remove it or replace it.") from None
    except Exception as error:  # a damaged file makes decoders raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{path} is damaged or truncated ({reason}).", "Replace it.") from None


def encode_png(image: Pixels) -> bytes:
    """The bytes of a PNG file that holds exactly these pixels and nothing else."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def write_png(path: Path, image: Pixels) -> None:
    """Write (H, W[, 3]) pixels as PNG, whole or not at all. Raises DataError."""
    write_atomic(path, encode_png(image))


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise too_much(path, size)
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    if not data:
        raise ImageError(f"{path} is empty.", "Replace it.")
    return data


def _unreadable(path: Path, error: OSError) -> ImageError:
    return ImageError(f"Can't read {path}: {error.strerror}.", "Check the path.")


def _decode(path: Path, data: bytes, convert: bool) -> Pixels:
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff") or data[:2] not in (b"II", b"MM"):
            raise
        return decode_tiff(path, data)
    with image:
        _refuse(path, image, convert)
        deep = _is_deep(image, data)
        _bound(path, image, 2 if deep or image.mode.startswith("I;16") else 1)
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if deep and image.format == "PNG":
            return turn(deep_codecs(path, "Reading").png_decode(data), orientation)
        if deep:
            return decode_tiff(path, data)
        white_is_zero = image.format == "TIFF" and _tiff(image, 262) == {0}
        pixels = _to_array(ImageOps.exif_transpose(image))
        # Pillow sees to this at 8 bits, not at 16.
        return 65535 - pixels if white_is_zero and pixels.dtype == np.uint16 else pixels


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether a file holds samples that Pillow would narrow, or leave unstretched, in silence."""
    if image.format == "PNG":
        return data[24] == 16
    if image.format != "TIFF":
        return False
    bits = _tiff(image, 258) or {1}
    return not bits & {1, 2, 4, 8} and not (bits == {16} and image.mode.startswith("I;16"))


def _bound(path: Path, image: Image.Image, sample_bytes: int) -> None:
    """Refuse an image of which more would have to be decoded than is read."""
    samples = 4 if "transparency" in image.info or image.mode == "P" else len(image.getbands())
    if image.format == "TIFF":
        sizes = [max(_tiff(image, tag) or {1}) for tag in (32997, 322, 323)]
        bound_tiff(path, (*image.size, *sizes), samples * sample_bytes)
    elif math.prod(image.size) * samples * sample_bytes > MAX_BYTES:
        raise too_much(path, math.prod(image.size) * samples * sample_bytes)


def _refuse(path: Path, image: Image.Image, convert: bool) -> None:
    expected = SUFFIXES.get(path.suffix.lower())
    # A multi-picture JPEG of a camera carries previews of the one photograph, not frames.
    kind = "JPEG" if image.format == "MPO" else image.format
    if expected is not None and kind != expected:
        raise ImageError(
            f"{path} is named as {expected} but holds {kind}.",
            "Rename it, and make sure that it is the file you mean.",
        )
    count: int = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":
        raise frames(path, count)
    fine = {"1", "CMYK", "YCbCr"} if convert else set()
    if image.format == "PNG":
        fine |= {"I"}
    if image.mode in _REFUSED_MODES and image.mode not in fine:
        what, remedy = _REFUSED_MODES[image.mode]
        raise ImageError(f"{path} {what}.", remedy)
    if image.format == "TIFF" and _tiff(image, 339) & {2, 3}:
        raise ImageError(f"{path} holds signed samples.", "Convert it to unsigned ones first.")


def _to_array(image: Image.Image) -> Pixels:
    if image.mode in ("CMYK", "YCbCr"):
        image = _to_srgb(image)
    if image.mode == "1":
        image = image.convert("L")
    if "transparency" in image.info and image.mode in ("P", "RGB", "L"):
        # one entry of the palette, or one colour, is transparent
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode == "PA":
        image = image.convert("RGBA")
    pixels = np.asarray(image)
    # Big-endian samples come as big-endian numbers.
    return pixels.astype(np.uint16) if image.mode.startswith("I;16") else pixels


def _to_srgb(image: Image.Image) -> Image.Image:
    """By its own profile; without one, or where it is broken, by Pillow's plain formula."""
    profile = image.info.get("icc_profile")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
            made = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
            if made is not None:
                return made
    return image.convert("RGB")


def _tiff(image: Image.Image, tag: int) -> set[int]:
    """The values of a TIFF tag."""
    value = image.tag_v2.get(tag, ())  # type: ignore[attr-defined]
    return set(value) if isinstance(value, tuple) else {value}
