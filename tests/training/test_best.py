"""What a run keeps beside its last weights, where they came from, and how a stopped one goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sreval.files import sha256_file
from sreval.networks.vgg import VGGFeatures
from sreval.networks.weights import load_network
from sreval.training.learner import Learner, Terms
from sreval.training.run import Outcome, Request, train
from sreval.training.validation import Validator

TINY = """
name = "tiny"
network = { name = "srresnet", depth = 1, channels = 8 }
loss.mse = 1.0
data = { crop = 32, batch = 3, views = 8, kept_aside = 1 }
run = { log_every = 2, validate_every = 2, checkpoint_minutes = 60 }
[profiles.paper.optimisation]
updates = 8
learning_rate = 1e-3
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/recipe.toml").write_text(TINY)
    return str(tmp_path / "tiny")


def run(model: str, photographs: Path, out: Path, **more: Any) -> Outcome:
    return train(Request(model, [photographs], out, device="cpu", **more))


def same(a: Path, b: Path) -> bool:
    x, y = load_file(a), load_file(b)
    return x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)


Scores = Callable[[Sequence[dict[str, float]]], None]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Scores:
    """Sets what the validations to come will say, one after the other."""

    def set_(values: Sequence[dict[str, float]]) -> None:
        coming = iter(values)
        grid = np.zeros((8, 24, 3), np.uint8)
        monkeypatch.setattr(Validator, "scores", lambda *_: (dict(next(coming)), grid))

    return set_


@pytest.mark.parametrize(
    ("metrics", "values"),
    [
        (["psnr"], [{"psnr": x} for x in (99, 5, 9, 7, 8)]),
        (["psnr", "lpips"], [{"psnr": 20 - x, "lpips": x} for x in (0.0, 0.5, 0.2, 0.4, 0.3)]),
        (["psnr", "lpips"], [{"psnr": x, "lpips": x} for x in (0.0, 0.5, 0.2, 0.4, 0.3)]),
        (["lpips-vgg"], [{"lpips-vgg": x} for x in (0.0, 0.5, 0.2, 0.4, 0.3)]),
    ],
    ids=["psnr is greatest", "lpips is least", "lpips before psnr", "lpips-vgg is least"],
)
def test_the_weights_of_the_best_validation_are_kept(
    model: str,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: Scores,
    metrics: list[str],
    values: list[dict[str, float]],
) -> None:
    monkeypatch.setattr("sreval.training.run.check_validation", lambda _: None)
    monkeypatch.setattr("sreval.training.validation.check_validation", lambda _: None)
    changes = {"run.metrics": metrics}
    scores(values)  # after 0, 2, 4, 6 and 8 updates; what a run began with is not its own
    whole = run(model, photographs, tmp_path / "whole", changes=changes)
    scores(values)
    part = run(model, photographs, tmp_path / "part", changes=changes, steps=4)
    best = whole.out / "best.safetensors"
    assert same(best, part.weights)
    assert not same(best, whole.weights)
    provenance = load_network(best)[1]
    last = load_network(whole.weights)[1]
    assert (provenance.step, provenance.stages[-1].updates) == (4, 4)
    assert (last.step, last.stages[-1].updates) == (8, 8)
    assert 0 < provenance.stages[-1].seconds < last.stages[-1].seconds


def test_the_best_so_far_outlives_a_stop(
    model: str,
    photographs: Path,
    tmp_path: Path,
    scores: Scores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores([{"psnr": x} for x in (0, 9, 8)])
    stop_after(5, monkeypatch)
    out = run(model, photographs, tmp_path / "run").out
    kept = (out / "best.safetensors").read_bytes()
    scores([{"psnr": x} for x in (7, 8.5)])
    assert run(model, photographs, out, resume=True).step == 8
    assert (out / "best.safetensors").read_bytes() == kept


def test_a_run_that_begins_anew_has_no_best_of_the_one_before(
    model: str, photographs: Path, tmp_path: Path, scores: Scores
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "best.safetensors").write_bytes(b"of a run that came to no checkpoint")
    scores([{"psnr": x} for x in (1, float("nan"))])
    run(model, photographs, out, steps=1)
    assert not (out / "best.safetensors").exists()


def test_every_run_that_led_to_the_weights_is_told(
    model: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"run.validate_every": 100}
    first = run(model, photographs, tmp_path / "1", steps=2, changes=quick)
    second = run(
        model,
        photographs,
        tmp_path / "2",
        steps=3,
        start=first.weights,
        changes={**quick, "data.batch": 2},
    )
    stop_after(2, monkeypatch)
    options = {"start": second.out, "changes": quick}
    stopped = run(model, photographs, tmp_path / "3", steps=4, **options)
    assert stopped.step == 2
    third = run(model, photographs, tmp_path / "3", resume=True, steps=5, **options)
    stages = load_network(third.weights)[1].stages
    assert [stage.updates for stage in stages] == [2, 3, 5]
    assert [stage.batch for stage in stages] == [3, 2, 3]
    assert [stage.started_from for stage in stages] == [
        "",
        sha256_file(first.weights),
        # a folder stands for its best
        sha256_file(second.out / "best.safetensors"),
    ]
    assert [stage.changes.get("optimisation.updates") for stage in stages] == [2, 3, 5]
    assert stages[1].changes["data.batch"] == 2
    assert all(stage.photographs == 6 and stage.hardware and stage.seconds for stage in stages)
    assert len({stage.recipe_sha256 for stage in stages}) == 3


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in one update of the runs to come."""
    update = Learner.update
    calls: list[int] = []

    def stopping(self: Learner, *given: Any) -> Terms:
        calls.append(1)
        if len(calls) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return update(self, *given)

    monkeypatch.setattr(Learner, "update", stopping)


def vgg(names: tuple[str, ...]) -> VGGFeatures:
    """VGG's layers with weights that are the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VGGFeatures(names).eval()


@pytest.mark.parametrize(
    "changes",
    [
        {"optimisation.freeze_norm": 0.5},
        {"optimisation.freeze_norm": 0.0, "loss.vgg22": 1.0, "loss.mse": 0.0},
        {"loss.vgg22": 0.1, "loss.vgg_moves": True},
    ],
    ids=["frozen half way", "frozen from the first", "moved"],
)
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    model: str,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
) -> None:
    monkeypatch.setattr("sreval.training.learner.load_vgg", vgg)
    monkeypatch.setattr("sreval.training.loop.CALIBRATION_CROPS", 12)
    changes |= {"run.validate_every": 100}
    whole = run(model, photographs, tmp_path / "whole", changes=changes)
    # once before what changes half way, and once after it
    for step in (2, 5):
        with monkeypatch.context() as patch:
            stop_after(step, patch)
            broken = run(model, photographs, tmp_path / str(step), changes=changes)
        assert (broken.step, broken.signal) == (step, signal.SIGINT)
        broken = run(model, photographs, broken.out, changes=changes, resume=True)
        assert broken.step == whole.step
        assert same(whole.weights, broken.weights)
        assert same(whole.checkpoint, broken.checkpoint)


@pytest.mark.parametrize(("share", "first"), [(0.0, 0), (0.5, 4), (0.6, 5), (1.0, 8)])
def test_statistics_are_frozen_from_the_given_share_on(
    model: str,
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    first: int,
) -> None:
    update, calibrate = Learner.update, Learner.calibrate
    moved: list[bool] = []
    trained: list[bool] = []

    def norm(learner: Learner) -> nn.BatchNorm2d:
        return next(m for m in learner.generator.modules() if isinstance(m, nn.BatchNorm2d))

    def watched(self: Learner, *given: Any) -> Terms:
        mean = norm(self).running_mean
        assert mean is not None
        before = mean.clone()
        terms = update(self, *given)
        moved.append(not torch.equal(before, mean))
        return terms

    def calibrated(self: Learner, *given: Any) -> float:
        trained.append(norm(self).training)
        return calibrate(self, *given)

    monkeypatch.setattr("sreval.training.learner.load_vgg", vgg)
    monkeypatch.setattr("sreval.training.loop.CALIBRATION_CROPS", 12)
    monkeypatch.setattr(Learner, "update", watched)
    monkeypatch.setattr(Learner, "calibrate", calibrated)
    changes = {"optimisation.freeze_norm": share, "loss.vgg22": 1.0, "run.validate_every": 100}
    run(model, photographs, tmp_path / "run", changes=changes)
    assert moved == [place < first for place in range(8)]
    assert trained == [share > 0]
