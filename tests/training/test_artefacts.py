"""The grid peak and flat colours, against what they are defined to be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from sreval.images.io import read_image
from sreval.networks.architecture import ESPCNArchitecture, SRResNetArchitecture
from sreval.networks.inference import Inference
from sreval.training.validation import FLAT_COLOURS, flat_colours, grey_of, grid_peak

Float = npt.NDArray[np.float64]
PLACES = ((4, 0), (0, 4), (2, 0), (0, 2), (4, 4))


def by_its_formula(grey: Float) -> float:
    """The published definition, in loops."""
    grey = grey[: grey.shape[0] // 8 * 8, : grey.shape[1] // 8 * 8]
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    h, w = power.shape

    def around(y: int, x: int, low: int, high: int) -> float:
        reach = range(-high, high + 1)
        chosen = [(y + j, x + i) for j in reach for i in reach if max(abs(j), abs(i)) >= low]
        return float(np.mean([power[j % h, i % w] for j, i in chosen]))

    at = [(h // 4, 0), (0, w // 4), (h // 2, 0), (0, w // 2), (h // 4, w // 4)]
    return float(np.mean([around(y, x, 0, 1) / around(y, x, 3, 6) for y, x in at]))


def by_brute_force(grey: Float) -> float:
    """The same from sums of waves, without a Fourier transform."""
    height, width = grey.shape

    def energy(row: int, column: int) -> float:
        y, x = np.arange(height)[:, None], np.arange(width)
        angle = 2 * np.pi * (row * y / height + column * x / width)
        return float((grey * np.cos(angle)).sum() ** 2 + (grey * np.sin(angle)).sum() ** 2)

    ratios = []
    for down, across in PLACES:
        row, column = height // down if down else 0, width // across if across else 0
        peak: list[float] = []
        background: list[float] = []
        for i in range(-6, 7):
            for j in range(-6, 7):
                ring = max(abs(i), abs(j))
                if ring <= 1 or ring >= 3:
                    (peak if ring <= 1 else background).append(energy(row + i, column + j))
        ratios.append(np.mean(peak) / np.mean(background))
    return float(np.mean(ratios))


@pytest.mark.parametrize("shape", [(32, 32), (40, 64), (77, 130)])
def test_it_is_the_published_formula(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).integers(0, 256, shape).astype(float)
    assert grid_peak(grey) == pytest.approx(by_its_formula(grey), rel=1e-12)


def test_it_is_what_sums_of_waves_give() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (32, 48)).astype(float)
    assert grid_peak(grey) == pytest.approx(by_brute_force(grey - grey.mean()), rel=1e-9)


@pytest.mark.parametrize(("scale", "ratios"), [(2, 3), (3, 3), (6, 7)])
def test_a_grid_counts_at_the_period_of_the_scale(scale: int, ratios: int) -> None:
    side, noise, amplitude = 240, 8.0, 2.0
    grey = np.random.default_rng(3).normal(128, noise, (side, side))
    assert grid_peak(grey, scale) == pytest.approx(1, rel=0.3)
    grey += amplitude * np.cos(2 * np.pi * np.arange(side) / scale)
    share = 4 if scale == 2 else 1  # see below
    expected = 1 + share * (amplitude * side**2 / 2) ** 2 / (9 * ratios * side**2 * noise**2)
    assert grid_peak(grey, scale) == pytest.approx(expected, rel=0.15)
    assert math.isnan(grid_peak(grey[: 8 * scale - 1], scale))
    assert math.isnan(grid_peak(grey, 1))


@pytest.mark.parametrize("amplitude", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("period", [2, 4])
def test_a_grid_in_noise_counts_by_its_energy(amplitude: float, period: int) -> None:
    side, noise = 256, 8.0
    grey = np.random.default_rng(3).normal(128, noise, (side, side))
    columns = np.arange(side)
    grey += amplitude * np.cos(2 * np.pi * columns / period)
    # a wave of amplitude a has (a n / 2)^2 at each of two places, which are one at period 2;
    # one of five ratios has it, shared out over nine places; noise alone is 1
    share = 4 if period == 2 else 1
    expected = 1 + share * (amplitude * side**2 / 2) ** 2 / (45 * side**2 * noise**2)
    assert grid_peak(grey) == pytest.approx(expected, rel=0.15)


def test_a_grid_of_another_period_does_not_count() -> None:
    grey = np.random.default_rng(4).normal(128, 8, (240, 240))
    with_grid = grey + 5 * np.cos(2 * np.pi * np.arange(240) / 3)
    assert grid_peak(with_grid) == pytest.approx(grid_peak(grey), rel=1e-6)


@pytest.mark.parametrize("level", [0, 0.1, 128, 255])
def test_a_flat_image_has_none(level: float) -> None:
    assert grid_peak(np.full((64, 40), level)) == 0


def test_a_grid_on_nothing_is_infinite_and_a_small_image_has_no_answer() -> None:
    assert grid_peak(np.tile([[100.0, 101.0]], (32, 16))) == math.inf
    assert math.isnan(grid_peak(np.random.default_rng(5).normal(size=(31, 64))))


def test_grey_is_that_of_pillow() -> None:
    colours = np.random.default_rng(6).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    assert (grey_of(colours) == np.asarray(Image.fromarray(colours).convert("L"))).all()
    assert (grey_of(colours[..., 0]) == colours[..., 0]).all()


@pytest.mark.data
def test_set5_and_the_authors_images_of_it(shared_data: Path) -> None:
    def median(folder: Path) -> float:
        images = [read_image(path).pixels for path in sorted(folder.glob("*.png"))]
        return float(np.median([grid_peak(grey_of(image)) for image in images]))

    assert median(shared_data / "eval/Set5/HR") == pytest.approx(2.3, abs=0.05)
    assert median(shared_data / "published/Set5/srgan-vgg54") == pytest.approx(5.5, abs=0.05)


class Enlarged(nn.Module):
    """Every pixel 4x4 as large, plus a pattern (4, 4) in one channel, plus an edge gone wrong."""

    radius = 0

    def __init__(self, pattern: Float, channel: int) -> None:
        super().__init__()
        self.pattern, self.channel = torch.tensor(pattern / 255).float(), channel

    def forward(self, low: Tensor) -> Tensor:
        high = low.repeat_interleave(4, 2).repeat_interleave(4, 3)
        high[:, self.channel] += self.pattern.tile(*low.shape[2:])
        high[..., :8] = 1
        # what SRResNet makes lies in [-1, 1]
        return 2 * high - 1


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_pattern_and_an_offset_are_measured_in_levels(channel: int) -> None:
    pattern = np.random.default_rng(7).normal(3, 2, (4, 4))
    flat = flat_colours(Inference.of(Enlarged(pattern, channel), SRResNetArchitecture()))
    assert flat.pattern == pytest.approx(pattern.std(), rel=1e-3)
    assert flat.offset == pytest.approx(abs(pattern.mean()), rel=1e-3)


def test_what_stays_flat_has_neither() -> None:
    flat = flat_colours(Inference.of(Enlarged(np.zeros((4, 4)), 0), SRResNetArchitecture()))
    assert flat.pattern < 1e-3
    assert flat.offset < 1e-3


def test_the_worst_colour_counts_and_a_luma_network_is_measured_as_well() -> None:
    network = ESPCNArchitecture().build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    flat = flat_colours(Inference.of(network, ESPCNArchitecture()))
    assert flat.pattern < 1e-3
    # its luma is 127.5 for all; with chroma held, R, G and B move by 255/219 of the difference
    weights = np.array([65.481, 128.553, 24.966]) / 255
    lumas = [float(np.dot(weights, colour)) + 16 for colour in FLAT_COLOURS]
    worst = max(abs(127.5 - luma) for luma in lumas)
    assert flat.offset == pytest.approx(worst * 255 / 219, rel=1e-4)
