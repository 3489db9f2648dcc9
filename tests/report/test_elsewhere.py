"""Scores that were made elsewhere, beside those of a benchmark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import sreval
from sreval.errors import SrevalError
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sreval.metrics.metric._declared", {})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, photograph: UInt8) -> sreval.Results:
    folder = tmp_path_factory.mktemp("elsewhere")
    for number in range(4):
        write_png(folder / "set" / f"{number}.png", np.roll(photograph, 9 * number, axis=1))
    return sreval.benchmark(
        ["nearest", "bicubic"],
        folder / "set",
        out=folder / "out",
        protocols=["matlab", "rgb"],
        metrics="psnr",
        device="cpu",
        progress=False,
    )


def written(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "scores.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


NUMBERS = {
    (method, image): 0.1 * image + (method == "nearest")
    for method in ("nearest", "bicubic")
    for image in range(4)
}


def test_a_data_set_that_the_results_lack_comes_with_a_remedy(
    results: sreval.Results, tmp_path: Path
) -> None:
    file = written(tmp_path, "method,dataset,image,q", "bicubic,phone,0,1")
    with pytest.raises(SrevalError, match="results have no data set 'phone'") as refused:
        results.with_scores(file)
    assert refused.value.remedy.endswith("leave the row out, or give its results, too.")


def test_both_forms_of_a_file_give_the_same_tables(results: sreval.Results, tmp_path: Path) -> None:
    long = [f"{m},set,{i}.png,dists,{v}" for (m, i), v in NUMBERS.items()]
    wide = [f"{i},{m},{v},x" for (m, i), v in NUMBERS.items()]
    tables = []
    for lines in (
        ["method,dataset,image,metric,value", *long],
        ["image,method,dists,note", *wide],
    ):
        joined = results.with_scores(written(tmp_path, *lines))
        assert len(joined.frame) == len(results.frame) + 2 * len(NUMBERS)
        assert any("computed elsewhere, scores.csv (SHA-256" in note for note in joined.notes)
        table = joined.table(baseline="nearest", protocol="rgb")
        tables.append(table.frame[table.frame["metric"] == "dists"].reset_index(drop=True))
        assert "dists" in set(table.tests["metric"])
        assert "DISTS (Ding et al. 2022) was computed elsewhere" in joined.methods_text()
    assert tables[0].equals(tables[1])
    means = dict(zip(tables[0]["method"], tables[0]["mean"], strict=True))
    assert means == pytest.approx({"nearest": 1.15, "bicubic": 0.15})
    assert dict(zip(tables[0]["method"], tables[0]["rank"], strict=True))["bicubic"] == 1


def test_a_direction_that_is_not_known_can_be_said(results: sreval.Results, tmp_path: Path) -> None:
    file = written(tmp_path, "method,image,q", *(f"{m},{i},{v}" for (m, i), v in NUMBERS.items()))
    for given, rank in (({}, 0), ({"lower_is_better": "q"}, 2), ({"higher_is_better": ["q"]}, 1)):
        frame = results.with_scores(file, **given).table().frame
        own = frame[frame["metric"] == "q"]
        assert dict(zip(own["method"], own["rank"], strict=True))["nearest"] == rank


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["method,image,metric,value", "bicubik,0,q,1"], "Did you mean 'bicubic'"),
        (["method,image,metric,value", "bicubic,9,q,1"], "line 2: bicubic has no image '9' of set"),
        (
            ["method,dataset,image,metric,value", "bicubic,Set5,0,q,1"],
            "line 2: these results have no data set 'Set5'",
        ),
        (["method,image,metric,value", "bicubic,0,q,one"], "line 2: q is 'one', not a number"),
        (["method,image,metric,value", "bicubic,0,psnr,1"], "'psnr', a name that is taken"),
        (["method,image,metric,value", "bicubic,0,Psnr,1"], "'Psnr', a name that is taken"),
        (["method,image,metric,value", "bicubic,0,SSIM,1"], "'SSIM', a name that is taken"),
        (
            ["method,image,metric,value", "bicubic,0,q,1", "bicubic,0.png,q,1"],
            "a second value of q for the same image",
        ),
        (["method,metric,value", "bicubic,q,1"], "no column image"),
        (["method,image,metric,value"], "holds no scores"),
    ],
)
def test_what_the_results_do_not_have_is_named(
    results: sreval.Results, tmp_path: Path, lines: list[str], told: str
) -> None:
    with pytest.raises(SrevalError, match=told):
        results.with_scores(written(tmp_path, *lines))


def test_a_direction_of_a_metric_that_is_not_there_is_refused(
    results: sreval.Results, tmp_path: Path
) -> None:
    file = written(tmp_path, "method,image,q", "bicubic,0,1")
    for name, told in (("p", "Unknown metric of"), ("Q", "Did you mean 'q'")):
        with pytest.raises(SrevalError, match=told):
            results.with_scores(file, lower_is_better=name)
