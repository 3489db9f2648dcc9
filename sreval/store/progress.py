"""A rater's way through a study: consent to thanks, item after item, sitting after sitting.

Every step is one transaction that locks the session. A step that was already taken changes
nothing, so that a double click, a second tab or a reload is harmless.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.answers import check_answers, screened_out
from sreval.store.database import Store
from sreval.store.errors import StateError, VoteError
from sreval.store.models import Answer, Event, PlanItem, Rater, Session, Study
from sreval.store.studies import design_of
from sreval.study.design import StudyDesign, When

# Built once: every vote asks these, and building a query takes longer than running it.
_SESSION = (
    select(Session, Study, Rater.simulated)
    .join(Study, Study.id == Session.study_id)
    .join(Rater, Rater.id == Session.rater_id)
    .where(Session.id == bindparam("session_id"))
)
_LOCK = select(Session.id).where(Session.id == bindparam("session_id")).with_for_update()
_ITEMS = (
    select(
        PlanItem.position,
        PlanItem.sitting,
        PlanItem.kind,
        PlanItem.stimulus_sha256,
        PlanItem.address,
        PlanItem.intended,
    )
    .where(
        PlanItem.session_id == bindparam("session_id"),
        PlanItem.position.between(bindparam("first"), bindparam("last")),
    )
    .order_by(PlanItem.position)
)

AHEAD = 3
"""How many images beyond the current one may be fetched in advance."""


@dataclass(frozen=True)
class SessionState:
    """Where a session stands. Positions and sittings count from 1.

    ``position`` is the lowest position without a vote, None outside the stage 'rating'.
    ``outcome`` is None, 'complete', 'screened_out', 'failed_check', 'withdrew' or 'expired' (the
    slot was given to somebody else); a session with an outcome takes no more votes.
    """

    session_id: str
    study: str
    stage: str
    position: int | None
    done: int
    of: int
    done_in_sitting: int
    of_in_sitting: int
    sitting: int
    sittings: int
    break_until: dt.datetime | None
    rest_until: dt.datetime | None
    consent_version: str | None
    outcome: str | None
    simulated: bool
    study_state: str


@dataclass(frozen=True)
class PlanItemRow:
    """What is shown at one position. ``intended`` is the score of a calibration item."""

    position: int
    sitting: int
    kind: str
    stimulus_sha256: str
    address: str
    intended: int | None


@dataclass(frozen=True)
class Current:
    """A session's state, and the items that may be shown or fetched in advance, in order."""

    state: SessionState
    items: tuple[PlanItemRow, ...]


@dataclass(frozen=True)
class Found:
    """A session with what decides about it."""

    session: Session
    study: Study
    simulated: bool

    @property
    def design(self) -> StudyDesign:
        """The study's design."""
        return design_of(self.study)

    @property
    def ends(self) -> list[int]:
        """The last position of every sitting."""
        return [int(end) for end in self.session.sitting_ends.split(",")]


def state(store: Store, session_id: str) -> SessionState:
    """Where a session stands. Raises VoteError ('session') when there is none."""
    with store.read() as tx:
        return state_of(find(tx, session_id))


def current(store: Store, session_id: str, ahead: int = AHEAD) -> Current:
    """The state together with the current and the preloaded items, as of one moment."""
    with store.read() as tx:
        return current_of(tx, find(tx, session_id), ahead)


def window(store: Store, session_id: str, ahead: int = AHEAD) -> list[int]:
    """The current position and those that may be fetched in advance; empty unless rating."""
    with store.read() as tx:
        return list(window_of(find(tx, session_id), ahead))


def item(store: Store, session_id: str, position: int) -> PlanItemRow:
    """The item of one position. Raises VoteError ('position') beyond the plan."""
    with store.read() as tx:
        found = items_of(tx, find(tx, session_id).session.id, range(position, position + 1))
    if not found:
        raise VoteError("position", f"The plan has no position {position}.", "Reload the page.")
    return found[0]


def image(store: Store, session_id: str, address: str, ahead: int = AHEAD) -> str | None:
    """The SHA-256 of the stimulus under an address; None unless it may be shown now."""
    shown = current(store, session_id, ahead).items
    return next((row.stimulus_sha256 for row in shown if row.address == address), None)


def agree(store: Store, session_id: str, version: str) -> SessionState:
    """Consent to the text of that version. Raises StateError when the text is another by now."""
    with store.begin() as tx:
        found = step(tx, store, session_id)
        if found.session.stage == "consent":
            if version != found.design.consent.version:
                raise StateError(
                    f"The consent text has version {found.design.consent.version!r}, "
                    f"not {version!r}.",
                    "Reload the page and read it again.",
                )
            found.session.consent_version = version
            note(tx, store, session_id, "consent", version=version)
            advance(found)
        return state_of(found)


def device(store: Store, session_id: str, facts: Mapping[str, Any], fits: bool) -> SessionState:
    """Keep what a device says of itself where that changed; one that fits may go on."""
    with store.begin() as tx:
        found = step(tx, store, session_id)
        line = _canonical({**facts, "fits": fits})
        last = tx.scalar(
            select(Event.facts)
            .where(Event.session_id == session_id, Event.kind == "device")
            .order_by(Event.id.desc())
            .limit(1)
        )
        if line != last:
            tx.add(Event(session_id=session_id, kind="device", facts=line, at=store.clock()))
        if found.session.stage == "device" and fits:
            advance(found)
        return state_of(found)


def answer(store: Store, session_id: str, when: When, answers: Mapping[str, str]) -> SessionState:
    """Store the answers to the questions before or after the rating; some answers end the session.

    Raises AnswerError when a required one is missing, or one doesn't fit its question.
    """
    stage = "questions" if when == "before" else "closing"
    with store.begin() as tx:
        found = step(tx, store, session_id, even_ended=when == "after")
        if found.session.stage == stage:
            given = check_answers(found.design, when, answers)
            now = store.clock()
            tx.add_all(
                Answer(session_id=session_id, when=when, key=key, value=value, at=now)
                for key, value in given.items()
            )
            if when == "before" and screened_out(found.design, given):
                end(tx, store, found, "screened_out")
            else:
                advance(found)
        return state_of(found)


def start(store: Store, session_id: str) -> SessionState:
    """Leave the instructions for the first item."""
    with store.begin() as tx:
        found = step(tx, store, session_id)
        if found.session.stage == "instructions":
            advance(found)
            note(tx, store, session_id, "sitting", number=1)
        return state_of(found)


def resume_after_break(store: Store, session_id: str) -> SessionState:
    """Go on after a break, or with the next sitting. Raises VoteError ('rest') before its end."""
    with store.begin() as tx:
        found = step(tx, store, session_id)
        session = found.session
        if session.stage in ("break", "rest"):
            refuse_rest(session, store.clock())
            if session.stage == "rest":
                session.sitting += 1
                note(tx, store, session_id, "sitting", number=session.sitting)
            else:
                note(tx, store, session_id, "break-ended")
            session.stage, session.pause_until = "rating", None
        return state_of(found)


def step(tx: Transaction, store: Store, session_id: str, *, even_ended: bool = False) -> Found:
    """A session locked for its next step.

    Raises VoteError ('session', 'closed', 'paused', or 'ended') where it can't take one.
    """
    found = find(tx, session_id, lock=True)
    if not (even_ended and found.session.outcome):
        refuse_unless_open(found)
    found.session.seen_at = store.clock()
    return found


_ORDER = ("consent", "device", "questions", "instructions", "rating", "closing", "done")


def advance(found: Found) -> None:
    """To the next stage that has content."""
    session, design = found.session, found.design
    asked = {question.when for question in design.questions}
    stages = list(_ORDER[_ORDER.index(session.stage) + 1 :])
    if "before" not in asked and "questions" in stages:
        stages.remove("questions")
    if "after" not in asked and "closing" in stages:
        stages.remove("closing")
    session.stage = stages[0]


def after_vote(tx: Transaction, store: Store, found: Found) -> None:
    """What follows the vote just stored: the next item, a break, a rest, or the end."""
    session, design, now = found.session, found.design, store.clock()
    ends = found.ends
    in_sitting = session.done - ([0, *ends][session.sitting - 1])
    pause = design.sittings
    if session.done == session.total:
        from sreval.store.frames import judge_session  # pandas: most commands do without

        verdict = judge_session(tx, session, design)
        end(tx, store, found, "complete" if verdict.paid else "failed_check")
        session.holds_slot = verdict.used
        session.stage = "rating"
        advance(found)
    elif session.done == ends[session.sitting - 1]:
        session.stage = "rest"
        session.pause_until = now + dt.timedelta(minutes=pause.rest_minutes)
        note(tx, store, session.id, "rest", minutes=pause.rest_minutes)
    elif pause.break_every and in_sitting % pause.break_every == 0:
        session.stage = "break"
        session.pause_until = now + dt.timedelta(seconds=pause.break_seconds)
        note(tx, store, session.id, "break", seconds=pause.break_seconds)


def end(tx: Transaction, store: Store, found: Found, outcome: str) -> None:
    """End a session; unless it is complete, its slot is free for another rater."""
    session = found.session
    session.stage, session.outcome, session.pause_until = "done", outcome, None
    session.ended_at = store.clock()
    session.holds_slot = session.holds_slot and outcome == "complete"
    note(tx, store, session.id, outcome)


def note(tx: Transaction, store: Store, session_id: str, kind: str, **facts: Any) -> None:
    """Keep that something happened to a session."""
    tx.add(Event(session_id=session_id, kind=kind, facts=_canonical(facts), at=store.clock()))


def _canonical(facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(facts), sort_keys=True)


def find(tx: Transaction, session_id: str, *, lock: bool = False) -> Found:
    """A session, locked where asked. Raises VoteError ('session') when there is none.

    What decides about a locked one is read after it is locked: whoever closes a study waits for
    the locks of its sessions, so that no vote is stored afterwards.
    """
    asked = {"session_id": session_id}
    if lock:
        tx.execute(_LOCK, asked)
    row = tx.execute(_SESSION, asked).first()
    if row is None:
        raise VoteError("session", "There is no such session.", "Open your link again.")
    return Found(*row)


def refuse_unless_open(found: Found) -> None:
    """Raise VoteError unless the session goes on and the study is open."""
    if found.session.outcome is not None:
        raise VoteError("ended", "This session has ended.", "What was stored is safe.")
    if found.study.state == "closed":
        raise VoteError("closed", "The study is closed.", "What was stored is safe.")
    if found.study.state == "paused":
        raise VoteError("paused", "The study is paused.", "Come back later; nothing is lost.")


def refuse_rest(session: Session, now: dt.datetime) -> None:
    """Raise VoteError ('rest') while a break or rest isn't over."""
    if session.pause_until is not None and now < session.pause_until:
        raise VoteError(
            "rest",
            f"The {session.stage} lasts until {session.pause_until:%Y-%m-%d %H:%M:%S} UTC.",
            "Go on afterwards.",
        )


def state_of(found: Found) -> SessionState:
    """The state of a session that was read."""
    session = found.session
    ends = [0, *found.ends]
    before, last = ends[session.sitting - 1], ends[session.sitting]
    stage, until = session.stage, session.pause_until
    return SessionState(
        session_id=session.id,
        study=found.study.name,
        stage=stage,
        position=session.done + 1 if stage == "rating" else None,
        done=session.done,
        of=session.total,
        done_in_sitting=session.done - before,
        of_in_sitting=last - before,
        sitting=session.sitting,
        sittings=len(ends) - 1,
        break_until=until if stage == "break" else None,
        rest_until=until if stage == "rest" else None,
        consent_version=session.consent_version,
        outcome=session.outcome,
        simulated=found.simulated,
        study_state=found.study.state,
    )


def current_of(tx: Transaction, found: Found, ahead: int = AHEAD) -> Current:
    """`current` of a session that was read."""
    positions = window_of(found, ahead)
    return Current(state_of(found), tuple(items_of(tx, found.session.id, positions)))


def window_of(found: Found, ahead: int) -> range:
    """The positions that may be shown or fetched now.

    Up to the next break at most: what comes after it isn't needed yet.
    """
    session = found.session
    if session.stage != "rating" or found.study.state != "open":
        return range(0)
    ends = [0, *found.ends]
    before, last = ends[session.sitting - 1], ends[session.sitting]
    every = found.design.sittings.break_every
    if every:
        last = min(last, before + ((session.done - before) // every + 1) * every)
    return range(session.done + 1, min(session.done + 1 + ahead, last) + 1)


def items_of(tx: Transaction, session_id: str, positions: range) -> list[PlanItemRow]:
    """The items of some positions, in order."""
    if not positions:
        return []
    wanted = {"session_id": session_id, "first": positions[0], "last": positions[-1]}
    rows = tx.execute(_ITEMS, wanted)
    return [PlanItemRow(*row) for row in rows]
