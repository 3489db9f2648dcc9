"""Photographs by the hundred thousand: how fast they are packed, indexed, opened, read and drawn.

From one folder of photographs: what a pack and shards of it cost, what opening them again does, and
what follows for the 350,000 images of the SRGAN paper. Then updates from a pack and from shards, a
process each, in turn, with the memory of both. Writes shards.md and shards.json; exits with 1 where
shards are more than a tenth slower than the pack, or take more memory than it.

Example: python -m benchmarks.shards --data photographs --files 2000 --updates 5 --out build/bench
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import re
import shutil
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.limits import beside, decode_seconds, distances, sha256_rate
from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.files import sha256_bytes
from sreval.training.leaks import THUMBNAIL, fingerprint, refuse_leaks
from sreval.training.learner import Learner
from sreval.training.packs import open_pack, read_pack
from sreval.training.recipe import Recipe, load_recipe, parse_changes
from sreval.training.sampler import Sampler
from sreval.training.sources import find_photographs, in_order

PAPER, PAPER_PIXELS, PAPER_BYTES = 350_000, 469 * 387, 108_000
"""The paper's images, and ImageNet's mean of pixels and of bytes a file."""
_TESTS = 500
_CORES = 2
_SHARD_FILES = 200
GOAL = 0.9
TITLE = "Photographs in packs and in shards"
_HOUR = 3600.0

NETWORKS: dict[str, dict[str, object]] = {
    "srresnet-mse": {},
    "the same, 1 block of 8 channels": {"network.depth": 1, "network.channels": 8},
}


def main() -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument(
        "--files", type=int, default=50_000, help="small files to be looked through"
    )
    parser.add_argument("--updates", type=int, default=20, help="a round, of three, for each side")
    parser.add_argument("--set", action="append", default=[], help="a change for shards alone")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    out, data = given.out.resolve(), given.data.resolve()
    content: dict[str, Any] = {**provenance(), "changes": given.set, "cores": _CORES}
    with tempfile.TemporaryDirectory() as folder, cores(_CORES):
        os.environ["SREVAL_CACHE"] = str(Path(folder, "cache"))
        content |= reading(data, Path(folder), given.files)
        content |= manifest(Path(folder, "large"))
        content["updates"] = []
        for name in NETWORKS:
            # each time, for a machine that is taken away
            write_results(out, "shards", content, TITLE, lines(content))
            shards = Path(folder, "shards")
            content["updates"].append(training(name, data, shards, given.updates, given.set))
    write_results(out, "shards", content, TITLE, lines(content))
    print(out / "shards.md")
    return 0 if all(map(reached, content["updates"])) else 1


class Spent(NamedTuple):
    """Seconds of some work: by the clock, and of all cores, whatever else the machine does."""

    clock: float
    cores: float


def timed(what: str, work: Callable[[], Any]) -> tuple[Spent, Any]:
    """What some work took, and its result."""
    progress(what)
    start = time.perf_counter(), time.process_time()
    result = work()
    return Spent(time.perf_counter() - start[0], time.process_time() - start[1]), result


def reading(data: Path, folder: Path, files: int) -> dict[str, Any]:
    """Seconds to hash, pack, index, open again and decode the photographs of a folder."""
    hashing, found = timed("Hashing", lambda: find_photographs([data]))
    sizes = {source.path: source.path.stat().st_size for source in found.sources}
    packing, pack = timed("Packing", lambda: open_pack([data], 4))
    shards = folder / "shards"
    write_shards(list(sizes), shards)
    time.sleep(2.5)  # until then a hash isn't remembered
    listing, _ = timed("Looking through shards", lambda: find_photographs([shards]))
    indexing, shard_pack = timed("Indexing", lambda: open_pack([shards], 4))
    assert shard_pack.sha256 == pack.sha256
    again, _ = timed("Opening shards again", lambda: open_pack([shards], 4))

    def decode(place: int) -> None:
        shard_pack.image(place)
        shard_pack.small(place)

    decoding, _ = timed("Decoding", lambda: list(in_order(decode, range(len(pack.photographs)))))
    small = folder / "small"
    small.mkdir()
    for number in range(files):
        (small / f"{number:06}.png").write_text(str(number))
    time.sleep(2.5)
    first, _ = timed(f"Hashing {files} small files", lambda: find_photographs([small]))
    second, _ = timed("Looking at them again", lambda: find_photographs([small]))
    return {
        "photographs": len(pack.photographs),
        "kinds": sorted({path.suffix for path in sizes}),
        "megapixels": pack.pixels / 1e6,
        "megabytes": sum(sizes.values()) / 1e6,
        "pack_megabytes": sum(p.stat().st_size for p in pack.folder.iterdir()) / 1e6,
        "index_megabytes": sum(p.stat().st_size for p in shard_pack.folder.iterdir()) / 1e6,
        "seconds": {
            "hashing": hashing,
            "packing": packing,
            "listing": listing,
            "indexing": indexing,
            "again": again,
            "decoding": decoding,
        },
        "read_seconds": decode_seconds(tuple(sizes)),
        "files": files,
        "files_first": first,
        "files_again": second,
    }


def write_shards(files: list[Path], folder: Path) -> None:
    """The files in tar shards, as they are."""
    folder.mkdir()
    for first in range(0, len(files), _SHARD_FILES):
        with tarfile.open(folder / f"shard-{first // _SHARD_FILES:06}.tar", "w") as tar:
            for file in files[first : first + _SHARD_FILES]:
                tar.add(file, file.name)


def manifest(folder: Path) -> dict[str, Any]:
    """Seconds to open a pack of as many photographs as the paper's, and to look for test images."""
    folder.mkdir()
    height, width = 388, 472
    photographs = [
        {
            "file": f"n{n:08}.JPEG",
            "sha256": sha256_bytes(str(n).encode()),
            "height": height,
            "width": width,
        }
        for n in range(PAPER)
    ]
    for name, length in (("high.bin", 3), ("low.bin", 3 / 16)):
        with (folder / name).open("wb") as file:
            file.truncate(int(PAPER * height * width * length))
    held = np.lib.format.open_memmap(
        folder / "thumbnails.npy", "w+", np.float32, (PAPER, THUMBNAIL**2)
    )
    random = np.random.default_rng(0)
    for first in range(0, PAPER, 10_000):
        rows = random.standard_normal((10_000, THUMBNAIL**2), np.float32)
        held[first : first + 10_000] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    held.flush()
    text = json.dumps({"scale": 4, "photographs": photographs, "skipped": []}, indent=1)
    (folder / "manifest.json").write_text(text)
    del photographs, text, held
    before = resident("VmRSS")
    opening, pack = timed("Opening a pack of 350,000", lambda: read_pack(folder))
    noise = [random.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(_TESTS)]
    tests = [fingerprint(f"test {n}", str(n), image) for n, image in enumerate(noise)]
    leaks, _ = timed("Looking for test images", lambda: refuse_leaks(pack.fingerprints(), tests))
    sampling, _ = timed("Making a sampler", lambda: sampler_of(recipe_of({}), pack))
    shutil.rmtree(folder)
    return {
        "large": {
            "opening": opening,
            "leaks": leaks,
            "sampler": sampling,
            "tests": _TESTS,
            "anonymous_megabytes": resident("RssAnon"),
            "before_megabytes": before,
        }
    }


def resident(field: str) -> float:
    """A field of this process's memory, in megabytes: VmHWM, RssAnon and others."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def recipe_of(changes: Mapping[str, object]) -> Recipe:
    """srresnet-mse with the paper's crop and batch, changed."""
    return load_recipe("srresnet-mse", "paper", dict(changes))


def sampler_of(recipe: Recipe, pack: Any) -> Sampler:
    """A sampler on the CPU."""
    return Sampler(pack, recipe.data, recipe.network, torch.device("cpu"), 1)


def training(
    name: str, data: Path, shards: Path, updates: int, changes: list[str]
) -> dict[str, Any]:
    """Updates per second from a pack and from shards, in turn, and the peak of their memory."""
    network = NETWORKS[name]
    sides = {"pack": (data, {}), "shards": (shards, parse_changes(changes))}
    with ExitStack() as stack:
        pipes = {}
        for side, (folder, own) in sides.items():
            progress(f"{name} from {side}")
            ours, theirs = multiprocessing.Pipe()
            context = multiprocessing.get_context("spawn")
            process = context.Process(
                target=serve, args=(theirs, folder, {**network, **own}, updates)
            )
            process.start()
            stack.callback(process.join)
            stack.callback(ours.send, None)
            ours.recv()
            pipes[side] = ours
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        memory: dict[str, dict[str, float]] = {}
        for _ in range(3):
            for side, pipe in pipes.items():
                pipe.send("go")
                spent, memory[side] = pipe.recv()
                seconds[side].append(spent)
    rates = {side: updates / statistics.median(spent) for side, spent in seconds.items()}
    pairs = zip(seconds["pack"], seconds["shards"], strict=True)
    ratio = statistics.median(pack / own for pack, own in pairs)
    return {"network": name, "rates": rates, "ratio": ratio, "memory": memory}


def serve(pipe: Connection, data: Path, changes: Mapping[str, object], updates: int) -> None:
    """In a process of its own: so many updates for each word, and what they took."""
    torch.set_num_threads(_CORES)
    recipe = recipe_of(changes)
    learner = Learner(recipe, torch.device("cpu"))
    sampler = sampler_of(recipe, open_pack([data], 4))
    steps = itertools.count()

    def update() -> None:
        sampler.advance(next(steps))
        learner.update(*sampler.batch())

    for _ in range(2):
        update()
    pipe.send("ready")
    while pipe.recv() is not None:
        start = time.perf_counter()
        for _ in range(updates):
            update()
        spent = time.perf_counter() - start
        pipe.send((spent, {"peak": resident("VmHWM"), "anonymous": resident("RssAnon")}))
    sampler.close()


def reached(row: Mapping[str, Any]) -> bool:
    """Whether shards keep to the goals beside the pack."""
    memory = row["memory"]
    return bool(row["ratio"] >= GOAL and memory["shards"]["peak"] <= memory["pack"]["peak"])


def limits(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Hashing beside SHA-256 in memory; what decodes beside reading the images and no more."""
    spent, decoder = content["seconds"], "reading and hashing the images in one thread, no more"
    rate = content["megabytes"] * 1e6 / spent["hashing"].cores
    rows = [beside("hashing files", rate, sha256_rate(), "bytes/s", "SHA-256 of 16 MiB in memory")]
    for name in ("packing", "indexing", "decoding"):
        rows.append(beside(name, spent[name].cores, content["read_seconds"], "s", decoder))
    return rows


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    count, pixels = content["photographs"], content["megapixels"]
    spent = content["seconds"]
    large, files = content["large"], content["files"]
    paper_pixels = PAPER * PAPER_PIXELS / 1e6
    paper_bytes = PAPER * PAPER_BYTES / 1e6

    def row(what: str, own: Spent, by: float) -> str:
        return (
            f"| {what} | {own.clock:.2f} s | {own.cores:.2f} s | {count / own.cores:,.0f} | "
            f"{pixels / own.cores:,.0f} | {content['megabytes'] / own.cores:,.0f} | "
            f"{own.cores * by / _HOUR:.2f} h |"
        )

    def opened(what: str, own: Spent, by: float = 1) -> str:
        return f"| {what} | {own.clock:.1f} s | {own.cores:.1f} s | {own.cores * by:.0f} s |"

    by_pixels = paper_pixels / pixels
    by_bytes = paper_bytes / content["megabytes"]
    changed = ", ".join(content["changes"]) or "none"
    page = [
        f"{count} photographs ({', '.join(content['kinds'])}) of {pixels:,.0f} megapixels and "
        f"{content['megabytes']:,.0f} MB, on {content['cores']} cores. Rates are by the "
        "time of a core, which other work on the machine changes little. The last column is what "
        f"they come to for {PAPER:,} images of {PAPER_PIXELS / 1e6:.2f} megapixels and "
        f"{PAPER_BYTES / 1000:.0f} kB, ImageNet's means: by pixels, and where files are only "
        "hashed by bytes.",
        "",
        "| what | by the clock | of a core | photographs/s | megapixels/s | MB of files/s | "
        "350,000 images |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        row("hashing files", spent["hashing"], by_bytes),
        row("packing, hashing included", spent["packing"], by_pixels),
        row("looking through shards", spent["listing"], by_bytes),
        row("indexing shards", spent["indexing"], by_pixels),
        row("decoding from shards, both resolutions", spent["decoding"], by_pixels),
        "",
        f"On disk: the pack {content['pack_megabytes']:,.0f} MB, for the paper's images "
        f"{3 * paper_pixels * 17 / 16 / 1e3 + 4 * PAPER * THUMBNAIL**2 / 1e9:,.0f} GB; the index "
        f"of shards {content['index_megabytes']:,.1f} MB, for the paper's "
        f"{4 * PAPER * THUMBNAIL**2 / 1e9:,.1f} GB beside shards of {paper_bytes / 1e3:,.0f} GB. "
        f"Opening the shards again took {spent['again'].cores:.2f} s.",
        "",
        "| opening | by the clock | of a core | 350,000 photographs |",
        "| --- | ---: | ---: | ---: |",
        opened(f"{files:,} small files, hashed", content["files_first"], PAPER / files),
        opened("the same again, unchanged", content["files_again"], PAPER / files),
        opened(f"a pack's list of {PAPER:,}", large["opening"]),
        opened(f"looking for {large['tests']} test images among them", large["leaks"]),
        opened("making a sampler of them", large["sampler"]),
        "",
        f"Memory after that, its files not counted: {large['anonymous_megabytes']:,.0f} MB.",
    ]
    near = distances(limits(content))
    if not content["updates"]:
        return page + near
    return [
        *page,
        "",
        "Updates from the pack, which lies in the page cache, and from shards, in turn. Goals: "
        f"{GOAL:.0%} of the pack's rate at least, no more memory at the peak. Changes "
        f"of the recipe for shards: {changed}.",
        "",
        "| network | pack | shards | ratio | peak: pack | shards | goals |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        *(
            f"| {row['network']} | {row['rates']['pack']:.2f}/s | {row['rates']['shards']:.2f}/s | "
            f"{row['ratio']:.2f} | {row['memory']['pack']['peak']:,.0f} MB | "
            f"{row['memory']['shards']['peak']:,.0f} MB | "
            f"{'reached' if reached(row) else '**missed**'} |"
            for row in content["updates"]
        ),
        *near,
    ]


if __name__ == "__main__":
    sys.exit(main())
