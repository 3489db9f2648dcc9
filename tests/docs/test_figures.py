"""docs/scale.md: its figures are those of the results, read here from the pages of these."""

from __future__ import annotations

import re

from docs import figures


def column(page: str, heading: str, name: str) -> list[tuple[float, ...]]:
    """Two columns of the first table below a heading: ``due / s`` and another."""
    text = (figures.RESULTS / page).read_text("utf-8").partition(f"## {heading}\n")[2]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    table = rows[: next((i for i, row in enumerate(rows) if i and row == rows[0]), len(rows))]
    places = [table[0].index("due / s"), table[0].index(name)]
    return [
        tuple(float(re.sub(r"[^\d.]", "", row[place])) for place in places)
        for row in table[1:]
        if re.match(r"[\d.]+$", row[0])
    ]


def test_what_is_carried_is_the_fastest_rate_within_the_limit() -> None:
    found = figures.figures()
    steps = {due: p99 for due, p99 in column("load.md", "sqlite", "p99") if p99 < figures.P99_MS}
    due = max(steps)
    assert float(found["sqlite_votes"]) == due
    assert abs(float(found["sqlite_p99"]) - steps[due]) <= 0.5


def test_every_figure_is_on_the_page_and_every_mark_is_filled() -> None:
    text = figures.PAGE.read_text("utf-8")
    marked = re.findall(r"<!--=(\w+)-->([^<]+)<!--/-->", text)
    assert len(marked) == text.count("<!--=")
    assert {name for name, _ in marked} <= set(figures.figures())
    bare = re.sub(r"<!--.*?-->", "", text)
    assert "0 machines" not in bare.replace("10 machines", "")
    fresh = figures.page()
    assert figures._MARK.sub("", fresh) == figures._MARK.sub("", text)


def test_a_changed_result_changes_the_page(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    told = {**figures.figures(), "report_cpu": "12345.6"}
    monkeypatch.setattr(figures, "figures", lambda: told)
    assert "<!--=report_cpu-->12345.6<!--/--> s" in figures.page()
