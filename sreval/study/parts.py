"""What a design shows, as keys of stimuli: what is rated, and what stands around it.

Images are drawn by a rank that the study's seed and the image's own name decide. So a draw from
all images of a data set, and a draw from those that were frozen because they were drawn, give
the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sreval.errors import UsageError
from sreval.study.design import DatasetPart, StudyDesign
from sreval.study.manifest import Key, Manifest
from sreval.study.stream import rank

Pool = Mapping[str, Mapping[str, str]]
"""The images of each data set, in order, and the scene that each shows."""


@dataclass(frozen=True)
class Problem:
    """A constraint that can't be met, and what would mend it."""

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
    """What `design` shows of the images in `pool`; what it can't show stands in `problems`."""
    draw = _Draw(design, pool)
    rated = {
        part.name: tuple(
            (part.name, image, method)
            for image in draw.rated(part)
            for method in design.images.methods_of(part.name)
        )
        for part in design.images.datasets
    }
    calibration: tuple[tuple[Key, int], ...] = ()
    if design.calibration:
        given = design.calibration
        calibration = tuple(
            ((given.dataset, image, anchor.method), anchor.score)
            for image in draw.images("calibration", given.dataset, given.images)
            for anchor in given.anchors
        )
    warm_up: tuple[tuple[Key, ...], ...] = ()
    if design.warm_up:
        practice = design.warm_up
        warm_up = tuple(
            tuple((practice.dataset, image, method) for method in practice.methods)
            for image in draw.images("warm_up", practice.dataset, practice.images)
        )
    gold = tuple(
        ((part.dataset, image, part.method), part.low, part.high)
        for number, part in enumerate(design.gold)
        for image in draw.images(f"gold.{number}", part.dataset, part.images)
    )
    return Parts(rated, calibration, warm_up, gold, tuple(draw.problems))


class _Draw:
    def __init__(self, design: StudyDesign, pool: Pool) -> None:
        self._design, self._pool = design, pool
        self._parts = {part.name: part for part in design.images.datasets}
        self.problems: list[Problem] = []

    def rated(self, part: DatasetPart) -> Sequence[str]:
        known = self._pool.get(part.name, {})
        if not known:
            self._lacks(f"images.datasets {part.name}", part.name)
        for image in part.images:
            if image not in known:
                what = f"{part.name} has no image {image!r}"
                self._add("images.datasets", what, "Mend the name, or freeze the study again.")
        return [i for i in part.images if i in known] if part.images else list(known)

    def images(self, purpose: str, dataset: str, count: int) -> Sequence[str]:
        """`count` images by rank, those that nobody rates first."""
        known = self._pool.get(dataset, {})
        if not known:
            self._lacks(purpose, dataset)
        elif len(known) < count:
            what = f"{dataset} has {len(known)} images, not {count}"
            self._add(purpose, what, f"Set its images to {len(known)} or less.")
        part = self._parts.get(dataset)
        seed = self._design.seed

        def place(image: str) -> tuple[bool, str]:
            rated = part is not None and (not part.images or image in part.images)
            return rated, rank(seed, purpose, dataset, image)

        return sorted(known, key=place)[:count]

    def _lacks(self, purpose: str, dataset: str) -> None:
        what = f"the images of {dataset} are not at hand"
        self._add(purpose, what, "Fetch the data set, or freeze the study where it is.")

    def _add(self, constraint: str, what: str, remedy: str) -> None:
        self.problems.append(Problem(constraint, what, remedy))
