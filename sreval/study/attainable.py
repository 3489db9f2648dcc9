"""What a design's planned tests could show at most, before anyone rates.

The most favourable outcome is that every unit puts the methods in one order. A comparison that
isn't significant even then can't be: votes would be cast for nothing.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sreval.errors import counted, listed
from sreval.opinions.comparison import best_outcome, least_units
from sreval.opinions.units import Unit
from sreval.opinions.wilcoxon import least_exact_p
from sreval.study.design import StudyDesign
from sreval.study.exposure import StimulusSet, seen_in, slot_period

Pairs = Sequence[tuple[str, str]]
_MOST_RATERS = 1000
"""How many raters are tried as a remedy."""


@dataclass(frozen=True)
class Attainable:
    """The comparisons of one data set, and those that no outcome could make significant.

    Each is on as many units as see both of its methods on one image; `tests` of the
    `comparisons` can be made, as some unit does. `n` and `least_p` are of the pair with the most
    units among the `hopeless`, of the pair with the fewest where none is; `least_p_adjusted` is
    that p among all tests, None for a pair that no unit sees. `planned`: the design names its
    comparisons. Each of the `remedies` would do alone.
    """

    dataset: str
    unit: Unit
    comparisons: int
    tests: int
    correction: str
    alpha: float
    planned: bool
    n: int
    least_p: float
    least_p_adjusted: float | None
    hopeless: tuple[tuple[str, str], ...]
    remedies: tuple[str, ...]

    @property
    def note(self) -> str:
        """What is hopeless and why, in a sentence without its full stop."""
        all_of = len(self.hopeless) == self.comparisons
        which = "" if all_of else f" for {listed([' and '.join(p) for p in self.hopeless])}"
        said = f"On {self.dataset} no outcome could be significant{which}: "
        if self.least_p_adjusted is None:
            return f"{said}no rater sees both methods on one image"
        units = counted(self.n, self.unit)
        p = f"the least p on {units} is {self.least_p:.3g}"
        if self.tests > 1 and self.correction != "none":
            p += f", adjusted for {self.tests} comparisons {self.least_p_adjusted:.3g}"
        return f"{said}{p}, and alpha is {self.alpha:g}"

    @property
    def remedy(self) -> str:
        """The remedies in a sentence."""
        said = ", or ".join(self.remedies)
        return f"{said[:1].upper()}{said[1:]}."


def attainable(design: StudyDesign, stimuli: StimulusSet) -> tuple[Attainable, ...]:
    """What the analysis of `design` could show on each data set where it compares methods.

    Every rater is taken to rate all of the plan. The subset must fit (`exposure.unmet_subset`).
    """
    return tuple(
        _on(design, stimuli, dataset, pairs)
        for dataset, keys in stimuli.rated.items()
        for pairs in [design.comparisons_on(dataset)]
        if keys and pairs
    )


def _on(design: StudyDesign, stimuli: StimulusSet, dataset: str, pairs: Pairs) -> Attainable:
    analysis = design.analysis
    seen = _seen(design, stimuli, dataset, pairs, design.raters)
    units = seen.units(analysis.unit, design.raters)
    verdicts = best_outcome(units, analysis.correction, analysis.alpha)
    places = range(len(units))
    small = [i for i in places if verdicts[i].too_small]
    told = max(small, key=units.__getitem__) if small else min(places, key=units.__getitem__)
    return Attainable(
        dataset=dataset,
        unit=analysis.unit,
        comparisons=len(units),
        tests=sum(n > 0 for n in units),
        correction=analysis.correction,
        alpha=analysis.alpha,
        planned=bool(analysis.comparisons),
        n=units[told],
        least_p=least_exact_p(units[told]),
        least_p_adjusted=verdicts[told].least_p_adjusted if units[told] else None,
        hopeless=tuple(pairs[i] for i in small),
        remedies=tuple(_remedies(design, stimuli, dataset, pairs, units)) if small else (),
    )


@dataclass(frozen=True)
class _Seen:
    """Which units see both methods of a pair on one image.

    `by_slot`, (slots, pairs): whether the slot does on any image; `since`, (images, pairs): the
    first slot that does on this image, or as many as there are slots. Slots stand for all that
    come again after them, or for no more raters than they are.
    """

    by_slot: npt.NDArray[np.bool_]
    since: npt.NDArray[np.intp]

    def units(self, unit: Unit, raters: int) -> list[int]:
        """How many units each pair has when so many raters have rated."""
        if unit == "image":
            return [int(n) for n in (self.since < min(raters, len(self.by_slot))).sum(axis=0)]
        rounds, rest = divmod(raters, len(self.by_slot))
        counts = rounds * self.by_slot.sum(axis=0) + self.by_slot[:rest].sum(axis=0)
        return [int(n) for n in counts]


def _seen(
    design: StudyDesign, stimuli: StimulusSet, dataset: str, pairs: Pairs, slots: int
) -> _Seen:
    keys = stimuli.rated[dataset]
    images = {image: n for n, image in enumerate(dict.fromkeys(key[1] for key in keys))}
    if design.subset is None:
        return _Seen(np.ones((1, len(pairs)), bool), np.zeros((len(images), len(pairs)), np.intp))
    slots = min(slots, slot_period(design, stimuli))
    methods = {name: n for n, name in enumerate(design.images.methods_of(dataset))}
    first, second = ([methods[name] for name in side] for side in zip(*pairs, strict=True))
    by_slot = np.zeros((slots, len(pairs)), bool)
    since = np.full((len(images), len(pairs)), slots, np.intp)
    for slot, votes in enumerate(seen_in(design, stimuli, range(slots))):
        rated = np.zeros((len(images), len(methods)), bool)
        for name, image, method in votes:
            if name == dataset:
                rated[images[image], methods[method]] = True
        both = rated[:, first] & rated[:, second]
        by_slot[slot] = both.any(axis=0)
        since = np.where(both, np.minimum(since, slot), since)
    return _Seen(by_slot, since)


def _remedies(
    design: StudyDesign, stimuli: StimulusSet, dataset: str, pairs: Pairs, units: Sequence[int]
) -> Iterator[str]:
    """Changes of the design that would each do alone: unit, raters or images, comparisons."""
    analysis, raters = design.analysis, design.raters
    needed = least_units(len(pairs), analysis.correction, analysis.alpha)

    def does(seen: _Seen, unit: Unit, raters: int) -> bool:
        found = best_outcome(seen.units(unit, raters), analysis.correction, analysis.alpha)
        return not any(verdict.too_small for verdict in found)

    seen = _seen(design, stimuli, dataset, pairs, max(raters, _MOST_RATERS))
    whole = _seen(design.model_copy(update={"subset": None}), stimuli, dataset, pairs, 1)
    other: Unit = "image" if analysis.unit == "rater" else "rater"
    if does(seen, other, raters):
        yield f'set analysis.unit to "{other}"'
    again = design.subset is None or len(seen.by_slot) == slot_period(design, stimuli)
    most = max(_MOST_RATERS, needed) if again else len(seen.by_slot)
    enough = 1 + bisect.bisect_left(
        range(1, most + 1), True, key=lambda count: does(seen, analysis.unit, count)
    )
    images = len(whole.since)
    more = (
        f"set raters to {needed} or more"
        if analysis.unit == "rater"
        else f"rate {needed} images or more in place of {images}"
    )
    if enough <= most:
        yield f"set raters to {enough} or more"
    elif design.subset is None:
        yield more
    else:
        alone = does(whole, analysis.unit, raters)
        yield "leave subset out" if alone else f"leave subset out and {more}"
    fewer = [
        m
        for m in range(1, len(pairs))
        if not best_outcome([min(units)] * m, analysis.correction, analysis.alpha)[0].too_small
    ]
    if fewer and min(units) == max(units):
        some = "a single comparison" if fewer[-1] == 1 else f"at most {fewer[-1]} comparisons"
        yield f"name {some} in analysis.comparisons"
