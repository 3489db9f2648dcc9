"""Bad input through the real command line: one clear sentence, the right code, nothing lost."""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tifffile
from PIL import Image

from sreval.benchmarking.results import FORMAT, JOURNAL, MANIFEST, RESULTS, ResultsFolder
from sreval.images import _daala
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3


class Ran(Protocol):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Sreval = Callable[..., Ran]


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """A folder of two good images, 96x120."""
    folder = tmp_path / "photos"
    write_png(folder / "cat.png", photograph)
    write_png(folder / "tac.png", np.ascontiguousarray(photograph[:, ::-1]))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


def benchmark(
    sreval: Sreval, dataset: object, out: Path, *more: object, method: str = "nearest"
) -> Ran:
    arguments = ("--method", method, "--dataset", dataset, "--protocol", "matlab", "--out", out)
    return sreval("benchmark", *map(str, (*arguments, *more)))


def sentence(ran: Ran) -> str:
    """The one line on stderr that says what is wrong; after it there is none, and no traceback.

    Before it a benchmark may have said what it comes to.
    """
    lines = [line for line in ran.err.strip().splitlines() if " to make" not in line]
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in ran.err
    assert "should not" not in ran.err
    return lines[0].removeprefix("Error: ")


def failures(ran: Ran) -> list[str]:
    assert "Traceback" not in ran.err
    return [line for line in ran.err.splitlines() if line.startswith("failed: ")]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# One bad file among good ones: it is named, the others are scored, the exit code is 3.


def _save(path: Path, image: Image.Image, kind: str, **options: Any) -> None:
    with path.open("wb") as handle:
        image.save(handle, kind, **options)


def _truncate(path: Path, photo: Image.Image) -> None:
    photo.save(path)
    path.write_bytes(path.read_bytes()[:2000])


BAD_FILES: dict[str, tuple[str, Callable[[Path, Image.Image], object], str]] = {
    "truncated": ("bad.png", _truncate, "is damaged or truncated"),
    "truncated TIFF": ("bad.tif", _truncate, "is damaged or truncated"),
    "empty": ("bad.png", lambda path, _: path.touch(), "is empty. Replace it."),
    "not an image": (
        "bad.png",
        lambda path, _: path.write_text("<html>"),
        "is not an image. Remove it or replace it.",
    ),
    "mislabelled": (
        "bad.jpg",
        lambda path, photo: _save(path, photo, "PNG"),
        "is named as JPEG but holds PNG. Rename it",
    ),
    "CMYK": (
        "bad.jpg",
        lambda path, photo: photo.convert("CMYK").save(path),
        "is a CMYK image. Convert it to RGB",
    ),
    "1-bit": (
        "bad.png",
        lambda path, photo: photo.convert("1").save(path),
        "is a two-level (1-bit) image. Convert it",
    ),
    "float": (
        "bad.tif",
        lambda path, photo: tifffile.imwrite(path, np.asarray(photo.convert("L"), np.float32)),
        "is a 32-bit float image. Convert it",
    ),
    "animated": (
        "bad.png",
        lambda path, photo: photo.save(path, save_all=True, append_images=[photo.rotate(180)]),
        "holds 2 frames. Save the one that you want.",
    ),
    "a dangling link": (
        "bad.png",
        lambda path, _: path.symlink_to("nowhere.png"),
        "No such file or directory. Check the path.",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_one_bad_file_is_named_and_the_others_are_scored(
    sreval: Sreval, photos: Path, out: Path, photograph: UInt8, kind: str
) -> None:
    name, write, reason = BAD_FILES[kind]
    write(photos / name, Image.fromarray(photograph))
    ran = benchmark(sreval, photos, out)
    assert ran.code == PARTIAL
    [failed] = failures(ran)
    assert failed.startswith("failed: photos/bad, nearest: ")
    assert str(photos / name) in failed
    assert reason in failed
    assert "2 images computed, 0 taken over, 1 failed." in ran.err
    frame = ResultsFolder(out).frame()
    assert sorted(frame["image"].unique()) == ["cat", "tac"]
    assert frame["value"].notna().all()


def test_a_decompression_bomb_is_not_unpacked(
    sreval: Sreval, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(photos / "bomb.png", np.zeros((200, 200), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 120)
    ran = benchmark(sreval, photos, out)
    assert ran.code == PARTIAL
    [failed] = failures(ran)
    assert "bomb.png holds more than 11520 pixels. Cut it into smaller images first." in failed


def test_the_bad_image_stands_in_the_manifest_and_in_the_json(
    sreval: Sreval, photos: Path, out: Path
) -> None:
    (photos / "bad.png").touch()
    ran = benchmark(sreval, photos, out, "--json")
    assert ran.code == PARTIAL
    [failure] = json.loads(ran.out)["failures"]
    assert (failure["dataset"], failure["image"], failure["method"]) == ("photos", "bad", "nearest")
    assert "is empty" in failure["reason"]
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["runs"][-1]["failures"] == [failure]


def test_when_every_image_fails_the_run_has_failed(
    sreval: Sreval, tmp_path: Path, out: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.png").touch()
    ran = benchmark(sreval, folder, out)
    assert ran.code == FAILED
    assert "0 images computed, 0 taken over, 1 failed." in ran.err
    later = sreval("table", out)
    assert later.code == FAILED
    assert "holds no scores: " in sentence(later)
    assert "a.png is empty. Leave that folder out, or run" in sentence(later)


def test_a_bad_file_costs_nothing_that_an_earlier_run_computed(
    sreval: Sreval, photos: Path, out: Path
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    before = ResultsFolder(out).frame()
    (photos / "bad.png").write_text("later")
    assert benchmark(sreval, photos, out).code == PARTIAL
    pd.testing.assert_frame_equal(ResultsFolder(out).frame(), before)


# Sizes


@pytest.mark.parametrize(
    ("rows", "columns", "remedy"),
    [
        (
            92,
            120,
            "The HR image is too small. Use the whole HR image, or an LR image made from this one, "
            "or run it with the scale of its LR images.",
        ),
        (96, 119, "The HR image is too small"),
        (100, 120, "Crop HR to 120x96, or run it with the scale of its LR images."),
        (96, 240, "Crop HR to 120x96"),
        (
            61,
            76,
            "The HR image is too small. Use the whole HR image, or an LR image made from this one, "
            "or run it with the scale of its LR images, such as 2.5.",
        ),
        (192, 240, "Crop HR to 120x96, or run it with the scale of its LR images, such as 8."),
    ],
)
def test_a_pair_of_sizes_that_do_not_belong_together_is_refused_by_name(
    sreval: Sreval,
    tmp_path: Path,
    out: Path,
    photograph: UInt8,
    rows: int,
    columns: int,
    remedy: str,
) -> None:
    hr, lr = tmp_path / "HR", tmp_path / "LR"
    large = np.tile(photograph, (2, 2, 1))
    write_png(hr / "good.png", photograph)
    write_png(hr / "size.png", np.ascontiguousarray(large[:rows, :columns]))
    for name in ("good", "size"):
        write_png(lr / f"{name}.png", np.ascontiguousarray(photograph[::4, ::4]))
    ran = benchmark(sreval, f"hr={hr},lr={lr}", out)
    assert ran.code == PARTIAL
    [failed] = failures(ran)
    assert (
        f"{lr / 'size.png'} is 30x24 pixels, 4 times that is 120x96; {hr / 'size.png'} is "
        f"{columns}x{rows}. {remedy}"
    ) in failed
    checked = sreval("data", "check", f"hr={hr},lr={lr}")
    assert checked.code == FAILED
    assert remedy in checked.out
    if "Crop" in remedy:
        write_png(hr / "size.png", np.ascontiguousarray(large[:96, :120]))
        assert benchmark(sreval, f"hr={hr},lr={lr}", out).code == OK


@pytest.mark.parametrize("protocol", ["ledig2017", "matlab", "rgb"])
@pytest.mark.parametrize("grey", ["HR", "LR", "SR"])
def test_grey_among_colour_is_scored_as_its_rgb_copy(
    sreval: Sreval, tmp_path: Path, out: Path, photograph: UInt8, grey: str, protocol: str
) -> None:
    plane = np.ascontiguousarray(photograph[..., 1])
    copy = np.stack([plane] * 3, axis=-1)
    other = photograph if grey == "HR" else copy
    images = {"HR": copy, "LR": np.ascontiguousarray(other[::4, ::4]), "SR": other}
    found = []
    for place in ("copies", "grey"):
        for kind, image in images.items():
            one = image[..., 1] if place == "grey" and kind == grey else image
            write_png(tmp_path / place / kind / "cat.png", np.ascontiguousarray(one))
        folder, results = tmp_path / place, out / place
        method = f"published:{folder / 'SR'}" if grey != "LR" else "nearest"
        data = f"hr={folder / 'HR'},lr={folder / 'LR'},name=set"
        ran = benchmark(sreval, data, results, "--protocol", protocol, method=method)
        assert ran.code == OK
        found.append(ResultsFolder(results).frame()[["protocol", "metric", "value"]])
    pd.testing.assert_frame_equal(found[0], found[1])


def test_a_table_of_grey_and_colour_under_matlab_says_so(
    sreval: Sreval, tmp_path: Path, out: Path, photograph: UInt8
) -> None:
    write_png(tmp_path / "hr" / "cat.png", np.ascontiguousarray(photograph[..., 1]))
    write_png(tmp_path / "sr" / "cat.png", photograph)
    method = f"published:{tmp_path / 'sr'}"
    ran = benchmark(sreval, tmp_path / "hr", out, "--method", "bicubic", method=method)
    assert "Grey is repeated to RGB" in ran.out
    assert ": hr 1 of 1 images (cat) under sr." in ran.out


def test_sizes_that_the_scale_does_not_divide_are_cropped_and_kept(
    sreval: Sreval, tmp_path: Path, out: Path, photograph: UInt8
) -> None:
    odd = np.ascontiguousarray(photograph[:94, :117])
    write_png(tmp_path / "odd" / "a.png", odd)
    assert benchmark(sreval, tmp_path / "odd", out).code == OK
    kept = np.asarray(Image.open(out / "inputs" / "odd_x4" / "HR" / "a.png"))
    np.testing.assert_array_equal(kept, odd[:92, :116])
    assert sreval("table", out).out.count("HR is cropped to what its LR image covers") == 1

    ran = sreval("data", "downscale", tmp_path / "odd", tmp_path / "low")
    assert ran.code == FAILED
    assert "a.png: 117x94 pixels can't be divided by 4. Add --crop, or crop it yourself." in ran.err
    assert sreval("data", "downscale", "--crop", tmp_path / "odd", tmp_path / "low").code == OK


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_hr_is_cropped_to_its_lr_as_it_is_without_one(
    sreval: Sreval, tmp_path: Path, out: Path, photograph: UInt8, scale: int
) -> None:
    hr, lr = tmp_path / "HR", tmp_path / "LR"
    for over in range(scale):
        odd = photograph[: 12 * scale + over, : 16 * scale + scale - 1 - over]
        write_png(hr / f"{over}.png", np.ascontiguousarray(odd))
    assert sreval("data", "downscale", hr, lr, "--crop", "--scale", str(scale)).code == OK
    frames: list[pd.DataFrame] = []
    for data in (f"hr={hr},lr={lr}", str(hr)):
        results = out / str(len(frames))
        assert benchmark(sreval, data, results, "--scale", str(scale)).code == OK
        frame = ResultsFolder(results).frame()
        frames.append(frame[["image", "metric", "value", "note", "hr_sha256", "lr_sha256"]])
        table = sreval("table", results).out
        named = ", ".join(map(str, range(scale)))
        note = f"HR is cropped to what its LR image covers: HR {scale} of {scale} images ({named})."
        assert table.count(note) == 1
    pd.testing.assert_frame_equal(frames[0], frames[1])
    assert sreval("data", "check", f"hr={hr},lr={lr}", "--scale", str(scale)).code == OK


def test_images_smaller_than_window_crop_or_scale_say_so(
    sreval: Sreval, photos: Path, out: Path, photograph: UInt8
) -> None:
    for side in (3, 8, 16):
        write_png(photos / f"side{side}.png", np.ascontiguousarray(photograph[:side, :side]))
    ran = benchmark(sreval, photos, out)
    assert ran.code == PARTIAL
    [failed] = failures(ran)
    assert (
        "side3.png is 3x3 pixels, smaller than one LR pixel. Use images of at least 4x4" in failed
    )
    rows = {
        (row["image"], row["metric"]): row for row in ResultsFolder(out).frame().to_dict("records")
    }
    assert (
        rows["side8", "psnr"]["note"] == "8x8 pixels leave nothing after a crop of 4 on each side."
    )
    assert rows["side16", "ssim"]["note"] == "8x8 pixels are smaller than SSIM's window of 11x11."
    assert rows["side16", "psnr"]["value"] > 0
    assert "1 value under matlab is missing: 8x8 pixels are smaller than SSIM's" in ran.err
    assert benchmark(sreval, photos, out).code == PARTIAL


def test_the_exit_code_is_about_what_this_run_was_asked(
    sreval: Sreval, tmp_path: Path, out: Path, photograph: UInt8
) -> None:
    write_png(tmp_path / "small" / "a.png", np.ascontiguousarray(photograph[:16, :16]))
    assert benchmark(sreval, tmp_path / "small", out).code == PARTIAL
    assert benchmark(sreval, tmp_path / "small", out, "--metric", "psnr").code == OK


def test_an_image_too_large_for_the_dither_is_scored_under_the_others(
    sreval: Sreval, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, photograph: UInt8
) -> None:
    write_png(photos / "large.png", np.tile(photograph, (2, 2, 1)))
    monkeypatch.setattr(_daala, "MAX_BLOCKS", 48 * 60)
    ran = benchmark(sreval, photos, out, "--protocol", "ledig2017")
    assert ran.code == PARTIAL
    assert (
        "2 values under ledig2017 are missing: 232x184 pixels are too many: the dither" in ran.err
    )
    large = ResultsFolder(out).frame().query("image == 'large'")
    assert large[large["protocol"] == "matlab"]["value"].notna().all()
    unscored = large[large["protocol"] == "ledig2017"]
    assert unscored["value"].isna().all()
    assert unscored["note"].str.contains("dither table of daala").all()


def test_odd_sides_just_below_the_dithers_end_are_no_surprise(
    sreval: Sreval, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, photograph: UInt8
) -> None:
    lr = tmp_path / "LR"
    write_png(tmp_path / "HR" / "a.png", np.ascontiguousarray(photograph[:27, :27]))
    write_png(lr / "a.png", np.ascontiguousarray(photograph[:9, :9]))
    monkeypatch.setattr(_daala, "MAX_BLOCKS", 9 * 10)
    ran = benchmark(
        sreval, f"hr={tmp_path / 'HR'},lr={lr}", out, "--protocol", "ledig2017", "--scale", "3"
    )
    assert ran.code == PARTIAL
    assert "19x19 pixels are too many" in ran.err


# A user's own function


FUNCTIONS = """
import sys
import numpy as np

def nan(lr, scale):
    return np.full((lr.shape[0] * scale, lr.shape[1] * scale, 3), np.nan)

def small(lr):
    return lr

def integers(lr, scale):
    return lr.repeat(scale, 0).repeat(scale, 1).astype(np.int64)

def raises(lr):
    raise RuntimeError("out of memory")

def leaves(lr):
    sys.exit("done")

class Network:
    def __call__(self, lr, scale):
        return lr.repeat(scale, 0).repeat(scale, 1)

network = Network()
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of bad functions in the current folder."""
    (tmp_path / "bad_functions.py").write_text(FUNCTIONS)
    (tmp_path / "bad_script.py").write_text("import sys\nsys.exit('usage: bad_script FILE')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "bad_functions", raising=False)


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nan", "returned NaN or infinite values for photos/cat. Fix the function"),
        ("small", "returned shape (24, 30, 3) for photos/cat, not (96, 120, 3). Return"),
        (
            "integers",
            "returned int64 of 1..197 for photos/cat, whose LR image holds 1..197. Return",
        ),
        ("raises", "failed on photos/cat: RuntimeError: out of memory. Fix the function"),
        ("leaves", "failed on photos/cat: SystemExit: done. Fix the function"),
    ],
)
def test_what_a_function_does_wrong_is_said(
    sreval: Sreval, photos: Path, out: Path, name: str, reason: str
) -> None:
    ran = benchmark(
        sreval, photos, out, "--method", "bicubic", method=f"python:bad_functions:{name}"
    )
    assert ran.code == PARTIAL
    assert f"failed: photos/cat, {name}: bad_functions:{name} {reason}" in ran.err
    assert set(ResultsFolder(out).frame()["method"]) == {"bicubic"}


@pytest.mark.usefixtures("functions")
def test_a_network_object_will_do_as_a_function(sreval: Sreval, photos: Path, out: Path) -> None:
    assert benchmark(sreval, photos, out, method="python:bad_functions:network").code == OK
    first = ResultsFolder(out).frame()
    assert first["method_sha256"].str.len().eq(64).all()


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("python:bad_functions", "python:bad_functions names a module alone. Write python:"),
        ("python:bad_functions:nane", "bad_functions has no 'nane'. Check the name."),
        ("python:no_such_module:up", "Can't import no_such_module: ModuleNotFoundError"),
        ("python:bad_script:up", "Can't import bad_script: SystemExit: usage: bad_script FILE."),
    ],
)
def test_a_function_that_is_not_there(
    sreval: Sreval, photos: Path, out: Path, spec: str, message: str
) -> None:
    ran = benchmark(sreval, photos, out, method=spec)
    assert ran.code == USAGE
    assert sentence(ran).startswith(message)
    assert not out.exists()


# Names nobody knows


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--method", "bicubc", "Unknown method 'bicubc'. Did you mean 'bicubic'?"),
        ("--method", "=bicubic", "'=bicubic' gives the method an empty name."),
        ("--method", "..=bicubic", "No method can be called '..'. Give it a plain name."),
        ("--method", "published:nowhere", "No such folder: nowhere. Check the path"),
        ("--dataset", "Set55", "Unknown data set 'Set55'. Did you mean 'Set5'?"),
        ("--dataset", "no/such/folder", "No such folder or file: no/such/folder."),
        ("--dataset", "set.toml", "Can't read set.toml: No such file or directory."),
        ("--dataset", "hr=a,low=b", "Can't read the data set 'hr=a,low=b': 'low' isn't one of"),
        ("--dataset", "BSDS300-train", "BSDS300-train is a collection of photographs"),
        ("--protocol", "matlb", "Unknown protocol 'matlb'. Did you mean 'matlab'?"),
        ("--metric", "pnsr", "Unknown metric 'pnsr'. Did you mean 'psnr'?"),
        (
            "--scale",
            "1",
            "1 isn't a valid scale. A scale is a number above 1 and up to 16, such as 4 or",
        ),
        ("--workers", "0", "the command line: workers = 0: it must be 1 or more."),
        ("--device", "gpu9", "No device 'gpu9' ("),
        ("--device", "meta", "No device 'meta' ("),
    ],
)
def test_a_wrong_option_suggests_what_was_meant(
    sreval: Sreval,
    photos: Path,
    out: Path,
    option: str,
    name: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos.parent)
    ran = benchmark(sreval, photos, out, option, name)
    assert ran.code == (FAILED if name == "published:nowhere" else USAGE)
    assert sentence(ran).startswith(message)
    assert not out.exists()


@pytest.mark.parametrize("given", ["published:{}", "{}", "lr={}", "hr={},lr={}"])
def test_a_file_in_place_of_a_folder_is_called_a_file(
    sreval: Sreval, photos: Path, out: Path, given: str
) -> None:
    file = photos / "cat.png"
    option = "--method" if given.startswith("published") else "--dataset"
    ran = benchmark(sreval, photos, out, option, given.replace("{}", str(file)))
    assert ran.code in (FAILED, USAGE)
    assert sentence(ran) == f"{file} is a file, not a folder. Name its folder: {photos}."


def test_scores_alone_say_what_they_are_added_to(sreval: Sreval, tmp_path: Path) -> None:
    for command in (["table"], ["figure", "scores"]):
        ran = sreval(*command, "--scores", str(tmp_path / "el.csv"))
        assert ran.code == USAGE
        assert sentence(ran).startswith("--scores adds to results, and no folder of any is named")


def test_a_pair_cannot_be_named_out_of_its_folder(sreval: Sreval, photos: Path, out: Path) -> None:
    ran = benchmark(sreval, f"hr={photos},name=../../elsewhere", out)
    assert ran.code == USAGE
    assert sentence(ran) == "No data set can be called '../../elsewhere'. Give it a plain name."


def test_two_things_of_one_name_are_refused(
    sreval: Sreval, photos: Path, out: Path, tmp_path: Path, photograph: UInt8
) -> None:
    write_png(tmp_path / "b" / "photos" / "a.png", photograph)
    ran = benchmark(sreval, photos, out, "--dataset", tmp_path / "b" / "photos")
    assert ran.code == USAGE
    assert sentence(ran) == "Two data sets are called 'photos'. Rename one."
    ran = benchmark(sreval, photos, out, "--method", "nearest=bicubic")
    assert sentence(ran) == "Two methods are called 'nearest'. Write NAME=METHOD."


def test_a_public_set_that_is_not_at_hand_says_how_to_get_it(
    sreval: Sreval, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    ran = benchmark(sreval, "Set5", out)
    assert ran.code == FAILED
    assert sentence(ran).startswith("Set5 at scale 4 is not in ")
    assert "Run `sreval data fetch Set5`, or set SREVAL_DATA" in ran.err


def test_lpips_without_weights_says_where_they_go(
    sreval: Sreval, photos: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SREVAL_WEIGHTS", "XDG_DATA_HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "empty"))
    ran = benchmark(sreval, photos, out, "--metric", "lpips")
    assert ran.code == FAILED
    assert sentence(ran).startswith(
        "The weights of LPIPS's alexnet trunk are not on this machine: none of"
    )
    assert "Run `sreval data fetch lpips-alex` once, or leave the metric out." in ran.err
    assert not out.exists()


# Folders


def test_a_folder_without_images_is_refused_before_any_work(
    sreval: Sreval, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").touch()
    (tmp_path / "letters" / "folder.png").mkdir()
    ran = benchmark(sreval, tmp_path / "letters", out)
    assert ran.code == FAILED
    assert "letters holds no images. Known kinds: .bmp, .jpeg" in sentence(ran)
    assert not out.exists()


def test_duplicate_stems_are_refused_with_both_names(
    sreval: Sreval, photos: Path, out: Path, photograph: UInt8
) -> None:
    Image.fromarray(photograph).save(photos / "cat.bmp")
    ran = benchmark(sreval, photos, out)
    assert ran.code == FAILED
    assert "holds cat.bmp and cat.png: two images with one name. Rename or remove one." in sentence(
        ran
    )


def test_an_lr_folder_that_lacks_an_image_names_it(
    sreval: Sreval, photos: Path, out: Path, tmp_path: Path, photograph: UInt8
) -> None:
    write_png(tmp_path / "LR" / "cat.png", np.ascontiguousarray(photograph[::4, ::4]))
    ran = benchmark(sreval, f"hr={photos},lr={tmp_path / 'LR'}", out)
    assert ran.code == FAILED
    assert "LR has no low-resolution image of tac.png. It would be named tac or" in sentence(ran)


def test_published_images_that_are_ambiguous_missing_or_of_another_size(
    sreval: Sreval, photos: Path, out: Path, tmp_path: Path, photograph: UInt8
) -> None:
    made = tmp_path / "made"
    write_png(made / "cat_x4.png", photograph)
    write_png(made / "my_cat.png", photograph)
    ran = benchmark(sreval, photos, out, method=f"published:{made}")
    assert ran.code == FAILED
    assert "cat_x4.png and my_cat.png both match photos/cat" in sentence(ran)
    assert f"Name each file after its image, or write {made / 'pairs.csv'} with the line" in ran.err

    (made / "my_cat.png").unlink()
    ran = benchmark(sreval, photos, out, method=f"published:{made}")
    assert ran.code == PARTIAL
    assert failures(ran) == [
        f"failed: photos/tac, made: No file of {made} matches photos/tac. Name it tac, or "
        "add it to pairs.csv there."
    ]

    write_png(made / "tac.png", np.ascontiguousarray(photograph[:-1]))
    ran = benchmark(sreval, photos, out, method=f"published:{made}")
    assert ran.code == PARTIAL
    [failed] = failures(ran)
    assert "tac.png is 120x95 pixels; photos/tac needs 120x96 at scale 4." in failed

    (made / "tac.png").unlink()
    (made / "tac.png").symlink_to("gone.png")
    ran = benchmark(sreval, photos, out, method=f"published:{made}")
    assert ran.code == PARTIAL
    [failed] = failures(ran)
    assert "tac.png: No such file or directory. Check the path." in failed
    assert "1 taken over" in ran.err


def test_downscaling_never_overwrites_the_images_themselves(sreval: Sreval, photos: Path) -> None:
    before = files(photos)
    ran = sreval("data", "downscale", photos, photos.parent / "elsewhere" / ".." / "photos")
    assert ran.code == USAGE
    assert "holds the images themselves; they would be overwritten. Name another" in sentence(ran)
    assert files(photos) == before


def test_downscaling_goes_on_after_a_bad_image(sreval: Sreval, photos: Path, out: Path) -> None:
    (photos / "bad.png").touch()
    ran = sreval("data", "downscale", photos, out)
    assert ran.code == PARTIAL
    assert "2 images written, 1 failed." in ran.err
    made = sorted(path.name for path in out.iterdir())
    assert made == ["cat.png", "degradation.json", "tac.png"]
    assert sreval("data", "check", photos).code == FAILED


# Plan files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'method = ["nearest"]\ndatasets = ["demo"]',
            ", line 1: unknown key 'method'. Did you mean 'methods'?",
        ),
        (
            'methods = ["nearest"]\ndatasets = ["demo"]\ncrop = 4',
            ", line 3: unknown key 'crop'. Known: ",
        ),
        ('methods = ["nearest"]', "'datasets' is missing. Add it."),
        ('methods = []\ndatasets = ["demo"]', ", line 1: methods = []: it must hold 1 or more"),
        (
            'methods = "nearest"\ndatasets = ["demo"]',
            ", line 1: methods = 'nearest': it must be a list",
        ),
        ('methods = ["nearest"', "is not TOML: "),
    ],
)
def test_a_plan_that_is_wrong_says_where(
    sreval: Sreval, tmp_path: Path, out: Path, text: str, message: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    ran = sreval("benchmark", "--plan", plan, "--out", out)
    assert ran.code == USAGE
    assert sentence(ran).startswith(str(plan))
    assert message in ran.err
    assert not out.exists()


def test_a_plan_that_is_absent_or_needs_an_option(
    sreval: Sreval, tmp_path: Path, photos: Path, out: Path
) -> None:
    ran = sreval("benchmark", "--plan", tmp_path / "gone.toml", "--out", out)
    assert ran.code == USAGE
    assert "gone.toml: No such file or directory. Check the path." in sentence(ran)
    ran = sreval("benchmark", "--dataset", photos, "--out", out)
    assert sentence(ran) == "No --method is given. Add --method NAME, or a --plan file."
    ran = sreval("benchmark", "--method", "nearest", "--dataset", photos)
    assert ran.code == USAGE
    assert sentence(ran) == "No results folder is given. Add --out FOLDER."


# Output folders that can't be written


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_an_output_that_is_no_folder(
    sreval: Sreval, photos: Path, tmp_path: Path, place: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("precious")
    ran = benchmark(sreval, photos, taken if place == "a file" else taken / "results")
    assert ran.code == FAILED
    assert sentence(ran).startswith(f"Can't write {taken}")
    assert "choose another folder" in ran.err
    assert taken.read_text() == "precious"


def test_a_read_only_folder_is_named_and_keeps_its_results(
    sreval: Sreval, photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    before = files(out)
    opened = Path.open

    def read_only(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if set(mode) & set("wax+") and self.is_relative_to(out):
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, mode, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", read_only)
        ran = benchmark(sreval, photos, out, "--metric", "psnr")
    assert ran.code == FAILED
    assert sentence(ran).startswith(f"Can't write {out}: Permission denied.")
    assert files(out) == before
    assert sreval("table", out).code == OK


@contextmanager
def files_of_at_most(limit: int) -> Iterator[None]:
    """Writing a byte more to one file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("method", "limit", "stopped_at"),
    [
        ("bicubic", 10_000, "(cat|tac)\\.png"),
        ("again=nearest", 5_000, JOURNAL),
        ("hr", 60_000, RESULTS),
    ],
)
def test_a_full_disk_stops_the_run_and_loses_nothing(
    sreval: Sreval, photos: Path, out: Path, method: str, limit: int, stopped_at: str
) -> None:
    more = ("--protocol", "rgb", "--protocol", "ledig2017", "--workers", "1")
    twelve = [word for index in range(12) for word in ("--method", f"n{index}=nearest")]
    assert benchmark(sreval, photos, out, *more, *twelve).code == OK
    before = ResultsFolder(out).frame()
    with files_of_at_most(limit):
        full = benchmark(sreval, photos, out, *more, method=method)
    assert full.code == FAILED
    assert sentence(full).startswith(f"Can't write {out}")
    told = rf"{stopped_at}: File too large\. Nothing written before is lost; free"
    assert re.search(told, full.err), full.err
    pd.testing.assert_frame_equal(ResultsFolder(out).frame(), before)
    assert not list(out.rglob("*.part"))

    assert benchmark(sreval, photos, out, *more, method=method).code == OK
    after = ResultsFolder(out).frame()
    name = method.partition("=")[0]
    assert set(after["method"]) == {*before["method"], name}
    pd.testing.assert_frame_equal(
        after[after["method"] != name].reset_index(drop=True), before.reset_index(drop=True)
    )


def test_a_table_never_takes_the_place_of_a_folder(
    sreval: Sreval, photos: Path, out: Path, tmp_path: Path
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    ran = sreval("table", out, "--out", photos)
    assert ran.code == USAGE
    assert sentence(ran) == f"{photos} is a folder. Name a file."
    (tmp_path / "file").touch()
    ran = sreval("table", out, "--out", tmp_path / "file" / "table.md")
    assert ran.code == FAILED
    assert sentence(ran).startswith(f"Can't write {tmp_path / 'file' / 'table.md'}: ")


# Results folders that are not what they should be


def test_results_of_another_version_are_neither_read_nor_overwritten(
    sreval: Sreval, photos: Path, out: Path
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    manifest = json.loads((out / MANIFEST).read_text())
    newer = {**manifest, "format": FORMAT + 1, "version": "9.9"}
    (out / MANIFEST).write_text(json.dumps(newer))
    before = files(out)
    for ran in (sreval("table", out), benchmark(sreval, photos, out, method="bicubic")):
        assert ran.code == FAILED
        assert sentence(ran) == (
            f"{out} was written by sreval 9.9 in format {FORMAT + 1}; this version reads format "
            f"{FORMAT}. Run the benchmark again into a new folder, or use that version."
        )
    assert files(out) == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (MANIFEST, "", "Can't read "),
        (MANIFEST, "[]", "Can't read "),
        (RESULTS, "", "results.csv is damaged"),
        (RESULTS, "method,value\nnearest,1\n", "has other columns than this version"),
        (RESULTS, "\0\1\2", "results.csv"),
    ],
)
def test_a_damaged_results_folder_is_named_and_left_alone(
    sreval: Sreval, photos: Path, out: Path, name: str, content: str, message: str
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    (out / name).write_text(content)
    before = files(out)
    for ran in (sreval("table", out), benchmark(sreval, photos, out)):
        assert ran.code == FAILED
        assert message in sentence(ran)
        assert str(out / name) in ran.err
    assert files(out) == before


def test_a_value_that_is_no_number_is_damage(sreval: Sreval, photos: Path, out: Path) -> None:
    assert benchmark(sreval, photos, out).code == OK
    frame = pd.read_csv(out / RESULTS, dtype=str)
    frame.loc[0, "value"] = "thirty"
    frame.to_csv(out / RESULTS, index=False)
    ran = sreval("table", out)
    assert ran.code == FAILED
    assert "results.csv is damaged (could not convert string to float: 'thirty')" in sentence(ran)


def test_a_folder_that_holds_no_results(sreval: Sreval, photos: Path) -> None:
    ran = sreval("table", photos)
    assert ran.code == FAILED
    advice = "Name the folder that `sreval benchmark` wrote."
    assert sentence(ran) == f"{photos} holds no results.csv. {advice}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metric", "pnsr"), "These results have no metric 'pnsr'. Did you mean 'psnr'?"),
        (("--baseline", "nearst"), "These results have no method 'nearst'. Did you mean"),
        (("--protocol", "matlb"), "These results have no protocol 'matlb'. Did you mean"),
        (("--scale", "2"), "The results hold no scale 2. They hold 4."),
    ],
)
def test_a_table_of_what_was_not_run(
    sreval: Sreval, photos: Path, out: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    ran = sreval("table", out, *arguments)
    assert ran.code == USAGE
    assert sentence(ran).startswith(message)


# Long and odd text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--method", "{0}"),
        ("--method", "a/{0}"),
        ("--method", "published:{0}"),
        ("--method", "python:{0}:f"),
        ("--method", "{0}=bicubic"),
        ("--dataset", "{0}"),
        ("--dataset", "hr={0}"),
        ("--dataset", "hr={photos},name={0}"),
        ("--metric", "{0}"),
        ("--protocol", "{0}"),
        ("--scale", "{0}"),
        ("--{}", "1"),
    ],
)
@pytest.mark.parametrize("long", ["x" * 5000, "a\0b", "y " * 2500])
def test_long_and_odd_names_are_refused_and_shortened(
    sreval: Sreval, photos: Path, out: Path, option: str, value: str, long: str
) -> None:
    ran = benchmark(sreval, photos, out, option.format(long), value.format(long, photos=photos))
    assert ran.code == USAGE
    assert "Error: " in ran.err
    assert "should not" not in ran.err
    assert len(ran.err) < 2200
    assert "\0" not in ran.err


@pytest.mark.parametrize("command", ["study check", "study new", "table", "upscale", "train"])
def test_an_argument_that_no_file_is_called_is_refused(sreval: Sreval, command: str) -> None:
    more = {"upscale": ["--method", "nearest"], "train": ["--data", "."]}.get(command, [])
    ran = sreval(*command.split(), *more, "x" * 5000)
    assert ran.code in (FAILED, USAGE)
    assert "should not" not in ran.err
    assert 0 < len(ran.err) < 1200


@pytest.mark.parametrize(
    "change",
    [
        {"runs": None},
        {"runs": [None]},
        {"runs": [{}]},
        {"methods": {"nearest": [None]}},
        {"methods": {"nearest": [{"specification": 3}]}},
        {"datasets": {"photos_x4": []}},
        {"version": None},
    ],
)
def test_a_manifest_of_wrong_types_is_refused_by_its_field(
    sreval: Sreval, photos: Path, out: Path, change: dict[str, Any]
) -> None:
    assert benchmark(sreval, photos, out).code == OK
    content = json.loads((out / MANIFEST).read_text())
    (out / MANIFEST).write_text(json.dumps(content | change))
    ran = sreval("table", out)
    assert ran.code == FAILED
    assert re.search(rf"Can't read {out / MANIFEST} \({next(iter(change))}", sentence(ran))


def test_a_plan_that_nests_too_deeply_is_refused(sreval: Sreval, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("a = " + "[" * 5000)
    ran = sreval("benchmark", "--plan", tmp_path / "p.toml")
    assert ran.code == USAGE
    assert (
        sentence(ran) == f"{tmp_path / 'p.toml'} is not TOML: it nests too deeply. Fix that line."
    )
