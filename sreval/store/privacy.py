"""Deletion: a rater's data at their wish, and all data after the retention date."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session as Transaction

from sreval.store import audit
from sreval.store.database import Store
from sreval.store.enrolment import tombstone_hash
from sreval.store.errors import StateError
from sreval.store.models import Invitation, Rater, Study, Tombstone
from sreval.store.studies import by_name, design_of, rater_of


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
        bury(tx, row, rater, store.clock())
        audit.record(tx, store.clock(), who, "delete-rater", row.id)


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


def deleted(store: Store, study: str) -> int:
    """How many raters were deleted from a study."""
    with store.read() as tx:
        row = by_name(tx, study)
        count = select(func.count()).select_from(Tombstone).where(Tombstone.study_id == row.id)
        return tx.scalar(count) or 0


def retention_due(store: Store, today: dt.date) -> list[str]:
    """The studies whose retention date has come while they still hold raters' data, by name."""
    with store.read() as tx:
        held = select(Study).where(exists().where(Rater.study_id == Study.id)).order_by(Study.name)
        dates = [(study.name, design_of(study).retention) for study in tx.scalars(held)]
    return [name for name, date in dates if date is not None and date <= today]


def purge(store: Store, study: str, today: dt.date, *, who: str = audit.COMMAND_LINE) -> int:
    """Delete the data of all raters of a study whose retention date has come; a count stays.

    Gives how many there were. Raises StateError before that date, or when the design has none.
    """
    with store.begin() as tx:
        row = by_name(tx, study, lock=True)
        date = design_of(row).retention
        if date is None or today < date:
            raise StateError(
                f"The data of study {study!r} are kept until "
                f"{date or 'they are deleted: its design names no retention date'}.",
                "Single raters can be deleted at any time.",
            )
        raters = tx.scalars(select(Rater).where(Rater.study_id == row.id)).all()
        for rater in raters:
            bury(tx, row, rater, store.clock())
        # Labels are the operators' own notes, and may name people.
        tx.execute(update(Invitation).where(Invitation.study_id == row.id).values(label=""))
        audit.record(tx, store.clock(), who, "purge", row.id, raters=len(raters))
        return len(raters)
