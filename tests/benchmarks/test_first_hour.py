"""benchmarks.first_hour: what counts as a stumble, and that each is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.first_hour import Step, lines, stumble, try_out


@pytest.mark.parametrize(
    ("step", "code", "printed", "told"),
    [
        (Step("a", ("done",)), 0, "all done\n", ""),
        (Step("a", ("Error: x",), 2), 2, "Error: x\n", ""),
        (Step("a"), 1, "Error: x\n", "exit code 1, not 0: Error: x"),
        (Step("a", code=2), 0, "", "exit code 0, not 2: "),
        (Step("a", ("one", "two")), 0, "one\n", "'two' isn't in its output: one"),
        (Step("a", code=1), 1, "Traceback (most recent call last):", "a traceback: Traceback"),
    ],
)
def test_a_stumble_is_told_with_what_was_printed(
    step: Step, code: int, printed: str, told: str
) -> None:
    assert stumble(step, code, printed).startswith(told)
    assert bool(stumble(step, code, printed)) == bool(told)


def test_a_part_goes_on_after_a_stumble_and_the_page_counts_it(tmp_path: Path) -> None:
    steps = (
        Step("echo one | tee file", ("one",)),
        Step("cat nothing", ("one",)),
        Step("cat file; exit 3", ("one",), 3),
    )
    tried = try_out(steps, tmp_path, dict(os.environ))
    assert [bool(one.stumble) for one in tried] == [False, True, False]
    told = [
        {"step": {"command": one.step.command, "code": one.step.code}, "seconds": 1.0}
        | {"stumble": one.stumble}
        for one in tried
    ]
    page = lines({"parts": {"rename": told}, "stumbles": 1})
    assert page[0] == "1 stumble in 3 steps."
    assert [line.split(" | ")[0] for line in page if "**stumble:**" in line] == ["| `cat nothing`"]
