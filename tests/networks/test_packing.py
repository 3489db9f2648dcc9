"""The packed SRResNet is the SRResNet: same images, same gradients."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from sreval.networks.espcn import ESPCN
from sreval.networks.srresnet import SRResNet, packed


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 9), (16, 11)])
def test_packed_gives_the_same_images(size: tuple[int, int], scale: Literal[2, 3, 4]) -> None:
    torch.manual_seed(1)
    network = SRResNet(depth=1, channels=8, scale=scale).double()
    assert network(torch.rand(1, 3, 4, 5).double()).shape == (1, 3, 4 * scale, 5 * scale)
    low = torch.rand(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(packed(network)(low), network(low), rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_packed_gives_the_same_gradients(scale: Literal[2, 3, 4]) -> None:
    torch.manual_seed(2)
    network = SRResNet(depth=1, channels=8, scale=scale).double()
    low, target = torch.rand(2, 3, 6, 5).double(), torch.rand(2, 3, 6 * scale, 5 * scale).double()

    def gradients(run: torch.nn.Module) -> list[torch.Tensor]:
        loss = (run(low) - target).square().mean()
        return list(torch.autograd.grad(loss, list(network.parameters())))

    for plain, other in zip(gradients(network), gradients(packed(network)), strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-9, atol=1e-12)


def test_other_networks_are_left_as_they_are() -> None:
    network = ESPCN()
    assert packed(network) is network
