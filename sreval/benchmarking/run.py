"""Running a benchmark: parallel over images, resumable, one bad image doesn't stop the rest."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import sreval
from sreval.benchmarking.first_images import FirstImages
from sreval.benchmarking.identity import Names
from sreval.benchmarking.plan import Resolved, cores
from sreval.benchmarking.provenance import code_version, machine, package_versions
from sreval.benchmarking.results import (
    CROPPED,
    Done,
    Held,
    Image,
    ResultsFolder,
    Row,
    Store,
    Subject,
    noted,
    place,
    set_pair,
    set_sha256,
)
from sreval.errors import ImageError, listed
from sreval.files import sha256_bytes, sha256_file, write_atomic
from sreval.images.datasets import Dataset, Item, Pair
from sreval.images.degraded import versions
from sreval.images.io import encode_png, read_image
from sreval.methods import Upscaler
from sreval.metrics.metric import Images, Metric
from sreval.metrics.protocol import Protocol
from sreval.metrics.scorer import Reference, match_modes

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run: all rows of the folder, the failures, and how many images it was.

    ``computed`` were made, ``reused`` were there; ``rescored`` of these lacked a value of theirs.
    The folder may hold more rows than this run's own plan asked for.
    """

    frame: pd.DataFrame
    failures: list[Failure]
    computed: int
    reused: int
    rescored: int


def run(
    resolved: Resolved,
    out: Path,
    progress: Progress = lambda *_: None,
    say: Callable[[str], object] = lambda _: None,
    command: str = "",
) -> Outcome:
    """Run a plan into the folder ``out``; results there that are still valid are kept.

    Rows of images that a data set no longer holds, or holds in another version, are dropped.
    ``say`` is told at once, from any thread, of a failure of each method, and of a method that
    is dropped from the rest of the run, see ``FirstImages``; at the end of SR images that are of
    no score any more. Raises UsageError for a data set whose name means another one in the folder,
    DataError when the folder can't be written; KeyboardInterrupt leaves a folder that the same call
    goes on from.
    """
    folder = ResultsFolder(out)
    store = Store(folder)
    try:
        names = Names(folder)
        names.begin(resolved.datasets, _asked(resolved), _facts(resolved, command))
        worker = Worker(resolved, store, names, folder, say)
        in_parallel(worker, resolved, progress)
        worker.work_on_sets()
        held = _held(resolved, names, worker)
        asked = {place(dataset.name, dataset.scale) for dataset in resolved.datasets}
        for key in {*asked, *names.lost}:
            one = held[key]
            store.settle(one.name, one.scale, one.images, worker.preparations.get(key, {}))
        known = {
            "methods": names.methods(store.methods()),
            "datasets": {key: asdict(one) for key, one in held.items()},
            "stopped": [asdict(one) for one in names.stopped],
        }
        this_run = {**_facts(resolved, command), **_counts(worker)}
        runs = [*names.runs, this_run]
        frame = store.finish({**known, "version": sreval.__version__, "runs": runs})
    finally:
        store.close()
    if left := folder.left_over(frame):
        say(f"SR images in {out} without a score, which can be deleted: {listed(left)}.")
    return Outcome(frame, worker.failures, worker.computed, worker.reused, worker.rescored)


def _asked(resolved: Resolved) -> dict[str, Held]:
    """What the data sets of a run hold, by ``place``, before any image has been read."""
    held = {}
    for dataset in resolved.datasets:
        images = {
            item.image: Image(item.scene, _absolute(item.hr), _absolute(item.lr))
            for item in dataset.items
        }
        source = resolved.sources[dataset.name]
        key = place(dataset.name, dataset.scale)
        held[key] = Held(dataset.name, dataset.scale, source, dataset.degradation, images)
    return held


def _absolute(path: Path | None) -> str:
    return str(path.resolve()) if path else ""


def _held(resolved: Resolved, names: Names, worker: Worker) -> dict[str, Held]:
    """What every data set of the folder holds, as far as is known; this run's as it found them."""
    asked = {method.name for method in resolved.methods}
    held = dict(names.datasets)
    for key, one in worker.held.items():
        before = held[key].images if key in held else {}
        images = {name: image.after(before.get(name), asked) for name, image in one.images.items()}
        held[key] = replace(one, images=images)
    return held


Progress = Callable[[Dataset, int], object]
"""Gets the data set of each image that a run is through with, and the number of failures so far."""


def in_parallel(worker: Worker, resolved: Resolved, progress: Progress) -> None:
    """Feed the images to the ``workers``, a few ahead."""
    import torch

    jobs = ((dataset, item) for dataset in resolved.datasets for item in dataset.items)
    threads = resolved.workers
    before = torch.get_num_threads()
    # The threads over images share the cores: torch's own would compete with them.
    torch.set_num_threads(max(1, cores() // threads))
    try:
        with ThreadPoolExecutor(threads) as pool:
            waiting: dict[Future[None], Dataset] = {}
            try:
                while True:
                    for job in islice(jobs, 2 * threads - len(waiting)):
                        waiting[pool.submit(worker.work, *job)] = job[0]
                    if not waiting:
                        break
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        future.result()
                        progress(waiting.pop(future), len(worker.failures))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(before)


def _facts(resolved: Resolved, command: str) -> dict[str, Any]:
    """What the manifest says of a run, as far as it is known from the start."""
    return {
        "command": command,
        "code": code_version(),
        "directory": str(Path.cwd()),
        "plan": resolved.plan.model_dump(mode="json", exclude={"out"}),
        "methods": {
            m.name: {"weights_sha256": m.weights_sha256, **m.facts()} for m in resolved.methods
        },
        "pairing": {m.name: pairing for m in resolved.methods if (pairing := m.pairing())},
        "datasets": {
            d.name: {"images": len(d.items), "scale": d.scale, "degradation": _recipe(d)}
            for d in resolved.datasets
        },
        "protocols": {p.name: {**asdict(p), "sha256": p.sha256} for p in resolved.protocols},
        "metrics": {m.key: (m.now() if m.now else m).facts() for m in resolved.metrics},
        "lpips_trunks": resolved.trunks,
        "machine": machine(resolved.device),
        "packages": package_versions(),
    }


def _recipe(dataset: Dataset) -> dict[str, Any] | None:
    """What the manifest says of how LR images were made, and with what; None if not known."""
    recipe = dataset.degradation
    if recipe is None:
        return None
    facts = {**recipe.model_dump(mode="json"), "sha256": recipe.sha256}
    made_here = any(item.lr is None for item in dataset.items)
    return {**facts, "versions": versions()} if made_here else facts


def _counts(worker: Worker) -> dict[str, Any]:
    """What the manifest says of a run that has ended."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "computed": worker.computed,
        "reused": worker.reused,
        "failures": [asdict(failure) for failure in worker.failures],
    }


@dataclass(frozen=True)
class Failure:
    """An image that a method could not be scored on, why, and what to do about it."""

    dataset: str
    image: str
    method: str
    reason: str
    remedy: str


@dataclass
class _Inputs:
    """The hashes of a pair, and its pixels once they are needed: of what is there they aren't."""

    hr_sha256: str
    lr_sha256: str
    recipe_sha256: str
    cropped: bool
    scale: float
    device: str
    make: Callable[[], Pair]

    @cached_property
    def read(self) -> Pair:
        """The pair itself. Raises ImageError where it isn't that of the hashes any more."""
        pair = self.make()
        if (pair.hr_sha256, pair.lr_sha256) != (self.hr_sha256, self.lr_sha256):
            raise ImageError("An image has changed since this run began.", "Run it again.")
        return pair

    @cached_property
    def reference(self) -> Reference:
        """What scores are computed against."""
        return Reference(self.read.hr, self.scale, self.device)


class Worker:
    """Does one image after another with all methods; called from several threads.

    ``held`` are the data sets, by ``place``, with what is known of their images so far;
    ``preparations`` say of these what was done to their pairs before they were scored.
    """

    def __init__(
        self,
        resolved: Resolved,
        store: Store,
        names: Names,
        folder: ResultsFolder,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Rows go to ``store``, images to ``folder``; ``names`` say which rows still hold.

        ``say`` as in ``run``.
        """
        self._resolved, self._store, self._names, self._folder = resolved, store, names, folder
        self._code = code_version()
        self._device = resolved.device.partition(":")[0]
        self._writing = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._say = say
        self._told: set[str] = set()
        self.held = _asked(resolved)
        self.preparations: dict[str, dict[str, list[str]]] = {key: {} for key in self.held}
        self._made_alike = self._with_lr_images_made_alike()
        jobs = ((d.name, item.image) for d in resolved.datasets for item in d.items)
        self._numbers = {job: number for number, job in enumerate(jobs)}
        self._first = FirstImages(self._proven(), say)
        self.failures: list[Failure] = []
        self.computed = 0
        self.reused = 0
        self.rescored = 0

    def _with_lr_images_made_alike(self) -> dict[str, dict[str, Image]]:
        """Of data sets whose last run made LR images by the same recipe, code and packages, what
        it found, by ``place``.
        """
        found = {}
        for dataset in self._resolved.datasets:
            last = (None, "")
            for run in self._names.runs:
                facts = run["datasets"].get(dataset.name, {})
                if facts.get("scale") == dataset.scale:
                    last = facts.get("degradation"), run["code"]
            key = place(dataset.name, dataset.scale)
            if last == (_recipe(dataset), self._code) and key in self._names.datasets:
                found[key] = self._names.datasets[key].images
        return found

    def _proven(self) -> set[str]:
        """The methods of which images are there that still hold, and those that make none."""
        made: dict[str, list[str]] = {}
        for method, sha256 in self._store.made(self._device, self._code):
            made.setdefault(method, []).append(sha256)
        return {
            method.name
            for method in self._resolved.methods
            if method.pairing()
            or any(self._names.holds(method, sha256) for sha256 in made.get(method.name, ()))
        }

    def work(self, dataset: Dataset, item: Item) -> None:
        """All methods on one image; failures are kept in ``failures``, not raised."""
        try:
            self._work(dataset, item)
        finally:
            names = [method.name for method in self._resolved.methods]
            self._first.through(names, self._numbers[dataset.name, item.image])

    def _work(self, dataset: Dataset, item: Item) -> None:
        methods = self._resolved.methods
        key = place(dataset.name, dataset.scale)
        images = self.held[key].images
        refusals = {method: self._first.refusal(method.name) for method in methods}
        if all(refusals.values()):
            before = self._names.datasets.get(key)
            there = before.images.get(item.image) if before else None
            if there:  # what other methods scored stays
                hr_sha256, lr_sha256 = there.pair
                images[item.image] = replace(
                    images[item.image],
                    hr_sha256=hr_sha256,
                    lr_sha256=lr_sha256,
                    recipe_sha256=there.recipe_sha256,
                )
            for method, refusal in refusals.items():
                if refusal:
                    self._fail(dataset, item, method, refusal)
            return
        try:
            pair = self._pair(dataset, item)
        except ImageError as error:
            self._tell("every method", dataset, item, error)
            for method in methods:
                self._fail(dataset, item, method, error)
            return
        images[item.image] = replace(
            images[item.image],
            hr_sha256=pair.hr_sha256,
            lr_sha256=pair.lr_sha256,
            recipe_sha256=pair.recipe_sha256,
        )
        done = [CROPPED if pair.cropped else "", dataset.lr_note]
        self.preparations[key][item.image] = list(filter(None, done))
        for method in methods:
            try:
                self._one(dataset, item, method, pair)
            except ImageError as error:
                self._tell(method.name, dataset, item, error)
                self._fail(dataset, item, method, error)

    def _pair(self, dataset: Dataset, item: Item) -> _Inputs:
        """The pair of an item; of one that is as the last run left it, the hashes alone."""
        there = self._made_alike.get(place(dataset.name, dataset.scale), {}).get(item.image)
        before = there.pair if there else ("", "")
        inputs = self._folder.inputs(dataset.name, dataset.scale)

        def read() -> Pair:
            return dataset.pair(item, inputs, before)

        device = self._resolved.device
        if dataset.is_pair(item, inputs, before):
            recipe = "" if item.lr or not dataset.degradation else dataset.degradation.sha256
            return _Inputs(*before, recipe, False, dataset.scale, device, read)
        pair = read()
        hashes = (pair.hr_sha256, pair.lr_sha256, pair.recipe_sha256)
        return _Inputs(*hashes, pair.cropped, dataset.scale, device, lambda: pair)

    def _tell(self, who: str, dataset: Dataset, item: Item, error: ImageError) -> None:
        """Say what failed where it is the first time."""
        with self._writing:
            first = who not in self._told
            self._told.add(who)
        if first:
            self._say(f"A failure of {who}, on {dataset.name}/{item.image}: {error}")

    def _fail(self, dataset: Dataset, item: Item, method: Upscaler, error: ImageError) -> None:
        image = self.held[place(dataset.name, dataset.scale)].images[item.image]
        subject = (dataset.name, dataset.scale, method.name, item.image)
        with self._writing:
            self._store.done(Done(*subject, *image.pair, error.message))
            image.failed[method.name] = error.message
            self.failures.append(
                Failure(dataset.name, item.image, method.name, error.message, error.remedy)
            )

    def _one(self, dataset: Dataset, item: Item, method: Upscaler, pair: _Inputs) -> None:
        """One method on one image: whatever an earlier run left that still holds is taken over."""
        subject: Subject = (dataset.name, dataset.scale, method.name, item.image)
        path = self._folder.sr_image(*subject)
        source_sha256 = method.source_sha256(item)
        inputs = (pair.lr_sha256, pair.hr_sha256, source_sha256, self._device, self._code)
        kept = self._kept(subject, method, inputs, path)
        copied, missing = self._missing(dataset, kept)
        if not missing:
            with self._writing:
                if copied:
                    self._store.add(copied)
                self._store.done(Done(*subject, pair.hr_sha256, pair.lr_sha256))
                self.reused += 1
            return
        if kept:
            there_already = read_image(path)
            sr, sr_sha256 = there_already.pixels, there_already.sha256
            if sr_sha256 != kept[0].sr_sha256:
                raise ImageError(f"{path} has changed since this run began.", "Run it again.")
            method_sha256 = kept[0].method_sha256
        else:
            sr = self._make(dataset, item, method, pair.read)
            data = encode_png(sr)
            write_atomic(path, data)
            sr_sha256 = sha256_bytes(data)
            with self._writing:
                method_sha256 = self._names.meaning(method).sha256
        protocols, metrics = _needed(self._resolved, dataset, missing)
        by_name = {protocol.name: protocol for protocol in protocols}
        scores = pair.reference.score(sr, protocols, metrics)
        done = self.preparations[place(dataset.name, dataset.scale)][item.image]
        with self._writing:
            known = {m.key: m.now() if m.now else m for m in metrics}
        rows = [
            Row(
                method=method.name,
                dataset=dataset.name,
                image=item.image,
                scene=item.scene,
                protocol=score.protocol,
                metric=score.metric,
                value=score.value,
                note=noted(score.value, score.note, done),
                scale=dataset.scale,
                lr_sha256=pair.lr_sha256,
                sr_sha256=sr_sha256,
                hr_sha256=pair.hr_sha256,
                source_sha256=source_sha256,
                weights_sha256=method.weights_sha256,
                method_sha256=method_sha256,
                protocol_sha256=by_name[score.protocol].sha256,
                metric_sha256=self._resolved.identity(known[score.metric], by_name[score.protocol]),
                device=self._device,
                code=self._code,
            )
            for score in scores
            if (by_name[score.protocol], score.metric) in missing
        ]
        with self._writing:
            self._store.add([*copied, *rows])
            if kept:
                self.reused += 1
                self.rescored += 1
            else:
                self.computed += 1

    def _kept(
        self, subject: Subject, method: Upscaler, inputs: tuple[str, ...], path: Path
    ) -> list[Row]:
        """The rows of an SR image that still hold from an earlier run."""
        with self._writing:
            rows = self._store.rows(subject)
            if not rows or rows[0].inputs != inputs or not path.is_file():
                return []
            if not self._names.holds(method, rows[0].method_sha256):
                return []
        return rows if sha256_file(path) == rows[0].sr_sha256 else []

    def _make(self, dataset: Dataset, item: Item, method: Upscaler, pair: Pair) -> UInt8:
        if method.specification == "hr" and pair.hr is not None:
            return pair.hr  # the file may be another one by now
        number = self._numbers[dataset.name, item.image]
        with (
            self._first.asked(method.name, number),
            nullcontext() if method.parallel else self._one_at_a_time,
        ):
            sr = method.upscale(pair.lr, dataset.scale, item)
            method.check_unchanged()
        return sr

    def _missing(
        self, dataset: Dataset, kept: Sequence[Row]
    ) -> tuple[list[Row], set[tuple[Protocol, str]]]:
        """The values that an image lacks, and rows of those that hold under another protocol."""
        there = {(row.protocol_sha256, row.metric, row.metric_sha256) for row in kept}
        alike = {(row.metric, row.metric_sha256): row for row in kept}
        copied, missing = [], set()
        for protocol in self._resolved.protocols:
            for metric in self._resolved.of_image(dataset):
                definition = (metric.key, self._resolved.identity(metric, protocol))
                if (protocol.sha256, *definition) in there:
                    continue
                if metric.fidelity is None and definition in alike:
                    row = alike[definition]
                    copied.append(
                        replace(row, protocol=protocol.name, protocol_sha256=protocol.sha256)
                    )
                else:
                    missing.add((protocol, metric.key))
        return copied, missing

    def work_on_sets(self) -> None:
        """What is of whole data sets, of every method, once their images are made."""
        for dataset in self._resolved.datasets:
            for metric in self._resolved.of_set(dataset):
                for method in self._resolved.methods:
                    self._set(dataset, method, metric)

    def _set(self, dataset: Dataset, method: Upscaler, metric: Metric) -> None:
        """One metric of one method on one data set, unless it is there and still holds."""
        held = self.held[place(dataset.name, dataset.scale)].images
        by_image = {
            name: self._store.rows((dataset.name, dataset.scale, method.name, name))
            for name in sorted(held)
        }
        lacking = [n for n, rows in by_image.items() if not rows or method.name in held[n].failed]
        of = [rows[0] for rows in by_image.values() if rows]
        if not of:
            return
        hr_sha256, lr_sha256 = set_pair(held)
        first = replace(
            of[0],
            image="",
            scene="",
            metric=metric.key,
            note="",
            lr_sha256=lr_sha256,
            hr_sha256=hr_sha256,
            sr_sha256=set_sha256(row.sr_sha256 for row in of),
            source_sha256=set_sha256(row.source_sha256 for row in of),
        )
        there = {
            (row.protocol, row.metric, row.protocol_sha256, row.metric_sha256)
            for row in self._store.rows(first.subject)
            if row.origin == first.origin
        }
        wanted = [(p.name, metric.key, p.sha256, metric.sha256) for p in self._resolved.protocols]
        if there.issuperset(wanted):
            return
        value, note = math.nan, f"not every image could be made: {listed(lacking)}"
        if not lacking and metric.of_set is not None:
            images = (self._seen(dataset, item, method, metric) for item in dataset.items)
            try:
                value = metric.of_set(images, dataset.scale, self._resolved.device)
                note = "" if not math.isnan(value) else f"{metric.name} gave NaN"
            except ImageError as error:
                note = error.message
        sha256 = (metric.now() if metric.now else metric).sha256
        self._store.add(
            [
                replace(
                    first,
                    protocol=protocol.name,
                    protocol_sha256=protocol.sha256,
                    metric_sha256=sha256,
                    value=value,
                    note=note,
                )
                for protocol in self._resolved.protocols
            ]
        )

    def _seen(self, dataset: Dataset, item: Item, method: Upscaler, metric: Metric) -> Images:
        """What a metric sees of an image that has been made, read from its files."""
        path = self._folder.sr_image(dataset.name, dataset.scale, method.name, item.image)
        sr = read_image(path).pixels
        if not metric.reference:
            return (sr,)
        image = self.held[place(dataset.name, dataset.scale)].images[item.image]
        inputs = self._folder.inputs(dataset.name, dataset.scale)
        hr = dataset.pair(item, inputs, image.pair).hr
        assert hr is not None
        return match_modes(hr, sr)


def _needed(
    resolved: Resolved, dataset: Dataset, missing: set[tuple[Protocol, str]]
) -> tuple[list[Protocol], list[Metric]]:
    """The protocols and metrics that any missing value needs, in the plan's order."""
    protocols = [p for p in resolved.protocols if any(p == protocol for protocol, _ in missing)]
    metrics = [
        m for m in resolved.of_image(dataset) if any(m.key == metric for _, metric in missing)
    ]
    return protocols, metrics
