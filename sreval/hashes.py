"""SHA-256 of files that haven't changed since they were last read, without reading them again.

What the system says of a file (its size, its times, its place on the disk) tells whether somebody
has written to it since. It doesn't where the file was written to in the moment in which it was
read: both then have one time. Such a file is read again, as git does it.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sreval.errors import SrevalError
from sreval.files import sha256_file, write_atomic
from sreval.reading import TEXT_BYTES, from_json, read_bytes

FORMAT = 1
GRANULARITY = 2_000_000_000
"""Nanoseconds: the coarsest clock of a file system in use, that of FAT."""

State = tuple[int, int, int, int]
"""Size, the times of the last write and the last change in nanoseconds, inode."""


def state_of(path: Path) -> State | None:
    """What tells that a file was written to or replaced; None where the system can't.

    The time of change can't be set, so it also tells of writers who set the time of writing back.
    """
    try:
        return state_in(path.stat())
    except OSError:
        return None


def state_in(found: os.stat_result) -> State | None:
    """`state_of` for what the system has said of a file."""
    if os.name == "nt":  # it has the time of creation in the place of that of change
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def settled_state(path: Path) -> State | None:
    """The state of a file that is to be read now; None where a later write might leave the same."""
    now, state = time.time_ns(), state_of(path)
    return state if state and is_settled(state, now) else None


def is_settled(state: State, now: int) -> bool:
    """Whether a write after ``now``, in nanoseconds since 1970, leaves another state."""
    return max(state[1:3]) + GRANULARITY < now


class Hashes:
    """The hashes of files by path, each with the state in which the file was read.

    They hold for one machine: the same path is another file elsewhere.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Take over what ``file`` says; of one that is absent, damaged or another's, nothing."""
        self._lock = threading.Lock()
        self._files: dict[str, tuple[State, str]] = {}
        self._pairs: dict[str, list[Any]] = {}
        with suppress(
            OSError, ValueError, SrevalError, KeyError, TypeError, AttributeError, ArithmeticError
        ):
            said = from_json(read_bytes(file, TEXT_BYTES)) if file else {}
            if (said["format"], said["machine"]) == (FORMAT, platform.node()):
                self._files = {
                    path: ((int(size), int(written), int(changed), int(inode)), str(sha256))
                    for path, ((size, written, changed, inode), sha256) in said["files"].items()
                }
                self._pairs = {place: list(pair) for place, pair in said["pairs"].items()}

    def sha256(self, path: Path) -> str:
        """That of a file, read where it may have changed. Raises OSError where it can't be read."""
        name = str(path.absolute())
        with self._lock:
            known = self._files.get(name)
        if known and known[0] == state_of(path):
            return known[1]
        state = settled_state(path)
        sha256 = sha256_file(path)
        self.note(path, state, sha256)
        return sha256

    def note(self, path: Path, state: State | None, sha256: str) -> None:
        """Keep the hash of what was read, if it had this ``settled_state`` before and still has."""
        name = str(path.absolute())
        with self._lock:
            if state and state_of(path) == state:
                self._files[name] = (state, sha256)
            else:
                self._files.pop(name, None)

    def pair(self, place: str) -> list[Any] | None:
        """What was kept of a pair of images under that name."""
        with self._lock:
            return self._pairs.get(place)

    def keep_pair(self, place: str, pair: list[Any]) -> None:
        """Keep, as JSON, what was made of two files."""
        with self._lock:
            self._pairs[place] = pair

    def write(self, file: Path) -> None:
        """Write what holds, as far as ``file`` can be written: without it, files are read again."""
        with self._lock:
            files = {
                name: known for name, known in sorted(self._files.items()) if os.path.lexists(name)
            }
            said = {
                "format": FORMAT,
                "machine": platform.node(),
                "files": files,
                "pairs": dict(sorted(self._pairs.items())),
            }
        with suppress(OSError, SrevalError):
            write_atomic(file, json.dumps(said, ensure_ascii=True) + "\n")


_known: ContextVar[tuple[Path, Hashes] | None] = ContextVar("known", default=None)
"""Of the run that this thread works for."""


@contextmanager
def known_from(file: Path) -> Iterator[Hashes]:
    """Within, ``sha256_of`` knows what ``file`` says of files that haven't changed.

    Within another block of the same file it is the same.
    """
    known = _known.get()
    if known and known[0] == file:
        yield known[1]
        return
    hashes = Hashes(file)
    token = _known.set((file, hashes))
    try:
        yield hashes
    finally:
        _known.reset(token)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read only where nothing tells that it is as it was. Raises OSError."""
    known = _known.get()
    return known[1].sha256(path) if known else sha256_file(path)
