"""A study at a glance: how far each rater is, and how often each stimulus was rated."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import counted
from sreval.store.database import Store
from sreval.store.invitations import InvitationRow, links_of
from sreval.store.models import Event, PlanItem, Rater, Session, Study, Tombstone, Vote
from sreval.store.studies import by_name, unknown_rater


@dataclass(frozen=True)
class RaterRow:
    """One rater's progress. ``group`` is "" in a study without groups.

    ``holds_slot``: no other rater takes the place; ``given_on``: another one has it. ``finished``:
    every item is rated. ``used``: whether the votes count, None while nothing is decided.
    """

    rater: str
    group: str
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
    finished: bool
    used: bool | None
    given_on: bool


@dataclass(frozen=True)
class Exposure:
    """How often the stimuli of one cell have been rated by those who hold a slot.

    Of pairs a cell is of ``method`` and ``against``, whichever side they stood on, and ``stimuli``
    counts images.
    """

    dataset: str
    method: str
    stimuli: int
    votes: int
    fewest: int
    most: int
    against: str | None = None


@dataclass(frozen=True)
class Overview:
    """A study as of one moment: what its status, the operators' pages and its card all show.

    ``target`` is the number of places. A place is ``filled`` by a rater who ended and whose votes
    count; if they don't, the next rater takes it. ``finished`` raters came to the end, and of
    these ``not_used`` have votes that don't count, by the rules or by decision. ``votes`` counts
    every item that was rated, examples and practice with it.
    ``changed`` counts, by SHA-256, the times that a stimulus was found changed and not served.
    ``links`` are all links, oldest first. Of an active plan the counts of its pairs tell results:
    ``exposures_hidden`` says that there are none until the study is closed.
    """

    study: str
    state: str
    target: int
    filled: int
    finished: int
    not_used: int
    deleted: int
    votes: int
    raters: tuple[RaterRow, ...]
    exposures: tuple[Exposure, ...]
    changed: dict[str, int]
    links: tuple[InvitationRow, ...]
    exposures_hidden: bool = False

    @classmethod
    def of(cls, store: Store, study: str) -> Overview:
        """The study as of one moment. Raises UsageError when there is none of that name."""
        with store.read() as tx:
            row = by_name(tx, study)
            raters = _raters(tx, row)
            hidden = row.state != "closed" and _counts_tell(row)
            buried = select(func.count()).select_from(Tombstone).where(Tombstone.study_id == row.id)
            return cls(
                study=row.name,
                state=row.state,
                target=row.target,
                filled=sum(r.outcome is not None and r.holds_slot for r in raters),
                finished=sum(r.finished for r in raters),
                not_used=sum(r.finished and not r.used for r in raters),
                deleted=tx.scalar(buried) or 0,
                votes=sum(rater.done for rater in raters),
                raters=raters,
                exposures=() if hidden else _exposures(tx, row),
                changed=_changed(tx, row),
                links=links_of(tx, row),
                exposures_hidden=hidden,
            )

    def rater(self, pseudonym: str) -> RaterRow:
        """One rater. Raises UsageError when the study has none of that name."""
        for row in self.raters:
            if row.rater == pseudonym:
                return row
        raise unknown_rater(self.study, pseudonym)

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
        """The places that are filled and the raters who came to the end, in words."""
        end = f"{counted(self.finished, 'rater')} came to the end"
        unused = f", {self.not_used} of them not used" if self.not_used else ""
        return f"{self.filled} of {self.target} places filled; {end}{unused}"


def _counts_tell(study: Study) -> bool:
    """Whether the counts of pairs tell results that the design hides while the study is open."""
    design = json.loads(study.design_json)  # not parsed as a design: that needs pydantic
    active = design.get("pairs", {}).get("plan") == "active"
    return active and not design["analysis"]["look_before_close"]


def _changed(tx: Transaction, study: Study) -> dict[str, int]:
    query = (
        select(Event.facts)
        .join(Session, Session.id == Event.session_id)
        .where(Session.study_id == study.id, Event.kind == "stimulus-changed")
    )
    return dict(Counter(json.loads(facts)["sha256"] for facts in tx.scalars(query)))


def _raters(tx: Transaction, study: Study) -> tuple[RaterRow, ...]:
    query = (
        select(Rater, Session)
        .join(Session, Session.rater_id == Rater.id)
        .where(Rater.study_id == study.id)
        .order_by(Rater.number)
    )
    found = tx.execute(query).all()
    held = {(session.group, session.slot) for _, session in found if session.holds_slot}
    return tuple(
        RaterRow(
            rater=rater.pseudonym,
            group=session.group,
            slot=session.slot,
            holds_slot=session.holds_slot,
            stage=session.stage,
            outcome=session.outcome,
            done=session.done,
            of=session.total,
            sitting=session.sitting,
            seen_at=session.seen_at,
            decided=session.accepted,
            decided_reason=session.accepted_reason,
            simulated=rater.simulated,
            finished=session.finished,
            used=_used(tx, session, study),
            given_on=not session.holds_slot and (session.group, session.slot) in held,
        )
        for rater, session in found
    )


def _used(tx: Transaction, session: Session, study: Study) -> bool | None:
    """Whether the votes count: by decision, else by the rules once the rater has finished."""
    if session.accepted is not None:
        return session.accepted
    if not session.finished:
        return None
    if session.holds_slot:
        return True
    from sreval.store.frames import judge_session  # pandas: most studies do without

    return judge_session(tx, session, study.design).used


def _exposures(tx: Transaction, study: Study) -> tuple[Exposure, ...]:
    """Only what stands in somebody's plan is known here."""
    left, right = PlanItem.method, PlanItem.right_method
    first = case((right < left, right), else_=left).label("first")
    second = case((right < left, left), else_=right).label("second")
    voted = and_(Vote.session_id == PlanItem.session_id, Vote.position == PlanItem.position)
    counts = (
        select(PlanItem.dataset, first, second, func.count(Vote.position).label("votes"))
        .select_from(PlanItem)
        .join(Session, Session.id == PlanItem.session_id)
        .outerjoin(Vote, voted)
        .where(Session.study_id == study.id, Session.holds_slot, PlanItem.kind == "vote")
        .group_by(PlanItem.dataset, PlanItem.image, first, second)
        .subquery()
    )
    cell, votes = (counts.c.dataset, counts.c.first, counts.c.second), counts.c.votes
    query = (
        select(*cell, func.count(), func.sum(votes), func.min(votes), func.max(votes))
        .group_by(*cell)
        .order_by(*cell)
    )
    return tuple(
        Exposure(dataset, method, stimuli, int(total), fewest, most, against)
        for dataset, method, against, stimuli, total, fewest, most in tx.execute(query)
    )
