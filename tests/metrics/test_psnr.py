"""PSNR against scikit-image, and its corner cases."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from skimage.metrics import peak_signal_noise_ratio

from sreval.metrics.psnr import psnr


def test_equals_scikit_image(photograph: npt.NDArray[np.uint8]) -> None:
    other = np.roll(photograph, 1, axis=1)
    theirs = peak_signal_noise_ratio(photograph, other, data_range=255)
    assert psnr(photograph, other) == pytest.approx(theirs, abs=1e-10)
    floats = psnr(photograph.astype(np.float64), other.astype(np.float64))
    assert floats == pytest.approx(theirs, abs=1e-10)


def test_identical_images_give_infinity(photograph: npt.NDArray[np.uint8]) -> None:
    assert psnr(photograph, photograph.copy()) == math.inf


def test_opposite_images_give_zero_without_wrapping() -> None:
    black, white = np.zeros((3000, 4000), np.uint8), np.full((3000, 4000), 255, np.uint8)
    assert psnr(black, white) == pytest.approx(0, abs=1e-9)


def test_one_grey_level_on_one_pixel_is_seen() -> None:
    image = np.zeros((10, 10), np.uint8)
    other = image.copy()
    other[3, 4] = 1
    assert psnr(image, other) == pytest.approx(10 * math.log10(255**2 * 100))


def test_shapes_must_be_one() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        psnr(np.zeros((2, 3)), np.zeros((3, 2)))
