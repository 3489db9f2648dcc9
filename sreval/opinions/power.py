"""Power by simulation: how often the planned analysis of a study finds a true difference.

Every simulated study is the whole analysis: votes of the rater model, in each rater's own order,
until those who drop out leave; screening; the test of the planned unit; the level that the looks
and the other comparisons leave to it. Votes are category ratings; ``pairs.power`` has the power of
paired comparisons, by the same search.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError, UsageError, counted, option, unknown_name
from sreval.opinions.arrays import Floats
from sreval.opinions.comparison import best_outcome, crossed_test
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.screening import RULES, apply
from sreval.opinions.sequential import nominal_levels
from sreval.opinions.significance import ADJUSTMENTS, signed_rank
from sreval.opinions.simulation import DrawnVotes, RaterModel, draw_votes, make_stimuli
from sreval.opinions.units import CLAIMS, ENOUGH_FOR_BOTH, STUDIES, Spending, Unit
from sreval.opinions.votes import ACR, Scale

Find = Literal["raters", "images"]
PowerTask = Literal["acr", "acr-hr", "dcr", "pair"]
"""What raters are asked; see ``Plan.task``."""

MOST: Final = 1024
"""The largest number of raters, or of images, that a search tries."""

ScreeningRule = Literal["too-fast", "straight-lining", "correlation-with-rest", "bt500"]
"""The rules of ``screening.RULES`` that need nothing but votes on rated images."""

_FIRST = 200
"""Studies of a search's first look at any number."""
_BELOW_TOP = 0.1
"""How far below the top of the scale, as a share of it, raters take the hidden reference to be."""
_AT_ONCE = 7
"""Numbers that a search tries on the same studies."""


@dataclass(frozen=True)
class ImageModel:
    """The images that a plan assumes: ``quality`` is the mean of the two methods.

    ``image_sd`` is the spread of the images' difficulty, ``interaction_sd`` that of what an image
    does to one method alone; both in points of the scale.
    """

    quality: float = 3.0
    image_sd: float = 0.5
    interaction_sd: float = 0.3

    def on(self, scale: Scale) -> ImageModel:
        """The same images as votes on 1 to 5 would be on another scale."""
        factor = (scale.high - scale.low) / (ACR.high - ACR.low)
        return ImageModel(
            quality=scale.low + (self.quality - ACR.low) * factor,
            image_sd=self.image_sd * factor,
            interaction_sd=self.interaction_sd * factor,
        )


@dataclass(frozen=True)
class Plan:
    """The analysis whose power is asked: what is compared, how, and from which votes.

    ``comparisons`` are made in all, None: all pairs of ``methods``. ``subset`` is the share of
    the stimuli that each rater sees, drawn anew for each; ``repeats`` are shown besides, and count
    in no test. ``screening`` names rules that leave raters out before the
    tests. ``looks``: how many, equally spaced in raters, the last at the end; or after how many
    raters each is taken. ``spending``: how alpha is divided among them. With looks, raters are
    those who finish, as `study report` takes them: who leaves is replaced and counts in nothing.

    ``task``: with "acr-hr" raters see the original of each image among the methods, and their votes
    on an image count where they saw it, as differences from it, and ``subset`` is a share of the
    images, each seen whole; with "pair" they see pairs of methods, and ``subset`` is a share of all
    pairs. "dcr" is "acr" to a test.

    Raises UsageError for an unknown name, StatisticsError for a number that can't be meant.
    """

    unit: Unit = "both"
    methods: int = 2
    task: PowerTask = "acr"
    comparisons: int | None = None
    adjustment: str = "holm"
    alpha: float = 0.05
    subset: float = 1.0
    repeats: int = 0
    screening: tuple[ScreeningRule, ...] = ()
    looks: int | tuple[int, ...] = 1
    spending: Spending = "obrien-fleming"

    def __post_init__(self) -> None:
        if self.unit not in CLAIMS:
            raise unknown_name("unit", self.unit, CLAIMS)
        if self.task not in get_args(PowerTask):
            raise unknown_name("task", self.task, get_args(PowerTask))
        if self.adjustment not in ADJUSTMENTS:
            raise unknown_name("adjustment", self.adjustment, ADJUSTMENTS)
        for rule in self.screening:
            if rule not in get_args(ScreeningRule):
                raise unknown_name("screening rule", rule, get_args(ScreeningRule))
        if not 0 < self.subset <= 1:
            raise StatisticsError(
                f"A rater can't see a share of {self.subset:g} of the stimuli.",
                "Give a share above 0 and up to 1.",
            )
        most = math.comb(self.methods, 2)
        if self.comparisons is not None and not 1 <= self.comparisons <= most:
            raise StatisticsError(
                f"{self.methods} methods have no {self.comparisons} comparisons.",
                f"Give a number from 1 to {most}.",
            )

    @property
    def tests(self) -> int:
        """How many comparisons are made in all."""
        return self.comparisons or math.comb(self.methods, 2)

    @property
    def level(self) -> float:
        """Where p must lie for this comparison to be found whatever the others show.

        That is ``alpha`` over the comparisons, by Holm and by Benjamini and Hochberg: their power
        where the others show nothing, and the least where they do. Without adjustment: ``alpha``.
        """
        return self.alpha / (1 if self.adjustment == "none" else self.tests)

    def levels(self, n_raters: int) -> list[tuple[int, float]]:
        """After how many raters each look is taken, and the nominal level of its test.

        Raises UsageError for looks that don't rise to ``n_raters``.
        """
        if self.looks == 1:
            return [(n_raters, self.level)]
        if isinstance(self.looks, int):
            parts = range(1, self.looks + 1)
            at = [round(n_raters * part / self.looks) for part in parts]
        else:
            at = list(self.looks)
        if isinstance(self.looks, int) and not 1 <= self.looks <= n_raters:
            raise UsageError(
                f"A study of {counted(n_raters, 'rater')} can't have "
                f"{counted(self.looks, 'look')}.",
                f"Give a number from 1 to {n_raters} by {option('--looks')}.",
            )
        if not at or min(np.diff([0, *at])) < 1 or at[-1] != n_raters:
            raise UsageError(
                f"Looks after {', '.join(map(str, at)) or 'no'} raters don't rise to the "
                f"{n_raters} raters of the study.",
                f"Give numbers that rise, the last of them {n_raters}, by {option('--looks')}.",
            )
        shares = [n / n_raters for n in at]
        return list(zip(at, nominal_levels(shares, self.level, self.spending), strict=True))

    def idle_looks(self, n_raters: int, n_images: int) -> tuple[int, ...]:
        """After how many raters no outcome of all comparisons could be significant at a look.

        Raises what ``levels`` raises.
        """
        looks = [n for n, _ in self.levels(n_raters)]

        def idle(place: int) -> bool:
            raters = looks[place]
            units = {"both": min(raters, n_images), "rater": raters, "image": n_images}
            if self.task == "pair":
                least = ENOUGH_FOR_BOTH if self.unit == "both" else LEAST_UNITS
                return units.get(self.unit, least) < least
            found = best_outcome(
                [units.get(self.unit, raters * n_images)] * self.tests, self.adjustment, self.alpha,
                self.unit, shares=[n / n_raters for n in looks[: place + 1]],
                spending=self.spending,
            )  # fmt: skip
            return found[0].too_small

        return tuple(n for place, n in enumerate(looks) if idle(place))

    def hopeless(self, n_raters: int, n_images: int) -> bool:
        """Whether no look could find anything. Raises what ``levels`` raises."""
        return len(self.idle_looks(n_raters, n_images)) == len(self.levels(n_raters))

    @property
    def least_units(self) -> int | None:
        """The fewest units on which an outcome of all comparisons can be significant at a look.

        None where the looks say how many raters there are, and these are the units.
        """
        if not isinstance(self.looks, int):
            if self.unit in ("both", "rater"):
                return None
            raters, first = self.looks[-1], 1
        else:
            raters, first = MOST, 1 if self.unit == "image" else self.looks
        return next(
            n
            for n in itertools.count(first)
            if not self.hopeless(raters if self.unit == "image" else n, n)
        )

    def items(self, n_images: int) -> int:
        """How many items a rater judges who stays to the end."""
        return self.shown(n_images) + self.repeats

    def shown(self, n_images: int) -> int:
        """How many stimuli, or pairs, a rater sees."""
        if self.task == "acr-hr":
            return self.of_an_image * self.whole_images(n_images)
        return max(1, round(self.subset * self.of_an_image * n_images))

    def whole_images(self, n_images: int) -> int:
        """How many images a rater sees where ``subset`` is a share of images."""
        return max(1, round(self.subset * n_images))

    @property
    def of_an_image(self) -> int:
        """How many stimuli, or pairs, there are of each image."""
        if self.task == "pair":
            return math.comb(self.methods, 2)
        return self.methods + (self.task == "acr-hr")


@dataclass(frozen=True)
class Power:
    """The share of simulated studies that find the difference, and its standard error.

    ``items`` are what one rater judges. ``looks``: after how many raters each is taken, and the
    level below which p must lie there, ``alpha`` divided among comparisons and looks;
    ``idle_looks`` are those at which no outcome of all comparisons could be significant.
    ``mean_raters``: how many raters a study has on average that stops at the look at which it
    finds the difference.
    """

    power: float
    standard_error: float
    studies: int
    difference: float
    n_raters: int
    n_images: int
    items: int
    mean_raters: float
    unit: Unit
    comparisons: int
    adjustment: str
    alpha: float
    looks: tuple[tuple[int, float], ...]
    idle_looks: tuple[int, ...]
    spending: Spending

    @classmethod
    def of(
        cls, plan: Plan, difference: float, found: NDArray[np.intp], n_raters: int, n_images: int
    ) -> Power:
        """That of studies of a ``plan``, ``found`` after so many raters each, 0 where not."""
        share = float((found > 0).mean())
        return cls(
            power=share,
            standard_error=math.sqrt(share * (1 - share) / found.size),
            studies=found.size,
            difference=difference,
            n_raters=n_raters,
            n_images=n_images,
            items=plan.items(n_images),
            mean_raters=float(np.where(found > 0, found, n_raters).mean()),
            unit=plan.unit,
            comparisons=plan.tests,
            adjustment=plan.adjustment,
            alpha=plan.alpha,
            looks=tuple(plan.levels(n_raters)),
            idle_looks=plan.idle_looks(n_raters, n_images),
            spending=plan.spending,
        )


@dataclass(frozen=True)
class Needed:
    """The fewest raters, or images, as ``find`` says, whose power is ``target`` or more.

    ``n``, of ``power``, is the fewest by the simulated shares. The true number lies within ``low``
    and ``high``: those outside were told from the target, each at 95 %. All three are None where
    not even ``MOST`` reach it, of which ``power`` is then; ``hopeless``: no number can, whatever
    the votes, and ``power`` is None.
    """

    find: Find
    target: float
    low: int | None
    high: int | None
    power: Power | None
    hopeless: bool

    @property
    def n(self) -> int | None:
        """The number found."""
        if self.power is None or self.low is None:
            return None
        return self.power.n_raters if self.find == "raters" else self.power.n_images

    def row(self, difference: float, given: int) -> dict[str, Any]:
        """As a row of a table: the fields of Power, and of this; NaN for what there isn't."""
        sought = f"n_{self.find}"
        other = "n_images" if self.find == "raters" else "n_raters"
        unknown = dict.fromkeys(Power.__dataclass_fields__, math.nan)
        found = vars(self.power) if self.power else unknown
        ends = {"low": self.low, "high": self.high}
        own = {name: math.nan if n is None else n for name, n in ends.items()}
        told = {"find": self.find, "target": self.target, "hopeless": self.hopeless}
        own[sought] = math.nan if self.n is None else self.n
        return {**found, "difference": difference, other: given, **own, **told}


def power(
    difference: float,
    n_raters: int,
    n_images: int,
    plan: Plan | None = None,
    *,
    model: RaterModel | None = None,
    images_like: ImageModel | None = None,
    studies: int = STUDIES,
    seed: int = 0,
    seen: NDArray[np.bool_] | None = None,
) -> Power:
    """How often the ``plan`` finds a true ``difference`` in quality of two methods.

    ``difference`` is in points before rounding and clipping; further methods, where the plan's
    screening or subset needs their votes, lie midway between. What an image does to one method
    alone is chance only for a claim on images in general, and what a rater's taste does only for
    one on raters in general: each is drawn where the unit asks, and belongs to the difference
    elsewhere. ``seen``, (images, raters), says which images each rater sees of both methods, if
    that isn't left to the plan's ``subset``.

    Raises what ``Plan`` raises, and StatisticsError for fewer than one rater, image or study.
    """
    plan = plan or Plan()
    _check(n_raters, n_images, studies)
    simulated = _Simulated(
        difference, n_raters, n_images, plan, model or RaterModel(), images_like or ImageModel(),
        seed, seen,
    )  # fmt: skip
    (found,) = simulated.found([(n_raters, n_images)], range(studies))
    return simulated.power(found, n_raters, n_images)


def needed(
    find: Find,
    difference: float,
    given: int,
    plan: Plan | None = None,
    *,
    target: float = 0.8,
    model: RaterModel | None = None,
    images_like: ImageModel | None = None,
    studies: int = STUDIES,
    seed: int = 0,
) -> Needed:
    """The fewest raters for ``given`` images, or images for ``given`` raters, by ``search``.

    Raises what ``power`` raises.
    """
    plan, model, images_like = plan or Plan(), model or RaterModel(), images_like or ImageModel()

    def simulated(n_raters: int, n_images: int) -> _Simulated:
        return _Simulated(difference, n_raters, n_images, plan, model, images_like, seed, None)

    return search(find, given, plan, simulated, target, studies)


class Simulated(Protocol):
    """Studies of at most so many raters and images; study number s is the same each time."""

    def found(self, sizes: Sequence[tuple[int, int]], studies: Sequence[int]) -> NDArray[np.intp]:
        """After how many raters each study finds the difference, 0 where it doesn't.

        Of shape (sizes, studies); a study of a size has the first raters and images of it.
        """

    def power(self, found: NDArray[np.intp], n_raters: int, n_images: int) -> Power:
        """The power of a size of which ``found`` has a row."""


def search(
    find: Find,
    given: int,
    plan: Plan,
    simulated: Callable[[int, int], Simulated],
    target: float,
    studies: int,
) -> Needed:
    """The fewest raters for ``given`` images, or images for ``given`` raters.

    ``simulated`` makes studies of so many raters and images at most. Numbers are doubled until one
    reaches ``target``. Those in between are then tried on the same studies, of which each takes
    the first raters, or images (common random numbers), and the bracket is narrowed to those that
    the simulation can't tell from the target, with four times the studies each time, until one
    number is left or ``studies`` are used. Raises StatisticsError for fewer than one rater, image
    or study.
    """
    _check(given, given, studies)
    none = Needed(find, target, None, None, None, hopeless=True)
    made = _Search(find, given, target, studies, simulated)
    if plan.hopeless(*made.size(MOST)):
        return none
    first = 2
    if find == "raters" and isinstance(plan.looks, int):
        first = max(first, plan.looks)
    first = next(n for n in range(first, MOST + 1) if not plan.hopeless(*made.size(n)))
    low, high, reached = made.bracket(first)
    if not reached:
        (found,) = made.found([high], min(studies, _FIRST))
        return replace(none, power=made.top.power(found, *made.size(MOST)), hopeless=False)
    low, high, many = made.narrowed(low, high)
    below, n = low, high
    while n - below > 1:
        middle = (below + n) // 2
        (found,) = made.found([middle], many)
        below, n = (below, middle) if (found > 0).mean() >= target else (middle, n)
    (found,) = made.found([n], many)
    power_there = made.top.power(found, *made.size(n))
    return Needed(find, target, low + 1, high, power_there, hopeless=False)


@dataclass
class _Search:
    """A search for the fewest raters or images; what was simulated is kept by number."""

    find: Find
    given: int
    target: float
    studies: int
    simulated: Callable[[int, int], Simulated]
    kept: dict[int, NDArray[np.intp]] = field(default_factory=dict)
    top: Simulated = field(init=False)

    def size(self, n: int) -> tuple[int, int]:
        """Raters and images where ``n`` of those that are sought are there."""
        return (n, self.given) if self.find == "raters" else (self.given, n)

    def bracket(self, first: int) -> tuple[int, int, bool]:
        """Numbers below and above the one that is sought, and whether MOST or fewer are enough."""
        few, low, high = min(self.studies, _FIRST), first - 1, first
        while True:
            self.top = self.simulated(*self.size(high))
            (found,) = self.top.found([self.size(high)], range(few))
            self.kept = {high: found}
            lower, upper = _limits(found)
            if lower >= self.target or high >= MOST:
                return low, high, lower >= self.target
            low = high if upper < self.target else low
            high = min(2 * high, MOST)

    def narrowed(self, low: int, high: int) -> tuple[int, int, int]:
        """The numbers next to those that can't be told from the target, and of how many studies."""
        many = min(self.studies, _FIRST)
        before = (low, high)
        while high - low > 1:
            if before == (low, high):
                many = min(self.studies, 4 * many)
            before = (low, high)
            inner = np.linspace(low, high, min(_AT_ONCE, high - low - 1) + 2)[1:-1]
            tried = sorted({round(n) for n in inner})
            limits = dict(zip(tried, map(_limits, self.found(tried, many)), strict=True))
            high = min([high, *(n for n in tried if limits[n][0] >= self.target)])
            low = max([low, *(n for n in tried if limits[n][1] < self.target and n < high)])
            if before == (low, high) and many == self.studies:
                break
        return low, high, many

    def found(self, numbers: Sequence[int], many: int) -> list[NDArray[np.intp]]:
        """``Simulated.found`` of each number in the first ``many`` studies."""
        for have in {len(self.kept.get(n, ())) for n in numbers} - {many}:
            these = [n for n in numbers if len(self.kept.get(n, ())) == have]
            more = self.top.found([self.size(n) for n in these], range(have, many))
            for n, new in zip(these, more, strict=True):
                self.kept[n] = np.concatenate([self.kept[n], new]) if have else new
        return [self.kept[n] for n in numbers]


def difference_found(made: Power, target: float = 0.8) -> float | None:
    """About the difference that has the power ``target``, from the power of another.

    A two-sided test of a normal mean that lies d standard errors from zero has the power
    Phi(d - z), where z is the quantile of its level, as far as the other side is of no account.
    None where the power of 0 or 1 of all studies says nothing of d.
    """
    if not 0 < made.power < 1:
        return None
    z, here, there = -scipy.special.ndtri([made.looks[-1][1] / 2, 1 - made.power, 1 - target])
    return float(made.difference * (there + z) / (here + z))


def _check(n_raters: int, n_images: int, studies: int) -> None:
    if min(n_raters, n_images, studies) < 1:
        raise StatisticsError(
            f"Can't simulate {studies} studies of {n_raters} raters and {n_images} images.",
            "Each must be at least 1.",
        )


def _limits(found: NDArray[np.intp]) -> tuple[float, float]:
    """``share_limits`` of the studies that found it."""
    return share_limits(float((found > 0).mean()), found.size)


def share_limits(share: float, n: int) -> tuple[float, float]:
    """Wilson's limits of a share of ``n``, each 95 % to one side (Wilson 1927, JASA 22(158))."""
    z = float(scipy.special.ndtri(0.95))
    root = z * math.sqrt(z**2 / 4 + n * share * (1 - share))
    middle = n * share + z**2 / 2
    return (middle - root) / (n + z**2), (middle + root) / (n + z**2)


@dataclass(frozen=True)
class _Simulated:
    """``Simulated`` studies of category ratings."""

    difference: float
    n_raters: int
    n_images: int
    plan: Plan
    model: RaterModel
    images_like: ImageModel
    seed: int
    seen: NDArray[np.bool_] | None
    _levels: dict[int, list[tuple[int, float]]] = field(default_factory=dict)

    def found(self, sizes: Sequence[tuple[int, int]], studies: Sequence[int]) -> NDArray[np.intp]:
        made = np.zeros((len(sizes), len(studies)), dtype=np.intp)
        for place, study in enumerate(studies):
            drawn = self._draw(np.random.default_rng([self.seed, study]))
            for row, (raters, images) in enumerate(sizes):
                looks = self._looks(raters)
                made[row, place] = next(
                    (n for n, level in looks if self._p(drawn, n, images) < level), 0
                )
        return made

    def power(self, found: NDArray[np.intp], n_raters: int, n_images: int) -> Power:
        return Power.of(self.plan, self.difference, found, n_raters, n_images)

    def _looks(self, raters: int) -> list[tuple[int, float]]:
        if raters not in self._levels:
            self._levels[raters] = self.plan.levels(raters)
        return self._levels[raters]

    @cached_property
    def _methods(self) -> int:
        """The methods of which votes are drawn: only screening looks at those of the others.

        With a hidden reference it is the last of them.
        """
        return self.plan.of_an_image - (0 if self.plan.screening else self.plan.methods - 2)

    @property
    def _others(self) -> int:
        """Stimuli of the other methods, which take places in the orders of raters."""
        return (self.plan.of_an_image - self._methods) * self.n_images

    def _draw(self, generator: np.random.Generator) -> DrawnVotes:
        like, unit, methods = self.images_like, self.plan.unit, self._methods
        difficulty = generator.normal(size=self.n_images) * like.image_sd
        own = generator.normal(size=(methods, self.n_images))
        own *= like.interaction_sd * (unit in ("image", "both"))
        levels = np.full((methods, 1), like.quality)
        levels[:2, 0] += np.array([0.5, -0.5]) * self.difference
        if self.plan.task == "acr-hr":
            levels[-1] = self.model.high - _BELOW_TOP * (self.model.high - self.model.low)
        model = replace(self.model, taste_sd=0.0) if unit == "image" else self.model
        if self.plan.looks != 1:
            model = replace(model, dropout_rate=0.0)
        method = np.repeat(np.arange(methods), self.n_images)
        quality = (levels + difficulty + own).ravel()
        return draw_votes(model, quality, method, self.n_raters, generator, self._others)

    def _p(self, drawn: DrawnVotes, n_raters: int, n_images: int) -> float:
        shown_here = np.tile(np.arange(self.n_images) < n_images, self.plan.of_an_image)
        rows = shown_here[: len(drawn.scores)]
        position = drawn.position[:, :n_raters]
        if n_images < self.n_images:
            position = _places(position, shown_here[:, None])[shown_here]
        if self.plan.task == "acr-hr" and self.plan.subset < 1:
            reference = position[(self._methods - 1) * n_images : self._methods * n_images]
            first = reference.argsort(axis=0).argsort(axis=0) < self.plan.whole_images(n_images)
            position = _places(position, np.tile(first, (self.plan.of_an_image, 1)))
        votes = DrawnVotes(
            drawn.scores[rows, :n_raters],
            position,
            drawn.response_ms[rows, :n_raters],
            drawn.rated[:n_raters],
        )
        shown = len(position) if self.seen is not None else self.plan.shown(n_images)
        cast = votes.cast(min(shown, len(position)))
        scores = np.where(cast, votes.scores, np.nan).reshape(self._methods, n_images, n_raters)
        pair = scores[:2]
        if self.plan.task == "acr-hr":
            pair = np.where(np.isnan(scores[-1]), np.nan, pair)
        if self.seen is not None:
            pair = np.where(self.seen[:n_images, :n_raters], pair, np.nan)
        if self.plan.screening:
            pair = pair[:, :, self._kept(votes, cast, n_images)]
        return _p(pair, self.plan.unit, self.model.scale)

    def _kept(self, votes: DrawnVotes, cast: NDArray[np.bool_], n_images: int) -> NDArray[np.bool_]:
        """Which raters the rules leave in."""
        frame = votes.frame(_stimuli(self._methods, n_images), cast).assign(accepted=True)
        found, _ = apply([RULES[name] for name in self.plan.screening], frame)
        rejected = {rater for made in found for rater in made.rejected}
        return np.array([f"sim-{n + 1:03}" not in rejected for n in range(votes.rated.size)])


def _places(position: NDArray[np.intp], listed: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The places, (J, I), in raters' orders of those that are ``listed``; the others come after."""
    listed = np.broadcast_to(listed, position.shape)
    here = np.zeros(position.shape, dtype=np.intp)
    np.put_along_axis(here, position, listed.astype(np.intp), axis=0)
    before = here.cumsum(axis=0) - here
    return np.where(listed, np.take_along_axis(before, position, axis=0), len(position))


@lru_cache(maxsize=64)
def _stimuli(methods: int, n_images: int) -> pd.DataFrame:
    return make_stimuli({f"m{number}": 0.0 for number in range(methods)}, n_images)


def _p(pair: Floats, unit: Unit, scale: Scale = ACR) -> float:
    """The p of one comparison, as ``compare_methods`` has it, of scores (2, images, raters).

    NaN marks a vote that wasn't cast, and the p of a test that can't be made.
    """
    both = ~np.isnan(pair).any(axis=0)
    if unit == "both":
        if np.isnan(pair).all(axis=(1, 2)).any():
            return math.nan
        image, rater = np.nonzero(np.ones(both.shape))
        _, test = crossed_test(pair.reshape(2, -1).T, rater, image, scale)
        return test.p if test else math.nan
    if not both.any():
        return math.nan
    if unit == "pooled":
        return signed_rank(*pair[:, both]).p
    axis = 0 if unit == "rater" else 1
    counts = both.sum(axis=axis)
    sums = np.where(both, pair, 0.0).sum(axis=axis + 1)
    return signed_rank(*(sums[:, counts > 0] / counts[counts > 0])).p
