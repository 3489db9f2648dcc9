"""What the planned analysis of a design would find, by simulation, before anyone sits down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from sreval.frames import unit_of
from sreval.opinions.power import MOST, ImageModel, Plan, difference_found, power
from sreval.opinions.simulation import RaterModel
from sreval.opinions.units import Spending, Unit
from sreval.opinions.votes import ACR, Scale
from sreval.study.exposure import StimulusSet

DIFFERENCE = 0.3
"""The difference whose power is told, in points of 1..5; as much of another scale's length."""
_TARGET = 0.8
_VOTES = 150_000
"""Pairs of votes drawn for one figure, about: so many studies as they make, 20 to 100."""
_TRIED = (DIFFERENCE, 0.8, 2.0)
"""Differences that are tried until some of the studies find one, and not all; likewise."""


@dataclass(frozen=True)
class PlannedPower:
    """The power of one comparison on a data set, and the smallest difference that is found.

    Of the pair that the fewest raters see on one image; ``seen``: those pairs of votes. ``looks``:
    after how many raters, and below which level p must lie there, alpha divided among comparisons
    and looks. ``smallest`` has about the power ``target`` (``power.difference_found``), from the
    power of 0.3, 0.8 or 2 points of 1..5; None where these tell nothing. All raters are
    taken to rate all of their plan, and frames of a sequence to be one image.
    """

    dataset: str
    unit: Unit
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
        difference=DIFFERENCE * length,
        power=tried[0].power,
        standard_error=tried[0].standard_error,
        target=_TARGET,
        smallest=difference_found(tried[-1], _TARGET),
        looks=tried[0].looks,
        spending=plan.spending,
        studies=studies,
    )
