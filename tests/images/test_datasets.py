"""Data sets: by name, from folders, from a TOML file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval.errors import DataError, ImageError, UsageError
from sreval.images.datasets import open_dataset
from sreval.images.io import write_png
from sreval.images.resize import downscale

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def folder(tmp_path: Path, photograph: UInt8) -> Path:
    for name, image in (("cat", photograph), ("tail", photograph[:48])):
        write_png(tmp_path / "hr" / f"{name}.png", image)
        write_png(tmp_path / "lr" / f"{name}x4.png", downscale(image, 4))
    return tmp_path


def test_a_folder_of_hr_images(folder: Path) -> None:
    made = open_dataset(str(folder / "hr"))
    assert [(i.image, i.lr, i.scene) for i in made.items] == [
        ("cat", None, "hr/cat"),
        ("tail", None, "hr/tail"),
    ]


def test_a_pair_of_folders_with_div2ks_names(folder: Path) -> None:
    made = open_dataset(f"hr={folder / 'hr'},lr={folder / 'lr'},name=cats")
    assert made.name == "cats"
    assert [i.lr.name for i in made.items if i.lr] == ["catx4.png", "tailx4.png"]


def test_a_folder_laid_out_as_the_public_sets(folder: Path) -> None:
    (folder / "hr").rename(folder / "HR")
    (folder / "lr").rename(folder / "LR_x4")
    made = open_dataset(str(folder))
    assert made.name == folder.name
    assert all(item.lr for item in made.items)


def test_a_toml_file_names_images_and_scenes(folder: Path) -> None:
    file = folder / "set.toml"
    file.write_text(
        'name = "mine"\nhr = "hr"\nlr = "lr"\nborder = "symmetric"\n'
        '[names]\ncat = "chelsea"\n[scenes]\ncat = "chelsea"\ntail = "chelsea"\n'
    )
    made = open_dataset(str(file))
    assert (made.name, made.border, made.items[0].name) == ("mine", "symmetric", "chelsea")
    assert {item.scene for item in made.items} == {"chelsea"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('hr = "hr"\n', "'name' is missing"),
        ('name = "a"\nhr = "hr"\nsize = 3\n', "unknown key 'size'"),
        ('name = "a"\nhr = "hr"\nscale = 1\n', "scale = 1"),
        ('name = "a"\nhr = \n', "is not TOML"),
    ],
)
def test_a_toml_file_that_is_wrong_says_where(folder: Path, text: str, message: str) -> None:
    file = folder / "set.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        open_dataset(str(file))
    assert str(file) in str(error.value)


def test_a_missing_lr_image_is_named(folder: Path) -> None:
    (folder / "lr" / "tailx4.png").unlink()
    with pytest.raises(ImageError, match=r"no low-resolution image for tail.png"):
        open_dataset(f"hr={folder / 'hr'},lr={folder / 'lr'}")


def test_two_images_of_one_stem_are_refused(folder: Path) -> None:
    (folder / "hr" / "cat.bmp").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat.bmp and cat.png: one stem, two images"):
        open_dataset(str(folder / "hr"))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'Set14'"):
        open_dataset("Set41")


def test_an_absent_set_says_which_command_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(DataError, match="sreval data fetch Urban100"):
        open_dataset("urban100")
    with pytest.raises(UsageError, match="no scale 3"):
        open_dataset("Urban100", 3)


def test_the_demo_needs_nothing_but_scikit_image() -> None:
    made = open_dataset("demo")
    assert [item.image for item in made.items] == [
        "astronaut",
        "camera",
        "chelsea",
        "coffee",
        "rocket",
    ]
    assert all(item.hr.is_file() for item in made.items)


def test_one_photograph_in_two_sets_is_one_scene(shared_data: Path) -> None:
    scenes = [{item.scene: item for item in open_dataset(name).items} for name in ("Set5", "Set14")]
    common = set(scenes[0]) & set(scenes[1])
    assert common == {"head"}
    assert (scenes[0]["head"].image, scenes[1]["head"].image) == ("img_004", "img_006")
    assert scenes[1]["head"].name == "face"


def test_bsd100_has_a_hundred_images_under_their_berkeley_numbers(shared_data: Path) -> None:
    items = open_dataset("bsd100").items
    assert len(items) == 100
    assert items[0].name == "101085"
