"""What a monitor asks of a study every few seconds: two counts, however many votes there are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select

from sreval.store.database import Store
from sreval.store.live import PRESENT
from sreval.store.models import Session
from sreval.store.studies import by_name


@dataclass(frozen=True)
class Counts:
    """How many items are rated, and how many sessions are active, idle and ended.

    An active one took a step within `PRESENT`.
    """

    rated: int
    sessions: dict[str, int]

    @classmethod
    def of(cls, store: Store, study: str, seconds: float) -> Counts:
        """The study as of now. Raises UsageError when there is none of that name, StoreError when
        PostgreSQL is silent for so many seconds."""
        active = Session.seen_at >= store.clock() - PRESENT
        state = case((Session.outcome.is_not(None), "ended"), (active, "active"), else_="idle")
        count, rated = func.count(), func.coalesce(func.sum(Session.done), 0)
        query = select(state, count, rated).group_by(state)
        with store.read() as tx, store.limited(tx.connection(), seconds):
            rows = tx.execute(query.where(Session.study_id == by_name(tx, study).id)).all()
        found = {name: number for name, number, _ in rows}
        return cls(
            rated=sum(int(done) for _, _, done in rows),
            sessions={name: found.get(name, 0) for name in ("active", "idle", "ended")},
        )
