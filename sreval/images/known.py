"""The public data sets: what is known of each, where a copy lies, and whether it is whole.

A public name promises content. A copy counts only when every file of the set is there with the
bytes that were published; anything else can be used as a folder of one's own, not by the name.
"""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath

from sreval import content
from sreval.errors import DataError, UsageError, option
from sreval.files import sha256_file


@dataclass(frozen=True)
class Known:
    """What the package knows of a public data set; a pool of photographs has no scales."""

    name: str
    about: str
    licence: str
    scales: tuple[int, ...]


@dataclass(frozen=True)
class KnownFile:
    """One public file: where it lies below a data folder, its size and its SHA-256."""

    dataset: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Copy:
    """What a data folder holds of a public data set at one scale."""

    folder: Path
    files: tuple[KnownFile, ...]
    missing: tuple[KnownFile, ...]
    other: tuple[KnownFile, ...]

    @property
    def whole(self) -> bool:
        """Whether every file is there with its published bytes."""
        return not self.missing and not self.other

    def faults(self) -> list[str]:
        """What is wrong with it, one clause per file."""
        return [
            *(f"{self.folder / file.path} is missing" for file in self.missing),
            *(f"{self.folder / file.path} is not the published file" for file in self.other),
        ]


_SELFEXSR = "pairs of Huang et al. 2015 (SelfExSR): HR cropped, LR by MATLAB bicubic"

KNOWN = {
    known.name: known
    for known in (
        Known("Set5", f"5 images, {_SELFEXSR}", "none stated; for research", (2, 3, 4)),
        Known("Set14", f"14 images, {_SELFEXSR}", "none stated; for research", (2, 3, 4)),
        Known("BSD100", f"100 images, {_SELFEXSR}", "BSDS: non-commercial research", (2, 3, 4)),
        Known("Urban100", f"100 images, {_SELFEXSR}", "Flickr photographs, CC BY", (2, 4)),
        Known(
            "BSDS300-train",
            "199 photographs for training or calibrating raters, without Set5's woman",
            "BSDS: non-commercial research",
            (),
        ),
        Known(
            "demo",
            "5 photographs that come with scikit-image, cropped to multiples of the scale",
            "CC0 or public domain",
            (2, 3, 4),
        ),
    )
}

EVALUATION_SETS = tuple(name for name in KNOWN if name not in ("demo", "BSDS300-train"))


@cache
def known_files(dataset: str) -> tuple[KnownFile, ...]:
    """The files of a public data set in the order of its list. Empty for ``demo``."""
    training = dataset == "BSDS300-train"
    return tuple(
        KnownFile(
            dataset,
            f"train/bsds300_train/{row['file']}"
            if training
            else f"eval/{dataset}/{row['folder']}/{row['file']}",
            int(row["bytes"]),
            row["sha256"],
        )
        for row in _rows("checksums.csv")
        if row["dataset"] == dataset
    )


@cache
def known_names(dataset: str) -> dict[str, tuple[str, str]]:
    """The common name and the scene, or "", of a public data set's images that have one."""
    rows = _rows("names.csv")
    return {row["image"]: (row["name"], row["scene"]) for row in rows if row["dataset"] == dataset}


def known_name(spec: str) -> str | None:
    """The public name that ``spec`` is in any case, or None."""
    return next((name for name in KNOWN if name.lower() == spec.lower()), None)


def pair_folders(scale: int) -> tuple[str, str]:
    """Names of the HR and LR folder of a public data set at that scale."""
    return ("HR" if scale == 4 else f"HR_x{scale}"), f"LR_x{scale}"


def files_at(dataset: str, scale: int) -> tuple[KnownFile, ...]:
    """The files of a public data set at one scale; a pool's are all, whatever the scale.

    Raises UsageError for a scale that the set doesn't have.
    """
    scales = KNOWN[dataset].scales
    if not scales:
        return known_files(dataset)
    if scale not in scales:
        raise UsageError(
            f"{dataset} has no scale {scale}.", f"It has {', '.join(map(str, scales))}."
        )
    folders = pair_folders(scale)
    return tuple(f for f in known_files(dataset) if PurePosixPath(f.path).parent.name in folders)


def is_intact(file: KnownFile, folder: Path) -> bool:
    """Whether the file lies below ``folder`` with the bytes it should have."""
    path = folder / file.path
    try:
        return (
            path.is_file() and path.stat().st_size == file.size and sha256_file(path) == file.sha256
        )
    except OSError:
        return False


def copies(dataset: str, scale: int) -> Iterator[Copy]:
    """What each data folder holds of a set at a scale; folders without any of it are left out.

    Every file is hashed, nothing is remembered: BSD100 takes a tenth of a second.
    """
    files = files_at(dataset, scale)
    for folder in content.data_dirs():
        there = [file for file in files if (folder / file.path).is_file()]
        if there:
            yield Copy(
                folder,
                files,
                tuple(file for file in files if file not in there),
                tuple(file for file in there if not is_intact(file, folder)),
            )


def locate(dataset: str, scale: int) -> Path | None:
    """The first data folder that holds the whole public data set at that scale, or None."""
    return next((copy.folder for copy in copies(dataset, scale) if copy.whole), None)


def best_copy(dataset: str, scale: int) -> Copy:
    """The first whole copy, else the first with any file. Raises DataError when there is none."""
    found = list(copies(dataset, scale))
    best = next((copy for copy in found if copy.whole), found[0] if found else None)
    if best is None:
        searched = ", ".join(str(folder) for folder in content.data_dirs())
        raise DataError(
            f"{_at(dataset, scale)} is not in {searched}.",
            f"Run `{fetch_command(dataset, scale)}`, or set SREVAL_DATA to the folder that holds "
            "eval/ and train/.",
        )
    return best


def require(dataset: str, scale: int) -> Path:
    """The data folder that holds the whole public data set at that scale.

    Raises DataError, naming the first file that is missing or differs, when there is none.
    """
    copy = best_copy(dataset, scale)
    if not copy.whole:
        faults = copy.faults()
        raise DataError(
            f"{_at(dataset, scale)} is incomplete: {len(copy.files) - len(faults)} of "
            f"{len(copy.files)} files are right, and {faults[0]}.",
            f"Run `{fetch_command(dataset, scale)}`, which brings what is missing"
            f"{_under_another_name(copy, scale)}.",
        )
    return copy.folder


def fetch_command(dataset: str, scale: int) -> str:
    """The command that brings a public data set at a scale."""
    default = scale == 4 or not KNOWN[dataset].scales
    return f"sreval data fetch {dataset}" + ("" if default else f" --scale {scale}")


def _at(dataset: str, scale: int) -> str:
    return f"{dataset} at scale {scale}" if KNOWN[dataset].scales else dataset


def _under_another_name(copy: Copy, scale: int) -> str:
    """How pairs that aren't the published ones can be scored all the same."""
    dataset = copy.files[0].dataset
    if copy.missing or not KNOWN[dataset].scales:
        return ""
    hr, lr = (copy.folder / "eval" / dataset / inside for inside in pair_folders(scale))
    spec = f"hr={hr},lr={lr},name=own-{dataset}"
    named = option(f"--dataset {shlex.quote(spec)}", repr(spec))
    return f", or score these files under another name: {named}"


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("sreval.images").joinpath(name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())
