"""A model's card: what it is, how it was or will be trained, on what, and how it scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sreval.files import sha256_file
from sreval.networks.architecture import parameter_count
from sreval.networks.weights import Provenance, load_network
from sreval.training.checkpoint import STARTED
from sreval.training.licences import NOT_STATED, non_commercial
from sreval.training.log import VALIDATION, duration
from sreval.training.models import Model
from sreval.training.recipe import Recipe, differences, load_recipe

_CURVE_ROWS = 12
_CHOICES = "Our choices where the papers leave one"


@dataclass(frozen=True)
class Scored:
    """Means over a data set of `n` images under a protocol, PSNR in dB.

    `lpips` is None where the weights of its trunk were not at hand.
    """

    dataset: str
    protocol: str
    n: int
    psnr: float
    ssim: float
    lpips: float | None


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says: its recipe, its facts (see `run.py`), how far it came.

    `vgg_factor` is what its VGG terms were multiplied by.
    """

    folder: Path
    recipe: Recipe
    facts: dict[str, Any]
    step: int
    total: int | None
    seconds: float
    hardware: str
    vgg_factor: float

    @property
    def model(self) -> str:
        """Where its model is found: the folder it had, or else the name."""
        folder: str = self.facts.get("folder", "")
        return folder if folder and Path(folder).is_dir() else self.facts["model"]


def card(run: FinishedRun, weights: Path, scores: Sequence[Scored]) -> str:
    """The card of published weights, as Markdown."""
    network, provenance = load_network(weights, run.recipe.network)
    sections = [
        f"# {run.recipe.name}\n\n{run.recipe.about}",
        _facts(run, weights, parameter_count(network), provenance),
        _section("Data", _data(run.facts)),
        _section("Scores", _scores(scores)),
        _section("Curve", _curve(run)),
        _section(_CHOICES, _bullets(run.recipe.choices)),
        _section("What happened on the way", _bullets(provenance.notes)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def planned_card(model: Model) -> str:
    """The card of a model that has no weights yet: what its recipe says, and how to train it."""
    recipe = model.recipe
    network = recipe.network
    rows = {
        "Network": f"{network.name}, {model.parameters:,} parameters, x{network.scale}",
        "Loss": _loss(recipe),
        "Starts from": recipe.starts_from or "scratch",
        "Weights": "none yet",
    }
    schedules = [_schedule(model.name, p) for p in model.profiles if p != "smoke"]
    sections = [
        f"# {model.name}\n\n{recipe.about}",
        _rows(rows),
        _section(
            "How to train it",
            f"`sreval train {model.name} --data PHOTOGRAPHS --profile PROFILE`, then `sreval "
            f"models publish RUN`, which puts a card with data, curve and scores in the place of "
            f"this one. The profiles:\n\n" + _bullets(schedules),
        ),
        _section(_CHOICES, _bullets(recipe.choices)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _loss(recipe: Recipe) -> str:
    terms = recipe.loss.model_dump(exclude={"content_scale"})
    losses = [f"{name} {weight:g}" for name, weight in terms.items() if weight]
    if recipe.loss.vgg:
        losses.append(f"content scale {recipe.loss.content_scale}")
    return ", ".join(losses)


def _schedule(name: str, profile: str) -> str:
    recipe = load_recipe(name, profile)
    o, data = recipe.optimisation, recipe.data
    if o.updates is not None:
        length = f"{o.updates:,} updates"
    else:
        length = f"as many updates as fit into {o.minutes:g} minutes"
    return f"`{profile}`: {length}, batch {data.batch}, crops of {data.crop}, {o.precision}"


def _facts(run: FinishedRun, weights: Path, parameters: int, provenance: Provenance) -> str:
    of = f" of {run.total:,}" if run.total and run.total != provenance.step else ""
    network, o = run.recipe.network, run.recipe.optimisation
    factor = f", VGG terms times {run.vgg_factor:.4g}" if run.recipe.loss.vgg else ""
    rows = {
        "Network": f"{network.name}, {parameters:,} parameters, x{network.scale}",
        "Loss": f"{_loss(run.recipe)}{factor}",
        "Recipe": f"profile `{run.facts['profile']}`{_changes(run)}, "
        f"SHA-256 {provenance.recipe_sha256[:16]}",
        "Optimiser": f"{o.optimiser}, learning rate {o.learning_rate:g}, {o.shape}",
        "Updates": f"{provenance.step:,}{of}, batch {run.recipe.data.batch}, "
        f"crops of {run.recipe.data.crop}",
        "Time": f"{duration(run.seconds)} on {run.hardware}, {run.recipe.optimisation.precision}",
        "Starts from": _start(provenance.notes),
        "Code": f"sreval {provenance.code_version}",
        "Weights": f"fp16, {weights.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256_file(weights)}",
    }
    return _rows(rows)


def _changes(run: FinishedRun) -> str:
    """What the run changed in its profile, such as ` with data.batch = 8`."""
    profile = load_recipe(run.model, run.facts["profile"]).identity()
    changed = [
        f"{key} = {json.dumps(new)}"
        for key, _, new in differences(profile, run.recipe.identity())
        if new is not None
    ]
    return f" with {', '.join(changed)}" if changed else ""


def _data(facts: dict[str, Any]) -> str:
    licences: dict[str, int] = facts["licences"]
    rows = "\n".join(f"| {name} | {count} |" for name, count in licences.items())
    use = "The weights are for non-commercial use, as part of the data is.\n\n"
    absent = facts.get("by_hash_alone")
    compared = f", compared with {', '.join(absent)} by file hash alone" if absent else ""
    unknown = f"Of those {NOT_STATED}, the licence is the trainer's to know.\n\n"
    return (
        f"{facts['photographs']} photographs, {facts['megapixels']:.0f} megapixels, manifest "
        f"SHA-256 {facts['data_sha256'][:16]}; none of them a test image{compared}.\n\n"
        f"{use if non_commercial(licences) else ''}{unknown if NOT_STATED in licences else ''}"
        f"| licence | photographs |\n| --- | ---: |\n{rows}"
    )


def _scores(scores: Sequence[Scored]) -> str:
    if not scores:
        return ""
    rows = [
        f"| {s.dataset} ({s.n}) | {s.protocol} | {s.psnr:.2f} | {s.ssim:.4f} | "
        f"{'–' if s.lpips is None else f'{s.lpips:.3f}'} |"
        for s in scores
    ]
    head = [
        "| data set (images) | protocol | PSNR, dB | SSIM | LPIPS |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    return "\n".join([*head, *rows])


def _curve(run: FinishedRun) -> str:
    path = run.folder / VALIDATION
    if not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    head, body = rows[0], rows[1:]
    kept = body[:: max(1, -(-len(body) // _CURVE_ROWS))]
    if body and kept[-1] != body[-1]:
        kept.append(body[-1])
    lines = [f"| {' | '.join(head)} |", "|" + " ---: |" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in kept]
    watched = run.recipe.run
    return f"{watched.dataset} under `{watched.protocol}`:\n\n" + "\n".join(lines)


def _start(notes: Sequence[str]) -> str:
    # the notes of the weights that a run began with stand before its own
    started = [note.removeprefix(STARTED) for note in notes if note.startswith(STARTED)]
    return started[-1] if started else "scratch"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _rows(facts: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in facts.items())])
