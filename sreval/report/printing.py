"""The rows of a result table as they are printed, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sreval.report.cells import DIGITS, NAMES, Cell, Line, Table
from sreval.report.digits import fixed


@dataclass(frozen=True)
class Printed:
    """One figure as printed: its text, its rank (1 best, 2 second) and its mark."""

    text: str
    rank: int = 0
    mark: str = ""


@dataclass(frozen=True)
class PrintedRow:
    """One row: the data set (only on its first row), what it shows, a figure per method."""

    dataset: str
    label: str
    kind: Literal["value", "interval", "paper"]
    cells: list[Printed]


def number(value: float, metric: str) -> str:
    """A value with the digits its metric warrants; ∞ for identical images, – for none."""
    if math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else fixed(value, DIGITS[metric])


def printed_rows(table: Table) -> Iterator[PrintedRow]:
    """The table's rows from top to bottom: value, interval, and the paper's if asked for."""
    previous = ""
    for line in table.lines:
        head = line.dataset if line.dataset != previous else ""
        previous = line.dataset
        cells = [line.cells.get(method) for method in table.methods]
        if line.metric == "mos" and all(cell is None or cell.n == 0 for cell in cells):
            yield PrintedRow(
                head, f"{NAMES[line.metric]}, paper", "paper", _paper_figures(cells, line)
            )
            continue
        values = [
            Printed(number(c.mean, line.metric), c.rank, c.mark) if c else Printed("–")
            for c in cells
        ]
        label = NAMES[line.metric] + (f", {line.study}" if line.study else "")
        label += ", simulated" if line.simulated else ""
        yield PrintedRow(head, label, "value", values)
        yield PrintedRow("", "", "interval", [Printed(_interval(c, line.metric)) for c in cells])
        theirs = _paper_figures(cells, line)
        if any(figure.text for figure in theirs):
            yield PrintedRow("", "paper", "paper", theirs)


def _paper_figures(cells: list[Cell | None], line: Line) -> list[Printed]:
    return [
        Printed("" if cell is None or cell.paper is None else number(cell.paper, line.metric))
        for cell in cells
    ]


def _interval(cell: Cell | None, metric: str) -> str:
    if cell is None or not math.isfinite(cell.mean):
        return ""
    if math.isnan(cell.low) or math.isnan(cell.high):
        return "–"
    return f"{number(cell.low, metric)}–{number(cell.high, metric)}"


def pad_right(cell: Printed, row: PrintedRow, pad: str) -> str:
    """The padding after a right-aligned figure that aligns all figures at the point."""
    if row.kind == "interval" or not cell.text:
        return ""
    most = max(DIGITS.values())
    _, point, decimals = cell.text.partition(".")
    return pad * (most - len(decimals) + (not point))
