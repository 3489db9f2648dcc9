"""The same images under every convention that public tools use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_compare_protocols_shows_what_public_tools_give(
    demo_run: Path, sreval: Callable[..., Any]
) -> None:
    ran = sreval("compare-protocols", demo_run, "--method", "bicubic")
    assert ran.code == 0, ran.err
    for tool in ("BasicSR", "scikit-image", "torchmetrics", "piq", "OpenCV", "daala"):
        assert tool in ran.out
