"""What operators see and do, held against the database and against what raters then meet."""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import itertools
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sreval.errors import StoreError
from sreval.opinions.cells import unguarded
from sreval.store import frames, invitations, snapshot
from sreval.store.audit import AuditLog
from sreval.store.database import open_store
from sreval.store.errors import BusyError, StateError
from sreval.store.invitations import Links
from sreval.store.overview import Overview
from sreval.store.studies import Studies
from sreval.study.manifest import load_manifest
from tests.conftest import Ran
from tests.site.conftest import METHODS, PAIR, MakeSite, Visitor
from tests.site.operator_desk import Clock, Desk, cells, everything
from tests.site.test_rater import NAUGHTY

pytestmark = pytest.mark.usefixtures("quick_hashes")
SPREAD = (1, 5, 2, 4, 3)
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "'quoted"]


@pytest.fixture
def desk(make_site: MakeSite) -> Desk:
    """An owner before a study with two raters who are through."""
    site = make_site(ratings=(SPREAD, (2, 3, 4)))
    return Desk(site).account("owner")


def log_of(desk: Desk, action: str) -> list[str]:
    return [row[3] for row in cells(desk.text("/log"))[1:] if row[2] == action]


def test_progress_is_what_the_database_holds(desk: Desk) -> None:
    Visitor(desk.site.app).to_rating()
    seen = Overview.of(desk.site.store, "small")
    rows = {row[0]: row for row in cells(desk.text()) if len(row) == 12}
    del rows["Rater"]
    assert set(rows) == {rater.rater for rater in seen.raters}
    for rater in seen.raters:
        row = rows[rater.rater]
        assert row[2:7] == [
            rater.stage,
            rater.outcome or "under way",
            str(rater.done),
            str(rater.of),
            str(rater.sitting),
        ]


def test_cells_count_votes_by_data_set_and_method(desk: Desk) -> None:
    votes = frames.tables(desk.site.store, "small")["votes"]
    counted = votes[(votes["kind"] == "vote") & votes["accepted"]].groupby("method").size()
    rows = {row[0]: row for row in cells(desk.text()) if row[0] in METHODS and len(row) == 5}
    assert {method: int(row[1]) for method, row in rows.items()} == counted.to_dict()
    assert all(row[2:] == ["50", "2", "2"] for row in rows.values()), "two of four raters"


def test_pairs_are_counted_by_pair_and_side_and_raters_by_their_checks(make_site: MakeSite) -> None:
    """All but one rater's answers are "left": none of the repeats, exchanged, agrees."""
    site = make_site(ratings=((-1,), (-1,), (-1, 0, 1)), **PAIR)
    desk = Desk(site).account("owner")
    votes = frames.tables(site.store, "small")["votes"]
    own = votes[(votes["kind"] == "vote") & votes["accepted"]]
    rows = [row for row in cells(desk.text()) if row[0] == "Set5" and len(row) == 9]
    assert [tuple(row[1:3]) for row in rows] == [*itertools.combinations(METHODS, 2)]
    for row in rows:
        one, other = (
            own[(own["left"] == left) & (own["right"] == right)]
            for left, right in (row[1:3], row[2:0:-1])
        )
        assert row[3:] == [
            str(len(one) + len(other)),
            "75",
            "3",
            "3",
            str(len(one)),
            str(len(other)),
        ]
        assert abs(len(one) - len(other)) <= 3, "each image within one"
    lefts, _, mixed = (row for row in cells(desk.text()) if len(row) == 13 and row[0] != "Rater")
    assert lefts[9:11] == ["0", "100 of 1"]
    page = desk.text(f"/raters/{mixed[0]}")
    chart = dict(re.findall(r"<title>([^:<]+): (\d+)</title>", page))
    given = votes[votes["rater"] == mixed[0]]["choice"].value_counts()
    assert chart == {
        "left": str(given["left"]), "no difference": str(given["tie"]), "right": str(given["right"])
    }  # fmt: skip


def test_results_of_pairs_are_shares_with_ties_as_halves(make_site: MakeSite) -> None:
    site = make_site(ratings=((-1, 0, 1), (1, 0), (-1, 1, 0, 0)), **PAIR)
    desk = Desk(site).account("owner")
    assert "Preferences are hidden until the study is closed" in desk.text("/results")
    Studies(site.store).set_state("small", "closed")
    votes = frames.tables(site.store, "small")["votes"]
    own = votes[(votes["kind"] == "vote") & votes["accepted"]]
    rows = [row for row in cells(desk.text("/results")) if len(row) == 6][1:]
    assert [tuple(row[:2]) for row in rows] == [*itertools.combinations(METHODS, 2)]
    for first, second, share, low, high, n in rows:
        here = own[own["left"].isin([first, second]) & own["right"].isin([first, second])]
        chosen = (here["left"] == first).map({True: "left", False: "right"})
        half = (here["choice"] == "tie") / 2
        expected = 100 * ((here["choice"] == chosen) + half).mean()
        assert float(share) == pytest.approx(expected, abs=0.05)
        assert int(n) == len(here)
        assert 0 <= float(low) <= float(share) <= float(high) <= 100


def test_what_needs_a_hand_comes_first_with_its_reason(make_site: MakeSite) -> None:
    gold = [{"dataset": "Set5", "method": "hr", "images": 1, "low": 5, "high": 5}]
    limits = {"gold": 0.5, "straight-lining": 5, "too-fast": 0.5}
    rules = [{"kind": k, "limit": limit, "reason": f"By {k}."} for k, limit in limits.items()]
    site = make_site(ratings=((3,),), gold=gold, acceptance=rules)
    site.rate((4, 5, 2), response_ms=250)
    desk = Desk(site).account("owner")
    text = desk.text()
    assert text.index("What needs attention") < text.index(">Raters<")
    lined, hasty = desk.raters()
    needs = {row[0]: row[1:] for row in cells(text) if len(row) == 3}
    assert {"gold", "straight-lining"} <= set(needs[lined][0].split(", "))
    assert "1 of 1 gold items missed" in needs[lined][1]
    assert "one score in 100% of 9 votes, 9 times in a row" in needs[lined][1]
    assert "100% of 9 votes within 0.4 s" in needs[hasty][1]


def test_whom_a_rule_cant_judge_is_told_with_what_it_needs(make_site: MakeSite) -> None:
    desk = Desk(make_site(ratings=(SPREAD,))).account("owner")
    (rater,) = desk.raters()
    text = desk.text()
    assert f"<li>straight-lining needs 20 votes: {rater} (9)</li>" in text
    assert (
        f"<li>correlation-with-rest needs 10 votes on stimuli that others rated: {rater} (0)"
        in text
    )
    assert f"<li>repeats needs 4 repeated votes: {rater} (1)</li>" in text
    assert "gold" not in text[text.index("Not judged yet") :][:600]


def test_flag_goes_when_the_operator_decides(make_site: MakeSite) -> None:
    rule = {"kind": "straight-lining", "limit": 5, "reason": "One score."}
    desk = Desk(make_site(ratings=((3,),), acceptance=[rule])).account("owner")
    (rater,) = desk.raters()

    def needs() -> list[str]:
        return [row[0] for row in cells(desk.text()) if len(row) == 3]

    assert rater in needs()
    desk.post(f"/raters/{rater}/decision", decision="accept", reason="I watched this person.")
    assert rater not in needs()


def test_damaged_stimulus_is_told_until_it_is_mended(make_site: MakeSite) -> None:
    desk = Desk(make_site()).account("owner")
    assert "damaged stimulus" not in desk.text()
    visitor = Visitor(desk.site.app)
    url = visitor.to_rating()["pictures"][0]["url"]
    folder = desk.site.app.extensions["sreval"].config.study
    shown = visitor.client.get(url).data
    path = next(p for p in folder.glob("stimuli/*.png") if p.read_bytes() == shown)
    path.write_bytes(shown + b"x")
    assert visitor.client.get(url).status_code == 410
    assert "has changed since it was frozen" in desk.text()
    path.unlink()
    assert "Its file is gone" in desk.text()
    path.write_bytes(shown)
    assert "damaged stimulus" not in desk.text()


def test_idle_raters_unused_links_and_enough_raters_are_told(make_site: MakeSite) -> None:
    site = make_site(ratings=(SPREAD,), raters=1)
    Visitor(site.app).to_rating()
    Links(site.store, "small").create("personal", label="somebody")
    desk = Desk(site)
    clock = Clock()
    site.store.clock = clock
    clock.wait(days=8)
    desk.account("owner")
    flags = {row[1]: row[2] for row in cells(desk.text()) if len(row) == 3}
    assert flags["idle"].startswith("8 days since the last step, 0 of")
    assert "links unused" in flags
    assert flags["enough raters"].startswith("1 of 1")


def means(desk: Desk) -> dict[str, float]:
    """By hand, from every vote that counts."""
    votes = frames.tables(desk.site.store, "small")["votes"]
    kept = votes[(votes["kind"] == "vote") & votes["accepted"]]
    return {str(m): round(sum(s) / len(s), 2) for m, s in kept.groupby("method")["score"]}


def test_means_are_hidden_until_the_study_is_closed(desk: Desk) -> None:
    assert "hidden until the study is closed" in desk.text("/results")
    rater = desk.raters()[0]
    for path in ("", "/results", "/links", "/steer", "/log", f"/raters/{rater}"):
        text = desk.text(path)
        assert not [mean for mean in means(desk).values() if f">{mean:.2f}<" in text], path
    assert log_of(desk, "look") == []
    assert desk.post("/state", to="close", confirm="small").status_code == 303
    rows = {row[0]: row[1] for row in cells(desk.text("/results"))[1:]}
    assert rows == {method: f"{mean:.2f}" for method, mean in means(desk).items()}
    assert log_of(desk, "look") == []


def test_a_look_before_the_end_is_recorded_for_the_report(make_site: MakeSite) -> None:
    site = make_site(ratings=(SPREAD,), analysis={"look_before_close": True})
    Desk(site).account("viewer", "vera").text("/results")
    desk = Desk(site).account("owner")
    assert "this is an interim look" in desk.text("/results")
    manifest = load_manifest(site.app.extensions["sreval"].config.study)
    looks = frames.study_data(site.store, "small", manifest).looks
    assert [(look.who, look.votes) for look in looks] == [("vera", 13), ("owner", 13)]
    desk.post("/state", to="close", confirm="small")
    desk.text("/results")
    assert len(log_of(desk, "look")) == 2


def test_pause_turns_raters_away_and_resume_lets_them_in(desk: Desk) -> None:
    rater = Visitor(desk.site.app)
    position = rater.to_rating()["position"]
    desk.post("/state", to="pause")
    assert rater.vote(position).status_code == 503
    assert "Raters are asked to come back later" in desk.text()
    desk.post("/state", to="resume")
    assert rater.vote(position).status_code == 200
    assert log_of(desk, "paused") == log_of(desk, "open") == [""]


def test_closing_asks_for_the_studys_name_and_is_for_good(desk: Desk) -> None:
    for confirm in ("", "smal", "<b>small</b>"):
        refused = desk.post("/state", to="close", confirm=confirm)
        assert refused.status_code == 422
        assert "nothing was changed" in refused.text
        assert "<b>small</b>" not in refused.text
    assert "State <b>open</b>" in desk.text()
    assert desk.post("/state", to="close", confirm=" small ").status_code == 303
    assert desk.post("/state", to="resume").status_code == 409
    assert desk.post("/links", kind="personal").status_code == 409
    assert desk.post("/state", to="elsewhere").status_code == 422
    assert "State <b>closed</b>" in desk.text()


def made(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_links_come_once_as_csv_and_let_raters_in(desk: Desk) -> None:
    answer = desk.post("/links", kind="personal", count="3", label="group B", expires="2999-01-31")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "private, no-store"
    rows = made(answer)
    assert [row["label"] for row in rows] == ["group B 1", "group B 2", "group B 3"]
    tokens = [row["link"].rpartition("/r/")[2] for row in rows]
    assert len(set(tokens)) == 3
    listed = desk.text("/links")
    assert "group B 2" in listed
    assert "2999-01-31" in listed
    assert not any(token in listed + desk.text("/log") for token in tokens)
    rater = Visitor(desk.site.app, token=tokens[0])
    assert rater.stage(rater.open()) == "consent"


def test_open_and_kiosk_links_keep_their_quota(desk: Desk) -> None:
    (row,) = made(desk.post("/links", kind="open", quota="1"))
    token = row["link"].rpartition("/r/")[2]
    first, second = Visitor(desk.site.app), Visitor(desk.site.app)
    first.token = token
    first.open()
    first.send("consent")
    assert second.open(token).status_code == 410
    (row,) = made(desk.post("/links", kind="kiosk", quota="30"))
    assert row["kind"] == "kiosk"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": ""}, "Choose a kind"),
        ({"count": "0"}, "from 1 to 500"),
        ({"count": "501"}, "from 1 to 500"),
        ({"count": "²"}, "from 1 to 500"),
        ({"count": "-1"}, "from 1 to 500"),
        ({"count": "1e3"}, "from 1 to 500"),
        ({"count": "9" * 5000}, "from 1 to 500"),
        ({"quota": "3"}, "has no quota"),
        ({"kind": "open", "count": "2"}, "one at a time"),
        ({"kind": "open", "quota": "x"}, "The quota is a number"),
        ({"expires": "31.1.2999"}, "a date like"),
        ({"expires": "2020-01-01"}, "is over"),
        ({"kind": "open"}, "a quota, or no limit"),
        ({"kind": "kiosk", "quota": "3", "unlimited": "yes"}, "a quota, or no limit"),
        ({"name": "x", "error": "x", "typed": "x", "key": "x", "count": "0"}, "from 1 to 500"),
        ({"label": "x" * 2001}, "at most 2000"),
    ],
)
def test_faulty_invitation_is_told_and_what_was_typed_stays(
    desk: Desk, fields: dict[str, str], told: str
) -> None:
    before = len(Links(desk.site.store, "small").listing())
    given = {"kind": "personal", "label": "my <note>", **fields}
    answer = desk.post("/links", **given)
    assert answer.status_code == 422
    assert told in html.unescape(answer.text)
    assert html.escape(given["label"]) in answer.text
    assert len(Links(desk.site.store, "small").listing()) == before


def test_links_of_another_study_are_refused(desk: Desk) -> None:
    """They would lead to this site, which doesn't know them."""
    store = desk.site.store
    other = desk.site.app.extensions["sreval"].design.model_copy(update={"name": "other"})
    Studies(store).register(other, desk.site.app.extensions["sreval"].manifest)
    data = {"csrf_token": desk.csrf(), "kind": "personal"}
    answer = desk.client.post("/operator/studies/other/links", data=data)
    assert answer.status_code == 409
    assert "sreval study invite other" in html.unescape(answer.text)
    assert Links(store, "other").listing() == []


def starts_no_formula(cell: str) -> bool:
    """By whatever separator a program takes the file apart."""
    return not any(
        part.lstrip(' "').startswith(tuple("=+-@＝")) for part in re.split("[;\t]", cell)
    )


@pytest.mark.parametrize("label", FORMULAS)
def test_no_spreadsheet_runs_a_note(desk: Desk, label: str) -> None:
    (row,) = made(desk.post("/links", kind="personal", label=label))
    assert starts_no_formula(row["label"])
    assert unguarded(row["label"]) == label


def test_revoked_link_opens_nothing(desk: Desk) -> None:
    (row,) = made(desk.post("/links", kind="personal"))
    assert desk.post(f"/links/{row['id']}/revoke").status_code == 303
    assert Visitor(desk.site.app).open(row["link"].rpartition("/r/")[2]).status_code == 410
    assert desk.post("/links/999/revoke").status_code == 404


def test_lost_link_is_replaced(desk: Desk) -> None:
    rater = Visitor(desk.site.app)
    at = rater.to_rating()["position"]
    (row,) = made(desk.post(f"/raters/{desk.raters()[-1]}/link"))
    assert Visitor(desk.site.app).open(rater.token).status_code == 410
    again = Visitor(desk.site.app)
    assert again.stage(again.open(row["link"].rpartition("/r/")[2])) == "rating"
    assert again.item()["position"] == at


@pytest.mark.parametrize("reason", NAUGHTY.values(), ids=NAUGHTY)
def test_reason_is_kept_as_it_is_and_shown_as_text(desk: Desk, reason: str) -> None:
    rater = desk.raters()[0]
    kept = reason.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    assert (
        desk.post(f"/raters/{rater}/decision", decision="refuse", reason=reason).status_code == 303
    )
    votes = frames.tables(desk.site.store, "small")["votes"]
    own = votes[votes["rater"] == rater]
    assert set(own["reason"]) == {kept}
    assert not own["accepted"].any()
    page = desk.text(f"/raters/{rater}")
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert area
    assert html.unescape(area.group(1)) == kept
    for text in (page, desk.text("/log"), desk.text()):
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_decision_needs_a_reason_and_deletes_nothing(desk: Desk) -> None:
    rater, before = desk.raters()[0], len(frames.tables(desk.site.store, "small")["votes"])
    for fields in (
        {"decision": "refuse", "reason": " \n"},
        {"decision": "refuse", "reason": "x" * 2001},
        {"decision": "perhaps", "reason": "mine"},
    ):
        answer = desk.post(f"/raters/{rater}/decision", **fields)
        assert answer.status_code == 422
        assert fields["reason"] in answer.text
    assert Overview.of(desk.site.store, "small").raters[0].decided is None
    for decision in ("refuse", "accept", "rules"):
        desk.post(f"/raters/{rater}/decision", decision=decision, reason="Because.")
        assert len(frames.tables(desk.site.store, "small")["votes"]) == before
    assert Overview.of(desk.site.store, "small").raters[0].decided is None
    assert len(log_of(desk, "decide")) == 3


def test_withdrawn_raters_place_is_free_and_votes_stay(desk: Desk) -> None:
    rater = Visitor(desk.site.app)
    rater.vote(rater.to_rating()["position"])
    name, before = desk.raters()[-1], len(frames.tables(desk.site.store, "small")["votes"])
    assert desk.post(f"/raters/{name}/withdraw").status_code == 303
    assert rater.stage(rater.page()) == "none"
    row = Overview.of(desk.site.store, "small").raters[-1]
    assert (row.outcome, row.holds_slot) == ("withdrew", False)
    assert len(frames.tables(desk.site.store, "small")["votes"]) == before
    complete = desk.raters()[0]
    desk.post(f"/raters/{complete}/withdraw")
    assert Overview.of(desk.site.store, "small").raters[0].outcome == "complete"


def test_deleting_a_rater_asks_for_the_name_and_leaves_a_count(desk: Desk) -> None:
    gone, stays = desk.raters()
    refused = desk.post(f"/raters/{gone}/delete", confirm="big")
    assert refused.status_code == 422
    assert desk.raters() == [gone, stays]
    assert desk.post(f"/raters/{gone}/delete", confirm="small").status_code == 303
    assert desk.raters() == [stays]
    assert all(
        gone not in table.to_csv() for table in frames.tables(desk.site.store, "small").values()
    )
    assert Overview.of(desk.site.store, "small").deleted == 1
    assert desk.get(f"/raters/{gone}").status_code == 404
    assert gone not in desk.text("/log")


def test_purge_is_offered_when_the_retention_date_has_come(make_site: MakeSite) -> None:
    site = make_site(ratings=(SPREAD,), retention="2500-06-01")
    clock = Clock()
    site.store.clock = clock
    desk = Desk(site).account("owner")
    assert "Delete all raters" not in desk.text("/steer")
    assert desk.post("/purge", confirm="small").status_code == 409
    assert "retention date" not in desk.text()
    clock.now = dt.datetime(2500, 6, 1, tzinfo=dt.UTC)
    desk.log_in("owner")
    assert "retention date" in desk.text()
    assert "Delete all raters" in desk.text("/steer")
    assert desk.post("/purge", confirm="").status_code == 422
    assert len(desk.raters()) == 1
    assert desk.post("/purge", confirm="small").status_code == 303
    assert desk.raters() == []
    assert Overview.of(site.store, "small").deleted == 1
    assert "none are left" in desk.text("/steer")


def test_export_is_the_stores_own_with_a_dictionary(desk: Desk, tmp_path: Path) -> None:
    answer = desk.post("/export")
    assert answer.mimetype == "application/zip"
    path = tmp_path / "export.zip"
    path.write_bytes(answer.data)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    explained = files.pop("data-dictionary.md").decode()
    assert all(f"## {name}" in explained for name in files if name.endswith(".csv"))
    assert files == snapshot.export_files(
        desk.site.store, "small", desk.site.app.extensions["sreval"].manifest
    )
    other = open_store(str(tmp_path / "other.sqlite"), create=True)
    assert snapshot.import_(other, path, "small").sessions == 2
    assert frames.tables(other, "small")["votes"].equals(
        frames.tables(desk.site.store, "small")["votes"]
    )
    other.dispose()


def test_export_before_the_end_counts_as_a_look(desk: Desk) -> None:
    desk.post("/export").get_data()
    assert log_of(desk, "export") == log_of(desk, "look") == ["votes: 26"]
    desk.post("/state", to="close", confirm="small")
    desk.post("/export").get_data()
    assert len(log_of(desk, "export")) == 2
    assert len(log_of(desk, "look")) == 1


@pytest.mark.parametrize("reason", FORMULAS)
def test_no_spreadsheet_runs_a_reason(desk: Desk, reason: str) -> None:
    desk.post(f"/raters/{desk.raters()[0]}/decision", decision="refuse", reason=reason)
    with zipfile.ZipFile(io.BytesIO(desk.post("/export").data)) as archive:
        text = archive.read("votes.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    (cell,) = {row["reason"] for row in rows} - {""}
    assert starts_no_formula(cell)
    assert unguarded(cell) == reason


def test_log_tells_who_did_what_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sreval.site.operator_pages._LOG_PAGE", 3)
    for to in ("pause", "resume", "pause", "resume"):
        desk.post("/state", to=to)
    seen, path = [], "/log"
    while path:
        text = desk.text(path)
        seen += [(row[1], row[2]) for row in cells(text)[1:]]
        older = re.search(r'href="/operator/studies/small(/log\?before=\d+)"', text)
        path = older.group(1) if older else ""
    assert seen[:4] == [("owner", "open"), ("owner", "paused")] * 2
    assert ("command line", "add-operator") in seen
    assert seen[-1][0] == "command line"


def test_list_names_every_study_and_those_elsewhere_have_a_page(
    make_site: MakeSite, tmp_path: Path
) -> None:
    url = str(tmp_path / "both.sqlite")
    elsewhere = make_site(database=url, name="other")
    _, elsewhere.token = Links(elsewhere.store, "other").create("personal")
    elsewhere.to_rating()
    elsewhere.vote_all()
    desk = Desk(make_site(database=url)).account("owner")
    listed = {row[0]: row for row in cells(desk.client.get("/operator/").text)[1:]}
    assert listed["small"][2] == "open, served here"
    assert listed["other"][2:8] == ["open", "1", "4", "1", "0", "13"]
    other = desk.client.get("/operator/studies/other")
    assert other.status_code == 200
    assert "can't be matched with its stimuli" in other.text
    assert "r-" in other.text


def test_simulated_raters_are_marked_wherever_they_are_shown(make_site: MakeSite) -> None:
    site = make_site(analysis={"look_before_close": True})
    rater = Visitor(site.app)
    rater.invite(simulated=True)
    rater.to_rating()
    rater.vote_all()
    desk = Desk(site).account("owner")
    pages = ["", "/results", f"/raters/{desk.raters()[0]}"]
    for text in [desk.client.get("/operator/").text, *map(desk.text, pages)]:
        assert re.search(r"class=\"mark\">[^<]*[Ss]imulated", text)


def test_study_without_raters_has_its_pages(make_site: MakeSite) -> None:
    analysis = {"look_before_close": True, "unit": "rater"}
    desk = Desk(make_site(analysis=analysis, raters=9)).account("owner")
    for path in ("", "/links", "/steer", "/results", "/log"):
        assert desk.text(path)
    assert "Nothing." in desk.text()


def test_tests_that_can_show_nothing_are_told_while_the_design_can_be_changed(
    make_site: MakeSite,
) -> None:
    """Five raters: no p below 2 x 2^-5, whatever they vote."""
    site = make_site(analysis={"unit": "rater"}, raters=5)
    desk = Desk(site).account("owner")
    assert "no outcome could be significant: the least p on 5 raters is 0.0625" in desk.text()
    site.to_rating()
    assert "no outcome could be significant" not in desk.text()


def test_pages_hold_nothing_that_the_policy_would_refuse(desk: Desk) -> None:
    paths = ["", "/links", "/steer", "/results", "/log", f"/raters/{desk.raters()[0]}"]
    login = Desk(desk.site).client.get("/operator/login").text
    for text in [login, *map(desk.text, paths)]:
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", text)
        assert not re.findall(r"(?:src|href)=\"(?:\w+:)?//", text)


def test_unknown_names_are_told_with_the_nearest(desk: Desk) -> None:
    answer = desk.client.get("/operator/studies/smal")
    assert answer.status_code == 404
    assert "Did you mean &#39;small&#39;" in answer.text
    assert desk.get("/raters/r-nobody").status_code == 404
    assert desk.post("/raters/r-nobody/delete", confirm="small").status_code == 404


def test_failure_nobody_foresaw_is_logged_and_not_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sreval.site.operator_pages._gather", lambda *_: 1 // 0)
    answer = desk.get()
    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_link_is_extended_and_the_log_says_so(desk: Desk) -> None:
    (row,) = made(desk.post("/links", kind="open", quota="1"))
    token = row["link"].rpartition("/r/")[2]
    first = Visitor(desk.site.app)
    first.open(token)
    first.send("consent")
    assert Visitor(desk.site.app).open(token).status_code == 410
    path = f"/links/{row['id']}/extend"
    assert desk.post(path, quota="2", expires="2999-01-31").status_code == 303
    assert Visitor.stage(Visitor(desk.site.app).open(token)) == "consent"
    assert "2999-01-31" in desk.text("/links")
    assert "extend" in desk.text("/log")
    for fields, status in (
        ({"quota": "x"}, 422),
        ({"expires": "2020-01-01"}, 422),
        ({}, 422),
        ({"quota": "0"}, 422),
        ({"quota": "1" * 7}, 422),
    ):
        assert desk.post(path, **fields).status_code == status
    assert desk.post("/links/999/extend", quota="3").status_code == 404


def test_place_of_an_idle_rater_is_released(desk: Desk) -> None:
    clock = Clock()
    desk.site.store.clock = clock
    Visitor(desk.site.app).to_rating()
    rater = desk.raters()[-1]
    assert desk.post(f"/raters/{rater}/release").status_code == 409
    clock.wait(days=1, minutes=1)
    again = Desk(desk.site)
    again.log_in("owner")
    assert "Release the place" in again.text(f"/raters/{rater}")
    assert again.post(f"/raters/{rater}/release").status_code == 303
    assert "expired" in again.text(f"/raters/{rater}")
    assert "release" in again.text("/log")
    assert again.post(f"/raters/{rater}/release").status_code == 409


def test_votes_of_an_export_are_counted_though_a_reason_has_lines(desk: Desk) -> None:
    rater = desk.raters()[0]
    count = sum(row.done for row in Overview.of(desk.site.store, "small").raters)
    desk.post(f"/raters/{rater}/decision", decision="refuse", reason="one\ntwo\nthree")
    desk.post("/export")
    (entry,) = [d for d in AuditLog(desk.site.store).entries("small") if d.action == "export"]
    assert entry.facts["votes"] == count


STALE: dict[str, tuple[str, dict[str, str]]] = {
    "decision": ("/raters/{rater}/decision", {"decision": "refuse", "reason": "My <own> reason."}),
    "withdraw": ("/raters/{rater}/withdraw", {}),
    "release": ("/raters/{rater}/release", {}),
    "delete": ("/raters/{rater}/delete", {"confirm": "small"}),
    "renew": ("/raters/{rater}/link", {}),
    "state": ("/state", {"to": "pause"}),
    "purge": ("/purge", {"confirm": "small"}),
    "extend": ("/links/{link}/extend", {"quota": "77"}),
    "revoke": ("/links/{link}/revoke", {}),
}
"""Every form that changes something which is there already."""


@pytest.mark.parametrize("form", STALE)
def test_form_older_than_the_state_says_who_changed_what_and_keeps_what_was_typed(
    make_site: MakeSite, form: str
) -> None:
    site = make_site(ratings=(SPREAD, ()), retention="2020-01-01")
    desk, other = Desk(site).account("owner", "ada"), Desk(site).account("owner", "bob")
    rater = desk.raters()[1]
    link, _ = Links(site.store, "small").create("open", quota=3)
    path, fields = STALE[form]
    path, shown = path.format(rater=rater, link=link), desk.made_from()
    made = {
        "raters": lambda: other.post(
            f"/raters/{rater}/decision", decision="accept", reason="Another one."
        ),
        "links": lambda: other.post(f"/links/{link}/extend", quota="5"),
    }.get(path.split("/")[1], lambda: other.post("/state", to="pause"))()
    assert made.status_code == 303, made.text
    if form == "state":
        other.post("/state", to="resume")
    before = everything(site)
    refused = desk.post(path, made_from=shown, **fields)
    assert refused.status_code == 409
    assert "Meanwhile bob changed this" in refused.text
    assert re.search(r"Meanwhile bob changed this[^<]* \d{4}-\d\d-\d\d", refused.text)
    for typed in fields.values():
        if typed not in ("small", "pause"):
            assert html.escape(typed) in refused.text
    assert everything(site) == before
    again = re.search(r'name="made_from" value="(\d+)"', refused.text)
    assert again
    sent = desk.post(path, made_from=again.group(1), **fields)
    assert sent.status_code in (200, 303) or form == "release", sent.text


def test_form_is_not_refused_for_what_others_did_to_another_thing(desk: Desk) -> None:
    first, second = desk.raters()
    shown = desk.made_from()
    fields = {"decision": "refuse", "reason": "So."}
    for path, given in (
        (f"/raters/{first}/decision", fields),
        ("/links", {"kind": "personal"}),
        ("/state", {"to": "pause"}),
        (f"/raters/{second}/decision", fields),
    ):
        assert desk.post(path, made_from=shown, **given).status_code in (200, 303), path


def test_of_two_links_that_are_changed_at_once_each_has_its_own_state(desk: Desk) -> None:
    made = [Links(desk.site.store, "small").create("open", quota=3)[0] for _ in range(2)]
    shown = desk.made_from()
    for key in made:
        assert desk.post(f"/links/{key}/extend", made_from=shown, quota="9").status_code == 303
    refused = desk.post(f"/links/{made[0]}/revoke", made_from=shown)
    assert (refused.status_code, "extend" in refused.text) == (409, True)
    desk.post(f"/links/{made[0]}/revoke")
    refused = desk.post(f"/links/{made[0]}/extend", made_from=shown, quota="12345")
    assert (refused.status_code, "12345" in refused.text) == (409, True)


@pytest.mark.parametrize("status", [401, 403, 409, 503])
def test_refused_form_loses_nothing_that_was_typed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    reason = "Three sentences <that> took a while."
    path = f"/operator/studies/small/raters/{desk.raters()[0]}/decision"
    data = {"csrf_token": desk.csrf(), "decision": "refuse", "reason": reason, "confirm": "secret"}
    if status == 401:
        desk.client.post("/operator/logout", data={"csrf_token": data["csrf_token"]})
        data["csrf_token"] = Visitor.csrf_of(desk.client.get("/operator/login"))
    elif status == 403:
        data["csrf_token"] = "of another session"
    else:
        error = {409: StateError("It has ended."), 503: BusyError("It is locked.")}[status]

        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr("sreval.store.raters.Raters.decide", fail)
    refused = desk.client.post(path, data=data)
    assert refused.status_code == status
    assert html.escape(reason) in refused.text
    assert "secret" not in refused.text
    foreign = desk.client.post(path, data=data, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert html.escape(reason) not in foreign.text


def test_counts_say_what_they_count_and_agree_on_every_page(make_site: MakeSite) -> None:
    """Five at the end and one under way in a study of four places; two refused, one of them used
    again when the place was given on: of the four places one, two and three are filled then."""
    site = make_site(ratings=(SPREAD, SPREAD, SPREAD))
    desk = Desk(site).account("owner")
    first, second, _ = desk.raters()
    for rater in (first, second):
        desk.post(f"/raters/{rater}/decision", decision="refuse", reason="So.")
    assert "place 1, which is free for another rater" in desk.text(f"/raters/{first}")
    site.rate(SPREAD)
    site.rate(SPREAD)
    Visitor(site.app).to_rating()
    desk.post(f"/raters/{first}/decision", decision="accept", reason="After all.")
    assert "place 1, which another rater has now" in desk.text(f"/raters/{first}")
    seen = Overview.of(site.store, "small")
    assert (seen.filled, seen.target, seen.finished, seen.not_used) == (3, 4, 5, 1)
    assert seen.progress == "3 of 4 places filled; 5 raters came to the end, 1 of them not used"
    told = "3 of 4 places filled 1 under way 5 came to the end, 1 of them not used"
    for path in ("", "/steer"):
        facts = re.sub(r"<[^>]+>", "", desk.text(path))
        assert told in " ".join(facts.split()), path
    (row,) = [r for r in cells(desk.client.get("/operator/").text) if r[0] == "small"]
    assert row[3:7] == ["3", "4", "5", "1"]
    desk.post(f"/raters/{first}/decision", decision="rules", reason="")
    assert Overview.of(site.store, "small").not_used == 1, "the rules use the votes"
    frame = frames.tables(site.store, "small")["votes"]
    used = frame.groupby("rater")["accepted"].all()
    by_row = {r.rater: r.used for r in Overview.of(site.store, "small").raters if r.finished}
    assert by_row == {rater: bool(used[rater]) for rater in by_row}


def test_rater_whom_the_rules_refuse_takes_no_place_by_being_left_to_them(
    make_site: MakeSite,
) -> None:
    rule = {"kind": "straight-lining", "limit": 5, "reason": "One score."}
    desk = Desk(make_site(ratings=((3,),), acceptance=[rule])).account("owner")
    (rater,) = desk.raters()
    for decision, holds in (("accept", True), ("rules", False)):
        desk.post(f"/raters/{rater}/decision", decision=decision, reason="So.")
        assert Overview.of(desk.site.store, "small").raters[0].holds_slot is holds


@pytest.mark.parametrize("name", ["x" * 300, "quick", "..", "%2e%2e", "ledig2017", "a%00b", "~"])
def test_name_in_an_address_is_a_study_of_the_database_or_nothing(desk: Desk, name: str) -> None:
    for path in ("", "/links", "/results", "/log", "/steer"):
        assert desk.client.get(f"/operator/studies/{name}{path}").status_code in (400, 404)
    data = {"csrf_token": desk.csrf(), "kind": "personal", "to": "pause", "confirm": name}
    for path in ("/export", "/links", "/state", "/purge", "/links/1/revoke"):
        answer = desk.client.post(f"/operator/studies/{name}{path}", data=data)
        assert answer.status_code in (400, 404), path
        assert str(desk.site.app.extensions["sreval"].config.study.parent) not in answer.text


def test_number_that_no_database_holds_is_no_link(desk: Desk) -> None:
    for key in (2**31, 2**63, 10**30):
        for path in ("revoke", "extend"):
            assert desk.post(f"/links/{key}/{path}", quota="3").status_code == 404


def test_links_are_made_all_or_none_with_one_line_in_the_log(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    before = invitations.make

    def failing(*given: Any, **more: Any) -> Any:
        begun.append("")
        if len(begun) == 5:
            raise StoreError("The disk is full.")
        return before(*given, **more)

    monkeypatch.setattr(invitations, "make", failing)
    count, told = len(Links(desk.site.store, "small").listing()), len(log_of(desk, "invite"))
    assert desk.post("/links", kind="personal", count="9").status_code == 503
    assert len(Links(desk.site.store, "small").listing()) == count
    monkeypatch.setattr(invitations, "make", before)
    rows = made(desk.post("/links", kind="personal", count="9", expires="2999-01-31"))
    assert {(row["raters"], row["last day"]) for row in rows} == {("1", "2999-01-31")}
    assert len(log_of(desk, "invite")) == told + 1
    (row,) = made(desk.post("/links", kind="open", unlimited="yes"))
    assert row["raters"] == "no limit"
    listed = {r[0]: r for r in cells(desk.text("/links"))}
    assert listed[row["id"]][6] == "no limit"


def test_last_day_ends_where_the_day_ends_on_the_page_and_by_command(
    desk: Desk, sreval: Callable[..., Ran]
) -> None:
    folder = desk.site.app.extensions["sreval"].config.study
    (row,) = made(desk.post("/links", kind="personal", expires="2999-01-31"))
    assert sreval("study", "invite", folder, "--expires", "2999-01-31").code == 0
    assert sreval("study", "extend", folder, row["id"], "--expires", "2999-01-31").code == 0
    links = [link for link in Links(desk.site.store, "small").listing() if link.expires_at]
    assert {link.expires_at for link in links} == {
        dt.datetime(2999, 1, 31, 23, 59, 59, 999999, dt.UTC)
    }
    assert len(links) == 2


def test_command_that_deletes_looks_first_and_names_nobody_else(
    desk: Desk, sreval: Callable[..., Ran]
) -> None:
    folder = desk.site.app.extensions["sreval"].config.study
    rater = desk.raters()[0]
    near = rater[:-1] + ("2" if rater[-1] != "2" else "3")
    for yes in ((), ("--yes",)):
        ran = sreval("study", "delete-rater", folder, near, *yes)
        assert ran.code == 2
        assert rater not in ran.err
        assert "Type small" not in ran.err
        assert near in ran.err
    assert rater not in desk.get(f"/raters/{near}").text
    assert rater not in desk.post(f"/raters/{near}/delete", confirm="small").text
    assert rater in desk.raters()


def test_operators_see_groups_and_raters_never_do(make_site: MakeSite) -> None:
    groups = [{"name": "zebra", "raters": 3}, {"name": "okapi", "raters": 1, "methods": ["hr"]}]
    own = Desk(make_site(groups=groups, repeats=[])).account("owner")
    (link,) = made(own.post("/links", kind="personal", group="okapi"))
    assert link["group"] == "okapi"
    refused = own.post("/links", kind="personal", group="<b>")
    assert refused.status_code == 422
    assert "has no group" in refused.text
    rater = Visitor(own.site.app)
    rater.open(link["link"].rpartition("/")[2])
    rater.send("consent")
    assert "okapi" not in rater.page().text
    text = own.text()
    assert "group zebra: <b>0</b> of 3 places taken" in text
    assert "group okapi: <b>1</b> of 1 places taken" in text
    (name,) = own.raters()
    assert "group okapi" in own.text(f"/raters/{name}")
    assert ">okapi<" in own.text("/links")
