"""``sreval models``: what models there are, what they hold, and how they come about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli.output import columns, print_json, warn
from sreval.errors import Exit, SrevalError, UsageError

DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@click.group()
def models() -> None:
    """List, show, verify and publish models."""


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
@AS_JSON
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
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """What one model is and holds."""
    facts = api.Model(name).facts
    if as_json:
        print_json(facts)
        return
    click.echo(columns([["model", facts.pop("name")], *([k, v] for k, v in facts.items())]))


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
@click.option(
    "--run", type=click.Path(path_type=Path), help="Write the card anew from this training run."
)
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


@models.command(epilog="Example: sreval models publish runs/espcn-paper --to models")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="A models folder; default ./models, then SREVAL_HOME/models.",
)
@click.option("--replace", is_flag=True, help="Put these in the place of weights there already.")
@DEVICE
def publish(run: Path, to: Path | None, replace: bool, device: str) -> None:
    """Put a run's weights (fp16), recipe and card into your models folder.

    The card is scored on those of Set5, Set14 and BSD100 that are here.
    """
    click.echo(str(api.Model.publish(run, to, replace=replace, device=device).folder))
