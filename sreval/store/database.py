"""A database of votes: opening it, its transactions, and its errors in words a user can act on.

SQLite is the embedded default; PostgreSQL is reached by URL. An acknowledged vote is durable:
SQLite runs with write-ahead log and synchronous FULL, PostgreSQL with synchronous_commit on.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as Transaction

from sreval.errors import StoreError
from sreval.store.errors import BusyError, SchemaError
from sreval.store.schema import SchemaState, schema_state, to_head

BUSY_SECONDS = 10
"""How long a transaction waits for another one before it fails with BusyError."""

_POOL = 10


class Store:
    """An open database. Safe to share between threads, not between processes."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.sqlite = url.get_backend_name() == "sqlite"
        self.engine = _engine(url)
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
        # Waiting writers of this process queue here: SQLite's own waiting is polling, up to
        # 100 ms too long each time.
        self._writer = threading.Lock() if self.sqlite else None

    @property
    def name(self) -> str:
        """The database as it may be shown: without its password."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """A write transaction: committed at the end of the block, undone by any exception.

        Raises BusyError when others kept the database locked for BUSY_SECONDS, and StoreError
        for every other failure of the database.
        """
        with self._writer or nullcontext(), self._translated(), self._transaction("write") as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database throughout; raises as `begin`."""
        with self._translated(), self._transaction("read") as tx:
            yield tx

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[Transaction]:
        options: dict[str, Any] = {"sreval_mode": mode}
        if mode == "read" and not self.sqlite:
            options["isolation_level"] = "REPEATABLE READ"
        with (
            self.engine.connect().execution_options(**options) as connection,
            Transaction(connection, expire_on_commit=False) as tx,
        ):
            yield tx
            if mode == "write":
                tx.flush()
                tx.commit()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # a broken rule of the tables is the caller's to put into words
        except (DBAPIError, PoolTimeout) as error:
            raise database_error(self.name, error) from error

    def check_schema(self) -> SchemaState:
        """Whether the tables are those of this code: empty, current, older or newer."""
        with self._translated(), self.engine.connect() as connection:
            return schema_state(connection)

    def upgrade(self) -> None:
        """Bring an empty or older database to this code's tables, at once or not at all.

        Raises SchemaError for a newer one.
        """
        with self.schema_change() as connection:
            if schema_state(connection) == "newer":
                raise _schema_error(self.name, "newer")
            to_head(connection)

    @contextmanager
    def schema_change(self) -> Iterator[Connection]:
        """A write transaction that may change tables; raises as `begin`."""
        with (
            self._translated(),
            self.engine.connect().execution_options(sreval_mode="write") as connection,
            connection.begin(),
        ):
            yield connection

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(url: str, create: bool = False) -> Store:
    """The database at ``url``: a SQLAlchemy URL, postgresql://..., or the path of a SQLite file.

    ``create`` makes the file and the tables where there are none; an older database is never
    changed by opening it. Raises StoreError when it is absent or can't be used, SchemaError
    when its tables are older or newer than this code.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is not None and not path.exists() and not create:
        raise StoreError(f"There is no database {path}.", "Serve the study or invite raters first.")
    if path is not None and create:
        _make_folder(path)
    store = Store(parsed)
    try:
        state = store.check_schema()
        if state == "empty" and create:
            store.upgrade()
        elif state != "current":
            raise _schema_error(store.name, state)
    except BaseException:
        store.dispose()
        raise
    return store


def parse_url(url: str) -> URL:
    """A database URL, PostgreSQL by psycopg; text without :// is the path of a SQLite file.

    Raises StoreError for what is neither.
    """
    if "://" not in url:
        return URL.create("sqlite", database=str(Path(url).expanduser()))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("The database's URL can't be read.", _URLS) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{parsed.drivername} is no database that votes can go to.", _URLS)
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("Votes are not kept in memory.", _URLS)
    return parsed


_URLS = "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite database, None for another kind."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"Can't make the folder {path.parent}: {error.strerror}.", "Choose another place."
        ) from error


def _engine(url: URL) -> Any:
    options: dict[str, Any] = {"pool_size": _POOL, "max_overflow": _POOL}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        listeners: dict[str, Callable[..., None]] = {
            "connect": _on_sqlite,
            "begin": _begin_sqlite,
        }
    else:
        # A connection that died while it lay idle is replaced, not met by a rater's vote.
        options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": BUSY_SECONDS}}
        listeners = {"connect": _on_postgresql}
    try:
        engine = create_engine(url, pool_timeout=BUSY_SECONDS, **options)
    except (ImportError, NoSuchModuleError):
        raise StoreError(
            f"The driver of {url.get_backend_name()} is not installed.",
            "Run: pip install 'sreval[postgres]'",
        ) from None
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    return engine


def _on_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours: the driver's own begins too late
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("sreval_mode") == "write"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _on_postgresql(connection: Any, record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
    connection.commit()


def _schema_error(name: str, state: SchemaState) -> SchemaError:
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
    26: ("is no database", "Name the right file, or restore a backup."),
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
        f"{name} failed: {first}.", "Nothing was stored by this attempt; mend it and try again."
    )


def _unreached(text: str) -> tuple[str, str]:
    """A connection that never came about has no code, only libpq's words."""
    if "password authentication failed" in text or "no password supplied" in text:
        return _POSTGRESQL["28"]
    if "does not exist" in text and "database" in text:
        return _POSTGRESQL["3D"]
    return ("can't be reached", "Check host and port, and that the server runs.")
