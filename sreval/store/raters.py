"""What an operator does about raters: decide on their votes, give a drop-out's slot away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import UsageError
from sreval.store import audit
from sreval.store.database import Store
from sreval.store.errors import StateError
from sreval.store.models import Rater, Session
from sreval.store.progress import end, note
from sreval.store.state import find
from sreval.store.studies import by_name, rater_of


def decide(
    store: Store,
    study: str,
    pseudonym: str,
    accepted: bool | None,
    reason: str,
    *,
    who: str = audit.COMMAND_LINE,
) -> None:
    """Use a rater's votes or not, whatever the design's rules say; None leaves it to the rules.

    Nothing is deleted. The slot of a refused rater is free for another one. Raises UsageError
    for an unknown rater, or a decision without a reason.
    """
    if accepted is not None and not reason.strip():
        raise UsageError("A decision on a rater's votes needs a reason.", "Say why.")
    with store.begin() as tx:
        row = by_name(tx, study, lock=True)
        session = tx.scalars(
            select(Session).where(Session.rater_id == rater_of(tx, row, pseudonym).id)
        ).one()
        session.accepted = accepted
        session.accepted_reason = reason if accepted is not None else ""
        if accepted is False:
            session.holds_slot = False
        elif session.outcome == "complete" and not session.holds_slot:
            session.holds_slot = not _slot_is_taken(tx, session)
        audit.record(
            tx, store.clock(), who, "decide", row.id, rater=pseudonym, accepted=accepted, why=reason
        )


def _slot_is_taken(tx: Transaction, session: Session) -> bool:
    others = select(Session.id).where(
        Session.study_id == session.study_id, Session.slot == session.slot, Session.holds_slot
    )
    return tx.scalar(others) is not None


def release(
    store: Store,
    study: str,
    idle: dt.timedelta,
    pseudonyms: Sequence[str] = (),
    *,
    who: str = audit.COMMAND_LINE,
) -> list[str]:
    """End the sessions that stood still for ``idle``, and free their slots; gives their raters.

    With ``pseudonyms`` only theirs. Their votes stay. Raises UsageError for an unknown rater,
    StateError for a named one who isn't idle or has ended.
    """
    with store.begin() as tx:
        row = by_name(tx, study, lock=True)
        for pseudonym in pseudonyms:
            rater_of(tx, row, pseudonym)
        query = (
            select(Rater.pseudonym, Session.id)
            .join(Session, Session.rater_id == Rater.id)
            .where(
                Session.study_id == row.id,
                Session.outcome.is_(None),
                Session.seen_at < store.clock() - idle,
            )
            .order_by(Rater.number)
            .with_for_update(of=Session)
        )
        found = {
            name: key for name, key in tx.execute(query) if not pseudonyms or name in pseudonyms
        }
        for pseudonym in pseudonyms:
            if pseudonym not in found:
                raise StateError(
                    f"Rater {pseudonym} has ended, or did something within {idle}.",
                    "Wait, or give a shorter time.",
                )
        for session_id in found.values():
            end(tx, store, find(tx, session_id, lock=True), "expired")
            note(tx, store, session_id, "released", who=who)
        if found:
            audit.record(tx, store.clock(), who, "release", row.id, raters=list(found))
        return list(found)


def withdraw(store: Store, study: str, pseudonym: str, *, who: str = audit.COMMAND_LINE) -> None:
    """End a rater's session as one who left, and free the slot; what was stored stays.

    A session that has ended is left as it is. Raises UsageError for an unknown rater.
    """
    with store.begin() as tx:
        row = by_name(tx, study, lock=True)
        rater = rater_of(tx, row, pseudonym)
        session_id = tx.scalars(select(Session.id).where(Session.rater_id == rater.id)).one()
        found = find(tx, session_id, lock=True)
        if found.session.outcome is None:
            end(tx, store, found, "withdrew")
            audit.record(tx, store.clock(), who, "withdraw", row.id, rater=pseudonym)
