"""``sreval cost``: what it prints, writes and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_the_command_prints_and_writes_the_table(sreval: Run, tmp_path: Path) -> None:
    given = ["cost", "ours=bicubic", "nearest", "--input", "12x10", "--repeat", "1"]
    ran = sreval(*given, "--device", "cpu", "--format", "latex", "--out", str(tmp_path / "t.tex"))
    assert (ran.code, ran.out.strip()) == (0, str(tmp_path / "t.tex"))
    assert r"\toprule" in (tmp_path / "t.tex").read_text()
    ran = sreval(*given, "hr", "--json")
    assert ran.code == 3
    assert [row["method"] for row in json.loads(ran.out)["rows"]] == ["ours", "nearest"]
    assert "failed: hr" in ran.err


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["hr"], 1, "No method could be measured"),
        (["bicubik"], 2, "Did you mean 'bicubic'"),
        ([], 2, "METHOD"),
        (["bicubic", "--input", "12"], 2, "Write it as in 320x180"),
        (["bicubic", "--input", "0x5"], 2, "--input can't be 0x5"),
        (["bicubic", "--repeat", "0"], 2, "--repeat"),
    ],
)
def test_the_command_refuses(given: list[str], code: int, said: str, sreval: Run) -> None:
    ran = sreval("cost", *given)
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_method_of_another_scale_is_named_once(sreval: Run) -> None:
    said = "srresnet-mse enlarges 4 times, not 2.5. Run it with a scale of 4."
    ran = sreval("cost", "srresnet-mse", "--scale", "2.5")
    assert (ran.code, ran.err) == (1, f"Error: No method could be measured. {said}\n")
    ran = sreval("cost", "srresnet-mse", "hr", "--scale", "2.5")
    assert f"failed: {said}\n" in ran.err
