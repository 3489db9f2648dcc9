"""The table of what methods cost, on demand beside their scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from sreval.benchmarking.costs import WARM_UP
from sreval.errors import counted
from sreval.images.scales import hr_size
from sreval.metrics.metric import in_order
from sreval.report.table import Table, method_column, table_of
from sreval.report.text import NONE
from sreval.report.values import metric_name, number


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CostTable(Table):
    """What methods cost, and what became of the others.

    ``frame`` has a row a method, every figure in full: multiply-adds of one image, seconds, memory
    in bytes. ``failures`` gives the reason by a method's name; ``unmeasured`` are the methods that
    weren't reached before an interrupt.
    """

    failures: Mapping[str, str]
    unmeasured: Sequence[str]


def cost_table(
    frame: pd.DataFrame,
    machine: Mapping[str, Any],
    packages: Mapping[str, str],
    failures: Mapping[str, str],
    unmeasured: Sequence[str],
    scores: pd.DataFrame | None = None,
    notes: Sequence[str] = (),
) -> CostTable:
    """The table of ``frame``, whose rows are those of ``benchmarking.costs.Cost``.

    ``scores`` are means of these methods, as a table of scores has them, to stand beside the costs,
    and ``notes`` what is to be said of them.
    """
    scored: dict[str, Callable[[Any], str]] = {}
    if scores is not None:
        columns = dict(list(scores.groupby(["dataset", "metric"], sort=False)))
        datasets, metrics = scores["dataset"].unique(), in_order(scores["metric"])
        for dataset, metric in product(datasets, metrics):
            if (dataset, metric) not in columns:
                continue
            means, name = columns[dataset, metric], f"{metric}_{dataset}"
            frame = frame.assign(**{name: frame["method"].map(means.set_index("method")["mean"])})
            scored[f"{metric_name(metric)} {dataset}"] = partial(_score, name, metric)
    made = table_of(
        "cost",
        _title(frame),
        frame,
        {
            "method": method_column(),
            "parameters": lambda row: _figures(row["parameters"], digits=1),
            "multiply-adds, G": lambda row: _figures(row["multiply_adds"], 1e9, least=1),
            "seconds an image": lambda row: _figures(row["seconds"]),
            "lowest to highest": lambda row: (
                f"{_figures(row['seconds_least'])} to {_figures(row['seconds_most'])}"
            ),
            "peak memory, MB": lambda row: _figures(row["memory"], 1e6),
            **scored,
        },
        [*_notes(frame, machine, packages), *notes],
        {"machine": dict(machine), "packages": dict(packages), "warm_up": WARM_UP},
    )
    return CostTable(**vars(made), failures=failures, unmeasured=unmeasured)


def _figures(value: Any, unit: float = 1, digits: int = 3, least: int = 0) -> str:
    """A number of ``unit`` to so many significant digits, never in powers of ten; a dash for none.

    ``least`` are the decimals that it has in any case.
    """
    if pd.isna(value):
        return NONE
    value = value / unit
    place = math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{max(0, least, digits - 1 - place)}f}"


def _score(name: str, metric: str, row: Any) -> str:
    return NONE if pd.isna(row[name]) else number(row[name], metric)


def _title(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    low = f"{first['width']}×{first['height']}"
    height, width = hr_size((int(first["height"]), int(first["width"])), first["scale"])
    return f"What a method costs: one image of {low} pixels enlarged to {width}×{height}"


def _notes(
    frame: pd.DataFrame, machine: Mapping[str, Any], packages: Mapping[str, str]
) -> list[str]:
    first = frame.iloc[0]
    where = f"{machine['processor']}, {counted(machine['cores'], 'core')}"
    if "gpu" in machine:
        where = f"{machine['gpu']} ({where})"
    tiles = "whole images" if pd.isna(first["tile"]) else f"tiles of {first['tile']}"
    any_network = frame["parameters"].notna().any()
    networks = f"; networks in {first['precision']}, {tiles}" if any_network else ""
    beyond = (
        "what torch allocates on the GPU" if "gpu" in machine else "resident memory of the process"
    )
    notes = [
        "Multiply-adds: convolutions, linear layers, matrix products and attention of the network "
        "as it is defined; not activations, normalisation, sums or interpolation.",
        f"Seconds: median, lowest and highest of {counted(int(first['calls']), 'call')}, after "
        f"{WARM_UP} that aren't timed; one colour image of noise at a time, 8 bits, from array to "
        "array.",
        f"Memory: {beyond}, at its peak while an image is enlarged, beyond what was held before, "
        "such as the weights.",
        f"Measured on {where}, {counted(int(first['threads']), 'thread')}{networks}; "
        f"{machine['system']}, Python {machine['python']}, torch {packages['torch']}.",
    ]
    if frame[["parameters", "multiply_adds", "memory"]].isna().any(axis=None):
        notes.append(f"{NONE}: none, or it can't be told.")
    return notes
