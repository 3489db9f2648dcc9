"""A study at a glance: how far each rater is, and how often each stimulus was rated."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.database import Store
from sreval.store.invitations import InvitationRow, links_of
from sreval.store.models import Event, PlanItem, Rater, Session, Study, Tombstone, Vote
from sreval.store.studies import by_name


@dataclass(frozen=True)
class RaterRow:
    """One rater's progress. ``holds_slot``: no other rater takes the place."""

    rater: str
    slot: int
    holds_slot: bool
    stage: str
    outcome: str | None
    done: int
    of: int
    sitting: int
    seen_at: dt.datetime
    decided: bool | None
    decided_reason: str
    simulated: bool


@dataclass(frozen=True)
class Exposure:
    """How often the stimuli of one cell have been rated by those who hold a slot."""

    dataset: str
    method: str
    stimuli: int
    votes: int
    fewest: int
    most: int


@dataclass(frozen=True)
class Overview:
    """A study as of one moment: what its status, the operators' pages and its card all show.

    ``target`` raters are aimed at, ``complete`` have come to the end and hold their slot.
    ``changed`` counts, by SHA-256, the times that a stimulus was found changed and not served.
    ``links`` are all links, oldest first.
    """

    study: str
    state: str
    target: int
    complete: int
    deleted: int
    votes: int
    raters: tuple[RaterRow, ...]
    exposures: tuple[Exposure, ...]
    changed: dict[str, int]
    links: tuple[InvitationRow, ...]

    @classmethod
    def of(cls, store: Store, study: str) -> Overview:
        """The study as of one moment. Raises UsageError when there is none of that name."""
        with store.read() as tx:
            row = by_name(tx, study)
            raters = _raters(tx, row)
            buried = select(func.count()).select_from(Tombstone).where(Tombstone.study_id == row.id)
            return cls(
                study=row.name,
                state=row.state,
                target=row.target,
                complete=sum(r.outcome == "complete" and r.holds_slot for r in raters),
                deleted=tx.scalar(buried) or 0,
                votes=sum(rater.done for rater in raters),
                raters=raters,
                exposures=_exposures(tx, row),
                changed=_changed(tx, row),
                links=links_of(tx, row),
            )

    @property
    def under_way(self) -> int:
        """Raters who have not ended."""
        return sum(rater.outcome is None for rater in self.raters)

    @property
    def simulated(self) -> bool:
        """Whether any rater is simulated."""
        return any(rater.simulated for rater in self.raters)

    @property
    def unused(self) -> tuple[InvitationRow, ...]:
        """The personal links by which nobody has begun, oldest first."""
        return tuple(link for link in self.links if link.kind == "personal" and not link.rater)

    @property
    def progress(self) -> str:
        """How many raters are complete, in words; a study may get more than it aims at."""
        if self.complete > self.target:
            return f"{self.complete} raters complete, {self.target} planned"
        return f"{self.complete} of {self.target} raters complete"


def _changed(tx: Transaction, study: Study) -> dict[str, int]:
    query = (
        select(Event.facts)
        .join(Session, Session.id == Event.session_id)
        .where(Session.study_id == study.id, Event.kind == "stimulus-changed")
    )
    return dict(Counter(json.loads(facts)["sha256"] for facts in tx.scalars(query)))


def _raters(tx: Transaction, study: Study) -> tuple[RaterRow, ...]:
    query = (
        select(
            Rater.pseudonym,
            Session.slot,
            Session.holds_slot,
            Session.stage,
            Session.outcome,
            Session.done,
            Session.total,
            Session.sitting,
            Session.seen_at,
            Session.accepted,
            Session.accepted_reason,
            Rater.simulated,
        )
        .join(Session, Session.rater_id == Rater.id)
        .where(Rater.study_id == study.id)
        .order_by(Rater.number)
    )
    return tuple(RaterRow(*tuple(row)) for row in tx.execute(query))


def _exposures(tx: Transaction, study: Study) -> tuple[Exposure, ...]:
    """Only stimuli that stand in somebody's plan are known here."""
    stimulus = (PlanItem.dataset, PlanItem.method, PlanItem.image)
    voted = and_(Vote.session_id == PlanItem.session_id, Vote.position == PlanItem.position)
    counts = (
        select(*stimulus, func.count(Vote.position).label("votes"))
        .select_from(PlanItem)
        .join(Session, Session.id == PlanItem.session_id)
        .outerjoin(Vote, voted)
        .where(Session.study_id == study.id, Session.holds_slot, PlanItem.kind == "vote")
        .group_by(*stimulus)
        .subquery()
    )
    query = (
        select(
            counts.c.dataset,
            counts.c.method,
            func.count(),
            func.sum(counts.c.votes),
            func.min(counts.c.votes),
            func.max(counts.c.votes),
        )
        .group_by(counts.c.dataset, counts.c.method)
        .order_by(counts.c.dataset, counts.c.method)
    )
    return tuple(
        Exposure(dataset, method, stimuli, int(votes), fewest, most)
        for dataset, method, stimuli, votes, fewest, most in tx.execute(query)
    )
