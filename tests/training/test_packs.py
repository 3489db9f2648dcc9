"""The pack and the leak check against the files they were made from."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sreval.errors import DataError, ImageError
from sreval.images.io import image_bytes, read_image, write_png
from sreval.images.known import KnownFile
from sreval.images.resize import crop_to_multiple, downscale
from sreval.training.leaks import (
    THUMBNAIL,
    evaluation_fingerprints,
    fingerprint,
    refuse_leaks,
)
from sreval.training.learner import Learner
from sreval.training.packs import (
    Pack,
    Photograph,
    Photographs,
    _decode,
    _Written,
    megapixels,
    open_pack,
    read_pack,
)
from sreval.training.sampler import Sampler
from sreval.training.sources import Source
from sreval.training.validation import Validator
from tests.training.conftest import MakeRecipe

CPU = torch.device("cpu")
SHARED = os.environ.get("SREVAL_DATA", "")
"""As it was before a fixture hid it."""


@pytest.fixture
def pack(photographs: Path) -> Photographs:
    return open_pack([photographs], 4)


def test_pack_holds_the_whole_images_and_their_exact_bicubic(
    pack: Photographs, photographs: Path
) -> None:
    high, low = 0, 0
    assert isinstance(pack, Pack)
    for entry in pack.photographs:
        image = crop_to_multiple(read_image(photographs / entry.file).pixels, 4)
        small = downscale(np.ascontiguousarray(image), 4)
        assert image.shape[:2] == (entry.height, entry.width)
        assert np.array_equal(pack.high[high : high + image[..., 0].size], image.reshape(-1, 3))
        assert np.array_equal(pack.low[low : low + small[..., 0].size], small.reshape(-1, 3))
        high, low = high + image[..., 0].size, low + small[..., 0].size
        place = pack.photographs.index(entry)
        assert np.array_equal(pack.image(place), image)
        assert np.array_equal(pack.small(place), small)
    assert len(pack.high) == high == pack.pixels
    assert len(pack.low) == low


def test_pack_is_opened_again_and_its_hash_travels(
    pack: Photographs, photographs: Path, tmp_path: Path
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
        assert np.array_equal(packs[-1].image(0), crop_to_multiple(pixels, 4))
    assert packs[0].sha256 != packs[1].sha256


def test_a_photograph_that_changes_while_it_is_packed_is_named(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    shutil.copy(photographs / "coffee-a.png", path)

    def read(file: Path) -> bytes:
        shutil.copy(photographs / "chelsea-a.png", path)
        return image_bytes(file)

    monkeypatch.setattr("sreval.training.sources.image_bytes", read)
    with pytest.raises(DataError, match=r"a\.png changed while it was used"):
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


def test_of_two_packings_of_the_same_photographs_one_waits_for_the_other(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    waits = threading.Event()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("Waiting"):
            waits.set()

    def decode(*args: Any, **how: Any) -> Any:
        # the first photograph isn't through before the other packing waits
        assert waits.wait(60)
        return _decode(*args, **how)

    monkeypatch.setattr("sreval.training.packs._decode", decode)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: open_pack([photographs], 4, say), range(2))
    assert first.folder == second.folder
    assert sorted(text.split()[0] for text in said) == ["Packing", "Waiting"]
    assert [entry.name for entry in first.folder.parent.iterdir()] == [first.folder.name]


def test_what_a_killed_packing_left_goes_after_a_month(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    days = {29: True, 31: False}
    parts = {age: tmp_path / f"cache/packs/.{age}.part" for age in days}
    for age, part in parts.items():
        part.mkdir(parents=True)
        os.utime(part, 2 * (time.time() - 24 * 3600 * age,))
    open_pack([photographs], 4)
    assert {age: part.exists() for age, part in parts.items()} == days


FILES = ("high.bin", "low.bin", "thumbnails.npy", "manifest.json")


def contents(pack: Photographs) -> dict[str, bytes]:
    return {name: (pack.folder / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_packing_that_stopped_twice_goes_on_and_comes_to_the_same_bytes(
    fault: BaseException, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(open_pack([photographs], 4))
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sreval.training.packs._PART_BYTES", 2 * 3 * 151 * 122)
    decoded: list[str] = []

    def decode(source: Source, **how: Any) -> Any:
        decoded.append(source.name)
        return _decode(source, **how)

    monkeypatch.setattr("sreval.training.packs._decode", decode)
    said: list[str] = []
    add = _Written.add
    left = 4

    def stop(self: _Written, photograph: Photograph, made: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            self.files["high.bin"].write(b"half of an image")
            self.files["high.bin"].flush()
            raise fault
        add(self, photograph, made)

    monkeypatch.setattr(_Written, "add", stop)
    error = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else DataError
    with pytest.raises(error):
        open_pack([photographs], 4, said.append)
    left = 2
    with pytest.raises(error):
        open_pack([photographs], 4, said.append)
    monkeypatch.setattr(_Written, "add", add)
    decoded.clear()
    pack = open_pack([photographs], 4, said.append)
    assert contents(pack) == whole
    assert sorted(path.name for path in pack.folder.iterdir()) == sorted([".lock", *FILES])
    begun = [text.rpartition(", ")[2] for text in said if text.startswith("Packing")]
    assert begun[1:] == ["going on after 2", "going on after 2"]
    assert len(decoded) == 4
    if isinstance(fault, KeyboardInterrupt):
        assert "Stopped: 2 of 6 photographs are kept" in said[1]


@pytest.mark.parametrize("name", ["whole.json", "listing.jsonl", "low.bin"])
def test_of_a_part_that_is_damaged_nothing_is_believed(
    name: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(open_pack([photographs], 4))
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("sreval.training.packs._PART_BYTES", 1)
    save = np.save

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        open_pack([photographs], 4)
    monkeypatch.setattr(np, "save", save)
    (part,) = (tmp_path / "cache/packs").iterdir()
    (part / name).write_bytes(b"[" + (part / name).read_bytes()[:40])
    assert contents(open_pack([photographs], 4)) == whole


def test_a_disk_without_room_is_named_before_anything_is_packed(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    # 3 of 151x122 and 3 of 131x163, three bytes a pixel and a sixteenth of that; 4 KB a thumbnail
    needed = 3 * 3 * (151 * 122 + 131 * 163) * 17 // 16 + 6 * 4096
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(DataError, match=r"takes 405 kB, and .* has 405 kB left"):
        open_pack([photographs], 4)
    assert [path.name for path in tmp_path.rglob("*.bin") if path.stat().st_size] == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=needed + 1))
    assert len(open_pack([photographs], 4).photographs) == 6


def test_a_pack_of_the_layout_before_is_opened_as_it_lies(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    shutil.copytree(photographs, tmp_path / "photos")
    (tmp_path / "photos" / "x.avif").touch()
    files = sorted((tmp_path / "photos").glob("*.png"))
    listing = [[file.name, sha256(file.read_bytes()).hexdigest()] for file in files]
    # the key of the packs that lie in caches already
    key = sha256(json.dumps([1, 4, listing, ["x.avif"]]).encode()).hexdigest()[:16]
    assert open_pack([tmp_path / "photos"], 4).folder == tmp_path / "cache/packs" / key


def test_nothing_is_written_into_a_pack(pack: Photographs) -> None:
    assert isinstance(pack, Pack)
    for pixels in (pack.high, pack.low, pack.image(2), pack.small(2)):
        with pytest.raises(ValueError, match="read-only"):
            pixels[0] = 0


def test_a_pack_larger_than_the_memory_opens_and_is_learnt_from(
    tmp_path: Path, make_recipe: MakeRecipe
) -> None:
    # eight photographs of five gigabytes each
    height, width = 40_000, 41_668
    entries = [
        {"file": f"{n}.png", "sha256": f"{n:064}", "height": height, "width": width}
        for n in range(8)
    ]
    bytes_ = 8 * 3 * height * width
    assert bytes_ > 40e9
    for name, length in (("high.bin", bytes_), ("low.bin", bytes_ // 16)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(length)
        if (tmp_path / name).stat().st_blocks * 512 > 10**6:
            pytest.skip("this file system has no sparse files")
    manifest = {"scale": 4, "photographs": entries, "skipped": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    rows = np.random.default_rng(0).standard_normal((8, THUMBNAIL**2)).astype(np.float32)
    np.save(tmp_path / "thumbnails.npy", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    recipe = make_recipe()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # what a process may take for itself: a private map of the file would not fit
    resource.setrlimit(resource.RLIMIT_DATA, (20 * 10**9, before[1]))
    try:
        pack = read_pack(tmp_path)
        refuse_leaks(pack.fingerprints(), [fingerprint("test", "t", np.zeros((9, 9, 3), np.uint8))])
        validator = Validator(make_recipe(run={"dataset": "kept_aside"}), CPU, pack)
        sampler = Sampler(pack, recipe.data, recipe.network, CPU, 1)
        learner = Learner(recipe, CPU)
        losses = learner.update(*sampler.batch())
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    assert len(validator.high) == 1
    # kilobytes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident < 10**6


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


def test_a_damaged_pack_is_named(pack: Photographs, photographs: Path) -> None:
    high = pack.folder / "high.bin"
    whole = high.read_bytes()
    high.write_bytes(whole[:-3])
    try:
        with pytest.raises(DataError, match="damaged"):
            open_pack([photographs], 4)
    finally:
        high.write_bytes(whole)


def test_a_pack_that_goes_before_it_is_read_says_how_to_go_on(
    pack: Photographs, tmp_path: Path
) -> None:
    folder = tmp_path / "pack"
    shutil.copytree(pack.folder, folder)
    pack = read_pack(folder)
    (folder / "low.bin").unlink()
    again = r"pack can't be opened any more .*Remove the folder .*, then go on with resume=True"
    with pytest.raises(DataError, match=again):
        pack.small(0)


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
