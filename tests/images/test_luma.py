"""BT.601 luma against scikit-image and Pillow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import skimage.color
from PIL import Image

from sreval.images.luma import bt601, bt601_float, bt601_full_range


def test_float_luma_equals_scikit_image(photograph: npt.NDArray[np.uint8]) -> None:
    theirs = skimage.color.rgb2ycbcr(photograph)[..., 0]
    assert np.allclose(bt601_float(photograph), theirs, atol=1e-9)


def test_luma_is_the_float_one_rounded_half_away(photograph: npt.NDArray[np.uint8]) -> None:
    assert np.array_equal(bt601(photograph), np.floor(bt601_float(photograph) + 0.5))


def test_luma_is_the_float_one_rounded_of_every_red_and_green() -> None:
    red, green, blue = np.meshgrid(np.arange(256), np.arange(256), np.arange(0, 256, 15))
    cube = np.stack([red, green, blue], axis=-1).astype(np.uint8).reshape(256, -1, 3)
    assert np.array_equal(bt601(cube), np.floor(bt601_float(cube) + 0.5))


def test_of_exact_ties_the_order_of_matlabs_sum_decides() -> None:
    # all three lie just between two lumas; in float64 the first falls short of it
    ties = np.array([[[0, 204, 68], [1, 173, 225], [6, 34, 182]]], np.uint8)
    assert bt601(ties).tolist() == [[125, 126, 53]]


def test_black_and_white_are_16_and_235() -> None:
    pixels = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    assert bt601(pixels).tolist() == [[16, 235]]


def test_grey_is_taken_as_it_is(photograph: npt.NDArray[np.uint8]) -> None:
    grey = photograph[..., 0]
    assert bt601(grey) is grey
    assert np.array_equal(bt601_full_range(grey), grey)


def test_full_range_luma_is_pillows_which_cuts_off(photograph: npt.NDArray[np.uint8]) -> None:
    theirs = np.asarray(Image.fromarray(photograph).convert("YCbCr"))[..., 0]
    cut_off = bt601_full_range(photograph) - theirs
    assert cut_off.min() > -0.02
    assert cut_off.max() < 1.02
