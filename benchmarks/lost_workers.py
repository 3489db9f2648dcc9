"""A benchmark whose workers, scheduler, network or own process end: is any result lost or changed?

Faults strike after a random number of images: a worker process is killed; the benchmark itself;
with Dask a worker, the scheduler, the connection to the scheduler, and one worker's connection.
Whatever ended is run again. Each time the rows must be, byte for byte, those of an undisturbed run,
what was stored before the fault must not be computed again, and no process may be left. Writes
lost_workers.json and lost_workers.md; exits with 1 at any difference.

Example: python -m benchmarks.lost_workers --times 2 --fault "worker killed" --out build/bench
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval import api
from sreval.benchmarking import dask, executors, preload
from sreval.benchmarking.results import JOURNAL, RESULTS
from sreval.errors import DataError
from sreval.images.io import write_png

assert preload  # processes here are forks: what they need is loaded

IMAGES = 24
SIDE = 48
METHODS = {"a": "nearest", "b": "bicubic", "c": "lanczos"}
PATIENCE = 60.0


def main() -> int:
    """Have every fault strike and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--fault", dest="faults", action="append", choices=list(FAULTS), help="all, if absent"
    )
    parser.add_argument("--times", type=int, default=20, help="how often each strikes")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin, out = provenance(), options.out.resolve()
    faults = {name: FAULTS[name] for name in options.faults or FAULTS}
    if not importlib.util.find_spec("distributed"):
        faults = {name: fault for name, fault in faults.items() if "Dask" not in name}
    executors.LEAST = 1
    dask.PAUSE, dask.CONNECT = 0.5, 2.0
    rows = []
    with tempfile.TemporaryDirectory() as place:
        wanted = undisturbed(Path(place))
        for name, fault in faults.items():
            row = struck(Path(place), fault, options.times, wanted)
            rows.append({"fault": name, **row})
            progress(f"{name}: {row}")
    content = {
        **origin,
        "rows": rows,
        "left_out": [name for name in options.faults or FAULTS if name not in faults],
    }
    write_results(out, "lost_workers", content, "Workers lost in a benchmark", lines(content))
    print(out / "lost_workers.md")
    return 1 if any(row["different"] or row["computed_again"] for row in rows) else 0


def undisturbed(place: Path) -> bytes:
    """The rows of a run that nothing disturbs; the images it is of."""
    noise = np.random.default_rng(0)
    for index in range(IMAGES):
        write_png(
            place / "set" / f"{index:02}.png",
            noise.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
        )
    benchmark(place, place / "undisturbed", workers=1)
    return (place / "undisturbed" / RESULTS).read_bytes()


def benchmark(place: Path, out: Path, **given: Any) -> api.Results:
    """The benchmark that faults strike."""
    return api.benchmark(
        METHODS, place / "set", out=out, protocols=["matlab", "rgb"], device="cpu", progress=False,
        **given,
    )  # fmt: skip


def struck(place: Path, fault: Fault, times: int, wanted: bytes) -> dict[str, Any]:
    """So many trials: how many ended, how many went on, and what was lost."""
    found = {"times": times, "stopped": 0, "different": 0, "computed_again": 0}
    begun = time.monotonic()
    for number in range(times):
        out = place / f"{fault.__name__}-{number}"
        after = random.Random(number).randint(1, IMAGES * len(METHODS) // 2)
        stored = fault(place, out, after)
        if stored is not None:
            found["stopped"] += 1
            reused = benchmark(place, out, workers=1).reused
            found["computed_again"] += max(0, stored - reused)
        found["different"] += (out / RESULTS).read_bytes() != wanted
        if left := [path.name for path in out.rglob("*.part")]:
            progress(f"left: {left}")
    return {**found, "seconds": time.monotonic() - begun}


Fault = Callable[[Path, Path, int], int | None]
"""Disturbs a run into a folder after so many images. Gives, of a run that it has ended, how many SR
images were stored then."""


# Processes


def forked(work: Callable[[], Any]) -> int:
    """A process that does one thing and ends; with 0 where it was done, 3 for a DataError."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setpgid(0, 0)
        work()
        code = 0
    except DataError as error:
        print(error, file=sys.stderr, flush=True)
        code = 3
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(process: int) -> int:
    """Wait until a process of ours has ended, but not for ever; its exit code, or -signal."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise TimeoutError(f"process {process} didn't end within {PATIENCE:.0f} s")


def killed(process: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(process, number)


def stored_at(out: Path, after: int, process: int) -> bool:
    """Wait until so many SR images are stored; False where the run has ended before."""
    while True:
        with suppress(FileNotFoundError):
            if (out / JOURNAL).read_bytes().count(b"\n") >= after:
                return True
        if (out / RESULTS).is_file() or Path(f"/proc/{process}/stat").read_text().split()[2] == "Z":
            return False
        time.sleep(0.001)


def stored(out: Path) -> int:
    """How many SR images are stored in whole lines."""
    if not (out / JOURNAL).is_file():
        return 0
    return sum(line.endswith(b"]\n") for line in (out / JOURNAL).read_bytes().splitlines(True))


def descendants(process: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            text = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(text[1]), []).append(int(stat.parent.name))
    found = parents.get(process, [])
    return [*found, *(one for child in found for one in descendants(child))]


def gone(processes: list[int]) -> None:
    """Wait until processes that aren't ours have ended. Raises TimeoutError."""
    limit = time.monotonic() + PATIENCE
    while left := [one for one in processes if Path(f"/proc/{one}").exists()]:
        if time.monotonic() > limit:
            raise TimeoutError(f"processes are left: {left}")
        time.sleep(0.01)


# Faults of one machine


def worker_killed(place: Path, out: Path, after: int) -> int | None:
    """One of two worker processes is killed; the run goes on."""
    run = forked(lambda: benchmark(place, out, workers=2))
    if stored_at(out, after, run):
        # the server of forks and the tracker of resources are children, workers their children
        workers = [one for child in descendants(run) for one in descendants(child)]
        if workers:
            killed(random.Random(after).choice(workers))
    assert ended(run) == 0
    return None


def run_killed(place: Path, out: Path, after: int) -> int | None:
    """The benchmark's own process is killed; its workers end with it."""
    run = forked(lambda: benchmark(place, out, workers=2))
    if not stored_at(out, after, run):
        assert ended(run) == 0
        return None
    started = descendants(run)
    killed(run)
    ended(run)
    there = stored(out)
    gone(started)
    return there


# Faults of a cluster


@dataclass
class Cluster:
    """A scheduler and two workers, each a process; what reaches it by ``client`` passes a proxy."""

    scheduler: int
    workers: list[int]
    client: Proxy
    first: Proxy


class Proxy:
    """A process that passes on what comes to its port, until it is cut or stopped."""

    def __init__(self, to: int) -> None:
        self.port = free_port()
        self.process = forked(lambda: asyncio.run(self._pass_on(to)))
        until_open(self.port)

    async def _pass_on(self, to: int) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", to)
            await asyncio.gather(pump(reader, back), pump(there, writer))

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", self.port)
        await server.serve_forever()

    def cut(self, silently: bool) -> None:
        """Close every connection, or silently pass on nothing any more."""
        killed(self.process, signal.SIGSTOP if silently else signal.SIGKILL)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until_open(port: int) -> None:
    """Wait until somebody listens at a port. Raises TimeoutError."""
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise TimeoutError(f"nobody listens at port {port}")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A scheduler, two workers and two proxies, all ended at the end."""
    import distributed

    async def schedule(port: int) -> None:
        async with distributed.Scheduler(host="127.0.0.1", port=port, dashboard=False) as scheduler:
            await scheduler.finished()

    async def work(port: int) -> None:
        async with distributed.Worker(
            f"tcp://127.0.0.1:{port}", nthreads=1, dashboard=False
        ) as worker:
            await worker.finished()

    def serve(way: int) -> None:
        asyncio.run(work(way))

    port = free_port()
    started = [forked(quiet(lambda: asyncio.run(schedule(port))))]
    try:
        until_open(port)
        client, first = Proxy(port), Proxy(port)
        started += [client.process, first.process]
        workers = [forked(quiet(partial(serve, way))) for way in (first.port, port)]
        started += workers
        yield Cluster(started[0], workers, client, first)
    finally:
        for process in started:
            killed(process)
            os.waitpid(process, 0)


def quiet(work: Callable[[], Any]) -> Callable[[], Any]:
    """Work whose logs aren't shown: what faults make of a cluster is its own affair."""

    def silent() -> Any:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        return work()

    return silent


def on_cluster(
    place: Path, out: Path, after: int, fault: Callable[[Cluster], object], ends: bool
) -> int | None:
    """A run on a cluster that a fault strikes. Asserts that it goes on, or that it ``ends``."""
    with cluster() as there:
        address = f"tcp://127.0.0.1:{there.client.port}"
        run = forked(lambda: benchmark(place, out, executor=address))
        if stored_at(out, after, run):
            fault(there)
        code = ended(run)
    if code == 3 and ends:
        return stored(out)
    assert code == 0, code
    return None


def dask_worker_killed(place: Path, out: Path, after: int) -> int | None:
    """One of two workers of a cluster is killed; the run goes on."""
    return on_cluster(place, out, after, lambda there: killed(there.workers[0]), False)


def scheduler_killed(place: Path, out: Path, after: int) -> int | None:
    """The scheduler is killed; the run ends with an error, and is run again."""
    return on_cluster(place, out, after, lambda there: killed(there.scheduler), True)


def client_cut(place: Path, out: Path, after: int) -> int | None:
    """The run loses the scheduler, every second time without being told."""
    return on_cluster(place, out, after, lambda there: there.client.cut(after % 2 == 0), True)


def worker_cut(place: Path, out: Path, after: int) -> int | None:
    """One of two workers loses the scheduler; the run goes on."""
    return on_cluster(place, out, after, lambda there: there.first.cut(False), False)


FAULTS: dict[str, Fault] = {
    "worker killed": worker_killed,
    "run killed": run_killed,
    "Dask worker killed": dask_worker_killed,
    "Dask scheduler killed": scheduler_killed,
    "Dask scheduler out of reach": client_cut,
    "Dask worker out of reach": worker_cut,
}


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    left_out = content["left_out"]
    return [
        f"Runs of {len(METHODS)} methods on {IMAGES} images by two workers, each struck after a "
        "random number of images. Goal: the rows of an undisturbed run, byte for byte, and nothing "
        "computed again that was stored.",
        "",
        "| fault | times | runs that ended, and were run again | other rows | stored, and computed "
        "again | time |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['fault']} | {row['times']} | {row['stopped']} | {row['different']} | "
            f"{row['computed_again']} | {row['seconds']:.0f} s |"
            for row in content["rows"]
        ),
        *(
            ["", f"Left out, as distributed isn't installed: {', '.join(left_out)}."]
            * bool(left_out)
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
