"""Raters whose votes don't fit those of the others. A rule proposes; nothing is dropped here.

Every rule gives its figures for every rater, so that a report can show whom it would reject,
why, and what the results are with and without them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from sreval.statistics.arrays import Floats
from sreval.statistics.opinion import mos_table
from sreval.statistics.ratings import Ratings, group_mean
from sreval.statistics.votes import opinions, without_raters

_ROUNDING = 1e-12
"""Votes and kurtoses that lie on a limit count as reaching it, whatever the last bit says."""


@dataclass(frozen=True)
class Screening:
    """What one rule found.

    ``table``, by rater, holds the rule's figures and the column ``rejected``; ``limits`` the
    numbers the rule was applied with; ``skipped`` what it could not judge, and how many.
    """

    rule: str
    source: str
    limits: Mapping[str, float]
    table: pd.DataFrame
    skipped: Mapping[str, int]

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
            "rejected": (share > 0.05) & (lopsided < 0.3),
        },
        index=pd.Index(ratings.raters, name="rater"),
    )
    skipped = {"stimuli rated alike or once": int((~judged).sum())}
    limits = {"straying": 0.05, "lopsided": 0.3}
    return Screening("bt500", "ITU-R BT.500-15 A1-2.3.1", limits, table, skipped)


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
    table.insert(0, "votes", np.bincount(ratings.rater))
    table["rejected"] = table["pearson"] < least
    skipped = {"raters without a correlation": int(table["pearson"].isna().sum())}
    return Screening(
        "correlation-with-rest", "VQEG Multimedia 2008, HDTV 2010", {"least": least}, table, skipped
    )


def with_and_without(
    votes: pd.DataFrame,
    rejected: Iterable[str],
    by: Sequence[str] = ("dataset", "method"),
    interval: str = "raters",
) -> pd.DataFrame:
    """MOS of every group with all raters and without the rejected: both, their difference, n.

    ``by`` and ``interval`` as in ``mos_table``; n counts votes. Raises UsageError for a rater
    who isn't there, StatisticsError if nobody would be left.
    """
    counted = opinions(votes)
    sides = [counted, without_raters(counted, rejected)]
    columns = []
    for name, side in zip(("all", "kept"), sides, strict=True):
        found = mos_table(side, by, interval).set_index(list(by))
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
    if scores.size < 3 or np.ptp(scores) == 0 or np.ptp(rest) == 0:
        return np.nan, np.nan
    spearman = scipy.stats.pearsonr(scipy.stats.rankdata(scores), scipy.stats.rankdata(rest))
    return float(scipy.stats.pearsonr(scores, rest).statistic), float(spearman.statistic)
