"""Test images must not be trained on: found by hash, and by how alike small copies are.

A thumbnail is the image's grey, averaged over a 32x32 grid, with mean 0 and length 1; the dot
product of two is their correlation. A copy in another size or quality stays above 0.98 (0.985 is
the least measured), turned and mirrored ones are looked for too; the most alike of 125,000 pairs of
different photographs, each turned and mirrored in all ways, reach 0.936.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sreval.errors import DataError
from sreval.files import sha256_file
from sreval.images.datasets import KNOWN, KnownFile, known_files, locate, open_dataset
from sreval.images.io import read_image

THUMBNAIL = 32
ALIKE = 0.96
EVALUATION_SETS = tuple(k for k in KNOWN if k not in ("demo", "BSDS300-train"))


@dataclass(frozen=True)
class Fingerprint:
    """An image's name, the SHA-256 of its file, and its thumbnail, flat."""

    name: str
    sha256: str
    thumbnail: npt.NDArray[np.float32]


def fingerprint(name: str, sha256: str, image: npt.NDArray[np.uint8]) -> Fingerprint:
    """The fingerprint of an image (H, W[, 3])."""
    grey = image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    for axis in (0, 1):
        edges = np.linspace(0, grey.shape[axis], THUMBNAIL + 1).astype(int)[:-1]
        counts = np.diff([*edges, grey.shape[axis]])
        sums = np.add.reduceat(grey, edges, axis=axis)
        grey = sums / np.maximum(counts, 1).reshape((-1, 1) if axis == 0 else (1, -1))
    flat = (grey - grey.mean()).ravel()
    return Fingerprint(name, sha256, (flat / max(np.linalg.norm(flat), 1e-9)).astype(np.float32))


def evaluation_fingerprints() -> tuple[list[Fingerprint], list[str]]:
    """Fingerprints of all evaluation sets at hand, and the names of the sets that are not.

    The originals of any one scale do, whatever is trained for: thumbnails know no scale.
    """
    prints, absent = [], []
    for name in EVALUATION_SETS:
        scale = next((s for s in reversed(KNOWN[name].scales) if locate(name, s)), None)
        if scale is None:
            absent.append(name)
            continue
        for item in open_dataset(name, scale).items:
            label = f"{name}/{item.image} ({item.name})"
            prints.append(fingerprint(label, sha256_file(item.hr), read_image(item.hr)))
    return prints, absent


def refuse_leaks(photographs: Sequence[Fingerprint], tests: Sequence[Fingerprint]) -> None:
    """Raises DataError naming the pairs where a photograph is, or shows, a test image."""
    hashes = {known.sha256: f"{set_}/{known.path}" for set_, known in _known_hashes()}
    hashes |= {test.sha256: test.name for test in tests}
    pairs = [(p.name, hashes[p.sha256], "same file") for p in photographs if p.sha256 in hashes]
    if photographs and tests:
        ours = np.stack([p.thumbnail for p in photographs])
        squares = np.stack([t.thumbnail for t in tests]).reshape(-1, THUMBNAIL, THUMBNAIL)
        both = squares, squares.swapaxes(1, 2)
        seen = [np.rot90(each, turn, (1, 2)) for each in both for turn in range(4)]
        alike = np.max([ours @ square.reshape(len(tests), -1).T for square in seen], axis=0)
        pairs += [
            (photographs[i].name, tests[j].name, f"correlation {alike[i, j]:.3f}")
            for i, j in zip(*np.nonzero(alike > ALIKE), strict=True)
        ]
    if pairs:
        listed = "; ".join(f"{name} is {test} ({how})" for name, test, how in pairs[:10])
        more = f" and {len(pairs) - 10} more" if len(pairs) > 10 else ""
        raise DataError(
            f"Test images among the training data: {listed}{more}.",
            "Remove them from the folders given with --data.",
        )


def _known_hashes() -> list[tuple[str, KnownFile]]:
    return [(name, known) for name in EVALUATION_SETS for known in known_files(name)]
