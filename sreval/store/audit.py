"""The audit log: who did what. A row is written in the transaction of the action itself."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.database import Store
from sreval.store.errors import StaleError
from sreval.store.models import OperatorEvent, Study

COMMAND_LINE = "command line"
"""The name for actions without a login: those of whoever runs commands on the server."""

LOOK = "look"
"""The action under which a look at results before the study was closed is kept."""

PAYMENTS = "payments"
"""The action under which a look at the list of participants is kept."""

_READING = (LOOK, PAYMENTS, "export", "backup")
"""Actions that change nothing."""

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
    """The log of a database, written in the name of ``who``.

    ``made_from`` is the newest entry, as `newest` gives it, that the page showed on which an
    action was chosen; None for actions that no page led to.
    """

    def __init__(self, store: Store, who: str = COMMAND_LINE, made_from: int | None = None) -> None:
        self.store, self.who, self._made_from = store, who, made_from

    def newest(self, study: str) -> int:
        """The id of the newest change to a study or to anything of it, 0 before the first.

        Ask before reading what is shown. Whoever changes something holds the study's lock, so
        that the entries of one study have their ids in the order in which others see them.
        """
        query = (
            select(func.max(OperatorEvent.id))
            .join(Study, Study.id == OperatorEvent.study_id)
            .where(Study.name == study, OperatorEvent.action.not_in(_READING))
        )
        with self.store.read() as tx:
            return tx.scalar(query) or 0

    def refuse_stale(
        self, tx: Transaction, study_id: int, *, rater: str = "", invitation: int | None = None
    ) -> None:
        """Raise StaleError when somebody changed the rater, the link or, without these, the study
        itself after the page was made that led here. Call it under the study's lock."""
        if self._made_from is None:
            return
        query = select(OperatorEvent).where(
            OperatorEvent.study_id == study_id,
            OperatorEvent.id > self._made_from,
            OperatorEvent.action.not_in(_READING),
        )
        for row in tx.scalars(query.order_by(OperatorEvent.id.desc())):
            if _concerns(json.loads(row.facts), rater, invitation):
                raise StaleError(row.who, row.action, row.at)

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


def _concerns(facts: dict[str, Any], rater: str, invitation: int | None) -> bool:
    if rater:
        return facts.get("rater") == rater or rater in _listed(facts)
    if invitation is not None:
        return facts.get("invitation") == invitation
    return "rater" not in facts and not _listed(facts) and "invitation" not in facts


def _listed(facts: dict[str, Any]) -> list[str]:
    raters = facts.get("raters")
    return raters if isinstance(raters, list) else []


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
        elif listed := _listed(facts):
            facts["raters"] = [DELETED if one == rater else one for one in listed]
        row.facts = json.dumps(facts, sort_keys=True, ensure_ascii=False)
