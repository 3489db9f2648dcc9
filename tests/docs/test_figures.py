"""docs/scale.md: its figures are those of the results, read here from the pages of these."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs import figures


def steps_of(page: str, kind: str) -> dict[float, float]:
    """The 99th percentile at each rate, of the way to serve a database that bears the highest."""
    served = re.split(r"^## ", (figures.RESULTS / page).read_text("utf-8"), flags=re.M)
    found = []
    for text in served:
        rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]
        if not text.startswith(f"{kind}, "):
            continue
        p99 = rows[0].index("p99")
        steps = [row for row in rows[1:] if re.fullmatch(r"[\d.]+", row[0])]
        within = {float(row[0]): float(re.sub(r"[^\d.]", "", row[p99])) for row in steps}
        found.append({rate: ms for rate, ms in within.items() if ms < figures.P99_MS})
    return max(found, key=lambda one: max(one))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_carried_is_the_fastest_rate_within_the_limit(kind: str) -> None:
    found = figures.figures()
    steps = steps_of("load.md", kind)
    rate = max(steps)
    assert float(found[f"{kind}_votes"]) == rate
    assert abs(float(found[f"{kind}_p99"]) - steps[rate]) <= 0.5


def test_every_figure_is_on_the_page_and_every_mark_is_filled() -> None:
    text = figures.PAGE.read_text("utf-8")
    marked = re.findall(r"<!--=(\w+)-->([^<]+)<!--/-->", text)
    assert len(marked) == text.count("<!--=")
    assert {name for name, _ in marked} <= set(figures.figures())
    bare = re.sub(r"<!--.*?-->", "", text)
    assert "0 machines" not in bare.replace("10 machines", "")
    fresh = figures.page()
    assert figures._MARK.sub("", fresh) == figures._MARK.sub("", text)


def test_the_network_of_ten_machines_is_that_of_a_ring() -> None:
    found = figures.figures()
    # each sends nine tenths of its gradients twice, at ten times the updates of one machine
    once = float(found["gradient_mb"]) * 8 / 1e3 * float(found["train_gpu"])
    assert abs(float(found["gradient_gbit_gpu"]) / (once * 18) - 1) < 0.02


def test_results_that_are_there_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = {"first": {"one process": [8.0, 9.0, 10.0], "now": [5.0, 5.0, 4.0]}}
    law = {"slope": 1.004, "slope_low": 0.98, "slope_high": 1.03}
    rows = [{"name": "vote, raters", "exponent": law}]
    assert figures._of_growth().keys() == {"executors", "growth"}
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    assert set(figures._of_growth().values()) == {"not measured yet"}
    (tmp_path / "executors.json").write_text(json.dumps({"wall": wall}))
    (tmp_path / "growth.json").write_text(json.dumps({"rows": rows}))
    assert figures._of_growth() == {
        "executors": "5.0 s, 1.80 times as fast as by one",
        "growth": "vote, raters 1.00 (0.98 to 1.03)",
    }


def test_a_changed_result_changes_the_page(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    told = {**figures.figures(), "report_cpu": "12345.6"}
    monkeypatch.setattr(figures, "figures", lambda: told)
    assert "<!--=report_cpu-->12345.6<!--/--> s" in figures.page()
