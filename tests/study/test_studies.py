"""The studies that the package brings."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sreval.content import packaged
from sreval.report.paper import LOSS_VARIANTS, METHOD_ORDER
from sreval.study.check import check
from sreval.study.design import StudyDesign, load_design
from tests.study.designs import manifest_of

FOLDER = packaged("studies")


def load(name: str) -> StudyDesign:
    return load_design(FOLDER / name)


def test_the_schema_that_is_shipped_is_the_design_s() -> None:
    shipped = json.loads((FOLDER / "study.schema.json").read_text(encoding="utf-8"))
    assert shipped == StudyDesign.model_json_schema(), (
        "Run: sreval study schema --out studies/study.schema.json"
    )


def test_ledig2017_is_the_paper_s_test_at_full_size() -> None:
    """PAPER: 26 raters, 12 versions of 19 images and 9 of 100, 20 images for calibration."""
    design = load("ledig2017")
    assert design.raters == 26
    assert design.images.methods == tuple(m for m in METHOD_ORDER if m != "lanczos")
    sizes = {"Set5": 5, "Set14": 14, "BSD100": 100}
    versions = {name: len(design.images.methods_of(name)) for name in sizes}
    assert versions == {"Set5": 12, "Set14": 12, "BSD100": 9}
    pool = {
        name: {f"img_{k:03}": f"{name}/{k}" for k in range(1, count + 1)}
        for name, count in {**sizes, "BSDS300-train": 199}.items()
    }
    found = check(design, manifest_of(pool, design.images.methods))
    assert not found.problems
    assert not found.notes
    assert found.counts["vote"] == 1128
    assert found.counts["calibration"] == 40
    assert found.counts["repeat"] == 10
    assert found.exposures == (26, 26)
    # BT.500 asks for no more than half an hour at once.
    assert all(sitting.minutes < 30 for sitting in found.sittings)


def test_three_studies_explain_every_key() -> None:
    """Every key that a design can have stands in one of the files, at work or in a comment."""
    texts = [
        (FOLDER / n / "study.toml").read_text(encoding="utf-8")
        for n in ("ledig2017", "pairs", "languages")
    ]
    schema = StudyDesign.model_json_schema()
    tables = {"StudyDesign": schema, **schema["$defs"]}
    keys = {key for table in tables.values() for key in table["properties"]}
    text = "\n".join(texts)
    lacking = {key for key in keys if not re.search(rf"^(# )?\[*(.*[ {{.])?{key}\b", text, re.M)}
    assert lacking == set()
    met: set[str] = set()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        key = re.match(r"\w+(?= = )", line)
        if key and key[0] not in met:
            met.add(key[0])
            near = next(li for li in reversed(lines[:number]) if not re.match(r"\w+ = |\[", li))
            assert near.startswith("#"), f"line {number + 1} stands without a comment"


def test_losses_are_the_losses_of_table_1() -> None:
    design = load("losses")
    assert design.images.methods == LOSS_VARIANTS
    assert [part.name for part in design.images.datasets] == ["Set5", "Set14"]


def test_quick_needs_nothing_that_has_to_be_fetched() -> None:
    found = check(load("quick"), None)
    assert not found.problems
    assert found.minutes < 10


def test_pairs_of_the_template_are_balanced() -> None:
    found = check(load("pairs"), None)
    assert not found.problems
    assert [note for note in found.notes if "once the study is frozen" not in note] == []
    counts = {"warm-up": 3, "vote": 30, "repeat": 4, "gold": 4, "same": 2}
    assert {kind: count for kind, count in found.counts.items() if count} == counts
    assert found.exposures == (10, 10)


def test_languages_lacks_no_text() -> None:
    design = load("languages")
    assert design.languages == ("en", "ar", "de")
    assert not check(design, None).problems
    screens = [design.in_language(code).questions[0].screens_out for code in design.languages]
    assert screens == [("no",), ("لا",), ("nein",)]


def test_losses_can_be_met_on_the_public_data(shared_data: Path) -> None:
    assert not check(load("losses"), None).problems
    assert not check(load("ledig2017"), None).problems


def changed(path: str, value: Any) -> dict[str, Any]:
    content = tomllib.loads((FOLDER / "ledig2017" / "study.toml").read_text(encoding="utf-8"))
    at: Any = content
    *parents, last = path.split(".")
    for step in parents:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("images.methods", ["nearest", "nearest"], "'nearest' is given twice"),
        ("images.datasets.2.images", ["img_001", "img_001"], "an image is given twice"),
        ("images.datasets.2.without", ["srgn"], "'srgn' isn't rated"),
        ("calibration.anchors", [{"method": "hr", "score": 5}] * 2, "two anchors"),
        ("calibration.anchors", [{"method": "hr", "score": 6}], "isn't on the scale"),
        ("repeats.0.method", "srgan-mse", "'srgan-mse' isn't rated"),
        ("acceptance.0.limit", 1.5, "takes a limit 0..1"),
        ("questions.0.screens_out", ["never"], "which isn't an option"),
        ("analysis.comparisons", [["hr", "nobody"]], "'nobody' isn't rated"),
        ("name", "Ledig 2017", "should match pattern"),
        ("seed", -1, "greater than or equal to 0"),
        ("raters", 10**20, "less than or equal to 1000000"),
        ("sittings.rest_minutes", 10**12, "less than or equal to 525600"),
        ("votes", 1, "Extra inputs are not permitted"),
    ],
)
def test_a_design_with_a_bad_value_is_refused(path: str, value: Any, what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)):
        StudyDesign.model_validate(changed(path, value))
