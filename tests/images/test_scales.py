"""Scales: what is one, and the sizes that they give, against decimal arithmetic and search."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sreval import Dataset, fetch
from sreval.benchmarking.data import downscale_folder
from sreval.errors import ImageError, UsageError
from sreval.images.datasets import UserSet, open_dataset
from sreval.images.degradations import known_degradation
from sreval.images.degrade import degrade
from sreval.images.degraded import Record
from sreval.images.io import read_image, write_png
from sreval.images.resize import crop_to_multiple, downscale
from sreval.images.scales import belong, checked_scale, fitting_scale, hr_size, lr_size

SCALES = [2, 3, 4, 7, 16, 1.0001, 1.1, 1.4, 1.5, 2.2, 2.5, 2.8, 3.3333, 4.3, 6.6, 15.9999]


def rounded(scale: float, low: int) -> int:
    return int((Decimal(str(scale)) * low).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize("scale", SCALES)
def test_sizes_are_those_of_decimal_arithmetic(scale: float) -> None:
    enlarged = [rounded(scale, low) for low in range(302)]
    for high in range(1, 301):
        low = max(low for low, side in enumerate(enlarged) if side <= high)
        assert lr_size((high, 9 * high, 3), scale)[0] == low
        assert hr_size((low, 1), scale)[0] == enlarged[low]
        assert lr_size((enlarged[low], 1), scale)[0] == low, "a crop isn't cropped again"
        in_liif = int(high / Decimal(str(scale)))
        assert low == in_liif or (low == in_liif + 1 and enlarged[low] == high)
        if isinstance(scale, int):
            assert (low, enlarged[low]) == (high // scale, high // scale * scale)


BICUBIC = known_degradation("bicubic")


@pytest.mark.parametrize("scale", [3, 2.2, 2.6667, 7.77])
def test_all_that_make_an_lr_image_make_one_size(scale: float, tmp_path: Path) -> None:
    for high in (24, 27, 36, 41, 61, 96):
        image = np.arange(2 * high**2, dtype=np.uint32).astype(np.uint8).reshape(high, -1)
        write_png(tmp_path / "hr" / f"{high}.png", image)
        size = tuple(max(n for n in range(99) if rounded(scale, n) <= s) for s in image.shape)
        whole = tuple(rounded(scale, n) for n in size)
        cropped = crop_to_multiple(image, scale)
        assert np.array_equal(cropped, image[: whole[0], : whole[1]])
        assert cropped.shape == whole
        assert downscale(cropped, scale).shape == size
        if image.shape != whole:
            with pytest.raises(ImageError, match="can't be divided"):
                degrade(image, BICUBIC, scale)
        assert degrade(cropped, BICUBIC, scale)[0].shape == size
    sizes = {}
    for crop in (True, False):
        made = downscale_folder(tmp_path / "hr", tmp_path / f"{crop}", scale, crop=crop)
        sizes[crop] = {p.name: read_image(p).pixels.shape for p in made.folder.glob("*.png")}
        assert len(sizes[crop]) == made.written
    dataset = open_dataset(str(tmp_path / "hr"), scale)
    used = {f"{item.image}.png": dataset.pair(item).lr.shape for item in dataset.items}
    assert used == sizes[True]
    assert sizes[False].items() <= used.items()
    pairs = open_dataset(f"hr={tmp_path / 'hr'},lr={tmp_path / 'True'}", scale)
    assert {f"{item.image}.png": pairs.pair(item).lr.shape for item in pairs.items} == used


def test_pairs_of_liif_are_taken_with_their_lr_images(tmp_path: Path) -> None:
    write_png(tmp_path / "hr" / "a.png", np.zeros((96, 96), np.uint8))
    write_png(tmp_path / "lr" / "a.png", np.zeros((36 - 1, 36 - 1), np.uint8))
    pairs = open_dataset(f"hr={tmp_path / 'hr'},lr={tmp_path / 'lr'}", 2.6667)
    pair = pairs.pair(pairs.items[0])
    assert pair.hr is not None
    assert pair.hr.shape == (93, 93)


def test_binary_fractions_do_not_lose_a_row() -> None:
    assert 22 // 2.2 == 9, "what floating point makes of it"
    assert lr_size((22, 33), 2.2) == (10, 15)
    assert hr_size((5, 7), 2.5) == (13, 18), "halves go up"


@pytest.mark.parametrize(
    ("given", "scale"),
    [
        (4, "4"),
        (4.0, "4"),
        (np.int64(8), "8"),
        (np.float64(2.5), "2.5"),
        (1.0001, "1.0001"),
        (np.float32(1.3), "1.3"),
        (np.float16(2.2), "2.2"),
        (Fraction(5, 2), "2.5"),
    ],
)
def test_a_whole_scale_is_an_int(given: Any, scale: str) -> None:
    found = checked_scale(given)
    assert (repr(found), f"{found:g}") == (scale, scale)


@pytest.mark.parametrize(
    "given",
    [
        1,
        0.5,
        -2,
        16.0001,
        2.00001,
        float("nan"),
        float("inf"),
        True,
        None,
        2j,
        10**400,
        Fraction(8, 3),
        [4],
    ],
)
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match=r"above 1 and up to 16, such as 4 or 2\.5"):
        checked_scale(given)


def test_text_is_not_a_scale_but_on_the_command_line() -> None:
    refusal = r"^'2\.5' isn't a valid scale\. Write it without quotes\. A scale is a number above 1"
    in_file = (
        "^set.toml, line 2: scale = '2.5': it isn't a valid scale. Write it without quotes. A scale"
    )
    for call in (
        lambda: checked_scale("2.5"),
        lambda: Dataset("demo", "2.5").check(progress=False),  # type: ignore[arg-type]
        lambda: fetch("Set5", scales="2.5", progress=False),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match=refusal):
            call()
    with pytest.raises(UsageError, match=in_file):
        UserSet.checked({"name": "a", "scale": "2.5"}, "set.toml", "name = 'a'\nscale = '2.5'\n")


@pytest.mark.parametrize("scale", SCALES)
def test_sizes_belong_together_where_the_lr_image_covers_all_but_a_part_of_a_pixel(
    scale: float,
) -> None:
    for low, high in product(range(1, 9), range(1, 150)):
        exactly = Decimal(str(scale))
        fits = rounded(scale, low) <= high < exactly * (low + 1)
        assert belong((high, high, 3), (low, low), scale) == fits
        own = lr_size((high, high), scale)
        assert min(own) == 0 or belong((high, high), own, scale)


def test_the_scale_of_a_pair_is_found() -> None:
    assert fitting_scale((97, 131), (38, 52)) == 2.5
    assert fitting_scale((96, 120, 3), (24, 30)) == 4
    assert fitting_scale((96, 240), (24, 30)) is None
    for scale, (height, width) in product((2, 3, 4, 2.5, 3.3), ((41, 67), (24, 90))):
        hr = hr_size((height, width), scale)
        found = fitting_scale(hr, (height, width))
        assert found is not None
        assert belong(hr, (height, width), found)


def test_a_record_writes_a_scale_as_it_is_printed() -> None:
    recipe = {"name": "bicubic", "steps": [{"step": "bicubic"}]}
    given = {"degradation": recipe, "sha256": "", "versions": {}, "images": {}}
    for scale, text in ((4, '"scale":4,'), (4.0, '"scale":4,'), (2.5, '"scale":2.5,')):
        record = Record.checked({**given, "scale": scale}, "")
        assert text in record.model_dump_json()
    for scale in (1, 16.5, 2.33333, True):
        with pytest.raises(
            UsageError, match=f"scale = {str(scale).lower()}: it isn't a valid scale. A scale"
        ):
            Record.checked({**given, "scale": scale}, "")
