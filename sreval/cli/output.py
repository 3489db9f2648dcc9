"""What commands share in printing: columns, JSON, text or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sreval.errors import UsageError
from sreval.files import json_text, write_atomic
from sreval.progress import progress_line as progress_line


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
