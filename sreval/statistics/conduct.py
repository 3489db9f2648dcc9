"""Raters who may not have looked: gold questions, repeats, response times, straight-lining.

The limits are conventions of crowdsourced studies, not of a standard; each is an argument and
stands in the result. Nothing is dropped here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, unknown_name
from sreval.statistics.repeats import repeat_pairs
from sreval.statistics.screening import Screening
from sreval.statistics.votes import opinions


def gold_questions(
    votes: pd.DataFrame, right: Mapping[str, tuple[int, int]], most_wrong: float = 0.25
) -> Screening:
    """Raters who missed more than the share ``most_wrong`` of the stimuli with a known answer.

    ``right`` gives, by method, the lowest and highest right score, e.g. {'nearest': (1, 2)}.
    Rows of kind 'gold' count. Raises UsageError for a gold row whose method has no answer,
    StatisticsError when there is no gold row.
    """
    gold = votes[votes["kind"] == "gold"]
    if gold.empty:
        raise StatisticsError("The votes hold no gold questions.", "Mark them kind=gold.")
    for method in sorted(set(gold["method"]) - set(right)):
        raise unknown_name("gold answer for method", method, right)
    low = gold["method"].map({method: bounds[0] for method, bounds in right.items()})
    high = gold["method"].map({method: bounds[1] for method, bounds in right.items()})
    wrong = ((gold["score"] < low) | (gold["score"] > high)).groupby(gold["rater"])
    table = pd.DataFrame({"asked": wrong.size(), "wrong": wrong.sum(), "share": wrong.mean()})
    return _screening("gold", {"most_wrong": most_wrong}, table, table["share"] > most_wrong, votes)


def unsteady_repeats(votes: pd.DataFrame, most_change: float = 1.0) -> Screening:
    """Raters who moved by more than ``most_change`` points on average on identical stimuli."""
    pairs = repeat_pairs(votes)
    change = (pairs["second"] - pairs["first"]).abs().groupby(pairs["rater"])
    table = pd.DataFrame({"repeats": change.size(), "mean_change": change.mean()})
    rejected = table["mean_change"] > most_change
    return _screening("repeats", {"most_change": most_change}, table, rejected, votes)


def hasty(votes: pd.DataFrame, least_ms: float = 700.0, most_share: float = 0.1) -> Screening:
    """Raters of whose votes more than ``most_share`` came within ``least_ms`` milliseconds.

    Raises StatisticsError when the votes carry no response times.
    """
    counted = opinions(votes)
    timed = counted[counted["response_ms"].notna()] if "response_ms" in counted else counted[:0]
    if timed.empty:
        raise StatisticsError("The votes carry no response times.", "Column 'response_ms'.")
    times = timed.groupby("rater")["response_ms"]
    fast = (timed["response_ms"] < least_ms).groupby(timed["rater"])
    table = pd.DataFrame({"timed": times.size(), "median_ms": times.median(), "fast": fast.mean()})
    limits = {"least_ms": least_ms, "most_share": most_share}
    return _screening("response-time", limits, table, table["fast"] > most_share, votes)


def straight_lining(
    votes: pd.DataFrame, most_share: float = 0.9, longest_run: int = 30
) -> Screening:
    """Raters who gave one score too often, or too often in a row.

    ``most_share`` of one score among all of a rater's votes; ``longest_run`` of equal scores
    in the order of ``position``, judged where the votes carry one.
    """
    counted = opinions(votes)
    ordered = counted.sort_values(["rater", "position"]) if "position" in counted else counted
    scores = ordered.groupby("rater")["score"]
    share = scores.agg(lambda s: float(s.value_counts(normalize=True).iloc[0]))
    table = pd.DataFrame({"votes": scores.size(), "share": share})
    rejected = table["share"] > most_share
    if "position" in counted:
        table["run"] = scores.agg(_longest_run)
        rejected |= table["run"] > longest_run
    limits = {"most_share": most_share, "longest_run": float(longest_run)}
    return _screening("straight-lining", limits, table, rejected, votes)


def inverted(
    votes: pd.DataFrame, worse: str = "nearest", better: str = "HR", most_share: float = 0.1
) -> Screening:
    """Raters who rated ``worse`` at or above ``better`` on more than ``most_share`` of images.

    Raises UsageError when either method has no votes.
    """
    counted = opinions(votes)
    for method in (worse, better):
        if method not in set(counted["method"]):
            raise unknown_name("method", method, set(counted["method"].astype(str)))
    either = counted[counted["method"].isin([worse, better])]
    wide = either.pivot(index=["rater", "dataset", "image"], columns="method", values="score")
    both = wide.dropna()
    turned = (both[worse] >= both[better]).groupby("rater")
    table = pd.DataFrame({"images": turned.size(), "inverted": turned.mean()})
    limits = {"most_share": most_share}
    return _screening("inverted", limits, table, table["inverted"] > most_share, votes)


def _screening(
    rule: str,
    limits: Mapping[str, float],
    table: pd.DataFrame,
    rejected: pd.Series,
    votes: pd.DataFrame,
) -> Screening:
    unjudged = len(set(votes["rater"]) - set(table.index))
    return Screening(
        rule,
        "convention",
        limits,
        table.assign(rejected=rejected),
        {"raters not judged": unjudged},
    )


def _longest_run(scores: pd.Series) -> int:
    values = scores.to_numpy()
    changes = np.flatnonzero(np.diff(values)) + 1
    return int(np.diff(np.concatenate([[0], changes, [values.size]])).max())
