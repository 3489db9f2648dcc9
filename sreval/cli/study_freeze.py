"""``sreval study freeze``: the stimuli of a study become files that never change."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.api import Study
from sreval.cli.output import print_json, progress_line


@click.command(epilog="Example: sreval study freeze mine --results results")
@click.argument("study")
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder that `sreval benchmark` wrote; may be repeated.",
)
@click.option(
    "--stand-ins",
    is_flag=True,
    help="Let marked degradations of the original replace methods whose images are missing.",
)
@click.option("--again", is_flag=True, help="Replace the stimuli of a study that is frozen.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable summary.")
def freeze(
    study: str, results: tuple[Path, ...], stand_ins: bool, again: bool, as_json: bool
) -> None:
    """Write a study's stimuli, as they were scored, and the manifest of their hashes.

    nearest, bicubic, lanczos and hr need no results. All versions of one image have the same
    length and the same header. A freeze that was interrupted is begun again by the same command.
    """
    with progress_line(0, "freezing", "image") as line:

        def tell(done: int, total: int) -> None:
            line.total = total
            line.update(done - line.n)

        frozen = Study(study).freeze(results, stand_ins=stand_ins, again=again, progress=tell)
    manifest = frozen.manifest
    if as_json:
        print_json(
            {
                "manifest": str(frozen.path),
                "sha256": manifest.sha256,
                "stimuli": len(manifest.stimuli),
                "bytes": frozen.bytes,
                "stand_ins": list(manifest.stand_ins),
                "notes": list(frozen.notes),
            }
        )
        return
    if manifest.stand_ins:
        click.echo(f"Stand-ins take the places of {', '.join(manifest.stand_ins)}.", err=True)
    for note in frozen.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{len(manifest.stimuli)} stimuli, {frozen.bytes / 1e6:.0f} MB.", err=True)
    click.echo(str(frozen.path))
