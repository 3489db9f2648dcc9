"""Bicubic upscaling of tensors, as the first layer of the networks that ask for it.

The same interpolation as MATLAB's imresize (Keys 1981, a = -0.5, clamped at the border), but in
floating point without its rounding to 8 bits, and differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor


def upscale_bicubic(x: Tensor, scale: int) -> Tensor:
    """x: (N, C, H, W); returns (N, C, scale * H, scale * W), computed in float32 at least."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    rows = _matrix(x.shape[2], scale, dtype, x.device)
    columns = _matrix(x.shape[3], scale, dtype, x.device)
    with torch.autocast(x.device.type, enabled=False):
        return rows @ x.to(dtype) @ columns.T


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
