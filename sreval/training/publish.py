"""From a finished run to a folder of models/: weights in half precision, recipe and card."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sreval import content
from sreval.errors import TrainingError, UsageError
from sreval.files import sha256_file, write_atomic
from sreval.images.datasets import locate
from sreval.networks.architecture import parameter_count
from sreval.networks.weights import Provenance, load_network, read_metadata, write_weights
from sreval.training.checkpoint import STARTED, list_checkpoints
from sreval.training.licences import NOT_STATED, non_commercial
from sreval.training.log import VALIDATION, duration
from sreval.training.models import CARD, RECIPE, WEIGHTS
from sreval.training.recipe import Recipe
from sreval.training.validation import Validator

SETS = ("Set5", "Set14", "BSD100")
PROTOCOLS = ("ledig2017", "matlab")
FACTS = "run.json"
_CURVE_ROWS = 12


@dataclass(frozen=True)
class Scored:
    """Means of PSNR in dB and SSIM over a data set of `n` images under a protocol."""

    dataset: str
    protocol: str
    n: int
    psnr: float
    ssim: float


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says: its recipe, its facts (see `run.py`), how far it came."""

    folder: Path
    recipe: Recipe
    facts: dict[str, Any]
    step: int
    total: int | None
    seconds: float
    hardware: str


def read_run(folder: Path) -> FinishedRun:
    """The run in a folder. Raises TrainingError when it is none or has no checkpoint."""
    checkpoints = list_checkpoints(folder)
    if not checkpoints or not (folder / FACTS).is_file():
        raise TrainingError(f"{folder} holds no run with a checkpoint.", "Name a run's --out.")
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    recipe = Recipe.model_validate(facts.pop("recipe"))
    progress = json.loads(read_metadata(checkpoints[-1][1])["progress"])
    return FinishedRun(
        folder,
        recipe,
        facts,
        progress["step"],
        progress["total"],
        progress["seconds"],
        progress["hardware"],
    )


def publish(folder: Path, to: Path | None = None, replace: bool = False) -> Path:
    """Put a run's weights, recipe and card into a user's models folder; the folder made.

    `to` is that models folder; else ./models, where it exists, then SREVAL_HOME/models. Raises
    UsageError for a smoke run, where weights lie already and `replace` is not given, or when the
    package itself would be written to; TrainingError when the folder holds no run.
    """
    run = read_run(folder)
    if run.facts["profile"] == "smoke":
        raise UsageError(
            f"{folder} is a smoke run, which shows that training works and no more.",
            "Publish a run of another profile.",
        )
    target = _writable(to) / run.recipe.name
    if (target / WEIGHTS).exists() and not replace:
        raise UsageError(f"{target} already has weights.", "Add --replace to put these instead.")
    network, provenance = load_network(folder / WEIGHTS)
    write_weights(target / WEIGHTS, network, provenance, "fp16")
    if not (target / RECIPE).exists():
        shutil.copyfile(content.find("models", run.facts["model"]) / RECIPE, target / RECIPE)
    write_card(run, target)
    return target


def write_card(run: FinishedRun, target: Path) -> Path:
    """Score the published weights in `target` and write their card anew; its path."""
    weights = target / WEIGHTS
    write_atomic(target / CARD, card(run, weights, score(run.recipe, weights)))
    return target / CARD


def score(recipe: Recipe, weights: Path, device: str = "cpu") -> list[Scored]:
    """PSNR and SSIM on those of Set5, Set14 and BSD100 that are at hand, under two protocols."""
    network, _ = load_network(weights, recipe.network)
    found = []
    for dataset in SETS:
        if locate(dataset, recipe.network.scale) is None:
            continue
        for protocol in PROTOCOLS:
            watched = recipe.run.model_copy(
                update={"dataset": dataset, "protocol": protocol, "metrics": ("psnr", "ssim")}
            )
            validator = Validator(recipe.model_copy(update={"run": watched}), torch.device(device))
            means, _ = validator.scores(network)
            n = len(validator.high)
            found.append(Scored(dataset, protocol, n, means["psnr"], means["ssim"]))
    return found


def card(run: FinishedRun, weights: Path, scores: Sequence[Scored]) -> str:
    """The card of published weights, as Markdown."""
    network, provenance = load_network(weights, run.recipe.network)
    sections = [
        f"# {run.recipe.name}\n\n{run.recipe.about}",
        _facts(run, weights, parameter_count(network), provenance),
        _section("Data", _data(run.facts)),
        _section("Scores", _scores(scores)),
        _section("Curve", _curve(run)),
        _section("Our choices where the papers leave one", _bullets(run.recipe.choices)),
        _section("What happened on the way", _bullets(provenance.notes)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _facts(run: FinishedRun, weights: Path, parameters: int, provenance: Provenance) -> str:
    of = f" of {run.total:,}" if run.total and run.total != provenance.step else ""
    network = run.recipe.network
    rows = {
        "Network": f"{network.name}, {parameters:,} parameters, x{network.scale}",
        "Recipe": f"profile `{run.facts['profile']}`, SHA-256 {provenance.recipe_sha256[:16]}",
        "Updates": f"{provenance.step:,}{of}, batch {run.recipe.data.batch}, "
        f"crops of {run.recipe.data.crop}",
        "Time": f"{duration(run.seconds)} on {run.hardware}, {run.recipe.optimisation.precision}",
        "Starts from": _start(provenance.notes),
        "Code": f"sreval {provenance.code_version}",
        "Weights": f"fp16, {weights.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256_file(weights)}",
    }
    return "\n".join(["| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in rows.items())])


def _data(facts: dict[str, Any]) -> str:
    licences: dict[str, int] = facts["licences"]
    rows = "\n".join(f"| {name} | {count} |" for name, count in licences.items())
    use = "The weights are for non-commercial use, as part of the data is.\n\n"
    unknown = f"Of those {NOT_STATED}, the licence is the trainer's to know.\n\n"
    return (
        f"{facts['photographs']} photographs, {facts['megapixels']:.0f} megapixels, manifest "
        f"SHA-256 {facts['data_sha256'][:16]}; none of them a test image.\n\n"
        f"{use if non_commercial(licences) else ''}{unknown if NOT_STATED in licences else ''}"
        f"| licence | photographs |\n| --- | ---: |\n{rows}"
    )


def _scores(scores: Sequence[Scored]) -> str:
    if not scores:
        return ""
    rows = [f"| {s.dataset} ({s.n}) | {s.protocol} | {s.psnr:.2f} | {s.ssim:.4f} |" for s in scores]
    head = ["| data set (images) | protocol | PSNR, dB | SSIM |", "| --- | --- | ---: | ---: |"]
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
    started = (note.removeprefix(STARTED) for note in notes if note.startswith(STARTED))
    return next(started, "scratch")


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _writable(to: Path | None) -> Path:
    packaged = content.packaged("models").resolve()
    own = content.own_folders("models")
    folder = to or next((f for f in own if f.is_dir()), own[-1])
    if folder.resolve() == packaged and "_content" in packaged.parts:
        raise UsageError(
            f"{folder} belongs to the package.", "Give a folder of your own with --to."
        )
    return folder
