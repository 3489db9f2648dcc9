"""One update after the other, as fast as the device goes, with their loss terms summed up on it.

On a CUDA device the whole update (the batch drawn, both passes, the optimisers' steps, the
average) is captured as a graph after a few updates and replayed from then on: of the hundreds of
kernels in an update most take less time than the host needs to launch them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from sreval.devices import convolutions
from sreval.training.sampler import Sampler
from sreval.training.steps import Learner

_FIRST = 3
"""Updates before a capture: they make what is made once, such as the optimisers' state."""

_AHEAD = 8
"""Updates that the host may be ahead of a CUDA device. A clock on the host is then that much off
at most, and the device never waits."""


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
        self.captures = learner.device.type == "cuda" and learner.recipe.run.graph
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

    def means(self, sums: Sums) -> dict[str, float]:
        """The mean of each term over the updates in `sums`; this waits for the device."""
        if sums.total is None or not sums.count:
            return {}
        return dict(zip(self.names, (sums.total / sums.count).tolist(), strict=True))

    def _update(self, generator_too: bool) -> None:
        terms = self.learner.update(*self.sampler.batch(), generator_too)
        values = torch.stack([term.double() for term in terms.values()])
        for sums in (self.window, self.unjudged):
            if sums.total is None:
                sums.total = torch.zeros_like(values)
            sums.total += values
        self.names = tuple(terms)

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
            with self._settings(), torch.cuda.graph(graph, stream=stream):
                self._update(generator_too)
        except RuntimeError as error:
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
