"""Who rates at this moment, by counts that the database gives at once however many votes it holds.

No vote is judged and no method named: what a refresh shows is never a look at results.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, case, extract, func, literal_column, select
from sqlalchemy.orm import Session as Transaction

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
    tells. ``gold`` counts the items with a known answer that were rated, ``missed`` those rated
    outside it.
    """

    rater: str
    stage: str
    done: int
    of: int
    sitting: int
    idle: dt.timedelta
    waited: int
    gold: int
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
            sessions = tx.execute(_sessions(row)).all()
            waited, gold = _waited(tx, row, now), _gold(tx, row, now)
            present = [
                Present(
                    rater=one.pseudonym,
                    stage=one.stage,
                    done=one.done,
                    of=one.total,
                    sitting=one.sitting,
                    idle=max(now - one.seen_at, dt.timedelta()),
                    waited=waited.get(one.id, 0),
                    gold=gold.get(one.id, (0, 0))[0],
                    missed=gold.get(one.id, (0, 0))[1],
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
                recent=tx.scalar(_recent(row, now)) or 0,
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


def _sessions(study: Study) -> Select[*tuple[object, ...]]:
    own = (Session.id, Session.stage, Session.outcome, Session.done, Session.total)
    more = (Session.sitting, Session.seen_at, Session.holds_slot)
    query = select(*own, *more, Rater.pseudonym, Rater.simulated)
    query = query.join(Rater, Rater.id == Session.rater_id)
    return query.where(Session.study_id == study.id)


def _of_present(study: Study, now: dt.datetime) -> tuple[ColumnElement[bool], ...]:
    """Which sessions are those of the present raters."""
    under_way = Session.outcome.is_(None)
    return (Session.study_id == study.id, under_way, Session.seen_at >= now - PRESENT)


def _recent(study: Study, now: dt.datetime) -> Select[int]:
    """How many votes came within RECENT; only sessions that took a step since then can have any."""
    return (
        select(func.count())
        .select_from(Session)
        .join(Vote, Vote.session_id == Session.id)
        .where(
            Session.study_id == study.id,
            Session.seen_at >= now - RECENT,
            Vote.position > Session.done - int(RECENT / _FASTEST),
            Vote.stored_at >= now - RECENT,
        )
    )


def _refused(study: Study, now: dt.datetime) -> Select[int]:
    facts = select(func.count(func.distinct(Event.facts))).join(
        Session, Session.id == Event.session_id
    )
    changed = (Event.kind == "stimulus-changed", Event.at >= now - _CHANGED)
    return facts.where(Session.study_id == study.id, *changed)


def _waited(tx: Transaction, study: Study, now: dt.datetime) -> dict[str, int]:
    """By session, the seconds between the slowest and the quickest of its last votes."""
    answered = extract("epoch", Vote.shown_at) + Vote.response_ms / 1000
    wait = extract("epoch", Vote.stored_at) - answered
    query = (
        select(Vote.session_id, func.max(wait) - func.min(wait))
        .join(Session, Session.id == Vote.session_id)
        .where(*_of_present(study, now), Vote.position > Session.done - _LAST_VOTES)
        .group_by(Vote.session_id)
    )
    return {session: int(spread) for session, spread in tx.execute(query)}


_GOLD: ColumnElement[str] = literal_column("'gold'")
"""As the index of gold items has it; SQLite uses that for no parameter."""


def _gold(tx: Transaction, study: Study, now: dt.datetime) -> dict[str, tuple[int, int]]:
    """By session, how many items with a known answer were rated, and how many of them outside it.

    Of pairs the one answer is both ends of the range.
    """
    wrong = case((Vote.score.between(PlanItem.low, PlanItem.high), 0), else_=1)
    voted = (Vote.session_id == PlanItem.session_id) & (Vote.position == PlanItem.position)
    query = (
        select(Session.id, func.count(), func.sum(wrong))
        .join(PlanItem, PlanItem.session_id == Session.id)
        .join(Vote, voted)
        .where(*_of_present(study, now), PlanItem.kind == _GOLD)
        .group_by(Session.id)
    )
    return {session: (asked, int(missed)) for session, asked, missed in tx.execute(query)}
