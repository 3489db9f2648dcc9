"""Databases that are locked, full, read-only, damaged or away: a remedy, and nothing lost."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sreval.errors import StoreError, UsageError
from sreval.store import database
from sreval.store.database import SYNCHRONOUS, Store, default_url, open_store, parse_url
from sreval.store.errors import BusyError
from sreval.store.sessions import RaterSession
from tests.store.conftest import Study


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a lock end after a second."""
    monkeypatch.setattr("sreval.store.database.BUSY_SECONDS", 1)


@pytest.fixture
def patient_study(impatient: None, database_url: str) -> Iterator[Study]:
    opened = open_store(database_url)
    yield Study(opened)
    opened.dispose()


def test_locked_database_is_busy_and_the_vote_can_be_sent_again(
    patient_study: Study, database_url: str
) -> None:
    study = patient_study
    session = study.rating()
    with open_store(database_url) as other, other.begin() as tx:
        tx.connection().exec_driver_sql("UPDATE session SET sitting = sitting")
        with pytest.raises(BusyError, match="locked"):
            study.vote(session, 1, key="one-vote")
    assert RaterSession(study.store, session).state().done == 0
    assert not study.vote(session, 1, key="one-vote").repeated


def test_a_waiting_writer_looks_each_millisecond(
    sqlite_study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, waited = sqlite_study.store, []
    other = sqlite3.connect(str(store.file), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 40:  # by then SQLite itself would look each 100 ms
            other.execute("ROLLBACK")

    monkeypatch.setattr("sreval.store.database.time.sleep", wait)
    with store.write() as connection:
        asked = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    other.close()
    assert waited == [0.001] * 40
    assert asked == 1000 * database.BUSY_SECONDS


def test_readers_never_wait_for_a_writer(patient_study: Study, database_url: str) -> None:
    study = patient_study
    session = study.rating()
    with open_store(database_url) as other, other.begin() as tx:
        tx.connection().exec_driver_sql("UPDATE session SET sitting = sitting")
        assert RaterSession(study.store, session).state().position == 1


@pytest.fixture
def sqlite_study(tmp_path: Path) -> Iterator[Study]:
    opened = open_store(str(tmp_path / "votes.sqlite"), create=True)
    yield Study(opened)
    opened.dispose()


def test_full_disk_refuses_a_vote_and_keeps_the_others(sqlite_study: Study) -> None:
    study = sqlite_study
    session = study.rating()
    study.vote(session, 1)
    with study.store.read() as tx:
        pages = tx.connection().exec_driver_sql("PRAGMA page_count").scalar_one()
    study.store.dispose()
    from sqlalchemy import event

    def limited(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(study.store.engine, "connect", limited)
    with pytest.raises(StoreError, match="disk is full"):
        RaterSession(study.store, session).device({"x": "y" * 200_000}, True)
    event.remove(study.store.engine, "connect", limited)
    study.store.dispose()
    assert RaterSession(study.store, session).state().done == 1
    study.vote(session, 2)


def test_file_that_nobody_may_write_is_named(sqlite_study: Study) -> None:
    study = sqlite_study
    session = study.rating()
    study.store.dispose()
    path = study.store.url.database
    from sqlalchemy import event

    event.listen(
        study.store.engine,
        "connect",
        lambda connection, _: connection.execute("PRAGMA query_only=1"),
    )
    with pytest.raises(StoreError, match=r"votes\.sqlite can't be written"):
        study.vote(session, 1)
    assert path is not None


def test_a_file_that_was_removed_takes_no_vote_until_it_is_back(sqlite_study: Study) -> None:
    study = sqlite_study
    session = study.rating()
    study.vote(session, 1)
    path = Path(str(study.store.url.database))
    with study.store.read() as tx:  # folds the log into the file, so that it can be moved alone
        tx.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    aside = path.rename(path.with_name("aside"))
    for _ in range(2):
        with pytest.raises(StoreError, match="can't be opened"):
            study.vote(session, 2)
    assert not path.exists()
    aside.rename(path)
    study.vote(session, 2)
    assert RaterSession(study.store, session).state().done == 2


def test_votes_go_to_the_file_that_took_the_place_of_another(
    sqlite_study: Study, tmp_path: Path
) -> None:
    study = sqlite_study
    session = study.rating()
    path = Path(str(study.store.url.database))
    with contextlib.closing(sqlite3.connect(path)) as source:
        source.execute("VACUUM INTO ?", (str(tmp_path / "copy"),))
    for name in ("votes.sqlite-wal", "votes.sqlite-shm"):
        (tmp_path / name).unlink()
    (tmp_path / "copy").rename(path)
    study.vote(session, 1)
    with contextlib.closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM vote").fetchone() == (1,)


def test_a_file_that_can_be_written_again_takes_votes_again(sqlite_study: Study) -> None:
    study = sqlite_study
    session = study.rating()
    study.store.dispose()
    readonly = [1]
    from sqlalchemy import event

    event.listen(
        study.store.engine,
        "connect",
        lambda connection, _: connection.execute(f"PRAGMA query_only={readonly[0]}"),
    )
    with pytest.raises(StoreError, match="can't be written"):
        study.vote(session, 1)
    readonly[0] = 0
    study.vote(session, 1)
    assert RaterSession(study.store, session).state().done == 1


@pytest.mark.parametrize("name", ["a b.sqlite", "was?#100%.sqlite", "größe:1.sqlite"])
def test_any_name_will_do_for_a_file(tmp_path: Path, name: str) -> None:
    opened = open_store(str(tmp_path / name), create=True)
    opened.dispose()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_folder_that_nobody_may_write_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="Can't make"):
        open_store(str(folder / "votes.sqlite"), create=True)


def test_folder_in_the_file_s_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't be opened"):
        open_store(str(tmp_path), create=True)


def test_file_in_the_folder_s_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(StoreError, match="Can't make"):
        open_store(str(tmp_path / "a" / "votes.sqlite"), create=True)


def test_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "votes.sqlite"
    path.write_text("my notes " * 1000)
    with pytest.raises(StoreError, match="isn't a database"):
        open_store(str(path), create=True)
    assert path.read_text() == "my notes " * 1000


def test_damaged_file_is_named(sqlite_study: Study) -> None:
    study = sqlite_study
    study.vote(study.rating(), 1)
    study.store.dispose()
    path = Path(str(study.store.url.database))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged|can't"):
        open_store(str(path))


def test_new_file_is_for_its_owner_alone(sqlite_study: Study) -> None:
    path = Path(str(sqlite_study.store.url.database))
    sqlite_study.enrol()
    assert {file.stat().st_mode & 0o777 for file in path.parent.glob("votes*")} == {0o600}


def test_absent_file_is_named_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "absent.sqlite"
    with pytest.raises(StoreError, match="There is no database") as refused:
        open_store(str(path))
    assert not path.exists()
    assert f"sreval study upgrade STUDY --begin --database {path}." in str(refused.value)


def test_server_that_is_away_is_named_without_the_password() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(StoreError, match="can't be reached") as refused:
        open_store(f"postgresql://u:s3cret@127.0.0.1:{port}/x")
    assert "s3cret" not in str(refused.value)


def test_database_that_the_server_lacks_is_named(postgresql_server: str) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        open_store(postgresql_server.format(database="nowhere"))


def test_user_whom_the_server_does_not_know_is_named(postgresql_server: str) -> None:
    url = postgresql_server.format(database="postgres").replace("sreval@", "mallory:s3cret@")
    with pytest.raises(StoreError) as refused:
        open_store(url)
    assert "s3cret" not in str(refused.value)
    assert "mallory" in str(refused.value)


def test_wrong_password_is_named(postgresql_server: str) -> None:
    """The words of libpq, since this test's server trusts everybody."""
    import psycopg
    from sqlalchemy.exc import OperationalError

    said = 'connection failed: FATAL:  password authentication failed for user "u"'
    original = psycopg.OperationalError(said)
    error = database.database_error("db", OperationalError("", {}, original))
    assert "refuses this user or password" in str(error)


@pytest.fixture
def server_study(new_database: Callable[[str], str]) -> Iterator[Study]:
    opened = open_store(new_database("postgresql"))
    yield Study(opened)
    opened.dispose()


def end_all_connections(store: Store) -> None:
    """As when the server is started anew."""
    with store.engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_server_that_goes_away_and_comes_back_is_used_again(server_study: Study) -> None:
    study = server_study
    session = study.rating()
    study.vote(session, 1)
    end_all_connections(study.store)
    study.vote(session, 2)
    assert RaterSession(study.store, session).state().done == 2


def test_connection_that_dies_within_a_transaction_stores_nothing(server_study: Study) -> None:
    study = server_study
    session = study.rating()

    def interrupted() -> None:
        with study.store.begin() as tx:
            tx.connection().exec_driver_sql("UPDATE session SET done = 5")
            end_all_connections(study.store)

    with pytest.raises(StoreError):
        interrupted()
    assert RaterSession(study.store, session).state().done == 0


def test_durability_is_what_is_promised(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SYNCHRONOUS", SYNCHRONOUS)  # as it is outside the tests
    with open_store(database_url) as store, store.read() as tx:
        connection = tx.connection()
        if store.sqlite:
            told = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
            assert told == {
                "journal_mode": "wal",
                "synchronous": 2,
                "foreign_keys": 1,
                "busy_timeout": 10_000,
            }
        else:
            told = connection.exec_driver_sql("SHOW synchronous_commit").scalar_one()
            assert told == "on"


@pytest.mark.parametrize(
    "url",
    ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql://u:s3cret@h:port/x", "://"],
)
def test_url_that_cant_be_meant_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///FILE or postgresql://") as refused:
        parse_url(url)
    assert "s3cret" not in str(refused.value)


def test_study_of_the_package_takes_no_votes_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sreval.content import packaged

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_DATABASE", raising=False)
    with pytest.raises(UsageError, match="sreval study new"):
        default_url(packaged("studies") / "quick", None)
    own = tmp_path / "studies" / "mine"
    assert default_url(own, None) == f"sqlite:///{own}/votes.sqlite"
    assert default_url(packaged("studies") / "quick", "x.sqlite") == "x.sqlite"
    monkeypatch.setenv("SREVAL_DATABASE", "postgresql:///s")
    assert default_url(own, None) == "postgresql:///s"


def test_what_only_marks_leaves_votes_as_durable_as_before(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.store.database.SYNCHRONOUS", "FULL")
    asked = "PRAGMA synchronous" if study.store.sqlite else "SHOW synchronous_commit"
    marked, durable = (1, 2) if study.store.sqlite else ("off", "on")
    with study.store.mark() as connection:
        assert connection.exec_driver_sql(asked).scalar() == marked
    with study.store.begin() as tx:
        assert tx.connection().exec_driver_sql(asked).scalar() == durable
