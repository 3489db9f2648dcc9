"""An update against the same update written out plainly, each pass where the paper has it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from sreval.training.recipe import Recipe
from sreval.training.steps import Learner

CPU = torch.device("cpu")
MakeRecipe = Callable[..., Recipe]
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
