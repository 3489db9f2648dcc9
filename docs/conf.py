"""Sphinx: the Markdown pages of this repository as a static site, by `make docs`.

The source folder is the repository itself, so that a page may lead to a model's card or to the
evidence. The index's sections and links make the sidebar.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_INIT = (_ROOT / "sreval" / "__init__.py").read_text("utf-8")

project = "sreval"
author = "The sreval maintainers"
release = re.findall(r'^__version__ = "(.+)"$', _INIT, re.MULTILINE)[0]
extensions = ["myst_parser"]
include_patterns = [
    "*.md",
    "docs/**.md",
    "benchmarks/**.md",
    "models/**.md",
    "studies/*.md",
    "web/*.md",
]
root_doc = "docs/index"
templates_path = ["site"]
html_additional_pages = {"index": "front.html"}
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sourcelink = False
# The anchors that GitHub makes, so that one link serves both.
myst_heading_anchors = 4
# Cards and evidence are reached from the pages that speak of them.
suppress_warnings = ["toc.not_included"]


def _add_contents(app: Any, name: str, source: list[str]) -> None:
    """Append a hidden table of contents to the index, a part for each of its sections."""
    if name != root_doc:
        return
    _, *sections = re.split(r"^## ", source[0], flags=re.MULTILINE)
    for section in sections:
        caption = re.split(r"[:\n]", section, maxsplit=1)[0]
        pages = re.findall(r"\]\(([^)]+)\.md\)", section)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n"
        source[0] += "\n".join(pages) + "\n```\n"


def setup(app: Any) -> None:
    """What Sphinx calls first."""
    app.connect("source-read", _add_contents)
