"""``sreval compare-protocols``: why one tool's number differs from another's."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.cli.output import print_json, warn


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
    from sreval import api

    results = api.read_results(folders)
    for note in results.notes:
        warn(note)
    found = results.compare_protocols(datasets=datasets, methods=methods)
    if as_json:
        print_json(found.frame.to_dict("records"))
    else:
        click.echo(repr(found))
