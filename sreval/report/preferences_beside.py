"""Preferences beside what else is known of the same images: MOS, and metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, UsageError, counted, listed
from sreval.frames import unit_of
from sreval.metrics.metric import LIBRARY, METRICS, metric_of
from sreval.opinions.cells import plain
from sreval.opinions.correlation import kendall
from sreval.opinions.pairs import foretold
from sreval.opinions.pairs.judgements import counted_judgements
from sreval.opinions.reading import metric_values
from sreval.opinions.sheet import SYNONYMS, Heads, Source, read_sheet
from sreval.report.opinion_models import better_options, own_metrics
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    method_column,
    signed_column,
    table_of,
    whole,
)
from sreval.report.text import NONE, fixed, percent
from sreval.report.values import metric_name

OTHERS = "another rater"
"""Who foretells in the row below the metrics."""

_STIMULUS = ["dataset", "image", "method"]


def beside_mos(scales: Sequence[Table], mos: pd.DataFrame, level: float) -> list[Table]:
    """MOS and JOD of the methods that have both, and whether their orders agree.

    ``mos`` is ``mos_table``'s of votes on the same images. A data set without a name is that of
    votes on one data set. Raises StatisticsError where no method has both.
    """
    made = []
    for table in scales:
        if "jod" not in table.frame:
            continue
        dataset = str(table.frame["dataset"].iloc[0])
        named = [str(name) for name in mos["dataset"].unique()]
        own = mos if len(named) == 1 and "" in (dataset, *named) else mos[mos["dataset"] == dataset]
        keep = own[["method", "mos", "low", "high"]].rename(
            columns={"low": "mos_low", "high": "mos_high"}
        )
        joined = table.frame.drop(columns=["low", "high"]).merge(keep, on="method")
        if len(joined) < 2:
            continue
        pairs = list(itertools.combinations(range(len(joined)), 2))
        jod, opinion = joined["jod"].to_numpy(), joined["mos"].to_numpy()
        same = sum((jod[a] - jod[b]) * (opinion[a] - opinion[b]) > 0 for a, b in pairs)
        tau = float(kendall(jod, opinion, np.ones((1, len(joined))))[0])
        joined = joined.assign(
            mos_rank=joined["mos"].rank(ascending=False),
            jod_rank=joined["jod"].rank(ascending=False),
        )
        columns: Columns = {
            "method": method_column(),
            "MOS": column("mos", 2),
            f"MOS {percent(level)}": interval_column(2, "mos_low", "mos_high"),
            "rank": column("mos_rank", 0),
            "JOD": signed_column("jod", 2),
            f"JOD {percent(level)}": interval_column(2, "jod_low", "jod_high", signed=True),
            "JOD rank": column("jod_rank", 0),
        }
        only = sorted(set(table.frame["method"]) ^ set(own["method"]))
        notes = [
            f"{same} of {len(pairs)} pairs of methods are in the same order; Kendall's tau = "
            f"{fixed(tau, 2)}, n = {len(joined)} methods, no test.",
            *([f"In one of the two alone: {listed(only, 12)}."] if only else []),
        ]
        made.append(
            table_of(
                "mos",
                f"Mean opinion scores and preferences{f', {dataset}' if dataset else ''}",
                joined,
                columns,
                notes,
                {"tau": tau, "same": same, "pairs": len(pairs)},
            )
        )
    if not made:
        raise StatisticsError(
            "No two methods have both a MOS and a JOD on one data set.",
            "Use one name for each method, and for each data set, in both files.",
        )
    return made


def beside_metrics(
    judgements: pd.DataFrame, values: pd.DataFrame, metrics: Mapping[str, bool], level: float
) -> Table:
    """How many judgements each metric foretells, beside what another rater does."""
    own = counted_judgements(judgements)
    found = foretold.by_metrics(own, values, metrics, level)
    others = foretold.by_others(foretold.with_values(own, values, metrics)[0])
    rows = [
        {"metric": metric, **one._asdict()}
        for metric, one in sorted(found.items(), key=lambda item: -item[1].share)
    ]
    if others.n:
        rows.append({"metric": OTHERS, **others._asdict()})
    frame = pd.DataFrame(rows)
    columns: Columns = {
        "foretold by": _foreteller,
        "share": lambda row: f"{100 * row['share']:.1f}%",
        percent(level): _share_interval,
        "n": whole("n"),
    }  # fmt: skip
    ties = int(own.loc[own["choice"] == "tie", "count"].sum())
    notes = [
        "share: of the n judgements without a tie, those that chose the picture with the better "
        "value; equal values count half; chance is 50%. Interval: raters and images.",
        f"{OTHERS}: how often one other rater, drawn at random, answers a pair of one image "
        "alike; it is no upper limit.",
    ]
    if ties:
        notes.append(f"{counted(ties, 'tie')} left out.")
    decided = int(own["count"].sum()) - ties
    if (used := next(iter(found.values())).n) < decided:
        notes.append(f"{decided - used} judgements have no metric of both pictures.")
    return table_of("metrics", "Do metrics foretell preferences?", frame, columns, notes)


def _foreteller(row: Any) -> str:
    name = str(row["metric"])
    return name if name == OTHERS else metric_name(name)


def _share_interval(row: Any) -> str:
    low, high = row["low"], row["high"]
    known = math.isfinite(low) and math.isfinite(high)
    return f"{100 * low:.1f}–{100 * high:.1f}%" if known else NONE


def metrics_of_results(
    scores: pd.DataFrame, better: Mapping[str, bool]
) -> tuple[pd.DataFrame, dict[str, bool]]:
    """The values of benchmark results, a column a metric of single images, and its direction."""
    wide = scores.pivot(index=_STIMULUS, columns="metric", values="value").reset_index()
    names = [str(name) for name in wide if name not in _STIMULUS]
    names = [name for name in names if metric_of(name).per == "image"]
    return wide[[*_STIMULUS, *names]], _directions(names, better)


def metrics_of_table(
    source: Source, better: Mapping[str, bool]
) -> tuple[pd.DataFrame, dict[str, bool], list[str]]:
    """The values of a table with image, method (and dataset), and a column a metric.

    Metrics are those that are known, or named in ``better``; the notes name the other columns.
    Raises DataError and StatisticsError as ``read_sheet`` and ``metric_values`` do, UsageError for
    a table without image, method or any metric.
    """
    synonyms = {"image": SYNONYMS["image"]}
    sheet = read_sheet(source, [*_STIMULUS, *synonyms["image"], *METRICS, *LIBRARY])
    heads = Heads.of(sheet.path, [plain(cell) for cell in sheet.rows[0]], _STIMULUS, synonyms)
    if lacking := [name for name in ("image", "method") if name not in heads.names]:
        raise UsageError(
            f"The metrics in {sheet.path} lack {' and '.join(lacking)}: the columns are "
            f"{listed(heads.cells, 12)}.",
            "Write one row an image and method, with the columns image, method, psnr, ...",
        )
    rows = sheet.filled
    table, _ = heads.columns(sheet, [row for _, row in rows], _STIMULUS)
    if "dataset" not in table:
        table["dataset"] = ""
    table.index = pd.Index([sheet.place(at) for at, _ in rows])
    names, others = own_metrics(table, better)
    if not names:
        raise UsageError(
            f"{sheet.path} has no metric that is known ({', '.join((*METRICS, *LIBRARY))}).",
            f"Name columns by {better_options('and')}{': ' + listed(others) if others else ''}.",
        )
    notes = list(heads.notes)
    if others:
        notes.append(
            f"further columns are left alone: {listed(others, 20)}. A metric among them is named "
            f"by {better_options('or')}."
        )
    values = metric_values(table, names).reset_index(drop=True)[[*_STIMULUS, *names]]
    return values, _directions(names, better), [f"{sheet.path}: {note}" for note in notes]


def _directions(names: Sequence[str], better: Mapping[str, bool]) -> dict[str, bool]:
    known = {n: metric_of(n).higher_is_better for n in names if n not in better}
    return {name: better.get(name, known.get(name) is not False) for name in names}


def matched(values: pd.DataFrame, judgements: pd.DataFrame) -> pd.DataFrame:
    """The values under the judgements' data sets; those of frames averaged over their sequence.

    Where only one side names data sets, images are matched by their names alone.
    """
    own = values.assign(image=values["image"].map(unit_of))
    sides = set(own["dataset"]), set(judgements["dataset"])
    if not sides[0] & sides[1] and {""} in sides:
        names = judgements.drop_duplicates("image").set_index("image")["dataset"]
        own = own.assign(dataset=own["image"].map(names).fillna(""))
    twice = own[values["image"] == own["image"]].duplicated(_STIMULUS, keep=False)
    if twice.any():
        first = own.loc[twice[twice].index[0], _STIMULUS]
        raise StatisticsError(
            f"The metrics have two rows for {'/'.join(filter(None, map(str, first)))}.",
            "Keep one row an image and method.",
        )
    metrics = [name for name in own if name not in _STIMULUS]
    return own.groupby(_STIMULUS, sort=False)[metrics].mean().reset_index()
