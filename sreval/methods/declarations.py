"""What a user declares of a method: its scale, its colour, its range, its sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sreval.config import Config, FieldError
from sreval.content import user_path
from sreval.errors import UsageError, listed

_RANGE = re.compile(r"\s*(-?[\d.]+)\s*\.\.\s*(-?[\d.]+)\s*")
_SIDES = re.compile(r"\s*(\d+)(?:\s*x\s*(\d+))?\s*", re.ASCII)


def _range(given: object) -> object:
    """`0..255` as its two numbers."""
    found = _RANGE.fullmatch(given) if isinstance(given, str) else None
    if isinstance(given, str) and not found:
        raise ValueError("it must be written as in 0..255 or -1..1")
    return found.groups() if found else given


def written_ends(ends: Sequence[float], mark: str = "..") -> str:
    """Two numbers as a user declares them: `0..255`."""
    return mark.join(f"{end:g}" for end in ends)


def _sides(given: object) -> object:
    """`48` or `48x64` as height and width."""
    found = _SIDES.fullmatch(str(given)) if isinstance(given, str | int) else None
    if isinstance(given, str | int) and not found:
        raise ValueError("it must be written as in 48, or 48x64 for height and width")
    return (found[1], found[2] or found[1]) if found else given


Ends = Annotated[tuple[float, float], BeforeValidator(_range)]
Side = Annotated[int, Field(ge=1, le=4096)]
Sides = Annotated[tuple[Side, Side], BeforeValidator(_sides)]


class Declarations(Config):
    """What a method takes and returns, as far as its user says so."""

    scale: int | None = Field(default=None, ge=2, le=16)
    """How many times as large its images are; absent: found out by a trial."""
    colour: Literal["rgb", "bgr", "luma", "grey"] | None = None
    """Three channels in that order; MATLAB's luma, a colour image keeping its chroma by bicubic; or
    one channel, each of a colour image's by itself."""
    range: Ends = (0.0, 1.0)
    """The values of black and white, in its input and its output."""
    output_range: Ends | None = None
    """Those of its output, where they are others."""
    multiple: int = Field(default=1, ge=1, le=1024)
    """Height and width are padded to multiples of it."""
    least: int = Field(default=1, ge=1, le=4096)
    """And to this many pixels at least."""
    fixed: Sides | None = None
    """The only height and width that it takes, in LR pixels."""
    overlap: int | None = Field(default=None, ge=0, le=1024)
    """Of tiles, in LR pixels."""

    @model_validator(mode="after")
    def _ends_rise(self) -> Declarations:
        for field in ("range", "output_range"):
            ends = getattr(self, field)
            if ends and ends[0] >= ends[1]:
                raise FieldError("its second end must be above its first", field)
        return self

    @property
    def told(self) -> dict[str, Any]:
        """What was declared, as JSON."""
        return self.model_dump(mode="json", exclude_unset=True)

    @property
    def written(self) -> dict[str, str]:
        """What was declared, each as ``make_upscaler`` takes it: ``range=0..255``."""
        written = {}
        for key, value in self.told.items():
            shown = value
            if isinstance(value, list):
                shown = written_ends(value, "x" if key == "fixed" else "..")
            written[key] = f"{key}={shown}"
        return written

    @classmethod
    def of(cls, given: dict[str, Any], source: str, takes: Sequence[str]) -> Declarations:
        """The declarations that ``source`` gives, of those that its kind of method ``takes``.

        Raises UsageError for one that is unknown to it, and for a bad value.
        """
        for key in given:
            if key not in takes:
                raise UsageError(f"{source} takes no {key!r}.", f"It takes {listed(takes, 9)}.")
        return cls.checked(given, source)

    def beside(self, stated: dict[str, str], file: Path) -> Declarations:
        """These, and what a file states of its network.

        Raises UsageError where the two contradict each other; how far tiles overlap is the user's
        to say.
        """
        found = Declarations.checked(dict(stated), f"{file}: metadata")
        for key in sorted(self.written.keys() & found.written.keys() - {"overlap"}):
            if self.written[key] != found.written[key]:
                raise UsageError(
                    f"{file} says that it is of {found.written[key]}, not of {self.written[key]}.",
                    "Leave the declaration out.",
                )
        return Declarations.model_validate({**found.told, **self.told})


NETWORK = tuple(Declarations.model_fields)
"""What may be declared of a network."""
FUNCTION = ("scale", "colour")
"""What may be declared of a function, whose range is 0..255."""


@dataclass(frozen=True)
class Declared:
    """A function or a torch.nn.Module with what was declared of it.

    Raises UsageError for an unknown declaration and a bad value.
    """

    method: Callable[..., Any]
    given: dict[str, Any]

    def __post_init__(self) -> None:
        Declarations.of(self.given, self.__name__, NETWORK)

    @property
    def __name__(self) -> str:
        """What the method is called."""
        return str(getattr(self.method, "__name__", type(self.method).__name__))


def split_file(text: str, kind: str) -> tuple[Path, dict[str, str]]:
    """``FILE,key=value,...`` as the file and what is declared of it.

    A path may contain commas: the longest reading that is a file counts.
    Raises UsageError for a part that is no declaration, and for one that is given twice.
    """
    parts = text.split(",")
    lengths = range(len(parts), 0, -1)
    length = next((n for n in lengths if user_path(",".join(parts[:n])).is_file()), 1)
    return user_path(",".join(parts[:length])), _pairs(parts[length:], f"{kind}:{text}")


def split_files(text: str) -> tuple[str, dict[str, Path], dict[str, str]]:
    """``module:name,weights=FILE,scale=2,...``: the name, its files by key, what is declared of it.

    Paths are absolute. A path may contain a comma: the longest reading that is a file counts.
    Raises UsageError for a part that neither names a file nor declares anything, and for a key that
    is given twice.
    """
    name, *parts = text.split(",")
    files: dict[str, Path] = {}
    declared: dict[str, str] = {}
    while parts:
        key, equals, value = parts[0].partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(
                f"Can't read {parts[0]!r} in python:{text}.",
                "Name a file that it reads as in python:module:name,weights=FILE, or declare one "
                f"of {listed(NETWORK, 9)} as in scale=2.",
            )
        if key in files or key in declared:
            raise UsageError(f"python:{text} names {key!r} twice.", "Give each file its own key.")
        if key in NETWORK:
            declared[key], parts = value, parts[1:]
            continue
        for count in range(len(parts), 0, -1):
            path = Path(",".join(parts[:count])[len(key) + 1 :]).expanduser()
            if path.is_file():
                files[key], parts = path.resolve(), parts[count:]
                break
        else:
            raise UsageError(
                f"python:{text} names a file that isn't there: {value!r}.",
                f"Check the path; name files, not folders. To declare: {listed(NETWORK, 9)}.",
            )
    return name, files, declared


def _pairs(parts: Sequence[str], source: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(
                f"Can't read {part!r} in {source}.",
                f"Declare as in range=0..255; known: {listed(NETWORK, 9)}.",
            )
        if key in given:
            raise UsageError(f"{source} declares {key!r} twice.", "Leave one out.")
        given[key] = value
    return given
