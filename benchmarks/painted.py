"""What stands below an image in the frame in which it is first painted: nothing of the last vote.

Chromium rates by keyboard, by mouse and by a key on a focused button. At each image's first frame
the text below it and every computed style are compared with those of a page that had no vote.
Writes painted.json and painted.md; exits with 1 when anything differs.

Example: python -m benchmarks.painted --votes 20 --out build/bench
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from itertools import cycle
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.timing import ROOT, progress, provenance, write_results
from tests.browser import painted
from tests.browser.conftest import CHROMIUM, READY, to_rating
from tests.browser.study import plain, served

LEAST_MS = (0, 2000)
GREY_MS = (0, 500)
_ITEMS = 6
_TABS = 10


def rated(browser: Browser, least_ms: int, grey_ms: int, votes: int) -> int:
    """After how many of so many votes nothing of the last one stood beside the next image."""
    viewing = {"least_ms": least_ms, "grey_ms": grey_ms}
    clean, given, inputs = 0, 0, cycle(painted.INPUTS)
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name) / "study", plain(viewing=viewing)) as site,
    ):
        while given < votes:
            tabs, each = [], min(_ITEMS - 1, votes - given)
            for _ in range(min(_TABS, -(-(votes - given) // each))):
                tabs.append(browser.new_page(viewport={"width": 1000, "height": 700}))
                painted.watch(tabs[-1])
                to_rating(tabs[-1], site)
            for position in range(1, each + 1):
                for tab in tabs:
                    tab.get_by_text(f"Image {position} of {_ITEMS}", exact=True).wait_for()
                    tab.wait_for_selector(READY)
                    painted.give(tab, next(inputs), 1 + position % 5)
            for tab in tabs:
                clean += painted.like_the_first(tab, each)
                given += each
                tab.close()
            progress(f"least_ms {least_ms}, grey_ms {grey_ms}: {clean} of {given}")
    return clean


def main() -> int:
    """Rate, compare and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--votes", type=int, default=200, help="for each time")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("There is no chromium on the PATH. Install it.")
    content: dict[str, Any] = {**provenance(), "votes": options.votes, "rows": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        for least_ms, grey_ms in zip(LEAST_MS, GREY_MS, strict=True):
            clean = rated(browser, least_ms, grey_ms, options.votes)
            content["rows"].append({"least_ms": least_ms, "grey_ms": grey_ms, "clean": clean})
        content["browser"] = f"Chromium {browser.version}"
        browser.close()
    write_results(
        options.out, "painted", content, "What is painted with the next image", lines(content)
    )
    print(options.out / "painted.md")
    return 0 if all(row["clean"] == options.votes for row in content["rows"]) else 1


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    text = [
        f"{content['browser']}, by keyboard, by mouse and by a key on a focused button. In the "
        "frame in which an image is first painted, the text below it and every computed style of "
        "every element there are compared with those of a page that had no vote.",
        "",
        "| least_ms | grey_ms | votes | nothing of the last vote |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for row in content["rows"]:
        cells = (row["least_ms"], row["grey_ms"], content["votes"], row["clean"])
        text.append(f"| {' | '.join(map(str, cells))} |")
    return [*text, ""]


if __name__ == "__main__":
    sys.exit(main())
