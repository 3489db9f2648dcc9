"""One image under the methods that it lacks: read or made, upscaled, kept, scored.

A task holds all that is needed, and its result all that was found. So it can be computed in this
process, in another one, or on another machine; what a run knows of itself is the parent's alone.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sreval.benchmarking.plan import Resolved
from sreval.benchmarking.results import ResultsFolder
from sreval.errors import ImageError
from sreval.files import sha256_bytes, write_atomic
from sreval.hashes import State, settled_state
from sreval.images.datasets import Dataset
from sreval.images.io import encode_png, read_image
from sreval.methods import Upscaler
from sreval.metrics.metric import Metric
from sreval.metrics.protocol import Protocol
from sreval.metrics.scorer import Reference, Score

UInt8 = npt.NDArray[np.uint8]
Value = tuple[str, str]
"""The name of a protocol and the key of a metric."""


@dataclass(frozen=True)
class Asked:
    """What is wanted of a method, by its place in the plan, on one image.

    ``sr_sha256`` is that of the SR image which an earlier run left, empty where there is none or
    where it doesn't hold. It holds for the ``pair`` and the ``source_sha256`` with these hashes,
    and then the values that are ``missing`` are all that it lacks.
    """

    method: int
    pair: tuple[str, str] = ("", "")
    source_sha256: str = ""
    sr_sha256: str = ""
    missing: frozenset[Value] = frozenset()


@dataclass(frozen=True)
class Task:
    """An image, by its data set's and its own place in the plan, and what is wanted of it.

    Each method may be a task of its own.

    ``before`` are the hashes of a pair whose LR image was made as it would be now, see
    ``Dataset.pair``; ``taken_over`` those of the pair of which results were taken over in this run.
    """

    dataset: int
    item: int
    asked: tuple[Asked, ...]
    before: tuple[str, str] = ("", "")
    taken_over: tuple[str, str] | None = None


@dataclass(frozen=True)
class Failed:
    """Why an image could not be made or scored, and what to do about it."""

    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Made:
    """What a method came to on one image.

    ``outcome``: ``kept``, what was there holds; ``made``; ``failed``, the method was asked and
    failed; empty where something failed before it was asked. ``failed`` says why there are no
    scores, also of an image that was made. ``observed`` is what the method has noticed, ``files``
    are those that metrics have loaded, by their keys.
    """

    method: int
    outcome: Literal["", "kept", "made", "failed"] = ""
    failed: Failed | None = None
    source_sha256: str = ""
    sr_sha256: str = ""
    scores: tuple[Score, ...] = ()
    observed: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """A file that was read: its ``settled_state`` before, and the hash of its bytes."""

    path: Path
    state: State | None
    sha256: str


@dataclass(frozen=True)
class Found:
    """The hashes of a pair, see ``Pair``."""

    hr_sha256: str
    lr_sha256: str
    recipe_sha256: str
    cropped: bool
    files: tuple[str, str]


@dataclass(frozen=True)
class Result:
    """What a task came to: the pair, or why there is none, and each method that was asked.

    ``lost``: the process that computed it ended each time, so nothing is known.
    """

    pair: Found | None
    failed: Failed | None = None
    made: tuple[Made, ...] = ()
    read: tuple[Read, ...] = ()
    lost: bool = False


def each_method(task: Task) -> list[Task]:
    """The task as one for each method."""
    return [replace(task, asked=(asked,)) for asked in task.asked]


def each_slow_method(task: Task, resolved: Resolved) -> list[Task]:
    """The task as one for each method that takes long, and one for all that is soon done.

    So little is lost with a task that isn't ended, and what methods of an image share is computed
    once where that is much of their work.
    """
    soon: list[Asked] = []
    long: list[Asked] = []
    for asked in task.asked:
        # where a value is missing of an image that is there, it is scored alone
        is_soon = resolved.methods[asked.method].quick or asked.missing
        (soon if is_soon else long).append(asked)
    return [replace(task, asked=tuple(soon))] * bool(soon) + each_method(
        replace(task, asked=tuple(long))
    )


def changed(what: str = "An image") -> ImageError:
    """The error for a file that isn't what it was when the run began."""
    return ImageError(f"{what} has changed since this run began.", "Run it again.")


_one_at_a_time = threading.Lock()
"""Held by a method that doesn't bear several threads."""


class Computer:
    """Computes tasks one after another; tasks of one image that follow each other share it.

    SR images are written to ``folder``, LR images that are made as well.
    """

    def __init__(self, resolved: Resolved, folder: ResultsFolder) -> None:
        self._resolved, self._folder = resolved, folder
        self._image: _Image | None = None

    def compute(self, task: Task) -> Result:
        """What a task comes to. Raises DataError where images can't be written.

        What is wrong with an image, or with a method on it, stands in the result.
        """
        of = replace(task, asked=())
        if self._image is None or self._image.of != of:
            self._image = None  # its memory is free before the next is read
            try:
                self._image = _Image(of, self._resolved, self._folder)
            except ImageError as error:
                return Result(None, Failed(error.message, error.remedy))
        image = self._image
        return Result(image.found, made=tuple(map(image.made, task.asked)), read=image.read)


class _Image:
    """A pair, and what several methods make of it. Raises ImageError where it can't be read."""

    def __init__(self, of: Task, resolved: Resolved, folder: ResultsFolder) -> None:
        self.of = of
        self._resolved, self._folder = resolved, folder
        self._dataset = dataset = resolved.datasets[of.dataset]
        self._item = item = dataset.items[of.item]
        keep = folder.inputs(dataset.name, dataset.scale)
        given = [(path, settled_state(path)) for path in (item.hr, item.lr) if path]
        self._pair = pair = dataset.pair(item, keep, of.before)
        if of.taken_over not in (None, (pair.hr_sha256, pair.lr_sha256)):
            raise changed()
        of_file = dict(zip((item.hr, item.lr), pair.files, strict=True))
        self.read = tuple(Read(path, state, of_file[path]) for path, state in given)
        self.found = Found(
            pair.hr_sha256, pair.lr_sha256, pair.recipe_sha256, pair.cropped, pair.files
        )
        self._reference = Reference(pair.hr, dataset.scale, resolved.device)

    def made(self, asked: Asked) -> Made:
        """What the method that is asked comes to."""
        method = self._resolved.methods[asked.method]
        outcome: Literal["", "made", "failed"] = ""
        try:
            source_sha256 = method.source_sha256(self._item)
            holds = (asked.pair, asked.source_sha256) == (
                (self._pair.hr_sha256, self._pair.lr_sha256),
                source_sha256,
            )
            path = self._folder.sr_image(
                self._dataset.name, self._dataset.scale, method.name, self._item.image
            )
            if asked.sr_sha256 and holds:
                if not asked.missing:
                    return Made(asked.method, "kept", None, source_sha256, asked.sr_sha256)
                there = read_image(path)
                if there.sha256 != asked.sr_sha256:
                    raise changed(str(path))
                scores = self._scores(there.pixels, asked.missing)
                return self._with_scores(asked, "kept", source_sha256, there.sha256, scores)
            outcome = "failed"
            sr = self._upscaled(method)
            outcome = "made"
            data = encode_png(sr)
            write_atomic(path, data)
            scores = self._scores(sr, self._every_value())
            return self._with_scores(asked, "made", source_sha256, sha256_bytes(data), scores)
        except ImageError as error:
            return Made(asked.method, outcome, Failed(error.message, error.remedy))

    def _upscaled(self, method: Upscaler) -> UInt8:
        if method.specification == "hr" and self._pair.hr is not None:
            return self._pair.hr  # the file may be another one by now
        with nullcontext() if method.parallel else _one_at_a_time:
            sr = method.upscale(self._pair.lr, self._dataset.scale, self._item)
            method.check_unchanged()
        return sr

    def _every_value(self) -> frozenset[Value]:
        return frozenset(
            (protocol.name, metric.key)
            for protocol in self._resolved.protocols
            for metric in self._resolved.of_image(self._dataset)
        )

    def _scores(self, sr: UInt8, missing: Collection[Value]) -> tuple[Score, ...]:
        protocols, metrics = needed(self._resolved, self._dataset, missing)
        scores = self._reference.score(sr, protocols, metrics)
        return tuple(score for score in scores if (score.protocol, score.metric) in missing)

    def _with_scores(
        self,
        asked: Asked,
        outcome: Literal["kept", "made"],
        source_sha256: str,
        sr_sha256: str,
        scores: tuple[Score, ...],
    ) -> Made:
        observed = self._resolved.methods[asked.method].observed()
        keys = {score.metric for score in scores}
        metrics = [one for one in self._resolved.of_image(self._dataset) if one.key in keys]
        files = {one.key: dict(one.now().files) for one in metrics if one.now}
        return Made(asked.method, outcome, None, source_sha256, sr_sha256, scores, observed, files)


def needed(
    resolved: Resolved, dataset: Dataset, missing: Collection[Value]
) -> tuple[Sequence[Protocol], Sequence[Metric]]:
    """The protocols and metrics that any missing value needs, in the plan's order."""
    protocols, metrics = ({value[place] for value in missing} for place in (0, 1))
    return (
        [one for one in resolved.protocols if one.name in protocols],
        [one for one in resolved.of_image(dataset) if one.key in metrics],
    )
