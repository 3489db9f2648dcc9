"""The operator's live page and the page of reminders, over HTTP."""

from __future__ import annotations

import csv
import io
import re

import pytest

from sreval.store import operators
from sreval.store.models import Login
from sreval.store.studies import Studies
from tests.site.conftest import METHODS, MakeSite, Visitor
from tests.site.operator_desk import Clock, Desk, everything

pytestmark = pytest.mark.usefixtures("quick_hashes")
MARKUP = '<b>"=1\u202e'


@pytest.fixture
def desk(make_site: MakeSite) -> Desk:
    """An owner, and a rater who is under way, on a clock that a test sets."""
    site = make_site()
    site.store.clock = Clock()
    return Desk(site).account("owner")


def test_the_live_page_says_who_rates_and_refreshes_by_its_part_alone(desk: Desk) -> None:
    Visitor(desk.site.app).to_rating()
    page, part = desk.text("/live"), desk.text("/live/now")
    (rater,) = desk.raters()
    for text in (page, part):
        assert rater in text
        assert "1</b> at rating" in text
    assert part.lstrip().startswith("<p")
    assert "<html" not in part
    assert 'data-url="/operator/studies/small/live/now"' in page
    for method in METHODS:
        assert f">{method}<" not in part
    assert desk.client.get("/operator/studies/none/live/now").status_code == 404


def test_a_page_that_refreshes_itself_keeps_no_login_alive(desk: Desk) -> None:
    clock = desk.site.store.clock
    assert isinstance(clock, Clock)
    with desk.site.store.read() as tx:
        seen = tx.scalars(Login.__table__.select()).all()
    assert len(seen) == 1
    for _ in range(3):
        clock.wait(seconds=operators.IDLE.total_seconds() / 2.5)
        answer = desk.get("/live/now")
    assert answer.status_code == 303
    assert desk.log_in("owner").status_code == 303
    for _ in range(3):
        clock.wait(seconds=operators.IDLE.total_seconds() / 2.5)
        assert desk.get("/live").status_code == 200


def test_new_links_are_sent_as_a_file_and_lead_on(desk: Desk) -> None:
    desk.post("/links", kind="personal", label=MARKUP)
    clock = desk.site.store.clock
    assert isinstance(clock, Clock)
    clock.wait(minutes=20)
    assert "Nobody." in desk.text("/reminders")
    page = desk.text("/reminders?days=0")
    assert "not opened" in page
    assert MARKUP not in page
    sent = desk.post("/reminders", days="0")
    assert sent.mimetype == "text/csv"
    assert "attachment" in sent.headers["Content-Disposition"]
    (row,) = csv.DictReader(io.StringIO(sent.text))
    assert list(row) == ["id", "label", "why", "since (UTC)", "rater", "rated", "of", "link"]
    assert (row["why"], row["label"]) == ("not opened", MARKUP)
    path = re.sub(r"^https?://[^/]+", "", row["link"])
    assert desk.site.app.test_client().get(path).status_code == 303
    assert row["link"].rpartition("/")[2] not in desk.text("/log") + desk.text("/reminders?days=0")


def test_bad_days_and_viewers_change_nothing(desk: Desk, make_site: MakeSite) -> None:
    desk.post("/links", kind="personal")
    before = everything(desk.site)
    for days in (
        "-1",
        "x",
        "nan",
        "inf",
        "1e1",
        ".",
        "1.5.",
        "9" * 10_000,
        "3651",
        "١",
        "<b>",
        "1\0",
    ):
        for answer in (desk.get(f"/reminders?days={days}"), desk.post("/reminders", days=days)):
            assert answer.status_code in (400, 422), days
            assert "<b>'" not in answer.text
    assert desk.get("/reminders?days=2&days=3").status_code == 200
    assert 'value="1.5"' in desk.text("/reminders?days=1.5")
    viewer = Desk(desk.site).account("viewer")
    assert "Make new links" not in viewer.text("/reminders?days=0")
    assert viewer.post("/reminders", days="0").status_code == 403
    after = everything(desk.site)
    assert {k: v for k, v in after.items() if k not in ("operator", "audit")} == {
        k: v for k, v in before.items() if k not in ("operator", "audit")
    }
    Studies(desk.site.store).set_state("small", "paused")
    assert "The study is paused" in desk.text("/reminders")
    assert desk.post("/reminders", days="0").status_code == 409
