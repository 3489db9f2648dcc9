"""Running a benchmark: parallel over images, resumable, one bad image doesn't stop the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

import sreval
from sreval.benchmarking.names import Names
from sreval.benchmarking.plan import Resolved
from sreval.benchmarking.provenance import code_version, machine, package_versions
from sreval.benchmarking.results import MANIFEST, Held, Store, place, read_manifest
from sreval.benchmarking.work import Failure, Worker


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run: all rows of the folder, the failures, how many images were made again.

    ``asked`` are the rows of this run's own plan; the folder may hold more.
    """

    frame: pd.DataFrame
    asked: pd.DataFrame
    failures: list[Failure]
    computed: int
    reused: int


def total_images(resolved: Resolved) -> int:
    """How many SR images a plan needs: what the progress line counts to."""
    return len(resolved.methods) * sum(len(dataset.items) for dataset in resolved.datasets)


def run(
    resolved: Resolved,
    out: Path,
    progress: Callable[[int], object] = lambda _: None,
    command: str = "",
) -> Outcome:
    """Run a plan into the folder ``out``; results there that are still valid are kept.

    Rows of images that a data set no longer holds, or holds in another version, are dropped.
    ``progress`` gets the number of SR images finished since its last call.
    Raises UsageError for a data set whose name means another one in the folder, DataError
    when the folder can't be written; KeyboardInterrupt leaves a folder that
    the same call goes on from.
    """
    store = Store(out)
    try:
        names = Names(out)
        names.begin(resolved.datasets, resolved.sources)
        worker = Worker(resolved, store, names, out)
        in_parallel(worker, resolved, progress)
        held = _held(resolved, names, worker)
        for one in (held[place(d.name, d.scale)] for d in resolved.datasets):
            store.settle(one.name, one.scale, one.images)
        known = {
            "methods": names.methods(store.methods()),
            "datasets": {key: asdict(one) for key, one in held.items()},
        }
        frame = store.finish({**known, **_manifest(resolved, out, worker, command)})
    finally:
        store.close()
    return Outcome(frame, asked(frame, resolved), worker.failures, worker.computed, worker.reused)


def _held(resolved: Resolved, names: Names, worker: Worker) -> dict[str, Held]:
    """What every data set of the folder holds, as far as is known; this run's as it found them.

    Where another run's method failed on an image that is still the same, that stands.
    """
    asked = {method.name for method in resolved.methods}
    held = dict(names.datasets)
    for dataset in resolved.datasets:
        key = place(dataset.name, dataset.scale)
        images = {item.image: worker.images[dataset.name][item.image] for item in dataset.items}
        for image, before in (held[key].images if key in held else {}).items():
            now = images.get(image)
            if now and before.hr_sha256 and before.pair == now.pair:
                others = {m: why for m, why in before.failed.items() if m not in asked}
                now.failed.update(others)
        source = resolved.sources[dataset.name]
        held[key] = Held(dataset.name, dataset.scale, source, dataset.border, images)
    return held


def asked(frame: pd.DataFrame, resolved: Resolved) -> pd.DataFrame:
    """The rows of a frame that a plan asked for."""
    plan = resolved.plan
    return frame[
        frame["method"].isin([method.name for method in resolved.methods])
        & frame["dataset"].isin([dataset.name for dataset in resolved.datasets])
        & frame["protocol"].isin([protocol.name for protocol in resolved.protocols])
        & frame["metric"].isin(plan.metrics)
        & (frame["scale"] == plan.scale)
    ]


def workers(resolved: Resolved) -> int:
    """How many images are worked on at once: as many as there are cores, or as the plan says."""
    return resolved.plan.workers or _cores()


def in_parallel(worker: Worker, resolved: Resolved, progress: Callable[[int], object]) -> None:
    """Feed the images to the ``workers``, a few ahead; ``progress`` as in ``run``."""
    import torch

    jobs = ((dataset, item) for dataset in resolved.datasets for item in dataset.items)
    threads = workers(resolved)
    before = torch.get_num_threads()
    # The threads over images share the cores: torch's own would compete with them.
    torch.set_num_threads(max(1, _cores() // threads))
    try:
        with ThreadPoolExecutor(threads) as pool:
            waiting: set[Future[None]] = set()
            try:
                while True:
                    more = islice(jobs, 2 * threads - len(waiting))
                    waiting |= {pool.submit(worker.work, *job) for job in more}
                    if not waiting:
                        break
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        progress(len(resolved.methods))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _manifest(resolved: Resolved, out: Path, worker: Worker, command: str) -> dict[str, Any]:
    earlier = read_manifest(out).get("runs", []) if (out / MANIFEST).is_file() else []
    this_run = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "code": code_version(),
        "directory": str(Path.cwd()),
        "plan": resolved.plan.model_dump(mode="json", exclude={"out"}),
        "methods": {m.name: {"weights_sha256": m.weights_sha256} for m in resolved.methods},
        "pairing": {m.name: pairing for m in resolved.methods if (pairing := m.pairing())},
        "datasets": {
            d.name: {"images": len(d.items), "scale": d.scale, "border": d.border}
            for d in resolved.datasets
        },
        "protocols": {p.name: {**asdict(p), "sha256": p.sha256} for p in resolved.protocols},
        "lpips_trunks": resolved.trunks,
        "machine": machine(resolved.device),
        "packages": package_versions(),
        "computed": worker.computed,
        "reused": worker.reused,
        "failures": [asdict(failure) for failure in worker.failures],
    }
    return {"version": sreval.__version__, "runs": [*earlier, this_run]}
