"""Weight files come back as they were written, and whatever doesn't match is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sreval import content
from sreval.errors import WeightsError
from sreval.files import sha256_file
from sreval.networks.architecture import ESPCNArchitecture, SRResNetArchitecture
from sreval.networks.weights import (
    Provenance,
    load_model,
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
    network.output.weight.data[0, 0, 0, 0] = torch.nan  # type: ignore[union-attr,operator]
    with pytest.raises(WeightsError, match=r"output\.weight"):
        write_weights(tmp_path / "w.safetensors", network, provenance, "fp16")
    assert list(tmp_path.iterdir()) == []


def test_half_precision_is_for_what_is_trained_and_fits(
    tmp_path: Path, provenance: Provenance
) -> None:
    network: Any = provenance.architecture.build()
    for kernel, value in ((network.output.weight, 1e5), (network.tail[0].weight, 3e-8)):
        nn.init.constant_(kernel, value)
    network.head[0].weight.requires_grad_(False)
    network.register_buffer("mask", torch.full((2, 2), 1e5))
    network.register_buffer("third", torch.full((2, 2), 1 / 3))
    path = tmp_path / "weights.safetensors"
    write_weights(path, network, provenance, "fp16")
    tensors, _ = read_tensors(path)
    halves = {name for name, tensor in tensors.items() if tensor.dtype == torch.float16}
    kernels = {name for name, tensor in tensors.items() if tensor.ndim > 1}
    whole = {"output.weight", "tail.0.weight", "head.0.weight", "mask", "third"}
    assert whole < kernels
    assert halves == kernels - whole
    for name in whole:
        assert torch.equal(tensors[name], network.state_dict()[name])


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
    with pytest.raises(WeightsError, match=r"'depth' is 1, not 16"):
        load_network(written, SRResNetArchitecture(channels=8))
    with pytest.raises(WeightsError, match="field"):
        load_network(written, ESPCNArchitecture())


def test_a_missing_or_damaged_file_is_named(written: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nothing\.safetensors"):
        load_network(tmp_path / "nothing.safetensors")
    written.write_bytes(written.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="safetensors"):
        load_network(written)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_any_flipped_bit_of_what_sreval_wrote_is_seen(written: Path) -> None:
    data = written.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    whole, _ = load_network(written)
    bits = [*range(0, 8 * header, 37), *range(8 * header, 8 * len(data), 8 * len(data) // 97)]
    for bit in bits:
        written.write_bytes(flipped(data, bit))
        try:
            found, _ = load_network(written)
        except WeightsError:
            continue
        # the name of the checksum's own field was hit: the weights are right
        assert bit < 8 * header
        for a, b in zip(whole.parameters(), found.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_damaged_tensor_is_named_as_damage(written: Path) -> None:
    data = written.read_bytes()
    written.write_bytes(flipped(data, 8 * len(data) - 8))
    with pytest.raises(WeightsError, match=r"is damaged: .*SHA-256.* Get it again"):
        load_network(written)
    written.write_bytes(data)
    load_network(written)


def without_checksum(path: Path) -> None:
    """Write the file as versions before did, and as other programs do."""
    tensors, metadata = read_tensors(path)
    save_file(tensors, path, metadata)


def test_weights_without_a_recorded_checksum_load(written: Path) -> None:
    whole, provenance = load_network(written)
    without_checksum(written)
    found, same, sha256 = load_model(written)
    assert same == provenance
    assert sha256 == sha256_file(written)
    for a, b in zip(whole.parameters(), found.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_card_s_checksum_is_checked_and_its_remedy_works(written: Path) -> None:
    without_checksum(written)
    data = written.read_bytes()
    card = written.with_name("card.md")
    card.write_text(
        f"| Weights | fp16, 0.1 MB, SHA-256 {sha256_file(written)} |\n\nData: {'0' * 64}\n"
    )
    load_model(written)
    written.write_bytes(flipped(data, 8 * len(data) - 8))
    with pytest.raises(WeightsError, match=r"card\.md beside it says .* remove .*card\.md"):
        load_model(written)
    card.unlink()
    load_model(written)
    written.write_bytes(data)
    card.write_text("| Weights | none yet |\n")
    load_model(written)


def test_a_file_that_claims_a_huge_network_costs_no_memory(tmp_path: Path) -> None:
    """4,096 feature maps of 1,024 blocks would fill 1.2 TB."""
    whole = content.packaged("models") / "srresnet-mse" / "weights.safetensors"
    tensors, metadata = read_tensors(whole)
    huge = json.loads(metadata["architecture"]) | {"channels": 4096, "depth": 1024}
    path = tmp_path / "huge.safetensors"
    save_file(tensors, path, metadata | {"architecture": json.dumps(huge)})
    with pytest.raises(WeightsError, match=r"tensor '.*' is missing"):
        load_network(path)
    save_file(tensors, path, metadata | {"architecture": json.dumps(huge | {"depth": 10**9})})
    with pytest.raises(WeightsError, match="depth = 1000000000: it must be 1024 or less"):
        load_network(path)


@pytest.mark.parametrize("header", [b"[]", b"[" * 5000, b'{"__metadata__": {"a": 1}}', b"3"])
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(WeightsError, match="isn't a readable safetensors file"):
        load_network(path)
