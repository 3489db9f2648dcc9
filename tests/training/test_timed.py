"""Runs of given minutes, most of them by a clock that is set by hand."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from sreval.cli.training import next_time
from sreval.errors import TrainingError, UsageError
from sreval.networks.weights import load_network
from sreval.training.checkpoint import save_checkpoint
from sreval.training.clock import Stopwatch
from sreval.training.learner import Learner, Terms
from sreval.training.log import ProgressLine
from sreval.training.loop import Training, loop
from sreval.training.packs import Photographs, open_pack
from sreval.training.run import Outcome, Request, train
from sreval.training.validation import OutOfTime, Validator

TIMED = """
name = "timed"
network = { name = "srresnet", depth = 1, channels = 8 }
loss.mse = 1.0
data = { crop = 32, batch = 3 }
[profiles.paper.optimisation]
minutes = 1
learning_rate = 1.0
shape = "cosine"
final_rate = 0.1
"""
IMAGES = 10
SAVING = 1.0
"""Seconds that a checkpoint takes: what the clock takes it for before the first, too."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "timed").mkdir()
    (tmp_path / "timed/recipe.toml").write_text(TIMED)
    return str(tmp_path / "timed")


class World(Stopwatch):
    """A run's time, which passes by what the run does and by nothing else.

    `update` and `image` say how long an update and an image of a validation take at a time;
    `rates` are the times and learning rates of all updates, `validations` the times of the
    beginnings of all validations.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.update: Callable[[float], float] = lambda _: 0.1
        self.image: Callable[[float], float] = lambda _: 0.1
        self.rates: list[tuple[float, float]] = []
        self.validations: list[float] = []
        self.stop_at = math.inf

    def seconds(self) -> float:
        return self.now

    def learn(self, learner: Learner) -> Terms:
        self.rates.append((self.now, float(learner.optimiser.param_groups[0]["lr"])))
        self.now += self.update(self.now)
        if self.now >= self.stop_at:
            self.stop_at = math.inf
            os.kill(os.getpid(), signal.SIGINT)
        return {"mse": torch.tensor(0.1)}

    def score(self, out_of_time: Callable[[], bool]) -> tuple[dict[str, float], Any]:
        self.validations.append(self.now)
        for _ in range(IMAGES):
            if out_of_time():
                raise OutOfTime
            self.now += self.image(self.now)
        return {"psnr": 20.0}, np.zeros((8, 24, 3), np.uint8)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    def saved(*args: Any) -> Path:
        world.now += SAVING
        return save_checkpoint(*args)

    monkeypatch.setattr("sreval.training.loop.Stopwatch", lambda: world)
    monkeypatch.setattr("sreval.training.loop.save_checkpoint", saved)
    monkeypatch.setattr(Learner, "update", lambda self, *_: world.learn(self))
    monkeypatch.setattr(Validator, "scores", lambda _, __, out_of_time: world.score(out_of_time))
    return world


def run(model: str, photographs: Path, out: Path, **more: Any) -> Outcome:
    line = more.pop("line", None)
    return train(Request(model, [photographs], out, device="cpu", **more), line)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def progress(outcome: Outcome) -> dict[str, Any]:
    with safe_open(outcome.checkpoint, "pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["progress"])
    return found


def test_the_rate_falls_with_the_time_and_not_with_the_updates(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    # from the middle on, updates take eight times as long: by number, they would be all early
    world.update = lambda now: 0.05 if now < 30 else 0.4
    run(model, photographs, tmp_path / "run")
    length = 60 - 1.25 * IMAGES * 0.1 - SAVING
    for now, rate in world.rates:
        falling = (1 + math.cos(math.pi * min(1.0, now / length))) / 2
        assert rate == pytest.approx(0.1 + 0.9 * falling), now
    assert world.rates[0][1] == pytest.approx(1.0, rel=0.01)
    assert world.rates[-1][1] == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize("update", [0.1, 0.5])
@pytest.mark.parametrize("image", [0.01, 0.4])
def test_validation_and_saving_are_within_the_minutes(
    model: str,
    photographs: Path,
    tmp_path: Path,
    world: World,
    update: float,
    image: float,
) -> None:
    world.update = lambda now: update * (1 + 0.2 * math.sin(now))
    world.image = lambda now: image * (1 + 0.2 * math.sin(now))
    outcome = run(model, photographs, tmp_path / "run", minutes=2)
    assert 0.93 * 120 < world.now <= 1.02 * 120
    scores = rows(tmp_path / "run/validation.csv")
    assert [scores[0]["step"], scores[-1]["step"]] == ["0", str(outcome.step)]
    # a dozen at most, fewer where they are dear: the last comes at the end in any case
    assert len(scores) <= 14
    assert 1.2 * IMAGES * image * len(scores[1:-1]) <= 0.06 * 120
    stage = load_network(outcome.weights)[1].stages[-1]
    assert (stage.seconds, stage.updates) == (world.now - SAVING, outcome.step)


def test_a_last_validation_without_time_is_left_out_and_said(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    # what took a second before now takes ten
    world.image = lambda now: 0.1 if now < 55 else 1.0
    said = io.StringIO()
    outcome = run(model, photographs, tmp_path / "run", line=ProgressLine(said))
    assert world.now <= 1.02 * 60 + 1.0  # what was begun of an image is ended
    assert world.validations[-1] > 55
    assert f"{outcome.step:,} updates: no time was left to validate once more" in said.getvalue()
    assert rows(tmp_path / "run/validation.csv")[-1]["step"] != str(outcome.step)
    assert load_network(outcome.weights)[1].step == outcome.step


def test_how_many_updates_there_will_be_is_known_at_the_end(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    said = io.StringIO()
    line = ProgressLine(said, every=0.0)
    line.shown = 0.0
    world.stop_at = 30
    stopped = run(model, photographs, tmp_path / "run", line=line)
    assert stopped.signal == signal.SIGINT
    assert progress(stopped)["total"] is None
    ended = run(model, photographs, tmp_path / "run", line=line, resume=True)
    assert progress(ended)["total"] == ended.step
    lines = [text for text in said.getvalue().splitlines() if " left  loss " in text]
    assert lines
    assert not any(" of " in text for text in lines)
    assert "  30 s left" in said.getvalue()


def test_a_resumed_run_goes_on_at_the_seconds_it_had(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    world.stop_at = 40
    stopped = run(model, photographs, tmp_path / "run")
    before = progress(stopped)["seconds"]
    assert before == pytest.approx(40, abs=0.2)
    rate = world.rates[-1][1]
    world.now, world.rates = 1000.0, []
    ended = run(model, photographs, tmp_path / "run", resume=True)
    assert world.rates[0][1] == pytest.approx(rate, rel=0.1)
    assert world.now - 1000 == pytest.approx(60 - before, abs=0.02 * 60)
    assert progress(ended)["seconds"] == pytest.approx(60 - SAVING, abs=0.02 * 60)
    assert world.rates[-1][1] == pytest.approx(0.1, rel=0.02)


def test_a_run_that_ended_goes_on_when_it_is_given_more(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    first = run(model, photographs, tmp_path / "run")
    weights, begun = first.weights.read_bytes(), world.now
    again = run(model, photographs, tmp_path / "run", resume=True)
    assert (again.step, world.now) == (first.step, begun)
    assert again.weights.read_bytes() == weights
    more = run(model, photographs, tmp_path / "run", resume=True, minutes=1.5)
    assert world.now - begun == pytest.approx(30, abs=0.02 * 90)
    assert more.step > first.step
    assert load_network(more.weights)[1].stages[-1].changes == {"optimisation.minutes": 1.5}
    until = datetime.now() + timedelta(minutes=1)
    most, begun = more.step, world.now
    assert run(model, photographs, tmp_path / "run", resume=True, until=until).step > most
    assert 50 < world.now - begun < 1.02 * 150 - 90


def test_a_run_with_most_of_its_time_kept_free_ends_once(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    world.image = lambda _: 1.0
    first = run(model, photographs, tmp_path / "run", minutes=0.5)
    assert progress(first)["seconds"] < 0.98 * 30
    again = run(model, photographs, tmp_path / "run", resume=True, minutes=0.5)
    assert again.step == first.step


def test_a_run_of_updates_is_not_resumed_by_time(
    model: str, photographs: Path, tmp_path: Path, world: World
) -> None:
    run(model, photographs, tmp_path / "run", steps=3)
    with pytest.raises(TrainingError, match=r"optimisation\.minutes = None and 1\.0"):
        run(model, photographs, tmp_path / "run", resume=True)
    assert len(world.rates) == 3


def test_statistics_that_are_never_frozen_are_not_in_the_last_update(
    model: str,
    photographs: Path,
    tmp_path: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen: list[float] = []
    monkeypatch.setattr(Learner, "freeze_norm", lambda _: frozen.append(world.now))
    # a validation that comes late takes what time was left, and one more update is made
    world.image = lambda now: 0.02 if now < 45 else 0.8
    world.update = lambda _: 1.0
    run(model, photographs, tmp_path / "run")
    assert not frozen
    run(model, photographs, tmp_path / "half", changes={"optimisation.freeze_norm": 0.5})
    assert len(frozen) == 1


@pytest.mark.parametrize(("precision", "times"), [("bf16", 1), ("fp32", 0)])
def test_a_run_in_bf16_ends_in_fp32_where_the_recipe_says_so(
    model: str,
    photographs: Path,
    tmp_path: Path,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    times: int,
) -> None:
    left: list[float] = []
    leave = Learner.compute_in_fp32

    def seen(learner: Learner) -> None:
        left.append(world.now)
        leave(learner)

    monkeypatch.setattr(Learner, "compute_in_fp32", seen)
    changes = {"optimisation.precision": precision, "optimisation.fp32_from": 0.5}
    run(model, photographs, tmp_path / "run", changes=changes)
    assert len(left) == times
    # the half of what the last validation and checkpoint leave of the minute
    assert left == pytest.approx([29.0] * times, abs=1.0)


def captured(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[Training]:
    """Runs that end where they would begin, their photographs packed in so many seconds."""
    found: list[Training] = []

    def begun(training: Training) -> int | None:
        found.append(training)
        raise KeyboardInterrupt

    def packed(*args: Any) -> Photographs:
        time.sleep(seconds)
        return open_pack(*args)

    monkeypatch.setattr("sreval.training.run.loop", begun)
    monkeypatch.setattr("sreval.training.run.open_pack", packed)
    return found


def test_until_is_counted_from_where_the_training_begins(
    model: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = captured(monkeypatch, 1.0)
    until = datetime.now() + timedelta(minutes=5)
    with pytest.raises(KeyboardInterrupt):
        run(model, photographs, tmp_path / "run", until=until)
    left = (until - datetime.now()).total_seconds()
    seconds = found[0].seconds or 0.0
    assert seconds == pytest.approx(left, abs=0.5)
    assert seconds < 299


def test_one_length_is_given_at_most(model: str, photographs: Path, tmp_path: Path) -> None:
    until = datetime.now() + timedelta(minutes=5)
    lengths = {"steps": 5, "minutes": 1.0, "until": until}
    for left_out in lengths:
        two = {name: value for name, value in lengths.items() if name != left_out}
        with pytest.raises(UsageError, match="More than one of steps"):
            run(model, photographs, tmp_path / "run", **two)


def test_a_time_that_is_over_is_refused(model: str, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2020-01-02 03:04 is over"):
        run(model, photographs, tmp_path / "run", until=datetime(2020, 1, 2, 3, 4))
    assert not (tmp_path / "run").exists()


class Evening(datetime):
    """It is 18:30 on the last day of November."""

    @classmethod
    def now(cls, tz: Any = None) -> Evening:
        return cls(2026, 11, 30, 18, 30, tzinfo=tz)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (datetime(1900, 1, 1, 23, 15), datetime(2026, 11, 30, 23, 15)),
        (datetime(1900, 1, 1, 7, 0), datetime(2026, 12, 1, 7, 0)),
        (datetime(1900, 1, 1, 18, 30), datetime(2026, 12, 1, 18, 30)),
        (datetime(2026, 11, 30, 7, 0), datetime(2026, 11, 30, 7, 0)),
        (None, None),
    ],
)
def test_a_time_of_day_is_the_next_one(
    given: datetime | None, meant: datetime | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.cli.training.datetime", Evening)
    assert next_time(given) == meant


def test_the_command_to_go_on_says_the_length() -> None:
    timed = Request("m", [], minutes=90.5)
    assert "--minutes 90.5 --resume" in timed.resume_command(Path("out"))
    until = Request("m", [], until=datetime(2026, 11, 30, 18, 30))
    assert "--until 2026-11-30T18:30 --resume" in until.resume_command(Path("out"))
    precise = Request("m", [], minutes=1234.5678)
    assert "--minutes 1234.5678" in precise.resume_command(Path("out"))


def test_a_run_by_the_wall_s_clock_ends_in_time(
    model: str, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[float] = []

    def timed(training: Training) -> int | None:
        began.append(time.monotonic())
        try:
            return loop(training)
        finally:
            began.append(time.monotonic())

    monkeypatch.setattr("sreval.training.run.loop", timed)
    slow = {"optimisation.learning_rate": 1e-4}
    outcome = run(model, photographs, tmp_path / "run", minutes=0.1, changes=slow)
    assert outcome.step > 10
    # 6 s; a machine that is busy with other things may be late with its last update
    assert 4 < began[1] - began[0] < 15
    assert load_network(outcome.weights)[1].stages[-1].seconds < 15
