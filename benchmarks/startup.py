"""Four servers open a new PostgreSQL database at once: does each of them start?

Each is a process that makes the site's application, as `sreval serve` and gunicorn's workers do;
as many processes as there are cores compute beside them. Writes startup.json and startup.md; exits
with 1 when a server didn't start, or left a connection open.

Example: python -m benchmarks.startup --times 5 --out build/bench
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import sqlalchemy

from benchmarks.limits import beside, distances
from benchmarks.site import noise_study, postgresql
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.site.app import create_app
from sreval.site.config import SiteConfig

_SECONDS = 300
"""Longer than any start takes: then something hangs."""


def main() -> int:
    """Start the servers on one new database after the other and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    origin = provenance()
    with tempfile.TemporaryDirectory() as name, postgresql() as url:
        row = start_together(Path(name), url, given.times, given.servers)
    write_results(
        given.out, "startup", {**origin, "rows": [row]}, "Servers that start at once", lines(row)
    )
    print(given.out / "startup.md")
    return 1 if row["started"] < row["times"] or row["open"] else 0


def start_together(folder: Path, url: str, times: int, servers: int) -> dict[str, Any]:
    """Start ``servers`` on ``times`` new databases; how often all of them started, and how fast."""
    study = noise_study(folder / "noise", images=2, raters=2)
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(servers)
    pipes = [context.Pipe() for _ in range(servers)]
    workers = [
        context.Process(target=serve, args=(study, gate, theirs), daemon=True)
        for _, theirs in pipes
    ]
    burners = [context.Process(target=compute, daemon=True) for _ in range(os.cpu_count() or 1)]
    admin = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    failures: list[str] = []
    seconds: list[float] = []
    still_open = 0
    try:
        for process in workers + burners:
            process.start()
        connecting = []
        for number in range(times):
            name = f"new{number}"
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE template0")
            begun = time.perf_counter()
            with sqlalchemy.create_engine(
                sqlalchemy.make_url(url).set(drivername="postgresql+psycopg", database=name),
                poolclass=sqlalchemy.NullPool,
            ).connect() as connection:
                connection.exec_driver_sql("SELECT 1")
            connecting.append(time.perf_counter() - begun)
            fresh = sqlalchemy.make_url(url).set(database=name)
            for ours, _ in pipes:
                ours.send(fresh.render_as_string(hide_password=False))
            said = [ours.recv() for ours, _ in pipes if ours.poll(_SECONDS)]
            assert len(said) == servers, "a server hangs"
            failures += [f"{number}: {error}" for error, _ in said if error][:1]
            seconds += [took for _, took in said]
            with admin.connect() as connection:
                still_open += left_open(connection, name)
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            if number % 20 == 19:
                progress(f"{number + 1} of {times}, {len(failures)} failed")
    finally:
        admin.dispose()
        for process in workers + burners:
            process.kill()
    return {
        "times": times,
        "servers": servers,
        "started": times - len(failures),
        "failures": failures,
        "open": still_open,
        "median_seconds": statistics.median(seconds),
        "most_seconds": max(seconds),
        "connecting_seconds": statistics.median(connecting),
    }


def left_open(connection: sqlalchemy.Connection, database: str) -> int:
    """Connections to a database that nobody should hold; the server takes a moment to end one."""
    query = sqlalchemy.text("SELECT count(*) FROM pg_stat_activity WHERE datname = :name")
    for _ in range(100):
        found = int(connection.scalar(query, {"name": database}) or 0)
        if not found:
            break
        time.sleep(0.05)
    return found


def serve(study: Path, gate: Barrier, pipe: Connection) -> None:
    """Start on each database that comes by ``pipe``; say what went wrong, and how long it took."""
    while True:
        config = SiteConfig.given(study=study, database=pipe.recv(), secret="s" * 64)
        gate.wait()
        begun, error = time.perf_counter(), ""
        try:
            store = create_app(config).extensions["sreval"].store
            if store.check_schema() != "current":
                error = "the tables are not current"
            store.dispose()
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        took = time.perf_counter() - begun
        gate.wait()
        pipe.send((error, took))


def compute() -> None:
    """Keep a core busy."""
    while True:
        sum(range(10_000))


def lines(row: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    return [
        f"{row['servers']} processes make the site's application on one new PostgreSQL database at "
        "the same moment, beside as many busy processes as there are cores. Goal: each of them "
        "starts, every time, and leaves no connection open.",
        "",
        "| servers | databases | all started | connections left open | median start | longest |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| {row['servers']} | {row['times']} | {row['started']} | {row['open']} | "
        f"{row['median_seconds']:.2f} s | {row['most_seconds']:.2f} s |",
        *(["", *(f"- {failure}" for failure in row["failures"])] if row["failures"] else []),
        *distances(
            [
                beside(
                    "the median start", row["median_seconds"], row["connecting_seconds"], "s",
                    "a connection to the new database and one statement, as busy a machine",
                )
            ]
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
