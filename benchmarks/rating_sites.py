"""How many votes a second does sreval's site store, and how many do other public rating sites?

AVrateVoyager (github.com/Telecommunication-Telemedia-Assessment/AVrateVoyager) and pyMUSHRA
(github.com/nils-werner/pymushra), the server of webMUSHRA, each as its own command starts it and
at its best, behind gunicorn. All show the same pictures of noise and get votes from the same
open-loop generator, at the same rates, on the same two cores. Each vote is followed by what a
browser loads: AVrateVoyager's next page and its picture, pyMUSHRA's picture, ours. webMUSHRA sends
a rater's votes together at the end; here each is sent when it is given, as by the others. Writes
rating_sites.json and rating_sites.md; exits with 1 unless our site is ahead of both.

The rivals are fetched into build/rivals by git, with a virtual environment for pyMUSHRA's packages.
Where GitHub or the package index can't be reached, `--rivals FOLDER` names a folder that holds
AVrateVoyager/ and pymushra/, and `--python` an interpreter that has gunicorn and pyMUSHRA's
packages.

Example: python -m benchmarks.rating_sites --seconds 5 --out build/bench
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from benchmarks.load import (
    GOAL_FAST_MS,
    IMAGES,
    KNEE_SHARE,
    SIZE,
    THINK_SECONDS,
    Connection,
    Counted,
    Rater,
    carried_a_second,
    step,
    take_seats,
)
from benchmarks.site import (
    THREADS,
    WORKERS,
    Process,
    Server,
    free_port,
    gunicorn,
    links,
    noise_study,
    orderly,
    postgresql,
)
from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.study.manifest import STIMULI

RATERS = 100
BEFORE_RATE, BEFORE_SECONDS = 50, 20
"""Votes a second, and seconds, before the race: a study isn't empty for long."""

_TRIES = 2
"""Of each rate."""

_FETCH_SECONDS = 300
RATES = (10, 25, 50, 75, 100, 150, 200, 250, 300, 400)
SOURCES = {
    "AVrateVoyager": (
        "https://github.com/Telecommunication-Telemedia-Assessment/AVrateVoyager",
        "8afba376b77320c49b510dc4f52556ee14daeb43",
    ),
    "pymushra": (
        "https://github.com/nils-werner/pymushra",
        "322ca43d924cb91dd91e8fb84cf0b67c33807f40",
    ),
}
"""Where each rival comes from, and its commit."""


@dataclass(frozen=True)
class Contender:
    """A site as it is served: its name, what its store promises, and how it is run."""

    name: str
    served: str
    durable: str
    run: Callable[[Path, Path], Any]
    """Of an empty folder and a frozen study: a context of the server and its raters."""


def main() -> int:
    """Race them and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4, help="of each rate")
    parser.add_argument("--rivals", type=Path, help="a folder with both rivals' sources")
    parser.add_argument("--python", help="an interpreter that has pyMUSHRA's packages")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rivals = (options.rivals or fetched(ROOT / "build" / "rivals")).resolve()
    if lacking := [name for name in SOURCES if not (rivals / name).is_dir()]:
        sys.exit(f"{rivals} lacks {' and '.join(lacking)}. Put the sources there.")
    python = options.python or environment(ROOT / "build" / "rivals" / "venv", rivals)
    rows = []
    with cores(2), orderly(), tempfile.TemporaryDirectory() as name:
        study = noise_study(Path(name) / "study", IMAGES, RATERS, SIZE)
        for number, contender in enumerate(contenders(rivals, python)):
            folder = Path(name) / str(number)
            folder.mkdir()
            with contender.run(folder, study) as (server, raters):
                os.sync()  # no vote waits for the disk with what was written before
                steps = asyncio.run(_steps(server, raters, options.seconds))
            rows.append(
                {
                    "name": contender.name,
                    "served": contender.served,
                    "durable": contender.durable,
                    "carried": carried_a_second(steps),
                    "steps": steps,
                }
            )
            progress(f"{contender.name}, {contender.served}: {rows[-1]['carried']:.0f} votes/s")
    write_results(
        options.out,
        "rating_sites",
        {**origin, "sources": SOURCES, "rows": rows},
        "Rating sites under the same load",
        lines(rows),
    )
    print(options.out / "rating_sites.md")
    return 0 if is_ahead(rows) else 1


def is_ahead(rows: list[dict[str, Any]]) -> bool:
    """Whether each of our rows carries more than every rival's."""
    ours = [row["carried"] for row in rows if row["name"] == "sreval"]
    others = [row["carried"] for row in rows if row["name"] != "sreval"]
    return bool(min(ours) > max(others))


def _run(command: Sequence[str], otherwise: str) -> None:
    """Run a command that needs the net; one that fails or stands still ends all."""
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        subprocess.run(command, check=True, env=quiet, timeout=_FETCH_SECONDS)
    except (OSError, subprocess.SubprocessError):
        sys.exit(f"This failed: {shlex.join(command)}\n{otherwise}")


def fetched(folder: Path) -> Path:
    """Both rivals' sources in ``folder``, got from their public repositories where they lack."""
    otherwise = (
        "Put both rivals' sources into a folder by another way, and name it: --rivals FOLDER."
    )
    for name, (url, commit) in SOURCES.items():
        if not (folder / name).exists():
            part = folder / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            _run(["git", "clone", "--quiet", url, str(part)], otherwise)
            _run(["git", "-C", str(part), "checkout", "--quiet", commit], otherwise)
            part.rename(folder / name)
    return folder


def environment(folder: Path, rivals: Path) -> str:
    """An interpreter with pyMUSHRA's packages and gunicorn, in an environment of its own."""
    otherwise = "Name an interpreter that has gunicorn and pyMUSHRA's packages: --python FILE."
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], otherwise)
        wanted = [str(rivals / "pymushra"), "gunicorn"]
        _run([str(python), "-m", "pip", "install", "--quiet", *wanted], otherwise)
        (folder / "ready").touch()
    return str(python)


def contenders(rivals: Path, python: str) -> list[Contender]:
    """All of them, the rivals as their own command starts them and behind gunicorn."""
    journal = "SQLite's rollback journal, fsync at every vote"
    rewritten = "a JSON file, written anew at every vote, with fsync"

    def file_in(folder: Path) -> Any:
        return nullcontext(str(folder / "votes.sqlite"))

    def avrate(own: bool) -> Callable[[Path, Path], Any]:
        return lambda folder, study: avrate_voyager(rivals / "AVrateVoyager", folder, study, own)

    def mushra(own: bool) -> Callable[[Path, Path], Any]:
        return lambda folder, study: pymushra(rivals / "pymushra", python, folder, study, own)

    both = f"gunicorn, {WORKERS} workers of {THREADS} threads"
    durable = "SQLite's WAL, synchronous FULL"
    return [
        Contender("sreval", "sreval serve", durable,
                  lambda folder, study: ours(study, file_in(folder), 0)),
        Contender("sreval", both, durable,
                  lambda folder, study: ours(study, file_in(folder), WORKERS)),
        Contender("sreval", both, "PostgreSQL, fsync and synchronous_commit",
                  lambda folder, study: ours(study, postgresql(), WORKERS)),
        Contender("AVrateVoyager", "its own main.py", journal, avrate(True)),
        Contender("AVrateVoyager", both, journal, avrate(False)),
        Contender("pyMUSHRA", "pymushra server", rewritten, mushra(True)),
        # two threads that write its file at once spoil it, and every vote after that is refused
        Contender("pyMUSHRA", "gunicorn, 1 worker", rewritten, mushra(False)),
    ]  # fmt: skip


@contextmanager
def running(server: Process) -> Iterator[tuple[str, int]]:
    """A server's host and port while it runs."""
    with server.running():
        host, _, port = server.url.removeprefix("http://").partition(":")
        yield host, int(port)


@contextmanager
def ours(study: Path, database: Any, workers: int) -> Iterator[tuple[Process, Sequence[Rater]]]:
    """Our site with raters at their first image."""
    with database as url:
        paths = links(study, url, RATERS)
        server = Server(study, url, workers=workers)
        with running(server) as (host, port):
            seats = take_seats(server.url, paths)
            yield server, [Rater(s, host, port, random.Random(i)) for i, s in enumerate(seats)]


class Guest(Rater):
    """A rater of another site: a connection for votes, another one for pictures."""

    def __init__(self, host: str, port: int, seed: int) -> None:
        self._current = {"stage": "rating"}
        self._random = random.Random(seed)
        self._votes, self._images = Connection(host, port, ""), Connection(host, port, "")
        self.counted = Counted(0)
        self.next = seed
        """The number of the picture that comes next."""

    async def _picture(self, path: str, head: str = "") -> None:
        counted, loop = self.counted, asyncio.get_running_loop()
        start = loop.time()
        status, _ = await self._images.request(f"GET {path}", head)
        counted.refused += status != 200
        if start >= counted.begin:
            counted.images.append(1000 * (loop.time() - start))


_FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


class OfAVrate(Guest):
    """A rater of AVrateVoyager: what it knows of them is in cookies, and in its playlist."""

    def __init__(self, host: str, port: int, seed: int, user: str, count: int) -> None:
        super().__init__(host, port, seed)
        self._user, self._count, self._file = user, count, ""
        self.next = seed % count

    def _cookies(self) -> str:
        done = self.next % (self._count - 1)  # after the last one it would say thanks
        said = f"user_id={self._user}; stimuli_done={done}; session_state=0; training_done=0"
        return f"Cookie: {said}\r\n"

    async def _load_images(self) -> None:
        status, page = await self._images.request(f"GET /rate/{self.next}", self._cookies())
        if status != 200:  # its database was locked: the rater stays where they are
            self.counted.refused += 1
            return
        self._file = (
            page.partition(b'id="stimuli"')[2].partition(b'src="')[2].split(b'"')[0].decode()
        )
        await self._picture(self._file)

    async def _vote(self) -> None:
        fields = {"radio": 3, "stimuli_idx": 1, "stimuli_file": f".{self._file}"}
        where = "POST /save_rating?stimuli_idx=1"
        head, body = self._cookies() + _FORM, urlencode(fields).encode()
        status, _ = await self._votes.request(where, head, body)
        if status not in (302, 303):
            self.counted.refused += 1
        self.next += 1


@contextmanager
def avrate_voyager(
    source: Path, folder: Path, study: Path, own: bool
) -> Iterator[tuple[Process, Sequence[Rater]]]:
    """AVrateVoyager with our pictures, without training."""
    app = folder / "AVrateVoyager"
    shutil.copytree(source / "app", app, ignore=shutil.ignore_patterns("*.mp4", "*.aac", "*.jpg"))
    pictures = sorted((study / STIMULI).iterdir())
    (app / "stimuli").mkdir(exist_ok=True)
    for picture in pictures:
        shutil.copy(picture, app / "stimuli")
    settings = json.loads((app / "config.json").read_text())
    (app / "config.json").write_text(json.dumps({**settings, "max_stimuli": len(pictures)}))
    port = 8081 if own else free_port()  # its own is fixed
    command = [sys.executable, "main.py"] if own else gunicorn("main:app", port, WORKERS)
    server = Process(command, port, folder / "log", alive="/about", cwd=app)
    with running(server) as (host, port):
        raters = []
        for seed in range(RATERS):
            user = httpx.get(f"{server.url}/questionnaire").cookies["user_id"]
            raters.append(OfAVrate(host, port, seed, user, len(pictures)))
        yield server, raters


class OfMushra(Guest):
    """A rater of webMUSHRA."""

    pictures: list[str]

    async def _load_images(self) -> None:
        await self._picture(f"/{self.pictures[self.next % len(self.pictures)]}")

    async def _vote(self) -> None:
        name = self.pictures[self.next % len(self.pictures)]
        answer = {"stimulus": name, "stimulusRating": "good", "time": 1000}
        trial = {"id": name, "type": "likert_single_stimulus", "responses": [answer]}
        session = {
            "testId": "noise",
            "config": "configs/default.yaml",
            "participant": {"name": ["email"], "response": [f"r{self.next}"]},
            "trials": [{**trial, "testId": "noise"}],
        }
        body = urlencode({"sessionJSON": json.dumps(session)}).encode()
        status, told = await self._votes.request("POST /service/write.php", _FORM, body)
        if status != 200 or json.loads(told)["error"]:
            self.counted.refused += 1
        self.next += 1


@contextmanager
def pymushra(
    source: Path, python: str, folder: Path, study: Path, own: bool
) -> Iterator[tuple[Process, Sequence[Rater]]]:
    """pyMUSHRA with our pictures in the folder that it serves."""
    home = folder / "webmushra"
    home.mkdir()
    (folder / "db").mkdir()
    (home / "index.html").write_text("<title>noise</title>")
    names = [path.name for path in sorted((study / STIMULI).iterdir())]
    for name in names:
        shutil.copy(study / STIMULI / name, home)
    port = free_port()
    own_command = "from pymushra.cli import cli; cli()"
    command = gunicorn("pymushra.wsgi:application", port, workers=1, threads=1)
    if own:
        command = [python, "-c", own_command, "server", "--port", str(port)]
    server = Process(
        [python, *command[1:]],
        port,
        folder / "log",
        alive="/index.html",
        cwd=folder,
        more={"PYTHONPATH": str(source)},
    )
    with running(server) as (host, port):
        raters = [OfMushra(host, port, seed) for seed in range(RATERS)]
        for rater in raters:
            rater.pictures = names
        yield server, raters


async def _steps(server: Process, raters: Sequence[Rater], seconds: float) -> list[dict[str, Any]]:
    for rater in raters:
        await rater.sit_down()
    await step(server, raters, BEFORE_RATE * THINK_SECONDS / len(raters), BEFORE_SECONDS)
    steps: list[dict[str, Any]] = []
    for rate in RATES:
        for _ in range(_TRIES):
            try:
                found = await step(server, raters, rate * THINK_SECONDS / len(raters), seconds)
            except (OSError, asyncio.IncompleteReadError) as error:
                progress(f"  {rate}/s: connections fail ({type(error).__name__})")
                return steps
            progress(f"  {rate}/s: p99 {found['vote_ms']['p99']:.0f} ms, {found['achieved']:.0f}/s")
            if carried_a_second([found]):
                break
        steps.append(found)
        if not carried_a_second([found]):
            break
    for rater in raters:
        await rater.leave()
    return steps


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The Markdown page below its title."""
    text = [
        f"{RATERS} raters vote at random moments, so many a second in all as the generator wants, "
        "whether or not the site keeps up; the time of a vote counts from the moment at which it "
        f"was due. A rate is carried if 99 % of its votes are answered within {GOAL_FAST_MS:.0f} "
        f"ms, {100 * KNEE_SHARE:.0f} % of those due are done and none is refused, at the first or "
        "the second try: a disk may stand still once. "
        "Site, database and generator share two cores. Every vote is followed by what a browser "
        f"loads for the next item, with one picture of about {SIZE[0] * SIZE[1] * 3 / 1000:.0f} "
        f"kB. Before the race each site took {BEFORE_RATE} votes a second for {BEFORE_SECONDS} s. "
        "The rivals: "
        + ", ".join(f"{url} at {commit[:12]}" for url, commit in SOURCES.values())
        + ". webMUSHRA sends a rater's votes together at the end; here each was sent when it was "
        "given.",
        "",
        "| site | served by | a stored vote is | votes/s carried | p99 there | p99 at the next "
        "rate | ms of processor a vote |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        steps = row["steps"]
        fit = [one for one in steps if carried_a_second([one])]
        last = steps[-1] if len(fit) < len(steps) else None
        best = fit[-1] if fit else None
        text.append(
            f"| {row['name']} | {row['served']} | {row['durable']} | {row['carried']:.0f} | "
            + (f"{best['vote_ms']['p99']:.0f} ms | " if best else "– | ")
            + (
                f"{last['vote_ms']['p99']:.0f} ms of {last['offered']:.0f}/s, "
                f"{last['refused']} refused | "
                if last
                else "– | "
            )
            + (f"{1000 * best['site_cores'] / best['achieved']:.1f} |" if best else "– |")
        )
    text += ["", f"Ahead of both: {'yes' if is_ahead(rows) else 'NO'}."]
    return text


if __name__ == "__main__":
    sys.exit(main())
