"""Freed memory stays with the process: what Linux counts as first touched says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from sreval.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
for _ in range(2):
    bytearray(64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(64 << 20)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[bool, int]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True
    )
    kept, count = run.stdout.split()
    return kept == "1", int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts Linux's page faults")
def test_large_blocks_are_not_cleared_anew() -> None:
    kept, count = faults("keep")
    if not kept:
        pytest.skip("the C library is not glibc")
    assert count < 100
    assert faults("leave")[1] > 1000
