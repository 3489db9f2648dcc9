"""Every recipe that ships is read, and what can't be meant is refused by file, field and value."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from sreval.errors import UsageError
from sreval.training.learner import Learner
from sreval.training.loop import rate_at
from sreval.training.recipe import (
    Optimisation,
    Recipe,
    first_difference,
    load_recipe,
    parse_changes,
    profile_names,
)

SHIPPED = (
    "srresnet-mse",
    "srresnet-vgg22",
    "srgan-mse",
    "srgan-vgg22",
    "srgan-vgg54",
    "srcnn",
    "espcn",
    "drcn",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_profile_of_a_shipped_recipe_is_valid(name: str) -> None:
    assert {"paper", "gpu", "smoke"} <= set(profile_names(name))
    for profile in profile_names(name):
        assert load_recipe(name, profile).name == name


@pytest.mark.parametrize("name", SHIPPED[:5])
def test_paper_profiles_say_what_the_paper_says(name: str) -> None:
    recipe = load_recipe(name)
    o = recipe.optimisation
    assert (recipe.data.crop, recipe.data.batch, o.beta1, o.learning_rate) == (96, 16, 0.9, 1e-4)
    assert (recipe.data.views, o.ema, o.shape) == (1, 0.0, "steps")
    gan = name.startswith("srgan")
    assert o.updates == (200_000 if gan else 1_000_000)
    assert recipe.loss.adversarial == (1e-3 if gan else 0)
    assert recipe.starts_from == ("srresnet-mse" if gan else "")
    rates = [rate_at(o, step, o.updates) for step in (0, 99_999, 100_000, 199_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5] if gan else [1e-4] * 4)


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "recipe.toml").write_text(text)
    return str(tmp_path)


GOOD = """
name = "mine"
network.name = "espcn"
loss.mse = 1.0
profiles.paper.optimisation.updates = 5
"""


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("loss.msee = 1.0", "loss.msee"),
        ("optimisation.learning_rate = -1", r"optimisation.learning_rate = -1"),
        ("data.crop = 50", "multiple of the scale"),
        ("loss.vgg54 = 1", "luma"),
        ("loss.recursion = 1", "drcn"),
        ("optimisation.minutes = 3", "either updates or minutes"),
        ('optimisation.precision = "int8"', "int8"),
        ("data.window = -1", r"data.window = -1: it must be 0 or more"),
        ("data.crops_per_photograph = 0", r"crops_per_photograph = 0: it must be more than 0"),
        ('data.degrade = "blr"', r"data.degrade = 'blr': Unknown degradation 'blr'"),
        ('data.degrade = "bd:sigma=-1"', r"data.degrade = 'bd:sigma=-1': steps\.0\.sigma = -1: "),
        ('data.degrade = "away.toml"', r"data.degrade = .*: Can't read .*away\.toml"),
        ("data.degrade = 3", r"data.degrade = 3: it must be a table"),
        ('optimisation.precision = "fp16"\nloss.recursion = 1', "fp16 works with mse alone"),
    ],
)
def test_bad_values_are_named_with_their_file(tmp_path: Path, line: str, named: str) -> None:
    name = written(tmp_path, f"{line}\n{GOOD}")
    with pytest.raises(UsageError, match=named) as caught:
        load_recipe(name)
    assert str(tmp_path / "recipe.toml") in caught.value.message


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("run.metrics", ["psnr", "psnr"], "metrics names 'psnr' twice"),
        ("run.metrics", [], "it must hold 1 or more"),
        ("optimisation.learning_rate", math.inf, "finite"),
        ("optimisation.accumulate", 3, "data.batch, 4, must be a multiple of .*accumulate, 3"),
        ("optimisation.accumulate", 0, "it must be more than 0"),
        ("optimisation.batch_norm", "none", "it must be 'synchronised' or 'per rank'"),
        ("optimisation.learning_rate", math.nan, "finite"),
        ("loss.mse", math.inf, "finite"),
        ("run.checkpoint_minutes", math.inf, "finite"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(key: str, value: object, named: str) -> None:
    given = re.escape(f"changes={{{key!r}: {value!r}}}")
    with pytest.raises(UsageError, match=rf"{given}: .*{named}"):
        load_recipe("espcn", "smoke", {key: value})


def test_a_batch_norm_that_sees_one_value_is_refused_and_the_remedy_works() -> None:
    least = {"data.batch": 1, "data.crop": 16}
    with pytest.raises(UsageError, match=r"data\.batch must be 2 or more, or data\.crop 32"):
        load_recipe("srgan-mse", "smoke", least)
    for remedy in ({"data.batch": 2}, {"data.crop": 32}):
        recipe = load_recipe("srgan-mse", "smoke", least | remedy)
        learner = Learner(recipe, torch.device("cpu"))
        batch, crop = recipe.data.batch, recipe.data.crop
        learner.update(torch.rand(batch, 3, crop // 4, crop // 4), torch.rand(batch, 3, crop, crop))


def test_a_recipe_is_of_the_name_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "mine").mkdir()
    assert load_recipe(written(tmp_path / "mine", GOOD)).name == "mine"
    with pytest.raises(UsageError, match="recipe of 'mine', but its folder is named 'other'"):
        load_recipe(written(tmp_path / "other", GOOD))
    with pytest.raises(UsageError, match="recipe of 'espcn'"):
        load_recipe(str(tmp_path / "mine"), changes={"name": "espcn"})


def test_updates_and_minutes_take_each_other_s_place() -> None:
    timed = load_recipe("espcn", "paper", {"optimisation.minutes": 3}).optimisation
    counted = load_recipe("espcn", "gpu", {"optimisation.updates": 3}).optimisation
    assert (timed.minutes, timed.updates) == (3, None)
    assert (counted.minutes, counted.updates) == (None, 3)
    both = {"optimisation.minutes": 3, "optimisation.updates": 3}
    with pytest.raises(UsageError, match="either updates or minutes"):
        load_recipe("espcn", "paper", both)


def test_unknown_profile_and_unknown_model_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match="'paper'"):
        load_recipe("espcn", "papr")
    with pytest.raises(UsageError, match="'srgan-vgg54'"):
        load_recipe("srgan-vg54")


def test_changes_go_over_the_profile() -> None:
    changes = parse_changes(["data.batch=8", "run.dataset=Set14", "optimisation.ema = 0.5"])
    recipe = load_recipe("espcn", "smoke", changes)
    assert (recipe.data.batch, recipe.run.dataset, recipe.optimisation.ema) == (8, "Set14", 0.5)
    with pytest.raises(UsageError, match="key=value"):
        parse_changes(["data.batch"])


def test_hash_is_of_what_decides_the_weights() -> None:
    recipe = load_recipe("espcn", "smoke")
    assert load_recipe("espcn", "smoke", {"run.log_every": 1}).sha256 == recipe.sha256
    assert load_recipe("espcn", "smoke", {"data.batch": 5}).sha256 != recipe.sha256


OWN = """
name = "lens"
steps = [{ step = "blur", size = 5, sigma = SIGMA }, { step = "subsample" }]
"""


def test_a_degradation_is_part_of_the_hash_with_all_that_it_says(tmp_path: Path) -> None:
    none = load_recipe("espcn", "smoke")
    hashes = {none.sha256}
    assert load_recipe("espcn", "smoke", {"data.degrade": "bicubic"}).sha256 == none.sha256
    for spec in ("bd", "bd:sigma=2", "dn", "dn:seed=7", "real-esrgan"):
        hashes.add(load_recipe("espcn", "smoke", {"data.degrade": spec}).sha256)
    # a recipe's file stands beside the recipe, whatever folder a command is given in
    name = written(tmp_path, f'data.degrade = "lens.toml"\n{GOOD.replace("mine", tmp_path.name)}')
    for sigma in ("1.0", "2.0"):
        (tmp_path / "lens.toml").write_text(OWN.replace("SIGMA", sigma))
        recipe = load_recipe(name)
        assert recipe.data.degrade is not None
        assert recipe.data.degrade.steps[0].sigma == float(sigma)  # type: ignore[union-attr]
        hashes.add(recipe.sha256)
        # what a run's facts and checkpoints hold says it all
        assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    assert len(hashes) == 8


def test_first_difference_names_the_field_and_both_values() -> None:
    a: dict[str, Any] = {"x": {"y": 1, "z": 2}}
    assert first_difference(a, {"x": {"y": 1, "z": 3}}) == "x.z = 2 and 3"
    assert first_difference(a, a) is None


def test_rates() -> None:
    o = Optimisation(updates=100, learning_rate=1.0, shape="cosine", rate_warmup=10, final_rate=0.1)
    assert rate_at(o, 0, 0.0) == pytest.approx(0.1)
    assert rate_at(o, 50, 0.5) == pytest.approx(0.55)
    assert rate_at(o, 100, 1.0) == pytest.approx(0.1)
    assert rate_at(o, 20, 0.0) == pytest.approx(1.0)


def test_soap_has_no_weight_decay_that_would_be_ignored() -> None:
    with pytest.raises(UsageError, match="soap has no weight_decay"):
        load_recipe("drcn", "paper", {"optimisation.optimiser": "soap"})
    load_recipe("drcn", "paper", {"optimisation.optimiser": "soap", "optimisation.weight_decay": 0})
