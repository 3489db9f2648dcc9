"""The end of a session, the operator's page and the report say the same of the same raters."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from sreval.opinions.votes import check_votes
from sreval.report.opinions import ANALYSES, Request
from sreval.report.study_report import Report, study_report, to_html
from sreval.study.acceptance import Acceptance, Verdict
from sreval.study.data import StudyData
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest, Stimulus
from tests.report.study_builder import departures
from tests.study.designs import design_of

pytestmark = pytest.mark.usefixtures("undrawn")

IMAGES = [f"i{n}" for n in range(10)]
LIMITS = {"gold": 0.3, "too-fast": 0.5, "straight-lining": 12, "repeats": 1.5}
REASON = {kind: f"The rule on {kind}." for kind in LIMITS}


def design(**changes: Any) -> StudyDesign:
    """Gold items of one method with other right answers on each data set; slow pictures."""
    content: dict[str, Any] = {
        "raters": 6,
        "gold": [
            {"dataset": "A", "method": "nearest", "images": 2, "low": 1, "high": 2},
            {"dataset": "B", "method": "nearest", "images": 2, "low": 1, "high": 4},
        ],
        "repeats": [{"dataset": "A", "method": "bicubic", "images": 4}],
        "viewing": {"least_ms": 2000},
        "acceptance": [{"kind": k, "limit": v, "reason": REASON[k]} for k, v in LIMITS.items()],
    }
    return design_of(["nearest", "bicubic"], [{"name": "A"}, {"name": "B"}], **content | changes)


def votes_of(rater: str) -> list[dict[str, Any]]:
    """One session: what each rater does against the rules stands in the name."""
    rows = []
    for dataset in "AB":
        for method in ("nearest", "bicubic"):
            for n, image in enumerate(IMAGES):
                score = 1 + (n + (method == "bicubic")) % 5
                rows.append((dataset, image, method, 4 if rater == "lines" else score, "vote"))
    missed = {"gold": 4, "any-range": 2}.get(rater, 1)
    rows += [("A", f"g{n}", "nearest", missed if n == 0 or rater == "gold" else 1, "gold")
             for n in range(2)]  # fmt: skip
    # a 4 passes on B: its range isn't that of A
    rows += [("B", f"g{n}", "nearest", 4, "gold") for n in range(2)]
    again = 1 if rater == "repeats" else None
    rows += [("A", f"i{n}", "bicubic", again or 2 + n % 4, "repeat") for n in range(4)]
    if rater == "lines":
        rows = [(*row[:3], 4, "repeat") if row[4] == "repeat" else row for row in rows]
    # 2100 ms are too fast by this design, and slow by a limit of 700 ms
    ms = 2100.0 if rater == "fast" else 5000.0
    # what "burst" claims, and what the site saw
    looks = pd.to_timedelta([(10.0 if rater == "burst" else ms) * n for n in range(len(rows) + 1)],
                            unit="ms") + pd.Timestamp("2026-03-01T09:00Z")  # fmt: skip
    names = ["dataset", "image", "method", "score", "kind"]
    return [
        dict(zip(names, row, strict=True))
        | {"rater": rater, "session": f"s-{rater}", "position": place, "response_ms": ms}
        | {"sent_at": looks[max(0, place - 4)], "received_at": looks[place]}
        for place, row in enumerate(rows, 1)
    ]


BREAKS = {"gold": ["gold"], "fast": ["too-fast"], "lines": ["straight-lining"],
          "burst": ["too-fast"], "repeats": ["repeats"], "any-range": [], "good": []}  # fmt: skip


def judge(votes: pd.DataFrame, made: StudyDesign) -> Verdict:
    (verdict,) = Acceptance(made).verdicts(votes.assign(session=""), {"": None}).values()
    return verdict


def study(decided: dict[str, tuple[bool, str]] | None = None, **changes: Any) -> StudyData:
    """A closed study of them, judged by the rules; ``decided`` otherwise by an operator."""
    made = design(**changes)
    votes = check_votes(pd.DataFrame([row for rater in BREAKS for row in votes_of(rater)]))
    votes["reason"] = ""
    rows = []
    for rater, own in votes.groupby("rater"):
        verdict = judge(own, made)
        used, reason = verdict.used, "; ".join(verdict.reasons)
        if decided and rater in decided:
            used, reason = decided[str(rater)]
        votes.loc[own.index, "accepted"] = used
        votes.loc[own.index, "reason"] = "" if used else reason
        rows.append(
            {"session": f"s-{rater}", "rater": rater, "accepted": used, "reason": reason}
            | {"decided": used if decided and rater in decided else None}
            | {"slot": 0, "stage": "done", "outcome": "complete", "votes": len(own)}
            | {"simulated": False, "paid": True, "sittings": 1}
        )
    stimuli = [
        Stimulus(d, i, f"{d}/{i}", m, "0" * 64, "0" * 64, 8, 8)
        for d in "AB" for m in ("nearest", "bicubic") for i in IMAGES
    ]  # fmt: skip
    return StudyData(made, made.sha256, Manifest(tuple(stimuli), ""), votes, pd.DataFrame(rows))


def section(report: Report, title: str) -> Any:
    (found,) = [one for one in report.tables if one.title == title]
    return found


def test_all_three_find_the_same_raters_by_the_design_s_limits() -> None:
    data = study()
    by_rule = {kind: {r for r, kinds in BREAKS.items() if kind in kinds} for kind in LIMITS}
    at_the_end = {
        kind: {
            rater
            for rater, own in data.votes.groupby("rater")
            if REASON[kind] in judge(own, data.design).reasons
        }
        for kind in LIMITS
    }
    flags = data.monitoring.flags
    on_the_page = {kind: set(flags.loc[flags["flag"] == kind, "rater"]) for kind in LIMITS}
    screening = ANALYSES["screening"](data.votes, Request.planned(data))[0].frame.set_index("rater")
    in_the_report = {
        kind: set(screening.index[screening[f"{kind} rejected"].astype(bool)]) for kind in LIMITS
    }
    assert at_the_end == by_rule
    assert on_the_page == by_rule
    assert in_the_report == by_rule
    looked_at = section(study_report(data), "Raters to look at").frame
    assert {k: set(looked_at.loc[looked_at["flag"] == k, "rater"]) for k in LIMITS} == by_rule


def test_a_rater_who_left_early_is_judged_by_nobody() -> None:
    """Eight items, one of them a vote, one a missed gold item: no rule can say anything."""
    data = study()
    early = data.votes[(data.votes["rater"] != "gold") | data.votes["position"].isin([1, 41])]
    learning = early[early["rater"] == "gold"].iloc[[0] * 6].assign(
        kind="warm-up", image=[f"w{n}" for n in range(6)], position=range(50, 56)
    )  # fmt: skip
    data = replace(data, votes=pd.concat([early, learning], ignore_index=True))
    own = data.votes[data.votes["rater"] == "gold"]
    assert judge(own, data.design).reasons == ()
    found = data.monitoring
    assert "gold" not in set(found.flags.loc[found.flags["flag"] != "not used", "rater"])
    assert "gold needs 4 gold items: gold (1)" in found.unjudged
    assert "straight-lining needs 13 votes: gold (1)" in found.unjudged
    text = to_html(study_report(data))
    assert "Not judged: gold needs 4 gold items: gold (1)." in text
    notes = ANALYSES["screening"](data.votes, Request.planned(data))[0].notes
    assert "Not judged: too-fast needs 10 votes with a response time: gold (1)." in notes


def test_decisions_that_overrule_the_rules_are_printed_with_reason_and_effect() -> None:
    decided = {
        "lines": (True, "I sat beside them."),
        "good": (False, "Told me they guessed."),
        "fast": (False, "Too fast indeed."),
        "any-range": (True, "I know them."),
    }
    data = study(decided)
    report = study_report(data)
    table = section(report, "Operators' decisions").frame
    assert table.to_dict("records") == [
        {"rater": "any-range", "used": True, "rules": "", "reason": "I know them.",
         "overrules": False},
        {"rater": "fast", "used": False, "rules": REASON["too-fast"],
         "reason": "Too fast indeed.", "overrules": False},
        {"rater": "good", "used": False, "rules": "", "reason": "Told me they guessed.",
         "overrules": True},
        {"rater": "lines", "used": True, "rules": REASON["straight-lining"],
         "reason": "I sat beside them.", "overrules": True},
    ]  # fmt: skip
    effect = section(report, "Effect of the decisions that overrule the rules")
    rows = effect.frame.set_index(["dataset", "method"])
    votes = data.votes[data.votes["kind"] == "vote"]
    for column, used in (
        ("mos_by rules", ["any-range", "good"]),
        ("mos_used", ["any-range", "lines"]),
    ):
        means = votes[votes["rater"].isin(used)].groupby(["dataset", "method"])["score"].mean()
        assert rows[column].to_dict() == pytest.approx(means.to_dict())
    said = [note for note in effect.notes if note.startswith("The decision on ")]
    # by hand: 3.00 for good and any-range, 4 for lines: (3 + 4) / 2 with both, 3 without lines
    assert said == [
        "The decision on good: +0.17 points at most, on bicubic, A.",
        "The decision on lines: +0.50 points at most, on bicubic, A.",
    ]
    text = to_html(report)
    for reason in (*(why for _, why in decided.values()), REASON["straight-lining"]):
        assert reason in text
    departed = " ".join(departures(data))
    assert "Votes of good are not used by decision, not by a rule: Told me they" in departed
    assert "Votes of lines are used by decision, against a rule: I sat beside them." in departed
    assert "fast are" not in departed


def test_no_decision_is_printed_where_none_overrules() -> None:
    report = study_report(study())
    assert not [s for s in report.tables if "decisions" in s.title]
    assert "by decision" not in to_html(report)


def test_the_effects_are_hidden_as_long_as_results_are() -> None:
    data = replace(study({"good": (False, "A reason.")}), state="open")
    text = to_html(study_report(data))
    assert "A reason." in text
    assert not re.search(r"\d points at most", text)
