"""What a benchmark run will come to: its images, its time, its place on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from sreval.benchmarking.executors import LostError, workers_here
from sreval.benchmarking.identity import Names
from sreval.benchmarking.plan import Resolved
from sreval.benchmarking.provenance import code_version
from sreval.benchmarking.results import ResultsFolder, Subject
from sreval.benchmarking.trial import SIDES, png_bytes, sr_pixels, trial
from sreval.errors import SrevalError, byte_size, counted, duration
from sreval.images.datasets import Dataset, Item
from sreval.processes import cores

Job = tuple[Dataset, Item]

_BYTES_PER_VALUE = 700
"""Of one value with its hashes in results.csv."""

_LEAST = 4
"""Times the trial's pixels that a run must have to be tried out: a shorter one is soon over."""


@dataclass(frozen=True)
class Estimate:
    """What a run will come to, before it begins.

    ``images`` of ``datasets`` data sets are to be upscaled by ``methods`` methods: ``made`` SR
    images have to be made, ``taken_over`` are there and look as if they held, which the run itself
    checks by their hashes; ``rescored`` of these lack a score. ``seconds`` of wall time, with
    ``workers`` images at once on ``device``; None where that can't be known before the first
    images. ``size`` bytes come to the
    folder ``out``, whose disk has ``free`` bytes.
    """

    images: int
    datasets: int
    methods: int
    made: int
    taken_over: int
    rescored: int
    seconds: float | None
    size: int
    workers: int
    device: str
    out: Path
    free: int

    def __str__(self) -> str:
        """As one line."""
        images = f"{counted(self.images, 'image')} of {counted(self.datasets, 'data set')}"
        made = f"{counted(self.made, 'SR image')} to make"
        unless = "(unless the images have changed)"
        kept = f", {self.taken_over} there already {unless}" if self.taken_over else ""
        anew = f", {self.rescored} of them to score" if self.rescored else ""
        text = f"{images}, {counted(self.methods, 'method')}: {made}{kept}{anew}"
        if not self.made and not self.rescored:
            return f"{text}."
        if self.seconds is None:
            took = "the time will be known after the first images"
        else:
            where = counted(self.workers, "core") if self.device == "cpu" else self.device
            took = f"about {duration(self.seconds)} on {where}"
        return f"{text}, {took}, about {byte_size(self.size)} in {self.out}."

    @property
    def warning(self) -> str:
        """What to say where the disk is too small for it, else empty."""
        if self.size <= self.free:
            return ""
        return (
            f"The disk of {self.out} has {byte_size(self.free)} free; this run needs about "
            f"{byte_size(self.size)}. Free space, or name a folder on another disk."
        )


def estimate(resolved: Resolved, out: Path, elsewhere: bool = False) -> Estimate:
    """Estimate what running ``resolved`` into the folder ``out`` takes; ``out`` isn't touched.

    Interpolation and networks are tried out on small crops of the images, with all that a run does
    to an image. A user's own function is called by the run alone, so its time isn't known before;
    nor is that of a run that is computed ``elsewhere``.
    Raises DataError for results in ``out`` that can't be read.
    """
    jobs = [(dataset, item) for dataset in resolved.datasets for item in dataset.items]
    there = _there(resolved, ResultsFolder(out))
    to_do = {
        method.name: [
            (dataset, item)
            for dataset, item in jobs
            if (dataset.name, dataset.scale, method.name, item.image) not in there
        ]
        for method in resolved.methods
    }
    lacking = {item for todo in to_do.values() for _, item in todo}
    pixels = {item: sr_pixels(item, resolved.plan.scale) for item in lacking}
    seconds, shares = (None, {}) if elsewhere else _tried_out(resolved, out, to_do, pixels)
    made = sum(map(len, to_do.values()))
    rescored = sum(
        not there.get((dataset.name, dataset.scale, method.name, item.image), True)
        for method in resolved.methods
        for dataset, item in jobs
    )
    size = (made + rescored) * len(resolved.protocols) * len(resolved.metrics) * _BYTES_PER_VALUE
    for method, todo in to_do.items():
        size += round(sum(png_bytes(i, pixels[i]) for _, i in todo) * shares.get(method, 1))
    for item in {item for todo in to_do.values() for _, item in todo if item.lr is None}:
        size += round(png_bytes(item, pixels[item]) / resolved.plan.scale**2)
    return Estimate(
        images=len(jobs),
        datasets=len(resolved.datasets),
        methods=len(resolved.methods),
        made=made,
        taken_over=len(jobs) * len(resolved.methods) - made,
        rescored=rescored,
        # a trial makes images, and says nothing of scores alone
        seconds=None if rescored else seconds,
        size=size,
        workers=_abreast(resolved, len(jobs)),
        device=resolved.device,
        out=out,
        free=_free(out),
    )


def _abreast(resolved: Resolved, images: int) -> int:
    """How many images are worked on at once by a core of its own each."""
    most = cores() if resolved.device == "cpu" else images
    return min(resolved.workers, images, most)


def _there(resolved: Resolved, folder: ResultsFolder) -> dict[Subject, bool]:
    """The SR images that an earlier run left, and whether with every score that is asked for."""
    names = Names(folder)
    alike = {method.name: names.alike(method) for method in resolved.methods}
    asked = {
        dataset.name: {
            (protocol.sha256, metric.key, resolved.identity(metric, protocol))
            for protocol in resolved.protocols
            for metric in resolved.of_image(dataset)
        }
        for dataset in resolved.datasets
    }
    now = (resolved.device.partition(":")[0], code_version())
    scores: dict[Subject, set[tuple[str, str, str]]] = {}
    for row in folder.rows():
        if (row.device, row.code) == now and row.method_sha256 in alike.get(row.method, ()):
            score = (row.protocol_sha256, row.metric, row.metric_sha256)
            scores.setdefault(row.subject, set()).add(score)
    return {
        subject: asked.get(subject[0], set()) <= found
        for subject, found in scores.items()
        if folder.sr_image(*subject).is_file()
    }


def _tried_out(
    resolved: Resolved,
    out: Path,
    to_do: Mapping[str, Sequence[Job]],
    pixels: Mapping[Item, int],
) -> tuple[float | None, dict[str, float]]:
    """The seconds of a run, and each method's PNG size as a share of the HR image's.

    Of an image without original, that of a photograph of the SR image's size counts as the HR's.
    """
    working = [method for method in resolved.methods if to_do[method.name]]
    methods = tuple(on_crops for method in working if (on_crops := method.on_crops()))
    jobs = list(dict.fromkeys(job for todo in to_do.values() for job in todo))
    total = sum(pixels[item] for _, item in jobs)
    abreast = _abreast(resolved, len(jobs))
    if not methods or total < _LEAST * abreast * sum(side**2 for side in SIDES):
        return None, {}
    tried = [
        (resolved.datasets.index(dataset), dataset.items.index(item))
        for dataset, item in jobs[:: len(jobs) // abreast][:abreast]
    ]
    attempt = partial(trial, frozenset(method.name for method in methods))
    made = sum(map(len, to_do.values()))
    try:
        # by what the run itself will be computed
        with workers_here(resolved, ResultsFolder(out), abreast, made, lambda _: None) as workers:
            _, small, large = zip(*workers.each(attempt, tried), strict=True)
    except (SrevalError, LostError):
        return None, {}  # the run says which image or method it is, and goes on with the others
    (little, few), (much, many) = (
        (fmean(one.seconds for one in side), sum(one.pixels for one in side))
        for side in (small, large)
    )
    shares = {name: fmean(one.shares[name] for one in large) for name in large[0].shares}
    per_pixel = max(0.0, (much - little) / (many - few)) if many > few else much / many
    per_image = max(0.0, little - per_pixel * few) / abreast
    done = sum(map(len, to_do.values())) / (len(working) * len(jobs))
    seconds = done * (per_image * len(jobs) + per_pixel * total)
    return (seconds if len(methods) == len(working) else None), shares


def _free(out: Path) -> int:
    """The free bytes of the disk on which a folder is, or will be."""
    out = out.absolute()
    return shutil.disk_usage(next(path for path in (out, *out.parents) if path.exists())).free
