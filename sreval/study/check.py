"""Whether a design can be met, and what it asks of a rater, before anyone sits down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from sreval.study.acceptance import weak_rules
from sreval.study.allot import period, repeats_of, subset_problem, windows
from sreval.study.attainable import Attainable, attainable
from sreval.study.deal import deal
from sreval.study.design import StudyDesign
from sreval.study.manifest import Key, Manifest
from sreval.study.parts import Parts, Pool, Problem, parts_of, pool_of
from sreval.study.plan import RATING, ItemKind, showings
from sreval.study.pools import AtHand, at_hand


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

    problems: tuple[Problem, ...]
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
    design: StudyDesign, manifest: Manifest | None, found: AtHand | None = None
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
        pool, has = pool_of(manifest), manifest.by_key.__contains__
    else:
        found = found or at_hand(design)
        pool, has = found.pool, found.has
    parts = parts_of(design, pool)
    missing = tuple(key for key in parts.shown if not has(key))
    problems = [*parts.problems, *_of_rules(design)]
    tests: tuple[Attainable, ...] = ()
    if not parts.problems:
        problems += _of_slots(design, parts, pool)
        tests = () if subset_problem(design, parts) else attainable(design, parts)
    hopeless = [found for found in tests if found.hopeless]
    problems += [Problem("analysis", h.note, h.remedy) for h in hopeless if h.planned]
    notes = [f"{h.note}. {h.remedy}" for h in hopeless if not h.planned]
    counts = _counts(design, parts)
    return Feasibility(
        problems=tuple(problems),
        missing=missing,
        notes=(*_notes(design, parts, pool), *notes),
        counts=counts,
        exposures=_exposures(design, parts),
        sittings=tuple(_sittings(design, counts)),
        tests=tests,
    )


def _of_rules(design: StudyDesign) -> Iterator[Problem]:
    has = {"gold": design.gold, "repeats": design.repeats}
    for number, rule in enumerate(design.acceptance):
        if rule.kind in has and not has[rule.kind]:
            what = f"the rule {rule.kind!r} has nothing to judge by"
            remedy = f"Add [[{rule.kind}]] to the design, or remove the rule."
            yield Problem(f"acceptance.{number}", what, remedy)


def _of_slots(design: StudyDesign, parts: Parts, pool: Pool) -> list[Problem]:
    too_large = subset_problem(design, parts)
    if too_large:
        return [too_large]
    scene_of = {(name, image): scene for name in pool for image, scene in pool[name].items()}
    gold = [key for key, _, _ in parts.gold]
    slots = range(min(design.raters, period(design, parts)))
    for votes in windows(design, parts, slots):
        repeats, problems = repeats_of(design, votes)
        if problems:
            return problems
        row = showings(scene_of, votes, repeats, gold)
        _, problem = deal(row, design.order.scene_distance)
        if problem:
            return [problem]
    return []


def _counts(design: StudyDesign, parts: Parts) -> dict[ItemKind, int]:
    total = len(parts.stimuli)
    return {
        "calibration": len(parts.calibration),
        "warm-up": len(parts.warm_up),
        "vote": min(design.subset or total, total),
        "repeat": sum(repeat.images * repeat.times for repeat in design.repeats),
        "gold": len(parts.gold),
    }


def _exposures(design: StudyDesign, parts: Parts) -> tuple[int, int]:
    total = len(parts.stimuli)
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


def _notes(design: StudyDesign, parts: Parts, pool: Pool) -> Iterator[str]:
    least, most = _exposures(design, parts)
    if least < most:
        full = period(design, parts)
        yield (
            f"{design.raters} raters give some stimuli {most} votes and others {least}; "
            f"a multiple of {full} raters would give every stimulus the same number."
        )
    methods = Counter(key[2] for key in parts.stimuli)
    for method, count in methods.most_common(1):
        if design.order.methods_alternate and 2 * count > len(parts.stimuli):
            yield f"More than half of all stimuli are of {method}, so it will follow itself."
    rated = {pool[dataset][image] for dataset, image, _ in parts.stimuli}
    shown = [key for key, _ in parts.calibration]
    if any(pool[dataset][image] in rated for dataset, image, _ in shown):
        yield "The calibration shows scenes that are rated afterwards."
    yield from weak_rules(design, _counts(design, parts))
    every, each = design.sittings.break_every, design.sittings.items
    counts = _counts(design, parts)
    rated_items = sum(counts[kind] for kind in RATING)
    last = rated_items % each if each else 0
    if 0 < last < each / 2 < rated_items / 2:
        sittings = rated_items // each + 1
        even = -(-rated_items // sittings)
        yield f"The last sitting has only {last} items; {even} per sitting would make all equal."
    if every and not any(sitting.breaks for sitting in _sittings(design, counts)):
        yield f"There will be no break: break_every is {every}, and no sitting has more items."
