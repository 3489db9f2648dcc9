"""``sreval study purge``: raters' data at the end of the time that they were promised."""

from __future__ import annotations

import click

from sreval.api import Study
from sreval.cli.study_run import YES, study_and_database
from sreval.errors import UsageError


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
