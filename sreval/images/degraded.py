"""``degradation.json``: what a folder of LR images was made with, beside the images."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import features

import sreval
from sreval.config import Config, validated
from sreval.errors import DataError, ImageError
from sreval.files import json_text, parsing, write_atomic
from sreval.images.degradations import Degradation
from sreval.images.scales import UpscalingFactor
from sreval.reading import read_text

FILE = "degradation.json"


class DegradedImage(Config):
    """One LR image: the HR pixels that it was made of, its file, what was drawn for it."""

    hr_pixels_sha256: str
    lr_sha256: str
    drawn: list[dict[str, Any]]


class Record(Config):
    """What ``degradation.json`` holds; ``images`` by name without ending."""

    degradation: Degradation
    sha256: str
    scale: UpscalingFactor
    versions: dict[str, str]
    images: dict[str, DegradedImage]

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The hashes of the HR pixels and of the LR file of each image, whatever it is called."""
        return frozenset((one.hr_pixels_sha256, one.lr_sha256) for one in self.images.values())

    def require(self, image: str, hr_pixels_sha256: str, lr_sha256: str, folder: Path) -> None:
        """Raises ImageError where an image's LR file, or its HR image, is not the recorded one."""
        held = self.images[image]
        for kind, there, recorded in (
            ("LR", lr_sha256, held.lr_sha256),
            ("HR", hr_pixels_sha256, held.hr_pixels_sha256),
        ):
            if there != recorded:
                raise ImageError(
                    f"{image}: its {kind} image is not the one that {folder / FILE} records.",
                    "Make the LR images anew in another folder.",
                )


def versions() -> dict[str, str]:
    """The versions of what decides an LR image's bytes, beside our own code."""
    jpeg = features.version_feature("libjpeg_turbo")
    return {
        "sreval": sreval.__version__,
        **{package: version(package) for package in ("numpy", "scipy", "pillow")},
        "libjpeg": f"libjpeg-turbo {jpeg}" if jpeg else str(features.version_codec("jpg")),
    }


def read_record(folder: Path) -> Record | None:
    """The record of a folder of LR images, or None without one.

    Raises DataError for a file that isn't one, or whose recipe isn't that of its hash.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    with parsing(path, "a record of a degradation", "Remove it, and make the LR images anew."):
        record = validated(Record, json.loads(read_text(path)))
        if record.sha256 != record.degradation.sha256:
            raise ValueError("its recipe has another hash")
    return record


def open_record(folder: Path, degradation: Degradation, scale: float) -> Record:
    """The record of a folder that is to hold LR images by this recipe, begun where there is none.

    Raises DataError where the folder holds those of another recipe or scale.
    """
    found = read_record(folder)
    images = {} if found is None else found.images
    if found is not None and (found.sha256, found.scale) != (degradation.sha256, scale):
        raise DataError(
            f"{folder} holds LR images by {found.degradation.name} at scale {found.scale} "
            f"(recipe {found.sha256[:12]}), not by {degradation.name} at scale {scale} "
            f"(recipe {degradation.sha256[:12]}).",
            "Name another folder.",
        )
    return Record(
        degradation=degradation,
        sha256=degradation.sha256,
        scale=scale,
        versions=versions(),
        images=images,
    )


def write_record(folder: Path, record: Record) -> None:
    """Write the record into its folder. Raises DataError where that can't be."""
    write_atomic(folder / FILE, json_text(record.model_dump(mode="json")) + "\n")
