"""``sreval serve``: a study's site on this machine."""

from __future__ import annotations

import copy
import signal
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sreval.api import Study
from sreval.cli.output import print_json, progress_line
from sreval.errors import Exit, UsageError

if TYPE_CHECKING:
    from sreval.site.checks import Check


@click.command(epilog="Example: sreval serve quick --port 8000")
@click.argument("study")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=8, show_default=True)
@click.option(
    "--database", metavar="URL", help="Default: SREVAL_DATABASE, else STUDY/votes.sqlite."
)
@click.option("--base-url", default="", help="The address raters use, if a proxy stands before.")
@click.option(
    "--trusted-proxies",
    type=click.IntRange(0, 8),
    default=0,
    show_default=True,
    help="Proxies in front whose X-Forwarded-* headers are believed.",
)
@click.option("--invite", is_flag=True, help="Make a personal link for yourself and print it.")
@click.option("--check", is_flag=True, help="Serve nothing: say whether all that is needed holds.")
@click.option("--json", "as_json", is_flag=True, help="With --check: machine-readable output.")
def serve(
    study: str,
    host: str,
    port: int,
    threads: int,
    database: str | None,
    base_url: str,
    trusted_proxies: int,
    invite: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Serve STUDY, a frozen study's name or folder, until Ctrl-C or SIGTERM.

    Only this machine can reach it unless --host says otherwise; docs/how-to/hosting.md shows how to
    put it on the net. The study is registered in its database. The server logs to stderr, one line
    of JSON a request, without links or network addresses.

    --check looks at the database, folders, stimuli, secret, clock and disk, and serves nothing;
    the exit code is 1 unless all is well.
    """
    asked = Study(study, database)
    if check:
        holds = _all_hold(asked, base_url, trusted_proxies, as_json)
        raise click.exceptions.Exit(Exit.OK if holds else Exit.FAILED)
    if as_json:
        raise UsageError("--json belongs to --check.", "Add that, or omit it.")

    def ready(address: str, link: str | None) -> None:
        lines = [f"Serving {asked.folder.name} at {address}. Ctrl-C ends it."]
        if link:
            lines.append(f"Your link: {link}")
        else:
            lines.append(f"Links for raters: sreval study invite {study} --base-url {address}")
        # one write, so that who reads the first line alone ends nothing by leaving
        with suppress(BrokenPipeError):
            click.echo("\n".join(lines))

    caught = asked.serve(
        host,
        port,
        threads=threads,
        base_url=base_url,
        trusted_proxies=trusted_proxies,
        invite=invite,
        ready=ready,
    )
    raise click.exceptions.Exit(Exit.INTERRUPTED if caught == signal.SIGINT else Exit.OK)


def _all_hold(asked: Study, base_url: str, trusted_proxies: int, as_json: bool) -> bool:
    """Print one line a check, as soon as it is known."""
    done: list[Check] = []
    with progress_line(0, "stimuli", "file") as line:

        def hashed(count: int, of: int) -> None:
            line.total = of
            line.update(count - line.n)

        for found in asked.check_site(
            base_url=base_url, trusted_proxies=trusted_proxies, progress=hashed
        ):
            done.append(found)
            if not as_json:
                line.write(f"{'ok    ' if found.ok else 'FAILED'}  {found.name:<10}{found.found}")
    if as_json:
        print_json({"ok": all(c.ok for c in done), "checks": [asdict(c) for c in done]})
    return all(c.ok for c in done)


study_serve = copy.copy(serve)
study_serve.epilog = "Example: sreval study serve quick --port 8000"
