"""Tables as CSV that a spreadsheet can't be made to execute, and back without loss.

Text is guarded as `sreval.opinions.cells` has it; reading takes the guard away again. Numbers
are written as they are. Lines end as RFC 4180 says; times are UTC, ISO 8601.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import TYPE_CHECKING, Any

from sreval.opinions.cells import guarded, unguarded

if TYPE_CHECKING:
    import pandas as pd


def to_csv(frame: pd.DataFrame) -> bytes:
    """A frame as UTF-8 CSV with a header, the same bytes for the same rows."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(frame.columns)
    columns = [frame[column].tolist() for column in frame.columns]
    writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
    return out.getvalue().encode()


def from_csv(data: bytes) -> list[dict[str, str]]:
    """The rows of `to_csv` as texts by column, '' where nothing stood. Raises ValueError."""
    reader = csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
    rows = list(reader)
    for row in rows:
        if None in row or None in row.values():
            raise ValueError("a row has more or fewer cells than the header")
    return [{key: unguarded(value) for key, value in row.items()} for row in rows]


def when(text: str) -> dt.datetime:
    """A time as `to_csv` writes it. Raises ValueError."""
    return dt.datetime.fromisoformat(text)


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
