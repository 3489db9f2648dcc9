"""The pair that methods are scored on: the original, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError
from sreval.files import sha256_bytes, write_atomic
from sreval.images.datasets import Dataset, Item
from sreval.images.io import encode_png, hash_image, read_image
from sreval.images.resize import crop_to_multiple, downscale

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """The HR and LR image that an item is scored on, and the hashes of their files."""

    hr: UInt8
    lr: UInt8
    hr_sha256: str
    lr_sha256: str


def read_pair(dataset: Dataset, item: Item, keep: Path | None = None) -> Pair:
    """The pair of an item; a missing LR image is made, the HR image cropped to fit it.

    What has to be cropped or made is kept in ``keep``/HR and ``keep``/LR, where that is given.
    Raises ImageError when a file can't be read or the two don't fit.
    """
    hr = read_image(item.hr)
    if item.lr is not None:
        lr = read_image(item.lr)
        _check_pair(item, hr, lr, dataset.scale)
        return Pair(hr, lr, hash_image(item.hr), hash_image(item.lr))
    whole = crop_to_multiple(hr, dataset.scale)
    if whole.size == 0:
        raise ImageError(f"{item.hr} is smaller than one LR pixel.", "Use larger images.")
    name = f"{item.image}.png"
    cropped = whole.shape != hr.shape
    hr_sha256 = _made(whole, keep and keep / "HR" / name) if cropped else hash_image(item.hr)
    lr = downscale(whole, dataset.scale, dataset.border)
    return Pair(whole, lr, hr_sha256, _made(lr, keep and keep / "LR" / name))


def _made(image: UInt8, path: Path | None) -> str:
    """The hash of an image that was made, which is kept at ``path``."""
    data = encode_png(image)
    if path and (not path.is_file() or path.read_bytes() != data):
        write_atomic(path, data)
    return sha256_bytes(data)


def _check_pair(item: Item, hr: UInt8, lr: UInt8, scale: int) -> None:
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise ImageError(
            f"{item.lr} is {lr.shape[1]}x{lr.shape[0]} pixels and {item.hr} "
            f"{hr.shape[1]}x{hr.shape[0]}, not {scale} times that.",
            "Crop the HR image to what the LR image covers.",
        )
    if lr.ndim != hr.ndim:
        raise ImageError(
            f"{item.lr} and {item.hr} are not both grey or both in colour.",
            "Convert one of them first.",
        )
