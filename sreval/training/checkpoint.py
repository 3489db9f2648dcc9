"""Checkpoints: all of a run in one file, and a light form in files under 16 MB.

A checkpoint is a safetensors file of every tensor the run's future depends on, with the rest in
its metadata. It appears whole or not at all, so that a kill at any moment leaves the one before.

The light form is for carrying a run to another machine, in small files: the generator and its
optimiser as light-NN-of-MM, the discriminator in bf16 as discriminator-NN-of-MM, which may be left
behind. A run that goes on from it is not the same run bit for bit, and its weights say so.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sreval.config import CLOSED, validated
from sreval.errors import TrainingError, WeightsError, option
from sreval.files import atomic_folder, write_atomic
from sreval.networks.weights import Stage, fill, read_tensors, serialise
from sreval.own_code import code_changes, code_sha256
from sreval.reading import from_json
from sreval.training.learner import Learner, Summed
from sreval.training.ranks import gathered, rank
from sreval.training.recipe import Recipe, first_difference

FORMAT = "sreval-checkpoint-1"
LIGHT_FORMAT = "sreval-light-1"
LIGHT_BYTES = 15_000_000

STARTED = "started from "
"""How the note begins that says which weights a run began with."""

_NAME = re.compile(r"^step-(\d+)\.safetensors$")


@dataclass
class Progress:
    """How far a run has come.

    `total` is how many updates it will have, None for a run of given minutes before its end, and
    `given` the seconds that it had been given when it ended. `best_score` is that of the best
    validation so far, `first_loss` the first update's content loss. `window` and `unjudged` are
    what `Updates` has summed up. `stages` are the runs that led to the weights it began with, and
    the run itself, as in `weights.Stage`.
    """

    __pydantic_config__ = CLOSED

    step: int = 0
    total: int | None = None
    seconds: float = 0.0
    given: float = 0.0
    first_loss: float = float("inf")
    best_loss: float = float("inf")
    best_score: float = float("-inf")
    vgg_factor: float = 1.0
    calibrated: bool = False
    generator_waits_until: int = 0
    hardware: str = ""
    window: Summed = field(default_factory=Summed)
    unjudged: Summed = field(default_factory=Summed)
    notes: list[str] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)


def checkpoint_path(out: Path, step: int) -> Path:
    """Where the checkpoint after that many updates lies."""
    return out / "checkpoints" / f"step-{step:08d}.safetensors"


def list_checkpoints(out: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a run, oldest first."""
    folder = out / "checkpoints"
    if not folder.is_dir():
        return []
    found = ((_NAME.match(entry.name), entry) for entry in folder.iterdir())
    return sorted((int(match[1]), entry) for match, entry in found if match)


def save_checkpoint(
    out: Path, learner: Learner, random: torch.Generator, progress: Progress, data_sha256: str
) -> Path:
    """Write a checkpoint and remove those that the recipe doesn't keep; its path.

    Of several processes all call it, and rank 0 writes. Raises DataError when the disk is full,
    TrainingError when a weight is not finite; what was kept before is then untouched.
    """
    state = _state(learner)
    for name, tensor in state.items():
        if not bool(tensor.isfinite().all()):
            raise TrainingError(f"{name} is not finite after {progress.step} updates.")
    state["random.sampler"] = random.get_state()
    for place, own in enumerate(gathered(_random(learner.device))):
        state |= {_random_name(kind, place): value for kind, value in own.items()}
    path = checkpoint_path(out, progress.step)
    if rank():
        return path
    write_atomic(path, serialise(state, _metadata(FORMAT, learner.recipe, progress, data_sha256)))
    run = learner.recipe.run
    named = [entry for entry in list_checkpoints(out) if entry[0] not in run.keep_at]
    for _, old in named[: -run.keep]:
        old.unlink(missing_ok=True)
    return path


def load_checkpoint(
    path: Path, learner: Learner, random: torch.Generator, data_sha256: str
) -> Progress:
    """Put a run back to where the checkpoint was written.

    Raises TrainingError naming the field when it is of another recipe or of other data,
    WeightsError when the file is damaged.
    """
    tensors, metadata = read_tensors(path)
    progress = _check(path, metadata, FORMAT, learner.recipe)
    if metadata["data_sha256"] != data_sha256:
        raise TrainingError(
            f"{path} was trained on other data: its manifest's SHA-256 is "
            f"{metadata['data_sha256'][:12]}, the given data have {data_sha256[:12]}.",
            f"Give the same photographs with {option('--data')}, with the folders in the "
            f"same order, or start a new run in another {option('--out')}.",
        )
    try:
        random.set_state(tensors.pop("random.sampler"))
        for kind in _random(learner.device):
            name = _random_name(kind, rank())
            # there is none of a process more than there were, nor in an older checkpoint
            if name in tensors or name == "random.cpu":
                _set_random(kind, tensors[name], learner.device)
    except (KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path, f"its random state: {error}") from None
    _restore(learner, tensors, path, progress)
    return progress


def _random(device: torch.device) -> dict[str, Tensor]:
    """What this process's networks draw from, by the kind of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random(kind: str, state: Tensor, device: torch.device) -> None:
    if kind == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def _random_name(kind: str, rank: int) -> str:
    return f"random.{kind}.{rank}" if rank else f"random.{kind}"


def light_path(out: Path, step: int) -> Path:
    """Where the light form after that many updates lies."""
    return out / "light" / f"step-{step:08d}"


def save_light(folder: Path, learner: Learner, progress: Progress, data_sha256: str) -> list[Path]:
    """Write the light form into a new folder; its files, each under 16 MB.

    The folder appears whole; light forms of other updates beside it go.
    """
    state = _state(learner)
    forms = {
        "light": {n: t for n, t in state.items() if not n.startswith("discriminator")},
        "discriminator": {
            n: t.bfloat16() for n, t in state.items() if n.startswith("discriminator.")
        },
    }
    metadata = _metadata(LIGHT_FORMAT, learner.recipe, progress, data_sha256)
    for left in folder.parent.glob(".*.part"):
        shutil.rmtree(left, ignore_errors=True)  # of a run that was killed
    with atomic_folder(folder, replace=True) as unfinished:
        for kind, tensors in forms.items():
            parts = _split(tensors) if tensors else []
            for place, part in enumerate(parts, 1):
                name = f"{kind}-{place:02d}-of-{len(parts):02d}.safetensors"
                write_atomic(unfinished / name, serialise(part, metadata))
    for old in folder.parent.glob("step-*"):
        if old != folder:
            shutil.rmtree(old)
    return sorted(folder.iterdir())


def load_light(folder: Path, learner: Learner, data_sha256: str, warmup: int = 500) -> Progress:
    """Go on from a light form: weights, the generator's optimiser, the number of updates.

    If it holds no discriminator but the recipe has one, the discriminator is trained alone
    for `warmup` updates first. That, the move itself and other data than before are noted.
    """
    paths = [*_parts(folder, "light"), *_parts(folder, "discriminator")]
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    progress = Progress()
    for path in paths:
        before, (part, metadata) = metadata, read_tensors(path)
        progress = _check(path, metadata, LIGHT_FORMAT, learner.recipe)
        if before and before["progress"] != metadata["progress"]:
            raise TrainingError(
                f"{path} belongs to another update than the files before it.",
                "Copy one whole folder and nothing else.",
            )
        tensors |= part
    _restore(learner, _joined(tensors), folder, progress)
    note = f"moved between machines in the light form after {progress.step} updates"
    if learner.discriminator is not None and not any(
        name.startswith("discriminator.") for name in tensors
    ):
        progress.generator_waits_until = progress.step + warmup
        note += f", without its discriminator, which was trained alone for {warmup} updates"
    before_sha256 = metadata["data_sha256"]
    if before_sha256 != data_sha256:
        note += f"; trained before on other photographs, manifest SHA-256 {before_sha256[:16]}"
    progress.notes.append(note)
    return progress


def _parts(folder: Path, kind: str) -> list[Path]:
    """All files of one kind of a light form; none at all is right for the discriminator alone."""
    paths = sorted(folder.glob(f"{kind}-*-of-*.safetensors"))
    parts = paths[0].stem.rsplit("-", 1)[1] if paths else ""
    wanted = int(parts) if parts.isdecimal() else int(kind == "light")
    if len(paths) != wanted:
        raise TrainingError(
            f"{folder} holds {len(paths)} of {wanted} files {kind}-NN-of-MM.safetensors.",
            "Copy the whole folder, with or without the files of the discriminator.",
        )
    return paths


def _metadata(fmt: str, recipe: Recipe, progress: Progress, data_sha256: str) -> dict[str, str]:
    return {
        "format": fmt,
        "recipe": json.dumps(recipe.identity(), sort_keys=True),
        "progress": json.dumps(asdict(progress)),
        "data_sha256": data_sha256,
    }


def _damaged(path: Path, why: str) -> WeightsError:
    return WeightsError(
        f"{path} is damaged ({why}).", "Remove it, and go on from the checkpoint before it."
    )


def _check(path: Path, metadata: dict[str, str], fmt: str, recipe: Recipe) -> Progress:
    """How far the run had come. Raises TrainingError or WeightsError for what can't be gone on."""
    if metadata.get("format") != fmt:
        raise TrainingError(
            f"{path}: field 'format' is {metadata.get('format')!r}, not {fmt!r}.",
            "It isn't such a checkpoint. Remove it or give another.",
        )
    try:
        facts = validated(_Facts, metadata)
        theirs = _identity(validated(dict[str, Any], from_json(facts.recipe)))
        validated(dict[str, Any], theirs.get("optimisation"))
        progress = validated(Progress, from_json(facts.progress))
        validated(list[Stage], progress.stages)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    ours = recipe.identity()
    lengths = [recipe.optimisation.shape == "steps" and "updates"]
    lengths.append(all(x["optimisation"].get("minutes") for x in (theirs, ours)) and "minutes")
    # a schedule of steps may be made longer without a change to what was done, and a run of
    # given minutes is a function of the time that it is given
    for identity in (theirs, ours):
        identity["optimisation"] |= {length: None for length in lengths if length}
    difference = first_difference(theirs, ours)
    given = ""
    if '"python:' in facts.recipe:
        given = ", the network and the losses that Python gave among them"
    if difference:
        raise TrainingError(
            f"{path} is a checkpoint of another recipe: {difference} (checkpoint and now).",
            f"Use the earlier recipe, profile and settings{given}, or another {option('--out')}.",
        )
    return progress


def _identity(written: dict[str, Any]) -> dict[str, Any]:
    """A recipe's identity as it stands in a checkpoint, with the fields that have come since."""
    try:
        return validated(Recipe, written).identity()
    except ValueError:
        return written  # of another version: the first difference tells


@dataclass
class _Facts:
    """What stands in a checkpoint's metadata."""

    recipe: str
    progress: str
    data_sha256: str


def _state(learner: Learner) -> dict[str, Tensor]:
    """Every tensor of networks and optimisers, under dotted names."""
    state: dict[str, Tensor] = {}
    for prefix, network in _networks(learner).items():
        state |= {f"{prefix}.{name}": t for name, t in network.state_dict().items()}
    for prefix, optimiser in _optimisers(learner).items():
        for place, parameter in enumerate(optimiser.param_groups[0]["params"]):
            for name, tensor in optimiser.state[parameter].items():
                state[f"{prefix}.{place}.{name}"] = tensor
    return state


def _restore(learner: Learner, tensors: dict[str, Tensor], path: Path, progress: Progress) -> None:
    for prefix, network in _networks(learner).items():
        own = _below(prefix, tensors)
        if own or prefix != "discriminator":
            try:
                fill(network, own, path)
            except WeightsError as error:
                raise _misfit(error, learner.recipe, progress) from error
    for prefix, optimiser in _optimisers(learner).items():
        own = _below(prefix, tensors)
        for place, parameter in enumerate(optimiser.param_groups[0]["params"]):
            for name, saved in _below(str(place), own).items():
                # the fused update asks for the parameter's own memory layout
                like = parameter if saved.shape == parameter.shape else saved
                # a count in whole numbers stays on the host, where Soap reads it
                device = parameter.device if saved.is_floating_point() else "cpu"
                optimiser.state[parameter][name] = torch.empty_like(
                    like, dtype=saved.dtype, device=device, requires_grad=False
                ).copy_(saved)


def _misfit(error: WeightsError, recipe: Recipe, progress: Progress) -> TrainingError:
    """That a checkpoint's tensors aren't those of the recipe's networks, and why if known."""
    name = recipe.network.name
    if not recipe.network.own:
        return TrainingError(error.message, "Give a checkpoint of this recipe.")
    before = progress.stages[-1].get("code", {}) if progress.stages else {}
    other = f"or start a new run in another {option('--out')}."
    if code_changes(before, {name: code_sha256(name)}):
        return TrainingError(
            f"{error.message} The code of {name} has changed since this checkpoint.",
            f"Restore the code as it was then, {other}",
        )
    return TrainingError(
        f"{error.message} The network of {name} is made otherwise than when this run began.",
        f"Give the class the same arguments, or give the same object as before, {other}",
    )


def _networks(learner: Learner) -> dict[str, nn.Module]:
    networks = {
        "generator": learner.generator,
        "ema": learner.ema,
        "discriminator": learner.discriminator,
    }
    return {prefix: network for prefix, network in networks.items() if network is not None}


def _optimisers(learner: Learner) -> dict[str, torch.optim.Optimizer]:
    found: dict[str, torch.optim.Optimizer] = {"generator_optimiser": learner.optimiser}
    if learner.discriminator_optimiser is not None:
        found["discriminator_optimiser"] = learner.discriminator_optimiser
    return found


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = prefix + "."
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def _split(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors shared out over parts of at most LIGHT_BYTES; a larger tensor is cut by rows."""
    pieces: list[tuple[str, Tensor]] = []
    for name, tensor in state.items():
        count = -(-tensor.nbytes // LIGHT_BYTES)
        rows = tensor.chunk(count) if count > 1 else (tensor,)
        pieces += [
            (f"{name}#{place:03d}" if count > 1 else name, row) for place, row in enumerate(rows)
        ]
    parts: list[dict[str, Tensor]] = [{}]
    for name, piece in pieces:
        if sum(t.nbytes for t in parts[-1].values()) + piece.nbytes > LIGHT_BYTES:
            parts.append({})
        parts[-1][name] = piece
    return parts


def _joined(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    cut: dict[str, list[Tensor]] = {}
    for name in sorted(tensors):
        cut.setdefault(name.partition("#")[0], []).append(tensors[name])
    return {name: torch.cat(rows) if len(rows) > 1 else rows[0] for name, rows in cut.items()}
