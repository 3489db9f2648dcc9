"""A study's registration: whatever starts at once, whichever version hashed its design."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import update

from sreval.errors import DataError
from sreval.files import sha256_bytes
from sreval.store import enrolment
from sreval.store.database import Store, open_store
from sreval.store.errors import StateError
from sreval.store.models import Study as StudyTable
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign
from tests.store.conftest import Race, Study, design, manifest


def test_workers_that_start_at_once_register_one_study(
    database_kind: str, new_database: Callable[..., str], race: Race
) -> None:
    url = new_database(database_kind)
    opened = [open_store(url) for _ in range(6)]
    try:
        found = race(lambda n: Studies(opened[n]).register(design(), manifest()), 6)
        assert len(set(found)) == 1
        assert isinstance(found[0], int)
    finally:
        for store in opened:
            store.dispose()


def test_hash_is_of_what_the_author_wrote() -> None:
    """A key that a later version adds, with its default, leaves the hash as it is."""

    class Later(StudyDesign):
        added: bool = False

    content = json.loads(design().as_json())
    assert Later.model_validate(content).as_json() != design().as_json()
    assert Later.model_validate(content).sha256 == design().sha256
    assert Later.model_validate({**content, "added": True}).sha256 != design().sha256
    assert StudyDesign.model_validate(content).sha256 == design().sha256
    assert design(seed=8).sha256 != design().sha256


def hashed_by_an_older_version(store: Store) -> None:
    """As it was: the hash of the design with all its defaults, one key less than today."""
    content = json.loads(design().as_json())
    del content["analysis"]["look_before_close"]
    old = json.dumps(content, sort_keys=True, ensure_ascii=False)
    with store.begin() as tx:
        tx.execute(
            update(StudyTable).values(design_json=old, design_sha256=sha256_bytes(old.encode()))
        )


def test_running_study_of_an_older_version_goes_on(study: Study) -> None:
    study.enrol()
    hashed_by_an_older_version(study.store)
    Studies(study.store).register(design(), manifest())
    token = study.token()
    enrolment.enrol(study.store, token, study.manifest, design=design())
    with pytest.raises(StateError, match="The design"):
        Studies(study.store).register(design(seed=8), manifest())


def test_nobody_begins_under_another_design_than_the_registered(study: Study) -> None:
    other = design(consent={"version": "2", "text": "I agree to more."})
    token = study.token()
    with pytest.raises(DataError, match=r"design.*Restart"):
        enrolment.enrol(study.store, token, study.manifest, design=other)
    Studies(study.store).register(other, study.manifest)
    enrolment.enrol(study.store, token, study.manifest, design=other)


SINCE_0_1_0 = "53f18c23be1f10d5112fffb5528e0de004d34f9eb2824b36e7d6b0a54baeb45a"
"""The hash by version 0.1.0 of the design of these tests, whose default unit was the image."""


def test_a_hash_means_the_same_unit_as_before_the_default_changed() -> None:
    assert design(analysis={"unit": "image"}).sha256 == SINCE_0_1_0
    named = {design(analysis={"unit": unit}).sha256 for unit in ("both", "rater", "image")}
    assert len({design().sha256, *named}) == 4


def planned_by_an_older_version(store: Store) -> None:
    """As 0.1.0 stored a design that names no unit: in full, with its default."""
    old = design(analysis={"unit": "image"})
    with store.begin() as tx:
        tx.execute(update(StudyTable).values(design_json=old.as_json(), design_sha256=SINCE_0_1_0))


def test_what_an_older_version_planned_stays_planned(study: Study) -> None:
    """The file names no unit; its raters voted under a plan of tests over images."""
    study.enrol()
    planned_by_an_older_version(study.store)
    Studies(study.store).register(design(), manifest())
    kept = Studies(study.store).get(study.name)
    assert kept.design.analysis.unit == "image"
    assert kept.design_sha256 == SINCE_0_1_0
    Studies(study.store).register(design(analysis={"unit": "image"}), manifest())
    for other in ({"unit": "rater"}, {"alpha": 0.01}):
        with pytest.raises(StateError, match="design of study 'small' changed"):
            Studies(study.store).register(design(analysis=other), manifest())
    assert Studies(study.store).get(study.name).design.analysis.unit == "image"


def test_before_the_first_rater_the_file_s_plan_holds(study: Study) -> None:
    planned_by_an_older_version(study.store)
    Studies(study.store).register(design(), manifest())
    assert Studies(study.store).get(study.name).design.analysis.unit is None
