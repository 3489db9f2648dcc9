"""``sreval study invite | status | pause ...``: a study while raters take part."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from sreval.api import Study
from sreval.errors import UsageError

Command = Callable[..., Any]


def study_and_database(command: Command) -> Command:
    """The argument and the option that every command here begins with."""
    database = click.option(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql://...  [default: SREVAL_DATABASE, else votes.sqlite "
        "in the study's folder]",
    )
    return click.argument("study")(database(command))


YES = click.option("--yes", is_flag=True, help="Don't ask.")


@click.command(
    epilog="Example: sreval study invite ledig2017 --count 26 --base-url https://rate.example.org"
)
@study_and_database
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--open", "is_open", is_flag=True, help="One link for everybody, up to --quota.")
@click.option("--kiosk", is_flag=True, help="One link for a laboratory's machine.")
@click.option(
    "--quota", type=click.IntRange(1), help="How many raters an open or kiosk link lets in."
)
@click.option("--for", "rater", metavar="RATER", help="A new link for a rater who lost theirs.")
@click.option("--label", default="", help="A note of your own; numbered where there are several.")
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="Last moment (UTC) at which a rater may begin; resuming works on.",
)
@click.option("--base-url", default="http://127.0.0.1:8000", show_default=True)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False))
def invite(
    study: str,
    database: str | None,
    count: int,
    is_open: bool,
    kiosk: bool,
    quota: int | None,
    rater: str | None,
    label: str,
    expires: dt.datetime | None,
    base_url: str,
    csv_file: Path | None,
) -> None:
    """Make links and print them. Nobody can look them up later: only their hashes are stored.

    Without --open, --kiosk and --for each link is for one rater.
    """
    kind = _kind(is_open, kiosk, rater)
    if csv_file and csv_file.exists():
        raise UsageError(f"{csv_file} exists already.", "Name a new file.")
    made = Study(study, database).invite(
        count, kind=kind, quota=quota, rater=rater, label=label, expires=expires, base_url=base_url
    )
    if csv_file:
        from sreval.files import write_atomic
        from sreval.opinions.cells import guarded

        lines = [
            f'{key},"{guarded(each).replace(chr(34), chr(34) * 2)}",{link}'
            for key, each, link in made
        ]
        write_atomic(csv_file, "\r\n".join(["id,label,link", *lines, ""]))
        csv_file.chmod(0o600)
        click.echo(str(csv_file))
    else:
        click.echo("\n".join(link for _, _, link in made))


@click.command(epilog="Example: sreval study revoke ledig2017 12")
@study_and_database
@click.argument("link", type=int)
def revoke(study: str, database: str | None, link: int) -> None:
    """Disable a link, by its number; votes cast through it stay."""
    Study(study, database).revoke(link)


@click.command(epilog="Example: sreval study extend ledig2017 12 --quota 60")
@study_and_database
@click.argument("link", type=int)
@click.option("--quota", type=click.IntRange(1), help="How many raters it lets in, all in all.")
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="Last moment (UTC) at which a rater may begin.",
)
def extend(
    study: str, database: str | None, link: int, quota: int | None, expires: dt.datetime | None
) -> None:
    """Let more raters begin by a link, or for longer, by its number."""
    Study(study, database).extend(link, quota=quota, expires=expires)


@click.command(epilog="Example: sreval study pause ledig2017")
@study_and_database
def pause(study: str, database: str | None) -> None:
    """Pause the study: no vote is accepted until `sreval study resume`.

    Raters see a notice, and keep what they have done."""
    Study(study, database).pause()


@click.command(epilog="Example: sreval study resume ledig2017")
@study_and_database
def resume(study: str, database: str | None) -> None:
    """Accept votes again after a pause."""
    Study(study, database).resume()


@click.command(epilog="Example: sreval study close ledig2017")
@study_and_database
@YES
def close(study: str, database: str | None, yes: bool) -> None:
    """End the study for good: no vote is accepted afterwards."""
    asked = Study(study, database)
    if not yes:
        seen = asked.status().overview
        click.confirm(
            f"{seen.study}: {seen.progress}, {seen.under_way} still taking part. "
            "Close it for good?",
            abort=True,
            err=True,
        )
    asked.close()


@click.command(epilog="Example: sreval study release ledig2017 --idle-days 7")
@study_and_database
@click.argument("rater", nargs=-1)
@click.option(
    "--idle-days",
    type=click.FloatRange(0, 3650),
    default=14.0,
    show_default=True,
    help="Those who did nothing for so long.",
)
def release(study: str, database: str | None, rater: tuple[str, ...], idle_days: float) -> None:
    """End the sessions of drop-outs, so that the next raters take their places.

    Their votes stay; whether those are used is up to the design's rules.
    """
    released = Study(study, database).release(rater, idle_days=idle_days)
    click.echo("\n".join(released) if released else "Nobody was idle for so long.")


@click.command("delete-rater", epilog="Example: sreval study delete-rater ledig2017 r-7kq2mf")
@study_and_database
@click.argument("rater")
@YES
def delete_rater(study: str, database: str | None, rater: str, yes: bool) -> None:
    """Delete all that is stored of a rater, for good; a count stays.

    Backups and exports made before still hold it: delete them too.
    """
    asked = Study(study, database)
    if not yes:
        typed = click.prompt(f"Type {asked.name} to delete {rater} and all their votes", err=True)
        if typed != asked.name:
            raise UsageError(f"{typed!r} is not {asked.name!r}: nothing was deleted.")
    asked.delete_rater(rater)


@click.command(epilog="Example: sreval study upgrade ledig2017")
@study_and_database
def upgrade(study: str, database: str | None) -> None:
    """Bring the database's tables to those of this version. Back it up before."""
    name, changed = Study(study, database).upgrade()
    click.echo(f"{name}: {'upgraded' if changed else 'nothing to do'}.")


def _kind(is_open: bool, kiosk: bool, rater: str | None) -> Literal["personal", "open", "kiosk"]:
    if is_open + kiosk + bool(rater) > 1:
        raise UsageError("--open, --kiosk and --for exclude each other.", "Name one.")
    return "open" if is_open else "kiosk" if kiosk else "personal"
