"""A small frozen study: photographs, calibration, a repeat, sittings, breaks and questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval.images.io import write_png
from sreval.study.design import load_design
from sreval.study.freeze import freeze

UInt8 = npt.NDArray[np.uint8]
QUALITIES = {("", "nearest"): 1.3, ("", "bicubic"): 2.6, ("", "hr"): 4.4}
DESIGN = """
name = "small"
title = "Small"
instructions = "Rate."
raters = 3
seed = 5
[images]
methods = ["nearest", "bicubic", "hr"]
datasets = [{ name = "photos" }]
[calibration]
dataset = "photos"
images = 1
anchors = [{ method = "nearest", score = 1 }, { method = "hr", score = 5 }]
[[repeats]]
dataset = "photos"
method = "hr"
images = 1
distance = 2
[order]
scene_distance = 1
[sittings]
items = 8
break_every = 5
break_seconds = 60
rest_minutes = 30
[consent]
version = "1"
text = "Yes"
[[questions]]
key = "sight"
text = "Sight?"
options = ["poor", "good"]
screens_out = ["poor"]
[[questions]]
key = "age"
text = "Age?"
kind = "number"
low = 18
high = 99
[[questions]]
key = "remarks"
text = "Remarks?"
when = "after"
kind = "text"
required = false
[outcomes]
complete = "DONE-1"
"""
ITEMS = 3 * 3 + 2 + 1


@pytest.fixture
def frozen_study(tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A frozen study of three small photographs, with sittings and breaks."""
    for shift, name in enumerate(("ant", "bee", "cow")):
        write_png(tmp_path / "photos" / f"{name}.png", np.roll(photograph, 31 * shift, axis=1))
    folder = tmp_path / "studies" / "small"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(DESIGN)
    monkeypatch.chdir(tmp_path)
    freeze(folder, load_design(folder), [])
    return folder
