"""Bytes, text, JSON and TOML from files that others wrote: bounded, and refused in plain words."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sreval.reading import from_json, from_toml, read_bytes, read_json, read_text


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    assert read_bytes(path, 10) == b"x" * 10
    with pytest.raises(ValueError, match="it holds more than"):
        read_bytes(path, 9)


def test_what_does_not_say_its_length_is_bounded_too() -> None:
    with pytest.raises(ValueError, match="it holds more than 1 MB"):
        read_text(Path("/dev/zero"), 2**20)


def test_a_byte_order_mark_is_read_over_and_a_bad_byte_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"a":\n"\xc3\xa9"}')
    assert read_json(path) == {"a": "é"}
    path.write_bytes(b'{"a":\n"\xe9"}')
    with pytest.raises(ValueError, match=r"line 2 holds a byte that isn't UTF-8"):
        read_json(path)


@pytest.mark.parametrize("text", ["[" * 5000, "{", "", '"\\ud800"', "[1,]", "9" * 5000])
def test_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it isn't JSON: .* at line 1 column "):
        from_json(text)


def test_json_s_further_numbers_are_left_to_the_model() -> None:
    assert from_json("[Infinity, 1e999]") == [math.inf, math.inf]


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = 1\na = 2", "a"])
def test_toml_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_toml(text)
