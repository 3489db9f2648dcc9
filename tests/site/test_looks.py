"""Looks at a database that is silent: they end, and the next one finds a live connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sreval.site import looks, probes
from sreval.store.database import Store
from tests.site.conftest import MakeSite


class Proxy:
    """TCP to a server on a socket of Unix; what was open when it was frozen hears nothing more."""

    def __init__(self, path: Path) -> None:
        self._path, self._frozen = str(path), set[socket.socket]()
        self._open: list[tuple[socket.socket, socket.socket]] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        self._frozen.update(one for pair in self._open for one in pair)

    def close(self) -> None:
        for one in (self._listening, *(one for pair in self._open for one in pair)):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                self._open.append((client, server))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._frozen:
                    to.sendall(data)


@pytest.fixture
def proxied(postgresql_server: str, new_database: object) -> Iterator[tuple[Proxy, str]]:
    """A proxy, and the URL of a database behind it."""
    url = make_url(new_database("postgresql"))  # type: ignore[operator]
    proxy = Proxy(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    yield proxy, f"postgresql://sreval@127.0.0.1:{proxy.port}/{url.database}"
    proxy.close()


def test_a_lost_connection_costs_one_look(
    make_site: MakeSite, proxied: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, url = proxied
    monkeypatch.setattr(probes, "GIVE_UP_SECONDS", 0.3)
    visitor = make_site(database=url)
    assert visitor.client.get("/readyz").status_code == 200
    with visitor.store.read() as first, visitor.store.read() as second:
        first.connection(), second.connection()  # two that lie in the pool afterwards
    proxy.freeze()
    assert visitor.client.get("/readyz").status_code == 503
    assert visitor.client.get("/readyz").status_code == 200
    assert visitor.client.get(f"/r/{visitor.invite()}").status_code == 303


def test_a_look_that_is_in_time_leaves_the_connection(
    postgresql_server: str, new_database: object
) -> None:
    with Store(new_database("postgresql")) as store:  # type: ignore[operator]
        for _ in range(2):
            with store.read() as tx, store.limited(tx.connection(), 60):
                tx.connection().exec_driver_sql("SELECT 1")
        assert store.engine.pool.checkedin() == 1


def test_an_answer_is_told_again_while_it_is_fresh(tmp_path: Path) -> None:
    asked: list[int] = []
    with Store(str(tmp_path / "votes.sqlite")) as store:
        for fresh, times in ((60.0, 1), (0.0, 3)):
            asked.clear()
            look = looks.Look[None](store, lambda: asked.append(1), fresh)
            for _ in range(3):
                look.answer()
            assert len(asked) == times
