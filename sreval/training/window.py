"""A window of photographs that moves over all of them while updates go on.

It is a ring of pixels: a photograph enters behind the newest one, in the room of the oldest ones.
Which photograph enters where, and before which update, follows from a seed and the update's number
alone (`Schedule`). So a resumed run finds the window as it stood, and every rank has the same one.
Threads bring photographs in ahead of their time (`Window`); an update waits for one that is late.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sreval.errors import DataError, SrevalError
from sreval.training.sources import threads
from sreval.training.versions import Versions

UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]

_MOST_AHEAD = 32


def how_many_ahead(sizes: Sequence[int], room: int) -> int:
    """How many photographs are brought in ahead of their time: for an eighth of the room at most.

    It is the same on every machine, whatever its threads, since it decides what the window holds.
    """
    mean = sum(sizes) / len(sizes)
    return int(max(1, min(_MOST_AHEAD, room / (8 * mean))))


def least_room(sizes: Sequence[int], batch: int) -> int:
    """The least room in which `batch` photographs are there at any time, in whatever order."""
    largest = sorted(sizes, reverse=True)
    room = 0
    while True:
        wanted = batch + how_many_ahead(sizes, room)
        # what is brought in ahead may be there already, from the pass before
        needed = sum(largest[place % len(largest)] for place in range(wanted))
        if needed <= room:
            return room
        room = needed


class Schedule:
    """Which photographs the window holds before an update.

    Entrance k, from 0, is that of one photograph. `len(sizes)` entrances are a pass, in which each
    photograph enters once. The first pass is in an order drawn at random; a later one has that
    order, shuffled again within blocks as large as can be without a photograph being there twice.
    """

    def __init__(
        self, sizes: Sequence[int], room: int, ahead: int, batch: int, crops: int, seed: int
    ) -> None:
        """`sizes` and `room` in pixels. A photograph enters for every `crops` crops that are cut,
        `batch` in an update; `ahead` entrances have their room before they are there.
        """
        self.sizes: Int64 = np.asarray(sizes, np.int64)
        self.room, self.ahead, self.batch, self.crops, self.seed = room, ahead, batch, crops, seed
        self.count, self._total = len(sizes), int(self.sizes.sum())
        # the smallest photographs that fit: no order has more of them there at once
        smallest = int(np.searchsorted(np.sort(self.sizes).cumsum(), room, side="right"))
        most = min(self.count, smallest)
        self.slots = most + ahead
        self._blocks = np.arange(self.count) // (self.count - most + 1)
        self._order = np.argsort(self._drawn(0), kind="stable")
        self._passes: dict[int, tuple[Int64, Int64]] = {}
        fitting = bisect_right(range(self.count + 1), room, key=lambda k: self.before(k + ahead))
        self._first_fill = fitting - 1

    def entered(self, step: int) -> int:
        """How many entrances there were before the update that follows `step` updates."""
        return self._first_fill + step * self.batch // self.crops

    def oldest(self, entered: int) -> int:
        """The oldest entrance that is still there: those before it made room for those ahead."""
        lowest = max(0, entered - self.count)
        bound = self.before(entered + self.ahead) - self.room
        return lowest + bisect_left(range(lowest, entered), bound, key=self.before)

    def photograph(self, entrance: int) -> int:
        """The place in `sizes` of the photograph that enters."""
        return int(self._pass(entrance // self.count)[0][entrance % self.count])

    def start(self, entrance: int) -> int:
        """Where in the ring its pixels begin; they may run beyond the end."""
        return self.before(entrance) % self.room

    def before(self, entrance: int) -> int:
        """Pixels of all entrances before this one."""
        passed, place = divmod(entrance, self.count)
        return passed * self._total + int(self._pass(passed)[1][place])

    def _pass(self, number: int) -> tuple[Int64, Int64]:
        """A pass's order, and the pixels of its entrances before each."""
        if number not in self._passes:
            order = self._order
            if number:
                order = order[np.lexsort((self._drawn(number), self._blocks))]
            before = np.concatenate([[0], self.sizes[order].cumsum()[:-1]])
            # a window reaches over two passes, and what is ahead into a third
            self._passes = {n: p for n, p in self._passes.items() if abs(n - number) <= 2}
            self._passes[number] = order, before
        return self._passes[number]

    def _drawn(self, number: int) -> npt.NDArray[np.uint64]:
        """Random keys of a pass. The raw bits are the same in every version of NumPy."""
        bits = np.random.Philox(key=[self.seed, number])
        return np.asarray(bits.random_raw(self.count), np.uint64)


class Window:
    """The pixels of a schedule's photographs on a device, and the threads that bring them in.

    Each photograph has a slot for each of its versions: `starts` and `shapes` are in pixels of low
    resolution, and `weights` how many places it has for a crop, 0 where it must not be drawn. All
    tensors stay where they are, so that a captured update finds them.
    """

    def __init__(
        self, schedule: Schedule, versions: Versions, crop: int, device: torch.device
    ) -> None:
        """A crop has `crop` pixels of low resolution a side. The threads start with `advance`."""
        self.schedule, self.versions, self.crop, self.device = schedule, versions, crop, device
        self.scale, self._each = versions.scale, len(versions.fractions)
        length = schedule.room + int(schedule.sizes.max())
        self.high = torch.empty((self.scale**2 * length, 3), dtype=torch.uint8, device=device)
        self.low = torch.empty((length, 3), dtype=torch.uint8, device=device)
        slots = schedule.slots * self._each
        self._spans = [(0, 0, 0)] * slots
        self.starts = torch.zeros(slots, dtype=torch.int64, device=device)
        self.shapes = torch.zeros((slots, 2), dtype=torch.int64, device=device)
        self.weights = torch.zeros(slots, device=device)
        self.waited = 0.0
        """Seconds that updates waited for photographs, the first filling left out."""
        self.quiet = threading.Lock()
        """Held while the window's threads call CUDA, which they mustn't while a graph is captured.
        """
        self._oldest = self._entered = self._promised = -1
        self._pending: dict[int, Future[list[tuple[int, int]]]] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @property
    def filled(self) -> bool:
        """Whether it holds photographs yet."""
        return self._entered >= 0

    def image(self, slot: int, factor: int) -> UInt8:
        """What a slot holds, at `factor` times the low resolution; on the host alone."""
        start, height, width = self._spans[slot]
        pixels = self.low if factor == 1 else self.high
        held = pixels[factor**2 * start : factor**2 * (start + height * width)]
        return held.numpy().reshape(factor * height, factor * width, 3)

    def advance(self, step: int) -> None:
        """Be as the schedule says before the update that follows `step` updates.

        Raises DataError naming the photograph that can't be brought in.
        """
        entered = self.schedule.entered(step)
        if entered == self._entered:
            return
        oldest, filling = self.schedule.oldest(entered), not self.filled
        if entered < self._entered:
            raise ValueError(f"a window moves forwards alone, not to the update after {step}")
        for entrance in range(max(0, self._oldest), min(oldest, self._promised)):
            self._leave(entrance)
        done = None
        if self._stream is not None:
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(self.device))
        promised = entered + self.schedule.ahead
        for entrance in range(max(oldest, self._promised), promised):
            self._promise(entrance, done)
        for entrance in range(max(oldest, self._entered), entered):
            self._enter(entrance, filling)
        self._oldest, self._entered, self._promised = oldest, entered, promised

    def close(self) -> None:
        """End the threads; what they are at is finished first."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _slot(self, entrance: int) -> int:
        return entrance % self.schedule.slots * self._each

    def _leave(self, entrance: int) -> None:
        if entrance in self._pending:  # it came and went between two updates
            self._pending.pop(entrance).result()
        slot = self._slot(entrance)
        self.weights[slot : slot + self._each] = 0.0

    def _promise(self, entrance: int, done: torch.cuda.Event | None) -> None:
        """Have a thread bring an entrance into its room, which no update reads any more after
        `done`."""
        if self._pool is None:
            self._pool = threads()
        photograph = self.schedule.photograph(entrance)
        start, number = self.schedule.start(entrance), entrance // self.schedule.count
        self._pending[entrance] = self._pool.submit(self._bring, photograph, number, start, done)

    def _enter(self, entrance: int, filling: bool) -> None:
        """Let an entrance be drawn from, as soon as it is there."""
        future = self._pending.pop(entrance)
        began = time.monotonic()
        shapes = future.result()
        if not filling:
            self.waited += time.monotonic() - began
        start = self.schedule.start(entrance)
        for slot, (height, width) in enumerate(shapes, self._slot(entrance)):
            if height * width == 0:
                continue
            # one number after the other: a tensor from the host would wait for the device
            self._spans[slot] = start, height, width
            self.starts[slot] = start
            self.shapes[slot, 0], self.shapes[slot, 1] = height, width
            self.weights[slot] = float((height - self.crop + 1) * (width - self.crop + 1))
            start += height * width

    def _bring(
        self, photograph: int, number: int, start: int, done: torch.cuda.Event | None
    ) -> list[tuple[int, int]]:
        """Make a photograph's versions and put them into the ring; their LR heights and widths."""
        try:
            made = self.versions.all_made(photograph, number)
        except SrevalError as error:
            name = self.versions.name(photograph)
            prefix = "" if name in error.message else f"{name}: "
            raise DataError(f"{prefix}{error.message}", error.remedy) from error
        except OSError as error:
            raise DataError(
                f"{self.versions.name(photograph)} can't be read: {error.strerror or error}.",
                "Check the disk and the photographs, then go on with the run.",
            ) from error
        shapes = []
        for version in made:
            if version is None:
                shapes.append((0, 0))
                continue
            high, low = version
            self._put(self.high, self.scale**2 * start, high, done)
            self._put(self.low, start, low, done)
            shapes.append((low.shape[0], low.shape[1]))
            start += low.shape[0] * low.shape[1]
        # all of the pack passes through here, and would stay in this process's memory
        self.versions.pack.release()
        return shapes

    def _put(self, ring: Tensor, start: int, image: UInt8, done: torch.cuda.Event | None) -> None:
        pixels = image.reshape(-1, 3)
        target = ring[start : start + len(pixels)]
        if self._stream is None or done is None:
            np.copyto(target.numpy(), pixels)
            return
        with self.quiet, torch.cuda.stream(self._stream):
            pinned = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True)
            np.copyto(pinned.numpy(), pixels)
            self._stream.wait_event(done)
            target.copy_(pinned, non_blocking=True)
            self._stream.synchronize()
