"""A trained network as a method of the benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from sreval.errors import UsageError, WeightsError
from sreval.files import sha256_file
from sreval.images.datasets import Dataset, Item
from sreval.images.resize import downscale
from sreval.methods import Running, make_upscaler
from sreval.networks.architecture import SRResNetArchitecture
from sreval.networks.weights import Provenance, read_tensors, serialise, write_weights

UInt8 = npt.NDArray[np.uint8]
ITEM = Item("demo", "chelsea", "chelsea", "demo/chelsea", Path("chelsea.png"), None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SRResNet, untrained but whole, as a model of its own folder."""
    path = tmp_path_factory.mktemp("models") / "small" / "weights.safetensors"
    architecture = SRResNetArchitecture(depth=1)
    torch.manual_seed(0)
    provenance = Provenance(
        architecture=architecture,
        recipe="small",
        recipe_sha256="0" * 64,
        data_sha256="0" * 64,
        step=0,
        code_version="0",
    )
    write_weights(path, architecture.build(), provenance)
    return path


def test_a_weight_file_its_folder_and_its_name_are_one_method(
    weights: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_HOME", str(weights.parents[2]))
    (weights.parents[2] / "models").symlink_to(weights.parents[1])
    low = downscale(photograph, 4)
    made = []
    for spec in (str(weights), str(weights.parent), "small"):
        method = make_upscaler(spec)
        assert (method.name, method.weights_sha256) == ("small", sha256_file(weights))
        made.append(method.upscale(low, 4, ITEM))
    assert made[0].shape == (96, 120, 3)
    assert all(np.array_equal(made[0], other) for other in made[1:])


def test_tiles_change_at_most_a_rounding(weights: Path, photograph: UInt8) -> None:
    low = downscale(photograph, 4)
    whole = make_upscaler(str(weights)).upscale(low, 4, ITEM)
    tiled = make_upscaler(str(weights), Running(tile=16)).upscale(low, 4, ITEM)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_grey_stays_grey(weights: Path, photograph: UInt8) -> None:
    low = downscale(photograph[..., 0], 4)
    assert make_upscaler(str(weights)).upscale(low, 4, ITEM).shape == (96, 120)


def test_a_network_is_its_weights_and_settings_whatever_their_name(
    weights: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "other" / "copy.safetensors"
    copy.parent.mkdir()
    copy.write_bytes(weights.read_bytes())
    assert make_upscaler(str(weights)).sha256 == make_upscaler(f"ours={copy}").sha256
    ways = (Running(), Running(precision="bf16"), Running(tile=16), Running(tile=32))
    assert len({make_upscaler(str(weights), way).sha256 for way in ways}) == len(ways)
    tensors, metadata = read_tensors(weights)
    tensors["output.weight"] *= -1
    copy.write_bytes(serialise(tensors, metadata))
    assert make_upscaler(str(weights)).sha256 != make_upscaler(str(copy)).sha256


def test_another_scale_and_missing_weights_are_refused(weights: Path, planned: str) -> None:
    with pytest.raises(UsageError, match="small enlarges 4 times, but demo has scale 2"):
        make_upscaler(str(weights)).prepare(Dataset("demo", 2, (ITEM,)))
    with pytest.raises(WeightsError, match="No weight file"):
        make_upscaler(str(weights.parent / "other.safetensors"))
    with pytest.raises(WeightsError, match="planned has a recipe but no weights yet"):
        make_upscaler(planned)
