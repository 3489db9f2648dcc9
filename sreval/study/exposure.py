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

Of a pair the methods' pairs take the place of the methods, in the rounds of a round robin (the
circle method). A subset is a number of whole rounds, at least two of each data set in a row: then
a rater judges every method equally often, or one time less where their number is odd, and can
put all of them in one order, because two neighbouring rounds of the circle connect all methods.
Slots 2k and 2k + 1 see the same trials with their sides exchanged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from sreval.errors import SrevalError, UsageError, shown
from sreval.files import sha256_bytes
from sreval.images.known import KNOWN
from sreval.opinions.pairs.rounds import round_robin
from sreval.study.design import (
    Calibration,
    DatasetPart,
    Gold,
    Repeat,
    Same,
    Stabilising,
    StudyDesign,
    WarmUp,
)
from sreval.study.manifest import Key, Trial, exchanged, pictures
from sreval.study.presentation import Stream, Unmet
from sreval.study.task import LEFT, REFERENCE

Scenes = Mapping[str, Mapping[str, str]]
"""The images of each data set, in order, and the scene that each shows."""

Drawn = Calibration | WarmUp | Gold | Same | Stabilising
"""Items of a design whose images are drawn by its seed from a data set that need not be rated."""
Block = Drawn | Repeat
"""Items of a design whose images are drawn by its seed."""


@dataclass(frozen=True)
class StimulusSet:
    """The keys of everything that a study may show, and which of them a slot sees.

    `rated` by data set; `calibration` with the intended score; `warm_up` and `stabilising`: for
    each image the trials of which a rater sees one; `gold` with the range that passes, a pair with
    the better one at the left; `same`: two identical pictures; `unmet` is what the design can't
    show of the images that there are.
    """

    design: StudyDesign
    rated: Mapping[str, tuple[Key, ...]]
    calibration: tuple[tuple[Key, int], ...]
    warm_up: tuple[tuple[Trial, ...], ...]
    stabilising: tuple[tuple[Trial, ...], ...]
    gold: tuple[tuple[Trial, int, int], ...]
    same: tuple[Trial, ...]
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

        def drawn(name: str, block: Drawn) -> list[list[Trial]]:
            """For each drawn image its trials."""
            known = scenes.get(block.dataset, {})
            if not known:
                none_of(name, block.dataset)
                return []
            try:
                images = drawn_images(design, block, known)
            except UsageError as error:
                unmet.append(Unmet(name, error.message.rstrip("."), error.remedy))
                return []
            shown = _trials_of(design, block)
            return [[(block.dataset, image, *methods) for methods in shown] for image in images]

        rated = {
            part.name: _rated(design, part, f"images.datasets.{number}", scenes, unmet, none_of)
            for number, part in enumerate(design.images.datasets)
        }
        anchors = design.calibration.anchors if design.calibration else ()
        calibration = drawn("calibration", design.calibration) if design.calibration else []
        warm_up = drawn("warm_up", design.warm_up) if design.warm_up else []
        settling = drawn("stabilising", design.stabilising) if design.stabilising else []
        gold = [
            (trials[0], *_passing(block))
            for number, block in enumerate(design.gold)
            for trials in drawn(f"gold.{number}", block)
        ]
        same = [
            trials[0]
            for number, block in enumerate(design.same)
            for trials in drawn(f"same.{number}", block)
        ]
        scores = {anchor.method: anchor.score for anchor in anchors}
        return cls(
            design,
            rated,
            tuple(
                (key, scores[key[2]])
                for trials in calibration
                for trial in trials
                for key in pictures(trial)
            ),
            tuple(map(tuple, warm_up)),
            tuple(map(tuple, settling)),
            tuple(gold),
            tuple(same),
            tuple(unmet),
        )

    @cached_property
    def trials(self) -> Mapping[str, tuple[Trial, ...]]:
        """All trials of each data set, in the design's order: its stimuli, or their pairs."""
        if not self.design.task.pair:
            return self.rated
        images = {name: dict.fromkeys(key[1] for key in keys) for name, keys in self.rated.items()}
        return {
            name: tuple(
                (name, image, *pair) for image in of_set for pair in self.design.trials_on(name)
            )
            for name, of_set in images.items()
        }

    @property
    def voted(self) -> tuple[Trial, ...]:
        """Everything that is rated, in the design's order."""
        return tuple(trial for trials in self.trials.values() for trial in trials)

    @property
    def shown(self) -> tuple[Key, ...]:
        """Every key that some rater may be shown, once each: what has to be frozen."""
        rated = (key for keys in self.rated.values() for key in keys)
        calibration = (key for key, _ in self.calibration)
        turns = (trial for trials in (*self.warm_up, *self.stabilising) for trial in trials)
        gold = (trial for trial, _, _ in self.gold)
        others = (key for trial in (*turns, *gold, *self.same) for key in pictures(trial))
        shown = dict.fromkeys([*rated, *calibration, *others])
        if self.design.task.shows_reference:
            shown |= dict.fromkeys((*key[:2], REFERENCE) for key in shown)
        return tuple(shown)

    def seen_in(self, slots: Iterable[int]) -> Iterator[tuple[Trial, ...]]:
        """What the rater in each of the slots votes on, each trial once."""
        subset, pair = self.design.subset, self.design.task.pair
        sequence = self.voted if subset is None else self._balanced
        for slot in slots:
            turn = slot // 2 if pair else slot
            start = turn * (subset or 0)
            many = range(subset or len(sequence))
            seen = tuple(sequence[(start + i) % len(sequence)] for i in many)
            yield self.sided(seen, slot) if pair else seen

    def sided(self, trials: Sequence[Trial], slot: int) -> tuple[Trial, ...]:
        """Pairs with their sides: those of slot 2k + 1 are those of slot 2k, exchanged."""
        row = sides(trials, Stream(self.design.seed, "sides", slot // 2))
        return tuple(map(exchanged, row)) if slot % 2 else row

    @property
    def slot_period(self) -> int:
        """The number of slots after which the same subsets come again, a pair's sides aside."""
        total = len(self.voted)
        period = total // math.gcd(total, self.design.subset) if self.design.subset else 1
        return 2 * period if self.design.task.pair else period

    @property
    def unmet_subset(self) -> Unmet | None:
        """What is wrong with the subset's size, if anything."""
        total, subset = len(self.voted), self.design.subset
        task = self.design.task
        if subset is None:
            return None
        if subset <= total:
            return self._unmet_groups(subset) if task.with_reference or task.pair else None
        what = f"{subset} {'pairs' if task.pair else 'stimuli'} per rater are asked for, but the "
        what += f"design only has {total}"
        return Unmet("subset", what, f"Set it to {total} or less, or leave it out.")

    def _unmet_groups(self, subset: int) -> Unmet | None:
        """What keeps raters from whole images, the original among their versions, or from whole
        rounds or trees of pairs that connect the methods."""
        design, pair = self.design, self.design.task.pair
        active = pair and design.pairs.plan == "active"
        what, each = ("rounds", "pairs") if pair else ("images", "versions")
        sizes = {len(group) for groups in self._groups.values() for group in groups}
        if active:
            what = "trees that connect all methods on an image"
            sizes = {len(design.images.methods_of(name)) - 1 for name in self.trials}
        seen = f"with {'an active plan' if active else design.task.kind} a rater sees whole {what}"
        if len(sizes) > 1:
            remedy = "Leave it out, or rate the same number of methods."
            if active:
                remedy = "Rate the same number of methods on each, or leave pairs.plan out."
            return Unmet("subset", f"{seen}, and data sets differ in their methods", remedy)
        size = max(sizes)
        least = size * (self._least_rounds if pair and not active else 1)
        if subset % size == 0 and subset >= least:
            return None
        fit = max(least, subset - subset % size)
        if subset % size:
            wrong = f"{seen}, of {size} {each} each, not {subset}"
        else:
            wrong = f"{subset} pairs of a rater don't connect all methods on every data set"
        from_on = f" from {least} on" * (least > size)
        return Unmet(
            "subset", wrong, f"Set it to {fit}, or to another multiple of {size}{from_on}."
        )

    @property
    def _least_rounds(self) -> int:
        """How many rounds in a row connect the methods of every data set, wherever they begin."""
        rounds = [group for _, _, group in self._in_order]
        methods = {key[::2] for keys in self.rated.values() for key in keys}

        def connecting(first: int) -> int:
            part = {method: {method} for method in methods}
            apart = len(part) - len(self.trials)
            for many in itertools.count(1):
                for dataset, _, one, other in rounds[(first + many - 1) % len(rounds)]:
                    ours, theirs = part[dataset, one], part[dataset, other]
                    if ours is not theirs:
                        ours |= theirs
                        part |= dict.fromkeys(theirs, ours)
                        apart -= 1
                if not apart:
                    return many
            raise AssertionError("all rounds connect all methods")

        return max(map(connecting, range(len(rounds))))

    def repeats_of(
        self, votes: Sequence[Trial]
    ) -> tuple[list[tuple[Trial, int, int]], list[Unmet]]:
        """What a rater with these votes is shown again: (trial, how often more, least distance).

        The same trials for all raters as far as they see them; none is drawn for two repeats.
        """
        drawn: dict[Trial, tuple[Trial, int, int]] = {}
        unmet = []
        for number, repeat in enumerate(self.design.repeats):
            (methods,) = _trials_of(self.design, repeat)
            free = {
                trial[1]: trial
                for trial in votes
                if trial[0] == repeat.dataset
                and set(trial[2:]) == set(methods)
                and trial not in drawn
            }
            if len(free) < repeat.images:
                what = (
                    f"{repeat.images} images of {repeat.dataset} in {' and '.join(methods)} are to "
                    f"be shown again, but some rater sees only {len(free)} that can be repeated"
                )
                remedy = f"Set its images to {len(free)} or less, or give a larger subset."
                unmet.append(Unmet(f"repeats.{number}", what, remedy))
                continue
            for image in drawn_images(self.design, repeat, free):
                drawn[free[image]] = (free[image], repeat.times, repeat.distance)
        return list(drawn.values()), unmet

    @cached_property
    def _balanced(self) -> tuple[Trial, ...]:
        """All trials in the sequence of which every slot sees a stretch."""
        return tuple(trial for _, _, group in self._in_order for trial in group)

    @property
    def _in_order(self) -> list[tuple[float, int, tuple[Trial, ...]]]:
        """What stays together in the sequence, in its order; the data sets alternate by share."""
        return sorted(
            ((2 * place + 1) / (2 * len(groups)), number, group)
            for number, groups in enumerate(self._groups.values())
            for place, group in enumerate(groups)
        )

    @cached_property
    def _groups(self) -> dict[str, list[tuple[Trial, ...]]]:
        """Of each data set what stays together: a stimulus, an image, or a round of pairs."""
        grouped = _by_image if self.design.task.with_reference else self._alternating
        return {
            dataset: grouped(self.design.seed, dataset, trials)
            for dataset, trials in self.trials.items()
            if trials
        }

    def _alternating(
        self, seed: int, dataset: str, trials: Sequence[Trial]
    ) -> list[tuple[Trial, ...]]:
        """The trials of one data set: methods, or their rounds, and images take turns."""
        images = Stream(seed, "images", dataset).shuffle(list(dict.fromkeys(t[1] for t in trials)))
        methods = list(dict.fromkeys(method for trial in trials for method in trial[2:]))
        rounds = _rounds(
            Stream(seed, "methods", dataset).shuffle(methods), self.design.trials_on(dataset)
        )
        row = [methods for together in rounds for methods in together]
        again, size = math.lcm(len(images), len(row)), len(rounds[0])
        placed: list[Trial] = [
            (dataset, images[(place + place // again) % len(images)], *row[place % len(row)])
            for place in range(len(trials))
        ]
        return [tuple(placed[first : first + size]) for first in range(0, len(placed), size)]


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
    calibration, warm-up, gold, same, then stabilising; repeats among themselves. Drawing again
    among what was frozen gives the same images, because what is not drawn never changes the order.
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


def drawn_blocks(design: StudyDesign) -> tuple[Drawn, ...]:
    """The blocks whose images are drawn from a data set that need not be rated."""
    blocks = (
        design.calibration, design.warm_up, *design.gold, *design.same, design.stabilising,
    )  # fmt: skip
    return tuple(block for block in blocks if block is not None)


def versions(design: StudyDesign, block: Block) -> tuple[str, ...]:
    """The methods in whose version a block shows each of its images, or may show it."""
    shown = [method for methods in _trials_of(design, block) for method in methods]
    reference = [REFERENCE] if design.task.shows_reference else []
    return tuple(dict.fromkeys([*shown, *reference]))


def _trials_of(design: StudyDesign, block: Block) -> tuple[tuple[str, ...], ...]:
    """The methods of every trial in which a block shows each of its images, or may show it."""
    if isinstance(block, Same):
        return ((block.method, block.method),)
    if isinstance(block, Gold | Repeat):
        return ((block.method, block.against) if design.task.pair else (block.method,),)
    if isinstance(block, WarmUp | Stabilising) and design.task.pair:
        return design.pairs_of(block.methods)
    methods = (
        block.methods
        if isinstance(block, WarmUp | Stabilising)
        else dict.fromkeys(anchor.method for anchor in block.anchors)
    )
    return tuple((method,) for method in methods)


def _passing(gold: Gold) -> tuple[int, int]:
    """The least and greatest score that passes; of a pair the side of the better one."""
    return (LEFT, LEFT) if gold.low is None or gold.high is None else (gold.low, gold.high)


def _rank(design: StudyDesign, block: Block, name: str) -> tuple[bool, str]:
    kind = "repeats" if isinstance(block, Repeat) else "drawn"
    rated = any(
        name in given.images or not given.images
        for given in design.study_datasets
        if given.name == block.dataset
    )
    return rated, sha256_bytes(f"{design.seed}/{kind}/{block.dataset}/{name}".encode())


def _kind(block: Block) -> str:
    names = {
        Calibration: "calibration",
        WarmUp: "warm_up",
        Stabilising: "stabilising",
        Gold: "gold",
        Same: "same",
        Repeat: "repeats",
    }
    return names[type(block)]


def _by_image(seed: int, dataset: str, keys: Sequence[Trial]) -> list[tuple[Trial, ...]]:
    """The stimuli of one data set, those of an image together."""
    images = Stream(seed, "images", dataset).shuffle(list(dict.fromkeys(key[1] for key in keys)))
    return [tuple(key for key in keys if key[1] == image) for image in images]


def _rounds(
    methods: Sequence[str], trials: Collection[tuple[str, ...]]
) -> list[list[tuple[str, ...]]]:
    """The trials of an image in rounds in which no method comes twice.

    All pairs make a round robin. Trials of single methods, and pairs that all have one method in
    common, are rounds of their own, in the methods' order.
    """
    pairs = [trial for trial in trials if len(trial) > 1]
    if not pairs or len(pairs) < math.comb(len(methods), 2):
        return [[one] for one in sorted(trials, key=lambda one: sum(map(methods.index, one)))]
    rounds = round_robin(len(methods))
    return [[(methods[one], methods[other]) for one, other in pairs] for pairs in rounds]


# Sides


def sides(trials: Sequence[Trial], stream: Stream) -> tuple[Trial, ...]:
    """Pairs in their order, with the sides on which their methods stand.

    Every method stands at the left in half of its trials; one more or less where their number is
    odd. That holds of each pair of methods on each data set, of each data set and of all.

    At every method its trials are joined by two, first those of one data set against one other
    method, then what is left of a data set, then of all: each trial is joined at both ends, so they
    make chains and rings. Along these a method that stood at the right goes on at the left, so of
    two that are joined one has it at the left. (An orientation along Euler's paths.)
    """
    row = stream.shuffle(list(trials))
    joined: dict[tuple[Trial, str], Trial] = {}
    for method in dict.fromkeys(method for trial in row for method in trial[2:]):
        rest = [trial for trial in row if method in trial[2:]]
        for parts in (slice(None), slice(1), slice(0)):
            waiting: dict[object, Trial] = {}
            for trial in rest:
                group = (trial[0], frozenset(trial[2:]))[parts]
                if group in waiting:
                    before = waiting.pop(group)
                    joined[trial, method], joined[before, method] = before, trial
                else:
                    waiting[group] = trial
            rest = list(waiting.values())
    left: dict[Trial, str] = {}
    ends = [(trial, method) for trial in row for method in trial[2:]]
    # chains from their ends; what remains are rings
    for trial, method in sorted(ends, key=joined.__contains__):
        if trial in left:
            continue
        flip = stream.below(2)
        at: Trial | None = trial
        while at is not None and at not in left:
            other = at[3] if at[2] == method else at[2]
            left[at] = other if flip else method
            at, method = joined.get((at, other)), other
    return tuple(trial if left[trial] == trial[2] else exchanged(trial) for trial in trials)
