"""The reference methods that need no learning, and the original as the ceiling."""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image

from sreval.errors import ImageError
from sreval.images.datasets import Item
from sreval.images.io import Pixels, read_image
from sreval.images.resize import imresize
from sreval.methods.base import UInt8, Upscaler


class Interpolation(Upscaler):
    """A method that needs nothing but the pixels."""

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """See ``enlarge``."""
        return self.enlarge(lr, scale).astype(np.uint8, copy=False)


class Nearest(Interpolation):
    """Pixel repetition."""

    name = specification = "nearest"

    def enlarge(self, pixels: Pixels, scale: int) -> Pixels:
        """Each pixel scale x scale times."""
        return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


class Bicubic(Interpolation):
    """MATLAB's imresize, replicate border: the bicubic of the SRGAN paper."""

    name = specification = "bicubic"

    def enlarge(self, pixels: Pixels, scale: int) -> Pixels:
        """See ``images.resize.imresize``."""
        return cast(Pixels, imresize(pixels, scale))


class Lanczos(Interpolation):
    """Lanczos with three lobes, as Pillow computes it."""

    name = specification = "lanczos"

    def enlarge(self, pixels: Pixels, scale: int) -> Pixels:
        """Pillow's resize with its LANCZOS filter. Raises ImageError for 16 bits in colour."""
        if pixels.dtype != np.uint8:
            raise ImageError("Lanczos takes 8 bits; this picture has 16.", "Use bicubic.")
        size = (pixels.shape[1] * scale, pixels.shape[0] * scale)
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


class Original(Upscaler):
    """The HR image itself: the ceiling of every table and of every opinion test."""

    name = specification = "hr"

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """The HR image, cropped to what the LR image covers."""
        return read_image(item.hr).pixels[: lr.shape[0] * scale, : lr.shape[1] * scale]


INTERPOLATIONS: dict[str, type[Upscaler]] = {
    "nearest": Nearest,
    "bicubic": Bicubic,
    "lanczos": Lanczos,
}
