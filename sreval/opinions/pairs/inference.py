"""Tests and intervals of scale values, with raters and images as sources of error.

Judgements of one rater, and on one image, go together. Errors are those of the sandwich over
raters, over images, or over both (``PairFit.covariance``), here with small-sample factors and
Student's t. "information" treats judgements as if they were independent, and has another name in
everything printed.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sreval.opinions.intervals import Interval
from sreval.opinions.pairs.models import Comparisons, Model, PairFit, Source, Ties
from sreval.opinions.significance import Verdict


@dataclass(frozen=True)
class ScaleValue:
    """``theta`` of a method with its standard ``error`` among values that sum to zero."""

    method: str
    theta: float
    error: float
    interval: Interval


@dataclass(frozen=True)
class PairTest:
    """Method ``first`` against ``second``: theta_first - theta_second.

    ``difference`` has Student's t interval of this pair alone with ``freedom``; ``adjusted`` the
    same at the level that matches the adjusted test (``significance.compatible_levels``);
    ``win`` the share of decisive judgements that prefer the first with its interval. ``p`` is
    of no difference, NaN where no test can be made; ``verdict`` the test's among all pairs.
    """

    first: str
    second: str
    difference: Interval
    adjusted: Interval
    win: Interval
    error: float
    p: float
    verdict: Verdict


@dataclass(frozen=True)
class Equality:
    """The test that all methods are alike: F on ``freedom`` (between, within), or chi-square.

    ``statistic`` is F by a robust covariance, else Wald's chi-square, whose second freedom is
    infinite. All NaN where it can't be made.
    """

    statistic: float
    freedom: tuple[float, float]
    p: float


@dataclass(frozen=True)
class PairComparison:
    """All pairs of methods by one fit, methods in falling order of theta.

    ``unit`` is that of the errors, ``of`` what an image is (image or sequence); ``claim`` says what
    the tests are about, ``why`` why the unit isn't "both" where none was named, ``warning`` what to
    be told of too few raters, or of one. ``order_effect`` is None in a fit without it. ``letters``
    is empty where no pair could be tested.
    """

    fit: PairFit
    unit: Source
    of: str
    why: str
    claim: str
    warning: str
    level: float
    adjustment: str
    values: tuple[ScaleValue, ...]
    pairs: tuple[PairTest, ...]
    equality: Equality
    order_effect: Interval | None
    letters: dict[str, str]

    def frame(self) -> pd.DataFrame:
        """One row a pair: first, second, difference, error, freedom, low, high, win, p, ..."""
        raise NotImplementedError


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood ratio test, as if all judgements were independent."""

    statistic: float
    freedom: int
    p: float


@dataclass(frozen=True)
class Goodness:
    """How well the model fits the shares of each pair, as if all judgements were independent.

    ``deviance`` is G^2, ``pearson`` X^2, on ``freedom``; ``p`` that of G^2. ``worst`` has one
    row an outcome of a pair, the largest Pearson residual first: left, right, outcome, observed,
    expected, residual.
    """

    deviance: float
    pearson: float
    freedom: int
    p: float
    worst: pd.DataFrame


@dataclass(frozen=True)
class Share:
    """How often ``first`` was preferred to ``second``, ties half, over ``n`` judgements."""

    first: str
    second: str
    n: float
    share: Interval


def compare(
    fit: PairFit, unit: Source | None = None, level: float = 0.95, adjust: str = "holm"
) -> PairComparison:
    """Scale values and all pairs of methods with errors by ``unit``; None: ``default_unit``'s.

    ``adjust`` is one of ``significance.ADJUSTMENTS``; p below 1 - ``level`` are significant.
    Raises UsageError for an unknown unit or adjustment, StatisticsError for another level.
    """
    raise NotImplementedError


def order_test(comparisons: Comparisons, model: Model, ties: Ties = "refuse") -> LikelihoodRatio:
    """That the left place has no advantage. Raises StatisticsError as ``fit`` does."""
    raise NotImplementedError


def equality_test(fit: PairFit) -> LikelihoodRatio:
    """That all methods are alike."""
    raise NotImplementedError


def images_test(fit: PairFit) -> LikelihoodRatio:
    """That one scale fits all images, against a scale for each."""
    raise NotImplementedError


def goodness(fit: PairFit) -> Goodness:
    """G^2 and X^2 of a fit against free shares of each pair, by side with ``order``."""
    raise NotImplementedError


def shares(
    comparisons: Comparisons, unit: Source | None = None, level: float = 0.95
) -> tuple[Share, ...]:
    """The preference share of each judged pair, its interval by ``unit`` as in ``compare``."""
    raise NotImplementedError
