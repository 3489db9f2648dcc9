"""A rater's way through a study: consent to thanks, item after item, sitting after sitting.

Every step is one transaction that locks the session. A step that was already taken changes
nothing, so that a double click, a second tab or a reload is harmless.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from sreval.store.answers import check_answers, screened_out
from sreval.store.database import Store
from sreval.store.errors import StateError, VoteError
from sreval.store.models import Answer, Event, Rater
from sreval.store.privacy import bury
from sreval.store.state import (
    AHEAD,
    Current,
    Found,
    PlanItemRow,
    SessionState,
    current_of,
    find,
    items_of,
    refuse_rest,
    refuse_unless_open,
    state_of,
    window_of,
)
from sreval.study.design import When

__all__ = ["AHEAD", "Current", "PlanItemRow", "SessionState"]


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


def withdraw(store: Store, session_id: str, delete: bool = False) -> SessionState:
    """End a session by the rater's own wish, at any stage and however the study stands.

    ``delete`` removes all that was stored of the rater and keeps a count. The last state is
    returned either way; afterwards a deleted session is unknown.
    """
    with store.begin() as tx:
        found = find(tx, session_id, lock=True)
        if found.session.outcome is None:
            end(tx, store, found, "withdrew")
        last = state_of(found)
        if delete:
            rater = tx.get_one(Rater, found.session.rater_id)
            bury(tx, found.study, rater, store.clock())
        return last


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
        from sreval.store.verdicts import judge_session  # pandas: most commands do without

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
