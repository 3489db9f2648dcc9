"""Participants of panels in the database: one session each, paid by a list, gone when deleted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import func, select

from sreval.errors import UsageError
from sreval.store import csvs, participants, raters, schema, snapshot
from sreval.store.audit import AuditLog
from sreval.store.database import Store, open_store
from sreval.store.enrolment import enrol
from sreval.store.errors import TokenError
from sreval.store.invitations import Links
from sreval.store.models import Participant, Rater, Session, Vote
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession
from sreval.study.panel import Arrival
from tests.store.conftest import Race, Study, design
from tests.store.test_snapshot import url_of

PANEL = {"parameter": "PROLIFIC_PID", "keep": ["STUDY_ID"]}
PAID = [
    {"kind": "too-fast", "limit": 0.5, "paid": False, "reason": "Too fast."},
    {"kind": "straight-lining", "limit": 9, "reason": "=1+1"},
]


@pytest.fixture
def panel(store: Store) -> Study:
    """The small study for a panel's participants, each with a code."""
    return Study(store, design(panel=PANEL, outcomes={"complete": "{code}"}, acceptance=PAID))


def come(study: Study, participant: str, token: str | None = None, **kept: str) -> str:
    token = token or study.token("open")
    return enrol(study.store, token, study.manifest, arrival=Arrival(participant, kept)).session_id


def rated(study: Study, session: str, score: int | None = None, **vote: Any) -> None:
    study.rating(session)
    while (state := RaterSession(study.store, session).state()).stage != "closing":
        if state.position is None:
            study.clock.wait(hours=1)
            if state.outcome:
                break
            RaterSession(study.store, session).resume()
        else:
            study.vote(session, state.position, score or study.answer(state.position), **vote)
    if state.outcome != "failed_check":
        RaterSession(study.store, session).answer("after", {})


def count(study: Study, model: Any) -> int:
    with study.store.read() as tx:
        return tx.scalar(select(func.count()).select_from(model)) or 0


def test_a_participant_has_one_session_whatever_link_and_visit(panel: Study) -> None:
    session = come(panel, "p1", STUDY_ID="s1")
    assert come(panel, "p1") == session
    again = enrol(
        panel.store, panel.token("open"), panel.manifest, visit="another", arrival=Arrival("p1")
    )
    assert (again.session_id, again.resume_token) == (session, None)
    assert come(panel, "P1") != session
    assert count(panel, Session) == 2
    other = Study(panel.store, design(name="other", panel=PANEL))
    assert come(other, "p1") not in (session, None)
    assert participants.find_session(panel.store, "small", "p1") == session
    assert participants.find_session(panel.store, "other", "P1") is None


def test_two_browsers_with_one_id_enrol_once(panel: Study, race: Race) -> None:
    token = panel.token("open")
    found = race(lambda _: come(panel, "p1", token), 6)
    assert len(set(found)) == 1, found
    assert (count(panel, Rater), count(panel, Participant)) == (1, 1)
    assert Links(panel.store, "small").listing()[0].used == 1


def test_a_second_go_is_refused_where_the_design_says_so(store: Store) -> None:
    study = Study(store, design(panel=PANEL | {"again": "refuse"}))
    token = study.token("open")
    come(study, "p1", token)
    with pytest.raises(TokenError) as refused:
        come(study, "p1", token)
    assert refused.value.why == "again"
    assert count(study, Rater) == 1


def test_who_leaves_and_keeps_is_known_and_who_deletes_is_not(panel: Study) -> None:
    left, gone, declined = (come(panel, name) for name in ("left", "gone", "declined"))
    for session in (left, gone):
        RaterSession(panel.store, session).agree("1")
    raters.withdraw(panel.store, left)
    raters.withdraw(panel.store, gone, delete=True)
    raters.decline(panel.store, declined)
    assert come(panel, "left") == left
    assert count(panel, Participant) == 1
    assert come(panel, "gone") != gone
    assert come(panel, "declined") != declined


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_list_says_who_is_paid_and_names_no_rater(panel: Study) -> None:
    good, fast, flat, left, going = (come(panel, p, STUDY_ID=f"s-{p}") for p in "dcbae")
    rated(panel, good)
    rated(panel, fast, response_ms=510.0)
    rated(panel, flat, score=3)
    panel.rating(left)
    raters.withdraw(panel.store, left)
    simulated = come(panel, "robot", panel.token("open", simulated=True))
    panel.enrol()  # by a personal link: no id, but a code
    found = participants.payments(panel.store, "small").set_index("participant", drop=False)
    assert list(found.columns)[:3] == ["participant", "STUDY_ID", "code"]
    assert list(found["participant"]) == [None, "a", "b", "c", "d", "e"]
    told = {
        name: (row["outcome"], row["paid"], row["reasons"], row["rated"])
        for name, row in found.iloc[1:].iterrows()
    }
    assert told == {
        "a": ("withdrew", None, "", 0),
        "b": ("complete", True, "=1+1", 12),
        "c": ("failed_check", False, "Too fast.", 12),
        "d": ("complete", True, "", 12),
        "e": (None, None, "", 0),
    }
    assert found["code"].nunique() == 6
    done: Any = found.loc["d"]
    assert done["STUDY_ID"] == "s-d"
    assert done["minutes"] == round((done["ended"] - done["began"]) / dt.timedelta(minutes=1))
    assert all(at.second == at.microsecond == 0 for at in (done["began"], done["ended"]))
    text_of_all = csvs.to_csv(found).decode()
    with panel.store.read() as tx:
        names = [*tx.scalars(select(Rater.pseudonym)), *tx.scalars(select(Session.id))]
    assert not [name for name in names if name in text_of_all]
    assert "'=1+1" in text_of_all
    assert simulated
    assert going
    assert AuditLog(panel.store).entries("small")[0].action == "payments"
    assert participants.placeholder_values(panel.store, good) == {
        "PROLIFIC_PID": "d", "STUDY_ID": "s-d", "code": done["code"],
    }  # fmt: skip


def test_a_study_without_a_panel_keeps_nobody_and_has_no_list(study: Study) -> None:
    study.enrol()
    assert count(study, Participant) == 0
    with pytest.raises(UsageError, match="knows no participants"):
        participants.payments(study.store, "small")


def test_deletion_finds_the_person_and_no_one_of_another_study(panel: Study) -> None:
    session = come(panel, "p1")
    panel.rating(session)
    panel.vote(session, 1)
    other = Study(panel.store, design(name="other", panel=PANEL))
    come(other, "p2")
    for wrong in ("p2", "", "P1", "p1' OR 1=1", "<b>" * 4000):
        with pytest.raises(UsageError, match="has no participant") as refused:
            Raters(panel.store, "small").delete_participant(wrong)
        assert len(str(refused.value)) < 400
    assert participants.rated(panel.store, "small", " p1 ") == 1
    Raters(panel.store, "small").delete_participant(" p1 ")
    assert (count(panel, Participant), count(panel, Vote), count(panel, Rater)) == (1, 0, 1)
    log = str([entry.facts for entry in AuditLog(panel.store).entries("small")])
    assert "p1" not in log


@pytest.fixture
def other(database_kind: str, new_database: Any) -> Iterator[Store]:
    opened = open_store(new_database({"sqlite": "postgresql"}.get(database_kind, "sqlite")))
    yield opened
    opened.dispose()


def test_ids_are_in_backups_and_in_no_export(panel: Study, other: Store, tmp_path: Path) -> None:
    ids = ["=PID-7", "5f00d-beef"]
    token = panel.token("open", label="wave 2")
    for participant in ids:
        panel.rating(come(panel, participant, token, STUDY_ID=f"of-{participant}"))
    before = participants.payments(panel.store, "small").to_dict("records")
    codes = [row["code"] for row in before]
    files = snapshot.export_files(panel.store, "small", panel.manifest)
    everything = b"".join(data for name, data in files.items() if name != "design.json").decode()
    assert not [secret for secret in [*ids, *codes, "PROLIFIC"] if secret in everything]
    sessions = csvs.from_csv(files["sessions.csv"])
    number = next(link.id for link in Links(panel.store, "small").listing() if link.label)
    assert [(row["link_number"], row["link_label"]) for row in sessions] == [
        (str(number), "wave 2")
    ] * 2  # fmt: skip

    path = snapshot.backup(url_of(panel.store), tmp_path / "backup.zip")
    Raters(panel.store, "small").delete_participant(ids[1])
    snapshot.restore(path, url_of(other), "small")
    assert participants.payments(other, "small").to_dict("records") == before
    assert snapshot.export_files(other, "small", panel.manifest) == files
    snapshot.restore(path, url_of(panel.store), "small", overwrite=True)
    left = participants.payments(panel.store, "small")
    assert list(left["participant"]) == [ids[0]]

    exported = snapshot.export(other, "small", panel.manifest, tmp_path / "export.zip")
    with open_store(f"sqlite:///{tmp_path / 'third.sqlite'}", create=True) as third:
        snapshot.import_(third, exported, "small")
        assert snapshot.export_files(third, "small", panel.manifest) == files
        assert participants.payments(third, "small").empty


def test_raters_of_an_older_database_are_told_the_link_they_came_by(study: Study) -> None:
    open_link = study.token("open", label="wave 1")
    direct = study.token(label="ada")
    for token in (open_link, direct):
        study.enrol(token)
    names = [row["rater"] for row in table(study)]
    Links(study.store, "small").renew(names[0])
    Links(study.store, "small").renew(names[0])
    Links(study.store, "small").renew(names[1])
    before = table(study)
    numbers = {link.label: link.id for link in Links(study.store, "small").listing()[:2]}
    assert [(row["link_number"], row["link_label"]) for row in before] == [
        (numbers["wave 1"], "wave 1"), (numbers["ada"], "ada"),
    ]  # fmt: skip
    with study.store.schema_change() as connection:
        command.downgrade(schema._config(connection), "0005")
    study.store.upgrade()
    assert table(study) == before


def table(study: Study) -> list[dict[str, Any]]:
    with study.store.read() as tx:
        columns = (Rater.pseudonym.label("rater"), Rater.link_number, Rater.link_label)
        return [dict(row) for row in tx.execute(select(*columns).order_by(Rater.number)).mappings()]
