"""A rater's session: from consent to thanks, vote after vote, sitting after sitting.

Every step is one transaction that locks the session. A step that was already taken changes
nothing, so that a double click, a second tab or a reload is harmless.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Column, Connection, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session as Transaction

from sreval.store.answers import (
    appeared,
    check_answers,
    check_looks,
    check_vote,
    comment_on,
    score_on,
    screened_out,
)
from sreval.store.database import Store
from sreval.store.errors import CheckError, StateError, VoteError
from sreval.store.models import (
    Answer,
    Event,
    PlanItem,
    Rater,
    Session,
    Study,
    ViewingCheck,
    Vote,
    designs,
)
from sreval.store.participants import placeholder_values
from sreval.store.prepared import Prepared
from sreval.study import viewing
from sreval.study.design import StudyDesign
from sreval.study.questions import Answers, When
from sreval.study.task import Place
from sreval.study.viewing import Check

_AHEAD = 3
"""How many images beyond the current one may be fetched in advance."""

# Built once: building a query takes longer than running it.
_SESSION = (
    select(Session, Study, Rater.simulated)
    .join(Study, Study.id == Session.study_id)
    .join(Rater, Rater.id == Session.rater_id)
    .where(Session.id == bindparam("session_id"))
)

# Without the mapped classes: votes and their images are what has to be fast here.
_PLAN = PlanItem.metadata.tables["plan_item"]
_PICTURES: Mapping[Place, tuple[Column[Any], ...]] = {
    "left": (_PLAN.c.stimulus_sha256, _PLAN.c.address, _PLAN.c.sent_at),
    "right": (_PLAN.c.right_sha256, _PLAN.c.right_address, _PLAN.c.right_sent_at),
    "reference": (_PLAN.c.reference_sha256, _PLAN.c.reference_address, _PLAN.c.reference_sent_at),
}
_LOCK = Prepared(select(Session.id).where(Session.id == bindparam("session_id")).with_for_update())
_ITEM = (
    _PLAN.c.position,
    _PLAN.c.sitting,
    _PLAN.c.kind,
    _PLAN.c.intended,
    _PLAN.c.low,
    *(column for columns in _PICTURES.values() for column in columns),
)
_ITEMS = Prepared(
    select(*_ITEM)
    .where(
        _PLAN.c.session_id == bindparam("session_id"),
        _PLAN.c.position.between(bindparam("first"), bindparam("last")),
    )
    .order_by(_PLAN.c.position)
)
_SESSIONS, _STUDIES = Session.metadata.tables["session"], Study.metadata.tables["study"]
_RATERS = Rater.metadata.tables["rater"]


@dataclass
class _Row:
    """A session's columns as they are read for a vote or a page, in their order."""

    id: str
    group: str
    stage: str
    done: int
    total: int
    sitting: int
    sitting_ends: str
    pause_until: dt.datetime | None
    consent_version: str | None
    language: str | None
    outcome: str | None


@dataclass(frozen=True)
class _StudyRow:
    """A study's name and state, and its design."""

    name: str
    state: str
    design: StudyDesign


_FACTS = Prepared(
    select(
        _STUDIES.c.id,
        _STUDIES.c.name,
        _STUDIES.c.state,
        _STUDIES.c.design_sha256,
        _RATERS.c.simulated,
        *(_SESSIONS.c[column.name] for column in fields(_Row)),
    )
    .join_from(_SESSIONS, _STUDIES, _STUDIES.c.id == _SESSIONS.c.study_id)
    .join(_RATERS, _RATERS.c.id == _SESSIONS.c.rater_id)
    .where(_SESSIONS.c.id == bindparam("session_id"))
)
_SHOWN_AT = Prepared(
    select(
        _STUDIES.c.id,
        _SESSIONS.c.stage,
        _SESSIONS.c.done,
        _SESSIONS.c.sitting,
        _SESSIONS.c.sitting_ends,
        _STUDIES.c.state,
        _STUDIES.c.design_sha256,
        *_ITEM,
    )
    .join_from(_SESSIONS, _STUDIES, _STUDIES.c.id == _SESSIONS.c.study_id)
    .join(_PLAN, _PLAN.c.session_id == _SESSIONS.c.id)
    .where(
        _SESSIONS.c.id == bindparam("session_id"),
        _PLAN.c.position.between(_SESSIONS.c.done + 1, _SESSIONS.c.done + 1 + _AHEAD),
        or_(*(address == bindparam("address") for _, address, _ in _PICTURES.values())),
    )
)
_VOTED = Prepared(
    update(_SESSIONS)
    .where(_SESSIONS.c.id == bindparam("session"))
    .values(done=bindparam("position"), seen_at=bindparam("now"))
)
_VOTES = Vote.metadata.tables["vote"]
_INSERT = Prepared(insert(_VOTES), _VOTES.c.keys())
_STANDING = Prepared(
    select(_VOTES.c.position, _VOTES.c.score, _VOTES.c.stored_at)
    .where(
        _VOTES.c.session_id == bindparam("session_id"),
        or_(_VOTES.c.key == bindparam("key"), _VOTES.c.position == bindparam("position")),
    )
    .order_by(_VOTES.c.key != bindparam("key"))
    .limit(1)
)
_SENT = {
    place: Prepared(
        update(_PLAN)
        .where(
            _PLAN.c.session_id == bindparam("session"),
            _PLAN.c.position == bindparam("at"),
            _PLAN.c[sent.key].is_(None),
        )
        .values({sent.key: bindparam("now")})
    )
    for place, (_, _, sent) in _PICTURES.items()
}

_STAGES = (
    "consent", "device", "checks", "questions", "instructions", "rating", "closing", "done"
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One picture of an item: its place, its stimulus, and when it was first sent, if it was."""

    position: int
    place: Place
    sha256: str
    address: str
    sent_at: dt.datetime | None


@dataclass(frozen=True)
class PlanItemRow:
    """What is shown at one position, without a word on image and method.

    ``intended`` is the score of a calibration item where it is told before the vote; ``meant`` is
    that score, or the right answer, where it is told after it. ``pictures`` are one to three.
    """

    position: int
    sitting: int
    kind: str
    intended: int | None
    meant: int | None
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, row: Iterable[Any], design: StudyDesign) -> PlanItemRow:
        """An item of the columns _ITEM."""
        position, sitting, kind, intended, low, *cells = row
        meant = low if kind == "warm-up" else None
        if design.calibration and design.calibration.feedback:
            intended, meant = None, intended if kind == "calibration" else meant
        own = zip(_PICTURES, (cells[0:3], cells[3:6], cells[6:9]), strict=True)
        return cls(
            position, sitting, kind, intended, meant,
            tuple(Picture(position, place, *of) for place, of in own if of[0] is not None),
        )  # fmt: skip


@dataclass(frozen=True)
class SessionState:
    """Where a session stands. Positions and sittings count from 1; ``group`` is "" without groups.

    ``position`` is the lowest position without a vote, None outside the stage 'rating'.
    ``language`` is that of the texts which the rater reads, None before the consent.
    ``break_until`` and ``rest_until`` are never further away than a break or rest is long.
    ``outcome`` is None, 'complete', 'screened_out', 'quota_full', 'failed_check', 'ended_early' (by
    a rule, and paid), 'withdrew' or 'expired' (the slot was given to somebody else); a session with
    an outcome takes no more votes. ``items`` are those that may be shown or fetched in advance, the
    current one first. ``checks`` are the facts of the viewing checks made so far, and ``check`` is
    the next, at the stage 'checks' alone; ``plates`` says where the gap of each plate's ring is.
    """

    session_id: str
    study: str
    group: str
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
    language: str | None
    outcome: str | None
    simulated: bool
    study_state: str
    items: tuple[PlanItemRow, ...]
    check: Check | None = None
    checks: Mapping[Check, Mapping[str, Any]] = field(default_factory=dict)
    plates: str = field(default="", repr=False)


@dataclass(frozen=True)
class Receipt:
    """A stored vote. ``repeated`` when it had been stored before, perhaps with another score.

    ``meant`` is what the rater is told of it, as in `PlanItemRow`. ``state`` is
    the session right after it, read in the same transaction.
    """

    position: int
    score: float
    stored_at: dt.datetime
    repeated: bool
    state: SessionState
    meant: int | None = None


class RaterSession:
    """The session of one rater, by its id; every method is one transaction.

    Every method raises VoteError ('session') when there is none. Those that take a step also
    raise it for a closed or paused study and an ended session ('closed', 'paused', 'ended').
    """

    def __init__(self, store: Store, session_id: str) -> None:
        self.store, self.id = store, session_id

    def state(self) -> SessionState:
        """Where the session stands, with the items that may be shown."""
        with self.store.read() as tx:
            return seen(self.store, tx.connection(), self.id).state()

    def image(self, address: str) -> Picture | None:
        """The picture under an address; None unless it may be shown now."""
        asked = {"session_id": self.id, "address": address}
        with self.store.look() as connection:
            row = _SHOWN_AT.first(connection, asked)
            if row is None:
                seen(self.store, connection, self.id)
                return None
            study_id, stage, done, sitting, ends, study_state, sha256, *cells = row
            design = _design(connection, study_id, sha256)
        item = PlanItemRow.of(cells, design)
        if item.position not in _shown(stage, study_state, done, sitting, ends, design):
            return None
        return next(picture for picture in item.pictures if picture.address == address)

    def sent(self, picture: Picture) -> None:
        """Keep that ``picture`` is sent now, if it is the first time.

        Only what was sent can be rated. Nothing else of the session is read or locked. Where the
        machine fails before the next vote is stored it is forgotten, and the page loads it again.
        """
        if picture.sent_at is None:
            with self.store.mark() as connection:
                where = {"session": self.id, "at": picture.position}
                _SENT[picture.place].run(connection, {**where, "now": self.store.clock()})

    def vote(
        self,
        position: int,
        score: float,
        *,
        key: str,
        response_ms: float,
        shown_at: dt.datetime,
        device: str,
        hidden_ms: float | None = None,
        unfocused_ms: float | None = None,
        image: str | None = None,
        switches: int | None = None,
        left_ms: float | None = None,
        right_ms: float | None = None,
        reference_ms: float | None = None,
        comment: str = "",
    ) -> Receipt:
        """Store a vote on the current position; when this returns, the vote is durable.

        The same key again, or another one on a position that has a vote, stores nothing and gives
        the receipt of the vote that stands, however the session or the study has gone on since.
        ``response_ms`` is in milliseconds since the image appeared; of these the tab was hidden
        for ``hidden_ms``, and the window without the focus for ``unfocused_ms``. ``shown_at`` is
        kept by our clock where the browser's is a day or more off. ``image`` is the address that
        was rated, of a pair the left one's; None stands for the position's own. Of pictures that
        are toggled, ``switches`` counts their exchanges and the other times say for how long each
        was in view. ``comment`` is what the rater wrote of the item. Raises VoteError for a score
        that isn't one of the design's ('scale'), what no vote can be ('malformed'), another
        position ('position'), a picture that was never sent or in view ('unseen'), a break
        ('rest'), less than the design's least viewing time ('too-early').
        """
        asked = {"session_id": self.id, "position": position, "key": key}
        vote = {
            **asked,
            "score": score,
            "response_ms": response_ms,
            "shown_at": shown_at,
            "device": device,
            "hidden_ms": hidden_ms,
            "unfocused_ms": unfocused_ms,
            "switches": switches,
            "left_ms": left_ms,
            "right_ms": right_ms,
            "reference_ms": reference_ms,
        }
        check_vote(vote)
        with self.store.write() as connection:
            found = seen(self.store, connection, self.id, lock=True)
            vote["score"] = score = score_on(found.study.design.answers, score)
            stands = _STANDING.first(connection, asked)
            if stands is not None:
                meant = found.meant(stands[0])
                at, score, stored_at = stands
                return Receipt(at, score, stored_at, True, found.state(), meant)
            kind = found.refuse_vote(position, response_ms, image).kind
            check_looks(found.study.design.task, vote)
            stored_at = self.store.clock()
            vote |= {
                "comment": comment_on(kind, comment, found.study.design.comment),
                "shown_at": appeared(shown_at, response_ms, stored_at),
                "stored_at": stored_at,
            }
            _INSERT.run(connection, vote)
            found.count(position, stored_at)
            meant = found.meant(position)
            state = found.state() if found.goes_on else self._pause_or_end(connection)
            return Receipt(position, score, stored_at, False, state, meant)

    def _pause_or_end(self, connection: Connection) -> SessionState:
        with Transaction(connection, expire_on_commit=False) as tx:
            found = opened(self.store, tx, self.id)
            found.pause_or_end()
            tx.commit()  # to the connection's own transaction
            return found.state()

    def agree(self, version: str, language: str | None = None) -> SessionState:
        """Consent to the text of that version, read in ``language`` (by default the design's own).

        Raises StateError when the text is another now, or the study doesn't have that language.
        """
        with self.store.begin() as tx:
            found = self._step(tx)
            if found.row.stage == "consent":
                stands = found.study.design.consent.version
                if version != stands:
                    raise StateError(
                        f"The consent text has version {stands!r}, not {version!r}.",
                        "Reload the page and read it again.",
                    )
                found.row.language = found.language_of(language or found.study.design.language)
                found.row.consent_version = version
                found.note("consent", version=version)
                found.advance()
            return found.state()

    def read_in(self, language: str) -> SessionState:
        """Go on in another language of the study, as long as the session has no vote.

        Afterwards the language stands: the words of the scale must not change between two votes.
        Raises StateError for a language that the study doesn't have.
        """
        with self.store.begin() as tx:
            found = self._step(tx)
            before = found.row.language
            if before not in (None, found.language_of(language)) and not found.row.done:
                found.row.language = language
                found.note("language", before=before, now=language)
            return found.state()

    def device(self, facts: Mapping[str, Any], fits: bool) -> SessionState:
        """Keep what a device says of itself where that changed; one that fits may go on."""
        with self.store.begin() as tx:
            found = self._step(tx)
            last = tx.scalar(
                select(Event.facts)
                .where(Event.session_id == self.id, Event.kind == "device")
                .order_by(Event.id.desc())
                .limit(1)
            )
            told = {**facts, "fits": fits}
            if _canonical(told) != last:
                found.note("device", **told)
            if found.row.stage == "device" and fits:
                found.advance()
            return found.state()

    def placeholder_values(self) -> dict[str, str]:
        """What stands for the placeholders on the last page; empty where nothing does."""
        return placeholder_values(self.store, self.id)

    def answers(self) -> dict[str, str]:
        """What was answered so far, by the names of ``Question.fields``."""
        with self.store.read() as tx:
            return opened(self.store, tx, self.id).answers()

    def answer(self, when: When, answers: Answers) -> SessionState:
        """Store the answers to the questions before or after the rating; some end the session, or
        do once as many raters as their quota hold a place.

        By the names of ``Question.fields``; those to questions that aren't asked of who gave the
        others are left out. Raises AnswerError when a required one is missing, or one doesn't fit
        its question.
        """
        stage = "questions" if when == "before" else "closing"
        with self.store.begin() as tx:
            self._queue(tx)
            found = self._step(tx, even_ended=when == "after")
            if found.row.stage == stage:
                design, now = found.study.design, self.store.clock()
                given = check_answers(design, when, answers, found.answers())
                tx.add_all(
                    Answer(session_id=self.id, when=when, key=key, value=value, at=now)
                    for key, value in given.items()
                )
                if when == "before" and screened_out(design, given):
                    found.end("screened_out")
                elif when == "before" and found.quota_is_full(given):
                    found.end("quota_full")
                else:
                    found.advance()
            return found.state()

    def check(self, kind: Check, observed: str | None) -> SessionState:
        """Keep what a viewing check's page observed, as JSON, and what follows; None: left out.

        A check that was made or left out before stays as it was. With one that is left out go
        those that can't be computed without. Some results end the session. Raises CheckError for
        a result that can't be true.
        """
        with self.store.begin() as tx:
            found = self._step(tx)
            if found.next_check() != kind:
                return found.state()
            asked, now = found.study.design.viewing.checks, self.store.clock()
            facts: Mapping[str, Any] = {"skipped": True}
            if observed is not None:
                try:
                    right = viewing.plate_gaps(found.plates)
                    facts = viewing.measured(kind, observed, found.checks(), right)
                except ValueError as error:
                    raise CheckError(
                        f"The check {kind!r} can't be used: {error}.", "Make it again."
                    ) from None
            tx.add_all(
                ViewingCheck(session_id=self.id, kind=one, facts=_canonical(facts), at=now)
                for one in (asked.without(kind) if observed is None else (kind,))
            )
            tx.flush()
            if asked.screens_out(kind, facts):
                found.end("screened_out")
            elif found.next_check() is None:
                found.advance()
            return found.state()

    def start(self) -> SessionState:
        """Leave the instructions for the first item."""
        with self.store.begin() as tx:
            found = self._step(tx)
            if found.row.stage == "instructions":
                found.advance()
                found.note("sitting", number=1)
            return found.state()

    def resume(self) -> SessionState:
        """Go on after a break, or with the next sitting. Raises VoteError ('rest') before.

        Where the clock was set back since the break began, the break begins anew instead: it
        lasts twice its length at most.
        """
        with self.store.begin() as tx:
            found = self._step(tx)
            session = found.row
            if session.stage in ("break", "rest"):
                latest = self.store.clock() + found.pause
                if session.pause_until is not None and session.pause_until > latest:
                    session.pause_until = latest
                    return found.state()
                found.refuse_rest()
                if session.stage == "rest":
                    session.sitting += 1
                    found.note("sitting", number=session.sitting)
                else:
                    found.note("break-ended")
                session.stage, session.pause_until = "rating", None
            return found.state()

    def note(self, kind: str, **facts: Any) -> None:
        """Keep that something happened to the session, whatever its state."""
        with self.store.begin() as tx:
            opened(self.store, tx, self.id).note(kind, **facts)

    def _queue(self, tx: Transaction) -> None:
        """Wait for the others who answer, where quotas count their answers. The study is locked
        before the session, as wherever both are."""
        own = select(Study).join(Session, Session.study_id == Study.id).where(Session.id == self.id)
        study = tx.scalar(own)
        if study is not None and study.design.quotas:
            tx.execute(select(Study.id).filter_by(id=study.id).with_for_update(key_share=True))
            tx.expire_all()

    def _step(self, tx: Transaction, *, even_ended: bool = False) -> OpenedSession:
        """The session, locked for its next step."""
        found = opened(self.store, tx, self.id, lock=True)
        if not (even_ended and found.row.outcome):
            found.refuse_unless_open()
        found.row.seen_at = self.store.clock()
        return found


def seen(
    store: Store, connection: Connection, session_id: str, *, lock: bool = False
) -> SeenSession:
    """A session as a page or a vote must know it; locked and refused as by `opened`."""
    asked = {"session_id": session_id}
    if lock:
        _lock(store, connection, asked)
    row = _FACTS.first(connection, asked)
    if row is None:
        raise VoteError("session", "There is no such session.", "Open your link again.")
    study_id, name, state, sha256, simulated, *columns = row
    study = _StudyRow(name, state, _design(connection, study_id, sha256))
    return SeenSession(store, connection, _Row(*columns), study, simulated)


def opened(store: Store, tx: Transaction, session_id: str, *, lock: bool = False) -> OpenedSession:
    """A session, locked where asked. Raises VoteError ('session') when there is none.

    What decides about a locked one is read after it is locked: whoever closes a study waits for
    the locks of its sessions, so that no vote is stored afterwards.
    """
    asked, connection = {"session_id": session_id}, tx.connection()
    if lock:
        _lock(store, connection, asked)
    row = tx.execute(_SESSION, asked).first()
    if row is None:
        raise VoteError("session", "There is no such session.", "Open your link again.")
    return OpenedSession(store, connection, *row, tx)


def _lock(store: Store, connection: Connection, asked: dict[str, str]) -> None:
    if not store.sqlite:  # a transaction that writes there locks everything
        _LOCK.run(connection, asked)


def _design(connection: Connection, study_id: int, sha256: str) -> StudyDesign:
    """A study's design, parsed once a process."""
    if sha256 not in designs:
        with Transaction(connection) as tx:
            return tx.get_one(Study, study_id).design
    return designs[sha256]


@dataclass(frozen=True)
class SeenSession:
    """A session within a transaction, with what decides about it."""

    store: Store
    connection: Connection
    row: Session | _Row
    study: Study | _StudyRow
    simulated: bool
    _plan: dict[int, PlanItemRow] = field(default_factory=dict, init=False)
    """What was read of the plan; it doesn't change within a transaction."""

    @property
    def _ends(self) -> list[int]:
        """0, then the last position of every sitting."""
        return _ends(self.row.sitting_ends)

    def count(self, position: int, now: dt.datetime) -> None:
        """Keep that there is a vote on this position since ``now``."""
        facts = {"session": self.row.id, "position": position, "now": now}
        _VOTED.run(self.connection, facts)
        self.row.done = position

    @property
    def pause(self) -> dt.timedelta:
        """How long the rest lasts, or a break at any other stage."""
        sittings = self.study.design.sittings
        if self.row.stage == "rest":
            return dt.timedelta(minutes=sittings.rest_minutes)
        return dt.timedelta(seconds=sittings.break_seconds)

    def refuse_unless_open(self) -> None:
        """Raise VoteError unless the session goes on and the study is open."""
        if self.row.outcome is not None:
            raise VoteError("ended", "This session has ended.", "What was stored is safe.")
        if self.study.state == "closed":
            raise VoteError("closed", "The study is closed.", "What was stored is safe.")
        if self.study.state == "paused":
            raise VoteError("paused", "The study is paused.", "Come back later; nothing is lost.")

    def refuse_rest(self) -> None:
        """Raise VoteError ('rest') while a break or rest isn't over."""
        until = self.row.pause_until
        if until is not None and self.store.clock() < until:
            raise VoteError(
                "rest",
                f"The {self.row.stage} lasts until {until:%Y-%m-%d %H:%M:%S} UTC.",
                "Go on afterwards.",
            )

    def refuse_vote(self, position: int, response_ms: float, image: str | None) -> PlanItemRow:
        """The item at ``position``. Raises VoteError unless a vote on it may be stored now."""
        self.refuse_unless_open()
        self.refuse_rest()
        session = self.row
        if session.stage != "rating" or position != session.done + 1:
            expected = session.done + 1 if session.stage == "rating" else f"stage {session.stage}"
            raise VoteError(
                "position",
                f"A vote came for position {position}; the session is at {expected}.",
                "Reload the page.",
            )
        planned = self._planned(position)
        if image not in (None, planned.pictures[0].address):
            raise VoteError(
                "position", "The vote is on another image than this position's.", "Reload the page."
            )
        if any(picture.sent_at is None for picture in planned.pictures):
            raise VoteError(
                "unseen",
                f"A vote came for position {position}, a picture of which was never sent.",
                "Reload the page.",
            )
        least = self.study.design.viewing.least_ms
        if response_ms < least:
            raise VoteError(
                "too-early",
                f"The vote came {response_ms:.0f} ms after its image.",
                f"Look at it for at least {least} ms.",
            )
        return planned

    def meant(self, position: int) -> int | None:
        """What a rater is told of the vote on ``position``, if anything."""
        return self._planned(position).meant if self.study.design.gives_feedback else None

    def _planned(self, position: int) -> PlanItemRow:
        """One item of the plan; those that follow it are read with it, as a vote's answer tells
        of them."""
        return self._read(position, position + 1 + _AHEAD)[0]

    def _read(self, first: int, last: int) -> list[PlanItemRow]:
        """The items of these positions, as far as there are so many."""
        last = min(last, self.row.total)
        if not all(position in self._plan for position in range(first, last + 1)):
            wanted = {"session_id": self.row.id, "first": first, "last": last}
            rows = _ITEMS.run(self.connection, wanted)
            self._plan.update((row[0], PlanItemRow.of(row, self.study.design)) for row in rows)
        return [self._plan[position] for position in range(first, last + 1)]

    @property
    def goes_on(self) -> bool:
        """Whether what follows the vote just stored is the next item, and nothing else."""
        done, ends, every = self.row.done, self._ends, self.study.design.sittings.break_every
        in_sitting = done - ends[self.row.sitting - 1]
        pauses = done == ends[self.row.sitting] or (every and in_sitting % every == 0)
        return not (pauses or self._may_be_lost)

    @property
    def _may_be_lost(self) -> bool:
        """Whether the vote just stored is on a gold item, and a rule may end the session.

        Asked after gold items alone: nobody shall rate on for nothing, and votes must be fast.
        """
        design = self.study.design
        if not design.gold or not any(rule.ends_early for rule in design.acceptance):
            return False
        return self._planned(self.row.done).kind == "gold"

    @property
    def plates(self) -> str:
        """What the plates of this session are drawn by: a rater's browser knows but a part."""
        return f"{self.study.design.seed}/{self.row.id}"

    def checks(self) -> dict[Check, dict[str, Any]]:
        """The facts of the viewing checks that were made or left out."""
        query = select(ViewingCheck.kind, ViewingCheck.facts)
        where = ViewingCheck.session_id == self.row.id
        rows = self.connection.execute(query.where(where))
        own = {kind: facts for kind, facts in rows}  # noqa: C416 (dict() would not take a row)
        return {kind: json.loads(own[kind]) for kind in viewing.CHECKS if kind in own}

    def next_check(self) -> Check | None:
        """The viewing check that comes next; None outside their stage and after the last."""
        if self.row.stage != "checks":
            return None
        made = self.checks()
        return next((k for k in self.study.design.viewing.checks.kinds if k not in made), None)

    def state(self) -> SessionState:
        """The session as it stands now."""
        session, ends = self.row, self._ends
        before, last = ends[session.sitting - 1], ends[session.sitting]
        stage, until = session.stage, session.pause_until
        if until is not None:  # also where the clock was set back meanwhile
            until = min(until, self.store.clock() + self.pause)
        return SessionState(
            session_id=session.id,
            study=self.study.name,
            group=session.group,
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
            language=session.language,
            outcome=session.outcome,
            simulated=self.simulated,
            study_state=self.study.state,
            items=self._items(),
            check=self.next_check(),
            checks=self.checks() if stage == "checks" else {},
            plates=self.plates if stage == "checks" else "",
        )

    def _items(self) -> tuple[PlanItemRow, ...]:
        """What may be shown or fetched now."""
        row, study = self.row, self.study
        shown = _shown(
            row.stage, study.state, row.done, row.sitting, row.sitting_ends, study.design
        )
        return tuple(self._read(shown[0], shown[-1])) if shown else ()


@dataclass(frozen=True)
class OpenedSession(SeenSession):
    """A session with all that is known of it, and what may become of it."""

    row: Session
    study: Study
    tx: Transaction

    def language_of(self, language: str) -> str:
        """The language, if the study has it. Raises StateError otherwise."""
        if language not in self.study.design.languages:
            raise StateError(f"The study has no texts in {language!r}.", "Choose another language.")
        return language

    def answers(self) -> dict[str, str]:
        """What was answered so far, by the names of ``Question.fields``."""
        query = select(Answer.key, Answer.value).where(Answer.session_id == self.row.id)
        return {row.key: row.value for row in self.tx.execute(query)}

    def advance(self) -> None:
        """To the next stage that has content."""
        answers, questions = self.answers(), self.study.design.questions
        asked = {question.when for question in questions if question.applies(answers)}
        empty = {"questions"} if "before" not in asked else set()
        if not self.study.design.viewing.checks.kinds:
            empty.add("checks")
        if "after" not in asked:
            empty.add("closing")
        following = _STAGES[_STAGES.index(self.row.stage) + 1 :]
        self.row.stage = next(stage for stage in following if stage not in empty)

    def quota_is_full(self, answers: Answers) -> bool:
        """Whether as many others as a quota wants gave one of these answers and hold a place."""
        for quota in self.study.design.quotas:
            if answers.get(quota.question) != quota.option:
                continue
            others = select(func.count()).select_from(Session).join(Answer)
            others = others.where(
                Session.study_id == self.study.id,
                Session.id != self.row.id,
                Session.holds_slot,
                Answer.key == quota.question,
                Answer.value == quota.option,
            )
            if (self.tx.scalar(others) or 0) >= quota.raters:
                return True
        return False

    def pause_or_end(self) -> None:
        """What follows the vote just stored, where the next item doesn't: a break, a rest, or the
        end."""
        session, pause, ends = self.row, self.study.design.sittings, self._ends
        in_sitting = session.done - ends[session.sitting - 1]
        if session.done == session.total:
            from sreval.store.frames import judge_session  # pandas: most commands do without

            verdict, held = judge_session(self.tx, session, self.study.design), session.holds_slot
            used = verdict.used if session.accepted is None else session.accepted
            self.end("complete" if verdict.paid else "failed_check")
            session.holds_slot = held and used  # whoever was refused may have lost it by now
            session.stage = "rating"
            self.advance()
        elif self._may_be_lost and self._is_lost():
            from sreval.store.frames import judge_session

            paid = judge_session(self.tx, session, self.study.design, ended=True).paid
            self.end("ended_early" if paid else "failed_check")
        elif session.done == ends[session.sitting]:
            session.stage = "rest"
            session.pause_until = self.store.clock() + self.pause
            self.note("rest", minutes=pause.rest_minutes)
        elif pause.break_every and in_sitting % pause.break_every == 0:
            session.stage = "break"
            session.pause_until = self.store.clock() + self.pause
            self.note("break", seconds=pause.break_seconds)

    def _is_lost(self) -> bool:
        """Whether a rule that ends sessions is broken, whatever the further votes are."""
        from sreval.store.frames import is_lost

        return is_lost(self.tx, self.row, self.study.design)

    def end(self, outcome: str) -> None:
        """End the session; unless it is complete, its slot is free for another rater."""
        session = self.row
        session.stage, session.outcome, session.pause_until = "done", outcome, None
        session.ended_at = self.store.clock()
        session.holds_slot = session.holds_slot and outcome == "complete"
        self.note(outcome)

    def note(self, kind: str, **facts: Any) -> None:
        """Keep that something happened to the session."""
        at = self.store.clock()
        self.tx.add(Event(session_id=self.row.id, kind=kind, facts=_canonical(facts), at=at))


def _ends(sitting_ends: str) -> list[int]:
    return [0, *(int(end) for end in sitting_ends.split(","))]


def _shown(
    stage: str, study_state: str, done: int, sitting: int, sitting_ends: str, design: StudyDesign
) -> range:
    """The positions that may be shown or fetched now: the current one and a few ahead.

    Up to the next break at most: what comes after it isn't needed yet.
    """
    if stage != "rating" or study_state != "open":
        return range(0)
    before, last = _ends(sitting_ends)[sitting - 1 : sitting + 1]
    if every := design.sittings.break_every:
        last = min(last, before + ((done - before) // every + 1) * every)
    return range(done + 1, min(done + 1 + _AHEAD, last) + 1)


def _canonical(facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(facts), sort_keys=True)
