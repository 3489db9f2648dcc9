"""Published images are paired by name, then by number, then as a CSV says: never by their order."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval.benchmarking.results import ResultsFolder
from sreval.errors import DataError
from sreval.images.datasets import Dataset, open_dataset
from sreval.images.io import write_png
from sreval.methods.published import match_files

UInt8 = npt.NDArray[np.uint8]
SET5 = ("baby", "bird", "butterfly", "head", "woman")


def folder(place: Path, stems: Sequence[str]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        (place / f"{stem}.png").parent.mkdir(exist_ok=True)
        (place / f"{stem}.png").touch()
    return place


def dataset(place: Path, stems: Sequence[str]) -> Dataset:
    return open_dataset(str(folder(place, stems)))


def paired(files: Path, data: Dataset) -> dict[str, str]:
    return {image: path.stem for image, path in match_files(files, data).files.items()}


def numbers(form: str, count: int = 12, first: int = 1) -> list[str]:
    return [form.format(number) for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("images", "files"),
    [
        ("img_{:03}", "out_{}"),
        ("img_{:03}", "out_{:04}_x4"),
        ("img_{:03}", "{}"),
        ("img_{:03}", "SwinIR2_{}_4x"),
        ("{}", "img_{}_SRF_4"),
        ("img_{}", "img_{:03}"),
        ("{:04}", "{:04}x4_SwinIR"),
        ("img_{:03}", "img_{:03}_SRF_4_SRCNN"),
    ],
)
def test_numbers_are_compared_as_numbers(tmp_path: Path, images: str, files: str) -> None:
    data = dataset(tmp_path / "hr", numbers(images))
    found = paired(folder(tmp_path / "sr", numbers(files)), data)
    assert found == dict(zip(numbers(images), numbers(files), strict=True))


@pytest.mark.parametrize(
    ("images", "files"),
    [
        (numbers("img_{:03}"), numbers("out_{}", first=0)),
        (numbers("img_{}"), numbers("img_{}", first=0)),
        (numbers("{}"), numbers("{}", first=0)),
        (numbers("{:04}"), numbers("{:04}x4", first=0)),
        (numbers("img_{:03}"), numbers("out_{}", count=11)),
        (numbers("img_{:03}"), numbers("out_{}", count=13)),
        (numbers("img_{:03}"), numbers("out_{}", count=11, first=0)),
        (numbers("img_{:03}"), [f"{n}_{13 - n}" for n in range(1, 13)]),
        (numbers("img_{:03}"), ["a", *numbers("out_{}", count=11)]),
        (["a", "b"], ["c", "d"]),
        (["a"], ["b"]),
        (["a_b", "c_d"], ["a_b_c_d", "x"]),
        (["baby"], ["baby_1", "baby_2"]),
    ],
)
def test_where_it_cannot_be_told_it_is_refused(
    tmp_path: Path, images: list[str], files: list[str]
) -> None:
    data = dataset(tmp_path / "hr", images)
    place = folder(tmp_path / "sr", files)
    with pytest.raises(DataError) as refused:
        match_files(place, data)
    assert str(refused.value).startswith(f"{place}: ")
    assert f"write {place / 'pairs.csv'} with the line `image,file`" in refused.value.remedy


@pytest.mark.parametrize("form", ["{}x4_SwinIR", "{}_x4", "SwinIR_{}x4", "x4-{}-ours", "{} (1)"])
@pytest.mark.parametrize("lacking", [(), ("head",), ("baby", "woman")])
def test_names_carry_the_scale_and_a_methods_suffix(
    tmp_path: Path, form: str, lacking: tuple[str, ...]
) -> None:
    data = dataset(tmp_path / "hr", SET5)
    there = [name for name in SET5 if name not in lacking]
    found = paired(folder(tmp_path / "sr", [form.format(name) for name in there]), data)
    assert found == {name: form.format(name) for name in there}


def test_the_longest_name_counts_and_part_of_a_word_does_not(tmp_path: Path) -> None:
    data = dataset(tmp_path / "hr", ["man", "foreman", "foreman_2", "old man"])
    files = ["ours_man", "ours_foreman", "ours_foreman_2", "ours_old man"]
    found = paired(folder(tmp_path / "sr", files), data)
    assert found == {file.removeprefix("ours_"): file for file in files}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_compared_in_one_form(tmp_path: Path, form: str) -> None:
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    data = dataset(tmp_path / "hr", [unicodedata.normalize(form, "café")])  # type: ignore[arg-type]
    name = unicodedata.normalize(other, "CAFÉx4_ours")  # type: ignore[arg-type]
    assert paired(folder(tmp_path / "sr", [name]), data) == {"caf\u00e9": name}


def test_the_csv_that_the_message_asks_for_pairs_them(
    tmp_path: Path, photograph: UInt8, sreval: Callable[..., object]
) -> None:
    images, files = ["a", "b", "c"], ["x,1", "y", "z"]
    for index, (image, file) in enumerate(zip(images, files, strict=True)):
        write_png(tmp_path / "hr" / f"{image}.png", np.roll(photograph, index, axis=0))
        write_png(tmp_path / "sr" / f"{file}.png", np.roll(photograph, index, axis=0))
    data = open_dataset(str(tmp_path / "hr"))
    with pytest.raises(DataError) as refused:
        match_files(tmp_path / "sr", data)
    pattern = r"write (\S+) with the line `(.+?)` .* `(.+?)`"
    [(path, head, line)] = re.findall(pattern, refused.value.remedy)
    rest = "".join(f"{image},{file}.png\n" for image, file in zip("bc", "yz", strict=True))
    Path(path).write_text(f"{head}\n{line}\n{rest}", encoding="utf-8-sig")
    out = tmp_path / "out"
    method = f"published:{tmp_path / 'sr'}"
    sreval("benchmark", "--method", method, "--dataset", tmp_path / "hr", "--out", out)
    assert np.isinf(ResultsFolder(out).frame().query("metric == 'psnr'")["value"]).all()
    pairing = json.loads((out / "manifest.json").read_text())["runs"][-1]["pairing"]
    expected = {i: str(tmp_path / "sr" / f"{f}.png") for i, f in zip(images, files, strict=True)}
    assert pairing == {"sr": {"hr": {"by": "pairs.csv", "files": expected}}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,path\na,x.png\n", "begins with other columns. Begin it with: image,file"),
        ("", "begins with other columns"),
        ("image,file\na,x.png\nd,y.png\n", "line 3: hr has no image 'd'. Its images are a, b"),
        ("image,file\na,w.png\n", "line 2: there is no file 'w.png'. Name one in "),
        ("image,file\na\n", "line 2: there is no file ''"),
        ("image,file\na,f\\w.png\n", "line 2: there is no file 'f\\w.png'. Name one in "),
        ("image,file\nf\\d,x.png\n", "line 2: hr has no image 'f\\d'. Its"),
        ("image,file\na,f\\x.png\nb,f/x.png\n", "line 3: f/x.png is there twice. Remove one"),
        ("image,file\na,x.png\na,y.png\n", "line 3: a is there twice. Remove one"),
        ("image,file\na,x.png\nb,x.png\n", "line 3: x.png is there twice. Remove one"),
    ],
)
def test_a_csv_that_is_wrong_says_where(tmp_path: Path, text: str, message: str) -> None:
    data = dataset(tmp_path / "hr", ["a", "b"])
    place = folder(tmp_path / "sr", ["x", "y", "f/x"])
    (place / "pairs.csv").write_text(text)
    with pytest.raises(DataError) as refused:
        match_files(place, data)
    assert str(refused.value).startswith(str(place / "pairs.csv"))
    assert message in str(refused.value)


def test_a_csv_takes_a_backslash_in_both_columns(tmp_path: Path) -> None:
    data = dataset(tmp_path / "cal", ["f/1", "f/2", "g/1"])
    place = folder(tmp_path / "sr", ["x/1", "x/2", "y\\1", "y/1"])
    lines = ["image,file", r"f\1.png,x\2.png", "f/2,x/1.png", r"g\1,y\1.png"]
    (place / "pairs.csv").write_text("\n".join(lines))
    # the file of that very name goes before the one of a folder
    expected = {"f/1": "x/2.png", "f/2": "x/1.png", "g/1": "y\\1.png"}
    files = match_files(place, data).files
    assert {image: path.relative_to(place).as_posix() for image, path in files.items()} == expected


def test_twelve_files_without_leading_zeros_score_as_what_they_are(
    tmp_path: Path, photograph: UInt8, sreval: Callable[..., object]
) -> None:
    order = list(range(1, 13))
    random.Random(0).shuffle(order)
    for number in order:
        image = np.roll(photograph, number, axis=1)
        write_png(tmp_path / "hr12" / f"img_{number:03}.png", image)
        write_png(tmp_path / "sr" / f"out_{number}.png", image)
    method = f"p=published:{tmp_path / 'sr'}"
    out = tmp_path / "out"
    sreval("benchmark", "--method", method, "--dataset", tmp_path / "hr12", "--out", out)
    assert np.isinf(ResultsFolder(out).frame().query("metric == 'psnr'")["value"]).sum() == 12
    pairing = json.loads((out / "manifest.json").read_text())["runs"][-1]["pairing"]["p"]["hr12"]
    assert pairing["by"] == "number"
    assert pairing["files"]["img_010"] == str(tmp_path / "sr" / "out_10.png")


FRAMES = ["a/00000000", "a/00000001", "b/00000000", "b/00000010", "b/2"]


def test_frames_are_paired_within_the_folders_of_their_sequences(tmp_path: Path) -> None:
    data = dataset(tmp_path / "set", FRAMES)
    folder(tmp_path / "sr", ["A/00000001_EDVR", "A/00000000_EDVR", "c/00000000"])
    folder(tmp_path / "sr", ["b/out_0", "b/out_010", "b/out_02"])
    found = match_files(tmp_path / "sr", data)
    files = {image: path.relative_to(tmp_path / "sr") for image, path in found.files.items()}
    assert found.how == "name, number"
    assert {image: path.as_posix() for image, path in files.items()} == {
        "a/00000000": "A/00000000_EDVR.png",
        "a/00000001": "A/00000001_EDVR.png",
        "b/00000000": "b/out_0.png",
        "b/00000010": "b/out_010.png",
        "b/2": "b/out_02.png",
    }


def test_frames_without_the_folder_of_their_sequence_have_no_file(tmp_path: Path) -> None:
    data = dataset(tmp_path / "set", FRAMES)
    folder(tmp_path / "sr", FRAMES[:2])
    assert list(match_files(tmp_path / "sr", data).files) == FRAMES[:2]


def test_flat_names_of_frames_hold_their_sequence(tmp_path: Path) -> None:
    data = dataset(tmp_path / "set", FRAMES)
    stems = [f"{image.replace('/', '_')}_x4" for image in FRAMES]
    random.Random(1).shuffle(stems)
    folder(tmp_path / "sr", stems)
    assert paired(tmp_path / "sr", data) == {i: f"{i.replace('/', '_')}_x4" for i in FRAMES}


def test_a_sequence_whose_frames_cannot_be_told_is_named(tmp_path: Path) -> None:
    data = dataset(tmp_path / "set", FRAMES)
    folder(tmp_path / "sr", ["a/x", "a/y"])
    with pytest.raises(DataError, match=r"sr/a: neither .* image of set/a; no file for 00000000"):
        match_files(tmp_path / "sr", data)
