"""A run as other processes need it: what it consists of, and the files that they can't see.

Methods and metrics that a text names are made there by the text; objects of the running program are
pickled. Each process makes them once.
"""

from __future__ import annotations

import os
import pickle
import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sreval.benchmarking.metrics import from_anywhere, metrics_of
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.provenance import code_version
from sreval.benchmarking.results import ResultsFolder
from sreval.benchmarking.task import Computer, Failed, Result, Task
from sreval.errors import (
    DataError,
    SrevalError,
    UsageError,
    listed,
    told,
    without_addresses,
)
from sreval.files import sha256_bytes, sha256_or_empty, write_atomic
from sreval.images.datasets import Dataset
from sreval.methods import Running, Upscaler, method_of
from sreval.methods.base import IN_PYTHON
from sreval.methods.function import OwnCode
from sreval.methods.network import NetworkUpscaler
from sreval.metrics.protocol import Protocol
from sreval.own_code import forget_modules, is_edited

if TYPE_CHECKING:
    from sreval.metrics.lpips import Net


class NotPortableError(UsageError):
    """A method or a metric that another process can't be given."""


@dataclass(frozen=True)
class _Run:
    """What all tasks of a run have in common, for another process; ``methods`` as they were named.

    ``files`` are the hashes of what methods and metrics are read from, by path. ``path`` is where
    this process looks for modules.
    """

    plan: BenchmarkPlan
    methods: tuple[tuple[str, str | Upscaler], ...]
    datasets: tuple[Dataset, ...]
    protocols: tuple[Protocol, ...]
    metrics: tuple[str, ...]
    own_metrics: Mapping[str, tuple[str, object]]
    device: str
    trunks: dict[Net, str]
    files: dict[str, str]
    path: tuple[str, ...]

    def made(self, at: Mapping[str, Path] = {}) -> Resolved:
        """The run in this process; files that lie elsewhere here are ``at`` other paths.

        Raises ImageError, UsageError or DataError as ``Resolved.of`` does.
        """
        for folder in self.path:
            if folder not in sys.path and Path(folder).is_dir():
                sys.path.append(folder)
        forget_modules()
        running = Running(self.device, self.plan.precision, self.plan.tile)
        methods = []
        for name, one in self.methods:
            method = one if isinstance(one, Upscaler) else method_of(_moved(one, at), running)
            method.name = name
            methods.append(method)
            if not isinstance(one, Upscaler):
                for dataset in self.datasets:
                    method.prepare(dataset)
        moved = {str(path): known for known, path in at.items()}
        metrics = metrics_of([_moved(m, at) for m in self.metrics], self.device, self.own_metrics)
        for files in (*(m.files() for m in methods), *(m.files for m in metrics)):
            for path, sha256 in files.items():
                if self.files.get(moved.get(path, path), sha256) != sha256:
                    raise DataError(f"{path} has changed since this run began.", "Run it again.")
        return Resolved(
            self.plan,
            tuple(methods),
            self.datasets,
            self.protocols,
            metrics,
            self.device,
            {},
            self.trunks,
        )


def _moved(text: str, at: Mapping[str, Path]) -> str:
    """A text that names files by the paths that they have here."""
    for path, here in at.items():
        text = text.replace(path, str(here))
    return text


def described(resolved: Resolved, dumps: Callable[[Any], bytes] = pickle.dumps) -> bytes:
    """What another process makes the run of, see ``Elsewhere``.

    Raises NotPortableError for objects that ``dumps`` can't take, and for those whose code another
    process would find in another version, or not at all.
    """
    unused = {one.key for one in resolved.unused}
    run = _Run(
        resolved.plan,
        tuple((method.name, _named(method)) for method in resolved.methods),
        resolved.datasets,
        resolved.protocols,
        tuple(
            key if key in resolved.own_metrics else from_anywhere(key)
            for key in dict.fromkeys(resolved.plan.metrics)
            if key not in unused
        ),
        resolved.own_metrics,
        resolved.device,
        resolved.trunks,
        {
            path: sha256
            for files in (
                *(method.files() for method in resolved.methods),
                *(metric.files for metric in resolved.metrics),
            )
            for path, sha256 in files.items()
        },
        (str(Path.cwd()), *sys.path),
    )
    objects: dict[str, object] = {m.name: m for m in resolved.methods if _is_object(m)}
    objects |= {name or key: one for key, (name, one) in resolved.own_metrics.items()}
    try:
        data = dumps(run)
    except Exception as error:  # an object may refuse in its own way
        refused = _refused(objects, dumps)
        raise _not_sent(list(refused) or list(objects), [*refused.values(), error][0]) from None
    if objects and dumps is pickle.dumps and b"__main__" in data:
        of_program = [name for name, one in objects.items() if b"__main__" in dumps(one)]
        raise NotPortableError(
            f"{listed(of_program or list(objects))} can't be sent to another process: it is code "
            "of the program itself, not of a module.",
            "Put it into a module, and import it.",
        )
    if objects and (edited := is_edited()):
        raise NotPortableError(
            f"{listed(list(objects))} can't be sent to another process: {edited} was edited since "
            "it was imported.",
            "Start the program anew.",
        )
    return data


def _refused(objects: Mapping[str, object], dumps: Callable[[Any], bytes]) -> dict[str, Exception]:
    """The objects that can't be pickled, each with what is said of it."""
    refused = {}
    for name, one in objects.items():
        try:
            dumps(one)
        except Exception as error:
            refused[name] = error
    return refused


def _not_sent(names: list[str], error: Exception) -> NotPortableError:
    return NotPortableError(
        f"{listed(names) or 'This run'} can't be sent to another process: "
        f"{without_addresses(told(error))}.",
        "Define it in a module, outside functions and classes, and import it." if names else "",
    )


def _named(method: Upscaler) -> str | Upscaler:
    """What another process makes the method of: a text where that is all that it needs."""
    by_text = isinstance(method, OwnCode | NetworkUpscaler)
    return method.specification if by_text and not _is_object(method) else method


def _is_object(method: Upscaler) -> bool:
    return method.specification.startswith(IN_PYTHON)


_made: dict[str, Resolved] = {}
_making = threading.Lock()


def run_of(data: bytes, at: Mapping[str, Path] = {}) -> Resolved:
    """What ``described`` has described, made once in each process.

    Raises NotPortableError where its objects can't be made here.
    """
    key = sha256_bytes(data)
    with _making:
        if key not in _made:
            try:
                run = pickle.loads(data)
            except Exception as error:  # of modules that aren't here, or are others
                raise NotPortableError(
                    f"What was given in Python can't be made in another process: {told(error)}.",
                    "Install its module there, or put it into a folder on the import path.",
                ) from None
            _made.clear()  # of the run before
            _made[key] = run.made(at)
        return _made[key]


# On machines that may not see this one's files


@dataclass(frozen=True)
class Parcel:
    """A task for a process that may see none of the files here.

    ``asker`` is ``this_process`` of who asks, ``code`` its ``code_version``.
    ``run`` stands for what ``described`` gave, by its hash; ``data`` is that itself, where the
    process lacks it. ``files`` are the hashes of what the task reads, by path, and ``contents``
    what can't be seen there. ``common`` are the files of the run as a whole. ``shared`` is the
    results folder, which a process that sees it doesn't write to either: all that a task makes
    comes back with its result.
    """

    asker: tuple[str, int]
    code: str
    run: str
    task: Task
    shared: Path
    files: dict[str, str]
    common: dict[str, str]
    data: bytes = b""
    contents: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Lacking:
    """What a process needs before it can compute a task: ``run``, and these files' contents."""

    run: bool
    files: tuple[str, ...]


@dataclass(frozen=True)
class Returned:
    """A result and the files that belong to it, by their paths below the results folder."""

    result: Result
    files: dict[str, bytes]


_runs: dict[str, bytes] = {}
_kept: dict[str, Path] = {}
"""Files that were sent to this process, by their hashes: weights are sent once."""

_folder: list[tempfile.TemporaryDirectory[str]] = []


def computed(parcel: Parcel) -> Returned | Lacking | SrevalError:
    """Compute a task far away, or say what is needed for that; an error ends the run.

    Errors are returned: what an executor makes of one that is raised is its own affair.
    """
    try:
        return _computed(parcel)
    except SrevalError as error:
        return error


def _computed(parcel: Parcel) -> Returned | Lacking:
    _use_one_thread(parcel.asker)
    if code_version() != parcel.code:
        raise UsageError(
            f"A worker on {platform.node() or 'another machine'} "
            f"runs sreval {code_version()}, this machine {parcel.code}: their code or the packages "
            "below it differ, so their scores could.",
            "Install the same versions on both.",
        )
    if parcel.data:
        _runs[parcel.run] = parcel.data
    lacking = []
    at: dict[str, Path] = {}
    for path, sha256 in {**parcel.common, **parcel.files}.items():
        if path in parcel.contents:
            at[path] = _keep(path, sha256, parcel.contents[path], path in parcel.common)
        elif sha256 in _kept and _kept[sha256].is_file():
            at[path] = _kept[sha256]
        elif sha256_or_empty(Path(path)) != sha256:
            lacking.append(path)
    if lacking or parcel.run not in _runs:
        return Lacking(parcel.run not in _runs, tuple(lacking))
    resolved = run_of(_runs[parcel.run], {p: at[p] for p in parcel.common if p in at})
    _use_trunks(resolved, parcel.common, at)
    with tempfile.TemporaryDirectory(prefix="sreval-") as place:
        folder = ResultsFolder(Path(place))
        for path in parcel.files:
            if Path(path).is_relative_to(parcel.shared):
                here = Path(place) / Path(path).relative_to(parcel.shared)
                here.parent.mkdir(parents=True, exist_ok=True)
                here.write_bytes((at.get(path) or Path(path)).read_bytes())
        before = {path: path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}
        computer = Computer(_with_files(resolved, parcel.task, at), folder)
        result = computer.compute(parcel.task)
        written = {
            path.relative_to(place).as_posix(): data
            for path in sorted(Path(place).rglob("*"))
            if path.is_file() and before.get(path) != (data := path.read_bytes())
        }
        names = {place: str(parcel.shared), **{str(here): path for path, here in at.items()}}
    for path in parcel.contents:
        if path not in parcel.common:
            shutil.rmtree(at[path].parent, ignore_errors=True)
    return Returned(_named_as_there(result, names), written)


def this_process() -> tuple[str, int]:
    """What tells this process from all others: its machine's name and its number."""
    return platform.node(), os.getpid()


def _use_one_thread(asker: tuple[str, int]) -> None:
    """Let a worker's torch compute by one thread: what computes tasks abreast has the cores.

    The threads of several tasks would wait for each other at each of torch's barriers. torch keeps
    the number by thread. The process that asked, if it computes as well, stays as it is.
    """
    import torch

    if this_process() != asker and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def trunk_files(resolved: Resolved) -> dict[str, str]:
    """The hashes of the files of LPIPS's trunks that a run needs, by path."""
    if not resolved.trunks:
        return {}
    from sreval.metrics.lpips import TRUNKS

    return {str(TRUNKS[net].file()): sha256 for net, sha256 in resolved.trunks.items()}


def _use_trunks(resolved: Resolved, common: Mapping[str, str], at: Mapping[str, Path]) -> None:
    """Let LPIPS find here the trunks that were sent, or that lie where they do there."""
    if not resolved.trunks:
        return
    from sreval.metrics import weights
    from sreval.metrics.lpips import TRUNKS

    paths = {sha256: at.get(path, Path(path)) for path, sha256 in common.items()}
    for net, sha256 in resolved.trunks.items():
        if (path := paths.get(sha256)) and not (
            TRUNKS[net].is_here() and TRUNKS[net].file() == path
        ):
            weights.sent.insert(0, path.parent)


def _with_files(resolved: Resolved, task: Task, at: Mapping[str, Path]) -> Resolved:
    """The run with the files of one image where they lie here."""
    if not at:
        return resolved
    dataset = resolved.datasets[task.dataset]
    item = dataset.items[task.item]

    def here(path: Path | None) -> Path | None:
        return at.get(str(path), path) if path else None

    moved = replace(item, hr=here(item.hr), lr=here(item.lr))
    items = (*dataset.items[: task.item], moved, *dataset.items[task.item + 1 :])
    datasets = list(resolved.datasets)
    datasets[task.dataset] = replace(dataset, items=items)
    methods = tuple(method.with_sources(at) for method in resolved.methods)
    return replace(resolved, datasets=tuple(datasets), methods=methods)


def _keep(path: str, sha256: str, data: bytes, always: bool) -> Path:
    """A file that was sent, under its own ending; ``always``: until this process ends."""
    if not _folder:
        _folder.append(tempfile.TemporaryDirectory(prefix="sreval-"))
    suffix = Path(path).suffix
    own = "" if always else f"-{threading.get_ident()}"
    here = Path(_folder[0].name, f"{sha256[:32]}{own}", f"{Path(path).stem}{suffix}")
    write_atomic(here, data)
    if always:
        _kept[sha256] = here
    return here


def _named_as_there(result: Result, names: Mapping[str, str]) -> Result:
    """A result whose messages name files by their paths on the machine that asked for it."""

    def told_there(failed: Failed | None) -> Failed | None:
        if failed is None:
            return None
        return Failed(_renamed(failed.message), _renamed(failed.remedy))

    def _renamed(text: str) -> str:
        for here, there in names.items():
            text = text.replace(here, there)
        return text

    return replace(
        result,
        failed=told_there(result.failed),
        made=tuple(replace(one, failed=told_there(one.failed)) for one in result.made),
        read=(),
    )
