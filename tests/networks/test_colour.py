"""Luma against MATLAB's formula, and to the last bit against the weights as one tensor."""

from __future__ import annotations

import pytest
import torch

from sreval.networks.layers import luma, per_channel, with_luma

MATLAB = (65.481, 128.553, 24.966)


def test_luma_is_matlab_s_by_255() -> None:
    rgb = torch.rand(2, 3, 5, 7, dtype=torch.float64)
    r, g, b = (255 * rgb).unbind(1)
    wanted = (MATLAB[0] * r + MATLAB[1] * g + MATLAB[2] * b) / 255 + 16
    torch.testing.assert_close(255 * luma(rgb), wanted[:, None], rtol=1e-14, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_weights_filled_in_are_those_of_a_tensor(dtype: torch.dtype) -> None:
    values = tuple(weight / 255 for weight in MATLAB)
    like = torch.rand(2, 3, 5, 7, dtype=dtype)
    weights = torch.tensor(values, dtype=dtype).view(1, 3, 1, 1)
    assert torch.equal(per_channel(values, like), weights)
    assert torch.equal(luma(like), (like * weights).sum(1, keepdim=True) + 16 / 255)


def test_the_image_takes_the_new_luma() -> None:
    rgb, new = torch.rand(2, 3, 4, 4).double(), torch.rand(2, 1, 4, 4).double()
    torch.testing.assert_close(luma(with_luma(rgb, new)), new)
