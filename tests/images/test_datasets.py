"""Data sets: by name, from folders, from a TOML file."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

from sreval.errors import DataError, ImageError, UsageError
from sreval.images.datasets import open_dataset
from sreval.images.degradations import open_degradation
from sreval.images.io import write_png
from sreval.images.known import KNOWN
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


def test_a_toml_file_names_images_and_scenes(folder: Path, photograph: UInt8) -> None:
    file = folder / "set.toml"
    file.write_text(
        'name = "mine"\nhr = "hr"\ndegrade = "bicubic:border=symmetric"\n'
        '[names]\ncat = "chelsea"\n[scenes]\ncat = "chelsea"\ntail = "chelsea"\n'
    )
    made = open_dataset(str(file))
    assert (made.name, made.items[0].name) == ("mine", "chelsea")
    assert made.degradation == open_degradation("bicubic:border=symmetric")
    assert np.array_equal(made.pair(made.items[0]).lr, downscale(photograph, 4, border="symmetric"))
    assert {item.scene for item in made.items} == {"chelsea"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('hr = "hr"\n', "'name' is missing"),
        ('name = "a"\nhr = "hr"\nsize = 3\n', "unknown key 'size'"),
        ('name = "a"\nhr = "hr"\nscale = 1\n', "scale = 1"),
        (
            'name = "a"\nhr = "hr"\nborder = "symmetric"\n',
            "line 3: border = 'symmetric': .*Write degrade = \"bicubic:border=symmetric\"",
        ),
        ('name = "a"\nhr = "hr"\nlr = "lr"\ndegrade = "bd"\n', "lr names LR images already"),
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
    with pytest.raises(ImageError, match=r"no low-resolution image of tail.png"):
        open_dataset(f"hr={folder / 'hr'},lr={folder / 'lr'}")


def test_two_images_of_one_stem_are_refused(folder: Path) -> None:
    (folder / "hr" / "cat.bmp").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat.bmp and cat.png: two images with one name"):
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
        KNOWN["Urban100"].files(3)


def test_the_demo_needs_nothing_but_scikit_image() -> None:
    made = open_dataset("demo")
    assert [item.image for item in made.items] == [
        "astronaut",
        "camera",
        "chelsea",
        "coffee",
        "rocket",
    ]
    assert all(item.file.is_file() for item in made.items)


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


def test_what_exists_as_a_path_is_that_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: UInt8
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "a,b", "lr=0.1", "hr=a,lr=b", "b,name=x"):
        write_png(tmp_path / name / f"{name.replace('=', '-')}.png", photograph)

    def hr(spec: str) -> str:
        [item] = open_dataset(spec).items
        return item.file.parent.name

    assert hr("hr=./a,b") == "a,b"
    assert hr("hr=./a") == "a"
    assert hr("./lr=0.1") == hr("lr=0.1") == hr("hr=lr=0.1") == "lr=0.1"
    assert hr("hr=a,lr=b") == "hr=a,lr=b"
    assert hr("hr=b,name=x") == "b,name=x"
    assert open_dataset("hr=a,b,name=c").name == "c"
    assert hr("hr=a,b,name=c") == "a,b"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hr=./a,b", "Can't read the data set 'hr=./a,b': 'b' isn't one of its keys. Write hr="),
        ("hr=./a,c=d", "'c' isn't one of its keys"),
        ("hr=a,hr=a", "hr is given twice"),
        ("hr=", "it names no folder|hr is empty"),
        ("hr=,lr=a", "hr is empty"),
        ("name=a", "it names no folder"),
        ("=a", "'' isn't one of its keys"),
    ],
)
def test_a_part_of_a_pair_that_means_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: UInt8, spec: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "a" / "a.png", photograph)
    with pytest.raises(UsageError, match=message):
        open_dataset(spec)


@pytest.mark.parametrize(("hr", "lr"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_one_name_in_two_forms_of_unicode_is_one_name(
    tmp_path: Path, photograph: UInt8, hr: Literal["NFC", "NFD"], lr: Literal["NFC", "NFD"]
) -> None:
    name = unicodedata.normalize(hr, "café")
    other = unicodedata.normalize(lr, "café")
    write_png(tmp_path / "HR" / f"{name}.png", photograph)
    write_png(tmp_path / "LR" / f"{other}x4.png", photograph[::4, ::4].copy())
    (tmp_path / "set.toml").write_text(
        f'name = "s"\nhr = "HR"\nlr = "LR"\n[names]\n"{other}" = "Kaffee"\n'
        f'[scenes]\n"{other}" = "table"\n'
    )
    for spec in (f"hr={tmp_path / 'HR'},lr={tmp_path / 'LR'}", str(tmp_path / "set.toml")):
        [item] = open_dataset(spec).items
        assert item.image == "caf\u00e9"
        assert item.lr == tmp_path / "LR" / f"{other}x4.png"
    assert (item.name, item.scene) == ("Kaffee", "table")
    write_png(tmp_path / "HR" / f"{other}.png", photograph)
    with pytest.raises(DataError, match="two images with one name"):
        open_dataset(str(tmp_path / "HR"))


@pytest.mark.parametrize("scale", ["-1", "0", "1", "17", "16.5", "2.33333", "nan", "inf"])
def test_a_scale_is_above_1_and_up_to_16(
    tmp_path: Path, photograph: UInt8, scale: str, sreval: Callable[..., Any]
) -> None:
    write_png(tmp_path / "hr" / "a.png", photograph)
    write_png(tmp_path / "hr" / "tiny.png", photograph[:3, :3].copy())
    given = repr(scale) if scale.isalpha() else scale
    message = (
        f"Error: {given} isn't a valid scale. A scale is a number above 1 and up to 16, such as 4 "
        "or 2.5, of at most 4 decimals, as in 2.6667.\n"
    )
    for command in (("check", tmp_path / "hr"), ("downscale", tmp_path / "hr", tmp_path / "lr")):
        ran = sreval("data", *command, "--scale", scale)
        assert (ran.code, ran.err) == (2, message)
    assert not (tmp_path / "lr").exists()


@pytest.mark.parametrize("scale", [2, 2.2, 2.5, 5])
def test_an_hr_image_lacks_no_pixel_and_has_less_than_one_lr_pixel_more(
    tmp_path: Path, photograph: UInt8, scale: float
) -> None:
    lr, exact = (13, 15), Fraction(str(scale))
    write_png(tmp_path / "lr" / "a.png", photograph[: lr[0], : lr[1]].copy())
    height, width = (math.floor(exact * side + Fraction(1, 2)) for side in lr)
    for more in range(-2, 7):
        write_png(tmp_path / "hr" / "a.png", photograph[: height + more, :width].copy())
        dataset = open_dataset(f"hr={tmp_path / 'hr'},lr={tmp_path / 'lr'}", scale)
        if more >= 0 and height + more < exact * (lr[0] + 1):
            pair = dataset.pair(dataset.items[0])
            assert pair.hr is not None
            assert (pair.hr.shape, pair.cropped) == ((height, width, 3), more > 0)
        else:
            with pytest.raises(ImageError, match=f"{scale:g} times that is {width}x{height}"):
                dataset.pair(dataset.items[0])


@pytest.mark.parametrize("scale", [2.5, 5, 8, 16])
def test_a_scale_that_was_not_published_is_made_from_the_images_that_were(
    shared_data: Path, scale: float
) -> None:
    dataset, published = open_dataset("Set5", scale), open_dataset("Set5")
    note = (
        "Set5: LR images made by bicubic from the HR images published for scale 4, as none were "
        f"published at scale {scale:g}."
    )
    assert dataset.notes == [note]
    assert [item.hr for item in dataset.items] == [item.hr for item in published.items]
    pair = dataset.pair(dataset.items[1])
    assert pair.lr.shape[:2] == tuple(math.floor(288 / Fraction(str(scale))) for _ in "hw")
    assert pair.hr is not None
    assert np.array_equal(pair.lr, downscale(pair.hr, scale))
    assert open_dataset("Set5", 5, open_degradation("bd")).notes == [
        "Set5-bd: LR images made by bd from the HR images published for scale 4, as none were "
        "published at scale 5."
    ]
    assert published.notes == []


def test_a_published_scale_that_is_not_here_is_fetched_and_not_made(shared_data: Path) -> None:
    if KNOWN["Set5"].locate(3) is None:
        with pytest.raises(DataError, match="sreval data fetch Set5 --scale 3"):
            open_dataset("Set5", 3)


def test_a_recipe_that_has_no_such_scale_is_refused_before_any_image(folder: Path) -> None:
    for spec in (str(folder / "hr"), "demo"):
        with pytest.raises(UsageError, match=r"bd keeps every scale-th pixel: it has no scale of"):
            open_dataset(spec, 2.5, open_degradation("bd"))
    toml = folder.parent / "own.toml"
    toml.write_text(f'name = "own"\nhr = "{folder / "hr"}"\nscale = 2.5\ndegrade = "bd"\n')
    with pytest.raises(UsageError, match="bd keeps"):
        open_dataset(str(toml), 2.5)
    toml.write_text(f'name = "own"\nhr = "{folder / "hr"}"\nscale = 2.5\n')
    own = open_dataset(str(toml), 2.5)
    assert (own.scale, own.pair(own.items[0]).lr.shape) == (2.5, (38, 48, 3))


def test_an_image_smaller_than_one_lr_pixel_does_not_stop_the_others(
    tmp_path: Path, photograph: UInt8, sreval: Callable[..., Any]
) -> None:
    write_png(tmp_path / "hr" / "a.png", photograph)
    write_png(tmp_path / "hr" / "tiny.png", photograph[:3, :3].copy())
    ran = sreval("data", "downscale", tmp_path / "hr", tmp_path / "lr", "--crop")
    assert ran.code == 3
    assert "tiny.png: 3x3 pixels are smaller than one LR pixel. Use images of at least" in ran.err
    made = sorted(path.name for path in (tmp_path / "lr").iterdir())
    assert made == ["a.png", "degradation.json"]


@pytest.mark.parametrize("written", ["lr=few images", "lr=few images,name=mine", "TOML"])
def test_lr_images_alone_are_a_data_set_without_originals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: UInt8, written: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "few images" / "a b.png", photograph)
    write_png(tmp_path / "few images" / "grey.png", photograph[..., 0])
    Path("set.toml").write_text('name = "mine"\nlr = "few images"\n[names]\ngrey = "A cat"\n')
    made = open_dataset("set.toml" if written == "TOML" else written)
    assert made.name == ("few images" if written == "lr=few images" else "mine")
    assert (made.has_originals, made.degradation) == (False, None)
    assert [(item.hr, item.file.name) for item in made.items] == [
        (None, "a b.png"),
        (None, "grey.png"),
    ]
    pair = made.pair(made.items[1], tmp_path / "kept")
    assert (pair.hr, pair.hr_sha256, pair.cropped, pair.recipe_sha256) == (None, "", False, "")
    np.testing.assert_array_equal(pair.lr, photograph[..., 0])
    assert not (tmp_path / "kept").exists()
    with pytest.raises(UsageError, match="bd needs the originals"):
        open_dataset(written if written != "TOML" else "set.toml", 4, open_degradation("bd"))


def test_a_toml_file_without_any_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.toml").write_text('name = "mine"\n')
    with pytest.raises(UsageError, match=r"no folder of images is named\. Write hr = "):
        open_dataset(str(tmp_path / "set.toml"))


@pytest.fixture
def sequences(tmp_path: Path, photograph: UInt8) -> Path:
    """Frames of two sequences, HR and LR; the numbers of one aren't padded."""
    for name, image in (
        ("city/0009", photograph),
        ("walk/9", photograph[:48]),
        ("walk/10", photograph),
    ):
        write_png(tmp_path / "Vid2" / "HR" / f"{name}.png", image)
        write_png(tmp_path / "Vid2" / "LR" / f"{name}.png", downscale(image, 4))
    return tmp_path / "Vid2"


@pytest.mark.parametrize("form", ["{0}", "hr={0}/HR,lr={0}/LR,name=Vid2", "{0}/set.toml"])
def test_folders_of_frames_are_sequences_which_are_the_scenes(sequences: Path, form: str) -> None:
    (sequences / "set.toml").write_text('name = "Vid2"\nhr = "HR"\nlr = "LR"\n')
    made = open_dataset(form.format(sequences))
    assert [(item.image, item.scene) for item in made.items] == [
        ("city/0009", "Vid2/city"),
        ("walk/9", "Vid2/walk"),
        ("walk/10", "Vid2/walk"),
    ]
    for item in made.items:
        assert item.lr == sequences / "LR" / f"{item.image}.png"
        assert not made.pair(item).cropped


def test_lr_frames_are_made_and_kept_in_folders(sequences: Path, tmp_path: Path) -> None:
    made = open_dataset(str(sequences / "HR"))
    for item in made.items:
        pair = made.pair(item, tmp_path / "kept")
        kept = (tmp_path / "kept" / "LR" / f"{item.image}.png").read_bytes()
        assert kept == (sequences / "LR" / f"{item.image}.png").read_bytes()
        assert pair.hr is not None
        assert pair.lr.shape[0] * 4 == pair.hr.shape[0]


def test_a_toml_file_names_the_scene_of_a_sequence_and_a_frame(sequences: Path) -> None:
    file = sequences / "set.toml"
    file.write_text(
        'name = "own"\nhr = "HR"\n[scenes]\nwalk = "street"\n[names]\n"walk/9" = "start"\n'
    )
    made = {item.image: (item.name, item.scene) for item in open_dataset(str(file)).items}
    assert made["walk/9"] == ("start", "street")
    assert made["walk/10"] == ("walk/10", "street")
    assert made["city/0009"] == ("city/0009", "own/city")


def test_a_frame_without_lr_image_is_named_with_its_sequence(sequences: Path) -> None:
    (sequences / "LR" / "walk" / "9.png").unlink()
    with pytest.raises(ImageError, match=r"of walk/9\.png\. It would be named walk/9 or walk/9x4"):
        open_dataset(str(sequences))


@pytest.mark.parametrize("names", [("GTmod12", "LRbicx4"), ("HR_x3", "LR_x3"), ("gt", "BIx4")])
def test_folders_of_hr_and_lr_images_are_no_sequences(
    tmp_path: Path, photograph: UInt8, names: tuple[str, str]
) -> None:
    for name in names:
        write_png(tmp_path / "set" / name / "a.png", photograph)
    with pytest.raises(DataError, match=r"is named as one of HR or LR images.* Write hr=.*/FOLDER"):
        open_dataset(str(tmp_path / "set"))
    assert len(open_dataset(f"hr={tmp_path / 'set'}").items) == 2
