"""``sreval operator``: who may log into a study's pages for operators."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from sreval.api import Study
from sreval.cli.output import columns, print_json
from sreval.errors import UsageError

if TYPE_CHECKING:
    from sreval.store.operators import OperatorRow, Role

Command = Callable[..., Any]


def _of_study(command: Command) -> Command:
    """The options that name the database."""
    database = click.option(
        "--database", metavar="URL", help="Default: SREVAL_DATABASE, else STUDY/votes.sqlite."
    )
    return click.option("--study", required=True, help="A study in the database.")(
        database(command)
    )


_FROM_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from stdin, one line."
)


@click.group()
def operator() -> None:
    """Accounts for the pages under /operator of a study's site.

    An account holds for all studies of a database. Owners steer studies; viewers look.
    """


@operator.command(epilog="Example: sreval operator add ada --role owner --study ledig2017")
@click.argument("name")
@click.option("--role", type=click.Choice(["owner", "viewer"]), required=True)
@_of_study
@_FROM_STDIN
def add(name: str, role: Role, study: str, database: str | None, password_stdin: bool) -> None:
    """Make an account; its password is asked for twice."""
    Study(study, database).add_operator(name, role, _password(password_stdin))
    click.echo(f"{name} can log in as {role}, under /operator of the site.")


@operator.command("list", epilog="Example: sreval operator list --study ledig2017 --json")
@_of_study
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_command(study: str, database: str | None, as_json: bool) -> None:
    """Who has an account, and whether it is locked."""
    found = Study(study, database).operators()
    if as_json:
        print_json([_plain(row) for row in found])
        return
    if not found:
        click.echo("Nobody. Make an account: sreval operator add", err=True)
        return
    now = dt.datetime.now(dt.UTC)
    rows = [
        [row.name, row.role, f"{row.created_at:%Y-%m-%d}", _minute(row.seen_at), _lock(row, now)]
        for row in found
    ]
    click.echo(columns([["name", "role", "made", "last request (UTC)", "locked"], *rows]))


def _plain(row: OperatorRow) -> dict[str, Any]:
    times = {name: value for name, value in asdict(row).items() if isinstance(value, dt.datetime)}
    return asdict(row) | {name: time.isoformat() for name, time in times.items()}


def _minute(time: dt.datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def _lock(row: OperatorRow, now: dt.datetime) -> str:
    until = row.locked_until
    return f"until {until:%H:%M}" if until and now < until else ""


@operator.command(epilog="Example: sreval operator remove ada --study ledig2017")
@click.argument("name")
@_of_study
def remove(name: str, study: str, database: str | None) -> None:
    """Delete an account and end its logins; the audit log keeps the name."""
    Study(study, database).remove_operator(name)
    click.echo(f"{name} can't log in any more.")


@operator.command(epilog="Example: sreval operator password ada --study ledig2017")
@click.argument("name")
@_of_study
@_FROM_STDIN
def password(name: str, study: str, database: str | None, password_stdin: bool) -> None:
    """Change a password. The account's logins end, and it is unlocked."""
    Study(study, database).set_password(name, _password(password_stdin))
    click.echo(f"The password of {name} is changed; who was logged in so must log in again.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        line = sys.stdin.readline()
        return line.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask for a password.", "Add --password-stdin.")
    from sreval.store.operators import Operators

    prompt = f"Password, {Operators.SHORTEST} characters or more"
    asked: str = click.prompt(prompt, hide_input=True, confirmation_prompt="Again", err=True)
    return asked
