"""The pair that methods are scored on: the original, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError
from sreval.files import sha256_bytes, write_atomic
from sreval.images.datasets import Dataset, Item
from sreval.images.io import encode_png, read_image
from sreval.images.resize import crop_to_multiple, downscale

UInt8 = npt.NDArray[np.uint8]

CROPPED = "HR is cropped to what its LR image covers"
"""What is noted beside the scores of such a pair."""


@dataclass(frozen=True)
class Pair:
    """The HR and LR image that an item is scored on, and the hashes of their files.

    ``cropped`` says whether the HR image was cut to fit.
    """

    hr: UInt8
    lr: UInt8
    hr_sha256: str
    lr_sha256: str
    cropped: bool


def read_pair(dataset: Dataset, item: Item, keep: Path | None = None) -> Pair:
    """The pair of an item; a missing LR image is made, the HR image cropped to fit it.

    What has to be cropped or made is kept in ``keep``/HR and ``keep``/LR, where that is given.
    Raises ImageError when a file can't be read or the two don't fit.
    """
    hr = read_image(item.hr)
    given = read_image(item.lr) if item.lr is not None else None
    whole, lr = _fit(dataset, item, hr.pixels, given.pixels if given else None)
    name = f"{item.image}.png"
    cropped = whole.shape != hr.pixels.shape
    return Pair(
        whole,
        lr,
        _made(whole, keep and keep / "HR" / name) if cropped else hr.sha256,
        given.sha256 if given else _made(lr, keep and keep / "LR" / name),
        cropped,
    )


def _made(image: UInt8, path: Path | None) -> str:
    """The hash of an image that was made, which is kept at ``path``."""
    data = encode_png(image)
    if path and (not path.is_file() or path.read_bytes() != data):
        write_atomic(path, data)
    return sha256_bytes(data)


def _fit(dataset: Dataset, item: Item, hr: UInt8, lr: UInt8 | None) -> tuple[UInt8, UInt8]:
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
