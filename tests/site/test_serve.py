"""sreval serve: what it prints, how it stops, what it refuses."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text
from waitress.channel import HTTPChannel

from sreval.site.config import SECRET
from sreval.site.logs import LogQueue
from sreval.site.server import LOGIN, LoginsLast, _Channels
from sreval.store.database import open_store
from tests.site.conftest import Visitor, freeze


@contextmanager
def served(
    folder: Path, *options: str, before: str = ""
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The running server, its address and what it said at its start; what its process runs
    ``before`` it starts."""
    run = f"import runpy\n{before}\nrunpy.run_module('sreval', run_name='__main__', alter_sys=True)"
    command = [sys.executable, "-c", run, "serve", str(folder), "--port", "0", *options]
    environment = {k: v for k, v in os.environ.items() if k != "SREVAL_DATABASE"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout
        said = process.stdout.readline() + process.stdout.readline()
        found = re.search(r"at (http://\S+)\. ", said)
        assert found, said + (process.stderr.read() if process.stderr else "")
        yield process, found.group(1), said
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return freeze(tmp_path / "small")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serves_a_link_until_a_signal(study: Path, number: int, code: int) -> None:
    with served(study, "--invite") as (process, address, said):
        link = re.search(rf"{address}/r/\S{{22}}\n", said)
        assert link, said
        with httpx.Client(follow_redirects=True) as browser:
            assert browser.get(f"{address}/health").json() == {"status": "ok"}
            page = browser.get(link.group(0).strip())
            assert page.status_code == 200
            assert 'data-stage="consent"' in page.text
            assert "Server" not in page.headers
            long = browser.post(
                f"{page.url.copy_with(query=None)}/consent", data={"text": "x" * 2**20}
            )
            assert long.status_code == 413
            assert f'href="{page.url.path}"' in long.text
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
        assert process.returncode == code, log
    assert '"route": "/r/<token>"' in log
    assert link.group(0).strip().rsplit("/", 1)[1] not in log
    assert "127.0.0.1" not in log
    assert (study / SECRET).exists()


def test_request_that_was_begun_is_answered_before_the_server_stops(study: Path) -> None:
    with served(study, "--invite") as (process, address, said):
        link = said.strip().rsplit(" ", 1)[1]
        store = open_store(str(study / "votes.sqlite"))
        with httpx.Client(follow_redirects=True, timeout=30) as browser:
            page = browser.get(link)
            csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
            assert csrf
            token = csrf.group(1)
            answers: list[int] = []

            def agree() -> None:
                answer = browser.post(
                    f"{page.url.copy_with(query=None)}/consent",
                    data={"csrf_token": token},
                    follow_redirects=False,
                )
                answers.append(answer.status_code)

            with store.begin() as tx:
                tx.execute(text("SELECT 1"))
                sender = threading.Thread(target=agree)
                sender.start()
                _wait_until_busy(process, address)
                process.send_signal(signal.SIGTERM)
            sender.join(30)
        store.dispose()
        assert process.wait(20) == 0
        assert answers == [303]


def test_visitors_who_hang_up_do_not_end_the_server(study: Path) -> None:
    with served(study, "--invite") as (process, address, _):
        port = int(address.rsplit(":", 1)[1])
        asked = b"GET /static/rater.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50
        for _ in range(20):
            # A closed tab: the end of the requests is followed by a reset at the first answer.
            with socket.create_connection(("127.0.0.1", port)) as visitor:
                visitor.sendall(asked)
        assert httpx.get(f"{address}/health").json() == {"status": "ok"}
        assert process.poll() is None


_HASTY = """
import resource
from sreval.site import server
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
server.REQUEST_SECONDS, server._SWEEP_SECONDS = 2, 1
"""


def test_requests_that_never_end_keep_nobody_out_and_are_given_up(study: Path) -> None:
    heads = [
        b"GET /health HTTP/1.1\r\nHost: a",
        b"POST /study HTTP/1.1\r\nContent-Length: 9\r\n\r\na",
    ]
    with served(study, before=_HASTY) as (_, address, _), ExitStack() as opened:
        port = int(address.rsplit(":", 1)[1])
        whole = opened.enter_context(httpx.Client())
        assert whole.get(f"{address}/health", timeout=60).status_code == 200
        slow = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), 60))
            for _ in range(300)
        ]
        for number, each in enumerate(slow):
            each.sendall(heads[number % 2])
        assert httpx.get(f"{address}/health", timeout=60).status_code == 200
        for each in slow:
            with suppress(ConnectionResetError):
                each.sendall(b"a")  # a byte now and then changes nothing
                assert each.recv(1) == b""
        assert whole.get(f"{address}/health", timeout=60).status_code == 200


def test_a_log_that_nobody_reads_holds_up_neither_raters_nor_the_end(study: Path) -> None:
    with served(study) as (process, address, _):
        assert process.stderr
        fcntl.fcntl(process.stderr.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        with httpx.Client() as visitor:
            for _ in range(60):
                assert visitor.get(f"{address}/static/rater.css", timeout=10).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_lines_that_nobody_took_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sreval.site.logs._MOST_WAITING", 3)
    outlet, inlet = os.pipe()
    os.set_blocking(inlet, False)
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += os.write(inlet, b"x")
    os.set_blocking(inlet, True)
    writer = LogQueue(inlet)

    def say(number: int) -> None:
        record = logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", (), None)
        writer.handle(record)

    say(0)
    time.sleep(0.2)  # until the thread waits with it
    for number in range(1, 12):
        say(number)
    with os.fdopen(outlet, "rb") as reader:
        reader.read(filled)
        first = [json.loads(reader.readline())["event"] for _ in range(4)]
        say(12)
        lost, last = json.loads(reader.readline()), json.loads(reader.readline())
    assert first == ["line 0", "line 1", "line 2", "line 3"]
    assert (lost["event"], lost["count"], last["event"]) == ("lines lost", 8, "line 12")


def test_who_reads_the_first_line_alone_may_leave(study: Path) -> None:
    command = [sys.executable, "-m", "sreval", "serve", str(study), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        found = re.search(r"at (http://\S+)\. ", process.stdout.readline())
        process.stdout.close()
        assert found
        assert httpx.get(f"{found.group(1)}/health").json() == {"status": "ok"}
    finally:
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def _wait_until_busy(process: subprocess.Popen[str], address: str) -> None:
    """Until the log shows a request later than the one that waits for the database."""
    assert process.stderr
    httpx.get(f"{address}/static/rater.css")
    while '"route": "/static' not in process.stderr.readline():
        pass


class Answered(HTTPChannel):  # type: ignore[misc]
    """A connection with an answer that isn't sent yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.requests, self.total_outbufs_len = connection, [object()], 1
        self.outbuf_lock = threading.Condition()
        self.sent: list[bytes] = []

    def readable(self) -> bool:
        return False

    def handle_write(self) -> None:
        self.sent.append(b"a")


def test_the_loop_leaves_a_connection_to_the_thread_that_answers_it() -> None:
    """Its socket can be written to all the time, so that the loop would turn all the time."""
    ours, theirs = socket.socketpair()
    with ours, theirs, selectors.DefaultSelector() as selector:
        channels, answered = _Channels(selector), Answered(ours)
        channels[ours.fileno()] = answered
        with ThreadPoolExecutor(1) as thread, answered.outbuf_lock:
            thread.submit(channels.turn).result()
        assert not answered.sent
        channels.turn()
        assert len(answered.sent) == 1
        del channels[ours.fileno()]
        assert not selector.get_map()


Run = Callable[..., Any]


def test_unfrozen_study_is_refused(sreval: Run, study: Path) -> None:
    (study / "manifest.json").unlink()
    ran = sreval("serve", study)
    assert ran.code == 1
    assert "sreval study freeze" in ran.err


def test_study_whose_stimuli_are_missing_is_refused(sreval: Run, study: Path) -> None:
    next((study / "stimuli").iterdir()).unlink()
    ran = sreval("serve", study)
    assert ran.code == 1
    assert "1 of 9 stimuli" in ran.err


def test_port_in_use_is_named(sreval: Run, study: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = sreval("serve", study, "--port", str(port))
    assert ran.code == 2
    assert str(port) in ran.err
    assert "--port" in ran.err


def test_address_of_another_machine_is_refused(sreval: Run, study: Path) -> None:
    ran = sreval("serve", study, "--host", "192.0.2.1", "--port", "0")
    assert ran.code == 2
    assert "192.0.2.1" in ran.err


def test_unreachable_database_is_named_without_its_password(sreval: Run, study: Path) -> None:
    ran = sreval("serve", study, "--database", "postgresql://me:geheim@127.0.0.1:1/votes")
    assert ran.code == 1
    assert "127.0.0.1:1/votes" in ran.err
    assert "geheim" not in ran.err


def test_older_database_is_left_alone(sreval: Run, study: Path) -> None:
    path = study / "votes.sqlite"
    open_store(str(path), create=True).dispose()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    engine.dispose()
    ran = sreval("serve", study)
    assert ran.code == 1
    assert "sreval study upgrade" in ran.err


def test_address_of_a_proxy_must_be_an_origin(sreval: Run, study: Path) -> None:
    ran = sreval("serve", study, "--base-url", "study.example.org/x")
    assert ran.code == 2
    assert "study.example.org" in ran.err


def test_gunicorn_finds_the_application(study: Path) -> None:
    environment = {**os.environ, "SREVAL_STUDY": str(study), "SREVAL_SECRET": "s" * 40}
    environment.pop("SREVAL_DATABASE", None)
    command = [sys.executable, "-m", "gunicorn", "--check-config", "sreval.site.wsgi:app"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_gunicorn_s_log_has_one_sentence_for_what_keeps_the_site_from_starting(
    study: Path,
) -> None:
    (study / "manifest.json").unlink()
    environment = {**os.environ, "SREVAL_STUDY": str(study), "SREVAL_SECRET": "s" * 40}
    run = [sys.executable, "-c", "import sreval.site.wsgi"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_changed_design_is_refused_once_a_rater_has_enrolled(sreval: Run, study: Path) -> None:
    from sreval.site.app import create_app
    from sreval.site.config import SiteConfig

    config = SiteConfig.given(study=study, database=str(study / "votes.sqlite"), secret="s" * 40)
    visitor = Visitor(create_app(config))
    visitor.to_rating()
    visitor.store.dispose()
    design = study / "study.toml"
    design.write_text(design.read_text().replace("Look, then say.", "Be kind."))
    ran = sreval("serve", study)
    assert ran.code == 1
    assert "design" in ran.err


class Waiting:
    """A connection whose request waits to be served, as waitress hands it on."""

    def __init__(self, name: str, path: str, served: list[str], end: Event) -> None:
        self.requests = [SimpleNamespace(error=None, command="POST", path=path)]
        self.name, self._served, self._end = name, served, end
        self.cancelled = False

    def service(self) -> None:
        self._served.append(self.name)
        if self.name == "last":
            self._end.set()

    def cancel(self) -> None:
        self.cancelled = True


def test_a_vote_waits_for_one_login_at_most() -> None:
    served: list[str] = []
    end = Event()
    logins = [Waiting(name, LOGIN, served, end) for name in ("first", "second", "third", "last")]
    votes = [Waiting(f"vote {n}", "/api/vote", served, end) for n in range(2)]
    dispatcher = LoginsLast()
    for waiting in (*logins[:3], *votes, logins[3]):
        dispatcher.add_task(waiting)
    dispatcher.set_thread_count(1)
    assert end.wait(60)
    dispatcher.shutdown()
    assert served == ["first", "vote 0", "vote 1", "second", "third", "last"]
    for waiting in (*logins, *votes):
        dispatcher.add_task(waiting)
    dispatcher.shutdown()
    assert all(waiting.cancelled for waiting in (*logins, *votes))
