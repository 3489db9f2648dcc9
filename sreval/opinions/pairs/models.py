"""Scale values of methods from paired comparisons: five models, one likelihood.

With x = theta_left - theta_right + delta, delta the advantage of the left place (zero without
``order``), F the logistic distribution function and Phi the normal one, a judgement is

- ``bradley-terry``: P(left) = F(x). Bradley and Terry 1952, Biometrika 39(3/4).
- ``thurstone``, his case V: P(left) = Phi(x). Thurstone 1927, Psychological Review 34(4). His own
  unit, a standard deviation of 1 for each method, is x times the root of 2.
- ``davidson``: P(left) : P(right) : P(tie) = exp(theta_left + delta) : exp(theta_right) :
  nu exp((theta_left + theta_right) / 2); the tie parameter is log nu. Davidson 1970, Journal of
  the American Statistical Association 65(329).
- ``rao-kupper``: P(left) = F(x - eta), P(right) = F(-x - eta), else a tie; the tie parameter is
  eta. Rao and Kupper 1967, Journal of the American Statistical Association 62(317).
- ``glenn-david``: the same with Phi. Glenn and David 1960, Biometrics 16(1).

The theta of all methods sum to zero. They are those of the average judgement: where raters or
images differ, theta is what the model says of a rater and an image drawn at random, which lies
nearer to zero than the average of each rater's own theta.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from sreval.opinions.arrays import Codes, Floats

Model = Literal["bradley-terry", "thurstone", "davidson", "rao-kupper", "glenn-david"]
Ties = Literal["refuse", "half", "drop"]
"""What a model without ties makes of them: an error, half a win for each side, or nothing."""
Source = Literal["information", "rater", "image", "both"]
"""What the errors are about: judgements as if independent, or raters, images or both as units."""

TIE_MODELS: Final[tuple[Model, ...]] = ("davidson", "rao-kupper", "glenn-david")
MODELS: Final[tuple[Model, ...]] = ("bradley-terry", "thurstone", *TIE_MODELS)

JUDGEMENT_COLUMNS: Final = ("dataset", "image", "rater", "left", "right", "choice", "count")
"""What every frame of judgements has, one row a judgement or a ``count`` of equal ones.

``dataset``, ``image`` and ``rater`` are "" where the file has none; ``choice`` is left, right or
tie; ``count`` is above 0. Where the file has them there are ``seconds``, NaN where missing, and
``kind``: real, repeat, trap, same or training.
"""


@dataclass(frozen=True, eq=False)
class Comparisons:
    """N judgements, or counts of equal ones, of one data set, as arrays of shape (N,).

    ``left`` and ``right`` index ``methods``, ``rater`` indexes ``raters``, and ``image`` indexes
    ``images``, which are sequences where the images are frames. ``outcome`` is +1 where the left
    was preferred, -1 the right, 0 a tie; ``count`` is how many judgements the row stands for.
    A file without raters, or images, has the single one "".
    """

    methods: tuple[str, ...]
    raters: tuple[str, ...]
    images: tuple[str, ...]
    left: Codes
    right: Codes
    outcome: Codes
    rater: Codes
    image: Codes
    count: Floats

    @classmethod
    def of(cls, frame: pd.DataFrame, methods: tuple[str, ...] | None = None) -> Comparisons:
        """The "real" judgements of a frame with JUDGEMENT_COLUMNS, of one data set.

        ``methods`` names those to keep, in their order: judgements on another are left out; None:
        all, sorted by name. Raises StatisticsError for no judgement, several data sets, a method
        against itself, a method that was never judged, or fewer than two methods.
        """
        raise NotImplementedError

    @property
    def n_judgements(self) -> float:
        """How many judgements there are."""
        return float(self.count.sum())

    @property
    def n_ties(self) -> float:
        """How many of them are ties."""
        return float(self.count[self.outcome == 0].sum())

    @property
    def n_raters(self) -> int:
        """How many raters there are; 1 where the file has none."""
        return len(self.raters)

    @property
    def n_images(self) -> int:
        """How many images, or sequences, there are; 1 where the file has none."""
        return len(self.images)

    def wins(self) -> Floats:
        """How often each method (row) was preferred to each (column), (n, n), without ties."""
        raise NotImplementedError

    def tied(self) -> Floats:
        """How often each two methods were tied, symmetric, (n, n)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class PairFit:
    """A model fitted by maximum likelihood.

    ``theta`` (n,) of ``comparisons.methods``, sum zero, in the units of the model: logits, or
    standard deviations of a difference. ``order_effect`` is delta, NaN without ``order``;
    ``tie_parameter`` log nu or eta, NaN in a model without ties. ``log_likelihood`` is the sum of
    ln P over judgements, without binomial constants; with ties as halves it is no likelihood.
    """

    comparisons: Comparisons
    model: Model
    order: bool
    ties: Ties
    theta: Floats
    order_effect: float
    tie_parameter: float
    log_likelihood: float

    @property
    def n_parameters(self) -> int:
        """How many parameters are free: n - 1, one for the order, one for ties."""
        tie = not math.isnan(self.tie_parameter)
        return len(self.theta) - 1 + self.order + tie

    @property
    def aic(self) -> float:
        """2 k - 2 ln L (Akaike 1974); NaN with ties as halves, which have no likelihood."""
        if self.ties == "half":
            return math.nan
        return 2 * self.n_parameters - 2 * self.log_likelihood

    @property
    def jod(self) -> Floats:
        """``theta`` (n,) in JOD: 1 is preferred by 75 % (Perez-Ortiz and Mantiuk 2017).

        Raises StatisticsError but for a model with the normal distribution: logits rescaled are
        no JOD.
        """
        raise NotImplementedError

    def covariance(self, source: Source = "both") -> Floats:
        """The covariance of (theta, order effect, tie parameter), as far as fitted, (k, k).

        k is n, one more with ``order``, one more in a tie model. "information": the inverse of the
        expected information, of the observed one in rao-kupper and glenn-david. Else the sandwich
        H^-1 (sum over units of s s') H^-1 (White 1982, Econometrica 50(1); Liang and Zeger 1986,
        Biometrika 73(1)), "both" V_rater + V_image - V_cell (Cameron, Gelbach and Miller 2011,
        Journal of Business and Economic Statistics 29(2)), all without small-sample factors:
        ``inference`` has these. Raises StatisticsError for "information" with ties as halves.
        """
        raise NotImplementedError

    def win_probability(self, first: str, second: str) -> float:
        """The share of decisive judgements that prefer ``first``, without side advantage."""
        raise NotImplementedError


def fit(
    comparisons: Comparisons,
    model: Model = "bradley-terry",
    order: bool = False,
    ties: Ties = "refuse",
) -> PairFit:
    """The maximum likelihood estimate of a model, by Newton's method.

    ``order`` adds the left place's advantage; ``ties`` is only for models without ties. Raises
    UsageError for an unknown model, StatisticsError where the estimate doesn't exist
    (``existence``) or a model without ties meets some that it is to refuse.
    """
    raise NotImplementedError


def firth(comparisons: Comparisons, order: bool = False, ties: Ties = "refuse") -> PairFit:
    """Bradley-Terry with Firth's penalty, finite wherever the comparisons are connected.

    The maximum of ln L + ln det(information) / 2, Jeffreys' prior (Firth 1993, Biometrika 80(1)).
    ``log_likelihood`` of the fit is without the penalty. Raises StatisticsError for parts without
    comparison between them. No p and no interval is made from it.
    """
    raise NotImplementedError
