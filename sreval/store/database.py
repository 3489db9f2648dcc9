"""A database of votes: opening it, its transactions, and its errors in words a user can act on.

SQLite is the embedded default; PostgreSQL is reached by URL. An acknowledged vote is durable:
SQLite runs with write-ahead log and synchronous FULL, PostgreSQL with synchronous_commit on.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import os
import selectors
import shlex
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from sqlalchemy import URL, Connection, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InvalidatePoolError,
    NoSuchModuleError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session as Transaction

from sreval import content
from sreval.errors import StoreError, UsageError, install, option
from sreval.store.errors import BusyError, SchemaError
from sreval.store.schema import SchemaState, pending, schema_state, to_head

BUSY_SECONDS = 10
"""How long a transaction waits for another one before it fails with BusyError."""

SYNCHRONOUS = "FULL"
"""SQLite's word for this: a vote is acknowledged once the disk has it."""

_ERASE_SECONDS = 2.0
"""How long whoever deletes a rater waits for reads to end, so that the log can be emptied."""

_ERASE_BUSY = 0.03
"""How long one attempt to empty the log may keep votes waiting, in seconds."""

_ERASE_AGAIN = 1.0
"""Seconds from an attempt in vain to the next one, which a later write makes."""

_LOOK = 0.001
"""Seconds between two looks whether another process still writes."""

_POOL = 10
_WRITE = "BEGIN IMMEDIATE"
_URLS = "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
_BROKEN = (
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
)
_LOG = logging.getLogger("sreval.site.store")  # the site writes it among its own lines
_KEEPALIVE = {
    **{"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3},
    "tcp_user_timeout": 60_000,  # milliseconds; keepalives don't watch what was sent
}


def parse_url(url: str) -> URL:
    """A database URL, PostgreSQL by psycopg; text without :// is the path of a SQLite file.

    Raises StoreError for what is neither.
    """
    if "://" not in url:
        return URL.create("sqlite", database=str(content.user_path(url)))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("The database's URL can't be read.", _URLS) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{parsed.drivername} isn't a database that sreval can use.", _URLS)
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("Votes are not kept in memory.", _URLS)
    return parsed


def default_url(folder: Path | None, given: str | None) -> str | None:
    """The database of the study in ``folder``: ``given``, else SREVAL_DATABASE, else its own file.

    None when there is no folder either. Raises UsageError for a study that the package brings:
    nothing is written there.
    """
    named = given or content.database()
    if named or folder is None:
        return named
    if content.brought("studies", folder):
        raise UsageError(
            f"{folder.name} belongs to the package and can't take votes.",
            f"Copy it: sreval study new NAME --from {folder.name}; or name a "
            f"{option('--database')}.",
        )
    return f"sqlite:///{folder.resolve() / 'votes.sqlite'}"


def database_file(url: str) -> Path | None:
    """The file of a SQLite database, None for another kind; raises as `parse_url`."""
    return _file(parse_url(url))


def _file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


class Store:
    """An open database. Safe to share between threads, not between processes.

    A ``with`` block closes it at its end.

    It is reached when the first transaction begins. Raises as `parse_url`, and StoreError without
    the driver of its kind.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.file = _file(self.url)
        self.sqlite = self.file is not None
        self.engine = _engine(self.url)
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
        # Waiting writers of this process queue here: SQLite's own waiting is polling, up to
        # 100 ms too long each time.
        self._writer = threading.Lock() if self.sqlite else None
        self._next_try = math.inf  # when to empty the log, if it still holds deleted text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()

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
        with self.write() as connection, Transaction(connection, expire_on_commit=False) as tx:
            yield tx
            tx.commit()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """`begin` without objects of tables, in half the time; raises as `begin`."""
        with (
            self._writer or nullcontext(),
            self._translated(),
            self._connected(_WRITE, SYNCHRONOUS) as connection,
        ):
            yield connection
            connection.commit()
        if time.monotonic() > self._next_try:
            self._try_to_truncate()

    @contextmanager
    def erasing(self) -> Iterator[Transaction]:
        """`begin` for what deletes text that people wrote: afterwards `truncate_log` is called."""
        with self.begin() as tx:
            yield tx
        self.truncate_log()

    def truncate_log(self) -> None:
        """Empty SQLite's write-ahead log, which keeps deleted text until it is overwritten.

        A transaction that reads keeps the log. This waits for it, 2 s at most; then a warning is
        logged, and later writes, one a second, and `dispose` try again. PostgreSQL has no such
        file.
        """
        if self.file is None:
            return
        end = time.monotonic() + _ERASE_SECONDS
        while not self._try_to_truncate():
            if time.monotonic() > end:
                _LOG.warning("deleted text is still in the write-ahead log")
                return
            time.sleep(_ERASE_BUSY)

    def _try_to_truncate(self) -> bool:
        """Whether the log is empty now: nobody read or wrote, or they ended soon."""
        assert self.file is not None
        self._next_try = time.monotonic() + _ERASE_AGAIN
        with (
            self._writer or nullcontext(),
            suppress(sqlite3.Error),  # the deletion itself is committed
            closing(sqlite3.connect(_uri(self.file), timeout=_ERASE_BUSY, uri=True)) as connection,
        ):
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                self._next_try = math.inf
        return self._next_try == math.inf

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database throughout; raises as `begin`."""
        with self._translated(), self._connected("BEGIN") as connection:
            if not self.sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with Transaction(connection) as tx:
                yield tx

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """A connection for one question, without objects of tables; raises as `begin`."""
        with self._translated(), self._connected() as connection:
            if not self.sqlite:  # to begin and end a transaction would be two questions more
                connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextmanager
    def mark(self) -> Iterator[Connection]:
        """`begin` for what may be lost when the machine fails, together with all that came later.

        Nobody waits for the disk. The next `begin` that is committed makes it durable: both
        databases' logs are written in order.
        """
        with (
            self._writer or nullcontext(),
            self._translated(),
            self._connected(_WRITE, "NORMAL") as connection,
        ):
            if not self.sqlite:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection
            connection.commit()

    @contextmanager
    def _connected(self, begin: str | None = None, synchronous: str = "") -> Iterator[Connection]:
        """A connection; on SQLite in a transaction that began like this, None for no transaction.

        ``synchronous`` is said each time: a connection that only marked before must not make a
        vote less durable.
        """
        connection: Connection
        with self.engine.connect() as connection:
            if self.sqlite and synchronous:
                driver: Any = connection.connection.driver_connection
                driver.execute(f"PRAGMA synchronous={synchronous}")
            if self.sqlite and begin == _WRITE:
                _begin_write(connection)
            elif self.sqlite and begin:
                connection.exec_driver_sql(begin)
            elif begin == _WRITE:
                connection.begin()  # psycopg does so itself; SQLAlchemy has to know of it
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # a broken rule of the tables is the caller's to put into words
        except (DBAPIError, PoolTimeout) as error:
            raise database_error(self.name, error) from error

    @contextmanager
    def limited(self, connection: Connection, seconds: float) -> Iterator[None]:
        """End a connection to PostgreSQL when the block takes longer.

        Who waits in it for a server that is silent gets a StoreError, and the pool replaces all
        its connections. SQLite's own waiting ends by itself.
        """
        if self.sqlite:
            yield
            return
        # a file number of our own: the connection's may be another file's by then
        held = socket.socket(fileno=os.dup(connection.connection.fileno()))

        def cut() -> None:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            held.close()

    def check_schema(self) -> SchemaState:
        """Whether the tables are those of this code: empty, current, older or newer."""
        with self._translated(), self.engine.connect() as connection:
            return schema_state(connection)

    def upgrade(self, *, dry: bool = False) -> list[str]:
        """Bring an empty or older database to this code's tables, at once or not at all.

        Of several that begin at once, one does it and the others wait. Returns the names of the
        migrations that ran, with ``dry`` of those that would. Raises SchemaError for a newer one.
        """
        with self.schema_change() as connection:
            if schema_state(connection) == "newer":
                raise self.schema_error("newer")
            lacking = pending(connection)
            if lacking and not dry:
                to_head(connection)
        return lacking

    @property
    def _begin(self) -> str:
        return f"Begin an empty one: sreval study upgrade STUDY --begin{self._there}."

    @property
    def _there(self) -> str:
        """What tells a command of this file; a server is told of by SREVAL_DATABASE."""
        return f" --database {shlex.quote(str(self.file))}" if self.file else ""

    def schema_error(self, state: SchemaState) -> SchemaError:
        """The error for tables that aren't this code's."""
        if state == "newer":
            return SchemaError(
                f"{self.name} was written by a newer sreval.", "Install that version, or newer."
            )
        if state == "empty":
            return SchemaError(
                f"{self.name} is empty: it holds no study and no vote.",
                f"{self._begin} If it held votes, restore a backup.",
            )
        return SchemaError(
            f"{self.name} has older tables.",
            f"Run: sreval study backup STUDY{self._there}, then: sreval study upgrade "
            f"STUDY{self._there}",
        )

    @contextmanager
    def schema_change(self) -> Iterator[Connection]:
        """A write transaction that may change tables; raises as `begin`."""
        with (
            self._translated(),
            self._connected(_WRITE, SYNCHRONOUS) as connection,
        ):
            yield connection
            connection.commit()

    def dispose(self) -> None:
        """Close all connections."""
        if self._next_try < math.inf:
            self._try_to_truncate()
        self.engine.dispose()


def open_store(url: str, create: bool = False, *, older: bool = False) -> Store:
    """The database at ``url``: a SQLAlchemy URL, postgresql://..., or the path of a SQLite file.

    ``create`` makes the file and the tables where there are none; an older database is never
    changed by opening it. Raises StoreError when it is absent or can't be used, SchemaError
    when its tables are newer than this code, or older, unless ``older`` ones will do.
    """
    store = Store(url)
    try:
        if store.file is not None and create:
            make_file(store.file)
        elif store.file is not None and not store.file.exists():
            raise StoreError(
                f"There is no database {store.file}.",
                f"{store._begin} If its votes are elsewhere, name them by "
                f"{option('--database or SREVAL_DATABASE', 'SREVAL_DATABASE')}.",
            )
        state = store.check_schema()
        if state == "empty" and create:
            store.upgrade()
        elif state != "current" and not (older and state == "older"):
            raise store.schema_error(state)
    except BaseException:
        store.dispose()
        raise
    return store


def make_file(path: Path) -> None:
    """What people said of themselves is for its owner's eyes alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"Can't make {path}: {error.strerror}.", "Choose another place."
        ) from error


def _uri(path: Path) -> str:
    """Only `make_file` makes a file: where one was removed, SQLite would make an empty one."""
    return f"file:{quote(str(path))}?mode=rw"


def _engine(url: URL) -> Any:
    # the connection that was used last has most in its caches
    options: dict[str, Any] = {"pool_size": _POOL, "max_overflow": _POOL, "pool_use_lifo": True}
    path = _file(url)
    if path is not None:
        options["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        listeners: dict[str, Callable[..., None]] = {
            "connect": _on_connect,
            "handle_error": _drop_broken,
            "checkout": _Present(path),
        }
        url = url.set(database=_uri(path)).update_query_dict({"uri": "true"})
    else:
        options["connect_args"] = {"connect_timeout": BUSY_SECONDS, **_KEEPALIVE}
        listeners = {"connect": _on_connect, "checkout": _refuse_dead}
    try:
        engine = create_engine(url, pool_timeout=BUSY_SECONDS, hide_parameters=True, **options)
    except (ImportError, NoSuchModuleError):
        raise StoreError(
            f"The driver of {url.get_backend_name()} is not installed.",
            install("postgres"),
        ) from None
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    return engine


def _on_connect(connection: Any, record: Any) -> None:
    """A new connection that can't be prepared is closed; the pool only forgets it."""
    try:
        if isinstance(connection, sqlite3.Connection):
            _prepare_sqlite(connection)
        else:
            _prepare_postgresql(connection)
    except BaseException:
        connection.close()
        raise


def _prepare_sqlite(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None  # BEGIN is ours: the driver's own begins too late
    _write_ahead(connection)
    # What a rater had deleted is overwritten, not only unlinked (secure_delete).
    for pragma in (f"synchronous={SYNCHRONOUS}", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _write_ahead(connection: Any) -> None:
    """Turn the file to WAL; SQLite doesn't wait where several do so at once with a new file."""
    _until_free(lambda: connection.execute("PRAGMA journal_mode=WAL").fetchall())


def _begin_write(connection: Connection) -> None:
    """Begin to write as soon as no other process does.

    SQLite itself would look again after ever longer times, up to 100 ms, in which others that have
    just come begin before.
    """
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA busy_timeout=0")
    try:
        _until_free(lambda: driver.execute(_WRITE))
        connection.begin()  # tells SQLAlchemy alone, so that nothing within it commits
    except sqlite3.OperationalError:
        connection.exec_driver_sql(_WRITE)  # fails again, where the pool sees it
    finally:
        with suppress(sqlite3.ProgrammingError):  # a broken connection is closed by then
            driver.execute(f"PRAGMA busy_timeout={int(1000 * BUSY_SECONDS)}")


def _until_free(step: Callable[[], object]) -> None:
    """A step, again and again while another connection keeps the file locked; then it raises."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_LOOK)
        else:
            return


class _Present:
    """A connection to a file that was removed or replaced is given up, not voted into."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, connection: Any, record: Any, proxy: Any) -> None:
        try:
            found = self.path.stat()
        except OSError:
            raise InvalidatePoolError from None
        now = (found.st_dev, found.st_ino)
        if record.info.setdefault("file", now) != now:
            raise InvalidatePoolError


def _drop_broken(context: ExceptionContext) -> None:
    """Connections that SQLite opened while a file was read-only or failing stay so for ever."""
    code = getattr(context.original_exception, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _BROKEN:
        context.is_disconnect = True


def _prepare_postgresql(connection: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        cursor.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        # to compile a query takes longer than to run any of ours
        cursor.execute("SET jit = off")
    connection.commit()


def _refuse_dead(connection: Any, record: Any, proxy: Any) -> None:
    """A connection that died while it lay idle is replaced, not met by a rater's vote.

    Nothing is to be read from a live one between transactions; asking the server each time would
    take longer than that.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        if selector.select(timeout=0):
            raise InvalidatePoolError


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
