"""A supplement holds what a reader needs, and nothing that leads to a person or a machine."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sreval.benchmarking.results import ResultsFolder
from sreval.opinions.reading import read_ratings
from sreval.report.anonymous import VOTES, Places, anonymous_votes
from sreval.report.archive import archive
from sreval.study.data import StudyData
from tests.report.study_builder import into_store, make_study, of_results

Run = Callable[..., Any]
SECRET = "COMPLETION-CODE-7391"


@pytest.fixture
def study(here: Path, scored: pd.DataFrame) -> StudyData:
    """A closed study of the demo's images in ./studies/small."""
    data = of_results(scored, outcomes={"complete": SECRET})
    into_store(data, here / "studies/small")
    return data


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


def test_it_packs_results_and_a_study(
    sreval: Run, here: Path, demo_run: Path, study: StudyData
) -> None:
    ran = sreval("archive", demo_run, "small", "--baseline", "bicubic", "--out", "s.zip")
    assert ran.code == 0, ran.err
    assert ran.out == "s.zip\n"
    packed = members(here / "s.zip")
    tables = {f"tables/{p}_x4{e}" for p in ("ledig2017", "matlab")
              for e in (".txt", ".tex", ".csv", "-tests.csv")}  # fmt: skip
    own = {f"results/results/{name}" for name in ("results.csv", "manifest.json", "commands.txt")}
    rated = {f"studies/small/{name}" for name in (
        "design.json", "stimuli.json", "study.json", "votes.csv", "opinions.txt",
        "opinions-01-mos.csv", "opinions-02-compare.csv")}  # fmt: skip
    rest = {"README.txt", "SHA256SUMS", "methods.txt", "data-dictionary.md"}
    assert set(packed) == tables | own | rated | rest
    assert packed["results/results/results.csv"] == (demo_run / "results.csv").read_bytes()
    assert b"MOS, simulated" in packed["tables/matlab_x4.txt"]
    assert b"\\toprule" in packed["tables/matlab_x4.tex"]
    listed = packed["README.txt"].decode().splitlines()
    assert set(packed) <= set(listed)
    compared = listed.index("studies/small/opinions-02-compare.csv")
    assert listed[compared + 1] == "    Every table of opinions.txt, with all digits."
    sums = dict(line.split("  ")[::-1] for line in packed["SHA256SUMS"].decode().splitlines())
    assert sums.keys() == packed.keys() - {"SHA256SUMS"}
    assert all(hashlib.sha256(packed[name]).hexdigest() == found for name, found in sums.items())


def test_nothing_in_it_leads_to_a_person_or_a_machine(
    here: Path, demo_run: Path, study: StudyData
) -> None:
    archive([demo_run], [here / "studies/small"], here / "s.zip")
    packed = members(here / "s.zip")
    packed.pop("data-dictionary.md")  # has a date as an example
    everything = b"\n".join(packed.values()).decode()
    manifest = (demo_run / "manifest.json").read_text()
    gone = {SECRET, str(demo_run.parent), str(here), str(Path.home()), "shown_at,", "2026-03-01"}
    gone |= set(study.votes["rater"]) | set(study.sessions["session"])
    gone |= {str(Path(image["hr"]).parent) for image in
             json.loads(manifest)["datasets"]["demo_x4"]["images"].values()}  # fmt: skip
    assert [one for one in gone if one in everything] == []
    assert json.loads(manifest)["runs"][0]["code"] in everything


def test_the_votes_are_all_there_and_give_the_same_scores(
    here: Path, demo_run: Path, study: StudyData
) -> None:
    archive([], [here / "studies/small"], here / "s.zip")
    data = members(here / "s.zip")["studies/small/votes.csv"]
    (here / "votes.csv").write_bytes(data)
    votes = pd.read_csv(io.BytesIO(data))
    assert set(votes.columns) <= set(VOTES)
    assert votes["simulated"].all()
    assert votes["position"].dtype == int

    def by_rater(frame: pd.DataFrame) -> list[list[tuple[Any, ...]]]:
        columns = ["image", "method", "kind", "score"]
        return sorted(
            sorted(own[columns].itertuples(index=False, name=None))
            for _, own in frame.groupby("rater")
        )

    assert by_rater(votes) == by_rater(study.votes)
    read = read_ratings(here / "votes.csv").table
    assert len(read) == len(study.votes)


def test_a_raters_number_depends_on_neither_pseudonym_nor_order() -> None:
    data = make_study()
    names = sorted(data.votes["rater"].unique())
    other = {name: f"z-{index}" for index, name in enumerate(reversed(names))}
    renamed = replace(
        data,
        votes=data.votes.assign(rater=data.votes["rater"].map(other)).iloc[::-1],
        sessions=data.sessions.assign(rater=data.sessions["rater"].map(other)),
    )
    # within a rater the order of the votes is that of their positions, which these lack
    ours, theirs = (
        anonymous_votes(replace(one, votes=one.votes.sort_values(["dataset", "image", "method",
        "kind"], kind="stable"))) for one in (data, renamed)
    )  # fmt: skip
    pd.testing.assert_frame_equal(ours, theirs)
    numbers = data.votes["rater"].map({n: i for i, n in enumerate(names, 1)})
    by_name = data.votes.assign(number=numbers)
    mean = by_name.groupby("number")["score"].mean().tolist()
    assert mean != ours.groupby("rater")["score"].mean().tolist()


def test_votes_of_a_deleted_rater_are_left_out() -> None:
    data = make_study()
    gone = data.sessions["rater"].iloc[0]
    data = replace(data, sessions=data.sessions.iloc[1:])
    left = anonymous_votes(data)
    assert left["rater"].nunique() == 5
    assert len(left) == (data.votes["rater"] != gone).sum()


def test_a_study_without_votes_can_be_packed(here: Path) -> None:
    data = make_study()
    into_store(replace(data, votes=data.votes.iloc[:0]), here / "studies/small")
    archive([], [here / "studies/small"], here / "s.zip")
    packed = members(here / "s.zip")
    assert json.loads(packed["studies/small/study.json"])["raters"] == 0
    assert len(packed["studies/small/votes.csv"].splitlines()) == 1


def test_a_hidden_reference_has_its_table_and_methods_tell_of_the_study(here: Path) -> None:
    data = make_study({"Set5": 5}, task={"kind": "acr-hr"}, order={"scene_distance": 2})
    into_store(data, here / "studies/small")
    archive([], [here / "studies/small"], here / "s.zip")
    packed = members(here / "s.zip")
    assert "studies/small/opinions-02-difference.csv" in packed
    assert b"Difference scores (ACR-HR)" in packed["studies/small/opinions.txt"]
    text = packed["methods.txt"].decode()
    votes = len(data.opinions)
    for said in (
        "absolute category rating with hidden reference", "Set5 (5 images by 4 methods)",
        f"{votes} votes of 6 raters count", "all pairs of methods", "Student's t test",
        "over raters and images, alpha 0.05, Holm", "SIMULATED",
    ):  # fmt: skip
        assert said in text, text


def test_the_same_input_gives_the_same_bytes(here: Path, demo_run: Path, study: StudyData) -> None:
    folders = [here / "studies/small"]
    first = archive([demo_run], folders, here / "a.zip").read_bytes()
    assert archive([demo_run], folders, here / "b.zip").read_bytes() == first


def test_images_are_packed_as_they_were_scored(here: Path, demo_run: Path) -> None:
    archive([demo_run], [], here / "s.zip", images=True)
    packed = members(here / "s.zip")
    made = [path for path in (demo_run / "images").rglob("*.png") if path.is_file()]
    assert len(made) == 15
    for path in made:
        name = f"results/results/{path.relative_to(demo_run).as_posix()}"
        assert packed[name] == path.read_bytes()
    assert "15 SR images, as they were scored." in packed["README.txt"].decode()


def test_an_archive_is_written_over_only_when_asked(
    sreval: Run, here: Path, demo_run: Path
) -> None:
    (here / "s.zip").write_bytes(b"mine")
    ran = sreval("archive", demo_run, "--out", "s.zip")
    assert (ran.code, "s.zip exists already. Name a new file, or add --replace." in ran.err) == (
        2,
        True,
    )
    assert (here / "s.zip").read_bytes() == b"mine"
    assert sreval("archive", demo_run, "--out", "s.zip", "--replace").code == 0
    assert "README.txt" in members(here / "s.zip")


def test_an_open_study_is_refused_unless_asked_for(
    sreval: Run, here: Path, scored: pd.DataFrame
) -> None:
    data = of_results(scored)
    into_store(data, here / "studies/small", "open")
    refusal = "and its design hides its results until it is closed. Close it: sreval study close"
    for more in ([], ["--allow-open"]):
        ran = sreval("archive", "small", "--out", "s.zip", *more)
        assert (ran.code, f"Study small is open, {refusal} small.\n" in ran.err) == (2, True)
        assert not (here / "s.zip").exists()
    analysis = data.design.analysis.model_copy(update={"look_before_close": True})
    shown = replace(data, design=data.design.model_copy(update={"analysis": analysis}))
    into_store(shown, here / "mine/a study", "open")
    ran = sreval("archive", "mine/a study", "--out", "s.zip")
    assert "sreval study close 'mine/a study'. Or look before the end: --allow-open." in ran.err
    assert sreval("archive", "mine/a study", "--out", "s.zip", "--allow-open").code == 0
    assert sreval("study", "close", "mine/a study", "--yes").code == 0
    assert sreval("archive", "mine/a study", "--out", "s.zip", "--replace").code == 0


def test_a_study_of_other_images_is_refused(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    into_store(make_study(), here / "studies/small")
    ran = sreval("archive", demo_run, "small", "--out", "s.zip")
    assert (ran.code, "rated stimuli" in ran.err) == (1, True)
    assert not (here / "s.zip").exists()


def test_a_name_that_means_nothing_is_refused(sreval: Run, here: Path) -> None:
    ran = sreval("archive", "no-such-thing", "--out", "s.zip")
    assert ran.code == 2
    assert "no-such-thing is neither a folder of results nor a study." in ran.err
    assert "ledig2017" in ran.err
    (here / "results").mkdir()
    ran = sreval("archive", "./results", "--out", "s.zip")
    assert "results is neither a folder of results nor a study." in ran.err


MANIFEST = {
    "runs": [{"directory": "/home/jane doe/drafts/paper", "command": ""}],
    "datasets": {"photos_x4": {"source": "/home/jane doe/photos"}},
    "files": {
        "/home/jane doe/drafts/paper/net.py": "1",
        "/mnt/one/a/net.py": "2",
        "/mnt/two/a/net.py": "3",
    },
}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/jane doe/drafts/paper", "."),
        ("/home/jane doe/drafts/paper/net.py", "./net.py"),
        ("/home/jane doe/drafts/paperback", "~/drafts/paperback"),
        ("/home/jane doe/photos/c.png is not an image.", "~/photos/c.png is not an image."),
        ("published:/srv/joe/theirs", "published:.../theirs"),
        ("python:net:up,weights=/data/joe/net.pt", "python:net:up,weights=.../net.pt"),
        ("/Users/bob/x.png", "~/x.png"),
        ("C:\\Users\\bob\\x.png", "~\\x.png"),
        ("D:\\data\\bob\\x.png", ".../x.png"),
        ("Set5/img_001 at 1/2, https://example.org/a/b", "Set5/img_001 at 1/2, https://example.org/a/b"),
    ],
)  # fmt: skip
def test_a_path_keeps_what_it_ends_in(text: str, left: str) -> None:
    assert Places(MANIFEST)(text) == left


def test_no_file_of_a_manifest_is_lost_with_its_folder() -> None:
    files = Places(MANIFEST).of(MANIFEST)["files"]
    assert sorted(files.values()) == ["1", "2", "3"]
    assert set(files) == {"./net.py", ".../a/net.py", ".../a/net.py (2)"}


def test_a_call_in_python_is_told(here: Path, photograph: Any) -> None:
    import sreval
    from sreval.images.io import write_png

    def ours(lr: Any, scale: int) -> Any:
        return lr.repeat(scale, 0).repeat(scale, 1)

    write_png(here / "my photos/a.png", photograph)
    methods = {"ours": ours, "near": "nearest"}
    results = sreval.benchmark(
        methods, here / "my photos", out="r", metrics="psnr", workers=1, progress=False
    )
    sreval.archive(results, "s.zip")
    line = members(here / "s.zip")["results/r/commands.txt"].decode()
    (call,) = ast.parse(line).body
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert "ours, 'near': 'nearest'}" in line
    given = {word.arg: ast.literal_eval(word.value) for word in call.value.keywords}
    assert given == {"out": "r", "metrics": ["psnr"], "workers": 1}
    assert str(here) not in line
    assert "my photos" in line


def test_commands_stay_commands(here: Path, sreval: Run, photograph: Any) -> None:
    from sreval.images.io import write_png

    write_png(here / "my photos/a.png", photograph)
    command = ("benchmark", "--method", "nearest", "--dataset", here / "my photos", "--out", "r")
    assert sreval(*command).code == 0
    archive([here / "r"], [], here / "s.zip")
    packed = members(here / "s.zip")
    manifest = json.loads(packed["results/r/manifest.json"])
    assert manifest.keys() == ResultsFolder(here / "r").manifest.keys()
    assert str(here) not in packed["results/r/manifest.json"].decode()
    for line in packed["results/r/commands.txt"].decode().splitlines():
        assert shlex.split(line)
