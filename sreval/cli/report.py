"""``sreval report`` and ``sreval archive``: a study's page, a paper's supplement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli.shared import (
    PATH,
    PROTOCOL,
    json_option,
    on_study,
    print_json,
    results_option,
    warn,
)
from sreval.errors import UNFORESEEN, Exit
from sreval.progress import progress_line


@click.command(epilog="Example: sreval report ledig2017 --results results --out report")
@results_option(
    "Benchmark results of the rated images, for metrics beside opinion; may be repeated."
)
@PROTOCOL
@click.option("--out", type=PATH, help="A folder. Default: STUDY-report, here.")
@on_study
@click.option(
    "--allow-open", is_flag=True, help="Also of a study that is not closed; marked as interim."
)
@json_option("Say what was written as JSON.")
def report(study: api.Study, out: Path | None, as_json: bool, **chosen: Any) -> None:
    """Write the report of STUDY: one HTML page, every table as LaTeX and CSV.

    The page needs nothing from elsewhere and can be printed. Tables become a PDF where
    LaTeX is installed. An older report of the same study is replaced. Exits with 3 when a part
    failed in a way that it should not.
    """
    with progress_line(4, "report", "step") as line:
        made = study.report(out, **chosen, step=line.update)
    if as_json:
        print_json(
            {"page": str(made), "files": list(made.files), "note": made.no_pdf, **made.facts}
        )
    for warning in made.warnings:
        if not as_json or UNFORESEEN in warning:
            warn(warning)
    if not as_json:
        if made.no_pdf:
            warn(f"tables.tex: {made.no_pdf}.")
        click.echo(str(made))
    if any(UNFORESEEN in warning for warning in made.warnings):
        raise SystemExit(Exit.PARTIAL)


@click.command(epilog="Example: sreval archive results ledig2017 --out supplement.zip")
@click.argument("sources", nargs=-1, required=True, metavar="RESULTS... STUDY...")
@click.option("--out", required=True, type=PATH, help="The .zip to write.")
@click.option("--images", is_flag=True, help="Also pack every SR image.")
@click.option("--baseline", help="Test every method against this one.")
@click.option("--database", help="Of the studies; default: SREVAL_DATABASE, else each one's own.")
@click.option("--allow-open", is_flag=True, help="Also pack a study that is not closed.")
@click.option("--replace", is_flag=True, help="Write over an archive that is there already.")
def archive(sources: tuple[str, ...], out: Path, **chosen: Any) -> None:
    """Pack results folders and studies for a paper's supplement.

    The archive holds tables, scores, manifests with every hash, commands and a methods paragraph;
    of each study the design and anonymous votes. Folders of this machine are left out; of raters,
    so are pseudonyms, links, answers, devices and the times at which they voted. Its README.txt
    says what each file is.
    """
    click.echo(str(api.archive(sources, out, **chosen)))
