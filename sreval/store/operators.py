"""Operators: their accounts, and the browser sessions they log into.

Passwords are kept as Argon2id hashes (RFC 9106, its second recommended set of parameters).
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
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
from sreval.store.errors import BusyError
from sreval.store.models import Login, Operator

Role = Literal["owner", "viewer"]

TRIES = 5
"""Failed attempts in a row after which an account is locked."""

LOCKED = dt.timedelta(minutes=15)
IDLE, LIFETIME = dt.timedelta(minutes=30), dt.timedelta(hours=12)
"""How long a login lasts without a request, and at most."""

_SEEN = dt.timedelta(minutes=1)
_NAME, _LONGEST = 100, 1000
"""Characters of a name, and of a password, at most."""

_HASH_WAIT_S = 1.0
_hasher = PasswordHasher()
# A hash takes 64 MiB and all cores: strangers who try passwords must not starve raters.
_hashing = threading.BoundedSemaphore(1)


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
        seen = select(func.max(Login.seen_at)).where(Login.operator_id == Operator.id)
        with self.store.read() as tx:
            found = tx.execute(select(Operator, seen.scalar_subquery()).order_by(Operator.name))
            return [_row(operator, last) for operator, last in found]

    def log_in(self, name: str, password: str) -> str:
        """A new login's token, known only now.

        An attempt is counted before its password is looked at, so that many at once gain nothing;
        the hashing is outside of any transaction, so that no vote waits for it. Raises LoginError
        for a wrong name or password and a locked account alike, BusyError when too many try.
        """
        known = self._count_attempt(name)
        right = _verified(known[1] if known else _nobodys(), password)
        with self.store.begin() as tx:
            operator = tx.get(Operator, known[0], with_for_update=True) if known else None
            if operator is None or not right or operator.password != (known and known[1]):
                raise LoginError(
                    "The name or the password is wrong.",
                    f"After {TRIES} failed attempts an account is locked for "
                    f"{LOCKED.seconds // 60} minutes.",
                )
            now = self.store.clock()
            operator.failed, operator.locked_until = 0, None
            ended = or_(Login.seen_at < now - IDLE, Login.created_at < now - LIFETIME)
            tx.execute(delete(Login).where(ended))
            token = secrets.token_urlsafe(32)
            hashed = sha256_bytes(token.encode())
            tx.add(Login(operator_id=operator.id, token_sha256=hashed, created_at=now, seen_at=now))
            AuditLog(self.store, operator.name).record(tx, "login", None)
            return token

    def logged_in(self, token: str) -> OperatorRow | None:
        """Whose login this is; None when it was ended, stood idle or is too old."""
        with self.store.read() as tx:
            found = tx.execute(_by_token(token)).first()
        if found is None:
            return None
        login, operator = found
        now = self.store.clock()
        if now - login.seen_at > IDLE or now - login.created_at > LIFETIME:
            return None
        if now - login.seen_at > _SEEN:
            with self.store.begin() as tx:
                again = tx.execute(_by_token(token)).first()
                if again is None:
                    return None
                again[0].seen_at = now
        return _row(operator, now)

    def log_out(self, token: str) -> None:
        """End a login; one that has ended already stays so."""
        with self.store.begin() as tx:
            found = tx.execute(_by_token(token)).first()
            if found is not None:
                login, operator = found
                tx.delete(login)
                AuditLog(self.store, operator.name).record(tx, "logout", None)

    def _count_attempt(self, name: str) -> tuple[int, str] | None:
        """The id and the hash of the account; None when there is none or it is locked."""
        with self.store.begin() as tx:
            query = select(Operator).where(Operator.name == name).with_for_update()
            operator = tx.scalar(query)
            now = self.store.clock()
            if operator is None:
                return None
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
    if not _hashing.acquire(timeout=_HASH_WAIT_S):
        raise BusyError("Too many people are logging in at once.", "Try again in a moment.")
    try:
        return _hasher.verify(hashed, _normal(password))
    except VerificationError:
        return False
    finally:
        _hashing.release()


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


def _by_token(token: str) -> Select[Login, Operator]:
    return (
        select(Login, Operator)
        .join(Operator, Operator.id == Login.operator_id)
        .where(Login.token_sha256 == sha256_bytes(token.encode(errors="replace")))
    )


def _row(operator: Operator, seen: dt.datetime | None) -> OperatorRow:
    return OperatorRow(
        operator.name,
        operator.role,  # type: ignore[arg-type]  # held by a CHECK
        operator.created_at,
        operator.locked_until,
        seen,
    )
