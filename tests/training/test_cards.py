"""The runs behind some weights: from new files and old, as a table and as commands."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sreval import content
from sreval.networks.architecture import ModelFile, SRResNetArchitecture
from sreval.networks.weights import Provenance, Stage, read_provenance
from sreval.training.cards import account, commands, crops, history
from sreval.training.recipe import load_recipe, parse_changes

NOTES = (
    "started from srresnet-mse after 3845 updates (weights 8e31dff3d997)",
    "resumed after 900 updates on a, before on b",
    "started from srresnet-mse after 1655 updates (weights f4709dde9ee7)",
)


def provenance(**changed: Any) -> Provenance:
    facts = {
        "architecture": SRResNetArchitecture(),
        "recipe": "srgan-mse",
        "recipe_sha256": "5d7a678c" * 8,
        "data_sha256": "346b7972" * 8,
        "step": 3314,
        "code_version": "0.1.0",
    }
    return Provenance.model_validate(facts | changed)


def stage(model: str, updates: int, profile: str = "cpu", **more: Any) -> Stage:
    recipe = load_recipe(model, profile, more.get("changes"))
    facts = {
        "model": model,
        "updates": updates,
        "profile": profile,
        "batch": recipe.data.batch,
        "crop": recipe.data.crop,
        "recipe_sha256": recipe.sha256,
        "seconds": 3_720.0,
        "photographs": 854,
        "hardware": "a CPU",
    }
    return Stage.model_validate(facts | more)


CHANGES = {"optimisation.updates": 8000, "optimisation": {"shape": "steps"}, "run.keep_at": [5, 6]}
CHAIN = (
    stage("srresnet-mse", 8000, changes=CHANGES),
    stage("srresnet-mse", 500, started_from="ab" * 32),
    stage("srgan-vgg54", 1000, started_from="cd" * 32),
)


def test_notes_of_old_files_are_stages() -> None:
    found = history(provenance(notes=NOTES))
    assert [(s.model, s.updates, s.started_from) for s in found] == [
        ("srresnet-mse", 3845, ""),
        ("srresnet-mse", 1655, "8e31dff3d997"),
        ("srgan-mse", 3314, "f4709dde9ee7"),
    ]
    assert [s.recipe_sha256 for s in found] == ["", "", "5d7a678c" * 8]
    assert [(s.model, s.updates) for s in history(provenance())] == [("srgan-mse", 3314)]


def test_stages_that_a_file_has_are_taken_as_they_are() -> None:
    assert history(provenance(notes=NOTES, stages=CHAIN)) == CHAIN


def test_a_row_a_stage_and_the_crops_in_all() -> None:
    text = account(CHAIN)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[1] for row in rows] == ["srresnet-mse", "srresnet-mse", "srgan-vgg54"]
    assert [row[2] for row in rows] == [
        "scratch",
        f"stage 1, weights {'ab' * 6}",
        f"stage 2, weights {'cd' * 6}",
    ]
    assert rows[0][3] == (
        '`cpu` with optimisation.shape = "steps", optimisation.updates = 8000, '
        f"{CHAIN[0].recipe_sha256[:16]}"
    )
    assert rows[2][4:9] == ["1,000", "4", "96", "1 h 02 min", "854"]
    assert [crops(s) for s in CHAIN] == [64_000, 4_000, 4_000]
    assert "Crops of 96 pixels seen in all: 72,000." in text


def test_crops_of_another_size_count_by_their_area() -> None:
    large, small = (CHAIN[0].model_copy(update={"crop": crop}) for crop in (192, 48))
    assert [crops(large), crops(small)] == [256_000, 16_000]


def test_the_recipes_that_shipped_weights_name_are_those_they_were_made_with() -> None:
    files = content.packaged("models").glob(f"*/{ModelFile.WEIGHTS}")
    recorded = [s for file in files for s in history(read_provenance(file)) if s.profile]
    assert recorded
    for made in recorded:
        recipe = load_recipe(made.model, made.profile, made.changes)
        assert recipe.sha256 == made.recipe_sha256, made


def pasted(text: str, folder: Path) -> list[list[str]]:
    """What a shell makes of the commands: the words of each call of sreval."""
    (folder / "sreval").write_text('#!/bin/sh\nprintf "%s\\n" "$#" "$@"\n')
    (folder / "sreval").chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", text], capture_output=True, text=True, check=True, env={"PATH": path}
    )
    words = iter(done.stdout.splitlines())
    return [[next(words) for _ in range(int(count))] for count in words]


def test_the_commands_make_every_stage_again(tmp_path: Path) -> None:
    block = account(CHAIN).split("```sh\n")[1].split("\n```")[0]
    assert block == commands(CHAIN)
    calls = pasted(block, tmp_path)
    trained, published = calls[::2], calls[1::2]
    outs = []
    for words, made in zip(trained, CHAIN, strict=True):
        assert words[:2] == ["train", made.model]
        assert words[words.index("--data") + 1] == "PHOTOGRAPHS"
        settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
        recipe = load_recipe(
            made.model, words[words.index("--profile") + 1], parse_changes(settings)
        )
        assert recipe.sha256 == made.recipe_sha256
        outs.append(words[words.index("--out") + 1])
    assert recipe.run == load_recipe("srgan-vgg54", "cpu").run
    assert len(set(outs)) == 3
    assert [words[words.index("--from") + 1] for words in trained[1:]] == ["srresnet-mse"] * 2
    assert "--from" not in trained[0]
    for words, out in zip(published, outs, strict=True):
        assert words == shlex.split(f"models publish {out} --to models --replace")


@pytest.mark.parametrize(
    ("stages", "which"),
    [
        (history(provenance(notes=NOTES)), "stages 1, 2, 3"),
        ((history(provenance())[0], CHAIN[1]), "stage 1"),
    ],
)
def test_what_was_not_recorded_is_said(stages: tuple[Stage, ...], which: str) -> None:
    text = account(stages)
    assert "```" not in text
    assert f"did not record the recipe of {which}, so" in text
    known = sum(s.updates * s.batch for s in stages)
    assert (f"Crops of 96 pixels seen in all: {known:,}, without {which}." in text) == bool(known)
