"""From a finished run to a folder of models/: weights in half precision, recipe and card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from sreval import content
from sreval.errors import DataError, TrainingError, UsageError
from sreval.files import write_atomic
from sreval.images.datasets import locate
from sreval.metrics.lpips import trunk_file
from sreval.networks.weights import load_network, read_metadata, write_weights
from sreval.training.cards import FinishedRun, Scored, card
from sreval.training.checkpoint import list_checkpoints
from sreval.training.models import CARD, RECIPE, WEIGHTS, Model
from sreval.training.recipe import Recipe, load_recipe
from sreval.training.validation import Validator

SETS = ("Set5", "Set14", "BSD100")
PROTOCOLS = ("ledig2017", "matlab")
FACTS = "run.json"


def read_run(folder: Path) -> FinishedRun:
    """The run in a folder. Raises TrainingError when it is none or has no checkpoint."""
    checkpoints = list_checkpoints(folder)
    if not checkpoints or not (folder / FACTS).is_file():
        raise TrainingError(f"{folder} holds no run with a checkpoint.", "Name a run's --out.")
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        recipe = Recipe.model_validate(facts.pop("recipe"))
        progress = json.loads(read_metadata(checkpoints[-1][1])["progress"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"{folder / FACTS} is not what `sreval train` writes ({type(error).__name__}).",
            "It was edited, or comes from another version; train again.",
        ) from error
    return FinishedRun(
        folder,
        recipe,
        facts,
        progress["step"],
        progress["total"],
        progress["seconds"],
        progress["hardware"],
        progress["vgg_factor"],
    )


def publish(folder: Path, to: Path | None = None, replace: bool = False) -> Path:
    """Put a run's weights, recipe and card into a user's models folder; the folder made.

    `to` is that models folder; else ./models, where it exists, then SREVAL_HOME/models. Raises
    UsageError for a smoke run, for a network that the model's profile doesn't name, where weights
    lie already and `replace` is not given, or when the package itself would be written to;
    TrainingError when the folder holds no run.
    """
    run = read_run(folder)
    if run.facts["profile"] == "smoke":
        raise UsageError(
            f"{folder} is a smoke run, which shows that training works and no more.",
            "Publish a run of another profile.",
        )
    profile = run.facts["profile"]
    if load_recipe(run.model, profile).network != run.recipe.network:
        raise UsageError(
            f"{folder} trained another network than profile {profile!r} of {run.recipe.name} "
            "names.",
            "Put the change into a recipe of your own, under ./models, and train that.",
        )
    target = _writable(to) / run.recipe.name
    if (target / WEIGHTS).exists() and not replace:
        raise UsageError(f"{target} already has weights.", "Add --replace to put these instead.")
    network, provenance = load_network(folder / WEIGHTS)
    # weights and their card appear together, whatever happens while they are scored
    unfinished = target.with_name(f".{target.name}.part")
    try:
        write_weights(unfinished / WEIGHTS, network, provenance, "fp16")
        write_card(run, unfinished)
        target.mkdir(parents=True, exist_ok=True)
        if not (target / RECIPE).exists():
            shutil.copyfile(content.find("models", run.model) / RECIPE, target / RECIPE)
        for name in (WEIGHTS, CARD):
            (unfinished / name).replace(target / name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def write_card(run: FinishedRun, target: Path) -> Path:
    """Score the published weights in `target` and write their card anew; its path."""
    weights = target / WEIGHTS
    write_atomic(target / CARD, card(run, weights, score(run.recipe, weights)))
    return target / CARD


def rewrite_card(run: FinishedRun, model: Model) -> Path:
    """Write the card of published weights anew from the run that made them; its path.

    Raises UsageError when the weights came from another run, or belong to the package.
    """
    made = model.provenance
    own = (run.recipe.sha256, run.facts["data_sha256"], run.step)
    if made is None or (made.recipe_sha256, made.data_sha256, made.step) != own:
        raise UsageError(
            f"{run.folder} is not the run that made the weights of {model.name}.",
            "Name that run, or publish this one with `sreval models publish`.",
        )
    _writable(model.folder.parent)
    return write_card(run, model.folder)


def score(recipe: Recipe, weights: Path, device: str = "cpu") -> list[Scored]:
    """PSNR, SSIM and LPIPS on those of Set5, Set14 and BSD100 at hand, under two protocols."""
    network, _ = load_network(weights, recipe.network)
    metrics = ("psnr", "ssim", "lpips") if _lpips_at_hand() else ("psnr", "ssim")
    found = []
    for dataset in SETS:
        if locate(dataset, recipe.network.scale) is None:
            continue
        for protocol in PROTOCOLS:
            watched = recipe.run.model_copy(
                update={"dataset": dataset, "protocol": protocol, "metrics": metrics}
            )
            validator = Validator(recipe.model_copy(update={"run": watched}), torch.device(device))
            means, _ = validator.scores(network)
            n = len(validator.high)
            found.append(
                Scored(dataset, protocol, n, means["psnr"], means["ssim"], means.get("lpips"))
            )
    return found


def _lpips_at_hand() -> bool:
    try:
        trunk_file("alex")
    except DataError:
        return False
    return True


def _writable(to: Path | None) -> Path:
    packaged = content.packaged("models").resolve()
    own = content.own_folders("models")
    folder = to or next((f for f in own if f.is_dir()), own[-1])
    if folder.resolve() == packaged and "_content" in packaged.parts:
        raise UsageError(
            f"{folder} belongs to the package.", "Give a folder of your own with --to."
        )
    return folder
