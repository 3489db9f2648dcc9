"""The figure of two panels: one's mean opinion scores against the other's."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sreval.errors import fixed
from sreval.report import paper
from sreval.report.opinion_figures import short_label
from sreval.report.panels import Comparison
from sreval.report.style import PAGE_MM, describe, house_style, look, new_figure, with_minus
from sreval.report.text import percent


@house_style()
def panel_figure(found: Comparison) -> Figure:
    """Every method's mean in A and in B with its intervals, the line, and where both are equal."""
    agreement, means = found.agreement, found.means
    figure = new_figure(PAGE_MM, 100)
    axes = figure.subplots()
    if len(agreement.points) > len(means):
        axes.plot(
            agreement.points["a"], agreement.points["b"], ".", color="#BBBBBB", markersize=2,
            zorder=0, label="a stimulus",
        )  # fmt: skip
    for index, method in enumerate(paper.sort_methods(list(means["method"].unique()))):
        rows = means[means["method"] == method]
        bars = [
            np.nan_to_num(rows[[f"{side}_low", f"{side}_high"]].sub(rows[side], axis=0).abs()).T
            for side in "ab"
        ]
        axes.errorbar(
            rows["a"], rows["b"], xerr=bars[0], yerr=bars[1], linestyle="", markersize=4,
            elinewidth=0.6, label=short_label(method), **look(index),
        )  # fmt: skip
    low, high = (float(bound) for bound in _ends(found))
    ends = np.array([low, high])
    axes.plot(
        ends, agreement.intercept.estimate + agreement.slope.estimate * ends, color="#555555",
        linewidth=1, label="the line",
    )  # fmt: skip
    axes.plot(ends, ends, color="#555555", linewidth=0.6, linestyle=":", label="B = A")
    axes.set_xlabel(f"MOS of A, {short_label(found.names[0])}")
    axes.set_ylabel(f"MOS of B, {short_label(found.names[1])}")
    figure.legend(loc="outside right center", frameon=False, handletextpad=0.4)
    slope, intercept = agreement.slope, agreement.intercept
    sign = "+" if slope.estimate >= 0 else "-"
    caption = (
        f"n = {agreement.n} common means. Line: B = {fixed(intercept.estimate, 2)} {sign} "
        f"{fixed(abs(slope.estimate), 2)} A, with errors in both. A mark is a data set and method; "
        f"bars: {percent(slope.level)} intervals of each mean alone, as far as errors are known."
    )
    if found.marks:
        figure.suptitle(
            " · ".join(found.marks).upper(), x=0.99, ha="right", fontsize=8, fontweight="bold"
        )
    return describe(figure, "Mean opinion scores of two panels", with_minus(caption))


def _ends(found: Comparison) -> tuple[float, float]:
    """Where the line begins and ends: at A's means."""
    values = found.agreement.points["a"]
    return values.min(), values.max()
