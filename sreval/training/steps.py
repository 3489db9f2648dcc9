"""One update: the generator alone, or generator and discriminator in turn.

Nothing here waits for the device: what an update returns are tensors without dimensions that
stay where they are until the log asks for them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from sreval.networks.discriminator import Discriminator, OfPair
from sreval.networks.packing import packed
from sreval.networks.vgg import load_vgg
from sreval.training.losses import ContentLoss, discriminator_loss, generator_adversarial
from sreval.training.muon import Muon
from sreval.training.recipe import Recipe
from sreval.training.soap import Soap

Terms = dict[str, Tensor]
Module = TypeVar("Module", bound=nn.Module)

_HEADROOM = 64
"""What is left between gradients in fp16 and its largest number, 65504: a weight's gradient is a
sum over many places. SRResNet's largest, of four crops of 192, is 10,765 over the number of values.
"""


class Learner:
    """The networks, losses and optimisers of a recipe on one device, and their update."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        """Initialised from the recipe's seed. Raises WeightsError when VGG is missing."""
        self.recipe, self.device = recipe, device
        self.precision = recipe.optimisation.precision
        torch.manual_seed(recipe.optimisation.seed)
        self.generator = self._placed(recipe.network.build())
        vgg = load_vgg(tuple(recipe.loss.vgg)) if recipe.loss.vgg else None
        self.content = self._placed(ContentLoss(recipe.loss, vgg))
        self.optimiser = self._optimiser(self.generator)
        self.discriminator: Discriminator | None = None
        self.discriminator_optimiser: torch.optim.Adam | None = None
        if recipe.loss.adversarial:
            self.discriminator = self._placed(Discriminator(recipe.data.crop))
            self.discriminator_optimiser = self._adam(self.discriminator)
        self.ema: nn.Module | None = None
        if recipe.optimisation.ema:
            self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
            # state_dict() holds the very tensors that updates change in place
            self._averaged = tuple(self.ema.state_dict().values())
            self._current = tuple(self.generator.state_dict().values())
        self._step = torch.tensor(1 - recipe.optimisation.ema, device=device)
        self._run_generator = self._compiled(packed(self.generator))
        if self.discriminator is not None:
            # not compiled: a compiled pass computes every gradient in each of the two backwards
            self._run_discriminator = OfPair(self.discriminator)
        if self.content.vgg is not None:
            self.content.vgg = self._compiled(self.content.vgg)

    @property
    def result(self) -> nn.Module:
        """What is validated and exported: the average of the weights where one is kept."""
        return self.ema if self.ema is not None else self.generator

    def set_rate(self, rate: float, keep: float) -> None:
        """Set the learning rate of both optimisers, and what the average keeps of itself.

        On a CUDA device both are tensors, which a captured update reads anew each time.
        """
        self._step.fill_(1 - keep)
        for optimiser in (self.optimiser, self.discriminator_optimiser):
            for group in optimiser.param_groups if optimiser else ():
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def freeze_norm(self) -> None:
        """Let the generator's batch norms keep their statistics from here on."""
        for module in self.generator.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def compute_in_fp32(self) -> None:
        """Leave mixed precision from here on."""
        self.precision = "fp32"

    def start_from(self, network: nn.Module) -> None:
        """Give the generator, and the average where one is kept, another network's weights."""
        for own in (self.generator, self.ema):
            if own is not None:
                own.load_state_dict(network.state_dict())

    def calibrate(self, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
        """Set the factor of the VGG terms; see `ContentLoss.calibrate`."""
        with self.autocast():
            return self.content.calibrate(self.generator, batches)

    def update(self, low: Tensor, high: Tensor, generator_too: bool = True) -> Terms:
        """One update from a batch in the network's ranges; every loss term, detached.

        With a discriminator, generator and discriminator are updated once each; without
        `generator_too` the discriminator alone.
        """
        with self.autocast():
            sr, terms, loss = self._content(low, high)
        if self.discriminator is None:
            self._descend(loss, sr.numel())
        else:
            terms |= self._adversarial_update(sr, high, loss, generator_too)
        if self.ema is not None and generator_too:
            self._average()
        return {name: term.detach() for name, term in terms.items()}

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision where the recipe asks for it."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self.precision)
        with torch.autocast(self.device.type, kind, enabled=kind is not None):
            yield

    def _content(self, low: Tensor, high: Tensor) -> tuple[Tensor, Terms, Tensor]:
        weight = self.recipe.loss.recursion
        if not weight:
            sr, hr = self._signed((self._run_generator(low), high))
            terms = self.content(sr, hr)
            return sr, terms, self.content.total(terms)
        outputs: list[Tensor] = self.generator.outputs(low)  # type: ignore[operator]
        sr, hr = self._signed((self.generator.combine(outputs), high))  # type: ignore[operator]
        terms = self.content(sr, hr)
        recursion = torch.stack(
            [mse_loss(self._signed((o, high))[0].float(), hr) for o in outputs]
        ).mean()
        loss = self.content.total(terms) + weight * recursion
        return sr, {**terms, "recursion": recursion}, loss

    def _adversarial_update(
        self, sr: Tensor, hr: Tensor, content: Tensor, generator_too: bool
    ) -> Terms:
        """Both updates from one pass of the fakes through the discriminator.

        The generator's loss goes back through that pass to the images alone, the discriminator's
        to its weights alone. Each sees the other network as it was before the updates, as where
        the pass is repeated.
        """
        assert self.discriminator is not None
        assert self.discriminator_optimiser is not None
        with self.autocast():
            images = sr.detach().requires_grad_()
            fake, real = self._run_discriminator(images, hr)
            adversarial = generator_adversarial(fake)
            loss = discriminator_loss(real, fake)
        if generator_too:
            (slope,) = torch.autograd.grad(
                self.recipe.loss.adversarial * adversarial, images, retain_graph=True
            )
            self.optimiser.zero_grad()
            torch.autograd.backward([content, sr], [None, slope])
        weights = list(self.discriminator.parameters())
        self.discriminator_optimiser.zero_grad()
        loss.backward(inputs=weights)  # type: ignore[no-untyped-call]
        if generator_too:
            self.optimiser.step()
        self.discriminator_optimiser.step()
        return {
            "adversarial": adversarial,
            "discriminator": loss,
            "d_hr": real.float().sigmoid().mean(),
            "d_sr": fake.float().sigmoid().mean(),
        }

    def _descend(self, loss: Tensor, values: int) -> None:
        """An update by a loss that is a mean over so many values.

        Each value's share of the gradient is too small for fp16, so the loss is scaled by about
        their number before the pass back, and the gradient divided by it after: Micikevicius et
        al. 2018, Mixed precision training, section 3.2. A power of 2 costs no rounding.
        """
        self.optimiser.zero_grad()
        if self.precision != "fp16":
            loss.backward()  # type: ignore[no-untyped-call]
        else:
            scale = 2.0 ** (values // _HEADROOM).bit_length()
            (scale * loss).backward()  # type: ignore[no-untyped-call]
            gradients = [p.grad for p in self.generator.parameters() if p.grad is not None]
            torch._foreach_mul_(gradients, 1 / scale)
        self.optimiser.step()

    def _signed(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Both in [-1, 1], where the losses are taken."""
        low, high = self.recipe.network.output_range
        if (low, high) == (-1.0, 1.0):
            return pair
        a, b = ((2 * x.float() - (low + high)) / (high - low) for x in pair)
        return a, b

    @torch.no_grad()
    def _average(self) -> None:
        pairs = list(zip(self._averaged, self._current, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        old_floats, new_floats = zip(*floats, strict=True)
        steps = torch._foreach_sub(new_floats, old_floats)
        torch._foreach_mul_(steps, self._step)
        torch._foreach_add_(old_floats, steps)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)

    def _placed(self, module: Module) -> Module:
        return module.to(self.device).to(memory_format=torch.channels_last)

    def _optimiser(self, network: nn.Module) -> torch.optim.Optimizer:
        o = self.recipe.optimisation
        betas = o.beta1, o.beta2
        if o.optimiser == "muon":
            return Muon(network.parameters(), self._rate(), betas, momentum=o.beta1)
        if o.optimiser == "soap":
            return Soap(network.parameters(), o.learning_rate, betas, every=o.basis_every)
        return self._adam(network)

    def _adam(self, network: nn.Module) -> torch.optim.Adam:
        o = self.recipe.optimisation
        return torch.optim.Adam(
            network.parameters(),
            lr=self._rate(),
            betas=(o.beta1, o.beta2),
            weight_decay=o.weight_decay,
            fused=True,
            capturable=self.device.type == "cuda",
        )

    def _rate(self) -> float | Tensor:
        rate = self.recipe.optimisation.learning_rate
        return torch.tensor(rate, device=self.device) if self.device.type == "cuda" else rate

    def _compiled(self, network: Module) -> Module:
        mode = self.recipe.run.compile
        return network if mode == "off" else cast(Module, torch.compile(network, mode=mode))
