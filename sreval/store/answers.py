"""What a rater's answer may be: a vote's score, comment, key, position and times, and a
questionnaire's.

Pages tell raters in their language what is wrong; whether it is wrong is decided here alone.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from sreval.store.errors import AnswerError, Fault, VoteError
from sreval.study.design import StudyDesign
from sreval.study.questions import Answers, Comment, Question, When
from sreval.study.task import Choice, Place, Scale, Task

LONGEST, LONGEST_DEVICE = 2000, 500
"""Characters (code points) of an answer or a comment, and of what a browser tells of its window."""

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
_DAY = dt.timedelta(days=1)
_DAY_MS = _DAY / dt.timedelta(milliseconds=1)
_DURATIONS = ("response_ms", "hidden_ms", "unfocused_ms", "left_ms", "right_ms", "reference_ms")
_LAST_POSITION = 10**6
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def check_vote(vote: Mapping[str, Any]) -> None:
    """Raise VoteError ('malformed') for a row that makes sense nowhere in a plan.

    ``key`` has 8 to 64 letters, digits, _ and -; ``shown_at`` a zone. ``response_ms`` and, where
    they are known, the other durations, in milliseconds, are a day at most; so are ``switches``,
    a count.
    """
    position, switches = vote["position"], vote["switches"]
    if (
        type(position) is not int
        or not 1 <= position <= _LAST_POSITION
        or not _KEY.fullmatch(vote["key"])
        or not all(0 <= (vote[name] or 0) <= _DAY_MS for name in _DURATIONS)
        or not (switches is None or (type(switches) is int and 0 <= switches <= _DAY_MS))
        or vote["shown_at"].tzinfo is None
        or len(vote["device"]) > LONGEST_DEVICE
    ):
        raise VoteError("malformed", "The vote can't be read.", "Reload the page.")


def check_looks(task: Task, vote: Mapping[str, Any]) -> None:
    """Raise VoteError for a vote whose pictures were not all in view ('unseen'), by what a browser
    says of pictures that are toggled, or that tells of pictures that aren't there ('malformed')."""
    looks = {place: vote[f"{place}_ms"] for place in get_args(Place)}
    told, switches = {place for place, ms in looks.items() if ms is not None}, vote["switches"]
    if told - set(task.places) or (not task.toggled and (told or switches is not None)):
        raise VoteError("malformed", "The vote tells of other pictures.", "Reload the page.")
    too_few = switches is not None and switches < len(task.places) - 1
    if too_few or any(looks[place] == 0 for place in told):
        raise VoteError(
            "unseen", "The vote came before every picture was in view.", "Look at all of them."
        )


def score_on(answers: Scale | Choice, score: object) -> int | float:
    """A vote's score as it is stored. Raises VoteError ('scale') where it isn't one of them."""
    stored = answers.answer(score)
    if stored is None:
        raise VoteError("scale", f"{score!r} isn't a score.", f"Scores are {answers.scores}.")
    return stored


def appeared(shown_at: dt.datetime, response_ms: float, now: dt.datetime) -> dt.datetime:
    """When the image appeared; by our clock where the browser's is a day or more off."""
    if abs(shown_at - now) < _DAY:
        return shown_at
    return now - dt.timedelta(milliseconds=response_ms)


def comment_on(item: str, text: str, asked: Comment | None) -> str | None:
    """A comment on an item of a kind as it is stored, without blanks around it; None where there is
    none.

    Raises VoteError ('malformed') for one that is too long, that isn't asked for, or that is
    lacking. Examples need none.
    """
    text = _plain(text)
    lacking = asked is not None and asked.required and item != "calibration" and not text
    if lacking or len(text) > LONGEST or (text and asked is None):
        raise VoteError("malformed", "The vote's comment doesn't fit.", "Reload the page.")
    return text or None


def check_answers(
    design: StudyDesign, when: When, answers: Answers, earlier: Answers = MappingProxyType({})
) -> dict[str, str]:
    """The answers given, as `cleaned`, without empty ones and those to questions that aren't asked
    of who gave these ``earlier`` answers.

    By the names of `Question.fields`. Raises AnswerError naming every question whose answer is bad.
    """
    questions = [question for question in design.questions if question.when == when]
    known = {name for question in questions for name in question.fields}
    faults: dict[str, Fault] = {name: "unknown" for name in answers if name not in known}
    given: dict[str, str] = {}
    for question in questions:
        if not question.applies({**earlier, **given}):
            continue
        own = {name: cleaned(question, answers.get(name, "")) for name in question.fields}
        own = question.given(own)
        fault = _fault(question, own)
        if fault:
            faults[question.key] = fault
        given |= own
    if faults:
        raise AnswerError(faults)
    return given


def cleaned(question: Question, text: str) -> str:
    """An answer without blanks around it and what no database stores; a number in the digits 0 to 9
    with a point.

    Lines end with a line feed, whatever the browser ends them with.
    """
    text = _plain(text)
    if question.kind != "number":
        return text
    digits = (unicodedata.decimal(sign, None) for sign in text)
    plain = (sign if d is None else str(d) for sign, d in zip(text, digits, strict=True))
    return "".join(plain).replace(",", ".").replace("\u066b", ".")


def _plain(text: str) -> str:
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def longest(questions: Iterable[Question]) -> int:
    """How many characters the names and answers of all these questions have at most."""
    return sum(
        len(name) + max(map(len, options), default=LONGEST)
        for question in questions
        for name, options in question.fields.items()
    )


def screened_out(design: StudyDesign, answers: Answers) -> bool:
    """Whether an answer ends the session."""
    return any(
        set(question.given(answers).values()) & set(question.screens_out)
        for question in design.questions
    )


def _fault(question: Question, own: Answers) -> Fault | None:
    """What is wrong with the answers to one question that is asked."""
    if not own:
        return "missing" if question.required else None
    for name, value in own.items():
        if fault := _fault_of(question, question.fields[name], value):
            return fault
    match question.kind:
        case "grid" if question.required and len(own) < len(question.rows):
            return "missing"
        case "choices" if len(own) < question.fewest:
            return "too-few"
        case "choices" if question.most is not None and len(own) > question.most:
            return "too-many"
        case _:
            return None


def _fault_of(question: Question, options: Collection[str], value: str) -> Fault | None:
    if options:
        return None if value in options else "not-offered"
    if len(value) > LONGEST:
        return "too-long"
    if question.kind == "text":
        return None
    try:
        number = float(value)
    except ValueError:
        return "not-a-number"
    low = -math.inf if question.low is None else question.low
    high = math.inf if question.high is None else question.high
    return None if math.isfinite(number) and low <= number <= high else "out-of-range"
