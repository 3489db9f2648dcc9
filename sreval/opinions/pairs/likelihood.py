"""The likelihood of all models of paired comparisons: concave in two linear predictors.

Of the ordered models (bradley-terry and thurstone too, with eta zero) the predictors of an ordered
pair are (x - eta, x + eta), and ln P is ln F(a), ln(F(b) - F(a)) and ln F(-b) for left, tie and
right. Of davidson they are (x, t) with t = log nu - delta / 2, and left : tie : right =
exp(x / 2) : exp(t) : exp(-x / 2). ``models`` says what x, delta, eta and nu are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy import special

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.pairs.comparisons import Comparisons

Model = Literal["bradley-terry", "thurstone", "davidson", "rao-kupper", "glenn-david"]
Ties = Literal["refuse", "half", "drop"]
"""What a model without ties makes of them: an error, half a win for each side, or nothing."""

TIE_MODELS: Final[tuple[Model, ...]] = ("davidson", "rao-kupper", "glenn-david")
MODELS: Final[tuple[Model, ...]] = ("bradley-terry", "thurstone", *TIE_MODELS)
NORMAL: Final[tuple[Model, ...]] = ("thurstone", "glenn-david")
"""The models whose unit is the standard deviation of a difference; the others have logits."""


class Distribution(NamedTuple):
    """A symmetric distribution function F, ln F, the log of its density, and that log's slope."""

    below: Callable[[Floats], Floats]
    log_below: Callable[[Floats], Floats]
    log_density: Callable[[Floats], Floats]
    score: Callable[[Floats], Floats]


_LOGISTIC = Distribution(
    special.expit,
    special.log_expit,
    lambda x: np.asarray(special.log_expit(x) + special.log_expit(-x)),
    lambda x: -np.tanh(x / 2),
)
_NORMAL = Distribution(
    special.ndtr,
    special.log_ndtr,
    lambda x: -(x**2) / 2 - np.log(2 * np.pi) / 2,
    lambda x: -x,
)


def distribution(model: Model) -> Distribution:
    """The one of a model's differences."""
    return _NORMAL if model in NORMAL else _LOGISTIC


class Terms(NamedTuple):
    """ln P of left, tie and right, (M, 3), its slopes (M, 3, 2) and curvatures (M, 3, 2, 2)."""

    log_p: Floats
    slopes: Floats
    curvatures: Floats


def _ordered(z: Floats, by: Distribution, ties: bool) -> Terms:
    a, b = z.T
    out = Terms(*(np.zeros((len(z), 3, *[2] * rank)) for rank in range(3)))
    for column, at, sign in ((0, a, 1), (2, -b, -1)):
        out.log_p[:, column] = by.log_below(at)
        ratio = np.exp(by.log_density(at) - out.log_p[:, column])
        curvature = ratio * (by.score(at) - ratio)
        place = column // 2
        out.slopes[:, column, place] = sign * ratio
        out.curvatures[:, column, place, place] = curvature
    if ties:
        # in the tail that loses no digits
        p = np.where(a > 0, by.below(-a) - by.below(-b), by.below(b) - by.below(a))
        p = np.where(p > 0, p, np.nan)
        out.log_p[:, 1] = np.log(p)
        ratios = [np.exp(by.log_density(at)) / p for at in (a, b)]
        slopes = np.stack([-ratios[0], ratios[1]], axis=1)
        out.slopes[:, 1] = slopes
        own = slopes * by.score(z)
        out.curvatures[:, 1] = own[:, :, None] * np.eye(2) - slopes[:, :, None] * slopes[:, None, :]
    return out


_UTILITIES = np.array([[0.5, 0.0], [0.0, 1.0], [-0.5, 0.0]])


def _davidson(z: Floats) -> Terms:
    utilities = z @ _UTILITIES.T
    log_p = utilities - special.logsumexp(utilities, axis=1, keepdims=True)
    p = np.exp(log_p)
    mean = p @ _UTILITIES
    slopes = _UTILITIES - mean[:, None, :]
    spread = -np.einsum("mo,moi,moj->mij", p, slopes, slopes)
    return Terms(log_p, slopes, np.repeat(spread[:, None], 3, axis=1))


def probabilities(
    model: Model, x: Floats, order_effect: float = 0.0, tie_parameter: float = 0.0
) -> Floats:
    """P of left, tie and right, (N, 3), for ``x`` (N,) = theta_left - theta_right.

    ``tie_parameter`` is log nu or eta, and counts in a tie model alone.
    """
    if model == "davidson":
        tie = np.full(x.shape, tie_parameter - order_effect / 2)
        utilities = np.stack([x + order_effect, tie], axis=1) @ _UTILITIES.T
        return np.asarray(special.softmax(utilities, axis=1))
    eta = tie_parameter if model in TIE_MODELS else 0.0
    below = distribution(model).below
    left, right = below(x + order_effect - eta), below(-x - order_effect - eta)
    tie = 1 - left - right if model in TIE_MODELS else np.zeros(x.shape)
    return np.stack([left, tie, right], axis=1)


_WAYS: Final = {
    "ordered": ([[1, 0]], [[-1, 0], [0, 1]], [[0, -1]]),
    "davidson": ([[1, 0], [0.5, -1]], [[-0.5, 1], [0.5, 1]], [[-1, 0], [-0.5, -1]]),
}
"""By outcome, the combinations of predictors in which ln P never falls: the cone of its growth."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The log likelihood of a model on M ordered pairs, of K parameters.

    These are theta (n), delta with ``order`` and the tie parameter of a tie model. ``design``
    (M, 2, K) makes predictors of parameters; ``counts`` (M, 3) are of left, tie and right;
    ``basis`` (K, K - 1) spans the parameters whose theta sum to zero, orthonormal.
    """

    model: Model
    design: Floats
    counts: Floats
    basis: Floats
    n_methods: int
    order: bool

    @classmethod
    def of(cls, comparisons: Comparisons, model: Model, order: bool, ties: Ties) -> Likelihood:
        """That of these comparisons. Raises UsageError for an unknown model."""
        if model not in MODELS:
            raise unknown_name("model", model, MODELS)
        left, right, _, counts = comparisons.cells
        return cls.on(left, right, counts @ weights(model, ties), len(comparisons.methods),
                      model, order)  # fmt: skip

    @classmethod
    def on(
        cls, left: Codes, right: Codes, counts: Floats, n: int, model: Model, order: bool
    ) -> Likelihood:
        """That of ``counts`` (M, 3) of the pairs of ``left`` and ``right``, (M,), of n methods."""
        cells = np.arange(left.size)
        tie = model in TIE_MODELS
        design = np.zeros((left.size, 2, n + order + tie))
        for predictor in (0,) if model == "davidson" else (0, 1):
            design[cells, predictor, left] = 1
            design[cells, predictor, right] = -1
            if order:
                design[:, predictor, n] = 1
        if model == "davidson":
            design[:, 1, -1] = 1
            if order:
                design[:, 1, n] = -0.5
        elif tie:
            design[:, :, -1] = [-1, 1]
        basis = np.eye(n + order + tie)[:, 1:]
        # Helmert contrasts: each method against the mean of those before it
        for k in range(1, n):
            basis[:n, k - 1] = np.where(np.arange(n) < k, -1 / k, np.arange(n) == k)
            basis[:n, k - 1] /= np.sqrt(1 + 1 / k)
        return cls(model, design, counts, basis, n, order)

    def terms(self, parameters: Floats) -> Terms:
        """ln P and its derivatives by the predictors at ``parameters`` (K,)."""
        z = self.design @ parameters
        if self.model == "davidson":
            return _davidson(z)
        return _ordered(z, distribution(self.model), self.model in TIE_MODELS)

    def value(self, terms: Terms) -> float:
        """The log likelihood; minus infinity where it isn't defined."""
        value = float(np.where(self.counts > 0, self.counts * terms.log_p, 0.0).sum())
        return value if np.isfinite(value) else -np.inf

    def gradient(self, terms: Terms) -> Floats:
        """Its derivative, (K,)."""
        by_predictor = np.einsum("mo,moi->mi", self.counts, terms.slopes)
        return np.asarray(np.einsum("mi,mik->k", by_predictor, self.design))

    def observed(self, terms: Terms) -> Floats:
        """The observed information, (K, K)."""
        return self._square(-np.einsum("mo,moij->mij", self.counts, terms.curvatures))

    def expected(self, terms: Terms) -> Floats:
        """The expected information, (K, K), of as many judgements of each pair."""
        p = np.exp(terms.log_p)
        if self.model not in TIE_MODELS:
            p[:, 1] = 0
        weights = p * self.counts.sum(axis=1, keepdims=True)
        return self._square(np.einsum("mo,moi,moj->mij", weights, terms.slopes, terms.slopes))

    def inverse(self, information: Floats) -> Floats:
        """The inverse of an ``information`` (K, K) among parameters whose theta sum to zero."""
        own = self.basis.T @ information @ self.basis
        return np.asarray(self.basis @ np.linalg.inv(own) @ self.basis.T)

    def growth(self) -> Floats:
        """Rows (L, K) by which a direction of parameters has to be at least zero.

        Exactly along these directions no judgement that was made gets less likely, without end.
        """
        ways = _WAYS["davidson" if self.model == "davidson" else "ordered"]
        rows = [
            np.asarray(way, dtype=np.float64) @ self.design[cell]
            for outcome, way in enumerate(ways)
            for cell in np.flatnonzero(self.counts[:, outcome] > 0)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.design.shape[2]))

    def start(self) -> Floats:
        """Parameters of equal methods, with the share of ties that there is."""
        parameters = np.zeros(self.design.shape[2])
        if self.model in TIE_MODELS:
            total = self.counts.sum(axis=0)
            share = total[1] / (total.sum() + 1)  # below 1 also where all are ties
            if self.model == "davidson":
                parameters[-1] = np.log(2 * share / (1 - share))
            else:
                inverse = special.ndtri if self.model in NORMAL else special.logit
                parameters[-1] = inverse((1 + share) / 2)
        return parameters

    def maximum(
        self, free: Floats | None = None, order_effect: float | None = None
    ) -> tuple[Floats, float]:
        """The parameters (K,) that maximise it, by Newton's method, and its value there.

        ``free`` (K, F), None: ``basis``, spans the parameters that may vary; an ``order_effect``
        that is given doesn't. Where there is no maximum the value is its bound, and the parameters
        mean nothing.
        """
        free = self.basis if free is None else free
        parameters = self.start()
        if order_effect is not None:
            parameters[self.n_methods] = order_effect
            free = free[:, free[self.n_methods] == 0]
        terms = self.terms(parameters)
        value = self.value(terms)
        if not free.shape[1]:
            return parameters, value
        for _ in range(_MOST_STEPS):
            score = free.T @ self.gradient(terms)
            information = free.T @ self.observed(terms) @ free
            step = np.linalg.lstsq(information, score, rcond=None)[0]
            gain = float(score @ step)
            taken = 1.0
            while taken > _LEAST_STEP:
                there = parameters + taken * (free @ step)
                terms_there = self.terms(there)
                reached = self.value(terms_there)
                if reached >= value - _ROUNDING * abs(value):
                    break
                taken /= 2
            else:
                break
            parameters, terms, value = there, terms_there, reached
            if gain < _CONVERGED:
                break
        return parameters, value

    def _square(self, by_predictor: Floats) -> Floats:
        return np.asarray(
            np.einsum("mik,mij,mjl->kl", self.design, by_predictor, self.design, optimize=True)
        )


_MOST_STEPS = 100
_LEAST_STEP = 1e-9
_ROUNDING = 1e-14
_CONVERGED = 1e-13
"""Newton's last step gains half of the squared score: what is left after it is its square."""


def weights(model: Model, ties: Ties) -> Floats:
    """What a judgement of left, tie, right (rows) counts as (columns), (3, 3)."""
    kept = np.eye(3)
    if model not in TIE_MODELS:
        kept[1] = [0.5, 0, 0.5] if ties == "half" else [0, 0, 0]
    return kept


def refuse_ties(comparisons: Comparisons, model: Model, ties: Ties) -> None:
    """Raise StatisticsError where a model without ties meets some that it is to refuse."""
    if ties == "refuse" and model not in TIE_MODELS and comparisons.n_ties:
        raise StatisticsError(
            f"{comparisons.n_ties:g} of {comparisons.n_judgements:g} judgements are ties, which "
            f"the model {model} doesn't have.",
            f"Use one of {', '.join(TIE_MODELS)}.",
        )
