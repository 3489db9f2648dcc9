"""A model as a file of its own: written whole or not at all, and taken back by the benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

import sreval as library
from sreval.errors import UsageError, WeightsError
from sreval.files import sha256_file
from sreval.methods import make_upscaler
from sreval.networks import export

Run = Callable[..., Any]


def test_the_benchmark_takes_an_exported_model_back(
    photograph: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    made = library.Model("espcn").export(tmp_path / "ü, 1.onnx")
    assert made.sha256 == sha256_file(made.path)
    assert made.metadata["weights_sha256"] == library.Model("espcn").facts["weights_sha256"]
    assert "CC BY-SA" in made.metadata["licence"]
    method = make_upscaler(f"onnx:{made.path}")
    facts = method.facts()
    assert (facts["colour"], facts["range"], facts["scale"]) == ("luma", [-0.5, 0.5], 4)
    assert facts["licence"] == made.metadata["licence"]
    low = np.ascontiguousarray(photograph[:40, :53])
    ours, back = (one.enlarge(low, 4).astype(int) for one in (make_upscaler("espcn"), method))
    assert np.abs(ours - back).max() <= 1
    assert (ours != back).mean() < 0.001
    assert make_upscaler(method.specification).sha256 == method.sha256
    make_upscaler(f"onnx:{made.path},colour=luma,overlap=9")
    for wrong in ("range=0..1", "colour=grey", "scale=2", "output_range=-1..1"):
        with pytest.raises(UsageError, match=f"not of {wrong}"):
            make_upscaler(f"onnx:{made.path},{wrong}")
    model = onnx.load(made.path)
    onnx.helper.set_model_props(model, {**made.metadata, "scale": "many"})
    onnx.save(model, made.path)
    with pytest.raises(UsageError, match=r"metadata.*scale"):
        make_upscaler(f"onnx:{made.path}")


def test_a_file_is_written_once_and_whole(
    sreval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = sreval("models", "export", "espcn", "--pt2")
    assert said.out.splitlines()[-1] == "espcn.pt2"
    before = sha256_file(Path("espcn.pt2"))
    refused = sreval("models", "export", "espcn", "--pt2")
    assert refused.code == 2
    assert "espcn.pt2 exists already. Name a new file, or add --replace." in refused.err
    weights = str(library.Model("espcn").folder / "weights.safetensors")
    again = json.loads(
        sreval("models", "export", weights, "--out", "espcn.pt2", "--replace", "--json").out
    )
    assert again["sha256"] == sha256_file(Path("espcn.pt2")) == before
    assert [row["batch"] for row in again["differences"]] == [1, 1, 2]

    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with pytest.raises(WeightsError, match="isn't the network"):
        library.export_model("espcn", "other.pt2")
    with pytest.raises(WeightsError, match="isn't the network"):
        library.export_model("espcn", "espcn.pt2", replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["espcn.pt2"]
    assert sha256_file(Path("espcn.pt2")) == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["espcn"], "Nothing says as what to export it. Give --onnx or --pt2."),
        (["espcn", "--out", "net.onxx"], "Unknown format 'onxx'. Did you mean 'onnx'?"),
        (["espcn", "--onnx", "--out", "net.pt2"], "net.pt2 isn't the name of a file of onnx."),
        (["espcn", "--pt2", "--out", "."], "exists already. Name a new file."),
        (["bicubic", "--pt2"], "bicubic is no network."),
        (["x" * 10_000, "--pt2"], "it is too long. Check the name."),
    ],
)
def test_what_cannot_be_exported_is_told(
    asked: list[str], message: str, sreval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = sreval("models", "export", *asked)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not list(tmp_path.iterdir())
