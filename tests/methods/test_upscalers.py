"""Methods: interpolation, published images, a user's own function."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sreval.errors import DataError, ImageError, UsageError, WeightsError
from sreval.files import sha256_file
from sreval.images.datasets import Dataset, Item
from sreval.images.io import write_png
from sreval.images.resize import downscale, upscale
from sreval.methods import make_upscaler

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def dataset(tmp_path: Path, photograph: UInt8) -> Dataset:
    items = []
    for index, name in enumerate(("baby", "bird"), start=1):
        path = tmp_path / "HR" / f"img_00{index}.png"
        write_png(path, photograph)
        items.append(Item("Set5", path.stem, name, f"Set5/{path.stem}", path, None))
    return Dataset("Set5", 4, tuple(items))


@pytest.fixture
def low(photograph: UInt8) -> UInt8:
    return downscale(photograph, 4)


def test_nearest_repeats_and_bicubic_is_matlabs(low: UInt8, dataset: Dataset) -> None:
    item = dataset.items[0]
    near = make_upscaler("nearest").upscale(low, 4, item)
    assert np.array_equal(near[::4, ::4], low)
    assert np.array_equal(near[3::4, 2::4], low)
    assert np.array_equal(make_upscaler("bicubic").upscale(low, 4, item), upscale(low, 4))


def test_lanczos_is_pillows(low: UInt8, dataset: Dataset) -> None:
    theirs = Image.fromarray(low).resize((120, 96), Image.Resampling.LANCZOS)
    made = make_upscaler("lanczos").upscale(low, 4, dataset.items[0])
    assert np.array_equal(made, np.asarray(theirs))


RATIOS = [1.1, 1.5, 2.2, 2.5, 3, 3.3333, 7.5, 16]


@pytest.mark.parametrize("scale", RATIOS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_nearest_is_the_pixel_that_a_centre_lies_in(scale: float, dtype: Any) -> None:
    low = np.random.default_rng(2).integers(0, 255, (7, 5, 3)).astype(dtype)
    made = make_upscaler("nearest").enlarge(low, scale)
    high = [int((Decimal(str(scale)) * n).quantize(Decimal(1), ROUND_HALF_UP)) for n in (7, 5)]
    rows, columns = (
        [math.floor(Fraction(2 * place + 1, 2) * n / big) for place in range(big)]
        for n, big in zip((7, 5), high, strict=True)
    )
    assert (made.dtype, made.shape) == (dtype, (*high, 3))
    assert np.array_equal(made, low[rows][:, columns])
    if dtype == np.uint8:
        size = (high[1], high[0])
        pillow = np.asarray(Image.fromarray(low).resize(size, Image.Resampling.NEAREST))
        assert np.mean((made != pillow).any(axis=2)) < 0.05, "but for centres on an edge"
        pillow = np.asarray(Image.fromarray(low).resize(size, Image.Resampling.LANCZOS))
        assert np.array_equal(make_upscaler("lanczos").enlarge(low, scale), pillow)
    assert make_upscaler("bicubic").enlarge(low, scale).shape == made.shape


def test_published_images_of_a_ratio_have_the_cropped_size(
    tmp_path: Path, dataset: Dataset, photograph: UInt8
) -> None:
    of = replace(dataset, scale=2.5)
    write_png(tmp_path / "theirs" / "babyx2.5.png", photograph[:95, :120].copy())
    method, pair = make_upscaler(f"published:{tmp_path / 'theirs'}"), of.pair(of.items[0])
    method.prepare(of)
    assert pair.hr is not None
    assert (pair.hr.shape, pair.lr.shape) == ((95, 120, 3), (38, 48, 3))
    assert np.array_equal(method.upscale(pair.lr, 2.5, of.items[0]), photograph[:95])
    assert np.array_equal(make_upscaler("hr").upscale(pair.lr, 2.5, of.items[0]), photograph[:95])
    with pytest.raises(
        ImageError, match=r"is 120x95 pixels; Set5/img_001 needs 120x96 at scale 4\."
    ):
        method.upscale(downscale(photograph, 4), 4, of.items[0])


def test_hr_is_the_original(low: UInt8, dataset: Dataset, photograph: UInt8) -> None:
    made = make_upscaler("hr").upscale(low, 4, dataset.items[0])
    assert np.array_equal(made, photograph)


@pytest.mark.parametrize(
    "names",
    [
        ("img_001.png", "img_002.png"),
        ("baby.png", "bird.png"),
        ("img_001_SRF_4_SRCNN.png", "img_002_SRF_4_SRCNN.png"),
        ("srgan-baby.png", "srgan-bird.png"),
        ("babyx4_SwinIR.png", "birdx4_SwinIR.png"),
        ("Set5_BABY_(ours).png", "Set5_BIRD_(ours).png"),
        ("out_1.png", "out_2.png"),
    ],
)
def test_published_images_are_found_by_stem_common_name_or_number(
    names: tuple[str, str], tmp_path: Path, dataset: Dataset, photograph: UInt8, low: UInt8
) -> None:
    images = [photograph, photograph[::-1].copy()]
    for name, image in zip(names, images, strict=True):
        write_png(tmp_path / "theirs" / name, image)
    method = make_upscaler(f"published:{tmp_path / 'theirs'}")
    method.prepare(dataset)
    assert method.name == "theirs"
    for item, image in zip(dataset.items, images, strict=True):
        assert np.array_equal(method.upscale(low, 4, item), image)


def test_the_folder_of_the_data_set_goes_first(
    tmp_path: Path, dataset: Dataset, photograph: UInt8, low: UInt8
) -> None:
    write_png(tmp_path / "theirs" / "Set5" / "baby.png", photograph[::-1].copy())
    write_png(tmp_path / "theirs" / "baby.png", photograph)
    method = make_upscaler(f"published:{tmp_path / 'theirs'}")
    method.prepare(dataset)
    assert np.array_equal(method.upscale(low, 4, dataset.items[0]), photograph[::-1])


def test_two_files_for_one_image_are_refused_with_both_names(
    tmp_path: Path, dataset: Dataset, photograph: UInt8
) -> None:
    for name in ("baby_a.png", "baby_b.png"):
        write_png(tmp_path / "theirs" / name, photograph)
    with pytest.raises(DataError, match=r"baby_a.png and baby_b.png both match Set5/img_001"):
        make_upscaler(f"published:{tmp_path / 'theirs'}").prepare(dataset)


def test_one_file_for_two_images_is_refused(
    tmp_path: Path, dataset: Dataset, photograph: UInt8
) -> None:
    write_png(tmp_path / "theirs" / "baby-bird.png", photograph)
    with pytest.raises(DataError, match=r"baby-bird.png matches both img_001 \(baby\) and img_002"):
        make_upscaler(f"published:{tmp_path / 'theirs'}").prepare(dataset)


def test_another_size_and_a_missing_image_are_refused(
    tmp_path: Path, dataset: Dataset, photograph: UInt8, low: UInt8
) -> None:
    write_png(tmp_path / "theirs" / "baby.png", photograph[:-4])
    method = make_upscaler(f"published:{tmp_path / 'theirs'}")
    method.prepare(dataset)
    with pytest.raises(ImageError, match=r"baby.png is 120x92 pixels; Set5/img_001 needs 120x96"):
        method.upscale(low, 4, dataset.items[0])
    with pytest.raises(ImageError, match=r"No file of .* matches Set5/img_002 \(bird\)"):
        method.upscale(low, 4, dataset.items[1])


FUNCTIONS = """
import numpy as np

def repeat(lr, scale):
    return lr.repeat(scale, 0).repeat(scale, 1)

def floats(lr):
    return lr.repeat(4, 0).repeat(4, 1) + 0.4

def too_bright(lr):
    return lr.repeat(4, 0).repeat(4, 1) * 1.5

def writes_its_input(lr):
    lr[:] = 0
    return lr.repeat(4, 0).repeat(4, 1)

def nan(lr):
    return np.full((lr.shape[0] * 4, lr.shape[1] * 4, 3), np.nan)

def small(lr):
    return lr

def integers(lr):
    return lr.repeat(4, 0).repeat(4, 1).astype(int)

def broken(lr):
    return 1 / 0
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_network.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    return "python:own_network"


def test_a_function_of_ones_own(module: str, low: UInt8, dataset: Dataset) -> None:
    item = dataset.items[0]
    expected = make_upscaler("nearest").upscale(low, 4, item)
    for name in ("repeat", "floats"):
        method = make_upscaler(f"{module}:{name}")
        assert method.name == name
        assert np.array_equal(method.upscale(low, 4, item), expected)
    assert make_upscaler(f"{module}:too_bright").upscale(low, 4, item).max() == 255


def test_a_function_cannot_change_the_lr_image(module: str, low: UInt8, dataset: Dataset) -> None:
    before = low.copy()
    make_upscaler(f"{module}:writes_its_input").upscale(low, 4, dataset.items[0])
    assert np.array_equal(low, before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nan", "returned NaN or infinite values for Set5/img_001"),
        ("small", r"returned shape \(24, 30, 3\) for Set5/img_001, not \(96, 120, 3\)"),
        ("integers", "returned int64"),
        ("broken", "failed on Set5/img_001: ZeroDivisionError: division by zero"),
    ],
)
def test_what_a_function_must_not_return(
    name: str, message: str, module: str, low: UInt8, dataset: Dataset
) -> None:
    with pytest.raises(ImageError, match=message):
        make_upscaler(f"{module}:{name}").upscale(low, 4, dataset.items[0])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("python:own_network:absent", "own_network has no 'absent'"),
        ("python:own_network", "names a module alone"),
        ("python:no_such_module:f", "Can't import no_such_module: ModuleNotFoundError"),
        ("bicubbic", "Did you mean 'bicubic'"),
        ("=bicubic", "empty name"),
    ],
)
def test_a_method_that_means_nothing(spec: str, message: str, module: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_upscaler(spec)


def test_a_method_can_be_given_a_name(low: UInt8, dataset: Dataset) -> None:
    method = make_upscaler("old=nearest")
    assert method.name == "old"
    assert make_upscaler("nearest").name == "nearest"


def test_the_hash_of_a_published_image_follows_its_file(
    tmp_path: Path, dataset: Dataset, photograph: UInt8, low: UInt8
) -> None:
    path = tmp_path / "theirs" / "baby.png"
    write_png(path, photograph)
    method = make_upscaler(f"published:{tmp_path / 'theirs'}")
    method.prepare(dataset)
    assert method.source_sha256(dataset.items[0]) == sha256_file(path)
    write_png(path, photograph[::-1].copy())
    with pytest.raises(ImageError, match=r"baby.png has changed since this run began"):
        method.upscale(low, 4, dataset.items[0])
    assert method.source_sha256(dataset.items[0]) == sha256_file(path)
    assert np.array_equal(method.upscale(low, 4, dataset.items[0]), photograph[::-1])


def test_a_path_that_exists_is_no_name_given_to_a_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run=1.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"run=1\.safetensors"):
        make_upscaler("run=1.safetensors")
