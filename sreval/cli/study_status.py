"""``sreval study status``: a study at a glance."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from sreval.cli.output import columns, print_json
from sreval.cli.study_run import opened, study_and_database
from sreval.store import invitations
from sreval.store.overview import Overview, overview


@click.command(epilog="Example: sreval study status ledig2017 --json")
@study_and_database
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def status(study: str, database: str | None, as_json: bool) -> None:
    """Who is how far, how it ended for whom, and how often what has been rated."""
    with opened(study, database) as (store, name):
        seen, links = overview(store, name), invitations.listing(store, name)
    if as_json:
        own = [asdict(link) for link in links if link.kind != "personal" or link.rater is None]
        print_json(_plain({**asdict(seen), "links": own}))
        return
    click.echo("\n".join(_status_lines(seen, links)))


def _plain(content: Any) -> Any:
    """Times as text."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return content.isoformat() if isinstance(content, dt.datetime) else content


def _status_lines(seen: Overview, links: list[invitations.InvitationRow]) -> Iterator[str]:
    unused = sum(link.kind == "personal" and link.rater is None for link in links)
    yield f"{seen.study}: {seen.state}; {seen.complete} of {seen.target} raters complete"
    yield f"{seen.votes} votes; {seen.deleted} raters deleted; {unused} personal links unused"
    if any(row.simulated for row in seen.raters):
        yield "Some raters are SIMULATED."
    for sha256, times in seen.changed.items():
        yield f"stimuli/{sha256}.png was found changed {times} times and not shown: restore it."
    for link in links:
        if link.kind != "personal":
            quota = f" of {link.quota}" if link.quota else ""
            yield f"link {link.id} ({link.kind}): {link.used}{quota} used"
    if seen.raters:
        counts = Counter(row.outcome or "taking part" for row in seen.raters)
        yield ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        head = ["rater", "slot", "stage", "done", "sitting", "last seen (UTC)", "ended", "decided"]
        rows = [
            [
                row.rater,
                row.slot if row.holds_slot else f"({row.slot})",
                row.stage,
                f"{row.done}/{row.of}",
                row.sitting,
                f"{row.seen_at:%Y-%m-%d %H:%M}",
                row.outcome or "",
                "" if row.decided is None else "accepted" if row.decided else "refused",
            ]
            for row in seen.raters
        ]
        yield "\n" + columns([head, *rows])
    if seen.exposures:
        head = ["data set", "method", "stimuli", "votes", "fewest", "most"]
        cells = [
            [e.dataset, e.method, e.stimuli, e.votes, e.fewest, e.most] for e in seen.exposures
        ]
        yield "\n" + columns([head, *cells])
