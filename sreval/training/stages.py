"""The training runs behind some weights: as a table, and as the commands that repeat them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sreval.errors import duration
from sreval.networks.weights import Provenance, Stage
from sreval.training.checkpoint import STARTED

NOT_RECORDED = "–"

CROP = 96
"""The side of the paper's crops, in which what a run has seen is measured."""

_START = re.compile(re.escape(STARTED) + r"(\S+) after (\d+) updates \(weights ([0-9a-f]+)\)$")


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
            words += ["--set", f"{key}={json.dumps(value)}"]
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
