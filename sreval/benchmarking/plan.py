"""What a benchmark run is asked to do, from the command line or from one TOML file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from sreval.benchmarking.metrics import metrics_of
from sreval.config import Config, UserPath
from sreval.devices import Precision, free_memory, pick_device
from sreval.errors import SrevalError, UnknownNameError, UsageError, counted, listed, option, shown
from sreval.files import sha256_file
from sreval.images.datasets import Dataset, open_dataset
from sreval.images.degradations import Degradation, open_degradation
from sreval.images.known import known_set, unverified_set
from sreval.images.scales import UpscalingFactor
from sreval.methods import LEAST_TILE, Running, Upscaler, method_of
from sreval.metrics.metric import LIBRARY, METRICS, Metric, without_reference
from sreval.metrics.protocol import Protocol, get_protocol
from sreval.own_code import forget_modules
from sreval.processes import cores

if TYPE_CHECKING:
    import pandas as pd

    from sreval.metrics.lpips import Net


PROCESS_BYTES = 300 * 2**20
"""What a worker process holds beside what it has in common with others: torch, and a photograph."""

_NAME_BYTES = 200
"""Of a method or a data set, whose names are those of folders."""


class BenchmarkPlan(Config):
    """A run: every method on every data set, every metric under every protocol."""

    methods: list[str] = Field(min_length=1)
    """As `--method` takes them."""
    datasets: list[str] = Field(min_length=1)
    """As `--dataset` takes them."""
    protocols: list[str] = Field(default=["ledig2017"], min_length=1)
    """Any of `ledig2017`, `matlab`, `rgb`."""
    metrics: list[str] = Field(default=["psnr", "ssim"], min_length=1)
    """As `--metric` takes them."""
    scale: UpscalingFactor = 4
    """The upscaling factor."""
    degrade: str | None = None
    """The recipe that makes LR images, as `--degrade` takes it; absent: published or by bicubic."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """In place of the recipe's own."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    precision: Precision = "fp32"
    """In which networks compute."""
    tile: int | None = Field(default=None, ge=LEAST_TILE)
    """Side of their tiles in LR pixels; absent: whole images."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Images worked on at once; absent: one for each core."""
    out: UserPath | None = None
    """The results folder."""


@dataclass(frozen=True)
class Resolved:
    """A plan whose every name has been found: what the run works with.

    ``sources`` say by a data set's name where it comes from: a public one's own name, or the folder
    of the HR images, of the LR images where there are no others. ``metrics`` are ready to be
    computed, ``unused`` those that were asked for and that no data set can have, see ``applying``;
    ``trunks`` are the SHA-256 of LPIPS's trunks, as far as they are needed. ``own`` and
    ``own_metrics`` are the objects that were given for texts of the plan, see ``of``.
    """

    plan: BenchmarkPlan
    methods: tuple[Upscaler, ...]
    datasets: tuple[Dataset, ...]
    protocols: tuple[Protocol, ...]
    metrics: tuple[Metric, ...]
    device: str
    sources: dict[str, str]
    trunks: dict[Net, str]
    unused: tuple[Metric, ...] = ()
    own: Mapping[str, tuple[str, object]] = field(default_factory=dict)
    own_metrics: Mapping[str, tuple[str, object]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        plan: BenchmarkPlan,
        own: Mapping[str, tuple[str, object]] = {},
        own_metrics: Mapping[str, tuple[str, object]] = {},
        images: Callable[[int], object] = lambda number: None,
    ) -> Resolved:
        """Find everything a plan names, before any work is done.

        ``own`` holds a name and an object, see ``method_of``, for what the plan's ``methods`` call
        so, ``own_metrics`` the same for its ``metrics``, see ``metrics_of``. ``images`` is told how
        many SR images are needed, before torch is loaded. Raises UsageError or DataError for the
        first name that is unknown or given twice, for a method that can't serve a data set, and for
        a metric that says nothing of one.
        """
        protocols = tuple(get_protocol(name) for name in dict.fromkeys(plan.protocols))
        specs = list(dict.fromkeys(plan.datasets))
        recipe = recipe_of(plan.degrade, plan.seed)
        datasets = tuple(open_dataset(spec, plan.scale, recipe) for spec in specs)
        images(len(plan.methods) * sum(len(dataset.items) for dataset in datasets))
        device = pick_device(plan.device)
        methods = find_methods(plan.methods, own, Running(device, plan.precision, plan.tile))
        _check_names("data set", [dataset.name for dataset in datasets], "Rename one.")
        for dataset in datasets:
            if dataset.scale != plan.scale:
                raise UsageError(
                    f"{dataset.name} has scale {dataset.scale:g}, but the plan has {plan.scale:g}.",
                    f"Run it with a scale of {dataset.scale:g}.",
                )
            for method in methods:
                method.prepare(dataset)
        # before weights are missed that are of no use
        known = {**METRICS, **LIBRARY}
        asked = dict.fromkeys(plan.metrics)
        ours = [known[key] for key in asked if key in known and key not in own_metrics]
        for metric in ours:
            _check_size(metric, datasets)
        if len(ours) == len(asked):
            _check_per_image(ours, datasets)
        unused = [one for one in ours if not any(applying([one], d) for d in datasets)]
        useful = [key for key in asked if key not in {one.key for one in unused}]
        metrics = metrics_of(useful, device, own_metrics)
        _check_per_image((*metrics, *unused), datasets)
        trunks = _trunks(metrics, protocols, device)
        sources = {d.name: _source(spec, d) for spec, d in zip(specs, datasets, strict=True)}
        return cls(
            plan,
            methods,
            datasets,
            protocols,
            metrics,
            device,
            sources,
            trunks,
            tuple(unused),
            own,
            own_metrics,
        )

    @property
    def images(self) -> int:
        """How many SR images it needs."""
        return len(self.methods) * sum(len(dataset.items) for dataset in self.datasets)

    def of_image(self, dataset: Dataset) -> list[Metric]:
        """The metrics of single images that a data set can have; see ``applying``."""
        return applying([one for one in self.metrics if one.per == "image"], dataset)

    def of_set(self, dataset: Dataset) -> list[Metric]:
        """The metrics of the whole of a data set that it can have."""
        return applying([one for one in self.metrics if one.per == "set"], dataset)

    def identity(self, metric: Metric, protocol: Protocol) -> str:
        """What stands in the rows as ``metric_sha256``: for LPIPS its trunk's SHA-256."""
        net = metric.trunk_under(protocol)
        return self.trunks[net] if net else metric.sha256

    @property
    def workers(self) -> int:
        """How many images are worked on at once: as the plan says, or as many as cores.

        Without a word of the plan no more than the memory has room for, where each is worked on by
        a process of its own.
        """
        if self.plan.workers:
            return self.plan.workers
        room = free_memory("cpu") if self.device == "cpu" else None
        most = max(1, room // PROCESS_BYTES) if room is not None else cores()
        return min(cores(), most)

    def asked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame that it asks for."""
        return frame[
            frame["method"].isin([method.name for method in self.methods])
            & frame["dataset"].isin([dataset.name for dataset in self.datasets])
            & frame["protocol"].isin([protocol.name for protocol in self.protocols])
            & frame["metric"].isin([metric.key for metric in self.metrics])
            & (frame["scale"] == self.plan.scale)
        ]


def applying(metrics: Sequence[Metric], dataset: Dataset) -> list[Metric]:
    """Those that can be computed: where there are no originals, those without a reference."""
    return [one for one in metrics if dataset.has_originals or not one.reference]


def find_methods(
    specs: Sequence[str],
    own: Mapping[str, tuple[str, object]],
    running: Running,
    failed: Callable[[str, SrevalError], object] | None = None,
) -> tuple[Upscaler, ...]:
    """The methods of ``specs``, each once; ``own`` as in ``Resolved.of``.

    Raises UsageError for a name that is unknown or given twice, WeightsError for weights that can't
    be read. ``failed``, where it is given, is told instead which known method can't be opened, and
    the others are returned.
    """
    forget_modules()
    methods = []
    for spec in dict.fromkeys(specs):
        name, method = own.get(spec, ("", spec))
        try:
            methods.append(method_of(method, running, name))
        except SrevalError as error:
            if failed is None or isinstance(error, UnknownNameError):
                raise
            failed(spec, error)
    _check_names("method", [method.name for method in methods], "Write NAME=METHOD.")
    return tuple(methods)


def recipe_of(degrade: str | Path | None, seed: int | None) -> Degradation | None:
    """The recipe that a user named, None without one.

    Raises UsageError as ``open_degradation`` does, and for a seed without a recipe.
    """
    if degrade is not None:
        return open_degradation(degrade, seed)
    if seed is not None:
        degrade_option = option("--degrade RECIPE", "degrade")
        raise UsageError(
            f"A seed of {seed} is given, and no degradation that draws from it.",
            f"Add {degrade_option}, or leave the seed out.",
        )
    return None


def _check_size(metric: Metric, datasets: Sequence[Dataset]) -> None:
    """Refuse data sets of which a metric would say nothing."""
    for dataset in datasets:
        if applying([metric], dataset) and len(dataset.items) < metric.least_images:
            raise UsageError(
                f"{metric.name} of {dataset.name} would mean nothing: it has "
                f"{counted(len(dataset.items), 'image')}, and {metric.name} needs at least "
                f"{metric.least_images:,}.",
                "Leave the metric out, or take a larger data set.",
            )


def _check_per_image(metrics: Sequence[Metric], datasets: Sequence[Dataset]) -> None:
    """Refuse data sets without any metric of single images, by whose rows images are taken over."""
    for dataset in datasets:
        found = applying(metrics, dataset)
        if all(one.per == "set" for one in found) and not dataset.has_originals:
            raise UsageError(
                f"{dataset.name} has LR images alone, and "
                f"{listed([metric.name for metric in metrics if metric not in found])} "
                "can't be computed without originals.",
                f"Add {option('--metric', 'metrics=')} with one that needs none: "
                f"{without_reference()}.",
            )
    if all(metric.per == "set" for metric in metrics):
        raise UsageError(
            f"{metrics[0].name} is of a whole data set, and no metric of single images is named, "
            "by whose scores a run knows what it has made.",
            "Add one, such as psnr.",
        )


def _trunks(
    metrics: Sequence[Metric], protocols: Sequence[Protocol], device: str
) -> dict[Net, str]:
    """The SHA-256 of each trunk that is looked through, all of them loaded."""
    nets = [metric.trunk_under(protocol) for metric in metrics for protocol in protocols]
    if not any(nets):
        return {}
    from sreval.metrics.lpips import TRUNKS

    trunks = {net: sha256_file(TRUNKS[net].file()) for net in nets if net}
    for net in trunks:
        TRUNKS[net].load(device)
    return trunks


def _source(spec: str, dataset: Dataset) -> str:
    public = known_set(spec) or unverified_set(spec)
    first = dataset.items[0]
    return public.name if public else str(first.folder_of(first.file).resolve())


def _check_names(kind: str, names: list[str], remedy: str) -> None:
    """Refuse twins, and names that no folder of images could have."""
    for name in names:
        plain = name.strip(".") and not {"/", "\\", "\0"} & set(name)
        if not plain or len(os.fsencode(name)) > _NAME_BYTES:
            raise UsageError(f"No {kind} can be called {shown(name)}.", "Give it a plain name.")
        if names.count(name) > 1:
            raise UsageError(f"Two {kind}s are called {name!r}.", remedy)
