"""``sreval compare-studies``: whether two panels' opinions agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.api.panels import PAPER, PanelLike, is_file
from sreval.cli.shared import (
    LEVEL,
    PATH,
    Command,
    json_option,
    require_folder,
    show_analysis,
    votes_options,
)
from sreval.errors import UsageError, as_command, listed


def _with_sides(command: Command) -> Command:
    """Give a command the options of both sides, each named for it."""
    for side in ("b", "a"):
        command = click.option(
            f"--database-{side}",
            metavar="FILE|URL",
            help=f"{side.upper()}: Where a study's votes are.",
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
    sides = [_read(given, letter, chosen) for given, letter in ((a, "a"), (b, "b"))]
    require_folder(out)
    found = api.compare_studies(
        sides[0], sides[1], level=level, margin=margin, names=(a, b), allow_open=allow_open or None
    )
    show_analysis(found, found.notes, as_json, out)


def _read(given: str, side: str, chosen: Mapping[str, Any]) -> PanelLike:
    """A side with the options that are its own. Raises UsageError for one that it can't take."""
    own = {
        name.removesuffix(f"_{side}"): one
        for name, one in chosen.items()
        if name.endswith(f"_{side}") and one is not None and one != ()
    }
    database = own.pop("database", None)
    wrong = [name.replace("_", "-") for name in own]
    if file := given != PAPER and is_file(given):
        wrong = ["database"] if database else []
    elif given == PAPER and database:
        wrong.append("database")
    if wrong:
        kind = "a file of votes" if file else "the paper's table" if given == PAPER else "a study"
        names = [f"--{name}-{side}" for name in wrong]
        raise UsageError(f"{given} is {kind}, which can't take {listed(names)}.", "Leave it out.")
    if file:
        own["scale"] = own.pop("rating_scale", None)
        with as_command(f"-{side}"):
            return api.read_votes(given, whole_methods=True, **own)
    return PAPER if given == PAPER else api.Study(given, database)
