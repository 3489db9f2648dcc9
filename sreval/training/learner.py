"""One update after the other, as fast as the device goes: networks, losses and optimisers.

`Learner` makes an update from a batch: the generator alone, or generator and discriminator in
turn. `Updates` draws the batch, and sums up the loss terms. On a CUDA device it captures the whole
update (the batch drawn, both passes, the optimisers' steps, the average) as a graph after a few
updates and replays it from then on: of the hundreds of kernels in an update most take less time
than the host needs to launch them. Nothing here waits for the device: loss terms are tensors
without dimensions that stay where they are until the log asks for them.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.nn.parallel import DistributedDataParallel

from sreval.config import CLOSED
from sreval.devices import convolutions
from sreval.errors import TrainingError
from sreval.networks.architecture import OwnArchitecture
from sreval.networks.discriminator import Discriminator, OfPair
from sreval.networks.drcn import DRCN, Supervised
from sreval.networks.layers import at_least_fp32, in_channels_last
from sreval.networks.own import Term, copied, make_term, require_storable, try_network, try_term
from sreval.networks.srresnet import packed
from sreval.networks.vgg import load_vgg
from sreval.training.batch_norm import synchronise
from sreval.training.losses import ContentLoss, discriminator_loss, generator_adversarial
from sreval.training.muon import Muon
from sreval.training.ranks import count, mean, rank
from sreval.training.recipe import Recipe
from sreval.training.sampler import Sampler
from sreval.training.soap import Soap

Terms = dict[str, Tensor]
Module = TypeVar("Module", bound=nn.Module)

_HEADROOM = 64
"""What is left between gradients in fp16 and its largest number, 65504: a weight's gradient is a
sum over many places. SRResNet's largest, of four crops of 192, is 10,765 over the number of values.
"""

_FIRST = 3
"""Updates before a capture: they make what is made once, such as the optimisers' state."""

_AHEAD = 8
"""Updates that the host may be ahead of a CUDA device. A clock on the host is then that much off
at most, and the device never waits."""


class Learner:
    """The networks, losses and optimisers of a recipe on one device, and their update."""

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        network: nn.Module | None = None,
        losses: Mapping[str, Term] = {},
    ) -> None:
        """Initialised from the recipe's seed.

        A copy of a given `network` takes the place of what the recipe's name would make, and
        `losses` that of the functions which its own terms name. Raises WeightsError when VGG is
        missing, UsageError for code of the user's own that can't be trained.
        """
        self.recipe, self.device = recipe, device
        self.precision = recipe.optimisation.precision
        torch.manual_seed(recipe.optimisation.seed)
        if network is None:
            self.generator = self._placed(recipe.network.build())
        else:
            require_storable(network, recipe.network.name)
            self.generator = self._placed(copied(network, recipe.network.name).train())
        vgg = load_vgg(tuple(recipe.loss.vgg)) if recipe.loss.vgg else None
        self.content = self._placed(ContentLoss(recipe.loss, vgg, self._own_terms(losses)))
        if isinstance(recipe.network, OwnArchitecture):
            with self.autocast():
                side = recipe.data.crop // recipe.network.scale
                try_network(self.generator, recipe.network, side, device)
        self.optimiser = self._optimiser(self.generator)
        self.discriminator: Discriminator | None = None
        self._run_discriminator: nn.Module | None = None
        self.discriminator_optimiser: torch.optim.Adam | None = None
        if recipe.loss.adversarial:
            self.discriminator = self._placed(Discriminator(recipe.data.crop))
            self.discriminator_optimiser = self._adam(self.discriminator)
        self.ema: nn.Module | None = None
        if recipe.optimisation.ema:
            self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
            # state_dict() holds the very tensors that updates change in place
            self._averaged = _distinct(self.ema)
            self._current = _distinct(self.generator)
        self._step = torch.tensor(1 - recipe.optimisation.ema, device=device)
        run: nn.Module = packed(self.generator)
        if recipe.loss.recursion:
            assert isinstance(self.generator, DRCN)
            run = Supervised(self.generator)
        self._run_generator = self._distributed(self._compiled(run))
        if self.discriminator is not None:
            # not compiled: a compiled pass computes every gradient in each of the two backwards
            self._run_discriminator = self._distributed(OfPair(self.discriminator))
        if self.content.vgg is not None:
            self.content.vgg = self._compiled(self.content.vgg)
        if rank():
            # what networks draw themselves, such as dropout's places
            torch.manual_seed(recipe.optimisation.seed + rank())

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
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def compute_in_fp32(self) -> None:
        """Leave mixed precision from here on."""
        self.precision = "fp32"

    def start_from(self, network: nn.Module) -> None:
        """Give the generator, and the average where one is kept, another network's weights."""
        for own in (self.generator, self.ema):
            if own is not None:
                own.load_state_dict(network.state_dict())

    def calibrate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
        """Set the factor of the VGG terms; see `ContentLoss.calibrate`."""
        with self.autocast():
            return self.content.calibrate(self.generator, batches)

    def update(self, low: Tensor, high: Tensor, generator_too: bool = True) -> Terms:
        """One update from a batch in the network's ranges; every loss term, detached.

        With a discriminator, generator and discriminator are updated once each; without
        `generator_too` the discriminator alone. Of several processes each gives its share of a
        batch, and all have the gradients of the whole.
        """
        parts = self.recipe.optimisation.accumulate
        scale = self._scale(high.numel() // parts)
        optimisers: list[torch.optim.Optimizer] = [self.optimiser] if generator_too else []
        if self.discriminator_optimiser is not None:
            optimisers.append(self.discriminator_optimiser)
        for optimiser in optimisers:
            optimiser.zero_grad()
        found: list[Terms] = []
        for low_part, high_part in zip(low.chunk(parts), high.chunk(parts), strict=True):
            with self._exchange(last=len(found) == parts - 1):
                found.append(self._add_gradients(low_part, high_part, generator_too, scale))
        for optimiser in optimisers:
            _divide(optimiser, parts * scale)
        for optimiser in optimisers:
            optimiser.step()
        if self.ema is not None and generator_too:
            self._average()
        names = found[0]
        if parts == 1:
            return {name: term.detach() for name, term in names.items()}
        return {name: torch.stack([t[name].detach() for t in found]).mean() for name in names}

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision where the recipe asks for it."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self.precision)
        with torch.autocast(self.device.type, kind, enabled=kind is not None):
            yield

    def _scale(self, values: int) -> float:
        """What a loss that is a mean over so many values is multiplied by before the pass back.

        Each value's share of the gradient is too small for fp16, so the loss is scaled by about
        their number before the pass back, and the gradient divided by it after: Micikevicius et
        al. 2018, Mixed precision training, section 3.2. A power of 2 costs no rounding.
        """
        return 2.0 ** (values // _HEADROOM).bit_length() if self.precision == "fp16" else 1.0

    @contextmanager
    def _exchange(self, *, last: bool) -> Iterator[None]:
        """Within, several processes keep their gradients to themselves but for the last part."""
        with ExitStack() as stack:
            for module in (self._run_generator, self._run_discriminator):
                if isinstance(module, DistributedDataParallel) and not last:
                    stack.enter_context(module.no_sync())
            yield

    def _add_gradients(self, low: Tensor, high: Tensor, generator_too: bool, scale: float) -> Terms:
        """Add the gradients of some crops to those that are there; every loss term."""
        with self.autocast():
            sr, terms, loss = self._content(low, high)
        if self.discriminator is None:
            loss = loss if scale == 1 else scale * loss
            loss.backward()  # type: ignore[no-untyped-call]
            return terms
        return terms | self._add_adversarial(sr, high, loss, generator_too)

    def _content(self, low: Tensor, high: Tensor) -> tuple[Tensor, Terms, Tensor]:
        weight = self.recipe.loss.recursion
        made = self._run_generator(low)
        result, outputs = made if weight else (made, [])
        sr, hr = self._signed((result, high))
        terms = self.content(sr, hr)
        loss = self.content.total(terms)
        if not weight:
            return sr, terms, loss
        recursion = torch.stack(
            [mse_loss(at_least_fp32(self._signed((o, high))[0]), hr) for o in outputs]
        ).mean()
        return sr, {**terms, "recursion": recursion}, loss + weight * recursion

    def _add_adversarial(
        self, sr: Tensor, hr: Tensor, content: Tensor, generator_too: bool
    ) -> Terms:
        """The gradients of both from one pass of the fakes through the discriminator.

        The generator's loss goes back through that pass to the images alone, the discriminator's
        to its weights alone. Each sees the other network as it was before the updates, as where
        the pass is repeated.
        """
        assert self.discriminator is not None
        assert self._run_discriminator is not None
        with self.autocast():
            images = sr.detach().requires_grad_()
            fake, real = self._run_discriminator(images, hr)
            adversarial = generator_adversarial(fake)
            loss = discriminator_loss(real, fake)
        if generator_too:
            (slope,) = torch.autograd.grad(
                self.recipe.loss.adversarial * adversarial, images, retain_graph=True
            )
            torch.autograd.backward([content, sr], [None, slope])
        weights = list(self.discriminator.parameters())
        loss.backward(inputs=weights)  # type: ignore[no-untyped-call]
        return {
            "adversarial": adversarial,
            "discriminator": loss,
            "d_hr": at_least_fp32(real).sigmoid().mean(),
            "d_sr": at_least_fp32(fake).sigmoid().mean(),
        }

    def _signed(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Both in [-1, 1], where the losses are taken."""
        low, high = self.recipe.network.output_range
        if (low, high) == (-1.0, 1.0):
            return pair
        a, b = ((2 * at_least_fp32(x) - (low + high)) / (high - low) for x in pair)
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
        if self.recipe.optimisation.batch_norm == "synchronised" and count() > 1:
            synchronise(module)
        return in_channels_last(module.to(self.device))

    def _own_terms(self, given: Mapping[str, Term]) -> dict[str, Term]:
        """The user's own loss terms by their names, on the device, each called once."""
        terms: dict[str, Term] = {}
        side = self.recipe.data.crop
        shape = 2, 3 if self.recipe.network.colour == "rgb" else 1, side, side
        for name, own in self.recipe.loss.own_terms.items():
            term = given[name] if name in given else make_term(own.term)
            if isinstance(term, nn.Module):
                term = copied(term, own.term).to(self.device).eval().requires_grad_(False)
            try_term(term, own.term, shape, self.device)
            terms[name] = term
        return terms

    def _distributed(self, network: nn.Module) -> nn.Module:
        """A network whose gradients are means over the processes."""
        if count() == 1:
            return network
        # of statistics that batch norm takes per rank, rank 0's count everywhere
        unused = bool(self.recipe.network.own)  # a network of the user's may leave weights out
        return DistributedDataParallel(network, find_unused_parameters=unused)

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


def _distinct(network: nn.Module) -> tuple[Tensor, ...]:
    """The tensors of a network's state, each once: weights that layers share have several names."""
    tensors = network.state_dict(keep_vars=True).values()
    return tuple({id(tensor): tensor.detach() for tensor in tensors}.values())


def _divide(optimiser: torch.optim.Optimizer, by: float) -> None:
    """Divide the gradients of all that an optimiser changes."""
    if by != 1:
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_mul_(gradients, 1 / by)


@dataclass
class Summed:
    """What a checkpoint holds of `Sums`: `terms` by name, the means of all processes' sums."""

    __pydantic_config__ = CLOSED

    count: int = 0
    terms: dict[str, float] = field(default_factory=dict)


class Sums:
    """The terms of some updates, added up on the device. `count` is how many."""

    def __init__(self) -> None:
        self.count = 0
        self.total: Tensor | None = None

    def clear(self) -> None:
        """Begin anew."""
        self.count = 0
        if self.total is not None:
            self.total.zero_()


class Updates:
    """Calling it makes one update of a learner with a batch of a sampler.

    The terms are added to `window`, the updates since the last row of the log, and to `unjudged`,
    those since the loss was last judged.
    """

    def __init__(self, learner: Learner, sampler: Sampler, say: Callable[[str], None]) -> None:
        self.learner, self.sampler, self.say = learner, sampler, say
        self.names: tuple[str, ...] = ()
        self.window, self.unjudged = Sums(), Sums()
        learner.content.random = sampler.random
        one = count() == 1  # a captured exchange would need NCCL, and all to capture alike
        self.captures = learner.device.type == "cuda" and learner.recipe.run.graph and one
        self._made = {True: 0, False: 0}
        self._replay: dict[bool, Callable[[], None]] = {}
        self._pending: deque[torch.cuda.Event] = deque()
        self._stream = torch.cuda.Stream(learner.device) if self.captures else None  # type: ignore[no-untyped-call]

    def __call__(self, generator_too: bool = True) -> None:
        """One update; with a discriminator and without `generator_too`, of that alone."""
        if generator_too in self._replay:
            self._replay[generator_too]()
        elif self._stream is None:
            with self._settings():
                self._update(generator_too)
        else:
            self._before_capture(generator_too, self._stream)
        for sums in (self.window, self.unjudged):
            sums.count += 1
        self._keep_close()

    def freeze_norm(self) -> None:
        """Freeze the generator's batch norms."""
        self.learner.freeze_norm()
        self._capture_anew()

    def compute_in_fp32(self) -> None:
        """Leave mixed precision."""
        self.learner.compute_in_fp32()
        self._capture_anew()

    def _capture_anew(self) -> None:
        if self._replay:
            torch.cuda.synchronize()
            self._replay.clear()
        self._made = {True: 0, False: 0}

    def means(self, sums: Sums, *, own: bool = False) -> dict[str, float]:
        """The mean of each term over the updates in `sums`; this waits for the device.

        Of several processes all ask for it at once, or one for that of its `own` shares.
        """
        if sums.total is None or not sums.count:
            return {}
        found = sums.total / sums.count
        values = (found if own else mean(found)).tolist()
        return dict(zip(self.names, values, strict=True))

    def summed(self, sums: Sums) -> Summed:
        """What a checkpoint is to hold of sums; of several processes all ask for it at once."""
        if sums.total is None or not sums.count:
            return Summed()
        return Summed(sums.count, dict(zip(self.names, mean(sums.total).tolist(), strict=True)))

    def go_on(self, window: Summed, unjudged: Summed) -> None:
        """Add to what a checkpoint holds, before the first update."""
        names = tuple(window.terms or unjudged.terms)
        for sums, before in ((self.window, window), (self.unjudged, unjudged)):
            values = [before.terms.get(name, 0.0) for name in names]
            sums.total = torch.tensor(values, dtype=torch.float64, device=self.learner.device)
            sums.count = before.count
        self.names = names

    def _update(self, generator_too: bool) -> None:
        terms = self.learner.update(*self.sampler.batch(), generator_too)
        values = torch.stack([term.double() for term in terms.values()])
        names = tuple(terms)
        for sums in (self.window, self.unjudged):
            if sums.total is None or names != self.names:
                sums.total, sums.count = torch.zeros_like(values), 0
            sums.total += values
        self.names = names

    def _before_capture(self, generator_too: bool, stream: torch.cuda.Stream) -> None:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), self._settings():
            self._update(generator_too)
        torch.cuda.current_stream().wait_stream(stream)
        self._made[generator_too] += 1
        if self._made[generator_too] == _FIRST:
            self._capture(generator_too, stream)

    def _capture(self, generator_too: bool, stream: torch.cuda.Stream) -> None:
        """Capture an update without making it. Where that fails, all go on one by one."""
        state = self.sampler.random.get_state()
        graph = torch.cuda.CUDAGraph()
        try:
            graph.register_generator_state(self.sampler.random)
            torch.cuda.synchronize()
            with self.sampler.quiet(), self._settings(), torch.cuda.graph(graph, stream=stream):
                self._update(generator_too)
        except (RuntimeError, TrainingError) as error:  # of the user's own code the latter
            self.say(f"Updates are not captured as a graph: {str(error).splitlines()[0]}")
            self.captures, self._stream = False, None
            self._replay.clear()
            self.sampler.random = torch.Generator(self.learner.device)
            self.sampler.random.set_state(state)
            self.learner.content.random = self.sampler.random
            return
        self._replay[generator_too] = graph.replay

    def _keep_close(self) -> None:
        if self.learner.device.type != "cuda":
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._pending.append(event)
        if len(self._pending) > _AHEAD:
            self._pending.popleft().synchronize()

    def _settings(self) -> AbstractContextManager[None]:
        """How the convolutions of an update are computed on a CUDA device.

        TF32 belongs to mixed precision alone. A run of given updates promises the same weights
        each time; a run of given minutes can't, and takes the fastest way.
        """
        o = self.learner.recipe.optimisation
        tf32 = self.learner.precision != "fp32"
        return convolutions(tf32=tf32, fastest=o.minutes is not None)
