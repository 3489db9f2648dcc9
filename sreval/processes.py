"""Processes of this machine: on how many cores, and one that computes beside this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

_ENDING = {
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """Let this process, which another has begun, end when that one does, however it does."""
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


class Beside:
    """A second process that computes tasks, from the last to the first, while this one goes on.

    It is forked where that is safe, on Linux and from a process of one thread, and where there is a
    core for it. So it has all that this one holds; what tasks come to is pickled. Elsewhere, and
    where it ends before its time, everything is computed here when it is asked for.

    Example:
        with Beside({"sum": total, "figure": draw}) as beside:
            ...
            beside.get("sum", total)
    """

    def __init__(self, tasks: Mapping[Hashable, Callable[[], object]]) -> None:
        self._tasks = tasks
        self._begun: dict[Hashable, Future[Any]] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._forked: list[Any] = []

    def __enter__(self) -> Self:
        if self._tasks and cores() > 1 and _can_fork():
            # a signal waits until both processes are ready for it
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
            try:
                self._fork(mask)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            except BaseException:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                self.__exit__()
                raise
        return self

    def _fork(self, mask: set[Any]) -> None:
        context = multiprocessing.get_context("fork")
        # what a forked process begins with isn't pickled
        self._pool = ProcessPoolExecutor(1, context, _begin, (self._tasks, mask))
        others = multiprocessing.active_children()
        self._begun = {key: self._pool.submit(_task, key) for key in reversed(self._tasks)}
        self._forked = [one for one in multiprocessing.active_children() if one not in others]

    def __exit__(self, *_: object) -> None:
        for process in self._forked:  # nobody waits for what it still computes
            process.kill()
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What the task of that name came to there, or ``make()`` where it hasn't begun or failed.

        Raises what ``make`` does.
        """
        begun = self._begun.pop(key, None)
        if begun is not None and not begun.cancel():
            try:
                found: T = begun.result()
                return found
            except Exception:  # here it is said what is wrong
                pass
        return make()


def _can_fork() -> bool:
    """Whether this process has no thread that would be missing in a fork, its locks held."""
    if sys.platform != "linux":
        return False
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


_mine: Mapping[Hashable, Callable[[], object]] = {}


def _begin(tasks: Mapping[Hashable, Callable[[], object]], mask: set[Any]) -> None:
    global _mine
    _mine = tasks
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)  # it ends without a word
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    end_with_parent()


def _task(key: Hashable) -> object:
    return _mine[key]()
