"""What the planned analysis of a design would find, by simulation, before anyone sits down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import numpy as np

from sreval.frames import unit_of
from sreval.opinions.pairs.power import pair_power, win_probability_of
from sreval.opinions.power import MOST, ImageModel, Plan, difference_found, power
from sreval.opinions.simulation import RaterModel
from sreval.opinions.units import Spending, Unit
from sreval.opinions.votes import ACR, Scale
from sreval.study.design import StudyDesign
from sreval.study.exposure import StimulusSet

DIFFERENCE = 0.3
"""The difference whose power is told, in points of 1..5; as much of another scale's length."""
JOD_DIFFERENCE = 0.5
"""The same for pairs, in JOD: 63 % prefer a method that is better by so much."""
_TARGET = 0.8
_VOTES = 150_000
"""Pairs of votes drawn for one figure, about: so many studies as they make, 20 to 100."""
_TRIED = (DIFFERENCE, 0.8, 2.0)
_TRIED_JOD = (JOD_DIFFERENCE, 1.0, 2.0)
"""Differences that are tried until some of the studies find one, and not all; likewise."""
_JUDGEMENTS = 10 * _VOTES
"""As ``_VOTES``: a fit of pairs has all judgements at once."""


@dataclass(frozen=True)
class PlannedPower:
    """The power of one comparison on a data set, and the smallest difference that is found.

    Of the pair that the fewest raters see on one image; ``seen``: those pairs of votes. ``looks``:
    after how many raters, and below which level p must lie there, alpha divided among comparisons
    and looks. ``smallest`` has about the power ``target`` (``power.difference_found``), from the
    power of 0.3, 0.8 or 2 points of 1..5; None where these tell nothing. All raters are
    taken to rate all of their plan, and frames of a sequence to be one image.

    Of paired comparisons ``seen`` are the judgements of one pair, ``measure`` is JOD, and the power
    is that of 0.5, 1 or 2 JOD, with a balanced plan.
    """

    dataset: str
    unit: Unit
    seen: int
    measure: Literal["points", "JOD"]
    difference: float
    power: float
    standard_error: float
    target: float
    smallest: float | None
    looks: tuple[tuple[int, float], ...]
    spending: Spending
    studies: int


def planned_power(stimuli: StimulusSet) -> tuple[PlannedPower, ...]:
    """On each data set where the design compares methods; the subset must fit.

    Empty where `untold` says why.
    """
    return () if untold(stimuli.design) else tuple(_of_datasets(stimuli))


def untold(design: StudyDesign) -> str:
    """Why no power is told of a design, in half a sentence; "" where it is."""
    if design.raters > MOST:
        return f"more than {MOST} raters take too long to simulate"
    if design.task.question == "photograph":
        return "it is of differences in quality, and the study asks for the photograph"
    if not design.groups_rate_alike:
        return "its groups of raters rate different things"
    if design.pairs.plan == "active":
        return "a balanced plan is simulated, and an active one chooses other pairs"
    return ""


def _of_datasets(stimuli: StimulusSet) -> Iterator[PlannedPower]:
    design, analysis = stimuli.design, stimuli.design.analysis
    for dataset, keys in stimuli.rated.items():
        pairs = design.comparisons_on(dataset)
        rated = [image for _, image, _ in keys]
        images = list(dict.fromkeys(map(unit_of, rated)))
        if not images or not pairs:
            continue
        part, seen = 1.0, None
        if design.subset is not None and design.task.pair:
            part = design.subset / len(stimuli.voted)
        elif design.subset is not None:
            seen = _least_seen(stimuli, dataset, images)
        plan = Plan(
            unit=design.unit_on(rated).unit,
            methods=len(design.images.methods_of(dataset)),
            comparisons=len(pairs),
            adjustment=analysis.correction,
            alpha=analysis.alpha,
            looks=analysis.looks or 1,
            spending=analysis.spending,
            task="pair" if design.task.pair else "acr",
            subset=part,
        )
        if design.task.pair:
            yield _simulated_pairs(dataset, design.raters, len(images), plan)
            continue
        scale = design.scale.numbers
        yield _simulated(dataset, design.raters, len(images), plan, seen, scale)


def _least_seen(stimuli: StimulusSet, dataset: str, images: list[str]) -> bytes:
    """Which raters see both methods on which image, of the pair that is seen least."""
    design = stimuli.design
    methods = design.images.methods_of(dataset)
    shown = np.zeros((len(methods), len(images), design.raters), dtype=bool)
    for slot, votes in enumerate(stimuli.seen_in(range(design.raters))):
        for name, image, method in votes:
            if name == dataset:
                shown[methods.index(method), images.index(unit_of(image)), slot] = True
    both = [
        shown[methods.index(first)] & shown[methods.index(second)]
        for first, second in design.comparisons_on(dataset)
    ]
    return bytes(min(both, key=np.count_nonzero).tobytes())


@lru_cache
def _simulated_pairs(dataset: str, n_raters: int, n_images: int, plan: Plan) -> PlannedPower:
    judged = n_raters * n_images * plan.subset
    studies = min(max(int(_JUDGEMENTS / (judged * math.comb(plan.methods, 2))), 20), 100)
    tried = []
    for difference in _TRIED_JOD:
        share = win_probability_of(difference)
        tried.append(pair_power(share, n_raters, n_images, plan, studies=studies))
        if tried[-1].power:
            break
    return PlannedPower(
        dataset=dataset,
        unit=plan.unit,
        seen=round(judged),
        measure="JOD",
        difference=JOD_DIFFERENCE,
        power=tried[0].power,
        standard_error=tried[0].standard_error,
        target=_TARGET,
        smallest=difference_found(tried[-1], _TARGET),
        looks=tried[0].looks,
        spending=plan.spending,
        studies=studies,
    )


@lru_cache
def _simulated(
    dataset: str, n_raters: int, n_images: int, plan: Plan, seen: bytes | None, scale: Scale
) -> PlannedPower:
    shape = (n_images, n_raters)
    both = None if seen is None else np.frombuffer(seen, dtype=bool).reshape(shape)
    studies = min(max(_VOTES // (n_images * n_raters), 20), 100)
    length = (scale.high - scale.low) / (ACR.high - ACR.low)
    find = partial(
        power,
        model=RaterModel().on(scale),
        images_like=ImageModel().on(scale),
        studies=studies,
        seen=both,
    )
    tried = []
    for difference in _TRIED:
        tried.append(find(difference * length, n_raters, n_images, plan))
        if tried[-1].power:
            break
    return PlannedPower(
        dataset=dataset,
        unit=plan.unit,
        seen=n_images * n_raters if both is None else int(both.sum()),
        measure="points",
        difference=DIFFERENCE * length,
        power=tried[0].power,
        standard_error=tried[0].standard_error,
        target=_TARGET,
        smallest=difference_found(tried[-1], _TARGET),
        looks=tried[0].looks,
        spending=plan.spending,
        studies=studies,
    )
