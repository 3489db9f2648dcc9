"""Freezing: the stimuli of a study become files that never change, with a manifest of hashes.

No PNG file tells its version of an image from the others but by its pixels. All versions have the
same header, the same chunks in the same order and the same length; what differs in length is hidden
by a last chunk of padding (PNG, third edition, 5.3 and 5.4). Whoever takes a file apart learns how
well the pixels compress, which they learn from the pixels too.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval.benchmarking.provenance import code_version
from sreval.errors import DataError, listed, option
from sreval.files import sha256_bytes, sha256_file, write_atomic
from sreval.images.io import encode_png
from sreval.study.design import StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.manifest import MANIFEST, STIMULI, Key, Manifest, Stimulus
from sreval.study.sources import Sources

UInt8 = npt.NDArray[np.uint8]

PADDING = b"paDD"
"""Ancillary, private, and not to be copied by a program that changes the image."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NAMED = 3
"""How many images of a list are named; the rest are counted."""


def freeze(
    folder: Path,
    design: StudyDesign,
    results: Sequence[Path],
    *,
    stand_ins: bool = False,
    again: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Manifest:
    """Write STUDY/stimuli/SHA256.png for all that the design shows, then STUDY/manifest.json.

    Versions come from the benchmark's ``results`` folders as they were scored; nearest, bicubic,
    lanczos and hr are made from the data set where the results lack them; with ``stand_ins``
    degradations of the original replace whatever else is missing. ``progress`` is
    told how many versions of how many are done. A freeze that is killed leaves the manifest that
    was there, or none; files of earlier freezes stay, as raters may be looking at them.

    Raises DataError for a study that is frozen already (unless ``again``), for versions that are
    missing, for files other than those scored and for other sizes than the original's;
    UsageError for a design that its data sets can't fill, or that lacks texts.
    """
    design.require_texts()
    if (folder / MANIFEST).exists() and not again:
        raise DataError(
            f"{folder} is frozen already.",
            f"Add {option('--again', 'again=True')} to replace its stimuli; that is refused once a "
            "rater has begun.",
        )
    sources = Sources(design, results, stand_ins)
    stimuli = StimulusSet.of(design, sources.scenes)
    for unmet in (*stimuli.unmet, *sources.unmet(stimuli.shown)):
        raise unmet.error()
    missing = sources.missing(stimuli.shown)
    if missing:
        raise _missing(missing, stimuli.shown, sources.stand_ins_would_do(missing))
    written = _write_all(folder / STIMULI, sources, stimuli.shown, progress)
    # What a rated image lacks may be a warm-up item. One order serves all.
    order = {key: number for number, key in enumerate(stimuli.shown)}
    manifest = Manifest(tuple(sorted(written, key=lambda s: order[s.key])), code_version())
    write_atomic(folder / MANIFEST, manifest.as_json())
    return manifest


def _write_all(
    folder: Path,
    sources: Sources,
    keys: Sequence[Key],
    progress: Callable[[int, int], object],
) -> list[Stimulus]:
    methods: dict[tuple[str, str], list[str]] = {}
    for dataset, image, method in keys:
        methods.setdefault((dataset, image), []).append(method)
    scenes = sources.scenes
    stimuli: list[Stimulus] = []
    with ThreadPoolExecutor(_cores()) as pool:
        jobs = [
            pool.submit(_write, folder, sources, *where, scenes[where[0]][where[1]], wanted)
            for where, wanted in methods.items()
        ]
        try:
            for job in as_completed(jobs):
                stimuli += job.result()
                progress(len(stimuli), len(keys))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return stimuli


def _write(
    folder: Path, sources: Sources, dataset: str, image: str, scene: str, methods: Iterable[str]
) -> list[Stimulus]:
    """All versions of one image; they are encoded together, to be of one length."""
    versions = sources.versions(dataset, image, methods)
    files = encode_versions([version.pixels for version in versions.values()])
    stimuli = []
    for (method, version), data in zip(versions.items(), files, strict=True):
        sha256 = sha256_bytes(data)
        path = folder / f"{sha256}.png"
        if not path.is_file() or sha256_file(path) != sha256:
            write_atomic(path, data)
        height, width = version.pixels.shape[:2]
        stimuli.append(
            Stimulus(
                dataset,
                image,
                scene,
                method,
                sha256,
                version.image_sha256,
                width,
                height,
                version.stand_in,
            )
        )
    return stimuli


def _missing(missing: Sequence[Key], wanted: Sequence[Key], stand_ins: bool) -> DataError:
    """The error that lists what is missing: data sets by method, images where some are there.

    ``stand_ins``: they could be replaced by such.
    """
    asked = Counter((method, dataset) for dataset, _, method in wanted)
    images: dict[tuple[str, str], list[str]] = {}
    for dataset, image, method in missing:
        images.setdefault((method, dataset), []).append(image)
    lists: dict[str, list[str]] = {}
    for (method, dataset), names in images.items():
        some = f" ({listed(names, _NAMED)})"
        whole = len(names) == asked[method, dataset]
        lists.setdefault(method, []).append(dataset if whole else dataset + some)
    told = [f"{method} on {', '.join(sets)}" for method, sets in lists.items()]
    remedy = (
        "Benchmark those methods on those data sets and name the folder with "
        f"{option('--results')}."
    )
    if stand_ins:
        remedy += (
            " To try the study without them, replace them by degraded originals with "
            f"{option('--stand-ins', 'stand_ins=True')}."
        )
    return DataError(f"{len(missing)} versions are missing: {'; '.join(told)}.", remedy)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode_versions(versions: Sequence[UInt8]) -> list[bytes]:
    """Versions of one image, uint8 of one shape (H, W, 3), as PNG files of the same length.

    Each holds IHDR, one IDAT, the padding and IEND. The padding is made from the pixels, so that
    the same pixels in the same company give the same file, and nothing on the way compresses it.
    """
    compressed = [_compressed(version) for version in versions]
    longest = max(len(data) for _, data in compressed)
    return [
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", data)
        + _chunk(PADDING, hashlib.shake_256(data).digest(longest - len(data)))
        + _chunk(b"IEND", b"")
        for header, data in compressed
    ]


def _compressed(image: UInt8) -> tuple[bytes, bytes]:
    """The header and the compressed pixels, which the encoder spreads over many chunks."""
    chunks = list(_chunks(encode_png(image)))
    header = next(body for kind, body in chunks if kind == b"IHDR")
    return header, b"".join(body for kind, body in chunks if kind == b"IDAT")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
