"""What an operator watches while a study runs, and what its report repeats: frames in, frames out.

Nothing here tells a method's mean score, so that all of it may be seen before a study is closed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sreval.errors import SrevalError, StatisticsError
from sreval.statistics import conduct, screening
from sreval.statistics.ratings import Ratings
from sreval.statistics.reliability import sos_coefficient
from sreval.statistics.repeats import repeat_pairs
from sreval.statistics.votes import STIMULUS
from sreval.study.data import StudyData, rated
from sreval.study.design import StudyDesign

RATED_KINDS = ("vote", "repeat", "gold")
UNDER_WAY = "under way"
_BIN_S, _BINS = 0.5, 20


def outcomes(data: StudyData) -> dict[str, int]:
    """How many were invited, enrolled, and ended in which way, in the order of a rater's way."""
    ends = data.sessions["outcome"].fillna(UNDER_WAY).astype(str)
    known = ("complete", UNDER_WAY, "screened_out", "failed_check", "withdrew", "expired")
    counts = {} if data.invited is None else {"invited": data.invited}
    counts |= {"enrolled": len(ends) + data.deleted}
    counts |= {name: int((ends == name).sum()) for name in known}
    return counts | {"deleted": data.deleted}


def progress(data: StudyData) -> pd.DataFrame:
    """One row a session, those under way first: rater, stage, outcome, votes, of, share, ...

    ``votes`` counts votes, repeats and gold items that are stored, ``of`` those planned, both
    without calibration and warm-up; ``share`` lies within 0..1.
    """
    counts = data.votes[data.votes["kind"].isin(RATED_KINDS)].groupby("session").size()
    frame = data.sessions.copy()
    frame["votes"] = frame["session"].map(counts).fillna(0).astype(np.int64)
    frame["of"] = planned_items(data)
    frame["share"] = (frame["votes"] / frame["of"]).clip(upper=1.0)
    frame["outcome"] = frame["outcome"].fillna(UNDER_WAY).astype(str)
    frame["order"] = frame["outcome"] != UNDER_WAY
    ordered: pd.DataFrame = frame.sort_values(["order", "share", "rater"], ignore_index=True)
    made: pd.DataFrame = ordered.drop(columns="order")
    return made


def planned_items(data: StudyData) -> int:
    """Items that a rater's plan holds besides calibration and warm-up."""
    design = data.design
    votes = design.subset or len(rated(design, data.manifest))
    repeats = sum(repeat.images * repeat.times for repeat in design.repeats)
    return votes + repeats + sum(gold.images for gold in design.gold)


def cells(data: StudyData) -> pd.DataFrame:
    """One row a (data set, method), in the design's order: how evenly it was seen.

    Columns: dataset, method, stimuli, votes, planned, share, raters, least, most. ``votes`` are
    accepted ones; ``planned`` is what the design's number of raters would give; ``least`` and
    ``most`` are accepted votes on a single stimulus of the cell.
    """
    table = _per_stimulus(data)
    total = len(table)
    per_rater = data.design.subset or total
    grouped = table.groupby(["dataset", "method"], sort=False)["votes"]
    frame = grouped.agg(stimuli="size", votes="sum", least="min", most="max").reset_index()
    frame["planned"] = data.design.raters * per_rater * frame["stimuli"] / total
    frame["share"] = frame["votes"] / frame["planned"]
    raters = data.opinions.groupby(["dataset", "method"])["rater"].nunique().rename("raters")
    frame = frame.join(raters, on=["dataset", "method"])
    frame["raters"] = frame["raters"].fillna(0).astype(np.int64)
    methods = {method: place for place, method in enumerate(data.design.images.methods)}
    sets = {part.name: place for place, part in enumerate(data.design.images.datasets)}
    order = pd.DataFrame({"d": frame["dataset"].map(sets), "m": frame["method"].map(methods)})
    made: pd.DataFrame = frame.loc[order.sort_values(["d", "m"]).index].reset_index(drop=True)
    return made


def exposure(data: StudyData) -> pd.DataFrame:
    """How often single stimuli were rated, a row a data set.

    Columns: dataset, stimuli, least, median, most, never; accepted votes.
    """
    table = _per_stimulus(data)
    table["never"] = table["votes"] == 0
    grouped = table.groupby("dataset", sort=False)
    frame = grouped["votes"].agg(stimuli="size", least="min", median="median", most="max")
    made: pd.DataFrame = frame.join(grouped["never"].sum()).reset_index()
    return made


def _per_stimulus(data: StudyData) -> pd.DataFrame:
    keys = [stimulus.key for stimulus in rated(data.design, data.manifest)]
    if not keys:
        raise StatisticsError("No stimulus of the manifest is rated.", "Freeze the study again.")
    counts = data.opinions.groupby(list(STIMULUS)).size().to_dict()
    table = pd.DataFrame(keys, columns=list(STIMULUS))
    return table.assign(votes=[int(counts.get(key, 0)) for key in keys])


def gold_results(votes: pd.DataFrame, design: StudyDesign) -> pd.DataFrame:
    """Gold items by rater: asked, wrong, share (0..1). A row passes within any range it has."""
    gold = votes[votes["kind"] == "gold"]
    ranges: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for item in design.gold:
        ranges.setdefault((item.dataset, item.method), []).append((item.low, item.high))
    wrong = [
        not any(low <= score <= high for low, high in ranges.get((dataset, method), [(1, 5)]))
        for dataset, method, score in zip(
            gold["dataset"], gold["method"], gold["score"], strict=True
        )
    ]
    grouped = pd.Series(wrong, index=gold.index, dtype=bool).groupby(gold["rater"])
    frame = pd.DataFrame({"asked": grouped.size(), "wrong": grouped.sum(), "share": grouped.mean()})
    return frame.reset_index(names="rater")


def repeat_results(votes: pd.DataFrame) -> pd.DataFrame:
    """Repeats by rater: pairs, exact (share 0..1), change (mean absolute, points)."""
    try:
        pairs = repeat_pairs(votes)
    except StatisticsError:
        return pd.DataFrame({"rater": [], "pairs": [], "exact": [], "change": []})
    change = (pairs["second"] - pairs["first"]).abs().groupby(pairs["rater"])
    exact = (pairs["second"] == pairs["first"]).groupby(pairs["rater"])
    frame = pd.DataFrame({"pairs": change.size(), "exact": exact.mean(), "change": change.mean()})
    return frame.reset_index(names="rater")


@dataclass(frozen=True)
class ResponseTimes:
    """How long votes took, in seconds; ``counts`` in steps of half a second, the last open.

    ``median``, ``first`` and ``third`` quartile are NaN where no vote has a time.
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    n: int
    median: float
    first: float
    third: float


def response_times(votes: pd.DataFrame) -> ResponseTimes:
    """The times of votes, repeats and gold items, from the image's paint to the vote."""
    own = votes[votes["kind"].isin(RATED_KINDS)]
    times = own["response_ms"].dropna() if "response_ms" in own else pd.Series(dtype=float)
    seconds = times.to_numpy(dtype=np.float64) / 1000
    place = np.minimum((seconds / _BIN_S).astype(np.intp), _BINS)
    counts = np.bincount(place, minlength=_BINS + 1)
    edges = [_BIN_S * step for step in range(_BINS)]
    labels = [f"{edge:g}–{edge + _BIN_S:g} s" for edge in edges] + [f"≥ {_BIN_S * _BINS:g} s"]
    quartiles = np.quantile(seconds, [0.25, 0.5, 0.75]) if seconds.size else [math.nan] * 3
    first, median, third = map(float, quartiles)
    return ResponseTimes(
        tuple(labels), tuple(map(int, counts)), int(seconds.size), median, first, third
    )


def sos(data: StudyData) -> float:
    """The SOS coefficient a of the accepted votes (Hossfeld et al. 2011), NaN where undefined."""
    if data.opinions.empty:
        return math.nan
    try:
        return sos_coefficient(Ratings.from_votes(data.opinions, STIMULUS))
    except StatisticsError:
        return math.nan


def flags(data: StudyData) -> pd.DataFrame:
    """Every reason to look at a rater: rater, flag, reason, ``used`` (whether the votes count).

    The acceptance policy's and the operator's decisions first, then what the screening rules
    propose. A rule that the votes don't allow is silent; nothing is dropped here.
    """
    own = data.sessions
    decided = own[~own["accepted"].astype(bool) & own["reason"].fillna("").astype(bool)]
    rows = [
        {"rater": rater, "flag": "not used", "reason": str(reason)}
        for rater, reason in zip(decided["rater"], decided["reason"], strict=True)
    ]
    for rule, sentence in _RULES:
        try:
            found = rule(data)
            rows += [
                {"rater": rater, "flag": found.rule, "reason": sentence(row)}
                for rater, row in found.table[found.table["rejected"].astype(bool)].iterrows()
            ]
        except SrevalError:
            continue
    used = set(data.opinions["rater"])
    frame = pd.DataFrame(rows, columns=["rater", "flag", "reason"])
    return frame.assign(used=[rater in used for rater in frame["rater"]])


def _gold_rule(data: StudyData) -> screening.Screening:
    table = gold_results(data.votes, data.design).set_index("rater")
    limits = [rule.limit for rule in data.design.acceptance if rule.kind == "gold"]
    limit = min(limits, default=0.25)
    table["rejected"] = table["share"] > limit
    return screening.Screening("gold", "design", {"limit": limit}, table, {})


def _ratings(data: StudyData) -> Ratings:
    return Ratings.from_votes(data.opinions, STIMULUS)


_Rule = tuple[Callable[[StudyData], screening.Screening], Callable[[pd.Series], str]]
_RULES: tuple[_Rule, ...] = (
    (_gold_rule, lambda r: f"{r['wrong']:.0f} of {r['asked']:.0f} gold items missed"),
    (
        lambda data: conduct.hasty(data.votes),
        lambda r: (
            f"{r['fast']:.0%} of the votes within 0.7 s, median {r['median_ms'] / 1000:.1f} s"
        ),
    ),
    (
        lambda data: conduct.straight_lining(data.votes),
        lambda r: (
            f"one score in {r['share']:.0%} of the votes"
            + (f", {r['run']:.0f} times running" if "run" in r else "")
        ),
    ),
    (
        lambda data: conduct.unsteady_repeats(data.votes),
        lambda r: f"{r['mean_change']:.1f} points apart on average in {r['repeats']:.0f} repeats",
    ),
    (
        lambda data: screening.correlation_with_rest(_ratings(data)),
        lambda r: f"correlation {r['pearson']:.2f} with the other raters, 0.75 is the least",
    ),
    (
        lambda data: screening.bt500(_ratings(data)),
        lambda r: f"{r['straying']:.1%} of the votes stray, to both sides (BT.500)",
    ),
)
