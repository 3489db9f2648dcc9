"""Fetching the public data sets: only on command, verified by SHA-256, whole or absent."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sreval.errors import DataError, option
from sreval.files import write_error
from sreval.images.known import KNOWN, KnownFile

if TYPE_CHECKING:
    from pooch import Pooch

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
    return f"{(mirror or KNOWN[file.dataset].home).rstrip('/')}/{remote_path(file)}"


class NotThereError(DataError):
    """A file that its source lacks, or has with other bytes; the others may be there."""


def fetch(
    files: Iterable[KnownFile],
    folder: Path,
    mirror: str | None = None,
    progress: Callable[[KnownFile], object] = lambda _: None,
) -> int:
    """Fetch every file that isn't intact below ``folder``; return the number fetched.

    ``progress`` is called with each file once it is whole. Raises NotThereError, after all others
    were fetched, when a source lacks a file or has it with other bytes; DataError at once when the
    source can't be reached or the folder can't be written.
    """
    missing = []
    for file in files:
        if file.is_intact(folder):
            progress(file)
        else:
            missing.append(file)
    absent: list[NotThereError] = []
    stop = threading.Event()
    made = _make_folders({(folder / file.path).parent for file in missing})
    source = _source(missing, folder, mirror)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        waiting = {pool.submit(_fetch_one, file, source, stop): file for file in missing}
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
        finally:
            for place in made:
                with suppress(OSError):
                    place.rmdir()  # where nothing came
    if absent:
        raise NotThereError(
            f"{len(absent)} of {len(missing)} files could not be fetched; the first: "
            f"{absent[0].message}",
            absent[0].remedy,
        )
    return len(missing)


def _make_folders(places: Iterable[Path]) -> list[Path]:
    """Make folders; those that weren't there, the deepest first."""
    above = {folder for place in places for folder in (place, *place.parents)}
    new = sorted((folder for folder in above if not folder.exists()), reverse=True)
    for place in reversed(new):
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(place, error) from error
    return new


def _source(files: Iterable[KnownFile], folder: Path, mirror: str | None) -> Pooch:
    import pooch

    pooch.get_logger().setLevel("ERROR")  # it would announce each file
    registry, urls = {}, {}
    for file in files:
        registry[file.path], urls[file.path] = f"sha256:{file.sha256}", remote_url(file, mirror)
    return pooch.create(path=folder, base_url="", registry=registry, urls=urls)


def _fetch_one(file: KnownFile, source: Pooch, stop: threading.Event) -> bool:
    """Whether the file was brought: not after ``stop``, which is set where no other can be."""
    if stop.is_set():
        return False
    try:
        _bring(file, source, stop)
    except NotThereError:
        raise
    except BaseException:
        stop.set()
        raise
    return True


def _bring(file: KnownFile, source: Pooch, stop: threading.Event) -> None:
    import pooch
    from requests import HTTPError, RequestException

    url = source.get_url(file.path)
    for attempt in range(_TRIES):
        try:
            source.fetch(file.path, downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S))
            return
        except HTTPError as error:
            status = 0
            if error.response is not None:
                status = error.response.status_code
                error.response.close()  # it holds the connection
            if status in _NOT_THERE:
                raise NotThereError(
                    f"{url} could not be fetched (HTTP {status}).",
                    f"Check an address given with {option('--mirror')}; where the source has "
                    f"changed, name a copy of it with {option('--mirror')}.",
                ) from None
            _again_or_give_up(url, error, attempt, stop)
        except RequestException as error:
            _again_or_give_up(url, error, attempt, stop)
        except OSError as error:
            raise write_error(source.abspath / file.path, error) from error
        except ValueError:
            raise NotThereError(
                f"{url} is not the file it should be: its SHA-256 differs.",
                "Try again. If it differs again, the source has changed.",
            ) from None


def _again_or_give_up(url: str, error: Exception, attempt: int, stop: threading.Event) -> None:
    """Wait for the next try. Raises DataError where a further one is the last or would be vain."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    vain = isinstance(reason, _VAIN) or getattr(reason, "errno", None) in _UNREACHABLE
    if vain or attempt + 1 == _TRIES or stop.wait(_PAUSE_S * 2**attempt):
        raise DataError(
            f"{url} could not be fetched ({reason}).",
            "Check the network and the address, then run the same command again. It keeps the "
            "files that have arrived.",
        ) from None
