"""A study and all that was collected as one object, for whoever watches or reports it."""

from __future__ import annotations

import json

import pandas as pd
from sqlalchemy import select

from sreval.opinions.votes import check_votes
from sreval.store import audit, frames, invitations, studies
from sreval.store.database import Store
from sreval.store.models import OperatorEvent
from sreval.study.data import Look, StudyData, without_orphans
from sreval.study.manifest import Manifest


def study_data(store: Store, study: str, manifest: Manifest) -> StudyData:
    """A study as of now. Raises UsageError when there is none of that name.

    Raises DataError when ``manifest`` is not the one under which it was rated.
    """
    row = studies.get(store, study)
    tables = frames.tables(store, study, manifest)
    links = invitations.listing(store, study)
    data = StudyData(
        design=row.design,
        design_sha256=row.design_sha256,
        manifest=manifest,
        votes=check_votes(tables["votes"]) if len(tables["votes"]) else tables["votes"],
        sessions=_sessions(tables["sessions"], tables["votes"]),
        answers=tables["answers"],
        state=row.state,
        looks=looks(store, row.id),
        invited=sum(link.kind == "personal" for link in links),
        deleted=len(tables["deleted"]),
    )
    return without_orphans(data)


def record_look(store: Store, study: str, votes: int, *, who: str = audit.COMMAND_LINE) -> None:
    """Keep in the audit log that somebody saw means of methods before the study was closed."""
    row = studies.get(store, study)
    with store.begin() as tx:
        audit.record(tx, store.clock(), who, audit.LOOK, row.id, votes=votes)


def looks(store: Store, study_id: int) -> tuple[Look, ...]:
    """Every look that was recorded, oldest first."""
    query = select(OperatorEvent).where(
        OperatorEvent.study_id == study_id, OperatorEvent.action == audit.LOOK
    )
    with store.read() as tx:
        return tuple(
            Look(row.at.isoformat(timespec="seconds"), row.who, int(json.loads(row.facts)["votes"]))
            for row in tx.scalars(query.order_by(OperatorEvent.id))
        )


def _sessions(frame: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """The store's sessions in the words of StudyData: the operator's decision above the rules'."""
    decided, used = frame["decided"], frame["used"]
    device = votes.groupby("session")["device"].last() if len(votes) else pd.Series(dtype=object)
    return pd.DataFrame(
        {
            "session": frame["session"],
            "rater": frame["rater"],
            "slot": frame["slot"],
            "stage": frame["stage"],
            "outcome": frame["outcome"],
            "votes": frame["done"],
            "of": frame["total"],
            "accepted": decided.where(decided.notna(), used).fillna(True).astype(bool),
            "reason": frame["decided_reason"].where(decided.notna(), frame["reasons"]),
            "paid": frame["paid"],
            "started_at": frame["created_at"],
            "ended_at": frame["ended_at"],
            "seen_at": frame["seen_at"],
            "sittings": frame["sitting"],
            "simulated": frame["simulated"].astype(bool),
            "device": frame["session"].map(device),
        }
    )
