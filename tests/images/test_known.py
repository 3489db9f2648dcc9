"""A public name promises content: all files of the set, with the bytes that were published."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sreval.errors import DataError
from sreval.images.datasets import open_dataset
from sreval.images.degradations import known_degradation
from sreval.images.io import write_png
from sreval.images.resize import downscale
from sreval.study.sources import open_pictures

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]
SCORE = ("--method", "bicubic", "--metric", "psnr", "--protocol", "matlab")


@pytest.fixture
def other(tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose Set5 has the names and sizes of a set, and other photographs."""
    folder = tmp_path / "data" / "eval" / "Set5"
    for number in range(1, 6):
        image = np.roll(photograph, 7 * number, axis=1)
        write_png(folder / "HR" / f"img_00{number}.png", image)
        write_png(folder / "LR_x4" / f"img_00{number}.png", downscale(image, 4))
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    return folder


@pytest.fixture
def copied(tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a whole copy of Set5."""
    folder = tmp_path / "data" / "eval" / "Set5"
    shutil.copytree(shared_data / "eval" / "Set5", folder)
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    return folder


def test_other_content_is_not_scored_under_a_public_name(
    sreval: Run, other: Path, tmp_path: Path
) -> None:
    ran = sreval("benchmark", "--dataset", "set5", *SCORE, "--out", tmp_path / "r")
    assert ran.code == 1
    assert f"{other / 'HR' / 'img_001.png'} is not the published file" in ran.err
    assert not (tmp_path / "r").exists()
    (spec,) = re.findall(r"under another name: --dataset (.*)\.\n", ran.err)
    ran = sreval("benchmark", "--dataset", *shlex.split(spec), *SCORE, "--out", tmp_path / "r")
    assert ran.code == 0, ran.err
    assert "own-Set5" in ran.out


def test_a_folder_called_like_a_public_set_is_scored_by_its_path(
    sreval: Run, other: Path, tmp_path: Path
) -> None:
    ran = sreval("benchmark", "--dataset", other, *SCORE, "--out", tmp_path / "r")
    assert ran.code == 0, ran.err
    first = open_dataset(str(other)).items[0]
    # its first image is no baby
    assert (first.name, first.scene) == ("img_001", "Set5/img_001")


def test_a_set_that_lacks_a_file_is_refused_and_the_file_named(
    sreval: Run, other: Path, tmp_path: Path
) -> None:
    (other / "HR" / "img_003.png").unlink()
    ran = sreval("benchmark", "--dataset", "Set5", *SCORE, "--out", tmp_path / "r")
    assert ran.code == 1
    assert f"{other / 'HR' / 'img_003.png'} is missing. Run `sreval data fetch Set5`" in ran.err


def test_the_command_in_the_message_fetches_the_scale_that_was_asked_for(
    sreval: Run, other: Path, tmp_path: Path
) -> None:
    ran = sreval("benchmark", "--dataset", "Set5", "--scale", "2", *SCORE, "--out", tmp_path / "r")
    assert ran.code == 1
    assert "Set5 at scale 2 is not in " in ran.err
    (command,) = re.findall(r"Run `sreval (.*?)`", ran.err)
    ran = sreval(*shlex.split(command), "--mirror", "http://127.0.0.1:9", "--to", tmp_path / "new")
    assert ran.code == 1
    assert "image_SRF_2/" in ran.err


def test_an_empty_folder_is_no_set(
    sreval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("HR", "LR_x4"):
        (tmp_path / "eval" / "Set5" / folder).mkdir(parents=True)
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    listed = {line.split()[0]: line.split()[1] for line in sreval("data", "list").out.splitlines()}
    assert listed["Set5"] == "no"
    with pytest.raises(DataError, match="Set5 at scale 4 is not in "):
        open_dataset("Set5")


def test_the_check_names_what_is_missing_and_what_is_other(sreval: Run, other: Path) -> None:
    (other / "LR_x4" / "img_002.png").unlink()
    ran = sreval("data", "check", "Set5")
    assert ran.code == 1
    assert "0 of 10 files have the published SHA-256" in ran.out
    assert f"{other / 'LR_x4' / 'img_002.png'} is missing" in ran.out
    assert f"{other / 'HR' / 'img_002.png'} is not the published file" in ran.out


def test_a_pool_of_photographs_is_whole_or_absent(
    tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "train" / "bsds300_train" / "a.png", photograph)
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    with pytest.raises(DataError, match="sreval data fetch BSDS300-train"):
        open_pictures("BSDS300-train", 4)


@pytest.mark.data
def test_a_file_more_is_not_of_the_set(copied: Path) -> None:
    shutil.copy(copied / "HR" / "img_001.png", copied / "HR" / "img_006.png")
    shutil.copy(copied / "LR_x4" / "img_001.png", copied / "LR_x4" / "img_006.png")
    items = open_dataset("Set5").items
    assert [item.image for item in items] == [f"img_00{number}" for number in range(1, 6)]
    assert [item.lr for item in items] == [copied / "LR_x4" / item.file.name for item in items]


@pytest.mark.data
def test_one_bit_of_one_file_makes_another_set(copied: Path) -> None:
    path = copied / "LR_x4" / "img_004.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        DataError, match=r"9 of 10 files are right, and .*img_004\.png is not the pub"
    ):
        open_dataset("Set5")


@pytest.mark.data
def test_a_whole_copy_further_on_is_taken_for_a_half_one(
    copied: Path, shared_data: Path, tmp_path: Path
) -> None:
    (copied / "HR" / "img_003.png").unlink()
    whole = tmp_path / "own" / "sreval" / "data" / "eval" / "Set5"
    shutil.copytree(shared_data / "eval" / "Set5", whole)
    assert {item.file.parent for item in open_dataset("Set5").items} == {whole / "HR"}


@pytest.mark.data
def test_a_whole_copy_named_by_its_path_has_the_common_names(copied: Path) -> None:
    names = [item.name for item in open_dataset(str(copied)).items]
    assert names == ["baby", "bird", "butterfly", "head", "woman"]


# Sets without checksums


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of one's own."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("SREVAL_DATA", str(folder))
    return folder


def lay(data: Path, name: str, photograph: UInt8, count: int = 100) -> None:
    """Made-up images in the layout that a set's archives have."""
    small = np.ascontiguousarray(photograph[:16, :24])
    low = downscale(small, 4)
    for number in range(1, count + 1):
        if name == "DIV2K-valid":
            folder, stem = data / "eval" / name, f"{800 + number:04}"
            write_png(folder / "DIV2K_valid_HR" / f"{stem}.png", small)
            write_png(folder / "DIV2K_valid_LR_bicubic" / "X4" / f"{stem}x4.png", low)
        elif name == "Manga109":
            write_png(data / "eval" / name / "HR" / f"page {number}.png", small)
        else:
            camera = "Canon" if number <= count / 2 else "Nikon"
            place = data / "eval" / name / camera / "Test" / "4"
            write_png(place / f"{camera}_{number:03}_HR.png", small)
            write_png(place / f"{camera}_{number:03}_LR4.png", low)


@pytest.mark.parametrize(
    ("name", "count", "made"),
    [
        ("DIV2K-valid", 100, "MATLAB bicubic, replicate border"),
        ("Manga109", 109, f"to be made by {known_degradation('bicubic')}"),
        ("RealSR", 100, "MATLAB bicubic, replicate border"),
    ],
)
def test_a_set_that_lies_as_its_archives_have_it_goes_by_its_name(
    sreval: Run, data: Path, photograph: UInt8, name: str, count: int, made: str
) -> None:
    ran = sreval("data", "check", name)
    assert ran.code == 1
    assert f"{name} at scale 4 is not in {data}" in ran.err
    assert "Get it from http" in ran.err
    lay(data, name, photograph, count)
    ran = sreval("data", "check", name.upper())
    assert ran.code == 0, ran.err
    assert ran.out == (f"{name}: {count} images, {count} LR {made}; no checksums of it are known\n")
    listed = {row["name"]: row for row in json.loads(sreval("data", "list", "--json").out)}
    assert listed[name]["folder"] == str(data)
    assert 4 in listed[name]["scales_at_hand"]
    assert "not verified" in listed[name]["about"]
    assert len(open_dataset(name, 4).items) == count
    next((data / "eval").rglob("*.png")).unlink()
    assert sreval("data", "check", name).code == 1
    listed = {row["name"]: row for row in json.loads(sreval("data", "list", "--json").out)}
    assert (listed[name]["folder"], listed[name]["scales_at_hand"]) == ("", [])


@pytest.mark.parametrize("name", ["DIV2K", "div2k", "div2k-VALID-hr"])
def test_a_name_that_is_nearly_right_is_put_right(sreval: Run, data: Path, name: str) -> None:
    for given in (["fetch", name], ["check", name]):
        ran = sreval("data", *given)
        assert ran.code == 2
        assert "Did you mean 'DIV2K-valid'?" in ran.err


@pytest.mark.parametrize(
    ("name", "count", "source"), [("DIV2K-valid", 100, "its HR images"), ("Manga109", 109, "")]
)
def test_whole_hr_images_take_any_scale(
    data: Path, photograph: UInt8, name: str, count: int, source: str
) -> None:
    lay(data, name, photograph, count)
    dataset = open_dataset(name, 2.5)
    assert (dataset.hr_source, {item.lr for item in dataset.items}) == (source, {None})
    assert dataset.degradation == known_degradation("bicubic")


def test_an_lr_image_that_is_missing_is_named(sreval: Run, data: Path, photograph: UInt8) -> None:
    lay(data, "RealSR", photograph)
    (data / "eval" / "RealSR" / "Canon" / "Test" / "4" / "Canon_007_LR4.png").unlink()
    ran = sreval("data", "check", "RealSR")
    assert ran.code == 1
    assert "Canon_007_LR4.png, the LR image of Canon_007_HR.png, is missing" in ran.err


def test_a_set_that_one_gets_for_oneself_is_not_fetched(sreval: Run, data: Path) -> None:
    ran = sreval("data", "fetch", "manga109")
    assert ran.code == 2
    assert "Manga109 can't be fetched. Get it from http://www.manga109.org/en/" in ran.err
    ran = sreval("data", "check", "RealSR", "--scale", "5")
    assert ran.code == 2
    assert "RealSR has no scale 5. It has 2, 3, 4." in ran.err
