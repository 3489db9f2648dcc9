"""A study's report as a page: axe, text that is text, a narrow window, and paper."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from sreval.report.study_report import study_report, to_html
from tests.report.study_builder import make_study

from .test_pages import check_axe

SIZES = """[...document.querySelectorAll("body *")]
  .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .filter((one) => one.checkVisibility() && !one.closest("script, style, title, desc, sup"))
  .map((one) => {
    const matrix = one.ownerSVGElement && one.getScreenCTM ? one.getScreenCTM() : null;
    const zoom = matrix ? Math.hypot(matrix.a, matrix.b) : 1;
    return [zoom * parseFloat(getComputedStyle(one).fontSize), one.textContent];
  })"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    page = tmp_path_factory.mktemp("report") / "index.html"
    page.write_text(to_html(study_report(make_study({"Set5": 5}))), encoding="utf-8")
    return page.as_uri()


def test_axe_finds_nothing_and_no_letter_is_too_small(
    browsers: Callable[[float], Browser], address: str
) -> None:
    page = browsers(1).new_page()
    page.goto(address)
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_text("SRResNet-MSE has the highest MOS on Set5").is_visible()
    assert not page.get_by_text("As planned.").first.is_visible()
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    check_axe(page, "report")
    page.set_viewport_size({"width": 400, "height": 800})
    small = [text for size, text in page.evaluate(SIZES) if size < 9]
    assert small == []
    page.close()


def test_on_paper_all_is_unfolded_and_text_in_figures_is_found(
    browsers: Callable[[float], Browser], address: str, tmp_path: Path
) -> None:
    page = browsers(1).new_page()
    page.goto(address)
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    page.close()
    command = ["pdftotext", str(tmp_path / "report.pdf"), "-"]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no pdftotext on the PATH")
    told = " ".join(text.split())
    for part in ("In brief: Set5", "Planned comparisons on Set5", "What this was made from"):
        assert part in told
    for of_a_figure in ("share of the votes", "variance (points²)", "rank (1 best)"):
        assert of_a_figure in told
    assert not re.search(r"[-−]0\.00\b", told)
    assert not re.search(r"\d %", told.replace("cells in % of", ""))
