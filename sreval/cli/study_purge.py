"""``sreval study purge``: raters' data at the end of the time that they were promised."""

from __future__ import annotations

import datetime as dt

import click

from sreval.cli.study_run import YES, opened, study_and_database
from sreval.errors import UsageError
from sreval.store import privacy


@click.command(epilog="Example: sreval study purge ledig2017")
@study_and_database
@YES
def purge(study: str, database: str | None, yes: bool) -> None:
    """Delete all raters' data once the design's retention date has come; a count stays.

    Backups and exports made before still hold them: delete those too.
    """
    with opened(study, database) as (store, name):
        if not yes:
            typed = click.prompt(f"Type {name} to delete all its raters and votes", err=True)
            if typed != name:
                raise UsageError(f"{typed!r} is not {name!r}: nothing was deleted.")
        count = privacy.purge(store, name, dt.datetime.now(dt.UTC).date())
    click.echo(f"{name}: the data of {count} raters are deleted.")
