"""The images behind result rows, found again and checked by their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sreval.benchmarking.results import MANIFEST, Held, place, read_datasets, read_manifest
from sreval.errors import DataError, ImageError, SrevalError
from sreval.images.datasets import open_dataset
from sreval.images.io import read_hashed
from sreval.images.known import KNOWN

UInt8 = npt.NDArray[np.uint8]


def sr_image(row: pd.Series) -> UInt8:
    """The SR image of a row. Raises DataError when it is no longer what was scored."""
    within = Path(place(row["dataset"], row["scale"]), row["method"], f"{row['image']}.png")
    path = Path(row["folder"]) / "images" / within
    image = _as_scored(path, row["sr_sha256"])
    if image is None:
        raise DataError(
            f"{path} is no longer the image that was scored.", "Run the benchmark again."
        )
    return image


def hr_image(row: pd.Series) -> UInt8:
    """The HR image of a row, found by its hash: kept with the results or in its data set.

    Raises DataError when it is nowhere any more.
    """
    folder, key = Path(row["folder"]), place(row["dataset"], row["scale"])
    held = read_datasets(read_manifest(folder), folder / MANIFEST).get(key)
    for path in _hr_files(row, held):
        image = _as_scored(path, row["hr_sha256"])
        if image is not None:
            return image
    public = held is not None and held.source in KNOWN
    raise DataError(
        f"The HR image of {row['dataset']}/{row['image']} is no longer what was scored: {path}.",
        "Set SREVAL_DATA as for the benchmark." if public else "Run the benchmark again.",
    )


def _hr_files(row: pd.Series, held: Held | None) -> Iterator[Path]:
    """Where the HR image may be; last where a public set has it now, for that hashes all of it."""
    key = place(row["dataset"], row["scale"])
    yield Path(row["folder"]) / "inputs" / key / "HR" / f"{row['image']}.png"
    if held and row["image"] in held.images:
        yield Path(held.images[row["image"]].hr)
    if held and held.source in KNOWN:
        with suppress(SrevalError):
            items = open_dataset(row["dataset"], int(row["scale"])).items
            yield from (item.hr for item in items if item.image == row["image"])


def _as_scored(path: Path, sha256: str) -> UInt8 | None:
    """The image at ``path`` where it is the file of that hash."""
    try:
        image, found = read_hashed(path)
    except ImageError:
        return None
    return image if found == sha256 else None
