"""What docs/explanation/reproduction.md says of the training behind the figures."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.reproduction import reasons, recorded_recipe, training, what_differs
from sreval.networks.architecture import SRResNetArchitecture
from sreval.networks.weights import Provenance, Stage
from sreval.training.recipe import load_recipe


def stage(model: str, updates: int, batch: int, **more: Any) -> Stage:
    recipe = load_recipe(model, "cpu")
    facts = {"model": model, "updates": updates, "batch": batch, "crop": 96, "profile": "cpu"}
    return Stage.model_validate(facts | {"recipe_sha256": recipe.sha256, "photographs": 854} | more)


def made(name: str, *stages: Stage, notes: tuple[str, ...] = ()) -> Provenance:
    return Provenance(
        architecture=SRResNetArchitecture(),
        recipe=name,
        recipe_sha256="",
        data_sha256="",
        step=stages[-1].updates if stages else 5000,
        code_version="",
        notes=notes,
        stages=stages,
    )


BEGUN = (stage("srresnet-mse", 10_000, 8), stage("srresnet-mse", 20_000, 16))
NEW = {
    "srresnet-mse": made("srresnet-mse", *BEGUN),
    "srgan-vgg54": made("srgan-vgg54", *BEGUN, stage("srgan-vgg54", 8_000, 4)),
}
OLD = {
    "srgan-vgg54": made(
        "srgan-vgg54",
        notes=(
            "started from srresnet-mse after 3845 updates (weights 8e31dff3d997)",
            "started from srresnet-mse after 1655 updates (weights f4709dde9ee7)",
        ),
    )
}


def cells(lines: list[str], label: str) -> list[str]:
    row = next(line for line in lines if line.startswith(f"| {label} |"))
    return row.strip("| ").split(" | ")[1:]


def test_crops_stand_beside_updates() -> None:
    lines = training(NEW)
    theirs = ["1,000,000", "16,000,000", "2.5%"]
    assert cells(lines, "SRResNet-MSE") == ["30,000", "400,000", *theirs, "scratch", "–"]
    theirs = ["200,000", "3,200,000", "1.0%"]
    start = ["SRResNet-MSE, 30,000 updates", "400,000"]
    assert cells(lines, "SRGAN-VGG54") == ["8,000", "32,000", *theirs, *start]


def test_what_old_notes_don_t_say_is_a_dash() -> None:
    theirs = ["200,000", "3,200,000", "–"]
    start = ["SRResNet-MSE, 5,500 updates", "–"]
    assert cells(training(OLD), "SRGAN-VGG54") == ["5,000", "–", *theirs, *start]


def test_what_differs_is_read_from_the_recipes() -> None:
    text = "\n".join(what_differs(NEW))
    assert "854 photographs" in text
    assert "Muon in place of Adam" in text
    assert "bf16" in text
    assert "- Crops: some are larger" not in text
    assert "not known" not in text
    changes = {"data.crop": 192}
    larger = BEGUN[0].model_copy(
        update={
            "changes": changes,
            "recipe_sha256": load_recipe("srresnet-mse", BEGUN[0].profile, changes).sha256,
        }
    )
    large = {"srresnet-mse": made("srresnet-mse", larger)}
    assert "- Crops: some are larger" in "\n".join(what_differs(large))
    text = "\n".join(what_differs(OLD))
    assert "Optimiser" not in text
    assert "Of 3 of 3 training runs the recipe is not known" in text


def test_a_run_that_two_models_share_counts_once() -> None:
    both = OLD | {"srgan-mse": made("srgan-mse", notes=OLD["srgan-vgg54"].notes)}
    assert "- Of 4 of 4 training runs the recipe is not known." in what_differs(both)


@pytest.mark.parametrize("changed", [{"profile": "none"}, {"profile": ""}, {"recipe_sha256": "0"}])
def test_a_recipe_that_has_changed_since_says_nothing(changed: dict[str, str]) -> None:
    now = stage("srgan-vgg54", 1, 4)
    assert recorded_recipe(now) == load_recipe("srgan-vgg54", "cpu")
    assert recorded_recipe(now.model_copy(update=changed)) is None


def test_a_variant_without_weights_is_said_how_to_train_it() -> None:
    text = "\n".join(reasons(NEW))
    assert "**SRGAN-VGG22**: no weights are shipped. `sreval train srgan-vgg22 --data" in text
    assert "paper, gpu, cpu." in text
    assert "accelerator" not in text
