"""Simulated raters judge by the rater model, know the stimuli and read their qualities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sreval.errors import DataError
from sreval.files import sha256_bytes
from sreval.opinions.pairs.simulation import PairModel
from sreval.opinions.simulation import RaterModel
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import Manifest, Stimulus, load_manifest
from sreval.study.questions import Question
from sreval.study.respondent import Respondent, quality_notes, read_qualities, respondents
from sreval.study.task import Choice, Place, Scale
from tests.study.designs import design_of
from tests.study.frozen import QUALITIES


def test_scores_follow_the_rater_model(frozen_study: Path) -> None:
    """The mean over many raters is what quadrature over the model gives."""
    manifest, model = load_manifest(frozen_study), RaterModel(bias_sd=0.2, taste_sd=0)
    raters = respondents(3000, load_design(frozen_study), manifest, QUALITIES, model=model)
    for method in ("nearest", "bicubic", "hr"):
        stimulus = manifest.by_key["photos", "ant", method]
        png = (frozen_study / "stimuli" / f"{stimulus.sha256}.png").read_bytes()
        scores = [mind.respond({"left": png}).score for mind in raters]
        expected = model.expected_score(np.array([QUALITIES["", method]]))[0]
        assert np.mean(scores) == pytest.approx(expected, abs=5 * np.std(scores) / 3000**0.5)


def test_an_image_that_is_no_stimulus_is_refused(frozen_study: Path) -> None:
    mind = respondents(1, load_design(frozen_study), load_manifest(frozen_study), QUALITIES)[0]
    with pytest.raises(DataError, match="isn't a stimulus of the study"):
        mind.respond({"left": b"something else"})


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
    raters = respondents(20, design, load_manifest(frozen_study), QUALITIES)
    sight, age, remarks = design.questions
    assert {mind.answer(sight)["sight"] for mind in raters} == {"good"}
    assert {mind.answer(age)["age"] for mind in raters} == {"58"}
    assert {mind.answer(remarks)["remarks"] for mind in raters} == {"simulated"}
    hopeless = sight.model_copy(update={"screens_out": sight.options})
    assert {mind.answer(hopeless)["sight"] for mind in raters} == {"poor", "good"}
    grid = sight.model_copy(update={"kind": "grid", "rows": ("x", "y"), "screens_out": ()})
    assert all(mind.answer(grid).keys() == {"sight.1", "sight.2"} for mind in raters)
    several = Question(
        key="k", text="?", kind="choices", options=tuple("abcde"), least=2, most=4,
        screens_out=("a", "b"),
    )  # fmt: skip
    chosen = [set(mind.answer(several).values()) for mind in raters]
    assert {len(one) for one in chosen} == {2, 3}
    assert all(one <= set("cde") for one in chosen)


@pytest.mark.parametrize("required", [True, False])
def test_a_comment_is_written_where_it_must_be_and_sometimes_else(required: bool) -> None:
    raters = minds(40, {}, comment={"text": "?", "required": required})
    shown = pair("i0", "edsr", "bicubic")
    said = [rater.respond(shown).comment for rater in raters]
    assert all(said) if required else 0 < sum(map(bool, said)) < len(said)
    assert raters[0].respond(shown, 1).comment == ""


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
    scores = [mind.respond({"left": png}).score for mind in respondents(50, other, manifest, known)]
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
    choice = Choice()
    assert "taken as JOD" in quality_notes({("", "a"): 4.4, ("", "b"): 1.2}, choice)[0]
    assert quality_notes({("", "a"): 0.4, ("", "b"): 1.2}, choice) == []


# Pairs and DCR

METHODS = ("bicubic", "edsr", "hr")
JODS = {("", "bicubic"): 0.0, ("", "edsr"): 1.0, ("", "hr"): 3.0}
IMAGES = [f"i{number}" for number in range(4)]


def png(image: str, method: str) -> bytes:
    """What stands for a picture; edsr gives the second image's original exactly."""
    same = (image, method) == ("i1", "edsr")
    return f"{image}/{'hr' if same else method}".encode()


def manifest() -> Manifest:
    keys = [(image, method) for image in IMAGES for method in METHODS]
    return Manifest(
        tuple(
            Stimulus("Set5", image, image, method, sha256_bytes(png(image, method)), "", 40, 30)
            for image, method in keys
        )
    )


def asking(methods: tuple[str, ...] = METHODS, **changes: Any) -> StudyDesign:
    return design_of(methods, [{"name": "Set5", "images": IMAGES}], **changes)


def pair(image: str, left: str, right: str) -> dict[Place, bytes]:
    return {"left": png(image, left), "right": png(image, right)}


def minds(count: int, task: dict[str, Any], **more: Any) -> list[Respondent]:
    model = more.pop("model", None)
    design = asking(task={"kind": "pair", **task}, **more)
    return respondents(count, design, manifest(), JODS, model=model)


def test_choices_follow_thurstones_case_v(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 75 % at a distance of 1 JOD, on either side; with tastes as PairModel's quadrature has
    them."""
    monkeypatch.setattr("sreval.study.respondent._IMAGE_SD", 0.0)
    alike = RaterModel(bias_sd=0, taste_sd=0, inconsistency=1, inconsistency_spread=0, lapse_rate=0)
    for model, spread in ((alike, 0.0), (RaterModel(0, 0.8, 1, 0, 0), 0.8)):
        raters = minds(1000, {}, model=model)
        shares = [
            np.mean([rater.respond(pair("i0", *sides)).score == side for rater in raters])
            for sides, side in ((("edsr", "bicubic"), -1), (("bicubic", "edsr"), 1))
        ]
        expected = PairModel("thurstone", spread, 0.0).average_chances(np.array([0.6744898]))[0, 0]
        assert shares == pytest.approx([expected] * 2, abs=5 * 0.45 / 1000**0.5)
        if spread == 0:
            assert expected == pytest.approx(0.75)


def test_images_do_something_to_methods_that_all_raters_see() -> None:
    first, second = minds(2, {})
    assert first.seen == second.seen
    of_edsr = [first.seen[sha256_bytes(png(image, "edsr"))][0] for image in ("i0", "i2", "i3")]
    assert np.ptp(of_edsr) > 0.01
    assert np.mean(of_edsr) == pytest.approx(0.6745, abs=0.6)


def test_a_third_answer_is_given_near_zero_and_only_where_it_is_offered() -> None:
    offered, not_offered = minds(600, {"third": "not sure"}), minds(600, {})
    near, far = (
        [rater.respond(pair("i0", *sides)).score for rater in offered]
        for sides in (("edsr", "edsr"), ("hr", "bicubic"))
    )
    assert np.mean(np.array(near) == 0) == pytest.approx(0.383, abs=0.1)
    assert np.mean(np.array(far) == 0) < 0.1
    scores = [rater.respond(pair("i1", "edsr", "hr")).score for rater in not_offered]
    assert set(scores) == {-1, 1}
    assert np.mean(scores) == pytest.approx(0, abs=5 / 600**0.5)  # identical pictures


def test_checks_are_answered_rightly_but_for_lapses_and_careless_raters() -> None:
    gold = [{"dataset": "Set5", "method": "edsr", "against": "hr", "images": 4}]
    attentive = RaterModel(0, 0.26, 1, 0, lapse_rate=0)
    asked = pair("i0", "hr", "edsr")
    assert {r.respond(asked).score for r in minds(100, {}, gold=gold, model=attentive)} == {1}
    careless = RaterModel(0, 0.26, 1, 0, lapse_rate=1)
    assert {r.respond(asked).score for r in minds(100, {}, gold=gold, model=careless)} == {-1, 1}
    liner = minds(1, {}, model=RaterModel(0, 0, 1, 0, straight_liner_rate=1))[0]
    assert len({liner.respond(pair(image, "hr", "bicubic")).score for image in IMAGES}) == 1


def test_a_bias_is_for_one_side() -> None:
    raters = minds(200, {}, model=RaterModel(1e6, 0, 1, 0, lapse_rate=0))
    for rater in raters:
        answers = {rater.respond(pair("i0", *s)).score for s in (("edsr", "hr"), ("hr", "edsr"))}
        assert len(answers) == 1


def test_toggled_pictures_are_each_looked_at_and_the_times_add_up() -> None:
    task = {"layout": "toggle", "reference": True}
    shown = pair("i0", "edsr", "bicubic") | {"reference": png("i0", "hr")}
    for rater in minds(20, task):
        _, response_ms, looks, _ = rater.respond(shown)
        assert looks["switches"] >= 2
        assert sum(looks[f"{place}_ms"] for place in shown) == response_ms >= 500
    assert minds(1, {})[0].respond(pair("i0", "edsr", "bicubic")).looks == {}


@pytest.mark.parametrize("methods", [METHODS, METHODS[:2]])
def test_dcr_scores_the_picture_that_is_judged(methods: tuple[str, ...]) -> None:
    """The original in view needs no quality where it is only that."""
    qualities = {
        ("", method): {"bicubic": 1.0, "edsr": 3.0, "hr": 5.0}[method] for method in methods
    }
    design = asking(methods, task={"kind": "dcr"})
    means = [
        np.mean(
            [
                rater.respond({"left": png("i0", method), "reference": png("i0", "hr")}).score
                for rater in respondents(100, design, manifest(), qualities)
            ]
        )
        for method in methods
    ]
    assert means == sorted(means)
    assert means[1] - means[0] > 1


def test_qualities_of_pairs_are_numbers_of_jod() -> None:
    design = asking(task={"kind": "pair"})
    with pytest.raises(DataError, match="quality of hr is nan, no number of JOD"):
        respondents(1, design, manifest(), JODS | {("", "hr"): float("nan")})
    with pytest.raises(DataError, match=r"No quality is given for hr\.") as caught:
        respondents(1, design, manifest(), {("", "bicubic"): -1.0, ("", "edsr"): 7.5})
    assert "in JOD" in caught.value.remedy
