"""Power of paired comparisons by simulation, and how many judgements an interval needs.

Every simulated study is the whole analysis: the answers of raters who differ, to a plan with
balanced sides; the fit; the test of the planned unit; the level that looks and the other
comparisons leave to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import compare
from sreval.opinions.pairs.models import JOD, fit
from sreval.opinions.pairs.simulation import PairModel, PairPlan, plan_pairs
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


def judgements_needed(
    methods: Iterable[int] = (4,),
    half_widths: Iterable[float] = (0.1, 0.2, 0.3, 0.5),
    *,
    n_raters: int = 15,
    n_images: int = 10,
    share: float = 1.0,
    model: PairModel | None = None,
    level: float = 0.95,
    studies: int = STUDIES,
    seed: int = 0,
) -> pd.DataFrame:
    """How many judgements of each pair an interval of a difference so narrow needs.

    Of n nearly equal methods whose pairs are all judged m times, the standard error of a difference
    is sqrt(8 / (m n)) logits, or sqrt(pi / (m n)) / 0.6745 JOD, if judgements are independent.
    Those of one rater, or on one image, aren't: ``design_factor`` is by how much the error of a
    simulated study of ``n_raters`` and ``n_images`` is larger.

    Returns a row for each number of ``methods`` and each of ``half_widths`` in JOD: ``methods``,
    ``half_width``, ``independent`` judgements of each pair, ``design_factor`` with its
    ``standard_error``, and ``judgements`` of each pair by it. Raises StatisticsError for numbers
    that can't be meant.
    """
    z = float(scipy.special.ndtri((1 + level) / 2))
    rows = []
    for n in methods:
        factor, error = design_factor(
            n, n_raters, n_images, share=share, model=model, studies=studies, seed=seed
        )
        for half_width in half_widths:
            if not half_width > 0:
                raise StatisticsError(
                    f"An interval can't be {half_width:g} JOD to each side.",
                    "Give a number above 0.",
                )
            exact = math.pi / n * (z / (JOD * half_width)) ** 2
            rows.append((n, half_width, exact, factor, error))
    names = ["methods", "half_width", "independent", "design_factor", "standard_error"]
    made = pd.DataFrame(rows, columns=names)
    made["judgements"] = np.ceil(made["independent"] * made["design_factor"] ** 2).astype(int)
    return made.assign(independent=np.ceil(made["independent"]).astype(int))


def design_factor(
    n_methods: int,
    n_raters: int,
    n_images: int,
    *,
    share: float = 1.0,
    model: PairModel | None = None,
    studies: int = STUDIES,
    seed: int = 0,
) -> tuple[float, float]:
    """By how much errors are larger than of independent judgements, and its standard error.

    The root mean square of the differences of methods that are alike, in studies of so many raters
    and images, over sqrt(8 / (m n)). Studies without an estimate are left out. Raises
    StatisticsError where none has one, and for a plan that can't be.
    """
    model = model or PairModel()
    plan = _plan(n_raters, n_images, n_methods, share)
    squares = []
    for study in range(studies):
        generator = np.random.default_rng([seed, study])
        drawn = model.draw(np.zeros(n_methods), n_raters, n_images, generator)
        try:
            theta = fit(drawn.answers(plan)).theta
        except StatisticsError:
            continue
        # the mean over pairs of squared differences of values that sum to zero
        squares.append(2 * float((theta**2).sum()) / (n_methods - 1))
    if len(squares) < 2:
        raise StatisticsError(
            f"No estimate exists in {studies} simulated studies of {n_raters} raters and "
            f"{n_images} images.",
            "Simulate larger studies, or more of them.",
        )
    each = plan.left.size / math.comb(n_methods, 2)
    independent = 8 / (each * n_methods)
    factor = math.sqrt(np.mean(squares) / independent)
    error = float(np.std(squares, ddof=1)) / math.sqrt(len(squares)) / independent
    return factor, error / (2 * factor)
