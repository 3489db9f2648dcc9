"""A model's card: what it is, how it was or will be trained, on what, and how it scores.

The training runs behind its weights stand there as a table, and as the commands that repeat them.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sreval.errors import counted, duration
from sreval.files import sha256_file
from sreval.networks.architecture import ModelFile, parameter_count
from sreval.networks.weights import Provenance, Stage, load_network
from sreval.training.checkpoint import STARTED
from sreval.training.licences import NOT_STATED, non_commercial
from sreval.training.log import VALIDATION
from sreval.training.packs import megapixels
from sreval.training.recipe import KEPT_ASIDE, Recipe, as_toml, load_recipe
from sreval.training.validation import Flat, grid_periods, how_many_aside

NOT_RECORDED = "–"

CROP = 96
"""The side of the paper's crops, in which what a run has seen is measured."""

_START = re.compile(re.escape(STARTED) + r"(\S+) after (\d+) updates \(weights ([0-9a-f]+)\)$")

_CURVE_ROWS = 12
_DATA, _SCORES, _KNOW, _CURVE = "Data", "Scores", "What to know", "Curve"
_CHOICES = "Our choices where the papers leave one"
_PEAK_SET = "Set5"
_AUTHORS_PEAK = 5.5
"""The median grid peak of the Set5 images that the authors of SRGAN published."""

_MOST_PATTERN, _MOST_OFFSET = 1, 2
"""The levels of 255 above which a card warns: one and two steps of an 8-bit image. They are set by
us; no study of what people see stands behind them, so the warning names them."""


@dataclass(frozen=True)
class Scored:
    """Means over a data set of `n` images under a protocol, PSNR in dB.

    `lpips` is None where the weights of its trunk were missing; `grid_peak` is the median.
    """

    dataset: str
    protocol: str
    n: int
    psnr: float
    ssim: float
    lpips: float | None
    grid_peak: float


@dataclass(frozen=True)
class Findings:
    """What was measured of published weights: on data sets, and on flat colours."""

    scores: tuple[Scored, ...]
    flat: Flat


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says: its recipe, its facts (see `run.py`), its updates.

    `vgg_factor` is what its VGG terms were multiplied by.
    """

    folder: Path
    recipe: Recipe
    facts: dict[str, Any]
    updates: int
    vgg_factor: float

    @property
    def model(self) -> str:
        """Where its model is found: the folder it had, or else the name."""
        folder: str = self.facts.get("folder", "")
        return folder if folder and Path(folder).is_dir() else self.facts["model"]


def card(
    recipe: Recipe,
    weights: Path,
    findings: Findings,
    run: FinishedRun | None = None,
    old: str = "",
) -> str:
    """The card of published weights, as Markdown.

    Without their `run`, what neither the weights nor the recipe hold is taken from the `old` card,
    and so are the scores where none were found.
    """
    network, provenance = load_network(weights, recipe.network)
    facts, before = _parts(old)
    know = _to_know(recipe, findings)
    sections = [
        f"# {recipe.name}\n\n{recipe.about}",
        _facts(recipe, weights, parameter_count(network), provenance, run, facts),
        _section("How it came about", account(history(provenance))),
        _section(_DATA, _data(run) if run else before.get(_DATA, "")),
        _section(_SCORES, _scores(findings.scores) or before.get(_SCORES, "")),
        _section(_KNOW, know if findings.scores else before.get(_KNOW, know)),
        _section(_CURVE, _curve(run) if run else before.get(_CURVE, "")),
        _section(_CHOICES, _bullets(recipe.choices)),
        # what a run began with stands among the stages
        _section(
            "What happened on the way",
            _bullets([note for note in provenance.notes if not note.startswith(STARTED)]),
        ),
    ]
    return _joined(sections)


def planned_card(recipe: Recipe, profiles: Sequence[str], parameters: int) -> str:
    """The card of a model that has no weights yet: what its recipe says, and how to train it."""
    rows = {
        "Network": _network(recipe, parameters),
        "Loss": _loss(recipe),
        **_lr_images(recipe),
        "Starts from": recipe.starts_from or "scratch",
        "Weights": "none yet",
    }
    schedules = [_schedule(recipe.name, p) for p in profiles if p != "smoke"]
    sections = [
        f"# {recipe.name}\n\n{recipe.about}",
        _rows(rows),
        _section(
            "How to train it",
            f"`sreval train {recipe.name} --data PHOTOGRAPHS --profile PROFILE`, then `sreval "
            f"models publish RUN`, which puts a card with data, curve and scores in the place of "
            f"this one. The profiles:\n\n" + _bullets(schedules),
        ),
        _section(_KNOW, _bullets(_calibration(recipe))),
        _section(_CHOICES, _bullets(recipe.choices)),
    ]
    return _joined(sections)


def _network(recipe: Recipe, parameters: int) -> str:
    return f"{recipe.network.name}, {parameters:,} parameters, x{recipe.network.scale}"


def _loss(recipe: Recipe) -> str:
    terms = recipe.loss.model_dump(exclude={"content_scale", "vgg_moves", "own"})
    terms |= {name: term.weight for name, term in recipe.loss.own_terms.items()}
    losses = [f"{name} {weight:g}" for name, weight in terms.items() if weight]
    if recipe.loss.vgg:
        losses.append(f"content scale {recipe.loss.content_scale}")
    return ", ".join(losses)


def _lr_images(recipe: Recipe) -> dict[str, str]:
    """The row on how LR images were made, where they weren't made by bicubic."""
    made = recipe.data.degrade
    if made is None:
        return {}
    again = ", drawn anew each time that a photograph came in" if made.draws else ""
    return {"LR images": f"`{made.name}`, recipe SHA-256 {made.sha256[:16]}{again}"}


def _schedule(name: str, profile: str) -> str:
    recipe = load_recipe(name, profile)
    o, data = recipe.optimisation, recipe.data
    if o.updates is not None:
        length = f"{o.updates:,} updates"
    else:
        length = f"as many updates as fit into {o.minutes:g} minutes"
    return f"`{profile}`: {length}, batch {data.batch}, crops of {data.crop}, {o.precision}"


def _facts(
    recipe: Recipe,
    weights: Path,
    parameters: int,
    provenance: Provenance,
    run: FinishedRun | None,
    old: Mapping[str, str],
) -> str:
    rows = {"Network": _network(recipe, parameters)}
    if run:
        o = recipe.optimisation
        factor = f", VGG terms times {run.vgg_factor:.4g}" if recipe.loss.vgg else ""
        of = f" of {run.updates:,}" if run.updates != provenance.step else ""
        best = ", the best of the validation" if (run.folder / ModelFile.BEST).is_file() else ""
        rows |= {
            "Loss": f"{_loss(recipe)}{factor}",
            **_lr_images(recipe),
            "Optimiser": f"{o.optimiser}, learning rate {o.learning_rate:g}, {o.shape}, "
            f"{o.precision}",
            "Updates": f"after {provenance.step:,}{of} updates{best}, batch {recipe.data.batch}, "
            f"crops of {recipe.data.crop}",
        }
    else:
        rows |= old or {
            "Loss": _loss(recipe),
            **_lr_images(recipe),
            "Updates": f"after {provenance.step:,} updates",
        }
    rows |= {
        "Code": f"sreval {provenance.code_version}",
        **_own_code(provenance),
        "Weights": f"fp16, {weights.stat().st_size / 1e6:.1f} MB, SHA-256 {sha256_file(weights)}",
    }
    return _rows(rows)


def _own_code(provenance: Provenance) -> dict[str, str]:
    """Where the user's own networks and loss terms of the last run came from."""
    code = history(provenance)[-1].code
    return {f"Code of `{name}`": f"SHA-256 {sha[:16] or 'not known'}" for name, sha in code.items()}


def _parts(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The first table of a card, and its sections by their titles."""
    head, *rest = re.split(r"^## (.+)\n+", text, flags=re.MULTILINE)
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", head, flags=re.MULTILINE)
    sections = {title: body.strip() for title, body in zip(rest[::2], rest[1::2], strict=True)}
    return {name: value for name, value in rows if name != "---"}, sections


def _data(run: FinishedRun) -> str:
    facts = run.facts
    licences: dict[str, int] = facts["licences"]
    rows = "\n".join(f"| {name} | {count} |" for name, count in licences.items())
    use = "The weights are for non-commercial use, as part of the data is.\n\n"
    absent, missed = facts.get("by_hash_alone"), facts.get("not_compared")
    compared = f", compared with {', '.join(absent)} by file hash alone" if absent else ""
    compared += f", not compared with {', '.join(missed)}" if missed else ""
    told = "".join(
        f" Different, as the trainer says: {pair}." for pair in facts.get("told_apart", ())
    )
    unknown = f"Of those {NOT_STATED}, the licence is the trainer's to know.\n\n"
    aside = _aside(run)
    kept = f", of which {aside} kept aside and never trained on" if aside else ""
    return (
        f"{counted(facts['photographs'], 'photograph')}, "
        f"{megapixels(facts['megapixels'])}{kept}; manifest "
        f"SHA-256 {facts['data_sha256'][:16]}; none of them a test image{compared}.{told}\n\n"
        f"{use if non_commercial(licences) else ''}{unknown if NOT_STATED in licences else ''}"
        f"| licence | photographs |\n| --- | ---: |\n{rows}"
    )


def _aside(run: FinishedRun) -> int:
    return how_many_aside(run.facts["photographs"], run.recipe.data.kept_aside)


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


def _to_know(recipe: Recipe, findings: Findings) -> str:
    """What the scores don't show, each figure with its meaning, and a warning where it is due."""
    lines = []
    peak = next((s.grid_peak for s in findings.scores if s.dataset == _PEAK_SET), None)
    periods = grid_periods(recipe.network.scale)
    if peak is not None and periods:
        grid = " **More than theirs: look for a fine grid in smooth places.**"
        said = (
            f"Grid peak on {_PEAK_SET}: {peak:.1f} (median). That is how much stronger the periods "
            f"of {' and '.join(map(str, periods))} pixels are than those around them"
        )
        if recipe.network.scale == 4:
            said += "; the originals have 2.3, the images "
            said += f"that the authors of SRGAN published {_AUTHORS_PEAK}."
            said += grid if round(peak, 1) > _AUTHORS_PEAK else ""
        lines.append(said if said.endswith(("*", ".")) else f"{said}.")
    flat = findings.flat
    texture = f" **More than {_MOST_PATTERN}: look for a texture in flat areas.**"
    tint = f" **More than {_MOST_OFFSET}: look for a tint.**"
    lines += [
        f"Pattern on flat colours: {flat.pattern:.2f} levels of 255. That is the standard "
        f"deviation of what becomes of an even area, in the worst of six colours; 0 is right."
        f"{texture if round(flat.pattern, 2) > _MOST_PATTERN else ''}",
        f"Offset of flat colours: {flat.offset:.2f} levels of 255. That is how far the mean of an "
        f"even area moves, in the worst of six colours; 0 is right."
        f"{tint if round(flat.offset, 2) > _MOST_OFFSET else ''}",
        *_calibration(recipe),
    ]
    return _bullets(lines)


def _calibration(recipe: Recipe) -> list[str]:
    if not (recipe.loss.vgg and recipe.loss.content_scale == "calibrated"):
        return []
    return [
        "`content_scale = calibrated` makes the values of the VGG loss and of the MSE equal at the "
        "start, not their gradients."
    ]


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
    watched, aside = run.recipe.run, _aside(run)
    name = watched.dataset
    if name == KEPT_ASIDE:
        name = f"The {aside} photographs" if aside > 1 else "The photograph"
        name += " kept aside"
    if (made := run.recipe.data.degrade) is not None:
        name += f", LR images by `{made.name}`,"
    return f"{name} under `{watched.protocol}`:\n\n" + "\n".join(lines)


def _joined(sections: Sequence[str]) -> str:
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _rows(facts: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in facts.items())])


def history(provenance: Provenance) -> tuple[Stage, ...]:
    """All runs that led to some weights, their own last.

    Of files from before stages were kept, what the notes say: models, updates and weights.
    """
    if provenance.stages:
        return provenance.stages
    found = [match for note in provenance.notes if (match := _START.match(note))]
    starts = ["", *(match[3] for match in found)]
    before = [
        Stage(model=match[1], updates=int(match[2]), started_from=start)
        for match, start in zip(found, starts, strict=False)
    ]
    own = Stage(
        model=provenance.recipe,
        updates=provenance.step,
        recipe_sha256=provenance.recipe_sha256,
        data_sha256=provenance.data_sha256,
        started_from=starts[-1],
    )
    return (*before, own)


def crops(stage: Stage) -> int:
    """How many crops of CROP pixels a run saw, those of other sizes counted by their area.

    0 where that was not recorded.
    """
    return round(stage.updates * stage.batch * (stage.crop / CROP) ** 2)


def account(stages: Sequence[Stage]) -> str:
    """One row per run, the crops seen in all, and the commands that train the weights again."""
    numbers = [number for number, stage in enumerate(stages, 1) if not _is_recorded(stage)]
    seen = f"Crops of {CROP} pixels seen in all: {sum(map(crops, stages)):,}"
    if numbers:
        listed = ", ".join(map(str, numbers))
        which = f"stages {listed}" if len(numbers) > 1 else f"stage {listed}"
        again = (
            f"Earlier versions did not record the recipe of {which}, so there is no command that "
            "makes these weights again."
        )
        seen = f"{seen}, without {which}" if any(map(crops, stages)) else ""
    else:
        again = (
            "The same again, with PHOTOGRAPHS for a folder of them; a profile of given minutes "
            f"makes as many updates as the machine can:\n\n```sh\n{commands(stages)}\n```"
        )
    return "\n\n".join(part for part in (_table(stages), seen and f"{seen}.", again) if part)


def commands(stages: Sequence[Stage]) -> str:
    """The shell command that trains and publishes every stage, one after the other."""
    lines = []
    for place, stage in enumerate(stages):
        again = sum(other.model == stage.model for other in stages[:place])
        out = f"runs/{stage.model}" + (f"-{again + 1}" if again else "")
        words = ["sreval", "train", stage.model, "--data", "PHOTOGRAPHS"]
        words += ["--profile", stage.profile]
        for key, value in _settings(stage.changes):
            words += ["--set", f"{key}={as_toml(value)}"]
        words += ["--from", stages[place - 1].model] if place else []
        lines.append(shlex.join([*words, "--out", out]))
        lines.append(f"sreval models publish {out} --to models --replace")
    return " && \\\n".join(lines)


def recipe_in_words(stage: Stage) -> str:
    """A stage's profile, with what was changed in it, and the recipe's SHA-256."""
    # how a run is watched is no part of its recipe
    changed = sorted((k, v) for k, v in _settings(stage.changes) if not k.startswith("run."))
    changes = ", ".join(
        f"{k} = {f'{v:g}' if isinstance(v, float) else json.dumps(v)}" for k, v in changed
    )
    words = f"`{stage.profile}`" if stage.profile else ""
    words += f" with {changes}" if changes else ""
    return ", ".join(word for word in (words, stage.recipe_sha256[:16]) if word) or NOT_RECORDED


def _table(stages: Sequence[Stage]) -> str:
    head = (
        "| | model | from | recipe: profile, SHA-256 | updates | batch | crop, pixels | time "
        "| photographs | hardware |\n| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: "
        "| --- |"
    )
    rows = []
    for number, stage in enumerate(stages, 1):
        before = f"stage {number - 1}, " if number > 1 else ""
        start = f"{before}weights {stage.started_from[:12]}" if stage.started_from else "scratch"
        cells = [
            str(number),
            stage.model,
            start,
            recipe_in_words(stage),
            f"{stage.updates:,}",
            f"{stage.batch:,}" if stage.batch else NOT_RECORDED,
            f"{stage.crop:,}" if stage.crop else NOT_RECORDED,
            duration(stage.seconds) if stage.seconds else NOT_RECORDED,
            f"{stage.photographs:,}" if stage.photographs else NOT_RECORDED,
            stage.hardware or NOT_RECORDED,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([head, *rows])


def _is_recorded(stage: Stage) -> bool:
    return bool(stage.profile and stage.batch)


def _settings(changes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values that JSON and TOML write alike."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
