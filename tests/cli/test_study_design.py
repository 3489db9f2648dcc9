"""``sreval study new | check | plan | schema`` as a user meets them."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import MANIFEST
from tests.study.designs import manifest_of

Run = Callable[..., Any]
DEMO = ("astronaut", "camera", "chelsea", "coffee", "rocket")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_HOME", raising=False)
    return tmp_path


@pytest.fixture
def frozen(sreval: Run, home: Path) -> Path:
    """A copy of `quick` whose manifest names stimuli that nobody opens."""
    sreval("study", "new", "mine")
    folder = home / "studies" / "mine"
    methods = load_design(folder).images.methods
    pool = {"demo": {name: f"demo/{name}" for name in DEMO}}
    (folder / MANIFEST).write_text(manifest_of(pool, methods).as_json(), encoding="utf-8")
    return folder


def test_new_copies_the_comments_and_changes_the_name_alone(sreval: Run, home: Path) -> None:
    ran = sreval("study", "new", "mine", "--from", "ledig2017")
    path = home / "studies" / "mine" / "study.toml"
    assert (ran.code, ran.out.strip()) == (0, str(path))
    source = Path(__file__).parents[2] / "studies" / "ledig2017" / "study.toml"
    before, after = (p.read_text(encoding="utf-8").splitlines() for p in (source, path))
    assert [new for old, new in zip(before, after, strict=True) if old != new] == ['name = "mine"']
    assert StudyDesign.model_validate(tomllib.loads("\n".join(after))).name == "mine"


def test_new_writes_to_the_user_s_home_where_one_is_set(
    sreval: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_HOME", str(home / "own"))
    assert sreval("study", "new", "mine").code == 0
    assert (home / "own" / "studies" / "mine" / "study.toml").is_file()


@pytest.mark.parametrize("name", ["mine", "quick"])
def test_new_overwrites_and_hides_nothing(sreval: Run, home: Path, name: str) -> None:
    sreval("study", "new", "mine")
    path = home / "studies" / "mine" / "study.toml"
    path.write_text("mine", encoding="utf-8")
    ran = sreval("study", "new", name, "--from", "losses")
    assert ran.code == 2
    assert f"There is a study '{name}' already." in ran.err
    assert path.read_text(encoding="utf-8") == "mine"
    assert [p.name for p in (home / "studies").iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["Mine", "../mine", "-mine", "", "a b", "mine\n"])
def test_new_refuses_names_that_no_folder_should_have(sreval: Run, home: Path, name: str) -> None:
    ran = sreval("study", "new", "--", name)
    assert ran.code == 2
    assert "can't be a study's name" in ran.err
    assert not (home / "studies").exists()


def test_new_from_an_unknown_study_suggests_the_nearest(sreval: Run) -> None:
    ran = sreval("study", "new", "mine", "--from", "ledig2107")
    assert ran.code == 2
    assert "Did you mean 'ledig2017'?" in ran.err


def test_new_needs_a_line_with_the_name(sreval: Run, frozen: Path, home: Path) -> None:
    path = frozen / "study.toml"
    text = path.read_text(encoding="utf-8").replace('name = "mine"', '"name" = "mine"')
    path.write_text(text, encoding="utf-8")
    ran = sreval("study", "new", "other", "--from", "mine")
    assert ran.code == 2
    assert "no line that begins with 'name ='" in ran.err
    assert not (home / "studies" / "other").exists()


def test_check_says_how_long_a_rater_sits(sreval: Run, frozen: Path) -> None:
    ran = sreval("study", "check", "mine")
    assert ran.code == 0
    assert "frozen, 20 stimuli" in ran.out
    assert "about 5 minutes" in ran.out
    assert ran.out.endswith("The design can be met.\n")


def test_check_lists_methods_whose_images_are_not_at_hand(sreval: Run, home: Path) -> None:
    sreval("study", "new", "mine")
    path = home / "studies" / "mine" / "study.toml"
    text = path.read_text(encoding="utf-8").replace(
        '"lanczos", "hr"]', '"lanczos", "selfexsr", "hr"]'
    )
    path.write_text(text, encoding="utf-8")
    ran = sreval("study", "check", "mine")
    assert ran.code == 3
    assert "missing images  demo\nselfexsr        5\n" in ran.out
    assert "sreval study freeze mine --stand-ins" in ran.out


def test_check_takes_results_for_images_at_hand(sreval: Run, home: Path) -> None:
    sreval("study", "new", "mine")
    path = home / "studies" / "mine" / "study.toml"
    text = path.read_text(encoding="utf-8").replace('"lanczos", "hr"]', '"lanczos", "mine", "hr"]')
    path.write_text(text, encoding="utf-8")
    done = sreval("benchmark", "--method", "mine=bicubic", "--dataset", "demo", "--out", "results")
    assert done.code == 0, done.err
    assert sreval("study", "check", "mine").code == 3
    assert sreval("study", "check", "mine", "--results", "results").code == 0


def test_check_of_a_design_that_cannot_be_met(sreval: Run, frozen: Path) -> None:
    path = frozen / "study.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("scene_distance = 3", "scene_distance = 6"), encoding="utf-8")
    ran = sreval("study", "check", "mine")
    assert ran.code == 2
    assert "The design can't be met." in ran.out
    assert "Set order.scene_distance to 5 or less" in ran.out
    told = json.loads(sreval("study", "check", "mine", "--json").out)
    assert told["feasible"] is False
    assert told["problems"][0]["constraint"] == "order.scene_distance"
    refused = sreval("study", "plan", "mine")
    assert refused.code == 2
    assert told["problems"][0]["remedy"] in refused.err


def with_analysis(path: Path, lines: str, raters: int) -> None:
    """Give a design these lines as its table of the analysis, and so many raters."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^\[analysis\]\n(?:(?!\[).*\n?)*", "", text)
    text = re.sub(r"(?m)^raters = \d+$", f"raters = {raters}", text)
    path.write_text(f"{text.rstrip()}\n\n[analysis]\n{lines}\n", encoding="utf-8")


def test_check_warns_of_tests_that_can_show_nothing(sreval: Run, frozen: Path) -> None:
    """Five photographs, four methods: 6 x 2^-4 over images, 6 x 2^-25 over 26 raters."""
    path = frozen / "study.toml"
    with_analysis(path, 'unit = "image"', 26)
    ran = sreval("study", "check", "mine")
    assert ran.code == 0
    assert "the least p on 5 images is 0.0625, adjusted for 6 comparisons 0.375" in ran.out
    assert 'Set analysis.unit to "rater"' in ran.out
    (told,) = json.loads(sreval("study", "check", "mine", "--json").out)["tests"]
    assert (told["n"], told["tests"], told["least_p"]) == (5, 6, 0.0625)
    assert len(told["hopeless"]) == 6
    with_analysis(path, 'unit = "image"\ncomparisons = [["bicubic", "lanczos"]]', 26)
    ran = sreval("study", "check", "mine")
    assert ran.code == 2
    assert "analysis: On demo no outcome could be significant" in ran.out
    with_analysis(path, 'unit = "rater"\ncomparisons = [["bicubic", "lanczos"]]', 26)
    ran = sreval("study", "check", "mine")
    assert ran.code == 0
    assert "no outcome" not in ran.out
    (told,) = json.loads(sreval("study", "check", "mine", "--json").out)["tests"]
    assert told["hopeless"] == []


def test_freeze_tells_of_tests_that_can_show_nothing(sreval: Run, frozen: Path) -> None:
    with_analysis(frozen / "study.toml", 'unit = "rater"', 5)
    ran = sreval("study", "freeze", "mine", "--again")
    assert ran.code == 0
    assert "Note: On demo no outcome could be significant: the least p on 5 raters" in ran.err
    assert "Set raters to 8 or more" in ran.err
    with_analysis(frozen / "study.toml", 'unit = "rater"', 8)
    ran = sreval("study", "freeze", "mine", "--again")
    assert "Note" not in ran.err


def test_check_refuses_an_unknown_key_by_name(sreval: Run, frozen: Path) -> None:
    path = frozen / "study.toml"
    path.write_text("rater = 1\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    ran = sreval("study", "check", "mine")
    assert ran.code == 2
    assert "study.toml, line 1: unknown key 'rater'. Did you mean 'raters'?" in ran.err


def test_plan_prints_what_a_rater_is_shown_and_why(sreval: Run, frozen: Path, home: Path) -> None:
    ran = sreval("study", "plan", "mine", "--rater", "3")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["position", "sitting", "kind", "data", "set", *lines[0].split()[5:]]
    assert len(lines) == 1 + 37
    told = json.loads(sreval("study", "plan", "mine", "--rater", "3", "--json").out)
    assert [item["position"] for item in told] == list(range(1, 38))
    assert sreval("study", "plan", "mine", "--rater", "3", "--out", "plan.csv").code == 0
    with (home / "plan.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["stimulus_sha256"] for row in rows] == [item["stimulus_sha256"] for item in told]
    other = json.loads(sreval("study", "plan", "mine", "--rater", "4", "--json").out)
    assert other != told


def test_plan_of_a_study_that_is_not_frozen_says_what_to_run(sreval: Run) -> None:
    ran = sreval("study", "plan", "quick")
    assert ran.code == 1
    assert "Run: sreval study freeze" in ran.err


def test_schema_is_the_design_s(sreval: Run) -> None:
    assert json.loads(sreval("study", "schema").out) == StudyDesign.model_json_schema()
