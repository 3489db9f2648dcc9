"""What is carried to a machine without a network fits, and is what it was made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from benchmarks.carry import copy_weights, download_wheels, pack_photographs, weigh
from sreval.images.io import read_image, write_png
from sreval.metrics.lpips import TRUNKS
from sreval.networks.weights import read_tensors
from sreval.training.licences import count_licences
from sreval.training.packs import open_pack


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Thirteen pieces of a photograph, and their list beside them."""
    folder = tmp_path / "open"
    image = read_image(Path(skimage.data.__file__).parent / "coffee.png").pixels
    lines = ["file,licence"]
    for place in range(13):
        left = 30 * place
        write_png(
            folder / f"a.{place:02}_cup.png", np.ascontiguousarray(image[:180, left:][:, :200])
        )
        lines.append(f"a.{place:02}_cup.png,CC0")
    (tmp_path / "open.csv").write_text("\n".join(lines))
    return folder


def test_photographs_fill_the_room_and_no_more(photographs: Path, tmp_path: Path) -> None:
    room = weigh(photographs) // 4
    quality = pack_photographs(photographs, tmp_path / "carried", room)
    assert 40 < quality < 100
    assert 0.8 * room < weigh(tmp_path / "carried") <= room
    made = sorted((tmp_path / "carried").glob("*.webp"))
    assert [path.stem for path in made] == sorted(path.stem for path in photographs.iterdir())
    for path in made:
        original = read_image(photographs / f"{path.stem}.png").pixels.astype(float)
        error = np.abs(read_image(path).pixels - original).mean()
        assert error < 6, path


def test_a_pack_of_the_copies_knows_their_licences(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    pack_photographs(photographs, tmp_path / "carried", 10**6)
    pack = open_pack([tmp_path / "carried"], 4)
    assert len(pack.photographs) == 13
    files = [photograph.file for photograph in pack.photographs]
    assert count_licences([tmp_path / "carried"], files) == {"CC0": 13}


def test_what_cannot_fit_is_said(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="13 photographs don't fit into"):
        pack_photographs(photographs, tmp_path / "carried", 3000)


VGG = "vgg19_features_caffe_fp16.safetensors"
ALEX = "alexnet_features_torchvision.safetensors"


def test_weights_are_copied_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    for name in (VGG, ALEX, "other.safetensors"):
        (tmp_path / "weights" / name).write_bytes(name.encode())
    copy_weights(tmp_path / "to")
    found = {path.name: path.read_bytes() for path in (tmp_path / "to").iterdir()}
    assert found == {name: name.encode() for name in (VGG, ALEX)}


def test_of_torchvision_s_file_the_convolutions_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / VGG).touch()
    (tmp_path / "checkpoints").mkdir()
    state = {"features.0.weight": torch.rand(2, 3), "classifier.1.weight": torch.rand(9, 9)}
    torch.save(state, tmp_path / "checkpoints" / TRUNKS["alex"].file_name)
    copy_weights(tmp_path / "to")
    tensors, _ = read_tensors(tmp_path / "to" / ALEX)
    assert list(tensors) == ["features.0.weight"]
    assert torch.equal(tensors["features.0.weight"], state["features.0.weight"])


def test_a_missing_trunk_is_said_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.content.weights_dirs", lambda: [tmp_path])
    with pytest.raises(SystemExit, match="sreval data fetch vgg19"):
        copy_weights(tmp_path / "to")


def test_wheels_are_asked_for_by_the_other_machine_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: asked.append(command))
    download_wheels(tmp_path / "wheels")
    assert [words[-1] for words in asked] == ["pydantic", "lpips"]
    for words in asked:
        assert words[words.index("--python-version") + 1] == "3.12"
        assert "--only-binary=:all:" in words
    assert ["--no-deps" in words for words in asked] == [False, True]
