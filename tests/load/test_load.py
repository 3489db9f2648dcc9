"""The load generator: counts from the moment a vote was due, and reports what it did."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from benchmarks.load import Counted, Rater, Seat, lines, load, sync_ms

Result = TypeVar("Result")


def elsewhere(work: Callable[[], Result]) -> Result:
    """In a thread of its own: browser tests leave an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.evidence
@pytest.mark.slow
def test_a_small_load_is_served_without_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.load.WARM_UP_SECONDS", 1.0)
    monkeypatch.setattr("benchmarks.load.IMAGES", 10)
    monkeypatch.setattr("benchmarks.load.SIZE", (48, 64))
    database = str(tmp_path / "votes.sqlite")
    monkeypatch.setattr("benchmarks.load.DRIPS", 20)
    rows = elsewhere(lambda: load(tmp_path, database, raters=8, seconds=4, factors=()))
    found, behind = rows
    beside, drips, (step,) = found["strangers"], found["drips"], found["steps"]
    assert behind["steps"][0]["votes"] > 0
    assert behind["steps"][0]["refused"] == 0
    assert step["refused"] == beside["refused"] == drips["refused"] == 0
    assert drips["votes"] > 0
    assert beside["votes"] > 0
    assert beside["guesses"] > 0
    assert step["votes"] > 0
    assert step["images"] > 0
    origin = {"database": "sqlite", "disk_ms": sync_ms(tmp_path, 0.1)}
    page = "\n".join(lines([{**origin, **row} for row in rows]))
    assert f"| 2 | {step['due']:.1f} | {step['achieved']:.1f} | 8 | {step['votes']} |" in page


def test_a_stall_counts_for_every_vote_that_was_due_in_it() -> None:
    """A site that stands still for a second once delays all votes due in that second, and a
    generator that waited for answers would report one slow vote."""
    begin = time.monotonic()
    stall = begin + 1.0, begin + 2.0
    open_connections = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        position = 1
        while head := await _head(reader):
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            if stall[0] <= time.monotonic() < stall[1]:
                await asyncio.sleep(stall[1] - time.monotonic())
            position += 1
            body = json.dumps({"current": _current(position)}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()
        await writer.wait_closed()
        open_connections.release()

    async def run() -> list[float]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            rater = Rater(
                Seat("c=1", "/study/s/p", "t", _current(1)), "127.0.0.1", port, random.Random(1)
            )
            rater.counted = Counted(begin)
            await rater.vote_until(begin + 3.0, think=0.05)
            await rater.leave()
            for _ in range(2):
                await open_connections.acquire()
        return rater.counted.votes

    votes = elsewhere(lambda: asyncio.run(run()))
    late = [ms for ms in votes if ms > 100]
    assert len(votes) == pytest.approx(60, abs=35)
    assert len(late) >= 8
    assert 800 < max(late) < 1500


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def _current(position: int) -> dict[str, Any]:
    picture = {"place": "left", "url": "/i/same", "width": 1, "height": 1}
    return {"stage": "rating", "position": position, "pictures": [picture], "next": []}
