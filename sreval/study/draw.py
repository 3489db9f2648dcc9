"""Which images a study calibrates, warms up, repeats and checks with: drawn by its seed."""

from __future__ import annotations

from collections.abc import Iterable

from sreval.errors import UsageError
from sreval.files import sha256_bytes
from sreval.study.design import Calibration, Gold, Repeat, StudyDesign, WarmUp

Part = Calibration | WarmUp | Gold | Repeat


def drawn_images(design: StudyDesign, part: Part, names: Iterable[str]) -> tuple[str, ...]:
    """The ``part.images`` images that a part of the design uses, of ``names`` of its data set.

    For `repeats` the names are the rated images of the data set, else all of its images. Images
    stand in an order that the seed decides, those not rated before those that are. Parts of one
    data set take theirs one after the other, so that they differ as long as there are enough:
    calibration, warm-up, then gold; repeats among themselves. Drawing again among what was
    frozen gives the same images, because what is not drawn never changes the order.
    Raises UsageError when there are fewer names than images.
    """
    known = sorted(set(names), key=lambda name: _rank(design, part, name))
    if len(known) < part.images:
        raise UsageError(
            f"{_kind(part)} asks for {part.images} images of {part.dataset}, which has "
            f"{len(known)}.",
            "Ask for fewer, or name a larger data set.",
        )
    start = sum(
        earlier.images for earlier in _before(design, part) if earlier.dataset == part.dataset
    )
    return tuple(known[(start + i) % len(known)] for i in range(part.images))


def drawn_parts(design: StudyDesign) -> tuple[Calibration | WarmUp | Gold, ...]:
    """The parts whose images are drawn from a data set that need not be rated."""
    parts = (design.calibration, design.warm_up, *design.gold)
    return tuple(part for part in parts if part is not None)


def methods_of(part: Part) -> tuple[str, ...]:
    """The versions in which a part shows each of its images, or may show it."""
    if isinstance(part, Calibration):
        return tuple(dict.fromkeys(anchor.method for anchor in part.anchors))
    return part.methods if isinstance(part, WarmUp) else (part.method,)


def _before(design: StudyDesign, part: Part) -> tuple[Part, ...]:
    family: tuple[Part, ...] = design.repeats if isinstance(part, Repeat) else drawn_parts(design)
    return family[: family.index(part)]


def _rank(design: StudyDesign, part: Part, name: str) -> tuple[bool, str]:
    kind = "repeats" if isinstance(part, Repeat) else "drawn"
    rated = any(
        name in given.images or not given.images
        for given in design.images.datasets
        if given.name == part.dataset
    )
    return rated, sha256_bytes(f"{design.seed}/{kind}/{part.dataset}/{name}".encode())


def _kind(part: Part) -> str:
    names = {Calibration: "calibration", WarmUp: "warm_up", Gold: "gold", Repeat: "repeats"}
    return names[type(part)]
