"""MATLAB's bicubic: against the published LR images, and against a version written out in loops."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.errors import ImageError
from sreval.images import resize
from sreval.images.io import read_image
from sreval.images.resize import (
    Border,
    crop_to_multiple,
    downscale,
    imresize,
    resize_by_taps,
    upscale,
)


def cubic(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0


def line_in_loops(line: list[float], scale: float, border: Border) -> list[float]:
    """One line resized sample by sample, as PROTOCOL says in words."""
    n = len(line)
    width = 4 / scale if scale < 1 else 4.0
    out = []
    for i in range(1, math.ceil(scale * n) + 1):
        u = i / scale + 0.5 * (1 - 1 / scale)
        left = math.floor(u - width / 2)
        taps = list(range(left, left + math.ceil(width) + 2))
        weights = [scale * cubic(scale * (u - j)) if scale < 1 else cubic(u - j) for j in taps]
        total = sum(weights)
        value = 0.0
        for j, weight in zip(taps, weights, strict=True):
            k = j
            if border == "replicate":
                k = min(max(k, 1), n)
            else:
                while not 1 <= k <= n:
                    k = 1 - k if k < 1 else 2 * n + 1 - k
            value += weight / total * line[k - 1]
        out.append(value)
    return out


@pytest.mark.parametrize("border", ["replicate", "symmetric"])
@pytest.mark.parametrize("scale", [0.25, 1 / 3, 0.5, 0.7, 1.6, 2, 3, 4])
def test_float_image_equals_loops(scale: float, border: Border) -> None:
    image = np.random.default_rng(0).normal(size=(9, 7))
    rows = np.array([line_in_loops(list(r), scale, border) for r in image.T]).T
    both = np.array([line_in_loops(list(r), scale, border) for r in rows])
    assert np.allclose(imresize(image, scale, border=border), both, atol=1e-12)


def test_published_lr_images_are_reproduced_bit_for_bit(shared_data: Path) -> None:
    folders = [shared_data / "eval" / name for name in ("Set5", "Set14", "BSD100")]
    equal = [
        np.array_equal(
            downscale(read_image(hr).pixels, 4), read_image(folder / "LR_x4" / hr.name).pixels
        )
        for folder in folders
        for hr in sorted((folder / "HR").glob("*.png"))
    ]
    assert (sum(equal), len(equal)) == (119, 119)


def test_symmetric_border_is_not_the_published_one(shared_data: Path) -> None:
    folders = [shared_data / "eval" / name for name in ("Set5", "Set14")]
    different = [
        downscale(read_image(hr).pixels, 4, "symmetric")
        != read_image(folder / "LR_x4" / hr.name).pixels
        for folder in folders
        for hr in sorted((folder / "HR").glob("*.png"))
    ]
    share = np.mean(np.concatenate([image.ravel() for image in different]))
    assert 0.005 < share < 0.02


def test_borders_agree_inside(photograph: npt.NDArray[np.uint8]) -> None:
    replicate, symmetric = (
        downscale(photograph, 4, border) for border in ("replicate", "symmetric")
    )
    assert np.array_equal(replicate[2:-2, 2:-2], symmetric[2:-2, 2:-2])
    assert not np.array_equal(replicate, symmetric)


@settings(max_examples=40, deadline=None)
@given(
    value=st.integers(0, 255),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    scale=st.sampled_from([0.25, 0.5, 2.0, 3.0, 4.0]),
)
def test_a_flat_image_stays_flat(value: int, height: int, width: int, scale: float) -> None:
    flat = np.full((height, width, 3), value, np.uint8)
    made = imresize(flat, scale)
    assert made.shape == (math.ceil(scale * height), math.ceil(scale * width), 3)
    assert (made == value).all()


def test_grey_equals_a_channel_of_colour(photograph: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(upscale(photograph, 3)[..., 1], upscale(photograph[..., 1], 3))


def test_a_side_that_does_not_divide_is_refused(photograph: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="119x96 pixels can't be divided by 4"):
        downscale(photograph[:, :-1], 4)
    assert crop_to_multiple(photograph[:, :-1], 4).shape == (96, 116, 3)


@pytest.mark.parametrize("scale", [1.1, 1.5, 2.2, 2.5, 3.3, 5, 7.77])
@pytest.mark.parametrize("shape", [(31, 44), (45, 24, 3)])
def test_a_ratio_is_matlabs_bicubic_to_the_size_of_the_crop_rule(
    scale: float, shape: tuple[int, ...]
) -> None:
    hr = crop_to_multiple(np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8), scale)
    low = (math.ceil((side + Fraction(1, 2)) / Fraction(str(scale))) - 1 for side in shape[:2])
    lr = downscale(hr, scale)
    assert lr.shape[:2] == tuple(low)
    for made, of in ((lr, hr), (upscale(lr, scale), lr)):
        distance = np.abs(made.astype(int) - resized_in_loops(of, made.shape[:2]))
        assert distance.max() <= 1, "ties alone"
        assert distance.mean() < 0.002


def resized_in_loops(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[Any]:
    """Both passes, the axis that shrinks more first, rounded after each."""
    for axis in sorted((0, 1), key=lambda axis: size[axis] / image.shape[axis]):
        scale = size[axis] / image.shape[axis]
        lines = np.moveaxis(image, axis, 0).astype(float)
        flat = lines.reshape(len(lines), -1).T
        made = np.array(
            [line_in_loops(list(line), scale, "replicate")[: size[axis]] for line in flat]
        )
        made = np.clip(np.floor(made + 0.5), 0, 255).astype(np.uint8).T
        image = np.moveaxis(made.reshape(-1, *lines.shape[1:]), 0, axis)
    return image


def test_what_a_ratio_does_not_fit_is_told_the_size_that_does() -> None:
    with pytest.raises(
        ImageError, match=r"120x99 pixels can't be divided by 2\.5\. Crop to 120x98"
    ):
        downscale(np.zeros((99, 120), np.uint8), 2.5)
    assert downscale(np.zeros((98, 120), np.uint8), 2.5).shape == (39, 48)


def test_scale_and_size_exclude_each_other(photograph: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="either"):
        imresize(photograph, 2, size=(3, 3))
    with pytest.raises(ValueError, match="at least one pixel"):
        imresize(photograph, size=(0, 3))
    assert imresize(photograph, size=(50, 30)).shape == (50, 30, 3)


@pytest.mark.parametrize("border", ["replicate", "symmetric"])
@pytest.mark.parametrize("scale", [0.125, 0.25, 0.5, 1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (61, 5, 3), (150, 37, 3), (40, 33, 4)])
def test_products_equal_the_sum_tap_by_tap(
    shape: tuple[int, ...], scale: float, border: Border
) -> None:
    # Black and white alone saturate and reach the exact ties.
    image = (np.random.default_rng(5).integers(0, 2, shape) * 255).astype(np.uint8)
    size = (math.ceil(scale * shape[0]), math.ceil(scale * shape[1]))
    by_products = imresize(image, scale, border=border)
    by_taps = resize_by_taps(image, size, (scale, scale), border)
    assert by_products.dtype == by_taps.dtype
    np.testing.assert_array_equal(by_products, by_taps)


def test_products_are_taken_only_where_they_are_exact() -> None:
    image = np.zeros((12, 12), np.uint8)
    assert resize._resize_by_products(image, (3, 3), (0.25, 0.25), "replicate") is not None
    assert resize._resize_by_products(image, (4, 4), (1 / 3, 1 / 3), "replicate") is None
