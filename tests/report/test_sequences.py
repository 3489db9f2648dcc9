"""Frames of sequences: what means, intervals and tests are over, and how that is told."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

import sreval
from sreval.errors import SrevalError, UsageError
from sreval.frames import image_order
from sreval.images.io import write_png
from sreval.opinions.agreement import metric_agreement
from sreval.opinions.votes import check_votes, with_codes, with_texts
from sreval.report.comparison import comparison_figure
from sreval.report.opinion_models import join_scores, reliability, scene_notes
from sreval.report.opinion_rows import check_same_stimuli, with_mos
from sreval.report.opinions import Request
from sreval.report.protocols import summarise_conventions
from sreval.report.score_figures import scores_figure, tradeoff_figure
from sreval.report.scores import score_table
from sreval.report.values import worst_images, worst_text
from tests.report.figure_texts import check_texts

UInt8 = npt.NDArray[np.uint8]
Maker = Callable[..., pd.DataFrame]

LENGTHS = {"a": 1, "b": 2, "c": 7, "d": 3, "e": 4, "f": 2, "g": 2}
FRAMES = [f"{name}/{frame}" for name, length in LENGTHS.items() for frame in range(length)]
RNG = np.random.default_rng(1)
SCORES = {
    method: RNG.normal(28 + better, 0.5, len(FRAMES))
    + np.repeat(RNG.normal(0, 3, 7), [*LENGTHS.values()])
    for method, better in (("nearest", 0.0), ("bicubic", 2.0), ("lanczos", 2.2))
}


def by_sequence(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean of each sequence, as BasicSR's VideoBaseModel takes them, written out."""
    of = {
        name: [s for f, s in zip(FRAMES, scores, strict=True) if f[0] == name] for name in LENGTHS
    }
    return np.array([sum(values) / len(values) for values in of.values()])


@pytest.fixture
def frame(make_frame: Maker) -> pd.DataFrame:
    made = make_frame({("Vid", method, "psnr"): list(scores) for method, scores in SCORES.items()})
    return made.assign(image=FRAMES * len(SCORES), sr_sha256="x")


def with_stills(frame: pd.DataFrame, make_frame: Maker) -> pd.DataFrame:
    stills = {("Set5", method, "psnr"): list(RNG.normal(28, 1, 5)) for method in SCORES}
    return pd.concat([frame, make_frame(stills).assign(sr_sha256="x")], ignore_index=True)


def test_a_mean_is_over_the_sequences_means_and_so_is_its_interval(frame: pd.DataFrame) -> None:
    table = score_table(frame)
    for row in table.frame.itertuples():
        means = by_sequence(SCORES[str(row.method)])
        interval = stats.t.interval(0.95, 6, loc=means.mean(), scale=stats.sem(means))
        assert (row.n, row.unit) == (7, "sequence")
        assert (row.mean, row.low, row.high) == pytest.approx((means.mean(), *interval))
        assert abs(float(str(row.mean)) - SCORES[str(row.method)].mean()) > 0.01
    notes = " ".join(table.notes)
    assert (
        "Vid: the mean of the means of 7 sequences, 1 to 7 frames each, not that of all 21" in notes
    )
    assert "Means over sequences (n: Vid 7)" in notes
    assert "95% interval of the mean for new sequences" in notes


def test_a_test_is_over_the_sequences_means(frame: pd.DataFrame, make_frame: Maker) -> None:
    table = score_table(with_stills(frame, make_frame), baseline="bicubic")
    tests = table.tests[table.tests["dataset"] == "Vid"].set_index("first")
    for method in ("nearest", "lanczos"):
        x, y = by_sequence(SCORES[method]), by_sequence(SCORES["bicubic"])
        assert tests.loc[method, "p"] == pytest.approx(stats.wilcoxon(x, y, method="exact").pvalue)
        assert tests.loc[method, "n"] == 7
    notes = " ".join(table.notes)
    assert "Means over images (n: Set5 5) and sequences (n: Vid 7)" in notes
    assert "signed-rank over images or sequences" in notes
    assert "Set5 (5 images; the least exact p" in notes


def test_a_row_for_each_sequence_before_its_data_set(
    frame: pd.DataFrame, make_frame: Maker
) -> None:
    both = with_stills(frame, make_frame)
    table = score_table(both, sequences=True, baseline="bicubic")
    places = [f"Vid/{name}" for name in LENGTHS]
    assert list(dict.fromkeys(table.frame["dataset"])) == ["Set5", *places, "Vid"]
    rows = table.frame[table.frame["unit"] == "frame"]
    assert rows[["low", "high"]].isna().all(axis=None)
    for method, scores in SCORES.items():
        own = rows[rows["method"] == method]
        assert own["mean"].to_numpy(float) == pytest.approx(by_sequence(scores))
        assert list(own["n"]) == list(LENGTHS.values())
    plain = score_table(both, baseline="bicubic")
    pd.testing.assert_frame_equal(
        table.frame[table.frame["unit"] != "frame"].reset_index(drop=True), plain.frame
    )
    pd.testing.assert_frame_equal(table.tests, plain.tests)
    for written in ("text", "markdown", "latex", "html", "csv", "json"):
        assert "Vid/a" in table.render(written)
    assert "–:" not in " ".join(table.notes)


def test_one_sequence_can_be_asked_for(frame: pd.DataFrame, make_frame: Maker) -> None:
    both = with_stills(frame, make_frame)
    every = score_table(both, sequences=True).frame
    for datasets in (["Vid/c", "Vid/a"], ["Set5", "Vid/c"], ["Vid/c", "Vid"]):
        for sequences in (False, True):
            table = score_table(both, datasets=datasets, sequences=sequences, baseline="bicubic")
            shown = set(table.frame["dataset"])
            more = {f"Vid/{name}" for name in LENGTHS} if sequences and "Vid" in datasets else set()
            assert shown == {*datasets, *more}
            assert set(table.tests["dataset"]) == {"Set5", "Vid"} & set(datasets)
            pd.testing.assert_frame_equal(
                table.frame.drop(columns="mark").reset_index(drop=True),
                every[every["dataset"].isin(shown)].drop(columns="mark").reset_index(drop=True),
            )
    assert "the mean of the means" not in " ".join(score_table(both, datasets=["Vid/c"]).notes)
    with pytest.raises(UsageError, match="Did you mean 'Vid/"):
        score_table(both, datasets=["Vid/x"])


def test_a_figure_of_one_sequence_is_a_line_over_its_frames(frame: pd.DataFrame) -> None:
    hr = frame[frame["method"] == "bicubic"].assign(method="hr", value=math.inf)
    shuffled = pd.concat([frame, hr]).sample(frac=1, random_state=1)
    figure = scores_figure(shuffled, "Vid/c", width="column")
    (axes,) = figure.axes
    own = {m: s[[f[0] == "c" for f in FRAMES]] for m, s in SCORES.items()}
    best = sorted(own, key=lambda method: -own[method].mean())
    for line, method in zip(axes.lines, best, strict=True):
        assert list(np.asarray(line.get_xdata())) == list(range(7))
        assert np.asarray(line.get_ydata(), float) == pytest.approx(own[method])
        assert str(line.get_label()).endswith(f" {own[method].mean():.2f}")
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.startswith("Vid/c, protocol ledig2017: 7 frames in their order")
    assert "HR isn't drawn: its PSNR is infinite" in caption
    check_texts(figure)
    many = pd.concat(
        [frame[frame["method"] == "bicubic"].assign(method=f"m{n}") for n in range(20)]
    )
    with pytest.raises(UsageError, match=r"^20 lines can't .* at most 13 methods"):
        scores_figure(many, "Vid/c")
    check_texts(scores_figure(many, "Vid/c", methods=[f"m{n}" for n in range(13)]))


def test_stills_have_no_rows_of_sequences(make_frame: Maker) -> None:
    stills = make_frame({("Set5", "bicubic", "psnr"): [28.0, 29.0]})
    with pytest.raises(UsageError, match=r"hold no sequences of frames. Leave .*sequences.* out"):
        score_table(stills, sequences=True)


@pytest.mark.parametrize(
    ("count", "said"), [(1, "the mean of one sequence of 3 frames"), (2, "2 sequences")]
)
def test_one_sequence_has_no_interval_and_no_test(make_frame: Maker, count: int, said: str) -> None:
    values = {
        ("v", m, "psnr"): [28.0 + better, 29.0, 33.0] * count
        for m, better in (("nearest", 0), ("bicubic", 1))
    }
    made = make_frame(values).assign(
        image=[f"s{n}/{f}" for n in range(count) for f in range(3)] * 2
    )
    table = score_table(made, baseline="nearest")
    assert table.frame["low"].isna().all()
    notes = " ".join(table.notes)
    assert said in notes
    assert ("n: v" in notes) == (count > 1)
    assert "ith fewer than 3 sequences there is no interval" in notes
    assert list(table.tests["n"]) == [count]
    assert bool(table.tests["too_small"].iloc[0])


def test_frames_are_listed_by_their_numbers(make_frame: Maker) -> None:
    names = [f"{sequence}/{frame}" for sequence in ("s2", "s10") for frame in (2, 10, 9)]
    ordered = ["s2/2", "s2/9", "s2/10", "s10/2", "s10/9", "s10/10"]
    made = make_frame({("v", m, "psnr"): [28.0] * 6 for m in ("nearest", "bicubic")})
    made = made.assign(image=names * 2, sr_sha256="x")
    gone = (made["method"] == "bicubic") & ~made["image"].isin(["s2/2", "s10/10"])
    votes = pd.DataFrame({"dataset": "v", "method": "nearest", "image": ["s1/1"]})
    votes = votes.assign(kind="vote", accepted=True)
    for said in (
        " ".join(score_table(made.assign(value=made["value"].mask(gone, np.inf))).notes),
        refusal(lambda: comparison_figure(made, "v", ["qqq"])),
        refusal(lambda: check_same_stimuli(made, votes)),
    ):
        places = [
            said.find(f"{name}{end}") for name in ordered[1:5] for end in (",", " and", ".", " (")
        ]
        found = [place for place in places if place >= 0]
        assert len(found) == 4, said
        assert found == sorted(found)
    assert sorted(["10", "9", "a/10", "a/9"], key=image_order) == ["10", "9", "a/9", "a/10"]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(SrevalError) as refused:
        call()
    return str(refused.value)


def test_frames_that_a_method_lacks_leave_their_sequence_or_only_shorten_it(
    frame: pd.DataFrame,
) -> None:
    gone = (frame["method"] == "lanczos") & frame["image"].isin(["a/0", "c/3"])
    table = score_table(frame.assign(value=frame["value"].mask(gone)))
    kept = [image not in ("a/0", "c/3") for image in FRAMES]
    scores = pd.Series(SCORES["bicubic"][kept])
    means = scores.groupby([f[0] for f in np.array(FRAMES)[kept]]).mean()
    (row,) = table.frame[table.frame["method"] == "bicubic"].itertuples()
    assert row.n == 6
    assert row.mean == pytest.approx(means[list("bcdefg")].mean())
    notes = " ".join(table.notes)
    assert "6 sequences, 2 to 6 frames each, not that of these 19 of 21 frames" in notes
    assert "2 of 21 frames are left out" in notes
    assert "for them: the sequence a (1 frame), c/3 (none by" in notes


def test_a_whole_sequence_that_a_method_lacks_is_named_once(make_frame: Maker) -> None:
    images = [f"{sequence}/{frame}" for sequence in "xyz" for frame in (9, 10, 11)]
    made = make_frame({("v", m, "psnr"): [28.0, 29, 30] * 3 for m in ("nearest", "bicubic")})
    made = made.assign(image=images * 2, sr_sha256="x")
    gone = (made["method"] == "bicubic") & made["image"].str.startswith("y")
    for lack in (math.nan, math.inf):
        notes = score_table(made.assign(value=made["value"].mask(gone, lack))).notes
        (over,) = [note for note in notes if "mean of the means" in note]
        assert over == "v: the mean of the means of 2 sequences, 3 frames each: 6 of 9 frames."
        (left,) = [note for note in notes if "sequence y" in note]
        assert "y/9" not in left
        assert left.count("of 9") == (lack is math.nan)


def test_infinite_frames_do_not_spoil_a_mean(frame: pd.DataFrame) -> None:
    hr = frame[frame["method"] == "bicubic"].assign(method="hr", value=math.inf)
    table = score_table(pd.concat([frame, hr], ignore_index=True), sequences=True)
    rows = table.frame.set_index(["dataset", "method"])["mean"]
    assert rows["Vid", "hr"] == rows["Vid/a", "hr"] == math.inf
    assert rows["Vid", "bicubic"] == pytest.approx(by_sequence(SCORES["bicubic"]).mean())


def test_figures_draw_the_sequences(frame: pd.DataFrame) -> None:
    figure = scores_figure(frame)
    (axes,) = figure.axes
    drawn = [line.get_xdata() for line in axes.lines if len(np.atleast_1d(line.get_xdata())) == 7]
    best = max((by_sequence(scores) for scores in SCORES.values()), key=np.mean)
    assert np.allclose(np.asarray(drawn[0], float), best)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["one sequence", "mean"]
    assert "7 sequences" in figure.get_supxlabel()
    second = frame.assign(metric="ssim", value=frame["value"] / 40)
    plane = tradeoff_figure(pd.concat([frame, second], ignore_index=True), x="psnr", y="ssim")
    points = np.asarray(plane.axes[0].lines[0].get_xydata())
    assert points[:, 0].max() == pytest.approx(best.mean())


def test_conventions_are_averaged_over_sequences(frame: pd.DataFrame) -> None:
    own = frame[frame["method"] == "bicubic"].rename(columns={"value": "psnr"})
    parts = [own.assign(convention=c, ssim=0.5, lpips=math.nan, note="") for c in ("matlab", "rgb")]
    found = summarise_conventions(pd.concat(parts, ignore_index=True))
    assert found["psnr"].to_numpy(float) == pytest.approx(by_sequence(SCORES["bicubic"]).mean())
    assert list(found["n"]) == [7, 7]


def test_a_run_on_frames_from_the_images_to_the_archive(tmp_path: Path, photograph: UInt8) -> None:
    names = ["calendar/9", "calendar/10", "walk/0"]
    for shift, name in enumerate(names):
        write_png(tmp_path / "v" / f"{name}.png", np.roll(photograph, 7 * shift, axis=1))

    def ran() -> sreval.Results:
        return sreval.benchmark(
            ["nearest", "bicubic"],
            tmp_path / "v",
            out=tmp_path / "out",
            metrics=["psnr", "ssim"],
            device="cpu",
            progress=False,
        )

    first = ran()
    again = ran()
    assert (first.computed, again.computed, again.reused) == (6, 0, 6)
    assert list(dict.fromkeys(again.frame["image"])) == names
    read = sreval.read_results(tmp_path / "out")
    assert list(dict.fromkeys(read.frame["image"])) == names
    assert set(again.frame["scene"]) == {"v/calendar", "v/walk"}
    for name in names:
        assert (tmp_path / "out" / "images" / "v_x4" / "bicubic" / f"{name}.png").is_file()
    table = again.table(sequences=True)
    values = again.frame[(again.frame["method"] == "bicubic") & (again.frame["metric"] == "psnr")]
    one = values.set_index("image")["value"]
    means = [one[["calendar/9", "calendar/10"]].mean(), one["walk/0"]]
    shown = table.frame[(table.frame["method"] == "bicubic") & (table.frame["metric"] == "psnr")]
    assert shown["mean"].to_numpy(float) == pytest.approx([*means, np.mean(means)])
    figure = again.figure("comparison", image=["calendar\\10", "walk_0"])
    assert "v/calendar/10: region" in figure.get_supxlabel()
    for asked in ("calendar", "v/calendar/"):
        with pytest.raises(UsageError, match=r"is a sequence.* Name one, such as calendar/9\."):
            again.figure("comparison", image=asked)
    with pytest.raises(UsageError, match=r"^These results have no image 'sky'\."):
        again.figure("comparison", image="sky")
    with pytest.raises(UsageError, match=r"^These results have no image 'sky' of v\."):
        again.figure("comparison", image="sky", dataset="v")
    scores = tmp_path / "own.csv"
    scores.write_text("method,image,own\nbicubic,calendar,1\n")
    with pytest.raises(UsageError, match=r"no image 'calendar' of v .*, such as calendar/9\."):
        again.with_scores(scores)
    own = [("calendar\\9", 1), ("v/calendar/10.png", 2), ("walk/0", 3)]
    lines = [
        f"{method},{image},{value}" for method in ("nearest", "bicubic") for image, value in own
    ]
    scores.write_text("method,image,own\n" + "\n".join(lines) + "\n")
    joined = again.with_scores(scores, higher_is_better="own").table(metrics="own")
    assert list(joined.frame["mean"]) == [2.25, 2.25]
    made = sreval.archive(tmp_path / "out", out=tmp_path / "a.zip", images=True)
    with ZipFile(made) as archive:
        packed = archive.namelist()
    assert sum(name.endswith("bicubic/calendar/10.png") for name in packed) == 1
    text = again.methods_text()
    assert "v (2 sequences of 1 to 2 frames, 3 in all; " in text
    assert "mean over its sequences, each of which scores the mean over its frames" in text
    assert "intervals over the sequences. Where methods are compared" in text
    assert "its images" not in text


def test_a_mos_over_images_is_over_sequences(frame: pd.DataFrame) -> None:
    """Four sequences: no test of them can be significant, however many frames they have."""
    frame = frame[frame["image"].str[0] < "e"]
    rows = [
        {"rater": f"r{n}", "dataset": "Vid", "image": image, "method": method, "score": score}
        for n in range(8)
        for image in frame["image"].unique()
        for method, score in {"nearest": 1 + n % 2, "bicubic": 3 + (n + len(image)) % 2}.items()
    ]
    votes = check_votes(pd.DataFrame(rows))
    scores = score_table(frame, baseline="nearest", sequences=True)
    table = with_mos(scores, votes, unit="image", baseline="nearest")
    own = table.frame[table.frame["metric"] == "mos"].set_index("method")
    assert list(own["n"]) == [4, 4]
    assert set(own["unit"]) == {"sequence"}
    assert own.loc["bicubic", "mark"] == "‡"
    notes = " ".join(table.notes)
    assert "MOS: mean of the sequences' means, each the mean of its frames' mean votes (" in notes
    assert "unit sequence (n: Vid 4), about these raters, sequences in general" in notes
    assert "Vid, MOS (4 sequences; the least exact p is 0.1250" in notes
    said = sreval.read_votes(votes).analyse(["mos", "compare"], unit="image").text
    assert "unit sequence (n: Vid 4)" in said
    assert "Unit sequence: these raters, sequences in general." in said
    assert "n too small" in said
    assert "An image such as a/0 is a frame of the sequence a." in said


def test_votes_without_scenes_take_those_of_the_results(frame: pd.DataFrame) -> None:
    scenes = frame["image"].str[0].replace("g", "f")
    frame = frame.assign(scene="Vid/" + scenes)
    rated = frame[["dataset", "image", "method"]]
    scores = (1 + (frame.index.to_numpy() * 7 + n) % 5 for n in range(3))
    rows = [rated.assign(rater=f"r{n}", score=score) for n, score in enumerate(scores)]
    votes = check_votes(pd.concat(rows, ignore_index=True))
    joined, _ = join_scores(votes, Request(scores=frame))
    assert joined["scene"].nunique() == 6
    of_their_own = votes.assign(scene=votes["image"].str[0])
    joined, _ = join_scores(of_their_own, Request(scores=frame))
    assert joined["scene"].nunique() == 7
    # a table that is computed with has texts as codes, those of scenes unlike those of images
    coded, _ = join_scores(with_codes(of_their_own), Request(scores=frame))
    pd.testing.assert_frame_equal(with_texts(coded), with_texts(joined), check_dtype=False)


def test_agreement_over_frames_does_not_speak_of_new_stimuli() -> None:
    scores = np.random.default_rng(0).integers(1, 6, (6, 4))
    cells = [(f"{i}", f"r{j}", "a", scores[i, j]) for i in range(6) for j in range(4)]
    stills = pd.DataFrame(cells, columns=["image", "rater", "method", "score"])
    frames = stills.assign(image="cal/" + stills["image"])
    for votes, said in ((stills, True), (frames, False)):
        found = reliability(check_votes(votes), Request())[0].frame.set_index("figure")
        about = str(found.loc["ICC(A,1)", "about"])
        assert ("new stimuli" in about) is said
        assert "raters" in about


@pytest.mark.parametrize(("scenes", "little", "none"), [(2, False, True), (4, True, False)])
def test_intervals_rest_on_little_only_where_there_are_some(
    scenes: int, little: bool, none: bool
) -> None:
    generator = np.random.default_rng(1)
    mos = generator.uniform(1, 5, 6 * scenes)
    stimuli = pd.DataFrame(
        {
            "scene": np.repeat([f"s{i}" for i in range(scenes)], 6),
            "mos": mos,
            "psnr": mos + generator.normal(size=mos.size),
        }
    )
    notes = " ".join(scene_notes(metric_agreement(stimuli, {"psnr": True})))
    assert ("rest on little" in notes) is little
    assert ("give no interval" in notes) is none


def test_the_worst_of_frames_and_stills_are_images(frame: pd.DataFrame, make_frame: Maker) -> None:
    both = with_stills(frame, make_frame)
    assert worst_text(worst_images(frame)).startswith("Frames on which")
    assert worst_text(worst_images(both, most=20)).startswith("Images on which")
