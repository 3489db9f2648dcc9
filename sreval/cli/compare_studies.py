"""``sreval compare-studies``: whether two panels' opinions agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.api.panels import read_panel
from sreval.cli.shared import (
    LEVEL,
    PATH,
    Command,
    json_option,
    print_json,
    votes_options,
    warn,
)


def _with_sides(command: Command) -> Command:
    """Give a command the options of both sides, each named for it."""
    for side in ("b", "a"):
        command = click.option(
            f"--database-{side}",
            metavar="FILE|URL",
            help=f"{side.upper()}: where a study's votes are.",
        )(command)
        for option in reversed(votes_options(side)):
            command = option(command)
    return command


@click.command(
    epilog="Example: sreval compare-studies ledig2017 paper --margin 0.3 --out agreement"
)
@click.argument("a")
@click.argument("b")
@LEVEL
@click.option(
    "--margin",
    type=click.FloatRange(min=0, min_open=True),
    help="In points of B: ask of every method whether the two differ by less.",
)
@click.option("--allow-open", is_flag=True, help="Also of studies that are not closed.")
@_with_sides
@json_option("Every value in full.")
@click.option("--out", type=PATH, help="A folder for tables (CSV, text) and the figure.")
def compare_studies(
    a: str,
    b: str,
    level: float,
    margin: float | None,
    allow_open: bool,
    as_json: bool,
    out: Path | None,
    **chosen: Any,
) -> None:
    """Compare the opinions of two panels, A and B.

    Each is a study (its name or folder), a file of votes or of mean opinion scores by method (the
    columns method, mos, perhaps dataset, image, and low and high, se, or sd and n), or the word
    paper for the table of the SRGAN paper. It says whether the scores are the same, or the same up
    to a line, which methods and stimuli depart from it, and which pairs of methods are in the same
    order.
    """
    sides = []
    for given, letter in ((a, "a"), (b, "b")):
        own = {key[:-2]: chosen[key] for key in chosen if key.endswith(f"_{letter}")}
        sides.append(read_panel(given, scale=own.pop("rating_scale"), **own))
    found = api.compare_studies(
        sides[0], sides[1], level=level, margin=margin, names=(a, b), allow_open=allow_open or None
    )
    for note in found.notes:
        warn(note)
    if as_json:
        print_json(found.records())
    else:
        click.echo(found.text, nl=False)
    if out is not None:
        found.write(out)
        click.echo(str(out), err=as_json)
