"""The training loop, from the first update or from a checkpoint to the last."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from sreval import __version__
from sreval.errors import TrainingError
from sreval.networks.weights import Provenance, write_weights
from sreval.training.checkpoint import (
    Progress,
    light_path,
    list_checkpoints,
    save_checkpoint,
    save_light,
)
from sreval.training.log import Log, ProgressLine
from sreval.training.recipe import Optimisation, Recipe
from sreval.training.sampler import Sampler
from sreval.training.steps import Learner, Terms
from sreval.training.validation import Validator

DIVERGED = 10.0
"""A window's content loss this many times the least one so far stops the run."""

_JUDGED = 10
"""How many updates it takes to say whether the run has diverged."""

_EARLY, _LATE = 0.1, 0.5
"""Shares of its minutes after which the number of a run's updates is fixed, if it isn't yet: the
first where enough updates were measured, the second at the latest."""

_WORST = 4.0
"""The MSE of black for white: no network that works is worse."""

_HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
_STOPPING = (signal.SIGINT, signal.SIGTERM, _HANGUP)


@dataclass
class Training:
    """All parts of one run, put together by `sreval.training.run`."""

    recipe: Recipe
    learner: Learner
    sampler: Sampler
    validator: Validator
    progress: Progress
    log: Log
    line: ProgressLine
    out: Path
    data_sha256: str
    window: list[Terms] = field(default_factory=list)
    unjudged: list[Terms] = field(default_factory=list)


def loop(t: Training) -> int | None:
    """Train until the recipe's end, or until SIGINT, SIGTERM or SIGHUP; its number, or None.

    Raises TrainingError when the loss is not finite or has diverged, naming the last good
    checkpoint, and when the device is out of memory, naming a batch that fits.
    """
    run, progress = t.recipe.run, t.progress
    _calibrate(t)
    if progress.step:
        # a kill may have come between the checkpoint and the weights
        export(t)
    if _validation_due(t) and not t.log.has_validation(progress.step):
        _validate(t)
    clock = _Clock(progress)
    with _signals() as received:
        while progress.total is None or progress.step < progress.total:
            o = t.recipe.optimisation
            rate = rate_at(o, progress.step, progress.total)
            t.learner.set_rate(rate, average_keeps(o, progress.step))
            t.window.append(_update(t))
            t.unjudged.append(t.window[-1])
            progress.step += 1
            clock.count()
            finished = progress.step == progress.total

            if progress.step % run.log_every == 0 or finished:
                _report(t, clock)
            elif t.line.due():
                _show(t, clock)
            _fix_length(t, clock)
            if _validation_due(t):
                _validate_or_save(t, clock)
            due = clock.since_checkpoint() >= 60 * run.checkpoint_minutes and _can_judge(t)
            if due or finished or received or progress.step in run.keep_at:
                clock.lap()
                _save(t)
                clock.checkpoint()
            if received:
                return received[0]
    return None


def rate_at(o: Optimisation, step: int, total: int | None) -> float:
    """The learning rate of the update after `step` updates; with no `total` yet, as at 0."""
    warm = min(1.0, (step + 1) / o.rate_warmup) if o.rate_warmup else 1.0
    if o.shape == "cosine":
        done = step / total if total else 0.0
        return (
            o.learning_rate
            * warm
            * (o.final_rate + (1 - o.final_rate) * (1 + math.cos(math.pi * done)) / 2)
        )
    passed = sum(step >= milestone for milestone in o.milestones)
    return o.learning_rate * warm * o.factor**passed


def average_keeps(o: Optimisation, step: int) -> float:
    """The share of itself that the average keeps in the update after `step` updates.

    Less at first: what it starts with, batch norm's variances of 1 above all, would otherwise
    outweigh the small true ones for thousands of updates.
    """
    return min(o.ema, (1 + step) / (10 + step))


def export(t: Training) -> Path:
    """Write the weights as they stand; their path."""
    path = t.out / "weights.safetensors"
    write_weights(
        path,
        t.learner.result,
        Provenance(
            architecture=t.recipe.network,
            recipe=t.recipe.name,
            recipe_sha256=t.recipe.sha256,
            data_sha256=t.data_sha256,
            step=t.progress.step,
            code_version=__version__,
            notes=tuple(t.progress.notes),
        ),
    )
    return path


def _calibrate(t: Training) -> None:
    from sreval.training.losses import CALIBRATION_BATCHES

    wanted = t.recipe.loss.vgg and t.recipe.loss.content_scale == "calibrated"
    if not t.progress.calibrated and wanted:
        batches: Iterator[tuple[Tensor, Tensor]] = (
            t.sampler.batch() for _ in range(CALIBRATION_BATCHES)
        )
        t.progress.vgg_factor = t.learner.calibrate(batches)
        t.progress.calibrated = True
        t.line.say(f"Content terms multiplied by {t.progress.vgg_factor:.4g} to equal the MSE")
    t.learner.content.vgg_factor.fill_(t.progress.vgg_factor)


def _update(t: Training) -> Terms:
    low, high = t.sampler.batch()
    try:
        return t.learner.update(low, high, t.progress.step >= t.progress.generator_waits_until)
    except torch.OutOfMemoryError:
        pass
    raise TrainingError(
        f"A batch of {len(low)} crops of {t.recipe.data.crop} pixels does not fit into the "
        f"memory of {t.learner.device}.",
        _smaller_batch(t.learner, low, high),
    )


def _smaller_batch(learner: Learner, low: Tensor, high: Tensor) -> str:
    size = len(low) // 2
    while size:
        try:
            learner.update(low[:size], high[:size])
        except torch.OutOfMemoryError:
            size //= 2
        else:
            return f"A batch of {size} fits: --set data.batch={size}."
    return "Not even a batch of 1 fits; make data.crop smaller."


class _Clock:
    """Updates per second, and the run's seconds, without the time that checkpoints take."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.rate = 0.0
        self.first: tuple[int, float] | None = None
        self.checkpoint()

    def count(self) -> None:
        """Note when the first update was done, which compiles and takes memory."""
        if self.first is None:
            self.first = self.progress.step, self.seconds()

    def since_first(self) -> tuple[int, float]:
        """Updates and seconds since the first one of this process."""
        step, seconds = self.first or (self.progress.step, self.seconds())
        return self.progress.step - step, self.seconds() - seconds

    def checkpoint(self) -> None:
        """Begin a lap after a checkpoint was written."""
        self.saved = self.start = time.monotonic()
        self.step = self.progress.step

    def since_checkpoint(self) -> float:
        """Seconds since the last checkpoint."""
        return time.monotonic() - self.saved

    def seconds(self) -> float:
        """The run's seconds up to now."""
        return self.progress.seconds + time.monotonic() - self.start

    def present_rate(self) -> float:
        """Updates per second since the last lap."""
        return (self.progress.step - self.step) / max(time.monotonic() - self.start, 1e-9)

    def lap(self) -> float:
        """End a lap and begin the next; updates per second in the last that had any."""
        now = time.monotonic()
        seconds, updates = now - self.start, self.progress.step - self.step
        self.progress.seconds += seconds
        self.start, self.step = now, self.progress.step
        if updates:
            self.rate = updates / max(seconds, 1e-9)
        return self.rate


def _report(t: Training, clock: _Clock) -> None:
    """Means over the window to the log."""
    means = _means(t.window)
    bad = next((name for name, value in means.items() if not math.isfinite(value)), None)
    if bad is not None:
        raise _stopped(t, f"{bad} is {means[bad]}")
    _judge(t)
    rate = clock.lap()
    t.window.clear()
    loss = _content_loss(t, means)
    learning_rate = t.learner.optimiser.param_groups[0]["lr"]
    t.log.losses(t.progress.step, {**means, "learning_rate": learning_rate, "rate": rate})
    if t.progress.step >= 2 * t.recipe.run.log_every:
        _fix_length(t, clock, rate)
    t.line.show(t.progress.step, t.progress.total, rate, loss)


def _show(t: Training, clock: _Clock) -> None:
    """The progress line between two reports, with the loss of the last update."""
    last = {name: float(term) for name, term in t.window[-1].items()}
    t.line.show(t.progress.step, t.progress.total, clock.present_rate(), _content_loss(t, last))


def _fix_length(t: Training, clock: _Clock, rate: float | None = None) -> None:
    """The number of updates of a run of given minutes: from the `rate` of a report, or, where
    that is long in coming, from the updates so far."""
    minutes, progress = t.recipe.optimisation.minutes, t.progress
    if progress.total is not None or not minutes:
        return
    seconds = clock.seconds()
    if rate is None:
        updates, measured = clock.since_first()
        late = seconds >= 60 * minutes * _LATE
        early = updates >= _JUDGED and seconds >= 60 * minutes * _EARLY
        if not (updates and (early or late)):
            return
        rate = updates / measured
    progress.total = progress.step + max(1, int(max(0.0, 60 * minutes - seconds) * rate))


def _means(terms: Sequence[Terms]) -> dict[str, float]:
    """The mean of each term over some updates; this waits for the device."""
    columns = {name: [each[name].float() for each in terms if name in each] for name in terms[0]}
    means = torch.stack([torch.stack(column).mean() for column in columns.values()])
    return dict(zip(columns, means.tolist(), strict=True))


def _can_judge(t: Training) -> bool:
    """Whether no update was made since the last report, or enough to tell by."""
    return not t.window or len(t.unjudged) >= _JUDGED


def _judge(t: Training) -> None:
    """Raises TrainingError where the loss has diverged; too few updates wait for more."""
    if len(t.unjudged) < _JUDGED:
        return
    loss, before = _content_loss(t, _means(t.unjudged)), t.progress.best_loss
    bound = DIVERGED * before
    if math.isinf(before):
        # a single batch says less than the mean of many
        before = _content_loss(t, {name: float(term) for name, term in t.unjudged[0].items()})
        bound = max(DIVERGED**2 * before, _WORST)
    if not loss <= bound:
        raise _stopped(t, f"the content loss has risen from {before:.4g} to {loss:.4g}")
    t.progress.best_loss = min(t.progress.best_loss, loss)
    t.unjudged.clear()


def _content_loss(t: Training, terms: Mapping[str, float]) -> float:
    return sum(t.learner.content.weights.get(name, 0.0) * value for name, value in terms.items())


def _stopped(t: Training, why: str) -> TrainingError:
    kept = list_checkpoints(t.out)
    good = f"The last good checkpoint is {kept[-1][1]}." if kept else "No checkpoint was written."
    return TrainingError(
        f"Stopped after {t.progress.step} updates: {why}.",
        f"{good} Try a smaller learning rate or --precision fp32.",
    )


def _validate(t: Training) -> None:
    scores, grid = t.validator.scores(t.learner.result)
    t.log.validation(t.progress.step, scores)
    t.log.picture(t.progress.step, grid)
    run = t.recipe.run
    values = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
    t.line.say(f"{t.progress.step:,} updates: {run.dataset} under {run.protocol}: {values}")


def _validation_due(t: Training) -> bool:
    step = t.progress.step
    return step % t.recipe.run.validate_every == 0 or step == t.progress.total


def _validate_or_save(t: Training, clock: _Clock) -> None:
    """Validate; a validation that fails costs no update."""
    try:
        _validate(t)
    except Exception:
        clock.lap()
        _save(t)
        raise


def _save(t: Training) -> None:
    _judge(t)
    try:
        save_checkpoint(t.out, t.learner, t.sampler.random, t.progress, t.data_sha256)
    except TrainingError as error:
        raise _stopped(t, error.message.rstrip(".")) from error
    if t.recipe.run.light:
        folder = light_path(t.out, t.progress.step)
        save_light(folder, t.learner, t.progress, t.data_sha256)
    export(t)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that signals to stop put their number into; a second one acts as it always did."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in _STOPPING}
    if before.get(_HANGUP) is signal.SIG_IGN:
        del before[_HANGUP]  # as nohup asks

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, receive)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
