"""pyiqa by a module of that name made here: its own licence forbids us to bring it."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import sreval
from sreval.benchmarking.metrics import metrics_of, notes_on
from sreval.errors import UsageError

UInt8 = npt.NDArray[np.uint8]


class _Metric(torch.nn.Module):
    def __init__(self, mode: str, lower_better: bool) -> None:
        super().__init__()
        self.metric_mode, self.lower_better = mode, lower_better

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        assert all(image.ndim == 4 and 0 <= image.min() <= image.max() <= 1 for image in images)
        return (images[0] - images[-1]).abs().mean() if len(images) > 1 else images[0].mean()


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test declares is no other's."""
    monkeypatch.setattr("sreval.metrics.metric._declared", {})


@pytest.fixture
def pyiqa(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    known = {"fr": ("FR", True), "nr": ("NR", False)}
    module: Any = types.ModuleType("pyiqa")
    module.__version__ = "0.1"
    module.list_models = lambda: list(known)
    module.create_metric = lambda name, device: _Metric(*known[name]).to(device)
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    found: types.ModuleType = module
    return found


@pytest.mark.usefixtures("pyiqa")
def test_direction_reference_and_licence_are_pyiqa_s_own(photograph: UInt8) -> None:
    full, blind = metrics_of(["pyiqa:fr", "mine=pyiqa:nr,crop=0"], "cpu")
    assert (full.key, full.higher_is_better, full.reference) == ("fr", False, True)
    assert (blind.key, blind.higher_is_better, blind.reference) == ("mine", True, False)
    assert full.package == "pyiqa 0.1"
    assert all("non-commercial" in note for note in notes_on([full, blind]))
    found = sreval.score(photograph, photograph // 2, metrics=["pyiqa:fr", "pyiqa:nr,crop=0"])
    inner = photograph[4:-4, 4:-4].astype(float)
    assert found["value"].tolist() == pytest.approx(
        [np.abs(inner - inner // 2).mean() / 255, (photograph // 2).mean() / 255], rel=1e-5
    )


@pytest.mark.usefixtures("pyiqa")
def test_an_unknown_name_or_option_is_refused() -> None:
    with pytest.raises(UsageError, match="Unknown metric of pyiqa 'frr'"):
        metrics_of(["pyiqa:frr"], "cpu")
    with pytest.raises(UsageError, match="better= can't be said"):
        metrics_of(["pyiqa:fr,better=lower"], "cpu")


def test_without_pyiqa_its_licence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(UsageError, match=r"doesn't bring it: .*non-commercial.*yourself"):
        metrics_of(["pyiqa:niqe"], "cpu")
