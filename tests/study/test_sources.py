"""Stand-ins are degradations: of the original's size, unlike it and each other, repeatable."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sreval.study.sources import STAND_INS, stand_in

UInt8 = npt.NDArray[np.uint8]
EVERY = range(len(STAND_INS))


def test_nine_differ_from_the_original_and_each_other(photograph: UInt8) -> None:
    made = [photograph, *(stand_in(i, photograph, "chelsea") for i in EVERY)]
    assert len(made) == 10
    for first, second in combinations(made, 2):
        difference = np.abs(first.astype(int) - second.astype(int))
        assert difference.mean() > 0.3


@pytest.mark.parametrize("index", EVERY)
def test_a_stand_in_is_still_the_same_scene(index: int, photograph: UInt8) -> None:
    made = stand_in(index, photograph, "chelsea")
    assert np.corrcoef(made.ravel(), photograph.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("index", EVERY)
@settings(max_examples=15, deadline=None)
@given(
    image=st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda size: arrays(np.uint8, (*size, 3))
    )
)
def test_any_size_is_kept_and_the_original_left_alone(index: int, image: UInt8) -> None:
    before = image.copy()
    made = stand_in(index, image, "any")
    assert made.shape == image.shape
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(made, stand_in(index, image, "any"))


def test_noise_differs_from_image_to_image(photograph: UInt8) -> None:
    assert not np.array_equal(stand_in(1, photograph, "a"), stand_in(1, photograph, "b"))


def test_ringing_holds_no_frequency_beyond_its_limit() -> None:
    """A wave of 0.25 cycles a pixel goes, one of 0.125 stays."""
    x = np.arange(64)
    fast, slow = (128 + 50 * np.cos(2 * np.pi * f * x) for f in (0.25, 0.125))
    for wave, kept in ((fast, False), (slow, True)):
        image = np.rint(np.broadcast_to(wave[None, :, None], (64, 64, 3))).astype(np.uint8)
        spread = stand_in(6, image, "wave").std()
        assert (spread > 30) if kept else (spread < 1)


def test_a_mosaic_is_constant_in_its_blocks(photograph: UInt8) -> None:
    made = stand_in(8, photograph, "chelsea")
    block = photograph[3:6, 6:9].reshape(9, 3).mean(axis=0)
    np.testing.assert_array_equal(made[3:6, 6:9].reshape(9, 3), [np.rint(block)] * 9)
