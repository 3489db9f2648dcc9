"""The pair that methods are scored on: the original, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval.files import sha256_bytes, write_atomic
from sreval.images.datasets import Dataset, Item
from sreval.images.io import encode_png, read_hashed
from sreval.images.pairs import fit_pair

UInt8 = npt.NDArray[np.uint8]


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
    hr, hr_sha256 = read_hashed(item.hr)
    given, lr_sha256 = read_hashed(item.lr) if item.lr is not None else (None, "")
    whole, lr = fit_pair(dataset, item, hr, given)
    name = f"{item.image}.png"
    cropped = whole.shape != hr.shape
    if cropped:
        hr_sha256 = _made(whole, keep and keep / "HR" / name)
    if given is None:
        lr_sha256 = _made(lr, keep and keep / "LR" / name)
    return Pair(whole, lr, hr_sha256, lr_sha256, cropped)


def _made(image: UInt8, path: Path | None) -> str:
    """The hash of an image that was made, which is kept at ``path``."""
    data = encode_png(image)
    if path and (not path.is_file() or path.read_bytes() != data):
        write_atomic(path, data)
    return sha256_bytes(data)
