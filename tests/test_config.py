"""One sentence for what is wrong in a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import model_validator

from sreval.config import Config
from sreval.errors import UsageError


class Span(Config):
    low: int = 0
    high: int = 9

    @model_validator(mode="after")
    def _ascends(self) -> Span:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Whole(Config):
    span: Span = Span()
    spare: int = 0

    @model_validator(mode="after")
    def _has_room(self) -> Whole:
        if self.spare > self.span.high:
            raise ValueError("spare is above span.high")
        return self


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spare = 50", ": spare is above span.high."),
        ("span = { low = 7, high = 3 }", ", line 1: span: low is above high."),
    ],
)
def test_what_is_wrong_with_several_fields_together_is_said_without_them(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "whole.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        Whole.load(path)
    assert str(caught.value) == f"{path}{said} Fix the value."


def test_what_is_wrong_with_one_field_is_said_with_its_value(tmp_path: Path) -> None:
    path = tmp_path / "whole.toml"
    path.write_text("span.low = 'none'")
    with pytest.raises(
        UsageError, match=r"whole\.toml, line 1: span\.low = 'none': it must be a whole"
    ):
        Whole.load(path)


def test_a_check_of_training_names_the_recipe_and_the_rule(tmp_path: Path) -> None:
    from sreval.training.recipe import load_recipe

    with pytest.raises(UsageError) as caught:
        load_recipe("espcn", "paper", {"data.crop": 50})
    rule = "recipe.toml (profile paper): data.crop must be a multiple of the scale 4."
    assert caught.value.message.endswith(rule)
