"""Which language a page is in, and that every sentence of ours has a translation."""

from __future__ import annotations

import pytest

from sreval.site.errors import MESSAGES
from tests.site.conftest import LANGUAGES, MakeSite, Visitor


def language(visitor: Visitor, path: str = "/nothing", accepts: str = "") -> str:
    page = visitor.client.get(path, headers={"Accept-Language": accepts}).get_data(as_text=True)
    return page.split('<html lang="')[1].split('"')[0]


def test_language_is_as_asked_then_as_before_then_the_browsers_then_the_designs(
    make_site: MakeSite,
) -> None:
    visitor = make_site(language="de")
    assert language(visitor) == "de"
    assert language(visitor, accepts="xx, yy;q=0.8") == "de"
    assert language(visitor, accepts="zh-CN, en;q=0.5") == "zh"
    assert language(visitor, "/nothing?lang=en", accepts="zh") == "en"
    assert language(visitor, accepts="zh") == "en"
    assert language(visitor, "/nothing?lang=xx") == "en"


def test_language_is_kept_from_the_link_to_the_pages(visitor: Visitor) -> None:
    visitor.invite()
    visitor.client.get(f"/r/{visitor.token}?lang=de")
    assert '<html lang="de"' in visitor.page().get_data(as_text=True)


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_error_is_told_in_every_language(visitor: Visitor, code: str) -> None:

    def sentences(language: str) -> set[str]:
        with visitor.app.test_request_context(headers={"Accept-Language": language}):
            return {str(text) for told in MESSAGES.values() for text in (told.title, told.text)}

    texts, english = sentences(code), sentences("en")
    assert not texts & english


def test_json_errors_are_in_the_raters_language(visitor: Visitor) -> None:
    visitor.client.get("/nothing?lang=de")
    english = (
        Visitor(visitor.app).client.get(Visitor(visitor.app).at("api/item")).get_json()["error"]
    )
    assert visitor.client.get(visitor.at("api/item")).get_json()["error"] != english


def test_answers_are_corrected_in_the_raters_language(visitor: Visitor) -> None:
    visitor.to("questions")
    visitor.client.get("/study?lang=de")
    refused = visitor.send("questions", sight="good", age="200").get_data(as_text=True)
    assert "18" in refused
    assert "Please" not in refused


def test_only_the_beginning_of_a_long_header_is_read(visitor: Visitor) -> None:
    visitor.invite()
    for wishes, language in (("fr," * 100 + "de", "de"), ("fr," * 80_000 + "de", "en")):
        page = visitor.client.get("/nothing", headers={"Accept-Language": wishes})
        assert f'<html lang="{language}"' in page.get_data(as_text=True)
