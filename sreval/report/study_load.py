"""A study with all its data, read from its folder and its database."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from sqlalchemy import select

from sreval import settings
from sreval.errors import DataError, UsageError
from sreval.statistics.votes import COLUMNS, check_votes
from sreval.store import audit, frames, invitations, privacy, studies
from sreval.store.database import Store, open_store
from sreval.store.models import OperatorEvent
from sreval.study.data import Look, StudyData, without_orphans
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest

LOOK = "look"
"""The action under which the audit log keeps a look at open results."""


def load(folder: Path, database: str | None = None, *, allow_open: bool = False) -> StudyData:
    """The study in ``folder``, its votes from ``database``, else SREVAL_DATABASE, else its folder.

    A look at results that the design lets be seen before the study is closed is kept in the
    audit log.

    Raises UsageError for a study that is not closed unless ``allow_open``; DataError when the
    stimuli are no longer those that were rated; what the folder and the store raise.
    """
    design, manifest = load_design(folder), load_manifest(folder)
    url = database or settings.database() or str(folder / "votes.sqlite")
    store = open_store(url)
    try:
        row = studies.get(store, design.name)
        if row.manifest_sha256 != manifest.sha256:
            raise DataError(
                f"The manifest of {folder} is not that under which {row.name} was rated.",
                "Put the manifest back that was frozen before the first rater.",
            )
        if row.state != "closed" and not allow_open:
            raise UsageError(
                f"Study {row.name} is {row.state}: its results may still change.",
                f"Close it: sreval study close {row.name}. Or look before: --allow-open.",
            )
        votes = _checked(frames.votes(store, row.name))
        if row.state != "closed" and row.design.analysis.look_before_close:
            _record_look(store, row.id, len(votes))
        links = invitations.listing(store, row.name)
        personal = [link for link in links if link.kind == "personal"]
        data = StudyData(
            row.design,
            row.design_sha256,
            manifest,
            votes,
            frames.sessions(store, row.name),
            frames.answers(store, row.name),
            row.state,
            looks(store, row.id),
            len(personal),
            privacy.deleted(store, row.name),
        )
        return without_orphans(data)
    finally:
        store.dispose()


def looks(store: Store, study_id: int) -> list[Look]:
    """Every look at results before the study was closed, oldest first."""
    query = select(OperatorEvent).where(OperatorEvent.study_id == study_id)
    with store.read() as tx:
        rows = tx.scalars(query.where(OperatorEvent.action == LOOK).order_by(OperatorEvent.id))
        return [
            Look(row.at.isoformat(timespec="seconds"), row.who, json.loads(row.facts)["votes"])
            for row in rows
        ]


def _record_look(store: Store, study_id: int, votes: int) -> None:
    with store.begin() as tx:
        audit.record(tx, store.clock(), audit.COMMAND_LINE, LOOK, study_id, votes=votes)


def _checked(votes: pd.DataFrame) -> pd.DataFrame:
    if len(votes):
        return check_votes(votes)
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    return empty.astype({"score": "int64", "accepted": bool, "response_ms": float})
