"""Running a benchmark: parallel over images, resumable, one bad image doesn't stop the rest."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sreval
from sreval.benchmarking.executors import TRIES, LostError, Workers, workers_for
from sreval.benchmarking.first_images import FirstImages
from sreval.benchmarking.identity import Names
from sreval.benchmarking.plan import Resolved
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
    as_json,
    noted,
    place,
    set_pair,
    set_sha256,
)
from sreval.benchmarking.task import Asked, Failed, Found, Made, Result, Task, changed
from sreval.errors import ImageError, listed
from sreval.files import remove_parts, sha256_bytes
from sreval.hashes import Hashes, known_from
from sreval.images.datasets import Dataset, Item
from sreval.images.degraded import versions
from sreval.images.io import read_image
from sreval.methods import Upscaler
from sreval.metrics.metric import Images, Metric
from sreval.metrics.protocol import Protocol
from sreval.metrics.scorer import match_modes

if TYPE_CHECKING:
    import pandas as pd


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
    executor: Executor | None = None,
) -> Outcome:
    """Run a plan into the folder ``out``; results there that are still valid are kept.

    Images are computed by ``executor``, or by what ``workers_for`` chooses.

    Rows of images that a data set no longer holds, or holds in another version, are dropped.
    ``say`` is told at once of a failure of each method, and of a method that
    is dropped from the rest of the run, see ``FirstImages``; at the end of SR images that are of
    no score any more. Raises UsageError for a data set whose name means another one in the folder,
    DataError when the folder can't be written; KeyboardInterrupt leaves a folder that the same call
    goes on from.
    """
    folder = ResultsFolder(out)
    store = Store(folder)
    try:
        remove_parts(folder.path)  # of a run that was killed
        names = Names(folder)
        names.begin(resolved.datasets, _asked(resolved), _facts(resolved, command))
        with known_from(folder.hashes) as hashes:
            course = Course(resolved, store, names, folder, say, hashes)
            try:
                course.work(progress, executor)
                course.work_on_sets()
            finally:
                hashes.write(folder.hashes)
        held = _held(resolved, names, course)
        asked = {place(dataset.name, dataset.scale) for dataset in resolved.datasets}
        for key in {*asked, *names.lost}:
            one = held[key]
            store.settle(one.name, one.scale, one.images, course.preparations.get(key, {}))
        known = {
            "methods": names.methods(store.methods()),
            "datasets": {key: asdict(one) for key, one in held.items()},
            "stopped": [asdict(one) for one in names.stopped],
        }
        this_run = {**_facts(resolved, command), **_counts(course)}
        runs = [*names.runs, this_run]
        frame = store.finish({**known, "version": sreval.__version__, "runs": runs})
    finally:
        store.close()
    if left := folder.left_over(frame):
        say(f"SR images in {out} without a score, which can be deleted: {listed(left)}.")
    return Outcome(frame, course.failures, course.computed, course.reused, course.rescored)


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


def _held(resolved: Resolved, names: Names, course: Course) -> dict[str, Held]:
    """What every data set of the folder holds, as far as is known; this run's as it found them."""
    asked = [method.name for method in resolved.methods]
    held = dict(names.datasets)
    for key, one in course.held.items():
        before = held[key].images if key in held else {}
        images = {}
        for name, image in one.images.items():
            # in the plan's order, whichever failed first
            failed = {method: image.failed[method] for method in asked if method in image.failed}
            images[name] = replace(image, failed=failed).after(before.get(name), asked)
        held[key] = replace(one, images=images)
    return held


Progress = Callable[[Dataset, int], object]
"""Gets the data set of each image that a run is through with, and the number of failures so far."""


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


def _counts(course: Course) -> dict[str, Any]:
    """What the manifest says of a run that has ended."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "computed": course.computed,
        "reused": course.reused,
        "failures": [asdict(failure) for failure in course.failures],
    }


@dataclass(frozen=True)
class Failure:
    """An image that a method could not be scored on, why, and what to do about it."""

    dataset: str
    image: str
    method: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class _Job:
    """An image by its place in the run, its data set's in the plan, and its own in that."""

    number: int
    dataset: int
    item: int


@dataclass(frozen=True)
class _Part:
    """A task of an image, which may have others."""

    job: _Job
    task: Task


_LOOK = 1.0
"""Seconds after which, where no image is ready, it is seen whether any will be."""


class Course:
    """A run under way: what is there, what is to be computed, and what has come of it.

    It alone writes to the store. ``held`` are the data sets, by ``place``, with what is known of
    their images so far; ``preparations`` say of these what was done to their pairs before they were
    scored.
    """

    def __init__(
        self,
        resolved: Resolved,
        store: Store,
        names: Names,
        folder: ResultsFolder,
        say: Callable[[str], object] = lambda _: None,
        hashes: Hashes | None = None,
    ) -> None:
        """Rows go to ``store``, images to ``folder``; ``names`` say which rows still hold.

        ``hashes`` are of files that were read before. ``say`` as in ``run``.
        """
        self._resolved, self._store, self._names, self._folder = resolved, store, names, folder
        self._hashes = hashes or Hashes()
        self._code = code_version()
        self._device = resolved.device.partition(":")[0]
        self._say = say
        self._told: set[str] = set()
        self.held = _asked(resolved)
        self.preparations: dict[str, dict[str, list[str]]] = {key: {} for key in self.held}
        self._made_alike = self._with_lr_images_made_alike()
        self._pairings = {
            dataset.name: sha256_bytes(
                as_json([dataset.pairing, self._code, _recipe(dataset)]).encode()
            )
            for dataset in resolved.datasets
        }
        self._jobs = [
            _Job(number, dataset, item)
            for number, (dataset, item) in enumerate(
                (dataset, item)
                for dataset, of in enumerate(resolved.datasets)
                for item in range(len(of.items))
            )
        ]
        self._first = FirstImages(self._proven(), say)
        self._copies: dict[int, dict[int, list[Row]]] = {}
        self._dropped: dict[int, list[tuple[int, ImageError]]] = {}
        self._left: dict[_Job, int] = {}
        """How many tasks of an image haven't ended."""
        self._failures: dict[tuple[int, int], Failure] = {}
        self.computed = 0
        self.reused = 0
        self.rescored = 0

    @property
    def failures(self) -> list[Failure]:
        """The images that failed so far, in the plan's order."""
        return [self._failures[key] for key in sorted(self._failures)]

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

    def work(self, progress: Progress, executor: Executor | None = None) -> None:
        """All methods on all images; failures are kept in ``failures``, not raised."""
        lacking: list[tuple[_Job, Task]] = []
        for job in self._jobs:
            task = self._planned(job)
            if task:
                lacking.append((job, task))
            else:
                self._through(job, progress)
        if not lacking:
            return
        to_make = sum(not asked.sr_sha256 for _, task in lacking for asked in task.asked)
        given = self._resolved, self._folder, len(lacking), to_make, self._say, executor
        waiting: dict[Future[Any], _Part] = {}
        with workers_for(*given) as workers:
            try:
                self._compute(deque(lacking), waiting, workers, progress)
            finally:
                for future in waiting:
                    future.cancel()

    def _compute(
        self,
        lacking: deque[tuple[_Job, Task]],
        waiting: dict[Future[Any], _Part],
        workers: Workers,
        progress: Progress,
    ) -> None:
        """Feed the images to the workers, a few ahead; those whose worker was lost one by one."""
        suspects: deque[_Part] = deque()
        tries: Counter[_Part] = Counter()
        while lacking or suspects or waiting:
            try:
                # which task ended its worker shows when each is computed alone
                while suspects and not waiting:
                    waiting |= dict.fromkeys(workers.submit(suspects[0].task), suspects[0])
                    suspects.popleft()
                while (
                    lacking
                    and not tries
                    and len({part.job for part in waiting.values()}) < workers.ahead
                    and self._is_known(*lacking[0])
                ):
                    job, task = lacking[0]
                    if left := self._still_asked(job, task):
                        given = workers.submit(left)
                        self._left[job] = len(given)
                        waiting |= {future: _Part(job, part) for future, part in given.items()}
                    else:
                        self._through(job, progress)
                    lacking.popleft()
                self._take_ended(waiting, tries, workers, progress)
            except LostError:
                lost = workers.lost()
                for part in waiting.values():
                    tries[part] += 1
                    if tries[part] < TRIES:
                        suspects.append(part)
                    else:
                        del tries[part]
                        self._take(part, lost, progress)
                waiting.clear()
                workers.again()

    def _take_ended(
        self,
        waiting: dict[Future[Any], _Part],
        tries: Counter[_Part],
        workers: Workers,
        progress: Progress,
    ) -> None:
        """Wait for tasks to end, and keep what came of them. Raises LostError, these kept first."""
        ended = wait(waiting, _LOOK, FIRST_COMPLETED).done if waiting else set()
        if waiting and not ended:
            workers.check()
        lost: LostError | None = None
        for future in [future for future in waiting if future in ended]:
            try:
                found = workers.result(future)
            except LostError as error:
                lost = error
                continue
            part = waiting.pop(future)
            if isinstance(found, Future):
                waiting[found] = part
                continue
            tries.pop(part, None)
            self._take(part, found, progress)
        if lost:
            raise lost

    def _is_known(self, job: _Job, task: Task) -> bool:
        """Whether it is certain which methods are asked for an image."""
        names = [self._resolved.methods[asked.method].name for asked in task.asked]
        return all(self._first.is_known(name, job.number) for name in names)

    def _still_asked(self, job: _Job, task: Task) -> Task | None:
        """The task without the methods that have been dropped meanwhile, which fail."""
        kept = []
        dropped = []
        for asked in task.asked:
            refusal = self._first.refusal(self._resolved.methods[asked.method].name)
            if refusal:
                dropped.append((asked.method, refusal))
            else:
                kept.append(asked)
        if kept:
            # they fail on the pair that is still to be read
            self._dropped[job.number] = dropped
            return replace(task, asked=tuple(kept))
        if task.taken_over is None:
            self._leave_as_it_was(job)
        for method, refusal in dropped:
            self._fail(job, method, refusal)
        return None

    def _leave_as_it_was(self, job: _Job) -> None:
        """An image that nobody is asked for: what other methods scored stays."""
        dataset, item = self._of(job)
        key = place(dataset.name, dataset.scale)
        before = self._names.datasets.get(key)
        if there := before.images.get(item.image) if before else None:
            self._set_pair(job, *there.pair, there.recipe_sha256)

    def _of(self, job: _Job) -> tuple[Dataset, Item]:
        dataset = self._resolved.datasets[job.dataset]
        return dataset, dataset.items[job.item]

    def _set_pair(self, job: _Job, hr_sha256: str, lr_sha256: str, recipe_sha256: str) -> None:
        dataset, item = self._of(job)
        images = self.held[place(dataset.name, dataset.scale)].images
        images[item.image] = replace(
            images[item.image],
            hr_sha256=hr_sha256,
            lr_sha256=lr_sha256,
            recipe_sha256=recipe_sha256,
        )

    def _through(self, job: _Job, progress: Progress) -> None:
        names = [method.name for method in self._resolved.methods]
        self._first.through(names, job.number)
        progress(self._resolved.datasets[job.dataset], len(self._failures))

    # What is there

    def _planned(self, job: _Job) -> Task | None:
        """What is to be computed of an image; what is there and holds is taken over at once."""
        dataset, item = self._of(job)
        known = self._made_alike.get(place(dataset.name, dataset.scale), {}).get(item.image)
        before = known.pair if known else ("", "")
        pair = self._unchanged_pair(dataset, item)
        asked: list[Asked] = []
        copies: dict[int, list[Row]] = {}
        for number, method in enumerate(self._resolved.methods):
            kept, source_sha256 = self._kept(dataset, item, method)
            if not kept:
                asked.append(Asked(number))
                continue
            copies[number], missing = self._missing(dataset, kept)
            holds = (kept[0].hr_sha256, kept[0].lr_sha256)
            values = frozenset((protocol.name, metric) for protocol, metric in missing)
            asked.append(Asked(number, holds, source_sha256, kept[0].sr_sha256, values))
        self._copies[job.number] = copies
        if pair is None:
            return Task(job.dataset, job.item, tuple(asked), before)
        hashes = (pair.hr_sha256, pair.lr_sha256)
        done = [one for one in asked if one.sr_sha256 and one.pair == hashes and not one.missing]
        if not done:
            return Task(job.dataset, job.item, tuple(asked), before)
        self._take_pair(job, pair)
        for one in done:
            self._take_over(job, one.method)
        left = tuple(one for one in asked if one not in done)
        return Task(job.dataset, job.item, left, before, hashes) if left else None

    def _unchanged_pair(self, dataset: Dataset, item: Item) -> Found | None:
        """The pair of an item, not read again, where it is as an earlier run left it."""
        said = self._hashes.pair(self._pair_name(dataset, item))
        if said is None:
            return None
        lr = item.lr or self._folder.inputs(dataset.name, dataset.scale) / "LR" / (
            f"{item.image}.png"
        )
        try:
            files, hr_sha256, lr_sha256, recipe_sha256, cropped = said
            now = [self._hashes.sha256(path) if path else "" for path in (item.hr, lr)]
        except (OSError, ValueError, TypeError):
            return None
        if list(files) != now:
            return None
        return Found(hr_sha256, lr_sha256, recipe_sha256, cropped, (now[0], now[1]))

    def _pair_name(self, dataset: Dataset, item: Item) -> str:
        """An item, and all that beside its files decides its pair."""
        key = place(dataset.name, dataset.scale)
        return f"{key}/{item.image} {self._pairings[dataset.name]}"

    def _kept(self, dataset: Dataset, item: Item, method: Upscaler) -> tuple[list[Row], str]:
        """The rows of an SR image that hold if its pair does, and the hash of its source."""
        subject: Subject = (dataset.name, dataset.scale, method.name, item.image)
        rows = self._store.rows(subject)
        nothing: tuple[list[Row], str] = ([], "")
        if not rows or (rows[0].device, rows[0].code) != (self._device, self._code):
            return nothing
        if not self._names.holds(method, rows[0].method_sha256):
            return nothing
        try:
            source_sha256 = method.source_sha256(item)
            if rows[0].source_sha256 != source_sha256:
                return nothing
            sr_sha256 = self._hashes.sha256(self._folder.sr_image(*subject))
        except (OSError, ImageError):
            return nothing
        return (rows, source_sha256) if sr_sha256 == rows[0].sr_sha256 else nothing

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

    # What has been computed

    def _take(self, part: _Part, result: Result, progress: Progress) -> None:
        """Keep what came of a task; with its last one the image is through."""
        job, error = part.job, None
        if result.pair is None:
            failed = result.failed or Failed("nothing came of it")
            error = ImageError(failed.message, failed.remedy)
        elif self._pair_of(job) not in (("", ""), (result.pair.hr_sha256, result.pair.lr_sha256)):
            error = changed()
        self._left[job] -= 1
        methods = [asked.method for asked in part.task.asked]
        if error:
            who = "every method"
            if result.lost:
                who = listed([self._resolved.methods[number].name for number in methods])
            self._tell(who, *self._of(job), error)
            # of a pair that none of its tasks could read, also those that weren't asked
            if not self._left[job]:
                methods += [number for number, _ in self._dropped.pop(job.number, [])]
            for number in methods:
                self._fail(job, number, error)
        elif result.pair:
            self._keep(job, result, result.pair)
        if not self._left[job]:
            del self._left[job]
            self._through(job, progress)

    def _pair_of(self, job: _Job) -> tuple[str, str]:
        dataset, item = self._of(job)
        return self.held[place(dataset.name, dataset.scale)].images[item.image].pair

    def _keep(self, job: _Job, result: Result, pair: Found) -> None:
        """Keep what methods have made of a pair."""
        dataset, item = self._of(job)
        for read in result.read:
            self._hashes.note(read.path, read.state, read.sha256)
        self._hashes.keep_pair(
            self._pair_name(dataset, item),
            [pair.files, pair.hr_sha256, pair.lr_sha256, pair.recipe_sha256, pair.cropped],
        )
        self._take_pair(job, pair)
        for made in result.made:
            method = self._resolved.methods[made.method]
            if made.outcome == "made":
                self._first.ended(method.name, job.number)
            elif made.outcome == "failed" and made.failed:
                self._first.ended(method.name, job.number, made.failed.message)
            error_of = made.failed and ImageError(made.failed.message, made.failed.remedy)
            error_of = error_of or self._observe(method, made)
            if error_of:
                self._tell(method.name, dataset, item, error_of)
                self._fail(job, made.method, error_of)
            elif made.outcome == "kept" and not made.scores:
                self._take_over(job, made.method)
            else:
                self._add(job, made, pair)
        for number, refusal in self._dropped.pop(job.number, []):
            self._fail(job, number, refusal)

    def _observe(self, method: Upscaler, made: Made) -> ImageError | None:
        """Take over what another process noticed; why it can't be, where files have changed."""
        there = method.files()
        for path, sha256 in made.observed.get("files", {}).items():
            if there.get(path, sha256) != sha256:
                return changed(path)
        method.observe(made.observed)
        return None

    def _take_pair(self, job: _Job, pair: Found) -> None:
        dataset, item = self._of(job)
        self._set_pair(job, pair.hr_sha256, pair.lr_sha256, pair.recipe_sha256)
        done = [CROPPED if pair.cropped else "", dataset.lr_note]
        key = place(dataset.name, dataset.scale)
        self.preparations[key][item.image] = list(filter(None, done))

    def _take_over(self, job: _Job, method: int) -> None:
        """An SR image of an earlier run that lacks nothing."""
        dataset, item = self._of(job)
        image = self.held[place(dataset.name, dataset.scale)].images[item.image]
        if copied := self._copies[job.number].get(method):
            self._store.add(copied)
        name = self._resolved.methods[method].name
        self._store.done(Done(dataset.name, dataset.scale, name, item.image, *image.pair))
        self.reused += 1

    def _add(self, job: _Job, made: Made, pair: Found) -> None:
        """The rows of an SR image that was made, or scored anew."""
        dataset, item = self._of(job)
        method = self._resolved.methods[made.method]
        kept = made.outcome == "kept"
        copied = self._copies[job.number].get(made.method, []) if kept else []
        subject: Subject = (dataset.name, dataset.scale, method.name, item.image)
        method_sha256 = (
            self._store.rows(subject)[0].method_sha256
            if kept
            else self._names.meaning(method).sha256
        )
        by_name = {protocol.name: protocol for protocol in self._resolved.protocols}
        known = {
            one.key: one.now(made.files.get(one.key, {})) if one.now else one
            for one in self._resolved.of_image(dataset)
        }
        done = self.preparations[place(dataset.name, dataset.scale)][item.image]
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
                sr_sha256=made.sr_sha256,
                hr_sha256=pair.hr_sha256,
                source_sha256=made.source_sha256,
                weights_sha256=method.weights_sha256,
                method_sha256=method_sha256,
                protocol_sha256=by_name[score.protocol].sha256,
                metric_sha256=self._resolved.identity(known[score.metric], by_name[score.protocol]),
                device=self._device,
                code=self._code,
            )
            for score in made.scores
        ]
        self._store.add([*copied, *rows])
        if kept:
            self.reused += 1
            self.rescored += 1
        else:
            self.computed += 1

    def _tell(self, who: str, dataset: Dataset, item: Item, error: ImageError) -> None:
        """Say what failed where it is the first time."""
        if who not in self._told:
            self._told.add(who)
            self._say(f"A failure of {who}, on {dataset.name}/{item.image}: {error}")

    def _fail(self, job: _Job, number: int, error: ImageError) -> None:
        dataset, item = self._of(job)
        method = self._resolved.methods[number]
        image = self.held[place(dataset.name, dataset.scale)].images[item.image]
        subject = (dataset.name, dataset.scale, method.name, item.image)
        self._store.done(Done(*subject, *image.pair, error.message))
        image.failed[method.name] = error.message
        self._failures[job.number, number] = Failure(
            dataset.name, item.image, method.name, error.message, error.remedy
        )

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
