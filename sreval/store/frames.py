"""A study's data as tidy frames, each from one moment, and whether its votes are used.

A session's votes are used and its rater is paid by the design's rules, unless an operator decided
otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Double, Float, Select, String, Text, func, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as Transaction

from sreval.errors import DataError
from sreval.opinions.votes import RATING_SCALE, TASK, categorical, coded_votes, with_texts
from sreval.store.audit import COMMAND_LINE, LOOK, AuditLog
from sreval.store.database import Store
from sreval.store.invitations import links_of
from sreval.store.models import (
    Answer,
    Event,
    FreeText,
    OperatorEvent,
    PlanItem,
    Rater,
    Score,
    Session,
    Study,
    Tombstone,
    Utc,
    ViewingCheck,
    Vote,
)
from sreval.store.studies import by_name
from sreval.study.acceptance import Acceptance, Verdict
from sreval.study.data import Look, StudyData
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.task import LEFT, RIGHT, TIE, Place, Task
from sreval.study.viewing import RESULTS, Check, results

Columns = Mapping[str, InstrumentedAttribute[Any]]

_WHO: Columns = {"rater": Rater.pseudonym, "session": Session.id}
_SENT: Columns = {
    "sent_at": PlanItem.sent_at,
    "right_sent_at": PlanItem.right_sent_at,
    "reference_sent_at": PlanItem.reference_sent_at,
}

STORED: Mapping[str, Columns] = {
    "sessions": {
        **_WHO,
        "rater_index": Rater.number,
        "link_number": Rater.link_number,
        "link_label": Rater.link_label,
        "group": Session.group,
        "slot": Session.slot,
        "holds_slot": Session.holds_slot,
        "simulated": Rater.simulated,
        "algorithm": Session.algorithm,
        "stage": Session.stage,
        "outcome": Session.outcome,
        "done": Session.done,
        "total": Session.total,
        "sitting": Session.sitting,
        "pause_until": Session.pause_until,
        "consent_version": Session.consent_version,
        "language": Session.language,
        "decided": Session.accepted,
        "decided_reason": Session.accepted_reason,
        "created_at": Session.created_at,
        "seen_at": Session.seen_at,
        "ended_at": Session.ended_at,
        "site": Session.site,
    },
    "plan": {
        "session": Session.id,
        "position": PlanItem.position,
        "sitting": PlanItem.sitting,
        "kind": PlanItem.kind,
        "dataset": PlanItem.dataset,
        "image": PlanItem.image,
        "scene": PlanItem.scene,
        "method": PlanItem.method,
        "right_method": PlanItem.right_method,
        "stimulus_sha256": PlanItem.stimulus_sha256,
        "right_sha256": PlanItem.right_sha256,
        "reference_sha256": PlanItem.reference_sha256,
        "reason": PlanItem.reason,
        "intended": PlanItem.intended,
        "low": PlanItem.low,
        "high": PlanItem.high,
        **_SENT,
    },
    "votes": {
        "study": Study.name,
        **_WHO,
        "position": Vote.position,
        "image": PlanItem.image,
        "scene": PlanItem.scene,
        "dataset": PlanItem.dataset,
        "method": PlanItem.method,
        "right_method": PlanItem.right_method,
        "stimulus_sha256": PlanItem.stimulus_sha256,
        "right_sha256": PlanItem.right_sha256,
        "reference_sha256": PlanItem.reference_sha256,
        "score": Vote.score,
        "low": PlanItem.low,
        "kind": PlanItem.kind,
        "response_ms": Vote.response_ms,
        "hidden_ms": Vote.hidden_ms,
        "unfocused_ms": Vote.unfocused_ms,
        "switches": Vote.switches,
        "left_ms": Vote.left_ms,
        "reference_ms": Vote.reference_ms,
        "right_ms": Vote.right_ms,
        **_SENT,
        "shown_at": Vote.shown_at,
        "received_at": Vote.stored_at,
        "device": Vote.device,
        "comment": Vote.comment,
        "simulated": Rater.simulated,
    },
    "answers": {
        **_WHO,
        "when": Answer.when,
        "key": Answer.key,
        "value": Answer.value,
        "at": Answer.at,
    },
    "checks": {
        **_WHO,
        "kind": ViewingCheck.kind,
        "facts": ViewingCheck.facts,
        "at": ViewingCheck.at,
    },
    "events": {**_WHO, "kind": Event.kind, "facts": Event.facts, "at": Event.at},
    "deleted": {
        "pseudonym_sha256": Tombstone.pseudonym_sha256,
        "deleted_at": Tombstone.deleted_at,
    },
}
"""The columns of each table as the database has them: those of a backup."""

_OF_PAIRS: Mapping[str, str] = {
    "method": "left",
    "right_method": "right",
    "stimulus_sha256": "left_sha256",
    "score": "choice",
    "low": "correct",
}
"""What columns are called where two versions of an image are compared."""

CHOICES: Mapping[int, str] = {LEFT: "left", RIGHT: "right", TIE: "tie"}
"""How an export writes the answer to a pair."""

PICTURES: Mapping[Place, tuple[str, ...]] = {
    "left": ("method", "stimulus_sha256"),
    "right": ("right_method", "right_sha256"),
    "reference": ("reference_sha256",),
}
"""The columns of STORED that say what stands at a place."""

MODELS: Mapping[str, Any] = {
    "plan": PlanItem,
    "votes": Vote,
    "answers": Answer,
    "checks": ViewingCheck,
    "events": Event,
}
"""The tables of which a session has many rows."""

_TIMES = (*_SENT, "shown_at", "received_at")
_AT_ONCE = 500
"""The rows of votes that are held as rows before they become columns. More of them fill the
processor's cache, and the garbage collector looks at them more often."""
_OF_VOTES = (Vote, PlanItem)
"""The tables that have a row for each vote."""
_DURATIONS = ("hidden_ms", "unfocused_ms", "left_ms", "reference_ms", "right_ms")


def exported(name: str, design: StudyDesign) -> Columns:
    """The columns of a table of STORED in an export, those that the design has, by its names.

    See docs/reference/data-dictionary.md.
    """
    own, task = dict(STORED[name]), design.task
    if name not in ("plan", "votes"):
        return own
    absent = {"switches", *(f"{place}_ms" for place in PICTURES)}
    if task.toggled:
        absent -= {"switches", *(f"{place}_ms" for place in task.places)}
    for place in PICTURES.keys() - set(task.places):
        absent |= {*PICTURES[place], f"{place}_sent_at"}
    if design.comment is None:
        absent.add("comment")
    if task.pair:
        absent |= {"intended", "high"}
    elif name == "votes":
        absent |= {"low"}
    return {exported_name(label, task): own[label] for label in own if label not in absent}


def exported_name(column: str, task: Task) -> str:
    """What an export calls a column of STORED."""
    return _OF_PAIRS.get(column, column) if task.pair else column


def by_stored_names(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `exported` of pairs under the names of STORED, a plan's with both ends of a range."""
    names = {own: label for label, own in _OF_PAIRS.items()}
    named = [{names.get(label, label): cell for label, cell in row.items()} for row in rows]
    return [{**row, "high": row["low"]} if "low" in row else row for row in named]


def stored(name: str, columns: Columns, study: Study | None = None) -> Select[*tuple[object, ...]]:
    """The rows of a table of STORED, of one study or of all, rater by rater."""
    query = select(*(column.label(label) for label, column in columns.items()))
    if study is not None:
        query = query.where(Study.id == study.id)
    if name == "deleted":
        query = query.select_from(Tombstone).join(Study, Study.id == Tombstone.study_id)
        return query.order_by(Study.id, Tombstone.pseudonym_sha256)
    query = query.select_from(Session).join(Rater, Rater.id == Session.rater_id)
    query = query.join(Study, Study.id == Session.study_id).order_by(Study.id, Rater.number)
    if name == "sessions":
        return query
    model = MODELS[name]
    query = query.join(model, model.session_id == Session.id)
    if name == "votes":
        planned = (PlanItem.session_id == Vote.session_id) & (PlanItem.position == Vote.position)
        query = query.join(PlanItem, planned)
    return query.order_by(model.position if name in ("plan", "votes") else model.id)


def frame(tx: Transaction, query: Select[*tuple[object, ...]]) -> pd.DataFrame:
    """What a query finds, its columns named as it labels them, each value as it is stored.

    So a column that mixes numbers and nothing doesn't turn into floats.
    """
    result = tx.execute(query)
    return pd.DataFrame(result.all(), columns=list(result.keys()), dtype=object)


def tables(store: Store, study: str, manifest: Manifest | None = None) -> dict[str, pd.DataFrame]:
    """All of STORED as of one moment, by name; docs/reference/data-dictionary.md tells of them.

    A vote is `accepted` by the design's rules unless the operator decided otherwise; its `reason`
    is empty then. With the manifest of the stimuli, votes and plan also say which image was
    scored (`image_sha256`) and what is a stand-in (`stand_in`). Raises UsageError when there is
    no such study, DataError when it was rated under another manifest.
    """
    with store.read() as tx:
        found = tables_of(tx, by_name(tx, study), manifest)
    return {name: with_texts(own) for name, own in found.items()}


def tables_of(
    tx: Transaction,
    study: Study,
    manifest: Manifest | None = None,
    names: Collection[str] = tuple(STORED),
) -> dict[str, pd.DataFrame]:
    """`tables` within the caller's transaction, texts of votes in categorical columns: those of
    these ``names``, and sessions, votes and checks, which belong together."""
    if manifest is not None and manifest.sha256 != study.manifest_sha256:
        raise DataError(
            f"This manifest is not the one under which {study.name} was rated.",
            "Put the manifest back that was frozen before the first rater.",
        )
    task = study.design.task
    voted, found = _judged_votes(tx, study, study.design)
    own = {
        name: voted
        if name == "votes"
        else frame(tx, stored(name, exported(name, study.design), study))
        for name in STORED
        if name in {*names, "sessions", "votes", "checks"}
    }
    sessions = own["sessions"]
    judged = [found.get(name) for name in sessions["session"]]
    sessions["used"] = [None if v is None else v.used for v in judged]
    sessions["paid"] = [None if v is None else v.paid for v in judged]
    sessions["reasons"] = ["; ".join(v.reasons) if v else "" for v in judged]
    _add_results(sessions, own["checks"], study.design)
    if task.pair and "plan" in own:
        own["plan"]["correct"] = own["plan"]["correct"].map(CHOICES).astype(object)
    if manifest is not None:
        for name in own.keys() & {"plan", "votes"}:
            for side in ("left_", "right_") if task.pair else ("",):
                _add_stimuli(own[name], manifest, side)
    return own


def _add_results(sessions: pd.DataFrame, checks: pd.DataFrame, design: StudyDesign) -> None:
    """The columns of what the design's viewing checks found."""
    kinds = design.viewing.checks.kinds
    facts: dict[str, dict[Check, Any]] = {}
    for row in checks.to_dict("records"):
        facts.setdefault(row["session"], {})[row["kind"]] = json.loads(row["facts"])
    found = [results(facts.get(session, {}), kinds) for session in sessions["session"]]
    for name in results({}, kinds):
        sessions[name] = pd.Series([row[name] for row in found], sessions.index, object)


def _add_stimuli(frame: pd.DataFrame, manifest: Manifest, side: str) -> None:
    """What the manifest knows of the pictures of one side, "" where there is but one."""
    names = ["dataset", "image", side.rstrip("_") or "method"]
    grouped = frame.groupby(names, sort=False, observed=True, dropna=False)
    codes = np.asarray(grouped.ngroup(), dtype=np.intp)
    different = frame[names].drop_duplicates()
    shown = [manifest.by_key[key] for key in different.itertuples(index=False, name=None)]
    place = list(frame.columns).index(f"{side or 'stimulus_'}sha256") + 1
    hashes = categorical(codes, [stimulus.image_sha256 for stimulus in shown], frame.index)
    frame.insert(place, f"{side}image_sha256", hashes)
    stand_in = np.array([stimulus.stand_in for stimulus in shown], dtype=np.bool_)
    frame.insert(place + 1, f"{side}stand_in", stand_in[codes])


def judge_session(
    tx: Transaction, session: Session, design: StudyDesign, *, ended: bool = False
) -> Verdict:
    """The design's verdict on one session as it stands; on one that a rule has `ended` early."""
    votes, planned = _votes(tx, design, Session.id == session.id), {session.id: session.total}
    return Acceptance(design).verdicts(votes, planned, planned if ended else ())[session.id]


def is_lost(tx: Transaction, session: Session, design: StudyDesign) -> bool:
    """Whether one session breaks a rule that ends it already, whatever its further votes are."""
    counted = select(PlanItem.kind, func.count().label("n"))
    counted = counted.where(PlanItem.session_id == session.id)
    planned = {row.kind: row.n for row in tx.execute(counted.group_by(PlanItem.kind))}
    return Acceptance(design).is_lost(_votes(tx, design, Session.id == session.id), planned)


def _judged_votes(
    tx: Transaction, study: Study, design: StudyDesign
) -> tuple[pd.DataFrame, dict[str, Verdict]]:
    """All votes of a study with `accepted` and `reason` filled in, and the rules' verdicts.

    It has all columns of an export but those that only the manifest of the stimuli knows. The
    operator's decision on a session overrules the rules.
    """
    votes = _votes(tx, design, Study.id == study.id)
    accepted, reasons = {}, {}
    kept = {row.id: row for row in tx.execute(_decisions(study))}
    rated = list(votes["session"].unique())
    ended = {name for name in rated if kept[name].outcome == "ended_early"}
    found = Acceptance(design).verdicts(votes, {name: kept[name].total for name in rated}, ended)
    for name, verdict in found.items():
        session = kept[name]
        decided = session.accepted is not None
        accepted[name] = used = session.accepted if decided else verdict.used
        why = session.accepted_reason if decided else "; ".join(verdict.reasons)
        reasons[name] = "" if used else why
    votes["accepted"] = votes["session"].map(accepted).astype(bool)
    votes["reason"] = votes["session"].map(reasons).astype(object)
    votes["simulated"] = votes.pop("simulated")
    votes[TASK] = design.task.kind
    if not design.task.pair:
        votes[RATING_SCALE] = str(design.scale.numbers)
    return votes.drop(columns=["score"] if design.task.pair else []), found


def judged_pairs(tx: Transaction, study: Study) -> pd.DataFrame:
    """The accepted judgements of pairs by now, without repeats and checks: what the next active
    plan goes by. Columns as in an export.

    A rater who is under way counts as the rules see them now: not yet, where a rule asks for a
    share of the plan that they haven't reached.
    """
    votes, _ = _judged_votes(tx, study, study.design)
    return votes[(votes["kind"] == "vote") & votes["accepted"]]


def _decisions(study: Study) -> Select[str, int, str | None, bool | None, str]:
    columns = (
        Session.id, Session.total, Session.outcome, Session.accepted, Session.accepted_reason,
    )  # fmt: skip
    return select(*columns).where(Session.study_id == study.id)


def _votes(tx: Transaction, design: StudyDesign, of: ColumnElement[bool]) -> pd.DataFrame:
    found = _columns(tx, exported("votes", design), of).infer_objects()
    if "score" in found and (found["score"] % 1 == 0).all():
        found["score"] = found["score"].astype(np.int64)
    for column in [column for column in _TIMES if column in found]:
        found[column] = pd.to_datetime(found[column], utc=True, format="ISO8601")
    further = [column for column in _SENT if column in found and column != "sent_at"]
    if further:
        found["sent_at"] = found[["sent_at", *further]].max(axis=1)
        found = found.drop(columns=further)
    for column in _DURATIONS:  # a column of nothing but None has no numbers otherwise
        if column in found:
            found[column] = found[column].astype(float)
    if "switches" in found:
        counts = [None if pd.isna(count) else int(count) for count in found["switches"]]
        found["switches"] = pd.Series(counts, found.index, object)
    if "choice" in found:
        found["score"] = found["choice"].astype(np.int64)
        for column in ("choice", "correct"):
            found[column] = found[column].map(CHOICES).astype(object)
    # `verdicts` reads a table as check_votes gives it; what it decides isn't known yet.
    found = with_texts(found) if design.task.pair else found
    return found.assign(accepted=True, reason="")


class _Codes(dict[str | None, int]):
    """A code for each different text, in the order in which they come."""

    def __missing__(self, text: str | None) -> int:
        self[text] = code = len(self)
        return code


def _columns(tx: Transaction, columns: Columns, of: ColumnElement[bool]) -> pd.DataFrame:
    """These columns of the votes of which ``of`` holds, rater by rater; there may be millions.

    Texts are categorical columns. Times are as the driver gives them, SQLite's as texts.
    """
    of_session = {name: own for name, own in columns.items() if own.class_ not in _OF_VOTES}
    sessions = frame(tx, stored("sessions", of_session).where(of))
    known = _Codes((name, place) for place, name in enumerate(sessions["session"]))
    of_vote = {name: own for name, own in columns.items() if name not in of_session}
    # numpy sorts them sooner than a database does
    query = stored("votes", {"session": Session.id, **of_vote}).where(of).order_by(None)
    found, codes = _cells(tx, query, {"session": known})
    order = np.lexsort((found["position"].astype(np.int64), found["session"]))
    session, rows = found["session"][order], pd.RangeIndex(len(order))
    made = {}
    for name, own in columns.items():
        if name in of_session:
            values = list(sessions[name])
            is_text = _is_text(own)
            cells = session if is_text else np.array(values, dtype=object)[session]
        else:
            values, cells = list(codes.get(name, ())), found[name][order]
            is_text = name in codes
        made[name] = categorical(cells, values, rows) if is_text else pd.Series(cells, rows)
    return pd.DataFrame(made)


def _cells(
    tx: Transaction, query: Select[*tuple[object, ...]], known: Mapping[str, _Codes]
) -> tuple[dict[str, np.ndarray[tuple[int], Any]], dict[str, _Codes]]:
    """What a query finds, column by column, and the codes that stand there in place of texts."""
    columns = list(query.selected_columns)
    plain = [
        type_coerce(column, Text if isinstance(column.type, Utc) else Double).label(column.name)
        if isinstance(column.type, Utc | Score)
        else column
        for column in columns
    ]
    # the connection itself makes rows in half of a session's time, but doesn't flush
    tx.flush()
    result = tx.connection().execute(query.with_only_columns(*plain, maintain_column_froms=True))
    codes = {
        column.name: known.get(column.name, _Codes()) for column in columns if _is_text(column)
    }
    types: list[type] = [
        np.int32
        if column.name in codes
        else np.float64
        if isinstance(column.type, Float | Score)
        else object
        for column in columns
    ]
    parts: list[list[np.ndarray[tuple[int], Any]]] = [[np.empty(0, kind)] for kind in types]
    for rows in result.partitions(_AT_ONCE):
        for column, kind, part, cells in zip(
            columns, types, parts, zip(*rows, strict=True), strict=True
        ):
            of = codes.get(column.name)
            part.append(
                np.array(cells, kind)
                if of is None
                else np.fromiter(map(of.__getitem__, cells), kind, len(cells))
            )
    names = [column.name for column in columns]
    return dict(zip(names, map(np.concatenate, parts), strict=True)), codes


def _is_text(column: Any) -> bool:
    return isinstance(column.type, String | FreeText)


def study_data(store: Store, study: str, manifest: Manifest) -> StudyData:
    """A study as of one moment. Raises UsageError when there is none of that name.

    Raises DataError when ``manifest`` is not the one under which it was rated.
    """
    with store.read() as tx:
        row = by_name(tx, study)
        found = tables_of(tx, row, manifest, ("answers", "deleted"))
        invited = sum(link.kind == "personal" for link in links_of(tx, row))
        looks = _looks(tx, row.id)
    return StudyData(
        design=row.design,
        design_sha256=row.design_sha256,
        manifest=manifest,
        votes=_checked(found["votes"], row.design),
        sessions=_sessions_of(found["sessions"], found["votes"]),
        answers=found["answers"],
        state=row.state,
        looks=looks,
        invited=invited,
        deleted=len(found["deleted"]),
    ).without_orphans()


def _checked(votes: pd.DataFrame, design: StudyDesign) -> pd.DataFrame:
    """The votes of an export as StudyData has them."""
    if design.task.kind == "pair":
        scores = {choice: score for score, choice in CHOICES.items()}
        return votes.assign(score=votes["choice"].map(scores).astype(np.int64))
    if votes.empty:
        return votes
    return coded_votes(votes, design.scale.numbers, task=design.task.kind)


def record_look(store: Store, data: StudyData, *, who: str = COMMAND_LINE) -> StudyData:
    """Keep in the audit log that ``who`` saw means of methods before the study was closed.

    Gives the data with that look. A closed study, or one that hides its results until then, is as
    it was: there is nothing to see too early.
    """
    if data.state == "closed" or data.hidden:
        return data
    with store.begin() as tx:
        study = by_name(tx, data.design.name)
        AuditLog(store, who).record(tx, LOOK, study.id, votes=len(data.votes))
        return replace(data, looks=_looks(tx, study.id))


def _looks(tx: Transaction, study_id: int) -> tuple[Look, ...]:
    """Every look that was recorded, oldest first."""
    looks = (OperatorEvent.study_id == study_id, OperatorEvent.action == LOOK)
    return tuple(
        Look(row.at.isoformat(timespec="seconds"), row.who, int(json.loads(row.facts)["votes"]))
        for row in tx.scalars(select(OperatorEvent).where(*looks).order_by(OperatorEvent.id))
    )


def _sessions_of(frame: pd.DataFrame, votes: pd.DataFrame) -> pd.DataFrame:
    """The store's sessions in the words of StudyData: the operator's decision above the rules'."""
    decided, used = frame["decided"], frame["used"]
    device = votes.groupby("session")["device"].last() if len(votes) else pd.Series(dtype=object)
    return pd.DataFrame(
        {
            "session": frame["session"],
            "rater": frame["rater"],
            "group": frame["group"],
            "slot": frame["slot"],
            "stage": frame["stage"],
            "outcome": frame["outcome"],
            "votes": frame["done"],
            "of": frame["total"],
            "accepted": decided.where(decided.notna(), used).fillna(True).astype(bool),
            "reason": frame["decided_reason"].where(decided.notna(), frame["reasons"]),
            "decided": decided,
            "paid": frame["paid"],
            "started_at": frame["created_at"],
            "ended_at": frame["ended_at"],
            "seen_at": frame["seen_at"],
            "sittings": frame["sitting"],
            "simulated": frame["simulated"].astype(bool),
            "language": frame["language"],
            "site": frame["site"],
            "device": frame["session"].map(device),
            **{name: frame[name] for name in RESULTS if name in frame},
        }
    )
