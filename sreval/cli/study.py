"""``sreval study``: the group; each command stands in its family's own file."""

from __future__ import annotations

import click

from sreval.cli import LazyGroup

COMMANDS = {
    "new": ("sreval.cli.study_design:new", "Begin a study as a copy of another's design."),
    "check": (
        "sreval.cli.study_design:check_command",
        "Prove a design feasible; how long it sits.",
    ),
    "plan": ("sreval.cli.study_design:plan", "Print what one rater will be shown, and why."),
    "schema": ("sreval.cli.study_design:schema", "Print the JSON schema of study.toml."),
    "power": ("sreval.cli.study_power:power", "How many raters and images a difference needs."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def study() -> None:
    """Design, plan and run an opinion study."""
