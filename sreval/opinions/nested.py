"""Votes as JSON: [method][rater][image], or a list of objects that is a table."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from sreval.errors import DataError
from sreval.opinions.cells import identifier, shown
from sreval.opinions.heads import Cells
from sreval.opinions.matrix import numbered
from sreval.opinions.sheet import Sheet

_NESTED = "Write [method][rater][image] as lists within lists, null where no vote was cast."


def read_json(path: Path, text: str) -> list[Any] | dict[str, Any]:
    """The content, numbers as text, so that the rule of every other form reads them."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                raise DataError(
                    f"{path} has the name {shown(name)} twice in one object.", "Rename one."
                )
        return dict(pairs)

    try:
        content = json.loads(
            text, object_pairs_hook=unique, parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} isn't JSON: {error}.", _NESTED) from None
    if not content or not isinstance(content, list | dict):
        raise DataError(f"{path} holds no votes.", _NESTED)
    return content


def read_nested(path: Path, content: list[Any] | dict[str, Any]) -> Cells:
    """Votes by [method][rater][image]."""
    tables = content if isinstance(content, dict) else dict(enumerate(content, 1))
    cells: list[tuple[str, int, int, str]] = []
    for method, table in tables.items():
        where = f"{path}: method {method}"
        if not isinstance(table, list) or not all(isinstance(row, list) for row in table):
            raise DataError(f"{where} isn't a list of raters, each with a list of scores.", _NESTED)
        if len({len(row) for row in table}) > 1:
            raise DataError(f"{where} has raters with different numbers of images.", _NESTED)
        for rater, row in enumerate(table):
            for image, score in enumerate(row):
                if isinstance(score, list | dict):
                    raise DataError(f"{where} has more than two levels of lists.", _NESTED)
                cells.append((identifier(method), rater, image, _text(score)))
    raters = numbered(1 + max((rater for _, rater, _, _ in cells), default=0))
    frame = pd.DataFrame(
        [(method, raters[rater], str(image + 1), score) for method, rater, image, score in cells],
        columns=["method", "rater", "image", "score"],
        dtype=object,
    )

    def place(cell: int) -> str:
        method, rater, image, _ = cells[cell]
        return f"method {method}, rater {rater + 1}, image {image + 1}"

    return Cells(frame, place)


def sheet_of(path: Path, rows: list[dict[str, Any]]) -> Sheet:
    """A list of objects as rows under the names of their fields."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    return Sheet(path, [heads, *([_text(row.get(head)) for head in heads] for row in rows)], ",")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
