"""Shards against the files that they were made from, and the hashes that are remembered."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from sreval.errors import DataError, ImageError, UsageError
from sreval.images.io import encode_png, read_image
from sreval.images.resize import crop_to_multiple, downscale
from sreval.training.licences import count_licences
from sreval.training.packs import Photographs, Shards, open_pack
from sreval.training.sampler import Sampler
from sreval.training.sources import find_photographs, in_order, shards_named
from tests.training.conftest import MakeRecipe

WRITTEN_BY_WEBDATASET = Path(__file__).parents[1] / "fixtures" / "webdataset" / "shard-000000.tar"


def write_shard(path: Path, members: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture
def files(photographs: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(photographs.iterdir())}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))


def in_both(packed: Photographs, shards: Photographs) -> None:
    """The same images at the same places, and all that is told of them."""
    assert isinstance(shards, Shards)
    assert shards.sha256 == packed.sha256
    assert shards.photographs == packed.photographs
    assert np.array_equal(shards.thumbnails, packed.thumbnails)
    for place in range(len(packed.photographs)):
        assert np.array_equal(shards.small(place), packed.small(place))
        assert np.array_equal(shards.image(place), packed.image(place))


def test_gnu_tar_s_shard_of_a_folder_holds_what_a_pack_of_it_holds(
    photographs: Path, tmp_path: Path
) -> None:
    command = ["tar", "--sort=none", "-cf", f"{tmp_path}/a.tar", "-C", f"{photographs}", "."]
    subprocess.run(command, check=True)
    in_both(open_pack([photographs], 4), open_pack([tmp_path / "a.tar"], 4))
    # nothing is unpacked, and nothing is packed
    sizes = [path.stat().st_size for path in (tmp_path / "cache/packs").glob("*/*.bin")]
    assert len(sizes) == 2


def test_shards_train_as_the_pack_does(
    photographs: Path, tmp_path: Path, files: dict[str, bytes], make_recipe: MakeRecipe
) -> None:
    names = list(files)
    for number in range(2):
        own = {f"all/{name}": files[name] for name in names[3 * number : 3 * number + 3]}
        write_shard(tmp_path / f"s/{number}.tar", own)
    recipe = make_recipe()
    batches = []
    for data in (photographs, tmp_path / "s", tmp_path / "s" / "{0..1}.tar"):
        pack = open_pack([data], 4)
        sampler = Sampler(pack, recipe.data, recipe.network, torch.device("cpu"), 3)
        batches.append([sampler.batch() for _ in range(3)])
    for other in batches[1:]:
        for one, two in zip(batches[0], other, strict=True):
            assert torch.equal(one[0], two[0])
            assert torch.equal(one[1], two[1])


def test_a_shard_that_webdataset_wrote() -> None:
    pack = open_pack([WRITTEN_BY_WEBDATASET], 4)
    assert [p.file for p in pack.photographs] == ["000000.jpg", "000001.jpg"]
    with tarfile.open(WRITTEN_BY_WEBDATASET) as tar:
        for place, photograph in enumerate(pack.photographs):
            member = tar.extractfile(f"photos/{photograph.file}")
            assert member is not None
            data = member.read()
            assert photograph.sha256 == sha256(data).hexdigest()
            assert (photograph.height, photograph.width) == (48, 40)
            assert np.array_equal(pack.small(place), downscale(pack.image(place), 4))
    seg = [f"photos/00000{n}.seg.png" for n in range(2)]
    sample = [f"another image of the sample photos/00000{n}" for n in range(2)]
    assert pack.skipped == tuple(zip(seg, sample, strict=True))
    counted = count_licences(
        [WRITTEN_BY_WEBDATASET], (p.file for p in pack.photographs), pack.licences
    )
    assert counted == {"CC0": 1, "CC BY 4.0": 1}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_member_s_path_is_only_a_name(form: int, tmp_path: Path, files: dict[str, bytes]) -> None:
    one, two, three, four, five, six = files.values()
    names = {
        "/etc/one.png": one,
        "../../two.png": two,
        "long/" * 60 + "three.png": three,
        "Fotos/Grün 東京.PNG": four,
        "a b/x.2019.png": five,
        "sample.png": six,
    }
    other = {
        "._sample.png": b"x",
        ".hidden/y.png": b"x",
        "sample.mask.png": one,
        "z.gif": b"x",
        "sample.json": b'{"license": "CC|0\\n<b>", "licence": ""}',
        "x.json": b"[" * 2000,
        "big.json": b" " * (2**20 + 1),
    }
    deep = tmp_path / "here" / "deep"
    deep.mkdir(parents=True)
    pack = open_pack([write_shard(deep / "a.tar", names | other, form)], 4)
    made = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*") if path.is_file()}
    assert {parts for parts in made if parts[0] != "cache"} == {("here", "deep", "a.tar")}
    assert not Path("/etc/one.png").exists()
    found = {p.file: p.sha256 for p in pack.photographs}
    assert found == {Path(n).name: sha256(data).hexdigest() for n, data in names.items()}
    assert dict(pack.skipped) == {
        "sample.mask.png": "another image of the sample sample",
        "z.gif": "images of its kind are not read",
    }
    assert pack.licences == {"sample.png": "CC 0 <b>"}


def test_unusable_members_are_named_as_files_are(tmp_path: Path, files: dict[str, bytes]) -> None:
    first = next(iter(files.values()))
    pixels = read_image(io_path(tmp_path, first)).pixels
    members = {
        "a.png": first,
        "b.png": first,
        "c.png": encode_png(np.ascontiguousarray(pixels[..., 0])),
        "d.png": first[:3000],
        "e.jpg": first,
        "f.png": encode_png(np.ascontiguousarray(pixels[:9, :9])),
        "g.png": b"",
        "h.png": encode_png(np.ascontiguousarray(pixels[:2, :2])),
    }
    pack = open_pack([write_shard(tmp_path / "a.tar", members)], 4)
    assert [p.file for p in pack.photographs] == ["a.png"]
    reasons = dict(pack.skipped)
    assert reasons["b.png"] == "the same file as a.png"
    assert reasons["c.png"] == "it is grey"
    for name in ("d.png", "e.jpg", "g.png"):
        assert f"a.tar:{name}" in reasons[name]
    assert "8x8" in reasons["f.png"]
    assert "2x2" in reasons["h.png"]


def io_path(folder: Path, data: bytes) -> Path:
    path = folder / "one.png"
    path.write_bytes(data)
    return path


def damaged(whole: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        second = tar.getmembers()[1]
    yield "empty", b""
    yield "no tar", b"photographs" * 200
    yield "cut in a header", whole[: second.offset + 100]
    yield "cut in an image", whole[: second.offset_data + 100]
    yield "cut between images", whole[: second.offset]
    damage = bytearray(whole)
    damage[second.offset + 150] ^= 1
    yield "a damaged header", bytes(damage)
    negative = tarfile.TarInfo("x.png")
    negative.size = -(2**40)
    yield "a size below zero", negative.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    negative.size = 2**60
    yield "a size of exabytes", negative.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    pax = tarfile.TarInfo("x")
    pax.type, pax.size = tarfile.XHDTYPE, 2**50
    yield "an extended header of petabytes", pax.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    pax.size = 0
    yield "headers upon headers", pax.tobuf(tarfile.GNU_FORMAT) * 5000 + bytes(1024)


def test_a_damaged_shard_is_named(tmp_path: Path, files: dict[str, bytes]) -> None:
    whole = write_shard(tmp_path / "whole.tar", files).read_bytes()
    for what, data in damaged(whole):
        path = tmp_path / f"{what}.tar"
        path.write_bytes(data)
        with pytest.raises(DataError) as error:
            open_pack([tmp_path / "whole.tar", path], 4)
        assert f"{path} is not a whole, plain tar file" in str(error.value), what


def test_a_sparse_member_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(10**6)
        file.write(b"x")
    command = ["tar", "-S", "-cf", f"{tmp_path}/a.tar", "-C", f"{tmp_path}", "a.png"]
    subprocess.run(command, check=True)
    with pytest.raises(DataError, match=r"a\.png isn't stored whole"):
        open_pack([tmp_path / "a.tar"], 4)


def test_a_compressed_shard_is_refused_with_a_remedy(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    packed = gzip.compress(write_shard(tmp_path / "s" / "a.tar", files).read_bytes())
    for name in ("c/a.tar", "c/a.tar.gz", "c/a.tgz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(packed)
        with pytest.raises(DataError, match=r"is compressed.*Unpack it to a plain \.tar file"):
            open_pack([path], 4)
    (tmp_path / "c/a.tar").unlink()
    with pytest.raises(DataError, match=r"a\.tar\.gz is compressed"):
        open_pack([tmp_path / "c"], 4)


def test_what_is_no_folder_and_no_shard(tmp_path: Path, files: dict[str, bytes]) -> None:
    (tmp_path / "a.txt").touch()
    write_shard(tmp_path / "none.tar", {"a.txt": b"x"})
    for name, says in {
        "a.txt": "is a file, not a folder",
        "b": "No such folder",
        "b.tar": "No such shard",
        "none.tar": "none.tar holds no images",
        "{0..3}.tar": r"No such shard: .*0\.tar",
        "sh-?.tar": r"No such shard: .*Write several shards as \{000\.\.099\} or \{a,b\}",
    }.items():
        with pytest.raises(ImageError, match=says):
            open_pack([tmp_path / name], 4)
    with pytest.raises(UsageError, match="more than 100,000 files"):
        open_pack([tmp_path / "{0..99999999999999999999}-{0..9}.tar"], 4)


def test_braces_are_those_of_the_shell(tmp_path: Path) -> None:
    for pattern in (
        "s-{000..012}.tar",
        "{a,b}/{9..11}.tar",
        "x{,y}.tar",
        "{5..3}.tar",
        "{8..010}.tar",
        "a.tar",
    ):
        command = ["bash", "-c", f"printf '%s\\n' {pattern}"]
        shell = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert [str(path) for path in shards_named(Path(pattern))] == shell
    (tmp_path / "{1,2}.tar").touch()
    assert shards_named(tmp_path / "{1,2}.tar") == [tmp_path / "{1,2}.tar"]


def test_shards_beside_images_are_left_out_with_a_word(
    photographs: Path, tmp_path: Path, files: dict[str, bytes]
) -> None:
    folder = tmp_path / "all"
    shutil.copytree(photographs, folder)
    write_shard(folder / "b.tar", {"b.png": next(iter(files.values()))})
    said: list[str] = []
    assert not find_photographs([folder], said.append).in_shards
    assert any("its shards, such as b.tar, are left out" in text for text in said)
    both = find_photographs([folder, folder / "b.tar"])
    assert [source.name for source in both.sources] == [*files, "b.png"]
    # all is decoded when it is asked for, files in folders too; the same bytes count once
    pack = open_pack([folder, folder / "b.tar"], 4)
    assert len(pack.photographs) == 6
    place = 3
    image = crop_to_multiple(read_image(photographs / pack.photographs[place].file).pixels, 4)
    assert np.array_equal(pack.image(place), image)


def test_what_changes_in_a_shard_is_seen(tmp_path: Path, files: dict[str, bytes]) -> None:
    one, two, *_ = files.values()
    shard = write_shard(tmp_path / "a.tar", {"a.png": one})
    pack = open_pack([shard], 4)
    data = bytearray(shard.read_bytes())
    whole = bytes(data)
    again = rf"Put {shard} back as it was, then go on with resume=True"
    # another photograph; no photograph at all; the file cut off; and none
    for other in (two, bytes(len(one)), b""):
        data = bytearray(whole[: 512 + len(one)] if other else whole[:600])
        data[512 : 512 + len(other)] = other
        shard.write_bytes(data)
        said = rf"^{shard}:a\.png changed or was damaged since it was indexed\. {again}"
        with pytest.raises(DataError, match=said):
            pack.image(0)
    shard.write_bytes(whole)
    assert pack.image(0).size
    shard.unlink()
    with pytest.raises(DataError, match=rf"^Can't read {shard}:a\.png: .*{again}"):
        pack.image(0)


def test_links_in_a_shard_are_named(
    photographs: Path, tmp_path: Path, files: dict[str, bytes]
) -> None:
    folder = tmp_path / "links"
    (folder / "in").mkdir(parents=True)
    first, second, *_ = sorted(photographs.iterdir())
    shutil.copy(first, folder / "in" / "a.png")
    os.link(folder / "in" / "a.png", folder / "in" / "b.png")
    (folder / "in" / "c.png").symlink_to(second)
    (folder / "in" / "d").symlink_to(photographs)

    def made(name: str, *how: str) -> Path:
        path = tmp_path / name
        command = ["tar", "--sort=name", *how, "-cf", str(path), "-C", str(folder), "in"]
        subprocess.run(command, check=True)
        return path

    pack = open_pack([made("links.tar")], 4)
    assert [p.file for p in pack.photographs] == ["a.png"]
    why = "a link: make the shard again with tar --dereference --hard-dereference"
    assert pack.skipped == (("in/b.png", why), ("in/c.png", why), ("in/d", why))
    # the remedy works
    again = open_pack([made("files.tar", "--dereference", "--hard-dereference")], 4)
    assert len(again.photographs) == len(files)
    (folder / "in" / "a.png").unlink()
    (folder / "in" / "b.png").unlink()
    with pytest.raises(ImageError, match=r"holds no images that are read \(in/c\.png: a link"):
        open_pack([made("alone.tar")], 4)


def test_threads_read_one_shard_at_once(tmp_path: Path, files: dict[str, bytes]) -> None:
    pack = open_pack([write_shard(tmp_path / "a.tar", files)], 4)
    expected = [np.array(pack.image(place)) for place in range(6)]
    places = [place for _ in range(8) for place in range(6)]
    with ThreadPoolExecutor(8) as pool:
        for place, image, small in zip(
            places, pool.map(pack.image, places), pool.map(pack.small, places), strict=True
        ):
            assert np.array_equal(image, expected[place])
            assert np.array_equal(small, downscale(expected[place], 4))


def test_hashes_are_remembered_until_a_file_changes(
    photographs: Path, tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photographs, folder)
    write_shard(tmp_path / "a.tar", files)
    data = [folder, tmp_path / "a.tar"]
    # as if an hour had passed since they were written
    clock = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: clock() + 3600 * 10**9)
    first = find_photographs(data)
    read: list[Path] = []

    def noted(path: Path) -> str:
        read.append(path)
        return sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr("sreval.training.sources.sha256_or_empty", noted)
    monkeypatch.setattr("sreval.training.sources._index", lambda path: noted(path) and [])
    assert find_photographs(data) == first
    assert read == []
    # other bytes of the same length, and the times put back: only the change's own time tells
    changed = folder / next(iter(files))
    facts = changed.stat()
    changed.write_bytes(changed.read_bytes()[::-1])
    os.utime(changed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert find_photographs(data).sources[0].sha256 == noted(changed)
    assert read == [changed, changed]
    for damage in (b"", b"[1]", b'{"files": {"a": 1}}'):
        read.clear()
        for index in (tmp_path / "cache/hashes").iterdir():
            index.write_bytes(damage)
        find_photographs([folder])
        assert sorted(read) == sorted(folder.iterdir())


def test_hashes_of_files_just_written_are_not_remembered(tmp_path: Path, photographs: Path) -> None:
    shutil.copytree(photographs, tmp_path / "photos")
    find_photographs([tmp_path / "photos"])
    (index,) = (tmp_path / "cache/hashes").iterdir()
    assert json.loads(index.read_text()) == {"files": {}}


def test_work_in_order_holds_few_and_ends_when_it_is_left() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(10_000):
            taken.append(n)
            yield n

    results = in_order(lambda n: n * n, items())
    assert [next(results) for _ in range(20)] == [n * n for n in range(20)]
    assert len(taken) < 20 + 2 * 16 + 2
    results.close()
    assert len(taken) < 20 + 2 * 16 + 2
    with pytest.raises(StopIteration):
        next(results)
