"""How many preferences a metric foretells, and how many the other raters do."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, listed
from sreval.opinions.arrays import Floats, cell_means
from sreval.opinions.crossed import crossed_mean
from sreval.opinions.intervals import LEAST_UNITS

_STIMULUS = ["dataset", "image"]


class Foretold(NamedTuple):
    """Of ``n`` judgements without ties the share that was foretold, 0.5 by chance.

    A metric that is the same on both pictures foretells a half. ``low`` and ``high`` are about
    raters and images in general (``crossed.crossed_mean``, kept within 0..1), NaN with fewer than
    LEAST_UNITS of either, or where the judgements name none.
    """

    share: float
    low: float
    high: float
    n: int
    n_raters: int
    n_images: int


_UNKNOWN = Foretold(math.nan, math.nan, math.nan, 0, 0, 0)


def by_metrics(
    judgements: pd.DataFrame,
    values: pd.DataFrame,
    metrics: Mapping[str, bool],
    level: float = 0.95,
) -> dict[str, Foretold]:
    """What each of ``metrics``, by whether higher is better, foretells of the judgements.

    ``values`` has a row a (dataset, image, method). Each metric has its own judgements, those
    without a tie on two pictures of which it has the values; without any its share is NaN. Two
    infinite values are equal, as the PSNR of identical images are. Raises StatisticsError where no
    metric has a judgement.
    """
    if not judgements["image"].any():
        raise StatisticsError(
            "The judgements name no images, and metrics are values of images.",
            "Give judgements with a column image; counts may have one, too.",
        )
    rows, ahead = _ahead(judgements, values, metrics)
    known = ~np.isnan(ahead)
    if not known.any():
        wanted = ["/".join(filter(None, key)) for key in _by_picture(values, metrics).index[:3]]
        raise StatisticsError(
            "No judgement has a metric of both pictures.",
            f"Name images and methods as the metrics do: {listed(wanted)}.",
        )
    chosen = np.where(rows["choice"] == "left", 1, -1)
    signs = [1 if higher else -1 for higher in metrics.values()]
    hits = (np.sign(ahead) * np.array(signs) * chosen[:, None] + 1) / 2
    return {
        metric: _share(rows[kept], own[kept], level)
        for metric, own, kept in zip(metrics, hits.T, known.T, strict=True)
    }


def in_common(
    judgements: pd.DataFrame, values: pd.DataFrame, metrics: Collection[str]
) -> pd.DataFrame:
    """The judgements that all ``metrics`` foretell and, where any has one, another answer too."""
    rows, ahead = _ahead(judgements, values, metrics)
    rows = rows.iloc[np.flatnonzero(~np.isnan(ahead).any(axis=1))]
    answered = ~np.isnan(_shares_of_others(rows))
    return rows[answered] if answered.any() else rows


def with_values(
    judgements: pd.DataFrame, values: pd.DataFrame, metrics: Collection[str]
) -> pd.DataFrame:
    """The judgements without a tie that any of ``metrics`` foretells."""
    rows, ahead = _ahead(judgements, values, metrics)
    return rows.iloc[np.flatnonzero(~np.isnan(ahead).all(axis=1))]


def _by_picture(values: pd.DataFrame, metrics: Collection[str]) -> pd.DataFrame:
    return values.set_index([*_STIMULUS, "method"])[list(metrics)]


def _ahead(
    judgements: pd.DataFrame, values: pd.DataFrame, metrics: Collection[str]
) -> tuple[pd.DataFrame, Floats]:
    """The judgements without ties, and left minus right (judgements, metrics), NaN if unknown."""
    rows = judgements[judgements["choice"] != "tie"]
    known = _by_picture(values, metrics)
    sides = []
    for side in ("left", "right"):
        keys = pd.MultiIndex.from_frame(rows[[*_STIMULUS, side]])
        sides.append(known.reindex(keys).to_numpy(dtype=np.float64))
    with np.errstate(invalid="ignore"):
        return rows, np.where(sides[0] == sides[1], 0.0, sides[0] - sides[1])


def by_others(judgements: pd.DataFrame) -> Foretold:
    """What one other rater's answer to the same pair of the same image foretells, without interval.

    The mean, over judgements without ties, of the share of the other raters' answers that agree:
    no metric that gives one answer a pair is worse than a rater where it reaches this. NaN where
    no pair of an image was judged twice.
    """
    rows = judgements[judgements["choice"] != "tie"]
    shares = _shares_of_others(rows)
    kept = ~np.isnan(shares)
    if not kept.any():
        return _UNKNOWN
    rows = rows[kept]
    share = float(np.average(shares[kept], weights=rows["count"]))
    return Foretold(share, math.nan, math.nan, int(rows["count"].sum()), *_sizes(rows))


def _shares_of_others(rows: pd.DataFrame) -> Floats:
    """Of each judgement the share of the others' answers that agree; NaN without another."""
    sides = rows[["left", "right"]]
    chosen = rows["left"].where(rows["choice"] == "left", rows["right"])
    named = rows.assign(first=sides.min(axis=1), last=sides.max(axis=1), chosen=chosen)
    pair = [*_STIMULUS, "first", "last"]

    def of_others(keys: list[str]) -> pd.Series:
        own = named.groupby([*keys, "rater"])["count"].transform("sum")
        # whoever isn't named is another rater each time
        own = own.where(named["rater"] != "", 1)
        return named.groupby(keys)["count"].transform("sum") - own

    every = of_others(pair)
    shares = of_others([*pair, "chosen"]) / every.where(every > 0)
    return shares.to_numpy(dtype=np.float64)


def _sizes(rows: pd.DataFrame) -> tuple[int, int]:
    named = rows[rows["rater"] != ""]["rater"].nunique()
    return named, len(rows[rows["image"] != ""][_STIMULUS].drop_duplicates())


def _share(rows: pd.DataFrame, hits: Floats, level: float) -> Foretold:
    if rows.empty:
        return _UNKNOWN
    count = rows["count"].to_numpy(dtype=np.float64)
    share = float(np.average(hits, weights=count))
    raters, images = _sizes(rows)
    low = high = math.nan
    if min(raters, images) >= LEAST_UNITS and (rows[["rater", "image"]] != "").all(axis=None):
        codes = [
            np.repeat(np.asarray(pd.factorize(names)[0], dtype=np.intp), rows["count"])
            for names in (rows["rater"], rows["dataset"] + "\n" + rows["image"])
        ]
        found = crossed_mean(*cell_means(np.repeat(hits, rows["count"]), *codes))
        # the limits are moved to the plain share, which weighs raters by their answers
        low, high = (
            float(np.clip(share + limit - found.estimate, 0, 1)) for limit in found.limits(level)
        )
    return Foretold(share, low, high, int(count.sum()), raters, images)
