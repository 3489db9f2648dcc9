"""From what a user asks for to a finished or interrupted run."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sreval import content
from sreval.devices import pick_device
from sreval.errors import TrainingError, UsageError, WeightsError
from sreval.files import claim, sha256_file, write_atomic, write_error
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

_SKIPPED_SHOWN = 20


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
    out = request.out or Path("runs") / f"{recipe.name}-{request.profile}"
    checkpoints = list_checkpoints(out)
    if checkpoints and not request.resume:
        raise UsageError(
            f"{out} already holds a run of {checkpoints[-1][0]} updates.",
            "Add --resume to go on with it, or give another --out.",
        )
    if not request.data:
        raise UsageError("No training photographs given.", "Name a folder of them with --data.")
    if checkpoints:
        _refuse_other_validation(out, recipe)
    device = torch.device(pick_device(request.device))
    # what may be missing is looked for before the photographs are packed
    validator = Validator(recipe, device)
    learner = Learner(recipe, device)
    pack, by_hash_alone = _checked_pack(request.data, recipe, line)
    sampler = Sampler(pack, recipe.data, recipe.network, device, recipe.optimisation.seed)
    if sampler.too_small:
        line.say(
            f"{len(sampler.too_small)} images hold no crop: {', '.join(sampler.too_small[:5])}"
        )
    if checkpoints:
        progress = _resume(checkpoints, learner, sampler, pack.sha256)
        line.say(f"Resuming after {progress.step:,} updates, from {checkpoints[-1][1]}")
    else:
        progress = _begin(recipe, request.start, learner, pack.sha256)
        if progress.step:
            # the sampler's state is one device's own; the first batches have been learnt from
            sampler.random.manual_seed(recipe.optimisation.seed + progress.step)
    progress.total = recipe.optimisation.updates or progress.total
    # a finished run may be resumed: its weights are written again
    most = progress.step if checkpoints else progress.step + 1
    if progress.total is not None and most > progress.total:
        raise UsageError(
            f"{out if checkpoints else request.start} holds {progress.step:,} updates, and the run "
            f"ends after {progress.total:,}.",
            "Its weights.safetensors are the result already; for fewer updates, begin anew.",
        )
    alone = progress.generator_waits_until
    if progress.total is not None and alone >= progress.total > 0:
        raise UsageError(
            f"The discriminator is to be trained alone up to update {alone:,}, and the run ends "
            f"after {progress.total:,}.",
            "Give it more updates.",
        )
    _note_hardware(progress, device, line)
    with _alone_in(out):
        if list_checkpoints(out) != checkpoints:
            raise UsageError(
                f"Another run has written into {out} meanwhile.",
                "Add --resume to go on with it, or give another --out.",
            )
        facts = _facts(request, recipe, pack, by_hash_alone)
        write_atomic(out / FACTS, json.dumps(facts, indent=1) + "\n")
        log = Log(out, progress.step, anew=not checkpoints)
        training = Training(
            recipe, learner, sampler, validator, progress, log, line, out, pack.sha256
        )
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
        changes["optimisation.updates"] = request.steps
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
        words += ["--set", f"{key}={_toml(value)}"]
    if request.device != "auto":
        words += ["--device", request.device]
    return shlex.join([*words, "--resume"])


def _toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _refuse_other_validation(out: Path, recipe: Recipe) -> None:
    """`validation.csv` holds scores of one kind; raises UsageError when others are asked for."""
    asked = recipe.model_dump(mode="json")["run"]
    try:
        facts = json.loads((out / FACTS).read_text(encoding="utf-8"))
        before = {key: facts["recipe"]["run"][key] for key in ("dataset", "protocol", "metrics")}
    except (OSError, ValueError, KeyError, TypeError):
        return  # it is written anew
    for key, old in before.items():
        new = asked[key]
        if old != new:
            raise UsageError(
                f"run.{key} was {old!r} in {out}, and {new!r} is asked for.",
                "Resume with the one of before, or begin anew in another --out with --from.",
            )


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Write into a folder while no other run does. Raises DataError otherwise."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise write_error(out, error) from error
    with file:
        claim(file, out)
        yield


def _resume(
    checkpoints: Sequence[tuple[int, Path]], learner: Learner, sampler: Sampler, data_sha256: str
) -> Progress:
    path = checkpoints[-1][1]
    try:
        return load_checkpoint(path, learner, sampler.random, data_sha256)
    except WeightsError as error:
        if len(checkpoints) == 1:
            raise
        remedy = f"Remove it to go on from {checkpoints[-2][1].name}."
        raise WeightsError(error.message, remedy) from error


def _facts(
    request: Request, recipe: Recipe, pack: Pack, by_hash_alone: Sequence[str]
) -> dict[str, Any]:
    """What a card will say of a run, that neither its checkpoint nor its weights hold.

    `folder` is that of a model which the package doesn't bring.
    """
    folder = content.find("models", request.name).absolute()
    packaged = folder.parent.resolve() == content.packaged("models").resolve()
    return {
        "model": recipe.name,
        "folder": "" if packaged else str(folder),
        "profile": request.profile,
        "recipe": recipe.model_dump(mode="json"),
        "photographs": len(pack.photographs),
        "megapixels": pack.pixels / 1e6,
        "data_sha256": pack.sha256,
        "by_hash_alone": list(by_hash_alone),
        "licences": count_licences(request.data, (p.file for p in pack.photographs)),
    }


def _checked_pack(
    folders: Sequence[Path], recipe: Recipe, line: ProgressLine
) -> tuple[Pack, list[str]]:
    """The pack, free of test images, and the evaluation sets that were compared by hash alone."""
    pack = open_pack(folders, recipe.network.scale, line.say)
    tests, absent = evaluation_fingerprints()
    refuse_leaks(pack.fingerprints(), tests)
    line.say(
        f"{len(pack.photographs)} photographs, {pack.pixels / 1e6:.0f} megapixels, none of them a "
        f"test image of those at hand"
    )
    if absent:
        line.say(f"Not at hand, so compared by file hash alone: {', '.join(absent)}")
    if pack.skipped:
        line.say(f"Skipped {len(pack.skipped)}:")
        for name, why in pack.skipped[:_SKIPPED_SHOWN]:
            line.say(f"  {name}: {why}")
        if len(pack.skipped) > _SKIPPED_SHOWN:
            line.say(f"  all are listed in {pack.folder / 'manifest.json'}")
    return pack, absent


def _begin(recipe: Recipe, start: Path | None, learner: Learner, data_sha256: str) -> Progress:
    """Progress at the first update, with the weights that the recipe starts from in place."""
    if start is not None:
        start = _start(start)
        if start.is_dir():
            return load_light(start, learner, data_sha256)
    alone = learner.discriminator is not None
    warmup = recipe.optimisation.discriminator_warmup if alone else 0
    progress = Progress(generator_waits_until=warmup)
    if warmup:
        progress.notes.append(f"the discriminator was trained alone for {warmup} updates first")
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
    before = [*provenance.notes, f"{STARTED}{started} (weights {sha256_file(path)[:12]})"]
    progress.notes = [*before, *progress.notes]
    return progress


def _start(given: Path) -> Path:
    """What --from means: a weight file, or the folder of a light form.

    A run's folder stands for its weights, its folder `light` for the newest light form, and a
    model's name for the weights of that model.
    """
    if given.is_file() or any(given.glob("light-*")):
        return given
    if (given / "weights.safetensors").is_file():
        return given / "weights.safetensors"
    forms = sorted(given.glob("step-*"))
    if not forms and str(given) in content.names("models"):
        return content.find("models", str(given)) / "weights.safetensors"
    return forms[-1] if forms else given


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
