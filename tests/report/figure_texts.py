"""What any figure that is to be read must hold to."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from unittest import mock

from matplotlib.figure import Figure
from matplotlib.text import Text


def check_texts(figure: Figure) -> None:
    """No text lies over another or over an image, none is cut off, none is below 7 points."""
    drawn: list[Text] = []

    def spy(text: Text, renderer: object) -> None:
        drawn.append(text)
        original(text, renderer)

    original: Any = Text.draw
    with mock.patch.object(Text, "draw", spy):
        figure.draw_without_rendering()
    shown = [text for text in drawn if text.get_visible() and text.get_text().strip()]
    # an annotation's own extent holds its line, too
    boxes = {text: Text.get_window_extent(text) for text in shown}
    width, height = figure.bbox.size
    for text, box in boxes.items():
        assert float(text.get_fontsize()) >= 7
        inside = box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
        assert inside, text.get_text()
    for (one, a), (two, b) in combinations(boxes.items(), 2):
        assert not a.overlaps(b), (one.get_text(), two.get_text())
    panels = [axes.get_window_extent() for axes in figure.axes if axes.images]
    for text, box in boxes.items():
        assert not box.count_overlaps(panels), text.get_text()
    assert not [pair for pair in combinations(panels, 2) if pair[0].overlaps(pair[1])]
