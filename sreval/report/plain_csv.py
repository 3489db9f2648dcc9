"""A frame as pandas writes it, where there are millions of rows of few different cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pandas as pd

from sreval.opinions.arrays import Codes

_CHUNK = 100_000
"""pandas writes so many cells at a time, and the times among them with digits that suit all."""


def to_csv(frame: pd.DataFrame) -> bytes:
    """``frame.to_csv(index=False, lineterminator="\\n")`` in UTF-8, the same bytes.

    Each different cell is written once. What this can't promise for, pandas writes.
    """
    rows = max(_CHUNK // max(frame.shape[1], 1), 1)
    columns = [_cells(frame.iloc[:, place], rows) for place in range(frame.shape[1])]
    known = [cells for cells in columns if cells is not None]
    if frame.empty or len(known) < len(columns) or len(known) < 2:
        return frame.to_csv(index=False, lineterminator="\n").encode()
    lines = map(",".join, zip(*known, strict=True))
    return "\n".join([",".join(_quoted(map(str, frame.columns))), *lines, ""]).encode()


def _cells(column: pd.Series, rows: int) -> list[str] | None:
    """The cells of a column, or None for one whose cells depend on their neighbours."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return _times(column, rows)
    codes: Codes
    if column.dtype in (np.float64, np.int64, np.bool_):
        values = column.to_numpy()
        # by their bits, for -0.0 is written differently from 0.0
        bits = values.view(np.int64) if values.dtype == np.float64 else values
        codes, different = pd.factorize(bits)
        plain = different.view(values.dtype).tolist()
        texts = ["" if value != value else str(value) for value in plain]
        return _at(codes, texts)
    codes, names = pd.factorize(column.to_numpy(dtype=object))
    if not all(isinstance(name, str) for name in names):
        return None
    return _at(codes, [*_quoted(names), ""])


def _at(codes: Codes, cells: list[str]) -> list[str]:
    found: list[str] = np.array(cells, dtype=object)[codes].tolist()
    return found


def _quoted(texts: Iterable[str]) -> list[str]:
    """Texts as cells, in quotes where they need them."""
    made: list[str] = []
    writer = csv.writer(SimpleNamespace(write=made.append), lineterminator="\n")
    writer.writerows((text, "") for text in texts)
    return [cell.removesuffix(",\n") for cell in made]


def _times(column: pd.Series, rows: int) -> list[str] | None:
    """Times in UTC, where pandas writes all of them to the same digit."""
    if str(column.dt.tz) != "UTC" or column.dt.unit not in ("s", "ms", "us"):
        return None
    times = column.dt.tz_localize(None).to_numpy("datetime64[us]")
    there = ~np.isnat(times)
    since = np.where(there, times.view(np.int64), 1)
    starts = np.arange(0, len(times), rows)
    digits = np.select([since % 1000 != 0, since % 1_000_000 != 0], [2, 1], 0) * there
    levels = np.maximum.reduceat(digits, starts)[np.logical_or.reduceat(there, starts)]
    days = np.logical_and.reduceat((since % 86_400_000_000 == 0) | ~there, starts)
    if len(set(levels.tolist())) > 1 or (days & np.logical_or.reduceat(there, starts)).any():
        return None
    units: list[Literal["s", "ms", "us"]] = ["s", "ms", "us"]
    texts = np.datetime_as_string(times, unit=units[max(levels.tolist(), default=0)])
    return [
        f"{text[:10]} {text[11:]}+00:00" if known else ""
        for text, known in zip(texts.tolist(), there.tolist(), strict=True)
    ]
