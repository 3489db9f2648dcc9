"""``sreval study invite | status | pause | export ...``: a study while raters take part, and after.

All these commands work on the study's database.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sreval.api import Study
from sreval.cli.shared import BASE_URL, PATH, json_option, on_study, print_json, warn
from sreval.errors import Exit, UsageError, counted, cut, listed
from sreval.report.text import columns

if TYPE_CHECKING:
    from sreval.store.reminders import Reminder

LINK = click.argument("link", type=int)
FILE = click.argument("file", type=click.Path(path_type=Path, exists=True))
_WIDEST = 36
"""Letters of a cell of the table of payments: as many as a UUID has."""
YES = click.option("--yes", is_flag=True, help="Don't ask.")


def _day(_: click.Context, __: click.Parameter, value: dt.datetime | None) -> dt.date | None:
    return None if value is None else value.date()


EXPIRES = click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_day,
    help="Last day on which a rater may begin, to its end in UTC; resuming works on.",
)


@click.command(
    epilog="Example: sreval study invite ledig2017 --count 26 --base-url https://rate.example.org"
)
@on_study
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option(
    "--open",
    "is_open",
    is_flag=True,
    help="One link for everybody, up to --quota; without it for any number.",
)
@click.option("--kiosk", is_flag=True, help="One link for a laboratory's machine.")
@click.option(
    "--quota", type=click.IntRange(1), help="How many raters an open or kiosk link lets in."
)
@click.option("--for", "rater", metavar="RATER", help="A new link for a rater who lost theirs.")
@click.option(
    "--label",
    default="",
    help="A note of your own, numbered where there are several; exported (link_label in "
    "sessions.csv), so write no names.",
)
@click.option("--group", help="The group of the design that the link leads to.")
@EXPIRES
@BASE_URL
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False))
def invite(
    study: Study,
    is_open: bool,
    kiosk: bool,
    rater: str | None,
    csv_file: Path | None,
    **chosen: Any,
) -> None:
    """Make links and print them. Nobody can look them up later: only their hashes are stored.

    Without --open, --kiosk and --for each link is for one rater.
    """
    if is_open + kiosk + bool(rater) > 1:
        raise UsageError("--open, --kiosk and --for exclude each other.", "Name one.")
    kind: Literal["personal", "open", "kiosk"]
    kind = "open" if is_open else "kiosk" if kiosk else "personal"
    if csv_file and csv_file.exists():
        raise UsageError(f"{csv_file} exists already.", "Name a new file.")
    made = study.invite(kind=kind, rater=rater, **chosen)
    if csv_file:
        from sreval.files import write_atomic
        from sreval.store.csvs import rows_to_csv

        write_atomic(csv_file, rows_to_csv(("id", "label", "link"), made), private=True)
        click.echo(str(csv_file))
    else:
        click.echo("\n".join(link for _, _, link in made))


@click.command(epilog="Example: sreval study status ledig2017 --json")
@on_study
@json_option()
def status(study: Study, as_json: bool) -> None:
    """Show each rater's progress and outcome, and the number of votes on each method."""
    found = study.status()
    if as_json:
        print_json(found.records())
    else:
        click.echo(found.text)


@click.command(
    epilog="Example: sreval study reminders ledig2017 --renew --out reminders.csv "
    "--base-url https://rate.example.org"
)
@on_study
@click.option(
    "--idle-days",
    type=float,
    default=1.0,
    show_default=True,
    help="Those who could have gone on for so long, 0 to 3650.",
)
@click.option("--renew", is_flag=True, help="Make a new link for each; the old ones stop working.")
@BASE_URL
@click.option("--out", type=PATH, help="Write a new CSV file instead, for your eyes alone.")
@json_option()
def reminders(
    study: Study,
    idle_days: float,
    renew: bool,
    base_url: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """List who is to be reminded: raters whose rest is over, links that nobody opened.

    Links are stored as hashes and can't be shown again. Find each in your own list by its number
    or note; or let --renew make new ones, which are printed once. Who came by an open or kiosk
    link is counted only: nobody knows where to write to.
    """
    from sreval.store.reminders import listing

    if out and out.exists():
        raise UsageError(f"{out} exists already.", "Name a new file.")
    found = study.reminders(idle_days=idle_days)
    due: Sequence[Reminder] = found.reminders
    if renew:
        with _reserved(out):  # a link that can't be written is lost, and the old one gone
            due = study.renew_links(idle_days=idle_days, base_url=base_url)
    heads, rows = listing(due, renewed=renew)
    if out:
        from sreval.files import write_atomic
        from sreval.store.csvs import rows_to_csv

        write_atomic(out, rows_to_csv(heads, rows), private=True)
        click.echo(str(out))
    elif as_json:
        print_json({"unknown": found.unknown, "reminders": [*map(_record, due)]})
    else:
        click.echo(columns([heads, *rows]) if rows else "Nobody is to be reminded.")
    if found.unknown and not as_json:
        warn(f"{counted(found.unknown, 'more rater')} came by an open or kiosk link.")


@contextmanager
def _reserved(out: Path | None) -> Iterator[None]:
    """Make the file before that which it is for; no file is left of what fails."""
    from sreval.files import write_atomic

    if out is None:
        yield
        return
    write_atomic(out, b"", private=True)
    try:
        yield
    except BaseException:
        out.unlink()
        raise


def _record(one: Reminder) -> dict[str, object]:
    record = {**asdict(one), "since": one.since.isoformat()}
    return record if one.address else {k: v for k, v in record.items() if k != "address"}


@click.command(epilog="Example: sreval study revoke ledig2017 12")
@on_study
@LINK
def revoke(study: Study, link: int) -> None:
    """Disable a link, by its number; votes cast through it stay."""
    study.revoke(link)


@click.command(epilog="Example: sreval study extend ledig2017 12 --quota 60")
@on_study
@LINK
@click.option("--quota", type=click.IntRange(1), help="How many raters it lets in, all in all.")
@EXPIRES
def extend(study: Study, link: int, quota: int | None, expires: dt.date | None) -> None:
    """Let more raters begin by a link, or for longer, by its number."""
    study.extend(link, quota=quota, expires=expires)


@click.command(epilog="Example: sreval study pause ledig2017")
@on_study
def pause(study: Study) -> None:
    """Pause the study: no vote is accepted until `sreval study resume`.

    Raters see a notice, and keep what they have done."""
    study.pause()


@click.command(epilog="Example: sreval study resume ledig2017")
@on_study
def resume(study: Study) -> None:
    """Accept votes again after a pause."""
    study.resume()


@click.command(epilog="Example: sreval study close ledig2017")
@on_study
@YES
def close(study: Study, yes: bool) -> None:
    """End the study for good: no vote is accepted afterwards."""
    if not yes:
        seen = study.status().overview
        click.confirm(
            f"{seen.study}: {seen.progress}; {seen.under_way} under way. Close it for good?",
            abort=True,
            err=True,
        )
    study.close()


@click.command(epilog="Example: sreval study release ledig2017 --idle-days 7")
@on_study
@click.argument("rater", nargs=-1)
@click.option(
    "--idle-days",
    type=float,
    default=14.0,
    show_default=True,
    help="Those who did nothing for so long, 0 to 3650.",
)
def release(study: Study, rater: tuple[str, ...], idle_days: float) -> None:
    """End the sessions of drop-outs, so that the next raters take their places.

    Their votes stay; whether those are used is up to the design's rules.
    """
    released = study.release(rater, idle_days=idle_days)
    click.echo("\n".join(released) if released else "Nobody was idle for so long.")


@click.command("delete-rater", epilog="Example: sreval study delete-rater ledig2017 r-7kq2mf")
@on_study
@click.argument("rater", required=False)
@click.option(
    "--participant", metavar="ID", help="Whom a panel sent under this id, in RATER's place."
)
@YES
def delete_rater(study: Study, rater: str | None, participant: str | None, yes: bool) -> None:
    """Delete all that is stored of a rater, for good; a count stays.

    Backups and exports made before still hold it: delete them too.
    """
    if (rater is None) == (participant is None):
        raise UsageError("Whose data?", "Name either RATER or --participant ID.")
    if participant is not None:
        if not yes:
            done = counted(study.rated_by(participant), "item")
            _confirm(study.name, f"participant {participant} and the {done} that they rated")
        study.delete_participant(participant)
    elif rater is not None:
        if not yes:
            done = counted(study.status().overview.rater(rater).done, "item")
            _confirm(study.name, f"{rater} and the {done} that they rated")
        study.delete_rater(rater)


@click.command(epilog="Example: sreval study payments ledig2017 --out payments.csv")
@on_study
@click.option("--out", type=PATH, help="A new .csv file, for you alone to read.")
@json_option()
def payments(study: Study, out: Path | None, as_json: bool) -> None:
    """List who is to be paid: participants by their panel's ids, or by their codes.

    It names no rater and no session. Keep it apart from exports: side by side, their times could
    tell whose votes are whose. The audit log keeps that it was seen.
    """
    if out and out.exists():
        raise UsageError(f"{out} exists already.", "Name a new file.")
    found = study.payments()
    if as_json:
        times = {name: found[name].map(_iso) for name in ("began", "ended")}
        print_json(found.assign(**times).to_dict("records"))
    elif out is None:
        click.echo(
            columns([list(found), *([_told(cell) for cell in row] for row in found.to_numpy())])
        )
    if missing := found.attrs["unlisted"]:
        warn(missing)
    if out:
        from sreval.files import write_atomic
        from sreval.store.csvs import to_csv

        write_atomic(out, to_csv(found), private=True)
        click.echo(str(out), err=as_json)


def _iso(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _told(cell: object) -> str:
    """A cell as a terminal shows it: a panel's long parameter would push the others away."""
    if isinstance(cell, dt.datetime):
        return f"{cell:%Y-%m-%d %H:%M}"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "-" if cell is None else cut(str(cell), _WIDEST)


@click.command(epilog="Example: sreval study purge ledig2017")
@on_study
@YES
def purge(study: Study, yes: bool) -> None:
    """Delete all raters' data once the design's retention date has come; a count stays.

    Backups and exports made before still hold them: delete those too.
    """
    name = study.name
    if not yes:
        seen = study.status().overview
        raters, votes = counted(len(seen.raters), "rater"), counted(seen.votes, "vote")
        _confirm(name, f"{raters} and {votes} of this study")
    click.echo(f"{name}: the data of {study.purge()} raters are deleted.")


def _confirm(name: str, what: str) -> None:
    """Raise UsageError unless the study's name is typed before ``what`` is deleted."""
    typed = click.prompt(f"Type {name} to delete {what}", err=True)
    if typed != name:
        raise UsageError(f"{typed!r} is not {name!r}: nothing was deleted.")


@click.command(epilog="Example: sreval study export ledig2017 --out ledig2017.zip")
@on_study
@click.option("--out", type=PATH, help="A new .zip or folder.")
def export(study: Study, out: Path | None) -> None:
    """Write votes, plans, sessions, answers and events as CSV files, with the design.

    docs/reference/data-dictionary.md says what every column means. No link and no secret is in it.
    The file `votes.csv` is what `sreval opinions` and `sreval table --ratings` read. Before the
    study is closed an export counts as a look at results: the audit log keeps it, the report
    tells it.
    """
    click.echo(str(study.export(out)))


@click.command("import", epilog="Example: sreval study import ledig2017 ledig2017.zip")
@on_study
@FILE
@click.option("--site", help="Join another site's votes to those here, its sessions so named.")
@json_option("Machine-readable summary.")
def import_command(study: Study, file: Path, site: str | None, as_json: bool) -> None:
    """Store an export of STUDY: the whole study, or the sessions that are lacking here.

    With --site two sites that ran the same design become one study: import each one's export into
    one database, each under its name.

    Raters who were deleted here stay deleted. Links aren't in an export; give raters who are to
    go on new ones: sreval study invite --for RATER. Of a backup STUDY is stored, too, without its
    links, operators and log.
    """
    brought = study.import_(file, site=site)
    if as_json:
        print_json({**asdict(brought), "site": site})
        return
    updated = f", {brought.updated} of them brought up to date" if brought.updated else ""
    click.echo(
        f"{brought.study}: {counted(brought.sessions, 'session')} stored, {brought.present} were "
        f"here already{updated}, {brought.deleted} of deleted raters left out."
    )


@click.command(epilog="Example: sreval study backup ledig2017 --out ledig2017.backup.zip")
@on_study
@click.option("--out", type=PATH, help="A new file.")
def backup(study: Study, out: Path | None) -> None:
    """Copy the whole database, also while raters vote. Keep the copy as safe as the original.

    The copy is a zip of CSV files: those of an export, with links, operators and log besides. All
    studies of the database are in it. A database with older tables is copied, too.
    """
    click.echo(str(study.backup(out)))


@click.command(epilog="Example: sreval study restore ledig2017 ledig2017.backup.zip")
@on_study
@FILE
@click.option("--overwrite", is_flag=True, help="Also where raters took part.")
def restore(study: Study, file: Path, overwrite: bool) -> None:
    """Put a backup into the database's place, at once or not at all; stop the server before.

    All studies of the database are replaced, not STUDY alone: without --overwrite they are listed
    with the votes that the backup lacks. Raters who were deleted since the backup stay deleted.
    A backup of SQLite may go into PostgreSQL, and the other way round.
    """
    brought = study.restore(file, overwrite=overwrite)
    click.echo(
        f"Restored: {', '.join(brought.studies)}. "
        f"{counted(brought.deleted, 'rater')} of the backup, deleted since, left out."
    )


@click.command(epilog="Example: sreval study upgrade ledig2017")
@on_study
@click.option("--check", is_flag=True, help="Change nothing: say what would be done.")
@click.option("--begin", is_flag=True, help="Also where SREVAL_CREATE_TABLES is no.")
def upgrade(study: Study, check: bool, begin: bool) -> None:
    """Bring the database's tables to those of this version. Back it up before: study backup.

    An empty database gets its tables; where SREVAL_CREATE_TABLES is no, only with --begin. The
    command may be run again, and by several machines at once: one does it, the others wait. With
    --check the exit code is 1 where there is anything to do.
    """
    name, steps = study.upgrade(dry=check, begin=begin)
    done = "to be upgraded" if check else "upgraded"
    click.echo(f"{name}: {f'{done}, by {listed(steps)}' if steps else 'nothing to do'}.")
    if check and steps:
        raise SystemExit(Exit.FAILED)
