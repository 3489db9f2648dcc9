"""Photographs packed for training: decoded once, then read from one file.

A pack holds every image one after the other as raw uint8 RGB, at high resolution and as the
exact bicubic of images/ makes it at low resolution from the whole image. It lies in the cache
folder under a key made from the files' names and contents, so that a second run, which only hashes
them, opens it at once; the manifest's hash is made from the contents alone.
"""

from __future__ import annotations

import json
import mmap
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval import content
from sreval.config import validated
from sreval.errors import DataError, ImageError, option
from sreval.files import atomic_folder, sha256_bytes, sha256_or_empty, write_atomic
from sreval.images.folders import ImageFolder
from sreval.images.io import read_image
from sreval.images.resize import crop_to_multiple, downscale
from sreval.reading import read_json
from sreval.training.leaks import Fingerprint, fingerprint

UInt8 = npt.NDArray[np.uint8]

_LAYOUT = 1
_AT_ONCE = 32
_ABANDONED_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Photograph:
    """One packed image: its file, the file's SHA-256 and the packed size, a multiple of scale."""

    file: str
    sha256: str
    height: int
    width: int


@dataclass(frozen=True)
class Pack:
    """A pack on disk. `high` and `low` are (pixels, 3), images in the order of `photographs`."""

    folder: Path
    scale: int
    photographs: tuple[Photograph, ...]
    skipped: tuple[tuple[str, str], ...]
    thumbnails: npt.NDArray[np.float32]

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest: the scale, and the files' hashes in order."""
        content = [self.scale, *(photograph.sha256 for photograph in self.photographs)]
        return sha256_bytes(json.dumps(content).encode())

    @property
    def pixels(self) -> int:
        """High-resolution pixels of all images."""
        return sum(p.height * p.width for p in self.photographs)

    @cached_property
    def high(self) -> UInt8:
        """Pixels at high resolution, mapped for reading."""
        return np.memmap(self.folder / "high.bin", np.uint8, "r").reshape(-1, 3)

    @cached_property
    def low(self) -> UInt8:
        """Pixels at low resolution, mapped for reading."""
        return np.memmap(self.folder / "low.bin", np.uint8, "r").reshape(-1, 3)

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """Where each image begins in `high`, in pixels."""
        sizes = [p.height * p.width for p in self.photographs]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)[:-1]])

    def image(self, place: int) -> UInt8:
        """The image (H, W, 3) at a place of `photographs`, at high resolution, for reading."""
        start, photograph = int(self._starts[place]), self.photographs[place]
        height, width = photograph.height, photograph.width
        return self.high[start : start + height * width].reshape(height, width, 3)

    def small(self, place: int) -> UInt8:
        """The exact bicubic (h, w, 3) of an image at low resolution, for reading."""
        start, photograph = int(self._starts[place]) // self.scale**2, self.photographs[place]
        height, width = photograph.height // self.scale, photograph.width // self.scale
        return self.low[start : start + height * width].reshape(height, width, 3)

    def release(self) -> None:
        """Hold no pages of the maps any more; what is read again comes from the system's cache."""
        for pixels in (self.high, self.low):
            if isinstance(pixels, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
                pixels._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def fingerprints(self) -> list[Fingerprint]:
        """What the leak check compares, image by image."""
        return [
            Fingerprint(p.file, p.sha256, self.thumbnails[place], partial(self.image, place))
            for place, p in enumerate(self.photographs)
        ]


def open_pack(
    folders: Sequence[Path], scale: int, say: Callable[[str], None] = lambda _: None
) -> Pack:
    """The pack of all photographs in some folders (searched deeply), made when there is none.

    Grey, unreadable and tiny images, and those of kinds that aren't read, are skipped, and named in
    `skipped`. Raises ImageError when a folder is missing or holds no image, DataError when none of
    them is usable or the cache can't be written.
    """
    files, others = _photographs_in(folders)
    listing = [(file.name, sha256) for file, sha256 in files.items()]
    key = sha256_bytes(json.dumps([_LAYOUT, scale, listing, others]).encode())[:16]
    folder = content.cache_dir() / "packs" / key
    if not (folder / "manifest.json").is_file():
        say(f"Packing {len(files)} photographs into {folder}")
        try:
            _write_pack(files, others, scale, folder, say)
        except DataError:
            # of several that pack the same photographs at once, the first stands for all
            if not (folder / "manifest.json").is_file():
                raise
    pack = _read_manifest(folder)
    if not pack.photographs:
        reasons = "; ".join(f"{name}: {why}" for name, why in pack.skipped[:3])
        raise DataError(
            f"None of the {len(files)} images in {_named(folders)} can be trained on ({reasons}).",
            f"Give a folder of colour photographs with {option('--data')}.",
        )
    return pack


def _photographs_in(folders: Sequence[Path]) -> tuple[dict[Path, str], list[str]]:
    """The images of all folders and their SHA-256, folder by folder, each once, in an order that a
    move keeps; and the names of images of other kinds. A file that can't be read has "".
    """
    files: dict[Path, None] = {}
    others: list[str] = []
    for folder in folders:
        found = ImageFolder(folder.resolve(), deep=True)
        files |= dict.fromkeys(found.images())
        others += found.left_out()
    with _threads() as pool:
        return dict(zip(files, pool.map(sha256_or_empty, files), strict=True)), others


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=min(16, os.cpu_count() or 1))


def _write_pack(
    files: Mapping[Path, str],
    others: Sequence[str],
    scale: int,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    _remove_abandoned(folder.parent)
    if not (folder / "manifest.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
    photographs, thumbnails = [], []
    skipped = [(name, "images of its kind are not read") for name in others]
    seen: dict[str, str] = {}
    with (
        atomic_folder(folder) as part,
        (part / "high.bin").open("wb") as high,
        (part / "low.bin").open("wb") as low,
    ):
        for done, result in enumerate(_decoded(files, scale), 1):
            photograph, pixels, small, why = result
            if photograph.sha256 in seen:
                why = f"the same file as {seen[photograph.sha256]}"
            if why or pixels is None or small is None:
                skipped.append((photograph.file, why))
                continue
            seen[photograph.sha256] = photograph.file
            photographs.append(photograph)
            thumbnails.append(fingerprint(photograph.file, "", pixels).thumbnail)
            high.write(pixels.tobytes())
            low.write(small.tobytes())
            if done % 100 == 0:
                say(f"  {done} of {len(files)}")
        np.save(part / "thumbnails.npy", np.array(thumbnails, np.float32))
        manifest = {
            "scale": scale,
            "photographs": [asdict(photograph) for photograph in photographs],
            "skipped": skipped,
        }
        write_atomic(part / "manifest.json", json.dumps(manifest, indent=1))


def _remove_abandoned(packs: Path) -> None:
    """What a packing left that was killed. By age: a process of another machine may be alive."""
    for part in packs.glob(".*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(part, ignore_errors=True)


_Decoded = tuple[Photograph, UInt8 | None, UInt8 | None, str]


def _decoded(files: Mapping[Path, str], scale: int) -> Iterator[_Decoded]:
    """Each file decoded and downscaled, in order; a few are held at once."""
    listed = list(files.items())
    with _threads() as pool:
        for first in range(0, len(listed), _AT_ONCE):
            group, hashes = zip(*listed[first : first + _AT_ONCE], strict=True)
            yield from pool.map(_decode, group, hashes, [scale] * len(group))


def _decode(file: Path, sha256: str, scale: int) -> _Decoded:
    unknown = Photograph(file.name, "", 0, 0)
    try:
        read = read_image(file)
    except ImageError as error:
        return unknown, None, None, error.message
    if read.sha256 != sha256:
        raise DataError(f"{file} changed while it was packed.", "Run the same command again.")
    image = read.pixels
    if is_grey(image):
        return unknown, None, None, "it is grey"
    image = np.ascontiguousarray(crop_to_multiple(image, scale))
    if min(image.shape[:2]) < 4 * scale:
        return unknown, None, None, f"it has only {image.shape[1]}x{image.shape[0]} pixels"
    photograph = Photograph(file.name, sha256, *image.shape[:2])
    return photograph, image, downscale(image, scale), ""


def is_grey(image: UInt8) -> bool:
    """Whether an image (H, W[, 3]) holds no colour."""
    return image.ndim == 2 or not bool((image != image[..., :1]).any())


def _read_manifest(folder: Path) -> Pack:
    try:
        manifest = validated(_Manifest, read_json(folder / "manifest.json"))
        thumbnails = np.load(folder / "thumbnails.npy")
        pixels = sum(p.height * p.width for p in manifest.photographs)
        lengths = {"high.bin": 3 * pixels, "low.bin": 3 * pixels // manifest.scale**2}
        for name, length in lengths.items():
            if (folder / name).stat().st_size != length:
                raise ValueError(f"{name} has another length than the manifest says")
    except (OSError, EOFError, ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"The pack {folder} is damaged ({error}).",
            "Remove the folder. The next run makes it again.",
        ) from error
    return Pack(folder, manifest.scale, manifest.photographs, manifest.skipped, thumbnails)


@dataclass(frozen=True)
class _Manifest:
    """What stands in a pack's manifest.json."""

    scale: int
    photographs: tuple[Photograph, ...]
    skipped: tuple[tuple[str, str], ...]


def _named(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)


def megapixels(millions: float) -> str:
    """How many pixels there are, in words: whole megapixels from 10 on, else two digits."""
    return f"{millions:.0f} megapixels" if millions >= 10 else f"{millions:.2g} megapixels"
