"""What a caller gave, in the one form that the other modules take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sreval.methods import Upscaler

    UInt8 = npt.NDArray[np.uint8]
    Method: TypeAlias = str | Path | Callable[..., Any] | Upscaler


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


def article(given: object) -> str:
    """A value in an error: None as itself, anything else by its type."""
    return "None" if given is None else f"of the type {type(given).__name__}"
