"""The order in which numbered names are listed and drawn: r2 before r10."""

from __future__ import annotations

import re
from collections.abc import Hashable

_NUMBER = re.compile(r"(\d+)")


def numbered(name: Hashable) -> tuple[tuple[str | int, ...], str]:
    """A key to sort names by, in which their numbers count as numbers, of whatever length."""
    parts: list[str | int] = []
    for place, part in enumerate(_NUMBER.split(str(name))):
        digits = part.lstrip("0")
        parts += [len(digits), digits] if place % 2 else [part]
    return tuple(parts), str(name)
