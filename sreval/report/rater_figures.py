"""Figures of raters, of every single vote, and of metrics against opinion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from sreval.errors import StatisticsError
from sreval.metrics.scorer import UNITS
from sreval.opinions.agreement import metric_agreement
from sreval.opinions.arrays import Ratings
from sreval.opinions.mapping import fit_mapped
from sreval.opinions.recovery import recover
from sreval.opinions.reliability import sos_coefficient
from sreval.opinions.votes import STIMULUS, opinions
from sreval.report import paper
from sreval.report.digits import NONE, fixed, whole_percent
from sreval.report.opinion_metrics import directions, join_scores, metric_name, usable_metrics
from sreval.report.opinion_models import recovery_warnings
from sreval.report.opinion_style import captioned, shades, short_label
from sreval.report.sections import Request, percent
from sreval.report.style import PAGE_MM, look, new_figure

_MOST_NAMED_RATERS = 40
_MOST_TICKS = 12
_SHADES = 100
"""In which the scores of a continuous scale are drawn."""


def raters_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """Bias and inconsistency of every rater with intervals, by rising bias."""
    found = recover(Ratings.from_votes(opinions(votes), STIMULUS), request.level)
    warnings = recovery_warnings(found)
    table = found.raters[["bias", "inconsistency"]].join(found.rater_limits).sort_values("bias")
    named = len(table) <= _MOST_NAMED_RATERS
    figure = new_figure(PAGE_MM, 30 + (3.4 * len(table) if named else 90))
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
    left.set_xlabel("bias (points; right: more generous)")
    value = table["inconsistency"].to_numpy()
    spread = np.stack([value - table["inconsistency_low"], table["inconsistency_high"] - value])
    right.errorbar(
        value, places, xerr=spread, fmt="s", color="#0072B2", markersize=size, elinewidth=ends
    )
    right.set_xlim(left=0)
    right.set_xlabel("inconsistency (standard deviation, points)")
    if named:
        left.set_yticks(places, list(map(str, table.index)))
    else:
        left.set_yticks([])
        left.set_ylabel("raters by rising bias")
    return captioned(
        figure,
        votes,
        f"Bias and inconsistency by ITU-T P.910 Annex E, bars: {percent(request.level)} intervals "
        f"about this rater, unit vote{'. ' * bool(warnings)}{' '.join(warnings).rstrip('.')}",
    )


def matrix_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """Every vote: stimuli by rising MOS, raters by rising mean."""
    ratings = Ratings.from_votes(opinions(votes), STIMULUS)
    matrix = ratings.matrix()
    order = np.argsort(np.nanmean(matrix, axis=1), kind="stable")
    raters = np.argsort(np.nanmean(matrix, axis=0), kind="stable")
    scale = request.scale
    step = scale.spacing or (scale.high - scale.low) / _SHADES
    edges = np.arange(scale.low - step / 2, scale.high + step, step)
    values = scale.scores() if len(edges) <= _MOST_TICKS else [scale.low, scale.high]
    figure = new_figure(PAGE_MM, 95)
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
    axes.set_xlabel(f"{ratings.n_stimuli} stimuli by rising MOS")
    axes.set_ylabel(f"{ratings.n_raters} raters, the strictest at the top")
    axes.set_xticks([])
    axes.set_yticks([])
    missing = float(np.isnan(matrix).mean())
    white = f" White: not cast ({whole_percent(missing)})." if missing else ""
    return captioned(figure, votes, f"Every vote, dark is bad.{white} Single votes, no interval")


def sos_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """Variance of every stimulus' votes by its MOS, with the parabola of the SOS hypothesis."""
    counted, scale = opinions(votes), request.scale
    ratings = Ratings.from_votes(counted, STIMULUS)
    a = sos_coefficient(ratings, scale)
    table = counted.groupby(list(STIMULUS))["score"].agg(["mean", "var", "count"])
    table = table[table["count"] > 1].reset_index()
    if table.empty:
        raise StatisticsError("No stimulus has two votes.", "A variance needs two.")
    figure = new_figure(PAGE_MM, 95)
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
    axes.set(xlim=(scale.low - 0.1, scale.high + 0.1), xlabel="MOS", ylabel="variance (points²)")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside right center", frameon=False, handletextpad=0.2)
    return captioned(
        figure,
        votes,
        f"A mark per stimulus with two votes or more. Line: a ({scale.high:g} − MOS)(MOS − "
        f"{scale.low:g}) with a = {fixed(a, 3)}, least squares (Hossfeld et al. 2011). Unit "
        "stimulus, no interval",
    )


def metrics_figure(votes: pd.DataFrame, request: Request) -> Figure:
    """Each metric against MOS, a mark per stimulus, with the mapping fitted to all."""
    stimuli, names = join_scores(votes, request)
    metrics, unusable = usable_metrics(stimuli, names)
    if not metrics:
        raise StatisticsError(" ".join(unusable), "")
    finite = stimuli[np.isfinite(stimuli[metrics].to_numpy(dtype=np.float64)).all(axis=1)]
    # Ranks don't depend on the mapping: the linear one gives the table's intervals, and soon.
    better = directions(metrics, request)
    found = metric_agreement(finite, better, level=request.level, mapping="linear")
    methods = paper.sort_methods(list(map(str, finite["method"].unique())))
    figure = new_figure(PAGE_MM, 82)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _metric_panel(axes, finite, metric, methods, better[metric])
        rho = found.statistics[metric]["srocc"]
        known = np.isfinite(rho.low)
        limits = f"{fixed(rho.low, 2)} to {fixed(rho.high, 2)}" if known else NONE
        axes.set_title(f"ρ = {fixed(rho.estimate, 2)} ({limits})", loc="left")
    panels[0].set_ylabel("MOS")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False,
        handletextpad=0.2,
    )  # fmt: skip
    return captioned(
        figure,
        votes,
        f"{found.n} stimuli of {found.n_scenes} scenes with finite values. ρ: Spearman, signed so "
        f"that 1 is best, {percent(request.level)} interval about new scenes (jackknife over "
        "scenes). Line: four-parameter logistic fit"
        + "".join(f". Left out: {why[:-1]}" for why in unusable),
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
    x = stimuli[metric].to_numpy(dtype=np.float64)
    sign = 1 if higher_is_better else -1
    mapped = fit_mapped("logistic", sign * x, stimuli["mos"].to_numpy(), np.ones((1, x.size)))[0]
    places, first = np.unique(x, return_index=True)
    line = np.linspace(places[0], places[-1], 200)
    curve = scipy.interpolate.PchipInterpolator(places, mapped[first])(line)
    axes.plot(line, curve, color="#555555", linewidth=1)
    unit = f" ({UNITS[metric]})" if UNITS.get(metric) else ""
    worse = "" if higher_is_better else ", lower is better"
    axes.set_xlabel(f"{metric_name(metric)}{unit}{worse}")
