"""Photographs for training: packed into one file, or read in place from shards.

A pack holds every image one after the other as raw uint8 RGB, at high resolution and as the
exact bicubic of images/ makes it at low resolution from the whole image. It is read through a map,
so it may be larger than the memory. Photographs in shards are decoded when they are asked for, and
what lies here of them is an index: names, sizes, thumbnails.

Either lies in the cache folder under a key made from the files' names and contents, so that a
second run opens it at once; its hash is made from the contents alone. It is made in parts: one that
was stopped goes on after its last whole part, and comes to the same bytes.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from sreval import content
from sreval.config import validated
from sreval.errors import DataError, ImageError, byte_size, option
from sreval.files import locked, sha256_bytes, write_atomic, write_error
from sreval.images.resize import crop_to_multiple, downscale
from sreval.progress import ProgressLog
from sreval.reading import from_json, read_json
from sreval.training.leaks import THUMBNAIL, Fingerprint, fingerprint
from sreval.training.sources import (
    ChangedError,
    Found,
    Source,
    find_photographs,
    in_order,
    named,
)

UInt8 = npt.NDArray[np.uint8]

_LAYOUT = 1
_PART_BYTES = 256 * 2**20
"""As much of the high resolution is written between two moments from which a packing goes on."""
_ABANDONED_SECONDS = 30 * 24 * 3600
_MANIFEST_BYTES = 2**30


@dataclass(frozen=True)
class Photograph:
    """One image: its file, the file's SHA-256 and its size, cut to a multiple of the scale."""

    file: str
    sha256: str
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """At high resolution."""
        return self.height * self.width


@dataclass(frozen=True)
class Photographs(ABC):
    """The images to train on, in the order of `photographs`; `skipped` are others, and why.

    `folder` holds what is kept of them. `thumbnails` are (images, cells), `licences` what shards
    state, by file. Images are read-only, and any number of threads may ask for them at once.
    """

    folder: Path
    scale: int
    photographs: tuple[Photograph, ...]
    skipped: tuple[tuple[str, str], ...]
    thumbnails: npt.NDArray[np.float32]
    licences: Mapping[str, str] = field(default_factory=dict)

    mapped: ClassVar[bool]
    """Whether images are views of a map, which cost nothing to ask for."""

    @abstractmethod
    def image(self, place: int) -> UInt8:
        """The image (H, W, 3) at a place of `photographs`, at high resolution.

        Raises DataError where it can't be read any more.
        """

    @abstractmethod
    def small(self, place: int) -> UInt8:
        """The same image at low resolution: the exact bicubic of the whole. Raises as `image`."""

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the scale, and of the files' hashes in order."""
        content = [self.scale, *(photograph.sha256 for photograph in self.photographs)]
        return sha256_bytes(json.dumps(content).encode())

    @cached_property
    def pixels(self) -> int:
        """High-resolution pixels of all images."""
        return sum(p.pixels for p in self.photographs)

    @abstractmethod
    def release(self) -> None:
        """Hold no more memory than before any image was asked for, where that can be done."""

    def fingerprints(self) -> list[Fingerprint]:
        """What the leak check compares, image by image."""
        return [
            Fingerprint(p.file, p.sha256, self.thumbnails[place], partial(self.image, place))
            for place, p in enumerate(self.photographs)
        ]


@dataclass(frozen=True)
class Pack(Photographs):
    """Photographs packed into two files. `high` and `low` are (pixels, 3)."""

    mapped = True

    @cached_property
    def high(self) -> UInt8:
        """Pixels at high resolution: a map that can't be written to, and takes no memory."""
        return self._map("high.bin")

    @cached_property
    def low(self) -> UInt8:
        """Pixels at low resolution, mapped as `high`."""
        return self._map("low.bin")

    def image(self, place: int) -> UInt8:
        """The image at a place, a view of the map."""
        p, start = self.photographs[place], self._starts[place]
        return self.high[start : start + p.pixels].reshape(p.height, p.width, 3)

    def small(self, place: int) -> UInt8:
        """The same image at low resolution, a view of the map."""
        p, start = self.photographs[place], self._starts[place] // self.scale**2
        height, width = p.height // self.scale, p.width // self.scale
        return self.low[start : start + height * width].reshape(height, width, 3)

    def release(self) -> None:
        """Hold no pages of the maps any more; what is read again comes from the system's cache."""
        for pixels in (self.high, self.low):
            if isinstance(pixels, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
                pixels._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.cumsum([0, *(p.pixels for p in self.photographs)], dtype=np.int64)

    def _map(self, name: str) -> UInt8:
        try:
            return np.memmap(self.folder / name, np.uint8, "r").reshape(-1, 3)
        except (OSError, ValueError) as error:
            again = option("--resume", "resume=True")
            raise DataError(
                f"{self.folder / name} of the pack can't be opened any more ({error}).",
                f"Remove the folder {self.folder}, then go on with {again}: it is made again.",
            ) from error


@dataclass(frozen=True)
class Shards(Photographs):
    """Photographs that are decoded when they are asked for; `sources` are where they lie."""

    mapped = False

    sources: tuple[Source, ...] = ()
    _last: threading.local = field(
        default_factory=threading.local, init=False, repr=False, compare=False
    )

    def image(self, place: int) -> UInt8:
        """The image at a place, decoded anew."""
        source = self.sources[place]
        try:
            read = source.read()
        except ChangedError:
            raise DataError(
                f"{source.label} changed or was damaged since it was indexed.", _put_back(source)
            ) from None
        except ImageError as error:  # it could be read when it was indexed
            raise DataError(error.message, _put_back(source)) from error
        image = np.ascontiguousarray(crop_to_multiple(read.pixels, self.scale))
        # who asks for an image asks for its low resolution next: it isn't decoded twice
        self._last.place, self._last.image = place, image
        return image

    def small(self, place: int) -> UInt8:
        """The same image at low resolution, made from it anew."""
        last = getattr(self._last, "place", None) == place
        return downscale(self._last.image if last else self.image(place), self.scale)

    def release(self) -> None:
        """Nothing is held: each thread keeps its last image alone."""


def open_pack(
    data: Sequence[Path], scale: int, say: Callable[[str], None] = lambda _: None
) -> Photographs:
    """The photographs of some folders (searched deeply) and shards: packed, unless some are in
    shards. What is kept of them is made when there is none, or when a packing was stopped.

    Grey, unreadable and tiny images, and those of kinds that aren't read, are skipped, and named in
    `skipped`. Raises ImageError when a folder or shard is missing or holds no image, DataError when
    none of them is usable, the cache can't be written, or its disk has too little room.
    """
    found = find_photographs(data, say)
    listing = [(source.name, source.sha256) for source in found.sources]
    parts = [_LAYOUT, scale, listing, [name for name, _ in found.left_out]]
    if found.in_shards:
        parts.append("index")
    folder = content.cache_dir() / "packs" / sha256_bytes(json.dumps(parts).encode())[:16]
    if not (folder / _MANIFEST).is_file():
        _make(found, scale, folder, say)
    pack = read_pack(folder, found.sources if found.in_shards else None)
    if not pack.photographs:
        reasons = "; ".join(f"{name}: {why}" for name, why in pack.skipped[:3])
        raise DataError(
            f"None of the {len(found.sources)} images in {named(data)} can be trained on "
            f"({reasons}).",
            f"Give a folder of colour photographs with {option('--data')}.",
        )
    return pack


def read_pack(folder: Path, sources: Sequence[Source] | None = None) -> Photographs:
    """What a folder of the cache holds: a pack, or with `sources` the index of shards.

    Raises DataError where it is damaged.
    """
    try:
        manifest = validated(_Manifest, read_json(folder / _MANIFEST, _MANIFEST_BYTES))
        photographs = manifest.photographs
        # a map: four kilobytes an image
        thumbnails = np.load(folder / "thumbnails.npy", mmap_mode="r" if photographs else None)
        facts = (folder, manifest.scale, photographs, manifest.skipped, thumbnails)
        if sources is not None:
            places = {source.sha256: source for source in reversed(sources)}
            licences = {source.name: source.licence for source in sources if source.licence}
            return Shards(*facts, licences, tuple(places[p.sha256] for p in photographs))
        pixels = sum(p.pixels for p in photographs)
        lengths = {"high.bin": 3 * pixels, "low.bin": 3 * pixels // manifest.scale**2}
        for name, length in lengths.items():
            if (folder / name).stat().st_size != length:
                raise ValueError(f"{name} has another length than the manifest says")
    except (OSError, EOFError, ValueError, KeyError, ZeroDivisionError) as error:
        raise DataError(
            f"The pack {folder} is damaged ({error}).",
            "Remove the folder. The next run makes it again.",
        ) from error
    return Pack(*facts)


_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class _Manifest:
    """What stands in a pack's manifest.json."""

    scale: int
    photographs: tuple[Photograph, ...]
    skipped: tuple[tuple[str, str], ...]


def _make(found: Found, scale: int, folder: Path, say: Callable[[str], None]) -> None:
    """Pack, or index, what was found; of several processes that do so at once, one does it."""
    _remove_abandoned(folder.parent)
    part = folder.with_name(f".{folder.name}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        waiting = partial(say, "Waiting for another process that packs the same photographs")
        with locked(part / ".lock", waiting) as held:
            if (folder / _MANIFEST).is_file():
                return
            shutil.rmtree(folder, ignore_errors=True)
            if not held:
                part = part.with_name(f".{folder.name}.{os.getpid()}.part")
                part.mkdir(exist_ok=True)
            if not (part / _MANIFEST).is_file():
                _fill(found, scale, part, say)
            try:
                part.replace(folder)
            except OSError:
                if not (folder / _MANIFEST).is_file():
                    raise
    except OSError as error:
        raise write_error(folder, error) from error


def _remove_abandoned(packs: Path) -> None:
    """What packings left that never went on. By age: a process of another machine may be alive."""
    for part in packs.glob(".*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


class _Written:
    """The files of a pack under way: all of them grow, and `whole.json` says how far they count."""

    def __init__(self, part: Path, *, pixels: bool) -> None:
        """Goes on after the last whole part in a folder, or begins."""
        self.part = part
        self.photographs: list[Photograph] = []
        self.skipped: list[tuple[str, str]] = []
        self.done = 0
        names = ("listing.jsonl", "thumbnails.bin", *(("high.bin", "low.bin") if pixels else ()))
        lengths = dict.fromkeys(names, 0)
        try:
            whole = validated(_Whole, read_json(part / _WHOLE))
            with (part / names[0]).open("rb") as file:
                lines = file.read(whole.lengths[names[0]]).splitlines()
            for line in lines:
                self._take(from_json(line))
            for name in names:
                lengths[name] = whole.lengths[name]
                if (part / name).stat().st_size < lengths[name]:
                    raise ValueError(f"{name} is too short")
            self.done = whole.done
        except (OSError, ValueError, KeyError, TypeError):
            self.photographs, self.skipped, self.done = [], [], 0
            lengths = dict.fromkeys(names, 0)
        self.files: dict[str, BinaryIO] = {}
        self._stack = ExitStack()
        for name, length in lengths.items():
            (part / name).touch()
            file = self._stack.enter_context((part / name).open("r+b"))
            file.truncate(length)
            file.seek(length)
            self.files[name] = file

    def close(self) -> None:
        """Nothing more is written."""
        self._stack.close()

    def _take(self, entry: Sequence[str | int]) -> None:
        if len(entry) == 2:
            self.skipped.append((str(entry[0]), str(entry[1])))
        else:
            file, sha256, height, width = entry
            self.photographs.append(Photograph(str(file), str(sha256), int(height), int(width)))

    def skip(self, name: str, why: str) -> None:
        """An image that isn't packed."""
        self._list([name, why])

    def add(self, photograph: Photograph, decoded: _Decoded) -> None:
        """An image that is."""
        self._list(list(asdict(photograph).values()))
        self.files["thumbnails.bin"].write(decoded.thumbnail.data)
        if decoded.small is not None:
            self.files["high.bin"].write(decoded.image.data)
            self.files["low.bin"].write(decoded.small.data)

    def _list(self, entry: list[str | int]) -> None:
        self._take(entry)
        self.files["listing.jsonl"].write(json.dumps(entry).encode() + b"\n")

    def keep(self, done: int) -> None:
        """What was written so far is whole: that of so many files."""
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
        lengths = {name: file.tell() for name, file in self.files.items()}
        write_atomic(self.part / _WHOLE, json.dumps({"done": done, "lengths": lengths}))
        self.done = done


_WHOLE = "whole.json"


@dataclass(frozen=True)
class _Whole:
    """What stands in whole.json: files that are through, and the bytes that count of each file."""

    done: int
    lengths: dict[str, int]


def _fill(found: Found, scale: int, part: Path, say: Callable[[str], None]) -> None:
    sources, pixels = found.sources, not found.in_shards
    written = _Written(part, pixels=pixels)
    try:
        what = "Packing" if pixels else "Indexing"
        on = f", going on after {written.done}" if written.done else ""
        say(f"{what} {len(sources)} photographs into {part.parent}{on}")
        if pixels:
            _require_room(sources[written.done :], scale, part)
        line = ProgressLog(len(sources), what, "photograph", say=say)
        line.update(written.done)
        seen = {photograph.sha256: photograph.file for photograph in written.photographs}
        fresh = 0
        left = sources[written.done :]
        decode = partial(_decode, scale=scale, downscaled=pixels)
        with closing(in_order(decode, left)) as results:
            for done, (source, result) in enumerate(
                zip(left, results, strict=True), written.done + 1
            ):
                if isinstance(result, str):
                    written.skip(source.name, result)
                elif source.sha256 in seen:
                    written.skip(source.name, f"the same file as {seen[source.sha256]}")
                else:
                    seen[source.sha256] = source.name
                    height, width = result.image.shape[:2]
                    written.add(Photograph(source.name, source.sha256, height, width), result)
                    fresh += result.image.nbytes
                line.update()
                if fresh >= _PART_BYTES:
                    written.keep(done)
                    fresh = 0
        written.keep(len(sources))
    except KeyboardInterrupt:
        say(
            f"Stopped: {written.done} of {len(sources)} photographs are kept. The same command "
            "goes on from there."
        )
        raise
    finally:
        written.close()
    thumbnails: npt.NDArray[np.float32] = np.zeros((0, THUMBNAIL**2), np.float32)
    if written.photographs:
        bare = np.memmap(part / "thumbnails.bin", np.float32, "r")
        thumbnails = bare.reshape(len(written.photographs), -1)
    np.save(part / "thumbnails.npy", thumbnails)
    manifest = {
        "scale": scale,
        "photographs": [asdict(photograph) for photograph in written.photographs],
        "skipped": [*found.left_out, *written.skipped],
    }
    write_atomic(part / _MANIFEST, json.dumps(manifest, indent=1))
    # and what a kill left of a whole.json
    for path in (
        part / "thumbnails.bin",
        part / "listing.jsonl",
        part / _WHOLE,
        *part.glob(".*.part"),
    ):
        path.unlink()


class _Decoded(NamedTuple):
    """An image (H, W, 3), the same at low resolution unless it isn't packed, its thumbnail."""

    image: UInt8
    small: UInt8 | None
    thumbnail: npt.NDArray[np.float32]


def _decode(source: Source, scale: int, downscaled: bool) -> _Decoded | str:
    """A photograph decoded, or why it can't be trained on."""
    try:
        read = source.read()
        if is_grey(read.pixels):
            return "it is grey"
        image = np.ascontiguousarray(crop_to_multiple(read.pixels, scale))
    except ImageError as error:
        return error.message
    if min(image.shape[:2]) < 4 * scale:
        return f"it has only {image.shape[1]}x{image.shape[0]} pixels"
    small = np.ascontiguousarray(downscale(image, scale)) if downscaled else None
    return _Decoded(image, small, fingerprint(source.name, "", image).thumbnail)


def _put_back(source: Source) -> str:
    again = option("--resume", "resume=True")
    return f"Put {source.path} back as it was, then go on with {again}."


def _require_room(sources: Sequence[Source], scale: int, part: Path) -> None:
    """Raises DataError where a pack of these files, by their headers, has no room on its disk."""
    pixels = sum(in_order(_pixels, sources))
    needed = 3 * pixels * (1 + 1 / scale**2) + 4 * THUMBNAIL**2 * len(sources)
    free = shutil.disk_usage(part).free
    if needed > free:
        raise DataError(
            f"The pack of {len(sources)} photographs takes {byte_size(needed)}, and "
            f"{part.parent} has {byte_size(free)} left.",
            "Name a folder on a larger disk in the variable SREVAL_CACHE, or put the photographs "
            "into .tar files, which are read as they are.",
        )


def _pixels(source: Source) -> int:
    """What an image's header says of its size; 0 of what Pillow can't read, or of a grey one."""
    try:
        with Image.open(source.path) as image:
            return 0 if image.mode in ("1", "L", "LA", "I;16") else image.width * image.height
    except Exception:  # a damaged file makes decoders raise anything; it will be skipped
        return 0


def is_grey(image: UInt8) -> bool:
    """Whether an image (H, W[, 3]) holds no colour."""
    return image.ndim == 2 or not bool((image != image[..., :1]).any())


def megapixels(millions: float) -> str:
    """How many pixels there are, in words: whole megapixels from 10 on, else two digits."""
    return f"{millions:.0f} megapixels" if millions >= 10 else f"{millions:.2g} megapixels"
