"""How many operations a program makes, and how many a second a device can make and does make."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from sreval.networks.cost import MultiplyAdds
from sreval.training.learner import Learner, Updates
from sreval.training.packs import Photographs
from sreval.training.recipe import Recipe
from sreval.training.sampler import Sampler


def rate(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Runs per second, after some that don't count (compiling, autotuning) and one wait."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        run()
    wait()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        # the device waits for nobody: no look at the clock after every run
        for _ in range(max(1, done // 10)):
            run()
            done += 1
        wait()
    return done / (time.perf_counter() - start)


def matrix_peak(device: torch.device, seconds: float) -> float:
    """TFLOP/s of one large product in bf16."""
    size = 8192 if device.type == "cuda" else 256
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 * rate(lambda: a @ b, device, seconds) / 1e12


def training_speed(
    recipe: Recipe,
    pack: Photographs,
    device: torch.device,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Updates per second as `sreval train` makes them, and the operations of one.

    Batches are cut from the pack; `captured` says whether the updates are one CUDA graph.
    """

    def learner(compiled: str) -> tuple[Learner, Sampler]:
        run = recipe.run.model_copy(update={"compile": compiled})
        made = Learner(recipe.model_copy(update={"run": run}), device)
        made.set_rate(recipe.optimisation.learning_rate, recipe.optimisation.ema)
        return made, Sampler(pack, recipe.data, recipe.network, device, 0)

    # what is compiled shows no operations
    plain, sampler = learner("off")
    with MultiplyAdds() as counter:
        plain.update(*sampler.batch())
    del plain
    updates = Updates(*learner(recipe.run.compile), say)
    per_second = rate(updates, device, seconds)
    return {
        "captured": updates.captures,
        "updates_per_second": per_second,
        "gflop": 2 * counter.total / 1e9,
    }
