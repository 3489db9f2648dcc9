"""Studies in the database: registered by name, locked by the first rater, open, paused, closed."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from sreval.errors import UsageError, unknown_name
from sreval.store import audit
from sreval.store.database import Store
from sreval.store.errors import StateError
from sreval.store.models import Rater, Session, Study
from sreval.study.manifest import Manifest

if TYPE_CHECKING:
    from sreval.study.design import StudyDesign

StudyState = Literal["open", "paused", "closed"]

_LOCK_SESSIONS = (
    select(Session.id)
    .where(Session.study_id == bindparam("study_id"))
    .order_by(Session.id)
    .with_for_update()
)
_designs: dict[str, StudyDesign] = {}


@dataclass(frozen=True)
class StudyRow:
    """A study as it stands."""

    id: int
    name: str
    design: StudyDesign
    design_sha256: str
    manifest_sha256: str
    state: StudyState
    created_at: dt.datetime
    locked_at: dt.datetime | None
    closed_at: dt.datetime | None


def register(store: Store, design: StudyDesign, manifest: Manifest) -> int:
    """The id of the study with that design; a new one if no study has its name.

    Until the first rater enrols, another design or manifest of that name replaces it.
    Raises StateError afterwards.
    """
    try:
        return _register(store, design, manifest)
    except IntegrityError:  # another process registered it first
        return _register(store, design, manifest)


def _register(store: Store, design: StudyDesign, manifest: Manifest) -> int:
    with store.begin() as tx:
        study = tx.scalar(select(Study).where(Study.name == design.name).with_for_update())
        if study is None:
            study = Study(name=design.name, created_at=store.clock(), design="")
            tx.add(study)
        elif same_design(study, design) and study.manifest_sha256 == manifest.sha256:
            return study.id
        elif study.locked_at is not None:
            what = "stimuli" if same_design(study, design) else "design"
            raise StateError(
                f"The {what} of study {design.name!r} changed after its first rater enrolled "
                f"({study.locked_at:%Y-%m-%d %H:%M} UTC).",
                "Put the old files back, or begin a study of another name: sreval study new.",
            )
        study.design = design.as_json()
        study.design_sha256 = design.sha256
        study.manifest_sha256 = manifest.sha256
        tx.flush()
        return study.id


def same_design(study: Study | StudyRow, design: StudyDesign) -> bool:
    """Whether a design says what the registered one does, whatever version of sreval hashed it.

    Of a study that has raters, a design that names no unit of analysis means the registered one.
    """
    kept = study.design if isinstance(study, StudyRow) else design_of(study)
    if study.locked_at is not None:
        design = design.with_unit_of(kept)
    return study.design_sha256 == design.sha256 or kept == design


def names(store: Store) -> list[str]:
    """The names of all studies, sorted."""
    with store.read() as tx:
        return list(tx.scalars(select(Study.name).order_by(Study.name)))


def get(store: Store, name: str) -> StudyRow:
    """A study by name. Raises UsageError when there is none."""
    with store.read() as tx:
        study = by_name(tx, name)
        return StudyRow(
            id=study.id,
            name=study.name,
            design=design_of(study),
            design_sha256=study.design_sha256,
            manifest_sha256=study.manifest_sha256,
            state=study.state,  # type: ignore[arg-type]  # held by a CHECK
            created_at=study.created_at,
            locked_at=study.locked_at,
            closed_at=study.closed_at,
        )


def set_state(store: Store, name: str, state: StudyState, *, who: str = audit.COMMAND_LINE) -> None:
    """Open, pause or close a study. Raises StateError for a closed one: closing is for good.

    When this returns, the votes under way are stored and no further one will be.
    """
    with store.begin() as tx:
        study = by_name(tx, name, lock=True)
        if study.state == state:
            return
        if study.state == "closed":
            raise StateError(
                f"Study {name!r} was closed on {study.closed_at:%Y-%m-%d}: it stays closed.",
                "Its results may have been looked at; begin a study of another name.",
            )
        tx.execute(_LOCK_SESSIONS, {"study_id": study.id})
        study.state = state
        study.closed_at = store.clock() if state == "closed" else None
        audit.record(tx, store.clock(), who, state, study.id)


def by_name(tx: Transaction, name: str, *, lock: bool = False) -> Study:
    """The row of a study, locked where asked. Raises UsageError when there is none.

    The lock lets others point to the study, as a rater's deletion does while the rater's session
    is locked.
    """
    query = select(Study).where(Study.name == name)
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
        known = tx.scalars(select(Rater.pseudonym).where(Rater.study_id == study.id))
        raise unknown_name("rater", pseudonym, known)
    return rater


def raters_of(study: Study) -> int:
    """How many raters the study's design aims at."""
    return int(json.loads(study.design)["raters"])


def design_of(study: Study) -> StudyDesign:
    """The study's design, parsed once a process: votes must not wait for it."""
    design = _designs.get(study.design_sha256)
    if design is None:
        from sreval.study.design import StudyDesign  # pydantic, which a look at the counts spares

        design = _designs[study.design_sha256] = StudyDesign.model_validate_json(study.design)
    return design
