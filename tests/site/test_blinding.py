"""Two studies in which methods are swapped: a rater's browser receives the same of both."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from sreval.site.identity import Cookies
from tests.site.conftest import DCR, METHODS, PAIR, PNG_BYTES, MakeSite, Visitor, pictures

RANDOM = {
    r"[\w.-]{20,}\.[\w-]{6}\.[\w-]{27}": "SIGNED",  # CSRF tokens
    r"/i/[\w-]{22}(?![\w-])": "/i/ADDRESS",
    r"/r/[\w-]{22}(?![\w-])": "/r/TOKEN",
    r"[sv]-[0-9a-f]{16}(?![0-9a-f])": "PLACE",
}


def masked(text: str) -> str:
    """Without what is random in every run; its form and length are what is matched."""
    for pattern, name in RANDOM.items():
        text = re.sub(pattern, name, text)
    return text


class Recorder(Visitor):
    """A visitor that keeps all that the browser receives."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.received: list[tuple[Any, ...]] = []
        self.pictures: list[bytes] = []
        self.cookies: list[dict[str, Any]] = []
        real = self.client.open

        def recording(*args: Any, **kwargs: Any) -> TestResponse:
            answer = real(*args, **kwargs)
            self.received.append(self._record(answer))
            return answer

        self.client.open = recording  # type: ignore[method-assign]

    def _record(self, answer: TestResponse) -> tuple[Any, ...]:
        headers = []
        for name, value in answer.headers.items():
            if name == "Set-Cookie":
                value = re.sub(r"=[^;]*", "=COOKIE", value, count=1)
                self.cookies.append(self._payload(answer))
            if name == "X-Request-ID":
                assert re.fullmatch("[0-9a-f]{16}", value)
                value = "ID"
            if name == "Content-Length":
                assert int(value) == len(answer.data)
                value = value if answer.mimetype == "image/png" else "LENGTH"
            if name != "Date":  # static files carry one: timing
                headers.append((name, masked(value)))
        if answer.mimetype == "image/png":
            self.pictures.append(answer.data)
            with Image.open(io.BytesIO(answer.data)) as image:
                form = (image.size, image.mode, image.format, dict(image.info), len(answer.data))
            return answer.status, headers, form
        return answer.status, headers, masked(answer.get_data(as_text=True))

    def _payload(self, answer: TestResponse) -> dict[str, Any]:
        """What anyone can read in the signed cookie: names, and each value's kind and length."""
        found = re.match(r"sreval-small=([^;]*)", answer.headers["Set-Cookie"])
        assert found
        with self.app.test_request_context():
            serializer = Cookies().get_signing_serializer(self.app)
        assert serializer
        content: dict[str, Any] = serializer.loads(found.group(1))
        return {key: (type(value).__name__, len(str(value))) for key, value in content.items()}


def crawl(site: Visitor) -> Recorder:
    """A rater's whole way, with every image, some errors, and the files that pages name."""
    visitor = Recorder(site.app)
    visitor.to_rating()
    for path in (visitor.at("i/unknown"), "/nothing", "/health", "/static/rate.js"):
        visitor.client.get(path, buffered=True)
    visitor.vote(5), visitor.vote(1, 9)
    while (current := visitor.item())["stage"] != "closing":
        if current["stage"] == "break":
            visitor.page()
            visitor.send("break")
            continue
        visitor.page()
        for image in pictures(current):
            visitor.client.get(image["url"])
        pair = len(current["pictures"]) == 3
        score = current["position"] % 3 - 1 if pair else 1 + current["position"] % 5
        assert visitor.vote(current["position"], score).status_code == 200
    visitor.send("closing")
    visitor.page()
    return visitor


TOGGLE = {"layout": "toggle", "switch_ms": 200}
TASKS: dict[str, dict[str, Any]] = {
    "acr": {},
    "dcr": DCR,
    "dcr-toggle": {"task": DCR["task"] | TOGGLE},
    "pair": PAIR,
    "pair-toggle": PAIR | {"task": PAIR["task"] | TOGGLE},
}


@pytest.mark.parametrize("task", TASKS)
def test_swapped_methods_change_nothing_that_a_browser_receives_but_pixels(
    make_site: MakeSite, task: str
) -> None:
    plain, swapped = crawl(make_site(**TASKS[task])), crawl(make_site(swap=True, **TASKS[task]))
    assert len(plain.received) > 100
    for one, other in zip(plain.received, swapped.received, strict=True):
        assert one == other
    assert plain.cookies == swapped.cookies
    differing = [a != b for a, b in zip(plain.pictures, swapped.pictures, strict=True)]
    assert any(differing)
    assert {len(picture) for picture in plain.pictures} == {PNG_BYTES}


@pytest.mark.parametrize("task", ["acr", "dcr", "pair"])
def test_nothing_received_names_a_method_a_data_set_a_file_or_a_kind(
    make_site: MakeSite, task: str
) -> None:
    visitor = crawl(make_site(**TASKS[task]))
    here = visitor.app.extensions["sreval"]
    names = [*METHODS, "Set5", "repeat", "gold", "warm-up", "calibration", "slot"]
    names += [s.sha256 for s in here.manifest.stimuli]
    pages = [entry for entry in visitor.received if isinstance(entry[2], str)]
    code = re.compile(r"text/(javascript|css)")  # our scripts, the same for every study
    pages = [p for p in pages if not code.search(dict(p[1])["Content-Type"])]
    for word in names:
        found = [p for p in pages if re.search(rf"\b{re.escape(word)}\b", json.dumps(p))]
        assert not found, word


@pytest.mark.parametrize("task", ["acr", "pair"])
def test_two_addresses_of_one_image_share_nothing(make_site: MakeSite, task: str) -> None:
    visitor = make_site(**TASKS[task])
    other = Visitor(visitor.app)
    seen: dict[str, list[str]] = {}
    for one in (visitor, other):
        one.to_rating()
        while (current := one.item())["stage"] in ("rating", "break"):
            if current["stage"] == "break":
                one.send("break")
                continue
            for told in current["pictures"]:
                body = one.client.get(told["url"]).data.hex()
                seen.setdefault(body, []).append(told["url"])
            assert one.vote(current["position"], 1).status_code == 200
    repeated = [urls for urls in seen.values() if len(urls) > 1]
    assert repeated
    assert all(len(set(urls)) == len(urls) for urls in repeated)
