"""What check says of designs that can't be met, and of what a rater will sit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sreval.errors import SrevalError
from sreval.images.io import encode_png
from sreval.report.study_text import CheckedStudy
from sreval.study.check import Feasibility, check
from sreval.study.freeze import freeze
from sreval.study.sources import Available, available
from tests.study.designs import design_of, manifest_of, plain_pool

METHODS = ["nearest", "bicubic", "hr"]
POOL = plain_pool(a=6, b=4, spare=5)


def found(methods: list[str] = METHODS, **changes: Any) -> Feasibility:
    datasets = changes.pop("datasets", [{"name": "a"}, {"name": "b", "without": ["bicubic"]}])
    return check(design_of(methods, datasets, **changes), manifest_of(POOL, METHODS))


@pytest.mark.parametrize(
    ("changes", "constraint", "remedy"),
    [
        ({"subset": 27}, "subset", "Set it to 26 or less, or leave it out."),
        (
            {"order": {"scene_distance": 9}},
            "order.scene_distance",
            "Set order.scene_distance to 8 or less, or rate more scenes.",
        ),
        (
            {"repeats": [{"dataset": "a", "method": "hr", "images": 1, "distance": 15}]},
            "repeats.distance",
            "Set the distance to 12 or less.",
        ),
        (
            {"repeats": [{"dataset": "b", "method": "hr", "images": 5}]},
            "repeats.0",
            "Set its images to 4 or less, or give a larger subset.",
        ),
        (
            {"gold": [{"dataset": "spare", "method": "hr", "images": 6, "low": 4, "high": 5}]},
            "gold.0",
            "Ask for fewer, or name a larger data set.",
        ),
        (
            {"warm_up": {"dataset": "elsewhere", "images": 1, "methods": ["hr"]}},
            "warm_up",
            "Name a data set that is on this machine.",
        ),
        (
            {"datasets": [{"name": "a", "images": ["i000", "i9"]}]},
            "images.datasets.0",
            "It has i000, i001, i002, ...",
        ),
        (
            {"scale": {"words": ["bad", "Bad ", "fair", "good", "excellent"]}},
            "scale",
            "Give each its own.",
        ),
        ({"title": "  "}, "title", "Say what the study is about."),
        (
            {"questions": [{"key": "age", "text": "?", "kind": "number", "low": 99, "high": 18}]},
            "questions.0",
            "Exchange them.",
        ),
        (
            {
                "questions": [
                    {"key": "eyes", "text": "?", "options": ["a", "b"], "screens_out": ["b", "a"]}
                ]
            },
            "questions.0",
            "Leave one out of screens_out.",
        ),
        (
            {"acceptance": [{"kind": "gold", "limit": 0.5, "reason": "x"}]},
            "acceptance.0",
            "Add [[gold]] to the design, or remove the rule.",
        ),
    ],
)
def test_a_design_that_cannot_be_met_names_the_constraint_and_what_would_do(
    changes: dict[str, Any], constraint: str, remedy: str
) -> None:
    problem = found(**changes).problems[0]
    assert (problem.constraint, problem.remedy) == (constraint, remedy)


def test_the_remedies_do() -> None:
    assert not found(subset=26, order={"scene_distance": 8}).problems
    assert not found(
        repeats=[{"dataset": "a", "method": "hr", "images": 1, "distance": 12}]
    ).problems


def test_a_repeat_must_be_free_for_every_slot_of_a_subset() -> None:
    repeats = [{"dataset": "a", "method": "hr", "images": 2, "distance": 1}]
    problem = found(subset=7, repeats=repeats, raters=10).problems[0]
    assert problem.constraint == "repeats.0"
    assert "some rater sees only 1" in problem.what
    assert not found(subset=13, repeats=repeats, raters=10).problems


def test_items_are_counted_by_kind_and_votes_by_stimulus() -> None:
    made = found(
        raters=7,
        subset=10,
        calibration={
            "dataset": "spare",
            "images": 3,
            "anchors": [{"method": "nearest", "score": 1}, {"method": "hr", "score": 5}],
        },
        warm_up={"dataset": "spare", "images": 2, "methods": ["hr"]},
        gold=[{"dataset": "spare", "method": "hr", "images": 1, "low": 4, "high": 5}],
    )
    assert made.counts == {
        "calibration": 6,
        "warm-up": 2,
        "stabilising": 0,
        "vote": 10,
        "repeat": 0,
        "gold": 1,
        "same": 0,
    }
    # 7 * 10 votes on 26 stimuli
    assert made.exposures == (2, 3)
    assert made.notes[0] == (
        "7 raters give some stimuli 3 votes and others 2; a multiple of 13 raters would give "
        "every stimulus the same number."
    )


@pytest.mark.parametrize(
    ("scale", "least"),
    [({}, 4), ({"words": ["bad", *[""] * 7, "excellent"]}, 7), ({"line": True}, 75)],
)
def test_a_best_example_in_the_upper_quarter_needs_no_note(scale: Any, least: int) -> None:
    def said(score: int) -> bool:
        anchors = [{"method": "hr", "score": score}]
        calibration = {"dataset": "spare", "images": 1, "anchors": anchors}
        notes = found(scale=scale, calibration=calibration).notes
        return any(note.startswith("The best example") for note in notes)

    assert (said(least), said(least - 1)) == (False, True)


def test_minutes_count_calibration_breaks_and_seconds_an_item() -> None:
    made = found(
        calibration={
            "dataset": "spare",
            "images": 4,
            "anchors": [{"method": "hr", "score": 5}],
        },
        sittings={"items": 13, "break_every": 4, "break_seconds": 30},
        viewing={"seconds_an_item": 6},
    )
    first, second = made.sittings
    # Breaks after 4, 8, 12 and 16 items, the calibration's among them; then after 4, 8 and 12.
    assert (first.items, first.breaks) == (17, 4)
    assert first.minutes == pytest.approx((17 * 6 + 4 * 30) / 60)
    assert (second.items, second.breaks) == (13, 3)
    assert made.minutes == pytest.approx(first.minutes + second.minutes)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"sittings": {"items": 12}}, "The last sitting has only 2 items; 9 per sitting would"),
        ({"sittings": {"break_every": 13, "items": 13}}, "There will be no break"),
        (
            {"datasets": [{"name": "a", "without": ["nearest", "bicubic"]}]},
            "More than half of all stimuli are of hr",
        ),
        (
            {
                "calibration": {
                    "dataset": "a",
                    "images": 1,
                    "anchors": [{"method": "hr", "score": 5}],
                }
            },
            "The calibration shows scenes that are rated",
        ),
        (
            {
                "scale": {"words": ["bad", *[""] * 7, "excellent"]},
                "calibration": {
                    "dataset": "spare",
                    "images": 1,
                    "anchors": [{"method": "nearest", "score": 1}, {"method": "hr", "score": 5}],
                },
            },
            "The best example of the calibration is shown with 5 on a scale of 1 to 9:",
        ),
    ],
)
def test_notes_say_what_the_author_may_not_have_meant(changes: dict[str, Any], note: str) -> None:
    made = found(**changes)
    assert not made.problems
    assert any(said.startswith(note) for said in made.notes)


def test_a_plain_design_has_neither_problems_nor_notes() -> None:
    made = found(raters=7, analysis={"unit": "rater"})
    assert (made.problems, made.missing, made.notes) == ((), (), ())


def test_an_unfrozen_study_is_checked_against_the_data_sets_available() -> None:
    design = design_of([*METHODS, "srgan-vgg54"], [{"name": "demo"}])
    made = check(design, None)
    assert made.counts["vote"] == 20
    assert not made.problems
    assert made.missing_methods == {("demo", "srgan-vgg54"): 5}


def test_a_data_set_that_is_not_available_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    design = design_of(METHODS, [{"name": "Set5"}])
    assert available(design) == Available({})
    problem = check(design, None).problems[0]
    assert problem.what == "the images of Set5 are not on this machine"
    assert problem.remedy == "Run `sreval data fetch Set5`, or set SREVAL_DATA."


def png(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.full((size, size, 3), 90, np.uint8)))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("lr=nowhere", "No such folder: nowhere"),
        ("LR=photos", ""),
        ("lr=photos;", "No such folder: photos;"),
        ("hr=photos,lr=photos", ""),
    ],
)
def test_a_source_that_freezing_refuses_is_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    png(tmp_path / "photos/a.png", 32)
    drawn = {"dataset": "mine", "images": 1, "methods": ["bicubic"]}
    design = design_of(["bicubic", "lanczos"], [{"name": "mine", "source": source}], warm_up=drawn)
    (problem,) = check(design, None).problems
    assert problem.constraint == "images.datasets.0.source"
    assert problem.what.startswith(f"'{source}' can't be used: {why}")
    with pytest.raises(SrevalError) as refused:
        freeze(tmp_path / "study", design, [])
    assert refused.value.message.rstrip(".") in problem.what


def test_a_frozen_study_of_lr_images_has_no_hr_to_add(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        png(tmp_path / "photos" / f"{name}.png", 16)
    datasets = [{"name": "mine", "source": "lr=photos"}]
    frozen = freeze(tmp_path / "study", design_of(["bicubic", "lanczos"], datasets), [])
    more = check(design_of(["bicubic", "lanczos", "hr"], datasets), frozen)
    assert not more.missing
    assert [p.what for p in more.problems] == [
        "mine has LR images alone, so there is no hr to show"
    ]
    design = design_of(["bicubic", "lanczos", "nearest"], datasets)
    text = CheckedStudy.of("s1", design, frozen, check(design, frozen), ()).text
    assert "again: sreval study freeze s1 --again\n" in text


def test_texts_that_raters_would_not_see_as_meant_are_noted() -> None:
    plain = found(instructions="Look, *then* say.\n\n- [a](https://a.example)").notes
    consent = {"version": "1", "text": "![logo](https://a.example/logo.png)"}
    notes = found(instructions="<b>Look</b>", consent=consent).notes
    told = [note for note in notes if note not in plain]
    assert [note.split(",")[0] for note in told] == [
        "instructions holds HTML",
        "consent.text holds an image",
    ]
    assert all("paragraphs, lists, emphasis, and links" in note for note in told)


@pytest.mark.parametrize(
    ("told", "noted"),
    [
        ("panel.example/done?c=1", True),
        ("https//panel.example", True),
        ("https://a .com", True),
        ("https://", True),
        ("https://panel.example/done", False),
        ("CODE-7/8", False),
    ],
)
def test_a_code_that_looks_like_an_address_is_noted(told: str, noted: bool) -> None:
    notes = found(outcomes={"complete": told}).notes
    assert any("outcomes.complete" in note for note in notes) == noted


def test_a_brace_of_no_placeholder_is_noted() -> None:
    (note,) = [n for n in found(outcomes={"complete": "A{code"}).notes if "brace" in n]
    assert "A{code" in note
    assert not any("brace" in n for n in found(outcomes={"complete": "A{code}"}).notes)


def test_two_ends_with_one_code_are_noted() -> None:
    notes = found(outcomes={"complete": "X", "withdrew": "X", "declined": "Y"}).notes
    assert any(n.startswith("outcomes.complete and outcomes.withdrew are one text") for n in notes)


@pytest.mark.parametrize(("raters", "noted"), [(7, True), (6, False)])
def test_a_quota_above_the_number_of_raters_is_noted(raters: int, noted: bool) -> None:
    asked = {"key": "eyes", "text": "Eyes?", "options": ["near", "far"]}
    quota = {"question": "eyes", "option": "near", "raters": raters}
    notes = found(raters=6, questions=[asked], quotas=[quota]).notes
    assert any(note.startswith("quotas.0 lets 7 raters in with 'near'") for note in notes) == noted
