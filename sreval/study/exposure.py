"""What a study shows, and which of it the rater in each slot is exposed to.

A slot sees all stimuli, or so many in a row of one endless sequence that all slots share: slot s
of a subset of m sees the places s m, ..., s m + m - 1. Whatever the number of slots, no stimulus
is then seen more than once more often than another. In the sequence the data sets alternate by
their share, and within a data set the methods alternate, so that of any stretch, however long,
the methods of one data set differ by at most one. The image moves on with every place, and by
one more whenever the pairs would begin again, so that a rater sees every image as often as every
other, give or take two, and each image meets each method in turn from slot to slot.

A task with reference keeps the versions of an image together: its sequence goes image by image,
and a subset is a number of whole images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sreval.errors import SrevalError, UsageError, shown
from sreval.files import sha256_bytes
from sreval.images.known import KNOWN
from sreval.study.design import Calibration, DatasetPart, Gold, Repeat, StudyDesign, WarmUp
from sreval.study.manifest import Key
from sreval.study.presentation import Stream, Unmet

Scenes = Mapping[str, Mapping[str, str]]
"""The images of each data set, in order, and the scene that each shows."""

Block = Calibration | WarmUp | Gold | Repeat
"""Items of a design whose images are drawn by its seed."""


@dataclass(frozen=True)
class StimulusSet:
    """The keys of everything that a study may show, and which of them a slot sees.

    `rated` by data set; `calibration` with the intended score; `warm_up`: for each image its
    versions, of which a rater sees one; `gold` with the range that passes; `unmet` is what the
    design can't show of the images that there are.
    """

    design: StudyDesign
    rated: Mapping[str, tuple[Key, ...]]
    calibration: tuple[tuple[Key, int], ...]
    warm_up: tuple[tuple[Key, ...], ...]
    gold: tuple[tuple[Key, int, int], ...]
    unmet: tuple[Unmet, ...]

    @classmethod
    def of(
        cls,
        design: StudyDesign,
        scenes: Scenes,
        unopened: Mapping[str, SrevalError] = MappingProxyType({}),
    ) -> StimulusSet:
        """What `design` shows of the images in `scenes`.

        `unopened` says why the `source` of a data set can't be used.
        """
        unmet: list[Unmet] = []
        absent: set[str] = set()

        def none_of(name: str, dataset: str) -> None:
            """Say once that a data set has no images here."""
            if dataset not in absent:
                absent.add(dataset)
                why = unopened.get(dataset)
                unmet.append(_not_on_this_machine(name, dataset, design, why))

        def drawn(name: str, block: Calibration | WarmUp | Gold) -> list[list[Key]]:
            """For each drawn image its versions."""
            known = scenes.get(block.dataset, {})
            if not known:
                none_of(name, block.dataset)
                return []
            try:
                images = drawn_images(design, block, known)
            except UsageError as error:
                unmet.append(Unmet(name, error.message.rstrip("."), error.remedy))
                return []
            return [
                [(block.dataset, image, method) for method in versions(block)] for image in images
            ]

        rated = {
            part.name: _rated(design, part, f"images.datasets.{number}", scenes, unmet, none_of)
            for number, part in enumerate(design.images.datasets)
        }
        anchors = design.calibration.anchors if design.calibration else ()
        calibration = drawn("calibration", design.calibration) if design.calibration else []
        warm_up = drawn("warm_up", design.warm_up) if design.warm_up else []
        gold = [
            (keys[0], block.low, block.high)
            for number, block in enumerate(design.gold)
            for keys in drawn(f"gold.{number}", block)
        ]
        scores = {anchor.method: anchor.score for anchor in anchors}
        return cls(
            design,
            rated,
            tuple((key, scores[key[2]]) for keys in calibration for key in keys),
            tuple(map(tuple, warm_up)),
            tuple(gold),
            tuple(unmet),
        )

    @property
    def voted(self) -> tuple[Key, ...]:
        """Everything that is rated, in the design's order."""
        return tuple(key for keys in self.rated.values() for key in keys)

    @property
    def shown(self) -> tuple[Key, ...]:
        """Every key that some rater may be shown, once each: what has to be frozen."""
        calibration = (key for key, _ in self.calibration)
        warm_up = (key for versions in self.warm_up for key in versions)
        gold = (key for key, _, _ in self.gold)
        return tuple(dict.fromkeys([*self.voted, *calibration, *warm_up, *gold]))

    def seen_in(self, slots: Iterable[int]) -> Iterator[tuple[Key, ...]]:
        """What the rater in each of the slots votes on, each stimulus once."""
        subset = self.design.subset
        sequence = self.voted if subset is None else self._balanced()
        for slot in slots:
            start = slot * (subset or 0)
            many = range(subset or len(sequence))
            yield tuple(sequence[(start + i) % len(sequence)] for i in many)

    @property
    def slot_period(self) -> int:
        """The number of slots after which the same subsets come again."""
        total = len(self.voted)
        return total // math.gcd(total, self.design.subset) if self.design.subset else 1

    @property
    def unmet_subset(self) -> Unmet | None:
        """What is wrong with the subset's size, if anything."""
        total, subset = len(self.voted), self.design.subset
        if subset is None:
            return None
        if self.design.task.with_reference and subset <= total:
            return self._unmet_whole_images(subset)
        if subset <= total:
            return None
        what = f"{subset} stimuli per rater are asked for, but the design only has {total}"
        return Unmet("subset", what, f"Set it to {total} or less, or leave it out.")

    def _unmet_whole_images(self, subset: int) -> Unmet | None:
        """What keeps raters from seeing whole images, the original among their versions."""
        counts = {len(self.design.images.methods_of(part)) for part in self.rated}
        versions = max(counts)
        if len(counts) == 1 and subset % versions == 0:
            return None
        kind = self.design.task.kind
        if len(counts) > 1:
            what = f"with {kind} a rater sees whole images, and data sets differ in their methods"
            return Unmet("subset", what, "Leave it out, or rate the same number of methods.")
        what = f"with {kind} a rater sees whole images, of {versions} versions each, not {subset}"
        fit = max(versions, subset - subset % versions)
        return Unmet("subset", what, f"Set it to {fit}, or to another multiple of {versions}.")

    def repeats_of(self, votes: Sequence[Key]) -> tuple[list[tuple[Key, int, int]], list[Unmet]]:
        """What a rater with these votes is shown again: (stimulus, how often more, least distance).

        The same stimuli for all raters as far as they see them; none is drawn for two repeats.
        """
        drawn: dict[Key, tuple[Key, int, int]] = {}
        unmet = []
        for number, repeat in enumerate(self.design.repeats):
            cell = (repeat.dataset, repeat.method)
            free = [key for key in votes if (key[0], key[2]) == cell and key not in drawn]
            if len(free) < repeat.images:
                what = (
                    f"{repeat.images} images of {repeat.dataset} in {repeat.method} are to be "
                    f"shown again, but some rater sees only {len(free)} that can be repeated"
                )
                remedy = f"Set its images to {len(free)} or less, or give a larger subset."
                unmet.append(Unmet(f"repeats.{number}", what, remedy))
                continue
            for image in drawn_images(self.design, repeat, [key[1] for key in free]):
                key = (repeat.dataset, image, repeat.method)
                drawn[key] = (key, repeat.times, repeat.distance)
        return list(drawn.values()), unmet

    def _balanced(self) -> tuple[Key, ...]:
        """All stimuli in the sequence of which every slot sees a stretch."""
        grouped = _by_image if self.design.task.with_reference else _alternating
        placed = []
        for number, (dataset, keys) in enumerate(self.rated.items()):
            groups = grouped(self.design.seed, dataset, keys)
            for place, group in enumerate(groups):
                placed.append(((2 * place + 1) / (2 * len(groups)), number, group))
        return tuple(key for _, _, group in sorted(placed) for key in group)


def _rated(
    design: StudyDesign,
    part: DatasetPart,
    name: str,
    scenes: Scenes,
    unmet: list[Unmet],
    none_of: Callable[[str, str], None],
) -> tuple[Key, ...]:
    known = scenes.get(part.name, {})
    if not known:
        none_of(name, part.name)
        return ()
    for image in part.images:
        if image not in known:
            near = f"It has {', '.join(list(known)[:3])}, ..."
            unmet.append(Unmet(name, f"{part.name} has no image {image!r}", near))
    return tuple(
        (part.name, image, method)
        for image in part.images or known
        if image in known
        for method in design.images.methods_of(part.name)
    )


def _not_on_this_machine(
    constraint: str, dataset: str, design: StudyDesign, why: SrevalError | None
) -> Unmet:
    if why:
        what = f"{shown(design.images.source_of(dataset))} can't be used"
        return Unmet(f"{constraint}.source", f"{what}: {why.message.rstrip('.')}", why.remedy)
    known, scale, remedy = KNOWN.get(dataset), design.images.scale, ""
    if known:
        there = known.hr_scale(scale) if known.scales else scale
        remedy = f"Run `{known.fetch_command(there)}`, or set SREVAL_DATA."
    what = f"the images of {dataset} are not on this machine"
    return Unmet(constraint, what, remedy or "Name a data set that is on this machine.")


# Images drawn by the seed


def drawn_images(design: StudyDesign, block: Block, names: Iterable[str]) -> tuple[str, ...]:
    """The ``block.images`` images that a block of the design uses, of ``names`` of its data set.

    For `repeats` the names are the rated images of the data set, else all of its images. Images
    stand in an order that the seed decides, those not rated before those that are. Blocks of one
    data set take theirs one after the other, so that they differ as long as there are enough:
    calibration, warm-up, then gold; repeats among themselves. Drawing again among what was
    frozen gives the same images, because what is not drawn never changes the order.
    Raises UsageError when there are fewer names than images.
    """
    known = sorted(set(names), key=lambda name: _rank(design, block, name))
    if len(known) < block.images:
        raise UsageError(
            f"{_kind(block)} asks for {block.images} images of {block.dataset}, which has "
            f"{len(known)}.",
            "Ask for fewer, or name a larger data set.",
        )
    family: tuple[Block, ...] = (
        design.repeats if isinstance(block, Repeat) else drawn_blocks(design)
    )
    before = family[: family.index(block)]
    start = sum(earlier.images for earlier in before if earlier.dataset == block.dataset)
    return tuple(known[(start + i) % len(known)] for i in range(block.images))


def drawn_blocks(design: StudyDesign) -> tuple[Calibration | WarmUp | Gold, ...]:
    """The blocks whose images are drawn from a data set that need not be rated."""
    blocks = (design.calibration, design.warm_up, *design.gold)
    return tuple(block for block in blocks if block is not None)


def versions(block: Block) -> tuple[str, ...]:
    """The methods in whose version a block shows each of its images, or may show it."""
    if isinstance(block, Calibration):
        return tuple(dict.fromkeys(anchor.method for anchor in block.anchors))
    return block.methods if isinstance(block, WarmUp) else (block.method,)


def _rank(design: StudyDesign, block: Block, name: str) -> tuple[bool, str]:
    kind = "repeats" if isinstance(block, Repeat) else "drawn"
    rated = any(
        name in given.images or not given.images
        for given in design.images.datasets
        if given.name == block.dataset
    )
    return rated, sha256_bytes(f"{design.seed}/{kind}/{block.dataset}/{name}".encode())


def _kind(block: Block) -> str:
    names = {Calibration: "calibration", WarmUp: "warm_up", Gold: "gold", Repeat: "repeats"}
    return names[type(block)]


def _by_image(seed: int, dataset: str, keys: Sequence[Key]) -> list[tuple[Key, ...]]:
    """The stimuli of one data set, those of an image together."""
    images = Stream(seed, "images", dataset).shuffle(list(dict.fromkeys(key[1] for key in keys)))
    return [tuple(key for key in keys if key[1] == image) for image in images]


def _alternating(seed: int, dataset: str, keys: Sequence[Key]) -> list[tuple[Key, ...]]:
    """The stimuli of one data set: methods and images take turns, every pair once."""
    images = Stream(seed, "images", dataset).shuffle(list(dict.fromkeys(key[1] for key in keys)))
    methods = Stream(seed, "methods", dataset).shuffle(list(dict.fromkeys(key[2] for key in keys)))
    rounds = math.lcm(len(images), len(methods))
    return [
        ((dataset, images[(place + place // rounds) % len(images)], methods[place % len(methods)]),)
        for place in range(len(keys))
    ]
