"""Migrations: which tables a database has, and how it gets those of this code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

SchemaState = Literal["empty", "current", "older", "newer"]

_LOCK = 0x53524556
"""PostgreSQL's advisory lock that two servers starting at once queue for; any number would do."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision of this code's tables."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def revisions() -> list[str]:
    """Every revision, oldest first."""
    walked = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in walked][::-1]


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's tables, None when no migration ever ran."""
    return MigrationContext.configure(connection).get_current_revision()


def schema_state(connection: Connection) -> SchemaState:
    """Whether a database is empty, or its tables are current, older or newer than this code."""
    found = revision_of(connection)
    if found is None:
        return "older" if inspect(connection).has_table("study") else "empty"
    if found == head():
        return "current"
    return "older" if found in revisions() else "newer"


def to_head(connection: Connection) -> None:
    """Upgrade within the connection's transaction."""
    _lock(connection)
    command.upgrade(_config(connection), "head")


def to_revision(connection: Connection, revision: str) -> None:
    """Upgrade or downgrade to a revision, 'base' being none, within the connection's transaction.

    A downgrade drops what the older tables can't hold.
    """
    _lock(connection)
    order = ["base", *revisions()]
    down = order.index(revision) < order.index(revision_of(connection) or "base")
    (command.downgrade if down else command.upgrade)(_config(connection), revision)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
