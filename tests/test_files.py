"""Files: long names, the home as ~, a byte order mark."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sreval.content import user_path
from sreval.errors import DataError, ImageError
from sreval.files import (
    atomic_file,
    atomic_folder,
    read_named_hash,
    sha256_bytes,
    write_atomic,
    write_error,
)
from sreval.images.io import write_png
from sreval.training.licences import count_licences

Run = Callable[..., Any]
UInt8 = npt.NDArray[np.uint8]
LONGEST = 255  # bytes in a file's name: NAME_MAX of ext4, XFS, APFS, NTFS
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """Two images, one of the longest name that a file can have."""
    write_png(tmp_path / "hr" / "a.png", photograph)
    Image.fromarray(photograph).save(tmp_path / "hr" / ("x" * (LONGEST - 4) + ".bmp"))
    return tmp_path / "hr"


@pytest.mark.parametrize(
    "command",
    [
        ("benchmark", "--dataset", "hr", "--method", "nearest", "--metric", "psnr", "--out", "out"),
        ("upscale", "hr", "--method", "nearest", "--out", "out"),
        ("data", "downscale", "hr", "out"),
    ],
    ids=lambda command: command[0],
)
def test_the_longest_name_of_a_file_is_written_like_any_other(
    sreval: Run, photos: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(photos.parent)
    ran = sreval(*command)
    assert ran.code == 0, ran.err
    written = {path.name for path in (photos.parent / "out").rglob("*.png")}
    assert {"a.png", "x" * (LONGEST - 4) + ".png"} <= written


def test_a_name_that_is_too_long_stops_none_of_the_others(
    sreval: Run, photos: Path, photograph: UInt8, tmp_path: Path
) -> None:
    # beside a second picture of that stem the ending is kept, and the name is too long with it
    Image.fromarray(photograph).save(photos / ("x" * (LONGEST - 4) + ".jpg"))
    ran = sreval("upscale", photos, "--method", "nearest", "--out", tmp_path / "out")
    assert ran.code == 3
    assert ran.err.count("its name is too long. Give it a shorter name.") == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_only_a_long_name_is_an_error_of_one_image() -> None:
    assert isinstance(write_error(Path("a"), OSError(errno.ENAMETOOLONG, "x")), ImageError)
    assert not isinstance(write_error(Path("a"), OSError(errno.ENOSPC, "x")), ImageError)


def test_a_file_is_written_once_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)  # 254 bytes
    write_atomic(path, "text")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "text"


@pytest.fixture
def home(tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two photographs in ~/hr; the working folder is another."""
    for name in ("a", "b"):
        write_png(tmp_path / "home" / "hr" / f"{name}.png", photograph)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


SCORE = ("--method", "nearest", "--metric", "psnr", "--protocol", "matlab")


def test_the_home_stands_for_itself_in_a_plan_a_set_and_an_option(sreval: Run, home: Path) -> None:
    Path("set.toml").write_text('name = "mine"\nhr = "~/hr"\n')
    Path("plan.toml").write_text(
        'methods = ["nearest"]\ndatasets = ["set.toml"]\nprotocols = ["matlab"]\n'
        'metrics = ["psnr"]\nout = "~/planned"\n'
    )
    for command, out in (
        (("--plan=plan.toml",), "planned"),
        (("--dataset=~/hr", *SCORE, "--out=~/chosen"), "chosen"),
        (("--dataset", "hr=~/hr", *SCORE, "--out", "~/quoted"), "quoted"),
    ):
        ran = sreval("benchmark", *command)
        assert ran.code == 0, ran.err
        assert (home / out / "results.csv").is_file()
    assert sreval("upscale", "~/hr", "--method", "nearest", "--out=~/large").code == 0
    assert (home / "large" / "a.png").is_file()
    assert not Path("~").exists()


def test_a_home_that_nobody_has_is_a_folder_of_that_name() -> None:
    assert user_path("~no body/x") == Path("~no body/x")
    assert user_path("a/~") == Path("a/~")


def test_a_byte_order_mark_is_read_over(sreval: Run, home: Path) -> None:
    Path("set.toml").write_bytes(BOM + b'name = "mine"\nhr = "~/hr"\n')
    Path("plan.toml").write_bytes(
        BOM + b'methods = ["nearest"]\ndatasets = ["set.toml"]\nmetrics = ["psnr"]\n'
        b'protocols = ["matlab"]\nout = "r"\n'
    )
    ran = sreval("benchmark", "--plan", "plan.toml")
    assert ran.code == 0, ran.err
    assert sreval("study", "new", "mine", "--from", "quick").code == 0
    design = Path("studies/mine/study.toml")
    design.write_bytes(BOM + design.read_bytes())
    ran = sreval("study", "check", "mine")
    assert ran.code == 0, ran.err
    ran = sreval("study", "new", "second", "--from", "mine")
    assert ran.code == 0, ran.err
    assert Path("studies/second/study.toml").read_text().count('name = "second"') == 1


def test_a_list_of_licences_with_a_byte_order_mark_counts(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(BOM + b"file,licence\na.png,CC0\n")
    assert count_licences([tmp_path], ["a.png"]) == {"CC0": 1}


def test_a_file_named_by_its_hash_has_that_hash(tmp_path: Path) -> None:
    data = os.urandom(99)
    good = tmp_path / f"net-{sha256_bytes(data)[:8]}.pth"
    good.write_bytes(data)
    assert read_named_hash(good) == data
    good.write_bytes(data[:-1])
    with pytest.raises(DataError, match=rf"damaged.*https://download\.pytorch\.org/.*{good.name}"):
        read_named_hash(good)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as new:
        (new / "a").write_text("1")
        assert not out.exists()
    with pytest.raises(ZeroDivisionError), atomic_folder(out, replace=True) as new:
        (new / "b").write_bytes(bytes(1 // 0))
    assert [path.name for path in out.iterdir()] == ["a"]
    with atomic_folder(out, replace=True) as new:
        (new / "b").write_text("2")
    assert [path.name for path in out.iterdir()] == ["b"]
    with pytest.raises(DataError, match="Can't write"), atomic_folder(out):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "b"]


def test_a_folder_that_can_t_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("1")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match="No space"), atomic_folder(tmp_path / "out", replace=True):
        monkeypatch.setattr(Path, "replace", full)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a"]


def modes(path: Path) -> set[int]:
    return {stat.S_IMODE(one.stat().st_mode) for one in (path, *path.rglob("*"))}


def test_a_private_file_is_its_owners_alone_from_the_first_byte(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with atomic_file(tmp_path / "a", private=True) as handle:
            handle.write(b"begun")
            assert [modes(path) for path in tmp_path.iterdir()] == [{0o600}]
        (tmp_path / "b").write_text("older, and open to all")
        write_atomic(tmp_path / "b", "new", private=True)
        with atomic_folder(tmp_path / "c", private=True) as folder:
            assert modes(folder) == {0o700}
            (folder / "csv").mkdir()
            (folder / "csv" / "d").write_text("written by whoever")
    finally:
        os.umask(before)
    assert modes(tmp_path / "a") == modes(tmp_path / "b") == {0o600}
    assert modes(tmp_path / "c") == modes(tmp_path / "c" / "csv") == {0o600, 0o700}
