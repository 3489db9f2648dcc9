"""Where photographs lie: files in folders, and members of tar shards as WebDataset writes them.

A shard is a plain tar file. What it holds is indexed once and read in place by offset and size:
nothing is unpacked, and a member's path is no more than its name. The SHA-256 of files and members
are kept in the cache folder, and believed while a file's size, times and number are the same.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import tarfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

import torch

from sreval import content
from sreval.config import validated
from sreval.devices import one_thread
from sreval.errors import DataError, ImageError, UsageError, option
from sreval.files import (
    no_folder,
    parsing,
    require_text,
    sha256_bytes,
    sha256_or_empty,
    write_atomic,
)
from sreval.hashes import State, settled_state, state_of
from sreval.images.folders import ImageFolder, is_other_kind
from sreval.images.io import MAX_BYTES, SUFFIXES, ImageFile, decode_image, image_bytes
from sreval.progress import ProgressLog
from sreval.reading import CONFIG_BYTES, from_json, read_json

_PLAIN = re.compile(r"\.tar$", re.IGNORECASE)
_COMPRESSED = re.compile(r"\.(tgz|tbz2?|txz|tzst|tar\.(gz|bz2|xz|zst))$", re.IGNORECASE)
_PACKERS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SAMPLE = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", re.DOTALL)
"""WebDataset's rule: a sample's key is a member's path up to the first dot of its name."""
_BRACES = re.compile(r"\{(?:([0-9]{1,20})\.\.([0-9]{1,20})|([^{}]*,[^{}]*))\}")
_MOST_SHARDS = 100_000
_LICENCE_LETTERS = 100
_LINK = "a link: make the shard again with tar --dereference --hard-dereference"
_SAVE_SECONDS = 30.0
_WORKERS = min(16, os.cpu_count() or 1)
_INDEX_BYTES = 2**30

Item = TypeVar("Item")
Result = TypeVar("Result")


class ChangedError(DataError):
    """A photograph whose bytes are others than when it was hashed."""

    def __init__(self, message: str, remedy: str = "Run the same command again.") -> None:
        super().__init__(message, remedy)


@dataclass(frozen=True, slots=True)
class Source:
    """One photograph: a file, or `member` of a shard, `size` bytes from `offset`.

    `sha256` is that of its bytes, "" where they couldn't be read. `licence` is what the JSON of
    its sample states, else "".
    """

    path: Path
    sha256: str
    member: str = ""
    offset: int = 0
    size: int = 0
    licence: str = ""

    @property
    def name(self) -> str:
        """The name of its file, without folders."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def label(self) -> Path:
        """What it is called in errors: its path, or SHARD:MEMBER."""
        return Path(f"{self.path}:{self.member}") if self.member else self.path

    def read(self) -> ImageFile:
        """The image, decoded anew; threads may read at once.

        Raises ImageError, naming it, and ChangedError where its bytes are others than they were.
        """
        label = self.label
        data = self._cut_out(label) if self.member else image_bytes(label)
        try:
            read = decode_image(data, label)
        except ImageError:
            if sha256_bytes(data) != self.sha256:
                raise ChangedError(f"{label} changed while it was used.") from None
            raise
        if read.sha256 != self.sha256:
            raise ChangedError(f"{label} changed while it was used.")
        return read

    def _cut_out(self, label: Path) -> bytes:
        """The bytes of a member."""
        if self.size > MAX_BYTES:
            raise ImageError(
                f"{label} takes {self.size:,} bytes, more than the limit of {MAX_BYTES:,}.",
                "Cut it into smaller images first.",
            )
        try:
            with self.path.open("rb") as file:  # a place in the file of this thread's own
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise ImageError(f"Can't read {label}: {error.strerror}.", "Check the path.") from None


@dataclass(frozen=True)
class Found:
    """The photographs of some folders and shards, in an order that a move keeps.

    `left_out` are images that aren't read, by name, and why; `in_shards`: whether any is a member.
    """

    sources: tuple[Source, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def in_shards(self) -> bool:
        """Whether any photograph is a member of a shard."""
        return any(source.member for source in self.sources)


def threads() -> ThreadPoolExecutor:
    """Threads that read, decode and downscale photographs, each on one core."""
    pool = ThreadPoolExecutor(_WORKERS, "photographs", initializer=torch.get_num_threads)
    born = threading.Barrier(_WORKERS + 1)
    with one_thread():  # a thread keeps torch's number of threads of the moment it was born
        for _ in range(_WORKERS):
            pool.submit(born.wait)
        born.wait()
    return pool


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[Result, None, None]:
    """What `work` makes of each item, in order, in a thread for each core; few are held at once.

    Who may leave it early closes it: threads are then through, and nothing more is begun.
    """
    waiting: deque[Future[Result]] = deque()
    with threads() as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * _WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def shards_named(path: Path) -> list[Path]:
    """The paths that one with braces stands for, as a shell has them; else the path alone.

    ``{000..099}`` counts, with its zeros; ``{a,b}`` lists. Raises UsageError for more than 100,000.
    """
    if path.exists():
        return [path]
    named = list(itertools.islice(_expanded(str(path)), _MOST_SHARDS + 1))
    if len(named) > _MOST_SHARDS:
        raise UsageError(
            f"{path} stands for more than {_MOST_SHARDS:,} files.",
            f"Give the folder that holds them with {option('--data')}.",
        )
    return [Path(name) for name in named]


def _expanded(text: str) -> Iterator[str]:
    found = _BRACES.search(text)
    if not found:
        yield text
        return
    first, last, names = found.groups()
    inside: Iterable[str] = names.split(",") if names is not None else _counted(first, last)
    for one in inside:
        yield from _expanded(text[: found.start()] + one + text[found.end() :])


def _counted(first: str, last: str) -> Iterator[str]:
    """The numbers from one to another, up or down, as wide as the wider one if a zero leads."""
    start, end = int(first), int(last)
    zeros = any(len(number) > 1 and number.startswith("0") for number in (first, last))
    width = max(len(first), len(last)) if zeros else 1
    step = 1 if start <= end else -1
    return (f"{number:0{width}}" for number in range(start, end + step, step))


def find_photographs(data: Sequence[Path], say: Callable[[str], None] = lambda _: None) -> Found:
    """The photographs of folders (searched deeply) and shards, each file once, and their SHA-256.

    A folder without images may hold shards. Raises ImageError where a folder or shard is missing or
    holds no image, DataError for a shard that is damaged, cut off or compressed.
    """
    sources: list[Source] = []
    left_out: list[tuple[str, str]] = []
    done: set[Path] = set()
    for given in data:
        files, others = _files_of(given, say)
        left_out += others
        new = [file for file in files if file not in done]
        done.update(new)
        for file, held in zip(new, _contents(given, new, say), strict=True):
            if not _is_shard(file):
                sources += [Source(file, one.sha256) for one in held]
                continue
            members, others = _photographs_of(held)
            left_out += others
            sources += [
                Source(file, m.sha256, m.name, m.offset, m.size, m.licence) for m in members
            ]
    if not sources:
        but = "; ".join(f"{name}: {why}" for name, why in left_out[:3])
        raise ImageError(
            f"{named(data)} holds no images{f' that are read ({but})' if but else ''}.",
            "Name folders or shards that do.",
        )
    return Found(tuple(sources), tuple(left_out))


def named(data: Sequence[Path]) -> str:
    """The folders and shards as they were given."""
    return ", ".join(map(str, data))


def _files_of(given: Path, say: Callable[[str], None]) -> tuple[list[Path], list[tuple[str, str]]]:
    """The images of a folder, or its shards, or the shards that were named."""
    if given.is_dir():
        folder = ImageFolder(given.resolve(), deep=True)
        shards = folder.matching(_PLAIN)
        if not folder.has_images:
            for compressed in folder.matching(_COMPRESSED):
                raise _compressed(compressed)
            if shards:
                return shards, []
        found = folder.images()
        if shards:
            say(
                f"{given} holds images, so its shards, such as {shards[0].name}, are left out: "
                f"name them with {option('--data')} to train on them"
            )
        return found, [(n, "images of its kind are not read") for n in folder.left_out()]
    files = shards_named(given)
    for file in files:
        if _COMPRESSED.search(file.name) and file.is_file():
            raise _compressed(file)
        if not _is_shard(file):
            raise ImageError(*no_folder(file, _check_path(file)))
        if not file.is_file():
            raise ImageError(f"No such shard: {file}.", _check_path(file))
    return [file.resolve() for file in files], []


def _check_path(file: Path) -> str:
    """What to do about a path that isn't there."""
    if set("*?[") & set(str(file)):
        return "Write several shards as {000..099} or {a,b}: *, ? and [] are not understood."
    return "Check the path."


def _is_shard(file: Path) -> bool:
    return bool(_PLAIN.search(file.name))


def _compressed(file: Path, how: str = "") -> DataError:
    return DataError(
        f"{file} is compressed{f' by {how}' if how else ''}: photographs in it can't be read in "
        "place.",
        "Unpack it to a plain .tar file first; photographs hardly shrink.",
    )


class Member(NamedTuple):
    """What a shard holds at a place: one image, and the licence that its sample states.

    A `link` holds no bytes: it names another file, which needn't be there.
    A file in a folder is its own only member, without a name.
    """

    name: str
    offset: int
    size: int
    sha256: str
    licence: str = ""
    link: bool = False


@dataclass(frozen=True)
class _Known:
    """A file of the cache: by path, a file's state when it was read, and what it held."""

    files: dict[str, tuple[State, tuple[Member, ...]]]


def _contents(
    given: Path, files: Sequence[Path], say: Callable[[str], None]
) -> list[tuple[Member, ...]]:
    """What each file holds, from the cache where it is unchanged since."""
    name = sha256_bytes(os.fsencode(given.resolve()))[:16]
    index = content.cache_dir() / "hashes" / f"{name}.json"
    try:
        known = validated(_Known, read_json(index, _INDEX_BYTES)).files
    except (OSError, ValueError):
        known = {}
    held: dict[Path, tuple[Member, ...]] = {}
    fresh: dict[str, tuple[State, tuple[Member, ...]]] = {}
    for file in files:
        before = known.get(str(file))
        if before is not None and before[0] == state_of(file):
            held[file], fresh[str(file)] = before[1], before
    to_read = [file for file in files if file not in held]
    if not to_read:
        return [held[file] for file in files]

    def save() -> None:
        write_atomic(index, json.dumps({"files": fresh}))

    what = "shard" if _is_shard(to_read[0]) else "file"
    line = ProgressLog(len(to_read), "Looking through", what, say=say)
    saved = time.monotonic()
    try:
        with closing(in_order(_read, to_read)) as read:
            for file, (state, members) in zip(to_read, read, strict=True):
                held[file] = members
                if state is not None:
                    fresh[str(file)] = state, members
                line.update()
                if time.monotonic() - saved > _SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
    finally:
        save()
    return [held[file] for file in files]


def _read(file: Path) -> tuple[State | None, tuple[Member, ...]]:
    """What a file holds; and its ``settled_state`` before that."""
    state = settled_state(file)
    if _is_shard(file):
        return state, tuple(_index(file))
    return state, (Member("", 0, 0, sha256_or_empty(file)),)


def _index(shard: Path) -> list[Member]:
    """The images of a shard by name, without hidden files and those in hidden folders; and links.

    Raises DataError for what isn't a whole, plain tar file.
    """
    members: list[Member] = []
    licences: dict[str, str] = {}
    with (
        parsing(shard, "a whole, plain tar file", "Make it again, or leave it out."),
        shard.open("rb") as file,
    ):
        begin = file.read(8)
        for magic, how in _PACKERS.items():
            if begin.startswith(magic):
                raise _compressed(shard, how)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (entry := tar.next()) is not None:
                # a shard may hold hundreds of thousands
                tar.members.clear()  # type: ignore[attr-defined]
                image = _is_image(entry.name)
                if (entry.issym() or entry.islnk()) and (image or _may_be_a_folder(entry.name)):
                    require_text(entry.name)
                    members.append(Member(entry.name, 0, 0, "", link=True))
                if not entry.isreg() or not (image or entry.name.endswith(".json")):
                    continue
                if entry.issparse() or not 0 <= entry.size <= size - entry.offset_data:
                    raise ValueError(f"{entry.name} isn't stored whole")
                file.seek(entry.offset_data)
                if image:
                    require_text(entry.name)
                    sha256 = sha256_bytes(file.read(min(entry.size, MAX_BYTES + 1)))
                    members.append(Member(entry.name, entry.offset_data, entry.size, sha256))
                elif entry.size <= CONFIG_BYTES:
                    licences[_sample(entry.name)[0]] = _licence(file.read(entry.size))
            file.seek(tar.offset)
        # tarfile takes a damaged header, and the end of a cut file, for the archive's end
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise ValueError("its end is missing, or a header is damaged")
    members.sort(key=lambda member: PurePosixPath(member.name))  # as the files of a folder are
    return [m._replace(licence=licences.get(_sample(m.name)[0], "")) for m in members]


def _is_image(name: str) -> bool:
    """Whether a member's name is that of an image, read here or not, and nothing on it hidden."""
    suffix = PurePosixPath(name).suffix.lower()
    return not _is_hidden(name) and (suffix in SUFFIXES or is_other_kind(name))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in PurePosixPath(name).parts)


def _may_be_a_folder(name: str) -> bool:
    """Whether a link of that name may lead to a folder of photographs."""
    return not _is_hidden(name) and not PurePosixPath(name).suffix


def _sample(name: str) -> tuple[str, str]:
    """The key of a member's sample, and its ending without the dot before it."""
    found = _SAMPLE.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def _photographs_of(members: Sequence[Member]) -> tuple[list[Member], list[tuple[str, str]]]:
    """The photographs among a shard's images; and the others, with the reason.

    Beside `key.jpg`, `key.seg.png` is no photograph, but something about it.
    """
    plain = {key for key, ending in (_sample(m.name) for m in members) if "." not in ending}
    photographs, others = [], []
    for member in members:
        key, ending = _sample(member.name)
        if member.link:
            others.append((member.name, _LINK))
        elif is_other_kind(member.name):
            others.append((member.name, "images of its kind are not read"))
        elif "." in ending and key in plain:
            others.append((member.name, f"another image of the sample {key}"))
        else:
            photographs.append(member)
    return photographs, others


def _licence(data: bytes) -> str:
    """The licence that a sample's JSON states, in one line; "" where there is none."""
    try:
        stated = from_json(data)
    except ValueError:
        return ""
    if not isinstance(stated, dict):
        return ""
    text = stated.get("licence") or stated.get("license") or ""
    printable = "".join(c if c.isprintable() and c != "|" else " " for c in str(text))
    return " ".join(printable.split())[:_LICENCE_LETTERS]
