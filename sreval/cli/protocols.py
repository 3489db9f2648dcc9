"""``sreval compare-protocols``: why one tool's number differs from another's."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.cli.output import print_json, progress_line, warn
from sreval.errors import UsageError, unknown_name
from sreval.report.collect import collect, narrowed
from sreval.report.protocols import (
    conventions_text,
    score_conventions,
    subjects,
    summarise_conventions,
)


@click.command(epilog="Example: sreval compare-protocols results --dataset Set5 --method bicubic")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dataset", "datasets", multiple=True, help="Default: all in the results.")
@click.option("--method", "methods", multiple=True, help="Default: all in the results.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, image by image.")
def compare_protocols(
    folders: tuple[Path, ...], datasets: tuple[str, ...], methods: tuple[str, ...], as_json: bool
) -> None:
    """Score the images in FOLDERS under every convention that public tools use.

    Nothing here is a result: it shows which tool gives which number on the same images.
    """
    frame = collect(folders, warn)
    for column, kind, chosen in (("dataset", "data set", datasets), ("method", "method", methods)):
        for name in chosen:
            if name not in set(frame[column]):
                raise unknown_name(f"{kind} of these results", name, frame[column].unique())
        if chosen:
            frame = narrowed(frame, column, chosen)
    images = subjects(frame)
    if images.empty:
        raise UsageError("Nothing is left to compare.", "HR against itself says nothing.")
    with progress_line(len(images), "scoring", "image") as line:
        scores = score_conventions(images, line.update)
    if as_json:
        print_json(scores.to_dict("records"))
    else:
        click.echo(conventions_text(summarise_conventions(scores)), nl=False)
