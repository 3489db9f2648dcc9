"""Links that open a study. A token has 128 random bits; only its SHA-256 is ever stored."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import UsageError
from sreval.files import sha256_bytes
from sreval.store.audit import COMMAND_LINE, AuditLog
from sreval.store.database import Store
from sreval.store.errors import StateError, TokenError
from sreval.store.models import Invitation, Rater, Session, Study
from sreval.store.studies import by_name, rater_of

InvitationKind = Literal["personal", "open", "kiosk"]


@dataclass(frozen=True)
class InvitationRow:
    """A link without its token. ``rater`` is the pseudonym of who came by a personal one.

    ``expires_at`` is the last moment at which a rater may begin; resuming works afterwards.
    """

    id: int
    study: str
    kind: InvitationKind
    label: str
    group: str | None
    quota: int | None
    used: int
    simulated: bool
    created_at: dt.datetime
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None
    rater: str | None
    session_id: str | None


def last_moment(day: dt.date, now: dt.datetime) -> dt.datetime:
    """The last moment at which a rater may begin: the end of ``day`` in UTC, or itself where it is
    a moment, UTC where it names no zone. Raises UsageError when it is over."""
    if isinstance(day, dt.datetime):
        last = day if day.tzinfo else day.replace(tzinfo=dt.UTC)
        told = f"{last.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    else:
        last, told = dt.datetime.combine(day, dt.time.max, dt.UTC), f"{day}"
    if last <= now:
        raise UsageError(f"The last day, {told}, is over.", "Name a later one.")
    return last


class Links:
    """The links of one study; they are made and changed in the name of ``who``.

    Every method raises UsageError when the database holds no such study. Those that change a link
    raise StaleError when somebody changed it after ``made_from`` (see `AuditLog`).
    """

    def __init__(
        self, store: Store, study: str, who: str = COMMAND_LINE, made_from: int | None = None
    ) -> None:
        self.store, self.study = store, study
        self._audit = AuditLog(store, who, made_from)

    def listing(self) -> list[InvitationRow]:
        """All links, oldest first."""
        with self.store.read() as tx:
            return list(links_of(tx, by_name(tx, self.study)))

    def get(self, link_id: int) -> InvitationRow:
        """One link. Raises UsageError when the study has none of that number."""
        for link in self.listing():
            if link.id == link_id:
                return link
        raise self._unknown(link_id)

    def create(
        self,
        kind: InvitationKind = "personal",
        *,
        quota: int | None = None,
        expires: dt.datetime | None = None,
        label: str = "",
        group: str | None = None,
        simulated: bool = False,
    ) -> tuple[int, str]:
        """A new link's id and token; raises as `create_all`."""
        ((key, _, token),) = self.create_all(
            kind, quota=quota, expires=expires, label=label, group=group, simulated=simulated
        )
        return key, token

    def create_all(
        self,
        kind: InvitationKind = "personal",
        count: int = 1,
        *,
        quota: int | None = None,
        expires: dt.datetime | None = None,
        label: str = "",
        group: str | None = None,
        simulated: bool = False,
    ) -> list[tuple[int, str, str]]:
        """New links, all or none: id, label and token of each. Nobody can know the tokens later.

        Several links have numbers behind their ``label``; all lead to ``group``, if one is named.
        Raises UsageError for a quota below 1 or of a personal link, and for a group that the design
        hasn't; StateError for a closed study.
        """
        if quota is not None and (kind == "personal" or quota < 1):
            raise UsageError(
                f"A {kind} link can't have the quota {quota}.",
                "A personal link is for one rater; other links take 1 or more.",
            )
        with self.store.begin() as tx:
            study = by_name(tx, self.study, lock=True)
            if study.state == "closed":
                raise StateError(
                    f"Study {self.study!r} is closed.", "Nobody can be invited any more."
                )
            study.design.of_group(group or "")
            made = []
            for number in range(1, count + 1):
                link, token = make(tx, study.id, kind, simulated, self.store.clock())
                link.quota = 1 if kind == "personal" else quota
                link.expires_at = expires
                link.group = group or None
                link.label = f"{label} {number}" if label and count > 1 else label
                made.append((link, token))
            tx.flush()
            several = {"to": made[-1][0].id} if count > 1 else {}
            first = made[0][0].id
            self._audit.record(tx, "invite", study.id, invitation=first, kind=kind, **several)
            return [(link.id, link.label, token) for link, token in made]

    def renew(self, pseudonym: str) -> tuple[int, str]:
        """A new personal link for a rater who lost theirs; the old one stops working.

        Raises UsageError when the study has no such rater.
        """
        with self.store.begin() as tx:
            study = by_name(tx, self.study, lock=True)
            rater = rater_of(tx, study, pseudonym)
            self._audit.refuse_stale(tx, study.id, rater=pseudonym)
            now = self.store.clock()
            if rater.invitation_id is not None:
                link, token = renewed(tx, tx.get_one(Invitation, rater.invitation_id), now)
            else:
                link, token = make(tx, study.id, "personal", rater.simulated, now)
                link.quota = link.used = 1
            tx.flush()
            rater.invitation_id = link.id
            self._audit.record(tx, "renew-link", study.id, rater=pseudonym)
            return link.id, token

    def revoke(self, link_id: int) -> None:
        """Make a link stop working; votes cast through it stay. Raises UsageError."""
        with self.store.begin() as tx:
            link = self._locked(tx, by_name(tx, self.study, lock=True), link_id)
            if link.revoked_at is None:
                link.revoked_at = self.store.clock()
                self._audit.record(tx, "revoke", link.study_id, invitation=link_id)

    def extend(
        self, link_id: int, *, quota: int | None = None, expires: dt.datetime | None = None
    ) -> None:
        """Give a link another quota, another last moment, or both; None leaves what is.

        Raises UsageError for an unknown link, nothing to change, a personal link's quota and one
        below the number who came already; StateError for a revoked link or a closed study.
        """
        with self.store.begin() as tx:
            study = by_name(tx, self.study, lock=True)
            link = self._locked(tx, study, link_id)
            _refuse_extension(study, link, quota, expires)
            changed: dict[str, Any] = {}
            if quota is not None:
                changed["quota"] = link.quota = quota
            if expires is not None:
                link.expires_at = expires
                changed["expires"] = expires.isoformat()
            self._audit.record(tx, "extend", study.id, invitation=link_id, **changed)

    def _locked(self, tx: Transaction, study: Study, link_id: int) -> Invitation:
        query = select(Invitation).where(Invitation.id == link_id, Invitation.study_id == study.id)
        link = tx.scalar(query.with_for_update())
        if link is None:
            raise self._unknown(link_id)
        self._audit.refuse_stale(tx, study.id, invitation=link_id)
        return link

    def _unknown(self, link_id: int) -> UsageError:
        return UsageError(f"{self.study} has no link {link_id}.", "See the list of links.")


def _refuse_extension(
    study: Study, link: Invitation, quota: int | None, expires: dt.datetime | None
) -> None:
    if study.state == "closed":
        raise StateError(f"Study {study.name!r} is closed.", "Nobody can begin any more.")
    if link.revoked_at is not None:
        raise StateError(f"Link {link.id} was revoked.", "Make a new one.")
    if quota is None and expires is None:
        raise UsageError("There is nothing to extend.", "Give a quota, a last day, or both.")
    if quota is not None and (link.kind == "personal" or quota < max(1, link.used)):
        raise UsageError(
            f"Link {link.id} is {link.kind} and let {link.used} in: its quota can't be {quota}.",
            "A personal link is for one rater; other quotas can't be below the number who came.",
        )


def new_token() -> str:
    """128 random bits."""
    return secrets.token_urlsafe(16)


def make(
    tx: Transaction,
    study_id: int,
    kind: InvitationKind,
    simulated: bool,
    now: dt.datetime,
    token: str | None = None,
) -> tuple[Invitation, str]:
    """A new link, not yet flushed, and its token."""
    token = token or new_token()
    invitation = Invitation(
        study_id=study_id,
        kind=kind,
        token_sha256=token_hash(token),
        simulated=simulated,
        created_at=now,
        used=0,
    )
    tx.add(invitation)
    return invitation, token


def renewed(tx: Transaction, lost: Invitation, now: dt.datetime) -> tuple[Invitation, str]:
    """A personal link in the place of ``lost``, which stops working; not yet flushed."""
    link, token = make(tx, lost.study_id, "personal", lost.simulated, now)
    link.quota, link.used, link.expires_at = 1, lost.used, lost.expires_at
    link.parent_id, link.label, link.group = lost.id, lost.label, lost.group
    lost.revoked_at = lost.revoked_at or now
    return link, token


def token_hash(token: str) -> str:
    """What is stored of a token. A plain hash is enough: 128 random bits can't be guessed."""
    return sha256_bytes(token.encode(errors="replace"))


def lookup(store: Store, token: str, *, begun: bool = False) -> InvitationRow:
    """The link that a token opens. Raises TokenError, whose `why` says what is wrong with it.

    For who has ``begun`` by it before, quota and last day don't matter.
    """
    with store.read() as tx:
        found = find(tx, token)
        admissible(tx, found, store.clock(), begun=begun)
        return found.row


@dataclass(frozen=True)
class Found:
    """A link's row in the database, and the same for reading."""

    invitation: Invitation
    study: Study
    row: InvitationRow


def find(tx: Transaction, token: str) -> Found:
    """The link of a token. Raises TokenError when it is unknown."""
    found = tx.execute(_rows().where(Invitation.token_sha256 == token_hash(token))).first()
    if found is None:
        raise TokenError(
            "unknown",
            "This link doesn't open a study.",
            "Copy the whole link, or ask for a new one.",
        )
    invitation, study, pseudonym, session_id = found
    return Found(invitation, study, _row(invitation, study.name, pseudonym, session_id))


def admissible(tx: Transaction, found: Found, now: dt.datetime, *, begun: bool = False) -> None:
    """Raise TokenError unless the link can begin or resume a session now."""
    row = found.row
    ask = "Ask whoever invited you for a new one."
    if row.revoked_at is not None:
        raise TokenError("revoked", "This link was revoked.", ask)
    if begun or row.session_id is not None:
        return
    if row.quota is not None and row.used >= row.quota:
        raise TokenError("used-up", "This link has been used as often as it can be.", ask)
    if row.expires_at is not None and row.expires_at <= now:
        raise TokenError(
            "expired", f"This link expired on {row.expires_at:%Y-%m-%d %H:%M} UTC.", ask
        )
    if row.group is not None:
        _refuse_group(tx, found.study, row.group, ask)


def lets_in(tx: Transaction, study: Study, link: Invitation, now: dt.datetime) -> bool:
    """Whether a link by which nobody has begun can begin a session now."""
    try:
        admissible(tx, Found(link, study, _row(link, study.name, None, None)), now)
    except TokenError:
        return False
    return True


def _refuse_group(tx: Transaction, study: Study, name: str, ask: str) -> None:
    """Raise TokenError unless a group is there, and has room for another rater."""
    own = study.design.by_group.get(name)
    if own is None:  # a design changes as long as nobody has begun
        raise TokenError("revoked", f"The study has no group {name!r} any more.", ask)
    held = (Session.study_id == study.id, Session.group == name, Session.holds_slot)
    if (tx.scalar(select(func.count()).select_from(Session).where(*held)) or 0) >= own.raters:
        raise TokenError("full", f"The group {name!r} has all its raters.", ask)


def links_of(tx: Transaction, study: Study) -> tuple[InvitationRow, ...]:
    """All links of a study, oldest first, within the caller's transaction."""
    query = _rows().where(Invitation.study_id == study.id).order_by(Invitation.id)
    found = tx.execute(query).all()
    return tuple(_row(invitation, study.name, name, sid) for invitation, _, name, sid in found)


def _rows() -> Select[Invitation, Study, str, str]:
    return (
        select(Invitation, Study, Rater.pseudonym, Session.id)
        .join(Study, Study.id == Invitation.study_id)
        .outerjoin(Rater, Rater.invitation_id == Invitation.id)
        .outerjoin(Session, Session.rater_id == Rater.id)
    )


def _row(
    invitation: Invitation, study: str, pseudonym: str | None, session_id: str | None
) -> InvitationRow:
    return InvitationRow(
        id=invitation.id,
        study=study,
        kind=invitation.kind,  # type: ignore[arg-type]  # held by a CHECK
        label=invitation.label,
        group=invitation.group,
        quota=invitation.quota,
        used=invitation.used,
        simulated=invitation.simulated,
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
        revoked_at=invitation.revoked_at,
        rater=pseudonym,
        session_id=session_id,
    )
