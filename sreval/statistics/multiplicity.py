"""Many tests at once: adjusted p values, and letters for groups that don't differ."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError
from sreval.statistics.arrays import Floats

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


def letter_display(names: Sequence[str], different: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters by name: two names share a letter exactly when they are not ``different``.

    ``names`` in the order of the table (best first), so that the first group is 'a'.
    Insert and absorb (Piepho 2004, Journal of Computational and Graphical Statistics 13(2)).
    Raises StatisticsError for a name given twice, an unknown one, or more than 52 groups.
    """
    if len(set(names)) != len(names):
        raise StatisticsError(f"A name stands twice in {list(names)}.", "Give each name once.")
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
            f"{len(groups)} groups need more letters than there are.", "Show the matrix instead."
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
