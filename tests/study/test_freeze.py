"""A frozen study shows exactly what was scored, or is not frozen and says why."""

from __future__ import annotations

import csv
import io
import json
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import sreval
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.run import run
from sreval.errors import DataError, SrevalError, UsageError
from sreval.files import sha256_file
from sreval.images.arrays import as_colour
from sreval.images.io import read_image, write_png
from sreval.images.resize import imresize
from sreval.store import enrolment
from sreval.store.database import open_store
from sreval.store.invitations import Links
from sreval.store.studies import Studies
from sreval.study.check import check
from sreval.study.design import StudyDesign, load_design
from sreval.study.exposure import StimulusSet
from sreval.study.freeze import encode_versions, freeze
from sreval.study.manifest import MANIFEST, Manifest, Stimulus, load_manifest
from sreval.study.sources import available

UInt8 = npt.NDArray[np.uint8]
METHODS = ("nearest", "bicubic", "hr")


def sharpened(lr: UInt8, scale: int) -> UInt8:
    """A user's own method, of which nothing is known without results."""
    large = imresize(lr, scale).astype(int)
    made: UInt8 = np.clip(large + (large - large.mean()) / 10, 0, 255).astype(np.uint8)
    return made


def make_design(**changes: Any) -> StudyDesign:
    content: dict[str, Any] = {
        "name": "frozen",
        "title": "Frozen",
        "instructions": "Rate.",
        "raters": 3,
        "seed": 7,
        "images": {"methods": [*METHODS, "mine"], "datasets": [{"name": "photos"}]},
        "consent": {"version": "1", "text": "Yes."},
    }
    return StudyDesign.model_validate(content | changes)


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of three images, one grey and one of no multiple of 4, in the current folder."""
    folder = tmp_path / "photos"
    write_png(folder / "ant.png", photograph)
    write_png(folder / "bee.png", photograph[:90, :101])
    write_png(folder / "cow.png", photograph[..., 1])
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def results(photos: Path, tmp_path: Path) -> Path:
    """The results of two of the four methods, as the benchmark wrote them."""
    methods = ["bicubic", "mine=python:tests.study.test_freeze:sharpened"]
    plan = BenchmarkPlan(methods=methods, datasets=[str(photos)], metrics=["psnr"])
    run(Resolved.of(plan), tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    return folder


def test_every_stimulus_is_the_scored_file_pixel_for_pixel(results: Path, study: Path) -> None:
    manifest = freeze(study, make_design(), [results])
    assert [s.key for s in manifest.stimuli] == [
        ("photos", image, method)
        for image in ("ant", "bee", "cow")
        for method in (*METHODS, "mine")
    ]
    with (results / "results.csv").open() as file:
        rows = {(row["image"], row["method"]): row["sr_sha256"] for row in csv.DictReader(file)}
    for (image, method), sr_sha256 in rows.items():
        stimulus = manifest.by_key["photos", image, method]
        scored = results / "images" / "photos_x4" / method / f"{image}.png"
        assert stimulus.image_sha256 == sr_sha256 == sha256_file(scored)
        with Image.open(study / "stimuli" / f"{stimulus.sha256}.png") as shown:
            assert shown.mode == "RGB"
            assert shown.size == (stimulus.width, stimulus.height)
            expected = np.asarray(Image.open(scored).convert("RGB"))
            np.testing.assert_array_equal(np.asarray(shown), expected)


def test_the_original_is_cropped_as_the_benchmark_crops_it(results: Path, study: Path) -> None:
    manifest = freeze(study, make_design(), [results])
    stimulus = manifest.by_key["photos", "bee", "hr"]
    shown = read_image(study / "stimuli" / f"{stimulus.sha256}.png").pixels
    np.testing.assert_array_equal(shown, read_image("photos/bee.png").pixels[:88, :100])
    kept = results / "inputs" / "photos_x4" / "HR" / "bee.png"
    assert stimulus.image_sha256 == sha256_file(kept)


def test_what_needs_no_results_is_what_the_benchmark_makes(results: Path, study: Path) -> None:
    """Bicubic with and without its results is one file."""
    design = make_design(images={"methods": ["bicubic"], "datasets": [{"name": "photos"}]})
    with_results = freeze(study, design, [results])
    without = freeze(study, design, [], again=True)
    assert with_results == without


def test_a_study_may_be_of_a_ratio(results: Path, photos: Path, study: Path) -> None:
    plan = BenchmarkPlan(methods=["lanczos"], datasets=[str(photos)], metrics=["psnr"], scale=2.5)
    run(Resolved.of(plan), results)
    images = {"methods": [*METHODS, "lanczos"], "datasets": [{"name": "photos"}], "scale": 2.5}
    manifest = freeze(study, make_design(images=images), [results])
    assert {(s.width, s.height) for s in manifest.stimuli if s.key[1] == "bee"} == {(100, 90)}
    for stimulus in manifest.stimuli:
        if stimulus.key[2] == "lanczos":
            scored = results / "images" / "photos_x2.5" / "lanczos" / f"{stimulus.key[1]}.png"
            assert stimulus.image_sha256 == sha256_file(scored)
    with pytest.raises(UsageError, match=r"have the scale 2\.5, 4, and images\.scale of the .* 3"):
        freeze(study, make_design(images={**images, "scale": 3}), [results], again=True)


def test_files_are_named_by_their_hash_and_versions_have_one_length(
    results: Path, study: Path
) -> None:
    manifest = freeze(study, make_design(), [results])
    lengths: dict[str, set[int]] = {}
    for stimulus in manifest.stimuli:
        path = study / "stimuli" / f"{stimulus.sha256}.png"
        assert sha256_file(path) == stimulus.sha256
        lengths.setdefault(stimulus.image, set()).add(path.stat().st_size)
    assert all(len(found) == 1 for found in lengths.values())
    assert load_manifest(study) == manifest


def test_missing_versions_are_listed_by_method(photos: Path, study: Path) -> None:
    images = {"methods": [*METHODS, "mine", "yours"], "datasets": [{"name": "photos"}]}
    with pytest.raises(DataError, match="6 versions are missing: mine on photos; yours on ph"):
        freeze(study, make_design(images=images), [])
    assert not (study / MANIFEST).exists()


def test_single_missing_images_are_named(results: Path, study: Path) -> None:
    path = results / "results.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "mine,photos,bee" not in line))
    with pytest.raises(DataError, match=r"1 versions .* mine on photos \(bee\)\."):
        freeze(study, make_design(), [results])


def test_a_file_that_is_not_the_scored_one_is_refused(results: Path, study: Path) -> None:
    path = results / "images" / "photos_x4" / "mine" / "ant.png"
    write_png(path, read_image(path).pixels // 2)
    with pytest.raises(DataError, match=r"mine/ant\.png is not the file that was scored"):
        freeze(study, make_design(), [results])
    assert not (study / MANIFEST).exists()


def test_a_changed_original_is_refused(results: Path, photos: Path, study: Path) -> None:
    write_png(photos / "ant.png", read_image(photos / "ant.png").pixels[::-1])
    with pytest.raises(DataError, match="scored against another original"):
        freeze(study, make_design(), [results])


def test_another_size_than_the_originals_is_refused(results: Path, study: Path) -> None:
    """A scored file can't have one, so its row is forged with the file."""
    path = results / "images" / "photos_x4" / "mine" / "ant.png"
    before = sha256_file(path)
    write_png(path, read_image(path).pixels[:-4])
    table = results / "results.csv"
    table.write_text(table.read_text().replace(before, sha256_file(path)))
    with pytest.raises(DataError, match="ant, mine is 120x92 pixels, the original 120x96"):
        freeze(study, make_design(), [results])


def test_results_that_contradict_each_other_are_refused(
    results: Path, study: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    plan = BenchmarkPlan(methods=["mine=nearest"], datasets=["photos"], metrics=["psnr"])
    run(Resolved.of(plan), other)
    with pytest.raises(DataError, match="are two versions of photos/ant/mine"):
        freeze(study, make_design(), [results, other])


def test_a_data_set_that_only_the_results_know_is_taken_from_them(
    results: Path, photos: Path, study: Path
) -> None:
    photos.rename(photos.with_name("moved"))
    images = {"methods": ["bicubic", "mine"], "datasets": [{"name": "photos"}]}
    assert len(freeze(study, make_design(images=images), [results]).stimuli) == 6
    with pytest.raises(DataError, match="6 versions are missing: nearest on photos; hr on p"):
        freeze(study, make_design(), [results], again=True)


def test_an_unknown_data_set_and_an_unknown_image_are_named(photos: Path, study: Path) -> None:
    unknown = {"methods": ["hr"], "datasets": [{"name": "fotos"}]}
    with pytest.raises(UsageError, match="'fotos'"):
        freeze(study, make_design(images=unknown), [])
    dog = {"methods": ["hr"], "datasets": [{"name": "photos", "images": ["dog"]}]}
    with pytest.raises(UsageError, match="photos has no image 'dog'"):
        freeze(study, make_design(images=dog), [])


def test_stand_ins_take_only_the_places_that_are_empty(results: Path, study: Path) -> None:
    images = {"methods": [*METHODS, "mine", "yours"], "datasets": [{"name": "photos"}]}
    manifest = freeze(study, make_design(images=images), [results], stand_ins=True)
    assert manifest.stand_ins == ("yours",)
    assert len({s.sha256 for s in manifest.stimuli}) == len(manifest.stimuli) == 15


def test_drawn_parts_are_frozen_and_found_again_by_the_plan(photos: Path, study: Path) -> None:
    design = make_design(
        images={"methods": ["nearest", "hr"], "datasets": [{"name": "photos"}]},
        calibration={
            "dataset": "demo",
            "images": 2,
            "anchors": [{"method": "nearest", "score": 1}, {"method": "hr", "score": 5}],
        },
        warm_up={"dataset": "demo", "images": 2, "methods": ["bicubic", "hr"]},
        gold=[{"dataset": "demo", "method": "nearest", "images": 1, "low": 1, "high": 2}],
    )
    manifest = freeze(study, design, [])
    assert len(manifest.stimuli) == 3 * 2 + 2 * 2 + 2 * 2 + 1
    stimuli = StimulusSet.of(design, manifest.scenes)
    assert not stimuli.unmet
    assert set(stimuli.shown) == set(manifest.by_key)


def test_the_photographs_of_a_pool_are_cropped_and_made(shared_data: Path, study: Path) -> None:
    if not (shared_data / "train" / "bsds300_train").is_dir():
        pytest.skip("SREVAL_DATA holds no train/bsds300_train")
    images = {"methods": ["hr"], "datasets": [{"name": "BSDS300-train", "images": []}]}
    design = make_design(images=images)
    first = sorted((shared_data / "train" / "bsds300_train").glob("*.jpg"))[:2]
    part = {"name": "BSDS300-train", "images": [path.stem for path in first]}
    design = make_design(images={"methods": ["nearest", "hr"], "datasets": [part]})
    manifest = freeze(study, design, [])
    assert {(s.dataset, s.width % 4, s.height % 4) for s in manifest.stimuli} == {
        ("BSDS300-train", 0, 0)
    }
    assert {s.scene for s in manifest.stimuli} == {f"BSDS300-train/{p.stem}" for p in first}


def test_a_frozen_study_is_replaced_only_on_demand(photos: Path, study: Path) -> None:
    design = make_design(images={"methods": ["hr"], "datasets": [{"name": "photos"}]})
    first = freeze(study, design, [])
    with pytest.raises(DataError, match=r"frozen already.*again=True"):
        freeze(study, design, [])
    assert freeze(study, design, [], again=True) == first


def test_progress_counts_every_version(photos: Path, study: Path) -> None:
    told: list[tuple[int, int]] = []
    design = make_design(images={"methods": ["nearest", "hr"], "datasets": [{"name": "photos"}]})
    freeze(study, design, [], progress=lambda *numbers: told.append(numbers))
    assert told == [(2, 6), (4, 6), (6, 6)]


DESIGN = """
name = "{name}"
title = "T"
instructions = "I"
raters = 2
seed = 1
[images]
methods = {methods}
datasets = [{{ name = "photos" }}]
[consent]
version = "1"
text = "Yes"
"""


def write_design(folder: Path, methods: tuple[str, ...] = METHODS) -> StudyDesign:
    folder.mkdir(parents=True, exist_ok=True)
    content = DESIGN.format(name=folder.name, methods=json.dumps(methods))
    (folder / "study.toml").write_text(content)
    return load_design(folder)


@pytest.mark.slow
def test_a_killed_freeze_leaves_no_manifest_or_a_whole_one(photos: Path, study: Path) -> None:
    for number in range(12):
        image = np.random.default_rng(number).integers(0, 256, (120, 120, 3), dtype=np.uint8)
        write_png(photos / f"more_{number}.png", image)
    design = write_design(study)
    command = [sys.executable, "-m", "sreval", "study", "freeze", str(study)]
    seen: set[str] = set()
    for files in (1, 44):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(study.glob("stimuli/*.png"))) < files:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.add("whole" if (study / MANIFEST).exists() else "none")
        assert not (study / MANIFEST).exists() or isinstance(load_manifest(study), Manifest)
    assert "none" in seen
    assert len(freeze(study, design, [], again=True).stimuli) == 45


def test_the_command_freezes_and_prints_the_manifest(
    photos: Path, tmp_path: Path, sreval: Callable[..., Any]
) -> None:
    write_design(tmp_path / "studies" / "mine", (*METHODS, "srgan"))
    ran = sreval("study", "freeze", "mine")
    assert ran.code == 1
    assert "srgan on photos" in ran.err
    ran = sreval("study", "freeze", "mine", "--stand-ins", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    manifest = load_manifest(tmp_path / "studies" / "mine")
    assert summary["stimuli"] == len(manifest.stimuli) == 12
    assert summary["sha256"] == manifest.sha256 == sha256_file(Path(summary["manifest"]))
    assert summary["stand_ins"] == ["srgan"]


def test_stimuli_stay_once_a_rater_has_begun(
    photos: Path, tmp_path: Path, sreval: Callable[..., Any]
) -> None:
    folder = tmp_path / "studies" / "mine"
    design = write_design(folder)
    assert sreval("study", "freeze", "mine").code == 0
    before = (folder / MANIFEST).read_bytes()
    store = open_store(str(folder / "votes.sqlite"), create=True)
    Studies(store).register(design, load_manifest(folder))
    assert sreval("study", "freeze", "mine", "--again").code == 0
    _, token = Links(store, "mine").create("personal")
    enrolment.enrol(store, token, load_manifest(folder))
    store.dispose()
    write_png(photos / "ant.png", read_image(photos / "ant.png").pixels[::-1])
    ran = sreval("study", "freeze", "mine", "--again")
    assert ran.code == 1
    assert "Raters have begun study 'mine'" in ran.err
    assert (folder / MANIFEST).read_bytes() == before


def test_a_packaged_study_is_never_written_to(
    sreval: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photos: Path
) -> None:
    write_design(tmp_path / "package" / "brought")
    monkeypatch.setattr("sreval.content.packaged", lambda kind: tmp_path / "package")
    ran = sreval("study", "freeze", "brought")
    assert ran.code == 2
    assert "sreval study new mine --from brought" in ran.err
    assert [path.name for path in (tmp_path / "package" / "brought").iterdir()] == ["study.toml"]


def test_a_damaged_image_ends_the_freeze_with_its_name(photos: Path, study: Path) -> None:
    (photos / "ant.png").write_bytes((photos / "ant.png").read_bytes()[:500])
    design = make_design(images={"methods": ["hr"], "datasets": [{"name": "photos"}]})
    with pytest.raises(SrevalError, match=r"ant\.png is damaged"):
        freeze(study, design, [])


def take_apart(png: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file; its signature and every CRC are checked."""
    stream = io.BytesIO(png)
    assert stream.read(8) == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    chunks = []
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        body = stream.read(length)
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + body)
        chunks.append((kind, body))
    return chunks


def unfiltered(png: bytes) -> UInt8:
    """The pixels by the filters of PNG's clause 9, written out: a decoder of our own."""
    parts = dict(take_apart(png))
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    data = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, -1)
    above = [0] * (3 * width)
    rows = []
    for line in data.astype(int).tolist():
        kind, row = line[0], line[1:]
        for x in range(len(row)):
            a, b = (row[x - 3] if x > 2 else 0), above[x]
            c = above[x - 3] if x > 2 else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, nearest)[kind]) % 256
        rows.append(row)
        above = row
    return np.array(rows, dtype=np.uint8).reshape(height, width, 3)


@pytest.fixture
def versions(photograph: UInt8) -> list[UInt8]:
    noise = np.random.default_rng(0).integers(0, 256, photograph.shape, dtype=np.uint8)
    return [photograph, noise, np.zeros_like(photograph), photograph // 32 * 32]


def test_three_decoders_give_the_pixels(versions: list[UInt8]) -> None:
    for version, png in zip(versions, encode_versions(versions), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), version)
        np.testing.assert_array_equal(imagecodecs.png_decode(png), version)
        np.testing.assert_array_equal(unfiltered(png), version)


def test_length_header_and_chunks_are_the_same(versions: list[UInt8]) -> None:
    files = encode_versions(versions)
    assert len({len(png) for png in files}) == 1
    assert len({png[:33] for png in files}) == 1
    kinds = {tuple(kind for kind, _ in take_apart(png)) for png in files}
    assert kinds == {(b"IHDR", b"IDAT", b"paDD", b"IEND")}
    assert len({len(zlib.compress(png)) for png in files}) > 1  # they do hold different pixels


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(arrays(np.uint8, (n, 7, 3)), min_size=1, max_size=4)
    )
)
def test_any_pixels_come_back_at_one_length(versions: list[UInt8]) -> None:
    files = encode_versions(versions)
    assert len({len(png) for png in files}) == 1
    for version, png in zip(versions, files, strict=True):
        np.testing.assert_array_equal(imagecodecs.png_decode(png), version)


def test_large_images_have_one_idat_too() -> None:
    large = np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    kinds = [kind for kind, _ in take_apart(encode_versions([large])[0])]
    assert kinds.count(b"IDAT") == 1


def test_padding_can_be_compressed_by_nothing_on_the_way(versions: list[UInt8]) -> None:
    padding = dict(take_apart(encode_versions(versions)[2]))[b"paDD"]
    assert len(padding) > 10_000
    assert len(zlib.compress(padding, 9)) >= len(padding)


def test_the_same_versions_give_the_same_files(versions: list[UInt8]) -> None:
    assert encode_versions(versions) == encode_versions([v.copy() for v in versions])


def test_grey_becomes_colour_with_three_equal_channels(photograph: UInt8) -> None:
    colour = as_colour(photograph[..., 0])
    assert colour.shape == photograph.shape
    assert all(np.array_equal(colour[..., c], photograph[..., 0]) for c in range(3))
    assert as_colour(photograph) is photograph


@pytest.mark.parametrize("field", ["dataset", "scene", "method", "sha256", "width", "stand_in"])
@pytest.mark.parametrize("value", [None, [], {}])
def test_a_manifest_of_wrong_types_is_refused_by_its_field(
    tmp_path: Path, field: str, value: object
) -> None:
    stimulus = Stimulus("Set5", "a", "a", "hr", "0" * 64, "0" * 64, 4, 4)
    content = json.loads(Manifest((stimulus,)).as_json())
    content["stimuli"][0][field] = value
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"manifest\.json is damaged \(stimuli\.0\.{field} = "):
        load_manifest(tmp_path)
    content["stimuli"][0] = {"stand_inn": True} | asdict(stimulus)
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(DataError, match="it is unknown"):
        load_manifest(tmp_path)


def test_a_study_of_lr_images_shows_what_was_made_of_them_and_no_original(
    photos: Path, study: Path, tmp_path: Path
) -> None:
    """Nor is a folder of the data set's name taken for originals."""
    asked: dict[str, Any] = {
        "methods": ["nearest", "bicubic"],
        "progress": False,
        "out": tmp_path / "out",
    }
    spread = sreval.metric(np.std, name="spread", reference=False)
    sreval.benchmark(datasets=f"lr={photos}", metrics=spread, **asked)
    images = {"methods": ["nearest", "bicubic"], "datasets": [{"name": "photos"}]}
    design = make_design(images=images)
    manifest = freeze(study, design, [tmp_path / "out"])
    with (tmp_path / "out" / "results.csv").open() as file:
        scored = {(row["image"], row["method"]): row["sr_sha256"] for row in csv.DictReader(file)}
    assert {(s.image, s.method): s.image_sha256 for s in manifest.stimuli} == scored
    assert not check(design, None, available(design, [tmp_path / "out"])).missing

    images["methods"] = ["bicubic", "mine"]
    for stand_ins in (False, True):
        with pytest.raises(DataError, match="3 versions are missing: mine on photos") as refused:
            freeze(
                study,
                make_design(images=images),
                [tmp_path / "out"],
                stand_ins=stand_ins,
                again=True,
            )
        assert "stand" not in refused.value.remedy  # there is nothing to degrade

    images["methods"] = ["bicubic", "hr"]
    design = make_design(images=images)
    checked = check(design, None, available(design, [tmp_path / "out"]))
    assert "photos has LR images alone" in checked.problems[0].what
    assert not checked.missing
    with pytest.raises(UsageError, match="photos has LR images alone, so there is no hr to show"):
        freeze(study, design, [tmp_path / "out"], again=True)


def test_the_source_of_a_data_set_is_what_the_benchmark_was_given(
    photos: Path, study: Path, tmp_path: Path
) -> None:
    """A bare folder's name means originals, as there, and that is said."""

    def made(**part: str) -> dict[str, tuple[int, int]]:
        images = {"methods": ["nearest"], "datasets": [part]}
        frozen = freeze(study, make_design(images=images), [], again=True)
        return {s.image: (s.width, s.height) for s in frozen.stimuli if s.dataset == "photos"}

    def notes(**part: str) -> tuple[str, ...]:
        design = make_design(images={"methods": ["nearest"], "datasets": [part]})
        return available(design).notes

    whole = {p.stem: read_image(p).pixels.shape[1::-1] for p in photos.iterdir()}
    assert made(name="photos", source="lr=photos") == {
        name: (4 * width, 4 * height) for name, (width, height) in whole.items()
    }
    assert not notes(name="photos", source="lr=photos")
    assert made(name="photos") == {
        name: (width // 4 * 4, height // 4 * 4) for name, (width, height) in whole.items()
    }
    assert f"photos: {photos} is taken for originals" in notes(name="photos")[0]

    for image in photos.iterdir():
        pixels = read_image(image).pixels
        whole_blocks = pixels[: len(pixels) // 4 * 4, : pixels.shape[1] // 4 * 4]
        low = imresize(whole_blocks, 1 / 4).astype(np.uint8)
        write_png(tmp_path / "LR" / "walk" / image.name, low)
        write_png(tmp_path / "HR" / "walk" / image.name, pixels)
    frames = made(name="photos", source="hr=HR,lr=LR,name=other")
    assert frames == {f"walk/{name}": size for name, size in made(name="photos").items()}

    with pytest.raises(UsageError, match="'lr=photos' says where a data set is") as refused:
        made(name="lr=photos")
    assert 'name = "photos" and, below it, source = "lr=photos"' in refused.value.remedy
