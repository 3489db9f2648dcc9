"""How many preferences a metric foretells, and how many the other raters do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
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


def with_values(
    judgements: pd.DataFrame, values: pd.DataFrame, metrics: Iterable[str]
) -> tuple[pd.DataFrame, Floats]:
    """The judgements without ties that have all metrics of both pictures, and left minus right.

    ``values`` has a row a (dataset, image, method). The differences are of shape (judgements,
    metrics); 0 where both are infinite, as the PSNR of identical images is. Raises StatisticsError
    where there is none.
    """
    rows = judgements[judgements["choice"] != "tie"]
    known = values.set_index([*_STIMULUS, "method"])[list(metrics)]
    sides = []
    for side in ("left", "right"):
        keys = pd.MultiIndex.from_frame(rows[[*_STIMULUS, side]])
        sides.append(known.reindex(keys).to_numpy(dtype=np.float64))
    with np.errstate(invalid="ignore"):
        ahead = np.where(sides[0] == sides[1], 0.0, sides[0] - sides[1])
    kept = np.flatnonzero(~np.isnan(ahead).any(axis=1))
    if not kept.size:
        wanted = ["/".join(filter(None, key)) for key in known.index[:3]]
        raise StatisticsError(
            "No judgement has a metric of both pictures.",
            f"Name images and methods as the metrics do: {listed(wanted)}.",
        )
    return rows.iloc[kept], ahead[kept]


def by_metrics(
    judgements: pd.DataFrame,
    values: pd.DataFrame,
    metrics: Mapping[str, bool],
    level: float = 0.95,
) -> dict[str, Foretold]:
    """What each of ``metrics``, by whether higher is better, foretells of ``with_values``.

    So all metrics are compared on the same judgements. Raises as ``with_values`` does.
    """
    rows, ahead = with_values(judgements, values, metrics)
    chosen = np.where(rows["choice"] == "left", 1, -1)
    signs = [1 if higher else -1 for higher in metrics.values()]
    hits = (np.sign(ahead) * np.array(signs) * chosen[:, None] + 1) / 2
    return {metric: _share(rows, hits[:, place], level) for place, metric in enumerate(metrics)}


def by_others(judgements: pd.DataFrame) -> Foretold:
    """What one other rater's answer to the same pair of the same image foretells, without interval.

    The mean, over judgements without ties, of the share of the other raters' answers that agree:
    no metric that gives one answer a pair is worse than a rater where it reaches this. NaN where
    no pair of an image was judged twice.
    """
    rows = judgements[judgements["choice"] != "tie"]
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
    kept = every > 0
    shares = of_others([*pair, "chosen"])[kept] / every[kept]
    if not kept.any():
        return Foretold(math.nan, math.nan, math.nan, 0, 0, 0)
    weights = rows["count"][kept]
    share = float(np.average(shares.to_numpy(), weights=weights))
    return Foretold(share, math.nan, math.nan, int(weights.sum()), *_sizes(rows[kept]))


def _sizes(rows: pd.DataFrame) -> tuple[int, int]:
    named = rows[rows["rater"] != ""]["rater"].nunique()
    return named, len(rows[rows["image"] != ""][_STIMULUS].drop_duplicates())


def _share(rows: pd.DataFrame, hits: Floats, level: float) -> Foretold:
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
