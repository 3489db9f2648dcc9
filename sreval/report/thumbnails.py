"""Crops of the pictures that were rated, for the head of a study's report."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sreval.errors import ImageError
from sreval.images.io import encode_png, read_image
from sreval.report import paper
from sreval.report.comparison import region_of_difference
from sreval.study.data import StudyData
from sreval.study.manifest import Stimulus
from sreval.study.task import REFERENCE

_IMAGES = 2
_MOST_VERSIONS = 16
"""A crop is of 128 x 128 pixels at most: these are 2 MB in a page at the very most."""
_DOUBLED = 64
"""Up to this many pixels a crop is shown with each pixel doubled both ways."""


@dataclass(frozen=True)
class Crop:
    """One version's crop: ``source`` is a data URL, ``side`` the pixels that it takes on a page."""

    label: str
    alt: str
    source: str
    side: int


@dataclass(frozen=True)
class Gallery:
    """One region of one image in every version that was rated."""

    title: str
    caption: str
    crops: tuple[Crop, ...]


def galleries(data: StudyData, stimuli: Path) -> Iterator[Gallery]:
    """Of pairs what divided raters the most and the least, else a few images in every version.

    These are the first image of the first two data sets, or the first two of the only one; also of
    pairs while results are hidden, or nobody has judged.
    ``stimuli`` is the folder of the frozen pictures. An image of which a file is missing there, or
    isn't the one that was frozen, has no gallery.
    """
    if data.design.task.pair and not (data.hidden or data.opinions.empty):
        yield from _divided(data, stimuli)
        return
    of: dict[str, dict[str, list[Stimulus]]] = {}
    for stimulus in data.rated:
        of.setdefault(stimulus.dataset, {}).setdefault(stimulus.image, []).append(stimulus)
    images = [list(of[name].values()) for name in paper.sort_datasets(list(of))]
    chosen = (
        [own[0] for own in images] if len(images) > 1 else [one for own in images for one in own]
    )
    for versions in chosen[:_IMAGES]:
        first = versions[0]
        title = f"Versions of {first.image} ({first.dataset})"
        if made := _gallery(title, {s.method: s for s in versions}, stimuli):
            yield made


def _divided(data: StudyData, folder: Path) -> Iterator[Gallery]:
    """The pairs on single images whose shares lie nearest to a half, and farthest from it.

    Of those that were judged at least as often as the median of all; the first of several alike.
    """
    own = data.opinions
    turned = own["left"] > own["right"]
    first = own["left"].where(~turned, own["right"])
    second = own["right"].where(~turned, own["left"])
    points = own["score"].where(turned, -own["score"])
    rows = own[["dataset", "image"]].assign(first=first, second=second, points=points)
    key = ["dataset", "image", "first", "second"]
    pairs = rows.groupby(key, sort=True)["points"]
    found = pairs.agg(
        n="size", won=lambda p: int((p > 0).sum()), lost=lambda p: int((p < 0).sum())
    ).reset_index()
    found = found[found["n"] >= found["n"].median()]
    found["gap"] = ((found["won"] - found["lost"]) / found["n"]).abs()
    ranked = found.sort_values("gap", kind="stable").to_dict("records")
    for what, row in {"most": ranked[0], "least": ranked[-1]}.items():
        if what == "least" and row is ranked[0]:
            return
        names = [row["first"], row["second"]]
        names.sort(key=lambda name: row["lost" if name == row["first"] else "won"])
        shown = [*names, *([REFERENCE] if REFERENCE not in names else [])]
        versions = {
            name: data.manifest.by_key[place]
            for name in shown
            if (place := (row["dataset"], row["image"], name)) in data.manifest.by_key
        }
        won, lost = max(row["won"], row["lost"]), min(row["won"], row["lost"])
        ties = row["n"] - won - lost
        told = f"{won} chose {paper.label(names[0])}, {lost} {paper.label(names[1])}"
        told += f", {ties} neither" if ties else ""
        title = f"The pair that divided raters {what}: {row['image']} ({row['dataset']}); {told}"
        if made := _gallery(title, versions, folder):
            yield made


def _gallery(title: str, versions: dict[str, Stimulus], folder: Path) -> Gallery | None:
    methods = paper.sort_methods(list(versions))
    left_out = methods[_MOST_VERSIONS - 1 : -1] if len(methods) > _MOST_VERSIONS else []
    methods = [method for method in methods if method not in left_out]
    pixels = {}
    for method in methods:
        try:
            read = read_image(folder / f"{versions[method].sha256}.png")
        except ImageError:
            return None
        if read.sha256 != versions[method].sha256:
            return None
        pixels[method] = read.pixels
    made = {m: image for m, image in pixels.items() if m != "hr"} or pixels
    given = pixels.get("hr", next(iter(pixels.values())))
    region, why = region_of_difference(given, made)
    box = (slice(region.y, region.y + region.height), slice(region.x, region.x + region.width))
    first = versions[methods[0]]
    where = f"{first.image} of {first.dataset}"
    zoom = 2 if region.width <= _DOUBLED else 1
    crops = tuple(
        Crop(
            paper.label(method),
            f"{where} by {paper.label(method)}, crop",
            "data:image/png;base64," + base64.b64encode(encode_png(image[box])).decode(),
            zoom * region.width,
        )
        for method, image in pixels.items()
    )
    caption = (
        f"Crops of {region.width} x {region.height} pixels of the pictures that were rated, {why}"
        f"{', each pixel doubled' * (zoom > 1)}."
    )
    if left_out:
        caption += f" {len(left_out)} more have no room here."
    return Gallery(title, caption, crops)
