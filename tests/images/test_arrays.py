"""Arrays of another type, range or shape are refused, with the line that makes them right."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sreval.errors import ArrayError
from sreval.images.luma import bt601, bt601_float, bt601_full_range, png2y4m_luma
from sreval.metrics.conventions import CONVENTIONS, Convention
from sreval.metrics.lpips import lpips
from sreval.metrics.protocol import PROTOCOLS
from sreval.metrics.psnr import psnr
from sreval.metrics.scorer import Reference
from sreval.metrics.ssim import ssim_daala, ssim_wang

Array = npt.NDArray[Any]


@pytest.fixture
def pair(photograph: Array) -> tuple[Array, Array]:
    return photograph, np.roll(photograph, 1, axis=1)


WRONG: dict[str, tuple[Callable[[Array], Array], str]] = {
    "0..1": (lambda a: a / 255, r"float64 of 0[\d.]*\.\.0\.\d+"),
    "-1..1": (lambda a: (a / 127.5 - 1).astype(np.float32), r"float32 of -[\d.]+\.\.0\.\d+"),
    "uint16": (lambda a: a.astype(np.uint16) * 257, r"uint16 of \d+\.\.\d+"),
    "bool": (lambda a: a > 100, r"bool of 0\.\.1"),
    "NaN": (lambda a: np.where(a > 100, np.nan, a), r"float64 with NaN or infinite values"),
    "text": (lambda a: a.astype(str), "<U3"),
}


def _under(convention: Convention, a: Array, b: Array) -> object:
    return convention.score(a, b, 4)


IMAGES: dict[str, Callable[[Array, Array], object]] = {
    "score": lambda a, b: Reference(a).score(b, [PROTOCOLS["rgb"]]),
    "the second of score": lambda a, b: Reference(np.zeros(a.shape, np.uint8)).score(
        b, [PROTOCOLS["rgb"]]
    ),
    "lpips": lpips,
    "planes": lambda a, b: PROTOCOLS["matlab"].planes(a, 4),
    "bt601": lambda a, b: bt601(a),
    "bt601_float": lambda a, b: bt601_float(a),
    "bt601_full_range": lambda a, b: bt601_full_range(a),
    "png2y4m": lambda a, b: png2y4m_luma(a),
    "ssim_daala": lambda a, b: ssim_daala(a[..., 0], b[..., 0]),
    **{c.name: partial(_under, c) for c in CONVENTIONS},
}


@pytest.mark.parametrize("function", IMAGES)
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_uint8_image_is_refused_with_what_was_seen(
    pair: tuple[Array, Array], kind: str, function: str
) -> None:
    spoil, message = WRONG[kind]
    with pytest.raises(ArrayError, match=message):
        IMAGES[function](*(spoil(image) for image in pair))


@pytest.mark.parametrize("function", [psnr, ssim_wang])
@pytest.mark.parametrize("kind", WRONG)
def test_planes_of_an_unknown_range_are_refused(
    pair: tuple[Array, Array], kind: str, function: Callable[[Array, Array], float]
) -> None:
    spoil, message = WRONG[kind]
    a, b = (image[..., 0] for image in pair)
    with pytest.raises(ArrayError, match=message):
        function(spoil(a), spoil(b))
    with pytest.raises(ArrayError, match=rf"image holds {message}"):
        function(a, spoil(b))


@pytest.mark.parametrize("function", [psnr, ssim_wang])
@pytest.mark.parametrize("white", [1, 65535])
def test_a_given_range_gives_the_value_of_eight_bits(
    pair: tuple[Array, Array], white: int, function: Callable[..., float]
) -> None:
    a, b = (image[..., 0] for image in pair)
    other = [a / 255, b / 255] if white == 1 else [p.astype(np.uint16) * 257 for p in (a, b)]
    expected = function(a, b)
    assert function(*other, data_range=white) == pytest.approx(expected, abs=1e-9)
    assert function(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ArrayError, match=r"not 0\.\.0\.5"):
        function(*other, data_range=0.5)
    for nonsense in (0, -1, math.nan, math.inf):
        with pytest.raises(ArrayError, match="data_range is"):
            function(a, b, data_range=nonsense)


def test_two_black_planes_of_floats_need_their_range() -> None:
    black = np.zeros((20, 20))
    with pytest.raises(ArrayError, match="set data_range to the value of white"):
        psnr(black, black)
    assert psnr(black, black, data_range=255) == math.inf


@pytest.mark.parametrize("kind", ["0..1", "-1..1", "uint16"])
def test_the_line_in_the_message_makes_the_array_right(
    pair: tuple[Array, Array], kind: str
) -> None:
    image = WRONG[kind][0](pair[0])
    with pytest.raises(ArrayError) as refused:
        bt601(image)
    line = refused.value.remedy.removeprefix("Give ").removesuffix(".")
    mended = eval(line, {"np": np, "image": image})
    np.testing.assert_array_equal(mended, pair[0])


@pytest.mark.parametrize("shape", [(8,), (8, 8, 4), (8, 8, 1), (1, 8, 8, 3), (3, 8, 8), (0, 8)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArrayError, match="shape"):
        bt601(np.zeros(shape, np.uint8))


def test_what_is_no_array_is_named() -> None:
    with pytest.raises(ArrayError, match=r"image .* of the type list"):
        psnr(np.zeros((2, 2), np.uint8), [[1, 2], [3, 4]])  # type: ignore[arg-type]


def test_different_shapes_are_a_value_error_too() -> None:
    with pytest.raises(ValueError, match=r"shapes differ: \(2, 3\) and \(3, 2\)"):
        psnr(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ArrayError, match="planes"):
        ssim_wang(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20, 3), np.uint8))
