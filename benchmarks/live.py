"""The operator's live page while 200 raters rate at once: processor time of a refresh.

Writes a study of 300 items a rater into SQLite and into PostgreSQL, as if every rater were at the
last item and had voted every four seconds, and asks for the part of the page that refreshes itself
again and again, as its script does. Processor time is that of this process, which is the site, and
of PostgreSQL's own processes. Writes live.json and live.md; exits with 1 when a refresh costs more
than the goal.

Example: python -m benchmarks.live --raters 20 --refreshes 5 --out build/bench
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text, update

from benchmarks.limits import beside, distances
from benchmarks.site import links, noise_study, postgresql
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from sreval.store import enrolment
from sreval.store.database import Store, open_store
from sreval.store.live import Live
from sreval.store.models import PlanItem, Session, Vote
from sreval.store.operators import Operators
from sreval.study.manifest import load_manifest

RATERS, IMAGES, REFRESHES = 200, 50, 40
GOAL_MS = 50.0
_BETWEEN = dt.timedelta(seconds=4)
_GOLD = """
[[gold]]
dataset = "noise"
method = "nearest"
images = 5
low = 1
high = 2
"""


def main() -> int:
    """Make the studies, ask for the page and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=RATERS)
    parser.add_argument("--refreshes", type=int, default=REFRESHES)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin, found = provenance(), {}
    with tempfile.TemporaryDirectory() as name, postgresql() as server:
        folder = noise_study(Path(name) / "noise", IMAGES, options.raters, more=_GOLD)
        for kind, url in (("sqlite", f"sqlite:///{name}/votes.sqlite"), ("postgresql", server)):
            rows = fill(folder, url, options.raters)
            progress(f"{kind}: {rows} votes stored")
            found[kind] = {"votes": rows, **measure(folder, url, options.refreshes)}
    by = "the sessions' rows as they are, by one SELECT, without any count"
    content = {
        **origin, "raters": options.raters, "databases": found,
        "limits": [
            beside(f"a refresh, {kind}", one["median_ms"], one["rows_ms"], "ms", by)
            for kind, one in found.items()
        ],
    }  # fmt: skip
    title = "The operator's live page"
    write_results(options.out, "live", content, title, lines(content))
    print(options.out / "live.md")
    return 0 if all(one["median_ms"] < GOAL_MS for one in found.values()) else 1


def fill(folder: Path, url: str, raters: int) -> int:
    """Raters who have rated everything but their last item, until now; gives the votes."""
    opened = [path.rpartition("/")[2] for path in links(folder, url, raters)]
    manifest = load_manifest(folder)
    with open_store(url) as store:
        votes = sum(voted(store, enrolment.enrol(store, t, manifest).session_id) for t in opened)
        with store.begin() as tx:
            tx.execute(text("ANALYZE"))  # as PostgreSQL does by itself after a while
    return votes


def voted(store: Store, session: str, left: int = 1) -> int:
    """Let a rater have rated all but the last ``left`` items; gives the votes."""
    now = store.clock()
    with store.begin() as tx:
        row = tx.get_one(Session, session)
        done = row.total - left
        own = PlanItem.session_id == session
        stored = [now - (done - position) * _BETWEEN for position in range(1, done + 1)]
        votes = [
            {
                "session_id": session, "position": position, "score": 1 + position % 5,
                "key": f"key-{position:06}", "response_ms": 2500.0, "device": "",
                "shown_at": at - dt.timedelta(seconds=3), "stored_at": at,
            }
            for position, at in enumerate(stored, 1)
        ]  # fmt: skip
        if votes:
            tx.execute(insert(Vote), votes)
        tx.execute(update(PlanItem).where(own).values(sent_at=now))
        row.stage, row.done, row.seen_at = "rating", done, now
    return done


def measure(folder: Path, url: str, refreshes: int) -> dict[str, Any]:
    """Processor time of each refresh, in milliseconds, and the bytes that it sends."""
    app = create_app(SiteConfig(study=folder, database=url, secret="x" * 32, rates=None))
    app.config["WTF_CSRF_ENABLED"] = False
    with open_store(url) as store:
        Operators(store).add("ada", "viewer", "correct horse battery")
        token = Operators(store).link("ada")
        shown = len(Live.of(store, "noise").present)
    client = app.test_client()
    client.post(f"/operator/login/{token}")
    address = "/operator/studies/noise/live/now"
    page = client.get(address)  # the first one compiles the template
    if page.status_code != 200:
        sys.exit(f"The live page answers {page.status_code}: {page.text[:500]}")
    times, server = [], _server_seconds(url)
    for _ in range(refreshes):
        began = time.process_time()
        client.get(address)
        times.append(1000 * (time.process_time() - began))
    behind = 1000 * (_server_seconds(url) - server) / refreshes
    with open_store(url) as store, store.read() as tx:
        plain = text("SELECT * FROM session")
        began = time.process_time()
        for _ in range(refreshes):
            tx.execute(plain).all()
        least = 1000 * (time.process_time() - began) / refreshes
    return {
        "listed": shown,
        "median_ms": statistics.median(times) + behind,
        "largest_ms": max(times) + behind,
        "database_ms": behind,
        "rows_ms": least,
        "bytes": len(page.data),
    }


def _server_seconds(url: str) -> float:
    """Processor time of PostgreSQL's processes that serve us; of SQLite it is our own."""
    if url.startswith("sqlite"):
        return 0.0
    with open_store(url) as store, store.read() as tx:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = [int(pid) for pid in tx.scalars(query)]
        own = int(tx.scalar(text("SELECT pg_backend_pid()")) or 0)
    ticks = 0
    for pid in pids:
        if pid != own:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def lines(content: dict[str, Any]) -> list[str]:
    """The results as a page says them."""
    rows = [
        f"| {kind} | {one['votes']:,} | {one['listed']} | {one['median_ms']:.1f} | "
        f"{one['largest_ms']:.1f} | {one['database_ms']:.1f} | {one['bytes'] / 1e3:.0f} |"
        for kind, one in content["databases"].items()
    ]
    return [
        f"Processor time of one refresh of the operator's live page, while {content['raters']} "
        "raters are at their last item and have voted every four seconds. Goal: less than "
        f"{GOAL_MS:.0f} ms. The database's own processes are counted in.",
        "",
        "| database | votes | raters listed | median, ms | largest, ms | PostgreSQL's, ms | kB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *rows,
        *distances(content["limits"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
