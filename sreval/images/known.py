"""The public data sets: what is known of each, where a copy lies, and whether it is whole.

A public name promises content. A copy counts only when every file of the set is there with the
bytes that were published; anything else can be used as a folder of one's own, not by the name. Sets
that everyone gets for themselves have no checksums here; whatever speaks of them says so.
"""

from __future__ import annotations

import csv
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath

from sreval import content
from sreval.errors import DataError, UsageError, option
from sreval.hashes import sha256_of


@dataclass(frozen=True)
class KnownFile:
    """One public file: where it lies below a data folder, its size and its SHA-256."""

    dataset: str
    path: str
    size: int
    sha256: str

    def is_intact(self, folder: Path) -> bool:
        """Whether it lies below ``folder`` with the bytes it should have."""
        path = folder / self.path
        try:
            return (
                path.is_file()
                and path.stat().st_size == self.size
                and sha256_of(path) == self.sha256
            )
        except OSError:
            return False


@dataclass(frozen=True)
class PublicSet:
    """A public data set, and what this machine has of it.

    ``home`` is the repository that holds its files. A pool of photographs has no scales.
    """

    name: str
    about: str
    licence: str
    home: str
    scales: tuple[int, ...]

    @property
    def evaluates(self) -> bool:
        """Whether papers score methods on it: nothing may be trained on its images."""
        return bool(self.home and self.scales)

    @property
    def all_files(self) -> tuple[KnownFile, ...]:
        """Its files at every scale, in the order of its list. Empty for ``demo``."""
        return known_files(self.name)

    @property
    def names(self) -> dict[str, tuple[str, str]]:
        """The common name and the scene, or "", of each of its images that has one."""
        return known_names(self.name)

    def hr_scale(self, scale: float) -> int:
        """The scale whose HR images serve: this one, or where it has none of it, the smallest that
        lies here whole.
        """
        if scale in self.scales:
            return int(scale)
        return next((own for own in self.scales if self.locate(own)), 4)

    def files(self, scale: float) -> tuple[KnownFile, ...]:
        """Its files at one scale; a pool's are all, whatever the scale.

        Raises UsageError for a scale that the set doesn't have.
        """
        if not self.scales:
            return self.all_files
        if scale not in self.scales:
            raise no_scale(self.name, scale, self.scales)
        folders = pair_folders(scale)
        return tuple(f for f in self.all_files if PurePosixPath(f.path).parent.name in folders)

    def copies(self, scale: float) -> Iterator[Copy]:
        """What each data folder holds of it at a scale; folders without any of it are left out.

        Every file is hashed: BSD100 takes a tenth of a second.
        """
        files = self.files(scale)
        for folder in content.data_dirs():
            there = [file for file in files if (folder / file.path).is_file()]
            if there:
                yield Copy(
                    self,
                    scale,
                    folder,
                    tuple(file for file in files if file not in there),
                    tuple(file for file in there if not file.is_intact(folder)),
                )

    def locate(self, scale: float) -> Path | None:
        """The first data folder that holds the whole set at that scale, or None."""
        return next((copy.folder for copy in self.copies(scale) if copy.whole), None)

    def best_copy(self, scale: float) -> Copy:
        """The first whole copy, else the first with any file. Raises DataError without any."""
        found = list(self.copies(scale))
        best = next((copy for copy in found if copy.whole), found[0] if found else None)
        if best is None:
            searched = ", ".join(str(folder) for folder in content.data_dirs())
            raise DataError(
                f"{self._at(scale)} is not in {searched}.",
                f"Run `{self.fetch_command(scale)}`, or set SREVAL_DATA to the folder that holds "
                "eval/ and train/.",
            )
        return best

    def whole_copy(self, scale: float) -> Copy:
        """The first whole copy at that scale.

        Raises DataError, naming the first file that is missing or differs, when there is none.
        """
        copy = self.best_copy(scale)
        if not copy.whole:
            total, faults = len(self.files(scale)), copy.faults()
            raise DataError(
                f"{self._at(scale)} is incomplete: {total - len(faults)} of {total} files are "
                f"right, and {faults[0]}.",
                f"Run `{self.fetch_command(scale)}`, which brings what is missing"
                f"{copy.under_another_name()}.",
            )
        return copy

    def fetch_command(self, scale: float) -> str:
        """The command that brings it at a scale."""
        default = scale == 4 or not self.scales
        return f"sreval data fetch {self.name}" + ("" if default else f" --scale {scale:g}")

    def _at(self, scale: float) -> str:
        return f"{self.name} at scale {scale:g}" if self.scales else self.name


@dataclass(frozen=True)
class Copy:
    """What a data folder holds of a public data set at one scale."""

    known: PublicSet
    scale: float
    folder: Path
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

    def under_another_name(self) -> str:
        """How pairs that aren't the published ones can be scored all the same."""
        name = self.known.name
        if self.missing or not self.known.scales:
            return ""
        hr, lr = (self.folder / "eval" / name / inside for inside in pair_folders(self.scale))
        spec = f"hr={hr},lr={lr},name=own-{name}"
        named = option(f"--dataset {shlex.quote(spec)}", repr(spec))
        return f", or score these files under another name: {named}"


_PAIRS = "pairs of Huang et al. 2015 (SelfExSR): HR cropped, LR by MATLAB bicubic"
_SELFEXSR = "https://github.com/jbhuang0604/SelfExSR/raw/master"
_BSDS500 = "https://github.com/BIDS/BSDS500/raw/master"

KNOWN = {
    known.name: known
    for known in (
        PublicSet("Set5", f"5 images, {_PAIRS}", "none stated; for research", _SELFEXSR, (2, 3, 4)),
        PublicSet(
            "Set14", f"14 images, {_PAIRS}", "none stated; for research", _SELFEXSR, (2, 3, 4)
        ),
        PublicSet(
            "BSD100",
            f"100 images, {_PAIRS}",
            "BSDS: non-commercial research",
            _SELFEXSR,
            (2, 3, 4),
        ),
        PublicSet(
            "Urban100", f"100 images, {_PAIRS}", "Flickr photographs, CC BY", _SELFEXSR, (2, 4)
        ),
        PublicSet(
            "BSDS300-train",
            "199 photographs for training or calibrating raters, without Set5's woman",
            "BSDS: non-commercial research",
            _BSDS500,
            (),
        ),
        PublicSet(
            "demo",
            "5 photographs that come with scikit-image, cropped to multiples of the scale",
            "CC0 or public domain",
            "",
            (2, 3, 4),
        ),
    )
}


@dataclass(frozen=True)
class UnverifiedSet:
    """A public data set that everyone gets for themselves, and of which no checksums are known.

    It is used as it lies below a data folder: the files that match ``hr``, each with the LR image
    that ``lr`` names. ``lr`` is None where LR images are made. ``count``: how many images there
    must be. ``home`` is where one gets it, ``layout`` how its files must lie.
    """

    name: str
    about: str
    licence: str
    home: str
    scales: tuple[int, ...]
    count: int
    layout: str
    hr: str
    lr: Callable[[Path, int], Path] | None

    @property
    def any_scale(self) -> bool:
        """Whether its HR images are of no scale, so that LR images of any can be made of them."""
        return "{scale}" not in self.hr

    def locate(self, scale: float) -> Path | None:
        """The first data folder that holds any of it at that scale, whole or not, or None."""
        return next((folder for folder in content.data_dirs() if self._hr(folder, scale)), None)

    def pairs(self, scale: float) -> list[tuple[Path, Path | None]]:
        """Its HR images by name, each with its LR image, or None where that is to be made.

        Raises UsageError for a scale that the set doesn't have, DataError where it isn't there,
        or not all of it.
        """
        given = scale in self.scales
        if not (given or self.any_scale):
            raise no_scale(self.name, scale, self.scales)
        folder = self.locate(scale)
        if folder is None:
            searched = ", ".join(str(folder) for folder in content.data_dirs())
            raise DataError(f"{self.name} at scale {scale:g} is not in {searched}.", self.remedy())
        hr = self._hr(folder, scale)
        if len(hr) != self.count:
            raise DataError(
                f"{self.name} has {self.count} images; {len(hr)} match "
                f"{folder / self.hr.format(scale=scale)}.",
                self.remedy(),
            )
        pairs = [(path, self.lr(path, int(scale)) if self.lr and given else None) for path in hr]
        for path, low in pairs:
            if low is not None and not low.is_file():
                raise DataError(
                    f"{self.name} at scale {scale:g} is incomplete: {low}, the LR image of "
                    f"{path.name}, is missing.",
                    self.remedy(),
                )
        return pairs

    def originals(self) -> list[Path]:
        """All its HR images that lie below any data folder, of any scale, whole or not."""
        found = (self._hr(folder, scale) for folder in content.data_dirs() for scale in self.scales)
        return sorted({path for paths in found for path in paths})

    def remedy(self) -> str:
        """How to get it and where to put it."""
        return (
            f"Get it from {self.home} and put it below the folder that SREVAL_DATA names: "
            f"{self.layout}."
        )

    def _hr(self, folder: Path, scale: float) -> list[Path]:
        return sorted(folder.glob(self.hr.format(scale=scale)))


def no_scale(name: str, scale: float, scales: Iterable[int]) -> UsageError:
    """The error for a scale that a public data set doesn't have."""
    return UsageError(f"{name} has no scale {scale:g}.", f"It has {', '.join(map(str, scales))}.")


def _div2k_lr(hr: Path, scale: float) -> Path:
    lr = hr.parents[1] / "DIV2K_valid_LR_bicubic" / f"X{scale}"
    return lr / f"{hr.stem}x{scale}.png"


def _realsr_lr(hr: Path, scale: float) -> Path:
    return hr.with_name(f"{hr.stem.removesuffix('_HR')}_LR{scale}.png")


UNVERIFIED = {
    known.name: known
    for known in (
        UnverifiedSet(
            "DIV2K-valid",
            "100 photographs, LR by MATLAB bicubic; not verified",
            "academic research",
            "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
            (2, 3, 4),
            100,
            "eval/DIV2K-valid/DIV2K_valid_HR/0801.png and "
            "eval/DIV2K-valid/DIV2K_valid_LR_bicubic/X4/0801x4.png, as in its archives",
            "eval/DIV2K-valid/DIV2K_valid_HR/*.png",
            _div2k_lr,
        ),
        UnverifiedSet(
            "Manga109",
            "109 pages of manga, LR to be made; not verified",
            "academic use, on application",
            "http://www.manga109.org/en/",
            (2, 3, 4, 8),
            109,
            "eval/Manga109/HR/NAME.png, one page of each volume",
            "eval/Manga109/HR/*.png",
            None,
        ),
        UnverifiedSet(
            "RealSR",
            "100 test pairs of two cameras, version 3; not verified",
            "none stated",
            "https://github.com/csjcai/RealSR",
            (2, 3, 4),
            100,
            "eval/RealSR/Canon/Test/4/Canon_001_HR.png and Canon_001_LR4.png, as in version 3",
            "eval/RealSR/*/Test/{scale}/*_HR.png",
            _realsr_lr,
        ),
    )
}


def unverified_set(spec: str) -> UnverifiedSet | None:
    """The data set without checksums that ``spec`` names, in any case, or None."""
    return next((one for one in UNVERIFIED.values() if one.name.lower() == spec.lower()), None)


def known_set(spec: str) -> PublicSet | None:
    """The public data set that ``spec`` names, in any case, or None."""
    return next((known for known in KNOWN.values() if known.name.lower() == spec.lower()), None)


def pair_folders(scale: float) -> tuple[str, str]:
    """Names of the HR and LR folder of a public data set at that scale."""
    return ("HR" if scale == 4 else f"HR_x{scale:g}"), f"LR_x{scale:g}"


@cache
def known_files(dataset: str) -> tuple[KnownFile, ...]:
    """See ``PublicSet.all_files``."""
    files = []
    for row in _rows("checksums.csv"):
        if row["dataset"] == dataset:
            pool = dataset == "BSDS300-train"
            folder = "train/bsds300_train" if pool else f"eval/{dataset}/{row['folder']}"
            path = f"{folder}/{row['file']}"
            files.append(KnownFile(dataset, path, int(row["bytes"]), row["sha256"]))
    return tuple(files)


@cache
def known_names(dataset: str) -> dict[str, tuple[str, str]]:
    """See ``PublicSet.names``."""
    rows = _rows("names.csv")
    return {row["image"]: (row["name"], row["scene"]) for row in rows if row["dataset"] == dataset}


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("sreval.images").joinpath(name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())
