"""The work on one image: read the pair, run the methods, keep and score what they make."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval.benchmark.pairs import Pair, read_pair
from sreval.benchmark.plan import Resolved
from sreval.benchmark.provenance import code_version
from sreval.benchmark.results import Row, Store, Subject
from sreval.errors import ImageError
from sreval.files import sha256_bytes, sha256_file, write_atomic
from sreval.images.datasets import Dataset, Item
from sreval.images.io import encode_png, read_image
from sreval.images.pairs import CROPPED
from sreval.metrics.protocol import Protocol
from sreval.metrics.scorer import Reference
from sreval.upscalers import Upscaler

UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Failure:
    """An image that a method could not be scored on, and why."""

    dataset: str
    image: str
    method: str
    reason: str


class Worker:
    """Does one image after another with all methods; called from several threads."""

    def __init__(self, resolved: Resolved, store: Store, out: Path) -> None:
        """Rows go to ``store``, images below ``out``."""
        self._resolved, self._store, self._out = resolved, store, out
        self._code = code_version()
        self._writing = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self.failures: list[Failure] = []
        self.computed = 0
        self.reused = 0

    def work(self, dataset: Dataset, item: Item) -> None:
        """All methods on one image; failures are kept in ``failures``, not raised."""
        try:
            pair = read_pair(dataset, item, self._inputs(dataset))
        except ImageError as error:
            for method in self._resolved.methods:
                self._fail(dataset, item, method, error)
            return
        reference = Reference(pair.hr, dataset.scale, self._resolved.device)
        for method in self._resolved.methods:
            try:
                self._one(dataset, item, method, pair, reference)
            except ImageError as error:
                self._fail(dataset, item, method, error)

    def _fail(self, dataset: Dataset, item: Item, method: Upscaler, error: ImageError) -> None:
        with self._writing:
            self._store.drop((dataset.name, dataset.scale, method.name, item.image))
            self.failures.append(Failure(dataset.name, item.image, method.name, str(error)))

    def _one(
        self, dataset: Dataset, item: Item, method: Upscaler, pair: Pair, reference: Reference
    ) -> None:
        """One method on one image: whatever an earlier run left that still holds is taken over."""
        subject: Subject = (dataset.name, dataset.scale, method.name, item.image)
        stamp = sha256_bytes(f"{method.fingerprint(item)}|{method.weights_sha256}".encode())
        path = self._sr_path(subject)
        kept = self._kept(subject, (pair.lr_sha256, pair.hr_sha256, stamp), path)
        missing = {
            (protocol, metric)
            for protocol in self._resolved.protocols
            for metric in self._resolved.plan.metrics
            if (protocol.sha256, metric) not in kept
        }
        if not missing:
            with self._writing:
                self.reused += 1
            return
        sr = read_image(path) if kept else self._make(dataset, item, method, pair.lr, path)
        protocols, metrics = _asked(self._resolved, missing)
        scores = reference.score(sr, protocols, metrics)
        sr_sha256 = sha256_file(path)
        by_name = {protocol.name: protocol for protocol in protocols}
        rows = [
            Row(
                method=method.name,
                dataset=dataset.name,
                image=item.image,
                scene=item.scene,
                protocol=score.protocol,
                metric=score.metric,
                value=score.value,
                note="; ".join(note for note in (score.note, pair.cropped and CROPPED) if note),
                scale=dataset.scale,
                lr_sha256=pair.lr_sha256,
                sr_sha256=sr_sha256,
                hr_sha256=pair.hr_sha256,
                weights_sha256=method.weights_sha256,
                method_sha256=stamp,
                protocol_sha256=by_name[score.protocol].sha256,
                code=self._code,
            )
            for score in scores
            if (by_name[score.protocol], score.metric) in missing
        ]
        with self._writing:
            self._store.add(rows)
            self.computed += 1

    def _kept(
        self, subject: Subject, inputs: tuple[str, str, str], path: Path
    ) -> set[tuple[str, str]]:
        """Which (protocol hash, metric) of an SR image still hold from an earlier run."""
        with self._writing:
            rows = self._store.rows(subject)
        if not rows or not path.is_file():
            return set()
        if rows[0].origin != (*inputs, sha256_file(path), self._code):
            return set()
        return {(row.protocol_sha256, row.metric) for row in rows}

    def _make(self, dataset: Dataset, item: Item, method: Upscaler, lr: UInt8, path: Path) -> UInt8:
        with nullcontext() if method.parallel else self._one_at_a_time:
            sr = method.upscale(lr, dataset.scale, item)
        write_atomic(path, encode_png(sr))
        return sr

    def _inputs(self, dataset: Dataset) -> Path:
        return self._out / "inputs" / f"{dataset.name}_x{dataset.scale}"

    def _sr_path(self, subject: Subject) -> Path:
        dataset, scale, method, image = subject
        return self._out / "images" / f"{dataset}_x{scale}" / method / f"{image}.png"


def _asked(
    resolved: Resolved, missing: set[tuple[Protocol, str]]
) -> tuple[list[Protocol], list[str]]:
    """The protocols and metrics that any missing value needs, in the plan's order."""
    protocols = [p for p in resolved.protocols if any(p == protocol for protocol, _ in missing)]
    metrics = [m for m in resolved.plan.metrics if any(m == metric for _, metric in missing)]
    return protocols, metrics
