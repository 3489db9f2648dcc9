"""Benchmarks wherever they are begun, and what workers that can't compute them are told to say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    for index in range(2):
        write_png(tmp_path / "photos" / f"{index}.png", photograph[index : 64 + index, :64].copy())
    return tmp_path / "photos"


WITHIN = """
import multiprocessing, os, sys, threading
from multiprocessing import spawn
from sreval import api
from sreval.benchmarking import executors

executors.LEAST = 1

def go(out, abreast=2):
    found = api.benchmark(["nearest"], sys.argv[1], out=out, workers=abreast, progress=False)
    assert found.computed == 2, found.failures

if __name__ == "__main__":
    program = sys.modules["__main__"]
    prepare = spawn.get_preparation_data
    seen = []
    def watched(name):
        seen.append(sys.modules["__main__"] is program)
        return prepare(name)
    spawn.get_preparation_data = watched
    threads = [threading.Thread(target=go, args=(name,)) for name in "ab"]
    [one.start() for one in threads]
    [one.join() for one in threads]
    spawn.get_preparation_data = prepare
    assert len(seen) >= 2 and all(seen) and os.path.exists("a/results.csv"), seen
    assert sys.modules["__main__"] is program
    go_on = multiprocessing.get_context("fork").Process(target=go, args=("c",), daemon=True)
    go_on.start()
    go_on.join()
    child = os.fork()
    if not child:
        go("d")
        os._exit(7)
    codes = go_on.exitcode, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert codes == (0, 7), codes
    print("all")
"""


def test_runs_in_two_threads_a_daemon_and_a_forked_child(photos: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WITHIN)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", program, photos],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout, done.returncode) == ("all\n", 0), done.stderr
