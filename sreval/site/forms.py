"""What a browser sends, checked: the facts of its screen, the answers of a questionnaire."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from flask import request
from flask_babel import gettext
from pydantic import BaseModel, ConfigDict, Field

from sreval.study.design import Question

LONGEST = 2000
"""Characters of a text answer."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def _(text: str, **values: object) -> str:
    return str(gettext(text, **values))


def read_answers(
    questions: Sequence[Question], form: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The answers by key without what no database stores, and what is wrong with them by key."""
    values = {q.key: _value(q, form.get(q.key, "")) for q in questions}
    errors = {q.key: wrong for q in questions if (wrong := _wrong(q, values[q.key]))}
    return values, errors


def _value(question: Question, text: str) -> str:
    text = _CONTROL.sub("", text).strip()
    return text.replace(",", ".") if question.kind == "number" else text


def _wrong(question: Question, value: str) -> str:
    if not value:
        return _("Please answer this question.") if question.required else ""
    if question.kind == "choice":
        return "" if value in question.options else _("Please choose one of the answers.")
    if question.kind == "text":
        return _("Please write less.") if len(value) > LONGEST else ""
    try:
        number = float(value)
    except ValueError:
        return _("Please write a number.")
    low = -math.inf if question.low is None else question.low
    high = math.inf if question.high is None else question.high
    if math.isfinite(number) and low <= number <= high:
        return ""
    return _("Please write a number from %(low)s to %(high)s.", low=low, high=high)


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
