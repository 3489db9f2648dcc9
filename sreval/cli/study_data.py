"""``sreval study status | export | import | backup | restore | purge``: what was collected."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.api import Study
from sreval.cli.output import print_json
from sreval.cli.study_run import YES, study_and_database
from sreval.errors import UsageError

FILE = click.argument("file", type=click.Path(path_type=Path, exists=True))


@click.command(epilog="Example: sreval study status ledig2017 --json")
@study_and_database
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def status(study: str, database: str | None, as_json: bool) -> None:
    """Show each rater's progress and outcome, and the number of votes on each method."""
    found = Study(study, database).status()
    if as_json:
        print_json(found.records())
    else:
        click.echo(found.text)


@click.command("export", epilog="Example: sreval study export ledig2017 --out ledig2017.zip")
@study_and_database
@click.option("--out", type=click.Path(path_type=Path), help="A new .zip or folder.")
def export_command(study: str, database: str | None, out: Path | None) -> None:
    """Write votes, plans, sessions, answers and events as CSV files, with the design.

    docs/reference/data-dictionary.md says what every column means. No link and no secret is in it.
    The file `votes.csv` is what `sreval opinions` and `sreval table --ratings` read. Before the
    study is closed an export counts as a look at results: the audit log keeps it, the report
    tells it.
    """
    click.echo(str(Study(study, database).export(out)))


@click.command("import", epilog="Example: sreval study import ledig2017 ledig2017.zip")
@study_and_database
@FILE
def import_command(study: str, database: str | None, file: Path) -> None:
    """Store an export: the whole study, or the sessions that are lacking here.

    Raters who were deleted here stay deleted. Links aren't in an export; give raters who are to
    go on new ones: sreval study invite --for RATER. Of a backup the studies are stored, too,
    without its links, operators and log.
    """
    brought = Study(study, database).import_(file)
    click.echo(
        f"{brought.study}: {brought.sessions} sessions stored, {brought.present} were here "
        f"already, {brought.deleted} of deleted raters left out."
    )


@click.command(epilog="Example: sreval study backup ledig2017 --out ledig2017.backup.zip")
@study_and_database
@click.option("--out", type=click.Path(path_type=Path), help="A new file.")
def backup(study: str, database: str | None, out: Path | None) -> None:
    """Copy the whole database, also while raters vote. Keep the copy as safe as the original.

    The copy is a zip of CSV files: those of an export, with links, operators and log besides.
    """
    click.echo(str(Study(study, database).backup(out)))


@click.command(epilog="Example: sreval study restore ledig2017 ledig2017.backup.zip")
@study_and_database
@FILE
@click.option("--overwrite", is_flag=True, help="Also where the database holds votes.")
def restore(study: str, database: str | None, file: Path, overwrite: bool) -> None:
    """Put a backup into the database's place, at once or not at all; stop the server before.

    A backup of SQLite may go into PostgreSQL, and the other way round.
    """
    Study(study, database).restore(file, overwrite=overwrite)


@click.command(epilog="Example: sreval study purge ledig2017")
@study_and_database
@YES
def purge(study: str, database: str | None, yes: bool) -> None:
    """Delete all raters' data once the design's retention date has come; a count stays.

    Backups and exports made before still hold them: delete those too.
    """
    asked = Study(study, database)
    name = asked.name
    if not yes:
        asked.status()  # that there is one to be asked about
        typed = click.prompt(f"Type {name} to delete all its raters and votes", err=True)
        if typed != name:
            raise UsageError(f"{typed!r} is not {name!r}: nothing was deleted.")
    click.echo(f"{name}: the data of {asked.purge()} raters are deleted.")
