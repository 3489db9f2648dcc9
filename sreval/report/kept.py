"""The images behind result rows, found again and checked by their hashes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from sreval.benchmarking.results import ResultsFolder, place
from sreval.errors import DataError, ImageError, SrevalError
from sreval.images.datasets import open_dataset
from sreval.images.io import read_image
from sreval.images.known import KNOWN

UInt8 = npt.NDArray[np.uint8]


def sr_image(row: pd.Series) -> UInt8:
    """The SR image of a row. Raises DataError when it is no longer what was scored."""
    folder = ResultsFolder(Path(row["folder"]))
    path = folder.sr_image(row["dataset"], row["scale"], row["method"], row["image"])
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
    folder = ResultsFolder(Path(row["folder"]))
    held = folder.datasets.get(place(row["dataset"], row["scale"]))
    for path in _hr_files(row, folder):
        image = _as_scored(path, row["hr_sha256"])
        if image is not None:
            return image
    public = held is not None and held.source in KNOWN
    raise DataError(
        f"The HR image of {row['dataset']}/{row['image']} is no longer what was scored: {path}.",
        "Set SREVAL_DATA as for the benchmark." if public else "Run the benchmark again.",
    )


def _hr_files(row: pd.Series, folder: ResultsFolder) -> Iterator[Path]:
    """Where the HR image may be; last where a public set has it now, for that hashes all of it.

    Sreval 0.1 kept no paths, so its data sets are opened as they were named.
    """
    held = folder.datasets.get(place(row["dataset"], row["scale"]))
    yield folder.inputs(row["dataset"], row["scale"]) / "HR" / f"{row['image']}.png"
    if held and row["image"] in held.images:
        yield Path(held.images[row["image"]].hr)
    specs = [row["dataset"]] if held and held.source in KNOWN else []
    if folder.is_first_format:
        specs = [spec for run in folder.runs for spec in run["plan"]["datasets"]]
    for spec in dict.fromkeys(specs):
        with suppress(SrevalError):
            items = open_dataset(spec, int(row["scale"])).items
            yield from (item.hr for item in items if item.image == row["image"])


def _as_scored(path: Path, sha256: str) -> UInt8 | None:
    """The image at ``path`` where it is the file of that hash."""
    try:
        image = read_image(path)
    except ImageError:
        return None
    return image.pixels if image.sha256 == sha256 else None
