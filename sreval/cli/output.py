"""What commands share in printing: columns, JSON, progress."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import click
from tqdm import tqdm

from sreval.errors import UsageError, duration
from sreval.files import json_text, write_atomic


def columns(rows: Sequence[Sequence[object]]) -> str:
    """Rows as left-aligned columns, the first row as their heads."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    )


def print_json(content: Any) -> None:
    """Machine-readable output on stdout."""
    click.echo(json_text(content))


def warn(text: str) -> None:
    """A line on stderr, so that what is printed can still be read by a program."""
    click.echo(text, err=True)


class ProgressLog:
    """Progress for a pipe or a log: a new line on stderr at most every ``PAUSE`` seconds.

    The remaining time goes by the rate since the line before: what an earlier run left is taken
    over at once, and says nothing of the images that are still to be made.
    """

    PAUSE = 30.0

    def __init__(
        self, total: int, what: str, unit: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``unit`` names one of ``total``, or is B for bytes; ``clock`` gives seconds."""
        self.total: float = total
        self.n: float = 0
        self._what, self._unit, self._clock = what, unit, clock
        self._last: tuple[float, float] = (clock(), 0)

    def update(self, n: float = 1) -> None:
        """``n`` more are done."""
        self.n += n
        then, before = self._last
        now = self._clock()
        if now - then < self.PAUSE or not before < self.n < self.total:
            return
        self._last = (now, self.n)
        left = duration((now - then) * (self.total - self.n) / (self.n - before))
        if self._unit == "B":
            done = f"{self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB"
        else:
            done = f"{self.n:.0f} of {self.total:.0f} {self._unit}s"
        click.echo(f"{self._what}: {done}, about {left} left", err=True)

    def write(self, text: str) -> None:
        """Print ``text`` on stdout."""
        click.echo(text)

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def progress_line(total: int, what: str, unit: str) -> tqdm[Any] | ProgressLog:
    """Progress and remaining time on stderr: on a terminal one line that renews, else a log."""
    if not sys.stderr.isatty():
        return ProgressLog(total, what, unit)
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        leave=False,
        file=sys.stderr,
        bar_format="{desc}  {n_fmt}/{total_fmt}  {rate_fmt}  {remaining} left",
    )


def use_colour() -> bool:
    """Whether stdout is a terminal that may be coloured (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def put(text: str, out: Path | None) -> None:
    """Print text, or write it to a file and print the file's path."""
    if out is None:
        click.echo(text, nl=False)
        return
    if out.is_dir():
        raise UsageError(f"{out} is a folder.", "Name a file.")
    write_atomic(out, text)
    click.echo(str(out))
