"""What a GPU gives: updates per second of the five variants, inference, metrics.

Updates are those of training, captured as a graph where that can be done, with batches cut from
real photographs on the device. VGG19, AlexNet and all networks have random weights: time doesn't
know. The matrix peak is that of one large bf16 product, measured here. Writes accelerator.json and
accelerator.md. The same update in basicsr's classes: `python -m benchmarks.training_step`.

Example: python -m benchmarks.accelerator --data photographs --seconds 5 --out build/bench
A trial without one: add --batch 2 --model srgan-vgg54 --compile off --size small
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.inference import trained_like
from benchmarks.peak import matrix_peak, rate, training_speed
from benchmarks.timing import ROOT, progress, provenance, write_results
from benchmarks.training_step import name_of, save_random_vgg
from sreval.devices import Precision, pick_device
from sreval.metrics.lpips import lpips
from sreval.metrics.ssim import ssim_daala, ssim_wang
from sreval.networks.architecture import SRResNetArchitecture
from sreval.networks.inference import Inference
from sreval.networks.weights import serialise
from sreval.training.packs import Photographs, open_pack
from sreval.training.recipe import load_recipe

VARIANTS = ("srresnet-mse", "srgan-vgg54", "srresnet-vgg22", "srgan-vgg22", "srgan-mse")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
SIZES = {"small": (320, 480), "4k": (2160, 3840)}
"""Height and width of BSD100's images, about, and of a large screen."""


def main() -> int:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--model", choices=VARIANTS, action="append")
    parser.add_argument("--compile", action="append", help="default: off, default")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10, help="for each figure")
    parser.add_argument("--size", choices=SIZES, action="append", help="default: all")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    out, device = given.out.resolve(), torch.device(pick_device(given.device))
    origin = provenance()
    pack = open_pack([given.data.resolve()], 4)
    peak = matrix_peak(device, given.seconds)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        save_random_vgg()
        save_random_alexnet()
        training = [
            updates(name, precision, mode, pack, device, given.batch, given.seconds, peak)
            for name in given.model or VARIANTS
            for precision in PRECISIONS
            for mode in given.compile or ("off", "default")
        ]
        inference = [
            upscaling(size, precision, device, given.seconds)
            for size in given.size or SIZES
            for precision in PRECISIONS
        ]
        metrics = [
            row for size in given.size or SIZES for row in scoring(size, device, given.seconds)
        ]
    content = {
        **origin,
        "device": name_of(device),
        "batch": given.batch,
        "peak_tflops": peak,
        "training": training,
        "inference": inference,
        "metrics": metrics,
    }
    write_results(out, "accelerator", content, "On an accelerator", lines(content))
    print(out / "accelerator.md")
    return 0


def updates(
    name: str,
    precision: str,
    mode: str,
    pack: Photographs,
    device: torch.device,
    batch: int,
    seconds: float,
    peak: float,
) -> dict[str, Any]:
    """Updates per second of a variant, as training makes them, and its share of the peak."""
    progress(f"{name}, {precision}, compile {mode}")
    changes = {"optimisation.precision": precision, "data.batch": batch, "run.compile": mode}
    recipe = load_recipe(name, "gpu", changes)
    found = training_speed(recipe, pack, device, seconds, progress)
    share = found["gflop"] * found["updates_per_second"] / 1e3 / peak
    about = {"model": name, "precision": precision, "compile": mode}
    return {**about, **found, "share_of_peak": share}


def upscaling(
    size: str, precision: Precision, device: torch.device, seconds: float
) -> dict[str, Any]:
    """Megapixels of output a second, from uint8 to uint8, one image at a time."""
    progress(f"inference, {size}, {precision}")
    height, width = SIZES[size]
    low = _noise(height // 4, width // 4)
    ours = Inference.of(
        trained_like().eval(),
        SRResNetArchitecture(),
        device=device,
        precision=precision,
        tile=256,
        batch=1,
    )
    per_second = rate(lambda: ours.upscale([low]), device, seconds)
    megapixels = height * width * per_second / 1e6
    return {"size": size, "precision": precision, "megapixels_per_second": megapixels}


def scoring(size: str, device: torch.device, seconds: float) -> list[dict[str, Any]]:
    """Milliseconds of each metric for one pair, on the device and on the processor."""
    progress(f"metrics, {size}")
    a, b = _noise(*SIZES[size]), _noise(*SIZES[size], seed=1)
    metrics: dict[str, Callable[[str], object]] = {
        "SSIM, Wang": lambda on: ssim_wang(a[..., 0], b[..., 0], on),
        "SSIM, daala": lambda on: ssim_daala(a[..., 0], b[..., 0], on),
        "LPIPS, alex": lambda on: lpips(a, b, "alex", on),
    }
    rows = []
    for name, run in metrics.items():
        row: dict[str, Any] = {"metric": name, "size": size}
        for on in dict.fromkeys((str(device), "cpu")):
            ran = rate(partial(run, on), torch.device(on), seconds)
            row[torch.device(on).type] = 1000 / ran
        rows.append(row)
    return rows


def save_random_alexnet() -> None:
    """AlexNet where sreval looks for it: in the folder that SREVAL_WEIGHTS names by now."""
    from torchvision.models import alexnet

    state = alexnet(weights=None).features.state_dict()
    tensors = {f"features.{name}": tensor for name, tensor in state.items()}
    Path("alexnet_features_torchvision.safetensors").write_bytes(serialise(tensors, {}))


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def lines(content: dict[str, Any]) -> list[str]:
    """The three tables."""
    table = [
        f"{content['device']}; torch {torch.__version__}; bf16 matrix peak as measured "
        f"{content['peak_tflops']:.3g} TFLOP/s.",
        "",
        f"Training, batch {content['batch']}, crops of 96 pixels, batches cut on the device:",
        "",
        "| model | precision | compile | captured | updates/s | GFLOP an update | of the peak |",
        "| --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for r in content["training"]:
        table.append(
            f"| {r['model']} | {r['precision']} | {r['compile']} | "
            f"{'yes' if r['captured'] else 'no'} | {r['updates_per_second']:.3g} | "
            f"{r['gflop']:.0f} | {100 * r['share_of_peak']:.0f} % |"
        )
    table += [
        "",
        "SRResNet's inference, uint8 to uint8, one image at a time, tiles of 256:",
        "",
        "| output | precision | megapixels/s |",
        "| --- | --- | ---: |",
    ]
    for r in content["inference"]:
        table.append(f"| {r['size']} | {r['precision']} | {r['megapixels_per_second']:.3g} |")
    kinds = [key for key in content["metrics"][0] if key not in ("metric", "size")]
    table += [
        "",
        "One pair of images, ms:",
        "",
        f"| metric | size | {' | '.join(kinds)} |",
        "| --- | --- |" + " ---: |" * len(kinds),
    ]
    for r in content["metrics"]:
        times = " | ".join(f"{r[kind]:.3g}" for kind in kinds)
        table.append(f"| {r['metric']} | {r['size']} | {times} |")
    return table


if __name__ == "__main__":
    sys.exit(main())
