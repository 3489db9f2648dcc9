"""Rows of a page with a table are sorted by a click and by the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from playwright.sync_api import Browser

from sreval.report.table import Cell, Column, Row, Table


def test_rows_sort_with_their_intervals_and_dashes_stay_last(
    browsers: Callable[[float], Browser], tmp_path: Path
) -> None:
    figures = {"b": ("9.50", "1–2"), "none": ("–", ""), "a": ("28.10", "3–4"), "hr": ("∞", "")}
    rows = []
    for name, (figure, interval) in figures.items():
        rows.append(Row([Cell(name), Cell(figure)]))
        rows += [Row([Cell(""), Cell(interval)], "interval")] if interval else []
    columns = [Column("method", "left"), Column("PSNR", decimals=2, group="Set5")]
    table = Table(
        analysis="x", title="T", frame=pd.DataFrame(), columns=columns, rows=rows, notes=[]
    )
    table.to_html(tmp_path / "page.html")
    page = browsers(1).new_page()
    page.goto((tmp_path / "page.html").as_uri())

    def shown() -> list[str]:
        return page.locator("tbody td").all_inner_texts()[::2]

    button = page.get_by_role("button", name="PSNR")
    button.click()
    assert shown() == ["b", "", "a", "", "hr", "none"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "PSNR"
    button.press("Enter")
    assert shown() == ["hr", "a", "", "b", "", "none"]
    page.get_by_role("button", name="method").press("Space")
    assert shown() == ["a", "", "b", "", "hr", "none"]
    page.close()


def test_methods_across_sort_by_a_click_on_a_metric(
    browsers: Callable[[float], Browser], tmp_path: Path
) -> None:
    rows = [
        Row([Cell("Set5"), Cell("PSNR"), *map(Cell, ("9.50", "–", "28.10", "∞"))], starts=True),
        Row([Cell(""), Cell(""), *map(Cell, ("1–2", "", "3–4", ""))], "interval"),
        Row([Cell(""), Cell("LPIPS"), *map(Cell, ("0.30", "0.10", "0.20", "0.00"))]),
    ]
    names = [Column("", "left", described="Data set"), Column("", "left", described="Metric")]
    columns = [*names, *(Column(name, decimals=2) for name in ("b", "none", "a", "hr"))]
    table = Table(
        analysis="x", title="T", frame=pd.DataFrame(), columns=columns, rows=rows, notes=[]
    )
    table.to_html(tmp_path / "page.html")
    page = browsers(1).new_page()
    page.goto((tmp_path / "page.html").as_uri())

    def shown(row: int) -> list[str]:
        cells = page.locator("tr").nth(row).locator("th, td").all_inner_texts()
        return [cell.strip() for cell in cells[2:]]  # padded to align figures at the point

    assert page.get_by_role("button").all_inner_texts() == ["PSNR", "LPIPS"]
    button = page.get_by_role("button", name="PSNR")
    button.click()
    assert [shown(row) for row in range(3)] == [
        ["b", "a", "hr", "none"],
        ["9.50", "28.10", "∞", "–"],
        ["1–2", "3–4", "", ""],
    ]
    assert page.get_by_role("rowheader", name="PSNR").get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert shown(0) == ["hr", "a", "b", "none"]
    page.get_by_role("button", name="LPIPS").press("Space")
    assert shown(0) == ["hr", "none", "a", "b"]
    assert page.locator("[aria-sort]").all_inner_texts() == ["LPIPS"]
    plain = browsers(1).new_page(java_script_enabled=False)
    plain.goto((tmp_path / "page.html").as_uri())
    assert plain.get_by_role("button").count() == 0
    assert plain.locator("th").all_inner_texts() == ["Data set", "Metric", "b", "none", "a", "hr"]
    plain.close()
    page.close()
