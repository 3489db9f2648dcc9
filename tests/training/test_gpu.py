"""The same run on a CUDA device: it learns, resumes, and never waits for the device in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sreval.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from sreval.training.pack import open_pack
from sreval.training.recipe import Recipe
from sreval.training.sampler import Sampler
from sreval.training.steps import Learner

MakeRecipe = Callable[..., Recipe]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def parts(recipe: Recipe, photographs: Path) -> tuple[Learner, Sampler]:
    device = torch.device("cuda")
    pack = open_pack([photographs], 4)
    return Learner(recipe, device), Sampler(pack, recipe.data, recipe.network, device, 0)


@pytest.mark.parametrize("compile_mode", ["off", "default"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns(
    make_recipe: MakeRecipe, photographs: Path, precision: str, compile_mode: str
) -> None:
    recipe = make_recipe(
        loss={"mse": 1.0, "adversarial": 1e-3},
        optimisation={"updates": 1, "learning_rate": 1e-3, "precision": precision, "ema": 0.9},
        run={"compile": compile_mode},
    )
    learner, sampler = parts(recipe, photographs)
    losses = torch.stack([learner.update(*sampler.batch())["mse"] for _ in range(60)])
    assert float(losses[-5:].mean()) < 0.8 * float(losses[:5].mean())


def test_an_update_does_not_wait_for_the_device(make_recipe: MakeRecipe, photographs: Path) -> None:
    learner, sampler = parts(make_recipe(loss={"mse": 1.0, "adversarial": 1e-3}), photographs)
    learner.update(*sampler.batch())
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.update(*sampler.batch())
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_checkpoint_brings_it_all_back(
    make_recipe: MakeRecipe, photographs: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(loss={"mse": 1.0, "adversarial": 1e-3})
    learner, sampler = parts(recipe, photographs)
    learner.update(*sampler.batch())
    path = save_checkpoint(tmp_path, learner, sampler.random, Progress(step=1), "data")
    low, _ = sampler.batch()
    other, again = parts(recipe, photographs)
    load_checkpoint(path, other, again.random, "data")
    assert torch.equal(again.batch()[0], low)
    for a, b in zip(learner.generator.parameters(), other.generator.parameters(), strict=True):
        assert torch.equal(a, b)
