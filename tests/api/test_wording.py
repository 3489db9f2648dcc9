"""Messages name what the caller wrote: an argument in Python, an option on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sreval as package
from sreval.report.scores import ScoreTable


def test_a_message_names_the_callers_own_word(sreval: Callable[..., Any], tmp_path: Path) -> None:
    frame = pd.DataFrame({"rater": ["a"], "image": ["x"], "method": ["m"], "score": [9]})
    frame.to_csv(tmp_path / "votes.csv", index=False)
    ran = sreval("opinions", tmp_path / "votes.csv")
    assert "--rating-scale" in ran.err
    assert "scale=" not in ran.err
    with pytest.raises(package.SrevalError) as refused:  # also after a command has run
        package.read_votes(frame)
    assert "scale=" in str(refused.value)
    assert "--" not in str(refused.value)


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "csv", "json"])
def test_a_table_is_written_where_it_is_told_to(form: str, tmp_path: Path) -> None:
    table = ScoreTable.of("Scores", "matlab", [4], [])
    text = getattr(table, f"to_{form}")(tmp_path / "table")
    assert (tmp_path / "table").read_text(encoding="utf-8") == text == table.render(form)
