"""A rater's plan: every item in its order, made once from the study's seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sreval.errors import DataError
from sreval.study.design import RATING, ItemKind, StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.manifest import Key, Manifest
from sreval.study.presentation import Showing, Stream, presentation_order

ALGORITHM = 1
"""Changes whenever the same seed would give another plan; stored with every plan."""


@dataclass(frozen=True)
class Item:
    """One position of a plan, counted from 1 over all sittings.

    `method` and `stimulus_sha256` are of the picture that is judged; of a pair they are the left
    one's, and `right_method` and `right_sha256` the other's, else None. `reference_sha256` is the
    original's where it is in view, else None. `intended` is the score that a calibration item
    shows, else None; `low` and `high` are the range that a gold item passes, else None; of a pair
    both are the answer. `reason` says in words why the item is shown here.
    """

    position: int
    sitting: int
    kind: ItemKind
    dataset: str
    image: str
    scene: str
    method: str
    stimulus_sha256: str
    reason: str
    intended: int | None = None
    low: int | None = None
    high: int | None = None
    right_method: str | None = None
    right_sha256: str | None = None
    reference_sha256: str | None = None


def make_plan(design: StudyDesign, manifest: Manifest, slot: int, rater: int) -> tuple[Item, ...]:
    """The plan of one rater: calibration, warm-up, then the rating part.

    `slot`, from 0, decides which stimuli are seen: slots are balanced against each other, and a
    rater who replaces a drop-out takes over the slot. `rater`, from 0 and never used
    twice, decides the order. The same arguments give the same plan on every machine.

    Of the rating part (votes, repeats, gold) these hold, across breaks and sittings:
    no scene comes twice within `order.scene_distance` positions; showings of a repeated stimulus
    lie `distance` apart; gold items are spread evenly; and with `order.methods_alternate` no two
    neighbours are of one method where that is feasible, i.e. unless more than half of all
    items are of one method or no exchange of two items, with all distances kept, would lessen
    the number of such neighbours.

    Raises UsageError when a constraint can't be met (`study.check` finds it before), DataError
    when the manifest lacks a stimulus.
    """
    stimuli = StimulusSet.of(design, manifest.scenes)
    too_large = stimuli.unmet_subset
    for unmet in (*stimuli.unmet, *([too_large] if too_large else [])):
        raise unmet.error()
    for key in stimuli.shown:
        if key not in manifest.by_key:
            dataset, image, method = key
            raise DataError(
                f"The manifest has no {method} of {dataset} {image}.", "Freeze the study again."
            )
    stream = Stream(design.seed, "order", ALGORITHM, rater)
    votes = next(stimuli.seen_in([slot]))
    repeats, not_repeated = stimuli.repeats_of(votes)
    for unmet in not_repeated:
        raise unmet.error()
    planned = [
        *_calibration(stimuli, stream),
        *_warm_up(stimuli, stream),
        *_rating(design, manifest, stimuli, votes, repeats, stream),
    ]
    return tuple(_numbered(design, manifest, planned))


_ORDINALS = {2: "second", 3: "third"}


@dataclass(frozen=True)
class _Planned:
    """An item before it has a number."""

    kind: ItemKind
    key: Key
    reason: str
    intended: int | None = None
    low: int | None = None
    high: int | None = None


def _calibration(stimuli: StimulusSet, stream: Stream) -> list[_Planned]:
    return [
        _Planned("calibration", key, f"an example of the score {score}", intended=score)
        for key, score in stream.shuffle(list(stimuli.calibration))
    ]


def _warm_up(stimuli: StimulusSet, stream: Stream) -> list[_Planned]:
    images = stream.shuffle(list(stimuli.warm_up))
    turns = stream.shuffle(list(range(len(images[0])))) if images else []
    return [
        _Planned("warm-up", versions[turns[i % len(turns)]], "practice that doesn't count")
        for i, versions in enumerate(images)
    ]


def showings(
    scene_of: Mapping[tuple[str, str], str],
    votes: Sequence[Key],
    repeats: Sequence[tuple[Key, int, int]],
    gold: Sequence[Key],
) -> list[Showing]:
    """Every showing of the rating part, in no order yet. `scene_of`: by data set and image."""
    apart = {key: distance for key, _, distance in repeats}
    again = [key for key, times, _ in repeats for _ in range(times)]
    return [
        Showing(key, scene_of[key[:2]], is_gold, apart.get(key, 1))
        for keys, is_gold in ((votes, False), (again, False), (gold, True))
        for key in keys
    ]


def _rating(
    design: StudyDesign,
    manifest: Manifest,
    stimuli: StimulusSet,
    votes: Sequence[Key],
    repeats: Sequence[tuple[Key, int, int]],
    stream: Stream,
) -> list[_Planned]:
    scenes = {(item.dataset, item.image): item.scene for item in manifest.stimuli}
    gold = [key for key, _, _ in stimuli.gold]
    row = presentation_order(
        showings(scenes, votes, repeats, gold),
        design.order.scene_distance,
        design.order.methods_alternate,
        stream,
    )
    return _named(design, stimuli, row)


def _named(design: StudyDesign, stimuli: StimulusSet, row: Sequence[Showing]) -> list[_Planned]:
    """The first showing of a stimulus that isn't gold is the vote; all others are repeats."""
    ranges: dict[Key, list[tuple[int, int]]] = {}
    for key, low, high in stimuli.gold:
        ranges.setdefault(key, []).append((low, high))
    before = len(stimuli.calibration) + len(stimuli.warm_up)
    total = len(stimuli.voted)
    why = f"one of the {total} stimuli that every rater sees"
    if design.subset is not None and design.subset < total:
        why = f"one of the {design.subset} of {total} stimuli that this slot sees"
    first: dict[Key, int] = {}
    seen: dict[Key, int] = {}
    planned = []
    for position, showing in enumerate(row, before + 1):
        key = showing.key
        if showing.gold:
            low, high = ranges[key].pop()
            reason = f"a check: a score from {low} to {high} passes"
            planned.append(_Planned("gold", key, reason, low=low, high=high))
        elif key in first:
            seen[key] += 1
            which = _ORDINALS.get(seen[key], f"{seen[key]}th")
            reason = f"{which} showing of position {first[key]}"
            planned.append(_Planned("repeat", key, reason))
        else:
            first[key], seen[key] = position, 1
            planned.append(_Planned("vote", key, why))
    return planned


def _numbered(
    design: StudyDesign, manifest: Manifest, planned: Sequence[_Planned]
) -> Iterator[Item]:
    rated = 0
    for position, item in enumerate(planned, 1):
        stimulus = manifest.by_key[item.key]
        if item.kind in RATING:
            rated += 1
        in_sitting = design.sittings.items
        yield Item(
            position=position,
            sitting=1 + max(rated - 1, 0) // in_sitting if in_sitting else 1,
            kind=item.kind,
            dataset=stimulus.dataset,
            image=stimulus.image,
            scene=stimulus.scene,
            method=stimulus.method,
            stimulus_sha256=stimulus.sha256,
            reason=item.reason,
            intended=item.intended,
            low=item.low,
            high=item.high,
        )
