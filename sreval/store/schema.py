"""Migrations: which tables a database has, and how it gets those of this code.

Every command on a database asks whether its tables are current. Alembic, which takes as long to
import as SQLAlchemy's core, is needed only where tables are changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, MetaData, delete, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

SchemaState = Literal["empty", "current", "older", "newer"]

_LOCK = 0x53524556
"""PostgreSQL's advisory lock that servers starting at once queue for; any number would do."""

_LOCK_SECONDS = 120
"""How long: while another one makes or changes the tables."""

MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrations() -> list[str]:
    """The names of all migrations, oldest first: 0006_raters."""
    return sorted(path.stem for path in MIGRATIONS.glob("versions/[0-9]*.py"))


def _revision(name: str) -> str:
    return name.partition("_")[0]


def revisions() -> list[str]:
    """Every revision, oldest first: what the names of the migrations begin with."""
    return [_revision(name) for name in migrations()]


def revision_of(connection: Connection) -> str | None:
    """The revision of a database's tables, None when no migration ever ran."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def schema_state(connection: Connection) -> SchemaState:
    """Whether a database is empty, or its tables are current, older or newer than this code.

    Looked at in several steps, between which no other server changes the tables.
    """
    _lock(connection)
    found = revision_of(connection)
    if found is None:
        return "older" if inspect(connection).has_table("study") else "empty"
    known = revisions()
    if found == known[-1]:
        return "current"
    return "older" if found in known else "newer"


def pending(connection: Connection) -> list[str]:
    """The migrations that an empty or older database lacks, oldest first."""
    found = revision_of(connection) or ""
    return [name for name in migrations() if _revision(name) > found]


def to_head(connection: Connection) -> None:
    """Upgrade within the connection's transaction."""
    from alembic import command

    _lock(connection)
    command.upgrade(_config(connection), "head")


def to_base(connection: Connection) -> None:
    """Drop the tables within the connection's transaction, their rows first: older tables would
    refuse scores and kinds of items that they don't know."""
    from alembic import command

    _lock(connection)
    tables = MetaData()
    tables.reflect(connection)
    for table in reversed(tables.sorted_tables):
        if table.name != "alembic_version":
            connection.execute(delete(table))
    command.downgrade(_config(connection), "base")


def _lock(connection: Connection) -> None:
    """Wait until no other server looks at the tables or changes them; held by the transaction."""
    if connection.dialect.name == "postgresql":
        before = connection.scalar(text("SHOW lock_timeout"))
        for command, value in (
            ("SELECT set_config('lock_timeout', :value, true)", f"{_LOCK_SECONDS}s"),
            ("SELECT pg_advisory_xact_lock(:value)", _LOCK),
            ("SELECT set_config('lock_timeout', :value, true)", before),
        ):
            connection.execute(text(command), {"value": value})
