"""Recipes: what a name, a parameter and a file stand for, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sreval.errors import UsageError
from sreval.images.degradations import NAMES, Degradation, known_degradation, open_degradation
from sreval.images.degrade import degrade

OWN = """\
name = "mine"
seed = 3

[[steps]]
step = "blur"
size = [3, 9]
sigma = [0.5, 2]
kinds = { iso = 1, plateau_aniso = 1 }

[[steps]]
step = "resize"
of = "lr"

[[steps]]
step = "noise"
sigma = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return path


def steps(recipe: Degradation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recipe.model_dump(mode="json")["steps"]
    return found


def test_the_chain_has_the_figures_of_its_published_configuration() -> None:
    """Checked by hand against train_realesrgan_x4plus.yml of xinntao/Real-ESRGAN, v0.3.0."""
    chain = known_degradation("real-esrgan")
    sharpen, blur, resize, noise, jpeg, blur2, resize2, noise2, last = steps(chain)
    assert sharpen == {"step": "sharpen", "size": 51, "sigma": 8, "weight": 0.5, "threshold": 10}
    assert list(blur["kinds"].values()) == [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
    assert (blur["sinc"], blur["size"], blur["sigma"]) == (0.1, [7, 21], [0.2, 3])
    assert (blur["generalized"], blur["plateau"]) == ([0.5, 4], [1, 2])
    assert (blur2["probability"], blur2["sigma"]) == (0.8, [0.2, 1.5])
    assert (resize["directions"], resize["range"]) == (
        {"up": 0.2, "down": 0.7, "keep": 0.1},
        [0.15, 1.5],
    )
    assert (resize2["directions"], resize2["range"], resize2["of"]) == (
        {"up": 0.3, "down": 0.4, "keep": 0.3},
        [0.3, 1.2],
        "lr",
    )
    assert (noise["gaussian"], noise["sigma"], noise["poisson"], noise["grey"]) == (
        0.5,
        [1, 30],
        [0.05, 3],
        0.4,
    )
    assert (noise2["sigma"], noise2["poisson"], noise2["grey"]) == ([1, 25], [0.05, 2.5], 0.4)
    (back, sinc), (jpeg2,) = last["groups"]
    assert jpeg == jpeg2 == {"step": "jpeg", "quality": [30, 95]}
    assert (back["of"], sinc["probability"], sinc["size"]) == ("lr", 0.8, [7, 21])


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_survives_json_with_its_hash(name: str) -> None:
    recipe = open_degradation(name.upper())
    again = Degradation.model_validate_json(recipe.model_dump_json())
    assert again == recipe
    assert again.sha256 == recipe.sha256


def test_the_hash_is_of_what_decides_the_pixels(own: Path) -> None:
    recipe = open_degradation(own)
    assert recipe.sha256 == open_degradation(str(own)).sha256
    own.write_text(OWN.replace('"mine"', '"yours"').replace("sigma = 3", "sigma = 3.0 # of 255"))
    assert open_degradation(own).sha256 == recipe.sha256
    others = {
        open_degradation(own, seed=4).sha256,
        *(open_degradation(name).sha256 for name in NAMES),
        *(open_degradation(f"bd:sigma={sigma}").sha256 for sigma in (1, 2)),
    }
    assert len(others) == len(NAMES) + 3
    assert recipe.sha256 not in others
    assert open_degradation(own, seed=3).sha256 == recipe.sha256


def test_a_parameter_after_the_name_is_of_the_step_that_has_it() -> None:
    assert steps(open_degradation("bd:sigma=2,size=9"))[0]["sigma"] == 2
    assert open_degradation("bd:sigma=2, size=9").name == "bd:sigma=2,size=9"
    assert steps(open_degradation("jpeg:quality=[30,95]"))[1]["quality"] == [30, 95]
    assert steps(open_degradation("bicubic:border=symmetric"))[0]["border"] == "symmetric"
    kinds = steps(open_degradation("bd:kinds={iso=1,aniso=2},sigma=[1,2]"))[0]["kinds"]
    assert kinds == {"iso": 1, "aniso": 2}
    assert open_degradation("bd:sigma=1.6").sha256 == known_degradation("bd").sha256


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bdd", "Unknown degradation 'bdd'. Did you mean 'bd'"),
        ("bd:", "parameters are written as key=value"),
        ("bd:sigma", "parameters are written as key=value"),
        ("bd:sigm=2", "none of its steps has 'sigm'. Its parameters: probability, size, sigma"),
        ("real-esrgan:quality=30", "several of its steps have 'quality'.*write a TOML file"),
        ("bd:size=4", "size = 4: it must be an odd number from 1 to 101"),
        ("bd:sigma=0", "sigma = 0: it must be a number from 0.01 to 255"),
        ("bd:sigma=nan", "sigma = nan: it must be a number"),
        ("bd:sigma=true", "sigma = true: it must be a number"),
        ("jpeg:quality=101", "quality = 101: it must be a whole number from 1 to 100"),
        ("jpeg:quality=40.5", "quality = 40.5: it must be a whole number"),
        ("jpeg:quality=[90,30]", r"a range begins with its smaller end: \[30, 90\]"),
        ("jpeg:quality=30,quality=40", "'quality' is given twice. Leave one of them out"),
        ("dn:seed=1,seed=1", "'seed' is given twice"),
        ("bd:seed=7", "A seed of 7 is given, and bd:seed=7 draws nothing. Leave the seed out"),
        ("mine.toml:seed=7", "a file takes no parameters. Use seed=7"),
        ("mine.toml:sigma=7", "a file takes no parameters. Write them into the file"),
        ("", "Unknown degradation ''"),
        ("jpeg:quality=[1,2,3]", "or a range of two"),
        ("bicubic:border=mirror", "it must be 'replicate' or 'symmetric'"),
        ("absent.toml", "Can't read absent.toml: No such file"),
    ],
)
def test_a_wrong_name_or_parameter_is_named(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_degradation(spec)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mine"', "", "'name' is missing"),
        ("sigma = 3", "sigmas = 3", "line 16: unknown key 'steps.2.sigmas'"),
        ("sigma = 3", "", "Gaussian noise needs sigma"),
        ("sigma = 3", "sigma = 3\ngaussian = 0.5", "Poisson noise needs poisson"),
        ('of = "lr"', 'of = "image"', "they don't end at the LR size"),
        ('of = "lr"', 'of = "lr"\ndirections = { up = 1 }', "they don't end at the LR size"),
        ('"noise"\nsigma = 3', '"bicubic"', "bicubic takes an image of the HR size"),
        ("iso = 1, plateau_aniso = 1", "iso = 0", "one of them must be more than 0"),
        ('"blur"', '"blurr"', "'step' must be one of 'bicubic', 'subsample', 'blur'"),
        ("seed = 3", "seed = -1", "seed = -1: it must be 0 or more"),
        ("[[steps]]", "[steps", "is not TOML"),
    ],
)
def test_a_wrong_file_is_told_with_the_remedy(own: Path, old: str, new: str, message: str) -> None:
    own.write_text(OWN.replace(old, new))
    with pytest.raises(UsageError, match=message):
        open_degradation(own)


@pytest.mark.parametrize("name", [*NAMES, "BD", " dn ", "Real-ESRGAN", "bd:sigma=2", "-jpeg-"])
def test_a_file_can_t_take_the_name_of_a_known_recipe(own: Path, name: str) -> None:
    own.write_text(OWN.replace("mine", name))
    with pytest.raises(UsageError, match=r"own.toml: name = .*Choose another name"):
        open_degradation(own)


def test_a_value_that_a_recipe_has_already_changes_not_even_its_name() -> None:
    for spec in ("dn:seed=0", "DN:sigma=30", "dn:seed=0,sigma=30.0"):
        assert open_degradation(spec) == known_degradation("dn")
    assert open_degradation("bd:size=7,sigma=2").name == "bd:sigma=2"
    assert open_degradation("bd", seed=0) == known_degradation("bd")


def test_two_seeds_must_be_one() -> None:
    assert open_degradation("dn:seed=7", seed=7).name == "dn:seed=7"
    with pytest.raises(UsageError, match=r"'dn:seed=7' has 7, and seed= is 8\. Leave one of them"):
        open_degradation("dn:seed=7", seed=8)


@pytest.mark.parametrize(
    "spec",
    [
        *NAMES,
        "bd:sigma=[1,3]",
        "bd:size=[3,9]",
        "bd:kinds={generalized_aniso=1}",
        "bd:kinds={iso=2,aniso=0}",
        "bd:kinds={plateau_iso=1}",
        "bd:probability=0.5",
        "bd:sinc=1",
        "jpeg:quality=[5,95]",
    ],
)
def test_another_seed_makes_another_image_where_anything_is_drawn(spec: str) -> None:
    recipe = open_degradation(spec)
    hr = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    made = {
        degrade(hr, recipe.model_copy(update={"seed": seed}), 2)[0].tobytes() for seed in range(8)
    }
    assert (len(made) > 1) == recipe.draws
    if not recipe.draws:
        with pytest.raises(UsageError, match=r"A seed of 7 is given, and .* draws nothing"):
            open_degradation(spec, seed=7)


def test_what_is_neither_name_nor_path_is_refused() -> None:
    for value in (None, 3, {"name": "bd"}):
        with pytest.raises(UsageError, match="A degradation can't be of the type"):
            open_degradation(value)  # type: ignore[arg-type]


def test_a_seed_is_a_whole_number_from_0() -> None:
    for seed in (-1, 2**63, 0.5):
        with pytest.raises(UsageError, match=r"dn: seed = "):
            open_degradation("dn", seed=seed)  # type: ignore[arg-type]


@settings(deadline=None)
@given(some.text(max_size=30))
def test_any_text_is_a_recipe_or_a_usage_error(text: str) -> None:
    for spec in (text, f"bd:{text}", f"jpeg:quality={text}"):
        try:
            recipe = open_degradation(spec)
        except UsageError:
            continue
        assert isinstance(recipe, Degradation)
