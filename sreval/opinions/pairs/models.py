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
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np
from scipy import special

from sreval.errors import StatisticsError, not_in_results, unknown_name
from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.comparisons import (
    JUDGEMENT_COLUMNS,
    Comparisons,
    unit_codes,
    unit_sums,
)
from sreval.opinions.pairs.existence import Existence, check, connected, existence
from sreval.opinions.pairs.likelihood import (
    MODELS,
    NORMAL,
    TIE_MODELS,
    Likelihood,
    Model,
    Terms,
    Ties,
    distribution,
    refuse_ties,
    weights,
)

__all__ = [
    "JUDGEMENT_COLUMNS",
    "MODELS",
    "TIE_MODELS",
    "Comparisons",
    "Existence",
    "Model",
    "PairFit",
    "Source",
    "Ties",
    "existence",
    "firth",
    "fit",
]

Source = Literal["information", "rater", "image", "both"]
"""What the errors are about: judgements as if independent, or raters, images or both as units."""

JOD: Final = 0.6744897501960817
"""The difference in standard deviations that 75 % prefer."""


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
        if self.model not in NORMAL:
            raise StatisticsError(
                f"The model {self.model} has no JOD.", f"Fit one of {', '.join(NORMAL)}."
            )
        return self.theta / JOD

    @cached_property
    def parameters(self) -> Floats:
        """(theta, order effect, tie parameter), as far as fitted, (k,)."""
        others = (self.order_effect, self.tie_parameter)
        return np.array([*self.theta, *(value for value in others if not math.isnan(value))])

    @cached_property
    def likelihood(self) -> Likelihood:
        """The likelihood of which this is the maximum."""
        return Likelihood.of(self.comparisons, self.model, self.order, self.ties)

    @cached_property
    def _terms(self) -> Terms:
        return self.likelihood.terms(self.parameters)

    @cached_property
    def influences(self) -> Floats:
        """What each judgement moved the parameters by, H^-1 s, (N, k), times its count."""
        slopes = np.einsum(
            "op,mpi,mik->mok",
            weights(self.model, self.ties),
            self._terms.slopes,
            self.likelihood.design,
            optimize=True,
        )
        moves = slopes @ self.likelihood.inverse(self.likelihood.observed(self._terms))
        comparisons = self.comparisons
        own = moves[comparisons.cells[2], 1 - comparisons.outcome]
        return np.asarray(own * comparisons.count[:, None])

    @cached_property
    def information(self) -> Floats:
        """The information of all judgements, as if independent, (k, k).

        The expected one, but for rao-kupper and glenn-david the observed one.
        """
        ordered = self.model in ("rao-kupper", "glenn-david")
        return (self.likelihood.observed if ordered else self.likelihood.expected)(self._terms)

    def standardised(self) -> tuple[Floats, Floats]:
        """The way from coordinates with unit information to parameters, (k, m), and back, (k, m).

        m is k - 1, as theta sum to zero: parameters = first @ c, and c = second.T @ parameters.
        """
        basis = self.likelihood.basis
        root = np.linalg.cholesky(basis.T @ self.information @ basis)
        return basis @ np.linalg.inv(root).T, basis @ root

    def covariance(self, source: Source = "both") -> Floats:
        """The covariance of (theta, order effect, tie parameter), as far as fitted, (k, k).

        k is n, one more with ``order``, one more in a tie model. "information": the inverse of the
        expected information, of the observed one in rao-kupper and glenn-david. Else the sandwich
        H^-1 (sum over units of s s') H^-1 (White 1982, Econometrica 50(1); Liang and Zeger 1986,
        Biometrika 73(1)), "both" V_rater + V_image - V_cell (Cameron, Gelbach and Miller 2011,
        Journal of Business and Economic Statistics 29(2)), all without small-sample factors:
        ``inference`` has these. Raises StatisticsError for "information" with ties as halves.
        """
        if source == "information":
            if self.ties == "half" and self.comparisons.n_ties:
                raise StatisticsError(
                    "Ties as half wins have no likelihood, and no information.",
                    "Take the errors over raters, images or both, or a model with ties.",
                )
            return self.likelihood.inverse(self.information)
        codes = unit_codes(self.comparisons)
        squares = {}
        for name in ("rater", "image", "both") if source == "both" else (source,):
            sums = unit_sums(self.influences, codes[name])
            squares[name] = sums.T @ sums
        if source == "both":
            return np.asarray(squares["rater"] + squares["image"] - squares["both"])
        return np.asarray(squares[source])

    def difference(self, first: str, second: str) -> float:
        """theta of ``first`` minus that of ``second``. Raises UsageError for an unknown name."""
        a, b = (self._number(name) for name in (first, second))
        return float(self.theta[a] - self.theta[b])

    def win_probability(self, first: str, second: str) -> float:
        """The share of decisive judgements that prefer ``first``, without side advantage.

        Raises UsageError for an unknown name.
        """
        return float(self.win_share(np.array(self.difference(first, second))))

    def win_share(self, difference: Floats) -> Floats:
        """The share of decisive judgements that prefer the higher by ``difference`` of theta."""
        if self.model in ("bradley-terry", "davidson", "thurstone"):
            return np.asarray(distribution(self.model).below(difference))
        log_below = distribution(self.model).log_below
        won, lost = (log_below(sign * difference - self.tie_parameter) for sign in (1, -1))
        return np.asarray(special.expit(won - lost))

    def _number(self, name: str) -> int:
        if name not in self.comparisons.methods:
            raise not_in_results("method", name, self.comparisons.methods)
        return self.comparisons.methods.index(name)


def fit(
    comparisons: Comparisons,
    model: Model = "bradley-terry",
    order: bool = False,
    ties: Ties = "refuse",
) -> PairFit:
    """The maximum likelihood estimate of a model, by Newton's method.

    ``order`` adds the left place's advantage; ``ties`` is only for models without ties. Raises
    UsageError for an unknown model or rule for ties, StatisticsError where the estimate doesn't
    exist (``existence``) or a model without ties meets some that it is to refuse.
    """
    likelihood = _likelihood(comparisons, model, order, ties)
    check(comparisons, model, order, ties)
    parameters, value = likelihood.maximum()
    return _fitted(comparisons, likelihood, ties, parameters, value)


def firth(comparisons: Comparisons, order: bool = False, ties: Ties = "refuse") -> PairFit:
    """Bradley-Terry with Firth's penalty, finite wherever the comparisons are connected.

    The maximum of ln L + ln det(information) / 2, Jeffreys' prior (Firth 1993, Biometrika 80(1)).
    ``log_likelihood`` of the fit is without the penalty. Raises UsageError and StatisticsError as
    ``fit`` does, of what is infinite only for parts that no judgement links and for an advantage
    of the left place that can't be told from the methods. No p and no interval is made from it.
    """
    likelihood = _likelihood(comparisons, "bradley-terry", order, ties)
    connected(comparisons, order, ties)
    penalised = likelihood
    for _ in range(_MOST_ROUNDS):
        parameters = penalised.maximum()[0]
        terms = likelihood.terms(parameters)
        # with the canonical link the penalty adds half of each pair's leverage to both its counts
        p = np.exp(terms.log_p[:, 0])
        x = likelihood.design[:, 0]
        variance = likelihood.inverse(likelihood.expected(terms))
        total = likelihood.counts.sum(axis=1)
        leverage = total * p * (1 - p) * np.einsum("mk,kl,ml->m", x, variance, x)
        added = likelihood.counts + leverage[:, None] * np.array([0.5, 0, 0.5])
        moved = float(np.abs(added - penalised.counts).max())
        penalised = replace(likelihood, counts=added)
        if moved < _SETTLED:
            break
    value = likelihood.value(likelihood.terms(parameters))
    return _fitted(comparisons, likelihood, ties, parameters, value)


_MOST_ROUNDS = 200
_SETTLED = 1e-11
"""Judgements by which the penalty's share of a pair no longer changes."""


def _likelihood(comparisons: Comparisons, model: Model, order: bool, ties: Ties) -> Likelihood:
    if ties not in ("refuse", "half", "drop"):
        raise unknown_name("rule for ties", ties, ("refuse", "half", "drop"))
    likelihood = Likelihood.of(comparisons, model, order, ties)
    refuse_ties(comparisons, model, ties)
    return likelihood


def _fitted(
    comparisons: Comparisons, likelihood: Likelihood, ties: Ties, parameters: Floats, value: float
) -> PairFit:
    n = len(comparisons.methods)
    return PairFit(
        comparisons=comparisons,
        model=likelihood.model,
        order=likelihood.order,
        ties=ties,
        theta=parameters[:n],
        order_effect=float(parameters[n]) if likelihood.order else math.nan,
        tie_parameter=float(parameters[-1]) if likelihood.model in TIE_MODELS else math.nan,
        log_likelihood=value,
    )
