"""A frame as pandas writes it, where there are millions of rows of few different cells."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pandas as pd

from sreval.opinions.arrays import Codes, compact

_CHUNK = 100_000
"""pandas writes so many cells at a time, and the times among them with digits that suit all."""

_FEW = 8
"""Columns are joined where they have no more different cells than an eighth of the rows."""


def to_csv(frame: pd.DataFrame) -> bytes:
    """``frame.to_csv(index=False, lineterminator="\\n")`` in UTF-8, the same bytes."""
    return b"".join(csv_parts(frame))


def csv_parts(frame: pd.DataFrame) -> Iterator[bytes]:
    """``to_csv`` part by part, for who need not hold all of it.

    Each different cell is written once. What this can't promise for, pandas writes.
    """
    rows = max(_CHUNK // max(frame.shape[1], 1), 1)
    columns = [_cells(frame.iloc[:, place], rows) for place in range(frame.shape[1])]
    known = [cells for cells in columns if cells is not None]
    if frame.empty or len(known) < len(columns) or len(known) < 2:
        yield frame.to_csv(index=False, lineterminator="\n").encode()
        return
    parts = [known[0]]
    for cells in known[1:]:
        both = _joined(parts[-1], cells)
        parts[-1:] = [parts[-1], cells] if both is None else [both]
    yield f"{','.join(_quoted(map(str, frame.columns)))}\n".encode()
    different = [(codes, np.array(cells, dtype=object)) for codes, cells in parts]
    for start in range(0, len(frame), _CHUNK):
        own = slice(start, start + _CHUNK)
        lists = (
            cells[own].tolist() if codes is None else cells[codes[own]].tolist()
            for codes, cells in different
        )  # fmt: skip
        yield "\n".join([*map(",".join, zip(*lists, strict=True)), ""]).encode()


Column = tuple[Codes | None, list[str]]
"""The codes of cells and the different cells, or None and all cells one after the other."""


def _joined(first: Column, second: Column) -> Column | None:
    """Two neighbouring columns as one, None where it would have too many different cells."""
    codes, texts = first
    others, endings = second
    if codes is None or others is None or len(texts) * len(endings) > _FEW * codes.size:
        return None
    cell, kept = compact(codes * len(endings) + others)
    if kept.size * _FEW > codes.size:
        return None
    ends = zip(*(own.tolist() for own in np.divmod(kept, len(endings))), strict=True)
    return cell, [f"{texts[one]},{endings[two]}" for one, two in ends]


def _cells(column: pd.Series, rows: int) -> Column | None:
    """A column as it is written, or None for one whose cells depend on their neighbours."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        times = _times(column, rows)
        return None if times is None else (None, times)
    codes: Codes
    if column.dtype in (np.float64, np.int64, np.bool_):
        values = column.to_numpy()
        # by their bits, for -0.0 is written differently from 0.0
        bits = values.view(np.int64) if values.dtype == np.float64 else values
        codes, different = pd.factorize(bits)
        plain = different.view(values.dtype).tolist()
        texts = ["" if value != value else str(value) for value in plain]
        return codes, texts
    codes, names = pd.factorize(column)
    if not all(isinstance(name, str) for name in names):
        return None
    return np.where(codes < 0, len(names), codes), [*_quoted(names), ""]


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
