"""Nine degradations of the original that replace methods whose images are missing.

With them a study can be tried at full size; their stimuli are marked, and nothing said about
them is a finding about a method. The pixels follow from the original and its name alone, with
one version of Pillow, NumPy and SciPy.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy
from PIL import Image

from sreval.files import sha256_bytes
from sreval.images.resize import imresize

UInt8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def stand_in(index: int, original: UInt8, name: str) -> UInt8:
    """The ``index``-th degradation, from 0, of an original (H, W, 3); the same shape.

    ``name`` of the image seeds what is random. Needs no more than 0 <= index < len(STAND_INS).
    """
    seed = int(sha256_bytes(f"{name}/{index}".encode())[:16], 16)
    degrade = STAND_INS[index]
    return degrade(original, np.random.default_rng(seed))


def _rounded(values: Floats) -> UInt8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _blurred(image: npt.NDArray[np.generic], sigma: float) -> Floats:
    blurred: Floats = scipy.ndimage.gaussian_filter(
        image.astype(np.float64), (sigma, sigma, 0), mode="nearest"
    )
    return blurred


def _jpeg(image: UInt8, quality: int) -> UInt8:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(buffer))


def _blur(image: UInt8, _: np.random.Generator) -> UInt8:
    return _rounded(_blurred(image, 1.6))


def _noise(image: UInt8, generator: np.random.Generator) -> UInt8:
    return _rounded(image + generator.normal(0, 14, image.shape))


def _strong_jpeg(image: UInt8, _: np.random.Generator) -> UInt8:
    return _jpeg(image, 8)


def _weak_jpeg(image: UInt8, _: np.random.Generator) -> UInt8:
    return _jpeg(image, 30)


def _sharpened(image: UInt8, _: np.random.Generator) -> UInt8:
    """Half the size and back by bicubic, then an unsharp mask."""
    height, width = image.shape[:2]
    small = imresize(image, size=(max(1, height // 2), max(1, width // 2)))
    large = imresize(small, size=(height, width)).astype(np.float64)
    return _rounded(large + 1.5 * (large - _blurred(large, 1.2)))


def _quantised(image: UInt8, _: np.random.Generator) -> UInt8:
    """Ten levels a channel."""
    return _rounded(np.rint(image / 255 * 9) * 255 / 9)


def _ringing(image: UInt8, _: np.random.Generator) -> UInt8:
    """An ideal low pass at 0.18 cycles a pixel."""
    spectrum = np.fft.fft2(image.astype(np.float64), axes=(0, 1))
    rows, columns = (np.fft.fftfreq(n) for n in image.shape[:2])
    spectrum[np.hypot(rows[:, None], columns) > 0.18] = 0
    return _rounded(np.fft.ifft2(spectrum, axes=(0, 1)).real)


def _bled_colour(image: UInt8, _: np.random.Generator) -> UInt8:
    """Colour blurred strongly, luma hardly."""
    luma = (image @ np.array([0.299, 0.587, 0.114]))[..., None]
    return _rounded(_blurred(luma, 0.6) + _blurred(image - luma, 5))


def _mosaic(image: UInt8, _: np.random.Generator) -> UInt8:
    """Blocks of 3 x 3 pixels, each of its mean colour."""
    height, width = image.shape[:2]
    margin = ((0, -height % 3), (0, -width % 3), (0, 0))
    whole = np.pad(image, margin, mode="edge").astype(np.float64)
    blocks = whole.reshape(whole.shape[0] // 3, 3, whole.shape[1] // 3, 3, -1).mean(axis=(1, 3))
    return _rounded(blocks.repeat(3, axis=0).repeat(3, axis=1))[:height, :width]


STAND_INS: tuple[Callable[[UInt8, np.random.Generator], UInt8], ...] = (
    _blur,
    _noise,
    _strong_jpeg,
    _weak_jpeg,
    _sharpened,
    _quantised,
    _ringing,
    _bled_colour,
    _mosaic,
)
