"""The hash of a user's own code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sreval.own_code import code_changes, code_files, code_sha256


def written(folder: Path) -> None:
    (folder / "pack").mkdir(parents=True)
    (folder / "pack/__init__.py").write_text("")
    (folder / "pack/net.py").write_text("import json\n\ndef late():\n    from pack import parts\n")
    (folder / "pack/parts.py").write_text("from . import deeper\nraise RuntimeError\n")
    (folder / "pack/deeper.py").write_text("import numpy, no_such_module\n")
    (folder / "pack/other.py").write_text("")


def test_it_covers_what_is_imported_be_it_loaded_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for home in ("a", "b"):
        written(tmp_path / home)
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), *sys.path])
    names = {Path(file).name for file in code_files("python:pack.net:Net")}
    assert names == {"net.py", "__init__.py", "parts.py", "deeper.py"}
    first = code_sha256("python:pack.net:Net")
    assert "pack" not in sys.modules

    (tmp_path / "a/pack/other.py").write_text("# nobody imports it")
    assert code_sha256("python:pack.net:Net") == first
    (tmp_path / "a/pack/deeper.py").write_text("# another")
    second = code_sha256("python:pack.net:Net")
    assert second != first
    assert code_changes({"x": first, "y": ""}, {"x": second, "y": second}) == ["x"]

    monkeypatch.chdir(tmp_path / "b")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "b"), *sys.path[1:]])
    assert code_sha256("python:pack.net:Net") == first
    assert code_sha256("python:sys:exit") == ""
