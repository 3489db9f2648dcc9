"""An exported network in other programs' hands: onnxruntime alone, torch.export.load alone."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, cast

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import sreval
from sreval.errors import UsageError, WeightsError, install
from sreval.networks.architecture import (
    Architecture,
    DRCNArchitecture,
    ESPCNArchitecture,
    SRCNNArchitecture,
    SRResNetArchitecture,
)
from sreval.networks.export import EXTRA, Form, exported, stated
from sreval.networks.inference import Inference, Interface

ARCHITECTURES: list[Architecture] = [
    SRResNetArchitecture(depth=2, channels=8),
    SRCNNArchitecture(mapping=1, scale=3),
    ESPCNArchitecture(scale=2),
    DRCNArchitecture(recursions=2, channels=8),
]
SIZES = ((1, 3, 5), (1, 21, 12), (3, 26, 32))
ROOT = str(Path(sreval.__file__).parents[1])


def made(architecture: Architecture) -> Inference:
    torch.manual_seed(0)
    return Inference.of(architecture.build().eval(), architecture)


def within_tolerance(
    made: Tensor, network: nn.Module, low: Tensor, ends: tuple[float, float]
) -> None:
    with torch.inference_mode():
        assert float((made - network(low)).abs().max()) < 1e-4 * (ends[1] - ends[0])


def shown_by_evidence(*names: str) -> list[Any]:
    """The architectures; those of these names run with `make evidence` alone, as they take long."""
    marks = pytest.mark.evidence
    return [
        pytest.param(one, id=one.name, marks=marks if one.name in names else ())
        for one in ARCHITECTURES
    ]


@pytest.mark.parametrize("architecture", shown_by_evidence("srresnet", "srcnn", "drcn"))
def test_torch_loads_a_pt2(architecture: Architecture, capfd: pytest.CaptureFixture[str]) -> None:
    inference = made(architecture)
    shown = inference.interface
    found = exported(inference.defined, shown, "pt2", "net", {"licence": "MIT"})
    assert capfd.readouterr() == ("", "")
    extra = {EXTRA: ""}
    program = torch.export.load(io.BytesIO(found.data), extra_files=extra).module()
    for batch, *sides in SIZES:
        low = torch.rand(batch, shown.channels, *sides)
        within_tolerance(program(low), inference.defined, low, shown.output_range)
    said = json.loads(extra[EXTRA])
    assert said == found.metadata
    assert said["licence"] == "MIT"
    assert said["sreval_version"] == sreval.__version__
    assert stated(said)["scale"] == str(architecture.scale)
    assert stated({**said, "format": "another"}) == {}
    assert ROOT.encode() not in found.data


@pytest.mark.parametrize("architecture", shown_by_evidence("srresnet", "srcnn", "drcn"))
def test_onnxruntime_runs_an_onnx(
    architecture: Architecture, capfd: pytest.CaptureFixture[str]
) -> None:
    inference = made(architecture)
    shown = inference.interface
    found = exported(inference.defined, shown, "onnx", "net", {})
    assert capfd.readouterr() == ("", "")
    session = onnxruntime.InferenceSession(found.data, providers=["CPUExecutionProvider"])
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, got.name) == ("lr", "tensor(float)", "sr")
    scale = architecture.scale
    assert given.shape == ["batch", shown.channels, "height", "width"]
    assert got.shape == ["batch", shown.channels, f"{scale}*height", f"{scale}*width"]
    for batch, *sides in SIZES:
        low = torch.rand(batch, shown.channels, *sides)
        (large,) = session.run(None, {"lr": low.numpy()})
        within_tolerance(torch.from_numpy(large), inference.defined, low, shown.output_range)
    model = onnx.load_model_from_string(found.data)
    said = {one.key: one.value for one in model.metadata_props}
    assert said == found.metadata
    assert (said["colour"], said["input_range"]) == (
        shown.colour,
        "{:g}..{:g}".format(*shown.input_range),
    )
    assert ROOT.encode() not in found.data


class Wrong(nn.Module):
    """Twice as large, by a way that no export can follow."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, low: Tensor) -> Tensor:
        large = functional.interpolate(low, scale_factor=2)
        if self.way == "values" and float(low.mean()) > 0.25:
            large = large + 1
        if self.way == "size" and low.shape[2] > 12:
            large = large + 1
        if self.way == "chance":
            large = functional.dropout(large, training=True)
        return large


@pytest.mark.parametrize(
    ("way", "error", "message"),
    [
        ("values", UsageError, r"depends on the values of the image, .* hold \(Guard"),
        ("size", UsageError, "the file fails on images of another size"),
        ("chance", WeightsError, "isn't the network: at .* of the output's range"),
    ],
)
def test_what_an_export_can_not_follow_is_refused(
    way: str, error: type[Exception], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=message) as refused:
        exported(Wrong(way), Interface(2), "pt2", "net", {})
    assert len(str(refused.value)) < 700
    assert capfd.readouterr() == ("", "")


def test_nan_is_no_agreement() -> None:
    network = nn.Conv2d(3, 3, 1)
    nn.init.constant_(cast(nn.Parameter, network.bias), float("nan"))
    with pytest.raises(WeightsError, match="differs by nan"):
        exported(network, Interface(1), "pt2", "net", {})


def test_a_fixed_size_and_multiples_are_kept() -> None:
    network = nn.Upsample(scale_factor=2)
    found = exported(network, Interface(2, multiple=4, least=9), "pt2", "net", {})
    assert [row["height"] for row in found.differences] == [20, 28, 48]
    fixed = exported(network, Interface(2, fixed=(8, 12)), "pt2", "net", {})
    assert stated(fixed.metadata)["fixed"] == "8x12"
    assert {(row["height"], row["width"]) for row in fixed.differences} == {(8, 12)}


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_onnx_is_an_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    form: Form = "onnx"
    with pytest.raises(UsageError, match=f"the package {package} is needed") as refused:
        exported(nn.Identity(), Interface(1), form, "net", {})
    assert refused.value.remedy == install("onnx")
