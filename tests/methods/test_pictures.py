"""What hides under full transparency does not show where a picture is enlarged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from sreval.errors import ImageError
from sreval.images.io import Pixels
from sreval.methods import make_upscaler
from sreval.methods.pictures import Picture, PictureUpscaler, enlarge, write_picture


def of_kind(white: Any, dtype: str, colour: bool) -> Pixels:
    """Numbers from 0 to 1 as grey or colour of 8 or 16 bits."""
    plane = (np.asarray(white, dtype=float) * np.iinfo(dtype).max).astype(dtype)
    return cast(Pixels, np.dstack([plane] * 3) if colour else plane)


KINDS = pytest.mark.parametrize(
    ("dtype", "colour"), [("u1", False), ("u1", True), ("u2", False), ("u2", True)]
)


@KINDS
def test_a_white_disc_on_transparent_black_keeps_a_white_edge(dtype: str, colour: bool) -> None:
    y, x = np.mgrid[:40, :44]
    disc = (y - 20) ** 2 + (x - 21) ** 2 < 15**2
    picture = Picture(of_kind(disc, dtype, colour), of_kind(disc, dtype, False))
    large = enlarge(picture, make_upscaler("bicubic"), 4)
    assert large.alpha is not None
    seen = large.pixels[large.alpha > 0]
    assert seen.size
    assert int(np.iinfo(dtype).max) - int(seen.min()) <= 1


@KINDS
def test_hidden_pixels_take_the_colour_of_the_nearest_that_shows(dtype: str, colour: bool) -> None:
    shades = np.linspace(0.2, 0.8, 12)[None].repeat(6, 0)
    alpha = np.ones_like(shades)
    alpha[:, 3:5] = alpha[:, 9:] = 0
    alpha[:, 8] = 0.01
    pixels = of_kind(np.where(alpha, shades, 0), dtype, colour)
    made = enlarge(Picture(pixels, of_kind(alpha, dtype, False)), make_upscaler("nearest"), 2)
    nearest = [0, 1, 2, 2, 5, 5, 6, 7, 8, 8, 8, 8]
    expected = of_kind(shades, dtype, colour)[:, nearest]
    assert np.array_equal(made.pixels, expected.repeat(2, 0).repeat(2, 1))


@KINDS
@pytest.mark.parametrize("alpha", [0, 1, None])
def test_a_picture_that_is_all_hidden_or_all_seen_keeps_its_colours(
    dtype: str, colour: bool, alpha: float | None
) -> None:
    shades = np.linspace(0, 1, 48).reshape(6, 8)
    pixels = of_kind(shades, dtype, colour)
    hidden = None if alpha is None else of_kind(np.full_like(shades, alpha), dtype, False)
    made = enlarge(Picture(pixels, hidden), make_upscaler("nearest"), 2)
    assert np.array_equal(made.pixels, pixels.repeat(2, 0).repeat(2, 1))


def test_without_imagecodecs_16_bits_are_not_written_as_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    deep = Picture(of_kind(np.linspace(0, 1, 48).reshape(6, 8), "u2", True))
    with pytest.raises(ImageError, match="needs the package imagecodecs"):
        write_picture(tmp_path / "deep.png", deep)
    assert not (tmp_path / "deep.png").exists()
    write_picture(tmp_path / "eight.png", Picture(of_kind(np.ones((6, 8)), "u1", True)))
    assert (tmp_path / "eight.png").exists()


def test_a_folder_of_frames_is_enlarged_into_folders_of_the_same_names(tmp_path: Path) -> None:
    grey = Picture(of_kind(np.linspace(0, 1, 48).reshape(6, 8), "u1", False))
    for name in ("a/1", "a/2", "b/1"):
        write_picture(tmp_path / "in" / f"{name}.png", grey)
    upscaler = PictureUpscaler(make_upscaler("bicubic"), 2)
    for out in ("out", "in/up"):  # what was made before takes no part
        for _ in range(2):
            written, failed = upscaler.files(
                tmp_path / "in", tmp_path / out, replace=True, progress=False
            )
            assert not failed
            assert written == [tmp_path / out / f"{name}.png" for name in ("a/1", "a/2", "b/1")]
