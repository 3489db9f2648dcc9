"""Raters and images both random: means and differences by crossed random effects and REML.

A value of rater r on image i is mean + u_r + v_i + e, all three normal with variances of their
own; some cells may be missing. The values are one method's votes, or the differences of a rater's
votes on one image under two methods. Of the latter u_r is the rater's taste for one method, v_i
what the image does to it. Where raters saw an image under one method only, the votes on both
methods have the effects of the rater and of the image, and those of the rater and of the image with
the method.

The variances are those of the restricted likelihood (Patterson and Thompson 1971, Biometrika
58(3)), none below zero; the mean is the generalised least squares estimate with them. Its standard
error has the degrees of freedom of Satterthwaite 1946 (Biometrics Bulletin 2(6)), as lme4 with
lmerTest has (Kuznetsova et al. 2017, Journal of Statistical Software 82(13)), but from the expected
information, of the variances that aren't zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats, cell_means, compact
from sreval.opinions.intervals import LEAST_UNITS, student_quantile

_MOST_STEPS = 200
_CONVERGED = 1e-10
_NOTHING = 1e-12
_ROUNDING = 1e-9
"""Points of the scale that are no difference."""

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
    mean = float(values.mean())
    return _crossed(values - mean, mean, np.ones((values.size, 1)), rater, image)


def crossed_difference(
    votes: Floats, first: NDArray[np.bool_], rater: Codes, image: Codes
) -> CrossedMean:
    """The mean vote on the ``first`` method minus that on the second, of votes (V,).

    ``first`` says on which of the two each vote is. vote = mean + rater + image + half of
    (difference + rater's taste + what the image does to it), plus for the first method and minus
    for the second, + rest: lme4's ``vote ~ x + (x || rater) + (x || image)``, x = +-0.5. It takes
    what one rater finds in one image alone as rest, so that it is cautious where raters saw
    images under both methods; ``crossed_mean`` of their differences isn't. ``sd_rater`` and
    ``sd_image`` are those of the difference. Raises StatisticsError as ``crossed_mean`` does,
    and where one method has no vote.
    """
    if not np.isfinite(votes).all() or first.all() or not first.any():
        raise StatisticsError("A difference of two methods needs finite votes on both.")
    means = [float(votes[chosen].mean()) for chosen in (first, ~first)]
    distances = votes - np.where(first, *means)
    design = np.column_stack([np.ones(votes.size), first - 0.5])
    return _crossed(distances, means[0] - means[1], design, rater, image)


def rated_together(scores: Floats) -> bool:
    """Whether of the rows (rater, image) of ``scores`` (C, 2) half or more have both votes.

    NaN marks a vote that wasn't cast. Then differences say all that is asked, without the raters'
    and the images' own effects; else most votes would be lost with them.
    """
    seen = ~np.isnan(scores)
    return bool(2 * seen.all(axis=1).sum() >= seen.any(axis=1).sum())


def crossed_pair(scores: Floats, rater: Codes, image: Codes) -> CrossedMean:
    """The mean difference of two methods, the columns of ``scores`` (C, 2), by rater and image.

    A row is what one rater gave one image, NaN where there is no vote; rows of one rater on one
    image, the frames of a sequence, are averaged. Where the methods are ``rated_together``, the
    mean of the differences, else that of all votes (``crossed_difference``); there ``n_raters`` and
    ``n_images`` count those with votes on both methods, as a rater who saw one alone tells little
    of the difference. Raises StatisticsError as these do.
    """
    if rated_together(scores):
        both = ~np.isnan(scores).any(axis=1)
        # means of equal votes may differ in the last bit, which must not count as a difference
        differences = np.round(scores[both, 0] - scores[both, 1], 10)
        return crossed_mean(*cell_means(differences, rater[both], image[both]))
    sides = []
    for votes in scores.T:
        cast = ~np.isnan(votes)
        means, raters, images = cell_means(votes[cast], rater[cast], image[cast])
        # cell_means renumbers what it is given
        sides.append((means, np.unique(rater[cast])[raters], np.unique(image[cast])[images]))
    votes, raters, images = (np.concatenate(both) for both in zip(*sides, strict=True))
    first = np.arange(votes.size) < sides[0][0].size
    found = crossed_difference(votes, first, raters, images)
    common = [np.intersect1d(*both).size for both in list(zip(*sides, strict=True))[1:]]
    return replace(found, n_raters=common[0], n_images=common[1])


def _crossed(
    distances: Floats, centre: float, design: Floats, rater: Codes, image: Codes
) -> CrossedMean:
    """``centre`` plus the coefficient of ``design``'s last column, (V, K), and what varies in it.

    ``distances`` from a fit of the fixed effects alone. Every column has a fixed effect, and a
    random one of the rater and of the image.
    """
    rater, raters = compact(rater)
    image, images = compact(image)
    sizes = (distances.size, raters.size, images.size)
    fewer = min(raters.size, images.size)
    if fewer < LEAST_UNITS:
        return CrossedMean(centre, math.nan, math.nan, *sizes, *[math.nan] * 3)
    if np.abs(distances).max() <= _ROUNDING:
        return CrossedMean(centre, 0.0, fewer - 1, *sizes, 0.0, 0.0, 0.0)
    turned = images.size > raters.size
    outer, inner = (image, rater) if turned else (rater, image)
    variances, at = _restricted_likelihood(_Table(distances, design, outer, inner))
    deviations = np.sqrt(variances)
    k = design.shape[1]
    sd_outer, sd_inner = float(deviations[k]), float(deviations[2 * k])
    sd_rater, sd_image = (sd_inner, sd_outer) if turned else (sd_outer, sd_inner)
    error, freedom = at.error_and_freedom(variances)
    return CrossedMean(
        centre + float(at.fixed[-1]), error, freedom, *sizes, sd_rater, sd_image,
        float(deviations[0]),
    )  # fmt: skip


class _Table:
    """Values of ``outer`` by ``inner`` units, as the sums of squares and products REML needs.

    With the (V, K) ``design``: blocks (K, K) of every outer unit, and all in two dimensions of
    units and columns where an inner unit is met.
    """

    def __init__(self, values: Floats, design: Floats, outer: Codes, inner: Codes) -> None:
        self.n, self.k = design.shape
        n_outer, n_inner = int(outer.max()) + 1, int(inner.max()) + 1
        products = (design[:, :, None] * design[:, None, :]).reshape(self.n, -1)
        cells = _sums(outer * n_inner + inner, products, n_outer * n_inner)
        cells = cells.reshape(n_outer, n_inner, self.k, self.k)
        self.outer: Floats = cells.sum(axis=1)
        self.cells = cells.transpose(0, 2, 1, 3).reshape(n_outer, self.k, n_inner * self.k)
        inner_blocks = np.zeros((n_inner, self.k, n_inner, self.k))
        places = np.arange(n_inner)
        inner_blocks[places, :, places, :] = cells.sum(axis=0)
        self.inner = inner_blocks.reshape(n_inner * self.k, n_inner * self.k)
        weighted = design * values[:, None]
        self.sum_outer = _sums(outer, weighted, n_outer)
        self.sum_inner = _sums(inner, weighted, n_inner)
        self.squares = float(values @ values)
        # of two columns, votes of one unit may differ less alike than the rest, which only both of
        # its effects together can say
        apart = [units < self.n or self.k > 1 for units in (n_outer, n_inner)]
        self.told_apart = np.array([True, *np.repeat(apart, self.k)])


def _sums(codes: Codes, values: Floats, n: int) -> Floats:
    """The sums of the rows of ``values`` (V, K) within each of ``n`` groups, (n, K)."""
    return np.column_stack([np.bincount(codes, column, n) for column in values.T])


class _At:
    """The restricted likelihood, its score and expected information at the variances given.

    These are (rest, the outer units' of each column, the inner units'). With V = rest I + Zo Go Zo'
    + Zi Gi Zi' and P the projection of REML (Searle, Casella and McCulloch 1992, Variance
    Components, chapter 6), all is found from Z'PZ and Z'Py. The outer effects are eliminated in
    closed form, unit by unit, and U = [X, Zi sqrt(Gi)] is what is left.
    """

    def __init__(self, table: _Table, variances: Floats) -> None:
        k, rest = table.k, float(variances[0])
        outer, inner = variances[1 : k + 1], variances[k + 1 :]
        units, n_inner = len(table.outer), len(table.sum_inner)
        scale = np.tile(np.sqrt(inner), n_inner)
        # of V0 = rest I + Zo Go Zo': Zo'V0^-1 = (rest I + Zo'Zo Go)^-1 Zo'
        own = rest * np.eye(k) + table.outer * outer
        solve = np.linalg.inv(own)
        delta = solve @ table.outer
        across = solve @ table.cells
        y_outer = (solve @ table.sum_outer[:, :, None])[:, :, 0]
        weighted = (table.cells * outer[:, None]).reshape(units * k, -1)
        within = (table.inner - weighted.T @ across.reshape(units * k, -1)) / rest
        y_inner = (table.sum_inner.ravel() - weighted.T @ y_outer.ravel()) / rest
        y_y = (table.squares - float((table.sum_outer * outer * y_outer).sum())) / rest
        # X is the sum of an effect's columns over its units
        left = np.concatenate([delta, across * scale], axis=2)
        by_column = within.reshape(n_inner, k, -1).sum(axis=0)
        right = np.vstack([by_column, within * scale[:, None]])
        middle = np.hstack([right.reshape(len(right), n_inner, k).sum(axis=1), right * scale])
        middle[np.arange(k, len(middle)), np.arange(k, len(middle))] += 1
        y_u = np.concatenate([y_inner.reshape(n_inner, k).sum(axis=0), y_inner * scale])
        c = np.linalg.inv(middle)
        solution = c @ y_u
        self.fixed = solution[:k]
        self.variance = float(c[k - 1, k - 1])
        y_p_y = y_y - float(y_u @ solution)
        p_outer = y_outer - left @ solution
        p_inner = (y_inner - right.T @ solution).reshape(n_inner, k)
        half = left @ c
        own_block = half @ left.transpose(0, 2, 1)
        inner_inner = (within - right.T @ c @ right).reshape(n_inner, k, n_inner, k)
        outer_inner = (across - half @ right).reshape(units, k, n_inner, k)
        spread = left.transpose(1, 2, 0) @ left.transpose(1, 0, 2)
        between = c @ spread
        crossed = np.empty((2 * k, 2 * k))
        # the squared Frobenius norm of diag(delta) - left c left', column by column
        crossed[:k, :k] = (delta**2 - 2 * delta * own_block).sum(axis=0)
        crossed[:k, :k] += np.einsum("kab,lba->kl", between, between)
        crossed[:k, k:] = (outer_inner**2).sum(axis=(0, 2))
        crossed[k:, :k] = crossed[:k, k:].T
        crossed[k:, k:] = (inner_inner**2).sum(axis=(0, 2))
        traces = np.concatenate(
            [np.einsum("rkk->k", delta - own_block), np.einsum("ikik->k", inner_inner)]
        )
        effects = variances[1:]
        # P V P = P gives what the rest of the variance adds
        trace_p = (table.n - k - float(effects @ traces)) / rest
        trace_pp = (traces - crossed @ effects) / rest
        squares = np.concatenate([(p_outer**2).sum(axis=0), (p_inner**2).sum(axis=0)])
        self.information = np.empty((2 * k + 1, 2 * k + 1))
        self.information[1:, 1:] = crossed
        self.information[0, 1:] = self.information[1:, 0] = trace_pp
        self.information[0, 0] = (trace_p - float(effects @ trace_pp)) / rest
        self.information /= 2
        quadratic = np.array([(y_p_y - float(effects @ squares)) / rest, *squares])
        self.score = (quadratic - np.array([trace_p, *traces])) / 2
        log_v0 = (table.n - units * k) * math.log(rest) + float(np.linalg.slogdet(own)[1].sum())
        self.minus_log_likelihood = (log_v0 + float(np.linalg.slogdet(middle)[1]) + y_p_y) / 2
        # the derivative of the variance of the last fixed effect by that of random ones:
        # the squares of Z'V^-1 X (X'V^-1 X)^-1
        by_inner = (right.T @ c[:, k - 1]).reshape(n_inner, k)
        self._slopes = np.concatenate([(half[:, :, k - 1] ** 2).sum(axis=0), (by_inner**2).sum(0)])

    def error_and_freedom(self, variances: Floats) -> tuple[float, float]:
        """The standard error of the last fixed effect, and Satterthwaite's degrees of freedom."""
        # with the variances as weights, the derivatives sum to the variance itself (Euler)
        by_rest = (self.variance - float(variances[1:] @ self._slopes)) / variances[0]
        gradient = np.array([by_rest, *self._slopes])
        active = np.concatenate([[True], variances[1:] > 0])
        spread = float(gradient[active] @ _solved(self.information, gradient, active, variances))
        return math.sqrt(self.variance), 2 * self.variance**2 / spread


def _solved(information: Floats, right: Floats, chosen: NDArray[np.bool_], sizes: Floats) -> Floats:
    """information^-1 right of the ``chosen`` variances, whose ``sizes`` may differ widely."""
    size = sizes[chosen]
    scaled = information[np.ix_(chosen, chosen)] * np.outer(size, size)
    found: Floats = size * (np.linalg.pinv(scaled, hermitian=True) @ (size * right[chosen]))
    return found


def _restricted_likelihood(table: _Table) -> tuple[Floats, _At]:
    """The variances that maximise it, by Fisher scoring kept at or above 0."""
    start = table.squares / table.n
    effects = len(table.told_apart) - 1
    variances = np.where(table.told_apart, start / (2 * effects), 0.0)
    variances[0] = start / 2
    at = _At(table, variances)
    for _ in range(_MOST_STEPS):
        free = table.told_apart & ((variances > 0) | (at.score > 0))
        step = np.zeros(variances.size)
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
