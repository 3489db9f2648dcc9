"""Scales: what is one, and the sizes that they give, against decimal arithmetic and search."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.errors import UsageError
from sreval.images.degraded import Record
from sreval.images.resize import crop_to_multiple
from sreval.images.scales import checked_scale, hr_size, lr_size, lr_size_of_cropped

SCALES = [2, 3, 4, 7, 16, 1.0001, 1.1, 1.4, 1.5, 2.2, 2.5, 2.8, 3.3333, 4.3, 6.6, 15.9999]


def rounded(scale: float, low: int) -> int:
    return int((Decimal(str(scale)) * low).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize("scale", SCALES)
def test_sizes_are_those_of_decimal_arithmetic(scale: float) -> None:
    products = [Decimal(str(scale)) * low for low in range(64)]
    for high in range(61):
        low = max(low for low, product in enumerate(products) if product <= high)
        assert lr_size((high, 9 * high, 3), scale)[0] == low
        assert hr_size((low, 1), scale)[0] == rounded(scale, low)
        assert rounded(scale, low) <= high
        fitting = [low for low in range(64) if rounded(scale, low) == high]
        assert lr_size_of_cropped((high, high), scale) == (
            (fitting[0], fitting[0]) if fitting else None
        )


@settings(deadline=None)
@given(
    scale=st.one_of(st.integers(2, 16), st.decimals("1.01", 16, places=2).map(float)),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
)
def test_a_crop_leaves_what_the_lr_image_is_enlarged_to(
    scale: float, height: int, width: int
) -> None:
    image = np.arange(height * width, dtype=np.uint16).astype(np.uint8).reshape(height, width)
    low = lr_size(image.shape, scale)
    if min(low) == 0:
        return
    cropped = crop_to_multiple(image, scale)
    assert cropped.shape == hr_size(low, scale)
    assert np.array_equal(cropped, image[: cropped.shape[0], : cropped.shape[1]])
    assert lr_size_of_cropped(cropped.shape, scale) == low
    if isinstance(scale, int):
        assert cropped.shape == (height // scale * scale, width // scale * scale)


def test_binary_fractions_do_not_lose_a_row() -> None:
    assert 22 // 2.2 == 9, "what floating point makes of it"
    assert lr_size((22, 33), 2.2) == (10, 15)
    assert hr_size((5, 7), 2.5) == (13, 18), "halves go up"


@pytest.mark.parametrize(
    ("given", "scale"),
    [(4, "4"), (4.0, "4"), (np.int64(8), "8"), (np.float64(2.5), "2.5"), (1.0001, "1.0001")],
)
def test_a_whole_scale_is_an_int(given: Any, scale: str) -> None:
    found = checked_scale(given)
    assert (repr(found), f"{found:g}") == (scale, scale)


@pytest.mark.parametrize(
    "given", [1, 0.5, -2, 16.0001, 2.00001, float("nan"), float("inf"), True, None, "4", 2j]
)
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match=r"above 1 and up to 16, such as 4 or 2\.5"):
        checked_scale(given)


def test_a_record_writes_a_scale_as_it_is_printed() -> None:
    recipe = {"name": "bicubic", "steps": [{"step": "bicubic"}]}
    given = {"degradation": recipe, "sha256": "", "versions": {}, "images": {}}
    for scale, text in ((4, '"scale":4,'), (4.0, '"scale":4,'), (2.5, '"scale":2.5,')):
        record = Record.checked({**given, "scale": scale}, "")
        assert text in record.model_dump_json()
    for scale, said in (
        (1, "more than 1"),
        (16.5, "16 or less"),
        (2.33333, "have at most 4 decimals"),
    ):
        with pytest.raises(UsageError, match=f"scale = {scale}: it must {said}|be {said}"):
            Record.checked({**given, "scale": scale}, "")
