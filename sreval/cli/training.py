"""``sreval train`` and ``sreval models``: recipes into weights, and what models there are."""

from __future__ import annotations

import signal
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli import Group
from sreval.cli.shared import DEVICE, PATH, json_option, print_json, warn
from sreval.errors import Exit, SrevalError, UsageError
from sreval.report.text import columns


@click.command(
    epilog="Example: sreval train srresnet-mse --data photographs --profile cpu --minutes 60"
)
@click.argument("name")
@click.option(
    "--data",
    multiple=True,
    type=PATH,
    help="A folder of photographs to train on, or .tar shards of them: a folder of shards, one, or "
    "'shard-{000..099}.tar'. May be given several times.",
)
@click.option("--out", type=PATH, help="Default: runs/NAME-PROFILE.")
@click.option("--profile", default="paper", show_default=True, help="A profile of the recipe.")
@click.option("--steps", type=click.IntRange(min=1), help="Updates, instead of the profile's.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Minutes of training, validation and saving included, instead of the profile's length.",
)
@click.option(
    "--until",
    type=click.DateTime(["%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]),
    help="Train up to this time, such as 18:30 (today or tomorrow) or '2026-11-30 18:30'.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key of the recipe, such as data.batch=8.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    help="Default: the recipe's.",
)
@click.option(
    "--from",
    "start",
    type=PATH,
    help="What to begin from: weights, a run's folder, a model's name, or a light checkpoint.",
)
@click.option(
    "--light",
    is_flag=True,
    help="Beside each checkpoint, keep the newest in files under 16 MB, for --from elsewhere; "
    "those of the discriminator may be left behind.",
)
@click.option(
    "--different",
    multiple=True,
    metavar="FILE",
    help="The name of a photograph that was refused as a test image and only looks like one; the "
    "card will say so. May be given several times.",
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in the folder.")
def train(
    name: str, until: datetime | None, changes: tuple[str, ...], light: bool, **chosen: Any
) -> None:
    """Train the model NAME (a name in models/, or the path of its folder).

    Test images among the photographs are refused. The run can be stopped with Ctrl-C, or killed,
    and resumed: on the same machine, a run of given updates has the weights of one that never
    stopped.
    """
    from sreval.devices import keep_freed_memory
    from sreval.training.log import ProgressLine
    from sreval.training.ranks import launcher, place
    from sreval.training.recipe import parse_changes

    keep_freed_memory()
    settings = parse_changes(changes) | ({"run.light": True} if light else {})
    outcome = api.train(name, until=next_time(until), changes=settings, **chosen)
    here = place()
    if outcome.signal is not None:
        if here.rank == 0:
            line = ProgressLine()
            line.say(f"Stopped after {outcome.step:,} updates; {outcome.checkpoint} is written.")
            begin = launcher() if here.count > 1 else ""
            again = f"{begin}sreval train {outcome.request.resume_command(outcome.out)}"
            alike = here.count > 1 and not begin
            several = f", in {here.count} processes as before" if alike else ""
            if not outcome.requeued:
                line.say(f"To go on{several}: {again}")
        if outcome.requeued:
            return
        code = Exit.INTERRUPTED if outcome.signal == signal.SIGINT else 128 + outcome.signal
        raise SystemExit(code)
    if here.rank == 0:
        click.echo(str(outcome.weights))


def next_time(given: datetime | None) -> datetime | None:
    """A time of day, which click reads as of the year 1900, as when the clock next shows it."""
    if given is None or given.year > 1900:
        return given
    now = datetime.now()
    today = datetime.combine(now.date(), given.time())
    return today if today > now else today + timedelta(days=1)


@click.group(cls=Group)
def models() -> None:
    """List, show, verify, export and publish models."""


def _listed() -> tuple[list[dict[str, Any]], int]:
    """The models that can be read, and how many can't, which are named on stderr."""
    found, broken = [], 0
    for row in api.models().to_dict("records"):
        if problem := row.pop("problem"):
            warn(problem)
            broken += 1
        else:
            found.append({str(key): value for key, value in row.items()})
    return found, broken


@models.command("list", epilog="Example: sreval models list --json")
@json_option()
def list_command(as_json: bool) -> None:
    """Every model known by name."""
    found, broken = _listed()
    if as_json:
        print_json(found)
    else:
        click.echo(
            columns([["name", "parameters", "weights", "profiles", "about"], *map(_row, found)])
        )
    if broken:
        raise SystemExit(Exit.PARTIAL)


def _row(facts: dict[str, Any]) -> list[str]:
    weights = "-" if facts["updates"] is None else f"{facts['updates']:,} updates"
    profiles = " ".join(facts["profiles"])
    return [facts["name"], f"{facts['parameters']:,}", weights, profiles, facts["about"]]


@models.command(epilog="Example: sreval models show srgan-vgg54")
@click.argument("name")
@json_option()
def show(name: str, as_json: bool) -> None:
    """What one model is and holds.

    NAME is a model's, or a network as --method takes it: spandrel:FILE, a file of weights.
    """
    facts = api.model_facts(name)
    if as_json:
        print_json(facts)
        return
    rows = [[key, _shown(value)] for key, value in facts.items() if value is not None]
    click.echo(columns([["model", facts.pop("name")], *rows[1:]]))


def _shown(value: object) -> object:
    """A range as it is declared, anything else as it is."""
    ends = isinstance(value, list) and [type(end) for end in value] == [float, float]
    return "..".join(f"{end:g}" for end in value) if ends and isinstance(value, list) else value


@models.command(epilog="Example: sreval models verify srresnet-mse espcn")
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check recipes, weights and cards, of all models with weights where none is named."""
    found, wrong = ([], 0) if names else _listed()
    chosen = names or tuple(facts["name"] for facts in found if facts["updates"] is not None)
    if not chosen and not wrong:
        raise UsageError(
            "No model has weights yet.", "Train one with `sreval train NAME --data PHOTOGRAPHS`."
        )
    for name in chosen:
        try:
            click.echo(api.Model(name).verify())
        except SrevalError as error:
            wrong += 1
            warn(str(error))
    if wrong:
        raise SystemExit(Exit.FAILED)


@models.command(epilog="Example: sreval models card srresnet-mse --run runs/srresnet-mse-cpu")
@click.argument("name", required=False)
@click.option("--run", type=PATH, help="Write the card anew from this training run.")
@click.option(
    "--all", "renew", is_flag=True, help="Write anew the cards of ./models and of SREVAL_HOME."
)
@DEVICE
def card(name: str | None, run: Path | None, renew: bool, device: str) -> None:
    """Print a model's card, or write it anew from the run that made its weights.

    The card of a model without weights says how to train it. With --all, no run is needed: what
    the weights don't say is kept from the card that they have.
    """
    if renew == (name is not None) or (renew and run is not None):
        raise UsageError("Name one model, or give --all alone.", "See `sreval models card --help`.")
    if name is None:
        found, broken = _listed()
        for model in (api.Model(facts["name"]) for facts in found):
            if model.own:
                click.echo(str(model.write_card(device=device)))
        if broken:
            raise SystemExit(Exit.PARTIAL)
    elif run is not None:
        click.echo(str(api.Model(name).write_card(run, device=device)))
    else:
        click.echo(api.Model(name).card, nl=False)


@models.command(epilog="Example: sreval models export srresnet-mse --onnx")
@click.argument("name")
@click.option("--onnx", "format", flag_value="onnx", help="As ONNX; needs the extra onnx.")
@click.option("--pt2", "format", flag_value="pt2", help="As PyTorch's pt2: torch.export.load.")
@click.option("--out", type=PATH, help="The file. Default: NAME.onnx or NAME.pt2.")
@click.option("--replace", is_flag=True, help="Write over a file that is there already.")
@json_option()
def export(name: str, as_json: bool, **chosen: Any) -> None:
    """Write a network as one file for other programs.

    NAME is a model's, or a network as --method takes it: a file of weights, spandrel:FILE,
    python:package.module:Class. Height, width and batch are free. The file says what it takes: the
    scale, the colour, the ranges; `sreval benchmark --method onnx:FILE` reads it there. It is
    run beside the network, and written only where the two agree to 1e-4 of the output's range.
    """
    made = api.export_model(name, **chosen)
    if as_json:
        print_json(asdict(made) | {"path": str(made.path)})
        return
    rows = [
        [f"{row['batch']}", f"{row['height']}x{row['width']}", f"{row['difference']:.1e}"]
        for row in made.differences
    ]
    click.echo(columns([["images", "height x width", "largest difference, of the range"], *rows]))
    click.echo(str(made.path))


@models.command(epilog="Example: sreval models seeds runs/espcn-cpu/seed-0 runs/espcn-cpu/seed-1")
@click.argument("runs", nargs=-1, required=True, type=PATH)
@json_option("Every run's scores, and their means with intervals.")
def seeds(runs: tuple[Path, ...], as_json: bool) -> None:
    """Validation scores of RUNS of one recipe that differ in their seed.

    The last and the best of each run, and the mean with its 95% interval by Student's t over the
    runs: of three and more, as two say next to nothing about their spread. An interval is cut at
    the limits of its metric. Checks of artefacts, such as grid_peak, choose no update and are far
    from a normal distribution: they have a last value and a mean alone.
    """
    found = api.Model.training_scores(runs)
    if as_json:
        print_json(found.astype(object).where(found.notna(), None).to_dict("records"))
        return
    rows = [[_score(one[key]) for key in found.columns] for one in found.to_dict("records")]
    click.echo(columns([list(found.columns), *rows]))
    chosen_by = set(found.loc[found["of"] == "best", "metric"])
    if checks := [name for name in found["metric"].unique() if name not in chosen_by]:
        warn(
            f"{', '.join(checks)}: checks of artefacts. No update is chosen by them, so they have "
            "no best value, and they are far from a normal distribution, so they have no interval."
        )


def _score(value: Any) -> str:
    """A cell of the table of seeds: numbers to six digits, what is missing empty."""
    if value is None or value != value:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@models.command(epilog="Example: sreval models publish runs/espcn-paper --to models")
@click.argument("run", type=PATH)
@click.option(
    "--to",
    type=PATH,
    help="A models folder; default ./models, then SREVAL_HOME/models.",
)
@click.option("--replace", is_flag=True, help="Put these in the place of weights there already.")
@DEVICE
def publish(run: Path, to: Path | None, replace: bool, device: str) -> None:
    """Put a run's weights (fp16), recipe and card into your models folder.

    The card is scored on those of Set5, Set14 and BSD100 that are here.
    """
    click.echo(str(api.Model.publish(run, to, replace=replace, device=device).folder))
