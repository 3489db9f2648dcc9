"""Fetching the public data sets: only on command, verified by SHA-256, resumed, atomic."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from sreval.errors import DataError, option
from sreval.files import sha256_bytes, write_error
from sreval.images.known import KnownFile, is_intact

SELFEXSR = "https://github.com/jbhuang0604/SelfExSR/raw/master"
BSDS500 = "https://github.com/BIDS/BSDS500/raw/master"

_TRIES = 4
_TIMEOUT_S = 30
_PAUSE_S = 0.5
_PARALLEL = 4

_NOT_THERE = (403, 404, 410)
_VAIN = (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError, ValueError)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
"""Where the next try, and the next file, would fail as this one did."""


def remote_path(file: KnownFile) -> str:
    """The path of a known file in the public repository that holds it."""
    if file.dataset == "BSDS300-train":
        return "BSDS500/data/images/train/" + Path(file.path).name.removeprefix("bsds500_train_")
    match = re.fullmatch(r"eval/(\w+)/(HR|LR)(?:_x(\d))?/(\w+)\.png", file.path)
    assert match is not None, file.path
    dataset, kind, scale, stem = match[1], match[2], match[3] or "4", match[4]
    return f"data/{dataset}/image_SRF_{scale}/{stem}_SRF_{scale}_{kind}.png"


def remote_url(file: KnownFile, mirror: str | None = None) -> str:
    """The address of a known file, at its public home or below ``mirror``."""
    home = BSDS500 if file.dataset == "BSDS300-train" else SELFEXSR
    return f"{(mirror or home).rstrip('/')}/{remote_path(file)}"


class NotThereError(DataError):
    """A file that its source lacks, or has with other bytes; the others may be there."""


def fetch(
    files: Iterable[KnownFile],
    folder: Path,
    mirror: str | None = None,
    progress: Callable[[KnownFile], object] = lambda _: None,
) -> int:
    """Fetch every file that isn't intact below ``folder``; return the number fetched.

    ``progress`` is called with each file once it is whole. An interrupted file continues where it
    broke off. Raises NotThereError, after all others were fetched, when a source lacks a file or
    has it with other bytes; DataError at once when the source can't be reached or the folder
    can't be written.
    """
    missing = []
    for file in files:
        if is_intact(file, folder):
            progress(file)
        else:
            missing.append(file)
    absent: list[NotThereError] = []
    stop = threading.Event()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        waiting = {pool.submit(_fetch_one, file, folder, mirror, stop): file for file in missing}
        try:
            for done in as_completed(waiting):
                try:
                    if done.result():
                        progress(waiting[done])
                except NotThereError as error:
                    absent.append(error)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if absent:
        raise NotThereError(
            f"{len(absent)} of {len(missing)} files could not be fetched; the first: "
            f"{absent[0].message}",
            absent[0].remedy,
        )
    return len(missing)


def _fetch_one(file: KnownFile, folder: Path, mirror: str | None, stop: threading.Event) -> bool:
    """Whether the file was brought: not after ``stop``, which is set where no other can be."""
    if stop.is_set():
        return False
    try:
        _bring(file, folder, mirror, stop)
    except NotThereError:
        raise
    except BaseException:
        stop.set()
        raise
    return True


def _bring(file: KnownFile, folder: Path, mirror: str | None, stop: threading.Event) -> None:
    target = folder / file.path
    part = target.with_name(target.name + ".part")
    url = remote_url(file, mirror)
    for attempt in range(_TRIES):
        try:
            _download(url, part, file.size)
            break
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            if error.code in _NOT_THERE:
                raise NotThereError(
                    f"{url} could not be fetched (HTTP {error.code}).",
                    f"Check the address given with {option('--mirror')}, or fetch it from its home."
                    if mirror
                    else f"The source has changed; name a copy of it with {option('--mirror')}.",
                ) from None
            _again_or_give_up(url, error, attempt, stop)
        except (OSError, http.client.HTTPException, ValueError, EOFError) as error:
            _again_or_give_up(url, error, attempt, stop)
    data = part.read_bytes()
    if sha256_bytes(data) != file.sha256:
        part.unlink(missing_ok=True)
        raise NotThereError(
            f"{url} is not the file it should be: its SHA-256 differs.",
            "Try again. If it differs again, the source has changed.",
        )
    part.replace(target)


def _again_or_give_up(url: str, error: Exception, attempt: int, stop: threading.Event) -> None:
    """Wait for the next try. Raises DataError where a further one is the last or would be vain."""
    answered = isinstance(error, urllib.error.HTTPError)
    reason = error if answered else getattr(error, "reason", error)
    vain = isinstance(reason, _VAIN) or getattr(reason, "errno", None) in _UNREACHABLE
    if vain or attempt + 1 == _TRIES or stop.wait(_PAUSE_S * 2**attempt):
        raise DataError(
            f"{url} could not be fetched ({reason}).",
            "Check the network and the address, then run the same command again. It keeps what "
            "has arrived.",
        ) from None


def _download(url: str, part: Path, size: int) -> None:
    """Bring a file's bytes to ``part``, from where an earlier try broke off.

    Raises DataError where ``part`` can't be written, else whatever urllib raises.
    """
    have = part.stat().st_size if part.is_file() else 0
    if have >= size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        try:
            # only now, so that a source that can't be reached leaves no empty folders behind
            part.parent.mkdir(parents=True, exist_ok=True)
            handle = part.open("ab" if answer.status == 206 else "wb")
        except OSError as error:
            raise write_error(part, error) from error
        with handle:
            for block in _blocks(answer.read):
                try:
                    handle.write(block)
                    handle.flush()
                except OSError as error:
                    raise write_error(part, error) from error
    if part.stat().st_size < size:
        raise EOFError("the connection broke off")


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while block := read(1 << 16):
        yield block
