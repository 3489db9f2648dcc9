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
import torch

import sreval
from sreval.benchmark.plan import Resolved
from sreval.benchmark.provenance import code_version, machine, package_versions
from sreval.benchmark.results import MANIFEST, Store, read_manifest
from sreval.benchmark.work import Failure, Worker
from sreval.metrics.lpips import Net, trunk_sha256


@dataclass(frozen=True)
class Outcome:
    """What a run came to: all rows of the folder, the failures, how many images were made anew.

    ``asked`` are the rows of this run's own plan; the folder may hold more.
    """

    frame: pd.DataFrame
    asked: pd.DataFrame
    failures: list[Failure]
    computed: int
    reused: int


def total_images(resolved: Resolved) -> int:
    """How many SR images a plan comes to: what the progress line counts to."""
    return len(resolved.methods) * sum(len(dataset.items) for dataset in resolved.datasets)


def run(
    resolved: Resolved,
    out: Path,
    progress: Callable[[int], object] = lambda _: None,
    command: str = "",
) -> Outcome:
    """Run a plan into the folder ``out``; what is there and still holds is taken over.

    ``progress`` is told how many SR images have been dealt with since it was last told.
    Raises DataError when the folder can't be written; KeyboardInterrupt leaves a folder that
    the same call goes on from.
    """
    store = Store(out)
    worker = Worker(resolved, store, out)
    try:
        _in_parallel(worker, resolved, progress)
        frame = store.finish(_manifest(resolved, out, worker, command))
    finally:
        store.close()
    asked = _asked(frame, resolved)
    return Outcome(frame, asked, worker.failures, worker.computed, worker.reused)


def _asked(frame: pd.DataFrame, resolved: Resolved) -> pd.DataFrame:
    plan = resolved.plan
    return frame[
        frame["method"].isin([method.name for method in resolved.methods])
        & frame["dataset"].isin([dataset.name for dataset in resolved.datasets])
        & frame["protocol"].isin([protocol.name for protocol in resolved.protocols])
        & frame["metric"].isin(plan.metrics)
        & (frame["scale"] == plan.scale)
    ]


def _in_parallel(worker: Worker, resolved: Resolved, progress: Callable[[int], object]) -> None:
    """Feed the images to as many threads as there are cores, a few ahead."""
    jobs = ((dataset, item) for dataset in resolved.datasets for item in dataset.items)
    threads = resolved.plan.workers or _cores()
    before = torch.get_num_threads()
    # One image a core beats all cores on one image: nothing is left to wait for.
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
    nets: set[Net] = {
        "vgg" if metric == "lpips-vgg" else protocol.lpips_net
        for metric in resolved.plan.metrics
        for protocol in resolved.protocols
        if metric.startswith("lpips")
    }
    this_run = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "code": code_version(),
        "plan": resolved.plan.model_dump(mode="json", exclude={"out"}),
        "methods": {m.name: {"weights_sha256": m.weights_sha256} for m in resolved.methods},
        "pairing": {m.name: pairing for m in resolved.methods if (pairing := m.pairing())},
        "datasets": {
            d.name: {"images": len(d.items), "scale": d.scale, "border": d.border}
            for d in resolved.datasets
        },
        "protocols": {p.name: {**asdict(p), "sha256": p.sha256} for p in resolved.protocols},
        "lpips_trunks": {net: trunk_sha256(net) for net in sorted(nets)},
        "machine": machine(resolved.device),
        "packages": package_versions(),
        "computed": worker.computed,
        "reused": worker.reused,
        "failures": [asdict(failure) for failure in worker.failures],
    }
    return {"version": sreval.__version__, "runs": [*earlier, this_run]}
