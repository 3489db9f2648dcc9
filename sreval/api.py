"""The public functions and classes: what ``import sreval`` offers, and all that a command calls.

Nothing heavy is imported before a function needs it: neither torch nor pandas, no web framework.
"""

from __future__ import annotations

from sreval.errors import SrevalError

__all__ = ["SrevalError"]

# Images, metrics, benchmarks and training


# Votes and studies
