"""The rating page's JSON: what a vote may be, and what is told of items and images."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from sreval.store import frames
from sreval.store.database import open_store
from sreval.store.frames import study_data
from sreval.store.models import PlanItem, Vote
from sreval.store.overview import Overview
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign
from sreval.study.manifest import STIMULI
from tests.site.conftest import DCR, PAIR, PNG_BYTES, MakeSite, Visitor, design, pictures
from tests.site.operator_desk import Clock

CURRENT = {
    "stage",
    "position",
    "intended",
    "heading",
    "feedback",
    "pictures",
    "next",
    "done",
    "of",
    "minutes_left",
    "least_ms",
    "grey_ms",
}


def stored(visitor: Visitor) -> list[tuple[int, float]]:
    with visitor.store.read() as tx:
        return [(v.position, v.score) for v in tx.scalars(select(Vote).order_by(Vote.position))]


def test_item_tells_what_the_contract_names_and_no_more(visitor: Visitor) -> None:
    visitor.to_rating()
    for _ in range(7):
        current = visitor.item()
        assert set(current) == CURRENT | {"session"}
        for image in pictures(current):
            assert set(image) == {"place", "url", "width", "height"}
        visitor.vote(current["position"])
    told = visitor.item()
    place = visitor.here.rpartition("/")[2]
    stands = {"stage": "break", "position": None, "done": 7, "of": 13, "minutes_left": 1}
    assert told == stands | {"session": place}


def test_vote_gives_a_receipt_and_the_next_item(visitor: Visitor) -> None:
    visitor.to_rating()
    answer = visitor.vote(1, 4).get_json()
    assert answer["saved"] == 1
    assert answer["session"] == visitor.here.rpartition("/")[2]
    assert answer["current"] | {"session": answer["session"]} == visitor.item()
    assert answer["current"]["position"] == 2
    assert stored(visitor) == [(1, 4)]


def test_same_vote_again_is_acknowledged_and_not_stored_twice(visitor: Visitor) -> None:
    visitor.to_rating()
    first, again = visitor.vote(1, 4), visitor.vote(1, 4)
    assert first.get_json() == again.get_json()
    assert visitor.vote(1, 2, key="another-key-for-1").status_code == 200
    assert stored(visitor) == [(1, 4)]


def test_many_clicks_at_once_are_one_vote(visitor: Visitor) -> None:
    visitor.to_rating()
    second = Visitor(visitor.app, csrf="")
    second.open(visitor.token)
    gate = threading.Barrier(2)

    def click(number: int) -> int:
        gate.wait()
        one = (visitor, second)[number]
        return one.vote(1, 1 + number, key=f"click-number-{number}").status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(click, range(2))) == [200, 200]
    assert len(stored(visitor)) == 1


def test_an_image_that_was_never_loaded_is_not_rated(visitor: Visitor) -> None:
    """The browser is told what is current, as it is of a vote on another position."""
    visitor.to_rating()
    refused = visitor.post_vote(1, response_ms=5000)
    assert (refused.status_code, refused.get_json()["kind"]) == (409, "unseen")
    place = visitor.here.rpartition("/")[2]
    assert refused.get_json()["current"] | {"session": place} == visitor.item()
    assert stored(visitor) == []
    assert visitor.look().status_code == 200
    assert visitor.post_vote(1).status_code == 200
    assert visitor.post_vote(2).status_code == 409
    assert stored(visitor) == [(1, 3)]


def test_an_image_that_cant_be_read_was_not_sent(visitor: Visitor) -> None:
    current = visitor.to_rating()
    data = visitor.client.get(current["next"][0]["pictures"][0]["url"]).data
    path = visitor.app.extensions["sreval"].stimuli._paths[hashlib.sha256(data).hexdigest()]
    assert visitor.vote(1).status_code == 200
    with visitor.store.begin() as tx:
        tx.execute(update(PlanItem).values(sent_at=None))
    path.write_bytes(b"")
    assert visitor.client.get(current["next"][0]["pictures"][0]["url"]).status_code == 410
    path.write_bytes(data)
    assert visitor.post_vote(2).get_json()["kind"] == "unseen"


TOO_FAST = {"kind": "too-fast", "limit": 0.5, "paid": False, "reason": "Too fast."}


def rate_in_bursts(visitor: Visitor, seconds: float) -> None:
    """Load what may be loaded, wait, vote on it at once; and so on to the end.

    5 s are claimed for each look; ``seconds`` pass for it on the site's clock.
    """
    clock = Clock()
    visitor.store.clock = clock
    current = visitor.item()
    while current["stage"] in ("rating", "break"):
        if current["stage"] == "break":
            visitor.send("break")
        else:
            shown = pictures(current)
            for image in shown:
                visitor.client.get(image["url"])
            clock.wait(seconds=seconds * len(shown))
            for number in range(len(shown)):
                place = current["position"] + number
                answer = visitor.post_vote(place, 1 + place % 5, response_ms=5000)
                assert answer.status_code == 200
        current = visitor.item()


@pytest.mark.parametrize(("seconds", "outcome"), [(5, "complete"), (0.01, "failed_check")])
def test_only_who_looked_is_paid_whatever_is_claimed(
    make_site: MakeSite, seconds: float, outcome: str
) -> None:
    """A rater whose network comes back every four votes, and a script that goes the same way."""
    visitor = make_site(
        acceptance=[TOO_FAST], outcomes={"complete": "DONE-7", "failed_check": "CHECK-7"}
    )
    visitor.to_rating()
    rate_in_bursts(visitor, seconds)
    visitor.send("closing")
    page = visitor.page().get_data(as_text=True)
    assert ("CHECK-7" in page, "DONE-7" in page) == (outcome != "complete", outcome == "complete")
    manifest = visitor.app.extensions["sreval"].manifest
    data = study_data(visitor.store, "small", manifest)
    assert data.sessions["outcome"].tolist() == [outcome]
    flags = data.monitoring.flags
    said = flags.loc[flags["flag"] == "too-fast", "reason"].tolist()
    assert [reason.partition(", by the site")[1] for reason in said] == (
        [] if outcome == "complete" else [", by the site"]
    )


@pytest.mark.parametrize("score", [0, 6, -1, 10**30, 3.5, 3.0, "3", True, None, [3], {"a": 1}])
def test_score_outside_the_scale_is_refused(visitor: Visitor, score: Any) -> None:
    visitor.to_rating()
    answer = visitor.vote(1, score)
    assert answer.status_code == (422 if type(score) in (int, float) else 400)
    assert "error" in answer.get_json()
    assert stored(visitor) == []


@pytest.mark.parametrize(
    ("scale", "bad", "good"),
    [
        ({"words": ["bad", *[""] * 9, "good"], "first": 0}, [-1, 11, 2.5], [0, 10]),
        ({"line": True}, [-0.1, 100.1], [0, 62.5]),
    ],
)
def test_a_vote_off_the_scale_is_refused_and_the_next_one_counts(
    make_site: MakeSite, scale: dict[str, Any], bad: list[float], good: list[float]
) -> None:
    visitor = make_site(scale=scale)
    visitor.to_rating()
    for position, score in enumerate(good, 1):
        for wrong in bad:
            answer = visitor.vote(position, wrong)
            assert (answer.status_code, answer.get_json()["kind"]) == (422, "scale")
        assert visitor.vote(position, score).status_code == 200
    assert stored(visitor) == list(enumerate(good, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"key": "short"},
        {"key": "x" * 65},
        {"key": "with space"},
        {"response_ms": -1},
        {"response_ms": "soon"},
        {"response_ms": 1e12},
        {"shown_at": "yesterday"},
        {"shown_at": "2026-03-01T09:00:00"},
        {"device": "x" * 501},
        {"position": 0},
        {"position": "1"},
        {"hidden_ms": -1},
        {"hidden_ms": 1.5},
        {"unfocused_ms": 86_400_001},
        {"rater": "somebody"},
    ],
)
def test_ballot_that_makes_no_sense_is_refused(visitor: Visitor, changes: dict[str, Any]) -> None:
    visitor.to_rating()
    assert visitor.vote(**{"position": 1, **changes}).status_code == 400
    assert stored(visitor) == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"\xff"', b"[" * 5000])
def test_what_is_no_json_is_refused(visitor: Visitor, body: bytes) -> None:
    visitor.to_rating()
    answer = visitor.client.post(
        visitor.at("api/vote"),
        data=body,
        content_type="application/json",
        headers={"X-CSRFToken": visitor.csrf},
    )
    assert answer.status_code == 400


def test_form_is_no_vote(visitor: Visitor) -> None:
    visitor.to_rating()
    data = {"position": 1, "score": 3, "csrf_token": visitor.csrf}
    assert visitor.client.post(visitor.at("api/vote"), data=data).status_code == 400


def test_vote_for_another_position_is_refused_and_told_the_present_one(visitor: Visitor) -> None:
    visitor.to_rating()
    for position in (2, 13, 14, 1000):
        answer = visitor.vote(position)
        assert answer.status_code == 409
        assert answer.get_json()["current"]["position"] == 1
    assert stored(visitor) == []


def test_vote_too_early_or_in_a_break_is_refused(make_site: MakeSite) -> None:
    visitor = make_site(sittings={"break_every": 2, "break_seconds": 600})
    visitor.to_rating()
    early = visitor.vote(1, response_ms=100)
    assert early.status_code == 409
    assert early.get_json()["current"]["position"] == 1
    visitor.vote(1), visitor.vote(2)
    rest = visitor.vote(3)
    assert rest.status_code == 409
    assert rest.get_json()["current"]["stage"] == "break"
    assert visitor.send("break").status_code == 303  # which leads to the break again
    assert visitor.stage(visitor.page()) == "break"
    assert len(stored(visitor)) == 2


def test_nobody_votes_for_another_session(visitor: Visitor) -> None:
    visitor.to_rating()
    stranger = Visitor(visitor.app)
    stranger.invite()
    stranger.open()
    assert stranger.vote(1).status_code == 401  # no session yet
    stranger.here = visitor.here
    for refused in (stranger.vote(1), stranger.client.get(visitor.item()["pictures"][0]["url"])):
        assert refused.status_code == 409
        assert refused.get_json()["kind"] == "other-session"
    assert Visitor(visitor.app).client.get(visitor.at("api/item")).status_code == 401
    assert stored(visitor) == []


def test_head_of_an_image_is_no_sending(visitor: Visitor) -> None:
    current = visitor.to_rating()
    assert visitor.client.head(current["pictures"][0]["url"]).status_code == 200
    assert visitor.post_vote(1).get_json()["kind"] == "unseen"


def test_vote_on_another_image_than_the_positions_is_refused(visitor: Visitor) -> None:
    visitor.to_rating()
    visitor.look()
    refused = visitor.post_vote(1, image=visitor.images[2])
    assert (refused.status_code, refused.get_json()["kind"]) == (409, "position")
    assert stored(visitor) == []
    assert visitor.post_vote(1).status_code == 200


def test_device_is_rechecked_at_any_item(visitor: Visitor) -> None:
    visitor.to_rating()
    facts = {"ratio": 1, "window": [30, 20], "screen": [800, 600], "touch": False}
    headers = {"X-CSRFToken": visitor.csrf}
    report = {"facts": facts, "fits": True}
    answer = visitor.client.post(visitor.at("api/device"), json=report, headers=headers)
    assert answer.get_json()["fits"] is False
    bad = visitor.client.post(
        visitor.at("api/device"), json={"facts": {}, "fits": 1}, headers=headers
    )
    assert bad.status_code == 400


def test_images_open_only_for_the_present_and_the_next_positions(visitor: Visitor) -> None:
    current = visitor.to_rating()
    urls = [image["url"] for image in pictures(current)]
    assert len(set(urls)) == 4
    assert [visitor.client.get(url).status_code for url in urls] == [200] * 4
    visitor.vote(1)
    assert visitor.client.get(urls[0]).status_code == 404
    new = visitor.item()["next"][-1]["pictures"][0]["url"]
    assert new not in urls
    assert visitor.client.get(new).status_code == 200
    other = Visitor(visitor.app)
    other.to_rating()
    address = new.rpartition("/")[2]
    assert other.client.get(other.at(f"i/{address}")).status_code == 404
    assert other.client.get(new).status_code == 409


def test_image_is_the_frozen_file_under_headers_that_tell_nothing(visitor: Visitor) -> None:
    current = visitor.to_rating()
    answers = [visitor.client.get(current["pictures"][0]["url"]) for _ in range(2)]
    answers += [visitor.client.get(image["url"]) for image in pictures(current)[1:]]
    names = [sorted(a.headers.keys()) for a in answers]
    assert all(n == names[0] for n in names)
    assert not {"ETag", "Last-Modified", "Content-Disposition", "Expires"} & set(names[0])
    for answer in answers:
        varying = {k: v for k, v in answer.headers.items() if k != "X-Request-ID"}
        same = {k: v for k, v in answers[0].headers.items() if k != "X-Request-ID"}
        assert varying == same
        assert answer.content_type == "image/png"
        assert len(answer.data) == PNG_BYTES
        sha256 = hashlib.sha256(answer.data).hexdigest()
        assert sha256 in visitor.app.extensions["sreval"].stimuli.sizes


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_changed_stimulus_is_not_served_and_the_operator_is_told(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    current = visitor.to_rating()
    url = current["pictures"][0]["url"]
    data = visitor.client.get(url).data
    shelf = visitor.app.extensions["sreval"].stimuli
    path: Path = shelf._paths[hashlib.sha256(data).hexdigest()]
    path.write_bytes(data[:-1] + b"\0") if harm == "changed" else path.unlink()
    answer = visitor.client.get(url)
    assert answer.status_code == visitor.client.get(url).status_code == 410
    assert not answer.data.startswith(b"\x89PNG")
    assert visitor.page().status_code == 410
    assert visitor.client.get(visitor.at("api/item")).status_code == 410
    assert [r.levelno for r in caplog.records if r.getMessage() == "stimulus"] == [logging.ERROR]
    assert Overview.of(visitor.store, "small").changed == {path.stem: 1}
    path.write_bytes(data)
    assert visitor.stage(visitor.page()) == "rating"
    assert visitor.client.get(url).data == data


def test_vote_is_acknowledged_although_the_next_image_is_damaged(visitor: Visitor) -> None:
    current = visitor.to_rating()
    after = current["next"][0]["pictures"][0]["url"]
    data = visitor.client.get(after).data
    shelf = visitor.app.extensions["sreval"].stimuli
    shelf._paths[hashlib.sha256(data).hexdigest()].write_bytes(b"")
    assert visitor.client.get(after).status_code == 410
    answer = visitor.vote(1)
    assert answer.status_code == 200
    assert answer.get_json()["saved"] == 1


def test_a_lack_of_open_files_is_not_taken_for_a_changed_stimulus(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = visitor.to_rating()["pictures"][0]["url"]
    opened = Path.open

    def refused(path: Path, *options: str) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "open", refused)
    answer = visitor.client.get(address)
    assert (answer.status_code, answer.get_json()["kind"]) == (503, "busy")
    monkeypatch.setattr(Path, "open", opened)
    assert visitor.client.get(address).status_code == 200
    assert not visitor.app.extensions["sreval"].stimuli.refused


def test_an_image_that_changes_under_its_old_time_and_size_is_refused(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.hashes.GRANULARITY", -(10**9))
    address = visitor.to_rating()["pictures"][0]["url"]
    data = visitor.client.get(address).data
    (path,) = (visitor.app.extensions["sreval"].config.study / STIMULI).glob(
        f"{hashlib.sha256(data).hexdigest()}.png"
    )
    before = path.stat()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert visitor.client.get(address).status_code == 410
    path.write_bytes(data)
    assert visitor.client.get(address).data == data


def test_locked_database_asks_for_patience_and_loses_nothing(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.store.database.BUSY_SECONDS", 0.1)
    visitor = make_site()
    visitor.to_rating()
    other = open_store(str(visitor.store.url.database))
    with other.begin() as tx:
        tx.execute(text("SELECT 1"))
        refused = visitor.vote(1)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "error" in refused.get_json()
        left = visitor.send("withdraw")
        assert left.status_code == 503
        assert f'href="{visitor.here}"' in left.get_data(as_text=True)
        assert visitor.stage(visitor.page()) == "rating"
    other.dispose()
    assert visitor.vote(1).status_code == 200
    assert stored(visitor) == [(1, 3)]


def test_database_that_fails_is_told_to_the_operator(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    visitor.to_rating()
    with visitor.store.begin() as tx:
        tx.connection().exec_driver_sql("DROP TABLE vote")
    answer = visitor.vote(1)
    assert answer.status_code == 503
    assert "vote" not in answer.get_json()["error"]
    assert "database" in [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]


def test_health_tells_only_that_it_is_well(visitor: Visitor) -> None:
    answer = visitor.client.get("/health")
    assert answer.get_json() == {"status": "ok"}
    assert "Set-Cookie" not in answer.headers
    with visitor.store.begin() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE study RENAME TO gone")
    ill = visitor.client.get("/health")
    assert ill.status_code == 503
    assert set(ill.get_json()) == {"error", "kind"}


def test_on_postgresql_votes_are_stored_alike(make_site: MakeSite, new_database: Any) -> None:
    visitor = make_site(database=new_database("postgresql"))
    visitor.to_rating()
    assert [visitor.vote(p, 2).status_code for p in (1, 1, 3, 2)] == [200, 200, 409, 200]
    with visitor.store.read() as tx:
        assert tx.scalar(select(func.count()).select_from(Vote)) == 2


@pytest.mark.parametrize(
    "shown_at",
    ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-12:00"],
)
def test_absurd_clock_of_a_browser_is_not_believed(visitor: Visitor, shown_at: str) -> None:
    visitor.to_rating()
    assert visitor.vote(1, shown_at=shown_at, response_ms=900).status_code == 200
    with visitor.store.read() as tx:
        vote = tx.scalars(select(Vote)).one()
    assert vote.stored_at - vote.shown_at < dt.timedelta(seconds=5)
    assert vote.stored_at - vote.shown_at >= dt.timedelta(milliseconds=900)


def test_paused_study_is_told_from_a_busy_server(visitor: Visitor) -> None:
    visitor.to_rating()
    Studies(visitor.store).set_state("small", "paused")
    paused = visitor.vote(1)
    assert (paused.status_code, paused.get_json()["kind"]) == (503, "paused")
    assert int(paused.headers["Retry-After"]) > 0


LOOKS = {"switches": 3, "left_ms": 410, "right_ms": 205, "reference_ms": 90}


def test_a_pair_is_answered_once_all_three_pictures_were_sent(make_site: MakeSite) -> None:
    task = PAIR["task"] | {"layout": "toggle"}
    visitor = make_site(**PAIR | {"task": task})
    current = visitor.to_rating()
    places = [picture["place"] for picture in current["pictures"]]
    assert places == ["reference", "left", "right"]
    for picture in current["pictures"]:
        assert visitor.post_vote(1, -1, **LOOKS).status_code == 409
        visitor.client.get(picture["url"])
    for score in (2, -2, 0.5, True, "left", None):
        assert visitor.post_vote(1, score, **LOOKS).status_code in (400, 422), score
    assert visitor.post_vote(1, 0, **LOOKS | {"reference_ms": 0}).status_code == 409
    assert visitor.post_vote(1, 0, **LOOKS).status_code == 200
    assert stored(visitor) == [(1, 0)]
    with visitor.store.read() as tx:
        (vote,) = tx.scalars(select(Vote))
        assert {name: getattr(vote, name) for name in LOOKS} == LOOKS


def test_a_forced_choice_takes_no_third_answer(make_site: MakeSite) -> None:
    visitor = make_site(**PAIR | {"task": PAIR["task"] | {"third": ""}})
    visitor.to_rating()
    assert visitor.vote(1, 0).status_code != 200
    assert visitor.vote(1, 1).status_code == 200


def test_an_original_is_sent_before_its_version_is_scored(make_site: MakeSite) -> None:
    visitor = make_site(**DCR)
    current = visitor.to_rating()
    reference, version = current["pictures"]
    assert (reference["place"], version["place"]) == ("reference", "left")
    visitor.client.get(version["url"])
    assert visitor.post_vote(1, 5).status_code == 409
    visitor.client.get(reference["url"])
    assert visitor.post_vote(1, 5).status_code == 200


def test_what_was_meant_is_told_after_the_vote_alone(make_site: MakeSite) -> None:
    visitor = make_site(calibration={**design()["calibration"], "feedback": True})
    first = visitor.to_rating()
    assert (first["intended"], first["feedback"], first["heading"]) == (None, True, "examples")
    assert "meant" not in json.dumps(first)
    answer = visitor.vote(1, 2).get_json()
    assert answer["given"] == 2
    again = visitor.vote(1, 4, key="another-key-for-1").get_json()
    assert (again["given"], again["meant"]) == (2, answer["meant"])
    second = visitor.vote(2, 3).get_json()
    assert {answer["meant"], second["meant"]} == {1, 5}
    assert second["current"]["feedback"] is False
    assert "meant" not in visitor.vote(3).get_json()


def test_practice_tells_which_picture_was_the_photograph(make_site: MakeSite) -> None:
    changes = PAIR | {"task": {"kind": "pair", "question": "photograph", "third": "not sure"}}
    practice = {"dataset": "Set5", "images": 2, "methods": ["hr", "bicubic"], "feedback": True}
    visitor = make_site(**changes | {"warm_up": practice})
    current = visitor.to_rating()
    with visitor.store.read() as tx:
        items = tx.scalars(select(PlanItem).order_by(PlanItem.position)).all()
    for item in items:
        assert current["feedback"] == (item.kind == "warm-up")
        answer = visitor.vote(item.position, 0).get_json()
        if item.kind == "warm-up":
            side = -1 if item.method == "hr" else 1
            assert (answer["given"], answer["meant"]) == (0, side)
        else:
            assert "meant" not in answer
        if answer["current"]["stage"] != "rating":
            break
        current = answer["current"]
    votes = frames.tables(visitor.store, "small")["votes"]
    assert list(votes["kind"][:2]) == ["warm-up"] * 2
    assert set(votes["correct"][:2]) <= {"left", "right"}


def test_feedback_needs_a_right_answer() -> None:
    practice = {"dataset": "Set5", "images": 1, "methods": ["hr", "bicubic"], "feedback": True}
    for changes in ({}, PAIR):
        with pytest.raises(ValueError, match="no answer is right or wrong"):
            StudyDesign.model_validate(design(**changes | {"warm_up": practice}))
