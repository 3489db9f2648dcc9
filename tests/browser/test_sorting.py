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
