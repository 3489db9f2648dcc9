"""Who is kept out of the operator's pages: every route, by every way that must not lead in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import select
from werkzeug.test import TestResponse

from sreval.errors import StoreError
from sreval.store import operators
from sreval.store.enrolment import enrol
from sreval.store.models import Base
from sreval.store.operators import Operators
from sreval.store.studies import Studies
from sreval.study.panel import Arrival
from tests.site.conftest import MakeSite, Visitor
from tests.site.operator_desk import PASSWORD, Clock, Desk, everything

Route = tuple[str, str, str]
"""Endpoint, method and path."""

FREE = {"operator.login", "operator.enter", "operator.link_page", "operator.use_link"}
VIEWERS_TOO = {"operator.logout"}
FORM = {
    "to": "pause",
    "decision": "refuse",
    "reason": "so",
    "confirm": "small",
    "participant": "p1",
    "kind": "personal",
    "expires": "2999-01-01",
}
"""Fields with which every form would be accepted."""


pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def site(make_site: MakeSite) -> Visitor:
    """A study with one rater who is through, another under way, a link, and a participant."""
    visitor = make_site(ratings=((3,), ()), panel={"parameter": "id"})
    here = visitor.app.extensions["sreval"]
    enrol(here.store, visitor.invite("open"), here.manifest, arrival=Arrival("p1"))
    visitor.store.clock = Clock()
    return visitor


def routes(site: Visitor) -> list[Route]:
    """Every rule under /operator with every method, its arguments filled in."""
    rater = Desk(site).raters()[1]
    found = []
    adapter = site.app.url_map.bind("localhost")
    for rule in site.app.url_map.iter_rules():
        if rule.rule.startswith("/operator"):
            assert rule.endpoint.startswith("operator."), rule
            given = {"name": "small", "pseudonym": rater, "key": 2, "token": "x"}
            values = {name: given[name] for name in rule.arguments}
            for method in sorted(rule.methods or ()):
                found.append((rule.endpoint, method, adapter.build(rule.endpoint, values, method)))
    return found


def guarded(site: Visitor, methods: tuple[str, ...]) -> list[Route]:
    wanted = [r for r in routes(site) if r[1] in methods and r[0] not in FREE]
    assert len({endpoint for endpoint, _, _ in wanted}) >= 7
    return wanted


def call(desk: Desk, route: Route, csrf: str = "", **headers: str) -> TestResponse:
    _, method, path = route
    data = {"csrf_token": csrf, **FORM} if method == "POST" else None
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    answer = desk.client.open(path, method=method, data=data, headers=named)
    answer.get_data()
    return answer


def test_the_routes_are_found_and_an_owner_may_use_each(site: Visitor) -> None:
    desk = Desk(site).account("owner")
    for route in sorted(guarded(site, ("GET", "POST", "HEAD")), key=lambda r: "delete" in r[0]):
        if route[0] == "operator.logout":
            continue
        answer = call(desk, route, desk.csrf())
        assert answer.status_code in (200, 302, 303, 409), (route, answer.text)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_every_route_refuses_a_stranger(site: Visitor, method: str) -> None:
    before, stranger = everything(site), Desk(site)
    csrf = Visitor.csrf_of(stranger.client.get("/operator/login"))
    for route in guarded(site, (method,)):
        answer = call(stranger, route, csrf)
        if method in ("GET", "HEAD"):
            assert (answer.status_code, answer.location) == (303, "/operator/login"), route
        else:
            assert answer.status_code == 401, route
        assert "Set5" not in answer.text
    assert everything(site) == before


def test_every_change_refuses_a_viewer(site: Visitor) -> None:
    desk = Desk(site).account("viewer")
    before = everything(site)
    for route in guarded(site, ("POST",)):
        if route[0] not in VIEWERS_TOO:
            answer = call(desk, route, desk.csrf())
            assert answer.status_code == 403, route
            assert "Viewers change nothing" in answer.text
    assert everything(site) == before
    assert desk.text()


def test_a_viewers_pages_offer_nothing_but_the_way_out(site: Visitor) -> None:
    desk = Desk(site).account("viewer")
    for _, _, path in guarded(site, ("GET",)):
        page = desk.client.get(path)
        whole = "<html" in page.text  # a part of a page, fetched by its script, has no way out
        assert page.text.count('<form method="post"') == whole, path


def _logged_out(desk: Desk) -> None:
    desk.client.post("/operator/logout", data={"csrf_token": desk.csrf()})


def _idle(desk: Desk) -> None:
    clock_of(desk).wait(minutes=31)


def _old(desk: Desk) -> None:
    for _ in range(37):
        clock_of(desk).wait(minutes=20)
        desk.get("/log")


def _other_password(desk: Desk) -> None:
    Operators(desk.site.store).set_password("owner", "another good password")


def _removed(desk: Desk) -> None:
    Operators(desk.site.store).remove("owner")


def clock_of(desk: Desk) -> Clock:
    clock = desk.site.store.clock
    assert isinstance(clock, Clock)
    return clock


@pytest.mark.parametrize("ends", [_logged_out, _idle, _old, _other_password, _removed])
def test_every_route_refuses_a_stale_session(site: Visitor, ends: Callable[[Desk], None]) -> None:
    desk = Desk(site).account("owner")
    csrf = desk.csrf()
    cookie = desk.client.get_cookie("sreval-small-operator")
    assert cookie is not None
    ends(desk)
    before = everything(site)
    for route in guarded(site, ("GET", "POST")):
        desk.client.set_cookie("sreval-small-operator", cookie.value)  # as whoever copied it would
        answer = call(desk, route, csrf)
        assert answer.status_code == (303 if route[1] == "GET" else 401), route
    assert everything(site) == before


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:81"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_every_change_refuses_another_sites_form(site: Visitor, headers: dict[str, str]) -> None:
    desk = Desk(site).account("owner")
    csrf, before = desk.csrf(), everything(site)
    for route in guarded(site, ("POST",)):
        assert call(desk, route, csrf, **headers).status_code == 403, route
    assert everything(site) == before
    assert desk.text()


@pytest.mark.parametrize("csrf", ["", "false", "stranger's"])
def test_every_change_refuses_a_form_without_its_token(site: Visitor, csrf: str) -> None:
    desk, stranger = Desk(site).account("owner"), Desk(site)
    if csrf == "stranger's":
        csrf = Visitor.csrf_of(stranger.client.get("/operator/login"))
    before = everything(site)
    for route in guarded(site, ("POST",)):
        assert call(desk, route, csrf).status_code == 403, route
    assert everything(site) == before


def test_login_refuses_another_sites_form(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    desk = Desk(site)
    csrf = Visitor.csrf_of(desk.client.get("/operator/login"))
    data = {"csrf_token": csrf, "name": "ada", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = desk.client.post("/operator/login", data=data, headers=headers)
        assert answer.status_code == 403
    assert desk.client.post("/operator/login", data=data | {"csrf_token": ""}).status_code == 403
    assert desk.get().status_code == 303


@pytest.mark.parametrize(
    ("base_url", "tls"),
    [
        ("https://study.example.org", "https://study.example.org"),
        ("https://Study.Example.org:443/", "https://study.example.org"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_forms_of_the_own_site_pass_with_their_origin(
    make_site: MakeSite, base_url: str, tls: str
) -> None:
    site = make_site(site={"base_url": base_url})
    Operators(site.store).add("ada", "owner", PASSWORD)
    client = site.app.test_client()
    csrf = Visitor.csrf_of(client.get("/operator/login", base_url=tls))
    answer = client.post(
        "/operator/login",
        base_url=tls,
        data={"csrf_token": csrf, "name": "ada", "password": PASSWORD},
        headers={"Origin": tls, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status_code == 303
    assert client.get("/operator/", base_url=tls).status_code == 200


def test_login_begins_a_new_session(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    desk, planted = Desk(site), Desk(site)
    csrf = Visitor.csrf_of(desk.client.get("/operator/login"))
    before = desk.client.get_cookie("sreval-small-operator")
    assert before is not None
    planted.client.set_cookie("sreval-small-operator", before.value)
    desk.log_in("ada")
    after = desk.client.get_cookie("sreval-small-operator")
    assert after is not None
    assert after.value != before.value
    assert planted.get().status_code == 303, "a cookie planted before the login is logged in"
    assert desk.csrf() != csrf
    again = Desk(site)
    again.log_in("ada")
    other = again.client.get_cookie("sreval-small-operator")
    assert other is not None
    assert other.value != after.value


def test_a_rater_is_no_operator(site: Visitor) -> None:
    rater = Visitor(site.app)
    rater.to_rating()
    assert rater.client.get("/operator/studies/small").status_code == 303


def test_a_login_lasts_while_it_is_used(site: Visitor) -> None:
    desk = Desk(site).account("viewer")
    for _ in range(30):
        clock_of(desk).wait(minutes=20)
        assert desk.get("/log").status_code == 200


def test_name_is_closed_to_strangers_after_five_failures_and_opens_again(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    desk = Desk(site)
    for _ in range(5):
        assert desk.log_in("ada", "a wrong password").status_code == 401
    assert desk.log_in("ada").status_code == 401
    clock_of(desk).wait(minutes=14)
    assert desk.log_in("ada").status_code == 401
    clock_of(desk).wait(minutes=2)
    assert desk.log_in("ada").status_code == 303


def test_failures_count_anew_after_a_login(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    desk = Desk(site)
    for _ in range(3):
        for _ in range(4):
            desk.log_in("ada", "a wrong password")
        assert desk.log_in("ada").status_code == 303
        desk = Desk(site)  # one that nobody knows


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that passwords were held against; "nobody's" where there is no more try."""
    found: list[str] = []
    verified = operators._verified

    def noted(stored: str, password: str) -> bool:
        found.append(stored)
        return stored != "nobody's" and verified(stored, password)

    monkeypatch.setattr(operators, "_nobodys", lambda: "nobody's")
    monkeypatch.setattr(operators, "_verified", noted)
    return found


def guesses(looked: list[str]) -> int:
    return len([stored for stored in looked if stored != "nobody's"])


def test_of_many_guesses_at_once_five_are_looked_at(site: Visitor, looked: list[str]) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)

    def guess(number: int) -> None:
        with suppress(operators.LoginError):
            Operators(site.store).log_in("ada", f"a guess of number {number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(guess, range(24)))
    for number in range(9):
        guess(number)
    assert guesses(looked) == operators.TRIES


def test_of_guesses_all_day_twenty_an_hour_are_looked_at(site: Visitor, looked: list[str]) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    clock, when = clock_of(Desk(site)), []
    for _ in range(3 * 60):
        before = guesses(looked)
        for _ in range(6):
            with suppress(operators.LoginError):
                Operators(site.store).log_in("ada", "a guess")
        when += [clock.now] * (guesses(looked) - before)
        clock.wait(minutes=1)
    hour = dt.timedelta(hours=1)
    most = max(sum(start <= at < start + hour for at in when) for start in when)
    assert 0 < most <= 20


def locked_out(site: Visitor) -> None:
    """Strangers use up the tries of ada's name."""
    for _ in range(operators.TRIES):
        assert Desk(site).log_in("ada", "a stranger's guess").status_code == 401
    assert Desk(site).log_in("ada").status_code == 401


def known(site: Visitor) -> Desk:
    """A browser in which ada has logged in before."""
    desk = Desk(site)
    assert desk.log_in("ada").status_code == 303
    _logged_out(desk)
    return desk


def test_strangers_keep_nobody_out_of_a_browser_that_logged_in_before(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    Operators(site.store).add("bob", "owner", PASSWORD)
    hers = known(site)
    locked_out(site)
    for name in ("ada", "bob", "ada"):  # two operators share a browser
        assert hers.log_in(name).status_code == 303, name
        _logged_out(hers)
    cookie = hers.client.get_cookie("sreval-small-browser")
    assert cookie is not None
    assert cookie.http_only
    thief = Desk(site)
    for planted in ("", "x", f"{cookie.value}x", cookie.value.upper()):
        thief.client.set_cookie("sreval-small-browser", planted)
        assert thief.log_in("ada").status_code == 401, planted
    thief.client.set_cookie("sreval-small-browser", cookie.value)
    assert thief.get().status_code == 303, "the cookie alone lets nobody in"


def test_known_browser_has_twenty_tries_an_hour_of_its_own(
    site: Visitor, looked: list[str]
) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    hers = known(site)
    looked.clear()
    for _ in range(40):
        hers.log_in("ada", "a wrong password")
    assert guesses(looked) == operators.KNOWN_TRIES + operators.TRIES
    assert hers.log_in("ada").status_code == 401
    clock_of(hers).wait(minutes=61)
    assert hers.log_in("ada").status_code == 303


def test_link_logs_in_once_however_many_strangers_try(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    locked_out(site)
    link = f"/operator/login/{Operators(site.store).link('ada')}"
    assert [row.seen_at for row in Operators(site.store).listing()] == [None]
    desk = Desk(site)
    for _ in range(2):  # mail programs look at links, too
        page = desk.client.get(link)
        assert "ada" in page.text
    data = {"csrf_token": Visitor.csrf_of(page)}
    assert desk.client.post(link, data={}).status_code == 403
    assert desk.client.post(link, data=data).status_code == 303
    assert desk.text()
    again = Desk(site)
    assert again.client.get(link).status_code == 404
    data = {"csrf_token": Visitor.csrf_of(again.client.get("/operator/login"))}
    assert again.client.post(link, data=data).status_code == 404
    assert again.get().status_code == 303
    desk.client.post("/operator/logout", data={"csrf_token": desk.csrf()})
    assert desk.log_in("ada").status_code == 303
    assert Desk(site).log_in("ada").status_code == 303, "failures count anew"


def test_link_is_of_use_for_a_quarter_of_an_hour_and_no_session(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    token = Operators(site.store).link("ada")
    assert Operators(site.store).logged_in(token) is None
    clock_of(Desk(site)).wait(minutes=16)
    assert Operators(site.store).whose_link(token) == ""
    with pytest.raises(operators.LoginError):
        Operators(site.store).use_link(token)


def test_refusals_tell_no_names(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    desk = Desk(site)
    pages = {desk.log_in(name, "wrong").text.replace(name, "") for name in ("ada", "bob")}
    without_tokens = {page.split("csrf_token")[0] for page in pages}
    assert len(without_tokens) == 1


def stored_passwords(site: Visitor) -> list[str]:
    with site.store.read() as tx:
        return list(tx.execute(select(Base.metadata.tables["operator"].c.password)).scalars())


def test_password_stands_nowhere_but_as_a_slow_hash(site: Visitor) -> None:
    Operators(site.store).add("ada", "owner", PASSWORD)
    Desk(site).log_in("ada")
    (hashed,) = stored_passwords(site)
    assert hashed.startswith("$argon2id$")
    assert PASSWORD not in str(everything(site))


def test_a_hash_made_with_other_parameters_is_made_anew_at_the_next_login(site: Visitor) -> None:
    """Else the time of an answer would tell the old account from a name that doesn't exist."""
    Operators(site.store).add("ada", "owner", PASSWORD)
    old = PasswordHasher(time_cost=2, memory_cost=128, parallelism=1).hash(PASSWORD)
    table = Base.metadata.tables["operator"]
    with site.store.begin() as tx:
        tx.execute(table.update().values(password=old))
    assert Desk(site).log_in("ada", "wrong").status_code == 401
    assert stored_passwords(site) == [old]
    assert Desk(site).log_in("ada").status_code == 303
    (fresh,) = stored_passwords(site)
    parameters = extract_parameters(fresh)
    assert (parameters.time_cost, parameters.memory_cost) == (1, 64), "those of quick_hashes"
    assert Desk(site).log_in("ada").status_code == 303
    assert stored_passwords(site) == [fresh]


@pytest.fixture
def on_each(make_site: MakeSite, database_url: str) -> Visitor:
    """A site with a rater, on SQLite and on PostgreSQL in turn."""
    return make_site(ratings=((3,),), database=database_url)


def test_way_in_and_out_on_both_databases(on_each: Visitor) -> None:
    desk = Desk(on_each).account("owner", "Ада 𝔄")
    assert "Ада 𝔄" in desk.text()
    desk.client.post("/operator/logout", data={"csrf_token": desk.csrf()})
    assert desk.get().status_code == 303
    Operators(on_each.store).set_password("Ада 𝔄", "Пароль из слов")
    assert desk.log_in("Ада 𝔄").status_code == 401
    assert desk.log_in("Ада 𝔄", "Пароль из слов").status_code == 303
    Operators(on_each.store).remove("Ада 𝔄")
    assert Operators(on_each.store).listing() == []


def test_strangers_are_not_told_where_the_database_lies(
    site: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def ill(*given: object, **more: object) -> str:
        raise StoreError("postgresql://sreval@db.internal/votes can't be reached.", "Check host.")

    desk, stranger = Desk(site).account("owner"), Desk(site)
    csrf = Visitor.csrf_of(stranger.client.get("/operator/login"))
    monkeypatch.setattr(Operators, "log_in", ill)
    monkeypatch.setattr(Studies, "names", ill)
    told = stranger.client.post("/operator/login", data={"csrf_token": csrf, "name": "x"})
    assert told.status_code == 503
    assert "db.internal" not in told.text
    assert told.headers["X-Request-ID"] in told.text
    assert "db.internal" in str([vars(record) for record in caplog.records])
    assert "db.internal" in desk.client.get("/operator/").text


def test_nul_in_a_name_and_an_absurd_page_are_the_askers_fault(on_each: Visitor) -> None:
    stranger, desk = Desk(on_each), Desk(on_each).account("owner")
    assert stranger.log_in("a\0b").status_code == 400
    for path in ("/raters/r%00x", "/log?before=%00"):
        assert desk.get(path).status_code == 400, path
    assert desk.client.get("/operator/studies/sm%00all").status_code == 400
    for before in ("9" * 30, "-1", "x", "²"):
        assert desk.get(f"/log?before={before}").status_code == 400
    assert desk.get("/log?before=1").status_code == 200
