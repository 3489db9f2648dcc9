"""Operators: their accounts, and the browser sessions they log into.

Passwords are kept as Argon2id hashes: 19 MiB, two passes, one thread, as OWASP's Password Storage
Cheat Sheet recommends. A hash takes one core for some 25 ms, so raters' votes hardly wait for it.
"""

from __future__ import annotations

import datetime as dt
import secrets
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import StoreError, UsageError, unknown_name
from sreval.files import sha256_bytes
from sreval.store.audit import COMMAND_LINE, AuditLog
from sreval.store.database import Store
from sreval.store.invitations import token_hash
from sreval.store.models import Login, Operator, OperatorEvent

Role = Literal["owner", "viewer"]

TRIES = 5
"""Failed attempts in a row after which browsers that never logged in are refused."""

LOCKED = dt.timedelta(minutes=15)
"""How long they are refused: four times in an hour, so that 20 guesses an hour are looked at."""

KNOWN_TRIES, KNOWN_WITHIN = 20, dt.timedelta(hours=1)
"""Failed attempts of a browser that has logged in before, and the time in which they count."""

LINK_LIFETIME = dt.timedelta(minutes=15)
"""How long a link that logs in once may be used."""

IDLE, LIFETIME = dt.timedelta(minutes=30), dt.timedelta(hours=12)
"""How long a login lasts without a request, and at most."""

WRONG = "wrong-password"
"""The action under which a failure in a browser that has logged in before is kept."""

_SEEN = dt.timedelta(minutes=1)
_BROWSER = 12
_NAME, _LONGEST = 100, 1000
"""Characters of a name, and of a password, at most."""

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_LINK = "link:"
"""Begins what is stored of a link, which so is the hash of no login."""


class LoginError(StoreError):
    """A wrong name or password; the message doesn't say which of the two."""


@dataclass(frozen=True)
class OperatorRow:
    """An account. ``seen_at`` is the last request under a login that still stands."""

    name: str
    role: Role
    created_at: dt.datetime
    locked_until: dt.datetime | None
    seen_at: dt.datetime | None


class Operators:
    """The accounts of a database; what ``who`` does to them is kept in the audit log."""

    SHORTEST = 12
    """Characters that a password has at least."""

    def __init__(self, store: Store, who: str = COMMAND_LINE) -> None:
        self.store, self._audit = store, AuditLog(store, who)

    def add(self, name: str, role: Role, password: str) -> None:
        """Make an account. Raises UsageError for a taken or unfit name, or a bad password."""
        _check_name(name)
        hashed = _hashed(name, password)
        with self.store.begin() as tx:
            if tx.scalar(select(Operator.id).where(Operator.name == name)) is not None:
                raise UsageError(
                    f"There is an operator {name!r} already.",
                    "Change theirs: sreval operator password",
                )
            tx.add(Operator(name=name, role=role, password=hashed, created_at=self.store.clock()))
            self._audit.record(tx, "add-operator", None, operator=name, role=role)

    def remove(self, name: str) -> None:
        """Delete an account and end its logins; the audit log keeps the name. Raises UsageError."""
        with self.store.begin() as tx:
            tx.delete(_by_name(tx, name))
            self._audit.record(tx, "remove-operator", None, operator=name)

    def set_password(self, name: str, password: str) -> None:
        """Change a password, unlock the account and end all its logins. Raises UsageError."""
        hashed = _hashed(name, password)
        with self.store.begin() as tx:
            operator = _by_name(tx, name)
            operator.password, operator.failed, operator.locked_until = hashed, 0, None
            tx.execute(delete(Login).where(Login.operator_id == operator.id))
            self._audit.record(tx, "password", None, operator=name)

    def listing(self) -> list[OperatorRow]:
        """All accounts by name."""
        own = (Login.operator_id == Operator.id, Login.token_sha256.not_like(f"{_LINK}%"))
        seen = select(func.max(Login.seen_at)).where(*own)
        with self.store.read() as tx:
            found = tx.execute(select(Operator, seen.scalar_subquery()).order_by(Operator.name))
            return [_row(operator, last) for operator, last in found]

    def log_in(self, name: str, password: str, *, browser: str = "") -> str:
        """A new login's token, known only now.

        ``browser`` names a browser in which this operator has logged in before. It has a count of
        failures of its own, so that strangers' guesses don't keep the right one out. Any other
        attempt is counted before its password is looked at; the hashing is outside of any
        transaction, so that no vote waits for it. Raises LoginError for a wrong name or password
        and too many failures alike.
        """
        browser = sha256_bytes(browser.encode())[:_BROWSER] if browser else ""
        known = self._count_attempt(name, browser)
        stored = known[1] if known else _nobodys()
        right = _verified(stored, password)
        weak = right and _hasher.check_needs_rehash(stored)
        fresh = _hasher.hash(_normal(password)) if weak else stored
        with self.store.begin() as tx:
            operator = tx.get(Operator, known[0], with_for_update=True) if known else None
            if operator is not None and right and operator.password == stored:
                operator.password = fresh
                if not browser:  # what strangers tried still counts where it wasn't one of them
                    operator.failed, operator.locked_until = 0, None
                return self._admit(tx, operator)
            if operator is not None and browser:
                log = AuditLog(self.store, operator.name)
                log.record(tx, WRONG, None, browser=browser)
        raise LoginError(
            "The name or the password is wrong.",
            f"After {TRIES} failed attempts no password is looked at for {LOCKED.seconds // 60} "
            "minutes. Whoever runs the server can make a link that logs you in: "
            "sreval operator link.",
        )

    def link(self, name: str) -> str:
        """The token of a link that logs ``name`` in once, within LINK_LIFETIME, and without
        password. Raises UsageError for an unknown name."""
        with self.store.begin() as tx:
            operator = _by_name(tx, name)
            token, now = secrets.token_urlsafe(32), self.store.clock()
            hashed = _link_hash(token)
            tx.add(Login(operator_id=operator.id, token_sha256=hashed, created_at=now, seen_at=now))
            self._audit.record(tx, "login-link", None, operator=name)
            return token

    def whose_link(self, token: str) -> str:
        """The name that a link logs in; "" for one that is unknown, used or too old."""
        with self.store.read() as tx:
            found = tx.execute(_by_hash(_link_hash(token))).first()
        if found is None or self.store.clock() - found[0].created_at > LINK_LIFETIME:
            return ""
        return found[1].name

    def use_link(self, token: str) -> tuple[str, str]:
        """The name that a link logs in and a new login's token. The link is used up then, and
        failures count anew. Raises LoginError for one that is unknown, used or too old."""
        with self.store.begin() as tx:
            found = tx.execute(_by_hash(_link_hash(token)).with_for_update()).first()
            if found is not None and self.store.clock() - found[0].created_at <= LINK_LIFETIME:
                tx.delete(found[0])
                found[1].failed, found[1].locked_until = 0, None
                return found[1].name, self._admit(tx, found[1])
        raise LoginError("This link was used, or is too old.", "Make another: sreval operator link")

    def _admit(self, tx: Transaction, operator: Operator) -> str:
        """A new login; those that have ended go."""
        now = self.store.clock()
        ended = or_(Login.seen_at < now - IDLE, Login.created_at < now - LIFETIME)
        tx.execute(delete(Login).where(ended))
        token = secrets.token_urlsafe(32)
        hashed = token_hash(token)
        tx.add(Login(operator_id=operator.id, token_sha256=hashed, created_at=now, seen_at=now))
        AuditLog(self.store, operator.name).record(tx, "login", None)
        return token

    def logged_in(self, token: str, *, attended: bool = True) -> OperatorRow | None:
        """Whose login this is; None when it was ended, stood idle or is too old.

        A request that is not ``attended``, as a page makes by itself, doesn't end the idling.
        """
        with self.store.read() as tx:
            found = tx.execute(_by_hash(token_hash(token))).first()
        if found is None:
            return None
        login, operator = found
        now = self.store.clock()
        if now - login.seen_at > IDLE or now - login.created_at > LIFETIME:
            return None
        if attended and now - login.seen_at > _SEEN:
            with self.store.begin() as tx:
                again = tx.execute(_by_hash(token_hash(token))).first()
                if again is None:
                    return None
                again[0].seen_at = now
        return _row(operator, now)

    def log_out(self, token: str) -> None:
        """End a login; one that has ended already stays so."""
        with self.store.begin() as tx:
            found = tx.execute(_by_hash(token_hash(token))).first()
            if found is not None:
                login, operator = found
                tx.delete(login)
                AuditLog(self.store, operator.name).record(tx, "logout", None)

    def _count_attempt(self, name: str, browser: str) -> tuple[int, str] | None:
        """The id and the hash of the account; None when there is none or no more tries."""
        with self.store.begin() as tx:
            query = select(Operator).where(Operator.name == name).with_for_update()
            operator = tx.scalar(query)
            now = self.store.clock()
            if operator is None:
                return None
            if browser and _failures(tx, name, browser, now - KNOWN_WITHIN) < KNOWN_TRIES:
                return operator.id, operator.password
            if operator.locked_until is not None:
                if now < operator.locked_until:
                    return None
                operator.failed, operator.locked_until = 0, None
            operator.failed += 1
            if operator.failed >= TRIES:
                operator.locked_until = now + LOCKED
                log = AuditLog(self.store, operator.name)
                log.record(tx, "last-try", None, failed=operator.failed)
            return operator.id, operator.password


def _failures(tx: Transaction, name: str, browser: str, since: dt.datetime) -> int:
    """How often this browser gave a wrong password for ``name``, as the audit log has it."""
    query = (
        select(func.count())
        .select_from(OperatorEvent)
        .where(
            OperatorEvent.who == name,
            OperatorEvent.action == WRONG,
            OperatorEvent.at >= since,
            OperatorEvent.facts.contains(browser, autoescape=True),
        )
    )
    return tx.scalar(query) or 0


def _hashed(name: str, password: str) -> str:
    if not Operators.SHORTEST <= len(password) <= _LONGEST:
        raise UsageError(
            f"A password has {Operators.SHORTEST} to {_LONGEST} characters, not {len(password)}.",
            "Use four random words, or a password from a password manager.",
        )
    if password.casefold().strip() == name.casefold():
        raise UsageError("The password is the name.", "Choose another.")
    return _hasher.hash(_normal(password))


def _verified(hashed: str, password: str) -> bool:
    if len(password) > _LONGEST:
        return False
    try:
        return _hasher.verify(hashed, _normal(password))
    except VerificationError:
        return False


def _normal(password: str) -> bytes:
    """One form for letters that keyboards compose differently."""
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")


@cache
def _nobodys() -> str:
    """What the password of an unknown name is held against, to take as long."""
    return _hasher.hash(secrets.token_urlsafe(32))


def _check_name(name: str) -> None:
    unfit = not name or len(name) > _NAME or name != name.strip() or not name.isprintable()
    if unfit or name == COMMAND_LINE:
        raise UsageError(
            f"{name!r} can't be an operator's name.",
            f"It has 1 to {_NAME} printable characters, no space at its ends, and isn't "
            f"{COMMAND_LINE!r}.",
        )


def _by_name(tx: Transaction, name: str) -> Operator:
    operator = tx.scalar(select(Operator).where(Operator.name == name).with_for_update())
    if operator is None:
        known = list(tx.scalars(select(Operator.name)))
        if not known:
            raise UsageError("There is no operator.", "Make one: sreval operator add")
        raise unknown_name("operator", name, known)
    return operator


def _by_hash(hashed: str) -> Select[Login, Operator]:
    return (
        select(Login, Operator)
        .join(Operator, Operator.id == Login.operator_id)
        .where(Login.token_sha256 == hashed)
    )


def _link_hash(token: str) -> str:
    """236 bits of the hash, behind the mark."""
    return (_LINK + token_hash(token))[:64]


def _row(operator: Operator, seen: dt.datetime | None) -> OperatorRow:
    return OperatorRow(
        operator.name,
        operator.role,  # type: ignore[arg-type]  # held by a CHECK
        operator.created_at,
        operator.locked_until,
        seen,
    )
