"""Data sets: the public ones by name, any folder, any HR/LR pair, a user's own TOML file.

A data set is a list of items; an item is one high-resolution image, its low-resolution image
where one is given (otherwise it is made by ``images.resize.downscale``), and the scene it
shows, so that one photograph in two sets is known as one.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from pydantic import Field

from sreval import settings
from sreval.config import Config, load_config
from sreval.errors import DataError, ImageError, UsageError, unknown_name
from sreval.files import exists
from sreval.images.io import list_images
from sreval.images.names import composed, pair_parts
from sreval.images.resize import Border, require_scale


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
    """A named list of items at one scale; ``border`` is how a missing LR image is made."""

    name: str
    scale: int
    items: tuple[Item, ...]
    border: Border = "replicate"


@dataclass(frozen=True)
class Known:
    """What the package knows of a public data set."""

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

DEMO_IMAGES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")


@cache
def known_files(dataset: str) -> tuple[KnownFile, ...]:
    """The files of a public data set in the order of its list. Empty for ``demo``."""
    rows = csv.DictReader(_resource("checksums.csv").splitlines())
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
        for row in rows
        if row["dataset"] == dataset
    )


def pair_folders(scale: int) -> tuple[str, str]:
    """Names of the HR and LR folder of a public data set at that scale."""
    return ("HR" if scale == 4 else f"HR_x{scale}"), f"LR_x{scale}"


def locate(dataset: str, scale: int) -> Path | None:
    """The data folder that holds a public data set at that scale, or None."""
    inside = f"eval/{dataset}/{pair_folders(scale)[0]}"
    return next((d for d in settings.data_dirs() if (d / inside).is_dir()), None)


def open_dataset(spec: str, scale: int = 4) -> Dataset:
    """A data set from what a user wrote.

    ``spec`` is a known name (Set5, Set14, BSD100, Urban100, demo, any case), a folder of HR
    images, ``hr=FOLDER,lr=FOLDER`` for a pair, or a TOML file (see ``UserSet``). What exists as
    a path is that path, whatever its name holds.
    Raises UsageError for an unknown name or a scale that is none, DataError or ImageError for a
    folder that is absent, empty, or holds two images of one stem.
    """
    require_scale(scale)
    by_case = {name.lower(): name for name in KNOWN}
    if spec.lower() in by_case:
        return _known(by_case[spec.lower()], scale)
    if "=" in spec and not exists(spec):
        return _from_pair(spec, scale)
    path = Path(spec).expanduser()
    if path.suffix == ".toml":
        return _from_toml(path)
    if path.is_dir():
        return _from_folder(path.resolve(), scale)
    if "/" in spec:
        raise UsageError(f"No such folder or file: {spec}.", "Check the path of the data set.")
    raise unknown_name("data set", spec, KNOWN, "A folder of images or a TOML file will do too.")


class UserSet(Config):
    """A data set described in a TOML file; folders are relative to the file."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$")
    hr: Path
    lr: Path | None = None
    scale: int = Field(default=4, ge=2, le=16)
    border: Border = "replicate"
    names: dict[str, str] = Field(default_factory=dict)
    scenes: dict[str, str] = Field(default_factory=dict)


def _known(name: str, scale: int) -> Dataset:
    if not KNOWN[name].scales:
        raise UsageError(
            f"{name} is a pool of photographs, not a set of HR/LR pairs.",
            "Name its folder to score on it.",
        )
    if scale not in KNOWN[name].scales:
        scales = ", ".join(map(str, KNOWN[name].scales))
        raise UsageError(f"{name} has no scale {scale}.", f"It has {scales}.")
    if name == "demo":
        return _demo(scale)
    root = locate(name, scale)
    if root is None:
        searched = ", ".join(str(d) for d in settings.data_dirs())
        raise DataError(
            f"{name} at scale {scale} is not in {searched}.",
            f"Run `sreval data fetch {name}`, or set SREVAL_DATA to the folder that holds eval/.",
        )
    hr, lr = (root / "eval" / name / folder for folder in pair_folders(scale))
    return _from_folders(name, hr, lr if lr.is_dir() else None, scale)


def _demo(scale: int) -> Dataset:
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
                f"scikit-image brings no {item.hr.name}.", "Install scikit-image 0.22 or newer."
            )
    return Dataset("demo", scale, items)


def _from_folder(folder: Path, scale: int) -> Dataset:
    """A folder of HR images, or one that holds the pair of folders of a public set."""
    hr, lr = (folder / inside for inside in pair_folders(scale))
    if hr.is_dir():
        return _from_folders(folder.name, hr, lr if lr.is_dir() else None, scale)
    return _from_folders(folder.name, folder, None, scale)


def _from_pair(spec: str, scale: int) -> Dataset:
    parts = pair_parts(spec)
    hr = Path(parts["hr"]).expanduser()
    lr = Path(parts["lr"]).expanduser() if "lr" in parts else None
    return _from_folders(parts.get("name", hr.resolve().name), hr, lr, scale)


def _from_toml(path: Path) -> Dataset:
    given = load_config(path, UserSet)
    folder = path.parent
    lr = folder / given.lr if given.lr else None
    return _from_folders(
        given.name, folder / given.hr, lr, given.scale, given.border, given.names, given.scenes
    )


def _from_folders(
    name: str,
    hr: Path,
    lr: Path | None,
    scale: int,
    border: Border = "replicate",
    names: dict[str, str] | None = None,
    scenes: dict[str, str] | None = None,
) -> Dataset:
    images = by_stem(hr)
    low = _match_lr(images, by_stem(lr), scale, lr) if lr is not None else {}
    names, scenes = (
        {composed(image): text for image, text in (given or {}).items()}
        for given in (names, scenes)
    )
    common = {**_known_names(name), **{image: (text, "") for image, text in names.items()}}
    items = []
    for stem, path in images.items():
        label, scene = common.get(stem, (stem, ""))
        scene = scenes.get(stem) or scene or f"{name}/{stem}"
        items.append(Item(name, stem, label, scene, path, low.get(stem)))
    return Dataset(name, scale, tuple(items), border)


def by_stem(folder: Path) -> dict[str, Path]:
    """The images of a folder by stem, in NFC. Raises DataError when two share one."""
    found: dict[str, Path] = {}
    for path in list_images(folder):
        stem = composed(path.stem)
        if stem in found:
            raise DataError(
                f"{folder} holds {found[stem].name} and {path.name}: one stem, two images.",
                "Rename or remove one.",
            )
        found[stem] = path
    return found


def _match_lr(
    images: dict[str, Path], low: dict[str, Path], scale: int, folder: Path
) -> dict[str, Path]:
    matched = {}
    for stem in images:
        path = low.get(stem) or low.get(f"{stem}x{scale}")
        if path is None:
            raise ImageError(
                f"{folder} has no low-resolution image for {images[stem].name}.",
                f"It would be named {stem} or {stem}x{scale}.",
            )
        matched[stem] = path
    return matched


@cache
def _known_names(dataset: str) -> dict[str, tuple[str, str]]:
    rows = csv.DictReader(_resource("names.csv").splitlines())
    return {row["image"]: (row["name"], row["scene"]) for row in rows if row["dataset"] == dataset}


def _resource(name: str) -> str:
    return resources.files("sreval.images").joinpath(name).read_text(encoding="utf-8")
