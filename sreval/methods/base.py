"""What a method is to the benchmark, and those that need no learning."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from sreval.devices import Precision
from sreval.errors import ImageError, UsageError, option, unknown_name
from sreval.files import sha256_bytes
from sreval.images.datasets import Dataset, Item
from sreval.images.io import Pixels, read_image
from sreval.images.resize import imresize
from sreval.images.scales import hr_size

if TYPE_CHECKING:
    from sreval.networks.export import Checked, Form

UInt8 = npt.NDArray[np.uint8]

IN_PYTHON = "in Python: "
"""How the specification of a method begins that no text names: an object of a running program."""

SCALES = range(2, 17)
"""By which a network may enlarge."""

LEAST_TILE = 16
"""The least side of a network's tiles, in LR pixels: of smaller ones nearly all is overlap."""


@dataclass(frozen=True)
class Running:
    """How networks are run: where, in which precision, in tiles of which side (None: whole).

    Where ``check_range`` is False, the output of others' networks may be anything.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    tile: int | None = None
    check_range: bool = True

    def __post_init__(self) -> None:
        """Raise UsageError for a precision that isn't known, or a tile below ``LEAST_TILE``."""
        known = get_args(Precision)
        if self.precision not in known:
            raise unknown_name("precision", self.precision, known)
        if self.tile is not None and self.tile < LEAST_TILE:
            raise UsageError(
                f"{option('--tile')} can't be {self.tile}.", f"Give {LEAST_TILE} or more."
            )


ON_CPU = Running()
"""Whole images, in fp32."""


class Upscaler(ABC):
    """A super-resolution method under one name.

    ``specification`` is what ``make_upscaler`` takes for it, paths absolute, or words that begin
    with ``IN_PYTHON``; ``settings`` what
    else decides, in words. ``weights_sha256`` is the hash of the weights it runs with, empty for
    a method without any. ``parallel`` says whether several threads may call ``upscale`` at once.
    ``known`` says whether its ``sha256`` covers all that an SR image depends on. ``quick`` says
    whether making an SR image takes no longer than scoring it. ``scale`` is the
    only one that it enlarges by, None where it takes any. ``torch_device`` is where torch computes
    for it: of what others allocate on a GPU nothing is known. ``told`` gets how many tiles of a
    picture are done, and how many there are, from a method that has tiles.
    """

    name: str
    specification: str
    settings: str = ""
    weights_sha256: str = ""
    parallel: bool = True
    known: bool = True
    quick: bool = False
    scale: int | None = None
    torch_device: str = "cpu"
    told: Callable[[int, int], object] = staticmethod(lambda *_: None)

    @property
    def sha256(self) -> str:
        """Hash of what the method is, whatever it is called."""
        return sha256_bytes(json.dumps(self.identity()).encode())

    def identity(self) -> list[object]:
        """All that makes the method what it is, as JSON."""
        return [self.specification, self.settings]

    def files(self) -> dict[str, str]:
        """SHA-256 of every file that the method consists of, as it was read, by absolute path."""
        return {}

    def facts(self, measure: bool = False) -> dict[str, Any]:
        """What is known of a network, as JSON; with ``measure`` also what takes a while to tell."""
        return {}

    def multiply_adds(self, height: int, width: int) -> int | None:
        """To enlarge a colour image of so many LR pixels; None: it isn't known."""
        return None

    def exported(self, form: Form) -> Checked:
        """The network as a file of that form, run beside it before it is returned.

        Raises UsageError for what is no network, where packages are missing, and for a network
        that torch can't export; WeightsError where the file differs from the network.
        """
        raise UsageError(f"{self.name} is no network.", "Name a model or a file of weights.")

    @property
    def note(self) -> str:
        """What a user must be told of the images that were made; empty where there is nothing."""
        return ""

    def observed(self) -> dict[str, Any]:
        """What ``note`` rests on, by name: found while images were made, in whatever process."""
        return {}

    def observe(self, observed: Mapping[str, Any]) -> None:  # noqa: B027
        """Take over what another process's method, the same as this, has ``observed``."""

    def prepare(self, dataset: Dataset) -> None:
        """Look at a data set before its images come. Raises an error if it can't be served."""
        self.require_scale(dataset.scale, dataset.name)

    def require_scale(self, scale: float, dataset: str = "") -> None:
        """Raises UsageError where the method enlarges by another scale, or by none of SCALES."""
        if self.scale is not None and self.scale not in SCALES:
            raise UsageError(*self._wrong_scale())
        if self.scale in (None, scale):
            return
        other = f"but {dataset} has scale {scale:g}" if dataset else f"not {scale:g}"
        raise UsageError(
            f"{self.name} enlarges {self.scale} times, {other}.",
            f"Run it with a scale of {self.scale}.",
        )

    def _wrong_scale(self) -> tuple[str, str]:
        """Of a scale that is none of SCALES: what is wrong, and what would be right."""
        how = "doesn't enlarge" if self.scale == 1 else "enlarges too much"
        return (
            f"{self.name} {how} (scale {self.scale}).",
            f"sreval takes networks that enlarge {SCALES[0]} to {SCALES[-1]} times.",
        )

    def pairing(self) -> dict[str, Any]:
        """For the manifest: where each image's result is looked up; empty for what makes it."""
        return {}

    def source(self, item: Item) -> Path | None:
        """The file that holds the SR image of ``item``; None where it is made."""
        return None

    def with_sources(self, at: Mapping[str, Path]) -> Upscaler:
        """The method where files of ``source`` lie at other paths, as on another machine."""
        return self

    def source_sha256(self, item: Item) -> str:
        """The hash of the file that holds the SR image of ``item``; empty where it is made."""
        return ""

    def check_unchanged(self) -> None:  # noqa: B027
        """Raises ImageError when a file of the method has changed since it was first read."""

    def on_crops(self) -> Upscaler | None:
        """What takes as long on crops of images as this does on the images; None: not known."""
        return None

    @abstractmethod
    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """The SR image of an LR image (h, w[, 3]): uint8 (scale h, scale w[, 3]), see ``hr_size``.

        ``item`` says which image it is, for methods that look their result up.
        Raises ImageError or DataError when the method has no result for this image.
        """

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """A user's own picture (h, w[, 3]), uint8 or uint16, ``scale`` times as large.

        Raises UsageError for a method that only has results for known images.
        """
        raise UsageError(
            f"{self.name} can't enlarge your own pictures.",
            "Use nearest, bicubic, lanczos or a network.",
        )


class Interpolation(Upscaler):
    """A method that needs nothing but the pixels."""

    quick = True

    def on_crops(self) -> Upscaler:
        """Itself."""
        return self

    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """See ``enlarge``."""
        return self.enlarge(lr, scale).astype(np.uint8, copy=False)


class Nearest(Interpolation):
    """Pixel repetition: each pixel is the one of the LR image that its centre lies in."""

    name = specification = "nearest"

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """By a whole scale, each pixel scale x scale times."""
        for axis, (low, high) in enumerate(
            zip(pixels.shape, hr_size(pixels.shape, scale), strict=False)
        ):
            pixels = pixels.take((2 * np.arange(high) + 1) * low // (2 * high), axis=axis)
        return pixels


class Bicubic(Interpolation):
    """MATLAB's imresize, replicate border: the bicubic of the SRGAN paper."""

    name = specification = "bicubic"

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """See ``images.resize.imresize``."""
        return cast(Pixels, imresize(pixels, size=hr_size(pixels.shape, scale)))


class Lanczos(Interpolation):
    """Lanczos with three lobes, as Pillow computes it."""

    name = specification = "lanczos"

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """Pillow's resize with its LANCZOS filter. Raises ImageError for 16 bits in colour."""
        if pixels.dtype != np.uint8:
            raise ImageError("Lanczos takes 8 bits; this picture has 16.", "Use bicubic.")
        height, width = hr_size(pixels.shape, scale)
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


class Original(Upscaler):
    """The HR image itself: the ceiling of every table and of every opinion test."""

    name = specification = "hr"
    quick = True

    def prepare(self, dataset: Dataset) -> None:
        """Raises UsageError for a data set without originals."""
        super().prepare(dataset)
        dataset.require_originals("hr", "Leave hr out, or run it on other data sets alone.")

    def on_crops(self) -> Upscaler:
        """Itself."""
        return self

    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """The HR image, cropped to what the LR image covers."""
        height, width = hr_size(lr.shape, scale)
        return read_image(item.file).pixels[:height, :width]


INTERPOLATIONS: dict[str, type[Upscaler]] = {
    "nearest": Nearest,
    "bicubic": Bicubic,
    "lanczos": Lanczos,
}
