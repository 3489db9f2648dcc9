"""Figures of opinions: scores, ranks, significance, raters, every vote, SOS, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from sreval.errors import UsageError, attempted, option, unknown_name
from sreval.opinions.arrays import Floats
from sreval.opinions.comparison import compare_methods
from sreval.opinions.mos import mos_table
from sreval.opinions.reading import is_means, needs_votes
from sreval.opinions.votes import opinions
from sreval.report import paper
from sreval.report.cells import TOO_SMALL
from sreval.report.digits import fixed
from sreval.report.opinion_style import captioned, shades, short_label, write
from sreval.report.rater_figures import (
    matrix_figure,
    metrics_figure,
    raters_figure,
    sos_figure,
)
from sreval.report.sections import CORRECTIONS, Request, image_notes, percent, span
from sreval.report.style import COLUMN_MM, PAGE_MM, new_figure

_ROW_MM = 5.5
_WIDE_ENOUGH = 0.045
"""Share of a bar from which its digit can be written into it."""


def scores_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """Every method's scores as shares of a bar, its MOS and interval behind it."""
    counted, scale = opinions(votes), request.scale
    methods = paper.sort_methods(list(map(str, counted["method"].unique())))
    figure = new_figure(PAGE_MM, 22 + _ROW_MM * len(methods))
    axes = figure.subplots()
    values = scale.scores()
    step = ((counted["score"] - scale.low) / scale.spacing).round().astype(int)
    shares = step.groupby(counted["method"]).value_counts(normalize=True).unstack(fill_value=0)
    left = np.zeros(len(methods))
    for index, (value, colour) in enumerate(zip(values, shades(len(values)), strict=True)):
        width = np.array([shares.at[m, index] if index in shares else 0.0 for m in methods])
        axes.barh(methods, width, left=left, color=colour, edgecolor="white", linewidth=0.4)
        for place, (start, share) in enumerate(zip(left, width, strict=True)):
            if share >= _WIDE_ENOUGH:
                write(axes, start + share / 2, place, f"{value:g}", colour)
        left = left + width
    table = mos_table(votes, interval=request.interval, level=request.level, scale=request.scale)
    table = table.set_index("method")
    means = table[["mos", "low", "high"]].astype(float).to_dict("index")
    for place, method in enumerate(methods):
        row = means[method]
        text = f"{fixed(row['mos'], 2)}  ({span(row['low'], row['high'], 2)})"
        axes.annotate(
            text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7
        )
    axes.annotate(
        f"MOS ({percent(request.level)})",
        (1.01, 1.0),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=7,
    )
    axes.set_yticks(range(len(methods)), [short_label(m) for m in methods])
    axes.set(xlim=(0, 1), ylim=(len(methods) - 0.4, -0.6), xlabel="share of the votes")
    first = table.iloc[0]
    return captioned(
        figure,
        votes,
        f"Scores {scale.low:g} bad to {scale.high:g} excellent, dark to light. MOS with "
        f"{percent(request.level)} interval, {first['interval']}, about {first['estimand']}"
        + "".join(f". {note.rstrip('.')}" for note in image_notes(counted)),
    )


def ranks_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """How often each method takes each rank among those that a rater rated on an image."""
    counted = opinions(votes)
    methods = paper.sort_methods(list(map(str, counted["method"].unique())))
    wide = counted.pivot(index=["rater", "image"], columns="method", values="score")[methods]
    complete = wide.dropna().to_numpy(dtype=np.float64)
    if not len(complete):
        raise UsageError(
            "No rater rated every method on one image.", "Ranks need complete rows; leave it out."
        )
    shares = rank_shares(complete)
    figure = new_figure(PAGE_MM, 26 + _ROW_MM * len(methods))
    axes = figure.subplots()
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=max(0.5, float(shares.max())), aspect="auto")
    for (row, place), share in np.ndenumerate(shares):
        colour = mpl.colormaps["cividis"](share / max(0.5, float(shares.max())))
        write(axes, place, row, f"{100 * share:.0f}", colour)
    axes.set_xticks(range(len(methods)), [str(i + 1) for i in range(len(methods))])
    axes.set_yticks(range(len(methods)), [short_label(m) for m in methods])
    axes.set_xlabel("rank (1 best), cells in % of the row")
    return captioned(
        figure,
        votes,
        f"Ranks of {len(methods)} methods within {len(complete)} (rater, image) pairs that rated "
        f"all ({len(wide) - len(complete)} incomplete left out); methods that tie share their "
        "ranks evenly. Shares of the votes, no interval",
    )


def rank_shares(scores: Floats) -> Floats:
    """Share of the rows (N, K) in which each method takes each rank, (method, rank).

    Methods with one score share the ranks they tie for evenly, so that rows and columns sum to 1.
    """
    n, k = scores.shape
    above = (scores[:, None, :] > scores[:, :, None]).sum(axis=2)
    equal = (scores[:, None, :] == scores[:, :, None]).sum(axis=2)
    shares = np.zeros((k, k))
    for rank in range(k):
        takes = (above <= rank) & (rank < above + equal)
        shares[:, rank] = (takes / equal).sum(axis=0) / n
    return shares


def significance_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """Row against column: the difference of means, marked where it is significant."""
    (made,) = compare_methods(
        votes,
        unit=request.unit,
        adjustment=request.adjustment,
        alpha=request.alpha,
        scale=request.scale,
    )
    small = [pair for pair in made.pairs if pair.too_small]
    methods = paper.sort_methods(list(made.methods))
    place = {method: index for index, method in enumerate(methods)}
    verdict = np.zeros((len(methods), len(methods)))
    side = 34 + 11 * len(methods)
    figure = new_figure(min(PAGE_MM, max(COLUMN_MM, side)), 36 + 7.5 * len(methods))
    axes = figure.subplots()
    texts = []
    for pair in made.pairs:
        if pair.difference is None:
            continue
        found = pair.verdict.significant
        mark = TOO_SMALL if pair.too_small else ""
        for one, two, sign in ((pair.first, pair.second, 1), (pair.second, pair.first, -1)):
            value = sign * pair.difference.estimate
            verdict[place[one], place[two]] = found * np.sign(value)
            texts.append((place[two], place[one], _signed(value) + mark))
    colours = ListedColormap([shades(5)[1], (1.0, 1.0, 1.0, 1.0), shades(5)[4]])
    axes.imshow(verdict, cmap=colours, vmin=-1, vmax=1, aspect="auto")
    for x, y, text in texts:
        significant = verdict[y, x] != 0
        write(axes, x, y, text, colours((verdict[y, x] + 1) / 2), bold=bool(significant))
    labels = [short_label(m) for m in methods]
    axes.set_xticks(range(len(methods)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(methods)), labels)
    for edge in np.arange(len(methods) - 1) + 0.5:
        axes.axhline(edge, color="#cccccc", linewidth=0.4)
        axes.axvline(edge, color="#cccccc", linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(True)
    return captioned(
        figure,
        votes,
        "Mean of the row less mean of the column, points. Bold on a ground, light where the row is "
        f"better, dark where it is worse: p < {made.alpha:g} ({CORRECTIONS[made.adjustment]}), "
        f"two-sided Wilcoxon signed-rank, unit {made.unit} ({made.claim})"
        f"{f'. {TOO_SMALL} n too small' if small else ''}",
    )


def _signed(value: float) -> str:
    """Two decimals with a true minus, and no sign before a zero."""
    text = fixed(value, 2, signed=True).replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


KINDS: dict[str, Callable[[pd.DataFrame, Request], Figure]] = {
    "scores": scores_figure,
    "ranks": ranks_figure,
    "significance": significance_figure,
    "raters": raters_figure,
    "matrix": matrix_figure,
    "sos": sos_figure,
    "metrics": metrics_figure,
}
_OVERALL = ("raters", "matrix", "sos", "metrics")


def opinion_figure(
    votes: pd.DataFrame, kind: str, request: Request, dataset: str | None = None
) -> Figure:
    """The figure ``kind`` of the checked votes on one data set.

    ``dataset`` may be left out where there is only one, and for raters and metrics. Raises
    UsageError for an unknown kind or data set, and what the estimators raise.
    """
    if kind not in KINDS:
        raise unknown_name("kind of figure", kind, KINDS)
    if is_means(votes) and kind != "metrics":
        raise needs_votes(f"The figure of {kind}")
    names = sorted(map(str, votes["dataset"].unique()))
    if dataset is not None and dataset not in names:
        raise unknown_name("data set of these votes", dataset, names)
    if dataset is None and len(names) > 1 and kind not in _OVERALL:
        raise UsageError(
            f"The votes are on {', '.join(names)}.", f"Choose one with {option('--dataset')}."
        )
    chosen = votes if dataset is None else votes[votes["dataset"] == dataset]
    return KINDS[kind](chosen, request)


def all_figures(votes: pd.DataFrame, request: Request) -> Iterator[tuple[str, Figure | None, str]]:
    """Every figure with a name for its file, or None and why the votes don't allow it."""
    datasets = paper.sort_datasets(list(map(str, votes["dataset"].unique())))
    for kind in KINDS:
        for dataset in [None] if kind in _OVERALL else datasets:
            made, why = attempted(partial(opinion_figure, votes, kind, request, dataset))
            yield f"{kind}-{dataset}" if dataset else kind, made, why
