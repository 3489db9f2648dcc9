"""Scores that were made elsewhere, from a file, beside those of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from sreval.benchmarking.results import of_images
from sreval.errors import DataError, UsageError, listed, not_in_results, shown, unknown_name
from sreval.files import sha256_file
from sreval.frames import first_frame
from sreval.images.folders import find_image, names_of
from sreval.metrics.metric import LIBRARY, METRICS, Metric, declare, metric_of
from sreval.opinions.sheet import directions, head_key, read_sheet
from sreval.report.collect import scored
from sreval.report.values import common_names

_PLACES = ("dataset", "scale", "method", "image")
_ASIDE = {"name", "scene", "note", "protocol"}
_OTHERS = {"data_set": "dataset", "model": "method", "file": "image"}


def with_scores(
    frame: pd.DataFrame,
    path: Path,
    higher_is_better: Sequence[str] = (),
    lower_is_better: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[str]]:
    """``frame`` with the scores of a file as rows under every protocol, and notes on them.

    The file has the columns method, image, metric and value, or method, image and a column a
    metric; dataset and scale may be left out where the results have one. An image goes by its name
    in the results, its file's or its common name. ``higher_is_better`` and ``lower_is_better`` say
    the direction of metrics that aren't known. Raises DataError for a cell that makes no sense,
    UsageError for a method, data set, image or metric that the results don't have, or have already.
    """
    sheet = read_sheet(path)
    heads = [_OTHERS.get(key, key) for key in map(head_key, sheet.rows[0])]
    shown_heads = [head.strip() for head in sheet.rows[0]]
    for needed in ("method", "image"):
        if needed not in heads:
            raise DataError(
                f"{path} has no column {needed}: its columns are {', '.join(shown_heads)}.",
                "Give it the columns method, image, metric, value.",
            )
    long = {"metric", "value"} <= set(heads)
    columns = [] if long else [h for h in heads if h not in (*_PLACES, *_ASIDE)]
    names = dict(zip(heads, shown_heads, strict=True))
    subjects = _Subjects(frame)
    found: dict[tuple[str, int], float] = {}
    for place, cells in sheet.filled:
        row = {head: cell.strip() for head, cell in zip(heads, cells, strict=True)}
        where = f"{path}, {sheet.place(place)}"
        subject = subjects.of(row, where)
        named = (
            [(row["metric"], row["value"])] if long else [(names[one], row[one]) for one in columns]
        )
        for metric, text in named:
            if text == "":
                continue
            if (metric, subject) in found:
                raise DataError(
                    f"{where}: a second value of {metric} for the same image.", "Remove one."
                )
            found[metric, subject] = _number(text, where, metric)
    if not found:
        raise DataError(f"{path} holds no scores.", "One row an image and method is expected.")
    keys = list(dict.fromkeys(metric for metric, _ in found))
    _declare(keys, frame, path, directions(higher_is_better, lower_is_better))
    sha256 = sha256_file(path)
    made = [
        subjects.rows(subject).assign(
            metric=metric, value=value, note="", metric_sha256=sha256, code=""
        )
        for (metric, subject), value in found.items()
    ]
    told = listed([metric_of(key).name for key in keys], 20)
    note = f"{told}: computed elsewhere, {path.name} (SHA-256 {sha256[:12]})."
    return pd.concat([frame, *made], ignore_index=True), [note]


def _text(value: str | float) -> str:
    """A part of a row's place as a file writes it."""
    return value if isinstance(value, str) else f"{value:g}"


class _Subjects:
    """The SR images of some results, by what a file may call them."""

    def __init__(self, frame: pd.DataFrame) -> None:
        rows = scored(of_images(frame))
        self._rows = rows.drop_duplicates([*_PLACES, "protocol"])
        keys = self._rows[list(_PLACES)].itertuples(index=False, name=None)
        self._numbers: dict[tuple[str, float, str, str], int] = {}
        self._of_row = [self._numbers.setdefault(key, len(self._numbers)) for key in keys]
        self._known = {
            column: sorted({_text(key[place]) for key in self._numbers})
            for place, column in enumerate(_PLACES)
        }
        self._names = {
            str(dataset): names_of(own["image"], {n: i for i, n in common_names(own).items()})
            for dataset, own in rows.groupby("dataset")
        }

    def of(self, row: dict[str, str], where: str) -> int:
        """The number of the image that a row is of."""
        place = {column: row.get(column, "") for column in _PLACES}
        for column, kind in (("dataset", "data set"), ("scale", "scale"), ("method", "method")):
            of_results = self._known[column]
            if not place[column] and column != "method" and len(of_results) == 1:
                place[column] = of_results[0]
            if not place[column]:
                raise UsageError(
                    f"{where} names no {kind}, and the results have {listed(of_results)}.",
                    f"Fill a column {column}.",
                )
            if place[column] not in of_results:
                raise not_in_results(
                    kind,
                    place[column],
                    of_results,
                    "Name it so, leave the row out, or give its results, too.",
                    where=where,
                )
        dataset, image = place["dataset"], place["image"]
        name = find_image(image, self._names[dataset]) or ""
        number = self._numbers.get((dataset, float(place["scale"]), place["method"], name))
        if number is not None:
            return number
        called = image.replace("\\", "/")
        raise UsageError(
            f"{where}: {place['method']} has no image {shown(called)} of {dataset} in these "
            "results.",
            f"Name one frame of it, such as {one}."
            if (one := first_frame(called, self._names[dataset].values()))
            else "Name it as results.csv does, or leave the row out.",
        )

    def rows(self, number: int) -> pd.DataFrame:
        """A row of that image under each protocol."""
        return self._rows[[one == number for one in self._of_row]]


def _number(text: str, where: str, metric: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if number != number:
        raise DataError(
            f"{where}: {metric} is {shown(text)}, not a number.",
            "Leave the cell empty, or mend it.",
        )
    return number


def _declare(
    keys: Sequence[str], frame: pd.DataFrame, path: Path, better: Mapping[str, bool]
) -> None:
    known = map(metric_of, {*frame["metric"], *METRICS, "mos"})
    taken = {name.casefold() for one in known for name in (one.key, one.name)}
    for key in keys:
        if not key or key.casefold() in taken:
            raise UsageError(
                f"{path} calls a metric {shown(key)}, a name that is taken.",
                "Call it otherwise in that file, such as "
                f"{key or 'metric'}-elsewhere, so that both can be told apart.",
            )
        if key in better or (key not in LIBRARY and metric_of(key).specification == ""):
            declare(Metric(key, key, 4, higher_is_better=better.get(key)))
    for key in better:
        if key not in keys:
            raise unknown_name(f"metric of {path}", key, keys)
