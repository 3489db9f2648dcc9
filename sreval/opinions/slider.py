"""What votes on a slider need besides: how they heap, who uses little of it, z scores.

A slider has five equal bands, as long as the scale is, with the words of absolute category rating
beside them; raters place many answers at the bands' edges and middles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.intervals import category
from sreval.opinions.votes import Scale, opinions

BANDS = 5
_Z_REACH = 3.0


@dataclass(frozen=True)
class Heaping:
    """How many answers lie near the edges and middles of a slider's bands.

    ``share`` of the ``n`` answers lies within ``near`` points of one of them; ``even`` is the share
    of all places of the slider, in steps of its votes' decimals, that do.
    """

    share: float
    even: float
    near: float
    n: int


def heaping(scores: Floats, scale: Scale) -> Heaping:
    """The heaping of ``scores``, (N,), within a hundredth of the scale of edges and middles."""
    near = category(Scale(scale.low, scale.high, 0))
    step = near if _in_steps(scores, scale.low, near) else near / 10
    count = round((scale.high - scale.low) / step) + 1
    places = scale.low + step * np.arange(count, dtype=np.float64)
    share, even = (float(_is_near(values, scale, near).mean()) for values in (scores, places))
    return Heaping(share, even, near, scores.size)


def _is_near(scores: Floats, scale: Scale, near: float) -> NDArray[np.bool_]:
    half = (scale.high - scale.low) / (2 * BANDS)
    places = (scores - scale.low) / half
    off: Floats = np.abs(places - np.rint(places)) * half
    return off <= near * (1 + 1e-9)


def _in_steps(scores: Floats, low: float, step: float) -> bool:
    """Whether all scores are whole steps from ``low``."""
    places = (scores - low) / step
    return bool((np.abs(places - np.rint(places)) < 1e-9).all())


@dataclass(frozen=True)
class ZScores:
    """Checked votes with their z scores, and whom they leave out.

    ``votes``: accepted votes with ``z``, the score less the rater's mean over the rater's standard
    deviation (n - 1), and ``zmos`` = 100 (z + 3) / 6: a rater's mean is 50, three standard
    deviations above it 100. ``without``: raters of one vote or of one score, who have no z.
    """

    votes: pd.DataFrame
    without: tuple[str, ...]


def z_scores(votes: pd.DataFrame) -> ZScores:
    """The z scores of every rater's own votes.

    The rescaling to 0..100 is that of Sheikh, Sabir and Bovik 2006 (IEEE Transactions on Image
    Processing 15(11)), from memory. z takes away how high and how widely a rater votes, and so
    depends on which images the rater saw. Raises StatisticsError where no rater has votes that
    differ.
    """
    counted = opinions(votes)
    by_rater = counted.groupby("rater")["score"]
    sd = by_rater.transform("std")
    there = (by_rater.transform("nunique") > 1).to_numpy()
    if not there.any():
        raise StatisticsError(
            "Every rater gave one score alone: there is no z score.",
            "A rater's votes must differ.",
        )
    kept = counted[there]
    z = ((kept["score"] - by_rater.transform("mean")[there]) / sd[there]).astype(np.float64)
    zmos = 100 * (z + _Z_REACH) / (2 * _Z_REACH)
    without = tuple(sorted(map(str, set(counted["rater"]) - set(kept["rater"]))))
    return ZScores(kept.assign(z=z, zmos=zmos), without)


def use_of_scale(votes: pd.DataFrame) -> pd.DataFrame:
    """How much of the scale every rater uses, by rater, of checked votes.

    ``n`` votes, ``least`` and ``most`` score, ``range`` in points and how many ``values`` differ.
    """
    own = votes[votes["kind"] == "vote"].groupby("rater")["score"]
    table = own.agg(n="size", least="min", most="max", values="nunique")
    ends = table[["least", "most"]].astype(np.float64)
    return pd.DataFrame(table.assign(**ends, range=ends["most"] - ends["least"]))
