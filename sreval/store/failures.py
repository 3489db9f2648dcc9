"""A database's failures in words that a user can act on."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sreval.errors import StoreError
from sreval.store.errors import BusyError, SchemaError
from sreval.store.schema import SchemaState

BUSY_SECONDS = 10
"""How long a transaction waits for another one before it fails with BusyError."""


def schema_error(name: str, state: SchemaState) -> SchemaError:
    """The error for a database whose tables aren't this code's."""
    if state == "newer":
        return SchemaError(
            f"{name} was written by a newer sreval.", "Install that version, or newer."
        )
    what = "has no tables of sreval" if state == "empty" else "has older tables"
    return SchemaError(f"{name} {what}.", "Back it up, then run: sreval study upgrade STUDY")


_SQLITE = {  # primary result codes, https://sqlite.org/rescode.html
    8: ("can't be written", "Make the file and its folder writable, then try again."),
    10: ("can't be read or written: the disk fails", "Check the disk; restore a backup."),
    11: ("is damaged", "Restore a backup: sreval study restore."),
    13: ("can't grow: the disk is full", "Free space, then try again. What was stored is safe."),
    14: ("can't be opened", "Check the path, its folder and who may write there."),
    26: ("isn't a database", "Name the right file, or restore a backup."),
}
_POSTGRESQL = {  # classes and codes, PostgreSQL's manual, appendix A
    "28": ("refuses this user or password", "Check user and password in the URL."),
    "3D": ("does not exist", "Make it: createdb NAME."),
    "42501": ("forbids this", "Grant the user all rights on the database's schema."),
    "25006": ("can't be written", "Name the primary server, not a standby."),
    "53100": ("can't grow: the disk is full", "Free space there. What was stored is safe."),
}
_SQLITE_BUSY = (5, 6)
_POSTGRESQL_BUSY = ("55P03", "40001", "40P01", "53300", "57014")


def database_error(name: str, error: DBAPIError | PoolTimeout) -> StoreError:
    """A database's failure as a StoreError with a remedy; nothing of a failed transaction stays."""
    original = getattr(error, "orig", None)
    code = getattr(original, "sqlite_errorcode", None)
    state = getattr(original, "sqlstate", None) or ""
    primary = code & 0xFF if code is not None else None
    if isinstance(error, PoolTimeout) or primary in _SQLITE_BUSY or state in _POSTGRESQL_BUSY:
        return BusyError(
            f"{name} is locked: others kept it busy for {BUSY_SECONDS} s.",
            "Try again; nothing was stored by this attempt.",
        )
    known = _SQLITE.get(primary) if primary is not None else None
    known = known or _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    if known is None and not state and "psycopg" in type(original).__module__:
        known = _unreached(str(original))
    if known is not None:
        return StoreError(f"{name} {known[0]}.", known[1])
    first = (str(original or error).strip().splitlines() or [""])[0]
    return StoreError(
        f"{name} failed: {first}.",
        "Nothing was stored by this attempt. Fix the cause and try again.",
    )


def _unreached(text: str) -> tuple[str, str]:
    """A connection that never came about has no code, only libpq's words."""
    if "password authentication failed" in text or "no password supplied" in text:
        return _POSTGRESQL["28"]
    if "does not exist" in text and "database" in text:
        return _POSTGRESQL["3D"]
    return ("can't be reached", "Check host and port, and that the server runs.")
