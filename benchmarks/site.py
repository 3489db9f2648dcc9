"""What the site's benchmarks share: a study of noise, `sreval serve` as a process, databases."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import numpy as np
import sqlalchemy

from sreval.files import sha256_bytes, write_atomic
from sreval.progress import stop_signals
from sreval.store.database import open_store
from sreval.store.invitations import Links
from sreval.store.studies import Studies
from sreval.study.design import load_design
from sreval.study.freeze import encode_versions
from sreval.study.manifest import MANIFEST, STIMULI, Manifest, Stimulus, load_manifest

WORKERS, THREADS = 2, 4
"""gunicorn's, as sreval.site.workers has them."""

METHODS = ("nearest", "bicubic", "srcnn", "selfexsr", "drcn", "espcn")
_PATIENCE_SECONDS = 60
_DESIGN = """
name = "noise"
title = "Noise"
instructions = "Rate."
raters = {raters}
seed = 1
images = {{ methods = {methods}, datasets = [{{ name = "noise" }}] }}
order = {{ scene_distance = 2 }}
viewing = {{ least_ms = 0, grey_ms = 0 }}
consent = {{ version = "1", text = "Yes." }}
"""


def noise_study(
    folder: Path, images: int, raters: int, size: tuple[int, int] = (48, 64), more: str = ""
) -> Path:
    """A frozen study of ``images`` images of noise in six versions; height and width in pixels.

    ``more`` is put at the end of study.toml.
    """
    methods = list(METHODS)
    folder.mkdir(parents=True)
    write_atomic(folder / "study.toml", _DESIGN.format(raters=raters, methods=methods) + more)
    generator = np.random.default_rng(0)
    stimuli = []
    for number in range(images):
        name = f"img_{number:03}"
        pixels = generator.integers(0, 256, (len(methods), *size, 3), dtype=np.uint8)
        for method, data in zip(methods, encode_versions(list(pixels)), strict=True):
            sha256 = sha256_bytes(data)
            write_atomic(folder / STIMULI / f"{sha256}.png", data)
            scene = f"noise/{name}"
            stimuli.append(Stimulus("noise", name, scene, method, sha256, sha256, *size[::-1]))
    write_atomic(folder / MANIFEST, Manifest(tuple(stimuli)).as_json())
    return folder


def links(folder: Path, database: str, count: int) -> list[str]:
    """Paths of new personal links, marked as simulated."""
    design, store = load_design(folder), open_store(database, create=True)
    try:
        Studies(store).register(design, load_manifest(folder))
        made = [Links(store, design.name).create("personal", simulated=True) for _ in range(count)]
    finally:
        store.dispose()
    return [f"/r/{token}" for _, token in made]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def gunicorn(
    application: str, port: int, workers: int = WORKERS, threads: int = THREADS
) -> list[str]:
    """The command that serves a WSGI application with gunicorn, as hosting.md advises."""
    return [
        *(sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(workers), "--threads", str(threads), "--log-level", "error"),
    ]


class Process:
    """A server in a process group of its own, always on the same port."""

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        *,
        alive: str = "/health",
        cwd: Path | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.url, self._alive = f"http://127.0.0.1:{port}", alive
        self._command, self._log, self._cwd = command, log, cwd
        self._environment = {**os.environ, **(more or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._cwd,
                env=self._environment,
                start_new_session=True,
            )
        self.await_health(200)

    def await_health(self, status: int) -> None:
        """Wait until it says this of itself. Raises RuntimeError when it doesn't within a minute,
        or ends."""
        assert self._process is not None
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}{self._alive}").status_code == status:
                    return
            time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"{self.url} doesn't say {status}: {self._log.read_text()[-2000:]}")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """It answers within the block."""
        try:
            self.start()
            yield
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, without warning."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def cpu_seconds(self) -> float:
        """Processor time that it and its workers have used, where the system tells."""
        assert self._process is not None
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self._process.pid:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


class Server(Process):
    """A study's site: by `sreval serve`, or by gunicorn with so many ``workers``."""

    def __init__(self, folder: Path, database: str, workers: int = 0, port: int = 0) -> None:
        port = port or free_port()
        if workers:
            command = gunicorn("sreval.site.wsgi:app", port, workers)
        else:
            command = [sys.executable, "-m", "sreval", "serve", str(folder), "--port", str(port)]
            command += ["--database", database]
        told = {"SREVAL_STUDY": str(folder), "SREVAL_DATABASE": database}
        super().__init__(command, port, folder / "server.log", more=told)


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """A signal to stop ends the block as an error does: servers and databases end with it."""

    def stop() -> None:
        raise SystemExit("Stopped by a signal.")

    with stop_signals(stop):
        yield


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of our own with durable commits, as the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="sreval-pg-"))
    if os.getuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    options = f"-k {folder} -c listen_addresses='' -c max_connections=60"
    url = f"postgresql://sreval@/votes?host={folder}"
    try:
        _postgresql(folder, "initdb", "-A", "trust", "-U", "sreval", "-E", "UTF8")
        _postgresql(folder, "pg_ctl", "-w", "-o", options, "-l", str(folder / "log"), "start")
        engine = sqlalchemy.create_engine(
            f"postgresql+psycopg://sreval@/postgres?host={folder}", isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE votes")
        engine.dispose()
        yield url
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # it didn't come to run
            _postgresql(folder, "pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def restart_postgresql(url: str) -> None:
    """End the server of that URL as a crash would, and start it again."""
    folder = Path(url.rpartition("=")[2])
    _postgresql(folder, "pg_ctl", "-w", "-m", "immediate", "-l", str(folder / "log"), "restart")


def _postgresql(folder: Path, program: str, *options: str) -> None:
    command = [str(_programs() / program), "-D", str(folder / "data"), *options]
    if os.getuid() == 0:  # PostgreSQL refuses to run as root, as containers do
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


def _programs() -> Path:
    found = shutil.which("initdb")
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found and not packaged:
        sys.exit("PostgreSQL's server can't be had. Install it: apt-get install postgresql")
    return Path(found).parent if found else packaged[-1].parent
