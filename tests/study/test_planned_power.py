"""What a design's planned analysis would find, and the looks that it may plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from sreval.api import read_votes
from sreval.errors import SrevalError, StatisticsError
from sreval.opinions.comparison import compare_methods
from sreval.opinions.power import Plan, power
from sreval.report.notes import study_warnings
from sreval.report.study_facts import StudyFacts, planned_tests
from sreval.report.study_report import study_report, to_html
from sreval.report.study_text import CheckedStudy
from sreval.study.check import check
from sreval.study.design import Analysis, StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.planned_power import PlannedPower, planned_power
from tests.report.study_builder import make_study
from tests.study.designs import design_of, manifest_of, plain_pool

METHODS = ["nearest", "bicubic", "hr"]
POOL = plain_pool(a=6, b=4)
LOOKS: dict[str, Any] = {"looks": [4, 6, 12], "look_before_close": True, "unit": "rater"}


def planned(design: StudyDesign) -> tuple[PlannedPower, ...]:
    return planned_power(StimulusSet.of(design, manifest_of(POOL, METHODS).scenes))


def made(**changes: Any) -> StudyDesign:
    analysis = changes.pop("analysis", {"unit": "rater"})
    return design_of(METHODS, [{"name": "a"}], raters=12, analysis=analysis, **changes)


def test_a_design_has_the_power_of_its_own_plan() -> None:
    (found,) = planned(made())
    alone = power(0.3, 12, 6, Plan("rater", methods=3), studies=found.studies)
    assert (found.power, found.seen, found.looks) == (alone.power, 72, ((12, 0.05 / 3),))
    assert found.smallest is not None
    assert 0.3 < found.smallest < 1


def test_a_subset_costs_power_by_what_a_rater_then_sees() -> None:
    whole, part = (planned(made(subset=subset))[0] for subset in (None, 9))
    assert part.seen < whole.seen / 2
    assert part.smallest is not None and whole.smallest is not None  # noqa: PT018
    assert part.smallest > whole.smallest + 0.1


def test_frames_of_a_sequence_are_one_image() -> None:
    frames = {"a": {f"s/{n:02}": "a/s" for n in range(3)} | {f"t/{n:02}": "a/t" for n in range(3)}}
    stimuli = StimulusSet.of(made(), manifest_of(frames, METHODS).scenes)
    (found,) = planned_power(stimuli)
    assert found.seen == 2 * 12


def test_too_large_a_panel_is_not_simulated() -> None:
    assert planned(design_of(METHODS, [{"name": "a"}], raters=100_000)) == ()


def test_check_tells_power_and_the_level_of_every_look() -> None:
    frozen = manifest_of(POOL, METHODS)
    design = made(analysis=LOOKS)
    text = CheckedStudy.of("s", design, frozen, check(design, frozen), planned(design)).text
    assert "looks     a: p must lie below " in text
    assert "after 4 raters (no outcome does), " in text
    assert "power     a: 0." in text
    assert "for a difference of 0.3 points; 0.8 needs about " in text


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        ({"looks": [4, 12]}, "need look_before_close = true"),
        (LOOKS | {"looks": [6, 4, 12]}, "don't rise"),
        (LOOKS | {"looks": [4, 4, 12]}, "don't rise"),
        (LOOKS | {"looks": [4, 20]}, "the last look is after 20 raters, and the study has 12"),
        (LOOKS | {"looks": [4, 8]}, "the last look is after 8 raters, and the study has 12"),
        (LOOKS | {"looks": [0, 12]}, "greater than 0"),
        (LOOKS | {"spending": "haybittle"}, "'obrien-fleming' or 'pocock'"),
    ],
)
def test_looks_that_cannot_be_meant_are_refused(analysis: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made(analysis=analysis)


def test_a_key_that_is_added_later_changes_no_hash() -> None:
    assert made().sha256 == made(analysis={"unit": "rater", "spending": "obrien-fleming"}).sha256
    assert made().sha256 != made(analysis=LOOKS).sha256


STUDY = make_study({"Set5": 5}, {"bicubic": 2.9, "hr": 3.6}, raters=12, analysis=LOOKS)


def after(done: int, state: str = "open") -> Any:
    """The study when so many raters have finished, in falling order of their names."""
    sessions = STUDY.sessions.sort_values("rater", ascending=False, ignore_index=True)
    sessions["ended_at"] = sorted(sessions["ended_at"])
    sessions["outcome"] = ["complete"] * done + [None] * (12 - done)
    return replace(STUDY, sessions=sessions, state=state)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("done", "state", "number", "raters"),
    [
        (3, "open", 0, 0),
        (4, "open", 1, 4),
        (5, "paused", 1, 4),
        (11, "open", 2, 6),
        (11, "closed", 2, 6),
        (12, "closed", 3, 12),
    ],
)
def test_the_look_is_the_last_that_was_reached(
    done: int, state: str, number: int, raters: int
) -> None:
    look = after(done, state).look
    assert (look.number, len(look.raters)) == (number, raters)
    assert list(look.raters) == [f"sim-{n:03}" for n in range(12, 12 - raters, -1)]


def test_a_study_without_looks_has_none() -> None:
    assert make_study({"Set5": 5}, raters=3).look is None


def test_the_tests_of_a_look_are_those_of_its_raters_at_its_level() -> None:
    data = after(9)
    facts = StudyFacts(data)
    votes = facts.votes_on("Set5")
    assert votes["rater"].nunique() == 6
    (row,) = planned_tests(votes, data).to_dict("records")
    last = STUDY.votes["rater"].isin([f"sim-{n:03}" for n in range(7, 13)])
    p = compare_methods(STUDY.votes[last], unit="rater")[0].pairs[0].p
    assert row["p"] == pytest.approx(p)
    assert row["significant"] == (p < data.look.level)
    assert row["p_adjusted"] > row["p"]
    assert facts.request.alpha == data.look.level


def test_the_report_of_a_look_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StudyFacts, "drawn", lambda *_: "<svg/>")
    text = " ".join(to_html(study_report(after(9))).split())
    assert "Look 2 of 3: the 6 raters who finished first." in text
    assert "after 4, 6, 12 raters, alpha spent by obrien-fleming" in text
    assert "of a single comparison p must lie below" in text


def test_before_the_first_look_there_are_no_results() -> None:
    with pytest.raises(StatisticsError, match="first look is after 4 raters"):
        StudyFacts(after(2)).votes_on("Set5")


def test_results_do_not_change_between_looks() -> None:
    first, later = (planned_tests(StudyFacts(d).votes_on("Set5"), d) for d in map(after, (6, 11)))
    pd.testing.assert_frame_equal(first, later)


def test_all_results_of_a_study_are_of_the_votes_of_its_look() -> None:
    """Raters who were left out stay in view as such, and who finished later is in nothing."""
    rejected = STUDY.votes["rater"] == "sim-010"
    votes = STUDY.votes.assign(accepted=STUDY.votes["accepted"] & ~rejected)
    data = replace(after(9), votes=votes)
    assert set(data.analysed["rater"]) == {f"sim-{n:03}" for n in range(6, 13)}
    assert data.alpha == data.look.level
    later = replace(
        data,
        votes=votes.assign(
            score=votes["score"].where(votes["rater"].isin(data.analysed["rater"]), 1)
        ),
    )
    first, second = StudyFacts(data), StudyFacts(later)
    assert not first.effect_of_exclusions.empty
    pd.testing.assert_frame_equal(first.effect_of_exclusions, second.effect_of_exclusions)
    pd.testing.assert_frame_equal(first.scored_votes, second.scored_votes)
    assert str(data.look) in study_warnings(data)


def test_exported_votes_of_a_study_with_looks_say_so(tmp_path: Path) -> None:
    STUDY.votes.to_csv(tmp_path / "votes.csv", index=False)
    assert read_votes(tmp_path / "votes.csv").notes == ()
    (tmp_path / "design.json").write_text(STUDY.design.model_dump_json())
    (note,) = read_votes(tmp_path / "votes.csv").notes
    assert "plans looks" in note
    (tmp_path / "design.json").write_text(made().model_dump_json())
    assert read_votes(tmp_path / "votes.csv").notes == ()


@pytest.mark.parametrize(
    ("looks", "remedy"),
    [
        (3, "as in [4, 8, 12] for a study of 12 raters"),
        ("3", "as in [4, 8, 12] for a study of 12 raters"),
        ([8, 4, 12], "Write [4, 8, 12]."),
        ([4, 4, 12], "Write [4, 12]."),
    ],
)
def test_looks_that_are_no_rising_list_are_refused_with_one(looks: Any, remedy: str) -> None:
    with pytest.raises(SrevalError) as raised:
        Analysis.checked({"looks": looks, "look_before_close": True}, "study.toml")
    assert remedy in str(raised.value)


ACTIVE: dict[str, Any] = {"task": {"kind": "pair"}, "subset": 6, "pairs": {"plan": "active"}}
PHOTOGRAPH: dict[str, Any] = {"task": {"kind": "pair", "question": "photograph"}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [(ACTIVE, "an active one chooses other pairs"), (PHOTOGRAPH, "asks for the photograph")],
)
def test_check_says_why_no_power_is_told(changes: dict[str, Any], why: str) -> None:
    frozen = manifest_of(POOL, METHODS)
    design = made(**changes)
    assert planned(design) == ()
    text = CheckedStudy.of("s", design, frozen, check(design, frozen), ()).text
    assert "Power: none is told, because " in text
    assert why in text


def test_the_photograph_is_compared_with_what_it_was_shown_beside() -> None:
    frozen = manifest_of(POOL, METHODS)
    (found,) = check(made(**PHOTOGRAPH), frozen).tests
    assert found.comparisons == found.tests == 2
    with pytest.raises(ValidationError, match="never shown together"):
        made(**PHOTOGRAPH, analysis={"comparisons": [("nearest", "bicubic")]})
