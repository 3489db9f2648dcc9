"""Rows of several folders: equal ones are one, and unlike ones are refused by their folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from sreval.benchmarking.results import COLUMNS, ResultsFolder
from sreval.errors import DataError
from sreval.images.io import write_png
from sreval.report.collect import by_folder, collect, joined, sr_image

UInt8 = npt.NDArray[np.uint8]
KEY = ["dataset", "scale", "method", "image", "protocol", "metric"]


def drawn(random: np.random.Generator) -> pd.DataFrame:
    """Rows of up to three folders, of which now and then one depends on something else."""
    rows = []
    for folder, method, image in product("abc", ("x", "y"), ("1", "2")):
        if random.random() < 0.4:
            continue
        row: dict[str, object] = dict.fromkeys(COLUMNS, "same")
        row |= {"method": method, "image": image, "scale": 4, "folder": folder}
        row["value"] = float("nan") if image == "2" and method == "y" else 1.5
        if random.random() < 0.3:
            row[random.choice(["note", "code", "device"])] = "other"
        if random.random() < 0.05:
            row[random.choice(["sr_sha256", "method_sha256", "scene"])] = "other"
        if random.random() < 0.03:
            row["value"] = 2.5
        rows.append(row)
    return pd.DataFrame(rows, columns=[*COLUMNS, "folder"])


def alike(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two rows are one: all is the same but what has no effect on the value."""
    columns = [column for column in COLUMNS if column not in ("note", "code", "device")]
    return all(
        one[column] == other[column]
        or (one[column] != one[column] and other[column] != other[column])
        for column in columns
    )


@pytest.mark.parametrize("seed", range(100))
def test_equal_rows_are_one_and_unlike_ones_are_refused(seed: int) -> None:
    frame = drawn(np.random.default_rng(seed))
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in frame.to_dict("records"):
        groups.setdefault(tuple(row[column] for column in KEY), []).append(
            {str(k): v for k, v in row.items()}
        )
    if not all(alike(rows[0], row) for rows in groups.values() for row in rows):
        with pytest.raises(DataError, match=r"[abc] and [abc]"):
            joined(frame)
        return
    expected = [
        (key, rows[0]["folder"], tuple(row["folder"] for row in rows[1:]))
        for key, rows in groups.items()
    ]
    made = joined(frame)
    assert [
        (tuple(row[column] for column in KEY), row["folder"], row["also_in"])
        for row in made.to_dict("records")
    ] == expected
    places = by_folder(made)[[*KEY, "folder"]]
    assert sorted(map(tuple, places.to_numpy())) == sorted(
        map(tuple, frame[[*KEY, "folder"]].to_numpy())
    )


def copied(folder: Path, to: Path, **changes: str) -> Path:
    """A results folder once more, with all its rows changed."""
    shutil.copytree(folder, to)
    frame = pd.read_csv(to / "results.csv", dtype=str, keep_default_na=False)
    frame.assign(**changes).to_csv(to / "results.csv", index=False)
    return to


@pytest.mark.parametrize("changes", [{}, {"code": "0.3.0+abc"}, {"device": "cuda"}])
def test_a_folder_twice_is_the_folder(
    demo_run: Path, tmp_path: Path, changes: dict[str, str]
) -> None:
    other = copied(demo_run, tmp_path / "other", **changes)
    notes: list[str] = []
    both, one = collect([demo_run, other], notes.append), collect([demo_run])
    assert notes == []
    assert set(both["also_in"]) == {(str(other),)}
    pd.testing.assert_frame_equal(both.drop(columns="also_in"), one.drop(columns="also_in"))
    sr_image(collect([other, demo_run]).iloc[0])


def test_another_code_with_another_value_is_refused_by_name(demo_run: Path, tmp_path: Path) -> None:
    other = copied(demo_run, tmp_path / "other", code="0.3.0+abc", value="3.5")
    with pytest.raises(DataError, match=f"{demo_run} and {other} have different results of one"):
        collect([demo_run, other])


@pytest.mark.parametrize(
    ("column", "said", "remedy"),
    [
        ("hr_sha256", "astronaut of demo isn't the same image in", "hr=FOLDER,name=NAME"),
        ("method_sha256", "hold different methods called bicubic", "under another name"),
        ("metric_sha256", "by different definitions of it", "older benchmark again"),
        ("sr_sha256", "is of different SR images", "run one benchmark again"),
    ],
)
def test_a_refusal_says_what_differs_and_names_no_column(
    demo_run: Path, tmp_path: Path, column: str, said: str, remedy: str
) -> None:
    other = copied(demo_run, tmp_path / "other")
    folders = [ResultsFolder(one).frame().assign(folder=str(one)) for one in (demo_run, other)]
    frame = pd.concat(folders, ignore_index=True)
    frame = frame[(frame["method"] == "bicubic") & (frame["image"] == "astronaut")]
    frame.loc[frame["folder"] == str(other), column] = "0" * 64
    with pytest.raises(DataError, match=said) as refused:
        joined(frame)
    assert remedy in refused.value.remedy
    assert "sha256" not in str(refused.value)


def test_an_image_that_changed_between_two_scales_is_told(
    tmp_path: Path, photograph: UInt8, sreval: Callable[..., object]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    images = {"ant": photograph[:48, :60], "bee": photograph[:48, :60], "odd": photograph[:47, :59]}
    for name, image in images.items():
        write_png(photos / f"{name}.png", image.copy())

    def benchmark(scale: str) -> list[str]:
        asked = ("--method", "nearest", "--metric", "psnr", "--scale", scale, "--out", out)
        sreval("benchmark", "--dataset", photos, *asked)
        said: list[str] = []
        collect([out], said.append)
        return said

    assert benchmark("2") == []
    write_png(photos / "bee.png", photograph[48:, :60].copy())
    assert benchmark("4") == [
        "HR images of photos changed between the runs at scales 2 and 4: bee. Run the same "
        "benchmarks again."
    ]


def test_folders_that_share_a_method_make_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sreval: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        write_png(tmp_path / f"set/{name}.png", random.integers(0, 255, (48, 60, 3), np.uint8))
    words = ("--dataset", "set", "--metric", "psnr", "--method", "bicubic")

    def run(*more: str) -> None:
        assert sreval("benchmark", *words, *more).code == 0

    run("--method", "nearest", "--out", "a")
    run("--method", "lanczos", "--protocol", "ledig2017", "--protocol", "rgb", "--out", "b")
    run("--method", "nearest", "--method", "lanczos", "--out", "all")
    tables = [sreval("table", *folders) for folders in (("a", "b"), ("b", "a"), ("all",))]
    assert {(one.code, one.out, one.err) for one in tables} == {(0, tables[2].out, "")}
    # what the first folder has already counts as the second's, too
    refused = sreval("table", "a", "b", "--protocol", "rgb")
    assert "a contributes nothing" in refused.err
    run("--method", "nearest", "--scale", "2", "--out", "x2")
    assert "They hold 2 and 4." in sreval("table", "x2", "a", "--scale", "3").err
    both = sreval("table", "x2", "a", "--scale", "4")
    assert both.code == 0
    assert "x2 adds nothing: it holds no scale 4." in both.out
    assert both.err == ""
    drawn = sreval("figure", "scores", "x2", "a", "--scale", "4", "--out", "f.svg")
    assert drawn.err.count("x2 adds nothing: it holds no scale 4.") == 1
