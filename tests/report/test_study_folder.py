"""A report's folder is whole or absent, and never in the place of anything else."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from sreval.errors import DataError
from sreval.report.study_report import (
    Part,
    Report,
    check_folder,
    compile_pdf,
    to_latex,
    write_folder,
)
from sreval.report.table import interval_column

FILES = {"index.html": b"one", "csv/01-mos.csv": b"a,b\n"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_older_report_of_the_same_study_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_folder(out, "mine", {**FILES, "tables.pdf": b"old"}, {"state": "open"})
    write_folder(out, "mine", FILES, {"state": "closed"})
    assert set(contents(out)) == {*FILES, "report.json"}
    assert json.loads((out / "report.json").read_text())["facts"] == {"state": "closed"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    write_folder(out, "mine", FILES, {})
    assert contents(out)["index.html"] == b"one"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes.txt", "mine", "exists and isn't a report of sreval"),
        ("report.json", "{", "exists and isn't a report of sreval"),
        ("report.json", '{"sreval_report": "other", "files": {}}', "of the study other, not of"),
    ],
)
def test_other_folders_are_refused_and_left_alone(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        write_folder(tmp_path, "mine", FILES, {})
    assert contents(tmp_path) == {name: text.encode()}


def test_a_file_that_is_not_the_reports_own_is_never_removed(tmp_path: Path) -> None:
    out = tmp_path / "report"
    write_folder(out, "mine", FILES, {})
    (out / "csv" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"also holds csv/notes\.txt, which a new report would"):
        check_folder(out, "mine")


def test_a_file_or_a_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="exists and isn't a report"):
        check_folder(tmp_path / "file", "mine")
    write_folder(tmp_path / "report", "mine", FILES, {})
    (tmp_path / "link").symlink_to(tmp_path / "report")
    with pytest.raises(DataError, match="is a symbolic link"):
        check_folder(tmp_path / "link", "mine")


def test_a_failed_write_leaves_the_older_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    write_folder(out, "mine", FILES, {})
    before = contents(out)

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left on device"):
        write_folder(out, "mine", {"index.html": b"two"}, {})
    assert contents(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def put_program(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_latex_is_run_without_shell_escape_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(tmp_path, "xelatex", 'echo "%PDF $@" > tables.pdf')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    pdf, why = compile_pdf("text")
    assert why == ""
    assert pdf is not None
    assert pdf.startswith(b"%PDF")
    assert b"-no-shell-escape" in pdf


def test_latex_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(tmp_path, "xelatex", 'echo "! Undefined control sequence."; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert compile_pdf("text") == (None, "no PDF: xelatex failed: ! Undefined control sequence.")


def test_no_latex_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    pdf, why = compile_pdf("text")
    assert pdf is None
    assert why == "no PDF: none of xelatex, pdflatex, tectonic is installed"


@pytest.mark.skipif(
    not (shutil.which("pdflatex") and shutil.which("pdftotext")), reason="needs LaTeX and poppler"
)
def test_the_pdf_of_the_tables_can_be_searched(tmp_path: Path) -> None:
    report = Report("Coefficients", [], [])
    report.parts.append(Part("Significant differences", sentences=["Is efficient – 3.64–4.43."]))
    frame = pd.DataFrame({"low": [3.64], "high": [4.43]})
    report.table("Difference", frame, {"95%": interval_column(2)})
    pdf, why = compile_pdf(to_latex(report))
    assert pdf is not None, why
    assert b"/Type3" not in pdf
    (tmp_path / "tables.pdf").write_bytes(pdf)
    read = ["pdftotext", str(tmp_path / "tables.pdf"), "-"]
    text = subprocess.run(read, capture_output=True, text=True, check=True).stdout
    for word in ("Significant differences", "Coefficients", "efficient – 3.64–4.43", "Difference"):
        assert word in text
    assert text.count("3.64–4.43") == 2
