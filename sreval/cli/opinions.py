"""``sreval opinions``: what votes say, and how sure one may be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sreval.cli.output import print_json, warn
from sreval.cli.ratings import (
    ADJUSTMENT,
    RATINGS,
    UNIT,
    WITHOUT,
    Form,
    better_options,
    form_options,
    load,
)
from sreval.errors import UNFORESEEN, Exit
from sreval.opinions.units import INTERVALS
from sreval.report.choices import ANALYSES

if TYPE_CHECKING:
    from sreval.api.votes import Adjustment
    from sreval.opinions.units import IntervalName, Unit
    from sreval.report.choices import AnalysisName


@click.command(
    epilog="Example: sreval opinions votes.csv --analyse mos --analyse compare --out opinions"
)
@RATINGS
@click.option(
    "--analyse",
    "names",
    multiple=True,
    type=click.Choice(ANALYSES),
    help="May be repeated; default: all but stimuli that the votes allow.",
)
@UNIT
@click.option(
    "--interval",
    type=click.Choice(INTERVALS),
    help="Interval of the MOS; default: that of the unit.",
)
@click.option("--level", type=click.FloatRange(0.5, 0.999), default=0.95, show_default=True)
@ADJUSTMENT
@click.option(
    "--reference", default="hr", show_default=True, help="The hidden reference, a method."
)
@form_options
@WITHOUT
@better_options
@click.option(
    "--results",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Benchmark results of the same images, for metrics against opinion.",
)
@click.option("--protocol", help="Of the results; default: ledig2017 where it was run.")
@click.option("--scale", "factor", type=int, help="Needed where the results hold several scales.")
@click.option("--json", "as_json", is_flag=True, help="Every figure in full.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder for tables (CSV, text) and figures."
)
def opinions(
    ratings: Path,
    names: tuple[AnalysisName, ...],
    unit: Unit,
    interval: IntervalName | None,
    level: float,
    adjustment: Adjustment,
    reference: str,
    form: Form,
    without: tuple[str, ...],
    higher: tuple[str, ...],
    lower: tuple[str, ...],
    folders: tuple[Path, ...],
    protocol: str | None,
    factor: int | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Analyse the votes in RATINGS.

    RATINGS is a CSV with the columns rater, image, method, score (and dataset, scene, kind, ...),
    a CSV matrix of one row a stimulus and one column a rater, or JSON [method][rater][image]. A
    vote that was not cast is an empty cell, null in JSON. A CSV of mean opinion scores with the
    columns image, method, mos and metrics (psnr, ssim, ...) is read too, for --analyse metrics.
    """
    votes = load(ratings, form, without, higher, lower)
    found = votes.analyse(
        names,
        unit=unit,
        interval=interval,
        level=level,
        adjustment=adjustment,
        reference=reference,
        results=folders,
        protocol=protocol,
        factor=factor,
    )
    for note in found.notes[len(votes.notes) :]:
        warn(note)
    if as_json:
        print_json(found.records())
    else:
        click.echo(found.text, nl=False)
    if out is not None:
        for why in found.write(out):
            click.echo(f"Not drawn: {why}", err=True)
        click.echo(str(out), err=as_json)
    if not found.sections:
        raise SystemExit(Exit.FAILED)
    if (names and found.not_done) or UNFORESEEN in found.text:
        raise SystemExit(Exit.PARTIAL)
