"""What a run reports to other programs: once, under one id, and never at the training's cost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sreval.errors import UsageError, install
from sreval.training.log import Log
from sreval.training.recipe import Recipe, load_recipe
from sreval.training.trackers import open_trackers, require_tracker

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Store:
    """MlflowClient's calls, kept in memory; `gone` makes each of them fail."""

    def __init__(self) -> None:
        self.gone = False
        self.points: dict[str, dict[str, list[int]]] = {}
        self.params: dict[str, str] = {}
        self.pictures: list[str] = []
        self.status = ""

    def __getattribute__(self, name: str) -> Any:
        if name in ("gone", "points") or not object.__getattribute__(self, "gone"):
            return object.__getattribute__(self, name)
        raise ConnectionError("no route to /secret/place\nsecond line")

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return name

    def create_run(self, experiment_id: str, run_name: str) -> SimpleNamespace:
        run_id = f"{experiment_id}-{run_name}-{len(self.points)}"
        self.points[run_id] = {}
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def get_run(self, run_id: str) -> SimpleNamespace:
        return SimpleNamespace(data=SimpleNamespace(metrics=dict.fromkeys(self.points[run_id])))

    def get_metric_history(self, run_id: str, key: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(step=step) for step in self.points[run_id][key]]

    def log_param(self, run_id: str, key: str, value: str) -> None:
        self.params[key] = value

    def log_metric(self, run_id: str, key: str, value: float, timestamp: int, step: int) -> None:
        self.points[run_id].setdefault(key, []).append(step)

    def log_image(self, run_id: str, image: object, artifact_file: str) -> None:
        self.pictures.append(artifact_file)

    def update_run(self, run_id: str, status: str) -> None:
        self.status = status

    def set_terminated(self, run_id: str) -> None:
        self.status = "FINISHED"


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    return load_recipe("espcn", "smoke", {"run.tracker": "mlflow", "optimisation.seed": 7})


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made, module = Store(), ModuleType("mlflow")
    monkeypatch.setattr(module, "MlflowClient", lambda: made, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return made


def run(recipe: Recipe, out: Path, steps: range, said: list[str], resumed: bool = False) -> None:
    anew = not resumed
    trackers = open_trackers(recipe, out, steps.start - 1, anew, said.append)
    log = Log(out, steps.start - 1, anew, trackers)
    for step in steps:
        log.losses(step, {"mse": 0.1, "rate": 3.0})
    log.picture(steps[-1], PICTURE)
    log.close()


def test_a_resumed_run_goes_on_without_double_points(
    recipe: Recipe, store: Store, tmp_path: Path
) -> None:
    said: list[str] = []
    run(recipe, tmp_path, range(1, 6), said)  # killed: its checkpoint was of update 3
    assert store.status == "FINISHED"
    run(recipe, tmp_path, range(4, 9), said, resumed=True)
    ((run_id, points),) = store.points.items()
    assert json.loads((tmp_path / "mlflow.json").read_text()) == {"run_id": run_id}
    assert points == {"losses/mse": list(range(1, 9)), "losses/rate": list(range(1, 9))}
    assert store.pictures == ["crops/step-00000005.png", "crops/step-00000008.png"]
    assert store.params["optimisation.seed"] == "7"
    assert not [key for key in store.params if key.startswith("run.")]
    assert [line for line in said if "MLflow" in line] == []
    run(recipe, tmp_path, range(1, 3), said)
    assert len(store.points) == 2, "a run that begins anew is another"


def test_one_that_fails_is_told_once_and_training_goes_on(
    recipe: Recipe, store: Store, tmp_path: Path
) -> None:
    said: list[str] = []
    trackers = open_trackers(recipe, tmp_path, 0, True, said.append)
    log = Log(tmp_path, 0, True, trackers)
    log.losses(1, {"mse": 0.1})
    store.gone = True
    for step in (2, 3):
        log.losses(step, {"mse": 0.1})
        log.picture(step, PICTURE)
    log.close()
    assert [line for line in said if "MLflow" in line] == [
        "MLflow gets nothing more of this run, which goes on: ConnectionError: no route to "
        "/secret/place second line."
    ]
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 4
    open_trackers(recipe, tmp_path, 3, False, said.append).scalars(4, {"mse": 0.1})
    assert sum("MLflow" in line for line in said) == 2


def test_a_missing_package_names_its_extra(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match="needs the package mlflow") as refused:
        require_tracker(recipe)
    assert refused.value.remedy == install("mlflow")
    require_tracker(load_recipe("espcn", "smoke"))


def test_without_tensorboard_nothing_is_said(recipe: Recipe, tmp_path: Path) -> None:
    said: list[str] = []
    plain = recipe.model_copy(update={"run": recipe.run.model_copy(update={"tracker": "off"})})
    assert open_trackers(plain, tmp_path, 0, True, said.append).open == {}
    assert said == []


def test_a_tracker_is_no_part_of_the_recipes_hash(recipe: Recipe) -> None:
    other = load_recipe("espcn", "smoke", {"optimisation.seed": 7})
    assert recipe.sha256 == other.sha256


@pytest.mark.evidence
@pytest.mark.filterwarnings("ignore")  # of packages that MLflow calls
def test_mlflow_itself_keeps_the_points(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    said: list[str] = []
    run(recipe, tmp_path, range(1, 6), said)
    run(recipe, tmp_path, range(4, 9), said, resumed=True)
    assert not [line for line in said if "MLflow" in line]
    client = mlflow.MlflowClient()
    run_id = json.loads((tmp_path / "mlflow.json").read_text())["run_id"]
    history = client.get_metric_history(run_id, "losses/mse")
    assert [point.step for point in history] == list(range(1, 9))
    assert client.get_run(run_id).data.tags == {"mlflow.runName": "seed 7"}


@pytest.mark.evidence
def test_tensorboard_itself_keeps_the_points(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-not-found,unused-ignore]
        EventAccumulator,
    )

    recipe, said = load_recipe("espcn", "smoke"), list[str]()
    run(recipe, tmp_path, range(1, 6), said)
    run(recipe, tmp_path, range(4, 9), said, resumed=True)
    assert said == []
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [one.step for one in events.Scalars("losses/mse")] == list(range(1, 9))
    assert "recipe/text_summary" in events.Tags()["tensors"]
