"""RGB and luma of tensors in [0, 1]; luma is MATLAB's BT.601 divided by 255, unrounded."""

from __future__ import annotations

import torch
from torch import Tensor

_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_OFFSET = 16 / 255


def luma(rgb: Tensor) -> Tensor:
    """rgb: (N, 3, H, W) in [0, 1]; returns (N, 1, H, W) in [16/255, 235/255]."""
    weights = torch.tensor(_WEIGHTS, dtype=rgb.dtype, device=rgb.device).view(1, 3, 1, 1)
    return (rgb * weights).sum(1, keepdim=True) + _OFFSET


def with_luma(rgb: Tensor, new: Tensor) -> Tensor:
    """The image of the chroma of `rgb` (N, 3, H, W) and the luma `new` (N, 1, H, W).

    With Cb and Cr held, a step of luma moves R, G and B by 255/219 of it.
    """
    return rgb + (new - luma(rgb)) * (255 / 219)
