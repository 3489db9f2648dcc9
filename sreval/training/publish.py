"""From a finished run to a folder of models/: weights in half precision, recipe and card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from sreval import content
from sreval.errors import DataError, TrainingError, UsageError, option
from sreval.files import write_atomic, write_error
from sreval.images.known import locate
from sreval.metrics.lpips import trunk_file
from sreval.metrics.protocol import get_protocol
from sreval.networks.inference import Inference
from sreval.networks.weights import CARD, load_network, read_provenance, write_weights
from sreval.training.artefacts import flat_colours
from sreval.training.cards import Findings, FinishedRun, Scored, card, planned_card
from sreval.training.models import BEST, RECIPE, WEIGHTS, Model
from sreval.training.recipe import Recipe, load_recipe
from sreval.training.stages import history
from sreval.training.validation import Validator

SETS = ("Set5", "Set14", "BSD100")
PROTOCOLS = ("ledig2017", "matlab")
FACTS = "run.json"


def read_run(folder: Path) -> FinishedRun:
    """The run in a folder: its facts and its weights, wherever its checkpoints are.

    Raises TrainingError when the folder holds none.
    """
    # a run that diverged may have its best weights alone
    last = next((folder / name for name in (WEIGHTS, BEST) if (folder / name).is_file()), None)
    if last is None or not (folder / FACTS).is_file():
        raise TrainingError(f"{folder} holds no run with weights.", "Name the folder of a run.")
    made = read_provenance(last)
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        recipe = Recipe.model_validate(facts.pop("recipe"))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"{folder / FACTS} is not what `sreval train` writes ({type(error).__name__}).",
            "It was edited, or comes from another version; train again.",
        ) from error
    return FinishedRun(folder, recipe, facts, made.step, history(made)[-1].vgg_factor)


def publish(
    folder: Path, to: Path | None = None, replace: bool = False, device: str = "cpu"
) -> Path:
    """Put a run's weights, recipe and card into a user's models folder; the folder made.

    The weights are the best by the validation, or the last where no best ones were kept. `to` is
    that models folder; else ./models, where it exists, then SREVAL_HOME/models. Raises UsageError
    for a smoke run, for a network that the model's profile doesn't name, where weights lie already
    and `replace` is not given, or when the package itself would be written to; TrainingError when
    the folder holds no run.
    """
    run = read_run(folder)
    if run.facts["profile"] == "smoke":
        raise UsageError(
            f"{folder} is a smoke run, which only shows that training works.",
            "Publish a run of another profile.",
        )
    profile = run.facts["profile"]
    if load_recipe(run.model, profile).network != run.recipe.network:
        raise UsageError(
            f"{folder} trained another network than profile {profile!r} of {run.recipe.name} "
            "names.",
            "Put the change into a recipe of your own, under ./models, and train that.",
        )
    recipe = (content.find("models", run.model) / RECIPE).read_bytes()
    models = _writable(to)
    target = models / run.recipe.name
    if (target / WEIGHTS).exists() and not replace:
        raise UsageError(
            f"{target} already has weights.",
            f"Add {option('--replace', 'replace=True')} to overwrite them.",
        )
    network, provenance = load_network(_result(folder))
    unfinished = target.with_name(f".{target.name}.part")
    new = not models.exists()
    try:
        write_weights(unfinished / WEIGHTS, network, provenance, "fp16")
        write_card(run, unfinished, device)
        write_atomic(unfinished / RECIPE, recipe)
        _put(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if new:
            with suppress(OSError):
                models.rmdir()  # it is empty where nothing was published
    return target


def _put(unfinished: Path, target: Path) -> None:
    """Make a finished folder the model's, at once, or file by file where it has one already.

    Weights without a card can be loaded, and a folder without a recipe is no model: whatever
    moment it is stopped at, no card stands beside weights of another and no model is hidden.
    """
    try:
        if not target.exists():
            unfinished.rename(target)
            return
        (target / CARD).unlink(missing_ok=True)
        for name in (WEIGHTS, CARD, RECIPE):
            if name != RECIPE or not (target / RECIPE).exists():
                (unfinished / name).replace(target / name)
    except OSError as error:
        raise write_error(target, error) from error


def read_card(model: Model) -> str:
    """A model's card; without weights, what its recipe says. Raises UsageError where it has none.

    The card of weights is not made here, for only their run knows all of it.
    """
    if model.provenance is None:
        return planned_card(model)
    path = model.folder / CARD
    if not path.is_file():
        raise UsageError(
            f"{model.name} has no card.", "A card comes with `sreval models publish RUN`."
        )
    return path.read_text(encoding="utf-8")


def write_card(run: FinishedRun, target: Path, device: str = "cpu") -> Path:
    """Score the published weights in `target` and write their card again; its path."""
    weights = target / WEIGHTS
    findings = score(run.recipe, weights, SETS, device)
    write_atomic(target / CARD, card(run.recipe, weights, findings, run))
    return target / CARD


def renew_card(model: Model, device: str = "cpu") -> Path:
    """Write a model's card again without a run; its path.

    Without weights, it is what the recipe says. With weights, what only their run knew is kept
    from the earlier card, if that is theirs, and so are its scores where a data set or LPIPS is
    missing on this machine. Raises UsageError for a model that belongs to the package.
    """
    _writable(model.folder.parent)
    path = model.folder / CARD
    if model.provenance is None:
        write_atomic(path, planned_card(model))
        return path
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    if model.sha256 not in old:
        old = ""
    # a profile may have another network than the first
    recipe = model.recipe.model_copy(update={"network": model.provenance.architecture})
    whole = _lpips_at_hand() and all(locate(name, recipe.network.scale) for name in SETS)
    findings = score(recipe, model.weights, SETS if whole or not old else (), device)
    write_atomic(path, card(recipe, model.weights, findings, old=old))
    return path


def rewrite_card(run: FinishedRun, model: Model, device: str = "cpu") -> Path:
    """Write the card of published weights again from the run that made them; its path.

    Raises UsageError when the weights came from another run, or belong to the package.
    """
    made, own = model.provenance, read_provenance(_result(run.folder))
    if made is None or any(
        getattr(made, field) != getattr(own, field)
        for field in ("recipe_sha256", "data_sha256", "step")
    ):
        raise UsageError(
            f"{run.folder} is not the run that made the weights of {model.name}.",
            "Name that run, or publish this one with `sreval models publish`.",
        )
    _writable(model.folder.parent)
    return write_card(run, model.folder, device)


def score(recipe: Recipe, weights: Path, sets: Sequence[str], device: str = "cpu") -> Findings:
    """Scores on the sets of this machine, under two protocols; and those of flat colours."""
    network, _ = load_network(weights, recipe.network)
    metrics = ("psnr", "ssim", "lpips") if _lpips_at_hand() else ("psnr", "ssim")
    found: list[Scored] = []
    for dataset in sets:
        if locate(dataset, recipe.network.scale) is None:
            continue
        watched = recipe.run.model_copy(update={"dataset": dataset, "metrics": metrics})
        validator = Validator(recipe.model_copy(update={"run": watched}), torch.device(device))
        scores, _ = validator.scores_under([get_protocol(name) for name in PROTOCOLS], network)
        found += [
            Scored(
                dataset,
                name,
                len(validator.high),
                means["psnr"],
                means["ssim"],
                means.get("lpips"),
                means["grid_peak"],
            )
            for name, means in scores.items()
        ]
    return Findings(tuple(found), flat_colours(Inference(network, recipe.network, device=device)))


def _result(folder: Path) -> Path:
    """The weights of a run that are worth publishing."""
    best = folder / BEST
    return best if best.is_file() else folder / WEIGHTS


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
            f"{folder} belongs to the package.", f"Give a folder of your own with {option('--to')}."
        )
    return folder
