"""Figures of docs/explanation/statistics.md, drawn from the committed results of simulations.

Writes coverage.svg and crossed.svg beside the results, each where all its results are there.

Example: python -m benchmarks.charts
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.timing import ROOT
from sreval.report.style import (
    PAGE_MM,
    describe,
    house_style,
    look,
    new_figure,
    save_figure,
    write_caption,
)

RESULTS = ROOT / "benchmarks" / "results"
INTERVALS = ("crossed", "raters", "images", "crowdmos", "bootstrap")
LEVELS = ("quality 3.0", "quality 1.3", "mean score 1.1")
TESTS = ("crossed", "raters", "images")

Result = Mapping[str, Any]


@house_style()
def coverage_figure(results: Sequence[Result]) -> Figure:
    """How often each 95 % interval of a MOS covers: a panel for each level and number of images."""
    cells = [
        _sized(row)
        for result in results
        for row in result["found"]
        if row["part"] in LEVELS and row["name"] in INTERVALS
    ]
    images = sorted({cell["images"] for cell in cells})
    figure = new_figure(PAGE_MM, 130)
    grid = figure.subplots(len(LEVELS), len(images), squeeze=False, sharex=True, sharey=True)
    for line, level in zip(grid, LEVELS, strict=True):
        for axes, n in zip(line, images, strict=True):
            for index, name in enumerate(INTERVALS):
                own = [
                    (cell["raters"], 100 * cell["share"])
                    for cell in cells
                    if (cell["part"], cell["name"], cell["images"]) == (level, name, n)
                ]
                _line(axes, own, index, name)
            axes.axhline(95, color="black", linewidth=0.6, linestyle="--")
            axes.set_title(f"{level}, {n} images")
            axes.set_ylim(85, 101)
    for axes in grid[-1]:
        axes.set_xlabel("raters")
    _finish(figure, grid, "covered, %")
    write_caption(
        figure,
        "Share of simulated studies in which a 95 % interval of the MOS holds what it is about. "
        f"Dashed: 95 %. {_origin(results)}",
    )
    return describe(figure, "Coverage of the intervals of a MOS")


@house_style()
def crossed_figure(results: Sequence[Result]) -> Figure:
    """How often each test finds a difference: where none is, by the effects that exist; power."""
    rows = [row for result in results for row in result["found"]]
    size = [row for row in rows if not row["difference"] and row["seen"] == "all"]
    power = [row for row in rows if row["difference"]]
    effects = list(dict.fromkeys(row["effects"] for row in size))
    plans = sorted({(row["raters"], row["images"]) for row in size})
    figure = new_figure(PAGE_MM, 120)
    grid = figure.subplots(2, len(effects), squeeze=False, sharey="row")
    for axes, effect in zip(grid[0], effects, strict=True):
        own = [row for row in size if row["effects"] == effect]
        for index, name in enumerate(TESTS):
            found = [(plans.index((r["raters"], r["images"])), _share(r, name)) for r in own]
            _line(axes, found, index, name)
        axes.axhline(5, color="black", linewidth=0.6, linestyle="--")
        axes.set_title(f"effects: {effect}")
        axes.set_xticks(range(len(plans)), [f"{r}×{i}" for r, i in plans], rotation=90)
    designs = sorted({_design(row) for row in power})
    for axes, design in zip(grid[1], designs, strict=True):
        own = [row for row in power if _design(row) == design]
        for index, name in enumerate(TESTS):
            _line(axes, [(row["difference"], _share(row, name)) for row in own], index, name)
        axes.set_title(f"{design[0]}×{design[1]}, seen {design[2]}")
        axes.set_xlabel("difference, points")
    grid[1][0].set_ylim(-3, 103)
    _finish(figure, grid, "found, %")
    write_caption(
        figure,
        "Share of simulated studies in which a test at 0.05 finds a difference. Above: there is "
        "none, every rater sees all; raters×images, by whether raters or images favour a method. "
        f"Dashed: 5 %. Below: power, with both effects. {_origin(results)}",
    )
    return describe(figure, "Size and power of the tests of two methods")


def draw_figures(folder: Path) -> list[Path]:
    """Draw what ``folder`` has all results of; the files that were written."""
    written = []
    for name, (figure, sources) in FIGURES.items():
        paths = [folder / f"{source}.json" for source in sources]
        if all(path.exists() for path in paths):
            results = [json.loads(path.read_text("utf-8")) for path in paths]
            save_figure(figure(results), folder / f"{name}.svg")
            written.append(folder / f"{name}.svg")
    return written


FIGURES: dict[str, tuple[Callable[[Sequence[Result]], Figure], tuple[str, ...]]] = {
    "coverage": (coverage_figure, ("coverage", "coverage_crossed")),
    "crossed": (crossed_figure, ("crossed",)),
}
"""Each figure by its file's name, and the results that it is drawn from."""


def _origin(results: Sequence[Result]) -> str:
    """When and of which commit the results are, so that a stale figure can be told."""
    commits = (f"{result['date'][:10]}, commit {result['commit']}" for result in results)
    return f"Simulated {' and '.join(commits)}."


def _design(row: Mapping[str, Any]) -> tuple[int, int, str]:
    return row["raters"], row["images"], row["seen"]


def _share(row: Mapping[str, Any], name: str) -> float:
    return float(100 * row["found"][name][0])


def _sized(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of coverage with its raters and images as numbers."""
    raters, _, _, images, _ = row["where"].split()
    return {**row, "raters": int(raters), "images": int(images)}


def _line(axes: Axes, points: Sequence[tuple[float, float]], index: int, name: str) -> None:
    if points:
        x, y = zip(*sorted(points), strict=True)
        axes.plot(x, y, linewidth=0.8, markersize=3, label=name, **look(index))


def _finish(figure: Figure, grid: Any, y: str) -> None:
    """One legend, and the name of the y axis at the left alone."""
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", frameon=False, ncols=len(labels))
    for line in grid:
        line[0].set_ylabel(y)


def main() -> None:
    """Draw into the folder of the results."""
    for path in draw_figures(RESULTS):
        print(path)


if __name__ == "__main__":
    main()
