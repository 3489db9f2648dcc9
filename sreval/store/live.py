"""Who rates at this moment, by counts that the database gives at once however many votes it holds.

No vote is judged and no method named: what a refresh shows is never a look at results.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    case,
    extract,
    func,
    literal_column,
    not_,
    select,
)

from sreval.store.database import Store
from sreval.store.models import Event, PlanItem, Rater, Session, Study, Vote
from sreval.store.studies import by_name

PRESENT = dt.timedelta(minutes=30)
"""Who took a step within this time, and hasn't ended, is listed."""

RECENT = dt.timedelta(minutes=2)
"""The time of which the votes a minute are the mean."""

SILENT = dt.timedelta(minutes=2)
"""After so long without a vote, who is rating is silent."""

LATE = 30
"""Votes that waited in the browser for so many seconds have a connection that fails."""

_LAST_VOTES = 10
"""Of so many last votes of each session it is asked how long they waited."""

_FASTEST = dt.timedelta(seconds=1)
"""Votes that came faster than this for all of RECENT are not all counted: no query may look
through all votes of a study."""

_CHANGED = dt.timedelta(days=1)


@dataclass(frozen=True)
class Present:
    """A rater who is under way and took a step within PRESENT.

    ``waited``: of the last ten votes, by how many seconds the slowest took longer from the answer
    to the database than the quickest; browsers' clocks may be wrong, so that only the difference
    tells. ``missed`` counts the items with a known answer that were rated otherwise.
    """

    rater: str
    stage: str
    done: int
    of: int
    sitting: int
    idle: dt.timedelta
    waited: int
    missed: int
    simulated: bool

    @property
    def silent(self) -> bool:
        """Whether the rater is rating and nothing has come for SILENT."""
        return self.stage == "rating" and self.idle > SILENT

    @property
    def flags(self) -> tuple[str, ...]:
        """What may need a hand, in words."""
        told = {
            "silent": self.silent,
            "votes had to wait": self.waited >= LATE,
            "gold missed": self.missed > 0,
        }
        return tuple(word for word, holds in told.items() if holds)


@dataclass(frozen=True)
class Live:
    """A study as of ``at``. ``outcomes`` counts raters by outcome, ``stages`` those of ``present``;
    ``refused`` stimuli were found changed, and not shown, within the last day."""

    study: str
    at: dt.datetime
    state: str
    target: int
    filled: int
    under_way: int
    votes: int
    recent: int
    outcomes: dict[str, int]
    refused: int
    present: tuple[Present, ...]

    @classmethod
    def of(cls, store: Store, study: str) -> Live:
        """The study as of now. Raises UsageError when there is none of that name."""
        now = store.clock()
        with store.read() as tx:
            row = by_name(tx, study)
            sessions = tx.execute(_sessions(row, now)).all()
            present = [
                Present(
                    rater=one.pseudonym,
                    stage=one.stage,
                    done=one.done,
                    of=one.total,
                    sitting=one.sitting,
                    idle=max(now - one.seen_at, dt.timedelta()),
                    waited=int(one.waited),
                    missed=one.missed,
                    simulated=one.simulated,
                )
                for one in sessions
                if one.outcome is None and now - one.seen_at <= PRESENT
            ]
            return cls(
                study=row.name,
                at=now,
                state=row.state,
                target=row.target,
                filled=sum(one.outcome is not None and one.holds_slot for one in sessions),
                under_way=sum(one.outcome is None for one in sessions),
                votes=sum(one.done for one in sessions),
                recent=sum(one.recent for one in sessions),
                outcomes=dict(Counter(one.outcome for one in sessions if one.outcome)),
                refused=tx.scalar(_refused(row, now)) or 0,
                present=tuple(sorted(present, key=lambda one: (not one.flags, one.idle))),
            )

    @property
    def stages(self) -> dict[str, int]:
        """How many of those who are present are at each stage, most first."""
        return dict(Counter(one.stage for one in self.present).most_common())

    @property
    def votes_a_minute(self) -> float:
        """The mean over RECENT."""
        return self.recent / (RECENT / dt.timedelta(minutes=1))


def _sessions(study: Study, now: dt.datetime) -> Select[*tuple[object, ...]]:
    """The sessions of a study, those that are present with what their votes tell.

    Each count is a query of its own within the row: PostgreSQL would otherwise join, and read all
    votes of the study.
    """
    here = and_(Session.outcome.is_(None), Session.seen_at >= now - PRESENT)
    lately = Session.seen_at >= now - RECENT
    own = (Session.id, Session.stage, Session.outcome, Session.done, Session.total)
    more = (Session.sitting, Session.seen_at, Session.holds_slot)
    query = select(
        *(*own, *more, Rater.pseudonym, Rater.simulated),
        case((here, _waited()), else_=0).label("waited"),
        case((lately, _recent(now)), else_=0).label("recent"),
        case((here, _missed()), else_=0).label("missed"),
    )
    query = query.join(Rater, Rater.id == Session.rater_id)
    return query.where(Session.study_id == study.id)


def _waited() -> ScalarSelect[Any]:
    """The seconds between the slowest and the quickest of a session's last votes."""
    answered = extract("epoch", Vote.shown_at) + Vote.response_ms / 1000
    wait = extract("epoch", Vote.stored_at) - answered
    last = (Vote.session_id == Session.id, Vote.position > Session.done - _LAST_VOTES)
    spread = select(func.coalesce(func.max(wait) - func.min(wait), 0)).where(*last)
    return spread.correlate(Session).scalar_subquery()


def _recent(now: dt.datetime) -> ScalarSelect[Any]:
    """How many votes of a session came within RECENT."""
    last = Vote.position > Session.done - int(RECENT / _FASTEST)
    own = (Vote.session_id == Session.id, last, Vote.stored_at >= now - RECENT)
    return select(func.count()).select_from(Vote).where(*own).correlate(Session).scalar_subquery()


_GOLD: ColumnElement[str] = literal_column("'gold'")
"""As the index of gold items has it; SQLite uses that for no parameter."""


def _missed() -> ScalarSelect[Any]:
    """How many items with a known answer a session has rated otherwise; of pairs the one answer
    is both ends of the range."""
    voted = (Vote.session_id == PlanItem.session_id) & (Vote.position == PlanItem.position)
    query = select(func.count()).select_from(PlanItem).join(Vote, voted)
    query = query.where(
        PlanItem.session_id == Session.id,
        PlanItem.kind == _GOLD,
        not_(Vote.score.between(PlanItem.low, PlanItem.high)),
    )
    return query.correlate(Session).scalar_subquery()


def _refused(study: Study, now: dt.datetime) -> Select[int]:
    query = select(func.count(func.distinct(Event.facts)))
    query = query.join(Session, Session.id == Event.session_id)
    changed = (Event.kind == "stimulus-changed", Event.at >= now - _CHANGED)
    return query.where(Session.study_id == study.id, *changed)
