"""A race of the generator's optimisers from scratch, over the same minutes each.

SRResNet-MSE of models/srresnet-mse with its profile `cpu`; the rate rises over 200 updates and
falls to nothing as a cosine over the minutes. On a CPU the minutes are the process's own, so that
other work on the machine takes less from a run; on a GPU they are the clock's. Ten photographs are
kept aside, and the mean PSNR on the middles of those stands beside the time, under `matlab`. One
seed each. Writes optimisers.json and optimisers.md, on a GPU optimisers_gpu.*.

Example: python -m benchmarks.optimisers --data photographs --minutes 1 --out build/bench

Runs of one optimiser each, one core each, are put into one table afterwards:

    for o in muon soap; do OMP_NUM_THREADS=1 python -m benchmarks.optimisers --data photographs \
        --minutes 60 --precision fp32 --optimiser $o --out build/$o & done; wait
    python -m benchmarks.optimisers --join build/muon/optimisers.json build/soap/optimisers.json
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.devices import keep_freed_memory
from sreval.files import sha256_bytes
from sreval.images.resize import downscale
from sreval.metrics.protocol import get_protocol
from sreval.metrics.scorer import Reference
from sreval.networks.inference import Inference
from sreval.networks.weights import load_network
from sreval.training.learner import Learner
from sreval.training.packs import Photographs, open_pack
from sreval.training.recipe import Recipe, load_recipe
from sreval.training.sampler import Sampler

UInt8 = npt.NDArray[np.uint8]

ASIDE, SIDE = 10, 240
WARM_UP = 200
POINTS = 8
"""How often the PSNR is taken over the minutes."""

SETTINGS: dict[str, dict[str, float]] = {
    "adam": {"learning_rate": 4e-4, "beta1": 0.9, "beta2": 0.999},
    "soap": {"learning_rate": 1e-3, "beta1": 0.95, "beta2": 0.95},
    "muon": {"learning_rate": 4e-3, "beta1": 0.95, "beta2": 0.95},
}


def main() -> int:
    """Run the race and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a folder of photographs")
    parser.add_argument("--join", type=Path, nargs="+", help="results of runs, to be one table")
    parser.add_argument("--minutes", type=float, default=20, help="for each optimiser")
    parser.add_argument("--optimiser", choices=list(SETTINGS), action="append")
    parser.add_argument("--rate", type=float, help="the learning rate of all, not each one's own")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--start", type=Path, help="weights to start from, not from scratch")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    if given.join:
        content = joined([json.loads(path.read_text()) for path in given.join])
        write_results(given.out, "optimisers", content, "A race of optimisers", lines(content))
        print(given.out / "optimisers.md")
        return 0
    if not given.data:
        parser.error("--data is needed: a folder of photographs")
    device = torch.device(given.device)
    if device.type == "cpu":
        keep_freed_memory()  # as `sreval train` does
    origin = provenance()
    pack = open_pack([given.data], 4, progress)
    pack, originals = kept_aside(pack)
    rows = []
    for optimiser in given.optimiser or SETTINGS:
        recipe = recipe_of(optimiser, given.batch, given.precision, given.rate)
        learner = Learner(recipe, device)
        if given.start:
            learner.start_from(load_network(given.start, recipe.network)[0])
        facts = {"optimiser": optimiser, "rate": recipe.optimisation.learning_rate}
        rows.append(facts | run(learner, pack, originals, given.minutes))
    content = {
        **origin,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "minutes": given.minutes,
        "batch": given.batch,
        "precision": given.precision,
        "photographs": len(pack.photographs) - len(originals),
        "rows": rows,
    }
    name = "optimisers" if device.type == "cpu" else "optimisers_gpu"
    write_results(given.out, name, content, "A race of optimisers", lines(content))
    print(given.out / f"{name}.md")
    return 0


def joined(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One content with the rows of all runs, which must have been made alike."""
    first = runs[0]
    for field in ("commit", "device", "threads", "minutes", "batch", "precision", "photographs"):
        if any(run[field] != first[field] for run in runs):
            raise SystemExit(f"the runs differ in {field}: {[run[field] for run in runs]}")
    return first | {"rows": [row for run in runs for row in run["rows"]]}


def recipe_of(optimiser: str, batch: int, precision: str, rate: float | None) -> Recipe:
    """SRResNet-MSE for one optimiser."""
    settings = SETTINGS[optimiser] | ({"learning_rate": rate} if rate else {})
    changes = {f"optimisation.{name}": value for name, value in settings.items()}
    return load_recipe(
        "srresnet-mse",
        "cpu",
        {
            **changes,
            "optimisation.optimiser": optimiser,
            "optimisation.precision": precision,
            "data.batch": batch,
        },
    )


def run(
    learner: Learner, pack: Photographs, originals: list[UInt8], minutes: float
) -> dict[str, Any]:
    """Train for so many minutes; what came of it and the curve, whose last point is the end."""
    recipe, device = learner.recipe, learner.device
    o = recipe.optimisation
    sampler = Sampler(pack, recipe.data, recipe.network, device, o.seed)
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    curve: list[dict[str, float]] = []
    step, spent, limit = 0, 0.0, 60 * minutes
    while spent < limit:
        begun = clock()
        until = limit * (len(curve) + 1) / POINTS
        while spent + clock() - begun < until:
            done = min(1.0, (spent + clock() - begun) / limit)
            rate = o.learning_rate * (1 + math.cos(math.pi * done)) / 2
            keep = min(o.ema, (1 + step) / (10 + step))
            learner.set_rate(rate * min(1.0, (step + 1) / WARM_UP), keep)
            learner.update(*sampler.batch())
            step += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        spent += clock() - begun
        decibel = psnr(learner.result, recipe, originals, device)
        curve.append({"minutes": spent / 60, "updates": step, "psnr": decibel})
        progress(f"{o.optimiser} {spent / 60:.1f} min, {step} updates: {decibel:.3f} dB")
    return {
        "updates": step,
        "ms_per_update": 1000 * spent / step,
        "psnr": curve[-1]["psnr"],
        "curve": curve,
    }


def kept_aside(pack: Photographs) -> tuple[Photographs, list[UInt8]]:
    """A pack of which ASIDE photographs are never drawn, and the middles of those.

    They are those whose file stems have the least SHA-256.
    """
    stems = [sha256_bytes(Path(p.file).stem.encode()) for p in pack.photographs]
    aside = sorted(range(len(stems)), key=stems.__getitem__)[:ASIDE]
    photographs = list(pack.photographs)
    middles = []
    for place in aside:
        p = photographs[place]
        image = pack.image(place)
        top, left = (max(0, (side - SIDE) // 2) for side in image.shape[:2])
        middles.append(image[top : top + SIDE, left : left + SIDE].copy())
        # as many pixels in a strip that no crop fits into: the sampler leaves it out
        strip = replace(p, height=pack.scale, width=p.height * p.width // pack.scale)
        photographs[place] = strip
    return replace(pack, photographs=tuple(photographs)), middles


def psnr(
    network: nn.Module, recipe: Recipe, originals: Sequence[UInt8], device: torch.device
) -> float:
    """The mean PSNR of a network on some photographs, from their own low resolution."""
    protocol = get_protocol("matlab")
    inference = Inference.of(network, recipe.network, device=device, batch=1)
    scores = []
    for high in originals:
        image = inference.upscale([downscale(high, 4)])[0]
        scores += Reference(high, 4).score(image, [protocol], ["psnr"])
    return float(np.mean([score.value for score in scores]))


def lines(content: dict[str, Any]) -> list[str]:
    """The two tables."""
    rows = content["rows"]
    text = [
        f"SRResNet-MSE from scratch, batch {content['batch']}, crops of 96 pixels, "
        f"{content['precision']}, {content['device']}, {content['threads']} threads, "
        f"{content['photographs']} photographs; {content['minutes']:g} minutes each, of the "
        f"process on a CPU, of the clock on a GPU. PSNR of the Y channel (`matlab`), the mean "
        f"of {ASIDE} photographs kept aside; one seed each.",
        "",
        "| optimiser | rate | updates | ms/update | PSNR, dB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    text += [
        f"| {row['optimiser']} | {row['rate']:g} | {row['updates']:,} | "
        f"{row['ms_per_update']:.1f} | {row['psnr']:.2f} |"
        for row in rows
    ]
    text += [
        "",
        "PSNR over the minutes:",
        "",
        f"| minutes | {' | '.join(row['optimiser'] for row in rows)} |",
        f"| ---: |{' ---: |' * len(rows)}",
    ]
    for points in zip(*(row["curve"] for row in rows), strict=False):
        values = " | ".join(f"{point['psnr']:.2f}" for point in points)
        text.append(f"| {points[0]['minutes']:.1f} | {values} |")
    return text


if __name__ == "__main__":
    sys.exit(main())
