"""Images computed by a Dask cluster: connected to, watched, and left as it was found."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from sreval.errors import DataError, UsageError, install, told

CONNECT = 10.0
"""Seconds in which a scheduler must answer."""

WORKER = 60.0
"""Seconds in which a worker must be there, at the beginning and after the last one was lost."""

PAUSE = 5.0
"""Seconds between two questions to a scheduler from which no result comes."""


class DaskLink:
    """The scheduler behind an executor."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._asked = self._seen = time.monotonic()

    def threads(self) -> int:
        """How many tasks its workers compute at once."""
        return int(sum(self._client.nthreads().values()) or 1)

    def check(self, at_once: bool = False) -> None:
        """Raises DataError where the scheduler doesn't answer, or has no worker any more.

        It is asked now and then, or ``at_once``.
        """
        now = time.monotonic()
        if now - self._asked < PAUSE and not at_once:
            return
        self._asked = now
        try:
            if self._client.status not in ("running", "newly-created"):
                raise OSError("the connection is closed")
            found = self._client.sync(self._client.scheduler.identity, callback_timeout=CONNECT)
        except Exception as error:  # distributed raises its own and asyncio's
            raise DataError(
                f"The Dask scheduler can't be reached any more: {told(error)}.",
                "What is finished is kept. Start the scheduler and its workers, then run the same "
                "again.",
            ) from None
        if found["workers"]:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > WORKER:
            raise _no_worker("any more")


def link_of(executor: Executor) -> DaskLink | None:
    """The link of an executor that is Dask's; None of another."""
    client = getattr(executor, "_client", None)
    return DaskLink(client) if type(client).__module__.startswith("distributed") else None


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The executor of the cluster at an address (tcp://HOST:PORT), or of a scheduler's file.

    Raises UsageError where distributed is missing, and for an address that can't be one; DataError
    where nobody answers, or no worker is there.
    """
    try:
        distributed: Any = import_module("distributed")  # its calls have no types
    except ImportError:
        raise UsageError("Dask needs the package distributed.", install("dask")) from None
    import dask

    given: dict[str, Any] = {"address": address}
    if Path(address).is_file():
        given = {"scheduler_file": address}
    elif "://" not in address:
        raise UsageError(
            f"{address} is neither an address nor a scheduler's file.",
            "Give what `dask scheduler` prints, such as tcp://10.0.0.1:8786, or the file that it "
            "writes with --scheduler-file.",
        )
    # what it logs of a lost connection is told in one sentence
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    settings = {"distributed.comm.timeouts.tcp": "20s", "distributed.comm.retry.count": 0}
    with dask.config.set(settings):
        try:
            client = distributed.Client(**given, timeout=CONNECT, set_as_default=False)
        except (
            Exception
        ) as error:  # of an address it raises ValueError, of a file whatever it holds
            raise DataError(
                f"No Dask scheduler answers at {address}: {told(error)}.",
                "See whether it runs, and whether this machine reaches it.",
            ) from None
        try:
            try:
                client.wait_for_workers(1, timeout=WORKER)
            except Exception:
                raise _no_worker("there") from None
            yield client.get_executor(pure=False)
        finally:
            with suppress(Exception):  # a scheduler that is gone needs no farewell
                client.close(timeout=2)


def _no_worker(when: str) -> DataError:
    return DataError(
        f"The Dask scheduler has had no worker {when} for {WORKER:.0f} s.",
        "Start one, as by `dask worker ADDRESS`, or wait until its job runs; then run the same "
        "again.",
    )
