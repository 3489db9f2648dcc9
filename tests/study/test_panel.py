"""Whom a panel's link names, and what the last page tells the panel."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sreval.study.design import StudyDesign
from sreval.study.panel import LONGEST, Arrival, Panel, filled
from tests.store.conftest import design

PROLIFIC = Panel(parameter="PROLIFIC_PID", keep=("STUDY_ID", "SESSION_ID"))


def test_an_id_is_taken_as_it_is_but_for_blanks_around_it() -> None:
    link = {"PROLIFIC_PID": [" 5f0-A.b@c:7 "], "STUDY_ID": ["s1"], "SESSION_ID": [""], "x": ["y"]}
    assert PROLIFIC.arrival(link) == Arrival("5f0-A.b@c:7", {"STUDY_ID": "s1"})
    assert PROLIFIC.arrival({"PROLIFIC_PID": ["i" * LONGEST]}) == Arrival("i" * LONGEST)
    assert PROLIFIC.arrival({"PROLIFIC_PID": ["  "]}) is None
    assert PROLIFIC.arrival({"STUDY_ID": ["s1"], "prolific_pid": ["1"]}) is None


@pytest.mark.parametrize(
    "value",
    [
        "i" * (LONGEST + 1), "i" * 10_000, "ü" * 101, "<b>me</b>", "{{%PROLIFIC_PID%}}",
        "%SURVEY_CODE%", "a\x00b", "a\nb", "a\u202eb", "a\u200eb", "\ufffd", "a\xa0b",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["PROLIFIC_PID", "SESSION_ID"])
def test_what_cant_be_an_id_is_refused_wherever_it_stands(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} has no value"):
        PROLIFIC.arrival({"PROLIFIC_PID": ["1"], name: [value]})


@pytest.mark.parametrize("name", ["PROLIFIC_PID", "STUDY_ID"])
def test_a_parameter_that_comes_twice_is_refused(name: str) -> None:
    for values in (["1", "2"], ["1", "1"], ["1", ""]):
        with pytest.raises(ValueError, match="twice"):
            PROLIFIC.arrival({"PROLIFIC_PID": ["1"], name: values})


@settings(max_examples=50)
@given(st.text(), st.text())
def test_a_value_stays_one_value_of_the_address(participant: str, code: str) -> None:
    """PROPERTY: whatever is filled in, the standard library's parser finds it where it belongs."""
    participant, code = (text.encode(errors="replace").decode() for text in (participant, code))
    url = "https://panel.example/done/?cc=A&who={id}&code={code}#end"
    made = urlsplit(filled(url, {"id": participant, "code": code}))
    assert (made.scheme, made.netloc, made.path) == ("https", "panel.example", "/done/")
    assert made.fragment == "end"
    told = parse_qs(made.query, keep_blank_values=True, strict_parsing=True)
    assert told == {"cc": ["A"], "who": [participant], "code": [code]}


def test_what_is_filled_in_is_not_filled_in_again_and_makes_no_address_of_a_code() -> None:
    assert filled("{id} {code}", {"id": "{code}", "code": "7"}) == "{code} 7"
    assert filled("{id}", {"id": "https://elsewhere.example/"}) == "https://elsewhere.example/"
    assert filled("A{1} {} {id}", {}) == "A{1} {} "


def made(panel: Any = None, **outcomes: str) -> StudyDesign:
    return design(panel=panel, outcomes=outcomes)


@pytest.mark.parametrize(
    ("outcomes", "what"),
    [
        ({"complete": "{who}"}, "{who} isn't a placeholder"),
        ({"declined": "A-{code}"}, "who doesn't agree has no code"),
        ({"withdrew": "https://{id}.example/"}, "{id} stands in the host"),
        ({"withdrew": "https://a.example{id}"}, "{id} stands in the host"),
        ({"complete": "https://{code}@a.example/"}, "{code} stands in the host"),
    ],
)
def test_a_placeholder_that_cant_be_filled_in_is_refused_with_the_design(
    outcomes: dict[str, str], what: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        made({"parameter": "id"}, **outcomes)
    assert what in str(refused.value)


def test_a_parameter_needs_its_panel_and_a_code_none() -> None:
    with pytest.raises(ValidationError, match="isn't a placeholder"):
        made(complete="https://a.example/?id={id}")
    assert made({"parameter": "id"}, complete="https://a.example/?id={id}").pays
    assert made(complete="{code}").pays
    assert not made(complete="SAME-FOR-ALL").pays


@pytest.mark.parametrize(
    ("panel", "what"),
    [
        ({"parameter": "lang"}, "a name of the site's own"),
        ({"parameter": "id", "keep": ["code"]}, "a name of the site's own"),
        ({"parameter": "id", "keep": ["id"]}, "given twice"),
        ({"parameter": "a b"}, "match pattern"),
        ({"parameter": "id", "keep": ["a", "b", "c", "d", "e"]}, "at most 4"),
        ({"parameter": "id", "again": "forbid"}, "'resume' or 'refuse'"),
        ({"parameter": "id", "secret": True}, "Extra inputs"),
    ],
)
def test_a_panel_that_cant_work_is_refused(panel: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        made(panel)


def test_a_design_without_a_panel_has_the_hash_that_it_had() -> None:
    """GOLDEN: the hash of this design before panels were known, computed at commit f520c4d0."""
    assert design().sha256 == "c72ad53e5b5d479e88bea030b01e9ce04854f1b3895f663d8c5fc89597068a80"
