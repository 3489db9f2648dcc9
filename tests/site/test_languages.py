"""Which language a page is in, that all of it is, and what is kept of a rater's choice."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from sreval.site.errors import MESSAGES
from sreval.store import frames
from sreval.store.models import Answer, Event, Session
from tests.site.conftest import LANGUAGES, PAIR, MakeSite, Visitor, design
from tests.site.operator_desk import Desk
from tests.study.designs import in_languages

ARABIC = "؟"
"""A sign that stands in our Arabic texts, and in no others."""


@pytest.fixture
def several(make_site: MakeSite) -> Visitor:
    """A study in English, German and Arabic, whose texts say in which language they are."""
    return make_site(**told_in("de", "ar"))


def told_in(*codes: str, **changes: Any) -> dict[str, Any]:
    return in_languages(design(**changes), *codes, told="{code}:{text}")


def language(visitor: Visitor, path: str = "/nothing", accepts: str = "") -> str:
    page = visitor.client.get(path, headers={"Accept-Language": accepts}).get_data(as_text=True)
    return page.split('<html lang="')[1].split('"')[0]


def test_language_is_as_asked_then_as_before_then_the_browsers_then_the_designs(
    make_site: MakeSite,
) -> None:
    visitor = make_site(**told_in("zh", "en", language="de"))
    assert language(visitor) == "de"
    assert language(visitor, accepts="xx, yy;q=0.8") == "de"
    assert language(visitor, accepts="zh-CN, en;q=0.5") == "zh"
    assert language(visitor, "/nothing?lang=en", accepts="zh") == "en"
    assert language(visitor, accepts="zh") == "en"
    for asked in ("xx", "fr", "en-GB", "a" * 10_000, "%00", "<b>", "", "fr&lang=zh"):
        assert language(visitor, f"/nothing?lang={asked}") == "en", asked


def test_a_study_of_one_language_is_in_that_whatever_the_browser_asks_for(
    make_site: MakeSite,
) -> None:
    """F22: a page that is half translated."""
    visitor = make_site(language="de")
    visitor.invite()
    for path in (f"/r/{visitor.token}", f"/r/{visitor.token}?lang=en", "/nothing?lang=zh"):
        page = visitor.client.get(path, headers={"Accept-Language": "zh"}, follow_redirects=True)
        whole = page.get_data(as_text=True)
        assert '<html lang="de" dir="ltr"' in whole
        assert "hreflang" not in whole


def test_a_language_without_a_catalogue_isn_t_offered(make_site: MakeSite) -> None:
    visitor = make_site(**told_in("it", "fr"))
    whole = visitor.begin().get_data(as_text=True)
    assert re.findall(r'hreflang="(\w+)"', whole) == ["en", "fr"]
    assert language(visitor, accepts="it") == "en"


def test_language_is_kept_from_the_link_to_the_pages(several: Visitor) -> None:
    several.invite()
    several.client.get(f"/r/{several.token}?lang=de")
    assert '<html lang="de"' in several.page().get_data(as_text=True)


def test_all_of_a_page_is_in_the_rater_s_language(several: Visitor) -> None:
    """Each text of the study, on its page and marked, as our own sentences are."""
    several.invite()
    several.client.get(f"/r/{several.token}?lang=ar")
    expected = {
        "consent": ["ar:A small study", "ar:I agree to look at pictures."],
        "questions": ["ar:Sight?", "ar:good", "ar:poor", "ar:Age?"],
        "instructions": ["ar:Look, then say.", "ar:bad", "ar:excellent"],
        "rating": ["ar:A small study", "ar:bad", "ar:excellent"],
    }
    fields = {"consent": {}, "questions": {"sight": "good", "age": "30"}, "instructions": {}}
    page = several.page()
    for stage, texts in expected.items():
        if stage == "questions":
            several.send_facts()
            page = several.page()
        whole = page.get_data(as_text=True)
        assert several.stage(page) == stage
        assert '<html lang="ar" dir="rtl"' in whole
        assert all(text in whole for text in texts), stage
        plain = re.sub(r'value="\w+"', "", whole)
        assert not re.search(r"[>\"](A small study|I agree|Sight|good|poor|Look, then)", plain)
        several.send(stage, several.csrf_of(page), **fields.get(stage, {}))
        page = several.page()
    told = json.loads(re.findall(r'id="page">(.*?)</script>', whole, re.S)[0])
    assert told["scale"]["words"] == [
        f"ar:{word}" for word in ("bad", "poor", "fair", "good", "excellent")
    ]


def test_answers_are_stored_in_the_design_s_language(several: Visitor) -> None:
    """And what ends a session does so in every language."""
    several.invite()
    several.client.get(f"/r/{several.token}?lang=de")
    whole = several.to("questions").get_data(as_text=True)
    assert re.findall(r'name="sight" value="(\w+)"', whole) == ["good", "poor"]
    refused = several.send("questions", sight="de:poor", age="30")
    assert refused.status_code == 422
    several.send("questions", sight="poor", age="30")
    with several.store.read() as tx:
        assert set(tx.scalars(select(Answer.value))) == {"poor", "30"}
        assert tx.scalar(select(Session.outcome)) == "screened_out"


def test_a_language_can_be_changed_until_the_first_vote(several: Visitor) -> None:
    """Then it stands, whatever is asked for and from wherever."""
    several.to("device")
    assert 'hreflang="ar"' in several.page().get_data(as_text=True)
    for asked in ("de", "ar"):
        several.client.get(f"{several.here}?lang={asked}")
        several.client.get(f"{several.here}?lang={asked}")
        assert kept(several) == asked
    several.send_facts()
    several.send("questions", sight="good", age="30")
    several.send("instructions")
    assert several.vote(1, 1).status_code == 200
    for path in (several.here, several.at("instructions"), several.at("api/item")):
        several.client.get(f"{path}?lang=en")
    assert kept(several) == "ar"
    instructions = several.client.get(several.at("instructions")).get_data(as_text=True)
    assert '<html lang="ar"' in instructions
    assert "hreflang" not in instructions
    elsewhere = Visitor(several.app)
    page = elsewhere.client.get(
        f"/r/{several.token}?lang=en", headers={"Accept-Language": "de"}, follow_redirects=True
    )
    assert '<html lang="ar"' in page.get_data(as_text=True)
    with several.store.read() as tx:
        events = tx.scalars(select(Event.facts).where(Event.kind == "language"))
        assert [json.loads(facts) for facts in events] == [
            {"before": "en", "now": "de"},
            {"before": "de", "now": "ar"},
        ]
    assert frames.tables(several.store, "small")["sessions"]["language"].tolist() == ["ar"]


def kept(visitor: Visitor) -> str | None:
    with visitor.store.read() as tx:
        return tx.scalar(select(Session.language))


def test_whoever_has_not_agreed_has_no_language_stored(several: Visitor) -> None:
    several.begin()
    several.client.get(f"{several.here}?lang=de")
    with several.store.read() as tx:
        assert tx.scalars(select(Session.language)).all() == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_error_is_told_in_every_language(make_site: MakeSite, code: str) -> None:
    visitor = make_site(**told_in(code))

    def sentences(language: str) -> set[str]:
        with visitor.app.test_request_context(headers={"Accept-Language": language}):
            return {str(text) for told in MESSAGES.values() for text in (told.title, told.text)}

    texts, english = sentences(code), sentences("en")
    assert not texts & english


def test_json_errors_are_in_the_raters_language(several: Visitor) -> None:
    several.client.get("/nothing?lang=de")
    english = (
        Visitor(several.app).client.get(Visitor(several.app).at("api/item")).get_json()["error"]
    )
    assert several.client.get(several.at("api/item")).get_json()["error"] != english


def test_answers_are_corrected_in_the_raters_language(several: Visitor) -> None:
    several.to("questions")
    several.client.get("/study?lang=de", follow_redirects=True)
    several.client.get(f"{several.here}?lang=de")
    refused = several.send("questions", sight="good", age="200").get_data(as_text=True)
    assert "18" in refused
    assert "Please" not in refused


def test_only_the_beginning_of_a_long_header_is_read(several: Visitor) -> None:
    several.invite()
    for wishes, language in (("fr," * 100 + "de", "de"), ("fr," * 80_000 + "de", "en")):
        page = several.client.get("/nothing", headers={"Accept-Language": wishes})
        assert f'<html lang="{language}"' in page.get_data(as_text=True)


def test_a_pair_asks_in_the_rater_s_language_without_words_of_its_own(
    make_site: MakeSite,
) -> None:
    visitor = make_site(**told_in("ar", **PAIR))
    visitor.invite()
    visitor.client.get(f"/r/{visitor.token}?lang=ar")
    whole = visitor.to("rating").get_data(as_text=True)
    assert ARABIC in whole
    left, right = whole.index('data-score="-1"'), whole.index('data-score="1"')
    assert left < right


@pytest.mark.usefixtures("quick_hashes")
def test_operators_see_the_language_of_each_rater(several: Visitor) -> None:
    desk = Desk(several).account("viewer")
    address = "/operator/studies/small"
    nobody = desk.client.get(address, headers={"Accept-Language": "ar"}).get_data(as_text=True)
    assert '<html lang="en"' in nobody
    assert "Nobody yet." in nobody
    several.invite()
    several.client.get(f"/r/{several.token}?lang=ar")
    several.to("device")
    table = desk.client.get(address).get_data(as_text=True)
    assert "<th>Language</th>" in table
    assert "<td>ar</td>" in table
    rater = re.findall(r"/operator/studies/small/raters/[\w-]+", table)[0]
    assert "reads ar" in desk.client.get(rater).get_data(as_text=True)
