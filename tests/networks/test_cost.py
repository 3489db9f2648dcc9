"""Multiply-adds against counts by hand, by hooks and by papers."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

import sreval
from sreval.methods import Running, make_upscaler, method_of
from sreval.methods.network import NetworkUpscaler
from sreval.networks.architecture import (
    DRCNArchitecture,
    ESPCNArchitecture,
    SRCNNArchitecture,
    SRResNetArchitecture,
    parameter_count,
)
from sreval.networks.cost import MultiplyAdds, multiply_adds
from sreval.networks.inference import Inference
from tests.methods import community
from tests.methods.test_sources import Net, exported

SIZES = [(180, 320), (17, 23)]


def srresnet(low: int, scale: int) -> int:
    """Figure 4 of the SRGAN paper: k9n64, 16 blocks of two k3n64, one more, two k3n256, k9n3."""
    at_low = 81 * 3 * 64 + (2 * 16 + 1) * 9 * 64 * 64 + 9 * 64 * 256
    return low * at_low + 4 * low * 9 * 64 * 256 + 16 * low * 81 * 64 * 3


def espcn(low: int, scale: int) -> int:
    return low * (25 * 64 + 9 * 64 * 32 + 9 * 32 * scale**2)


def srcnn(low: int, scale: int) -> int:
    return scale**2 * low * (81 * 64 + 25 * 64 * 32 + 25 * 32)


def drcn(low: int, scale: int) -> int:
    """Two layers of embedding; 16 times the recursion, its two layers and its share of the sum."""
    once = 9 * 256 + 9 * 256 * 256
    each = 2 * 9 * 256 * 256 + 9 * 256 + 1
    return scale**2 * low * (once + 16 * each)


BY_HAND: list[tuple[Any, Callable[[int, int], int], int]] = [
    (
        SRResNetArchitecture(),
        srresnet,
        # weights and biases, then factor and offset of 33 batch norms, 19 slopes
        (81 * 3 + 1) * 64
        + 33 * (9 * 64 + 1) * 64
        + 2 * (9 * 64 + 1) * 256
        + (81 * 64 + 1) * 3
        + 33 * 128
        + 19,
    ),
    (ESPCNArchitecture(), espcn, 26 * 64 + (9 * 64 + 1) * 32 + (9 * 32 + 1) * 16),
    (
        ESPCNArchitecture(scale=3),
        espcn,
        26 * 64 + (9 * 64 + 1) * 32 + (9 * 32 + 1) * 9,
    ),
    (SRCNNArchitecture(), srcnn, 82 * 64 + (25 * 64 + 1) * 32 + 25 * 32 + 1),
    (SRCNNArchitecture(scale=2), srcnn, 82 * 64 + (25 * 64 + 1) * 32 + 25 * 32 + 1),
    (DRCNArchitecture(), drcn, 10 * 256 + 3 * (9 * 256 + 1) * 256 + 9 * 256 + 1 + 16),
]


@pytest.mark.parametrize(("architecture", "by_hand", "parameters"), BY_HAND)
def test_our_networks_are_what_a_count_by_hand_gives(
    architecture: Any, by_hand: Callable[[int, int], int], parameters: int
) -> None:
    network = architecture.build()
    inference = Inference.of(network, architecture)
    for height, width in SIZES:
        found = multiply_adds(inference, height, width)
        assert found == by_hand(height * width, architecture.scale)
    assert parameter_count(network) == parameters


# Ahn et al. 2018 (arXiv 1803.08664), table 1: for an output of 1280x720.
@pytest.mark.parametrize(
    ("architecture", "printed"),
    [
        (SRCNNArchitecture(), "52.7"),
        (DRCNArchitecture(), "17974.3"),
        (SRResNetArchitecture(), "127.8"),
    ],
)
def test_our_networks_are_what_a_paper_prints(architecture: Any, printed: str) -> None:
    inference = Inference.of(architecture.build(), architecture)
    found = multiply_adds(inference, 180, 320)
    assert found is not None
    assert f"{found / 1e9:.1f}" == printed


class VDSR(nn.Module):
    """Of Kim et al. 2016, on an image that is enlarged already: 20 layers of 64."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, 64, 3, padding=1), nn.ReLU()]
        for _ in range(18):
            layers += [nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(64, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return x + made


def test_vdsr_is_what_its_followers_print() -> None:
    method = method_of(sreval.declare(VDSR(), colour="luma"))
    found = method.multiply_adds(720, 1280)
    assert found == 1280 * 720 * 9 * (2 * 64 + 18 * 64 * 64)
    assert f"{found / 1e9:.1f}" == "612.6"


def test_of_three_channels_one_by_one_three_runs_count() -> None:
    luma, grey = (
        method_of(sreval.declare(VDSR(), colour=colour)).multiply_adds(8, 8)
        for colour in ("luma", "grey")
    )
    assert luma is not None
    assert grey == 3 * luma


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 3, padding=1)
        self.other = self.one

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.other(self.one(x))
        return made


def test_shared_weights_are_parameters_once_and_work_twice() -> None:
    method = method_of(Shared())
    assert method.facts()["parameters"] == 3 * 3 * 9 + 3
    assert method.multiply_adds(10, 20) == 2 * 200 * 81


class Windows(nn.Module):
    """Only takes multiples of 8."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        parts = x.reshape(n, c, h // 8, 8, w // 8, 8).transpose(3, 4).reshape(-1, 64)
        return (parts @ parts.new_zeros(64, 64)).reshape(x.shape)


def test_the_size_to_which_an_image_is_padded_counts() -> None:
    method = method_of(sreval.declare(Windows(), multiple=8))
    assert method.multiply_adds(9, 17) == 3 * 16 * 24 * 64


class Varied(nn.Module):
    """What VDSR has none of; each part's multiply-adds stand beside it, on 3 channels of 6x8."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 8, 3, padding=1)  # 48 * 27 * 8
        self.grouped = nn.Conv2d(8, 8, (3, 1), padding=(1, 0), groups=4)  # 48 * 3 * 2 * 8
        self.spaced = nn.Conv2d(8, 8, 3, padding=2, dilation=2)  # 48 * 72 * 8
        self.strided = nn.Conv2d(8, 8, 2, stride=2)  # 12 * 32 * 8
        self.transposed = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1)  # 12 * 8 * 16 * 8
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        # 4 projections of 48 * 8 * 8; twice 48 * 48 * 8
        self.recurrent = nn.LSTM(8, 5, batch_first=True)  # 48 * 4 * 5 * (8 + 5)
        self.bilinear = nn.Linear(5, 3)  # 48 * 15
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.spaced(self.grouped(self.wide(x)))).relu()
        y = nn.functional.gelu(self.transposed(self.strided(y)))
        tokens = y.flatten(2).mT
        tokens, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        tokens, _ = self.recurrent(tokens)
        made: Tensor = self.bilinear(tokens).mT.reshape(x.shape)
        weights = made[0, 0] @ made.new_ones(8)  # 6 * 8
        return made * torch.dot(weights, weights)  # 6


VARIED = (
    48 * 27 * 8
    + 48 * 3 * 2 * 8
    + 48 * 72 * 8
    + 12 * 32 * 8
    + 12 * 8 * 16 * 8
    + 4 * 48 * 8 * 8
    + 2 * 48 * 48 * 8
    + 48 * 20 * 13
    + 48 * 15
    + 6 * 8
    + 6
)


class Inner(nn.Module):
    """In inference mode torch shows a linear layer whole, not as the product that it is."""

    def __init__(self) -> None:
        super().__init__()
        self.varied = Varied()

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.varied(x)
        return made


@pytest.mark.parametrize("network", [Varied(), Inner()])
def test_layers_of_all_kinds_are_what_a_count_by_hand_gives(network: nn.Module) -> None:
    with torch.no_grad(), MultiplyAdds() as counter:
        network.eval().to("meta")(torch.empty(1, 3, 6, 8, device="meta"))
    assert (counter.total, counter.unknown) == (VARIED, set())


class Deformable(nn.Module):
    """A convolution by torchvision, for which torch has no formula."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torchvision.ops.DeformConv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x, x.new_zeros(len(x), 18, *x.shape[2:]))
        return made


def test_what_cant_be_counted_is_not_known() -> None:
    assert method_of(Deformable()).multiply_adds(8, 8) is None


class Asks(nn.Module):
    """Runs on values alone: it looks at one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if float(x.mean()) < 2 else x


def test_a_network_that_looks_at_its_values_is_run_whole_or_not_counted() -> None:
    assert method_of(Asks()).multiply_adds(20, 30) == 600 * 9
    assert method_of(Asks(), Running(tile=16)).multiply_adds(20, 30) is None


def convolutions(network: nn.Module, low: Tensor) -> int:
    """Multiply-adds of convolutions and linear layers, by what goes in and comes out of each."""
    found = 0

    def look(layer: Any, given: tuple[Tensor, ...], made: Tensor) -> None:
        nonlocal found
        if isinstance(layer, nn.ConvTranspose2d):
            found += given[0].numel() * layer.weight[0].numel()
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            found += made.numel() * layer.weight[0].numel()

    handles = [layer.register_forward_hook(look) for layer in network.modules()]
    with torch.no_grad():
        network(low)
    for handle in handles:
        handle.remove()
    return found


# two layers of windows of 8x8: queries by keys, and that by values, 64 a number;
# of SPAN the weights are merged anew in each call, whatever the size: the difference of two sizes
ATTENTION = {"SwinIR": 2 * 2 * 64 * 12}


@pytest.mark.parametrize(
    "name", ["ESRGAN", "Compact", "SPAN", "PLKSR", "MoSR", "SwinIR", "RCAN", "SAFMN"]
)
def test_community_networks_are_what_their_layers_give(name: str, tmp_path: Path) -> None:
    method = make_upscaler(f"spandrel:{community.write(name, 2, tmp_path)}")
    assert isinstance(method, NetworkUpscaler)
    network = method._inference.network
    attention = ATTENTION.get(name, 0)
    assert method.multiply_adds(8, 8)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    errors = []
    for height, width in ((16, 24), (32, 40)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = convolutions(network, torch.rand(1, 3, height, width))
        found = method.multiply_adds(height, width)
        assert found is not None
        errors.append(found - layers - attention * height * width)
    assert errors[0] == errors[1]
    assert errors[0] == 0 or name == "SPAN"
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("scripted", [False, True])
def test_torchscript_is_counted_as_the_network_that_it_was(scripted: bool, tmp_path: Path) -> None:
    network = VDSR().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have other exports made
        script: Any = torch.jit.script(network) if scripted else None
        if script is None:
            script = torch.jit.trace(network, torch.rand(1, 1, 8, 8))  # type: ignore[no-untyped-call]
        buffer = io.BytesIO()
        torch.jit.save(script, buffer)
    path = tmp_path / "net.pt"
    path.write_bytes(buffer.getvalue())
    method = make_upscaler(f"torchscript:{path},colour=luma")
    whole = method_of(sreval.declare(network, colour="luma"))
    assert method.multiply_adds(9, 12) == whole.multiply_adds(9, 12)
    assert method.facts()["parameters"] == whole.facts()["parameters"] == 665_921


def test_of_onnx_the_initializers_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = f"onnx:{exported(Net(), tmp_path / 'net.onnx')}"
    method = make_upscaler(spec)
    # a convolution, and the four factors by which it enlarges
    assert method.facts()["parameters"] == 3 * 3 * 25 + 3 + 4
    assert method.multiply_adds(8, 8) is None
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "parameters" not in make_upscaler(spec).facts()
