"""A design's texts in further languages, and the words of scales that others have published.

All raters of a study are asked the same thing; what they read is in one of its languages. What they
answer is stored in the design's own language, whatever they read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationInfo, field_validator

from sreval.config import Config, FieldError
from sreval.errors import suggestion
from sreval.study.task import DEGRADATION, Scale

if TYPE_CHECKING:
    from sreval.study.design import StudyDesign
    from sreval.study.questions import Question

_ONE_OF = {"options": "an option", "rows": "a row"}
LANGUAGE = r"^[a-z]{2}$"
"""A language's two letters (ISO 639-1)."""


class QuestionTexts(Config):
    """A question in a further language."""

    text: str = ""
    """What the rater reads."""
    options: tuple[str, ...] = ()
    """The answers of a choice or a grid, in the order of the question's own."""
    rows: tuple[str, ...] = ()
    """The statements of a grid, in the order of the question's own."""

    @field_validator("options", "rows")
    @classmethod
    def _differ(cls, texts: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        stripped = tuple(text.strip() for text in texts)
        given = [text for text in stripped if text]
        if len(set(given)) < len(given):
            raise ValueError(f"{_ONE_OF[str(info.field_name)]} is given twice")
        return stripped


class Texts(Config):
    """What raters of one further language read. All of it is needed before a study is frozen."""

    title: str = ""
    """The study's title."""
    instructions: str = ""
    """The instructions, in the Markdown of the design's own."""
    consent: str = ""
    """The text of the consent; its version is the design's."""
    words: tuple[str, ...] = ()
    """The words of the scale, worst first, as many as the design's own; none of a `pair`."""
    comment: str = ""
    """What the comment asks, if the design has one."""
    questions: dict[str, QuestionTexts] = {}  # noqa: RUF012 - pydantic copies it
    """The questions by their keys."""
    groups: dict[str, str] = {}  # noqa: RUF012
    """The instructions of groups that have their own, by the group's name."""


class Published(NamedTuple):
    """The words of a scale in one language, worst first, and where they were published."""

    words: tuple[str, ...]
    source: str


_FRENCH = "ITU-R BT.500, French edition, from memory"
_SPANISH = "ITU-R BT.500, Spanish edition, from memory"

QUALITY: Mapping[str, Published] = {
    "en": Published(Scale().words, "ITU-T P.910 (2008) clause 6.1, from memory"),
    "de": Published(
        ("schlecht", "dürftig", "ordentlich", "gut", "ausgezeichnet"),
        "Möller, Quality Engineering (Springer, 2010), from memory",
    ),
    "fr": Published(("mauvais", "médiocre", "assez bon", "bon", "excellent"), _FRENCH),
    "es": Published(("mala", "mediocre", "aceptable", "buena", "excelente"), _SPANISH),
    "zh": Published(("劣", "差", "中", "良", "优"), "GB/T 7401-1987, from memory"),
}
"""The five words of quality, worst first, by language. A language whose published words we
don't know is left out."""

IMPAIRMENT: Mapping[str, Published] = {
    "en": Published(DEGRADATION, "ITU-T P.910 (2008) clause 6.3, from memory"),
    "fr": Published(
        (
            "très gênant",
            "gênant",
            "légèrement gênant",
            "perceptible mais non gênant",
            "imperceptible",
        ),
        _FRENCH,
    ),
    "es": Published(
        (
            "muy molesta",
            "molesta",
            "ligeramente molesta",
            "perceptible, pero no molesta",
            "imperceptible",
        ),
        _SPANISH,
    ),
}
"""The five words of a `dcr`, as `QUALITY`."""


def refuse_misfits(design: StudyDesign) -> None:
    """Raise FieldError for texts of what a design doesn't have, or of another number.

    What is missing is no fault here: a translation is often written bit by bit.
    """
    questions = {question.key: question for question in design.questions}
    for language, texts in design.texts.items():
        place = ("texts", language)
        if language == design.language:
            raise FieldError(
                "it is the study's own language, whose texts stand in the design itself", *place,
                remedy="Leave this table out, or set language to another.",
            )  # fmt: skip
        if texts.comment and design.comment is None:
            raise FieldError(
                "the design asks for no comment", *place, "comment", remedy="Leave it out."
            )
        if texts.words:
            _refuse_words(design, texts.words, (*place, "words"))
        own = [group.name for group in design.groups if group.instructions]
        for name in texts.groups:
            if name not in own:
                raise FieldError(
                    "no group of this name has instructions of its own", *place, "groups", name,
                    remedy=suggestion(name, own) if own else "Leave it out.",
                )  # fmt: skip
        for key, told in texts.questions.items():
            at = (*place, "questions", key)
            if key not in questions:
                known = ", ".join(questions) or "none"
                raise FieldError(
                    "no question has this key", *at, remedy=f"The questions are: {known}."
                )
            for name in _ONE_OF:
                own, ours = getattr(told, name), getattr(questions[key], name)
                if own and len(own) != len(ours):
                    raise FieldError(
                        f"the question has {len(ours)} {name}, and {len(own)} are given",
                        *at, name, remedy="Give one for each, in the same order.",
                    )  # fmt: skip


def _refuse_words(design: StudyDesign, words: tuple[str, ...], place: tuple[str, ...]) -> None:
    """Raise FieldError for words that don't stand at the categories of the scale."""
    if design.task.pair:
        raise FieldError("a pair has no scale", *place, remedy="Leave it out.")
    own = design.scale.words
    if len(words) != len(own):
        raise FieldError(
            f"the scale has {len(own)} words, and {len(words)} are given", *place,
            remedy="Give one for each, worst first.",
        )  # fmt: skip
    for number, (word, ours) in enumerate(zip(words, own, strict=True), 1):
        if bool(word.strip()) != bool(ours.strip()):
            what = f"word {number} of the scale is {'named' if ours.strip() else 'empty'}"
            raise FieldError(
                f"{what}, and this one isn't", *place,
                remedy="A category has a word in all languages or in none.",
            )  # fmt: skip


def missing(design: StudyDesign) -> Iterator[str]:
    """The place of every text that a further language lacks, as in `texts.ar.consent`."""
    for language, texts in design.texts.items():
        place = f"texts.{language}"
        for name in ("title", "instructions", "consent"):
            if not getattr(texts, name).strip():
                yield f"{place}.{name}"
        if not design.task.pair and not texts.words:
            yield f"{place}.words"
        if design.comment and not texts.comment.strip():
            yield f"{place}.comment"
        for group in design.groups:
            if group.instructions and not texts.groups.get(group.name, "").strip():
                yield f"{place}.groups.{group.name}"
        for question in design.questions:
            told = texts.questions.get(question.key, QuestionTexts())
            if not told.text.strip():
                yield f"{place}.questions.{question.key}.text"
            for name in _ONE_OF:
                if getattr(question, name) and not all(getattr(told, name) or ("",)):
                    yield f"{place}.questions.{question.key}.{name}"


def in_language(design: StudyDesign, language: str) -> StudyDesign:
    """The design with the texts of one of its languages in place of its own.

    What is missing stays in the design's own language. Raises KeyError for another language.
    """
    if language == design.language:
        return design
    texts = design.texts[language]
    words = {"words": texts.words or design.scale.words}
    changes = {
        "language": language,
        "texts": {},
        "title": texts.title or design.title,
        "instructions": texts.instructions or design.instructions,
        "consent": design.consent.model_copy(update={"text": texts.consent or design.consent.text}),
        "scale": design.scale.model_copy(update=words),
        "comment": design.comment
        and design.comment.model_copy(update={"text": texts.comment or design.comment.text}),
        "groups": tuple(
            group.model_copy(
                update={"instructions": texts.groups.get(group.name) or group.instructions}
            )
            for group in design.groups
        ),
        "questions": tuple(
            _told(question, texts, {one.key: one for one in design.questions})
            for question in design.questions
        ),
    }
    return design.model_copy(update=changes)


def _options(question: Question, texts: Texts) -> dict[str, str]:
    """What stands for each of a question's options."""
    told = texts.questions.get(question.key, QuestionTexts()).options
    return dict(zip(question.options, told or question.options, strict=True))


def _told(question: Question, texts: Texts, asked: Mapping[str, Question]) -> Question:
    """A question in another language, as far as there are texts."""
    told = texts.questions.get(question.key, QuestionTexts())
    options, condition = _options(question, texts), question.only_if
    if condition is not None:
        of = _options(asked[condition.key], texts)
        one_of = tuple(of[option] for option in condition.one_of)
        condition = condition.model_copy(update={"one_of": one_of})
    changes = {
        "text": told.text or question.text,
        "options": tuple(options.values()),
        "rows": told.rows or question.rows,
        "only_if": condition,
        "screens_out": tuple(options[option] for option in question.screens_out),
    }
    return question.model_copy(update=changes)
