"""A name never stands for identity: what is reused, printed or joined is what it says it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from sreval.files import sha256_bytes
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]
Sreval = Callable[..., Any]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that holds ``photos``, three images that differ."""
    images(tmp_path / "photos", photograph, "ant", "bee", "cow")
    monkeypatch.chdir(tmp_path)
    # Python takes a source for unchanged by its size and second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def images(folder: Path, photograph: UInt8, *names: str) -> None:
    for name in names:
        shift = 17 * (ord(name[0]) % 7)
        write_png(folder / f"{name}.png", np.roll(photograph, shift, axis=1)[:48, :60].copy())


def run(
    sreval: Sreval,
    *methods: str,
    data: tuple[Path | str, ...] = ("photos",),
    out: Path | str = "r",
    more: tuple[str, ...] = (),
) -> Any:
    words = [word for method in methods for word in ("--method", method)]
    words += [word for one in data for word in ("--dataset", str(one))]
    return sreval("benchmark", *words, "--metric", "psnr", "--out", out, "--workers", "1", *more)


def counts(ran: Any) -> tuple[int, int]:
    """How many images a run computed and took over."""
    found = re.search(r"(\d+) images? computed, (\d+) taken over", ran.err)
    assert found, ran.err
    return int(found[1]), int(found[2])


def means(sreval: Sreval, *folders: str) -> dict[tuple[str, str], tuple[float, int]]:
    """Mean and n by data set and method, as ``sreval table`` prints them."""
    ran = sreval("table", *folders, "--json")
    assert ran.code == 0, ran.err
    figures = json.loads(ran.out)["figures"]
    return {(f["dataset"], f["method"]): (f["mean"], f["n"]) for f in figures}


def sentence(ran: Any) -> str:
    assert ran.code != 0
    [line] = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    return str(line.removeprefix("Error: "))


def assert_as_fresh(sreval: Sreval, *methods: str, **given: Any) -> Any:
    """Run into ``r`` and into a new folder: both print one table. The first run is returned."""
    ran = run(sreval, *methods, **given)
    fresh = run(sreval, *methods, **{**given, "out": "fresh"})
    assert ran.code == fresh.code == 0, ran.err + fresh.err
    assert ran.out.replace("r\n", "") == fresh.out.replace("fresh\n", "")
    assert means(sreval, "r") == means(sreval, "fresh")
    return ran


# Methods


@pytest.mark.parametrize(("first", "second"), [("nearest", "bicubic"), ("lanczos", "hr")])
def test_a_name_that_means_another_method_is_computed_anew(
    sreval: Sreval, first: str, second: str
) -> None:
    run(sreval, f"x={first}")
    assert counts(assert_as_fresh(sreval, f"x={second}")) == (3, 0)


def test_an_edited_plan_is_run_as_it_stands(sreval: Sreval) -> None:
    for method in ("nearest", "lanczos"):
        Path("plan.toml").write_text(f'methods = ["x={method}"]\ndatasets = ["photos"]\n')
        for out in ("r", method):
            assert sreval("benchmark", "--plan", "plan.toml", "--out", out).code == 0
        assert means(sreval, "r") == means(sreval, method)


TWO = """
def near(lr):
    return lr.repeat(4, 0).repeat(4, 1)

def dark(lr):
    return near(lr) // 2
"""


@pytest.mark.parametrize("named", ["", ",code=net.py"])
def test_another_function_of_one_file_is_another_method(sreval: Sreval, named: str) -> None:
    Path("net.py").write_text(TWO)
    run(sreval, f"ours=python:net:near{named}")
    assert counts(assert_as_fresh(sreval, f"ours=python:net:dark{named}")) == (3, 0)


READS = """
import numpy as np
import helper

W = np.load("w.npy")

def up(lr):
    return lr.repeat(4, 0).repeat(4, 1) * W * helper.GAIN
"""


@pytest.fixture
def reads() -> None:
    """A module that reads weights and a helper module."""
    Path("net.py").write_text(READS)
    Path("helper.py").write_text("GAIN = 1.0\n")
    np.save("w.npy", 0.5)


def change_weights() -> None:
    np.save("w.npy", 0.9)


def change_helper() -> None:
    Path("helper.py").write_text("GAIN = 0.7\n")


def change_module() -> None:
    Path("net.py").write_text(READS.replace("helper.GAIN", "0.6"))


CHANGES = [change_weights, change_helper, change_module]


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("named", ["", ",weights=w.npy"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_function_is_what_it_reads(
    sreval: Sreval, named: str, change: Callable[[], None]
) -> None:
    run(sreval, f"ours=python:net:up{named}")
    change()
    assert counts(assert_as_fresh(sreval, f"ours=python:net:up{named}")) == (3, 0)


@pytest.mark.usefixtures("reads")
def test_a_function_that_names_its_files_is_taken_over(sreval: Sreval) -> None:
    run(sreval, "ours=python:net:up,weights=w.npy")
    Path("unrelated.py").write_text("1\n")
    assert counts(run(sreval, "ours=python:net:up,weights=w.npy")) == (0, 3)
    [meaning] = json.loads(Path("r/manifest.json").read_text())["methods"]["ours"]
    assert meaning["specification"] == f"python:net:up,weights={Path('w.npy').resolve()}"
    assert meaning["files"] == {
        str(Path(name).resolve()): sha256_bytes(Path(name).read_bytes())
        for name in ("helper.py", "net.py", "w.npy")
    }
    assert set(pd.read_csv("r/results.csv")["method_sha256"]) == {meaning["sha256"]}


@pytest.mark.usefixtures("reads")
def test_a_function_that_names_none_is_computed_anew_and_the_remedy_ends_that(
    sreval: Sreval,
) -> None:
    first = run(sreval, "ours=python:net:up")
    told = re.search(r"ours is Python code: .* Add (,weights=)FILE to a method", first.err)
    assert told
    assert counts(run(sreval, "ours=python:net:up")) == (3, 0)
    remedied = run(sreval, f"ours=python:net:up{told[1]}w.npy")
    assert "its images anew" not in remedied.err
    assert counts(run(sreval, f"ours=python:net:up{told[1]}w.npy")) == (0, 3)


def test_a_module_that_is_imported_late_counts(sreval: Sreval) -> None:
    Path("net.py").write_text(
        "import sys\n\ndef up(lr):\n    sys.path.insert(0, '.')\n    import late\n"
        "    return lr.repeat(4, 0).repeat(4, 1) * late.GAIN\n"
    )
    spec = "ours=python:net:up,code=net.py"
    Path("late.py").write_text("GAIN = 1.0\n")
    run(sreval, spec)
    assert counts(run(sreval, spec)) == (0, 3)
    Path("late.py").write_text("GAIN = 0.7\n")
    assert counts(assert_as_fresh(sreval, spec)) == (3, 0)


def test_another_function_s_module_does_not_count(sreval: Sreval) -> None:
    for name in ("one", "two"):
        Path(f"{name}.py").write_text(TWO)
    specs = [f"{name}=python:{name}:near,code={name}.py" for name in ("one", "two")]
    run(sreval, *specs)
    Path("two.py").write_text(TWO.replace("// 2", "// 3"))
    assert counts(run(sreval, *specs)) == (3, 3)
    assert counts(run(sreval, specs[0])) == (0, 3)


@pytest.mark.parametrize("name", ["a,b.npy", "a,c=d.npy"])
def test_a_file_whose_path_holds_a_comma_can_be_named(sreval: Sreval, name: str) -> None:
    Path("net.py").write_text(TWO)
    np.save("a", 1)
    np.save(name, 1)
    spec = f"ours=python:net:near,other=net.py,weights={name}"
    assert run(sreval, spec).code == 0
    assert counts(run(sreval, spec)) == (0, 3)
    np.save(name, 2)
    assert counts(run(sreval, spec)) == (3, 0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("python:net:near,w.npy", "Can't read 'w.npy' in python:net:near,w.npy. Name a file"),
        ("python:net:near,w=gone.npy", "names a file that isn't there: 'gone.npy'. Check"),
        ("python:net:near,w=net.py,w=net.py", "names 'w' twice. Give each file its own key."),
    ],
)
def test_files_that_can_not_be_meant(sreval: Sreval, spec: str, message: str) -> None:
    Path("net.py").write_text(TWO)
    assert message in sentence(run(sreval, spec))
    assert not Path("r").exists()


def test_a_named_file_that_changes_during_the_run_fails_the_image(sreval: Sreval) -> None:
    Path("net.py").write_text(
        "from pathlib import Path\n\ndef up(lr):\n    Path('w').write_text('changed')\n"
        "    return lr.repeat(4, 0).repeat(4, 1)\n"
    )
    Path("w").write_text("first")
    ran = run(sreval, "ours=python:net:up,weights=w")
    assert ran.code == 1
    assert f"{Path('w').resolve()} has changed since this run began. Run it again." in ran.err


SLOW = """
import time
from pathlib import Path

def up(lr):
    with Path("calls").open("a") as calls:
        calls.write("x")
    time.sleep(0.1)
    return lr.repeat(4, 0).repeat(4, 1)
"""


def test_a_killed_run_of_a_function_that_names_no_files_goes_on(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    Path("net.py").write_text(SLOW)
    images(work / "photos", photograph, *"defghij")
    words = "--method ours=python:net:up --dataset photos --metric psnr --workers 1 --out r"
    killed = subprocess.Popen(
        [sys.executable, "-m", "sreval", "benchmark", *words.split()],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )
    journal, end = Path("r/journal.jsonl"), time.monotonic() + 120
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 3):
        assert killed.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    Path("calls").unlink()
    computed, reused = counts(run(sreval, "ours=python:net:up"))
    assert reused >= 3
    assert computed + reused == 10
    assert len(Path("calls").read_text()) == computed
    assert counts(run(sreval, "ours=python:net:up")) == (10, 0)  # that run has ended


def test_the_tile_is_part_of_the_method(sreval: Sreval) -> None:
    spec = "espcn"
    assert counts(run(sreval, spec)) == (3, 0)
    assert counts(run(sreval, spec, more=("--tile", "16"))) == (3, 0)
    assert counts(run(sreval, spec, more=("--tile", "16"))) == (0, 3)


# Columns


def test_one_column_of_two_methods_is_refused_and_the_remedy_mends_it(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "q", photograph, "dog", "eel")
    run(sreval, "ours=lanczos", "bicubic", data=("photos", "q"))
    run(sreval, "ours=bicubic")
    for refusing in (
        ("table", "r"),
        ("figure", "scores", "r", "--dataset", "q", "--out", "s.png"),
        ("compare-protocols", "r"),
    ):
        said = sentence(sreval(*refusing))
        assert said.startswith(
            "These results hold different methods called ours: bicubic on photos; lanczos on q. "
            "Run it on photos and q again in one command, as in `--method ours=bicubic`."
        )
    run(sreval, "ours=bicubic", data=("photos", "q"))
    run(sreval, "ours=bicubic", "bicubic", data=("photos", "q"), out="fresh")
    assert means(sreval, "r") == means(sreval, "fresh")


def test_one_column_of_two_methods_in_two_folders_is_refused(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "q", photograph, "dog")
    run(sreval, "ours=lanczos", "bicubic")
    run(sreval, "ours=nearest", data=("q",), out="r2")
    said = sentence(sreval("table", "r", "r2"))
    assert "lanczos on photos; nearest on q" in said
    assert "another name into a new folder, as in `--method ours-2=nearest`." in said
    run(sreval, "ours=lanczos", data=("q",), out="r2")
    assert set(means(sreval, "r", "r2")) >= {("photos", "ours"), ("q", "ours")}


@pytest.mark.usefixtures("reads")
def test_a_function_of_two_runs_that_names_no_files_may_be_two_methods(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "q", photograph, "dog")
    run(sreval, "ours=python:net:up")
    run(sreval, "ours=python:net:up", data=("q",))
    assert "These results hold different methods called ours" in sentence(sreval("table", "r"))
    for one in ("photos", "q"):
        run(sreval, "ours=python:net:up,weights=w.npy", data=(one,))
    assert set(means(sreval, "r")) == {("photos", "ours"), ("q", "ours")}


def test_a_published_folder_is_the_method(sreval: Sreval, work: Path, photograph: UInt8) -> None:
    for folder in ("a", "b"):
        images(work / folder, photograph, "ant", "bee", "cow")
    write_png(work / "b" / "ant.png", photograph[:48, :60][::-1].copy())
    run(sreval, "ours=published:a")
    assert counts(assert_as_fresh(sreval, "ours=published:b"))[0] == 3
    write_png(work / "b" / "bee.png", photograph[:48, :60][::-1].copy())
    assert counts(run(sreval, "ours=published:b")) == (1, 2)


# Data sets


def test_an_image_that_left_its_data_set_is_in_no_mean(sreval: Sreval) -> None:
    run(sreval, "bicubic", "nearest")
    Path("photos/cow.png").unlink()
    run(sreval, "bicubic")
    run(sreval, "bicubic", "nearest", out="fresh")
    assert means(sreval, "r") == means(sreval, "fresh")
    assert {n for _, n in means(sreval, "r").values()} == {2}


def test_what_a_renamed_image_leaves_is_named_until_it_is_deleted(sreval: Sreval) -> None:
    run(sreval, "bicubic", "nearest")
    Path("photos/cow.png").rename("photos/ox.png")
    ran = run(sreval, "bicubic", "nearest")
    assert counts(ran) == (2, 4)
    left = "images/photos_x4/bicubic/cow.png, images/photos_x4/nearest/cow.png"
    said = f"SR images in r without a score, which can be deleted: {left}."
    assert said in ran.err.splitlines()
    for path in left.split(", "):
        Path("r", path).unlink()
    assert "without a score" not in run(sreval, "bicubic", "nearest").err


def replaced(work: Path, photograph: UInt8) -> None:
    write_png(work / "photos" / "cow.png", photograph[:48, :60][::-1].copy())


def joined(work: Path, photograph: UInt8) -> None:
    images(work / "photos", photograph, "dog")


@pytest.mark.parametrize("change", [replaced, joined])
def test_scores_on_a_data_set_that_has_changed_since_are_left_out_and_the_table_says_so(
    sreval: Sreval, work: Path, photograph: UInt8, change: Callable[[Path, UInt8], None]
) -> None:
    run(sreval, "bicubic", "nearest")
    change(work, photograph)
    run(sreval, "bicubic")
    run(sreval, "bicubic", out="fresh")
    shown = sreval("table", "r")
    name = "cow" if change is replaced else "dog"
    assert (
        "photos: scores of nearest are left out. It wasn't run on these images, which are "
        f"new or have changed: {name}. "
        "Run nearest on photos again." in " ".join(shown.out.split())
    )
    told = means(sreval, "r")
    assert told["photos", "bicubic"] == means(sreval, "fresh")["photos", "bicubic"]
    assert counts(run(sreval, "nearest")) == (1, 3 if change is joined else 2)
    run(sreval, "bicubic", "nearest", out="whole")
    assert means(sreval, "r") == means(sreval, "whole")


def test_a_run_with_nothing_to_do_decodes_no_image(
    sreval: Sreval, work: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hashes of its files tell that; with something to do, it is as fresh."""
    images(work / "whole", photograph, "ant", "bee")
    run(sreval, "bicubic", data=("whole",))

    def refused(path: Path) -> None:
        raise AssertionError(path)

    with monkeypatch.context() as patched:
        patched.setattr("sreval.images.datasets.read_image", refused)
        assert counts(run(sreval, "bicubic", data=("whole",))) == (0, 2)
    Path("r/inputs/whole_x4/LR/ant.png").write_bytes(b"")
    assert counts(run(sreval, "bicubic", "nearest", data=("whole",))) == (2, 2)
    run(sreval, "bicubic", "nearest", data=("whole",), out="fresh")
    assert means(sreval, "r") == means(sreval, "fresh")


def test_what_each_run_makes_anew_is_told_in_one_line_of_each_kind(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "whole", photograph, "ant")
    code = "import numpy as np\ndef up(lr):\n    return np.kron(lr, np.ones((4, 4, 1), np.uint8))\n"
    (work / "own.py").write_text(f"{code}def level(hr, sr):\n    return float(sr.mean())\n")
    asked = ["--metric", "python:own:level", "--dataset", "whole", "--out", "r"]
    for name in ("a", "b", "c"):
        asked += ["--method", f"{name}=python:own:up"]
    ran = sreval("benchmark", *asked)
    assert [line for line in ran.err.splitlines() if "anew" in line] == [
        "a, b, c are Python code: each run computes their images anew. Add ,weights=FILE to a "
        "method that has a file of weights, and they are kept.",
        "level is Python code: each run computes its scores anew. Add ,weights=FILE to a metric "
        "that has a file of weights, and they are kept.",
    ]
    (work / "w").write_text("")
    ran = sreval(
        "benchmark", *(f"{a},weights=w" if a.endswith(("up", "level")) else a for a in asked)
    )
    assert "anew" not in ran.err


def test_a_data_set_that_gains_originals_is_told_apart_in_words(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "low", photograph[::4, ::4].copy(), "ant")
    images(work / "whole", photograph, "ant")
    (work / "own.py").write_text("def level(sr):\n    return float(sr.mean())\n")
    asked = ("--method", "bicubic", "--metric", "python:own:level,reference=no", "--out", "r")
    assert sreval("benchmark", "--dataset", "lr=low,name=P", *asked).code == 0
    said = sentence(sreval("benchmark", "--dataset", "hr=whole,lr=low,name=P", *asked))
    assert (
        f"called 'P': that one has LR images alone, in {work}/low; this one has originals, in "
        f"{work}/whole. Give" in said
    )


def test_two_data_sets_of_one_name_are_refused_and_the_remedy_keeps_both(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "A/HR", photograph, "ant", "bee")
    images(work / "B 2/HR", photograph, "cow")
    run(sreval, "bicubic", data=("A/HR",))
    before = Path("r/results.csv").read_bytes()
    refused = run(sreval, "bicubic", data=("B 2/HR",))
    assert refused.code == 2
    said = sentence(refused)
    assert f"another data set called 'HR': {work}/A/HR, not {work}/B 2/HR." in said
    assert Path("r/results.csv").read_bytes() == before
    assert not Path("r/journal.jsonl").exists()
    remedy = re.search(r"`--dataset (.*?)`", said)
    assert remedy
    run(sreval, "bicubic", data=tuple(shlex.split(remedy[1])))
    assert {name: n for (name, _), (_, n) in means(sreval, "r").items()} == {"HR": 2, "HR-2": 1}


def test_the_remedy_for_a_set_of_frames_names_all_its_sequences(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    for sequence in ("dance", "walk"):
        images(work / "A/cal" / sequence, photograph, "a")
        images(work / "pool" / sequence, photograph, "c")
        (work / "B/cal").mkdir(parents=True, exist_ok=True)
        (work / "B/cal" / sequence).symlink_to(work / "pool" / sequence)
    run(sreval, "bicubic", data=("A/cal",))
    assert json.loads(Path("r/manifest.json").read_text())["datasets"]["cal_x4"]["source"] == str(
        work / "A/cal"
    )
    said = sentence(run(sreval, "bicubic", data=("B/cal",)))
    assert f"another data set called 'cal': {work}/A/cal, not {work}/B/cal." in said
    remedy = re.search(r"`--dataset (.*?)`", said)
    assert remedy
    run(sreval, "bicubic", data=tuple(shlex.split(remedy[1])))
    frame = pd.read_csv("r/results.csv")
    assert set(frame.loc[frame["dataset"] == "cal-2", "image"]) == {
        "dance/c",
        "walk/c",
    }


def test_the_note_of_a_crop_is_that_of_a_fresh_run(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    image = work / "odd" / "ant.png"
    write_png(image, photograph[:46, :57].copy())

    def notes(out: str) -> list[str]:
        return list(pd.read_csv(Path(out, "results.csv"), keep_default_na=False)["note"])

    run(sreval, "bicubic", "nearest", data=("odd",))
    whole, first = image.read_bytes(), notes("r")
    image.write_bytes(Path("r/inputs/odd_x4/HR/ant.png").read_bytes())
    assert counts(run(sreval, "bicubic", data=("odd",))) == (0, 1)
    run(sreval, "bicubic", "nearest", data=("odd",), out="fresh")
    assert notes("r") == notes("fresh") != first
    image.write_bytes(whole)
    assert counts(run(sreval, "bicubic", data=("odd",))) == (0, 1)
    assert notes("r") == first


def test_a_folder_of_links_is_the_folder_of_links(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "pool", photograph, "ant", "bee")
    for folder, name in (("A/set", "ant"), ("B/set", "bee")):
        (work / folder).mkdir(parents=True)
        (work / folder / f"{name}.png").symlink_to(work / "pool" / f"{name}.png")
    run(sreval, "bicubic", data=("A/set",))
    said = sentence(run(sreval, "bicubic", data=("B/set",)))
    assert f"{work}/A/set, not {work}/B/set. Give" in said
    assert f"hr={work}/B/set,name=set-2" in said
    # as an earlier version had it
    manifest = Path("r/manifest.json")
    manifest.write_text(manifest.read_text().replace(f'{work}/A/set"', f'{work}/pool"'))
    assert counts(run(sreval, "bicubic", data=("A/set",))) == (0, 1)


def test_two_data_sets_of_one_name_in_two_folders_are_refused(
    sreval: Sreval, work: Path, photograph: UInt8
) -> None:
    images(work / "A/HR", photograph, "ant", "bee")
    images(work / "B/HR", photograph, "ant", "cow")
    run(sreval, "bicubic", data=("A/HR",))
    run(sreval, "nearest", data=("B/HR",), out="r2")
    said = sentence(sreval("table", "r", "r2"))
    assert f"2 images of {work}/A/HR in r and 2 images of {work}/B/HR in r2" in said


def test_a_data_set_that_has_moved_is_the_same(sreval: Sreval, work: Path) -> None:
    run(sreval, "bicubic")
    (work / "elsewhere").mkdir()
    Path("photos").rename("elsewhere/photos")
    assert counts(run(sreval, "bicubic", data=("elsewhere/photos",))) == (0, 3)


def test_scenes_are_those_of_the_data_set_now(sreval: Sreval) -> None:
    Path("s.toml").write_text('name = "S"\nhr = "photos"\n')
    run(sreval, "bicubic", data=("s.toml",))
    with Path("s.toml").open("a") as file:
        file.write('[scenes]\nant = "one"\nbee = "one"\n')
    assert counts(run(sreval, "nearest", data=("s.toml",))) == (3, 0)
    scenes = pd.read_csv("r/results.csv").groupby("image")["scene"].unique().map(list).to_dict()
    assert scenes == {"ant": ["one"], "bee": ["one"], "cow": ["S/cow"]}


@pytest.mark.parametrize("kind", ["hr", "lr"])
def test_pixels_and_hash_are_of_the_same_bytes(
    sreval: Sreval, work: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Every file is replaced by another image as soon as it has been read once."""
    for name in ("ant", "bee", "cow"):
        write_png(work / "low" / f"{name}.png", photograph[:12, :15].copy())
    watched = sorted((work / {"hr": "photos", "lr": "low"}[kind]).iterdir())
    first = {path.stem: sha256_bytes(path.read_bytes()) for path in watched}
    height, width = {"hr": (48, 60), "lr": (12, 15)}[kind]
    waiting = set(watched)
    read_bytes = Path.read_bytes

    def reading(self: Path) -> bytes:
        data = read_bytes(self)
        if self.resolve() in waiting:
            waiting.remove(self.resolve())
            write_png(self, photograph[40 : 40 + height, :width].copy())
        return data

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", reading)
        run(sreval, "nearest", "hr", data=("hr=photos,lr=low",))
    assert not waiting
    frame = pd.read_csv("r/results.csv")
    assert dict(zip(frame["image"], frame[f"{kind}_sha256"], strict=True)) == first
    assert np.isinf(frame.loc[frame["method"] == "hr", "value"]).all()


def test_figures_and_protocols_find_the_images_from_any_directory(
    sreval: Sreval, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sreval, "nearest", data=("photos",))
    (work / "elsewhere").mkdir()
    monkeypatch.chdir(work / "elsewhere")
    out = str(work / "r")
    picture = ("figure", "comparison", out, "--dataset", "photos", "--image", "ant")
    assert sreval(*picture, "--out", "c.png").code == 0
    assert sreval("compare-protocols", out).code == 0
