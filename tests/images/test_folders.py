"""What a folder of images holds, and what is left out of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sreval.errors import DataError, ImageError, UsageError
from sreval.frames import unit_of
from sreval.images.folders import ImageFolder, find_image, names_of
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


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_frames_are_named_after_their_sequence_in_the_order_of_their_numbers(
    tmp_path: Path,
) -> None:
    stems = ["b 2/f9", "b 2/f10", "b 2/f.v2", "b 10/0010", "b 10/9", ".thumbnails/x", "empty/.x"]
    touched(tmp_path, *(f"{stem}.png" for stem in stems), "b 2/notes.txt", "readme.txt")
    (tmp_path / "linked").symlink_to(touched(tmp_path.parent / f"{tmp_path.name}-c", "1.jpg"))
    found = ImageFolder.with_frames(tmp_path).by_name()
    assert list(found) == ["b 2/f9", "b 2/f10", "b 2/f.v2", "b 10/9", "b 10/0010", "linked/1"]
    assert found["b 10/9"] == tmp_path / "b 10" / "9.png"
    assert [unit_of(name) for name in found] == ["b 2"] * 3 + ["b 10"] * 2 + ["linked"]


def test_a_sequence_s_images_of_other_kinds_are_named_with_it(tmp_path: Path) -> None:
    folder = ImageFolder.with_frames(touched(tmp_path, "a/1.png", "a/2.heic", "b.gif"))
    assert folder.left_out() == ["a/2.heic", "b.gif"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["1.png", "a/2.png"],
            r"holds images, such as 1\.png, and a folder of images: .*/a\. Move",
        ),
        (["1.png", "a/b/2.png"], r"holds images, such as 1\.png, and a folder of images: .*/a/b\."),
        (["GT/a/1.png"], r"in folders of its folders: .*/GT/a/1\.png\. Name .* such as .*/GT\."),
        (["a/1.png", "a/b/2.png"], r"in folders of its folders: .*/a/b/2\.png\. Put the frames"),
        (["a/1.png", "a/1.jpg"], r"holds a/1\.jpg and a/1\.png: two images with one name"),
    ],
)
def test_a_folder_that_is_neither_of_images_nor_of_sequences_says_how_it_must_look(
    tmp_path: Path, names: list[str], said: str
) -> None:
    touched(tmp_path, *names)
    with pytest.raises(DataError, match=said):
        ImageFolder.with_frames(tmp_path).by_name()


def test_a_folder_apart_may_lie_among_images_and_sequences(tmp_path: Path) -> None:
    touched(tmp_path, "stills/1.png", "stills/LR/1.png", "all/a/1.png", "all/LR/a/1.png")
    for place in ("stills", "all"):
        folder = tmp_path / place
        (name,) = ImageFolder.with_frames(folder, apart=[folder / "LR", None]).by_name()
        assert name in ("1", "a/1")


FOUND = {
    "calendar/1": [
        "calendar/1", "Calendar/1", "calendar\\1", "calendar/1.png", "../calendar/1", "calendar_1",
        "C:\\v\\calendar\\1.PNG", "v/calendar/1", "v/calendar_1.png",
    ],
    "a_b/1": ["a_b/1"],
    "a/b_1": ["a/b_1"],
    "still": ["still", "STILL.jpg", "set\\still.bmp", "set/common"],
    "img.v2": ["img.v2", "img.v2.png", "x/img.v2"],
    None: ["1", "walk/1", "calendar", "a_b_1", "still.5", "img", "", "calendar/1/", "calendar/1/2"],
}  # fmt: skip


@pytest.mark.parametrize(("image", "texts"), FOUND.items())
def test_an_image_is_found_by_any_way_to_name_it(image: str | None, texts: list[str]) -> None:
    names = names_of(filter(None, FOUND), {"Common": "still"})
    assert {text: find_image(text, names) for text in texts} == dict.fromkeys(texts, image)
