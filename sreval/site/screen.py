"""Whether a rater's screen can show the images: facts that a browser reports, checked."""

from __future__ import annotations

import re
from typing import Annotated, Any

from flask import request
from pydantic import BaseModel, ConfigDict, Field

_PHONE_PX = 600
"""A touch screen whose shorter side has fewer CSS pixels is a phone."""

_MAGNIFIED = 0.01
"""Pinching by less than this share is rounding."""

_FAMILIES = ("Edg", "OPR", "Firefox", "Chrome", "Safari")
Length = Annotated[int, Field(ge=1, le=100_000)]


class Facts(BaseModel):
    """The least that tells whether an image fits. Lengths in CSS pixels; `ratio` device pixels
    to one; `magnified` by pinching."""

    model_config = ConfigDict(extra="forbid")

    window: tuple[Length, Length]
    screen: tuple[Length, Length]
    ratio: float = Field(ge=0.1, le=20)
    magnified: float = Field(default=1, ge=0.01, le=100)
    touch: bool = False


class Report(BaseModel):
    """What a browser reports, and whether by its own layout the image fits."""

    model_config = ConfigDict(extra="forbid")

    facts: Facts
    fits: bool

    def stored(self) -> dict[str, Any]:
        """What is kept: the facts, and the browser's family without its version."""
        return {**self.facts.model_dump(), "browser": _family()}

    def holds(self, largest: tuple[int, int], *, phones: bool) -> bool:
        """Whether the largest image (width, height in device pixels) is shown as it is.

        The browser knows its layout and can only be stricter than what is checked here.
        """
        facts = self.facts
        phone = facts.touch and min(facts.screen) < _PHONE_PX
        room = (facts.window[0] * facts.ratio, facts.window[1] * facts.ratio)
        large = room[0] >= largest[0] and room[1] >= largest[1]
        whole = abs(facts.magnified - 1) <= _MAGNIFIED
        return self.fits and large and whole and (phones or not phone)


def _family() -> str:
    found = re.findall("|".join(_FAMILIES), request.user_agent.string)
    return next((name for name in _FAMILIES if name in found), "other")
