"""A metric image by image: the values that means are over, those they leave out, the worst."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sreval.benchmarking.results import of_images
from sreval.errors import UsageError, counted, fixed, listed, numbered
from sreval.frames import image_order, is_frame, unit_of
from sreval.images.datasets import NOT_PUBLISHED
from sreval.images.known import KNOWN
from sreval.metrics.metric import in_order, metric_of
from sreval.report import paper
from sreval.report.collect import scored

_NAMED = 10
"""Images named in a note; of more, how many."""


def metric_name(metric: str) -> str:
    """How a metric is printed."""
    return metric_of(metric).name


def name_and_unit(metric: str) -> str:
    """How a metric is printed beside an axis: PSNR (dB)."""
    unit = metric_of(metric).unit
    return metric_name(metric) + (f" ({unit})" if unit else "")


def number(value: float, metric: str) -> str:
    """A value with the digits its metric warrants; ∞ for identical images, – for none."""
    return "∞" if math.isinf(value) else fixed(value, metric_of(metric).digits)


def values_of(rows: pd.DataFrame, metric: str, methods: Sequence[str]) -> pd.DataFrame:
    """One metric of one data set, images by methods; NaN where there is no value."""
    wide = rows[rows["metric"] == metric].pivot(index="image", columns="method", values="value")
    images = sorted(wide.index, key=image_order)
    return wide.loc[images, [method for method in methods if method in wide.columns]]


def comparable(asked: pd.DataFrame) -> pd.DataFrame:
    """The methods that have any value, on the images that their means are over.

    These are the images for which each of the methods has a finite value; one that is infinite on
    every image (the PSNR of HR) takes none away. Where no image is finite for all, they are those
    for which all have a value.
    """
    complete = asked.dropna(axis=1, how="all").dropna()
    values = complete.to_numpy(float)
    throughout = np.isinf(values).all(axis=0)
    finite = complete[np.isfinite(values[:, ~throughout]).all(axis=1)]
    return finite if len(finite) else complete


def by_unit(values: pd.DataFrame) -> pd.DataFrame:
    """``values``, a row an image, with a row a unit: frames are averaged over their sequence.

    The units are independent, frames of one sequence are not: a mean of a data set is over them,
    and so are its interval and its tests. EDVR and BasicSR (the code behind BasicVSR) average a
    data set's sequences so, whatever the number of their frames.
    """
    if not any(map(is_frame, values.index)):
        return values
    parts = values.groupby(list(map(unit_of, values.index)), sort=False)
    means = {unit: part.to_numpy(float).mean(axis=0) for unit, part in parts}
    return pd.DataFrame.from_dict(means, orient="index", columns=values.columns)


def sequences_of(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Data set and name of each sequence, by its name in tables; in the order of their numbers."""
    pairs = {
        (str(dataset), unit_of(image))
        for dataset, image in frame[["dataset", "image"]].drop_duplicates().to_numpy()
        if is_frame(image)
    }
    return {
        f"{one[0]}/{one[1]}": one for one in sorted(pairs, key=lambda one: numbered("/".join(one)))
    }


def sequence_notes(
    dataset: str, used: Mapping[str, pd.DataFrame], asked: Mapping[str, pd.DataFrame]
) -> list[str]:
    """What the means of a data set of sequences are, by metric over ``used`` of ``asked``."""
    said: dict[str, list[str]] = {}
    for metric, values in used.items():
        frames = list(filter(is_frame, values.index))
        if not frames:
            continue
        fewest, *_, most = sorted([*Counter(map(unit_of, frames)).values()] * 2)
        units, every = len(set(map(unit_of, frames))), len(asked[metric])
        text = f"the mean of the means of {units} sequences, {counted(fewest, 'frame')} each"
        over = f"{len(frames)} of {every} frames"
        if fewest != most:
            text = (
                f"the mean of the means of {units} sequences, {fewest} to {most} frames each, not "
                f"that of {f'these {over}' if len(frames) < every else f'all {every} frames'}"
            )
        elif units == 1:
            text = f"the mean of one sequence of {counted(fewest, 'frame')}"
        if fewest == most and len(frames) < every:
            text += f": {over}"
        said.setdefault(f"{text}.", []).append(metric)
    several = len(said) > 1
    return [
        f"{dataset}{f' {_of(metrics)}' if several else ''}: {text}"
        for text, metrics in said.items()
    ]


def gap_notes(rows: pd.DataFrame, methods: Sequence[str]) -> list[str]:
    """What is missing in one data set, and why: methods without a result, images left out."""
    dataset = str(rows["dataset"].iloc[0])
    present = in_order(rows["metric"])
    without: dict[tuple[str, str, str], list[str]] = {}
    left: dict[str, list[str]] = {}
    for metric in present:
        asked = values_of(rows, metric, methods)
        lacking = asked.isna()
        of_set = metric_of(metric).per == "set"
        kind = "frame" if any(map(is_frame, asked.index)) else "image"
        reasons = rows[(rows["metric"] == metric) & rows["value"].isna()]
        for method in asked.columns[lacking.all()]:
            why = _reason(reasons[reasons["method"] == method])
            on = "" if of_set else f"{len(asked)} of {counted(len(asked), kind)} of "
            said = f"no result on {on}{dataset}"
            without.setdefault((str(method), said, why), []).append(metric)
        some = lacking.loc[:, ~lacking.all()]
        out = some.index[some.any(axis=1)]
        if len(out) and not of_set:
            short = ", ".join(map(paper.label, some.columns[some.any()]))
            is_, them = ("is", "it") if len(out) == 1 else ("are", "them")
            text = (
                f"{len(out)} of {counted(len(asked), kind)} {is_} left out, as not every method "
                f"has a value for {them}: {listed(_by_sequence(out, asked.index), _NAMED)} (none "
                f"by {short}).{_reason(reasons[reasons['image'].isin(out)])}"
            )
            left.setdefault(text, []).append(metric)
    notes = []
    for (method, said, why), metrics in without.items():
        of = f", {_of(metrics)}" if metrics != present else ""
        notes.append(f"{paper.label(method)}: {said}{of}.{why}")
    return notes + [f"{dataset} {_of(metrics)}: {text}" for text, metrics in left.items()]


def infinite_notes(dataset: str, metric: str, asked: pd.DataFrame, used: pd.DataFrame) -> list[str]:
    """Where values are infinite, by image; HR's own PSNR needs no saying."""
    images: dict[tuple[str, ...], list[str]] = {}
    for method in asked.columns.drop("hr", errors="ignore"):
        found = tuple(str(image) for image, value in asked[method].items() if np.isinf(value))
        if found:
            images.setdefault(found, []).append(paper.label(str(method)))
    if not images:
        return []
    said = []
    for found, methods in images.items():
        named = listed(_by_sequence(found, asked.index), _NAMED)
        where = f"every image, {named}" if len(found) == len(asked) else named
        said.append(f"{where} ({', '.join(methods)})")
    note = f"{dataset} {metric_name(metric)}: infinite (∞) on {'; '.join(said)}."
    # what ``sequence_notes`` says of frames needn't be said twice
    stills = not any(map(is_frame, asked.index))
    if stills and np.isfinite(used.to_numpy(float)).any() and len(used) < len(asked):
        note += f" The means are over {len(used)} of {len(asked)} images."
    return [note]


def _by_sequence(images: Iterable[str], every: Iterable[str]) -> list[str]:
    """``images`` by name, with a sequence in place of its frames if all of ``every`` are in."""
    left, all_frames = Counter(map(unit_of, images)), Counter(map(unit_of, every))
    named = [
        f"the sequence {unit_of(image)} ({counted(left[unit_of(image)], 'frame')})"
        if is_frame(image) and left[unit_of(image)] == all_frames[unit_of(image)]
        else image
        for image in images
    ]
    return list(dict.fromkeys(named))


def _reason(rows: pd.DataFrame) -> str:
    reasons = [str(note) for note in rows["note"] if note]
    return f" The first: {reasons[0]}" if reasons else ""


def _of(metrics: Sequence[str]) -> str:
    return ", ".join(metric_name(metric) for metric in metrics)


COLUMNS = (
    "method", "rank", "dataset", "image", "name", "metric", "value", "expected", "difference",
)  # fmt: skip


def first_metric(rows: pd.DataFrame) -> str:
    """The first metric of single images, in a table's order; PSNR where there is none."""
    return next((key for key in in_order(of_images(rows)["metric"])), "psnr")


def worst_images(frame: pd.DataFrame, metric: str | None = None, most: int = 3) -> pd.DataFrame:
    """The images on which each method does worst, compared with the others where there are any.

    ``frame`` has rows of one protocol and one scale, as ``collect.select`` gives them. A hard image
    is hard for every method, so a low value alone says little. ``expected`` is what is usual for
    the method on such an image: the image's mean over the methods plus the method's mean over the
    images minus the mean of all, within one data set, HR left out. ``difference`` is value minus
    expectation, in the metric's unit; for a metric of which less is better it is positive where a
    method does worse than usual. Both are NaN for a method that has no others beside it on any data
    set; of such a method the images are those with the worst values.

    Gives at most ``most`` rows a method, and of no data set more than half the images, worst
    first (``rank`` from 1). There is none of a single image, nor where a method does no worse than
    usual. ``name`` is a public image's common name, or empty. ``metric`` is by default the first of
    single images that was computed; of sets, and without a direction, there is no worst. Raises
    UsageError for one that was not computed.
    """
    rows = scored(frame)
    there = in_order(rows["metric"])
    metric = metric or first_metric(rows)
    if metric not in there:
        raise UsageError(
            f"The results hold no {metric}.", f"They hold {', '.join(there) or 'no scores'}."
        )
    if metric_of(metric).higher_is_better is None or metric_of(metric).per == "set":
        return pd.DataFrame([], columns=list(COLUMNS))
    sign = 1 if metric_of(metric).higher_is_better else -1
    found = []
    for dataset in paper.sort_datasets(list(rows["dataset"].unique())):
        own = rows[(rows["dataset"] == dataset) & (rows["method"] != "hr")]
        if own.empty:
            continue
        methods = paper.sort_methods(list(own["method"].unique()))
        values = comparable(values_of(own, metric, methods))
        values = values.loc[:, np.isfinite(values.to_numpy(float)).all(axis=0)]
        names = common_names(own)
        images, means = values.mean(axis=1), values.mean(axis=0)
        sums = np.add.outer(images.to_numpy(), means.to_numpy()) - images.mean()
        alone = values.shape[1] == 1
        expected = pd.DataFrame(np.nan if alone else sums, values.index, values.columns)
        worst = sign * (values if alone else values - expected)
        for method in values.columns:
            of_method = worst[method].sort_values(kind="stable")
            for image in of_method.index[: min(most, len(values) // 2)]:
                value, hoped = values.loc[image, method], expected.loc[image, method]
                seen = (dataset, image, names.get(image, ""), metric, value, hoped)
                found.append((method, 0, *seen, value - hoped))
    made = pd.DataFrame(found, columns=list(COLUMNS))
    if made.empty:
        return made
    step = 10.0 ** -metric_of(metric).digits
    compared = made[made["difference"].notna()]
    alone = made[~made["method"].isin(compared["method"])]
    compared = compared[sign * compared["difference"] <= -step / 2]
    made = pd.concat(
        [
            compared.iloc[(sign * compared["difference"]).argsort(kind="stable")],
            alone.iloc[(sign * alone["value"]).argsort(kind="stable")],
        ]
    )
    made = made.assign(rank=made.groupby("method").cumcount() + 1)
    made = made[made["rank"] <= most]
    order = {m: i for i, m in enumerate(paper.sort_methods(list(made["method"].unique())))}
    return made.sort_values(
        ["method", "rank"], key=lambda c: c.map(order) if c.name == "method" else c
    ).reset_index(drop=True)


def worst_text(worst: pd.DataFrame) -> str:
    """What ``worst_images`` found, one line a method; empty where it found nothing."""
    if worst.empty:
        return ""
    metric = metric_of(worst["metric"].iloc[0])
    unit = f" in {metric.unit}" if metric.unit else ""
    several = worst["dataset"].nunique() > 1
    alone = worst["difference"].isna()
    extreme = "lowest" if metric.higher_is_better else "highest"
    kind = "Frames" if all(map(is_frame, worst["image"])) else "Images"
    parts = {
        f"{kind} on which each method does worse than usual, compared with the others, by "
        f"{metric.name}{unit}:": worst[~alone],
        f"{kind} with the {extreme} {metric.name}{unit}:": worst[alone],
    }
    lines = []
    for heading, part in parts.items():
        lines += [heading] if len(part) else []
        for method, rows in part.groupby("method", sort=False):
            told = "; ".join(_told(row, several) for row in rows.to_dict("records"))
            lines.append(f"  {paper.label(str(method))}: {told}")
    return "\n".join(lines)


def _told(row: Mapping[Any, Any], several: bool) -> str:
    """One image: its name, its value, and how far that is from what is usual."""
    digits = metric_of(row["metric"]).digits
    image = f"{row['dataset']}/{row['image']}" if several else row["image"]
    text = " ".join(filter(None, (image, row["name"], fixed(row["value"], digits))))
    if math.isnan(row["difference"]):
        return text
    side = "below" if row["difference"] < 0 else "above"
    return f"{text} ({fixed(abs(row['difference']), digits)} {side} usual)"


def common_names(rows: pd.DataFrame) -> dict[str, str]:
    """The common names of those images that are a public set's by their content."""
    dataset = str(rows["dataset"].iloc[0])
    # Set5-bd has Set5's images
    known = next((one for name, one in KNOWN.items() if f"{dataset}-".startswith(f"{name}-")), None)
    if known is None:
        return {}
    names, public = known.names, {file.sha256 for file in known.all_files}
    theirs = rows["hr_sha256"].isin(public) | rows["note"].str.contains(
        NOT_PUBLISHED, regex=False, na=False
    )
    return {image: names[image][0] for image in rows.loc[theirs, "image"] if image in names}
