"""The little Markdown of a design's texts: paragraphs, lists, emphasis and links, as safe HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

_RULES = ("list", "emphasis", "link", "autolink", "escape", "newline")
_SAFE = re.compile(r"https?://|mailto:", re.IGNORECASE)
_AS_TYPED = {
    "html_block": "HTML",
    "html_inline": "HTML",
    "image": "an image",
    "heading_open": "a heading",
    "blockquote_open": "a quotation",
    "table_open": "a table",
    "hr": "a line across",
    "fence": "code",
    "code_inline": "code",
}


class _Little(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Whether it leads to a page or a mailbox."""
        return bool(_SAFE.match(url))


class _Full(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802
        """Any, to be named."""
        return True


class _Renderer(RendererHTML):
    def link_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType
    ) -> str:
        """A link opens in a window of its own, which learns nothing of this page."""
        tokens[idx].attrs |= {"target": "_blank", "rel": "noopener noreferrer"}
        return self.renderToken(tokens, idx, options, env)

    def _block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        """Each paragraph and item runs in the direction of its own first letter."""
        tokens[idx].attrs |= {"dir": "auto"}
        return self.renderToken(tokens, idx, options, env)

    paragraph_open = bullet_list_open = ordered_list_open = list_item_open = _block


@cache
def _little() -> MarkdownIt:
    return _Little("zero", renderer_cls=_Renderer).enable(_RULES)


@lru_cache(maxsize=16)
def as_html(text: str) -> str:
    """A text as HTML: what isn't of the little Markdown, HTML above all, is shown as it is typed.

    Links lead to http, https and mailto only.
    """
    return str(_little().render(text))


def shown_as_typed(text: str) -> list[str]:
    """What else of Markdown and HTML a text holds, which raters would see as it is typed."""
    found = []
    for token in _all(_Full("commonmark").enable("table").parse(text)):
        if token.type in _AS_TYPED:
            found.append(_AS_TYPED[token.type])
        elif token.type == "link_open" and not _SAFE.match(href := str(token.attrs["href"])):
            found.append(f"a link to {href}")
    return list(dict.fromkeys(found))


def _all(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or ())
