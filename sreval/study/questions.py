"""What raters are asked beside a score: the questionnaires, and a comment on every picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, PositiveInt, StrictBool, field_validator, model_validator

from sreval.config import Config, FieldError
from sreval.errors import shown, suggestion

When = Literal["before", "after"]
Answers = Mapping[str, str]
"""Answers by the names of their fields, see `Question.fields`."""
RESERVED = ("csrf_token", "delete", "facts", "fits", "lang", "version")
"""Names of the site's own fields: no answer can be called so."""
_OF_OPTIONS = ("choice", "choices", "grid")
_DECIDING = ("choice", "choices")
_LETTERS = 150
"""Of a key. The database holds 200 of a field's name, which may end in a number."""


def _stripped(texts: tuple[str, ...], what: str) -> tuple[str, ...]:
    """As answers are, before they are compared with these. Raises ValueError for what none can
    be."""
    stripped = tuple(text.strip() for text in texts)
    if "" in stripped:
        raise ValueError(f"{what} is empty")
    if any(unicodedata.category(sign) == "Cc" for sign in "".join(stripped)):
        raise ValueError(f"{what} holds a control character, which no answer can")
    if len(set(stripped)) < len(stripped):
        raise ValueError(f"{what} is given twice")
    return stripped


class Condition(Config):
    """Which answer to an earlier question leads to this one."""

    key: str
    """The earlier question, a `choice` or `choices`."""
    one_of: tuple[str, ...] = Field(min_length=1)
    """Its options that lead here; one of them must have been chosen."""

    @field_validator("one_of")
    @classmethod
    def _as_options(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        return _stripped(options, "an option")

    def holds(self, answers: Answers) -> bool:
        """Whether one of the options was chosen."""
        return any(
            name.partition(".")[0] == self.key and value in self.one_of
            for name, value in answers.items()
        )


class Question(Config):
    """One question of a questionnaire."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=_LETTERS)
    """The name of the answer in the export; a few are the site's own, and refused."""
    when: When = "before"
    """Before the first item, or after the last."""
    text: str = Field(min_length=1)
    """What the rater reads."""
    kind: Literal["choice", "choices", "grid", "number", "text"] = "choice"
    """How it is answered: by one of the options, by several, by one for each of `rows`, by a
    number, or by a text of several lines."""
    options: tuple[str, ...] = ()
    """The answers of a choice, or of each row of a grid; blanks around them are left out."""
    rows: tuple[str, ...] = ()
    """The statements of a grid, each answered by one of the options."""
    least: PositiveInt | None = None
    """How many of `choices` must be chosen at least; absent: one."""
    most: PositiveInt | None = None
    """How many of `choices` may be chosen at most; absent: all."""
    low: float | None = None
    """The least number that is taken."""
    high: float | None = None
    """The greatest number that is taken."""
    required: StrictBool = True
    """Whether it must be answered, every row of a grid. A question that isn't asked needs no
    answer."""
    only_if: Condition | None = None
    """Asked only after this answer to an earlier question; absent: asked of everybody."""
    screens_out: tuple[str, ...] = ()
    """Options of a choice that end the session."""

    @field_validator("options", "screens_out")
    @classmethod
    def _as_answers(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        return _stripped(options, "an option")

    @field_validator("rows")
    @classmethod
    def _as_statements(cls, rows: tuple[str, ...]) -> tuple[str, ...]:
        return _stripped(rows, "a row")

    @model_validator(mode="after")
    def _parts_fit(self) -> Question:
        if self.key in RESERVED:
            raise ValueError(f"{self.key!r} is a name of the site's own; give key another name")
        if (self.kind in _OF_OPTIONS) != bool(self.options):
            raise ValueError("options belong to a choice or a grid, and these need them")
        if (self.kind == "grid") != bool(self.rows):
            raise ValueError("rows belong to a grid, and a grid needs them")
        if self.screens_out and self.kind == "grid":
            raise ValueError("screens_out belongs to a choice, not to a grid")
        unknown = sorted(set(self.screens_out) - set(self.options))
        if unknown:
            raise ValueError(f"screens_out names {unknown[0]!r}, which isn't an option")
        self._refuse_counts()
        return self

    def _refuse_counts(self) -> None:
        """Raise FieldError where nobody could choose as many as the question asks for."""
        for name in ("least", "most"):
            count = getattr(self, name)
            if count is not None and self.kind != "choices":
                raise FieldError('it belongs to the kind "choices"', name, remedy="Leave it out.")
            if count is not None and count > len(self.options):
                raise FieldError(
                    f"there are {len(self.options)} options", name, remedy="Give a lower number."
                )
        if self.most is not None and self.fewest > self.most:
            raise FieldError(
                f"at least {self.fewest} must be chosen", "most", remedy="Exchange the two."
            )

    @property
    def fewest(self) -> int:
        """How many of `choices` are chosen at least by who answers at all."""
        return self.least or 1

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """The names under which its answers are sent, stored and exported, each with the options
        that it may hold, none where it is free.

        One name, the key; of `choices` KEY.1, KEY.2 and so on for the options, each present where
        its option was chosen; of a grid the same for the rows.
        """
        match self.kind:
            case "choices":
                return {f"{self.key}.{n}": (one,) for n, one in enumerate(self.options, start=1)}
            case "grid":
                return {f"{self.key}.{n}": self.options for n in range(1, len(self.rows) + 1)}
            case _:
                return {self.key: self.options}

    def given(self, answers: Answers) -> dict[str, str]:
        """Those of some answers that are to this question."""
        return {name: answers[name] for name in self.fields if answers.get(name)}

    def applies(self, answers: Answers) -> bool:
        """Whether it is asked of who gave these answers before."""
        return self.only_if is None or self.only_if.holds(answers)


class Comment(Config):
    """A text that raters write on every item, examples excepted, before they answer."""

    text: str = Field(min_length=1)
    """What is asked."""
    required: StrictBool = False
    """Whether an item can be answered without a comment."""


def refuse_conditions(questions: Sequence[Question]) -> None:
    """Raise FieldError, at its place in the design, for a condition on what isn't asked before, or
    on an answer that nobody can give."""
    order = sorted(questions, key=lambda question: question.when == "after")
    for number, question in enumerate(questions):
        condition = question.only_if
        if condition is None:
            continue
        place = ("questions", number, "only_if")
        before = {one.key: one for one in order[: order.index(question)]}
        found = before.get(condition.key)
        if found is None or found.kind not in _DECIDING:
            known = any(one.key == condition.key for one in questions)
            what = "is not asked before this question" if known else "is no question's key"
            what = what if found is None else f"is of the kind {found.kind}, not a choice"
            fit = [one.key for one in before.values() if one.kind in _DECIDING]
            raise FieldError(
                f"{shown(condition.key)} {what}", *place, "key",
                remedy=suggestion(condition.key, fit) if fit else "Leave only_if out.",
            )  # fmt: skip
        for option in condition.one_of:
            if option not in found.options:
                raise FieldError(
                    f"{shown(option)} is no option of {condition.key}", *place, "one_of",
                    remedy=suggestion(option, found.options),
                )  # fmt: skip
