"""Time of one training update against basicsr's own model classes on the same networks.

Each side runs in a process of its own, with the settings that its users have; the updates of
all sides alternate, so that they meet the same machine, and a ratio is the median over the
rounds. basicsr is optional: without it our sides are timed alone and the results say so. VGG19
has random weights on both sides: time doesn't know. Writes training_step.json and
training_step.md, on a GPU training_step_gpu.*; exits with 1 when a goal isn't met.

Example: python -m benchmarks.training_step --data photographs --updates 4 --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.limits import beside, distances, product_rate
from benchmarks.rivals import MissingRivalError, load_basicsr
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.devices import keep_freed_memory
from sreval.images.io import write_png
from sreval.networks.cost import MultiplyAdds
from sreval.networks.discriminator import Discriminator
from sreval.networks.srresnet import SRResNet
from sreval.networks.vgg import FILES, VGGFeatures
from sreval.networks.weights import serialise
from sreval.training.learner import Learner, Updates
from sreval.training.packs import Photographs, open_pack
from sreval.training.recipe import Data, Recipe
from sreval.training.sampler import Sampler

BATCH, CROP = 16, 96
LOSSES = {"srresnet-mse": {"mse": 1.0}, "srgan-vgg54": {"vgg54": 1.0, "adversarial": 1e-3}}

PRECISIONS = ("fp32", "bf16")
RIVAL = "basicsr fp32"
GOALS = {
    ("cpu", "srresnet-mse"): {"fp32": 1.15, "bf16": 1.8},
    ("cpu", "srgan-vgg54"): {"fp32": 1.15, "bf16": 1.8},
    ("cuda", "srresnet-mse"): {"bf16": 4.0},
    ("cuda", "srgan-vgg54"): {"bf16": 3.0},
}
LOADERS = {"left-out": False, "included": True}

Step = Callable[[], float]
"""Makes one update; its seconds."""


def main() -> int:
    """Time all sides and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--model", choices=list(LOSSES), action="append")
    parser.add_argument("--loader", choices=list(LOADERS), action="append", help="both")
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    out = given.out.resolve()
    origin = provenance()
    data = given.data.resolve()
    pack = open_pack([data], 4)
    device = torch.device(given.device)
    rows: list[dict[str, Any]] = []
    kind = "training_step" if device.type == "cpu" else "training_step_gpu"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        theirs, rival = True, ""
        try:
            rival = load_basicsr().origin
        except MissingRivalError as error:
            theirs, rival = False, "basicsr is left out, since it can't be imported"
            progress(str(error))
        save_random_vgg()
        write_pairs(pack, 64)
        for name in given.model or LOSSES:
            work = operations(name, pack) if device.type == "cpu" else None
            for words in given.loader or LOADERS:
                loader = LOADERS[words]
                progress(f"{name}, loader {words}")
                facts = {"model": name, "loader": loader, "operations": work}
                goals = GOALS[device.type, name] if theirs else {}
                with side_processes(name, loader, device, data, theirs) as runs:
                    rows += measured(runs, given.updates, facts, goals)
                # each time, for a machine that is taken away
                threads = torch.get_num_threads()
                about = {"rival": rival, "device": name_of(device), "threads": threads}
                content = {**origin, **about, "rows": rows, "limits": limits(rows)}
                write_results(out, kind, content, "One training update", lines(content))
    print(out / f"{kind}.md")
    return 1 if any(row["goal"] and row["faster"] < row["goal"] for row in rows) else 0


def name_of(device: torch.device) -> str:
    """The GPU's own name, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def measured(
    runs: dict[str, Step], updates: int, facts: dict[str, Any], goals: dict[str, float]
) -> list[dict[str, Any]]:
    """A row a side: median seconds, and how much faster than basicsr in the same round.

    Where basicsr is not among the sides, `faster` and `goal` are None.
    """
    times = alternate(runs, updates)
    theirs = times.get(RIVAL)
    return [
        {
            **facts,
            "side": side,
            "seconds": statistics.median(own),
            "faster": theirs and statistics.median(b / a for a, b in zip(own, theirs, strict=True)),
            "goal": goals.get(side.removeprefix("sreval ")),
        }
        for side, own in times.items()
    ]


def limits(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """On a CPU each side's update beside its operations at the rate of large matrix products."""
    kinds = {"fp32": "float32", "bf16": "bfloat16"}
    found = []
    for row in (row for row in rows if row["operations"]):
        precision = row["side"].rpartition(" ")[2]
        loader = "included" if row["loader"] else "left out"
        by = f"the update's multiply-adds at the rate of large {precision} matrix products"
        least = row["operations"] / product_rate(kinds[precision])
        what = f"{row['model']}, loader {loader}, {row['side']}"
        found.append(beside(what, row["seconds"], least, "s", by))
    return found


def operations(name: str, pack: Photographs) -> float:
    """Floating-point operations of one update."""
    recipe = our_recipe(name, "fp32")
    device = torch.device("cpu")
    sampler = Sampler(pack, Data(crop=CROP, batch=BATCH), recipe.network, device, 0)
    with MultiplyAdds() as counter:
        Learner(recipe, device).update(*sampler.batch())
    return float(2 * counter.total)


def lines(content: dict[str, Any]) -> list[str]:
    """The table."""
    table = [
        f"Batch {BATCH}, crops of {CROP} pixels, {content['device']}, {content['threads']} "
        f"threads; torch {torch.__version__}; {content['rival']}.",
        "",
        "| model | loader | side | s/update | faster | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in content["rows"]:
        loader = "included" if row["loader"] else "left out"
        goal = f"{row['goal']:g}x" if row["goal"] else ""
        faster = f"{row['faster']:.2f}x" if row["faster"] else ""
        table.append(
            f"| {row['model']} | {loader} | {row['side']} | {row['seconds']:.3f} | "
            f"{faster} | {goal} |"
        )
    return table + distances(content["limits"])


def alternate(sides: dict[str, Step], updates: int) -> dict[str, list[float]]:
    """Seconds of each update of each side, taken in turns after two that don't count."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(updates + 2):
        for side, step in sides.items():
            times[side].append(step())
    return {side: seconds[2:] for side, seconds in times.items()}


@contextlib.contextmanager
def side_processes(
    name: str, loader: bool, device: torch.device, data: Path, theirs: bool
) -> Iterator[dict[str, Step]]:
    """A process a side; each step asks its process for one update and gives its seconds."""
    names = [RIVAL] * theirs + [f"sreval {precision}" for precision in PRECISIONS]
    context = multiprocessing.get_context("spawn")
    sides: dict[str, Step] = {}
    with contextlib.ExitStack() as stack:
        for side in names:
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, side, name, loader, device, data))
            process.start()
            there.close()
            stack.callback(process.join)
            stack.callback(here.close)
            sides[side] = partial(ask, here)
        yield sides


def ask(side: Connection) -> float:
    """The seconds of one update of the side behind a connection."""
    side.send(None)
    seconds: float = side.recv()
    return seconds


def serve(
    asked: Connection, side: str, name: str, loader: bool, device: torch.device, data: Path
) -> None:
    """Make the updates of one side, each when asked for, until the connection is closed."""
    # as where basicsr is started from a shell: its loader's processes know what its own knows
    multiprocessing.set_start_method("fork", force=True)
    if side == RIVAL:
        step = basicsr_step(import_basicsr(), name, device, loader)
    else:
        step = our_step(name, side.removeprefix("sreval "), device, open_pack([data], 4), loader)
    with contextlib.suppress(EOFError):
        while True:
            asked.recv()
            start = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            asked.send(time.perf_counter() - start)


def our_step(
    name: str, precision: str, device: torch.device, pack: Photographs, loader: bool
) -> Callable[[], object]:
    if device.type == "cpu":
        keep_freed_memory()  # as `sreval train` does
    recipe = our_recipe(name, precision)
    sampler = Sampler(pack, Data(crop=CROP, batch=BATCH), recipe.network, device, 0)
    if not loader:
        batch = sampler.batch()
        sampler.batch = lambda: batch  # type: ignore[method-assign]
    updates = Updates(Learner(recipe, device), sampler, progress)
    for _ in range(4 if updates.captures else 0):
        updates()  # the captured one begins here
    return updates


def our_recipe(name: str, precision: str) -> Recipe:
    """What `sreval train` would be asked for."""
    # of minutes, where cuDNN may take its fastest algorithm, as it may in basicsr's training
    options: dict[str, Any] = {"minutes": 1, "precision": precision}
    raw = {
        "name": name,
        "network": {"name": "srresnet"},
        "loss": LOSSES[name],
        "data": {"crop": CROP, "batch": BATCH},
        "optimisation": options,
    }
    return Recipe.model_validate(raw)


def basicsr_step(
    models: dict[str, Any], name: str, device: torch.device, loader: bool
) -> Callable[[], object]:
    torch.backends.cudnn.benchmark = True  # as basicsr/train.py
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


def import_basicsr() -> dict[str, Any]:
    """What is timed of basicsr."""
    load_basicsr()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from basicsr.data import build_dataloader, build_dataset
        from basicsr.models.sr_model import SRModel
        from basicsr.models.srgan_model import SRGANModel
        from basicsr.utils import get_root_logger
        from basicsr.utils.registry import ARCH_REGISTRY
    get_root_logger().setLevel("ERROR")
    # torchvision warns of the arguments that basicsr's extractor gives it
    warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
    ARCH_REGISTRY.register(BenchGenerator)
    ARCH_REGISTRY.register(BenchDiscriminator)
    return {
        "SRModel": SRModel,
        "SRGANModel": SRGANModel,
        "build_dataset": build_dataset,
        "build_dataloader": build_dataloader,
    }


def save_random_vgg() -> None:
    """VGG19 where basicsr and sreval each look for it."""
    from torchvision.models import vgg19

    basicsr = Path("experiments/pretrained_models/vgg19-dcbb9e9d.pth")
    basicsr.parent.mkdir(parents=True)
    torch.save(vgg19(weights=None).state_dict(), basicsr)
    network: nn.Module = VGGFeatures(("vgg54",))
    metadata = {"input": "RGB, 0..1, ImageNet mean and std"}
    Path(FILES[1]).write_bytes(serialise(network.state_dict(), metadata))
    os.environ["SREVAL_WEIGHTS"] = str(Path.cwd())


def write_pairs(pack: Photographs, count: int) -> None:
    """The first photographs of the pack as pairs of PNG files, as basicsr reads them."""
    for folder in ("gt", "lq"):
        Path(folder).mkdir()
    for place in range(min(count, len(pack.photographs))):
        write_png(Path(f"gt/{place:03d}.png"), pack.image(place))
        write_png(Path(f"lq/{place:03d}.png"), pack.small(place))


if __name__ == "__main__":
    sys.exit(main())
