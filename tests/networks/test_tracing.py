"""A loaded network can be traced and saved by torch's own means; exported: test_export.py."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sreval.networks.architecture import (
    Architecture,
    DRCNArchitecture,
    ESPCNArchitecture,
    SRCNNArchitecture,
    SRResNetArchitecture,
)
from sreval.networks.weights import Provenance, load_network, write_weights

ARCHITECTURES: list[Architecture] = [
    SRResNetArchitecture(depth=2, channels=8),
    SRCNNArchitecture(),
    ESPCNArchitecture(),
    DRCNArchitecture(recursions=2, channels=8),
]


@pytest.fixture(params=ARCHITECTURES, ids=lambda a: a.name)
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[nn.Module, Tensor]:
    """A network as it comes from its file, gradients not switched off, and an image for it."""
    architecture: Architecture = request.param
    torch.manual_seed(0)
    origin = Provenance(
        architecture=architecture,
        recipe="r",
        recipe_sha256="",
        data_sha256="",
        step=1,
        code_version="",
    )
    path = tmp_path / "weights.safetensors"
    write_weights(path, architecture.build(), origin)
    channels = 1 if architecture.colour == "luma" else 3
    return load_network(path)[0], torch.rand(1, channels, 12, 10)


def test_a_trace_passes_its_own_check_and_is_the_network(loaded: tuple[nn.Module, Tensor]) -> None:
    network, low = loaded
    assert torch.is_grad_enabled()
    with warnings.catch_warnings():
        # newer versions of torch advise against it; a failed check is a TracerWarning, an error
        for kind in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", r".*torch\.jit", kind)
        traced = torch.jit.trace(network, (low,))  # type: ignore[no-untyped-call]
        file = io.BytesIO()
        torch.jit.save(traced, file)
        file.seek(0)
        again = torch.jit.load(file)  # type: ignore[no-untyped-call]
    assert torch.equal(again(low), network(low))
    larger = torch.rand(2, low.shape[1], 15, 13)
    torch.testing.assert_close(again(larger), network(larger))


def test_a_trace_follows_the_weights(loaded: tuple[nn.Module, Tensor]) -> None:
    """No parameter, PReLU's slope included, has become a number in it."""
    network, low = loaded
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", r".*torch\.jit", kind)
        traced = torch.jit.trace(network, (low,))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    assert torch.equal(traced(low), network(low))
