"""``sreval study``: the group; each command stands in its family's own file."""

from __future__ import annotations

import click

from sreval.cli import LazyGroup

COMMANDS = {
    "new": ("sreval.cli.study_design:new", "Begin a study as a copy of another's design."),
    "check": (
        "sreval.cli.study_design:check_command",
        "Check that a design can work, and how long it takes.",
    ),
    "plan": ("sreval.cli.study_design:plan", "Print what one rater will be shown, and why."),
    "schema": ("sreval.cli.study_design:schema", "Print the JSON schema of study.toml."),
    "freeze": ("sreval.cli.study_freeze:freeze", "Save the images to be rated, exactly as scored."),
    "simulate": ("sreval.cli.study_simulate:simulate", "Send simulated raters through the site."),
    "serve": ("sreval.cli.serve:study_serve", "Serve a study's rating site from this machine."),
    "invite": ("sreval.cli.study_run:invite", "Make links for raters."),
    "status": (
        "sreval.cli.study_data:status",
        "Show each rater's progress and the number of votes.",
    ),
    "pause": (
        "sreval.cli.study_run:pause",
        "Pause the study: no vote is accepted until it resumes.",
    ),
    "resume": ("sreval.cli.study_run:resume", "Accept votes again after a pause."),
    "extend": ("sreval.cli.study_run:extend", "Raise a link's quota or move its last day."),
    "release": ("sreval.cli.study_run:release", "Free the places of raters who dropped out."),
    "revoke": ("sreval.cli.study_run:revoke", "Disable a link; votes cast through it stay."),
    "delete-rater": ("sreval.cli.study_run:delete_rater", "Delete all data of one rater."),
    "purge": ("sreval.cli.study_data:purge", "Delete all raters' data after the retention date."),
    "close": ("sreval.cli.study_run:close", "End the study: no vote is accepted afterwards."),
    "export": ("sreval.cli.study_data:export_command", "Write a study's data as CSV files."),
    "import": ("sreval.cli.study_data:import_command", "Store an export in a database."),
    "backup": ("sreval.cli.study_data:backup", "Copy the database, even while raters vote."),
    "restore": ("sreval.cli.study_data:restore", "Replace the database by a backup."),
    "upgrade": ("sreval.cli.study_run:upgrade", "Bring the database's tables up to date."),
    "power": ("sreval.cli.study_power:power", "Compute how many raters a difference needs."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def study() -> None:
    """Design, plan and run an opinion study."""
