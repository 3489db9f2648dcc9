"""Figures of opinions: scores, ranks, significance, raters, every vote, SOS, metrics."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from sreval.errors import (
    NONE,
    StatisticsError,
    UsageError,
    attempted,
    counted,
    fixed,
    not_in_results,
    option,
)
from sreval.opinions.agreement import fit_mapped, metric_agreement
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.comparison import Comparison, compare_methods
from sreval.opinions.mos import mos_table
from sreval.opinions.reading import is_means, needs_votes
from sreval.opinions.recovery import recover_parts
from sreval.opinions.reliability import Reliability
from sreval.opinions.slider import BANDS
from sreval.opinions.tasks import Task
from sreval.opinions.units import unit_names
from sreval.opinions.votes import (
    ACR,
    STIMULUS,
    Scale,
    opinions,
    plain_number,
    stand_ins,
    task_in,
    with_codes,
)
from sreval.report import paper
from sreval.report.notes import SIMULATED, image_notes, marks_of, stand_in_note
from sreval.report.opinion_models import directions, join_scores, parts_notes, usable_metrics
from sreval.report.opinions import Request
from sreval.report.scores import TOO_SMALL
from sreval.report.style import (
    COLUMN_MM,
    PAGE_MM,
    WIDTHS_MM,
    describe,
    house_style,
    look,
    new_figure,
    with_minus,
    write_caption,
)
from sreval.report.text import CORRECTIONS, TESTS, percent, span, whole_percent
from sreval.report.values import name_and_unit

_ROW_MM = 5.5
_WIDE_ENOUGH = 0.045
"""Share of a bar from which its digit can be written into it."""

_MOST_NAMED_RATERS = 40
_MOST_PARTS = 11
_MOST_TICKS = 12
_SHADES = 100
"""In which the scores of a continuous scale are drawn."""

Shade = tuple[float, float, float, float]
Drawing = tuple[Figure, str]
"""A figure and what its caption says of it."""

_MOST_LETTERS = 24


def shades(count: int) -> list[Shade]:
    """Cividis from dark to light in ``count`` steps."""
    colours = mpl.colormaps["cividis"](np.linspace(0, 1, count))
    return [(float(r), float(g), float(b), float(a)) for r, g, b, a in colours]


def write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    ground: Shade,
    *,
    bold: bool = False,
    of: int = 0,
) -> None:
    """Text in the middle of a cell, white on dark and black on light.

    ``of`` cells a side where they fill the axes: an inner one's text can't reach beyond these.
    """
    light = 0.2126 * ground[0] + 0.7152 * ground[1] + 0.0722 * ground[2]
    axes.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        fontsize=7,
        color="white" if light < 0.45 else "black",
        fontweight="bold" if bold else "normal",
        # each text that the layout heeds is measured for it twice
        in_layout=not (0 < x < of - 1 and 0 < y < of - 1),
    )


def short_label(method: str) -> str:
    """A method's name as a figure has room for it."""
    return textwrap.shorten(paper.label(method)[:_MOST_LETTERS], _MOST_LETTERS, placeholder="…")


def scores_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """Every method's scores as shares of a bar, its MOS and interval behind it."""
    counted, scale, task = opinions(votes), request.scale, task_in(votes)
    methods = paper.sort_methods(list(map(str, counted["method"].unique())))
    figure = new_figure(WIDTHS_MM[request.width], 22 + _ROW_MM * len(methods))
    axes = figure.subplots()
    values, step = _parts(counted["score"], scale)
    shares = step.groupby(counted["method"]).value_counts(normalize=True).unstack(fill_value=0)
    left = np.zeros(len(methods))
    for index, (value, colour) in enumerate(zip(values, shades(len(values)), strict=True)):
        width = np.array([shares.at[m, index] if index in shares else 0.0 for m in methods])
        axes.barh(methods, width, left=left, color=colour, edgecolor="white", linewidth=0.4)
        for place, (start, share) in enumerate(zip(left, width, strict=True)):
            if share >= _WIDE_ENOUGH:
                write(axes, start + share / 2, place, value, colour)
        left = left + width
    table = mos_table(votes, interval=request.interval, level=request.level, scale=request.scale)
    table = table.set_index("method")
    means = table[["mos", "low", "high"]].astype(float).to_dict("index")
    for place, method in enumerate(methods):
        row = means[method]
        text = with_minus(f"{fixed(row['mos'], 2)}  ({span(row['low'], row['high'], 2)})")
        axes.annotate(
            text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7
        )
    axes.annotate(
        f"{task.mean} ({percent(request.level)})",
        (1.01, 1.0),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=7,
    )
    axes.set_yticks(range(len(methods)), [short_label(m) for m in methods])
    axes.set(xlim=(0, 1), ylim=(len(methods) - 0.4, -0.6), xlabel="share of the votes")
    first = table.iloc[0]
    return figure, (
        f"{_ends(scale, task)}, dark to light. {task.mean} with "
        f"{percent(request.level)} interval, {first['interval']}, about {first['estimand']}"
        + "".join(f". {note.rstrip('.')}" for note in image_notes(counted))
    )


def _parts(scores: pd.Series, scale: Scale) -> tuple[list[str], pd.Series]:
    """What a bar is divided into, by name, and into which part each score falls.

    The scores of a scale of up to eleven; else five equal bands, which hold their upper ends.
    """
    width = scale.high - scale.low
    if not _in_bands(scale):
        step = ((scores - scale.low) / scale.spacing).round().astype(int)
        return [f"{value:g}" for value in scale.scores()], step
    edges = [scale.low + width * i / BANDS for i in range(BANDS + 1)]
    band = np.ceil((scores - scale.low) / width * BANDS - 1e-9).clip(1, BANDS).astype(int) - 1
    return [f"{low:g}–{high:g}" for low, high in pairwise(edges)], band


def _in_bands(scale: Scale) -> bool:
    """Whether the scores are too many to be shown one by one."""
    return not scale.spacing or (scale.high - scale.low) / scale.spacing > _MOST_PARTS - 0.5


def _ends(scale: Scale, task: Task) -> str:
    """The scores in words: those of the task's own five categories, or where better lies."""
    low, high = f"{plain_number(scale.low)}", f"{plain_number(scale.high)}"
    if scale == ACR:
        return f"Scores {task.words(scale.low, scale.high)}"
    bands = f" in {BANDS} equal bands" if _in_bands(scale) else ""
    return f"Scores {low} (worst) to {high} (best){bands}"


def ranks_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """How often each method takes each rank among those that a rater rated on an image."""
    rated = opinions(votes)
    methods = paper.sort_methods(list(map(str, rated["method"].unique())))
    wide = rated.pivot(index=["rater", "image"], columns="method", values="score")[methods]
    complete = wide.dropna().to_numpy(dtype=np.float64)
    if not len(complete):
        raise UsageError(
            "No rater rated every method on one image.", "Ranks need complete rows; leave it out."
        )
    shares = rank_shares(complete)
    figure = new_figure(WIDTHS_MM[request.width], 26 + _ROW_MM * len(methods))
    axes = figure.subplots()
    axes.imshow(shares, cmap="cividis", vmin=0, vmax=max(0.5, float(shares.max())), aspect="auto")
    for (row, place), share in np.ndenumerate(shares):
        colour = mpl.colormaps["cividis"](share / max(0.5, float(shares.max())))
        write(axes, place, row, f"{100 * share:.0f}", colour, of=len(methods))
    axes.set_xticks(range(len(methods)), [str(i + 1) for i in range(len(methods))])
    axes.set_yticks(range(len(methods)), [short_label(m) for m in methods])
    axes.set_xlabel("rank (1 best), cells in % of the row")
    return figure, (
        f"Ranks of {counted(len(methods), 'method')} within "
        f"{counted(len(complete), '(rater, image) pair')} that rated "
        f"all ({len(wide) - len(complete)} incomplete left out); methods that tie share their "
        "ranks evenly. Shares of the votes, no interval"
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


def significance_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """Row against column: the difference of means, marked where it is significant."""
    made = request.compared() if request.compared else _compared(votes, request)
    small = [pair for pair in made.pairs if pair.too_small]
    over = [f"{name}s" for name in unit_names(made.unit, made.of)]
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
        write(
            axes, x, y, text, colours((verdict[y, x] + 1) / 2), bold=bool(significant),
            of=len(methods),
        )  # fmt: skip
    labels = [short_label(m) for m in methods]
    axes.set_xticks(range(len(methods)), labels, rotation=40, ha="right")
    axes.set_yticks(range(len(methods)), labels)
    for edge in np.arange(len(methods) - 1) + 0.5:
        axes.axhline(edge, color="#cccccc", linewidth=0.4)
        axes.axvline(edge, color="#cccccc", linewidth=0.4)
    axes.spines[["top", "right"]].set_visible(True)
    return figure, (
        "Difference, row less column, in points. Bold on a ground, light where the row is "
        f"better, dark where it is worse: p < {made.alpha:g} ({CORRECTIONS[made.adjustment]}), "
        f"two-sided {TESTS[made.unit]} over {' and '.join(over)} ({made.claim})"
        f"{f'. {TOO_SMALL} n too small' if small else ''}"
    )


def _compared(votes: pd.DataFrame, request: Request) -> Comparison:
    """All pairs of methods of one data set."""
    (made,) = compare_methods(
        votes,
        unit=request.unit,
        adjustment=request.adjustment,
        alpha=request.alpha,
        scale=request.scale,
    )
    return made


def _signed(value: float) -> str:
    """Two decimals with a true minus, and no sign before a zero."""
    text = with_minus(fixed(value, 2, signed=True))
    return "0.00" if text[1:] == "0.00" else text


def raters_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """Bias and inconsistency of every rater with intervals, by rising bias."""
    parts = recover_parts(
        Ratings.from_votes(opinions(votes), STIMULUS), request.level, request.scale
    )
    warnings = parts_notes(parts)
    tables = [part.raters[["bias", "inconsistency"]].join(part.rater_limits) for part in parts]
    table = pd.concat([one.sort_values("bias") for one in tables])
    named = len(table) <= _MOST_NAMED_RATERS
    figure = new_figure(WIDTHS_MM[request.width], 30 + (3.4 * len(table) if named else 90))
    left, right = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(table))
    size, ends = (3.5, 0.8) if named else (2.0, 0.4)
    bias = table["bias"].to_numpy()
    reach = np.stack([bias - table["bias_low"], table["bias_high"] - bias])
    left.errorbar(
        bias, places, xerr=reach, fmt="o", color="#000000",
        markersize=size, elinewidth=ends,
    )  # fmt: skip
    left.axvline(0, color="#888888", linewidth=0.6)
    left.set_xlabel("bias (points;\nright: more generous)")
    value = table["inconsistency"].to_numpy()
    spread = np.stack([value - table["inconsistency_low"], table["inconsistency_high"] - value])
    right.errorbar(
        value, places, xerr=spread, fmt="s", color="#0072B2", markersize=size, elinewidth=ends
    )
    right.set_xlim(left=0)
    right.set_xlabel("inconsistency\n(sd, points)")
    if named:
        left.set_yticks(places, list(map(str, table.index)))
    else:
        left.set_yticks([])
        left.set_ylabel("raters by rising bias")
    return figure, (
        "Bias and inconsistency by ITU-T P.910 (10/2023) Annex E, bars: "
        f"{percent(request.level)} intervals about this rater, unit vote"
        f"{'. ' * bool(warnings)}{' '.join(warnings).rstrip('.')}"
    )


def matrix_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """Every vote: stimuli by rising MOS, raters by rising mean."""
    ratings = Ratings.from_votes(opinions(votes), STIMULUS)
    matrix = ratings.matrix()
    order = np.argsort(np.nanmean(matrix, axis=1), kind="stable")
    raters = np.argsort(np.nanmean(matrix, axis=0), kind="stable")
    scale = request.scale
    step = scale.spacing or (scale.high - scale.low) / _SHADES
    edges = np.arange(scale.low - step / 2, scale.high + step, step)
    values = scale.scores() if len(edges) <= _MOST_TICKS else [scale.low, scale.high]
    figure = new_figure(WIDTHS_MM[request.width], 95)
    axes = figure.subplots()
    colours = ListedColormap(shades(len(edges) - 1)).with_extremes(bad="#ffffff")
    norm = BoundaryNorm(edges, len(edges) - 1)
    shown = axes.imshow(
        matrix[order][:, raters].T, cmap=colours, norm=norm, aspect="auto",
        interpolation="nearest", rasterized=True,
    )  # fmt: skip
    bar = figure.colorbar(shown, ax=axes, ticks=values, pad=0.01, fraction=0.03)
    bar.set_label("score")
    bar.minorticks_off()
    axes.set_xlabel(f"{ratings.n_stimuli} stimuli by rising {task_in(votes).mean}")
    axes.set_ylabel(f"{ratings.n_raters} raters, the strictest at the top")
    axes.set_xticks([])
    axes.set_yticks([])
    missing = float(np.isnan(matrix).mean())
    white = f" White: not cast ({whole_percent(missing)})." if missing else ""
    return figure, f"Every vote, dark is bad.{white} Single votes, no interval"


def sos_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """Variance of every stimulus' votes by its MOS, with the parabola of the SOS hypothesis."""
    counted, scale = opinions(votes), request.scale
    ratings = Ratings.from_votes(counted, STIMULUS)
    a = Reliability(ratings, scale).sos_coefficient()
    table = counted.groupby(list(STIMULUS))["score"].agg(["mean", "var", "count"])
    table = table[table["count"] > 1].reset_index()
    if table.empty:
        raise StatisticsError("No stimulus has two votes.", "A variance needs two.")
    figure = new_figure(WIDTHS_MM[request.width], 95)
    axes = figure.subplots()
    methods = paper.sort_methods(list(map(str, table["method"].unique())))
    for index, method in enumerate(methods):
        rows = table[table["method"] == method]
        axes.plot(
            rows["mean"], rows["var"], linestyle="", markersize=2.5, alpha=0.7,
            label=short_label(method), **look(index),
        )  # fmt: skip
    line = np.linspace(scale.low, scale.high, 200)
    axes.plot(line, a * (scale.high - line) * (line - scale.low), color="#555555", linewidth=1)
    margin = (scale.high - scale.low) / 40
    ends, mean = (scale.low - margin, scale.high + margin), task_in(votes).mean
    low, high = map(plain_number, (scale.low, scale.high))
    axes.set(xlim=ends, xlabel=mean, ylabel="variance (points²)")
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return figure, (
        f"A mark per stimulus with two votes or more. Line: a ({high} − {mean})({mean} − {low}) "
        f"with a = {fixed(a, 3)}, least squares (Hossfeld et al. 2011). Unit stimulus, no interval"
    )


def metrics_figure(votes: pd.DataFrame, request: Request) -> Drawing:
    """Each metric against MOS, a mark per stimulus, with the mapping fitted to all."""
    stimuli, names = join_scores(votes, request)
    metrics, unusable = usable_metrics(stimuli, names, request)
    if not metrics:
        raise StatisticsError(" ".join(unusable), "")
    finite = stimuli[np.isfinite(stimuli[metrics].to_numpy(dtype=np.float64)).all(axis=1)]
    # Ranks don't depend on the mapping: the linear one gives the table's intervals, and soon.
    better = directions(metrics, request)
    found = metric_agreement(finite, better, level=request.level, mapping="linear")
    methods = paper.sort_methods(list(map(str, finite["method"].unique())))
    across = len(metrics) if request.width == "page" else 1
    down = math.ceil(len(metrics) / across)
    figure = new_figure(WIDTHS_MM[request.width], 25 + 57 * down)
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for axes, metric in zip(panels, metrics, strict=True):
        _metric_panel(axes, finite, metric, methods, better[metric])
        rho = found.statistics[metric]["srocc"]
        known = np.isfinite(rho.low)
        limits = f"{fixed(rho.low, 2)} to {fixed(rho.high, 2)}" if known else NONE
        axes.set_title(with_minus(f"ρ = {fixed(rho.estimate, 2)} ({limits})"), loc="left")
    for axes in panels[::across]:
        axes.set_ylabel("MOS")
    _legend(figure, panels[0])
    return figure, (
        f"{found.n} stimuli of {found.n_scenes} scenes with finite values. ρ: Spearman, signed so "
        f"that 1 is best, {percent(request.level)} interval about new scenes (jackknife over "
        "scenes). Line: four-parameter logistic fit"
        + "".join(f". Left out: {why[:-1]}" for why in unusable)
    )


def _metric_panel(
    axes: Axes, stimuli: pd.DataFrame, metric: str, methods: list[str], higher_is_better: bool
) -> None:
    for index, method in enumerate(methods):
        rows = stimuli[stimuli["method"] == method]
        axes.plot(
            rows[metric], rows["mos"], linestyle="", markersize=3, alpha=0.8,
            label=short_label(method), **look(index),
        )  # fmt: skip
    x, mos = (stimuli[name].to_numpy(dtype=np.float64) for name in (metric, "mos"))
    line = np.linspace(x.min(), x.max(), 200)
    sign = 1 if higher_is_better else -1
    curve = fit_mapped("logistic", sign * x, mos, np.ones((1, x.size)), sign * line)[0]
    axes.plot(line, curve, color="#555555", linewidth=1)
    worse = "" if higher_is_better else ", lower is better"
    axes.set_xlabel(f"{name_and_unit(metric)}{worse}")


def _legend(figure: Figure, axes: Axes) -> None:
    """The marks of methods: beside the axes of a wide figure, below those of a narrow one."""
    wide = figure.get_figwidth() * 25.4 > COLUMN_MM
    figure.legend(
        *axes.get_legend_handles_labels(), frameon=False, handletextpad=0.2,
        loc="outside right center" if wide else "outside lower left", ncols=1 if wide else 2,
    )  # fmt: skip


KINDS: dict[str, Callable[[pd.DataFrame, Request], Drawing]] = {
    "scores": scores_figure,
    "ranks": ranks_figure,
    "significance": significance_figure,
    "raters": raters_figure,
    "matrix": matrix_figure,
    "sos": sos_figure,
    "metrics": metrics_figure,
}
_OVERALL = ("raters", "matrix", "sos", "metrics")


@house_style()
def opinion_figure(
    votes: pd.DataFrame, kind: str, request: Request, dataset: str | None = None
) -> Figure:
    """The figure ``kind`` of the checked votes on one data set.

    ``dataset`` may be left out where there is only one, and for raters and metrics. Raises
    UsageError for an unknown data set, and what the estimators raise.
    """
    figure, caption, marks = _drawn(votes, kind, request, dataset)
    write_caption(figure, caption)
    write_marks(figure, marks)
    return figure


@house_style()
def figure_beside(
    votes: pd.DataFrame, kind: str, request: Request, dataset: str | None = None
) -> Drawing:
    """As ``opinion_figure``, for a page that has the caption beside the figure."""
    figure, caption, marks = _drawn(votes, kind, request, dataset)
    figure.supxlabel("")  # keeps the margin of a caption
    write_marks(figure, marks)
    return figure, caption


def write_marks(figure: Figure, marks: Sequence[str]) -> None:
    """Write marks at the head of the figure; call it in ``house_style``."""
    if marks:
        words = " · ".join(marks).upper()
        figure.suptitle(words, x=0.99, ha="right", fontsize=8, fontweight="bold")


def _drawn(
    votes: pd.DataFrame, kind: str, request: Request, dataset: str | None
) -> tuple[Figure, str, list[str]]:
    """The figure, its caption and the marks of its votes."""
    if is_means(votes) and kind != "metrics":
        raise needs_votes(f"The figure of {kind}")
    names = sorted(map(str, votes["dataset"].unique()))
    if not (dataset is None or (isinstance(dataset, str) and dataset in names)):
        raise not_in_results("data set", dataset, names, holder="these votes have")
    if dataset is None and len(names) > 1 and kind not in _OVERALL:
        raise UsageError(
            f"The votes are on {', '.join(names)}.", f"Choose one with {option('--dataset')}."
        )
    chosen = votes if dataset is None else votes[votes["dataset"] == dataset]
    figure, said = KINDS[kind](chosen, request)
    own = chosen if is_means(chosen) else opinions(chosen)
    where = ", ".join(paper.sort_datasets(list(map(str, chosen["dataset"].unique()))))
    describe(figure, " on ".join(filter(None, (f"Opinions: {kind}", where))))
    marks = marks_of(own)
    return figure, _caption(own, said, marks), marks


def _caption(own: pd.DataFrame, text: str, marks: Sequence[str]) -> str:
    """The words that say n and what intervals mean."""
    datasets = ", ".join(paper.sort_datasets(list(map(str, own["dataset"].unique()))))
    images = len(own[["dataset", "image"]].drop_duplicates())
    head = f"{datasets}: " if datasets else ""
    sizes = [counted(len(own), "mean opinion score" if is_means(own) else "vote")]
    sizes += [] if is_means(own) else [counted(own["rater"].nunique(), "rater")]
    counts = f"n = {', '.join([*sizes, counted(images, 'image')])}."
    caption = f"{head}{counts} {text}.{' ' + SIMULATED if 'simulated' in marks else ''}"
    if methods := stand_ins(own):
        caption += f" {stand_in_note(methods)}"
    return " ".join(caption.split())


def all_figures(votes: pd.DataFrame, request: Request) -> Iterator[tuple[str, Figure | None, str]]:
    """Every figure with a name for its file, or None and why the votes don't allow it."""
    votes = votes if is_means(votes) else with_codes(votes)
    datasets = paper.sort_datasets(list(map(str, votes["dataset"].unique())))
    for kind in KINDS:
        for dataset in [None] if kind in _OVERALL else datasets:
            made, why = attempted(partial(opinion_figure, votes, kind, request, dataset))
            yield f"{kind}-{dataset}" if dataset else kind, made, why
