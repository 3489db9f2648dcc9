"""Exported models beside their networks: how far does a file of ONNX or pt2 lie from its model?

Every model of models/ is exported in both forms, read from its file, and run beside the network
at three sizes. Differences are of the output's range. Writes export.json and export.md; exits with
1 where a difference is 1e-4 or more.

Example: python -m benchmarks.export --models espcn --out build/bench
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sreval
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.networks.export import FORMS, TOLERANCE, Form


def main() -> int:
    """Export every model in both forms, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(sreval.models()["name"]))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    origin = provenance()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(name, form, Path(folder)) for name in given.models for form in FORMS]
    write_results(
        given.out,
        "export",
        {**origin, "rows": rows},
        "Exported models beside their networks",
        lines(rows),
    )
    print(given.out / "export.md")
    return 1 if any(row["largest"] >= TOLERANCE for row in rows) else 0


def measured(name: str, form: Form, folder: Path) -> dict[str, Any]:
    """One model in one form."""
    began = time.process_time()
    made = sreval.Model(name).export(folder / f"{name}.{form}", progress=False)
    row = {
        "model": name,
        "form": form,
        "bytes": made.path.stat().st_size,
        "seconds": time.process_time() - began,
        "differences": made.differences,
        "largest": max(one["difference"] for one in made.differences),
    }
    progress(f"{name} as {form}: {row['largest']:.1e}")
    return row


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The results as Markdown."""
    sizes = [f"{one['batch']} of {one['height']}x{one['width']}" for one in rows[0]["differences"]]
    largest = max(row["largest"] for row in rows)
    return [
        "Largest absolute difference between the file, run by onnxruntime or torch.export.load, "
        "and the network in PyTorch, as a share of the output's range, on random images: how many, "
        f"and of which height and width, stands above. Largest of all: {largest:.1e} (goal: below "
        f"{TOLERANCE:.0e}). Seconds are the processor's, check included.",
        "",
        f"| model | form | MB | seconds | {' | '.join(sizes)} |",
        f"| --- | --- | ---: | ---: |{' ---: |' * len(sizes)}",
        *(
            f"| {row['model']} | {row['form']} | {row['bytes'] / 1e6:.2f} | {row['seconds']:.0f} | "
            f"{' | '.join(format(one['difference'], '.1e') for one in row['differences'])} |"
            for row in rows
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
