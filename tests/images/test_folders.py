"""What a folder of images holds, and what is left out of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sreval.errors import ImageError, UsageError
from sreval.images.folders import ImageFolder
from sreval.images.io import write_png

Run = Callable[..., Any]


def test_a_folder_is_listed_by_name_without_what_is_hidden_or_no_image(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "c.png").mkdir()
    (tmp_path / "c.png" / "d.png").touch()
    assert [path.name for path in ImageFolder(tmp_path).images()] == ["a.jpeg", "b.PNG"]


def test_deeply_links_are_followed_once_and_hidden_folders_left_out(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "all", tmp_path / "other"
    for name in ("all/a.png", "all/deep/b.png", "all/.thumbnails/c.png", "other/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (folder / "more").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (folder / "deep" / "circle").symlink_to(folder)
    (elsewhere / "self").symlink_to(elsewhere)
    found = ImageFolder(folder, deep=True).images()
    assert [path.relative_to(folder).as_posix() for path in found] == [
        "a.png",
        "again/d.png",
        "deep/b.png",
    ]


def test_a_folder_keeps_its_own_path_beside_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "a.png").touch()
    (tmp_path / "link").symlink_to(tmp_path / "z")
    assert ImageFolder(tmp_path, deep=True).images() == [tmp_path / "z" / "a.png"]


def test_a_file_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff.png")).touch()
    with pytest.raises(UsageError, match=r"b'x\\xff\.png' isn't text"):
        ImageFolder(tmp_path).images()


def test_a_folder_without_images_says_which_kinds_are_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match=r"holds no images. Known kinds: .bmp, .jpeg, .jpg, .png"):
        ImageFolder(tmp_path).images()
    with pytest.raises(ImageError, match="No such folder"):
        ImageFolder(tmp_path / "elsewhere")


@pytest.fixture
def mixed(tmp_path: Path, photograph: npt.NDArray[np.uint8]) -> Path:
    folder = tmp_path / "mix"
    write_png(folder / "a.png", photograph)
    for name in ("b.ppm", "c.JP2", "d.avif", "e.gif", "notes.txt", ".f.gif"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("data", "check", "mix"),
        ("data", "downscale", "mix", "out"),
        ("upscale", "mix", "--method", "nearest", "--out", "out"),
        ("benchmark", "--dataset", "mix", "--method", "nearest", "--metric", "psnr", "--out", "r"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_images_of_other_kinds_are_never_left_out_without_a_word(
    sreval: Run, mixed: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(mixed.parent)
    ran = sreval(*command)
    assert ran.code == 0, ran.err
    assert "4 of other kinds left out: b.ppm, c.JP2, d.avif, e.gif." in ran.out + ran.err
