"""Nearest and bicubic on Set5, Set14 and BSD100 under all protocols: by processes, by Dask, before.

Each command runs in turn, A B A B ..., into a folder of its own, and then once more into the same
folder: two processes (the default), one, a local Dask cluster of two workers, and the state of an
earlier commit, twice, whose ratio to itself is the machine's noise. Rows must be those of the
earlier commit. Writes executors.json and executors.md; exits with 1 where rows differ or a goal is
missed.

Example: python -m benchmarks.executors --rounds 2 --out build/bench
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import importlib.util
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import ROOT, progress, provenance, write_results

BEFORE = "97edc0ff"
ASKED = [
    *("--method", "nearest", "--method", "bicubic"),
    *("--dataset", "Set5", "--dataset", "Set14", "--dataset", "BSD100"),
    *("--protocol", "ledig2017", "--protocol", "matlab", "--protocol", "rgb"),
    *("--device", "cpu"),
]
GOALS = {
    ("now", "before"): ("at most", 0.6),
    ("one process", "now"): ("at least", 1.7),
    ("one process", "Dask"): ("at least", 1.5),
}
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of linux/prctl.h."""


@dataclass(frozen=True)
class Rival:
    """A command: the checkout that it runs, and what it is told beside ``ASKED``."""

    checkout: Path
    told: tuple[str, ...] = ()


def main() -> int:
    """Run the commands and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", default=BEFORE, metavar="COMMIT")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    # what is under way is removed then, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    origin, out = provenance(), options.out.resolve()
    # so that the processor time of all that a command starts is known
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    with_dask = importlib.util.find_spec("distributed") is not None
    with (
        tempfile.TemporaryDirectory() as place,
        checkout(options.before, Path(place, "checkout")) as before,
        local_cluster(Path(place)) if with_dask else nullcontext() as address,
    ):
        rivals = {
            "before": Rival(before),
            "before, again": Rival(before),
            "now": Rival(ROOT),
            "one process": Rival(ROOT, ("--workers", "1")),
        }
        if address:
            rivals["Dask"] = Rival(ROOT, ("--dask", address))
        measured = race(Path(place), rivals, options.rounds)
    content = {**origin, **measured, "before": options.before}
    content["goals"] = goals(content)
    write_results(out, "executors", content, "A benchmark by processes", lines(content))
    print(out / "executors.md")
    return 0 if content["same_rows"] and all(one["met"] for one in content["goals"]) else 1


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The files of another commit, removed afterwards."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "prune"], check=True)
    subprocess.run([*git, "add", "--detach", str(folder), commit], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


@contextmanager
def local_cluster(place: Path) -> Iterator[str]:
    """The file of a scheduler with two workers of one thread each."""
    file = place / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    own: dict[str, Any] = {"cwd": place, "env": environment(ROOT), "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen(
            [*dask, "scheduler", "--port", "0", "--scheduler-file", str(file), "--no-dashboard"],
            **own,
        )
    ]
    try:
        while not file.is_file():
            time.sleep(0.05)
        worker = [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1"]
        started += [
            subprocess.Popen([*worker, "--no-nanny", "--no-dashboard"], **own) for _ in range(2)
        ]
        yield str(file)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def environment(folder: Path) -> dict[str, str]:
    """In which a command finds the package of a checkout."""
    return {**os.environ, "PYTHONPATH": str(folder)}


def race(place: Path, rivals: Mapping[str, Rival], rounds: int) -> dict[str, Any]:
    """Wall and processor seconds of each rival in each round, and whether all gave the same rows.

    The second and the third run into a folder have nothing to compute. The first round counts for
    nothing: it fills the caches.
    """
    kinds = ("first", "second", "third")
    wall: dict[str, dict[str, list[float]]] = {k: {name: [] for name in rivals} for k in kinds}
    processor: dict[str, dict[str, list[float]]] = {k: {name: [] for name in rivals} for k in kinds}
    rows: dict[str, list[dict[str, str]]] = {}
    for number in range(rounds + 1):
        for name, rival in rivals.items():
            out = place / name.replace(" ", "-").replace(",", "")
            shutil.rmtree(out, ignore_errors=True)
            for kind in kinds if number else kinds[:1]:
                seconds = timed(rival, out)
                if number:
                    wall[kind][name].append(seconds[0])
                    processor[kind][name].append(seconds[1])
            rows[name] = rows_of(out)
        progress(f"round {number} of {rounds}")
    first = next(iter(rows.values()))
    return {
        "rounds": rounds,
        "wall": wall,
        "processor": processor,
        "rows": len(first),
        "same_rows": all(one == first for one in rows.values()),
    }


def timed(rival: Rival, out: Path) -> tuple[float, float]:
    """Wall and processor seconds of a command and of all that it has started."""
    others, begun, used = children(), time.perf_counter(), os.times()
    command = [sys.executable, "-m", "sreval", "benchmark", *ASKED, "--out", str(out), *rival.told]
    subprocess.run(
        command,
        check=True,
        cwd=out.parent,
        env=environment(rival.checkout),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - begun
    # what a command leaves behind is this process's, and counts once it has been waited for
    while left := {pid: state for pid, state in children().items() if pid not in others}:
        for pid in (pid for pid, state in left.items() if state == "Z"):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)
    now = os.times()
    spent = (now.children_user - used.children_user) + (now.children_system - used.children_system)
    return seconds, spent


def children() -> dict[int, str]:
    """The processes that this one must wait for, and what each does: Z where it has ended."""
    mine, found = os.getpid(), {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == mine:
                found[int(stat.parent.name)] = state
    return found


def rows_of(out: Path) -> list[dict[str, str]]:
    """The rows of a folder without the code that made them, which is another."""
    with (out / "results.csv").open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key != "code"}
            for row in csv.DictReader(file)
        ]


def ratio(content: Mapping[str, Any], one: str, other: str, kind: str = "first") -> float:
    """The median over the rounds of one rival's wall time over another's."""
    wall = content["wall"][kind]
    return float(statistics.median(a / b for a, b in zip(wall[one], wall[other], strict=True)))


def goals(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each goal whose rivals were there, and whether it is met."""
    found = []
    for (one, other), (kind, goal) in GOALS.items():
        if one in content["wall"]["first"] and other in content["wall"]["first"]:
            value = ratio(content, one, other)
            met = value <= goal if kind == "at most" else value >= goal
            found.append(
                {"of": one, "to": other, "goal": f"{kind} {goal:g}", "ratio": value, "met": met}
            )
    return found


def lines(content: Mapping[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    names = list(content["wall"]["first"])
    noise = ratio(content, "before, again", "before")
    cells = [
        " | ".join(
            f"{statistics.median(content[what][kind][name]):.2f}"
            for kind in ("first", "second", "third")
            for what in ("wall", "processor")
        )
        for name in names
    ]
    return [
        "Nearest and bicubic on Set5, Set14 and BSD100 (119 images) under three protocols, a "
        f"command each: seconds, medians of {content['rounds']} rounds. *Before* is commit "
        f"{content['before']}; *now* is the default. The second and the third run into a folder "
        "find everything there. A Dask cluster's processor time isn't counted.",
        "",
        "| | first: wall | processor | second: wall | processor | third: wall | processor |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(f"| {name} | {row} |" for name, row in zip(names, cells, strict=True)),
        "",
        f"The machine's noise, *before* against itself: {noise:.2f}. "
        f"{content['rows']:,} rows: {'all alike' if content['same_rows'] else 'THEY DIFFER'}.",
        "",
        *(
            f"- {one['of']} / {one['to']}: {one['ratio']:.2f}, goal {one['goal']}: "
            f"{'met' if one['met'] else 'missed'}."
            for one in content["goals"]
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
