"""Images computed by a Dask cluster: connected to, watched, and left as it was found."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from sreval.benchmarking.provenance import code_version
from sreval.errors import DataError, SrevalError, UsageError, install, shown, told
from sreval.reading import TEXT_BYTES, from_json, read_bytes

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
        self._checked: set[str] = set()
        self._check_versions(client.nthreads())

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
            self._check_versions(found["workers"])
        elif time.monotonic() - self._seen > WORKER:
            raise _no_worker("any more")

    def _check_versions(self, workers: Collection[str]) -> None:
        """Raises UsageError where one that wasn't asked yet lacks this version of sreval."""
        new = sorted(set(workers) - self._checked)
        if not new:
            return
        try:
            found = self._client.run(eval, _CODE, workers=new, on_error="return")
        except Exception:  # one of them has gone meanwhile: they are asked again
            return
        wanted = code_version()
        for worker in new:
            code = found.get(worker, wanted)  # one that has gone meanwhile says nothing
            if isinstance(code, OSError) or code == wanted:
                continue
            if isinstance(code, Exception):
                there = self._client.run(eval, _VERSION, workers=[worker], on_error="return")
                code = there.get(worker)
            raise UsageError(
                f"The worker {worker} "
                + (f"runs sreval {code}" if isinstance(code, str) else "lacks sreval")
                + f", this machine {wanted}"
                + (
                    ": their code or the packages below it differ, so their scores could."
                    if isinstance(code, str)
                    else "."
                ),
                "Install the same versions on both.",
            )
        self._checked.update(new)


_CODE = "__import__('sreval.benchmarking.provenance', fromlist=['code_version']).code_version()"
_VERSION = "__import__('sreval').__version__"
"""They are sent as texts: a function of sreval's can't be read where it is another one."""


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
    if address and Path(address).is_file():
        given = {"address": _address_in(Path(address))}
    elif why := _why_no_address(address):
        raise UsageError(f"{shown(address)} is neither an address nor a file: {why}.", _GIVE)
    # what it logs of a lost connection is told in one sentence
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    settings = {"distributed.comm.timeouts.tcp": "20s", "distributed.comm.retry.count": 0}
    with dask.config.set(settings):
        try:
            client = distributed.Client(**given, timeout=CONNECT, set_as_default=False)
        except Exception as error:  # distributed raises its own and asyncio's
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


_GIVE = (
    "Give what `dask scheduler` prints, such as tcp://10.0.0.1:8786, or the file that it writes "
    "with --scheduler-file."
)


def _address_in(file: Path) -> str:
    """The address in a scheduler's file. Raises UsageError for another file."""
    why = "it names no address"
    try:
        said = from_json(read_bytes(file, TEXT_BYTES))
        address = said.get("address") if isinstance(said, dict) else None
        if isinstance(address, str):
            why = _why_no_address(address)
            if not why:
                return address
    except (OSError, ValueError, SrevalError) as error:
        why = error.message.rstrip(".") if isinstance(error, SrevalError) else told(error)
    raise UsageError(f"{file} isn't a scheduler's file: {why}.", _GIVE)


def _why_no_address(address: str) -> str:
    """Why no scheduler can have an address, "" where one can."""
    from distributed.comm.addressing import get_address_host_port, parse_address
    from distributed.comm.registry import get_backend

    if "://" not in address:
        return "it doesn't begin like tcp://" if address else "it is empty"
    try:
        scheme, place = parse_address(address)
        get_backend(scheme)
        if scheme == "inproc":
            return "" if place else "it names no place"
        host, port = get_address_host_port(address, strict=True)
    except Exception as error:  # an optional package may be missing, too
        return str(error) or type(error).__name__
    if not host:
        return "it names no host"
    return "" if 0 < int(port or 0) < 65536 else f"it has the port {port}"


def _no_worker(when: str) -> DataError:
    return DataError(
        f"The Dask scheduler has had no worker {when} for {WORKER:.0f} s.",
        "Start one, as by `dask worker ADDRESS`, or wait until its job runs; then run the same "
        "again.",
    )
