"""``sreval report``: a study's design, raters and results as one page."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.api import Study
from sreval.cli.output import print_json, progress_line


@click.command(epilog="Example: sreval report ledig2017 --results results --out report")
@click.argument("study")
@click.option(
    "--results",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Benchmark results of the rated images, for metrics beside opinion; may be repeated.",
)
@click.option("--protocol", help="Of the results; default: ledig2017 where it was run.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder. Default: STUDY-report, here."
)
@click.option("--database", help="URL of the votes; default: SREVAL_DATABASE, else the study's.")
@click.option(
    "--allow-open", is_flag=True, help="Also of a study that is not closed; marked as interim."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
def report(
    study: str,
    folders: tuple[Path, ...],
    protocol: str | None,
    out: Path | None,
    database: str | None,
    allow_open: bool,
    as_json: bool,
) -> None:
    """Write the report of STUDY: one HTML page, every table as LaTeX and CSV.

    The page needs nothing from elsewhere and can be printed. Tables become a PDF where
    LaTeX is installed. An older report of the same study is replaced.
    """
    with progress_line(4, "report", "step") as line:
        made = Study(study, database).report(
            out, folders, protocol=protocol, allow_open=allow_open, step=line.update
        )
    if as_json:
        print_json(
            {"page": str(made), "files": list(made.files), "note": made.no_pdf, **made.facts}
        )
        return
    for said in [*made.warnings, *([f"tables.tex: {made.no_pdf}."] if made.no_pdf else [])]:
        click.echo(said, err=True)
    click.echo(str(made))
