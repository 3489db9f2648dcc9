"""The images behind result rows, found again and checked by their hashes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sreval.benchmark.results import read_manifest
from sreval.errors import DataError, SrevalError
from sreval.files import sha256_file
from sreval.images.datasets import open_dataset
from sreval.images.io import read_image

UInt8 = npt.NDArray[np.uint8]


def sr_image(row: pd.Series) -> UInt8:
    """The SR image of a row. Raises DataError when it is no longer what was scored."""
    place = f"{row['dataset']}_x{row['scale']}"
    path = Path(row["folder"]) / "images" / place / row["method"] / f"{row['image']}.png"
    if not path.is_file() or sha256_file(path) != row["sr_sha256"]:
        raise DataError(
            f"{path} is no longer the image that was scored.", "Run the benchmark again."
        )
    return read_image(path)


def hr_image(row: pd.Series) -> UInt8:
    """The HR image of a row, found by its hash: kept with the results or in its data set.

    Raises DataError when it is nowhere any more.
    """
    folder, place = Path(row["folder"]), f"{row['dataset']}_x{row['scale']}"
    kept = folder / "inputs" / place / "HR" / f"{row['image']}.png"
    candidates = [kept] if kept.is_file() else []
    for run in read_manifest(folder)["runs"]:
        for spec in run["plan"]["datasets"]:
            try:
                items = open_dataset(spec, int(row["scale"])).items
            except SrevalError:
                continue  # moved away since; another run may know where it is
            candidates += [item.hr for item in items if item.image == row["image"]]
    for path in candidates:
        if sha256_file(path) == row["hr_sha256"]:
            return read_image(path)
    raise DataError(
        f"The HR image of {row['dataset']}/{row['image']} is no longer where it was scored.",
        "Set SREVAL_DATA as for the benchmark.",
    )
