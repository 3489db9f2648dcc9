"""What ``import sreval`` offers for images: the benchmark's values, from arrays, in one line."""

from __future__ import annotations

import doctest
import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import skimage.data
import torch

import sreval
from sreval import api
from sreval.benchmarking.plan import BenchmarkPlan
from sreval.errors import SrevalError
from sreval.images.io import read_image
from sreval.images.resize import upscale
from sreval.metrics.protocol import PROTOCOLS

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def hr() -> UInt8:
    """A photograph whose sides 4 divides, large enough for every metric."""
    return np.ascontiguousarray(skimage.data.chelsea()[40:136, 60:180])


@pytest.fixture(scope="module")
def sr(hr: UInt8) -> UInt8:
    return upscale(sreval.downscale(hr, 4), 4)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [importlib.import_module(f"sreval.api.{m.name}") for m in iter_modules(api.__path__)]
    found = [doctest.testmod(file, optionflags=doctest.NORMALIZE_WHITESPACE) for file in files]
    assert sum(each.attempted for each in found) > 10
    assert sum(each.failed for each in found) == 0


def test_every_public_name_is_there_documented_and_typed() -> None:
    assert dir(sreval) == sorted(sreval.__all__)
    for name in sreval.__all__:
        value = getattr(sreval, name)
        if name != "__version__":
            assert value.__doc__, name
        if callable(value) and not isinstance(value, type):
            assert "return" in value.__annotations__, name
    with pytest.raises(AttributeError, match="no attribute 'psnrr'"):
        sreval.psnrr  # noqa: B018


def test_a_psnr_loads_neither_torch_nor_pandas() -> None:
    program = """
import sys, numpy as np, sreval
assert "sreval.api" not in sys.modules
a = np.arange(3072, dtype=np.uint16).reshape(32, 32, 3).astype(np.uint8)
for protocol in ("ledig2017", "matlab", "rgb"):
    sreval.psnr(a, a[::-1], protocol=protocol)
heavy = {"torch", "pandas", "scipy", "skimage", "matplotlib", "flask", "sqlalchemy", "lpips"}
print(sorted(heavy & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "[]", ran.stdout + ran.stderr


@pytest.mark.parametrize("method", ["nearest", "bicubic"])
def test_values_are_the_golden_ones(shared_data: Path, method: str) -> None:
    golden = json.loads((shared_data / "golden_scores.json").read_text())[f"Set5/{method}"]
    files = sorted((shared_data / "eval" / "Set5" / "HR").glob("*.png"))
    assert len(files) == 5
    for index, file in enumerate(files):
        hr = read_image(file).pixels
        lr = sreval.downscale(hr)
        sr = lr.repeat(4, 0).repeat(4, 1) if method == "nearest" else upscale(lr, 4)
        for protocol in ("ledig2017", "matlab"):
            expected = golden[f"{protocol}_psnr"][index], golden[f"{protocol}_ssim"][index]
            found = sreval.psnr(hr, sr, protocol), sreval.ssim(hr, sr, protocol, device="cpu")
            assert found == pytest.approx(expected, abs=1e-6)


def test_a_score_is_each_single_value(hr: UInt8, sr: UInt8) -> None:
    names = ["matlab", "ledig2017", "rgb"]
    frame = sreval.score(hr, sr, protocols=names, device="cpu")
    assert list(frame.columns) == ["protocol", "metric", "value", "note"]
    assert frame[["protocol", "metric"]].to_numpy().tolist() == [
        [name, metric] for name in names for metric in ("psnr", "ssim")
    ]
    single: Any = {"psnr": sreval.psnr, "ssim": sreval.ssim}
    for row in frame.itertuples():
        assert single[row.metric](hr, sr, row.protocol) == pytest.approx(row.value, abs=1e-12)


def test_files_are_scored_as_the_pixels_they_hold(hr: UInt8, sr: UInt8, tmp_path: Path) -> None:
    paths = tmp_path / "hr é.png", tmp_path / "sr.png"
    for image, path in zip((hr, sr), paths, strict=True):
        PIL.Image.fromarray(image).save(path)
    assert sreval.psnr(paths[0], str(paths[1])) == sreval.psnr(hr, sr)
    assert sreval.score(*paths, device="cpu").equals(sreval.score(hr, sr, device="cpu"))
    assert sreval.score(hr, paths[1], metrics="psnr").equals(sreval.score(hr, sr, metrics="psnr"))
    with pytest.raises(SrevalError, match=r"no\.png"):
        sreval.score(paths[0], tmp_path / "no.png")


def test_without_a_protocol_the_value_is_the_benchmarks(hr: UInt8, sr: UInt8) -> None:
    (default,) = BenchmarkPlan(methods=["x"], datasets=["x"]).protocols
    assert sreval.psnr(hr, sr) == sreval.psnr(hr, sr, default)
    assert sreval.score(hr, sr, metrics="psnr")["protocol"].tolist() == [default]


def test_a_protocol_may_be_an_object_and_one_need_not_be_a_list(hr: UInt8, sr: UInt8) -> None:
    own = PROTOCOLS["matlab"]
    assert sreval.psnr(hr, sr, own) == sreval.psnr(hr, sr, "matlab")
    assert len(sreval.score(hr, sr, own, "psnr")) == 1


def test_psnr_and_downscale_by_their_definitions(hr: UInt8) -> None:
    darker = hr // 2
    inner = (slice(4, -4), slice(4, -4))
    error = np.mean((hr[inner].astype(float) - darker[inner]) ** 2)
    expected = 10 * math.log10(255**2 / error)
    assert sreval.psnr(hr, darker, "rgb") == pytest.approx(expected, abs=1e-10)
    assert math.isinf(sreval.psnr(hr, hr))
    flat = np.full((16, 16), 77, np.uint8)
    assert np.array_equal(sreval.downscale(flat, 2), np.full((8, 8), 77, np.uint8))


def test_lpips_takes_its_trunk_by_name(shared_weights: Path, hr: UInt8, sr: UInt8) -> None:
    value = sreval.lpips(hr, sr, device="cpu")
    assert 0 < value < 1
    assert sreval.lpips(hr, hr, device="cpu") == 0
    rows = sreval.score(hr, sr, metrics=["lpips"], device="cpu")
    assert rows["value"].tolist() == [pytest.approx(value, abs=1e-7)]


BAD = {
    "floats": (lambda a: a / 255, "float64 of 0"),
    "16 bits": (lambda a: a.astype(np.uint16) * 257, "uint16 of"),
    "alpha": (lambda a: np.dstack([a, a[..., 0]]), r"\(96, 120, 4\)"),
    "channels first": (lambda a: a.transpose(2, 0, 1), r"\(3, 96, 120\)"),
    "a batch": (lambda a: a[None], r"\(1, 96, 120, 3\)"),
    "a list": (lambda a: a.tolist(), "of the type list"),
    "a tensor": (torch.from_numpy, "of the type Tensor"),
    "nothing": (lambda a: a[:0], "is empty"),
}


@pytest.mark.parametrize(("change", "seen"), BAD.values(), ids=BAD)
def test_what_is_no_image_is_refused_by_what_was_seen(hr: UInt8, change: Any, seen: str) -> None:
    bad = change(hr.copy())
    for call in (
        lambda: sreval.downscale(bad),
        lambda: sreval.psnr(hr, bad),
        lambda: sreval.psnr(bad, hr),
        lambda: sreval.ssim(hr, bad, device="cpu"),
        lambda: sreval.score(bad, hr, device="cpu"),
    ):
        with pytest.raises(ValueError, match=seen) as caught:
            call()
        assert isinstance(caught.value, sreval.SrevalError)


untyped: Any = sreval
REFUSED = {
    "an indivisible side": (
        lambda hr: untyped.downscale(hr[:95]),
        "120x95 pixels can't be divided",
    ),
    "no scale": (lambda hr: untyped.downscale(hr, 2.33333), "2.33333 isn't a valid scale"),
    "a negative scale": (lambda hr: untyped.psnr(hr, hr, "matlab", -4), "-4 isn't a valid scale"),
    "a border": (lambda hr: untyped.downscale(hr, border="reflect"), "Unknown border 'reflect'"),
    "two sizes": (lambda hr: untyped.psnr(hr, hr[:92]), "SR is 120x92 pixels, HR is 120x96"),
    "all border": (lambda hr: untyped.psnr(hr[:8], hr[:8]), "leave nothing after a crop of 4"),
    "a small window": (lambda hr: untyped.ssim(hr[:16], hr[:16], "matlab"), "window of 11x11"),
    "a protocol": (lambda hr: untyped.psnr(hr, hr, "matlabb"), "Did you mean 'matlab'"),
    "a metric": (lambda hr: untyped.score(hr, hr, metrics=["psnrr"]), "Did you mean 'psnr'"),
    "a trunk": (lambda hr: untyped.lpips(hr, hr, "squeeze"), "Unknown trunk of LPIPS 'squeeze'"),
}


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED)
def test_a_bad_argument_is_a_value_error_and_sreval_error(hr: UInt8, call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        call(hr)
    assert isinstance(caught.value, sreval.SrevalError)
    assert caught.value.remedy


def test_a_score_that_cant_be_computed_is_nan_with_the_reason(hr: UInt8) -> None:
    small = hr[:16, :16]
    frame = sreval.score(small, small, protocols="matlab", device="cpu")
    assert frame["value"].tolist()[0] == math.inf
    assert math.isnan(frame["value"].tolist()[1])
    assert "smaller than SSIM's window" in frame["note"].tolist()[1]
