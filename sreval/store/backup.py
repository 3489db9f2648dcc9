"""Backup of a running study, and restore.

SQLite is copied by its own online backup; the copy is a database like any other. PostgreSQL is
dumped as a zip of JSON lines, one file a table, read in one REPEATABLE READ transaction. Either
can be restored into either.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, MetaData, Table, func, inspect, select, text

from sreval.errors import StoreError, UsageError, option
from sreval.files import atomic_file, temporary_beside, write_error
from sreval.store import audit
from sreval.store.database import Store, make_file, open_store
from sreval.store.errors import SchemaError, StateError
from sreval.store.schema import revision_of, revisions, schema_state, to_head, to_revision
from sreval.store.urls import parse_url, sqlite_path

FORMAT = 1
_MANIFEST = "backup.json"
Rows = list[dict[str, Any]]


def backup(url: str, path: Path, *, who: str = audit.COMMAND_LINE) -> Path:
    """Copy a database, also while it is written to, to the new file ``path``.

    The audit log of the original says so. Raises UsageError when ``path`` exists, StoreError
    when the database can't be read.
    """
    if path.exists():
        raise UsageError(f"{path} exists already.", "Name a new file.")
    store = open_store(url)
    try:
        source = sqlite_path(store.url)
        if source is not None:
            _copy_sqlite(source, path)
        else:
            _dump(store, path)
        _record(store, who, "backup", path)
    finally:
        store.dispose()
    return path


def _record(store: Store, who: str, action: str, path: Path) -> None:
    with store.begin() as tx:
        audit.record(tx, store.clock(), who, action, None, file=path.name)


def _copy_sqlite(source: Path, path: Path) -> None:
    partial = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.closing(sqlite3.connect(source, timeout=10)) as original,
            contextlib.closing(sqlite3.connect(partial)) as copy,
        ):
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
            (sound,) = copy.execute("PRAGMA quick_check").fetchone()
        if sound != "ok":
            raise StoreError(f"The copy of {source} is damaged: {sound}.", "Check the disk.")
        partial.chmod(0o600)
        partial.replace(path)
    except sqlite3.Error as error:
        raise StoreError(f"Can't back up {source}: {error}.", "Free space, or check it.") from error
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _dump(store: Store, path: Path) -> None:
    with (
        store.read() as tx,
        atomic_file(path) as handle,
        zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        connection = tx.connection()
        archive.writestr(
            _MANIFEST, json.dumps({"format": FORMAT, "revision": revision_of(connection)})
        )
        for table in _tables(connection):
            with archive.open(f"{table.name}.jsonl", "w") as lines:
                for row in connection.execute(_ordered(table)).mappings():
                    line = json.dumps(dict(row), default=dt.datetime.isoformat)
                    lines.write(line.encode() + b"\n")
    path.chmod(0o600)


def restore(
    path: Path, url: str, *, overwrite: bool = False, who: str = audit.COMMAND_LINE
) -> None:
    """Replace a database by a backup, at once or not at all.

    The audit log that came with it says so. Raises StateError when that database holds votes,
    unless ``overwrite``; StoreError for a file that isn't a backup; SchemaError for one of a newer
    version.
    """
    revision, tables = _read(path)
    if revision not in revisions():
        raise SchemaError(f"{path} was written by a newer sreval.", "Install that version.")
    target = parse_url(url)
    file = sqlite_path(target)
    if file is not None:
        make_file(file)
    store = Store(target)
    try:
        with store.schema_change() as connection:
            if _holds_votes(connection) and not overwrite:
                raise StateError(
                    f"{store.name} holds votes, which a restore would delete.",
                    f"Back it up, then add {option('--overwrite', 'overwrite=True')}; or restore "
                    "into another database.",
                )
            if schema_state(connection) != "empty":
                to_revision(connection, "base")
            to_revision(connection, revision)
            _load(connection, tables)
            to_head(connection)
        _record(store, who, "restore", path)
    finally:
        store.dispose()


def _holds_votes(connection: Connection) -> bool:
    if not inspect(connection).has_table("vote"):
        return False
    return connection.execute(text("SELECT EXISTS (SELECT 1 FROM vote)")).scalar_one() in (1, True)


def _tables(connection: Connection) -> list[Table]:
    """The tables that are there, referred ones first."""
    found = MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def _ordered(table: Table) -> Any:
    return select(table).order_by(*table.primary_key.columns)


def _load(connection: Connection, content: dict[str, Rows]) -> None:
    for table in _tables(connection):
        rows = content.get(table.name, [])
        times = [c.name for c in table.columns if isinstance(c.type, DateTime)]
        for row in rows:
            for name in times:
                row[name] = _time(row[name], connection.dialect.name)
        if rows:
            connection.execute(table.insert(), rows)
        if connection.dialect.name == "postgresql" and "id" in table.columns:
            _set_sequence(connection, table)


def _set_sequence(connection: Connection, table: Table) -> None:
    """The next id after those that were brought along."""
    sequence = connection.scalar(select(func.pg_get_serial_sequence(f'"{table.name}"', "id")))
    highest = connection.scalar(select(func.max(table.c.id)))
    if sequence is not None and highest is not None:
        connection.execute(select(func.setval(sequence, highest)))


def _time(value: Any, dialect: str) -> dt.datetime | None:
    if value is None:
        return None
    time = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    time = time if time.tzinfo else time.replace(tzinfo=dt.UTC)
    return time.astimezone(dt.UTC).replace(tzinfo=None if dialect == "sqlite" else dt.UTC)


def _read(path: Path) -> tuple[str, dict[str, Rows]]:
    """A backup's revision and rows. Raises StoreError for what is none."""
    remedy = "Name a file written by: sreval study backup."
    try:
        with path.open("rb") as handle:
            head = handle.read(16)
        if head.startswith(b"SQLite format 3"):
            return _read_sqlite(path)
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(_MANIFEST))
            names = [name for name in archive.namelist() if name != _MANIFEST]
            tables = {
                name.removesuffix(".jsonl"): [
                    json.loads(line) for line in archive.read(name).splitlines()
                ]
                for name in names
            }
        if manifest["format"] != FORMAT:
            raise SchemaError(f"{path} was written by a newer sreval.", "Install that version.")
        return manifest["revision"], tables
    except OSError as error:
        raise StoreError(f"Can't read {path}: {error.strerror or error}.", remedy) from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{path} isn't a backup ({error}).", remedy) from None


def _read_sqlite(path: Path) -> tuple[str, dict[str, Rows]]:
    # A copy, because opening it makes files beside it, and a backup may lie where nobody writes.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        copy.write_bytes(path.read_bytes())
        store = Store(parse_url(f"sqlite:///{copy}"))
        try:
            with store.read() as tx:
                connection = tx.connection()
                revision = revision_of(connection)
                if revision is None:
                    raise ValueError("it has no tables of sreval")
                tables = {
                    table.name: [dict(r) for r in connection.execute(_ordered(table)).mappings()]
                    for table in _tables(connection)
                }
        finally:
            store.dispose()
    return revision, tables
