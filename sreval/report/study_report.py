"""A study's report as a folder: one self-contained page, every table as LaTeX and CSV.

The folder is written whole or not at all. It never takes the place of anything but an older report
of the same study.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path

import pandas as pd

import sreval
from sreval.benchmarking.provenance import code_version
from sreval.errors import UNFORESEEN, DataError, attempted, counted, fixed, listed, option
from sreval.files import atomic_folder, sha256_bytes, sha256_file
from sreval.opinions.tasks import TASKS, Task
from sreval.processes import Beside
from sreval.reading import read_json
from sreval.report.notes import study_marks, study_warnings, vote_notes
from sreval.report.opinion_rows import as_arguments, study_scores
from sreval.report.opinions import (
    change_columns,
    default_notes,
    in_task,
    mos_columns,
    named,
    pair_columns,
    pair_notes,
    pair_test,
)
from sreval.report.pair_facts import PairFacts
from sreval.report.render import csv_text, render_page
from sreval.report.study_facts import StudyFacts
from sreval.report.study_methods import GROUPS_DIFFER
from sreval.report.table import Columns, Table, column, method_column, table_of, whole
from sreval.report.text import CORRECTIONS, percent, span, whole_percent
from sreval.report.thumbnails import Gallery, galleries
from sreval.study import charts
from sreval.study.data import StudyData


def _minute(when: str) -> str:
    return f"{pd.Timestamp(when):%Y-%m-%d %H:%M} UTC"


_WORDS = {
    "CORRECTIONS": CORRECTIONS,
    "GROUPS_DIFFER": GROUPS_DIFFER,
    "UNFORESEEN": UNFORESEEN,
    "change_columns": change_columns,
    "charts": charts,
    "code_version": code_version,
    "column": column,
    "counted": counted,
    "default_notes": default_notes,
    "fixed": fixed,
    "frame": pd.DataFrame,
    "listed": listed,
    "method_column": method_column,
    "minute": _minute,
    "mos_columns": mos_columns,
    "option": option,
    "pair_columns": pair_columns,
    "pair_notes": pair_notes,
    "pair_test": pair_test,
    "percent": percent,
    "span": span,
    "vote_notes": vote_notes,
    "whole": whole,
    "whole_percent": whole_percent,
    "zip": zip,
}
"""What the template takes to print figures, besides its own macros."""


@dataclass(frozen=True)
class Picture:
    """A figure: what draws its SVG element, and what it shows in a sentence, its label as well.

    It is drawn for the page alone, so that LaTeX, which sets none, needn't wait for it.
    """

    title: str
    draw: Callable[[], str]
    caption: str = ""

    @cached_property
    def drawn(self) -> tuple[str | None, str]:
        """The SVG element and an empty text, or None and why it can't be drawn."""
        return attempted(self.draw)


@dataclass
class Part:
    """One part of the report under its heading. ``not_done``: what can't be computed, and why.

    A page folds it behind its heading unless it is ``first``, of those that a reader sees at once.
    """

    title: str
    first: bool = False
    sentences: list[str] = field(default_factory=list)
    blocks: list[Table | Picture | Gallery] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The part's address within the page."""
        return _slug(self.title)

    @property
    def tables(self) -> list[Table]:
        """The part's tables, in order."""
        return [block for block in self.blocks if isinstance(block, Table)]


def _slug(title: str) -> str:
    """A title as files and addresses have it: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


Said = Callable[[], str]
"""What stands between a template's ``call`` and ``endcall``."""


def _line(text: str) -> str:
    return " ".join(text.split())


class Report:
    """A report before it is printed, as ``templates/study.jinja`` fills it from top to bottom.

    ``marks`` are shown on every part, table and figure; means have the name that they have of a
    ``task``. What a template calls around a text gives
    back an empty one: there is nothing to print in its place.
    """

    def __init__(
        self, title: str, marks: list[str], warnings: list[str], task: Task | None = None
    ) -> None:
        self.title, self.marks, self.warnings = title, marks, warnings
        self.task = task or TASKS["acr"]
        self.lead: list[str] = []
        self.parts: list[Part] = []

    @property
    def tables(self) -> list[Table]:
        """Every table of it, in order."""
        return [table for part in self.parts for table in part.tables]

    def summary(self, caller: Said) -> str:
        """A sentence for the head of the report, or why it can't be had."""
        said, why = attempted(caller)
        self.lead.append(why if said is None else _line(said))
        return ""

    def part(self, title: str, caller: Said, first: bool = False) -> str:
        """A part, or one in its place that says why it can't be had."""
        place = len(self.parts)
        self.parts.append(Part(title, first))
        made, why = attempted(caller)
        if made is None:
            self.parts[place:] = [Part(title, first, not_done=[why])]
        return ""

    def attempt(self, what: str, caller: Said) -> str:
        """Tables and figures of the current part, or why they can't be computed."""
        before = len(self.parts[-1].blocks)
        made, why = attempted(caller)
        if made is None:
            del self.parts[-1].blocks[before:]
            self.parts[-1].not_done.append(in_task(f"{what}: {why}", self.task))
        return ""

    def say(self, caller: Said) -> str:
        """A sentence of the current part."""
        self.parts[-1].sentences.append(_line(caller()))
        return ""

    def lack(self, caller: Said) -> str:
        """A sentence on what can't be computed."""
        self.parts[-1].not_done.append(_line(caller()))
        return ""

    def command(self, caller: Said) -> str:
        """A command by which something of the report is made."""
        self.parts[-1].commands.append(caller())
        return ""

    def row(self, rows: list[Sequence[object]], *values: object, caller: Said) -> str:
        """A row for ``frame``: ``values``, and a text as the last."""
        rows.append([*values, _line(caller())])
        return ""

    def table(
        self,
        title: str,
        frame: pd.DataFrame,
        columns: Columns,
        notes: Sequence[str] = (),
        printed: pd.DataFrame | None = None,
    ) -> None:
        """A table; its name within files is made of its title."""
        self.show(table_of(_slug(title), title, frame, columns, notes, printed=printed))

    def show(self, table: Table, title: str = "") -> None:
        """A table that has been made elsewhere, under a ``title`` of its own."""
        own = replace(table, title=title or table.title, notes=list(table.notes))
        self.parts[-1].blocks.append(named(own, self.task))

    def note(self, caller: Said) -> str:
        """A note under the table that came last."""
        self.parts[-1].tables[-1].notes.append(in_task(_line(caller()), self.task))
        return ""

    def picture(self, title: str, svg: str | Callable[[], str], caption: str = "") -> None:
        """A figure: its SVG element, or what draws it."""

        def draw() -> str:
            return in_task(svg if isinstance(svg, str) else svg(), self.task)

        title, caption = (in_task(text, self.task) for text in (title, caption))
        self.parts[-1].blocks.append(Picture(title, draw, caption))

    def gallery(self, made: Gallery) -> None:
        """Crops of the pictures that were rated."""
        self.parts[-1].blocks.append(made)


def study_report(
    data: StudyData,
    scores: pd.DataFrame | None = None,
    score_notes: Sequence[str] = (),
    sources: Sequence[tuple[str, str]] = (),
    commands: Sequence[str] = (),
    stimuli: Path | None = None,
) -> Report:
    """The report of a study; of the frozen pictures in the folder ``stimuli`` it shows a few.

    ``scores`` and ``score_notes`` as ``study_scores`` gives them; ``sources``: what else is to
    be named with its hash; ``commands``: what exports the votes and makes the report again. What
    the votes don't allow is said in its place instead of failing.
    """
    kind = data.design.task.kind
    task = None if kind == "pair" else TASKS[kind]
    report = Report(data.design.title, study_marks(data), study_warnings(data), task)
    facts = facts_of(data, scores)
    with Beside(facts.later) as facts.beside:
        render_page(
            "study_pairs.jinja" if data.design.task.pair else "study_votes.jinja",
            report=report,
            data=data,
            facts=facts,
            score_notes=score_notes,
            sources=sources,
            commands=commands,
            galleries=list(galleries(data, stimuli)) if stimuli else [],
            **_WORDS,
        )
    return report


def facts_of(data: StudyData, scores: pd.DataFrame | None = None) -> StudyFacts | PairFacts:
    """What is computed of a study, by its task."""
    return PairFacts(data, scores) if data.design.task.pair else StudyFacts(data, scores)


def to_html(report: Report) -> str:
    """One file: no script, style, font or image from elsewhere; complete without its script."""
    return render_page("study.html", report=report, version=sreval.__version__)


def to_latex(report: Report) -> str:
    """All tables, a section per part; the report's marks on every page and in every caption."""
    return render_page("study.tex", report=report)


PAGE, LATEX, PDF, CONTENTS = "index.html", "tables.tex", "tables.pdf", "report.json"
FORMAT = 1

_OFFLINE = ["-interaction=nonstopmode", "-no-shell-escape"]
_PROGRAMS = {
    "xelatex": [[*_OFFLINE, "-no-pdf"], _OFFLINE],
    "pdflatex": [[*_OFFLINE, "-draftmode"], _OFFLINE],
    "tectonic": [["--only-cached"]],
}
"""In the order they are tried, with the options of each run: longtable settles its widths in the
first, and only the second need write a PDF. tectonic would else fetch packages from a network."""

_SECONDS = 120


STEPS = 3
"""How often ``write_report`` tells that it has gone on."""


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written; a path as well, that of its page.

    ``files`` are the names within the folder; ``warnings`` what must be known before it is used,
    where a part of it failed in a way that it should not as well;
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
    database: str | None = None,
    stimuli: Path | None = None,
    step: Callable[[], object] = lambda: None,
) -> WrittenReport:
    """Write the report of ``data`` as the folder ``out``; an older one of the study is replaced.

    ``folders`` hold benchmark results of the rated images; ``study`` is the name or folder by
    which the commands that are printed in the report find the study, ``database`` the one that was
    named for it, ``stimuli`` the folder of its frozen pictures. Raises what ``check_folder``,
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
    named = as_arguments(study, database)
    again = _again(folders, protocol, out, data.state != "closed" and not data.rehearsed)
    commands = [f"sreval study export {named}", f"sreval report {named} {again}"]
    made = study_report(data, scores, notes, sources, commands, stimuli)
    step()
    latex = _encoded(to_latex(made))
    with ThreadPoolExecutor(1) as beside:  # LaTeX has a core of its own where there are two
        compiled = beside.submit(compile_pdf, latex.decode())
        files = _files(made) | {LATEX: latex}
        step()
        pdf, why = compiled.result()
    if pdf is not None:
        files[PDF] = pdf
    facts = {"marks": made.marks, "state": data.state, "design_sha256": data.design_sha256}
    write_folder(out, name, files, facts)
    step()
    faults = [said for part in made.parts for said in part.not_done if UNFORESEEN in said]
    warnings = (*made.warnings, *faults)
    return WrittenReport(out / PAGE, tuple(sorted(files)), warnings, why, facts)


def _files(made: Report) -> dict[str, bytes]:
    """The page, and each table as CSV."""
    files = {PAGE: to_html(made)}
    for index, table in enumerate(made.tables, 1):
        frame = table.frame.assign(marks=", ".join(made.marks)) if made.marks else table.frame
        if len(frame):
            files[f"csv/{index:02}-{table.analysis}.csv"] = csv_text(frame)
    return {name: _encoded(text) for name, text in files.items()}


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


def _again(folders: Sequence[Path], protocol: str | None, out: Path, allow_open: bool) -> str:
    """The options of a command that makes the report again."""
    words = ["--allow-open"] * allow_open
    for folder in folders:
        words += ["--results", str(folder)]
    words += ["--protocol", protocol] if protocol else []
    return shlex.join([*words, "--out", str(out)])


def check_folder(out: Path, study: str) -> None:
    """Raise DataError unless ``out`` is absent, empty, or an unchanged report of ``study``."""
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not out.is_symlink() and not any(out.iterdir()):
        return
    remedy = f"Name another folder with {option('--out')}."
    try:
        contents = read_json(out / CONTENTS)
        name, files = str(contents["sreval_report"]), {CONTENTS, *contents["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{out} exists and isn't a report of sreval.", remedy) from None
    if name != study:
        raise DataError(f"{out} is the report of the study {name}, not of {study}.", remedy)
    present = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    strange = sorted(present - files)
    if strange or out.is_symlink():
        what = f"{out} also holds {strange[0]}" if strange else f"{out} is a symbolic link"
        raise DataError(f"{what}, which a new report would remove.", remedy)


def write_folder(out: Path, study: str, files: Mapping[str, bytes], facts: object) -> None:
    """Write the report of ``study`` as ``out`` in one step; ``facts`` go into report.json.

    An older report of the same study is replaced. Raises what ``check_folder`` raises, and
    DataError when the folder can't be written; what stood there before is then untouched.
    """
    check_folder(out, study)
    contents = {
        "sreval_report": study,
        "format": FORMAT,
        "facts": facts,
        "files": {name: sha256_bytes(data) for name, data in sorted(files.items())},
    }
    text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    # What single raters wrote and did is in it: who publishes the folder opens it to others.
    with atomic_folder(out.resolve(), replace=True, private=True) as new:
        for name, data in {**files, CONTENTS: text.encode()}.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(data)


def compile_pdf(latex: str) -> tuple[bytes | None, str]:
    """The PDF of ``latex``, or None and why there is none: LaTeX not installed, or failing."""
    program = next((name for name in _PROGRAMS if shutil.which(name)), None)
    if program is None:
        return None, f"no PDF: none of {', '.join(_PROGRAMS)} is installed"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tables.tex"
        source.write_text(latex, encoding="utf-8")
        for options in _PROGRAMS[program]:
            command = [program, *options, source.name]
            try:
                ran = subprocess.run(
                    command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return None, f"no PDF: {program} failed ({type(error).__name__})"
        pdf = source.with_suffix(".pdf")
        if not pdf.is_file():
            said = [
                line for line in ran.stdout.decode(errors="replace").splitlines() if line[:1] == "!"
            ]
            return None, f"no PDF: {program} failed{': ' + said[0] if said else ''}"
        return pdf.read_bytes(), ""
