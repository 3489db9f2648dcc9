"""The analysis as the design planned it, and where the study departed from its plan."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from sreval.errors import counted, listed
from sreval.opinions.comparison import compare_methods
from sreval.opinions.multiplicity import judge
from sreval.report import paper
from sreval.study import monitor
from sreval.study.data import StudyData


def planned_tests(votes: pd.DataFrame, data: StudyData, level: float = 0.95) -> pd.DataFrame:
    """The planned comparisons of one data set, signed as planned, corrected within the data set.

    Columns as ``Comparison.frame``, intervals at ``level``. Raises StatisticsError with fewer than
    two rated methods.
    """
    analysis = data.design.analysis
    (made,) = compare_methods(
        votes, unit=analysis.unit, adjustment="none", alpha=analysis.alpha, level=level
    )
    frame = made.frame()
    if analysis.comparisons:
        by_pair = {(row["first"], row["second"]): row for row in frame.to_dict("records")}
        rows = [
            by_pair[pair] if pair in by_pair else _turned(by_pair[pair[::-1]])
            for pair in analysis.comparisons
            if pair in by_pair or pair[::-1] in by_pair
        ]
        frame = pd.DataFrame(rows, columns=frame.columns)
    verdicts = judge(frame["p"], frame["least_p"], analysis.correction, analysis.alpha)
    names = ("p_adjusted", "least_p_adjusted", "significant", "too_small")
    judged = {name: [getattr(verdict, name) for verdict in verdicts] for name in names}
    return frame.assign(adjustment=analysis.correction, **judged)


def _minute(when: str) -> str:
    return f"{pd.Timestamp(when):%Y-%m-%d %H:%M} UTC"


def _turned(row: dict[Hashable, Any]) -> dict[Hashable, Any]:
    turned = row | {"first": row["second"], "second": row["first"]}
    for to, by in (("difference", "difference"), ("low", "high"), ("high", "low")):
        turned[to] = -float(row[by])
    turned["rank_biserial"] = -float(row["rank_biserial"])
    return turned


def departures(data: StudyData) -> list[str]:
    """How the study departed from its plan, one sentence each."""
    design, said = data.design, []
    used = data.opinions["rater"].nunique()
    if used != design.raters:
        said.append(f"Votes of {counted(used, 'rater')} are used, {design.raters} were planned.")
    cells = data.opinions.groupby(["dataset", "method"]).size()
    for part in design.images.datasets:
        lacking = [m for m in design.images.methods_of(part.name) if (part.name, m) not in cells]
        if lacking:
            said.append(f"{part.name} has no votes on {listed([paper.label(m) for m in lacking])}.")
    for row in monitor.overruled(data).to_dict("records"):
        why = str(row["reason"] or "no reason given").rstrip(".")
        if row["used"]:
            rules = str(row["rules"]).rstrip(".")
            said.append(
                f"Votes of {row['rater']} are used by decision, against a rule: {why}. "
                f"The rule: {rules}."
            )
        else:
            said.append(f"Votes of {row['rater']} are not used by decision, not by a rule: {why}.")
    if data.looks:
        seen = "; ".join(
            f"{_minute(look.when)}, {look.votes} rows, {look.who}" for look in data.looks
        )
        planned = "" if design.analysis.look_before_close else ", which the design forbids"
        said.append(
            f"Results were looked at before the study was closed{planned}: "
            f"{seen}. The p values take no account of it."
        )
    if data.stand_ins:
        said.append(f"Stand-ins replaced {listed([*map(paper.label, data.stand_ins)], 20)}.")
    return said
