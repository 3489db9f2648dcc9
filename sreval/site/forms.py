"""Questionnaires: answers checked against their questions, in the rater's language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from flask_babel import gettext

from sreval.study.design import Question

LONGEST = 2000
"""Characters of a text answer."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def _(text: str, **values: object) -> str:
    return str(gettext(text, **values))


def read(
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
