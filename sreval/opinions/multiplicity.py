"""Many tests at once: adjusted p values, what they could have shown, and letters for groups."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Floats

Adjustment = Callable[[ArrayLike], Floats]


def holm(p: ArrayLike) -> Floats:
    """Holm's adjusted p of shape (m,): the chance of any false alarm among m stays at alpha.

    Holm 1979, Scandinavian Journal of Statistics 6(2). NaN marks a test that was not made: it
    passes through and doesn't count in m. Raises StatisticsError for a p outside 0..1.
    """
    values, order, adjusted = _ascending(p)
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p of shape (m,) that bound the expected share of false alarms among the found.

    Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57(1). NaN passes
    through and doesn't count in m. Raises StatisticsError for a p outside 0..1.
    """
    values, order, adjusted = _ascending(p)
    steps = values[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(steps[::-1])[::-1])
    return adjusted


ADJUSTMENTS: dict[str, Adjustment] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": lambda p: np.asarray(p, dtype=np.float64),
}


@dataclass(frozen=True)
class Verdict:
    """One test of a family: its adjusted p, and the least that any outcome could have given it.

    Both in 0..1, NaN where no test was made.
    """

    p_adjusted: float
    least_p_adjusted: float
    alpha: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p is below ``alpha``."""
        return self.p_adjusted < self.alpha

    @property
    def too_small(self) -> bool:
        """Whether no outcome could have been significant, also where no test was made."""
        return not self.least_p_adjusted < self.alpha


def judge(p: ArrayLike, least_p: ArrayLike, adjustment: str, alpha: float) -> list[Verdict]:
    """The verdicts of a family of m tests with these ``p`` and least attainable ``least_p``, (m,).

    No adjusted p of ADJUSTMENTS falls when any p of the family rises. So the outcome most
    favourable to each test is the same one: all p at their least. Adjusted, these bound what
    could have been found: with m tests on n units alike m 2^(1 - n) by Holm and 2^(1 - n) by
    Benjamini and Hochberg. Raises UsageError for an unknown adjustment, StatisticsError for a p
    outside 0..1.
    """
    if adjustment not in ADJUSTMENTS:
        raise unknown_name("adjustment", adjustment, ADJUSTMENTS)
    adjust = ADJUSTMENTS[adjustment]
    return [
        Verdict(float(found), float(least), alpha)
        for found, least in zip(adjust(p), adjust(least_p), strict=True)
    ]


def letters(names: Sequence[str], tested: Mapping[tuple[str, str], Verdict]) -> dict[str, str]:
    """``letter_display`` of the pairs found significant; empty where none could have been.

    A shared letter says that two weren't shown to differ. It must not hide that no outcome could
    have shown any pair to differ.
    """
    if all(verdict.too_small for verdict in tested.values()):
        return {}
    return letter_display(names, [pair for pair, found in tested.items() if found.significant])


def letter_display(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters by name: two names share a letter exactly when they are not ``different``.

    ``names`` in the order of the table (best first), so that the first group is 'a'.
    Insert and absorb (Piepho 2004, Journal of Computational and Graphical Statistics 13(2)).
    Raises StatisticsError for a name given twice, an unknown one, or more than 52 groups.
    """
    if len(set(names)) != len(names):
        raise StatisticsError(f"A name appears twice in {list(names)}.", "Give each name once.")
    groups: list[frozenset[str]] = [frozenset(names)] if names else []
    for first, second in different:
        for name in (first, second):
            if name not in names:
                raise StatisticsError(f"{name!r} differs but isn't among the names.")
        groups = _split(groups, first, second)
    position = {name: index for index, name in enumerate(names)}
    groups.sort(key=lambda group: sorted(position[name] for name in group))
    if len(groups) > len(string.ascii_letters):
        raise StatisticsError(
            f"{len(groups)} groups need more letters than the alphabet has.",
            "Show the matrix instead.",
        )
    labels = dict.fromkeys(names, "")
    for letter, group in zip(string.ascii_letters, groups, strict=False):
        for name in group:
            labels[name] += letter
    return labels


def _ascending(p: ArrayLike) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]], Floats]:
    values = np.asarray(p, dtype=np.float64)
    remedy = "Pass unadjusted p values in a vector, NaN where no test was made."
    if values.ndim != 1:
        raise StatisticsError(f"p values must be a vector, got shape {values.shape}.", remedy)
    outside = values[(values < 0) | (values > 1)]
    if outside.size:
        raise StatisticsError(f"p values must lie within 0..1, got {outside[0]}.", remedy)
    order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]
    return values, order, np.full(values.size, np.nan)


def _split(groups: list[frozenset[str]], first: str, second: str) -> list[frozenset[str]]:
    """``groups`` in which no group holds both names, and none lies within another."""
    parts = []
    for group in groups:
        both = first in group and second in group
        parts += [group - {first}, group - {second}] if both else [group]
    unique = list(dict.fromkeys(parts))
    return [group for group in unique if not any(group < other for other in unique)]
