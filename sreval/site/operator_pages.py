"""What operators look at: studies, one study, its raters, links, results and log."""

from __future__ import annotations

from typing import Any

import pandas as pd
from flask import render_template, request, url_for

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.opinion import mos_table
from sreval.site.context import site
from sreval.site.operator import Page, RefusalError, operator, who
from sreval.site.operator_view import gather, read_data
from sreval.store import audit, frames, invitations, studies
from sreval.store.overview import overview
from sreval.store.raters import retention_over
from sreval.study import charts, monitor
from sreval.study.data import StudyData

_LOG_PAGE = 200
_DIGITS = 10


@operator.get("/")
def studies_page() -> Page:
    """The studies in the database."""
    store = site().store
    found = [(studies.get(store, name), overview(store, name)) for name in studies.names(store)]
    return render_template("operator/studies.html", found=found, served=site().design.name)


@operator.get("/studies/<name>")
def study(name: str) -> Page:
    """One study: what needs attention, how far each rater is, how its votes look."""
    page = gather(site(), name)
    return render_template("operator/study.html", name=name, page=page, **_watched(page.data))


def _watched(data: StudyData | None) -> dict[str, Any]:
    if data is None:
        return {}
    gold = monitor.gold_results(data.votes, data.design)
    repeats = monitor.repeat_results(data.votes, data.design)
    return {
        "outcomes": monitor.outcomes(data),
        "cells": {(c["dataset"], c["method"]): c for c in monitor.cells(data).to_dict("records")},
        "exposure": monitor.exposure(data).to_dict("records"),
        "sos": monitor.sos(data),
        "gold": {row["rater"]: row for row in gold.to_dict("records")},
        "gold_all": (int(gold["wrong"].sum()), int(gold["asked"].sum())),
        "repeats": {row["rater"]: row for row in repeats.to_dict("records")},
        "repeats_all": _over_pairs(repeats),
    }


def _over_pairs(repeats: pd.DataFrame) -> dict[str, float]:
    """All raters' repeats together: pairs, share of the same score, mean change."""
    pairs = int(repeats["pairs"].sum())
    if not pairs:
        return {}
    means = {name: float((repeats[name] * repeats["pairs"]).sum()) for name in ("exact", "change")}
    return {"pairs": pairs, **{name: total / pairs for name, total in means.items()}}


@operator.get("/studies/<name>/raters/<pseudonym>")
def rater(name: str, pseudonym: str) -> Page:
    """One rater: what they did, how the rules judge it, what can be done about it."""
    return rater_page(name, pseudonym)


def rater_page(name: str, pseudonym: str, error: str = "", **typed: str) -> str:
    """The page of a rater; ``error`` and what was ``typed`` where a form was refused."""
    here = site()
    tables = {
        table: frame[frame["rater"] == pseudonym]
        for table, frame in frames.tables(here.store, name).items()
        if "rater" in frame
    }
    found = overview(here.store, name).raters
    row = next((rater for rater in found if rater.rater == pseudonym), None)
    if row is None:
        raise unknown_name("rater", pseudonym, [rater.rater for rater in found])
    return render_template(
        "operator/rater.html",
        name=name,
        row=row,
        session=tables["sessions"].iloc[0],
        scores=_scores(tables["votes"]),
        answers=tables["answers"].to_dict("records"),
        events=tables["events"].to_dict("records"),
        error=error,
        typed=typed,
    )


def _scores(votes: pd.DataFrame) -> str:
    """How often each score was given, on whatever was shown."""
    if votes.empty:
        return ""
    counts = votes["score"].astype(int).value_counts()
    words = site().design.scale.words
    rows = [(f"{n} {words[n - 1]}", float(counts.get(n, 0))) for n in range(1, 6)]
    return charts.bars(rows, f"Scores of {len(votes)} items")


@operator.get("/studies/<name>/links")
def links(name: str) -> Page:
    """The links of a study, and the form that makes more."""
    return links_page(name)


def links_page(name: str, error: str = "", **typed: str) -> str:
    """The page of links; ``error`` and what was ``typed`` where the form was refused."""
    row = studies.get(site().store, name)
    found = invitations.listing(site().store, name)
    return render_template(
        "operator/links.html",
        name=name,
        row=row,
        links=found[::-1],
        now=site().store.clock(),
        error=error,
        typed=typed,
    )


@operator.get("/studies/<name>/steer")
def steer(name: str) -> Page:
    """Pause, resume, close, export; and deletion after the retention date."""
    return steer_page(name)


def steer_page(name: str, error: str = "") -> str:
    """The page of a study's state; ``error`` where a form was refused."""
    store = site().store
    row, seen = studies.get(store, name), overview(store, name)
    return render_template(
        "operator/steer.html",
        name=name,
        row=row,
        seen=seen,
        due=retention_over(row.design, store.clock().date()),
        error=error,
    )


@operator.get("/studies/<name>/results")
def results(name: str) -> Page:
    """Mean scores by method: after the end, or before where the design says so, and recorded."""
    data, without = read_data(site(), name)
    if data is not None and data.state != "closed" and not data.hidden:
        frames.record_look(site().store, name, len(data.votes), who=who().name)
    return render_template(
        "operator/results.html", name=name, data=data, without=without, tables=_means(data)
    )


def _means(data: StudyData | None) -> list[dict[str, Any]]:
    """A table and a chart for each data set with accepted votes, in the design's order."""
    if data is None or data.hidden or data.opinions.empty:
        return []
    interval = "raters" if data.design.analysis.unit == "rater" else "images"
    try:
        rows = mos_table(data.votes, interval=interval)
    except StatisticsError:
        return []
    made = []
    for part in data.design.images.datasets:
        order = {method: place for place, method in enumerate(data.design.images.methods)}
        own = rows[rows["dataset"] == part.name]
        own = own.loc[own["method"].map(order).sort_values().index]
        if len(own):
            made.append(
                {"dataset": part.name, "rows": own.to_dict("records"), "chart": _drawn(own)}
            )
    return made


def _drawn(rows: pd.DataFrame) -> str:
    drawn = [
        charts.Estimate(
            row["method"], row["mos"], row["low"], row["high"], f"{row['n_votes']} votes"
        )
        for row in rows.to_dict("records")
    ]
    return charts.estimates(drawn, 1, 5, "Mean opinion scores with 95 % intervals")


def _before(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise RefusalError(400, "There is no such page of the log", "Begin at its newest page.")
    return int(text) if text else None


@operator.get("/studies/<name>/log")
def log(name: str) -> Page:
    """Who did what to this study and to accounts, newest first."""
    studies.get(site().store, name)
    before = _before(request.args.get("before", ""))
    deeds = audit.log(site().store, name, before=before, limit=_LOG_PAGE)
    older = (
        url_for("operator.log", name=name, before=deeds[-1].id) if len(deeds) == _LOG_PAGE else ""
    )
    return render_template("operator/log.html", name=name, deeds=deeds, older=older)
