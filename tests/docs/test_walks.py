"""The walks of docs/tutorials/, every command of them run, in small.

Only what the tables below say is smaller than in the pages; everything else is run as printed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.walks import PAGES, WALKS, WalkError, blocks, orders, unmarked, walk
from tests.docs.warm import warm

INSTEAD = {
    # No test downloads anything; the sets are there in small, see conftest.py.
    r"sreval data fetch .*": "sreval data list",
    r"--dataset demo\b": "--dataset Set5",
    r"--raters 26": "--raters 2",
    r"--protocol ledig2017 --metric psnr --metric ssim": "--protocol ledig2017 --metric psnr",
}
"""Regular expressions to what is run in their place."""

SMALLER = {
    "walk-raters": {
        'name = "demo"': 'name = "Set5"',
        'dataset = "demo"': 'dataset = "Set5"',
        "images = 3\n": "images = 2\n",
        "images = 5\n": "images = 1\n",
        "distance = 10\n": "distance = 2\n",
        "scene_distance = 3": "scene_distance = 1",
    },
    "walk-paper": {
        "\nimages = 20": "\nimages = 2",
        "\nimages = 10": "\nimages = 2",
        "\ndistance = 200": "\ndistance = 8",
        "scene_distance = 12": "scene_distance = 3",
        "items = 285": "items = 45",
        "break_every = 95": "break_every = 20",
    },
}
"""What is replaced in a study.toml once the page has made it."""


PROGRAMS = ("bash", "cat", "base64", "head", "sed")


def programs(folder: Path) -> Path:
    """A PATH of what the walks use and no LaTeX, which is at home on few machines and slow."""
    (folder / "programs").mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found, f"the walks need {name}"
        (folder / "programs" / name).symlink_to(found)
    return folder / "programs"


@pytest.fixture(scope="module")
def forked(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a `sreval` that is forked; `make evidence` begins each as a reader does."""
    folder = tmp_path_factory.mktemp("forked")
    with warm(folder):
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.evidence) if page == "walk-paper" else page
        for page in PAGES
    ],
)
def test_every_command_of_the_walk_does_what_the_page_says(
    page: str, tmp_path: Path, forked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(programs(tmp_path)))

    def shrink(commands: str, folder: Path) -> None:
        if "sreval study new" in commands:
            (design,) = folder.glob("studies/*/study.toml")
            text = design.read_text(encoding="utf-8")
            for old, new in SMALLER[page].items():
                assert old in text, f"{old!r} is not in {design}: mend the table in this test"
                text = text.replace(old, new)
            design.write_text(text, encoding="utf-8")

    walk(WALKS / f"{page}.md", folder, INSTEAD, shrink, programs=forked)
    assert (folder / "results" / "results.csv").is_file()
    if page != "walk-paper":
        return
    found = orders(folder / "report")
    assert [one["dataset"] for one in found] == ["Set5", "Set14", "BSD100"]
    assert len(found[0]["by_mos"]) == 12
    assert found[0]["paper"]["hr"] == 4.32
    assert unmarked(folder) == []


def test_a_misspelt_option_fails_the_walk(tmp_path: Path) -> None:
    page, folder, own = (tmp_path / name for name in ("page.md", "walk", "own"))
    folder.mkdir()
    own.mkdir()
    page.write_text("```sh\nsreval data list --jsno\n```\n", encoding="utf-8")
    with warm(own, imported=()), pytest.raises(WalkError, match=r"code 2[^@]*No such option"):
        walk(page, folder, {}, programs=own)


def test_no_entry_of_the_tables_is_left_over() -> None:
    text = "\n".join(block for page in PAGES for block in blocks(WALKS / f"{page}.md"))
    assert [pattern for pattern in INSTEAD if not re.search(pattern, text)] == []
