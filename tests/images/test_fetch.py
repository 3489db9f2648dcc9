"""Fetching, against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sreval.errors import DataError
from sreval.images.fetch import fetch, remote_path, remote_url
from sreval.images.known import KNOWN, KnownFile, known_files


class Server(http.server.ThreadingHTTPServer):
    """Serves files by path; can break off once, or serve wrong bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_off: set[str] = set()
        self.out_of_order = False
        self.asked: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        data = self.server.files.get(self.path)
        if self.server.out_of_order:
            self.send_error(503)
            return
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.path in self.server.break_off:
            self.server.break_off.remove(self.path)
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("sreval.images.fetch._PAUSE_S", 0)
    running = Server()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def offered(server: Server, count: int = 3) -> list[KnownFile]:
    files = []
    for index in range(1, count + 1):
        data = bytes([index]) * (200_000 + index)
        file = KnownFile(
            "Set5", f"eval/Set5/HR/img_00{index}.png", len(data), hashlib.sha256(data).hexdigest()
        )
        server.files["/" + remote_path(file)] = data
        files.append(file)
    return files


def test_files_come_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    files = offered(server)
    seen: list[str] = []
    assert fetch(files, tmp_path, server.url, lambda file: seen.append(file.path)) == 3
    assert sorted(seen) == [file.path for file in files]
    assert all(file.is_intact(tmp_path) for file in files)
    assert fetch(files, tmp_path, server.url) == 0
    assert set(server.asked.values()) == {1}
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        Path(file.path).name for file in files
    }


def test_a_broken_connection_is_tried_again(server: Server, tmp_path: Path) -> None:
    files = offered(server)
    broken = "/" + remote_path(files[1])
    server.break_off.add(broken)
    assert fetch(files, tmp_path, server.url) == 3
    assert server.asked[broken] == 2
    assert files[1].is_intact(tmp_path)


def test_wrong_bytes_are_refused_and_the_others_stay(server: Server, tmp_path: Path) -> None:
    files = offered(server)
    path = "/" + remote_path(files[0])
    server.files[path] = server.files[path][:-1] + b"x"
    with pytest.raises(DataError, match=r"1 of 3 files.*SHA-256 differs"):
        fetch(files, tmp_path, server.url)
    assert [file.is_intact(tmp_path) for file in files] == [False, True, True]
    assert not (tmp_path / files[0].path).exists()


def test_a_damaged_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    files = offered(server)
    fetch(files, tmp_path, server.url)
    (tmp_path / files[2].path).write_bytes(b"damaged")
    assert fetch(files, tmp_path, server.url) == 1
    assert files[2].is_intact(tmp_path)


def test_a_file_that_is_not_there_is_named(server: Server, tmp_path: Path) -> None:
    files = offered(server)
    del server.files["/" + remote_path(files[0])]
    with pytest.raises(DataError, match=r"img_001_SRF_4_HR.png could not be fetched \(HTTP 404\)"):
        fetch(files, tmp_path, server.url)


@pytest.fixture
def asked_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A machine without a network: no name resolves; those that were asked for."""
    names: list[str] = []

    def unknown(host: str, *_: object, **__: object) -> None:
        names.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    return names


def test_without_a_network_the_first_name_ends_it_and_nothing_is_left(
    asked_names: list[str], tmp_path: Path
) -> None:
    files = known_files("Set5")[:12]
    with pytest.raises(DataError, match="Temporary failure in name resolution"):
        fetch(files, tmp_path / "data", "http://mirror.invalid")
    assert 1 <= len(asked_names) <= 4  # one for each of those fetched at once, and no second try
    assert not (tmp_path / "data").exists()


def test_a_refused_connection_ends_it_and_nothing_counts_as_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    monkeypatch.delenv("SREVAL_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with socket.socket() as held:  # bound and not listening: whoever connects is refused
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        ran = sreval("data", "fetch", "Set5", "--mirror", address)
    assert ran.code == 1
    assert "Connection refused" in ran.err
    assert list(tmp_path.iterdir()) == []
    listed = sreval("data", "list", "--json").out
    assert {row["name"]: row["scales_at_hand"] for row in json.loads(listed)}["Set5"] == []


def test_a_source_that_only_fails_is_given_up(server: Server, tmp_path: Path) -> None:
    files = offered(server, 9)
    server.out_of_order = True
    with pytest.raises(DataError, match="503"):
        fetch(files, tmp_path, server.url)
    assert server.asked.total() <= 4 * 4  # four tries of each of the four fetched at once
    server.out_of_order = False
    assert fetch(files, tmp_path, server.url) == 9


def test_what_is_no_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mirror/data/Set5/.* could not be fetched"):
        fetch(known_files("Set5")[:1], tmp_path, "mirror")


def test_a_half_fetched_set_is_not_at_hand_and_is_completed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    files = offered(server)
    monkeypatch.setattr(
        "sreval.images.known.known_files", lambda name: files if name == "Set5" else ()
    )
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    late = server.files.pop("/" + remote_path(files[1]))
    command = ("data", "fetch", "Set5", "--to", tmp_path, "--mirror", server.url)
    assert sreval(*command).code == 1
    assert KNOWN["Set5"].locate(4) is None
    server.files["/" + remote_path(files[1])] = late
    assert sreval(*command).code == 0
    assert KNOWN["Set5"].locate(4) == tmp_path


def test_progress_is_shown_in_a_pipe(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    files = offered(server, 5)
    monkeypatch.setattr("sreval.images.known.known_files", lambda name: files)
    monkeypatch.setattr("sreval.progress.ProgressLog.PAUSE", 0.0)
    ran = sreval("data", "fetch", "Set5", "--to", tmp_path, "--mirror", server.url)
    assert len([line for line in ran.err.splitlines() if line.endswith(" left")]) == 4


def test_the_command_fetches_one_scale_and_prints_the_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    files = offered(server)
    low = KnownFile("Set5", "eval/Set5/LR_x2/img_001.png", 1, hashlib.sha256(b"x").hexdigest())
    monkeypatch.setattr("sreval.images.known.known_files", lambda name: (*files, low))
    ran = sreval("data", "fetch", "set5", "--to", tmp_path, "--mirror", server.url)
    assert ran.code == 0, ran.err
    assert ran.out.strip() == str(tmp_path)
    assert "3 files" in ran.err
    assert "3 fetched, 0 were there" in ran.err


def test_public_addresses_are_those_of_the_repositories() -> None:
    hr = next(f for f in known_files("Set14") if f.path.endswith("LR_x3/img_002.png"))
    assert remote_url(hr) == (
        "https://github.com/jbhuang0604/SelfExSR/raw/master/"
        "data/Set14/image_SRF_3/img_002_SRF_3_LR.png"
    )
    pool = known_files("BSDS300-train")[0]
    assert remote_url(pool) == (
        "https://github.com/BIDS/BSDS500/raw/master/BSDS500/data/images/train/100075.jpg"
    )


def test_every_public_file_is_known_once() -> None:
    counts = {name: len(known_files(name)) for name in KNOWN}
    assert counts == {
        "Set5": 30,
        "Set14": 84,
        "BSD100": 600,
        "Urban100": 400,
        "BSDS300-train": 199,
        "demo": 0,
    }
    hashes = [file.sha256 for file in known_files("BSDS300-train")]
    assert len(set(hashes)) == 199
    assert not any("302003" in file.path for file in known_files("BSDS300-train"))


def test_shipped_checksums_are_those_of_the_files(shared_data: Path) -> None:
    here = [
        f for f in known_files("Set5") + known_files("Set14") if (shared_data / f.path).is_file()
    ]
    assert len(here) == 38
    assert all(file.is_intact(shared_data) for file in here)
