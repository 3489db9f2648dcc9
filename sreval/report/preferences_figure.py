"""The rank figure of paired comparisons: every method in JOD, with its interval and letters."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sreval.errors import fixed
from sreval.report.choices import Width
from sreval.report.preferences import Scale
from sreval.report.style import (
    LINE_MM,
    WIDTHS_MM,
    caption_lines,
    describe,
    house_style,
    look,
    names_within,
    new_figure,
    with_minus,
)

_ROW_MM = 5.5
_NAME_MM = {"column": 24, "page": 45}


@house_style()
def preferences_figure(scale: Scale, width: Width = "column") -> Figure:
    """Methods from best to worst; those that share a letter weren't shown to differ."""
    values = scale.values
    names, full = names_within(list(values["method"]), _NAME_MM[width])
    caption = " ".join(filter(None, [scale.caption, full]))
    lines = len(caption_lines(caption, WIDTHS_MM[width]))
    figure = new_figure(WIDTHS_MM[width], 17 + _ROW_MM * len(values) + LINE_MM * lines)
    axes = figure.subplots()
    jod = values["jod"].to_numpy(dtype=np.float64)
    ends = [
        np.abs(values[side].to_numpy(dtype=np.float64) - jod) for side in ("jod_low", "jod_high")
    ]
    axes.errorbar(
        jod, range(len(values)), xerr=np.nan_to_num(np.stack(ends)), linestyle="", markersize=4,
        elinewidth=0.8, **look(0),
    )  # fmt: skip
    axes.axvline(0, color="#BBBBBB", linewidth=0.6, zorder=0)
    for place, row in enumerate(values.to_dict("records")):
        text = f"{fixed(row['jod'], 2, signed=True)}  {row['letters']}".rstrip()
        axes.annotate(
            with_minus(text), (1.02, place), xycoords=("axes fraction", "data"), va="center",
            fontsize=7,
        )  # fmt: skip
    axes.set_yticks(range(len(values)), [names[method] for method in values["method"]])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlabel("quality (JOD; 0 is the mean of the methods)")
    name = f"Preferences{f': {scale.title}' if scale.title else ''}"
    return describe(figure, name, caption)
