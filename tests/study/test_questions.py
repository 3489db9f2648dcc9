"""Which questionnaires a design may have, and what is asked of whom."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.content import packaged
from sreval.errors import UsageError
from sreval.reading import from_toml
from sreval.study.design import StudyDesign
from sreval.study.questions import Question
from tests.study.designs import BASE

IMAGES = {"methods": ["a"], "datasets": [{"name": "set"}]}
GLASSES = {"key": "glasses", "text": "?", "options": ["yes", "no"]}
DEVICES = {"key": "devices", "text": "?", "kind": "choices", "options": ["a, b", "c", "d"]}
HABITS = {"key": "habits", "text": "?", "kind": "grid", "options": ["1", "2"], "rows": ["x", "y"]}


def asking(*questions: dict[str, Any], **more: Any) -> StudyDesign:
    content = {**BASE, "images": IMAGES, "questions": list(questions), **more}
    return StudyDesign.checked(content, "study.toml")


def only_if(key: str, *one_of: str, **more: Any) -> dict[str, Any]:
    condition = {"key": key, "one_of": list(one_of)}
    return {"key": "depends", "text": "?", "kind": "text", "only_if": condition, **more}


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ([only_if("glases", "yes"), GLASSES], "'glases' is no question's key"),
        ([GLASSES, only_if("glases", "yes")], "Did you mean 'glasses'"),
        ([only_if("glasses", "yes"), GLASSES], "'glasses' is not asked before this question"),
        ([only_if("depends", "yes")], "'depends' is not asked before this question"),
        ([GLASSES | {"when": "after"}, only_if("glasses", "yes")], "is not asked before"),
        ([GLASSES, only_if("glasses", "maybe")], "'maybe' is no option of glasses"),
        ([GLASSES, only_if("glasses")], "one_of"),
        ([HABITS, only_if("habits", "1")], "is of the kind grid"),
        ([HABITS | {"rows": []}], "a grid needs them"),
        ([GLASSES | {"rows": ["x"]}], "rows belong to a grid"),
        ([HABITS | {"rows": ["x", "x "]}], "a row is given twice"),
        ([HABITS | {"options": []}], "options belong to a choice or a grid"),
        ([HABITS | {"screens_out": ["1"]}], "screens_out belongs to a choice"),
        ([DEVICES | {"most": 4}], "there are 3 options"),
        ([DEVICES | {"least": 3, "most": 2}], "at least 3 must be chosen"),
        ([GLASSES | {"least": 1}], 'it belongs to the kind "choices"'),
        ([DEVICES | {"kind": "several"}], "kind"),
    ],
)  # fmt: skip
def test_what_nobody_could_answer_is_refused(questions: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        asking(*questions)
    assert said in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_a_condition_may_lie_on_the_page_before() -> None:
    late = only_if("glasses", " yes", when="after")
    design = asking(late, GLASSES)
    assert design.questions[0].applies({"glasses": "yes"})
    assert not design.questions[0].applies({"glasses": "no", "yes": "yes"})


def test_the_template_s_further_questions_are_a_design() -> None:
    """They stand there as comments, for the paper's study doesn't ask them."""
    text = (packaged("studies") / "ledig2017" / "study.toml").read_text(encoding="utf-8")
    keys = "key|when|text|kind|options|least|most|only_if|rows|required"
    heads = r"\[\[questions\]\]|\[comment\]"
    lines = re.compile(rf"^# (?={heads}|({keys}) = )", re.MULTILINE)
    blocks = re.split(r"(\n\n+)", text)
    asked = "".join(lines.sub("", b) if re.search(f"# (?:{heads})", b) else b for b in blocks)
    plain, design = (StudyDesign.model_validate(from_toml(t)) for t in (text, asked))
    more = design.questions[len(plain.questions) :]
    assert [question.kind for question in more] == ["choices", "text", "grid"]
    assert more[1].only_if
    assert design.comment
    assert plain.comment is None
    assert {*design.model_dump(exclude_defaults=True)} - {
        *plain.model_dump(exclude_defaults=True)
    } == {"comment"}


OPTIONS = st.lists(
    st.text("abc,;\"' ", min_size=1).map(str.strip).filter(bool), min_size=1, unique=True
)


@settings(max_examples=25)
@given(OPTIONS, st.data())
def test_every_field_has_a_name_of_its_own_that_tells_its_question(
    options: list[str], data: st.DataObject
) -> None:
    several = Question(key="k", text="?", kind="choices", options=tuple(options))
    other = Question(key="k_1", text="?", kind="grid", rows=tuple(options), options=("x",))
    assert not several.fields.keys() & other.fields.keys()
    chosen = data.draw(st.sets(st.sampled_from(options)))
    sent = {name: one for name, (one,) in several.fields.items() if one in chosen}
    assert set(several.given({**sent, "k_1.1": "x", "kk": "x"}).values()) == chosen
    depends = Question.model_validate(only_if("k", options[0]))
    assert depends.applies({**sent, "k_1.1": options[0]}) == (options[0] in chosen)
