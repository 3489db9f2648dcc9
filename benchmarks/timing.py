"""One timing loop for all benchmarks, and where their results come from and go to."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sreval.benchmarking.provenance import machine, package_versions
from sreval.files import write_atomic

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Timing:
    """One rival: its median time, the median of its time over the first one's, its value."""

    milliseconds: float
    ratio: float
    rounds: int
    value: Any


def compare(
    rivals: Mapping[str, Callable[[], Any]], seconds: float, least: int = 5, most: int = 101
) -> dict[str, Timing]:
    """Time the rivals in turn, A B A B ..., for about ``seconds``.

    A ratio is the median over the rounds of the rival's time divided by the first rival's of
    the same round, so that whatever else the machine does strikes both.
    """
    values = {name: run() for name, run in rivals.items()}
    times: dict[str, list[float]] = {name: [] for name in rivals}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < least or (rounds < most and time.perf_counter() < end):
        for name, run in rivals.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
        rounds += 1
    first = times[next(iter(rivals))]
    return {
        name: Timing(
            1000 * statistics.median(own),
            statistics.median(b / a for a, b in zip(first, own, strict=True)),
            rounds,
            values[name],
        )
        for name, own in times.items()
    }


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch, BLAS, OpenMP and OpenCV work with so many threads."""
    import cv2
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), cv2.getNumThreads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            cv2.setNumThreads(before[1])


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Keep this process and those it starts on so many cores, where the system can do so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def provenance() -> dict[str, Any]:
    """Date, commit, command, machine, load before the start, versions of the packages."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "command": " ".join(["python", *map(_without_folder, sys.argv)]),
        "machine": machine("cpu"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "packages": package_versions(),
    }


def write_results(
    folder: Path, name: str, content: Mapping[str, Any], title: str, lines: list[str]
) -> None:
    """Write NAME.json, and NAME.md with ``lines`` below the title and the machine."""
    facts = content["machine"]
    origin = (
        f"{content['date']}, commit {content['commit']}. {facts['processor']}, "
        f"{facts['cores']} cores, {facts['system']}, Python {facts['python']}; load average "
        f"before the start {content['load_average'][0]}."
    )
    text = "\n".join([f"# {title}", "", origin, "", *lines])
    write_atomic(folder / f"{name}.json", json.dumps(content, indent=1) + "\n")
    write_atomic(folder / f"{name}.md", text + "\n")


def progress(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def _without_folder(word: str) -> str:
    """Where a file lies on this machine is nobody's business."""
    return Path(word).name if Path(word).is_absolute() else word


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "sreval")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
