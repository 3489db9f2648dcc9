"""Open-loop load on the site: how long does a vote take to be durable, with 200 raters at once?

Every rater's votes are due at times drawn in advance, exponential with a mean of 4 s; the time of
a vote counts from when it was due, whether or not the one before was answered. Site, database
and generator share two cores. Then strangers try passwords on 40 connections while the raters go
on, and an operator logs in; then a thousand connections send a byte in 20 s. Then the raters vote
faster and faster, to the knee. Each database is served by `sreval serve`, then by gunicorn, which
is neither tried by strangers nor by slow connections: a proxy keeps those away. Writes load.json
and load.md; exits with 1 when a goal isn't met.

Example: python -m benchmarks.load --raters 20 --seconds 10 --no-ramp --out build/bench
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import multiprocessing
import os
import random
import re
import resource
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np

from benchmarks.limits import beside, distances, loopback_rate, sync_seconds
from benchmarks.site import (
    THREADS,
    WORKERS,
    Process,
    Server,
    free_port,
    links,
    noise_study,
    orderly,
    postgresql,
)
from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.store.database import open_store
from sreval.store.operators import Operators
from sreval.study.respondent import Response
from tests.load.visitor import Visitor

GOAL_MS = 100.0
STRANGERS, GOAL_BESIDE_THEM_MS, GOAL_LOGIN_S = 40, 150.0, 5.0
DRIPS, DRIP_SECONDS, GOAL_BESIDE_DRIPS_MS = 1000, 20.0, 150.0
GOALS_A_SECOND, GOAL_FAST_MS = {"sqlite": 200.0, "postgresql": 180.0}, 250.0
OPERATOR, PASSWORD = "ada", "correct horse battery staple"
THINK_SECONDS = 4.0
FACTORS = (2, 3, 3.6, 4, 5, 6)
STEP_SECONDS, WARM_UP_SECONDS = 4.0, 2.0
KNEE_MS, KNEE_SHARE = 1000.0, 0.9
IMAGES, SIZE = 60, (320, 480)
SERVED = {"sreval serve": 0, f"gunicorn, {WORKERS} workers of {THREADS} threads": WORKERS}
"""How the site is served, and with how many workers of gunicorn."""


def main() -> int:
    """Load the site on both databases and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--no-ramp", action="store_true")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rows = []
    factors = () if options.no_ramp else FACTORS
    kinds = options.database or ["sqlite", "postgresql"]
    with cores(2), orderly():
        for kind in kinds:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                file = nullcontext(str(folder / "votes.sqlite"))
                url = stack.enter_context(postgresql() if kind == "postgresql" else file)
                disk = sync_ms(folder, options.seconds / 3)
                for found in load(folder, url, options.raters, options.seconds, factors):
                    rows.append({"database": kind, "disk_ms": disk, **found})
                floor = sync_seconds(folder)[0], loopback_rate()
    content = {**origin, "rows": rows, "limits": limits(rows, *floor)}
    page = [*lines(rows), *distances(content["limits"])]
    write_results(options.out, "load", content, "The site under open-loop load", page)
    print(options.out / "load.md")
    return 0 if all(met for row in rows for _, met in _goals(row)) else 1


def _goals(row: dict[str, Any]) -> list[tuple[str, bool]]:
    """Each goal in words, and whether it is met."""
    quiet, tried = row["steps"][0], [row["steps"][0]]
    found = [
        (f"p99 of {quiet['offered']:.0f} votes/s under {GOAL_MS:.0f} ms",
         quiet["vote_ms"]["p99"] < GOAL_MS),
    ]  # fmt: skip
    if "drips" in row:
        strangers, drips = row["strangers"], row["drips"]
        tried += [strangers, drips]
        found += [
            (f"p99 beside strangers under {GOAL_BESIDE_THEM_MS:.0f} ms",
             strangers["vote_ms"]["p99"] < GOAL_BESIDE_THEM_MS),
            (f"the operator in within {GOAL_LOGIN_S:.0f} s", strangers["login_s"] < GOAL_LOGIN_S),
            (f"p99 beside {drips['connections']} connections that drip under "
             f"{GOAL_BESIDE_DRIPS_MS:.0f} ms", drips["vote_ms"]["p99"] < GOAL_BESIDE_DRIPS_MS),
        ]  # fmt: skip
    found.append(("nothing refused", not sum(each["refused"] for each in tried)))
    if len(row["steps"]) > 1 and row["workers"]:
        wanted, carried = GOALS_A_SECOND[row["database"]], carried_a_second(row["steps"])
        found.append((f"{wanted:.0f} votes/s at p99 under {GOAL_FAST_MS:.0f} ms "
                      f"(carried: {carried:.0f})", carried >= wanted))  # fmt: skip
    return found


def limits(
    rows: list[dict[str, Any]], sync_s: float, bytes_a_second: float
) -> list[dict[str, Any]]:
    """How far the rates that were carried are from those of the disk and of the network."""
    found = []
    for row in rows:
        carried, name = carried_a_second(row["steps"]), f"{row['database']}, {row['served']}"
        if carried:
            found += [
                beside(f"votes, {name}", carried, 1 / sync_s, "1/s",
                       "an fsync a vote, one after the other"),
                beside(f"images, {name}", carried * _image_kb() / 1e3, bytes_a_second / 1e6, "MB/s",
                       "one connection over loopback"),
            ]  # fmt: skip
    return found


def carried_a_second(steps: list[dict[str, Any]]) -> float:
    """The highest rate of which 99 % came within GOAL_FAST_MS and none was refused; 0 without."""
    return max((step["offered"] for step in steps if _is_carried(step)), default=0.0)


def _is_carried(step: dict[str, Any]) -> bool:
    stored = step["achieved"] >= KNEE_SHARE * step["due"] and not step["refused"]
    return stored and bool(step["vote_ms"]["p99"] < GOAL_FAST_MS)


def sync_ms(folder: Path, seconds: float) -> dict[str, float]:
    """How long the disk takes to make 4 kB durable while nothing else goes on, every 10 ms."""
    times, end = [], time.monotonic() + seconds
    with (folder / "sync").open("wb", buffering=0) as file:
        while time.monotonic() < end:
            file.write(bytes(4096))
            start = time.monotonic()
            os.fsync(file.fileno())
            times.append(1000 * (time.monotonic() - start))
            time.sleep(0.01)
    return _percentiles(times)


def load(
    folder: Path,
    url: str,
    raters: int,
    seconds: float,
    factors: Sequence[float],
) -> list[dict[str, Any]]:
    """Figures of the load at its given rate and at its multiples up to the knee, as the site is
    SERVED one way and then the other; without gunicorn beside strangers and drips, too."""
    study = noise_study(folder / "study", IMAGES, raters, SIZE)
    store = open_store(url, create=True)
    Operators(store).add(OPERATOR, "owner", PASSWORD)
    store.dispose()
    port, browsers, rows = free_port(), list[Rater](), []
    for served, workers in SERVED.items():
        server = Server(study, url, workers=workers, port=port)
        with server.running():
            if not browsers:
                seats = enumerate(take_seats(server.url, links(study, url, raters)))
                browsers = [Rater(at, "127.0.0.1", port, random.Random(i)) for i, at in seats]
            os.sync()  # no vote waits for the disk with what was written before
            found = asyncio.run(_steps(server, browsers, seconds, factors, not workers))
        rows.append({"served": served, "workers": workers, "raters": raters, **found})
    return rows


async def _steps(
    server: Server, raters: list[Rater], seconds: float, factors: Sequence[float], alone: bool
) -> dict[str, Any]:
    """The figures of one way to serve; one that stands ``alone`` meets everybody."""
    for rater in raters:
        await rater.sit_down()
    found: dict[str, Any] = {}
    if alone:
        found["strangers"] = await _beside_strangers(server, raters, seconds)
        found["drips"] = await _beside_drips(server, raters, seconds)
        found["again"] = await step(server, raters, 1, seconds)
        progress(f"{found}")
    steps: list[dict[str, Any]] = []
    for factor in (1.0, *factors):
        length = seconds if factor == 1 else STEP_SECONDS
        steps.append(await step(server, raters, factor, length))
        progress(f"{steps[-1]}")
        last = steps[-1]
        if last["vote_ms"]["p99"] > KNEE_MS or last["achieved"] < KNEE_SHARE * last["due"]:
            break
    for rater in raters:
        await rater.leave()
    return {**found, "steps": steps}


async def _beside_drips(server: Server, raters: list[Rater], seconds: float) -> dict[str, Any]:
    """A step of the given rate while a thousand connections send a byte now and then, half of them
    of a head, half of a body. One that the site has closed is opened anew."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    host, _, port = server.url.removeprefix("http://").partition(":")
    body = b"POST /study/noise/v-0/consent HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"
    head = b"GET / HTTP/1.1\r\nHost: "

    async def drip(number: int) -> None:
        await asyncio.sleep(WARM_UP_SECONDS * number / DRIPS)
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                try:
                    writer.write(body if number % 2 else head)
                    while not writer.is_closing():
                        await writer.drain()
                        await asyncio.sleep(DRIP_SECONDS)
                        writer.write(b"a")
                finally:
                    writer.close()
            await asyncio.sleep(1)

    drips = [asyncio.create_task(drip(number)) for number in range(DRIPS)]
    await asyncio.sleep(WARM_UP_SECONDS)
    found = await step(server, raters, 1, seconds)
    for each in drips:
        each.cancel()
    await asyncio.gather(*drips, return_exceptions=True)
    return {**found, "connections": DRIPS}


async def _beside_strangers(server: Server, raters: list[Rater], seconds: float) -> dict[str, Any]:
    """A step of the given rate while strangers try passwords and the operator, in a browser that
    logged in before, logs in."""
    loop = asyncio.get_running_loop()
    with httpx.Client(base_url=server.url) as browser, ThreadPoolExecutor(1) as thread:
        _log_in(browser)
        browser.post("/operator/logout", data={"csrf_token": _csrf(browser, "/operator/")})
        ways = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=ways) as pool:
            length = WARM_UP_SECONDS + seconds
            tried = loop.run_in_executor(pool, try_passwords, server.url, length)

            async def operator() -> float:
                await asyncio.sleep(WARM_UP_SECONDS + seconds / 2)
                return await loop.run_in_executor(thread, _log_in, browser)

            login, found = asyncio.create_task(operator()), await step(server, raters, 1, seconds)
            return {**found, "login_s": await login, "guesses": await tried}


def _log_in(browser: httpx.Client) -> float:
    """The seconds that it takes to be in."""
    start = time.monotonic()
    data = {"name": OPERATOR, "password": PASSWORD}
    data["csrf_token"] = _csrf(browser, "/operator/login")
    status = browser.post("/operator/login", data=data, timeout=60).status_code
    if status != 303:
        raise RuntimeError(f"the operator is kept out: {status}")
    return time.monotonic() - start


def _csrf(browser: httpx.Client, path: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(path).text)
    assert found
    return found.group(1)


def try_passwords(url: str, seconds: float) -> int:
    """Try passwords for the operator's name as fast as the site answers: how many were tried."""
    with httpx.Client(base_url=url) as browser:
        csrf = _csrf(browser, "/operator/login")
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    host, _, port = url.removeprefix("http://").partition(":")
    end = time.monotonic() + seconds

    async def stranger() -> int:
        connection, guesses = Connection(host, int(port), cookie), 0
        head = "Content-Type: application/x-www-form-urlencoded\r\n"
        while time.monotonic() < end:
            fields = {"csrf_token": csrf, "name": OPERATOR, "password": secrets.token_hex(8)}
            status, _ = await connection.request(
                "POST /operator/login", head, urlencode(fields).encode()
            )
            assert status == 401, status
            guesses += 1
        await connection.close()
        return guesses

    async def strangers() -> int:
        return sum(await asyncio.gather(*(stranger() for _ in range(STRANGERS))))

    return asyncio.run(strangers())


async def step(
    server: Process, raters: Sequence[Rater], factor: float, seconds: float
) -> dict[str, Any]:
    """Figures of votes that are due ``factor`` times as often as every THINK_SECONDS."""
    think = THINK_SECONDS / factor
    start = time.monotonic()
    begin, end = start + WARM_UP_SECONDS, start + WARM_UP_SECONDS + seconds
    before = server.cpu_seconds(), _own_cpu()
    for rater in raters:
        rater.counted = Counted(begin)
    await asyncio.gather(*(rater.vote_until(end, think) for rater in raters))
    spent = time.monotonic() - start
    counted = [rater.counted for rater in raters]
    votes = [ms for each in counted for ms in each.votes]
    images = [ms for each in counted for ms in each.images]
    return {
        "factor": factor,
        "offered": len(raters) / think,
        "due": len(votes) / seconds,  # as chance would have it
        "achieved": len(votes) / (time.monotonic() - begin),
        "votes": len(votes),
        "vote_ms": _percentiles(votes),
        "images": len(images),
        "image_ms": _percentiles(images),
        "refused": sum(each.refused for each in counted),
        "site_cores": (server.cpu_seconds() - before[0]) / spent,
        "generator_cores": (_own_cpu() - before[1]) / spent,
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return dict.fromkeys(("p50", "p90", "p99", "max"), float("nan"))
    found = np.percentile(values, [50, 90, 99, 100])
    return dict(zip(("p50", "p90", "p99", "max"), map(float, found), strict=True))


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Seat:
    """A session at its first image: what a browser would know."""

    cookie: str
    here: str
    csrf: str
    current: dict[str, Any]


class _Arrived(Exception):  # noqa: N818  # the end of a way, no error
    """The rating page is reached."""


class _Guest(Visitor):
    """A visitor who goes as far as the rating page."""

    seat: Seat

    def _rate(self, rating: dict[str, Any]) -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in self._client.cookies.items())
        self.seat = Seat(cookie, rating["here"], rating["csrf"], rating["current"])
        raise _Arrived


def _never(shown: object, intended: int | None) -> Response:
    raise AssertionError("the guest doesn't vote")


def take_seats(site: str, paths: Sequence[str]) -> list[Seat]:
    """Enrol a rater for each link and bring them to their first image."""

    def seat(path: str) -> Seat:
        guest = _Guest(site + path, _never)
        try:
            guest.run()
        except _Arrived:
            return guest.seat
        raise RuntimeError("the study has no rating page")

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(seat, paths))


@dataclass
class Counted:
    """Times in ms; what began before ``begin``, by the monotonic clock, is left out."""

    begin: float
    votes: list[float] = field(default_factory=list)
    images: list[float] = field(default_factory=list)
    refused: int = 0


class Connection:
    """A connection that is kept, one request at a time; HTTP/1.1 as a browser speaks it."""

    def __init__(self, host: str, port: int, cookie: str) -> None:
        self._where = host, port
        self._head = f"Host: {host}:{port}\r\n" + (f"Cookie: {cookie}\r\n" if cookie else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, line: str, head: str = "", body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer; a connection that the site has closed is opened anew."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        sent = f"{line} HTTP/1.1\r\n{self._head}{head}{length}\r\n".encode() + body
        try:
            return await self._ask(sent)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return await self._ask(sent)

    async def _ask(self, sent: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._where, limit=2**20)
        reader, writer = self._streams
        writer.write(sent)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        status, body = int(head[9:12]), await reader.readexactly(length)
        if head.startswith(b"http/1.0") or b"connection: close" in head:
            await self.close()
        return status, body

    async def close(self) -> None:
        """Close it, if it is open."""
        if self._streams:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


class Rater:
    """One browser: a connection for votes, another one for images."""

    def __init__(self, seat: Seat, host: str, port: int, generator: random.Random) -> None:
        self._current, self._random, self._here = seat.current, generator, seat.here
        self._votes = Connection(host, port, seat.cookie)
        self._images = Connection(host, port, seat.cookie)
        self._head = f"X-CSRFToken: {seat.csrf}\r\nContent-Type: application/json\r\n"
        self._loaded: set[str] = set()
        self.counted = Counted(0)

    async def sit_down(self) -> None:
        """Load the first images, before anything is measured."""
        await self._load_images()

    async def leave(self) -> None:
        """Close both connections."""
        await self._votes.close()
        await self._images.close()

    async def vote_until(self, end: float, think: float) -> None:
        """Votes that are due at random moments with a mean distance of ``think`` seconds."""
        due = time.monotonic() + self._random.expovariate(1 / think)
        loading: asyncio.Task[None] | None = None
        while due < end and self._current.get("stage") == "rating":
            await asyncio.sleep(due - time.monotonic())
            await self._vote()
            if due >= self.counted.begin:
                self.counted.votes.append(1000 * (time.monotonic() - due))
            if loading:
                await loading
            loading = asyncio.create_task(self._load_images())
            due += self._random.expovariate(1 / think)
        if loading:
            await loading

    async def _vote(self) -> None:
        ballot = {
            "position": self._current["position"],
            "image": self._current["pictures"][0]["url"].rpartition("/")[2],
            "score": self._random.randint(1, 5),
            "key": secrets.token_hex(16),
            "response_ms": 1000,
            "shown_at": dt.datetime.now(dt.UTC).isoformat(),
            "device": "{}",
        }
        body = json.dumps(ballot).encode()
        while True:
            where = f"POST {self._here}/api/vote"
            status, answer = await self._votes.request(where, self._head, body)
            if status == 200:
                self._current = json.loads(answer)["current"]
                return
            self.counted.refused += 1
            await asyncio.sleep(0.1)

    async def _load_images(self) -> None:
        if self._current.get("stage") != "rating":
            return
        urls = [
            picture["url"]
            for item in (self._current, *self._current["next"])
            for picture in item["pictures"]
        ]
        for url in urls:
            if url not in self._loaded:
                start = time.monotonic()
                status, _ = await self._images.request(f"GET {url}")
                if start >= self.counted.begin:
                    self.counted.images.append(1000 * (time.monotonic() - start))
                if status == 200:
                    self._loaded.add(url)


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The Markdown page below its title."""
    first = rows[0]["steps"][0]
    text = [
        f"{rows[0]['raters']} raters, each with a mean of {THINK_SECONDS:.0f} s from vote to vote, "
        "exponential; the time of a vote counts from the moment at which it was due. Commits are "
        "durable (SQLite: synchronous FULL; PostgreSQL: fsync). Site, database and generator "
        f"share two cores. Every vote is followed by one image of about {_image_kb()} kB. "
        "Further rows have the same raters vote faster, to the knee: 99th percentile above a "
        "second, or less than 90 % of the votes done that were due. Before these, strangers try "
        f"passwords for an operator's name on {STRANGERS} connections, as fast as the site "
        "answers, while the raters go on at the given rate; half way the operator logs in, in a "
        "browser that has logged in before. "
        f"Then {DRIPS} connections send a byte in {DRIP_SECONDS:.0f} s, half of them of a head, "
        "half of a body. gunicorn stands behind a proxy, which keeps both away, so it meets "
        "neither. No vote is faster than its disk: 4 kB were made durable every 10 ms, before "
        "anything else went on. The noise is the step of the given rate, made twice.",
    ]
    for row in rows:
        text += [
            "",
            f"## {row['database']}, {row['served']}",
            "",
            "| rate / s | due / s | done / s | as many raters at 4 s | votes | p50 | p90 | p99 "
            "| max | images p50 | p99 | refused | cores: site | generator |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: "
            "| ---: | ---: |",
        ]
        for one in row["steps"]:
            vote, image = one["vote_ms"], one["image_ms"]
            text.append(
                f"| {one['offered']:.0f} | {one['due']:.1f} | {one['achieved']:.1f} | "
                f"{one['offered'] * THINK_SECONDS:.0f} | {one['votes']} | {vote['p50']:.1f} ms | "
                f"{vote['p90']:.1f} ms | {vote['p99']:.1f} ms | {vote['max']:.0f} ms | "
                f"{image['p50']:.1f} ms | {image['p99']:.1f} ms | {one['refused']} | "
                f"{one['site_cores']:.2f} | {one['generator_cores']:.2f} |"
            )
        text += ["", *_beside(row)]
        text += ["", *(f"- {'met' if met else 'MISSED'}: {goal}" for goal, met in _goals(row))]
    text += ["", f"{first['votes']} votes stand behind the first percentiles."]
    return text


def _beside(row: dict[str, Any]) -> list[str]:
    """What else a row has, a paragraph each."""
    disk, found = row["disk_ms"], []
    if "drips" in row:
        strangers, drips, quiet = row["strangers"], row["drips"], (row["again"], row["steps"][0])
        costs = [1e3 * each["site_cores"] / each["achieved"] for each in quiet]
        late = [each["vote_ms"]["p99"] for each in quiet]
        found = [
            f"Beside strangers: {_votes(strangers)}. {strangers['guesses']} passwords were tried; "
            f"the operator was in after {strangers['login_s']:.2f} s.",
            "",
            f"Beside {drips['connections']} connections that drip: {_votes(drips)}.",
            "",
            f"Noise: {costs[0]:.2f} and {costs[1]:.2f} ms of processor time a vote with its image, "
            f"p99 {late[0]:.1f} and {late[1]:.1f} ms.",
            "",
        ]
    return [
        *found,
        f"The disk alone, before: p50 {disk['p50']:.1f} ms, p99 {disk['p99']:.1f} ms, max "
        f"{disk['max']:.0f} ms.",
    ]


def _votes(found: dict[str, Any]) -> str:
    times = found["vote_ms"]
    return (
        f"{found['votes']} votes, p50 {times['p50']:.1f} ms, p99 {times['p99']:.1f} ms, max "
        f"{times['max']:.0f} ms, {found['refused']} refused"
    )


def _image_kb() -> int:
    return round(SIZE[0] * SIZE[1] * 3 / 1000)


if __name__ == "__main__":
    sys.exit(main())
