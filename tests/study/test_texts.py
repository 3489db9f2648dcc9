"""A design's texts in further languages: what is refused, what is missing, what raters read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sreval.config import FieldError
from sreval.errors import UsageError
from sreval.study.check import check
from sreval.study.design import StudyDesign
from sreval.study.texts import IMPAIRMENT, QUALITY
from tests.study.designs import BASE, design_of, in_languages, manifest_of, plain_pool

QUESTIONS = [
    {"key": "sight", "text": "Sight?", "options": ["good", "poor"], "screens_out": ["poor"]},
    {"key": "light", "text": "Light?", "kind": "text"},
]
CONTENT: dict[str, Any] = {
    **BASE,
    "images": {"methods": ["a", "b"], "datasets": [{"name": "set"}]},
    "questions": QUESTIONS,
}
POOL = manifest_of(plain_pool(set=4), ["a", "b"])


def made(**texts: Any) -> StudyDesign:
    return StudyDesign.model_validate({**CONTENT, "texts": texts})


def test_raters_read_the_texts_of_their_language() -> None:
    design = StudyDesign.model_validate(in_languages(CONTENT, "de", "ar", told="{code} {text}"))
    assert design.languages == ("en", "ar", "de")
    assert not design.missing_texts
    told = design.in_language("ar")
    assert (told.title, told.instructions, told.consent.text) == ("ar Made", "ar Rate.", "ar Yes.")
    assert told.consent.version == "1"
    assert told.scale.words[0] == "ar bad"
    sight, light = told.questions
    assert (sight.options, sight.screens_out) == (("ar good", "ar poor"), ("ar poor",))
    assert light.text == "ar Light?"
    assert told.language == "ar"
    assert design.in_language("en") is design
    with pytest.raises(KeyError):
        design.in_language("fr")
    # what isn't read is the same, and the result is a design by itself
    same = StudyDesign.model_validate(told.model_dump())
    assert (same.images, same.seed, same.acceptance) == (design.images, design.seed, ())


def test_further_parts_of_a_design_are_told_too() -> None:
    agreed = {"kind": "grid", "rows": ["Fun.", "Long."], "options": ["no", "yes"]}
    lamp_if = {"key": "sight", "one_of": ["good"]}
    own = {"name": "one", "raters": 2, "instructions": "Fast."}
    content = CONTENT | {
        "raters": 4,
        "comment": {"text": "Why?"},
        "groups": [own, {"name": "two", "raters": 2}],
        "questions": [
            *QUESTIONS,
            {"key": "lamp", "text": "?", "kind": "text", "only_if": lamp_if},
            {"key": "agreed", "text": "Agreed?", **agreed},
        ],
    }
    lacking = StudyDesign.model_validate(content | {"texts": {"de": {}}}).missing_texts
    further = {"comment", "groups.one", "questions.agreed.options", "questions.agreed.rows"}
    assert {f"texts.de.{name}" for name in further} <= set(lacking)
    design = StudyDesign.model_validate(in_languages(content, "de", told="{code} {text}"))
    assert not design.missing_texts
    told = design.in_language("de")
    assert told.comment is not None
    assert (told.comment.text, told.comment.required) == ("de Why?", False)
    assert told.of_group("one").instructions == "de Fast."
    assert told.of_group("two").instructions == "de Rate."
    *_, lamp, grid = told.questions
    assert lamp.only_if is not None
    assert lamp.only_if.one_of == ("de good",)
    assert (grid.rows, grid.options) == (("de Fun.", "de Long."), ("de no", "de yes"))
    assert StudyDesign.model_validate(told.model_dump()).questions == told.questions


def test_a_question_that_comes_twice_is_named_before_its_texts() -> None:
    twice = CONTENT | {"questions": [*QUESTIONS, {"key": "sight", "text": "?", "kind": "text"}]}
    german = {"de": {"questions": {"sight": {"options": ["gut", "schlecht"]}}}}
    with pytest.raises(UsageError, match="another question has this key"):
        StudyDesign.checked(twice | {"texts": german}, "study.toml")


def test_texts_belong_to_the_hash_and_none_leave_it_as_it_was() -> None:
    plain = StudyDesign.model_validate(CONTENT)
    assert "texts" not in plain.model_dump(exclude_defaults=True)
    assert made().sha256 == plain.sha256
    one, other = made(de={"title": "A"}), made(de={"title": "B"})
    assert len({plain.sha256, one.sha256, other.sha256}) == 3
    assert StudyDesign.model_validate_json(one.as_json()) == one


@pytest.mark.parametrize(
    ("texts", "place", "what"),
    [
        ({"en": {"title": "x"}}, "texts.en", "the study's own language"),
        ({"german": {}}, "texts.german", "two letters"),
        ({"DE": {}}, "texts.DE", "two letters"),
        ({"de": {"words": list("abcd")}}, "texts.de.words", "has 5 words, and 4 are given"),
        ({"de": {"words": ["a", "b", " ", "d", "e"]}}, "texts.de.words", "word 3 of the scale"),
        ({"de": {"questions": {"sigt": {}}}}, "texts.de.questions.sigt", "no question has this"),
        (
            {"de": {"questions": {"light": {"rows": ["a", "b"]}}}},
            "texts.de.questions.light.rows",
            "has 0 rows, and 2 are given",
        ),
        ({"de": {"comment": "Why?"}}, "texts.de.comment", "asks for no comment"),
        ({"de": {"groups": {"one": "Fast."}}}, "texts.de.groups.one", "no group of this name"),
        (
            {"de": {"questions": {"sight": {"options": ["ja"]}}}},
            "texts.de.questions.sight.options",
            "2 options, and 1 are given",
        ),
        (
            {"de": {"questions": {"light": {"options": ["ja"]}}}},
            "texts.de.questions.light.options",
            "0 options, and 1 are given",
        ),
    ],
)
def test_texts_that_don_t_fit_are_refused(texts: dict[str, Any], place: str, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        made(**texts)
    error = caught.value.errors()[0]["ctx"]["error"]  # type: ignore[attr-defined]
    assert isinstance(error, FieldError)
    assert ".".join(map(str, error.place)) == place


@pytest.mark.parametrize(
    ("texts", "what"),
    [
        ('[texts.de]\ntitel = "x"', "line 14: unknown key 'texts.de.titel'"),
        (
            '[texts.de.questions.sight]\noptions = ["ja", "ja "]',
            "line 14: texts.de.questions.sight.options = ['ja', 'ja ']: an option is given twice",
        ),
        ('[texts.de]\nwords = "gut"', "line 14: texts.de.words = 'gut': it must be a list"),
        ("[texts.de]\n[texts.de]", "is not TOML"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Any, texts: str, what: str) -> None:
    path = tmp_path / "study.toml"
    path.write_text(
        'name = "made"\ntitle = "Made"\ninstructions = "Rate."\nraters = 5\nseed = 3\n'
        'consent = { version = "1", text = "Yes." }\n'
        'images = { methods = ["a"], datasets = [{ name = "set" }] }\n'
        '[[questions]]\nkey = "sight"\ntext = "Sight?"\noptions = ["good", "poor"]\n\n' + texts,
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match=re.escape(what)):
        StudyDesign.load(path)


def test_each_missing_text_is_named() -> None:
    design = made(
        ar={"title": "x", "questions": {"sight": {"text": " ", "options": ["a", ""]}}}, de={}
    )
    kinds = ("title", "instructions", "consent", "words")
    asked = ("questions.sight.text", "questions.sight.options", "questions.light.text")
    wanted = [f"texts.{code}.{name}" for code in ("ar", "de") for name in (*kinds, *asked)]
    wanted.remove("texts.ar.title")
    assert list(design.missing_texts) == wanted
    found = [problem.constraint for problem in check(design, POOL).problems]
    assert [name for name in found if name.startswith("texts.")] == wanted
    with pytest.raises(UsageError, match=r"13 texts: texts\.ar\.instructions.*and 5 more"):
        design.require_texts()
    made().require_texts()


def test_a_pair_needs_no_words_and_takes_none() -> None:
    content = {**CONTENT, "task": {"kind": "pair"}}
    design = StudyDesign.model_validate(in_languages(content, "de"))
    assert not design.missing_texts
    with pytest.raises(ValueError, match="a pair has no scale"):
        StudyDesign.model_validate({**content, "texts": {"de": {"words": ["a"] * 5}}})


def test_a_category_without_a_word_has_none_in_any_language() -> None:
    scale = {"words": ["bad", "", "good"]}
    texts = {"de": {"words": ["schlecht", "", "gut"]}}
    design = StudyDesign.model_validate({**CONTENT, "scale": scale, "texts": texts})
    assert design.in_language("de").scale.words == ("schlecht", "", "gut")


def problems_and_notes(words: list[str], **changes: Any) -> tuple[list[str], str]:
    content = in_languages({**CONTENT, **changes}, "de")
    content["texts"]["de"]["words"] = words
    found = check(StudyDesign.model_validate(content), POOL)
    return [problem.constraint for problem in found.problems], "\n".join(found.notes)


def test_words_are_compared_with_the_published_ones() -> None:
    problems, notes = problems_and_notes(list(QUALITY["de"].words))
    assert not problems
    assert "published" not in notes
    _, notes = problems_and_notes(["mies", "schwach", "mittel", "gut", "sehr gut"])
    assert "texts.de aren't the published ones: schlecht, dürftig" in notes
    assert QUALITY["de"].source in notes
    # whose own words aren't the usual ones has a scale of their own
    own = {"words": ["1", "2", "3", "4", "5"]}
    _, notes = problems_and_notes(["mies", "schwach", "mittel", "gut", "sehr gut"], scale=own)
    assert "published" not in notes
    problems, _ = problems_and_notes(["gut", "gut", "mittel", "schwach", "mies"])
    assert problems == ["texts.de.words"]


def test_published_words_are_whole_scales_with_a_source() -> None:
    for known in (QUALITY, IMPAIRMENT):
        for words, source in known.values():
            assert len({word.casefold() for word in words}) == 5
            assert source
    assert design_of(["a"], [{"name": "set"}]).scale.words == QUALITY["en"].words
    dcr = design_of(["hr", "b"], [{"name": "set"}], task={"kind": "dcr"})
    assert dcr.scale.words == IMPAIRMENT["en"].words


def test_a_language_that_the_pages_don_t_speak_is_named() -> None:
    design = StudyDesign.model_validate(in_languages(CONTENT, "xx"))
    found = [problem for problem in check(design, POOL).problems if "xx" in problem.constraint]
    assert [problem.constraint for problem in found] == ["texts.xx"]


@pytest.mark.parametrize(
    ("told", "noted"),
    [("من 1 إلى 5", False), ("de 1 à 10", True), ("del 1 al 10", True), ("von 1 bis 5", False)],
)
def test_numbers_in_the_instructions_are_those_of_the_scale(told: str, noted: bool) -> None:
    content = in_languages(CONTENT, "fr")
    content["texts"]["fr"]["instructions"] = told
    notes = check(StudyDesign.model_validate(content), POOL).notes
    assert any(note.startswith("texts.fr.instructions speak of") for note in notes) == noted
