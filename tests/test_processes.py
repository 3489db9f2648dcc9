"""A second process computes what this one would, and costs nothing where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from sreval.processes import Beside

forking = pytest.mark.skipif(sys.platform != "linux", reason="a fork is safe on Linux alone")


def run(program: str) -> str:
    """What a program of one thread prints, on two cores where there are two."""
    start = "import os, signal, sys, threading\nfrom sreval.processes import Beside, cores\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", start + program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert not done.stderr, done.stderr
    return done.stdout


@forking
def test_another_process_computes_it() -> None:
    told = run("""
with Beside({"one": os.getpid, "two": os.getpid}) as beside:
    cores() == 1 or beside._begun["two"].exception()  # it has ended
    print(beside.get("two", lambda: "here") != os.getpid() or cores() == 1)
    print(beside.get("three", lambda: "here"))
""")
    assert told.split() == ["True", "here"]


@forking
def test_what_fails_or_ends_there_is_computed_here() -> None:
    told = run("""
def ends():
    os.kill(os.getpid(), signal.SIGKILL)

def fails():
    raise ValueError("there")

with Beside({"last": lambda: 1, "ends": ends, "unsent": lambda: (lambda: 1), "fails": fails}) as b:
    for key in ("fails", "unsent", "ends", "last"):
        print(b.get(key, lambda: "here" if key != "last" else 1))
""")
    assert told.split() == ["here", "here", "here", "1"]


@forking
def test_it_ends_with_who_began_it() -> None:
    program = (
        "import os, sys, time\nfrom sreval.processes import Beside\n"
        "def wait():\n    print(os.getpid(), flush=True)\n    time.sleep(600)\n"
        "with Beside({'wait': wait}):\n    print('ready', flush=True)\n    time.sleep(600)\n"
    )
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("there is one core")
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        assert process.stdout
        lines = {process.stdout.readline().strip() for _ in range(2)}
        process.kill()
        process.wait()
        # the pipe ends when the last process that holds it has ended
        assert process.stdout.read() == ""
    assert "ready" in lines


def test_a_process_with_threads_computes_alone() -> None:
    """A fork would lack the thread that holds this lock."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    calls: list[int] = []

    def task() -> int:
        calls.append(1)
        return os.getpid()

    try:
        with Beside({"task": task}) as beside:
            assert not beside._begun
            assert beside.get("task", task) == os.getpid()
    finally:
        ended.set()
        thread.join()
    assert calls == [1]


@forking
def test_a_signal_while_it_forks_comes_when_both_are_ready() -> None:
    """It is raised where the block begins, and leaves no process behind."""
    told = run("""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

launch = ProcessPoolExecutor._launch_processes

def launched(self):
    launch(self)
    os.kill(os.getpid(), signal.SIGINT)

ProcessPoolExecutor._launch_processes = launched
# a shell's background job has it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with Beside({"wait": lambda: signal.pause()}):
        print("begun" if cores() > 1 else "interrupted 0")
except KeyboardInterrupt:
    for child in multiprocessing.active_children():
        child.kill()
        child.join()
    print("interrupted", len(multiprocessing.active_children()))
""")
    assert told.split() == ["interrupted", "0"]
