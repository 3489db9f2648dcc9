"""What an operator watches while a study runs, and what its report repeats: frames in, frames out.

Nothing here tells a method's mean score, so that all of it may be seen before a study is closed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Ratings
from sreval.opinions.cells import numbered
from sreval.opinions.reliability import sos_coefficient
from sreval.opinions.screening import apply
from sreval.opinions.votes import STIMULUS
from sreval.study.acceptance import rules_of, verdicts
from sreval.study.data import StudyData, rated
from sreval.study.design import StudyDesign

RATED_KINDS = ("vote", "repeat", "gold")
UNDER_WAY = "under way"
_BIN_S, _BINS = 0.5, 20


def outcomes(data: StudyData) -> dict[str, int]:
    """How many raters were invited, enrolled and ended, by outcome, in the order of a session."""
    ends = data.sessions["outcome"].fillna(UNDER_WAY).astype(str)
    known = ("complete", UNDER_WAY, "screened_out", "failed_check", "withdrew", "expired")
    counts = {} if data.invited is None else {"invited": data.invited}
    counts |= {"enrolled": len(ends) + data.deleted}
    counts |= {name: int((ends == name).sum()) for name in known}
    return counts | {"deleted": data.deleted}


def progress(data: StudyData) -> pd.DataFrame:
    """One row per session, those under way first: rater, stage, outcome, votes, of, share, ...

    ``votes`` counts votes, repeats and gold items that are stored, ``of`` those planned, both
    without calibration and warm-up; ``share`` lies within 0..1.
    """
    counts = data.votes[data.votes["kind"].isin(RATED_KINDS)].groupby("session").size()
    frame = data.sessions.copy()
    frame["votes"] = frame["session"].map(counts).fillna(0).astype(np.int64)
    frame["of"] = planned_items(data)
    frame["share"] = (frame["votes"] / frame["of"]).clip(upper=1.0)
    frame["outcome"] = frame["outcome"].fillna(UNDER_WAY).astype(str)
    ended = frame["outcome"] != UNDER_WAY
    keys = zip(ended, frame["share"], map(numbered, frame["rater"]), range(len(frame)), strict=True)
    made: pd.DataFrame = frame.iloc[[row[-1] for row in sorted(keys)]].reset_index(drop=True)
    return made


def planned_items(data: StudyData) -> int:
    """Items that a rater's plan holds besides calibration and warm-up."""
    design = data.design
    votes = design.subset or len(rated(design, data.manifest))
    repeats = sum(repeat.images * repeat.times for repeat in design.repeats)
    return votes + repeats + sum(gold.images for gold in design.gold)


def cells(data: StudyData) -> pd.DataFrame:
    """One row per (data set, method), in the design's order: how evenly it was seen.

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
    """How often single stimuli were rated, a row per data set.

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
    """Gold items by rater: asked, wrong, share (0..1), as the rule on them counts."""
    return _counted("gold", votes, design, {"n": "asked"}, ["asked", "wrong", "share"])


def repeat_results(votes: pd.DataFrame, design: StudyDesign) -> pd.DataFrame:
    """Repeats by rater: pairs, exact (share 0..1), change (mean absolute, points)."""
    return _counted("repeats", votes, design, {"n": "pairs"}, ["pairs", "exact", "change"])


def _counted(
    kind: str, votes: pd.DataFrame, design: StudyDesign, names: dict[str, str], columns: list[str]
) -> pd.DataFrame:
    """The figures of a rule of ``kind``, of the raters who have any."""
    rules = [rule for rule in rules_of(design) if rule.kind == kind]
    found, _ = apply(rules[:1], votes)
    if not found:
        return pd.DataFrame({name: [] for name in ["rater", *columns]})
    table = found[0].table.rename(columns=names)
    return table.loc[table[columns[0]] > 0, columns].reset_index()


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


@dataclass(frozen=True)
class Findings:
    """What the rules say of a study's raters.

    ``flags``: rater, flag, reason, ``used`` (whether the votes count). ``unjudged``: a sentence a
    rule that some raters have too few items for; ``not_done``: one a rule that can't be applied.
    """

    flags: pd.DataFrame
    unjudged: list[str]
    not_done: list[str]


def findings(data: StudyData) -> Findings:
    """Every reason to look at a rater, by the rules of the design and the defaults beside them.

    The acceptance policy's and the operator's decisions come first, then what the rules find.
    Nothing is dropped here.
    """
    own = data.sessions
    decided = own[~own["accepted"].astype(bool) & own["reason"].fillna("").astype(bool)]
    rows = [
        {"rater": rater, "flag": "not used", "reason": str(reason)}
        for rater, reason in zip(decided["rater"], decided["reason"], strict=True)
    ]
    found, not_done = apply(rules_of(data.design), data.votes)
    rows += [
        {"rater": rater, "flag": made.rule.kind, "reason": reason}
        for made in found
        for rater, reason in made.reasons.items()
    ]
    unjudged = [made.too_few for made in found if made.too_few]
    used = set(data.opinions["rater"])
    frame = pd.DataFrame(rows, columns=["rater", "flag", "reason"])
    flags = frame.assign(used=[rater in used for rater in frame["rater"]])
    return Findings(flags, unjudged, not_done)


def overruled(data: StudyData) -> pd.DataFrame:
    """Sessions where an operator overruled the design's rules.

    Columns: rater, used (as decided), rules (the reasons of the rules that reject, empty where
    none does), reason (the operator's).
    """
    of = data.sessions["of"] if "of" in data.sessions else pd.Series(None, data.sessions.index)
    planned = dict(zip(data.sessions["session"], of, strict=True))
    given = dict(zip(data.sessions["session"], data.sessions["reason"].fillna(""), strict=True))
    rejecting = [rule.reason for rule in data.design.acceptance if not rule.used]
    voted = {s: votes for s, votes in data.votes.groupby("session", sort=False) if s in planned}
    totals = {str(s): None if pd.isna(planned[s]) else int(planned[s]) for s in voted}
    found = verdicts(data.votes, data.design, totals)
    rows = []
    for session, votes in voted.items():
        verdict, used = found[str(session)], bool(votes["accepted"].all())
        if used != verdict.used:
            own = list(votes["reason"].dropna()) if "reason" in votes else []
            said = [reason for reason in verdict.reasons if reason in rejecting]
            rows.append(
                {
                    "rater": votes["rater"].iloc[0],
                    "used": used,
                    "rules": "; ".join(said),
                    "reason": next((str(one) for one in [*own, given[session]] if one), ""),
                }
            )
    rows.sort(key=lambda row: numbered(str(row["rater"])))
    return pd.DataFrame(rows, columns=["rater", "used", "rules", "reason"])
