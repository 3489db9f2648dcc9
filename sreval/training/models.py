"""The models on this machine: listed, shown, verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sreval import content
from sreval.errors import SrevalError, UsageError, WeightsError
from sreval.files import sha256_file
from sreval.networks.architecture import Architecture, parameter_count
from sreval.networks.weights import CARD, Provenance, load_network, read_provenance
from sreval.training.recipe import Recipe, load_recipe, profile_names

WEIGHTS, RECIPE = "weights.safetensors", "recipe.toml"

BEST = "best.safetensors"
"""The best weights of a run by its validation, beside the last ones."""


@dataclass(frozen=True)
class Model:
    """One folder of models/. `provenance` and `sha256` are of its weights, where it has any."""

    name: str
    folder: Path
    recipe: Recipe
    profiles: tuple[str, ...]
    provenance: Provenance | None
    sha256: str

    @property
    def weights(self) -> Path:
        """Where the weights lie, or would lie."""
        return self.folder / WEIGHTS

    @property
    def parameters(self) -> int:
        """Trainable numbers of the recipe's network."""
        with torch.device("meta"):
            return parameter_count(self.recipe.network.build())

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


def list_models() -> tuple[list[Model], list[SrevalError]]:
    """Every model known by name, and what is wrong with those that can't be read.

    Folders without a recipe are left out.
    """
    found: list[Model] = []
    broken: list[SrevalError] = []
    for name in content.names("models"):
        if not (content.find("models", name) / RECIPE).is_file():
            continue
        try:
            found.append(get_model(name))
        except SrevalError as error:
            broken.append(error)
    return found, broken


def get_model(name: str) -> Model:
    """One model by name or folder.

    Raises UsageError for an unknown model or an incomplete recipe, WeightsError for weights that
    can't be read.
    """
    folder = content.find("models", name)
    profiles = profile_names(name)
    if not profiles:
        raise UsageError(
            f"{folder / RECIPE} has no profiles.", "Add at least one, such as [profiles.paper]."
        )
    recipe = load_recipe(name, "paper" if "paper" in profiles else profiles[0])
    weights = folder / WEIGHTS
    there = weights.is_file()
    return Model(
        content.name_of(folder),
        folder,
        recipe,
        tuple(profiles),
        read_provenance(weights) if there else None,
        sha256_file(weights) if there else "",
    )


def verify_model(name: str) -> Model:
    """Check a model in every respect; return it when all is well.

    Every profile of its recipe is read; its weights load into the network they name, which a
    profile must ask for; they make a finite image; the recipe is the one they were trained with,
    where they say so; and its card carries their SHA-256. Raises UsageError or WeightsError for
    the first thing wrong.
    """
    model = get_model(name)
    recipes = [load_recipe(name, profile) for profile in model.profiles]
    if model.provenance is None:
        raise WeightsError(
            f"{model.name} has no weights: {model.weights}.",
            f"Train it: `sreval train {name} --data PHOTOGRAPHS`.",
        )
    network, provenance = load_network(model.weights)
    if provenance.architecture not in [recipe.network for recipe in recipes]:
        raise WeightsError(
            f"{model.weights}: field 'architecture' is {provenance.architecture!r}, which no "
            f"profile of {model.folder / RECIPE} uses.",
            "Publish the weights again, from a run of this recipe.",
        )
    _check_output(model.weights, network, provenance.architecture)
    _check_recipe(name, model, provenance)
    card = model.folder / CARD
    if not card.is_file() or model.sha256 not in card.read_text(encoding="utf-8"):
        raise WeightsError(
            f"{card} does not name the SHA-256 of the weights, {model.sha256}.",
            f"Write it again from its run: `sreval models card {name} --run RUN`.",
        )
    return model


def _check_recipe(name: str, model: Model, provenance: Provenance) -> None:
    if not model.profile_recorded:
        return
    own = provenance.stages[-1]
    now = load_recipe(name, own.profile, own.changes).sha256
    if now != provenance.recipe_sha256:
        raise WeightsError(
            f"{model.weights} were trained with a recipe of SHA-256 "
            f"{provenance.recipe_sha256[:16]}; {model.folder / RECIPE}, profile {own.profile!r} "
            f"with the changes of that run, is now {now[:16]}.",
            "The recipe has changed since. Restore it, or train and publish again.",
        )


def _check_output(path: Path, network: torch.nn.Module, architecture: Architecture) -> None:
    channels = 3 if architecture.colour == "rgb" else 1
    with torch.inference_mode():
        middle = sum(architecture.input_range) / 2
        image = network(torch.full((1, channels, 16, 16), middle))
    low, high = architecture.output_range
    grey = float(image.mean() - low) / (high - low)
    if not (image.isfinite().all() and 0.25 < grey < 0.75):
        raise WeightsError(
            f"{path}: a mid-grey image comes out at {grey:.2f} of its range.",
            "The weights are not those of a trained network.",
        )
