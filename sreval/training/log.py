"""What a run leaves to be looked at: CSV files, pictures, what trackers are told, one line."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from sreval.errors import duration
from sreval.files import write_atomic, write_error
from sreval.images.io import write_png
from sreval.training.trackers import Trackers

LOSSES, VALIDATION = "losses.csv", "validation.csv"


class Log:
    """The CSV files and pictures of one run, from `step` onwards, and its trackers.

    Rows of later steps, left by a run that was killed after its checkpoint, are removed first,
    so that a resumed log reads as an uninterrupted one; with `anew`, all that a run left which
    came to no checkpoint.
    """

    def __init__(
        self, out: Path, step: int, anew: bool = False, trackers: Trackers | None = None
    ) -> None:
        self.out, self.trackers = out, trackers
        for name in (LOSSES, VALIDATION):
            if anew:
                (out / name).unlink(missing_ok=True)
            else:
                _cut(out / name, step)

    def losses(self, step: int, values: Mapping[str, float]) -> None:
        """A row of `losses.csv`: means over the updates since the last row."""
        self._row(LOSSES, step, values)

    def validation(self, step: int, values: Mapping[str, float]) -> None:
        """A row of `validation.csv`."""
        self._row(VALIDATION, step, values)

    def has_validation(self, step: int) -> bool:
        """Whether `validation.csv` has a row of that step."""
        path = self.out / VALIDATION
        if not path.exists():
            return False
        with path.open(newline="", encoding="utf-8") as file:
            return any(row and row[0] == str(step) for row in csv.reader(file))

    def picture(self, step: int, image: npt.NDArray[np.uint8]) -> None:
        """The grid of crops after that many updates, (H, W, 3)."""
        write_png(self.out / "samples" / f"step-{step:08d}.png", image)
        if self.trackers is not None:
            self.trackers.picture(step, image)

    def close(self) -> None:
        """Write out what the trackers still hold."""
        if self.trackers is not None:
            self.trackers.close()

    def _row(self, name: str, step: int, values: Mapping[str, float]) -> None:
        path = self.out / name
        try:
            new = not path.exists()
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(["step", *values])
                writer.writerow([step, *(f"{value:.7g}" for value in values.values())])
        except OSError as error:
            raise write_error(path, error) from error
        if self.trackers is not None:
            self.trackers.scalars(step, {f"{path.stem}/{key}": one for key, one in values.items()})


class ProgressLine:
    """One line that says where a run stands; rewritten on a terminal, else said now and then.

    If its reader has gone, the run goes on in silence.
    """

    def __init__(self, stream: TextIO | None = None, every: float = 60.0) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.every = every
        # the first line comes after a few seconds
        self.shown = time.monotonic() - (0.0 if self.terminal else every - 5)

    def due(self) -> bool:
        """Whether nothing was shown for a while: 5 s on a terminal, else `every` seconds."""
        return time.monotonic() - self.shown >= (5.0 if self.terminal else self.every)

    def show(self, step: int, total: int | None, rate: float, left: float, loss: float) -> None:
        """`rate` is updates per second, `left` the seconds to come, `loss` the generator's."""
        of = "" if total is None else f" of {total:,}"
        text = f"{step:,}{of} updates  {rate:.2f}/s  {duration(left)} left  loss {loss:.5f}"
        if self.terminal or self.due():
            self.shown = time.monotonic()
            self._write(f"\r{text:<79}" if self.terminal else text + "\n")

    def say(self, text: str) -> None:
        """A line of its own."""
        self._write(f"\r{'':<79}\r{text}\n" if self.terminal else text + "\n")

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self.stream.write(text)
            self.stream.flush()


def _cut(path: Path, step: int) -> None:
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= step]
    kept = [row for row in kept if len(row) == len(rows[0])]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([rows[0], *kept] if rows else [])
    write_atomic(path, text.getvalue())
