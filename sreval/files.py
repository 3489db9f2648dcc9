"""Files and folders that are either whole or absent, and the SHA-256 of files."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sreval.errors import DataError, ImageError, SrevalError, UsageError, WriteError

TORCHVISION = "https://download.pytorch.org/models/"
"""Where torchvision downloads its weights from; their names end in the digits of a hash."""

_UNPACKED = 64 * 2**20
_MOST_TIMES = 100
"""Tables shrink to a tenth of their size; from a zip that is larger than _UNPACKED bytes when it is
unpacked, no more is taken than this many times its own size."""

_REASON = 200
"""As many letters of a parser's own words are quoted."""


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_or_empty(path: Path) -> str:
    """SHA-256 of a file, or "" of one that can't be read: who reads it next says why."""
    try:
        return sha256_file(path)
    except OSError:
        return ""


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def temporary_beside(path: Path) -> Path:
    """A hidden place beside ``path``, this thread's own, from which it can be renamed to it.

    Its name is short: ``path`` may have the longest name that the file system takes.
    """
    own = sha256_bytes(os.fsencode(path.name))[:12]
    return path.with_name(f".{own}.{os.getpid()}-{threading.get_ident()}.part")


def remove_parts(folder: Path) -> None:
    """Remove files and folders that processes which have ended left half written in ``folder``."""
    for part in folder.rglob(".*.part"):
        process = part.suffixes[-2].lstrip(".").partition("-")[0] if part.suffixes[1:] else ""
        if process.isdecimal() and not _runs(int(process)):
            with suppress(OSError):
                shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether a process of that number runs on this machine, or perhaps does."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def read_named_hash(path: Path) -> bytes:
    """The bytes of a file whose name ends in the first digits of their SHA-256, as torch.hub's do.

    Raises DataError for other bytes, which a download that broke off leaves.
    """
    data = path.read_bytes()
    digits = path.stem.rpartition("-")[2]
    if not sha256_bytes(data).startswith(digits):
        raise DataError(
            f"{path} is damaged: its SHA-256 does not begin with {digits}.",
            f"Remove it, and download it from {TORCHVISION}{path.name}.",
        )
    return data


@contextmanager
def atomic_file(path: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of ``path`` only once it is written whole and synced.

    ``private``: from its first byte nobody but its owner can read it, whatever the umask is.
    Raises DataError when the folder can't be written or the disk is full, ImageError when the name
    is too long; what stood at ``path`` before is then untouched.
    """
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb", opener=_owners_alone if private else None) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _owners_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False, private: bool = False) -> Iterator[Path]:
    """A folder to be filled, which takes the place of ``path`` only once that is done.

    With ``replace``, a folder that stands there is moved aside first and removed afterwards;
    without it, only an absent or empty one may be there. ``private``: nobody but its owner can
    look into it, nor read a file that is taken out of it. Raises what ``atomic_file`` raises; what
    stood at ``path`` before is then untouched.
    """
    new = temporary_beside(path)
    old = new.with_suffix(".old")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir(mode=0o700 if private else 0o777)
        yield new
        if private:
            for file in new.rglob("*"):
                file.chmod(0o700 if file.is_dir() else 0o600)
        if replace and path.exists():
            path.rename(old)
        new.replace(path)
    except OSError as error:
        if old.exists() and not path.exists():
            old.rename(path)
        raise write_error(path, error) from error
    finally:
        for leftover in (new, old) if path.exists() else (new,):
            shutil.rmtree(leftover, ignore_errors=True)


def write_atomic(path: Path, data: bytes | str, *, private: bool = False) -> None:
    """Write ``data`` to ``path`` at once or not at all, as `atomic_file` does; text as UTF-8."""
    with atomic_file(path, private=private) as handle:
        handle.write(data.encode() if isinstance(data, str) else data)


def zip_entry(name: str, compress: bool = True) -> zipfile.ZipInfo:
    """An entry of a zip file that tells nothing of when and where it was made."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    entry.external_attr = 0o600 << 16
    return entry


@contextmanager
def parsing(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Where a file is read that may be damaged or forged: it is ``what``, or a DataError says no.

    Only the reading belongs into the block. An error that names its own remedy passes as it is.
    """
    try:
        yield
    except SrevalError:
        raise
    except Exception as error:  # zlib.error, csv.Error, RecursionError: no list of them is whole
        reason = " ".join(str(error).split())[:_REASON] or type(error).__name__
        raise DataError(f"{path} is not {what} ({reason}).", remedy) from None


def read_zip(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The members of a zip file whose names are ``wanted``; to be called within `parsing`.

    Raises ValueError for a member that isn't what is stated of it, or for members that unpack to
    more than tables of that size do, before anything of them is unpacked.
    """
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if wanted(member.filename)]
        packed, size = path.stat().st_size, sum(member.file_size for member in members)
        if size > max(_UNPACKED, _MOST_TIMES * packed):
            raise ValueError(
                f"{packed / 1e6:.1f} MB would unpack to {size / 1e6:,.0f} MB: no table does"
            )
        return {member.filename: _unpacked(archive, member) for member in members}


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} isn't compressed by deflate")
    with archive.open(member) as file:
        # With a size, since read() unpacks a whole chunk before it looks at the stated one.
        data = file.read(member.file_size + 1)
    if len(data) != member.file_size:
        raise ValueError(f"{member.filename} ends too early")
    return data


def exists(path: str) -> bool:
    """Whether a text that a user wrote, ``~`` and all, is the path of something."""
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long, no such user, a NUL
        return False


def no_folder(path: Path, remedy: str = "Check the path.") -> tuple[str, str]:
    """What to say, and advise, of a path at which a folder of images was to be."""
    if path.exists():
        return f"{path} is a file, not a folder.", f"Name its folder: {path.parent.resolve()}."
    return f"No such folder: {path}.", remedy


def json_text(content: Any) -> str:
    """JSON that every parser reads: NaN is null, an infinity is the text "inf" or "-inf"."""
    return json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None if math.isnan(content) else str(float(content))
    return content


def require_text(name: str) -> None:
    """Raise UsageError for a file's name or an argument that is no text: no result can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{os.fsencode(name)!r} isn't text in {sys.getfilesystemencoding()}.",
            "Rename it, or set a UTF-8 locale: LC_ALL=C.UTF-8.",
        ) from None


def claim(file: IO[str], folder: Path) -> None:
    """Hold a folder, by an open file in it, for this run until the file is closed.

    Raises DataError where another run holds it, and the system can tell.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(
            f"Another run is writing into {folder}.",
            "Wait until it ends, or give this run another folder.",
        ) from None
    except (ImportError, OSError):
        pass  # Windows has none, some network file systems neither


@contextmanager
def locked(path: Path, waiting: Callable[[], object]) -> Iterator[bool]:
    """Hold the lock of a file, made where it is absent, once whoever holds it lets go.

    ``waiting`` is called if another process holds it. False where the system has no such locks, as
    Windows and some network file systems.
    """
    with path.open("a", encoding="utf-8") as file:
        try:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        except (ImportError, OSError):
            yield False
        else:
            yield True


def write_error(path: Path, error: OSError) -> WriteError | ImageError:
    """The one sentence a user reads when ``path`` could not be written.

    An ImageError where its name alone is to blame, so that other images of a run are not stopped.
    """
    if error.errno == errno.ENAMETOOLONG:
        return ImageError(f"Can't write {path}: its name is too long.", "Give it a shorter name.")
    return WriteError(
        f"Can't write {path}: {error.strerror or error}.",
        "Nothing written before is lost; free space or choose another folder, then run again.",
    )
