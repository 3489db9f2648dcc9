"""PReLU with one slope (He et al. 2015), with a backward pass made for the CPU.

torch's own writes the slope's gradient element by element before it sums it up, which costs more
than the convolution beside it. On other devices, and where nothing is learnt or the network is
traced, exported or compiled, this is torch's: ours reads the slope as a number.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu


class PReLU(nn.PReLU):
    """x where x is positive, weight * x elsewhere; any shape."""

    def forward(self, input: Tensor) -> Tensor:
        """input: any shape and float dtype; returns the same."""
        learning = torch.is_grad_enabled() and input.requires_grad
        recorded = torch.compiler.is_compiling() or _tracing()
        if learning and input.device.type == "cpu" and not recorded:
            result: Tensor = _OneSlope.apply(input, self.weight)
            return result
        return super().forward(input)


def _tracing() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


class _OneSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return leaky_relu(x, slope.item())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        below = torch.ops.aten.leaky_relu_backward(gradient, x, slope.item(), False)
        # both lie in memory alike, and the order of a sum doesn't matter
        products = torch.dot(_flat(x.clamp(max=0)), _flat(gradient))
        return below, products.to(slope.dtype).reshape(slope.shape)


def _flat(x: Tensor) -> Tensor:
    """One dimension, in channels_last order, without a copy where that is the layout."""
    return x.permute(0, 2, 3, 1).reshape(-1) if x.ndim == 4 else x.reshape(-1)
