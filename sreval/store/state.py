"""Where a session stands, read within the caller's transaction."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.errors import VoteError
from sreval.store.models import PlanItem, Rater, Session, Study
from sreval.store.studies import design_of
from sreval.study.design import StudyDesign

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
