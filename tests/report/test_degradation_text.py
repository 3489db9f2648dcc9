"""Each step of a degradation is told in words, and a recipe's source where nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import sreval as library
from sreval.images.degradations import Degradation, open_degradation
from sreval.images.io import write_png
from sreval.images.known import UNVERIFIED
from sreval.report.degradation_text import degradation_text
from sreval.report.methods_text import REFERENCES

UInt8 = npt.NDArray[np.uint8]


@pytest.mark.parametrize(
    ("recipe", "said", "unsaid"),
    [
        ("bicubic", "(Keys 1981), with the outermost pixels repeated", "recipe"),
        ("bicubic:border=symmetric", "with the image mirrored at the borders", "recipe"),
        ("bd", "Gaussian of 7 pixels a side and a standard deviation of 1.6 pixels, then", "kind"),
        (
            "bd",
            "from number 1 on, counted from 0: the degradation BD of Zhang, Tian et al. 2018",
            ":sigma",
        ),
        ("bd:first=corner", "from number 0 on, counted from 0 (recipe bd:first=corner of", "Zhang"),
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


@pytest.mark.parametrize("name", ["dn", "real-esrgan", "jpeg:quality=[30,40]"])
def test_another_seed_is_told_and_keeps_the_source(name: str) -> None:
    recipe = open_degradation(name, 7)
    text = degradation_text(recipe, 4)
    assert f"(recipe {recipe.name} of SHA-256 {recipe.sha256[:12]}, seed 7)" in text
    assert ("et al. 20" in text) == (":" not in name)


def test_noise_of_one_kind_is_not_told_as_two() -> None:
    steps = [{"step": "bicubic"}, {"step": "noise", "gaussian": 0, "poisson": 1}]
    text = degradation_text(Degradation.checked({"name": "p", "steps": steps}, "p"), 4)
    assert "then Poisson noise (recipe p" in text
    assert "Gaussian" not in text


@pytest.fixture
def recorded(tmp_path: Path, photograph: UInt8) -> tuple[Path, Path]:
    """Two HR images, and the LR images by ``dn`` that a record speaks of."""
    hr, low = tmp_path / "hr", tmp_path / "low"
    for name, image in (("a", photograph), ("b", photograph[::-1])):
        write_png(hr / f"{name}.png", np.ascontiguousarray(image))
    library.Dataset(hr).downscale(low, degrade="dn", progress=False)
    return hr, low


def test_a_recorded_pair_is_known_by_its_content_whatever_it_is_called(
    tmp_path: Path, recorded: tuple[Path, Path]
) -> None:
    hr, low = recorded
    for folder in (hr, low):
        (folder / "a.png").rename(folder / "c.png")
        (folder / "b.png").rename(folder / "a.png")
    dataset = f"hr={hr},lr={low},name=own"
    checked = library.Dataset(dataset).check(progress=False)
    assert checked.summary.startswith("2 LR by dn (recipe ")
    assert not checked.problems
    text = library.benchmark(
        "nearest", dataset, metrics="psnr", out=tmp_path / "out", progress=False
    ).methods_text()
    assert "The LR images of own were made from the HR images by antialiased" in text
    assert "[state how they were made]" not in text


@pytest.mark.parametrize(
    ("name", "cited", "how"),
    [
        ("DIV2K-valid", "Agustsson and Timofte 2017", "which its authors made by MATLAB's"),
        ("RealSR", "Cai et al. 2019", "photographs taken at a shorter focal length"),
        ("Manga109", "Matsui et al. 2017", "made from the HR images by antialiased bicubic"),
    ],
)
def test_a_set_without_checksums_is_cited_and_said_not_to_be_verified(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    photograph: UInt8,
    name: str,
    cited: str,
    how: str,
) -> None:
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    monkeypatch.setitem(UNVERIFIED, name, replace(UNVERIFIED[name], count=1))
    image = np.ascontiguousarray(photograph[:32, :32])
    folder, low = tmp_path / "eval" / name, library.degrade(image, "bicubic")
    if name == "RealSR":
        write_png(folder / "Canon" / "Test" / "4" / "Canon_001_HR.png", image)
        write_png(folder / "Canon" / "Test" / "4" / "Canon_001_LR4.png", low)
    else:
        write_png(folder / ("HR" if name == "Manga109" else "DIV2K_valid_HR") / "0801.png", image)
        write_png(folder / "DIV2K_valid_LR_bicubic" / "X4" / "0801x4.png", low)
    results = library.benchmark(
        "nearest", name.upper(), metrics="psnr", out=tmp_path / "out", progress=False
    )
    assert f"{name}: files not verified, as no checksums are known." in results.table().notes
    text = results.methods_text()
    assert f"those of {name} (1 image; {cited})" in text
    assert f"Whether the files of {name} are the published ones was not verified" in text
    assert how in text
    assert f"\n- {REFERENCES[cited]}\n" in text
    assert "[state" not in text
    assert str(tmp_path) not in text


def test_a_recorded_folder_is_believed_while_its_hashes_agree(
    tmp_path: Path, recorded: tuple[Path, Path], photograph: UInt8
) -> None:
    hr, low = recorded

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
    assert "own (1 of 2) were given with the HR images [state how they were made]" in both
    assert "own (1 of 2) were made from the HR images by" in both
    write_png(hr / "b.png", photograph)
    assert "were made from the HR images by" not in text()
