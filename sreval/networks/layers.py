"""What the networks share: bicubic upscaling, PReLU, and the luma of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu

Module = TypeVar("Module", bound=nn.Module)

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_OFFSET = 16 / 255


def upscale_bicubic(x: Tensor, scale: int) -> Tensor:
    """x: (N, C, H, W); returns (N, C, scale * H, scale * W), computed in float32 at least.

    The same interpolation as MATLAB's imresize (Keys 1981, a = -0.5, clamped at the border), but
    without its rounding to 8 bits, and differentiable.
    """
    x = at_least_fp32(x)
    rows = _matrix(x.shape[2], scale, x.dtype, x.device)
    columns = _matrix(x.shape[3], scale, x.dtype, x.device)
    with torch.autocast(x.device.type, enabled=False):
        return rows @ x @ columns.T


def at_least_fp32(x: Tensor) -> Tensor:
    """A tensor of a shorter type in fp32, any other as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Bicubic(nn.Module):
    """`upscale_bicubic` as a layer without parameters."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W); returns (N, C, scale * H, scale * W)."""
        return upscale_bicubic(x, self.scale)


def _matrix(size: int, scale: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The linear map of one axis, (scale * size, size)."""
    place = (torch.arange(scale * size, dtype=torch.float64, device=device) + 0.5) / scale - 0.5
    taps = place.floor().long()[:, None] + torch.arange(-1, 3, device=device)
    weights = _keys((place[:, None] - taps).abs())
    matrix = torch.zeros(scale * size, size, dtype=torch.float64, device=device)
    matrix.scatter_add_(1, taps.clamp(0, size - 1), weights)
    return matrix.to(dtype)


def _keys(d: Tensor) -> Tensor:
    """Keys' kernel (1981) of a = -0.5, of distances from 0 on."""
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    # zeros made on the device: a number would be copied there, and the copy waited for
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


class PReLU(nn.PReLU):
    """PReLU with one slope (He et al. 2015): x where x is positive, weight * x elsewhere.

    Its backward pass is made for the CPU: torch's own writes the slope's gradient element by
    element before it sums it up, which costs more than the convolution beside it. On other devices,
    and where nothing is learnt or the network is traced, exported or compiled, this is torch's:
    ours reads the slope as a number.
    """

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


def in_channels_last(module: Module) -> Module:
    """The module with its weights in the order that convolutions of images like best.

    One with weights of five dimensions, for which there is no such order, stays as it is.
    """
    if any(tensor.ndim == 5 for tensor in (*module.parameters(), *module.buffers())):
        return module
    return module.to(memory_format=torch.channels_last)


def luma(rgb: Tensor) -> Tensor:
    """MATLAB's BT.601 luma divided by 255, unrounded.

    rgb: (N, 3, H, W) in [0, 1]; returns (N, 1, H, W) in [16/255, 235/255].
    """
    return (rgb * per_channel(_LUMA, rgb)).sum(1, keepdim=True) + _OFFSET


def with_luma(rgb: Tensor, new: Tensor) -> Tensor:
    """The image of the chroma of `rgb` (N, 3, H, W) and the luma `new` (N, 1, H, W).

    With Cb and Cr held, a step of luma moves R, G and B by 255/219 of it.
    """
    return rgb + (new - luma(rgb)) * (255 / 219)


def per_channel(values: Sequence[float], like: Tensor) -> Tensor:
    """The values as (1, C, 1, 1), of the dtype and on the device of `like`.

    They are filled in there: a copy from the host would wait for the device, and can't be
    captured in a CUDA graph.
    """
    return torch.cat([like.new_full((1, 1, 1, 1), value) for value in values], 1)
