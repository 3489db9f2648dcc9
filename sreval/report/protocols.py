"""The same images under every convention: why one's number differs from another's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from sreval.benchmarking.results import of_images
from sreval.errors import NONE, ImageError, UsageError, counted, fixed, listed, not_in_results
from sreval.frames import image_order, unit_name
from sreval.images.scales import checked_scale
from sreval.metrics.conventions import CONVENTIONS, LPIPS_CONVENTIONS, Convention
from sreval.metrics.scorer import match_modes
from sreval.progress import progress_line
from sreval.report import paper
from sreval.report.collect import input_image, narrowed, scored, sr_image, without_originals
from sreval.report.values import by_unit

_BLOCK = ["dataset", "scale", "method"]
"""A block of the text: what one mean is over the images of."""


@dataclass(frozen=True, repr=False, eq=False)
class Conventions:
    """The scores of images under every convention that public tools use; it prints as columns.

    ``frame`` is as ``score_conventions`` makes it, ``notes`` say what was left out.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

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
                raise not_in_results(kind, name, frame[column].unique())
        if chosen:
            frame = narrowed(frame, column, chosen)
    lacking = without_originals(frame)
    images = subjects(frame[~frame["dataset"].isin(lacking)])
    without = f"Without originals: {listed(lacking)}."
    if images.empty:
        why = without if lacking else "HR against itself says nothing."
        raise UsageError("Nothing is left to compare.", why)
    notes = (*left_out_notes(), *[f"Left out. {without}"] * bool(lacking))
    if not progress:
        return Conventions(score_conventions(images), notes)
    with progress_line(len(images), "scoring", "image") as line:
        return Conventions(score_conventions(images, line.update), notes)


_KINDS = {("psnr", "ssim"): CONVENTIONS, ("lpips",): LPIPS_CONVENTIONS}
"""What conventions are of; the distances are from ``_BASES``."""

_BASES = ("matlab", "lpips")


def score_conventions(
    frame: pd.DataFrame, progress: Callable[[], object] = lambda: None
) -> pd.DataFrame:
    """PSNR and SSIM, or LPIPS, of every SR image in ``frame`` under every convention, a row each.

    Columns: dataset, scale, method, image, convention, psnr, ssim, lpips, note; what a convention
    isn't of is NaN. HR itself is left out, and so are those of LPIPS whose weights aren't here. An
    image that a convention can't score has NaN under all of its kind, and the reason as its note.
    Raises DataError when an image is no longer there.
    """
    kinds = {of: _at_hand(conventions) for of, conventions in _KINDS.items()}
    rows: list[dict[str, object]] = []
    for _, subject in subjects(frame).iterrows():
        scale = checked_scale(subject["scale"])
        images = input_image(subject, "hr"), sr_image(subject)
        for of, conventions in kinds.items():
            note, found = "", [(math.nan,) * len(of)] * len(conventions)
            try:
                hr, sr = match_modes(*images)
                found = [convention.score(hr, sr, scale) for convention in conventions]
            except ImageError as error:
                note = error.message
            rows += [
                {
                    "dataset": subject["dataset"],
                    "scale": scale,
                    "method": subject["method"],
                    "image": subject["image"],
                    "convention": convention.name,
                    **dict.fromkeys(("psnr", "ssim", "lpips"), math.nan),
                    **dict(zip(of, values, strict=True)),
                    "note": note,
                }
                for convention, values in zip(conventions, found, strict=True)
            ]
        progress()
    return pd.DataFrame(rows)


def _at_hand(conventions: Sequence[Convention]) -> list[Convention]:
    """Those whose weights are on this machine; none without those of the first, their base."""
    from sreval.metrics.lpips import TRUNKS

    here = [one for one in conventions if one.trunk is None or TRUNKS[one.trunk].is_here()]
    return here if conventions[0] in here else []


def left_out_notes() -> list[str]:
    """Which conventions are left out as weights aren't here, and how to get them."""
    from sreval.metrics.lpips import TRUNKS

    here = [one for conventions in _KINDS.values() for one in _at_hand(conventions)]
    left = [one for one in LPIPS_CONVENTIONS if one not in here]
    if not left:
        return []
    missing = [trunk for trunk in TRUNKS.values() if not trunk.is_here()]
    commands = " and ".join(f"`sreval data fetch {one.fetched_as}`" for one in missing)
    return [
        f"Left out: {', '.join(one.name for one in left)}. The weights of "
        f"{' and '.join(one.what for one in missing)} are not on this machine. Run {commands} once."
    ]


def subjects(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each SR image of ``frame`` that was made; HR doesn't count."""
    return scored(of_images(frame[frame["method"] != "hr"])).drop_duplicates([*_BLOCK, "image"])


def summarise_conventions(scores: pd.DataFrame) -> pd.DataFrame:
    """Means per data set, scale, method and convention, and their distance from matlab.

    Those of LPIPS have their distance from lpips. The means are over the images that have finite
    figures under every convention of a kind, ``left`` says which others there are and why; where no
    image has, over those that have any figure. ``n`` is how many of ``unit`` that makes, see
    ``values.by_unit``.
    """
    blocks = []
    for _, block in scores.groupby(_BLOCK):
        for (of, conventions), base in zip(_KINDS.items(), _BASES, strict=True):
            order = [c.name for c in conventions if c.name in set(block["convention"])]
            if base in order:
                own = block[block["convention"].isin(order)]
                blocks.append(_summary(own, of, order, base))
    summary = pd.concat(blocks, ignore_index=True)
    orders = {
        "dataset": paper.sort_datasets(list(summary["dataset"].unique())),
        "scale": sorted(summary["scale"].unique()),
        "method": paper.sort_methods(list(summary["method"].unique())),
    }
    return summary.sort_values(
        list(orders),
        key=lambda column: column.map(orders[str(column.name)].index),
        kind="stable",
        ignore_index=True,
    )


def _summary(
    block: pd.DataFrame, of: Sequence[str], order: Sequence[str], base: str
) -> pd.DataFrame:
    """The means of one kind of convention over the images of one method."""
    wide = block.pivot(index="image", columns="convention", values=list(of))
    wide = wide.loc[sorted(wide.index, key=image_order)]
    some = wide.dropna()
    used = some[np.isfinite(some.to_numpy(float)).all(axis=1)]
    used = used if len(used) else some
    notes = block.groupby("image")["note"].first()
    left = [
        f"{image} ({notes[image] or 'PSNR is infinite'})"
        for image in wide.index
        if image not in used.index
    ]
    units = by_unit(used)
    means = pd.DataFrame({metric: units[metric].mean() for metric in of}).loc[list(order)]
    for metric in ("psnr", "ssim", "lpips"):
        values = means[metric] if metric in means else pd.Series(np.nan, means.index)
        difference = (values - values[base]).mask(values == values[base], 0.0)
        means[metric], means[f"{metric}_difference"] = values, difference
    first = block.iloc[0]
    means = means.rename_axis("convention").reset_index()
    means = means.assign(dataset=first["dataset"], scale=first["scale"], method=first["method"])
    return means.assign(n=len(units), unit=unit_name(wide.index), left=listed(left, 10))


def conventions_text(summary: pd.DataFrame) -> str:
    """The summary as aligned columns, a block per data set, scale and method."""
    several = summary["scale"].nunique() > 1
    lines = []
    for (dataset, scale, method), both in summary.groupby(_BLOCK, sort=False):
        where = f"{dataset} x{scale:g}" if several else str(dataset)
        head = f"{where}, {paper.label(str(method))}, "
        for (of, conventions), heading in zip(_KINDS.items(), _HEADINGS, strict=True):
            tools = {c.name: c for c in conventions}
            block = both[both["convention"].isin(list(tools))]
            if block.empty:
                continue
            count, unit, left = (block[key].iloc[0] for key in ("n", "unit", "left"))
            lines.append(f"{head}mean of {counted(int(count), unit)}")
            lines += [f"  left out: {left}"] * bool(left)
            lines.append(f"  {'convention':<17} {heading}  what differs (tool)")
            for _, row in block.iterrows():
                convention = tools[row["convention"]]
                figures = "  ".join(_cell(row, metric) for metric in of)
                lines.append(
                    f"  {row['convention']:<17} {figures}"
                    f"  {convention.difference} ({convention.tool})"
                )
            lines.append("")
    lines.append("Signed figures: distance from matlab, of LPIPS from lpips.")
    return "\n".join(lines) + "\n"


_HEADINGS = (f"{'PSNR/dB':>8} {'':>7}  {'SSIM':>6} {'':>8}", f"{'LPIPS':>8} {'':>8}")


def _cell(row: pd.Series, metric: str) -> str:
    value, difference = row[metric], row[f"{metric}_difference"]
    if metric == "psnr":
        return f"{_figure(value, 3):>8} {_signed(difference, 2):>7}"
    width = 6 if metric == "ssim" else 8
    return f"{_figure(value, 4):>{width}} {_signed(difference, 4):>8}"


def _figure(value: float, digits: int) -> str:
    return "∞" if math.isinf(value) else fixed(value, digits)


def _signed(value: float, digits: int) -> str:
    text = fixed(value, digits, signed=True)
    return "" if text in (NONE, fixed(0, digits, signed=True)) else text
