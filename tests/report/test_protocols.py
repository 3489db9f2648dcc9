"""The same images under every convention that public tools use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sreval.report.protocols import left_out_notes


def test_compare_protocols_shows_what_public_tools_give(
    demo_run: Path, sreval: Callable[..., Any]
) -> None:
    ran = sreval("compare-protocols", demo_run, "--method", "bicubic")
    assert ran.code == 0, ran.err
    for tool in ("BasicSR", "scikit-image", "torchmetrics", "piq", "OpenCV", "daala"):
        assert tool in ran.out


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        (
            {"vgg"},
            "Left out: lpips vgg. The weights of LPIPS's vgg16 trunk are not on this machine.",
        ),
        (
            {"alex"},
            "Left out: lpips, lpips no crop, lpips 0..1, lpips vgg. The weights of LPIPS's al",
        ),
        ({"alex", "vgg"}, "`sreval data fetch lpips-alex` and `sreval data fetch lpips-vgg` once."),
        (set(), ""),
    ],
)
def test_what_lacks_weights_is_named_with_its_remedy(
    missing: set[str], left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.metrics.lpips.Trunk.is_here", lambda self: self.net not in missing)
    notes = left_out_notes()
    assert len(notes) == bool(left)
    assert all(left in note for note in notes)
