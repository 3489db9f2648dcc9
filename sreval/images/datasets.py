"""Data sets: the public ones by name, any folder, any HR/LR pair, a user's own TOML file.

A data set is a list of items; an item is one high-resolution image, its low-resolution image
where one is given (otherwise a degradation makes it), and the scene it shows, so that one
photograph in two sets is known as one. A data set without originals has LR images alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from sreval.config import Config, FieldError, UserPath
from sreval.content import user_path
from sreval.errors import DataError, ImageError, UsageError, option, unknown_name
from sreval.files import exists, no_folder, sha256_bytes, sha256_or_empty, write_atomic
from sreval.frames import is_frame, unit_of
from sreval.images.degradations import Degradation, known_degradation, open_degradation
from sreval.images.degrade import degrade, pixels_sha256
from sreval.images.degraded import read_record
from sreval.images.folders import ImageFolder, composed, left_out_note
from sreval.images.io import encode_png, read_image
from sreval.images.known import (
    KNOWN,
    UNVERIFIED,
    Copy,
    PublicSet,
    UnverifiedSet,
    known_set,
    pair_folders,
    unverified_set,
)
from sreval.images.resize import crop_to_multiple
from sreval.images.scales import UpscalingFactor, belong, checked_scale, fitting_scale, hr_size

UInt8 = npt.NDArray[np.uint8]


NOT_PUBLISHED = "as none were published at scale"
"""In a row's note: its images are a public set's by content, whatever was cropped or made."""


@dataclass(frozen=True)
class Item:
    """One image of a data set.

    ``lr`` is None when the low-resolution image is to be made, ``hr`` where there is no original.
    """

    dataset: str
    image: str
    name: str
    scene: str
    hr: Path | None
    lr: Path | None

    @property
    def file(self) -> Path:
        """The original, or the LR image where there is none."""
        file = self.hr or self.lr
        assert file is not None
        return file

    def folder_of(self, file: Path) -> Path:
        """The folder of images of which ``file``, ``hr`` or ``lr``, is one.

        Of a frame it is the folder that holds its sequence, whatever its file links to.
        """
        return file.parents[1 if is_frame(self.image) else 0]


@dataclass(frozen=True)
class Dataset:
    """A named list of items at one scale.

    ``degradation`` is how missing LR images are made, and how given ones were; None where that
    isn't known. ``recorded`` are the hashes of the pairs that a ``degradation.json`` speaks of.
    ``left_out`` are files beside the HR images that are images of a kind not read here.
    ``hr_source`` says, of a public set without LR images at this scale, of which HR images they are
    made.
    """

    name: str
    scale: float
    items: tuple[Item, ...]
    degradation: Degradation | None = field(
        default_factory=partial(known_degradation, "bicubic"), hash=False
    )
    recorded: frozenset[tuple[str, str]] = field(default=frozenset(), hash=False)
    left_out: tuple[str, ...] = ()
    hr_source: str = ""

    @property
    def notes(self) -> list[str]:
        """Sentences on what is left out, and on what is made because it wasn't published."""
        left_out = [f"{self.name}: {left_out_note(self.left_out)}"] if self.left_out else []
        return left_out + [f"{self.name}: {note}." for note in [self.lr_note] if note]

    @property
    def lr_note(self) -> str:
        """That LR images are made because none were published, or ""."""
        if not self.hr_source:
            return ""
        recipe = self.degradation.name if self.degradation else ""
        return f"LR images made by {recipe} from {self.hr_source}, {NOT_PUBLISHED} {self.scale:g}"

    @property
    def has_originals(self) -> bool:
        """Whether there are HR images to compare with."""
        return self.items[0].hr is not None

    def require_originals(self, what: str, remedy: str) -> None:
        """Raises UsageError where there are none; ``what`` needs them."""
        if not self.has_originals:
            first = self.items[0]
            folder = first.folder_of(first.file)
            raise UsageError(
                f"The data set {self.name} (folder {folder}) has LR images alone; {what} needs the "
                "originals.",
                remedy,
            )

    def by(self, recipe: Degradation) -> Dataset:
        """The same HR images with LR images by another recipe, of which the name then tells.

        By the recipe that it has already it is itself, under its own name.
        """
        if self.degradation and recipe.sha256 == self.degradation.sha256:
            return self
        name = f"{self.name}-{recipe.plain_name}"
        items = tuple(replace(item, dataset=name, lr=None) for item in self.items)
        return replace(self, name=name, items=items, degradation=recipe, recorded=frozenset())

    def pair(
        self, item: Item, keep: Path | None = None, before: tuple[str, str] = ("", "")
    ) -> Pair:
        """The pair of an item; a missing LR image is made, the HR image cropped to fit it.

        Without an original it is the LR image alone.

        What has to be cropped or made is kept in ``keep``/HR and ``keep``/LR, where that is given.
        ``before`` are the hashes of a pair whose LR image was made just so: of the same HR image it
        is taken from ``keep``. Raises ImageError when a file can't be read or the two don't fit.
        """
        given = read_image(item.lr) if item.lr is not None else None
        if item.hr is None:
            assert given is not None
            return Pair(None, given.pixels, "", given.sha256, False, "", ("", given.sha256))
        hr = read_image(item.hr)
        whole = _fitting(self, item, hr.pixels, given.pixels if given else None)
        name = f"{item.image}.png"
        cropped = whole.shape != hr.pixels.shape
        hr_sha256 = _made(whole, keep and keep / "HR" / name) if cropped else hr.sha256
        if given:
            lr, lr_sha256 = given.pixels, given.sha256
        else:
            known = before[1] if before[0] == hr_sha256 else ""
            lr, lr_sha256 = self._low(whole, keep and keep / "LR" / name, known)
        recipe_sha256 = self._made_by(item, whole, lr_sha256)
        files = (hr.sha256, lr_sha256)
        return Pair(whole, lr, hr_sha256, lr_sha256, cropped, recipe_sha256, files)

    @property
    def pairing(self) -> str:
        """A hash of what, beside an item's two files, decides what its pair is."""
        recipe = self.degradation.sha256 if self.degradation else ""
        return sha256_bytes(repr((self.scale, recipe, sorted(self.recorded))).encode())

    def _low(self, hr: UInt8, path: Path | None, known: str) -> tuple[UInt8, str]:
        """The LR image and its hash: the file at ``path`` where that has the ``known`` hash."""
        if path and known and sha256_or_empty(path) == known:
            return read_image(path).pixels, known
        recipe = self.degradation or known_degradation("bicubic")
        lr, _ = degrade(hr, recipe, self.scale)
        return lr, _made(lr, path)

    def _made_by(self, item: Item, hr: UInt8, lr_sha256: str) -> str:
        """The hash of the recipe that made the LR image of these HR pixels, "" if not known."""
        if self.degradation is None:
            return ""
        if item.lr and not (self.recorded and (pixels_sha256(hr), lr_sha256) in self.recorded):
            return ""
        return self.degradation.sha256


@dataclass(frozen=True)
class Pair:
    """The HR and LR image that an item is scored on, and the hashes of their files.

    ``cropped`` says whether the HR image was cut to what the LR image covers, ``recipe_sha256``
    is the hash of the degradation that made the LR image of it, "" where that isn't known. Without
    an original ``hr`` is None and its hash "". ``files`` are the hashes of the HR file and of the
    LR file, given or made, before anything was cropped.
    """

    hr: UInt8 | None
    lr: UInt8
    hr_sha256: str
    lr_sha256: str
    cropped: bool
    recipe_sha256: str = ""
    files: tuple[str, str] = ("", "")


DEMO_IMAGES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


def open_dataset(spec: str, scale: float = 4, recipe: Degradation | None = None) -> Dataset:
    """A data set from what a user wrote.

    ``spec`` is a known name (Set5, Set14, BSD100, Urban100, DIV2K-valid, Manga109, RealSR, demo, in
    any case), a folder of HR images, ``hr=FOLDER,lr=FOLDER`` for a pair, ``lr=FOLDER`` for LR
    images without originals, or a TOML file (see ``UserSet``). A path that exists is taken as that
    path, whatever its name is. ``recipe``: how LR images are to be made, see ``Dataset.by``; the LR
    files of a public set then stay aside, unless it is how they were made. A public set without LR
    images at that scale has them made from its HR images. Raises UsageError for an unknown name, an
    invalid scale, and a recipe that can't make them or where LR images are given; DataError for a
    public set without a complete copy of the published content on this machine; DataError or
    ImageError for a folder that is absent, empty, or holds two images of one stem, and for a
    damaged record of a degradation.
    """
    made = _open(spec, checked_scale(scale))
    if recipe is None:
        return _feasible(made)
    made.require_originals(
        recipe.name, f"Leave {option('--degrade', 'degrade')} out: its LR images are there."
    )
    given = next((item for item in made.items if item.lr), None)
    if given and not (known_set(spec) or unverified_set(spec)):
        raise UsageError(
            f"{made.name} has its LR images, {given.lr}; {recipe.name} can't make them.",
            f"Leave {option('--degrade', 'degrade')} out, or name the folder of HR images alone: "
            f"{given.folder_of(given.file)}.",
        )
    return _feasible(made.by(recipe))


def _feasible(dataset: Dataset) -> Dataset:
    """The data set itself. Raises UsageError where its recipe can't make what is to be made."""
    if dataset.degradation and any(item.lr is None for item in dataset.items):
        dataset.degradation.require_scale(dataset.scale)
    return dataset


def _open(spec: str, scale: float) -> Dataset:
    known = known_set(spec)
    if known is not None:
        return _known(known, scale)
    unverified = unverified_set(spec)
    if unverified is not None:
        return _unverified(unverified, scale)
    if "=" in spec and not exists(spec):
        return _from_pair(spec, scale)
    path = user_path(spec)
    if path.suffix == ".toml":
        return _from_toml(path)
    if path.is_dir():
        return _from_folder(path.resolve(), scale)
    if path.exists():
        raise UsageError(*no_folder(path))
    if "/" in spec:
        raise UsageError(f"No such folder or file: {spec}.", "Check the path of the data set.")
    names = [*KNOWN, *UNVERIFIED]
    raise unknown_name("data set", spec, names, "A folder of images or a TOML file will do too.")


class UserSet(Config):
    """A data set described in a TOML file; folders are relative to the file."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$")
    """What results call the set."""
    hr: UserPath | None = None
    """The folder of originals; absent: there are none, and `lr` is needed."""
    lr: UserPath | None = None
    """The folder of LR images; absent: they are made."""
    degrade: str | None = None
    """How they are made, as `--degrade` takes it; absent: `bicubic`. A file is relative to this."""
    scale: UpscalingFactor = 4
    """The downscaling factor."""
    names: dict[str, str] = Field(default_factory=dict)
    """Names to print, by file name without ending; of frames, such as `calendar/0001`."""
    scenes: dict[str, str] = Field(default_factory=dict)
    """What is shown, by file name without ending or by sequence; versions of a scene share it.

    Studies keep these apart, and metrics against opinion count them as one scene. Means, intervals
    and tests count each image, or sequence, by its name.
    """

    @model_validator(mode="before")
    @classmethod
    def _has_no_border(cls, given: Any) -> Any:
        if isinstance(given, dict) and "border" in given:
            instead = f'Write degrade = "bicubic:border={given["border"]}" in its place.'
            raise FieldError("it is a parameter of bicubic", "border", remedy=instead)
        return given

    @model_validator(mode="after")
    def _makes_lr_images_or_has_them(self) -> UserSet:
        if not self.hr and not self.lr:
            remedy = 'Write hr = "FOLDER", or lr = "FOLDER" for LR images without originals.'
            raise FieldError("no folder of images is named", remedy=remedy)
        if self.lr and self.degrade is not None:
            raise FieldError("lr names LR images already", "degrade", remedy="Leave one out.")
        return self


def _known(known: PublicSet, scale: float) -> Dataset:
    if not known.scales:
        raise UsageError(
            f"{known.name} is a collection of photographs, not a set of HR/LR pairs.",
            "Name its folder to score on it.",
        )
    if known.name == "demo":
        return _demo(scale)
    of = known.hr_scale(scale)
    made = published(known.whole_copy(of))
    if of == scale:
        return made
    return _without_lr(made, scale, f"the HR images published for scale {of}")


def _unverified(known: UnverifiedSet, scale: float) -> Dataset:
    items = tuple(
        Item(known.name, hr.stem, hr.stem, f"{known.name}/{hr.stem}", hr, lr)
        for hr, lr in known.pairs(scale)
    )
    dataset = Dataset(known.name, scale, items)
    if known.lr is None:
        return dataset
    if scale not in known.scales:
        return _without_lr(dataset, scale, "its HR images")
    return replace(dataset, degradation=None)


def _without_lr(dataset: Dataset, scale: float, source: str) -> Dataset:
    """The HR images of a public set at a scale at which it has no LR images."""
    items = tuple(replace(item, lr=None) for item in dataset.items)
    return replace(dataset, scale=scale, items=items, hr_source=source)


def published(copy: Copy) -> Dataset:
    """A public data set at one scale, or a pool, as its list has it, in a copy of it.

    What the copy lacks is in the data set all the same.
    """
    known, scale = copy.known, copy.scale
    name = known.name
    hr, lr = pair_folders(scale)
    places = {Path(file.path): copy.folder / file.path for file in known.files(scale)}
    items = []
    for place, path in places.items():
        if place.parent.name == hr or not known.scales:
            label, scene = known.names.get(place.stem, (place.stem, ""))
            low = places.get(place.parent.with_name(lr) / place.name)
            scene = scene or f"{name}/{place.stem}"
            items.append(Item(name, place.stem, label, scene, path, low))
    return Dataset(name, scale, tuple(items))


def _demo(scale: float) -> Dataset:
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    items = tuple(
        Item(
            "demo", Path(file).stem, Path(file).stem, f"demo/{Path(file).stem}", folder / file, None
        )
        for file in DEMO_IMAGES
    )
    for item in items:
        if not item.file.is_file():
            raise DataError(
                f"scikit-image doesn't have {item.file.name}.",
                "Install scikit-image 0.22 or newer.",
            )
    return Dataset("demo", scale, items)


def _from_folder(folder: Path, scale: float) -> Dataset:
    """A folder of HR images, or one with a folder of them and, under LR, that of LR images."""
    hr, lr = (folder / inside for inside in pair_folders(scale))
    if hr.is_dir():
        given = next((one for one in (lr, folder / "LR") if one.is_dir()), None)
        return _from_folders(folder.name, hr, given, scale)
    made = _from_folders(folder.name, folder, None, scale)
    for item in made.items:
        if is_frame(item.image) and _ONE_SIDE.fullmatch(unit_of(item.image)):
            raise DataError(
                f"{folder} holds the folder {unit_of(item.image)}, which is named as one of HR or "
                "LR images, not as a sequence of frames.",
                f"Write hr={folder / 'FOLDER'},lr={folder / 'FOLDER'}, without lr where LR images "
                f"are to be made. If all of them are sequences, write hr={folder}.",
            )
    return made


_ONE_SIDE = re.compile(r"(gt|hr|lr|hq|lq)(mod|bic)?([^a-z].*|x\d+)?", re.IGNORECASE)
"""Names of folders that hold one half of a data set's pairs: HR_x2, GTmod12, LRbicx4."""


def _from_pair(spec: str, scale: float) -> Dataset:
    parts = _pair_parts(spec)
    hr, lr = (user_path(parts[key]) if key in parts else None for key in ("hr", "lr"))
    return _from_folders(parts.get("name", ""), hr, lr, scale)


def _pair_parts(spec: str) -> dict[str, str]:
    """The values of ``hr=A,lr=B,name=C`` by key; commas are part of a path that exists.

    Raises UsageError for anything else.
    """
    parts: dict[str, str] = {}
    rest = spec
    while rest:
        key, equals, rest = rest.partition("=")
        if not equals or key not in ("hr", "lr", "name"):
            raise _no_pair(spec, f"{key!r} isn't one of its keys")
        ends = [at for at, letter in enumerate(rest) if letter == ","] + [len(rest)]
        whole = [end for end in ends if key != "name" and end and exists(rest[:end])]
        end = whole[-1] if whole else ends[0]
        if not end or key in parts:
            raise _no_pair(spec, f"{key} is {'given twice' if end else 'empty'}")
        parts[key], rest = rest[:end], rest[end + 1 :]
    if not {"hr", "lr"} & set(parts):
        raise _no_pair(spec, "it names no folder")
    return parts


def _no_pair(spec: str, why: str) -> UsageError:
    return UsageError(
        f"Can't read the data set {spec!r}: {why}.",
        "Write hr=FOLDER,lr=FOLDER[,name=NAME], or lr=FOLDER[,name=NAME] for LR images without "
        "originals. The folders must exist.",
    )


def _from_toml(path: Path) -> Dataset:
    given = UserSet.load(path)
    folder = path.parent
    hr, lr = (folder / path if path else None for path in (given.hr, given.lr))
    made = _from_folders(given.name, hr, lr, given.scale, given.names, given.scenes)
    if given.degrade is None:
        return made
    file = folder / user_path(given.degrade)
    recipe = open_degradation(file if file.suffix == ".toml" else given.degrade)
    return replace(made, degradation=recipe)


def _from_folders(
    name: str,
    hr: Path | None,
    lr: Path | None,
    scale: float,
    names: dict[str, str] | None = None,
    scenes: dict[str, str] | None = None,
) -> Dataset:
    """Of one folder or both; ``name`` is by default that of the HR folder, else the LR folder."""
    first = hr or lr
    assert first is not None
    folder, name = ImageFolder.with_frames(first, apart=[lr]), name or first.resolve().name
    images = folder.by_name()
    low = images
    if hr and lr:
        low = _match_lr(images, ImageFolder.with_frames(lr, apart=[hr]).by_name(), scale, lr)
    names, scenes = (
        {composed(image): text for image, text in (given or {}).items()}
        for given in (names, scenes)
    )
    own_names = {image: (text, "") for image, text in names.items()}
    common = {**_public_names(name, images), **own_names}
    items = []
    for image, path in images.items():
        label, scene = common.get(image, (image, ""))
        unit = unit_of(image)
        scene = scenes.get(unit) or scene or f"{name}/{unit}"
        items.append(
            Item(name, image, label, scene, path if hr else None, low[image] if lr else None)
        )
    dataset = Dataset(name, scale, tuple(items), left_out=tuple(folder.left_out()))
    if lr is None:
        return dataset
    record = read_record(lr) if hr else None
    if record is None:
        return replace(dataset, degradation=None)
    return replace(dataset, degradation=record.degradation, recorded=record.pairs)


def _public_names(name: str, images: dict[str, Path]) -> dict[str, tuple[str, str]]:
    """Common names and scenes of those images that are a public set's by content.

    Any folder may be called Set5; its first image need not be Set5's baby.
    """
    if name not in KNOWN:
        return {}
    names, own = KNOWN[name].names, {file.sha256 for file in KNOWN[name].all_files}
    both = names.keys() & images.keys()
    return {stem: names[stem] for stem in both if sha256_or_empty(images[stem]) in own}


def _match_lr(
    images: dict[str, Path], low: dict[str, Path], scale: float, folder: Path
) -> dict[str, Path]:
    matched = {}
    for image in images:
        path = low.get(image) or low.get(f"{image}x{scale:g}")
        if path is None:
            raise ImageError(
                f"{folder} has no low-resolution image of {image}{images[image].suffix}.",
                f"It would be named {image} or {image}x{scale:g}.",
            )
        matched[image] = path
    return matched


def _made(image: UInt8, path: Path | None) -> str:
    """The hash of an image that was made, which is kept at ``path``."""
    data = encode_png(image)
    if path and (not path.is_file() or path.read_bytes() != data):
        write_atomic(path, data)
    return sha256_bytes(data)


def _fitting(dataset: Dataset, item: Item, hr: UInt8, lr: UInt8 | None) -> UInt8:
    """The HR image (H, W[, 3]), cropped to what the LR image is enlarged to: see ``scales``.

    The last rows and columns go, fewer than would make another LR pixel. Without an LR image, it is
    cropped for the one that is to be made. Raises ImageError, naming the files, for sizes that
    don't belong together and for an HR image smaller than one LR pixel.
    """
    scale = dataset.scale
    if lr is None:
        try:
            return crop_to_multiple(hr, scale)
        except ImageError as error:
            size = f"{hr.shape[1]}x{hr.shape[0]}"
            raise ImageError(
                f"{item.hr} is {size} pixels, smaller than one LR pixel.", error.remedy
            ) from None
    height, width = hr_size(lr.shape, scale)
    if not belong(hr.shape, lr.shape, scale):
        too_small = hr.shape[0] < height or hr.shape[1] < width
        found = fitting_scale(hr.shape, lr.shape)
        own = "the scale of its LR images" + (f", such as {found:g}" if found else "")
        raise ImageError(
            f"{item.lr} is {lr.shape[1]}x{lr.shape[0]} pixels, {scale:g} times that is "
            f"{width}x{height}; {item.hr} is {hr.shape[1]}x{hr.shape[0]}.",
            "The HR image is too small. Use the whole HR image, or an LR image made from this "
            f"one, or run it with {own}."
            if too_small
            else f"Crop HR to {width}x{height}, or run it with {own}.",
        )
    return hr[:height, :width]
