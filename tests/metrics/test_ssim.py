"""Both SSIMs by their definition, and that by scikit-image and by the sums of daala's tool."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from sreval.errors import ImageError
from sreval.metrics.ssim import (
    WANG_WINDOW,
    daala_kernel,
    ssim_daala,
    ssim_map,
    ssim_wang,
    wang_kernel,
)

Plane = npt.NDArray[np.uint8]


def noisy(plane: Plane, seed: int = 0) -> Plane:
    noise = np.random.default_rng(seed).normal(0, 20, plane.shape)
    return np.clip(plane + noise, 0, 255).astype(np.uint8)


def theirs(a: Plane, b: Plane) -> float:
    return float(
        structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
    )


@pytest.mark.parametrize(
    "size", [(11, 11), (11, 60), (60, 12), (42, 43), (74, 75), (96, 120), (139, 201)]
)
def test_wang_equals_scikit_image(size: tuple[int, int]) -> None:
    plane = np.random.default_rng(1).integers(0, 256, size).astype(np.uint8)
    other = noisy(plane)
    assert ssim_wang(plane, other) == pytest.approx(theirs(plane, other), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(11, 90), st.integers(11, 90), st.integers(0, 2**32 - 1))
def test_wang_equals_scikit_image_at_any_size(height: int, width: int, seed: int) -> None:
    plane = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    other = noisy(plane, seed)
    assert ssim_wang(plane, other) == pytest.approx(theirs(plane, other), abs=1e-12)


def by_definition(a: Plane, b: Plane, name: str) -> float:
    if name == "wang":
        similarity, _ = ssim_map(a, b, wang_kernel(), "valid")
        return float(similarity.mean())
    similarity, weight = ssim_map(a, b, daala_kernel(*a.shape), "same")
    return float((weight * similarity).sum() / weight.sum())


def dump_ssim(a: Plane, b: Plane) -> float:
    """The tool's own sums: taps outside the picture dropped, W the sum of those used."""
    height, width = a.shape
    kernel = [int(tap) for tap in daala_kernel(height, width)]
    radius = len(kernel) // 2
    total = weights = 0.0
    for y in range(height):
        for x in range(width):
            w = mx = my = xx = yy = xy = 0
            for j in range(-radius, radius + 1):
                for i in range(-radius, radius + 1):
                    if 0 <= y + j < height and 0 <= x + i < width:
                        k = kernel[j + radius] * kernel[i + radius]
                        p, q = int(a[y + j, x + i]), int(b[y + j, x + i])
                        w, mx, my = w + k, mx + k * p, my + k * q
                        xx, yy, xy = xx + k * p * p, yy + k * q * q, xy + k * p * q
            c1, c2 = 255**2 * 0.0001 * w**2, 255**2 * 0.0009 * w**2
            s = (2 * mx * my + c1) * (c2 + 2 * (xy * w - mx * my))
            s /= (mx**2 + my**2 + c1) * (xx * w - mx**2 + yy * w - my**2 + c2)
            total, weights = total + w * s, weights + w
    return total / weights


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2), (20, 33), (90, 8)])
def test_the_definition_of_daala_equals_the_tool_s_sums(size: tuple[int, int]) -> None:
    plane = np.random.default_rng(2).integers(0, 256, size).astype(np.uint8)
    other = noisy(plane)
    assert by_definition(plane, other, "daala") == pytest.approx(dump_ssim(plane, other), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.booleans())
def test_fast_forms_equal_their_definitions(
    height: int, width: int, seed: int, extreme: bool
) -> None:
    levels = np.array([0, 255] if extreme else range(256), np.uint8)
    rng = np.random.default_rng(seed)
    a, b = (rng.choice(levels, (height, width)) for _ in range(2))
    assert ssim_daala(a, b) == pytest.approx(by_definition(a, b, "daala"), abs=1e-12)
    if min(height, width) >= WANG_WINDOW:
        assert ssim_wang(a, b) == pytest.approx(by_definition(a, b, "wang"), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000))
def test_daala_kernel_is_whole_symmetric_and_sums_to_256(height: int, width: int) -> None:
    kernel = daala_kernel(height, width)
    assert kernel.sum() == 256
    assert np.array_equal(kernel, kernel[::-1])
    assert np.array_equal(kernel, np.rint(kernel))
    assert len(kernel) // 2 <= min(height, width) - 1


def test_daala_kernel_of_a_picture_worked_by_hand() -> None:
    # h = 256: sigma 1.5, s = sqrt(pi/2) 1.5/256 = 0.00734, L = floor(1.5 sqrt(-2 ln s)) = 4.
    side = [
        math.floor(256 / (math.sqrt(2 * math.pi) * 1.5) * math.exp(-(i**2) / 4.5) + 0.5)
        for i in (1, 2, 3, 4)
    ]
    assert side == [55, 28, 9, 2]
    assert daala_kernel(256, 300).tolist() == [2, 9, 28, 55, 68, 55, 28, 9, 2]


@pytest.mark.parametrize("ssim", [ssim_wang, ssim_daala])
def test_identity_symmetry_and_order(
    ssim: Callable[[Plane, Plane], float], photograph: npt.NDArray[np.uint8]
) -> None:
    plane = photograph[..., 1]
    near, far = noisy(plane), noisy(noisy(plane), 1)
    assert ssim(plane, plane) == pytest.approx(1, abs=1e-12)
    assert ssim(plane, near) == pytest.approx(ssim(near, plane), abs=1e-12)
    assert ssim(plane, far) < ssim(plane, near) < 1
    assert ssim(plane.T.copy(), near.T.copy()) == pytest.approx(ssim(plane, near), abs=0.02)


def test_an_image_smaller_than_the_window_is_refused() -> None:
    small = np.zeros((10, 40), np.uint8)
    with pytest.raises(ImageError, match="40x10 pixels are smaller than SSIM's window of 11x11"):
        ssim_wang(small, small)


def test_planes_of_one_shape_are_needed() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        ssim_wang(np.zeros((20, 20)), np.zeros((20, 21)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu(photograph: npt.NDArray[np.uint8]) -> None:
    plane = photograph[..., 1]
    other = noisy(plane)
    for ssim in (ssim_wang, ssim_daala):
        assert ssim(plane, other, "cuda") == pytest.approx(ssim(plane, other), abs=1e-12)


@pytest.mark.parametrize("ssim", [ssim_wang, ssim_daala])
def test_number_of_threads_changes_nothing(ssim: Callable[[Plane, Plane], float]) -> None:
    plane = np.random.default_rng(3).integers(0, 256, (700, 90)).astype(np.uint8)
    before = torch.get_num_threads()
    values = set()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            values.add(ssim(plane, noisy(plane)))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert len(values) == 1
