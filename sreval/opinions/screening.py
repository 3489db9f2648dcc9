"""Raters whose votes don't fit those of the others. A rule proposes; nothing is dropped here.

Every rule gives its figures for every rater, so that a report can show whom it would reject,
why, and what the results are with and without them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sreval.errors import listed
from sreval.opinions.arrays import Floats
from sreval.opinions.correlation import pearson, spearman
from sreval.opinions.opinion import mos_table
from sreval.opinions.ratings import Ratings, group_mean
from sreval.opinions.votes import ACR, Scale, opinions, without_raters

BT500 = "ITU-R BT.500-15 A1-2.3.1"
VQEG = "VQEG Multimedia 2008, HDTV 2010"
BT500_LIMITS = {"straying": 0.05, "lopsided": 0.3}

_ROUNDING = 1e-12
"""Votes and kurtoses that lie on a limit count as reaching it, whatever the last bit says."""


@dataclass(frozen=True)
class Screening:
    """What one rule found.

    ``table``, by rater, holds the rule's figures and the column ``rejected``; ``limits`` the
    numbers the rule was applied with; ``skipped`` what it could not judge, and how many. Of a rule
    that needs ``least`` ``items``, the column ``judged`` says who had so many, ``n``.
    """

    rule: str
    source: str
    limits: Mapping[str, float]
    table: pd.DataFrame
    skipped: Mapping[str, int]
    least: int = 1
    items: str = "votes"

    @property
    def unjudged(self) -> dict[Hashable, int]:
        """The raters with too few items to be judged, and how many each has."""
        if "judged" not in self.table:
            return {}
        few: pd.Series = self.table.loc[~self.table["judged"], "n"]
        return {rater: int(n) for rater, n in few.items()}

    def too_few(self) -> str:
        """The raters that the rule can't judge, their items and the number needed, or nothing."""
        few = [f"{rater} ({n})" for rater, n in self.unjudged.items()]
        return f"{self.rule} needs {self.least} {self.items}: {listed(few, 20)}" if few else ""

    @property
    def rejected(self) -> tuple[Hashable, ...]:
        """The raters whom the rule rejects, in the table's order."""
        return tuple(self.table.index[self.table["rejected"].to_numpy(dtype=bool)])


def bt500(ratings: Ratings) -> Screening:
    """ITU-R BT.500-15 Annex 1 clause 2.3.1: raters who stray often, and to both sides.

    A vote strays by 2 sample standard deviations (n - 1) or more from the mean of its stimulus
    when the stimulus' kurtosis m4 / m2^2 lies within 2..4, by sqrt(20) otherwise; P counts
    votes above, Q below. Rejected: (P + Q) / votes cast > 0.05 and |P - Q| / (P + Q) < 0.3.

    A stimulus that all rated alike has no deviation to stray by and is skipped. Taking its zero
    deviation literally makes every vote on it stray upwards and downwards at once, and the
    population deviation (n) narrows every limit: both reject honest raters where a nearest
    neighbour or an original image is rated alike by nearly all.
    """
    n = np.bincount(ratings.stimulus)
    mean = group_mean(ratings.score, ratings.stimulus, n.size)
    distance = ratings.score - mean[ratings.stimulus]
    second = np.bincount(ratings.stimulus, distance**2)
    fourth = np.bincount(ratings.stimulus, distance**4)
    low = np.minimum.reduceat(*_sorted_groups(ratings))
    high = np.maximum.reduceat(*_sorted_groups(ratings))
    judged = high > low
    kurtosis = np.divide(n * fourth, second**2, out=np.zeros(n.size), where=judged)
    deviation = np.sqrt(second / np.maximum(n - 1, 1))
    near_normal = (kurtosis >= 2 - _ROUNDING) & (kurtosis <= 4 + _ROUNDING)
    limit = np.where(near_normal, 2, np.sqrt(20)) * deviation * (1 - _ROUNDING)
    counts = judged[ratings.stimulus]
    above = counts & (distance >= limit[ratings.stimulus])
    below = counts & (distance <= -limit[ratings.stimulus])
    p = np.bincount(ratings.rater, above, ratings.n_raters).astype(np.int64)
    q = np.bincount(ratings.rater, below, ratings.n_raters).astype(np.int64)
    votes = np.bincount(ratings.rater)
    share = (p + q) / votes
    lopsided = np.divide(np.abs(p - q), p + q, out=np.full(p.size, np.nan), where=p + q > 0)
    table = pd.DataFrame(
        {
            "votes": votes,
            "P": p,
            "Q": q,
            "straying": share,
            "lopsided": lopsided,
            "rejected": (share > BT500_LIMITS["straying"]) & (lopsided < BT500_LIMITS["lopsided"]),
        },
        index=pd.Index(ratings.raters, name="rater"),
    )
    skipped = {"stimuli rated alike or once": int((~judged).sum())}
    return Screening("bt500", BT500, BT500_LIMITS, table, skipped)


def correlation_with_rest(ratings: Ratings, least: float = 0.75) -> Screening:
    """Raters whose votes follow the mean of the other raters' votes less than ``least``.

    Pearson and Spearman correlation, -1..1, over the stimuli that the rater and anyone else
    rated; the rater's own vote is left out of the mean. Rejected when Pearson's is below
    ``least`` (0.75, as in VQEG's Multimedia and HDTV tests). A rater with fewer than three such
    stimuli, or with all votes equal, has no correlation and is not judged.
    """
    n = np.bincount(ratings.stimulus)
    total = np.bincount(ratings.stimulus, ratings.score)
    others = n[ratings.stimulus] - 1
    shared = others > 0
    rest = np.full(ratings.score.size, np.nan)
    rest[shared] = (total[ratings.stimulus] - ratings.score)[shared] / others[shared]
    rows = []
    for code in range(ratings.n_raters):
        mine = (ratings.rater == code) & shared
        rows.append(_correlations(ratings.score[mine], rest[mine]))
    table = pd.DataFrame(
        rows, columns=["pearson", "spearman"], index=pd.Index(ratings.raters, name="rater")
    )
    table.insert(0, "votes", np.bincount(ratings.rater, shared, ratings.n_raters).astype(np.int64))
    table["rejected"] = table["pearson"] < least
    skipped = {"raters without a correlation": int(table["pearson"].isna().sum())}
    return Screening("correlation-with-rest", VQEG, {"least": least}, table, skipped)


def with_and_without(
    votes: pd.DataFrame,
    rejected: Iterable[str],
    by: Sequence[str] = ("dataset", "method"),
    interval: str = "raters",
    scale: Scale = ACR,
) -> pd.DataFrame:
    """MOS of every group with all raters and without the rejected: both, their difference, n.

    ``by``, ``interval`` and ``scale`` as in ``mos_table``; n counts votes. Raises UsageError
    for an unknown rater, StatisticsError if no rater would be left.
    """
    counted = opinions(votes)
    sides = [counted, without_raters(counted, rejected)]
    columns = []
    for name, side in zip(("all", "kept"), sides, strict=True):
        found = mos_table(side, by, interval, scale=scale).set_index(list(by))
        columns += [found["mos"].rename(f"mos_{name}"), found["n_votes"].rename(f"n_{name}")]
    table = pd.concat(columns, axis=1)
    table["n_kept"] = table["n_kept"].fillna(0).astype(np.int64)
    return table.assign(change=table["mos_kept"] - table["mos_all"])


def _sorted_groups(ratings: Ratings) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The scores in the order of their stimuli, and where each stimulus begins."""
    order = np.argsort(ratings.stimulus, kind="stable")
    starts = np.searchsorted(ratings.stimulus[order], np.arange(ratings.n_stimuli))
    return ratings.score[order], starts


def _correlations(scores: Floats, rest: Floats) -> tuple[float, float]:
    if scores.size < 3:
        return np.nan, np.nan
    once = np.ones((1, scores.size))
    return float(pearson(scores, rest, once)[0]), float(spearman(scores, rest, once)[0])
