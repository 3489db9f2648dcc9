"""What a caller gave, in the one form that the other modules take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def as_list(given: Any) -> list[Any]:
    """What may be named alone or in a list."""
    alone = isinstance(given, str) or not isinstance(given, Iterable)
    return [given] if alone else list(given)


def names_of(given: object) -> tuple[str, ...]:
    """Each as text; what stands alone is one name, a text not its letters."""
    return tuple(map(str, as_list(given)))


def is_frame(given: object) -> bool:
    """Whether it is a DataFrame; whoever has one has loaded pandas."""
    import sys

    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def kind_of(given: object) -> str:
    """A value in an error: None as itself, anything else by its type."""
    return "None" if given is None else f"of the type {type(given).__name__}"
