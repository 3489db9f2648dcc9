"""What happens to raters besides rating: they leave, an operator decides on their votes or gives
a drop-out's slot away, and their data are deleted, at their wish or after the retention date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Transaction

from sreval.errors import UsageError
from sreval.store import audit
from sreval.store.database import Store
from sreval.store.enrolment import tombstone_hash
from sreval.store.errors import StateError
from sreval.store.models import Invitation, Rater, Session, Study, Tombstone
from sreval.store.progress import SessionState, end, find, note, state_of
from sreval.store.studies import by_name, design_of, rater_of
from sreval.study.design import StudyDesign


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
        session = _session(tx, rater_of(tx, row, pseudonym))
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


def session_of(store: Store, study: str, pseudonym: str) -> str:
    """The session of a rater. Raises UsageError when the study has no such rater."""
    with store.read() as tx:
        return _session(tx, rater_of(tx, by_name(tx, study), pseudonym)).id


def _session(tx: Transaction, rater: Rater) -> Session:
    return tx.scalars(select(Session).where(Session.rater_id == rater.id)).one()


def withdraw(
    store: Store, session_id: str, *, delete: bool = False, who: str | None = None
) -> SessionState:
    """End a session at any stage, however the study stands, and free its slot.

    ``delete`` removes all that was stored of the rater and keeps a count. An operator's act, by
    ``who``, is kept in the audit log; a rater's own wish isn't. The last state is returned either
    way; a session that has ended stays as it is, and a deleted one is unknown afterwards.
    """
    with store.begin() as tx:
        found = find(tx, session_id, lock=True)
        rater = tx.get_one(Rater, found.session.rater_id)
        if found.session.outcome is None:
            end(tx, store, found, "withdrew")
            if who is not None:
                audit.record(
                    tx, store.clock(), who, "withdraw", found.study.id, rater=rater.pseudonym
                )
        last = state_of(found)
        if delete:
            _bury(tx, found.study, rater, store.clock())
        return last


def delete_rater(
    store: Store, study: str, pseudonym: str, *, who: str = audit.COMMAND_LINE
) -> None:
    """Remove a rater with session, plan, votes, answers and events; a count stays.

    A hash of the pseudonym stays too, so that an old export can't bring the rater back. Raises
    UsageError when the study has no such rater.
    """
    with store.begin() as tx:
        row = by_name(tx, study, lock=True)
        rater = rater_of(tx, row, pseudonym)
        _bury(tx, row, rater, store.clock())
        audit.record(tx, store.clock(), who, "delete-rater", row.id)


def _bury(tx: Transaction, study: Study, rater: Rater, now: dt.datetime) -> None:
    """Delete a rater's rows and keep a tombstone. The rater's link stops working."""
    buried = tombstone_hash(study.name, rater.pseudonym)
    tx.add(Tombstone(study_id=study.id, pseudonym_sha256=buried, deleted_at=now))
    if rater.invitation_id is not None:
        link = tx.get(Invitation, rater.invitation_id)
        while link is not None and link.kind == "personal":
            link.revoked_at = link.revoked_at or now
            link.label = ""
            link = tx.get(Invitation, link.parent_id) if link.parent_id else None
    tx.flush()
    audit.forget(tx, study.id, rater.pseudonym)
    tx.delete(rater)
    tx.flush()


def retention_over(design: StudyDesign, today: dt.date) -> bool:
    """Whether the day has come by which a study promised to delete its raters' data."""
    return design.retention is not None and design.retention <= today


def purge(store: Store, study: str, today: dt.date, *, who: str = audit.COMMAND_LINE) -> int:
    """Delete the data of all raters of a study whose retention date has come; a count stays.

    Gives how many there were. Raises StateError before that date, or when the design has none.
    """
    with store.begin() as tx:
        row = by_name(tx, study, lock=True)
        design = design_of(row)
        if not retention_over(design, today):
            raise StateError(
                f"The data of study {study!r} are kept until "
                f"{design.retention or 'they are deleted: its design names no retention date'}.",
                "Single raters can be deleted at any time.",
            )
        raters = tx.scalars(select(Rater).where(Rater.study_id == row.id)).all()
        for rater in raters:
            _bury(tx, row, rater, store.clock())
        # Labels are the operators' own notes, and may name people.
        tx.execute(update(Invitation).where(Invitation.study_id == row.id).values(label=""))
        audit.record(tx, store.clock(), who, "purge", row.id, raters=len(raters))
        return len(raters)
