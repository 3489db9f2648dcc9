"""``sreval study new | check | plan | schema``: a design before anyone sits down."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval.api import Study
from sreval.cli.output import columns, print_json, put
from sreval.errors import Exit

if TYPE_CHECKING:
    from sreval.report.study_text import CheckedStudy

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
STUDY = click.argument("study")


@click.command(epilog="Example: sreval study new faces --from ledig2017")
@click.argument("name")
@click.option("--from", "source", default="quick", show_default=True, help="The study to copy.")
def new(name: str, source: str) -> None:
    """Begin a study of your own as a copy of another's study.toml.

    It goes to SREVAL_HOME/studies where that is set, else to ./studies. Nothing is overwritten.
    The longest comments stand in ledig2017.
    """
    click.echo(str(Study.new(name, source).folder / "study.toml"))


@click.command("check", epilog="Example: sreval study check ledig2017 --results results")
@STUDY
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of `sreval benchmark`, for a study that isn't frozen; may be repeated.",
)
@AS_JSON
def check_command(study: str, results: tuple[Path, ...], as_json: bool) -> None:
    """Check that a design can work, how long a rater will take, and what it can show.

    A study that isn't frozen is checked against the data sets on this machine. A note names
    every comparison in which no outcome could be significant; one that the design plans is an
    error. Exits with 2 when the design can't work, with 3 when only images are missing.
    """
    found = Study(study).check(results)
    if as_json:
        print_json(_as_json(found))
    else:
        click.echo(found.text)
    if found.problems or found.missing:
        raise click.exceptions.Exit(Exit.USAGE if found.problems else Exit.PARTIAL)


@click.command(epilog="Example: sreval study plan quick --rater 0 --json")
@STUDY
@click.option("--rater", type=click.IntRange(0), default=0, show_default=True, help="The order.")
@click.option("--slot", type=click.IntRange(0), help="The stimuli.  [default: as the rater]")
@click.option("--out", type=click.Path(path_type=Path), help="Write a CSV file instead.")
@AS_JSON
def plan(study: str, rater: int, slot: int | None, out: Path | None, as_json: bool) -> None:
    """Print what one rater will be shown, item by item, and why.

    Raters count from 0. `--slot` gives the place of a rater who dropped out to another one.
    """
    items = Study(study).plan(rater, slot=slot)
    if out:
        put(items.to_csv(index=False, lineterminator="\n"), out)
    elif as_json:
        print_json(items.to_dict("records"))
    else:
        shown = items[["position", "sitting", "kind", "dataset", "image", "method", "reason"]]
        click.echo(columns([_HEAD, *shown.to_numpy().tolist()]))


@click.command(epilog="Example: sreval study schema --out studies/study.schema.json")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to a file instead.")
def schema(out: Path | None) -> None:
    """Print the JSON schema of study.toml, for editors that check and complete it."""
    put(json.dumps(Study.schema(), indent=1, ensure_ascii=False) + "\n", out)


_HEAD = ["position", "sitting", "kind", "data set", "image", "method", "why"]


def _as_json(found: CheckedStudy) -> dict[str, Any]:
    figures = {name: value for name, value in asdict(found).items() if name != "text"}
    return {"feasible": found.feasible, **figures, "minutes": round(found.minutes, 1)}
