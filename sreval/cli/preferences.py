"""``sreval preferences``: which of two pictures raters preferred, and how sure one may be."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sreval import api
from sreval.api.pairs import PairModel, PairUnit, TiesAs
from sreval.cli.shared import (
    ADJUSTMENT,
    LEVEL,
    PATH,
    PROTOCOL,
    UPSCALING,
    Command,
    json_option,
    require_drawing,
    require_folder,
    results_option,
    save_drawing,
    show_analysis,
    votes_options,
)
from sreval.errors import UNFORESEEN, Exit, UsageError
from sreval.report.choices import WIDTHS

if TYPE_CHECKING:
    from sreval.api import Votes
    from sreval.opinions.votes import Scale
    from sreval.report.choices import Width


def _with_votes(command: Command) -> Command:
    """Give a command --votes and its options; read, it is the argument ``votes``."""
    # judgements are narrowed by --without; the votes beside them stay whole
    options = votes_options(file="--votes")[:-1]

    @functools.wraps(command)
    def wrapped(votes: Path | None, rating_scale: Scale | None, **others: Any) -> Any:
        names = ["task", "stimuli", "header", "labels", "missing"]
        form = {name: others.pop(name) for name in names}
        given = [name for name in names if form[name] not in (None, ())]
        given += ["rating-scale"] if rating_scale else []
        if votes is None and given:
            raise UsageError(f"--{given[0]} is of --votes.", "Name a file of votes, too.")
        read = None if votes is None else api.read_votes(votes, scale=rating_scale, **form)
        return command(votes=read, **others)

    decorated: Command = wrapped
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


@click.command(epilog="Example: sreval preferences pairs.csv --unit both --out preferences")
@click.argument("file", type=PATH)
@click.option(
    "--model",
    type=click.Choice(get_args(PairModel)),
    help="Default: bradley-terry, with ties davidson.",
)
@click.option(
    "--unit",
    type=click.Choice(get_args(PairUnit)),
    help="What varies in intervals and tests; information takes judgements as independent, which "
    "they are not. Default: both with at least five raters and images, else rater.",
)
@click.option(
    "--ties",
    type=click.Choice(get_args(TiesAs)),
    help="Count ties half, or leave them out, as other tools do; default: the model explains them.",
)
@click.option("--order", is_flag=True, help="Keep an advantage of the left picture in the model.")
@LEVEL
@ADJUSTMENT
@click.option("--without", multiple=True, metavar="RATER", help="Leave out; may be repeated.")
@click.option("--method", "methods", multiple=True, help="A method to compare; may be repeated.")
@click.option("--dataset", multiple=True, metavar="NAME", help="This alone; may be repeated.")
@click.option("--reference", default="hr", show_default=True, help="The original, a method.")
@click.option(
    "--votes", type=PATH, help="Votes on the same methods: MOS and JOD stand side by side."
)
@_with_votes
@results_option("Benchmark results of the same images; may be repeated.")
@click.option("--metrics", type=PATH, help="A CSV instead of results: image, method, psnr, ...")
@PROTOCOL
@click.option(
    "--scale", "factor", type=UPSCALING, help="Needed where the results hold several scales."
)
@click.option("--higher-is-better", multiple=True, metavar="METRIC", help="May be repeated.")
@click.option("--lower-is-better", multiple=True, metavar="METRIC", help="May be repeated.")
@json_option("Every value in full.")
@click.option("--out", type=PATH, help="A folder for tables (CSV, text, LaTeX) and figures.")
@click.option("--figure", "drawing", type=PATH, help="A .png, .svg or .pdf file for the ranks.")
@click.option(
    "--width",
    type=click.Choice(WIDTHS),
    default="column",
    show_default=True,
    help="Of --figure: 85 or 175 mm.",
)
def preferences(
    file: Path,
    methods: tuple[str, ...],
    votes: Votes | None,
    results: tuple[Path, ...],
    as_json: bool,
    out: Path | None,
    drawing: Path | None,
    width: Width,
    **chosen: Any,
) -> None:
    """Analyse the judgements of pairs in FILE: which of two versions of an image was preferred.

    FILE is a CSV with the columns rater, image, left, right, choice (left, right or tie), or of
    counts: left, right, left_wins, right_wins, ties, or a square matrix of wins.
    """
    require_folder(out)
    require_drawing(drawing)
    found = api.preferences(
        file,
        methods=methods or None,
        votes=votes,
        results=results or None,
        **chosen,
    )
    show_analysis(found, found.notes, as_json, out)
    if drawing is not None:
        save_drawing(found.figure(width=width), drawing)
        click.echo(str(drawing), err=as_json)
    if not found.sections:
        raise SystemExit(Exit.FAILED)
    if found.not_done or UNFORESEEN in found.text:
        raise SystemExit(Exit.PARTIAL)
