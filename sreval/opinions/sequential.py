"""Looks at a study before its end, each at a level of its own, so that false alarms stay at alpha.

A spending function says how much of alpha may be used up when a share of the information is in
(Lan and DeMets 1983, Biometrika 70(3)). The level of each look follows from the joint normal
distribution of the statistics, by recursive integration (Armitage, McPherson and Rowe 1969,
Journal of the Royal Statistical Society A 132(2)). Written from memory of both papers; the
boundaries are held against published tables in tests/opinions/test_sequential.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Floats
from sreval.opinions.units import Spending

_FARTHEST = 39.0
"""The largest z whose two-sided p is still a number above 0."""
_NODES_PER_SD = 6


def _like_obrien_fleming(share: float, alpha: float) -> float:
    """Lan and DeMets 1983: on each side 2 - 2 Phi(z(a / 2) / sqrt(share)), where a = alpha / 2."""
    return 4 * float(scipy.special.ndtr(scipy.special.ndtri(alpha / 4) / math.sqrt(share)))


def _like_pocock(share: float, alpha: float) -> float:
    """Lan and DeMets 1983: alpha ln(1 + (e - 1) share)."""
    return alpha * math.log1p((math.e - 1) * share)


SPENDING: dict[Spending, Callable[[float, float], float]] = {
    "obrien-fleming": _like_obrien_fleming,
    "pocock": _like_pocock,
}
"""How much of alpha, of both sides, is spent at a share 0..1 of the information, by name."""


def nominal_levels(
    shares: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien-fleming"
) -> list[float]:
    """The two-sided level of the test at each look, such that all looks keep ``alpha`` together.

    ``shares``: how much of the planned information is in at each look, rising, in 0..1; of a mean
    over raters the share of the raters. Where the statistics of the looks hang together more than
    their shares tell, as they do if the images are the same at every look and are part of the
    chance, fewer false alarms than ``alpha`` are left. Raises StatisticsError for shares that
    don't rise within 0..1 or an alpha outside it, UsageError for an unknown spending function.
    """
    if spending not in SPENDING:
        raise unknown_name("spending function", spending, SPENDING)
    if not 0 < alpha < 1:
        raise StatisticsError(f"alpha must lie between 0 and 1, got {alpha}.", "0.05 is usual.")
    if not shares or min(np.diff([0.0, *shares])) <= 0 or shares[-1] > 1:
        raise StatisticsError(
            f"The shares of the information must rise within 0..1, got {list(shares)}.",
            "Give one a look, such as 0.5 and 1.",
        )
    spent = [SPENDING[spending](share, alpha) for share in shares]
    return [float(2 * scipy.special.ndtr(-z)) for z in boundaries(shares, spent)]


def boundaries(shares: Sequence[float], spent: Sequence[float]) -> list[float]:
    """The |z| of each look beyond which ``spent``, rising, has been used up by then in all.

    z is S / sqrt(share) of a sum S whose steps are normal and independent, with the differences
    of ``shares`` as variances. The density of S within all earlier boundaries is carried from
    look to look on Gauss-Legendre nodes.
    """
    found: list[float] = []
    nodes, density = np.zeros(1), np.ones(1)
    before, used = 0.0, 0.0
    for place, (share, total) in enumerate(zip(shares, spent, strict=True)):
        step = math.sqrt(share - before)

        def left(z: float, nodes: Floats = nodes, density: Floats = density) -> float:
            edge = z * math.sqrt(share)  # noqa: B023
            outside = scipy.special.ndtr((nodes - edge) / step)  # noqa: B023
            outside += scipy.special.ndtr((-nodes - edge) / step)  # noqa: B023
            return float(density @ outside) - (total - used)  # noqa: B023

        z = _FARTHEST if left(_FARTHEST) >= 0 else scipy.optimize.brentq(left, 0, _FARTHEST)
        found.append(float(z))
        if place + 1 == len(shares):
            break
        edge = min(z, 9.0) * math.sqrt(share)
        following = math.sqrt(min(np.diff(shares)))
        count = math.ceil(2 * edge / min(following, step) * _NODES_PER_SD)
        at, weights = np.polynomial.legendre.leggauss(min(max(count, 60), 1500))
        to = at * edge
        kernel = np.exp(-(((to[:, None] - nodes) / step) ** 2) / 2) / (
            step * math.sqrt(2 * math.pi)
        )
        nodes, density = to, (kernel @ density) * weights * edge
        before, used = share, total
    return found


def p_of_look(
    p: ArrayLike, shares: Sequence[float], spending: Spending = "obrien-fleming"
) -> Floats:
    """Each p of the look at the last of ``shares``, as the least overall alpha that it passes.

    Below alpha exactly where the p is below the look's level for that alpha, so that p values are
    adjusted for several comparisons, and judged, as if there had been one look. Divided in this
    order, alpha first among the comparisons and then among the looks, it is kept over all of both
    by Holm's rule (Maurer and Bretz 2013, Statistics in Biopharmaceutical Research 5(4), from
    memory). ``shares`` as in ``nominal_levels``. NaN passes through.
    """
    values = np.asarray(p, dtype=np.float64).tolist()
    return np.array([_overall(one, tuple(shares), spending) for one in values])


@lru_cache(maxsize=4096)
def _overall(one: float, shares: tuple[float, ...], spending: Spending) -> float:
    def above(log: float) -> float:
        return nominal_levels(shares, math.exp(log), spending)[-1] - one

    lowest, highest = math.log(1e-300), math.log1p(-1e-9)
    if math.isnan(one) or above(lowest) >= 0:
        return one
    return math.exp(scipy.optimize.brentq(above, lowest, highest)) if above(highest) > 0 else 1.0
