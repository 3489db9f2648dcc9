"""Names of images: which are frames, and what an image is an independent sample of."""

from __future__ import annotations

from collections.abc import Iterable

from sreval.errors import numbered


def is_frame(image: str) -> bool:
    """Whether a name is that of a frame of a sequence."""
    return "/" in image


def unit_of(image: str) -> str:
    """What an image is an independent sample of, by its name.

    The sequence of a frame, ``calendar`` of ``calendar/0001``; a still stands for itself.
    """
    return image.partition("/")[0]


def first_frame(sequence: str, images: Iterable[str]) -> str:
    """The first frame of a sequence, which may stand behind its folders; empty for none."""
    name = sequence.rstrip("/").rpartition("/")[2]
    frames = [image for image in images if is_frame(image) and unit_of(image) == name]
    return min(frames, key=image_order, default="")


def unit_name(images: Iterable[str]) -> str:
    """What the independent samples among these images are called: sequence or image."""
    return "sequence" if any(map(is_frame, images)) else "image"


def image_order(image: str) -> tuple[tuple[str | int, ...], str]:
    """A key to sort images by their names: frames by the numbers in them, stills as text."""
    return numbered(image) if is_frame(image) else ((image,), image)
