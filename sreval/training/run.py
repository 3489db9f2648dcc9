"""From what a user asks for to a finished or interrupted run."""

from __future__ import annotations

import json
import os
import platform
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sreval import content
from sreval.config import validated
from sreval.devices import slow_bf16
from sreval.errors import TrainingError, UsageError, WeightsError, counted, option, shown
from sreval.files import claim, sha256_bytes, write_atomic, write_error
from sreval.images.known import KNOWN
from sreval.networks.architecture import ModelFile, OwnArchitecture
from sreval.networks.own import Term, printed, unlike_recipe
from sreval.networks.weights import GIVEN, Stage, load_model, read_provenance
from sreval.own_code import code_changes, code_sha256
from sreval.reading import read_json
from sreval.training import ranks
from sreval.training.cards import history
from sreval.training.checkpoint import (
    STARTED,
    Progress,
    list_checkpoints,
    load_checkpoint,
    load_light,
)
from sreval.training.leaks import evaluation_fingerprints, refuse_leaks
from sreval.training.learner import Learner
from sreval.training.licences import count_licences
from sreval.training.log import Log, ProgressLine
from sreval.training.loop import Training, loop
from sreval.training.models import FACTS
from sreval.training.packs import Photographs, megapixels, open_pack
from sreval.training.recipe import LOGGED, OwnTerm, Recipe, as_toml, change, load_recipe
from sreval.training.sampler import Sampler
from sreval.training.slurm import requeue
from sreval.training.trackers import open_trackers, require_tracker
from sreval.training.validation import Validator, check_validation, kept_aside

_SKIPPED_SHOWN = 20


@dataclass(frozen=True)
class Request:
    """What `sreval train` is asked for.

    `changes` are dotted keys over the profile (see `recipe.parse_changes`); `start` is a weight
    file, or a folder of a light checkpoint, to begin from in place of what the recipe names. The
    length is `steps` updates, `minutes` of training, or the time up to `until`, instead of the
    profile's.
    Photographs named in `different` may look like a test image: their owner says they show another.
    `network` takes the place of what the recipe's would be, and `losses` that of its own terms: by
    name, a function and its weight.
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
    minutes: float | None = None
    until: datetime | None = None
    different: Sequence[str] = ()
    network: nn.Module | None = None
    losses: Mapping[str, tuple[Term, float]] | None = None

    def resume_command(self, out: Path) -> str:
        """What a user types to go on with an interrupted run, after `sreval train`."""
        words = [self.name, "--out", str(out), "--profile", self.profile]
        for folder in self.data:
            words += ["--data", str(folder)]
        lengths = (("--steps", self.steps), ("--minutes", self.minutes))
        for flag, value in (*lengths, ("--precision", self.precision)):
            words += (
                [flag, f"{value:.12g}" if isinstance(value, float) else str(value)] if value else []
            )
        if self.until is not None:
            words += ["--until", self.until.isoformat(timespec="minutes")]
        for key, value in (self.changes or {}).items():
            words += ["--set", f"{key}={as_toml(value)}"]
        for name in self.different:
            words += ["--different", name]
        if self.device != "auto":
            words += ["--device", self.device]
        return shlex.join([*words, "--resume"])


@dataclass(frozen=True, repr=False)
class Outcome:
    """How a run ended. `signal` is None when it reached the recipe's end.

    `requeued` is whether Slurm has its job in the queue again, after SIGUSR1.
    """

    signal: int | None
    step: int
    weights: Path
    checkpoint: Path
    out: Path
    request: Request
    requeued: bool = False

    def __repr__(self) -> str:
        how = "ended" if self.signal is None else f"stopped by signal {self.signal}"
        return f"<a run that {how} after {self.step:,} updates: {self.weights}>"


def train(request: Request, line: ProgressLine | None = None) -> Outcome:
    """Run a request to its end or to the first SIGINT, SIGTERM, SIGHUP or SIGUSR1.

    A launcher such as torchrun may call it in several processes, which are then one run; what
    ends one of them ends all, and the first to know tells. Raises a SrevalError for whatever keeps
    the run from beginning or going on.
    """
    line = line or ProgressLine()
    with ranks.joined(request.device) as device:
        if ranks.rank():
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                return _train(request, ProgressLine(nowhere), device)
        return _train(request, line, device)


def _train(request: Request, line: ProgressLine, device: torch.device) -> Outcome:
    # what is asked for, and where
    changes = _changes(request)
    recipe, given = _recipe(request, changes)
    _refuse_uneven(recipe)
    out = request.out or Path("runs") / f"{recipe.name}-{request.profile}"
    checkpoints = _earlier(request, recipe, out)

    # networks, photographs, validation
    # what may be missing is looked for before the photographs are packed
    check_validation(recipe)
    require_tracker(recipe)
    learner, code = _learner(request, recipe, device)
    pack, checked = _checked_pack(request, recipe, line)
    validator = Validator(recipe, device, pack)
    sampler = _sampler(recipe, pack, device, line)

    # how far it is, and how far it goes
    if checkpoints:
        progress = _resume(checkpoints, learner, sampler, pack.sha256)
        line.say(f"Resuming after {progress.step:,} updates, from {checkpoints[-1][1]}")
    else:
        progress = _begin(recipe, request.start, learner, pack.sha256)
        if progress.step:
            # the sampler's state is one device's own; the first batches have been learnt from
            sampler.random.manual_seed(recipe.optimisation.seed + progress.step)
    _refuse_strangers({"updates": progress.step, "photographs": pack.sha256, "recipe": recipe})
    _note_code(progress, code, line)
    _note_given(progress, given, out if checkpoints else None, line)
    _add_stage(progress, request, changes, recipe, pack, code)
    seconds = _seconds(request, recipe, progress)
    progress.total = recipe.optimisation.updates or progress.total
    if seconds is not None and seconds > 1.01 * progress.given:
        progress.total = None  # more time is given than when it ended
    _refuse_short(progress, out if checkpoints else request.start, resumed=bool(checkpoints))
    _note_hardware(progress, device, line)
    if recipe.optimisation.precision == "bf16" and slow_bf16(str(device)):
        other = option("--precision fp32", "precision='fp32'")
        line.say(
            "This processor computes bf16 in software, many times slower than fp32: "
            f"{other} is faster here."
        )

    # the run itself
    with _alone_in(out):
        if list_checkpoints(out) != checkpoints:
            raise UsageError(f"Another run has written into {out} meanwhile.", _go_on())
        facts = _facts(request, recipe, pack) | checked | {"given": given}
        log = _open_log(recipe, out, progress.step, facts, line, anew=not checkpoints)
        # with --until, what was packed and loaded meanwhile is not the run's
        seconds = _seconds(request, recipe, progress)
        training = Training(
            recipe, learner, sampler, validator, progress, log, line, out, pack.sha256, seconds
        )
        with closing(sampler), nullcontext() if log is None else closing(log):
            number = loop(training)
        ranks.meet()  # the last checkpoint is written
    again = _requeued(number, line)
    last = list_checkpoints(out)[-1][1]
    return Outcome(number, progress.step, out / ModelFile.WEIGHTS, last, out, request, again)


def _recipe(request: Request, changes: Mapping[str, Any]) -> tuple[Recipe, dict[str, str] | None]:
    """The recipe, and what there is to say of a network that was given in Python.

    Its arguments are not known: the recipe's stand for them only where they make the same network.
    """
    if request.network is None:
        return load_recipe(request.name, request.profile, changes), None
    name = code_name(type(request.network))
    named = load_recipe(request.name, request.profile, changes).network
    recipe = load_recipe(request.name, request.profile, changes, name)
    assert isinstance(recipe.network, OwnArchitecture)
    if named.name == name:
        unlike = unlike_recipe(request.network, recipe.network)
    else:
        unlike = f"the recipe names {named.name}"
    if unlike:
        network = recipe.network.model_copy(update={"arguments": {}})
        recipe = recipe.model_copy(update={"network": network})
    layers = sha256_bytes(printed(request.network).encode())
    return recipe, {"network": name, "layers_sha256": layers, "unlike_recipe": unlike}


def _earlier(request: Request, recipe: Recipe, out: Path) -> list[tuple[int, Path]]:
    """The checkpoints that a run goes on from. Raises UsageError where it mustn't, or can't."""
    checkpoints = list_checkpoints(out)
    if checkpoints and not request.resume:
        raise UsageError(f"{out} already holds a run of {checkpoints[-1][0]} updates.", _go_on())
    if not request.data:
        raise UsageError(
            "No training photographs given.",
            f"Name a folder of them, or shards, with {option('--data')}.",
        )
    if checkpoints:
        with _alone_in(out):  # a run that is under way also removes its older checkpoints
            _refuse_other_validation(out, recipe)
    return checkpoints


def _sampler(
    recipe: Recipe, pack: Photographs, device: torch.device, line: ProgressLine
) -> Sampler:
    aside = kept_aside(pack, recipe.data.kept_aside)
    sampler = Sampler(pack, recipe.data, recipe.network, device, recipe.optimisation.seed, aside)
    if sampler.too_small:
        line.say(
            f"{len(sampler.too_small)} images hold no crop: {', '.join(sampler.too_small[:5])}"
        )
    return sampler


def _refuse_uneven(recipe: Recipe) -> None:
    """Raises UsageError for a batch that can't be shared out among the processes."""
    batch, parts, count = recipe.data.batch, recipe.optimisation.accumulate, ranks.count()
    if batch % (parts * count):
        each = f" in {parts} parts each" if parts > 1 else ""
        fits = -(-batch // (parts * count)) * parts * count
        raise UsageError(
            f"data.batch is {batch}, which {count} processes{each} can't share evenly.",
            f"Make it a multiple of {parts * count}: {change('data.batch', fits)}.",
        )
    values = batch // (parts * count) * (recipe.data.crop // 16) ** 2
    alone = recipe.optimisation.batch_norm == "per rank"
    if recipe.loss.adversarial and alone and values < 2:
        raise UsageError(
            "The discriminator's last batch norm would see a single value in each process.",
            f"Make data.batch {2 * parts * count} or more, or data.crop 32 or more, or "
            f"{change('optimisation.batch_norm', 'synchronised')}.",
        )


def _refuse_strangers(own: Mapping[str, object]) -> None:
    """Raises UsageError where the processes aren't about to do the same."""
    found = ranks.gathered({name: str(value) for name, value in own.items()})
    for other, theirs in enumerate(found):
        for name, value in theirs.items():
            if value != found[0][name]:
                raise UsageError(
                    f"Process {other} and process 0 have different {name}.",
                    "All machines need the same command and the same files: a folder that all "
                    f"see for {option('--out')} and {option('--data')}.",
                )


def _open_log(
    recipe: Recipe,
    out: Path,
    step: int,
    facts: Mapping[str, Any],
    line: ProgressLine,
    *,
    anew: bool,
) -> Log | None:
    """The log, with the facts beside it, of the process that writes; None in others."""
    if ranks.rank():
        return None
    write_atomic(out / FACTS, json.dumps(facts, indent=1) + "\n")
    if anew:
        (out / ModelFile.BEST).unlink(missing_ok=True)
    return Log(out, step, anew, open_trackers(recipe, out, step, anew, line.say))


def _requeued(number: int | None, line: ProgressLine) -> bool:
    """Whether Slurm has the job in its queue again, which SIGUSR1 asks for."""
    if number is None or number != getattr(signal, "SIGUSR1", None):
        return False
    return bool(ranks.decided(ranks.rank() == 0 and requeue(line.say)))


def _go_on() -> str:
    again, other = option("--resume", "resume=True"), option("--out")
    return f"Add {again} to go on with it, or give another {other}."


def _refuse_short(progress: Progress, where: Path | None, *, resumed: bool) -> None:
    """Raises UsageError where the run would end before it has begun."""
    # a finished run may be resumed: its weights are written again
    most = progress.step if resumed else progress.step + 1
    if progress.total is not None and most > progress.total:
        raise UsageError(
            f"{where} holds {progress.step:,} updates, but the run ends after {progress.total:,}.",
            "Its weights.safetensors is the result already. For fewer updates, start a new run.",
        )
    alone = progress.generator_waits_until
    if progress.total is not None and alone >= progress.total > 0:
        raise UsageError(
            f"The discriminator is to be trained alone up to update {alone:,}, but the run ends "
            f"after {progress.total:,}.",
            "Give it more updates.",
        )


def _changes(request: Request) -> dict[str, Any]:
    """All that a request changes in the profile, as dotted keys and values."""
    changes = dict(request.changes or {})
    lengths = [request.steps, request.minutes, request.until]
    if sum(length is not None for length in lengths) > 1:
        names = option("--steps, --minutes and --until", "steps, minutes and until")
        raise UsageError(f"More than one of {names} was given.", "Give the run one length.")
    if request.steps is not None:
        changes["optimisation.updates"] = request.steps
    if request.minutes is not None:
        changes["optimisation.minutes"] = request.minutes
    if request.until is not None:
        changes["optimisation.minutes"] = round(_until(request.until) / 60, 2)
    if request.losses is not None:
        changes["loss.own"] = [
            {"term": code_name(term), "weight": weight, "name": name}
            for name, (term, weight) in request.losses.items()
        ]
    if request.precision is not None:
        changes["optimisation.precision"] = request.precision
    return changes


def code_name(given: object) -> str:
    """What a recipe calls an object of the running program."""
    kind = given if hasattr(given, "__qualname__") else type(given)
    return f"python:{getattr(kind, '__module__', None) or '__main__'}:{kind.__qualname__}"


def require_given(network: object, losses: object) -> None:
    """Raises UsageError for what can't be a network or losses given in Python."""
    if network is not None and not isinstance(network, nn.Module):
        told = f"the class {network.__qualname__}" if isinstance(network, type) else shown(network)
        raise UsageError(
            f"network is {told}, not a torch.nn.Module.",
            "Give an object, such as Net(); its scale, colour and ranges stand in the recipe.",
        )
    if losses is not None and not (
        isinstance(losses, Mapping)
        and all(
            isinstance(one, tuple | list) and len(one) == 2 and callable(one[0])
            for one in losses.values()
        )
    ):
        raise UsageError(
            f"losses is {shown(losses)}.",
            "Give functions and weights by name: {'edges': (edges, 0.1)}.",
        )
    for name, (term, weight) in (losses or {}).items():
        if not name or name in LOGGED:
            raise UsageError(
                f"losses names a term {name!r}, as another column of losses.csv."
                if name
                else "losses has a term whose name is empty.",
                "Give the term another name.",
            )
        own = {"term": code_name(term), "weight": weight, "name": name}
        OwnTerm.checked(own, f"losses[{name!r}]")


def _learner(
    request: Request, recipe: Recipe, device: torch.device
) -> tuple[Learner, dict[str, str]]:
    """The networks and losses, and the SHA-256 of the user's own code among them, by name."""
    losses = {name: term for name, (term, _) in (request.losses or {}).items()}
    try:
        learner = Learner(recipe, device, request.network, losses)
    except (UsageError, TrainingError) as error:
        if not recipe.own_code:
            raise
        path = content.find("models", request.name) / ModelFile.RECIPE
        raise type(error)(f"{path}: {error.message}", error.remedy) from error
    return learner, {name: code_sha256(name) for name in recipe.own_code}


def _note_code(progress: Progress, code: Mapping[str, str], line: ProgressLine) -> None:
    """Say, and keep for the card, when code has changed since the weights that a run goes on from.

    That is no refusal: a comment may have changed, and the weights are there.
    """
    before = progress.stages[-1].get("code", {}) if progress.stages else {}
    if changed := code_changes(before, code):
        note = f"the code of {', '.join(changed)} changed after {progress.step} updates"
        progress.notes.append(note)
        line.say(f"Not what one run would give: {note}")


def _note_given(
    progress: Progress, given: Mapping[str, str] | None, out: Path | None, line: ProgressLine
) -> None:
    """Keep for the card that a network was given in Python, and whether a run resumes with another.

    `out` is the folder of a run that is resumed. Raises UsageError where its network isn't there.
    """
    try:
        before = validated(dict[str, str], read_json(out / FACTS)["given"]) if out else {}
    except (OSError, ValueError, KeyError, TypeError):
        before = {}
    if given is None:
        if unlike := before.get("unlike_recipe"):
            raise UsageError(
                f"The network of {out} was given in Python and isn't what its recipe makes: "
                f"{unlike}.",
                "Give it again: sreval.train(..., network=..., resume=True).",
            )
        return
    if out is None:
        first = "" if progress.stages else ", with the weights that it began with"
        progress.notes.append(f"{GIVEN}{first}")
    elif before and before["layers_sha256"] != given["layers_sha256"]:
        note = f"the network given in Python has other layers after {progress.step} updates"
        progress.notes.append(note)
        line.say(f"Not what one run would give: {note}")


def _seconds(request: Request, recipe: Recipe, progress: Progress) -> float | None:
    """How long a run of given minutes is, with what it has trained already; else None."""
    if request.until is not None:
        return progress.seconds + _until(request.until)
    minutes = recipe.optimisation.minutes
    return 60 * minutes if minutes else None


def _until(end: datetime) -> float:
    """Seconds from now to `end`. Raises UsageError when it is over."""
    left = ranks.decided((end - datetime.now(end.tzinfo)).total_seconds())
    if left <= 0:
        raise UsageError(
            f"{end:%Y-%m-%d %H:%M} is over.", f"Give {option('--until')} a later time."
        )
    return left


def _add_stage(
    progress: Progress,
    request: Request,
    changes: Mapping[str, Any],
    recipe: Recipe,
    pack: Photographs,
    code: dict[str, str],
) -> None:
    """Put this run behind those that led to the weights it began with; `_begin` did with those."""
    begun = progress.stages[-1] if progress.stages else {}
    own = Stage(
        model=recipe.name,
        updates=progress.step,
        batch=recipe.data.batch,
        crop=recipe.data.crop,
        profile=request.profile,
        changes=dict(changes),
        recipe_sha256=recipe.sha256,
        started_from=begun.get("started_from", ""),
        data_sha256=pack.sha256,
        photographs=len(pack.photographs),
        code=code,
    )
    progress.stages = [*progress.stages[:-1], own.model_dump(mode="json")]


def _refuse_other_validation(out: Path, recipe: Recipe) -> None:
    """`validation.csv` holds scores of one kind; raises UsageError when others are asked for."""
    asked = recipe.model_dump(mode="json")["run"]
    try:
        facts = read_json(out / FACTS)
        before = {key: facts["recipe"]["run"][key] for key in ("dataset", "protocol", "metrics")}
    except (OSError, ValueError, KeyError, TypeError):
        return  # it is written anew
    for key, old in before.items():
        new = asked[key]
        if old != new:
            raise UsageError(
                f"run.{key} was {old!r} in {out}, but {new!r} was asked for.",
                "Resume with the old value, or start a new run in another "
                f"{option('--out with --from', 'out= with start=')}.",
            )


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Write into a folder while no other run does. Raises DataError otherwise."""
    if ranks.rank():
        yield
        return
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


def _facts(request: Request, recipe: Recipe, pack: Photographs) -> dict[str, Any]:
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
        "licences": count_licences(request.data, (p.file for p in pack.photographs), pack.licences),
    }


def _checked_pack(
    request: Request, recipe: Recipe, line: ProgressLine
) -> tuple[Photographs, dict[str, list[str]]]:
    """The pack, free of test images, and what the card will say of that check.

    That is the evaluation sets that were compared by hash alone, those that weren't compared, and
    the pairs that look alike and are told apart by the request.
    """
    with ranks.one_on_each_machine_first():
        pack = open_pack(request.data, recipe.network.scale, line.say)
    tests, absent = evaluation_fingerprints()
    told_apart = refuse_leaks(pack.fingerprints(), tests, request.different)
    line.say(
        f"{counted(len(pack.photographs), 'photograph')}, {megapixels(pack.pixels / 1e6)}, "
        "none of them a "
        "test image on this machine"
    )
    by_hash_alone = [name for name in absent if name in KNOWN]
    not_compared = [name for name in absent if name not in KNOWN]
    if by_hash_alone:
        reasons = ((name, absent[name]) for name in by_hash_alone)
        listed = ", ".join(name + (f" ({why})" if why else "") for name, why in reasons)
        line.say(f"Test sets that are not on this machine, compared by file hash alone: {listed}")
    if not_compared:
        line.say(
            "Test sets that are not on this machine and whose hashes aren't known, not compared: "
            f"{', '.join(not_compared)}"
        )
    if told_apart:
        line.say(f"Different, as {option('--different')} says: {'; '.join(told_apart)}")
    if pack.skipped:
        line.say(f"Skipped {len(pack.skipped)}:")
        for name, why in pack.skipped[:_SKIPPED_SHOWN]:
            line.say(f"  {name}: {why}")
        if len(pack.skipped) > _SKIPPED_SHOWN:
            line.say(f"  all are listed in {pack.folder / 'manifest.json'}")
    return pack, {
        "by_hash_alone": by_hash_alone,
        "not_compared": not_compared,
        "told_apart": told_apart,
    }


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
    path = start or content.find("models", recipe.starts_from) / ModelFile.WEIGHTS
    if start is None and not path.exists():
        raise TrainingError(
            f"{recipe.name} starts from {recipe.starts_from}, which has no weights: {path}.",
            f"Train {recipe.starts_from} first, or name a weight file with "
            f"{option('--from', 'start=')}.",
        )
    scale = read_provenance(path).architecture.scale
    if scale != recipe.network.scale:
        raise TrainingError(
            f"{path} holds weights of scale {scale}, but {recipe.name} has network.scale = "
            f"{recipe.network.scale}.",
            f"Start from weights of that scale, with {option('--from', 'start=')}, or from "
            "scratch: leave out starts_from.",
        )
    network, provenance, sha256 = load_model(path, recipe.network)
    learner.start_from(network)
    started = f"{provenance.recipe} after {provenance.step} updates"
    before = [*provenance.notes, f"{STARTED}{started} (weights {sha256[:12]})"]
    progress.notes = [*before, *progress.notes]
    own = Stage(model=recipe.name, updates=0, started_from=sha256)
    progress.stages = [stage.model_dump(mode="json") for stage in (*history(provenance), own)]
    return progress


def _start(given: Path) -> Path:
    """What a run is to start from: a weight file, or the folder of a light form.

    A run's folder stands for its best weights, its folder `light` for the newest light form, and
    a model's name for the weights of that model.
    """
    if given.is_file() or any(given.glob("light-*")):
        return given
    for name in (ModelFile.BEST, ModelFile.WEIGHTS):
        if (given / name).is_file():
            return given / name
    forms = sorted(given.glob("step-*"))
    if not forms and str(given) in content.names("models"):
        return content.find("models", str(given)) / ModelFile.WEIGHTS
    return forms[-1] if forms else given


def _note_hardware(progress: Progress, device: torch.device, line: ProgressLine) -> None:
    """Say, and keep for the card, when a run goes on where it can't be the same bit for bit."""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    else:
        hardware = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    hardware += f", torch {torch.__version__}"
    if ranks.count() > 1:
        hardware += f", {ranks.count()} processes"
    if progress.hardware and progress.hardware != hardware:
        note = f"resumed after {progress.step} updates on {hardware}, before on {progress.hardware}"
        progress.notes.append(note)
        line.say(f"Not bit for bit what a run without a break would give: {note}")
    progress.hardware = hardware
