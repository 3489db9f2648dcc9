"""A study's data as tidy frames, each from one moment."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Select, select
from sqlalchemy.orm import Session as Transaction

from sreval.store.database import Store
from sreval.store.models import Answer, Event, PlanItem, Rater, Session, Study, Tombstone
from sreval.store.studies import by_name, design_of
from sreval.store.verdicts import judged_votes

TABLES = ("sessions", "plan", "votes", "answers", "events", "deleted")


def votes(store: Store, study: str) -> pd.DataFrame:
    """One row a vote, with exactly the columns of sreval.statistics.votes.COLUMNS.

    `accepted` follows the design's rules unless the operator decided otherwise; `reason` is
    empty where a vote is accepted. Raises UsageError when there is no such study.
    """
    return tables(store, study)["votes"]


def sessions(store: Store, study: str) -> pd.DataFrame:
    """One row a session: who, how far, how it ended, and whether it is used and paid."""
    return tables(store, study)["sessions"]


def answers(store: Store, study: str) -> pd.DataFrame:
    """One row an answer: rater, session, when, key, value, at."""
    return tables(store, study)["answers"]


def events(store: Store, study: str) -> pd.DataFrame:
    """One row an event of a session: rater, session, kind, facts (JSON), at."""
    return tables(store, study)["events"]


def tables(store: Store, study: str) -> dict[str, pd.DataFrame]:
    """All of TABLES as of one moment, by name. The columns stand in docs/data-dictionary.md."""
    with store.read() as tx:
        return tables_of(tx, by_name(tx, study))


def tables_of(tx: Transaction, study: Study) -> dict[str, pd.DataFrame]:
    """`tables` within a transaction at hand."""
    voted, verdicts = judged_votes(tx, study, design_of(study))
    sessions = _frame(tx, _sessions(study))
    judged = [verdicts.get(name) for name in sessions["session"]]
    sessions["used"] = [None if v is None else v.used for v in judged]
    sessions["paid"] = [None if v is None else v.paid for v in judged]
    sessions["reasons"] = ["; ".join(v.reasons) if v else "" for v in judged]
    return {
        "sessions": sessions,
        "plan": _frame(tx, _plan(study)),
        "votes": voted,
        "answers": _frame(tx, _answers(study)),
        "events": _frame(tx, _events(study)),
        "deleted": _frame(tx, _deleted(study)),
    }


def _frame(tx: Transaction, query: Select[*tuple[object, ...]]) -> pd.DataFrame:
    result = tx.execute(query)
    # As objects: a column that mixes numbers and nothing must not turn into floats.
    return pd.DataFrame(result.all(), columns=list(result.keys()), dtype=object)


def _sessions(study: Study) -> Select[*tuple[object, ...]]:
    return (
        select(
            Rater.pseudonym.label("rater"),
            Session.id.label("session"),
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
    return (
        select(
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
        .join(Session, Session.id == PlanItem.session_id)
        .join(Rater, Rater.id == Session.rater_id)
        .where(Session.study_id == study.id)
        .order_by(Rater.number, PlanItem.position)
    )


def _answers(study: Study) -> Select[*tuple[object, ...]]:
    return (
        select(
            Rater.pseudonym.label("rater"),
            Session.id.label("session"),
            Answer.when,
            Answer.key,
            Answer.value,
            Answer.at,
        )
        .join(Session, Session.id == Answer.session_id)
        .join(Rater, Rater.id == Session.rater_id)
        .where(Session.study_id == study.id)
        .order_by(Rater.number, Answer.id)
    )


def _events(study: Study) -> Select[*tuple[object, ...]]:
    return (
        select(
            Rater.pseudonym.label("rater"),
            Session.id.label("session"),
            Event.kind,
            Event.facts,
            Event.at,
        )
        .join(Session, Session.id == Event.session_id)
        .join(Rater, Rater.id == Session.rater_id)
        .where(Session.study_id == study.id)
        .order_by(Rater.number, Event.id)
    )


def _deleted(study: Study) -> Select[*tuple[object, ...]]:
    return (
        select(Tombstone.pseudonym_sha256, Tombstone.deleted_at)
        .where(Tombstone.study_id == study.id)
        .order_by(Tombstone.pseudonym_sha256)
    )
