"""What commands share in printing: columns, JSON, text or a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from sreval.errors import UsageError
from sreval.files import json_text, write_atomic
from sreval.progress import progress_line as progress_line
from sreval.report.text import columns as columns


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
