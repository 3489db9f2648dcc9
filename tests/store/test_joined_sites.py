"""Two sites that ran the same design become one study, and each session says where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import update

from sreval.errors import UsageError
from sreval.store import frames, snapshot
from sreval.store.database import open_store
from sreval.store.errors import StateError
from sreval.store.models import Rater
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.studies import Studies
from tests.store.conftest import Study, design

NewDatabase = Callable[..., str]


@pytest.fixture
def elsewhere(new_database: NewDatabase) -> Iterator[Study]:
    """The same study at a second site, with two raters."""
    store = open_store(new_database("sqlite"), create=True)
    there = Study(store)
    for _ in range(2):
        there.vote_all(there.rating(), upto=4)
    yield there
    store.dispose()


@pytest.fixture
def joined(study: Study) -> Study:
    """Three raters of this site, before any other is joined."""
    for _ in range(3):
        study.vote_all(study.rating(), upto=5)
    return study


def exported(of: Study, folder: Path, name: str = "e.zip") -> Path:
    return snapshot.export(of.store, of.name, of.manifest, folder / name)


def bring(to: Study, path: Path, site: str | None = "Leeds") -> snapshot.Imported:
    return snapshot.import_(to.store, path, to.name, site=site)


def test_the_votes_of_both_sites_stand_in_one_study_with_where_they_came_from(
    joined: Study, elsewhere: Study, tmp_path: Path
) -> None:
    own, theirs = (frames.tables(of.store, of.name) for of in (joined, elsewhere))
    path = exported(elsewhere, tmp_path)
    assert bring(joined, path) == snapshot.Imported("small", 2, 0, 0)

    found = frames.tables(joined.store, joined.name)
    sessions = found["sessions"]
    assert list(sessions["site"].fillna("")) == ["", "", "", "Leeds", "Leeds"]
    # the two sites gave the same numbers and places to different people
    assert set(own["sessions"]["slot"]) & set(theirs["sessions"]["slot"])
    for column in ("rater", "rater_index", "slot"):
        assert sessions[column].is_unique
    for one in ("votes", "plan"):
        keys = ["session", "position", "stimulus_sha256"]
        kept = set(found[one][keys].itertuples(index=False, name=None))
        before = [set(t[one][keys].itertuples(index=False, name=None)) for t in (own, theirs)]
        assert kept == before[0] | before[1]
    assert len(Overview.of(joined.store, joined.name).raters) == 5
    # whoever begins now takes a place and a number that nobody has
    joined.enrol()
    assert frames.tables(joined.store, joined.name)["sessions"]["slot"].is_unique


def test_the_same_export_again_adds_nothing_and_a_later_one_what_is_new(
    joined: Study, elsewhere: Study, tmp_path: Path
) -> None:
    path = exported(elsewhere, tmp_path)
    bring(joined, path)
    before = snapshot.export_files(joined.store, joined.name, joined.manifest)
    for name in ("Leeds", "Bremen", None):
        assert bring(joined, path, name) == snapshot.Imported("small", 0, 2, 0)
    assert snapshot.export_files(joined.store, joined.name, joined.manifest) == before

    elsewhere.vote_all(elsewhere.rating(), upto=4)
    again = bring(joined, exported(elsewhere, tmp_path, "later.zip"))
    assert again == snapshot.Imported("small", 1, 2, 0)
    assert frames.tables(joined.store, joined.name)["sessions"]["slot"].is_unique


def test_a_session_that_went_on_at_its_site_is_brought_up_to_date(
    joined: Study, elsewhere: Study, tmp_path: Path
) -> None:
    """Nothing of it is lost, whatever numbers it has here; an older export takes nothing back."""
    under_way = elsewhere.rating()
    elsewhere.vote_all(under_way, upto=1)
    first = exported(elsewhere, tmp_path)
    bring(joined, first)
    before = frames.tables(joined.store, joined.name)["sessions"].set_index("session")
    elsewhere.vote_all(under_way)
    last = exported(elsewhere, tmp_path, "later.zip")
    for path, updated in ((last, 1), (last, 0), (first, 0)):
        assert bring(joined, path) == snapshot.Imported("small", 0, 3, 0, updated)
        here, there = (frames.tables(of.store, of.name) for of in (joined, elsewhere))
        for name in ("votes", "plan", "events", "answers"):
            own = here[name][here[name]["session"].isin(there["sessions"]["session"])]
            columns = [c for c in own if c not in ("rater", "rater_index", "slot", "site")]
            pd.testing.assert_frame_equal(
                own[columns].reset_index(drop=True), there[name][columns].reset_index(drop=True)
            )
        now = here["sessions"].set_index("session")
        done = there["sessions"].set_index("session")["done"]
        assert (now.loc[done.index, "done"] == done).all()
        places = ["rater", "rater_index", "slot", "site"]
        pd.testing.assert_frame_equal(now.loc[before.index, places], before[places])


def test_a_joined_study_is_exported_imported_and_backed_up_whole(
    joined: Study, elsewhere: Study, new_database: NewDatabase, tmp_path: Path
) -> None:
    bring(joined, exported(elsewhere, tmp_path), "=Leeds, «UK»")
    files = snapshot.export_files(joined.store, joined.name, joined.manifest)
    with open_store(new_database("sqlite"), create=True) as third:
        snapshot.import_(third, exported(joined, tmp_path, "both.zip"), joined.name)
        assert snapshot.export_files(third, joined.name, joined.manifest) == files
    copy = snapshot.backup(
        joined.store.url.render_as_string(hide_password=False), tmp_path / "b.zip"
    )
    url = new_database("sqlite")
    snapshot.restore(copy, url, joined.name)
    with open_store(url) as fourth:
        assert snapshot.export_files(fourth, joined.name, joined.manifest) == files


def test_pseudonyms_that_collide_are_told_apart(
    joined: Study, elsewhere: Study, tmp_path: Path
) -> None:
    own = frames.tables(joined.store, joined.name)["sessions"]["rater"]
    with elsewhere.store.begin() as tx:
        tx.execute(update(Rater).where(Rater.number == 0).values(pseudonym=own.iloc[0]))
    path = exported(elsewhere, tmp_path)
    bring(joined, path)
    names = frames.tables(joined.store, joined.name)["sessions"]["rater"]
    assert names.is_unique
    assert set(own) < set(names)
    # under the other name, too, whoever was deleted stays deleted
    Raters(joined.store, joined.name).delete(names.iloc[3])
    assert bring(joined, path) == snapshot.Imported("small", 0, 1, 1)


def test_whom_a_site_deletes_is_deleted_here(
    joined: Study, elsewhere: Study, tmp_path: Path
) -> None:
    bring(joined, exported(elsewhere, tmp_path))
    gone = frames.tables(elsewhere.store, elsewhere.name)["sessions"]["rater"].iloc[0]
    Raters(elsewhere.store, elsewhere.name).delete(gone)
    bring(joined, exported(elsewhere, tmp_path, "later.zip"))
    found = frames.tables(joined.store, joined.name)
    assert gone not in set(found["sessions"]["rater"]) | set(found["votes"]["rater"])
    assert len(found["sessions"]) == 4


def test_another_design_and_a_site_that_still_collects_are_refused_whole(
    joined: Study, elsewhere: Study, new_database: NewDatabase, tmp_path: Path
) -> None:
    before = snapshot.export_files(joined.store, joined.name, joined.manifest)
    with open_store(new_database("sqlite"), create=True) as store:
        differs = Study(store, design(seed=8))
        differs.vote(differs.rating(), 1)
        with pytest.raises(StateError, match=r"another design or other stimuli: seed"):
            bring(joined, exported(differs, tmp_path, "differs.zip"))
    path = exported(elsewhere, tmp_path)
    for name in ("", "  ", "x" * 101, "a\nb", "a\u202eb", "a\0b"):
        with pytest.raises(UsageError, match="site"):
            bring(joined, path, name)
    assert snapshot.export_files(joined.store, joined.name, joined.manifest) == before
    Studies(joined.store).set_state(joined.name, "closed")
    with pytest.raises(StateError, match="Leeds still collects votes"):
        bring(joined, path)
    Studies(elsewhere.store).set_state(elsewhere.name, "closed")
    assert bring(joined, exported(elsewhere, tmp_path, "closed.zip")).sessions == 2
