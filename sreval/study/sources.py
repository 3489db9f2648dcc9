"""Where the versions of an image come from: results, an interpolation, the original, a stand-in.

Stand-ins are nine degradations of the original that replace methods whose images are missing. With
them a study can be tried at full size; they are marked, and nothing said about them is a finding
about a method. Their pixels follow from the original and its name alone, with one version of
Pillow, NumPy and SciPy.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
from PIL import Image

from sreval.benchmarking.identity import standing
from sreval.benchmarking.results import ResultsFolder, Snapshot
from sreval.content import user_path
from sreval.errors import DataError, SrevalError, UsageError, listed
from sreval.files import exists, sha256_bytes
from sreval.images.arrays import as_colour
from sreval.images.datasets import Dataset, Item, Pair, open_dataset, published
from sreval.images.io import encode_png, read_image
from sreval.images.known import KNOWN
from sreval.images.resize import imresize
from sreval.methods import INTERPOLATIONS, method_of
from sreval.study.design import StudyDesign
from sreval.study.exposure import Scenes, drawn_blocks, versions
from sreval.study.manifest import Key
from sreval.study.presentation import Unmet

UInt8 = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

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
        _require_names(design)
        self._scale = design.images.scale
        self._reference = design.task.shows_reference
        self._scored = _read_results(results, self._scale)
        blocks = drawn_blocks(design)
        named = [given.name for given in design.images.datasets]
        self._datasets = {
            name: _opened(design, name, self._scored)
            for name in dict.fromkeys([*named, *(block.dataset for block in blocks)])
        }
        self._items = {
            (name, item.image): item
            for name, dataset in self._datasets.items()
            for item in (dataset.items if dataset else ())
        }
        methods = [
            *design.images.methods,
            *(m for block in blocks for m in versions(design, block)),
        ]
        others = [m for m in dict.fromkeys(methods) if m not in COMPUTED]
        possible = dict(zip(others, range(len(STAND_INS)), strict=False))
        self._stand_ins, self._offered = (possible, {}) if stand_ins else ({}, possible)

    def unmet(self, keys: Iterable[Key]) -> list[Unmet]:
        """What is asked of data sets without originals that needs them."""
        without = _without_originals(self._datasets, self._scored)
        return _unmet(keys, without, self._reference)

    @property
    def scenes(self) -> Scenes:
        """The images that the design's data sets hold."""
        scenes: dict[str, dict[str, str]] = {name: {} for name in self._datasets}
        for (name, image, _), scored in sorted(self._scored.items()):
            if self._datasets.get(name, self) is None:
                scenes[name][image] = scored.scene
        for (name, image), item in self._items.items():
            scenes[name][image] = item.scene
        return scenes

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those that can't be found anywhere."""
        return [key for key in keys if not self._has(key)]

    def stand_ins_would_do(self, missing: Iterable[Key]) -> bool:
        """Whether all that is missing could be replaced by degradations of originals."""
        items = [(self._items.get((key[0], key[1])), key[2]) for key in missing]
        return all(item and item.hr and method in self._offered for item, method in items)

    def _has(self, key: Key) -> bool:
        if key in self._scored:
            return True
        item = self._items.get((key[0], key[1]))
        from_lr = key[2] in INTERPOLATIONS
        from_hr = key[2] == "hr" or key[2] in self._stand_ins
        return item is not None and (from_lr or (from_hr and item.hr is not None))

    def versions(self, dataset: str, image: str, methods: Iterable[str]) -> dict[str, Version]:
        """An image's versions by method, none of them missing.

        Raises DataError for a file that is not the one that was scored, that was scored against
        another original, or that measures otherwise than the original; ImageError for one that
        can't be read.
        """
        item, opened = self._items.get((dataset, image)), self._datasets[dataset]
        pair = opened.pair(item) if opened and item else None
        made: dict[str, Version] = {}
        for method in methods:
            scored = self._scored.get((dataset, image, method))
            if scored:
                made[method] = _as_scored(scored, method, pair)
            else:
                assert pair is not None
                assert item is not None
                made[method] = self._make(method, pair, item)
        original = pair.hr if pair else None
        size = (next(iter(made.values())).pixels if original is None else original).shape[:2]
        for method, version in made.items():
            what = f"{dataset}/{image}, {method}"
            _check_size(what, version.pixels, size, original is not None)
        return made

    def _make(self, method: str, pair: Pair, item: Item) -> Version:
        if method in INTERPOLATIONS:
            pixels = method_of(method).upscale(pair.lr, self._scale, item)
            return Version(as_colour(pixels), sha256_bytes(encode_png(pixels)))
        assert pair.hr is not None
        if method == "hr":
            return Version(as_colour(pair.hr), pair.hr_sha256)
        name = f"{item.dataset}/{item.image}"
        pixels = stand_in(self._stand_ins[method], as_colour(pair.hr), name)
        return Version(pixels, sha256_bytes(encode_png(pixels)), stand_in=True)


@dataclass(frozen=True)
class Available:
    """The images that freezing would find, and the versions that some results hold.

    ``computed`` are the versions that follow from each data set alone; ``without_originals`` are
    those data sets that have none; ``notes`` say which folders are taken for originals;
    ``unopened`` say why the ``source`` of a data set can't be used, of which one pair was read.
    ``reference``: the design has the original in view.
    """

    scenes: Scenes
    scored: frozenset[Key] = frozenset()
    computed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    without_originals: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    unopened: Mapping[str, SrevalError] = field(default_factory=dict)
    reference: bool = False

    def unmet(self, keys: Iterable[Key]) -> list[Unmet]:
        """What is asked of data sets without originals that needs them."""
        return _unmet(keys, self.without_originals, self.reference)

    def has(self, key: Key) -> bool:
        """Whether a stimulus could be frozen: it was scored, or follows from its data set."""
        return key in self.scored or key[2] in self.computed.get(key[0], ())


def available(design: StudyDesign, results: Sequence[Path] = ()) -> Available:
    """What there is for a study that isn't frozen yet, here and in results folders.

    Raises DataError for a folder that holds no results, UsageError for results of another scale and
    for a data set whose name says where it is.
    """
    _require_names(design)
    names = [part.name for part in design.images.datasets]
    names += [block.dataset for block in drawn_blocks(design)]
    found = _read_results(results, design.images.scale)
    datasets: dict[str, Dataset | None] = {}
    unopened: dict[str, SrevalError] = {}
    for name in dict.fromkeys(names):
        sourced = design.images.source_of(name) != name
        try:
            one = _opened(design, name, found)
            if one and sourced:
                one.pair(one.items[0])
            datasets[name] = one
        except SrevalError as error:
            if sourced:
                unopened[name] = error
    opened = {name: one for name, one in datasets.items() if one}
    scenes = {name: {item.image: item.scene for item in one.items} for name, one in opened.items()}
    for (name, image, _), scored in found.items():
        if name in names and name not in opened:
            scenes.setdefault(name, {})[image] = scored.scene
    computed = {
        name: COMPUTED if one.has_originals else tuple(INTERPOLATIONS)
        for name, one in opened.items()
    }
    notes = tuple(
        f"{name}: {user_path(name).resolve()} is taken for originals, of which LR images are made. "
        f'Write source = "lr={name}" if they are LR images.'
        for name, one in opened.items()
        if name not in KNOWN
        and design.images.source_of(name) == name
        and one.items[0].lr is None
        and user_path(name).is_dir()
        and not any(key[0] == name for key in found)
    )
    without = _without_originals(datasets, found)
    reference = design.task.shows_reference
    return Available(scenes, frozenset(found), computed, without, notes, unopened, reference)


def _without_originals(
    datasets: Mapping[str, Dataset | None], found: Mapping[Key, _Scored]
) -> frozenset[str]:
    """Of the data sets those that have LR images alone, by themselves or by the results."""
    with_hr = {dataset for (dataset, _, _), one in found.items() if one.hr_sha256}
    scored = {dataset for dataset, _, _ in found} - with_hr
    return frozenset(
        name for name, one in datasets.items() if (not one.has_originals if one else name in scored)
    )


def _unmet(keys: Iterable[Key], without_originals: Collection[str], reference: bool) -> list[Unmet]:
    asked = {key[0]: None for key in keys if key[2] == "hr" and key[0] in without_originals}
    return [
        Unmet(
            "images",
            f"{name} has LR images alone, so there is no hr to show",
            "Name a data set that has originals, or a task without the original in view."
            if reference
            else f'Leave hr out of images.methods, or write without = ["hr"] for {name}. '
            "Calibration and warm-up take it from another data set.",
        )
        for name in asked
    ]


def _rows(folder: Path, scale: float) -> list[dict[Hashable, Any]]:
    """A row for each image that a method has in a results folder at that scale.

    Raises DataError for a folder without results and for one whose run hasn't ended, UsageError for
    results of other scales alone.
    """
    found = Snapshot.of(folder)
    found.require_finished()
    frame = standing([found], single=True)
    own = frame[frame["scale"] == scale]
    if own.empty and not frame.empty:
        held = listed([f"{held:g}" for held in sorted(frame["scale"].unique())])
        raise UsageError(
            f"The results in {folder} have the scale {held}, and images.scale of the design is "
            f"{scale:g}.",
            f"Set images.scale to {held}, or name results of scale {scale:g}.",
        )
    return own.drop_duplicates(["dataset", "image", "method"]).to_dict("records")


def _require_names(design: StudyDesign) -> None:
    """Raises UsageError for a rated data set that is named by what ``source`` is for."""
    for part in design.images.datasets:
        if not part.source and "=" in part.name and not exists(part.name):
            own = open_dataset(part.name, design.images.scale).name
            raise UsageError(
                f"{part.name!r} says where a data set is; it is no name that results have.",
                f'Write name = "{own}" and, below it, source = "{part.name}".',
            )


def _opened(design: StudyDesign, name: str, found: Mapping[Key, _Scored]) -> Dataset | None:
    """A data set; None when the results alone know it, or know that it has no originals."""
    scale, source = design.images.scale, design.images.source_of(name)
    scored = [one for (dataset, _, _), one in found.items() if dataset == name]
    if source == name and scored and not any(one.hr_sha256 for one in scored):
        return None  # a folder of that name would be taken for originals
    try:
        return open_pictures(source, scale, name)
    except SrevalError:
        if scored:
            return None
        raise


def open_pictures(spec: str, scale: float, name: str = "") -> Dataset:
    """A data set as a design has it, by default called by ``spec``; also a set of photographs.

    Raises as ``images.datasets.open_dataset`` does.
    """
    known = KNOWN.get(spec)
    if known is None or known.scales:
        dataset = open_dataset(spec, scale)
    else:
        dataset = published(known.whole_copy(scale))
    return dataset if dataset.name == (name or spec) else _renamed(dataset, name or spec)


def _renamed(dataset: Dataset, name: str) -> Dataset:
    items = tuple(
        dataclasses.replace(
            item, dataset=name, scene=item.scene.replace(f"{dataset.name}/", f"{name}/", 1)
        )
        for item in dataset.items
    )
    return dataclasses.replace(dataset, name=name, items=items)


def _read_results(folders: Sequence[Path], scale: float) -> dict[Key, _Scored]:
    """What the folders' results say was scored, by key."""
    found: dict[Key, _Scored] = {}
    for folder in folders:
        for row in _rows(folder, scale):
            key = (row["dataset"], row["image"], row["method"])
            path = ResultsFolder(folder).sr_image(key[0], scale, key[2], key[1])
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


def _check_size(what: str, pixels: UInt8, size: tuple[int, ...], original: bool) -> None:
    if pixels.shape[:2] != size:
        raise DataError(
            f"{what} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the "
            f"{'original' if original else 'first version'} {size[1]}x{size[0]}.",
            "Provide every version at one size.",
        )


# Stand-ins


def stand_in(index: int, original: UInt8, name: str) -> UInt8:
    """The ``index``-th degradation, from 0, of an original (H, W, 3); the same shape.

    ``name`` of the image seeds what is random. Needs no more than 0 <= index < len(STAND_INS).
    """
    seed = int(sha256_bytes(f"{name}/{index}".encode())[:16], 16)
    degrade = STAND_INS[index]
    return degrade(original, np.random.default_rng(seed))


def _rounded(values: Floats) -> UInt8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _blurred(image: npt.NDArray[np.generic], sigma: float) -> Floats:
    blurred: Floats = scipy.ndimage.gaussian_filter(
        image.astype(np.float64), (sigma, sigma, 0), mode="nearest"
    )
    return blurred


def _jpeg(image: UInt8, quality: int) -> UInt8:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
    return np.asarray(Image.open(buffer))


def _blur(image: UInt8, _: np.random.Generator) -> UInt8:
    return _rounded(_blurred(image, 1.6))


def _noise(image: UInt8, generator: np.random.Generator) -> UInt8:
    return _rounded(image + generator.normal(0, 14, image.shape))


def _strong_jpeg(image: UInt8, _: np.random.Generator) -> UInt8:
    return _jpeg(image, 8)


def _weak_jpeg(image: UInt8, _: np.random.Generator) -> UInt8:
    return _jpeg(image, 30)


def _sharpened(image: UInt8, _: np.random.Generator) -> UInt8:
    """Half the size and back by bicubic, then an unsharp mask."""
    height, width = image.shape[:2]
    small = imresize(image, size=(max(1, height // 2), max(1, width // 2)))
    large = imresize(small, size=(height, width)).astype(np.float64)
    return _rounded(large + 1.5 * (large - _blurred(large, 1.2)))


def _quantised(image: UInt8, _: np.random.Generator) -> UInt8:
    """Ten levels a channel."""
    return _rounded(np.rint(image / 255 * 9) * 255 / 9)


def _ringing(image: UInt8, _: np.random.Generator) -> UInt8:
    """An ideal low pass at 0.18 cycles a pixel."""
    spectrum = np.fft.fft2(image.astype(np.float64), axes=(0, 1))
    rows, columns = (np.fft.fftfreq(n) for n in image.shape[:2])
    spectrum[np.hypot(rows[:, None], columns) > 0.18] = 0
    return _rounded(np.fft.ifft2(spectrum, axes=(0, 1)).real)


def _bled_colour(image: UInt8, _: np.random.Generator) -> UInt8:
    """Colour blurred strongly, luma hardly."""
    luma = (image @ np.array([0.299, 0.587, 0.114]))[..., None]
    return _rounded(_blurred(luma, 0.6) + _blurred(image - luma, 5))


def _mosaic(image: UInt8, _: np.random.Generator) -> UInt8:
    """Blocks of 3 x 3 pixels, each of its mean colour."""
    height, width = image.shape[:2]
    margin = ((0, -height % 3), (0, -width % 3), (0, 0))
    whole = np.pad(image, margin, mode="edge").astype(np.float64)
    blocks = whole.reshape(whole.shape[0] // 3, 3, whole.shape[1] // 3, 3, -1).mean(axis=(1, 3))
    return _rounded(blocks.repeat(3, axis=0).repeat(3, axis=1))[:height, :width]


STAND_INS: tuple[Callable[[UInt8, np.random.Generator], UInt8], ...] = (
    _blur,
    _noise,
    _strong_jpeg,
    _weak_jpeg,
    _sharpened,
    _quantised,
    _ringing,
    _bled_colour,
    _mosaic,
)
