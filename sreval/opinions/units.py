"""What varies in intervals and tests, and the intervals of a MOS, by the names a user gives them.

Whoever only lists these names needs none of the packages that compute with them.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Unit = Literal["rater", "image", "pooled"]
UNITS: tuple[Unit, ...] = get_args(Unit)

DEFAULT_UNIT: Final = "rater"
"""The unit of a study's plan, of ``sreval opinions`` and of tables: a claim on raters in general.

Over images no test on few images can be significant, whatever their votes: five give no p below
0.0625.
"""

IntervalName = Literal["raters", "images", "pooled", "crowdmos", "bootstrap"]
INTERVALS: tuple[IntervalName, ...] = get_args(IntervalName)
"""The names of ``mos.INTERVALS``; docs/explanation/statistics.md compares them."""

INTERVAL_OF: dict[Unit, IntervalName] = {"rater": "raters", "image": "images", "pooled": "pooled"}
"""The interval of a MOS that makes the claim of a unit."""

STUDIES: Final = 500
"""How many studies are simulated for one figure of power: its standard error is 0.022 or less."""
