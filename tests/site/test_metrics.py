"""Figures for Prometheus: what is counted, what no label may hold, and where it is answered."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sreval.errors import StoreError, UsageError, install
from sreval.site import looks, metrics
from sreval.site.config import SiteConfig, listening_address
from sreval.site.logs import LOG
from sreval.site.metrics import METRICS, listen, metrics_at
from sreval.store.counts import Counts
from tests.site.conftest import MakeSite, Visitor, freeze


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def measured(make_site: MakeSite) -> Iterator[tuple[Visitor, str]]:
    """A visitor of a site, and the private address of its figures."""
    address = f"127.0.0.1:{free_port()}"
    visitor = make_site(site={"metrics": address})
    with metrics_at(visitor.app.extensions["sreval"].config, visitor.app):
        yield visitor, f"http://{address}"


def figures(address: str) -> dict[str, float]:
    """Each line of /metrics that isn't a comment: name and labels to value."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    told = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in told}


def requests(route: str, method: str, status: int) -> str:
    return f'sreval_requests_total{{method="{method}",route="{route}",status="{status}"}}'


VOTE = "/study/<study>/<place>/api/vote"


def test_what_a_rater_does_is_counted_and_no_label_tells_who(
    measured: tuple[Visitor, str],
) -> None:
    visitor, address = measured
    visitor.to_rating()
    assert [visitor.vote(place).status_code for place in (1, 1, 5)] == [200, 200, 409]
    visitor.client.get("/nothing/here", method="BREW")
    LOG.error("database", extra={"fields": {"message": "gone", "count": 3}})
    found = figures(address)
    assert found[requests(VOTE, "POST", 200)] == 2
    assert found[requests(VOTE, "POST", 409)] == 1
    assert found[requests("-", "-", 404)] == 1
    timed = f'sreval_request_seconds_count{{method="POST",route="{VOTE}"}}'
    assert found[timed] == 3
    assert found[timed.replace("_count", "_bucket").replace("{", '{le="10.0",')] == 3
    assert found["sreval_items_rated"] == 1
    assert found["sreval_places"] == 4
    assert found['sreval_sessions{state="active"}'] == 1
    assert found['sreval_sessions{state="ended"}'] == 0
    assert found["sreval_database_up"] == 1
    assert found["sreval_database_connections_in_use"] == 0
    assert found['sreval_problems_total{event="database"}'] == 3
    text = httpx.get(f"{address}/metrics").text
    assert visitor.token not in text
    assert visitor.here.rpartition("/")[2] not in text
    assert "nothing" not in text


def test_connections_that_are_held_are_counted(measured: tuple[Visitor, str]) -> None:
    visitor, address = measured
    with visitor.store.read(), visitor.store.read():
        assert figures(address)["sreval_database_connections_in_use"] == 2
    assert figures(address)["sreval_database_connections_in_use"] == 0


def test_a_database_that_is_gone_takes_only_its_figures_along(
    measured: tuple[Visitor, str],
) -> None:
    visitor, address = measured
    with visitor.store.begin() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE study RENAME TO gone")
    found = figures(address)
    assert found["sreval_database_up"] == 0
    assert "sreval_items_rated" not in found


def test_a_silent_database_and_a_slow_reader_keep_nobody(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def silent(*_: object) -> Counts:
        asked.set()
        assert go_on.wait(60)
        raise StoreError("gone", "Wait.")

    monkeypatch.setattr(Counts, "of", silent)
    monkeypatch.setattr(looks, "WAIT_SECONDS", 60.0)
    monkeypatch.setattr(metrics, "_REQUEST_SECONDS", 0.2)
    port = free_port()
    visitor = make_site(site={"metrics": str(port)})
    with (
        metrics_at(visitor.app.extensions["sreval"].config, visitor.app),
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.sendall(b"GET /metr")
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert asked.wait(60)
            assert slow.recv(1) == b""  # let go, whatever the database does
            monkeypatch.setattr(metrics, "_REQUEST_SECONDS", 60.0)
            monkeypatch.setattr(looks, "WAIT_SECONDS", 0.01)
            assert figures(f"http://127.0.0.1:{port}")["sreval_database_up"] == 0
            pending = socket.create_connection(("127.0.0.1", port))
            monkeypatch.setattr(looks, "WAIT_SECONDS", 60.0)
            pending.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert not go_on.is_set()  # the block ended while one waited
    pending.close()
    go_on.set()


def test_neither_port_answers_for_the_other(measured: tuple[Visitor, str]) -> None:
    visitor, address = measured
    assert visitor.client.get("/metrics").status_code == 404
    for path in ("/", "/readyz", f"/r/{visitor.invite()}", "/metrics/x"):
        answer = httpx.get(f"{address}{path}")
        assert (answer.status_code, answer.text) == (404, "Only /metrics is here.\n")
        assert "ython" not in str(answer.headers)


def test_without_an_address_nothing_is_measured(visitor: Visitor) -> None:
    assert METRICS not in visitor.app.extensions
    handlers = list(LOG.handlers)
    with metrics_at(visitor.app.extensions["sreval"].config, visitor.app):
        assert list(LOG.handlers) == handlers


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        (" localhost:1 ", ("localhost", 1)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert listening_address(text) == address


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9100/", "0", "65536", "-1", "x", ":", "9" * 10_000, "٣٣", "1:\u202e"]
)
def test_anything_else_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        SiteConfig.given(study=tmp_path, database="x", metrics=text)
    assert "metrics" in str(refused.value)
    assert "127.0.0.1:9100" in str(refused.value)
    assert len(str(refused.value)) < 400
    with pytest.raises(UsageError, match="SREVAL_METRICS"):
        listen(text)


def test_a_port_in_use_and_a_strange_address_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"{address}.*: Address already in use\."):
            listen(address)
    with pytest.raises(UsageError, match=r"192\.0\.2\.1:9100"):
        listen("192.0.2.1:9100")


def test_the_package_that_is_missing_is_named(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError) as refused:
        make_site(site={"metrics": "9100"})
    assert refused.value.remedy == install("prometheus")


def test_gunicorn_s_settings_refuse_before_a_worker_begins(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from sreval.site import workers

    monkeypatch.setattr(workers, "_address", "nowhere")
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: pytest.fail("a folder is made"))
    with pytest.raises(SystemExit) as ended:
        workers.on_starting(None)
    assert ended.value.code == 2
    assert re.match(r"Error: .*SREVAL_METRICS = 'nowhere'", capfd.readouterr().err)


@pytest.mark.parametrize("told", ["0", "-1", "abc", "1.5", "٣"])
def test_a_number_of_processes_that_is_none_is_one_line(
    told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    from sreval.site import workers

    with pytest.raises(SystemExit) as ended:
        workers._processes(told)
    assert ended.value.code == 2
    assert re.fullmatch(r"Error: WEB_CONCURRENCY = .*\n", capfd.readouterr().err)
    assert workers._processes("3") == 3


@pytest.mark.evidence
@pytest.mark.slow
def test_two_processes_answer_for_both_and_leave_nothing(tmp_path: Path) -> None:
    study, port, private = freeze(tmp_path / "small"), free_port(), free_port()
    environment = {**os.environ, "SREVAL_STUDY": str(study), "TMPDIR": str(tmp_path)}
    environment |= {"SREVAL_METRICS": str(private), "WEB_CONCURRENCY": "2"}
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:sreval.site.workers"]
    command = [*gunicorn, "--bind", f"127.0.0.1:{port}"]
    log = tmp_path / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)
    try:
        site = f"http://127.0.0.1:{port}"
        while _status(f"{site}/readyz") != 200:
            assert process.poll() is None
        page = requests("/static/<path:filename>", "GET", 200)
        asked, workers = 0, set[Path]()
        while len(workers) < 2:  # each connection meets the worker that is the first to take it
            for _ in range(20):
                assert _status(f"{site}/static/rater.css") == 200
                asked += 1
            workers = set(tmp_path.glob("sreval-metrics-*/counter_*.db"))
        address = f"http://127.0.0.1:{private}"
        assert {figures(address)[page] for _ in range(10)} == {asked}
        again = subprocess.run(
            [*gunicorn, "--bind", f"127.0.0.1:{free_port()}"],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert again.returncode == 2
        assert again.stderr.startswith("Error: ")
        assert f"{private}': Address already in use. Give another address" in again.stderr
        killed = int(next(iter(workers)).stem.rpartition("_")[2])
        os.kill(killed, signal.SIGKILL)
        while figures(address)[page] != asked or _status(f"{site}/readyz") != 200:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        # workers end by themselves: gunicorn kills those that don't, and says so
        assert log.read_text().count("SIGKILL") == 1
        assert list(tmp_path.glob("sreval-metrics-*")) == []
    finally:
        process.kill()
        process.wait()


def _status(url: str) -> int:
    try:
        return httpx.get(url).status_code
    except httpx.TransportError:
        return 0


def test_every_figure_is_explained(measured: tuple[Visitor, str]) -> None:
    visitor, address = measured
    visitor.to_rating()
    LOG.warning("lines lost", extra={"fields": {"count": 1}})
    text = httpx.get(f"{address}/metrics").text
    found = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "hosting.md").read_text("utf-8")
    assert found == set(re.findall(r"`(sreval_\w+)`", page))
