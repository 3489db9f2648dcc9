"""The rows of an export on their way into a database."""

from __future__ import annotations

import datetime as dt
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session as Transaction

from sreval.opinions.cells import flag
from sreval.store import audit
from sreval.store.csvs import from_csv, when
from sreval.store.enrolment import tombstone_hash
from sreval.store.errors import StateError
from sreval.store.models import (
    Answer,
    Event,
    PlanItem,
    Rater,
    Session,
    Study,
    Tombstone,
    Vote,
)
from sreval.store.studies import same_design
from sreval.study.design import StudyDesign

Row = dict[str, str]


@dataclass(frozen=True)
class Imported:
    """What an import brought: sessions stored, there already, and of raters deleted here."""

    study: str
    sessions: int
    present: int
    deleted: int


def store_export(
    tx: Transaction,
    facts: Mapping[str, Any],
    files: Mapping[str, bytes],
    now: dt.datetime,
    who: str,
) -> Imported:
    """Store what `read_export` gave. Raises StateError, or ValueError and KeyError for nonsense."""
    rows = {name.removesuffix(".csv"): from_csv(files[name]) for name in files if ".csv" in name}
    study = _study(tx, facts, files["design.json"])
    here = set(tx.scalars(select(Session.id).where(Session.study_id == study.id)))
    buried = _tombstones(tx, study, rows["deleted"])
    parts = {table: _by_session(rows[table]) for table in ("plan", "votes", "answers", "events")}
    stored = present = deleted = 0
    for row in rows["sessions"]:
        if row["session"] in here:
            present += 1
        elif tombstone_hash(study.name, row["rater"]) in buried:
            deleted += 1
        else:
            _session(tx, study, row, {name: part[row["session"]] for name, part in parts.items()})
            stored += 1
    audit.record(tx, now, who, "import", study.id, sessions=stored)
    return Imported(study.name, stored, present, deleted)


def _study(tx: Transaction, facts: Mapping[str, Any], design_file: bytes) -> Study:
    design = StudyDesign.model_validate_json(design_file)
    study = tx.scalar(select(Study).where(Study.name == facts["name"]).with_for_update())
    if study is None:
        study = Study(
            name=facts["name"],
            design=design.as_json(),
            design_sha256=design.sha256,
            manifest_sha256=facts["manifest_sha256"],
            state=facts["state"],
            next_rater=facts["next_rater"],
            created_at=when(facts["created_at"]),
            locked_at=_optional(facts["locked_at"], when),
            closed_at=_optional(facts["closed_at"], when),
        )
        tx.add(study)
    elif study.manifest_sha256 != facts["manifest_sha256"] or not same_design(study, design):
        raise StateError(
            f"The study {study.name!r} here has another design or other stimuli.",
            "Import it into an empty database.",
        )
    else:
        study.next_rater = max(study.next_rater, facts["next_rater"])
        study.locked_at = study.locked_at or _optional(facts["locked_at"], when)
    tx.flush()
    return study


def _tombstones(tx: Transaction, study: Study, rows: list[Row]) -> set[str]:
    """The hashes of all raters deleted here; those deleted elsewhere are added."""
    query = select(Tombstone.pseudonym_sha256).where(Tombstone.study_id == study.id)
    buried = set(tx.scalars(query))
    for row in rows:
        if row["pseudonym_sha256"] not in buried:
            tx.add(
                Tombstone(
                    study_id=study.id,
                    pseudonym_sha256=row["pseudonym_sha256"],
                    deleted_at=when(row["deleted_at"]),
                )
            )
            buried.add(row["pseudonym_sha256"])
    return buried


def _by_session(rows: list[Row]) -> defaultdict[str, list[Row]]:
    parts: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row["session"]].append(row)
    return parts


def _session(tx: Transaction, study: Study, row: Row, parts: Mapping[str, list[Row]]) -> None:
    rater = Rater(
        study_id=study.id,
        number=int(row["rater_index"]),
        pseudonym=row["rater"],
        simulated=flag(row["simulated"]),
        created_at=when(row["created_at"]),
    )
    tx.add(rater)
    tx.flush()
    ends: dict[str, str] = {}
    for item in parts["plan"]:
        ends[item["sitting"]] = item["position"]
    session = Session(
        id=row["session"],
        study_id=study.id,
        rater_id=rater.id,
        slot=int(row["slot"]),
        holds_slot=flag(row["holds_slot"]),
        algorithm=int(row["algorithm"]),
        stage=row["stage"],
        outcome=row["outcome"] or None,
        done=int(row["done"]),
        total=int(row["total"]),
        sitting=int(row["sitting"]),
        sitting_ends=",".join(ends.values()),
        pause_until=_optional(row["pause_until"], when),
        consent_version=row["consent_version"] or None,
        accepted=_optional(row["decided"], flag),
        accepted_reason=row["decided_reason"],
        created_at=when(row["created_at"]),
        seen_at=when(row["seen_at"]),
        ended_at=_optional(row["ended_at"], when),
    )
    tx.add(session)
    tx.flush()
    for table, made in (
        (PlanItem, [_item(item) for item in parts["plan"]]),
        (Vote, [_vote(vote) for vote in parts["votes"]]),
        (Answer, [_answer(answer) for answer in parts["answers"]]),
        (Event, [_event(event) for event in parts["events"]]),
    ):
        if made:
            tx.execute(insert(table), [{"session_id": session.id, **one} for one in made])


def _item(row: Row) -> dict[str, Any]:
    texts = ("kind", "dataset", "image", "scene", "method", "stimulus_sha256", "reason")
    return {
        **{name: row[name] for name in texts},
        **{name: int(row[name]) for name in ("position", "sitting")},
        **{name: _optional(row[name], int) for name in ("intended", "low", "high")},
        "address": secrets.token_urlsafe(16),
    }


def _vote(row: Row) -> dict[str, Any]:
    return {
        "position": int(row["position"]),
        "score": int(row["score"]),
        # The browser's own key isn't exported; a retry of it finds the vote by its position.
        "key": f"imported-{row['position']}",
        "response_ms": float(row["response_ms"]),
        "shown_at": when(row["shown_at"]),
        "stored_at": when(row["received_at"]),
        "device": row["device"],
    }


def _answer(row: Row) -> dict[str, Any]:
    return {**{name: row[name] for name in ("when", "key", "value")}, "at": when(row["at"])}


def _event(row: Row) -> dict[str, Any]:
    return {"kind": row["kind"], "facts": row["facts"], "at": when(row["at"])}


def _optional(value: Any, read: Any) -> Any:
    return read(value) if value not in (None, "") else None
