"""Participants of panels: recognised when they come again, listed to be paid, and nothing more.

Their ids stand in a table of their own. What is told of them here names no rater and no session,
and what is told of raters elsewhere names no participant.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import UsageError, counted, shown
from sreval.store.audit import COMMAND_LINE, PAYMENTS, AuditLog
from sreval.store.database import Store
from sreval.store.models import Participant, Rater, Session, Study
from sreval.store.studies import by_name
from sreval.study.panel import CODE, LISTED, Arrival

if TYPE_CHECKING:
    import pandas as pd

_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_CODE_LETTERS = 10
_PAID = {"complete": True, "ended_early": True, "failed_check": False}
"""Whether the design's rules pay a session, by its outcome; of others the operator decides."""


def add(tx: Transaction, study: Study, session_id: str, arrival: Arrival | None) -> None:
    """Keep whom a panel sent, and give the code that is theirs alone, where the design has any."""
    code = None
    if study.design.outcomes.has_codes:
        code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LETTERS))
    if code is None and arrival is None:
        return
    tx.add(
        Participant(
            session_id=session_id,
            study_id=study.id,
            participant=arrival.participant if arrival else None,
            kept=json.dumps(dict(arrival.kept) if arrival else {}, sort_keys=True),
            code=code,
        )
    )


def session_of(tx: Transaction, study_id: int, participant: str) -> str | None:
    """The session of a panel's participant, None where none of that id has begun the study."""
    query = select(Participant.session_id).where(
        Participant.study_id == study_id, Participant.participant == participant
    )
    return tx.scalar(query)


def find_session(store: Store, study: str, participant: str) -> str | None:
    """`session_of` by the study's name, in a transaction of its own."""
    with store.read() as tx:
        return session_of(tx, by_name(tx, study).id, participant)


def placeholder_values(store: Store, session_id: str) -> dict[str, str]:
    """What stands for the placeholders on a session's last page; empty where nothing does."""
    with store.read() as tx:
        row = tx.get(Participant, session_id)
        if row is None:
            return {}
        found: dict[str, str] = json.loads(row.kept)
        panel = tx.get_one(Study, row.study_id).design.panel
        if panel is not None and row.participant is not None:
            found[panel.parameter] = row.participant
        return found | ({CODE: row.code} if row.code else {})


def payments(store: Store, study: str, who: str = COMMAND_LINE) -> pd.DataFrame:
    """Who is to be paid: a row for each participant, by id; the audit log keeps that it was seen.

    Columns: `participant`, the parameters that the design keeps, `code`, `outcome`, `paid`,
    `reasons`, `began` and `ended` to the minute in UTC, `minutes` between these, `rated` items
    `of` how many. `paid` is what the design's rules say of who came to the end, and empty for
    others. Pseudonyms, sessions and the order of enrolment aren't in it: with an export they would
    tell whose votes are whose. Simulated raters are left out. Raises UsageError for an unknown
    study, and for one that has neither a panel nor codes.

    ``attrs["unlisted"]`` says how many raters aren't in it for want of an id and a code, and why;
    it is empty where all are.
    """
    import pandas as pd

    from sreval.store.frames import tables_of

    with store.begin() as tx:
        row = by_name(tx, study)
        design = row.design
        if not design.pays:
            raise UsageError(
                f"{study} knows no participants to pay.",
                "Name their panel under [panel], or write {code} in [outcomes].",
            )
        sessions = tables_of(tx, row)["sessions"].set_index("session")
        query = (
            select(Participant)
            .join(Session, Session.id == Participant.session_id)
            .join(Rater, Rater.id == Session.rater_id)
            .where(Participant.study_id == row.id, Rater.simulated.is_(False))
        )
        keep = design.panel.keep if design.panel else ()
        listed = select(Participant.session_id)
        others = (
            select(func.count())
            .select_from(Session)
            .join(Rater, Rater.id == Session.rater_id)
            .where(
                Session.study_id == row.id,
                Rater.simulated.is_(False),
                Session.id.not_in(listed),
            )
        )
        unlisted = tx.scalar(others)
        rows = [_payment(one, sessions.loc[one.session_id], keep) for one in tx.scalars(query)]
        rows.sort(key=lambda told: (told["participant"] or "", told[CODE] or ""))
        AuditLog(store, who).record(tx, PAYMENTS, row.id, participants=len(rows))
    made = pd.DataFrame(rows, columns=["participant", *keep, CODE, *LISTED], dtype=object)
    made.attrs["unlisted"] = (
        f"{counted(unlisted, 'rater')} without an id or a code here: they came by a link that asks "
        "for none, or from an export, which holds none."
        if unlisted
        else ""
    )
    return made


def _payment(one: Participant, session: Any, keep: tuple[str, ...]) -> dict[str, Any]:
    kept = json.loads(one.kept)
    began, ended = (
        None if at is None else at.replace(second=0, microsecond=0)
        for at in (session["created_at"], session["ended_at"])
    )
    return {
        "participant": one.participant,
        **{name: kept.get(name) for name in keep},
        CODE: one.code,
        "outcome": session["outcome"],
        "paid": _PAID.get(session["outcome"]),
        "reasons": session["reasons"] if session["outcome"] is not None else "",
        "began": began,
        "ended": ended,
        "minutes": None if ended is None else round((ended - began).total_seconds() / 60),
        "rated": session["done"],
        "of": session["total"],
    }


def rater_of(tx: Transaction, study: Study, participant: str) -> Rater:
    """The rater whom a panel sent. Raises UsageError when none of that id is in this study."""
    session_id = session_of(tx, study.id, participant.strip())
    if session_id is None:
        raise UsageError(
            f"{study.name} has no participant {shown(participant)}.",
            "Check the spelling. The data may have been deleted already.",
        )
    return tx.get_one(Rater, tx.get_one(Session, session_id).rater_id)


def rated(store: Store, study: str, participant: str) -> int:
    """How many items the participant has rated. Raises UsageError as `rater_of`."""
    with store.read() as tx:
        rater = rater_of(tx, by_name(tx, study), participant)
        return tx.scalars(select(Session.done).where(Session.rater_id == rater.id)).one()
