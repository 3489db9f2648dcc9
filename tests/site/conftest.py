"""A small frozen study with real PNG files, served, and a rater who walks through it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from PIL import Image
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from sreval import content
from sreval.site import probes
from sreval.site.app import catalogues, create_app
from sreval.site.config import SiteConfig
from sreval.store import invitations
from sreval.store.database import Store
from sreval.store.invitations import Links
from sreval.study.design import StudyDesign
from sreval.study.manifest import MANIFEST, STIMULI, Manifest, Stimulus

TRANSLATIONS = content.packaged("web") / "translations"
LANGUAGES = sorted(path.parent.parent.name for path in TRANSLATIONS.glob("*/*/messages.po"))
METHODS = ("bicubic", "srresnet", "hr")
IMAGES = ("a", "b", "c")
FACTS = {
    "ratio": 1.25,
    "window": [1400, 900],
    "screen": [1536, 864],
    "magnified": 1,
    "touch": False,
}
SECRET = "for tests only, and longer than thirty-two characters"
PNG_BYTES = 8000


@pytest.fixture(autouse=True)
def _never_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the database is a new one."""
    monkeypatch.setattr(probes, "FRESH_SECONDS", 0.0)


def design(**changes: Any) -> dict[str, Any]:
    """Calibration, practice, votes, a repeat; a break; questions before and after."""
    content: dict[str, Any] = {
        "name": "small",
        "title": "A small study",
        "instructions": "Look, then say.",
        "raters": 4,
        "seed": 7,
        "images": {
            "methods": list(METHODS),
            "datasets": [{"name": "Set5", "images": list(IMAGES)}],
        },
        "calibration": {
            "dataset": "Set5",
            "images": 1,
            "anchors": [{"method": "bicubic", "score": 1}, {"method": "hr", "score": 5}],
        },
        "warm_up": {"dataset": "Set5", "images": 1, "methods": ["srresnet"]},
        "repeats": [{"dataset": "Set5", "method": "hr", "images": 1, "distance": 3}],
        "order": {"scene_distance": 1},
        "sittings": {"break_every": 7, "break_seconds": 0},
        "viewing": {"least_ms": 200, "grey_ms": 0},
        "consent": {"version": "1", "text": "I agree to look at pictures."},
        "questions": [
            {
                "key": "sight",
                "text": "Sight?",
                "options": ["good", "poor"],
                "screens_out": ["poor"],
            },
            {"key": "age", "text": "Age?", "kind": "number", "low": 18, "high": 99},
            {"key": "light", "text": "Light?", "kind": "text", "required": False},
            {"key": "remarks", "when": "after", "text": "?", "kind": "text", "required": False},
        ],
        "outcomes": {"complete": "DONE-7", "screened_out": "OUT-7", "withdrew": "LEFT-7"},
    }
    return content | changes


PAIR: dict[str, Any] = {
    "task": {"kind": "pair", "question": "closer", "reference": True, "third": "no difference"},
    "calibration": None,
    "warm_up": {"dataset": "Set5", "images": 1, "methods": ["bicubic", "srresnet"]},
    "repeats": [
        {"dataset": "Set5", "method": "hr", "against": "bicubic", "images": 1, "distance": 3}
    ],
    "gold": [{"dataset": "Set5", "method": "hr", "against": "srresnet", "images": 1}],
    "same": [{"dataset": "Set5", "method": "bicubic", "images": 1}],
}
"""What makes a study of pairs of it, each beside the original."""
DCR: dict[str, Any] = {"task": {"kind": "dcr"}}


@cache
def png(seed: int) -> bytes:
    """Noise of 40 by 32 pixels, padded to PNG_BYTES by an ancillary chunk."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    raw = buffer.getvalue()
    fill = bytes(PNG_BYTES - len(raw) - 12)
    chunk = b"paDd" + fill
    framed = struct.pack(">I", len(fill)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return raw[:-12] + framed + raw[-12:]


def freeze(folder: Path, *, swap: bool = False, **changes: Any) -> Path:
    """A frozen study; with `swap`, two methods have exchanged their pictures."""
    content = design(**changes)
    checked = StudyDesign.model_validate(content)
    (folder / STIMULI).mkdir(parents=True)
    (folder / "study.toml").write_text(_toml(content), encoding="utf-8")
    stimuli = []
    for image in IMAGES:
        for method in METHODS:
            exchanged = {"bicubic": "srresnet", "srresnet": "bicubic"}.get(method, method)
            shown = exchanged if swap else method
            data = png(IMAGES.index(image) * 10 + METHODS.index(shown))
            sha256 = hashlib.sha256(data).hexdigest()
            (folder / STIMULI / f"{sha256}.png").write_bytes(data)
            stimuli.append(Stimulus("Set5", image, image, method, sha256, sha256, 40, 32))
    (folder / MANIFEST).write_text(Manifest(tuple(stimuli)).as_json(), encoding="utf-8")
    assert checked.name == content["name"]
    return folder


def _toml(content: dict[str, Any]) -> str:
    """JSON's scalars and arrays are TOML's; tables stand inline."""

    def value(v: Any) -> str:
        if isinstance(v, dict):
            return "{" + ", ".join(f"{k} = {value(x)}" for k, x in v.items()) + "}"
        if isinstance(v, list):
            return "[" + ", ".join(value(x) for x in v) + "]"
        return json.dumps(v)

    return "".join(f"{key} = {value(v)}\n" for key, v in content.items() if v is not None)


def left(item: dict[str, Any]) -> dict[str, Any]:
    """The picture of an item that stands alone, or at the left."""
    found: dict[str, Any] = next(told for told in item["pictures"] if told["place"] == "left")
    return found


def pictures(current: dict[str, Any]) -> list[dict[str, Any]]:
    """All pictures that the page is told of, the present item's first."""
    return [told for item in (current, *current["next"]) for told in item["pictures"]]


class Closing(FlaskClient):
    """Closes every answer once it is read, as servers do."""

    def open(self, *args: Any, buffered: bool = True, **options: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **options)


@dataclass
class Visitor:
    """A browser in the hands of a rater, without scripts: forms and the rating page's JSON."""

    app: Flask
    client: FlaskClient = field(init=False)
    token: str = ""
    csrf: str = ""
    here: str = "/study/small/s-unknown"
    images: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app.test_client_class = Closing
        self.client = self.app.test_client()

    @property
    def store(self) -> Store:
        store: Store = self.app.extensions["sreval"].store
        return store

    def invite(self, kind: invitations.InvitationKind = "personal", **options: Any) -> str:
        self.token = Links(self.store, "small").create(kind, **options)[1]
        return self.token

    def open(self, token: str = "") -> TestResponse:
        page = self.client.get(f"/r/{token or self.token}", follow_redirects=True)
        if page.request.path.startswith("/study/"):
            self.here = page.request.path
        if 'name="csrf_token"' in page.get_data(as_text=True):
            self.csrf = self.csrf_of(page)
        return page

    def at(self, path: str) -> str:
        """An address below the page that this visitor sees."""
        return f"{self.here}/{path}"

    def page(self) -> TestResponse:
        """The rater's present page, wherever this browser is by now."""
        page = self.client.get("/study", follow_redirects=True)
        self.here = page.request.path if page.status_code == 200 else self.here
        return page

    @staticmethod
    def stage(response: TestResponse) -> str:
        """What page this is: rating, or the form that leads on."""
        text = response.get_data(as_text=True)
        if 'id="scores"' in text:
            return "rating"
        stages = [s for s in re.findall(r'data-stage="([\w-]+)"', text) if s != "withdraw"]
        return stages[0] if stages else "none"

    @staticmethod
    def csrf_of(response: TestResponse) -> str:
        text = response.get_data(as_text=True)
        found = re.search(r'name="csrf_token" value="([^"]+)"', text)
        assert found, text
        return found.group(1)

    def send(self, stage: str, csrf: str | None = None, **fields: str) -> TestResponse:
        if csrf is None:
            self.csrf = csrf = self.csrf_of(self.page())
        answer = self.client.post(self.at(stage), data={"csrf_token": csrf, **fields})
        if answer.headers.get("Location", "").startswith("/study/"):
            self.here = answer.headers["Location"]
        return answer

    def send_facts(self, **changes: Any) -> TestResponse:
        return self.send("device", facts=json.dumps(FACTS | changes), fits="yes")

    def begin(self) -> TestResponse:
        """Open the link, and at a kiosk sit down as the next rater: the page of consent."""
        if not self.token:
            self.invite()
        page = self.open()
        if self.stage(page) == "kiosk":
            data = {"csrf_token": self.csrf_of(page)}
            page = self.client.post(f"/r/{self.token}", data=data, follow_redirects=True)
            self.here = page.request.path
        assert self.stage(page) == "consent"
        return page

    def to(self, stage: str) -> TestResponse:
        """From the link to the page of a stage: "device", "questions", "instructions", "rating"."""
        page = self.begin()
        fields = {
            "consent": {},
            "device": {"facts": json.dumps(FACTS), "fits": "yes"},
            "questions": {"sight": "good", "age": "30"},
            "instructions": {},
        }
        while (present := self.stage(page)) != stage:
            self.send(present, self.csrf_of(page), **fields.pop(present))
            page = self.page()
        self.csrf = self.csrf_of(page)
        return page

    def to_rating(self) -> dict[str, Any]:
        """From the link to the first image."""
        self.to("rating")
        return self.item()

    def item(self) -> dict[str, Any]:
        """The present item; the addresses of its image and the next ones are kept for votes."""
        answer: dict[str, Any] = self.client.get(self.at("api/item")).get_json()
        if answer.get("stage") == "rating":
            shown = enumerate([answer, *answer["next"]], start=answer["position"])
            self.images |= {place: left(told)["url"].rpartition("/")[2] for place, told in shown}
        return answer

    def look(self) -> TestResponse:
        """Load the present pictures, as a browser does before its rater can vote; the last's."""
        return [self.client.get(picture["url"]) for picture in self.item()["pictures"]][-1]

    def vote(self, position: int, score: Any = 3, **changes: Any) -> TestResponse:
        """Post a vote, after a look at the present image where there is one."""
        if self.item().get("stage") == "rating":
            self.look()
        return self.post_vote(position, score, **changes)

    def post_vote(self, position: int, score: Any = 3, **changes: Any) -> TestResponse:
        """Post a vote and do nothing else."""
        ballot = {
            "position": position,
            "image": self.images.get(position, "unknown"),
            "score": score,
            "key": f"key-of-{position:06}",
            "response_ms": 900,
            "shown_at": "2026-03-01T09:00:00.000Z",
            "device": "{}",
        }
        headers = {"X-CSRFToken": self.csrf}
        return self.client.post(self.at("api/vote"), json=ballot | changes, headers=headers)

    def vote_all(self) -> list[dict[str, Any]]:
        """All votes of the plan, through breaks; gives what was shown."""
        seen: list[dict[str, Any]] = []
        while True:
            current = self.item()
            if current["stage"] == "break":
                assert self.send("break").status_code == 303
            elif current["stage"] != "rating":
                return seen
            else:
                seen.append(current)
                assert self.vote(current["position"]).status_code == 200

    def rate(self, scores: tuple[int, ...], response_ms: float = 900) -> None:
        """One more rater, from the link to the last vote, or to the first image without scores."""
        rater = Visitor(self.app)
        current = rater.to_rating()
        while scores and current["stage"] in ("rating", "break"):
            if current["stage"] == "break":
                rater.send("break")
            else:
                place = current["position"]
                score = scores[place % len(scores)]
                answer = rater.vote(place, score, response_ms=response_ms)
                assert answer.status_code == 200
            current = rater.item()


MakeSite = Callable[..., Visitor]
Ratings = tuple[tuple[int, ...], ...]
"""What each rater gives in turn, as `Visitor.rate` takes it."""


def serve(folder: Path, database: str, **options: Any) -> Visitor:
    given = {"rates": None, "secret": SECRET, **options}
    return Visitor(create_app(SiteConfig.given(study=folder, database=database, **given)))


class Route(Rule):
    """A route whose functions that write its address are compiled once for all sites.

    They depend on the rule and its defaults alone, and take the route as their argument.
    """

    _compiled: ClassVar[dict[tuple[object, ...], Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in self._compiled:
            self._compiled[key] = super()._compile_builder(append_unknown)
        return self._compiled[key]


@pytest.fixture(scope="package", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Templates, catalogues and routes are compiled once for all sites, not by each anew."""
    templates = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", {"bytecode_cache": templates})
        patch.setattr("sreval.site.app.catalogues", cache(catalogues))
        patch.setattr(Flask, "url_rule_class", Route)
        yield


@pytest.fixture(scope="session")
def rated_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A study's SQLite file, registered and rated once for all tests; to be copied, not used."""
    made: dict[str, Path] = {}

    def of(ratings: Ratings, **study: Any) -> Path:
        key = json.dumps([ratings, study], sort_keys=True)
        if key not in made:
            folder = freeze(tmp_path_factory.mktemp("rated") / "study", **study)
            site = serve(folder, str(folder / "votes.sqlite"))
            for scores in ratings:
                site.rate(scores)
            site.store.dispose()
            made[key] = folder / "votes.sqlite"
        return made[key]

    return of


@pytest.fixture
def make_site(tmp_path: Path, rated_database: Callable[..., Path]) -> Iterator[MakeSite]:
    """Makes sites: options of SiteConfig, who has rated before, `swap`, keys of the design."""
    opened: list[Visitor] = []

    def make(
        *,
        database: str | None = None,
        ratings: Ratings = (),
        site: dict[str, Any] | None = None,
        **study: Any,
    ) -> Visitor:
        folder = freeze(tmp_path / f"study-{len(opened)}", **study)
        if database is None:
            shutil.copy(rated_database(ratings, **study), folder / "votes.sqlite")
        opened.append(serve(folder, database or str(folder / "votes.sqlite"), **(site or {})))
        if database is not None:
            for scores in ratings:
                opened[-1].rate(scores)
        return opened[-1]

    yield make
    for visitor in opened:
        visitor.store.dispose()


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords hashed with little work: a test logs in often."""
    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("sreval.store.operators._hasher", hasher)


@pytest.fixture
def visitor(make_site: MakeSite) -> Visitor:
    """A rater with a browser before a small study on SQLite."""
    return make_site()
