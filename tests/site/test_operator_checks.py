"""`sreval serve --check`, and `sreval operator`."""

from __future__ import annotations

import datetime as dt
import io
import json
import resource
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, select, update

from sreval.errors import UsageError
from sreval.site.checks import check_site
from sreval.site.config import SECRET, SiteConfig
from sreval.store.database import open_store
from sreval.store.models import Study, Vote
from sreval.store.operators import Operators
from tests.conftest import Ran
from tests.site.conftest import MakeSite, Visitor, freeze

pytestmark = pytest.mark.usefixtures("quick_hashes")
Run = Callable[..., Ran]
NAMES = ["study", "stimuli", "database", "folders", "secret", "clock", "disk"]


def config_of(folder: Path, **options: object) -> SiteConfig:
    given = {"study": folder, "database": str(folder / "votes.sqlite")}
    return SiteConfig.given(**{**given, **options})


def failing(config: SiteConfig) -> dict[str, str]:
    """What doesn't hold, by name."""
    found = list(check_site(config, lambda *_: None))
    assert [check.name for check in found] == NAMES[: len(found)]
    return {check.name: check.found for check in found if not check.ok}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A frozen study that was never served."""
    return freeze(tmp_path / "study")


def test_study_that_was_never_served_may_be_and_nothing_is_made(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    assert failing(config_of(folder)) == {}
    assert sorted(folder.rglob("*")) == before


def test_study_with_votes_may_be_served(make_site: MakeSite, database_url: str) -> None:
    visitor = make_site(ratings=((3,),), database=database_url)
    config = visitor.app.extensions["sreval"].config
    assert failing(config) == {}
    found = {check.name: check.found for check in check_site(config, lambda *_: None)}
    assert "13 votes" in found["database"]


def test_every_stimulus_is_hashed_and_the_damaged_one_named(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    list(check_site(config_of(folder), lambda *count: told.append(count)))
    assert told == [(n, 9) for n in range(1, 10)]
    first, second = sorted(folder.glob("stimuli/*.png"))[:2]
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    assert first.name in failing(config_of(folder))["stimuli"]
    second.unlink()
    assert "And 1 more" in failing(config_of(folder))["stimuli"]


def test_design_that_cannot_be_read_ends_the_checks(folder: Path) -> None:
    (folder / "study.toml").write_text("name = 3")
    assert "study.toml" in failing(config_of(folder))["study"]


def test_file_that_is_no_database(folder: Path) -> None:
    (folder / "votes.sqlite").write_text("no database at all" * 100)
    assert "isn't a database" in failing(config_of(folder))["database"]


def test_file_of_no_bytes_is_called_empty_by_all_that_open_it(sreval: Run, folder: Path) -> None:
    """The site makes its tables; whoever expected votes there is told what to do."""
    (folder / "votes.sqlite").touch()
    found = {check.name: check for check in check_site(config_of(folder), lambda *_: None)}
    assert found["database"].ok
    assert "is empty; its tables are made when the site first starts" in found["database"].found
    for command in ("status", "backup", "export"):
        ran = sreval("study", command, folder)
        assert ran.code == 1
        assert "is empty: it holds no study and no vote" in ran.err
        assert "restore a backup" in ran.err


def test_database_that_cannot_be_reached(folder: Path) -> None:
    url = "postgresql://nobody@localhost:1/none"
    assert "can't be reached" in failing(config_of(folder, database=url))["database"]


def test_database_with_older_tables(folder: Path, later_version: Callable[[], None]) -> None:
    open_store(str(folder / "votes.sqlite"), create=True).dispose()
    later_version()
    assert "sreval study upgrade" in failing(config_of(folder))["database"]


def test_database_with_votes_for_other_stimuli(make_site: MakeSite, tmp_path: Path) -> None:
    visitor = make_site(ratings=((3,),))
    database = visitor.app.extensions["sreval"].config.database
    other = freeze(tmp_path / "other", swap=True)
    told = failing(config_of(other, database=database))
    assert "other stimuli of small" in told["database"]


def test_folder_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = failing(config_of(folder, database=str(tmp_path / "file" / "votes.sqlite")))
    assert str(tmp_path / "file") in told["folders"]


@pytest.mark.parametrize(("content", "mode"), [("s" * 64, 0o644), ("short", 0o600)])
def test_secret_that_others_can_read_or_guess(folder: Path, content: str, mode: int) -> None:
    (folder / SECRET).write_text(content)
    (folder / SECRET).chmod(mode)
    assert SECRET in failing(config_of(folder))["secret"]
    assert failing(config_of(folder, secret="s" * 64)) == {}


def test_clock_that_lies_before_the_newest_vote(make_site: MakeSite) -> None:
    visitor = make_site(ratings=((3,),))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)
    with visitor.store.begin() as tx:
        tx.execute(update(Vote).where(Vote.position == 1).values(stored_at=later))
    told = failing(visitor.app.extensions["sreval"].config)
    assert f"{later:%Y-%m-%d %H:%M}" in told["clock"]


def test_clock_that_lies_before_this_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    monkeypatch.setattr("sreval.site.checks.WRITTEN", soon)
    assert "before this code" in failing(config_of(folder))["clock"]


def test_disk_that_is_nearly_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, 2**29))
    assert "0.5 GiB free" in failing(config_of(folder))["disk"]


def test_command_prints_a_line_a_check_and_serves_nothing(sreval: Run, folder: Path) -> None:
    ran = sreval("serve", folder, "--check")
    assert ran.code == 0
    assert [line.split()[:2] for line in ran.out.splitlines()] == [["ok", name] for name in NAMES]
    next(folder.glob("stimuli/*.png")).unlink()
    ran = sreval("serve", folder, "--check", "--json")
    assert ran.code == 1
    told = json.loads(ran.out)
    assert not told["ok"]
    assert {c["name"]: c["ok"] for c in told["checks"]} == {n: n != "stimuli" for n in NAMES}
    assert not (folder / "votes.sqlite").exists()


def test_json_belongs_to_check(sreval: Run, folder: Path) -> None:
    assert sreval("serve", folder, "--json").code == 2


def test_health_tells_a_database_that_is_gone(visitor: Visitor) -> None:
    answer = visitor.client.get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert len(answer.headers["X-Request-ID"]) == 16
    path = Path(visitor.app.extensions["sreval"].config.database)
    visitor.store.dispose()
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    path.mkdir()
    assert visitor.client.get("/health").status_code == 503


def test_health_fails_while_no_vote_can_be_stored(visitor: Visitor) -> None:
    """Held against a vote, while no file may grow and while the database is read-only."""
    place = visitor.to_rating()["position"]
    before = sorted(Path(visitor.app.extensions["sreval"].config.study).iterdir())

    def stored() -> tuple[int, int]:
        nonlocal place
        health = visitor.client.get("/health").status_code
        voted = visitor.vote(place).status_code
        place += voted == 200
        return health, voted

    assert stored() == (200, 200)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        found = stored()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found == (503, 503)
    assert stored() == (200, 200)
    visitor.store.dispose()

    def readonly(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA query_only=1")

    event.listen(visitor.store.engine, "connect", readonly)
    assert stored() == (503, 503)
    event.remove(visitor.store.engine, "connect", readonly)
    visitor.store.dispose()
    assert stored() == (200, 200)
    assert sorted(Path(visitor.app.extensions["sreval"].config.study).iterdir()) == before


def test_health_of_both_databases_changes_nothing(make_site: MakeSite, database_url: str) -> None:
    visitor = make_site(database=database_url)
    with visitor.store.read() as tx:
        rows = [tuple(row) for row in tx.execute(select(Study.__table__))]
    for _ in range(3):
        assert visitor.client.get("/health").status_code == 200
    with visitor.store.read() as tx:
        assert [tuple(row) for row in tx.execute(select(Study.__table__))] == rows


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://study.example.org", "https://study.example.org"),
        ("https://STUDY.Example.org:443/", "https://study.example.org"),
        ("HTTP://LOCALHOST:8000", "http://localhost:8000"),
        ("http://study.example.org:80", "http://study.example.org"),
        ("https://study.example.org:80", "https://study.example.org:80"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://XN--BCHER-KVA.example", "https://xn--bcher-kva.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        *((url, "") for url in ("x.org", "javascript:1", "ftp://x.org", "https://", "//x.org",
          "https://x.org/path", "https://x.org?q", "https://u@x.org", "https://x.org:99999",
          "https://x.org:port", "https://a b", "https://a..b", "http://[::g]", "https://-x.org")),
    ],
)  # fmt: skip
def test_base_url_is_what_browsers_call_the_site(
    sreval: Run, folder: Path, url: str, same: str
) -> None:
    """As the URL standard serialises an origin (https://url.spec.whatwg.org/#origin)."""
    ran = sreval("study", "invite", folder, "--base-url", url)
    if same:
        assert ran.out.strip().rpartition("/r/")[0] == same
        assert config_of(folder, base_url=url).base_url == same
        return
    assert ran.code == 2
    assert "--base-url" in ran.err
    assert "https://study.example.org" in ran.err
    with pytest.raises(UsageError, match=r"https://study\.example\.org"):
        config_of(folder, base_url=url)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What stands on stdin."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_accounts_by_command(sreval: Run, folder: Path, typed: Callable[[str], None]) -> None:
    study = ("--study", folder)
    typed("correct horse battery\n")
    ran = sreval("operator", "add", "ada", "--role", "owner", *study, "--password-stdin")
    assert (ran.code, ran.err) == (0, "")
    listed = json.loads(sreval("operator", "list", *study, "--json").out)
    assert [(row["name"], row["role"]) for row in listed] == [("ada", "owner")]
    store = open_store(str(folder / "votes.sqlite"))
    token = Operators(store).log_in("ada", "correct horse battery")
    typed("another good password\r\n")
    assert sreval("operator", "password", "ada", *study, "--password-stdin").code == 0
    assert Operators(store).logged_in(token) is None
    assert Operators(store).log_in("ada", "another good password")
    ran = sreval("operator", "link", "ada", *study, "--base-url", "https://rate.example.org/")
    address, _, token = ran.out.strip().rpartition("/")
    assert address == "https://rate.example.org/operator/login"
    assert Operators(store).use_link(token)[0] == "ada"
    assert sreval("operator", "link", "bob", *study).code == 2
    assert sreval("operator", "remove", "ada", *study).code == 0
    assert Operators(store).listing() == []
    store.dispose()
    assert "Nobody" in sreval("operator", "list", *study).err


@pytest.mark.parametrize(
    ("name", "password", "told"),
    [
        ("ada", "short", "12 to 1000 characters, not 5"),
        ("ada", "x" * 1001, "not 1001"),
        ("a long enough name", "A long enough name", "is the name"),
        ("taken", "correct horse battery", "already"),
        (" ada", "correct horse battery", "no space at its ends"),
        ("a\nb", "correct horse battery", "printable"),
        ("command line", "correct horse battery", "isn't 'command line'"),
        ("x" * 101, "correct horse battery", "1 to 100"),
    ],
)
def test_unfit_account_is_refused(
    sreval: Run, folder: Path, typed: Callable[[str], None], name: str, password: str, told: str
) -> None:
    store = open_store(str(folder / "votes.sqlite"), create=True)
    Operators(store).add("taken", "viewer", "correct horse battery")
    typed(password + "\n")
    command = ("operator", "add", name, "--role", "owner", "--study", folder, "--password-stdin")
    ran = sreval(*command)
    assert ran.code == 2
    assert told in ran.err
    assert password not in ran.err or password == "short"
    assert [row.name for row in Operators(store).listing()] == ["taken"]
    store.dispose()


def test_unknown_operator_and_lack_of_a_terminal_are_told(
    sreval: Run, folder: Path, typed: Callable[[str], None]
) -> None:
    study = ("--study", folder)
    typed("")
    ran = sreval("operator", "add", "ada", "--role", "viewer", *study)
    assert ran.code == 2
    assert "--password-stdin" in ran.err
    open_store(str(folder / "votes.sqlite"), create=True).dispose()
    assert "There is no operator" in sreval("operator", "remove", "bob", *study).err
    with sqlite3.connect(folder / "votes.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM operator").fetchone() == (0,)
    connection.close()
    typed("correct horse battery\n")
    sreval("operator", "add", "ada", "--role", "viewer", *study, "--password-stdin")
    assert "Did you mean 'ada'" in sreval("operator", "remove", "adda", *study).err
