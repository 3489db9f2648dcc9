"""Nothing in an update, or on an image's way, comes from the host or goes back to it.

Each such copy would wait for the device, and none can be captured in a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sreval.networks.discriminator import Discriminator, OfPair
from sreval.networks.drcn import DRCN
from sreval.networks.layers import luma, upscale_bicubic, with_luma
from sreval.networks.srresnet import SRResNet, packed
from sreval.networks.vgg import VGGFeatures
from sreval.training.losses import ContentLoss, discriminator_loss, generator_adversarial
from sreval.training.recipe import Loss

Run = Callable[[Tensor], Tensor]

TO_OR_FROM_THE_HOST = {
    "aten::lift_fresh": "a tensor made of Python's numbers",
    "aten::scalar_tensor": "a number made a tensor of the host",
    "aten::_local_scalar_dense": "a value read as a number",
    "aten::nonzero": "a size that the device must tell",
}


def colour(device: str) -> Run:
    return lambda x: with_luma(x, 1 - luma(x))


def bicubic(device: str) -> Run:
    return lambda x: upscale_bicubic(x, 2)


def content(device: str) -> Run:
    loss = ContentLoss(Loss(mse=1.0, vgg22=0.5, total_variation=1e-5), VGGFeatures(("vgg22",)))
    loss.to(device)
    return lambda x: loss.total(loss(x, x.detach().flip(0)))


def adversarial(device: str) -> Run:
    both = OfPair(Discriminator(32)).to(device)

    def run(x: Tensor) -> Tensor:
        fake, real = both(x, x.detach().flip(0))
        return discriminator_loss(real, fake) + generator_adversarial(fake)

    return run


def drcn(device: str) -> Run:
    network = DRCN(2, 8).to(device)
    return lambda x: network(luma(x))


def srresnet(device: str) -> Run:
    network = packed(SRResNet(1, channels=8)).to(device)
    # on a CPU our PReLU reads its slope, where learning; there is nothing to wait for
    return torch.no_grad()(network) if device == "cpu" else network


WAYS = pytest.mark.parametrize("way", [colour, bicubic, content, adversarial, drcn, srresnet])


class Seen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the name of every operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


def there_and_back(run: Run, x: Tensor) -> Tensor:
    """The result, and the gradient of its sum at x where it has one."""
    result = run(x)
    if result.requires_grad:
        x.grad = None
        result.sum().backward()  # type: ignore[no-untyped-call]
    return result


@WAYS
def test_nothing_is_copied_to_or_from_the_host(way: Callable[[str], Run]) -> None:
    run = way("cpu")
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    with Seen() as seen:
        there_and_back(run, x)
    assert seen.names
    assert not {name: TO_OR_FROM_THE_HOST.get(name) for name in seen.names & {*TO_OR_FROM_THE_HOST}}


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.gpu
@cuda
@WAYS
def test_nothing_waits_for_the_device(way: Callable[[str], Run]) -> None:
    run = way("cuda")
    x = torch.rand(2, 3, 32, 32, device="cuda", requires_grad=True)
    there_and_back(run, x)
    torch.cuda.set_sync_debug_mode("error")
    try:
        there_and_back(run, x)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@cuda
@WAYS
def test_it_can_be_captured_and_replayed(way: Callable[[str], Run]) -> None:
    run = way("cuda")
    x = torch.rand(2, 3, 32, 32, device="cuda", requires_grad=True)
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            there_and_back(run, x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = there_and_back(run, x)
    with torch.no_grad():
        x.copy_(torch.rand_like(x))
    graph.replay()
    torch.testing.assert_close(captured, there_and_back(run, x), rtol=1e-3, atol=1e-4)
