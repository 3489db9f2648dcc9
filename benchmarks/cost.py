"""What our models cost, and whether the counts and the memory are right.

Multiply-adds are held against those that a paper prints; the peak of memory, measured in a process
that goes on, against the peak of a fresh process that enlarges one image. Writes cost.json and
cost.md; exits with 1 where a count differs, or where the two peaks are far apart.

Example: python -m benchmarks.cost --repeat 3 --out build/bench
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import sreval
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.methods import make_upscaler

MODELS = ("nearest", "bicubic", "lanczos", "espcn", "srcnn", "srresnet-mse")
PRINTED = {"srcnn": "52.7", "drcn": "17974.3", "srresnet-mse": "127.8"}
"""G multiply-adds for 1280x720, from memory of table 1 of Ahn et al. 2018 (arXiv 1803.08664)."""
MOST_APART = 0.1
"""Of two peaks, as a share of the larger one, beside ``SLACK``."""
SLACK = 10e6
"""Bytes: what allocators and libraries keep of a first call."""

_FRESH = """
import sys
import numpy as np
import torch
from sreval.methods import make_upscaler

def resident(field):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(field)]
    return 1024 * int(line.split()[1])

up = make_upscaler(sys.argv[1])
low = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
up.enlarge(low[:8, :8], 4)  # libraries are loaded
held = resident("VmRSS")
up.enlarge(low, 4)
print(resident("VmHWM") - held)  # ru_maxrss would hold the peak of the process that began this one
"""


def main() -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=5, help="timed calls of each method")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    origin = provenance()
    table = sreval.cost(MODELS, device="cpu", repeat=given.repeat)
    counts = {name: make_upscaler(name).multiply_adds(180, 320) or 0 for name in PRINTED}
    rows: list[dict[str, Any]] = [
        {**{str(key): value for key, value in row.items()}, "fresh_memory": fresh(spec)}
        for spec, row in zip(MODELS, table.frame.to_dict("records"), strict=True)
    ]
    content = {**origin, "rows": rows, "counts": counts, "notes": table.notes}
    markdown = table.to_markdown().splitlines()
    write_results(given.out, "cost", content, "What our models cost", lines(content, markdown))
    print(given.out / "cost.md")
    wrong = [name for name, printed in PRINTED.items() if f"{counts[name] / 1e9:.1f}" != printed]
    return 1 if wrong or any(map(far_apart, rows)) else 0


def fresh(spec: str) -> int:
    """Bytes at the peak of a process of its own, beyond what it held when all was loaded."""
    progress(f"{spec} in a fresh process")
    ran = subprocess.run(
        [sys.executable, "-c", _FRESH, spec], capture_output=True, text=True, check=True
    )
    return int(ran.stdout)


def far_apart(row: dict[str, Any]) -> bool:
    one, other = row["memory"], row["fresh_memory"]
    return bool(abs(one - other) > MOST_APART * max(one, other) + SLACK)


def lines(content: dict[str, Any], table: list[str]) -> list[str]:
    """The table of costs, then what its counts and its memory are held against."""
    made = [
        *table,
        "",
        "## Multiply-adds beside a paper's",
        "",
        "For an output of 1280x720, in G; printed: from memory of table 1 of Ahn et al. 2018 "
        "(arXiv 1803.08664), which wasn't looked up.",
        "",
        "| network | counted | printed |",
        "| --- | ---: | ---: |",
        *(
            f"| {name} | {content['counts'][name] / 1e9:.1f} | {printed} |"
            for name, printed in PRINTED.items()
        ),
        "",
        "## Memory beside a fresh process's",
        "",
        "The peak that the table gives, and that of a process of its own which enlarges one image.",
        "",
        "| method | in the table, MB | a fresh process, MB |",
        "| --- | ---: | ---: |",
    ]
    for row in content["rows"]:
        made.append(
            f"| {row['method']} | {row['memory'] / 1e6:.1f} | {row['fresh_memory'] / 1e6:.1f} |"
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
