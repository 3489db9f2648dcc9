"""Where the versions of an image come from: results, an interpolation, the original, a stand-in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval.benchmarking.identity import standing
from sreval.benchmarking.results import place
from sreval.errors import DataError, SrevalError
from sreval.files import sha256_bytes
from sreval.images.arrays import as_colour
from sreval.images.datasets import Dataset, Item, open_dataset, published
from sreval.images.io import encode_png, read_image
from sreval.images.known import KNOWN, require
from sreval.images.pairs import Pair, read_pair
from sreval.methods import make_upscaler
from sreval.methods.interpolation import INTERPOLATIONS
from sreval.study.design import StudyDesign
from sreval.study.draw import drawn_parts, methods_of
from sreval.study.manifest import Key
from sreval.study.parts import Pool
from sreval.study.standins import STAND_INS, stand_in

UInt8 = npt.NDArray[np.uint8]

COMPUTED = (*INTERPOLATIONS, "hr")
"""What needs no results: it follows from the data set alone."""


@dataclass(frozen=True)
class Version:
    """One version of an image (H, W, 3), and the hash of the file that was scored."""

    pixels: UInt8
    image_sha256: str
    stand_in: bool = False


@dataclass(frozen=True)
class _Scored:
    path: Path
    scene: str
    sr_sha256: str
    hr_sha256: str


class Sources:
    """All that a design's stimuli can be taken from."""

    def __init__(self, design: StudyDesign, results: Sequence[Path], stand_ins: bool) -> None:
        """Open data sets and results folders.

        Raises UsageError or DataError for a data set that is neither on this machine nor in the
        results, for a folder without results, and for folders that contradict each other.
        """
        self._scale = design.images.scale
        self._scored = _read_results(results, self._scale)
        parts = drawn_parts(design)
        named = [given.name for given in design.images.datasets]
        self._datasets = {
            name: self._open(name)
            for name in dict.fromkeys([*named, *(part.dataset for part in parts)])
        }
        self._items = {
            (name, item.image): item
            for name, dataset in self._datasets.items()
            for item in (dataset.items if dataset else ())
        }
        methods = [*design.images.methods, *(m for part in parts for m in methods_of(part))]
        others = [m for m in dict.fromkeys(methods) if m not in COMPUTED]
        self._stand_ins = dict(zip(others, range(len(STAND_INS)), strict=False))
        if not stand_ins:
            self._stand_ins = {}

    def _open(self, name: str) -> Dataset | None:
        """A data set; None when the results alone know it."""
        try:
            return open_pictures(name, self._scale)
        except SrevalError:
            if any(dataset == name for dataset, _, _ in self._scored):
                return None
            raise

    @property
    def pool(self) -> Pool:
        """The images that the design's data sets hold."""
        pool: dict[str, dict[str, str]] = {name: {} for name in self._datasets}
        for (name, image, _), scored in sorted(self._scored.items()):
            if self._datasets.get(name, self) is None:
                pool[name][image] = scored.scene
        for (name, image), item in self._items.items():
            pool[name][image] = item.scene
        return pool

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those that can't be found anywhere."""
        return [key for key in keys if not self._has(key)]

    def _has(self, key: Key) -> bool:
        computed = key[2] in COMPUTED or key[2] in self._stand_ins
        return key in self._scored or (computed and key[:2] in self._items)

    def versions(self, dataset: str, image: str, methods: Iterable[str]) -> dict[str, Version]:
        """An image's versions by method, none of them missing.

        Raises DataError for a file that is not the one that was scored, that was scored against
        another original, or that measures otherwise than the original; ImageError for one that
        can't be read.
        """
        item, opened = self._items.get((dataset, image)), self._datasets[dataset]
        pair = read_pair(opened, item) if opened and item else None
        made: dict[str, Version] = {}
        for method in methods:
            scored = self._scored.get((dataset, image, method))
            if scored:
                made[method] = _as_scored(scored, method, pair)
            else:
                assert pair is not None
                assert item is not None
                made[method] = self._make(method, pair, item)
        size = pair.hr.shape[:2] if pair else next(iter(made.values())).pixels.shape[:2]
        for method, version in made.items():
            _check_size(f"{dataset}/{image}, {method}", version.pixels, size)
        return made

    def _make(self, method: str, pair: Pair, item: Item) -> Version:
        if method == "hr":
            return Version(as_colour(pair.hr), pair.hr_sha256)
        if method in COMPUTED:
            pixels = make_upscaler(method).upscale(pair.lr, self._scale, item)
            return Version(as_colour(pixels), sha256_bytes(encode_png(pixels)))
        name = f"{item.dataset}/{item.image}"
        pixels = stand_in(self._stand_ins[method], as_colour(pair.hr), name)
        return Version(pixels, sha256_bytes(encode_png(pixels)), stand_in=True)


def open_pictures(name: str, scale: int) -> Dataset:
    """A data set under the name that a design gives it; also a pool of photographs.

    Raises as ``images.datasets.open_dataset`` does, and UsageError for a name that the data set
    does not bear.
    """
    known = KNOWN.get(name)
    if known is None or known.scales:
        dataset = open_dataset(name, scale)
        return dataset if dataset.name == name else _renamed(dataset, name)
    return published(name, scale, require(name, scale))


def _renamed(dataset: Dataset, name: str) -> Dataset:
    items = tuple(
        dataclasses.replace(
            item, dataset=name, scene=item.scene.replace(f"{dataset.name}/", f"{name}/", 1)
        )
        for item in dataset.items
    )
    return dataclasses.replace(dataset, name=name, items=items)


def _read_results(folders: Sequence[Path], scale: int) -> dict[Key, _Scored]:
    """What the folders' results say was scored, by key."""
    found: dict[Key, _Scored] = {}
    for folder in folders:
        frame = standing([folder], single=True)
        frame = frame[frame["scale"] == scale].drop_duplicates(["dataset", "image", "method"])
        for row in frame.to_dict("records"):
            key = (row["dataset"], row["image"], row["method"])
            path = folder / "images" / place(key[0], scale) / key[2] / f"{key[1]}.png"
            scored = _Scored(path, row["scene"], row["sr_sha256"], row["hr_sha256"])
            other = found.setdefault(key, scored)
            if other.sr_sha256 != scored.sr_sha256:
                raise DataError(
                    f"{other.path} and {path} are two versions of {'/'.join(key)}.",
                    "Name one of the two results folders.",
                )
    return found


def _as_scored(scored: _Scored, method: str, pair: Pair | None) -> Version:
    image = read_image(scored.path)
    if image.sha256 != scored.sr_sha256:
        raise DataError(
            f"{scored.path} is not the file that was scored: its SHA-256 is "
            f"{image.sha256[:12]}..., results.csv has {scored.sr_sha256[:12]}...",
            "Run the benchmark again.",
        )
    if pair and scored.hr_sha256 != pair.hr_sha256:
        raise DataError(
            f"{scored.path} was scored against another original than the data set has here.",
            "Run the benchmark again with the data set as it is here.",
        )
    image_sha256 = scored.hr_sha256 if method == "hr" else scored.sr_sha256
    return Version(as_colour(image.pixels), image_sha256)


def _check_size(what: str, pixels: UInt8, size: tuple[int, ...]) -> None:
    if pixels.shape[:2] != size:
        raise DataError(
            f"{what} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the original "
            f"{size[1]}x{size[0]}.",
            "Provide every version at the original's size.",
        )
