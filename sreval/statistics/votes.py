"""The table of votes: its columns, its defaults, and what is refused.

One row per vote. ``rater``, ``image``, ``method`` and ``score`` must be there; the other columns
of COLUMNS may be, and no others. An image is known by (dataset, image), a stimulus by
(dataset, image, method).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, unknown_name

REQUIRED = ("rater", "image", "method", "score")
COLUMNS = (
    "study",
    "rater",
    "session",
    "position",
    "image",
    "scene",
    "dataset",
    "method",
    "stimulus_sha256",
    "image_sha256",
    "stand_in",
    "score",
    "kind",
    "response_ms",
    "shown_at",
    "received_at",
    "device",
    "accepted",
    "reason",
    "simulated",
)
KINDS = ("calibration", "warm-up", "vote", "repeat", "gold")
STIMULUS = ("dataset", "image", "method")

_DEFAULTS: dict[str, str | bool] = {
    "study": "",
    "dataset": "",
    "kind": "vote",
    "accepted": True,
    "simulated": False,
    "stand_in": False,
}
_SHOWN_ROWS = 5


@dataclass(frozen=True)
class Scale:
    """An integer rating scale, both ends included."""

    low: int = 1
    high: int = 5


ACR = Scale(1, 5)
"""Absolute category rating, 1 bad to 5 excellent (ITU-T P.910 (2008) clause 6.1)."""


def check_votes(frame: pd.DataFrame, scale: Scale = ACR) -> pd.DataFrame:
    """A copy of ``frame`` with a plain row index, integer scores and every default filled in.

    Defaults: study and dataset empty, scene the image, session the rater, kind 'vote',
    accepted True, simulated and stand_in False. Raises StatisticsError for an empty table,
    missing or unknown columns, an empty cell among rater, image, method and score, a score that
    is no integer or lies outside ``scale``, an unknown kind, more than one study, and a second
    'vote' of one rater on one stimulus.
    """
    _check_columns(frame)
    votes = frame.reset_index(drop=True).copy()
    for column in REQUIRED:
        _refuse(votes, votes[column].isna(), column, "an empty cell", "Leave out votes not cast.")
    _check_scores(votes, scale)
    votes["score"] = votes["score"].astype(np.int64)
    for column, value in _DEFAULTS.items():
        votes[column] = votes[column].fillna(value) if column in votes else value
    votes["scene"] = votes["scene"].fillna(votes["image"]) if "scene" in votes else votes["image"]
    if "session" not in votes:
        votes["session"] = votes["rater"]
    for column in ("accepted", "stand_in"):
        votes[column] = votes[column].astype(bool)
    known = votes["kind"].isin(KINDS)
    _refuse(votes, ~known, "kind", "an unknown kind", f"Known: {', '.join(KINDS)}.")
    studies = sorted(set(votes["study"].astype(str)))
    if len(studies) > 1:
        raise StatisticsError(
            f"The table mixes {len(studies)} studies: {', '.join(studies[:_SHOWN_ROWS])}.",
            "Raters and scales differ between studies; analyse one at a time.",
        )
    key = ["rater", *STIMULUS]
    twice = (votes["kind"] == "vote") & votes.duplicated([*key, "kind"], keep=False)
    _refuse(
        votes, twice, "score", "a second vote on one stimulus", "Mark a planned one kind=repeat."
    )
    return votes


def opinions(votes: pd.DataFrame) -> pd.DataFrame:
    """The rows of a checked table that count as opinions: kind 'vote', accepted.

    Raises StatisticsError when none is left.
    """
    kept = votes[(votes["kind"] == "vote") & votes["accepted"]]
    if kept.empty:
        raise StatisticsError(
            f"None of {len(votes)} rows is an accepted vote.",
            "Look at the columns 'kind', 'accepted' and 'reason'.",
        )
    return kept


def without_raters(votes: pd.DataFrame, raters: Iterable[str]) -> pd.DataFrame:
    """``votes`` without those of the named raters.

    Raises UsageError for a rater who isn't in the table, StatisticsError if nobody is left.
    """
    present = set(votes["rater"])
    excluded = set(raters)
    for rater in sorted(excluded - present, key=str):
        raise unknown_name("rater", str(rater), map(str, present))
    if excluded == present:
        raise StatisticsError(
            f"Excluding all {len(present)} raters leaves no vote.", "Use a milder rule."
        )
    return votes[~votes["rater"].isin(excluded)]


def stand_ins(votes: pd.DataFrame) -> list[str]:
    """The methods of a checked table in whose place stand-ins were rated, sorted."""
    return sorted(votes.loc[votes["stand_in"], "method"].astype(str).unique())


def exclusions(votes: pd.DataFrame) -> Mapping[str, int]:
    """How many rows of a checked table ``opinions`` leaves out, by reason."""
    other_kind = votes["kind"] != "vote"
    counts = {
        f"kind {kind}": int(n) for kind, n in votes.loc[other_kind, "kind"].value_counts().items()
    }
    refused = votes[~other_kind & ~votes["accepted"]]
    reasons = refused["reason"].fillna("no reason given") if "reason" in refused else None
    if reasons is not None:
        counts |= {f"not accepted: {why}": int(n) for why, n in reasons.value_counts().items()}
    elif len(refused):
        counts["not accepted: no reason given"] = len(refused)
    return counts


def _check_columns(frame: pd.DataFrame) -> None:
    if frame.empty:
        raise StatisticsError("The table holds no votes.", "One row per vote is expected.")
    missing = [column for column in REQUIRED if column not in frame]
    if missing:
        raise StatisticsError(
            f"The table of votes lacks {', '.join(missing)}.",
            f"It must have {', '.join(REQUIRED)}; it has {', '.join(map(str, frame.columns))}.",
        )
    for column in frame.columns:
        if column not in COLUMNS:
            raise unknown_name("column", str(column), COLUMNS, "Rename or drop it.")


def _check_scores(votes: pd.DataFrame, scale: Scale) -> None:
    scores = pd.to_numeric(votes["score"], errors="coerce").astype(np.float64)
    integral = scores.notna() & (scores == np.floor(scores))
    _refuse(votes, ~integral, "score", "no integer", "An integer scale has no other scores.")
    outside = (scores < scale.low) | (scores > scale.high)
    _refuse(
        votes,
        outside,
        "score",
        f"outside {scale.low}..{scale.high}",
        "If two scales stand in one table, split it; else name the scale that was used.",
    )


def _refuse(votes: pd.DataFrame, bad: pd.Series, column: str, what: str, remedy: str) -> None:
    """Raise StatisticsError that names the first bad rows, counted from 1, if there are any."""
    rows = np.flatnonzero(bad.to_numpy())
    if rows.size == 0:
        return
    cells = votes[column].iloc[rows[:_SHOWN_ROWS]].to_list()
    shown = ", ".join(f"row {row + 1}: {cell!r}" for row, cell in zip(rows, cells, strict=False))
    more = f" and {rows.size - _SHOWN_ROWS} more" if rows.size > _SHOWN_ROWS else ""
    raise StatisticsError(f"Column {column!r} has {what} in {shown}{more}.", remedy)
