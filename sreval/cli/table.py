"""``sreval table`` and ``sreval compare-protocols``: results as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval.api import read_results
from sreval.cli.shared import (
    FOLDERS,
    LEVEL,
    PATH,
    PROTOCOL,
    UPSCALING,
    for_terminal,
    json_option,
    print_json,
    put,
    warn,
    with_scores,
    with_votes,
)
from sreval.files import write_atomic
from sreval.opinions.units import CLAIMS
from sreval.report.choices import FORMATS, INTERVALS, TABLE_WIDTHS

if TYPE_CHECKING:
    from sreval.api import Results, Votes


@click.command(epilog="Example: sreval table results --baseline bicubic --format latex --out t.tex")
@with_scores
@click.option("--format", "written", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "written", flag_value="json", help="The same as --format json.")
@click.option(
    "--layout",
    type=click.Choice(["methods", "losses"]),
    default="methods",
    show_default=True,
    help="All methods, or the loss variants of the paper's table 1 alone.",
)
@PROTOCOL
@click.option("--scale", type=UPSCALING, multiple=True, help="May be repeated; default: all.")
@click.option(
    "--method", "methods", multiple=True, help="In the order given; default: all, in the paper's."
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="The same; also a sequence of frames, as --sequences names it.",
)
@click.option(
    "--metric", "metrics", multiple=True, help="The same; default: all that were computed."
)
@click.option(
    "--sequences", is_flag=True, help="A row for each sequence of frames before its data set."
)
@click.option("--transposed", is_flag=True, help="A row a method, the metrics side by side.")
@click.option(
    "--intervals",
    type=click.Choice(INTERVALS),
    default="below",
    show_default=True,
    help="Below the means, beside them as half their width, in a table apart, or none.",
)
@click.option("--baseline", help="Test every method against this one.")
@click.option("--pairs", is_flag=True, help="Test all pairs; a shared letter: not shown to differ.")
@click.option("--tests", type=PATH, help="Write every test to this CSV.")
@click.option("--paper", is_flag=True, help="Add the paper's own figures.")
@LEVEL
@click.option("--ratings", type=PATH, help="Votes on the same images, for rows of MOS.")
@with_votes(means=False)
@click.option(
    "--study",
    "studies",
    multiple=True,
    help="A closed study on the same images, for rows of MOS; may be repeated.",
)
@click.option("--database", help="Of --study; default: SREVAL_DATABASE, else the study's own.")
@click.option("--allow-open", is_flag=True, help="Also with a --study that is not closed.")
@click.option(
    "--unit",
    type=click.Choice(list(CLAIMS)),
    help="What varies in intervals and tests of MOS: a claim on raters and images, on raters, or "
    "on images in general; frames of one sequence count as one image. Default: what the study "
    "plans, else both on a data set with at least five raters and five images, else rater.",
)
@click.option("--caption", default="", help="In place of the title.")
@click.option(
    "--label",
    default="",
    help="What a LaTeX paper refers to the table by; default: tab:scores.",
)
@click.option(
    "--width",
    type=click.Choice(TABLE_WIDTHS),
    default="auto",
    show_default=True,
    help="In LaTeX: a column of 82 mm, or table* of 174 mm. What fits neither is split.",
)
@click.option("--out", type=PATH, help="Write to this file.")
def table(
    results: Results,
    written: str,
    metrics: tuple[str, ...],
    tests: Path | None,
    votes: Votes | None,
    out: Path | None,
    **chosen: Any,
) -> None:
    """Arrange the results in FOLDERS as the paper's tables.

    Means with Student's t intervals over images, of frames over their sequences; best bold, second
    underlined; paired two-sided Wilcoxon signed-rank tests on request, Holm-adjusted within one
    data set and metric. With --ratings or --study, rows of mean opinion scores whose intervals and
    tests are over --unit.
    """
    from sreval.report.collect import also_computed

    made = results.table(metrics=metrics or None, votes=votes, **chosen)
    for note in results.notes if out is not None or written == "csv" else ():
        warn(note)
    if tests is not None:
        write_atomic(tests, made.tests_csv())
    if chosen["protocol"] is None and (others := also_computed(results.frame, made.protocol)):
        warn(others)
    put(made.render(written, **({} if out else for_terminal())), out)


@click.command(epilog="Example: sreval compare-protocols results --dataset Set5 --method bicubic")
@FOLDERS
@click.option("--dataset", "datasets", multiple=True, help="Default: all in the results.")
@click.option("--method", "methods", multiple=True, help="Default: all in the results.")
@json_option("Machine-readable, image by image.")
def compare_protocols(folders: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Score the images in FOLDERS under every convention that public tools use.

    Nothing here is a result: it shows which tool gives which number on the same images.
    """
    results = read_results(folders)
    found = results.compare_protocols(**chosen)
    for note in (*results.notes, *found.notes):
        warn(note)
    if as_json:
        print_json(found.frame.to_dict("records"))
    else:
        click.echo(repr(found))
