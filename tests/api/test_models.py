"""Models from Python: listed, shown, verified, published; the course of their training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import sreval as library
from sreval.files import sha256_file

Run = Callable[..., Any]


def test_the_models_are_those_that_the_command_lists(sreval: Run) -> None:
    found = library.models()
    listed = json.loads(sreval("models", "list", "--json").out)
    assert found.drop(columns="problem").to_dict("records") == listed
    assert set(found["problem"]) == {""}


def test_a_model_that_cannot_be_read_is_named_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "broken").mkdir(parents=True)
    (tmp_path / "models" / "broken" / "recipe.toml").write_text("about = 1\n")
    monkeypatch.chdir(tmp_path)
    found = library.models()
    (problem,) = [text for text in found["problem"] if text]
    assert "broken" in problem
    assert "espcn" in set(found["name"])
    with pytest.raises(ValueError, match="broken"):
        library.Model("broken")


def test_a_model_says_what_it_is_and_is_verified(sreval: Run, planned: str) -> None:
    model = library.Model("espcn")
    assert model.facts == json.loads(sreval("models", "show", "espcn", "--json").out)
    assert model.facts["weights_sha256"] == sha256_file(model.folder / "weights.safetensors")
    assert model.card == (model.folder / "card.md").read_text()
    assert model.facts["weights_sha256"][:12] in model.verify()
    assert "sreval train planned" in library.Model(planned).card
    with pytest.raises(library.SrevalError, match="planned has no weights"):
        library.Model(planned).verify()
    assert library.Model(model.folder).facts == model.facts


def test_what_is_no_run_is_neither_published_nor_drawn(tmp_path: Path) -> None:
    with pytest.raises(library.SrevalError, match="holds no run with weights"):
        library.Model.publish(tmp_path, tmp_path / "models")
    with pytest.raises(library.SrevalError, match=r"holds no losses\.csv"):
        library.Model.training_figure(tmp_path)
    with pytest.raises(library.SrevalError, match="no run to draw"):
        library.Model.training_figure([])
    assert not list(tmp_path.iterdir())


def test_a_run_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("step,mse,rate,learning_rate\n10,1.0,3,1e-4\n")
    (tmp_path / "validation.csv").write_text("step,psnr\n0,20\n10,21\n")
    drawn = library.Model.training_figure(tmp_path)
    assert isinstance(drawn, Figure)
    assert {axes.get_ylabel() for axes in drawn.axes} == {"MSE on [-1, 1]", "PSNR (dB)"}
