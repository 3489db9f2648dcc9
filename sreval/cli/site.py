"""``sreval serve`` and ``sreval operator``: a study's site on this machine, and its accounts."""

from __future__ import annotations

import copy
import datetime as dt
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from sreval.api import Study
from sreval.cli import Group
from sreval.cli.shared import BASE_URL, counting, for_study, json_option, on_study, print_json, warn
from sreval.errors import Exit, UsageError
from sreval.progress import progress_line
from sreval.report.text import columns

if TYPE_CHECKING:
    from sreval.site.checks import Check
    from sreval.store.operators import Role


@click.command(epilog="Example: sreval serve quick --port 8000")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=8, show_default=True)
@on_study
@click.option(
    "--base-url",
    metavar="URL",
    help="The address raters use, if a proxy stands before.  [default: SREVAL_BASE_URL]",
)
@click.option(
    "--trusted-proxies",
    type=click.IntRange(0, 8),
    help="Proxies in front whose X-Forwarded-* headers are believed.  "
    "[default: SREVAL_TRUSTED_PROXIES, else 0]",
)
@click.option("--invite", is_flag=True, help="Make a personal link for yourself and print it.")
@click.option("--check", is_flag=True, help="Serve nothing: say whether all that is needed holds.")
@json_option("With --check: machine-readable output.")
def serve(
    study: Study,
    base_url: str | None,
    trusted_proxies: int | None,
    check: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Serve STUDY, a frozen study's name or folder, until Ctrl-C or SIGTERM.

    Only this machine can reach it unless --host says otherwise; docs/how-to/hosting.md shows how to
    put it on the net. The study is registered in its database. The server logs to stderr, one line
    of JSON a request, without links or network addresses.

    --check looks at the database, folders, stimuli, secret, clock, disk and metrics, and serves
    nothing; the exit code is 1 unless all is well.
    """
    if check:
        holds = _all_hold(study, base_url, trusted_proxies, as_json)
        raise SystemExit(Exit.OK if holds else Exit.FAILED)
    if as_json:
        raise UsageError("--json belongs to --check.", "Add that, or omit it.")

    def ready(address: str, link: str | None) -> None:
        lines = [f"Serving {study.folder.name} at {address}. Ctrl-C ends it."]
        if link:
            lines.append(f"Your link: {link}")
        else:
            lines.append(
                f"Links for raters: sreval study invite {study.given} --base-url {address}"
            )
        # one write, so that who reads the first line alone ends nothing by leaving
        with suppress(BrokenPipeError):
            click.echo("\n".join(lines))

    caught = study.serve(base_url=base_url, trusted_proxies=trusted_proxies, ready=ready, **chosen)
    raise SystemExit(Exit.INTERRUPTED if caught == signal.SIGINT else Exit.OK)


def _all_hold(
    study: Study, base_url: str | None, trusted_proxies: int | None, as_json: bool
) -> bool:
    """Print one line a check, as soon as it is known."""
    done: list[Check] = []
    with progress_line(0, "stimuli", "file") as line:
        for found in study.check_site(
            base_url=base_url, trusted_proxies=trusted_proxies, progress=counting(line)
        ):
            done.append(found)
            if not as_json:
                line.write(f"{'ok    ' if found.ok else 'FAILED'}  {found.name:<10}{found.found}")
    if as_json:
        print_json({"ok": all(c.ok for c in done), "checks": [asdict(c) for c in done]})
    return all(c.ok for c in done)


@click.command(epilog="Example: sreval study preview ledig2017 --port 8001")
@click.argument("study")
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
def preview(study: str, port: int) -> None:
    """Show every page of STUDY's design in a browser on this machine, until Ctrl-C.

    No database is needed, and no frozen pictures: marked stand-ins take their places. The pages
    are the site's own, in every language, with each message and each end. Nothing is stored.
    """

    def ready(address: str) -> None:
        with suppress(BrokenPipeError):
            click.echo(f"Preview of {study} at {address}. Ctrl-C ends it.")

    caught = Study(study).preview(port=port, ready=ready)
    raise SystemExit(Exit.INTERRUPTED if caught == signal.SIGINT else Exit.OK)


study_serve = copy.copy(serve)
study_serve.epilog = "Example: sreval study serve quick --port 8000"


_FROM_STDIN = click.option(
    "--password-stdin", is_flag=True, help="Read the password from stdin, one line."
)


@click.group(cls=Group)
def operator() -> None:
    """Accounts for the pages under /operator of a study's site.

    An account holds for all studies of a database. Owners steer studies; viewers look.
    """


@operator.command(epilog="Example: sreval operator add ada --role owner --study ledig2017")
@click.argument("name")
@click.option("--role", type=click.Choice(["owner", "viewer"]), required=True)
@for_study
@_FROM_STDIN
def add(study: Study, name: str, role: Role, password_stdin: bool) -> None:
    """Make an account; its password is asked for twice."""
    study.add_operator(name, role, _password(password_stdin))
    click.echo(f"{name} can log in as {role}, under /operator of the site.")


@operator.command("list", epilog="Example: sreval operator list --study ledig2017 --json")
@for_study
@json_option()
def list_command(study: Study, as_json: bool) -> None:
    """Who has an account, and whether it is locked."""
    found = study.operators()
    if as_json:
        print_json(
            [
                {k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in facts.items()}
                for facts in map(asdict, found)
            ]
        )
        return
    if not found:
        warn("Nobody. Make an account: sreval operator add")
        return
    now = dt.datetime.now(dt.UTC)
    lines = [["name", "role", "made", "last request (UTC)", "locked"]]
    for row in found:
        seen = f"{row.seen_at:%Y-%m-%d %H:%M}" if row.seen_at else ""
        until = row.locked_until
        locked = f"until {until:%H:%M}" if until and now < until else ""
        lines.append([row.name, row.role, f"{row.created_at:%Y-%m-%d}", seen, locked])
    click.echo(columns(lines))


@operator.command(epilog="Example: sreval operator remove ada --study ledig2017")
@click.argument("name")
@for_study
def remove(study: Study, name: str) -> None:
    """Delete an account and end its logins; the audit log keeps the name."""
    study.remove_operator(name)
    click.echo(f"{name} can't log in any more.")


@operator.command(epilog="Example: sreval operator password ada --study ledig2017")
@click.argument("name")
@for_study
@_FROM_STDIN
def password(study: Study, name: str, password_stdin: bool) -> None:
    """Change a password. The account's logins end, and it is unlocked."""
    study.set_password(name, _password(password_stdin))
    click.echo(f"The password of {name} is changed; who was logged in so must log in again.")


@operator.command(
    epilog="Example: sreval operator link ada --study mine --base-url https://rate.example.org"
)
@click.argument("name")
@for_study
@BASE_URL
def link(study: Study, name: str, base_url: str | None) -> None:
    """Print a link that logs an operator in once, within 15 minutes, without a password.

    For who forgot the password, or is kept out because strangers try passwords for the name.
    """
    click.echo(study.login_link(name, base_url))


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
