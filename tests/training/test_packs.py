"""The pack and the leak check against the files they were made from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sreval.errors import DataError, ImageError
from sreval.images.io import read_image, write_png
from sreval.images.known import KnownFile
from sreval.images.resize import crop_to_multiple, downscale
from sreval.training.leaks import evaluation_fingerprints, fingerprint, refuse_leaks
from sreval.training.packs import Pack, _decoded, megapixels, open_pack

CPU = torch.device("cpu")
SHARED = os.environ.get("SREVAL_DATA", "")
"""As it was before a fixture hid it."""


@pytest.fixture
def pack(photographs: Path) -> Pack:
    return open_pack([photographs], 4)


def test_pack_holds_the_whole_images_and_their_exact_bicubic(pack: Pack, photographs: Path) -> None:
    high, low = 0, 0
    for entry in pack.photographs:
        image = crop_to_multiple(read_image(photographs / entry.file).pixels, 4)
        small = downscale(np.ascontiguousarray(image), 4)
        assert image.shape[:2] == (entry.height, entry.width)
        assert np.array_equal(pack.high[high : high + image[..., 0].size], image.reshape(-1, 3))
        assert np.array_equal(pack.low[low : low + small[..., 0].size], small.reshape(-1, 3))
        high, low = high + image[..., 0].size, low + small[..., 0].size
    assert len(pack.high) == high == pack.pixels
    assert len(pack.low) == low


def test_pack_is_opened_again_and_its_hash_travels(
    pack: Pack, photographs: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    assert open_pack([photographs], 4, said.append).sha256 == pack.sha256
    assert said == []
    shutil.copytree(photographs, tmp_path / "elsewhere")
    assert open_pack([tmp_path / "elsewhere"], 4).sha256 == pack.sha256


def test_other_pixels_of_the_same_size_and_time_make_another_pack(
    photographs: Path, tmp_path: Path
) -> None:
    image = read_image(photographs / "coffee-a.png").pixels
    path = tmp_path / "photos" / "a.bmp"
    path.parent.mkdir()
    packs = []
    for pixels in (image, image[::-1]):
        Image.fromarray(pixels).save(path)
        os.utime(path, (1, 1))
        packs.append(open_pack([path.parent], 4))
        whole = crop_to_multiple(pixels, 4)
        assert np.array_equal(packs[-1].high, whole.reshape(-1, 3))
    assert packs[0].sha256 != packs[1].sha256


def test_a_photograph_that_changes_while_it_is_packed_is_named(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    shutil.copy(photographs / "coffee-a.png", path)

    def read(file: Path) -> Any:
        shutil.copy(photographs / "chelsea-a.png", path)
        return read_image(file)

    monkeypatch.setattr("sreval.training.packs.read_image", read)
    with pytest.raises(DataError, match=r"a\.png changed while it was packed"):
        open_pack([path.parent], 4)


def test_all_of_a_folder_is_packed_links_too_and_what_is_left_out_is_named(
    photographs: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in photographs.iterdir())
    folder = tmp_path / "all"
    for inside, own in ((folder, names[:3]), (tmp_path / "other", names[3:])):
        inside.mkdir()
        for name in own:
            shutil.copy(photographs / name, inside / name)
    (folder / ".thumbnails").mkdir()
    shutil.copy(photographs / names[0], folder / ".thumbnails" / "small.png")
    (folder / "more").symlink_to("../other")
    (folder / "round").symlink_to(".")
    (folder / "x.avif").touch()
    pack = open_pack([folder], 4)
    assert [photograph.file for photograph in pack.photographs] == names
    assert pack.skipped == (("x.avif", "images of its kind are not read"),)


def test_the_hash_of_several_folders_is_of_their_order_and_not_of_their_names(
    photographs: Path, tmp_path: Path
) -> None:
    names = sorted(p.name for p in photographs.iterdir())
    for parts in (("a", "b"), ("z", "y")):
        for part, own in zip(parts, (names[:3], names[3:]), strict=True):
            (tmp_path / part).mkdir()
            for name in own:
                shutil.copy(photographs / name, tmp_path / part / name)
    first = open_pack([tmp_path / "a", tmp_path / "b"], 4)
    second = open_pack([tmp_path / "z", tmp_path / "y"], 4)
    assert first.sha256 == second.sha256
    assert [p.file for p in second.photographs] == names


def test_the_first_of_two_packings_of_the_same_photographs_stands(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(photographs, tmp_path / "photos")
    first: list[Pack] = []

    def other_process(files: dict[Path, str], scale: int) -> Iterator[object]:
        monkeypatch.undo()
        monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(os, "getpid", lambda: -1)
        first.append(open_pack([tmp_path / "photos"], scale))
        inode.append((first[0].folder / "high.bin").stat().st_ino)
        yield from _decoded(files, scale)

    inode: list[int] = []
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sreval.training.packs._decoded", other_process)
    second = open_pack([tmp_path / "photos"], 4)
    assert second.folder == first[0].folder
    assert (second.folder / "high.bin").stat().st_ino == inode[0]
    assert [entry.name for entry in second.folder.parent.iterdir()] == [second.folder.name]


def test_what_a_killed_packing_left_goes_after_a_day(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    old, new = (tmp_path / f"cache/packs/.{name}.7.part" for name in ("old", "new"))
    for part in (old, new):
        part.mkdir(parents=True)
    os.utime(old, (0, 0))
    open_pack([photographs], 4)
    assert (old.exists(), new.exists()) == (False, True)


def test_unusable_images_are_skipped_and_named(photographs: Path, tmp_path: Path) -> None:
    first = next(iter(sorted(photographs.iterdir())))
    shutil.copy(first, tmp_path / "a.png")
    shutil.copy(first, tmp_path / "b-again.png")
    write_png(tmp_path / "c-grey.png", read_image(first).pixels[..., 0])
    write_png(tmp_path / "d-grey-rgb.png", np.repeat(read_image(first).pixels[..., :1], 3, axis=2))
    (tmp_path / "e-cut.png").write_bytes(first.read_bytes()[:3000])
    write_png(tmp_path / "f-small.png", np.ascontiguousarray(read_image(first).pixels[:9, :9]))
    pack = open_pack([tmp_path], 4)
    assert [p.file for p in pack.photographs] == ["a.png"]
    reasons = dict(pack.skipped)
    assert "the same file as a.png" in reasons["b-again.png"]
    assert reasons["c-grey.png"] == reasons["d-grey-rgb.png"] == "it is grey"
    assert "e-cut.png" in reasons["e-cut.png"]
    assert "8x8" in reasons["f-small.png"]


def test_no_folder_no_images_nothing_usable(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such folder"):
        open_pack([tmp_path / "none"], 4)
    with pytest.raises(ImageError, match="holds no images"):
        open_pack([tmp_path], 4)
    write_png(tmp_path / "grey.png", np.zeros((64, 64), np.uint8))
    with pytest.raises(DataError, match="it is grey"):
        open_pack([tmp_path], 4)


def test_a_damaged_pack_is_named(pack: Pack, photographs: Path) -> None:
    high = pack.folder / "high.bin"
    whole = high.read_bytes()
    high.write_bytes(whole[:-3])
    try:
        with pytest.raises(DataError, match="damaged"):
            open_pack([photographs], 4)
    finally:
        high.write_bytes(whole)


def test_copies_of_test_images_are_refused_by_pair(photographs: Path, tmp_path: Path) -> None:
    originals = {p.name: read_image(p).pixels for p in sorted(photographs.iterdir())}
    tests = [fingerprint(f"Test/{name}", name, image) for name, image in originals.items()]
    image = originals["chelsea-a.png"]
    picture = Image.fromarray(np.ascontiguousarray(image[:, ::-1]))
    picture.resize((70, 90)).save(tmp_path / "mirrored.jpg", quality=30)
    copy = fingerprint("mirrored.jpg", "x", read_image(tmp_path / "mirrored.jpg").pixels)
    with pytest.raises(DataError, match=r"mirrored\.jpg is Test/chelsea-a\.png \(correlation"):
        refuse_leaks([copy], tests)
    with pytest.raises(DataError, match="same file"):
        refuse_leaks([fingerprint("renamed.png", "coffee-a.png", image[:40, :40])], tests)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_a_turned_or_mirrored_test_image_is_found(
    photographs: Path, turns: int, mirrored: bool
) -> None:
    image = read_image(photographs / "coffee-a.png").pixels
    turned = np.rot90(image[:, ::-1] if mirrored else image, turns)
    with pytest.raises(DataError, match=r"correlation (0\.9[89]|1\.00)"):
        refuse_leaks([fingerprint("a", "a", turned)], [fingerprint("b", "b", image)])


def test_test_images_are_compared_whatever_their_scale_at_hand(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"eval/Set5/{kind}_x3/img_001.png" for kind in ("HR", "LR")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(photographs / "coffee-a.png", tmp_path / name)
    data = (tmp_path / names[0]).read_bytes()
    files = tuple(KnownFile("Set5", n, len(data), sha256(data).hexdigest()) for n in names)
    monkeypatch.setattr(
        "sreval.images.known.known_files", lambda name: files if name == "Set5" else ()
    )
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    tests, absent = evaluation_fingerprints()
    assert len(tests) == 1
    others = ("Set14", "BSD100", "Urban100", "DIV2K-valid", "Manga109", "RealSR")
    assert absent == dict.fromkeys(others, "")


def test_different_photographs_pass(photographs: Path) -> None:
    prints = [
        fingerprint(p.name, p.name, read_image(p).pixels) for p in sorted(photographs.iterdir())
    ]
    refuse_leaks(prints[:3], prints[3:])


@pytest.mark.data
def test_the_training_copy_of_set5_s_woman_would_be_found() -> None:
    # Set5's woman is BSDS500 train/302003 made smaller by 5/7 and saved anew
    woman = Path(SHARED) / "eval/Set5/HR/img_005.png"
    if not woman.is_file():
        pytest.skip("SREVAL_DATA names no Set5")
    image = read_image(woman).pixels
    larger = np.asarray(Image.fromarray(image).resize((321, 481), Image.Resampling.BICUBIC))
    with pytest.raises(DataError, match="woman"):
        refuse_leaks([fingerprint("302003.jpg", "", larger)], [fingerprint("woman", "-", image)])


def test_few_pixels_are_said_in_words() -> None:
    said = [megapixels(millions) for millions in (0.0123, 3.456, 9.996, 202.4)]
    assert said == [f"{n} megapixels" for n in ("0.012", "3.5", "10", "202")]
