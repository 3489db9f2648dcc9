"""A design's texts as HTML: whatever they hold, nothing in them runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sreval.study.markdown import as_html, shown_as_typed

BITS = [
    *"<>&\"'*_[]()!\\\n\t #`-:/;=.1a",
    *("<script>", "onclick=", "javascript:", "JaVaScRiPt&#58;", "data:text/html,", "vbscript:"),
    *("https://a.example/", "mailto:", "](", "![", "<img src=x onerror=", "&lt;", "\n\n", "- "),
]


class Seen(HTMLParser):
    """What a browser's own reading of HTML finds in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[dict[str, str | None]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs))
        else:
            more = set(attrs) - {("dir", "auto")}
            assert {name for name, _ in more} <= ({"start"} if tag == "ol" else set())

    def handle_data(self, data: str) -> None:
        self.words += data


@given(st.lists(st.sampled_from(BITS), max_size=30).map("".join))
def test_nothing_but_text_lists_emphasis_and_links_comes_of_any_text(text: str) -> None:
    seen = Seen(as_html(text))
    assert set(seen.tags) <= {"p", "ul", "ol", "li", "em", "strong", "a", "br"}
    for link in seen.links:
        assert set(link) == {"href", "target", "rel"}
        assert re.match(r"https?://|mailto:", link["href"] or "", re.I)
        assert link["rel"] == "noopener noreferrer"


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<b>a</b> &copy; <!-- x -->", "# a", "    a", "a | b"]
)
def test_what_is_not_of_the_little_markdown_is_read_as_it_was_typed(text: str) -> None:
    seen = Seen(as_html(text))
    assert seen.tags == ["p"]
    assert seen.words.strip() == text.strip()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "Plain *text*,\n\n- [a](https://a.example)\n- <b@a.example>\n\n    as before & < that",
            [],
        ),
        ("a <b>b</b>", ["HTML"]),
        ("<table>\n<tr></table>", ["HTML"]),
        ("![a](https://a.example/a.png)", ["an image"]),
        ("# a\n\n> b\n\n`c`", ["a heading", "a quotation", "code"]),
        ("[a](javascript:alert(1)) [b](/b)", ["a link to javascript:alert(1)", "a link to /b"]),
    ],
)
def test_what_raters_would_see_as_typed_is_named(text: str, named: list[str]) -> None:
    assert shown_as_typed(text) == named
