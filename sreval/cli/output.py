"""What commands share in printing: columns, JSON, the one progress line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval.errors import UsageError
from sreval.files import json_text, write_atomic
from sreval.report.columns import columns as columns

if TYPE_CHECKING:
    from tqdm import tqdm


def print_json(content: Any) -> None:
    """Machine-readable output on stdout."""
    click.echo(json_text(content))


def warn(text: str) -> None:
    """A line on stderr, so that what is printed can still be read by a program."""
    click.echo(text, err=True)


def progress_line(total: int, what: str, unit: str) -> tqdm[Any]:
    """One line on stderr with rate and remaining time; silent where stderr is no terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        disable=None,
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
