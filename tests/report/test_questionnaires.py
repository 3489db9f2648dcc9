"""What a report says of questionnaires and comments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from sreval.report.study_report import study_report, to_html, to_latex
from sreval.study.data import StudyData
from tests.report.study_builder import make_pair_study, make_study

QUESTIONS: list[dict[str, Any]] = [
    {"key": "screens", "text": "Screens?", "kind": "choices", "options": ["a, b", "c", "d"]},
    {
        "key": "agree", "text": "How far?", "kind": "grid", "rows": ["x_1", "<y>"],
        "options": ["no", "so & so", "yes"],
        "only_if": {"key": "screens", "one_of": ["c"]},
    },
]  # fmt: skip
ANSWERS = {
    1: {"screens.1": "a, b", "screens.2": "c", "agree.1": "no", "agree.2": "yes"},
    2: {"screens.2": "c", "agree.1": "no", "agree.2": "so & so"},
    3: {"screens.1": "a, b"},
}


def answered(data: StudyData) -> StudyData:
    sessions = list(data.sessions["session"])
    rows = [
        {"session": sessions[n], "key": key, "value": value}
        for n, own in ANSWERS.items()
        for key, value in own.items()
    ]
    return replace(data, answers=pd.DataFrame(rows))


@pytest.fixture(scope="module")
def data() -> StudyData:
    made = make_study({"Set5": 2}, questions=QUESTIONS, comment={"text": "What <disturbs>?"})
    votes = made.votes.copy()
    votes["comment"] = None
    own = votes.index[(votes["kind"] == "vote") & (votes["method"] == "bicubic")]
    votes.loc[own[:3], "comment"] = "my secret"
    votes.loc[votes.index[votes["kind"] == "gold"][0], "comment"] = "of a check"
    return answered(replace(made, votes=votes))


def test_several_choices_and_grids_are_counted_by_rater(data: StudyData) -> None:
    report = study_report(data)
    tables = {table.title: table.frame for table in report.tables}
    said = tables["Questionnaire"].set_index("text")
    assert said.loc["Screens?", "said"] == "a, b 2, c 2, d 0"
    assert list(said["n"]) == [3, 2]
    assert said.index[1] == "How far? (asked after screens: c)"
    grid = tables["agree"].set_index("row")[[0, 1, 2, "n"]]
    assert list(grid.loc["x_1"]) == [2, 0, 0, 2]
    assert list(grid.loc["<y>"]) == [0, 1, 1, 2]


def test_comments_are_counted_and_not_printed(data: StudyData) -> None:
    report = study_report(data)
    tables = {table.title: table.frame for table in report.tables}
    counts = tables["Comments by what was shown"].set_index("shown")
    assert counts["comments"].tolist() == [0, 3, 0, 0]
    assert counts.index[1].lower() == "bicubic"
    assert counts["votes"].tolist() == [12, 12, 12, 12]  # six raters, two images
    page, paper = to_html(report), to_latex(report)
    assert "4 comments were written" in " ".join(page.split())
    assert "What &lt;disturbs&gt;?" in page
    for text in (page, paper):
        assert "my secret" not in text
        assert "of a check" not in text
    still_open = replace(data, state="open")
    assert "Comments by what was shown" not in to_html(study_report(still_open))


def test_both_orders_of_a_pair_are_one_row() -> None:
    made = make_pair_study({"Set5": 2}, comment={"text": "Why?"})
    votes = made.votes.assign(comment="so")
    report = study_report(replace(made, votes=votes))
    counts = {t.title: t.frame for t in report.tables}["Comments by what was shown"]
    assert len(counts) == 6  # the pairs of four methods
    assert (counts["comments"] == counts["votes"]).all()
    assert counts["votes"].sum() == (votes["kind"] == "vote").sum()
