"""``sreval study``: the group; each command stands in its family's own file."""

from __future__ import annotations

import click

from sreval.cli import LazyGroup

COMMANDS = {
    "serve": ("sreval.cli.serve:serve", "Serve a study's rating site from this machine."),
    "power": ("sreval.cli.study_power:power", "How many raters and images a difference needs."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def study() -> None:
    """Design, plan and run an opinion study."""
