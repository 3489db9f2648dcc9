"""Power of paired comparisons by simulation, and how many raters an interval needs.

Every simulated study is the whole analysis: the answers of raters who differ, to a plan with
balanced sides; the fit; the test of the planned unit; the level that looks and the other
comparisons leave to it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import compare
from sreval.opinions.pairs.models import JOD, fit
from sreval.opinions.pairs.simulation import (
    NODES,
    WEIGHTS,
    PairModel,
    PairPlan,
    plan_pairs,
    rounds_taken,
)
from sreval.opinions.power import Find, Needed, Plan, Power, search
from sreval.opinions.units import STUDIES, Unit

_plan = lru_cache(maxsize=64)(plan_pairs)


def jod_of(win_probability: float) -> float:
    """The difference in JOD at which one method is preferred so often: 1 JOD at 75 %."""
    return float(scipy.special.ndtri(win_probability)) / JOD


def win_probability_of(jod: float) -> float:
    """How often a method is preferred that is better by so many JOD; see ``jod_of``."""
    return float(scipy.special.ndtr(jod * JOD))


def pair_power(
    win_probability: float,
    n_raters: int,
    n_images: int,
    plan: Plan | None = None,
    *,
    model: PairModel | None = None,
    studies: int = STUDIES,
    seed: int = 0,
) -> Power:
    """How often the ``plan`` finds that one of two methods is preferred with ``win_probability``.

    That is the share of the average judgement that isn't a tie. Further methods lie midway between
    the two. Raters' tastes are drawn where the unit asks for raters in general, what images do
    where it asks for images in general. ``Power.difference`` is in JOD. A study whose estimate
    doesn't exist finds nothing.

    Raises StatisticsError for a probability outside 0.5..1 or fewer than one rater, image, study.
    """
    if min(n_raters, n_images, studies) < 1:
        raise StatisticsError(
            f"Can't simulate {studies} studies of {n_raters} raters and {n_images} images.",
            "Each must be at least 1.",
        )
    made = _Pairs.of(win_probability, n_raters, n_images, plan, model, seed)
    (found,) = made.found([(n_raters, n_images)], range(studies))
    return made.power(found, n_raters, n_images)


def pair_needed(
    find: Find,
    win_probability: float,
    given: int,
    plan: Plan | None = None,
    *,
    target: float = 0.8,
    model: PairModel | None = None,
    studies: int = STUDIES,
    seed: int = 0,
) -> Needed:
    """The fewest raters for ``given`` images, or images for ``given`` raters, by ``search``.

    Raises what ``pair_power`` raises.
    """

    def simulated(n_raters: int, n_images: int) -> _Pairs:
        return _Pairs.of(win_probability, n_raters, n_images, plan, model, seed)

    return search(find, given, plan or _ALL_PAIRS, simulated, target, studies)


_ALL_PAIRS = Plan(task="pair")


@dataclass(frozen=True)
class _Pairs:
    """``power.Simulated`` studies of pairs."""

    win_probability: float
    n_raters: int
    n_images: int
    plan: Plan
    model: PairModel
    seed: int

    @classmethod
    def of(
        cls, win_probability: float, n_raters: int, n_images: int, plan: Plan | None,
        model: PairModel | None, seed: int,
    ) -> _Pairs:  # fmt: skip
        if not 0.5 <= win_probability < 1:
            raise StatisticsError(
                f"The better of two methods can't be preferred with probability "
                f"{win_probability:g}.",
                "Give one from 0.5 up to, but without, 1.",
            )
        plan, model = plan or _ALL_PAIRS, model or PairModel()
        if plan.unit == "rater":
            model = replace(model, image_sd=0.0)
        if plan.unit == "image":
            model = replace(model, rater_sd=0.0)
        return cls(win_probability, n_raters, n_images, plan, model, seed)

    @cached_property
    def theta(self) -> Floats:
        """The methods' values: the two that are compared, and the others midway."""
        half = self.model.apart(self.win_probability) / 2
        return np.array([half, -half, *[0.0] * (self.plan.methods - 2)])

    def found(self, sizes: Sequence[tuple[int, int]], studies: Sequence[int]) -> NDArray[np.intp]:
        made = np.zeros((len(sizes), len(studies)), dtype=np.intp)
        for place, study in enumerate(studies):
            generator = np.random.default_rng([self.seed, study])
            drawn = self.model.draw(self.theta, self.n_raters, self.n_images, generator)
            for row, (raters, images) in enumerate(sizes):
                looks = self.plan.levels(raters)
                answers = ((n, level, drawn.answers(self._judged(n, images))) for n, level in looks)
                made[row, place] = next(
                    (n for n, level, own in answers if _p(own, self.plan.unit) < level), 0
                )
        return made

    def power(self, found: NDArray[np.intp], n_raters: int, n_images: int) -> Power:
        return Power.of(self.plan, jod_of(self.win_probability), found, n_raters, n_images)

    def _judged(self, n_raters: int, n_images: int) -> PairPlan:
        return _plan(n_raters, n_images, self.plan.methods, self.plan.subset)


def _p(answers: Comparisons, unit: Unit) -> float:
    """The p of the first two methods; NaN where there is no estimate, or no test."""
    try:
        made = fit(answers, "davidson" if answers.n_ties else "bradley-terry")
    except StatisticsError:
        return math.nan
    tests = compare(made, "information" if unit == "pooled" else unit, adjust="none").pairs
    both = set(answers.methods[:2])
    return next(test.p for test in tests if {test.first, test.second} == both)


LEAST_HALF_WIDTH: Final = 0.001
"""The narrowest interval that is asked for, in JOD to each side."""


def judgements_needed(
    methods: Iterable[int] = (4,),
    half_widths: Iterable[float] = (0.1, 0.2, 0.3, 0.5),
    *,
    n_raters: int = 15,
    n_images: int = 10,
    share: float = 1.0,
    model: PairModel | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """How many raters, or images, an interval of a difference so narrow needs.

    Of n nearly equal methods whose pairs are all judged m times, the standard error of a difference
    is sqrt(8 / (m n)) logits, or sqrt(pi / (m n)) / 0.6745 JOD, if judgements are independent.
    Those of one rater, or on one image, aren't: ``design_factor`` is by how much the error of one
    study of ``n_raters`` and ``n_images`` is larger (``error_parts``). Its interval over both is
    Student's, with min(raters, images) - 1 degrees of freedom.

    Returns a row for each number of ``methods`` and each of ``half_widths`` in JOD: ``methods``,
    ``half_width``, ``independent`` judgements of each pair; of the study its ``judged``, judgements
    of each pair, its ``design_factor`` and ``reached``, its half width; ``n_raters_needed`` on its
    images, and ``n_images_needed`` with its raters: inf where no number is enough. Raises
    StatisticsError for numbers that can't be meant.
    """
    z = float(scipy.special.ndtri((1 + level) / 2))
    rows = []
    for n in methods:
        parts = error_parts(n, n_raters, n_images, share=share, model=model)
        for half_width in half_widths:
            if not half_width >= LEAST_HALF_WIDTH:
                raise StatisticsError(
                    f"An interval can't be {half_width:g} JOD to each side.",
                    f"Give a number of {LEAST_HALF_WIDTH:g} or more.",
                )
            independent = math.ceil(math.pi / n * (z / (JOD * half_width)) ** 2)
            rows.append({
                "methods": n,
                "half_width": half_width,
                "independent": independent,
                "judged": share * n_raters * n_images,
                "design_factor": parts.design_factor(n_raters, n_images),
                "reached": parts.half_width(n_raters, n_images, level),
                "n_raters_needed": parts.raters(half_width, n_images, level),
                "n_images_needed": parts.images(half_width, n_raters, level),
            })  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class ErrorParts:
    """The variance of a difference in logits: rater / R + image / J + rest / (R J).

    ``independent`` / (R J) is what it were if no judgements went together.
    """

    rater: float
    image: float
    rest: float
    independent: float

    def variance(self, n_raters: float, n_images: float) -> float:
        """That of a study of so many raters and images, of which one may be infinite."""
        return self.rater / n_raters + self.image / n_images + self.rest / (n_raters * n_images)

    def design_factor(self, n_raters: int, n_images: int) -> float:
        """By how much the error is larger than of independent judgements."""
        units = n_raters * n_images
        return math.sqrt(self.variance(n_raters, n_images) * units / self.independent)

    def half_width(self, n_raters: float, n_images: float, level: float = 0.95) -> float:
        """Of the interval over both, in JOD."""
        t = scipy.stats.t.ppf((1 + level) / 2, min(n_raters, n_images) - 1)
        return float(t) * _JOD_PER_LOGIT * math.sqrt(self.variance(n_raters, n_images))

    def raters(self, half_width: float, n_images: int, level: float = 0.95) -> float:
        """The fewest raters whose interval is no wider, inf where no number is enough."""
        return _fewest(lambda n: self.half_width(n, n_images, level) <= half_width)

    def images(self, half_width: float, n_raters: int, level: float = 0.95) -> float:
        """The fewest images, as ``raters``."""
        return _fewest(lambda n: self.half_width(n_raters, n, level) <= half_width)


_JOD_PER_LOGIT = math.sqrt(math.pi / 8) / JOD
"""At a difference of zero, where a normal and a logistic chance have the same slope."""
_WITHOUT_END = 2**40
"""More than any number that is asked for: where it isn't enough, none is taken to be."""


def _fewest(enough: Callable[[float], bool]) -> float:
    """The least whole number from 2 that is enough, where all larger ones are; else inf."""
    if not enough(_WITHOUT_END):
        return math.inf
    return 2 + bisect.bisect_left(range(2, _WITHOUT_END), True, key=enough)


def error_parts(
    n_methods: int,
    n_raters: int,
    n_images: int,
    *,
    share: float = 1.0,
    model: PairModel | None = None,
) -> ErrorParts:
    """The parts of the error of a difference between methods that are alike, by Bradley-Terry.

    To the first order in 1 / judgements: a value is 4 / n times the mean, over raters and images,
    of a method's wins less half of its pairs. Parts are what of a judgement's chance, and of that
    of two judgements with a method in common, is left by a rater, by an image, and by both
    (Gauss and Hermite's quadrature). benchmarks/results/pairs.md has simulated errors beside them.

    Raises StatisticsError for fewer than two raters or images, and for a plan that can't be.
    """
    model = model or PairModel()
    if min(n_raters, n_images) < 2:
        raise StatisticsError(
            f"Of {n_raters} raters and {n_images} images no error over both can be told.",
            "Each must be at least 2.",
        )
    taken = rounds_taken(n_raters, n_images, n_methods, share)
    rater, both_raters = _shared(model.rater_sd, model.image_sd)
    image, both_images = _shared(model.image_sd, model.rater_sd)
    _, both = _shared(math.hypot(model.rater_sd, model.image_sd), 0.0)
    others = n_methods - 2
    # how many further pairs with the method a rater judges on the image, on average over judgements
    floor = math.floor(taken)
    beside = floor * (2 * taken - floor - 1) / taken
    beside *= others / max(1, round(taken / share) - 1)
    of_rater, of_image = rater + others * both_raters, image + others * both_images
    in_all = (1 / 4 + beside * both) / share
    size = 32 / n_methods
    return ErrorParts(
        rater=size * of_rater,
        image=size * of_image,
        rest=size * (in_all - of_rater - of_image),
        independent=size / (4 * share),
    )


def _shared(shared_sd: float, other_sd: float) -> tuple[float, float]:
    """Covariances of the chances of two judgements that share effects of ``shared_sd``.

    Of one pair of methods; and of two pairs with a method in common, whose differences correlate
    by a half. Effects of ``other_sd`` are not shared. Methods are alike, so that the mean is 1/2.
    """

    def chance(x: Floats) -> Floats:
        spread = math.sqrt(2) * other_sd * NODES
        return np.asarray(scipy.special.expit(x[..., None] + spread) @ WEIGHTS - 0.5)

    one = math.sqrt(2) * shared_sd * NODES
    other = math.sqrt(2) * shared_sd * (NODES[:, None] + math.sqrt(3) * NODES) / 2
    here = chance(one)
    return float(here**2 @ WEIGHTS), float((WEIGHTS * here) @ chance(other) @ WEIGHTS)
