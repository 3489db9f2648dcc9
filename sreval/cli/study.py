"""``sreval study``: the group; each command stands in its family's own file."""

from __future__ import annotations

import click

from sreval.cli import LazyGroup

COMMANDS = {
    "freeze": ("sreval.cli.study_freeze:freeze", "Fix the stimuli, as they were scored."),
    "power": ("sreval.cli.study_power:power", "How many raters and images a difference needs."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def study() -> None:
    """Design, plan and run an opinion study."""
