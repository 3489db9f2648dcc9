"""What methods cost: which calls are timed, what is told, what failures and Ctrl-C leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from PIL import Image

import sreval
from sreval.devices import peak_memory

UInt8 = npt.NDArray[np.uint8]
MEBIBYTE = 2**20


def nearest(lr: UInt8, scale: int) -> UInt8:
    return np.asarray(lr.repeat(scale, 0).repeat(scale, 1))


def network(scale: int = 2) -> torch.nn.Module:
    conv = torch.nn.Conv2d(3, 3 * scale**2, 3, padding=1)
    torch.nn.init.constant_(conv.weight, 1 / 27)
    torch.nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return torch.nn.Sequential(conv, torch.nn.PixelShuffle(scale))


def test_two_calls_warm_up_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    shapes: list[tuple[int, ...]] = []

    def slower(lr: UInt8, scale: int) -> UInt8:
        nonlocal now
        shapes.append(lr.shape)
        now += {1: 1000, 2: 900, 3: 3, 4: 2, 5: 7}[len(shapes)]
        return nearest(lr, scale)

    monkeypatch.setattr("time.perf_counter", lambda: now)
    table = sreval.cost(slower, scale=3, repeat=3, device="cpu", progress=False)
    assert shapes == [(240, 427, 3)] * 5
    (row,) = table.frame.to_dict("records")
    assert (row["seconds"], row["seconds_least"], row["seconds_most"]) == (3, 2, 7)
    assert (row["calls"], row["scale"], row["width"], row["height"]) == (3, 3, 427, 240)
    assert "1281×720" in table.title


def test_each_method_has_a_row_with_what_can_be_told() -> None:
    methods = {"net": network(), "own": nearest, "cubic": "bicubic"}
    table = sreval.cost(methods, scale=2, input=(40, 30), repeat=1, device="cpu", progress=False)
    frame = table.frame.set_index("method")
    assert list(frame.index) == ["net", "own", "cubic"]
    assert frame["parameters"].tolist() == [27 * 12 + 12, pd.NA, pd.NA]
    assert frame["multiply_adds"].tolist() == [1200 * 27 * 12, pd.NA, pd.NA]
    assert (frame["seconds"] > 0).all()
    assert frame["method_sha256"].nunique() == 3
    printed = [[cell.text for cell in row.cells] for row in table.rows]
    assert [cells[:3] for cells in printed] == [
        ["net", "336", "0.000389"],
        ["own", "–", "–"],
        ["cubic", "–", "–"],
    ]
    assert [row["multiply_adds"] for row in json.loads(table.to_json())["rows"]] == [
        388800,
        None,
        None,
    ]
    text = table.to_text()
    for said in ("40×30", "80×60", "core", "1 thread", "fp32, whole images", torch.__version__[:3]):
        assert said in text


@pytest.mark.parametrize("mebibytes", [32, 96])
def test_memory_is_what_a_call_takes(mebibytes: int) -> None:
    with peak_memory("cpu") as peak:
        pass
    if not peak:
        pytest.skip("this system doesn't let a program measure its peak anew")

    def greedy(lr: UInt8, scale: int) -> UInt8:
        taken = np.ones(mebibytes * MEBIBYTE, np.uint8)
        return np.asarray(nearest(lr, scale) * taken[-1])

    table = sreval.cost(greedy, input=(8, 8), device="cpu", progress=False)
    assert 0.95 * mebibytes < table.frame["memory"].item() / MEBIBYTE < 1.2 * mebibytes + 4


def test_memory_that_was_freed_before_hides_nothing() -> None:
    with peak_memory("cpu") as peak:
        pass
    if not peak:
        pytest.skip("this system doesn't let a program measure its peak anew")
    small = [np.ones(100_000, np.uint8) for _ in range(500)]
    del small
    with peak_memory("cpu") as peak:
        again = [np.ones(100_000, np.uint8) for _ in range(500)]
    assert len(again) == 500
    assert peak[0] > 0.95 * 50e6


def fails(lr: UInt8) -> UInt8:
    raise RuntimeError("no licence")


def test_a_method_that_fails_stops_none_of_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    methods = {"broken": fails, "hr": "hr", "x3": network(3), "cubic": "bicubic"}
    table = sreval.cost(methods, scale=2, input=(9, 7), repeat=1, device="cpu")
    assert table.frame["method"].tolist() == ["cubic"]
    assert list(table.failures) == ["broken", "hr", "x3"]
    assert "no licence" in table.failures["broken"]
    assert table.failures["x3"] == "x3 enlarges 3 times, not 2. Run it with a scale of 3."
    assert capsys.readouterr().err.count("failed: ") == 3


class Refuses(torch.nn.Module):
    def forward(self, low: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no licence")


def test_a_method_that_can_t_be_opened_stops_none_of_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    damaged = tmp_path / "net.pth"
    damaged.write_bytes(b"PK")
    methods = {"net": Refuses(), "file": f"spandrel:{damaged}", "cubic": "bicubic"}
    table = sreval.cost(methods, input=(9, 7), repeat=1, device="cpu")
    assert table.frame["method"].tolist() == ["cubic"]
    assert len(table.failures) == 2
    assert "fails on a trial image" in table.failures["net"]
    assert capsys.readouterr().err.count("failed: ") == 2


def test_what_makes_no_images_is_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for method in ("hr", f"published:{tmp_path}"):
        with pytest.raises(sreval.SrevalError, match=r"makes no images.*nothing to measure"):
            sreval.cost(method, input=(8, 8), device="cpu")
        assert "no images" not in capsys.readouterr().err
    with pytest.raises(sreval.SrevalError, match=r"^No method could be measured\.$"):
        sreval.cost(["hr", fails], input=(8, 8), device="cpu")
    assert capsys.readouterr().err.count("makes no images") == 1


def test_notes_speak_of_networks_where_there_is_one() -> None:
    given: Any = {"scale": 2, "input": (9, 7), "repeat": 1, "device": "cpu", "progress": False}
    assert "networks in" not in sreval.cost("bicubic", **given).to_text()
    text = sreval.cost({"net": network(), "cubic": "bicubic"}, **given).to_text()
    assert "; networks in fp32, whole images;" in text


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes")],
)
def test_a_method_without_enough_memory_stops_none_of_the_others(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enlarge(*_: object) -> UInt8:
        raise error

    monkeypatch.setattr("sreval.methods.base.Bicubic.enlarge", enlarge)
    table = sreval.cost(["bicubic", "nearest"], input=(8, 8), repeat=1, device="cpu")
    assert table.frame["method"].tolist() == ["nearest"]
    assert table.failures["bicubic"].startswith("There is not enough memory.")


def test_where_all_fail_the_first_reason_is_told() -> None:
    with pytest.raises(sreval.SrevalError, match=r"No method could be measured.*no licence"):
        sreval.cost(fails, input=(8, 8), device="cpu", progress=False)


def test_an_interrupt_keeps_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(lr: UInt8) -> UInt8:
        raise KeyboardInterrupt

    methods = {"cubic": "bicubic", "ours": interrupted, "other": "nearest"}
    table = sreval.cost(methods, input=(8, 8), device="cpu")
    assert table.frame["method"].tolist() == ["cubic"]
    assert table.unmeasured == ["ours", "other"]
    assert "Interrupted. Not measured: ours, other." in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        sreval.cost(interrupted, input=(8, 8), device="cpu")


def test_scores_of_the_same_methods_stand_beside_the_costs(
    photograph: UInt8, tmp_path: Path
) -> None:
    (tmp_path / "cats").mkdir()
    for name, pixels in (("one", photograph), ("two", photograph[::-1])):
        Image.fromarray(pixels).save(tmp_path / "cats" / f"{name}.png")
    methods = {"cubic": "bicubic", "lanczos": "lanczos", "own": nearest}
    results = sreval.benchmark(
        methods, tmp_path / "cats", metrics=["ssim", "psnr"], out=tmp_path / "out", progress=False
    )
    asked = {"own": nearest, "lanczos": "nearest", "cubic": "bicubic", "hr": "hr", "new": "nearest"}
    table = sreval.cost(
        asked, input=(8, 8), repeat=1, device="cpu", results=tmp_path / "out", progress=False
    )
    frame = table.frame.set_index("method")
    column = frame["psnr_cats"]
    scores = results.frame
    means = scores[scores["metric"] == "psnr"].groupby("method")["value"].mean()
    assert column["own"] == pytest.approx(means["own"])
    assert column["cubic"] == pytest.approx(means["cubic"])
    assert column.isna().tolist() == [False, True, False, True]
    text = table.to_text()
    assert "PSNR cats" in text
    assert "another method of that name or of other settings: lanczos." in text
    assert "Without scores: new." in text
    assert table.to_csv().splitlines()[0].endswith(",psnr_cats,ssim_cats")
    assert "`" not in text
    assert r"8$\times$8 pixels" in table.to_latex()
    given: Any = {"input": (8, 8), "repeat": 1, "device": "cpu", "progress": False}
    one = sreval.cost(
        {"cubic": "bicubic"}, results=results, datasets="cats", metrics="ssim", **given
    )
    assert one.to_csv().splitlines()[0].endswith(",threads,ssim_cats")
    with pytest.raises(ValueError, match="dogs"):
        sreval.cost("bicubic", results=results, datasets="dogs", **given)
    with pytest.raises(ValueError, match="hold no scale 2"):
        sreval.cost("bicubic", scale=2, results=results, progress=False)


untyped: Any = sreval.cost
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a name": (lambda: untyped("bicubik"), "Did you mean 'bicubic'"),
    "a scale": (lambda: untyped("bicubic", scale=17), "17 isn't a valid scale"),
    "a size": (lambda: untyped("bicubic", input=(0, 8)), "input= can't be 0x8"),
    "three sides": (lambda: untyped("bicubic", input=(8, 8, 3)), "input= can't be 8x8x3"),
    "a text": (lambda: untyped("bicubic", input="8x8"), "input= can't be 8x8"),
    "a large size": (lambda: untyped("bicubic", input=(10**5, 8)), "from 1 to 65535"),
    "a small tile": (lambda: untyped("bicubic", tile=3), "tile= can't be 3. Give 16 or more"),
    "no calls": (lambda: untyped("bicubic", repeat=0), "repeat= can't be 0"),
    "a precision": (lambda: untyped("bicubic", precision="fp8"), "precision 'fp8'"),
    "one name twice": (lambda: untyped(["bicubic", "x=bicubic", "x=nearest"]), "called 'x'"),
    "no method": (lambda: untyped([]), "No method is named"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case: str) -> None:
    run, why = REFUSED[case]
    with pytest.raises(ValueError, match=why):
        run()
