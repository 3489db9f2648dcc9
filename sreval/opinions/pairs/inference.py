"""Tests and intervals of scale values, with raters and images as sources of error.

Judgements of one rater, and on one image, go together. Errors are those of the sandwich over
raters, over images, or over both (``PairFit.covariance``), here with small-sample factors and
Student's t. "information" treats judgements as if they were independent, and has another name in
everything printed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, counted, option, unknown_name
from sreval.opinions.arrays import Floats, check_level
from sreval.opinions.comparison import MeanTest
from sreval.opinions.intervals import (
    LEAST_UNITS,
    Interval,
    exact_share,
    on_scale,
    student_quantile,
)
from sreval.opinions.pairs.comparisons import Comparisons, unit_codes, unit_sums
from sreval.opinions.pairs.likelihood import NORMAL, TIE_MODELS, Likelihood, Model, Ties, weights
from sreval.opinions.pairs.models import PairFit, Source, fit
from sreval.opinions.significance import (
    ADJUSTMENTS,
    Verdict,
    compatible_levels,
    judge,
    letters,
)
from sreval.opinions.units import ENOUGH_FOR_BOTH, claim, default_unit, unit_names
from sreval.opinions.votes import Scale

SOURCES: tuple[Source, ...] = ("both", "rater", "image", "information")
INDEPENDENT = "these judgements, as if all were independent"
"""What errors of the information are about, wherever they are printed."""

_SHARE = Scale(0, 1, 0.5)


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
    infinite. NaN where it can't be made: on units too few, also for so many methods.
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
        """One row a pair: first, second, difference with intervals, win share, p, verdict."""
        comparisons = self.fit.comparisons
        return pd.DataFrame(
            {
                "first": pair.first,
                "second": pair.second,
                "unit": self.unit,
                "n_raters": comparisons.n_raters,
                "n_images": comparisons.n_images,
                "difference": pair.difference.estimate,
                "error": pair.error,
                "freedom": pair.difference.freedom,
                "low": pair.difference.low,
                "high": pair.difference.high,
                "level": pair.difference.level,
                "adjusted_low": pair.adjusted.low,
                "adjusted_high": pair.adjusted.high,
                "adjusted_level": pair.adjusted.level,
                "win": pair.win.estimate,
                "win_low": pair.win.low,
                "win_high": pair.win.high,
                "p": pair.p,
                "p_adjusted": pair.verdict.p_adjusted,
                "significant": pair.verdict.significant,
            }
            for pair in self.pairs
        )


@dataclass(frozen=True)
class LikelihoodRatio:
    """A likelihood ratio test, as if all judgements were independent."""

    statistic: float
    freedom: int
    p: float


@dataclass(frozen=True)
class Goodness:
    """How well the model fits the shares of each pair, as if all judgements were independent.

    ``deviance`` is G^2, ``pearson`` X^2, on ``freedom``; ``p`` that of G^2, NaN where the model
    leaves no freedom or expected counts are small: ``sparse`` says that more than a fifth of them
    are below 5, or one below 1 (Cochran 1954, Biometrics 10(4), from memory). ``worst`` has one row
    an outcome of a pair, the largest Pearson residual first: left, right, outcome, observed,
    expected, residual.
    """

    deviance: float
    pearson: float
    freedom: int
    p: float
    sparse: bool
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
    Raises UsageError for an unknown unit or adjustment, StatisticsError for another level. With
    ties as halves errors by "information" are too wide: halves vary less than wins do.
    """
    check_level(level)
    if adjust not in ADJUSTMENTS:
        raise unknown_name("adjustment", adjust, ADJUSTMENTS)
    comparisons = fit.comparisons
    unit, why = _chosen(comparisons, unit)
    errors = _Errors(fit, unit)
    names = comparisons.methods
    ranked = sorted(range(len(names)), key=lambda k: -fit.theta[k])
    one = np.eye(fit.parameters.size)
    values = []
    for k in ranked:
        test = errors.test(one[k])
        interval = errors.interval(test, level, "scale value")
        values.append(ScaleValue(names[k], test.estimate, test.error, interval))
    pairs = list(itertools.combinations(ranked, 2))
    tests = [errors.test(one[a] - one[b]) for a, b in pairs]
    p = [test.p if test.error > 0 else math.nan for test in tests]
    least = [math.nan if math.isnan(value) else 0.0 for value in p]
    verdicts = judge(p, least, adjust, 1 - level)
    levels = compatible_levels(p, adjust, 1 - level)
    compared = tuple(
        PairTest(
            names[a],
            names[b],
            errors.interval(test, level, "difference of scale values"),
            errors.interval(test, float(own), "difference of scale values"),
            errors.win(test, level),
            test.error,
            value,
            verdict,
        )
        for (a, b), test, own, value, verdict in zip(pairs, tests, levels, p, verdicts, strict=True)
    )
    order = None
    if fit.order:
        found = errors.test(one[len(names)])
        order = errors.interval(found, level, "advantage of the left place")
    return PairComparison(
        fit=fit,
        unit=unit,
        of=comparisons.of_images,
        why=why,
        claim=errors.claim,
        warning=_warning(comparisons, unit),
        level=level,
        adjustment=adjust,
        values=tuple(values),
        pairs=compared,
        equality=errors.equality(),
        order_effect=order,
        letters=letters(
            [names[k] for k in ranked],
            {(pair.first, pair.second): pair.verdict for pair in compared},
        ),
    )


class _Spread:
    """The covariance of sums of what each judgement moved, with units as sources of error.

    ``moves`` (N, m) are in coordinates where independent judgements would have the identity.
    Of one unit, the sum of squares of its U sums times U / (U - 1), with U - 1 degrees of freedom.
    Of both, with C that of each rater's judgements on each image, C plus the positive parts of
    V_rater - C and V_image - C: V_rater + V_image - C (Cameron, Gelbach and Miller 2011) where
    both exceed C, and below neither V_rater nor V_image in any direction. Its Student's t has the
    average of the variances, f / (f - 2), of those of its ``parts``, with their shares in what
    varies as weights. That stays closer to the part of fewer units than Satterthwaite's freedom
    does, as the weighted quantiles of Cochran 1964, Biometrics 20(1), do.
    """

    def __init__(self, moves: Floats, comparisons: Comparisons, unit: Source) -> None:
        identity = np.eye(moves.shape[1])
        codes = unit_codes(comparisons)
        own: tuple[Source, ...] = ("rater", "image") if unit == "both" else (unit,)
        if unit == "information":
            self.n = int(comparisons.n_judgements)
            self.whole, self.parts = identity, [(identity, math.inf)]
            return
        sums = {name: unit_sums(moves, codes[name]) for name in (*own, unit)}
        self.n = min(len(sums[name]) for name in own)
        self.parts = []
        for name in own:
            units = len(sums[name])
            factor = units / (units - 1) if units > 1 else math.nan
            self.parts.append((factor * sums[name].T @ sums[name], units - 1.0))
        least = ENOUGH_FOR_BOTH if unit == "both" else LEAST_UNITS
        if self.n < least:
            self.whole = np.full_like(identity, math.nan)
            return
        self.whole = self.parts[0][0]
        if unit == "both":
            cells = sums["both"].T @ sums["both"]
            self.whole = cells + sum(_positive(part - cells) for part, _ in self.parts)

    def error_and_freedom(self, direction: Floats) -> tuple[float, float]:
        """The standard error along ``direction`` (m,), and its degrees of freedom.

        The error is at least that of twice as many independent judgements: units that agree in
        everything leave open how much others would differ. NaN on too few units.
        """
        variance = float(direction @ self.whole @ direction)
        if math.isnan(variance):
            return math.nan, math.nan
        least = float(direction @ direction) / 2
        shares = [float(direction @ part @ direction) for part, _ in self.parts]
        return math.sqrt(max(variance, least)), self._freedom(shares)

    def hotelling(self, values: Floats, directions: Floats) -> Equality:
        """That all ``values`` (q,), along these ``directions`` (m, q), are zero."""
        q = values.size
        own = directions.T @ self.whole @ directions
        if np.isnan(own).any():
            return Equality(math.nan, (math.nan, math.nan), math.nan)
        metric = directions.T @ directions
        root = np.linalg.cholesky(metric)
        white = np.linalg.solve(root, np.linalg.solve(root, own).T)
        floored = root @ (_positive(white - np.eye(q) / 2) + np.eye(q) / 2) @ root.T
        square = float(values @ np.linalg.solve(floored, values))
        if self.parts[0][1] == math.inf:
            p = float(scipy.special.chdtrc(q, square))
            return Equality(square, (float(q), math.inf), p)
        shares = [
            float(np.trace(np.linalg.solve(floored, directions.T @ part @ directions)))
            for part, _ in self.parts
        ]
        freedom = self._freedom(shares)
        within = freedom - q + 1
        if within < 1:
            return Equality(math.nan, (float(q), math.nan), math.nan)
        f = square * within / (freedom * q)
        return Equality(f, (float(q), within), float(scipy.special.fdtrc(q, within, f)))

    def _freedom(self, shares: list[float]) -> float:
        freedoms = [freedom for _, freedom in self.parts]
        if len(freedoms) == 1 or sum(shares) <= 0:
            return min(freedoms)
        excess = sum(share / (own - 2) for share, own in zip(shares, freedoms, strict=True))
        return 2 + sum(shares) / excess


def _positive(matrix: Floats) -> Floats:
    """The positive part of a symmetric ``matrix``, (m, m)."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


class _Errors:
    """Student's t of any combination of a fit's parameters, with errors by one unit."""

    def __init__(self, fit: PairFit, unit: Source) -> None:
        self.fit, self.unit = fit, unit
        self.claim = _claim(unit, fit.comparisons)
        self.names = _names(unit, fit.comparisons.of_images)
        self._back, there = fit.standardised()
        self._spread = _Spread(fit.influences @ there, fit.comparisons, unit)

    def test(self, combination: Floats) -> MeanTest:
        """That of ``combination`` (k,) of the parameters; error and freedom NaN without one."""
        error, freedom = self._spread.error_and_freedom(self._back.T @ combination)
        estimate = float(self.fit.parameters @ combination)
        return MeanTest(estimate, error, freedom, self._spread.n)

    def interval(self, test: MeanTest, level: float, what: str) -> Interval:
        """The limits of a ``test`` at ``level``."""
        low, high = test.limits(level)
        return Interval(
            test.estimate, low, high, level, test.n, self.names, f"{what}: {self.claim}",
            _method(self.unit), test.freedom,
        )  # fmt: skip

    def win(self, test: MeanTest, level: float) -> Interval:
        """The share of decisive judgements that prefer the first, by its difference."""
        found = self.interval(test, level, "share that prefers the first")
        ends = np.array([found.estimate, found.low, found.high])
        estimate, low, high = self.fit.win_share(ends).tolist()
        return replace(found, estimate=estimate, low=low, high=high)

    def equality(self) -> Equality:
        """That all methods are alike."""
        methods = len(self.fit.comparisons.methods) - 1
        contrasts = self.fit.likelihood.basis[:, :methods]
        return self._spread.hotelling(contrasts.T @ self.fit.parameters, self._back.T @ contrasts)


def _chosen(comparisons: Comparisons, unit: Source | None) -> tuple[Source, str]:
    """The unit, and why it isn't "both" though none was named."""
    if unit is not None:
        if unit not in SOURCES:
            raise unknown_name("unit", unit, SOURCES)
        return unit, ""
    of, nameless = comparisons.of_images, _nameless(comparisons)
    if "rater" in nameless:
        by_image = nameless == ("rater",) and comparisons.n_images >= LEAST_UNITS
        unit_image = option("--unit image", "unit='image'")
        over = f"Over {of}s there are intervals by {unit_image}"
        return "rater", over if by_image else ""
    if nameless:
        return "rater", (
            f"A claim on raters and {of}s in general needs {ENOUGH_FOR_BOTH} of each; the "
            f"judgements name no {of}s, so that the unit is rater"
        )
    found = default_unit(comparisons.n_raters, comparisons.n_images, of)
    return "both" if found.unit == "both" else "rater", found.why


def _nameless(comparisons: Comparisons) -> tuple[str, ...]:
    """Of raters and images, those that the judgements don't name."""
    names = (("rater", comparisons.raters), (comparisons.of_images, comparisons.images))
    return tuple(what for what, own in names if own == ("",))


def _claim(unit: Source, comparisons: Comparisons) -> str:
    """What intervals and tests are about; of images without names nothing is known."""
    if unit == "information":
        return INDEPENDENT
    of = comparisons.of_images
    if unit == "rater" and of in _nameless(comparisons):
        return f"raters in general; {of}s aren't named"
    return claim(unit, of)


def _names(unit: Source, of: str) -> str:
    return "judgement" if unit == "information" else " and ".join(unit_names(unit, of))


def _method(unit: Source) -> str:
    return "normal, information" if unit == "information" else "Student t, sandwich"


def _warning(comparisons: Comparisons, unit: Source) -> str:
    """What to be told of units that are too few."""
    if unit == "information":
        return (
            "Judgements of one rater, and on one image, go together: as if independent, intervals "
            "are too narrow."
        )
    of, nameless = comparisons.of_images, _nameless(comparisons)
    counts = {"rater": (comparisons.n_raters, "rater"), "image": (comparisons.n_images, of)}
    told, enough = [], []
    for name, (n, what) in counts.items():
        there = counted(n, what)
        if what not in nameless and n >= LEAST_UNITS:
            enough.append(option(f"--unit {name}", f"unit={name!r}"))
        if unit not in ("both", name):
            continue
        if what in nameless:
            told.append(
                f"The judgements name no {what}s, so that there are no intervals or tests over "
                f"{what}s"
            )
        elif n < LEAST_UNITS:
            those = f"this {what}" if n == 1 else f"these {what}s"
            told.append(f"{there}: the values hold for {those} only")
        elif n < ENOUGH_FOR_BOTH and unit == "both":
            told.append(f"Both needs {ENOUGH_FOR_BOTH} {what}s for intervals; here are {n}")
        elif n < ENOUGH_FOR_BOTH:
            told.append(
                f"{there} tell little of others: read intervals and tests over them with care"
            )
    if told and unit == "both" and enough:
        told.append(f"There are intervals by {' or '.join(enough)}")
    return "".join(f"{sentence}. " for sentence in told).strip()


def order_test(comparisons: Comparisons, model: Model, ties: Ties = "refuse") -> LikelihoodRatio:
    """That the left place has no advantage. Raises UsageError and StatisticsError as ``fit``."""
    without, with_order = (fit(comparisons, model, order, ties) for order in (False, True))
    _check_likelihood(without)
    return _ratio(with_order.log_likelihood, without.log_likelihood, 1)


def equality_test(fit: PairFit) -> LikelihoodRatio:
    """That all methods are alike. Raises StatisticsError with ties as halves."""
    _check_likelihood(fit)
    methods = len(fit.theta) - 1
    alike = fit.likelihood.maximum(fit.likelihood.basis[:, methods:])[1]
    return _ratio(fit.log_likelihood, alike, methods)


def images_test(fit: PairFit) -> LikelihoodRatio:
    """That one scale fits all images, against a scale of its own for each.

    The advantage of the left place, where the fit has it, is one for all images.

    Raters that differ in taste make it careful: an image's judgements then vary less than if all
    were independent. Raises StatisticsError with ties as halves.
    """
    _check_likelihood(fit)
    comparisons = fit.comparisons
    freedom, apart, likelihoods = -fit.n_parameters, False, []
    for image in range(comparisons.n_images):
        own = comparisons.where(comparisons.image == image)
        likelihood = Likelihood.of(own, _with_ties(own, fit.model), fit.order, fit.ties)
        if likelihood.counts.any():
            likelihoods.append(likelihood)
            judged = likelihood.design[likelihood.counts.sum(axis=1) > 0]
            judged = judged.reshape(-1, judged.shape[2])
            rank = int(np.linalg.matrix_rank(judged))
            if fit.order:
                alone = int(np.linalg.matrix_rank(np.delete(judged, likelihood.n_methods, axis=1)))
                apart, rank = apart or rank > alone, alone
            freedom += rank

    def value(order_effect: float | None) -> float:
        return sum(one.maximum(order_effect=order_effect)[1] for one in likelihoods)

    if not fit.order:
        return _ratio(value(None), fit.log_likelihood, freedom)
    around = fit.order_effect - _FAR, fit.order_effect + _FAR
    best = scipy.optimize.minimize_scalar(lambda x: -value(x), bounds=around, method="bounded")
    return _ratio(value(float(best.x)), fit.log_likelihood, freedom + apart)


_FAR = 20.0
"""So far from what fits all images an advantage of a place is as good as without end."""


def _with_ties(comparisons: Comparisons, model: Model) -> Model:
    """The model that ``model`` comes to be where there are no ties."""
    if model not in TIE_MODELS or comparisons.n_ties:
        return model
    return "thurstone" if model in NORMAL else "bradley-terry"


def goodness(fit: PairFit) -> Goodness:
    """G^2 and X^2 of a fit against free shares of each pair, by side with ``order``.

    Raises StatisticsError with ties as halves, which are no counts.
    """
    _check_likelihood(fit)
    n = len(fit.comparisons.methods)
    left, right, _, counts = fit.comparisons.cells
    counts = counts @ weights(fit.model, fit.ties)
    if not fit.order:
        turned = left > right
        counts = np.where(turned[:, None], counts[:, ::-1], counts)
        left, right = np.minimum(left, right), np.maximum(left, right)
    pairs, cell = np.unique(left * n + right, return_inverse=True)
    observed = np.zeros((pairs.size, 3))
    np.add.at(observed, cell, counts)
    observed, pairs = observed[observed.sum(axis=1) > 0], pairs[observed.sum(axis=1) > 0]
    likelihood = Likelihood.on(pairs // n, pairs % n, observed, n, fit.model, fit.order)
    outcomes = [0, 1, 2] if fit.model in TIE_MODELS else [0, 2]
    p = np.exp(likelihood.terms(fit.parameters).log_p)[:, outcomes]
    observed = observed[:, outcomes]
    expected = observed.sum(axis=1, keepdims=True) * p
    residual = (observed - expected) / np.sqrt(expected)
    deviance = 2 * float(scipy.special.xlogy(observed, observed / expected).sum())
    freedom = pairs.size * (len(outcomes) - 1) - fit.n_parameters
    names = fit.comparisons.methods
    worst = pd.DataFrame(
        {
            "left": [names[pair // n] for pair in pairs for _ in outcomes],
            "right": [names[pair % n] for pair in pairs for _ in outcomes],
            "outcome": [("left", "tie", "right")[k] for _ in pairs for k in outcomes],
            "observed": observed.ravel(),
            "expected": expected.ravel(),
            "residual": residual.ravel(),
        }
    ).sort_values("residual", key=np.abs, ascending=False, ignore_index=True, kind="stable")
    sparse = bool((expected < 1).any() or (expected < 5).mean() > 0.2)
    chance = math.nan if sparse or not freedom else float(scipy.special.chdtrc(freedom, deviance))
    return Goodness(deviance, float((residual**2).sum()), freedom, chance, sparse, worst)


def _check_likelihood(fit: PairFit) -> None:
    if fit.ties == "half" and fit.comparisons.n_ties and fit.model not in TIE_MODELS:
        raise StatisticsError(
            "Ties as half wins have no likelihood, and no test by it.",
            f"Fit one of {', '.join(TIE_MODELS)}.",
        )


def _ratio(value: float, restricted: float, freedom: int) -> LikelihoodRatio:
    statistic = max(0.0, 2 * (value - restricted))
    p = float(scipy.special.chdtrc(freedom, statistic)) if freedom else math.nan
    return LikelihoodRatio(statistic, freedom, p)


def shares(
    comparisons: Comparisons, unit: Source | None = None, level: float = 0.95
) -> tuple[Share, ...]:
    """The preference share of each judged pair, its interval by ``unit`` as in ``compare``.

    Units are those with a judgement of the pair; where they are too few there is no interval. The
    interval has Student's t, stays within 0..1 (``intervals.limits_on_scale``), and holds that of
    as many independent judgements (``intervals.exact_share``), also where all units agree.
    """
    check_level(level)
    unit, _ = _chosen(comparisons, unit)
    of = comparisons.of_images
    low = np.minimum(comparisons.left, comparisons.right)
    high = np.maximum(comparisons.left, comparisons.right)
    signs = np.where(comparisons.left == low, comparisons.outcome, -comparisons.outcome)
    preferred = (1 + signs) / 2
    found = []
    for a, b in sorted(set(zip(low.tolist(), high.tolist(), strict=True))):
        rows = (low == a) & (high == b)
        own, votes = comparisons.where(rows), preferred[rows]
        n = own.n_judgements
        share = float(votes @ own.count) / n
        # a share of independent votes has the variance share (1 - share) / n
        deviation = math.sqrt(max(share * (1 - share), _LEAST_VARIANCE) / n)
        moves = own.count * (votes - share) / n / deviation
        spread = _Spread(moves[:, None], own, unit)
        error, freedom = spread.error_and_freedom(np.array([deviation]))
        half = float(student_quantile(freedom, level)) * error
        interval = Interval(
            share, share - half, share + half, level, spread.n, _names(unit, of),
            f"share that prefers the first: {_claim(unit, own)}", _method(unit), freedom,
        )  # fmt: skip
        kept = on_scale(interval, _SHARE, max(1, int(n)))
        if not math.isnan(kept.low):
            least = exact_share(share, n, level)
            kept = replace(
                kept, low=min(kept.low, least[0]), high=max(kept.high, least[1]),
                method=f"{kept.method}, at least Clopper-Pearson",
            )  # fmt: skip
        names = comparisons.methods
        found.append(Share(names[a], names[b], n, kept))
    return tuple(found)


_LEAST_VARIANCE = 1e-12
"""Of a vote, where all agree: only what ``on_scale`` leaves open then counts."""
