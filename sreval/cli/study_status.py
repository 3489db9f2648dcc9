"""``sreval study status``: a study at a glance."""

from __future__ import annotations

import click

from sreval.api import Study
from sreval.cli.output import print_json
from sreval.cli.study_run import study_and_database


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
