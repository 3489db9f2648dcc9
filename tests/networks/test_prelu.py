"""Our PReLU against torch's, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sreval.networks.layers import PReLU


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_torch_s(dtype: torch.dtype, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    ours, theirs = PReLU(init=0.3).to(dtype), nn.PReLU(init=0.3).double()
    x = torch.randn(4, 16, 24, 24).to(dtype).contiguous(memory_format=layout)
    x[:, :, :2] = torch.tensor([0.0, -0.0])[:, None]  # where the slope changes
    x.requires_grad_()
    y = x.detach().double().requires_grad_()
    gradient = torch.randn(4, 16, 24, 24).to(dtype)
    ours(x).backward(gradient)
    theirs(y).backward(gradient.double())
    scale = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-2}[dtype]
    assert torch.allclose(ours(x).double(), theirs(y), rtol=scale, atol=scale)
    assert x.grad is not None
    assert y.grad is not None
    assert torch.allclose(x.grad.double(), y.grad, rtol=scale, atol=scale)
    assert ours.weight.grad is not None
    assert theirs.weight.grad is not None
    # the sum nearly cancels: its error goes with the size of what is added
    size = float((y.detach().clamp(max=0) * gradient.double()).abs().sum())
    step = {torch.float64: 1e-15, torch.float32: 1e-7, torch.bfloat16: 1e-5}[dtype]
    assert float(ours.weight.grad) == pytest.approx(float(theirs.weight.grad), abs=step * size)


def test_sums_over_millions_of_bf16_values_stay_exact_enough() -> None:
    torch.manual_seed(0)
    layer = PReLU()
    x = torch.randn(4, 64, 96, 96).contiguous(memory_format=torch.channels_last)
    low = x.bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        layer(low).sum().backward()
    assert layer.weight.grad is not None
    exact = float(low.detach().double().clamp(max=0).sum())
    assert float(layer.weight.grad) == pytest.approx(exact, rel=5e-3)


def test_it_is_saved_under_torch_s_name() -> None:
    assert list(PReLU().state_dict()) == ["weight"]
