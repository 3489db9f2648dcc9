"""Updates one after the other: what is summed up, what is frozen, what the losses are shown."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sreval.networks.discriminator import OfPair
from sreval.networks.vgg import VGGFeatures
from sreval.training.losses import ContentLoss
from sreval.training.pack import open_pack
from sreval.training.recipe import Loss, Recipe
from sreval.training.sampler import Sampler
from sreval.training.steps import Learner
from sreval.training.updates import Updates

CPU = torch.device("cpu")
MakeRecipe = Callable[..., Recipe]
GAN = {"mse": 1.0, "adversarial": 1e-3}


def updates(recipe: Recipe, photographs: Path) -> Updates:
    pack = open_pack([photographs], 4)
    learner = Learner(recipe, CPU)
    return Updates(learner, Sampler(pack, recipe.data, recipe.network, CPU, 0), lambda _: None)


def test_means_are_of_the_updates_since_the_sums_were_cleared(
    make_recipe: MakeRecipe, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(loss=GAN, data={"crop": 16, "batch": 3})
    made = updates(recipe, photographs)
    update, seen = made.learner.update, []

    def recorded(*given: Any) -> dict[str, Tensor]:
        terms = update(*given)
        seen.append({name: float(term) for name, term in terms.items()})
        return terms

    def means(of: list[dict[str, float]]) -> Any:
        return pytest.approx({n: sum(t[n] for t in of) / len(of) for n in of[0]}, rel=1e-6)

    monkeypatch.setattr(made.learner, "update", recorded)
    assert made.means(made.window) == {}
    for _ in range(3):
        made()
    assert made.means(made.window) == made.means(made.unjudged) == means(seen)
    made.window.clear()
    assert made.means(made.window) == {}
    made()
    made(generator_too=False)
    assert (made.window.count, made.unjudged.count) == (2, 5)
    assert made.means(made.window) == means(seen[3:])
    assert made.means(made.unjudged) == means(seen)
    made.unjudged.clear()
    made()
    assert made.means(made.window) == means(seen[3:])
    assert made.means(made.unjudged) == means(seen[5:])


def norm(learner: Learner) -> nn.BatchNorm2d:
    return next(m for m in learner.generator.modules() if isinstance(m, nn.BatchNorm2d))


def test_frozen_statistics_stand_still_while_factor_and_offset_learn(
    make_recipe: MakeRecipe, photographs: Path
) -> None:
    made = updates(make_recipe(), photographs)

    def change() -> list[bool]:
        module = norm(made.learner)
        assert module.running_mean is not None
        assert module.running_var is not None
        tensors = (module.running_mean, module.running_var, module.weight, module.bias)
        before = [tensor.clone() for tensor in tensors]
        made()
        return [not torch.equal(a, b) for a, b in zip(before, tensors, strict=True)]

    assert change() == [True, True, True, True]
    made.freeze_norm()
    assert change() == [False, False, True, True]


def test_a_run_in_bf16_goes_on_in_fp32_as_one_that_was_never_in_bf16(
    make_recipe: MakeRecipe, photographs: Path
) -> None:
    made, exact = (
        updates(
            make_recipe(loss=GAN, optimisation={"updates": 6, "precision": precision}), photographs
        )
        for precision in ("bf16", "fp32")
    )
    made()
    made.compute_in_fp32()
    exact.learner.generator.load_state_dict(made.learner.generator.state_dict())
    for name in ("discriminator", "optimiser", "discriminator_optimiser"):
        state = copy.deepcopy(getattr(made.learner, name).state_dict())
        getattr(exact.learner, name).load_state_dict(state)
    exact.sampler.random.set_state(made.sampler.random.get_state())
    for run in (made, exact):
        run.window.clear()
        run()
    assert made.means(made.window) == exact.means(exact.window)
    a, b = (run.learner.generator.state_dict() for run in (made, exact))
    assert all(torch.equal(a[name], b[name]) for name in a)


class Ramp(nn.Module):
    """In VGG's place: it keeps what it is shown."""

    names = ("vgg22",)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> tuple[Tensor]:
        self.seen.append(x)
        return (x,)


def test_both_images_are_moved_by_the_same_place_and_all_places_come_up() -> None:
    vgg = Ramp()
    content = ContentLoss(Loss(vgg22=1.0, vgg_moves=True), vgg)  # type: ignore[arg-type]
    content.random = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    sr = (100 * rows + columns).expand(2, 3, 32, 32)
    places = set()
    for _ in range(3000):
        content(sr, sr + 0.5)
        original, seen = vgg.seen
        vgg.seen.clear()
        assert torch.equal(original, seen + 0.5)
        place = int(seen[0, 0, 0, 0])
        places.add(divmod(place, 100))
        top, left = divmod(place, 100)
        assert torch.equal(seen, sr[:, :, top : top + 16, left : left + 16])
    assert places == {(top, left) for top in range(16) for left in range(16)}


def test_moves_are_drawn_with_the_batches(make_recipe: MakeRecipe, photographs: Path) -> None:
    made = updates(make_recipe(), photographs)
    assert made.learner.content.random is made.sampler.random


class Slopes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts which gradients of some convolutions are computed: of images, of weights."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.own = {m.weight.data_ptr() for m in module.modules() if isinstance(m, nn.Conv2d)}
        self.images = self.weights = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.convolution_backward.default and args[2].data_ptr() in self.own:
            self.images += args[-1][0]
            self.weights += args[-1][1]
        return func(*args, **(kwargs or {}))


def test_the_discriminator_is_not_differentiated_twice(make_recipe: MakeRecipe) -> None:
    learner = Learner(make_recipe(loss=GAN), CPU)
    assert learner.discriminator is not None
    low, high = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 32, 32)
    with Slopes(learner.discriminator) as slopes:
        learner.update(low, high)
    # eight convolutions; the weights' gradients once for fakes and once for originals
    assert slopes.weights == 2 * 8
    # down to the fakes for the generator, and between the layers of both for the weights
    assert slopes.images == 8 + 2 * 7


def test_generator_and_vgg_are_compiled_and_the_discriminator_is_not(
    make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []

    def compile_(module: nn.Module, mode: str) -> nn.Module:
        assert mode == "default"
        compiled.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr("sreval.training.steps.load_vgg", VGGFeatures)
    learner = Learner(
        make_recipe(loss={"vgg22": 1.0, "adversarial": 1e-3}, run={"compile": "default"}), CPU
    )
    inside = {module for each in compiled for module in each.modules()}
    assert set(learner.generator.modules()) <= inside
    assert learner.content.vgg in inside
    assert learner.discriminator is not None
    assert not inside & set(learner.discriminator.modules())
    assert type(learner._run_discriminator) is OfPair
    compiled.clear()
    Learner(make_recipe(loss=GAN), CPU)
    assert not compiled
