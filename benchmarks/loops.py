"""The metrics' inner loops against those of an earlier commit, in processor time of one thread.

Two warm processes take turns, one with the code of --before, one with this code; a third, with
this code too, tells the machine's own noise. Writes loops.json and loops.md with machine, commit
and date. Exits with 1 when a goal isn't met or a value differs by a bit.

Example: python -m benchmarks.loops --quick --out build/bench
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics import SIZES, pair
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.errors import DataError
from sreval.images.io import write_png
from sreval.metrics.lpips import TRUNKS

BEFORE = "97edc0ff"
GOALS = {"daala luma": 1 / 3, "two PNG files to `matlab` PSNR+SSIM": 0.7}
"""At most so much of the time before."""

CASES = (
    *GOALS,
    "two PNG files to `ledig2017` PSNR+SSIM",
    "two PNG files to PSNR+SSIM, all protocols",
    "reading two PNG files",
    "BT.601 luma",
    "SSIM of Wang et al.",
    "SSIM of daala",
)
PERCEIVED = "LPIPS of three results"
SAMPLES = {"daala luma": 13, "BT.601 luma": 4}
"""Bytes that a pixel's luma must at least be made from and go to: R, G, B, their dither, luma."""


class Worker:
    """A process that runs cases with some state of the code; see `loops_worker`."""

    def __init__(self, tree: Path, files: list[Path]) -> None:
        command = [sys.executable, "-P", str(ROOT / "benchmarks" / "loops_worker.py")]
        self._process = subprocess.Popen(
            [*command, *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"},
        )
        self._answer()

    def run(self, case: str, times: int) -> tuple[float, str]:
        """Milliseconds of a run, the mean of so many, and the hash of its result."""
        assert self._process.stdin is not None
        print(case, times, sep="\t", file=self._process.stdin, flush=True)
        spent, digest = self._answer().split()
        return float(spent), digest

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A worker ended too early.")
        return line


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """The code of a commit in a folder of its own, which is removed afterwards."""
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def main() -> int:
    """Time everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", default=BEFORE, help=f"the commit compared with ({BEFORE})")
    parser.add_argument("--quick", action="store_true", help="smallest size, few rounds")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    cases = list(CASES)
    try:
        TRUNKS["alex"].file()
        cases.append(PERCEIVED)
    except DataError as error:
        progress(f"LPIPS is left out: {error}")
    seconds = 1.0 if options.quick else 4.0
    with checked_out(options.before) as tree:
        rows = [
            row
            for size in SIZES[: 1 if options.quick else None]
            for row in timed(size, tree, cases, seconds)
        ]
    bandwidth = copied_bytes_a_second()
    content = {**origin, "before": options.before, "rows": rows, "bandwidth": bandwidth}
    lines = report(rows, options.before, bandwidth)
    write_results(options.out, "loops", content, "The metrics' inner loops", lines)
    print("\n".join(lines))
    return 1 if any(row["met"] is False or not row["same"] for row in rows) else 0


def timed(
    size: tuple[int, int], tree: Path, cases: list[str], seconds: float
) -> Iterator[dict[str, Any]]:
    """The rows of all cases at one size."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files = [Path(folder) / "hr.png", Path(folder) / "sr.png"]
        for path, image in zip(files, pair(*size), strict=True):
            write_png(path, image)
        workers = [Worker(code, files) for code in (tree, ROOT, ROOT)]
        for worker in workers:
            stack.callback(worker.close)
        for case in cases:
            progress(f"{size[0]}x{size[1]}: {case}")
            first = [worker.run(case, 1) for worker in workers]
            # each turn takes about 20 ms, however coarse the clock
            times = max(1, round(20 / max(0.1, first[1][0])))
            turns: list[list[float]] = []
            end = time.perf_counter() + seconds
            while len(turns) < 5 or time.perf_counter() < end:
                turns.append([worker.run(case, times)[0] for worker in workers])
            before, now, _ = (statistics.median(column) for column in zip(*turns, strict=True))
            ratio = statistics.median(turn[1] / turn[0] for turn in turns)
            goal = GOALS.get(case)
            yield {
                "case": case,
                "height": size[0],
                "width": size[1],
                "before_ms": before,
                "ms": now,
                "ms_per_megapixel": now / (size[0] * size[1] / 1e6),
                "ratio": ratio,
                "noise": statistics.median(turn[2] / turn[1] for turn in turns),
                "rounds": len(turns),
                "same": len({digest for _, digest in first}) == 1,
                "goal": goal,
                "met": None if goal is None else ratio <= goal,
            }


def copied_bytes_a_second() -> float:
    """What one thread copies, counted once read and once written, from memory to memory."""
    source = np.ones(2**25)
    target = np.empty_like(source)
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        spent.append(time.perf_counter() - start)
    return 2 * source.nbytes / min(spent)


def report(rows: list[dict[str, Any]], before: str, bandwidth: float) -> list[str]:
    """The results as Markdown."""
    reading = {row["height"]: row["ms"] for row in rows if row["case"] == "reading two PNG files"}
    lines = [
        f"Milliseconds of processor time in one thread, medians; before is commit {before}. The "
        "ratio is the median over turns A B C ...; noise is that of two processes with the same "
        "code. HR is a photograph, SR its bicubic reconstruction. The limit is what reading both "
        "files takes with the same codec, or what it takes to bring the bytes of a luma through "
        f"memory once ({bandwidth / 1e9:.1f} GB/s): the share of it in the time.",
        "",
        "| size | what | before ms | ms | ms/MP | ratio | noise | same bits | goal | limit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        limit: float | None = None
        if row["case"].startswith("two PNG files"):
            limit = reading[row["height"]]
        elif row["case"] in SAMPLES:
            pixels = row["height"] * row["width"]
            limit = 1000 * SAMPLES[row["case"]] * pixels / bandwidth
        share = "" if limit is None else f"{100 * limit / row['ms']:.0f} %"
        goal = "" if row["goal"] is None else f"{row['goal']:.2f} {_judged(row)}"
        lines.append(
            f"| {row['height']}x{row['width']} | {row['case']} | {row['before_ms']:.2f} "
            f"| {row['ms']:.2f} | {row['ms_per_megapixel']:.1f} | {row['ratio']:.2f} "
            f"| {row['noise']:.2f} | {'yes' if row['same'] else 'NO'} | {goal} "
            f"| {share} |"
        )
    return lines


def _judged(row: dict[str, Any]) -> str:
    return "ok" if row["met"] else "NOT MET"


if __name__ == "__main__":
    sys.exit(main())
