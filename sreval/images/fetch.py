"""Fetching the public data sets: only on command, verified by SHA-256, resumed, atomic."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from sreval.errors import DataError
from sreval.files import sha256_bytes, sha256_file, write_error
from sreval.images.datasets import KnownFile

SELFEXSR = "https://github.com/jbhuang0604/SelfExSR/raw/master"
BSDS500 = "https://github.com/BIDS/BSDS500/raw/master"

_TRIES = 4
_TIMEOUT_S = 30
_PARALLEL = 4


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


def is_intact(file: KnownFile, folder: Path) -> bool:
    """Whether the file lies below ``folder`` with the bytes it should have."""
    path = folder / file.path
    return path.is_file() and path.stat().st_size == file.size and sha256_file(path) == file.sha256


def fetch(
    files: Iterable[KnownFile],
    folder: Path,
    mirror: str | None = None,
    progress: Callable[[KnownFile], object] = lambda _: None,
) -> int:
    """Bring every file that isn't there intact below ``folder``; the number brought.

    ``progress`` is told each file once it stands. An interrupted file goes on where it broke
    off. Raises DataError, after all others were brought, when a file can't be had or has other
    bytes than it should.
    """
    missing = []
    for file in files:
        if is_intact(file, folder):
            progress(file)
        else:
            missing.append(file)
    errors: list[DataError] = []
    with ThreadPoolExecutor(_PARALLEL) as pool:
        waiting = {pool.submit(_fetch_one, file, folder, mirror): file for file in missing}
        try:
            for done in as_completed(waiting):
                try:
                    done.result()
                    progress(waiting[done])
                except DataError as error:
                    errors.append(error)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    if errors:
        raise DataError(
            f"{len(errors)} of {len(missing)} files could not be fetched; the first: "
            f"{errors[0].message}",
            errors[0].remedy,
        )
    return len(missing)


def _fetch_one(file: KnownFile, folder: Path, mirror: str | None) -> None:
    target = folder / file.path
    part = target.with_name(target.name + ".part")
    url = remote_url(file, mirror)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(target, error) from error
    reason = ""
    for attempt in range(_TRIES):
        try:
            _download(url, part, file.size)
            break
        except (urllib.error.URLError, TimeoutError, ConnectionError, EOFError) as error:
            reason = str(getattr(error, "reason", error))
            if isinstance(error, urllib.error.HTTPError) and error.code in (403, 404, 410):
                reason = f"HTTP {error.code}"
                break
            time.sleep(0.5 * 2**attempt)
    data = part.read_bytes() if part.is_file() else b""
    if len(data) < file.size:
        raise DataError(
            f"{url} could not be fetched ({reason or 'too short'}).",
            "Run the same command again: what has come is kept.",
        )
    if sha256_bytes(data) != file.sha256:
        part.unlink(missing_ok=True)
        raise DataError(
            f"{url} is not the file it should be: its SHA-256 differs.",
            "Try again; if it stays so, the source has changed.",
        )
    part.replace(target)


def _download(url: str, part: Path, size: int) -> None:
    have = part.stat().st_size if part.is_file() else 0
    if have >= size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        resumed = answer.status == 206
        try:
            with part.open("ab" if resumed else "wb") as handle:
                for block in _blocks(answer.read):
                    handle.write(block)
        except OSError as error:
            if isinstance(error, TimeoutError | ConnectionError):
                raise
            raise write_error(part, error) from error
    if part.stat().st_size < size:
        raise EOFError("the connection broke off")


def _blocks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while block := read(1 << 16):
        yield block
