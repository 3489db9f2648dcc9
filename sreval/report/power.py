"""Printing a power curve: how many raters and images a difference needs."""

from __future__ import annotations

import pandas as pd

from sreval.opinions.comparison import CLAIMS, least_units
from sreval.opinions.units import Unit
from sreval.report.digits import NONE, fixed
from sreval.report.sections import CORRECTIONS, Section, to_text


def power_text(curve: pd.DataFrame, needed: pd.DataFrame, target: float) -> str:
    """The curve of ``planning.power_curve``, a row per difference and number of images.

    ``needed`` is what ``planning.raters_needed`` gives for ``target``.
    """
    first = curve.iloc[0]
    unit: Unit = first["unit"]
    comparisons, adjustment = int(first["comparisons"]), str(first["adjustment"])
    least = least_units(comparisons, adjustment, first["alpha"])
    raters = sorted(map(int, curve["n_raters"].unique()))
    rows = [["difference", "images", *map(str, raters), "raters needed"]]
    by_plan = curve.set_index(["difference", "n_images", "n_raters"])["power"]
    for plan in needed.to_dict("records"):
        key = (plan["difference"], plan["n_images"])
        powers = [f"{by_plan[(*key, count)]:.2f}" for count in raters]
        fewest = fixed(plan["n_raters"], 0)
        if fewest == NONE:
            hopeless = unit == "image" and plan["n_images"] < least
            fewest = "no number does" if hopeless else f">{raters[-1]}"
        rows.append([f"{key[0]:.2f}", str(int(key[1])), *powers, fewest])
    bound = f"p x {comparisons}" if comparisons > 1 and adjustment != "none" else "p"
    error = float(curve["standard_error"].max())
    notes = [
        "Power of one two-sided Wilcoxon signed-rank test by number of raters; unit "
        f"{unit}: {CLAIMS[unit]}. Comparisons in all: {comparisons}; {CORRECTIONS[adjustment]}, "
        f"alpha {first['alpha']:g}. A difference is found where {bound} < {first['alpha']:g}: what "
        "it takes when no other comparison shows anything.",
        f"With fewer than {least} {unit}s no outcome of all comparisons can be significant. Raters "
        f"needed: the fewest tried that show a power of {target:g} or more, as all larger "
        "numbers do, with the 95% limit of the simulation.",
        f"{first['studies']} simulated studies a cell, standard error {error:.3f} or less; the "
        "difference is in points before rounding and clipping to the scale.",
    ]
    return to_text(Section("power", "Power (simulated raters)", curve, rows, notes))
