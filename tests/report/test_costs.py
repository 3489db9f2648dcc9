"""Costs as sizes of markers: where they come from, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sreval
from sreval.errors import DataError, UsageError
from sreval.report.collect import select
from sreval.report.costs import CostTable, Sizes, sizes_of


def network() -> torch.nn.Module:
    """One that sreval knows again: all of its classes are torch's."""
    conv = torch.nn.Conv2d(3, 12, 3, padding=1)
    torch.nn.init.constant_(conv.weight, 1 / 27)
    torch.nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return torch.nn.Sequential(conv, torch.nn.PixelShuffle(2))


MULTIPLY_ADDS = 16_384
METHODS: dict[str, Any] = {"net": network(), "=cubic": "bicubic", "lanczos": "lanczos"}
COST: dict[str, Any] = {"input": (8, 6), "repeat": 1, "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> sreval.Results:
    folder = tmp_path_factory.mktemp("sizes")
    (folder / "noise").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "noise" / "a.png")
    return sreval.benchmark(
        METHODS, folder / "noise", scale=2, metrics=["psnr", "ssim"], out=folder / "out",
        device="cpu", progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def costs() -> CostTable:
    with pytest.MonkeyPatch.context() as patched:
        # what counts them takes seconds to load
        counting = "sreval.methods.network.NetworkUpscaler.multiply_adds"
        patched.setattr(counting, lambda *_: MULTIPLY_ADDS)
        return sreval.cost({**METHODS, "lanczos": "nearest"}, scale=2, **COST)


def test_parameters_are_those_of_the_manifest(results: sreval.Results) -> None:
    sizes = sizes_of(select(results.frame, None, None), "parameters")
    assert sizes.values == {"net": 27 * 12 + 12}


def test_a_cost_table_and_its_files_give_the_same_of_the_methods_that_were_scored(
    results: sreval.Results, costs: CostTable, tmp_path: Path
) -> None:
    frame = select(results.frame, None, None)
    costs.to_csv(tmp_path / "c.csv")
    costs.to_json(tmp_path / "c.json")
    plain = costs.frame.set_index("method")
    for given in (costs, tmp_path / "c.csv", tmp_path / "c.json"):
        seconds = sizes_of(frame, "seconds", given)
        assert dict(seconds.values) == pytest.approx(
            {name: plain.loc[name, "seconds"] for name in ("net", "=cubic")}
        )
        assert "seconds for one image of 8×6 pixels" in seconds.about
        assert seconds.left_out == ["lanczos"]
        assert seconds.unmeasured == ["lanczos"]
        assert sizes_of(frame, "multiply-adds", given).values == {"net": MULTIPLY_ADDS}


def test_files_that_are_no_cost_table_are_refused(
    results: sreval.Results, costs: CostTable, tmp_path: Path
) -> None:
    frame = select(results.frame, None, None)
    told = costs.to_csv().splitlines()
    content = json.loads(costs.to_json())
    files = {
        "other.csv": "method,value\nnet,3\n",
        "words.csv": "\n".join([told[0], told[1].replace(",2,8,6,", ",two,8,6,")]),
        "twice.csv": "\n".join([*told, told[1]]),
        "head.csv": told[0] + "\n",
        "list.json": "[]",
        "rows.json": json.dumps({**content, "rows": [1]}),
        "machine.json": json.dumps({**content, "machine": "fast"}),
        "empty.csv": "",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            sizes_of(frame, "seconds", tmp_path / name)
    with pytest.raises(DataError, match="missing"):
        sizes_of(frame, "seconds", tmp_path / "missing.csv")


def test_sizes_that_can_t_be_told_are_refused(results: sreval.Results, costs: CostTable) -> None:
    frame = select(results.frame, None, None)
    with pytest.raises(UsageError, match=r"hold no memory. Measure.*`sreval cost`.*costs="):
        sizes_of(frame, "memory")
    with pytest.raises(UsageError, match=r"'parameter'.*parameters"):
        sizes_of(frame, "parameter")  # type: ignore[arg-type]
    other = frame.assign(scale=4)
    with pytest.raises(UsageError, match=r"scale of 2, the results of 4.*scale= 4"):
        sizes_of(other, "seconds", costs)
    with pytest.raises(UsageError, match=r"The parameters of lanczos, =cubic aren't known.*size="):
        results.figure("tradeoff", y="ssim", size="parameters", methods=["=cubic", "lanczos"])
    with pytest.raises(
        UsageError,
        match=r"of lanczos aren't known. Its cost is left out: .* measure lanczos w",
    ):
        results.figure("tradeoff", y="ssim", size="seconds", costs=costs, methods="lanczos")
    with pytest.raises(
        UsageError, match=r"The parameters of =cubic aren't known\. Leave [^,]*out\.$"
    ):
        results.figure("tradeoff", y="ssim", size="parameters", costs=costs, methods="=cubic")
    many = Sizes("memory", {}, left_out=list("abcdefgh"))
    assert many.left_out_note("abcdefgh").startswith("Their costs are left out: of other methods")
    assert many.left_out_note("abcdefghi").endswith(": a, b, c, d, e and 3 more.")
    with pytest.raises(UsageError, match=r"not which of them.*size="):
        results.figure("tradeoff", y="ssim", costs=costs)


def test_what_is_published_is_not_to_be_measured(
    results: sreval.Results, costs: CostTable, tmp_path: Path
) -> None:
    images = results.folder / "images" / "noise_x2"
    published = sreval.benchmark(
        {"net": f"published:{images / 'net'}"}, results.folder.parent / "noise", scale=2,
        metrics=["psnr", "ssim"], out=tmp_path / "out", device="cpu", progress=False,
    )  # fmt: skip
    drawn: dict[str, Any] = {"y": "ssim", "size": "seconds"}
    with pytest.raises(UsageError, match=r"hold no seconds. Leave .*can measure none of these"):
        published.figure("tradeoff", **drawn)
    with pytest.raises(
        UsageError,
        match=r"of net aren't known\. Its cost is left out: .*settings\. Leave \S+ out\.$",
    ):
        published.figure("tradeoff", **drawn, costs=costs)


def test_the_command_draws_sizes(
    results: sreval.Results,
    costs: CostTable,
    tmp_path: Path,
    sreval: Callable[..., Any],  # the fixture
) -> None:
    costs.to_csv(tmp_path / "c.csv")
    asked = ("figure", "tradeoff", results.folder, "--y", "ssim", "--out", tmp_path / "t.svg")
    drawn = sreval(*asked, "--size", "multiply-adds", "--costs", tmp_path / "c.csv")
    assert drawn.code == 0, drawn.err
    assert "Area of a marker: multiply-adds" in drawn.err
    assert "Hollow markers: no cost, or none known (lanczos, =cubic)." in drawn.err
    assert ">16 k<" in (tmp_path / "t.svg").read_text(encoding="utf-8")
    refused = sreval(*asked, "--size", "seconds")
    assert (refused.code, "add --costs FILE" in refused.err) == (2, True)
    refused = sreval(*asked, "--costs", tmp_path / "c.csv")
    assert (refused.code, "--size" in refused.err) == (2, True)
