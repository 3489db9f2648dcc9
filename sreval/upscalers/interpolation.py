"""The reference methods that need no learning, and the original as the ceiling."""

from __future__ import annotations

import numpy as np
from PIL import Image

from sreval.images.datasets import Item
from sreval.images.io import read_image
from sreval.images.resize import upscale as bicubic
from sreval.upscalers.base import UInt8, Upscaler


class Nearest(Upscaler):
    """Pixel repetition."""

    name = "nearest"

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """Each pixel scale x scale times."""
        return lr.repeat(scale, axis=0).repeat(scale, axis=1)


class Bicubic(Upscaler):
    """MATLAB's imresize, replicate border: the bicubic of the SRGAN paper."""

    name = "bicubic"

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """See ``images.resize.upscale``."""
        return bicubic(lr, scale)


class Lanczos(Upscaler):
    """Lanczos with three lobes, as Pillow computes it."""

    name = "lanczos"

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """Pillow's resize with its LANCZOS filter."""
        size = (lr.shape[1] * scale, lr.shape[0] * scale)
        return np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.LANCZOS))


class Original(Upscaler):
    """The HR image itself: the ceiling of every table and of every opinion test."""

    name = "hr"

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """The HR image, cropped to what the LR image covers."""
        return read_image(item.hr)[: lr.shape[0] * scale, : lr.shape[1] * scale]


INTERPOLATIONS: dict[str, type[Upscaler]] = {
    "nearest": Nearest,
    "bicubic": Bicubic,
    "lanczos": Lanczos,
}
