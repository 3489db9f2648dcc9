"""``sreval archive``: what a paper's supplement needs, as one zip file."""

from __future__ import annotations

from pathlib import Path

import click

from sreval import api


@click.command(epilog="Example: sreval archive results ledig2017 --out supplement.zip")
@click.argument("sources", nargs=-1, required=True, metavar="RESULTS... STUDY...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .zip to write.")
@click.option("--images", is_flag=True, help="Also pack every SR image.")
@click.option("--baseline", help="Test every method against this one.")
@click.option("--database", help="Of the studies; default: SREVAL_DATABASE, else each one's own.")
@click.option("--allow-open", is_flag=True, help="Also pack a study that is not closed.")
@click.option("--replace", is_flag=True, help="Write over an archive that is there already.")
def archive(
    sources: tuple[str, ...],
    out: Path,
    images: bool,
    baseline: str | None,
    database: str | None,
    allow_open: bool,
    replace: bool,
) -> None:
    """Pack results folders and studies for a paper's supplement.

    The archive holds tables, scores, manifests with every hash, commands and a methods paragraph;
    of each study the design and anonymous votes. Folders of this machine are left out; of raters,
    so are pseudonyms, links, answers, devices and the times at which they voted. Its README.txt
    says what each file is.
    """
    made = api.archive(
        sources,
        out,
        images=images,
        baseline=baseline,
        database=database,
        allow_open=allow_open,
        replace=replace,
    )
    click.echo(str(made))
