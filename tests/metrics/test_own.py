"""One's own metrics: what a function may return, what is said of what it may not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import sreval
from sreval.errors import ImageError, UsageError
from sreval.metrics.own import Declaration, as_number, of_function

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _undeclared() -> Iterator[None]:
    """What one test declares is no other's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sreval.metrics.metric._declared", {})
        yield


@given(st.floats(allow_nan=False, width=32))
def test_a_number_is_the_same_in_whatever_it_comes(number: float) -> None:
    for given_as in (
        number,
        np.float32(number),
        np.array(number, np.float32),
        np.array([[number]], np.float32),
        torch.tensor(number),
        torch.tensor([number], requires_grad=True),
    ):
        assert as_number(given_as, "m") == number
    assert as_number(3, "m") == as_number(np.int16(3), "m") == 3.0
    assert as_number(torch.tensor(0.5, dtype=torch.bfloat16), "m") == 0.5


@pytest.mark.parametrize(
    "result", [None, "12", math.nan, [], [1, 2], np.zeros(2), True, {}, object(), 1j, b"1"]
)
def test_what_is_no_number_is_told(result: object) -> None:
    with pytest.raises(ImageError, match=r"^m returned .*\.$"):
        as_number(result, "m")


def scored(function: Any, hr: UInt8, sr: UInt8, **declared: Any) -> tuple[float, str]:
    metric = sreval.metric(function, name="m", **declared)
    row = sreval.score(hr, sr, metrics=["psnr", metric], protocols=["matlab"]).iloc[1]
    assert row["metric"] == "m"
    return row["value"], row["note"]


def test_a_function_gets_whole_images_as_they_are(photograph: UInt8) -> None:
    seen: list[tuple[UInt8, ...]] = []

    def metric(*images: UInt8) -> float:
        seen.append(images)
        images[0][:] = 0  # what it does to them is its own affair
        return 1

    before = photograph.copy()
    assert scored(metric, photograph, photograph // 2) == (1, "")
    assert np.array_equal(photograph, before)
    assert seen[0][0].shape == photograph.shape
    assert np.array_equal(seen[0][1], photograph // 2)
    scored(metric, photograph, photograph // 2, reference=False)
    assert len(seen[1]) == 1
    scored(metric, photograph, photograph, crop="scale")
    scored(metric, photograph, photograph, crop=10)
    height, width = photograph.shape[:2]
    assert [one[0].shape[:2] for one in seen[2:]] == [
        (height - 8, width - 8),
        (height - 20, width - 20),
    ]
    grey = photograph[..., 0]
    scored(metric, grey, grey)
    assert seen[-1][0].ndim == 2


def test_what_a_function_raises_or_returns_beside_its_limits_is_a_note(photograph: UInt8) -> None:
    def fails(hr: UInt8, sr: UInt8) -> float:
        raise ZeroDivisionError("nothing is left")

    for function, note in (
        (fails, "m failed: ZeroDivisionError: nothing is left."),
        (lambda hr, sr: None, "m returned None, not a number."),
        (lambda hr, sr: 1.5, "m returned 1.5, which isn't within 0..1."),
        (lambda sr: 0, "m failed: TypeError"),
    ):
        value, told = scored(function, photograph, photograph, low=0, high=1)
        assert math.isnan(value)
        assert told.startswith(note)
    assert scored(lambda hr, sr: 1 + 1e-9, photograph, photograph, high=1)[0] > 1


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"better": "up"}, "better = 'up'"),
        ({"digits": -1}, "digits = -1"),
        ({"low": 1, "high": 1}, "low is 1, high is 1"),
        ({"per": "pixel"}, "per = 'pixel'"),
        ({"crop": -4}, "crop"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declared: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        sreval.metric(lambda hr, sr: 0, **declared)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match="A metric can't be of the type str"):
        sreval.metric("psnr")  # type: ignore[arg-type]


def test_a_set_comes_one_image_after_the_other(photograph: UInt8) -> None:
    def mean(images: Any) -> float:
        assert iter(images) is images
        return float(np.mean([image.mean() for image in images]))

    metric = of_function(mean, "m", Declaration(per="set", reference=False))
    assert metric.of_set is not None
    images = iter([(photograph,), (photograph // 2,)])
    expected = (photograph.mean() + (photograph // 2).mean()) / 2
    assert metric.of_set(images, 4, "cpu") == pytest.approx(expected)
    with pytest.raises(UsageError, match="m is of a whole data set"):
        sreval.score(photograph, photograph, metrics=sreval.metric(mean, name="m", per="set"))


@pytest.mark.parametrize("name", ["psnr", "PSNR", "FID", "lpips (vgg)", "MOS", "a,b", "a\nb", " a"])
def test_a_name_that_none_may_have_is_refused_at_once(name: str) -> None:
    with pytest.raises(UsageError, match="can't be called"):
        sreval.metric(len, name=name)


@pytest.mark.parametrize("grey", [False, True])
def test_a_metric_without_reference_does_not_depend_on_hr(photograph: UInt8, grey: bool) -> None:
    """Not even where HR is in colour and SR is grey."""

    def spread(sr: UInt8) -> float:
        return float(sr.std() + 1000 * sr.ndim)

    metric = sreval.metric(spread, reference=False)
    sr = photograph[..., 0] if grey else photograph
    alone = sreval.score(None, sr, metrics=metric)["value"].item()
    assert alone == spread(sr)
    for hr in (photograph, photograph // 2, photograph[..., 1]):
        assert sreval.score(hr, sr, metrics=metric)["value"].item() == alone
    with pytest.raises(UsageError, match="PSNR can't be computed without the original"):
        sreval.score(None, sr, metrics=["psnr", metric])
