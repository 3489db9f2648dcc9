"""A benchmark from Python, and its results as tables and figures."""

from __future__ import annotations

import gc
import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import sreval
from sreval.images.resize import upscale
from sreval.report.scores import ScoreTable

UInt8 = npt.NDArray[np.uint8]
untyped: Any = sreval


def nearest(lr: UInt8, scale: int) -> UInt8:
    return lr.repeat(scale, axis=0).repeat(scale, axis=1)


class Enlarge(torch.nn.Module):
    """A class of a user's own: nearest, with what a test asks for done to it."""

    def __init__(self, factor: float = 1, shift: float = 0) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3)
        self.factor, self.shift = factor, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        large = torch.nn.functional.interpolate(x, scale_factor=4, mode="nearest")
        made: torch.Tensor = large * self.factor + self.shift
        return made


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three crops of one photograph, one of them grey."""
    import skimage.data

    folder = tmp_path_factory.mktemp("data") / "cats"
    folder.mkdir()
    for index in range(3):
        crop = skimage.data.chelsea()[40:88, 60 + 40 * index : 108 + 40 * index]
        Image.fromarray(crop[..., 0] if index == 2 else crop).save(folder / f"cat{index}.png")
    return folder


@pytest.fixture(scope="module")
def results(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> sreval.Results:
    out = tmp_path_factory.mktemp("run") / "results"
    methods = {"ours": nearest, "bicubic": "bicubic", "near": "nearest", "net": Enlarge()}
    return sreval.benchmark(
        methods, photographs, out=out, protocols=["matlab", "rgb"], progress=False
    )


def values(results: sreval.Results, method: str) -> list[float]:
    frame = results.frame[results.frame["method"] == method]
    return [float(value) for value in frame["value"]]


def test_a_function_and_a_module_score_as_the_method_that_they_are(results: sreval.Results) -> None:
    assert len(values(results, "near")) == 3 * 2 * 2
    assert values(results, "ours") == values(results, "near")
    assert values(results, "net") == values(results, "near")
    assert values(results, "bicubic") != values(results, "near")
    assert results.failures.empty
    assert (results.computed, results.reused) == (12, 0)


def test_a_row_is_what_the_function_of_that_name_gives(
    results: sreval.Results, photographs: Path
) -> None:
    hr = np.asarray(Image.open(photographs / "cat1.png"))
    sr = upscale(sreval.downscale(hr), 4)
    frame = results.frame.set_index(["method", "image", "protocol", "metric"])["value"]
    for protocol in ("matlab", "rgb"):
        expected = sreval.psnr(hr, sr, protocol), sreval.ssim(hr, sr, protocol, device="cpu")
        found = [frame["bicubic", "cat1", protocol, metric] for metric in ("psnr", "ssim")]
        assert found == pytest.approx(expected, abs=1e-9)


def test_results_are_the_ones_that_are_read_again(results: sreval.Results) -> None:
    again = sreval.read_results(str(results.folder))
    order = ["method", "image", "protocol", "metric"]
    first, second = (r.frame.sort_values(order, ignore_index=True) for r in (results, again))
    pd.testing.assert_frame_equal(first, second, check_dtype=False)
    assert repr(again) == repr(results)
    assert again.table().to_csv() == results.table().to_csv()


def test_a_table_is_written_in_every_form(results: sreval.Results) -> None:
    table = results.table(baseline="bicubic", metrics="psnr")
    assert isinstance(table, ScoreTable)
    means = table.frame.set_index("method")["mean"]
    rows = results.frame.query("protocol == 'matlab' and metric == 'psnr'")
    for method, own in rows.groupby("method"):
        assert means[method] == pytest.approx(own["value"].mean())
    assert set(table.tests["second"]) == {"bicubic"}
    assert r"\toprule" in table.to_latex()
    assert table.to_markdown().startswith("**")
    assert table.to_html().startswith("<!doctype html>")
    assert len(pd.read_csv(io.StringIO(table.to_csv()))) == len(table.frame)
    assert json.loads(table.to_json())["protocol"] == "matlab"
    assert repr(table) == table.to_text().rstrip("\n")
    named = results.table(
        methods="bicubic", caption="Ours", label="tab:ours", width="page", scale=[4]
    )
    assert named.methods == ["bicubic"]
    assert r"\caption{Ours.}\label{tab:ours}" in named.to_latex()
    assert r"\begin{table*}" in named.to_latex()
    assert named.to_text().startswith("Ours\n")


def test_results_and_tables_show_themselves(results: sreval.Results) -> None:
    shown: Any = results
    assert "<table " in shown._repr_html_()
    assert "<!doctype" not in shown._repr_html_()
    assert "4 methods" in repr(results) or "bicubic, near, net, ours" in repr(results)


def test_votes_stand_beside_metrics(results: sreval.Results) -> None:
    votes = pd.DataFrame(
        [
            {
                "rater": r,
                "dataset": "cats",
                "image": f"cat{i}",
                "method": m,
                "score": 2 + (r + i) % 2,
            }
            for r in range(3)
            for i in range(3)
            for m in ("near", "bicubic")
        ]
    )
    table = results.table(votes=votes, protocol="rgb")
    mos = table.frame[table.frame["metric"] == "mos"].set_index("method")["mean"]
    expected = votes.groupby("method")["score"].mean()
    assert mos[["near", "bicubic"]].tolist() == expected[["near", "bicubic"]].tolist()
    means = pd.DataFrame({"image": ["cat0"], "method": ["near"], "mos": [3.0], "psnr": [30.0]})
    with pytest.raises(sreval.SrevalError, match="needs votes"):
        results.table(votes=means)


def test_figures_are_matplotlibs_and_leave_its_settings_alone(
    results: sreval.Results, tmp_path: Path
) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    for figure in (
        results.figure("comparison", image="cat1", region=(4, 4, 20, 20)),
        results.figure("comparison", image="CAT1", methods="near", dataset="cats"),
        results.figure("scores", metric="ssim"),
    ):
        assert isinstance(figure, Figure)
    assert dict(mpl.rcParams) == before
    figure.savefig(tmp_path / "scores.pdf")
    assert (tmp_path / "scores.pdf").stat().st_size > 1000
    shown: Any = figure
    assert shown._repr_png_().startswith(b"\x89PNG")


def test_a_public_image_goes_by_its_common_name(shared_data: Path) -> None:
    hr = shared_data / "eval" / "Set5" / "HR"
    results = sreval.benchmark("nearest", f"hr={hr},name=Set5", metrics="psnr", progress=False)
    named = results.figure("comparison", image="Butterfly", region=(0, 0, 32, 32))
    numbered = results.figure("comparison", image="img_003", region=(0, 0, 32, 32))
    shown, expected = (
        [np.asarray(axes.images[0].get_array()) for axes in f.axes if axes.images]
        for f in (named, numbered)
    )
    assert len(shown) >= 2
    assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=True))
    with pytest.raises(ValueError, match="Did you mean 'butterfly'"):
        results.figure("comparison", image="buterfly")


def test_conventions_are_compared(results: sreval.Results) -> None:
    found = results.compare_protocols(methods="near", progress=False)
    assert set(found.frame["method"]) == {"near"}
    row = found.summary.set_index("convention").loc["matlab"]
    rows = results.frame.query("protocol == 'matlab' and metric == 'psnr' and method == 'near'")
    assert row["psnr"] == pytest.approx(rows["value"].mean())
    assert "Signed figures" in repr(found)


def test_the_worst_images_are_told(results: sreval.Results) -> None:
    worst = results.worst(protocol="rgb")
    assert list(worst.columns[:4]) == ["method", "rank", "dataset", "image"]
    assert set(worst["metric"]) == {"psnr"}


def test_a_second_run_calls_a_function_and_takes_over_a_known_module(
    photographs: Path, tmp_path: Path
) -> None:
    calls = []

    def counted(lr: UInt8) -> UInt8:
        calls.append(lr.shape)
        return nearest(lr, 4)

    def network(weight: float) -> torch.nn.Module:
        torch.manual_seed(0)
        made = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 1, bias=False), torch.nn.PixelShuffle(4))
        torch.nn.init.constant_(made.get_parameter("0.weight"), weight)
        return made

    def run(weight: float) -> sreval.Results:
        methods = {"f": counted, "net": network(weight), "own": Enlarge()}
        return sreval.benchmark(methods, photographs, out=tmp_path, metrics="psnr", progress=False)

    first = run(0.2)
    assert len(calls) == 3
    second = run(0.2)
    assert len(calls) == 6
    assert (second.computed, second.reused) == (6, 3)
    assert values(second, "net") == values(first, "net")
    third = run(0.3)
    assert (third.computed, third.reused) == (9, 0)
    assert values(third, "net") != values(first, "net")


def test_a_module_stays_as_it_was(photographs: Path) -> None:
    module = Enlarge().train()
    sreval.benchmark([module], photographs, metrics="psnr", progress=False)
    assert module.training
    assert all(weight.requires_grad for weight in module.parameters())


BAD = {
    "255": (Enlarge(255), r"returned values of .*\.\.\d+ for .* can't be meant as 0\.\.1"),
    "-1..1": (Enlarge(2, -1), r"returned values of -0\.\d+\.\.\S+ for .* can't be meant as 0\.\.1"),
    "NaN": (Enlarge(math.nan), "returned NaN or infinite values"),
    "no image": (lambda lr: None, "returned"),
    "floats": (lambda lr: nearest(lr, 4) / 255, "returned float64 of 0"),
}


@pytest.mark.parametrize(("method", "reason"), BAD.values(), ids=BAD)
def test_what_fails_is_told_image_by_image_and_stops_nothing(
    photographs: Path, method: Any, reason: str
) -> None:
    methods = {"bad": method, "good": "nearest"}
    found = sreval.benchmark(methods, photographs, metrics="psnr", progress=False)
    assert found.failures["method"].tolist() == ["bad"] * 3
    assert found.failures["image"].tolist() == ["cat0", "cat1", "cat2"]
    assert found.failures["reason"].str.contains(reason).all(), found.failures["reason"][0]
    assert found.frame.query("method == 'bad'")["value"].isna().all()
    assert found.frame.query("method == 'good'")["value"].notna().all()
    assert "bad: no result on 3 of 3 images" in found.table().to_text()


def test_where_all_fails_results_say_why_and_have_no_table(photographs: Path) -> None:
    found = sreval.benchmark([lambda lr: lr], photographs, metrics="psnr", progress=False)
    assert len(found.failures) == 3
    with pytest.raises(sreval.SrevalError, match=r"holds no scores: .* returned shape"):
        found.table()
    shown: Any = found
    assert "holds no scores" in shown._repr_html_()


def test_without_a_folder_the_images_live_as_long_as_the_results(photographs: Path) -> None:
    found = sreval.benchmark("nearest", photographs, metrics="psnr", progress=False)
    folder = found.folder
    assert len(list(folder.glob("images/*/nearest/*.png"))) == 3
    del found
    gc.collect()
    assert not folder.exists()


REFUSED = {
    "a method": ({"methods": "bicubik"}, "Did you mean 'bicubic'"),
    "an object": ({"methods": {"a": 5}}, "a can't be a method: it is neither a function nor"),
    "a network's scale": (
        {"methods": {"a": torch.nn.Identity()}},
        r"a doesn't enlarge \(scale 1\)",
    ),
    "a network that fails": (
        {"methods": {"a": torch.nn.Linear(2, 2)}},
        "a fails on a trial image of 3x16x16 in fp32: RuntimeError",
    ),
    "a name": ({"methods": {"a/b": "bicubic"}}, "No method can be called 'a/b'"),
    "no method": ({"methods": []}, "methods = "),
    "twins": ({"methods": [nearest, nearest]}, "Two methods are called 'nearest'"),
    "a data set": ({"datasets": "Set55"}, "Did you mean 'Set5'"),
    "no folder": ({"datasets": Path("nowhere/at/all")}, "No such folder or file"),
    "a protocol": ({"protocols": "mathlab"}, "Did you mean 'matlab'"),
    "a metric": ({"metrics": ["psnr", "ssimm"]}, "Did you mean 'ssim'"),
    "a scale": ({"scale": 1}, "benchmark: scale = 1"),
    "a precision": ({"precision": "fp8"}, "benchmark: precision = 'fp8'"),
    "a tile": ({"tile": 4}, "benchmark: tile = 4"),
}


@pytest.mark.parametrize(("changed", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cant_be_meant_is_a_value_error_before_any_work(
    photographs: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    asked = {"methods": nearest, "datasets": photographs, **changed}
    with pytest.raises(ValueError, match=said) as caught:
        untyped.benchmark(**asked, out=tmp_path / "out", progress=False)
    assert isinstance(caught.value, sreval.SrevalError)
    assert not (tmp_path / "out").exists()


WRONG = {
    "a baseline": (lambda r: r.table(baseline="bicubik"), "Did you mean 'bicubic'"),
    "a layout": (lambda r: r.table(layout="wide"), "Unknown layout 'wide'"),
    "intervals": (lambda r: r.table(intervals="under"), "Unknown place of intervals 'under'"),
    "a width": (lambda r: r.table(width="half"), "Unknown width 'half'"),
    "a label": (lambda r: r.table(label="a}b"), "'a}b' can't be a label"),
    "a method of a table": (lambda r: r.table(methods="x"), "These results have no method 'x'"),
    "a data set": (lambda r: r.table(datasets=["x"]), "These results have no data set 'x'"),
    "methods and losses": (
        lambda r: r.table(methods="near", layout="losses"),
        "can't be had together",
    ),
    "a unit": (lambda r: r.table(unit="vote"), "Unknown unit 'vote'"),
    "a level": (lambda r: r.table(level=95), "95 isn't a valid level"),
    "both tests": (lambda r: r.table(baseline="near", pairs=True), "can't be had together"),
    "a protocol": (lambda r: r.table(protocol="ledig2017"), "These results have no protocol"),
    "a figure": (lambda r: r.figure("comparson"), "Did you mean 'comparison'"),
    "no image": (lambda r: r.figure("comparison"), "Name one: image="),
    "an image": (lambda r: r.figure("comparison", image="cat9"), "These results have no image"),
    "a region": (lambda r: r.figure("comparison", image="cat1", region=(1, 2)), "region '1,2'"),
    "a method": (lambda r: r.compare_protocols(methods=["x"]), "These results have no method"),
}


@pytest.mark.parametrize(("call", "said"), WRONG.values(), ids=WRONG)
def test_a_name_that_results_dont_hold_is_a_value_error(
    results: sreval.Results, call: Any, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        call(results)
    assert isinstance(caught.value, sreval.SrevalError)


def test_what_isnt_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sreval.SrevalError, match=r"holds no results\.csv"):
        sreval.read_results(tmp_path)
    with pytest.raises(ValueError, match="No results folder is named"):
        sreval.read_results([])


def test_a_notebooks_own_modules_stay_between_two_runs(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_of_a_notebook.py").write_text(
        "def up(lr):\n    return lr.repeat(4,0).repeat(4,1)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    sreval.benchmark("nearest", photographs, metrics="psnr", progress=False)
    import mine_of_a_notebook as mine  # type: ignore[import-not-found]

    sreval.benchmark({"mine": mine.up}, photographs, metrics="psnr", progress=False)
    assert sys.modules.pop("mine_of_a_notebook") is mine


def test_no_public_name_is_hidden_by_a_module() -> None:
    program = """
import pkgutil, sreval
assert not set(sreval.__all__) & {found.name for found in pkgutil.iter_modules(sreval.__path__)}
import sreval.benchmarking.run
print(callable(sreval.benchmark))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "True", ran.stderr
