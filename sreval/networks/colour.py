"""RGB and luma of tensors in [0, 1]; luma is MATLAB's BT.601 divided by 255, unrounded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_OFFSET = 16 / 255


def luma(rgb: Tensor) -> Tensor:
    """rgb: (N, 3, H, W) in [0, 1]; returns (N, 1, H, W) in [16/255, 235/255]."""
    return (rgb * per_channel(_WEIGHTS, rgb)).sum(1, keepdim=True) + _OFFSET


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
