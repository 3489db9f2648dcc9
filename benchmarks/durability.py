"""Faults at random moments under load: is any acknowledged vote lost, changed or doubled?

Fifty simulated raters vote through `sreval serve`. It is killed and started again, a hundred times
on SQLite and on PostgreSQL; SQLite's disk is full, ten times; PostgreSQL's server is ended and
started again, ten times. Writes durability.json and durability.md; exits with 1 when an
acknowledged vote was lost, changed or doubled. Only root can mount the disk that fills up.

Example: python -m benchmarks.durability --fault kill --times 5 --raters 10 --out build/bench
"""

from __future__ import annotations

import argparse
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from benchmarks.site import Server, links, noise_study, postgresql, restart_postgresql
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.store.database import open_store
from sreval.store.models import Vote
from sreval.study.respondent import Response
from tests.load.visitor import Stopped, Visit, Visitor

IMAGES = 40
THINK_SECONDS = 0.3
LATEST = 1.0
FULL_SECONDS = 2.0


def main() -> int:
    """Have every fault strike and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fault", choices=[row[0] for row in ROWS], help="all, if absent")
    parser.add_argument("--times", type=int, help="how often each strikes")
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rows = []
    for name, database, times, place, fault in ROWS:
        if options.fault in (None, name):
            with tempfile.TemporaryDirectory() as folder, place(Path(folder)) as url:
                row = endure(Path(folder), url, options.times or times, options.raters, fault)
            rows.append({"fault": name, "database": database, **row})
            progress(f"{rows[-1]}")
    content = {**origin, "rows": rows}
    write_results(options.out, "durability", content, "The site under faults", lines(rows))
    print(options.out / "durability.md")
    return 1 if any(row["lost"] or row["changed"] or row["doubled"] for row in rows) else 0


@contextmanager
def on_disk(folder: Path) -> Iterator[str]:
    """The URL of a SQLite database to be."""
    yield str(folder / "votes.sqlite")


@contextmanager
def on_a_small_disk(folder: Path) -> Iterator[str]:
    """The same on a file system of its own."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
    try:
        yield str(disk / "votes.sqlite")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def kill(server: Server, _: str) -> None:
    """SIGKILL of the site, and a new start."""
    server.kill()
    server.start()


def fill(server: Server, url: str) -> None:
    """Fill the database's disk to the last byte; make room again once the site has said that
    votes can't be stored."""
    ballast = Path(url).with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    server.await_health(503)
    time.sleep(FULL_SECONDS)
    ballast.unlink()


def crash(_: Server, url: str) -> None:
    """End PostgreSQL without warning, and start it again."""
    restart_postgresql(url)


Place = Callable[[Path], AbstractContextManager[str]]
Fault = Callable[[Server, str], None]

ROWS: list[tuple[str, str, int, Place, Fault]] = [
    ("kill", "sqlite", 100, on_disk, kill),
    ("kill", "postgresql", 100, lambda _: postgresql(), kill),
    ("disk-full", "sqlite", 10, on_a_small_disk, fill),
    ("database-restart", "postgresql", 10, lambda _: postgresql(), crash),
]
"""Fault and database, how often it strikes, where the database is, and what strikes it."""


@dataclass
class Scorer:
    """Scores at random, so that a score that was changed on the way is seen."""

    generator: random.Random

    def __call__(self, shown: Mapping[Any, bytes], intended: int | None) -> Response:
        assert shown["left"].startswith(b"\x89PNG")
        return Response(self.generator.randint(1, 5), 1000.0, {})


def endure(
    folder: Path, url: str, times: int, raters: int, fault: Fault, seed: int = 0
) -> dict[str, Any]:
    """Have a fault strike ``times`` times under ``raters`` and compare what is stored with what
    was acknowledged."""
    study = noise_study(folder / "study", IMAGES, raters)
    server = Server(study, url)
    crowd = _Crowd(server.url, links(study, url, 8 * raters), seed)
    generator = random.Random(seed)
    start = time.monotonic()
    with ThreadPoolExecutor(raters) as pool:
        server.start()
        futures = [pool.submit(crowd.keep_voting, number) for number in range(raters)]
        try:
            for number in range(times):
                crowd.await_vote()
                time.sleep(generator.uniform(0, LATEST))
                fault(server, url)
                if number % 10 == 9:
                    progress(f"{number + 1} times, {crowd.acknowledged} votes acknowledged")
            crowd.await_vote()
        finally:
            crowd.stop.set()
            server.kill()
        for future in futures:
            future.result()
    seconds = time.monotonic() - start
    return {"times": times, "raters": raters, "seconds": seconds, **compare(url, crowd.visits)}


class _Crowd:
    """Raters who take a new link whenever they are through, until they are stopped."""

    def __init__(self, site: str, paths: list[str], seed: int) -> None:
        self._site, self._seed = site, seed
        self._paths: queue.SimpleQueue[str] = queue.SimpleQueue()
        for path in paths:
            self._paths.put(path)
        self._voted = threading.Event()
        self.stop = threading.Event()
        self.visits: list[Visit] = []

    @property
    def acknowledged(self) -> int:
        return sum(len(visit.votes) for visit in list(self.visits))

    def keep_voting(self, number: int) -> None:
        generator = random.Random(f"{self._seed}/{number}")
        while not self.stop.is_set():
            visitor = Visitor(
                self._site + self._paths.get_nowait(),
                Scorer(generator),
                think=lambda: generator.expovariate(1 / THINK_SECONDS),
                patience=600,
                told=lambda _: self._voted.set(),
                stop=self.stop,
            )
            self.visits.append(visitor.visit)
            try:
                visitor.run()
            except Stopped:
                return

    def await_vote(self) -> None:
        """Until a vote has been acknowledged from now on: the site is under load again."""
        self._voted.clear()
        if not self._voted.wait(120):
            raise RuntimeError("no vote was acknowledged for two minutes")


def compare(url: str, visits: Sequence[Visit]) -> dict[str, int]:
    """What became of every acknowledged vote, and how many votes a position has."""
    with open_store(url) as store, store.read() as tx:
        rows = tx.execute(select(Vote.session_id, Vote.position, Vote.score)).all()
        if store.sqlite:
            assert tx.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    stored = {(session, position): score for session, position, score in rows}
    told = {
        (visit.session, position): score
        for visit in visits
        for position, score in visit.votes.items()
    }
    counts = Counter(session for session, _ in stored)
    latest = {session: max(p for s, p in stored if s == session) for session in counts}
    return {
        "acknowledged": len(told),
        "stored": len(rows),
        "lost": sum(key not in stored for key in told),
        "changed": sum(stored.get(key, score) != score for key, score in told.items()),
        "doubled": len(rows) - len(stored),
        "gaps": sum(latest[session] - counts[session] for session in counts),
        "retries": sum(visit.retries for visit in visits),
    }


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The Markdown page below its title."""
    text = [
        "A fault strikes at a random moment within a second of the first vote that "
        "`sreval serve` acknowledged after the last one. kill: the site is ended by SIGKILL, and "
        "started again. disk-full: not a byte more can be written, until "
        f"{FULL_SECONDS:.0f} s after `/health` has said so. database-restart: PostgreSQL is ended "
        "without warning, and started again. Simulated raters send a vote with the same key "
        "until it is acknowledged. Stored beyond acknowledged: votes whose answer the last fault "
        "cut off. Goal: none lost, changed or doubled.",
        "",
        "| fault | database | raters | times | acknowledged | stored | lost | changed | doubled | "
        "gaps | requests sent again | time |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        text.append(
            f"| {row['fault']} | {row['database']} | {row['raters']} | {row['times']} | "
            f"{row['acknowledged']} | {row['stored']} | {row['lost']} | {row['changed']} | "
            f"{row['doubled']} | {row['gaps']} | {row['retries']} | {row['seconds']:.0f} s |"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
