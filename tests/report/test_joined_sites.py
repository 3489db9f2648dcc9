"""The report of a study that was joined from several sites says who came from where."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from sreval.report.study_report import study_report, to_html, to_latex
from sreval.study.data import StudyData
from tests.report.study_builder import QUALITIES, make_study


def joined(*sites: str | None) -> StudyData:
    """A study of eight raters, who are of these sites in turn."""
    data = make_study({"Set5": 3}, QUALITIES, 8)
    of = [sites[number % len(sites)] for number in range(len(data.sessions))]
    own = pd.Series(of, data.sessions.index, object)
    return replace(data, sessions=data.sessions.assign(site=own))


def test_raters_are_counted_by_site_and_names_are_text() -> None:
    data = joined(None, "<b>Leeds_&", "Bremen", "Bremen")
    page, latex = (make(study_report(data)) for make in (to_html, to_latex))
    said = "Bremen with 4 raters, this site with 2 raters."
    assert f"&lt;b&gt;Leeds_&amp; with 2 raters, {said}" in page
    assert "Joined from 3 sites:" in page
    assert r"Leeds\_\& with 2 raters" in latex


def test_a_study_of_one_site_says_nothing_of_sites() -> None:
    assert "Joined from" not in to_html(study_report(joined(None)))
