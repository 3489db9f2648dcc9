"""Which values the means of a table are over, and what is said of those that they are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sreval.errors import listed
from sreval.report import paper
from sreval.report.text import PRINTED

_NAMED = 10
"""Images named in a note; of more, how many."""


def values_of(rows: pd.DataFrame, metric: str, methods: Sequence[str]) -> pd.DataFrame:
    """One metric of one data set, images by methods; NaN where there is no value."""
    wide = rows[rows["metric"] == metric].pivot(index="image", columns="method", values="value")
    return wide[[method for method in methods if method in wide.columns]]


def comparable(asked: pd.DataFrame) -> pd.DataFrame:
    """The methods that have any value, on the images that their means are over.

    These are the images for which each of the methods has a finite value; one that is infinite on
    every image (the PSNR of HR) takes none away. Where no image is finite for all, they are those
    for which all have a value.
    """
    complete = asked.dropna(axis=1, how="all").dropna()
    values = complete.to_numpy(float)
    throughout = np.isinf(values).all(axis=0)
    finite = complete[np.isfinite(values[:, ~throughout]).all(axis=1)]
    return finite if len(finite) else complete


def gap_notes(rows: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """What is missing in one data set, and why: methods without a result, images left out."""
    dataset = str(rows["dataset"].iloc[0])
    present = [metric for metric in PRINTED if metric in set(rows["metric"])]
    without: dict[tuple[str, str, str], list[str]] = {}
    left: dict[str, list[str]] = {}
    for metric in present:
        asked = values_of(rows, metric, methods)
        lacking = asked.isna()
        reasons = rows[(rows["metric"] == metric) & rows["value"].isna()]
        for method in asked.columns[lacking.all()]:
            why = _reason(reasons[reasons["method"] == method])
            said = f"no result on {len(asked)} of {len(asked)} images of {dataset}"
            without.setdefault((str(method), said, why), []).append(metric)
        some = lacking.loc[:, ~lacking.all()]
        out = some.index[some.any(axis=1)]
        if len(out):
            short = ", ".join(map(paper.label, some.columns[some.any()]))
            text = (
                f"{len(out)} of {len(asked)} images are left out, as not every method has a value "
                f"for them: {listed(list(out), _NAMED)} (none by {short})."
                f"{_reason(reasons[reasons['image'].isin(out)])}"
            )
            left.setdefault(text, []).append(metric)
    notes = []
    for (method, said, why), metrics in without.items():
        of = f", {_of(metrics)}" if metrics != present else ""
        notes.append(f"{paper.label(method)}: {said}{of}.{why}")
    return notes + [f"{dataset} {_of(metrics)}: {text}" for text, metrics in left.items()]


def infinite_notes(dataset: str, metric: str, asked: pd.DataFrame, used: pd.DataFrame) -> list[str]:
    """Where values are infinite, by image; HR's own PSNR needs no saying."""
    images: dict[tuple[str, ...], list[str]] = {}
    for method in asked.columns.drop("hr", errors="ignore"):
        found = tuple(str(image) for image, value in asked[method].items() if np.isinf(value))
        if found:
            images.setdefault(found, []).append(paper.label(str(method)))
    if not images:
        return []
    said = []
    for found, methods in images.items():
        named = listed(found, _NAMED)
        where = f"every image, {named}" if len(found) == len(asked) else named
        said.append(f"{where} ({', '.join(methods)})")
    note = f"{dataset} {PRINTED[metric].name}: infinite (∞) on {'; '.join(said)}."
    if np.isfinite(used.to_numpy(float)).any() and len(used) < len(asked):
        note += f" The means are over {len(used)} of {len(asked)} images."
    return [note]


def _reason(rows: pd.DataFrame) -> str:
    reasons = [str(note) for note in rows["note"] if note]
    return f" The first: {reasons[0]}" if reasons else ""


def _of(metrics: Sequence[str]) -> str:
    return ", ".join(PRINTED[metric].name for metric in metrics)
