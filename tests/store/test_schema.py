"""Migrations, on both databases: up, down, with rows, and what the models say."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, MetaData, inspect, select, text, update

from sreval.errors import StoreError
from sreval.store import frames, schema
from sreval.store.database import Store, make_file, open_store
from sreval.store.errors import SchemaError
from sreval.store.models import Base, Session
from sreval.store.raters import Raters
from tests.store.conftest import Study

NewDatabase = Callable[..., str]


def rows_of(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, as the database has it."""
    with store.engine.connect() as connection:
        found = MetaData()
        found.reflect(connection)
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in found.sorted_tables
            if table.name != "alembic_version"
        }


def test_migrated_tables_are_exactly_those_of_the_models(store: Store) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_migrated_tables_refuse_what_the_models_refuse(store: Store) -> None:
    """Alembic compares no CHECK and no rule of deletion."""
    with store.engine.connect() as connection:
        seen = inspect(connection)
        for table in Base.metadata.sorted_tables:
            checks = {c["name"] for c in seen.get_check_constraints(table.name)}
            assert checks == {c.name for c in table.constraints if isinstance(c, CheckConstraint)}
            rules = {
                key["name"]: key["options"].get("ondelete")
                for key in seen.get_foreign_keys(table.name)
            }
            assert rules == {key.name: key.ondelete for key in table.foreign_key_constraints}


def test_an_older_database_is_upgraded_with_rows_in_place(
    study: Study, later_version: Callable[[], None]
) -> None:
    session = study.rating()
    study.vote_all(session, upto=7)
    gone = study.rating()
    study.vote(gone, 1)
    Raters(study.store, study.name).delete(study_rater(study, gone))
    before = rows_of(study.store)
    assert before["vote"]
    assert before["tombstone"]
    later_version()
    assert study.store.check_schema() == "older"
    study.store.upgrade()
    assert study.store.check_schema() == "current"
    after = rows_of(study.store)
    assert after.pop("study") == [(*row, None) for row in before.pop("study")]
    assert after == before
    study.vote(session, 8)


def study_rater(study: Study, session: str) -> str:
    table = frames.tables(study.store, study.name)["sessions"]
    return str(table.loc[table["session"] == session, "rater"].item())


def test_base_leaves_nothing_and_head_comes_back(store: Store) -> None:
    with store.schema_change() as connection:
        schema.to_base(connection)
    with store.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    assert store.check_schema() == "empty"
    store.upgrade()
    assert store.check_schema() == "current"


def test_migration_that_fails_leaves_the_old_tables(
    study: Study, monkeypatch: pytest.MonkeyPatch, later_version: Callable[[], None]
) -> None:
    study.rating()
    later_version()
    before = rows_of(study.store)

    def broken(connection: object) -> None:
        schema.to_head(connection)  # type: ignore[arg-type]
        raise RuntimeError("killed")

    monkeypatch.setattr("sreval.store.database.to_head", broken)
    with pytest.raises(RuntimeError):
        study.store.upgrade()
    assert study.store.check_schema() == "older"
    assert rows_of(study.store) == before


def test_older_tables_are_named_with_the_remedy_and_not_changed(
    store: Store, later_version: Callable[[], None]
) -> None:
    later_version()
    for create in (False, True):
        with pytest.raises(SchemaError, match=r"older.*sreval study upgrade"):
            open_store(store.url.render_as_string(hide_password=False), create=create)
    assert store.check_schema() == "older"


def test_newer_tables_are_refused_by_opening_and_by_upgrade(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="newer"):
        open_store(store.url.render_as_string(hide_password=False))
    with pytest.raises(SchemaError, match="newer"):
        store.upgrade()


def test_of_upgrades_at_once_one_does_the_work(
    study: Study, later_version: Callable[[], None], race: Callable[..., list[object]]
) -> None:
    session = study.rating()
    study.vote(session, 1)
    later_version()
    url = study.store.url.render_as_string(hide_password=False)

    def upgrade(_: int) -> list[str]:
        with Store(url) as store:
            return store.upgrade()

    assert sorted(race(upgrade, 4), key=repr) == [["9998_later"], [], [], []]
    assert study.store.upgrade(dry=True) == []
    study.vote(session, 2)


@pytest.mark.parametrize("time", range(5))
def test_servers_that_start_at_once_make_the_tables_once(
    database_kind: str, new_database: NewDatabase, race: Callable[..., list[object]], time: int
) -> None:
    url = new_database(database_kind, tables=False)
    opened = race(lambda _: open_store(url, create=True), 4)
    assert [type(one) for one in opened] == [Store] * 4
    for one in opened:
        assert isinstance(one, Store)
        assert one.check_schema() == "current"
        one.dispose()


def test_a_server_that_starts_while_another_makes_the_tables_waits_and_looks_again(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins when this one has looked for the tables' version, and for no table."""
    url = new_database("postgresql", tables=False)
    others: list[threading.Thread] = []
    look = schema.revision_of
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def looked(connection: Connection) -> str | None:
        found = look(connection)
        if not others:
            others.append(threading.Thread(target=lambda: open_store(url, create=True).dispose()))
            others[0].start()
            while others[0].is_alive() and not connection.scalar(waiting):
                others[0].join(0.01)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(schema, "revision_of", looked)
        store = open_store(url, create=True)
    others[0].join()
    assert store.check_schema() == "current"
    store.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_connection_that_cannot_be_prepared_is_closed(
    kind: str, new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, made = new_database(kind), []

    def fail(connection: Any) -> None:
        made.append(connection)
        raise sqlite3.DatabaseError("no")

    monkeypatch.setattr("sreval.store.database._prepare_sqlite", fail)
    monkeypatch.setattr("sreval.store.database._prepare_postgresql", fail)
    with pytest.raises((StoreError, sqlite3.DatabaseError)):
        open_store(url)
    (connection,) = made
    if kind == "postgresql":
        assert connection.closed
    else:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_database_without_our_tables_is_named_so(
    database_kind: str, new_database: NewDatabase
) -> None:
    url = new_database(database_kind, tables=False)
    if database_kind == "sqlite":
        make_file(Path(url.removeprefix("sqlite:///")))
    with pytest.raises(SchemaError, match="is empty: it holds no study and no vote"):
        open_store(url)


def test_the_revisions_are_those_that_alembic_walks() -> None:
    scripts = ScriptDirectory(str(schema.MIGRATIONS))
    walked = [script.revision for script in scripts.walk_revisions()]
    assert schema.revisions() == walked[::-1]
    assert schema.revisions()[-1] == scripts.get_current_head()


def test_every_step_down_and_up_keeps_every_vote_and_item(study: Study) -> None:
    """SQLite makes some tables anew: what hangs on the old one by a foreign key must stay."""
    session = study.rating()
    for position in (1, 2, 3):
        study.vote(session, position)
    with study.store.begin() as tx:
        tx.execute(update(Session).values(language=None))  # as in sessions of older versions
    before = rows_of(study.store)
    assert len(before["vote"]) == 3
    known = schema.revisions()
    for older in known[known.index("0003") : -1]:
        with study.store.schema_change() as connection:
            command.downgrade(schema._config(connection), older)
        with study.store.schema_change() as connection:
            schema.to_head(connection)
        assert rows_of(study.store) == before
