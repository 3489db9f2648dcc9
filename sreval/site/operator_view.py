"""What an operator's page of a study shows, gathered before it is drawn."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import select

from sreval import content
from sreval.errors import UNFORESEEN, SrevalError
from sreval.site.context import Site
from sreval.site.images import StimulusError
from sreval.store import invitations, studies
from sreval.store.database import Store
from sreval.store.frames import study_data
from sreval.store.invitations import InvitationRow
from sreval.store.models import Event, Session
from sreval.store.overview import Overview, RaterRow, overview
from sreval.store.raters import retention_over
from sreval.store.studies import StudyRow
from sreval.study import charts, monitor
from sreval.study.attainable import attainable
from sreval.study.data import StudyData
from sreval.study.manifest import Manifest, load_manifest
from sreval.study.parts import parts_of, pool_of

IDLE = dt.timedelta(days=7)
"""After this long without a step, a rater or a link needs attention."""


@dataclass(frozen=True)
class Need:
    """Something that needs attention: whom or what it is about, why, and which page helps.

    ``why`` holds single reasons, each possibly in an operator's own words. ``page`` is an
    endpoint of the blueprint, ``rater`` its argument where it has one.
    """

    what: str
    flag: str
    why: tuple[str, ...]
    page: str = ""
    rater: str = ""


@dataclass(frozen=True)
class StudyPage:
    """A study as its page shows it. ``data`` is None where ``without`` says why."""

    row: StudyRow
    seen: Overview
    links: list[InvitationRow]
    data: StudyData | None
    without: str
    flags: dict[str, list[str]]
    needs: list[Need]
    unjudged: list[str]
    times: monitor.ResponseTimes | None = None
    histogram: str = ""

    @property
    def under_way(self) -> int:
        """Raters who have not ended."""
        return sum(rater.outcome is None for rater in self.seen.raters)


def gather(here: Site, name: str) -> StudyPage:
    """All of it, as of now. Raises UsageError when the database holds no such study."""
    row, seen = studies.get(here.store, name), overview(here.store, name)
    links = invitations.listing(here.store, name)
    data, without = read_data(here, name)
    findings = monitor.findings(data) if data is not None else None
    found = findings.flags if findings else pd.DataFrame()
    unjudged = [*findings.unjudged, *_faults(findings)] if findings else []
    flags: dict[str, list[str]] = defaultdict(list)
    for flag in found.to_dict("records"):
        flags[str(flag["rater"])].append(str(flag["flag"]))
    now = here.store.clock()
    needs = [*_of_study(here, row, seen, now), *_of_raters(seen, found), *_idle(seen, links, now)]
    times = monitor.response_times(data.votes) if data is not None else None
    return StudyPage(
        row, seen, links, data, without, dict(flags), needs, unjudged, times, _histogram(times)
    )


def _faults(findings: monitor.Findings) -> list[str]:
    """Rules that the program fails to apply; those without any item to look at are no news."""
    return [why for why in findings.not_done if UNFORESEEN in why]


def read_data(here: Site, name: str) -> tuple[StudyData | None, str]:
    """A study's data, or the reason why they can't be read: its folder may be elsewhere."""
    try:
        return study_data(here.store, name, manifest_of(here, name)), ""
    except SrevalError as error:
        return None, str(error)


def manifest_of(here: Site, name: str) -> Manifest:
    """The stimuli of a study in the site's database. Raises what reading its folder raises."""
    if name == here.design.name:
        return here.manifest
    return load_manifest(content.find("studies", name))


def _histogram(times: monitor.ResponseTimes | None) -> str:
    if times is None or not times.n:
        return ""
    return charts.columns(
        list(zip(times.labels, times.counts, strict=True)),
        f"Response times of {times.n} votes, median {times.median:.1f} s",
        "votes",
    )


def _of_study(here: Site, row: StudyRow, seen: Overview, now: dt.datetime) -> Iterator[Need]:
    if row.name == here.design.name:
        yield from _stimuli(here, row)
        if not seen.raters:
            yield from _hopeless(here)
    if retention_over(row.design, now.date()) and seen.raters:
        yield Need(
            row.name,
            "retention date",
            (
                f"It was {row.design.retention}, and the data of {len(seen.raters)} raters are "
                "still here.",
            ),
            "operator.steer",
        )
    if row.state == "paused":
        yield Need(row.name, "paused", ("Raters are asked to come back later.",), "operator.steer")
    if row.state == "open" and seen.complete >= seen.target:
        yield Need(
            row.name,
            "enough raters",
            (f"{seen.complete} of {seen.target} raters are complete: the study can be closed.",),
            "operator.steer",
        )


def _hopeless(here: Site) -> Iterator[Need]:
    """Tests that no outcome could make significant, while the design can still be changed."""
    for found in attainable(here.design, parts_of(here.design, pool_of(here.manifest))):
        if found.hopeless:
            yield Need(found.dataset, "n too small", (f"{found.note}. {found.remedy}",))


def _stimuli(here: Site, row: StudyRow) -> Iterator[Need]:
    """Files that are gone, and those that were refused to a rater and still must be."""
    names = {s.sha256: " / ".join(s.key) for s in here.manifest.stimuli}
    missing = here.shelf.missing()
    for sha256 in missing:
        yield Need(names[sha256], "damaged stimulus", ("Its file is gone; put it back.",))
    for sha256 in sorted(_refused(here.store, row.id) & names.keys() - set(missing)):
        try:
            here.shelf.read(sha256)
        except StimulusError as error:
            yield Need(names[sha256], "damaged stimulus", (str(error),))


def _refused(store: Store, study_id: int) -> set[str]:
    query = (
        select(Event.facts)
        .join(Session, Session.id == Event.session_id)
        .where(Session.study_id == study_id, Event.kind == "stimulus-changed")
    )
    with store.read() as tx:
        facts = pd.Series(tx.scalars(query).all(), dtype=object)
    return set(facts.str.extract(r'"sha256": "(\w+)"')[0].dropna()) if len(facts) else set()


def _of_raters(seen: Overview, flags: pd.DataFrame) -> Iterator[Need]:
    """A row per flagged rater on whom nobody has decided yet, those whose votes don't count first.

    Who is under way can still see the stimuli that the rules miss, so that isn't told of them.
    """
    open_cases = {rater.rater: rater for rater in seen.raters if rater.decided is None}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for flag in flags.to_dict("records"):
        rater = open_cases.get(str(flag["rater"]))
        if rater is not None and (rater.outcome is not None or flag["flag"] != "not used"):
            found[rater.rater].append((str(flag["flag"]), str(flag["reason"])))
    for name, told in found.items():
        words, reasons = zip(*told, strict=True)
        yield Need(name, ", ".join(words), reasons, "operator.rater", name)


def _idle(seen: Overview, links: list[InvitationRow], now: dt.datetime) -> Iterator[Need]:
    for rater in seen.raters:
        if rater.outcome is None and now - rater.seen_at > IDLE:
            yield Need(
                rater.rater, "idle", (_idle_reason(rater, now),), "operator.rater", rater.rater
            )
    unused = [
        link
        for link in links
        if link.kind == "personal"
        and not link.used
        and link.revoked_at is None
        and now - link.created_at > IDLE
    ]
    if unused and seen.state != "closed":
        plural = "link is" if len(unused) == 1 else "links are"
        first = f"the first on {unused[0].created_at:%Y-%m-%d}"
        yield Need(
            f"{len(unused)} {plural} unused",
            "links unused",
            (f"Made more than {IDLE.days} days ago, {first}.",),
            "operator.links",
        )


def _idle_reason(rater: RaterRow, now: dt.datetime) -> str:
    place = "; the place is kept for them" if rater.holds_slot else ""
    days = (now - rater.seen_at).days
    return f"{days} days since the last step, {rater.done} of {rater.of} items{place}"
