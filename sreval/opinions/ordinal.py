"""What an ordinal model says of the methods: votes as categories, raters and images both random.

A mean of votes takes the steps of the scale as equally far apart, the same for every rater. The
cumulative link mixed model does not: each step has its own threshold, each rater their own place
and spread on the scale. It is the sensitivity analysis of the comparison of means.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, counted, listed
from sreval.frames import unit_name, unit_of
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.cumulative_link import Fit, Grouping, fit, means_instead
from sreval.opinions.intervals import LEAST_UNITS, student_quantile
from sreval.opinions.significance import judge
from sreval.opinions.votes import ACR, Scale, opinions

MOST_CATEGORIES = 11
"""Those of the finest category scale of ITU-T P.910 (from memory): each takes a threshold."""
_LOCATION = ("rater", "image", "rater x method", "image x method")
_LOG_SPREAD = "log spread of raters"
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_SLOPE_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class OrdinalModel:
    """The cumulative link mixed model of the votes on one data set.

    eta = method + rater + image + rater x method + image x method, all but the methods' effects
    random; the log spread is random over raters, or 0 where it can't be fitted. ``methods`` are
    those that were fitted, the first one's effect 0; ``lowest`` and ``highest`` those that got
    nothing but the lowest or the highest category, whose effect has no bound. ``categories`` are
    the scores that the fitted votes use. ``unit`` is sequence where images are frames: these
    share their sequence's effects.
    """

    dataset: str
    methods: tuple[str, ...]
    lowest: tuple[str, ...]
    highest: tuple[str, ...]
    categories: tuple[float, ...]
    unit: str
    raters: tuple[str, ...]
    n_votes: int
    n_images: int
    fit: Fit

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The places in ``methods`` of both methods of every pair."""
        return tuple(itertools.combinations(range(len(self.methods)), 2))

    def contrasts(
        self, level: float = 0.95, adjustment: str = "holm", alpha: float = 0.05
    ) -> pd.DataFrame:
        """Every pair of fitted methods, one row each.

        ``log_odds`` is first minus second, with ``standard_error``, ``low``, ``high`` and ``p``
        (Wald, Student's t with ``freedom`` degrees); ``superiority`` is the probability that a
        new rater votes higher on the first than on the second of one new image, half the ties
        added (Agresti 2010, Analysis of Ordinal Categorical Data, from memory), in 0..1, with an
        interval by the delta method on its logit. ``significant`` goes by ``p_adjusted``.

        Raises UsageError for an unknown adjustment.
        """
        cuts, fitted = len(self.fit.thresholds), self.fit
        freedom = self.freedom
        quantile = float(student_quantile(freedom, level))
        rows = np.zeros((len(self.pairs), len(fitted.estimates)))
        for row, (i, j) in zip(rows, self.pairs, strict=True):
            row[cuts + i - 1] += i > 0
            row[cuts + j - 1] -= 1
        odds = rows @ fitted.estimates
        error = _errors(rows, fitted.covariance)
        p = 2 * scipy.special.stdtr(freedom, -np.abs(odds / error))
        verdicts = judge(p, np.zeros_like(p), adjustment, alpha)
        chance = self._superiority(fitted.estimates)
        logit, slopes = scipy.special.logit(chance), self._slopes()
        spread = quantile * _errors(slopes, fitted.covariance)
        return pd.DataFrame(
            {
                "first": [self.methods[i] for i, _ in self.pairs],
                "second": [self.methods[j] for _, j in self.pairs],
                "log_odds": odds,
                "standard_error": error,
                "low": odds - quantile * error,
                "high": odds + quantile * error,
                "freedom": freedom,
                "p": p,
                "p_adjusted": [verdict.p_adjusted for verdict in verdicts],
                "significant": [verdict.significant for verdict in verdicts],
                "superiority": chance,
                "superiority_low": scipy.special.expit(logit - spread),
                "superiority_high": scipy.special.expit(logit + spread),
            }
        )

    @property
    def freedom(self) -> int:
        """Degrees of freedom of a contrast: one less than there are raters or images, the fewer.

        Wald's normal quantile takes the spreads of raters and images as known.
        """
        return min(len(self.raters), self.n_images) - 1

    @property
    def spreads_differ(self) -> bool:
        """Whether raters have spreads of their own; else one spread was fitted for all."""
        return _LOG_SPREAD in self.fit.deviations

    def rater_table(self) -> pd.DataFrame:
        """One row a rater: ``bias`` in logits above the others, and ``spread``, 1 the usual one.

        Both are the most probable values, drawn towards 0 and 1 as a rater's votes are few.
        """
        modes = self.fit.modes
        spread = np.exp(modes.get(_LOG_SPREAD, np.zeros(len(self.raters))))
        return pd.DataFrame({"rater": self.raters, "bias": modes["rater"], "spread": spread})

    def parameters(self) -> pd.DataFrame:
        """Thresholds and standard deviations, one row each, with standard errors, in logits."""
        pairs = itertools.pairwise(self.categories)
        names = [f"threshold {low:g}|{high:g}" for low, high in pairs]
        names += [f"sd, {term.replace('image', self.unit)}" for term in self.fit.deviations]
        cuts = len(self.fit.thresholds)
        kept = np.r_[:cuts, cuts + len(self.methods) - 1 : len(self.fit.estimates)]
        return pd.DataFrame(
            {
                "parameter": names,
                "estimate": self.fit.estimates[kept],
                "standard_error": self.fit.standard_errors[kept],
            }
        )

    def _superiority(self, estimates: Floats) -> Floats:
        """P(first > second) + P(equal) / 2 of every pair, (pairs,).

        Both votes are of one rater, whose place and spread they share, on one image; what rater
        and image do to one method alone is drawn anew for each. Gauss-Hermite quadrature.
        """
        cuts, p = len(self.fit.thresholds), len(self.fit.thresholds) + len(self.methods) - 1
        rater, image, rater_method, image_method = estimates[p : p + 4]
        log_spread = estimates[p + 4] if self.spreads_differ else 0.0
        effects = np.concatenate([[0.0], estimates[cuts:p]])
        shared = math.hypot(rater, image) * _NODES
        own = math.hypot(rater_method, image_method) * _NODES
        unit = np.exp(-log_spread * _NODES)
        place = effects[:, None, None] + shared[:, None] + own
        latent = estimates[:cuts] - place[..., None, None]
        below = scipy.special.expit(latent * unit[:, None])  # methods, shared, own, spread, cuts
        below = np.einsum("mcosk,o->mcsk", below, _WEIGHTS)
        edges = np.pad(below, [(0, 0)] * 3 + [(1, 1)], constant_values=((0, 0),) * 3 + ((0, 1),))
        shares, middles = np.diff(edges, axis=-1), (edges[..., 1:] + edges[..., :-1]) / 2
        won = np.einsum("acsk,bcsk,c,s->ab", shares, middles, _WEIGHTS, _WEIGHTS)
        return np.array([won[pair] for pair in self.pairs])

    def _slopes(self) -> Floats:
        """Slopes of the logits of ``_superiority`` by the parameters, (pairs, parameters)."""
        at = self.fit.estimates
        steps = _SLOPE_STEP * np.eye(at.size)
        logit = [
            [scipy.special.logit(self._superiority(at + side * step)) for side in (1, -1)]
            for step in steps
        ]
        return np.stack([(up - down) / (2 * _SLOPE_STEP) for up, down in logit], axis=1)


def ordinal_model(
    votes: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    scale: Scale = ACR,
    told: Callable[[], object] = lambda: None,
) -> OrdinalModel:
    """Fit the model to checked votes on one data set; ``methods`` in their order, None: all.

    Scores of the scale that nobody gave are merged with the next. Few votes may not bear a spread
    for every rater: then all have one. ``told`` is called at every evaluation of the likelihood.

    Raises StatisticsError for a scale without steps or of more than MOST_CATEGORIES used, for
    fewer than two methods, or three raters or images, and where the model has no finite estimate.
    """
    counted_votes = opinions(votes)
    scale.scores()  # refuses a slider
    of = unit_name(map(str, counted_votes["image"].unique()))
    present = sorted(counted_votes["method"].unique()) if methods is None else list(methods)
    counted_votes = counted_votes[counted_votes["method"].isin(present)]
    if counted_votes["score"].nunique() == 1:
        raise StatisticsError(
            f"All votes are {counted_votes['score'].iloc[0]:g}: no model tells the methods apart.",
            "Check the scores: an ordinal model needs votes that differ.",
        )
    kept, lowest, highest = _without_extremes(counted_votes)
    left = [name for name in present if name not in {*lowest, *highest}]
    if len(present) < 2:
        raise StatisticsError(
            f"The votes are on {counted(len(present), 'method')}.", "An ordinal model needs two."
        )
    if len(left) < 2:
        raise StatisticsError(
            f"Votes on {listed([*lowest, *highest])} are all the lowest or all the highest, so "
            f"that {len(left) or 'none'} of {counted(len(present), 'method')} is left to compare.",
            f"An ordinal model needs two; use {means_instead()}.",
        )
    raters, images = _coded(kept["rater"]), _coded(kept["image"].map(unit_of))
    for what, n in (("rater", len(raters[1])), (of, len(images[1]))):
        if n < LEAST_UNITS:
            raise StatisticsError(
                f"The ordinal model speaks of raters and {of}s in general, but there "
                f"{'is' if n == 1 else 'are'} {counted(n, what)}.",
                f"{LEAST_UNITS} are needed: gather votes {'of' if what == 'rater' else 'on'} more "
                f"{what}s, or use "
                f"{means_instead()}.",
            )
    category, scores = _coded(kept["score"])
    if len(scores) > MOST_CATEGORIES:
        raise StatisticsError(
            f"The votes use {len(scores)} scores of the scale {scale}: the ordinal model takes at "
            f"most {MOST_CATEGORIES} categories.",
            f"Use {means_instead()}.",
        )
    _refuse_parted(kept, scores.tolist())
    method = np.asarray(pd.Index(left).get_indexer(pd.Index(kept["method"])), dtype=np.intp)
    columns = (method[:, None] == np.arange(1, len(left))).astype(np.float64)
    crossed = [_coded(own[0] * len(left) + method)[0] for own in (raters, images)]
    named = zip(_LOCATION, (raters[0], images[0], *crossed), strict=True)
    location = [Grouping(name, codes) for name, codes in named]
    spread = Grouping(_LOG_SPREAD, raters[0], "spread")
    try:
        found = fit(category, columns, [*location, spread], told)
    except StatisticsError:
        found = fit(category, columns, location, told)
    return OrdinalModel(
        dataset=str(kept["dataset"].iloc[0]),
        methods=tuple(left),
        lowest=lowest,
        highest=highest,
        categories=tuple(map(float, scores)),
        unit=of,
        raters=tuple(map(str, raters[1])),
        n_votes=len(kept),
        n_images=len(images[1]),
        fit=found,
    )


def _without_extremes(
    votes: pd.DataFrame,
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """The votes without those on methods that got the lowest or the highest category alone.

    What is lowest and highest is found again without them: they may be all that used it.
    """
    ends = votes.groupby("method")["score"].agg(["min", "max"])
    lowest: list[str] = []
    highest: list[str] = []
    while len(ends):
        low = ends.index[ends["max"] == ends["min"].min()]
        high = ends.index[ends["min"] == ends["max"].max()].difference(low)
        if low.empty and high.empty:
            break
        lowest += map(str, low)
        highest += map(str, high)
        ends = ends.drop(low.union(high))
    return votes[votes["method"].isin(ends.index)], tuple(lowest), tuple(highest)


def _refuse_parted(votes: pd.DataFrame, scores: Sequence[float]) -> None:
    """Names the methods where one score parts the votes on some from those on all others."""
    ends = votes.groupby("method")["score"].agg(["min", "max"])
    for score in scores:
        below = ends.index[ends["max"] <= score]
        above = ends.index[ends["min"] >= score].difference(below)
        if len(below) and len(above) and len(below) + len(above) == len(ends):
            raise StatisticsError(
                f"The ordinal model has no finite estimate on these votes: those on "
                f"{listed(list(below))} are all {ends.loc[below, 'max'].max():g} or less, "
                f"those on {listed(list(above))} all {ends.loc[above, 'min'].min():g} or more.",
                f"Use {means_instead()}.",
            )


def _coded(values: pd.Series | Codes) -> tuple[Codes, pd.Index]:
    codes, labels = pd.factorize(values, sort=True)
    return np.asarray(codes, dtype=np.intp), pd.Index(labels)


def _errors(rows: Floats, covariance: Floats) -> Floats:
    """Standard errors of linear functions, (N, parameters), of the parameters."""
    found: Floats = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    return found
