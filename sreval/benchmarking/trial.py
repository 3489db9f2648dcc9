"""A part of an image under all that a run does to one, to learn what the whole will take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from sreval.benchmarking.plan import Resolved
from sreval.benchmarking.results import ResultsFolder
from sreval.benchmarking.task import Asked, Computer, Task
from sreval.errors import SrevalError
from sreval.images.datasets import Dataset, Item, Pair
from sreval.images.io import write_png
from sreval.images.scales import exact, hr_size

SIDES = (64, 64, 160)
"""Of the crops of a trial, in HR pixels. The first warms up; the other two tell what an image costs
from what its pixels cost."""


_BYTES_PER_PIXEL = 1.6
"""Of a photograph as PNG in colour: the mean of Set5, Set14 and BSD100."""


@dataclass(frozen=True)
class Tried:
    """What a crop took in seconds, its pixels, and each method's PNG size as a share of HR's."""

    seconds: float
    pixels: int
    shares: dict[str, float]


def trial(names: frozenset[str], resolved: Resolved, place: tuple[int, int]) -> list[Tried]:
    """All that a run does to an image, done to its middle, by the methods of these names.

    The image by its data set's and its own place in the run. Where LR images are to be made, it
    makes that of the crop. Raises SrevalError for what can't be read or made.
    """
    number, index = place
    whole = resolved.datasets[number]
    item = whole.items[index]
    pair = whole.pair(item)
    working = [method for method in resolved.methods if method.name in names]
    methods = tuple(on_crops for method in working if (on_crops := method.on_crops()))
    tried = []
    for side in SIDES:
        with TemporaryDirectory(prefix="sreval-") as folder:
            crop = _cropped(Path(folder), whole, item, pair, side)
            on_crop = replace(resolved, methods=methods, datasets=(crop,))
            out = ResultsFolder(Path(folder, "out"))
            task = Task(0, 0, tuple(map(Asked, range(len(methods)))))
            begun = time.perf_counter()
            result = Computer(on_crop, out).compute(task)
            seconds = time.perf_counter() - begun
            for failed in (result.failed, *(made.failed for made in result.made)):
                if failed:
                    raise SrevalError(failed.message)
            small = crop.items[0]
            pixels = sr_pixels(small, crop.scale)
            sizes = {
                m.name: out.sr_image(crop.name, crop.scale, m.name, small.image).stat().st_size
                for m in methods
            }
            shares = {name: size / png_bytes(small, pixels) for name, size in sizes.items()}
            tried.append(Tried(seconds, pixels, shares))
    return tried


def _cropped(folder: Path, whole: Dataset, item: Item, pair: Pair, side: int) -> Dataset:
    """A data set of the middle of a pair alone, ``side`` HR pixels long at most."""
    scale = whole.scale
    low = pair.lr
    small = tuple(min(int(side // scale), length) for length in low.shape[:2])
    first = tuple((a - b) // 2 for a, b in zip(low.shape, small, strict=False))
    large = tuple(math.floor(place * exact(scale)) for place in first)
    hr_path, lr_path = folder / "HR" / "crop.png", folder / "LR" / "crop.png"
    for path, image, (y, x), (height, width) in (
        (hr_path, pair.hr, large, hr_size(small, scale)),
        (lr_path, low, first, small),
    ):
        if image is not None:
            write_png(path, np.ascontiguousarray(image[y : y + height, x : x + width]))
    files = hr_path if item.hr else None, lr_path if item.lr else None
    cropped = Item("crop", "crop", "crop", "crop", *files)
    return Dataset("crop", scale, (cropped,), whole.degradation)


def sr_pixels(item: Item, scale: float) -> int:
    """Of its SR image by a file's header; 0 where that can't be read, as the run will say."""
    try:
        with Image.open(item.file) as image:
            size = image.height, image.width
            return math.prod(size if item.hr else hr_size(size, scale))
    except Exception:  # a damaged header makes decoders raise anything
        return 0


def png_bytes(item: Item, pixels: int) -> float:
    """What the HR image has as PNG, by its own file if it is one."""
    if item.hr and item.hr.suffix.lower() == ".png" and pixels:
        return item.hr.stat().st_size
    return pixels * _BYTES_PER_PIXEL
