"""Evaluating a folder of results, PSNR and SSIM on Y from PNG files, beside pyiqa and basicsr.

Scores bicubic results of BSD100 on two cores: once by commands, from the start of the process to
its end, once by loops in processes that are ready. Each rival goes its own way, with as many
threads as it wants, in turn with the others: A B C A, A B C A. Writes evaluation.json and
evaluation.md; exits with 1 when a goal isn't met. Needs BSD100 (SREVAL_DATA); pyiqa is installed
into an environment of its own under build/. A rival that can't be had is left out and named.

Example: python -m benchmarks.evaluation --rounds 1 --out build/bench
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation_loops import CROP
from benchmarks.limits import beside, decode_seconds, distances, inflate_seconds
from benchmarks.rivals import MissingRivalError, install_pyiqa, load_basicsr
from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.errors import SrevalError
from sreval.images.datasets import Dataset, open_dataset
from sreval.images.io import read_image, write_png
from sreval.images.luma import bt601_float
from sreval.images.resize import upscale
from sreval.metrics.protocol import crop
from sreval.metrics.psnr import psnr
from sreval.metrics.ssim import ssim_wang

CORES = 2
GOALS = {"pyiqa": 5.0, "basicsr": 3.0}
AGAIN = " again"
"""What a rival's name ends with that is timed twice in a round, to see the machine's own noise."""

FEW = 10
"""The images that pyiqa's loop is given: it takes long, and as long for each."""

Run = Callable[[], dict[str, Any]]


def main() -> int:
    """Time both ways and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=2, help="of the commands; three more of loops"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    try:
        dataset = open_dataset("BSD100", CROP)
    except SrevalError as error:
        raise SystemExit(f"BSD100 can't be had: {error}") from None
    said, pyiqa = rivals()
    with tempfile.TemporaryDirectory() as name, cores(CORES):
        sr = Path(name) / "SR"
        hr = results_of(dataset, sr)
        commands = timed(of_commands(hr, sr, Path(name), said, pyiqa), options.rounds, "sreval")
        with ExitStack() as stack:
            loops = timed(of_loops(stack, hr, sr, said, pyiqa), options.rounds + 3, "sreval.score")
        values = compared(hr, sr, loops)
        limits = of_limits(hr, sr, commands, loops)
    content = {
        **origin, "rivals": said, "images": len(dataset.items), "commands": commands,
        "loops": [{key: row[key] for key in row if key != "values"} for row in loops],
        "agreement": values, "limits": limits,
    }  # fmt: skip
    title = "Evaluating a folder of BSD100 results"
    write_results(options.out, "evaluation", content, title, lines(content))
    print(options.out / "evaluation.md")
    missed = [row for row in commands + loops if row["met"] is False]
    for row in missed:
        progress(f"NOT MET: {row['who']}: {row['ratio']:.2f} times, goal {row['goal']}")
    return 1 if missed else 0


def rivals() -> tuple[dict[str, str], Path | None]:
    """How each rival was got, or why it is left out; and the folder of pyiqa's programs."""
    said, pyiqa = {}, None
    try:
        said["basicsr"] = load_basicsr().origin
    except MissingRivalError as error:
        progress(str(error))
    try:
        pyiqa = install_pyiqa(ROOT / "build" / "rivals" / "pyiqa")
        asked = "from importlib.metadata import version; print(version('pyiqa'))"
        found = subprocess.run([pyiqa / "python", "-c", asked], capture_output=True, text=True)
        said["pyiqa"] = f"pyiqa {found.stdout.strip()} as released, in an environment of its own"
    except MissingRivalError as error:
        progress(str(error))
    return said, pyiqa


def results_of(dataset: Dataset, folder: Path) -> Path:
    """Write the bicubic results of a data set's LR images; gives the folder of its HR images."""
    folder.mkdir()
    for item in dataset.items:
        assert item.hr is not None
        assert item.lr is not None
        write_png(folder / item.hr.name, upscale(read_image(item.lr).pixels, CROP))
    assert dataset.items[0].hr is not None
    return dataset.items[0].hr.parent


def timed(runs: Mapping[str, Run], rounds: int, first: str) -> list[dict[str, Any]]:
    """Let all runs take turns; a row each, with how many times longer than ``first`` it takes."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(run())
            progress(f"{name}: {1e3 * found[name][-1]['each']:.1f} ms an image")
    rows = []
    for name, own in found.items():
        ratios = [b["each"] / a["each"] for a, b in zip(found[first], own, strict=True)]
        goal = GOALS.get(name) if name != first else None
        ratio = statistics.median(ratios)
        rows.append(
            {
                "who": name, "images": own[0]["images"], "rounds": rounds,
                "each_ms": 1e3 * statistics.median(one["each"] for one in own),
                "ratio": ratio, "lowest": min(ratios), "highest": max(ratios), "goal": goal,
                "met": None if goal is None else ratio >= goal, "values": own[0].get("values"),
            }
        )  # fmt: skip
    return rows


def of_commands(
    hr: Path, sr: Path, folder: Path, said: Mapping[str, str], pyiqa: Path | None
) -> dict[str, Run]:
    """Each rival's command, or its script, as a run of a fresh process over all images."""
    images = len(list(hr.iterdir()))
    loops = str(ROOT / "benchmarks" / "evaluation_loops.py")
    given = ["--method", f"published:{sr}", "--dataset", "BSD100", "--protocol", "matlab"]

    def of(command: Sequence[str | Path]) -> Run:
        return lambda: whole(command, images)

    def sreval() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            run = [sys.executable, "-m", "sreval", "benchmark", *given]
            return whole([*run, "--out", Path(out) / "results"], images)

    runs: dict[str, Run] = {"sreval": sreval}
    runs["sreval.score"] = of([sys.executable, loops, "sreval.score in threads", hr, sr, "--once"])
    if "basicsr" in said:
        runs["basicsr"] = of([sys.executable, loops, "basicsr", hr, sr, "--once"])
    if pyiqa:
        runs["pyiqa"] = of(
            [pyiqa / "pyiqa", "psnry", "ssim", "-t", sr, "-r", hr, "--device", "cpu"]
        )
    return {**runs, f"sreval{AGAIN}": sreval}


def whole(command: Sequence[str | Path], images: int) -> dict[str, Any]:
    """A process from its start to its end, in seconds an image."""
    start = time.perf_counter()
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=_free())
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return {"each": seconds / images, "images": images}


def _free() -> dict[str, str]:
    """This environment, its packages' search path with us first, without a limit of threads."""
    kept = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    path = os.pathsep.join([str(ROOT), kept.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**kept, "PYTHONPATH": path}


def of_loops(
    stack: ExitStack, hr: Path, sr: Path, said: Mapping[str, str], pyiqa: Path | None
) -> dict[str, Run]:
    """Each rival's loop in a process that is ready."""
    images = len(list(hr.iterdir()))
    ours = Path(sys.executable)
    own = ("sreval.score", "sreval.score in threads", "sreval.benchmark")
    asked = [(name, ours, images) for name in own]
    if "basicsr" in said:
        asked.append(("basicsr", ours, images))
    if pyiqa:
        asked.append(("pyiqa", pyiqa / "python", FEW))
    runs: dict[str, Run] = {}
    for name, python, count in asked:
        runs[name] = _looping(stack.enter_context(_ready(python, name, hr, sr)), count)
    return {**runs, f"sreval.score{AGAIN}": runs["sreval.score"]}


@contextmanager
def _ready(python: Path, name: str, hr: Path, sr: Path) -> Iterator[subprocess.Popen[str]]:
    loops = ROOT / "benchmarks" / "evaluation_loops.py"
    command = [str(word) for word in (python, loops, name, hr, sr)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=_free(),
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        try:
            if process.stdout.readline() != "ready\n":
                raise SystemExit(f"The loop of {name} doesn't start: {' '.join(command)}")
            yield process
        finally:
            process.stdin.close()


def _looping(process: subprocess.Popen[str], count: int) -> Run:
    def run() -> dict[str, Any]:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{count}\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise SystemExit(f"A loop of evaluation_loops.py ended with {process.wait()}.")
        found = json.loads(answer)
        return {"each": found["seconds"] / count, "images": count, "values": found["values"]}

    return run


def compared(hr: Path, sr: Path, loops: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How far the loops' values lie from ours at the most, and from ours of unrounded luma."""
    ours = next(row["values"] for row in loops if row["who"] == "sreval.score")
    unrounded: tuple[list[float], list[float]] = ([], [])
    for path in sorted(hr.iterdir()):
        pair = (read_image(one).pixels for one in (path, sr / path.name))
        a, b = (bt601_float(crop(pixels, CROP)) for pixels in pair)
        unrounded[0].append(psnr(a, b))
        unrounded[1].append(ssim_wang(a, b))
    found = []
    for row in loops:
        if row["who"] != "sreval.score":
            apart = [_apart(one, row["values"]) for one in (ours, unrounded)]
            found.append({"who": row["who"], "from_ours": apart[0], "from_unrounded": apart[1]})
    return found


def _apart(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> list[float]:
    """The largest difference of PSNR and of SSIM over the images that both have."""
    return [
        float(np.abs(np.array(a)[: len(b)] - np.array(b)).max())
        for a, b in zip(ours, theirs, strict=True)
    ]


def of_limits(
    hr: Path, sr: Path, commands: Sequence[dict[str, Any]], loops: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Our loop and our commands beside reading the two files of each pair, on all cores."""
    paths = tuple(path for folder in (hr, sr) for path in sorted(folder.iterdir()))
    each = 1e3 / (len(paths) / 2) / CORES
    decode, inflate = each * decode_seconds(paths), each * inflate_seconds(paths)
    ways = {"by `sreval.score`": loops[0], "by `sreval.benchmark`": loops[1]}
    ways["by the command `sreval benchmark`"] = commands[0]
    by_codec = f"reading both files by the codec in use, {CORES} cores"
    by_zlib = f"zlib inflating both files, no more, {CORES} cores"
    return [
        beside(f"an image {way}", row["each_ms"], limit, "ms", by)
        for way, row in ways.items()
        for limit, by in ((decode, by_codec), (inflate, by_zlib))
    ]


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    said = "; ".join(content["rivals"].values()) or "no rival could be had"
    text = [
        f"PSNR and SSIM on Y of {content['images']} bicubic results from PNG files, {CORES} cores, "
        "every rival with the threads that it wants. Times are medians of rounds in which all "
        "take turns; `times ours` is the median of the rounds' ratios, with the lowest and the "
        f"highest. A second run of ours in each round shows the machine's own noise. Rivals: "
        f"{said}.",
        "",
        "## Commands, the start of the process included",
        "",
        "`sreval benchmark --method published:FOLDER --dataset BSD100 --protocol matlab`, which "
        "keeps images, hashes and rows; a program that calls `sreval.score`; basicsr's script; "
        "`pyiqa psnry ssim`, which crops nothing.",
        "",
        *_table(content["commands"]),
        "",
        "## Loops, without the start",
        "",
        "Processes that have loaded what they need: `sreval.score` for each pair in two of them, "
        "and in two threads of one; `sreval.benchmark` into a fresh folder; basicsr's functions as "
        "its script calls them; pyiqa's metrics given paths, with our luma and crop.",
        "",
        *_table(content["loops"]),
        "",
        "## Agreement",
        "",
        "The largest difference over the images. Our protocol `matlab` rounds luma to 8 bits, as "
        "MATLAB's rgb2ycbcr does; basicsr doesn't, pyiqa does for SSIM alone. pyiqa adds 1e-8 to "
        "the mean squared error, computes PSNR and luma in float32, and takes a negative contrast "
        "term of SSIM for 0.",
        "",
        "| loop | from ours: PSNR, dB | SSIM | from ours of unrounded luma: PSNR, dB | SSIM |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['who']} | "
            + " | ".join(f"{value:.1e}" for value in [*row["from_ours"], *row["from_unrounded"]])
            + " |"
            for row in content["agreement"]
        ),
    ]
    return text + distances(content["limits"])


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    text = [
        "| who | images | rounds | ms an image | times ours | goal |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        spread = f"{row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"
        goal = "" if row["goal"] is None else f"{row['goal']:g} {'ok' if row['met'] else 'NOT MET'}"
        text.append(
            f"| {row['who']} | {row['images']} | {row['rounds']} | {row['each_ms']:.1f} | "
            f"{spread} | {goal} |"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
