"""SIGKILL of the site at random moments under load: is any acknowledged vote lost or doubled?

Fifty simulated raters vote through `sreval serve`; it is killed and started again, a hundred
times on SQLite and on PostgreSQL. Writes durability.json and durability.md; exits with 1 when an
acknowledged vote was lost, changed or doubled.

Example: python -m benchmarks.durability --kills 5 --raters 10 --out build/bench
"""

from __future__ import annotations

import argparse
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from benchmarks.site import Server, links, noise_study, postgresql
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.store.database import open_store
from sreval.store.models import Vote
from tests.load.visitor import Stopped, Visit, Visitor

IMAGES = 40
THINK_SECONDS = 0.3
LATEST_KILL = 1.0


def main() -> int:
    """Kill on both databases and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rows = []
    for kind in options.database or ["sqlite", "postgresql"]:
        with (
            tempfile.TemporaryDirectory() as name,
            postgresql()
            if kind == "postgresql"
            else (nullcontext(str(Path(name) / "votes.sqlite"))) as url,
        ):
            row = endure(Path(name), url, options.kills, options.raters)
        rows.append({"database": kind, **row})
        progress(f"{kind}: {row}")
    content = {**origin, "rows": rows}
    write_results(options.out, "durability", content, "The site under SIGKILL", lines(rows))
    print(options.out / "durability.md")
    return 1 if any(row["lost"] or row["changed"] or row["doubled"] for row in rows) else 0


@dataclass
class Scorer:
    """Scores at random, so that a score that was changed on the way is seen."""

    generator: random.Random

    def __call__(self, png: bytes, intended: int | None) -> tuple[int, float]:
        assert png.startswith(b"\x89PNG")
        return self.generator.randint(1, 5), 1000.0


def endure(folder: Path, url: str, kills: int, raters: int, seed: int = 0) -> dict[str, Any]:
    """Kill the site ``kills`` times under ``raters`` and compare what is stored with what was
    acknowledged."""
    study = noise_study(folder / "study", IMAGES, raters)
    server = Server(study, url)
    crowd = _Crowd(server.url, links(study, url, 8 * raters), seed)
    generator = random.Random(seed)
    start = time.monotonic()
    with ThreadPoolExecutor(raters) as pool:
        server.start()
        futures = [pool.submit(crowd.keep_voting, number) for number in range(raters)]
        try:
            for number in range(kills):
                crowd.await_vote()
                time.sleep(generator.uniform(0, LATEST_KILL))
                server.kill()
                server.start()
                if number % 10 == 9:
                    progress(f"{number + 1} kills, {crowd.acknowledged} votes acknowledged")
            crowd.await_vote()
        finally:
            crowd.stop.set()
            server.kill()
        for future in futures:
            future.result()
    seconds = time.monotonic() - start
    return {"kills": kills, "raters": raters, "seconds": seconds, **compare(url, crowd.visits)}


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
        "`sreval serve` is ended by SIGKILL at a random moment within a second of the first vote "
        "that it acknowledged, and started again. Simulated raters send a vote with the same key "
        "until it is acknowledged. Stored beyond acknowledged: votes whose answer the last kill "
        "cut off. Goal: none lost, changed or doubled.",
        "",
        "| database | raters | kills | acknowledged | stored | lost | changed | doubled | gaps | "
        "requests sent again | time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        text.append(
            f"| {row['database']} | {row['raters']} | {row['kills']} | {row['acknowledged']} | "
            f"{row['stored']} | {row['lost']} | {row['changed']} | {row['doubled']} | "
            f"{row['gaps']} | {row['retries']} | {row['seconds']:.0f} s |"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
