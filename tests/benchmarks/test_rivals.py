"""basicsr is optional: without it a benchmark times the rest and says what it left out."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.metrics import cases
from benchmarks.rivals import MissingRivalError, load_basicsr
from benchmarks.training_step import RIVAL, Step, lines, measured


def test_a_missing_basicsr_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BASICSR_PATH", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "basicsr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "basicsr", None)
    with pytest.raises(MissingRivalError, match=r"(?s)basicsr.* left out.*pip install"):
        load_basicsr()


def test_metrics_without_it_hold_no_goal_against_another(tmp_path: Path) -> None:
    found = {case.name: case for case in cases(64, 96, None, tmp_path)}
    assert "Wang SSIM, float64" in found
    for case in found.values():
        assert next(iter(case.rivals)) in ("sreval", "ledig2017")
        assert not any("basicsr" in rival for rival in case.rivals)
        assert case.goal is None or "scikit-image" in case.rivals
        for run in case.rivals.values():
            run()


def test_an_update_s_time_without_it_is_compared_with_nothing() -> None:
    seconds = {"sreval fp32": 0.2, "sreval bf16": 0.1}
    runs: dict[str, Step] = {name: partial(float, value) for name, value in seconds.items()}
    facts = {"model": "m", "loader": True}
    rows = measured(runs, 3, facts, {})
    assert [(row["side"], row["seconds"]) for row in rows] == list(seconds.items())
    assert {(row["faster"], row["goal"]) for row in rows} == {(None, None)}
    content = {"device": "cpu", "threads": 1, "rival": "basicsr is left out", "rows": rows}
    content["limits"] = []
    page = "\n".join(lines(content))
    assert "basicsr is left out" in page
    assert "| m | included | sreval bf16 | 0.100 |  |  |" in page


def test_with_it_the_times_of_a_round_are_divided() -> None:
    runs = {RIVAL: lambda: 0.6, "sreval fp32": lambda: 0.3}
    theirs, ours = measured(runs, 2, {"model": "m", "loader": False}, {"fp32": 1.5})
    assert (theirs["faster"], theirs["goal"]) == (1, None)
    assert (ours["faster"], ours["goal"]) == (2, 1.5)
