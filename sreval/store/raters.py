"""What happens to raters besides rating: they leave, an operator decides on their votes or gives
a drop-out's slot away, and their data are deleted, at their wish or after the retention date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Transaction

from sreval.errors import UsageError
from sreval.store import audit, participants
from sreval.store.audit import COMMAND_LINE, AuditLog
from sreval.store.database import Store
from sreval.store.enrolment import tombstone_hash
from sreval.store.errors import StateError
from sreval.store.models import Invitation, Rater, Session, Study, Tombstone
from sreval.store.sessions import SessionState, opened
from sreval.store.studies import by_name, rater_of

ERASURES = ("delete-rater", "purge")
"""The actions under which the audit log keeps that an operator deleted raters."""


class Raters:
    """The raters of one study; what is done to them is done in the name of ``who``.

    Every method raises UsageError when the database holds no such study or rater, and StaleError
    when somebody changed the rater after ``made_from`` (see `AuditLog`).
    """

    def __init__(
        self, store: Store, study: str, who: str = COMMAND_LINE, made_from: int | None = None
    ) -> None:
        self.store, self.study = store, study
        self._audit = AuditLog(store, who, made_from)

    def decide(self, pseudonym: str, accepted: bool | None, reason: str = "") -> None:
        """Use a rater's votes or not, whatever the design's rules say; None leaves it to the rules.

        Nothing is deleted. The slot of a refused rater is free for another one; until one has it,
        another decision gives it back. Raises UsageError for a decision without a reason.
        """
        if accepted is not None and not reason.strip():
            raise UsageError("A decision on a rater's votes needs a reason.", "Say why.")
        with self.store.begin() as tx:
            study, rater = self._found(tx, pseudonym)
            mine = select(Session).where(Session.rater_id == rater.id)
            session = tx.scalars(mine.with_for_update()).one()
            session.accepted = accepted
            session.accepted_reason = reason if accepted is not None else ""
            if accepted is False:
                session.holds_slot = False
            elif (under_way := session.outcome is None) or session.finished:
                from sreval.store.frames import judge_session  # pandas: most commands do without

                used = accepted or under_way or judge_session(tx, session, study.design).used
                held = session.holds_slot
                session.holds_slot = used and (held or not _slot_is_taken(tx, session))
            facts = {"rater": pseudonym, "accepted": accepted, "why": reason}
            self._audit.record(tx, "decide", study.id, **facts)

    def release(self, idle: dt.timedelta, pseudonyms: Sequence[str] = ()) -> list[str]:
        """End the sessions that stood still for ``idle``, and free their slots; gives their raters.

        With ``pseudonyms`` only theirs. Their votes stay. Raises StateError for a named one who
        isn't idle or has ended.
        """
        with self.store.begin() as tx:
            study = by_name(tx, self.study, lock=True)
            for pseudonym in pseudonyms:
                self._found(tx, pseudonym)
            query = (
                select(Rater.pseudonym, Session.id)
                .join(Session, Session.rater_id == Rater.id)
                .where(
                    Session.study_id == study.id,
                    Session.outcome.is_(None),
                    Session.seen_at < self.store.clock() - idle,
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
                session = opened(self.store, tx, session_id, lock=True)
                session.end("expired")
                session.note("released", who=self._audit.who)
            if found:
                self._audit.record(tx, "release", study.id, raters=list(found))
            return list(found)

    def withdraw(self, pseudonym: str) -> None:
        """End a rater's session for them, as `withdraw` does at their own wish.

        Raises StateError for one that has ended.
        """
        with self.store.begin() as tx:
            _, rater = self._found(tx, pseudonym)
            session_id = tx.scalars(select(Session.id).where(Session.rater_id == rater.id)).one()
            session = opened(self.store, tx, session_id, lock=True)
            if session.row.outcome is not None:
                raise StateError(
                    f"The session of {pseudonym} has ended ({session.row.outcome}).",
                    "If the votes must not count, decide so; if nothing may stay, delete them.",
                )
            session.end("withdrew")
            self._audit.record(tx, "withdraw", session.study.id, rater=pseudonym)

    def delete(self, pseudonym: str) -> None:
        """Remove a rater with session, plan, votes, answers and events; a count stays.

        A hash of the pseudonym stays too, so that an old export can't bring the rater back.
        """
        with self.store.erasing() as tx:
            study, rater = self._found(tx, pseudonym)
            bury(tx, study, rater, self.store.clock())
            self._audit.record(tx, "delete-rater", study.id)

    def delete_participant(self, participant: str) -> int:
        """`delete` the rater whom a panel sent under that id; gives how many items they had rated.

        Raises UsageError when none of that id is in this study.
        """
        with self.store.erasing() as tx:
            study = by_name(tx, self.study, lock=True)
            rater = participants.rater_of(tx, study, participant)
            rated = tx.scalars(select(Session.done).where(Session.rater_id == rater.id)).one()
            bury(tx, study, rater, self.store.clock())
            self._audit.record(tx, "delete-rater", study.id)
            return rated

    def purge(self, today: dt.date) -> int:
        """Delete the data of all raters once the retention date has come; a count stays.

        Gives how many there were. Raises StateError before that date, or without one.
        """
        with self.store.erasing() as tx:
            study = by_name(tx, self.study, lock=True)
            self._audit.refuse_stale(tx, study.id)
            if not study.retention_over(today):
                until = study.design.retention
                raise StateError(
                    f"The data of study {self.study!r} are kept until "
                    f"{until or 'they are deleted: its design names no retention date'}.",
                    "Single raters can be deleted at any time.",
                )
            raters = tx.scalars(select(Rater).where(Rater.study_id == study.id)).all()
            for rater in raters:
                bury(tx, study, rater, self.store.clock())
            clear_labels(tx, study.id, self.store.clock())
            self._audit.record(tx, "purge", study.id, raters=len(raters))
            return len(raters)

    def _found(self, tx: Transaction, pseudonym: str) -> tuple[Study, Rater]:
        """The study, locked, and the rater as the page showed them."""
        study = by_name(tx, self.study, lock=True)
        rater = rater_of(tx, study, pseudonym)
        self._audit.refuse_stale(tx, study.id, rater=pseudonym)
        return study, rater


def withdraw(store: Store, session_id: str, *, delete: bool = False) -> SessionState:
    """End a session at its rater's own wish, at any stage, however the study stands.

    Its slot is free then. ``delete`` removes all that was stored of the rater and keeps a count.
    The last state is returned either way; a session that has ended stays as it is, and a deleted
    one is unknown afterwards. Raises VoteError ('session') when there is none.
    """
    with store.erasing() if delete else store.begin() as tx:
        session = opened(store, tx, session_id, lock=True)
        if session.row.outcome is None:
            session.end("withdrew")
        last = session.state()
        if delete:
            rater = tx.get_one(Rater, session.row.rater_id)
            bury(tx, session.study, rater, store.clock())
        return last


def decline(store: Store, session_id: str) -> bool:
    """Take an enrolment back whose rater doesn't agree: nothing is kept of it.

    The link that they came by is as it was before. False, and nothing changes, when they agreed
    before. Raises VoteError ('session') when there is no such session.
    """
    with store.begin() as tx:
        session = opened(store, tx, session_id, lock=True)
        if session.row.stage != "consent":
            return False
        rater = tx.get_one(Rater, session.row.rater_id)
        link = tx.get(Invitation, rater.invitation_id) if rater.invitation_id else None
        audit.forget(tx, session.study.id, rater.pseudonym)
        tx.delete(rater)
        tx.flush()
        parent = tx.get(Invitation, link.parent_id) if link and link.parent_id else None
        if link and parent and parent.kind != "personal":
            tx.delete(link)
            link = parent
        if link:
            link.used = Invitation.used - 1  # others may come by it at this moment
        return True


def _slot_is_taken(tx: Transaction, session: Session) -> bool:
    others = select(Session.id).where(
        Session.study_id == session.study_id,
        Session.group == session.group,
        Session.slot == session.slot,
        Session.holds_slot,
    )
    return tx.scalar(others) is not None


def clear_labels(tx: Transaction, study_id: int, until: dt.datetime) -> None:
    """Empty the labels of links made until then: operators' own notes, which may name people."""
    made = (Invitation.study_id == study_id, Invitation.created_at <= until)
    tx.execute(update(Invitation).where(*made).values(label=""))


def bury(tx: Transaction, study: Study, rater: Rater, now: dt.datetime) -> None:
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
