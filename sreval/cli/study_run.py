"""``sreval study invite | status | pause ...``: a study while raters take part."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sreval.content import find
from sreval.errors import UsageError
from sreval.files import write_atomic
from sreval.statistics.cells import guarded
from sreval.store import invitations, privacy, raters, studies
from sreval.store.database import Store, open_store
from sreval.store.overview import overview
from sreval.store.urls import default_url, parse_url
from sreval.study.design import DESIGN, load_design
from sreval.study.manifest import load_manifest

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


def where(study: str, database: str | None) -> tuple[str, str]:
    """A study's name and the URL of its database; the folder may be absent if that is named."""
    try:
        folder = find("studies", study)
    except UsageError:
        if (given := default_url(None, database)) is None:
            raise
        return study, given
    name = load_design(folder).name if (folder / DESIGN).is_file() else study
    url = default_url(folder, database)
    assert url is not None
    return name, url


@contextmanager
def opened(study: str, database: str | None) -> Iterator[tuple[Store, str]]:
    """A study's open database and its name there."""
    name, url = where(study, database)
    store = open_store(url)
    try:
        yield store, name
    finally:
        store.dispose()


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
    kind = _kind(is_open, kiosk, rater, count, quota)
    until = _last_moment(expires)
    if csv_file and csv_file.exists():
        raise UsageError(f"{csv_file} exists already.", "Name a new file.")
    with _registered(study, database) as (store, name):
        made = []
        for number in range(1, count + 1):
            each = f"{label} {number}" if label and count > 1 else label
            if rater:
                key, token = invitations.renew(store, name, rater)
            else:
                key, token = invitations.create(
                    store, name, kind, quota=quota, expires=until, label=each
                )
            made.append((key, each, f"{base_url.rstrip('/')}/r/{token}"))
    if csv_file:
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
    """Make a link open nothing any more, by its number; votes cast through it stay."""
    with opened(study, database) as (store, name):
        if link not in {row.id for row in invitations.listing(store, name)}:
            raise UsageError(f"{name} has no link {link}.", "See: sreval study status --json.")
        invitations.revoke(store, link)


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
    until = _last_moment(expires)
    with opened(study, database) as (store, name):
        invitations.extend(store, name, link, quota=quota, expires=until)


@click.command(epilog="Example: sreval study pause ledig2017")
@study_and_database
def pause(study: str, database: str | None) -> None:
    """Take no votes for now. Raters are told so, and nothing of theirs is lost."""
    with opened(study, database) as (store, name):
        studies.set_state(store, name, "paused")


@click.command(epilog="Example: sreval study resume ledig2017")
@study_and_database
def resume(study: str, database: str | None) -> None:
    """Take votes again after a pause."""
    with opened(study, database) as (store, name):
        studies.set_state(store, name, "open")


@click.command(epilog="Example: sreval study close ledig2017")
@study_and_database
@YES
def close(study: str, database: str | None, yes: bool) -> None:
    """Take no votes any more, for good."""
    with opened(study, database) as (store, name):
        seen = overview(store, name)
        going = sum(row.outcome is None for row in seen.raters)
        if not yes:
            click.confirm(
                f"{name}: {seen.complete} of {seen.target} raters are complete, {going} are still "
                "at it. Close it for good?",
                abort=True,
                err=True,
            )
        studies.set_state(store, name, "closed")


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
    with opened(study, database) as (store, name):
        released = raters.release(store, name, dt.timedelta(days=idle_days), rater)
    click.echo("\n".join(released) if released else "Nobody was idle for so long.")


@click.command("delete-rater", epilog="Example: sreval study delete-rater ledig2017 r-7kq2mf")
@study_and_database
@click.argument("rater")
@YES
def delete_rater(study: str, database: str | None, rater: str, yes: bool) -> None:
    """Delete all that is stored of a rater, for good; a count stays.

    Backups and exports made before still hold it: delete them too.
    """
    with opened(study, database) as (store, name):
        if not yes:
            typed = click.prompt(f"Type {name} to delete {rater} and all their votes", err=True)
            if typed != name:
                raise UsageError(f"{typed!r} is not {name!r}: nothing was deleted.")
        privacy.delete_rater(store, name, rater)


@click.command(epilog="Example: sreval study upgrade ledig2017")
@study_and_database
def upgrade(study: str, database: str | None) -> None:
    """Bring the database's tables to those of this version. Back it up before."""
    _, url = where(study, database)
    store = Store(parse_url(url))
    try:
        before = store.check_schema()
        store.upgrade()
    finally:
        store.dispose()
    click.echo(f"{store.name}: {'nothing to do' if before == 'current' else 'upgraded'}.")


def _last_moment(expires: dt.datetime | None) -> dt.datetime | None:
    until = expires.replace(tzinfo=dt.UTC) if expires else None
    if until and until <= dt.datetime.now(dt.UTC):
        raise UsageError(f"--expires {until:%Y-%m-%d %H:%M} UTC is over.", "Name a later time.")
    return until


@contextmanager
def _registered(study: str, database: str | None) -> Iterator[tuple[Store, str]]:
    """As `opened`, the study entered where it isn't yet."""
    folder = find("studies", study)
    design, manifest = load_design(folder), load_manifest(folder)
    url = default_url(folder, database)
    assert url is not None
    store = open_store(url, create=True)
    try:
        studies.register(store, design, manifest)
        yield store, design.name
    finally:
        store.dispose()


def _kind(
    is_open: bool, kiosk: bool, rater: str | None, count: int, quota: int | None
) -> invitations.InvitationKind:
    if is_open + kiosk + bool(rater) > 1:
        raise UsageError("--open, --kiosk and --for exclude each other.", "Name one.")
    if (is_open or kiosk or rater) and count > 1:
        raise UsageError(f"--count {count} belongs to personal links.", "Omit it.")
    if quota and not (is_open or kiosk):
        raise UsageError("--quota belongs to --open or --kiosk.", "Add one, or omit it.")
    return "open" if is_open else "kiosk" if kiosk else "personal"
