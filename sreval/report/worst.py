"""The images on which each method does worst, its failures among them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sreval.errors import UsageError
from sreval.images.known import KNOWN, known_files, known_names
from sreval.metrics.scorer import HIGHER_IS_BETTER, METRICS, UNITS
from sreval.report import paper
from sreval.report.cells import DIGITS, NAMES
from sreval.report.collect import scored
from sreval.report.digits import fixed
from sreval.report.values import comparable, values_of

COLUMNS = (
    "method", "rank", "dataset", "image", "name", "metric", "value", "expected", "difference",
)  # fmt: skip


def worst_images(frame: pd.DataFrame, metric: str | None = None, most: int = 3) -> pd.DataFrame:
    """The images on which each method falls furthest below what was to be expected.

    ``frame`` has rows of one protocol and one scale, as ``collect.select`` gives them. A hard image
    is hard for every method, so a low value alone says little. A value's expectation is additive:
    the image's mean over the methods plus the method's mean over the images minus the mean of all,
    within one data set, HR left out. ``difference`` is value minus expectation, in the metric's
    unit; for a metric of which less is better it is positive where a method fails.

    Gives at most ``most`` rows a method, and of no data set more than half the images, worst
    first (``rank`` from 1). There is none of a single method or image, nor where a method is as
    good as expected. ``name`` is a public image's common name, or empty. ``metric`` is by default
    the first of PSNR, SSIM, LPIPS that was computed. Raises UsageError for one that was not.
    """
    rows = scored(frame)
    there = [one for one in METRICS if one in set(rows["metric"])]
    metric = metric or (there[0] if there else "psnr")
    if metric not in there:
        raise UsageError(
            f"The results hold no {metric}.", f"They hold {', '.join(there) or 'no scores'}."
        )
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    found = []
    for dataset in paper.sort_datasets(list(rows["dataset"].unique())):
        own = rows[(rows["dataset"] == dataset) & (rows["method"] != "hr")]
        methods = paper.sort_methods(list(own["method"].unique()))
        values = comparable(values_of(own, metric, methods))
        values = values.loc[:, np.isfinite(values.to_numpy(float)).all(axis=0)]
        if values.shape[1] < 2:
            continue
        names = common_names(own)
        images, means = values.mean(axis=1), values.mean(axis=0)
        sums = np.add.outer(images.to_numpy(), means.to_numpy()) - images.mean()
        expected = pd.DataFrame(sums, values.index, values.columns)
        lost = sign * (values - expected)
        for method in values.columns:
            of_method = lost[method].sort_values(kind="stable")
            for image in of_method.index[: min(most, len(values) // 2)]:
                value, hoped = values.loc[image, method], expected.loc[image, method]
                seen = (dataset, image, names.get(image, ""), metric, value, hoped)
                found.append((method, 0, *seen, value - hoped))
    made = pd.DataFrame(found, columns=list(COLUMNS))
    step = 10.0 ** -DIGITS[metric]
    made = made[sign * made["difference"] <= -step / 2]
    made = made.iloc[(sign * made["difference"]).argsort(kind="stable")]
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
    metric = worst["metric"].iloc[0]
    unit = f" in {UNITS[metric]}" if UNITS[metric] else ""
    several = worst["dataset"].nunique() > 1
    lines = [
        f"Worst images by {NAMES[metric]}{unit}. In brackets: how far the value is from what the "
        "image and the method lead one to expect."
    ]
    for method, rows in worst.groupby("method", sort=False):
        told = []
        for row in rows.to_dict("records"):
            image = f"{row['dataset']}/{row['image']}" if several else row["image"]
            named = f"{image} {row['name']}".rstrip()
            difference = fixed(row["difference"], DIGITS[metric], signed=True)
            told.append(f"{named} {fixed(row['value'], DIGITS[metric])} ({difference})")
        lines.append(f"  {paper.label(str(method))}: {'; '.join(told)}")
    return "\n".join(lines)


def common_names(rows: pd.DataFrame) -> dict[str, str]:
    """The common names of those images that are a public set's by their content."""
    dataset = str(rows["dataset"].iloc[0])
    if dataset not in KNOWN:
        return {}
    public = {file.sha256 for file in known_files(dataset)}
    names = known_names(dataset)
    there = rows.drop_duplicates("image")
    return {
        image: names[image][0]
        for image, sha256 in zip(there["image"], there["hr_sha256"], strict=True)
        if sha256 in public and image in names
    }
