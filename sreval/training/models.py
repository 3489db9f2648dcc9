"""The models on this machine: listed, shown, verified; and published from a finished run.

They are listed without torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sreval import content
from sreval.config import validated
from sreval.errors import (
    SrevalError,
    TrainingError,
    UsageError,
    WeightsError,
    option,
)
from sreval.files import sha256_file, write_atomic, write_error
from sreval.images.known import KNOWN
from sreval.metrics.protocol import get_protocol
from sreval.networks.architecture import Architecture, ModelFile, OwnArchitecture
from sreval.networks.weights import Provenance, load_network, read_provenance, write_weights
from sreval.own_code import code_changes, code_sha256
from sreval.reading import read_json
from sreval.training.recipe import Recipe, degradation_file, load_recipe, profile_names

if TYPE_CHECKING:
    from torch import nn

    from sreval.training.cards import Findings, FinishedRun

SETS = ("Set5", "Set14", "BSD100")
PROTOCOLS = ("ledig2017", "matlab")
FACTS = "run.json"


@dataclass(frozen=True)
class Model:
    """One folder of models/. `provenance` and `sha256` are of its weights, where it has any."""

    name: str
    folder: Path
    recipe: Recipe
    profiles: tuple[str, ...]
    provenance: Provenance | None
    sha256: str
    given: str
    """The name or path that it was found by."""

    @classmethod
    def find(cls, name: str) -> Self:
        """One model by name or folder.

        Raises UsageError for an unknown model or an incomplete recipe, WeightsError for weights
        that can't be read.
        """
        folder = content.find("models", name)
        profiles = profile_names(name)
        if not profiles:
            raise UsageError(
                f"{folder / ModelFile.RECIPE} has no profiles.",
                "Add at least one, such as [profiles.paper].",
            )
        recipe = load_recipe(name, "paper" if "paper" in profiles else profiles[0])
        weights = folder / ModelFile.WEIGHTS
        there = weights.is_file()
        return cls(
            content.name_of(folder),
            folder,
            recipe,
            tuple(profiles),
            read_provenance(weights) if there else None,
            sha256_file(weights) if there else "",
            name,
        )

    @property
    def weights(self) -> Path:
        """Where the weights lie, or would lie."""
        return self.folder / ModelFile.WEIGHTS

    @property
    def parameters(self) -> int:
        """Trainable numbers of the recipe's network; of the user's own, its code is imported."""
        return self.recipe.network.parameters

    def facts(self) -> dict[str, Any]:
        """What there is to say of it: name, about, network, parameters, weights and where from."""
        return {
            "name": self.name,
            "about": self.recipe.about,
            "network": self.recipe.network.model_dump(),
            "parameters": self.parameters,
            "profiles": list(self.profiles),
            "starts_from": self.recipe.starts_from,
            "folder": str(self.folder),
            "weights_sha256": self.sha256,
            "updates": self.provenance.step if self.provenance else None,
        }

    @property
    def profile_recorded(self) -> bool:
        """Whether its weights say which profile they were trained with, and what was changed."""
        return bool(
            self.provenance and self.provenance.stages and self.provenance.stages[-1].profile
        )

    def changed_code(self) -> list[str]:
        """The user's own networks and loss terms whose code has changed since its weights."""
        stages = self.provenance.stages if self.provenance else ()
        before = stages[-1].code if stages else {}
        return code_changes(before, {name: code_sha256(name) for name in before})

    def card(self) -> str:
        """Its card; without weights, what its recipe says. Raises UsageError where it has none.

        The card of weights is not made here, for only their run knows all of it.
        """
        if self.provenance is None:
            from sreval.training.cards import planned_card

            return planned_card(self.recipe, self.profiles, self.parameters)
        path = self.folder / ModelFile.CARD
        if not path.is_file():
            raise UsageError(
                f"{self.name} has no card.", "A card comes with `sreval models publish RUN`."
            )
        return path.read_text(encoding="utf-8")

    def verify(self) -> None:
        """Check it in every respect.

        Every profile of its recipe is read; its weights load into the network they name, which a
        profile must ask for; they make a finite image; the recipe is the one they were trained
        with, where they say so; and its card carries their SHA-256. Raises UsageError or
        WeightsError for the first thing wrong.
        """
        recipes = [load_recipe(self.given, profile) for profile in self.profiles]
        if self.provenance is None:
            raise WeightsError(
                f"{self.name} has no weights: {self.weights}.",
                f"Train it: `sreval train {self.given} --data PHOTOGRAPHS`.",
            )
        provenance = self.provenance
        if provenance.architecture not in [recipe.network for recipe in recipes]:
            raise WeightsError(
                f"{self.weights}: field 'architecture' is {provenance.architecture!r}, which no "
                f"profile of {self.folder / ModelFile.RECIPE} uses.",
                "Publish the weights again, from a run of this recipe.",
            )
        network, _ = load_network(self.weights, provenance.architecture)
        _check_output(self.weights, network, provenance.architecture)
        _check_recipe(self, provenance)
        path = self.folder / ModelFile.CARD
        if not path.is_file() or self.sha256 not in path.read_text(encoding="utf-8"):
            raise WeightsError(
                f"{path} does not name the SHA-256 of the weights, {self.sha256}.",
                f"Write it again from its run: `sreval models card {self.given} --run RUN`.",
            )

    def renew_card(self, run: FinishedRun | None = None, device: str = "cpu") -> Path:
        """Write its card again, from the run that made its weights or without one; its path.

        Without weights, it is what the recipe says. Without the run, what only that knew is kept
        from the earlier card, if that is of the same weights, and so are its scores where a data
        set or LPIPS is missing on this machine. Raises UsageError for another run, and for a model
        that belongs to the package.
        """
        from sreval.metrics.lpips import TRUNKS
        from sreval.training.cards import card, planned_card

        if run is not None:
            _require_made_by(run, self)
        _writable(self.folder.parent)
        if run is not None:
            return write_card(run, self.folder, device)
        path = self.folder / ModelFile.CARD
        if self.provenance is None:
            write_atomic(path, planned_card(self.recipe, self.profiles, self.parameters))
            return path
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        if self.sha256 not in old:
            old = ""
        # a profile may have another network than the first, and a run other LR images
        recipe = self.recipe
        if self.profile_recorded:
            own = self.provenance.stages[-1]
            recipe = load_recipe(self.given, own.profile, own.changes)
        recipe = recipe.model_copy(update={"network": self.provenance.architecture})
        scale = recipe.network.scale
        whole = TRUNKS["alex"].is_here() and all(KNOWN[name].locate(scale) for name in SETS)
        findings = score(recipe, self.weights, SETS if whole or not old else (), device)
        write_atomic(path, card(recipe, self.weights, findings, old=old))
        return path


def list_models() -> tuple[list[Model], list[SrevalError]]:
    """Every model known by name, and what is wrong with those that can't be read.

    Folders without a recipe are left out.
    """
    found: list[Model] = []
    broken: list[SrevalError] = []
    for name in content.names("models"):
        if not (content.find("models", name) / ModelFile.RECIPE).is_file():
            continue
        try:
            found.append(Model.find(name))
        except SrevalError as error:
            broken.append(error)
    return found, broken


def _check_recipe(model: Model, provenance: Provenance) -> None:
    if not model.profile_recorded:
        return
    own = provenance.stages[-1]
    now = load_recipe(model.given, own.profile, own.changes).sha256
    if now != provenance.recipe_sha256:
        raise WeightsError(
            f"{model.weights} were trained with a recipe of SHA-256 "
            f"{provenance.recipe_sha256[:16]}; {model.folder / ModelFile.RECIPE}, profile "
            f"{own.profile!r} with the changes of that run, is now {now[:16]}.",
            "The recipe has changed since. Restore it, or train and publish again.",
        )


def _check_output(path: Path, network: nn.Module, architecture: Architecture) -> None:
    import torch

    from sreval.networks.own import running, whole

    channels = 3 if architecture.colour == "rgb" else 1
    sides = whole(architecture) if isinstance(architecture, OwnArchitecture) else (16, 16)
    with torch.inference_mode(), running(architecture.name):
        middle = sum(architecture.input_range) / 2
        image = network(torch.full((1, channels, *sides), middle))
    low, high = architecture.output_range
    grey = float(image.mean() - low) / (high - low)
    if not (image.isfinite().all() and 0.25 < grey < 0.75):
        raise WeightsError(
            f"{path}: a mid-grey image comes out at {grey:.2f} of its range.",
            "The weights are not those of a trained network.",
        )


def read_run(folder: Path) -> FinishedRun:
    """The run in a folder: its facts and its weights, wherever its checkpoints are.

    Raises TrainingError when the folder holds none.
    """
    from sreval.training.cards import FinishedRun, history

    # a run that diverged may have its best weights alone
    last = next(
        (
            folder / name
            for name in (ModelFile.WEIGHTS, ModelFile.BEST)
            if (folder / name).is_file()
        ),
        None,
    )
    if last is None or not (folder / FACTS).is_file():
        raise TrainingError(f"{folder} holds no run with weights.", "Name the folder of a run.")
    made = read_provenance(last)
    try:
        facts = read_json(folder / FACTS)
        validated(_Facts, facts)
        recipe = validated(Recipe, facts.pop("recipe"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{folder / FACTS} is not what `sreval train` writes ({error}).",
            "It was edited, or comes from another version; train again.",
        ) from None
    return FinishedRun(folder, recipe, facts, made.step, history(made)[-1].vgg_factor)


@dataclass(frozen=True)
class _Facts:
    """What a card is made from."""

    model: str
    profile: str
    recipe: dict[str, Any]
    photographs: int
    megapixels: float
    data_sha256: str
    licences: dict[str, int]
    folder: str = ""
    by_hash_alone: tuple[str, ...] | None = None
    not_compared: tuple[str, ...] = ()
    told_apart: tuple[str, ...] = ()
    given: dict[str, str] | None = None


def publish(
    folder: Path, to: Path | None = None, replace: bool = False, device: str = "cpu"
) -> Path:
    """Put a run's weights, recipe and card into a user's models folder; the folder made.

    The weights are the best by the validation, or the last where no best ones were kept. `to` is
    that models folder; else ./models, where it exists, then SREVAL_HOME/models. Raises UsageError
    for a smoke run, for a network that the model's profile doesn't name, for a degradation from a
    file, where weights lie already
    and `replace` is not given, or when the package itself would be written to; TrainingError when
    the folder holds no run.
    """
    from sreval.training.cards import history

    run = read_run(folder)
    if run.facts["profile"] == "smoke":
        raise UsageError(
            f"{folder} is a smoke run, which only shows that training works.",
            "Publish a run of another profile.",
        )
    if unlike := (run.facts.get("given") or {}).get("unlike_recipe"):
        raise UsageError(
            f"The network of {folder} was given in Python and isn't what its recipe makes: "
            f"{unlike}.",
            "Name its class and its arguments in [network] of the recipe, then train again.",
        )
    profile = run.facts["profile"]
    if load_recipe(run.model, profile).network != run.recipe.network:
        raise UsageError(
            f"{folder} trained another network than profile {profile!r} of {run.recipe.name} "
            "names.",
            "Put the change into a recipe of your own, under ./models, and train that.",
        )
    network, provenance = load_network(_result(folder), run.recipe.network)
    if file := degradation_file(run.model, profile, history(provenance)[-1].changes):
        raise UsageError(
            f"{folder} was trained with the degradation in {file}, which a published recipe can't "
            "name.",
            "Train it with the file's keys in the recipe, as a table [data.degrade].",
        )
    recipe = (content.find("models", run.model) / ModelFile.RECIPE).read_bytes()
    models = _writable(to)
    target = models / run.recipe.name
    if (target / ModelFile.WEIGHTS).exists() and not replace:
        raise UsageError(
            f"{target} already has weights.",
            f"Add {option('--replace', 'replace=True')} to overwrite them.",
        )
    unfinished = target.with_name(f".{target.name}.part")
    new = not models.exists()
    try:
        write_weights(unfinished / ModelFile.WEIGHTS, network, provenance, "fp16")
        write_card(run, unfinished, device)
        write_atomic(unfinished / ModelFile.RECIPE, recipe)
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
        (target / ModelFile.CARD).unlink(missing_ok=True)
        for name in (ModelFile.WEIGHTS, ModelFile.CARD, ModelFile.RECIPE):
            if name != ModelFile.RECIPE or not (target / ModelFile.RECIPE).exists():
                (unfinished / name).replace(target / name)
    except OSError as error:
        raise write_error(target, error) from error


def write_card(run: FinishedRun, target: Path, device: str = "cpu") -> Path:
    """Score the published weights in `target` and write their card again; its path."""
    from sreval.training.cards import card

    weights = target / ModelFile.WEIGHTS
    findings = score(run.recipe, weights, SETS, device)
    write_atomic(target / ModelFile.CARD, card(run.recipe, weights, findings, run))
    return target / ModelFile.CARD


def _require_made_by(run: FinishedRun, model: Model) -> None:
    made, own = model.provenance, read_provenance(_result(run.folder))
    if made is None or any(
        getattr(made, field) != getattr(own, field)
        for field in ("recipe_sha256", "data_sha256", "step")
    ):
        raise UsageError(
            f"{run.folder} is not the run that made the weights of {model.name}.",
            "Name that run, or publish this one with `sreval models publish`.",
        )


def score(recipe: Recipe, weights: Path, sets: Sequence[str], device: str = "cpu") -> Findings:
    """Scores on the sets of this machine, under two protocols; and those of flat colours.

    The LR images are the published ones, by which all models compare. For a network that was
    trained on others, scores on those follow: what it was made for.
    """
    import torch

    from sreval.metrics.lpips import TRUNKS
    from sreval.networks.inference import Inference
    from sreval.training.cards import Findings, Scored
    from sreval.training.validation import Validator, flat_colours

    network, _ = load_network(weights, recipe.network)
    metrics = ("psnr", "ssim", "lpips") if TRUNKS["alex"].is_here() else ("psnr", "ssim")
    found: list[Scored] = []
    for degradation in [None, recipe.data.degrade] if recipe.data.degrade else [None]:
        data = recipe.data.model_copy(update={"degrade": degradation})
        for dataset in sets:
            if KNOWN[dataset].locate(recipe.network.scale) is None:
                continue
            watched = recipe.run.model_copy(update={"dataset": dataset, "metrics": metrics})
            measured = recipe.model_copy(update={"run": watched, "data": data})
            validator = Validator(measured, torch.device(device))
            scores, _ = validator.scores_under([get_protocol(name) for name in PROTOCOLS], network)
            found += [
                Scored(
                    validator.name,
                    name,
                    len(validator.high),
                    means["psnr"],
                    means["ssim"],
                    means.get("lpips"),
                    means["grid_peak"],
                )
                for name, means in scores.items()
            ]
    return Findings(
        tuple(found), flat_colours(Inference.of(network, recipe.network, device=device))
    )


def _result(folder: Path) -> Path:
    """The weights of a run that are worth publishing."""
    best = folder / ModelFile.BEST
    return best if best.is_file() else folder / ModelFile.WEIGHTS


def _writable(to: Path | None) -> Path:
    packaged = content.packaged("models").resolve()
    own = content.own_folders("models")
    folder = to or next((f for f in own if f.is_dir()), own[-1])
    if folder.resolve() == packaged and "_content" in packaged.parts:
        raise UsageError(
            f"{folder} belongs to the package.", f"Give a folder of your own with {option('--to')}."
        )
    return folder
