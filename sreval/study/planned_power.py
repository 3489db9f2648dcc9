"""What the planned analysis of a design would find, by simulation, before anyone sits down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sreval.frames import unit_of
from sreval.opinions.power import MOST, Plan, power, smallest_difference
from sreval.opinions.units import Spending
from sreval.study.exposure import StimulusSet

DIFFERENCE = 0.3
"""The difference in points whose power is told."""
_TARGET = 0.8
_VOTES = 250_000
"""Votes drawn for one figure, about: so many studies as they make, 20 to 200."""


@dataclass(frozen=True)
class PlannedPower:
    """The power of one comparison on a data set, and the smallest difference that is found.

    Of the pair that the fewest raters see on one image; ``seen``: those pairs of votes. ``looks``:
    after how many raters, and below which level p must lie there, alpha divided among comparisons
    and looks. ``smallest`` has a power of ``target``; None where 2 points haven't. All raters are
    taken to rate all of their plan, and frames of a sequence to be one image.
    """

    dataset: str
    seen: int
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

    Empty for designs of more than MOST raters, which takes too long.
    """
    return tuple(_of_datasets(stimuli)) if stimuli.design.raters <= MOST else ()


def _of_datasets(stimuli: StimulusSet) -> Iterator[PlannedPower]:
    design, analysis = stimuli.design, stimuli.design.analysis
    for dataset, keys in stimuli.rated.items():
        pairs = design.comparisons_on(dataset)
        rated = [image for _, image, _ in keys]
        images = list(dict.fromkeys(map(unit_of, rated)))
        if not images or not pairs:
            continue
        seen = None if design.subset is None else _least_seen(stimuli, dataset, images)
        plan = Plan(
            unit=design.unit_on(rated).unit,
            methods=len(design.images.methods_of(dataset)),
            comparisons=len(pairs),
            adjustment=analysis.correction,
            alpha=analysis.alpha,
            looks=analysis.looks or 1,
            spending=analysis.spending,
        )
        yield _simulated(dataset, design.raters, len(images), plan, seen)


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
    return min(both, key=np.count_nonzero).tobytes()


@lru_cache
def _simulated(
    dataset: str, n_raters: int, n_images: int, plan: Plan, seen: bytes | None
) -> PlannedPower:
    shape = (n_images, n_raters)
    both = None if seen is None else np.frombuffer(seen, dtype=bool).reshape(shape)
    studies = min(max(_VOTES // (n_images * n_raters), 20), 200)
    made = power(DIFFERENCE, n_raters, n_images, plan, studies=studies, seen=both)
    return PlannedPower(
        dataset=dataset,
        seen=n_images * n_raters if both is None else int(both.sum()),
        difference=DIFFERENCE,
        power=made.power,
        standard_error=made.standard_error,
        target=_TARGET,
        smallest=smallest_difference(
            n_raters, n_images, plan, target=_TARGET, studies=studies, seen=both
        ),
        looks=made.looks,
        spending=plan.spending,
        studies=studies,
    )
