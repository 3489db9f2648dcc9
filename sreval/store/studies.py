"""Studies in the database: registered by name, locked by the first rater, open, paused, closed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import undefer

from sreval.errors import UsageError, listed, unknown_name
from sreval.store.audit import COMMAND_LINE, AuditLog
from sreval.store.database import Store
from sreval.store.errors import StateError
from sreval.store.models import OperatorEvent, Rater, Session, Study, StudyState, Vote
from sreval.study.manifest import Manifest

if TYPE_CHECKING:
    from sreval.study.design import StudyDesign

_LOCK_SESSIONS = (
    select(Session.id)
    .where(Session.study_id == bindparam("study_id"))
    .order_by(Session.id)
    .with_for_update()
)


class Studies:
    """The studies of a database; what is done to them is done in the name of ``who``."""

    def __init__(self, store: Store, who: str = COMMAND_LINE, made_from: int | None = None) -> None:
        self.store, self._audit = store, AuditLog(store, who, made_from)

    def names(self) -> list[str]:
        """The names of all studies, sorted."""
        with self.store.read() as tx:
            return list(tx.scalars(select(Study.name).order_by(Study.name)))

    def get(self, name: str) -> Study:
        """A study as it stands. Raises UsageError when there is none of that name."""
        with self.store.read() as tx:
            return by_name(tx, name)

    def votes_and_newest(self) -> tuple[int, dt.datetime | None]:
        """The votes of all studies, and when the newest of them or of the log's rows was stored."""
        with self.store.read() as tx:
            votes = tx.scalar(select(func.count()).select_from(Vote)) or 0
            times = [tx.scalar(select(func.max(at))) for at in (Vote.stored_at, OperatorEvent.at)]
        return votes, max((time for time in times if time is not None), default=None)

    def register(self, design: StudyDesign, manifest: Manifest) -> int:
        """The id of the study with that design; a new one if no study has its name.

        Until the first rater enrols, another design or manifest of that name replaces it.
        Raises StateError afterwards, UsageError for a design that lacks texts.
        """
        design.require_texts()
        try:
            return self._register(design, manifest)
        except IntegrityError:  # another process registered it first
            return self._register(design, manifest)

    def _register(self, design: StudyDesign, manifest: Manifest) -> int:
        with self.store.begin() as tx:
            study = tx.scalar(select(Study).where(Study.name == design.name).with_for_update())
            if study is None:
                study = Study(name=design.name, created_at=self.store.clock())
                tx.add(study)
            elif study.has_design(design) and study.manifest_sha256 == manifest.sha256:
                return study.id
            elif study.locked_at is not None:
                changed = [] if study.has_design(design) else study.changes_to(design)
                what, keys = ("design", f": {listed(changed)}") if changed else ("stimuli", "")
                raise StateError(
                    f"The {what} of study {design.name!r} changed after its first rater enrolled "
                    f"({study.locked_at:%Y-%m-%d %H:%M} UTC){keys}.",
                    "Put the old files back, or begin a study of another name: sreval study new.",
                )
            study.design_json = design.as_json()
            study.design_sha256 = design.sha256
            study.manifest_sha256 = manifest.sha256
            tx.flush()
            return study.id

    def set_state(self, name: str, state: StudyState) -> None:
        """Open, pause or close a study. Raises StateError for a closed one: closing is for good,
        and StaleError when somebody changed the state after ``made_from`` (see `AuditLog`).

        When this returns, the votes under way are stored and no further one will be.
        """
        with self.store.begin() as tx:
            study = by_name(tx, name, lock=True)
            self._audit.refuse_stale(tx, study.id)
            if study.state == state:
                return
            if study.state == "closed":
                raise StateError(
                    f"Study {name!r} was closed on {study.closed_at:%Y-%m-%d}: it stays closed.",
                    "Its results may have been looked at; begin a study of another name.",
                )
            tx.execute(_LOCK_SESSIONS, {"study_id": study.id})
            study.state = state
            study.closed_at = self.store.clock() if state == "closed" else None
            self._audit.record(tx, state, study.id)


def by_name(tx: Transaction, name: str, *, lock: bool = False) -> Study:
    """The row of a study, locked where asked. Raises UsageError when there is none.

    The lock lets others point to the study, as a rater's deletion does while the rater's session
    is locked.
    """
    query = select(Study).where(Study.name == name).options(undefer(Study.design_json))
    study = tx.scalar(query.with_for_update(key_share=True) if lock else query)
    if study is None:
        known = list(tx.scalars(select(Study.name)))
        if not known:
            raise UsageError(
                f"The database holds no study, so not {name!r}.", "Invite raters first."
            )
        raise unknown_name("study", name, known)
    return study


def rater_of(tx: Transaction, study: Study, pseudonym: str) -> Rater:
    """A rater by pseudonym. Raises UsageError when the study has none of that name."""
    rater = tx.scalar(select(Rater).where(Rater.study_id == study.id, Rater.pseudonym == pseudonym))
    if rater is None:
        raise unknown_rater(study.name, pseudonym)
    return rater


def unknown_rater(study: str, pseudonym: str) -> UsageError:
    """The error for a rater who isn't in a study. It names no similar one: pseudonyms are random,
    and the next command may delete."""
    return UsageError(
        f"{study} has no rater {pseudonym!r}.",
        "Check the spelling. The data may have been deleted already.",
    )
