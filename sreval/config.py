"""Configuration: typed models that refuse what they don't know, and say so in plain words.

A fault that pydantic finds is told by its kind (``_WORDS``), never in pydantic's own words.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, cast, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from sreval.content import user_path
from sreval.errors import UsageError, shown, suggestion
from sreval.reading import CONFIG_BYTES, from_toml, read_text

CLOSED = ConfigDict(extra="forbid")
"""As ``__pydantic_config__`` of a dataclass: ``validated`` then refuses unknown fields."""

Place = tuple[str | int, ...]
Kind = TypeVar("Kind")


_FIX = "Fix the value."
_REMEDIES = {"literal_error": "Write one of these."}
"""What to do about a fault, by pydantic's name of its type."""


class FieldError(ValueError):
    """A fault in one field of a model; ``place`` leads from the model to the field."""

    def __init__(self, reason: str, *place: str | int, remedy: str = _FIX) -> None:
        super().__init__(reason)
        self.place: Place = place
        self.remedy = remedy


class Config(BaseModel):
    """Base of every configuration: frozen; an unknown key is an error, and so is inf or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What a TOML file says, checked. Raises UsageError as ``checked`` and ``read_toml`` do."""
        text = config_text(path)
        return cls.checked(parse_toml(text, path), str(path), text)

    @classmethod
    def checked(
        cls,
        given: Mapping[str, Any],
        source: str,
        text: str = "",
        tables: Sequence[tuple[str, ...]] = ((),),
        changed: Mapping[str, str] = {},
    ) -> Self:
        """The configuration that ``source`` gives.

        ``text`` is the TOML that it stands in, below one of ``tables``, the first that has it.
        ``changed`` are keys, dotted, that were given elsewhere, and what the user wrote there.
        Raises UsageError naming the source, the line, the field, the bad value and the remedy.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _refusal(cls, error, source, text, tables, changed) from None


def _not_empty(given: Any) -> Any:
    if given == "":
        raise ValueError("it is empty")  # Path("") would be the current folder
    return given


UserPath = Annotated[Path, BeforeValidator(_not_empty), AfterValidator(user_path)]
"""A path in a configuration, in which a leading ~ stands for the home as on the command line."""


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary. Raises UsageError when it is absent or not TOML."""
    return parse_toml(config_text(path), path)


def config_text(path: Path) -> str:
    """The text of a configuration. Raises UsageError when it is absent or can't be one."""
    try:
        return read_text(path, CONFIG_BYTES)
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}.", "Name a text file in UTF-8.") from None


def parse_toml(text: str, path: Path) -> dict[str, Any]:
    """``text``, read from ``path``, as a dictionary. Raises UsageError when it isn't TOML."""
    try:
        return from_toml(text)
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}.", "Fix that line.") from None


def validated(kind: type[Kind], content: object) -> Kind:
    """``content``, read from a file, as the typed model or dataclass that it must be.

    Raises ValueError naming the first field that doesn't fit, its value and why.
    """
    try:
        return cast("Kind", _adapter(cast("Hashable", kind)).validate_python(content))
    except ValidationError as error:
        first = _first(error)
        field = ".".join(map(str, first["loc"]))
        value = "" if first["type"] == "missing" else f" = {shown(first['input'])}"
        raise ValueError(f"{field}{value}: {_reason(first)}" if field else _reason(first)) from None


@functools.cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", kind))


_TEXT, _WHOLE, _NUMBER = "it must be a text", "it must be a whole number", "it must be a number"
_SWITCH, _LIST, _TABLE = "it must be true or false", "it must be a list", "it must be a table"
_DAY = "it must be a day, as in 2026-12-31"

_WORDS = {
    "missing": "it is missing",
    "extra_forbidden": "it is unknown",
    "unexpected_keyword_argument": "it is unknown",
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "string_too_short": "it is empty",
    "string_too_long": "it must have {max_length} letters or fewer",
    "string_pattern_mismatch": "it doesn't have the form {pattern}",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "it must be a finite number",
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "path_type": "it must be a path",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dataclass_type": _TABLE,
    "union_tag_not_found": "it needs {discriminator}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
    "literal_error": "it must be {expected}",
    "greater_than": "it must be more than {gt:.15g}",
    "greater_than_equal": "it must be {ge:.15g} or more",
    "less_than": "it must be less than {lt:.15g}",
    "less_than_equal": "it must be {le:.15g} or less",
    "too_short": "it must hold {min_length} or more, and {actual_length} are given",
    "too_long": "it takes {max_length} values, and {actual_length} are given",
    "none_required": "it must be left out",
    "json_type": _TEXT,
    "json_invalid": "it isn't JSON",
}
"""What is said of a fault, by pydantic's name of its type."""

FORMS = {
    r"^[a-z0-9][a-z0-9._-]*$": "it may hold a-z, 0-9, '.', '_' and '-', and begins with none of "
    "the signs",
    r"^[a-z][a-z0-9_]*$": "it may hold a-z, 0-9 and '_', and begins with a letter",
    r"^[A-Za-z][A-Za-z0-9_-]*$": "it may hold A-Z, a-z, 0-9, '_' and '-', and begins with a letter",
    r"^[a-z]{2}$": "it must be a language's two letters",
    r"^python:[\w.-]+:[\w.<>]+$": "it must be written as in python:package.module:name",
    r"^([A-Za-z][A-Za-z0-9_.-]*)?$": "it may hold A-Z, a-z, 0-9, '_', '.' and '-', and begins with "
    "a letter",
    r"^[\w.-]+$": "it may hold letters, digits, '.', '_' and '-'",
}
"""The patterns of our models in words."""


def _reason(error: ErrorDetails) -> str:
    """Why a value is refused, in a sentence without its full stop."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        own = context["error"]
        return (own.message if isinstance(own, UsageError) else str(own)).rstrip(".")
    if kind == "string_pattern_mismatch" and context["pattern"] in FORMS:
        return FORMS[context["pattern"]]
    return _WORDS.get(kind, "it can't be that").format(**context)


def _first(error: ValidationError) -> ErrorDetails:
    """An unknown key goes first: misspelt, it is the reason why another one is missing.

    Values that a list of fixed length lacks are told as one fault of the list, and a FieldError as
    one of the field that it names.
    """
    errors = error.errors(include_url=False)
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    loc, own = first["loc"], first.get("ctx", {}).get("error")
    if isinstance(own, FieldError):
        return {**first, "loc": (*loc, *own.place), "input": _at(first["input"], own.place)}
    if first["type"] != "missing" or not loc or isinstance(loc[-1], str):
        return first
    given = len(first["input"])
    wanted = given + sum(e["type"] == "missing" and e["loc"][:-1] == loc[:-1] for e in errors)
    context = {"max_length": wanted, "actual_length": given}
    return {**first, "type": "too_long", "loc": loc[:-1], "ctx": context}


def _refusal(
    model: type[BaseModel],
    error: ValidationError,
    source: str,
    text: str,
    tables: Sequence[tuple[str, ...]],
    changed: Mapping[str, str],
) -> UsageError:
    """One sentence for the first thing wrong in a configuration.

    Where fields don't go together, the sentence names them, and the table that holds them is not
    repeated.
    """
    first = _first(error)
    loc, known = _resolved(model, first["loc"])
    field = ".".join(map(str, loc))
    for key, written in changed.items():
        within = f"{field}.".startswith(f"{key}.")
        if within or (field and key.startswith(f"{field}.")) or key in _reason(first):
            source, text = written if within else f"{source} with {written}", ""
            break
    missing = first["type"] == "missing"
    sought = loc[:-1] if missing else loc
    value = _ANY if missing else first["input"]
    lines = (line_of(text, (*table, *sought), value) for table in tables if sought)
    line = next((number for number in lines if number), None)
    where = f"{source}, line {line}" if line else source
    if first["type"] == "extra_forbidden":
        hint = suggestion(str(loc[-1]), known)
        return UsageError(f"{where}: unknown key {shown(field)}.", f"{hint} Fix it or remove it.")
    if missing:
        return UsageError(f"{where}: {field!r} is missing.", "Add it.")
    own = first.get("ctx", {}).get("error")
    remedy = own.remedy if isinstance(own, FieldError) else _REMEDIES.get(first["type"], _FIX)
    if not field:
        return UsageError(f"{where}: {_reason(first)}.", remedy)
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):
        return UsageError(f"{where}: {field}: {_reason(first)}.", remedy)
    given = first["input"]
    if field in changed:
        return UsageError(f"{where}: {_reason(first)}.", remedy)
    if isinstance(given, Sequence) and any(isinstance(one, Mapping) for one in given):
        return UsageError(f"{where}: {field}: {_reason(first)}.", remedy)
    return UsageError(f"{where}: {field} = {_as_typed(given)}: {_reason(first)}.", remedy)


def _as_typed(given: object) -> str:
    """A value as messages quote it, a switch as it stands in TOML."""
    if isinstance(given, bool):
        return str(given).lower()
    return shown(str(given) if isinstance(given, Path) else given)


def _resolved(model: type[BaseModel], loc: Place) -> tuple[Place, list[str]]:
    """A fault's place in the file, and the keys of the table that it is in.

    pydantic puts the name of a union's member into the place, which stands in no file. Below a
    field that is a dictionary stands a key of the file's own.
    """
    models, place, named = [model], list[str | int](), False
    for part in loc[:-1]:
        inside = [m.model_fields[part] for m in models if part in m.model_fields and not named]
        if inside or named or isinstance(part, int):
            place.append(part)
        named = any(get_origin(field.annotation) is dict for field in inside)
        if inside:
            models = [found for field in inside for found in _models(field.annotation)] or models
    return (*place, *loc[-1:]), [name for m in models for name in m.model_fields]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


_ANY = object()


def line_of(text: str, place: Place, value: object = _ANY) -> int | None:
    """The line of TOML, from 1, on which what stands at ``place`` begins.

    That is the first line that names its key and after which, with the rest of its statement, the
    file holds it: tomllib keeps no positions. None where the file doesn't hold it, or another
    ``value``.
    """
    held = _at(_parsed(text), place)
    if held is _ANY or (value is not _ANY and held != value and not isinstance(held, dict | list)):
        return None
    name = next((part for part in reversed(place) if isinstance(part, str)), None)
    lines = [f"{line}\n" for line in text.split("\n")]
    for number, line in enumerate(lines, 1):
        if name is None or name not in line:
            continue
        for end in range(number, len(lines) + 1):
            so_far = _parsed("".join(lines[:end]))
            if so_far is None:
                continue
            if _at(so_far, place) is not _ANY:
                return number
            break
    return None


def _parsed(text: str) -> dict[str, Any] | None:
    with suppress(ValueError):
        return from_toml(text)
    return None


def _at(content: Any, place: Place) -> Any:
    """What ``content`` holds there, _ANY where it holds nothing."""
    for part in place:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return _ANY
    return content
