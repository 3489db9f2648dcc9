"""Programs that show the course of runs: TensorBoard and MLflow, behind one small interface.

They get the recipe, the numbers of the log and its pictures, and no more: no path, no name of a
photograph, of the machine or of the user.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sreval.errors import UsageError, cut, install, told
from sreval.files import write_atomic
from sreval.reading import read_json
from sreval.training.recipe import Recipe

RUN_ID = "mlflow.json"
"""The file in a run's folder that keeps by which id MLflow knows the run."""

_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""MLflow's own settings would have training wait for minutes where its server is gone."""


class Tracker(Protocol):
    """What a run reports to while it is under way. Steps only rise."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers after that many updates."""

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """The grid of crops after that many updates, (H, W, 3)."""

    def close(self) -> None:
        """Write out what is still held; the run may be resumed later."""


class Trackers:
    """The trackers of a run. One that fails is told of once and left out; the run goes on."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self.open: dict[str, Tracker] = {}

    def add(self, name: str, make: Callable[[], Tracker]) -> None:
        """Open one."""
        with self._told_once(name):
            self.open[name] = make()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See Tracker.scalars."""
        for name, one in list(self.open.items()):
            with self._told_once(name):
                one.scalars(step, values)

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """See Tracker.picture."""
        for name, one in list(self.open.items()):
            with self._told_once(name):
                one.picture(step, image)

    def close(self) -> None:
        """See Tracker.close."""
        for name, one in list(self.open.items()):
            with self._told_once(name):
                one.close()

    @contextmanager
    def _told_once(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of a program of others, and of its network
            self.open.pop(name, None)
            reason = cut(told(error), 300)
            self._say(f"{name} gets nothing more of this run, which goes on: {reason}.")


def require_tracker(recipe: Recipe) -> None:
    """Raises UsageError where the tracker that a recipe asks for isn't installed."""
    if recipe.run.tracker == "mlflow":
        _mlflow_client()


def open_trackers(
    recipe: Recipe, out: Path, step: int, anew: bool, say: Callable[[str], object]
) -> Trackers:
    """TensorBoard where it is installed, without a word where it isn't, and MLflow if asked for.

    A run that goes on after `step` updates goes on under its own id, and no point is doubled; with
    `anew` it is another run.
    """
    trackers = Trackers(say)
    with suppress(ImportError):
        import torch.utils.tensorboard  # noqa: F401

        trackers.add("TensorBoard", lambda: TensorBoard(recipe, out / "tensorboard", step, anew))
    if recipe.run.tracker == "mlflow":
        trackers.add("MLflow", lambda: MLflow(recipe, out / RUN_ID, anew))
    return trackers


class TensorBoard:
    """Events in a folder, which `tensorboard --logdir` shows."""

    def __init__(self, recipe: Recipe, folder: Path, step: int, anew: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # what a killed run wrote after its checkpoint is hidden
        self._writer: Any = SummaryWriter(folder, purge_step=0 if anew else step + 1)
        if anew:
            text = json.dumps(recipe.identity(), indent=1)
            self._writer.add_text("recipe", "    " + text.replace("\n", "\n    "), 0)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See Tracker."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """See Tracker."""
        self._writer.add_image("crops", image, step, dataformats="HWC")

    def close(self) -> None:
        """See Tracker."""
        self._writer.close()


class MLflow:
    """A run at the store that MLFLOW_TRACKING_URI names, in the experiment of the model's name."""

    def __init__(self, recipe: Recipe, kept: Path, anew: bool) -> None:
        self._client = _mlflow_client()
        found = "" if anew else _run_id(kept)
        if found:
            held = self._client.get_run(found).data.metrics
            self._last = {
                name: max(point.step for point in self._client.get_metric_history(found, name))
                for name in held
            }
            self._client.update_run(found, status="RUNNING")
            self._id = found
            return
        self._last = {}
        experiment = self._client.get_experiment_by_name(recipe.name)
        number = (
            self._client.create_experiment(recipe.name)
            if experiment is None
            else experiment.experiment_id
        )
        name = f"seed {recipe.optimisation.seed}"
        self._id = self._client.create_run(number, run_name=name).info.run_id
        write_atomic(kept, json.dumps({"run_id": self._id}) + "\n")
        for key, value in _flat(recipe.identity()).items():
            self._client.log_param(self._id, key, value)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """See Tracker; what a killed run reported after its checkpoint is kept, not doubled."""
        now = int(1000 * time.time())
        for name, value in values.items():
            if step > self._last.get(name, -1):
                self._client.log_metric(self._id, name, value, timestamp=now, step=step)
                self._last[name] = step

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """See Tracker."""
        self._client.log_image(self._id, image, artifact_file=f"crops/step-{step:08d}.png")

    def close(self) -> None:
        """See Tracker."""
        self._client.set_terminated(self._id)


def _mlflow_client() -> Any:
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise UsageError(
            "run.tracker = 'mlflow' needs the package mlflow.", install("mlflow")
        ) from None
    return MlflowClient()


def _run_id(kept: Path) -> str:
    """The id that a run's folder keeps, empty where it keeps none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(read_json(kept)["run_id"])
    return ""


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested values by dotted keys, each as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = str(value)[:500]
    return flat
