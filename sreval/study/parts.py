"""What a design shows, as keys of stimuli: what is rated, and what stands around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sreval.errors import UsageError
from sreval.images.known import KNOWN, fetch_command
from sreval.study.design import Calibration, DatasetPart, Gold, StudyDesign, WarmUp
from sreval.study.draw import drawn_images, methods_of
from sreval.study.manifest import Key, Manifest

Pool = Mapping[str, Mapping[str, str]]
"""The images of each data set, in order, and the scene that each shows."""


@dataclass(frozen=True)
class Problem:
    """A constraint that can't be met, and how to fix it."""

    constraint: str
    what: str
    remedy: str

    def error(self) -> UsageError:
        """What a command says of it."""
        return UsageError(f"{self.constraint}: {self.what}.", self.remedy)


@dataclass(frozen=True)
class Parts:
    """The keys of everything that a study may show.

    `rated` by data set; `calibration` with the intended score; `warm_up`: for each image its
    versions, of which a rater sees one; `gold` with the range that passes.
    """

    rated: Mapping[str, tuple[Key, ...]]
    calibration: tuple[tuple[Key, int], ...]
    warm_up: tuple[tuple[Key, ...], ...]
    gold: tuple[tuple[Key, int, int], ...]
    problems: tuple[Problem, ...]

    @property
    def stimuli(self) -> tuple[Key, ...]:
        """Everything that is rated, in the design's order."""
        return tuple(key for keys in self.rated.values() for key in keys)

    @property
    def shown(self) -> tuple[Key, ...]:
        """Every key that some rater may be shown, once each: what has to be frozen."""
        calibration = (key for key, _ in self.calibration)
        warm_up = (key for versions in self.warm_up for key in versions)
        gold = (key for key, _, _ in self.gold)
        return tuple(dict.fromkeys([*self.stimuli, *calibration, *warm_up, *gold]))


def pool_of(manifest: Manifest) -> Pool:
    """The images that a manifest holds."""
    pool: dict[str, dict[str, str]] = {}
    for stimulus in manifest.stimuli:
        pool.setdefault(stimulus.dataset, {})[stimulus.image] = stimulus.scene
    return pool


def parts_of(design: StudyDesign, pool: Pool) -> Parts:
    """What `design` shows of the images in `pool`; what it can't show is in `problems`."""
    problems: list[Problem] = []

    def drawn(name: str, part: Calibration | WarmUp | Gold) -> list[list[Key]]:
        """For each drawn image its versions."""
        known = pool.get(part.dataset, {})
        if not known:
            problems.append(_not_at_hand(name, part.dataset, design))
            return []
        try:
            images = drawn_images(design, part, known)
        except UsageError as error:
            problems.append(Problem(name, error.message.rstrip("."), error.remedy))
            return []
        return [[(part.dataset, image, method) for method in methods_of(part)] for image in images]

    rated = {part.name: _rated(design, part, pool, problems) for part in design.images.datasets}
    anchors = design.calibration.anchors if design.calibration else ()
    calibration = drawn("calibration", design.calibration) if design.calibration else []
    warm_up = drawn("warm_up", design.warm_up) if design.warm_up else []
    gold = [
        (keys[0], part.low, part.high)
        for number, part in enumerate(design.gold)
        for keys in drawn(f"gold.{number}", part)
    ]
    scores = {anchor.method: anchor.score for anchor in anchors}
    return Parts(
        rated,
        tuple((key, scores[key[2]]) for keys in calibration for key in keys),
        tuple(map(tuple, warm_up)),
        tuple(gold),
        tuple(problems),
    )


def _rated(
    design: StudyDesign, part: DatasetPart, pool: Pool, problems: list[Problem]
) -> tuple[Key, ...]:
    known = pool.get(part.name, {})
    name = "images.datasets"
    if not known:
        problems.append(_not_at_hand(name, part.name, design))
        return ()
    for image in part.images:
        if image not in known:
            near = f"It has {', '.join(list(known)[:3])}, ..."
            problems.append(Problem(name, f"{part.name} has no image {image!r}", near))
    return tuple(
        (part.name, image, method)
        for image in part.images or known
        if image in known
        for method in design.images.methods_of(part.name)
    )


def _not_at_hand(constraint: str, dataset: str, design: StudyDesign) -> Problem:
    known, scale, remedy = KNOWN.get(dataset), design.images.scale, ""
    if known and known.scales and scale not in known.scales:
        remedy = f"Set images.scale to one of its scales, {', '.join(map(str, known.scales))}."
    elif known:
        remedy = f"Run `{fetch_command(dataset, scale)}`, or set SREVAL_DATA."
    what = f"the images of {dataset} are not on this machine"
    return Problem(constraint, what, remedy or "Name a data set that is on this machine.")
