"""Folding, tiles, batches and depths change nothing that they must not change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sreval.images.datasets import open_dataset
from sreval.images.io import read_image
from sreval.images.resize import imresize
from sreval.metrics.protocol import get_protocol
from sreval.networks.architecture import (
    Architecture,
    DRCNArchitecture,
    ESPCNArchitecture,
    SRCNNArchitecture,
    SRResNetArchitecture,
)
from sreval.networks.inference import Inference, Interface, fold_batch_norm
from sreval.networks.layers import luma, upscale_bicubic, with_luma
from sreval.networks.weights import fill, read_tensors

ARCHITECTURES: list[Architecture] = [
    SRResNetArchitecture(depth=2, channels=8),
    SRCNNArchitecture(),
    ESPCNArchitecture(),
    DRCNArchitecture(recursions=3, channels=8),
]


def trained(architecture: Architecture) -> nn.Module:
    """A network whose batch norms have seen something."""
    torch.manual_seed(3)
    network = architecture.build()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.2, 3)  # type: ignore[arg-type]
    return network.eval()


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_folding_leaves_no_batch_norm_and_the_same_output() -> None:
    network = trained(SRResNetArchitecture(depth=3))
    folded = fold_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    low = torch.rand(1, 3, 20, 24)
    with torch.no_grad():
        a, b = network(low), folded(low)
    assert float((a - b).abs().max() / a.abs().max()) < 1e-5
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tile", [7, 16])
def test_tiles_give_the_whole_image(architecture: Architecture, tile: int) -> None:
    network = trained(architecture)
    low = torch.rand(1, 3, 30, 41)
    whole = Inference.of(network, architecture).tensor(low)
    tiled = Inference.of(network, architecture, tile=tile).tensor(low)
    assert float((whole - tiled).abs().max() / whole.abs().max()) < 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_how_far_a_network_sees_is_measured(architecture: Architecture) -> None:
    network = trained(architecture)
    interface = Interface(architecture.scale, architecture.colour, overlap=3, grid=1)
    found, radius = Inference(network, interface).reach, network.radius
    assert isinstance(found, int)
    assert isinstance(radius, int)
    assert radius - 1 <= found <= radius  # bicubic's outermost weights are small


def test_a_network_that_sees_the_whole_image_has_no_reach() -> None:
    class Averaged(nn.Module):
        def forward(self, low: torch.Tensor) -> torch.Tensor:
            return low * 0.9 + 0.1 * low.mean((2, 3), keepdim=True)

    assert Inference(Averaged(), Interface(1)).reach is None


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    tile=st.none() | st.integers(1, 80),
    overlap=st.integers(0, 40),
    grid=st.sampled_from([1, 8, 32]),
    multiple=st.integers(1, 9),
    least=st.integers(1, 50),
    fixed=st.none() | st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_tiles_and_padding_put_every_pixel_in_its_place(
    height: int, width: int, tile: int | None, fixed: tuple[int, int] | None, **sizes: Any
) -> None:
    """Repetition of pixels by a network that refuses what it doesn't take."""

    class Repeats(nn.Module):
        def forward(self, low: torch.Tensor) -> torch.Tensor:
            sides = tuple(low.shape[2:])
            assert sides == (fixed or sides)
            assert fixed or all(s % sizes["multiple"] == 0 and s >= sizes["least"] for s in sides)
            return low.repeat_interleave(2, 2).repeat_interleave(2, 3)

    inference = Inference(Repeats(), Interface(2, fixed=fixed, **sizes), tile=tile)
    image = picture(height, width)
    assert np.array_equal(inference.upscale([image])[0], image.repeat(2, 0).repeat(2, 1))


def test_a_tile_never_sees_more_than_its_halo() -> None:
    architecture = SRResNetArchitecture(depth=1, channels=4)
    inference = Inference.of(trained(architecture), architecture, tile=12)
    sizes: list[tuple[int, int]] = []
    inference.network.register_forward_pre_hook(
        lambda _m, inputs: sizes.append((inputs[0].shape[2], inputs[0].shape[3]))
    )
    inference.upscale([picture(50, 60)])
    assert max(max(size) for size in sizes) <= 12 + 2 * inference.interface.overlap


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_batch_changes_no_image(architecture: Architecture) -> None:
    inference = Inference.of(trained(architecture), architecture, batch=2)
    images = [picture(12, 15, 0), picture(9, 9, 1), picture(12, 15, 2), picture(12, 15, 3)]
    together = inference.upscale(images)
    for image, result in zip(images, together, strict=True):
        alone = inference.upscale([image])[0]
        assert result.shape == (4 * image.shape[0], 4 * image.shape[1], 3)
        assert result.dtype == np.uint8
        assert np.abs(alone.astype(int) - result).max() <= 1


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_grey_stays_grey_and_16_bits_stay_16_bits(architecture: Architecture) -> None:
    inference = Inference.of(trained(architecture), architecture)
    grey = picture(10, 12)[..., 0]
    assert inference.upscale([grey])[0].shape == (40, 48)
    colour = picture(10, 12)
    deep = inference.upscale([colour.astype(np.uint16) * 257])[0]
    assert deep.dtype == np.uint16
    flat = inference.upscale([colour])[0]
    assert np.abs(deep / 257 - flat).max() <= 0.51


def test_bf16_stays_near_fp32() -> None:
    architecture = SRResNetArchitecture(depth=2, channels=16)
    network = trained(architecture)
    low = torch.rand(1, 3, 16, 16)
    exact = Inference.of(network, architecture).tensor(low)
    rough = Inference.of(network, architecture, precision="bf16").tensor(low)
    assert float((exact - rough).abs().mean() / exact.abs().mean()) < 0.02


def test_bicubic_is_the_one_of_images() -> None:
    image = picture(11, 14).astype(np.float64)
    wanted = imresize(image, 4).astype(np.float64)
    low = torch.from_numpy(image).permute(2, 0, 1)[None]
    found = upscale_bicubic(low, 4)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_new_luma_keeps_the_chroma() -> None:
    torch.manual_seed(0)
    rgb, new = torch.rand(1, 3, 6, 7).double(), torch.rand(1, 1, 6, 7).double()
    found = with_luma(rgb, new)
    assert torch.allclose(luma(found), new, atol=1e-12)
    # Cb of BT.601 is a weighted difference of blue and luma
    rest = torch.tensor([-37.797, -74.203, 112.0]).double().view(1, 3, 1, 1)
    assert torch.allclose((rest * found).sum(1), (rest * rgb).sum(1), atol=1e-9)


@pytest.mark.data
def test_published_srcnn_scores_as_published() -> None:
    weights = Path(os.environ.get("SREVAL_WEIGHTS", "")) / "srcnn_955_x4_published.safetensors"
    if not weights.is_file() or not os.environ.get("SREVAL_DATA"):
        pytest.skip("SREVAL_WEIGHTS and SREVAL_DATA don't name SRCNN's weights and Set5")
    architecture = SRCNNArchitecture()
    network = architecture.build()
    fill(network, read_tensors(weights)[0], weights)
    inference, protocol = Inference.of(network, architecture), get_protocol("matlab")
    values = []
    for item in open_dataset("Set5").items:
        assert item.lr is not None
        image = inference.upscale([read_image(item.lr).pixels])[0]
        planes = protocol.planes(read_image(item.file).pixels, 4), protocol.planes(image, 4)
        values.append(protocol.psnr(*planes))
    assert np.mean(values) == pytest.approx(30.48, abs=0.02)
