"""A study's report: marked everywhere, escaped, complete, and honest about what it can't say."""

from __future__ import annotations

import html
import itertools
import pickle
import re
from collections.abc import Callable, Hashable
from dataclasses import replace
from html.parser import HTMLParser
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import UNFORESEEN, StatisticsError
from sreval.opinions.simulation import RaterModel
from sreval.processes import Beside
from sreval.report.study_facts import StudyFacts, planned_tests
from sreval.report.study_report import Report, study_report, to_html, to_latex
from sreval.study.data import ORPHAN, Look, StudyData
from sreval.study.design import StudyDesign
from tests.report.study_builder import QUALITIES, departures, full_size, make_study
from tests.study.designs import in_languages

T = TypeVar("T")
NAUGHTY = "<script>alert(1)</script>\"'&{{7*7}}$x_1$%\\input{/etc/passwd}"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What a page holds: texts by class or tag, attributes, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            name = (dict(attrs).get("class") or tag).split()[0]
            self._open.append(name)
            self.texts.setdefault(name, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for name in set(self._open):
            self.texts[name][-1] += data


def page_of(data: StudyData) -> Page:
    return Page(to_html(study_report(data)))


class Elsewhere(Beside):
    """Computes every task when it is asked for, and sends it as another process would."""

    def __enter__(self) -> Elsewhere:
        global _asked
        _asked = self.left = dict(self._tasks)
        return self

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        task = self.left.pop(key, make)
        found: T = pickle.loads(pickle.dumps(task())) if task is not make else make()
        return found


_asked: dict[Hashable, Callable[[], object]] = {}


def headings(page: Page) -> list[str]:
    return [text for name in ("h2", "caption", "figcaption") for text in page.texts[name]]


def titles(report: Report) -> list[str]:
    return [part.title for part in report.parts]


@pytest.fixture(scope="module")
def simulated() -> StudyData:
    return make_study()


def test_what_another_process_computes_is_the_same_and_all_of_it_is_asked_for(
    simulated: StudyData, drawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.report.study_report.Beside", Elsewhere)
    page = to_html(study_report(simulated))
    assert page == drawn
    assert not _asked


@pytest.fixture(scope="module")
def drawn(simulated: StudyData) -> str:
    """The page of a whole report with its figures."""
    return to_html(study_report(simulated))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "simulated"),
        ({"simulated": False, "stand_ins": ("bicubic",)}, "stand-ins"),
        ({"simulated": False, "pilot": True}, "pilot"),
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_every_part_table_figure_and_sheet_bears_the_mark(
    options: dict[str, object], word: str
) -> None:
    report = study_report(make_study(**options))  # type: ignore[arg-type]
    page = Page(to_html(report))
    assert len(headings(page)) > 25
    assert [text for text in headings(page) if word not in text] == []
    assert word.upper() in page.texts["running"][0]  # stands on every sheet in print
    assert word.upper() in page.texts["title"][0]
    assert word.upper() in page.texts["warnings"][0]
    latex = to_latex(report)
    captions = re.findall(r"\\(?:caption|subsection\*)\{(.*)\}", latex)
    assert len(captions) > 20
    assert [caption for caption in captions if word not in caption] == []
    assert word.upper() in latex[latex.index(r"\markright") :].splitlines()[0]


def test_matplotlibs_figures_bear_the_mark_in_the_drawing(
    simulated: StudyData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    from sreval.report import study_facts

    drawn: list[Figure] = []

    def keep(figure: Figure) -> str:
        drawn.append(figure)
        return "<svg ></svg>"

    monkeypatch.setattr(study_facts, "figure_svg", keep)
    to_html(study_report(replace(simulated, state="open", design=looking(simulated))))
    assert len(drawn) == 9
    assert {figure.get_suptitle() for figure in drawn} == {"SIMULATED · INTERIM"}


@pytest.mark.usefixtures("undrawn")
def test_a_plain_study_bears_no_mark() -> None:
    text = to_html(study_report(make_study(simulated=False)))
    assert not re.search("simulated|stand-in|interim|SIMULATED", text, re.I)


def test_the_page_needs_nothing_from_elsewhere(drawn: str) -> None:
    page = Page(drawn)
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png")), (tag, value)
    assert [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "img")] == []
    assert not re.search(r"@import|url\((?!#)", drawn)


def test_tables_in_latex_stay_in_their_parts_and_in_the_page_s_order(
    make_frame: Callable[..., pd.DataFrame],
) -> None:
    data = make_study({"Set5": 5}, instructions="Rate the picture.\n")
    scores = make_frame({("Set5", m, "psnr"): [20.0 + i for i in range(6)] for m in QUALITIES})
    report = study_report(data, scores[scores["image"] != "img_000"])
    latex = to_latex(report)
    assert r"\begin{table}" not in latex  # a float would leave its part
    assert "Instructions: ``Rate the picture.''" in latex
    captions = [int(number) for number in re.findall(r"Table (\d+)\.", to_html(report))]
    split = latex.count("(continued)}")
    assert latex.count(r"\addtocounter{table}{-1}") == split
    assert captions == list(range(1, latex.count(r"\caption{") - split + 1))


def test_naughty_names_are_text_in_html_and_latex() -> None:
    qualities = {"nearest": 1.5, NAUGHTY: 3.0, "=cmd|' /C calc'!A0": 3.5}
    data = make_study(
        {"[0pt]" + NAUGHTY: 5}, qualities, title=NAUGHTY + "\n\n\x00\x1b", instructions=NAUGHTY
    )
    report = study_report(data)
    page = Page(to_html(report))
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 1
    assert page.texts["h1"][0].startswith(NAUGHTY)
    assert "49" not in page.texts["h1"][0]
    latex = to_latex(report)
    assert r"\input{" not in latex.replace(r"\textbackslash{}input", "")
    assert re.search(r"\\\\\s*\[", latex) is None  # else taken for the argument of \\
    assert not re.search(r"(?<!\\)[%#&$]x_1", latex)
    depth = 0
    for char in re.sub(r"\\[{}]", "", latex):
        depth += (char == "{") - (char == "}")
        assert depth >= 0
    assert depth == 0
    assert "\x00" not in latex


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(drawn: str) -> None:
    assert to_html(study_report(make_study())) == drawn


def looking(data: StudyData) -> StudyDesign:
    analysis = data.design.analysis.model_copy(update={"look_before_close": True})
    return data.design.model_copy(update={"analysis": analysis})


@pytest.mark.usefixtures("undrawn")
def test_an_open_study_shows_no_mean_unless_the_design_lets_it(simulated: StudyData) -> None:
    report = study_report(replace(simulated, state="open"))
    assert not any(name.startswith("Results") for name in titles(report))
    for section in report.tables:
        assert not {"mos", "mos_all", "mos_used", "quality", "difference"} & set(section.frame)
    text = to_html(report)
    for mean in simulated.opinions.groupby(["dataset", "method"])["score"].mean():
        assert f">{mean:.2f}<" not in text
    assert "INTERIM: the study is open; means of methods are hidden." in text
    shown = study_report(replace(simulated, state="open", design=looking(simulated)))
    assert "Results on Set5" in titles(shown)
    assert "INTERIM: the study is open; results may still change." in to_html(shown)


@pytest.mark.usefixtures("undrawn")
def test_looks_before_the_end_are_named() -> None:
    look = Look("2026-03-02T10:00:00+00:00", "command line", 120)
    (said,) = departures(replace(make_study(), looks=[look]))
    assert said.startswith("Results were looked at before the study was closed, which the design")
    assert "2026-03-02 10:00 UTC, 120 rows, command line" in said


def every_sign(gaps: npt.NDArray[np.float64]) -> float:
    """The signed-rank test's exact two-sided p: all 2^n signs of these ranks."""
    ranks = stats.rankdata(np.abs(gaps))
    sums = np.array([ranks @ signs for signs in itertools.product([0, 1], repeat=gaps.size)])
    observed = ranks[gaps > 0].sum()
    return float(min(1, 2 * min((sums <= observed).mean(), (sums >= observed).mean())))


@pytest.mark.parametrize("unit", ["rater", "image"])
@pytest.mark.parametrize("correction", ["holm", "none"])
def test_planned_tests_are_exact_signed_as_planned_and_corrected(
    unit: str, correction: str
) -> None:
    pairs = [["nearest", "bicubic"], ["srresnet-mse", "bicubic"]]
    data = make_study(
        raters=9, analysis={"unit": unit, "correction": correction, "comparisons": pairs}
    )
    votes = data.votes[data.votes["dataset"] == "Set14"]
    found = planned_tests(votes, data)
    assert found[["first", "second"]].to_numpy().tolist() == pairs
    means = data.opinions[data.opinions["dataset"] == "Set14"]
    wide = means.groupby(["method", unit])["score"].mean().unstack("method")
    raw = []
    for (first, second), (_, row) in zip(pairs, found.iterrows(), strict=True):
        gaps = (wide[first] - wide[second]).round(9).to_numpy()
        raw.append(every_sign(gaps[gaps != 0]))
        assert row["difference"] == pytest.approx(gaps.mean())
        assert row["low"] <= gaps.mean() <= row["high"]
        assert np.sign(row["rank_biserial"]) == np.sign(gaps.mean())
    holm = [min(1, 2 * raw[0]), min(1, 2 * raw[1])]
    order = int(raw[1] < raw[0])
    holm[1 - order] = max(holm[order], raw[1 - order])
    expected = holm if correction == "holm" else raw
    assert found["p_adjusted"].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize("correction", ["holm", "benjamini-hochberg"])
def test_planned_tests_are_too_small_by_their_own_family(correction: str) -> None:
    """Six raters: 2^-5 for one comparison; with two, 2^-4 by Holm, and 2^-5 by the other."""
    pairs = [["hr", "nearest"], ["srresnet-mse", "bicubic"]]
    plan = {"unit": "rater", "correction": correction}
    for count in (1, 2):
        data = make_study(raters=6, analysis=plan | {"comparisons": pairs[:count]})
        found = planned_tests(data.votes[data.votes["dataset"] == "Set14"], data)
        assert set(found["too_small"]) == {correction == "holm" and count == 2}
        assert (found["least_p"] == 2**-5).all()


@pytest.mark.usefixtures("undrawn")
def test_a_report_says_where_no_outcome_could_have_been_significant() -> None:
    """Five images, all pairs of four methods: the planned tests and no letters."""
    made = study_report(make_study(raters=6, analysis={"unit": "image"}))
    text = html.unescape(to_html(made))
    assert "n too small: no outcome could have been significant at 0.05" in text
    assert "(n 5; the least p is 0.0625, adjusted 0.3750)" in text
    assert "They aren't adjusted for the 6 comparisons" in text
    assert "don't differ" not in text


@pytest.mark.usefixtures("undrawn")
def test_what_was_not_planned_is_said_to_be_exploratory() -> None:
    data = make_study(analysis={"comparisons": [["nearest", "bicubic"]]})
    captions = page_of(data).texts["caption"]
    assert any("Planned comparisons on Set5" in text for text in captions)
    assert any("exploratory, all pairs, not planned" in text for text in captions)


@pytest.mark.usefixtures("undrawn")
def test_exclusions_are_named_and_their_effect_is_that_of_leaving_them_out() -> None:
    data = make_study(
        gold=[
            {"dataset": name, "method": "nearest", "images": 1, "low": 1, "high": 4}
            for name in ("Set5", "Set14")
        ],
        acceptance=[{"kind": "gold", "limit": 0.4, "reason": "Gold items were missed."}],
    )
    votes = data.votes.copy()
    own = votes["rater"] == "sim-002"
    votes.loc[own & (votes["kind"] == "gold"), "score"] = 5
    votes.loc[own, "accepted"] = False
    votes.loc[own, "reason"] = "Gold items were missed."
    report = study_report(replace(data, votes=votes))
    (effect,) = [s for s in report.tables if s.title == "Effect of the exclusions"]
    rows = effect.frame.set_index(["dataset", "method"])
    cast = data.votes[data.votes["kind"] == "vote"]
    every = cast.groupby(["dataset", "method"])["score"].mean()
    kept = cast[cast["rater"] != "sim-002"].groupby(["dataset", "method"])["score"].mean()
    assert rows["mos_all"].to_dict() == pytest.approx(every.to_dict())
    assert rows["mos_used"].to_dict() == pytest.approx(kept.to_dict())
    text = to_html(report)
    assert "not accepted: Gold items were missed." in text
    assert "Votes of 5 raters are used, 6 were planned." in text
    assert "by decision, not by a rule" not in text
    votes.loc[own & (votes["kind"] == "gold"), "score"] = 1
    votes.loc[own, "reason"] = "He told me that he guessed."
    decided = departures(replace(data, votes=votes))
    assert any("by decision, not by a rule: He told me" in s for s in decided), decided


@pytest.mark.usefixtures("undrawn")
def test_screening_speaks_only_of_raters_whose_votes_are_used() -> None:
    gold = [{"dataset": "Set5", "method": "nearest", "images": 2, "low": 1, "high": 5}]
    data = make_study(gold=[{**gold[0], "high": 2}])
    votes = data.votes.copy()
    own = votes["rater"] == "sim-002"
    votes.loc[own & (votes["kind"] == "gold"), "score"] = 5
    votes.loc[own, "accepted"] = False
    votes.loc[own, "reason"] = "Gold items were missed."
    report = study_report(replace(data, votes=votes))
    (part,) = [part for part in report.parts if part.title == "Screening"]
    assert part.not_done == []


@pytest.mark.usefixtures("undrawn")
def test_a_deleted_rater_of_an_old_export_is_left_out_and_said(simulated: StudyData) -> None:
    gone = simulated.sessions["rater"] == "sim-003"
    data = replace(simulated, sessions=simulated.sessions[~gone], deleted=1).without_orphans()
    assert set(data.opinions["rater"]) == set(simulated.votes["rater"]) - {"sim-003"}
    text = to_html(study_report(data))
    assert ORPHAN.split("(")[0] in text
    assert "All data of 1 rater were deleted" in text


@pytest.mark.usefixtures("undrawn")
def test_raters_are_counted_by_the_language_that_they_read() -> None:
    data = make_study(raters=6)
    assert "The texts were in" not in " ".join(StudyFacts(data).methods)
    content = in_languages(data.design.model_dump(mode="json"), "de", "ar")
    read = pd.Series(["en", "de", "de", None, "de", "en"], dtype=object)
    several = replace(
        data,
        design=StudyDesign.model_validate(content),
        sessions=data.sessions.assign(language=read),
    )
    said = (
        "English (2 raters), Arabic (0 raters), German (3 raters), a language that isn't known "
        "(1 rater)"
    )
    facts = StudyFacts(several)
    assert facts.raters_by_language == said
    assert f"Texts were in {said}." in facts.methods[0]
    page = to_html(study_report(several))
    assert "English, Arabic, German" in page
    assert "Of the raters whose votes count, the texts were in English (2 raters)" in page
    unused = several.votes.assign(accepted=several.votes["rater"] != data.sessions["rater"][1])
    assert "German (2 raters)" in StudyFacts(replace(several, votes=unused)).raters_by_language


def test_one_rater_gets_a_report_that_says_what_cant_be_computed() -> None:
    report = study_report(make_study(raters=1))
    not_done = [said for part in report.parts for said in part.not_done]
    assert "Reliability: A single rater has nobody to agree with." in not_done
    assert "Results on Set5" in titles(report)
    assert "Not computed:" in to_html(report)
    to_latex(report)


def test_a_study_that_nobody_began_gets_a_report(simulated: StudyData) -> None:
    empty = replace(simulated, votes=simulated.votes.iloc[:0], sessions=simulated.sessions.iloc[:0])
    report = study_report(empty)
    assert report.lead[0].startswith("Nobody has voted yet. Pictures: Set5, 5 images by 4 methods;")
    assert "Nobody has enrolled." in [said for part in report.parts for said in part.not_done]
    to_latex(report)
    page = to_html(report)
    assert page.count("voted yet") == 1
    for said in ("accepted vote.", "have no data set", "Every vote", "were planned", "Results on"):
        assert said not in page


@pytest.mark.usefixtures("undrawn")
def test_another_scale_is_beside_the_papers_mos_on_its_own() -> None:
    made = make_study({"Set5": 5}, scale={"line": True})
    votes = made.votes.assign(score=(made.votes["score"] - 1) * 25.0)
    report = study_report(replace(made, votes=votes))
    table = next(t for t in report.tables if t.title == "Mean opinion scores on Set5")
    heads = [column.heading for column in table.columns]
    assert heads[-2:] == ["on 1..5", "paper's MOS"]
    on_five = table.frame["mos_on_1_to_5"]
    assert on_five.tolist() == pytest.approx((1 + table.frame["mos"] / 25).tolist())


@pytest.mark.usefixtures("undrawn")
def test_a_hidden_reference_has_dmos_in_brief_and_votes_alike_are_explained() -> None:
    hidden = make_study({"Set5": 5}, task={"kind": "acr-hr"}, order={"scene_distance": 2})
    alike = replace(hidden, votes=hidden.votes.assign(score=3))
    report = study_report(alike)
    brief = " ".join(report.parts[0].sentences)
    assert "They are as high as HR, the original, whose MOS is 3.00." in brief
    assert "same rater's on HR + 5" in brief
    assert brief.count(" 5.00 (") == 3
    table = next(t for t in report.tables if t.title == "Mean opinion scores on Set5")
    assert any("Where sd is 0" in note for note in table.notes)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"task": {"kind": "acr-hr"}}, "rating with hidden reference, 5 categories, 1 bad, 2 poor"),
        ({"scale": {"words": ["low", "high"], "line": True}}, "a line from 0 to 100, in parts low"),
    ],
)
def test_a_report_begins_with_who_rated_what_and_what_was_found(
    design: dict[str, object], said: str
) -> None:
    data = make_study({"Set14": 6, "Set5": 5}, **design)  # type: ignore[arg-type]
    report = study_report(data)
    n = len(data.opinions)
    assert report.lead[0] == (
        f"6 raters gave the {n} votes that count on 2026-03-01, on 44 stimuli. Pictures: "
        "Set5, 5 images by 4 methods; Set14, 6 images by 4 methods."
    )
    assert said in report.lead[1]
    first = [part for part in report.parts if part.first]
    assert [part.title for part in first] == ["In brief: Set5", "In brief: Set14"]
    for part, dataset in zip(first, ("Set5", "Set14"), strict=True):
        answer = StudyFacts(data).answer(dataset).sentences
        assert part.sentences[: len(answer)] == answer
        assert [said[:4] for said in part.sentences[len(answer) :]] == ["DMOS"] * ("task" in design)
        assert len(answer) == 3
    folded = to_html(report).split("<details>")
    assert len(folded) == len(report.parts) - len(first) + 1
    assert titles(report)[-3:] == ["Design", "For a paper", "Versions and commands"]


@pytest.mark.usefixtures("undrawn")
def test_numbers_that_are_missing_are_dashes_everywhere() -> None:
    """One cell was rated only by raters whom a rule rejects: it is empty without them."""
    data = make_study(raters=8, model=RaterModel(straight_liner_rate=0.3), seed=5)
    votes = data.votes
    lining = votes[votes["kind"] == "vote"].groupby("rater")["score"].nunique() == 1
    assert 0 < lining.sum() < 8
    cell = (votes["dataset"] == "Set5") & (votes["method"] == "bicubic")
    votes = votes[~cell | votes["rater"].isin(lining.index[lining])]
    text = to_html(study_report(replace(data, votes=votes)))
    shown = re.sub(r"<(script|style|svg).*?</\1>", "", text, flags=re.S)
    assert not re.search(r">[^<]*(?<![\w.])[+-]?(nan|inf|NaN)(?!\w)[^<]*<", shown)
    assert ">–<" in shown


@pytest.mark.usefixtures("undrawn")
def test_a_part_that_fails_takes_no_other_with_it(
    simulated: StudyData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr(StudyFacts, "images_of", broken)
    monkeypatch.setattr(StudyFacts, "planned_tests", broken)
    report = study_report(simulated)
    assert "Screening" in titles(report)
    said = [why for part in report.parts for why in part.not_done if UNFORESEEN in why]
    assert len(said) == 4  # the design, the paragraph, and the tests of two data sets
    assert all("ZeroDivisionError: float division by zero" in why for why in said)
    assert "Traceback" not in to_html(report)


@pytest.mark.usefixtures("undrawn")
def test_methods_on_different_images_are_said_to_be_in_the_report(simulated: StudyData) -> None:
    votes = simulated.votes
    gone = (votes["method"] == "bicubic") & (votes["image"] == "img_001")
    report = study_report(replace(simulated, votes=votes[~gone | (votes["dataset"] == "Set14")]))
    (means,) = [s for s in report.tables if s.title == "Mean opinion scores on Set5"]
    assert any(note.startswith("Different images of Set5: ") for note in means.notes)
    assert any("; 4 in common. Their means can't be compared." in note for note in means.notes)
    (means,) = [s for s in report.tables if s.title == "Mean opinion scores on Set14"]
    assert not any("Different images" in note for note in means.notes)


@pytest.mark.usefixtures("undrawn")
def test_only_one_method_left_is_said(simulated: StudyData) -> None:
    votes = simulated.votes[simulated.votes["method"] == "hr"]
    report = study_report(replace(simulated, votes=votes))
    (part,) = [part for part in report.parts if part.title == "Results on Set5"]
    assert any("one method only: hr" in said for said in part.not_done)
    (part,) = [part for part in report.parts if part.title == "Departures from the plan"]
    assert any("Set5 has no votes on nearest, bicubic" in said for said in part.sentences)


@pytest.mark.evidence
def test_the_papers_size_stays_under_ten_megabytes() -> None:
    report = study_report(full_size())
    assert len(to_html(report).encode()) < 10_000_000
    means = [s for s in report.tables if s.title.startswith("Mean opinion scores on")]
    assert len(means) == 3
    for section in means:
        both = pd.DataFrame(section.frame)[["mos", "paper"]]
        assert both.notna().all(axis=None)
        assert stats.kendalltau(both["mos"], both["paper"]).statistic > 0.8


def test_viewing_checks_are_told_by_median_and_range() -> None:
    asked = {"card": True, "distance": True, "acuity": True, "acuity_least": 0.5, "required": True}
    data = make_study({"Set5": 1}, {"bicubic": 2.0}, 3, viewing={"checks": asked})
    sessions = data.sessions.assign(distance_mm=[500.0, float("nan"), 640.0], acuity=None)
    report = study_report(replace(data, sessions=sessions))
    (told,) = [table for table in report.tables if table.title == "Viewing checks"]
    assert told.to_csv().splitlines()[1:] == ['"viewing distance, mm",2,570.0,500.0,640.0']
    page = to_html(report)
    assert "card, distance, acuity; all required; acuity of 0.5 or more" in page


def test_a_figure_that_cant_be_drawn_says_why_in_its_place() -> None:
    def fails() -> str:
        raise StatisticsError("No <pen> is left.", "")

    report = Report("A study", [], [])

    def part() -> str:
        report.picture("Broken", fails, "It shows nothing.")
        report.picture("Whole", lambda: "<svg></svg>")
        return ""

    report.part("Figures", part)
    page = Page(to_html(report))
    assert page.texts["not-done"] == ["Not computed: No <pen> is left."]
    assert [text.partition(". ")[2] for text in page.texts["figcaption"]] == [
        "BrokenIt shows nothing.",
        "Whole",
    ]
    assert [tag for tag, _ in page.tags].count("svg") == 1
