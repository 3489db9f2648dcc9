"""Whether answers fit their questions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sreval.store.errors import AnswerError
from sreval.study.design import Question, StudyDesign, When

LONGEST = 4000
"""Characters that one answer may have."""


def check_answers(design: StudyDesign, when: When, answers: Mapping[str, str]) -> dict[str, str]:
    """The answers given, without empty ones. Raises AnswerError naming every one that is bad."""
    questions = {question.key: question for question in design.questions if question.when == when}
    problems = {key: "no such question" for key in answers if key not in questions}
    given = {}
    for key, question in questions.items():
        value = answers.get(key, "").strip()
        problem = _problem(question, value)
        if problem:
            problems[key] = problem
        elif value:
            given[key] = value
    if problems:
        raise AnswerError(problems)
    return given


def screened_out(design: StudyDesign, answers: Mapping[str, str]) -> bool:
    """Whether an answer ends the session."""
    return any(answers.get(question.key) in question.screens_out for question in design.questions)


def _problem(question: Question, value: str) -> str:
    if not value:
        return "an answer is required" if question.required else ""
    if len(value) > LONGEST:
        return f"more than {LONGEST} characters"
    if question.kind == "choice" and value not in question.options:
        return "none of the options"
    return _number_problem(question, value) if question.kind == "number" else ""


def _number_problem(question: Question, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return "no number"
    low = -math.inf if question.low is None else question.low
    high = math.inf if question.high is None else question.high
    return "" if low <= number <= high else f"outside {low:g}..{high:g}"
