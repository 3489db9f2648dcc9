"""An update against the same written out plainly; updates one after the other, what is summed up,
what is frozen, what the losses are shown."""

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
from sreval.training.learner import Learner, Updates
from sreval.training.losses import ContentLoss
from sreval.training.packs import open_pack
from sreval.training.recipe import Loss, Recipe
from sreval.training.sampler import Sampler

CPU = torch.device("cpu")
MakeRecipe = Callable[..., Recipe]
ADVERSARIAL = {"mse": 1.0, "adversarial": 1e-3}
GAN = {"loss": {"mse": 1.0, "adversarial": 0.1}}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(9)
    return torch.rand(3, 3, 8, 8), 2 * torch.rand(3, 3, 32, 32) - 1


def plain_gan_update(
    generator: torch.nn.Module, discriminator: torch.nn.Module, low: torch.Tensor, hr: torch.Tensor
) -> None:
    """Generator first, then discriminator on the same fakes, every pass made anew."""
    g = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.9, 0.999))
    d = torch.optim.Adam(discriminator.parameters(), 1e-3, betas=(0.9, 0.999))
    sr = generator(low)
    loss = ((sr - hr) ** 2).mean() - 0.1 * discriminator(sr).sigmoid().log().mean()
    loss.backward()
    g.step()
    discriminator.zero_grad()
    real, fake = discriminator(hr).sigmoid(), discriminator(sr.detach()).sigmoid()
    (-real.log().mean() - (1 - fake).log().mean()).backward()
    d.step()


def test_one_pass_of_the_fakes_gives_the_plain_update(make_recipe: MakeRecipe) -> None:
    learner = Learner(make_recipe(**GAN), CPU)
    assert learner.discriminator is not None
    # Adam's first update follows the sign of each slope, however small: float64 keeps it
    learner.generator.double()
    learner.discriminator.double()
    generator, discriminator = (
        copy.deepcopy(network) for network in (learner.generator, learner.discriminator)
    )
    low, hr = (images.double() for images in batch())
    plain_gan_update(generator, discriminator, low, hr)
    learner.update(low, hr)
    for ours, plain in ((learner.generator, generator), (learner.discriminator, discriminator)):
        for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
            # biases before a batch norm have no slope but rounding, which Adam blows up
            if name.endswith("weight"):
                assert torch.allclose(a, b, atol=2e-4), name


def test_discriminator_alone_leaves_the_generator(make_recipe: MakeRecipe) -> None:
    learner = Learner(make_recipe(**GAN), CPU)
    assert learner.discriminator is not None
    before = [p.clone() for p in learner.generator.parameters()]
    other = [p.clone() for p in learner.discriminator.parameters()]
    terms = learner.update(*batch(), generator_too=False)
    assert all(
        torch.equal(a, b) for a, b in zip(before, learner.generator.parameters(), strict=True)
    )
    assert not torch.equal(other[0], next(learner.discriminator.parameters()))
    assert {"mse", "adversarial", "discriminator", "d_hr", "d_sr"} == set(terms)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_loss_falls_on_one_batch(make_recipe: MakeRecipe, precision: str) -> None:
    options = {"updates": 1, "learning_rate": 1e-2, "precision": precision}
    learner = Learner(make_recipe(optimisation=options), CPU)
    low = torch.rand(3, 3, 8, 8)
    hr = 2 * low.repeat_interleave(4, 2).repeat_interleave(4, 3) - 1
    losses = [float(learner.update(low, hr)["mse"]) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(("precision", "within"), [("bf16", 2**-4), ("fp16", 2**-7)])
def test_gradients_of_mixed_precision_are_those_of_fp32_but_for_their_bits(
    make_recipe: MakeRecipe, precision: str, within: float
) -> None:
    """Four bits of rounding add up on the way: of 8 bits four are left, of 11 seven."""

    def gradient(precision: str) -> torch.Tensor:
        options = {"updates": 1, "learning_rate": 1e-30, "precision": precision}
        learner = Learner(make_recipe(optimisation=options), CPU)
        learner.freeze_norm()
        learner.update(low, high)
        return torch.cat(
            [p.grad.flatten() for p in learner.generator.parameters() if p.grad is not None]
        )

    low, high = batch()
    exact = gradient("fp32")
    assert (gradient(precision) - exact).norm() < within * exact.norm()


def test_average_is_the_running_mean_of_the_weights(make_recipe: MakeRecipe) -> None:
    options = {"updates": 1, "learning_rate": 1e-2, "ema": 0.75}
    learner = Learner(make_recipe(optimisation=options), CPU)
    name = "output.weight"
    wanted = learner.generator.state_dict()[name].clone()
    for _ in range(3):
        learner.update(*batch())
        wanted = 0.75 * wanted + 0.25 * learner.generator.state_dict()[name]
    assert torch.allclose(learner.result.state_dict()[name], wanted, atol=1e-6)
    assert int(learner.result.state_dict()["tail.1.num_batches_tracked"]) == 3


def test_recursions_are_supervised(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(
        network={"name": "drcn", "recursions": 3, "channels": 4},
        loss={"mse": 0.5, "recursion": 0.5},
    )
    learner = Learner(recipe, CPU)
    low, high = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        outputs = learner.generator.outputs(low)  # type: ignore[operator]
    wanted = torch.stack([4 * ((o - high) ** 2).mean() for o in outputs]).mean()
    terms = learner.update(low, high)
    assert float(terms["recursion"]) == pytest.approx(float(wanted), rel=1e-5)


def test_same_seed_same_start(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    a, b = Learner(recipe, CPU), Learner(recipe, CPU)
    pairs = zip(a.generator.parameters(), b.generator.parameters(), strict=True)
    assert all(torch.equal(x, y) for x, y in pairs)


def updates(recipe: Recipe, photographs: Path) -> Updates:
    pack = open_pack([photographs], 4)
    learner = Learner(recipe, CPU)
    return Updates(learner, Sampler(pack, recipe.data, recipe.network, CPU, 0), lambda _: None)


def test_means_are_of_the_updates_since_the_sums_were_cleared(
    make_recipe: MakeRecipe, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(loss=ADVERSARIAL, data={"crop": 16, "batch": 3})
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
            make_recipe(loss=ADVERSARIAL, optimisation={"updates": 6, "precision": precision}),
            photographs,
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
    learner = Learner(make_recipe(loss=ADVERSARIAL), CPU)
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
    monkeypatch.setattr("sreval.training.learner.load_vgg", VGGFeatures)
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
    Learner(make_recipe(loss=ADVERSARIAL), CPU)
    assert not compiled


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_batch_in_parts_is_the_whole_batch(make_recipe: MakeRecipe, precision: str) -> None:
    """Where no batch norm sees the parts. fp16 scales its loss, here too, where all is float64."""
    low, high = torch.rand(6, 1, 8, 8), torch.rand(6, 1, 32, 32)
    found = []
    for parts in (1, 3):
        learner = Learner(
            make_recipe(
                network={"name": "drcn", "recursions": 2, "channels": 4},
                data={"crop": 32, "batch": 6},
                optimisation={"updates": 1, "precision": precision, "accumulate": parts},
            ),
            CPU,
        )
        learner.generator.double()
        terms = learner.update(low.double(), high.double())
        slopes = [p.grad.flatten() for p in learner.generator.parameters() if p.grad is not None]
        found.append((torch.cat(slopes), terms["mse"]))
    (whole, loss), (parts_, mean) = found
    assert (whole - parts_).norm() < 1e-12 * whole.norm()
    assert float(mean) == pytest.approx(float(loss), rel=1e-12)


def test_both_networks_of_a_gan_learn_from_all_parts(make_recipe: MakeRecipe) -> None:
    options = {"updates": 1, "learning_rate": 1e-3}
    whole, parts = (
        Learner(
            make_recipe(
                loss=ADVERSARIAL,
                data={"crop": 32, "batch": 3 * count},
                optimisation=options | {"accumulate": count},
            ),
            CPU,
        )
        for count in (1, 2)
    )
    low, high = batch()
    # the same crops twice, so that batch norm sees in each part what it sees in the whole
    whole.update(low, high)
    parts.update(torch.cat([low, low]), torch.cat([high, high]))
    for name in ("generator", "discriminator"):
        pairs = zip(
            getattr(whole, name).parameters(), getattr(parts, name).parameters(), strict=True
        )
        for a, b in pairs:
            assert a.grad is not None
            assert b.grad is not None
            assert (a.grad - b.grad).abs().max() <= 1e-5 * a.grad.abs().max() + 1e-9
