"""Reading images of any number of bits with their hash, and writing PNG files."""

from __future__ import annotations

import io
import math
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from sreval.errors import ImageError, install
from sreval.files import sha256_bytes, write_atomic

UInt8 = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

MAX_BYTES = 2**29
"""The most that a file, and the samples decoded from it, may take: 512 MiB."""

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

_PLAIN_PNG = {b"\x08\0\0\0\0": "mono", b"\x08\x02\0\0\0": "rgb"}
"""By bit depth, colour type, compression, filter and interlace, as IHDR has them."""

_PLAIN_CHUNKS = frozenset(
    [
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"bKGD",
        b"cHRM",
        b"gAMA",
        b"iCCP",
        b"pHYs",
        b"sBIT",
        b"sRGB",
        b"tIME",
    ]
)
"""Others hold a palette, transparency, frames, EXIF, or texts that may hold EXIF."""

_REFUSED_MODES = {
    "CMYK": ("is a CMYK image", "Convert it to RGB with its colour profile first."),
    "YCbCr": ("is a YCbCr image", "Convert it to RGB first."),
    "LAB": ("is a CIELAB image", "Convert it to RGB first."),
    "1": ("is a two-level (1-bit) image", "Convert it to 8-bit grey first."),
    "F": ("is a 32-bit float image", "Convert it to 8 or 16 bit, saying what is white, first."),
    "I": ("is a 32-bit integer image", "Convert it to 8 or 16 bit first."),
}


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image file as it was read.

    ``samples`` are all that it holds: uint8 or uint16, (H, W) or (H, W, 2 to 4), alpha last; those
    of fewer bits than their type (TIFF's 12, say) are stretched to it, so that white stays white.
    ``sha256`` is that of the very bytes that they were read from, ``profile`` the ICC profile.
    """

    samples: Pixels
    sha256: str
    profile: bytes | None

    @cached_property
    def pixels(self) -> UInt8:
        """As it is scored: (H, W, 3), or (H, W) when the file is grey.

        Alpha is dropped, 16 bits become 8 by round(v / 257).
        """
        pixels = self.samples
        if pixels.dtype == np.uint16:
            pixels = _rescaled(pixels, 65535, 255)
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            pixels = pixels[..., :-1]
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        return np.ascontiguousarray(pixels, dtype=np.uint8)


def read_image(path: Path | str, *, convert: bool = False) -> ImageFile:
    """An image file, decoded, with the hash of the same bytes.

    PNG, JPEG, TIFF, WebP and BMP, turned as their EXIF says; a palette becomes RGB. With
    ``convert``, CMYK and YCbCr become sRGB, by the file's profile where it has one, and two levels
    become grey; such images are refused otherwise.
    Raises ImageError, one sentence naming the file, for what can't be read or scored: missing,
    empty, truncated, mislabelled and non-image files, CMYK, 1-bit, float and animated images,
    and, before they are decoded, images of more pixels than Pillow's decompression-bomb limit
    or of more than MAX_BYTES.
    """
    path = Path(path)
    return decode_image(image_bytes(path), path, convert=convert)


def decode_image(data: bytes, path: Path, *, convert: bool = False) -> ImageFile:
    """As ``read_image``, of the bytes of a file; ``path`` names it in errors, and its kind.

    It needn't be a file of its own: a member of an archive is named ARCHIVE:MEMBER. Raises
    ImageError.
    """
    try:
        samples, profile = _decode(path, data, convert)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _bomb(path) from None
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image.", "Remove it or replace it.") from None
    except Exception as error:  # a damaged file makes decoders raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{path} is damaged or truncated ({reason}).", "Replace it.") from None
    return ImageFile(samples, sha256_bytes(data), profile)


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


def encode_png(image: Pixels) -> bytes:
    """The bytes of a PNG file that holds exactly these pixels and nothing else."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def write_png(path: Path, image: Pixels) -> None:
    """Write (H, W[, 3]) pixels as PNG, whole or not at all. Raises DataError."""
    write_atomic(path, encode_png(image))


def image_bytes(path: Path) -> bytes:
    """All bytes of an image file. Raises ImageError where there are none, or too many."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_much(path, size)
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
    if not data:
        raise ImageError(f"{path} is empty.", "Replace it.")
    return data


def _decode(path: Path, data: bytes, convert: bool) -> tuple[Pixels, bytes | None]:
    """The samples and the ICC profile."""
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff") or data[:2] not in (b"II", b"MM"):
            raise
        return _decode_tiff(path, data)
    with image:
        _refuse(path, image, convert)
        deep = _is_deep(image, data)
        _bound(path, image, 2 if deep or image.mode.startswith("I;16") else 1)
        profile = image.info.get("icc_profile")
        plain = _plain_png(image, data)
        if plain is not None:
            return plain, profile
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if deep and image.format == "PNG":
            return _turn(deep_codecs(path, "Reading").png_decode(data), orientation), profile
        if deep:
            return _decode_tiff(path, data)[0], profile
        white_is_zero = image.format == "TIFF" and _tiff(image, 262) == {0}
        pixels = _to_array(ImageOps.exif_transpose(image))
        # Pillow sees to this at 8 bits, not at 16.
        inverted = white_is_zero and pixels.dtype == np.uint16
        return 65535 - pixels if inverted else pixels, profile


def _plain_png(image: Image.Image, data: bytes) -> UInt8 | None:
    """The samples of a PNG of 8-bit grey or RGB whose other chunks don't touch them.

    kornia-rs decodes it in less than half of Pillow's time, to the same samples. None for any other
    image, and where kornia-rs isn't there or refuses the file: Pillow then reads it, or says what
    is wrong with it. Damage is found by the checksum of each chunk; kornia-rs doesn't look at the
    second one, which zlib keeps of the whole.
    """
    mode = _PLAIN_PNG.get(data[24:29]) if image.format == "PNG" else None
    if mode is None:
        return None
    kinds, place = [], 8
    while place < len(data):
        kinds.append(data[place + 4 : place + 8])
        place += 12 + int.from_bytes(data[place : place + 4])
    parts = kinds.count(b"IDAT")
    if kinds[-parts - 1 :] != [b"IDAT"] * parts + [b"IEND"] or not _PLAIN_CHUNKS.issuperset(kinds):
        return None
    try:
        from kornia_rs.io import decode_image_png_u8

        pixels: UInt8 = decode_image_png_u8(data, image.size[::-1], mode)
    except Exception:  # it has no types of its own for what it refuses
        return None
    return pixels[..., 0] if mode == "mono" else pixels


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
        _bound_tiff(path, (*image.size, *sizes), samples * sample_bytes)
    elif math.prod(image.size) * samples * sample_bytes > MAX_BYTES:
        raise _too_much(path, math.prod(image.size) * samples * sample_bytes)


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
        raise _frames(path, count)
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


def _bound_tiff(path: Path, sizes: tuple[int, ...], pixel_bytes: int) -> None:
    """Refuse a TIFF whose width, height, depth or tiles are too large, and any with a depth."""
    width, height, depth, tile_width, tile_height = sizes
    size = max(width * height * depth, tile_width * tile_height) * pixel_bytes
    if size > MAX_BYTES:
        raise _too_much(path, size)
    if depth > 1:
        raise _frames(path, depth)


def _decode_tiff(path: Path, data: bytes) -> tuple[Pixels, bytes | None]:
    """A TIFF whose samples Pillow narrows, leaves unstretched or doesn't identify; its profile.

    The samples are turned: uint8 for at most 8 bits, else uint16. Raises ImageError.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        if len(tiff.pages) > 1:
            raise _frames(path, len(tiff.pages))
        if page.imagewidth * page.imagelength > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise _bomb(path)
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
        _bound_tiff(path, (*sizes, page.tilelength), pixel_bytes)
        if tifffile.EXTRASAMPLE.ASSOCALPHA in page.extrasamples:
            raise ImageError(
                f"{path} has colours that are multiplied by its alpha.", "Save it without alpha."
            )
        if page.compression != tifffile.COMPRESSION.NONE or bits not in (8, 16):
            deep_codecs(path, "Reading")
        orientation = page.tags.valueof(274, 1)
        profile = page.tags.valueof("InterColorProfile")
        samples = np.asarray(page.asarray(), dtype=page.dtype)
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            samples = np.moveaxis(samples, 0, -1)
        if samples.shape[:2] != (page.imagelength, page.imagewidth):
            raise ValueError("its tags contradict each other")
    full = 255 if bits <= 8 else 65535
    pixels = _rescaled(samples, 2**bits - 1, full)
    turned = _turn(full - pixels if white_is_zero else pixels, orientation)
    return turned, None if profile is None else bytes(profile)


def _rescaled(samples: Pixels, white: int, full: int) -> Pixels:
    """Samples of 0..white as 0..full, rounded half up; uint8 for 255, uint16 for 65535."""
    if white == full:
        return samples
    values = (np.arange(white + 1) * (2 * full) + white) // (2 * white)
    table: Pixels = values.astype(np.uint8) if full == 255 else values.astype(np.uint16)
    scaled: Pixels = np.empty(samples.shape, table.dtype)
    for row, line in enumerate(samples):  # line by line: indices take eight bytes a sample
        scaled[row] = table[line]
    return scaled


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """What ImageOps.exif_transpose does, on an array."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _frames(path: Path, count: int) -> ImageError:
    """The error for a file of several images."""
    return ImageError(f"{path} holds {count} frames.", "Save the one that you want.")


def _bomb(path: Path) -> ImageError:
    """The error for an image of too many pixels."""
    return ImageError(
        f"{path} holds more than {Image.MAX_IMAGE_PIXELS} pixels.",
        "Cut it into smaller images first.",
    )


def _too_much(path: Path, size: int) -> ImageError:
    """The error for a file that takes, or decodes to, ``size`` bytes."""
    return ImageError(
        f"{path} takes {size:,} bytes, more than the limit of {MAX_BYTES:,}.",
        "Cut it into smaller images first.",
    )
