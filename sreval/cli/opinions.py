"""``sreval opinions``: what votes say, and how sure one may be."""

from __future__ import annotations

from pathlib import Path

import click
import pandas as pd

from sreval.cli.output import print_json
from sreval.cli.ratings import (
    ADJUSTMENT,
    RATINGS,
    UNIT,
    WITHOUT,
    Form,
    better_options,
    directions,
    form_options,
    load_opinions,
    load_scores,
)
from sreval.errors import EXIT_FAILED, EXIT_PARTIAL, UNFORESEEN
from sreval.files import write_atomic
from sreval.report.opinions import ANALYSES, analyse
from sreval.report.records import csv_text
from sreval.report.sections import INTERVAL_OF, Request, Section, to_records, to_text
from sreval.statistics.comparison import Unit
from sreval.statistics.opinion import INTERVALS
from sreval.statistics.votes import stand_ins


@click.command(
    epilog="Example: sreval opinions votes.csv --analyse mos --analyse compare --out opinions"
)
@RATINGS
@click.option(
    "--analyse",
    "names",
    multiple=True,
    type=click.Choice(list(ANALYSES)),
    help="May be repeated; default: all but stimuli that the votes allow.",
)
@UNIT
@click.option(
    "--interval",
    type=click.Choice(list(INTERVALS)),
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
    names: tuple[str, ...],
    unit: Unit,
    interval: str | None,
    level: float,
    adjustment: str,
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
    read, better = load_opinions(ratings, form, without, directions(higher, lower))
    votes = read.table
    request = Request(
        unit=unit,
        interval=interval or INTERVAL_OF[unit],
        level=level,
        adjustment=adjustment,
        scale=form.scale,
        better=better,
        reference=reference,
        scores=load_scores(folders, protocol, factor),
    )
    sections, not_done = analyse(votes, names, request)
    left = "".join(f"Not done: {reason}\n" for reason in not_done)
    text = "\n".join([*map(to_text, sections), *[left] * bool(left)])
    if as_json:
        records = [to_records(section, level) for section in sections]
        marks = {
            "simulated": bool(votes["simulated"].any()),
            "stand_ins": stand_ins(votes),
        }
        notes = list(read.notes)
        print_json({"notes": notes, "sections": records, "not_done": not_done, **marks})
    else:
        click.echo(text, nl=False)
    if out is not None:
        said = "\n" * bool(read.notes) + "".join(f"{note}\n" for note in read.notes)
        for why in _write(out, sections, text + said, votes, request):
            click.echo(f"Not drawn: {why}", err=True)
        click.echo(str(out), err=as_json)
    if not sections:
        raise SystemExit(EXIT_FAILED)
    if (names and not_done) or UNFORESEEN in text:
        raise SystemExit(EXIT_PARTIAL)


def _write(
    out: Path, sections: list[Section], text: str, votes: pd.DataFrame, request: Request
) -> list[str]:
    """Tables and figures as files; which figures the votes don't allow, and why."""
    from sreval.report.opinion_figures import all_figures
    from sreval.report.style import save_figure

    write_atomic(out / "opinions.txt", text)
    for index, section in enumerate(sections, 1):
        write_atomic(out / f"{index:02}-{section.analysis}.csv", csv_text(section.frame))
    not_drawn = []
    for name, figure, why in all_figures(votes, request):
        if figure is None:
            not_drawn.append(f"{name}: {why}")
        else:
            save_figure(figure, out / f"{name}.svg")
    return not_drawn
