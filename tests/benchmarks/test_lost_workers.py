"""A benchmark of which something ends midway gives what an undisturbed one gives."""

from __future__ import annotations

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


def test_a_run_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    assert list(strike(tmp_path, "run killed")) == ["run killed"]


def test_a_cluster_that_is_lost_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    faults = ("Dask scheduler killed", "Dask scheduler out of reach", "Dask worker killed")
    assert list(strike(tmp_path, *faults)) == list(faults)
