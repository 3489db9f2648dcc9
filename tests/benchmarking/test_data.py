"""A folder of LR images: the same bytes again, told what it was made with, and checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import sreval as library
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]


@pytest.fixture
def hr(tmp_path: Path, photograph: UInt8) -> Path:
    folder = tmp_path / "hr"
    write_png(folder / "cat.png", photograph)
    write_png(folder / "grey.png", np.ascontiguousarray(photograph[..., 1]))
    write_png(folder / "Zoë 1.v2.png", np.ascontiguousarray(photograph[::-1]))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("recipe", ["bicubic", "bd", "dn", "jpeg:quality=30", "real-esrgan"])
def test_the_same_command_makes_the_same_files(
    sreval: Run, hr: Path, tmp_path: Path, recipe: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    command = ("data", "downscale", hr)
    ran = sreval(*command, first, "--degrade", recipe)
    assert (ran.code, ran.out) == (0, f"{first}\n")
    assert sreval(*command, second, "--degrade", recipe).code == 0
    before = contents(first)
    assert contents(second) == before
    assert sreval(*command, first, "--degrade", recipe).code == 0
    assert contents(first) == before
    record = json.loads(before["degradation.json"])
    assert sorted(record["images"]) == ["Zoë 1.v2", "cat", "grey"]
    assert record["degradation"]["name"] == recipe
    assert "libjpeg" in record["versions"]
    original = np.asarray(Image.open(hr / "cat.png"))
    low = np.asarray(Image.open(first / "cat.png"))
    assert np.array_equal(low, library.degrade(original, recipe, 4))
    ran = sreval("data", "check", f"hr={hr},lr={first}")
    assert ran.code == 0
    made = "MATLAB bicubic, replicate border" if recipe == "bicubic" else f"by {recipe} (recipe "
    assert f"3 images, 3 LR {made}" in ran.out


def test_an_image_s_lr_is_its_own_whatever_its_name_and_neighbours(
    hr: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(hr / "cat.png", alone / "another.png")
    for folder, out in ((hr, "of-three"), (alone, "of-one")):
        library.Dataset(folder).downscale(tmp_path / out, degrade="real-esrgan", progress=False)
    one, three = (tmp_path / out for out in ("of-one", "of-three"))
    assert (one / "another.png").read_bytes() == (three / "cat.png").read_bytes()


def test_an_image_that_can_t_be_divided_is_told_how_to_be_cropped(
    hr: Path, tmp_path: Path, sreval: Run
) -> None:
    ran = sreval("data", "downscale", hr, tmp_path / "low", "--scale", "7")
    assert "can't be divided by 7. Add --crop, or crop it yourself." in ran.err
    made = library.Dataset(hr, 7).downscale(tmp_path / "low", progress=False)
    assert all("Add crop=True, or crop" in why for why in made.failed.values())
    assert made.failed
    assert sreval("data", "downscale", hr, tmp_path / "low", "--scale", "7", "--crop").code == 0


@pytest.mark.parametrize("more", ["bd", "dn --seed 1", "dn --scale 2"])
def test_a_folder_of_another_recipe_is_refused_and_left_as_it_is(
    sreval: Run, hr: Path, tmp_path: Path, more: str
) -> None:
    low = tmp_path / "low"
    assert sreval("data", "downscale", hr, low, "--degrade", "dn").code == 0
    before = contents(low)
    ran = sreval("data", "downscale", hr, low, "--degrade", *more.split())
    assert ran.code == 1
    assert "holds LR images by dn at scale 4" in ran.err
    assert "Name another folder." in ran.err
    assert contents(low) == before


def test_further_images_join_those_that_are_recorded(hr: Path, tmp_path: Path) -> None:
    low, extra = tmp_path / "low", tmp_path / "extra"
    extra.mkdir()
    (hr / "grey.png").rename(extra / "grey.png")
    for folder in (hr, extra):
        library.Dataset(folder).downscale(low, degrade="dn", progress=False)
    record = json.loads((low / "degradation.json").read_text("utf-8"))
    assert sorted(record["images"]) == ["Zoë 1.v2", "cat", "grey"]
    (low / "cat.png").unlink()
    library.Dataset(extra).downscale(low, degrade="dn", progress=False)
    record = json.loads((low / "degradation.json").read_text("utf-8"))
    assert sorted(record["images"]) == ["Zoë 1.v2", "grey"]


def test_check_names_an_image_that_is_not_the_recorded_one(
    sreval: Run, hr: Path, tmp_path: Path
) -> None:
    low = tmp_path / "low"
    assert sreval("data", "downscale", hr, low, "--degrade", "bd").code == 0
    image = np.asarray(Image.open(low / "cat.png")).copy()
    image[0, 0] ^= 1
    write_png(low / "cat.png", image)
    changed = np.asarray(Image.open(hr / "grey.png")).copy()
    changed[0, 0] ^= 1
    write_png(hr / "grey.png", changed)
    ran = sreval("data", "check", f"hr={hr},lr={low}")
    assert ran.code == 1
    assert "cat: its LR image is not the one that" in ran.out
    assert "grey: its HR image is not the one that" in ran.out
    assert "1 LR by bd" in ran.out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"sigma": 1.6', '"sigma": 1.7'),
        ('"scale": 4', '"scale": 40'),
        (
            "{",
            "",
        ),
    ],
)
def test_a_damaged_record_is_told_in_one_sentence(
    sreval: Run, hr: Path, tmp_path: Path, old: str, new: str
) -> None:
    low = tmp_path / "low"
    assert sreval("data", "downscale", hr, low, "--degrade", "bd").code == 0
    path = low / "degradation.json"
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    for command in (
        ("data", "downscale", hr, low, "--degrade", "bd"),
        ("data", "check", f"hr={hr},lr={low}"),
    ):
        ran = sreval(*command)
        assert ran.code == 1
        assert "degradation.json is not a record of a degradation" in ran.err
        assert "Remove it, and make the LR images anew." in ran.err


def test_16_bits_alpha_and_odd_sizes_are_read_as_they_are_scored(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    hr, low = tmp_path / "hr", tmp_path / "low"
    hr.mkdir()
    alpha = np.dstack([photograph, np.full(photograph.shape[:2], 9, np.uint8)])
    Image.fromarray(alpha).save(hr / "alpha.png")
    Image.fromarray(photograph[..., 0].astype(np.uint16) * 257).save(hr / "deep.png")
    Image.fromarray(photograph[:95, :118]).save(hr / "odd.png")
    ran = sreval("data", "downscale", hr, low, "--degrade", "bd", "--crop")
    assert ran.code == 0, ran.err
    for name, expected in (
        ("alpha", photograph),
        ("deep", photograph[..., 0]),
        ("odd", photograph[:92, :116]),
    ):
        made = np.asarray(Image.open(low / f"{name}.png"))
        assert np.array_equal(made, library.degrade(np.ascontiguousarray(expected), "bd")), name


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--degrade", "blur"), "Unknown degradation 'blur'"),
        (("--degrade", "bd:sigma=x"), "sigma = 'x': it must be a number"),
        (("--seed", "1"), "A seed of 1 is given, and bicubic draws nothing"),
        (("--degrade", ""), "Unknown degradation ''"),
        (("--seed", "-1"), "seed = -1: it must be 0 or more"),
    ],
)
def test_a_wrong_recipe_makes_no_folder(
    sreval: Run, hr: Path, tmp_path: Path, more: tuple[str, str], message: str
) -> None:
    ran = sreval("data", "downscale", hr, tmp_path / "low", *more)
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "low").exists()


def test_frames_keep_their_folders_and_are_checked_by_the_record(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    names = ["calendar/0001", "calendar/0002", "walk/0001"]
    for shift, name in enumerate(names):
        write_png(tmp_path / "hr" / f"{name}.png", np.roll(photograph, shift, axis=1))
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    assert sreval("data", "downscale", hr, lr, "--degrade", "bd").code == 0
    assert sorted(json.loads((lr / "degradation.json").read_text())["images"]) == names
    ran = sreval("data", "check", f"hr={hr},lr={lr}")
    assert (ran.code, ran.out.partition(", 3 LR by bd")[0]) == (0, "hr: 3 frames of 2 sequences")
    shutil.copy(lr / "calendar" / "0001.png", lr / "walk" / "0001.png")
    ran = sreval("data", "check", f"hr={hr},lr={lr}")
    assert ran.code == 1
    assert f"walk/0001: its LR image is not the one that {lr / 'degradation.json'}" in ran.out
