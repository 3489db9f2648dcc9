"""``sreval study invite | status | export ...`` as an operator types them, on both databases."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from sreval.store import audit, frames
from sreval.store.audit import AuditLog
from sreval.store.database import open_store
from sreval.store.enrolment import enrol
from sreval.store.models import OperatorEvent
from sreval.store.sessions import RaterSession
from sreval.study.manifest import MANIFEST, Manifest, Stimulus, load_manifest
from sreval.study.panel import Arrival

Run = Callable[..., Any]

DESIGN = """
name = "mine"
title = "Mine"
instructions = "Look."
raters = 2
seed = 1
consent = { version = "1", text = "Yes." }

[images]
methods = ["bicubic", "hr"]
datasets = [{ name = "Set5", images = ["a", "b"] }]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A frozen study of four items in ./studies/mine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_HOME", raising=False)
    monkeypatch.delenv("SREVAL_DATABASE", raising=False)
    made = tmp_path / "studies" / "mine"
    made.mkdir(parents=True)
    (made / "study.toml").write_text(DESIGN)
    stimuli = tuple(
        Stimulus("Set5", image, image, method, digest * 64, digest * 64, 32, 32)
        for digest, (image, method) in zip(
            "0123", ((i, m) for i in "ab" for m in ("bicubic", "hr")), strict=True
        )
    )
    (made / MANIFEST).write_text(Manifest(stimuli).as_json())
    return made


@pytest.fixture
def database(
    folder: Path,
    database_kind: str,
    new_database: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Where the study's votes go: the file in its folder, or a server named by environment."""
    if database_kind == "sqlite":
        return f"sqlite:///{folder / 'votes.sqlite'}"
    url = new_database("postgresql", tables=False)
    monkeypatch.setenv("SREVAL_DATABASE", url)
    return url


def token(link: str) -> str:
    return link.strip().rpartition("/r/")[2]


def rate(database: str, folder: Path, link: str, count: int) -> str:
    """Come by a link and vote so often; gives the rater's pseudonym."""
    with open_store(database) as store:
        session = enrol(store, token(link), load_manifest(folder)).session_id
        if RaterSession(store, session).state().stage == "consent":
            RaterSession(store, session).agree("1")
            RaterSession(store, session).device({}, True)
            RaterSession(store, session).start()
        for _ in range(count):
            rated = RaterSession(store, session)
            state = rated.state()
            assert state.position is not None
            for item in state.items:  # none while the study is paused
                rated.sent(item.pictures[0])
            rated.vote(
                state.position,
                1 + state.position % 5,
                key=f"key-{state.position:06}",
                response_ms=900,
                shown_at=store.clock(),
                device="",
            )
        table = frames.tables(store, "mine")["sessions"].set_index("session")
        return str(table.loc[session, "rater"])


def test_a_study_from_invitation_to_export(sreval: Run, folder: Path, database: str) -> None:
    made = sreval("study", "invite", "mine", "--count", "2", "--base-url", "https://r.example/")
    links = made.out.split()
    assert made.code == 0
    assert all(link.startswith("https://r.example/r/") for link in links)
    assert len(set(links)) == 2
    rate(database, folder, links[0], 4)
    rate(database, folder, links[1], 1)
    told = json.loads(sreval("study", "status", "mine", "--json").out)
    assert (told["votes"], told["filled"], told["target"]) == (5, 1, 2)
    assert [row["done"] for row in told["raters"]] == [4, 1]
    assert sum(row["votes"] for row in told["exposures"]) == 5
    text = sreval("study", "status", "mine").out
    assert "mine: open; 1 of 2 places filled; 1 rater came to the end" in text
    assert "1/4" in text
    assert sreval("study", "export", "mine", "--out", "mine.zip").code == 0
    assert sreval("study", "export", "mine", "--out", "folder").code == 0
    with Path("folder/votes.csv").open(newline="") as handle:
        assert len(list(csv.DictReader(handle))) == 5
    again = sreval("study", "export", "mine", "--out", "mine.zip")
    assert again.code == 2
    assert "mine.zip exists already" in again.err


def test_links_go_to_a_private_csv_file(sreval: Run, folder: Path) -> None:
    ran = sreval(
        "study", "invite", "mine", "--count", "3", "--label", '=so "so"', "--csv", "links.csv"
    )
    assert ran.out.strip() == "links.csv"
    path = Path("links.csv")
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["label"] for row in rows] == [f'\'=so "so" {n}' for n in (1, 2, 3)]
    assert len({token(row["link"]) for row in rows}) == 3
    assert sreval("study", "invite", "mine", "--csv", "links.csv").code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--open", "--kiosk"], "exclude each other"),
        (["--open", "--count", "2"], "belongs to personal links"),
        (["--quota", "3"], "belongs to --open or --kiosk"),
        (["--expires", "2001-01-01"], "is over"),
        (["--for", "r-nobody"], "mine has no rater 'r-nobody'"),
        (["--base-url", "x.org"], "--base-url = 'x.org': not of the form https://"),
        (["--count", "0"], "is not in the range"),
    ],
)
def test_links_that_cant_be_meant_are_refused(
    sreval: Run, folder: Path, options: list[str], said: str
) -> None:
    ran = sreval("study", "invite", "mine", *options)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""


def test_open_link_is_shown_with_its_use_and_can_be_revoked(
    sreval: Run, folder: Path, database: str
) -> None:
    link = sreval("study", "invite", "mine", "--open", "--quota", "5").out
    rate(database, folder, link, 0)
    assert "1 of 5 used" in sreval("study", "status", "mine").out
    number = json.loads(sreval("study", "status", "mine", "--json").out)["links"][0]["id"]
    assert sreval("study", "revoke", "mine", str(number)).code == 0
    assert sreval("study", "revoke", "mine", "999").code == 2
    from sreval.store.errors import TokenError

    with pytest.raises(TokenError, match="revoked"):
        rate(database, folder, link, 0)


def test_used_up_link_is_extended(sreval: Run, folder: Path, database: str) -> None:
    link = sreval("study", "invite", "mine", "--open", "--quota", "1").out
    first = rate(database, folder, link, 0)
    number = json.loads(sreval("study", "status", "mine", "--json").out)["links"][0]["id"]
    nothing = sreval("study", "extend", "mine", str(number))
    assert nothing.code == 2
    assert "Give a quota" in nothing.err
    assert sreval("study", "extend", "mine", str(number), "--quota", "2").code == 0
    assert rate(database, folder, link, 0) != first
    assert "2 of 2 used" in sreval("study", "status", "mine").out


def test_lost_link_is_replaced(sreval: Run, folder: Path, database: str) -> None:
    rater = rate(database, folder, sreval("study", "invite", "mine").out, 1)
    link = sreval("study", "invite", "mine", "--for", rater).out
    assert rate(database, folder, link, 1) == rater


def test_pause_resume_and_close(sreval: Run, folder: Path, database: str) -> None:
    link = sreval("study", "invite", "mine").out
    rate(database, folder, link, 1)
    assert sreval("study", "pause", "mine").code == 0
    from sreval.store.errors import VoteError

    with pytest.raises(VoteError, match="paused"):
        rate(database, folder, link, 1)
    assert sreval("study", "resume", "mine").code == 0
    rate(database, folder, link, 1)
    assert sreval("study", "close", "mine", "--yes").code == 0
    ran = sreval("study", "resume", "mine")
    assert ran.code == 1
    assert "stays closed" in ran.err


def test_drop_outs_are_released(sreval: Run, folder: Path, database: str) -> None:
    rater = rate(database, folder, sreval("study", "invite", "mine").out, 1)
    assert "Nobody" in sreval("study", "release", "mine").out
    assert sreval("study", "release", "mine", "--idle-days", "0").out.strip() == rater
    assert "expired" in sreval("study", "status", "mine").out


def test_rater_is_deleted_after_asking(
    sreval: Run, folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rater = rate(database, folder, sreval("study", "invite", "mine").out, 2)
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "other")
    ran = sreval("study", "delete-rater", "mine", rater)
    assert ran.code == 2
    assert "nothing was deleted" in ran.err
    assert json.loads(sreval("study", "status", "mine", "--json").out)["votes"] == 2
    monkeypatch.setattr(click, "prompt", lambda *_, **__: "mine")
    assert sreval("study", "delete-rater", "mine", rater).code == 0
    told = json.loads(sreval("study", "status", "mine", "--json").out)
    assert (told["votes"], told["deleted"], told["raters"]) == (0, 1, [])
    assert sreval("study", "delete-rater", "mine", rater, "--yes").code == 2


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_participants_are_listed_and_deleted_by_their_ids(
    sreval: Run, folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sreval("study", "invite", "mine")
    assert "knows no participants" in sreval("study", "payments", "mine").err
    panel = '\n[panel]\nparameter = "id"\nkeep = ["batch"]\n\n[outcomes]\ncomplete = "{code}"\n'
    (folder / "study.toml").write_text(DESIGN + panel)
    link = sreval("study", "invite", "mine", "--open").out
    with open_store(database) as store:
        arrival = Arrival("=p-1", {"batch": "b"})
        enrol(store, token(link), load_manifest(folder), arrival=arrival)
    (row,) = json.loads(sreval("study", "payments", "mine", "--json").out)
    assert (row["participant"], row["batch"], row["outcome"], row["of"]) == ("=p-1", "b", None, 4)
    with open_store(database) as store:
        long = Arrival("x" * 100 + "y" * 100, {"batch": "z" * 200})
        enrol(store, token(link), load_manifest(folder), arrival=long)
    told = sreval("study", "payments", "mine").out
    assert "=p-1" in told
    assert max(map(len, told.splitlines())) < 200
    told = sreval("study", "payments", "mine", "--json").out
    assert [one["batch"] for one in json.loads(told)] == ["b", "z" * 200]
    sreval("study", "delete-rater", "mine", "--participant", long.participant, "--yes")
    assert sreval("study", "payments", "mine", "--out", "pay.csv").out == "pay.csv\n"
    assert Path("pay.csv").stat().st_mode & 0o777 == 0o600
    assert Path("pay.csv").read_text(encoding="utf-8").splitlines()[1].startswith("'=p-1,b,")
    assert sreval("study", "payments", "mine", "--out", "pay.csv").code == 2
    for wrong in ((), ("r-abcdef", "--participant", "=p-1"), ("--participant", "p-1")):
        assert sreval("study", "delete-rater", "mine", *wrong, "--yes").code == 2
    assert sreval("study", "payments", "mine").err == ""
    sreval("study", "export", "mine", "--out", "e.zip")
    sreval("study", "import", "mine", "e.zip", "--database", "joined.sqlite", "--site", "Leeds")
    joined = sreval("study", "payments", "mine", "--database", "joined.sqlite")
    assert joined.code == 0
    assert "1 rater without an id or a code here" in joined.err
    assert "export, which holds none" in joined.err
    monkeypatch.setattr(click, "prompt", lambda asked, **_: "0 items" in asked and "mine")
    assert sreval("study", "delete-rater", "mine", "--participant", "=p-1").code == 0
    assert json.loads(sreval("study", "payments", "mine", "--json").out) == []


def test_backup_restore_and_import(sreval: Run, folder: Path, database: str) -> None:
    rate(database, folder, sreval("study", "invite", "mine").out, 3)
    assert sreval("study", "backup", "mine", "--out", "kept").code == 0
    assert sreval("study", "export", "mine", "--out", "e.zip").code == 0
    ran = sreval("study", "restore", "mine", "kept")
    assert ran.code == 1
    assert "--overwrite" in ran.err
    assert sreval("study", "restore", "mine", "kept", "--overwrite").code == 0
    fresh = sreval("study", "import", "mine", "e.zip", "--database", "fresh.sqlite")
    assert "mine: 1 session stored" in fresh.out
    sreval("study", "export", "mine", "--out", "again.zip", "--database", "fresh.sqlite")
    assert Path("again.zip").read_bytes() == Path("e.zip").read_bytes()
    elsewhere = sreval("study", "status", "nowhere", "--database", "fresh.sqlite")
    assert elsewhere.code == 2
    assert "Unknown study 'nowhere'" in elsewhere.err


REMINDED = ["id", "label", "why", "since (UTC)", "rater", "rated", "of", "link"]


def test_reminders_are_listed_and_renewed_into_a_file_for_the_owner_alone(
    sreval: Run, folder: Path, database: str
) -> None:
    begun = sreval("study", "invite", "mine", "--label", "=begun").out.strip()
    sreval("study", "invite", "mine", "--label", "asleep")
    rate(database, folder, begun, 1)
    assert "Nobody is to be reminded" in sreval("study", "reminders", "mine").out
    told = json.loads(sreval("study", "reminders", "mine", "--idle-days", "0", "--json").out)
    assert sorted((one["label"], one["why"], one["done"]) for one in told["reminders"]) == [
        ("=begun", "stopped", 1),
        ("asleep", "not opened", None),
    ]
    assert all("address" not in one for one in told["reminders"])
    options = ("study", "reminders", "mine", "--idle-days", "0", "--renew", "--out")
    for place, bad in (
        ("studies", ()),
        ("r.csv", ("--base-url", "javascript:1")),
    ):
        assert sreval(*options, place, *bad).code in (1, 2), place
        assert not Path("r.csv").exists()
    assert sreval("study", "status", "mine").code == 0
    made = sreval(*options, "reminders.csv", "--base-url", "https://rate.example.org")
    assert made.out.strip() == "reminders.csv"
    assert Path("reminders.csv").stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(Path("reminders.csv").read_text("utf-8").splitlines()))
    assert {row["link"][:27] for row in rows} == {"https://rate.example.org/r/"}
    assert list(rows[0]) == REMINDED
    heads = sreval("study", "reminders", "mine", "--idle-days", "0").out.partition("\n")[0]
    assert re.split(" {2,}", heads) == REMINDED[:-1]
    for days in ("nan", "inf", "-1", "3651", "1e300"):
        for command in ("reminders", "release"):
            refused = sreval("study", command, "mine", "--idle-days", days)
            assert (refused.code, refused.out) == (2, ""), days
            assert "Idle days are a number from 0 to 3650" in refused.err
    assert sreval("study", "pause", "mine").code == 0
    paused = sreval("study", "reminders", "mine")
    assert "is paused: nobody could go on" in paused.err
    assert "sreval study resume" in paused.err


def test_two_sites_are_joined(sreval: Run, folder: Path, database: str) -> None:
    rate(database, folder, sreval("study", "invite", "mine").out, 3)
    assert sreval("study", "export", "mine", "--out", "here.zip").code == 0
    there = f"sqlite:///{folder.parent.parent / 'there.sqlite'}"
    invited = sreval("study", "invite", "mine", "--database", there)
    rate(there, folder, invited.out, 2)
    assert sreval("study", "export", "mine", "--database", there, "--out", "there.zip").code == 0
    plain = sreval("study", "import", "mine", "there.zip")
    assert plain.code == 1
    assert "--site NAME" in plain.err
    for _ in range(2):
        joined = sreval("study", "import", "mine", "there.zip", "--site", "Leeds", "--json")
    assert json.loads(joined.out) == {
        "study": "mine", "sessions": 0, "present": 1, "deleted": 0, "updated": 0, "site": "Leeds"
    }  # fmt: skip
    assert json.loads(sreval("study", "status", "mine", "--json").out)["votes"] == 5
    assert sreval("study", "import", "mine", "there.zip", "--site", "\u202e").code == 2


def logged(database: str) -> list[tuple[str, str]]:
    """What the audit log holds but links, oldest first."""
    with open_store(database) as store:
        entries = AuditLog(store).entries("mine")
        assert {entry.who for entry in entries} <= {audit.COMMAND_LINE}
        return [
            (entry.action, json.dumps(entry.facts, sort_keys=True))
            for entry in reversed(entries)
            if entry.action != "invite"
        ]


def test_what_is_done_with_the_data_stands_in_the_audit_log(
    sreval: Run, folder: Path, database: str
) -> None:
    for count in (4, 4, 1):
        rater = rate(database, folder, sreval("study", "invite", "mine").out, count)
    for command in (
        ("export", "mine", "--out", "early.zip"),
        ("backup", "mine", "--out", "kept"),
        ("delete-rater", "mine", rater, "--yes"),
        ("close", "mine", "--yes"),
        ("export", "mine", "--out", "late.zip"),
    ):
        assert sreval("study", *command).code == 0
    assert sreval("study", "export", "mine", "--out", "late.zip").code == 2
    assert logged(database) == [
        ("export", '{"votes": 9}'),
        ("look", '{"votes": 9}'),
        ("backup", '{"file": "kept"}'),
        ("delete-rater", "{}"),
        ("closed", "{}"),
        ("export", '{"votes": 8}'),
    ]
    assert sreval("study", "restore", "mine", "kept", "--overwrite").code == 0
    assert logged(database) == [
        ("export", '{"votes": 9}'),
        ("look", '{"votes": 9}'),
        ("delete-rater", "{}"),  # since the backup; the rater stays deleted, and the log says so
        ("restore", '{"file": "kept"}'),
    ]


def test_upgrade_of_older_tables(
    sreval: Run, folder: Path, database: str, later_version: Callable[[], None]
) -> None:
    rate(database, folder, sreval("study", "invite", "mine").out, 1)
    assert "nothing to do" in sreval("study", "upgrade", "mine").out
    later_version()
    ran = sreval("study", "status", "mine")
    assert ran.code == 1
    assert "sreval study upgrade" in ran.err
    assert "upgraded" in sreval("study", "upgrade", "mine").out
    assert json.loads(sreval("study", "status", "mine", "--json").out)["votes"] == 1


def test_every_action_stands_in_the_audit_log(sreval: Run, folder: Path, database: str) -> None:
    rater = rate(database, folder, sreval("study", "invite", "mine").out, 1)
    sreval("study", "pause", "mine")
    sreval("study", "delete-rater", "mine", rater, "--yes")
    store = open_store(database)
    with store.read() as tx:
        rows = tx.query(OperatorEvent).order_by(OperatorEvent.id).all()
        assert [row.action for row in rows] == ["invite", "paused", "delete-rater"]
        assert {row.who for row in rows} == {"command line"}
        assert rater not in repr([row.facts for row in rows])
    store.dispose()


def test_study_without_votes_says_what_to_do(sreval: Run, folder: Path) -> None:
    ran = sreval("study", "status", "mine")
    assert ran.code == 1
    assert "There is no database" in ran.err
    assert "--database" in ran.err
    assert not (folder / "votes.sqlite").exists()


def test_every_command_has_an_example(sreval: Run) -> None:
    from sreval.cli.study import COMMANDS

    names = [
        n for n, (where, _) in COMMANDS.items() if "study_run" in where or "study_data" in where
    ]
    assert len(names) >= 12
    for name in names:
        assert f"Example: sreval study {name}" in sreval("study", name, "--help").out
