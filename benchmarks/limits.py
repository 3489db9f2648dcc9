"""What this machine and the files' formats allow at best, and how far a figure is from that.

The other benchmarks state their distance by ``beside`` and ``distances``; what they measure here is
kept for the rest of their process. Run alone it writes limits.json and limits.md.

Example: python -m benchmarks.limits --out build/bench
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.images.datasets import open_dataset
from sreval.images.io import read_image

_BLOCK = 128 * 2**20  # bytes; several times a processor's caches
_PNG_HEAD = 8
_SYNCS, _SYNC_BYTES = 1000, 4096


def beside(what: str, measured: float, limit: float, unit: str, set_by: str) -> dict[str, Any]:
    """A figure with the best that is possible; a unit that ends in ``/s`` is a rate.

    ``times`` is how many times longer it takes than the limit would.
    """
    times = limit / measured if unit.endswith("/s") else measured / limit
    return {
        "what": what, "measured": measured, "limit": limit, "unit": unit, "times": times,
        "set_by": set_by,
    }  # fmt: skip


def distances(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Rows of ``beside`` as a section of a page; nothing without rows."""
    if not rows:
        return []
    return [
        "",
        "## How far from the limit",
        "",
        "| what | measured | limit | unit | times the limit | what sets it |",
        "| --- | ---: | ---: | --- | ---: | --- |",
        *(
            f"| {row['what']} | {_figure(row['measured'])} | {_figure(row['limit'])} | "
            f"{row['unit']} | {row['times']:.3g} | {row['set_by']} |"
            for row in rows
        ),
    ]


def _figure(value: float) -> str:
    """Three digits, without an exponent where there is room."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def best(run: Callable[[], object], times: int) -> float:
    """The least of so many times in seconds: a limit is what nothing disturbed."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


@cache
def decode_seconds(paths: tuple[Path, ...]) -> float:
    """Reading these images by ``read_image``, one after the other in one thread."""
    return best(lambda: [read_image(path) for path in paths], 3)


@cache
def inflate_seconds(paths: tuple[Path, ...]) -> float:
    """zlib's part of decoding these PNG files alone: no filter undone, no pixel laid out."""
    parts = [image_data(path.read_bytes()) for path in paths]
    return best(lambda: [zlib.decompress(part) for part in parts], 3)


def image_data(png: bytes) -> bytes:
    """The compressed pixels of a PNG file: its IDAT chunks, joined."""
    place, found = _PNG_HEAD, []
    while place < len(png):
        size, kind = struct.unpack_from(">I4s", png, place)
        if kind == b"IDAT":
            found.append(png[place + 8 : place + 8 + size])
        place += size + 12
    return b"".join(found)


@cache
def copy_rate(threads: int = 1) -> float:
    """Bytes read and written a second by copies of large arrays, as STREAM counts them."""
    pairs = [(np.ones(_BLOCK, np.uint8), np.empty(_BLOCK, np.uint8)) for _ in range(threads)]
    return threads * 2 * _BLOCK / best(lambda: _at_once([_copying(*pair) for pair in pairs]), 5)


def _copying(source: Any, target: Any) -> Callable[[], object]:
    return lambda: np.copyto(target, source)


def _at_once(runs: Sequence[Callable[[], object]]) -> None:
    """Run each in a thread of its own, the last in this one."""
    others = [threading.Thread(target=run) for run in runs[:-1]]
    for thread in others:
        thread.start()
    runs[-1]()
    for thread in others:
        thread.join()


@cache
def sha256_rate() -> float:
    """Bytes a second of SHA-256 in one thread."""
    data = bytes(16 * 2**20)
    return len(data) / best(lambda: hashlib.sha256(data).digest(), 5)


@cache
def sync_seconds(folder: Path) -> tuple[float, float]:
    """Median and 99th percentile of writing 4 kB to the end of a file there, and fsync."""
    times, data = [], os.urandom(_SYNC_BYTES)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            start = time.perf_counter()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times), float(np.percentile(times, 99))


@cache
def loopback_rate() -> float:
    """Bytes a second from one thread to another over 127.0.0.1."""
    size, buffer = 256 * 2**20, bytearray(2**20)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
        data = memoryview(bytes(2**20))

        def send() -> None:
            for _ in range(size // len(data)):
                sender.sendall(data)

        with sender, receiver:
            thread, start, got = threading.Thread(target=send), time.perf_counter(), 0
            thread.start()
            while got < size:
                got += receiver.recv_into(buffer)
            seconds = time.perf_counter() - start
            thread.join()
    return size / seconds


@cache
def start_seconds(*modules: str) -> float:
    """A fresh Python that imports so much and ends; the median of five."""
    code = f"import {', '.join(modules)}" if modules else ""
    run = [sys.executable, "-c", code]
    times = [best(lambda: subprocess.run(run, check=True, cwd=ROOT), 1) for _ in range(6)]
    return statistics.median(times[1:])  # the first one may read from the disk


@cache
def product_rate(kind: str = "float32") -> float:
    """Floating-point operations a second of large matrix products of a torch type on the CPU, with
    torch's threads."""
    import torch

    a, b = (torch.rand(2048, 2048).to(getattr(torch, kind)) for _ in range(2))
    with torch.inference_mode():
        return float(2 * 2048**3 / best(lambda: a @ b, 6))


def main() -> int:
    """Measure every limit and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    content = {**provenance(), "rows": measured()}
    write_results(options.out, "limits", content, "The limits of this machine", lines(content))
    print(options.out / "limits.md")
    return 0


def measured() -> list[dict[str, Any]]:
    """Every limit, with what it is of."""
    rows: list[dict[str, Any]] = []

    def add(what: str, value: float, unit: str, of: str) -> None:
        progress(f"{what}: {value:.3g} {unit}")
        rows.append({"what": what, "value": value, "unit": unit, "of": of})

    items = open_dataset("BSD100", 4).items
    paths = tuple(item.hr for item in items if item.hr)
    pixels = sum(read_image(path).pixels[..., 0].size for path in paths) / 1e6
    files = f"the {len(paths)} HR images of BSD100, one thread"
    add("decoding PNG", 1e3 * decode_seconds(paths) / pixels, "ms/MP", files)
    add("inflating PNG, its floor", 1e3 * inflate_seconds(paths) / pixels, "ms/MP", files)
    of = f"arrays of {_BLOCK >> 20} MiB copied by numpy, reading and writing counted"
    add("memory, one thread", copy_rate() / 1e9, "GB/s", of)
    add("memory, two threads", copy_rate(2) / 1e9, "GB/s", of)
    add("float32 matrix products", product_rate() / 1e9, "GFLOP/s", "2048 x 2048, torch's threads")
    add("SHA-256", sha256_rate() / 1e9, "GB/s", "16 MiB in memory, one thread")
    with tempfile.TemporaryDirectory() as name:
        middle, last = sync_seconds(Path(name))
    add("write and fsync, median", 1e3 * middle, "ms", "4 kB at the end of a file")
    add("write and fsync, 99th percentile", 1e3 * last, "ms", "the same")
    add("loopback", loopback_rate() / 1e9, "GB/s", "one connection, two threads")
    for modules in ((), ("numpy",), ("pandas", "scipy.stats"), ("torch",)):
        name = " and ".join(modules) or "nothing"
        add(f"start of Python, {name} imported", start_seconds(*modules), "s", "until it has ended")
    return rows


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    return [
        "What the machine and the formats allow: the least of several times, unless said. Other "
        "pages say how far their figures are from these, measured anew in their own run.",
        "",
        "| what | limit | unit | of |",
        "| --- | ---: | --- | --- |",
        *(
            f"| {row['what']} | {_figure(row['value'])} | {row['unit']} | {row['of']} |"
            for row in content["rows"]
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
