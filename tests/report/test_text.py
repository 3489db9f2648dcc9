"""Figures as text."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest

from sreval.errors import fixed
from sreval.report.text import span, whole_percent
from sreval.report.values import name_and_unit, number


def test_beside_an_axis_a_metric_has_its_unit_and_a_name_that_is_not_known_stays() -> None:
    axes = [name_and_unit(metric) for metric in ("psnr", "ssim", "lpips-vgg", "mos", "sharpness")]
    assert axes == ["PSNR (dB)", "SSIM", "LPIPS (VGG)", "MOS", "sharpness"]


@pytest.mark.parametrize("value", [-0.0, -4e-15, -0.0049, 0.0049, 0.0])
def test_what_rounds_to_zero_has_no_minus(value: float) -> None:
    assert fixed(value, 2) == number(value, "psnr") == "0.00"
    assert fixed(value, 2, signed=True) == "+0.00"
    assert span(value, value, 2) == "0.00–0.00"
    assert span(value, value, 2, signed=True) == "+0.00 to +0.00"


def test_other_figures_keep_their_signs() -> None:
    assert (fixed(-0.006, 2), fixed(-1.5, 1), fixed(2.25, 1, signed=True)) == (
        "-0.01",
        "-1.5",
        "+2.3",
    )


def test_halves_are_rounded_away_from_zero_whatever_the_last_bits_say() -> None:
    for thousandths in range(3000):
        hundredths, rest = divmod(thousandths, 10)
        up = hundredths + (rest >= 5)
        text = f"{up // 100}.{up % 100:02d}"
        for dust in (-4e-15, 0, 4e-15):
            value = thousandths / 1000 + dust
            assert fixed(value, 2) == text
            assert fixed(-value, 2) == (f"-{text}" if up else text)
    assert fixed(4.375 - 2.5, 2, signed=True) == fixed(4.4 - 2.525, 2, signed=True) == "+1.88"
    assert (fixed(1e300, 1)[-3:], fixed(12345678.5, 0), fixed(5e-324, 4)) == (
        "0.0",
        "12345679",
        "0.0000",
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_missing_is_a_dash(value: float) -> None:
    shown = [fixed(value, 2), fixed(value, 0, signed=True), whole_percent(value)]
    assert shown == ["–"] * 3
    assert span(value, 1.0, 2) == span(1.0, value, 2, signed=True) == "–"
    assert (whole_percent(0.125), whole_percent(0.29)) == ("13%", "29%")


def test_negative_limits_are_not_joined_by_a_dash() -> None:
    assert span(-0.5, 0.25, 2) == "-0.50 to 0.25"


def test_a_stream_without_the_signs_gets_plain_ones() -> None:
    script = (
        "import sys; sys.argv = ['sreval', '--version']\n"
        "from sreval.cli import _open_streams\n"
        "_open_streams(); print('∞ 1–2 ‡ 日')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode("latin-1").strip() == "inf 1-2 # ?"
