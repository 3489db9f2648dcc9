"""What a reader sees of a run that hasn't ended: what is done, at any moment, and nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import sreval
from sreval.benchmarking import identity, results
from sreval.benchmarking.results import JOURNAL, MANIFEST, RESULTS, UNDER_WAY, Snapshot, Store
from sreval.errors import DataError
from sreval.images.io import write_png
from sreval.report.collect import collect
from sreval.study.sources import available
from tests.study.designs import design_of

UInt8 = npt.NDArray[np.uint8]
State = dict[str, bytes]
FILES = (JOURNAL, UNDER_WAY, MANIFEST, RESULTS)
IMAGES = ("ant", "bee", "cow", "dog")
METHODS = ("nearest", "bicubic", "picky")


def state_of(folder: Path) -> State:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def install(state: State, folder: Path) -> None:
    """Bring a folder into a state as a run does: each file that differs is replaced as a whole."""
    for name in FILES:
        path, part = folder / name, folder / "part"
        if name not in state:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_bytes() != state[name]:
            part.write_bytes(state[name])
            part.rename(path)


@pytest.fixture(scope="module", params=["a new folder", "beside older results"])
def states(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photograph: UInt8
) -> tuple[Path, list[State]]:
    """A results folder after each step of a run into it; before it, one image changes."""
    work = tmp_path_factory.mktemp("run")
    photos, out = work / "photos", work / "r"
    for shift, name in enumerate(IMAGES):
        write_png(photos / f"{name}.png", np.roll(photograph, 17 * shift, axis=1)[:48, :60].copy())

    def run(*methods: str) -> None:
        calls: list[int] = []

        def picky(lr: UInt8, scale: int) -> UInt8:
            calls.append(1)
            assert len(calls) != 2, "not the second one"
            return lr.repeat(scale, 0).repeat(scale, 1)

        given = {name: picky if name == "picky" else name for name in methods}
        sreval.benchmark(
            given, photos, out=out, metrics="psnr", protocols="matlab", workers=1, progress=False
        )

    if request.param == "beside older results":
        run("nearest", "lanczos")
        write_png(photos / "cow.png", photograph[:48, :60].copy())
    found = [state_of(out)]

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            made = function(*given, **named)
            found.append(state_of(out))
            return made

        return call

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "__init__", watched(Store.__init__))
        patched.setattr(Store, "_write", watched(Store._write))
        for module in (results, identity):
            patched.setattr(module, "write_atomic", watched(module.write_atomic))
        patched.setattr(Path, "unlink", watched(Path.unlink))
        run(*METHODS)
    # a line of the journal reaches the disk in parts
    for before, after in pairwise(list(found)):
        cut = len(before.get(JOURNAL, b""))
        line = after.get(JOURNAL, b"")[cut:]
        if len(line) > 2:
            torn = {**before, JOURNAL: after[JOURNAL][: cut + len(line) // 2]}
            found.insert(found.index(after), torn)
    return out, found


def done_by_hand(state: State) -> list[str]:
    """The images that every method of the run is through with, from the files as they are."""
    begins = json.loads(state[UNDER_WAY])["journal"]
    seen: dict[str, set[str]] = {}
    for line in state[JOURNAL][begins:].decode().splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        for one in said if isinstance(said, list) else [said]:
            seen.setdefault(one["image"], set()).add(one["method"])
    return [image for image in IMAGES if seen.get(image, set()) >= set(METHODS)]


def test_at_any_moment_the_rows_are_those_of_the_end_on_the_images_that_are_done(
    states: tuple[Path, list[State]],
) -> None:
    out, found = states
    install(found[-1], out)
    end = Snapshot.of(out)
    assert not end.asked
    before = found[0].get(RESULTS)
    counts = []
    for state in found:
        install(state, out)
        if not state.keys() & {UNDER_WAY, RESULTS}:
            with pytest.raises(DataError, match=r"holds no results\.csv"):
                Snapshot.of(out)
            continue
        now = Snapshot.of(out)
        assert state_of(out) == state  # a reader changes nothing
        if not now.asked:
            assert state[RESULTS] in (before, found[-1][RESULTS])
            assert now.unfinished == ""
            now.require_finished()
            continue
        done = done_by_hand(state)
        counts.append(len(done))
        assert now.unfinished == f"Unfinished: {len(done)} of 4 images of photos are done."
        with pytest.raises(DataError, match=f"has not ended. {now.unfinished}"):
            now.require_finished()
        rows = end.frame[end.frame["image"].isin(done)].reset_index(drop=True)
        pd.testing.assert_frame_equal(now.frame, rows, check_dtype=False)
        failed = end.failures()
        now_failed = now.failures()
        assert now_failed["note"].tolist() == failed["note"][failed["image"].isin(done)].tolist()
        assert set(now.frame["method_sha256"]) <= {
            sha256 for known in now.meanings.values() for sha256 in known
        }
        if done:
            notes: list[str] = []
            assert set(collect([out], notes.append)["image"]) == set(done)
            assert now.unfinished in notes
        else:
            with pytest.raises(DataError, match=r"holds no scores yet\. Unfinished: 0 of 4"):
                collect([out])
    assert counts == sorted(counts)
    assert set(counts) >= {1, 2, 3, 4}


@pytest.mark.parametrize("seed", range(25))
def test_a_reader_between_whose_reads_the_run_goes_on_sees_one_moment(
    states: tuple[Path, list[State]], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, found = states
    first = next(i for i, state in enumerate(found) if state.keys() & {UNDER_WAY, RESULTS})
    random_ = random.Random(seed)
    at = begun = random_.randrange(first, len(found))
    install(found[at], out)
    opened = Path.open

    def reading(self: Path, mode: str = "r", *given: Any, **named: Any) -> Any:
        nonlocal at
        if self.parent == out and self.name in FILES and mode == "rb" and random_.random() < 0.6:
            at = min(at + random_.randint(0, 3), len(found) - 1)
            with monkeypatch.context() as plain:
                plain.setattr(Path, "open", opened)
                install(found[at], out)
        return opened(self, mode, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", reading)
        seen = Snapshot.of(out)
    moments = []
    for state in found[begun : at + 1]:
        install(state, out)
        moments.append(Snapshot.of(out))
    assert any(
        seen.unfinished == one.unfinished
        and seen.frame.equals(one.frame)
        and (seen.runs, seen.datasets, seen.meanings) == (one.runs, one.datasets, one.meanings)
        for one in moments
    )


def test_a_run_that_is_killed_at_any_moment_ends_as_one_that_never_was(
    states: tuple[Path, list[State]],
) -> None:
    out, found = states
    install(found[-1], out)
    methods = ["nearest", "bicubic"]
    whole = Snapshot.of(out).frame.query("method in @methods").reset_index(drop=True)
    for state in found[1::4]:
        install(state, out)
        sreval.benchmark(
            methods,
            out.parent / "photos",
            out=out,
            metrics="psnr",
            protocols="matlab",
            workers=1,
            progress=False,
        )
        ended = Snapshot.of(out)
        assert not ended.asked
        again = ended.frame.query("method in @methods").reset_index(drop=True)
        pd.testing.assert_frame_equal(again, whole)


def stopped(states: tuple[Path, list[State]], done: int) -> Path:
    """The folder as a run leaves it that is killed when so many images are done."""
    out, found = states
    state = next(
        state for state in found if UNDER_WAY in state and len(done_by_hand(state)) == done
    )
    install(state, out)
    return out


def test_what_is_to_last_refuses_results_that_are_not_finished(
    states: tuple[Path, list[State]], tmp_path: Path, sreval: Callable[..., Any]
) -> None:
    out = stopped(states, 2)
    said = f"Error: The run into {out} has not ended. Unfinished: 2 of 4 images of photos are done."
    packed = sreval("archive", out, "--out", tmp_path / "a.zip")
    assert packed.code == 1
    assert said in packed.err
    assert not (tmp_path / "a.zip").exists()
    design = design_of(["nearest"], [{"name": "photos"}])
    with pytest.raises(DataError, match=r"has not ended\. Unfinished: 2 of 4"):
        available(design, [out])


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "csv", "json"])
def test_a_table_of_a_stopped_run_says_so_in_every_form(
    states: tuple[Path, list[State]], form: str, sreval: Callable[..., Any]
) -> None:
    out = stopped(states, 3)
    said = "Unfinished: 3 of 4 images of photos are done."
    shown = sreval("table", out, "--format", form)
    assert shown.code == 0
    assert (said in shown.out, said in shown.err) == (form != "csv", form == "csv")


def test_figures_of_a_stopped_run_find_its_images(
    states: tuple[Path, list[State]], tmp_path: Path, sreval: Callable[..., Any]
) -> None:
    out = stopped(states, 3)
    for words in (
        ("figure", "comparison", out, "--dataset", "photos", "--image", "ant"),
        ("figure", "scores", out, "--dataset", "photos"),
    ):
        shown = sreval(*words, "--out", tmp_path / "f.png")
        assert shown.code == 0
        assert "Unfinished: 3 of 4 images of photos are done." in shown.err
    assert "nearest, mean of 3 images" in sreval("compare-protocols", out).out


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 2}', '{"format": 2, "started": 3, "run": {}}']
)
def test_an_under_way_json_that_makes_no_sense_is_no_run(
    states: tuple[Path, list[State]], content: str
) -> None:
    out, found = states
    install(found[-1], out)
    (out / UNDER_WAY).write_text(content)
    (out / JOURNAL).write_bytes(b"\xff\x00{]\n[[[[\n")
    assert not Snapshot.of(out).asked


def test_what_was_done_to_pairs_is_told_of_each_scale_apart() -> None:
    rows = [
        (dataset, scale, image, 1.0, "cut" if image in cut else "")
        for dataset, scale, cut in (("ph", 2.5, "ab"), ("ph", 4, "b"), ("other", 4, ""))
        for image in "abc"
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "scale", "image", "value", "note"])
    frame["method"] = "bicubic"
    several = "cut: ph ×2.5 2 of 3 images (a, b); ph ×4 1 of 3 images (b)."
    assert results.remarks(frame) == [several]
    assert results.remarks(frame[frame["scale"] == 4]) == ["cut: ph 1 of 3 images (b)."]
