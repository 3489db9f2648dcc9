"""Each step of a degradation is told in words, and a recipe's source where nothing is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import sreval as library
from sreval.images.degradations import NAMES, Degradation, open_degradation
from sreval.images.io import write_png
from sreval.report.degradation_text import degradation_text

UInt8 = npt.NDArray[np.uint8]


@pytest.mark.parametrize(
    ("recipe", "said", "unsaid"),
    [
        ("bicubic", "(Keys 1981), with the outermost pixels repeated", "recipe"),
        ("bicubic:border=symmetric", "with the image mirrored at the borders", "recipe"),
        ("bd", "Gaussian of 7 pixels a side and a standard deviation of 1.6 pixels, then", "kind"),
        ("bd", "from number 2 on: the degradation BD of Zhang, Tian et al. 2018", ":sigma"),
        ("bd:first=corner", "from number 1 on (recipe bd:first=corner of", "Zhang"),
        (
            "dn",
            "Gaussian noise of a standard deviation of 30 of 255: the degradation DN",
            "Poisson",
        ),
        ("dn:sigma=[5,50]", "a standard deviation of 5 to 50 of 255", "Zhang"),
        ("jpeg:quality=[30,95]", "JPEG compression of quality 30 to 95", "seed 1"),
        ("real-esrgan", "the second-order chain of Wang et al. 2021, on whole images", "unsharp"),
        ("real-esrgan:weight=1", "unsharp masking with a Gaussian", "Wang"),
        ("real-esrgan:weight=1", "a sinc filter with a cut-off of 0.333333 to 1 pi", "Wang"),
    ],
)
def test_a_recipe_in_words(recipe: str, said: str, unsaid: str) -> None:
    text = degradation_text(open_degradation(recipe), 3)
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize("name", [name for name in NAMES if name != "bicubic"])
def test_another_seed_is_told_and_keeps_the_source(name: str) -> None:
    recipe = open_degradation(name, 7)
    text = degradation_text(recipe, 4)
    assert f"(recipe {recipe.name} of SHA-256 {recipe.sha256[:12]}, seed 7)" in text
    assert ("et al. 20" in text) == (name != "jpeg")


def test_noise_of_one_kind_is_not_told_as_two() -> None:
    steps = [{"step": "bicubic"}, {"step": "noise", "gaussian": 0, "poisson": 1}]
    text = degradation_text(Degradation.checked({"name": "p", "steps": steps}, "p"), 4)
    assert "then Poisson noise (recipe p" in text
    assert "Gaussian" not in text


def test_a_recorded_folder_is_believed_while_its_hashes_agree(
    tmp_path: Path, photograph: UInt8
) -> None:
    hr, low = tmp_path / "hr", tmp_path / "low"
    for name, image in (("a", photograph), ("b", photograph[::-1])):
        write_png(hr / f"{name}.png", np.ascontiguousarray(image))
    library.Dataset(hr).downscale(low, degrade="dn", progress=False)

    def text() -> str:
        return library.benchmark(
            "nearest",
            f"hr={hr},lr={low},name=own",
            metrics="psnr",
            out=tmp_path / "out",
            progress=False,
        ).methods_text()

    assert "made from the HR images by antialiased bicubic" in text()
    assert "[state how they were made]" not in text()
    changed = library.degrade(photograph, "bd")
    write_png(low / "a.png", changed)
    both = text()
    assert "own were given with the HR images [state how they were made]" in both
    assert "own were made from the HR images by" in both
    write_png(hr / "b.png", photograph)
    assert "were made from the HR images by" not in text()
