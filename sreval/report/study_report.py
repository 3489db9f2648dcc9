"""A study's report as a folder: one page, every table as LaTeX and CSV."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sreval.files import sha256_file
from sreval.report.records import csv_text
from sreval.report.study_files import LATEX, PAGE, PDF, check_folder, write_folder
from sreval.report.study_latex import compile_pdf, to_report_latex
from sreval.report.study_page import Report, study_report, to_html
from sreval.report.study_scores import study_scores
from sreval.study.data import StudyData

STEPS = 3
"""How often ``write_report`` tells that it has gone on."""


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written; a path as well, that of its page.

    ``files`` are the names within the folder; ``warnings`` what must be known before it is used;
    ``no_pdf`` why there is no PDF of the tables, empty where there is one; ``facts`` the marks,
    the study's state and the hash of its design.
    """

    page: Path
    files: tuple[str, ...]
    warnings: tuple[str, ...]
    no_pdf: str
    facts: Mapping[str, object]

    def __fspath__(self) -> str:
        return str(self.page)

    def __str__(self) -> str:
        return str(self.page)

    def _repr_html_(self) -> str:
        link = f'<a href="{escape(self.page.resolve().as_uri())}">{escape(str(self.page))}</a>'
        said = "".join(f"<p><small>{escape(text)}</small></p>" for text in self.warnings)
        return f"<p>{link}</p>{said}"


def write_report(
    data: StudyData,
    out: Path,
    folders: Sequence[Path] = (),
    protocol: str | None = None,
    *,
    study: str,
    step: Callable[[], object] = lambda: None,
) -> WrittenReport:
    """Write the report of ``data`` as the folder ``out``; an older one of the study is replaced.

    ``folders`` hold benchmark results of the rated images; ``study`` is the name or folder by
    which the command that is printed in the report finds the study. Raises what ``check_folder``,
    ``study_scores`` and ``write_folder`` raise.
    """
    name = data.design.name
    check_folder(out, name)
    scores, notes = study_scores(folders, protocol, data) if folders else (None, [])
    sources = [
        (f"{place}/results.csv, SHA-256", sha256_file(place / "results.csv")) for place in folders
    ]
    if scores is not None:
        chosen = scores.iloc[0]
        sources.append((f"protocol {chosen['protocol']}, SHA-256", chosen["protocol_sha256"]))
        sources += [("scored by sreval", code) for code in sorted(scores["code"].unique())]
    made = study_report(data, scores, notes, sources, _command(study, folders, protocol, out))
    step()
    files = _files(made)
    step()
    pdf, why = compile_pdf(files[LATEX].decode())
    if pdf is not None:
        files[PDF] = pdf
    facts = {"marks": made.marks, "state": data.state, "design_sha256": data.design_sha256}
    write_folder(out, name, files, facts)
    step()
    return WrittenReport(out / PAGE, tuple(sorted(files)), tuple(made.warnings), why, facts)


def _files(made: Report) -> dict[str, bytes]:
    files = {PAGE: to_html(made), LATEX: to_report_latex(made)}
    for index, section in enumerate(made.sections, 1):
        frame = section.frame.assign(marks=", ".join(made.marks)) if made.marks else section.frame
        if len(frame):
            files[f"csv/{index:02}-{section.analysis}.csv"] = csv_text(frame)
    return {name: text.encode(errors="replace") for name, text in files.items()}


def _command(study: str, folders: Sequence[Path], protocol: str | None, out: Path) -> str:
    words = ["sreval", "report", study]
    for folder in folders:
        words += ["--results", str(folder)]
    words += ["--protocol", protocol] if protocol else []
    return shlex.join([*words, "--out", str(out)])
