"""The methods paragraph says what was done, nothing else, and cites what it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.run import run
from sreval.content import packaged
from sreval.images.io import write_png
from sreval.images.resize import downscale
from sreval.metrics.metric import METRICS
from sreval.metrics.protocol import get_protocol
from sreval.report.collect import collect
from sreval.report.methods_text import _DEFINED, REFERENCES, methods_text


def ran(out: Path, *methods: str, dataset: Path | str, **more: Any) -> Path:
    given = {"metrics": ["psnr", "ssim"], "protocols": ["matlab"], "workers": 1, **more}
    plan = BenchmarkPlan(methods=list(methods), datasets=[str(dataset)], device="cpu", **given)
    run(Resolved.of(plan), out)
    return out


@pytest.fixture
def photos(tmp_path: Path, photograph: np.ndarray[Any, Any]) -> Path:
    folder = tmp_path / "photos"
    for name, image in (("a", photograph), ("b", photograph[::-1])):
        write_png(folder / f"{name}.png", np.ascontiguousarray(image))
    return folder


def told(folders: list[Path]) -> str:
    return methods_text(collect(folders), folders)


def references(text: str) -> set[str]:
    return set(text.split("References\n")[1].strip().splitlines())


def test_images_of_ones_own_are_told_without_a_claim(photos: Path, tmp_path: Path) -> None:
    text = told([ran(tmp_path / "out", "nearest", "bicubic", "hr", dataset=photos)])
    assert text.startswith("We evaluated 2 methods at an upscaling factor of 4. The images are ")
    assert "photos (2 images; [state their source])" in text
    assert "The LR images of photos were made from the HR images by antialiased bicubic" in text
    assert "with the outermost pixels repeated at the borders" in text
    assert "PSNR and SSIM are computed on the luma of BT.601" in text
    assert "as many pixels as the upscaling factor were cut" in text
    assert "11x11 pixels" in text
    for unused in ("LPIPS", "lpips", "daala", "Huang", "three channels", "has no PSNR"):
        assert unused not in text
    assert str(tmp_path) not in text


def test_only_what_was_computed_is_described(photos: Path, tmp_path: Path) -> None:
    out = ran(tmp_path / "out", "bicubic", dataset=photos, metrics=["psnr"], protocols=["rgb"])
    text = told([out])
    assert "PSNR is computed on the three channels of RGB" in text
    assert "SSIM" not in text


def test_given_lr_images_are_not_said_to_be_bicubic(photos: Path, tmp_path: Path) -> None:
    from sreval.images.io import read_image

    for path in photos.iterdir():
        write_png(tmp_path / "low" / path.name, downscale(read_image(path).pixels, 4))
    spec = f"hr={photos},lr={tmp_path / 'low'}"
    text = told([ran(tmp_path / "out", "nearest", dataset=spec)])
    assert "The LR images of photos were given with the HR images [state how they were" in text
    assert "bicubic" not in text


def test_several_runs_and_protocols_are_all_said(photos: Path, tmp_path: Path) -> None:
    first = ran(tmp_path / "one", "nearest", dataset=photos)
    ran(first, "bicubic", dataset=photos, protocols=["ledig2017"])
    second = ran(tmp_path / "two", "lanczos", dataset=photos)
    text = told([first, second])
    assert "We evaluated 3 methods" in text
    assert "The methods are nearest (nearest-neighbour interpolation), bicubic (bicubic " in text
    assert "Under the protocol matlab" in text
    assert "Under the protocol ledig2017" in text
    assert "4 pixels were cut from each side" in text
    assert text.count("photos (2 images") == 1


def test_only_the_rows_given_are_described(photos: Path, tmp_path: Path) -> None:
    out = ran(tmp_path / "out", "nearest", "lanczos", dataset=photos, protocols=["ledig2017"])
    ran(out, "bicubic", dataset=photos, metrics=["psnr"])
    frame = collect([out])
    asked = frame[(frame["method"] == "bicubic") & (frame["protocol"] == "matlab")]
    text = methods_text(asked, [out])
    assert "We evaluated 1 method at" in text
    assert "The methods are bicubic (bicubic interpolation as by MATLAB's imresize; Keys" in text
    for unasked in ("nearest", "Lanczos", "ledig2017", "SSIM"):
        assert unasked not in text


def test_a_shipped_model_is_known_by_its_weights(photos: Path, tmp_path: Path) -> None:
    weights = packaged("models") / "espcn" / "weights.safetensors"
    copied = tmp_path / "mine.safetensors"
    copied.write_bytes(weights.read_bytes())
    text = told([ran(tmp_path / "out", f"mine={copied}", dataset=photos)])
    assert "mine (the network espcn that comes with sreval, after Shi et al. 2016, with" in text
    assert f"- {REFERENCES['Shi et al. 2016']}" in references(text)


def test_failures_are_said(photos: Path, tmp_path: Path) -> None:
    (photos / "c.png").write_bytes(b"not an image")
    text = told([ran(tmp_path / "out", "nearest", dataset=photos)])
    assert "nearest has no PSNR and SSIM on 1 image of photos (c)." in text


@pytest.mark.data
def test_a_public_set_is_cited_and_its_pairs(shared_data: Path, tmp_path: Path) -> None:
    out = ran(tmp_path / "out", "nearest", dataset="Set5", metrics=["psnr"])
    text = told([out])
    assert "The images are those of Set5 (5 images; Bevilacqua et al. 2012)." in text
    assert "are the pairs that Huang et al. (2015) published" in text
    assert str(shared_data) not in text
    found = {key.rpartition(" ")[0]: work for key, work in REFERENCES.items()}
    authors = ("Bevilacqua et al.", "Huang et al.", "Holm", "Wilcoxon")
    assert references(text) == {f"- {found[author]}" for author in authors}


def test_every_citation_has_its_reference(photos: Path, tmp_path: Path) -> None:
    protocols = ["ledig2017", "matlab", "rgb"]
    text = told([ran(tmp_path / "out", "bicubic", dataset=photos, protocols=protocols)])
    body = text.split("References")[0]
    cited = set(re.findall(r"([A-Z][\w ]+?(?: et al\.)?) \(?(\d{4})\)?[);,]", body))
    assert cited == {("Wang et al.", "2004"), ("Ledig et al.", "2017"), ("Wilcoxon", "1945"),
                     ("Holm", "1979"), ("Keys", "1981")}  # fmt: skip
    assert references(text) == {f"- {REFERENCES[f'{author} {year}']}" for author, year in cited}


def test_a_reference_begins_with_the_author_it_is_cited_by_and_has_the_year() -> None:
    for key, work in REFERENCES.items():
        author, _, year = key.rpartition(" ")
        assert re.split(r" et al| and |,", author)[0] in work.split(",")[0]
        assert year in work


@pytest.mark.parametrize("protocol", ["ledig2017", "matlab", "rgb"])
def test_every_metric_but_psnr_is_defined_by_a_sentence_that_cites_a_work(protocol: str) -> None:
    assert list(_DEFINED) == list(METRICS)
    for metric in set(METRICS) - {"psnr"}:
        cited = re.findall(r"\w+(?: et al\.)? \d{4}", _DEFINED[metric](get_protocol(protocol)))
        assert cited
        assert set(cited) <= set(REFERENCES)
