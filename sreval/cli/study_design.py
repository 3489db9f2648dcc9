"""``sreval study new | check | plan | schema``: a design before anyone sits down."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval.cli.output import columns, print_json, put
from sreval.content import find
from sreval.errors import EXIT_PARTIAL, EXIT_USAGE, UsageError
from sreval.study.copying import copy_study
from sreval.study.design import StudyDesign, json_schema, load_design
from sreval.study.manifest import MANIFEST, Manifest, load_manifest
from sreval.study.plan import Item, make_plan

if TYPE_CHECKING:
    from sreval.study.check import Feasibility

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
STUDY = click.argument("study")


@click.command(epilog="Example: sreval study new faces --from ledig2017")
@click.argument("name")
@click.option("--from", "source", default="quick", show_default=True, help="The study to copy.")
def new(name: str, source: str) -> None:
    """Begin a study of your own as a copy of another's study.toml.

    It goes to SREVAL_HOME/studies where that is set, else to ./studies. Nothing is overwritten.
    The longest comments stand in ledig2017.
    """
    click.echo(str(copy_study(name, find("studies", source))))


@click.command("check", epilog="Example: sreval study check ledig2017 --results results")
@STUDY
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of `sreval benchmark`, for a study that isn't frozen; may be repeated.",
)
@AS_JSON
def check_command(study: str, results: tuple[Path, ...], as_json: bool) -> None:
    """Prove that a design can be met, and say how long a rater will sit and what can be found.

    A study that isn't frozen is checked against the data sets on this machine. Where no outcome
    could be significant, that is said; for comparisons that the design names, it can't be met.
    Exit code 2 when the design can't be met, 3 when it can and images are missing.
    """
    from sreval.study.check import check
    from sreval.study.pools import at_hand

    folder = find("studies", study)
    design = load_design(folder)
    manifest = load_manifest(folder) if (folder / MANIFEST).is_file() else None
    if manifest and results:
        raise UsageError(f"{study} is frozen: its stimuli are what they are.", "Omit --results.")
    found = check(design, manifest, None if manifest else at_hand(design, results))
    if as_json:
        print_json(_as_json(found))
    else:
        click.echo("\n".join(_as_text(study, design, manifest, found)))
    if found.problems or found.missing:
        raise click.exceptions.Exit(EXIT_USAGE if found.problems else EXIT_PARTIAL)


@click.command(epilog="Example: sreval study plan quick --rater 0 --json")
@STUDY
@click.option("--rater", type=click.IntRange(0), default=0, show_default=True, help="The order.")
@click.option("--slot", type=click.IntRange(0), help="The stimuli.  [default: as the rater]")
@click.option("--out", type=click.Path(path_type=Path), help="Write a CSV file instead.")
@AS_JSON
def plan(study: str, rater: int, slot: int | None, out: Path | None, as_json: bool) -> None:
    """Print what one rater will be shown, item by item, and why.

    Raters count from 0. `--slot` gives the place of a rater who dropped out to another one.
    """
    folder = find("studies", study)
    items = make_plan(
        load_design(folder), load_manifest(folder), rater if slot is None else slot, rater
    )
    if out:
        put(_as_csv(items), out)
    elif as_json:
        print_json([asdict(item) for item in items])
    else:
        click.echo(columns([_HEAD, *map(_row, items)]))


@click.command(epilog="Example: sreval study schema --out studies/study.schema.json")
@click.option("--out", type=click.Path(path_type=Path), help="Write it to a file instead.")
def schema(out: Path | None) -> None:
    """Print the JSON schema of study.toml, for editors that check and complete it."""
    put(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n", out)


_HEAD = ["position", "sitting", "kind", "data set", "image", "method", "why"]


def _row(item: Item) -> list[object]:
    return [
        item.position,
        item.sitting,
        item.kind,
        item.dataset,
        item.image,
        item.method,
        item.reason,
    ]


def _as_csv(items: tuple[Item, ...]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Item.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, items))
    return text.getvalue()


def _as_json(found: Feasibility) -> dict[str, Any]:
    return {
        "feasible": not found.problems,
        **asdict(found),
        "minutes": round(found.minutes, 1),
    }


def _as_text(
    study: str, design: StudyDesign, manifest: Manifest | None, found: Feasibility
) -> list[str]:
    counts = [f"{count} {kind}" for kind, count in found.counts.items() if count]
    state = f"frozen, {len(manifest.stimuli)} stimuli" if manifest else "not frozen"
    least, most = found.exposures
    votes = f"{most} vote{'s' * (most != 1)}"
    votes = votes if least == most else f"{least} or {votes}"
    rows = [
        ["study", f"{design.name}: {design.title} ({state})"],
        ["raters", f"{design.raters}; every stimulus gets {votes}"],
        ["a rater", f"{sum(found.counts.values())} items: {', '.join(counts)}"],
        *_sitting_rows(found),
        *_test_rows(found),
    ]
    lines = [columns(rows)]
    if found.missing:
        lines += ["", *_missing(study, manifest, found)]
    if manifest and manifest.stand_ins:
        lines += ["", f"Stand-ins take the places of {', '.join(manifest.stand_ins)}."]
    lines += ["", *(f"Note: {note}" for note in found.notes)] if found.notes else []
    if not found.problems:
        return [*lines, "", "The design can be met."]
    said = (f"{p.constraint}: {p.what}. {p.remedy}" for p in found.problems)
    return [*lines, "", "The design can't be met.", *said]


def _test_rows(found: Feasibility) -> list[list[str]]:
    from sreval.report.sections import CORRECTIONS

    rows = []
    for made in found.tests:
        least = "–" if made.least_p_adjusted is None else f"{made.least_p_adjusted:.2g}"
        compared = f"{made.comparisons} comparison{'s' * (made.comparisons != 1)}"
        units = f"{made.n} {made.unit}{'s' * (made.n != 1)}"
        rows.append(
            f"{made.dataset}: {compared} over {units}, {CORRECTIONS[made.correction]}, alpha "
            f"{made.alpha:g}; least adjusted p {least}"
        )
    return [["tests" if i == 0 else "", text] for i, text in enumerate(rows)]


def _sitting_rows(found: Feasibility) -> list[list[str]]:
    many = len(found.sittings) > 1
    rows = []
    for (items, breaks, minutes), times in Counter(
        (s.items, s.breaks, round(s.minutes)) for s in found.sittings
    ).items():
        pauses = f", {breaks} break{'s' * (breaks > 1)}" if breaks else ""
        each = f"{times} x " if times > 1 else ""
        rows.append(f"{each}{items} items{pauses}, about {max(minutes, 1)} minutes")
    named = [["sittings" if i == 0 else "", text] for i, text in enumerate(rows)]
    return [*named, ["in all", f"about {round(found.minutes)} minutes"]] if many else named


def _missing(study: str, manifest: Manifest | None, found: Feasibility) -> list[str]:
    counts = found.missing_methods
    datasets = list(dict.fromkeys(name for name, _ in counts))
    methods = dict.fromkeys(method for _, method in counts)
    rows = [["images not at hand", *datasets]]
    rows += [[m, *(str(counts.get((name, m), "-")) for name in datasets)] for m in methods]
    lost = "Freeze the study again: sreval study freeze"
    bring = f"Bring them: sreval study freeze {study} --results FOLDER"
    instead = f"Or let marked degradations of HR take their places: sreval study freeze {study}"
    return [
        columns(rows),
        *([f"{lost} {study}"] if manifest else [bring, f"{instead} --stand-ins"]),
    ]
