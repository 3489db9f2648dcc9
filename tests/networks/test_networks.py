"""Shapes, ranges and parameter counts against the papers; bicubic against torch's own rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sreval.images.resize import imresize
from sreval.networks.architecture import (
    DRCNArchitecture,
    ESPCNArchitecture,
    SRCNNArchitecture,
    SRResNetArchitecture,
    parameter_count,
)
from sreval.networks.discriminator import Discriminator
from sreval.networks.drcn import DRCN
from sreval.networks.layers import upscale_bicubic
from sreval.networks.srcnn import SRCNN
from sreval.networks.srresnet import SRResNet


def kernels(network: nn.Module) -> int:
    """Numbers in the filters alone, as most of the papers count."""
    return sum(p.numel() for p in network.parameters() if p.ndim == 4)


def test_srresnet_has_the_issue_s_parameter_count() -> None:
    assert parameter_count(SRResNet()) == 1_549_462


def test_discriminator_has_the_issue_s_parameter_count() -> None:
    assert parameter_count(Discriminator()) == 23_565_505


@pytest.mark.parametrize(("mapping", "count"), [(5, 57_184), (1, 8_032)])
def test_srcnn_filters_as_in_table_2_of_dong_2016(mapping: int, count: int) -> None:
    assert kernels(SRCNNArchitecture(mapping=mapping).build()) == count


def test_espcn_filters_follow_f_n_of_shi_2016() -> None:
    wanted = 5 * 5 * 64 + 3 * 3 * 64 * 32 + 3 * 3 * 32 * 16
    assert kernels(ESPCNArchitecture().build()) == wanted


def test_drcn_filters_count_the_1774_thousand_of_the_literature() -> None:
    network = DRCN()
    assert kernels(network) == 1_774_080
    assert len(network.sum_weights) == 16


@pytest.mark.parametrize(
    "architecture",
    [
        SRResNetArchitecture(depth=2),
        SRResNetArchitecture(depth=1, skips=False),
        SRCNNArchitecture(),
        SRCNNArchitecture(mapping=1, scale=3),
        ESPCNArchitecture(),
        ESPCNArchitecture(scale=2),
        DRCNArchitecture(recursions=3, channels=8),
    ],
)
def test_output_is_scale_times_the_input(architecture: SRResNetArchitecture) -> None:
    channels = 3 if architecture.colour == "rgb" else 1
    network = architecture.build().eval()
    y = network(torch.rand(2, channels, 7, 9))
    assert y.shape == (2, channels, 7 * architecture.scale, 9 * architecture.scale)


@pytest.mark.parametrize(
    "architecture",
    [
        SRResNetArchitecture(depth=1, channels=4),
        SRCNNArchitecture(),
        SRCNNArchitecture(mapping=1),
        ESPCNArchitecture(),
        DRCNArchitecture(recursions=4, channels=4),
    ],
)
def test_radius_covers_the_receptive_field(architecture: SRResNetArchitecture) -> None:
    network = architecture.build().eval().double()
    radius = network.radius
    assert isinstance(radius, int)
    size = 2 * radius + 9
    low = torch.rand(
        1, 3 if architecture.colour == "rgb" else 1, size, size, dtype=torch.double
    ).requires_grad_()
    middle = size // 2
    network(low)[..., 4 * middle : 4 * middle + 4, 4 * middle : 4 * middle + 4].sum().backward()
    assert low.grad is not None
    rows = low.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    reach = max(middle - int(rows.min()), int(rows.max()) - middle)
    assert reach <= radius
    assert reach >= radius - 2


def test_a_block_without_skips_adds_nothing_of_its_input() -> None:
    network = SRResNet(depth=1, skips=False).eval()
    nn.init.zeros_(network.tail[0].weight)  # type: ignore[arg-type]
    a, b = network(torch.rand(1, 3, 8, 8)), network(torch.rand(1, 3, 8, 8))
    assert torch.equal(a, b)


def test_discriminator_gives_one_logit_an_image() -> None:
    assert Discriminator(32)(torch.rand(3, 3, 32, 32)).shape == (3,)


def test_bicubic_is_exact_on_a_quadratic_surface() -> None:
    # Keys' kernel with a = -0.5 reproduces polynomials up to degree 2 away from the border
    axis = torch.arange(12, dtype=torch.double)
    low = (axis[:, None] ** 2 - 3 * axis[None] + 0.5 * axis[:, None] * axis[None])[None, None]
    fine = (torch.arange(48, dtype=torch.double) + 0.5) / 4 - 0.5
    wanted = fine[:, None] ** 2 - 3 * fine[None] + 0.5 * fine[:, None] * fine[None]
    found = upscale_bicubic(low, 4)[0, 0]
    assert torch.allclose(found[8:-8, 8:-8], wanted[8:-8, 8:-8], atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5)])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_matlab_s_resize_unrounded(size: tuple[int, int], scale: int) -> None:
    low = torch.rand(1, 1, *size, dtype=torch.float64)
    wanted = torch.from_numpy(imresize(low[0, 0].numpy(), scale))
    torch.testing.assert_close(upscale_bicubic(low, scale)[0, 0], wanted, rtol=0, atol=1e-12)


def test_bicubic_keeps_a_constant_up_to_the_border() -> None:
    assert torch.allclose(upscale_bicubic(torch.full((1, 1, 5, 3), 0.7), 3), torch.tensor(0.7))


def test_srcnn_is_the_three_formulas_of_the_paper() -> None:
    # F1 = max(0, W1 * Y + B1), F2 = max(0, W2 * F1 + B2), F = W3 * F2 + B3, in plain numpy
    network = SRCNN(mapping=1, scale=1).double()
    y = np.random.default_rng(0).random((11, 11))
    parts = {k: v.detach().numpy() for k, v in network.state_dict().items()}

    def convolve(x: np.ndarray, name: str) -> np.ndarray:
        weight, bias = parts[f"{name}.weight"], parts[f"{name}.bias"]
        r = weight.shape[-1] // 2
        x = np.pad(x, ((0, 0), (r, r), (r, r)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))
        sums: np.ndarray = np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None]
        return sums

    f1 = np.maximum(0, convolve(y[None], "conv1"))
    f2 = np.maximum(0, convolve(f1, "conv2"))
    found = network(torch.from_numpy(y)[None, None])[0].detach().numpy()
    np.testing.assert_allclose(found, convolve(f2, "conv3"), atol=1e-12)


def test_drcn_output_is_the_weighted_sum_of_all_recursions() -> None:
    network = DRCN(recursions=3, channels=4).eval()
    low = torch.rand(1, 1, 6, 6)
    outputs = network.outputs(low)
    wanted = sum(w * o for w, o in zip(network.sum_weights.tolist(), outputs, strict=True))
    assert isinstance(wanted, torch.Tensor)
    assert torch.allclose(network(low), wanted, atol=1e-6)
