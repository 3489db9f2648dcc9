"""An HR image and its LR image, brought to fit each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError
from sreval.images.datasets import Dataset, Item
from sreval.images.resize import crop_to_multiple, downscale

UInt8 = npt.NDArray[np.uint8]

CROPPED = "HR is cropped to what its LR image covers"
"""What is noted beside the scores of such a pair."""


def fit_pair(dataset: Dataset, item: Item, hr: UInt8, lr: UInt8 | None) -> tuple[UInt8, UInt8]:
    """The HR image (H, W[, 3]), cropped to ``scale`` times the LR image, and the LR image.

    The last rows and columns go, fewer than ``scale`` of each, as they do where LR is made from
    HR. Without an LR image it is made. Raises ImageError, naming the files, for sizes that don't
    belong together and for an HR image smaller than one LR pixel.
    """
    scale = dataset.scale
    if lr is None:
        if min(hr.shape[:2]) < scale:
            raise ImageError(
                f"{item.hr} is {hr.shape[1]}x{hr.shape[0]} pixels, smaller than one LR pixel.",
                f"Use images of at least {scale}x{scale} pixels.",
            )
        whole = crop_to_multiple(hr, scale)
        return whole, downscale(whole, scale, dataset.border)
    height, width = lr.shape[0] * scale, lr.shape[1] * scale
    over = hr.shape[0] - height, hr.shape[1] - width
    if not all(0 <= more < scale for more in over):
        raise ImageError(
            f"{item.lr} is {lr.shape[1]}x{lr.shape[0]} pixels, {scale} times that is "
            f"{width}x{height}; {item.hr} is {hr.shape[1]}x{hr.shape[0]}.",
            "The HR image is too small. Use the whole HR image, or an LR image made from this one."
            if min(over) < 0
            else f"Crop HR to {width}x{height}, or run it with the scale of its LR images.",
        )
    return hr[:height, :width], lr
