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
    "preview": ("sreval.cli.site:preview", "Show every page of a design, without a database."),
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
    "reminders": ("sreval.cli.study_run:reminders", "List who is to be reminded, and their links."),
    "revoke": ("sreval.cli.study_run:revoke", "Disable a link; votes cast through it stay."),
    "delete-rater": ("sreval.cli.study_run:delete_rater", "Delete all data of one rater."),
    "payments": ("sreval.cli.study_run:payments", "List who is to be paid."),
    "purge": ("sreval.cli.study_run:purge", "Delete all raters' data after the retention date."),
    "close": ("sreval.cli.study_run:close", "End the study: no vote is accepted afterwards."),
    "export": ("sreval.cli.study_run:export", "Write a study's data as CSV files."),
    "import": ("sreval.cli.study_run:import_command", "Store an export in a database."),
    "backup": ("sreval.cli.study_run:backup", "Copy the database, even while raters vote."),
    "restore": ("sreval.cli.study_run:restore", "Replace the database by a backup."),
    "upgrade": ("sreval.cli.study_run:upgrade", "Bring the database's tables up to date."),
    "power": ("sreval.cli.study:power", "Compute how many raters a difference needs."),
    "judgements": (
        "sreval.cli.study:judgements",
        "Compute how many judgements of pairs an interval needs.",
    ),
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
@click.option("--group", help="The rater's group.  [default: the design's first]")
@click.option("--out", type=PATH, help="Write a CSV file instead.")
@json_option()
def plan(
    study: str, rater: int, slot: int | None, group: str | None, out: Path | None, as_json: bool
) -> None:
    """Print what one rater will be shown, item by item, and why.

    Raters count from 0. `--slot` gives the place of a rater who dropped out to another one. An
    active plan is that of a rater before whom nobody has judged.
    """
    given = api.Study(study)
    items = given.plan(rater, slot=slot, group=group)
    if given.design.pairs.plan == "active":
        warn(
            "Note: pairs of an active plan are chosen when a rater enrols; these are as if nobody "
            "had judged before."
        )
    if out:
        put(items.to_csv(index=False, lineterminator="\n"), out)
    elif as_json:
        print_json(items.to_dict("records"))
    else:
        heads = {name: name for name in ("position", "sitting", "kind")}
        heads |= {"dataset": "data set", "image": "image", "method": "method"}
        if "right_method" in items:
            heads |= {"method": "left", "right_method": "right"}
        if "reference_sha256" in items:
            items = items.assign(reference="original")
            heads |= {"reference": "beside"}
        heads |= {"reason": "why"}
        click.echo(columns([list(heads.values()), *items[list(heads)].to_numpy().tolist()]))


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
    help="True qualities: the paper's opinion scores, lanczos as bicubic, taken to the study's "
    "scale, of pairs to JOD, or a CSV with method, quality[, dataset], on the study's scale, of "
    "pairs in JOD.",
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
    for note in made.notes:
        warn(f"Note: {note}")
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
                "notes": made.notes,
            }
        )
    else:
        click.echo(f"{sent} simulated raters, {made.complete} to the end; {made.votes} votes.")
    if made.complete < sent:
        raise SystemExit(Exit.PARTIAL if made.complete else Exit.FAILED)


_SHARE = click.FloatRange(0, 1)
_INSIDE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command(
    epilog="Example: sreval study power --difference 0.3 --images 100 --methods 9 --drop-outs 0.1"
)
@click.option(
    "--difference",
    "differences",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    help="True difference of two methods in points; may be repeated.  [default: 0.1, 0.2, 0.3 on "
    "the scale 1..5, as much of another]",
)
@click.option(
    "--task",
    type=click.Choice(["acr", "acr-hr", "dcr", "pair"]),
    default="acr",
    show_default=True,
    help="What raters are asked.",
)
@click.option(
    "--win-probability",
    multiple=True,
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    help="Of pairs, for --difference: how often the better method is preferred, ties aside; may be "
    "repeated.  [default: 0.55, 0.6, 0.65]",
)
@click.option(
    "--jod",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    help="The same in JOD, where 1 is preferred by 75 %; may be repeated.",
)
@click.option(
    "--ties",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Of pairs: share of ties between two methods alike.",
)
@click.option(
    "--raters",
    multiple=True,
    type=click.IntRange(2),
    help="May be repeated.  [default: the fewest are found]",
)
@click.option(
    "--images",
    multiple=True,
    type=click.IntRange(1),
    help="May be repeated.  [default: 14, 100]",
)
@click.option(
    "--find",
    type=click.Choice(["raters", "images"]),
    help="Find the fewest for each number of the other.  [default: raters without --raters]",
)
@click.option(
    "--unit",
    type=click.Choice(["both", "rater", "image"]),
    help="What varies in the test. Default: both with at least five raters and five images, else "
    "rater; a number to be found counts as enough.",
)
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
@click.option("--alpha", type=_INSIDE, default=0.05, show_default=True)
@click.option(
    "--subset",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the stimuli that each rater sees; with acr-hr of the images, each whole.",
)
@click.option(
    "--repeats",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Hidden repeats of each rater; no test counts them.",
)
@click.option(
    "--screening",
    multiple=True,
    type=click.Choice(["too-fast", "straight-lining", "correlation-with-rest", "bt500"]),
    help="A rule that leaves raters out before the tests; may be repeated.",
)
@click.option(
    "--straight-liners",
    type=_SHARE,
    default=0.0,
    show_default=True,
    help="Share of raters who give one score throughout.",
)
@click.option(
    "--speeders",
    type=_SHARE,
    default=0.0,
    show_default=True,
    help="Share of raters who vote at random, at once.",
)
@click.option(
    "--drop-outs",
    type=_SHARE,
    default=0.0,
    show_default=True,
    help="Share of raters who leave after a random part.",
)
@click.option(
    "--rating-scale",
    "scale",
    default="1..5",
    show_default=True,
    metavar="LOW..HIGH[/STEP]",
    help="Of the votes; --difference is in its points. Raters differ more on a longer one.",
)
@click.option(
    "--looks",
    default="1",
    show_default=True,
    help="How many looks, equally spaced, the last at the end; or after how many raters: 8,16,26.",
)
@click.option(
    "--spending",
    type=click.Choice(["obrien-fleming", "pocock"]),
    default="obrien-fleming",
    show_default=True,
    help="How alpha is divided among the looks.",
)
@click.option(
    "--target", type=_INSIDE, default=0.8, show_default=True, help="The power that is wanted."
)
@click.option(
    "--studies",
    type=click.IntRange(1),
    default=STUDIES,
    show_default=True,
    help="Studies simulated for each figure, at most.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option("Every value in full.")
def power(
    differences: tuple[float, ...],
    raters: tuple[int, ...],
    images: tuple[int, ...],
    win_probability: tuple[float, ...],
    jod: tuple[float, ...],
    looks: str,
    as_json: bool,
    **chosen: Any,
) -> None:
    """How many raters and images a difference needs, by simulation of the whole analysis.

    Without --raters the fewest are found that reach the target, by search, for each number of
    images; with --find images the fewest images. With both numbers given, the power of each plan.
    """
    try:
        at = [int(part) for part in looks.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"{looks!r} is neither a number nor numbers with commas between them.",
            param_hint="--looks",
        ) from None
    with progress_line(0, "simulating", "figure") as line:
        made = api.power(
            differences or None,
            win_probability=win_probability or None,
            jod=jod or None,
            raters=raters or None,
            images=images or None,
            looks=at if "," in looks else at[0],
            progress=counting(line),
            **chosen,
        )
    if as_json:
        name = "needed" if "find" in made else "curve"
        print_json({name: json.loads(made.to_json(orient="records"))})
        return
    from sreval.report.study_text import power_text

    click.echo(power_text(made), nl=False)


@click.command(epilog="Example: sreval study judgements --half-width 0.3 --images 40")
@click.option(
    "--half-width",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    default=(0.1, 0.2, 0.3, 0.5),
    show_default=True,
    help="Of the interval, to each side, in JOD; may be repeated.",
)
@click.option(
    "--methods",
    multiple=True,
    type=click.IntRange(2),
    default=(4,),
    show_default=True,
    help="Methods that are compared; may be repeated.",
)
@click.option(
    "--raters",
    type=click.IntRange(2),
    default=15,
    show_default=True,
    help="Of the study: how many images do they need?",
)
@click.option(
    "--images",
    type=click.IntRange(2),
    default=10,
    show_default=True,
    help="Of the study: how many raters do they need?",
)
@click.option(
    "--subset",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of all pairs that each rater judges.",
)
@click.option("--level", type=_INSIDE, default=0.95, show_default=True, help="Of the interval.")
@json_option("Every value in full.")
def judgements(half_width: tuple[float, ...], as_json: bool, **chosen: Any) -> None:
    """How many raters, or images, an interval of a difference of two methods needs.

    JOD is the unit: a method that is better by 1 JOD is preferred by 75 %.
    """
    made = api.judgements_needed(half_width, **chosen)
    if as_json:
        print_json({"judgements": json.loads(made.to_json(orient="records"))})
        return
    from sreval.report.study_text import judgements_text

    click.echo(judgements_text(made), nl=False)
