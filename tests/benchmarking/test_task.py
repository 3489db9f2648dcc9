"""How an image's work is shared out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval.benchmarking.metrics import from_anywhere
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.task import Asked, Task, each_method, each_slow_method
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]


def test_methods_that_take_long_are_apart_and_the_others_together(
    tmp_path: Path, photograph: UInt8
) -> None:
    write_png(tmp_path / "set" / "0.png", photograph[:32, :32])
    methods = ["nearest", "slow=python:os.path:join", "bicubic", "other=python:os.path:split"]
    resolved = Resolved.of(
        BenchmarkPlan(methods=methods, datasets=[str(tmp_path / "set")], device="cpu")
    )
    task = Task(0, 0, tuple(map(Asked, range(4))), ("a", "b"))

    def shared_out(task: Task) -> list[list[int]]:
        parts = each_slow_method(task, resolved)
        assert all(replace(part, asked=()) == replace(task, asked=()) for part in parts)
        return [[asked.method for asked in part.asked] for part in parts]

    assert shared_out(task) == [[0, 2], [1], [3]]
    assert shared_out(replace(task, asked=task.asked[1:2])) == [[1]]
    scored = Asked(1, ("a", "b"), "", "hash", frozenset({("matlab", "psnr")}))
    assert shared_out(replace(task, asked=(scored, task.asked[3]))) == [[1], [3]]
    assert shared_out(replace(task, asked=(task.asked[0], scored))) == [[0, 1]]
    assert [part.asked for part in each_method(task)] == [(asked,) for asked in task.asked]


def test_the_path_of_a_metrics_weights_is_absolute_for_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = from_anywhere("m=python:module:f,low=0,weights=a,b.pt,better=lower")
    assert here == f"m=python:module:f,low=0,weights={tmp_path / 'a,b.pt'},better=lower"
    assert from_anywhere(here) == here
    for text in ("psnr", "python:module:f,low=0", "p=pyiqa:niqe"):
        assert from_anywhere(text) == text
