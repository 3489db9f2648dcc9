"""Preferences beside what else is known of the same images: MOS, and metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, UsageError, counted, fixed, listed
from sreval.frames import unit_of
from sreval.metrics.metric import LIBRARY, METRICS, metric_of
from sreval.opinions.cells import plain
from sreval.opinions.correlation import kendall
from sreval.opinions.intervals import LEAST_UNITS
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
    share_column,
    share_interval_column,
    signed_column,
    table_of,
    whole,
)
from sreval.report.text import percent
from sreval.report.values import metric_name

OTHERS = "another rater"
"""Who foretells in the row below the metrics."""

UNNAMED = "another answer"
"""The same where judgements don't name their raters."""

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
    every = counted_judgements(judgements)
    found = foretold.by_metrics(every, values, metrics, level)
    used = {name: metrics[name] for name, one in found.items() if one.n}
    others = foretold.by_others(foretold.with_values(every, values, used))
    named = bool((every["rater"] != "").all())
    by: dict[str, foretold.Foretold] = {
        **{metric_name(name): found[name] for name in used},
        **({OTHERS if named else UNNAMED: others} if others.n else {}),
    }
    frame = pd.DataFrame(
        {"metric": metric, **one._asdict()}
        for metric, one in zip([*used, *[OTHERS] * (others.n > 0)], by.values(), strict=True)
    ).assign(name=list(by), common_share=math.nan, common_n=0)
    common = foretold.in_common(every, values, used)
    n = int(common["count"].sum())
    apart = frame["n"].nunique() > 1
    if apart and n:
        again = foretold.by_metrics(common, values, used, level)
        shares = [*(one.share for one in again.values()), foretold.by_others(common).share]
        frame = frame.assign(common_share=shares[: len(frame)], common_n=n)
    order = "common_share" if apart and n else "share"
    of_metric = frame["metric"] != OTHERS
    frame = pd.concat(
        [frame[of_metric].sort_values(order, ascending=False, kind="stable"), frame[~of_metric]]
    )
    known = frame["low"].notna().any()
    columns: Columns = {
        "foretold by": column("name"),
        "share": share_column("share", 1),
        **({percent(level): share_interval_column("low", "high", 1)} if known else {}),
        "n": whole("n"),
        **({"share in common": share_column("common_share", 1)} if apart and n else {}),
    }
    ties = int(every.loc[every["choice"] == "tie", "count"].sum())
    interval = "Intervals of metrics: raters and images." if known else _no_interval(every)
    notes = [
        "share: of the n judgements without a tie, those that chose the picture with the better "
        f"value; equal values count half; chance is 50%. {interval}",
    ]
    if others.n:
        notes.append(
            f"{OTHERS}: how often one other rater, drawn at random, answers a pair of one image "
            "alike; it is no upper limit."
            if named
            else f"{UNNAMED}: how often one other answer, drawn at random, to a pair of one image "
            "is alike; whose it is isn't known. It is no upper limit."
        )
    if apart:
        notes.append(
            f"share in common: of the {n} judgements that every row foretells; compare these."
            if n
            else "No judgement is foretold by every row, so the shares can't be compared."
        )
    if ties:
        notes.append(f"{counted(ties, 'tie')} left out.")
    decided = int(every["count"].sum()) - ties
    lacking = {metric_name(m): decided - one.n for m, one in found.items() if one.n < decided}
    if lacking:
        texts = [f"{metric} {lost}" for metric, lost in lacking.items()]
        notes.append(
            f"Judgements without a value of both pictures, of {decided}: {listed(texts, 12)}."
        )
    return table_of(
        "metrics", "Do metrics foretell preferences?", frame.drop(columns="name"), columns, notes,
        printed=frame,
    )  # fmt: skip


def _no_interval(judgements: pd.DataFrame) -> str:
    """Why shares have no interval."""
    unnamed = [f"{name}s" for name in ("rater", "image") if (judgements[name] == "").any()]
    if unnamed:
        return f"No interval: not all judgements name {' and '.join(unnamed)}."
    return f"No interval: it needs {LEAST_UNITS} raters and images or more."


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
