"""Tables as CSV that a spreadsheet can't be made to execute, and back without loss.

Text is guarded as `sreval.opinions.cells` has it; reading takes the guard away again. Numbers
are written as they are. Lines end as RFC 4180 says; times are UTC, ISO 8601.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from sreval.errors import shown
from sreval.opinions.cells import guarded, unguarded

if TYPE_CHECKING:
    import pandas as pd


_LONGEST = 2**24
"""Letters of a cell: a study's design is one. Python's csv takes 131,072 by itself."""


def to_csv(frame: pd.DataFrame) -> bytes:
    """A frame as UTF-8 CSV with a header, the same bytes for the same rows."""
    columns = [frame[column].tolist() for column in frame.columns]
    return rows_to_csv(frame.columns, zip(*columns, strict=True))


def rows_to_csv(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """What `to_csv` makes of a frame of these columns and rows."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def from_csv(data: bytes, needed: Collection[str] = ()) -> list[dict[str, str]]:
    """The rows of `to_csv` as texts by column, '' where nothing stood.

    Raises ValueError for what it didn't write, and where a ``needed`` column is missing.
    """
    before = csv.field_size_limit(_LONGEST)
    try:
        reader = csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
        rows, heads = list(reader), reader.fieldnames or ()
    except csv.Error as error:
        raise ValueError(str(error)) from None
    finally:
        csv.field_size_limit(before)
    for name in needed:
        if name not in heads:
            raise ValueError(f"the column {name!r} is missing")
    for row in rows:
        if None in row or None in row.values():
            raise ValueError("a row has more or fewer cells than the header")
    return [{key: unguarded(value) for key, value in row.items()} for row in rows]


def when(text: str) -> dt.datetime:
    """A time as `to_csv` writes it, in UTC. Raises ValueError, or OverflowError at year 1."""
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a time") from None
    if time.tzinfo is None:
        raise ValueError(f"{shown(text)} names no time zone")
    return time.astimezone(dt.UTC)


def written(time: dt.datetime) -> str:
    """A time as it is written: UTC, always with microseconds."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value != value:  # NaN and NaT are not themselves
        return ""
    if isinstance(value, dt.datetime):
        return written(value)
    return str(value)
