"""What methods cost: a table, on demand beside their scores, and the sizes of markers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from sreval.benchmarking.costs import WARM_UP
from sreval.benchmarking.identity import meaning_sha256
from sreval.benchmarking.results import Snapshot
from sreval.errors import NONE, DataError, UsageError, counted, listed, option, unknown_name
from sreval.images.scales import hr_size
from sreval.metrics.metric import in_order
from sreval.opinions.cells import plain
from sreval.opinions.sheet import read_sheet
from sreval.reading import read_json
from sreval.report import paper
from sreval.report.choices import SIZES, Size
from sreval.report.table import Table, method_column, table_of
from sreval.report.values import metric_name, number


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CostTable(Table):
    """What methods cost, and what became of the others.

    ``frame`` has a row for each method, every value in full: multiply-adds of one image, seconds,
    memory in bytes. ``failures`` gives the reason by a method's name; ``unmeasured`` are the
    methods that weren't reached before an interrupt.
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


_COLUMNS = [size.replace("-", "_") for size in SIZES]


@dataclass(frozen=True)
class Sizes:
    """One cost of each method that has any, by its name, and what is said of it.

    ``about`` says where it comes from. ``left_out`` are methods of which a cost table has a row
    that isn't theirs, ``unmeasured`` those that `sreval cost` can tell more of.
    """

    size: Size
    values: Mapping[str, float]
    about: str = ""
    left_out: Sequence[str] = ()
    unmeasured: Sequence[str] = ()

    def left_out_note(self, methods: Sequence[str]) -> str:
        """Which of these are left out, and why, by name unless all are; empty for none."""
        left = [paper.label(method) for method in methods if method in self.left_out]
        if left and len(left) == len(methods):
            if len(left) == 1:
                return (
                    "Its cost is left out: it is of another method of that name or other settings."
                )
            return "Their costs are left out: of other methods of these names or other settings."
        why = "Costs left out, which are of another method of that name or of other settings"
        return f"{why}: {listed(left)}." if left else ""


def sizes_of(frame: pd.DataFrame, size: Size, costs: CostTable | Path | None = None) -> Sizes:
    """What the methods of ``frame``, rows of one scale, cost.

    Without ``costs`` the parameters are those that the manifests hold. ``costs`` is a table that
    ``sreval cost`` made, or its CSV or JSON; of a method that isn't the one that was scored, its
    row is left out with a note. Raises UsageError where ``costs`` are needed, or of another scale,
    DataError for a file that is no such table.
    """
    if size not in SIZES:
        raise unknown_name("size", size, SIZES)
    if costs is None:
        if size != "parameters":
            raise UsageError(
                f"The results hold no {size}.",
                f"Measure {listed(named)} with `sreval cost`, and add "
                f"{option('--costs FILE', 'costs=FILE')}."
                if (named := _labels(_measurable(frame)))
                else f"Leave {option('--size')} out: `sreval cost` can measure none of these "
                "methods.",
            )
        return Sizes(size, _parameters(frame), "Area of a marker: parameters.")
    rows, machine = _read_costs(costs) if isinstance(costs, Path) else (costs.frame, costs.facts)
    first, scale = rows.iloc[0], frame["scale"].iloc[0]
    if first["scale"] != scale:
        raise UsageError(
            f"The costs are of a scale of {first['scale']:g}, the results of {scale:g}.",
            f"Measure them with {option('--scale', 'scale=')} {scale:g}.",
        )
    values, own, others = {}, set(), []
    for _, row in rows[rows["method"].isin(frame["method"])].iterrows():
        value = row[size.replace("-", "_")]
        if not _is_scored(row, frame[frame["method"] == row["method"]]):
            others.append(str(row["method"]))
            continue
        own.add(row["method"])
        if pd.notna(value) and value > 0:
            values[str(row["method"])] = float(value)
    about = f"for one image of {first['width']:.0f}×{first['height']:.0f} pixels"
    where = machine.get("gpu") or machine.get("processor") or first["device"]
    note = {
        "parameters": "",
        "multiply-adds": f" {about}",
        "seconds": f" {about}, {where}, {counted(int(first['threads']), 'thread')}",
        "memory": f" at its peak {about}, {where}",
    }
    more = [method for method in _measurable(frame) if method not in own]
    return Sizes(size, values, f"Area of a marker: {size}{note[size]}.", others, more)


def _labels(methods: Sequence[str]) -> list[str]:
    return list(map(paper.label, methods))


def _measurable(frame: pd.DataFrame) -> list[str]:
    """The methods of ``frame`` that `sreval cost` can measure: those that make images."""
    found = set()
    for folder, method, sha256 in (
        frame[["folder", "method", "method_sha256"]].drop_duplicates().to_numpy()
    ):
        meaning = Snapshot.of(Path(folder)).meanings.get(method, {}).get(sha256)
        if meaning and not meaning.specification.startswith(("hr", "published:")):
            found.add(str(method))
    return paper.sort_methods(list(found))


def _parameters(frame: pd.DataFrame) -> dict[str, float]:
    """The parameters of each method that has any, as the latest run that names it tells."""
    found: dict[str, float] = {}
    for folder, rows in frame.groupby("folder"):
        for run in Snapshot.of(Path(str(folder))).runs:
            facts = run["methods"]
            for method in set(rows["method"]) & set(facts):
                if value := facts[method].get("parameters"):
                    found[str(method)] = float(value)
    return found


def _is_scored(cost: pd.Series, rows: pd.DataFrame) -> bool:
    """Whether a row of costs is of the method that made the images of ``rows``."""
    for folder, sha256 in rows[["folder", "method_sha256"]].drop_duplicates().to_numpy():
        meaning = Snapshot.of(Path(folder)).meanings.get(cost["method"], {}).get(sha256)
        if meaning is None or meaning.sha256 != meaning_sha256(
            cost["method_sha256"], meaning.settings
        ):
            return False
    return True


def _read_costs(path: Path) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """The rows of a cost table's CSV or JSON, and what that says of the machine."""
    expected = DataError(
        f"{path} is no cost table.",
        "Write one: `sreval cost METHOD... --format csv --out costs.csv`.",
    )
    machine: Mapping[str, Any] = {}
    try:
        if path.suffix.casefold() == ".json":
            content = read_json(path)
            frame, machine = pd.DataFrame(content["rows"]), content["machine"]
        else:
            sheet = read_sheet(path)
            heads = [head.strip() for head in sheet.rows[0]]
            frame = pd.DataFrame([row for _, row in sheet.filled], columns=heads)
        frame = frame.astype(dict.fromkeys(("method", "method_sha256", "device"), str))
        frame["method"] = frame["method"].map(plain)
        for name in ("scale", "width", "height", "threads", *_COLUMNS):
            frame[name] = pd.to_numeric(frame[name])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise expected from error
    if frame.empty or frame["method"].duplicated().any() or not isinstance(machine, Mapping):
        raise expected
    return frame, machine
