"""Sections on metrics against opinion."""

from __future__ import annotations

import pandas as pd

from sreval.errors import UsageError, listed, unknown_name
from sreval.metrics.scorer import HIGHER_IS_BETTER, METRICS
from sreval.report import paper
from sreval.report.cells import NAMES
from sreval.report.digits import fixed
from sreval.report.sections import (
    Request,
    Section,
    column,
    figure,
    interval_column,
    p_value,
    printed,
    span,
    vote_notes,
)
from sreval.statistics.agreement import Agreement, metric_agreement
from sreval.statistics.stimulus import stimulus_mos
from sreval.statistics.votes import STIMULUS, opinions


def metrics(votes: pd.DataFrame, request: Request) -> list[Section]:
    """Which metric follows the raters, per data set and overall."""
    if request.scores is None:
        raise UsageError("No benchmark results are given.", "Add --results FOLDER.")
    stimuli, names = join_scores(votes, request)
    names_of_sets = paper.sort_datasets(list(map(str, stimuli["dataset"].unique())))
    groups = [(name, stimuli[stimuli["dataset"] == name]) for name in names_of_sets]
    if len(groups) > 1:
        groups.append(("all data sets", stimuli))
    frames, differences, notes = [], [], []
    for name, rows in groups:
        found = metric_agreement(rows, {m: HIGHER_IS_BETTER[m] for m in names}, level=request.level)
        frames.append(found.frame().assign(dataset=name))
        differences += _differences(name, found)
        left = sum(found.excluded.values())
        notes += [f"{name}: {left} stimuli without finite values left out."] if left else []
    return _metric_sections(pd.concat(frames, ignore_index=True), differences, notes, votes)


def join_scores(votes: pd.DataFrame, request: Request) -> tuple[pd.DataFrame, list[str]]:
    """One row a stimulus with its MOS and metrics, and the metrics' names.

    Raises UsageError when a rated stimulus has no results.
    """
    scores = request.scores
    if scores is None:
        raise UsageError("No benchmark results are given.", "Add --results FOLDER.")
    wide = scores.pivot(index=list(STIMULUS), columns="metric", values="value")
    mos = stimulus_mos(votes, scale=request.scale)
    for level in ("dataset", "method"):
        for name in mos.index.unique(level):
            if name not in wide.index.unique(level):
                raise unknown_name(f"{level} of these results", str(name), wide.index.unique(level))
    lacking = mos.index.difference(wide.index)
    if len(lacking):
        raise UsageError(
            f"{len(lacking)} rated stimuli have no results: "
            f"{listed(['/'.join(map(str, key)) for key in lacking])}.",
            "Benchmark the images that were rated.",
        )
    scene = opinions(votes).groupby(list(STIMULUS))["scene"].first()
    joined = mos.join(wide).join(scene).reset_index()
    joined["scene"] = joined["dataset"].astype(str) + "/" + joined["scene"].astype(str)
    return joined, [metric for metric in METRICS if metric in wide]


def _differences(dataset: str, found: Agreement) -> list[dict[str, object]]:
    return [
        {
            "dataset": dataset,
            "first": d.first,
            "second": d.second,
            "statistic": d.statistic,
            "difference": d.difference.estimate,
            "low": d.difference.low,
            "high": d.difference.high,
            "p": d.p,
            "p_adjusted": d.p_adjusted,
        }
        for d in found.differences
    ]


def _metric_sections(
    frame: pd.DataFrame,
    differences: list[dict[str, object]],
    notes: list[str],
    votes: pd.DataFrame,
) -> list[Section]:
    rows = [["data set", "metric", "PLCC", "95%", "SROCC", "95%", "KROCC", "RMSE", "n", "scenes"]]
    for (dataset, metric), group in frame.groupby(["dataset", "metric"], sort=False):
        of = {str(row["statistic"]): row for row in group.to_dict("records")}
        cells = [str(dataset), NAMES[str(metric)]]
        for name in ("plcc", "srocc"):
            cells.append(figure(of[name]["estimate"], 3))
            cells.append(span(of[name]["low"], of[name]["high"], 3))
        cells += [figure(of["krocc"]["estimate"], 3), figure(of["rmse"]["estimate"], 2)]
        rows.append([*cells, str(of["plcc"]["n"]), str(of["plcc"]["scenes"])])
    notes = [
        "Unit stimulus, about new scenes: bootstrap over scenes with all their versions. PLCC "
        "and RMSE after a four-parameter logistic mapping; 1 is best, also for LPIPS.",
        *notes,
        *vote_notes(votes),
    ]
    sections = [Section("metrics", "Which metric follows the raters?", frame, rows, notes)]
    if differences:
        table = pd.DataFrame(differences)
        columns = {
            "data set": column("dataset"),
            "first": lambda row: NAMES[row["first"]],
            "second": lambda row: NAMES[row["second"]],
            "SROCC, difference": lambda row: fixed(row["difference"], 3, signed=True),
            "95%": interval_column(3, signed=True),
            "p adjusted": lambda row: p_value(row["p_adjusted"]),
        }
        notes = ["Same stimuli; Student t with the bootstrap's standard error; Holm."]
        shown = printed(table, columns)
        sections.append(Section("metrics", "Do the metrics differ?", table, shown, notes))
    return sections
