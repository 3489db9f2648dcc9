"""Paired tests, one and many: the Wilcoxon signed-rank test, adjusted p values, letters for groups.

The signed-rank test is exact under ties and zeros: Wilcoxon 1945 (zeros dropped before ranking) and
Pratt 1959 (zeros ranked, then dropped). Given the absolute differences, every non-zero one is as
likely positive as negative when the two sides don't differ; the exact p is conditional on them,
mid-ranks and all.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Floats, paired_vectors

Zeros = Literal["wilcox", "pratt"]

EXACT_UP_TO = 200
"""Most ranked pairs for which p is exact. At that size a normal p below 0.1 was off by at most
0.001 in 600 simulated sets, half of them of seven-point differences full of ties."""

_RELATIVE_TOLERANCE = 1e-12
_SAME_P = 1e-9
"""p that differ by this share at most differ by rounding alone."""


@dataclass(frozen=True)
class SignedRank:
    """Outcome of the two-sided test.

    ``n`` pairs, ``n_zero`` of them equal, ``n_used`` with a sign; ``w_plus`` and ``w_minus``
    the rank sums of x > y and x < y; ``rank_biserial`` in -1..1, positive where x is larger
    (Kerby 2014), 0 when all pairs are equal; ``least_p`` the smallest p that these absolute
    differences allow, that of differences all of one sign.
    """

    n: int
    n_zero: int
    n_used: int
    w_plus: float
    w_minus: float
    p: float
    method: Literal["exact", "normal"]
    zeros: Zeros
    rank_biserial: float
    least_p: float


def least_exact_p(n: int) -> float:
    """The smallest exact p that ``n`` pairs allow, none of them equal: all of one sign.

    Whatever the ties, one of 2^n sign patterns has the rank sum 0, and one the largest.
    """
    return min(1.0, 2.0 ** (1 - n))


def signed_rank(x: ArrayLike, y: ArrayLike, *, zeros: Zeros = "wilcox") -> SignedRank:
    """Two-sided signed-rank test of the pairs x[i], y[i], both of shape (n,).

    Absolute differences that lie closer than 1e-12 of the largest finite magnitude in x and y
    count as tied, and such a difference itself as zero, so that the order of a floating-point
    sum never decides a rank. Equal infinities differ by zero; an infinite difference takes the
    top rank. Exact up to EXACT_UP_TO ranked pairs; beyond it the normal approximation with the
    variance of the ranks as they are (which is the tie correction) and a continuity correction.

    Raises StatisticsError for empty or unequal vectors, NaN, or an unknown zero rule.
    """
    if zeros not in ("wilcox", "pratt"):
        raise StatisticsError(f"Unknown zero rule {zeros!r}.", "Use 'wilcox' or 'pratt'.")
    difference, tolerance = _differences(*paired_vectors(x, y))
    nonzero = np.abs(difference) > tolerance
    ranked = difference[nonzero] if zeros == "wilcox" else np.where(nonzero, difference, 0.0)
    ranks = _mid_ranks(np.abs(ranked), tolerance)
    w_plus = float(ranks[ranked > 0].sum())
    w_minus = float(ranks[ranked < 0].sum())
    used = ranks[ranked != 0]
    exact = ranks.size <= EXACT_UP_TO
    p = _exact_p(used, w_plus) if exact else _normal_p(used, w_plus)
    total = w_plus + w_minus
    return SignedRank(
        n=difference.size,
        n_zero=int(difference.size - used.size),
        n_used=int(used.size),
        w_plus=w_plus,
        w_minus=w_minus,
        p=p,
        method="exact" if exact else "normal",
        zeros=zeros,
        rank_biserial=(w_plus - w_minus) / total if total else 0.0,
        least_p=least_exact_p(used.size) if exact else _normal_p(used, float(used.sum())),
    )


def _differences(x: Floats, y: Floats) -> tuple[Floats, float]:
    """x - y, and the size up to which a difference is rounding noise."""
    magnitudes = np.abs(np.concatenate([x, y]))
    tolerance = _RELATIVE_TOLERANCE * float(
        magnitudes.max(where=np.isfinite(magnitudes), initial=0)
    )
    return np.subtract(x, y, out=np.zeros_like(x), where=x != y), tolerance


def _mid_ranks(values: Floats, tolerance: float) -> Floats:
    """Ranks from 1 of shape (n,); neighbours within ``tolerance`` share their mean rank."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    gap = np.subtract(
        ordered[1:],
        ordered[:-1],
        out=np.zeros(max(values.size - 1, 0)),
        where=ordered[1:] != ordered[:-1],
    )
    group = np.concatenate([[0], np.cumsum(gap > tolerance)])[: values.size]
    sizes = np.bincount(group)
    last = np.cumsum(sizes)
    ranks = np.empty(values.size)
    ranks[order] = (last - (sizes - 1) / 2)[group]
    return ranks


def _exact_p(ranks: Floats, w_plus: float) -> float:
    """P(W as far from its mean as w_plus, or farther), over all sign flips of ``ranks``."""
    doubled = np.rint(2 * ranks).astype(np.int64)
    total = int(doubled.sum())
    probability = np.zeros(total + 1)
    probability[0] = 1.0
    reached = 0
    for rank in doubled.tolist():
        shifted = probability[: reached + 1].copy()
        probability[: reached + 1] *= 0.5
        probability[rank : rank + reached + 1] += 0.5 * shifted
        reached += rank
    observed = round(2 * w_plus)
    tail = min(observed, total - observed)
    return min(1.0, 2 * float(probability[: tail + 1].sum()))


def _normal_p(ranks: Floats, w_plus: float) -> float:
    if ranks.size == 0:
        return 1.0
    distance = max(0.0, abs(w_plus - float(ranks.sum()) / 2) - 0.5)
    deviation = math.sqrt(float((ranks**2).sum()) / 4)
    return min(1.0, 2 * float(scipy.special.ndtr(-distance / deviation)))


class Adjustment(Protocol):
    """A way to adjust p for the number of tests, of which ``most_true`` can have a true null."""

    def __call__(self, p: ArrayLike, most_true: int | None = None, /) -> Floats:
        """The adjusted p, (m,)."""


def holm(p: ArrayLike, most_true: int | None = None) -> Floats:
    """Holm's adjusted p of shape (m,): the chance of any false alarm among m stays at alpha.

    Holm 1979, Scandinavian Journal of Statistics 6(2); where only ``most_true`` of the null
    hypotheses can be true together, no step counts more of them (Shaffer 1986, Journal of the
    American Statistical Association 81(395)). NaN marks a test that was not made: it
    passes through and doesn't count in m. Raises StatisticsError for a p outside 0..1.
    """
    values, order, adjusted = _ascending(p)
    left = np.arange(order.size, 0, -1)
    steps = values[order] * (left if most_true is None else np.minimum(left, most_true))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def benjamini_hochberg(p: ArrayLike, most_true: int | None = None) -> Floats:
    """Adjusted p of shape (m,) that bound the expected share of false alarms among the found.

    Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57(1), whose bound is
    alpha times the share of true null hypotheses: where only ``most_true`` can be true together,
    that many take the place of m. No adjusted p is below its own p. NaN passes through and doesn't
    count in m. Raises StatisticsError for a p outside 0..1.
    """
    values, order, adjusted = _ascending(p)
    true = order.size if most_true is None else min(order.size, most_true)
    steps = values[order] * np.maximum(1.0, true / np.arange(1, order.size + 1))
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(steps[::-1])[::-1])
    return adjusted


ADJUSTMENTS: dict[str, Adjustment] = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": lambda p, _=None: np.asarray(p, dtype=np.float64),
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


def compatible_levels(p: ArrayLike, adjustment: str, alpha: float) -> Floats:
    """Levels (m,) at which the tests' intervals exclude 0 exactly where the adjusted p find it.

    ``p`` are of tests whose 1 - a interval excludes 0 where p < a. By Holm each interval is of
    the level of its own step, 1 - alpha / (m - i) with i smaller p, and from the first that isn't
    found on, all of that step's; equal p, but for rounding, have the level of the first of them,
    whatever their order. The chance that any of them wrongly excludes 0 is alpha at most,
    as of the tests; that all of them cover together isn't claimed. By Benjamini and Hochberg,
    with r found, 1 - r alpha / m for these, whose expected share that doesn't cover is alpha at
    most (Benjamini and Yekutieli 2005, Journal of the American Statistical Association 100(469)),
    and 1 - (r + 1) alpha / m for the others. NaN where no test was made.
    """
    values, order, levels = _ascending(p)
    m = order.size
    found = int((ADJUSTMENTS[adjustment](values) < alpha).sum())
    ascending = values[order]
    apart = np.diff(ascending, prepend=-1.0) > _SAME_P * ascending
    places = np.maximum.accumulate(np.where(apart, np.arange(m), 0))
    shares = {
        "holm": 1 / np.maximum(m - np.minimum(places, found), 1),
        "benjamini-hochberg": np.where(places < found, found, found + 1) / max(m, 1),
    }
    levels[order] = 1 - alpha * shares.get(adjustment, np.ones(m))
    return levels


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
