"""docs/how-to/runbook.md: its commands, run as printed and twice, while raters vote.

Stand-ins play runuser, chown, systemctl, pip and createdb. systemctl does what
docs/deploy/sreval.service says; the new version that pip brings has a migration more.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.durability import compare
from benchmarks.site import links, noise_study
from benchmarks.timing import ROOT
from benchmarks.walks import WalkError
from sreval.store import schema
from sreval.store.database import Store, open_store
from sreval.store.operators import LoginError, Operators
from sreval.store.studies import Studies
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest
from sreval.study.respondent import Response
from tests.load.visitor import Visit, Visitor

PAGE = ROOT / "docs" / "how-to" / "runbook.md"
UNIT = ROOT / "docs" / "deploy" / "sreval.service"

SYSTEMCTL = """\
#!/bin/sh -e
set -a; . {settings}; set +a
stop() {{ [ ! -e {pid} ] || kill -TERM $(cat {pid}); while [ -e {pid} ]; do sleep 0.05; done; }}
start() {{
    [ ! -e {pid} ] || return 0
    cd {home}; {start} --bind 127.0.0.1:{port} --pid {pid} >>{log} 2>&1 & {started}
}}
case $* in
"start sreval" | "enable --now sreval sreval-backup.timer") start ;;
"stop sreval" | "disable --now sreval sreval-backup.timer") stop ;;
"restart sreval") stop; start ;;
*) exit 5 ;;
esac
"""
PIP = """\
#!/bin/sh -e
case "$*" in
"wheel --wheel-dir /opt/wheels /opt/sreval-0."?".0[postgres,prometheus]") ;;
*" --find-links /opt/wheels "*==0.2.0) rm -f {site}/sitecustomize.py ;;
*" --find-links /opt/wheels "*==0.3.0) cp {site}/newer.py {site}/sitecustomize.py ;;
*) exit 6 ;;
esac
"""
CREATEDB = """\
#!/bin/sh -e
[ "$*" = "--owner=sreval votes" ] && exec mkdir {made}
"""
RUNUSER = """\
#!/bin/sh -e
case $* in "-u sreval -- "* | "-u postgres -- "*) shift 3 ;; *) exit 6 ;; esac
exec "$@"
"""
NEWER = (
    "from pathlib import Path\nfrom sreval.store import schema\nschema.MIGRATIONS = Path({!r})\n"
)


class Host:
    """A machine in a folder: its programs, its settings, the study, and how to type on it."""

    def __init__(self, folder: Path, workers: int, more: Mapping[str, str] = {}) -> None:
        self.home, self._programs, site = (folder / name for name in ("home", "bin", "site"))
        self.settings, self.log = folder / "sreval.env", folder / "log"
        self._pid = folder / "pid"
        for each in (self.home / "studies", self._programs, site):
            each.mkdir(parents=True)
        self.study = noise_study(self.home / "studies" / "mine", images=3, raters=4)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        given = {"SREVAL_STUDY": str(self.study), "WEB_CONCURRENCY": str(workers), **more}
        given["SREVAL_CREATE_TABLES"] = "no"
        self.settings.write_text("".join(f"{name}='{value}'\n" for name, value in given.items()))
        self.replaced = {
            "/etc/sreval.env": str(self.settings),
            "/var/lib/sreval": str(self.home),
            "/opt/sreval/bin": str(self._programs),
            "https://study.example.org": self.url,
            "http://127.0.0.1:8000": self.url,
            "backups/mine-": f"backups/{load_design(self.study).name}-",
        }
        unit = dict(re.findall(r"^(ExecStart\w*)=(.*)$", UNIT.read_text(), re.MULTILINE))
        places = {"home": self.home, "settings": self.settings, "pid": self._pid, "log": self.log}
        places |= {"port": self.port, "site": site, "made": folder / "made"}
        lines = {"start": unit["ExecStart"], "started": unit["ExecStartPost"]}
        python = shlex.quote(sys.executable)
        self._program("sreval", f'#!/bin/sh\nexec {python} -m sreval "$@"\n')
        self._program("gunicorn", f'#!/bin/sh\nexec {python} -m gunicorn "$@"\n')
        self._program("runuser", RUNUSER)
        self._program("chown", '#!/bin/sh\n[ "$*" = "--recursive sreval: studies backups" ]\n')
        self._program("systemctl", self.here(SYSTEMCTL.format(**places, **lines)))
        self._program("pip", PIP.format(**places))
        self._program("createdb", CREATEDB.format(**places))
        self.newer = site / "migrations"
        shutil.copytree(schema.MIGRATIONS, self.newer)
        (self.newer / "versions" / "9998_later.py").write_text(
            "import sqlalchemy as sa\nfrom alembic import op\n"
            f"revision, down_revision = '9998', {schema.revisions()[-1]!r}\n"
            "def upgrade():\n"
            "    op.add_column('study', sa.Column('later', sa.Text(), nullable=True))\n",
            encoding="utf-8",
        )
        (site / "newer.py").write_text(NEWER.format(str(self.newer)))
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        known = {k: v for k, v in os.environ.items() if not k.startswith("SREVAL_")}
        self._environment = {**known, "PATH": path, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}

    def _program(self, name: str, text: str) -> None:
        (self._programs / name).write_text(text, encoding="utf-8")
        (self._programs / name).chmod(0o755)

    def here(self, text: str) -> str:
        """A text of the page or of the unit, with this machine's places in it."""
        for printed, own in self.replaced.items():
            text = text.replace(printed, own)
        return text

    def type(self, commands: str) -> str:
        """What the commands printed, after those of the page's beginning.

        Raises WalkError when one fails.
        """
        text = self.here(blocks()[""][0] + commands)
        done = subprocess.run(  # as a terminal does: it goes on after a command that failed
            ["bash", "-c", text],
            cwd=self.home.parent,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            log = self.log.read_text() if self.log.exists() else ""
            raise WalkError(f"exit code {done.returncode} of\n{text}\n{done.stdout}\n{log[-2000:]}")
        return done.stdout

    def end(self) -> None:
        """End the site, where it runs."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(self._pid.read_text()), signal.SIGKILL)


def blocks() -> dict[str, list[str]]:
    """The sh blocks of the page by the title that they stand under, '' before the first."""
    title, *rest = re.split(r"^## (.*)\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    sections = {"": title, **dict(zip(rest[::2], rest[1::2], strict=True))}
    block = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return {name: block.findall(text) for name, text in sections.items()}


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(workers: int, **more: str) -> Host:
        made.append(Host(tmp_path / "host", workers, more))
        return made[-1]

    yield make
    for host in made:
        host.end()


class Raters:
    """Some who vote all the time; the first votes come before ``begun`` is set."""

    def __init__(self, host: Host, database: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count)
        self._hurry = threading.Event()
        self._begun = threading.Semaphore(0)
        self.visitors = [
            Visitor(f"{host.url}{link}", self._respond, self._think, told=self._told)
            for link in links(host.study, database, count)
        ]
        self._visits = [self._pool.submit(visitor.run) for visitor in self.visitors]
        for _ in self.visitors:
            assert self._begun.acquire(timeout=120)

    def _respond(self, pictures: object, intended: int | None) -> Response:
        return Response(3, 500.0, {})

    def _think(self) -> float:
        return 0.0 if self._hurry.is_set() else 0.5

    def _told(self, visit: Visit) -> None:
        if len(visit.votes) == 2:
            self._begun.release()

    def all_votes(self) -> list[Visit]:
        """What each was told of its votes, once all have come to their end."""
        self._hurry.set()
        with self._pool:
            return [visit.result(120) for visit in self._visits]


def test_update_in_mid_study_loses_no_vote(
    make_host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host(1)
    database = str(host.study / "votes.sqlite")
    host.type('as_sreval sreval study upgrade "$SREVAL_STUDY" --begin; systemctl start sreval')
    raters = Raters(host, database, 2)
    host.type(blocks()["Update in mid-study"][1])
    visits = raters.all_votes()
    assert all(visit.outcome == "complete" and visit.retries for visit in visits)
    monkeypatch.setattr(schema, "MIGRATIONS", host.newer)
    found = compare(database, visits)
    assert (found["lost"], found["changed"], found["doubled"], found["gaps"]) == (0, 0, 0, 0)
    assert found["acknowledged"] == found["stored"] == sum(visit.of for visit in visits)
    with Store(database) as store, store.read() as tx:
        assert schema.revision_of(tx.connection()) == "9998"
    (copy,) = (host.home / "backups").glob("before-update-*.backup.zip")
    assert copy.stat().st_mode & 0o77 == 0
    with pytest.raises(WalkError, match="exit code 5"):
        host.type("systemctl stop another")


def test_a_block_ends_at_its_first_failure(make_host: Callable[..., Host]) -> None:
    host = make_host(1)
    whole = [text for title, of in blocks().items() for text in of if title]
    assert all(text.startswith("(set -e\n") for text in whole if text.count("\n") > 2)
    with pytest.raises(WalkError, match="There is no database"):
        host.type(blocks()["Update in mid-study"][1])  # no backup can be made
    assert not (host.newer.parent / "sitecustomize.py").exists()


@pytest.mark.evidence
@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(
    make_host: Callable[..., Host], new_database: Callable[..., str]
) -> None:
    host = make_host(2)
    page = blocks()
    database = str(host.study / "votes.sqlite")
    Studies(store := open_store(database, create=True)).register(
        load_design(host.study), load_manifest(host.study)
    )
    Operators(store).add("ada", "owner", "a password of hers")
    store.dispose()
    host.type("systemctl start sreval")
    visits = Raters(host, database, 2).all_votes()
    votes = sum(visit.of for visit in visits)
    fetch, update, back = page.pop("Update in mid-study")
    for _ in range(2):
        host.type(fetch + update)
        host.type(back)
        assert stored(database) == votes
    assert len([*(host.home / "backups").glob("newer-*/votes.sqlite")]) == 2
    host.type('cd backups; as_sreval sreval study backup "$SREVAL_STUDY"')

    choose, look, overwrite = page.pop("Restore from a backup")
    for _ in range(2):
        with pytest.raises(WalkError, match="then add --overwrite"):
            host.type(choose + look)
        assert "SIMULATED" in host.type(choose + overwrite).upper()
        assert stored(database) == votes

    away, here = page.pop("Move to another host")
    for _ in range(2):
        host.type(away)
        assert (host.home / "move.tar").stat().st_mode & 0o77 == 0
        for left in [*host.home.iterdir()]:
            if left.name != "move.tar":
                shutil.rmtree(left)
        host.type(here)
        assert stored(database) == votes

    (rotate, password) = page.pop("Rotate secrets")
    secret = (host.study / "site.secret").read_text()
    for _ in range(2):
        host.type(password)
    with open_store(database) as store, pytest.raises(LoginError):
        Operators(store).log_in("ada", "a password of hers")

    (to_postgresql,) = page.pop("From SQLite to PostgreSQL")
    url = new_database("postgresql", tables=False)
    host.replaced["postgresql://sreval:PASSWORD@127.0.0.1/votes"] = url
    host.type(to_postgresql)
    with pytest.raises(WalkError, match="cannot create"):
        host.type(to_postgresql)
    host.type("systemctl start sreval")
    found = compare(url, visits)
    assert found["acknowledged"] == found["stored"] == votes
    assert (found["lost"], found["changed"], found["doubled"], found["gaps"]) == (0, 0, 0, 0)

    for _ in range(2):
        host.type(rotate)
        assert (host.study / "site.secret").read_text() != secret
        secret = (host.study / "site.secret").read_text()
    (full,) = page.pop("The disk is full")
    for _ in range(2):
        old = host.home / "backups" / "old.backup.zip"
        old.write_bytes(b"")
        os.utime(old, (0, 0))
        host.type(full)
        assert not old.exists()
    (seen,) = page.pop("Somebody says that it doesn't work")
    for _ in range(2):
        assert "SIMULATED" in host.type(seen).upper()
    assert [name for name, of in page.items() if of] == [""]


def stored(database: str) -> int:
    with open_store(database) as store:
        return Studies(store).votes_and_newest()[0]
