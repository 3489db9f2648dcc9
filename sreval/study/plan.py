"""A rater's plan: every item in its order, made once from the study's seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sreval.errors import DataError
from sreval.study.design import RATING, ItemKind, StudyDesign
from sreval.study.exposure import Scenes, StimulusSet, sides
from sreval.study.manifest import Manifest, Trial, exchanged, pictures, unsided
from sreval.study.presentation import Showing, Stream, presentation_order
from sreval.study.task import LEFT, REFERENCE, RIGHT

if TYPE_CHECKING:
    import pandas as pd

ALGORITHM = 1
"""Changes whenever the same seed would give another plan; stored with every plan."""


@dataclass(frozen=True)
class Item:
    """One position of a plan, counted from 1 over all sittings.

    `method` and `stimulus_sha256` are of the picture that is judged; of a pair they are the left
    one's, and `right_method` and `right_sha256` the other's, else None. `reference_sha256` is the
    original's where it is in view, else None. `intended` is the score that a calibration item
    shows, else None; `low` and `high` are the range that a gold item passes, else None; of a pair
    both are the answer, also to practice with feedback. `reason` says in words why the
    item is shown here.
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


def make_plan(
    design: StudyDesign,
    manifest: Manifest,
    slot: int,
    rater: int,
    judged: pd.DataFrame | None = None,
) -> tuple[Item, ...]:
    """The plan of one rater: calibration, warm-up, then the rating part, of which every sitting
    opens with stabilising items where the design has them.

    `slot`, from 0, decides which stimuli are seen: slots are balanced against each other, and a
    rater who replaces a drop-out takes over the slot. `rater`, from 0 and never used
    twice, decides the order. The same arguments give the same plan on every machine. An active plan
    of pairs depends on the accepted judgements so far, too: `judged`, a row each, with the columns
    dataset, image, left, right, choice (left, right, tie).

    Of the rating part (votes, repeats, gold, same) these hold, across breaks and sittings:
    no scene comes twice within `order.scene_distance` positions; showings of a repeated stimulus
    lie `distance` apart; gold items are spread evenly; and with `order.methods_alternate` no two
    neighbours are of one method, or of one pair of methods, where that is feasible, i.e. unless
    more than half of all items are of one or no exchange of two items, with all distances kept,
    would lessen the number of such neighbours. With more than one picture in view, what goes
    before keeps the distance of scenes, too, as far as its images admit it.

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
    before = [_calibration(stimuli, stream), _warm_up(stimuli, stream)]
    planned = _rating(manifest, stimuli, votes_of(stimuli, slot, rater, judged), slot, stream)
    planned = _stabilised(stimuli, planned, manifest.scenes, rater)
    for part in reversed(before):
        # plans of single pictures stay as they were before there were others
        if len(design.task.places) > 1:
            part = _apart_from(planned, part, stimuli, manifest.scenes)
        planned = [*part, *planned]
    return tuple(_numbered(design, manifest, planned))


_ORDINALS = {2: "second", 3: "third"}


@dataclass(frozen=True)
class _Planned:
    """An item before it has a number."""

    kind: ItemKind
    trial: Trial
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
    design, why = stimuli.design, "practice that doesn't count"
    shown = _in_turns(stimuli.warm_up, design.task.pair, stream)
    if not (design.warm_up and design.warm_up.feedback):
        return [_Planned("warm-up", trial, why) for trial in shown]
    photograph = [LEFT if trial[2] == REFERENCE else RIGHT for trial in shown]
    return [
        _Planned("warm-up", trial, why, low=side, high=side)
        for trial, side in zip(shown, photograph, strict=True)
    ]


def _in_turns(trials_of: Sequence[tuple[Trial, ...]], pair: bool, stream: Stream) -> list[Trial]:
    """One trial of each image, whose methods, or pairs, take turns; a pair's sides by chance."""
    images = stream.shuffle(list(trials_of))
    turns = stream.shuffle(list(range(len(images[0])))) if images else []
    shown = [trials[turns[i % len(turns)]] for i, trials in enumerate(images)]
    return [exchanged(one) if pair and not stream.below(2) else one for one in shown]


def _stabilised(
    stimuli: StimulusSet, rating: Sequence[_Planned], scenes: Scenes, rater: int
) -> list[_Planned]:
    """The rating part with the items that open each of its sittings."""
    design, stream = stimuli.design, Stream(stimuli.design.seed, "stabilising", ALGORITHM, rater)
    each = design.sittings.items or max(len(rating), 1)
    planned: list[_Planned] = []
    for sitting, first in enumerate(range(0, len(rating), each)):
        part = rating[first : first + each]
        shown = _in_turns(stimuli.stabilising, design.task.pair, stream)
        opening = [
            _Planned("stabilising", trial, "it opens a sitting and doesn't count")
            for trial in shown[: design.stabilising_items(sitting)]
        ]
        planned += [*_apart_from(part, opening, stimuli, scenes), *part]
    return planned


def _apart_from(
    after: Sequence[_Planned], part: Sequence[_Planned], stimuli: StimulusSet, scenes: Scenes
) -> list[_Planned]:
    """What goes before, in an order that keeps the distance of scenes wherever they admit one.

    From its end on an item is taken whose scene isn't near, first one whose scene is left most
    often.
    """
    row, near = list(part), stimuli.design.order.scene_distance - 1
    if not near:
        return row

    def scene(item: _Planned) -> str:
        return scenes[item.trial[0]][item.trial[1]]

    following = list(map(scene, after[:near]))
    ordered: list[_Planned] = []
    while row:
        left = Counter(map(scene, row))
        item = max(row, key=lambda one: (scene(one) not in following[:near], left[scene(one)]))
        row.remove(item)
        ordered.insert(0, item)
        following.insert(0, scene(item))
    return ordered


def votes_of(
    stimuli: StimulusSet, slot: int, rater: int, judged: pd.DataFrame | None = None
) -> dict[Trial, str]:
    """What the rater votes on, and why. `judged` as in `make_plan`. The subset must fit."""
    design, total = stimuli.design, len(stimuli.voted)
    what = "pairs" if design.task.pair else "stimuli"
    if design.pairs.plan == "active":
        return _active(stimuli, rater, judged)
    why = f"one of the {total} {what} that every rater sees"
    if design.subset is not None and design.subset < total:
        why = f"one of the {design.subset} of {total} {what} that this slot sees"
    return dict.fromkeys(next(stimuli.seen_in([slot])), why)


def _active(stimuli: StimulusSet, rater: int, judged: pd.DataFrame | None) -> dict[Trial, str]:
    """The pairs that tell most, by what was judged so far, and why.

    Sides are as in a balanced plan, all exchanged where that evens out what was shown so far.
    """
    from sreval.opinions.pairs.active import choose  # pandas: no other plan needs it

    seed, count = stimuli.design.seed, stimuli.design.subset or len(stimuli.voted)
    trials = Stream(seed, "active", rater).shuffle(list(stimuli.voted))
    why = choose(trials, judged, count)
    row = sides(tuple(why), Stream(seed, "sides", rater))
    columns = [] if judged is None else [judged[c] for c in ("dataset", "image", "left", "right")]
    shown = Counter(zip(*columns, strict=True))
    if sum(shown[trial] - shown[exchanged(trial)] for trial in row) > 0:
        row = tuple(map(exchanged, row))
    reasons = {unsided(trial): reason for trial, reason in why.items()}
    return {trial: reasons[unsided(trial)] for trial in row}


def showings(
    stimuli: StimulusSet,
    scene_of: Mapping[tuple[str, str], str],
    votes: Iterable[Trial],
    repeats: Sequence[tuple[Trial, int, int]],
) -> list[Showing]:
    """Every showing of the rating part, in no order yet. `scene_of`: by data set and image."""
    apart = {unsided(trial): distance for trial, _, distance in repeats}
    again = [trial for trial, times, _ in repeats for _ in range(times)]
    gold = [trial for trial, _, _ in stimuli.gold]
    return [
        Showing(unsided(trial), scene_of[trial[0], trial[1]], is_gold, apart.get(unsided(trial), 1))
        for trials, is_gold in ((votes, False), (again, False), (stimuli.same, False), (gold, True))
        for trial in trials
    ]


def _rating(
    manifest: Manifest,
    stimuli: StimulusSet,
    votes: Mapping[Trial, str],
    slot: int,
    stream: Stream,
) -> list[_Planned]:
    repeats, not_repeated = stimuli.repeats_of(tuple(votes))
    for unmet in not_repeated:
        raise unmet.error()
    scenes = {(item.dataset, item.image): item.scene for item in manifest.stimuli}
    order = stimuli.design.order
    row = presentation_order(
        showings(stimuli, scenes, votes, repeats),
        order.scene_distance,
        order.methods_alternate,
        stream,
    )
    return _named(stimuli, row, votes, slot)


def _named(
    stimuli: StimulusSet, row: Sequence[Showing], votes: Mapping[Trial, str], slot: int
) -> list[_Planned]:
    """The first showing of a trial that isn't gold is the vote; all others are repeats.

    Each has its sides exchanged against the one before.
    """
    checks: dict[Trial, list[_Planned]] = {}
    for item in _gold(stimuli, slot):
        checks.setdefault(unsided(item.trial), []).append(item)
    sided = {unsided(trial): trial for trial in votes}
    before = len(stimuli.calibration) + len(stimuli.warm_up)
    each = stimuli.design.sittings.items or max(len(row), 1)
    first: dict[Trial, int] = {}
    seen: dict[Trial, int] = {}
    planned = []
    for number, showing in enumerate(row):
        if number % each == 0:
            before += stimuli.design.stabilising_items(number // each)
        key, position = showing.key, before + number + 1
        if showing.gold:
            planned.append(checks[key].pop())
        elif key not in sided:
            planned.append(_Planned("same", key, "two identical pictures: no side is better"))
        elif key in first:
            seen[key] += 1
            which = _ORDINALS.get(seen[key], f"{seen[key]}th")
            reason = f"{which} showing of position {first[key]}"
            trial = sided[key] if seen[key] % 2 else exchanged(sided[key])
            planned.append(_Planned("repeat", trial, reason))
        else:
            first[key], seen[key] = position, 1
            planned.append(_Planned("vote", sided[key], votes[sided[key]]))
    return planned


def _gold(stimuli: StimulusSet, slot: int) -> Iterator[_Planned]:
    """The items with a known answer; of pairs every other one with its sides exchanged."""
    if not stimuli.design.task.pair:
        for trial, low, high in stimuli.gold:
            reason = f"a check: a score from {low} to {high} passes"
            yield _Planned("gold", trial, reason, low=low, high=high)
        return
    stream = Stream(stimuli.design.seed, "gold sides", slot // 2)
    for place, (trial, side, _) in enumerate(stream.shuffle(list(stimuli.gold)), stream.below(2)):
        better, other = trial[2:]
        reason = f"a check: {better} is the better one, {other} the other"
        if (place + slot) % 2:
            trial, side = exchanged(trial), -side
        yield _Planned("gold", trial, reason, low=side, high=side)


def _numbered(
    design: StudyDesign, manifest: Manifest, planned: Sequence[_Planned]
) -> Iterator[Item]:
    rated, in_view = 0, design.task.shows_reference
    for position, item in enumerate(planned, 1):
        stimulus, *right = (manifest.by_key[key] for key in pictures(item.trial))
        reference = manifest.by_key.get((*stimulus.key[:2], REFERENCE))
        if item.kind in RATING:
            rated += 1
        in_sitting = design.sittings.items
        ended = rated if item.kind == "stabilising" else max(rated - 1, 0)
        yield Item(
            position=position,
            sitting=1 + ended // in_sitting if in_sitting else 1,
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
            right_method=right[0].method if right else None,
            right_sha256=right[0].sha256 if right else None,
            reference_sha256=reference.sha256 if reference and in_view else None,
        )
