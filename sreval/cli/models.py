"""``sreval models``: what models there are, what they hold, and how they come about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval import content
from sreval.cli.output import columns, print_json
from sreval.errors import EXIT_FAILED, EXIT_PARTIAL, SrevalError, UsageError

if TYPE_CHECKING:
    from sreval.training.models import Model

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@click.group()
def models() -> None:
    """List, show, verify and publish models."""


def _facts(model: Model) -> dict[str, Any]:
    provenance = model.provenance
    return {
        "name": model.name,
        "about": model.recipe.about,
        "network": model.recipe.network.model_dump(),
        "parameters": model.parameters,
        "profiles": list(model.profiles),
        "starts_from": model.recipe.starts_from,
        "folder": str(model.folder),
        "weights_sha256": model.sha256,
        "updates": provenance.step if provenance else None,
    }


@models.command("list", epilog="Example: sreval models list --json")
@AS_JSON
def list_command(as_json: bool) -> None:
    """Every model known by name."""
    from sreval.training.models import list_models

    found, broken = list_models()
    for error in broken:
        click.echo(str(error), err=True)
    if as_json:
        print_json([_facts(model) for model in found])
    else:
        _print_table(found)
    if broken:
        raise SystemExit(EXIT_PARTIAL)


def _print_table(found: Sequence[Model]) -> None:
    rows = [["name", "parameters", "weights", "profiles", "about"]]
    for model in found:
        weights = f"{model.provenance.step:,} updates" if model.provenance else "-"
        rows.append(
            [
                model.name,
                f"{model.parameters:,}",
                weights,
                " ".join(model.profiles),
                model.recipe.about,
            ]
        )
    click.echo(columns(rows))


@models.command(epilog="Example: sreval models show srgan-vgg54")
@click.argument("name")
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """What one model is and holds."""
    from sreval.training.models import get_model

    facts = _facts(get_model(name))
    if as_json:
        print_json(facts)
        return
    click.echo(columns([["model", facts.pop("name")], *([k, v] for k, v in facts.items())]))


@models.command(epilog="Example: sreval models verify srresnet-mse espcn")
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Check recipes, weights and cards, of all models with weights where none is named."""
    from sreval.training.models import list_models, verify_model

    found, broken = ([], []) if names else list_models()
    chosen = names or tuple(model.name for model in found if model.provenance)
    if not chosen and not broken:
        raise UsageError(
            "No model has weights yet.", "Train one with `sreval train NAME --data PHOTOGRAPHS`."
        )
    for error in broken:
        click.echo(str(error), err=True)
    wrong = len(broken)
    for name in chosen:
        try:
            model = verify_model(name)
            unknown = "" if model.profile_recorded else "; its recipe was not recorded"
            click.echo(f"{model.name}: in order, weights {model.sha256[:12]}{unknown}")
        except SrevalError as error:
            wrong += 1
            click.echo(str(error), err=True)
    if wrong:
        raise SystemExit(EXIT_FAILED)


@models.command(epilog="Example: sreval models card srresnet-mse --run runs/srresnet-mse-cpu")
@click.argument("name", required=False)
@click.option(
    "--run", type=click.Path(path_type=Path), help="Write the card anew from this training run."
)
@click.option(
    "--all", "renew", is_flag=True, help="Write anew the cards of ./models and of SREVAL_HOME."
)
def card(name: str | None, run: Path | None, renew: bool) -> None:
    """Print a model's card, or write it anew from the run that made its weights.

    The card of a model without weights says how to train it. With --all, no run is needed: what
    the weights don't say is kept from the card that they have.
    """
    if renew == (name is not None) or (renew and run is not None):
        raise UsageError("Name one model, or give --all alone.", "See `sreval models card --help`.")
    if renew:
        _renew_cards()
    elif name is not None:
        _print_or_rewrite(name, run)


def _renew_cards() -> None:
    from sreval.training.models import list_models
    from sreval.training.publish import renew_card

    found, broken = list_models()
    for error in broken:
        click.echo(str(error), err=True)
    for model in found:
        # those that the package brings are left as they are
        if model.folder.parent in content.own_folders("models"):
            click.echo(str(renew_card(model)))
    if broken:
        raise SystemExit(EXIT_PARTIAL)


def _print_or_rewrite(name: str, run: Path | None) -> None:
    from sreval.networks.weights import CARD
    from sreval.training.cards import planned_card
    from sreval.training.models import get_model
    from sreval.training.publish import read_run, rewrite_card

    model = get_model(name)
    path = model.folder / CARD
    if run is not None:
        click.echo(str(rewrite_card(read_run(run), model)))
        return
    if model.provenance is None:
        click.echo(planned_card(model), nl=False)
        return
    if not path.is_file():
        raise UsageError(f"{name} has no card.", "A card comes with `sreval models publish RUN`.")
    click.echo(path.read_text(encoding="utf-8"), nl=False)


@models.command("publish", epilog="Example: sreval models publish runs/espcn-paper --to models")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    help="A models folder; default ./models, then SREVAL_HOME/models.",
)
@click.option("--replace", is_flag=True, help="Put these in the place of weights there already.")
def publish_command(run: Path, to: Path | None, replace: bool) -> None:
    """Put a run's weights (fp16), recipe and card into your models folder.

    The card is scored on those of Set5, Set14 and BSD100 that are at hand.
    """
    from sreval.training.publish import publish

    click.echo(str(publish(run, to, replace)))
