"""Chance that is the same on every machine and under every version of every library.

A stream is SHAKE-256 of a label and a counter, so that a plan made years ago can be made again.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

T = TypeVar("T")
_BLOCK = 4096
_WORD = 8


class Stream:
    """An endless row of random numbers that `label` alone decides."""

    def __init__(self, *label: object) -> None:
        self._label = _text(label)
        self._blocks = 0
        self._block = b""
        self._at = 0

    def below(self, limit: int) -> int:
        """An integer from 0 up to but not including `limit`, all equally likely."""
        whole = 2 ** (8 * _WORD)
        while True:
            word = self._word()
            if word < whole - whole % limit:
                return word % limit

    def shuffle(self, values: list[T]) -> list[T]:
        """`values` itself, in an order drawn from all orders (Fisher and Yates)."""
        for last in range(len(values) - 1, 0, -1):
            other = self.below(last + 1)
            values[last], values[other] = values[other], values[last]
        return values

    def _word(self) -> int:
        if self._at == len(self._block):
            block = self._label + self._blocks.to_bytes(8)
            self._block = hashlib.shake_256(block).digest(_BLOCK)
            self._blocks, self._at = self._blocks + 1, 0
        self._at += _WORD
        return int.from_bytes(self._block[self._at - _WORD : self._at])


def _text(label: tuple[object, ...]) -> bytes:
    return "\x1f".join(map(str, label)).encode() + b"\x1e"
