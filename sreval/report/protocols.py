"""The same images under every convention: why one's number differs from another's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from sreval.errors import ImageError, UsageError, listed, unknown_name
from sreval.metrics.conventions import CONVENTIONS
from sreval.metrics.scorer import match_modes
from sreval.progress import progress_line
from sreval.report import paper
from sreval.report.collect import hr_image, narrowed, scored, sr_image
from sreval.report.text import fixed

_BLOCK = ["dataset", "scale", "method"]
"""A block of the text: what one mean is over the images of."""


@dataclass(frozen=True, repr=False, eq=False)
class Conventions:
    """The scores of images under every convention that public tools use; it prints as columns.

    ``frame`` is as ``score_conventions`` makes it.
    """

    frame: pd.DataFrame

    @property
    def summary(self) -> pd.DataFrame:
        """Means over images, and their distance from matlab; see ``summarise_conventions``."""
        return summarise_conventions(self.frame)

    def __repr__(self) -> str:
        return conventions_text(self.summary).rstrip("\n")

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def compare_conventions(
    frame: pd.DataFrame,
    datasets: Sequence[str] = (),
    methods: Sequence[str] = (),
    progress: bool = False,
) -> Conventions:
    """The images of ``collect``'s rows, of some data sets and methods or all, scored anew.

    Raises UsageError for a name that isn't there and where nothing is left, and what
    ``score_conventions`` raises.
    """
    for column, kind, chosen in (("dataset", "data set", datasets), ("method", "method", methods)):
        for name in chosen:
            if name not in set(frame[column]):
                raise unknown_name(f"{kind} of these results", name, frame[column].unique())
        if chosen:
            frame = narrowed(frame, column, chosen)
    images = subjects(frame)
    if images.empty:
        raise UsageError("Nothing is left to compare.", "HR against itself says nothing.")
    if not progress:
        return Conventions(score_conventions(images))
    with progress_line(len(images), "scoring", "image") as line:
        return Conventions(score_conventions(images, line.update))


def score_conventions(
    frame: pd.DataFrame, progress: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """PSNR and SSIM of every SR image in ``frame`` under every convention, one row each.

    Columns: dataset, scale, method, image, convention, psnr, ssim, note. HR itself is left out.
    An image that a convention can't score has NaN under all, and the reason as its note. Raises
    DataError when an image is no longer there.
    """
    rows: list[dict[str, object]] = []
    for _, subject in subjects(frame).iterrows():
        scale = int(subject["scale"])
        try:
            hr, sr = match_modes(hr_image(subject), sr_image(subject))
            found = [(*convention.score(hr, sr, scale), "") for convention in CONVENTIONS]
        except ImageError as error:
            found = [(math.nan, math.nan, error.message)] * len(CONVENTIONS)
        rows += [
            {
                "dataset": subject["dataset"],
                "scale": scale,
                "method": subject["method"],
                "image": subject["image"],
                "convention": convention.name,
                "psnr": psnr,
                "ssim": ssim,
                "note": note,
            }
            for convention, (psnr, ssim, note) in zip(CONVENTIONS, found, strict=True)
        ]
        progress()
    return pd.DataFrame(rows)


def subjects(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each SR image of ``frame`` that was made; HR doesn't count."""
    return scored(frame[frame["method"] != "hr"]).drop_duplicates([*_BLOCK, "image"])


def summarise_conventions(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over images per data set, scale, method and convention, and their distance from matlab.

    The means are over the ``n`` images that have finite figures under every convention, ``left``
    says which others there are and why; where no image has, over those that have any figure.
    """
    blocks = []
    for _, block in scores.groupby(_BLOCK):
        wide = block.pivot(index="image", columns="convention", values=["psnr", "ssim"])
        some = wide.dropna()
        used = some[np.isfinite(some).all(axis=1)]
        used = used if len(used) else some
        left = [
            f"{image} ({note or 'PSNR is infinite'})"
            for image, note in block.groupby("image")["note"].first().items()
            if image not in used.index
        ]
        means = pd.DataFrame({m: used[m].mean() for m in ("psnr", "ssim")}).reset_index()
        for metric in ("psnr", "ssim"):
            base = means.loc[means["convention"] == "matlab", metric].item()
            same = means[metric] == base
            means[f"{metric}_difference"] = (means[metric] - base).mask(same, 0.0)
        of = block.iloc[0]
        means = means.assign(dataset=of["dataset"], scale=of["scale"], method=of["method"])
        blocks.append(means.assign(n=len(used), left=listed(left, 10)))
    summary = pd.concat(blocks, ignore_index=True)
    orders = {
        "dataset": paper.sort_datasets(list(summary["dataset"].unique())),
        "scale": sorted(summary["scale"].unique()),
        "method": paper.sort_methods(list(summary["method"].unique())),
        "convention": [c.name for c in CONVENTIONS],
    }
    return summary.sort_values(
        list(orders),
        key=lambda column: column.map(orders[str(column.name)].index),
        ignore_index=True,
    )


def conventions_text(summary: pd.DataFrame) -> str:
    """The summary as aligned columns, a block per data set, scale and method."""
    tools = {c.name: c for c in CONVENTIONS}
    several = summary["scale"].nunique() > 1
    lines = []
    for (dataset, scale, method), block in summary.groupby(_BLOCK, sort=False):
        where = f"{dataset} x{scale}" if several else str(dataset)
        count, left = block["n"].iloc[0], block["left"].iloc[0]
        images = f"{count} image" if count == 1 else f"{count} images"
        lines.append(f"{where}, {paper.label(str(method))}, mean of {images}")
        lines += [f"  left out: {left}"] * bool(left)
        lines.append(
            f"  {'convention':<17} {'PSNR/dB':>8} {'':>7}  {'SSIM':>6} {'':>8}  what differs (tool)"
        )
        for _, row in block.iterrows():
            convention = tools[row["convention"]]
            lines.append(
                f"  {row['convention']:<17} {_figure(row['psnr'], 3):>8} "
                f"{_signed(row['psnr_difference'], 2):>7}"
                f"  {_figure(row['ssim'], 4):>6} {_signed(row['ssim_difference'], 4):>8}"
                f"  {convention.difference} ({convention.tool})"
            )
        lines.append("")
    lines.append("Signed figures: distance from matlab.")
    return "\n".join(lines) + "\n"


def _figure(value: float, digits: int) -> str:
    return "∞" if math.isinf(value) else fixed(value, digits)


def _signed(value: float, digits: int) -> str:
    nothing = not math.isfinite(value) or np.round(value, digits) == 0
    return "" if nothing else fixed(value, digits, signed=True)
