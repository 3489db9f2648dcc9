"""Test images must not be trained on: found by hash, and by how alike small copies are.

A thumbnail is the image's grey, averaged over a 32x32 grid, with mean 0 and length 1; the dot
product of two is their correlation. A copy in another size or quality stays above 0.98 (0.985 is
the least measured), turned and mirrored ones are looked for too; the most alike of 125,000 pairs of
different photographs, each turned and mirrored in all ways, reach 0.936.

Two views of sky and sea can be more alike than that, for a thumbnail shows little else than where
it is light. So what is alike is looked at again: a 64x64 grid less its own blur, where only detail
is left. Copies at a fifth of the size and JPEG quality 10 still have 0.62 of it, those cut by 3 %
at an edge 0.72; the 25 pairs of different photographs with the most alike thumbnails 0.16 at most.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy

from sreval.errors import DataError, UsageError, option
from sreval.images.datasets import open_dataset
from sreval.images.io import read_image
from sreval.images.known import KNOWN, UNVERIFIED, PublicSet

THUMBNAIL = 32
ALIKE = 0.96
_CLOSER, _BLUR, _BLOCKS, _ALIKE_CLOSER = 64, 2, 4, 0.5
_AT_ONCE = 2048
"""Thumbnails are compared so many at once: those of 350,000 photographs take 1.4 GB."""


UInt8 = npt.NDArray[np.uint8]
Grid = npt.NDArray[np.float64]
_Number = TypeVar("_Number", np.float32, np.float64)


@dataclass(frozen=True)
class Fingerprint:
    """An image's name, the SHA-256 of its file, its thumbnail, flat, and how to get the image."""

    name: str
    sha256: str
    thumbnail: npt.NDArray[np.float32]
    image: Callable[[], UInt8]


def fingerprint(
    name: str, sha256: str, image: UInt8, again: Callable[[], UInt8] | None = None
) -> Fingerprint:
    """The fingerprint of an image (H, W[, 3]); with ``again``, which reads it, it isn't held."""
    flat = _unit(_grid(image, THUMBNAIL)).ravel()
    return Fingerprint(name, sha256, flat.astype(np.float32), again or (lambda: image))


def _grid(image: UInt8, side: int) -> Grid:
    """The grey of an image (H, W[, 3]), averaged over a grid of side x side cells."""
    grey = image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    for axis in (0, 1):
        edges = np.linspace(0, grey.shape[axis], side + 1).astype(int)[:-1]
        counts = np.diff([*edges, grey.shape[axis]])
        sums = np.add.reduceat(grey, edges, axis=axis)
        grey = sums / np.maximum(counts, 1).reshape((-1, 1) if axis == 0 else (1, -1))
    return grey


def _unit(grid: Grid) -> Grid:
    """With mean 0 and length 1, so that the sum of the product of two is their correlation."""
    centred: Grid = grid - grid.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-9)


def _closer_look(first: UInt8, second: UInt8) -> float:
    """How far the detail of one image is that of another in any position: 1 for a copy."""
    side = min(_CLOSER, *first.shape[:2], *second.shape[:2]) // _BLOCKS * _BLOCKS
    ours, theirs = (
        grid - scipy.ndimage.gaussian_filter(grid, _BLUR)
        for grid in (_grid(image, side) for image in (first, second))
    )
    return max(_found_again(ours, view) for view in _views(theirs))


def _found_again(ours: Grid, theirs: Grid) -> float:
    """The mean correlation of the blocks of a square with those of another, up to a cell away.

    That much a block moves where an edge was cut off. Blocks that hold more count for more.
    """
    size = len(ours) // _BLOCKS
    near = np.lib.stride_tricks.sliding_window_view(np.pad(theirs, 1), (size, size))
    found, weights = 0.0, 1e-9
    for top, left in itertools.product(range(0, len(ours), size), repeat=2):
        block = ours[top : top + size, left : left + size]
        others = near[top : top + 3, left : left + 3]
        weight = float(np.linalg.norm(block))
        lengths = np.maximum(np.linalg.norm(others, axis=(2, 3)), 1e-9)
        found += float(((others * block).sum(axis=(2, 3)) / lengths).max())
        weights += weight
    return found / weights


def evaluation_fingerprints() -> tuple[list[Fingerprint], dict[str, str]]:
    """Fingerprints of all evaluation sets on this machine; and the other sets, with the reason.

    The originals of any scale will do, as thumbnails have no scale. The reason is "" for a set
    without any files. Of a set without checksums whatever lies here is taken, whole or not.
    """
    prints: list[Fingerprint] = []
    absent: dict[str, str] = {}
    for known in _evaluation_sets():
        name = known.name
        scale = next((s for s in reversed(known.scales) if known.locate(s)), None)
        if scale is None:
            parts = (copy for s in known.scales for copy in known.copies(s))
            absent[name] = next((f"incomplete: {copy.faults()[0]}" for copy in parts), "")
            continue
        prints += [
            _fingerprint_of(item.file, f"{name}/{item.image} ({item.name})")
            for item in open_dataset(name, scale).items
        ]
    for name, unverified in UNVERIFIED.items():
        originals = unverified.originals()
        prints += [_fingerprint_of(path, f"{name}/{path.stem}") for path in originals]
        if not originals:
            absent[name] = ""
    return prints, absent


def _fingerprint_of(path: Path, label: str) -> Fingerprint:
    image = read_image(path)
    return fingerprint(label, image.sha256, image.pixels, partial(_pixels, path))


def _pixels(path: Path) -> UInt8:
    return read_image(path).pixels


def refuse_leaks(
    photographs: Sequence[Fingerprint],
    tests: Sequence[Fingerprint],
    different: Collection[str] = (),
) -> list[str]:
    """Raises DataError naming the pairs where a photograph is, or shows, a test image.

    Photographs named in ``different`` show something else, as their owner says, and may look alike;
    the pairs that only this lets pass are returned. UsageError for a name that no photograph has.
    """
    names = {photograph.name for photograph in photographs}
    for name in different:
        if name not in names:
            raise UsageError(
                f"No photograph to train on is called {name!r}.",
                f"Give {option('--different')} the file name that the message shows.",
            )
    hashes = {f.sha256: f"{s.name}/{f.path}" for s in _evaluation_sets() for f in s.all_files}
    hashes |= {test.sha256: test.name for test in tests}
    same = [
        f"{p.name} is {hashes[p.sha256]} (same file)" for p in photographs if p.sha256 in hashes
    ]
    alike: list[str] = []
    told_apart: list[str] = []
    appeal = ""
    for photograph, test, correlation in _alike(photographs, tests):
        if photograph.sha256 in hashes:
            continue
        pair = f"{photograph.name} is {test.name} (correlation {correlation:.3f})"
        if photograph.name in different:
            told_apart.append(pair)
        else:
            alike.append(pair)
            name = photograph.name
            flag = option(f"--different {shlex.quote(name)}", f"different=[{name!r}]")
            appeal = f". For one that only looks like a test image, add {flag}"
    pairs = [*same, *alike]
    if pairs:
        more = f" and {len(pairs) - 10} more" if len(pairs) > 10 else ""
        raise DataError(
            f"Test images among the training data: {'; '.join(pairs[:10])}{more}.",
            f"Remove them from the folders given with {option('--data')}{appeal}.",
        )
    return told_apart


def _alike(
    photographs: Sequence[Fingerprint], tests: Sequence[Fingerprint]
) -> Iterator[tuple[Fingerprint, Fingerprint, float]]:
    """The pairs that are alike turned or mirrored in any way, at a second look too."""
    if not photographs or not tests:
        return
    squares = np.stack([t.thumbnail for t in tests]).reshape(-1, THUMBNAIL, THUMBNAIL)
    views = [view.reshape(len(tests), -1).T for view in _views(squares)]
    for first in range(0, len(photographs), _AT_ONCE):
        some = photographs[first : first + _AT_ONCE]
        ours = np.stack([p.thumbnail for p in some])
        alike = np.max([ours @ view for view in views], axis=0)
        for i, j in zip(*np.nonzero(alike > ALIKE), strict=True):
            if _closer_look(some[i].image(), tests[j].image()) > _ALIKE_CLOSER:
                yield some[i], tests[j], float(alike[i, j])


def _views(squares: npt.NDArray[_Number]) -> Iterator[npt.NDArray[_Number]]:
    """Squares (..., N, N) in their eight positions: mirrored or not, turned up to three times."""
    for view in (squares, squares.swapaxes(-1, -2)):
        for turns in range(4):
            yield np.rot90(view, turns, (-2, -1))


def _evaluation_sets() -> list[PublicSet]:
    return [known for known in KNOWN.values() if known.evaluates]
