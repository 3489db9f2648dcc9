"""Comparisons: the right pixels, crops of one size, captions that can be read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import skimage.data
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

import sreval
from sreval.errors import DataError, UsageError
from sreval.images.io import write_png
from sreval.images.luma import bt601_full_range
from sreval.report import comparison
from sreval.report.collect import collect, select
from sreval.report.comparison import (
    Region,
    comparison_figure,
    parse_region,
    region_of_difference,
)
from sreval.report.render import results_page
from sreval.report.scores import score_table
from tests.report.figure_texts import check_texts

UInt8 = npt.NDArray[np.uint8]

SHAPES = {
    "portrait": (240, 150),
    "square": (180, 180),
    "wide": (120, 270),
    "panorama": (64, 480),
    "column": (480, 64),
}


@pytest.fixture
def demo(demo_run: Path) -> pd.DataFrame:
    return select(collect([demo_run]), None, None)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], pd.DataFrame]:
    """Rows of methods on a cat cut to each of SHAPES; each method adds a noise of its own."""
    cat = np.pad(skimage.data.chelsea(), ((0, 200), (0, 40), (0, 0)), mode="reflect")
    hr = {name: cat[:height, :width] for name, (height, width) in SHAPES.items()}

    def sr(row: pd.Series) -> UInt8:
        image = hr[row["image"]]
        random = np.random.default_rng(sum(map(ord, row["method"])))
        made: UInt8 = np.clip(image + random.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
        return made

    monkeypatch.setattr(comparison, "input_image", lambda row, _: hr[row["image"]])
    monkeypatch.setattr(comparison, "sr_image", sr)

    def frame(methods: Sequence[str]) -> pd.DataFrame:
        rows = [
            {"dataset": "mine", "image": image, "method": method, "metric": metric, "value": value,
             "scale": 4, "protocol": "matlab", "note": "", "sr_sha256": "s", "hr_sha256": "h"}
            for image in SHAPES
            for method in methods
            for metric, value in (("psnr", 28.431), ("ssim", 0.8211), ("lpips", 0.12))
        ]  # fmt: skip
        return pd.DataFrame(rows)

    return frame


def names(count: int) -> list[str]:
    """Short and long ones, as people name methods."""
    odd = ["nearest", "SwinIR-classical_DF2K-x4", "αβ", "$x$", "a" * 40, "a" * 39 + "b", "a b"]
    return [*odd, *(f"srresnet-vgg22-run{n}" for n in range(60))][:count]


def whole_and_crops(figure: Figure) -> tuple[list[Any], list[Any]]:
    """The axes of whole images and of crops: these alone have a caption of two lines or HR."""
    shown = [axes for axes in figure.axes if axes.texts]
    crops = [a for a in shown if "\n" in a.texts[0].get_text() or a.texts[0].get_text() == "HR"]
    return [axes for axes in shown if axes not in crops], crops


@pytest.mark.parametrize(
    ("count", "image", "width"),
    [
        *((count, image, "page") for count in (2, 25) for image in SHAPES),
        *((count, image, "column") for count in (1, 5, 10) for image in ("portrait", "wide")),
        (25, "square", "column"),
    ],
)
def test_captions_keep_apart_and_crops_have_one_size(
    pictures: Callable[..., pd.DataFrame], count: int, image: str, width: str
) -> None:
    figure = comparison_figure(pictures(names(count)), None, [image], width=width)
    check_texts(figure)
    wholes, crops = whole_and_crops(figure)
    assert (len(wholes), len(crops)) == (1, count + 1)
    sizes = np.array([axes.get_window_extent().size for axes in crops]) / figure.dpi * 25.4
    assert np.allclose(sizes, sizes[0])
    assert sizes[0].max() > 15
    whole = wholes[0].get_window_extent().size
    height, wide = SHAPES[image]
    assert whole[0] / whole[1] == pytest.approx(wide / height)
    mm = figure.get_size_inches() * 25.4
    assert mm[0] == pytest.approx({"page": 175, "column": 85}[width])
    assert mm[1] <= 230


def test_a_portrait_leaves_little_white(pictures: Callable[..., pd.DataFrame]) -> None:
    for count in (2, 10):
        figure = comparison_figure(pictures(names(count)), None, ["portrait"])
        drawn = sum(np.prod(axes.get_window_extent().size) for axes in figure.axes)
        assert drawn / np.prod(figure.bbox.size) > 0.5


@pytest.mark.parametrize("show", ["crops", "difference", "error"])
def test_several_images_and_regions_keep_apart(
    pictures: Callable[..., pd.DataFrame], show: str
) -> None:
    frame = pictures(names(5))
    several = comparison_figure(frame, None, ["wide", "portrait"], show=show)
    check_texts(several)
    wholes, crops = whole_and_crops(several)
    assert (len(wholes), len(crops)) == (2, 12)
    regions = ["0,0,40,40", "60,10,50,20", "100,20,20,60"]
    grouped = comparison_figure(frame, None, ["wide"], regions=regions, show=show)
    check_texts(grouped)
    (whole,), crops = whole_and_crops(grouped)
    assert len(crops) == 18
    frames = [patch for patch in whole.patches if isinstance(patch, Rectangle)]
    colours = {patch.get_edgecolor() for patch in frames} - {(1, 1, 1, 1)}
    assert len(colours) == 3
    assert {axes.spines["left"].get_edgecolor() for axes in crops} == colours


def test_a_page_that_is_too_small_is_said_with_what_it_holds(
    pictures: Callable[..., pd.DataFrame],
) -> None:
    many = [f"m{n}" for n in range(36)]
    with pytest.raises(
        UsageError, match=r"under 36 methods.*Name at most (\d+) methods"
    ) as refused:
        comparison_figure(pictures(many), None, ["square"], width="column")
    most = int(str(refused.value).split("at most ")[1].split()[0])
    comparison_figure(pictures(many), None, ["square"], many[:most], width="column")
    with pytest.raises(UsageError, match="can't be shown on one page"):
        comparison_figure(pictures(many), None, ["square"], many[: most + 1], width="column")


def test_panels_show_the_region_by_pixel_repetition(demo_run: Path, demo: pd.DataFrame) -> None:
    region = Region(100, 40, 24, 20)
    figure = comparison_figure(demo, "demo", ["chelsea"], regions=["100,40,24,20"])
    whole, nearest, bicubic, hr = (np.asarray(a.images[0].get_array()) for a in figure.axes)
    kept = demo_run / "images" / "demo_x4" / "bicubic" / "chelsea.png"
    cut = region.cut(np.asarray(Image.open(kept)))
    copies = bicubic.shape[1] // 24
    assert np.array_equal(bicubic, cut.repeat(copies, 0).repeat(copies, 1))
    assert np.array_equal(hr[::copies, ::copies], region.cut(whole))
    assert np.array_equal(nearest[0, 0], nearest[4 * copies - 1, 4 * copies - 1])
    captions = [axes.texts[0].get_text() for axes in figure.axes[1:]]
    assert captions[0].startswith("nearest\n")
    assert " dB / 0." in captions[1]
    assert captions[-1] == "HR"


def test_methods_stand_in_the_order_given_with_the_values_asked_for(
    pictures: Callable[..., pd.DataFrame],
) -> None:
    frame = pictures(["nearest", "bicubic", "mine"])
    figure = comparison_figure(frame, None, ["square"], ["mine", "nearest"], metrics=["lpips"])
    captions = [axes.texts[0].get_text() for axes in whole_and_crops(figure)[1]]
    assert captions == ["mine\n0.1200", "nearest\n0.1200", "HR"]
    assert "Values: LPIPS of the whole image, protocol matlab." in " ".join(
        figure.get_supxlabel().split()
    )


def test_differences_and_errors_have_one_scale_that_is_said(
    demo_run: Path, demo: pd.DataFrame
) -> None:
    region = Region(100, 40, 24, 20)
    folder = demo_run / "images" / "demo_x4"
    hr = np.asarray(Image.open(demo_run / "inputs" / "demo_x4" / "HR" / "chelsea.png")) \
        if (demo_run / "inputs" / "demo_x4" / "HR" / "chelsea.png").exists() \
        else skimage.data.chelsea()[:300, :448]  # fmt: skip
    made = {m: np.asarray(Image.open(folder / m / "chelsea.png")) for m in ("nearest", "bicubic")}
    draw = {
        show: comparison_figure(demo, "demo", ["chelsea"], regions=[str(region)], show=show)
        for show in ("difference", "error")
    }
    caption = draw["difference"].get_supxlabel()
    factor = int(caption.split("128 + ")[1].split()[0])
    for axes, method in zip(draw["difference"].axes[1:3], made, strict=True):
        shown = np.asarray(axes.images[0].get_array())
        copies = shown.shape[1] // 24
        signed = region.cut(made[method]).astype(int) - region.cut(hr)
        expected = np.clip(128 + factor * signed, 0, 255)
        assert np.array_equal(shown[::copies, ::copies], expected)
    limits = set()
    for axes, method in zip(draw["error"].axes[1:3], made, strict=True):
        shown = np.asarray(axes.images[0].get_array())
        copies = shown.shape[1] // 24
        luma = [bt601_full_range(region.cut(image)) for image in (made[method], hr)]
        assert shown[::copies, ::copies] == pytest.approx(abs(luma[0] - luma[1]))
        limits.add(axes.images[0].get_clim())
    assert len(limits) == 1
    labels = [label.get_text() for label in draw["error"].axes[-1].get_xticklabels()]
    assert labels[-1] == f"{limits.pop()[1]:.0f} or more"


def test_the_region_is_where_methods_differ_most() -> None:
    """Against all windows, one by one; an error that all methods share doesn't count."""
    random = np.random.default_rng(3)
    hr = random.integers(0, 256, (70, 90, 3), np.uint8)
    images = []
    for _ in range(3):
        image = hr.copy()
        image[:30, :30] = 0
        image[35:65, 50:80] = random.integers(0, 256, (30, 30, 3))
        images.append(image)
    found, _ = region_of_difference(hr, dict(zip("abc", images, strict=True)))
    side = found.width
    variance = np.stack([bt601_full_range(image) for image in images]).var(axis=0)

    def total(y: int, x: int) -> float:
        return float(variance[y : y + side, x : x + side].sum())

    best = max(total(y, x) for y in range(71 - side) for x in range(91 - side))
    assert total(found.y, found.x) == pytest.approx(best, rel=1e-6)
    error = (bt601_full_range(images[0]) - bt601_full_range(hr)) ** 2
    alone, _ = region_of_difference(hr, {"a": images[0]})
    windows = np.lib.stride_tricks.sliding_window_view(error, (side, side)).sum(axis=(2, 3))
    assert windows[alone.y, alone.x] == pytest.approx(windows.max(), rel=1e-6)


@pytest.mark.parametrize("shape", [(5, 9), (9, 200), (24, 24), (1500, 700)])
def test_a_region_lies_inside_any_image(shape: tuple[int, int]) -> None:
    hr = np.zeros(shape, np.uint8)
    found, _ = region_of_difference(hr, {"a": hr + 1, "b": hr + 2})
    assert found.x + found.width <= shape[1]
    assert found.y + found.height <= shape[0]
    assert found.width == found.height <= 140


def test_the_region_is_said_and_gives_the_same_figure(demo: pd.DataFrame) -> None:
    first = comparison_figure(demo, "demo", ["camera"])
    caption = " ".join(first.get_supxlabel().split())
    assert ", where the methods differ most." in caption
    region = caption.split("region ")[1].split(", where")[0]
    again = comparison_figure(demo, "demo", ["camera"], regions=[region])
    for a, b in zip(first.axes, again.axes, strict=True):
        one, two = (np.asarray(axes.images[0].get_array()) for axes in (a, b))
        assert np.array_equal(one, two)
    alone = comparison_figure(demo, "demo", ["camera"], ["bicubic"])
    assert "where bicubic differs most from HR" in " ".join(alone.get_supxlabel().split())


def test_equal_methods_are_shown_where_they_err_most_and_the_caption_says_so() -> None:
    hr = np.random.default_rng(0).integers(0, 200, (60, 80), np.uint8)
    made = hr.copy()
    made[36:60, 56:80] += 40
    region, why = region_of_difference(hr, {"a": made, "b": made.copy()})
    assert region == Region(56, 36, 24, 24)
    assert why == "where the methods, which are alike, differ most from HR"
    region, why = region_of_difference(hr, {"a": hr, "b": hr})
    assert region == Region(28, 18, 24, 24)
    assert "nothing differs" in why


def test_several_images_are_laid_out_alike(pictures: Callable[..., pd.DataFrame]) -> None:
    figure = comparison_figure(pictures(["a", "b", "c"]), None, ["square", "wide", "portrait"])
    wholes, crops = whole_and_crops(figure)
    boxes = [axes.get_window_extent() for axes in crops]
    for first in range(0, 12, 4):  # the three methods and HR in one row
        row = boxes[first : first + 4]
        assert np.ptp([box.y0 for box in row]) < 1
        assert np.allclose([box.x0 for box in row], [box.x0 for box in boxes[:4]])
    sizes = [max(axes.get_window_extent().size) for axes in wholes]
    assert max(sizes) / min(sizes) < 1.1


def test_a_page_that_is_too_small_names_fewer_images_too(
    pictures: Callable[..., pd.DataFrame],
) -> None:
    frame, images = pictures([f"m{n}" for n in range(9)]), ["square", "wide", "portrait"]
    with pytest.raises(UsageError, match=r"at most (\d) images? with image=, or at most") as no:
        comparison_figure(frame, None, images, width="column")
    most = int(str(no.value).split("at most ")[1].split()[0])
    comparison_figure(frame, None, images[:most], width="column")


def test_the_name_of_an_image_changes_no_layout(
    pictures: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pictures(["a", "b"])
    short = comparison_figure(frame, None, ["wide"])
    monkeypatch.setattr(comparison, "common_names", lambda rows: {"wide": "a long name " * 20})
    named = comparison_figure(frame, None, ["wide"])
    check_texts(named)
    for one, other in zip(short.axes, named.axes, strict=True):
        assert np.allclose(one.get_window_extent().bounds, other.get_window_extent().bounds)


def test_an_image_named_twice_is_drawn_once(demo: pd.DataFrame) -> None:
    figure = comparison_figure(demo, None, ["camera", "Camera"])
    assert len(whole_and_crops(figure)[0]) == 1


def test_a_metric_that_an_image_is_too_small_for_is_said_once(
    pictures: Callable[..., pd.DataFrame],
) -> None:
    frame = pictures(["a", "b"])
    frame[["value", "note"]] = np.nan, "Too small."
    figure = comparison_figure(frame, None, ["square"], notes=["Unfinished: 1 of 2 images."])
    captions = [axes.texts[0].get_text() for axes in whole_and_crops(figure)[1]]
    assert captions == ["a\nno score", "b\nno score", "HR"]
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.count("No score: Too small.") == 1
    assert caption.endswith("Unfinished: 1 of 2 images.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "Write X,Y,WIDTH,HEIGHT"),
        ("a,b,c,d", "Write X"),
        ("-1,0,9,9", "Count X and Y from 0"),
        ("0,0,3,9", "at least 4"),
    ],
)
def test_a_region_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_region(text)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"images": ["cofee"]}, "Did you mean 'coffee'"),
    "no image": ({"images": []}, "Name one: image="),
    "beyond": ({"regions": ["590,0,20,20"]}, "reaches beyond demo/coffee, 600x400 pixels"),
    "method": ({"methods": ["bicubc"]}, "Did you mean 'bicubic'"),
    "HR alone": ({"methods": ["hr"]}, "no method to compare"),
    "metric": ({"metrics": ["pnsr"]}, "Did you mean 'psnr'"),
    "show": ({"show": "errors"}, "Did you mean 'error'"),
    "width": ({"width": "pages"}, "Did you mean 'page'"),
    "data set": ({"dataset": "demos"}, "Did you mean 'demo'"),
    "regions": ({"regions": ["0,0,9,9"] * 7}, "Give 6 at most"),
    "shares": ({"images": ["coffee", "camera"], "regions": ["0,0,9,9"]}, "one for each image"),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG)
def test_what_is_not_there_is_named(
    demo: pd.DataFrame, changed: dict[str, Any], message: str
) -> None:
    asked = {"dataset": None, "images": ["coffee"], **changed}
    with pytest.raises(UsageError, match=message):
        comparison_figure(demo, **asked)


def test_an_image_changed_since_is_not_shown(demo_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(demo_run, copy)
    path = copy / "images" / "demo_x4" / "bicubic" / "coffee.png"
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)
    frame = select(collect([copy]), None, None)
    with pytest.raises(DataError, match="no longer the image that was scored"):
        comparison_figure(frame, "demo", ["coffee"])


def test_the_page_stands_alone(demo: pd.DataFrame) -> None:
    figure = comparison_figure(demo, "demo", ["camera"])
    ways = [("Print it:", "sreval table <results>")]
    page = results_page("Results", ["One & all."], figure, "A region.", score_table(demo), ways)
    assert page.count("<svg") == 1
    assert "Protocol ledig2017" in page
    assert "One &amp; all." in page
    assert "<code>sreval table &lt;results&gt;</code>" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace(
        "http://creativecommons", ""
    ).replace("http://purl.org", "")


def test_the_command_says_the_region_and_needs_no_data_set(
    here: Path, sreval: Callable[..., Any]
) -> None:
    cat = skimage.data.chelsea()
    write_png(here / "cats/Cat.png", cat[:96, :80])
    ran = sreval("benchmark", "--method", "nearest", "--dataset", "cats", "--out", "r")
    assert ran.code == 0, ran.err
    drawn = sreval("figure", "comparison", "r", "--image", "cat", "--out", "c.svg")
    assert drawn.code == 0, drawn.err
    assert drawn.out == "c.svg\n"
    assert "cats/Cat: region " in drawn.err
    assert "where nearest differs most from HR" in drawn.err


def test_without_originals_the_lr_image_stands_beside_the_methods(tmp_path: Path) -> None:
    cat = skimage.data.chelsea()
    write_png(tmp_path / "snaps" / "cat.png", cat[100:140, 100:150])
    write_png(tmp_path / "snaps" / "grey.png", cat[100:140, 100:150, 1])
    write_png(tmp_path / "whole" / "dog.png", cat[:160, :200])
    spread = sreval.metric(np.std, name="spread", better="higher", reference=False)
    made = sreval.benchmark(
        ["bicubic", "lanczos"], [f"lr={tmp_path / 'snaps'}", tmp_path / "whole"],
        metrics=["psnr", spread], progress=False,
    )  # fmt: skip
    figure = made.figure("comparison", image=["cat", "dog"], region=["8,12,40,40", "0,0,40,40"])
    check_texts(figure)
    labels = [axes.texts[0].get_text() for axes in figure.axes if axes.texts]
    assert labels.count("LR") == labels.count("HR") == 1
    assert "LR of snaps: enlarged by pixel repetition, as there is no HR." in " ".join(
        figure.get_supxlabel().split()
    )
    (crop,) = [a for a in figure.axes if a.texts and a.texts[0].get_text() == "LR"]
    pixels = np.asarray(crop.images[0].get_array())
    copies = len(pixels) // 40
    enlarged = cat[100:140, 100:150].repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(pixels[::copies, ::copies], enlarged[12:52, 8:48])

    alone = made.figure("comparison", image="grey", methods="bicubic")
    said = " ".join(alone.get_supxlabel().split())
    assert "where bicubic differs most from LR" in said
    assert "LR: enlarged by" in said
    assert "spread" in alone.get_supxlabel()
    assert "PSNR" not in alone.get_supxlabel()
    for show in ("difference", "error"):
        with pytest.raises(UsageError, match="snaps has LR images alone"):
            made.figure("comparison", image="cat", show=show)
    assert "spread" in made.figure("scores", dataset="snaps").axes[0].get_xlabel()


def test_an_image_that_is_gone_is_not_called_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is advised helps."""
    monkeypatch.chdir(tmp_path)
    cat = skimage.data.chelsea()[:32, :32]
    spread = sreval.metric(np.std, name="spread", reference=False)
    for given, gone, found in [
        ("lr=snaps", r"LR image of snaps/cat is no longer there: \S+/snaps/cat.png", "lr=kept"),
        ("snaps", r"HR image of snaps/cat is no longer there: \S+/snaps/cat.png", "hr=kept"),
    ]:
        write_png(tmp_path / "snaps" / "cat.png", cat)
        out = Path(f"results-{given}")

        def run(dataset: str, out: Path = out) -> sreval.Results:
            return sreval.benchmark(
                ["bicubic", "nearest"], dataset, metrics=[spread], out=out, progress=False
            )

        made = run(given)
        write_png(tmp_path / "snaps" / "cat.png", cat[::-1])
        with pytest.raises(DataError, match="is no longer what was scored"):
            made.figure("comparison", image="cat")
        write_png(tmp_path / "snaps" / "cat.png", cat)
        (tmp_path / "snaps").rename("kept")
        with pytest.raises(DataError, match=gone) as refused:
            made.figure("comparison", image="cat")
        assert "its folder where it is now, with name=snaps." in refused.value.remedy
        run(f"{found},name=snaps").figure("comparison", image="cat")
        shutil.rmtree("kept")
