"""Where data, weights and caches lie when no variable of sreval's says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sreval import content


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("SREVAL_DATA", "SREVAL_WEIGHTS", "SREVAL_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("platform", "data", "cache"),
    [
        # XDG Base Directory Specification 0.8
        ("linux", ".local/share/sreval", ".cache/sreval"),
        # Apple, File System Programming Guide: The Library Directory
        ("darwin", "Library/Application Support/sreval", "Library/Caches/sreval"),
        # Microsoft, KNOWNFOLDERID: FOLDERID_LocalAppData, then maker and program
        ("win32", "AppData/Local/sreval/sreval", "AppData/Local/sreval/sreval/Cache"),
    ],
)
def test_each_system_s_own_place(
    home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, data: str, cache: str
) -> None:
    monkeypatch.setattr("sreval.content.sys.platform", platform)
    assert content.user_data_dir() == home / data / "data"
    assert content.weights_dirs() == [home / data / "weights"]
    assert content.cache_dir() == home / cache


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [("linux", "XDG_DATA_HOME", "sreval"), ("win32", "LOCALAPPDATA", "sreval/sreval")],
)
def test_the_system_s_variable_is_followed(
    home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str, folder: str
) -> None:
    monkeypatch.setattr("sreval.content.sys.platform", platform)
    monkeypatch.setenv(variable, str(home / "elsewhere"))
    assert content.user_data_dir() == home / "elsewhere" / folder / "data"


@pytest.mark.parametrize("value", ["", "relative"])
def test_a_variable_of_xdg_that_is_no_absolute_path_counts_for_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr("sreval.content.sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert content.cache_dir() == home / ".cache" / "sreval"


def test_sreval_s_own_variables_come_first(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SREVAL_WEIGHTS", str(home / "w"))
    monkeypatch.setenv("SREVAL_CACHE", str(home / "c"))
    assert content.weights_dirs()[0] == home / "w"
    assert len(content.weights_dirs()) == 2
    assert content.cache_dir() == home / "c"
