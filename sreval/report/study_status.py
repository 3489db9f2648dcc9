"""A study's status in words, and as what ``--json`` prints; pandas is not needed for it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from sreval.errors import counted
from sreval.report.text import columns

if TYPE_CHECKING:
    from sreval.store.invitations import InvitationRow
    from sreval.store.overview import Overview, RaterRow


@dataclass(frozen=True)
class Status:
    """Who is how far, and how often what has been rated, as of one moment.

    ``overview`` holds the state and the counts, ``links`` the links without their secrets.
    ``changes`` says how study.toml isn't the design that raters began with, if it isn't.
    """

    overview: Overview
    changes: str = ""

    @property
    def links(self) -> list[InvitationRow]:
        """All links, oldest first."""
        return list(self.overview.links)

    @property
    def text(self) -> str:
        """What ``sreval study status`` prints."""
        return "\n".join(_status_lines(self.overview, self.changes))

    def records(self) -> dict[str, Any]:
        """What ``sreval study status --json`` prints."""
        own = [asdict(link) for link in self.links if link.kind != "personal" or not link.rater]
        made: dict[str, Any] = _plain(
            {**asdict(self.overview), "links": own, "design_changes": self.changes}
        )
        return made

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


def _plain(content: Any) -> Any:
    """Times as text."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return content.isoformat() if isinstance(content, dt.datetime) else content


def _status_lines(seen: Overview, changes: str) -> Iterator[str]:
    unused = len(seen.unused)
    yield f"{seen.study}: {seen.state}; {seen.progress}"
    rated = counted(seen.votes, "item")
    gone = f"{counted(seen.deleted, 'rater')} deleted"
    yield f"{rated} rated; {gone}; {counted(unused, 'personal link')} unused"
    if changes:
        yield changes
    if seen.simulated:
        yield "Some raters are SIMULATED."
    for sha256, times in seen.changed.items():
        yield f"stimuli/{sha256}.png was found changed {times} times and not shown: restore it."
    for link in seen.links:
        if link.kind != "personal":
            quota = f" of {link.quota}" if link.quota else ""
            to = f", group {link.group}" if link.group else ""
            yield f"link {link.id} ({link.kind}{to}): {link.used}{quota} used"
    if seen.raters:
        counts = Counter(row.outcome or "taking part" for row in seen.raters)
        yield ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        grouped = any(row.group for row in seen.raters)
        head = [
            "rater",
            *["group"] * grouped,
            "place",
            "stage",
            "done",
            "sitting",
            "last seen (UTC)",
            "ended",
            "used",
        ]
        rows = [
            [
                row.rater,
                *[row.group] * grouped,
                row.slot + 1 if row.holds_slot else f"({row.slot + 1})",
                row.stage,
                f"{row.done}/{row.of}",
                row.sitting,
                f"{row.seen_at:%Y-%m-%d %H:%M}",
                row.outcome or "",
                _used(row),
            ]
            for row in seen.raters
        ]
        yield "\n" + columns([head, *rows])
        if not all(row.holds_slot for row in seen.raters):
            yield "(n): place n is free for another rater, or given on."
        yield "done: of all items, examples and practice with them."
    if seen.exposures_hidden:
        yield (
            "\nHow often each pair was judged is hidden until the study is closed: the plan is "
            "active, so the counts tell results."
        )
    if seen.exposures:
        pairs = any(exposure.against for exposure in seen.exposures)
        voted, *what = ("judgements", "pair", "images") if pairs else ("votes", "method", "stimuli")
        yield f"\n{voted.capitalize()} of the raters who hold a place:"
        head = ["data set", *what, voted, "fewest", "most"]
        cells = [
            [
                e.dataset,
                f"{e.method}, {e.against}" if e.against else e.method,
                *(e.stimuli, e.votes, e.fewest, e.most),
            ]
            for e in seen.exposures
        ]
        yield columns([head, *cells])


def _used(row: RaterRow) -> str:
    if row.used is None:
        return ""
    by = " (decided)" if row.decided is not None else ""
    return f"{'yes' if row.used else 'no'}{by}"
