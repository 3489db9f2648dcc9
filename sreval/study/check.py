"""Whether a design can be met, and what it asks of a rater, before anyone sits down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sreval.study.acceptance import Acceptance
from sreval.study.attainable import Attainable, attainable
from sreval.study.design import RATING, ItemKind, StudyDesign
from sreval.study.exposure import (
    Scenes,
    StimulusSet,
    repeats_of,
    scenes_of,
    seen_in,
    slot_period,
    stimulus_set,
    unmet_subset,
)
from sreval.study.manifest import Key, Manifest
from sreval.study.plan import showings
from sreval.study.presentation import Unmet, feasible_order
from sreval.study.sources import Available, available


@dataclass(frozen=True)
class Sitting:
    """One sitting of one rater: its items, the breaks in it, and the minutes it takes in all."""

    items: int
    breaks: int
    minutes: float


@dataclass(frozen=True)
class Feasibility:
    """What `check` found.

    `problems` forbid the study; `missing` are the stimuli that are not on this machine; `notes`
    say what the design gives that its author may not have meant. `counts` are the items of one
    rater by kind, `exposures` the least and most votes that a stimulus gets from all raters.
    `tests` say what the planned analysis could show on each data set; empty if there are problems.
    """

    problems: tuple[Unmet, ...]
    missing: tuple[Key, ...]
    notes: tuple[str, ...]
    counts: Mapping[ItemKind, int]
    exposures: tuple[int, int]
    sittings: tuple[Sitting, ...]
    tests: tuple[Attainable, ...]

    @property
    def minutes(self) -> float:
        """How long one rater's sittings take in all, breaks within a sitting included."""
        return sum(sitting.minutes for sitting in self.sittings)

    @property
    def missing_methods(self) -> Mapping[tuple[str, str], int]:
        """How many images are missing of each (data set, method)."""
        return Counter((dataset, method) for dataset, _, method in self.missing)


def check(
    design: StudyDesign, manifest: Manifest | None, found: Available | None = None
) -> Feasibility:
    """Prove that every rater of the design can be given a plan, or say what prevents it.

    Every slot of `design.raters` is tried by the functions that `make_plan` uses. A comparison
    that the design names, and that no outcome could make significant, is a problem as well;
    where all pairs are compared because it names none, that is a note. Without a
    manifest the study isn't frozen, and `found` says what freezing would find (None: look on
    this machine). Raises nothing.
    """
    has: Callable[[Key], bool]
    if manifest:
        scenes, has = scenes_of(manifest), manifest.by_key.__contains__
    else:
        found = found or available(design)
        scenes, has = found.scenes, found.has
    stimuli = stimulus_set(design, scenes)
    missing = tuple(key for key in stimuli.shown if not has(key))
    problems = [*stimuli.unmet, *_of_rules(design)]
    tests: tuple[Attainable, ...] = ()
    if not stimuli.unmet:
        problems += _of_slots(design, stimuli, scenes)
        tests = () if unmet_subset(design, stimuli) else attainable(design, stimuli)
    hopeless = [found for found in tests if found.hopeless]
    problems += [Unmet("analysis", h.note, h.remedy) for h in hopeless if h.planned]
    notes = [f"{h.note}. {h.remedy}" for h in hopeless if not h.planned]
    counts = _counts(design, stimuli)
    return Feasibility(
        problems=tuple(problems),
        missing=missing,
        notes=(*_notes(design, stimuli, scenes), *notes),
        counts=counts,
        exposures=_exposures(design, stimuli),
        sittings=tuple(_sittings(design, counts)),
        tests=tests,
    )


def _of_rules(design: StudyDesign) -> Iterator[Unmet]:
    has = {"gold": design.gold, "repeats": design.repeats}
    for number, rule in enumerate(design.acceptance):
        if rule.kind in has and not has[rule.kind]:
            what = f"the rule {rule.kind!r} has nothing to judge by"
            remedy = f"Add [[{rule.kind}]] to the design, or remove the rule."
            yield Unmet(f"acceptance.{number}", what, remedy)


def _of_slots(design: StudyDesign, stimuli: StimulusSet, scenes: Scenes) -> list[Unmet]:
    too_large = unmet_subset(design, stimuli)
    if too_large:
        return [too_large]
    scene_of = {(name, image): scene for name in scenes for image, scene in scenes[name].items()}
    gold = [key for key, _, _ in stimuli.gold]
    slots = range(min(design.raters, slot_period(design, stimuli)))
    for votes in seen_in(design, stimuli, slots):
        repeats, not_repeated = repeats_of(design, votes)
        if not_repeated:
            return not_repeated
        row = showings(scene_of, votes, repeats, gold)
        _, unmet = feasible_order(row, design.order.scene_distance)
        if unmet:
            return [unmet]
    return []


def _counts(design: StudyDesign, stimuli: StimulusSet) -> dict[ItemKind, int]:
    before: dict[ItemKind, int] = {
        "calibration": len(stimuli.calibration),
        "warm-up": len(stimuli.warm_up),
    }
    rating = design.rating_items(len(stimuli.voted))
    return before | rating | {"gold": len(stimuli.gold)}


def _exposures(design: StudyDesign, stimuli: StimulusSet) -> tuple[int, int]:
    total = len(stimuli.voted)
    votes = design.raters * min(design.subset or total, total)
    return (votes // total, -(-votes // total)) if total else (0, 0)


def _sittings(design: StudyDesign, counts: Mapping[ItemKind, int]) -> Iterator[Sitting]:
    rated = sum(counts[kind] for kind in RATING)
    before = sum(counts.values()) - rated
    each = design.sittings.items or max(rated, 1)
    every = design.sittings.break_every
    for start in range(0, max(rated, 1), each):
        items = min(each, rated - start) + (0 if start else before)
        breaks = max(items - 1, 0) // every if every else 0
        seconds = items * design.viewing.seconds_an_item + breaks * design.sittings.break_seconds
        yield Sitting(items, breaks, seconds / 60)


def _notes(design: StudyDesign, stimuli: StimulusSet, scenes: Scenes) -> Iterator[str]:
    least, most = _exposures(design, stimuli)
    if least < most:
        full = slot_period(design, stimuli)
        yield (
            f"{design.raters} raters give some stimuli {most} votes and others {least}; "
            f"a multiple of {full} raters would give every stimulus the same number."
        )
    methods = Counter(key[2] for key in stimuli.voted)
    for method, count in methods.most_common(1):
        if design.order.methods_alternate and 2 * count > len(stimuli.voted):
            yield f"More than half of all stimuli are of {method}, so it will follow itself."
    rated = {scenes[dataset][image] for dataset, image, _ in stimuli.voted}
    shown = [key for key, _ in stimuli.calibration]
    if any(scenes[dataset][image] in rated for dataset, image, _ in shown):
        yield "The calibration shows scenes that are rated afterwards."
    yield from Acceptance(design).weak_rules(_counts(design, stimuli))
    every, each = design.sittings.break_every, design.sittings.items
    counts = _counts(design, stimuli)
    rated_items = sum(counts[kind] for kind in RATING)
    last = rated_items % each if each else 0
    if 0 < last < each / 2 < rated_items / 2:
        sittings = rated_items // each + 1
        even = -(-rated_items // sittings)
        yield f"The last sitting has only {last} items; {even} per sitting would make all equal."
    if every and not any(sitting.breaks for sitting in _sittings(design, counts)):
        yield f"There will be no break: break_every is {every}, and no sitting has more items."
