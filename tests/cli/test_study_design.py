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
    assert 'Set analysis.unit to "both"' in ran.out
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
    assert "set raters to 8 or more" in ran.err
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


def own_study(home: Path, **lines: str) -> Path:
    """A user's own study of demo, with a table or two in place of the usual ones."""
    texts = {
        "top": "",
        "methods": 'methods = ["bicubic", "hr"]',
        "questions": 'key = "sight"\noptions = ["yes", "no"]',
    } | lines
    folder = home / "studies" / "own"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(
        f"""name = "own"
title = "Own"
instructions = "Rate."
raters = 8
seed = 1
{texts["top"]}
[images]
{texts["methods"]}
[[images.datasets]]
name = "demo"
[consent]
version = "1"
text = "I agree."
[[questions]]
text = "?"
{texts["questions"]}
"""
    )
    return folder


def test_options_are_stripped_as_answers_are(sreval: Run, home: Path) -> None:
    from sreval.store.answers import check_answers

    folder = own_study(
        home, questions='key = "k"\noptions = ["yes ", " no"]\nscreens_out = ["no "]'
    )
    assert sreval("study", "check", "own").code == 0
    design = load_design(folder)
    assert check_answers(design, "before", {"k": "yes "}) == {"k": "yes"}
    assert design.questions[0].screens_out == ("no",)


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ('key = "csrf_token"\nkind = "text"', "'csrf_token' is a name of the site's own"),
        ('key = "facts"\nkind = "text"', "'facts' is a name of the site's own"),
        ('key = "k"\noptions = ["yes", "yes "]', "an option is given twice"),
        ('key = "k"\noptions = ["yes", " "]', "an option is empty"),
        ('key = "k"\noptions = ["yes", "n\\u0007o"]', "an option holds a control character"),
    ],
)
def test_check_refuses_questions_that_no_answer_could_fit(
    sreval: Run, home: Path, questions: str, said: str
) -> None:
    own_study(home, questions=questions)
    ran = sreval("study", "check", "own")
    assert ran.code == 2
    assert re.search(rf"study\.toml, line 1\d: questions\.0.*{re.escape(said)}", ran.err)


def test_check_refuses_a_language_that_the_pages_do_not_speak(sreval: Run, home: Path) -> None:
    own_study(home, top='language = "it"')
    ran = sreval("study", "check", "own")
    assert ran.code == 2
    assert "language: the pages have no translation into 'it'. Set language to one of" in ran.out
    own_study(home, top='language = "de"')
    assert sreval("study", "check", "own").code == 0


@pytest.mark.parametrize(
    ("old", "new", "said", "begins"),
    [
        ('"srgan-vgg54", "hr"', '"srgan-vgg54", "hr", "hr"', "'hr' is given twice", "methods = ["),
        ('name = "Set14"', 'name = "Set5"', "this data set is given twice", ""),
        ('without = ["srresnet-vgg2', 'without = ["srresnet-vgg', "isn't rated. Did you mean", ""),
        ('method = "srgan-vgg54"', 'method = "srgan-vgg22"', "isn't rated on BSD100. Did", ""),
        ('key = "glasses"', 'key = "sight"', "another question has this key", ""),
        ("comparisons = [", 'comparisons = [["hr", "srgn"],', "isn't rated. Did you mean", ""),
        ("comparisons = [", 'comparisons = [["hr", "hr"],', "is compared with itself", ""),
        ("scene_distance = 12", "scene_distance = 999", "order.scene_distance: ", ""),
        ("distance = 200", "distance = 9999", "repeats.distance: ", "[[repeats]]"),
        ("high = 300", "high = 3", "low is 20 and high is 3", "[[questions]]"),
        ('language = "en"', 'language = "xx"', "language: the pages have", ""),
    ],
)
def test_check_names_the_line_of_what_does_not_fit(
    sreval: Run, home: Path, shared_data: Path, old: str, new: str, said: str, begins: str
) -> None:
    """``begins``: with what the line of a longer statement or a block begins."""
    sreval("study", "new", "own", "--from", "ledig2017")
    path = home / "studies" / "own" / "study.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(old, new), encoding="utf-8")
    lines = text.splitlines()
    changed = next(n for n, line in enumerate(lines, 1) if old in line and line[0] != "#")
    number = max(n for n, line in enumerate(lines[:changed], 1) if (begins or old) in line)
    ran = sreval("study", "check", "own")
    assert ran.code == 2
    assert re.search(rf"study\.toml, line {number}: .*{re.escape(said)}", ran.out + ran.err)


def test_check_suggests_the_method_that_was_meant(sreval: Run, home: Path) -> None:
    own_study(home, methods='methods = ["bicubic", "srcn", "hr", "mine"]')
    ran = sreval("study", "check", "own")
    assert "know a method 'srcn'. Did you mean 'srcnn'?" in ran.out
    assert "'mine'" not in ran.out
    own_study(home, methods='methods = ["bicubic", "srcnn", "hr"]')
    assert "Did you mean" not in sreval("study", "check", "own").out


def test_results_of_another_scale_are_refused_with_their_scale(sreval: Run, home: Path) -> None:
    done = sreval("benchmark", "--method", "bicubic", "--dataset", "demo", "--out", "results")
    assert done.code == 0
    own_study(home, methods='scale = 2\nmethods = ["bicubic", "mine", "hr"]')
    for command in ("check", "freeze"):
        ran = sreval("study", command, "own", "--results", "results")
        assert ran.code == 2
        assert "have the scale 4, and images.scale of the design is 2." in ran.err
        assert "Set images.scale to 4, or name results of scale 2." in ran.err


def test_a_short_study_is_told_in_the_singular(sreval: Run, home: Path) -> None:
    folder = own_study(home, methods='methods = ["hr"]')
    path = folder / "study.toml"
    one = path.read_text().replace('name = "demo"', 'name = "demo"\nimages = ["coffee"]')
    path.write_text(one)
    out = sreval("study", "check", "own").out
    assert re.search(r"a rater +1 item: 1 vote\n", out)
    assert re.search(r"sittings +1 item, under a minute\n", out)
    path.write_text(one + "[viewing]\nseconds_an_item = 60\n")
    assert "1 item, about 1 minute\n" in sreval("study", "check", "own").out
    path.write_text(one.replace("coffee", "tea"))
    out = sreval("study", "check", "own").out
    assert re.search(r"a rater +no items\n", out)
    assert "0 items" not in out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("raters = 8", "rater = 12", "line 4: unknown key 'rater'. Did you mean 'raters'?"),
        (
            "[consent]",
            f"[scale]\nwords = {list('abcdefghijkl')}\n[consent]",
            "it has 2 to 11 words, and 12 are given.",
        ),
        (
            "[consent]",
            '[scale]\nwords = ["a"]\n[consent]',
            "it has 2 to 11 words, and 1 are given.",
        ),
        (
            "[consent]",
            '[[gold]]\ndataset = "demo"\nmethod = "hr"\nimages = 1\nlow = 6\nhigh = 6\n[consent]',
            "line 15: gold.0.low = 6: it isn't on the scale. Scores are whole numbers 1..5.",
        ),
        ('version = "1"', "version = 1", "line 12: consent.version = 1: it must be a text."),
    ],
)
def test_what_is_wrong_with_a_design_is_said_with_its_line(
    sreval: Run, home: Path, old: str, new: str, said: str
) -> None:
    path = own_study(home) / "study.toml"
    path.write_text(path.read_text().replace(old, new))
    ran = sreval("study", "check", "own")
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
