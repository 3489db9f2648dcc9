"""Export and import, backup and restore, on both databases and from one to the other."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
import sqlite3
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from sreval.errors import DataError, SrevalError, UsageError
from sreval.files import sha256_bytes
from sreval.opinions.votes import COLUMNS, check_votes
from sreval.store import csvs, frames, raters, snapshot
from sreval.store.database import Store, open_store
from sreval.store.enrolment import enrol
from sreval.store.errors import SchemaError, StateError, TokenError
from sreval.store.invitations import Links, lookup
from sreval.store.models import Base, Invitation, Rater, Session, ViewingCheck
from sreval.store.operators import Operators
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.schema import revisions
from sreval.store.sessions import RaterSession
from sreval.store.snapshot import _read, backup, restore
from sreval.store.studies import Studies
from sreval.study.manifest import Manifest
from sreval.study.panel import Arrival
from tests.store.conftest import Clock, Study, design
from tests.store.test_schema import rows_of


def exported(study: Study, path: Path, store: Store | None = None) -> Path:
    return snapshot.export(store or study.store, study.name, study.manifest, path)


def files_of(study: Study, store: Store | None = None) -> dict[str, bytes]:
    return snapshot.export_files(store or study.store, study.name, study.manifest)


OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}
NewDatabase = Callable[..., str]


def fill(study: Study) -> None:
    complete = study.rating()
    study.vote_all(complete)
    RaterSession(study.store, complete).answer(
        "after", {"remarks": "=cmd|'/c calc'!A1\r\n-2, \"so\""}
    )
    part = study.rating(study.enrol(study.token("open", simulated=True)))
    study.vote_all(part, upto=8)
    pausing = study.rating()
    for position in (1, 2, 3):
        study.vote(pausing, position, device="+1x", hidden_ms=1200)
    study.mark_sent(pausing, None)
    gone = study.rating()
    study.vote(gone, 1)
    raters.withdraw(study.store, gone, delete=True)
    raters.withdraw(study.store, study.enrol())
    study.enrol()
    refused = frames.tables(study.store, study.name)["sessions"]["rater"].iloc[2]
    Raters(study.store, study.name).decide(refused, False, "@home, not in the laboratory")


@pytest.fixture(scope="module")
def filled_once() -> dict[str, tuple[str, dt.datetime]]:
    """By kind, a database that was filled, to be copied, and the time at which that was done."""
    return {}


@pytest.fixture
def filled(
    database_kind: str,
    new_database: NewDatabase,
    filled_once: dict[str, tuple[str, dt.datetime]],
    plain_plans: None,
) -> Iterator[Study]:
    """Somebody at every stage, one of them deleted, and texts that hurt spreadsheets."""
    if database_kind not in filled_once:
        url = new_database(database_kind, kept=True)
        with open_store(url) as store:
            study = Study(store)
            fill(study)
        filled_once[database_kind] = url, study.clock.now
    url, now = filled_once[database_kind]
    with open_store(new_database(database_kind, copy_of=url)) as store:
        yield Study(store, clock=Clock(now))


@pytest.fixture
def other(database_kind: str, new_database: NewDatabase) -> Iterator[Store]:
    """A second, empty database, of the other kind."""
    opened = open_store(new_database(OTHER[database_kind]))
    yield opened
    opened.dispose()


def test_votes_have_exactly_the_columns_of_the_statistics(filled: Study) -> None:
    votes = frames.tables(filled.store, filled.name, filled.manifest)["votes"]
    assert tuple(votes.columns) == COLUMNS
    checked = check_votes(votes)
    pd.testing.assert_frame_equal(checked[list(COLUMNS)], votes, check_dtype=False)
    assert len(votes) == 12 + 8 + 3
    for _, part in votes.groupby("session"):
        assert part["position"].tolist() == list(range(1, len(part) + 1))
    assert set(votes.loc[~votes["accepted"], "reason"]) == {"@home, not in the laboratory"}
    assert set(votes.loc[votes["accepted"], "reason"]) == {""}
    assert votes["simulated"].sum() == 8
    assert (votes["received_at"] > votes["shown_at"]).all()


def test_votes_name_what_was_planned_at_their_position(filled: Study) -> None:
    tables = frames.tables(filled.store, filled.name)
    on = ["session", "position"]
    both = tables["votes"].merge(tables["plan"], on=on, suffixes=("", "_planned"))
    assert len(both) == len(tables["votes"])
    for column in ("image", "scene", "dataset", "method", "stimulus_sha256", "kind"):
        assert (both[column] == both[f"{column}_planned"]).all()


def test_study_without_votes_gives_empty_frames(study: Study) -> None:
    empty = frames.tables(study.store, study.name, study.manifest)["votes"]
    assert tuple(empty.columns) == COLUMNS
    assert frames.tables(study.store, study.name)["votes"].empty
    study.enrol()
    assert len(frames.tables(study.store, study.name)["sessions"]) == 1


@pytest.mark.parametrize("form", ["export.zip", "export"])
def test_export_import_export_gives_the_same_bytes(
    filled: Study, other: Store, tmp_path: Path, form: str
) -> None:
    before = exported(filled, tmp_path / form)
    snapshot.import_(other, before, "small")
    after = exported(filled, tmp_path / f"again-{form}", other)
    if form == "export":
        names = sorted(path.name for path in before.iterdir())
        assert names == sorted(path.name for path in after.iterdir())
        assert all((before / n).read_bytes() == (after / n).read_bytes() for n in names)
    else:
        assert before.read_bytes() == after.read_bytes()


def test_imported_study_goes_on_where_it_stood(filled: Study, other: Store, tmp_path: Path) -> None:
    snapshot.import_(other, exported(filled, tmp_path / "e.zip"), "small")
    rater = frames.tables(other, filled.name)["sessions"]["rater"].iloc[1]
    other.clock = filled.clock
    _, token = Links(other, filled.name).renew(rater)
    session = enrol(other, token, filled.manifest).session_id
    assert RaterSession(other, session).state().position == 9
    here = Study(other, clock=filled.clock)
    here.vote_all(session)
    assert RaterSession(other, session).state().outcome == "complete"
    here.enrol()
    indices = frames.tables(other, filled.name)["sessions"]["rater_index"].tolist()
    assert indices == sorted(set(indices))
    assert indices[-1] == 6


def test_export_holds_no_token_no_address_and_no_key(filled: Study) -> None:
    everything = b"".join(files_of(filled).values()).decode()
    secret = rows_of(filled.store)
    addresses = [row[9] for row in secret["plan_item"]]
    hashes = [value for row in secret["invitation"] for value in row if len(str(value)) == 64]
    keys = [row[3] for row in secret["vote"]]
    assert len(addresses) == 60
    assert hashes
    for one in (*addresses, *hashes, *keys):
        assert str(one) not in everything


def test_an_export_without_what_later_versions_added_is_imported(
    filled: Study, other: Store, tmp_path: Path
) -> None:
    old = exported(filled, tmp_path / "old")
    contents = json.loads((old / "manifest.json").read_text())
    del contents["stand_ins"]
    for name in ("votes.csv", "plan.csv"):
        frame = pd.read_csv(old / name, dtype=str, keep_default_na=False)
        data = csvs.to_csv(frame.drop(columns=["image_sha256", "stand_in"])).replace(b"''", b"'")
        (old / name).write_bytes(data)
        contents["sha256"][name] = sha256_bytes(data)
    (old / "manifest.json").write_text(json.dumps(contents))
    snapshot.import_(other, old, "small")
    assert files_of(filled, other) == files_of(filled)


def with_sessions(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
    """An export whose sessions are changed, and its manifest with them."""
    contents = json.loads((folder / "manifest.json").read_text())
    frame = pd.read_csv(folder / "sessions.csv", dtype=str, keep_default_na=False)
    data = csvs.to_csv(change(frame)).replace(b"''", b"'")
    (folder / "sessions.csv").write_bytes(data)
    contents["sha256"]["sessions.csv"] = sha256_bytes(data)
    (folder / "manifest.json").write_text(json.dumps(contents))
    return folder


def test_languages_are_imported_where_an_export_has_them(
    filled: Study, other: Store, tmp_path: Path
) -> None:
    old, bad = (exported(filled, tmp_path / name) for name in ("old", "bad"))
    with_sessions(bad, lambda frame: frame.assign(language="fr"))
    with pytest.raises(DataError, match="row 1, language: 'fr' isn't a language of the study"):
        snapshot.import_(other, bad, "small")
    with_sessions(old, lambda frame: frame.drop(columns="language"))
    snapshot.import_(other, old, "small")
    before, after = (frames.tables(s, "small")["sessions"] for s in (filled.store, other))
    assert set(before["language"]) <= {"en", None}
    assert after["language"].isna().all()
    assert after.drop(columns="language").equals(before.drop(columns="language"))


def test_an_export_marks_stand_ins_and_names_what_was_scored(study: Study) -> None:
    stimuli = [
        replace(s, image_sha256=f"{i:064}", stand_in=s.method == "srresnet")
        for i, s in enumerate(study.manifest.stimuli)
    ]
    marked = Study(study.store, study.design, Manifest(tuple(stimuli)), study.clock)
    marked.vote_all(marked.rating())
    files = files_of(marked)
    assert json.loads(files["manifest.json"])["stand_ins"] == ["srresnet"]
    for name in ("votes.csv", "plan.csv"):
        rows = list(csv.DictReader(io.StringIO(files[name].decode(), newline="")))
        assert len(rows) == 12
        for row in rows:
            stimulus = marked.manifest.by_key[row["dataset"], row["image"], row["method"]]
            assert row["image_sha256"] == stimulus.image_sha256
            assert row["stand_in"] == ("true" if row["method"] == "srresnet" else "false")


def test_another_manifest_than_that_which_was_rated_is_refused(filled: Study) -> None:
    other = Manifest(filled.manifest.stimuli[1:])
    with pytest.raises(DataError, match="not the one under which small was rated"):
        snapshot.export_files(filled.store, filled.name, other)


def test_import_makes_new_addresses(filled: Study, other: Store, tmp_path: Path) -> None:
    snapshot.import_(other, exported(filled, tmp_path / "e.zip"), "small")
    old, new = ({row[9] for row in rows_of(s)["plan_item"]} for s in (filled.store, other))
    assert len(new) == len(old)
    assert not old & new


def test_deleted_rater_does_not_come_back_from_an_old_export(filled: Study, tmp_path: Path) -> None:
    old = exported(filled, tmp_path / "old.zip")
    rater = frames.tables(filled.store, filled.name)["sessions"]["rater"].iloc[0]
    Raters(filled.store, filled.name).delete(rater)
    brought = snapshot.import_(filled.store, old, "small")
    assert (brought.sessions, brought.deleted) == (0, 1)
    assert rater not in set(frames.tables(filled.store, filled.name)["sessions"]["rater"])
    assert Overview.of(filled.store, filled.name).deleted == 2


def test_deletions_travel_with_an_export(filled: Study, other: Store, tmp_path: Path) -> None:
    old = exported(filled, tmp_path / "old.zip")
    rater = frames.tables(filled.store, filled.name)["sessions"]["rater"].iloc[0]
    Raters(filled.store, filled.name).delete(rater)
    snapshot.import_(other, exported(filled, tmp_path / "new.zip"), "small")
    snapshot.import_(other, old, "small")
    assert rater not in set(frames.tables(other, filled.name)["sessions"]["rater"])


def test_import_of_what_is_there_changes_nothing(filled: Study, tmp_path: Path) -> None:
    path = exported(filled, tmp_path / "e.zip")
    before = files_of(filled)
    assert snapshot.import_(filled.store, path, "small").present == 5
    assert files_of(filled) == before


def test_import_into_a_study_that_went_on_otherwise_is_refused_whole(
    filled: Study, other: Store, tmp_path: Path
) -> None:
    there = Study(other)
    there.vote(there.rating(), 1)
    before = files_of(there)
    with pytest.raises(StateError, match="nothing was imported"):
        snapshot.import_(other, exported(filled, tmp_path / "e.zip"), "small")
    assert files_of(there) == before


def test_export_never_overwrites(filled: Study, tmp_path: Path) -> None:
    path = exported(filled, tmp_path / "e.zip")
    with pytest.raises(UsageError, match="exists already"):
        exported(filled, path)


def damage(path: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    content[name] = change(content[name])
    changed = path.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as archive:
        for entry, data in content.items():
            archive.writestr(entry, data)
    return changed


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("votes.csv", lambda data: data.replace(b",5,", b",1,", 1), "votes.csv in .* was changed"),
        ("manifest.json", lambda data: data.replace(b'"format": 1', b'"format": 2'), "format 2"),
        ("manifest.json", lambda data: b"[]", "not a complete export"),
        ("design.json", lambda data: b"{}", "design.json in .* was changed"),
    ],
)
def test_damaged_export_is_refused_and_nothing_is_stored(
    filled: Study, tmp_path: Path, name: str, change: Callable[[bytes], bytes], match: str
) -> None:
    path = damage(exported(filled, tmp_path / "e.zip"), name, change)
    with pytest.raises(DataError, match=match):
        snapshot.import_(filled.store, path, "small")


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], object]) -> Path:
    """A forged copy: the manifest is changed as JSON, or other files and their hashes."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    contents = json.loads(files["manifest.json"])
    change(contents, files)
    for name, data in files.items():
        if isinstance(contents, dict) and name in (contents.get("sha256") or ()):
            contents["sha256"][name] = sha256_bytes(data)
    files["manifest.json"] = json.dumps(contents).encode()
    forged = path.with_name("forged.zip")
    with zipfile.ZipFile(forged, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return forged


def refused(store: Store, path: Path, *, whole: bool) -> str:
    """The sentence with which a file is refused by all that reads it."""
    sentences = []
    reads: list[Callable[[], object]] = [lambda: snapshot.import_(store, path, "small")]
    if whole:
        reads.append(lambda: restore(path, url_of(store), "small", overwrite=True))
    for read in reads:
        with pytest.raises(SrevalError) as error:
            read()
        sentences.append(str(error.value))
    assert all("\n" not in said and len(said) < 600 for said in sentences)
    return sentences[0]


def cell(name: str, column: str, value: str) -> Callable[[Any, dict[str, bytes]], None]:
    """Puts a value into the first row of a file."""

    def change(contents: Any, files: dict[str, bytes]) -> None:
        rows = list(csv.DictReader(io.StringIO(files[name].decode(), newline="")))
        rows[0][column] = value
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        files[name] = out.getvalue().encode()

    return change


def facts(name: str, *values: object) -> list[Callable[[dict[str, Any], Any], None]]:
    """Puts each value into the manifest."""

    def put(value: object) -> Callable[[dict[str, Any], Any], None]:
        return lambda contents, files: contents.update({name: value})

    return [put(value) for value in values]


def without(name: str) -> Callable[[Any, dict[str, bytes]], object]:
    return lambda contents, files: files.pop(name)


def deep(contents: dict[str, Any], files: dict[str, bytes]) -> None:
    files["design.json" if "design.json" in files else "events.csv"] = b"[" * 100_000


@pytest.mark.parametrize("database_kind", ["sqlite"])  # nothing of a forged file reaches one
@pytest.mark.parametrize("form", ["export", "backup"])
def test_what_is_forged_is_refused_in_one_sentence(
    filled: Study, other: Store, tmp_path: Path, form: str
) -> None:
    """The hashes are right here: each cell must be what its column can hold."""
    path = tmp_path / "b.zip"
    whole = form == "backup"
    (backup(url_of(filled.store), path) if whole else exported(filled, path))
    changes = [
        *facts("sha256", None, [], "x", {"votes.csv": None}),
        *facts("format", None, [], "1", 10**400),
        *facts("study", [], "small", {"name": []}, {"name": "small"}),
        *facts("revision", [], 2, "9999"),
        *map(without, ("votes.csv", "sessions.csv", "plan.csv")),
        *(cell("votes.csv", "score", value) for value in ("", "x", "6", "9" * 30, "nan")),
        *(cell("votes.csv", "position", value) for value in ("0", "99", "-1", str(2**40))),
        *(cell("votes.csv", "response_ms", value) for value in ("nan", "inf", "", "x")),
        *(cell("votes.csv", "session", value) for value in ("", "s-0000000000000000")),
        *(cell("votes.csv", "received_at", value) for value in ("", "2026-03-01", "0001-01-01")),
        cell("sessions.csv", "created_at", "0001-01-01T00:00:00+14:00"),
        *(cell("sessions.csv", "stage", value) for value in ("", "thinking", "x" * 999)),
        *(cell("sessions.csv", "done", value) for value in ("", "-1", "13", "1e3")),
        cell("sessions.csv", "simulated", "perhaps"),
        cell("sessions.csv", "rater", "x" * 21),
        cell("sessions.csv", "rater", "r-\0"),
        cell("plan.csv", "kind", "votes"),
        cell("plan.csv", "session", "x"),
        cell("events.csv", "facts", "[]"),
        cell("events.csv", "facts", "[" * 5000),
        deep,
        lambda contents, files: files.update({"votes.csv": b'"'}),
        lambda contents, files: files.update({"votes.csv": b"a,a\r\n1,2\r\n"}),
        lambda contents, files: files.update({"votes.csv": b"\xff"}),
    ]
    if whole:
        changes += [
            cell("studies.csv", "design", "{}"),
            cell("studies.csv", "name", "other"),
            cell("audit.csv", "facts", "null"),
        ]
    before = rows_of(other)
    for change in changes:
        assert refused(other, rewritten(path, change), whole=whole)
    if whole:  # what only a restore reads
        forged = rewritten(path, cell("links.csv", "study_id", "77"))
        with pytest.raises(DataError, match="contradict each other"):
            restore(forged, url_of(other), "small")
    assert rows_of(other) == before


@pytest.mark.parametrize("form", ["export", "backup"])
def test_what_is_damaged_is_refused_in_one_sentence(
    filled: Study, tmp_path: Path, form: str
) -> None:
    """Bits turned over, bytes missing or doubled, anywhere in the file."""
    if not filled.store.sqlite:
        return  # nothing of the database is read
    path = tmp_path / "b.zip"
    whole = form == "backup"
    (backup(url_of(filled.store), path) if whole else exported(filled, path))
    data, chance, before = path.read_bytes(), random.Random(17), rows_of(filled.store)
    damaged = tmp_path / "damaged.zip"
    for number in range(150):
        broken, place = bytearray(data), chance.randrange(len(data))
        if number % 3 == 0:
            broken[place] ^= 1 << chance.randrange(8)
        elif number % 3 == 1:
            del broken[place : place + chance.choice((1, 100, len(data)))]
        else:
            broken[place:place] = broken[: chance.randrange(1, 50)]
        damaged.write_bytes(broken)
        try:
            _read(damaged)
        except SrevalError:
            continue
        # What a zip says twice, or nobody reads, may be damaged: the files themselves are whole.
        snapshot.import_(filled.store, damaged, "small")
        after = rows_of(filled.store)
        assert {k: v for k, v in after.items() if k != "audit"} == {
            k: v for k, v in before.items() if k != "audit"
        }


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("member", ["votes.csv", "backup.json"])
def test_a_zip_that_unpacks_to_far_more_than_tables_do_is_refused_before_it_is_unpacked(
    tmp_path: Path, member: str, stated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """32 MB in 33 kB; with ``stated`` false the zip says that they are 4 bytes."""
    monkeypatch.setattr("sreval.files._UNPACKED", 2**20)
    path, size = tmp_path / "bomb.zip", 32 * 2**20
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w") as file,
    ):
        file.write(bytes(size))
    if not stated:
        data = path.read_bytes()
        assert data.count(size.to_bytes(4, "little")) == 2
        path.write_bytes(data.replace(size.to_bytes(4, "little"), (4).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as error:
            _read(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ("would unpack to 34 MB" if stated else "not a complete export") in error.value.message
    assert most < 4 * 2**20


def test_an_import_is_of_the_study_that_is_named(
    study: Study, other: Store, tmp_path: Path
) -> None:
    beside = Study(study.store, design(name="beside"), clock=study.clock)
    beside.vote(beside.rating(), 1)
    study.vote(study.rating(), 1)
    path = backup(url_of(study.store), tmp_path / "backup")
    assert snapshot.import_(other, path, "small").sessions == 1
    assert Studies(other).names() == ["small"]
    one = exported(study, tmp_path / "small.zip")
    for read, file, held in (
        (lambda: snapshot.import_(other, one, "beside"), one, "'small'"),
        (lambda: snapshot.import_(other, path, "third"), path, "'small', 'beside'"),
        (lambda: restore(path, url_of(other), "third", overwrite=True), path, "'small', 'beside'"),
    ):
        with pytest.raises(UsageError, match=f"{file} holds {held}, not"):
            read()
    assert Studies(other).names() == ["small"]


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_file_that_is_no_export_is_named(store: Store, tmp_path: Path, content: Any) -> None:
    path = tmp_path / "x.zip"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match="not a complete export"):
        snapshot.import_(store, path, "small")


FORMULAS = tuple("=+-@＝＋－＠")
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("=+-@＝'\"; ,\t\r\nx")


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS, min_size=1, max_size=5))
@example(["x;=1+1;y", "x\t@a", 'x;"=1+1";y', "x\n=1"])
def test_no_cell_is_a_formula_and_every_text_comes_back(texts: list[str]) -> None:
    """By whichever separator the file is read; Python's csv says what a cell is."""
    data = csvs.to_csv(pd.DataFrame({"text": texts, "n": range(len(texts))}))
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator):
            assert not any(cell.lstrip('" ').startswith(FORMULAS) for cell in row)
    cells = [row[0] for row in csv.reader(io.StringIO(data.decode(), newline=""))][1:]
    assert not any(cell.startswith(("\t", "\r", "\n")) for cell in cells)
    assert [row["text"] for row in csvs.from_csv(data)] == texts


def test_a_cell_of_any_length_comes_back() -> None:
    """Python's csv refuses cells of more than 131,072 letters; a study's design may be longer."""
    long = "consent " * 20_000
    assert csvs.from_csv(csvs.to_csv(pd.DataFrame({"design": [long]}))) == [{"design": long}]


def test_cells_are_written_in_one_way() -> None:
    frame = pd.DataFrame(
        {
            "a": [True, None],
            "b": [pd.Timestamp("2026-03-01T10:00:00+01:00"), pd.NaT],
            "c": [1.5, float("nan")],
            "d": [3, 4],
        }
    )
    assert csvs.to_csv(frame) == (b"a,b,c,d\r\ntrue,2026-03-01T09:00:00.000000Z,1.5,3\r\n,,,4\r\n")


def url_of(store: Store) -> str:
    return store.url.render_as_string(hide_password=False)


def test_backup_restored_into_either_database_is_the_same_study(
    filled: Study, other: Store, tmp_path: Path
) -> None:
    path = backup(url_of(filled.store), tmp_path / "backup")
    assert path.stat().st_mode & 0o077 == 0
    filled.vote(filled.rating(), 1)
    restore(path, url_of(other), "small")
    assert rows_of(other)["vote"] != rows_of(filled.store)["vote"]
    again = backup(url_of(other), tmp_path / "again")
    fresh = tmp_path / "fresh.sqlite"
    restore(again, str(fresh), "small")
    assert fresh.stat().st_mode & 0o077 == 0
    with open_store(str(fresh)) as third:
        assert files_of(filled, third) == files_of(filled, other)
    there = Study(other, clock=filled.clock)
    there.vote_all(there.rating())
    assert len(frames.tables(other, "small")["sessions"]) == 6


def test_a_restore_is_refused_by_the_name_of_every_study_it_touches(
    study: Study, tmp_path: Path
) -> None:
    beside = Study(study.store, design(name="beside"), clock=study.clock)
    begun, newer = study.rating(), beside.rating()
    study.vote(begun, 1)
    path = backup(url_of(study.store), tmp_path / "backup")
    study.vote(begun, 2)
    for position in (1, 2, 3):
        beside.vote(newer, position)
    before = rows_of(study.store)
    with pytest.raises(StateError) as refused:
        restore(path, url_of(study.store), "small")
    assert "beside (1 rater, 3 votes, 3 of them not in the backup)" in refused.value.message
    assert "small (1 rater, 2 votes, 1 of them not in the backup)" in refused.value.message
    assert rows_of(study.store) == before
    assert restore(path, url_of(study.store), "small", overwrite=True).studies == (
        "small",
        "beside",
    )


def test_links_that_a_backup_lacks_are_not_replaced_unasked(study: Study, tmp_path: Path) -> None:
    """Nobody came yet, but the links may have been sent."""
    desk = Links(study.store, "small")
    desk.create("personal")
    path = backup(url_of(study.store), tmp_path / "backup")
    restore(path, url_of(study.store), "small")
    _, token = desk.create("personal")
    with pytest.raises(StateError, match=r"small \(0 raters, 0 votes, .* and 1 newer link\)"):
        restore(path, url_of(study.store), "small")
    study.rating(study.enrol(token))
    with pytest.raises(StateError, match=r"small \(1 rater, 0 votes, .* and 1 newer link\)"):
        restore(path, url_of(study.store), "small")


def test_who_was_deleted_stays_deleted_through_a_restore(study: Study, tmp_path: Path) -> None:
    """As data, as link, as label and in the log, which all are in the backup."""
    link, token = Links(study.store, "small").create("personal", label="Ann Example")
    known = study.rating(study.enrol(token))
    study.vote(known, 1)
    rater = frames.tables(study.store, "small")["sessions"]["rater"].item()
    desk = Raters(study.store, "small")
    desk.decide(rater, False, "Ann was tired")
    path = backup(url_of(study.store), tmp_path / "backup")
    later = study.rating()
    desk.delete(rater)
    raters.withdraw(study.store, later, delete=True)
    gone = rows_of(study.store)["tombstone"]
    assert len(gone) == 2
    for _ in range(2):
        assert restore(path, url_of(study.store), "small", overwrite=True).deleted == 1
        rows = rows_of(study.store)
        assert rows["tombstone"] == gone
        assert not rows["rater"] + rows["vote"]
        for trace in (rater, known, "Ann"):
            assert trace not in repr(rows)
        (kept,) = links(study.store)
        assert kept.id == link
        assert kept.revoked_at is not None
        assert ("delete-rater", "{}") in [(row[3], row[5]) for row in rows["audit"]]


def test_what_an_operator_ended_stays_ended_through_a_restore(study: Study, tmp_path: Path) -> None:
    """An account that was removed, a password that was changed, a link that was revoked."""
    desk, words = Operators(study.store), "four random words"
    for name in ("ada", "bob"):
        desk.add(name, "owner", words)
    link, token = Links(study.store, "small").create("personal")
    path = backup(url_of(study.store), tmp_path / "backup")
    desk.remove("bob")
    desk.set_password("ada", "four other words")
    desk.add("cyd", "viewer", words)
    Links(study.store, "small").revoke(link)
    login = desk.log_in("ada", "four other words")
    accounts = rows_of(study.store)["operator"]
    assert len(accounts) == 2
    restore(path, url_of(study.store), "small", overwrite=True)
    assert rows_of(study.store)["operator"] == accounts
    assert desk.logged_in(login) is None
    with pytest.raises(TokenError, match="revoked"):
        lookup(study.store, token)
    desk.add("dan", "viewer", words)  # a new account takes no other's number


def test_a_purge_holds_through_a_restore(store: Store, tmp_path: Path) -> None:
    over = Study(store, design(retention="2026-02-01"))
    over.vote(over.rating(), 1)
    Links(store, "small").create("personal", label="Bea Example")
    path = backup(url_of(store), tmp_path / "backup")
    Raters(store, "small").purge(over.clock().date())
    restore(path, url_of(store), "small")
    assert not rows_of(store)["rater"]
    assert [link.label for link in links(store)] == ["", ""]
    assert Overview.of(store, "small").deleted == 1


def test_a_restored_backup_is_every_row_of_the_database(
    filled: Study, other: Store, tmp_path: Path
) -> None:
    """Also what no export holds: links, keys, addresses, accounts and the log; but no login."""
    Operators(filled.store).add("ada", "owner", "four random words")
    Operators(filled.store).log_in("ada", "four random words")
    enrol(filled.store, filled.token("open"), filled.manifest, arrival=Arrival("=p", {"a": "+b"}))
    with filled.store.begin() as tx:
        session = tx.scalars(select(Session.id)).first()
        now = filled.clock()
        tx.add(ViewingCheck(session_id=session, kind="card", facts="{}", at=now))
    assert any(model.parent_id for model in links(filled.store))
    path = backup(url_of(filled.store), tmp_path / "backup")
    restore(path, url_of(other), "small")
    before, after = content_of(filled.store), content_of(other)
    assert after["login"] == []
    after["login"] = before["login"]
    assert all(before.values())
    # The original keeps that it was backed up, after the copy; the copy that it was restored.
    last = [before["audit"].pop()["action"], after["audit"].pop()["action"]]
    assert last == ["backup", "restore"]
    assert after == before


def links(store: Store) -> list[Invitation]:
    with store.read() as tx:
        return list(tx.scalars(select(Invitation)))


def content_of(store: Store) -> dict[str, list[Any]]:
    """Every row, ids that nobody is ever shown left out, and those of raters as pseudonyms."""
    unseen = ("rater", "answer", "event")
    with store.read() as tx:
        names = {rater.id: rater.pseudonym for rater in tx.scalars(select(Rater))}
        found = {}
        for table in Base.metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key.columns)
            rows: list[dict[str, Any]] = [dict(row) for row in tx.execute(query).mappings()]
            for row in rows:
                if table.name == "session":
                    row["rater_id"] = names[row["rater_id"]]
                if table.name in unseen:
                    del row["id"]
            found[table.name] = sorted(rows, key=repr) if table.name in unseen else rows
    return found


@pytest.mark.parametrize("form", ["sqlite", "rows"])
def test_backups_of_version_0_1_are_restored(
    filled: Study, other: Store, tmp_path: Path, form: str
) -> None:
    """A copy of SQLite's file, or PostgreSQL's rows as JSON; both as 0.1 wrote them."""
    path = tmp_path / "old"
    if form == "rows":
        rows_as_0_1_wrote_them(filled.store, path)
    elif filled.store.sqlite:
        with (
            sqlite3.connect(path) as copy,
            sqlite3.connect(str(filled.store.url.database)) as original,
        ):
            original.backup(copy)
    else:
        pytest.skip("PostgreSQL has no file to copy")
    restore(path, url_of(other), "small")
    after = content_of(other)
    assert after["audit"].pop()["action"] == "restore"
    assert after == content_of(filled.store)


def rows_as_0_1_wrote_them(store: Store, path: Path) -> None:
    """backup.json, and a file of JSON lines for each table, keys as columns, times as ISO 8601."""
    with store.read() as tx, zipfile.ZipFile(path, "w") as archive:
        archive.writestr("backup.json", json.dumps({"format": 1, "revision": "0002"}))
        for table in Base.metadata.sorted_tables:
            rows = tx.execute(select(table).order_by(*table.primary_key.columns)).mappings()
            lines = [json.dumps(dict(row), default=dt.datetime.isoformat) for row in rows]
            archive.writestr(f"{table.name}.jsonl", "".join(f"{line}\n" for line in lines))


def test_the_studies_of_a_backup_are_imported_without_its_links(
    filled: Study, other: Store, tmp_path: Path
) -> None:
    path = backup(url_of(filled.store), tmp_path / "backup")
    brought = snapshot.import_(other, path, "small")
    assert (brought.study, brought.sessions) == ("small", 5)
    assert files_of(filled, other) == files_of(filled)
    assert not links(other)
    assert snapshot.import_(other, path, "small").present == 5


def test_an_export_is_no_backup(filled: Study, tmp_path: Path) -> None:
    before = rows_of(filled.store)
    with pytest.raises(DataError, match="is an export, not a backup"):
        restore(exported(filled, tmp_path / "e.zip"), url_of(filled.store), "small", overwrite=True)
    del before["audit"]
    assert {k: v for k, v in rows_of(filled.store).items() if k != "audit"} == before


def test_a_later_version_reads_the_backups_of_this_one(
    filled: Study, other: Store, tmp_path: Path, later_version: Callable[[], None]
) -> None:
    votes = frames.tables(filled.store, filled.name)["votes"]
    path = backup(url_of(filled.store), tmp_path / "backup")
    later_version()
    restore(path, url_of(other), "small")
    assert other.check_schema() == "current"
    pd.testing.assert_frame_equal(frames.tables(other, "small")["votes"], votes)


def test_a_database_with_older_tables_is_backed_up_and_stays_as_it_is(
    filled: Study, other: Store, tmp_path: Path, later_version: Callable[[], None]
) -> None:
    """So that who is asked to back it up before an upgrade can."""
    votes = frames.tables(filled.store, filled.name)["votes"]
    later_version()
    before = rows_of(filled.store)
    path = backup(url_of(filled.store), tmp_path / "backup")
    assert filled.store.check_schema() == "older"
    after = rows_of(filled.store)
    assert len(after.pop("audit")) == len(before.pop("audit")) + 1
    assert after == before
    other.upgrade()
    restore(path, url_of(other), "small")
    pd.testing.assert_frame_equal(frames.tables(other, "small")["votes"], votes)


def test_backup_of_a_running_study_is_of_one_moment(study: Study, tmp_path: Path) -> None:
    """Every session's counter must agree with its votes in the copy, while raters vote."""
    sessions = [study.rating() for _ in range(3)]
    busy = threading.Event()

    def vote_on() -> None:
        for session in sessions:
            for position in (1, 2, 3):
                study.vote(session, position)
                busy.set()

    voter = threading.Thread(target=vote_on)
    voter.start()
    busy.wait(30)
    copies = [backup(url_of(study.store), tmp_path / f"b{n}") for n in range(3)]
    voter.join()
    for number, path in enumerate(copies):
        target = tmp_path / f"r{number}.sqlite"
        restore(path, str(target), "small")
        with open_store(str(target)) as restored:
            with restored.read() as tx:
                wrong = tx.scalar(
                    text(
                        "SELECT count(*) FROM session s WHERE done != "
                        "(SELECT count(*) FROM vote v WHERE v.session_id = s.id)"
                    )
                )
            assert wrong == 0


def test_backup_never_overwrites(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        backup(url_of(study.store), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00 and no more", b"PK\x03\x04"])
def test_file_that_is_no_backup_is_refused_and_the_votes_stay(
    study: Study, tmp_path: Path, content: bytes
) -> None:
    study.vote(study.rating(), 1)
    before = rows_of(study.store)
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(SrevalError):
        restore(tmp_path / "b", url_of(study.store), "small", overwrite=True)
    assert rows_of(study.store) == before


def test_backup_of_a_newer_version_is_refused(study: Study, tmp_path: Path) -> None:
    path = backup(url_of(study.store), tmp_path / "b")
    known = f'"{revisions()[-1]}"'.encode()
    newer = damage(path, "manifest.json", lambda data: data.replace(known, b'"9999"'))
    with pytest.raises(SchemaError, match="newer"):
        restore(newer, url_of(study.store), "small")
