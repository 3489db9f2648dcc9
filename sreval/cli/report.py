"""``sreval report``: a study's design, raters and results as one page."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from sreval.cli.output import print_json, progress_line
from sreval.content import find
from sreval.files import sha256_file
from sreval.report.records import csv_text
from sreval.report.study_files import LATEX, PAGE, PDF, check_folder, write_folder
from sreval.report.study_latex import compile_pdf, to_report_latex
from sreval.report.study_load import load
from sreval.report.study_page import Report, study_report, to_html
from sreval.report.study_scores import study_scores


@click.command(epilog="Example: sreval report ledig2017 --results results --out report")
@click.argument("study")
@click.option(
    "--results",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Benchmark results of the rated images, for metrics beside opinion; may be repeated.",
)
@click.option("--protocol", help="Of the results; default: ledig2017 where it was run.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder. Default: STUDY-report, here."
)
@click.option("--database", help="URL of the votes; default: SREVAL_DATABASE, else the study's.")
@click.option(
    "--allow-open", is_flag=True, help="Also of a study that is not closed; marked as interim."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
def report(
    study: str,
    folders: tuple[Path, ...],
    protocol: str | None,
    out: Path | None,
    database: str | None,
    allow_open: bool,
    as_json: bool,
) -> None:
    """Write the report of STUDY: one HTML page, every table as LaTeX and CSV.

    The page needs nothing from elsewhere and can be printed. Tables become a PDF where
    LaTeX is installed. An older report of the same study is replaced.
    """
    folder = find("studies", study)
    with progress_line(4, "report", "step") as line:
        data = load(folder, database, allow_open=allow_open)
        name = data.design.name
        out = out or Path(f"{name}-report")
        check_folder(out, name)
        line.update()
        scores, notes = study_scores(folders, protocol, data) if folders else (None, [])
        sources = [
            (f"{place}/results.csv, SHA-256", sha256_file(place / "results.csv"))
            for place in folders
        ]
        if scores is not None:
            chosen = scores.iloc[0]
            sources.append((f"protocol {chosen['protocol']}, SHA-256", chosen["protocol_sha256"]))
            sources += [("scored by sreval", code) for code in sorted(scores["code"].unique())]
        made = study_report(data, scores, notes, sources, _command(study, folders, protocol, out))
        line.update()
        files = _files(made)
        line.update()
        pdf, why = compile_pdf(files[LATEX].decode())
        if pdf is not None:
            files[PDF] = pdf
        facts = {"marks": made.marks, "state": data.state, "design_sha256": data.design_sha256}
        write_folder(out, name, files, facts)
        line.update()
    if as_json:
        print_json({"page": str(out / PAGE), "files": sorted(files), "note": why, **facts})
        return
    for said in [*made.warnings, *([f"{LATEX}: {why}."] if why else [])]:
        click.echo(said, err=True)
    click.echo(str(out / PAGE))


def _files(made: Report) -> dict[str, bytes]:
    files = {PAGE: to_html(made), LATEX: to_report_latex(made)}
    for index, section in enumerate(made.sections, 1):
        frame = section.frame.assign(marks=", ".join(made.marks)) if made.marks else section.frame
        if len(frame):
            files[f"csv/{index:02}-{section.analysis}.csv"] = csv_text(frame)
    return {name: text.encode(errors="replace") for name, text in files.items()}


def _command(study: str, folders: tuple[Path, ...], protocol: str | None, out: Path) -> str:
    words = ["sreval", "report", study]
    for folder in folders:
        words += ["--results", str(folder)]
    words += ["--protocol", protocol] if protocol else []
    return shlex.join([*words, "--out", str(out)])
