"""``sreval train``: a model's recipe into weights."""

from __future__ import annotations

import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import click

from sreval.errors import Exit


@click.command(
    epilog="Example: sreval train srresnet-mse --data photographs --profile cpu --minutes 60"
)
@click.argument("name")
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of photographs to train on; may be given several times.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Default: runs/NAME-PROFILE.")
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
    type=click.Path(path_type=Path),
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
    name: str,
    data: tuple[Path, ...],
    out: Path | None,
    profile: str,
    steps: int | None,
    minutes: float | None,
    until: datetime | None,
    changes: tuple[str, ...],
    device: str,
    precision: Literal["fp32", "bf16", "fp16"] | None,
    start: Path | None,
    light: bool,
    different: tuple[str, ...],
    resume: bool,
) -> None:
    """Train the model NAME (a name in models/, or the path of its folder).

    Test images among the photographs are refused. The run can be stopped with Ctrl-C, or killed,
    and resumed: on the same machine, a run of given updates has the weights of one that never
    stopped.
    """
    from sreval import api
    from sreval.devices import keep_freed_memory
    from sreval.training.log import ProgressLine
    from sreval.training.recipe import parse_changes
    from sreval.training.run import resume_command

    keep_freed_memory()
    settings = parse_changes(changes) | ({"run.light": True} if light else {})
    outcome = api.train(
        name,
        data=data,
        out=out,
        profile=profile,
        steps=steps,
        minutes=minutes,
        until=next_time(until),
        changes=settings,
        device=device,
        precision=precision,
        start=start,
        different=different,
        resume=resume,
    )
    if outcome.signal is not None:
        line = ProgressLine()
        line.say(f"Stopped after {outcome.step:,} updates; {outcome.checkpoint} is written.")
        line.say(f"To go on: sreval train {resume_command(outcome.request, outcome.out)}")
        code = Exit.INTERRUPTED if outcome.signal == signal.SIGINT else 128 + outcome.signal
        raise SystemExit(code)
    click.echo(str(outcome.weights))


def next_time(given: datetime | None) -> datetime | None:
    """A time of day, which click reads as of the year 1900, as when the clock next shows it."""
    if given is None or given.year > 1900:
        return given
    now = datetime.now()
    today = datetime.combine(now.date(), given.time())
    return today if today > now else today + timedelta(days=1)
