"""Cumulative link mixed models: votes as ordered categories, raters and images as random effects.

A vote y on categories 0..K-1 has P(y <= k) = F((theta[k] - eta) / exp(s)), F the logistic
distribution function (McCullagh 1980, JRSS B 42(2)), eta and s sums of fixed and random effects
(Tutz and Hennevogl 1996, CSDA 22(5)); both from memory. The likelihood is Laplace's approximation
of the integral over the random effects.

``fit`` takes any fixed columns and groupings; ``ordinal`` says which a study has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import scipy

from sreval.errors import StatisticsError, option
from sreval.opinions.arrays import Codes, Floats

_FAR = 1e9
"""Stands for the infinite thresholds at both ends: every derivative there is exactly 0."""
_LARGEST = 30.0
"""No vote tells estimates beyond this from infinite ones: e^-30 is 1e-13."""
_WIDEST = 3.0
"""Of the standard deviation of the log spread: one rater in six would scatter 20 times as far."""
_FIRST_SPREAD = 0.1
_NEWTON_STEPS = 100
_NEWTON_ENDS = 1e-18
_LONGEST_STEP = 10.0
_POLISHING_STEPS = 5
_HESSIAN_STEP = 1e-4
_CONVERGED = 1e-6


@dataclass(frozen=True, eq=False)
class Grouping:
    """Normal effects with one standard deviation: one effect for each of the levels in ``codes``.

    ``codes``, (V,), number the levels of the votes from 0. The effects are added to eta, the
    location, or to s, the logarithm of the spread.
    """

    name: str
    codes: Codes
    of: Literal["location", "spread"] = "location"

    @property
    def levels(self) -> int:
        """How many there are."""
        return int(self.codes.max()) + 1


@dataclass(frozen=True, eq=False)
class Fit:
    """Estimates of a cumulative link mixed model.

    ``thresholds`` (K-1,) rise; ``effects`` (P,) are those of the fixed columns, ``deviations``
    (G,) the standard deviations of the groupings, all in logits, that of the log spread aside.
    ``covariance`` is that of (thresholds, effects, deviations), the inverse of the observed
    information. ``modes`` has by grouping the most probable effect of every level.
    """

    thresholds: Floats
    effects: Floats
    deviations: dict[str, float]
    covariance: Floats
    modes: dict[str, Floats]
    log_likelihood: float

    @cached_property
    def estimates(self) -> Floats:
        """Thresholds, effects and deviations, in the order of ``covariance``."""
        return np.concatenate([self.thresholds, self.effects, [*self.deviations.values()]])

    @property
    def standard_errors(self) -> Floats:
        """Of ``estimates``."""
        return np.sqrt(np.diag(self.covariance))


def fit(
    votes: Codes,
    columns: Floats,
    groupings: Sequence[Grouping],
    told: Callable[[], object] = lambda: None,
) -> Fit:
    """The cumulative logit model of ``votes``, by maximum (Laplace) likelihood.

    ``votes`` (V,) are categories 0..K-1, each of which occurs; ``columns`` (V, P) the fixed
    effects, without a constant, which the thresholds have. ``told`` is called at every
    evaluation of the likelihood.

    Raises StatisticsError for fewer than two categories, where an estimate is unbounded, and
    where the search doesn't come to its end.
    """
    if int(votes.max()) < 1:
        raise StatisticsError("All votes are the same category.", "Nothing can be estimated.")
    if separated(votes, columns):
        raise StatisticsError(
            "The ordinal model has no finite estimate on these votes: a threshold parts the votes "
            "on some methods from those on the others, so that effects grow without end.",
            f"Use {means_instead()}.",
        )
    problem = _Problem(votes, columns, groupings, told)
    at = problem.natural(problem.search())
    if np.abs(at).max() > _LARGEST:
        raise _no_end()
    information = problem.information(at)
    for _ in range(_POLISHING_STEPS):
        value, slope = problem.value(at)
        step = _newton_step(information, slope)
        gain = float(step @ slope)
        if gain < _CONVERGED**2:
            break
        at = at - step
        if gain > _CONVERGED:
            information = problem.information(at)
    else:
        raise _not_found()
    k, p = problem.cuts, problem.cuts + columns.shape[1]
    return Fit(
        thresholds=at[:k],
        effects=at[k:p],
        deviations={
            own.name: abs(float(sd)) for own, sd in zip(problem.groups, at[p:], strict=True)
        },
        covariance=_signed(_inverted(information), np.sign(at[p:])),
        modes=problem.modes(at[p:]),
        log_likelihood=-value,
    )


def separated(votes: Codes, columns: Floats) -> bool:
    """Whether fixed effects have no finite estimate, whatever the random effects.

    So it is where thresholds and effects can change without end, no vote becoming less likely
    and one more (Albert and Anderson 1984, Biometrika 71(1), from memory, for each cut). A linear
    program looks for such a change.
    """
    cuts = int(votes.max())
    rows = np.unique(np.column_stack([votes, columns]), axis=0)
    category, x = rows[:, 0].astype(np.intp), rows[:, 1:]
    # how far the upper threshold, and minus the lower one, move away from the vote
    cut = np.eye(cuts)
    upper, lower = category < cuts, category > 0
    away = np.vstack(
        [
            np.hstack([cut[category[upper]], -x[upper]]),
            np.hstack([-cut[category[lower] - 1], x[lower]]),
        ]
    )
    found = scipy.optimize.linprog(
        -away.sum(axis=0), A_ub=-away, b_ub=np.zeros(len(away)), bounds=(-1, 1)
    )
    return bool(found.fun is not None and found.fun < -_CONVERGED)


def means_instead() -> str:
    """What can be asked of votes that bear no ordinal model, as a user writes it."""
    named = option("--analyse compare", 'analyse("compare")')
    return f"the comparison of means, {named}"


def _newton_step(information: Floats, slope: Floats) -> Floats:
    try:
        np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        raise _not_found() from None
    return np.asarray(np.linalg.solve(information, slope), dtype=np.float64)


def _not_found() -> StatisticsError:
    return StatisticsError(
        "The ordinal model can't be fitted: the search for its estimates ends at no maximum of "
        "the likelihood.",
        f"So it may be where votes are few or leave little to chance; use {means_instead()}.",
    )


def _no_end() -> StatisticsError:
    return StatisticsError(
        "The ordinal model has no finite estimate on these votes: the likelihood grows without "
        "end as effects grow.",
        "So it is where votes leave nothing to chance, as when all raters agree on every "
        f"stimulus; use {means_instead()}.",
    )


def _signed(covariance: Floats, signs: Floats) -> Floats:
    """The covariance of the deviations' absolute values: the likelihood doesn't know their sign."""
    ones = np.ones(len(covariance) - len(signs))
    sides = np.concatenate([ones, np.where(signs < 0, -1.0, 1.0)])
    return covariance * np.outer(sides, sides)


class _Terms(NamedTuple):
    """Log-likelihood of every vote and its derivatives by the location e and log spread s."""

    value: Floats
    e: Floats
    s: Floats
    ee: Floats
    es: Floats
    ss: Floats


class _Problem:
    """Laplace's likelihood of one set of votes, as a function of the parameters.

    Parameters are (thresholds, effects, deviations). Random effects are deviations times standard
    normal variables u, so that a deviation of 0 is no edge: the likelihood is even in it. With
    H the negative Hessian of the log-likelihood of votes and u at its largest over u, the
    approximation is that largest value less half the log determinant of H.
    """

    def __init__(
        self,
        votes: Codes,
        columns: Floats,
        groups: Sequence[Grouping],
        told: Callable[[], object] = lambda: None,
    ) -> None:
        self.y, self.x, self.groups, self.told = votes, columns, tuple(groups), told
        self.cuts = int(votes.max())
        self.of = [int(own.of == "spread") for own in self.groups]
        self.sizes = [own.levels for own in self.groups]
        # the block of the largest grouping is diagonal: it is eliminated
        self.large = max(range(len(self.groups)), key=self.sizes.__getitem__, default=-1)
        self.small = [g for g in range(len(self.groups)) if g != self.large]
        ends = np.cumsum([0, *(self.sizes[g] for g in self.small)])
        self.places = {g: slice(*ends[i : i + 2].tolist()) for i, g in enumerate(self.small)}
        self.n_small = int(ends[-1])
        self.flat = {
            (g, h): self.groups[g].codes * self.sizes[h] + self.groups[h].codes
            for g, h in itertools.combinations_with_replacement(range(len(self.groups)), 2)
            if g != h
        }
        self.u = [np.zeros(n) for n in self.sizes]

    def search(self) -> Floats:
        """The maximum of the likelihood but for a few last digits, as ``stretched`` takes it.

        Spreads are held alike at first: far from the estimates unequal ones can make up for wrong
        effects, and u then has more than one mode.
        """
        at = self.start()
        for widest, ends in ((0.0, 1e-8), (_WIDEST, 1e-12)) if any(self.of) else ((0.0, 1e-12),):
            spreads = np.flatnonzero(self.of) + at.size - len(self.of)
            at[spreads] = min(_FIRST_SPREAD, widest)
            found = scipy.optimize.minimize(
                self.stretched,
                at,
                jac=True,
                method="L-BFGS-B",
                bounds=self.bounds(widest),
                options={"maxcor": 50, "maxiter": 500, "ftol": ends, "gtol": 1e-7},
            )
            at = found.x
        return at

    def start(self) -> Floats:
        """Where the search begins: thresholds of the votes' shares, effects 0, deviations small."""
        shares = np.bincount(self.y)[:-1].cumsum() / self.y.size
        cuts = 1.3 * scipy.special.logit(shares)
        deviations = np.full(len(self.groups), 0.5)
        return np.concatenate(
            [cuts[:1], np.log(np.diff(cuts)), np.zeros(self.x.shape[1]), deviations]
        )

    def bounds(self, widest: float) -> list[tuple[float, float]]:
        """Of what ``start`` is: wide enough for every estimate, the spreads' at most ``widest``."""
        wide, steps = (-2 * _LARGEST, 2 * _LARGEST), (-12.0, math.log(2 * _LARGEST))
        deviations = [(-widest, widest) if own else wide for own in self.of]
        return [wide, *[steps] * (self.cuts - 1), *[wide] * self.x.shape[1], *deviations]

    def natural(self, stretched: Floats) -> Floats:
        """Thresholds for the logarithms of their distances."""
        k = self.cuts
        cuts = np.cumsum([stretched[0], *np.exp(stretched[1:k])])
        return np.concatenate([cuts, stretched[k:]])

    def stretched(self, at: Floats) -> tuple[float, Floats]:
        """``value`` a vote, as a function of the logarithms of the thresholds' distances.

        By so small a slope the search's first step, of the slope's length, is none too long.
        """
        value, slope = self.value(self.natural(at))
        above = np.cumsum(slope[: self.cuts][::-1])[::-1]
        above[1:] *= np.exp(at[1 : self.cuts])
        return value / self.y.size, np.concatenate([above, slope[self.cuts :]]) / self.y.size

    def information(self, at: Floats) -> Floats:
        """The Hessian of ``value``: central differences of its slope."""
        columns = []
        for place in range(at.size):
            step = np.zeros(at.size)
            step[place] = _HESSIAN_STEP
            columns.append((self.value(at + step)[1] - self.value(at - step)[1]) / _HESSIAN_STEP)
        found = np.stack(columns, axis=1) / 2
        return (found + found.T) / 2

    def modes(self, deviations: Floats) -> dict[str, Floats]:
        """The most probable effect of every level where ``value`` was last asked, by grouping."""
        return {
            own.name: sd * u for own, sd, u in zip(self.groups, deviations, self.u, strict=True)
        }

    def value(self, at: Floats) -> tuple[float, Floats]:
        """The negative log-likelihood and its slope, (parameters,)."""
        self.told()
        k, p = self.cuts, self.cuts + self.x.shape[1]
        cuts = np.concatenate([[-_FAR], at[:k], [_FAR]])
        fixed, sd = self.x @ at[k:p], at[p:]
        terms, solved = self._mode(cuts, fixed, sd)
        location, spread = self._predictors(fixed, sd, self.u)
        squares = sum(float(u @ u) for u in self.u)
        negative = -float(terms.value.sum()) + squares / 2 + solved.log_determinant / 2

        # half the log determinant changes with the votes' second derivatives, by their third ones
        inverse = solved.inverse()
        rows = [self._row(g, sd, inverse) for g in range(len(self.groups))]
        q = np.zeros((2, 2, self.y.size))
        for g, row in enumerate(rows):
            q[self.of[g]] += sd[g] * row
        bound = _Bounds.at(cuts, self.y, location, spread)
        eee, ees, ess, sss = bound.third()
        turn = [
            -(q[0, 0] * eee + 2 * q[0, 1] * ees + q[1, 1] * ess) / 2,
            -(q[0, 0] * ees + 2 * q[0, 1] * ess + q[1, 1] * sss) / 2,
        ]
        # and so it does as the mode moves
        moved = solved.solve(
            [sd[g] * self._sums(g, turn[self.of[g]]) for g in range(len(self.groups))]
        )
        by_e, by_s = self._predictors(np.zeros(self.y.size), sd, moved)
        second = [terms.ee * by_e + terms.es * by_s, terms.es * by_e + terms.ss * by_s]
        first = [terms.e, terms.s]
        total = [turn[i] + second[i] - first[i] for i in range(2)]

        weights = np.array([[-terms.ee, -terms.es], [-terms.es, -terms.ss]])
        by_deviation = [
            float(total[of] @ self.u[g][own.codes])
            + float(moved[g] @ self._sums(g, first[of]))
            + float((weights[of] * rows[g]).sum())
            for g, (own, of) in enumerate(zip(self.groups, self.of, strict=True))
        ]
        by_cut = np.zeros(k + 2)
        for places, (value, e, s, ee, es, ss) in (
            (self.y + 1, bound.by_upper()),
            (self.y, bound.by_lower()),
        ):
            change = -value + by_e * e + by_s * s
            change -= (q[0, 0] * ee + 2 * q[0, 1] * es + q[1, 1] * ss) / 2
            by_cut += np.bincount(places, change, k + 2)
        slope = np.concatenate([by_cut[1:-1], self.x.T @ total[0], by_deviation])
        return negative, slope

    def _predictors(self, fixed: Floats, sd: Floats, u: Sequence[Floats]) -> list[Floats]:
        """The location and log spread of every vote."""
        found = [fixed.copy(), np.zeros(self.y.size)]
        for own, of, deviation, effects in zip(self.groups, self.of, sd, u, strict=True):
            found[of] += deviation * effects[own.codes]
        return found

    def _sums(self, g: int, values: Floats) -> Floats:
        """Sums of the votes' ``values`` over the levels of one grouping."""
        return _counts(self.groups[g].codes, values, self.sizes[g])

    def _row(self, g: int, sd: Floats, inverse: _Inverse) -> Floats:
        """Of H's inverse at each vote's level of ``g``: sums over location and spread, (2, V)."""
        found = np.zeros((2, self.y.size))
        for h, of in enumerate(self.of):
            found[of] += sd[h] * inverse.between(g, h)
        return found

    def _mode(self, cuts: Floats, fixed: Floats, sd: Floats) -> tuple[_Terms, _Solved]:
        """The random effects at which votes and effects are most likely; they stay in ``u``.

        Newton's method with halved steps, H made positive where it isn't yet.
        """

        def at(u: Sequence[Floats]) -> tuple[float, _Terms]:
            terms = _Bounds.at(cuts, self.y, *self._predictors(fixed, sd, u)).terms()
            return float(terms.value.sum()) - sum(float(own @ own) for own in u) / 2, terms

        best, terms = at(self.u)
        for _ in range(_NEWTON_STEPS):
            by = [terms.e, terms.s]
            slope = [
                sd[g] * self._sums(g, by[self.of[g]]) - self.u[g] for g in range(len(self.groups))
            ]
            solved = self._solved(terms, sd)
            step = solved.solve(slope)
            gain = sum(float(a @ b) for a, b in zip(slope, step, strict=True))
            if gain <= _NEWTON_ENDS * (1 + abs(best)) and not solved.raised:
                return terms, solved
            size = min(1.0, _LONGEST_STEP / max(float(np.abs(own).max()) for own in step))
            while size > 1e-10:
                tried = [u + size * own for u, own in zip(self.u, step, strict=True)]
                value, there = at(tried)
                if value >= best - 1e-12 * abs(best):
                    break
                size /= 2
            else:
                return terms, solved
            self.u, best, terms = tried, value, there
        raise _not_found()

    def _solved(self, terms: _Terms, sd: Floats) -> _Solved:
        """H at these derivatives, ready to be solved."""
        weights = {(0, 0): -terms.ee, (0, 1): -terms.es, (1, 0): -terms.es, (1, 1): -terms.ss}

        def block(g: int, h: int) -> Floats:
            own = weights[self.of[g], self.of[h]] * (sd[g] * sd[h])
            if g == h:
                return self._sums(g, own)
            flat = self.flat[min(g, h), max(g, h)]
            shape = self.sizes[min(g, h)], self.sizes[max(g, h)]
            found = _counts(flat, own, shape[0] * shape[1]).reshape(shape)
            return found if g < h else found.T

        dense = np.eye(self.n_small)
        cross = np.zeros((0 if self.large < 0 else self.sizes[self.large], self.n_small))
        diagonal = np.ones(len(cross))
        if self.large >= 0:
            diagonal += block(self.large, self.large)
        for i, g in enumerate(self.small):
            cross[:, self.places[g]] = block(self.large, g)
            dense[self.places[g], self.places[g]] += np.diag(block(g, g))
            for h in self.small[:i]:
                dense[self.places[g], self.places[h]] = block(g, h)
                dense[self.places[h], self.places[g]] = block(g, h).T
        return _Solved(self, diagonal, cross, dense)


class _Solved:
    """H in blocks, the largest grouping's diagonal one eliminated (its Schur complement)."""

    def __init__(self, problem: _Problem, diagonal: Floats, cross: Floats, dense: Floats) -> None:
        self.problem, self.raised = problem, 0.0
        while True:
            self.diagonal = diagonal + self.raised
            self.scaled = cross / self.diagonal[:, None]
            self.schur = dense - cross.T @ self.scaled
            self.schur[np.diag_indices_from(self.schur)] += self.raised
            try:
                root = np.linalg.cholesky(self.schur)
            except np.linalg.LinAlgError:
                root = None
            if root is not None and (self.diagonal > 0).all():
                break
            self.raised = max(1.0, 4 * self.raised)
            if not math.isfinite(self.raised):
                raise _not_found()
        self.log_determinant = float(np.log(self.diagonal).sum() + 2 * np.log(np.diag(root)).sum())

    def solve(self, right: Sequence[Floats]) -> list[Floats]:
        """The solution of H x = ``right``, both by grouping."""
        of = self.problem
        if not right:
            return []
        large = right[of.large]
        small = np.concatenate([np.zeros(0), *(right[g] for g in of.small)])
        right_hand = small - self.scaled.T @ large
        below = np.asarray(np.linalg.solve(self.schur, right_hand), dtype=np.float64)
        found: dict[int, Floats] = {g: below[of.places[g]] for g in of.small}
        found[of.large] = large / self.diagonal - self.scaled @ below
        return [found[g] for g in range(len(right))]

    def inverse(self) -> _Inverse:
        """Those parts of the inverse of H that single votes need."""
        corner = _inverted(self.schur)
        side: Floats = -self.scaled @ corner
        diagonal = 1 / self.diagonal - (side * self.scaled).sum(axis=1)
        return _Inverse(self.problem, corner, side, diagonal)


@dataclass(frozen=True, eq=False)
class _Inverse:
    problem: _Problem
    corner: Floats
    side: Floats
    diagonal: Floats

    def between(self, g: int, h: int) -> Floats:
        """The entries at the two levels of every vote, (V,)."""
        of = self.problem
        if g == h == of.large:
            return self.diagonal[of.groups[g].codes]
        if of.large in (g, h):
            other = h if g == of.large else g
            block = self.side[:, of.places[other]]
            return block[of.groups[of.large].codes, of.groups[other].codes]
        block = self.corner[of.places[g], of.places[h]]
        return block[of.groups[g].codes, of.groups[h].codes]


class _Bounds(NamedTuple):
    """Every vote's interval of the latent scale, from b to a, in units of its spread.

    log(F(a) - F(b)) = log F(a) + log F(-b) + log(1 - exp(-h)), h = a - b: three functions of one
    variable each, without cancellation. Of each: itself and three derivatives.
    """

    unit: Floats
    upper: tuple[Floats, ...]
    lower: tuple[Floats, ...]
    width: tuple[Floats, ...]

    @classmethod
    def at(cls, cuts: Floats, votes: Codes, location: Floats, spread: Floats) -> _Bounds:
        """Of ``votes`` at ``location`` and log ``spread``, all (V,)."""
        unit = np.exp(-spread)
        a, b = (cuts[votes + 1] - location) * unit, (cuts[votes] - location) * unit
        h = (cuts[votes + 1] - cuts[votes]) * unit
        log, expit = scipy.special.log_expit, scipy.special.expit
        below, above = expit(a), expit(-a)
        upper = (a, log(a), above, -below * above, -below * above * (above - below))
        below, above = expit(b), expit(-b)
        lower = (b, log(-b), -below, -below * above, -below * above * (above - below))
        gap = -np.expm1(-h)
        g = np.exp(-h) / gap
        width = (h, np.log(gap), g, -g * (1 + g), g * (1 + g) * (1 + 2 * g))
        return cls(unit, upper, lower, width)

    def terms(self) -> _Terms:
        """The log-likelihood with its first and second derivatives by location and log spread."""
        c, all_three = self.unit, (self.upper, self.lower, self.width)
        ends = (self.upper, self.lower)
        return _Terms(
            _sum(t[1] for t in all_three),
            -c * _sum(t[2] for t in ends),
            -_sum(t[0] * t[2] for t in all_three),
            c**2 * _sum(t[3] for t in ends),
            c * _sum(t[2] + t[0] * t[3] for t in ends),
            _sum(t[0] * t[2] + t[0] ** 2 * t[3] for t in all_three),
        )

    def third(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The third derivatives: eee, ees, ess, sss."""
        c, all_three = self.unit, (self.upper, self.lower, self.width)
        ends = (self.upper, self.lower)
        return (
            -(c**3) * _sum(t[4] for t in ends),
            -(c**2) * _sum(2 * t[3] + t[0] * t[4] for t in ends),
            -c * _sum(t[2] + 3 * t[0] * t[3] + t[0] ** 2 * t[4] for t in ends),
            -_sum(t[0] * t[2] + 3 * t[0] ** 2 * t[3] + t[0] ** 3 * t[4] for t in all_three),
        )

    def by_upper(self) -> _Terms:
        """What ``terms`` change by as the upper threshold does."""
        return self._by(self.upper, 1)

    def by_lower(self) -> _Terms:
        """What ``terms`` change by as the lower threshold does."""
        return self._by(self.lower, -1)

    def _by(self, end: tuple[Floats, ...], sign: int) -> _Terms:
        c, (t, _, first, second, third) = self.unit, end
        h, _, g1, g2, g3 = self.width
        return _Terms(
            c * (first + sign * g1),
            -(c**2) * second,
            -c * (first + t * second + sign * (g1 + h * g2)),
            c**3 * third,
            c**2 * (2 * second + t * third),
            c * (first + 3 * t * second + t**2 * third + sign * (g1 + 3 * h * g2 + h**2 * g3)),
        )


def _inverted(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def _counts(codes: Codes, values: Floats, n: int) -> Floats:
    return np.asarray(np.bincount(codes, values, n), dtype=np.float64)


def _sum(parts: Iterable[Floats]) -> Floats:
    total: Floats = np.sum([*parts], axis=0)
    return total
