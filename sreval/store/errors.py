"""What goes wrong between a study and its database, each kind a class of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from sreval.errors import StoreError

TokenWhy = Literal["unknown", "used-up", "revoked", "expired", "again", "full"]
VoteWhy = Literal[
    "scale", "malformed", "position", "unseen", "session", "closed", "paused", "ended",
    "too-early", "rest",
]  # fmt: skip
Fault = Literal[
    "unknown", "missing", "not-offered", "too-few", "too-many", "too-long", "not-a-number",
    "out-of-range",
]  # fmt: skip


class SchemaError(StoreError):
    """A database whose tables are older or newer than this code."""


class BusyError(StoreError):
    """A database that others kept locked, or that takes no more connections; trying again helps."""


class StateError(StoreError):
    """What a study's or a session's state doesn't allow."""


class StaleError(StateError):
    """A change chosen on a page that is out of date: somebody changed the same thing meanwhile."""

    def __init__(self, who: str, action: str, at: dt.datetime) -> None:
        super().__init__(
            f"Meanwhile {who} changed this ({action}, {at:%Y-%m-%d %H:%M} UTC). Nothing of yours "
            "was saved.",
            "The page shows how it is now. If you still want your change, send it again.",
        )


class TokenError(StoreError):
    """A link that opens nothing; `why` says which kind of nothing."""

    def __init__(self, why: TokenWhy, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.why: TokenWhy = why


class VoteError(StoreError):
    """A vote, or a step of a session, that is refused; nothing was stored."""

    def __init__(self, why: VoteWhy, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.why: VoteWhy = why


class CheckError(StoreError):
    """A viewing check whose result can't be true; nothing was stored."""


class AnswerError(StoreError):
    """Answers that don't fit their questions: `faults` says what is wrong, by question key."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        named = "; ".join(f"{key}: {fault}" for key, fault in faults.items())
        super().__init__(f"Some answers don't fit: {named}.", "Correct them and send them again.")
        self.faults = dict(faults)
