"""The preview shows every page that raters can meet, and keeps nothing."""

from __future__ import annotations

import datetime as dt
import io
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, template_rendered
from flask.testing import FlaskClient
from PIL import Image

from sreval import content
from sreval.site.errors import MESSAGES
from sreval.site.preview import SIZE, create_preview, stops
from sreval.store.models import OUTCOMES, STAGES
from sreval.study.design import load_design
from tests.site.conftest import PAIR, design, freeze
from tests.study.designs import in_languages

RATERS = content.packaged("web") / "templates" / "rater"
WHOLE: dict[str, Any] = {
    "sittings": {"items": 8, "break_every": 4, "break_seconds": 5, "rest_minutes": 5},
    "outcomes": {"complete": "https://panel.example.org/done?code=7", "withdrew": "LEFT"},
}
CHECKS = ("card", "distance", "patches", "colour", "acuity")


def links(client: FlaskClient, path: str = "/") -> list[str]:
    page = client.get(path)
    assert page.status_code == 200
    return list(dict.fromkeys(re.findall(r'<li><a href="([^"]+)"', page.text)))


def in_german(changes: dict[str, Any]) -> dict[str, Any]:
    return changes | {"texts": in_languages(design(**changes), "de")["texts"]}


def unfrozen(folder: Path, **changes: Any) -> Path:
    """The same design, in English and German, before its pictures were frozen."""
    freeze(folder, **in_german(changes))
    (folder / "manifest.json").unlink()
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return create_preview(unfrozen(tmp_path / "small", **WHOLE))


def test_every_template_stage_outcome_and_message_is_reached(tmp_path: Path) -> None:
    checks = {"viewing": {"checks": dict.fromkeys(CHECKS, True)}}
    app = create_preview(unfrozen(tmp_path / "small", **WHOLE, **checks))
    seen: set[str] = set()

    def note(sender: Flask, template: Any, **more: Any) -> None:
        seen.add(template.name)

    client = app.test_client()
    with template_rendered.connected_to(note, app):
        for address in links(client):
            page = client.get(address)
            assert page.status_code in {200, 422} | {m.status for m in MESSAGES.values()}, address
            assert page.text.count('class="preview"') == 1
            assert "Refresh" not in page.headers
            assert "Set-Cookie" not in page.headers
            assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    pages = {f"rater/{path.name}" for path in RATERS.glob("[!_]*.html")}
    assert pages <= seen
    found = stops(load_design(tmp_path / "small"))
    assert {stop.stage for stop in found} == set(STAGES)
    assert {stop.outcome for stop in found} >= set(OUTCOMES)


def test_viewing_checks_are_judged_and_lead_on(tmp_path: Path) -> None:
    checks = {"viewing": {"checks": dict.fromkeys(CHECKS, True)}}
    client = create_preview(unfrozen(tmp_path / "small", **WHOLE, **checks)).test_client()
    for kind, following in zip(CHECKS, (*CHECKS[1:], "questions"), strict=True):
        page = f"/study/small/en.check-{kind}/checks"
        assert client.post(page, data={"check": kind, "facts": "{}"}).status_code == 422
        left = client.post(page, data={"check": kind, "skip": "yes"})
        assert left.headers["Location"].endswith(following)


def test_groups_and_participants_of_panels_read_what_is_theirs(tmp_path: Path) -> None:
    raters = design()["raters"]
    groups = [
        {"name": "edges", "raters": 1, "instructions": "Look at edges."},
        {"name": "rest", "raters": raters - 1},
    ]
    whole = WHOLE | {"groups": groups, "panel": {"parameter": "PID"}}
    client = create_preview(unfrozen(tmp_path / "small", **whole)).test_client()
    for language in ("en", "de"):
        pages = {page: client.get(page).text for page in links(client, f"/?lang={language}")}
        own = [page for page, text in pages.items() if "Look at edges." in text]
        assert own == [f"/study/small/{language}.instructions-edges"]
    consent = client.get("/study/small/en.consent").text
    assert "the ID with which you were sent here" in consent
    plain = create_preview(unfrozen(tmp_path / "plain", **WHOLE)).test_client()
    assert "the ID with which" not in plain.get("/study/small/en.consent").text


def test_what_a_design_lacks_is_not_shown(tmp_path: Path) -> None:
    folder = unfrozen(tmp_path / "small", sittings={}, questions=[], calibration=None)
    keys = {stop.key for stop in stops(load_design(folder))}
    assert not keys & {"break", "rest", "questions", "closing", "rating-calibration"}


def test_every_form_leads_to_the_next_page(app: Flask) -> None:
    client = app.test_client()
    facts = '{"ratio": 1, "window": [3000, 2000], "screen": [3000, 2000]}'
    forms: dict[str, dict[str, str]] = {
        "consent": {"version": "1"},
        "device": {"facts": facts, "fits": "yes"},
        "questions": {"sight": "good", "age": "30"},
    }
    place, way = "/study/small/en.consent", []
    while "rating" not in place and "done" not in place:
        way.append(place.rpartition(".")[2])
        stage = "break" if place.endswith(".rest") else way[-1]
        answer = client.post(f"{place}/{stage}", data=forms.get(stage, {}))
        assert answer.status_code == 303, place
        place = answer.headers["Location"]
    assert way == ["consent", "device", "questions", "instructions"]
    for key in ("break", "rest", "closing"):
        stage = "closing" if key == "closing" else "break"
        answer = client.post(f"/study/small/de.{key}/{stage}", data={})
        assert "/de." in answer.headers["Location"]
        assert not answer.headers["Location"].endswith(key)
    out = client.post("/study/small/en.questions/questions", data={"sight": "poor", "age": "20"})
    assert out.headers["Location"].endswith("en.done-screened_out")
    assert client.post("/study/small/en.questions/questions", data={}).status_code == 422
    for form, end in (({"delete": "yes"}, "deleted"), ({"delete": "no"}, "withdrew")):
        left = client.post("/study/small/en.rest/withdraw", data=form)
        assert left.headers["Location"].endswith(f"en.done-{end}")
    assert client.post("/further/en/kiosk").headers["Location"].endswith("en.consent")


def test_items_are_rated_one_after_the_other_and_lead_on(app: Flask) -> None:
    client = app.test_client()
    here = "/study/small/en.rating-vote"
    item = client.get(f"{here}/api/item").get_json()
    for position in (1, 2, 3):
        assert item["position"] == position
        (picture,) = item["pictures"]
        image = client.get(picture["url"])
        assert Image.open(io.BytesIO(image.data)).size == SIZE
        vote = {
            "position": position, "image": picture["url"].rpartition("/")[2], "score": 3,
            "key": f"key-{position:06}", "response_ms": 900.0,
            "shown_at": dt.datetime.now(dt.UTC).isoformat(),
        }  # fmt: skip
        assert client.post(f"{here}/api/vote", json=vote | {"score": 9}).status_code == 422
        answer = client.post(f"{here}/api/vote", json=vote).get_json()
        assert answer["saved"] == position
        item = answer["current"]
    assert item["stage"] != "rating"
    assert client.get(here).headers["Location"].endswith("en.break")
    assert client.get(here).status_code == 200  # and once more from the beginning
    assert client.post(f"{here}/api/vote", json=vote | {"position": 99}).status_code == 409


def test_a_frozen_study_of_pairs_shows_its_own_pictures(tmp_path: Path) -> None:
    folder = freeze(tmp_path / "small", **in_german(PAIR))
    client = create_preview(folder).test_client()
    assert "those of the frozen study" in client.get("/").text
    item = client.get("/study/small/de.rating-vote/api/item").get_json()
    assert {picture["place"] for picture in item["pictures"]} == {"left", "right", "reference"}
    for picture in item["pictures"]:
        data = client.get(picture["url"], buffered=True).data
        assert any(data == path.read_bytes() for path in (folder / "stimuli").glob("*.png"))
    assert {path.name for path in folder.iterdir()} == {"study.toml", "manifest.json", "stimuli"}


def test_addresses_that_are_none_get_a_page_that_says_so(app: Flask) -> None:
    client = app.test_client()
    bad = [
        "/study/other/en.consent", "/study/small/xx.consent", "/study/small/en.none",
        "/study/small/consent", "/study/small/en.consent%00", f"/study/small/en.{'x' * 10_000}",
        "/study/small/%3Cb%3E.consent", "/message/en/none", "/message/xx/busy", "/further/en/none",
        "/further/%E2%80%AE/kiosk", "/none", "/study/small/en.rating-vote/i/1-right",
    ]  # fmt: skip
    for address in bad:
        page = client.get(address)
        assert page.status_code in (404, 409), address
        assert "<b>." not in page.text
    assert client.get("/r/anything").headers["Location"] == "/"
    assert client.get("/study/small/en.consent?lang=de").headers["Location"].endswith("/de.consent")
    assert client.get("/?lang=de&lang=fr").status_code == 200
