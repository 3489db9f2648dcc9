"""``sreval study``: the group, and what comes before the first rater."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli import LazyGroup
from sreval.cli.shared import (
    ADJUSTMENT,
    PATH,
    counting,
    json_option,
    on_study,
    print_json,
    put,
    results_option,
    warn,
)
from sreval.errors import Exit
from sreval.opinions.units import STUDIES
from sreval.progress import progress_line
from sreval.report.text import columns

COMMANDS = {
    "new": ("sreval.cli.study:new", "Begin a study as a copy of another's design."),
    "check": (
        "sreval.cli.study:check",
        "Check that a design can work, and how long it takes.",
    ),
    "plan": ("sreval.cli.study:plan", "Print what one rater will be shown, and why."),
    "schema": ("sreval.cli.study:schema", "Print the JSON schema of study.toml."),
    "freeze": ("sreval.cli.study:freeze", "Save the images to be rated, exactly as scored."),
    "simulate": ("sreval.cli.study:simulate", "Send simulated raters through the site."),
    "serve": ("sreval.cli.site:study_serve", "Serve a study's rating site from this machine."),
    "invite": ("sreval.cli.study_run:invite", "Make links for raters."),
    "status": (
        "sreval.cli.study_run:status",
        "Show each rater's progress and the number of votes.",
    ),
    "pause": (
        "sreval.cli.study_run:pause",
        "Pause the study: no vote is accepted until it resumes.",
    ),
    "resume": ("sreval.cli.study_run:resume", "Accept votes again after a pause."),
    "extend": ("sreval.cli.study_run:extend", "Raise a link's quota or move its last day."),
    "release": ("sreval.cli.study_run:release", "Free the places of raters who dropped out."),
    "revoke": ("sreval.cli.study_run:revoke", "Disable a link; votes cast through it stay."),
    "delete-rater": ("sreval.cli.study_run:delete_rater", "Delete all data of one rater."),
    "purge": ("sreval.cli.study_run:purge", "Delete all raters' data after the retention date."),
    "close": ("sreval.cli.study_run:close", "End the study: no vote is accepted afterwards."),
    "export": ("sreval.cli.study_run:export", "Write a study's data as CSV files."),
    "import": ("sreval.cli.study_run:import_command", "Store an export in a database."),
    "backup": ("sreval.cli.study_run:backup", "Copy the database, even while raters vote."),
    "restore": ("sreval.cli.study_run:restore", "Replace the database by a backup."),
    "upgrade": ("sreval.cli.study_run:upgrade", "Bring the database's tables up to date."),
    "power": ("sreval.cli.study:power", "Compute how many raters a difference needs."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def study() -> None:
    """Design, plan and run an opinion study."""


STUDY = click.argument("study")


@click.command(epilog="Example: sreval study new faces --from ledig2017")
@click.argument("name")
@click.option("--from", "source", default="quick", show_default=True, help="The study to copy.")
def new(name: str, source: str) -> None:
    """Begin a study of your own as a copy of another's study.toml.

    It goes to SREVAL_HOME/studies where that is set, else to ./studies. Nothing is overwritten.
    The longest comments stand in ledig2017.
    """
    click.echo(str(api.Study.new(name, source).folder / "study.toml"))


@click.command(epilog="Example: sreval study check ledig2017 --results results")
@STUDY
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of `sreval benchmark`, for a study that isn't frozen; may be repeated.",
)
@json_option()
def check(study: str, results: tuple[Path, ...], as_json: bool) -> None:
    """Check that a design can work, how long a rater will take, and what it can show.

    A study that isn't frozen is checked against the data sets on this machine. A note names
    every comparison in which no outcome could be significant; one that the design plans is an
    error. Exits with 2 when the design can't work, with 3 when only images are missing.
    """
    found = api.Study(study).check(results)
    if as_json:
        figures = {name: value for name, value in asdict(found).items() if name != "text"}
        minutes = round(found.minutes, 1)
        print_json({"feasible": found.feasible, **figures, "minutes": minutes})
    else:
        click.echo(found.text)
    if found.problems or found.missing:
        raise SystemExit(Exit.USAGE if found.problems else Exit.PARTIAL)


@click.command(epilog="Example: sreval study plan quick --rater 0 --json")
@STUDY
@click.option("--rater", type=click.IntRange(0), default=0, show_default=True, help="The order.")
@click.option("--slot", type=click.IntRange(0), help="The stimuli.  [default: as the rater]")
@click.option("--out", type=PATH, help="Write a CSV file instead.")
@json_option()
def plan(study: str, rater: int, slot: int | None, out: Path | None, as_json: bool) -> None:
    """Print what one rater will be shown, item by item, and why.

    Raters count from 0. `--slot` gives the place of a rater who dropped out to another one.
    """
    items = api.Study(study).plan(rater, slot=slot)
    if out:
        put(items.to_csv(index=False, lineterminator="\n"), out)
    elif as_json:
        print_json(items.to_dict("records"))
    else:
        shown = items[["position", "sitting", "kind", "dataset", "image", "method", "reason"]]
        head = ["position", "sitting", "kind", "data set", "image", "method", "why"]
        click.echo(columns([head, *shown.to_numpy().tolist()]))


@click.command(epilog="Example: sreval study schema --out studies/study.schema.json")
@click.option("--out", type=PATH, help="Write it to a file instead.")
def schema(out: Path | None) -> None:
    """Print the JSON schema of study.toml, for editors that check and complete it."""
    put(json.dumps(api.Study.schema(), indent=1, ensure_ascii=False) + "\n", out)


@click.command(epilog="Example: sreval study freeze mine --results results")
@STUDY
@results_option("A folder that `sreval benchmark` wrote; may be repeated.")
@click.option(
    "--stand-ins",
    is_flag=True,
    help="Let marked degradations of the original replace methods whose images are missing.",
)
@click.option("--again", is_flag=True, help="Replace the stimuli of a study that is frozen.")
@json_option("Machine-readable summary.")
def freeze(study: str, results: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Write a study's stimuli, as they were scored, and the manifest of their hashes.

    nearest, bicubic, lanczos and hr need no results. All versions of one image have the same
    length and the same header. A freeze that was interrupted is begun again by the same command.
    """
    with progress_line(0, "freezing", "image") as line:
        frozen = api.Study(study).freeze(results, progress=counting(line), **chosen)
    manifest = frozen.manifest
    if as_json:
        print_json(
            {
                "manifest": str(frozen.path),
                "sha256": manifest.sha256,
                "stimuli": len(manifest.stimuli),
                "bytes": frozen.bytes,
                "stand_ins": list(manifest.stand_ins),
                "notes": list(frozen.notes),
            }
        )
        return
    if manifest.stand_ins:
        warn(f"Stand-ins take the places of {', '.join(manifest.stand_ins)}.")
    for note in frozen.notes:
        warn(f"Note: {note}")
    warn(f"{len(manifest.stimuli)} stimuli, {frozen.bytes / 1e6:.0f} MB.")
    click.echo(str(frozen.path))


@click.command(epilog="Example: sreval study simulate mine --raters 26 --database trial.sqlite")
@click.option("--raters", type=click.IntRange(1, 500), required=True, help="How many.")
@on_study
@click.option(
    "--qualities",
    default="paper",
    show_default=True,
    help="True qualities: the paper's opinion scores, or a CSV with method, quality[, dataset].",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option("Machine-readable summary.")
def simulate(study: api.Study, raters: int, qualities: str, seed: int, as_json: bool) -> None:
    """Let simulated raters go through a frozen study, by the site's steps but without HTTP.

    Their links, votes and figures are marked as simulated; a study that has real raters is
    refused. Nobody waits in breaks: the clock is put forward. Exits with 3 when some raters did
    not come to the end, with 1 when none did.
    """
    known = None if qualities == "paper" else Path(qualities)
    try:
        with progress_line(0, "rating", "vote") as line:
            made = study.rehearse(raters, known, seed=seed, progress=counting(line))
    except KeyboardInterrupt:
        warn("Interrupted. Votes that were acknowledged are kept.")
        raise SystemExit(Exit.INTERRUPTED) from None
    for reason in dict.fromkeys(map(str, made.failures)):
        warn(f"failed: {reason}")
    sent = len(made.visits)
    if as_json:
        print_json(
            {
                "study": study.given,
                "database": study.url,
                "raters": sent,
                "complete": made.complete,
                "failed": len(made.failures),
                "votes": made.votes,
            }
        )
    else:
        click.echo(f"{sent} simulated raters, {made.complete} to the end; {made.votes} votes.")
    if made.complete < sent:
        raise SystemExit(Exit.PARTIAL if made.complete else Exit.FAILED)


@click.command(epilog="Example: sreval study power --difference 0.2 --images 100 --raters 26")
@click.option(
    "--difference",
    "differences",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    default=(0.1, 0.2, 0.3),
    show_default=True,
    help="True difference of two methods in points; may be repeated.",
)
@click.option(
    "--raters",
    multiple=True,
    type=click.IntRange(2),
    default=(6, 8, 10, 13, 16, 20, 26, 34, 44, 56),
    show_default=True,
)
@click.option(
    "--images", multiple=True, type=click.IntRange(1), default=(14, 100), show_default=True
)
@click.option("--unit", type=click.Choice(["rater", "image"]), default="rater", show_default=True)
@click.option(
    "--methods",
    type=click.IntRange(2),
    default=2,
    show_default=True,
    help="Methods of the study, all pairs of which are compared.",
)
@click.option(
    "--comparisons",
    type=click.IntRange(1),
    help="Comparisons of a study that plans fewer.  [default: all pairs of the methods]",
)
@ADJUSTMENT
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
)
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
)
@click.option("--studies", type=click.IntRange(1), default=STUDIES, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option("Every value in full.")
def power(differences: tuple[float, ...], target: float, as_json: bool, **chosen: Any) -> None:
    """How many raters and images a difference needs, by simulation from the rater model.

    The power of one two-sided signed-rank test over the unit, among all that the study makes, and
    the fewest raters that reach the target.
    """
    with progress_line(0, "simulating", "curve") as line:
        curve = api.power(differences, target=target, progress=counting(line), **chosen)
    needed = curve[["difference", "n_images", "raters_needed"]].drop_duplicates(ignore_index=True)
    needed = needed.rename(columns={"raters_needed": "n_raters"})
    if as_json:
        frames = {"curve": curve.drop(columns=["raters_needed", "target"]), "raters_needed": needed}
        print_json({k: json.loads(f.to_json(orient="records")) for k, f in frames.items()})
        return
    from sreval.report.study_text import power_text

    click.echo(power_text(curve, needed, target), nl=False)
