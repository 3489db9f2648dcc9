"""Difference scores against the hidden reference (ACR-HR, ITU-T P.910 (2008) clause 6.2)."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sreval.errors import unknown_name
from sreval.opinions.intervals import Interval, on_scale
from sreval.opinions.opinion import INTERVALS
from sreval.opinions.ratings import Ratings
from sreval.opinions.votes import ACR, Scale, opinions


@dataclass(frozen=True)
class DifferenceScores:
    """Differential votes and what was left out.

    ``votes``: one row per rater, image and method other than the reference, with the vote's
    columns and ``difference``, the rater's score minus the same rater's score of the reference
    of that image plus the scale's top: 5 is "as good as the reference", more is better.
    ``excluded``: votes whose rater didn't rate the reference of that image.
    """

    votes: pd.DataFrame
    reference: str
    excluded: int


def difference_scores(
    votes: pd.DataFrame, reference: str = "hr", scale: Scale = ACR
) -> DifferenceScores:
    """Subtract from each rater's vote the same rater's vote on the hidden reference.

    DV = V(processed) - V(reference) + top of scale (P.910 (2008) clause 6.2). Raises UsageError
    when ``votes`` hold no method of that name.
    """
    counted = opinions(votes)
    if reference not in set(counted["method"]):
        raise unknown_name("reference", reference, set(counted["method"].astype(str)))
    key = ["rater", "dataset", "image"]
    hidden = counted[counted["method"] == reference].set_index(key)["score"]
    processed = counted[counted["method"] != reference]
    own = hidden.reindex(pd.MultiIndex.from_frame(processed[key])).to_numpy()
    differences = processed.assign(difference=processed["score"] - own + scale.high)
    kept = differences[differences["difference"].notna()]
    return DifferenceScores(kept, reference, len(differences) - len(kept))


def difference_interval(
    votes: pd.DataFrame, interval: str = "raters", level: float = 0.95, scale: Scale = ACR
) -> Interval:
    """DMOS of one method's differential ``votes`` of ``difference_scores`` on ``scale``.

    Of all ``opinion.INTERVALS`` as the MOS, kept between the least and the largest difference.
    Raises UsageError for an interval of another name.
    """
    if interval not in INTERVALS:
        raise unknown_name("interval", interval, INTERVALS)
    ratings = Ratings.from_votes(votes.assign(score=votes["difference"]), ["image"])
    ends = Scale(scale.low, 2 * scale.high - scale.low)
    found = INTERVALS[interval](ratings, level)
    return on_scale(found, scale, ratings.score.size, ends)
