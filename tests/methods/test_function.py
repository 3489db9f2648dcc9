"""A user's own function: what it is given, what it may return, what is said of the rest."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from sreval.benchmarking.results import ResultsFolder
from sreval.errors import ImageError, UsageError
from sreval.images.datasets import Dataset, Item
from sreval.images.io import write_png
from sreval.images.resize import downscale
from sreval.methods import Upscaler, make_upscaler
from sreval.own_code import forget_modules

UInt8 = npt.NDArray[np.uint8]
Make = Callable[..., Upscaler]

ITEM = Item("photos", "cat", "cat", "photos/cat", Path("cat.png"), None)
_numbers = itertools.count()


@pytest.fixture
def low(photograph: UInt8) -> UInt8:
    return downscale(photograph, 4)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """The method of a function ``up``, from the text of its module in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def made(text: str, options: str = "") -> Upscaler:
        name = f"own_{next(_numbers)}"
        head = "import functools\nimport numpy as np\n"
        near = "def near(lr, scale=4):\n    return lr.repeat(scale, 0).repeat(scale, 1)\n"
        (tmp_path / f"{name}.py").write_text(f"{head}{near}{text}\n")
        return make_upscaler(f"python:{name}:up{options}")

    return made


def nearest(lr: UInt8) -> UInt8:
    return lr.repeat(4, 0).repeat(4, 1)


RANGES = {
    "0..1": ("near(lr) / 255", r"float64 of 0\.\d+\.\.0\.\d+"),
    "0..1 in float16": ("(near(lr) / 255).astype(np.float16)", r"float16 of 0\.\d+\.\.0\.\d+"),
    "0..1 and beyond": ("near(lr) / 255 * 1.3 - 0.1", r"float64 of -0\.\d+\.\.\d\.\d+"),
    "-1..1": ("near(lr) / 127.5 - 1", r"float64 of -0\.\d+\.\.0\.\d+"),
    "uint16": ("near(lr).astype(np.uint16) * 257", r"uint16 of \d+\.\.\d+"),
    "floats of 16 bits": ("near(lr) * 257.0", r"float64 of \d+\.\.\d+"),
    "centred": ("near(lr) - 127.5", r"float64 of -\d+\.5\.\.\d+\.5"),
    "int64": ("near(lr).astype(int)", r"int64 of \d+\.\.\d+"),
    "bool": ("near(lr) > 100", r"bool of 0\.\.1"),
}


@pytest.mark.parametrize("kind", RANGES)
def test_another_range_is_refused_with_what_was_seen(make: Make, low: UInt8, kind: str) -> None:
    text, message = RANGES[kind]
    with pytest.raises(ImageError, match=rf"own_\d+:up returned {message} for photos/cat, whose"):
        make(f"def up(lr): return {text}").upscale(low, 4, ITEM)


@pytest.mark.parametrize("kind", ["0..1", "-1..1"])
def test_a_dark_image_does_not_hide_the_range(make: Make, low: UInt8, kind: str) -> None:
    with pytest.raises(ImageError, match=r"whose LR image holds 0\.\.7"):
        make(f"def up(lr): return {RANGES[kind][0]}").upscale(low // 25, 4, ITEM)


@pytest.mark.parametrize("kind", ["0..1", "-1..1", "uint16", "floats of 16 bits", "int64"])
def test_the_line_of_the_message_mends_the_function(make: Make, low: UInt8, kind: str) -> None:
    text, _ = RANGES[kind]
    with pytest.raises(ImageError) as refused:
        make(f"def up(lr): return {text}").upscale(low, 4, ITEM)
    line = refused.value.remedy.removeprefix("Return ").partition(", where sr is what")[0]
    mended = make(f"def up(lr):\n    sr = {text}\n    return {line}")
    np.testing.assert_array_equal(mended.upscale(low, 4, ITEM), nearest(low))


@pytest.mark.parametrize(
    "text", ["near(lr) + 0.4", "near(lr).astype(np.float16)", "near(lr) - 0.5 * (near(lr) > 0)"]
)
def test_floats_of_0_to_255_are_rounded_half_to_even(make: Make, low: UInt8, text: str) -> None:
    made = make(f"def up(lr): return {text}").upscale(low, 4, ITEM)
    expected = eval(text, {"np": np, "lr": low, "near": nearest})
    np.testing.assert_array_equal(made, np.rint(expected.astype(np.float64)))


def test_a_black_image_may_stay_black(make: Make, low: UInt8) -> None:
    black = np.zeros_like(low)
    made = make("def up(lr): return near(lr) * 1.0").upscale(black, 4, ITEM)
    assert not made.any()


def test_a_grey_image_comes_as_three_channels(make: Make, low: UInt8) -> None:
    grey = np.ascontiguousarray(low[..., 1])
    repeats = make("def up(lr):\n    h, w, c = lr.shape\n    assert c == 3\n    return near(lr)")
    np.testing.assert_array_equal(repeats.upscale(grey, 4, ITEM), nearest(grey))
    tints = make("def up(lr):\n    return near(lr) // [1, 2, 1]\n")
    with pytest.raises(ImageError, match="int64"):
        tints.upscale(grey, 4, ITEM)
    tints = make("def up(lr):\n    return near(lr) // np.uint8([1, 2, 1])\n")
    expected = nearest(np.stack([grey, grey // 2, grey], axis=-1))
    np.testing.assert_array_equal(tints.upscale(grey, 4, ITEM), expected)


def test_a_function_that_takes_grey_gets_it(make: Make, low: UInt8) -> None:
    grey = np.ascontiguousarray(low[..., 1])
    text = "def up(lr):\n    h, w = lr.shape\n    return near(lr)\n"
    declared = text + "import sreval\nup = sreval.declare(up, colour='grey')"
    for method in (make(text, ",colour=grey"), make(declared)):
        np.testing.assert_array_equal(method.upscale(grey, 4, ITEM), nearest(grey))
        np.testing.assert_array_equal(method.upscale(low, 4, ITEM), nearest(low))


def test_a_function_of_bgr_gets_blue_first(make: Make, low: UInt8) -> None:
    method = make("def up(lr):\n    return near(lr) // np.uint8([2, 1, 1])\n", ",colour=bgr")
    expected = nearest(low) // np.array([1, 1, 2], np.uint8)
    np.testing.assert_array_equal(method.upscale(low, 4, ITEM), expected)


SIGNATURES = {
    "anything by name": "def up(lr, **kwargs):\n    assert not kwargs\n    return near(lr)",
    "anything": "def up(*args, **kwargs):\n    assert not kwargs\n    return near(*args)",
    "scale": "def up(lr, scale):\n    return near(lr, scale)",
    "scale by name alone": "def up(lr, *, scale):\n    return near(lr, scale)",
    "a partial": "up = functools.partial(near, scale=4)",
    "a wrapper of what takes scale": (
        "def inner(lr, scale):\n    return near(lr, scale)\n"
        "@functools.wraps(inner)\ndef up(*args, **kwargs):\n    return inner(*args, **kwargs)"
    ),
    "a wrapper that knows its scale": (
        "def inner(lr, scale):\n    return near(lr, scale)\n"
        "@functools.wraps(inner)\ndef up(lr):\n    return inner(lr, 4)"
    ),
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_scale_is_passed_where_it_is_named_and_nowhere_else(
    make: Make, low: UInt8, kind: str
) -> None:
    np.testing.assert_array_equal(make(SIGNATURES[kind]).upscale(low, 4, ITEM), nearest(low))


ANY_SIZE = """
def up(lr, size):
    assert isinstance(size, tuple), size
    rows, columns = (np.arange(n) * old // n for n, old in zip(size, lr.shape))
    return lr[rows][:, columns]
"""


@pytest.mark.parametrize("scale", [1.5, 2.5, 4, 7.3])
def test_a_function_that_names_size_takes_any_scale(make: Make, low: UInt8, scale: float) -> None:
    method = make(ANY_SIZE)
    method.prepare(Dataset("set", scale, ()))
    size = tuple(math.floor(Fraction(str(scale)) * n + Fraction(1, 2)) for n in low.shape[:2])
    for image in (low, low[..., 0]):
        made = method.upscale(image, scale, ITEM)
        assert made.shape == (*size, *image.shape[2:])
        assert np.array_equal(made, method.enlarge(image, scale))
    assert np.array_equal(
        make(ANY_SIZE, ",colour=grey").upscale(low, scale, ITEM)[..., 1],
        method.upscale(low[..., 1], scale, ITEM),
    )


def test_a_function_without_size_takes_whole_scales(make: Make, low: UInt8) -> None:
    method = make("def up(lr, scale): return near(lr, scale)")
    said = r"up has no parameter size, so it takes whole scales, not 2\.5\. Give it one"
    for asked in (
        lambda: method.prepare(Dataset("set", 2.5, ())),
        lambda: method.enlarge(low, 2.5),
        lambda: method.require_scale(2.5),
    ):
        with pytest.raises(UsageError, match=said):
            asked()
    with pytest.raises(ImageError, match="Return the height and width that it gets as size"):
        make("def up(lr, size): return near(lr)").upscale(low, 2.5, ITEM)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("near(lr, 2)", "It enlarges 2 times: run it with a scale of 2, or give it a parameter"),
        ("np.moveaxis(near(lr), -1, 0)", r"return np.moveaxis\(sr, 0, -1\)"),
        ("near(lr)[None]", r"return sr\[0\]"),
        ("near(lr)[..., 0]", r"\(height, width, 3\)"),
        ("near(lr)[:-1]", "Return 4 times the LR image's height and width"),
        ("lr", "Return 4 times the LR image's height and width"),
    ],
)
def test_another_shape_gets_the_hint_that_fits_it(
    make: Make, low: UInt8, text: str, hint: str
) -> None:
    with pytest.raises(ImageError, match=hint):
        make(f"def up(lr): return {text}").upscale(low, 4, ITEM)


def test_a_function_may_import_its_neighbour_when_it_is_called(
    make: Make, low: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_neighbour.py").write_text("GAIN = 1\n")
    text = (
        "def up(lr):\n    import own_neighbour\n    return near(lr) * np.uint8(own_neighbour.GAIN)"
    )
    method = make(text)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(method.upscale(low, 4, ITEM), nearest(low))


def test_a_grey_image_of_a_set_is_scored_as_nearest_scores_it(
    make: Make, low: UInt8, tmp_path: Path, sreval: Callable[..., object], photograph: UInt8
) -> None:
    for index in range(2):
        grey = photograph[..., index] if index else photograph
        write_png(tmp_path / "hr" / f"{index}.png", np.ascontiguousarray(grey))
    make("def up(lr):\n    h, w, c = lr.shape\n    return near(lr)")
    [module] = [path.stem for path in tmp_path.glob("own_*.py")]
    command = f"benchmark --method nearest --method python:{module}:up --dataset hr --out r"
    sreval(*command.split(), "--protocol", "matlab", "--protocol", "ledig2017", "--protocol", "rgb")
    frame = ResultsFolder(tmp_path / "r").frame()
    wide = frame.pivot(index=["image", "protocol", "metric"], columns="method", values="value")
    assert len(wide) == 2 * 3 * 2
    assert (wide["up"] == wide["nearest"]).all()


def test_what_a_refused_run_loaded_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module, helper = tmp_path / "refused_net.py", tmp_path / "refused_helper.py"
    low = np.full((4, 4, 3), 100, np.uint8)
    module.write_text("import refused_helper\n\ndef up(lr):\n    return refused_helper.up(lr)\n")
    for value in (10, 200):
        forget_modules()
        helper.write_text(
            f"import numpy as np\n\ndef up(lr):\n    return np.full((16, 16, 3), {value:.1f})\n"
        )
        method = make_upscaler("python:refused_net:up")  # nobody asks what it is
        assert (method.upscale(low, 4, ITEM) == value).all()


OBJECTS = {
    "module": "import torch\nup = torch.nn.Upsample(scale_factor=4, mode='nearest')",
    "Upscaler": "from sreval.methods import make_upscaler\nup = make_upscaler('nearest')",
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_module_and_an_upscaler_are_methods_as_functions_are(
    make: Make, low: UInt8, kind: str
) -> None:
    """What torch and the house call nearest is the repetition of each pixel."""
    method = make(OBJECTS[kind])
    assert np.array_equal(method.upscale(low, 4, ITEM), nearest(low))
    assert np.array_equal(method.enlarge(low, 4), nearest(low))
    assert not method.known


def test_what_is_neither_a_function_nor_a_module_is_refused(make: Make) -> None:
    with pytest.raises(UsageError, match=r"own_\d+:up can't be a method: it is neither"):
        make("up = 5")
