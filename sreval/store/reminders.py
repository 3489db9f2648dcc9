"""Who is to be reminded: an unfinished session whose rater may go on, a link that nobody opened.

Only hashes of links are stored. A reminder that holds a link therefore needs a new one, and the
old one stops working; otherwise operators find the link in their own list, by its number or note.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction
from sqlalchemy.orm import aliased

from sreval.errors import UsageError, shown
from sreval.store.audit import COMMAND_LINE, AuditLog
from sreval.store.database import Store
from sreval.store.errors import StateError
from sreval.store.invitations import lets_in, renewed
from sreval.store.models import Invitation, Rater, Session, Study
from sreval.store.studies import by_name

Why = Literal["not opened", "stopped", "rest is over"]

_MOST_IDLE_DAYS = 3650
_TYPED = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True)
class Reminder:
    """Somebody to write to: the number (``id``) of their link, the operator's note of it (its
    ``label``), and where they stand.

    ``since`` is when they could have gone on: when the link was made or renewed, the last step was
    taken, or the rest ended, whichever was last. Of a link that nobody opened ``rater`` is empty,
    and ``done`` and ``of`` are None. ``address`` is that of a link that was renewed.
    """

    id: int
    label: str
    why: Why
    since: dt.datetime
    rater: str = ""
    done: int | None = None
    of: int | None = None
    address: str = ""


@dataclass(frozen=True)
class Due:
    """Who is to be reminded, the longest idle first. ``unknown`` counts raters in the same state
    who came by an open or kiosk link: nobody knows where to write to."""

    reminders: tuple[Reminder, ...]
    unknown: int


def idle_time(days: float | str) -> dt.timedelta:
    """So many days, 0 to 3650; a text is as somebody typed it. Raises UsageError for others."""
    if isinstance(days, str):
        number = float(days) if _TYPED.fullmatch(days := days.strip()) else math.nan
    else:
        number = days
    if not 0 <= number <= _MOST_IDLE_DAYS:
        raise UsageError(
            f"Idle days are a number from 0 to {_MOST_IDLE_DAYS}, not {shown(days)}.",
            "A fraction has a point, as in 1.5.",
        )
    return dt.timedelta(days=number)


def listing(reminders: Sequence[Reminder], *, renewed: bool) -> tuple[list[str], list[list[str]]]:
    """The heads and the rows of a list of reminders, as a table or a file.

    `link` is the address of a new one, and there where links were ``renewed``.
    """
    heads = ["id", "label", "why", "since (UTC)", "rater", "rated", "of"]
    rows = [
        [
            str(one.id), one.label, one.why, f"{one.since:%Y-%m-%d %H:%M}", one.rater,
            *("" if number is None else str(number) for number in (one.done, one.of)),
            *([one.address] if renewed else []),
        ]
        for one in reminders
    ]  # fmt: skip
    return heads + (["link"] if renewed else []), rows


class Reminders:
    """The reminders of one study; links are renewed in the name of ``who``.

    Every method takes for how long somebody was ``idle``. It raises UsageError when the database
    holds no such study, and StateError for one that isn't open: nobody could go on.
    """

    def __init__(
        self, store: Store, study: str, who: str = COMMAND_LINE, made_from: int | None = None
    ) -> None:
        self.store, self.study = store, study
        self._audit = AuditLog(store, who, made_from)

    def due(self, idle: dt.timedelta) -> Due:
        """Who is to be reminded. Nothing is changed."""
        with self.store.read() as tx:
            found = list(_found(tx, self._open(by_name(tx, self.study)), self.store.clock(), idle))
        known = [reminder for reminder, _, reachable in found if reachable]
        return Due(tuple(known), len(found) - len(known))

    def renew(self, idle: dt.timedelta, address: Callable[[str], str]) -> list[Reminder]:
        """A new link for everybody who is due; their old links stop working. All or none.

        ``address`` makes a link's address of its token, which nobody can know later. Raises
        StaleError when somebody changed one of the raters or links after ``made_from`` (see
        `AuditLog`).
        """
        with self.store.begin() as tx:
            study, now = self._open(by_name(tx, self.study, lock=True)), self.store.clock()
            made = []
            for reminder, old, reachable in _found(tx, study, now, idle):
                if not reachable:
                    continue
                named = {"rater": reminder.rater} if reminder.rater else {"invitation": old.id}
                self._audit.refuse_stale(
                    tx,
                    study.id,
                    rater=reminder.rater,
                    invitation=None if reminder.rater else old.id,
                )
                link, token = renewed(tx, old, now)
                tx.flush()
                if reminder.rater:
                    rater = tx.scalars(select(Rater).where(Rater.invitation_id == old.id)).one()
                    rater.invitation_id = link.id
                self._audit.record(tx, "renew-link", study.id, **named)
                made.append(replace(reminder, id=link.id, address=address(token)))
            return made

    def _open(self, study: Study) -> Study:
        if study.state != "open":
            raise StateError(
                f"Study {study.name!r} is {study.state}: nobody could go on.",
                f"Open it again before: sreval study resume {study.name}"
                if study.state == "paused"
                else "There is nobody to remind.",
            )
        return study


def _found(
    tx: Transaction, study: Study, now: dt.datetime, idle: dt.timedelta
) -> Iterator[tuple[Reminder, Invitation, bool]]:
    """Who is due, the longest idle first, each with the link, and whether its owner is known."""
    parent = aliased(Invitation)
    query = (
        select(Invitation, parent.kind, Rater.pseudonym, Session)
        .outerjoin(parent, parent.id == Invitation.parent_id)
        .outerjoin(Rater, Rater.invitation_id == Invitation.id)
        .outerjoin(Session, Session.rater_id == Rater.id)
        .where(
            Invitation.study_id == study.id,
            Invitation.kind == "personal",
            Invitation.revoked_at.is_(None),
            Invitation.simulated.is_(False),
        )
    )
    found = []
    for link, parent_kind, rater, session in tx.execute(query).all():
        if session is not None:
            reminder = _of_session(link, rater, session)
        else:
            reminder = _of_link(link) if lets_in(tx, study, link, now) else None
        if reminder is not None and now - reminder.since >= idle:
            found.append((reminder, link, parent_kind in (None, "personal")))
    yield from sorted(found, key=lambda one: (one[0].since, one[0].id))


def _of_link(link: Invitation) -> Reminder:
    """A link that nobody opened."""
    return Reminder(link.id, link.label, "not opened", link.created_at)


def _of_session(link: Invitation, rater: str, session: Session) -> Reminder | None:
    """A rater who is under way; None for one who has ended."""
    if session.outcome is not None or session.stage == "done":
        return None
    since = max(session.seen_at, session.pause_until or session.seen_at, link.created_at)
    why: Why = "rest is over" if session.stage == "rest" else "stopped"
    return Reminder(link.id, link.label, why, since, rater, session.done, session.total)
