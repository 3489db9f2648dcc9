"""A page of the rating site as a browser has it: its forms, its data, how long to wait."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

NOT_ON_THE_WAY = "withdraw"
"""The form that every page has and that leads out of the study."""


@dataclass
class Form:
    """One form: where it goes, and its fields with their type, range and possible values."""

    action: str
    stage: str
    fields: dict[str, Field] = field(default_factory=dict)


@dataclass
class Field:
    """An input of a form; ``values`` are the options of a choice, else its content."""

    kind: str
    values: list[str]
    low: float | None = None
    high: float | None = None


class WebPage(HTMLParser):
    """What is found in a page's HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._form: Form | None = None
        self._open: tuple[str, str] | None = None
        self._texts: dict[str, str] = {}
        self.forms: list[Form] = []
        self.seconds_left: float | None = None
        self.feed(html)
        self.close()

    @property
    def form(self) -> Form | None:
        """The form that leads on, if the page has one."""
        return next((form for form in self.forms if form.stage != NOT_ON_THE_WAY), None)

    @property
    def text_of(self) -> dict[str, str]:
        """Texts of the elements that have an id, and the addresses of links that have one."""
        return self._texts

    def data(self, name: str) -> dict[str, Any] | None:
        """The JSON that the page carries under this id."""
        text = self._texts.get(name)
        content: dict[str, Any] | None = json.loads(text) if text else None
        return content

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a browser would act on."""
        given = {name: value or "" for name, value in attrs}
        if "data-seconds" in given:
            self.seconds_left = float(given["data-seconds"])
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("data-stage", ""))
            self.forms.append(self._form)
        elif tag == "input" and self._form and given.get("name"):
            self._add(self._form, given)
        if tag in ("script", "code", "a") and given.get("id"):
            self._open = (tag, given["id"])
            self._texts[given["id"]] = given.get("href", "")

    def handle_endtag(self, tag: str) -> None:
        """Leave a form, or an element whose text is kept."""
        if tag == "form":
            self._form = None
        if self._open and tag == self._open[0]:
            self._open = None

    def handle_data(self, data: str) -> None:
        """Keep the text of scripts and codes; of a link its address is enough."""
        if self._open and self._open[0] != "a":
            self._texts[self._open[1]] += data

    @staticmethod
    def _add(form: Form, given: dict[str, str]) -> None:
        kind, value = given.get("type", "text"), given.get("value", "")
        known = form.fields.get(given["name"])
        if known:
            known.values.append(value)
            return
        low, high = (float(given[end]) if given.get(end) else None for end in ("min", "max"))
        form.fields[given["name"]] = Field(kind, [value], low, high)
