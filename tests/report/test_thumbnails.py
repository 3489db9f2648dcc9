"""Crops of rated pictures: the frozen files' own pixels, of all methods, and few enough."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sreval.files import sha256_bytes
from sreval.images.io import encode_png
from sreval.report.study_report import study_report, to_html
from sreval.report.thumbnails import galleries
from sreval.study.data import StudyData
from sreval.study.manifest import Manifest
from tests.report.study_builder import make_study

UInt8 = npt.NDArray[np.uint8]
SIZE = 200


def frozen(data: StudyData, folder: Path) -> tuple[StudyData, dict[tuple[str, str, str], UInt8]]:
    """The study with a picture for each stimulus: a flat image with noise in one square."""
    folder.mkdir()
    pixels, stimuli = {}, []
    for number, stimulus in enumerate(data.manifest.stimuli):
        own = np.full((SIZE, SIZE, 3), 90, np.uint8)
        noise = np.random.default_rng(number).integers(0, 256, (40, 40, 3))
        own[120:160, 30:70] = noise
        content = encode_png(own)
        sha256 = sha256_bytes(content)
        (folder / f"{sha256}.png").write_bytes(content)
        stimuli.append(replace(stimulus, sha256=sha256, width=SIZE, height=SIZE))
        pixels[stimulus.key] = own
    return replace(data, manifest=Manifest(tuple(stimuli), "1.0")), pixels


def shown(source: str) -> UInt8:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ({"Set14": 2, "Set5": 3}, [("Set5", "img_001"), ("Set14", "img_001")]),
        ({"own": 3}, [("own", "img_001"), ("own", "img_002")]),
        ({"one": 1}, [("one", "img_001")]),
    ],
)
def test_one_or_two_images_where_their_versions_differ(
    tmp_path: Path, images: dict[str, int], expected: list[tuple[str, str]]
) -> None:
    data, pixels = frozen(make_study(images), tmp_path / "stimuli")
    made = list(galleries(data, tmp_path / "stimuli"))
    assert [gallery.title for gallery in made] == [
        f"Versions of {image} ({name})" for name, image in expected
    ]
    for gallery, (name, image) in zip(made, expected, strict=True):
        assert [crop.label for crop in gallery.crops] == [
            "nearest",
            "bicubic",
            "SRResNet-MSE",
            "HR",
        ]
        for crop, method in zip(
            gallery.crops, ("nearest", "bicubic", "srresnet-mse", "hr"), strict=True
        ):
            own = pixels[name, image, method][120:160, 30:70]
            assert np.array_equal(shown(crop.source), own)
            assert crop.side == 80
            assert crop.alt == f"{image} of {name} by {crop.label}, crop"
        assert "Crops of 40 x 40 pixels" in gallery.caption
        assert gallery.caption.endswith("each pixel doubled.")


def test_an_image_without_its_frozen_files_has_no_crops(tmp_path: Path) -> None:
    folder = tmp_path / "stimuli"
    data, _ = frozen(make_study({"Set5": 3}), folder)
    first, second = ([s for s in data.rated if s.image == f"img_00{i}"] for i in (1, 2))
    (folder / f"{first[1].sha256}.png").unlink()
    (folder / f"{second[0].sha256}.png").write_bytes(
        (folder / f"{second[1].sha256}.png").read_bytes()
    )
    assert list(galleries(data, folder)) == []
    assert list(galleries(data, tmp_path / "nowhere")) == []


def test_many_methods_are_shown_in_part_and_the_rest_are_counted(tmp_path: Path) -> None:
    data, _ = frozen(
        make_study({"one": 1}, {f"m{i}": 3.0 for i in range(20)} | {"hr": 4.0}), tmp_path / "s"
    )
    (gallery,) = galleries(data, tmp_path / "s")
    assert len(gallery.crops) == 16
    assert gallery.crops[-1].label == "HR"
    assert "5 more have no room here." in gallery.caption


@pytest.mark.usefixtures("undrawn")
def test_the_page_shows_them_before_what_is_folded(tmp_path: Path) -> None:
    data, _ = frozen(make_study({"Set5": 5}), tmp_path / "stimuli")
    page = to_html(study_report(data, stimuli=tmp_path / "stimuli"))
    assert page.count("<img ") == 8
    assert page.count('alt="img_001 of Set5 by bicubic, crop"') == 1
    assert page.index("<img ") < page.index("<details>")
    assert "<img " not in to_html(study_report(data))
