"""What a paper's supplement needs, of results and studies, as one zip file."""

from __future__ import annotations

import dataclasses
import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill, indent
from typing import Any

import pandas as pd

import sreval
from sreval.benchmarking.results import ResultsFolder, Snapshot, place
from sreval.content import document
from sreval.errors import DataError, UsageError, attempted, counted, option
from sreval.files import atomic_file, sha256_bytes, sha256_file, zip_entry
from sreval.report import preferences
from sreval.report.anonymous import Places, anonymous_votes
from sreval.report.collect import by_folder, collect, scored, select
from sreval.report.methods_text import methods_text
from sreval.report.notes import study_warnings
from sreval.report.opinion_rows import has_mos, load, results_table
from sreval.report.opinions import Request, analyse
from sreval.report.render import csv_text
from sreval.report.table import Table
from sreval.store.csvs import to_csv
from sreval.study.data import StudyData

README, SUMS = "README.txt", "SHA256SUMS"
_DICTIONARY = "data-dictionary.md"

Files = dict[str, bytes | Path]
"""What goes into the archive: by its name there, the content or the file that has it."""


def archive(
    results: Sequence[Path],
    studies: Sequence[Path],
    out: Path,
    *,
    images: bool = False,
    baseline: str | None = None,
    database: str | None = None,
    databases: Mapping[Path, str] | None = None,
    allow_open: bool = False,
    replace: bool = False,
) -> Path:
    """Pack results folders and studies into the zip file ``out``, whole or not at all; its path.

    Holds the tables of every protocol and scale as text, LaTeX and CSV (with MOS where there are
    studies, with tests against ``baseline`` where one is named), the tidy rows, the manifests, the
    commands, the methods paragraph; of a study the design, the list of its stimuli and anonymous
    votes; with ``images`` every SR image. A README says what each file is. No path of the machine
    is in it, no link or code, and of raters no pseudonym, answer or time. The same input gives the
    same bytes. Votes are read from ``databases`` for the studies named there, else
    from ``database``, else from where a study's folder says.

    Raises UsageError where there is nothing to pack, ``out`` is there already and not to be
    ``replace``d, or a study is not closed unless ``allow_open`` and its design permit it; DataError
    for results that can't be read, whose run hasn't ended or that are not of the images that a
    study rated, and when ``out`` can't be written.
    """
    if not results and not studies:
        raise UsageError("There is nothing to pack.", "Name results folders, studies or both.")
    if out.suffix.lower() != ".zip":
        raise UsageError(f"{out} doesn't end in .zip.", "Name the archive NAME.zip.")
    if out.is_dir() or (out.exists() and not replace):
        raise UsageError(
            f"{out} exists already.",
            "Name a new file."
            if out.is_dir()
            else f"Name a new file, or add {option('--replace', 'replace=True')}.",
        )
    own = databases or {}
    data = [load(f, own.get(f, database), allow_open=allow_open, means=True) for f in studies]
    files: Files = {}
    said = [_opinion_study(one) for one in data]
    for folder in results:
        Snapshot.of(folder).require_finished()
    if results:
        left_out: list[str] = []
        frame = collect(results, left_out.append)
        files |= _tables(frame, [one for one in data if has_mos(one)], baseline)
        said.append(methods_text(frame, results, left_out))
        for name, folder in _named(results).items():
            files |= _results(folder, f"results/{name}", images)
    for one in data:
        files |= _study(one, f"studies/{one.design.name}")
    if data:
        files[_DICTIONARY] = document(_DICTIONARY).read_bytes()
    files["methods.txt"] = "\n".join(said).encode()
    files[README] = _readme(files, data, images).encode()
    files[SUMS] = _sums(files).encode()
    _write(out, files)
    return out


def is_results(folder: Path) -> bool:
    """Whether a folder is one of results, finished or not, and not a study's."""
    return ResultsFolder(folder).is_one


def _tables(frame: pd.DataFrame, data: Sequence[StudyData], baseline: str | None) -> Files:
    """Every protocol and scale as tables, MOS among them where the rated images have scores.

    Raises DataError for studies whose images have scores under no protocol.
    """
    files: Files = {}
    refused: list[DataError] = []
    with_opinions = 0
    rows = scored(frame)
    for protocol, scale in sorted(set(zip(rows["protocol"], rows["scale"], strict=True))):
        own = select(_of(frame, protocol, scale), protocol, scale)
        try:
            table = results_table(own, studies=data, baseline=baseline)
            with_opinions += 1
        except DataError as error:
            refused.append(error)
            table = results_table(own, baseline=baseline)
        name = f"tables/{place(protocol, scale)}"
        for form, ending in (("text", "txt"), ("latex", "tex"), ("csv", "csv")):
            files[f"{name}.{ending}"] = table.render(form).encode()
        if baseline is not None:
            files[f"{name}-tests.csv"] = table.tests_csv().encode()
    if refused and not with_opinions:
        raise refused[0]
    return files


def _of(frame: pd.DataFrame, protocol: str, scale: float) -> pd.DataFrame:
    """The rows of folders that have any of that protocol and scale: of the others none is asked."""
    every = by_folder(frame)
    there = every[(every["protocol"] == protocol) & (every["scale"] == scale)]
    return frame.loc[every.index[every["folder"].isin(there["folder"])].unique()]


def _results(folder: Path, name: str, images: bool) -> Files:
    """Rows, manifest and commands of a results folder without the machine's folders."""
    found = ResultsFolder(folder)
    manifest = found.manifest
    places = Places(manifest)
    rows = pd.read_csv(found.results, dtype=str, keep_default_na=False)
    rows["note"] = rows["note"].map(places)
    commands = dict.fromkeys(run["command"] for run in manifest["runs"] if run.get("command"))
    files: Files = {
        f"{name}/{found.results.name}": rows.to_csv(index=False, lineterminator="\n").encode(),
        f"{name}/{found.manifest_file.name}": _json(places.of(manifest)),
        f"{name}/commands.txt": "".join(f"{_command(one, places)}\n" for one in commands).encode(),
    }
    if images:
        subjects = rows[["dataset", "scale", "method", "image", "sr_sha256"]].drop_duplicates()
        for dataset, scale, method, image, sha256 in subjects.itertuples(index=False):
            path = found.sr_image(dataset, float(scale), method, image)
            if not path.is_file() or sha256_file(path) != sha256:
                raise DataError(
                    f"{path} is no longer the image that was scored.",
                    "Run the benchmark again.",
                )
            files[f"{name}/{path.relative_to(folder).as_posix()}"] = path
    return files


def _command(command: str, places: Places) -> str:
    """A command line without the machine's folders, still one that a shell reads.

    A call in Python stays as it is but for the folders.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # what called a benchmark from Python may have put anything there
        return places(command)
    return shlex.join(map(places, words)) if words[:1] == ["sreval"] else places(command)


def _study(data: StudyData, name: str) -> Files:
    """Design, stimuli, anonymous votes, and what the votes say, of one study."""
    votes = anonymous_votes(data)
    design = data.design.model_dump(mode="json", exclude={"outcomes"})
    facts = {
        "name": data.design.name,
        "state": data.state,
        "simulated": data.simulated,
        "stand_ins": list(data.stand_ins),
        "design_sha256": data.design_sha256,
        "manifest_sha256": data.manifest.sha256,
        "raters": int(votes["rater"].nunique()),
        "raters_deleted_at_their_wish": data.deleted,
        "votes": len(votes),
        "votes_used": int((votes["accepted"] & (votes["kind"] == "vote")).sum()),
        "looks_before_closing": len(data.looks),
        "warnings": study_warnings(data),
    }
    files: Files = {
        f"{name}/design.json": _json(design),
        f"{name}/stimuli.json": data.manifest.as_json().encode(),
        f"{name}/study.json": _json(facts),
        f"{name}/votes.csv": to_csv(votes),
    }
    if len(votes):
        said = study_warnings(data)
        kind, tables = _analysed(data)
        texts = [table.to_text() for table in tables]
        text = "\n".join([*said, *[""] * bool(said), *texts])
        files[f"{name}/{kind}.txt"] = text.encode()
        for number, table in enumerate(tables, 1):
            csv = csv_text(table.frame).encode()
            files[f"{name}/{kind}-{number:02}-{table.analysis}.csv"] = csv
    return files


def _analysed(data: StudyData) -> tuple[str, Sequence[Table]]:
    """What files of the analysis that the design plans are called, and its tables."""
    shown = dataclasses.replace(
        data, votes=anonymous_votes(dataclasses.replace(data, votes=data.analysed))
    )
    if data.design.task.pair:
        request = preferences.Request.planned(data)
        made, _ = attempted(lambda: preferences.analyse(shown.judgements, request))
        return "preferences", made.sections if made else ()
    differences = ("difference",) if data.design.task.with_reference else ()
    wanted = ("mos", *differences, "compare")
    tables, _ = analyse(shown.votes, wanted, Request.planned(data))
    return "opinions", tables


def _opinion_study(data: StudyData) -> str:
    """How one opinion study was made and analysed, as a paragraph for the paper."""
    from sreval.report.study_report import facts_of  # it draws: matplotlib

    text, *works = facts_of(data).methods
    cited = ["", "References", *(f"- {work}" for work in works)] if works else []
    return "\n".join([" ".join([text, *study_warnings(data)]), *cited, ""])


@dataclass(frozen=True)
class _Kind:
    """A kind of file of the archive, by how its name ends, and what it is."""

    ending: str
    about: str


_KINDS = (
    _Kind("methods.txt", "How opinions and results were obtained, as paragraphs for the paper, "
          "with the works that they cite."),
    _Kind("-tests.csv", "Every paired test of a table, one row each."),
    _Kind("/results.csv", "Every score, one row each, with the SHA-256 of the LR, SR and HR image, "
          "of the method, its weights and the protocol."),
    _Kind("/commands.txt", "The commands that made the results, in their order."),
    _Kind("/manifest.json", "What the names in results.csv stand for, and the runs: plan, "
          "protocols, versions, machine, failures."),
    _Kind("/design.json", "The whole design of the opinion study, as it was locked before the "
          "first vote. Completion codes are left out."),
    _Kind("/stimuli.json", "Every stimulus of the study with the SHA-256 of the PNG that was shown "
          "and of the image that was scored."),
    _Kind("/study.json", "The study's state, hashes and counts."),
    _Kind("/votes.csv", "Every vote, one row each. data-dictionary.md says what the columns mean. "
          "Raters are numbered by a hash of their votes; pseudonyms, sessions, times of day, "
          "devices and answers are left out."),
    _Kind("/opinions.txt", "Mean opinion scores and tests as the design plans them; with a hidden "
          "reference, difference scores."),
    _Kind("/preferences.txt", "Methods on one scale, tests as the design plans them, checks, "
          "images and raters."),
    _Kind(_DICTIONARY, "What the columns of votes.csv mean."),
)  # fmt: skip


def _readme(files: Mapping[str, object], data: Sequence[StudyData], images: bool) -> str:
    """What each file is: files of one kind together, then what they are."""
    names = sorted([*files, README, SUMS])
    lines = [f"Supplement, packed by sreval {sreval.__version__}.", ""]
    for one in data:
        lines += [f"{one.design.name}: {warning}" for warning in study_warnings(one)]
    lines += [""] * bool(lines[2:])
    alike: dict[str, list[str]] = {}
    for name in (name for name in names if "/images/" not in name):
        alike.setdefault(_about(name), []).append(name)
    for about, those in alike.items():
        lines += [*those, indent(fill(about, 92), "    ")]
    count = sum("/images/" in name for name in files)
    if images:
        lines += ["results/*/images/", f"    {counted(count, 'SR image')}, as they were scored."]
    lines += [
        "",
        f"To check that every file is whole: sha256sum -c {SUMS}",
        "To analyse the votes again: install sreval, then run sreval "
        f"{' or '.join(sorted({_command_of(one) for one in data}))} studies/NAME/votes.csv"
        if data
        else "To read the rows in Python: pandas.read_csv('results/NAME/results.csv')",
        "In commands and manifests, ~ stands for a home and ... for other folders.",
    ]
    return "\n".join(lines) + "\n"


def _command_of(data: StudyData) -> str:
    """The command that analyses the votes of a study."""
    return "preferences" if data.design.task.pair else "opinions"


def _about(name: str) -> str:
    if name == README:
        return "This file."
    if name == SUMS:
        return "The SHA-256 of every other file."
    for kind in _KINDS:
        if name.endswith(kind.ending):
            return kind.about
    if name.startswith("tables/"):
        return "The table of one protocol and scale, as text, as LaTeX (booktabs) and as CSV."
    return f"Every table of {name.split('/')[-1].split('-')[0]}.txt, with all digits."


def _sums(files: Files) -> str:
    return "".join(
        f"{sha256_file(data) if isinstance(data, Path) else sha256_bytes(data)}  {name}\n"
        for name, data in sorted(files.items())
    )


def _write(out: Path, files: Files) -> None:
    with atomic_file(out) as handle, zipfile.ZipFile(handle, "w") as packed:
        for name, data in sorted(files.items()):
            whole = data.read_bytes() if isinstance(data, Path) else data
            packed.writestr(zip_entry(name, compress=not name.endswith(".png")), whole)


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Results folders by their names, numbered where two have one."""
    named: dict[str, Path] = {}
    for folder in folders:
        name, number = folder.resolve().name, 1
        while name in named:
            number += 1
            name = f"{folder.resolve().name}-{number}"
        named[name] = folder
    return named


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
