"""Simulated raters judge by the rater model, know the stimuli and read their qualities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sreval.errors import DataError
from sreval.opinions.simulation import RaterModel
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest
from sreval.study.respondent import quality_notes, read_qualities, respondents
from sreval.study.task import Scale
from tests.study.frozen import QUALITIES


def test_scores_follow_the_rater_model(frozen_study: Path) -> None:
    """The mean over many raters is what quadrature over the model gives."""
    manifest, model = load_manifest(frozen_study), RaterModel(bias_sd=0.2, taste_sd=0)
    minds = respondents(3000, load_design(frozen_study), manifest, QUALITIES, model=model)
    for method in ("nearest", "bicubic", "hr"):
        stimulus = manifest.by_key["photos", "ant", method]
        png = (frozen_study / "stimuli" / f"{stimulus.sha256}.png").read_bytes()
        scores = [mind.respond(png)[0] for mind in minds]
        expected = model.expected_score(np.array([QUALITIES["", method]]))[0]
        assert np.mean(scores) == pytest.approx(expected, abs=5 * np.std(scores) / 3000**0.5)


def test_an_image_that_is_no_stimulus_is_refused(frozen_study: Path) -> None:
    mind = respondents(1, load_design(frozen_study), load_manifest(frozen_study), QUALITIES)[0]
    with pytest.raises(DataError, match="isn't a stimulus of the study"):
        mind.respond(b"something else")


def test_qualities_come_by_method_and_by_data_set(frozen_study: Path, tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(
        "dataset,method,quality\nphotos,hr,4\nother,hr,2\n,nearest,1\nother,bicubic,3\n"
    )
    qualities = read_qualities(path)
    manifest = load_manifest(frozen_study)
    mind = respondents(1, load_design(frozen_study), manifest, qualities)[0]
    found = {s.method: mind.seen[s.sha256][0] for s in manifest.stimuli}
    assert found == {"hr": 4, "nearest": 1, "bicubic": 3}
    with pytest.raises(DataError, match=r"No quality is given for bicubic, hr\."):
        respondents(1, load_design(frozen_study), manifest, {("", "nearest"): 1.0})


@pytest.mark.parametrize("text", ["", "method\nhr\n", "method,quality\nhr,good\n"])
def test_a_file_without_qualities_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.csv").write_text(text)
    with pytest.raises(DataError, match=r"q\.csv holds no qualities"):
        read_qualities(tmp_path / "q.csv")


def test_answers_are_valid_and_screen_nobody_out(frozen_study: Path) -> None:
    design = load_design(frozen_study)
    minds = respondents(20, design, load_manifest(frozen_study), QUALITIES)
    sight, age, remarks = design.questions
    assert {mind.answer(sight) for mind in minds} == {"good"}
    assert {mind.answer(age) for mind in minds} == {"58"}
    assert {mind.answer(remarks) for mind in minds} == {"simulated"}
    hopeless = sight.model_copy(update={"screens_out": sight.options})
    assert {mind.answer(hopeless) for mind in minds} == {"poor", "good"}


@pytest.mark.parametrize(
    ("scale", "step"),
    [({"words": [""] * 8 + ["excellent"]}, 1), ({"line": True, "words": ["bad", "good"]}, 0.1)],
)
def test_qualities_are_points_of_the_studys_scale(
    frozen_study: Path, scale: dict[str, Any], step: float
) -> None:
    design, manifest = load_design(frozen_study), load_manifest(frozen_study)
    other = design.model_copy(update={"scale": Scale.model_validate(scale)})
    png = (frozen_study / "stimuli" / f"{manifest.stimuli[0].sha256}.png").read_bytes()
    middle = (other.scale.low + other.scale.high) / 2
    known = {("", method): middle for method in ("nearest", "bicubic", "hr")}
    scores = [mind.respond(png)[0] for mind in respondents(50, other, manifest, known)]
    assert all(other.scale.answer(score) == score for score in scores)
    assert any(round(score / step) % 10 for score in scores)
    assert np.mean(scores) == pytest.approx(middle, abs=(other.scale.high - other.scale.low) / 10)
    for off in (other.scale.high + 0.5, other.scale.low - 0.5, float("nan")):
        with pytest.raises(DataError, match=r"quality of hr is .* off the study's scale"):
            respondents(1, other, manifest, known | {("", "hr"): off})


def test_qualities_of_another_scale_are_noted() -> None:
    line, five = Scale(line=True), Scale()
    nine = Scale(words=("bad", *[""] * 7, "excellent"))
    for scale in (line, nine):
        (said,) = quality_notes({("", "a"): 4.4, ("", "b"): 1.2}, scale)
        assert said.startswith(f"No quality is above 4.4 on the study's scale {scale.numbers}")
        assert said.endswith("points of it, not of 1..5.")
    assert quality_notes({("", "a"): 7.5, ("", "b"): 1.2}, nine) == []
    assert quality_notes({}, nine) == []
    assert quality_notes({("", "a"): 44, ("", "b"): 1.2}, line) == []
    assert quality_notes({("", "a"): 1.5}, five) == []
