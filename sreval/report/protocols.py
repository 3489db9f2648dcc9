"""The same images under every convention: why one's number differs from another's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from sreval.metrics.conventions import CONVENTIONS
from sreval.metrics.scorer import match_modes
from sreval.report import paper
from sreval.report.kept import hr_image, sr_image


def score_conventions(
    frame: pd.DataFrame, progress: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """PSNR and SSIM of every SR image in ``frame`` under every convention, one row each.

    Columns: dataset, method, image, convention, psnr, ssim. HR itself is left out. Raises
    DataError when an image is no longer at hand.
    """
    subjects = frame[frame["method"] != "hr"].drop_duplicates(
        ["dataset", "scale", "method", "image"]
    )
    rows = []
    for _, subject in subjects.iterrows():
        hr, sr = match_modes(hr_image(subject), sr_image(subject))
        for convention in CONVENTIONS:
            psnr, ssim = convention.score(hr, sr, int(subject["scale"]))
            rows.append(
                {
                    "dataset": subject["dataset"],
                    "method": subject["method"],
                    "image": subject["image"],
                    "convention": convention.name,
                    "psnr": psnr,
                    "ssim": ssim,
                }
            )
        progress()
    return pd.DataFrame(rows)


def summarise_conventions(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over images per data set, method and convention, and their distance from matlab."""
    means = scores.groupby(["dataset", "method", "convention"], as_index=False).agg(
        n=("image", "size"), psnr=("psnr", "mean"), ssim=("ssim", "mean")
    )
    base = means[means["convention"] == "matlab"].set_index(["dataset", "method"])
    keys = pd.MultiIndex.from_frame(means[["dataset", "method"]])
    for metric in ("psnr", "ssim"):
        means[f"{metric}_difference"] = means[metric] - base[metric].reindex(keys).to_numpy()
    order = {c.name: index for index, c in enumerate(CONVENTIONS)}
    datasets = {d: i for i, d in enumerate(paper.sort_datasets(list(means["dataset"].unique())))}
    methods = {m: i for i, m in enumerate(paper.sort_methods(list(means["method"].unique())))}
    return means.sort_values(
        ["dataset", "method", "convention"],
        key=lambda column: column.map({**order, **datasets, **methods}),
        ignore_index=True,
    )


def conventions_text(summary: pd.DataFrame) -> str:
    """The summary as aligned columns, a block a data set and method."""
    tools = {c.name: c for c in CONVENTIONS}
    lines = []
    for (dataset, method), block in summary.groupby(["dataset", "method"], sort=False):
        lines.append(f"{dataset}, {paper.label(str(method))}, mean of {block['n'].iloc[0]} images")
        lines.append(
            f"  {'convention':<17} {'PSNR/dB':>8} {'':>7}  {'SSIM':>6} {'':>8}  what differs (tool)"
        )
        for _, row in block.iterrows():
            convention = tools[row["convention"]]
            lines.append(
                f"  {row['convention']:<17} {row['psnr']:8.3f} {_signed(row['psnr_difference'], 2)}"
                f"  {row['ssim']:.4f} {_signed(row['ssim_difference'], 4)}"
                f"  {convention.difference} ({convention.tool})"
            )
        lines.append("")
    lines.append("Signed figures: distance from matlab.")
    return "\n".join(lines) + "\n"


def _signed(value: float, digits: int) -> str:
    width = digits + 5 if digits == 2 else digits + 4
    if math.isnan(value) or np.round(value, digits) == 0:
        return " " * width
    return f"{value:+{width}.{digits}f}"
