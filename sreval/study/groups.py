"""Groups of raters who are asked for different things, and quotas on who takes part.

A study between subjects shows each rater what their group rates. Nobody chooses a group: a rater
is put into one when they enrol, or their link names it, and no page tells them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field, PositiveInt

from sreval.config import Config
from sreval.study.presentation import Stream

NAME = r"^[a-z0-9][a-z0-9._-]*$"
"""What a study or a group may be called."""
NAME_LETTERS = 200
"""What the database holds of such a name."""


class Group(Config):
    """Raters who rate a part of the study, or are told something else. What isn't named here is
    the study's."""

    name: str = Field(pattern=NAME, max_length=NAME_LETTERS)
    """What links, exports and the report call the group; raters never read it."""
    raters: PositiveInt
    """How many raters are wanted in it; all groups together have the study's number."""
    methods: tuple[str, ...] = ()
    """The methods of the study that the group rates; empty: all."""
    datasets: tuple[str, ...] = ()
    """The data sets of the study that the group rates; empty: all."""
    instructions: str = ""
    """What its raters read in place of the study's instructions; empty: those."""

    @property
    def rates_all(self) -> bool:
        """Whether the group rates what the study rates."""
        return not self.methods and not self.datasets


class Quota(Config):
    """An answer of which the study wants so many raters and no more."""

    question: str
    """The key of a choice that is asked before the first item."""
    option: str
    """The answer."""
    raters: PositiveInt
    """How many raters with this answer hold a place at most."""


def next_group(groups: Sequence[Group], held: Mapping[str, int], seed: int, rater: int) -> str:
    """The group of the next rater: that of which the least share is there; "" without groups.

    ``held`` counts the raters who hold a place by group. Among equals the seed and the rater's
    number draw.
    """
    if not groups:
        return ""
    shares = [held.get(group.name, 0) / group.raters for group in groups]
    least = [
        group.name for group, share in zip(groups, shares, strict=True) if share == min(shares)
    ]
    return least[Stream(seed, "groups", rater).below(len(least))]
