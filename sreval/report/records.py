"""Every figure of a result table, for machines: records, CSV, JSON."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sreval.files import json_text
from sreval.opinions.cells import guarded
from sreval.report.cells import Table


def records(table: Table) -> list[dict[str, Any]]:
    """Every figure with its interval, one record per (data set, metric, method)."""
    return [
        {
            "dataset": line.dataset,
            "metric": line.metric,
            "method": method,
            "n": cell.n,
            "unit": line.unit,
            "mean": cell.mean,
            "low": cell.low,
            "high": cell.high,
            "level": table.level,
            "rank": cell.rank,
            "mark": cell.mark,
            "paper": cell.paper,
            "simulated": line.simulated,
            "study": line.study,
        }
        for line in table.lines
        for method, cell in line.cells.items()
        if cell is not None
    ]


_TEST = (
    "dataset", "metric", "first", "second", "n", "mean_difference", "w_plus", "w_minus", "p",
    "p_holm", "method", "rank_biserial", "least_p", "least_p_holm", "significant", "too_small",
)  # fmt: skip
"""The columns of a file of tests, also of one that holds none."""


def tests_frame(table: Table) -> pd.DataFrame:
    """Every paired test, one row each."""
    return pd.DataFrame(comparison_records(table), columns=list(_TEST))


def comparison_records(table: Table) -> list[dict[str, Any]]:
    """Every paired test, one record each."""
    return [
        {
            "dataset": c.dataset,
            "metric": c.metric,
            "first": c.first,
            "second": c.second,
            "n": c.test.n,
            "mean_difference": c.difference,
            "w_plus": c.test.w_plus,
            "w_minus": c.test.w_minus,
            "p": c.test.p,
            "p_holm": c.verdict.p_adjusted,
            "method": c.test.method,
            "rank_biserial": c.test.rank_biserial,
            "least_p": c.test.least_p,
            "least_p_holm": c.verdict.least_p_adjusted,
            "significant": c.verdict.significant,
            "too_small": c.verdict.too_small,
        }
        for c in table.comparisons
    ]


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV whose text no spreadsheet takes for a formula."""

    def safe(value: object) -> object:
        return guarded(value) if isinstance(value, str) else value

    plain = frame.rename(columns=lambda name: guarded(str(name)))
    for place, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            plain = plain.assign(**{plain.columns[place]: frame.iloc[:, place].map(safe)})
    return str(plain.to_csv(index=False, lineterminator="\n"))


def table_frame(table: Table) -> pd.DataFrame:
    """The figures, one row per (data set, metric, method)."""
    return pd.DataFrame(records(table)).assign(protocol=table.protocol, scale=table.scale)


def to_csv(table: Table) -> str:
    """The figures as tidy CSV, one row per (data set, metric, method)."""
    return csv_text(table_frame(table))


def to_json(table: Table) -> str:
    """Everything the table says; infinite and missing values as strings and null."""
    content = {
        "title": table.title,
        "protocol": table.protocol,
        "scale": table.scale,
        "figures": records(table),
        "comparisons": comparison_records(table),
        "notes": table.notes,
    }
    return json_text(content) + "\n"
