"""png2y4m's luma: the definition by what is known of the tool, the fast form by the definition."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.images import _daala, daala
from sreval.images._daala import DitherStream, Kiss99, dither_offsets
from sreval.images.daala import dither, kiss99, png2y4m_pixel_by_pixel
from sreval.images.io import read_image
from sreval.images.luma import png2y4m_luma

UInt8 = npt.NDArray[np.uint8]


def test_first_numbers_and_dithers_are_the_published_ones() -> None:
    assert list(islice(kiss99(), 3)) == [769445856, 742012328, 2121196314]
    assert list(islice(dither(), 2)) == [
        (27433528, -684424628, -547676870),
        (662606395, 597007450, -273016341),
    ]


def test_the_numbers_of_bt709_are_those_in_the_tool() -> None:
    assert daala.STEP * 219 == daala.ONE * 65535
    assert (daala.STEP, daala.CR_TO_RED) == (2916394880000, 4490222169144)
    assert (daala.CB_TO_GREEN, daala.CR_TO_GREEN) == (-534117096223, -1334761232047)
    assert daala.CB_TO_BLUE == 5290866304968


def test_the_dither_is_even_in_its_range_and_about_zero() -> None:
    drawn = np.array(list(islice(dither(), 20_000)))
    scaled = drawn / (np.array(daala.MODULI) - 1)
    assert np.abs(scaled).max() <= 1
    # the difference of two even draws from 0 to 1 has the variance 1/6
    assert scaled.mean(0) == pytest.approx(np.zeros(3), abs=0.01)
    assert scaled.var(0) == pytest.approx(np.full(3, 1 / 6), rel=0.02)


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_grey_becomes_its_own_luma_of_studio_range(level: int) -> None:
    luma = png2y4m_pixel_by_pixel(np.full((12, 12, 3), level, np.uint8))
    exact = 16 + 219 * level / 255
    # the dither of luma is a step at most, that of chroma about another; the mean stays
    assert np.abs(luma - exact).max() <= 2
    assert luma.mean() == pytest.approx(exact, abs=0.25)


@pytest.mark.parametrize("size", [(16, 20), (15, 20), (16, 19), (15, 19), (1, 1), (1, 4), (3, 1)])
def test_fast_luma_equals_pixel_by_pixel(size: tuple[int, int], photograph: UInt8) -> None:
    image = photograph[: size[0], : size[1]]
    assert np.array_equal(png2y4m_luma(image), png2y4m_pixel_by_pixel(image))
    grey = image[..., 1]
    assert np.array_equal(png2y4m_luma(grey), png2y4m_pixel_by_pixel(grey))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 13), st.integers(1, 13), st.integers(0, 2**32 - 1), st.booleans())
def test_fast_luma_equals_pixel_by_pixel_of_any_image(
    height: int, width: int, seed: int, extreme: bool
) -> None:
    rng = np.random.default_rng(seed)
    levels = np.array([0, 1, 128, 254, 255]) if extreme else np.arange(256)
    image = rng.choice(levels.astype(np.uint8), size=(height, width, 3))
    assert np.array_equal(png2y4m_luma(image), png2y4m_pixel_by_pixel(image))


def test_grey_is_its_own_colour_image(photograph: UInt8) -> None:
    grey = photograph[..., 1]
    assert np.array_equal(png2y4m_luma(grey), png2y4m_luma(np.stack([grey] * 3, axis=-1)))


@pytest.mark.parametrize("shape", [(37, 41, 3), (36, 40, 3), (35, 40)])
def test_strips_leave_no_trace(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(4).integers(0, 256, shape).astype(np.uint8)
    whole = png2y4m_luma(image)
    monkeypatch.setattr(_daala, "_STRIP", 50)
    np.testing.assert_array_equal(png2y4m_luma(image), whole)


def test_stretches_equal_one_number_at_a_time() -> None:
    generator, numbers = Kiss99(), kiss99()
    for count in (1, 2, 7, 1000, 65537):
        assert generator.take(count).tolist() == list(islice(numbers, count))


def test_stream_equals_draw_by_draw_however_it_is_cut() -> None:
    stream = DitherStream()
    taken = np.concatenate([stream.take(blocks) for blocks in (1, 3, 196, 500)])
    assert taken.reshape(-1, 3).tolist() == [list(triple) for triple in islice(dither(), 2800)]


def test_table_is_kept_on_disk_and_a_damaged_part_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path))
    monkeypatch.setattr(_daala, "_tables", [])
    monkeypatch.setattr(_daala, "CHUNK", 64)
    first = dither_offsets(65).copy()
    parts = sorted(tmp_path.rglob("*.npy"))
    assert len(parts) == 2
    parts[1].write_bytes(b"broken")
    _daala._tables.clear()
    assert np.array_equal(dither_offsets(65), first)
    assert np.load(parts[1]).shape == (3, 4, 64)


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SREVAL_CACHE", str(blocked))
    monkeypatch.setattr(_daala, "_tables", [])
    monkeypatch.setattr(_daala, "CHUNK", 64)
    assert dither_offsets(5).shape == (3, 4, 5)


def test_beyond_its_end_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at"):
        dither_offsets(_daala.MAX_BLOCKS + 1)


def in_whole_numbers(image: UInt8, monkeypatch: pytest.MonkeyPatch) -> UInt8:
    """The luma of an image of which float32 decides no pixel."""

    def unsure(samples: npt.NDArray[np.float32], *_: object) -> npt.NDArray[np.bool_]:
        return np.ones(samples.shape[1:], bool)

    with monkeypatch.context() as patch:
        patch.setattr(_daala, "_strip_luma", unsure)
        return png2y4m_luma(image)


def test_flat_patches_of_every_saturated_colour_equal_pixel_by_pixel() -> None:
    levels = np.array([0, 1, 127, 254, 255], np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(5, 25, 3)
    image = colours.repeat(4, axis=0).repeat(4, axis=1)
    assert np.array_equal(png2y4m_luma(image), png2y4m_pixel_by_pixel(image))


@pytest.mark.parametrize("levels", [range(256), (0, 255), (0, 1, 254, 255), (250, 255), (0,)])
def test_float32_decides_as_whole_numbers_do(
    levels: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(7)
    image = rng.choice(np.array(levels, np.uint8), (301, 402, 3))
    # blocks of one colour, beside noise whose errors leave 32 bits
    image[:150] = image[:150:6, ::6].repeat(6, axis=0).repeat(6, axis=1)
    np.testing.assert_array_equal(png2y4m_luma(image), in_whole_numbers(image, monkeypatch))


@pytest.mark.data
def test_float32_decides_as_whole_numbers_do_on_photographs(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted((shared_data / "eval" / "Set5" / "HR").glob("*.png")):
        image = read_image(path).pixels
        np.testing.assert_array_equal(png2y4m_luma(image), in_whole_numbers(image, monkeypatch))


def test_whole_numbers_are_asked_for_few_pixels(
    photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    exactly = _daala._block_luma

    def counted(
        colours: npt.NDArray[np.int64], *chroma: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        asked.append(colours.shape[1])
        return exactly(colours, *chroma)

    monkeypatch.setattr(_daala, "_block_luma", counted)
    white = np.full(photograph.shape, 255, np.uint8)
    for image in (photograph, white):
        png2y4m_luma(image)
        assert asked.pop() < 0.03 * image[..., 0].size
