"""The audit log: who did what. A row is written in the transaction of the action itself."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.database import Store
from sreval.store.models import OperatorEvent, Study

COMMAND_LINE = "command line"
"""The name for actions without a login: those of whoever runs commands on the server."""

LOOK = "look"
"""The action under which a look at results before the study was closed is kept."""

DELETED = "(deleted)"
"""What the log shows in place of a deleted rater's pseudonym."""


@dataclass(frozen=True)
class Entry:
    """One row of the log: who did what to which study, and its facts."""

    id: int
    at: dt.datetime
    who: str
    action: str
    study: str | None
    facts: dict[str, Any]


class AuditLog:
    """The log of a database, written in the name of ``who``."""

    def __init__(self, store: Store, who: str = COMMAND_LINE) -> None:
        self.store, self.who = store, who

    def record(self, tx: Transaction, action: str, study_id: int | None, **facts: Any) -> None:
        """Add one row; ``facts`` become one canonical line of JSON."""
        line = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        at = self.store.clock()
        tx.add(OperatorEvent(at=at, who=self.who, action=action, study_id=study_id, facts=line))

    def entries(self, study: str, *, before: int | None = None, limit: int = 200) -> list[Entry]:
        """What was done to a study, and to accounts, newest first; ``before`` an entry's id."""
        query = (
            select(OperatorEvent, Study.name)
            .outerjoin(Study, Study.id == OperatorEvent.study_id)
            .where(or_(Study.name == study, OperatorEvent.study_id.is_(None)))
            .order_by(OperatorEvent.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(OperatorEvent.id < before)
        with self.store.read() as tx:
            return [
                Entry(row.id, row.at, row.who, row.action, name, json.loads(row.facts))
                for row, name in tx.execute(query)
            ]


def forget(tx: Transaction, study_id: int, rater: str) -> None:
    """Take a deleted rater's pseudonym, and what was written about them, out of a study's log.

    That something was done stays.
    """
    named = json.dumps(rater, ensure_ascii=False)
    query = select(OperatorEvent).where(
        OperatorEvent.study_id == study_id, OperatorEvent.facts.contains(named, autoescape=True)
    )
    for row in tx.scalars(query):
        facts = json.loads(row.facts)
        if facts.get("rater") == rater:
            facts = {k: v for k, v in facts.items() if k != "why"} | {"rater": DELETED}
        elif isinstance(facts.get("raters"), list):
            facts["raters"] = [DELETED if one == rater else one for one in facts["raters"]]
        row.facts = json.dumps(facts, sort_keys=True, ensure_ascii=False)
