"""Whether a session's votes are used and its rater is paid: the design's rules, the operator."""

from __future__ import annotations

import pandas as pd
from sqlalchemy import Select, select
from sqlalchemy.orm import Session as Transaction

from sreval.opinions.votes import COLUMNS
from sreval.store.models import PlanItem, Rater, Session, Study, Vote
from sreval.study.acceptance import Verdict, judge, verdicts
from sreval.study.design import StudyDesign

_TIMES = ("shown_at", "received_at")


def judge_session(tx: Transaction, session: Session, design: StudyDesign) -> Verdict:
    """The design's verdict on one session as it stands."""
    votes = _frame(tx, votes_query().where(Session.id == session.id))
    return judge(votes, design, planned=session.total)


def votes_query() -> Select[*tuple[object, ...]]:
    """Every vote with what it was cast on, columns named as in COLUMNS, by rater and position."""
    return (
        select(
            Study.name.label("study"),
            Rater.pseudonym.label("rater"),
            Session.id.label("session"),
            Vote.position,
            PlanItem.image,
            PlanItem.scene,
            PlanItem.dataset,
            PlanItem.method,
            PlanItem.stimulus_sha256,
            Vote.score,
            PlanItem.kind,
            Vote.response_ms,
            Vote.shown_at,
            Vote.stored_at.label("received_at"),
            Vote.device,
            Rater.simulated,
        )
        .join(
            PlanItem,
            (PlanItem.session_id == Vote.session_id) & (PlanItem.position == Vote.position),
        )
        .join(Session, Session.id == Vote.session_id)
        .join(Rater, Rater.id == Session.rater_id)
        .join(Study, Study.id == Session.study_id)
        .order_by(Rater.number, Vote.position)
    )


def judged_votes(
    tx: Transaction, study: Study, design: StudyDesign
) -> tuple[pd.DataFrame, dict[str, Verdict]]:
    """All votes of a study with `accepted` and `reason` filled in, and the rules' verdicts.

    Of COLUMNS all but those that only the manifest of the stimuli knows.

    The operator's decision on a session overrules the rules.
    """
    votes = _frame(tx, votes_query().where(Session.study_id == study.id))
    accepted, reasons = {}, {}
    kept = {row.id: row for row in tx.execute(_decisions(study))}
    rated = list(votes["session"].unique())
    found = verdicts(votes, design, {name: kept[name].total for name in rated})
    for name, verdict in found.items():
        session = kept[name]
        decided = session.accepted is not None
        accepted[name] = used = session.accepted if decided else verdict.used
        why = session.accepted_reason if decided else "; ".join(verdict.reasons)
        reasons[name] = "" if used else why
    votes["accepted"] = votes["session"].map(accepted).astype(bool)
    votes["reason"] = votes["session"].map(reasons).astype(object)
    return votes[[column for column in COLUMNS if column in votes]], found


def _decisions(study: Study) -> Select[str, int, bool | None, str]:
    columns = (Session.id, Session.total, Session.accepted, Session.accepted_reason)
    return select(*columns).where(Session.study_id == study.id)


def frame_of(
    tx: Transaction, query: Select[*tuple[object, ...]], dtype: type | None = None
) -> pd.DataFrame:
    """What a query finds, its columns named as it labels them."""
    result = tx.execute(query)
    return pd.DataFrame(result.all(), columns=list(result.keys()), dtype=dtype)


def _frame(tx: Transaction, query: Select[*tuple[object, ...]]) -> pd.DataFrame:
    frame = frame_of(tx, query)
    for column in _TIMES:
        frame[column] = pd.to_datetime(frame[column], utc=True)
    # `judge` reads a table as check_votes gives it; what it decides isn't known yet.
    return frame.assign(accepted=True, reason="")
