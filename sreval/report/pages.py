"""Self-contained HTML pages: one file, no script, no font or image from elsewhere."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("sreval.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(template: str, **content: Any) -> str:
    """A page from one of the templates beside this file."""
    return _environment().get_template(template).render(**content) + "\n"
