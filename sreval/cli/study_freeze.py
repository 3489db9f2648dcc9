"""``sreval study freeze``: the stimuli of a study become files that never change."""

from __future__ import annotations

from pathlib import Path

import click

from sreval import content
from sreval.cli.output import print_json, progress_line
from sreval.errors import UsageError


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
    help="Let marked degradations of the original take the places of methods not at hand.",
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
    from sreval.study import freeze as freezing
    from sreval.study.attainable import attainable
    from sreval.study.design import load_design
    from sreval.study.manifest import MANIFEST, STIMULI
    from sreval.study.parts import parts_of, pool_of

    folder = content.find("studies", study)
    home, own = folder.resolve().parent, content.own_folders("studies")
    if home == content.packaged("studies").resolve() and home not in [o.resolve() for o in own]:
        raise UsageError(
            f"{study} is a study that the package brings; nothing is written into it.",
            f"Copy it first: sreval study new mine --from {folder.name}",
        )
    design = load_design(folder)
    if again:
        _refuse_once_begun(folder, design.name)
    with progress_line(0, "freezing", "image") as line:

        def tell(done: int, total: int) -> None:
            line.total = total
            line.update(done - line.n)

        manifest = freezing.freeze(
            folder, design, results, stand_ins=stand_ins, again=again, progress=tell
        )
    parts = parts_of(design, pool_of(manifest))
    notes = [f"{m.note}. {m.remedy}" for m in attainable(design, parts) if m.hopeless]
    files = {stimulus.sha256 for stimulus in manifest.stimuli}
    size = sum((folder / STIMULI / f"{name}.png").stat().st_size for name in files)
    if as_json:
        print_json(
            {
                "manifest": str(folder / MANIFEST),
                "sha256": manifest.sha256,
                "stimuli": len(manifest.stimuli),
                "bytes": size,
                "stand_ins": list(manifest.stand_ins),
                "notes": notes,
            }
        )
        return
    if manifest.stand_ins:
        click.echo(f"Stand-ins take the places of {', '.join(manifest.stand_ins)}.", err=True)
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(f"{len(manifest.stimuli)} stimuli, {size / 1e6:.0f} MB.", err=True)
    click.echo(str(folder / MANIFEST))


def _refuse_once_begun(folder: Path, name: str) -> None:
    """Raise StateError when a rater has enrolled: what was shown to one must be shown to all."""
    from sreval.store import studies
    from sreval.store.database import open_store
    from sreval.store.errors import StateError
    from sreval.store.urls import default_url, parse_url, sqlite_path

    url = default_url(folder, None)
    assert url is not None
    path = sqlite_path(parse_url(url))
    if path is not None and not path.exists():
        return
    store = open_store(url)
    try:
        begun = name in studies.names(store) and studies.get(store, name).locked_at
    finally:
        store.dispose()
    if begun:
        raise StateError(
            f"Raters have begun study {name!r} ({begun:%Y-%m-%d}); its stimuli stay.",
            f"Begin another one: sreval study new {name}-2 --from {folder}",
        )
