"""Whether a design can be met, what it asks of a rater, and what its tests could show at most.

All of it is known before anyone sits down. The most favourable outcome of a test is that every unit
puts the methods in one order. A comparison that isn't significant even then can't be: votes would
be cast for nothing.
"""

from __future__ import annotations

import bisect
import difflib
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pandas as pd

from sreval import content
from sreval.config import line_of
from sreval.errors import SrevalError, counted, listed, shown, suggestion
from sreval.frames import unit_name, unit_of
from sreval.opinions.comparison import best_outcome, least_p, least_units
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.significance import Verdict
from sreval.opinions.units import ENOUGH_FOR_BOTH, Unit, unit_names
from sreval.study.acceptance import Acceptance
from sreval.study.design import RATING, Analysis, ItemKind, StudyDesign
from sreval.study.exposure import Drawn, Scenes, StimulusSet, versions
from sreval.study.manifest import Key, Manifest, Trial
from sreval.study.markdown import shown_as_typed
from sreval.study.panel import filled
from sreval.study.plan import showings, votes_of
from sreval.study.presentation import Unmet, feasible_order
from sreval.study.sources import COMPUTED, Available, available
from sreval.study.task import DEGRADATION, Task
from sreval.study.texts import IMPAIRMENT, QUALITY, Published

_CONTROLS = 260
"""Device pixels of a screen's height that the page's controls and the browser's bars take, about:
188 are the page's own (web/static/rater.css, ``--head`` and ``--strip`` of a wide window)."""
_MOST_RATERS = 1000
"""How many raters are tried as a remedy."""


@dataclass(frozen=True)
class Attainable:
    """The comparisons of one data set, and those that no outcome could make significant.

    Each is on as many units as see both of its methods on one image: on raters, images, or the
    sequences of images that are frames, as `unit` says; where it is two of these, `n` is the
    smaller number, and `least_p` 0 for tests that can be made, else None. `tests` of the
    `comparisons` can be made, as some unit does. `n` and `least_p` are of the pair with the most
    units among the `hopeless`, of the pair with the fewest where none is; `least_p_adjusted` is
    that p among all tests, None for a pair that can't be tested. `planned`: the design names its
    comparisons. Each of the `remedies` would do alone. Where looks are planned, a comparison is
    hopeless that no look could find, and its `n` and p are those of the look that is nearest to
    it, the p adjusted for the looks until then; `idle_looks` are those, after so many raters,
    that could find nothing.
    """

    dataset: str
    unit: str
    comparisons: int
    tests: int
    correction: str
    alpha: float
    planned: bool
    n: int
    least_p: float | None
    least_p_adjusted: float | None
    hopeless: tuple[tuple[str, str], ...]
    remedies: tuple[str, ...]
    looks: tuple[int, ...]
    idle_looks: tuple[int, ...]

    @property
    def over(self) -> str:
        """What the tests are over, and how many."""
        first, _, second = self.unit.partition(" and ")
        if second:
            return f"raters and {second}s, {self.n} of the fewer"
        return counted(self.n, first)

    @property
    def note(self) -> str:
        """What is hopeless and why, in a sentence without its full stop."""
        all_of = len(self.hopeless) == self.comparisons
        which = "" if all_of else f" for {listed([' and '.join(p) for p in self.hopeless])}"
        said = f"On {self.dataset} no outcome could be significant{which}: "
        if not self.n:
            return f"{said}no rater sees both methods on one image"
        if not self.least_p or self.least_p_adjusted is None:
            sources = self.unit.split(" and ")
            of_each = " of each" if len(sources) > 1 else ""
            return f"{said}{self.over}, and a test needs {_least(len(sources))}{of_each}"
        p = f"the least p on {self.over} is {self.least_p:.3g}"
        if self.tests > 1 and self.correction != "none":
            looks = " and the looks" if self.looks else ""
            p += f", adjusted for {self.tests} comparisons{looks} {self.least_p_adjusted:.3g}"
        elif self.looks:
            p += f", adjusted for the looks {self.least_p_adjusted:.3g}"
        return f"{said}{p}, and alpha is {self.alpha:g}"

    @property
    def idle_note(self) -> str:
        """Which looks could find nothing, and what to do; empty where there are none.

        Empty as well where all comparisons are hopeless, of which `note` tells.
        """
        if not self.idle_looks or len(self.idle_looks) == len(self.looks):
            return ""
        *before, last = self.idle_looks
        after = f"{', '.join(map(str, before))} and {last} raters" if before else ""
        which = "these looks" if before else "this look"
        return (
            f"On {self.dataset} no outcome could be significant after "
            f"{after or counted(last, 'rater')}. Leave {which} out of analysis.looks."
        )

    @property
    def remedy(self) -> str:
        """The remedies in a sentence."""
        said = ", or ".join(self.remedies)
        return f"{said[:1].upper()}{said[1:]}."


def attainable(stimuli: StimulusSet) -> tuple[Attainable, ...]:
    """What the planned analysis could show on each data set where it compares methods.

    Every rater is taken to rate all of the plan. The subset must fit (`StimulusSet.unmet_subset`).
    Empty where groups of raters rate different things: no test is over all of them.
    """
    if not stimuli.design.groups_rate_alike:
        return ()
    on = _on_pairs if stimuli.design.task.pair else _on
    return tuple(
        on(stimuli, dataset)
        for dataset, keys in stimuli.rated.items()
        if keys and stimuli.design.comparisons_on(dataset)
    )


def _least(sources: int) -> int:
    """How many raters, or images, a test needs that knows no least p; of both, how many of each."""
    return ENOUGH_FOR_BOTH if sources > 1 else LEAST_UNITS


def _on_pairs(stimuli: StimulusSet, dataset: str) -> Attainable:
    """Of paired comparisons: raters, and images, that agree can be as sure as there are judgements.

    A test needs three units, or five of both, and no more: scale values come from all judgements.
    """
    design, analysis = stimuli.design, stimuli.design.analysis
    pairs, images = design.comparisons_on(dataset), [key[1] for key in stimuli.rated[dataset]]
    what, unit = unit_name(images), design.unit_on(images).unit
    there = {"rater": design.raters, what: len(set(map(unit_of, images)))}
    names = tuple(unit_names(unit, what))
    least = _least(len(names))
    few = [name for name in names if there[name] < least]
    more = {"rater": f"set raters to {least} or more", what: f"rate {least} {what}s or more"}
    return Attainable(
        dataset=dataset,
        unit=" and ".join(names),
        comparisons=len(pairs),
        tests=0 if few else len(pairs),
        correction=analysis.correction,
        alpha=analysis.alpha,
        planned=bool(analysis.comparisons),
        n=min(there[name] for name in names),
        least_p=None if few else 0.0,
        least_p_adjusted=None if few else 0.0,
        hopeless=pairs if few else (),
        remedies=(" and ".join(more[name] for name in few),) if few else (),
        looks=(),
        idle_looks=(),
    )


def _on(stimuli: StimulusSet, dataset: str) -> Attainable:
    design, analysis = stimuli.design, stimuli.design.analysis
    pairs, images = design.comparisons_on(dataset), [key[1] for key in stimuli.rated[dataset]]
    unit = design.unit_on(images).unit
    seen = _seen(stimuli, dataset, design.raters, unit)
    best = _best(seen, unit, design.raters, analysis)
    units, verdicts = ([getattr(one, name) for one in best.pairs] for name in ("n", "verdict"))
    places = range(len(units))
    small = [i for i in places if verdicts[i].too_small]
    told = max(small, key=units.__getitem__) if small else min(places, key=units.__getitem__)
    return Attainable(
        dataset=dataset,
        unit=" and ".join(unit_names(unit, unit_name(images))),
        comparisons=len(units),
        tests=sum(not math.isnan(verdict.least_p_adjusted) for verdict in verdicts),
        correction=analysis.correction,
        alpha=analysis.alpha,
        planned=bool(analysis.comparisons),
        n=units[told],
        least_p=_known(least_p(unit, units[told])),
        least_p_adjusted=_known(verdicts[told].least_p_adjusted),
        hopeless=tuple(pairs[i] for i in small),
        remedies=tuple(_remedies(stimuli, dataset, unit, units)) if small else (),
        looks=analysis.looks,
        idle_looks=best.idle if analysis.looks else (),
    )


def _known(p: float) -> float | None:
    return None if math.isnan(p) else p


@dataclass(frozen=True)
class _Seen:
    """Which units see both methods of a pair on one image.

    Of the unit "both" on whatever images, and from whichever raters, where less than half of what
    raters see of two methods is both on one image (`crossed.rated_together`).

    `by_slot`, (slots, pairs): whether the slot does on any image; `since`, (images, pairs), or
    (sequences, pairs) of frames: the first slot that does on this one, or as many as there are
    slots. Slots stand for all that come again after them, or for no more raters than they are.
    """

    by_slot: npt.NDArray[np.bool_]
    since: npt.NDArray[np.intp]

    def units(self, unit: Unit, raters: int) -> list[int]:
        """How many units each pair has when so many raters have rated; of both, the smaller."""
        if unit == "both":
            sides = zip(self.units("rater", raters), self.units("image", raters), strict=True)
            return list(map(min, sides))
        if unit == "image":
            return [int(n) for n in (self.since < min(raters, len(self.by_slot))).sum(axis=0)]
        rounds, rest = divmod(raters, len(self.by_slot))
        counts = rounds * self.by_slot.sum(axis=0) + self.by_slot[:rest].sum(axis=0)
        return [int(n) for n in counts]


def _seen(stimuli: StimulusSet, dataset: str, slots: int, unit: Unit) -> _Seen:
    design, keys = stimuli.design, stimuli.rated[dataset]
    pairs = design.comparisons_on(dataset)
    images = {image: n for n, image in enumerate(dict.fromkeys(key[1] for key in keys))}
    if design.subset is None:
        once = len(set(map(unit_of, images)))
        return _Seen(np.ones((1, len(pairs)), bool), np.zeros((once, len(pairs)), np.intp))
    slots = min(slots, stimuli.slot_period)
    methods = {name: n for n, name in enumerate(design.images.methods_of(dataset))}
    first, second = ([methods[name] for name in side] for side in zip(*pairs, strict=True))
    rated = np.zeros((slots, len(images), len(methods)), bool)
    for slot, votes in enumerate(stimuli.seen_in(range(slots))):
        for name, image, method in votes:
            if name == dataset:
                rated[slot, images[image], methods[method]] = True
    by_slot = np.zeros((slots, len(pairs)), bool)
    since = np.full((len(images), len(pairs)), slots, np.intp)
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        sides = rated[:, :, a], rated[:, :, b]
        both = sides[0] & sides[1]
        if unit != "both" or 2 * both.sum() >= (sides[0] | sides[1]).sum():
            sides = both, both
        by_slot[:, pair] = sides[0].any(axis=1) & sides[1].any(axis=1)
        since[:, pair] = np.maximum(*(_first(side, slots) for side in sides))
    parts = pd.DataFrame(since).groupby([unit_of(image) for image in images], sort=False)
    return _Seen(by_slot, parts.min().to_numpy())


def _first(seen: npt.NDArray[np.bool_], slots: int) -> npt.NDArray[np.intp]:
    """The first slot, of (slots, images), that sees each image; as many as there are if none."""
    return np.where(seen.any(axis=0), seen.argmax(axis=0), slots)


@dataclass(frozen=True)
class _Nearest:
    """The best outcome of one comparison at the look that is nearest to finding it."""

    n: int
    verdict: Verdict


@dataclass(frozen=True)
class _Best:
    """The best outcomes of all comparisons, and the looks that could find none of them."""

    pairs: list[_Nearest]
    idle: tuple[int, ...]

    @property
    def does(self) -> bool:
        """Whether every comparison could be found."""
        return not any(pair.verdict.too_small for pair in self.pairs)


def _best(seen: _Seen, unit: Unit, raters: int, analysis: Analysis) -> _Best:
    """What so many raters could show, the last look after all of them."""
    looks = [*(n for n in analysis.looks[:-1] if n < raters), raters]
    found: list[list[_Nearest]] = []
    for place, look in enumerate(looks):
        units = seen.units(unit, look)
        shares = [n / raters for n in looks[: place + 1]]
        verdicts = best_outcome(
            units, analysis.correction, analysis.alpha, unit,
            shares=shares, spending=analysis.spending,
        )  # fmt: skip
        found.append(list(map(_Nearest, units, verdicts)))

    def far(nearest: _Nearest) -> float:
        p = nearest.verdict.least_p_adjusted
        return math.inf if math.isnan(p) else p

    return _Best(
        [min(reversed(pair), key=far) for pair in zip(*found, strict=True)],
        tuple(
            look
            for look, pairs in zip(looks, found, strict=True)
            if all(pair.verdict.too_small for pair in pairs)
        ),
    )


def _remedies(
    stimuli: StimulusSet, dataset: str, unit: Unit, units: Sequence[int]
) -> Iterator[str]:
    """Changes of the design that would each do alone: unit, raters or images, comparisons."""
    design, analysis, raters = stimuli.design, stimuli.design.analysis, stimuli.design.raters

    def does(seen: _Seen, unit: Unit, raters: int, analysis: Analysis = analysis) -> bool:
        return _best(seen, unit, raters, analysis).does

    def all_see(images: int, pairs: int) -> _Seen:
        return _Seen(np.ones((1, pairs), bool), np.zeros((images, pairs), np.intp))

    if unit == "both":
        needed = least_units(len(units), analysis.correction, analysis.alpha, unit)
    elif unit == "image":
        needed = next(n for n in itertools.count(1) if does(all_see(n, len(units)), unit, raters))
    else:
        needed = next(n for n in itertools.count(raters) if does(all_see(1, len(units)), unit, n))
    of_plan = partial(_seen, stimuli, dataset, max(raters, _MOST_RATERS))
    seen = of_plan(unit)
    unlimited = design.model_copy(update={"subset": None})
    whole = _seen(replace(stimuli, design=unlimited), dataset, 1, unit)
    others: tuple[Unit, ...] = ("both", "rater", "image")
    other = next((one for one in others if one != unit and does(of_plan(one), one, raters)), None)
    if other:
        yield f'set analysis.unit to "{other}"'
    again = design.subset is None or len(seen.by_slot) == stimuli.slot_period
    most = max(_MOST_RATERS, needed) if again else len(seen.by_slot)
    # more raters make a comparison easier to find, the looks before the last being what they are
    enough = raters + bisect.bisect_left(
        range(raters, most + 1), True, key=lambda count: does(seen, unit, count)
    )
    last = "raters and the last of analysis.looks" if analysis.looks else "raters"
    what = unit_name(key[1] for key in stimuli.rated[dataset])
    more = " and ".join(
        said
        for name, there, said in (
            ("rater", raters, f"set {last} to {needed} or more"),
            (
                "image",
                len(whole.since),
                f"rate {needed} {what}s or more in place of {len(whole.since)}",
            ),
        )
        if unit == name or (unit == "both" and there < needed)
    )
    if enough <= most:
        yield f"set {last} to {enough} or more"
    elif design.subset is None:
        yield more
    else:
        alone = does(whole, unit, raters)
        yield "leave subset out" if alone else f"leave subset out and {more}"
    if analysis.looks and does(seen, unit, raters, analysis.model_copy(update={"looks": ()})):
        yield "leave analysis.looks out"
    if any(len(set(seen.units(unit, n))) > 1 for n in (*analysis.looks, raters)):
        return
    fewer = [
        m
        for m in range(1, len(units))
        if does(_Seen(seen.by_slot[:, :m], seen.since[:, :m]), unit, raters)
    ]
    if fewer:
        some = "a single comparison" if fewer[-1] == 1 else f"at most {fewer[-1]} comparisons"
        yield f"name {some} in analysis.comparisons"


@dataclass(frozen=True)
class Sitting:
    """One sitting of one rater: its items, the breaks in it, and the minutes it takes in all."""

    items: int
    breaks: int
    minutes: float


@dataclass(frozen=True)
class GroupPlan:
    """What a rater of one group is asked for: items by kind, and sittings."""

    name: str
    raters: int
    counts: Mapping[ItemKind, int]
    sittings: tuple[Sitting, ...]

    @property
    def items(self) -> int:
        """How many items a rater has in all."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Feasibility:
    """What `check` found.

    `problems` forbid the study; `missing` are the stimuli that are not on this machine; `notes`
    say what the design gives that its author may not have meant. `counts` are the items of one
    rater by kind, and `sittings` theirs, in a design with groups of the group that has most items;
    `groups` has those of each. `exposures` the least and most votes that a stimulus gets from all
    raters.
    `tests` say what the planned analysis could show on each data set; empty if there are problems.
    """

    problems: tuple[Unmet, ...]
    missing: tuple[Key, ...]
    notes: tuple[str, ...]
    counts: Mapping[ItemKind, int]
    exposures: tuple[int, int]
    sittings: tuple[Sitting, ...]
    tests: tuple[Attainable, ...]
    groups: tuple[GroupPlan, ...]

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
        scenes, has = manifest.scenes, manifest.by_key.__contains__
        held = {stimulus.method for stimulus in manifest.stimuli}
    else:
        found = found or available(design)
        scenes, has, held = found.scenes, found.has, {key[2] for key in found.scored}
    stimuli = StimulusSet.of(design, scenes, found.unopened if found else {})
    missing = tuple(key for key in stimuli.shown if not has(key))
    problems = [*_of_languages(design), *_of_forms(design), *stimuli.unmet, *_of_rules(design)]
    problems += unfit(stimuli, manifest) if manifest else []
    known = {*COMPUTED, *content.names("models"), *held}
    problems += _of_unknown_methods(design, missing, known)
    if missing:
        here = found or _here(design)
        problems += here.unmet(missing)
        missing = tuple(key for key in missing if not here.unmet([key]))
    tests: tuple[Attainable, ...] = ()
    of_groups = {
        name: StimulusSet.of(own, scenes) if name else stimuli
        for name, own in design.by_group.items()
    }
    if not stimuli.unmet:
        for number, (name, own) in enumerate(of_groups.items()):
            problems += [_of_group(name, number, unmet) for unmet in _of_slots(own, scenes)]
        tests = () if stimuli.unmet_subset else attainable(stimuli)
    hopeless = [found for found in tests if found.hopeless]
    problems += [Unmet("analysis", h.note, h.remedy) for h in hopeless if h.planned]
    notes = [f"{h.note}. {h.remedy}" for h in hopeless if not h.planned]
    notes += [found.idle_note for found in tests if found.idle_note]
    if not design.groups_rate_alike:
        problems += _of_comparisons_between_groups(design)
        notes.append(
            "The groups rate different things. What the tests could show isn't told, and no power: "
            "means of methods that different groups rate are of different raters."
        )
    plans = [
        GroupPlan(name, own.design.raters, counts, tuple(_sittings(own.design, counts)))
        for name, own in of_groups.items()
        for counts in [_counts(own)]
    ]
    most = max(plans, key=lambda plan: plan.items)
    counts = most.counts
    return Feasibility(
        problems=tuple(problems),
        missing=missing,
        notes=(
            *(found.notes if found else ()),
            *_misspelt(design, missing, known),
            *_of_texts(design),
            *_of_range(design),
            *_of_words(design),
            *_of_question(design),
            *_of_outcomes(design),
            *_of_health(design),
            *_of_quotas(design),
            *_notes_of(of_groups, scenes),
            *([] if manifest else _of_fit(design)),
            *notes,
        ),
        counts=counts,
        exposures=_exposures(list(of_groups.values())),
        sittings=most.sittings,
        tests=tests,
        groups=tuple(plans) if design.groups else (),
    )


def _of_group(name: str, number: int, unmet: Unmet) -> Unmet:
    """What a design can't show, as a problem of the group that it is of, if it is of one."""
    if not name:
        return unmet
    what = f"the group {name!r} can't be filled: {unmet.constraint}: {unmet.what}"
    return replace(unmet, constraint=f"groups.{number}", what=what)


def _of_comparisons_between_groups(design: StudyDesign) -> Iterator[Unmet]:
    """Planned comparisons of methods that no rater sees both of."""
    rated = [set(own.images.methods) for own in design.by_group.values()]
    for number, pair in enumerate(design.analysis.comparisons):
        if not any(set(pair) <= methods for methods in rated):
            what = f"no group rates both {pair[0]} and {pair[1]}, so their votes aren't paired"
            remedy = "Let a group rate both, or leave the comparison out."
            yield Unmet(f"analysis.comparisons.{number}", what, remedy)


def _here(design: StudyDesign) -> Available:
    """What freezing a frozen study again would find on this machine."""
    with suppress(SrevalError):
        return available(design)
    return Available({})


def with_lines(problems: Iterable[Unmet], toml: str) -> tuple[Unmet, ...]:
    """The problems with the lines of the study.toml that was checked.

    Where a key is left out, the line is its table's.
    """
    found = list(problems)
    lines = {name: _line(name, toml) for name in {problem.constraint for problem in found}}
    return tuple(replace(problem, line=lines[problem.constraint]) for problem in found)


def _line(constraint: str, toml: str) -> int | None:
    place = tuple(int(part) if part.isdigit() else part for part in constraint.split("."))
    if line := line_of(toml, place):
        return line
    # of several blocks it isn't known which is meant
    table = place[:-1]
    return line_of(toml, table) if table and not line_of(toml, (*table, 1)) else None


def _of_languages(design: StudyDesign) -> Iterator[Unmet]:
    known = content.languages()
    for language in design.languages:
        if language not in known:
            own = language == design.language
            what = f"the pages have no translation into {language!r}"
            do = "Set language to one of" if own else "Leave it out; they speak"
            remedy = f"{do} {', '.join(known)}; web/README.md says how to add one."
            yield Unmet("language" if own else f"texts.{language}", what, remedy)
    for place in design.missing_texts:
        language = place.split(".")[1]
        yield Unmet(place, "it is missing", f"Write it, or leave [texts.{language}] out.")


def _in_each_language(design: StudyDesign) -> Iterator[tuple[str, StudyDesign]]:
    """The design in each of its languages that lacks nothing, and what stands before its keys."""
    lacking = {place.split(".")[1] for place in design.missing_texts}
    for language in design.languages:
        if language not in lacking:
            before = "" if language == design.language else f"texts.{language}."
            yield before, design.in_language(language)


def _of_forms(design: StudyDesign) -> Iterator[Unmet]:
    """What raters would read, but nobody could answer."""
    words = [word.strip().casefold() for word in design.scale.words]
    given = [word for word in words if word]
    alike = list(_alike(design))
    if alike:
        yield from alike
    elif design.scale.line and len(given) < len(words):
        yield Unmet("scale", "a part of the line has no word", "Give every part a word.")
    elif not (words[0] and words[-1]):  # nobody could tell which end is which
        yield Unmet("scale", "one of its ends has no word", "Name both ends.")
    english = design.scale.words == DEGRADATION
    if design.task.kind == "dcr" and english and design.language != "en":
        what = f"its words are English, and the pages are in {design.language!r}"
        yield Unmet("scale.words", what, "Name the five of a published translation, worst first.")
    if not design.title.strip():
        yield Unmet("title", "it is empty", "Say what the study is about.")
    for number, question in enumerate(design.questions):
        name = f"questions.{number}"
        if question.low is not None and question.high is not None and question.low > question.high:
            what = f"low is {question.low:g} and high is {question.high:g}: no number fits"
            yield Unmet(name, what, "Exchange them.")
        if question.options and set(question.screens_out) == set(question.options):
            yield Unmet(name, "every answer ends the session", "Leave one out of screens_out.")


def _alike(design: StudyDesign) -> Iterator[Unmet]:
    for place, told in _in_each_language(design):
        given = [word.strip().casefold() for word in told.scale.words if word.strip()]
        if len(set(given)) < len(given):
            name = f"{place}words" if place else "scale"
            yield Unmet(name, "two of its words are alike", "Give each its own.")


def _of_words(design: StudyDesign) -> Iterator[str]:
    """A note where the words of a scale aren't those that were published in their language.

    Of the words that are usual in the study's own language: who takes others there has a scale
    of their own.
    """
    published = IMPAIRMENT if design.task.kind == "dcr" else QUALITY
    if design.task.pair or not _same(design.scale.words, published.get(design.language)):
        return
    for language, texts in sorted(design.texts.items()):
        if not texts.words or _same(texts.words, published.get(language)):
            continue
        if known := published.get(language):
            what = f"aren't the published ones: {', '.join(known.words)} ({known.source})"
        else:
            what = "can't be compared with published ones: sreval knows none in this language"
        yield f"The words of texts.{language} {what}."


def _same(words: Iterable[str], published: Published | None) -> bool:
    if published is None:
        return False
    return [word.strip().casefold() for word in words] == [
        word.casefold() for word in published.words
    ]


_ADDRESS = re.compile(r"//|\w\.\w+/")
"""What a text that was meant as an address holds."""


def _of_health(design: StudyDesign) -> Iterator[str]:
    """Data that raters must have agreed to by name."""
    checks = design.viewing.checks
    found = listed(
        [kind for kind, on in (("colour vision", checks.colour), ("acuity", checks.acuity)) if on]
    )
    if found:
        yield f"The checks of {found} give data on health: the consent must name them."


def _of_outcomes(design: StudyDesign) -> Iterator[str]:
    """Codes that look like addresses, and ends that nobody could tell apart."""
    told = {name: text for name, text in dict(design.outcomes).items() if text}
    for name, text in told.items():
        url = urlsplit(text)
        if set(filled(text, {})) & set("{}"):
            yield (
                f"outcomes.{name} holds a brace that belongs to no placeholder: {shown(text)}. "
                "It is shown as it stands."
            )
        if url.scheme in ("http", "https") and (not url.netloc or " " in text):
            yield f"outcomes.{name} isn't an address that a browser opens: {shown(text)}."
        elif url.scheme not in ("http", "https") and _ADDRESS.search(text):
            yield (
                f"outcomes.{name} is shown as a code: {shown(text)}. If it is an address, it "
                "begins with https://."
            )
    alike = [name for name, text in told.items() if list(told.values()).count(text) > 1]
    if alike:
        yield f"outcomes.{' and outcomes.'.join(alike)} are one text: nobody can tell them apart."


def _of_quotas(design: StudyDesign) -> Iterator[str]:
    """Quotas that are above the number of raters."""
    for number, quota in enumerate(design.quotas):
        if quota.raters > design.raters:
            yield (
                f"quotas.{number} lets {quota.raters} raters in with {shown(quota.option)}, and "
                f"the study wants {design.raters}: it turns nobody away unless more are invited."
            )


def _misspelt(design: StudyDesign, missing: Iterable[Key], known: Collection[str]) -> Iterator[str]:
    """Rated methods of which nothing is at hand, and whose names are nearly those of others."""
    for method in dict.fromkeys(key[2] for key in missing):
        near = difflib.get_close_matches(method, known, n=1, cutoff=0.7)
        if near and method in set(design.images.methods) - set(known):
            yield (
                f"Neither sreval nor the results know a method {method!r}. "
                f"Did you mean {near[0]!r}?"
            )


def _of_unknown_methods(
    design: StudyDesign, missing: Iterable[Key], known: Collection[str]
) -> Iterator[Unmet]:
    """Methods of single blocks that are neither rated nor known, of which nothing is at hand."""
    known = {*known, *design.images.methods}
    absent = {key[2] for key in missing} - known
    named: list[tuple[str, Drawn | None]] = [
        ("calibration", design.calibration),
        ("warm_up", design.warm_up),
        ("stabilising", design.stabilising),
        *((f"gold.{number}", gold) for number, gold in enumerate(design.gold)),
        *((f"same.{number}", same) for number, same in enumerate(design.same)),
    ]
    for name, block in named:
        for method in versions(design, block) if block else ():
            if method in absent:
                yield Unmet(
                    name,
                    f"{shown(method)} isn't rated, and neither sreval nor the results know it",
                    f"{suggestion(method, known)} Or name the results that hold it.",
                )


def _of_rules(design: StudyDesign) -> Iterator[Unmet]:
    has = {"gold": design.gold, "repeats": design.repeats}
    for number, rule in enumerate(design.acceptance):
        if rule.kind in has and not has[rule.kind]:
            what = f"the rule {rule.kind!r} has nothing to judge by"
            remedy = f"Add [[{rule.kind}]] to the design, or remove the rule."
            yield Unmet(f"acceptance.{number}", what, remedy)
        if rule.ends and not design.gold:
            what = "a session ends after a gold item, and the design has none"
            yield Unmet(f"acceptance.{number}.ends", what, "Add [[gold]], or leave ends out.")


def _of_texts(design: StudyDesign) -> Iterator[str]:
    texts = {
        f"{place}{name}": text
        for place, told in _in_each_language(design)
        for name, text in (
            ("instructions", told.instructions),
            ("consent" if place else "consent.text", told.consent.text),
        )
    }
    for name, text in texts.items():
        if found := shown_as_typed(text):
            yield (
                f"{name} holds {listed(found)}, which raters see as it is typed. Use Markdown's "
                "paragraphs, lists, emphasis, and links to http, https or mailto."
            )


_ASKED = {
    "better": r"\b(?:looks?|is) better\b",
    "closer": r"\b(?:closer|more similar) to the original\b",
    "photograph": r"\bis the (?:real )?photograph\b",
}
"""How the questions of pairs are put in English."""


def _of_question(design: StudyDesign) -> Iterator[str]:
    """A note where the title or the instructions hold another question than raters are asked."""
    if not design.task.pair:
        return
    own = design.task.question
    for name, text in (("title", design.title), ("instructions", design.instructions)):
        found = [of for of, how in _ASKED.items() if re.search(how, text, re.IGNORECASE)]
        if found and own not in found:
            yield (
                f"{name} asks the question {found[0]!r}, and task.question is {own!r}: raters are "
                "asked the latter."
            )


_RANGE = re.compile(
    r"(?<![\w.,])([01])\s*(?:\([^)]*\)|（[^）]*）)?\s*"
    r"(?:to|bis|\u5230|\u81f3|\u00e0|al?|\u0625\u0644\u0649|-|\u2013|\.\.)\s*(\d{1,3})(?![\w%]|[.,:]\d)"
)
"""Numbers from 0 or 1 to another, in the languages of the pages; a word may follow in brackets."""


def _of_range(design: StudyDesign) -> Iterator[str]:
    """A note where the instructions speak of a scale of other numbers, or of other keys."""
    scale = design.scale
    allowed = {(scale.low, scale.high)}
    if scale.categories:
        digits = [int(key) for key in scale.keys.values() if key.isdigit()]
        allowed.add((scale.low, max(digits)))
    for place, told in _in_each_language(design):
        said = {(int(low), int(high)) for low, high in _RANGE.findall(told.instructions)}
        if not (other := sorted(said - allowed)):
            continue
        ranges = listed([f"{low} to {high}" for low, high in other])
        yield (
            f"{place}instructions speak of {ranges}; the scale is {scale.numbers}. Raters may be "
            "told of another scale than they see."
        )


def unfit(stimuli: StimulusSet, manifest: Manifest) -> list[Unmet]:
    """What keeps pictures that are seen together from standing pixel by pixel on one screen."""
    task = stimuli.design.task
    if len(task.places) == 1:
        return []
    sizes: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for key in stimuli.shown:
        if one := manifest.by_key.get(key):
            sizes.setdefault((one.dataset, one.image), set()).add((one.width, one.height))
    for (dataset, image), several in sizes.items():
        if len(several) > 1:
            said = " and ".join(f"{width} x {height}" for width, height in sorted(several))
            what = f"the versions of {dataset} {image} measure {said}, and they are seen together"
            return [Unmet("images", what, "Freeze the study again.")]
    across, down = stimuli.design.viewing.screen
    down -= _CONTROLS

    def too_large(task: Task) -> list[tuple[tuple[int, int], str]]:
        rooms = ((task.room(*size), f"{image[0]} {image[1]}") for image, (size,) in sizes.items())
        return [(room, name) for room, name in rooms if room[0] > across or room[1] > down]

    found = too_large(task)
    if not found:
        return []
    (width, height), name = max(found)
    what = (
        f"{counted(len(found), 'image')} don't fit at one pixel to one: {name} needs {width} x "
        f"{height + _CONTROLS}, of which the controls and the browser's bars take {_CONTROLS}, and "
        f"the screen has {across} x {down + _CONTROLS}"
    )
    remedy = "ate smaller images, or set viewing.screen to a larger one that all raters have."
    toggled = not too_large(task.model_copy(update={"layout": "toggle"}))
    remedy = ('Set task.layout to "toggle", r' if toggled else "R") + remedy
    return [Unmet("viewing.screen", what, remedy)]


def _of_fit(design: StudyDesign) -> Iterator[str]:
    """What isn't known of pictures that are seen together before they are frozen."""
    if len(design.task.places) > 1:
        yield "Whether the pictures fit on viewing.screen is checked once the study is frozen."


def _of_slots(stimuli: StimulusSet, scenes: Scenes) -> list[Unmet]:
    design = stimuli.design
    if stimuli.unmet_subset:
        return [stimuli.unmet_subset]
    scene_of = {(name, image): scene for name in scenes for image, scene in scenes[name].items()}
    slots = range(min(design.raters, stimuli.slot_period))
    # an active plan has so many trees on each image, whichever they are
    active = design.pairs.plan == "active"
    for votes in [tuple(votes_of(stimuli, 0, 0))] if active else stimuli.seen_in(slots):
        repeats, not_repeated = stimuli.repeats_of(votes)
        if not_repeated:
            return not_repeated
        row = showings(stimuli, scene_of, votes, repeats)
        _, unmet = feasible_order(row, design.order.scene_distance)
        if unmet:
            return [unmet]
    return []


def _counts(stimuli: StimulusSet) -> dict[ItemKind, int]:
    before: dict[ItemKind, int] = {
        "calibration": len(stimuli.calibration),
        "warm-up": len(stimuli.warm_up),
    }
    design = stimuli.design
    rating = design.rating_items(len(stimuli.voted)) | {"gold": len(stimuli.gold)}
    rated = sum(rating.values())
    sittings = -(-rated // design.sittings.items) if design.sittings.items else 1
    opening = sum(map(design.stabilising_items, range(sittings)))
    return before | {"stabilising": opening} | rating


def _exposures(groups: Sequence[StimulusSet]) -> tuple[int, int]:
    """The least and most votes that a stimulus, or a pair on an image, gets from all groups."""
    least: Counter[Trial] = Counter()
    most: Counter[Trial] = Counter()
    for stimuli in groups:
        total, raters = len(stimuli.voted), stimuli.design.raters
        each = stimuli.design.rating_items(total)["vote"]
        # raters of slots 2k and 2k + 1 judge the same pairs
        turns = [raters // 2, raters - raters // 2] if stimuli.design.task.pair else [raters]
        for trial in stimuli.voted:
            least[trial] += sum(n * each // total for n in turns)
            most[trial] += sum(-(-n * each // total) for n in turns)
    return min(least.values(), default=0), max(most.values(), default=0)


def _sittings(design: StudyDesign, counts: Mapping[ItemKind, int]) -> Iterator[Sitting]:
    rated = sum(counts[kind] for kind in RATING)
    before = counts["calibration"] + counts["warm-up"]
    each = design.sittings.items or max(rated, 1)
    every = design.sittings.break_every
    for sitting, start in enumerate(range(0, max(rated, 1), each)):
        opening = design.stabilising_items(sitting) + (0 if sitting else before)
        items = min(each, rated - start) + opening
        breaks = max(items - 1, 0) // every if every else 0
        seconds = items * design.viewing.seconds_an_item + breaks * design.sittings.break_seconds
        seconds += 0 if start else design.viewing.checks.seconds
        yield Sitting(items, breaks, seconds / 60)


def _notes_of(groups: Mapping[str, StimulusSet], scenes: Scenes) -> list[str]:
    """The notes on every rater's plan; those on the plans of some groups alone name the group."""
    found = {
        name: list(_notes(stimuli, scenes, _counts(stimuli))) for name, stimuli in groups.items()
    }
    of_all = [
        note for note in next(iter(found.values())) if all(note in own for own in found.values())
    ]
    return of_all + [
        f"Group {name}: {note}"
        for name, notes in found.items()
        for note in notes
        if note not in of_all
    ]


def _notes(stimuli: StimulusSet, scenes: Scenes, counts: Mapping[ItemKind, int]) -> Iterator[str]:
    design = stimuli.design
    least, most = _exposures([stimuli])
    what, vote = ("pair", "judgement") if design.task.pair else ("stimulus", "vote")
    if least < most and design.pairs.plan == "balanced":
        some = "pairs of an image" if design.task.pair else "stimuli"
        give = "1 rater gives" if design.raters == 1 else f"{design.raters} raters give"
        yield (
            f"{give} some {some} {counted(most, vote)} and others {least}; "
            f"a multiple of {stimuli.slot_period} raters would give every {what} the same number."
        )
    if design.task.pair and design.raters % 2 and design.pairs.plan == "balanced":
        many = "The one rater" if design.raters == 1 else f"One of {design.raters} raters"
        yield f"{many} has nobody who judges the same pairs with their sides exchanged."
    methods = Counter(trial[2:] for trial in stimuli.voted)
    for (method, *_), count in methods.most_common(1):
        alternate = design.order.methods_alternate and not design.task.pair
        if alternate and 2 * count > len(stimuli.voted):
            yield f"More than half of all stimuli are of {method}, so it will follow itself."
    rated = {scenes[dataset][image] for dataset, image, *_ in stimuli.voted}
    shown = [key for key, _ in stimuli.calibration]
    if any(scenes[dataset][image] in rated for dataset, image, _ in shown):
        yield "The calibration shows scenes that are rated afterwards."
    shown_scores = [score for _, score in stimuli.calibration]
    scale = design.scale
    if shown_scores and 4 * (scale.high - max(shown_scores)) > scale.high - scale.low:
        yield (
            f"The best example of the calibration is shown with {max(shown_scores):g} on a scale "
            f"of {scale.low} to {scale.high}: raters see none of its upper quarter. Give the "
            "anchors scores of this scale."
        )
    if design.pairs.plan == "active":
        yield (
            "An active plan chooses pairs by the answers before: tests and intervals for fixed "
            "plans don't hold for it as they are printed."
        )
    yield from Acceptance(design).weak_rules(counts)
    every, each = design.sittings.break_every, design.sittings.items
    rated_items = sum(counts[kind] for kind in RATING)
    last = rated_items % each if each else 0
    if 0 < last < each / 2 < rated_items / 2:
        sittings = rated_items // each + 1
        even = -(-rated_items // sittings)
        yield f"The last sitting has only {last} items; {even} per sitting would make all equal."
    opens = {scenes[trials[0][0]][trials[0][1]] for trials in stimuli.stabilising}
    if opens & rated:
        yield "Stabilising items show scenes that are rated, too."
    if every and not any(sitting.breaks for sitting in _sittings(design, counts)):
        yield f"There will be no break: break_every is {every}, and no sitting has more items."
