"""A benchmark of which something ends midway gives what an undisturbed one gives."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest


def strike(out: Path, *faults: str) -> dict[str, dict[str, int]]:
    """What the benchmark says of a trial of each fault, by its name."""
    told = [word for fault in faults for word in ("--fault", fault)]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.lost_workers", "--times", "1", "--out", out, *told],
        check=True,
        capture_output=True,
        timeout=300,
    )
    rows = json.loads((out / "lost_workers.json").read_text())["rows"]
    return {row["fault"]: row for row in rows}


@pytest.mark.evidence
def test_what_is_struck_loses_nothing(tmp_path: Path) -> None:
    faults = ["run killed", "worker killed"]
    if importlib.util.find_spec("distributed"):
        faults += [f"Dask {one}" for one in ("scheduler killed", "scheduler out of reach")]
        faults += [f"Dask {one}" for one in ("worker killed", "worker out of reach")]
    assert list(strike(tmp_path, *faults)) == faults
