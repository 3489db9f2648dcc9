"""Items of several pictures in the database: pairs and originals in view, and what is exported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sreval.errors import SrevalError
from sreval.files import sha256_bytes
from sreval.store import frames, snapshot
from sreval.store.database import Store, open_store
from sreval.store.errors import StateError, VoteError
from sreval.store.models import PlanItem, Vote
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession
from sreval.store.snapshot import backup, restore
from sreval.store.studies import Studies
from tests.store.conftest import Study, design

PAIR = {"kind": "pair", "third": "no difference"}
TOGGLED = {"kind": "pair", "layout": "toggle", "reference": True, "question": "closer"}
DCR = {"kind": "dcr"}
TASKS = [{"kind": "acr-hr"}, DCR, {**DCR, "layout": "toggle"}, PAIR, TOGGLED]
OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}
LOOKS = {"switches": 4, "left_ms": 700, "right_ms": 500.5, "reference_ms": 300}


def asking(store: Store, task: dict[str, Any], name: str = "small") -> Study:
    """The small study with another task, all in one sitting."""
    return Study(store, design(sittings={}, task=task, name=name))


def filled(store: Store, task: dict[str, Any], name: str = "small") -> Study:
    """One rater to the end, two on the way, and one deleted; of toggled pictures the looks."""
    study = asking(store, task, name)
    for upto in (None, 5, 2):
        study.vote_all(study.rating(), upto)
    part = study.rating()
    kept = study.design.task
    looks = {name: LOOKS[name] for name in ("switches", *(f"{p}_ms" for p in kept.places))}
    study.vote(part, 1, study.answer(1), **(looks if kept.toggled else {}))
    gone = study.rating()
    study.vote(gone, 1, study.answer(0))
    sessions = frames.tables(store, study.name)["sessions"]
    rater = sessions.loc[sessions["session"] == gone, "rater"].item()
    Raters(store, study.name).delete(rater)
    return study


def files_of(study: Study, store: Store | None = None) -> dict[str, bytes]:
    return snapshot.export_files(store or study.store, study.name, study.manifest)


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def addresses(store: Store) -> set[str]:
    columns = (PlanItem.address, PlanItem.right_address, PlanItem.reference_address)
    with store.read() as tx:
        return {one for row in tx.execute(select(*columns)) for one in row if one is not None}


def test_export_import_export_and_backup_give_the_same_bytes(
    store: Store, tmp_path: Path, database_kind: str, new_database: Callable[..., str]
) -> None:
    """Of all tasks, into a database of the other kind."""
    studies = [filled(store, task, f"study-{n}") for n, task in enumerate(TASKS)]
    before = [files_of(study) for study in studies]
    own = addresses(store)
    assert len(own) == sum(4 * 12 * len(study.design.task.places) for study in studies)
    url = new_database(OTHER[database_kind])
    with open_store(url) as other:
        for study in studies:
            path = tmp_path / f"{study.name}.zip"
            snapshot.export(store, study.name, study.manifest, path)
            assert snapshot.import_(other, path, study.name).sessions == 4
        assert [files_of(study, other) for study in studies] == before
        assert not addresses(other) & own
        assert len(addresses(other)) == len(own)
    copy = backup(store.url.render_as_string(hide_password=False), tmp_path / "b.zip")
    restore(copy, url, "study-0", overwrite=True)
    with open_store(url) as other:
        assert [files_of(study, other) for study in studies] == before
        assert addresses(other) == own
