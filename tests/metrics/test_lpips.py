"""LPIPS through the authors' package."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import socket
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file

from sreval.errors import DataError, ImageError
from sreval.images.io import read_image
from sreval.metrics import scorer
from sreval.metrics.lpips import TRUNKS, lpips
from sreval.metrics.protocol import PROTOCOLS
from sreval.metrics.scorer import Reference


@pytest.mark.data
def test_the_packages_own_example(shared_data: Path, shared_weights: Path) -> None:
    reference, near, far = (
        read_image(shared_data / "lpips" / f"ex_{name}.png").pixels for name in ("ref", "p1", "p0")
    )
    assert lpips(reference, far) == pytest.approx(0.722, abs=5e-4)
    assert lpips(reference, near) == pytest.approx(0.138, abs=5e-4)


@pytest.mark.data
def test_identity_grey_and_the_global_random_state(
    photograph: npt.NDArray[np.uint8], shared_weights: Path
) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert lpips(photograph, photograph) == 0
    assert torch.equal(torch.get_rng_state(), before)
    grey = photograph[..., 0]
    other = np.roll(grey, 2)
    first, second = (np.stack([plane] * 3, axis=-1) for plane in (grey, other))
    assert lpips(grey, other) == pytest.approx(lpips(first, second), abs=1e-7)


@pytest.mark.data
def test_one_value_under_every_protocol(
    photograph: npt.NDArray[np.uint8], shared_weights: Path
) -> None:
    scores = Reference(photograph).score(
        np.roll(photograph, 1), list(PROTOCOLS.values()), ["lpips"]
    )
    assert len(scores) == 3
    assert len({one.value for one in scores}) == 1


@pytest.mark.data
@pytest.mark.parametrize("kept", [2**28, 0])
def test_values_are_the_packages_own_to_the_bit_whichever_image_came_first(
    photograph: npt.NDArray[np.uint8],
    shared_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: int,
) -> None:
    monkeypatch.setattr(scorer, "_KEPT", kept)
    reference = Reference(photograph, 4)
    model = TRUNKS["alex"].load()
    for shift in (1, 2, 1):
        image = np.roll(photograph, shift)
        (score,) = reference.score(image, [PROTOCOLS["rgb"]], ["lpips"])
        with torch.inference_mode():
            pair = [
                torch.from_numpy(one[4:-4, 4:-4].copy()).permute(2, 0, 1)[None] / 127.5 - 1
                for one in (photograph, image)
            ]
            assert score.value == float(model(*pair))


@pytest.mark.data
def test_an_image_the_trunk_cannot_take_is_refused(shared_weights: Path) -> None:
    small = np.zeros((30, 64, 3), np.uint8)
    with pytest.raises(ImageError, match=r"64x30 pixels .* at least 31x31"):
        lpips(small, small)
    large = np.zeros((31, 64, 3), np.uint8)
    assert lpips(large, large) == 0


def test_missing_weights_say_which_command_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(DataError, match="sreval data fetch lpips-vgg") as error:
        TRUNKS["vgg"].file()
    assert str(tmp_path / "vgg16_features_torchvision.safetensors") in str(error.value)


def test_damaged_weights_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: npt.NDArray[np.uint8]
) -> None:
    file = tmp_path / "alexnet_features_torchvision.safetensors"
    file.write_bytes(b"not weights")
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path))
    with pytest.raises(DataError, match=f"{file} is damaged"):
        lpips(photograph, photograph)


def test_torchvision_s_own_file_is_taken_from_the_weights_folder_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_weights: Path
) -> None:
    state = load_file(shared_weights / TRUNKS["alex"].others[0])
    torch.save({**state, "classifier.6.bias": torch.zeros(1000)}, tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    file = tmp_path / f"alexnet-owt-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    monkeypatch.setitem(
        TRUNKS,
        "alex",
        dataclasses.replace(TRUNKS["alex"], url=f"https://download.pytorch.org/models/{file.name}"),
    )
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path))
    file.write_bytes(data[:-1])
    black, white = (np.full((64, 64, 3), value, np.uint8) for value in (0, 255))
    with pytest.raises(
        DataError, match=rf"{file} is damaged: its SHA-256 .* Remove it, and download it"
    ):
        lpips(black, white)
    file.write_bytes(data)
    from_torchvision = lpips(black, white)
    monkeypatch.setenv("SREVAL_WEIGHTS", str(shared_weights))
    assert from_torchvision == lpips(black, white) > 0


def test_without_a_network_the_remedy_names_a_file_that_can_be_had_and_where_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    for net in ("alex", "vgg"):
        with pytest.raises(DataError, match=r"https://download\.pytorch\.org/") as error:
            TRUNKS[net].download()
        name = re.findall(r"models/(\S+\.pth)", error.value.message)[0]
        (folder,) = re.findall(r"put it into (.*)\.", error.value.remedy)
        Path(folder).mkdir(exist_ok=True)
        (Path(folder) / name).touch()
        assert TRUNKS[net].file() == Path(folder) / name
