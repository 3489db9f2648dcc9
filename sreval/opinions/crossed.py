"""A mean that holds for other raters and other images at once: crossed random effects by REML.

A value of rater r on image i is mean + u_r + v_i + e, all three normal with variances of their
own; some cells may be missing. The values are one method's votes, or the differences of a rater's
votes on one image under two methods. Of the latter u_r is the rater's taste for one method, v_i
what the image does to it.

The variances are those of the restricted likelihood (Patterson and Thompson 1971, Biometrika
58(3)), none below zero; the mean is the generalised least squares estimate with them. Its standard
error has the degrees of freedom of Satterthwaite 1946 (Biometrics Bulletin 2(6)), as lme4 with
lmerTest has (Kuznetsova et al. 2017, Journal of Statistical Software 82(13)), but from the expected
information, of the variances that aren't zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats, varies
from sreval.opinions.intervals import LEAST_UNITS, student_quantile

_MOST_STEPS = 200
_CONVERGED = 1e-10
_NOTHING = 1e-12
_LEAST_REST = 1e-4
"""Share of the rest in the variance of the values, at least: effects that explain all of it would
leave the likelihood without a bound."""


@dataclass(frozen=True)
class CrossedMean:
    """A mean with raters and images both random, its standard error, and what varies.

    ``n_values`` votes or differences of ``n_raters`` on ``n_images``. ``sd_rater``, ``sd_image``
    and ``sd_rest`` are the standard deviations of the effects, in points. Where every rater, or
    every image, has a single value, what it adds can't be told from the rest and counts as rest.
    ``error`` and ``freedom`` are NaN with fewer than LEAST_UNITS raters or images.
    """

    estimate: float
    error: float
    freedom: float
    n_values: int
    n_raters: int
    n_images: int
    sd_rater: float
    sd_image: float
    sd_rest: float

    @property
    def p(self) -> float:
        """The two-sided p of a mean of zero, by Student's t; NaN without a standard error."""
        return self.p_of(0.0)

    def p_of(self, mean: float) -> float:
        """The two-sided p of that ``mean``; 1 where it is the estimate, even without error."""
        distance = abs(self.estimate - mean)
        if distance == 0 or math.isnan(self.error):
            return 1.0 if distance == 0 and not math.isnan(self.error) else math.nan
        t = distance / self.error if self.error else math.inf
        return float(2 * scipy.special.stdtr(self.freedom, -t))

    def limits(self, level: float = 0.95) -> tuple[float, float]:
        """The two-sided limits of the mean at ``level``; NaN without a standard error."""
        half = float(student_quantile(self.freedom, level)) * self.error
        return self.estimate - half, self.estimate + half


def crossed_mean(values: Floats, rater: Codes, image: Codes) -> CrossedMean:
    """The mean of ``values``, shape (V,), of the raters and images with these codes, (V,).

    One value a rater and image at most. Time grows with the votes and with the larger number of
    units times the square of the smaller. Raises StatisticsError for no values, or one that isn't
    finite.
    """
    if not values.size or not np.isfinite(values).all():
        raise StatisticsError("A crossed mean needs finite values, at least one.")
    raters, rater = np.unique(rater, return_inverse=True)
    images, image = np.unique(image, return_inverse=True)
    sizes = (values.size, raters.size, images.size)
    if min(raters.size, images.size) < LEAST_UNITS:
        return CrossedMean(float(values.mean()), math.nan, math.nan, *sizes, *[math.nan] * 3)
    if not varies(values):
        fewer = min(raters.size, images.size)
        return CrossedMean(float(values.mean()), 0.0, fewer - 1, *sizes, 0.0, 0.0, 0.0)
    turned = images.size > raters.size
    outer, inner = (image, rater) if turned else (rater, image)
    variances, at = _restricted_likelihood(_Table(values, outer, inner))
    sd_outer, sd_inner = np.sqrt(variances[1:]).tolist()
    sd_rater, sd_image = (sd_inner, sd_outer) if turned else (sd_outer, sd_inner)
    error, freedom = at.error_and_freedom(variances)
    return CrossedMean(
        at.estimate, error, freedom, *sizes, sd_rater, sd_image, math.sqrt(variances[0])
    )


class _Table:
    """Values in cells of ``outer`` by ``inner`` units, as sums and counts that REML needs."""

    def __init__(self, values: Floats, outer: Codes, inner: Codes) -> None:
        self.centre = float(values.mean())
        centred = values - self.centre
        self.n = values.size
        self.cells = np.zeros((int(outer.max()) + 1, int(inner.max()) + 1))
        np.add.at(self.cells, (outer, inner), 1.0)
        self.n_outer = self.cells.sum(axis=1)
        self.n_inner = self.cells.sum(axis=0)
        self.sum_outer = np.bincount(outer, centred)
        self.sum_inner = np.bincount(inner, centred)
        self.squares = float(centred @ centred)


class _At:
    """The restricted likelihood, its score and expected information at (rest, outer, inner).

    With V = rest I + outer Za Za' + inner Zb Zb' and P the projection of REML (Searle, Casella and
    McCulloch 1992, Variance Components, chapter 6), all is found from Z'PZ and Z'Py. The outer
    effects are eliminated in closed form, and U = [1, Zb sqrt(inner)] is what is left.
    """

    def __init__(self, table: _Table, variances: Floats) -> None:
        rest, outer, inner = variances.tolist()
        own = rest + table.n_outer * outer
        scale = math.sqrt(inner)
        weighted = table.cells / own[:, None]
        # of V0 = rest I + outer Za Za': Za'V0^-1 Zb, Zb'V0^-1 Zb, and the same with y
        across = weighted
        within = (np.diag(table.n_inner) - outer * table.cells.T @ weighted) / rest
        y_outer = table.sum_outer / own
        y_inner = (table.sum_inner - outer * table.cells.T @ y_outer) / rest
        y_y = (table.squares - outer * float(table.sum_outer @ y_outer)) / rest
        left = np.column_stack([across.sum(axis=1), across * scale])
        right = np.vstack([within.sum(axis=0), within * scale])
        middle = np.column_stack([right.sum(axis=1), right * scale])
        middle[np.arange(1, len(middle)), np.arange(1, len(middle))] += 1
        y_u = np.concatenate([[y_inner.sum()], y_inner * scale])
        c = np.linalg.inv(middle)
        self.variance_of_mean = float(c[0, 0])
        self.solution = c @ y_u
        self.estimate = table.centre + float(self.solution[0])
        y_p_y = y_y - float(y_u @ self.solution)
        p_outer = y_outer - left @ self.solution
        p_inner = y_inner - right.T @ self.solution
        delta = table.n_outer / own
        half = left @ c
        diagonal = delta - (half * left).sum(axis=1)
        inner_inner = within - right.T @ c @ right
        outer_inner = across - half @ right
        between = left.T @ half
        frobenius = float((delta**2).sum() - 2 * (delta * (half * left).sum(axis=1)).sum())
        frobenius += float((between * between.T).sum())
        traces = np.array([diagonal.sum(), np.trace(inner_inner)])
        crossed = np.array(
            [
                [frobenius, float((outer_inner**2).sum())],
                [float((outer_inner**2).sum()), float((inner_inner**2).sum())],
            ]
        )
        effects = variances[1:]
        # P V P = P gives what the rest of the variance adds
        trace_p = (table.n - 1 - float(effects @ traces)) / rest
        trace_pp = (traces - crossed @ effects) / rest
        squares = np.array([float(p_outer @ p_outer), float(p_inner @ p_inner)])
        self.information = np.empty((3, 3))
        self.information[1:, 1:] = crossed
        self.information[0, 1:] = self.information[1:, 0] = trace_pp
        self.information[0, 0] = (trace_p - float(effects @ trace_pp)) / rest
        self.information /= 2
        quadratic = np.array([(y_p_y - float(effects @ squares)) / rest, *squares])
        self.score = (quadratic - np.array([trace_p, *traces])) / 2
        log_middle = float(np.linalg.slogdet(middle)[1])
        log_v0 = (table.n - len(own)) * math.log(rest) + float(np.log(own).sum())
        self.minus_log_likelihood = (log_v0 + log_middle + y_p_y) / 2
        # d (1'V^-1 1)^-1 / d variance = (variance of the mean)^2 ||Z'V^-1 1||^2 of each part
        self._by_outer = half[:, 0]
        self._by_inner = right.T @ c[:, 0]

    def error_and_freedom(self, variances: Floats) -> tuple[float, float]:
        """The standard error of the mean, and Satterthwaite's degrees of freedom."""
        value = self.variance_of_mean
        # Z'V^-1 1 (1'V^-1 1)^-1, whose squares are the derivatives by the effects' variances;
        # they sum with the variances as weights to the variance itself (Euler)
        slopes = np.array([self._by_outer @ self._by_outer, self._by_inner @ self._by_inner])
        gradient = np.array([(value - float(variances[1:] @ slopes)) / variances[0], *slopes])
        active = np.concatenate([[True], variances[1:] > 0])
        spread = float(gradient[active] @ _solved(self.information, gradient, active, variances))
        return math.sqrt(value), 2 * value**2 / spread


def _solved(information: Floats, right: Floats, chosen: NDArray[np.bool_], sizes: Floats) -> Floats:
    """information^-1 right of the ``chosen`` variances, whose ``sizes`` may differ widely."""
    size = sizes[chosen]
    scaled = information[np.ix_(chosen, chosen)] * np.outer(size, size)
    found: Floats = size * (np.linalg.pinv(scaled, hermitian=True) @ (size * right[chosen]))
    return found


def _restricted_likelihood(table: _Table) -> tuple[Floats, _At]:
    """The variances (rest, outer, inner) that maximise it, by Fisher scoring kept at or above 0."""
    start = table.squares / table.n
    told_apart = np.array([True, table.n_outer.size < table.n, table.n_inner.size < table.n])
    variances = np.where(told_apart, [start / 2, start / 4, start / 4], 0.0)
    at = _At(table, variances)
    for _ in range(_MOST_STEPS):
        free = told_apart & np.concatenate([[True], (variances[1:] > 0) | (at.score[1:] > 0)])
        step = np.zeros(3)
        sizes = np.maximum(variances, _LEAST_REST * start)
        step[free] = _solved(at.information, at.score, free, sizes)
        taken = 1.0
        while taken > 1e-6:
            trial = variances + taken * step
            trial[trial < _NOTHING * start] = 0.0
            trial[0] = max(trial[0], variances[0] / 10, _LEAST_REST * start)
            there = _At(table, trial)
            if there.minus_log_likelihood <= at.minus_log_likelihood:
                break
            taken /= 2
        else:
            break
        gained = at.minus_log_likelihood - there.minus_log_likelihood
        moved = float(np.abs(trial - variances).max()) / start
        variances, at = trial, there
        if gained < _CONVERGED and moved < _CONVERGED**0.5:
            break
    return variances, at
