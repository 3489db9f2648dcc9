"""Simulated studies of pairs: plans with balanced sides, and the answers of raters who differ.

A rater's scale value of a method on an image is theta + u + v: u is the rater's own taste for the
method, v what the image does to it, both normal. Answers follow a model of ``models.py`` in these
values.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.likelihood import Model, probabilities
from sreval.opinions.pairs.models import fit
from sreval.opinions.pairs.rounds import round_robin

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
"""Of the quadrature over a standard normal effect."""
_FAR = 50.0
"""Beyond any difference, and any tie parameter, that a share of judgements can tell."""


@dataclass(frozen=True)
class PairPlan:
    """Who judges what: codes of shape (trials,) of the rater, the image, and the methods shown."""

    rater: Codes
    image: Codes
    left: Codes
    right: Codes
    n_methods: int


@dataclass(frozen=True)
class DrawnPairs:
    """One simulated study, whatever part of it is judged.

    ``values`` (R, J, n): the scale value of each method for a rater on an image. ``noise``
    (R, J, n, n), uniform in 0..1, decides the judgement of two methods, of which the first counts.
    """

    model: PairModel
    values: Floats
    noise: Floats

    def answers(self, plan: PairPlan) -> Comparisons:
        """The judgements of ``plan``, of the first raters and images of the study."""
        places = plan.rater, plan.image
        left, right = (self.values[*places, method] for method in (plan.left, plan.right))
        chance = self.model.chances(left - right)
        # low noise prefers one method of a pair, whichever side it is on
        first, second = np.minimum(plan.left, plan.right), np.maximum(plan.left, plan.right)
        noise = self.noise[*places, first, second]
        noise = np.where(plan.left == first, noise, 1 - noise)
        below = chance.cumsum(axis=1)
        return Comparisons(
            methods=_names("m", plan.n_methods),
            raters=_names("r", int(plan.rater.max()) + 1),
            images=_names("i", int(plan.image.max()) + 1),
            left=plan.left,
            right=plan.right,
            outcome=np.where(noise < below[:, 0], 1, np.where(noise < below[:, 1], 0, -1)),
            rater=plan.rater,
            image=plan.image,
            count=np.ones(noise.size),
        )


@dataclass(frozen=True)
class PairModel:
    """How raters answer, in units of ``model``: logits, or standard deviations of a difference.

    ``rater_sd`` is the spread of a rater's taste for a method, ``image_sd`` that of what an image
    does to one: the defaults are about what 15 raters of super-resolution showed on 10 images
    (benchmarks/results/pairs.md). ``order_effect`` is the advantage of the left,
    ``tie_parameter`` that of ``models.fit``.

    Raises StatisticsError for a negative spread.
    """

    model: Model = "bradley-terry"
    rater_sd: float = 0.45
    image_sd: float = 0.5
    order_effect: float = 0.0
    tie_parameter: float = 0.0

    def __post_init__(self) -> None:
        if not (self.rater_sd >= 0 and self.image_sd >= 0):
            raise StatisticsError(
                f"Raters can't differ by {self.rater_sd:g}, nor images by {self.image_sd:g}.",
                "Give standard deviations of 0 or more.",
            )

    def chances(self, x: Floats) -> Floats:
        """How likely left, tie and right are, (N, 3), for ``x`` (N,) = value left - right."""
        return probabilities(self.model, x, self.order_effect, self.tie_parameter)

    def draw(
        self, theta: Floats, n_raters: int, n_images: int, generator: np.random.Generator
    ) -> DrawnPairs:
        """A study of methods with mean values ``theta`` (n,), raters and images drawn anew."""
        n = theta.size
        taste = generator.normal(size=(n_raters, 1, n)) * self.rater_sd
        own = generator.normal(size=(1, n_images, n)) * self.image_sd
        noise = generator.random((n_raters, n_images, n, n))
        return DrawnPairs(self, theta + taste + own, noise)

    def average_chances(self, x: Floats) -> Floats:
        """``chances`` of the average judgement, over raters and images, (N, 3).

        Gauss and Hermite's quadrature over the effects, which are normal.
        """
        spread = math.sqrt(2 * (self.rater_sd**2 + self.image_sd**2))
        spread_out = np.asarray(x)[:, None] + spread * NODES
        chances = self.chances(spread_out.ravel()).reshape(*spread_out.shape, 3)
        return np.asarray(np.einsum("nqo,q->no", chances, WEIGHTS))

    def average(self, theta: Floats) -> Floats:
        """The scale values (n,) of the average judgement of all pairs, sum zero.

        They are what a fit without the effects estimates, and nearer to zero than ``theta``.
        """
        n = theta.size
        left, right = np.nonzero(~np.eye(n, dtype=bool))
        expected = self.average_chances(theta[left] - theta[right])
        pair, outcome = np.nonzero(expected)
        of_all = np.zeros(pair.size, dtype=np.intp)
        shares = Comparisons(
            methods=_names("m", n),
            raters=("",),
            images=("",),
            left=left[pair],
            right=right[pair],
            outcome=1 - outcome,
            rater=of_all,
            image=of_all,
            count=expected[pair, outcome],
        )
        return fit(shares, self.model, order=self.order_effect != 0).theta

    def apart(self, win_probability: float) -> float:
        """How far the values of two methods lie apart, the better one being preferred so often.

        That is in the average judgement without a tie, with both sides alike.
        """
        even = replace(self, order_effect=0.0)

        def missing(x: float) -> float:
            left, _, right = even.average_chances(np.array([x]))[0]
            return float(left / (left + right)) - win_probability

        return float(scipy.optimize.brentq(missing, -_FAR, _FAR))

    def with_ties(self, share: float) -> PairModel:
        """The model whose average judgement of two methods alike is a tie so often."""

        def missing(parameter: float) -> float:
            made = replace(self, tie_parameter=parameter, order_effect=0.0)
            return float(made.average_chances(np.zeros(1))[0, 1]) - share

        low = -_FAR if self.model == "davidson" else 0.0
        return replace(self, tie_parameter=float(scipy.optimize.brentq(missing, low, _FAR)))


def rounds_taken(n_raters: int, n_images: int, n_methods: int, share: float) -> float:
    """How many rounds of a round robin a rater judges on an image, on average.

    Raises what ``plan_pairs`` raises.
    """
    if min(n_raters, n_images) < 1 or n_methods < 2:
        raise StatisticsError(
            f"{n_raters} raters can't judge pairs of {n_methods} methods on {n_images} images.",
            "Give at least one rater and image, and two methods.",
        )
    rounds = n_methods - 1 + n_methods % 2
    if not 0 < share <= 1 or share * rounds * n_images < 1:
        # rounded up, so that the share that is named is large enough
        least = math.ceil(10_000 / (rounds * n_images)) / 10_000
        raise StatisticsError(
            f"A rater can't judge a share of {share:g} of the pairs of {n_methods} methods on "
            f"{n_images} images.",
            f"Give a share from {min(1.0, least):g} to 1.",
        )
    return share * rounds


def plan_pairs(
    n_raters: int, n_images: int, n_methods: int, share: float = 1.0, seed: int = 0
) -> PairPlan:
    """All pairs of methods on every image, or a balanced ``share`` of them for each rater.

    A part consists of rounds of a round robin, in each of which every method is shown once (but
    one, where their number is odd). Over raters each pair of an image is judged equally often, up
    to one round. Raters 2k and 2k + 1 judge the same pairs with sides exchanged; each method is on
    the left in half of a rater's trials, up to one trial.

    Raises StatisticsError for fewer than one rater or image, fewer than two methods, or a share
    outside 0..1 or so small that a rater would judge nothing.
    """
    taken = rounds_taken(n_raters, n_images, n_methods, share)
    rounds = round_robin(n_methods)
    generator = np.random.default_rng(seed)
    order = np.array([generator.permutation(len(rounds)) for _ in range(n_images)])
    trials: list[tuple[int, int, int, int]] = []
    for couple in range(math.ceil(n_raters / 2)):
        shown = [
            (image, *pair)
            for image in range(n_images)
            for place in range(
                math.floor((couple + image) * taken), math.floor((couple + image + 1) * taken)
            )
            for pair in rounds[order[image, place % len(rounds)]]
        ]
        sides = balanced_sides([(a, b) for _, a, b in shown], generator)
        for rater in (2 * couple, 2 * couple + 1)[: n_raters - 2 * couple]:
            for (image, *_), (left, right) in zip(shown, sides, strict=True):
                pair = (left, right) if rater % 2 == 0 else (right, left)
                trials.append((rater, image, *pair))
    rater, image, left, right = np.array(trials, dtype=np.intp).T
    return PairPlan(rater, image, left, right, n_methods)


def _names(letter: str, n: int) -> tuple[str, ...]:
    return tuple(f"{letter}{code + 1:03}" for code in range(n))


def balanced_sides(
    pairs: Sequence[tuple[int, int]], generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Each of ``pairs`` as (left, right), every method on the left in half of its pairs, +-1.

    The pairs are walked along as edges of a graph, each from left to right: a closed walk leaves a
    method as often as it comes to it. Methods of odd number of pairs are joined to one more vertex,
    which makes their number even (Euler). Each closed walk is turned round or not by chance.
    """
    edges: list[tuple[int, int]] = list(pairs)
    degree = np.bincount(np.array(edges, dtype=np.intp).ravel())
    edges += [(int(odd), len(degree)) for odd in np.flatnonzero(degree % 2)]
    at: dict[int, list[int]] = defaultdict(list)
    for number in generator.permutation(len(edges)).tolist():
        for vertex in edges[number]:
            at[vertex].append(number)
    left: dict[int, int] = {}
    for start in sorted(at):
        while True:
            walk, here = {}, start
            while True:
                while at[here] and (at[here][-1] in left or at[here][-1] in walk):
                    at[here].pop()
                if not at[here]:
                    break
                number = at[here].pop()
                walk[number] = here
                here = sum(edges[number]) - here
            if not walk:
                break
            if generator.random() < 0.5:
                walk = {number: sum(edges[number]) - vertex for number, vertex in walk.items()}
            left |= walk
    return [(left[k], sum(pair) - left[k]) for k, pair in enumerate(pairs)]
