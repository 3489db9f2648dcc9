"""A file that hasn't changed isn't read again, and one that has is never taken for it."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval import api, hashes
from sreval.benchmarking.results import HASHES, RESULTS
from sreval.files import sha256_bytes, sha256_file
from sreval.hashes import Hashes, known_from, settled_state, sha256_of
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]

_opened: list[str] | None = None


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _opened is not None and event == "open":
        _opened.append(str(arguments[0]))


sys.addaudithook(_audit)


@contextmanager
def opened() -> Iterator[list[str]]:
    """The files that are opened within, by whomever in this process."""
    global _opened
    found: list[str] = []
    _opened = found
    try:
        yield found
    finally:
        _opened = None


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment so late that every file here has been written long ago."""
    now = time.time_ns
    monkeypatch.setattr("sreval.hashes.time.time_ns", lambda: now() + 10 * hashes.GRANULARITY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    return path


def test_an_unchanged_file_is_read_once(file: Path, tmp_path: Path, later: None) -> None:
    known = Hashes()
    assert known.sha256(file) == sha256_bytes(b"one")
    known.write(tmp_path / "known")
    again = Hashes(tmp_path / "known")
    with opened() as files:
        assert again.sha256(file) == sha256_bytes(b"one")
    assert str(file) not in files


def test_a_file_that_was_just_written_is_read_again(file: Path) -> None:
    known = Hashes()
    known.sha256(file)
    with opened() as files:
        known.sha256(file)
    assert str(file) in files


def _in_place(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as handle:
        handle.write(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def _restored(path: Path) -> None:
    """As a backup program does: times and all."""
    other = path.with_name("other")
    shutil.copy2(path, other)
    other.write_bytes(b"two")
    shutil.copystat(path, other)
    path.unlink()
    shutil.copy2(other, path)


def _linked(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"two")
    shutil.copystat(path, other)
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("edit", [_in_place, _replaced, _restored, _linked])
def test_an_edit_of_the_same_size_and_time_is_seen(file: Path, later: None, edit: object) -> None:
    known = Hashes()
    known.sha256(file)
    times = file.stat().st_mtime_ns
    assert callable(edit)
    edit(file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (3, times)
    assert known.sha256(file) == sha256_bytes(b"two")


def test_an_edit_while_a_file_is_read_is_seen(file: Path, later: None) -> None:
    known = Hashes()
    state = settled_state(file)
    _in_place(file)
    known.note(file, state, sha256_bytes(b"one"))
    assert known.sha256(file) == sha256_bytes(b"two")


def test_random_edits_are_always_seen(tmp_path: Path) -> None:
    """In the moment in which a file is read, too: nothing waits here."""
    random_ = random.Random(0)
    known = Hashes()
    files = [tmp_path / name for name in "abc"]
    for file in files:
        file.write_bytes(b"one")
    for number in range(400):
        file = random_.choice(files)
        if random_.random() < 0.5:
            before = file.stat()
            file.write_bytes(f"{number:03}".encode())
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert known.sha256(file) == sha256_file(file)


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 1}', "{", "another", "twice"])
def test_what_isnt_of_this_machine_or_is_damaged_says_nothing(
    file: Path, tmp_path: Path, later: None, damage: str
) -> None:
    known = Hashes()
    known.sha256(file)
    place = tmp_path / "known"
    known.write(place)
    said = json.loads(place.read_text())
    said["files"][str(file)][1] = "0" * 64
    if damage == "another":
        place.write_text(json.dumps(said | {"machine": "elsewhere"}))
    elif damage == "twice":
        place.write_text(json.dumps(said | {"files": {str(file): [["x"], 3]}}))
    else:
        place.write_text(damage)
    assert Hashes(place).sha256(file) == sha256_bytes(b"one")


def test_a_copied_folder_is_read_anew(tmp_path: Path, later: None) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"one")
    with known_from(tmp_path / "known") as known:
        sha256_of(tmp_path / "a" / "file")
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        shutil.rmtree(tmp_path / "a")
        (tmp_path / "b").rename(tmp_path / "a")
        with opened() as files:
            assert sha256_of(tmp_path / "a" / "file") == sha256_bytes(b"one")
        assert files
        assert known.sha256(tmp_path / "a" / "file") == sha256_bytes(b"one")


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """Images of which one is cropped."""
    folder = tmp_path / "photos"
    for index in range(3):
        height = 62 if index == 1 else 64
        write_png(folder / f"{index}.png", np.roll(photograph, index, axis=0)[:height, :64])
    return folder


def again(photos: Path, out: Path) -> tuple[api.Results, list[str]]:
    """A run, and the images of data sets and results that it has opened."""
    with opened() as files:
        results = api.benchmark(
            ["nearest", "bicubic"], photos, out=out, device="cpu", progress=False
        )
    return results, sorted(Path(name).name for name in files if name.endswith(".png"))


def test_a_run_that_finds_everything_opens_no_image(
    photos: Path, tmp_path: Path, later: None
) -> None:
    out = tmp_path / "out"
    again(photos, out)
    before = (out / RESULTS).read_bytes()
    again(photos, out)  # reads what was just written
    results, files = again(photos, out)
    assert (results.computed, results.reused, files) == (0, 6, [])
    assert (out / RESULTS).read_bytes() == before


@pytest.mark.parametrize("place", ["photos/2.png", "out/images/photos_x4/nearest/2.png"])
def test_a_run_sees_an_image_that_was_edited_in_its_size_and_time(
    photos: Path, tmp_path: Path, later: None, place: str
) -> None:
    out = tmp_path / "out"
    for _ in range(3):
        again(photos, out)
    path = tmp_path / place
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the last chunk's checksum: no image any more
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    results, files = again(photos, out)
    assert "2.png" in files
    shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
    again(photos, tmp_path / "fresh")
    assert (out / RESULTS).read_bytes() == (tmp_path / "fresh" / RESULTS).read_bytes()
    assert results.computed == (1 if "nearest" in place else 0 if results.failures.size else 2)


def test_a_folder_that_was_moved_or_whose_notes_are_lost_gives_the_same(
    photos: Path, tmp_path: Path, later: None
) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        again(photos, out)
    before = (out / RESULTS).read_bytes()
    out.rename(tmp_path / "moved")
    results, _ = again(photos, tmp_path / "moved")
    assert (results.computed, results.reused) == (0, 6)
    (tmp_path / "moved" / HASHES).unlink()
    results, _ = again(photos, tmp_path / "moved")
    assert (results.computed, results.reused) == (0, 6)
    assert (tmp_path / "moved" / RESULTS).read_bytes() == before
