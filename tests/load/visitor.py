"""A simulated rater before the rating site: all that a browser would do, by HTTP.

The visitor knows nothing but its link. It fills in the forms that it finds (of a choice the last
option), loads every image under the address that it is told, and sends each vote with one key
until it is acknowledged.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from sreval.errors import SrevalError
from sreval.study.respondent import Response
from sreval.study.task import Place

_TIMEOUT_SECONDS = 15.0
_LONGEST_BACKOFF = 2.0
_STUCK = 20
"""So many pages one after the other without a step forward are a fault of the site."""


class VisitError(SrevalError):
    """The site left a rater with no way to continue."""


class Stopped(Exception):  # noqa: N818  # no error: somebody asked for it
    """The visitor was told to stop."""


Respond = Callable[[Mapping[Place, bytes], int | None], Response]
"""A judgement of the pictures at their places, and of the score that an example shows."""


@dataclass
class Visit:
    """The outcome of a visit: the votes that were acknowledged, by position, and the last page."""

    session: str = ""
    votes: dict[int, float] = field(default_factory=dict)
    of: int = 0
    outcome: str = ""
    code: str = ""
    retries: int = 0


@dataclass
class Visitor:
    """One rater with one link.

    ``think`` gives seconds between an image's arrival and its vote. ``pause`` is called with the
    seconds that a break still lasts, by default it waits for them. ``patience`` is for how many
    seconds a site may be silent. ``clock`` is what the browser takes for the time.
    """

    link: str
    respond: Respond
    think: Callable[[], float] = lambda: 0.0
    pause: Callable[[float], None] | None = None
    patience: float = 60.0
    told: Callable[[Visit], object] = lambda visit: None
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    visit: Visit = field(default_factory=Visit)

    def run(self) -> Visit:
        """Go the whole way, from the link to the last page.

        Raises VisitError when the site gives no way on or is silent for longer than the
        patience, Stopped when ``stop`` is set.
        """
        with httpx.Client(follow_redirects=True, timeout=_TIMEOUT_SECONDS) as self._client:
            page, before, still = self._page(self.link), (-1, ""), 0
            while not self._at_end(page):
                here = (len(self.visit.votes), page.form.stage if page.form else "rating")
                still = still + 1 if here == before else 0
                if still > _STUCK:
                    raise VisitError(f"The site leads nowhere from its page {here[1]!r}.")
                before = here
                page = self._go_on(page)
            return self.visit

    def _at_end(self, page: WebPage) -> bool:
        if page.form or page.data("page"):
            return False
        self.visit.code = page.text_of.get("code", "")
        self.visit.outcome = "complete" if self.visit.of in self.visit.votes else "ended"
        return True

    def _go_on(self, page: WebPage) -> WebPage:
        rating = page.data("page")
        if rating:
            self._rate(rating)
            return self._page(self._at(rating["here"]))
        form = page.form
        assert form is not None
        if page.seconds_left:
            (self.pause or self._wait)(page.seconds_left)
        where = urljoin(str(self.link), form.action) if form.action else self.link
        return self._read(self._request("POST", where, data=self._filled(form, page)))

    def _filled(self, form: Form, page: WebPage) -> dict[str, str]:
        values = {name: self._value(field) for name, field in form.fields.items()}
        room = page.data("room")
        if form.stage == "device" and room:
            largest = room["largest"]
            window = [largest["width"] + 400, largest["height"] + 400]
            facts = {"ratio": 1, "window": window, "screen": window, "touch": False}
            values |= {"facts": json.dumps(facts), "fits": "yes"}
        return values

    def _value(self, field: Field) -> str:
        if field.kind == "radio":
            return field.values[-1]
        if field.kind == "number":
            ends = [end for end in (field.low, field.high) if end is not None]
            return f"{sum(ends) / len(ends):.0f}" if ends else "1"
        return "simulated" if field.kind == "text" else field.values[0]

    def _rate(self, rating: dict[str, Any]) -> None:
        """Vote on item after item, until the site wants to show another page."""
        self.visit.session = rating["session"]
        current: dict[str, Any] | None = rating["current"]
        images: dict[str, bytes] = {}
        while current and current.get("stage") == "rating":
            self.visit.of = current["of"]
            shown = [told for item in (current, *current["next"]) for told in item["pictures"]]
            # What was loaded ahead is there; as in a browser the rest is loaded before the vote.
            images = {at["url"]: images.get(at["url"]) or self._image(at) for at in shown}
            own = {told["place"]: images[told["url"]] for told in current["pictures"]}
            if not all(own.values()):
                return
            response = self.respond(own, current["intended"])
            self._wait(self.think())
            current = self._vote(current, response, rating)

    def _image(self, told: dict[str, Any]) -> bytes:
        answer = self._request("GET", self._at(told["url"]))
        return answer.content if answer.status_code == 200 else b""

    def _vote(
        self, current: dict[str, Any], response: Response, rating: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Send a vote until it is answered; what is current then, None where the page must say."""
        shown_at = self.clock() - dt.timedelta(milliseconds=response.response_ms)
        ballot = {
            "position": current["position"],
            "image": next(
                told["url"].rpartition("/")[2]
                for told in current["pictures"]
                if told["place"] == "left"
            ),
            "score": response.score,
            "key": secrets.token_hex(16),
            "response_ms": response.response_ms,
            "shown_at": shown_at.isoformat(),
            "device": json.dumps({"ratio": 1}),
            **response.looks,
            "comment": response.comment,
        }
        headers = {"X-CSRFToken": rating["csrf"]}
        where = self._at(f"{rating['here']}/api/vote")
        answer = self._request("POST", where, json=ballot, headers=headers)
        told: dict[str, Any] = answer.json() if answer.status_code in (200, 409) else {}
        if answer.status_code == 200:
            self.visit.votes[told["saved"]] = response.score
            self.told(self.visit)
        return told.get("current")

    def _page(self, url: str) -> WebPage:
        return self._read(self._request("GET", url))

    @staticmethod
    def _read(answer: httpx.Response) -> WebPage:
        """The page of an answer; 422 is a form that asks once more."""
        if answer.status_code >= 400 and answer.status_code != 422:
            raise VisitError(f"The site answers {answer.status_code} to {answer.request.url}.")
        return WebPage(answer.text)

    def _request(self, method: str, url: str, **content: Any) -> httpx.Response:
        """An answer that is no request to come again; retried like a browser's outbox does."""
        waited, pause = 0.0, 0.05
        while True:
            if self.stop.is_set():
                raise Stopped
            try:
                answer = self._client.request(method, url, **content)
                if answer.status_code != 429 and answer.status_code < 500:
                    return answer
                fault = f"answers {answer.status_code}"
                asked = answer.headers.get("Retry-After", "")
                pause = float(asked) if asked.isdigit() else pause
            except httpx.TransportError as error:
                fault = f"can't be reached ({type(error).__name__})"
            if waited > self.patience:
                raise VisitError(
                    f"The site at {urljoin(url, '/')} {fault}, for {waited:.0f} s by now.",
                    "Check that it still runs, and read its log.",
                )
            self.visit.retries += 1
            wait = pause * random.uniform(0.5, 1)
            self._wait(wait)
            waited += wait
            pause = min(2 * pause, _LONGEST_BACKOFF)

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and self.stop.wait(seconds):
            raise Stopped

    def _at(self, path: str) -> str:
        return urljoin(self.link, path)


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
        elif tag in ("input", "textarea") and self._form and given.get("name"):
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
