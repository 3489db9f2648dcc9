"""The tables. Times are UTC with microseconds; what a rater is asked to rate is their plan."""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, get_args

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from sreval.study.design import StudyDesign

StudyState = Literal["open", "paused", "closed"]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Utc(TypeDecorator[dt.datetime]):
    """A time-zone aware time, kept in UTC; SQLite has no such type of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """To UTC. Raises ValueError for a time without zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a time without zone: {value}")
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """From what the database gives."""
        if value is None:
            return None
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


class Score(TypeDecorator[float]):
    """A score as a number: an integer where it is whole, whatever the database makes of it."""

    impl = Double
    cache_ok = True

    def process_result_value(self, value: float | None, dialect: Dialect) -> float | None:
        """From what the database gives."""
        return None if value is None else plain_score(value)


def plain_score(value: float) -> int | float:
    """The number, as an integer where it is whole."""
    return int(value) if float(value).is_integer() else value


class FreeText(TypeDecorator[str]):
    """Text that people type. NUL and lone surrogates, which no database stores, become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Without what can't be stored."""
        return None if value is None else _UNSTORABLE.sub("�", value)


def _address_of(picture: str) -> Callable[[Any], str | None]:
    """What makes a random address in every row that has a stimulus in the column ``picture``."""

    def made(row: Any) -> str | None:
        shown = row.get_current_parameters().get(picture)
        return None if shown is None else secrets.token_urlsafe(16)

    return made


class Base(DeclarativeBase):
    """Base of all tables; constraints have names, so that migrations can address them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dt.datetime: Utc, str: Text}  # noqa: RUF012


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Study(Base):
    """A study as it was registered. `next_rater` is the rater index given next, never reused.

    The first rater locks it: its design and its stimuli stay as they are.
    """

    __tablename__ = "study"
    __table_args__ = (_one_of("state", *get_args(StudyState)),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    design_json: Mapped[str] = mapped_column("design", Text, deferred=True)
    design_sha256: Mapped[str] = mapped_column(String(64))
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[StudyState] = mapped_column(String(10), default="open")
    next_rater: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
    locked_at: Mapped[dt.datetime | None]
    closed_at: Mapped[dt.datetime | None]

    @property
    def design(self) -> StudyDesign:
        """The study's design, parsed once a process: votes must not wait for it."""
        design = designs.get(self.design_sha256)
        if design is None:
            from sreval.study.design import StudyDesign  # pydantic: a look at the counts needs none

            try:
                design = StudyDesign.model_validate_json(self.design_json)
            except ValueError as error:
                from sreval.store.errors import SchemaError

                raise SchemaError(
                    f"The design of study {self.name!r} isn't one of this version: {error}.",
                    "Install the version that it was made with, and export it there.",
                ) from None
            designs[self.design_sha256] = design
        return design

    @property
    def target(self) -> int:
        """How many raters the design aims at."""
        return int(json.loads(self.design_json)["raters"])

    def retention_over(self, today: dt.date) -> bool:
        """Whether the day has come by which the raters' data were promised to be deleted."""
        return self.design.retention is not None and self.design.retention <= today

    def has_design(self, design: StudyDesign) -> bool:
        """Whether ``design`` says what this one does, whatever version of sreval hashed it.

        Of a study that has raters, a design that names no unit of analysis means this one's.
        """
        if self.locked_at is not None:
            design = design.with_unit_of(self.design)
        return self.design_sha256 == design.sha256 or self.design == design

    def changes_to(self, design: StudyDesign) -> list[str]:
        """The keys and tables in which ``design`` isn't this one's, compared as in `has_design`.

        The task comes first, both kinds of it named.
        """
        if self.locked_at is not None:
            design = design.with_unit_of(self.design)
        names = type(design).model_fields
        found = [name for name in names if getattr(self.design, name) != getattr(design, name)]
        before, now = self.design.task.kind, design.task.kind
        if before == now:
            return found
        return [f"task ({before}, now {now})", *(name for name in found if name != "task")]


designs: dict[str, StudyDesign] = {}
"""The designs that were parsed in this process, by their SHA-256."""


class Invitation(Base):
    """A link. Only its token's SHA-256 is kept.

    Every rater has one of kind personal, made beforehand or at enrolment through an open or
    kiosk link, which then is its `parent_id`. `used` counts the enrolments through a link.
    `group` is the group of the design that it leads to, None where any may be.
    """

    __tablename__ = "invitation"
    __table_args__ = (
        _one_of("kind", "personal", "open", "kiosk"),
        CheckConstraint("quota IS NULL OR used <= quota", name="quota"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("invitation.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str] = mapped_column(String(10))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    label: Mapped[str] = mapped_column(FreeText, default="")
    group: Mapped[str | None] = mapped_column(String(200))
    quota: Mapped[int | None]
    used: Mapped[int] = mapped_column(default=0)
    simulated: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]


class Rater(Base):
    """A person, known by a random pseudonym. `number` is the index that the plan was made from.

    `link_number` and `link_label` are the number and the note of the link that they came by, which
    of an imported rater is one of another database; None where nobody knows, or there is no note.
    """

    __tablename__ = "rater"
    __table_args__ = (
        UniqueConstraint("study_id", "number"),
        UniqueConstraint("study_id", "pseudonym"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    invitation_id: Mapped[int | None] = mapped_column(
        ForeignKey("invitation.id", ondelete="SET NULL"), unique=True
    )
    number: Mapped[int]
    pseudonym: Mapped[str] = mapped_column(String(20))
    simulated: Mapped[bool]
    created_at: Mapped[dt.datetime]
    link_number: Mapped[int | None]
    link_label: Mapped[str | None] = mapped_column(FreeText)


STAGES = (
    "consent",
    "device",
    "checks",
    "questions",
    "instructions",
    "rating",
    "break",
    "rest",
    "closing",
    "done",
)
OUTCOMES = (
    "complete",
    "screened_out",
    "quota_full",
    "failed_check",
    "ended_early",
    "withdrew",
    "expired",
)


class Session(Base):
    """A rater's way through a study, over all sittings.

    `done` votes are stored, so `done` + 1 is the current position. `sitting_ends` holds the last
    position of every sitting. While `holds_slot`, no other rater of the `group`, "" in a design
    without groups, has the slot. `accepted` is the operator's decision, None where there is none.
    `language` is that of the texts which the rater reads, None before the consent and in sessions
    of older versions. `site` names where the session took place, None unless it was joined from
    another site's export.
    """

    __tablename__ = "session"
    __table_args__ = (
        _one_of("stage", *STAGES),
        _one_of("outcome", *OUTCOMES),
        CheckConstraint("done BETWEEN 0 AND total", name="done"),
        # In the database it holds WHERE holds_slot, as the migration has it. Said here, that would
        # import PostgreSQL's dialects with every use of the store.
        Index("ix_session_slot", "study_id", "group", "slot", unique=True),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"), index=True)
    rater_id: Mapped[int] = mapped_column(ForeignKey("rater.id", ondelete="CASCADE"), unique=True)
    group: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    slot: Mapped[int]
    holds_slot: Mapped[bool] = mapped_column(default=True)
    algorithm: Mapped[int]
    stage: Mapped[str] = mapped_column(String(20), default="consent")
    outcome: Mapped[str | None] = mapped_column(String(20))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int]
    sitting: Mapped[int] = mapped_column(default=1)
    sitting_ends: Mapped[str]
    pause_until: Mapped[dt.datetime | None]
    consent_version: Mapped[str | None]
    language: Mapped[str | None] = mapped_column(String(2))
    accepted: Mapped[bool | None]
    accepted_reason: Mapped[str] = mapped_column(FreeText, default="")
    created_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    site: Mapped[str | None] = mapped_column(FreeText)

    @property
    def finished(self) -> bool:
        """Whether the rater came to the end: every item is rated, whatever the rules say of it."""
        return self.outcome is not None and self.done == self.total


class PlanItem(Base):
    """One position of a session's plan; its image is fetched under `address`, which is random.

    `sent_at` is when that image was first sent, None where it never was. It is the left one of a
    pair, and in other tasks the one that is judged. A second picture, and the original in view,
    have columns of their own, None elsewhere.
    """

    __tablename__ = "plan_item"
    __table_args__ = (
        _one_of("kind", "calibration", "warm-up", "vote", "repeat", "gold", "same", "stabilising"),
        # In the database it holds WHERE kind = 'gold'; see ix_session_slot.
        Index("ix_plan_item_gold", "session_id"),
        {"sqlite_with_rowid": False},
    )

    session_id: Mapped[str] = mapped_column(
        ForeignKey("session.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sitting: Mapped[int]
    kind: Mapped[str] = mapped_column(String(15))
    dataset: Mapped[str]
    image: Mapped[str]
    scene: Mapped[str]
    method: Mapped[str]
    stimulus_sha256: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(40), default=_address_of("stimulus_sha256"))
    reason: Mapped[str]
    intended: Mapped[int | None]
    low: Mapped[int | None]
    high: Mapped[int | None]
    sent_at: Mapped[dt.datetime | None]
    right_method: Mapped[str | None]
    right_sha256: Mapped[str | None] = mapped_column(String(64))
    right_address: Mapped[str | None] = mapped_column(
        String(40), default=_address_of("right_sha256")
    )
    right_sent_at: Mapped[dt.datetime | None]
    reference_sha256: Mapped[str | None] = mapped_column(String(64))
    reference_address: Mapped[str | None] = mapped_column(
        String(40), default=_address_of("reference_sha256")
    )
    reference_sent_at: Mapped[dt.datetime | None]


class Vote(Base):
    """One answer as a number: a score on the design's scale; of a pair -1 for the left picture, 1
    for the right, 0 for neither. The primary key makes a second vote on a position impossible.

    Of `response_ms`, the tab was hidden for `hidden_ms`, and the window without the focus for
    `unfocused_ms`; None where the browser didn't say. Of pictures that are toggled, `switches`
    counts how often they were exchanged, and the others for how long each was in view. `comment` is
    what the rater wrote of the item, None where nothing.
    """

    __tablename__ = "vote"
    __table_args__ = (
        UniqueConstraint("session_id", "key"),
        ForeignKeyConstraint(
            ["session_id", "position"],
            ["plan_item.session_id", "plan_item.position"],
            ondelete="CASCADE",
        ),
        {"sqlite_with_rowid": False},
    )

    session_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    score: Mapped[float] = mapped_column(Score)
    key: Mapped[str] = mapped_column(String(80))
    response_ms: Mapped[float]
    shown_at: Mapped[dt.datetime]
    stored_at: Mapped[dt.datetime]
    device: Mapped[str] = mapped_column(FreeText)
    hidden_ms: Mapped[float | None]
    unfocused_ms: Mapped[float | None]
    switches: Mapped[int | None]
    left_ms: Mapped[float | None]
    right_ms: Mapped[float | None]
    reference_ms: Mapped[float | None]
    comment: Mapped[str | None] = mapped_column(FreeText)


class Answer(Base):
    """One answer as text: to a question, to a row of a grid, or one of several options chosen.

    `key` is the name of its field, see `sreval.study.questions.Question.fields`.
    """

    __tablename__ = "answer"
    __table_args__ = (UniqueConstraint("session_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"))
    when: Mapped[str] = mapped_column(String(10))
    key: Mapped[str] = mapped_column(String(200))
    value: Mapped[str] = mapped_column(FreeText)
    at: Mapped[dt.datetime]


class ViewingCheck(Base):
    """What was found of a rater's screen or eyes; `facts` is one canonical line of JSON."""

    __tablename__ = "viewing_check"
    __table_args__ = (UniqueConstraint("session_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    facts: Mapped[str] = mapped_column(Text)
    at: Mapped[dt.datetime]


class Event(Base):
    """Something that happened to a session; `facts` is one canonical line of JSON."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(
        ForeignKey("session.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[str] = mapped_column(String(30))
    facts: Mapped[str] = mapped_column(FreeText, default="{}")
    at: Mapped[dt.datetime]


class Participant(Base):
    """Whom a panel sent, for payment alone: no export and no page of votes holds any of it.

    `participant` is the panel's id, None of a rater who came without one; `kept` is one canonical
    line of JSON of the further parameters, `code` the completion code that is theirs alone.
    """

    __tablename__ = "participant"
    __table_args__ = (UniqueConstraint("study_id", "participant"),)

    session_id: Mapped[str] = mapped_column(
        ForeignKey("session.id", ondelete="CASCADE"), primary_key=True
    )
    study_id: Mapped[int] = mapped_column(ForeignKey("study.id", ondelete="CASCADE"))
    participant: Mapped[str | None]
    kept: Mapped[str] = mapped_column(default="{}")
    code: Mapped[str | None] = mapped_column(String(20))


class Tombstone(Base):
    """A rater whose data were deleted: a count, and a hash by which an old export is recognised."""

    __tablename__ = "tombstone"

    study_id: Mapped[int] = mapped_column(
        ForeignKey("study.id", ondelete="CASCADE"), primary_key=True
    )
    pseudonym_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    deleted_at: Mapped[dt.datetime]


class Operator(Base):
    """Someone who runs studies. `password` is a hash made by a password hashing function.

    `failed` counts attempts to log in since the last one that went well.
    """

    __tablename__ = "operator"
    __table_args__ = (_one_of("role", "owner", "viewer"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    password: Mapped[str]
    role: Mapped[str] = mapped_column(String(10))
    failed: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]


class Login(Base):
    """An operator's browser session. Only its token's SHA-256 is kept."""

    __tablename__ = "login"

    id: Mapped[int] = mapped_column(primary_key=True)
    operator_id: Mapped[int] = mapped_column(
        ForeignKey("operator.id", ondelete="CASCADE"), index=True
    )
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[dt.datetime]
    seen_at: Mapped[dt.datetime]


class OperatorEvent(Base):
    """The audit log: who did what to which study. Rows are only ever added."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime]
    who: Mapped[str] = mapped_column(FreeText)
    action: Mapped[str] = mapped_column(String(30))
    study_id: Mapped[int | None] = mapped_column(
        ForeignKey("study.id", ondelete="SET NULL"), index=True
    )
    facts: Mapped[str] = mapped_column(FreeText, default="{}")
