"""What a study asks of its raters: the task, and the scale on which they answer.

Plan, store, site, export, acceptance, rehearsal and report take from here what differs between
kinds of study: what an answer may be, how it is named, what a rater must have seen besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from sreval.config import Config, FieldError
from sreval.opinions.tasks import TASKS

if TYPE_CHECKING:
    from sreval.opinions import votes

Kind = Literal["acr", "acr-hr", "dcr", "pair"]
Layout = Literal["side", "toggle"]
Third = Literal["", "no difference", "not sure"]
Question = Literal["better", "closer", "photograph"]
Place = Literal["left", "right", "reference"]
"""Where a picture of an item stands. One that stands alone is at the left; so is the picture that
is judged against the reference."""
LEFT, TIE, RIGHT = -1, 0, 1
"""The answers to a pair, as scores: which picture was chosen, or neither."""
REFERENCE = "hr"
"""The method that is the original."""
GAP = 16
"""Device pixels between two pictures that stand side by side."""
DEGRADATION = (
    "very annoying",
    "annoying",
    "slightly annoying",
    "perceptible but not annoying",
    "imperceptible",
)
"""The words of a `dcr`, from the worst (ITU-T P.910 (2008) clause 6.3, from memory)."""
_QUESTIONS: dict[Question, str] = {
    "better": "which picture looks better",
    "closer": "which picture is closer to the original",
    "photograph": "which picture is the photograph",
}
_LAYOUTS: dict[Layout, str] = {"side": "side by side", "toggle": "toggled in one place"}
_LINE_TOP = 100
_DECIMALS = 1
"""To which a mark on a line is stored."""
_FEWEST, _MOST = 2, 11
"""Words of a scale."""
_TEN = 10
_TENTH_KEYS = ("0", "x")
"""The keys of the scores above 9, as far as the scale doesn't use them otherwise."""


class Task(Config):
    """What raters do at each item.

    `acr`: one picture, one score (ITU-T P.910 (2008) clause 6.1, from memory). `acr-hr`: the same,
    and the original of every image is among the pictures, unmarked; results are also given as
    differences from the rater's own score of the original (clause 6.2, from memory). `dcr`: the
    original and one version of it, and one score of how visible the difference is (clause 6.3,
    from memory). `pair`: two versions of an image, of which one is chosen.
    """

    kind: Kind = "acr"
    """The kind of task, see above."""
    layout: Layout = "side"
    """How the pictures of a `dcr` or `pair` are shown: side by side, or in one place, one at a
    time, exchanged by keys or buttons. It is never changed to fit a rater's window."""
    switch_ms: int = Field(default=0, ge=0, le=10_000)
    """Milliseconds of grey between two pictures that are toggled; 0: none."""
    reference: StrictBool = False
    """Whether the original stands beside the two pictures of a `pair`, labelled; a `dcr` always
    shows it."""
    question: Question = "better"
    """What is asked of a `pair`: which picture looks better, which is closer to the original (that
    needs `reference`), or which is the photograph."""
    third: Third = ""
    """A third answer to a `pair`; absent: one picture must be chosen."""

    @model_validator(mode="after")
    def _keys_belong_to_the_kind(self) -> Task:
        of_kinds = {"layout": ("dcr", "pair"), "reference": ("pair",)}
        of_kinds |= {"question": ("pair",), "third": ("pair",)}
        for name, kinds in of_kinds.items():
            value = getattr(self, name)
            if self.kind not in kinds and value != type(self).model_fields[name].default:
                always = "; a dcr always shows the original" * (name == "reference")
                raise FieldError(
                    f"it belongs to {' and '.join(kinds)}, and the kind is {self.kind}{always}",
                    name, remedy=f'Leave it out, or set kind to "{kinds[-1]}".',
                )  # fmt: skip
        if self.switch_ms and self.layout == "side":
            raise FieldError(
                "pictures side by side are not exchanged", "switch_ms",
                remedy='Leave it out, or set layout to "toggle".',
            )  # fmt: skip
        if self.question == "closer" and not self.reference:
            raise FieldError(
                "nobody can tell which picture is closer to an original that isn't in view",
                "question", remedy='Set reference to true, or question to "better".',
            )  # fmt: skip
        if self.question == "photograph" and self.reference:
            raise FieldError(
                "the original in view would tell which picture is the photograph",
                "reference", remedy="Leave it out.",
            )  # fmt: skip
        return self

    @property
    def with_reference(self) -> bool:
        """Whether whoever rates an image also rates its original, unmarked among its versions."""
        return self.kind == "acr-hr"

    @property
    def pair(self) -> bool:
        """Whether two versions of an image are compared."""
        return self.kind == "pair"

    @property
    def shows_reference(self) -> bool:
        """Whether the original is in view, labelled, while its versions are judged."""
        return self.kind == "dcr" or (self.pair and self.reference)

    @property
    def places(self) -> tuple[Place, ...]:
        """The places of an item's pictures: side by side from the left, toggled in order."""
        if self.kind == "dcr":
            return ("reference", "left")
        if not self.pair:
            return ("left",)
        if not self.reference:
            return ("left", "right")
        return (
            ("left", "reference", "right")
            if self.layout == "side"
            else ("reference", "left", "right")
        )

    @property
    def toggled(self) -> bool:
        """Whether an item's pictures are shown in one place, one at a time."""
        return self.layout == "toggle" and len(self.places) > 1

    def room(self, width: int, height: int) -> tuple[int, int]:
        """Width and height that an item takes whose pictures are of this size, in device pixels."""
        side_by_side = len(self.places) if self.layout == "side" else 1
        return side_by_side * width + (side_by_side - 1) * GAP, height

    def __str__(self) -> str:
        layout = f", {_LAYOUTS[self.layout]}"
        if self.kind == "dcr":
            return TASKS[self.kind].title + layout
        if self.kind != "pair":
            return TASKS[self.kind].title
        reference = ", beside the original" if self.reference else ""
        return f"paired comparison: {_QUESTIONS[self.question]}{layout}{reference}"


def _no_flag(value: object) -> object:
    """``value``; "true" in place of a flag, which Python takes for the number 1."""
    return str(value).lower() if isinstance(value, bool) else value


class Scale(Config):
    """The rating scale: categories with a number each, or a line. Worst first.

    Five categories are those of ITU-T P.910 (2008) clause 6.1; scales of 9 and 11 are in its
    annexes (both from memory). A line runs from 0 to 100, and raters see none of its numbers.
    """

    words: tuple[str, ...] = ("bad", "poor", "fair", "good", "excellent")
    """Two to eleven, one a category, from the worst to the best, "" for a category that shows its
    number alone. On a line one for each of its parts, which are equally long."""
    first: Annotated[Literal[0, 1], BeforeValidator(_no_flag)] = 1
    """The number of the worst category."""
    line: StrictBool = False
    """Whether raters mark a line in place of choosing a category."""

    @model_validator(mode="after")
    def _can_be_answered(self) -> Scale:
        if not _FEWEST <= len(self.words) <= _MOST:
            reason = f"it has {_FEWEST} to {_MOST} words, and {len(self.words)} are given"
            raise FieldError(reason, "words")
        if self.line and self.first == 0:
            raise FieldError("a line has no first category", "first", remedy="Leave it out.")
        return self

    @property
    def low(self) -> int:
        """The score of the worst answer."""
        return 0 if self.line else self.first

    @property
    def high(self) -> int:
        """The score of the best answer."""
        return _LINE_TOP if self.line else self.first + len(self.words) - 1

    @property
    def numbers(self) -> votes.Scale:
        """The scale as statistics know it."""
        from sreval.opinions.votes import Scale as Numbers  # pandas: a vote is stored without

        return Numbers(self.low, self.high, 0 if self.line else 1)

    @property
    def categories(self) -> tuple[tuple[int, str], ...]:
        """Number and word of every category; none on a line."""
        return () if self.line else tuple(enumerate(self.words, self.first))

    @property
    def keys(self) -> dict[int, str]:
        """The key of every category: its digit, then 0 and x for those above 9."""
        keys = {number: str(number) for number, _ in self.categories if number < _TEN}
        free = [key for key in _TENTH_KEYS if key not in keys.values()]
        above = [number for number, _ in self.categories if number not in keys]
        return keys | dict(zip(above, free, strict=False))

    def answer(self, score: object) -> int | float | None:
        """A rater's answer as it is stored, on a line to 0.1; None where it isn't on the scale."""
        takes = (int, float) if self.line else (int,)
        if type(score) not in takes or not self.low <= score <= self.high:  # type: ignore[operator]
            return None
        return self.nearest(float(score))  # type: ignore[arg-type]

    @property
    def step(self) -> float:
        """The distance of neighbouring scores, as they are stored."""
        return 10**-_DECIMALS if self.line else 1

    def nearest(self, score: float) -> int | float:
        """The score that is stored for a number, a mark on a line to 0.1."""
        stored = round(score, _DECIMALS if self.line else None)
        return int(stored) if float(stored).is_integer() else stored

    def word(self, score: float) -> str:
        """The word that stands at a score, on a line in its part; "" where none does."""
        if not self.line:
            return self.words[round(score) - self.first]
        part = int(score * len(self.words) / _LINE_TOP)
        return self.words[min(part, len(self.words) - 1)]

    @property
    def scores(self) -> str:
        """What a score may be, in words."""
        return f"numbers from 0 to {_LINE_TOP}" if self.line else f"whole numbers {self.numbers}"

    def __str__(self) -> str:
        if self.line:
            return f"a line from 0 to {_LINE_TOP}, in parts {', '.join(self.words)}"
        named = (f"{number} {word}".rstrip() for number, word in self.categories)
        return f"{len(self.words)} categories, {', '.join(named)}"


@dataclass(frozen=True)
class Choice:
    """The answers to a pair: left, right and, where the design has one, a third.

    It stands where `Scale` stands for the tasks that are scored.
    """

    third: Third = ""

    low = LEFT
    high = RIGHT
    line = False
    step = 1

    @property
    def categories(self) -> tuple[tuple[int, str], ...]:
        """Number and name of every answer, from the left."""
        third = ((TIE, self.third),) if self.third else ()
        return ((LEFT, "left"), *third, (RIGHT, "right"))

    def answer(self, score: object) -> int | None:
        """A rater's answer as it is stored; None where it isn't one of the answers."""
        if type(score) is not int or score not in dict(self.categories):
            return None
        return score

    def nearest(self, score: float) -> int:
        """The answer nearest to a number, which is positive for the right picture."""
        return min(dict(self.categories), key=lambda one: abs(one - score))

    def word(self, score: float) -> str:
        """The name of an answer: 'left', 'right', or the third."""
        return dict(self.categories)[int(score)]

    @property
    def scores(self) -> str:
        """What an answer may be, in words."""
        return ", ".join(f"{number} for {name}" for number, name in self.categories)

    def __str__(self) -> str:
        return ", ".join(name for _, name in self.categories)
