"""Tables of metrics against opinion."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, UsageError, attempted, listed, option, unknown_name
from sreval.metrics.scorer import METRICS
from sreval.opinions.agreement import FEW_SCENES, Agreement, metric_agreement
from sreval.opinions.arrays import varies
from sreval.opinions.heads import MEAN
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.mos import stimulus_mos
from sreval.opinions.reading import DESCRIBED, is_means, metric_key, metric_values
from sreval.opinions.votes import STIMULUS, opinions
from sreval.report import paper
from sreval.report.notes import vote_notes
from sreval.report.opinions import Request
from sreval.report.table import (
    Columns,
    Table,
    interval_column,
    signed_column,
    table_of,
    text_table,
    with_dataset,
)
from sreval.report.text import fixed, metric_name, p_value, percent, span


def metrics(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Which metric follows the raters, per data set and overall."""
    stimuli, names = join_scores(votes, request)
    names_of_sets = paper.sort_datasets(list(map(str, stimuli["dataset"].unique())))
    groups = [(name, stimuli[stimuli["dataset"] == name]) for name in names_of_sets]
    if len(groups) > 1:
        groups.append(("all data sets", stimuli))
    frames, differences, notes = [], [], []
    for name, rows in groups:
        where = f"{name}: " if name else ""
        usable, unusable = usable_metrics(rows, names)
        notes += [f"Not done: {where}{why}" for why in unusable]
        better = directions(usable, request)
        found, why = attempted(partial(metric_agreement, rows, better, level=request.level))
        if found is None:
            notes += [f"Not done: {where}{why}"] if usable else []
            continue
        frames.append(found.frame().assign(dataset=name))
        notes += [f"{where}{note}" for note in scene_notes(found)]
        differences += _differences(name, found)
        left = sum(found.excluded.values())
        notes += [f"{where}{left} stimuli without finite values left out."] if left else []
    if not frames:
        raise StatisticsError(" ".join(note.removeprefix("Not done: ") for note in notes))
    frame = pd.concat(frames, ignore_index=True)
    return _metric_tables(frame, differences, notes, votes, request.level)


def scene_notes(found: Agreement) -> list[str]:
    """Notes on intervals of few scenes, and on missing ones."""
    notes = []
    if found.n_scenes < FEW_SCENES:
        notes.append(f"{found.n_scenes} scenes, the intervals rest on little.")
    if any(math.isnan(i.low) for row in found.statistics.values() for i in row.values()):
        notes.append(
            f"–: fewer than {LEAST_UNITS} scenes give no interval, nor does an agreement that is "
            "perfect or undefined once a scene is left out."
        )
    return notes


def usable_metrics(stimuli: pd.DataFrame, names: list[str]) -> tuple[list[str], list[str]]:
    """Those of the metrics ``names`` that can be compared with the MOS, and why the others can't.

    A metric without finite values, or of one value, must not stop the others.
    """
    usable, reasons = [], []
    for name in names:
        values = stimuli[name].to_numpy(dtype=np.float64)
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            reasons.append(f"{metric_name(name)}: no stimulus has a finite value.")
        elif not varies(finite):
            why = "all stimuli have the same value, so no correlation exists"
            reasons.append(f"{metric_name(name)}: {why}.")
        else:
            usable.append(name)
    return usable, reasons


def join_scores(votes: pd.DataFrame, request: Request) -> tuple[pd.DataFrame, list[str]]:
    """One row per stimulus with its MOS and metrics, and the metrics' names.

    ``votes`` may be a table of mean opinion scores, which brings its metrics along where there
    are no results. Raises UsageError when a rated stimulus has no results, or no metric is known.
    """
    scores = request.scores
    if is_means(votes) and scores is None:
        return _own_metrics(votes, request)
    if scores is None:
        raise UsageError(
            "No benchmark results are given.",
            f"Add {option('--results FOLDER', 'results=FOLDER')}.",
        )
    wide = scores.pivot(index=list(STIMULUS), columns="metric", values="value")
    if is_means(votes):
        opinion = votes.set_index(list(STIMULUS))
        mos, scene = opinion[[MEAN]], opinion["scene"]
    else:
        mos = stimulus_mos(votes, scale=request.scale)
        scene = opinions(votes).groupby(list(STIMULUS))["scene"].first()
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
    joined = mos.join(wide).join(scene).reset_index()
    return _by_scene(joined), [metric for metric in METRICS if metric in wide]


def _by_scene(stimuli: pd.DataFrame) -> pd.DataFrame:
    """Scenes of different data sets are different scenes."""
    return stimuli.assign(scene=stimuli["dataset"] + "/" + stimuli["scene"])


def _own_metrics(means: pd.DataFrame, request: Request) -> tuple[pd.DataFrame, list[str]]:
    metrics, others = own_metrics(means, request.better)
    if not metrics:
        raise UsageError(
            f"The table has no metric that is known ({', '.join(METRICS)}).",
            f"Add {option('--results FOLDER', 'results=FOLDER')}, or name columns by "
            f"{better_options('and')}{': ' + listed(others) if others else ''}.",
        )
    return _by_scene(metric_values(means, metrics)), metrics


def better_options(conjunction: str) -> str:
    """How a user names the columns of metrics that aren't known by themselves."""
    return option(
        f"--higher-is-better {conjunction} --lower-is-better",
        f"higher_is_better= {conjunction} lower_is_better=",
    )


def own_metrics(means: pd.DataFrame, better: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """The metrics that a table of means brings, known or named, and its other columns."""
    further = {metric_key(str(name)): str(name) for name in means if name not in DESCRIBED}
    named = {metric_key(name): name for name in (*METRICS, *better)}
    metrics = [name for key, name in named.items() if key in further or name in better]
    return metrics, [name for key, name in further.items() if key not in named]


def directions(metrics: Sequence[str], request: Request) -> dict[str, bool]:
    """Of each metric whether higher is better."""
    known = {name: metric.higher_is_better for name, metric in METRICS.items()}
    known.update(request.better)
    return {name: known.get(name, True) for name in metrics}


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


def _metric_tables(
    frame: pd.DataFrame,
    differences: list[dict[str, object]],
    notes: list[str],
    votes: pd.DataFrame,
    level: float,
) -> list[Table]:
    head = [part for name in ("PLCC", "SROCC", "KROCC", "RMSE") for part in (name, percent(level))]
    named = bool((frame["dataset"] != "").any())
    heads = [*["data set"] * named, "metric", *head, "n", "scenes"]
    rows = []
    for (dataset, metric), group in frame.groupby(["dataset", "metric"], sort=False):
        of = {str(row["statistic"]): row for row in group.to_dict("records")}
        cells = [*[str(dataset)] * named, metric_name(str(metric))]
        for name, digits in (("plcc", 3), ("srocc", 3), ("krocc", 3), ("rmse", 2)):
            row, signed = of[name], of[name]["low"] < 0
            cells.append(fixed(row["estimate"], digits))
            cells.append(span(row["low"], row["high"], digits, signed=signed))
        rows.append([*cells, str(of["plcc"]["n"]), str(of["plcc"]["scenes"])])
    notes = [
        "Unit stimulus, about new scenes: jackknife over scenes with all their versions. PLCC "
        "and RMSE after a four-parameter logistic mapping; 1 is best, also for LPIPS.",
        *notes,
        *vote_notes(votes),
    ]
    title = "Which metric follows the raters?"
    tables = [text_table("metrics", title, frame, heads, rows, notes)]
    if differences:
        frame = pd.DataFrame(differences)
        columns: Columns = {
            "first": lambda row: metric_name(row["first"]),
            "second": lambda row: metric_name(row["second"]),
            "SROCC, difference": signed_column("difference", 3),
            percent(level): interval_column(3, signed=True),
            "p adjusted": lambda row: p_value(row["p_adjusted"]),
        }
        notes = [
            "Same stimuli; interval and p from one jackknife over scenes; p adjusted by Holm, "
            "the interval not."
        ]
        columns = with_dataset(frame, columns)
        tables.append(table_of("metrics", "Do the metrics differ?", frame, columns, notes))
    return tables
