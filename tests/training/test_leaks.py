"""Test images among the photographs: what only looks like one, and what an owner may say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from sreval.errors import DataError
from sreval.files import sha256_file
from sreval.images.io import read_image, write_png
from sreval.images.known import KnownFile
from sreval.training.leaks import fingerprint, refuse_leaks
from sreval.training.run import Request, train

Run = Callable[..., Any]
RECIPE = """
name = "tiny"
about = "ESPCN, for a test"
choices = ["Everything is small."]
network.name = "espcn"
loss.mse = 1.0
data = { crop = 32, batch = 3, kept_aside = 0 }
run = { log_every = 1, dataset = "demo", validate_every = 2 }
optimisation.updates = 2
[profiles.paper]
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE)
    return str(folder)


@pytest.fixture
def tested(tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a whole Set5 of one image, one of the photographs made smaller."""
    place = tmp_path / "data" / "eval" / "Set5"
    image = Image.fromarray(read_image(photographs / "coffee-a.png").pixels)
    for folder, size in (("HR", (100, 124)), ("LR_x4", (25, 31))):
        write_png(place / folder / "img_001.png", np.asarray(image.resize(size)))
    files = tuple(
        KnownFile("Set5", f"eval/Set5/{inside}", path.stat().st_size, sha256_file(path))
        for inside in ("HR/img_001.png", "LR_x4/img_001.png")
        for path in [place / inside]
    )
    monkeypatch.setattr(
        "sreval.images.known.known_files", lambda name: files if name == "Set5" else ()
    )
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "data"))
    return place


def test_photographs_that_are_light_at_the_same_places_pass() -> None:
    # one broad layout under two textures that have nothing to do with each other
    random = np.random.default_rng(5)
    layout = gaussian_filter(random.normal(0, 4000, (200, 260)), 40)
    views = [
        np.clip(128 + layout + gaussian_filter(random.normal(0, 18, layout.shape), 1), 0, 255)
        for _ in range(2)
    ]
    ours, theirs = (
        fingerprint(name, name, view.astype(np.uint8))
        for name, view in zip("ab", views, strict=True)
    )
    assert float(ours.thumbnail @ theirs.thumbnail) > 0.97
    assert refuse_leaks([ours], [theirs]) == []


@pytest.mark.parametrize("name", ["coffee-a.png", "chelsea-b.png", "astronaut-a.png"])
def test_poor_copies_are_still_found(photographs: Path, tmp_path: Path, name: str) -> None:
    image = read_image(photographs / name).pixels
    small = Image.fromarray(image).resize((image.shape[1] // 2, image.shape[0] // 2))
    small.save(tmp_path / "small.jpg", quality=10)
    copy = fingerprint("small.jpg", "x", read_image(tmp_path / "small.jpg").pixels)
    with pytest.raises(DataError, match=f"small.jpg is {name}"):
        refuse_leaks([copy], [fingerprint(name, "y", image)])


def test_what_the_message_says_lets_a_photograph_pass_and_stands_on_the_card(
    sreval: Run, model: str, tested: Path, photographs: Path, tmp_path: Path
) -> None:
    command = ("train", model, "--data", photographs, "--device", "cpu", "--out", tmp_path / "run")
    ran = sreval(*command)
    assert ran.code == 1
    (appeal,) = re.findall(r"only looks like a test image, add (.*)\.\n", ran.err)
    assert appeal == "--different coffee-a.png"
    ran = sreval(*command, *shlex.split(appeal))
    assert ran.code == 0, ran.err
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    (pair,) = facts["told_apart"]
    assert pair.startswith("coffee-a.png is Set5/img_001 (baby) (correlation 0.")
    assert f"Different, as --different says: {pair}" in ran.err
    ran = sreval("models", "publish", tmp_path / "run", "--to", tmp_path / "models", "--replace")
    assert ran.code == 0, ran.err
    assert f"Different, as the trainer says: {pair}." in (Path(model) / "card.md").read_text()


def test_a_resumed_run_keeps_what_was_said_to_differ() -> None:
    request = Request("m", [Path("a")], different=["one.png", "two b.png"])
    words = shlex.split(request.resume_command(Path("out")))
    assert [words[i + 1] for i, word in enumerate(words) if word == "--different"] == [
        "one.png",
        "two b.png",
    ]


def test_a_file_of_the_test_set_itself_has_no_appeal(
    sreval: Run, model: str, tested: Path, photographs: Path, tmp_path: Path
) -> None:
    data = tmp_path / "photographs"
    shutil.copytree(photographs, data)
    (data / "coffee-a.png").unlink()
    shutil.copy(tested / "HR" / "img_001.png", data / "mine.png")
    command = ("train", model, "--data", data, "--out", tmp_path / "run")
    ran = sreval(*command, "--different", "mine.png")
    assert ran.code == 1
    assert "mine.png is Set5/img_001 (baby) (same file)" in ran.err
    assert "--different" not in ran.err
    ran = sreval(*command, "--different", "another.png")
    assert (ran.code, "'another.png'" in ran.err) == (2, True)


def test_half_a_set_counts_as_absent_and_is_named(
    sreval: Run, model: str, tested: Path, photographs: Path, tmp_path: Path
) -> None:
    (tested / "LR_x4" / "img_001.png").unlink()
    ran = sreval("train", model, "--data", photographs, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert f"Set5 (incomplete: {tested / 'LR_x4' / 'img_001.png'} is missing)" in ran.err
    assert "hashes aren't known, not compared: DIV2K-valid, Manga109, RealSR\n" in ran.err


@pytest.mark.parametrize(
    ("name", "path", "there"),
    [
        ("DIV2K-valid", "DIV2K_valid_HR/0801.png", "DIV2K-valid/0801"),
        ("Manga109", "HR/page 1.png", "Manga109/page 1"),
        ("RealSR", "Nikon/Test/2/Nikon_007_HR.png", "RealSR/Nikon_007_HR"),
    ],
)
def test_images_of_sets_without_checksums_that_lie_here_are_refused(
    sreval: Run,
    model: str,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    path: str,
    there: str,
) -> None:
    place = tmp_path / "data" / "eval" / name / path
    place.parent.mkdir(parents=True)
    Image.open(photographs / "coffee-a.png").resize((100, 124)).save(place)
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "data"))
    ran = sreval("train", model, "--data", photographs, "--out", tmp_path / "run")
    assert ran.code == 1
    assert f"coffee-a.png is {there} (correlation 0." in ran.err


def test_empty_folders_of_a_set_do_not_stop_a_training(
    model: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scale in ("", "_x2", "_x3"):
        (tmp_path / "data" / "eval" / "Set5" / f"HR{scale}").mkdir(parents=True)
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "data"))
    train(Request(model, [photographs], tmp_path / "run", device="cpu"))
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "Set5" in facts["by_hash_alone"]
