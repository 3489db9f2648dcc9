"""Where the images of a run are computed: here, by threads, by processes, by anyone's executor.

All have the interface of ``concurrent.futures.Executor``. Processes that end are made anew, and
what they worked on is computed again.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from functools import cache, partial
from multiprocessing import spawn
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from sreval.benchmarking.elsewhere import (
    Lacking,
    NotPortableError,
    Parcel,
    Returned,
    computed,
    described,
    run_of,
    this_process,
    trunk_files,
)
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.provenance import code_version
from sreval.benchmarking.results import ResultsFolder
from sreval.benchmarking.task import (
    Computer,
    Failed,
    Result,
    Task,
    each_method,
    each_slow_method,
)
from sreval.errors import DataError, ImageError, SrevalError, UsageError, listed, option, told
from sreval.files import remove_parts, sha256_bytes, write_atomic
from sreval.hashes import sha256_of
from sreval.processes import cores, end_with_parent

T = TypeVar("T")
R = TypeVar("R")

LEAST = 100
"""SR images that a run must have to make before processes are started for it.

A start takes 2.4 s of processor time, nearly all of it the import of torch: as much as nearest and
bicubic take for so many of BSD100. With fewer the start would be most of the work.
"""

_ABREAST = 64
"""Images that are given at once to an executor of which nobody says how many it works on."""


TRIES = 3
"""How often a task is computed whose worker ends each time."""


def lost(codes: Collection[int] = ()) -> Result:
    """What a task came to whose worker ended each time; with these exit codes, if they are known.

    A worker that was killed lacked memory, perhaps; one that ended by itself was ended by what it
    computed, which would end this process as well.
    """
    message = f"the worker process ended {TRIES} times while it computed this image"
    other = sorted(set(codes) - {-signal.SIGKILL} if hasattr(signal, "SIGKILL") else set(codes))
    if other:
        how = f"by signal {-other[0]}" if other[0] < 0 else f"with exit code {other[0]}"
        return Result(
            None,
            Failed(
                f"{message}, {how}: a method or a metric ends its process.",
                f"Leave out the one that does, or mend it: run the methods one by one by "
                f"{option('--method', 'methods=')} to see which.",
            ),
            lost=True,
        )
    if codes:
        message += ". It was killed, perhaps for lack of memory"
    return Result(
        None,
        Failed(
            f"{message}.",
            f"Give {option('--workers 1', 'workers=1')}, or smaller tiles by {option('--tile')}."
            if codes
            else f"Give its machine more memory, or smaller tiles by {option('--tile')}.",
        ),
        lost=True,
    )


class LostError(Exception):
    """What computed a task has ended before it gave a result."""


class Workers(Protocol):
    """What computes tasks; it is to hold those of ``ahead`` images."""

    ahead: int

    def submit(self, task: Task) -> dict[Future[Any], Task]:
        """Begin a task, in as many tasks as it is computed in. Raises LostError."""

    def result(self, future: Future[Any]) -> Result | Future[Any]:
        """What a future that is done came to, or the future of what is tried next.

        Raises LostError where the task must be given again.
        """

    def again(self) -> None:
        """Be ready anew after LostError."""

    def lost(self) -> Result:
        """What a task is said to have come to that can't be given again; before ``again``."""
        return lost()

    def check(self) -> None:
        """Raise DataError where no result will come any more; called while none comes."""


class Here(Workers):
    """Each image by a thread of this process, or in this thread when its results are asked for.

    What a method made of it is given before the next one is asked.
    """

    def __init__(self, resolved: Resolved, folder: ResultsFolder, threads: int) -> None:
        import torch

        self.ahead = 2 * threads if threads > 1 else 1
        self._resolved, self._folder = resolved, folder
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._computer = Computer(resolved, folder)
        # the threads over images share the cores: torch's own would compete with them
        self._torch_threads = torch.get_num_threads()
        torch.set_num_threads(max(1, cores() // resolved.workers))

    def submit(self, task: Task) -> dict[Future[Any], Task]:
        """See ``Workers``."""
        parts: dict[Future[Any], Task] = {Future(): part for part in each_method(task)}
        if self._pool:
            self._pool.submit(copy_context().run, self._compute, parts)
        else:
            for future, part in parts.items():
                future.set_result(part)
        return parts

    def _compute(self, parts: Mapping[Future[Any], Task]) -> None:
        computer = Computer(self._resolved, self._folder)
        for future, part in parts.items():
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(computer.compute(part))
                except BaseException as error:  # who waits for it is told
                    future.set_exception(error)

    def result(self, future: Future[Any]) -> Result | Future[Any]:
        """See ``Workers``."""
        found: Result | Task = future.result()
        return self._computer.compute(found) if isinstance(found, Task) else found

    def again(self) -> None:
        """Threads aren't lost."""

    def check(self) -> None:
        """Threads end."""

    def each(self, function: Callable[[Resolved, T], R], given: Sequence[T]) -> list[R]:
        """What a function gives for the run and each of ``given``, all at once.

        Raises what it raises.
        """
        if not self._pool:
            return [function(self._resolved, one) for one in given]
        submit = self._pool.submit
        begun = [submit(copy_context().run, function, self._resolved, one) for one in given]
        return [future.result() for future in begun]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for what has begun, and begin nothing more."""
        import torch

        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(self._torch_threads)


# Processes of this machine


_METHODS = multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if "forkserver" in _METHODS else "spawn")


class _Process(_CONTEXT.Process):  # type: ignore[misc]
    """A worker process; it doesn't run the program that called for it a second time."""

    def start(self) -> None:
        _starting.ours = True
        try:
            super().start()
        finally:
            _starting.ours = False


_starting = threading.local()


def _without_the_program(prepare: Callable[[str], dict[str, Any]]) -> Callable[..., Any]:
    """``get_preparation_data`` as it is, but for the processes that are begun here.

    It names the program that they are to run again.
    """

    def prepared(name: str) -> dict[str, Any]:
        data = prepare(name)
        if getattr(_starting, "ours", False):
            for key in ("init_main_from_name", "init_main_from_path"):
                data.pop(key, None)
        return data

    return prepared


spawn.get_preparation_data = _without_the_program(spawn.get_preparation_data)


_PRELOAD = ["sreval.benchmarking.preload"]
_ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def warm_up() -> bool:
    """Let what worker processes have in common be loaded, while this process does other things.

    False where this process can have none: a daemon process, or one that was forked from another
    which has them.
    """
    if multiprocessing.current_process().daemon:
        return False
    if "forkserver" not in _METHODS:
        return True
    from multiprocessing import forkserver, resource_tracker

    resource_tracker.ensure_running()
    _CONTEXT.set_forkserver_preload(_PRELOAD)
    # it looks for modules where this process does
    wanted = {**_ALONE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    # Ctrl-C is for this process: the server inherits that it isn't told of it
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
        return True
    except ChildProcessError:  # the server is the child of the process that this was forked from
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def warm_up_for(plan: BenchmarkPlan, images: int, folder: ResultsFolder) -> None:
    """``warm_up`` where a run will hardly do without processes.

    Whether there is a GPU, which does without them, isn't known before torch is loaded.
    """
    many = images >= LEAST and not folder.is_one
    if many and (plan.workers or cores()) > 1 and plan.device in ("auto", "cpu"):
        warm_up()


def _begin(run: bytes, folder: Path, environ: Mapping[str, str]) -> None:
    """What a worker process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the parent's to end
    end_with_parent()
    for name in set(os.environ) - set(environ):
        del os.environ[name]
    os.environ.update({**_ALONE, **environ})
    import torch

    torch.set_num_threads(1)
    _mine[:] = [run, folder]


_mine: list[Any] = []


@cache
def _computer() -> Computer:
    run, folder = _mine
    return Computer(run_of(run), ResultsFolder(folder))


def _work(task: Task) -> Result:
    return _computer().compute(task)


def _applied(function: Callable[[Resolved, T], R], one: T) -> R:
    return function(run_of(_mine[0]), one)


class Processes(Workers):
    """A pool of processes of this machine, made anew where one of them ends."""

    def __init__(self, resolved: Resolved, folder: ResultsFolder, processes: int) -> None:
        """Raises NotPortableError as ``described`` does; ``warm_up`` must have been true."""
        self.ahead, self._processes = 2 * processes, processes
        self._resolved, self._folder = resolved, folder
        self._run = described(resolved)
        self._start()

    def _start(self) -> None:
        self._started: list[_Process] = []
        context = type(_CONTEXT)()
        context.Process = self._new
        self._pool = ProcessPoolExecutor(
            self._processes,
            context,
            _begin,
            (self._run, self._folder.path.resolve(), dict(os.environ)),
        )
        try:
            self._pool.submit(os.getpid).result()
        except BrokenExecutor:
            raise DataError(
                "The processes that are to compute images end as they begin.",
                f"Compute in one process: {option('--workers 1', 'workers=1')}.",
            ) from None
        except BaseException:
            self.stop()
            raise

    def _new(self, *given: Any, **named: Any) -> _Process:
        self._started.append(_Process(*given, **named))
        return self._started[-1]

    def submit(self, task: Task) -> dict[Future[Any], Task]:
        """See ``Workers``."""
        parts = each_slow_method(task, self._resolved)
        try:
            return {self._pool.submit(_work, part): part for part in parts}
        except BrokenExecutor as error:
            raise LostError from error

    def result(self, future: Future[Any]) -> Result | Future[Any]:
        """See ``Workers``."""
        try:
            found: Result = future.result()
        except (BrokenExecutor, CancelledError) as error:
            raise LostError from error
        return found

    def again(self) -> None:
        """See ``Workers``."""
        self.stop()
        self._start()

    def lost(self) -> Result:
        """See ``Workers``."""
        # the pool ends the others by SIGTERM where one has ended
        self._pool.shutdown(wait=True, cancel_futures=True)
        codes = {one.exitcode for one in self._started if one.pid}
        return lost(codes - {0, None, -signal.SIGTERM} or {-signal.SIGTERM})

    def check(self) -> None:
        """A process that ends is told of."""

    def each(self, function: Callable[[Resolved, T], R], given: Sequence[T]) -> list[R]:
        """What a function of a module gives for the run and each of ``given``, all at once.

        Raises LostError, and what the function raises.
        """
        try:
            return list(self._pool.map(partial(_applied, function), given))
        except BrokenExecutor as error:
            raise LostError from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the processes, which have nothing more to do, or at once."""
        if kind:
            self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """End the processes at once, and remove what they left half written."""
        for process in self._started:
            if process.pid:  # it may not have begun yet
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for process in self._started:
            if process.pid:
                process.join()
        remove_parts(self._folder.path)


# Whatever computes elsewhere


class Elsewhere(Workers):
    """An executor that somebody gave: of it nothing is known, nor what files its workers see."""

    def __init__(
        self, executor: Executor, resolved: Resolved, folder: ResultsFolder, link: Link | None
    ) -> None:
        self._executor, self._resolved, self._link = executor, resolved, link
        self._folder = folder
        try:
            import cloudpickle

            dumps = cloudpickle.dumps
        except ImportError:
            dumps = pickle.dumps
        self._run = described(resolved, dumps)
        self._key = sha256_bytes(self._run)
        self._shared = folder.path.resolve()
        self._common = {
            str(path): sha256
            for files in (
                *(method.files() for method in resolved.methods),
                *(metric.files for metric in resolved.metrics),
            )
            for path, sha256 in files.items()
        } | trunk_files(resolved)
        said = getattr(executor, "_max_workers", None)
        width = link.threads() if link else said
        self.ahead = 2 * (resolved.plan.workers or width or _ABREAST)
        self._unseen = False
        """Whether workers have lacked an image: then each travels with its task."""

    def submit(self, task: Task) -> dict[Future[Any], Task]:
        """See ``Workers``. Raises DataError where the executor takes no more tasks."""
        return {self._begun(part): part for part in each_slow_method(task, self._resolved)}

    def _begun(self, task: Task) -> Future[Any]:
        files = self._files(task)
        parcel = Parcel(
            this_process(), code_version(), self._key, task, self._shared, files, self._common
        )
        if self._unseen:
            parcel = self._with(parcel, tuple(files))
        return self._given(parcel)

    def _given(self, parcel: Parcel) -> Future[Any]:
        try:
            future = self._executor.submit(computed, parcel)
        except RuntimeError as error:  # a BrokenExecutor, or one that was shut down
            raise self._ended(error) from None
        future.parcel = parcel  # type: ignore[attr-defined]
        return future

    def _files(self, task: Task) -> dict[str, str]:
        """The hashes of what a task reads, by path; of what can't be read none: it will be told."""
        dataset = self._resolved.datasets[task.dataset]
        item = dataset.items[task.item]
        paths = [path for path in (item.hr, item.lr) if path]
        if task.before != ("", "") and item.lr is None:
            paths.append(
                self._shared.joinpath(
                    self._folder.inputs(dataset.name, dataset.scale).relative_to(self._folder.path),
                    "LR",
                    f"{item.image}.png",
                )
            )
        for asked in task.asked:
            method = self._resolved.methods[asked.method]
            with suppress(ImageError):
                if source := method.source(item):
                    paths.append(source)
            if asked.sr_sha256:
                there = self._folder.sr_image(dataset.name, dataset.scale, method.name, item.image)
                paths.append(self._shared / there.relative_to(self._folder.path))
        found = {}
        for path in paths:
            with suppress(OSError):
                found[str(path)] = sha256_of(path)
        return found

    def _with(self, parcel: Parcel, paths: tuple[str, ...]) -> Parcel:
        contents = dict(parcel.contents)
        for path in paths:
            with suppress(OSError):
                data = Path(path).read_bytes()
                known = {**parcel.common, **parcel.files}[path]
                if sha256_bytes(data) != known:
                    raise DataError(f"{path} has changed since this run began.", "Run it again.")
                contents[path] = data
        return replace(parcel, contents=contents)

    def result(self, future: Future[Any]) -> Result | Future[Any]:
        """See ``Workers``."""
        parcel: Parcel = future.parcel  # type: ignore[attr-defined]
        try:
            found: Returned | Lacking | SrevalError = future.result()
        except (BrokenExecutor, CancelledError, OSError) as error:
            if self._link:
                self._link.check(at_once=True)
            raise self._ended(error, parcel.task) from None
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "sreval":
                raise
            raise UsageError(
                f"A worker can't import {error.name}: sreval isn't installed there.",
                "Install the same version on every machine that computes.",
            ) from None
        except Exception as error:
            if type(error).__name__ == "KilledWorker":  # Dask has tried it several times
                return lost()
            raise
        if isinstance(found, SrevalError):
            raise found
        if isinstance(found, Lacking):
            self._unseen = self._unseen or any(path in parcel.files for path in found.files)
            if set(found.files) <= set(parcel.contents) and not found.run:
                raise DataError(
                    f"A worker can't keep {found.files[0]}, which was sent to it.",
                    "See whether its disk is full.",
                )
            parcel = self._with(parcel, found.files)
            return self._given(replace(parcel, data=self._run) if found.run else parcel)
        for path, data in found.files.items():
            write_atomic(self._folder.path / path, data)
        return found.result

    def again(self) -> None:
        """Who gave the executor makes its workers anew."""

    def check(self) -> None:
        """See ``Workers``."""
        if self._link:
            self._link.check()

    def _ended(self, error: BaseException, task: Task | None = None) -> DataError:
        during = ""
        if task:
            dataset = self._resolved.datasets[task.dataset]
            names = [self._resolved.methods[asked.method].name for asked in task.asked]
            during = f", while it computed {dataset.name}/{dataset.items[task.item].image}"
            during += f" by {listed(names)}" if names else ""
        return DataError(
            f"The executor has ended before all images were computed{during}: {told(error)}.",
            "What is finished is kept. Start the scheduler and its workers, then run the same "
            "again."
            if self._link
            else "What is finished is kept. Run the same again with a new executor.",
        )


class Link(Protocol):
    """What is known of an executor's other end."""

    def threads(self) -> int:
        """How many tasks it computes at once."""

    def check(self, at_once: bool = False) -> None:
        """Raises DataError where it can't be reached any more; asked now and then, or now."""


# Which of them


@contextmanager
def workers_for(
    resolved: Resolved,
    folder: ResultsFolder,
    images: int,
    to_make: int,
    say: Any,
    executor: Executor | None = None,
) -> Iterator[Workers]:
    """What computes a run's ``images``, with ``to_make`` SR images to make at most.

    An ``executor`` that was given, or ``workers_here``. Raises NotPortableError where an
    ``executor`` can't be given what it needs.
    """
    if executor is not None:
        from sreval.benchmarking.dask import link_of

        yield Elsewhere(executor, resolved, folder, link_of(executor))
        return
    with workers_here(resolved, folder, images, to_make, say) as workers:
        yield workers


@contextmanager
def workers_here(
    resolved: Resolved, folder: ResultsFolder, images: int, to_make: int, say: Any
) -> Iterator[Here | Processes]:
    """Processes where there is much to do and no GPU, and threads for the rest."""
    abreast = max(1, min(resolved.workers, images))
    if abreast > 1 and to_make >= LEAST and resolved.device == "cpu" and warm_up():
        try:
            pool = Processes(resolved, folder, abreast)
        except NotPortableError as error:
            slower = "All images are made by threads, which takes longer."
            say(f"{error.message} {slower} {error.remedy}".strip())
        else:
            with pool:
                yield pool
            return
    with Here(resolved, folder, abreast) as here:
        yield here
