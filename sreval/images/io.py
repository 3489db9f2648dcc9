"""Reading images as uint8 arrays, and writing PNG files that are whole or absent."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from sreval.errors import ImageError
from sreval.files import write_atomic

UInt8 = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

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

    PNG, JPEG (turned as its EXIF says), TIFF, WebP and BMP. A palette becomes RGB, alpha is
    dropped, 16 bits become 8 by round(v / 257).
    Raises ImageError, one sentence naming the file, for what can't be read or scored: missing,
    empty, truncated, mislabelled and non-image files, CMYK, 1-bit, float and animated images,
    and images of more pixels than Pillow's decompression-bomb limit.
    """
    pixels = read_pixels(path)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = pixels[..., :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def read_pixels(path: Path | str) -> Pixels:
    """All an image file holds: uint8 or uint16, (H, W) or (H, W, 2 to 4), alpha last.

    Raises ImageError as ``read_image`` does.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            _refuse(path, image)
            if image.format == "PNG" and data[24] == 16:
                return _read_png16(data)
            if image.format == "TIFF" and image.mode == "RGB" and _tiff_depth(image) == 16:
                return np.asarray(tifffile.imread(io.BytesIO(data)), dtype=np.uint16)
            return _to_array(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except UnidentifiedImageError:
        if path.suffix.lower() in (".tif", ".tiff"):
            return _read_odd_tiff(path, data)
        raise ImageError(f"{path} is not an image.", "Remove it or replace it.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"{path} holds more than {Image.MAX_IMAGE_PIXELS} pixels.",
            "Cut it into smaller images first.",
        ) from None
    except (OSError, SyntaxError, ValueError, RuntimeError, EOFError) as error:
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


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder by name, hidden ones left out. Raises ImageError if none."""
    if not folder.is_dir():
        raise ImageError(f"No such folder: {folder}.", "Check the path.")
    found = sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
    )
    if not found:
        raise ImageError(
            f"{folder} holds no images.", f"Known kinds: {', '.join(sorted(SUFFIXES))}."
        )
    return found


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
    if not data:
        raise ImageError(f"{path} is empty.", "Replace it.")
    return data


def _refuse(path: Path, image: Image.Image) -> None:
    expected = SUFFIXES.get(path.suffix.lower())
    if expected is not None and image.format != expected and image.format != "MPO":
        raise ImageError(
            f"{path} is named as {expected} but holds {image.format}.",
            "Rename it, and make sure that it is the file you mean.",
        )
    # Multi-picture JPEGs of cameras carry previews of the one photograph, not frames.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError(f"{path} holds {image.n_frames} frames.", "Save the one you mean.")  # type: ignore[attr-defined]
    if image.mode in _REFUSED_MODES and not (image.format == "PNG" and image.mode == "I"):
        what, remedy = _REFUSED_MODES[image.mode]
        raise ImageError(f"{path} {what}.", remedy)


def _to_array(image: Image.Image) -> Pixels:
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode == "PA":
        image = image.convert("RGBA")
    return np.asarray(image)


def _read_png16(data: bytes) -> npt.NDArray[np.uint16]:
    # Pillow narrows 16-bit colour PNG to 8 bits without a word.
    import torch
    from torchvision.io import ImageReadMode, decode_png

    raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    planes = decode_png(raw, mode=ImageReadMode.UNCHANGED).numpy()
    return np.ascontiguousarray(planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0))


def _tiff_depth(image: Image.Image) -> int:
    bits: tuple[int, ...] = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
    return max(bits)


def _read_odd_tiff(path: Path, data: bytes) -> Pixels:
    """16-bit colour and float TIFF, which Pillow doesn't identify."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            page = tiff.pages[0]
            if page.dtype != np.uint16 or len(page.shape) != 3:
                raise ImageError(
                    f"{path} holds {page.dtype} samples of shape {page.shape}.",
                    "Convert it to 8 or 16 bit grey or RGB first.",
                )
            return np.asarray(tiff.asarray(), dtype=np.uint16)
    except (tifffile.TiffFileError, ValueError, OSError):
        raise ImageError(f"{path} is not an image.", "Remove it or replace it.") from None
