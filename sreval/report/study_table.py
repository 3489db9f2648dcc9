"""Rows of mean opinion scores from studies in the tables of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from sreval.errors import DataError
from sreval.opinions.units import Unit
from sreval.report.cells import Table
from sreval.report.opinion_rows import check_same_stimuli, with_mos
from sreval.report.study_parts import warnings
from sreval.report.study_scores import scored_opinions, study_rows
from sreval.study.data import StudyData


def scores_of_all(
    frame: pd.DataFrame, studies: Sequence[StudyData]
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of ``frame`` on what every study rated, and what must be said of them.

    Raises DataError for studies of different scales, and what ``study_rows`` and
    ``check_same_stimuli`` raise.
    """
    check_scales(studies)
    notes: list[str] = []
    for data in studies:
        frame, said = study_rows(frame, data)
        notes += [note for note in said if note not in notes]
    for data in studies:
        check_same_stimuli(frame, scored_opinions(data))
    return frame, notes


def check_scales(studies: Sequence[StudyData]) -> None:
    """Raise DataError unless all studies asked with the same words about the same upscaling."""
    for one, other in pairwise(studies):
        names = f"{one.design.name} and {other.design.name}"
        if one.design.scale != other.design.scale:
            first, second = (", ".join(data.design.scale.words) for data in (one, other))
            raise DataError(
                f"The studies {names} have different scales: {first}; {second}.",
                "Their scores can't be compared; make a table of each.",
            )
        if one.design.images.scale != other.design.images.scale:
            factors = f"×{one.design.images.scale} and ×{other.design.images.scale}"
            raise DataError(
                f"The studies {names} are on different upscaling factors: {factors}.",
                "Make a table of each.",
            )


def with_studies(
    table: Table,
    studies: Sequence[StudyData],
    unit: Unit | None,
    *,
    baseline: str | None = None,
    pairs: bool = False,
    level: float = 0.95,
) -> Table:
    """``table`` with a row of MOS a study and data set; ``unit`` None: what the design plans.

    The results must have passed ``scores_of_all``.
    """
    for data in studies:
        name = data.design.name
        label = name if data.state == "closed" else f"{name}, interim"
        table = with_mos(
            table,
            scored_opinions(data),
            unit=unit or data.design.analysis.unit,
            baseline=baseline,
            pairs=pairs,
            level=level,
            study=label if len(studies) > 1 or data.state != "closed" else "",
        )
        said = [f"Study {name}, design {data.design_sha256[:12]}, {data.state}."]
        said += [f"{name}: {warning}" for warning in warnings(data)]
        table = replace(table, notes=[*table.notes, *said])
    return table
