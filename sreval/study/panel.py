"""Panels: how those whom a recruiter sends are known, and what their last page tells the recruiter.

A recruiter (Prolific, MTurk, CloudResearch, SONA, or a list of one's own) opens a study's open link
with a parameter that identifies the participant. Codes and addresses of `[outcomes]` take such
parameters back, and `{code}`, a code that each participant has alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, StrictBool, model_validator

from sreval.config import Config, FieldError
from sreval.errors import listed

CODE = "code"
"""The placeholder of the code that each participant has alone."""
LONGEST = 200
"""Bytes of a parameter's value in UTF-8: a cookie holds all of them until a visitor agrees."""

LISTED = ("outcome", "paid", "reasons", "began", "ended", "minutes", "rated", "of")
"""What the list of payments says of each participant, besides id, parameters and code."""

_OF_THE_SITE = ("begin", "lang", CODE)
_OF_THE_LIST = ("participant", *LISTED)
_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9_-]*)\}")
_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_UNUSABLE = re.compile("[<>{}%]")

Parameter = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=60)]


@dataclass(frozen=True)
class Arrival:
    """Whom a panel sent: the participant's id, and the further parameters that are kept."""

    participant: str
    kept: Mapping[str, str] = field(default_factory=dict)


class Panel(Config):
    """The panel that sends participants by the study's open links.

    `again` says what a second go of one id does, in any browser. `resume`: it leads to the
    participant's session, or to its last page. `refuse`: it is refused, but in the browser in
    which the session began.
    """

    parameter: Parameter
    """The parameter of the link that identifies a participant, such as PROLIFIC_PID."""
    keep: tuple[Parameter, ...] = Field(default=(), max_length=4)
    """Further parameters that are kept beside it, such as STUDY_ID; at most four."""
    again: Literal["resume", "refuse"] = "resume"
    """What a second go does, see above."""
    required: StrictBool = True
    """Whether an open link without the parameter is refused."""

    @model_validator(mode="after")
    def _parameters_differ(self) -> Panel:
        names = [self.parameter, *self.keep]
        places: list[tuple[str | int, ...]] = [("parameter",)]
        places += [("keep", number) for number in range(len(self.keep))]
        for number, (name, place) in enumerate(zip(names, places, strict=True)):
            if name in _OF_THE_SITE or (name in _OF_THE_LIST and name != self.parameter):
                raise FieldError("it is a name of the site's own", *place, remedy="Take another.")
            if name in names[:number]:
                raise FieldError("this parameter is given twice", *place)
        return self

    @property
    def parameters(self) -> tuple[str, ...]:
        """All of them, that which identifies a participant first."""
        return (self.parameter, *self.keep)

    def arrival(self, given: Mapping[str, Sequence[str]]) -> Arrival | None:
        """Whom a link with these parameters brings; None where it doesn't name a participant.

        Blanks around a value are left out. Raises ValueError for a parameter that is given twice
        or has a value that can't be one: longer than LONGEST, or with a sign that can't be
        printed or is one of `< > { } %`, as where a panel didn't fill its own placeholder in.
        """
        found = {}
        for name in self.parameters:
            values = [value.strip() for value in given.get(name, ())]
            if len(values) > 1:
                raise ValueError(f"{name} is given twice")
            for value in filter(None, values):
                long = len(value.encode(errors="replace")) > LONGEST
                if long or not value.isprintable() or _UNUSABLE.search(value) or "\ufffd" in value:
                    raise ValueError(f"{name} has no value that can be used")
                found[name] = value
        participant = found.pop(self.parameter, "")
        return Arrival(participant, found) if participant else None

    def values(self, arrival: Arrival) -> dict[str, str]:
        """What stands for the parameters in codes and addresses."""
        return {self.parameter: arrival.participant, **arrival.kept}


def is_address(text: str) -> bool:
    """Whether an outcome is an http(s) URL and no code; what is filled in never makes it one."""
    return _ORIGIN.match(text) is not None


def placeholders(text: str) -> list[str]:
    """The names in braces of a code or URL, such as code in `https://a.example/?cc={code}`."""
    return _PLACE.findall(text)


def filled(text: str, values: Mapping[str, str]) -> str:
    """A code or URL with its placeholders filled in, nothing where ``values`` lack a name.

    In a URL each value is percent-encoded as a whole: it can't add a part of its own.
    """

    def value(found: re.Match[str]) -> str:
        own = values.get(found[1], "")
        return quote(own, safe="") if is_address(text) else own

    return _PLACE.sub(value, text)


def refuse_placeholders(outcomes: Iterable[tuple[str, str]], panel: Panel | None) -> None:
    """Raise FieldError for an outcome, a pair of key and text, that can't be filled in.

    A placeholder is `{code}` or a parameter of the panel, and stands behind a URL's host. Whoever
    declines has no code.
    """
    known = (*(panel.parameters if panel else ()), CODE)
    for key, text in outcomes:
        names = placeholders(text)
        origin = _ORIGIN.match(text)
        can = tuple(name for name in known if key != "declined" or name != CODE)
        for name in names:
            if name not in known:
                told = listed([f"{{{one}}}" for one in can]) or "none here"
                raise FieldError(
                    f"{{{name}}} isn't a placeholder", "outcomes", key,
                    remedy=f"Placeholders are {told}; parameters belong in [panel].",
                )  # fmt: skip
            if name not in can:
                raise FieldError(
                    "who doesn't agree has no code: nothing is stored of them", "outcomes", key,
                    remedy=f"Leave {{{name}}} out.",
                )  # fmt: skip
            if origin and name in placeholders(origin[0]):
                raise FieldError(
                    f"{{{name}}} stands in the host: it would lead anywhere", "outcomes", key,
                    remedy="Write the host out; placeholders stand behind it.",
                )  # fmt: skip
