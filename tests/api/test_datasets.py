"""Data sets from Python: what is known, whether it is whole, its LR images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import sreval as library
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]


def test_the_data_sets_are_those_that_the_command_lists(sreval: Run) -> None:
    listed = json.loads(sreval("data", "list", "--json").out)
    assert library.datasets().to_dict("records") == listed


def test_a_set_without_an_address_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean 'Set5'"):
        library.fetch("Sett5", to=tmp_path)
    with pytest.raises(library.SrevalError, match="Set5 has no scale 7"):
        library.fetch("set5", scales=7, to=tmp_path)
    with pytest.raises(library.SrevalError, match="could not be fetched"):
        library.fetch("set5", to=tmp_path, mirror="http://127.0.0.1:9", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_downscaled_as_an_array_is_and_checked(
    photograph: UInt8, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hr, lr = tmp_path / "hr", tmp_path / "lr"
    hr.mkdir()
    Image.fromarray(photograph).save(hr / "cat.png")
    (hr / "bad.png").touch()
    made = library.Dataset(hr, 2).downscale(lr, degrade="bicubic:border=symmetric", progress=False)
    assert (made.folder, made.written, list(made.failed)) == (lr, 1, ["bad.png"])
    low = np.asarray(Image.open(lr / "cat.png"))
    assert np.array_equal(low, library.downscale(photograph, 2, border="symmetric"))
    (hr / "bad.png").unlink()
    found = library.Dataset(f"hr={hr},lr={lr}", 2).check(progress=False)
    assert (found.images, found.problems) == (1, ())
    assert "1 LR MATLAB bicubic, symmetric border" in str(found)
    assert capsys.readouterr().err == ""


def test_lr_images_alone_are_checked_and_not_downscaled(
    tmp_path: Path, photograph: UInt8, sreval: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "snaps" / "a.png", photograph)
    found = library.Dataset("lr=snaps").check(progress=False)
    assert str(found) == "snaps: 1 images, 1 LR without an original"
    refused = sreval("data", "downscale", "lr=snaps", "out")
    assert refused.code == 2
    assert "lr=snaps is no folder of originals. Name the folder of the HR images" in refused.err
    assert not Path("out").exists()
