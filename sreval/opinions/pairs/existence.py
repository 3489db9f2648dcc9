"""Whether paired comparisons have a finite estimate, found before any fit.

Bradley-Terry has one where every method can be reached from every other along wins (Ford 1957,
American Mathematical Monthly 64(8)). In general there is none where the parameters can move in a
direction that makes no judgement less likely (Albert and Anderson 1984, Biometrika 71(1)), which a
linear programme finds, with side advantage and ties as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from sreval.opinions.pairs.models import Comparisons, Model, Ties


@dataclass(frozen=True)
class Existence:
    """What can be estimated.

    ``parts``: methods that comparisons connect, each part with a scale of its own. ``classes``:
    methods whose differences are finite, the best first within a part. ``beyond``: those (a, b) of
    classes, by their numbers, with a above b without end, and no class between them.
    ``order_finite`` and ``tie_finite``: whether these parameters are. ``ties_only`` and
    ``no_ties`` say that all judgements, or none, are ties; ``one_rater`` and ``one_image`` that a
    single one was there, or the file has none.
    """

    parts: tuple[tuple[str, ...], ...]
    classes: tuple[tuple[str, ...], ...]
    beyond: tuple[tuple[int, int], ...]
    order_finite: bool
    tie_finite: bool
    ties_only: bool
    no_ties: bool
    one_rater: bool
    one_image: bool

    @property
    def exists(self) -> bool:
        """Whether all parameters have a finite estimate."""
        raise NotImplementedError

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders without end, as "a > b, c"."""
        raise NotImplementedError

    @property
    def reason(self) -> str:
        """Why there is no finite estimate, as a sentence; empty where there is one."""
        raise NotImplementedError


def existence(
    comparisons: Comparisons,
    model: Model = "bradley-terry",
    order: bool = False,
    ties: Ties = "half",
) -> Existence:
    """What of a model is finite; ``ties`` of a model without ties as in ``fit``.

    "refuse" is here as "drop": whoever fits refuses them by themselves.
    """
    raise NotImplementedError
