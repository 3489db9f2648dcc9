"""A study's data as tidy frames, each from one moment."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sqlalchemy import Select, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import DataError
from sreval.store.database import Store
from sreval.store.models import Answer, Event, PlanItem, Rater, Session, Study, Tombstone
from sreval.store.studies import by_name, design_of
from sreval.store.verdicts import frame_of, judged_votes
from sreval.study.manifest import Manifest

TABLES = ("sessions", "plan", "votes", "answers", "events", "deleted")


def votes(store: Store, study: str, manifest: Manifest | None = None) -> pd.DataFrame:
    """One row per vote, with exactly the columns of sreval.opinions.votes.COLUMNS.

    Without the manifest those are lacking that it alone knows. `accepted` follows the design's
    rules unless the operator decided otherwise; `reason` is empty where a vote is accepted.
    Raises as `tables` does.
    """
    return tables(store, study, manifest)["votes"]


def sessions(store: Store, study: str) -> pd.DataFrame:
    """One row per session: who, how far, how it ended, and whether it is used and paid."""
    return tables(store, study)["sessions"]


def answers(store: Store, study: str) -> pd.DataFrame:
    """One row per answer: rater, session, when, key, value, at."""
    return tables(store, study)["answers"]


def events(store: Store, study: str) -> pd.DataFrame:
    """One row per event of a session: rater, session, kind, facts (JSON), at."""
    return tables(store, study)["events"]


def tables(store: Store, study: str, manifest: Manifest | None = None) -> dict[str, pd.DataFrame]:
    """All of TABLES as of one moment, by name; docs/reference/data-dictionary.md has the columns.

    With the manifest of the stimuli, votes and plan also say which image was scored
    (`image_sha256`) and what is a stand-in (`stand_in`). Raises UsageError when there is no such
    study, DataError when it was rated under another manifest.
    """
    with store.read() as tx:
        return tables_of(tx, by_name(tx, study), manifest)


def tables_of(
    tx: Transaction, study: Study, manifest: Manifest | None = None
) -> dict[str, pd.DataFrame]:
    """`tables` within the caller's transaction."""
    if manifest is not None and manifest.sha256 != study.manifest_sha256:
        raise DataError(
            f"This manifest is not the one under which {study.name} was rated.",
            "Put the manifest back that was frozen before the first rater.",
        )
    voted, verdicts = judged_votes(tx, study, design_of(study))
    sessions = _frame(tx, _sessions(study))
    judged = [verdicts.get(name) for name in sessions["session"]]
    sessions["used"] = [None if v is None else v.used for v in judged]
    sessions["paid"] = [None if v is None else v.paid for v in judged]
    sessions["reasons"] = ["; ".join(v.reasons) if v else "" for v in judged]
    return {
        "sessions": sessions,
        "plan": _with_stimuli(_frame(tx, _plan(study)), manifest),
        "votes": _with_stimuli(voted, manifest),
        "answers": _frame(tx, _answers(study)),
        "events": _frame(tx, _events(study)),
        "deleted": _frame(tx, _deleted(study)),
    }


def _with_stimuli(frame: pd.DataFrame, manifest: Manifest | None) -> pd.DataFrame:
    if manifest is None:
        return frame
    keys = zip(frame["dataset"], frame["image"], frame["method"], strict=True)
    shown = [manifest.by_key[key] for key in keys]
    place = list(frame.columns).index("stimulus_sha256") + 1
    frame.insert(place, "image_sha256", [stimulus.image_sha256 for stimulus in shown])
    frame.insert(place + 1, "stand_in", [stimulus.stand_in for stimulus in shown])
    return frame


def _frame(tx: Transaction, query: Select[*tuple[object, ...]]) -> pd.DataFrame:
    # As objects: a column that mixes numbers and nothing must not turn into floats.
    return frame_of(tx, query, dtype=object)


_WHO = (Rater.pseudonym.label("rater"), Session.id.label("session"))


def _sessions(study: Study) -> Select[*tuple[object, ...]]:
    return (
        select(
            *_WHO,
            Rater.number.label("rater_index"),
            Session.slot,
            Session.holds_slot,
            Rater.simulated,
            Session.algorithm,
            Session.stage,
            Session.outcome,
            Session.done,
            Session.total,
            Session.sitting,
            Session.pause_until,
            Session.consent_version,
            Session.accepted.label("decided"),
            Session.accepted_reason.label("decided_reason"),
            Session.created_at,
            Session.seen_at,
            Session.ended_at,
        )
        .join(Rater, Rater.id == Session.rater_id)
        .where(Session.study_id == study.id)
        .order_by(Rater.number)
    )


def _plan(study: Study) -> Select[*tuple[object, ...]]:
    columns = (
        Session.id.label("session"),
        PlanItem.position,
        PlanItem.sitting,
        PlanItem.kind,
        PlanItem.dataset,
        PlanItem.image,
        PlanItem.scene,
        PlanItem.method,
        PlanItem.stimulus_sha256,
        PlanItem.reason,
        PlanItem.intended,
        PlanItem.low,
        PlanItem.high,
    )
    return _of_sessions(study, PlanItem, columns, PlanItem.position)


def _answers(study: Study) -> Select[*tuple[object, ...]]:
    columns = (*_WHO, Answer.when, Answer.key, Answer.value, Answer.at)
    return _of_sessions(study, Answer, columns, Answer.id)


def _events(study: Study) -> Select[*tuple[object, ...]]:
    return _of_sessions(study, Event, (*_WHO, Event.kind, Event.facts, Event.at), Event.id)


def _of_sessions(
    study: Study, table: type[PlanItem | Answer | Event], columns: tuple[Any, ...], order: Any
) -> Select[*tuple[object, ...]]:
    """A table's rows of a study's sessions, rater by rater."""
    return (
        select(*columns)
        .select_from(table)
        .join(Session, Session.id == table.session_id)
        .join(Rater, Rater.id == Session.rater_id)
        .where(Session.study_id == study.id)
        .order_by(Rater.number, order)
    )


def _deleted(study: Study) -> Select[*tuple[object, ...]]:
    return (
        select(Tombstone.pseudonym_sha256, Tombstone.deleted_at)
        .where(Tombstone.study_id == study.id)
        .order_by(Tombstone.pseudonym_sha256)
    )
