"""Each guard of the site, by what gets through and what doesn't."""

from __future__ import annotations

import ast
import json
import logging
import re
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import request

from sreval.errors import DataError, UsageError
from sreval.site import config as site_config
from sreval.site import logs
from sreval.site.app import WINDOW_SECONDS, Counts, create_app
from sreval.site.config import SECRET, Rates, SiteConfig
from sreval.store.sessions import RaterSession
from tests.site.conftest import FACTS, MakeSite, Visitor, freeze


def answers_of_every_sort(visitor: Visitor) -> dict[str, Any]:
    """A page, a form's refusal, JSON, an image, a static file, and errors of several kinds."""
    current = visitor.to_rating()
    return {
        "page": visitor.page(),
        "json": visitor.client.get(visitor.at("api/item")),
        "image": visitor.client.get(current["pictures"][0]["url"]),
        "static": visitor.client.get("/static/rater.css", buffered=True),
        "health": visitor.client.get("/health"),
        "absent": visitor.client.get("/nothing"),
        "absent image": visitor.client.get(visitor.at("i/nothing")),
        "refused": visitor.client.post(visitor.at("withdraw")),
        "wrong link": visitor.client.get("/r/wrong"),
        "wrong method": visitor.client.get(visitor.at("api/vote")),
    }


def test_every_answer_carries_the_headers_that_guard_it(visitor: Visitor) -> None:
    for name, answer in answers_of_every_sort(visitor).items():
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert "Strict-Transport-Security" not in answer.headers
        cached = answer.headers.get("Cache-Control", "")
        assert name == "static" or cached == "private, no-store", name


def test_pages_hold_nothing_that_the_policy_would_refuse(visitor: Visitor) -> None:
    visitor.invite()
    pages = [visitor.open()]
    for stage, fields in (("consent", {}), ("device", {"facts": json.dumps(FACTS), "fits": "yes"})):
        visitor.send(stage, **fields)
        pages.append(visitor.page())
    visitor.send("questions", sight="good", age="20")
    pages.append(visitor.page())
    visitor.send("instructions")
    pages.append(visitor.page())
    for answer in pages:
        text = answer.get_data(as_text=True)
        scripts = re.findall(r"<script([^>]*)>", text)
        assert all("src=" in s or 'type="application/json"' in s for s in scripts)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        assert set(re.findall(r"(?:src|href)=\"(\w+:)?//", text)) == set()


NO_EVENTS = ("addHandler", "removeHandler", "addFilter", "setLevel", "log")
"""What is called of LOG and logs nothing, or what was logged before."""


def test_every_event_that_is_logged_is_explained() -> None:
    """By the source: what is passed to LOG first, or to a LogRecord as its message."""
    logged = set()
    for path in Path(site_config.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            called, owner = node.func.attr, getattr(node.func.value, "id", "")
            place = {"LOG": 0, "logging": 4}.get(owner)
            if owner == "LOG" and called in NO_EVENTS:
                continue
            if place is None or (owner == "logging" and called != "LogRecord"):
                continue
            event = node.args[place]
            assert isinstance(event, ast.Constant), ast.dump(node)
            logged.add(event.value)
    page = Path(__file__).parents[2] / "docs" / "how-to" / "hosting.md"
    explained = re.findall(r"^\| `([\w ]+)` \| (?:info|warning|error) \|", page.read_text(), re.M)
    assert len(logged) >= 7
    assert set(explained) == logged


def test_flood_of_an_event_is_one_line_a_minute_with_a_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, lines = [1000.0], []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            fields = getattr(record, "fields", {})
            lines.append((record.getMessage(), fields.get("message"), fields.get("count")))

    def tell(event: str, **fields: str) -> None:
        logs.LOG.warning(event, extra={"fields": fields})

    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: now[0]))
    kept, counting = Kept(), logs.OneAMinute()
    logs.LOG.addHandler(kept)
    logs.LOG.addFilter(counting)
    try:
        for _ in range(180):  # three minutes
            tell("login refused")
            now[0] += 1
        assert lines == [("login refused", None, None)] + [("login refused", None, 61)] * 2
        lines.clear()
        tell("database", message="full")
        tell("database", message="locked")
        now[0] += 61
        tell("request")
        assert lines == [
            ("database", "full", None),
            ("database", "locked", None),
            ("login refused", None, 57),
            ("request", None, None),
        ]
        lines.clear()
        now[0] += 61
        for event in ("login refused", "unexpected", "unexpected"):
            tell(event)
        assert [line[0] for line in lines] == ["login refused", "unexpected", "unexpected"]
    finally:
        logs.LOG.removeHandler(kept)
        logs.LOG.removeFilter(counting)


def test_behind_tls_the_cookie_is_secure_and_the_browser_told_to_stay(make_site: MakeSite) -> None:
    visitor = make_site(site={"base_url": "https://study.example.org"})
    visitor.invite()
    answer = visitor.client.get(f"/r/{visitor.token}", base_url="https://study.example.org")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-sreval-small=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_behind_tls_forms_pass_although_pages_send_no_referrer(make_site: MakeSite) -> None:
    visitor = make_site(site={"base_url": "https://study.example.org"})
    visitor.invite()
    tls = {"base_url": "https://study.example.org"}
    page = visitor.client.get(f"/r/{visitor.token}", follow_redirects=True, **tls)
    visitor.here = page.request.path
    data = {"csrf_token": visitor.csrf_of(page)}
    assert visitor.client.post(visitor.at("consent"), data=data, **tls).status_code == 303
    led = visitor.client.get("/study", follow_redirects=True, **tls)
    assert visitor.stage(led) == "device"


def test_without_tls_the_cookie_is_still_kept_from_scripts(visitor: Visitor) -> None:
    visitor.invite()
    cookie = visitor.client.get(f"/r/{visitor.token}").headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_first_start_makes_a_secret_for_this_user_alone(tmp_path: Path) -> None:
    folder = freeze(tmp_path / "study")
    config = SiteConfig.given(study=folder, database=str(folder / "votes.sqlite"))
    first, second = create_app(config), create_app(config)
    made = folder / SECRET
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert first.secret_key == second.secret_key == made.read_text().strip()
    assert len(str(first.secret_key)) == 64
    assert not list(folder.glob(f".{SECRET}*"))


def test_every_study_makes_another_secret(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        folder = freeze(tmp_path / name)
        config = SiteConfig.given(study=folder, database=str(folder / "votes.sqlite"))
        made.append(create_app(config).secret_key)
    assert made[0] != made[1]


@pytest.mark.parametrize(("content", "mode"), [("x" * 64, 0o640), ("x" * 64, 0o604), ("x", 0o600)])
def test_secret_that_others_can_read_or_guess_is_refused(
    tmp_path: Path, content: str, mode: int
) -> None:
    folder = freeze(tmp_path / "study")
    (folder / SECRET).write_text(content)
    (folder / SECRET).chmod(mode)
    with pytest.raises(DataError, match=SECRET):
        create_app(SiteConfig.given(study=folder, database=str(folder / "votes.sqlite")))


def test_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = freeze(tmp_path / "study")
    monkeypatch.setenv("SREVAL_STUDY", str(folder))
    monkeypatch.setenv("SREVAL_SECRET", "s" * 40)
    assert create_app(SiteConfig.from_environment()).secret_key == "s" * 40
    assert not (folder / SECRET).exists()
    monkeypatch.setenv("SREVAL_SECRET", "short")
    with pytest.raises(UsageError, match="SREVAL_SECRET") as refused:
        SiteConfig.from_environment()
    assert "'short'" not in str(refused.value)


def test_forged_cookie_opens_nothing(make_site: MakeSite) -> None:
    visitor, other = make_site(), make_site(site={"secret": "another secret " * 4})
    visitor.to_rating()
    cookie = visitor.client.get_cookie("sreval-small")
    assert cookie is not None
    other.client.set_cookie("sreval-small", cookie.value)
    assert other.page().status_code == 401


@pytest.mark.parametrize("token", ["", "wrong"])
def test_form_without_csrf_token_is_refused_and_not_saved(visitor: Visitor, token: str) -> None:
    visitor.begin()
    steps = [
        ("consent", {}),
        ("device", {"facts": json.dumps(FACTS), "fits": "yes"}),
        ("questions", {"sight": "good", "age": "30"}),
        ("instructions", {}),
    ]
    for stage, fields in steps:
        refused = visitor.send(stage, csrf=token, **fields)
        assert refused.status_code == 403
        if stage == "questions":  # what was typed comes back
            assert visitor.stage(refused) == stage
        else:
            assert f'href="{visitor.here}"' in refused.get_data(as_text=True)
        assert visitor.stage(visitor.page()) == stage
        visitor.send(stage, **fields)
    assert visitor.client.post(visitor.at("withdraw")).status_code == 403
    assert visitor.stage(visitor.page()) == "rating"


def test_vote_without_csrf_token_is_refused_and_not_saved(visitor: Visitor) -> None:
    visitor.to_rating()
    vote = {"position": 1, "score": 3, "key": "k" * 8, "response_ms": 900}
    refused = visitor.client.post(
        visitor.at("api/vote"), json=vote | {"shown_at": "2026-03-01T09:00:00Z"}
    )
    assert refused.status_code == 403
    assert "error" in refused.get_json()
    assert visitor.item()["done"] == 0


def test_rates_are_limited_by_session_and_not_by_address(make_site: MakeSite) -> None:
    rates = Rates(vote=6)
    visitor = make_site(site={"rates": rates})
    other = Visitor(visitor.app)
    for one in (visitor, other):
        one.to_rating()
    answers = [visitor.client.get(visitor.at("api/item")) for _ in range(8)]
    assert {a.status_code for a in answers[:5]} == {200}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert other.client.get(other.at("api/item")).status_code == 200


def test_links_are_limited_by_token(make_site: MakeSite) -> None:
    visitor = make_site(site={"rates": Rates(link=3)})
    first, second = visitor.invite(), visitor.invite()
    codes = [visitor.client.get(f"/r/{first}").status_code for _ in range(4)]
    assert codes == [303, 303, 303, 429]
    assert visitor.client.get(f"/r/{second}").status_code == 303


def test_many_come_by_one_open_link_and_one_of_them_too_often(make_site: MakeSite) -> None:
    first = make_site(site={"rates": Rates(link=40, visit=3, form=3)})
    token = first.invite("open")
    others = [Visitor(first.app) for _ in range(20)]
    assert {each.client.get(f"/r/{token}").status_code for each in others} == {303}
    assert {each.page().status_code for each in others} == {200}
    again = [others[0].client.get(f"/r/{token}").status_code for _ in range(4)]
    assert again == [303, 303, 303, 429]
    assert [others[1].page().status_code for _ in range(3)] == [200, 200, 429]
    assert others[2].client.get(f"/r/{token}").status_code == 303
    codes = {Visitor(first.app).client.get(f"/r/{token}").status_code for _ in range(40)}
    assert codes == {303, 429}


def test_a_window_ends_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("sreval.site.app.time.monotonic", lambda: now)
    counts = Counts()
    assert [counts.more("a") for _ in range(3)] == [1, 2, 3]
    now += WINDOW_SECONDS - 1
    assert counts.more("a") == 4
    now += 2
    assert counts.more("b") == 1
    assert list(counts._windows) == ["b"]
    assert counts.more("a") == 1


def test_two_sites_in_one_process_count_apart(make_site: MakeSite) -> None:
    strict = make_site(site={"rates": Rates(vote=3)})
    free = make_site()
    strict.to_rating(), free.to_rating()
    assert [strict.client.get(strict.at("api/item")).status_code for _ in range(3)][-1] == 429
    assert {free.client.get(free.at("api/item")).status_code for _ in range(9)} == {200}


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [(0, "http://localhost/"), (1, "https://b.example/"), (2, "https://a.example/")],
)
def test_forwarded_headers_are_believed_only_from_configured_proxies(
    make_site: MakeSite, proxies: int, seen: str
) -> None:
    visitor = make_site(site={"trusted_proxies": proxies})
    visitor.app.add_url_rule("/probe", view_func=lambda: request.host_url)
    headers = {
        "X-Forwarded-Host": "evil.example, a.example, b.example",
        "X-Forwarded-Proto": "http, https, https",
    }
    assert visitor.client.get("/probe", headers=headers).get_data(as_text=True) == seen


def test_bodies_are_limited(visitor: Visitor) -> None:
    visitor.to("questions")
    limit = visitor.app.config["MAX_CONTENT_LENGTH"]
    long = visitor.send("questions", sight="good", age="30", light="x" * limit)
    assert long.status_code == 413
    assert visitor.stage(long) == "questions"
    longer = visitor.send("questions", sight="good", age="30", light="x" * 8 * limit)
    assert longer.status_code == 413
    assert visitor.stage(longer) == "none"
    assert visitor.stage(visitor.page()) == "questions"
    visitor.send("questions", sight="good", age="30")
    visitor.send("instructions")
    csrf = {"X-CSRFToken": visitor.csrf_of(visitor.page())}
    body = b'{"position": 1, "key": "' + b"k" * limit + b'"}'
    many = visitor.client.post(
        visitor.at("api/vote"), data=body, content_type="application/json", headers=csrf
    )
    assert many.status_code == 413
    assert "error" in many.get_json()
    assert visitor.item()["done"] == 0


def test_logs_name_no_link_no_address_and_no_network(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.DEBUG):
        current = visitor.to_rating()
        address = current["pictures"][0]["url"].rpartition("/")[2]
        visitor.client.get(current["pictures"][0]["url"])
        visitor.vote(1)
        visitor.client.get("/r/guessed-token")
        monkeypatch.setattr(RaterSession, "image", lambda *_: 1 / 0)
        assert visitor.client.get(visitor.at(f"i/{address}")).status_code == 500
    text = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    cookie = visitor.client.get_cookie("sreval-small")
    assert cookie is not None
    for secret in (visitor.token, address, "guessed-token", "127.0.0.1", cookie.value):
        assert secret not in text
    lines = [r for r in caplog.records if r.getMessage() == "request"]
    here = "/study/<study>/<place>"
    fields: list[dict[str, Any]] = [vars(r)["fields"] for r in lines]
    assert {"request", "method", "route", "status", "ms"} == set(fields[0])
    assert {"/r/<token>", f"{here}/i/<address>", f"{here}/api/vote"} <= {f["route"] for f in fields}
    assert len({f["request"] for f in fields}) == len(fields)


def test_unexpected_failure_shows_no_traceback_and_logs_one(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.to_rating()

    def fail(*arguments: object) -> None:
        raise RuntimeError("private detail")

    monkeypatch.setattr(RaterSession, "state", fail)
    for path in (visitor.here, visitor.at("api/item")):
        answer = visitor.client.get(path)
        assert answer.status_code == 500
        assert "private detail" not in answer.get_data(as_text=True)
        assert "Traceback" not in answer.get_data(as_text=True)
        assert answer.headers["X-Frame-Options"] == "DENY"
    unexpected = [r for r in caplog.records if r.getMessage() == "unexpected"]
    assert len(unexpected) == 2
    assert unexpected[0].exc_info


@pytest.mark.parametrize(
    "path",
    [
        "HERE/i/../../study.toml",
        "HERE/i/..%2f..%2fstudy.toml",
        "HERE/i/%2e%2e%2fmanifest.json",
        "/static/../templates/base.html",
        "/static/..%2ftemplates/base.html",
        "HERE/i/%00",
        "/static/%00",
    ],
)
def test_no_path_of_a_request_becomes_a_file(visitor: Visitor, path: str) -> None:
    visitor.to_rating()
    answer = visitor.client.get(path.replace("HERE", visitor.here))
    assert answer.status_code == 404
    assert "bicubic" not in answer.get_data(as_text=True)


def test_stimulus_cannot_be_asked_for_by_its_hash(visitor: Visitor) -> None:
    visitor.to_rating()
    for sha256 in visitor.app.extensions["sreval"].stimuli.sizes:
        assert visitor.client.get(visitor.at(f"i/{sha256}")).status_code == 404
        assert visitor.client.get(visitor.at(f"i/{sha256}.png")).status_code == 404
