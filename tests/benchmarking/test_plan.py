"""LR images of a run are those of its recipe, and two recipes of one set stay apart."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import sreval as library
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.results import MANIFEST
from sreval.benchmarking.run import run
from sreval.errors import DataError
from sreval.images.degradations import Degradation, open_degradation
from sreval.images.degrade import degrade
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """In colour, grey, under a name of two words, and of a size that must be cropped."""
    folder = tmp_path / "photos"
    for name, image in (
        ("cat", photograph),
        ("grey", photograph[..., 1]),
        ("Zoë 1", photograph[::-1]),
        ("odd", photograph[:63, :61]),
    ):
        write_png(folder / f"{name}.png", np.ascontiguousarray(image))
    return folder


def benchmark(photos: Path | str, out: Path, **given: Any) -> library.Results:
    given = {"metrics": "psnr", "device": "cpu", "progress": False, **given}
    return library.benchmark("nearest", str(photos), out=out, **given)


def low(out: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "inputs" / name / "LR").iterdir()}


@pytest.mark.parametrize("recipe", ["bicubic", "bd", "dn:sigma=[5,50]", "real-esrgan"])
def test_lr_images_are_those_of_data_downscale_whatever_the_workers(
    photos: Path, tmp_path: Path, recipe: str
) -> None:
    seed = 3 if open_degradation(recipe).draws else None
    made = library.Dataset(photos).downscale(
        tmp_path / "low", degrade=recipe, seed=seed, crop=True, progress=False
    )
    expected = {path.name: path.read_bytes() for path in made.folder.glob("*.png")}
    for workers in (1, 3):
        out = tmp_path / f"of-{workers}"
        results = benchmark(photos, out, degrade=recipe, seed=seed, workers=workers)
        [dataset] = set(results.frame["dataset"])
        assert low(out, f"{dataset}_x4") == expected


def test_two_recipes_and_two_seeds_of_one_set_stand_side_by_side(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given: list[dict[str, Any]] = [
        {},
        {"degrade": "bd"},
        {"degrade": "dn"},
        {"degrade": "dn", "seed": 1},
        {"degrade": "dn:sigma=15"},
    ]
    alone = [benchmark(photos, tmp_path / str(n), **one) for n, one in enumerate(given)]
    for one in given:
        assert benchmark(photos, out, **one).computed == 4
    frame = library.read_results(out).frame
    names = {"photos", "photos-bd", "photos-dn", "photos-dn-seed-1", "photos-dn-sigma-15"}
    assert set(frame["dataset"]) == names
    assert frame.groupby("image")["lr_sha256"].nunique().tolist() == [5] * 4
    for one, results in zip(given, alone, strict=True):
        again = benchmark(photos, out, **one)
        assert (again.computed, again.reused) == (0, 4)
        assert again.frame["value"].tolist() == results.frame["value"].tolist()


def test_the_manifest_holds_the_recipe_and_an_edited_file_makes_all_anew(
    photos: Path, tmp_path: Path, sreval: Run
) -> None:
    recipe, out = tmp_path / "mine.toml", tmp_path / "out"
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'methods = ["nearest"]\ndatasets = ["{photos}"]\nmetrics = ["psnr"]\n'
        f'degrade = "{recipe}"\nseed = 5\nout = "{out}"\n'
    )
    text = 'name = "mine, 1/2"\n[[steps]]\nstep = "bicubic"\n[[steps]]\nstep = "noise"\nsigma = 9\n'
    for sigma in (9, 10):
        recipe.write_text(text.replace("9", str(sigma)))
        ran = sreval("benchmark", "--plan", plan, "--json")
        assert ran.code == 0, ran.err
        said = json.loads(ran.out)
        assert (said["images_computed"], said["images_reused"], said["values"]) == (4, 0, 4)
        facts = json.loads((out / MANIFEST).read_text("utf-8"))["runs"][-1]["datasets"]
        [(name, of_run)] = facts.items()
        assert name == "photos-mine-1-2-seed-5"
        made = of_run["degradation"]
        assert made["sha256"] == open_degradation(recipe, 5).sha256
        assert (made["seed"], made["steps"][1]["sigma"]) == (5, sigma)
        assert "libjpeg" in made["versions"]
    ran = sreval("benchmark", "--plan", plan, "--degrade", "bd", "--seed", "0", "--json")
    assert json.loads(ran.out)["values"] == 8


def test_a_run_that_was_killed_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sreval.metrics.scorer import Reference

    plan = BenchmarkPlan(
        methods=["nearest"],
        datasets=[str(photos)],
        metrics=["psnr"],
        degrade="real-esrgan",
        device="cpu",
        workers=1,
    )
    out, whole, scored = tmp_path / "out", tmp_path / "whole", Reference.score
    seen: list[int] = []

    def killed(self: Reference, *given: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return scored(self, *given)

    monkeypatch.setattr(Reference, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        run(Resolved.of(plan), out)
    monkeypatch.undo()
    assert (
        "made from the HR images by the second-order chain"
        in library.read_results(out).methods_text()
    )
    outcome = run(Resolved.of(plan), out)
    assert outcome.reused >= 2
    assert outcome.computed == 4 - outcome.reused > 0
    run(Resolved.of(plan), whole)
    assert (out / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()


@pytest.mark.parametrize("scale", [2.5, 5])
def test_a_run_at_any_scale_that_was_killed_ends_as_one_that_never_was(
    sreval: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    from sreval.metrics.scorer import Reference

    scored, seen = Reference.score, itertools.count(1)
    at_scale = ("--dataset", photos, "--metric", "psnr", "--protocol", "matlab", "--scale", scale)
    asked = ("benchmark", "--method", "bicubic", "--method", "lanczos", *at_scale, "--workers", 1)

    def killed(self: Reference, *given: Any) -> Any:
        if next(seen) == 4:
            raise KeyboardInterrupt
        return scored(self, *given)

    monkeypatch.setattr(Reference, "score", killed)
    assert sreval(*asked, "--out", tmp_path / "out").code == 130
    monkeypatch.undo()
    ran = sreval(*asked, "--out", tmp_path / "out")
    assert re.search(r"[1-5] images? computed, [3-7] taken over, 0 failed", ran.err)
    assert f"Super-resolution ×{scale:g}, protocol matlab" in ran.out
    assert sreval(*asked, "--out", tmp_path / "whole").code == 0
    one, other = ((tmp_path / name / "results.csv").read_bytes() for name in ("out", "whole"))
    assert one == other
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == [
        f"photos_x{scale:g}"
    ]


def test_scales_whole_and_not_share_a_folder_and_a_table(
    sreval: Run, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for scale in (4, 2.5):
        benchmark(photos, out, scale=scale, protocols="matlab")
    results = library.read_results(out)
    whole = benchmark(photos, tmp_path / "whole", protocols="matlab")
    lines = (out / "results.csv").read_text("utf-8").splitlines()
    assert lines[0] == (tmp_path / "whole" / "results.csv").read_text("utf-8").splitlines()[0]
    assert set((tmp_path / "whole" / "results.csv").read_text("utf-8").splitlines()) < set(lines)
    assert results.frame["scale"].tolist() == [2.5] * 4 + [4] * 4
    assert [row["scale"] for row in csv.DictReader(lines)] == ["2.5"] * 4 + ["4"] * 4
    said = sreval("table", out).out
    assert "Super-resolution ×2.5, ×4, protocol matlab" in said
    assert "photos ×2.5  PSNR" in said
    assert "photos ×4    PSNR" in said
    assert str(results.table(scale=4)) == str(whole.table())
    assert "×2.5, protocol" in str(results.table(scale=2.5))
    rows = list(csv.DictReader(results.table().to_csv().splitlines()))
    assert [row["scale"] for row in rows] == ["2.5", "4"]
    ran = sreval("table", out, "--scale", "3")
    assert (ran.code, ran.err) == (
        2, "Error: The results hold no scale 3. They hold 2.5 and 4.\n"
    )  # fmt: skip
    text = " ".join(results.methods_text().split())
    assert "at upscaling factors of 2.5 and 4." in text
    assert "An upscaling factor that isn't whole is rounded up for these crops." in text
    assert "cropped to the most rows that are s times" in text
    assert "- Y. Chen, S. Liu, X. Wang. Learning continuous" in text
    assert "photos x2.5, nearest, mean of" in sreval("compare-protocols", out).out
    assert results.figure("comparison", scale=2.5, image="odd") is not None


def test_at_a_scale_without_published_images_a_set_says_so_and_keeps_its_names(
    shared_data: Path, tmp_path: Path
) -> None:
    results = benchmark("Set5", tmp_path / "out", scale=7.5)
    said = "LR images made by bicubic from the HR images published for scale 4, as none were "
    assert f"{said}published at scale 7.5: Set5 5 of 5 images" in str(results.table())
    assert said in " ".join(results.methods_text().split())
    assert results.figure("comparison", image="butterfly") is not None
    benchmark("Set5", tmp_path / "out", scale=4)
    text = " ".join(library.read_results(tmp_path / "out").methods_text().split())
    assert "The images are those of Set5 (5 images; Bevilacqua et al. 2012)." in text
    assert "The LR images of Set5 ×7.5 were made from the HR images" in text
    assert "The HR and LR images of Set5 ×4 are the pairs" in text


def test_lr_images_that_are_there_are_not_made_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(hr: UInt8, recipe: Degradation, scale: int) -> Any:
        made.append(recipe.name)
        return degrade(hr, recipe, scale)

    monkeypatch.setattr("sreval.images.datasets.degrade", counted)
    out = tmp_path / "out"
    for methods, images in (("nearest", 4), ("nearest", 0), ("bicubic", 0)):
        made.clear()
        library.benchmark(
            methods, str(photos), out=out, metrics="psnr", degrade="dn", progress=False
        )
        assert len(made) == images
    kept = low(out, "photos-dn_x4")
    path = out / "inputs" / "photos-dn_x4" / "LR" / "cat.png"
    path.write_bytes(kept["grey.png"])
    (photos / "grey.png").write_bytes((photos / "cat.png").read_bytes())
    made.clear()
    assert benchmark(photos, out, degrade="dn").computed == 1
    assert made == ["dn", "dn"]
    assert low(out, "photos-dn_x4") == {**kept, "grey.png": kept["cat.png"]}
    made.clear()
    monkeypatch.setattr("sreval.benchmarking.run.versions", lambda: {"numpy": "9"})
    assert benchmark(photos, out, degrade="dn").reused == 4
    assert len(made) == 4


def test_what_cannot_be_degraded_is_refused_before_any_image(
    photos: Path, tmp_path: Path, sreval: Run
) -> None:
    out = tmp_path / "out"
    library.Dataset(photos).downscale(tmp_path / "low", crop=True, progress=False)
    pair = f"hr={photos},lr={tmp_path / 'low'}"
    (tmp_path / "cal").mkdir()
    (tmp_path / "cal/walk").symlink_to(photos)
    library.Dataset(tmp_path / "cal").downscale(tmp_path / "few", crop=True, progress=False)
    frames = f"hr={tmp_path / 'cal'},lr={tmp_path / 'few'}"
    command = ("--method", "nearest", "--out", out, "--dataset")
    for words, said in (
        ((pair, "--degrade", "bd"), "has its LR images"),
        ((pair, "--degrade", "bicubic"), f"name the folder of HR images alone: {photos}."),
        ((frames, "--degrade", "bd"), f"name the folder of HR images alone: {tmp_path / 'cal'}."),
        ((photos, "--seed", "2"), "Add --degrade RECIPE, or leave the seed out."),
        ((photos, "--degrade", "db"), "Unknown degradation 'db'."),
        ((photos, "--degrade", "dn", "--seed", "-1"), "seed = -1: it must be 0 or more"),
        ((photos, "--degrade", tmp_path / "no.toml"), "Check the path."),
    ):
        ran = sreval("benchmark", *command, *words)
        assert (ran.code, said in ran.err, out.exists()) == (2, True, False), ran.err
    assert sreval("data", "check", pair, "--degrade", "bd").code == 2
    (tmp_path / "low" / "degradation.json").write_text("{}")
    with pytest.raises(DataError, match="is not a record of a degradation"):
        benchmark(pair, out)


def test_a_set_of_ones_own_names_its_recipe(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "soft.toml").write_text(
        'name = "soft"\n[[steps]]\nstep = "blur"\nsize = 5\nsigma = 1\n'
        '[[steps]]\nstep = "bicubic"\n'
    )
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nhr = "photos"\ndegrade = "soft.toml"\n')
    out = tmp_path / "out"
    assert set(benchmark(own, out).frame["dataset"]) == {"own"}
    soft = low(out, "own_x4")
    assert set(benchmark(own, out, degrade=tmp_path / "soft.toml").frame["dataset"]) == {"own"}
    assert set(benchmark(own, out, degrade="bicubic").frame["dataset"]) == {"own-bicubic"}
    benchmark(photos, out, degrade=tmp_path / "soft.toml")
    assert low(out, "own_x4") == soft == low(out, "photos-soft_x4")


def test_the_remedy_for_two_sets_of_one_name_keeps_both(
    photos: Path, tmp_path: Path, sreval: Run
) -> None:
    other = tmp_path / "other" / "photos"
    other.mkdir(parents=True)
    (photos / "cat.png").rename(other / "cat.png")
    command = ("benchmark", "--method", "nearest", "--metric", "psnr", "--out", tmp_path / "out")

    def degraded(dataset: object) -> Any:
        return sreval(*command, "--degrade", "bd", "--dataset", dataset)

    assert degraded(photos).code == 0
    ran = degraded(other)
    remedy = f"hr={other},name=photos-2"
    assert (ran.code, f"`--dataset {remedy}`" in ran.err) == (2, True), ran.err
    assert degraded(remedy).code == 0
    assert set(library.read_results(tmp_path / "out").frame["dataset"]) == {
        "photos-bd",
        "photos-2-bd",
    }


def test_a_check_says_by_which_recipe_images_will_be_made(photos: Path, sreval: Run) -> None:
    ran = sreval("data", "check", photos, "--degrade", "dn:sigma=30.5", "--seed", "2")
    recipe = open_degradation("dn:sigma=30.5", 2)
    assert ran.code == 0
    assert ran.out.startswith("photos-dn-sigma-30.5-seed-2: 4 images, 3 LR to be made by dn:")
    assert f"(recipe {recipe.sha256[:12]}) (HR cropped)" in ran.out


@pytest.mark.data
def test_a_public_set_keeps_its_published_lr_images_under_bicubic_alone(
    shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    published = benchmark("Set5", out)
    same = benchmark("set5", out, degrade="bicubic")
    assert (set(same.frame["dataset"]), same.reused) == ({"Set5"}, 5)
    bd = benchmark("Set5", out, degrade="bd")
    assert set(bd.frame["dataset"]) == {"Set5-bd"}
    assert (bd.frame["value"].to_numpy() < published.frame["value"].to_numpy()).all()
    text = library.read_results(out).methods_text()
    assert "The HR and LR images of Set5 are the pairs that Huang" in text
    assert "Set5-bd (5 images; Bevilacqua et al. 2012)" in text
    assert "the degradation BD of Zhang, Tian et al. 2018 (recipe bd of SHA-256" in text
    assert "Y. Zhang, Y. Tian" in text
    assert "butterfly" in set(library.read_results(out).worst(most=5)["name"])
