"""Methods from Python: enlarge an array or files, train a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

import sreval
from sreval.images.resize import imresize

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]
untyped: Any = sreval


def twice(lr: UInt8, scale: int) -> UInt8:
    return np.asarray(lr.repeat(scale, axis=0).repeat(scale, axis=1))


def test_a_name_a_function_and_a_module_enlarge(photograph: UInt8) -> None:
    expected = photograph.repeat(4, 0).repeat(4, 1)
    assert np.array_equal(sreval.upscaler("nearest")(photograph), expected)
    assert np.array_equal(sreval.upscaler(twice)(photograph), expected)
    module = torch.nn.Upsample(scale_factor=4, mode="nearest")
    up = sreval.upscaler(module, device="cpu")
    assert np.array_equal(up(photograph), expected)
    assert up(photograph[..., 0]).shape == (384, 480)
    assert np.array_equal(sreval.upscaler("bicubic", scale=3)(photograph), imresize(photograph, 3))


def test_an_upscaler_is_a_method_of_a_benchmark(photograph: UInt8, tmp_path: Path) -> None:
    Image.fromarray(photograph).save(tmp_path / "cat.png")
    methods = {"up": sreval.upscaler("nearest"), "nearest": "nearest"}
    found = sreval.benchmark(methods, tmp_path, metrics="psnr", progress=False).frame
    assert found["value"].nunique() == 1
    assert found["value"].notna().all()


REFUSED = {
    "a small tile": (
        lambda a: untyped.upscaler("espcn", tile=3),
        "tile= can't be 3. Give 16 or more",
    ),
    "floats": (lambda a: untyped.upscaler("bicubic")(a / 255), "float64 of 0"),
    "a batch": (lambda a: untyped.upscaler("bicubic")(a[None]), r"\(1, 96, 120, 3\)"),
    "deep alpha": (
        lambda a: untyped.upscaler("bicubic")(np.zeros((4, 4, 4), np.uint16)),
        r"\(4, 4, 4\)",
    ),
    "16 bits": (lambda a: untyped.upscaler("lanczos")(a.astype(np.uint16)), "takes 8 bits"),
    "hr": (lambda a: untyped.upscaler("hr")(a), "can't enlarge"),
    "a name": (lambda a: untyped.upscaler("bicubik"), "Did you mean 'bicubic'"),
    "a scale": (lambda a: untyped.upscaler("bicubic", scale=17), "17 isn't a valid scale"),
    "a precision": (lambda a: untyped.upscaler("bicubic", precision="fp8"), "precision 'fp8'"),
    "a crash": (lambda a: untyped.upscaler(lambda lr: 1 / 0)(a), "ZeroDivisionError"),
}


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cant_be_enlarged_is_a_value_error(photograph: UInt8, call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        call(photograph)
    assert isinstance(caught.value, sreval.SrevalError)


def test_files_are_enlarged_and_failures_told(photograph: UInt8, tmp_path: Path) -> None:
    Image.fromarray(photograph).save(tmp_path / "cat.png")
    (tmp_path / "dog.png").write_bytes(b"no picture")
    up = sreval.upscaler("nearest", scale=2)
    written, failed = up.files(tmp_path, tmp_path / "large", progress=False)
    assert written == [tmp_path / "large" / "cat.png"]
    assert np.array_equal(np.asarray(Image.open(written[0])), photograph.repeat(2, 0).repeat(2, 1))
    assert [str(error).split(" is not ")[0] for error in failed] == [str(tmp_path / "dog.png")]
    again, there = up.files(str(tmp_path / "cat.png"), tmp_path / "large", progress=False)
    assert (again, len(there)) == ([], 1)


def test_a_failure_begins_with_its_picture(photograph: UInt8, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        Image.fromarray(photograph).save(tmp_path / f"{name}.png")
    failing = sreval.upscaler(lambda lr: 1 / 0)
    spoilt = sreval.upscaler(torch.nn.Upsample(scale_factor=float("2")), device="cpu")
    spoilt.method._inference.network.forward = lambda x: x.repeat(1, 1, 2, 2) * torch.nan  # type: ignore[attr-defined]
    for up in (failing, spoilt):
        _, failed = up.files(tmp_path, tmp_path / "large", progress=False)
        begun = [str(error).split(": ")[0] for error in failed]
        assert begun == [str(tmp_path / "cat.png"), str(tmp_path / "dog.png")]


def test_the_command_takes_a_function_of_a_module(
    sreval: Run, photograph: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(photograph).save(tmp_path / "cat.png")
    source = "def up(lr, scale):\n    return lr.repeat(scale, 0).repeat(scale, 1)\n"
    (tmp_path / "upscaling_by_repetition.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    method = "python:upscaling_by_repetition:up"
    ran = sreval("upscale", "cat.png", "--method", method, "--out", "large")
    assert ran.code == 0, ran.err
    made = np.asarray(Image.open(tmp_path / "large" / "cat.png"))
    assert np.array_equal(made, photograph.repeat(4, 0).repeat(4, 1))


def test_a_trained_model_enlarges(
    photograph: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import skimage.data

    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path / "no-data"))
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    Image.fromarray(skimage.data.chelsea()).save(photographs / "cat.png")
    (tmp_path / "validation").mkdir()
    Image.fromarray(skimage.data.coffee()[:64, :64]).save(tmp_path / "validation" / "cup.png")
    watched = {"run.dataset": str(tmp_path / "validation"), "run.metrics": ["psnr"]}
    changes = {"data.batch": 1, **watched}
    asked: Any = {"data": photographs, "profile": "smoke", "device": "cpu"}
    run = sreval.train(
        "srresnet-mse", out=str(tmp_path / "run"), steps=1, changes=changes, progress=False, **asked
    )
    assert (run.signal, run.step, run.out) == (None, 1, tmp_path / "run")
    assert sreval.upscaler(run.weights, device="cpu")(photograph[:8, :8]).shape == (32, 32, 3)
    with pytest.raises(ValueError, match="already holds a run of 1 updates"):
        sreval.train(
            "srresnet-mse", data=photographs, out=run.out, profile="smoke", changes=changes
        )
