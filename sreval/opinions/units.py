"""What varies in intervals and tests, what each choice claims, and the intervals of a MOS by name.

Whoever only lists these names needs none of the packages that compute with them.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Unit = Literal["both", "rater", "image", "pooled"]
IntervalName = Literal["crossed", "raters", "images", "pooled", "crowdmos", "bootstrap"]
"""The names of ``mos.INTERVALS``; docs/explanation/statistics.md compares them."""

DEFAULT_UNIT: Final = "rater"
"""The unit of a study's plan, of ``sreval opinions`` and of tables: a claim on raters in general.

Over images no test on few images can be significant, whatever their votes: five give no p below
0.0625.
"""


class Claim(NamedTuple):
    """What a unit's intervals and tests are about, and the interval of a MOS that says so."""

    about: str
    interval: IntervalName


CLAIMS: dict[Unit, Claim] = {
    "both": Claim("raters and images in general", "crossed"),
    "rater": Claim("these images, raters in general", "raters"),
    "image": Claim("these raters, images in general", "images"),
    "pooled": Claim("these raters again on these images", "pooled"),
}


def claim(unit: Unit, of: str = "image") -> str:
    """What a unit's intervals and tests are about, said of images or of sequences.

    ``of`` is what ``frames.unit_name`` says of the images that were rated.
    """
    return CLAIMS[unit].about.replace("image", of)


STUDIES: Final = 1000
"""How many studies are simulated for one figure of power: its standard error is 0.016 or less."""

Spending = Literal["obrien-fleming", "pocock"]
"""How alpha is divided among looks at a study before its end; see ``sequential.SPENDING``."""
