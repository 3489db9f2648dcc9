"""png2y4m's luma against a version written block by block in Python's own integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sreval.images import daala
from sreval.images.daala import png2y4m_luma
from sreval.images.dither import DitherStream

D = 9745792000


def rounded(numerator: int, denominator: int) -> int:
    sign = -1 if numerator < 0 else 1
    return sign * ((abs(numerator) + denominator // 2) // denominator)


def clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def wrap32(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def luma_in_loops(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    colour = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
    columns = -(-width // 2)
    triples = DitherStream().take(-(-height // 2) * columns).tolist()
    out = np.zeros((height, width), np.uint8)
    for block, drawn in enumerate(triples):
        top, left = 2 * (block // columns), 2 * (block % columns)
        _, cbd, crd = drawn[0]
        pixels: list[tuple[int, int, int]] = []
        for k in range(4):
            row, column = top + k // 2, left + k % 2
            if row >= height:
                pixels.append(pixels[k - 2])
                continue
            if column >= width:
                pixels.append(pixels[k - 1])
                continue
            yd = drawn[k][0]
            r, g, b = (int(v) * 257 for v in colour[row, column])
            r += rounded(2 * yd + 3 * crd, 8176000)
            g += rounded(2384 * yd + 361 * cbd + 1063 * crd, 9745792000)
            b += rounded(2 * yd + 3 * cbd, 8176000)
            pixels.append((r, g, b))
        rs, gs, bs = (sum(p[c] for p in pixels) for c in range(3))
        cb = clamp(128 + rounded(-29764 * rs - 100128 * gs + 129892 * bs, 304016865), 0, 255)
        cr = clamp(128 + rounded(110236 * rs - 100128 * gs - 10108 * bs, 258011295), 0, 255)
        for k, (r, g, b) in enumerate(pixels):
            row, column = top + k // 2, left + k % 2
            if row < height and column < width:
                out[row, column] = luma_of_pixel(r, g, b, cb, cr)
    return out


def luma_of_pixel(r: int, g: int, b: int, cb: int, cr: int) -> int:
    cr_ = 4490222169144 * (cr - 128)
    cg_ = -534117096223 * (cb - 128) - 1334761232047 * (cr - 128)
    cb_ = 5290866304968 * (cb - 128)
    yn = 1063 * ((r * D - cr_ + 4096) >> 13)
    yn += 3576 * ((g * D - cg_ + 4096) >> 13)
    yn += 361 * ((b * D - cb_ + 4096) >> 13)
    y0 = clamp(yn // 1780026171875, -16, 238)

    def error(y: int) -> int:
        shown = [clamp(rounded(2916394880000 * y + c, D), 0, 65535) for c in (cr_, cg_, cb_)]
        return wrap32(sum((s - v) ** 2 for s, v in zip(shown, (r, g, b), strict=True)))

    low, high = error(y0), error(y0 + 1)
    if high < low or (high == low and (y0 + 1) % 2 == 0):
        return y0 + 1 + 16
    return y0 + 16


@pytest.mark.parametrize("size", [(16, 20), (15, 20), (16, 19), (15, 19), (1, 1), (1, 4), (3, 1)])
def test_luma_equals_block_by_block(
    size: tuple[int, int], photograph: npt.NDArray[np.uint8]
) -> None:
    image = photograph[: size[0], : size[1]]
    assert np.array_equal(png2y4m_luma(image), luma_in_loops(image))


def test_extreme_colours_equal_block_by_block() -> None:
    rng = np.random.default_rng(1)
    image = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), size=(24, 26, 3))
    assert np.array_equal(png2y4m_luma(image), luma_in_loops(image))


def test_grey_is_its_own_colour_image(photograph: npt.NDArray[np.uint8]) -> None:
    grey = photograph[..., 1]
    assert np.array_equal(png2y4m_luma(grey), png2y4m_luma(np.stack([grey] * 3, axis=-1)))


def test_range_is_studio_range() -> None:
    black, white = (np.full((8, 8, 3), v, np.uint8) for v in (0, 255))
    assert png2y4m_luma(black).max() <= 17
    assert png2y4m_luma(white).min() >= 234


@pytest.mark.parametrize("shape", [(37, 41, 3), (36, 40, 3), (35, 40)])
def test_strips_leave_no_trace(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    whole = png2y4m_luma(image)
    monkeypatch.setattr(daala, "_STRIP", 50)
    np.testing.assert_array_equal(png2y4m_luma(image), whole)
