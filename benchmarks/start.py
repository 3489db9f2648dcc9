"""What starting costs: processor seconds of commands above importing pandas and scipy.stats.

Each command runs as a process of its own, in turn with `python -c "import pandas, scipy.stats"`, A
B A B ..., with one thread and with as many as the libraries like. The import also takes its turn
twice, which tells the noise of the machine. Pictures and votes are made here, so that no data
set is needed. Writes start.json and start.md; exits with 1 where `sreval table` misses its goal.

Example: python -m benchmarks.start --rounds 3 --out build/bench
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.opinions import simulated_study
from benchmarks.timing import ROOT, progress, provenance, write_results

GOAL = 0.6
ROWS, VOTES = 1000, 29_328
_IMPORT = "import pandas, scipy.stats"
_ALONE = "importing pandas and scipy.stats"
_AGAIN = f"{_ALONE}, again"
_TABLE = "sreval table"


def main() -> int:
    """Time the commands and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scores(folder / "results")
        simulated_study(VOTES).to_csv(folder / "votes.csv", index=False)
        asked = commands(folder)
        rows = [
            {"threads": threads or "default", **row}
            for threads in ("1", "")
            for row in measure(asked, folder, threads, options.rounds)
        ]
    content = {**origin, "rounds": options.rounds, "rows": rows}
    write_results(options.out, "start", content, "What starting a command costs", lines(content))
    print(options.out / "start.md")
    return 1 if any(row["above"] > GOAL for row in rows if row["command"] == _TABLE) else 0


def write_scores(folder: Path) -> None:
    """A results folder of ROWS rows: two methods, protocols and metrics on small pictures."""
    pictures = folder.with_name("pictures")
    pictures.mkdir()
    generator = np.random.default_rng(0)
    for number in range(ROWS // 8):
        pixels = generator.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number:03}.png")
    words = ["--method", "nearest", "--method", "bicubic", "--metric", "psnr", "--metric", "ssim"]
    words += ["--protocol", "ledig2017", "--protocol", "matlab", "--out", str(folder)]
    command = [sys.executable, "-m", "sreval", "benchmark", "--dataset", str(pictures), *words]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)


def commands(folder: Path) -> dict[str, list[str]]:
    """Python's arguments by the name of what is run."""
    votes = str(folder / "votes.csv")
    of = {
        _TABLE: ["table", str(folder / "results")],
        "sreval figure scores": [
            *("figure", "scores", str(folder / "results")),
            *("--out", str(folder / "scores.svg")),
        ],
        "sreval opinions --analyse mos": ["opinions", votes, "--analyse", "mos"],
        "sreval --help": ["--help"],
        "sreval report --help": ["report", "--help"],
        "sreval models list": ["models", "list"],
        "sreval data list": ["data", "list"],
        "sreval study schema": ["study", "schema"],
    }
    imports = {_ALONE: ["-c", _IMPORT], _AGAIN: ["-c", _IMPORT]}
    return imports | {name: ["-m", "sreval", *words] for name, words in of.items()}


def measure(
    asked: dict[str, list[str]], folder: Path, threads: str, rounds: int
) -> list[dict[str, Any]]:
    """The median processor seconds of each, and those above the import of the same round."""
    # compiled modules are kept, as where sreval is installed
    drop = {"PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in drop}
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": threads} if threads else {}
    seconds: dict[str, list[float]] = {name: [] for name in asked}
    codes: dict[str, int] = {}
    for number in range(rounds + 1):
        for name, words in asked.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [sys.executable, *words], env=environment, cwd=folder, capture_output=True
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            codes[name] = done.returncode
            if number:  # the first round compiles
                seconds[name].append(
                    after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                )
            if done.returncode and name == _TABLE:
                sys.exit(done.stderr.decode(errors="replace"))
        progress(f"{threads or 'default'} threads: round {number} of {rounds}")
    alone = seconds[_ALONE]
    return [
        {
            "command": name,
            "code": codes[name],
            "seconds": statistics.median(own),
            "above": statistics.median(b - a for a, b in zip(alone, own, strict=True)),
        }
        for name, own in seconds.items()
    ]


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    met = all(row["above"] <= GOAL for row in content["rows"] if row["command"] == _TABLE)
    text = [
        "Processor seconds, user and system, of a whole process; medians of "
        f"{content['rounds']} rounds in turn. `sreval table` is of {ROWS:,} rows, `sreval "
        f"opinions` of {VOTES:,} votes. Goal: `sreval table` at most {GOAL} s above importing "
        f"pandas and scipy.stats: {'met' if met else 'MISSED'}. The import again is the noise.",
    ]
    for threads in dict.fromkeys(row["threads"] for row in content["rows"]):
        said = "One thread" if threads == "1" else "Threads as the libraries like"
        text += ["", f"{said}:", "", "| what | s | above the import, s |", "| --- | ---: | ---: |"]
        text += [
            f"| {row['command']} | {row['seconds']:.2f} | {row['above']:+.2f} |"
            for row in content["rows"]
            if row["threads"] == threads
        ]
    return text


if __name__ == "__main__":
    sys.exit(main())
