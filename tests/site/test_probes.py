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

from sreval.api import Study
from sreval.errors import StoreError
from sreval.site import looks, probes
from sreval.site.app import create_app
from sreval.site.checks import check_site
from sreval.site.config import SiteConfig
from sreval.site.logs import OneAMinute
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
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go_on, asked = threading.Event(), threading.Event(), []

    def slow(*_: Any) -> None:
        asked.append(1)
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(probes, "check_storable", slow)
    monkeypatch.setattr(looks, "WAIT_SECONDS", 0.01)
    ask = lambda _: visitor.app.test_client().get("/readyz").status_code  # noqa: E731
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [503] * 4
    assert begun.is_set()
    assert len(asked) == 1
    lines = [r for r in caplog.records if r.getMessage() == "database busy"]
    assert {(line.levelname, OneAMinute().filter(line)) for line in lines} == {("WARNING", True)}
    once = OneAMinute()
    assert [once.filter(line) for line in lines] == [True, False, False, False]
    monkeypatch.setattr(looks, "WAIT_SECONDS", 60)
    go_on.set()
    assert visitor.client.get("/readyz").status_code == 200


def test_an_empty_database_is_refused_where_tables_are_made_by_a_step_of_their_own(
    tmp_path: Path,
    new_database: Callable[..., str],
    database_kind: str,
    sreval: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
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
    checks = {check.name: check for check in check_site(config, lambda done, total: None)}
    assert not checks["database"].ok
    monkeypatch.setenv("SREVAL_CREATE_TABLES", "no")
    for command in (["study", "upgrade", study], ["study", "invite", study]):
        refused = sreval(*command, "--database", url)
        assert refused.code != 0
        assert "sreval study upgrade STUDY --begin" in refused.err
        assert refused.err.count(" --database or SREVAL_DATABASE") == (database_kind == "sqlite")
    assert database_kind != "sqlite" or not Path(url.removeprefix("sqlite:///")).exists()
    begun = sreval("study", "upgrade", study, "--database", url, "--begin")
    assert "upgraded, by 0002_tables" in begun.out
    assert sreval("study", "upgrade", study, "--database", url).out.endswith(": nothing to do.\n")
    ran = sreval("study", "upgrade", study, "--database", url, "--check")
    assert (ran.code, ran.out.endswith(": nothing to do.\n")) == (0, True)
    visitor = Visitor(create_app(config))
    assert visitor.client.get("/readyz").status_code == 200
    visitor.store.dispose()
    with pytest.raises(ValueError, match="create_tables"):
        SiteConfig.given(study=study, database=url, create_tables="perhaps")


def test_addresses_of_the_environment_hold_for_commands_unless_one_is_given(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    config = make_site().app.extensions["sreval"].config
    on = (config.study, "--database", config.database)
    assert sreval("study", "invite", *on).out.startswith("http://127.0.0.1:8000/r/")
    monkeypatch.setenv("SREVAL_BASE_URL", "https://study.example.org/")
    assert sreval("study", "invite", *on).out.startswith("https://study.example.org/r/")
    given = sreval("study", "invite", *on, "--base-url", "http://other")
    assert given.out.startswith("http://other/r/")
    monkeypatch.setenv("SREVAL_TRUSTED_PROXIES", "2")
    study = Study(config.study, config.database)
    told = study._site(None, None)
    assert (told.base_url, told.trusted_proxies) == ("https://study.example.org", 2)
    told = study._site("", 0)
    assert (told.base_url, told.trusted_proxies) == ("", 0)
    monkeypatch.setenv("SREVAL_BASE_URL", "ftp://x")
    refused = sreval("study", "invite", *on)
    assert (refused.code, "SREVAL_BASE_URL=ftp://x" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("address", "ok"), [("127.0.0.1:9", True), ("192.0.2.1:9100", False), ("no.invalid:1", False)]
)
def test_the_address_for_metrics_is_checked(tmp_path: Path, address: str, ok: bool) -> None:
    study = freeze(tmp_path / "small")
    config = SiteConfig.given(study=study, database=str(tmp_path / "v.sqlite"), metrics=address)
    *_, last = check_site(config, lambda done, total: None)
    assert (last.name, last.ok) == ("metrics", ok)
