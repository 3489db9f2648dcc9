"""Whether paired comparisons have a finite estimate, found before any fit.

Bradley-Terry has one where every method can be reached from every other along wins (Ford 1957,
American Mathematical Monthly 64(8)). In general there is none where the parameters can move in a
direction that makes no judgement less likely (Albert and Anderson 1984, Biometrika 71(1)), which a
linear programme finds, with side advantage and ties as well.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError, option
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.likelihood import TIE_MODELS, Likelihood, Model, Ties


@dataclass(frozen=True)
class Existence:
    """What can be estimated.

    ``parts``: methods that comparisons connect, each part with a scale of its own. ``classes``:
    methods whose differences are finite, the best first within a part. ``beyond``: those (a, b) of
    classes, by their numbers, with a above b without end, and no class between them.
    ``order_finite`` and ``tie_finite``: whether these parameters are; ``order_apart``: whether
    judgements tell the advantage of the left place from the methods at all. ``ties_only`` and
    ``no_ties`` say that all judgements, or none, are ties; ``one_rater`` and ``one_image`` that a
    single one was there, or the file has none.
    """

    parts: tuple[tuple[str, ...], ...]
    classes: tuple[tuple[str, ...], ...]
    beyond: tuple[tuple[int, int], ...]
    order_finite: bool
    order_apart: bool
    tie_finite: bool
    ties_only: bool
    no_ties: bool
    one_rater: bool
    one_image: bool

    @property
    def exists(self) -> bool:
        """Whether all parameters have a finite estimate, and only one."""
        return len(self.classes) == 1 and self.order_finite and self.tie_finite

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders without end, as "a > b, c"."""
        return tuple(" > ".join(", ".join(self.classes[c]) for c in pair) for pair in self.beyond)

    @property
    def reason(self) -> str:
        """Why there is no finite estimate, as a sentence; empty where there is one."""
        if self.exists:
            return ""
        if self.ties_only:
            return "All judgements are ties: none prefers a method."
        if len(self.parts) > 1:
            named = "; ".join(", ".join(part) for part in self.parts)
            return f"No judgement links these methods with each other: {named}."
        if not self.tie_finite and self.no_ties:
            return "No judgement is a tie, so that the model has no finite tie parameter."
        if not self.order_apart:
            return "Judgements don't tell the advantage of the left place from the methods."
        if not self.order_finite:
            return "From these judgements the advantage of one place has no finite estimate."
        if self.beyond:
            orders = "; ".join(self.orders)
            return f"From these judgements the differences {orders} have no finite estimate."
        return "From these judgements the parameters of this model have no finite estimate."

    @property
    def remedy(self) -> str:
        """What to do where there is no finite estimate; empty where there is one."""
        if self.exists:
            return ""
        if self.ties_only:
            return "Report that all methods were found equal."
        if len(self.parts) > 1:
            return "Fit each of these parts by itself."
        if not self.tie_finite and self.no_ties:
            return "Fit bradley-terry or thurstone, which have no ties."
        if not self.order_finite:
            return f"Leave out {option('--order', 'order=True')}."
        return (
            "Use the penalised estimate under its name (firth), or fit the methods of each class "
            "alone."
        )


def existence(
    comparisons: Comparisons,
    model: Model = "bradley-terry",
    order: bool = False,
    ties: Ties = "half",
) -> Existence:
    """What of a model is finite; ``ties`` of a model without ties as in ``fit``.

    "refuse" is here as "drop": ``fit`` refuses them itself. Raises UsageError for an unknown model.
    """
    likelihood = Likelihood.of(comparisons, model, order, ties)
    n = len(comparisons.methods)
    ties_only = comparisons.n_ties == comparisons.n_judgements
    no_ties = comparisons.n_ties == 0
    tie_finite = model not in TIE_MODELS or not (ties_only or no_ties)
    if not tie_finite:
        likelihood = Likelihood.of(comparisons, "bradley-terry", order, "half")
    part = _parts(likelihood)
    told_apart = not order or _told_apart(likelihood, part)
    if not told_apart:
        likelihood = Likelihood.of(comparisons, likelihood.model, False, ties)
    growth = likelihood.growth()
    free = _without_effect(growth)
    class_of = _alike(free[:n])
    above = _above(growth, class_of, part)
    lead = [(part[class_of == c][0], above[:, c].sum()) for c in range(len(above))]
    rank = sorted(range(len(above)), key=lambda c: lead[c])
    above = above[np.ix_(rank, rank)]
    between = above.astype(int) @ above.astype(int) > 0
    others = [bool(np.abs(row).max(initial=0) < _NOTHING) for row in free[n:]]
    return Existence(
        parts=tuple(_named(comparisons, part == k) for k in range(part.max() + 1)),
        classes=tuple(_named(comparisons, class_of == c) for c in rank),
        beyond=tuple((int(a), int(b)) for a, b in np.argwhere(above & ~between)),
        order_finite=told_apart and (not order or others[0]),
        order_apart=told_apart,
        tie_finite=tie_finite and (model not in TIE_MODELS or others[-1]),
        ties_only=ties_only,
        no_ties=no_ties,
        one_rater=comparisons.n_raters == 1,
        one_image=comparisons.n_images == 1,
    )


def check(comparisons: Comparisons, model: Model, order: bool, ties: Ties) -> None:
    """Raise StatisticsError where the model has no finite estimate."""
    if _settled(Likelihood.of(comparisons, model, order, ties)):
        return
    found = existence(comparisons, model, order, ties)
    if not found.exists:
        raise StatisticsError(found.reason, found.remedy)


def connected(comparisons: Comparisons, order: bool, ties: Ties) -> None:
    """Raise StatisticsError where Bradley-Terry has no penalised estimate either."""
    likelihood = Likelihood.of(comparisons, "bradley-terry", order, ties)
    part = _parts(likelihood)
    if part.max() or (order and not _told_apart(likelihood, part)):
        check(comparisons, "bradley-terry", order, ties)


def _settled(likelihood: Likelihood) -> bool:
    """Whether judgements that differ from each other end every direction by themselves.

    That is so in most studies, and far quicker to see than by linear programming.
    """
    growth = likelihood.growth()
    opposed = (growth[:, None] == -growth[None]).all(axis=2).any(axis=1)
    rank = np.linalg.matrix_rank(growth[opposed]) if opposed.any() else 0
    return bool(rank == likelihood.basis.shape[1])


_NOTHING = 1e-6
"""What is zero but for the tolerance of linear programming."""


def _parts(likelihood: Likelihood) -> Codes:
    """The number of the connected part of each method, (n,)."""
    n = likelihood.n_methods
    judged = likelihood.counts.sum(axis=1) > 0
    links = np.abs(likelihood.design[judged, 0, :n])
    graph = links.T @ links
    return np.asarray(scipy.sparse.csgraph.connected_components(graph)[1], dtype=np.intp)


def _told_apart(likelihood: Likelihood, part: Codes) -> bool:
    """Whether the parameters of each part have different effects on the judged pairs."""
    judged = likelihood.design[likelihood.counts.sum(axis=1) > 0]
    rank = np.linalg.matrix_rank(judged.reshape(-1, judged.shape[2])) if judged.size else 0
    return bool(rank == judged.shape[2] - (part.max() + 1))


def _without_effect(growth: Floats) -> Floats:
    """The span (K, D) of the directions in which no judgement that was made gets less likely.

    One programme finds a direction in which every row of ``growth`` (L, K) rises that can rise at
    all: the others bound the cone to this span.
    """
    rows, k = growth.shape
    slack = np.eye(rows)
    found = _least(
        np.concatenate([np.zeros(k), -np.ones(rows)]),
        np.hstack([-growth, slack]),
        [(None, None)] * k + [(0, 1)] * rows,
    )
    fixed = growth[found[k:] < 0.5]
    return np.asarray(scipy.linalg.null_space(fixed) if fixed.size else np.eye(k))


def _alike(free: Floats) -> Codes:
    """Numbers, (n,), of the classes of methods that no direction of ``free`` (n, D) parts."""
    apart = np.abs(free[:, None, :] - free[None, :, :]).max(axis=2, initial=0)
    first = np.argmax(apart < _NOTHING, axis=1)
    return np.asarray(np.unique(first, return_inverse=True)[1], dtype=np.intp)


def _above(growth: Floats, class_of: Codes, part: Codes) -> NDArray[np.bool_]:
    """Whether each class (row) lies above each (column) without end, (C, C)."""
    first = [int(np.argmax(class_of == c)) for c in range(class_of.max() + 1)]
    above = np.zeros((len(first),) * 2, dtype=np.bool_)
    for a, b in itertools.permutations(range(len(first)), 2):
        if part[first[a]] == part[first[b]]:
            cost = np.zeros(growth.shape[1])
            cost[[first[a], first[b]]] = 1, -1
            lowest = _least(cost, -growth, [(-1, 1)] * cost.size)
            above[a, b] = cost @ lowest > -_NOTHING
    return above


def _least(cost: Floats, rows: Floats, bounds: list[tuple[float | None, float | None]]) -> Floats:
    """The point within ``bounds`` of the lowest ``cost`` where no row exceeds zero."""
    found = scipy.optimize.linprog(cost, A_ub=rows, b_ub=np.zeros(len(rows)), bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)


def _named(comparisons: Comparisons, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(comparisons.methods[k] for k in np.flatnonzero(chosen))
