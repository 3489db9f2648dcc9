"""Configuration: typed models read from TOML that refuse what they don't know."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from sreval.content import user_path
from sreval.errors import UsageError


class Config(BaseModel):
    """Base of every configuration: frozen; an unknown key is an error, and so is inf or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def load(cls, path: Path) -> Self:
        """What a TOML file says, checked. Raises UsageError as ``checked`` and ``read_toml`` do."""
        return cls.checked(read_toml(path), str(path))

    @classmethod
    def checked(cls, given: Mapping[str, Any], source: str) -> Self:
        """The configuration that ``source`` gives.

        Raises UsageError naming the source, the field, the bad value and the remedy.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _first_fault(source, error) from None


UserPath = Annotated[Path, AfterValidator(user_path)]
"""A path in a configuration, in which a leading ~ stands for the home as on the command line."""


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary. Raises UsageError when it is absent or not TOML."""
    try:
        # utf-8-sig: editors on Windows put a byte order mark before the text
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.", "Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.", "Fix that line.") from None


def _first_fault(source: str, error: ValidationError) -> UsageError:
    """One sentence for the first thing wrong in a configuration.

    An unknown key goes first: misspelt, it is the reason why another one is missing. Where fields
    don't go together, the sentence names them, and the table that holds them is not repeated.
    """
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    field = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return UsageError(f"{source}: unknown key {field!r}.", "Remove it or fix its spelling.")
    if first["type"] == "missing":
        return UsageError(f"{source}: {field!r} is missing.", "Add it.")
    if not field:
        return UsageError(f"{source}: {reason}.", "Fix the value.")
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):
        return UsageError(f"{source}: {field}: {reason}.", "Fix the value.")
    return UsageError(f"{source}: {field} = {first['input']!r}: {reason}.", "Fix the value.")
