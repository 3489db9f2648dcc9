"""Two processes against one with the same batches, for every shipped recipe.

Each recipe's `paper` profile, with a small network, crops of 32 and batches of 4, makes 50 updates
in float64 and one in fp32, in one process and in two that torch joins over gloo, all on the CPU.
Loss, optimiser and rate are the recipe's own, and VGG has its real weights (SREVAL_WEIGHTS). What
is compared is in float64 every weight and every statistic of batch norm afterwards, in fp32 the
losses and the gradients.

ReLU and its like have a kink at 0, a max pooling one where two of its values are equal. Where
rounding takes an activation to the other side of a kink, gradients jump by more than rounding. So
gradients are held to the goal without kinks (slope 1, means for maxima), and as they are only where
no activation changes sides. One process that takes the crops of each batch in reverse shows how far
rounding goes without a second process.

With --whole network, crop and batch are the recipe's own too, for one update in each. Writes
ranks.json and ranks.md; exits with 1 when a goal isn't met.

Example: python -m benchmarks.ranks --recipe espcn --out build/bench
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import skimage.data
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.training import ranks
from sreval.training.learner import Learner
from sreval.training.packs import open_pack
from sreval.training.recipe import Recipe, load_recipe
from sreval.training.sampler import Sampler

UPDATES = 50
GOALS = {"float64": 1e-9, "float32": 1e-5}
_CALIBRATION = 2
"""Batches over which VGG's terms are calibrated."""

_BATCH = {"data.crop": 32, "data.batch": 4}
_RESNET = {"network.depth": 2, "network.channels": 8} | _BATCH
SMALL: dict[str, dict[str, int]] = {
    "srresnet-mse": _RESNET,
    "srresnet-vgg22": _RESNET,
    "srgan-mse": _RESNET,
    "srgan-vgg22": _RESNET,
    "srgan-vgg54": _RESNET,
    "srcnn": _BATCH,
    "espcn": _BATCH,
    "drcn": {"network.recursions": 3, "network.channels": 8} | _BATCH,
}
"""The shipped recipes, and what makes them small."""

Work = Callable[[], dict[str, Tensor]]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["sreval.cli.training", "sreval.training.run", "torch._dynamo"])


@dataclass(frozen=True)
class Job:
    """So many updates of a recipe, in `float32` or `float64`, of batches of some photographs.

    Without `kinks` every activation that has one is linear, every pooling a mean. With `reverse`
    the crops of each batch come in the opposite order, which changes nothing but rounding.
    """

    recipe: Recipe
    photographs: Path
    updates: int
    dtype: str
    kinks: bool = True
    reverse: bool = False


def make(job: Job) -> dict[str, Tensor]:
    """Every number of the networks, the last update's gradients, losses and sides, by name.

    The sides are of which side of a kink each activation was, (N, ...).
    """
    sides: list[Tensor] = []
    dtype: torch.dtype = getattr(torch, job.dtype)
    before = torch.get_default_dtype(), torch.get_rng_state()
    method = Tensor.relu
    torch.set_default_dtype(dtype)
    try:
        learner = Learner(job.recipe, torch.device("cpu"))
        o = job.recipe.optimisation
        pack = open_pack([job.photographs], job.recipe.network.scale)
        data, network = job.recipe.data, job.recipe.network
        sampler = Sampler(pack, data, network, learner.device, o.seed)
        learner.content.random = sampler.random

        def batches(count: int) -> Iterator[tuple[Tensor, Tensor]]:
            for step in range(count):
                sampler.advance(step)
                low, high = (x.flip(0) if job.reverse else x for x in sampler.batch())
                yield low.to(dtype), high.to(dtype)

        sides = _watched(learner, job)
        if job.recipe.loss.vgg:
            learner.calibrate(batches(_CALIBRATION))
        learner.set_rate(o.learning_rate, o.ema)
        for low, high in batches(job.updates):
            sides.clear()
            terms = learner.update(low, high)
        sampler.close()
    finally:
        Tensor.relu = method  # type: ignore[method-assign]
        torch.set_default_dtype(before[0])
        torch.set_rng_state(before[1])
    found = {f"loss.{name}": ranks.mean(term) for name, term in terms.items()}
    for prefix in ("generator", "discriminator", "ema"):
        if (module := getattr(learner, prefix)) is not None:
            idle = set(_idle(module))
            for name, tensor in module.state_dict().items():
                kind = "idle." if name in idle else ""
                found[f"{kind}{prefix}.{name}"] = tensor.detach().clone()
            for name, parameter in module.named_parameters():
                if parameter.grad is not None:
                    found[f"gradient.{prefix}.{name}"] = parameter.grad
    found = {name: tensor for name, tensor in found.items() if tensor.is_floating_point()}
    return found | {f"side.{place}": side for place, side in enumerate(sides)}


_KINKED = nn.ReLU | nn.LeakyReLU | nn.PReLU | nn.MaxPool2d


def _watched(learner: Learner, job: Job) -> list[Tensor]:
    """Where the sides will stand of all that meets a kink; a job without them has none."""
    sides: list[Tensor] = []
    share = job.recipe.data.batch // ranks.count()
    method = Tensor.relu

    def note(module: nn.Module | None, inputs: tuple[Tensor]) -> None:
        side = inputs[0] > 0
        if isinstance(module, nn.MaxPool2d):
            side = max_pool2d(inputs[0], module.kernel_size, return_indices=True)[1]
        # a discriminator's dense layers take fakes and originals at once
        sides.extend(torch.split(side, share))

    def relu(x: Tensor) -> Tensor:
        note(None, (x,))
        return method(x) if job.kinks else x

    Tensor.relu = relu  # type: ignore[assignment,method-assign]
    for network in (learner.generator, learner.content, learner.discriminator):
        for module in [] if network is None else network.modules():
            if isinstance(module, _KINKED):
                module.register_forward_pre_hook(note)
                if not job.kinks:
                    _straighten(module)
    return sides


def _straighten(module: nn.Module) -> None:
    if isinstance(module, nn.LeakyReLU):
        module.negative_slope = 1.0
    elif isinstance(module, nn.PReLU):
        nn.init.ones_(module.weight)
    elif isinstance(module, nn.MaxPool2d):
        module.forward = nn.AvgPool2d(module.kernel_size).forward  # type: ignore[method-assign]
    else:
        module.forward = nn.Identity().forward


def _idle(network: nn.Module) -> Iterator[str]:
    """The biases that a batch norm subtracts again: their gradients are rounding and no more."""
    for outer, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            for (name, layer), (_, after) in pairwise(module.named_children()):
                if isinstance(after, nn.BatchNorm2d) and hasattr(layer, "bias"):
                    yield ".".join(filter(None, (outer, name, "bias")))


@contextmanager
def member(rank: int, count: int, folder: Path) -> Iterator[None]:
    """This process as one of so many that meet in a folder."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=count
    )
    yield
    dist.destroy_process_group()


def _member(rank: int, count: int, folder: Path, works: Sequence[Work]) -> None:
    with member(rank, count, folder):
        for place, work in enumerate(works):
            torch.save(work(), folder / f"{place}-{rank}.pt")


def in_processes(count: int, works: Sequence[Work]) -> list[list[dict[str, Tensor]]]:
    """What each work gives in each of so many processes that are one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = [
            PROCESSES.Process(target=_member, args=(rank, count, folder, works))
            for rank in range(count)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join()
        if any(process.exitcode for process in started):
            raise RuntimeError("a process failed; what it said stands above")
        return [
            [torch.load(folder / f"{place}-{rank}.pt") for rank in range(count)]
            for place in range(len(works))
        ]


@dataclass(frozen=True)
class Difference:
    """The largest of all weights and statistics, and those of gradients and losses, relative.

    A gradient's is over the largest of its network, generator or discriminator. `idle` is that of
    the biases before a batch norm, which change nothing that a network computes.
    """

    weights: float = 0.0
    idle: float = 0.0
    losses: float = 0.0
    gradients: float = 0.0


def difference(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Difference:
    """How far two results of `make` lie apart. Raises KeyError where one lacks something."""
    apart: dict[str, float] = defaultdict(float)
    largest: dict[str, float] = defaultdict(float)
    for name in a.keys() | b.keys():
        kind, _, rest = name.partition(".")
        if kind == "side":
            continue
        if kind == "gradient":
            kind = rest.partition(".")[0] + " gradients"
        elif kind not in ("loss", "idle"):
            kind = "weights"
        key = name if kind == "loss" else kind
        apart[key] = max(apart[key], float((a[name] - b[name]).abs().max()))
        largest[key] = max(largest[key], float(a[name].abs().max()))

    def relative(kind: str) -> float:
        found = (apart[key] / (largest[key] or 1.0) for key in apart if kind in key)
        return max(found, default=0.0)

    return Difference(apart["weights"], apart["idle"], relative("loss."), relative(" gradients"))


def changed_sides(one: Mapping[str, Tensor], *shares: Mapping[str, Tensor]) -> int:
    """How many activations are on the other side of the kink in processes with their shares."""
    return sum(
        int((side != torch.stack([share[name] for share in shares], 1).flatten(0, 1)).sum())
        for name, side in one.items()
        if name.startswith("side.")
    )


Row = dict[str, float | str]


def compare(recipe: Recipe, photographs: Path, updates: int) -> Row:
    """A recipe in one process and in two: a row of the results."""
    exact = Job(recipe, photographs, updates, "float64")
    first = Job(recipe, photographs, 1, "float32")
    smooth = replace(first, kinks=False)
    jobs = [exact, first, smooth]
    pairs = in_processes(2, [partial(make, job) for job in jobs])
    apart, started, smoothly = (
        difference(make(job), pair[0]) for job, pair in zip(jobs, pairs, strict=True)
    )
    between = difference(*pairs[0])
    one, reverse = make(first), make(replace(first, reverse=True))
    back = {name: x.flip(0) for name, x in reverse.items() if name.startswith("side.")}
    return {
        "recipe": recipe.name,
        "updates": updates,
        "weights": apart.weights,
        "idle": apart.idle,
        "ranks": max(between.weights, between.idle),
        "losses": started.losses,
        "smooth": smoothly.gradients,
        "gradients": started.gradients,
        "sides": changed_sides(one, *pairs[1]),
        "alone": difference(one, reverse).gradients,
        "sides alone": changed_sides(one, back),
    }


def missed(row: Row) -> list[str]:
    """The goals that a row misses, by the names of its figures."""
    goals = dict.fromkeys(("weights", "idle", "ranks"), GOALS["float64"])
    goals |= dict.fromkeys(("losses", "smooth"), GOALS["float32"])
    if not row["sides"]:
        goals["gradients"] = GOALS["float32"]
    return [name for name, goal in goals.items() if not float(row[name]) <= goal]


def main() -> int:
    """Compare, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(skimage.data.__file__).parent)
    parser.add_argument("--recipe", action="append", choices=list(SMALL))
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    origin = provenance()
    rows = []
    for name in options.recipe or SMALL:
        changes = {} if options.whole else SMALL[name]
        recipe = load_recipe(name, "paper", {**changes, "data.kept_aside": 0})
        updates = 1 if options.whole else UPDATES
        row = compare(recipe, options.data, updates)
        progress(f"{row}, missed: {missed(row)}")
        rows.append(row)
    met = not any(map(missed, rows))
    content = {**origin, "whole": options.whole, "rows": rows, "met": met}
    write_results(options.out, "ranks", content, "Two processes against one", lines(rows))
    print(options.out / "ranks.md")
    return 0 if met else 1


def lines(rows: Sequence[Row]) -> list[str]:
    """The report's text."""
    kinds = ("weights", "idle", "ranks", "losses", "smooth", "gradients", "alone")
    beside = {"gradients": "sides", "alone": "sides alone"}

    def cell(row: Row, kind: str) -> str:
        count = f" ({row[beside[kind]]})" if kind in beside else ""
        return f"{float(row[kind]):.1e}{count}"

    return [
        "The same batches in one process and in two, batch norm synchronised. In float64: the",
        "largest difference of any weight or statistic after the updates; that of the biases",
        "before a batch norm, which subtracts them again; that of any between the two processes.",
        "In fp32, of the first update: losses, relative, and the gradients of each network over",
        f"its largest. Goals: {GOALS['float64']:g} in float64, {GOALS['float32']:g} in fp32.",
        "",
        "ReLU and its like have a kink, and so has a max pooling. Where rounding takes activations",
        "to the other side (their number in brackets), gradients jump. So they do within one",
        "process that takes the crops in reverse, the last column: fp32 sets that floor. Gradients",
        "are held to the goal without kinks (slope 1, means for maxima), and as they are where no",
        "activation changes sides.",
        "",
        "| recipe | updates | float64 | idle biases | rank 0 and 1 | fp32 losses "
        "| gradients, no kinks | as they are | in one process |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['recipe']} | {row['updates']} | "
            + " | ".join(cell(row, kind) for kind in kinds)
            + " |"
            for row in rows
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
