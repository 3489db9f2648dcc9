"""The parts of a study's report: what its votes say, as sentences, tables and figures."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from sreval.benchmarking.provenance import code_version
from sreval.errors import UNFORESEEN, StatisticsError, attempted, counted, listed, option
from sreval.files import sha256_bytes
from sreval.opinions.cells import numbered
from sreval.opinions.comparison import compare_methods
from sreval.opinions.mos import mos_table
from sreval.opinions.significance import judge
from sreval.opinions.units import CLAIMS
from sreval.opinions.votes import ACR, exclusions
from sreval.report import paper
from sreval.report.notes import study_marks, vote_notes
from sreval.report.opinion_figures import KINDS, opinion_figure
from sreval.report.opinion_models import metrics
from sreval.report.opinion_rows import check_same_stimuli, scored_opinions, with_mos
from sreval.report.opinions import (
    ANALYSES,
    Request,
    change_columns,
    mos_columns,
    pair_columns,
    pair_notes,
)
from sreval.report.scores import score_table
from sreval.report.style import figure_svg
from sreval.report.table import (
    Columns,
    Table,
    column,
    method_column,
    table_of,
    whole,
)
from sreval.report.text import CORRECTIONS, fixed, percent, whole_percent
from sreval.study import charts
from sreval.study.data import StudyData
from sreval.study.design import StudyDesign

_MOST_ROWS = 60
_PACKAGES = ("numpy", "scipy", "pandas", "matplotlib")

_FIGURES = {
    "scores": "Distribution of the scores of every method",
    "ranks": "Distribution of the ranks of every method",
    "significance": "Differences of all pairs of methods",
    "raters": "Bias and inconsistency of every rater",
    "matrix": "Every vote",
    "sos": "Variance and mean of every stimulus",
    "metrics": "Metrics against opinion",
}
_OF_DATASET = ("scores", "ranks", "significance")


@dataclass(frozen=True)
class Picture:
    """A figure: its SVG element, and what it shows in a sentence that also serves as its label."""

    title: str
    svg: str
    caption: str = ""


@dataclass
class Part:
    """One part of the report under its heading. ``not_done``: what can't be computed, and why."""

    title: str
    sentences: list[str] = field(default_factory=list)
    blocks: list[Table | Picture] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The part's address within the page."""
        return slug(self.title)

    @property
    def tables(self) -> list[Table]:
        """The part's tables, in order."""
        return [block for block in self.blocks if isinstance(block, Table)]

    def attempt(self, what: str, make: Callable[[], Iterable[Table | Picture]]) -> None:
        """Add what ``make`` gives, or say why it can't be computed."""
        made, why = attempted(lambda: list(make()))
        if made is None:
            self.not_done.append(f"{what}: {why}")
        else:
            self.blocks += made


def slug(title: str) -> str:
    """A title as files and addresses have it: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _table(
    title: str,
    frame: pd.DataFrame,
    columns: Columns,
    notes: Sequence[str] = (),
    printed: pd.DataFrame | None = None,
) -> Table:
    """A table of the report; its name within files is made of its title."""
    return table_of(slug(title), title, frame, columns, notes, printed=printed)


def _yes_or_no(name: str) -> Callable[[Any], str]:
    return lambda row: "yes" if row[name] else "no"


def design_part(data: StudyData) -> Part:
    """What was asked, shown and planned."""
    design = data.design
    part = Part("Design", [f"Instructions: “{design.instructions.strip()}”"])
    rows = [*_shown(data), *_session(design), *_planned(design)]
    frame = pd.DataFrame(rows, columns=["what", "value"])
    columns = {"": column("what"), "as designed": column("value")}
    part.blocks.append(_table("The design", frame, columns))
    images = pd.DataFrame(
        [
            {
                "dataset": name,
                "images": len({s.image for s in data.rated if s.dataset == name}),
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
    part.blocks.append(_table("What was rated", images, heads))
    if design.acceptance:
        part.blocks.append(_acceptance(design))
    return part


def _shown(data: StudyData) -> Iterator[tuple[str, str]]:
    design = data.design
    words = ", ".join(f"{i} {word}" for i, word in enumerate(design.scale.words, 1))
    yield "scale", f"absolute category rating, {words}"
    yield "upscaling", f"×{design.images.scale}"
    share = f", {design.subset} of them a rater" if design.subset else ", all by every rater"
    yield "stimuli", f"{len(data.rated)}{share}"
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


def _acceptance(design: StudyDesign) -> Table:
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
    return _table("Rules of acceptance", frame, columns, notes)


def raters_part(data: StudyData) -> Part:
    """Who took part, and how far each came."""
    part = Part("Raters")
    about = "Raters by outcome"
    counts = [
        (name.replace("_", " "), count)
        for name, count in data.monitoring.outcomes.items()
        if count or name in ("enrolled", "complete")
    ]
    part.blocks.append(Picture(about, charts.bars(counts, about)))
    if data.sessions.empty:
        part.not_done.append("Nobody has enrolled.")
        return part
    part.attempt("Answers", lambda: _answers(data))
    return part


def _progress(data: StudyData) -> Table:
    frame = data.monitoring.progress
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
        "votes used": _yes_or_no("accepted"),
    }
    columns = {
        head: show for head, show in columns.items() if head != "sittings" or "sittings" in frame
    }
    more = len(frame) - _MOST_ROWS
    notes = [f"{more} more are in the CSV."] if more > 0 else []
    return _table("Raters, one by one", frame, columns, notes, frame.head(_MOST_ROWS))


def _answers(data: StudyData) -> list[Table]:
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
    return [_table("Questionnaire", frame, columns, ["Counts of raters, whoever was used."])]


def exposure_part(data: StudyData) -> Part:
    """Exposure, response times, gold items, every reason to look at a rater, every rater."""
    part = Part("Exposure and careless responding")
    part.attempt("Exposure", lambda: _exposure(data))
    times = data.monitoring.response_times
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
    found = data.monitoring
    if found.flags.empty:
        part.sentences.append("No rule found a rater to look at.")
    else:
        part.blocks.append(_flags(found.flags))
    part.sentences += [f"Not judged: {few}." for few in found.unjudged]
    part.not_done += [why for why in found.not_done if UNFORESEEN in why]
    if len(data.sessions):
        part.blocks.append(_progress(data))
    return part


def _exposure(data: StudyData) -> list[Table]:
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
    never = int(data.monitoring.exposure["never"].sum())
    notes += [f"{never} stimuli have no accepted vote."] if never else []
    return [_table("How often each cell was rated", data.monitoring.cells, cells, notes)]


def _gold(data: StudyData, part: Part) -> list[Table]:
    found = data.monitoring.gold
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
    return [_table("Raters who missed gold items", missed, columns)] if len(missed) else []


def _flags(frame: pd.DataFrame) -> Table:
    columns = {
        "rater": column("rater"),
        "flag": column("flag"),
        "why": column("reason"),
        "votes used": _yes_or_no("used"),
    }
    notes = ["A rule proposes; only the rules of acceptance and the operator decide."]
    return _table("Raters to look at", frame, columns, notes)


def _decisions(data: StudyData) -> list[Table]:
    frame = data.monitoring.overruled
    if frame.empty:
        return []
    columns = {
        "rater": column("rater"),
        "rules that reject": lambda row: row["rules"] or "none",
        "decided": lambda row: "used" if row["used"] else "not used",
        "the operator's reason": lambda row: row["reason"] or "none given",
    }
    notes = ["An operator's decision on a rater overrules the rules of acceptance."]
    return [_table("Decisions that overrule the rules", frame, columns, notes)]


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
        part.blocks.append(_table("Rows left out", frame, columns, notes))
    return part


def planned_tests(votes: pd.DataFrame, data: StudyData, level: float = 0.95) -> pd.DataFrame:
    """The planned comparisons of one data set, signed as planned, corrected within the data set.

    Columns as ``Comparison.frame``, intervals at ``level``. Raises StatisticsError with fewer than
    two rated methods.
    """
    analysis = data.design.analysis
    (made,) = compare_methods(
        votes, unit=analysis.unit, adjustment="none", alpha=analysis.alpha, level=level
    )
    frame = made.frame()
    if analysis.comparisons:
        by_pair = {(row["first"], row["second"]): row for row in frame.to_dict("records")}
        rows = [
            by_pair[pair] if pair in by_pair else _turned(by_pair[pair[::-1]])
            for pair in analysis.comparisons
            if pair in by_pair or pair[::-1] in by_pair
        ]
        frame = pd.DataFrame(rows, columns=frame.columns)
    verdicts = judge(frame["p"], frame["least_p"], analysis.correction, analysis.alpha)
    names = ("p_adjusted", "least_p_adjusted", "significant", "too_small")
    judged = {name: [getattr(verdict, name) for verdict in verdicts] for name in names}
    return frame.assign(adjustment=analysis.correction, **judged)


def _minute(when: str) -> str:
    return f"{pd.Timestamp(when):%Y-%m-%d %H:%M} UTC"


def _turned(row: dict[Hashable, Any]) -> dict[Hashable, Any]:
    turned = row | {"first": row["second"], "second": row["first"]}
    for to, by in (("difference", "difference"), ("low", "high"), ("high", "low")):
        turned[to] = -float(row[by])
    turned["rank_biserial"] = -float(row["rank_biserial"])
    return turned


def departures_part(data: StudyData) -> Part:
    """How the study departed from its plan."""
    return Part("Departures from the plan", departures(data) or ["None."])


def departures(data: StudyData) -> list[str]:
    """How the study departed from its plan, one sentence each."""
    design, said = data.design, []
    used = data.opinions["rater"].nunique()
    if used != design.raters:
        said.append(f"Votes of {counted(used, 'rater')} are used, {design.raters} were planned.")
    cells = data.opinions.groupby(["dataset", "method"]).size()
    for part in design.images.datasets:
        lacking = [m for m in design.images.methods_of(part.name) if (part.name, m) not in cells]
        if lacking:
            said.append(f"{part.name} has no votes on {listed([paper.label(m) for m in lacking])}.")
    for row in data.monitoring.overruled.to_dict("records"):
        why = str(row["reason"] or "no reason given").rstrip(".")
        if row["used"]:
            rules = str(row["rules"]).rstrip(".")
            said.append(
                f"Votes of {row['rater']} are used by decision, against a rule: {why}. "
                f"The rule: {rules}."
            )
        else:
            said.append(f"Votes of {row['rater']} are not used by decision, not by a rule: {why}.")
    if data.looks:
        seen = "; ".join(
            f"{_minute(look.when)}, {look.votes} rows, {look.who}" for look in data.looks
        )
        planned = "" if design.analysis.look_before_close else ", which the design forbids"
        said.append(
            f"Results were looked at before the study was closed{planned}: "
            f"{seen}. The p values take no account of it."
        )
    if data.stand_ins:
        said.append(f"Stand-ins replaced {listed([*map(paper.label, data.stand_ins)], 20)}.")
    return said


def results_parts(data: StudyData) -> list[Part]:
    """One part per data set: means, the planned tests, and the figures of that data set."""
    request = Request.planned(data.design)
    names = [part.name for part in data.design.images.datasets]
    parts = []
    for name in paper.sort_datasets(names):
        part = Part(f"Results on {name}")
        votes = data.votes[data.votes["dataset"] == name]
        part.attempt("Mean opinion scores", partial(_means, votes, request))
        part.attempt("Planned tests", partial(_tests, votes, data, request))
        for kind in _OF_DATASET:
            _add_figure(part, kind, data, votes, request, name)
        if data.design.analysis.comparisons:
            part.attempt("All pairs", partial(_explored, votes, request))
        parts.append(part)
    return parts


def _means(votes: pd.DataFrame, request: Request) -> list[Table | Picture]:
    (made,) = ANALYSES["mos"](votes, request)
    theirs = paper.figures()
    keys = zip(made.frame["dataset"], made.frame["method"], strict=True)
    frame = made.frame.assign(paper=[theirs.get((*key, "mos"), np.nan) for key in keys])
    first = frame.iloc[0]
    columns, notes = dict(mos_columns(request.level)), list(made.notes)
    if frame["paper"].notna().any():
        columns["paper's MOS"] = column("paper", 2)
        notes.append(f"Paper's MOS: Ledig et al. 2017. {_order(frame)}")
    rows = [
        charts.Estimate(
            paper.label(str(row["method"])), row["mos"], row["low"], row["high"],
            f"{row['n_votes']} votes, {row['n_raters']} raters",
        )
        for row in frame.to_dict("records")
    ]  # fmt: skip
    title = f"Mean opinion scores on {first['dataset']}"
    said = (
        f"MOS in points, {percent(request.level)} interval: {first['interval']}, "
        f"unit {first['unit']}."
    )
    svg = charts.estimates(rows, ACR.low, ACR.high, f"{title}. {said}")
    return [_table(title, frame, columns, notes), Picture(title, svg, said)]


def _order(frame: pd.DataFrame) -> str:
    both = frame[frame["paper"].notna()]
    ours = list(both.sort_values("mos", kind="stable")["method"])
    if list(both.sort_values("paper", kind="stable")["method"]) == ours:
        return f"The order of the {len(both)} methods is the paper's."
    pairs = len(both) * (len(both) - 1) // 2
    mos, theirs = both["mos"].to_numpy(), both["paper"].to_numpy()
    swapped = int((np.subtract.outer(mos, mos) * np.subtract.outer(theirs, theirs) < 0).sum()) // 2
    return f"{swapped} of {pairs} pairs of methods are in the opposite order to the paper's."


def _tests(votes: pd.DataFrame, data: StudyData, request: Request) -> list[Table]:
    analysis = data.design.analysis
    frame = planned_tests(votes, data, request.level)
    if frame.empty:
        raise StatisticsError("None of the planned comparisons was rated here.", "")
    columns = pair_columns(request.level, f"n ({analysis.unit}s)")
    correction = (
        f"NOT corrected for {len(frame)} comparisons"
        if analysis.correction == "none"
        else f"{CORRECTIONS[analysis.correction]} over these {len(frame)}"
    )
    notes = [
        f"As planned. Unit {analysis.unit}: {CLAIMS[analysis.unit].about}. Two-sided Wilcoxon "
        f"signed-rank test of the units' means, {correction}, alpha {analysis.alpha:g}. "
        "Difference: first less second in points; effect: rank-biserial correlation, -1 to 1.",
        *pair_notes(frame),
        *vote_notes(votes),
    ]
    return [_table(f"Planned comparisons on {frame['dataset'].iloc[0]}", frame, columns, notes)]


def _explored(votes: pd.DataFrame, request: Request) -> list[Table]:
    return [
        replace(made, title=f"{made.title} (exploratory, all pairs, not planned)")
        for made in ANALYSES["compare"](votes, request)
    ]


def _add_figure(
    part: Part,
    kind: str,
    data: StudyData,
    votes: pd.DataFrame,
    request: Request,
    dataset: str | None = None,
) -> None:
    """Draw one figure of ``opinion_figures.KINDS`` into ``part``, the report's marks on it."""
    assert kind in KINDS

    def draw() -> list[Picture]:
        drawn = opinion_figure(votes, kind, request, dataset)
        words = " · ".join(study_marks(data)).upper()
        if words:
            drawn.suptitle(words, x=0.99, ha="right", fontsize=8, fontweight="bold")
        where = f", {dataset}" if dataset else ""
        svg = figure_svg(drawn).replace("<svg ", '<svg role="img" ', 1)
        return [Picture(f"{_FIGURES[kind]}{where}", svg)]

    part.attempt(f"Figure: {_FIGURES[kind].lower()}", draw)


def agreement_part(data: StudyData) -> Part:
    """Do raters agree with each other, and with themselves."""
    part, request = Part("Agreement of raters"), Request.planned(data.design)
    part.attempt("Reliability", lambda: ANALYSES["reliability"](data.votes, request))
    part.attempt("Test and retest", lambda: ANALYSES["retest"](data.votes, request))
    part.attempt("Recovered quality", lambda: ANALYSES["recovery"](data.votes, request))
    for kind in ("raters", "matrix", "sos"):
        _add_figure(part, kind, data, data.votes, request)
    return part


def effect_of_exclusions(part: Part, data: StudyData) -> None:
    """MOS per method with and without what is left out."""
    own = data.votes[data.votes["kind"] == "vote"]
    interval = Request.planned(data.design).interval
    if not own["accepted"].all():
        whole = own.assign(accepted=True)
        note = "Points; without and with the exclusions, no interval: the same votes are in both."
        made = partial(_effect, "Effect of the exclusions", {"all": whole, "used": own}, interval)
        part.attempt("Effect of the exclusions", lambda: [made(note)])
    decided = data.monitoring.overruled
    if len(decided):
        title = "Effect of the decisions that overrule the rules"
        part.attempt(title, lambda: _effect_of_decisions(title, own, decided, interval))


def screening_part(data: StudyData) -> Part:
    """What the screening rules would propose, and the results without whom each rejects."""
    part = Part("Screening")
    part.attempt(
        "Screening", lambda: ANALYSES["screening"](data.votes, Request.planned(data.design))
    )
    return part


def _effect_of_decisions(
    title: str, own: pd.DataFrame, decided: pd.DataFrame, interval: str
) -> list[Table]:
    """MOS as the rules alone would have it and as decided, and what each decision changes most."""

    def by_rules(raters: Sequence[str]) -> pd.DataFrame:
        return own.assign(accepted=own["accepted"] ^ own["rater"].isin(raters))

    sides = {"by rules": by_rules(list(decided["rater"])), "used": own}
    notes = [
        "Points; the votes as the rules alone would have them, and as they are used; no interval: "
        "the same votes are in both."
    ]
    for rater in decided["rater"]:
        alone, why = attempted(lambda r=rater: _change(by_rules([r]), own, interval))  # type: ignore[misc]
        notes.append(f"The decision on {rater}: {alone or why}")
    return [_effect(title, sides, interval, *notes)]


def _change(before: pd.DataFrame, after: pd.DataFrame, interval: str) -> str:
    """The largest change of a MOS, in words."""
    sides = [
        mos_table(rows, interval=interval).set_index(["dataset", "method"])["mos"]
        for rows in (before, after)
    ]
    change = (sides[1] - sides[0]).dropna()
    if change.empty:
        raise StatisticsError("No MOS exists both with and without the rater's votes.")
    dataset, method = map(str, change.index[int(np.argmax(np.abs(change.to_numpy())))])
    by = fixed(float(change.loc[(dataset, method)]), 2, signed=True)
    return f"{by} points at most, on {paper.label(method)}, {dataset}."


def _effect(title: str, of: Mapping[str, pd.DataFrame], interval: str, *notes: str) -> Table:
    """MOS of the two sides of ``of``, by their names in order, and the change between them."""
    before, after = of
    sides = []
    for name, rows in of.items():
        found = mos_table(rows, interval=interval).set_index(["dataset", "method"])
        sides += [found["mos"].rename(f"mos_{name}"), found["n_votes"].rename(f"n_{name}")]
    frame = paper.in_order(pd.concat(sides, axis=1).reset_index())
    frame["change"] = frame[f"mos_{after}"] - frame[f"mos_{before}"]
    columns = {"data set": column("dataset"), **change_columns(before, after)}
    return _table(title, frame, columns, notes)


def metrics_part(data: StudyData, scores: pd.DataFrame | None, notes: Sequence[str]) -> Part:
    """Metrics and opinion side by side, and which metric follows the raters."""
    part = Part("Metrics and opinion", list(notes))
    if scores is None:
        part.not_done.append(
            f"No benchmark results were given: {option('--results FOLDER', 'results=FOLDER')}."
        )
        return part
    request, votes = Request.planned(data.design, scores), scored_opinions(data)
    part.attempt("Metrics and opinion side by side", lambda: [_side_by_side(data, scores, notes)])
    part.attempt("Which metric follows the raters", lambda: metrics(votes, request))
    _add_figure(part, "metrics", data, votes, request)
    return part


def _side_by_side(data: StudyData, scores: pd.DataFrame, notes: Sequence[str]) -> Table:
    request, votes = Request.planned(data.design), scored_opinions(data)
    check_same_stimuli(scores, votes)
    protocol, scale = scores["protocol"].iloc[0], int(scores["scale"].iloc[0])
    rated_there = {dataset for dataset, _, _ in paper.figures()} & set(votes["dataset"])
    theirs = bool(rated_there) and (protocol, scale) == ("ledig2017", 4)
    made = score_table(scores, with_paper=theirs, level=request.level)
    made = with_mos(made, votes, unit=request.unit, pairs=True, level=request.level)
    return replace(made, notes=[*made.notes, *notes])


def origin_part(data: StudyData, sources: Sequence[tuple[str, str]], command: str) -> Part:
    """Versions, hashes, and the commands that make the report again."""
    csv = data.votes.to_csv(index=False, lineterminator="\n")
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    rows = [
        ("sreval", code_version()),
        ("Python", f"{platform.python_version()}; {packages}"),
        ("design, SHA-256", data.design_sha256),
        ("manifest of stimuli, SHA-256", data.manifest.sha256),
        ("stimuli frozen by sreval", data.manifest.code_version or "not said"),
        ("votes as analysed, SHA-256", sha256_bytes(csv.encode())),
        *sources,
    ]
    frame = pd.DataFrame(rows, columns=["what", "value"])
    columns = {"": column("what"), "version or hash": column("value")}
    part = Part("Versions and commands")
    part.blocks.append(_table("What this was made from", frame, columns))
    name = data.design.name
    part.commands += [f"sreval study export {name}", *filter(None, [command])]
    return part
