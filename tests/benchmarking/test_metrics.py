"""Metrics in a run: what is computed, what stands in the rows, what two folders may hold."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import piq
import pytest
import torch

import sreval
from sreval.benchmarking.metrics import metrics_of
from sreval.benchmarking.results import ResultsFolder
from sreval.errors import DataError, UsageError
from sreval.images.io import read_image, write_png
from sreval.metrics.metric import metric_of

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    folder = tmp_path / "photos"
    for number in range(3):
        write_png(folder / f"{number}.png", np.roll(photograph, 13 * number, axis=0)[:80, :96])
    return folder


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of metrics; each call leaves a line in calls.txt."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "weights").write_text("1")
    (folder / "own_metrics.py").write_text(
        "import numpy as np\n"
        "def mae(hr, sr):\n"
        "    with open('calls.txt', 'a') as calls:\n"
        "        calls.write('x')\n"
        "    return np.abs(hr.astype(float) - sr).mean()\n"
        "def of_set(pairs):\n"
        "    return np.mean([mae(*pair) for pair in pairs])\n"
    )
    return folder


def ran(photos: Path, out: Path, **asked: Any) -> sreval.Results:
    given = {"methods": "nearest", "protocols": "matlab", "device": "cpu", **asked}
    return sreval.benchmark(datasets=photos, out=out, progress=False, **given)


def values(results: sreval.Results, metric: str, protocol: str = "matlab") -> list[float]:
    frame = results.frame
    return list(frame.loc[(frame["metric"] == metric) & (frame["protocol"] == protocol), "value"])


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call of LPIPS."""
    calls: list[str] = []

    def distance(hr: list[UInt8], sr: list[UInt8], net: str, device: str) -> float:
        calls.append(net)
        return float(np.abs(hr[0].astype(float) - sr[0]).mean())

    monkeypatch.setattr("sreval.metrics.lpips.features", lambda image, net, device: [image])
    monkeypatch.setattr("sreval.metrics.lpips.distance", distance)
    monkeypatch.setattr("sreval.benchmarking.plan._trunks", lambda *_: {"alex": "a" * 64})
    return calls


def test_lpips_is_computed_once_for_all_protocols_also_when_a_run_goes_on(
    photos: Path, tmp_path: Path, looked: list[str]
) -> None:
    out = tmp_path / "out"
    both = ran(photos, out, metrics="lpips", protocols=["matlab", "rgb"])
    assert len(looked) == 3
    assert values(both, "lpips") == values(both, "lpips", "rgb")
    third = ran(photos, out, metrics="lpips", protocols=["matlab", "rgb", "ledig2017"])
    assert len(looked) == 3
    assert values(third, "lpips", "ledig2017") == values(both, "lpips")
    assert set(third.frame["metric_sha256"]) == {"a" * 64}


def test_a_library_s_metric_is_that_of_the_library_on_what_was_made(
    photos: Path, tmp_path: Path
) -> None:
    made = ran(photos, tmp_path / "out", metrics=["fsim", "psnr"], protocols=["matlab", "rgb"])
    images = tmp_path / "out" / "images" / "photos_x4" / "nearest"
    from sreval.images.io import read_image

    direct = []
    for number in range(3):
        pair = [read_image(folder / f"{number}.png").pixels for folder in (images, photos)]
        tensors = [
            torch.from_numpy((one[4:-4, 4:-4] / 255).transpose(2, 0, 1)[None]).float()
            for one in pair
        ]
        direct.append(float(piq.fsim(*tensors)))
    assert values(made, "fsim") == pytest.approx(direct, rel=1e-6)
    assert values(made, "fsim", "rgb") == values(made, "fsim")
    facts = json.loads((tmp_path / "out" / "manifest.json").read_text())["runs"][0]["metrics"]
    assert facts["fsim"]["package"].startswith("piq ")
    assert (
        facts["fsim"]["sha256"]
        == made.frame.loc[made.frame["metric"] == "fsim"]["metric_sha256"].iloc[0]
    )
    assert set(made.frame.loc[made.frame["metric"] == "psnr", "metric_sha256"]) == {""}
    assert "FSIM (Zhang et al. 2011) is computed by piq" in made.methods_text()


@pytest.mark.parametrize("named", [True, False])
def test_a_function_is_called_anew_unless_it_names_what_it_reads(
    photos: Path, tmp_path: Path, code: Path, named: bool
) -> None:
    text = "python:own_metrics:mae,better=lower" + (",weights=weights" if named else "")
    first = ran(photos, tmp_path / "out", metrics=["psnr", text])
    second = ran(photos, tmp_path / "out", metrics=["psnr", text])
    assert (code / "calls.txt").read_text().count("x") == (3 if named else 6)
    assert (second.computed, second.reused) == (0, 3)
    assert second.rescored == (0 if named else 3)
    assert values(first, "mae") == values(second, "mae")
    if named:  # another file, another metric
        (code / "weights").write_text("2")
        ran(photos, tmp_path / "out", metrics=["psnr", text])
        assert (code / "calls.txt").read_text().count("x") == 6
        with (code / "own_metrics.py").open("a") as module:
            module.write("# changed\n")
        ran(photos, tmp_path / "out", metrics=["psnr", text])
        assert (code / "calls.txt").read_text().count("x") == 9


def test_its_declaration_stands_in_the_manifest_and_reaches_whoever_reads(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sreval.metric(
        lambda hr, sr: np.abs(hr.astype(float) - sr).mean(),
        better="lower",
        low=0,
        high=255,
        digits=1,
        unit="levels",
    )
    out = tmp_path / "out"
    ran(photos, out, methods=["nearest", "bicubic"], metrics={"psnr": "psnr", "mae": own})
    monkeypatch.setattr("sreval.metrics.metric._declared", {})
    assert metric_of("mae").higher_is_better is None
    table = sreval.read_results(out).table(baseline="nearest")
    assert (metric_of("mae").digits, metric_of("mae").high) == (1, 255)
    ranks = table.frame[table.frame["metric"] == "mae"]
    assert sorted(ranks["rank"]) == [1, 2]
    assert "mae: smaller is better" in table.to_text()
    assert "mae in levels" in table.to_text()


def test_a_metric_that_nobody_declares_is_shown_without_ranks(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(photos, out, methods=["nearest", "bicubic"], metrics="psnr")
    results = out / "results.csv"
    frame = pd.read_csv(results, dtype=str, keep_default_na=False)
    more = frame.assign(metric="foreign", value="0.5")
    pd.concat([frame, more]).to_csv(results, index=False)
    table = sreval.read_results(out).table()
    shown = table.frame[table.frame["metric"] == "foreign"]
    assert shown["mean"].tolist() == [0.5, 0.5]
    assert shown["rank"].tolist() == [0, 0]
    assert "foreign: not ranked, direction not known" in table.to_text()


def test_a_folder_of_an_earlier_version_is_read(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(photos, out, metrics="psnr")
    results = out / "results.csv"
    results.write_text(results.read_text().replace("metric_sha256", "trunk_sha256"))
    manifest = json.loads((out / "manifest.json").read_text())
    for held in manifest["datasets"].values():
        assert held.pop("degradation")["name"] == "bicubic"
        held["border"] = "replicate"
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert "metric_sha256" in sreval.read_results(out).frame
    assert "bicubic" in sreval.read_results(out).methods_text()
    assert ran(photos, out, metrics="psnr").reused == 3


def test_one_name_for_two_metrics_is_refused_with_both_folders(
    photos: Path, tmp_path: Path, code: Path
) -> None:
    for name, method, function in (("a", "nearest", "mae"), ("b", "bicubic", "other")):
        (code / "more.py").write_text("def mae(hr, sr):\n    return 1.0\nother = mae\n")
        text = f"m=python:more:{function},better=lower"
        ran(photos, tmp_path / name, methods=method, metrics=["psnr", text])
    with pytest.raises(DataError, match=r"two metrics called m: .*NAME: METRIC") as refused:
        sreval.read_results([tmp_path / "a", tmp_path / "b"])
    for folder in ("a", "b"):
        assert str(tmp_path / folder) in refused.value.message


def test_a_metric_of_a_set_is_one_value_without_interval_and_test(
    photos: Path, tmp_path: Path, code: Path
) -> None:
    text = "spread=python:own_metrics:of_set,per=set,better=lower,weights=weights"
    given: dict[str, Any] = {"methods": ["nearest", "bicubic"], "protocols": ["matlab", "rgb"]}
    metrics = ["psnr", "python:own_metrics:mae,weights=weights,better=lower", text]
    out = tmp_path / "out"
    made = ran(photos, out, metrics=metrics, **given)
    single, of_set = values(made, "mae"), values(made, "spread")
    rows = made.frame[(made.frame["metric"] == "spread") & (made.frame["protocol"] == "rgb")]
    assert rows["image"].tolist() == ["", ""]
    for method, value in zip(rows["method"], rows["value"], strict=True):
        own = made.frame[(made.frame["metric"] == "mae") & (made.frame["method"] == method)]
        assert value == pytest.approx(own["value"].mean())
    assert (len(single), len(of_set)) == (6, 2)
    table = made.table(baseline="nearest")
    shown = table.frame[table.frame["metric"] == "spread"]
    assert shown["low"].isna().all()
    assert "spread" not in set(table.tests["metric"])
    assert "one value for all images of a set" in table.to_text()
    assert "(n: photos 3)" in table.to_text()
    assert set(made.worst("spread")["metric"]) == set()
    with pytest.raises(UsageError, match="spread is of a whole data set"):
        made.figure("scores", metric="spread")
    assert "photos (3 images)" in repr(made)
    calls = (code / "calls.txt").read_text()
    again = ran(photos, out, metrics=metrics, **given)
    assert (code / "calls.txt").read_text() == calls
    assert values(again, "spread") == of_set
    assert values(sreval.read_results(out), "spread") == of_set

    # one image more: what was of the smaller set holds no longer
    shutil.copy(photos / "0.png", photos / "3.png")
    ran(photos, out, metrics=["psnr"], methods="bicubic")
    left = ResultsFolder(out).frame()
    assert "spread" not in set(left["metric"])


def test_a_set_of_which_an_image_failed_has_no_value(
    photos: Path, tmp_path: Path, code: Path
) -> None:
    (photos / "bad.png").write_bytes(b"no image")
    text = "spread=python:own_metrics:of_set,per=set"
    made = ran(photos, tmp_path / "out", metrics=["psnr", text])
    (value,) = values(made, "spread")
    assert math.isnan(value)
    (note,) = made.frame.loc[made.frame["metric"] == "spread", "note"]
    assert note == "not every image could be made: bad"


def test_small_sets_and_runs_without_a_metric_of_images_are_refused(
    photos: Path, tmp_path: Path
) -> None:
    for metric, least in (("fid", "2,048"), ("kid", "1,000")):
        with pytest.raises(UsageError, match=f"it has 3 images, and .* at least {least}"):
            ran(photos, tmp_path / "out", metrics=["psnr", metric])
    with pytest.raises(UsageError, match="no metric of single images is named"):
        ran(photos, tmp_path / "out", metrics=sreval.metric(len, name="n", per="set"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bogus", "Unknown metric 'bogus'"),
        ("fsmi", "Did you mean 'fsim'"),
        ("psnr=python:own_metrics:mae", "can't be called 'psnr', which is taken"),
        ("=python:own_metrics:mae", "can't be called ''"),
        ("image=python:own_metrics:mae", "can't be called 'image'"),
        ("python:own_metrics:mae,bettr=lower", "Did you mean 'better'"),
        ("python:own_metrics:mae,low=1,low=2", "says low= twice"),
        ("python:own_metrics:mae,lower", "Can't read 'lower'"),
        ("python:own_metrics:none", "has no 'none'"),
        ("python:own_metrics:np", "isn't a function"),
        ("python:own_metrics:mae,weights=nowhere", "nowhere isn't there"),
        ("x=psnr", "psnr can't be called 'x': .* Write psnr alone"),
        ("x=psnrr", "Unknown metric 'psnrr'.*'psnr'"),
        ("PSNR", "Unknown metric 'PSNR'.*Did you mean 'psnr'"),
        ("haarPSI", "Did you mean 'haarpsi'"),
        ("rgb", "rgb is a protocol, not a metric. Write protocols='rgb'"),
        ("PSNR=python:own_metrics:mae", "can't be called 'PSNR', which is taken"),
        ("LPIPS (vgg)=python:own_metrics:mae", "which is taken"),
        ("Mos=python:own_metrics:mae", "can't be called 'Mos', which is taken"),
        ("a,b=python:own_metrics:mae", "can't be called 'a,b'"),
        ("a:b=python:own_metrics:mae", "can't be called 'a:b'"),
        ("a=b=python:own_metrics:mae", "can't be called 'a=b'"),
        ("pyiqa:psnr", "pyiqa's psnr needs another name here.* p=pyiqa:psnr"),
    ],
)
@pytest.mark.usefixtures("code")
def test_what_names_no_metric_is_refused(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        metrics_of([text], "cpu")


def test_a_new_metric_makes_no_image_anew(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran(photos, out, metrics="psnr")
    more = ran(photos, out, metrics=["psnr", "ssim"])
    assert (more.computed, more.reused, more.rescored) == (0, 3, 3)
    same = ran(photos, out, metrics=["psnr", "ssim"])
    assert (same.computed, same.reused, same.rescored) == (0, 3, 0)


def test_a_reason_is_one_line_and_stands_alone(tmp_path: Path, photograph: UInt8) -> None:
    def broken(hr: UInt8, sr: UInt8) -> float:
        raise ValueError("no\n  good\u2028at all.\n")

    folder = tmp_path / "odd"
    write_png(folder / "a.png", photograph[:80, :96])
    write_png(folder / "b.png", photograph[:81, :97])  # cropped to what its LR image covers
    made = ran(folder, tmp_path / "out", metrics={"psnr": "psnr", "mine": broken})
    notes = made.frame.groupby("metric")["note"].unique()
    assert list(notes["mine"]) == ["mine failed: ValueError: no good at all."]
    assert sum("cropped" in note for note in notes["psnr"]) == 1


def test_what_is_of_sets_is_told_before_weights_are_missed(
    photos: Path, tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.metrics.weights.Weights._places", lambda _: [])
    with pytest.raises(UsageError, match="fid is of a whole data set"):
        sreval.score(photograph, photograph, metrics=["fid"])
    monkeypatch.setattr("sreval.benchmarking.plan._check_size", lambda *_: None)
    with pytest.raises(UsageError, match="no metric of single images"):
        ran(photos, tmp_path / "out", metrics=["fid", "kid"])


def of_sr(sr: UInt8) -> float:
    return float(sr.mean())


def of_all(images: Iterator[UInt8]) -> float:
    return float(np.mean([of_sr(sr) for sr in images]))


@pytest.fixture
def lr(tmp_path: Path, photograph: UInt8) -> Path:
    folder = tmp_path / "small ones"
    for number, image in enumerate((photograph[:24, :30], photograph[9:33, 40:70, 1])):
        write_png(folder / f"{number}.png", image)
    return folder


SINGLE = sreval.metric(of_sr, name="bright", better="higher", reference=False)
LATER = sreval.metric(of_sr, name="later", reference=False)
WHOLE = sreval.metric(of_all, name="of all", better="higher", reference=False, per="set")


def test_sets_with_and_without_originals_share_a_run(
    photos: Path, lr: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"methods": ["nearest", "bicubic"], "metrics": ["psnr", SINGLE, WHOLE]}
    out = tmp_path / "out"
    made = sreval.benchmark(
        datasets=[photos, f"lr={lr}"], out=out, device="cpu", progress=False, **asked
    )
    own = made.frame[made.frame["dataset"] == "small ones"]
    assert set(own["metric"]) == {"bright", "of all"}
    assert set(own["hr_sha256"]) == {""}
    assert set(made.frame["metric"]) == {"psnr", "bright", "of all"}
    for row in own[own["image"] != ""].to_dict("records"):
        path = out / "images" / "small ones_x4" / row["method"] / f"{row['image']}.png"
        assert row["value"] == of_sr(read_image(path).pixels)
    means = own[own["image"] != ""].groupby("method")["value"].mean()
    whole = own[own["image"] == ""].set_index("method")["value"]
    assert means.to_dict() == pytest.approx(whole.to_dict())
    held = ResultsFolder(out).datasets["small ones_x4"]
    assert (held.source, held.degradation) == (str(lr), None)
    assert {image.hr for image in held.images.values()} == {""}

    again = sreval.benchmark(["nearest"], f"lr={lr}", metrics=LATER, out=out, progress=False)
    assert (again.computed, again.reused) == (0, 2)
    read = sreval.read_results(out)
    shown = read.table(metrics=["psnr", "bright"])
    cells = [[cell.text for cell in row.cells] for row in shown.rows]
    assert ["small ones", "PSNR", "–", "–"] in cells
    assert "–: no PSNR of small ones, which has LR images alone." in shown.notes
    assert "photos 3, small ones 2" in shown.to_text()
    assert "small ones" in set(read.worst("bright")["dataset"])
    assert "of small ones were given without HR images" in read.methods_text()
    assert set(read.compare_protocols(progress=False).frame["dataset"]) == {"photos"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "has LR images alone, and PSNR, SSIM can't be computed .*brisque, clip-iqa, pyiqa"),
        ({"metrics": ["fid"]}, "and FID can't be computed without originals"),
        ({"metrics": ["psnr", WHOLE]}, "and PSNR can't be computed"),
        ({"metrics": [SINGLE], "methods": "hr"}, "hr needs the originals. Leave hr out"),
        ({"metrics": [SINGLE], "degrade": "bd"}, "bd needs the originals"),
    ],
)
def test_what_needs_originals_is_refused_before_anything_is_made(
    lr: Path, tmp_path: Path, asked: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        sreval.benchmark(**{"methods": "nearest", **asked}, datasets=f"lr={lr}", out=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_metric_that_no_data_set_can_have_is_left_out_and_said(
    lr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are weights missed that it would need."""
    monkeypatch.setattr("sreval.metrics.weights.Weights._places", lambda _: [])
    made = sreval.benchmark("nearest", f"lr={lr}", metrics=["fid", "psnr", SINGLE], progress=False)
    assert set(made.frame["metric"]) == {"bright"}
    notes = made.table().notes
    assert {f"{name} isn't computed: it needs originals." for name in ("FID", "PSNR")} <= set(notes)


def test_an_lr_image_that_cant_be_read_fails_under_what_it_was_asked_for_alone(lr: Path) -> None:
    (lr / "1.png").write_text("no image")
    made = sreval.benchmark(
        "nearest", [f"lr={lr}", "demo"], metrics=["psnr", SINGLE], workers=1, progress=False
    )
    failed = made.frame[made.frame["value"].isna()]
    assert failed[["image", "metric"]].to_numpy().tolist() == [["1", "bright"]]


def test_another_folder_of_lr_images_under_one_name_is_refused(lr: Path, tmp_path: Path) -> None:
    other = shutil.copytree(lr, tmp_path / "other")
    ran_on: dict[str, Any] = {
        "methods": "nearest",
        "metrics": SINGLE,
        "out": tmp_path / "out",
        "progress": False,
    }
    sreval.benchmark(datasets=f"lr={lr},name=mine", **ran_on)
    with pytest.raises(UsageError, match=f"lr={other},name=mine-2"):
        sreval.benchmark(datasets=f"lr={other},name=mine", **ran_on)
    with pytest.raises(
        UsageError, match=f"LR images alone, in {lr}; this one has originals.*hr={lr},name=mine-2"
    ):
        sreval.benchmark(datasets=f"hr={lr},name=mine", **ran_on)


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test declares is no other's."""
    monkeypatch.setattr("sreval.metrics.metric._declared", {})
