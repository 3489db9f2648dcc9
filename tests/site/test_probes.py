"""What supervisors ask: liveness without the database, readiness within a bounded time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from sreval.errors import StoreError
from sreval.site import probes
from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from tests.site.conftest import SECRET, MakeSite, Visitor, freeze

PROBES = ("/healthz", "/readyz", "/health")


def test_a_site_that_is_well_says_only_that_and_writes_nothing(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sreval.site")
    for path in PROBES:
        answer = visitor.client.get(path)
        assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
        assert "Set-Cookie" not in answer.headers
    assert [r for r in caplog.records if r.name == "sreval.site"] == []
    visitor.client.get("/nothing")
    assert [r.getMessage() for r in caplog.records if r.name == "sreval.site"] == ["request"]


def test_liveness_needs_no_database(visitor: Visitor) -> None:
    with visitor.store.begin() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE study RENAME TO gone")
    assert [visitor.client.get(path).status_code for path in PROBES] == [200, 503, 503]


@pytest.mark.parametrize("revision", ["0002", "9999"])
def test_tables_of_another_version_are_not_ready(
    make_site: MakeSite, database_url: str, revision: str
) -> None:
    visitor = make_site(database=database_url)
    assert visitor.client.get("/readyz").status_code == 200
    with visitor.store.begin() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
    answer = visitor.client.get("/readyz")
    assert answer.status_code == 503
    assert revision not in answer.get_data(as_text=True)
    assert visitor.client.get("/healthz").status_code == 200


def test_a_database_that_does_not_answer_is_waited_for_by_one_thread_only(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, looks = threading.Event(), threading.Event(), []

    def slow(*_: Any) -> None:
        looks.append(1)
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(probes, "check_storable", slow)
    monkeypatch.setattr(probes, "WAIT_SECONDS", 0.01)
    ask = lambda _: visitor.app.test_client().get("/readyz").status_code  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [503] * 4
    assert begun.is_set()
    assert len(looks) == 1
    monkeypatch.setattr(probes, "WAIT_SECONDS", 60)
    go_on.set()
    assert visitor.client.get("/readyz").status_code == 200


def test_an_empty_database_is_refused_where_tables_are_made_by_a_step_of_their_own(
    tmp_path: Path, new_database: Callable[..., str], database_kind: str, sreval: Callable[..., Any]
) -> None:
    study = freeze(tmp_path / "small")
    url = new_database(database_kind, tables=False)
    config = SiteConfig.given(study=study, database=url, secret=SECRET, create_tables="no")
    with pytest.raises(StoreError, match="sreval study upgrade STUDY"):
        create_app(config)
    ran = sreval("study", "upgrade", study, "--database", url, "--check")
    assert ran.code == 1
    assert "to be upgraded, by 0002_tables" in ran.out
    with pytest.raises(StoreError):
        create_app(config)
    assert "upgraded, by 0002_tables" in sreval("study", "upgrade", study, "--database", url).out
    ran = sreval("study", "upgrade", study, "--database", url, "--check")
    assert (ran.code, ran.out.endswith(": nothing to do.\n")) == (0, True)
    visitor = Visitor(create_app(config))
    assert visitor.client.get("/readyz").status_code == 200
    visitor.store.dispose()
    with pytest.raises(ValueError, match="create_tables"):
        SiteConfig.given(study=study, database=url, create_tables="perhaps")
