"""What varies in intervals and tests, what each choice claims, and the intervals of a MOS by name.

Whoever only lists these names needs none of the packages that compute with them.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from sreval.errors import counted

Unit = Literal["both", "rater", "image", "pooled"]
IntervalName = Literal["crossed", "raters", "images", "pooled", "crowdmos", "bootstrap"]
"""The names of ``mos.INTERVALS``; docs/explanation/statistics.md compares them."""

ENOUGH_FOR_BOTH: Final = 5
"""The fewest raters, and images, on which two methods are tested over "both", and on which it is
taken where no unit is named: those on which benchmarks/crossed.py has simulated the test. On three
it rejects up to twice as often as alpha says."""


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


def unit_names(unit: Unit, of: str = "image") -> tuple[str, ...]:
    """What a unit's tests and intervals count: one name, or two where both vary."""
    names = {"both": ("rater", of), "image": (of,), "pooled": ("vote",)}
    return names.get(unit, (unit,))


def interval_of(unit: Unit | None) -> IntervalName | None:
    """The interval of a MOS that claims what ``unit`` does; None: that each data set has."""
    return None if unit is None else CLAIMS[unit].interval


class Chosen(NamedTuple):
    """The unit taken for a data set, and why it isn't "both" though none was named."""

    unit: Unit
    why: str = ""


def default_unit(n_raters: int | None, n_images: int | None, of: str = "image") -> Chosen:
    """The unit of a data set for which none is named; ``of`` as in ``claim``.

    A number that is None is still to be found, and taken as large enough.

    "both", the claim that papers make, with ENOUGH_FOR_BOTH raters and images or more. Else
    "rater": over few images no test can be significant, five give no signed-rank p below 0.0625.
    """
    known = {name: n for name, n in (("rater", n_raters), (of, n_images)) if n is not None}
    if min(known.values(), default=ENOUGH_FOR_BOTH) >= ENOUGH_FOR_BOTH:
        return Chosen("both")
    there = " and ".join(counted(n, name) for name, n in known.items())
    why = (
        f"A claim on raters and {of}s in general needs {ENOUGH_FOR_BOTH} of each; here "
        f"{'is' if list(known.values()) == [1] else 'are'} {there}, so that the unit is rater"
    )
    few_raters = n_raters is not None and n_raters < ENOUGH_FOR_BOTH
    if few_raters and (n_images is None or n_images > ENOUGH_FOR_BOTH):
        why += ". Name the unit image, which alone can show a difference on so few raters"
    return Chosen("rater", why)


STUDIES: Final = 1000
"""How many studies are simulated for one figure of power: its standard error is 0.016 or less."""

Spending = Literal["obrien-fleming", "pocock"]
"""How alpha is divided among looks at a study before its end; see ``sequential.SPENDING``."""
