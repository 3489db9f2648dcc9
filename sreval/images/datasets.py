"""Data sets: the public ones by name, any folder, any HR/LR pair, a user's own TOML file.

A data set is a list of items; an item is one high-resolution image, its low-resolution image
where one is given (otherwise a degradation makes it), and the scene it shows, so that one
photograph in two sets is known as one.
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
from sreval.files import exists, sha256_bytes, sha256_or_empty, write_atomic
from sreval.images.degradations import Degradation, known_degradation, open_degradation
from sreval.images.degrade import degrade, pixels_sha256
from sreval.images.degraded import read_record
from sreval.images.folders import ImageFolder, composed, is_frame, left_out_note, unit_of
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
from sreval.images.resize import crop_to_multiple, require_scale

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Item:
    """One image of a data set. ``lr`` is None when the low-resolution image is to be made."""

    dataset: str
    image: str
    name: str
    scene: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True)
class Dataset:
    """A named list of items at one scale.

    ``degradation`` is how missing LR images are made, and how given ones were; None where that
    isn't known. ``recorded`` are the hashes of the pairs that a ``degradation.json`` speaks of.
    ``left_out`` are files beside the HR images that are images of a kind not read here.
    """

    name: str
    scale: int
    items: tuple[Item, ...]
    degradation: Degradation | None = field(
        default_factory=partial(known_degradation, "bicubic"), hash=False
    )
    recorded: frozenset[tuple[str, str]] = field(default=frozenset(), hash=False)
    left_out: tuple[str, ...] = ()

    def left_out_note(self) -> str:
        """A sentence on what is left out, or ""."""
        return f"{self.name}: {left_out_note(self.left_out)}" if self.left_out else ""

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

        What has to be cropped or made is kept in ``keep``/HR and ``keep``/LR, where that is given.
        ``before`` are the hashes of a pair whose LR image was made just so: of the same HR image it
        is taken from ``keep``. Raises ImageError when a file can't be read or the two don't fit.
        """
        hr = read_image(item.hr)
        given = read_image(item.lr) if item.lr is not None else None
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
        return Pair(whole, lr, hr_sha256, lr_sha256, cropped, recipe_sha256)

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
    is the hash of the degradation that made the LR image of it, "" where that isn't known.
    """

    hr: UInt8
    lr: UInt8
    hr_sha256: str
    lr_sha256: str
    cropped: bool
    recipe_sha256: str = ""


DEMO_IMAGES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


def open_dataset(spec: str, scale: int = 4, recipe: Degradation | None = None) -> Dataset:
    """A data set from what a user wrote.

    ``spec`` is a known name (Set5, Set14, BSD100, Urban100, DIV2K-valid, Manga109, RealSR, demo, in
    any case), a folder of HR
    images, ``hr=FOLDER,lr=FOLDER`` for a pair, or a TOML file (see ``UserSet``). A path that
    exists is taken as that path, whatever its name is. ``recipe``: how LR images are to be made,
    see ``Dataset.by``; the LR files of a public set then stay aside, unless it is how they were
    made. Raises UsageError for an unknown name, an invalid scale, and a recipe where LR images are
    given; DataError for a public set without a complete copy of the published content on this
    machine; DataError or ImageError for a folder that is absent, empty, or holds two images of one
    stem, and for a damaged record of a degradation.
    """
    require_scale(scale)
    made = _open(spec, scale)
    if recipe is None:
        return made
    given = next((item for item in made.items if item.lr), None)
    if given and not (known_set(spec) or unverified_set(spec)):
        raise UsageError(
            f"{made.name} has its LR images, {given.lr}; {recipe.name} can't make them.",
            f"Leave {option('--degrade', 'degrade')} out, or name the folder of HR images alone: "
            f"{given.hr.parent}.",
        )
    return made.by(recipe)


def _open(spec: str, scale: int) -> Dataset:
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
    if "/" in spec:
        raise UsageError(f"No such folder or file: {spec}.", "Check the path of the data set.")
    names = [*KNOWN, *UNVERIFIED]
    raise unknown_name("data set", spec, names, "A folder of images or a TOML file will do too.")


class UserSet(Config):
    """A data set described in a TOML file; folders are relative to the file."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$")
    """What results call the set."""
    hr: UserPath
    """The folder of originals."""
    lr: UserPath | None = None
    """The folder of LR images; absent: they are made."""
    degrade: str | None = None
    """How they are made, as `--degrade` takes it; absent: `bicubic`. A file is relative to this."""
    scale: int = Field(default=4, ge=2, le=16)
    """The downscaling factor."""
    names: dict[str, str] = Field(default_factory=dict)
    """Names to print, by file name without ending; of frames, such as `calendar/0001`."""
    scenes: dict[str, str] = Field(default_factory=dict)
    """What is shown, by file name without ending or by sequence; versions of a scene share it."""

    @model_validator(mode="before")
    @classmethod
    def _has_no_border(cls, given: Any) -> Any:
        if isinstance(given, dict) and "border" in given:
            instead = f'Write degrade = "bicubic:border={given["border"]}" in its place.'
            raise FieldError("it is a parameter of bicubic", "border", remedy=instead)
        return given

    @model_validator(mode="after")
    def _makes_lr_images_or_has_them(self) -> UserSet:
        if self.lr and self.degrade is not None:
            raise FieldError("lr names LR images already", "degrade", remedy="Leave one out.")
        return self


def _known(known: PublicSet, scale: int) -> Dataset:
    if not known.scales:
        raise UsageError(
            f"{known.name} is a collection of photographs, not a set of HR/LR pairs.",
            "Name its folder to score on it.",
        )
    if known.name == "demo":
        return _demo(known, scale)
    return published(known.whole_copy(scale))


def _unverified(known: UnverifiedSet, scale: int) -> Dataset:
    items = tuple(
        Item(known.name, hr.stem, hr.stem, f"{known.name}/{hr.stem}", hr, lr)
        for hr, lr in known.pairs(scale)
    )
    dataset = Dataset(known.name, scale, items)
    return replace(dataset, degradation=None) if known.lr else dataset


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


def _demo(known: PublicSet, scale: int) -> Dataset:
    known.files(scale)
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    items = tuple(
        Item(
            "demo", Path(file).stem, Path(file).stem, f"demo/{Path(file).stem}", folder / file, None
        )
        for file in DEMO_IMAGES
    )
    for item in items:
        if not item.hr.is_file():
            raise DataError(
                f"scikit-image doesn't have {item.hr.name}.", "Install scikit-image 0.22 or newer."
            )
    return Dataset("demo", scale, items)


def _from_folder(folder: Path, scale: int) -> Dataset:
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


def _from_pair(spec: str, scale: int) -> Dataset:
    parts = _pair_parts(spec)
    hr = user_path(parts["hr"])
    lr = user_path(parts["lr"]) if "lr" in parts else None
    return _from_folders(parts.get("name", hr.resolve().name), hr, lr, scale)


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
    if "hr" not in parts:
        raise _no_pair(spec, "it has no hr")
    return parts


def _no_pair(spec: str, why: str) -> UsageError:
    return UsageError(
        f"Can't read the data set {spec!r}: {why}.",
        "Write hr=FOLDER,lr=FOLDER[,name=NAME]. Both folders must exist.",
    )


def _from_toml(path: Path) -> Dataset:
    given = UserSet.load(path)
    folder = path.parent
    lr = folder / given.lr if given.lr else None
    made = _from_folders(given.name, folder / given.hr, lr, given.scale, given.names, given.scenes)
    if given.degrade is None:
        return made
    file = folder / user_path(given.degrade)
    recipe = open_degradation(file if file.suffix == ".toml" else given.degrade)
    return replace(made, degradation=recipe)


def _from_folders(
    name: str,
    hr: Path,
    lr: Path | None,
    scale: int,
    names: dict[str, str] | None = None,
    scenes: dict[str, str] | None = None,
) -> Dataset:
    folder = ImageFolder.with_frames(hr, apart=[lr])
    images = folder.by_name()
    low = {}
    if lr is not None:
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
        items.append(Item(name, image, label, scene, path, low.get(image)))
    dataset = Dataset(name, scale, tuple(items), left_out=tuple(folder.left_out()))
    if lr is None:
        return dataset
    record = read_record(lr)
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
    images: dict[str, Path], low: dict[str, Path], scale: int, folder: Path
) -> dict[str, Path]:
    matched = {}
    for image in images:
        path = low.get(image) or low.get(f"{image}x{scale}")
        if path is None:
            raise ImageError(
                f"{folder} has no low-resolution image of {image}{images[image].suffix}.",
                f"It would be named {image} or {image}x{scale}.",
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
    """The HR image (H, W[, 3]), cropped to ``scale`` times the LR image.

    The last rows and columns go, fewer than ``scale`` of each. Without an LR image, both sides
    become multiples of the scale. Raises ImageError, naming the files, for sizes that don't
    belong together and for an HR image smaller than one LR pixel.
    """
    scale = dataset.scale
    if lr is None:
        if min(hr.shape[:2]) < scale:
            raise ImageError(
                f"{item.hr} is {hr.shape[1]}x{hr.shape[0]} pixels, smaller than one LR pixel.",
                f"Use images of at least {scale}x{scale} pixels.",
            )
        return crop_to_multiple(hr, scale)
    height, width = lr.shape[0] * scale, lr.shape[1] * scale
    over = hr.shape[0] - height, hr.shape[1] - width
    if not all(0 <= more < scale for more in over):
        raise ImageError(
            f"{item.lr} is {lr.shape[1]}x{lr.shape[0]} pixels, {scale} times that is "
            f"{width}x{height}; {item.hr} is {hr.shape[1]}x{hr.shape[0]}.",
            "The HR image is too small. Use the whole HR image, or an LR image made from this one."
            if min(over) < 0
            else f"Crop HR to {width}x{height}, or run it with the scale of its LR images.",
        )
    return hr[:height, :width]
