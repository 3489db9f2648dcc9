"""Simulated studies of pairs: plans with balanced sides, and the answers of raters who differ.

A rater's scale value of a method on an image is theta + u + v: u is the rater's own taste for the
method, v what the image does to it, both normal. Answers follow a model of ``models.py`` in these
values.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats


@dataclass(frozen=True)
class PairPlan:
    """Who judges what: codes of shape (trials,) of the rater, the image, and the methods shown."""

    rater: Codes
    image: Codes
    left: Codes
    right: Codes
    n_methods: int

    def first(self, n_raters: int, n_images: int) -> NDArray[np.bool_]:
        """Which trials are of the first so many raters and images."""
        return np.asarray((self.rater < n_raters) & (self.image < n_images))


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
    rounds = round_robin(n_methods) if n_methods > 1 else []
    taken = share * len(rounds)
    if min(n_raters, n_images) < 1 or n_methods < 2 or not 0 < share <= 1 or taken * n_images < 1:
        raise StatisticsError(
            f"{n_raters} raters can't judge a share of {share:g} of the pairs of {n_methods} "
            f"methods on {n_images} images.",
            f"Give a share from {min(1.0, 1 / max(1, len(rounds) * n_images)):.3g} to 1, at least "
            "one rater and image, and two methods.",
        )
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
    return PairPlan(*np.array(trials, dtype=np.intp).T, n_methods)


def round_robin(n: int) -> list[list[tuple[int, int]]]:
    """Rounds in which n competitors meet each other once, by turning a circle about a fixed one."""
    size = n + n % 2
    rounds = []
    for turn in range(size - 1):
        circle = [(place + turn) % (size - 1) for place in range(size - 1)]
        ends = [(size - 1, circle[0])]
        ends += [(circle[k], circle[-k]) for k in range(1, size // 2)]
        rounds.append([pair for pair in ends if max(pair) < n])
    return rounds


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
