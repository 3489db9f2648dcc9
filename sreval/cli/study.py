"""``sreval study``: the group; each command stands in its family's own file."""

from __future__ import annotations

import click

from sreval.cli import LazyGroup

COMMANDS = {
    "new": ("sreval.cli.study_design:new", "Begin a study as a copy of another's design."),
    "check": (
        "sreval.cli.study_design:check_command",
        "Prove that a design can be met; say how long a rater sits.",
    ),
    "plan": ("sreval.cli.study_design:plan", "Print what one rater will be shown, and why."),
    "schema": ("sreval.cli.study_design:schema", "Print the JSON schema of study.toml."),
    "freeze": ("sreval.cli.study_freeze:freeze", "Fix the stimuli, as they were scored."),
    "simulate": ("sreval.cli.study_simulate:simulate", "Send simulated raters through the site."),
    "serve": ("sreval.cli.serve:study_serve", "Serve a study's rating site from this machine."),
    "invite": ("sreval.cli.study_run:invite", "Make links for raters."),
    "status": ("sreval.cli.study_status:status", "Who is how far, and what has been rated."),
    "pause": ("sreval.cli.study_run:pause", "Take no votes for now."),
    "resume": ("sreval.cli.study_run:resume", "Take votes again after a pause."),
    "extend": ("sreval.cli.study_run:extend", "Let more raters begin by a link, or for longer."),
    "release": ("sreval.cli.study_run:release", "Give the places of drop-outs to others."),
    "revoke": ("sreval.cli.study_run:revoke", "Make a link open nothing any more."),
    "delete-rater": ("sreval.cli.study_run:delete_rater", "Delete all data of one rater."),
    "purge": ("sreval.cli.study_purge:purge", "Delete all raters' data when their time is over."),
    "close": ("sreval.cli.study_run:close", "Take no votes any more, for good."),
    "export": ("sreval.cli.study_files:export_command", "Write a study's data as CSV files."),
    "import": ("sreval.cli.study_files:import_command", "Store an export in a database."),
    "backup": ("sreval.cli.study_files:backup", "Copy the database, also while raters vote."),
    "restore": ("sreval.cli.study_files:restore", "Put a backup into the database's place."),
    "upgrade": ("sreval.cli.study_run:upgrade", "Bring the database's tables up to date."),
    "power": ("sreval.cli.study_power:power", "How many raters and images a difference needs."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def study() -> None:
    """Design, plan and run an opinion study."""
