"""Weight files come back as they were written, and whatever doesn't match is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sreval.errors import WeightsError
from sreval.networks.architecture import ESPCNArchitecture, SRResNetArchitecture
from sreval.networks.weights import (
    Provenance,
    load_network,
    read_provenance,
    read_tensors,
    serialise,
    write_weights,
)


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        architecture=SRResNetArchitecture(depth=1, channels=8),
        recipe="srresnet-mse",
        recipe_sha256="a" * 64,
        data_sha256="b" * 64,
        step=7,
        code_version="0",
        notes=("moved once",),
    )


@pytest.fixture
def written(tmp_path: Path, provenance: Provenance) -> Path:
    path = tmp_path / "weights.safetensors"
    write_weights(path, provenance.architecture.build(), provenance)
    return path


def rewrite(path: Path, **changes: str) -> None:
    tensors, metadata = read_tensors(path)
    path.write_bytes(serialise(tensors, metadata | changes))


def test_a_network_comes_back_as_it_was_written(tmp_path: Path, provenance: Provenance) -> None:
    network = provenance.architecture.build().eval()
    path = tmp_path / "weights.safetensors"
    write_weights(path, network, provenance)
    loaded, found = load_network(path, provenance.architecture)
    assert found == provenance == read_provenance(path)
    low = torch.rand(1, 3, 8, 8)
    assert torch.equal(loaded(low), network(low))
    assert not loaded.training


def test_the_same_tensors_are_the_same_bytes(provenance: Provenance) -> None:
    tensors = provenance.architecture.build().state_dict()
    metadata = {f"field {n}": "x" * n for n in range(20)}
    assert len({serialise(tensors, metadata) for _ in range(20)}) == 1


def test_half_precision_keeps_vectors_whole(tmp_path: Path, provenance: Provenance) -> None:
    network = provenance.architecture.build()
    network.tail[1].running_var.fill_(1e-9)  # type: ignore[index,union-attr]
    path = tmp_path / "weights.safetensors"
    write_weights(path, network, provenance, "fp16")
    loaded, _ = load_network(path)
    assert float(loaded.tail[1].running_var[0]) == pytest.approx(1e-9)  # type: ignore[index,union-attr]
    assert torch.equal(loaded.output.weight, network.output.weight.half().float())  # type: ignore[union-attr,arg-type]


def test_values_that_are_not_finite_are_never_written(
    tmp_path: Path, provenance: Provenance
) -> None:
    network = provenance.architecture.build()
    network.output.weight.data[0, 0, 0, 0] = 1e6  # type: ignore[union-attr,operator]
    with pytest.raises(WeightsError, match=r"output\.weight"):
        write_weights(tmp_path / "w.safetensors", network, provenance, "fp16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": "other"}, "'format'"),
        ({"scale": "2"}, "'scale'"),
        ({"output_range": "0..255"}, "'output_range'"),
        ({"step": "many"}, "many|step|Expecting"),
        ({"architecture": json.dumps({"name": "srresnet", "deep": 3})}, "deep"),
        ({"architecture": json.dumps({"name": "unet"})}, "architecture"),
        ({"architecture": json.dumps({"name": "srresnet", "depth": 2, "channels": 8})}, "tensor"),
        ({"architecture": json.dumps({"name": "srresnet", "depth": 1})}, "shape"),
    ],
)
def test_metadata_that_does_not_match_is_refused_by_name(
    written: Path, change: dict[str, str], named: str
) -> None:
    rewrite(written, **change)
    with pytest.raises(WeightsError, match=named) as caught:
        load_network(written)
    assert str(written) in str(caught.value)


def test_another_architecture_than_asked_is_refused_by_field(written: Path) -> None:
    with pytest.raises(WeightsError, match=r"'depth' is 1, asked for is 16"):
        load_network(written, SRResNetArchitecture(channels=8))
    with pytest.raises(WeightsError, match="field"):
        load_network(written, ESPCNArchitecture())


def test_a_missing_or_damaged_file_is_named(written: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.safetensors"):
        load_network(tmp_path / "nothing.safetensors")
    written.write_bytes(written.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="safetensors"):
        load_network(written)
