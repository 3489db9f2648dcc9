"""``sreval table``: results as the paper's tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sreval.cli.output import put, use_colour
from sreval.cli.ratings import WITHOUT, Form, form_options, load
from sreval.report.choices import FORMATS

if TYPE_CHECKING:
    from sreval.opinions.units import Unit


@click.command(epilog="Example: sreval table results --baseline bicubic --format latex --out t.tex")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "written", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "written", flag_value="json", help="The same as --format json.")
@click.option(
    "--layout",
    type=click.Choice(["methods", "losses"]),
    default="methods",
    show_default=True,
    help="All methods, or the loss variants of the paper's table 1 alone.",
)
@click.option("--protocol", help="Default: one that all folders have, ledig2017 before others.")
@click.option("--scale", type=int, help="Needed where the results hold several.")
@click.option("--metric", "metrics", multiple=True, help="Default: all that were computed.")
@click.option("--baseline", help="Test every method against this one.")
@click.option("--pairs", is_flag=True, help="Test all pairs; a shared letter: not shown to differ.")
@click.option("--tests", type=click.Path(path_type=Path), help="Write every test to this CSV.")
@click.option("--paper", "with_paper", is_flag=True, help="Add the paper's own figures.")
@click.option(
    "--level",
    type=click.FloatRange(0.5, 0.999),
    default=0.95,
    show_default=True,
    help="Level of the intervals.",
)
@click.option(
    "--ratings", type=click.Path(path_type=Path), help="Votes on the same images, for rows of MOS."
)
@form_options
@WITHOUT
@click.option(
    "--study",
    "names",
    multiple=True,
    help="A closed study on the same images, for rows of MOS; may be repeated.",
)
@click.option("--database", help="Of --study; default: SREVAL_DATABASE, else the study's own.")
@click.option("--allow-open", is_flag=True, help="Also with a --study that is not closed.")
@click.option(
    "--unit",
    type=click.Choice(["rater", "image", "pooled"]),
    help="What varies in intervals and tests of MOS: a claim on raters, or on images, in "
    "general. Default: what the study plans; rater for --ratings.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to this file.")
def table(
    folders: tuple[Path, ...],
    written: str,
    layout: Literal["methods", "losses"],
    protocol: str | None,
    scale: int | None,
    metrics: tuple[str, ...],
    baseline: str | None,
    pairs: bool,
    tests: Path | None,
    with_paper: bool,
    level: float,
    ratings: Path | None,
    form: Form,
    without: tuple[str, ...],
    names: tuple[str, ...],
    database: str | None,
    allow_open: bool,
    unit: Unit | None,
    out: Path | None,
) -> None:
    """Arrange the results in FOLDERS as the paper's tables.

    Means with Student's t intervals over images, best bold, second underlined; paired two-sided
    Wilcoxon signed-rank tests on request, Holm-adjusted within one data set and metric. With
    --ratings or --study, rows of mean opinion scores whose intervals and tests are over --unit.
    """
    if pairs and baseline:
        raise click.UsageError("--pairs and --baseline can't be had together.")
    if names and ratings is not None:
        raise click.UsageError("--ratings and --study can't be had together.")
    from sreval import api
    from sreval.files import write_atomic

    votes = None if ratings is None else load(ratings, form, without)
    made = api.read_results(folders).table(
        baseline=baseline,
        pairs=pairs,
        protocol=protocol,
        scale=scale,
        metrics=metrics or None,
        layout=layout,
        paper=with_paper,
        level=level,
        votes=votes,
        studies=names,
        unit=unit,
        database=database,
        allow_open=allow_open,
    )
    if tests is not None:
        write_atomic(tests, made.tests_csv())
    put(made.render(written, colour=out is None and use_colour()), out)
