"""A frame's CSV, against what pandas writes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sreval.report.plain_csv import to_csv

_TIMES = pd.Series(
    pd.date_range("2026-03-01 09:00:08", periods=40, freq="7s", tz="UTC")
).dt.as_unit("us")
_FRAME = pd.DataFrame(
    {
        "rater": ["r1", 'a "quoted" name', "two\nlines", "", None, "a,b", "=1", " r2"] * 5,
        "score": range(40),
        "ms": [0.0, -0.0, np.nan, 1e22, 0.1 + 0.2, 1e-7, 5e-324, 12.0] * 5,
        "accepted": [True, False] * 20,
        "shown_at": _TIMES,
        "reason": pd.Series([None] * 40, dtype=object),
    }
)


@pytest.mark.parametrize(
    "frame",
    [
        _FRAME,
        _FRAME[:1],
        _FRAME[:0],
        _FRAME[["rater"]],
        _FRAME.assign(shown_at=_TIMES + pd.to_timedelta(range(1, 41), "us")),
        _FRAME.assign(shown_at=_TIMES + pd.to_timedelta(range(1, 41), "ms")),
        _FRAME.assign(shown_at=_TIMES.mask(_TIMES.index % 3 == 0)),
        _FRAME.assign(shown_at=_TIMES.mask(_TIMES.index >= 0)),
        _FRAME.assign(shown_at=_TIMES.dt.floor("D")),
        _FRAME.assign(shown_at=_TIMES.dt.tz_convert("Asia/Tokyo")),
        _FRAME.assign(shown_at=_TIMES.dt.tz_localize(None)),
        _FRAME.assign(mixed=pd.Series([1, True, 1.0, "1"] * 10, dtype=object)),
        _FRAME.assign(rater=_FRAME["rater"].astype("category")),
    ],
)
def test_the_bytes_are_those_of_pandas(frame: pd.DataFrame) -> None:
    assert to_csv(frame) == frame.to_csv(index=False, lineterminator="\n").encode()


def test_times_whose_digits_change_on_the_way_are_written_as_pandas_does() -> None:
    more = pd.concat([_FRAME] * 500, ignore_index=True)
    more["shown_at"] += pd.to_timedelta((more.index > 19_000) * 5, "ms")
    assert to_csv(more) == more.to_csv(index=False, lineterminator="\n").encode()


def test_columns_of_few_cells_are_written_together_as_pandas_does() -> None:
    many = pd.concat([_FRAME] * 30, ignore_index=True)
    notes = pd.Series(['a,"b', "", None, "c\nd"] * (len(many) // 4), dtype=object)
    many = many.assign(note=notes, n=-0.0)
    for frame in (many, many.assign(rater=many["rater"].astype("category"))):
        assert to_csv(frame) == frame.to_csv(index=False, lineterminator="\n").encode()
