"""Parts of a study's report without mean scores: design, raters, careless responding."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sreval.errors import UNFORESEEN, counted, listed
from sreval.opinions.cells import numbered
from sreval.opinions.votes import exclusions
from sreval.report import paper
from sreval.report.digits import fixed, whole_percent
from sreval.report.sections import CORRECTIONS, Section, column, method_column, whole
from sreval.report.study_parts import Part, Picture, section
from sreval.study import charts, monitor
from sreval.study.data import StudyData, rated
from sreval.study.design import StudyDesign

_MOST_ROWS = 60


def design_part(data: StudyData) -> Part:
    """What was asked, shown and planned."""
    design = data.design
    part = Part("Design", [f"Instructions: “{design.instructions.strip()}”"])
    rows = [*_shown(data), *_session(design), *_planned(design)]
    frame = pd.DataFrame(rows, columns=["what", "value"])
    columns = {"": column("what"), "as designed": column("value")}
    part.blocks.append(section("The design", frame, columns))
    images = pd.DataFrame(
        [
            {
                "dataset": name,
                "images": len({s.image for s in rated(design, data.manifest) if s.dataset == name}),
                "methods": ", ".join(map(paper.label, design.images.methods_of(name))),
            }
            for name in [part.name for part in design.images.datasets]
        ]
    )
    heads = {
        "data set": column("dataset"),
        "images": whole("images"),
        "versions of every image": column("methods"),
    }
    part.blocks.append(section("What was rated", images, heads))
    if design.acceptance:
        part.blocks.append(_acceptance(design))
    return part


def _shown(data: StudyData) -> Iterator[tuple[str, str]]:
    design = data.design
    words = ", ".join(f"{i} {word}" for i, word in enumerate(design.scale.words, 1))
    yield "scale", f"absolute category rating, {words}"
    yield "upscaling", f"×{design.images.scale}"
    share = f", {design.subset} of them a rater" if design.subset else ", all by every rater"
    yield "stimuli", f"{len(rated(design, data.manifest))}{share}"
    if design.calibration:
        anchors = ", ".join(
            f"{paper.label(a.method)} as {a.score}" for a in design.calibration.anchors
        )
        images = f"{design.calibration.images} images of {design.calibration.dataset}"
        yield "calibration", f"{images}: {anchors}; not counted"
    if design.warm_up:
        yield "warm-up", f"{design.warm_up.images} images of {design.warm_up.dataset}, not counted"
    for repeat in design.repeats:
        yield (
            "hidden repeats",
            f"{repeat.images} images of {repeat.dataset} by {paper.label(repeat.method)}, "
            f"{counted(repeat.times, 'time')} more, {repeat.distance} positions apart or more",
        )
    for gold in design.gold:
        yield (
            "gold items",
            f"{gold.images} images of {gold.dataset} by {paper.label(gold.method)}, right: "
            f"{gold.low} to {gold.high}",
        )
    yield (
        "order",
        f"{design.order.scene_distance} positions or more between versions of a scene"
        + ("; no method twice in a row where possible" * design.order.methods_alternate),
    )


def _session(design: StudyDesign) -> Iterator[tuple[str, str]]:
    sittings, viewing = design.sittings, design.viewing
    yield "sittings", f"{sittings.items} items each" if sittings.items else "one"
    if sittings.break_every:
        yield "breaks", f"{sittings.break_seconds} s after every {sittings.break_every} items"
    if sittings.rest_minutes:
        yield "rest between sittings", f"{sittings.rest_minutes} min or more"
    yield "least viewing time", f"{viewing.least_ms} ms, after {viewing.grey_ms} ms of grey"
    yield "telephones", "allowed" if viewing.phones else "refused"
    yield "language", design.language
    yield "consent", f"version {design.consent.version}"


def _planned(design: StudyDesign) -> Iterator[tuple[str, str]]:
    analysis = design.analysis
    yield "raters planned", str(design.raters)
    pairs = [f"{paper.label(a)} against {paper.label(b)}" for a, b in analysis.comparisons]
    yield "comparisons planned", "; ".join(pairs) or "all pairs of methods, within each data set"
    yield (
        "test planned",
        f"two-sided Wilcoxon signed-rank over {analysis.unit}s, alpha {analysis.alpha:g}, "
        f"{CORRECTIONS[analysis.correction]}",
    )
    yield "results before the end", "allowed" if analysis.look_before_close else "hidden"
    yield "data kept until", str(design.retention or "no date set")


def _acceptance(design: StudyDesign) -> Section:
    frame = pd.DataFrame(
        [
            {
                "rule": rule.kind,
                "limit": rule.limit,
                "used": "yes" if rule.used else "no",
                "paid": "yes" if rule.paid else "no",
                "reason": rule.reason,
            }
            for rule in design.acceptance
        ]
    )
    columns = {
        "rule": column("rule"),
        "limit": column("limit"),
        "votes used": column("used"),
        "paid": column("paid"),
        "reason": column("reason"),
    }
    notes = ["What happens to a session that the rule finds."]
    return section("Rules of acceptance", frame, columns, notes)


def raters_part(data: StudyData) -> Part:
    """Who took part, and how far each came."""
    part = Part("Raters")
    about = "Raters by outcome"
    counts = [
        (name.replace("_", " "), count)
        for name, count in monitor.outcomes(data).items()
        if count or name in ("enrolled", "complete")
    ]
    part.blocks.append(Picture(about, charts.bars(counts, about)))
    if data.sessions.empty:
        part.not_done.append("Nobody has enrolled.")
        return part
    part.attempt("Answers", lambda: _answers(data))
    return part


def _progress(data: StudyData) -> Section:
    frame = monitor.progress(data)
    minutes = pd.Series(float("nan"), frame.index)
    if {"started_at", "ended_at"} <= set(frame):
        spent = pd.to_datetime(frame["ended_at"], utc=True) - pd.to_datetime(
            frame["started_at"], utc=True
        )
        minutes = spent.dt.total_seconds() / 60
    frame = frame.assign(minutes=minutes)
    columns = {
        "rater": column("rater"),
        "outcome": column("outcome"),
        "stage": column("stage"),
        "items": lambda row: f"{row['votes']} of {row['of']}",
        "sittings": column("sittings"),
        "from start to end, min": lambda row: fixed(row["minutes"], 0),
        "votes used": lambda row: "yes" if row["accepted"] else "no",
    }
    columns = {
        head: show for head, show in columns.items() if head != "sittings" or "sittings" in frame
    }
    made = section("Raters, one by one", frame, columns, _long(frame))
    return Section(made.analysis, made.title, frame, made.shown[: _MOST_ROWS + 1], made.notes)


def _long(frame: pd.DataFrame) -> list[str]:
    more = len(frame) - _MOST_ROWS
    return [f"{more} more are in the CSV."] if more > 0 else []


def _answers(data: StudyData) -> list[Section]:
    answers = data.answers
    if answers.empty or not data.design.questions:
        return []
    rows = []
    for question in data.design.questions:
        given = answers.loc[answers["key"] == question.key, "value"].astype(str)
        if question.kind == "choice":
            counts = given.value_counts()
            said = ", ".join(f"{option} {counts.get(option, 0)}" for option in question.options)
        elif question.kind == "number" and len(given):
            numbers = pd.to_numeric(given, errors="coerce").dropna()
            said = "no number"
            if len(numbers):
                said = f"median {numbers.median():g}, {numbers.min():g} to {numbers.max():g}"
        else:
            said = "free text, not shown" if len(given) else "–"
        rows.append({"when": question.when, "text": question.text, "n": len(given), "said": said})
    frame = pd.DataFrame(rows)
    columns = {
        "asked": column("when"),
        "question": column("text"),
        "answers": whole("n"),
        "what they said": column("said"),
    }
    return [section("Questionnaire", frame, columns, ["Counts of raters, whoever was used."])]


def conduct_part(data: StudyData) -> Part:
    """Exposure, response times, gold items, every reason to look at a rater, every rater."""
    part = Part("Exposure and careless responding")
    part.attempt("Exposure", lambda: _exposure(data))
    times = monitor.response_times(data.votes)
    if times.n:
        title = "Response times"
        said = (
            f"{times.n} votes, repeats and gold items; median {times.median:.1f} s, quartiles "
            f"{times.first:.1f} and {times.third:.1f} s, from the image's appearance to the vote."
        )
        pairs = list(zip(times.labels, times.counts, strict=True))
        part.blocks.append(Picture(title, charts.columns(pairs, f"{title}. {said}", "votes"), said))
    else:
        part.not_done.append("Response times: no vote carries one.")
    part.blocks += _gold(data, part)
    found = monitor.findings(data)
    if found.flags.empty:
        part.sentences.append("No rule found a rater to look at.")
    else:
        part.blocks.append(_flags(found.flags))
    part.sentences += [f"Not judged: {few}." for few in found.unjudged]
    part.not_done += [why for why in found.not_done if UNFORESEEN in why]
    if len(data.sessions):
        part.blocks.append(_progress(data))
    return part


def _exposure(data: StudyData) -> list[Section]:
    cells = {
        "data set": column("dataset"),
        "method": method_column(),
        "stimuli": whole("stimuli"),
        "votes": whole("votes"),
        "of planned": lambda row: whole_percent(row["share"]),
        "raters": whole("raters"),
        "least": whole("least"),
        "most": whole("most"),
    }
    notes = ["Accepted votes; least and most: on a single stimulus of the row."]
    never = int(monitor.exposure(data)["never"].sum())
    notes += [f"{never} stimuli have no accepted vote."] if never else []
    return [section("How often each cell was rated", monitor.cells(data), cells, notes)]


def _gold(data: StudyData, part: Part) -> list[Section]:
    found = monitor.gold_results(data.votes, data.design)
    if found.empty:
        part.not_done.append("Gold items: none was rated.")
        return []
    part.sentences.append(
        f"Gold items: {int(found['wrong'].sum())} of {int(found['asked'].sum())} missed, by "
        f"{int((found['wrong'] > 0).sum())} of {len(found)} raters."
    )
    missed = found[found["wrong"] > 0].sort_values("share", ascending=False)
    columns = {
        "rater": column("rater"),
        "asked": whole("asked"),
        "missed": whole("wrong"),
        "share": lambda row: whole_percent(row["share"]),
    }
    return [section("Raters who missed gold items", missed, columns)] if len(missed) else []


def _flags(frame: pd.DataFrame) -> Section:
    columns = {
        "rater": column("rater"),
        "flag": column("flag"),
        "why": column("reason"),
        "votes used": lambda row: "yes" if row["used"] else "no",
    }
    notes = ["A rule proposes; only the rules of acceptance and the operator decide."]
    return section("Raters to look at", frame, columns, notes)


def _decisions(data: StudyData) -> list[Section]:
    frame = monitor.overruled(data)
    if frame.empty:
        return []
    columns = {
        "rater": column("rater"),
        "rules that reject": lambda row: row["rules"] or "none",
        "decided": lambda row: "used" if row["used"] else "not used",
        "the operator's reason": lambda row: row["reason"] or "none given",
    }
    notes = ["An operator's decision on a rater overrules the rules of acceptance."]
    return [section("Decisions that overrule the rules", frame, columns, notes)]


def exclusions_part(data: StudyData) -> Part:
    """What is left out, and why; not yet its effect."""
    part = Part("Exclusions")
    left = exclusions(data.votes)
    own = data.votes[(data.votes["kind"] == "vote") & ~data.votes["accepted"]]
    raters = own["rater"].nunique()
    part.sentences.append(
        f"{counted(len(own), 'vote')} of {counted(raters, 'rater')} are not used: "
        f"{listed(sorted(own['rater'].unique(), key=numbered), 20)}."
        if raters
        else "Every vote is used."
    )
    part.attempt("Decisions that overrule the rules", lambda: _decisions(data))
    if data.deleted:
        who = counted(data.deleted, "rater")
        part.sentences.append(f"All data of {who} were deleted; nothing of them is here.")
    if left:
        frame = pd.DataFrame(left.items(), columns=["why", "rows"])
        columns = {"reason": column("why"), "rows": whole("rows")}
        notes = ["Calibration, warm-up, repeats and gold items never count as opinions."]
        part.blocks.append(section("Rows left out", frame, columns, notes))
    return part
