"""A Python that has imported much: each ``sreval`` or script is a forked copy of one process.

The shell that runs a page finds `CLIENT` under the names sreval and python. It hands its words,
folder, environment and streams to the process of `warm`, and ends with the exit code that it is
told.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from benchmarks.timing import ROOT

IMPORTED = (
    *(f"sreval.cli.{name}" for name in ("benchmark", "data", "report", "site", "study")),
    *(f"sreval.cli.{name}" for name in ("study_run", "table")),
    *("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg"),
    *("sreval.site.app", "sreval.report.study_report", "torch"),
)
CLIENT = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    socket.send_fds(server, [b"0"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.makefile().read() or "1"))
"""


@contextmanager
def warm(programs: Path, imported: Sequence[str] = IMPORTED) -> Iterator[None]:
    """Programs sreval and python in this folder, and the process that does their work.

    It doesn't do `sreval serve`; `python` takes a script and its words.
    """
    python = shlex.quote(sys.executable)
    (programs / "client.py").write_text(CLIENT, encoding="utf-8")
    # A socket's path may have 107 bytes; pytest's own folders are longer.
    with tempfile.TemporaryDirectory(prefix="sreval-warm-") as folder:
        path = str(Path(folder, "socket"))
        client = f"{python} -S -E {shlex.quote(str(programs / 'client.py'))} {path}"
        (programs / "sreval").write_text(
            f'#!/bin/sh\n[ "$1" != serve ] || exec {python} -m sreval "$@"\n'
            f'exec {client} sreval "$@"\n'
        )
        (programs / "python").write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        for name in ("sreval", "python"):
            (programs / name).chmod(0o755)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(path)
            door.listen()
            words = [sys.executable, "-m", "tests.docs.warm", str(door.fileno()), *imported]
            server = subprocess.Popen(words, cwd=ROOT, pass_fds=[door.fileno()])
        try:
            yield
        finally:
            server.terminate()
            server.wait()


def answer(door: socket.socket) -> None:
    """Run one command after another, each in a copy of this process."""
    fork = multiprocessing.get_context("fork")
    while True:
        caller, _ = door.accept()
        with caller:
            _, streams, _, _ = socket.recv_fds(caller, 1, 3)
            given = json.load(caller.makefile())
            command = fork.Process(target=run, args=(*given, streams))
            command.start()
            for stream in streams:
                os.close(stream)
            command.join()
            caller.sendall(str(command.exitcode).encode())


def run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """``sreval`` or a script with its words, in this folder and so on, as a process of its own."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing has closed it
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if words[0] != "sreval":
        sys.argv = words
        sys.path[0] = str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")
        return
    from sreval.cli import main

    main(words[1:])


if __name__ == "__main__":
    for module in sys.argv[2:]:
        import_module(module)
    answer(socket.socket(fileno=int(sys.argv[1])))
