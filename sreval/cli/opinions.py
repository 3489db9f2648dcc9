"""``sreval opinions``: what votes say, and how sure one may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sreval.cli.shared import (
    ADJUSTMENT,
    LEVEL,
    PATH,
    PROTOCOL,
    RATINGS,
    UNIT,
    UPSCALING,
    counting,
    json_option,
    require_folder,
    show_analysis,
    with_votes,
)
from sreval.errors import UNFORESEEN, Exit
from sreval.opinions.units import IntervalName
from sreval.progress import progress_line
from sreval.report.choices import ANALYSES

if TYPE_CHECKING:
    from sreval.api import Votes
    from sreval.report.choices import AnalysisName


@click.command(
    epilog="Example: sreval opinions votes.csv --analyse mos --analyse compare --out opinions"
)
@RATINGS
@click.option(
    "--analyse",
    "analyses",
    multiple=True,
    type=click.Choice(ANALYSES),
    help="May be repeated; default: all that the votes allow, but for stimuli, standards and "
    "ordinal.",
)
@UNIT
@click.option(
    "--interval",
    type=click.Choice(get_args(IntervalName)),
    help="Interval of the MOS; default: that of the unit.",
)
@LEVEL
@ADJUSTMENT
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Level of the tests. With the unit both, intervals of differences go by it, too.",
)
@click.option(
    "--margin",
    type=float,
    help="In points: also test each pair of --analyse compare for equivalence and non-inferiority "
    "within it.",
)
@click.option(
    "--reference", default="hr", show_default=True, help="The hidden reference, a method."
)
@click.option(
    "--dataset",
    multiple=True,
    metavar="NAME",
    help="Analyse the votes on this data set alone; may be repeated.",
)
@with_votes(means=True)
@PROTOCOL
@click.option(
    "--scale", "factor", type=UPSCALING, help="Needed where the results hold several scales."
)
@json_option("Every value in full.")
@click.option("--out", type=PATH, help="A folder for tables (CSV, text) and figures.")
def opinions(
    votes: Votes,
    analyses: tuple[AnalysisName, ...],
    as_json: bool,
    out: Path | None,
    **chosen: Any,
) -> None:
    """Analyse the votes in RATINGS.

    RATINGS is a CSV with the columns rater, image, method, score (and dataset, scene, kind, ...),
    a CSV matrix of one row a stimulus and one column a rater, or JSON [method][rater][image]. A
    vote that was not cast is an empty cell, null in JSON. A CSV of mean opinion scores with the
    columns image, method, mos and metrics (psnr, ssim, ...) is read too, for --analyse metrics.
    """
    require_folder(out)
    with progress_line(0, "ordinal model", "vote", "ordinal" in analyses) as line:
        found = votes.analyse(analyses, progress=counting(line), **chosen)
    show_analysis(found, found.notes[len(votes.notes) :], as_json, out)
    if not found.sections:
        raise SystemExit(Exit.FAILED)
    if (analyses and found.not_done) or UNFORESEEN in found.text:
        raise SystemExit(Exit.PARTIAL)
