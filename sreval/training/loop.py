"""The training loop, from the first update or from a checkpoint to the last."""

from __future__ import annotations

import math
import signal
import textwrap
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from sreval import __version__
from sreval.errors import DataError, TrainingError, WriteError, duration, option
from sreval.metrics.metric import METRICS
from sreval.networks.architecture import ModelFile
from sreval.networks.own import running
from sreval.networks.weights import Provenance, Stage, write_weights
from sreval.progress import stop_signals
from sreval.training.checkpoint import (
    Progress,
    light_path,
    list_checkpoints,
    save_checkpoint,
    save_light,
)
from sreval.training.clock import Clock, Stopwatch
from sreval.training.learner import Learner, Updates
from sreval.training.log import Log, ProgressLine
from sreval.training.losses import CALIBRATION_CROPS
from sreval.training.ranks import count, decided, largest, rank
from sreval.training.recipe import Optimisation, Recipe, change
from sreval.training.sampler import Sampler
from sreval.training.validation import OutOfTime, Validator

_SIGNALS = (signal.SIGUSR1,) if hasattr(signal, "SIGUSR1") else ()  # Windows has none

DIVERGED = 10.0
"""A run stops when a window's content loss is this many times the least one so far."""

_JUDGED = 10
"""How many updates it takes to say whether the run has diverged."""

_MUCH = 0.05
"""The share of a run's time that updates may wait for photographs before a word is said."""

_WORST = 4.0
"""The MSE of black for white: no network that works is worse."""


@dataclass
class Training:
    """All parts of one run, put together by `sreval.training.run`.

    `seconds` is its length where it is given minutes, else None. Of several processes the first
    alone has a `log`, and is the one that writes, validates and says.
    """

    recipe: Recipe
    learner: Learner
    sampler: Sampler
    validator: Validator
    progress: Progress
    log: Log | None
    line: ProgressLine
    out: Path
    data_sha256: str
    seconds: float | None = None


def loop(t: Training) -> int | None:
    """Train until the recipe's end, or until a signal to stop; its number, or None.

    The signals are SIGINT, SIGTERM, SIGHUP and SIGUSR1.

    Raises TrainingError when the loss is not finite or has diverged, naming the last good
    checkpoint, when the device is out of memory, naming a batch that fits, and when the networks
    can't be compiled.
    """
    with Stopwatch() as watch:
        clock = Clock(watch, t.progress.seconds, t.progress.step, t.seconds)
        own = t.recipe.own_code
        try:
            with running(*own) if own else nullcontext():
                return _Loop(t, clock).run()
        except WriteError as error:
            again = option("--resume", "resume=True")
            raise DataError(
                error.message,
                f"Nothing written before is lost; free space, then go on with {again}.",
            ) from error
        except RuntimeError as error:
            compiled = t.recipe.run.compile != "off"
            if not compiled or not isinstance(error, torch._dynamo.exc.TorchDynamoException):
                raise
            reason = textwrap.shorten(str(error).strip().partition("\n")[0], 200)
            raise TrainingError(
                f"run.compile = {t.recipe.run.compile!r} doesn't work on this machine: "
                f"{reason.rstrip('.')}.",
                f"Switch it off with {change('run.compile', 'off')}, or install a C++ "
                "compiler such as g++.",
            ) from error


def rate_at(o: Optimisation, step: int, done: float) -> float:
    """The learning rate of the update after `step` updates, when a share `done` of all is over."""
    warm = min(1.0, (step + 1) / o.rate_warmup) if o.rate_warmup else 1.0
    if o.shape == "cosine":
        falling = (1 + math.cos(math.pi * done)) / 2
        return o.learning_rate * warm * (o.final_rate + (1 - o.final_rate) * falling)
    passed = sum(step >= milestone for milestone in o.milestones)
    return o.learning_rate * warm * o.factor**passed


def average_keeps(o: Optimisation, step: int) -> float:
    """The share of itself that the average keeps in the update after `step` updates.

    Less at first: what it starts with, batch norm's variances of 1 above all, would otherwise
    outweigh the small true ones for thousands of updates.
    """
    return min(o.ema, (1 + step) / (10 + step))


class _Loop:
    """The loop itself, with what it needs beside the parts of the run; read from `run` on."""

    def __init__(self, t: Training, clock: Clock) -> None:
        self.t, self.clock = t, clock
        self.updates = Updates(t.learner, t.sampler, t.line.say)
        self.finished = t.progress.step == t.progress.total
        self.frozen = False
        self.waited, self.told = 0.0, False

    def run(self) -> int | None:
        """Begin; then schedule, update, log, validate and save until the end, or a signal."""
        self._begin()
        with stop_signals(more=_SIGNALS, patient=count() > 1) as received:
            while not self.finished:
                self._schedule()
                self._update()
                self._log()
                if self._validation_due():
                    self._validate_or_save()
                own = rank() == 0 and self._save_due()
                number, due = largest(received[0] if received else 0, own)
                if number or due:
                    self._save()
                if number:
                    return int(number)
        return None

    def _begin(self) -> None:
        """Calibrate a run that begins, write the weights of one that goes on; and validate."""
        t = self.t
        t.sampler.advance(t.progress.step)
        self.updates.go_on(t.progress.window, t.progress.unjudged)
        if t.recipe.loss.vgg and t.recipe.loss.content_scale == "calibrated":
            self._calibrate()
        t.learner.content.vgg_factor.fill_(t.progress.vgg_factor)
        if t.progress.step:
            # a kill may have come between the checkpoint and the weights
            self._export(ModelFile.WEIGHTS)
        due = not t.progress.step or self._validation_due()
        if due and t.log is not None and not t.log.has_validation(t.progress.step):
            self._validate()
        self.clock.lap()

    def _calibrate(self) -> None:
        t = self.t
        if t.progress.calibrated:
            return
        batches = (t.sampler.batch() for _ in range(-(-CALIBRATION_CROPS // t.recipe.data.batch)))
        if t.recipe.optimisation.freeze_norm == 0:
            t.learner.freeze_norm()
        t.progress.vgg_factor = t.learner.calibrate(batches)
        t.progress.calibrated = True
        t.line.say(f"Content terms multiplied by {t.progress.vgg_factor:.4g} to equal the MSE")

    def _schedule(self) -> None:
        """Set what changes over the run: the learning rate, the average, norms, precision."""
        learner, progress, o = self.t.learner, self.t.progress, self.t.recipe.optimisation
        if self.t.seconds:
            done = decided(self.clock.done())
        else:
            done = progress.step / (progress.total or 1)
        if not self.frozen and done >= o.freeze_norm < 1:
            self.updates.freeze_norm()
            self.frozen = True
        if learner.precision != "fp32" and done >= o.fp32_from < 1:
            self.updates.compute_in_fp32()
        learner.set_rate(rate_at(o, progress.step, done), average_keeps(o, progress.step))

    def _update(self) -> None:
        """One update, counted; the discriminator alone while it is warmed up.

        Photographs that can't be read cost no update.
        """
        t, progress = self.t, self.t.progress
        try:
            t.sampler.advance(progress.step)
        except DataError:
            if progress.step:
                self._save()
            raise
        fits = True
        try:
            self.updates(generator_too=progress.step >= progress.generator_waits_until)
        except torch.OutOfMemoryError:
            fits = False  # the error holds what fills the memory: smaller batches come after it
        if not fits:
            raise TrainingError(
                f"A batch of {t.recipe.data.batch} crops of {t.recipe.data.crop} pixels does not "
                f"fit into the memory of {t.learner.device}.",
                _smaller_batch(t.learner, t.sampler) if count() == 1 else _more_parts(t.recipe),
            )
        progress.step += 1
        self.clock.count(progress.step)
        if math.isinf(progress.best_loss) and math.isinf(progress.first_loss):
            progress.first_loss = self._content_loss(self.updates.means(self.updates.unjudged))
        over = t.seconds is not None and decided(self.clock.over())
        self.finished = progress.step == progress.total or bool(over)
        if self.finished:
            progress.total, progress.given = progress.step, t.seconds or 0.0

    def _log(self) -> None:
        """A row of means over the window when it is due, the progress line now and then."""
        t, step = self.t, self.t.progress.step
        row = step % t.recipe.run.log_every == 0 or self.finished
        if not (row or t.line.due()):
            return
        means = self.updates.means(self.updates.window, own=not row)
        if row:
            bad = next((name for name, value in means.items() if not math.isfinite(value)), None)
            if bad is not None:
                raise self._stopped(f"{bad} is {means[bad]}")
            self._judge()
            self.updates.window.clear()
            rate = self.clock.rate()
            self.clock.lap()
            learning_rate = float(t.learner.optimiser.param_groups[0]["lr"])
            more = {"learning_rate": learning_rate, "rate": rate, "seconds": self.clock.seconds()}
            if t.sampler.window is not None:
                more["waited"] = self._waited()
            if t.log is not None:
                t.log.losses(step, {**means, **more})
        if self.clock.total is None:
            left = ((t.progress.total or step) - step) * self.clock.updating
        else:
            left = max(0.0, self.clock.total - self.clock.seconds())
        total, loss = t.recipe.optimisation.updates, self._content_loss(means)
        t.line.show(step, total, self.clock.rate(), left, loss)

    def _waited(self) -> float:
        """Seconds that updates waited for photographs since the last row; said once it is much."""
        t = self.t
        since, self.waited = t.sampler.waited - self.waited, t.sampler.waited
        if self.waited > _MUCH * self.clock.seconds() and not self.told:
            self.told = True
            t.line.say(
                f"Updates waited {duration(self.waited)} of {duration(self.clock.seconds())} for "
                "photographs to come into the window: a greater data.crops_per_photograph asks "
                "for fewer."
            )
        return since

    def _judge(self) -> None:
        """Raises TrainingError where the loss has diverged; too few updates wait for more."""
        sums, progress = self.updates.unjudged, self.t.progress
        if sums.count < _JUDGED:
            return
        loss, before = self._content_loss(self.updates.means(sums)), progress.best_loss
        bound = _risen(before, DIVERGED)
        if math.isinf(before):
            # a single batch says less than the mean of many
            before = progress.first_loss
            bound = max(_risen(before, DIVERGED**2), _WORST)
        if not loss <= bound:
            raise self._stopped(f"the content loss has risen from {before:.4g} to {loss:.4g}")
        progress.best_loss = min(progress.best_loss, loss)
        sums.clear()

    def _content_loss(self, terms: Mapping[str, float]) -> float:
        weights = self.t.learner.content.weights
        return sum(weights.get(name, 0.0) * value for name, value in terms.items())

    def _stopped(self, why: str) -> TrainingError:
        kept = list_checkpoints(self.t.out)
        good = (
            f"The last good checkpoint is {kept[-1][1]}." if kept else "No checkpoint was written."
        )
        precision = option("--precision fp32", "precision='fp32'")
        return TrainingError(
            f"Stopped after {self.t.progress.step} updates: {why}.",
            f"{good} Try a smaller learning rate or {precision}.",
        )

    def _validation_due(self) -> bool:
        if self.finished:
            return True
        if self.clock.total is not None:
            return bool(decided(self.clock.validation_due()))
        return self.t.progress.step % self.t.recipe.run.validate_every == 0

    def _validate_or_save(self) -> None:
        """Validate; a validation that fails costs no update."""
        failed: Exception | None = None
        try:
            self._validate()
        except Exception as error:
            failed = error
        if decided(failed is not None):
            self._save()
        if failed is not None:
            raise failed

    def _validate(self) -> None:
        """Scores and a picture to the log, and the best weights so far to their file."""
        t, run, progress = self.t, self.t.recipe.run, self.t.progress
        if t.log is None:
            return
        try:
            with self.clock.validation():
                scores, grid = t.validator.scores(t.learner.result, self.clock.no_time_to_validate)
        except OutOfTime:
            t.line.say(f"{progress.step:,} updates: no time was left to validate once more")
            return
        t.log.validation(progress.step, scores)
        t.log.picture(progress.step, grid)
        values = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        t.line.say(f"{progress.step:,} updates: {run.dataset} under {run.protocol}: {values}")
        metric = "lpips" if "lpips" in scores else run.metrics[0]
        score = scores[metric] if METRICS[metric].higher_is_better else -scores[metric]
        if progress.step and score > progress.best_score:
            progress.best_score = score
            progress.seconds = self.clock.seconds()
            self._export(ModelFile.BEST)

    def _save_due(self) -> bool:
        run = self.t.recipe.run
        if self.finished or self.t.progress.step in run.keep_at:
            return True
        if self.clock.seconds() - self.clock.saved < 60 * run.checkpoint_minutes:
            return False
        # a checkpoint is of a run that hasn't diverged, which a few updates don't tell
        return not self.updates.window.count or self.updates.unjudged.count >= _JUDGED

    def _save(self) -> None:
        """A checkpoint and the weights as they stand."""
        t, progress = self.t, self.t.progress
        with self.clock.checkpoint():
            self._judge()
            progress.window = self.updates.summed(self.updates.window)
            progress.unjudged = self.updates.summed(self.updates.unjudged)
            progress.seconds = self.clock.seconds()
            try:
                save_checkpoint(t.out, t.learner, t.sampler.random, progress, t.data_sha256)
            except TrainingError as error:
                raise self._stopped(error.message.rstrip(".")) from error
            if t.recipe.run.light and t.log is not None:
                folder = light_path(t.out, progress.step)
                save_light(folder, t.learner, progress, t.data_sha256)
            self._export(ModelFile.WEIGHTS)

    def _export(self, name: str) -> None:
        """Write the weights as they stand, with the runs that led to them."""
        t, progress = self.t, self.t.progress
        if t.log is None:
            return
        progress.stages[-1] |= {
            "updates": progress.step,
            "seconds": progress.seconds,
            "hardware": progress.hardware,
            "vgg_factor": progress.vgg_factor,
        }
        write_weights(
            t.out / name,
            t.learner.result,
            Provenance(
                architecture=t.recipe.network,
                recipe=t.recipe.name,
                recipe_sha256=t.recipe.sha256,
                data_sha256=t.data_sha256,
                step=progress.step,
                code_version=__version__,
                notes=tuple(progress.notes),
                stages=tuple(map(Stage.model_validate, progress.stages)),
            ),
        )


def _risen(loss: float, times: float) -> float:
    """A loss so many times as large; one of the user's own may be below 0, and rises too."""
    return loss + (times - 1) * abs(loss)


def _more_parts(recipe: Recipe) -> str:
    parts = 2 * recipe.optimisation.accumulate
    return (
        f"Take it in more parts, {change('optimisation.accumulate', parts)}, or make data.batch "
        "or data.crop smaller."
    )


def _smaller_batch(learner: Learner, sampler: Sampler) -> str:
    low, high = sampler.batch()
    parts = learner.recipe.optimisation.accumulate
    each = len(low) // parts // 2
    while each:
        try:
            learner.update(low[: each * parts], high[: each * parts])
        except torch.OutOfMemoryError:
            each //= 2
        else:
            size = each * parts
            return f"A batch of {size} fits: {change('data.batch', size)}."
    return f"Not even a batch of {parts} fits; make data.crop smaller."
