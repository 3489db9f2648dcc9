"""From what a user asks for to a finished or interrupted run."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sreval import content
from sreval.devices import pick_device
from sreval.errors import TrainingError, UsageError
from sreval.files import sha256_file, write_atomic
from sreval.networks.weights import load_network
from sreval.training.checkpoint import (
    STARTED,
    Progress,
    list_checkpoints,
    load_checkpoint,
    load_light,
)
from sreval.training.leaks import evaluation_fingerprints, refuse_leaks
from sreval.training.licences import count_licences
from sreval.training.log import Log, ProgressLine
from sreval.training.loop import Training, loop
from sreval.training.pack import Pack, open_pack
from sreval.training.publish import FACTS
from sreval.training.recipe import Recipe, load_recipe
from sreval.training.sampler import Sampler
from sreval.training.steps import Learner
from sreval.training.validation import Validator


@dataclass(frozen=True)
class Request:
    """What `sreval train` is asked for.

    `changes` are dotted keys over the profile (see `recipe.parse_changes`); `start` is a weight
    file, or a folder of a light checkpoint, to begin from in place of what the recipe names.
    With `resume` a run goes on from the last checkpoint in `out`, or begins where there is none.
    """

    name: str
    data: Sequence[Path]
    out: Path | None = None
    profile: str = "paper"
    steps: int | None = None
    changes: Mapping[str, Any] | None = None
    device: str = "auto"
    precision: str | None = None
    start: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `signal` is None when it reached the recipe's end."""

    signal: int | None
    step: int
    weights: Path
    checkpoint: Path
    out: Path


def train(request: Request, line: ProgressLine | None = None) -> Outcome:
    """Run a request to its end or to the first SIGINT, SIGTERM or SIGHUP.

    Raises a SrevalError for whatever keeps it from beginning or going on.
    """
    line = line or ProgressLine()
    recipe = requested_recipe(request)
    out = request.out or Path("runs") / f"{Path(request.name).name}-{request.profile}"
    checkpoints = list_checkpoints(out)
    if checkpoints and not request.resume:
        raise UsageError(
            f"{out} already holds a run of {checkpoints[-1][0]} updates.",
            "Add --resume to go on with it, or give another --out.",
        )
    device = torch.device(pick_device(request.device))
    pack = _checked_pack(request.data, recipe, line)
    validator = Validator(recipe, device)
    learner = Learner(recipe, device)
    sampler = Sampler(pack, recipe.data, recipe.network, device, recipe.optimisation.seed)
    if sampler.too_small:
        line.say(
            f"{len(sampler.too_small)} images hold no crop: {', '.join(sampler.too_small[:5])}"
        )
    if checkpoints:
        path = checkpoints[-1][1]
        progress = load_checkpoint(path, learner, sampler.random, pack.sha256)
        line.say(f"Resuming after {progress.step:,} updates, from {path}")
    else:
        progress = _begin(recipe, request.start, learner, pack.sha256)
        if progress.step:
            # the sampler's state is one device's own; the first batches have been learnt from
            sampler.random.manual_seed(recipe.optimisation.seed + progress.step)
    progress.total = recipe.optimisation.updates or progress.total
    if not checkpoints and progress.total is not None and progress.step >= progress.total:
        raise UsageError(
            f"{request.start} holds {progress.step:,} updates, and the run ends after "
            f"{progress.total:,}.",
            "Its weights.safetensors are the result already.",
        )
    _note_hardware(progress, device, line)
    write_atomic(out / FACTS, json.dumps(_facts(request, recipe, pack), indent=1) + "\n")
    log = Log(out, progress.step)
    training = Training(recipe, learner, sampler, validator, progress, log, line, out, pack.sha256)
    try:
        signal = loop(training)
    finally:
        log.close()
    last = list_checkpoints(out)[-1][1]
    return Outcome(signal, progress.step, out / "weights.safetensors", last, out)


def requested_recipe(request: Request) -> Recipe:
    """The recipe with the request's profile, steps, precision and changes."""
    changes = dict(request.changes or {})
    if request.steps is not None:
        changes |= {"optimisation.updates": request.steps, "optimisation.minutes": None}
    if request.precision is not None:
        changes["optimisation.precision"] = request.precision
    return load_recipe(request.name, request.profile, changes)


def resume_command(request: Request, out: Path) -> str:
    """What a user types to go on with an interrupted run, after `sreval train`."""
    words = [request.name, "--out", str(out), "--profile", request.profile]
    for folder in request.data:
        words += ["--data", str(folder)]
    for flag, value in (("--steps", request.steps), ("--precision", request.precision)):
        words += [flag, str(value)] if value is not None else []
    for key, value in (request.changes or {}).items():
        words += ["--set", f"{key}={json.dumps(value)}"]
    if request.device != "auto":
        words += ["--device", request.device]
    return shlex.join([*words, "--resume"])


def _facts(request: Request, recipe: Recipe, pack: Pack) -> dict[str, Any]:
    """What a card will say of a run, that neither its checkpoint nor its weights hold."""
    return {
        "model": request.name,
        "profile": request.profile,
        "recipe": recipe.model_dump(mode="json"),
        "photographs": len(pack.photographs),
        "megapixels": pack.pixels / 1e6,
        "data_sha256": pack.sha256,
        "licences": count_licences(request.data, (p.file for p in pack.photographs)),
    }


def _checked_pack(folders: Sequence[Path], recipe: Recipe, line: ProgressLine) -> Pack:
    if not folders:
        raise UsageError("No training photographs given.", "Name a folder of them with --data.")
    pack = open_pack(folders, recipe.network.scale, line.say)
    tests, absent = evaluation_fingerprints(recipe.network.scale)
    refuse_leaks(pack.fingerprints(), tests)
    line.say(
        f"{len(pack.photographs)} photographs, {pack.pixels / 1e6:.0f} megapixels, none of them a "
        f"test image of those at hand"
    )
    if absent:
        line.say(f"Not at hand, so compared by file hash alone: {', '.join(absent)}")
    if pack.skipped:
        name, why = pack.skipped[0]
        more = len(pack.skipped) - 1
        others = f" and {more} more" if more else ""
        line.say(f"Skipped: {name} ({why}){others}; listed in {pack.folder / 'manifest.json'}")
    return pack


def _begin(recipe: Recipe, start: Path | None, learner: Learner, data_sha256: str) -> Progress:
    """Progress at the first update, with the weights that the recipe starts from in place."""
    if start is not None and start.is_dir():
        return load_light(start, learner, data_sha256)
    progress = Progress(generator_waits_until=recipe.optimisation.discriminator_warmup)
    if start is None and not recipe.starts_from:
        return progress
    path = start or content.find("models", recipe.starts_from) / "weights.safetensors"
    if start is None and not path.exists():
        raise TrainingError(
            f"{recipe.name} starts from {recipe.starts_from}, which has no weights: {path}.",
            f"Train {recipe.starts_from} first, or name a weight file with --from.",
        )
    network, provenance = load_network(path, recipe.network)
    learner.start_from(network)
    started = f"{provenance.recipe} after {provenance.step} updates"
    progress.notes += [*provenance.notes, f"{STARTED}{started} (weights {sha256_file(path)[:12]})"]
    return progress


def _note_hardware(progress: Progress, device: torch.device, line: ProgressLine) -> None:
    """Say, and keep for the card, when a run goes on where it can't be the same bit for bit."""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    else:
        hardware = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    hardware += f", torch {torch.__version__}"
    if progress.hardware and progress.hardware != hardware:
        note = f"resumed after {progress.step} updates on {hardware}, before on {progress.hardware}"
        progress.notes.append(note)
        line.say(f"Not bit for bit what one machine would give: {note}")
    progress.hardware = hardware
