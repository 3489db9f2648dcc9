"""Time of one training update against basicsr's own model classes on the same networks.

Updates of both sides alternate, so that both meet the same machine; a ratio is the median over
the rounds. VGG19 has random weights on both sides: time doesn't know. Writes training_step.json
and training_step.md; exits with 1 when a goal isn't met.

Example: python -m benchmarks.training_step --data photographs --updates 4 --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.rivals import load_basicsr
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.images.io import write_png
from sreval.networks.discriminator import Discriminator
from sreval.networks.srresnet import SRResNet
from sreval.networks.vgg import FILES, VGGFeatures
from sreval.networks.weights import serialise
from sreval.training.pack import Pack, open_pack
from sreval.training.recipe import Data, Recipe
from sreval.training.sampler import Sampler
from sreval.training.steps import Learner

BATCH, CROP = 16, 96
LOSSES = {"srresnet-mse": {"mse": 1.0}, "srgan-vgg54": {"vgg54": 1.0, "adversarial": 1e-3}}

GOALS = {"fp32": 1.15, "bf16": 1.8}

Step = Callable[[], object]


def main() -> int:
    """Time all sides and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--model", choices=list(LOSSES), action="append")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    out = given.out.resolve()
    origin = provenance()
    pack = open_pack([given.data.resolve()], 4)
    device = torch.device(given.device)
    rows = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        models, rival = import_basicsr()
        save_random_vgg()
        write_pairs(pack, 64)
        for name in given.model or LOSSES:
            for loader in (False, True):
                progress(f"{name}, loader {'included' if loader else 'left out'}")
                runs: dict[str, Step] = {"basicsr fp32": basicsr_step(models, name, device, loader)}
                for precision in GOALS:
                    step = our_step(name, precision, device, pack, loader)
                    runs[f"sreval {precision}"] = step
                rows += measured(runs, given.updates, device, {"model": name, "loader": loader})
    threads = torch.get_num_threads()
    content = {**origin, "rival": rival, "device": str(device), "threads": threads, "rows": rows}
    write_results(out, "training_step", content, "One training update", lines(content))
    print(out / "training_step.md")
    return 1 if any(row["goal"] and row["faster"] < row["goal"] for row in rows) else 0


def measured(
    runs: dict[str, Step], updates: int, device: torch.device, facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """A row a side: median seconds, and how much faster than basicsr in the same round."""
    times = alternate(runs, updates, device)
    theirs = next(iter(times.values()))
    return [
        {
            **facts,
            "side": side,
            "seconds": statistics.median(own),
            "faster": statistics.median(b / a for a, b in zip(own, theirs, strict=True)),
            "goal": GOALS.get(side.removeprefix("sreval ")),
        }
        for side, own in times.items()
    ]


def lines(content: dict[str, Any]) -> list[str]:
    """The table."""
    table = [
        f"Batch {BATCH}, crops of {CROP} pixels, {content['device']}, {content['threads']} "
        f"threads; torch {torch.__version__}; {content['rival']}. The goals are for a CPU.",
        "",
        "| model | loader | side | s/update | faster | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in content["rows"]:
        loader = "included" if row["loader"] else "left out"
        goal = f"{row['goal']:g}x" if row["goal"] else ""
        table.append(
            f"| {row['model']} | {loader} | {row['side']} | {row['seconds']:.3f} | "
            f"{row['faster']:.2f}x | {goal} |"
        )
    return table


def alternate(sides: dict[str, Step], updates: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each update of each side, taken in turns after two that don't count."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(updates + 2):
        for side, step in sides.items():
            start = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[side].append(time.perf_counter() - start)
    return {side: seconds[2:] for side, seconds in times.items()}


def our_step(name: str, precision: str, device: torch.device, pack: Pack, loader: bool) -> Step:
    options = {"updates": 1, "precision": precision}
    raw = {
        "name": name,
        "network": {"name": "srresnet"},
        "loss": LOSSES[name],
        "data": {"crop": CROP, "batch": BATCH},
        "optimisation": options,
        "run": {"compile": "default" if device.type == "cuda" else "off"},
    }
    recipe = Recipe.model_validate(raw)
    learner = Learner(recipe, device)
    sampler = Sampler(pack, Data(crop=CROP, batch=BATCH), recipe.network, device, 0)
    batch = sampler.batch()

    def step() -> object:
        return learner.update(*(sampler.batch() if loader else batch))

    return step


def basicsr_step(models: dict[str, Any], name: str, device: torch.device, loader: bool) -> Step:
    gan = "adversarial" in LOSSES[name]
    train: dict[str, Any] = {
        "optim_g": {"type": "Adam", "lr": 1e-4, "betas": (0.9, 0.999)},
        "optim_d": {"type": "Adam", "lr": 1e-4, "betas": (0.9, 0.999)},
        "scheduler": {"type": "MultiStepLR", "milestones": [10**9]},
    }
    if gan:
        train["gan_opt"] = {
            "type": "GANLoss",
            "gan_type": "vanilla",
            "real_label_val": 1.0,
            "fake_label_val": 0.0,
            "loss_weight": 1e-3,
        }
        train["perceptual_opt"] = {
            "type": "PerceptualLoss",
            "layer_weights": {"relu5_4": 1.0},
            "range_norm": True,
            # the release names torch.nn.L2loss, which there is not; l1 costs the same
            "criterion": "l1",
        }
    else:
        train["pixel_opt"] = {"type": "MSELoss"}
    opt = {
        "num_gpu": int(device.type == "cuda"),
        "dist": False,
        "rank": 0,
        "is_train": True,
        "path": {},
        "network_g": {"type": "BenchGenerator"},
        "network_d": {"type": "BenchDiscriminator"},
        "train": train,
    }
    model = models["SRGANModel" if gan else "SRModel"](opt)
    batches = basicsr_batches(models, device)
    fixed = next(batches)
    count = iter(range(1, 10**9))

    def step() -> object:
        model.feed_data(next(batches) if loader else fixed)
        return model.optimize_parameters(next(count))

    return step


def basicsr_batches(models: dict[str, Any], device: torch.device) -> Iterator[dict[str, Any]]:
    options = {
        "name": "pairs",
        "type": "PairedImageDataset",
        "dataroot_gt": "gt",
        "dataroot_lq": "lq",
        "io_backend": {"type": "disk"},
        "gt_size": CROP,
        "use_hflip": True,
        "use_rot": False,
        "phase": "train",
        "scale": 4,
        "batch_size_per_gpu": BATCH,
        "num_worker_per_gpu": 1,
        "mean": None,
        "std": None,
    }
    dataset = models["build_dataset"](options)
    cuda = device.type == "cuda"
    loader = models["build_dataloader"](dataset, options, num_gpu=int(cuda), seed=0)
    while True:
        yield from loader


class BenchGenerator(SRResNet):
    """Our generator, under a name of its own in basicsr's registry."""


class BenchDiscriminator(Discriminator):
    """Our discriminator; basicsr's loss takes any shape of logits."""


def import_basicsr() -> tuple[dict[str, Any], str]:
    """What is timed of basicsr, and how it was got."""
    origin = load_basicsr().origin
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from basicsr.data import build_dataloader, build_dataset
        from basicsr.models.sr_model import SRModel
        from basicsr.models.srgan_model import SRGANModel
        from basicsr.utils import get_root_logger
        from basicsr.utils.registry import ARCH_REGISTRY
    get_root_logger().setLevel("ERROR")
    ARCH_REGISTRY.register(BenchGenerator)
    ARCH_REGISTRY.register(BenchDiscriminator)
    models = {
        "SRModel": SRModel,
        "SRGANModel": SRGANModel,
        "build_dataset": build_dataset,
        "build_dataloader": build_dataloader,
    }
    return models, origin


def save_random_vgg() -> None:
    """VGG19 where basicsr and sreval each look for it."""
    from torchvision.models import vgg19

    basicsr = Path("experiments/pretrained_models/vgg19-dcbb9e9d.pth")
    basicsr.parent.mkdir(parents=True)
    # torchvision warns of the arguments that basicsr's extractor gives it
    warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
    torch.save(vgg19(weights=None).state_dict(), basicsr)
    network: nn.Module = VGGFeatures(("vgg54",))
    metadata = {"input": "RGB, 0..1, ImageNet mean and std"}
    Path(FILES[1]).write_bytes(serialise(network.state_dict(), metadata))
    os.environ["SREVAL_WEIGHTS"] = str(Path.cwd())


def write_pairs(pack: Pack, count: int) -> None:
    """The first photographs of the pack as pairs of PNG files, as basicsr reads them."""
    for folder in ("gt", "lq"):
        Path(folder).mkdir()
    high = low = 0
    for place, photograph in enumerate(pack.photographs[:count]):
        h, w = photograph.height, photograph.width
        small = h * w // pack.scale**2
        gt = np.array(pack.high[high : high + h * w]).reshape(h, w, 3)
        lq = np.array(pack.low[low : low + small]).reshape(h // 4, w // 4, 3)
        write_png(Path(f"gt/{place:03d}.png"), gt)
        write_png(Path(f"lq/{place:03d}.png"), lq)
        high, low = high + h * w, low + small


if __name__ == "__main__":
    sys.exit(main())
