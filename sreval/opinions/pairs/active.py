"""Which pairs to judge next: those that are expected to tell most about the scale values.

After Mikhailiuk, Wilmot, Perez-Ortiz, Yue and Mantiuk 2020, "Active sampling for pairwise
comparisons via approximate message passing and information gain maximization" (ASAP; its abstract
and the interface of its authors' code were read, its equations are from memory): the next batch is
the minimum spanning tree of the inverse of the expected information gain, so that each batch
connects all methods. Two parts differ. What is believed of the values is a normal distribution
about their most likely ones (Laplace's approximation) in place of message passing. And a rater's
judgements are not awaited: each tree of a plan counts those before it as if they had been judged,
by the information that they are expected to give, without an outcome.

The model is Thurstone's case V in standard deviations of a difference (``models``), a tie half a
choice of each side. Before any judgement the values are independent and normal about zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.pairs.likelihood import Likelihood
from sreval.opinions.pairs.simulation import NODES, WEIGHTS

PRIOR_VARIANCE = 0.5
"""Of a scale value before any judgement: that of a difference is 1. ASAP's code has the same."""

Trial = tuple[str, ...]
"""Data set, image, and the two methods in any order."""
_SHARE_OF_WINS = {"left": 1.0, "tie": 0.5, "right": 0.0}
_MOST_STEPS, _CONVERGED = 100, 1e-8
_DECIMALS = 9
"""To which gains are compared: machines differ in later ones, and ties have to be ties."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of the scale values of n methods: normal, ``mean`` (n,), ``precision``."""

    mean: Floats
    precision: Floats
    """(n, n), the inverse of the covariance."""

    @classmethod
    def after(cls, wins: Floats) -> Beliefs:
        """After so many judgements: ``wins`` (n, n), how often the row's method was chosen over
        the column's, a tie half for each."""
        n = len(wins)
        left, right = np.nonzero(wins)
        counts = np.stack([wins[left, right], *np.zeros((2, left.size))], axis=1)
        likelihood = Likelihood.on(left, right, counts, n, "thurstone", order=False)
        prior = np.eye(n) / PRIOR_VARIANCE
        mean = np.zeros(n)
        for _ in range(_MOST_STEPS):
            terms = likelihood.terms(mean)
            slope = likelihood.gradient(terms) - prior @ mean
            step = np.linalg.solve(likelihood.observed(terms) + prior, slope)
            gain, value = slope @ step, _log_posterior(likelihood, mean)
            while _log_posterior(likelihood, mean + step) < value:
                step = step / 2
            mean = mean + step
            if gain < _CONVERGED:
                break
        return cls(mean, likelihood.observed(likelihood.terms(mean)) + prior)

    def gains(self, one: Codes, other: Codes) -> Floats:
        """How much a judgement of each pair is expected to tell, (M,), in nats.

        It is the Kullback-Leibler divergence of the beliefs after the judgement from those
        before, averaged over its outcomes: what the outcome and the values tell of each other. As
        an outcome depends on the values by their difference alone, so does the gain.
        """
        centre, spread = self._differences(one, other)
        chosen = special.ndtr(centre / np.sqrt(1 + spread**2))
        chance = special.ndtr(centre[:, None] + spread[:, None] * NODES)
        return np.asarray(_entropy(chosen) - _entropy(chance) @ WEIGHTS)

    def expecting(self, one: Codes, other: Codes) -> Beliefs:
        """These, once each pair was judged, whatever the outcome: nearer together, not elsewhere.

        A judgement adds its expected information, averaged over what is believed.
        """
        centre, spread = self._differences(one, other)
        at = centre[:, None] + spread[:, None] * NODES
        log_density = -(at**2) - np.log(2 * np.pi)
        information = np.exp(log_density - special.log_ndtr(at) - special.log_ndtr(-at)) @ WEIGHTS
        sides = np.zeros((one.size, self.mean.size))
        sides[np.arange(one.size), one], sides[np.arange(one.size), other] = 1, -1
        return replace(self, precision=self.precision + (sides.T * information) @ sides)

    def _differences(self, one: Codes, other: Codes) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the difference of each pair, (M,)."""
        covariance = np.linalg.inv(self.precision)
        own = np.diag(covariance)
        variance = own[one] + own[other] - 2 * covariance[one, other]
        return self.mean[one] - self.mean[other], np.sqrt(variance)


def _log_posterior(likelihood: Likelihood, mean: Floats) -> float:
    return likelihood.value(likelihood.terms(mean)) - float(mean @ mean) / (2 * PRIOR_VARIANCE)


def _entropy(p: Floats) -> Floats:
    return np.asarray(special.entr(p) + special.entr(1 - p))


def best_tree(gains: Floats, one: Codes, other: Codes, n: int) -> list[int]:
    """The pairs that connect n methods with the largest gains, by number, in order.

    Where the pairs don't connect all methods, as many as they do. Of equal gains the first counts.
    The minimum spanning tree of the inverse gains depends on their order alone.
    """
    order = np.argsort(-np.round(gains, _DECIMALS), kind="stable")
    rank = np.empty(order.size)
    rank[order] = np.arange(1, order.size + 1)
    tree = minimum_spanning_tree(csr_array((rank, (one, other)), shape=(n, n)))
    return sorted(int(order[int(place) - 1]) for place in tree.data)


def choose(trials: Sequence[Trial], judged: pd.DataFrame | None, count: int) -> dict[Trial, str]:
    """``count`` of the ``trials`` for the next rater, and why each was chosen.

    One tree an image, beginning with the images that were judged least, then a second where
    ``count`` is larger. ``judged`` has a row for each judgement so far with the columns dataset,
    image, left, right and choice (left, right or tie), None: none yet; it is pooled over the images
    of a data set. What is equal is decided by the order of ``trials``, which the caller draws.
    """
    so_far = _judged(judged)
    images: dict[Trial, list[Trial]] = {}
    for trial in trials:
        images.setdefault(trial[:2], []).append(trial)
    seen: Counter[Trial] = Counter(row[:2] for row in so_far)
    waiting = sorted(images, key=lambda image: seen[image])
    pools = {
        dataset: _Pool.of([trial for trial in trials if trial[0] == dataset], so_far)
        for dataset in dict.fromkeys(trial[0] for trial in trials)
    }
    chosen: dict[Trial, str] = {}
    count = min(count, len(trials))
    while True:
        for image in waiting:
            taken = pools[image[0]].take(images[image], count - len(chosen))
            chosen |= taken
            images[image] = [trial for trial in images[image] if trial not in taken]
            if len(chosen) == count:
                return chosen


def _judged(judged: pd.DataFrame | None) -> list[tuple[str, str, str, str, float]]:
    """Data set, image, the two methods, and how often the first was chosen, of each judgement."""
    if judged is None:
        return []
    columns = [judged[name] for name in ("dataset", "image", "left", "right")]
    return list(zip(*columns, judged["choice"].map(_SHARE_OF_WINS), strict=True))


@dataclass
class _Pool:
    """The methods of one data set, and what is believed of them over all of its images."""

    methods: list[str]
    beliefs: Beliefs
    times: Counter[frozenset[str]]
    """How often each two were judged."""

    @classmethod
    def of(cls, trials: Sequence[Trial], judged: list[tuple[str, str, str, str, float]]) -> _Pool:
        methods = sorted({method for trial in trials for method in trial[2:]})
        number = {method: place for place, method in enumerate(methods)}
        wins = np.zeros((len(methods),) * 2)
        times: Counter[frozenset[str]] = Counter()
        for dataset, _, left, right, share in judged:
            if dataset == trials[0][0] and left in number and right in number:
                wins[number[left], number[right]] += share
                wins[number[right], number[left]] += 1 - share
                times[frozenset((left, right))] += 1
        return cls(methods, Beliefs.after(wins), times)

    def take(self, trials: Sequence[Trial], most: int) -> dict[Trial, str]:
        """The best tree among the trials of one image, with reasons; those before it count."""
        pairs = [[self.methods.index(method) for method in trial[2:]] for trial in trials]
        one, other = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
        gains = self.beliefs.gains(one, other)
        tree = best_tree(gains, one, other, len(self.methods))[:most]
        self.beliefs = self.beliefs.expecting(one[tree], other[tree])
        return {trials[place]: self._reason(trials[place], gains[place]) for place in tree}

    def _reason(self, trial: Trial, gain: float) -> str:
        times = self.times[frozenset(trial[2:])]
        return (
            f"an active choice: expected to tell {gain:.4f} nats; the two were judged "
            f"{times} time{'s' * (times != 1)} so far"
        )
