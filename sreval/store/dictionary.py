"""What the columns of an export mean: the data dictionary, which travels with the data."""

from __future__ import annotations

import pandas as pd

from sreval.store.csvs import to_csv

FILE = "data-dictionary.csv"

_TIME = "UTC, ISO 8601"
_SESSION = {
    "rater": ("", "The rater's random pseudonym; deleted raters appear nowhere."),
    "session": ("", "The rater's session: one a rater, over all sittings."),
}
_PLANNED = {
    "kind": ("", "calibration, warm-up, vote, repeat or gold; only votes count as opinions."),
    "dataset": ("", "The data set of the image."),
    "image": ("", "The image within its data set."),
    "scene": ("", "What the image shows: versions and crops of one scene share it."),
    "method": ("", "The method whose version was shown; hr is the original."),
    "stimulus_sha256": ("SHA-256", "Of the PNG file that was shown."),
}
_POSITION = {"position": ("from 1", "The place in the rater's plan.")}

COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "votes": {
        "study": ("", "The study's name."),
        **_SESSION,
        **_POSITION,
        **{name: _PLANNED[name] for name in ("image", "scene", "dataset", "method")},
        "stimulus_sha256": _PLANNED["stimulus_sha256"],
        "score": ("1..5", "The rater's opinion, 1 worst, 5 best; the words are in design.json."),
        "kind": _PLANNED["kind"],
        "response_ms": ("ms", "From the image's first paint to the vote, by the browser's clock."),
        "shown_at": (_TIME, "When the image was painted, by the browser's clock."),
        "received_at": (_TIME, "When the vote was stored, by the server's clock."),
        "device": ("JSON", "What the browser said of its window at this vote."),
        "accepted": ("true/false", "Whether the session's votes are used."),
        "reason": ("", "Why not, empty where they are."),
        "simulated": ("true/false", "Whether a program rated, not a person."),
    },
    "sessions": {
        **_SESSION,
        "rater_index": ("from 0", "The number from which the rater's order was drawn."),
        "slot": ("from 0", "The place in the study; a drop-out's is given to another rater."),
        "holds_slot": ("true/false", "Whether the place is this rater's."),
        "simulated": ("true/false", "Whether a program rated, not a person."),
        "algorithm": ("", "The version of the planning algorithm."),
        "stage": ("", "Where the rater stands: consent, device, ..., rating, ..., done."),
        "outcome": (
            "",
            "complete, screened_out, failed_check, withdrew or expired; empty while under way.",
        ),
        "done": ("items", "Positions with a vote."),
        "total": ("items", "Positions in the plan."),
        "sitting": ("from 1", "The present or last sitting."),
        "pause_until": (_TIME, "The end of the present break or rest."),
        "consent_version": ("", "The version of the consent text that the rater agreed to."),
        "decided": (
            "true/false",
            "An operator's decision on the votes; empty where there is none.",
        ),
        "decided_reason": ("", "The reason of that decision."),
        "created_at": (_TIME, "When the rater entered."),
        "seen_at": (_TIME, "The rater's last step."),
        "ended_at": (_TIME, "When the session ended."),
        "used": ("true/false", "Whether the design's rules use the votes."),
        "paid": ("true/false", "Whether the design's rules pay the rater."),
        "reasons": ("", "What the rules found, separated by semicolons."),
    },
    "plan": {
        "session": _SESSION["session"],
        **_POSITION,
        "sitting": ("from 1", "The sitting in which the position lies."),
        **_PLANNED,
        "reason": ("", "Why the item stands in the plan."),
        "intended": ("1..5", "The score that a calibration item shows the rater."),
        "low": ("1..5", "The lowest right score of a gold item."),
        "high": ("1..5", "The highest right score of a gold item."),
    },
    "answers": {
        **_SESSION,
        "when": ("", "Before or after the rating."),
        "key": ("", "The question; its text is in design.json."),
        "value": ("", "The answer."),
        "at": (_TIME, "When it was stored."),
    },
    "events": {
        **_SESSION,
        "kind": ("", "What happened: consent, device, sitting, break, withdrew, ..."),
        "facts": ("JSON", "Its circumstances."),
        "at": (_TIME, "When it happened."),
    },
    "deleted": {
        "pseudonym_sha256": (
            "SHA-256",
            "Of study/pseudonym of a rater whose data were deleted: all that is left of them.",
        ),
        "deleted_at": (_TIME, "When they were deleted."),
    },
}
"""Unit or form, and meaning, of every column of every table of an export."""


def as_csv() -> bytes:
    """The dictionary as a table: table, column, unit, meaning."""
    rows = [
        (table, column, unit, meaning)
        for table, columns in COLUMNS.items()
        for column, (unit, meaning) in columns.items()
    ]
    return to_csv(pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"]))
