"""What a window of photographs costs: updates per second and memory beside a whole pack.

Each side runs in a process of its own; their updates alternate, so that they meet the same machine,
and a ratio is the median over the rounds. The window holds a quarter of the photographs, and each
stays for 16 crops, the default. Memory is what the process holds alone and its share of what it
holds with others (PSS), at its highest of the looks taken after each quarter of the updates. The
degradations a second are those of one core. Writes window.json and window.md; exits with 1 where
the window is more than a tenth slower or takes more memory.

Example: python -m benchmarks.window --data photographs --updates 20 --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.limits import beside, copy_rate, distances
from benchmarks.timing import ROOT, progress, provenance, write_results
from benchmarks.training_step import BATCH, CROP, Step, alternate
from sreval.devices import keep_freed_memory
from sreval.images.degradations import open_degradation
from sreval.images.degrade import degrade
from sreval.training.learner import Learner, Updates
from sreval.training.packs import Photographs, open_pack
from sreval.training.recipe import Recipe
from sreval.training.sampler import Sampler

SLOWER, LOOKS = 1.1, 4
WHOLE, WINDOW, SHARDS = "whole pack", "window over the pack", "window over shards"
NETWORKS: dict[str, dict[str, Any]] = {
    "srresnet-mse": {"name": "srresnet"},
    "espcn": {"name": "espcn"},
}
DEGRADATIONS = ("bicubic", "bd", "dn", "jpeg", "real-esrgan")


def main() -> int:
    """Measure all sides and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--shards", type=Path, help="the same photographs as shards")
    parser.add_argument("--network", choices=list(NETWORKS), action="append", help="both")
    parser.add_argument("--updates", type=int, default=60, help="of espcn ten times as many")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    origin = provenance()
    pack = open_pack([given.data], 4)
    window = pack.pixels / 4e6
    sides = {WHOLE: (given.data, 0.0), WINDOW: (given.data, window)}
    if given.shards:
        sides[SHARDS] = (given.shards, window)
    rows: list[dict[str, Any]] = []
    for network in given.network or NETWORKS:
        progress(network)
        updates = given.updates * (1 if network == "srresnet-mse" else 10)
        rows += measured(network, sides, updates, given.device)
    content = {
        **origin,
        "device": given.device,
        "photographs": len(pack.photographs),
        "megapixels": pack.pixels / 1e6,
        "window": window,
        "rows": rows,
        "degradations": [per_second(name, pack) for name in DEGRADATIONS],
    }
    by = "memory: three bytes a pixel read, a sixteenth of that written"
    least = copy_rate() / (3 * 17 / 16) / 1e6
    content["limits"] = [
        beside(f"LR images, {one['name']}", one["megapixels_per_second"], least, "MP/s", by)
        for one in content["degradations"]
    ]
    write_results(given.out, "window", content, "A window of photographs", lines(content))
    print(given.out / "window.md")
    return 1 if any(row["slower"] > SLOWER or row["more"] > 1 for row in rows) else 0


def measured(
    network: str, sides: dict[str, tuple[Path, float]], updates: int, device: str
) -> list[dict[str, Any]]:
    """A row a side: updates per second, how much slower than the whole pack, and memory."""
    with processes(network, sides, device) as asked:
        times: dict[str, list[float]] = {side: [] for side in sides}
        memory = dict.fromkeys(sides, 0)
        steps: dict[str, Step] = {
            side: partial(ask, pipe, "update") for side, pipe in asked.items()
        }
        for _ in range(LOOKS):
            for side, seconds in alternate(steps, max(1, updates // LOOKS)).items():
                times[side] += seconds
                memory[side] = max(memory[side], int(ask(asked[side], "memory")))
        waited = {side: ask(pipe, "waited") for side, pipe in asked.items()}
    whole = times[WHOLE]
    return [
        {
            "network": network,
            "side": side,
            "updates": len(own),
            "per_second": 1 / statistics.mean(own),
            "slower": statistics.mean(own) / statistics.mean(whole),
            "waited": waited[side],
            "megabytes": memory[side] / 1e6,
            "more": memory[side] / memory[WHOLE],
        }
        for side, own in times.items()
    ]


@contextlib.contextmanager
def processes(
    network: str, sides: dict[str, tuple[Path, float]], device: str
) -> Iterator[dict[str, Connection]]:
    """A process a side, and the connections by which they are asked."""
    context = multiprocessing.get_context("spawn")
    asked: dict[str, Connection] = {}
    with contextlib.ExitStack() as stack:
        for side, (data, window) in sides.items():
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, network, data, window, device))
            process.start()
            there.close()
            stack.callback(process.join)
            stack.callback(here.close)
            asked[side] = here
        yield asked


def ask(side: Connection, what: str) -> float:
    """What the side behind a connection answers."""
    side.send(what)
    answer: float = side.recv()
    return answer


def serve(asked: Connection, network: str, data: Path, window: float, device: str) -> None:
    """Answer until the connection is closed: the seconds of an update, of waiting, the memory."""
    if device == "cpu":
        keep_freed_memory()  # as `sreval train` does
    raw = {
        "name": network,
        "network": NETWORKS[network],
        "loss": {"mse": 1.0},
        "data": {"crop": CROP, "batch": BATCH, "window": window},
        "optimisation": {"minutes": 1},
    }
    recipe, place = Recipe.model_validate(raw), torch.device(device)
    pack = open_pack([data], 4)
    sampler = Sampler(pack, recipe.data, recipe.network, place, 0)
    updates = Updates(Learner(recipe, place), sampler, progress)
    step = 0
    with contextlib.suppress(EOFError):
        while True:
            what = asked.recv()
            if what == "memory":
                asked.send(proportional_set_size())
            elif what == "waited":
                asked.send(sampler.waited)
            else:
                start = time.perf_counter()
                sampler.advance(step)
                updates()
                if place.type == "cuda":
                    torch.cuda.synchronize()
                asked.send(time.perf_counter() - start)
                step += 1
    sampler.close()


def proportional_set_size() -> int:
    """Bytes of this process, pages that it shares by its share of them."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def per_second(name: str, pack: Photographs) -> dict[str, Any]:
    """How many of a pack's first photographs one core degrades a second."""
    recipe = open_degradation(name)
    images = [np.array(pack.image(place)) for place in range(min(8, len(pack.photographs)))]
    degrade(images[0], recipe, 4)
    start = time.process_time()
    for image in images:
        degrade(image, recipe, 4)
    seconds = time.process_time() - start
    pixels = sum(image.size // 3 for image in images)
    return {
        "name": name,
        "megapixels": pixels / 1e6 / len(images),
        "photographs_per_second": len(images) / seconds,
        "megapixels_per_second": pixels / 1e6 / seconds,
    }


def lines(content: dict[str, Any]) -> list[str]:
    """The tables."""
    table = [
        f"{content['photographs']:,} photographs, {content['megapixels']:.0f} megapixels; the "
        f"window holds {content['window']:.0f}. Batch {BATCH}, crops of {CROP} pixels, one "
        f"photograph an update enters; {content['device']}, {os.cpu_count()} cores.",
        "",
        "| network | side | updates | updates/s | time, whole pack = 1 | waited, s "
        "| PSS, MB | whole pack = 1 |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in content["rows"]:
        table.append(
            f"| {row['network']} | {row['side']} | {row['updates']:,} | {row['per_second']:.2f} | "
            f"{row['slower']:.2f} | {row['waited']:.1f} | {row['megabytes']:.0f} | "
            f"{row['more']:.2f} |"
        )
    table += [
        "",
        f"Goals: {SLOWER:g} at most for the time, 1 for the memory.",
        "",
        "LR images of whole photographs, on one core:",
        "",
        "| degradation | photographs/s | megapixels/s |",
        "| --- | ---: | ---: |",
    ]
    table += [
        f"| {one['name']} | {one['photographs_per_second']:.1f}, of {one['megapixels']:.2g} "
        f"megapixels | {one['megapixels_per_second']:.2f} |"
        for one in content["degradations"]
    ]
    return table + distances(content["limits"])


if __name__ == "__main__":
    sys.exit(main())
