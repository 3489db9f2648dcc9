"""What a method costs: parameters, multiply-adds, seconds and memory for one image."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sreval.devices import peak_memory
from sreval.images.scales import exact
from sreval.methods import Running, Upscaler

OUTPUT = (1280, 720)
"""Width and height that papers count multiply-adds for, those of the large image."""

WARM_UP = 2
"""Calls before those that are timed; the last of them shows the memory."""


@dataclass(frozen=True)
class Cost:
    """Of enlarging a colour image of ``width`` x ``height`` LR pixels, 8 bits a sample.

    ``seconds`` are the median of ``calls`` calls, ``seconds_least`` and ``seconds_most`` the
    extremes. ``memory`` is the peak in bytes of one call, without what was held before, such as the
    weights. None stands for what can't be told.
    """

    method: str
    method_sha256: str
    scale: float
    width: int
    height: int
    device: str
    precision: str
    tile: int | None
    parameters: int | None
    multiply_adds: int | None
    seconds: float
    seconds_least: float
    seconds_most: float
    memory: int | None
    calls: int
    threads: int


def default_size(scale: float) -> tuple[int, int]:
    """Width and height of the LR image that becomes ``OUTPUT``, rounded up."""
    width, height = (math.ceil(side / exact(scale)) for side in OUTPUT)
    return width, height


def measure(
    method: Upscaler,
    size: tuple[int, int],
    scale: float,
    running: Running,
    calls: int,
    done: Callable[[], object] = lambda: None,
) -> Cost:
    """Count, then enlarge an image of noise of ``size``, width and height, again and again.

    ``done`` is called after each of ``WARM_UP + calls`` calls. Seconds are those of the whole call,
    from an array to an array: the ways to a GPU and back are in them. Raises what the method
    raises.
    """
    import torch

    width, height = size
    low = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    counted = method.multiply_adds(height, width)
    for _ in range(WARM_UP):
        # of several calls the allocator's gaps would be measured, too
        with peak_memory(running.device) as peak:
            method.enlarge(low, scale)
        done()
    seconds = []
    for _ in range(calls):
        begun = time.perf_counter()
        method.enlarge(low, scale)
        seconds.append(time.perf_counter() - begun)
        done()
    return Cost(
        method=method.name,
        method_sha256=method.sha256,
        scale=scale,
        width=width,
        height=height,
        device=running.device,
        precision=running.precision,
        tile=running.tile,
        parameters=method.facts().get("parameters"),
        multiply_adds=counted,
        seconds=statistics.median(seconds),
        seconds_least=min(seconds),
        seconds_most=max(seconds),
        memory=peak[0] if peak and method.torch_device == running.device else None,
        calls=calls,
        threads=torch.get_num_threads(),
    )
