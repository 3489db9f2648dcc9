"""One sentence for what is wrong in a configuration."""

from __future__ import annotations

import datetime
import math
import re
import typing
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from sreval import config
from sreval.config import Config, FieldError, UserPath
from sreval.errors import UsageError, as_command


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


class Places(Config):
    here: UserPath | None = None


def test_no_path_is_empty() -> None:
    """It would be the current folder."""
    assert Places.checked({"here": "."}, "a.toml").here == Path()
    with pytest.raises(UsageError, match=r"^a.toml: here = '': it is empty\. "):
        Places.checked({"here": ""}, "a.toml")


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
    given = "recipe.toml (profile paper) with changes={'data.crop': 50}: "
    assert caught.value.message.endswith(f"{given}data.crop must be a multiple of the scale 4.")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("data.batch", "x", "--set data.batch=x: it must be a whole number."),
        ("data.btch", 8, "--set data.btch=8: unknown key 'data.btch'."),
        ("data.degrade", "realesrgan", "--set data.degrade=realesrgan: Unknown degradation"),
        ("data.degrade", "bd:sigma=foo", "--set data.degrade=bd:sigma=foo: steps.0.sigma = 'foo'"),
        ("data.smaller", [2], "--set data.smaller=[2]: data.smaller.0 = 2: it must be less than 1"),
        ("network.name", "nix", "recipe.toml (profile paper) with --set network.name=nix: "),
    ],
)
def test_a_value_given_with_set_is_not_the_file_s(key: str, value: object, said: str) -> None:
    from sreval.training.recipe import load_recipe

    with as_command(), pytest.raises(UsageError) as caught:
        load_recipe("espcn", "paper", {"run.keep": 2, key: value})
    place = caught.value.message.find(said)
    assert place == 0 or (place > 0 and said.startswith("recipe.toml"))


# A fault is told in our words, whatever its kind


def configurations() -> list[type[BaseModel]]:
    """Every model that a file of a user's is read by."""
    from sreval.benchmarking.plan import BenchmarkPlan
    from sreval.images.datasets import UserSet
    from sreval.networks.weights import Provenance
    from sreval.site.config import SiteConfig
    from sreval.study.design import StudyDesign
    from sreval.training.recipe import Recipe

    return [BenchmarkPlan, UserSet, SiteConfig, StudyDesign, Recipe, Provenance]


def inner(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from inner(field.annotation)
    for part in get_args(annotation):
        yield from inner(part)


BAD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3.5, 99, 2**70, "9" * 5000, math.inf, math.nan, "", "12", "None", "a b",
    "x" * 300,
    b"bytes", "2026-13-40", datetime.time(7), datetime.datetime(2026, 1, 1, 12), [], [1], ["a"],
    ["a"] * 9, [["a", "b", "c"]], {}, {"a": 1}, [{}], [{"name": 3}], {"name": "none"}, "\ud800",
)  # fmt: skip


def raised() -> Iterator[ErrorDetails]:
    """A fault of every kind that our models can have: each field is given each bad value."""
    for model in {one for top in configurations() for one in inner(top)}:
        for name in (*model.model_fields, "no_such_key"):
            for value in BAD:
                with suppress(UsageError):
                    try:
                        model.model_validate({name: value})
                    except ValidationError as error:
                        yield from error.errors(include_url=False)


def test_every_kind_of_fault_has_words_of_our_own() -> None:
    kinds = {error["type"] for error in raised()} - {"value_error"}
    assert {"missing", "string_type", "int_parsing", "too_long", "literal_error"} <= kinds
    assert kinds <= config._WORDS.keys()
    patterns = {e["ctx"]["pattern"] for e in raised() if e["type"] == "string_pattern_mismatch"}
    assert patterns == config.FORMS.keys()


def test_the_words_are_not_pydantic_s() -> None:
    # path_type is of pydantic itself, not of its core
    assert config._WORDS.keys() - {"path_type"} <= set(typing.get_args(ErrorType))
    for error in raised():
        said = config._reason(error)
        assert not re.search(
            r"Input should|should have|valid \w+,|pydantic|\{|Extra|(?<!')None", said
        ), said


TOML = '''# raters = 3 comes below
title = """
raters = 9
"""
[scale]
words = [
  "a",
]

[[gold]]
low = 1

[[gold]]
low = 2  # high
high = 3
questions = [{ key = "x" },
  { key = "y", text = "z" }]
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("title",), 2),
        (("raters",), None),
        (("scale",), 5),
        (("scale", "words"), 6),
        (("gold", 0), 10),
        (("gold", 0, "low"), 11),
        (("gold", 1), 13),
        (("gold", 1, "low"), 14),
        (("gold", 1, "high"), 15),
        (("gold", 1, "questions", 1, "text"), 17),
        (("gold", 2), None),
    ],
)
def test_the_line_of_a_value_is_that_on_which_it_begins(
    place: tuple[str | int, ...], line: int | None
) -> None:
    assert config.line_of(TOML, place) == line


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1), st.data())
def test_the_line_of_any_key_is_that_of_its_assignment(
    keys: list[str], data: st.DataObject
) -> None:
    lines = [
        f"{key} = {data.draw(st.sampled_from(('1', repr('a b c'), '[1, 2]')))}" for key in keys
    ]
    spaced = [part for line in lines for part in (*[""] * data.draw(st.integers(0, 2)), line)]
    for key in keys:
        expected = next(i for i, line in enumerate(spaced, 1) if line.startswith(f"{key} ="))
        assert config.line_of("\n".join(spaced), (key,)) == expected


def test_long_and_odd_text_is_shortened_in_every_error() -> None:
    from sreval.errors import DataError, unknown_name

    long = unknown_name("method", "x" * 5000, ["bicubic"])
    assert "'xxx" in str(long)
    assert len(str(long)) < 400
    for text in ("y" * 5000, repr("z " * 4000), "a\0b\x1b[2J", "it isn't " * 1000):
        said = str(DataError(f"No such file: {text}.", "Check it."))
        assert len(said) < 2100
        assert not re.search(r"[\x00-\x08\x0e-\x1f]", said)
    plain = "It isn't 'a' but 'b'. Don't use /a/long/path, nor  two spaces."
    assert DataError(plain).message == plain
    for text in ("one\n   two", "one\r\ntwo", "one \u2028 two", "\none\x0btwo\n"):
        assert DataError(text, text).args == ("one two",)
        assert DataError(text, text).remedy == "one two"


class Options(Config):
    way: Literal["", "short", "long"] = ""
    places: tuple[Places, ...] = ()

    @model_validator(mode="after")
    def _has_no_places(self) -> Options:
        if self.places:
            raise FieldError("it belongs elsewhere", "places", remedy="Leave it out.")
        return self


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"way": True}, "a: way = true: it must be '', 'short' or 'long'. Write one of these."),
        ({"places": [{"here": "x"}]}, "a: places: it belongs elsewhere. Leave it out."),
    ],
)
def test_what_is_wrong_is_quoted_as_it_is_typed(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options.checked(given, "a")
    assert str(caught.value) == said
