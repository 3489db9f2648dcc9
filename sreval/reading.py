"""Files that others wrote: bounded in size before they are read, decoded, and parsed.

What is read here is not believed yet: a typed model or a checksum comes after. Each function raises
OSError, or ValueError in plain words; who asks names the file and the remedy.
"""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

TEXT_BYTES = 64 * 2**20
"""The most that a text of data may have."""
CONFIG_BYTES = 2**20
"""The most that a configuration may have: a TOML parser's time can grow as the square of it."""


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file of ``most`` bytes or fewer.

    Raises OSError, and ValueError for a larger file.
    """
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        # a pipe or a device doesn't say how much it holds
        data = file.read() if _fits(facts, most) else file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it holds more than {most // 2**20:,} MB")
    return data


def read_text(path: Path, most: int = TEXT_BYTES) -> str:
    """The text of a UTF-8 file, a byte order mark left out. Raises as ``read_bytes`` does."""
    data = read_bytes(path, most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise ValueError(f"line {line} holds a byte that isn't UTF-8") from None


def from_json(text: str | bytes) -> Any:
    """What JSON says, NaN and the infinities among its numbers.

    Raises ValueError with line and column, also where it nests too deeply or has half a surrogate.
    """
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError as error:
        raise ValueError(f"it isn't JSON: {error}") from None


def read_json(path: Path, most: int = TEXT_BYTES) -> Any:
    """What a JSON file says; see ``read_text`` and ``from_json`` for the errors."""
    return from_json(read_text(path, most))


def from_toml(text: str) -> dict[str, Any]:
    """What TOML says. Raises ValueError with the line, or where it nests too deeply."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def _fits(facts: os.stat_result, most: int) -> bool:
    return stat.S_ISREG(facts.st_mode) and facts.st_size <= most
