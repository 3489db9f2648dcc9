"""Tables and a figure of ``sreval metrics-study``: which metric to trust where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from sreval.errors import NONE, StatisticsError, attempted, fixed, listed, option
from sreval.frames import unit_of
from sreval.opinions.agreement import FEW_SCENES, finite_rows
from sreval.opinions.agreement import Mapping as Map
from sreval.opinions.arrays import Floats
from sreval.opinions.intervals import LEAST_UNITS, student_quantile
from sreval.opinions.metric_study import (
    Answer,
    ClassEffect,
    Groups,
    across_scenes,
    class_effects,
    combined,
    combined_effects,
    heterogeneity,
    within_scene,
)
from sreval.opinions.p1401 import P1401, p1401
from sreval.opinions.reading import is_means, metric_values
from sreval.opinions.votes import opinions
from sreval.report import paper
from sreval.report.notes import mark_notes, marks_of
from sreval.report.opinion_models import (
    directions,
    join_scores,
    lacking_values,
    usable_metrics,
)
from sreval.report.opinions import Request
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    signed_column,
    table_of,
    text_table,
    whole,
)
from sreval.report.text import p_value, percent, span
from sreval.report.values import metric_name

ANALYSIS = "metrics-study"
_CLASS_LABELS = {"mse": "MSE", "gan": "GAN"}
_SIGN = {"accuracy": "pairs in order", "srocc": "SROCC"}
_CHANCE = {"accuracy": 0.5, "srocc": 0.0}


@dataclass(frozen=True)
class StimuliOf:
    """A study's stimuli, as ``opinions.metric_study`` takes them, sequences in place of frames.

    ``metrics`` says of each whether higher is better. ``ratings``, shape (stimuli, raters), of a
    study with votes; ``errors`` and ``half_widths``, shape (stimuli,), of the MOS where known.
    """

    name: str
    stimuli: pd.DataFrame
    metrics: dict[str, bool]
    classes: tuple[str, ...]
    ratings: Floats | None
    errors: Floats | None
    half_widths: Floats | None
    marks: tuple[str, ...]
    notes: tuple[str, ...]


def stimuli_of(
    name: str,
    votes: pd.DataFrame,
    request: Request,
    classes: Mapping[str, str],
) -> StimuliOf:
    """The stimuli of one study: MOS, metrics and the classes of the methods.

    The reference of the ``request`` is left out, and so is a stimulus on which the MOS or a metric
    isn't finite. A method's class is that in ``classes``, in a table's column class, or in
    ``paper.class_of``. Raises UsageError for a class of a method that has no stimuli, and what
    ``join_scores`` raises.
    """
    joined, names = join_scores(votes, request)
    notes = []
    rows = joined[joined["method"] != request.reference]
    if left := len(joined) - len(rows):
        what = f"stimul{'us' if left == 1 else 'i'} of {paper.label(request.reference)}"
        notes.append(f"{left} {what} left out: a metric compares the reference with itself.")
    if rows.empty:
        raise StatisticsError(
            f"{name} has no stimuli but the reference.", "Rate what methods made."
        )
    usable, unusable = usable_metrics(rows, names, request)
    notes += [f"Left out: {why}" for why in unusable]
    if not usable:
        raise StatisticsError(f"{name} has no metric that can be compared. {' '.join(unusable)}")
    notes += lacking_values(rows, usable)
    rows = rows[finite_rows(rows, ["mos", *usable])]
    if rows.empty:
        raise StatisticsError(f"{name} has no stimulus with a MOS and all metrics.", *notes[-1:])
    unit = rows["dataset"] + "/" + rows["image"].map(unit_of)
    still = rows["scene"] == rows["dataset"] + "/" + rows["image"]
    rows = rows.assign(unit=unit, scene=rows["scene"].where(~still, unit))
    rows = rows.assign(group=_groups(rows, votes, classes))
    if "ci95" in votes:
        rows = rows.assign(ci95=_half_widths(rows, votes))
    key = ["scene", "unit", "method"]
    kept = ["mos", *usable, *(["ci95"] if "ci95" in rows else [])]
    means = rows.groupby(key, sort=False)[kept].mean()
    stimuli = means.join(rows.groupby(key, sort=False)["group"].first()).reset_index()
    stimuli = stimuli.rename(columns={"unit": "image"})
    if len(stimuli) < len(rows):
        notes.append("Frames are averaged over their sequence first.")
    ratings = None if is_means(votes) else _ratings(votes, rows, stimuli)
    errors, half = _precision(ratings, stimuli)
    if ratings is None:
        notes.append("No votes: every pair of different MOS counts.")
    if errors is None:
        notes.append(
            "The intervals of the MOS aren't known (votes tell them, or a column ci95): the "
            "effects of classes aren't corrected for errors of MOS, and P.1401 has neither RMSE* "
            "nor outlier ratio."
        )
    unknown = paper.sort_methods(sorted(set(stimuli.loc[stimuli["group"] == "", "method"])))
    if unknown:
        named = listed([paper.label(method) for method in unknown], 10)
        notes.append(
            f"Without a class: {named}. Name {'it' if len(unknown) == 1 else 'them'} by "
            f"{option('--class METHOD=CLASS', 'classes={method: class}')}."
        )
    there = [group for group in stimuli["group"].unique() if group]
    better = directions(usable, request)
    return StimuliOf(
        name, stimuli, better, tuple(_in_order(there)), ratings, errors, half,
        tuple(marks_of(votes)), (*notes, *mark_notes(votes)),
    )  # fmt: skip


def _groups(rows: pd.DataFrame, votes: pd.DataFrame, classes: Mapping[str, str]) -> pd.Series:
    known: dict[str, str] = {}
    if "class" in votes:
        own = votes["class"].fillna("").map(lambda cell: str(cell).strip().casefold())
        told = pd.DataFrame({"method": votes["method"], "group": own}).drop_duplicates()
        told = told[told["group"] != ""]
        if (twice := told["method"].duplicated()).any():
            method = told.loc[twice, "method"].iloc[0]
            named = told.loc[told["method"] == method, "group"]
            raise StatisticsError(
                f"The method {method!r} has several classes: {listed(list(named))}.",
                "Give it one, or name its variants apart.",
            )
        known |= dict(zip(told["method"], told["group"], strict=True))
    known |= {method: group.casefold() for method, group in classes.items()}
    return rows["method"].map(lambda method: known.get(method) or paper.class_of(method))


def _half_widths(rows: pd.DataFrame, votes: pd.DataFrame) -> Floats:
    key = ["dataset", "image", "method"]
    told = metric_values(votes, ["ci95"]).set_index(key)["ci95"]
    found: Floats = told.reindex(pd.MultiIndex.from_frame(rows[key])).to_numpy(dtype=np.float64)
    if (found < 0).any():
        raise StatisticsError(
            f"The column ci95 has {found[found < 0][0]:g}.",
            "It is half of the 95% interval of the MOS, so at least 0.",
        )
    return found


def _ratings(votes: pd.DataFrame, rows: pd.DataFrame, stimuli: pd.DataFrame) -> Floats:
    """Each rater's mean vote on the frames of each stimulus, shape (stimuli, raters)."""
    key = ["dataset", "image", "method"]
    places = rows[[*key, "scene", "unit"]]
    own = opinions(votes)[[*key, "rater", "score"]].merge(places, on=key)
    wide = own.pivot_table(index=["scene", "unit", "method"], columns="rater", values="score")
    at = pd.MultiIndex.from_frame(stimuli[["scene", "image", "method"]])
    found: Floats = wide.reindex(at).to_numpy(dtype=np.float64)
    return found


def _precision(ratings: Floats | None, stimuli: pd.DataFrame) -> tuple[Floats | None, ...]:
    """Standard errors of the MOS without the raters' bias, and half of their 95 % intervals."""
    if ratings is None:
        if "ci95" not in stimuli or stimuli["ci95"].isna().any():
            return None, None
        half = stimuli["ci95"].to_numpy(dtype=np.float64)
        return half / float(student_quantile(math.inf, 0.95)), half
    n = np.isfinite(ratings).sum(axis=1)
    if n.min() < 2:
        return None, None
    residual = ratings - np.nanmean(ratings, axis=1, keepdims=True)
    half = student_quantile((n - 1).astype(np.float64), 0.95) * np.nanstd(ratings, axis=1, ddof=1)
    own = residual - np.nanmean(residual, axis=0, keepdims=True)
    return np.nanstd(own, axis=1, ddof=1) / np.sqrt(n), half / np.sqrt(n)


def _in_order(groups: Sequence[str]) -> list[str]:
    rank = {group: index for index, group in enumerate(paper.CLASS_ORDER)}
    return sorted(groups, key=lambda group: (rank.get(group, len(rank)), group))


def class_label(group: str) -> str:
    """A class as it is printed."""
    return _CLASS_LABELS.get(group, " ".join(group.split()))


def _methods(groups: Groups) -> str:
    return " against ".join(map(class_label, groups)) or "all"


def metrics_study(
    studies: Sequence[StimuliOf], mapping: Map, level: float
) -> tuple[list[Table], list[str]]:
    """All tables, and what couldn't be made. Raises StatisticsError where nothing could."""
    answers: dict[str, list[Answer]] = {}
    effects: dict[str, list[ClassEffect]] = {}
    figures: dict[str, P1401] = {}
    not_done: list[str] = []
    where = {study.name: f"{study.name}: " if len(studies) > 1 else "" for study in studies}
    for study in studies:
        made, why = attempted(partial(_answers, study, level))
        if made is None:
            not_done.append(f"{where[study.name]}{why}")
            continue
        answers[study.name] = made
        effects[study.name] = class_effects(
            study.stimuli, study.metrics, study.classes, study.errors, level
        )
        rest = study.stimuli, study.metrics, study.half_widths, mapping
        told, why = attempted(partial(p1401, *rest))
        if told is None:
            not_done.append(f"P.1401: {where[study.name]}{why}")
        else:
            figures[study.name] = told
    if not answers:
        raise StatisticsError(" ".join(not_done))
    notes = [f"{where[study.name]}{note}" for study in studies for note in study.notes]
    over = {f"all {len(answers)}": combined(list(answers.values()), level)}
    frame = _frame(over | answers if len(answers) > 1 else answers, answers, level)
    several = len(answers) > 1
    voted = [study.ratings is not None for study in studies if study.name in answers]
    tables = [_verdict(frame, voted, level), _agreement(frame, several, level)]
    if any(effects.values()):
        together = {name: combined_effects(list(effects.values()), level) for name in over}
        tables.append(_effects(together | effects if several else effects, several, level))
    if figures:
        tables += _p1401(figures, several)
    marks = sorted({mark for study in studies for mark in study.marks})
    if marks:
        tables = [_marked(made, marks) for made in tables]
    tables[0].notes.extend(dict.fromkeys(notes))
    return tables, not_done


def _answers(study: StimuliOf, level: float) -> list[Answer]:
    rest = study.stimuli, study.metrics, study.classes
    return [*within_scene(*rest, study.ratings, level), *across_scenes(*rest, level)]


def _marked(made: Table, marks: Sequence[str]) -> Table:
    frame = made.frame.assign(**{mark.replace("-", "_"): True for mark in marks})
    return replace(made, title=f"{made.title} ({', '.join(marks)})", frame=frame)


def _frame(
    by_study: Mapping[str, Sequence[Answer]], own: Mapping[str, Sequence[Answer]], level: float
) -> pd.DataFrame:
    """A row per study, question, methods, statistic and metric, the best metric first."""
    rows = []
    for study, answers in by_study.items():
        for one in answers:
            over = study not in own
            others = [
                a
                for answers in own.values()
                for a in answers
                if (a.question, a.groups, a.statistic) == (one.question, one.groups, one.statistic)
            ]
            for rank, metric in enumerate(one.order, 1):
                found, p = one.intervals[metric], one.p_from_best(metric)
                spread = heterogeneity(others if over else [], metric)
                rows.append(
                    {"study": study, "question": one.question, "methods": _methods(one.groups)}
                    | {"statistic": one.statistic, "metric": metric, "rank": rank}
                    | {"estimate": found.estimate, "low": found.low, "high": found.high}
                    | {"n": one.n, "of": one.of, "scenes": found.n}
                    | {"p_from_best": p, "worse_than_best": bool(p < 1 - level)}
                    | {"chance": _CHANCE[one.statistic], "combined": over}
                    | {"i_squared": spread.i_squared, "p_heterogeneity": spread.p}
                )
    return pd.DataFrame(rows)


def _verdict(frame: pd.DataFrame, voted: Sequence[bool], level: float) -> Table:
    """In each respect the best metric, those not shown worse, and those shown worse.

    ``voted`` says of each study that answers whether it has votes.
    """
    texts, tested = [], True
    several = len(voted) > 1
    printed = _printed(frame)
    key = ["study", "question", "methods", "statistic"]
    for (study, question, methods, statistic), own in printed.groupby(key, sort=False):
        if (question, statistic, methods) == ("within a scene", "srocc", "all"):
            continue
        first, others = own.iloc[0], own.iloc[1:]
        best = f"{_told(first)} ({span(first['low'], first['high'], 2, signed=first['low'] < 0)})"
        best = f"none: {best}" if first["high"] < first["chance"] else best
        sides = [others[others["worse_than_best"] == worse] for worse in (False, True)]
        told = [", ".join(_told(row) for _, row in side.iterrows()) or NONE for side in sides]
        counts = [_counted(first), f"{first['scenes']:.0f}"]
        names = [*([str(study)] * several), str(question), str(methods), _SIGN[str(statistic)]]
        texts.append([*names, best, *told, *counts])
        tested &= bool(others["p_from_best"].notna().all())
    alpha = f"{1 - level:.3g}"
    notes = [
        f"Best: with its {percent(level)} interval. Shown worse: than the best, on the same pairs "
        f"or stimuli, adjusted p (Holm, over all pairs of metrics of the row) below {alpha}. Pairs "
        "in order: the share of the pairs of versions of one image that a metric puts in the order "
        "of the raters, a mean of the scenes' shares; by chance it would be 0.50. SROCC: over all "
        "scenes together, 1 is best, 0 is chance. A best metric whose interval reaches chance "
        "isn't shown to follow the raters; none: even the best orders against them.",
    ]
    if any(voted):
        where = "" if all(voted) else "where there are votes, "
        notes.append(
            f"Pairs: {where}those on which the raters of both differ (paired t test, p below "
            f"{alpha}, each pair alone)."
        )
    if several:
        notes.append(
            "Rows over all studies: the mean, in which each counts alike; the intervals are about "
            "new scenes of these studies, not about other studies. What only one study answers "
            "has its name; all rows of every study are in the CSV and JSON."
        )
    else:
        notes.append("Unit scene: the intervals are about new scenes.")
    if (printed["scenes"] < FEW_SCENES).any():
        notes.append(f"Fewer than {FEW_SCENES} scenes: an interval rests on little.")
    if not tested:
        notes.append(
            f"Fewer than {LEAST_UNITS} scenes{' in a study' * several}, or values that don't vary, "
            "give neither interval nor test: nothing is shown worse there."
        )
    heads = [*["study"] * several, "question", "methods", "by", "best", "not shown worse"]
    heads += ["shown worse", "n", "scenes"]
    return text_table(ANALYSIS, "Which metric to trust where", frame, heads, texts, notes)


def _counted(row: Any) -> str:
    one = {"pairs": "pair", "stimuli": "stimulus"}
    return f"{row['n']:.0f} {one.get(row['of'], '') if row['n'] == 1 else row['of']}"


def _told(row: Any) -> str:
    return f"{metric_name(str(row['metric']))} {fixed(row['estimate'], 2)}"


def _follows(row: Any) -> str:
    if math.isnan(row["low"]):
        return NONE
    if row["low"] > row["chance"]:
        return "yes"
    return "the reverse" if row["high"] < row["chance"] else "not shown"


def _agreement(frame: pd.DataFrame, several: bool, level: float) -> Table:
    columns: Columns = {
        "question": column("question"),
        "methods": column("methods"),
        "by": lambda row: _SIGN[row["statistic"]],
        "metric": lambda row: metric_name(row["metric"]),
        "value": column("estimate", 2),
        percent(level): lambda row: span(row["low"], row["high"], 2, signed=row["low"] < 0),
        "follows?": _follows,
        "p from best": lambda row: "" if row["rank"] == 1 else p_value(row["p_from_best"]),
        "n": _counted,
        "scenes": whole("scenes"),
    }
    notes = [
        "Follows the raters: yes where the interval lies above chance, the reverse where it lies "
        "below. SROCC within a scene: the mean of the scenes' rank correlations, of images with "
        "three versions or more."
    ]
    if several:
        columns = {"study": column("study"), **columns}
        columns |= {
            "I²": lambda row: fixed(row["i_squared"], 2) if row["combined"] else "",
            "p alike": lambda row: p_value(row["p_heterogeneity"]) if row["combined"] else "",
        }
        notes.append(
            "I²: the share of the spread between studies that their scenes don't explain; p alike: "
            "of Cochran's Q, that the studies agree."
        )
    title = "How far each metric follows the raters"
    return table_of(ANALYSIS, title, frame, columns, notes, printed=_printed(frame))


def _printed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows over all studies, and those of what only one study answers."""
    answered = frame.groupby(["question", "methods", "statistic"])["study"].transform("nunique")
    return frame[frame["combined"] | (answered == 1)]


def _effects(effects: Mapping[str, Sequence[ClassEffect]], several: bool, level: float) -> Table:
    frame = pd.DataFrame(
        {"study": study, "metric": one.metric, "first": one.first, "second": one.second}
        | {"effect": one.effect.estimate, "low": one.effect.low, "high": one.effect.high}
        | {"p": one.p, "p_adjusted": one.p_adjusted, "points": one.points}
        | {"scenes": one.effect.n, "images": one.images}
        for study, own in effects.items()
        for one in own
    )
    columns: Columns = {
        "metric": lambda row: metric_name(row["metric"]),
        "of": lambda row: class_label(row["second"]),
        "against": lambda row: class_label(row["first"]),
        "effect": signed_column("effect", 3),
        percent(level): interval_column(3, signed=True),
        "p adjusted": lambda row: p_value(row["p_adjusted"]),
        "in points": lambda row: fixed(row["points"], 2, signed=True),
        "verdict": lambda row: _favour(row, level),
        "scenes": whole("scenes"),
    }
    if several:
        columns = {"study": column("study"), **columns}
    notes = [
        "Effect: by how much a metric, in its own units and turned so that more is better, puts "
        "one class above the other where the raters give both the same MOS (analysis of "
        "covariance within images, errors of MOS taken out where they are known; jackknife over "
        "scenes, about new scenes; p adjusted by Holm over the study's rows, the interval not). It "
        "takes the metric to rise with MOS by a straight line that is as steep in both classes.",
        "In points: the effect over that slope; – where the slope isn't shown to be positive. A "
        "dash for the effect: the MOS differ too little within the classes.",
    ]
    if several:
        notes.append(
            "Rows over all studies: the mean, in which each counts alike, about new scenes of "
            "these studies."
        )
    return table_of(ANALYSIS, "Between classes at equal MOS", frame, columns, notes)


def _favour(row: Any, level: float) -> str:
    if math.isnan(row["p"]):
        return "not tested"
    if not row["p_adjusted"] < 1 - level:
        return "no bias shown"
    name = metric_name(row["metric"])
    return f"{name} {'over' if row['effect'] > 0 else 'under'}rates {class_label(row['second'])}"


def _p1401(figures: Mapping[str, P1401], several: bool) -> list[Table]:
    rows, tests = [], []
    for study, found in figures.items():
        rows.append(found.figures.assign(study=study, mapping=found.mapping))
        tests.append(found.tests.assign(study=study))
    frame = pd.concat(rows, ignore_index=True)
    first = next(iter(figures.values()))
    columns: Columns = {
        "metric": lambda row: metric_name(row["metric"]),
        "PLCC": column("r", 3),
        "RMSE": column("rmse", 2),
        "RMSE*": column("rmse_star", 2),
        "outlier ratio": column("outlier_ratio", 2),
        "n": whole("n"),
    }
    pairs = pd.concat(tests, ignore_index=True)
    key = ["study", "first", "second"]
    wide = pairs.pivot_table(index=key, columns="statistic", values="p_adjusted", sort=False)
    heads: Columns = {
        "first": lambda row: metric_name(row["first"]),
        "second": lambda row: metric_name(row["second"]),
        "p, PLCC": lambda row: p_value(row["r"]),
        "p, RMSE": lambda row: p_value(row["rmse"]),
        "p, RMSE*": lambda row: p_value(row["rmse_star"]),
        "p, outliers": lambda row: p_value(row["outlier_ratio"]),
    }
    if several:
        columns = {"study": column("study"), **columns}
        heads = {"study": column("study"), **heads}
    of = {"third-order": "third-order polynomial", "logistic": "four-parameter logistic curve"}
    kind = of.get(first.mapping, "straight line")
    notes = [
        f"Each study after a monotone {kind} of its own from metric to MOS, in points of its "
        "scale; RMSE over n minus the map's parameters. RMSE*: errors beyond half of the MOS' 95% "
        "interval alone; outlier ratio: the share of stimuli that have one; – without intervals. "
        "ITU-T P.1401 (01/2020), 7.5 and 7.7; no interval."
    ]
    made = [table_of(ANALYSIS, "ITU-T P.1401", frame, columns, notes)]
    if len(pairs):
        tested = wide.reindex(columns=["r", "rmse", "rmse_star", "outlier_ratio"]).reset_index()
        notes = [
            "Adjusted by Holm within each column and study. Fisher's z, F (the larger error over "
            "the smaller, one-sided) and the normal distribution for shares: they take stimuli and "
            "metrics as independent, which they aren't. The first two tables test without that."
        ]
        title = "Tests of ITU-T P.1401 between metrics"
        made.append(table_of(ANALYSIS, title, tested, heads, notes))
    return made
