"""The one transaction that stores a vote."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, or_, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.answers import appeared, check_vote
from sreval.store.database import Store
from sreval.store.errors import VoteError
from sreval.store.models import Vote
from sreval.store.progress import (
    AHEAD,
    Current,
    Found,
    after_vote,
    current_of,
    find,
    refuse_rest,
    refuse_unless_open,
)

# Without the mapped class: a vote is the one thing here that has to be fast.
table = Vote.metadata.tables["vote"]
_INSERT = insert(table)
_STANDING = (
    select(table.c.position, table.c.score, table.c.stored_at)
    .where(
        table.c.session_id == bindparam("session_id"),
        or_(table.c.key == bindparam("key"), table.c.position == bindparam("position")),
    )
    .order_by(table.c.key != bindparam("key"))
    .limit(1)
)


@dataclass(frozen=True)
class Receipt:
    """A stored vote. ``repeated`` when it had been stored before, perhaps with another score.

    ``current`` is the session right after it, read in the same transaction.
    """

    position: int
    score: int
    stored_at: dt.datetime
    repeated: bool
    current: Current


def cast(
    store: Store,
    session_id: str,
    position: int,
    score: int,
    *,
    key: str,
    response_ms: float,
    shown_at: dt.datetime,
    device: str,
    ahead: int = AHEAD,
) -> Receipt:
    """Store a vote on the current position; when this returns, the vote is durable.

    The same key again, or another one on a position that has a vote, stores nothing and gives
    the receipt of the vote that stands, however the session or the study has gone on since.
    ``response_ms`` is in milliseconds since the image appeared; ``shown_at`` is kept by our clock
    where the browser's is a day or more off. Raises VoteError for a score outside 1..5 ('scale'),
    what no vote can be ('malformed'), another position ('position'), an unknown session
    ('session'), a closed or paused study, an ended session, a break ('rest'), less than the
    design's least viewing time ('too-early').
    """
    check_vote(position, score, key, response_ms, shown_at, device)
    with store.begin() as tx:
        found = find(tx, session_id, lock=True)
        stands = _standing(tx, session_id, position, key)
        if stands is not None:
            return Receipt(*stands, repeated=True, current=current_of(tx, found, ahead))
        _refuse_now(store, found, position, response_ms)
        stored_at = store.clock()
        vote = {
            "session_id": session_id,
            "position": position,
            "score": score,
            "key": key,
            "response_ms": float(response_ms),
            "shown_at": appeared(shown_at, response_ms, stored_at),
            "stored_at": stored_at,
            "device": device,
        }
        tx.execute(_INSERT, vote)
        found.session.done = position
        found.session.seen_at = stored_at
        after_vote(tx, store, found)
        tx.flush()
        return Receipt(position, score, stored_at, False, current_of(tx, found, ahead))


def _standing(
    tx: Transaction, session_id: str, position: int, key: str
) -> tuple[int, int, dt.datetime] | None:
    """Position, score and time of the vote that this request, or another one, has stored."""
    asked = {"session_id": session_id, "position": position, "key": key}
    found = tx.execute(_STANDING, asked).first()
    return None if found is None else (found[0], found[1], found[2])


def _refuse_now(store: Store, found: Found, position: int, response_ms: float) -> None:
    session = found.session
    refuse_unless_open(found)
    refuse_rest(session, store.clock())
    if session.stage != "rating" or position != session.done + 1:
        expected = session.done + 1 if session.stage == "rating" else f"stage {session.stage}"
        raise VoteError(
            "position",
            f"A vote came for position {position}; the session is at {expected}.",
            "Reload the page.",
        )
    least = found.design.viewing.least_ms
    if response_ms < least:
        raise VoteError(
            "too-early",
            f"The vote came {response_ms:.0f} ms after its image.",
            f"Look at it for at least {least} ms.",
        )
