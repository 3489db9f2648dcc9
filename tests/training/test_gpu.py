"""The same run on a CUDA device: it learns, resumes, and never waits for the device in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sreval.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from sreval.training.learner import Learner, Updates
from sreval.training.packs import open_pack
from sreval.training.recipe import Recipe
from sreval.training.sampler import Sampler

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


GAN = {"mse": 1.0, "adversarial": 1e-3}


def updates(recipe: Recipe, photographs: Path, said: list[str]) -> Updates:
    made = Updates(*parts(recipe, photographs), said.append)
    made.learner.set_rate(recipe.optimisation.learning_rate, 0.9)
    return made


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
@pytest.mark.parametrize("loss", [{"mse": 1.0}, GAN])
def test_a_captured_update_is_an_update(
    make_recipe: MakeRecipe, photographs: Path, loss: dict[str, float], optimiser: str
) -> None:
    runs = []
    said: list[str] = []
    for graph in (True, False):
        recipe = make_recipe(
            loss=loss,
            optimisation={
                "updates": 9,
                "learning_rate": 1e-3,
                "ema": 0.9,
                "optimiser": optimiser,
                "beta1": 0.9,
            },
            run={"graph": graph},
        )
        run = updates(recipe, photographs, said)
        for _ in range(9):
            run()
        assert run.captures == graph, said
        runs.append(run)
    captured, plain = runs
    assert captured.means(captured.window) == pytest.approx(plain.means(plain.window), rel=1e-3)
    weights = [run.learner.result.state_dict() for run in runs]
    for name, wanted in weights[1].items():
        assert torch.allclose(weights[0][name].float(), wanted.float(), atol=1e-3), name
    # both have drawn as much: the next batches are the same
    assert torch.equal(captured.sampler.batch()[0], plain.sampler.batch()[0])


def test_a_captured_update_heeds_the_rate(make_recipe: MakeRecipe, photographs: Path) -> None:
    run = updates(make_recipe(loss=GAN), photographs, [])
    for _ in range(5):
        run()
    before = [p.clone() for p in run.learner.generator.parameters()]
    run.learner.set_rate(0.0, 0.9)
    run()
    after = list(run.learner.generator.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    run.learner.set_rate(1e-3, 0.9)
    run()
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_both_kinds_of_update_are_captured(make_recipe: MakeRecipe, photographs: Path) -> None:
    said: list[str] = []
    run = updates(make_recipe(loss=GAN), photographs, said)
    for generator_too in [False] * 5 + [True] * 5:
        run(generator_too)
    assert len(run._replay) == 2, said
    assert run.window.count == 10


def test_mixed_precision_leaves_the_image_in_fp32(
    make_recipe: MakeRecipe, photographs: Path
) -> None:
    recipe = make_recipe(
        optimisation={"updates": 1, "learning_rate": 1e-3, "precision": "bf16"},
    )
    learner, sampler = parts(recipe, photographs)
    with learner.autocast():
        assert learner._run_generator(sampler.batch()[0]).dtype == torch.float32


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
