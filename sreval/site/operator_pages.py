"""What operators look at: studies, one study, its raters, links, results and log."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pandas as pd
from flask import render_template, request, url_for

from sreval import content
from sreval.errors import UNFORESEEN, SrevalError, StatisticsError, UsageError, attempted
from sreval.opinions.mos import mos_table
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import shares
from sreval.opinions.pairs.judgements import counted_judgements
from sreval.opinions.units import interval_of
from sreval.site.current import Site, site
from sreval.site.errors import StimulusError
from sreval.site.operator import Page, RefusalError, operator, who
from sreval.store import frames, participants
from sreval.store.audit import AuditLog
from sreval.store.invitations import Links
from sreval.store.live import Live
from sreval.store.models import Study
from sreval.store.overview import Overview
from sreval.store.reminders import Reminders, idle_time
from sreval.store.studies import Studies
from sreval.study import charts
from sreval.study.check import attainable
from sreval.study.data import Monitoring, StudyData
from sreval.study.exposure import StimulusSet
from sreval.study.manifest import Manifest, load_manifest
from sreval.study.task import Choice, Scale

_LOG_PAGE = 200
_DIGITS = 10

IDLE = dt.timedelta(days=7)
"""After this long without a step, a rater or a link needs attention."""


@operator.get("/")
def studies_page() -> Page:
    """The studies in the database."""
    store = site().store
    known = Studies(store)
    found = [(known.get(name), Overview.of(store, name)) for name in known.names()]
    return render_template("operator/studies.html", found=found, served=site().design.name)


@operator.get("/studies/<name>")
def study(name: str) -> Page:
    """One study: what needs attention, how far each rater is, how its votes look."""
    page = _gather(site(), name)
    return render_template("operator/study.html", name=name, page=page, **_watched(page.data))


@operator.get("/studies/<name>/live")
def live(name: str) -> Page:
    """Who rates at this moment; the page's script asks for `live_now` again and again."""
    return render_template("operator/live.html", name=name, live=Live.of(site().store, name))


@operator.get("/studies/<name>/live/now")
def live_now(name: str) -> Page:
    """The part of the live page that changes."""
    return render_template("operator/_live.html", name=name, live=Live.of(site().store, name))


@dataclass(frozen=True)
class _Need:
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
class _StudyPage:
    """A study as its page shows it. ``data`` is None where ``without`` says why."""

    row: Study
    seen: Overview
    data: StudyData | None
    without: str
    flags: dict[str, list[str]]
    needs: list[_Need]
    unjudged: list[str]
    histogram: str = ""


def _gather(here: Site, name: str) -> _StudyPage:
    """All of it, as of now. Raises UsageError when the database holds no such study."""
    row, seen = Studies(here.store).get(name), Overview.of(here.store, name)
    data, without = read_data(here, name)
    found = data.monitoring.flags if data is not None else pd.DataFrame()
    unjudged = [*data.monitoring.unjudged, *_faults(data)] if data is not None else []
    flags: dict[str, list[str]] = defaultdict(list)
    for flag in found.to_dict("records"):
        flags[str(flag["rater"])].append(str(flag["flag"]))
    now = here.store.clock()
    needs = [*_of_study(here, row, seen, now), *_of_raters(seen, found), *_idle(seen, now)]
    drawn = _histogram(data) if data is not None else ""
    return _StudyPage(row, seen, data, without, dict(flags), needs, unjudged, drawn)


def _faults(data: StudyData) -> list[str]:
    """Rules that the program fails to apply; those without any item to look at are no news."""
    return [why for why in data.monitoring.not_done if UNFORESEEN in why]


def read_data(here: Site, name: str) -> tuple[StudyData | None, str]:
    """A study's data, or the reason why they can't be read: its folder may be elsewhere."""
    try:
        return frames.study_data(here.store, name, manifest_of(here, name)), ""
    except SrevalError as error:
        return None, str(error)


def manifest_of(here: Site, name: str) -> Manifest:
    """The stimuli of a study in the site's database. Raises what reading its folder raises."""
    if name == here.design.name:
        return here.manifest
    return load_manifest(content.find("studies", name))


def _histogram(data: StudyData) -> str:
    times = data.monitoring.response_times
    if not times.n:
        return ""
    return charts.columns(
        list(zip(times.labels, times.counts, strict=True)),
        f"Response times of {times.n} votes, median {times.median:.1f} s",
        "votes",
    )


def _of_study(here: Site, row: Study, seen: Overview, now: dt.datetime) -> Iterator[_Need]:
    if row.name == here.design.name:
        yield from _stimuli(here, seen)
        if not seen.raters:
            yield from _hopeless(here)
    if row.retention_over(now.date()) and seen.raters:
        yield _Need(
            row.name,
            "retention date",
            (
                f"It was {row.design.retention}, and the data of {len(seen.raters)} raters are "
                "still here.",
            ),
            "operator.steer",
        )
    if row.state == "paused":
        yield _Need(row.name, "paused", ("Raters are asked to come back later.",), "operator.steer")
    if row.state == "open" and seen.filled >= seen.target:
        yield _Need(
            row.name,
            "enough raters",
            (f"{seen.progress}: the study can be closed.",),
            "operator.steer",
        )


def _hopeless(here: Site) -> Iterator[_Need]:
    """Tests that no outcome could make significant, while the design can still be changed."""
    for found in attainable(StimulusSet.of(here.design, here.manifest.scenes)):
        if found.hopeless:
            yield _Need(found.dataset, "n too small", (f"{found.note}. {found.remedy}",))


def _stimuli(here: Site, seen: Overview) -> Iterator[_Need]:
    """Files that are gone, and those that were refused to a rater and still must be."""
    names = {s.sha256: " / ".join(s.key) for s in here.manifest.stimuli}
    missing = here.stimuli.missing()
    for sha256 in missing:
        yield _Need(names[sha256], "damaged stimulus", ("Its file is gone; put it back.",))
    for sha256 in sorted(seen.changed.keys() & names.keys() - set(missing)):
        try:
            here.stimuli.open(sha256).close()
        except StimulusError as error:
            yield _Need(names[sha256], "damaged stimulus", (str(error),))


def _of_raters(seen: Overview, flags: pd.DataFrame) -> Iterator[_Need]:
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
        yield _Need(name, ", ".join(words), reasons, "operator.rater", name)


def _idle(seen: Overview, now: dt.datetime) -> Iterator[_Need]:
    for rater in seen.raters:
        idle = now - rater.seen_at
        if rater.outcome is None and idle > IDLE:
            place = "; the place is kept for them" if rater.holds_slot else ""
            why = f"{idle.days} days since the last step, {rater.done} of {rater.of} items{place}"
            yield _Need(rater.rater, "idle", (why,), "operator.rater", rater.rater)
    unused = [
        link for link in seen.unused if link.revoked_at is None and now - link.created_at > IDLE
    ]
    if unused and seen.state != "closed":
        plural = "link is" if len(unused) == 1 else "links are"
        first = f"the first on {unused[0].created_at:%Y-%m-%d}"
        yield _Need(
            f"{len(unused)} {plural} unused",
            "links unused",
            (f"Made more than {IDLE.days} days ago, {first}.",),
            "operator.links",
        )


def _watched(data: StudyData | None) -> dict[str, Any]:
    if data is None:
        return {}
    watched = data.monitoring
    gold, repeats = watched.gold, watched.repeats
    return {
        "outcomes": watched.outcomes,
        "cells": watched.cells.to_dict("records"),
        "exposure": watched.exposure.to_dict("records"),
        "sos": watched.sos,
        "times": watched.response_times,
        "gold": {row["rater"]: row for row in gold.to_dict("records")},
        "gold_all": (int(gold["wrong"].sum()), int(gold["asked"].sum())),
        "repeats": {row["rater"]: row for row in repeats.to_dict("records")},
        "repeats_all": _over_pairs(repeats),
        "same": _of_same(watched) if data.design.task.pair else {},
    }


def _of_same(watched: Monitoring) -> dict[str, dict[Any, Any]]:
    """By rater: how many pairs of identical pictures, and the share of the left."""
    return {row["rater"]: row for row in watched.same.to_dict("records")}


def _over_pairs(repeats: pd.DataFrame) -> dict[str, float]:
    """All raters' repeats together: pairs, share of the same answer, of scores mean change."""
    pairs = int(repeats["pairs"].sum())
    if not pairs:
        return {}
    found = [name for name in ("exact", "change") if name in repeats]
    means = {name: float((repeats[name] * repeats["pairs"]).sum()) for name in found}
    return {"pairs": pairs, **{name: total / pairs for name, total in means.items()}}


@operator.get("/studies/<name>/raters/<pseudonym>")
def rater(name: str, pseudonym: str) -> Page:
    """One rater: what they did, how the rules judge it, what can be done about it."""
    return rater_page(name, pseudonym)


def _made_from(name: str) -> int:
    """What the forms of a page carry, to be asked for before anything that the page shows."""
    return AuditLog(site().store).newest(name)


def rater_page(
    name: str, pseudonym: str, error: str = "", typed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The page of a rater; ``error`` and what was ``typed`` where a form was refused."""
    here, made_from = site(), _made_from(name)
    tables = {
        table: frame[frame["rater"] == pseudonym]
        for table, frame in frames.tables(here.store, name).items()
        if "rater" in frame
    }
    row = Overview.of(here.store, name).rater(pseudonym)
    design, votes = Studies(here.store).get(name).design, tables["votes"]
    commented = votes[votes["comment"].notna()] if "comment" in votes else votes[:0]
    return render_template(
        "operator/rater.html",
        name=name,
        made_from=made_from,
        row=row,
        session=tables["sessions"].iloc[0],
        answered=_answered(votes, design.answers),
        answers=tables["answers"].to_dict("records"),
        rows=dict(row for q in design.questions for row in zip(q.fields, q.rows, strict=False)),
        comments=commented.to_dict("records"),
        checks=tables["checks"].to_dict("records"),
        events=tables["events"].to_dict("records"),
        error=error,
        typed=typed,
    )


def _answered(votes: pd.DataFrame, scale: Scale | Choice) -> str:
    """How often each answer was given, or each part of the line, on whatever was shown."""
    if votes.empty:
        return ""
    if isinstance(scale, Choice):
        counts = votes["choice"].value_counts()
        rows = [(word, float(counts.get(frames.CHOICES[n], 0))) for n, word in scale.categories]
        return charts.bars(rows, f"Answers to {len(votes)} pairs")
    if scale.line:
        counts = votes["score"].map(scale.word).value_counts()
        rows = [(word, float(counts.get(word, 0))) for word in scale.words]
    else:
        counts = votes["score"].value_counts()
        rows = [(f"{n} {word}".rstrip(), float(counts.get(n, 0))) for n, word in scale.categories]
    return charts.bars(rows, f"Scores of {len(votes)} items")


@operator.get("/studies/<name>/links")
def links(name: str) -> Page:
    """The links of a study, and the form that makes more."""
    return links_page(name)


def links_page(
    name: str,
    error: str = "",
    typed: Mapping[str, str] = MappingProxyType({}),
    key: int | None = None,
) -> str:
    """The page of links; ``error`` and what was ``typed`` where a form was refused, that of the
    link ``key`` or that which makes links."""
    made_from = _made_from(name)
    row = Studies(site().store).get(name)
    found = Links(site().store, name).listing()
    return render_template(
        "operator/links.html",
        name=name,
        made_from=made_from,
        key=key,
        row=row,
        links=found[::-1],
        now=site().store.clock(),
        error=error,
        typed=typed,
    )


@operator.get("/studies/<name>/payments")
def payments(name: str) -> Page:
    """Who is to be paid, for owners; recorded."""
    return payments_page(name)


def payments_page(
    name: str, error: str = "", typed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The list of participants; ``error`` and what was ``typed`` where a form was refused."""
    found = participants.payments(site().store, name, who().name)
    design = Studies(site().store).get(name).design
    return render_template(
        "operator/payments.html",
        name=name,
        rows=found.to_dict("records"),
        unlisted=found.attrs["unlisted"],
        keep=design.panel.keep if design.panel else (),
        codes=design.outcomes.has_codes,
        ids=design.panel is not None,
        error=error,
        typed=typed,
    )


@operator.get("/studies/<name>/reminders")
def reminders(name: str) -> Page:
    """Who is to be reminded, after how many idle days the address says."""
    try:
        return reminders_page(name, request.args.get("days", ""))
    except UsageError as error:
        return reminders_page(name, "", str(error)), 422


def reminders_page(name: str, days: str = "", error: str = "") -> str:
    """The page of reminders; ``error`` where a form was refused. Raises UsageError as
    `idle_time`."""
    here, made_from, idle = site(), _made_from(name), idle_days(days)
    row = Studies(here.store).get(name)
    due = Reminders(here.store, name).due(idle) if row.state == "open" else None
    return render_template(
        "operator/reminders.html",
        name=name,
        made_from=made_from,
        row=row,
        due=due,
        days=f"{idle / dt.timedelta(days=1):.15g}",
        served=here.design.name == name,
        error=error,
    )


def idle_days(text: str) -> dt.timedelta:
    """The days of a form; a day where none are given. Raises UsageError as `idle_time`."""
    return idle_time(text if text.strip() else 1)


@operator.get("/studies/<name>/steer")
def steer(name: str) -> Page:
    """Pause, resume, close, export; and deletion after the retention date."""
    return steer_page(name)


def steer_page(name: str, error: str = "") -> str:
    """The page of a study's state; ``error`` where a form was refused."""
    store, made_from = site().store, _made_from(name)
    row, seen = Studies(store).get(name), Overview.of(store, name)
    return render_template(
        "operator/steer.html",
        name=name,
        made_from=made_from,
        row=row,
        seen=seen,
        due=row.retention_over(store.clock().date()),
        error=error,
    )


@operator.get("/studies/<name>/results")
def results(name: str) -> Page:
    """Mean scores or preferences, after the end or in a look that the design allows; recorded."""
    data, without = read_data(site(), name)
    if data is not None:
        frames.record_look(site().store, data, who=who().name)
    shown = data is not None and not data.hidden and not data.opinions.empty
    made = (_shares if data.design.task.pair else _means)(data) if data and shown else []
    return render_template(
        "operator/results.html", name=name, data=data, without=without, tables=made
    )


def _shares(data: StudyData) -> list[dict[str, Any]]:
    """A table and a chart of preference shares for each data set, pairs in the design's order."""
    judged, _ = attempted(lambda: replace(data, votes=data.analysed).judgements)
    if judged is None:
        return []
    made = []
    for part in data.design.images.datasets:
        own = counted_judgements(judged[judged["dataset"] == part.name])
        known = {*own["left"], *own["right"]}
        methods = [method for method in data.design.images.methods if method in known]
        if own.empty:
            continue
        found = shares(Comparisons.of(own, methods), data.design.analysis.unit)
        drawn = [
            charts.Estimate(
                f"{one.first} over {one.second}",
                100 * one.share.estimate, 100 * one.share.low, 100 * one.share.high,
                f"{one.n:g} judgements",
            )
            for one in found
        ]  # fmt: skip
        about = f"Preference shares on {part.name} with 95% intervals, ties half"
        chart = charts.estimates(drawn, 0, 100, about, unit="%")
        made.append({"dataset": part.name, "rows": found, "chart": chart})
    return made


def _means(data: StudyData) -> list[dict[str, Any]]:
    """A table and a chart for each data set with accepted votes, in the design's order."""
    try:
        rows = mos_table(
            data.analysed,
            interval=interval_of(data.design.analysis.unit),
            scale=data.design.scale.numbers,
        )
    except StatisticsError:
        return []
    made = []
    for part in data.design.images.datasets:
        order = {method: place for place, method in enumerate(data.design.images.methods)}
        own = rows[rows["dataset"] == part.name]
        own = own.loc[own["method"].map(order).sort_values().index]
        if len(own):
            made.append(
                {
                    "dataset": part.name,
                    "rows": own.to_dict("records"),
                    "chart": _drawn(own, data.design.scale),
                }
            )
    return made


def _drawn(rows: pd.DataFrame, scale: Scale) -> str:
    drawn = [
        charts.Estimate(
            row["method"], row["mos"], row["low"], row["high"], f"{row['n_votes']} votes"
        )
        for row in rows.to_dict("records")
    ]
    return charts.estimates(drawn, scale.low, scale.high, "Mean opinion scores with 95% intervals")


def _before(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise RefusalError(400, "There is no such page of the log", "Begin at its newest page.")
    return int(text) if text else None


@operator.get("/studies/<name>/log")
def log(name: str) -> Page:
    """Who did what to this study and to accounts, newest first."""
    Studies(site().store).get(name)
    before = _before(request.args.get("before", ""))
    entries = AuditLog(site().store).entries(name, before=before, limit=_LOG_PAGE)
    older = (
        url_for("operator.log", name=name, before=entries[-1].id)
        if len(entries) == _LOG_PAGE
        else ""
    )
    return render_template("operator/log.html", name=name, entries=entries, older=older)
