"""Statistics of ITU-T P.1401 (01/2020) for metrics, each study after a map of its own (7.3.3).

The titles of the clauses were checked against the Recommendation's table of contents; their text,
and with it every formula here, is from memory, but that of 7.7, which was checked against two
published programs that quote it: NISQA_lib.py (Mittag) and RMSE_star.m (Biberger), after equations
7-27 and 7-29 of the edition of 07/2012.

Its tests take stimuli and metrics as independent, which they are not: versions of a scene are
alike, and all metrics see the same stimuli. ``metric_agreement`` tests without that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping as Names
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError
from sreval.opinions.agreement import MAPPINGS, Mapping, check_stimuli, fit_mapped
from sreval.opinions.arrays import Floats
from sreval.opinions.significance import holm


@dataclass(frozen=True)
class P1401:
    """``figures``: a row per metric; ``tests``: a row per pair of metrics and statistic.

    ``figures`` has ``r`` (Pearson, 7.5.3), ``rmse`` (7.5.1), and where the intervals of the MOS
    are known ``rmse_star`` (7.7) and ``outlier_ratio`` (7.5.2.2), NaN elsewhere. Errors are in
    points of the scale, divided by n minus the ``parameters`` of the map. ``tests`` has
    ``statistic``, ``value`` of the test, ``p`` and ``p_adjusted``.
    """

    figures: pd.DataFrame
    tests: pd.DataFrame
    n: int
    mapping: Mapping


def p1401(
    stimuli: pd.DataFrame,
    metrics: Names[str, bool],
    half_widths: Floats | None = None,
    mapping: Mapping = "third-order",
) -> P1401:
    """The figures and tests of P.1401 for one study.

    ``stimuli`` and ``metrics`` as in ``metric_agreement``; ``half_widths``, shape (n,), of the 95 %
    intervals of the MOS, NaN where unknown. Raises what ``metric_agreement`` raises.

    Tests: of two correlations by Fisher's z with the standard error sqrt(2 / (n - 3)) (7.6.1); of
    outlier ratios by the normal distribution with the pooled ratio (7.6.2); of rmse, and of rmse*,
    by F, the larger square over the smaller, one-sided (7.6.4, 7.7). The p of F are for a direction
    named beforehand; picking the larger doubles the chance of a false alarm. Holm's adjustment
    stands in for that of 7.6.5.
    """
    kept, finite = check_stimuli(stimuli, metrics, mapping)
    mos = kept[:, 0]
    n, parameters = mos.size, MAPPINGS[mapping]
    if n <= max(parameters, 3):
        raise StatisticsError(f"{n} stimuli are too few for P.1401.", "It needs five or more.")
    half = np.full(n, math.nan) if half_widths is None else half_widths[finite]
    rows = []
    for i, (name, higher) in enumerate(metrics.items()):
        values = kept[:, i + 1] * (1 if higher else -1)
        mapped = fit_mapped(mapping, values, mos, np.ones((1, n)))[0]
        rows.append({"metric": name, **_figures(mapped, mos, half, parameters), "n": n})
    figures = pd.DataFrame(rows)
    return P1401(figures, _tests(figures.set_index("metric"), n, parameters), n, mapping)


def _figures(mapped: Floats, mos: Floats, half: Floats, parameters: int) -> dict[str, float]:
    error = np.abs(mos - mapped)
    beyond = np.maximum(0, error - half)
    freedom = mos.size - parameters
    varies = np.ptp(mapped) > 1e-9
    return {
        "r": float(np.corrcoef(mapped, mos)[0, 1]) if varies else math.nan,
        "rmse": math.sqrt((error**2).sum() / freedom),
        "rmse_star": math.sqrt((beyond**2).sum() / freedom),
        "outlier_ratio": float((error > half).mean()) if np.isfinite(half).all() else math.nan,
    }


def _tests(figures: pd.DataFrame, n: int, parameters: int) -> pd.DataFrame:
    rows = []
    for statistic in figures.columns.drop("n"):
        for first, second in itertools.combinations(figures.index, 2):
            one, two = figures[statistic].loc[[first, second]].to_numpy(dtype=np.float64)
            value, p = _test(str(statistic), one, two, n, parameters)
            rows.append(
                {"statistic": statistic, "first": first, "second": second, "value": value, "p": p}
            )
    names = ["statistic", "first", "second", "value", "p"]
    table = pd.DataFrame(rows, columns=names)
    adjusted = table.groupby("statistic")["p"].transform(lambda p: holm(p.to_numpy()))
    return table.assign(p_adjusted=adjusted)


def _test(statistic: str, one: float, two: float, n: int, parameters: int) -> tuple[float, float]:
    """The value of the test, z or F, and its p; NaN where it can't be made."""
    if statistic == "r":
        if not max(abs(one), abs(two)) < 1:
            return math.nan, math.nan
        z = (math.atanh(one) - math.atanh(two)) / math.sqrt(2 / (n - 3))
    elif statistic == "outlier_ratio":
        pooled = (one + two) / 2
        if not 0 < pooled < 1:
            return math.nan, math.nan
        z = (one - two) / math.sqrt(pooled * (1 - pooled) * 2 / n)
    else:
        if not min(one, two) > 0:
            return math.nan, math.nan
        ratio = max(one, two) ** 2 / min(one, two) ** 2
        freedom = n - parameters
        return ratio, float(scipy.special.fdtrc(freedom, freedom, ratio))
    return z, float(2 * scipy.special.ndtr(-abs(z)))
