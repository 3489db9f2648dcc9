"""How closely a run of given minutes keeps to them.

The time is taken around the training loop, from outside of its own clock. A loaded machine is one
on which as many processes as it has cores compute beside it. Writes timed.json and timed.md; exits
with 1 where a run was more than 2 % over.

Example: python -m benchmarks.timed --data photographs --minutes 2 --minutes 5
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.training import run as training
from sreval.training.loop import Training

MOST_OVER = 0.02


def main() -> int:
    """Time the runs and write the results; runs measured before at other lengths are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--minutes", type=float, action="append", help="default: 2, 5 and 20")
    parser.add_argument("--load", choices=("idle", "loaded"), action="append", help="default: both")
    parser.add_argument("--model", default="srresnet-mse")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: the profile's")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    origin = provenance()
    rows = [
        timed(given, minutes, load)
        for load in given.load or ("idle", "loaded")
        for minutes in given.minutes or (2.0, 5.0, 20.0)
    ]
    kept = given.out / "timed.json"
    before = json.loads(kept.read_text())["rows"] if kept.is_file() else []
    measured = {key(row) for row in rows}
    rows = sorted([*rows, *(row for row in before if key(row) not in measured)], key=key)
    content = {**origin, "rows": rows}
    write_results(given.out, "timed", content, "Runs of given minutes", lines(rows))
    print(given.out / "timed.md")
    return 1 if any(row["seconds"] > (1 + MOST_OVER) * 60 * row["minutes"] for row in rows) else 0


def key(row: dict[str, Any]) -> tuple[str, str, float]:
    return row["load"], row["model"], row["minutes"]


def timed(given: argparse.Namespace, minutes: float, load: str) -> dict[str, Any]:
    """One run, with other processes beside it or without."""
    progress(f"{given.model}, {minutes:g} minutes, {load}")
    spent: list[float] = []
    loop: Callable[[Training], int | None] = vars(training)["loop"]

    def watched(run: Training) -> int | None:
        begun = time.perf_counter()
        try:
            return loop(run)
        finally:
            spent.append(time.perf_counter() - begun)

    others = [
        multiprocessing.Process(target=compute, daemon=True)
        for _ in range((os.cpu_count() or 1) if load == "loaded" else 0)
    ]
    for other in others:
        other.start()
    vars(training)["loop"] = watched
    try:
        with tempfile.TemporaryDirectory() as folder:
            outcome = training.train(
                training.Request(
                    given.model,
                    [given.data],
                    Path(folder) / "run",
                    given.profile,
                    device="cpu",
                    precision=given.precision,
                    minutes=minutes,
                )
            )
    finally:
        vars(training)["loop"] = loop
        for other in others:
            other.kill()
    if outcome.signal is not None:
        raise SystemExit(128 + outcome.signal)
    return {
        "model": given.model,
        "minutes": minutes,
        "load": load,
        "seconds": spent[0],
        "updates": outcome.step,
    }


def compute() -> None:
    """Keep a core busy until the process is killed."""
    number = 0
    while True:
        number = (number * 1103515245 + 12345) % 2**31


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The table."""
    table = [
        "The training loop's time, validation and saving included, against what was given; at most "
        f"{100 * MOST_OVER:g} % over is the goal. Loaded: a busy process a core beside it.",
        "",
        "| model | load | given, s | taken, s | over | updates |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        whole = 60 * row["minutes"]
        table.append(
            f"| {row['model']} | {row['load']} | {whole:.0f} | {row['seconds']:.1f} | "
            f"{100 * (row['seconds'] / whole - 1):+.2f} % | {row['updates']:,} |"
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
