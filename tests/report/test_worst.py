"""The worst images are those where a method fails, not those that are hard for all."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sreval.errors import UsageError
from sreval.images.known import known_files
from sreval.report.values import worst_images, worst_text

IMAGES = list("abcdefgh")


def frame(values: dict[str, list[float]], metric: str = "psnr", **more: str) -> pd.DataFrame:
    """Rows of one data set as results have them: method -> the values of the images."""
    rows = [
        {
            "method": method,
            "dataset": "own",
            "image": image,
            "metric": metric,
            "value": value,
            "note": "",
            "hr_sha256": image,
            "sr_sha256": "made" if not math.isnan(value) else "",
            **more,
        }
        for method, column in values.items()
        for image, value in zip(IMAGES, column, strict=False)
    ]
    return pd.DataFrame(rows)


def test_a_failure_is_found_on_an_image_that_is_easy_for_all() -> None:
    hardness = np.array([20.0, 22, 24, 26, 28, 30, 32, 34])
    failing = hardness + 2
    failing[6] -= 3  # still the second best of its values but one
    found = worst_images(frame({"one": list(hardness), "two": list(failing)}), most=1)
    two = found[found["method"] == "two"].iloc[0]
    assert (two["image"], two["value"], two["rank"]) == ("g", 31.0, 1)


def test_the_difference_is_the_interaction_of_the_two_way_layout() -> None:
    values = np.random.default_rng(3).normal(27, 3, (8, 3))
    methods = ["one", "three", "two"]
    table = dict(zip(methods, values.T.tolist(), strict=True))
    # by least squares on the image and method effects, independently of the means
    design = np.array(
        [
            [*(i == k for k in range(8)), *(j == k for k in range(3))]
            for i in range(8)
            for j in range(3)
        ],
        float,
    )
    flat = values.ravel()
    residuals = (flat - design @ np.linalg.lstsq(design, flat, rcond=None)[0]).reshape(8, 3)
    found = worst_images(frame(table), most=3)
    for place, method in enumerate(methods):
        own = found[found["method"] == method]
        order = np.argsort(residuals[:, place])[:3]
        expected = [o for o in order if residuals[o, place] < 0]
        assert list(own["image"]) == [IMAGES[o] for o in expected]
        assert own["difference"].to_list() == pytest.approx(list(residuals[expected, place]))


def test_where_less_is_better_the_worst_is_above_what_is_expected() -> None:
    higher = frame({"one": [0.1] * 8, "two": [0.1] * 7 + [0.4]}, "lpips")
    found = worst_images(higher, most=1)
    assert list(found[found["method"] == "two"]["image"]) == ["h"]
    assert (found[found["method"] == "two"]["difference"] > 0).all()


def test_it_is_empty_where_it_would_say_nothing() -> None:
    assert worst_images(frame({"one": [20.0], "two": [25.0]})).empty
    assert worst_images(frame({"one": [20.0, 30, 25, 21], "two": [21.0, 31, 26, 22]})).empty
    assert worst_text(worst_images(frame({"alone": [20.0]}))) == ""


def test_a_method_without_others_has_its_worst_values() -> None:
    gone = [math.nan] * 4
    for values in ({"alone": [22.0, 20, 23, 21]}, {"alone": [22.0, 20, 23, 21], "failed": gone}):
        found = worst_images(frame(values))
        assert list(zip(found["image"], found["value"], strict=True)) == [("b", 20), ("d", 21)]
        assert worst_text(found) == (
            "Images with the lowest PSNR in dB:\n  alone: b 20.00; d 21.00"
        )
    lower = worst_images(frame({"alone": [0.1, 0.4, 0.2, 0.3]}, "lpips"))
    assert worst_text(lower).startswith("Images with the highest LPIPS:\n  alone: b 0.4")


def test_hr_infinite_and_missing_values_take_no_part() -> None:
    values = {
        "hr": [math.inf] * 8,
        "one": [20.0, 21, math.nan, 23, 24, 25, 26, 27],
        "two": [math.inf, 22.0, 23, 24, 25, 26, 24, 28],
    }
    found = worst_images(frame(values))
    assert "hr" not in set(found["method"])
    assert not {"a", "c"} & set(found["image"])
    assert found[found["method"] == "two"]["image"].iloc[0] == "g"


def test_at_most_half_of_the_images_are_called_worst() -> None:
    values = np.random.default_rng(1).normal(27, 3, (4, 2)).T.tolist()
    found = worst_images(frame(dict(zip(("one", "two"), values, strict=True))))
    assert found.groupby("method").size().max() <= 2


def test_a_public_image_has_its_common_name_by_content_alone() -> None:
    made = frame({"one": [20.0, 25, 20, 20], "two": [25.0, 25, 26, 26]}, dataset="Set5")
    made["image"] = made["image"].map({"a": "img_001", "b": "img_002", "c": "x", "d": "y"})
    assert set(worst_images(made)["name"]) == {""}
    hr = [file.sha256 for file in known_files("Set5") if file.path.endswith("HR/img_002.png")]
    made.loc[made["image"] == "img_002", "hr_sha256"] = hr[0]
    found = worst_images(made)
    assert list(found[found["image"] == "img_002"]["name"]) == ["bird"]
    assert "img_002 bird 25.00 (2.13 below usual)" in worst_text(found)


def test_a_metric_that_was_not_computed_is_refused() -> None:
    with pytest.raises(UsageError, match=r"hold no ssim\. They hold psnr\."):
        worst_images(frame({"one": [20.0]}), "ssim")


def test_the_benchmark_prints_them_below_its_table(
    sreval: Callable[..., Any], tmp_path: Path, photograph: np.ndarray[Any, Any]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    for name, image in (("a", photograph), ("b", noise), ("c", photograph[:48])):
        Image.fromarray(image).save(tmp_path / "in" / f"{name}.png")
    command = ["--dataset", tmp_path / "in", "--protocol", "rgb", "--metric", "psnr"]
    both = ["--method", "nearest", "--method", "bicubic", "--out", tmp_path / "out"]
    ran = sreval("benchmark", *both, *command)
    assert ran.code == 0, ran.err
    assert "does worse than usual, compared with the others, by PSNR in dB:" in ran.out
    # noise has no frequencies for bicubic to keep
    assert [line for line in ran.out.splitlines() if line.startswith("  bicubic: b ")]
    one = ["--method", "nearest", "--out", tmp_path / "one"]
    assert "Images with the lowest PSNR in dB:\n" in sreval("benchmark", *one, *command).out
